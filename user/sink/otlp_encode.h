/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans as protobuf (user/sink/otlp.proto), collected in batches and grouped by the process they belong to. The engine's thread
 * encodes spans into a batch; the exporter's thread makes an ExportTraceServiceRequest of it.
 */
#ifndef PLUMB_SINK_OTLP_ENCODE_H
#define PLUMB_SINK_OTLP_ENCODE_H

#include "lib/buffer.h"
#include "model/span.h"

enum {
	OTLP_BATCH_BYTES = 1 << 20,    /* a batch is full at so many bytes: gRPC servers refuse messages above 4 MiB */
	OTLP_BATCH_SPANS_MAX = 16384,
	OTLP_RESOURCE_CACHE = 256,     /* encoded resources kept, by process generation */
	OTLP_SCRATCH_BYTES = 16384,    /* repaired text of one span */
};

struct otlp_entry { /* one span */
	uint32_t offset, len; /* in spans */
	uint32_t next;        /* of the same resource, UINT32_MAX = last */
};

struct otlp_group { /* one resource */
	uint64_t generation;
	uint32_t offset, len; /* in resources */
	uint32_t first, last; /* entries */
	uint64_t framed;      /* bytes of its spans with their keys and lengths */
};

struct otlp_batch {
	struct otlp_batch *next; /* of whoever owns the batch */
	struct buffer spans, resources;
	struct otlp_entry *entries;
	struct otlp_group *groups;
	uint32_t *slots; /* hash of generations: group + 1, 0 = free */
	uint32_t nslots; /* a power of two */
	uint32_t max, nspans, ngroups;
};

int otlp_batch_new(uint32_t max_spans, struct otlp_batch **ret_batch);
void otlp_batch_free(struct otlp_batch *b);
void otlp_batch_clear(struct otlp_batch *b); /* keeps the memory */
static inline bool otlp_batch_full(const struct otlp_batch *b)
{
	return b->nspans >= b->max || b->spans.len + b->resources.len >= OTLP_BATCH_BYTES;
}
/* Appends the ExportTraceServiceRequest. -ENOMEM, or -ENOBUFS beyond out's maximum. */
int otlp_batch_request(const struct otlp_batch *b, struct buffer *out);

struct otlp_encoder;

int otlp_encoder_new(struct otlp_encoder **ret_encoder);
void otlp_encoder_free(struct otlp_encoder *e);
/* -ENOSPC when the batch is full, -ENOMEM or -ENOBUFS when the span cannot be stored; the batch is then as before. */
int otlp_encode_span(struct otlp_encoder *e, struct otlp_batch *b, const struct span *s);

#endif

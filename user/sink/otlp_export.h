/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exporter's thread: takes full batches from the engine, sends them, tries again with exponential back-off and full
 * jitter, and keeps them on disk while the collector does not answer. The engine hands over whole batches under a lock
 * that is never held during I/O.
 *
 * A span is in exactly one place: accepted + found = exported + dropped + queued + spooled, at any moment.
 *
 * Delivery is at least once. A batch is sent twice only if the collector took it and its answer was lost.
 */
#ifndef PLUMB_SINK_OTLP_EXPORT_H
#define PLUMB_SINK_OTLP_EXPORT_H

#include "sink/otlp_encode.h"
#include "sink/otlp_transport.h"

enum otlp_drop {
	OTLP_DROP_QUEUE_FULL,      /* the collector is too slow and there is no spool, or it cannot be written */
	OTLP_DROP_REJECTED,        /* partial success: the collector did not keep them */
	OTLP_DROP_PERMANENT_ERROR, /* the collector refused the batch for good */
	OTLP_DROP_SPOOL_FULL,      /* older than what fits into the spool */
	OTLP_DROP_SPOOL_CORRUPT,   /* the spooled file was damaged */
	OTLP_DROP_SHUTDOWN,        /* not sent in time at the end, and no spool */
	OTLP_DROP_NO_MEMORY,
	OTLP_DROP_REASONS,
};

struct otlp_export_options {
	struct otlp_transport_options transport;
	bool gzip;
	uint32_t batch_spans, queue_spans;
	int64_t retry_initial_ms, retry_max_ms;
	const char *spool_dir; /* "" = no spool */
	uint64_t spool_max_bytes;
	uint64_t *settled;     /* spans that have left memory are added here too; NULL none */
};

struct otlp_export_counts {
	uint64_t exported, dropped[OTLP_DROP_REASONS], queued; /* spans; queued: handed over, fate open */
	uint64_t spooled, spool_files, spool_bytes, found, spool_write_errors;
	uint64_t requests, retries; /* calls, and those that have to be repeated */
	char last_error[OTLP_MESSAGE_LEN]; /* "" = none yet */
};

struct otlp_export;

/* Reads certificates and keys. Errors are told in ret_error too. */
int otlp_export_new(const struct otlp_export_options *o, struct otlp_export **ret_export, char *ret_error, size_t error_len);
/*
 * Opens the spool and starts the thread: once, before the first span. A spool that another plumb has is no failure: ret_error then
 * says so, spans wait in memory, and the spool is taken over when the other one has ended (it may be its predecessor).
 */
int otlp_export_start(struct otlp_export *e, char *ret_error, size_t error_len);
/* Lets a call on its way end within a second, puts the rest on disk, or drops it where there is none. */
void otlp_export_free(struct otlp_export *e);
/* An empty batch, or NULL when so many are waiting that the queue is full. It comes back by otlp_export_put() or _return(). */
struct otlp_batch *otlp_export_get(struct otlp_export *e);
void otlp_export_return(struct otlp_export *e, struct otlp_batch *b);
void otlp_export_put(struct otlp_export *e, struct otlp_batch *b);
/* Whether a batch that is not full should be handed over: not while others wait, they would only become more and smaller. */
bool otlp_export_idle(struct otlp_export *e);
/* Waits until nothing is queued (sent, spooled or dropped), then puts on disk what still is, where there is a spool; returns what is left. */
uint64_t otlp_export_flush(struct otlp_export *e, int timeout_ms);
void otlp_export_counts(struct otlp_export *e, struct otlp_export_counts *ret);

#endif

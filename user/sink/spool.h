/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches on disk, oldest first, for a collector that does not answer. One file a batch, written under a temporary name and
 * renamed, so a file that is there is whole unless the disk lies; its CRC tells. Survives a restart: what the directory holds is
 * found again by name (<sequence>-<spans>.batch) without reading it. A batch leaves by spool_pop(), after it was delivered. At
 * the maximum the oldest batches are dropped and their spans counted. One process owns a spool (flock). Not thread-safe.
 */
#ifndef PLUMB_SINK_SPOOL_H
#define PLUMB_SINK_SPOOL_H

#include "lib/buffer.h"

enum {
	SPOOL_FILES_MAX = 65536,
	SPOOL_CORRUPT_MAX = 4,     /* corrupt files kept for whoever wants to look, as corrupt-N; more are deleted */
	SPOOL_BODY_MAX = 16 << 20, /* a larger file is corrupt */
	SPOOL_SPANS_MAX = 16384,   /* in a batch; a name with more is not the spool's */
};

struct spool_counts {
	uint64_t files, bytes, spans; /* what is there now; bytes as files occupy the disk */
	uint64_t found_spans;         /* were there at spool_open() */
	uint64_t dropped_full_spans;  /* made room for newer ones */
	uint64_t dropped_corrupt_spans;
	uint64_t write_errors;        /* batches that could not be written; their spans stay with the caller */
};

struct spool;

/* Makes the directory if need be (0700). -EBUSY when another process owns it; other errors as the system gave them. */
int spool_open(const char *dir, uint64_t max_bytes, struct spool **ret_spool);
void spool_close(struct spool *s); /* keeps the files */

/* flags are the caller's. -EFBIG for a batch beyond max_bytes or SPOOL_SPANS_MAX, else the system's error; counted, nothing is left behind. */
int spool_put(struct spool *s, struct slice body, uint32_t spans, uint32_t flags);
/* Reads the oldest batch into body (cleared first). Corrupt ones are set aside on the way. -ENOENT when empty. */
int spool_peek(struct spool *s, struct buffer *body, uint32_t *ret_spans, uint32_t *ret_flags);
/*
 * Removes the batch that spool_peek() returned; if newer ones have pushed it out meanwhile, nothing.
 * Returns whether it was still there.
 */
bool spool_pop(struct spool *s);
void spool_counts(const struct spool *s, struct spool_counts *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where records come from: live rings, a recording, a packet capture. All give the same stream: START first, records
 * in order of time (within the merge window), TICK whenever time has advanced without other records, so that nothing
 * behind this interface needs a clock.
 */
#ifndef PLUMB_SOURCE_SOURCE_H
#define PLUMB_SOURCE_SOURCE_H

#include "model/record.h"

struct source;

/* payload is NULL with length 0 where a record has none. Both are valid during the call. Negative errno stops the source. */
typedef int (*source_record_fn)(void *ctx, const struct record *rec, struct slice payload);

struct source_counts {
	uint64_t records;
	uint64_t unknown;  /* types this build does not know: skipped */
	uint64_t corrupt;  /* records or packets that do not parse: skipped */
	uint64_t late;     /* came after a later record had been delivered */
};

struct source_ops {
	const char *name;
	/*
	 * Delivers what is available, at most `max` records; waits at most wait_ms when nothing is. Returns the number
	 * delivered, 0 when the wait ended without any, -ENODATA at the end of a file, other negative errno on failure
	 * (source_error() then has a sentence).
	 */
	int (*read)(struct source *s, int max, int wait_ms, source_record_fn fn, void *ctx);
	void (*close)(struct source *s); /* frees s */
	/*
	 * A sentence about what went wrong, or NULL. May be set although the input was read to its end: a cut or damaged file
	 * was replayed as far as it goes.
	 */
	const char *(*error)(const struct source *s);
	void (*counts)(const struct source *s, struct source_counts *ret);
};

/* First member of every source. */
struct source {
	const struct source_ops *ops;
};

/*
 * Files. *ret_source is untouched on failure; ret_error (256 bytes) then says what is wrong and what to
 * do. path "-" is standard input.
 */
int recording_open(const char *path, struct source **ret_source, char *ret_error, size_t error_len);
int pcap_source_open(const char *path, struct source **ret_source, char *ret_error, size_t error_len);
/* Looks at the first bytes and opens as what it is. */
int source_open_file(const char *path, struct source **ret_source, char *ret_error, size_t error_len);

/* Bound of time_ns and of time_ns + realtime_offset_ns; later stages add to times unchecked. */
#define RECORD_TIME_MAX_NS (UINT64_C(1) << 62)
/*
 * Checks one raw record in `in` (at most PLUMB_RECORD_MAX bytes) and copies its fixed part, zero-extended. Returns the record's
 * size in bytes, or -EBADMSG if its size, payload length or time is impossible, -EAGAIN if `in` is shorter than the record,
 * -ENOTSUP for an unknown type (*ret_rec.u.h is valid then).
 */
int record_decode(struct slice in, struct record *ret_rec, struct slice *ret_payload);
/* Bytes of a type's header and body as this build knows them; 0 for an unknown type. */
size_t record_fixed_bytes(uint16_t type);
/* Bytes of payload that a decoded record says it has. */
size_t record_payload_bytes(const struct record *rec);

/* Writes recordings. One writer per file, no threads; format in docs/records.md. */
struct recorder;
struct recorder_options {
	bool redact;   /* mask payloads, environment, paths and host name so that the file is safe to share */
	int level;     /* zlib level, 0 = default (1) */
	uint64_t max_bytes; /* stop with -EFBIG beyond, 0 = none: the file never grows larger and is complete up to there */
	/*
	 * With redact: masks the payload of a DATA, DGRAM or CALL record in place, seeing every record in order (payload NULL where
	 * it has none). NULL masks every byte, so that the file keeps times, sizes and connections but no exchange;
	 * proto/masker.h keeps what the parsers need.
	 */
	void (*mask)(void *ctx, struct record *rec, uint8_t *payload, size_t len);
	void *mask_ctx;
};
/* path "-" is standard output. The file is made readable by its owner alone. */
int recorder_open(const char *path, const struct recorder_options *o, struct recorder **ret_recorder, char *ret_error, size_t error_len);
/* The first error (-ENOSPC, -EFBIG, …) stays: nothing is written after it and every later call returns it. */
int recorder_write(struct recorder *r, const struct record *rec, struct slice payload);
/* Flushes, writes the trailer that proves completeness (unless a write failed), frees. Returns the first error but -EFBIG. */
int recorder_close(struct recorder *r);

#endif

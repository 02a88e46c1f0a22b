/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines to a descriptor, for the sinks that print. A line is written at once when the last write is older than
 * OUTPUT_INTERVAL_NS, so that a quiet terminal is never behind; a busy one is written in blocks, by the next tick at the
 * latest. A reader that went away (EPIPE) or a failing disk ends the output: what comes later is counted as dropped. The
 * caller of the engine ignores SIGPIPE.
 *
 * A reader that stopped reading does not hold up the engine, whether or not the descriptor blocks, pipe, socket or terminal: lines wait in a bounded
 * buffer, and those that do not fit are counted as dropped. Only a patient output (sink_config) waits for its reader.
 */
#ifndef PLUMB_SINK_OUTPUT_H
#define PLUMB_SINK_OUTPUT_H

#include "sink/sink.h"

enum {
	OUTPUT_BUFFER_MAX = 1 << 20,
	OUTPUT_BLOCK = 32 << 10,
	OUTPUT_INTERVAL_NS = 20 * 1000 * 1000,
	OUTPUT_RETRY_NS = 1000 * 1000,
};

struct output {
	const char *name;   /* the sink's, for stats */
	int fd;             /* where to write: the caller's, or own_fd */
	int own_fd;         /* the terminal opened anew, -1 none */
	bool patient;
	bool blocked;       /* the last write left text behind: try again after OUTPUT_RETRY_NS */
	size_t write_max;   /* bytes a write that must not block may have */
	struct buffer text; /* lines not written yet; the sink appends to it */
	size_t mark;        /* end of the last whole line */
	uint64_t pending;   /* spans in text */
	uint64_t written, dropped;
	uint64_t last_write_ns; /* CLOCK_MONOTONIC */
	int error;          /* negative errno that ended the output, or 0 */
};

/* While /proc can be opened still: a terminal is. */
void output_init(struct output *o, const char *name, const struct sink_config *c);
/* Writes what it can without waiting longer than a second; a patient output waits. */
void output_done(struct output *o);
/* The sink has appended one span's line to o->text. A line that did not fit is taken back and counted as dropped. */
enum sink_result output_span(struct output *o);
/* The sink has appended text that is no span (a heading). Written at once. */
void output_text(struct output *o);
void output_tick(struct output *o);
/* Returns the spans left; a patient output waits until there are none, whatever the time. */
uint64_t output_flush(struct output *o, int timeout_ms);
void output_stats(const struct output *o, sink_stat_fn fn, void *ctx);

/* What a sink that prints begins with; output_sink_close() frees the whole of it. The rest are callbacks of sink_ops as they are. */
struct output_sink {
	struct sink sink;
	struct output out;
};

void output_sink_tick(struct sink *sink, uint64_t time_ns);
uint64_t output_sink_flush(struct sink *sink, int timeout_ms);
void output_sink_stats(const struct sink *sink, sink_stat_fn fn, void *ctx);
void output_sink_close(struct sink *sink);

#endif

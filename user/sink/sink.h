/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sink's contract. A sink is a few callbacks, one table of options and one struct (see docs/adding-a-sink.md). All callbacks
 * but those of a sink's own threads run on the engine's thread and must not block: a sink that talks to a network queues.
 */
#ifndef PLUMB_SINK_SINK_H
#define PLUMB_SINK_SINK_H

#include "lib/buffer.h"
#include "model/link.h"
#include "model/span.h"

enum sink_result { SINK_OK, SINK_RETRY, SINK_ERROR }; /* RETRY and ERROR are counted by the sink with a reason, never fatal */

enum sink_option_type { SINK_OPT_STR, SINK_OPT_INT, SINK_OPT_BOOL, SINK_OPT_DURATION_MS, SINK_OPT_SIZE_BYTES };

struct sink_option {
	const char *name;    /* YAML key under sinks.<sink name>. */
	enum sink_option_type type;
	const char *value;   /* default, as text */
	const char *help;    /* feeds --help and the configuration's documentation */
	bool secret;         /* shown as REDACTED, and refused on the command line */
	const char *choices; /* "a|b|" for texts that are words of a list, "" = any */
};

struct sink;

/* Values in the order of sink_ops.options, as text, defaults filled in, already checked for type. */
struct sink_config {
	const char *const *values;
	const char *spool_dir; /* "" = no spool */
	int out_fd;            /* for sinks that print: standard output */
	bool color;
	struct link_spans *spans; /* sinks that hold spans in memory count them here; outlives the process; NULL: nobody asks */
	bool patient;          /* sinks that print: wait for a slow reader instead of dropping lines; for input that can wait too */
};

/* One self metric, named as Prometheus wants it. */
typedef void (*sink_stat_fn)(void *ctx, const char *name, const char *help, const char *label, const char *label_value, double value, bool counter);

struct sink_ops {
	const char *name;
	const char *help;
	const struct sink_option *options; /* ends with name == NULL */
	/* Optional: whether the options make sense together; -EINVAL with a sentence. Opens, makes and keeps nothing. */
	int (*check)(const struct sink_config *c, char *ret_error, size_t error_len);
	int (*open)(const struct sink_config *c, struct sink **ret_sink, char *ret_error, size_t error_len);
	/*
	 * Optional, once, before the first span: the process is now as it will stay (user, root directory, system call
	 * filter). Threads start and directories that belong to the engine's user are opened here; what needs privileges,
	 * such as private keys, was read by open(). On success ret_error may hold a remark for the operator.
	 */
	int (*start)(struct sink *s, char *ret_error, size_t error_len);
	/* Spans come in the order in which they ended; only sampled ones. */
	enum sink_result (*span)(struct sink *s, const struct span *span);
	void (*tick)(struct sink *s, uint64_t time_ns); /* optional: record time advanced; flush what is due */
	/*
	 * Optional: everything accepted so far goes out; waits at most timeout_ms; returns what is
	 * left undelivered and not spooled.
	 */
	uint64_t (*flush)(struct sink *s, int timeout_ms);
	void (*stats)(const struct sink *s, sink_stat_fn fn, void *ctx); /* optional */
	void (*close)(struct sink *s); /* frees s; without flush what is queued goes to the spool */
};

/* First member of every sink. */
struct sink {
	const struct sink_ops *ops;
};

/* table.c: all sinks, NULL-terminated; adding one is a line there. */
extern const struct sink_ops *const sink_table[];
const struct sink_ops *sink_find(const char *name);

#endif

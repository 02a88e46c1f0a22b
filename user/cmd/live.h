/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A live session, shared by run, trace and record: the probe in this process, and in an unprivileged child the engine's loop from rings to sinks, web server and recorder.
 */
#ifndef PLUMB_CMD_LIVE_H
#define PLUMB_CMD_LIVE_H

#include "pipeline.h"
#include "probe/probe.h"
#include "source/source.h"
#include "web/secrets.h"

enum { LIVE_SINKS_MAX = 8 };

struct live_sink {
	const struct sink_ops *ops;
	struct sink_config config; /* values etc. stay the caller's */
};

struct live_options {
	struct probe_options probe;       /* engine, engine_prepare and engine_ctx are live_run()'s */
	struct pipeline_options pipeline; /* sinks, policy and policy_ctx are live_run()'s */
	struct live_sink sinks[LIVE_SINKS_MAX];
	uint32_t nsinks;
	const char *metrics_address;      /* "127.0.0.1:9464", NULL = no web server */
	struct web_secret_paths metrics_secrets; /* files that guard it */
	const char *record_path;          /* every record is written there too, NULL = none */
	struct recorder_options record;
	void (*explain)(void *ctx);       /* said with the announcement, once it is known to work; NULL = nothing */
	void *explain_ctx;
	bool ends_with_reader;            /* when nobody reads standard output any more, the session is over */
	bool announce;                    /* say on standard error what was started and where to look */
};

/* Blocks until the end; returns the command's exit status. Errors are logged. */
int live_run(const struct live_options *o);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Settings to what the engine and the probe want. */
#ifndef PLUMB_CMD_SESSION_H
#define PLUMB_CMD_SESSION_H

#include "cmd/live.h"
#include "cmd/options.h"

struct session {
	struct live_options live;
	bool shown[PLUMB_PROTO_COUNT];   /* filter.protocols */
	bool parsed[PLUMB_PROTO_COUNT];  /* capture.protocols */
	char java_agent[512];            /* capture.java; "": off */
};

/* Freed with free(). NULL without memory, which was said. */
struct session *session_new(void);
/* The engine's part, for files too. `every_trace`: without a sampler in file, environment or options all is kept, whatever requests say. */
void session_pipeline(struct session *s, const struct settings *settings, bool every_trace);
/* Targets, capture, limits; `adhoc`: a command for a while, which keeps to an overhead budget only if it was given one. 0, or the exit status 2 after a message. */
int session_probe(struct session *s, const struct options *o, bool adhoc);
/* Adds a sink with its settings; spool "" = none. */
void session_sink(struct session *s, const struct settings *settings, const char *name, const char *spool);
/* Is a collector configured? At `least` this origin. */
bool session_otlp(const struct settings *settings, enum setting_origin least);
/* The recording beside the spans that --record asks for. 0, or the exit status 2 after a message: --redact without it masks nothing. */
int session_recording(struct session *s, const struct settings *settings);
/* Where metrics are served, and what guards them; "off" is nowhere. */
void session_metrics(struct session *s, const struct settings *settings);
/* live_run(), unless a sink or the metrics' address is set to what it cannot be: the exit status 2 after a message, and nothing was started. */
int session_run(struct session *s);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/live.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "cmd/delivery.h"
#include "cmd/losses.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "proto/masker.h"
#include "source/live.h"
#include "web/server.h"

enum { READ_BATCH = 8192, WAIT_MS = 1000, DRAIN_MS = 10, DRAIN_BATCHES = 128, FLUSH_MS = 3000, WEB_BUSY_MS = 250 };

/* The engine's side of a session. Made in its own process. */
struct engine {
	const struct live_options *o;
	struct pipeline *pipeline;
	struct source *source;
	struct sink *sinks[LIVE_SINKS_MAX + 1];
	struct delivery deliveries[LIVE_SINKS_MAX];
	struct recorder *recorder;
	struct masker *masker;
	struct web *web;
	int64_t web_at_ms;         /* when it is tried again, while another plumb has its address; 0 = not */
	struct web_secrets secrets;
	int statm_fd;
	struct losses losses;
	uint32_t restarts;
	int status;                /* with which the run ends when the recording ends it */
};

/* Set by the signal handler, looked at between batches. */
static volatile sig_atomic_t engine_told_to_stop;

static void on_signal(int number)
{
	(void)number;
	engine_told_to_stop = 1;
}

static int engine_open_recorder(struct engine *e, uint32_t restarts)
{
	struct recorder_options o = e->o->record;
	char error[256], numbered[4096];
	const char *path = e->o->record_path;

	if (!path)
		return 0;
	/* What the engine before this one wrote shows why it ended: it is kept. */
	if (restarts && strcmp(path, "-") != 0) {
		snprintf(numbered, sizeof(numbered), "%s.%u", path, restarts);
		path = numbered;
		log_warn("the recording goes on in %s", path);
	}
	if (o.redact) {
		uint64_t key;
		int err = getrandom(&key, sizeof(key), 0) == sizeof(key) ? masker_new(0, key, &e->masker) : -errno;
		if (err) {
			log_error("cannot mask the recording: %s", strerror(-err));
			return 1;
		}
		o.mask = masker_record;
		o.mask_ctx = e->masker;
	}
	if (recorder_open(path, &o, &e->recorder, error, sizeof(error))) {
		log_error("%s", error);
		return 1;
	}
	return 0;
}

/* While the process can still open files: outputs, certificates. No thread starts here: it would keep the old root and escape the filter. */
static int engine_prepare(const struct link *link, void *ctx)
{
	struct engine *e = ctx;
	char error[256] = "";

	e->statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	if (e->o->metrics_address && web_secrets_read(&e->o->metrics_secrets, &e->secrets, error, sizeof(error))) {
		log_error("%s", error);
		return 1;
	}
	for (uint32_t i = 0; i < e->o->nsinks; i++) {
		const struct live_sink *s = &e->o->sinks[i];
		struct sink_config config = s->config;
		config.spans = &link->progress->spans;
		if (s->ops->open(&config, &e->sinks[i], error, sizeof(error))) {
			log_error("sink %s: %s", s->ops->name, error);
			return 1;
		}
	}
	return engine_open_recorder(e, link->restarts);
}

static void engine_policy(void *ctx, uint64_t sock, const struct capture *capture)
{
	struct engine *e = ctx;

	if (e->source)
		live_policy(e->source, sock, capture);
}

/* The recording is full, or cannot be written. Spans matter more, where there are any: they go on without it. */
static int engine_end_recording(struct engine *e, int err)
{
	struct recorder *r = e->recorder;
	bool full = err == -EFBIG && e->o->record.max_bytes; /* else it is the system that allows no larger file */

	e->recorder = NULL;
	recorder_close(r);
	if (full)
		log_info("the recording has reached its size%s", e->o->nsinks ? "; tracing goes on" : "");
	else
		log_error("recording: %s%s", strerror(-err), e->o->nsinks ? "; tracing goes on without it" : "");
	if (e->o->nsinks)
		return 0;
	e->status = full ? 0 : 1;
	return -ECANCELED;
}

static int engine_record(void *ctx, const struct record *rec, struct slice payload)
{
	struct engine *e = ctx;

	if (e->recorder) {
		int err = recorder_write(e->recorder, rec, payload);
		if (err) {
			err = engine_end_recording(e, err);
			if (err)
				return err;
		}
	}
	return pipeline_record(e->pipeline, rec, payload);
}

static uint64_t engine_rss(const struct engine *e)
{
	char text[64];
	ssize_t n = e->statm_fd >= 0 ? pread(e->statm_fd, text, sizeof(text) - 1, 0) : -1;

	if (n <= 0)
		return 0;
	text[n] = 0;
	char *space = strchr(text, ' ');
	return space ? strtoull(space, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static int engine_render(void *ctx, bool openmetrics, struct buffer *out)
{
	struct engine *e = ctx;
	struct metrics_self self = { .engine_restarts = e->restarts, .web_evicted = web_evicted(e->web) };

	e->source->ops->counts(e->source, &self.source);
	self.engine_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	self.engine_rss_bytes = engine_rss(e);
	return pipeline_metrics(e->pipeline, &self, openmetrics, out);
}

/* A pipe or socket whose other end is closed; a file or terminal never is. */
static bool engine_reader_gone(const struct engine *e)
{
	struct pollfd p = { .fd = STDOUT_FILENO };

	return e->o->ends_with_reader && poll(&p, 1, 0) == 1 && (p.revents & (POLLERR | POLLNVAL));
}

/*
 * What is in the rings already belongs to this run. The source gives out records once they have a certain age, so "none" means something only when the
 * youngest of them have reached it.
 */
static void engine_drain(struct engine *e)
{
	int64_t start_ms = clock_ms(CLOCK_MONOTONIC);

	for (int i = 0; i < DRAIN_BATCHES && !pipeline_done(e->pipeline); i++) {
		int64_t waited_ms = clock_ms(CLOCK_MONOTONIC) - start_ms;
		int n = e->source->ops->read(e->source, READ_BATCH, 1, engine_record, e);
		if ((n < 0 && n != -EINTR) || (n == 0 && waited_ms >= DRAIN_MS))
			break;
		if (n == 0)
			poll(NULL, 0, 1);
	}
}

static void engine_say_web(const struct engine *e)
{
	log_info("metrics: http%s://%s/metrics", e->secrets.certificate ? "s" : "", web_address(e->web));
}

static int engine_start_web(struct engine *e, char *ret_error, size_t error_len)
{
	struct web_options w = { .listen = e->o->metrics_address, .secrets = &e->secrets };

	return web_start(&w, &e->web, ret_error, error_len);
}

/* Another plumb served metrics where this one shall. Has it ended? */
static void engine_retry_web(struct engine *e)
{
	char error[256];

	if (!e->web_at_ms || clock_ms(CLOCK_MONOTONIC) < e->web_at_ms)
		return;
	int err = engine_start_web(e, error, sizeof(error));
	e->web_at_ms = err == -EBUSY ? clock_ms(CLOCK_MONOTONIC) + WEB_BUSY_MS : 0;
	if (!err)
		err = live_wake(e->source, web_event_fd(e->web));
	if (err && !e->web_at_ms)
		log_error("%s", e->web ? strerror(-err) : error);
	else if (!err)
		engine_say_web(e);
}

static int engine_loop(struct engine *e)
{
	/* The control socket is level: ready tells the probe that a restart succeeded. */
	struct plumb_ctl ready = { .type = PLUMB_CTL_READY };

	live_control(e->source, &ready);
	while (!engine_told_to_stop && !pipeline_done(e->pipeline) && !engine_reader_gone(e)) {
		int n = e->source->ops->read(e->source, READ_BATCH, WAIT_MS, engine_record, e);
		if (n == -ENODATA || n == -EPIPE)
			return 0;
		if (n == -ECANCELED)
			return e->status;
		if (n < 0 && n != -EINTR) {
			log_error("reading records: %s", strerror(-n));
			return 1;
		}
		if (e->web)
			web_serve_pending(e->web, engine_render, e);
		else
			engine_retry_web(e);
		if (e->o->announce)
			losses_tell(&e->losses, pipeline_losses(e->pipeline), clock_ms(CLOCK_MONOTONIC), false);
		for (uint32_t i = 0; i < e->o->nsinks; i++)
			delivery_watch(&e->deliveries[i], e->sinks[i], (uint64_t)clock_ms(CLOCK_MONOTONIC));
	}
	engine_drain(e);
	return 0;
}

/* Who asks for what is never seen so is told at once. */
static void engine_hint_protocols(const struct engine *e)
{
	const bool *asked = e->o->pipeline.filter.protocols;

	for (uint16_t i = 1; asked && !e->o->probe.load.libraries && i < PLUMB_PROTO_COUNT; i++)
		if (asked[i] && !proto_get(i)) {
			log_warn("calls of libraries do not leave the program: with --protocol they are shown only if --libraries auto is given, too (docs/libraries.md)");
			return;
		}
}

/* Who sees handshakes only may not know that there is more to see. */
static void engine_hint_libraries(const struct engine *e)
{
	struct metrics_self counts = { 0 };

	pipeline_counts(e->pipeline, &counts);
	if (!e->o->probe.load.libraries && counts.proto.exchanges[PLUMB_PROTO_TLS])
		log_info("of what passes under TLS the handshakes are seen only; with --libraries auto it is read in the programs, which then pay for it (docs/tls.md)");
}

static int engine_finish(struct engine *e, int status)
{
	int64_t deadline_ms;

	web_stop(e->web);
	web_secrets_clear(&e->secrets);
	pipeline_finish(e->pipeline);
	deadline_ms = clock_ms(CLOCK_MONOTONIC) + FLUSH_MS;
	for (uint32_t i = 0; i < e->o->nsinks; i++) {
		struct sink *s = e->sinks[i];
		int64_t left = deadline_ms - clock_ms(CLOCK_MONOTONIC);
		uint64_t undelivered = s->ops->flush ? s->ops->flush(s, left > 0 ? (int)left : 0) : 0;
		delivery_report(&e->deliveries[i], s, undelivered);
	}
	if (e->o->announce) {
		engine_hint_libraries(e);
		losses_tell(&e->losses, pipeline_losses(e->pipeline), clock_ms(CLOCK_MONOTONIC), true);
	}
	pipeline_free(e->pipeline);
	for (uint32_t i = 0; i < e->o->nsinks; i++)
		e->sinks[i]->ops->close(e->sinks[i]);
	if (e->recorder) {
		int err = recorder_close(e->recorder);
		if (err) {
			log_error("recording: %s", strerror(-err));
			status = 1;
		}
	}
	masker_free(e->masker);
	e->source->ops->close(e->source);
	return status;
}

static void engine_announce(const struct engine *e, const struct sandbox_report *s)
{
	if (!e->o->announce || e->restarts)
		return;
	if (e->o->explain)
		e->o->explain(e->o->explain_ctx);
	log_info("attached; the engine runs as %s with%s%s%s%s", s->user, s->own_root ? " a root of its own," : "", s->landlock ? " Landlock," : "",
		 s->seccomp ? " seccomp," : "", s->no_capabilities ? " no capabilities" : " no capabilities but in its bounding set (CAP_SETPCAP is missing)");
	engine_hint_protocols(e);
	if (e->web)
		engine_say_web(e);
}

/* What names, paths and statements the metrics hold is everybody's who can read them. */
static void engine_warn_of_readers(const struct engine *e)
{
	bool tls = e->secrets.certificate != NULL, token = e->secrets.token[0] != '\0';

	if (e->secrets.exposed)
		log_warn("metrics.key or metrics.token_file can be read by every user of this machine: chmod 0600");
	if (web_is_reachable(e->o->metrics_address) && (!tls || !token))
		log_warn("metrics on %s can be read from other machines%s%s: set metrics.token_file, metrics.certificate and metrics.key, or listen on 127.0.0.1",
			 e->o->metrics_address, token ? "" : " by everybody", tls ? "" : token ? " in plain text" : ", in plain text");
}

/* In the process's final state. */
static int engine_start(struct engine *e)
{
	char error[256];

	for (uint32_t i = 0; i < e->o->nsinks; i++) {
		struct sink *s = e->sinks[i];
		error[0] = 0;
		if (s->ops->start && s->ops->start(s, error, sizeof(error))) {
			log_error("sink %s: %s", s->ops->name, error);
			return 1;
		}
		if (error[0])
			log_warn("sink %s: %s", s->ops->name, error);
	}
	if (!e->o->metrics_address)
		return 0;
	if (!e->restarts)
		engine_warn_of_readers(e);
	int err = engine_start_web(e, error, sizeof(error));
	if (err == -EBUSY && e->o->probe.restart) {
		/* An agent may be the other one's successor. */
		log_warn("%s; they are served here when it ends", error);
		e->web_at_ms = clock_ms(CLOCK_MONOTONIC) + WEB_BUSY_MS;
		return 0;
	}
	if (err)
		log_error("%s", error);
	return err ? 1 : 0;
}

static int engine_run(const struct link *link, const struct sandbox_report *sandbox, void *ctx)
{
	struct engine *e = ctx;
	struct pipeline_options o = e->o->pipeline;
	struct sigaction stop = { .sa_handler = on_signal };

	sigaction(SIGTERM, &stop, NULL);
	e->restarts = link->restarts;
	if (engine_start(e))
		return 1;
	o.sinks = e->sinks;
	o.policy = engine_policy;
	o.policy_ctx = e;
	o.progress = link->progress;
	int err = pipeline_new(&o, &e->pipeline);
	if (!err)
		err = live_open(link, e->web ? web_event_fd(e->web) : -1, &e->source);
	if (err) {
		log_error("cannot start the engine: %s", strerror(-err));
		return 1;
	}
	engine_announce(e, sandbox);
	return engine_finish(e, engine_loop(e));
}

int live_run(const struct live_options *o)
{
	struct engine engine = { .o = o, .statm_fd = -1 };
	struct probe_options probe = o->probe;
	static struct caps caps;
	char error[512] = "";

	probe.engine_prepare = engine_prepare;
	probe.engine = engine_run;
	probe.engine_ctx = &engine;
	probe.writes = o->record_path != NULL;
	int status = probe_run(&probe, &caps, error, sizeof(error));
	if (status < 0) {
		log_error("%s", error);
		return 1;
	}
	return status;
}

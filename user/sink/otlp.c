/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OTLP to a collector: this file is the engine's side, which encodes spans into a batch of its own and hands it over when it is
 * full or old enough. What then happens to it is otlp_export.c's. Opened after the last fork: it starts a thread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include <curl/curl.h>

#include "lib/clock.h"
#include "lib/units.h"
#include "sink/otlp_export.h"
#include "sink/sinks.h"

enum {
	OPT_ENDPOINT,
	OPT_TRACES_ENDPOINT,
	OPT_PROTOCOL,
	OPT_HEADERS,
	OPT_COMPRESSION,
	OPT_TIMEOUT,
	OPT_CERTIFICATE,
	OPT_CLIENT_CERTIFICATE,
	OPT_CLIENT_KEY,
	OPT_INSECURE,
	OPT_BATCH_SPANS,
	OPT_INTERVAL,
	OPT_QUEUE_SPANS,
	OPT_SPOOL_MAX,
	OPT_RETRY_INITIAL,
	OPT_RETRY_MAX,
	OPT_COUNT,
};

static const struct sink_option otlp_options[] = {
	[OPT_ENDPOINT] = { "endpoint", SINK_OPT_STR, "", "collector's base URL; empty: http://127.0.0.1:4318, for grpc http://127.0.0.1:4317", false, "" },
	[OPT_TRACES_ENDPOINT] = { "traces_endpoint", SINK_OPT_STR, "", "URL for traces, used as it is; empty: endpoint and /v1/traces", false, "" },
	[OPT_PROTOCOL] = { "protocol", SINK_OPT_STR, "http/protobuf", "how it is spoken to", false, "http/protobuf|grpc|" },
	[OPT_HEADERS] = { "headers", SINK_OPT_STR, "", "sent with each request: name=value,name=value, values percent-encoded", true, "" },
	[OPT_COMPRESSION] = { "compression", SINK_OPT_STR, "gzip", "of requests", false, "gzip|none|" },
	[OPT_TIMEOUT] = { "timeout", SINK_OPT_DURATION_MS, "10s", "longest time for one request", false, "" },
	[OPT_CERTIFICATE] = { "certificate", SINK_OPT_STR, "", "PEM file of trusted authorities; empty: the system's", false, "" },
	[OPT_CLIENT_CERTIFICATE] = { "client_certificate", SINK_OPT_STR, "", "PEM file of the certificate to show the collector", false, "" },
	[OPT_CLIENT_KEY] = { "client_key", SINK_OPT_STR, "", "PEM file of its key", false, "" },
	[OPT_INSECURE] = { "insecure", SINK_OPT_BOOL, "false", "an endpoint without http:// or https:// is spoken to without TLS", false, "" },
	[OPT_BATCH_SPANS] = { "batch_spans", SINK_OPT_INT, "512", "most spans in a request (1 to 16384)", false, "" },
	[OPT_INTERVAL] = { "interval", SINK_OPT_DURATION_MS, "1s", "longest time a span waits for its batch to fill", false, "" },
	[OPT_QUEUE_SPANS] = { "queue_spans", SINK_OPT_INT, "8192", "most spans waiting in memory", false, "" },
	[OPT_SPOOL_MAX] = { "spool_max", SINK_OPT_SIZE_BYTES, "256MiB", "most disk space for spans that wait for the collector", false, "" },
	[OPT_RETRY_INITIAL] = { "retry_initial", SINK_OPT_DURATION_MS, "1s", "first back-off after a failed request, at most", false, "" },
	[OPT_RETRY_MAX] = { "retry_max", SINK_OPT_DURATION_MS, "30s", "longest back-off", false, "" },
	[OPT_COUNT] = { .name = NULL },
};

enum { URL_LEN = 2048, PATH_LEN = 4096 };

struct otlp_sink {
	struct sink sink;
	struct otlp_encoder *encoder;
	struct otlp_export *export;
	struct otlp_batch *batch; /* being filled; NULL = none yet, or none to be had */
	int64_t interval_ms, since_ms; /* since: the batch's first span */
	struct link_spans *spans;
	uint64_t accepted;
	uint64_t dropped_full, dropped_memory; /* on this side */
};

static void otlp_hand_over(struct otlp_sink *s)
{
	if (!s->batch || s->batch->nspans == 0)
		return;
	otlp_export_put(s->export, s->batch);
	s->batch = NULL;
}

static void otlp_if_due(struct otlp_sink *s)
{
	if (!s->batch || s->batch->nspans == 0)
		return;

	int64_t now_ms = clock_ms(CLOCK_MONOTONIC_COARSE);
	if (now_ms - s->since_ms < s->interval_ms)
		return;
	if (otlp_export_idle(s->export))
		otlp_hand_over(s);
	else
		s->since_ms = now_ms; /* asked again an interval later, or full before */
}

static int otlp_encode(struct otlp_sink *s, const struct span *span)
{
	if (!s->batch)
		s->batch = otlp_export_get(s->export);
	return s->batch ? otlp_encode_span(s->encoder, s->batch, span) : -EAGAIN;
}

static enum sink_result otlp_span(struct sink *sink, const struct span *span)
{
	struct otlp_sink *s = (struct otlp_sink *)sink;
	int err = otlp_encode(s, span);

	s->accepted++;
	if (err == -ENOSPC) {
		otlp_hand_over(s);
		err = otlp_encode(s, span);
	}
	if (err == -EAGAIN) {
		s->dropped_full++;
		return SINK_RETRY;
	}
	if (err) {
		s->dropped_memory++;
		return SINK_ERROR;
	}
	if (s->spans)
		__atomic_store_n(&s->spans->taken, s->spans->taken + 1, __ATOMIC_RELAXED);
	if (s->batch->nspans == 1)
		s->since_ms = clock_ms(CLOCK_MONOTONIC_COARSE);
	if (otlp_batch_full(s->batch))
		otlp_hand_over(s);
	else
		otlp_if_due(s);
	return SINK_OK;
}

static void otlp_tick(struct sink *sink, uint64_t time_ns)
{
	(void)time_ns; /* how long a span may wait is the wall's matter: a file replays faster than it was recorded */
	otlp_if_due((struct otlp_sink *)sink);
}

static uint64_t otlp_flush(struct sink *sink, int timeout_ms)
{
	struct otlp_sink *s = (struct otlp_sink *)sink;

	otlp_hand_over(s);
	return otlp_export_flush(s->export, timeout_ms);
}

static void otlp_stats(const struct sink *sink, sink_stat_fn fn, void *ctx)
{
	static const char *const reasons[OTLP_DROP_REASONS] = {
		[OTLP_DROP_QUEUE_FULL] = "queue_full",
		[OTLP_DROP_REJECTED] = "rejected",
		[OTLP_DROP_PERMANENT_ERROR] = "permanent_error",
		[OTLP_DROP_SPOOL_FULL] = "spool_full",
		[OTLP_DROP_SPOOL_CORRUPT] = "spool_corrupt",
		[OTLP_DROP_SHUTDOWN] = "shutdown",
		[OTLP_DROP_NO_MEMORY] = "no_memory",
	};
	const struct otlp_sink *s = (const struct otlp_sink *)sink;
	struct otlp_export_counts c;

	otlp_export_counts(s->export, &c);
	c.dropped[OTLP_DROP_QUEUE_FULL] += s->dropped_full;
	c.dropped[OTLP_DROP_NO_MEMORY] += s->dropped_memory;
	c.queued += s->batch ? s->batch->nspans : 0;

	fn(ctx, "plumb_otlp_spans_accepted_total", "Spans taken for export.", NULL, NULL, (double)s->accepted, true);
	fn(ctx, "plumb_otlp_spans_found_total", "Spans that an earlier run had left in the spool.", NULL, NULL, (double)c.found, true);
	fn(ctx, "plumb_otlp_spans_exported_total", "Spans that the collector took.", NULL, NULL, (double)c.exported, true);
	for (size_t i = 0; i < OTLP_DROP_REASONS; i++)
		fn(ctx, "plumb_otlp_spans_dropped_total", "Spans not exported, by reason.", "reason", reasons[i], (double)c.dropped[i], true);
	fn(ctx, "plumb_otlp_spans_queued", "Spans waiting in memory.", NULL, NULL, (double)c.queued, false);
	fn(ctx, "plumb_otlp_spans_spooled", "Spans waiting on disk.", NULL, NULL, (double)c.spooled, false);
	fn(ctx, "plumb_otlp_spool_bytes", "Disk space that the spool takes.", NULL, NULL, (double)c.spool_bytes, false);
	fn(ctx, "plumb_otlp_spool_write_errors_total", "Batches that could not be written to the spool.", NULL, NULL,
	   (double)c.spool_write_errors, true);
	fn(ctx, "plumb_otlp_requests_total", "Export requests that were answered or failed.", NULL, NULL, (double)c.requests, true);
	fn(ctx, "plumb_otlp_retries_total", "Export requests that have to be repeated.", NULL, NULL, (double)c.retries, true);
	if (c.last_error[0])
		fn(ctx, "plumb_otlp_last_error_info", "What the collector or the way to it last complained about.", "message", c.last_error, 1, false);
}

static void otlp_close(struct sink *sink)
{
	struct otlp_sink *s = (struct otlp_sink *)sink;

	if (s->export) {
		otlp_hand_over(s);
		if (s->batch)
			otlp_export_return(s->export, s->batch);
		otlp_export_free(s->export);
	}
	otlp_encoder_free(s->encoder);
	curl_global_cleanup();
	free(s);
}

static int otlp_fail(char *ret_error, size_t error_len, const char *option, const char *want)
{
	snprintf(ret_error, error_len, "%s: want %s", option, want);
	return -EINVAL;
}

/* The URL to post to: a base gets the signal's path, a traces_endpoint of HTTP is taken as it is. */
static int otlp_url(const char *const *values, bool grpc, char *url, size_t url_len)
{
	bool exact = values[OPT_TRACES_ENDPOINT][0] != '\0';
	const char *base = exact ? values[OPT_TRACES_ENDPOINT] : values[OPT_ENDPOINT];
	const char *path = grpc ? "/opentelemetry.proto.collector.trace.v1.TraceService/Export" : exact ? "" : "/v1/traces";
	const char *scheme = strcmp(values[OPT_INSECURE], "true") == 0 ? "http://" : "https://";

	if (!base[0])
		base = grpc ? "http://127.0.0.1:4317" : "http://127.0.0.1:4318";

	int len = (int)strlen(base);
	while ((grpc || !exact) && len > 0 && base[len - 1] == '/')
		len--;
	/* Whoever gives the whole URL as the base means it. */
	static const char whole[] = "/v1/traces";
	if (!grpc && len >= (int)sizeof(whole) && strncmp(base + len - (sizeof(whole) - 1), whole, sizeof(whole) - 1) == 0)
		path = "";
	int n = snprintf(url, url_len, "%s%.*s%s", strstr(base, "://") ? "" : scheme, len, base, path);
	if (n < 0 || (size_t)n >= url_len)
		return -EINVAL;
	return strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0 ? 0 : -EINVAL;
}

static int otlp_number(const char *const *values, int option, int64_t min, int64_t max, int64_t *ret, char *ret_error, size_t error_len)
{
	const struct sink_option *o = &otlp_options[option];
	struct slice text = slice_str(values[option]);
	uint64_t number = 0;
	int err = o->type == SINK_OPT_DURATION_MS   ? units_duration_ms(text, ret) :
		  o->type == SINK_OPT_SIZE_BYTES    ? units_size_bytes(text, ret) :
		  slice_u64(text, &number)	    ? 0 :
						      -EINVAL;

	if (o->type == SINK_OPT_INT && !err)
		*ret = number > INT64_MAX ? INT64_MAX : (int64_t)number;
	if (err || *ret < min || *ret > max) {
		snprintf(ret_error, error_len, "%s: want %lld to %lld%s", o->name, (long long)min, (long long)max,
			 o->type == SINK_OPT_DURATION_MS ? " ms (units ms, s, m, h)" : o->type == SINK_OPT_SIZE_BYTES ? " bytes (units KiB, MiB, GiB)" : "");
		return -EINVAL;
	}
	return 0;
}

static int otlp_configure(const struct sink_config *c, struct otlp_export_options *o, int64_t *ret_interval_ms, char *url, char *spool,
			  char *ret_error, size_t error_len)
{
	const char *const *v = c->values;
	int64_t batch = 0, queue = 0, spool_max = 0;

	o->transport.grpc = strcmp(v[OPT_PROTOCOL], "grpc") == 0;
	if (!o->transport.grpc && strcmp(v[OPT_PROTOCOL], "http/protobuf") != 0)
		return otlp_fail(ret_error, error_len, "protocol", "http/protobuf or grpc");
	o->gzip = strcmp(v[OPT_COMPRESSION], "gzip") == 0;
	if (!o->gzip && v[OPT_COMPRESSION][0] && strcmp(v[OPT_COMPRESSION], "none") != 0)
		return otlp_fail(ret_error, error_len, "compression", "gzip or none");
	if (otlp_url(v, o->transport.grpc, url, URL_LEN) != 0)
		return otlp_fail(ret_error, error_len, v[OPT_TRACES_ENDPOINT][0] ? "traces_endpoint" : "endpoint", "http://host:port or https://host:port");
	if (otlp_number(v, OPT_BATCH_SPANS, 1, OTLP_BATCH_SPANS_MAX, &batch, ret_error, error_len) ||
	    otlp_number(v, OPT_QUEUE_SPANS, batch, 16 << 20, &queue, ret_error, error_len) ||
	    otlp_number(v, OPT_SPOOL_MAX, 0, INT64_MAX, &spool_max, ret_error, error_len) ||
	    otlp_number(v, OPT_TIMEOUT, 1, 3600000, &o->transport.timeout_ms, ret_error, error_len) ||
	    otlp_number(v, OPT_INTERVAL, 0, 3600000, ret_interval_ms, ret_error, error_len) ||
	    otlp_number(v, OPT_RETRY_INITIAL, 1, 3600000, &o->retry_initial_ms, ret_error, error_len) ||
	    otlp_number(v, OPT_RETRY_MAX, o->retry_initial_ms, 3600000, &o->retry_max_ms, ret_error, error_len))
		return -EINVAL;

	spool[0] = '\0';
	if (c->spool_dir && c->spool_dir[0] && spool_max) {
		int n = snprintf(spool, PATH_LEN, "%s/otlp", c->spool_dir);
		if (n < 0 || n >= PATH_LEN)
			return otlp_fail(ret_error, error_len, "spool directory", "a shorter path");
	}
	o->batch_spans = (uint32_t)batch;
	o->queue_spans = (uint32_t)queue;
	o->spool_max_bytes = (uint64_t)spool_max;
	o->spool_dir = spool;
	o->transport.url = url;
	o->transport.headers = v[OPT_HEADERS];
	o->transport.ca = v[OPT_CERTIFICATE];
	o->transport.client_certificate = v[OPT_CLIENT_CERTIFICATE];
	o->transport.client_key = v[OPT_CLIENT_KEY];
	return 0;
}

static int otlp_check(const struct sink_config *c, char *ret_error, size_t error_len)
{
	struct otlp_export_options o = { .gzip = false };
	char url[URL_LEN], spool[PATH_LEN];
	int64_t interval_ms;

	return otlp_configure(c, &o, &interval_ms, url, spool, ret_error, error_len);
}

static int otlp_open(const struct sink_config *c, struct sink **ret_sink, char *ret_error, size_t error_len)
{
	struct otlp_export_options o = { .gzip = false };
	char url[URL_LEN], spool[PATH_LEN];
	struct otlp_sink *s = calloc(1, sizeof(*s));

	if (!s) {
		snprintf(ret_error, error_len, "out of memory");
		return -ENOMEM;
	}
	s->sink.ops = &sink_otlp;
	s->spans = c->spans;
	o.settled = c->spans ? &c->spans->settled : NULL;
	/* Counted by libcurl and, since 7.84, safe whatever other threads do. */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(s);
		snprintf(ret_error, error_len, "libcurl cannot be set up");
		return -ENOMEM;
	}
	int err = otlp_configure(c, &o, &s->interval_ms, url, spool, ret_error, error_len);
	if (!err && spool[0])
		(void)mkdir(c->spool_dir, 0700); /* if it cannot be made, opening the spool tells */
	if (!err && (err = otlp_encoder_new(&s->encoder)))
		snprintf(ret_error, error_len, "out of memory");
	if (!err)
		err = otlp_export_new(&o, &s->export, ret_error, error_len);
	if (err) {
		otlp_close(&s->sink);
		return err;
	}
	*ret_sink = &s->sink;
	return 0;
}

static int otlp_start(struct sink *s, char *ret_error, size_t error_len)
{
	return otlp_export_start(((struct otlp_sink *)s)->export, ret_error, error_len);
}

const struct sink_ops sink_otlp = {
	.name = "otlp",
	.help = "traces to an OpenTelemetry collector or Jaeger, over HTTP or gRPC",
	.options = otlp_options,
	.check = otlp_check,
	.open = otlp_open,
	.start = otlp_start,
	.span = otlp_span,
	.tick = otlp_tick,
	.flush = otlp_flush,
	.stats = otlp_stats,
	.close = otlp_close,
};

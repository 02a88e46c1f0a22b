/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The otlp sink against a collector in this process: same spans at the other end, exactly once, and books that
 * add up whatever the collector does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <sched.h>

#include "lib/units.h"
#include "sink/otlp_grpc.h"
#include "sink/otlp_transport.h"
#include "sink/sinks.h"
#include "unit/collector.h"
#include "unit/sink_sample.h"

enum { OPTIONS_MAX = 24 };

struct rig {
	char dir[64], url[64];
	struct sink *sink;
	struct process process;
	uint64_t next; /* number of the next span */
	struct link_spans spans;
};

static int rig_make(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	snprintf(r->dir, sizeof(r->dir), "/tmp/plumb-otlp-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	sample_process(&r->process, 1, "shop");
	*state = r;
	return 0;
}

static int rig_remove(void **state)
{
	struct rig *r = *state;
	char path[128];

	snprintf(path, sizeof(path), "%s/otlp", r->dir);
	DIR *d = opendir(path);
	struct dirent *e;
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(path);
	rmdir(r->dir);
	free(r);
	return 0;
}

/* sets: name, value, … NULL. The endpoint is the port's. */
static int rig_try(struct rig *r, uint16_t port, bool spool, char *error, size_t error_len, const char *const *sets)
{
	const char *values[OPTIONS_MAX];

	snprintf(r->url, sizeof(r->url), "http://127.0.0.1:%u", port);
	for (size_t i = 0; sink_otlp.options[i].name; i++) {
		const char *name = sink_otlp.options[i].name;
		values[i] = strcmp(name, "endpoint") == 0 ? r->url : sink_otlp.options[i].value;
		for (size_t k = 0; sets && sets[k]; k += 2)
			if (strcmp(sets[k], name) == 0)
				values[i] = sets[k + 1];
	}
	struct sink_config c = { .values = values, .spool_dir = spool ? r->dir : "", .out_fd = -1, .spans = &r->spans };
	int err = sink_otlp.open(&c, &r->sink, error, error_len);
	if (err)
		return err;
	err = sink_otlp.start(r->sink, error, error_len);
	if (err) {
		sink_otlp.close(r->sink);
		r->sink = NULL;
	}
	return err;
}

#define SETS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void rig_open(struct rig *r, uint16_t port, bool spool, const char *const *sets)
{
	char error[256] = "";

	if (rig_try(r, port, spool, error, sizeof(error), sets) != 0)
		fail_msg("open: %s", error);
}

static void rig_close(struct rig *r)
{
	sink_otlp.close(r->sink);
	r->sink = NULL;
	/* Nothing is in memory any more, and whatever was has had its end. */
	assert_int_equal(r->spans.taken, r->spans.settled);
}

static void rig_send(struct rig *r, unsigned n)
{
	struct span s;

	for (unsigned i = 0; i < n; i++) {
		sample_span(&s, &r->process, r->next++);
		sink_otlp.span(r->sink, &s);
	}
}

static uint64_t rig_flush(struct rig *r) { return sink_otlp.flush(r->sink, COLLECTOR_DEADLINE_MS); }

struct books {
	double accepted, found, exported, dropped, queued, spooled, spool_bytes, write_errors, requests, retries;
	double reason;
	const char *want_reason;
	char last_error[OTLP_MESSAGE_LEN];
};

static void books_take(void *ctx, const char *name, const char *help, const char *label, const char *label_value, double value, bool counter)
{
	struct books *b = ctx;
	const struct {
		const char *name;
		double *to;
	} rows[] = { { "plumb_otlp_spans_accepted_total", &b->accepted }, { "plumb_otlp_spans_found_total", &b->found },
		     { "plumb_otlp_spans_exported_total", &b->exported }, { "plumb_otlp_spans_dropped_total", &b->dropped },
		     { "plumb_otlp_spans_queued", &b->queued },		  { "plumb_otlp_spans_spooled", &b->spooled },
		     { "plumb_otlp_spool_bytes", &b->spool_bytes },	  { "plumb_otlp_spool_write_errors_total", &b->write_errors },
		     { "plumb_otlp_requests_total", &b->requests },	  { "plumb_otlp_retries_total", &b->retries } };

	(void)help;
	(void)counter;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].name, name) == 0)
			*rows[i].to += value;
	if (label && strcmp(label, "reason") == 0 && strcmp(label_value, b->want_reason) == 0)
		b->reason += value;
	if (label && strcmp(label, "message") == 0)
		snprintf(b->last_error, sizeof(b->last_error), "%s", label_value);
}

/* The books, which add up at any moment. reason = the kind of drop to look at. */
static struct books rig_books(const struct rig *r, const char *reason)
{
	struct books b = { .want_reason = reason };

	sink_otlp.stats(r->sink, books_take, &b);
	assert_int_equal(llround(b.accepted + b.found), llround(b.exported + b.dropped + b.queued + b.spooled));
	return b;
}

static struct books rig_wait_drained(const struct rig *r)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	time_t until = now.tv_sec + COLLECTOR_DEADLINE_MS / 1000;

	for (;;) {
		struct books b = rig_books(r, "");
		if (b.spooled == 0 && b.queued == 0)
			return b;
		clock_gettime(CLOCK_MONOTONIC, &now);
		assert_true(now.tv_sec < until);
		sched_yield();
	}
}

static void want_each_once(const struct collector *c, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		if (c->seen[i] != 1)
			fail_msg("span %lu came %u times", (unsigned long)i, c->seen[i]);
}

static void want_bytes(ProtobufCBinaryData got, const char *want)
{
	assert_int_equal(got.len, strlen(want));
	assert_memory_equal(got.data, want, got.len);
}

static void want_sample(const Plumb__Otlp__Span *s, uint64_t number)
{
	assert_int_equal(s->trace_id.len, 16);
	assert_int_equal(s->trace_id.data[15], 0xab);
	assert_int_equal(collector_number(s), number);
	assert_int_equal(s->parent_span_id.len, 8);
	assert_int_equal(s->parent_span_id.data[0], 0xcd);
	want_bytes(s->trace_state, "v=1");
	want_bytes(s->name, "GET /cart/{id}");
	assert_int_equal(s->kind, 3);
	assert_int_equal(s->start_time_unix_nano, 1700000000000000100u + number * 1000000000u);
	assert_int_equal(s->end_time_unix_nano, s->start_time_unix_nano + 2500000);
	assert_int_equal(s->flags, 0x301);
	assert_int_equal(s->status->code, 2);
	want_bytes(s->status->message, "no \"stock\"");
	assert_int_equal(s->n_attributes, 6);
	want_bytes(s->attributes[0]->key, "http.response.status_code");
	assert_int_equal(s->attributes[0]->value->value_case, PLUMB__OTLP__ANY_VALUE__VALUE_INT_VALUE);
	assert_int_equal(s->attributes[0]->value->int_value, 503);
	want_bytes(s->attributes[1]->value->string_value, "503");
	want_bytes(s->attributes[4]->key, "url.path");
	want_bytes(s->attributes[4]->value->string_value, "/cart/\xef\xbf\xbd\x1b");
	assert_int_equal(s->attributes[5]->value->int_value, -3);
	assert_int_equal(s->n_links, 1);
	assert_int_equal(s->links[0]->trace_id.len, 16);
	assert_int_equal(s->links[0]->trace_id.data[15], 0xef);
	assert_int_equal(s->links[0]->span_id.len, 8);
	assert_int_equal(s->links[0]->span_id.data[7], 0x17);
	assert_int_equal(s->dropped_links_count, 3);
}

static void same_spans_at_the_other_end(void **state)
{
	struct rig *r = *state;
	struct collector c = { 0 };
	struct process other;
	struct span s;

	collector_start(&c, 0);
	rig_open(r, c.port, false, SETS("headers", "x-key=a%20b%2Cc, x-two=2"));
	sample_process(&other, 2, "till");
	rig_send(r, 2);
	sample_span(&s, &other, r->next++);
	assert_int_equal(sink_otlp.span(r->sink, &s), SINK_OK);
	rig_send(r, 1);
	s = (struct span){ .kind = SPAN_SERVER, .sampled = true, .name = SLICE_LIT("root") };
	s.span_id[7] = (uint8_t)r->next++;
	s.attrs[0] = (struct attr){ .id = ATTR_DB_NAMESPACE, .type = ATTR_TYPE_STR, .str = SLICE_LIT("") };
	s.attrs[1] = (struct attr){ .id = ATTR_PLUMB_JOIN, .type = ATTR_TYPE_BOOL, .num = 1 };
	s.attrs[2] = (struct attr){ .id = ATTR_PLUMB_INCOMPLETE, .type = ATTR_TYPE_DOUBLE, .dbl = 0.5 };
	s.nattrs = 3;
	assert_int_equal(sink_otlp.span(r->sink, &s), SINK_OK);
	assert_int_equal(rig_flush(r), 0);

	assert_int_equal(c.requests, 1);
	assert_true(c.last_gzipped);
	assert_memory_equal(c.head, "POST /v1/traces HTTP/1.1\r\n", 26);
	assert_non_null(strstr(c.head, "\r\nContent-Type: application/x-protobuf\r\n"));
	assert_non_null(strstr(c.head, "\r\nx-key: a b,c\r\n"));
	assert_non_null(strstr(c.head, "\r\nx-two: 2\r\n"));
	assert_null(strstr(c.head, "Expect:"));

	Plumb__Otlp__ExportTraceServiceRequest *q = plumb__otlp__export_trace_service_request__unpack(NULL, c.last.len, c.last.data);
	assert_non_null(q);
	/* Our framing by hand is what protobuf-c would have written. */
	uint8_t *again = malloc(c.last.len);
	assert_int_equal(plumb__otlp__export_trace_service_request__get_packed_size(q), c.last.len);
	plumb__otlp__export_trace_service_request__pack(q, again);
	assert_memory_equal(again, c.last.data, c.last.len);
	free(again);
	assert_int_equal(q->n_resource_spans, 3);
	const Plumb__Otlp__Resource *resource = q->resource_spans[0]->resource;
	assert_int_equal(resource->n_attributes, 3);
	want_bytes(resource->attributes[0]->key, "service.name");
	want_bytes(resource->attributes[0]->value->string_value, "shop");
	want_bytes(resource->attributes[1]->key, "process.pid");
	assert_int_equal(resource->attributes[1]->value->int_value, 4211);
	assert_int_equal(q->resource_spans[0]->n_scope_spans, 1);
	const Plumb__Otlp__ScopeSpans *ss = q->resource_spans[0]->scope_spans[0];
	want_bytes(ss->scope->name, "plumb");
	want_bytes(ss->scope->version, PLUMB_VERSION);
	assert_int_equal(ss->n_spans, 3);
	want_sample(ss->spans[0], 0);
	want_sample(ss->spans[1], 1);
	want_sample(ss->spans[2], 3);
	want_bytes(q->resource_spans[1]->resource->attributes[0]->value->string_value, "till");
	want_sample(q->resource_spans[1]->scope_spans[0]->spans[0], 2);
	want_bytes(q->resource_spans[2]->resource->attributes[0]->value->string_value, "unknown_service");
	const Plumb__Otlp__Span *root = q->resource_spans[2]->scope_spans[0]->spans[0];
	assert_int_equal(root->parent_span_id.len, 0);
	assert_int_equal(root->flags, 1);
	assert_int_equal(root->status->code, 0);
	assert_int_equal(root->attributes[0]->value->value_case, PLUMB__OTLP__ANY_VALUE__VALUE_STRING_VALUE);
	assert_int_equal(root->attributes[0]->value->string_value.len, 0);
	assert_true(root->attributes[1]->value->bool_value);
	assert_true(root->attributes[2]->value->double_value == 0.5);
	plumb__otlp__export_trace_service_request__free_unpacked(q, NULL);

	struct books b = rig_books(r, "");
	assert_int_equal(b.exported, 5);
	rig_close(r);
	collector_stop(&c);
}

static void full_batches_and_plain_bodies(void **state)
{
	struct rig *r = *state;
	struct collector c = { 0 };

	collector_start(&c, 0);
	rig_open(r, c.port, false, SETS("compression", "none", "batch_spans", "100", "interval", "1h"));
	for (int i = 0; i < 11; i++) { /* each fits into the queue, whatever the threads do */
		rig_send(r, 100);
	}
	rig_send(r, 3);
	assert_int_equal(rig_flush(r), 0);
	assert_int_equal(c.requests, 12);
	assert_false(c.last_gzipped);
	want_each_once(&c, 0, 1103);
	rig_close(r);
	collector_stop(&c);
}

/* A back-off of an hour, and a collector that says "now": whoever honours Retry-After is done at once. */
static void retry_after_is_honoured(void **state)
{
	struct rig *r = *state;
	struct collector c = { .replies = { { .status = 503, .headers = "Retry-After: 0\r\n" }, { .status = 429, .headers = "Retry-After: Thu, 01 Jan 1970 00:00:10 GMT\r\n" } } };

	collector_start(&c, 0);
	rig_open(r, c.port, false, SETS("retry_initial", "1h", "retry_max", "1h"));
	rig_send(r, 7);
	assert_int_equal(rig_flush(r), 0);
	struct books b = rig_books(r, "");
	assert_int_equal(b.exported, 7);
	assert_int_equal(b.retries, 2);
	assert_int_equal(b.requests, 3);
	assert_string_equal(b.last_error, "HTTP status 429");
	want_each_once(&c, 0, 7);
	rig_close(r);
	collector_stop(&c);
}

static void retryable_statuses_and_hang_ups(void **state)
{
	struct rig *r = *state;
	struct collector c = { .replies = { { .hang_up = true }, { .status = 408 }, { .status = 502 }, { .status = 504 } } };

	collector_start(&c, 0);
	rig_open(r, c.port, false, SETS("retry_initial", "1ms", "retry_max", "2ms"));
	rig_send(r, 7);
	assert_int_equal(rig_flush(r), 0);
	struct books b = rig_books(r, "");
	assert_int_equal(b.exported, 7);
	assert_int_equal(b.retries, 4);
	want_each_once(&c, 0, 7);
	rig_close(r);
	collector_stop(&c);
}

static void partial_success_is_counted(void **state)
{
	struct rig *r = *state;
	static const uint8_t partial[] = { 0x0a, 0x0b, 0x08, 0x02, 0x12, 0x07, 't', 'o', 'o', ' ', 'o', 'l', 'd' };
	struct collector c = { .replies = { { .body = partial, .body_len = sizeof(partial) } } };

	collector_start(&c, 0);
	rig_open(r, c.port, false, NULL);
	rig_send(r, 5);
	assert_int_equal(rig_flush(r), 0);
	struct books b = rig_books(r, "rejected");
	assert_int_equal(b.exported, 3);
	assert_int_equal(b.reason, 2);
	assert_string_equal(b.last_error, "collector rejected 2 spans: too old");
	rig_close(r);
	collector_stop(&c);
}

static void permanent_errors_are_dropped(void **state)
{
	struct rig *r = *state;
	static const uint8_t status[] = { 0x08, 0x03, 0x12, 0x03, 'b', 'a', 'd' };
	struct collector c = { .replies = { { .status = 400, .body = status, .body_len = sizeof(status) }, { .status = 301, .headers = "Location: /x\r\n" } } };

	collector_start(&c, 0);
	rig_open(r, c.port, true, NULL);
	rig_send(r, 5);
	assert_int_equal(rig_flush(r), 0);
	struct books b = rig_books(r, "permanent_error");
	assert_int_equal(b.reason, 5);
	assert_string_equal(b.last_error, "HTTP status 400: bad");
	rig_send(r, 3);
	assert_int_equal(rig_flush(r), 0);
	rig_send(r, 2);
	assert_int_equal(rig_flush(r), 0);
	b = rig_books(r, "permanent_error");
	assert_int_equal(b.reason, 8);
	assert_int_equal(b.exported, 2);
	assert_int_equal(b.spooled, 0);
	rig_close(r);
	collector_stop(&c);
}

static void full_queue_is_counted(void **state)
{
	struct rig *r = *state;
	struct collector c = { .never_answer = true };

	collector_start(&c, 0);
	rig_open(r, c.port, false, SETS("batch_spans", "2", "queue_spans", "6", "interval", "1h"));
	rig_send(r, 2);
	collector_wait(&c, 1);
	rig_send(r, 21);
	struct books b = rig_books(r, "queue_full");
	assert_int_equal(b.accepted, 23);
	assert_int_equal(b.reason, 16);
	assert_int_equal(b.queued, 7); /* six, and one in the batch that is being filled */
	assert_int_equal(sink_otlp.flush(r->sink, 1), 6); /* for the seventh the queue has no room */
	b = rig_books(r, "queue_full");
	assert_int_equal(b.reason, 17);
	collector_stop(&c);
	rig_close(r);
}

/* While one request hangs, what comes behind it goes to disk, so nothing is lost. */
static void slow_collector_fills_the_spool(void **state)
{
	struct rig *r = *state;
	struct collector c = { .never_answer = true }, again = { 0 };

	collector_start(&c, 0);
	rig_open(r, c.port, true, SETS("batch_spans", "2", "queue_spans", "8", "retry_initial", "1ms", "retry_max", "2ms"));
	rig_send(r, 2);
	collector_wait(&c, 1);
	for (int i = 0; i < 50; i++) {
		rig_send(r, 2);
		while (rig_books(r, "").queued > 6)
			sched_yield();
	}
	struct books b = rig_books(r, "");
	assert_int_equal(b.dropped, 0);
	assert_true(b.spooled >= 90);
	collector_stop(&c);
	collector_start(&again, c.port);
	b = rig_wait_drained(r);
	assert_int_equal(b.exported, 102);
	want_each_once(&again, 0, 102);
	rig_close(r);
	collector_stop(&again);
}

static uint16_t closed_port(void)
{
	struct collector c = { 0 };

	collector_start(&c, 0);
	collector_stop(&c);
	return c.port;
}

static void spool_survives_restart_exactly_once(void **state)
{
	struct rig *r = *state;
	struct collector c = { 0 };
	uint16_t port = closed_port();
	const char *const *sets = SETS("batch_spans", "10", "retry_initial", "1ms", "retry_max", "5ms");

	rig_open(r, port, true, sets);
	rig_send(r, 23);
	assert_int_equal(rig_flush(r), 0);
	struct books b = rig_books(r, "");
	assert_int_equal(b.spooled, 23);
	rig_send(r, 4); /* not flushed: closing puts them on disk */
	rig_close(r);

	rig_open(r, port, true, sets);
	b = rig_books(r, "");
	assert_int_equal(b.found, 27);
	rig_send(r, 7);
	collector_start(&c, port);
	assert_int_equal(rig_flush(r), 0);
	b = rig_wait_drained(r);
	assert_int_equal(b.exported, 34);
	assert_int_equal(b.dropped, 0);
	assert_int_equal(b.spool_bytes, 0);
	assert_int_equal(c.kept, 34);
	want_each_once(&c, 0, 34);
	rig_close(r);

	rig_open(r, port, true, sets);
	b = rig_books(r, "");
	assert_int_equal(b.found, 0);
	rig_close(r);
	collector_stop(&c);
	assert_int_equal(c.kept, 34);
}

static void full_spool_drops_the_oldest(void **state)
{
	struct rig *r = *state;
	struct collector c = { 0 };
	uint16_t port = closed_port();

	rig_open(r, port, true, SETS("batch_spans", "3", "spool_max", "20KiB", "retry_initial", "1ms", "retry_max", "5ms"));
	for (int i = 0; i < 8; i++) {
		rig_send(r, 3);
		assert_int_equal(rig_flush(r), 0);
	}
	struct books b = rig_books(r, "spool_full");
	assert_int_equal(b.spooled, 15);
	assert_int_equal(b.reason, 9);
	assert_int_equal(b.spool_bytes, 5 * 4096);
	collector_start(&c, port);
	b = rig_wait_drained(r);
	assert_int_equal(b.exported, 15);
	want_each_once(&c, 9, 24);
	assert_int_equal(c.kept, 15);
	rig_close(r);
	collector_stop(&c);
}

static void unwritable_spool_keeps_spans_in_memory(void **state)
{
	struct rig *r = *state;
	struct collector c = { 0 };
	uint16_t port = closed_port();
	char path[128];

	rig_open(r, port, true, SETS("retry_initial", "1ms", "retry_max", "5ms"));
	snprintf(path, sizeof(path), "%s/otlp/lock", r->dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/otlp", r->dir);
	assert_int_equal(rmdir(path), 0);
	rig_send(r, 5);
	sink_otlp.flush(r->sink, 0);
	while (rig_books(r, "").write_errors == 0)
		sched_yield();
	struct books b = rig_books(r, "");
	assert_int_equal(b.queued, 5);
	collector_start(&c, port);
	assert_int_equal(rig_flush(r), 0);
	assert_int_equal(rig_books(r, "").exported, 5);
	want_each_once(&c, 0, 5);
	rig_close(r);
	collector_stop(&c);
}

static void grpc_calls(void **state)
{
	struct rig *r = *state;
	static const uint8_t partial[] = { 0x0a, 0x02, 0x08, 0x01 };
	struct collector c = { .h2 = true,
			       .replies = { { .grpc_status = GRPC_UNAVAILABLE, .trailers_only = true, .grpc_message = "later%21" },
					    { .grpc_status = GRPC_ABORTED },
					    { .hang_up = true },
					    { .body = partial, .body_len = sizeof(partial) },
					    { .grpc_status = GRPC_RESOURCE_EXHAUSTED, .trailers_only = true },
					    { .grpc_status = 3, .grpc_message = "no" } } };

	collector_start(&c, 0);
	rig_open(r, c.port, false, SETS("protocol", "grpc", "retry_initial", "1ms", "retry_max", "2ms"));
	rig_send(r, 11);
	assert_int_equal(rig_flush(r), 0);
	struct books b = rig_books(r, "rejected");
	assert_int_equal(b.exported, 10);
	assert_int_equal(b.reason, 1);
	assert_int_equal(b.retries, 3);
	want_each_once(&c, 0, 11);
	assert_true(c.last_gzipped);
	for (int i = 0; i < 2; i++) {
		rig_send(r, 3);
		assert_int_equal(rig_flush(r), 0);
	}
	b = rig_books(r, "permanent_error");
	assert_int_equal(b.reason, 6);
	assert_string_equal(b.last_error, "gRPC status 3: no");
	rig_send(r, 1200); /* more than one flow-control window's worth goes through */
	assert_int_equal(rig_flush(r), 0);
	want_each_once(&c, 17, 1217);
	rig_close(r);
	collector_stop(&c);
}

/* google.rpc.Status { code 8, details { RetryInfo { 0 s, 1 ms } } } made by hand. */
static void grpc_retry_info(void **state)
{
	struct rig *r = *state;
	static const char details[] = "CAgaMAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIECgIQAQ";
	struct collector c = { .h2 = true,
			       .replies = { { .grpc_status = GRPC_RESOURCE_EXHAUSTED, .trailers_only = true, .grpc_details = details } } };
	int64_t ms = -1;

	assert_true(grpc_retry_delay_header(slice_str(details), &ms));
	assert_int_equal(ms, 0);
	assert_false(grpc_retry_delay_header(SLICE_LIT("CAg!"), &ms));
	assert_false(grpc_retry_delay_header(SLICE_LIT("CAga"), &ms));
	collector_start(&c, 0);
	rig_open(r, c.port, false, SETS("protocol", "grpc", "retry_initial", "1h", "retry_max", "1h"));
	rig_send(r, 3);
	assert_int_equal(rig_flush(r), 0);
	assert_int_equal(rig_books(r, "").exported, 3);
	rig_close(r);
	collector_stop(&c);
}

static void small_functions(void **state)
{
	char text[16];
	struct slice m;
	int64_t v;

	(void)state;
	assert_int_equal(otlp_retry_after_ms(SLICE_LIT("7"), 0), 7000);
	assert_int_equal(otlp_retry_after_ms(SLICE_LIT("999999"), 0), 3600000);
	assert_int_equal(otlp_retry_after_ms(SLICE_LIT("Wed, 21 Oct 2015 07:28:00 GMT"), 1445412470), 10000);
	assert_int_equal(otlp_retry_after_ms(SLICE_LIT("Wed, 21 Oct 2015 07:28:00 GMT"), 1445412481), 0);
	assert_int_equal(otlp_retry_after_ms(SLICE_LIT("soon"), 0), -1);
	assert_int_equal(otlp_retry_after_ms(SLICE_LIT("-1"), 0), -1);
	assert_int_equal(otlp_retry_after_ms(SLICE_NONE, 0), -1);

	grpc_decode_message(SLICE_LIT("a%20b%zz%0a%4"), text, sizeof(text));
	assert_string_equal(text, "a b%zz?%4");
	grpc_decode_message(SLICE_LIT("0123456789abcdefgh"), text, sizeof(text));
	assert_string_equal(text, "0123456789abcde");
	assert_false(grpc_message(slice_make("\0\0\0\0\5abcd", 9), &m));
	assert_false(grpc_message(slice_make("\1\0\0\0\0", 5), &m));
	assert_true(grpc_message(slice_make("\0\0\0\0\2abcd", 9), &m));
	assert_int_equal(m.len, 2);
	assert_false(grpc_retryable(GRPC_RESOURCE_EXHAUSTED, false));
	assert_true(grpc_retryable(GRPC_RESOURCE_EXHAUSTED, true));
	assert_false(grpc_retryable(GRPC_INTERNAL, true));

	assert_int_equal(units_duration_ms(SLICE_LIT("1500"), &v), 0);
	assert_int_equal(v, 1500);
	assert_int_equal(units_duration_ms(SLICE_LIT("2m"), &v), 0);
	assert_int_equal(v, 120000);
	assert_int_equal(units_duration_ms(SLICE_LIT("2d"), &v), -EINVAL);
	assert_int_equal(units_duration_ms(SLICE_LIT("s"), &v), -EINVAL);
	assert_int_equal(units_duration_ms(SLICE_LIT("9223372036854775807h"), &v), -ERANGE);
	assert_int_equal(units_size_bytes(SLICE_LIT("3MiB"), &v), 0);
	assert_int_equal(v, 3 << 20);
}

/* A successor starts while its predecessor has the spool: it works without, says so, and takes over what the other one leaves. */
static void spool_is_taken_over(void **state)
{
	struct rig *first = *state, second = *first;
	uint16_t port = closed_port();
	const char *const *sets = SETS("batch_spans", "10", "retry_initial", "1ms", "retry_max", "5ms");
	char error[256] = "";

	rig_open(first, port, true, sets);
	rig_send(first, 7);
	assert_int_equal(rig_try(&second, port, true, error, sizeof(error), sets), 0);
	assert_non_null(strstr(error, "belongs to another plumb"));
	rig_send(&second, 5);
	sink_otlp.flush(second.sink, 1);
	struct books b = rig_books(&second, "");
	assert_int_equal(b.queued, 5);
	rig_close(first);
	assert_int_equal(rig_flush(&second), 0); /* waits for the spool */
	b = rig_books(&second, "");
	assert_int_equal(b.found, 7);
	assert_int_equal(b.spooled, 12);
	rig_close(&second);
	/* One that ends while it waits leaves nothing behind, and takes nothing away. */
	rig_open(first, port, true, sets);
	assert_int_equal(rig_try(&second, port, true, error, sizeof(error), sets), 0);
	rig_close(&second);
	b = rig_books(first, "");
	assert_int_equal(b.found, 12);
	rig_close(first);
}

static void wrong_options_are_named(void **state)
{
	struct rig *r = *state;
	static const struct {
		const char *const sets[4];
		const char *error;
	} rows[] = {
		{ { "protocol", "http/json" }, "protocol: want http/protobuf or grpc" },
		{ { "compression", "zip" }, "compression: want gzip or none" },
		{ { "endpoint", "ftp://x" }, "endpoint: want http://host:port or https://host:port" },
		{ { "batch_spans", "0" }, "batch_spans: want 1 to 16384" },
		{ { "timeout", "x" }, "timeout: want 1 to 3600000 ms (units ms, s, m, h)" },
		{ { "headers", "novalue" }, "headers: want name=value,name=value" },
		{ { "headers", "a=b%0d%0aEvil: 1" }, "headers: want name=value,name=value" },
	};
	char error[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		error[0] = '\0';
		assert_int_equal(rig_try(r, 9, false, error, sizeof(error), rows[i].sets), -EINVAL);
		assert_string_equal(error, rows[i].error);
	}
	assert_int_equal(rig_try(r, 9, false, error, sizeof(error), SETS("client_key", "/nonexistent")), -ENOENT);
	assert_string_equal(error, "client_key /nonexistent: No such file or directory");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rig_make, rig_remove)
	const struct CMUnitTest tests[] = {
		T(same_spans_at_the_other_end), T(full_batches_and_plain_bodies), T(retry_after_is_honoured),
		T(retryable_statuses_and_hang_ups), T(partial_success_is_counted), T(permanent_errors_are_dropped),
		T(full_queue_is_counted), T(slow_collector_fills_the_spool), T(spool_survives_restart_exactly_once),
		T(full_spool_drops_the_oldest), T(unwritable_spool_keeps_spans_in_memory), T(grpc_calls), T(grpc_retry_info),
		T(small_functions), T(wrong_options_are_named), T(spool_is_taken_over),
	};
	return cmocka_run_group_tests_name("otlp sink", tests, NULL, NULL);
}

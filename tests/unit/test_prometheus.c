/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two text formats, word for word, and docs/metrics.md against the table it is made of: PLUMB_UPDATE=1 writes the table anew.
 * With PLUMB_DUMP=file the text of a busy engine is written for `promtool check metrics`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "metrics/family.h"
#include "metrics/metrics.h"
#include "metrics/prometheus.h"

#define SECOND 1000000000ull
#define DOC "docs/metrics.md"
#define DOC_BEGIN "<!-- families: made by tests/unit/test_prometheus.c with PLUMB_UPDATE=1 -->\n"

static struct process shop = { .pid = 101, .generation = 1, .start_ns = 5, .service = { (const uint8_t *)"shop", 4 }, .cpu_user_ns = 1500000000, .traps = 503, .trap_ns = 250000000,
	.rss_bytes = 4099, .vms_bytes = 8191, .read_bytes = 3, .write_bytes = 7, .threads = 2, .fds = 11, .nattrs = 3,
	.attrs = { { { (const uint8_t *)"host.name", 9 }, { (const uint8_t *)"n\"1", 3 } },
		{ { (const uint8_t *)"process.command_args", 20 }, { (const uint8_t *)"--password=x", 12 } },
		{ { (const uint8_t *)"container.id", 12 }, { (const uint8_t *)"abc", 3 } } } };

static void add_span(struct metrics *m, uint8_t family, uint8_t kind, uint64_t duration_ns)
{
	struct span s = { .kind = kind, .server_end = kind == SPAN_SERVER, .family = family, .process = &shop, .start_ns = SECOND, .end_ns = SECOND + duration_ns, .sampled = true,
		.realtime_offset_ns = 1700000000 * SECOND, .trace_id = { 0xab, [15] = 1 }, .span_id = { 0xcd, [7] = 2 } };

	s.attrs[s.nattrs++] = (struct attr){ .id = ATTR_HTTP_REQUEST_METHOD, .type = ATTR_TYPE_STR, .str = SLICE_LIT("GET") };
	s.attrs[s.nattrs++] = (struct attr){ .id = ATTR_HTTP_ROUTE, .type = ATTR_TYPE_STR, .str = SLICE_LIT("/a\\b\"c\nd\xff\xc3\xa9") };
	s.attrs[s.nattrs++] = (struct attr){ .id = ATTR_HTTP_RESPONSE_STATUS_CODE, .type = ATTR_TYPE_INT, .num = 200 };
	s.attrs[s.nattrs++] = (struct attr){ .id = ATTR_DB_SYSTEM_NAME, .type = ATTR_TYPE_STR, .str = SLICE_LIT("redis") };
	metrics_span(m, &s);
}

#define REASON "Failed to connect to collector.observability.svc.cluster.example port 4318 after 3 ms: Couldn't connect to server; is it up?"

static void sink_stats(const struct sink *s, sink_stat_fn fn, void *ctx)
{
	(void)s;
	fn(ctx, "plumb_sink_spans_total", "Spans by fate.", "fate", "sent", 17, true);
	fn(ctx, "plumb_sink_last_error_info", "Why.", "message", REASON, 1, false);
	fn(ctx, "plumb_sink_queue_bytes", "Bytes queued.", NULL, NULL, 2.5, false);
	fn(ctx, "plumb_sink_spans_total", "Spans by fate.", "fate", "dropped", 3, true);
}

/* An engine that has something to say in every family. */
static struct metrics *busy(void)
{
	static const struct metrics_options o = { .series_per_service = 3 };
	struct metrics *m;
	struct record open = { .u.sock = { .h = { .type = PLUMB_REC_SOCK_OPEN, .time_ns = SECOND }, .sock = 1, .pid = 101, .family = AF_INET6,
		.type = SOCK_STREAM, .role = PLUMB_ROLE_CLIENT, .remote_port = 80, .remote_addr = { [10] = 0xff, 0xff, 127, 0, 0, 1 } } };
	struct record stats = { .u.sock_stats = { .h = { .type = PLUMB_REC_SOCK_STATS, .time_ns = SECOND }, .sock = 1, .pid = 101,
		.bytes_sent = 5, .srtt_us = 70, .family = AF_INET6, .type = SOCK_STREAM, .role = PLUMB_ROLE_CLIENT } };
	struct record failed = { .u.sock_stats = { .h = { .type = PLUMB_REC_SOCK_CLOSE, .time_ns = SECOND }, .sock = 2, .pid = 101, .error = ETIMEDOUT,
		.flags = PLUMB_SOCK_CONNECT_FAILED, .family = AF_INET6, .type = SOCK_STREAM, .role = PLUMB_ROLE_CLIENT, .remote_addr = { [15] = 1 } } };
	struct plumb_rec_overhead overhead = { .h = { .size = sizeof(overhead) }, .cost_ppm = 12500, .budget_ppm = 30000, .level = 2 };
	struct plumb_rec_libraries libraries = { .h = { .size = sizeof(libraries) }, .traps = 1009, .trap_ns = 1500000000, .files = 2, .processes = 7, .unknown = 3, .flags = PLUMB_LIBRARIES_SHED | PLUMB_LIBRARIES_JVMS, .shed = 2, .jvms_loaded = 5, .jvms_refused = 1 };
	struct plumb_rec_self program = { .name = "on_send", .run_ns = 1234567, .run_count = 31 };

	assert_int_equal(metrics_new(&o, &m), 0);
	for (uint8_t f = PROTO_FAMILY_NONE; f <= PROTO_FAMILY_MESSAGING; f++) {
		add_span(m, f, SPAN_SERVER, 7000000);
		add_span(m, f, SPAN_CLIENT, 12 * SECOND);
	}
	add_span(m, PROTO_FAMILY_MESSAGING, SPAN_CONSUMER, 7000000);
	metrics_process(m, &shop);
	metrics_socket(m, NULL, NULL, &open);
	metrics_socket(m, NULL, NULL, &stats);
	metrics_socket(m, NULL, NULL, &failed);
	metrics_self_record(m, &program);
	metrics_overhead_record(m, &overhead);
	metrics_libraries_record(m, &libraries);
	metrics_gpu_record(m, &shop, &(struct record){ .u.gpu_calls = { .h.type = PLUMB_REC_GPU_CALLS, .pid = 101, .call = PLUMB_GPU_CU_MEM_ALLOC,
		.t = { .count = 3, .buckets = { 2, 1 }, .bytes = 1009, .codes = { { .code = 2, .count = 1 } } } } });
	metrics_gpu_record(m, &shop, &(struct record){ .u.gpu_kernel = { .h.type = PLUMB_REC_GPU_KERNEL, .pid = 101, .name = "sort", .l = { .count = 7, .sum_ns = 1500000000 } } });
	metrics_gpu_record(m, &shop, &(struct record){ .u.gpu_process = { .h.type = PLUMB_REC_GPU_PROCESS, .pid = 101, .p = { .allocated = { 1009 } } } });
	return m;
}

static struct buffer text_of(bool openmetrics)
{
	static const struct sink_ops ops = { .name = "otlp", .stats = sink_stats };
	static const struct sink sink = { &ops };
	static const struct sink *const sinks[] = { &sink, NULL };
	const struct metrics_self self = { .source.records = 23, .loss[PLUMB_LOSS_FAULT] = 7, .engine_cpu_ns = 1500000000, .sinks = sinks,
		.sessions = { .found = { 10, 11, 12, 13 }, .unknown = 17, .refused = 19, .unwatched = 29 } };
	struct metrics *m = busy();
	struct buffer b;

	buffer_init(&b, 1 << 20);
	assert_int_equal(metrics_render(m, &self, openmetrics, 2 * SECOND, &b), 0);
	assert_int_equal(buffer_append_byte(&b, 0), 0);
	metrics_free(m);
	return b;
}

static void has(const struct buffer *b, const char *text)
{
	if (!strstr((const char *)b->data, text))
		fail_msg("not rendered: %s\nin:\n%.3000s", text, (const char *)b->data);
}

static void text_format(void **state)
{
	struct buffer b = text_of(false);
	const char *dump = getenv("PLUMB_DUMP");

	(void)state;
	has(&b, "# HELP http_server_request_duration_seconds Duration of HTTP requests that the service answered.\n"
		"# TYPE http_server_request_duration_seconds histogram\n"
		"http_server_request_duration_seconds_bucket{service_name=\"shop\",http_request_method=\"GET\",http_route=\"/a\\\\b\\\"c\\nd\xef\xbf\xbd\xc3\xa9\","
		"http_response_status_code=\"200\",le=\"0.005\"} 0\n");
	has(&b, "http_response_status_code=\"200\",le=\"0.01\"} 1\n");
	has(&b, "http_response_status_code=\"200\",le=\"1\"} 1\n");
	has(&b, "http_response_status_code=\"200\",le=\"+Inf\"} 1\n");
	has(&b, "http_response_status_code=\"200\"} 0.007\n");
	has(&b, "# TYPE plumb_tcp_sent_bytes_total counter\n"
		"plumb_tcp_sent_bytes_total{service_name=\"shop\",role=\"client\",network_peer_address=\"127.0.0.1\",server_port=\"80\"} 5\n");
	has(&b, "plumb_tcp_connect_failures_total{service_name=\"shop\",network_peer_address=\"::1\",error_type=\"ETIMEDOUT\"} 1\n");
	has(&b, "process_cpu_time_seconds_total{service_name=\"shop\",process_pid=\"101\",cpu_mode=\"user\"} 1.5\n");
	has(&b, "# TYPE target_info gauge\ntarget_info{service_name=\"shop\",process_pid=\"101\",host_name=\"n\\\"1\",container_id=\"abc\"} 1\n");
	has(&b, "plumb_process_library_traps_total{service_name=\"shop\",process_pid=\"101\"} 503\n");
	has(&b, "plumb_process_library_trap_seconds_total{service_name=\"shop\",process_pid=\"101\"} 0.25\n");
	has(&b, "plumb_lost_total{reason=\"fault\"} 7\n");
	has(&b, "plumb_library_traps_total 1009\n");
	has(&b, "plumb_library_trap_seconds_total 1.5\n");
	has(&b, "plumb_library_shed 2\n");
	has(&b, "plumb_library_unseen_total{reason=\"attach\"} 0\nplumb_library_unseen_total{reason=\"mapping\"} 3\n");
	has(&b, "plumb_tls_sessions_total{evidence=\"descriptor\"} 10\nplumb_tls_sessions_total{evidence=\"within\"} 11\nplumb_tls_sessions_total{evidence=\"record\"} 12\nplumb_tls_sessions_total{evidence=\"around\"} 13\nplumb_tls_sessions_total{evidence=\"none\"} 17\n");
	has(&b, "plumb_tls_records_refused_total 19\n");
	has(&b, "plumb_tls_records_unwatched_total 29\n");
	has(&b, "plumb_bpf_run_seconds_total{program=\"on_send\"} 0.001234567\n");
	has(&b, "# TYPE plumb_sink_spans_total counter\nplumb_sink_spans_total{sink=\"otlp\",fate=\"sent\"} 17\nplumb_sink_spans_total{sink=\"otlp\",fate=\"dropped\"} 3\n");
	has(&b, "plumb_sink_last_error_info{sink=\"otlp\",message=\"" REASON "\"} 1\n");
	has(&b, "plumb_sink_queue_bytes{sink=\"otlp\"} 2.5\n");
	assert_null(strstr((char *)b.data, "password"));
	assert_null(strstr((char *)b.data, "trace_id"));
	assert_null(strstr((char *)b.data, "# EOF"));
	if (dump) {
		FILE *f = fopen(dump, "w");
		assert_non_null(f);
		assert_int_equal(fwrite(b.data, 1, b.len - 1, f), b.len - 1);
		assert_int_equal(fclose(f), 0);
	}
	buffer_done(&b);
}

static void openmetrics_format(void **state)
{
	struct buffer b = text_of(true);

	(void)state;
	has(&b, "# TYPE http_server_request_duration_seconds histogram\n# UNIT http_server_request_duration_seconds seconds\n");
	has(&b, "le=\"0.01\"} 1 # {trace_id=\"ab000000000000000000000000000001\",span_id=\"cd00000000000002\"} 0.007 1700000001.007\n");
	has(&b, "le=\"1.0\"} 1\n");
	has(&b, "# TYPE plumb_tcp_sent_bytes counter\n# UNIT plumb_tcp_sent_bytes bytes\nplumb_tcp_sent_bytes_total{");
	has(&b, "# TYPE target info\ntarget_info{");
	has(&b, "# TYPE plumb_build info\nplumb_build_info{version=\"");
	assert_string_equal((char *)b.data + b.len - 1 - strlen("# EOF\n"), "# EOF\n");
	buffer_done(&b);
}

/* Each family has one head, and its samples stand behind it without others between. */
static void families_are_whole(void **state)
{
	(void)state;
	for (int om = 0; om < 2; om++) {
		struct buffer b = text_of(om);
		for (size_t i = 0; i < FAMILY_COUNT; i++) {
			char head[128];
			const struct metric_family *f = &metric_families[i];
			const char *suffix = om ? "" : f->kind == METRIC_COUNTER ? "_total" : f->kind == METRIC_INFO ? "_info" : "";
			snprintf(head, sizeof(head), "\n# TYPE %s%s ", f->name, suffix);
			has(&b, head);
			assert_null(strstr(strstr((char *)b.data, head) + 1, head));
		}
		buffer_done(&b);
	}
}

static void units_end_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < FAMILY_COUNT; i++) {
		size_t name = strlen(metric_families[i].name), unit = strlen(metric_families[i].unit);
		assert_true(unit < name);
		assert_string_equal(metric_families[i].name + name - unit, metric_families[i].unit);
	}
}

/* Whatever a stage counts as lost, refused or cut is rendered, each under a name of its own. */
static void every_loss_is_rendered(void **state)
{
	static const struct metrics_self self = {
		.conn = { .late = 11, .refused = 13, .forgotten = 17 },
		.processes = { .made = 19, .expired = 23, .evicted = 29, .refused = 31, .text_cut = 37, .active = 41 },
		.correlate = { .joined_process = 43, .contradicted = 47, .refused = 53 },
		.proto = { .attrs_cut = 59, .adopted = 61, .policy_raised = 67, .oneway = 71 },
	};
	struct metrics *m = busy();
	struct buffer b;

	(void)state;
	buffer_init(&b, 1 << 20);
	assert_int_equal(metrics_render(m, &self, false, 2 * SECOND, &b), 0);
	assert_int_equal(buffer_append_byte(&b, 0), 0);
	has(&b, "plumb_records_skipped_total{reason=\"socket_closed\"} 11\n");
	has(&b, "plumb_records_skipped_total{reason=\"no_connection\"} 13\n");
	has(&b, "plumb_connections_total{event=\"forgotten\"} 17\n");
	has(&b, "plumb_processes_total{event=\"made\"} 19\n");
	has(&b, "plumb_processes_total{event=\"expired\"} 23\n");
	has(&b, "plumb_processes_total{event=\"evicted\"} 29\n");
	has(&b, "plumb_processes_total{event=\"refused\"} 31\n");
	has(&b, "plumb_processes_total{event=\"text_cut\"} 37\n");
	has(&b, "plumb_processes_active 41\n");
	has(&b, "plumb_spans_joined_total{evidence=\"process\"} 43\n");
	has(&b, "plumb_joins_contradicted_total 47\n");
	has(&b, "plumb_spans_unplaced_total 53\n");
	has(&b, "plumb_span_cuts_total{reason=\"exchange_full\"} 59\n");
	has(&b, "plumb_early_responses_total 61\n");
	has(&b, "plumb_capture_raised_total 67\n");
	has(&b, "plumb_oneway_messages_total 71\n");
	buffer_done(&b);
	metrics_free(m);
}

static void full_buffer_is_an_error(void **state)
{
	static const struct metrics_self self;
	struct metrics *m = busy();
	struct buffer b;

	(void)state;
	buffer_init(&b, 5003);
	assert_int_equal(metrics_render(m, &self, true, 2 * SECOND, &b), -ENOBUFS);
	buffer_done(&b);
	metrics_free(m);
}

static void documentation_is_current(void **state)
{
	struct buffer want, doc;
	FILE *f = fopen(DOC, "r");
	char line[4096];

	(void)state;
	assert_non_null(f);
	buffer_init(&want, 1 << 20);
	buffer_init(&doc, 1 << 20);
	assert_int_equal(metric_families_describe(&want), 0);
	buffer_append_byte(&want, 0);
	while (fgets(line, sizeof(line), f))
		buffer_append_str(&doc, line);
	fclose(f);
	buffer_append_byte(&doc, 0);
	char *table = strstr((char *)doc.data, DOC_BEGIN);
	assert_non_null(table);
	table += strlen(DOC_BEGIN);
	if (getenv("PLUMB_UPDATE")) {
		f = fopen(DOC, "w");
		assert_non_null(f);
		fwrite(doc.data, 1, (size_t)(table - (char *)doc.data), f);
		fputs((char *)want.data, f);
		assert_int_equal(fclose(f), 0);
	} else {
		assert_string_equal(table, (char *)want.data);
	}
	buffer_done(&want);
	buffer_done(&doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_format),
		cmocka_unit_test(openmetrics_format),
		cmocka_unit_test(families_are_whole),
		cmocka_unit_test(units_end_names),
		cmocka_unit_test(every_loss_is_rendered),
		cmocka_unit_test(full_buffer_is_an_error),
		cmocka_unit_test(documentation_is_current),
	};
	return cmocka_run_group_tests_name("prometheus", tests, NULL, NULL);
}

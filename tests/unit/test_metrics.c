/* SPDX-License-Identifier: Apache-2.0 */
/* Counts equal what was given, whatever the label sets, caps and orders; rendering is read back as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "metrics/metrics.h"

#define SECOND 1000000000ull

static struct process web = { .pid = 101, .generation = 1, .start_ns = 5, .service = { (const uint8_t *)"web", 3 } };

static struct metrics *make(uint32_t per_service, uint32_t max)
{
	struct metrics_options o = { .series_per_service = per_service, .series_max = max, .expire_ns = 100 * SECOND };
	struct metrics *m;

	assert_int_equal(metrics_new(&o, &m), 0);
	return m;
}

static char *render(struct metrics *m, uint64_t now_ns)
{
	static const struct metrics_self self;
	struct buffer b;

	buffer_init(&b, 8 << 20);
	assert_int_equal(metrics_render(m, &self, false, now_ns, &b), 0);
	assert_int_equal(buffer_append_byte(&b, 0), 0);
	return (char *)b.data;
}

/* Sum of all samples whose line begins with `start` and contains `with`. */
static double sum(struct metrics *m, const char *start, const char *with)
{
	char *text = render(m, 0), *save = NULL;
	double total = 0;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, start, strlen(start)) == 0 && strstr(line, with))
			total += strtod(strrchr(line, ' '), NULL);
	free(text);
	return total;
}

static void http(struct metrics *m, const struct process *p, const char *route, int status, uint64_t duration_ns)
{
	struct span s = { .kind = SPAN_SERVER, .family = PROTO_FAMILY_HTTP, .process = p, .start_ns = SECOND, .end_ns = SECOND + duration_ns };

	s.attrs[s.nattrs++] = (struct attr){ .id = ATTR_HTTP_REQUEST_METHOD, .type = ATTR_TYPE_STR, .str = SLICE_LIT("GET") };
	s.attrs[s.nattrs++] = (struct attr){ .id = ATTR_HTTP_ROUTE, .type = ATTR_TYPE_STR, .str = slice_str(route) };
	s.attrs[s.nattrs++] = (struct attr){ .id = ATTR_HTTP_RESPONSE_STATUS_CODE, .type = ATTR_TYPE_INT, .num = status };
	metrics_span(m, &s);
}

static void counts_equal_spans(void **state)
{
	struct metrics *m = make(0, 0);

	(void)state;
	for (int i = 0; i < 10007; i++)
		http(m, &web, i % 7 ? "/a" : "/b", i % 11 ? 200 : 500, 1000003);
	assert_true(sum(m, "http_server_request_duration_seconds_count", "") == 10007);
	assert_true(sum(m, "http_server_request_duration_seconds_count", "http_route=\"/b\"") == 1430);
	assert_true(sum(m, "http_server_request_duration_seconds_count", "code=\"500\"") == 910);
	char *text = render(m, 0);
	assert_non_null(strstr(text, "_sum{service_name=\"web\",http_request_method=\"GET\",http_route=\"/b\",http_response_status_code=\"500\"} 0.13000039\n"));
	free(text);
	metrics_free(m);
}

/* A client that invents commands does not use up its service's label sets. */
static void invented_operations_are_one_series(void **state)
{
	struct metrics *m = make(10, 0);
	char name[32];

	(void)state;
	for (int i = 0; i < 1009; i++) {
		struct span s = { .kind = SPAN_SERVER, .family = PROTO_FAMILY_DB, .process = &web, .start_ns = SECOND, .end_ns = 2 * SECOND };
		snprintf(name, sizeof(name), "XYZZY%d", i);
		s.attrs[s.nattrs++] = (struct attr){ .id = ATTR_DB_OPERATION_NAME, .type = ATTR_TYPE_STR, .str = slice_str(i % 7 ? name : "GET") };
		s.operation = i % 7 ? SLICE_LIT("_OTHER") : SLICE_NONE;
		metrics_span(m, &s);
	}
	assert_true(sum(m, "plumb_db_server_operation_duration_seconds_count", "db_operation_name=\"_OTHER\"") == 864);
	assert_true(sum(m, "plumb_db_server_operation_duration_seconds_count", "db_operation_name=\"GET\"") == 145);
	assert_true(sum(m, "plumb_metric_overflow_total", "") == 0);
	metrics_free(m);
}

static void message(struct metrics *m, enum span_kind kind, bool server_end, const char *type, int64_t batch)
{
	struct span s = { .kind = (uint8_t)kind, .server_end = server_end, .family = PROTO_FAMILY_MESSAGING, .process = &web, .start_ns = SECOND, .end_ns = 2 * SECOND };

	s.attrs[s.nattrs++] = (struct attr){ .id = ATTR_MESSAGING_OPERATION_TYPE, .type = ATTR_TYPE_STR, .str = slice_str(type) };
	if (batch >= 0)
		s.attrs[s.nattrs++] = (struct attr){ .id = ATTR_MESSAGING_BATCH_MESSAGE_COUNT, .type = ATTR_TYPE_INT, .num = batch };
	metrics_span(m, &s);
}

/* Each message counts once at each end; the broker's ends only have a duration. */
static void messages_are_counted(void **state)
{
	struct metrics *m = make(0, 0);

	(void)state;
	for (int i = 0; i < 7; i++) {
		message(m, SPAN_PRODUCER, false, "send", i < 5 ? -1 : 100);
		message(m, SPAN_SERVER, true, "send", -1);
		message(m, SPAN_PRODUCER, true, "send", -1);
	}
	for (int i = 0; i < 11; i++) {
		message(m, SPAN_CONSUMER, false, "process", -1);
		message(m, SPAN_CLIENT, false, "receive", i);
		message(m, SPAN_CLIENT, false, "settle", -1);
	}
	assert_true(sum(m, "messaging_client_sent_messages_total", "") == 5 + 200);
	assert_true(sum(m, "messaging_client_consumed_messages_total", "") == 11 + 55);
	assert_true(sum(m, "messaging_client_operation_duration_seconds_count", "") == 7 + 22);
	assert_true(sum(m, "messaging_process_duration_seconds_count", "") == 11);
	assert_true(sum(m, "plumb_messaging_server_operation_duration_seconds_count", "") == 14);
	metrics_free(m);
}

static void overflow_keeps_totals(void **state)
{
	struct metrics *m = make(5, 23);
	char route[32], name[16];
	struct process services[11];

	(void)state;
	for (int s = 0; s < 11; s++) {
		snprintf(name, sizeof(name), "s%d", s);
		services[s] = (struct process){ .pid = (uint32_t)s + 1 };
		services[s].service = slice_make(services[s].text, strlen(name));
		memcpy(services[s].text, name, strlen(name));
		for (int i = 0; i < 13; i++) {
			snprintf(route, sizeof(route), "/%d", i);
			http(m, &services[s], route, 200, 1);
			http(m, &services[s], route, 200, 1);
		}
	}
	assert_true(sum(m, "http_server_request_duration_seconds_count", "") == 11 * 13 * 2);
	/* Five of its own and one overflow per service until 23 are used: 6 + 6 + 6 + 5. */
	assert_true(sum(m, "http_server_request_duration_seconds_count", "{service_name=\"s0\",otel_metric_overflow=\"true\"}") == 16);
	assert_true(sum(m, "http_server_request_duration_seconds_count", "{otel_metric_overflow=\"true\"}") == 16 + 7 * 26);
	assert_true(sum(m, "plumb_metric_overflow_total", "\"http_server_request") == 16 * 4 + 7 * 26);
	assert_true(sum(m, "plumb_metric_series ", "") == 23);
	metrics_free(m);
}

static void idle_series_expire(void **state)
{
	struct metrics *m = make(0, 0);

	(void)state;
	http(m, &web, "/old", 200, 1);
	free(render(m, 101 * SECOND));
	assert_true(sum(m, "http_server_request_duration_seconds_count", "/old") == 1);
	free(render(m, 102 * SECOND));
	assert_true(sum(m, "http_server_request_duration_seconds_count", "/old") == 0);
	assert_true(sum(m, "plumb_metric_series_expired_total", "") == 1);
	metrics_free(m);
}

static struct record stats(uint16_t type, uint64_t sock, uint64_t sent, uint64_t received, uint32_t flags, uint64_t time_s)
{
	struct record r = { .u.sock_stats = { .h = { .type = type, .time_ns = time_s * SECOND }, .sock = sock, .bytes_sent = sent,
		.bytes_received = received, .flags = flags, .pid = 101, .family = AF_INET, .type = SOCK_STREAM, .role = PLUMB_ROLE_CLIENT,
		.local_port = 40000, .remote_port = 5432, .remote_addr = { 10, 0, 0, 7 } } };
	return r;
}

static struct record opened(uint64_t sock, uint8_t role, uint32_t flags)
{
	struct record r = { .u.sock = { .h = { .type = PLUMB_REC_SOCK_OPEN, .time_ns = SECOND }, .sock = sock, .pid = 101, .family = AF_INET,
		.type = SOCK_STREAM, .role = role, .local_port = role == PLUMB_ROLE_SERVER ? 80 : 40000,
		.remote_port = role == PLUMB_ROLE_SERVER ? 51234 : 5432, .remote_addr = { 10, 0, 0, 7 }, .flags = flags } };
	return r;
}

static void tcp_totals_count_once(void **state)
{
	struct metrics *m = make(0, 0);
	struct connection c = { .process = &web };
	struct record r;

	(void)state;
	r = opened(1, PLUMB_ROLE_CLIENT, 0), metrics_socket(m, &c, NULL, &r);
	r = opened(1, PLUMB_ROLE_CLIENT, 0), metrics_socket(m, &c, NULL, &r); /* told twice */
	r = opened(2, PLUMB_ROLE_SERVER, 0), metrics_socket(m, &c, NULL, &r);
	r = opened(3, PLUMB_ROLE_CLIENT, PLUMB_SOCK_PREEXISTING), metrics_socket(m, &c, NULL, &r);
	r = stats(PLUMB_REC_SOCK_STATS, 1, 101, 7, 0, 2), metrics_socket(m, &c, NULL, &r);
	r = stats(PLUMB_REC_SOCK_STATS, 1, 103, 7, 0, 3), metrics_socket(m, &c, NULL, &r);
	r = stats(PLUMB_REC_SOCK_STATS, 1, 102, 7, 0, 3), metrics_socket(m, &c, NULL, &r); /* late */
	r = stats(PLUMB_REC_SOCK_CLOSE, 1, 211, 13, PLUMB_SOCK_RESET, 4), metrics_socket(m, &c, NULL, &r);
	r = stats(PLUMB_REC_SOCK_STATS, 1, 150, 9, 0, 4), metrics_socket(m, &c, NULL, &r); /* after its close */
	r = stats(PLUMB_REC_SOCK_CLOSE, 9, 17, 19, 0, 5), metrics_socket(m, NULL, NULL, &r); /* never opened here */
	assert_true(sum(m, "plumb_tcp_sent_bytes_total", "") == 211 + 17);
	assert_true(sum(m, "plumb_tcp_received_bytes_total", "") == 13 + 19);
	assert_true(sum(m, "plumb_tcp_connects_total", "") == 1);
	assert_true(sum(m, "plumb_tcp_accepts_total", "{service_name=\"web\",role=\"server\",network_peer_address=\"10.0.0.7\",server_port=\"80\"}") == 1);
	assert_true(sum(m, "plumb_tcp_resets_total", "") == 1);
	assert_true(sum(m, "plumb_tcp_active_connections", "") == 2);
	r = stats(PLUMB_REC_SOCK_CLOSE, 11, 0, 0, PLUMB_SOCK_CONNECT_FAILED, 6);
	r.u.sock_stats.error = ECONNREFUSED;
	metrics_socket(m, &c, NULL, &r);
	assert_true(sum(m, "plumb_tcp_connect_failures_total{service_name=\"web\",network_peer_address=\"10.0.0.7\",server_port=\"5432\",error_type=\"ECONNREFUSED\"}", "") == 1);
	assert_true(sum(m, "plumb_tcp_active_connections", "") == 2);
	metrics_free(m);
}

/* connect() fails twice, then succeeds, on one socket. */
static void a_socket_may_be_connected_again(void **state)
{
	struct metrics *m = make(0, 0);
	struct connection c = { .process = &web };
	struct record r;

	(void)state;
	for (uint64_t at = 2; at <= 3; at++) {
		r = stats(PLUMB_REC_SOCK_CLOSE, 1, 0, 0, PLUMB_SOCK_CONNECT_FAILED, at);
		r.u.sock_stats.error = ECONNREFUSED;
		metrics_socket(m, NULL, &web, &r);
	}
	r = opened(1, PLUMB_ROLE_CLIENT, 0);
	r.u.h.time_ns = 4 * SECOND;
	metrics_socket(m, &c, NULL, &r);
	r = stats(PLUMB_REC_SOCK_STATS, 1, 101, 7, 0, 5), metrics_socket(m, &c, NULL, &r);
	assert_true(sum(m, "plumb_tcp_connect_failures_total", "service_name=\"web\"") == 2);
	assert_true(sum(m, "plumb_tcp_connect_failures_total", "") == 2);
	assert_true(sum(m, "plumb_tcp_connects_total", "") == 1);
	assert_true(sum(m, "plumb_tcp_active_connections", "") == 1);
	assert_true(sum(m, "plumb_tcp_sent_bytes_total", "") == 101);
	r = stats(PLUMB_REC_SOCK_CLOSE, 1, 211, 13, 0, 6), metrics_socket(m, &c, NULL, &r);
	r = opened(1, PLUMB_ROLE_CLIENT, 0), metrics_socket(m, &c, NULL, &r); /* from before the close, and late */
	assert_true(sum(m, "plumb_tcp_active_connections", "") == 0);
	assert_true(sum(m, "plumb_tcp_connects_total", "") == 1);
	assert_true(sum(m, "plumb_tcp_sent_bytes_total", "") == 211);
	metrics_free(m);
}

/* The kernel's totals go on from where the engine before this one left them. */
static void totals_before_the_engine_do_not_count(void **state)
{
	struct metrics *m = make(0, 0);
	struct connection c = { .process = &web };
	struct record r;

	(void)state;
	r = opened(1, PLUMB_ROLE_CLIENT, PLUMB_SOCK_PREEXISTING), metrics_socket(m, &c, NULL, &r);
	c.streams[PLUMB_EGRESS].bytes = 31; /* seen by this engine */
	c.streams[PLUMB_INGRESS].bytes = 37;
	r = stats(PLUMB_REC_SOCK_STATS, 1, 1000031, 2000037, PLUMB_SOCK_PREEXISTING, 2);
	r.u.sock_stats.retransmits = 97;
	metrics_socket(m, &c, NULL, &r);
	assert_true(sum(m, "plumb_tcp_sent_bytes_total", "") == 31);
	assert_true(sum(m, "plumb_tcp_received_bytes_total", "") == 37);
	assert_true(sum(m, "plumb_tcp_retransmits_total", "") == 0);
	r = stats(PLUMB_REC_SOCK_STATS, 1, 1000131, 2000138, PLUMB_SOCK_PREEXISTING, 3);
	r.u.sock_stats.retransmits = 98;
	metrics_socket(m, &c, NULL, &r);
	assert_true(sum(m, "plumb_tcp_sent_bytes_total", "") == 131);
	assert_true(sum(m, "plumb_tcp_received_bytes_total", "") == 138);
	assert_true(sum(m, "plumb_tcp_retransmits_total", "") == 1);
	/* Its statistics are the first that is heard of it. */
	r = stats(PLUMB_REC_SOCK_STATS, 2, 1000000, 1000000, PLUMB_SOCK_PREEXISTING, 3), metrics_socket(m, NULL, NULL, &r);
	r = stats(PLUMB_REC_SOCK_CLOSE, 2, 1000007, 1000000, PLUMB_SOCK_PREEXISTING, 4), metrics_socket(m, NULL, NULL, &r);
	assert_true(sum(m, "plumb_tcp_sent_bytes_total", "") == 138);
	assert_true(sum(m, "plumb_tcp_received_bytes_total", "") == 138);
	/* As many as were seen: joined before its first byte. */
	c.streams[PLUMB_EGRESS].bytes = 43;
	c.streams[PLUMB_INGRESS].bytes = 0;
	r = opened(3, PLUMB_ROLE_CLIENT, PLUMB_SOCK_PREEXISTING), metrics_socket(m, &c, NULL, &r);
	r = stats(PLUMB_REC_SOCK_CLOSE, 3, 43, 0, PLUMB_SOCK_PREEXISTING, 4), metrics_socket(m, &c, NULL, &r);
	assert_true(sum(m, "plumb_tcp_sent_bytes_total", "") == 138 + 43);
	metrics_free(m);
}

static void renamed_process_moves_its_connections(void **state)
{
	struct metrics *m = make(0, 0);
	struct process p = { .pid = 101, .generation = 1, .service = SLICE_LIT("unknown_service") };
	struct connection c = { .process = &p };
	struct record r = opened(1, PLUMB_ROLE_CLIENT, 0);

	(void)state;
	metrics_socket(m, &c, NULL, &r);
	p.service = SLICE_LIT("shop");
	p.generation = 2;
	r = stats(PLUMB_REC_SOCK_STATS, 1, 31, 0, 0, 2), metrics_socket(m, &c, NULL, &r);
	assert_true(sum(m, "plumb_tcp_active_connections", "service_name=\"shop\"") == 1);
	assert_true(sum(m, "plumb_tcp_active_connections", "unknown") == 0);
	assert_true(sum(m, "plumb_tcp_sent_bytes_total", "shop") == 31);
	metrics_free(m);
}

static void processes_end(void **state)
{
	struct metrics *m = make(2, 0);
	struct process p = { .start_ns = 5, .generation = 1, .service = SLICE_LIT("job"), .cpu_user_ns = 3 * SECOND, .rss_bytes = 4099 };

	(void)state;
	for (uint32_t pid = 1; pid <= 5; pid++) {
		p.pid = pid;
		metrics_process(m, &p);
	}
	assert_true(sum(m, "process_memory_usage_bytes", "") == 5 * 4099);
	assert_true(sum(m, "process_cpu_time_seconds_total", "user") == 15);
	assert_true(sum(m, "target_info", "") == 5);
	p.cpu_user_ns = 4 * SECOND;
	p.exit_ns = 9 * SECOND;
	for (uint32_t pid = 1; pid <= 5; pid++) {
		p.pid = pid;
		metrics_process(m, &p);
	}
	assert_true(sum(m, "process_memory_usage_bytes", "") == 0);
	assert_true(sum(m, "process_cpu_time_seconds_total", "user") == 20);
	assert_true(sum(m, "target_info", "") == 0);
	metrics_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_equal_spans),
		cmocka_unit_test(invented_operations_are_one_series),
		cmocka_unit_test(messages_are_counted),
		cmocka_unit_test(overflow_keeps_totals),
		cmocka_unit_test(idle_series_expire),
		cmocka_unit_test(tcp_totals_count_once),
		cmocka_unit_test(a_socket_may_be_connected_again),
		cmocka_unit_test(totals_before_the_engine_do_not_count),
		cmocka_unit_test(renamed_process_moves_its_connections),
		cmocka_unit_test(processes_end),
	};
	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}

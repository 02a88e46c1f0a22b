/* SPDX-License-Identifier: Apache-2.0 */
/* The printing sinks against their exact text, and what they do when the reader goes away or does not read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "sink/output.h"
#include "sink/sinks.h"
#include "unit/sink_sample.h"

struct printed {
	int fds[2];
	struct sink *sink;
	const struct sink_ops *ops;
};

/* On p->fds, which are open. */
static void printed_open_on(struct printed *p, const char *name, bool patient)
{
	char error[128] = "";

	p->ops = sink_find(name);
	assert_non_null(p->ops);
	struct sink_config c = { .spool_dir = "", .out_fd = p->fds[1], .patient = patient };
	assert_int_equal(p->ops->open(&c, &p->sink, error, sizeof(error)), 0);
}

static void printed_open(struct printed *p, const char *name)
{
	assert_int_equal(pipe2(p->fds, O_CLOEXEC), 0);
	printed_open_on(p, name, false);
}

static size_t printed_read(struct printed *p, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	p->ops->close(p->sink);
	close(p->fds[1]);
	while ((n = read(p->fds[0], text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(p->fds[0]);
	return len;
}

struct stat_want {
	const char *name;
	const char *label_value;
	double value;
	unsigned found;
};

static void stat_take(void *ctx, const char *name, const char *help, const char *label, const char *label_value, double value, bool counter)
{
	struct stat_want *w = ctx;

	(void)help;
	(void)label;
	(void)counter;
	if (strcmp(name, w->name) == 0 && (!w->label_value || strcmp(label_value, w->label_value) == 0)) {
		w->value += value;
		w->found++;
	}
}

static double printed_stat(const struct printed *p, const char *name)
{
	struct stat_want w = { .name = name };

	p->ops->stats(p->sink, stat_take, &w);
	assert_int_equal(w.found, 1);
	return w.value;
}

static void otlp_json_is_exact(void **state)
{
	static const char want[] =
		"{\"resourceSpans\":[{\"resource\":{\"attributes\":["
		"{\"key\":\"service.name\",\"value\":{\"stringValue\":\"shop\"}},"
		"{\"key\":\"process.pid\",\"value\":{\"intValue\":\"4211\"}},"
		"{\"key\":\"host.name\",\"value\":{\"stringValue\":\"n\xc3\xb6rd\"}}]},"
		"\"scopeSpans\":[{\"scope\":{\"name\":\"plumb\",\"version\":\"" PLUMB_VERSION "\"},\"spans\":["
		"{\"traceId\":\"abababababababababababababababab\",\"spanId\":\"0000000000000007\",\"traceState\":\"v=1\","
		"\"parentSpanId\":\"cd00000000000000\",\"flags\":769,\"name\":\"GET /cart/{id}\",\"kind\":3,"
		"\"startTimeUnixNano\":\"1700000007000000100\",\"endTimeUnixNano\":\"1700000007002500100\",\"attributes\":["
		"{\"key\":\"http.response.status_code\",\"value\":{\"intValue\":\"503\"}},"
		"{\"key\":\"error.type\",\"value\":{\"stringValue\":\"503\"}},"
		"{\"key\":\"server.address\",\"value\":{\"stringValue\":\"10.0.0.7\"}},"
		"{\"key\":\"server.port\",\"value\":{\"intValue\":\"8080\"}},"
		"{\"key\":\"url.path\",\"value\":{\"stringValue\":\"/cart/\xef\xbf\xbd\\u001b\"}},"
		"{\"key\":\"plumb.time_to_first_byte\",\"value\":{\"intValue\":\"-3\"}}],"
		"\"links\":[{\"traceId\":\"efefefefefefefefefefefefefefefef\",\"spanId\":\"0000000000000017\"}],\"droppedLinksCount\":3,"
		"\"status\":{\"message\":\"no \\\"stock\\\"\",\"code\":2}}]}]}]}\n";
	struct printed p;
	struct process process;
	struct span span;
	char got[4096];

	(void)state;
	printed_open(&p, "otlp-json");
	sample_process(&process, 1, "shop");
	sample_span(&span, &process, 7);
	assert_int_equal(p.ops->span(p.sink, &span), SINK_OK);
	printed_read(&p, got, sizeof(got));
	assert_string_equal(got, want);
}

static void otlp_json_root_without_process(void **state)
{
	static const char want[] =
		"{\"resourceSpans\":[{\"resource\":{\"attributes\":["
		"{\"key\":\"service.name\",\"value\":{\"stringValue\":\"unknown_service\"}}]},"
		"\"scopeSpans\":[{\"scope\":{\"name\":\"plumb\",\"version\":\"" PLUMB_VERSION "\"},\"spans\":["
		"{\"traceId\":\"00000000000000000000000000000001\",\"spanId\":\"0000000000000002\",\"flags\":1,\"name\":\"x\",\"kind\":2,"
		"\"startTimeUnixNano\":\"5\",\"endTimeUnixNano\":\"6\",\"attributes\":[],\"status\":{}}]}]}]}\n";
	struct printed p;
	struct span span = { .sampled = true, .kind = SPAN_SERVER, .start_ns = 5, .end_ns = 6, .name = SLICE_LIT("x") };
	char got[4096];

	(void)state;
	span.trace_id[15] = 1;
	span.span_id[7] = 2;
	printed_open(&p, "otlp-json");
	assert_int_equal(p.ops->span(p.sink, &span), SINK_OK);
	printed_read(&p, got, sizeof(got));
	assert_string_equal(got, want);
}

static void json_is_exact(void **state)
{
	static const char want[] =
		"{\"time\":\"2023-11-14T22:13:27.000000100Z\",\"duration_ns\":2500000,"
		"\"trace_id\":\"abababababababababababababababab\",\"span_id\":\"0000000000000007\",\"parent_id\":\"cd00000000000000\","
		"\"kind\":\"client\",\"service\":\"shop\",\"pid\":4211,\"protocol\":\"http\",\"name\":\"GET /cart/{id}\",\"status\":\"error\","
		"\"status_message\":\"no \\\"stock\\\"\",\"request_bytes\":79,\"response_bytes\":211,\"attributes\":{"
		"\"http.response.status_code\":503,\"error.type\":\"503\",\"server.address\":\"10.0.0.7\",\"server.port\":8080,"
		"\"url.path\":\"/cart/\xef\xbf\xbd\\u001b\",\"plumb.time_to_first_byte\":-3},"
		"\"links\":[{\"trace_id\":\"efefefefefefefefefefefefefefefef\",\"span_id\":\"0000000000000017\"}]}\n";
	struct printed p;
	struct process process;
	struct span span;
	char got[4096];

	(void)state;
	printed_open(&p, "json");
	sample_process(&process, 1, "shop");
	sample_span(&span, &process, 7);
	assert_int_equal(p.ops->span(p.sink, &span), SINK_OK);
	printed_read(&p, got, sizeof(got));
	assert_string_equal(got, want);
}

static void open_terminal(int fds[2])
{
	struct termios t;

	fds[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(fds[0] >= 0);
	assert_int_equal(grantpt(fds[0]) | unlockpt(fds[0]), 0);
	fds[1] = open(ptsname(fds[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(fds[1] >= 0);
	assert_int_equal(tcgetattr(fds[1], &t), 0);
	cfmakeraw(&t); /* lines end as they were written */
	assert_int_equal(tcsetattr(fds[1], TCSANOW, &t), 0);
}

/* What a terminal would cut, and what it must not be shown. */
static void console_print(struct printed *p)
{
	struct process process;
	struct span span;

	sample_process(&process, 1, "shop");
	sample_span(&span, &process, 7);
	assert_int_equal(p->ops->span(p->sink, &span), SINK_OK);
	sample_process(&process, 2, "a-service-with-a-long-name");
	sample_span(&span, &process, 8);
	/* An escape sequence, a bad byte, wide characters: nothing that moves the cursor, and the cut falls where columns say. */
	span.name = SLICE_LIT("GET /\x1b[31m\xff\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad/\xc3\xa9t\xc3\xa9/long");
	assert_int_equal(p->ops->span(p->sink, &span), SINK_OK);
	/* The socket's other end, not what the messages call it; and an error type that has the room it needs. */
	static const struct {
		uint8_t kind;
		const char *peer;
		uint16_t port;
		const char *error;
	} rows[] = { { SPAN_CLIENT, "10.1.2.3", 443, "connection_closed" }, { SPAN_CLIENT, "2001:db8::7", 8443, "an_error_of_thirty_one_columns_" },
		     { SPAN_SERVER, "10.9.9.9", 40001, "certificate_has_expired" } };
	sample_process(&process, 1, "shop");
	for (uint64_t i = 0; i < 3; i++) {
		sample_span(&span, &process, 9 + i);
		span.kind = rows[i].kind;
		span.attrs[1].str = slice_str(rows[i].error);
		span.attrs[3].str = SLICE_LIT("shop.example.com");
		span.attrs[span.nattrs++] = (struct attr){ .id = ATTR_CLIENT_ADDRESS, .type = ATTR_TYPE_STR, .str = SLICE_LIT("192.0.2.1") };
		span.attrs[span.nattrs++] = (struct attr){ .id = ATTR_NETWORK_PEER_ADDRESS, .type = ATTR_TYPE_STR, .str = slice_str(rows[i].peer) };
		span.attrs[span.nattrs++] = (struct attr){ .id = ATTR_NETWORK_PEER_PORT, .type = ATTR_TYPE_INT, .num = rows[i].port };
		for (uint32_t a = 0; a < span.nattrs && i; a++) /* the first was answered before it was cut */
			if (span.attrs[a].id == ATTR_HTTP_RESPONSE_STATUS_CODE)
				span.attrs[a] = span.attrs[--span.nattrs];
		assert_int_equal(p->ops->span(p->sink, &span), SINK_OK);
	}
	/* Of a call that is made the path, which its name has not; of a socket's path the end; and what is not known of how it ended. */
	const struct attr called[] = {
		{ .id = ATTR_URL_FULL, .type = ATTR_TYPE_STR, .str = SLICE_LIT("http://localhost/orders/7?x=1") },
		{ .id = ATTR_NETWORK_PEER_ADDRESS, .type = ATTR_TYPE_STR, .str = SLICE_LIT("/run/user/1000/a/path/to/app.sock") },
		{ .id = ATTR_PLUMB_INCOMPLETE, .type = ATTR_TYPE_STR, .str = SLICE_LIT("bytes_lost") },
	};
	sample_span(&span, &process, 12);
	span.name = SLICE_LIT("GET");
	span.status = SPAN_STATUS_UNSET;
	span.nattrs = sizeof(called) / sizeof(called[0]);
	memcpy(span.attrs, called, sizeof(called));
	assert_int_equal(p->ops->span(p->sink, &span), SINK_OK);
	/* Characters that nobody sees, or that turn the direction of others. */
	sample_span(&span, &process, 13);
	span.name = SLICE_LIT("GET /\xc2\xad\xd8\x9c\xe1\xa0\x8e\xe2\x80\x8b\xe2\x80\xae\xe2\x81\xa0\xe2\x81\xa4\xe2\x81\xa9\xe2\x81\xaf\xef\xbb\xbf\xf3\xa0\x80\x80\xf3\xa0\xbf\xbf");
	assert_int_equal(p->ops->span(p->sink, &span), SINK_OK);
}

static void console_columns_stay(void **state)
{
	static const char want[] =
		"TIME (UTC)   DURATION SERVICE          PEER                  NAME                 STATUS\n"
		"22:13:27.000   2.50ms shop           \xe2\x86\x92 10.0.0.7:8080         GET /cart/{id}       503\n"
		"22:13:28.000   2.50ms a-service-wit\xe2\x80\xa6 \xe2\x86\x92 10.0.0.7:8080         GET /?[31m?\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad/\xc3\xa9\xe2\x80\xa6 503\n"
		"22:13:29.000   2.50ms shop           \xe2\x86\x92 10.1.2.3:443          GET /cart/{id}    503 connection_closed\n"
		"22:13:30.000   2.50ms shop           \xe2\x86\x92 [2001:db8::7]:8443    GET /ca\xe2\x80\xa6 an_error_of_thirty_one_column\xe2\x80\xa6\n"
		"22:13:31.000   2.50ms shop           \xe2\x86\x90 10.9.9.9:40001        GET /cart/{id}  certificate_has_expired\n"
		"22:13:32.000   2.50ms shop           \xe2\x86\x92 \xe2\x80\xa6""0/a/path/to/app.sock GET /orders/7?x=1    bytes_lost\n"
		"22:13:33.000   2.50ms shop           \xe2\x86\x92 10.0.0.7:8080         GET /????????????    503\n";
	struct printed p;
	char got[4096];

	(void)state;
	open_terminal(p.fds);
	printed_open_on(&p, "console", true);
	console_print(&p);
	printed_read(&p, got, sizeof(got));
	assert_string_equal(got, want);
}

/* An end that is not known: no answer's headers, or an answer that may be another's. */
static void console_print_unknown(struct printed *p)
{
	const struct attr question = { .id = ATTR_DNS_QUESTION_NAME, .type = ATTR_TYPE_STR, .str = SLICE_LIT("a-host-with-a-long-name.example.org") };
	const struct attr code = { .id = ATTR_HTTP_RESPONSE_STATUS_CODE, .type = ATTR_TYPE_INT, .num = 200 };
	static const char *const incomplete[] = { NULL, "headers_unknown", "pairing_uncertain", "pairing_uncertain" };
	struct process process;
	struct span span;

	sample_process(&process, 1, "shop");
	for (uint64_t i = 0; i < 4; i++) {
		sample_span(&span, &process, 14 + i);
		span.status = SPAN_STATUS_UNSET;
		span.name = i ? SLICE_LIT("GET") : SLICE_LIT("DNS A");
		span.nattrs = 0;
		if (i == 0)
			span.attrs[span.nattrs++] = question;
		else
			span.attrs[span.nattrs++] = (struct attr){ .id = ATTR_PLUMB_INCOMPLETE, .type = ATTR_TYPE_STR, .str = slice_str(incomplete[i]) };
		if (i == 3)
			span.attrs[span.nattrs++] = code;
		assert_int_equal(p->ops->span(p->sink, &span), SINK_OK);
	}
}

static void console_cuts_nothing_without_a_terminal(void **state)
{
	static const char want[] =
		"TIME (UTC)   DURATION SERVICE          PEER                  NAME                 STATUS\n"
		"22:13:27.000   2.50ms shop           \xe2\x86\x92 10.0.0.7:8080         GET /cart/{id}       503\n"
		"22:13:28.000   2.50ms a-service-with-a-long-name \xe2\x86\x92 10.0.0.7:8080         GET /?[31m?\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad/\xc3\xa9t\xc3\xa9/long 503\n"
		"22:13:29.000   2.50ms shop           \xe2\x86\x92 10.1.2.3:443          GET /cart/{id}    503 connection_closed\n"
		"22:13:30.000   2.50ms shop           \xe2\x86\x92 [2001:db8::7]:8443    GET /cart/{id} an_error_of_thirty_one_columns_\n"
		"22:13:31.000   2.50ms shop           \xe2\x86\x90 10.9.9.9:40001        GET /cart/{id}  certificate_has_expired\n"
		"22:13:32.000   2.50ms shop           \xe2\x86\x92 /run/user/1000/a/path/to/app.sock GET /orders/7?x=1    bytes_lost\n"
		"22:13:33.000   2.50ms shop           \xe2\x86\x92 10.0.0.7:8080         GET /????????????    503\n"
		"22:13:34.000   2.50ms shop           \xe2\x86\x92 -                     DNS A a-host-with-a-long-name.example.org ok\n"
		"22:13:35.000   2.50ms shop           \xe2\x86\x92 -                     GET                  ?\n"
		"22:13:36.000   2.50ms shop           \xe2\x86\x92 -                     GET                  ?\n"
		"22:13:37.000   2.50ms shop           \xe2\x86\x92 -                     GET                  200?\n";
	struct printed p;
	char got[4096];

	(void)state;
	printed_open(&p, "console");
	console_print(&p);
	console_print_unknown(&p);
	printed_read(&p, got, sizeof(got));
	assert_string_equal(got, want);
}

static void reader_gone_is_counted(void **state)
{
	struct printed p;
	struct process process;
	struct span span;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	printed_open(&p, "json");
	close(p.fds[0]);
	sample_process(&process, 1, "shop");
	sample_span(&span, &process, 7);
	for (int i = 0; i < 5; i++)
		assert_int_equal(p.ops->span(p.sink, &span), SINK_ERROR);
	assert_int_equal(p.ops->flush(p.sink, 10), 0);
	assert_true(printed_stat(&p, "plumb_output_spans_dropped_total") == 5);
	assert_true(printed_stat(&p, "plumb_output_spans_written_total") == 0);
	p.ops->close(p.sink);
	close(p.fds[1]);
}

enum { SPANS = 5003 };

/* A reader that does not read: bounded, counted, and whole lines only. A hang ends the test. */
static void slow_reader(struct printed p)
{
	struct process process;
	struct span span;
	static char got[SPANS * 1024];

	alarm(61);
	printed_open_on(&p, "json", false);
	sample_process(&process, 1, "shop");
	uint64_t taken = 0;
	for (uint64_t i = 0; i < SPANS; i++) {
		sample_span(&span, &process, i);
		taken += p.ops->span(p.sink, &span) == SINK_OK;
	}
	assert_in_range(taken, 1000, SPANS - 1000);
	double dropped = printed_stat(&p, "plumb_output_spans_dropped_total");
	assert_true(dropped == (double)(SPANS - taken));
	assert_true(printed_stat(&p, "plumb_output_spans_pending") + printed_stat(&p, "plumb_output_spans_written_total") == (double)taken);

	size_t len = 0, lines = 0;
	while (p.ops->flush(p.sink, 0) > 0) {
		ssize_t n = read(p.fds[0], got + len, sizeof(got) - 1 - len);
		assert_true(n > 0);
		len += (size_t)n;
	}
	len += printed_read(&p, got + len, sizeof(got) - len);
	for (size_t i = 0; i < len; i++)
		if (got[i] == '\n') {
			assert_int_equal(got[i - 1], '}');
			lines++;
		}
	assert_int_equal(lines, taken);
	alarm(0);
}

static void slow_reader_is_bounded(void **state)
{
	struct printed p;

	(void)state;
	assert_int_equal(pipe2(p.fds, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(fcntl(p.fds[0], F_SETFL, 0), 0);
	slow_reader(p);
	assert_int_equal(pipe2(p.fds, O_CLOEXEC), 0);
	slow_reader(p);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p.fds), 0);
	slow_reader(p);
}

/* The programs that share the terminal find its flags as they were. */
static void slow_terminal_is_bounded(void **state)
{
	struct printed p;

	(void)state;
	open_terminal(p.fds);
	int shared = dup(p.fds[1]), flags = fcntl(shared, F_GETFL);
	assert_false(flags & O_NONBLOCK);
	printed_open_on(&p, "console", false);
	assert_int_equal(fcntl(shared, F_GETFL), flags);
	p.ops->close(p.sink);
	close(shared);
	close(p.fds[0]);
	close(p.fds[1]);
	open_terminal(p.fds);
	slow_reader(p);
}

/* Returns how many lines came; reads nothing before the pipe is so full that it takes no more. */
static uint64_t count_lines(int fd, int full)
{
	static char text[4099];
	struct pollfd p = { .fd = full, .events = POLLOUT };
	uint64_t lines = 0;
	ssize_t n;

	while (poll(&p, 1, 0) == 1)
		sched_yield();
	close(full);
	while ((n = read(fd, text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	return lines;
}

static void patient_output_waits(void **state)
{
	struct printed p;
	struct process process;
	struct span span;
	int answer[2];

	(void)state;
	assert_int_equal(pipe2(p.fds, O_CLOEXEC), 0);
	assert_int_equal(fcntl(p.fds[1], F_SETFL, O_NONBLOCK), 0); /* whoever shares the pipe may have set it */
	assert_int_equal(fcntl(p.fds[1], F_SETPIPE_SZ, 65536), 65536);
	assert_int_equal(pipe2(answer, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		alarm(61);
		uint64_t lines = count_lines(p.fds[0], p.fds[1]);
		_exit(write(answer[1], &lines, sizeof(lines)) != sizeof(lines));
	}
	close(p.fds[0]);
	alarm(61);
	printed_open_on(&p, "json", true);
	sample_process(&process, 1, "shop");
	for (uint64_t i = 0; i < SPANS; i++) {
		sample_span(&span, &process, i);
		assert_int_equal(p.ops->span(p.sink, &span), SINK_OK);
	}
	assert_int_equal(p.ops->flush(p.sink, 0), 0);
	assert_true(printed_stat(&p, "plumb_output_spans_dropped_total") == 0);
	assert_true(printed_stat(&p, "plumb_output_spans_written_total") == SPANS);
	p.ops->close(p.sink);
	close(p.fds[1]);

	uint64_t lines = 0;
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(read(answer[0], &lines, sizeof(lines)), sizeof(lines));
	assert_int_equal(lines, SPANS);
	alarm(0);
	close(answer[0]);
	close(answer[1]);
}

static void table_is_complete(void **state)
{
	(void)state;
	assert_null(sink_find("nothing"));
	for (size_t i = 0; sink_table[i]; i++) {
		assert_ptr_equal(sink_find(sink_table[i]->name), sink_table[i]);
		assert_non_null(sink_table[i]->options);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(otlp_json_is_exact),     cmocka_unit_test(otlp_json_root_without_process), cmocka_unit_test(json_is_exact),
		cmocka_unit_test(console_cuts_nothing_without_a_terminal),
		cmocka_unit_test(console_columns_stay),   cmocka_unit_test(reader_gone_is_counted),	      cmocka_unit_test(slow_reader_is_bounded),
		cmocka_unit_test(slow_terminal_is_bounded),
		cmocka_unit_test(patient_output_waits),   cmocka_unit_test(table_is_complete),
	};
	return cmocka_run_group_tests_name("printing sinks", tests, NULL, NULL);
}

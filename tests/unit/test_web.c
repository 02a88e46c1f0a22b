/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server against a client in this process: negotiation, refusals, many at once, an engine that does not
 * answer, a client that does not read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "web/server.h"

enum { MANY = 23 };

static struct web *start(struct web_options o)
{
	struct web *w;
	char error[256];

	o.listen = "127.0.0.1:0";
	assert_int_equal(web_start(&o, &w, error, sizeof(error)), 0);
	return w;
}

static int dial(const struct web *w, const char *request)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(web_port(w)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval limit = { .tv_sec = 10 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
	return fd;
}

/* Reads until the server closes. */
static size_t slurp(int fd, char *to, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size - 1 && (n = recv(fd, to + len, size - 1 - len, 0)) > 0)
		len += (size_t)n;
	to[len] = '\0';
	close(fd);
	return len;
}

struct engine {
	int renders;
	size_t bytes;
	int err;
};

static int draw(void *ctx, bool openmetrics, struct buffer *out)
{
	struct engine *e = ctx;

	e->renders++;
	if (e->err)
		return e->err;
	buffer_append_str(out, openmetrics ? "om 1\n# EOF\n" : "text 1\n");
	for (size_t i = 0; i < e->bytes; i++)
		buffer_append_byte(out, 'x');
	return out->failed;
}

/* The engine's loop: waits on the event descriptor, answers. */
static void answer(struct web *w, struct engine *e)
{
	struct pollfd p = { .fd = web_event_fd(w), .events = POLLIN };

	assert_int_equal(poll(&p, 1, 10000), 1);
	web_serve_pending(w, draw, e);
}

static void get(struct web *w, struct engine *e, const char *request, char *to, size_t size)
{
	int fd = dial(w, request);

	answer(w, e);
	slurp(fd, to, size);
}

#define END "Host: x\r\nConnection: close\r\n\r\n"

static void negotiates(void **state)
{
	struct web *w = start((struct web_options){ 0 });
	struct engine e = { 0 };
	char text[4096];

	(void)state;
	get(w, &e, "GET /metrics HTTP/1.1\r\n" END, text, sizeof(text));
	assert_non_null(strstr(text, "HTTP/1.1 200"));
	assert_non_null(strstr(text, "Content-Type: text/plain; version=0.0.4"));
	assert_non_null(strstr(text, "\r\n\r\ntext 1\n"));
	get(w, &e, "GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n" END, text, sizeof(text));
	assert_non_null(strstr(text, "Content-Type: application/openmetrics-text; version=1.0.0"));
	assert_non_null(strstr(text, "# EOF\n"));
	get(w, &e, "GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text;q=0.3, text/plain;q=0.7\r\n" END, text, sizeof(text));
	assert_non_null(strstr(text, "text 1\n"));
	get(w, &e, "GET /healthz HTTP/1.1\r\n" END, text, sizeof(text));
	assert_non_null(strstr(text, "\r\n\r\nok\n"));
	get(w, &e, "HEAD /metrics HTTP/1.1\r\n" END, text, sizeof(text));
	assert_non_null(strstr(text, "Content-Length: 7\r\n"));
	assert_null(strstr(text, "text 1"));
	assert_int_equal(e.renders, 4);
	web_stop(w);
}

static void refuses(void **state)
{
	struct web *w = start((struct web_options){ 0 });
	struct engine e = { .err = -ENOMEM };
	char text[4096];

	(void)state;
	slurp(dial(w, "GET /secret HTTP/1.1\r\n" END), text, sizeof(text));
	assert_non_null(strstr(text, "HTTP/1.1 404"));
	slurp(dial(w, "POST /metrics HTTP/1.1\r\nContent-Length: 5\r\nHost: x\r\nConnection: close\r\n\r\nhello"), text, sizeof(text));
	assert_non_null(strstr(text, "HTTP/1.1 405"));
	assert_non_null(strstr(text, "Allow: GET, HEAD"));
	slurp(dial(w, "GET / HTTP/1.1\r\n" END), text, sizeof(text));
	assert_non_null(strstr(text, "href=\"/metrics\""));
	get(w, &e, "GET /metrics HTTP/1.1\r\n" END, text, sizeof(text));
	assert_non_null(strstr(text, "HTTP/1.1 500"));
	web_stop(w);
}

static void many_share_few_renderings(void **state)
{
	struct web *w = start((struct web_options){ 0 });
	struct engine e = { .bytes = 100003 };
	static char text[200000];
	int fds[MANY];
	int done = 0;

	(void)state;
	for (int i = 0; i < MANY; i++)
		fds[i] = dial(w, "GET /metrics HTTP/1.1\r\n" END);
	struct pollfd first = { .fd = web_event_fd(w), .events = POLLIN };
	for (int i = 0; i < MANY; i++) {
		struct pollfd p[] = { { .fd = fds[i], .events = POLLIN }, first };
		while (poll(p, 2, 10000) > 0 && !p[0].revents)
			web_serve_pending(w, draw, &e);
		slurp(fds[i], text, sizeof(text));
		const char *body = strstr(text, "\r\n\r\n");
		done += body && strlen(body) == 4 + 7 + 100003;
	}
	assert_int_equal(done, MANY);
	assert_in_range(e.renders, 1, MANY);
	web_stop(w);
}

static void silent_engine_is_503(void **state)
{
	struct web *w = start((struct web_options){ .wait_ms = 50 });
	char text[4096];

	(void)state;
	slurp(dial(w, "GET /metrics HTTP/1.1\r\n" END), text, sizeof(text));
	assert_non_null(strstr(text, "HTTP/1.1 503"));
	assert_non_null(strstr(text, "did not answer in time"));
	/* Stopping with a client that waits must not hang. */
	int fd = dial(w, "GET /metrics HTTP/1.1\r\n" END);
	web_stop(w);
	close(fd);
}

static void slow_clients_are_closed(void **state)
{
	struct web *w = start((struct web_options){ .request_ms = 100 });
	struct engine e = { .bytes = 16 << 20 };
	static char text[(16 << 20) + 4096];
	int idle = dial(w, "GET /metrics HTTP/1.1\r\n" END);

	(void)state;
	answer(w, &e); /* its 16 MiB, which it does not read for now */
	int half = dial(w, "GET /metr");
	assert_int_equal(slurp(half, text, sizeof(text)), 0); /* closed, without an answer; the older one is, too */
	assert_true(slurp(idle, text, sizeof(text)) < e.bytes);
	assert_int_equal(web_evicted(w), 0);
	web_stop(w);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Twice as many as there are places, of three kinds: half a request, none, one whose answer is not read. Who then asks is answered at once. */
static void slow_clients_keep_nobody_out(void **state)
{
	enum { SLOW = 67, SCRAPES = 5 };
	static const char *const begins[] = { "GET /metr", "", "GET / HTTP/1.1\r\nHost: x\r\n\r\n" };
	struct web *w = start((struct web_options){ 0 });
	struct engine e = { 0 };
	int fds[SLOW];
	char text[4096];

	(void)state;
	for (int i = 0; i < SLOW; i++)
		fds[i] = dial(w, begins[i % 3]);
	for (int i = 0; i < SCRAPES; i++) {
		uint64_t start_ms = now_ms();
		get(w, &e, "GET /metrics HTTP/1.1\r\n" END, text, sizeof(text));
		assert_non_null(strstr(text, "text 1"));
		assert_in_range(now_ms() - start_ms, 0, 1000);
	}
	assert_in_range(web_evicted(w), SLOW - 32, SLOW - 32 + SCRAPES);
	for (int i = 0; i < SLOW; i++)
		close(fds[i]);
	web_stop(w);
}

static void says_why_it_cannot_listen(void **state)
{
	struct web *w = start((struct web_options){ 0 }), *other = NULL;
	char error[256], address[32];

	(void)state;
	snprintf(address, sizeof(address), "127.0.0.1:%u", web_port(w));
	struct web_options o = { .listen = address };
	assert_int_equal(web_start(&o, &other, error, sizeof(error)), -EBUSY);
	assert_non_null(strstr(error, "another plumb serves"));
	web_stop(w);
	/* The address is free at once, and one that a stranger has is known as such. */
	assert_int_equal(web_start(&o, &w, error, sizeof(error)), 0);
	int stranger = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	assert_int_equal(bind(stranger, (struct sockaddr *)&sa, len) | listen(stranger, 1) | getsockname(stranger, (struct sockaddr *)&sa, &len), 0);
	snprintf(address, sizeof(address), "127.0.0.1:%u", ntohs(sa.sin_port));
	assert_int_equal(web_start(&o, &other, error, sizeof(error)), -EADDRINUSE);
	assert_non_null(strstr(error, "another program listens there"));
	close(stranger);
	static const char *const bad[] = { "", "x", "127.0.0.1", "127.0.0.1:65536", "::1:80", "host:1", "127.0.0.1:8o", NULL };
	for (int i = 0; bad[i]; i++) {
		o.listen = bad[i];
		assert_int_equal(web_start(&o, &other, error, sizeof(error)), -EINVAL);
	}
	assert_null(other);
	web_stop(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(negotiates),
		cmocka_unit_test(refuses),
		cmocka_unit_test(many_share_few_renderings),
		cmocka_unit_test(silent_engine_is_503),
		cmocka_unit_test(slow_clients_are_closed),
		cmocka_unit_test(slow_clients_keep_nobody_out),
		cmocka_unit_test(says_why_it_cannot_listen),
	};
	return cmocka_run_group_tests_name("web", tests, NULL, NULL);
}

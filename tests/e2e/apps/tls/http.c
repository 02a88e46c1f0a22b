/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http serve PORT FOLDER: the routes of the truth tests (the same as httpd.py) over the TLS library that it was linked with, a thread for each connection, whose sessions are used again.
 * http ask PORT FOLDER VERSION CONNECTIONS: as https_driver.py, one request at a time; each session is used for three requests on a connection, then for another connection.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tls.h"

enum { BIG = 200003, EACH = 3, SESSIONS = 64 };

struct message {
	char head[4096];
	char rest[65536]; /* what came behind it */
	size_t nrest;
};

void fail(const char *what)
{
	fprintf(stderr, "http: %s\n", what);
	exit(1);
}

static void send_all(struct tls *t, const char *bytes, size_t len)
{
	for (size_t at = 0; at < len;) {
		int n = tls_write(t, bytes + at, len - at);
		if (n <= 0)
			fail("write");
		at += (size_t)n;
	}
}

static bool more(struct tls *t, struct message *m)
{
	int n = tls_read(t, m->rest + m->nrest, sizeof(m->rest) - 1 - m->nrest);

	if (n <= 0)
		return false;
	m->nrest += (size_t)n;
	m->rest[m->nrest] = 0;
	return true;
}

static void take(struct message *m, size_t n)
{
	memmove(m->rest, m->rest + n, m->nrest - n);
	m->nrest -= n;
	m->rest[m->nrest] = 0;
}

/* The head of the next message, and its body away; false: there is none. */
static bool receive(struct tls *t, struct message *m, bool bodiless)
{
	char *end;

	while (!(end = m->nrest ? strstr(m->rest, "\r\n\r\n") : NULL))
		if (!more(t, m))
			return false;
	size_t n = (size_t)(end - m->rest) + 4;
	snprintf(m->head, sizeof(m->head), "%.*s", (int)n, m->rest);
	take(m, n);
	if (strstr(m->head, "chunked")) {
		while (!strstr(m->rest, "\r\n0\r\n\r\n"))
			if (!more(t, m))
				fail("cut");
		take(m, m->nrest);
	}
	char *length = strstr(m->head, "Content-Length: ");
	for (size_t left = length && !bodiless ? strtoul(length + 16, NULL, 10) : 0; left;) {
		if (!m->nrest && !more(t, m))
			fail("cut");
		n = left < m->nrest ? left : m->nrest;
		take(m, n);
		left -= n;
	}
	return true;
}

static void answer(struct tls *t, const char *head)
{
	static const struct { const char *kind; int status; const char *body; } routes[] = {
		{ "items", 200, "one item\n" }, { "upload", 201, "stored\n" }, { "big", 200, NULL }, { "slow", 200, "at last\n" }, { "fail", 500, "no\n" }, { "busy", 503, "later\n" },
	};
	static char big[BIG];
	char method[16], kind[16], out[512];
	int status = 404;
	const char *body = "none\n";

	if (sscanf(head, "%15s /%15[a-z]", method, kind) != 2)
		fail(head);
	if (strcmp(kind, "chunks") == 0) {
		send_all(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 47);
		for (int i = 0; i < 5; i++)
			send_all(t, "7\r\nccccccc\r\n", 12);
		send_all(t, "0\r\n\r\n", 5);
		return;
	}
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (strcmp(kind, routes[i].kind) == 0) {
			status = routes[i].status;
			body = routes[i].body;
		}
	if (strcmp(method, "DELETE") == 0) {
		send_all(t, "HTTP/1.1 204 No Content\r\n\r\n", 27);
		return;
	}
	if (strcmp(kind, "slow") == 0)
		usleep(53000);
	size_t len = body ? strlen(body) : BIG;
	int n = snprintf(out, sizeof(out), "HTTP/1.1 %d x\r\nContent-Length: %zu\r\n\r\n", status, len);
	if (strcmp(method, "HEAD") != 0 && body)
		n += snprintf(out + n, sizeof(out) - (size_t)n, "%s", body);
	send_all(t, out, (size_t)n);
	if (!body)
		send_all(t, big, BIG);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct tls *idle[SESSIONS];
static int nidle;

static void *serve(void *arg)
{
	struct message *m = calloc(1, sizeof(*m));
	int fd = (int)(long)arg;

	pthread_mutex_lock(&lock);
	struct tls *t = nidle ? idle[--nidle] : NULL;
	pthread_mutex_unlock(&lock);
	if (!t)
		t = tls_new();
	tls_begin(t, fd);
	while (receive(t, m, false))
		answer(t, m->head);
	tls_shutdown(t);
	close(fd);
	pthread_mutex_lock(&lock);
	if (nidle < SESSIONS) {
		idle[nidle++] = t;
		t = NULL;
	}
	pthread_mutex_unlock(&lock);
	if (t)
		tls_free(t);
	free(m);
	return NULL;
}

static struct sockaddr_in address(const char *port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void serve_all(const char *port)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1, peer;
	struct sockaddr_in a = address(port);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 64))
		fail("listen");
	while ((peer = accept(fd, NULL, NULL)) >= 0) {
		char first;
		pthread_t thread;
		/* Who only looks whether somebody listens shakes no hands. */
		if (recv(peer, &first, 1, MSG_PEEK) != 1) {
			close(peer);
			continue;
		}
		setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		pthread_create(&thread, NULL, serve, (void *)(long)peer);
		pthread_detach(thread);
	}
}

static long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000 + t.tv_nsec;
}

static void ask(const char *port, struct tls *t, int *fd, struct message *m, const char *line)
{
	static char out[65536];
	char method[16], path[128];
	int body, on = 1;

	if (sscanf(line, "{\"method\": \"%15[A-Z]\", \"path\": \"%127[^\"]\", \"body\": %d}", method, path, &body) != 3 || body > 60000)
		fail(line);
	if (*fd < 0) {
		struct sockaddr_in a = address(port);
		*fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(*fd, (struct sockaddr *)&a, sizeof(a)))
			fail("connect");
		setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		tls_begin(t, *fd);
	}
	long begin = now_ns();
	int n = snprintf(out, sizeof(out), "%s %s HTTP/1.1\r\nHost: localhost:%s\r\nContent-Length: %d\r\n\r\n", method, path, port, body);
	memset(out + n, 'u', (size_t)body);
	send_all(t, out, (size_t)(n + body));
	if (!receive(t, m, strcmp(method, "HEAD") == 0))
		fail("no answer");
	printf("{\"path\": \"%s\", \"status\": %.3s, \"ns\": %ld}\n", path, m->head + 9, now_ns() - begin);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 4 && strcmp(argv[1], "serve") == 0) {
		tls_setup(argv[3], NULL, true);
		serve_all(argv[2]);
		fail("accept");
	}
	if (argc < 6 || atoi(argv[5]) > 16)
		return 2;
	tls_setup(argv[3], argv[4], false);
	int connections = atoi(argv[5]), fds[16];
	struct tls *sessions[16];
	struct message *messages = calloc((size_t)connections, sizeof(*messages));
	char line[512];
	char (*plan)[512] = calloc(1024, sizeof(*plan));
	int n = 0;
	while (n < 1024 && fgets(line, sizeof(line), stdin) && strcmp(line, "go\n") != 0)
		memcpy(plan[n++], line, sizeof(line));
	for (int i = 0; i < connections; i++) {
		sessions[i] = tls_new();
		fds[i] = -1;
	}
	for (int i = 0; i < n; i++) {
		int c = i % connections;
		ask(argv[2], sessions[c], &fds[c], &messages[c], plan[i]);
		if (i / connections % EACH == EACH - 1 || i + connections >= n) {
			tls_shutdown(sessions[c]);
			close(fds[c]);
			fds[c] = -1;
			messages[c].nrest = 0;
		}
	}
	for (int i = 0; i < connections; i++)
		tls_free(sessions[i]);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP client and server that know what they sent. Each argument REQUESTS/CONNECTIONS is a round: so many requests over so many
 * connections, each kept alive and driven by a thread of its own; all but the first are without large bodies. Standard output:
 * one JSON object a line for each request, the truth. Standard input: a line starts each round; "ready" and both processes' ids
 * are written to standard error before. A word before the rounds says what carries the bytes: see `transports`.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ktls.h"
#ifdef TRUTH_SSL
#include "ssl.h"
#endif

enum { CONNECTIONS_MAX = 64, HEAD_MAX = 512, BODY_MAX = 66003, BODY_SMALL = 2003, BODY_FILE = 1000, PERIOD = 23, EARLY = 3 };

/* Of each 23 requests 7 fail. A header tells the server which line of the plan a request is and how long the answer's body. */
static const struct {
	const char *method, *route;
	int status;
	size_t request_body, response_body;
} plan[PERIOD] = {
	{ "GET", "items", 200, 0, 17 },	     { "GET", "items", 404, 0, 9 },	  { "POST", "orders", 201, 257, 31 },  { "GET", "items", 200, 0, 1009 },
	{ "GET", "slow", 503, 0, 11 },	     { "GET", "big", 200, 0, BODY_MAX },  { "PUT", "orders", 204, 31, 0 },     { "POST", "orders", 409, 67, 13 },
	{ "GET", "items", 200, 0, 0 },	     { "DELETE", "orders", 200, 0, 5 },	  { "GET", "items", 500, 0, 23 },      { "POST", "upload", 200, 20011, 7 },
	{ "GET", "items", 200, 0, 4099 },    { "GET", "moved", 302, 0, 3 },	  { "GET", "items", 404, 0, 9 },       { "POST", "orders", 201, 16385, 31 },
	{ "GET", "items", 200, 0, 17 },	     { "POST", "orders", 500, 257, 19 },  { "GET", "items", 206, 0, 16384 },   { "GET", "items", 200, 0, 16385 },
	{ "PATCH", "orders", 200, 101, 37 }, { "GET", "items", 429, 0, 6 },	  { "GET", "items", 200, 0, 17 },
};

struct round {
	int number, requests, connections;
	in_port_t port;
	pid_t server;
};

struct connection {
	const struct round *round;
	int index, fd; /* -1: not yet connected */
	pthread_t thread;
	uint64_t *durations_ns; /* of the round, by request */
};

static size_t limited(const struct round *r, size_t body)
{
	return r->number > 1 && body > BODY_SMALL ? BODY_SMALL : body;
}

static char zeros[BODY_MAX];
static int zeros_fd; /* the same as a file, for who sends from one */

/* What carries a connection's bytes; functions as of system calls. */
struct transport {
	const char *name;
	int version;
	bool (*begin)(int fd, bool server);
	ssize_t (*send)(int fd, const void *data, size_t len, bool more);
	ssize_t (*send_file)(int fd, int file, off_t at, size_t len); /* of longer bodies; NULL: they are sent, too */
	ssize_t (*receive)(int fd, void *data, size_t len);
	bool (*end)(int fd); /* by the client */
	bool early;          /* connections of the first round are older than who is told that all is ready */
};

static bool plain_begin(int fd, bool server) { return fd >= 0 || server; }
static ssize_t plain_receive(int fd, void *data, size_t len) { return recv(fd, data, len, 0); }
static bool plain_end(int fd) { return fd >= 0; }

static const struct transport transports[] = {
	{ "plain", 0, plain_begin, ktls_send, NULL, plain_receive, plain_end, false },
	{ "ktls", 0, ktls_begin, ktls_send, ktls_send_file, ktls_receive, ktls_end, false },
	{ "old-ktls", 0, ktls_begin, ktls_send, ktls_send_file, ktls_receive, ktls_end, true },
#ifdef TRUTH_SSL
	{ "tls1.2", TLS1_2_VERSION, ssl_begin, ssl_send, ssl_send_file, ssl_receive, ssl_end, false },
	{ "tls1.3", TLS1_3_VERSION, ssl_begin, ssl_send, ssl_send_file, ssl_receive, ssl_end, false },
#endif
};
static const struct transport *via = transports;

static void die(const char *what)
{
	fprintf(stderr, "truth: %s: %s\n", what, strerror(errno));
	exit(3);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void send_all(int fd, const char *data, size_t len, bool more)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = via->send(fd, data + at, len - at, more);
		if (n < 0 && errno != EINTR)
			die("send");
		at += n < 0 ? 0 : (size_t)n;
	}
}

static void send_file(int fd, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = via->send_file(fd, zeros_fd, (off_t)at, len - at);
		if (n <= 0)
			die("sendfile");
		at += (size_t)n;
	}
}

static void send_message(int fd, const char *head, size_t body)
{
	send_all(fd, head, strlen(head), body > 0);
	if (via->send_file && body > BODY_FILE)
		send_file(fd, body);
	else
		send_all(fd, zeros, body, false);
}

/* Reads one message to its end. Its head goes to `head`. Returns false at the end of the stream. */
static bool receive_message(int fd, char *head)
{
	char buf[16384], *end;
	size_t have = 0;

	while (!(end = memmem(head, have, "\r\n\r\n", 4))) {
		ssize_t n = have == HEAD_MAX - 1 ? -1 : via->receive(fd, head + have, HEAD_MAX - 1 - have);
		if (n == 0 && have == 0)
			return false;
		if (n <= 0)
			die("no whole head");
		have += (size_t)n;
	}
	const char *length = memmem(head, (size_t)(end - head), "Content-Length: ", 16);
	size_t body = length ? strtoul(length + 16, NULL, 10) : 0, at = have - (size_t)(end + 4 - head);
	*end = 0;
	while (at < body) {
		ssize_t n = via->receive(fd, buf, body - at > sizeof(buf) ? sizeof(buf) : body - at);
		if (n <= 0)
			die("recv body");
		at += (size_t)n;
	}
	if (at != body)
		die("more than one message");
	return true;
}

static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char head[HEAD_MAX];

	if (!via->begin(fd, true))
		die("begin");
	while (receive_message(fd, head)) {
		const char *place = strstr(head, "X-Plan: ");
		char *end, reply[HEAD_MAX];
		int at = place ? (int)strtol(place + strlen("X-Plan: "), &end, 10) : -1;
		if (at < 0 || at >= PERIOD)
			die("request without a place in the plan");
		size_t body = strtoul(end, NULL, 10);
		if (plan[at].status == 204)
			snprintf(reply, sizeof(reply), "HTTP/1.1 204 Status\r\n\r\n");
		else
			snprintf(reply, sizeof(reply), "HTTP/1.1 %d Status\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", plan[at].status, body);
		send_message(fd, reply, body);
	}
	close(fd);
	return NULL;
}

static void server(int listener)
{
	for (;;) {
		pthread_t thread;
		int fd = accept(listener, NULL, NULL);
		if (fd < 0 || pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) || pthread_detach(thread))
			die("accept");
	}
}

static void path_of(const struct round *r, int request, char *path, size_t len)
{
	snprintf(path, len, "/%s/%d/%d", plan[request % PERIOD].route, r->number, request);
}

static int dial(in_port_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		die("connect");
	if (!via->begin(fd, false))
		die("begin");
	return fd;
}

static void *drive(void *arg)
{
	struct connection *c = arg;
	const struct round *r = c->round;
	int fd = c->fd < 0 ? dial(r->port) : c->fd;

	for (int i = c->index; i < r->requests; i += r->connections) {
		int at = i % PERIOD;
		char head[HEAD_MAX], path[64], length[64] = "";
		size_t body = limited(r, plan[at].request_body);

		path_of(r, i, path, sizeof(path));
		if (body)
			snprintf(length, sizeof(length), "Content-Length: %zu\r\n", body);
		snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: truth.test\r\n%sX-Plan: %d %zu\r\n\r\n", plan[at].method, path, length, at, limited(r, plan[at].response_body));
		uint64_t begin = now_ns();
		send_message(fd, head, body);
		if (!receive_message(fd, head) || strtol(head + strlen("HTTP/1.1 "), NULL, 10) != plan[at].status)
			die("another answer than planned");
		c->durations_ns[i] = now_ns() - begin;
	}
	if (!via->end(fd))
		die("end");
	close(fd);
	return NULL;
}

/* fds: of its connections, -1 for those that are still to be made. */
static void run_round(const struct round *r, const int *fds)
{
	struct connection connections[CONNECTIONS_MAX];
	uint64_t *durations_ns = calloc((size_t)r->requests, sizeof(*durations_ns));

	if (!durations_ns)
		die("memory");
	for (int i = 0; i < r->connections; i++) {
		connections[i] = (struct connection){ .round = r, .index = i, .fd = fds[i], .durations_ns = durations_ns };
		if (pthread_create(&connections[i].thread, NULL, drive, &connections[i]))
			die("thread");
	}
	for (int i = 0; i < r->connections; i++)
		if (pthread_join(connections[i].thread, NULL))
			die("thread");
	for (int i = 0; i < r->requests; i++) {
		int at = i % PERIOD;
		char path[64];

		path_of(r, i, path, sizeof(path));
		printf("{\"round\":%d,\"method\":\"%s\",\"path\":\"%s\",\"status\":%d,\"request_body\":%zu,\"response_body\":%zu,\"duration_ns\":%llu,\"client_pid\":%d,\"server_pid\":%d}\n",
		       r->number, plan[at].method, path, plan[at].status, limited(r, plan[at].request_body),
		       limited(r, plan[at].response_body), (unsigned long long)durations_ns[i], (int)getpid(),
		       (int)r->server);
	}
	free(durations_ns);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	char line[16];
	int fds[CONNECTIONS_MAX];
	int listener = socket(AF_INET, SOCK_STREAM, 0), first = 1;

	for (size_t i = 0; argc > 1 && i < sizeof(transports) / sizeof(transports[0]); i++)
		if (strcmp(argv[1], transports[i].name) == 0) {
			via = &transports[i];
			first = 2;
		}
#ifdef TRUTH_SSL
	if (via->version && !ssl_init(via->version))
		die("OpenSSL");
#endif
	zeros_fd = memfd_create("zeros", MFD_CLOEXEC);
	if (zeros_fd < 0 || ftruncate(zeros_fd, BODY_MAX))
		die("memfd");
	if (listener < 0 || bind(listener, (struct sockaddr *)&sa, len) || listen(listener, CONNECTIONS_MAX) || getsockname(listener, (struct sockaddr *)&sa, &len))
		die("listen");
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0)
		server(listener);
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		fds[i] = via->early && i < EARLY ? dial(sa.sin_port) : -1;
	fprintf(stderr, "ready %d %d\n", (int)getpid(), (int)pid);
	for (int i = first; i < argc; i++) {
		struct round r = { .number = i - first + 1, .port = sa.sin_port, .server = pid };
		char *rest;

		r.requests = (int)strtol(argv[i], &rest, 10);
		r.connections = *rest == '/' ? (int)strtol(rest + 1, &rest, 10) : 0;
		if (*rest || r.requests < 1 || r.connections < 1 || r.connections > CONNECTIONS_MAX) {
			fprintf(stderr, "usage: truth [TRANSPORT] REQUESTS/CONNECTIONS…\n");
			return 2;
		}
		if (!fgets(line, sizeof(line), stdin))
			die("standard input ended");
		run_round(&r, fds);
		memset(fds, -1, sizeof(fds)); /* they are closed */
	}
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	return 0;
}

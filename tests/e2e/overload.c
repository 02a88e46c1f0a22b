/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overload with a known sum: one connection over loopback, on which a writer sends rounds of I/O that no consumer of tiny rings
 * can keep up with, and a reader in another process takes each whole. Reads commands from standard input, one a line: "flood N
 * SIZE" does N writes and the reads that take them; "quit" ends. Answers each flood with a line of JSON: calls and bytes of both
 * ends, errors. Each call moves SIZE bytes or is an error.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE_MAX_BYTES = 16384 };

struct sums {
	uint64_t calls, bytes, errors;
};

struct order {
	uint64_t count;
	uint32_t size;
};

static void die(const char *what)
{
	fprintf(stderr, "overload: %s: %s\n", what, strerror(errno));
	exit(3);
}

/* Takes count * size bytes, size with each call, so that the number of calls follows from the bytes. */
static struct sums take(int fd, const struct order *o)
{
	static char buf[SIZE_MAX_BYTES];
	struct sums s = { 0 };

	while (s.bytes < o->count * o->size) {
		ssize_t n = recv(fd, buf, o->size, MSG_WAITALL);
		if (n != (ssize_t)o->size) {
			s.errors++;
			return s;
		}
		s.calls++;
		s.bytes += (uint64_t)n;
	}
	return s;
}

static struct sums give(int fd, const struct order *o)
{
	static char buf[SIZE_MAX_BYTES];
	struct sums s = { 0 };

	memset(buf, 'x', sizeof(buf));
	for (uint64_t i = 0; i < o->count; i++) {
		ssize_t n = write(fd, buf, o->size);
		if (n != (ssize_t)o->size) {
			s.errors++;
			return s;
		}
		s.calls++;
		s.bytes += (uint64_t)n;
	}
	return s;
}

static void get_all(int fd, void *to, size_t len)
{
	if (read(fd, to, len) != (ssize_t)len)
		die("pipe");
}

static void put_all(int fd, const void *from, size_t len)
{
	if (write(fd, from, len) != (ssize_t)len)
		die("pipe");
}

int main(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int listener = socket(AF_INET, SOCK_STREAM, 0), down[2], up[2];
	char line[64];

	if (listener < 0 || bind(listener, (struct sockaddr *)&sa, sizeof(sa)) || listen(listener, 1) || getsockname(listener, (struct sockaddr *)&sa, &len))
		die("listen");
	if (pipe(down) || pipe(up))
		die("pipe");
	pid_t reader = fork();
	if (reader == 0) {
		int fd = accept(listener, NULL, NULL);
		struct order o;
		close(down[1]);
		while (read(down[0], &o, sizeof(o)) == (ssize_t)sizeof(o)) {
			struct sums s = take(fd, &o);
			put_all(up[1], &s, sizeof(s));
		}
		_exit(0);
	}
	close(down[0]);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		die("connect");
	fprintf(stderr, "ready %d\n", (int)getpid());
	while (fgets(line, sizeof(line), stdin)) {
		struct order o;
		char *end;

		if (strncmp(line, "flood ", 6) != 0)
			break;
		o.count = strtoull(line + 6, &end, 10);
		o.size = (uint32_t)strtoul(end, NULL, 10);
		if (!o.count || !o.size || o.size > SIZE_MAX_BYTES)
			break;
		put_all(down[1], &o, sizeof(o));
		struct sums w = give(fd, &o), r;
		get_all(up[0], &r, sizeof(r));
		printf("{\"writes\":%" PRIu64 ",\"written\":%" PRIu64 ",\"reads\":%" PRIu64 ",\"read\":%" PRIu64 ",\"errors\":%" PRIu64 "}\n", w.calls, w.bytes, r.calls, r.bytes, w.errors + r.errors);
		fflush(stdout);
	}
	close(down[1]);
	close(fd);
	waitpid(reader, NULL, 0);
	return 0;
}

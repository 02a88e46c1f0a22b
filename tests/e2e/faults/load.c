/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load that knows what it did: an HTTP server and its clients in one program, for tests that break plumb while it works. Reads
 * commands from standard input, one a line, and answers each with one line of JSON. Every request has a number of its own, which
 * counts from 1 in the order of sending and is its path (/n/17). What goes wrong for the application is counted in "errors".
 *
 *   load COUNT CONNECTIONS RATE   requests on connections that stay; RATE a second in all, 0 = as fast as they are answered. COUNT 0
 *                                 = until "end"; meanwhile "mark" says how far it has come: all up to "settled" are answered
 *   connect COUNT                 connections one after the other, one request on each
 *   hold COUNT BYTES              connections that stay open, one request on each, and BYTES of the head of another that does not end
 *   again                         one more request on each of them
 *   release                       closes them
 *   spawn COUNT EACH              processes one after the other; each EACHth makes one request
 *
 * "load request PORT NUMBER" and "load nothing" are what "spawn" runs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FDS_MAX = 65536, HEAD_MAX = 512, CONNECTIONS_MAX = 256, SPAWN_AT_ONCE = 4, BUCKETS = 200000, SOURCES = 16 };

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";
static const char answer_close[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";
static struct sockaddr_in server = { .sin_family = AF_INET };
static const char *self_path;
static uint64_t numbers; /* requests sent so far */

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(3);
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000;
}

/* --- the server --------------------------------------------------------------------------------------------------------------- */

struct peer {
	size_t len;
	char head[HEAD_MAX];
};

static void peer_gone(struct peer **peers, int fd)
{
	free(peers[fd]);
	peers[fd] = NULL;
	close(fd);
}

/* Answers each head that is whole. What does not end is thrown away but for its last bytes. */
static bool peer_answer(struct peer *p, int fd)
{
	char *end;

	while (p->len && (end = memmem(p->head, p->len, "\r\n\r\n", 4))) {
		size_t head = (size_t)(end - p->head) + 4;
		bool last = memmem(p->head, head, "Connection: close", 17);
		const char *text = last ? answer_close : answer;
		if (send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text) || last)
			return false;
		p->len -= head;
		memmove(p->head, end + 4, p->len);
	}
	if (p->len == sizeof(p->head)) {
		memmove(p->head, p->head + p->len - 3, 3);
		p->len = 3;
	}
	return true;
}

static void serve(int listener)
{
	struct peer **peers = calloc(FDS_MAX, sizeof(struct peer *));
	int ep = epoll_create1(0);
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = listener }, got[64];

	if (!peers || ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev))
		die("server");
	for (;;) {
		int n = epoll_wait(ep, got, 64, -1);
		for (int i = 0; i < n; i++) {
			int fd = got[i].data.fd;
			if (fd == listener) {
				fd = accept(listener, NULL, NULL);
				ev.data.fd = fd;
				if (fd < 0 || fd >= FDS_MAX || !(peers[fd] = calloc(1, sizeof(struct peer))) || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev))
					die("accept");
				continue;
			}
			struct peer *p = peers[fd];
			ssize_t len = recv(fd, p->head + p->len, sizeof(p->head) - p->len, 0);
			if (len > 0)
				p->len += (size_t)len;
			if (len <= 0 || !peer_answer(p, fd))
				peer_gone(peers, fd);
		}
	}
}

static void start_server(void)
{
	socklen_t len = sizeof(server);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listener < 0 || bind(listener, (struct sockaddr *)&server, sizeof(server)) || listen(listener, 4096) ||
	    getsockname(listener, (struct sockaddr *)&server, &len))
		die("listen");
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(STDIN_FILENO);
		serve(listener);
	}
	close(listener);
}

/* --- a request --------------------------------------------------------------------------------------------------------------- */

/* From one of several addresses, so that ports do not run out. */
static int connect_server(uint64_t number)
{
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(number % SOURCES)) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		return -1;
	if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) || bind(fd, (struct sockaddr *)&from, sizeof(from)) ||
	    connect(fd, (struct sockaddr *)&server, sizeof(server))) {
		close(fd);
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static bool ask(int fd, uint64_t number, bool last)
{
	char head[HEAD_MAX];
	int n = snprintf(head, sizeof(head), "GET /n/%" PRIu64 " HTTP/1.1\r\nHost: load\r\n%s\r\n", number, last ? "Connection: close\r\n" : "");

	return send(fd, head, (size_t)n, MSG_NOSIGNAL) == n;
}

static bool answered(int fd, bool last)
{
	const char *text = last ? answer_close : answer;
	char buf[HEAD_MAX];
	size_t want = strlen(text), len = 0;

	while (len < want) {
		ssize_t n = recv(fd, buf + len, want - len, 0);
		if (n <= 0)
			return false;
		len += (size_t)n;
	}
	return memcmp(buf, text, want) == 0 && (!last || recv(fd, buf, 1, 0) == 0);
}

static bool request(uint64_t number)
{
	int fd = connect_server(number);
	bool ok = fd >= 0 && ask(fd, number, true) && answered(fd, true);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* --- load -------------------------------------------------------------------------------------------------------------------- */

struct load {
	uint64_t count, rate, first, sent, done, errors, began_us, worst_us;
	uint32_t nfds;
	bool stop;
	struct pollfd fds[CONNECTIONS_MAX + 1]; /* the last one is standard input */
	uint64_t number[CONNECTIONS_MAX], since_us[CONNECTIONS_MAX]; /* of the request that waits; 0 = none */
	uint32_t waited[BUCKETS]; /* answers by microseconds */
};

static uint64_t load_settled(const struct load *l)
{
	uint64_t least = numbers + 1;

	for (uint32_t i = 0; i < l->nfds; i++)
		if (l->number[i] && l->number[i] < least)
			least = l->number[i];
	return least - 1;
}

static uint64_t load_p99_us(const struct load *l)
{
	uint64_t seen = 0;

	for (uint32_t i = 0; i < BUCKETS; i++) {
		seen += l->waited[i];
		if (seen * 100 >= l->done * 99)
			return i;
	}
	return BUCKETS;
}

static void load_say(const struct load *l)
{
	printf("{\"first\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"settled\":%" PRIu64 ",\"errors\":%" PRIu64
	       ",\"p99_us\":%" PRIu64 ",\"worst_us\":%" PRIu64 ",\"seconds\":%.3f}\n",
	       l->first, l->sent, l->done, load_settled(l), l->errors, load_p99_us(l), l->worst_us, (double)(now_us() - l->began_us) / 1e6);
	fflush(stdout);
}

/* Sends on every connection that is free, as far as the rate allows. Returns how long nothing is due, in milliseconds. */
static int load_send(struct load *l)
{
	uint64_t now = now_us();

	for (uint32_t i = 0; i < l->nfds; i++) {
		if (l->stop || (l->count && l->sent == l->count))
			return -1;
		if (l->rate && l->sent >= (now - l->began_us) * l->rate / 1000000 + 1)
			return 1;
		if (l->number[i] || l->fds[i].fd < 0)
			continue;
		l->number[i] = ++numbers;
		l->since_us[i] = now_us();
		l->sent++;
		if (!ask(l->fds[i].fd, numbers, false)) {
			l->errors++;
			l->number[i] = 0;
			l->fds[i].fd = -1;
		}
	}
	return l->rate ? 1 : -1;
}

static void load_receive(struct load *l)
{
	for (uint32_t i = 0; i < l->nfds; i++) {
		if (!l->fds[i].revents)
			continue;
		uint64_t us = now_us() - l->since_us[i];
		if (l->number[i] && answered(l->fds[i].fd, false)) {
			l->done++;
			l->waited[us < BUCKETS ? us : BUCKETS - 1]++;
			l->worst_us = us > l->worst_us ? us : l->worst_us;
		} else { /* closed, or an answer that nobody asked for */
			l->errors++;
			l->fds[i].fd = -1;
		}
		l->number[i] = 0;
	}
}

static void load_order(struct load *l)
{
	char line[64];
	ssize_t n = read(STDIN_FILENO, line, sizeof(line) - 1);

	line[n > 0 ? n : 0] = 0;
	if (strcmp(line, "mark\n") == 0)
		load_say(l);
	else
		l->stop = true;
}

/* Nothing is to be sent any more, or can be, and nothing is waited for. */
static bool load_over(const struct load *l)
{
	bool waits = false, usable = false;

	for (uint32_t i = 0; i < l->nfds; i++) {
		waits |= l->number[i] != 0;
		usable |= l->fds[i].fd >= 0;
	}
	return !waits && (l->stop || !usable || (l->count && l->sent == l->count));
}

static void load(uint64_t count, uint64_t connections, uint64_t rate)
{
	static struct load l;

	memset(&l, 0, sizeof(l));
	l.count = count;
	l.rate = rate;
	l.first = numbers + 1;
	l.nfds = (uint32_t)(connections < CONNECTIONS_MAX ? connections : CONNECTIONS_MAX);
	for (uint32_t i = 0; i < l.nfds; i++) {
		l.fds[i] = (struct pollfd){ .fd = connect_server(i), .events = POLLIN };
		l.errors += l.fds[i].fd < 0;
	}
	l.fds[l.nfds] = (struct pollfd){ .fd = count ? -1 : STDIN_FILENO, .events = POLLIN };
	l.began_us = now_us();
	for (;;) {
		int wait = load_send(&l);
		if (load_over(&l))
			break;
		if (poll(l.fds, l.nfds + 1, wait) < 0 && errno != EINTR)
			die("poll");
		load_receive(&l);
		if (l.fds[l.nfds].revents)
			load_order(&l);
	}
	for (uint32_t i = 0; i < l.nfds; i++)
		if (l.fds[i].fd >= 0)
			close(l.fds[i].fd);
	load_say(&l);
}

/* --- connections ------------------------------------------------------------------------------------------------------------ */

static int *held;
static uint64_t nheld;

static void say(uint64_t first, uint64_t requests, uint64_t errors)
{
	printf("{\"first\":%" PRIu64 ",\"requests\":%" PRIu64 ",\"errors\":%" PRIu64 "}\n", first, requests, errors);
	fflush(stdout);
}

static void connect_each(uint64_t count)
{
	uint64_t first = numbers + 1, errors = 0;

	for (uint64_t i = 0; i < count; i++)
		errors += !request(++numbers);
	say(first, count, errors);
}

static void hold(uint64_t count, uint64_t bytes)
{
	uint64_t first = numbers + 1, errors = 0;
	char *part = malloc(bytes + 64);

	held = calloc(count, sizeof(*held));
	if (!held || !part)
		die("hold");
	memset(part, 'x', bytes + 64);
	memcpy(part, "GET /never HTTP/1.1\r\nX: ", 24);
	for (uint64_t i = 0; i < count; i++) {
		held[i] = connect_server(i);
		bool ok = held[i] >= 0 && ask(held[i], ++numbers, false) && answered(held[i], false);
		if (ok && bytes)
			ok = send(held[i], part, bytes, MSG_NOSIGNAL) == (ssize_t)bytes;
		errors += !ok;
	}
	free(part);
	nheld = count;
	say(first, count, errors);
}

static void again(void)
{
	uint64_t first = numbers + 1, errors = 0;

	for (uint64_t i = 0; i < nheld; i++)
		errors += !(ask(held[i], ++numbers, false) && answered(held[i], false));
	say(first, nheld, errors);
}

static void release(void)
{
	for (uint64_t i = 0; i < nheld; i++)
		if (held[i] >= 0)
			close(held[i]);
	free(held);
	held = NULL;
	say(numbers + 1, 0, 0);
}

/* --- processes --------------------------------------------------------------------------------------------------------------- */

static void spawn_one(bool asks)
{
	char port[16], number[24];

	snprintf(port, sizeof(port), "%u", ntohs(server.sin_port));
	snprintf(number, sizeof(number), "%" PRIu64, numbers);
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		if (asks)
			execl(self_path, "load", "request", port, number, (char *)NULL);
		else
			execl(self_path, "load", "nothing", (char *)NULL);
		_exit(3);
	}
}

static void spawn(uint64_t count, uint64_t each)
{
	uint64_t first = numbers + 1, errors = 0, running = 0;
	int status;

	for (uint64_t i = 1; i <= count || running;) {
		if (i <= count && running < SPAWN_AT_ONCE) {
			bool asks = i++ % each == 0;
			numbers += asks;
			spawn_one(asks);
			running++;
			continue;
		}
		if (wait(&status) < 0)
			die("wait");
		running--;
		errors += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	}
	say(first, numbers + 1 - first, errors);
}

/* --------------------------------------------------------------------------------------------------------------------------- */

static int child(int argc, char **argv)
{
	if (argc != 4)
		return 0;
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
	return request(strtoull(argv[3], NULL, 10)) ? 0 : 1;
}

int main(int argc, char **argv)
{
	char line[128], *at;
	struct rlimit files;

	if (argc > 1)
		return child(argc, argv);
	self_path = argv[0];
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	start_server();
	setvbuf(stdin, NULL, _IONBF, 0); /* "load" reads the same descriptor */
	fprintf(stderr, "ready %u\n", ntohs(server.sin_port));
	while (fgets(line, sizeof(line), stdin)) {
		char *word = strtok_r(line, " \n", &at);
		uint64_t n[3] = { 0 };
		for (int i = 0; i < 3; i++) {
			char *number = strtok_r(NULL, " \n", &at);
			n[i] = number ? strtoull(number, NULL, 10) : 0;
		}
		if (word && strcmp(word, "load") == 0)
			load(n[0], n[1], n[2]);
		else if (word && strcmp(word, "connect") == 0)
			connect_each(n[0]);
		else if (word && strcmp(word, "hold") == 0)
			hold(n[0], n[1]);
		else if (word && strcmp(word, "again") == 0)
			again();
		else if (word && strcmp(word, "release") == 0)
			release();
		else if (word && strcmp(word, "spawn") == 0)
			spawn(n[0], n[1] ? n[1] : 1);
		else
			break;
	}
	return 0;
}

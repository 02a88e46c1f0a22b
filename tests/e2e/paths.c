/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Client and server in one: sends a known HTTP exchange, its path named after the case, over each way that bytes can enter and
 * leave a socket, over each kind of socket and descriptor. Standard output: one JSON object a line for each exchange, the truth.
 * Standard input: a line starts the cases; what must be open before plumb is (connections, listeners) is opened before "ready" is
 * written to standard error. 32-bit programs are not covered.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "paths_ways.h"

enum transport { TCP4, TCP6, MAPPED, UNIX, PAIR, SEQPACKET };
enum shape { PLAIN, DUPLICATED, EXECED, PASSED, THREADS, UNREAD, HALF_CLOSED, CLOSE_DELIMITED, RESET, REFUSED, PREOPENED, DISCARDED };
enum { REQUEST_BODY = 509, RESPONSE_BODY = 1009, LARGE_BODY = 1048573, TURNS = 5, MESSAGE_MAX = LARGE_BODY + 512 };

struct path_case {
	const char *name;
	enum transport transport;
	enum shape shape;
	void (*send)(int fd, const char *data, size_t len);
	ssize_t (*recv)(int fd, char *buf, size_t len);
	size_t request_body, response_body; /* 0 = the usual */
};

#define WAY(n, s, r) { .name = n, .send = s, .recv = r }
#define SHAPE(n, t, sh) { .name = n, .transport = t, .shape = sh, .send = send_write, .recv = recv_read }

static const struct path_case cases[] = {
	WAY("write-read", send_write, recv_read),
	WAY("writev-readv", send_writev, recv_readv),
	WAY("writev67-readv67", send_writev_many, recv_readv_many),
	WAY("send-recv", send_send, recv_recv),
	WAY("sendto-recvfrom", send_sendto, recv_recvfrom),
	WAY("sendmsg-recvmsg", send_sendmsg, recv_recvmsg),
	WAY("sendmsg67-recvmsg67", send_sendmsg_many, recv_recvmsg_many),
	WAY("sendmmsg-recvmmsg", send_sendmmsg, recv_recvmmsg),
	WAY("pwritev2-preadv2", send_pwritev2, recv_preadv2),
	WAY("sendfile-body", send_sendfile_body, recv_read),
	WAY("sendfile-whole", send_sendfile, recv_read),
	WAY("splice-out", send_splice, recv_read),
	WAY("splice-in", send_write, recv_splice),
	WAY("vmsplice", send_vmsplice, recv_read),
	WAY("io_uring-send-recv", send_uring, recv_uring),
	WAY("io_uring-write-read", send_uring_write, recv_uring_read),
	WAY("io_uring-sendmsg-recvmsg", send_uring_msg, recv_uring_msg),
	WAY("msg-zerocopy", send_zerocopy, recv_read),
	WAY("msg-more", send_more, recv_read),
	WAY("tcp-cork", send_corked, recv_read),
	WAY("msg-peek", send_write, recv_peek),
	WAY("msg-waitall", send_write, recv_waitall),
	{ .name = "msg-trunc", .shape = DISCARDED, .send = send_write, .recv = recv_discard },
	{ .name = "nonblock", .send = send_nonblock, .recv = recv_read, .response_body = LARGE_BODY },
	{ .name = "nonblock-writev", .send = send_nonblock_vector, .recv = recv_readv, .response_body = LARGE_BODY },
	{ .name = "nonblock-sendmmsg", .shape = THREADS, .send = send_nonblock_mmsg, .recv = recv_read, .response_body = LARGE_BODY },
	WAY("cold-file", send_cold, recv_cold),
	WAY("cold-untouched", send_untouched, recv_cold),
	SHAPE("tcp6", TCP6, PLAIN),
	SHAPE("tcp-mapped", MAPPED, PLAIN),
	SHAPE("unix", UNIX, PLAIN),
	SHAPE("socketpair", PAIR, PLAIN),
	SHAPE("seqpacket", SEQPACKET, PLAIN),
	{ .name = "unix-sendmsg", .transport = UNIX, .send = send_sendmsg, .recv = recv_recvmsg },
	SHAPE("duplicated", TCP4, DUPLICATED),
	SHAPE("execed", TCP4, EXECED),
	SHAPE("passed", TCP4, PASSED),
	SHAPE("threads", TCP4, THREADS),
	SHAPE("unread", TCP4, UNREAD),
	SHAPE("half-closed", TCP4, HALF_CLOSED),
	SHAPE("close-delimited", TCP4, CLOSE_DELIMITED),
	SHAPE("reset", TCP4, RESET),
	SHAPE("refused", TCP4, REFUSED),
	SHAPE("preopened-tcp", TCP4, PREOPENED),
	SHAPE("preopened-unix", UNIX, PREOPENED),
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

static char directory[] = "/tmp/plumb-paths-XXXXXX"; /* of the Unix sockets; its owner removes it */

static int status_of(int index)
{
	static const int statuses[] = { 200, 201, 202, 404, 409, 500, 503 };

	return statuses[index % 7];
}
static size_t request_body(const struct path_case *c) { return c->request_body ? c->request_body : REQUEST_BODY; }
static size_t response_body(const struct path_case *c) { return c->response_body ? c->response_body : RESPONSE_BODY; }

/*
 * Messages of a case, malloc'ed. Bodies are zeros: what a hole would look like if it were taken for data,
 * and what untouched pages hold.
 */
static char *request_of(int index, int turn, size_t *ret_len)
{
	const struct path_case *c = &cases[index];
	char *m = calloc(1, MESSAGE_MAX);
	int head = snprintf(m, 512, "POST /paths/%s/%d HTTP/1.1\r\nHost: paths.test\r\nContent-Type: application/octet-stream\r\nContent-Length: %zu\r\n\r\n", c->name, turn,
			    request_body(c));

	*ret_len = (size_t)head + request_body(c);
	return m;
}

static char *response_of(int index, size_t *ret_len)
{
	const struct path_case *c = &cases[index];
	char *m = calloc(1, MESSAGE_MAX), length[64];

	snprintf(length, sizeof(length), "Content-Length: %zu", response_body(c));
	int head = snprintf(m, 512, "HTTP/1.1 %d Status\r\nContent-Type: application/octet-stream\r\n%s\r\n\r\n", status_of(index),
			    c->shape == CLOSE_DELIMITED ? "Connection: close" : length);
	*ret_len = (size_t)head + response_body(c);
	return m;
}

static void receive(const struct path_case *c, int fd, const char *expected, size_t len)
{
	char *buf = malloc(len);

	for (size_t at = 0; at < len;) {
		size_t n = moved(c->recv(fd, buf + at, len - at), c->name);
		if (n == 0) {
			fprintf(stderr, "paths: %s: stream ended at %zu of %zu\n", c->name, at, len);
			exit(3);
		}
		at += n;
	}
	size_t check = c->shape == DISCARDED ? head_of(expected, len) : len;
	if (memcmp(buf, expected, check) != 0) {
		fprintf(stderr, "paths: %s: other bytes arrived than were sent\n", c->name);
		exit(3);
	}
	free(buf);
}

static void wait_hangup(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	if (poll(&p, 1, 10000) <= 0)
		die("no end of stream");
}

static void corked(int fd, int on)
{
	if (setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)))
		die("TCP_CORK");
}

/* The server's part, in its own process, on a connected socket. */
static void serve(int index, int fd)
{
	const struct path_case *c = &cases[index];
	size_t want, len;
	char byte;

	for (int turn = 0; turn < (c->shape == THREADS ? TURNS : 1); turn++) {
		char *request = request_of(index, turn, &want), *response = response_of(index, &len);
		receive(c, fd, request, want);
		if (c->shape == HALF_CLOSED && read(fd, &byte, 1) != 0)
			die("no end after half-close");
		if (c->shape == RESET) {
			struct linger l = { .l_onoff = 1, .l_linger = 0 };
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
		} else {
			if (c->shape == CLOSE_DELIMITED)
				corked(fd, 1); /* the end of the stream travels in the segment of the last bytes */
			c->send(fd, response, len);
		}
		if (c->shape == UNREAD)
			wait_hangup(fd);
		free(request);
		free(response);
	}
	close(fd);
}

static socklen_t address_of(int index, struct sockaddr_storage *sa, in_port_t port, bool client)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)sa;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)sa;
	struct sockaddr_un *un = (struct sockaddr_un *)sa;

	memset(sa, 0, sizeof(*sa));
	switch (cases[index].transport) {
	case UNIX:
	case SEQPACKET:
		un->sun_family = AF_UNIX;
		snprintf(un->sun_path, sizeof(un->sun_path), "%s/%d", directory, index);
		return sizeof(*un);
	case TCP6:
	case MAPPED:
		v6->sin6_family = AF_INET6;
		v6->sin6_port = port;
		v6->sin6_addr = in6addr_loopback;
		if (cases[index].transport == MAPPED)
			inet_pton(AF_INET6, client ? "::ffff:127.0.0.1" : "::", &v6->sin6_addr);
		return sizeof(*v6);
	default:
		v4->sin_family = AF_INET;
		v4->sin_port = port;
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(*v4);
	}
}

static void small_buffers(int fd)
{
	int bytes = 4096;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

static int socket_of(int index)
{
	struct sockaddr_storage sa;
	int off = 0;

	address_of(index, &sa, 0, false);
	int fd = socket(sa.ss_family, cases[index].transport == SEQPACKET ? SOCK_SEQPACKET : SOCK_STREAM, 0);
	if (fd < 0)
		die("socket");
	if (cases[index].transport == MAPPED)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (cases[index].response_body == LARGE_BODY)
		small_buffers(fd);
	return fd;
}

static int listen_for(int index, in_port_t *ret_port)
{
	struct sockaddr_storage sa;
	socklen_t len = address_of(index, &sa, 0, false);
	int fd = socket_of(index);

	if (bind(fd, (struct sockaddr *)&sa, len) || listen(fd, 8))
		die("listen");
	len = sizeof(sa);
	getsockname(fd, (struct sockaddr *)&sa, &len);
	*ret_port = ((struct sockaddr_in *)&sa)->sin_port; /* at the same place in sockaddr_in6 */
	return fd;
}

static int connect_to(int index, in_port_t port)
{
	struct sockaddr_storage sa;
	socklen_t len = address_of(index, &sa, port, true);
	int fd = socket_of(index);

	if (connect(fd, (struct sockaddr *)&sa, len)) {
		if (cases[index].shape == REFUSED && errno == ECONNREFUSED) {
			close(fd);
			return -1;
		}
		die("connect");
	}
	return fd;
}

static void pass(int over, int fd)
{
	char byte = 'x', control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec v = { &byte, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	if (sendmsg(over, &m, 0) != 1)
		die("SCM_RIGHTS");
}

static int take(int over)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec v = { &byte, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	int fd;

	if (recvmsg(over, &m, 0) != 1 || !CMSG_FIRSTHDR(&m))
		die("SCM_RIGHTS");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

/* Starts the server's process. listener or connected is -1. Returns its pid. */
static pid_t start_server(int index, int listener, int connected)
{
	int over[2] = { -1, -1 };
	pid_t taker = 0;

	if (cases[index].shape == PASSED) {
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, over))
			die("socketpair");
		taker = fork();
		if (taker == 0) {
			serve(index, take(over[1]));
			_exit(0);
		}
	}
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid > 0) {
		if (taker) {
			close(over[0]);
			close(over[1]);
		}
		return taker ? taker : pid;
	}
	int fd = connected >= 0 ? connected : accept(listener, NULL, NULL);
	if (fd < 0)
		die("accept");
	if (cases[index].shape == EXECED) {
		char number[16], at[16];
		snprintf(number, sizeof(number), "%d", fd);
		snprintf(at, sizeof(at), "%d", index);
		execl("/proc/self/exe", "paths", "--serve", at, number, (char *)NULL);
		die("exec");
	}
	if (cases[index].shape == PASSED)
		pass(over[0], fd);
	else
		serve(index, fd);
	_exit(0);
}

static void truth(int index, int turn, pid_t server)
{
	const struct path_case *c = &cases[index];

	printf("{\"case\":\"%s\",\"path\":\"/paths/%s/%d\",\"status\":%d,\"request_body\":%zu,\"response_body\":%zu,\"client_pid\":%d,\"client_tid\":%d,\"server_pid\":%d}\n",
	       c->name, c->name, turn, c->shape == RESET || c->shape == REFUSED ? 0 : status_of(index), request_body(c), response_body(c), (int)getpid(), (int)gettid(), (int)server);
	fflush(stdout);
}

struct turn {
	int index, fd, number;
	bool reads;
};

static void *take_turn(void *arg)
{
	struct turn *t = arg;
	size_t len;
	char *m = t->reads ? response_of(t->index, &len) : request_of(t->index, t->number, &len);

	if (t->reads)
		receive(&cases[t->index], t->fd, m, len);
	else
		cases[t->index].send(t->fd, m, len);
	free(m);
	return NULL;
}

/* Each half of each exchange by a thread of its own. */
static void exchange_threads(int index, int fd, pid_t server)
{
	for (int i = 0; i < 2 * TURNS; i++) {
		struct turn t = { .index = index, .fd = fd, .number = i / 2, .reads = i % 2 };
		pthread_t thread;
		if (pthread_create(&thread, NULL, take_turn, &t) || pthread_join(thread, NULL))
			die("thread");
		if (t.reads)
			truth(index, t.number, server);
	}
}

/* The client's part. */
static void exchange(int index, int fd, pid_t server)
{
	const struct path_case *c = &cases[index];
	size_t sent, len;
	char *request = request_of(index, 0, &sent), *response = response_of(index, &len), byte;

	if (c->shape == DUPLICATED) {
		int other = dup(fd);
		close(fd);
		fd = other;
	}
	c->send(fd, request, sent);
	if (c->shape == DUPLICATED) {
		int other = dup2(fd, 200);
		close(fd);
		fd = other;
	}
	if (c->shape == HALF_CLOSED) {
		shutdown(fd, SHUT_WR);
		wait_hangup(fd); /* the connection is over for the kernel before anything is read */
	}
	if (c->shape == CLOSE_DELIMITED)
		wait_hangup(fd);
	if (c->shape == RESET) {
		if (read(fd, &byte, 1) != -1 || errno != ECONNRESET)
			die("no reset");
	} else if (c->shape == UNREAD) {
		receive(c, fd, response, head_of(response, len));
	} else {
		receive(c, fd, response, len);
	}
	if ((c->shape == CLOSE_DELIMITED || c->shape == HALF_CLOSED) && read(fd, &byte, 1) != 0)
		die("no end of stream");
	close(fd);
	truth(index, 0, server);
	free(request);
	free(response);
}

struct opened {
	int client, server;
};

static struct opened open_pair(int index)
{
	struct opened o;
	in_port_t port;
	int listener = listen_for(index, &port);

	o.client = connect_to(index, port);
	o.server = accept(listener, NULL, NULL);
	close(listener);
	if (o.server < 0)
		die("accept");
	return o;
}

static void run_case(int index, const struct opened *before)
{
	const struct path_case *c = &cases[index];
	struct opened o = { -1, -1 };
	int listener = -1, status;
	in_port_t port = 0;

	if (c->shape == PREOPENED) {
		o = *before;
	} else if (c->transport == PAIR) {
		int fds[2];
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
			die("socketpair");
		o = (struct opened){ fds[0], fds[1] };
	} else {
		listener = listen_for(index, &port);
	}
	if (c->shape == REFUSED) {
		close(listener);
		if (connect_to(index, port) >= 0)
			die("a closed port accepts");
		truth(index, 0, 0);
		return;
	}
	pid_t server = start_server(index, listener, o.server);
	if (o.server >= 0)
		close(o.server);
	int fd = o.client >= 0 ? o.client : connect_to(index, port);
	if (listener >= 0)
		close(listener);
	if (c->shape == THREADS) {
		exchange_threads(index, fd, server);
		close(fd);
	} else {
		exchange(index, fd, server);
	}
	while (waitpid(-1, &status, 0) > 0)
		if (status != 0) {
			fprintf(stderr, "paths: %s: the server failed\n", c->name);
			exit(3);
		}
}

/* DNS over UDP: how glibc asks (sendmmsg of two on a connected socket), how others do. */
enum dns_way { DNS_CONNECTED, DNS_UNCONNECTED, DNS_SENDMSG, DNS_SENDMMSG, DNS_WAYS };
static const char *const dns_names[DNS_WAYS] = { "dns-connected", "dns-unconnected", "dns-sendmsg", "dns-sendmmsg" };

static size_t dns_query(const char *name, uint16_t id, uint16_t type, uint8_t *m)
{
	static const char tail[] = "\5paths\4test";
	size_t at = 12;

	memset(m, 0, 12);
	m[0] = (uint8_t)(id >> 8);
	m[1] = (uint8_t)id;
	m[2] = 1; /* recursion desired */
	m[5] = 1; /* one question */
	m[at++] = (uint8_t)strlen(name);
	memcpy(m + at, name, strlen(name));
	at += strlen(name);
	memcpy(m + at, tail, sizeof(tail));
	at += sizeof(tail);
	m[at++] = (uint8_t)(type >> 8);
	m[at++] = (uint8_t)type;
	m[at++] = 0;
	m[at++] = 1;
	return at;
}

static void dns_serve(int fd, int questions)
{
	for (int i = 0; i < questions; i++) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		uint8_t m[512];
		ssize_t n = recvfrom(fd, m, sizeof(m), 0, (struct sockaddr *)&from, &len);
		if (n < 12)
			die("dns recvfrom");
		m[2] |= 0x80;
		m[3] = 0x83; /* NXDOMAIN: needs no answer section */
		if (sendto(fd, m, (size_t)n, 0, (struct sockaddr *)&from, len) != n)
			die("dns sendto");
	}
}

static void dns_ask(int fd, enum dns_way way, const struct sockaddr *to, socklen_t to_len)
{
	uint8_t m[2][512];
	size_t len[2] = { dns_query(dns_names[way], (uint16_t)(1000 + 2 * (int)way), 1, m[0]), dns_query(dns_names[way], (uint16_t)(1001 + 2 * (int)way), 28, m[1]) };
	struct iovec v[2] = { { m[0], len[0] }, { m[1], len[1] } };
	struct mmsghdr mm[2] = { { .msg_hdr = { .msg_iov = &v[0], .msg_iovlen = 1 } }, { .msg_hdr = { .msg_iov = &v[1], .msg_iovlen = 1 } } };
	struct msghdr one = { .msg_name = (void *)(uintptr_t)to, .msg_namelen = to_len, .msg_iov = &v[0], .msg_iovlen = 1 };

	switch (way) {
	case DNS_CONNECTED: moved(send(fd, m[0], len[0], 0), "dns send"); break;
	case DNS_UNCONNECTED: moved(sendto(fd, m[0], len[0], 0, to, to_len), "dns sendto"); break;
	case DNS_SENDMSG: moved(sendmsg(fd, &one, 0), "dns sendmsg"); break;
	default:
		if (sendmmsg(fd, mm, 2, 0) != 2)
			die("dns sendmmsg");
	}
}

static void run_dns(enum dns_way way)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int server = socket(AF_INET, SOCK_DGRAM, 0), fd = socket(AF_INET, SOCK_DGRAM, 0), status, questions = way == DNS_SENDMMSG ? 2 : 1;
	uint8_t answer[512];

	if (server < 0 || fd < 0 || bind(server, (struct sockaddr *)&sa, sizeof(sa)) || getsockname(server, (struct sockaddr *)&sa, &len))
		die("udp");
	pid_t pid = fork();
	if (pid == 0) {
		dns_serve(server, questions);
		_exit(0);
	}
	close(server);
	if ((way == DNS_CONNECTED || way == DNS_SENDMMSG) && connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		die("udp connect");
	dns_ask(fd, way, (struct sockaddr *)&sa, sizeof(sa));
	for (int i = 0; i < questions; i++)
		if (moved(way == DNS_UNCONNECTED ? recv_recvfrom(fd, (char *)answer, sizeof(answer)) : way == DNS_SENDMSG ? recv_recvmsg(fd, (char *)answer, sizeof(answer)) :
												  recv(fd, answer, sizeof(answer), 0), "dns answer") < 12)
			die("short dns answer");
	close(fd);
	waitpid(pid, &status, 0);
	printf("{\"case\":\"%s\",\"name\":\"%s.paths.test\",\"questions\":%d,\"rcode\":\"NXDOMAIN\",\"client_pid\":%d,\"server_pid\":%d}\n", dns_names[way], dns_names[way], questions,
	       (int)getpid(), (int)pid);
	fflush(stdout);
}

static bool chosen(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc < 2;
}

int main(int argc, char **argv)
{
	static struct opened before[CASES];
	struct uring probe;
	char line[16];

	if (argc == 4 && strcmp(argv[1], "--serve") == 0) {
		serve((int)strtol(argv[2], NULL, 10), (int)strtol(argv[3], NULL, 10));
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		for (int i = 0; i < CASES; i++)
			puts(cases[i].name);
		for (int i = 0; i < DNS_WAYS; i++)
			puts(dns_names[i]);
		return 0;
	}
	if (!mkdtemp(directory))
		die("mkdtemp");
	for (int i = 0; i < CASES; i++)
		if (cases[i].shape == PREOPENED)
			before[i] = open_pair(i);
	fprintf(stderr, "ready %d\n", (int)getpid());
	if (!fgets(line, sizeof(line), stdin))
		die("standard input ended");

	int err = uring_init(&probe);
	for (int i = 0; i < CASES; i++) {
		if (!chosen(cases[i].name, argc, argv))
			continue;
		if (err && strncmp(cases[i].name, "io_uring", 8) == 0) {
			printf("{\"case\":\"%s\",\"skipped\":\"io_uring_setup: %s\"}\n", cases[i].name, strerror(-err));
			fflush(stdout);
			continue;
		}
		run_case(i, &before[i]);
	}
	for (int i = 0; i < DNS_WAYS; i++)
		if (chosen(dns_names[i], argc, argv))
			run_dns((enum dns_way)i);
	for (int i = 0; i < CASES; i++) {
		struct sockaddr_storage sa;
		if ((cases[i].transport == UNIX || cases[i].transport == SEQPACKET) && address_of(i, &sa, 0, false))
			unlink(((struct sockaddr_un *)&sa)->sun_path);
	}
	rmdir(directory);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Every way to move a message over a stream socket. A way moves all of it or fails; it never touches what the message says. */
#ifndef PATHS_WAYS_H
#define PATHS_WAYS_H

#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "paths_uring.h"

#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY 0x4000000
#endif
#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY 60
#endif

enum { PIECE = 7, MANY = 67, SEGMENTS_MAX = 256 };

static void die(const char *what)
{
	fprintf(stderr, "paths: %s: %s\n", what, strerror(errno));
	exit(3);
}

/* Result of one call: how far it got; dies of anything but success and a signal. */
static size_t moved(ssize_t n, const char *what)
{
	if (n < 0 && errno == EINTR)
		return 0;
	if (n < 0)
		die(what);
	return (size_t)n;
}

/*
 * Cuts a message into `n` segments of nearly equal size with an empty one after each of the first
 * three. Returns how many there are.
 */
static int cut(struct iovec *v, const char *data, size_t len, int n)
{
	size_t at = 0;
	int k = 0;

	for (int i = 0; i < n; i++) {
		size_t part = i == n - 1 ? len - at : len / (size_t)n;
		v[k++] = (struct iovec){ (void *)(uintptr_t)(data + at), part };
		if (i < 3)
			v[k++] = (struct iovec){ (void *)(uintptr_t)data, 0 };
		at += part;
	}
	return k;
}

#define SEND_LOOP(name, call)                                           \
	static void name(int fd, const char *data, size_t len)          \
	{                                                               \
		for (size_t at = 0; at < len;)                          \
			at += moved(call, #name);                       \
	}
SEND_LOOP(send_write, write(fd, data + at, len - at))
SEND_LOOP(send_send, send(fd, data + at, len - at, MSG_NOSIGNAL))
SEND_LOOP(send_sendto, sendto(fd, data + at, len - at, MSG_NOSIGNAL, NULL, 0))

static void send_vector(int fd, const char *data, size_t len, int segments, bool msg, int offset)
{
	struct iovec v[SEGMENTS_MAX];
	int n = cut(v, data, len, segments);
	struct msghdr m = { .msg_iov = v, .msg_iovlen = (size_t)n };
	ssize_t sent = msg ? sendmsg(fd, &m, MSG_NOSIGNAL) : offset ? pwritev2(fd, v, n, -1, 0) : writev(fd, v, n);

	if (moved(sent, "vector") != len)
		die("short vectored write on a blocking socket");
}
static void send_writev(int fd, const char *data, size_t len) { send_vector(fd, data, len, 3, false, 0); }
static void send_writev_many(int fd, const char *data, size_t len) { send_vector(fd, data, len, MANY, false, 0); }
static void send_pwritev2(int fd, const char *data, size_t len) { send_vector(fd, data, len, 5, false, 1); }
static void send_sendmsg(int fd, const char *data, size_t len) { send_vector(fd, data, len, 5, true, 0); }
static void send_sendmsg_many(int fd, const char *data, size_t len) { send_vector(fd, data, len, MANY, true, 0); }

static void send_sendmmsg(int fd, const char *data, size_t len)
{
	struct iovec v[3][SEGMENTS_MAX];
	struct mmsghdr m[3] = { 0 };
	size_t part = len / 3;

	for (int i = 0; i < 3; i++) {
		size_t here = i == 2 ? len - 2 * part : part;
		m[i].msg_hdr.msg_iov = v[i];
		m[i].msg_hdr.msg_iovlen = (size_t)cut(v[i], data + (size_t)i * part, here, 2);
	}
	if (moved(sendmmsg(fd, m, 3, MSG_NOSIGNAL), "sendmmsg") != 3)
		die("sendmmsg sent fewer messages");
}

static int message_file(const char *data, size_t len)
{
	FILE *f = tmpfile();

	if (!f || fwrite(data, 1, len, f) != len || fflush(f))
		die("tmpfile");
	return fileno(f); /* stays open until the process ends */
}

static void send_sendfile_at(int fd, int from, off_t at, size_t len)
{
	while ((size_t)at < len)
		if (moved(sendfile(fd, from, &at, len - (size_t)at), "sendfile") == 0)
			die("sendfile stopped");
}
static void send_sendfile(int fd, const char *data, size_t len) { send_sendfile_at(fd, message_file(data, len), 0, len); }

static size_t head_of(const char *data, size_t len)
{
	const char *end = memmem(data, len, "\r\n\r\n", 4);

	return end ? (size_t)(end - data) + 4 : len;
}

static void send_sendfile_body(int fd, const char *data, size_t len)
{
	size_t head = head_of(data, len);

	if (moved(send(fd, data, head, MSG_MORE | MSG_NOSIGNAL), "send") != head)
		die("short send");
	send_sendfile_at(fd, message_file(data, len), (off_t)head, len);
}

static void send_through_pipe(int fd, const char *data, size_t len, bool map)
{
	int p[2];

	if (pipe(p))
		die("pipe");
	for (size_t at = 0; at < len;) {
		struct iovec v = { (void *)(uintptr_t)(data + at), len - at > 4096 ? 4096 : len - at };
		size_t n = moved(map ? vmsplice(p[1], &v, 1, 0) : write(p[1], v.iov_base, v.iov_len), "pipe");
		for (size_t out = 0; out < n;)
			out += moved(splice(p[0], NULL, fd, NULL, n - out, 0), "splice");
		at += n;
	}
	close(p[0]);
	close(p[1]);
}
static void send_splice(int fd, const char *data, size_t len) { send_through_pipe(fd, data, len, false); }
static void send_vmsplice(int fd, const char *data, size_t len) { send_through_pipe(fd, data, len, true); }

static size_t uring_moved(ssize_t n, const char *what)
{
	if (n < 0) {
		errno = (int)-n;
		die(what);
	}
	return (size_t)n;
}
SEND_LOOP(send_uring, (ssize_t)uring_moved(uring_op(IORING_OP_SEND, fd, data + at, (uint32_t)(len - at), MSG_NOSIGNAL), "io_uring send"))
SEND_LOOP(send_uring_write, (ssize_t)uring_moved(uring_op(IORING_OP_WRITE, fd, data + at, (uint32_t)(len - at), 0), "io_uring write"))

static void send_uring_msg(int fd, const char *data, size_t len)
{
	struct iovec v[SEGMENTS_MAX];
	struct msghdr m = { .msg_iov = v, .msg_iovlen = (size_t)cut(v, data, len, 3) };

	if (uring_moved(uring_op(IORING_OP_SENDMSG, fd, &m, 1, MSG_NOSIGNAL), "io_uring sendmsg") != len)
		die("short io_uring sendmsg");
}

static void send_zerocopy(int fd, const char *data, size_t len)
{
	int one = 1;
	char control[128];
	struct msghdr m = { .msg_control = control, .msg_controllen = sizeof(control) };
	struct pollfd p = { .fd = fd };

	if (setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)))
		die("SO_ZEROCOPY");
	if (moved(send(fd, data, len, MSG_ZEROCOPY | MSG_NOSIGNAL), "zerocopy") != len)
		die("short zerocopy send");
	/* The kernel says in the error queue when it needs the pages no more: a receive that is none. */
	while (recvmsg(fd, &m, MSG_ERRQUEUE) < 0) {
		if (errno != EAGAIN || poll(&p, 1, 10000) <= 0)
			die("error queue");
		m.msg_controllen = sizeof(control);
	}
}

static void send_more(int fd, const char *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		size_t part = len - at > 89 ? 89 : len - at;
		at += moved(send(fd, data + at, part, MSG_NOSIGNAL | (at + part < len ? MSG_MORE : 0)), "MSG_MORE");
	}
}

static void send_corked(int fd, const char *data, size_t len)
{
	int on = 1, off = 0;

	if (setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)))
		die("TCP_CORK");
	for (size_t at = 0; at < len;)
		at += moved(write(fd, data + at, len - at > PIECE ? PIECE : len - at), "write");
	if (setsockopt(fd, IPPROTO_TCP, TCP_CORK, &off, sizeof(off)))
		die("TCP_CORK");
}

/* As event loops do: writes what fits, waits, goes on; vectored it advances its segments. */
static void send_nonblock_by(int fd, const char *data, size_t len, bool vector)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int flags = fcntl(fd, F_GETFL);

	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	for (size_t at = 0; at < len;) {
		size_t left = len - at, half = left / 2;
		struct iovec v[2] = { { (void *)(uintptr_t)(data + at), half }, { (void *)(uintptr_t)(data + at + half), left - half } };
		ssize_t n = vector ? writev(fd, v, 2) : write(fd, data + at, left);
		if (n < 0 && errno == EAGAIN) {
			if (poll(&p, 1, 10000) <= 0)
				die("peer does not read");
			continue;
		}
		at += moved(n, "non-blocking write");
	}
	fcntl(fd, F_SETFL, flags);
}
static void send_nonblock(int fd, const char *data, size_t len) { send_nonblock_by(fd, data, len, false); }
static void send_nonblock_vector(int fd, const char *data, size_t len) { send_nonblock_by(fd, data, len, true); }

/* The same with sendmmsg: a message that was sent in part ends the call, and the next one uses the same array. */
static void send_nonblock_mmsg(int fd, const char *data, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int flags = fcntl(fd, F_GETFL);
	struct mmsghdr m[2];

	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	for (size_t at = 0; at < len;) {
		size_t half = (len - at + 1) / 2;
		struct iovec v[2] = { { (void *)(uintptr_t)(data + at), half }, { (void *)(uintptr_t)(data + at + half), len - at - half } };
		memset(m, 0, sizeof(m));
		m[0].msg_hdr.msg_iov = &v[0];
		m[1].msg_hdr.msg_iov = &v[1];
		m[0].msg_hdr.msg_iovlen = m[1].msg_hdr.msg_iovlen = 1;
		int n = sendmmsg(fd, m, v[1].iov_len ? 2 : 1, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN) {
			if (poll(&p, 1, 10000) <= 0)
				die("peer does not read");
			continue;
		}
		if (moved(n, "sendmmsg") > 0)
			at += m[0].msg_len + (n == 2 ? m[1].msg_len : 0);
	}
	fcntl(fd, F_SETFL, flags);
}

/* From pages of a file that this process has never touched. */
static void send_cold(int fd, const char *data, size_t len)
{
	int file = message_file(data, len);

	posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
	char *map = mmap(NULL, len, PROT_READ, MAP_PRIVATE, file, 0);
	if (map == MAP_FAILED)
		die("mmap");
	send_write(fd, map, len);
	munmap(map, len);
}

/* Head from memory, body from anonymous pages that were never written: zeros. The message's body must be zeros too. */
static void send_untouched(int fd, const char *data, size_t len)
{
	size_t head = head_of(data, len);
	char *map = mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		die("mmap");
	struct iovec v[2] = { { (void *)(uintptr_t)data, head }, { map, len - head } };
	if (moved(writev(fd, v, 2), "writev") != len)
		die("short writev");
	munmap(map, len);
}

/* Receiving: up to len bytes, 0 at the end. */
static ssize_t recv_read(int fd, char *buf, size_t len) { return read(fd, buf, len); }
static ssize_t recv_recv(int fd, char *buf, size_t len) { return recv(fd, buf, len, 0); }
static ssize_t recv_waitall(int fd, char *buf, size_t len) { return recv(fd, buf, len, MSG_WAITALL); }

static ssize_t recv_recvfrom(int fd, char *buf, size_t len)
{
	struct sockaddr_storage from;
	socklen_t n = sizeof(from);

	return recvfrom(fd, buf, len, 0, (struct sockaddr *)&from, &n);
}

static ssize_t recv_vector(int fd, char *buf, size_t len, int segments, int how)
{
	struct iovec v[SEGMENTS_MAX];
	int n = cut(v, buf, len, len > (size_t)segments ? segments : 1);
	struct msghdr m = { .msg_iov = v, .msg_iovlen = (size_t)n };

	return how == 0 ? readv(fd, v, n) : how == 1 ? preadv2(fd, v, n, -1, 0) : recvmsg(fd, &m, 0);
}
static ssize_t recv_readv(int fd, char *buf, size_t len) { return recv_vector(fd, buf, len, 3, 0); }
static ssize_t recv_readv_many(int fd, char *buf, size_t len) { return recv_vector(fd, buf, len, MANY, 0); }
static ssize_t recv_preadv2(int fd, char *buf, size_t len) { return recv_vector(fd, buf, len, 5, 1); }
static ssize_t recv_recvmsg(int fd, char *buf, size_t len) { return recv_vector(fd, buf, len, 5, 2); }
static ssize_t recv_recvmsg_many(int fd, char *buf, size_t len) { return recv_vector(fd, buf, len, MANY, 2); }

static ssize_t recv_recvmmsg(int fd, char *buf, size_t len)
{
	size_t half = len > 100 ? 97 : len;
	struct iovec v[2] = { { buf, half }, { buf + half, len - half } };
	struct mmsghdr m[2] = { { .msg_hdr = { .msg_iov = &v[0], .msg_iovlen = 1 } }, { .msg_hdr = { .msg_iov = &v[1], .msg_iovlen = 1 } } };
	int n = recvmmsg(fd, m, len > half ? 2 : 1, MSG_WAITFORONE, NULL);

	if (n < 0)
		return -1;
	if (n == 2 && m[0].msg_len < half) { /* the gap closes up */
		memmove(buf + m[0].msg_len, buf + half, m[1].msg_len);
	}
	return (ssize_t)(m[0].msg_len + (n == 2 ? m[1].msg_len : 0));
}

static ssize_t recv_splice(int fd, char *buf, size_t len)
{
	int p[2];
	size_t at = 0;

	if (pipe(p))
		die("pipe");
	ssize_t n = splice(fd, NULL, p[1], NULL, len > 4096 ? 4096 : len, 0);
	while (n > 0 && at < (size_t)n)
		at += moved(read(p[0], buf + at, (size_t)n - at), "pipe");
	close(p[0]);
	close(p[1]);
	return n;
}

static ssize_t recv_uring(int fd, char *buf, size_t len) { return (ssize_t)uring_moved(uring_op(IORING_OP_RECV, fd, buf, (uint32_t)len, 0), "io_uring recv"); }
static ssize_t recv_uring_read(int fd, char *buf, size_t len) { return (ssize_t)uring_moved(uring_op(IORING_OP_READ, fd, buf, (uint32_t)len, 0), "io_uring read"); }

static ssize_t recv_uring_msg(int fd, char *buf, size_t len)
{
	struct iovec v = { buf, len };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	return (ssize_t)uring_moved(uring_op(IORING_OP_RECVMSG, fd, &m, 1, 0), "io_uring recvmsg");
}

static ssize_t recv_peek(int fd, char *buf, size_t len)
{
	ssize_t n = recv(fd, buf, len, MSG_PEEK);

	return n > 0 ? read(fd, buf, (size_t)n) : n;
}

/* Looks at the head, throws the body away unread. */
static ssize_t recv_discard(int fd, char *buf, size_t len)
{
	ssize_t n = recv(fd, buf, len, MSG_PEEK);

	if (n <= 0)
		return n;
	size_t head = head_of(buf, (size_t)n);
	if (head < (size_t)n || memmem(buf, (size_t)n, "HTTP/1.1", 8) != NULL)
		return read(fd, buf, head);
	return recv(fd, buf, len, MSG_TRUNC);
}

/* Into pages that were never touched. */
static ssize_t recv_cold(int fd, char *buf, size_t len)
{
	char *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		die("mmap");
	ssize_t n = read(fd, map, len);
	if (n > 0)
		memcpy(buf, map, (size_t)n);
	munmap(map, len);
	return n;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS by the kernel, with keys that both ends know: Documentation/networking/tls.rst. What a handshake would be are some bytes that mean nothing. Behind it the server sends a record of the protocol's own (a ticket), and
 * so does who ends (an alert).
 */
#ifndef PLUMB_TESTS_KTLS_H
#define PLUMB_TESTS_KTLS_H

#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif

enum { KTLS_ALERT = 21, KTLS_HANDSHAKE = 22, KTLS_DATA = 23, KTLS_HELLO = 61 };

static int ktls_keys(int fd, int direction, bool of_client)
{
	struct tls12_crypto_info_aes_gcm_128 c = { .info = { .version = TLS_1_2_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128 } };

	memset(c.key, of_client ? 3 : 7, sizeof(c.key));
	memset(c.salt, of_client ? 11 : 13, sizeof(c.salt));
	return setsockopt(fd, SOL_TLS, direction, &c, sizeof(c));
}

static bool ktls_send_record(int fd, unsigned char type, const void *data, size_t len)
{
	char control[CMSG_SPACE(1)] = "";
	struct iovec v = { .iov_base = (void *)data, .iov_len = len };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_TLS;
	c->cmsg_type = TLS_SET_RECORD_TYPE;
	c->cmsg_len = CMSG_LEN(1);
	*CMSG_DATA(c) = type;
	return sendmsg(fd, &m, MSG_NOSIGNAL) == (ssize_t)len;
}

static ssize_t ktls_send(int fd, const void *data, size_t len, bool more) { return send(fd, data, len, MSG_NOSIGNAL | (more ? MSG_MORE : 0)); }

static ssize_t ktls_send_file(int fd, int file, off_t at, size_t len) { return sendfile(fd, file, &at, len); }

/* As recv(); what an alert brings is the end, and a handshake's message nothing. */
static ssize_t ktls_receive(int fd, void *data, size_t len)
{
	for (;;) {
		char control[CMSG_SPACE(1)] = "";
		struct iovec v = { .iov_base = data, .iov_len = len };
		struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(fd, &m, 0);
		struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;

		if (!c || c->cmsg_level != SOL_TLS || *CMSG_DATA(c) == KTLS_DATA)
			return n;
		if (*CMSG_DATA(c) == KTLS_ALERT)
			return 0;
	}
}

static bool ktls_begin(int fd, bool server)
{
	char hello[KTLS_HELLO];
	static const char ticket[] = "\4\0\0\52 what a client may come back with later";

	memset(hello, server ? 0xa5 : 0x5a, sizeof(hello));
	if (!server && send(fd, hello, sizeof(hello), MSG_NOSIGNAL) != sizeof(hello))
		return false;
	if (recv(fd, hello, sizeof(hello), MSG_WAITALL) != sizeof(hello))
		return false;
	memset(hello, 0xa5, sizeof(hello));
	if (server && send(fd, hello, sizeof(hello), MSG_NOSIGNAL) != sizeof(hello))
		return false;
	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) || ktls_keys(fd, TLS_TX, !server) || ktls_keys(fd, TLS_RX, server))
		return false;
	return !server || ktls_send_record(fd, KTLS_HANDSHAKE, ticket, sizeof(ticket));
}

static bool ktls_end(int fd) { return ktls_send_record(fd, KTLS_ALERT, "\1", 2); }

#endif

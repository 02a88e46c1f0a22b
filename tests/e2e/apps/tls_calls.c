/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_calls memory|socket CERTIFICATE KEY BYTES < "ROUNDS"…: a client and a server of TLS in one thread, who exchange a request of HTTP and an answer with a body of so many bytes, each round on the same connection, over
 * memory or over a connection of loopback. Each line says how many rounds; prints what they took, in nanoseconds. A round is two SSL_write() and two SSL_read().
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BODY_MAX = 16000, MESSAGE_MAX = BODY_MAX + 256 };


static void die(const char *what)
{
	fprintf(stderr, "tls_calls: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static SSL *session(const char *certificate, const char *key, int serves)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	SSL *ssl;

	if (!ctx || (serves && (SSL_CTX_use_certificate_file(ctx, certificate, SSL_FILETYPE_PEM) != 1 || SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)))
		die("no certificate");
	SSL_CTX_set_num_tickets(ctx, 0);
	ssl = SSL_new(ctx);
	if (serves)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return ssl;
}

static void through_memory(SSL *a, SSL *b)
{
	BIO *x, *y;

	if (BIO_new_bio_pair(&x, 2 * MESSAGE_MAX, &y, 2 * MESSAGE_MAX) != 1)
		die("no memory");
	SSL_set_bio(a, x, x);
	SSL_set_bio(b, y, y);
}

static void through_sockets(SSL *a, SSL *b)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int listens = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (bind(listens, (struct sockaddr *)&at, sizeof(at)) || listen(listens, 1) || getsockname(listens, (struct sockaddr *)&at, &len))
		die("no socket");
	connect(client, (struct sockaddr *)&at, sizeof(at));
	SSL_set_fd(a, client);
	SSL_set_fd(b, accept4(listens, NULL, NULL, SOCK_NONBLOCK));
	close(listens);
}

static void move(SSL *from, SSL *to, const char *message, int len)
{
	static char got[MESSAGE_MAX];
	int n = 0, all = 0;

	if (SSL_write(from, message, len) != len)
		die("not written");
	do {
		n = SSL_read(to, got, sizeof(got));
		if (n <= 0 && SSL_get_error(to, n) != SSL_ERROR_WANT_READ)
			die("not read");
		all += n > 0 ? n : 0;
	} while (all < len);
}

int main(int argc, char **argv)
{
	static const char request[] = "GET /items/17 HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";
	static char answer[MESSAGE_MAX], line[32];
	int body = argc > 4 ? atoi(argv[4]) : -1;

	if (body < 0 || body > BODY_MAX)
		die("usage: tls_calls memory|socket CERTIFICATE KEY BYTES");
	SSL *client = session(argv[2], argv[3], 0), *server = session(argv[2], argv[3], 1);
	(strcmp(argv[1], "memory") == 0 ? through_memory : through_sockets)(client, server);
	while (!SSL_is_init_finished(client) || !SSL_is_init_finished(server)) {
		SSL_do_handshake(client);
		SSL_do_handshake(server);
	}
	int head = snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", body);
	memset(answer + head, 'x', (size_t)body);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		uint64_t begin = now_ns();
		for (long i = atol(line); i > 0; i--) {
			move(client, server, request, sizeof(request) - 1);
			move(server, client, answer, head + body);
		}
		printf("%llu\n", (unsigned long long)(now_ns() - begin));
		fflush(stdout);
	}
	return 0;
}

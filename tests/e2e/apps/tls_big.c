/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTPS with one SSL_write_ex of many bytes at once, and requests behind it on the same connection: tls_big CERTIFICATE KEY BYTES COUNT < "go". Its child is the server, which reads piece by piece. Prints {"port","server"}
 * when both are ready.
 */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
static char piece[65536];

static void check(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s failed\n", what);
	exit(1);
}

static void read_head(SSL *s)
{
	char head[1024];
	size_t len = 0, n;

	while (len < 4 || memcmp(head + len - 4, "\r\n\r\n", 4) != 0) {
		check(len < sizeof(head) && SSL_read_ex(s, head + len, 1, &n), "reading a head");
		len += n;
	}
}

static void write_all(SSL *s, const void *bytes, size_t len)
{
	size_t n;

	check(SSL_write_ex(s, bytes, len, &n) && n == len, "writing");
}

static void serve(int listener, SSL_CTX *x, size_t bytes, int count)
{
	SSL *s = SSL_new(x);
	size_t n;

	SSL_set_fd(s, accept(listener, NULL, NULL));
	check(SSL_accept(s) == 1, "SSL_accept");
	read_head(s);
	for (size_t got = 0; got < bytes; got += n)
		check(SSL_read_ex(s, piece, bytes - got < sizeof(piece) ? bytes - got : sizeof(piece), &n), "reading the body");
	write_all(s, answer, sizeof(answer) - 1);
	for (int i = 0; i < count; i++) {
		read_head(s);
		write_all(s, answer, sizeof(answer) - 1);
	}
	SSL_free(s);
	_exit(0);
}

int main(int argc, char **argv)
{
	check(argc == 5, "a certificate, its key, bytes and a count");
	size_t bytes = strtoull(argv[3], NULL, 10);
	int count = atoi(argv[4]), status, listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	char head[256];
	SSL_CTX *x = SSL_CTX_new(TLS_server_method());

	check(SSL_CTX_use_certificate_file(x, argv[1], SSL_FILETYPE_PEM) == 1 && SSL_CTX_use_PrivateKey_file(x, argv[2], SSL_FILETYPE_PEM) == 1, "the certificate");
	check(bind(listener, (void *)&a, sizeof(a)) == 0 && listen(listener, 1) == 0 && getsockname(listener, (void *)&a, &len) == 0, "listening");
	pid_t server = fork();
	if (server == 0)
		serve(listener, x, bytes, count);
	printf("{\"port\": %d, \"server\": %d}\n", ntohs(a.sin_port), server);
	fflush(stdout);
	check(fgets(head, sizeof(head), stdin) != NULL, "being told to go");
	check(connect(fd, (void *)&a, sizeof(a)) == 0, "connect");
	SSL *s = SSL_new(SSL_CTX_new(TLS_client_method()));
	SSL_set_fd(s, fd);
	check(SSL_connect(s) == 1, "SSL_connect");
	void *body = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	check(body != MAP_FAILED, "mmap");
	write_all(s, head, (size_t)snprintf(head, sizeof(head), "PUT /big HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", bytes));
	write_all(s, body, bytes);
	read_head(s);
	for (int i = 0; i < count; i++) {
		write_all(s, head, (size_t)snprintf(head, sizeof(head), "GET /small/%d HTTP/1.1\r\nHost: a\r\n\r\n", i));
		read_head(s);
	}
	SSL_shutdown(s);
	SSL_free(s);
	check(waitpid(server, &status, 0) == server && status == 0, "the server");
	return 0;
}

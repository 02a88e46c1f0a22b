/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP over TLS by an OpenSSL that is linked in; the routes of the truth tests (the same as httpd.py), and their requests.
 * tls_static serve PORT FOLDER: a thread for each connection, with SSL_read and SSL_write. tls_static ask PORT FOLDER CONNECTIONS: a plan of JSON lines, one connection after the other, with SSL_read_ex and SSL_write_ex.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PLAN_MAX = 20000, BODY_MAX = 300000 };

static SSL_CTX *context;
static char filler[BODY_MAX];

static void fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	ERR_print_errors_fp(stderr);
	_exit(1);
}

/* Two small writes an answer: no waiting for delayed ACKs. */
static void no_delay(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* --- the server --- */

static void put(SSL *s, const void *bytes, size_t len)
{
	for (size_t done = 0; done < len;) {
		int n = SSL_write(s, (const char *)bytes + done, (int)(len - done > 16000 ? 16000 : len - done));
		if (n <= 0)
			pthread_exit(NULL);
		done += (size_t)n;
	}
}

static void answer(SSL *s, int status, const char *body, size_t len, int head)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n", status, len);

	if (status == 204)
		n = snprintf(text, sizeof(text), "HTTP/1.1 204 X\r\n\r\n");
	put(s, text, (size_t)n);
	if (!head && status != 204)
		put(s, body, len);
}

static void serve_one(SSL *s, const char *method, const char *path)
{
	int head = strcmp(method, "HEAD") == 0;

	if (strncmp(path, "/items/", 7) == 0) {
		answer(s, strcmp(method, "DELETE") == 0 ? 204 : 200, "one item\n", 9, head);
	} else if (strncmp(path, "/upload/", 8) == 0) {
		answer(s, 201, "stored\n", 7, head);
	} else if (strncmp(path, "/big/", 5) == 0) {
		answer(s, 200, filler, 200003, head);
	} else if (strncmp(path, "/chunks/", 8) == 0) {
		static const char head_of_chunks[] = "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n";
		char chunk[1024];
		put(s, head_of_chunks, sizeof(head_of_chunks) - 1);
		for (int i = 0; i < 5; i++)
			put(s, chunk, (size_t)snprintf(chunk, sizeof(chunk), "2bd\r\n%.701s\r\n", filler));
		put(s, "0\r\n\r\n", 5);
	} else if (strncmp(path, "/slow/", 6) == 0) {
		nanosleep(&(struct timespec){ .tv_nsec = 53 * 1000 * 1000 }, NULL);
		answer(s, 200, "at last\n", 8, head);
	} else if (strncmp(path, "/fail/", 6) == 0) {
		answer(s, 500, "no\n", 3, head);
	} else if (strncmp(path, "/busy/", 6) == 0) {
		answer(s, 503, "later\n", 6, head);
	} else {
		answer(s, 404, "none\n", 5, head);
	}
}

static void *serve(void *arg)
{
	static __thread char request[65536];
	SSL *s = SSL_new(context);
	size_t have = 0;

	no_delay((int)(long)arg);
	SSL_set_fd(s, (int)(long)arg);
	if (SSL_accept(s) != 1)
		return NULL;
	for (;;) {
		char *end, method[16], path[128], *length;
		while (!(end = memmem(request, have, "\r\n\r\n", 4))) {
			int n = SSL_read(s, request + have, (int)(sizeof(request) - 1 - have));
			if (n <= 0)
				goto out;
			have += (size_t)n;
		}
		request[have] = 0;
		if (sscanf(request, "%15s %127s", method, path) != 2)
			goto out;
		length = strcasestr(request, "content-length:");
		size_t whole = (size_t)(end + 4 - request) + (length && length < end ? strtoul(length + 15, NULL, 10) : 0);
		while (have < whole) {
			int n = SSL_read(s, request + have, (int)(sizeof(request) - 1 - have));
			if (n <= 0)
				goto out;
			have += (size_t)n;
		}
		serve_one(s, method, path);
		have -= whole;
		memmove(request, request + whole, have);
	}
out:
	SSL_shutdown(s);
	SSL_free(s);
	close((int)(long)arg);
	return NULL;
}

static struct sockaddr_in place(const char *port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(port, NULL, 10)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void server(const char *port, const char *folder)
{
	struct sockaddr_in at = place(port);
	char path[4096];
	int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	context = SSL_CTX_new(TLS_server_method());
	snprintf(path, sizeof(path), "%s/cert.pem", folder);
	if (SSL_CTX_use_certificate_chain_file(context, path) != 1)
		fail(path);
	snprintf(path, sizeof(path), "%s/key.pem", folder);
	if (SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) != 1)
		fail(path);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 128))
		fail("bind");
	for (;;) {
		pthread_t thread;
		int client = accept(fd, NULL, NULL);
		if (client >= 0 && pthread_create(&thread, NULL, serve, (void *)(long)client) == 0)
			pthread_detach(thread);
	}
}

/* --- the client --- */

static struct request {
	char method[16], path[128];
	size_t body;
} plan[PLAN_MAX];

/* The value behind `"name": `, without its quotes. */
static void field(const char *line, const char *name, char *to, size_t len)
{
	const char *at = strstr(line, name);
	size_t n = 0;

	for (at = at ? at + strlen(name) + 2 : ""; n < len - 1 && *at && !strchr(",}", *at); at++)
		if (*at != '"')
			to[n++] = *at;
	to[n] = 0;
}

static size_t get(SSL *s, char *to, size_t len)
{
	size_t n = 0;

	if (SSL_read_ex(s, to, len, &n) != 1)
		fail("read");
	return n;
}

static int ask_one(SSL *s, const struct request *r, const char *port)
{
	static char text[BODY_MAX + 4096];
	size_t n, have = 0;
	int head = snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: localhost:%s\r\nContent-Length: %zu\r\n\r\n", r->method, r->path, port, r->body), status;
	char *end, *length;

	memcpy(text + head, filler, r->body);
	for (size_t done = 0; done < (size_t)head + r->body; done += n)
		if (SSL_write_ex(s, text + done, (size_t)head + r->body - done, &n) != 1)
			fail("write");
	do {
		have += get(s, text + have, sizeof(text) - 1 - have);
		text[have] = 0;
	} while (!(end = strstr(text, "\r\n\r\n")));
	if (sscanf(text, "HTTP/1.1 %d", &status) != 1)
		fail(text);
	if (strcmp(r->method, "HEAD") == 0 || status == 204)
		return status;
	*end = 0;
	length = strcasestr(text, "content-length: ");
	*end = '\r';
	for (;;) {
		if (length ? have >= (size_t)(end + 4 - text) + strtoul(length + 16, NULL, 10) : have >= 5 && memcmp(text + have - 5, "0\r\n\r\n", 5) == 0)
			return status;
		have += get(s, text + have, sizeof(text) - 1 - have);
		text[have] = 0;
	}
}

static int client(const char *port, const char *folder, int connections)
{
	struct sockaddr_in at = place(port);
	char line[512], path[4096];
	int n = 0;

	while (fgets(line, sizeof(line), stdin) && strcmp(line, "go\n") != 0) {
		char body[16];
		if (n == PLAN_MAX)
			fail("a plan too long");
		field(line, "\"method\"", plan[n].method, sizeof(plan[n].method));
		field(line, "\"path\"", plan[n].path, sizeof(plan[n].path));
		field(line, "\"body\"", body, sizeof(body));
		plan[n++].body = strtoul(body, NULL, 10);
	}
	context = SSL_CTX_new(TLS_client_method());
	snprintf(path, sizeof(path), "%s/cert.pem", folder);
	if (SSL_CTX_load_verify_locations(context, path, NULL) != 1)
		fail(path);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	for (int c = 0; c < connections; c++) {
		SSL *s = SSL_new(context);
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		no_delay(fd);
		SSL_set_fd(s, fd);
		SSL_set_tlsext_host_name(s, "localhost");
		if (connect(fd, (struct sockaddr *)&at, sizeof(at)) || SSL_connect(s) != 1)
			fail("connect");
		for (int i = c; i < n; i += connections) {
			struct timespec begin, end;
			clock_gettime(CLOCK_MONOTONIC, &begin);
			int status = ask_one(s, &plan[i], port);
			clock_gettime(CLOCK_MONOTONIC, &end);
			printf("{\"path\": \"%s\", \"status\": %d, \"ns\": %lld}\n", plan[i].path, status, (end.tv_sec - begin.tv_sec) * 1000000000ll + end.tv_nsec - begin.tv_nsec);
		}
		SSL_shutdown(s);
		SSL_free(s);
		close(fd);
	}
	return 0;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	memset(filler, 'b', sizeof(filler));
	if (argc == 4 && strcmp(argv[1], "serve") == 0)
		server(argv[2], argv[3]);
	if (argc == 5 && strcmp(argv[1], "ask") == 0)
		return client(argv[2], argv[3], (int)strtol(argv[4], NULL, 10));
	return 2;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One connection over TLS, on which a thread always waits for the next answer: reader_thread PORT FIRST COUNT. A request, "ready", and when "go" is read COUNT more, one after the other: /items/N and /missing/N in turn. */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static SSL *s;
static sem_t answered;

static void check(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s failed\n", what);
	_exit(1);
}

/* Each answer comes in one record. */
static void *reads(void *none)
{
	char answer[4096];

	for (int n; (n = SSL_read(s, answer, sizeof(answer))) > 0;) {
		check(n > 12 && memcmp(answer, "HTTP/1.1 ", 9) == 0, "an answer");
		sem_post(&answered);
	}
	return none;
}

static void get(int n)
{
	char request[128];
	int len = snprintf(request, sizeof(request), "GET /%s/%d HTTP/1.1\r\nHost: localhost\r\n\r\n", n % 2 ? "missing" : "items", n);

	check(SSL_write(s, request, len) == len, "SSL_write");
	sem_wait(&answered);
}

int main(int argc, char **argv)
{
	check(argc == 4, "a port, a number and a count");
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	pthread_t thread;
	char line[16];

	check(connect(fd, (void *)&to, sizeof(to)) == 0, "connect");
	s = SSL_new(SSL_CTX_new(TLS_client_method()));
	SSL_set_fd(s, fd);
	check(SSL_connect(s) == 1, "SSL_connect");
	sem_init(&answered, 0, 0);
	check(pthread_create(&thread, NULL, reads, NULL) == 0, "pthread_create");
	get(2);
	puts("ready");
	fflush(stdout);
	check(fgets(line, sizeof(line), stdin) != NULL, "being told to go");
	for (int i = 0, first = atoi(argv[2]); i < atoi(argv[3]); i++)
		get(first + i);
	_exit(0);
}

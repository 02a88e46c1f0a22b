/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program with functions that tell of their failures as OpenSSL's do, and are something else: what is said to have been read is more than was asked for. like_openssl < "go"…
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define CALLED __attribute__((noipa)) /* as if it were in another file */
enum { ERR_LIB_SSL = 20, SSL_F_SSL_NEW = 186, SSL_F_SSL_READ_INTERNAL = 523, SSL_F_SSL_WRITE_INTERNAL = 524 };

static volatile int failures;
static char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

CALLED static void put_error(int library, int function, int reason, const char *file, int line)
{
	failures += library + function + reason + file[0] + line;
}

CALLED static int takes(void *session, void *buffer, size_t bytes, size_t *ret)
{
	if (!session) {
		put_error(ERR_LIB_SSL, SSL_F_SSL_READ_INTERNAL, 276, "ssl/ssl_lib.c", 1);
		return -1;
	}
	memcpy(buffer, text, bytes);
	*ret = bytes + 1;
	return 1;
}

CALLED static int gives(void *session, const void *buffer, size_t bytes, size_t *ret)
{
	if (!session) {
		put_error(ERR_LIB_SSL, SSL_F_SSL_WRITE_INTERNAL, 276, "ssl/ssl_lib.c", 2);
		return -1;
	}
	failures += ((const char *)buffer)[bytes - 1];
	*ret = bytes;
	return 1;
}

CALLED static void *makes(void *from)
{
	if (!from)
		put_error(ERR_LIB_SSL, SSL_F_SSL_NEW, 195, "ssl/ssl_lib.c", 3);
	return from;
}

int main(void)
{
	static char place[64], request[] = "GET /items/1 HTTP/1.1\r\nHost: x\r\n\r\n";
	char line[16], answer[sizeof(text)];
	size_t n;

	memset(place, 1, sizeof(place));
	while (fgets(line, sizeof(line), stdin)) {
		void *session = makes(place);
		gives(session, request, sizeof(request) - 1, &n);
		takes(session, answer, sizeof(text) - 1, &n);
		gives(session, request, sizeof(request) - 1, &n); /* nothing is told of it any more */
		takes(session, answer, sizeof(text) - 1, &n);
		printf("did it\n");
		fflush(stdout);
	}
	return failures == 0;
}

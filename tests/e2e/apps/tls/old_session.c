/* SPDX-License-Identifier: Apache-2.0 */
/* One connection, with tls.h's library: old_session PORT FOLDER FIRST COUNT. "loaded"; for each line that it reads then it makes requests, one after the other, and says "done": /items/FIRST first, and then COUNT more. */
#include "tls.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct tls *session;

void fail(const char *what)
{
	fprintf(stderr, "%s failed\n", what);
	_exit(1);
}

static void wait_for_line(const char *said)
{
	char line[16];

	puts(said);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		_exit(0);
}

/* The answer's body has the length that its head says. */
static void get(int n)
{
	char text[8192], *body = NULL, *length = NULL;
	int len = snprintf(text, sizeof(text), "GET /items/%d HTTP/1.1\r\nHost: localhost\r\n\r\n", n), got = 0;

	if (tls_write(session, text, (size_t)len) != len)
		fail("writing");
	while (!body || !length || got < body + 4 - text + atoi(length + 17)) {
		int more = tls_read(session, text + got, sizeof(text) - 1 - (size_t)got);
		if (more <= 0)
			fail("reading");
		text[got += more] = 0;
		body = strstr(text, "\r\n\r\n");
		length = strstr(text, "\r\nContent-Length: ");
	}
}

int main(int argc, char **argv)
{
	if (argc != 5)
		fail("a port, a folder, a number and a count");
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), first = atoi(argv[3]), count = atoi(argv[4]);

	tls_setup(argv[2], NULL, false);
	wait_for_line("loaded");
	session = tls_new();
	if (connect(fd, (void *)&to, sizeof(to)))
		fail("connect");
	tls_begin(session, fd);
	get(first);
	wait_for_line("done");
	for (int i = 1; i <= count; i++)
		get(first + i);
	wait_for_line("done");
	return 0;
}

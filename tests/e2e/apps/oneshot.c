/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that asks and ends, built without libraries to live as short as can be (test_targets.py):
 *
 *   oneshot [-w] [-b PORT] [-t PID] SERVER FIRST COUNT [-- NEXT ARGUMENTS…]
 *
 * sends GET /items/FIRST and so on, COUNT of them, over one connection to 127.0.0.1:SERVER; SERVER 0 = over the one that is open as descriptor 3. -w waits for a line on
 * standard input, -b binds the connection's own port, -t does it all in a child with that process id. With NEXT, becomes that program at the end, its connection being
 * open as descriptor 3.
 */
#include <arpa/inet.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CONNECTION = 3 };

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void dial(uint16_t port, uint16_t own)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(own) };
	int s = socket(AF_INET, SOCK_STREAM, 0), yes = 1;

	if (s < 0 || setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) || (own && bind(s, (struct sockaddr *)&sa, sizeof(sa))))
		fail("socket");
	sa.sin_port = htons(port);
	if (connect(s, (struct sockaddr *)&sa, sizeof(sa)))
		fail("connect");
	if (s != CONNECTION && dup2(s, CONNECTION) < 0)
		fail("dup2");
	if (s != CONNECTION)
		close(s);
}

static void ask(int number)
{
	char text[4096];
	size_t have = 0;
	int len = snprintf(text, sizeof(text), "GET /items/%d HTTP/1.1\r\nHost: localhost\r\n\r\n", number);

	if (write(CONNECTION, text, (size_t)len) != len)
		fail("write");
	for (;;) {
		ssize_t n = read(CONNECTION, text + have, sizeof(text) - 1 - have);
		if (n <= 0)
			fail("read");
		have += (size_t)n;
		text[have] = 0;
		const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "content-length:");
		if (end && length && have >= (size_t)(end + 4 - text) + strtoul(length + 15, NULL, 10))
			return;
	}
}

/* Returns in the child only. */
static void become(pid_t pid)
{
	struct clone_args args = { .exit_signal = SIGCHLD, .set_tid = (uint64_t)(uintptr_t)&pid, .set_tid_size = 1 };
	long child = syscall(SYS_clone3, &args, sizeof(args));
	int status;

	if (child < 0)
		fail("clone3");
	if (child == 0)
		return;
	if (waitpid((pid_t)child, &status, 0) < 0)
		fail("waitpid");
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

int main(int argc, char **argv)
{
	uint16_t own = 0;
	char line[16];

	for (int c; (c = getopt(argc, argv, "+wb:t:")) != -1;) {
		if (c == 'b')
			own = (uint16_t)atoi(optarg);
		else if (c == 't')
			become(atoi(optarg));
		else if (c != 'w' || !fgets(line, sizeof(line), stdin))
			return 2;
	}
	if (argc - optind < 3)
		return 2;
	if (atoi(argv[optind]))
		dial((uint16_t)atoi(argv[optind]), own);
	for (int i = 0, first = atoi(argv[optind + 1]), count = atoi(argv[optind + 2]); i < count; i++)
		ask(first + i);
	if (argc - optind > 4 && strcmp(argv[optind + 3], "--") == 0) {
		execv(argv[optind + 4], argv + optind + 4);
		fail("execv");
	}
	return 0;
}

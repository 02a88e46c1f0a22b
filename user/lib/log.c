/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { LOG_WAIT_MS = 1000 };

/* The one piece of global state outside main: set once at start, before threads exist. */
static enum log_level log_level = LOG_LEVEL_INFO;
static const char *log_name = "plumb";

void log_set_level(enum log_level level) { log_level = level; }
void log_set_name(const char *name) { log_name = name; }

void log_write(enum log_level level, const char *format, ...)
{
	static const char *const words[] = { "error: ", "warning: ", "", "debug: " };
	char line[1024];
	va_list ap;

	if (level > log_level)
		return;
	int n = snprintf(line, sizeof(line), "%s: %s", log_name, words[level]);
	if (n < 0)
		return;
	va_start(ap, format);
	int m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, ap);
	va_end(ap);
	if (m < 0)
		return;
	size_t len = (size_t)n + (size_t)m;
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len++] = '\n';
	/* Who stops reading must not stop the engine: after a second the line is lost. */
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	if (poll(&p, 1, LOG_WAIT_MS) == 0)
		return;
	/* One write, so that lines of two processes do not mix; nobody can be told when standard error is gone. */
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}

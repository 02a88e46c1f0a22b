/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"

enum { OUTPUT_CLOSE_WAIT_MS = 1000 };

/* The same terminal opened anew, so that not to block is a property of this descriptor alone. Negative where that cannot be. */
static int output_reopen(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void output_init(struct output *o, const char *name, const struct sink_config *c)
{
	struct stat st;
	bool file = fstat(c->out_fd, &st) == 0 && S_ISREG(st.st_mode);

	/*
	 * The descriptor may block, and is shared with other programs, so that its flags are not ours to set. A pipe or socket that
	 * poll calls writable takes PIPE_BUF bytes at once. A terminal takes at least one, and would wait for room for the rest.
	 */
	*o = (struct output){
		.name = name,
		.fd = c->out_fd,
		.own_fd = -1,
		.patient = c->patient,
		.write_max = file || c->patient ? SIZE_MAX : PIPE_BUF,
	};
	buffer_init(&o->text, OUTPUT_BUFFER_MAX);
	if (c->patient || !isatty(c->out_fd))
		return;
	o->own_fd = output_reopen(c->out_fd);
	if (o->own_fd >= 0)
		o->fd = o->own_fd;
	else
		o->write_max = 1;
}

static void output_end(struct output *o, int error)
{
	o->error = error;
	o->dropped += o->pending;
	o->pending = 0;
	buffer_clear(&o->text);
	o->mark = 0;
}

/* True if a write is worth it: there is room, or it will say what is wrong. A patient output waits for that. */
static bool output_ready(const struct output *o)
{
	struct pollfd p = { .fd = o->fd, .events = POLLOUT };
	int n;

	do
		n = poll(&p, 1, o->patient ? -1 : 0);
	while (n < 0 && errno == EINTR && o->patient);
	return n > 0;
}

/* Writes until nothing is left, the descriptor would block, or a signal came. */
static void output_write(struct output *o)
{
	size_t done = 0;

	while (done < o->mark && output_ready(o)) {
		size_t len = o->mark - done;
		ssize_t n = write(o->fd, o->text.data + done, len < o->write_max ? len : o->write_max);
		if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) {
			if (o->patient)
				continue;
			break;
		}
		if (n <= 0) {
			output_end(o, n < 0 ? -errno : -EIO);
			return;
		}
		done += (size_t)n;
	}
	buffer_consume(&o->text, done);
	o->mark -= done;
	o->blocked = o->mark != 0;
	if (o->mark == 0) {
		o->written += o->pending;
		o->pending = 0;
	}
}

enum sink_result output_span(struct output *o)
{
	if (o->error || o->text.failed) {
		o->text.len = o->mark;
		o->text.failed = 0;
		o->dropped++;
		return SINK_ERROR;
	}
	o->mark = o->text.len;
	o->pending++;

	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	uint64_t since_ns = now_ns - o->last_write_ns;
	if (since_ns >= OUTPUT_INTERVAL_NS || (o->mark >= OUTPUT_BLOCK && (!o->blocked || since_ns >= OUTPUT_RETRY_NS))) {
		o->last_write_ns = now_ns;
		output_write(o);
	}
	return o->error ? SINK_ERROR : SINK_OK;
}

void output_text(struct output *o)
{
	if (o->text.failed) {
		o->text.len = o->mark;
		o->text.failed = 0;
		return;
	}
	o->mark = o->text.len;
	output_write(o);
}

void output_tick(struct output *o)
{
	if (o->mark == 0 || o->error)
		return;
	o->last_write_ns = clock_ns(CLOCK_MONOTONIC);
	output_write(o);
}

uint64_t output_flush(struct output *o, int timeout_ms)
{
	uint64_t deadline_ns = clock_ns(CLOCK_MONOTONIC) + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * 1000000u;

	for (;;) {
		if (o->mark && !o->error)
			output_write(o);
		uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
		if (o->mark == 0 || o->error || now_ns >= deadline_ns)
			return o->pending;

		struct pollfd p = { .fd = o->fd, .events = POLLOUT };
		(void)poll(&p, 1, (int)((deadline_ns - now_ns) / 1000000u) + 1); /* a failure shows in the next write */
	}
}

void output_done(struct output *o)
{
	output_flush(o, OUTPUT_CLOSE_WAIT_MS);
	buffer_done(&o->text);
	if (o->own_fd >= 0)
		close(o->own_fd);
}

void output_stats(const struct output *o, sink_stat_fn fn, void *ctx)
{
	fn(ctx, "plumb_output_spans_written_total", "Spans printed.", "sink", o->name, (double)o->written, true);
	fn(ctx, "plumb_output_spans_dropped_total", "Spans not printed: reader gone, write error, or reader too slow.", "sink", o->name,
	   (double)o->dropped, true);
	fn(ctx, "plumb_output_spans_pending", "Spans waiting to be printed.", "sink", o->name, (double)o->pending, false);
}

void output_sink_tick(struct sink *sink, uint64_t time_ns)
{
	(void)time_ns;
	output_tick(&((struct output_sink *)sink)->out);
}

uint64_t output_sink_flush(struct sink *sink, int timeout_ms)
{
	return output_flush(&((struct output_sink *)sink)->out, timeout_ms);
}

void output_sink_stats(const struct sink *sink, sink_stat_fn fn, void *ctx)
{
	output_stats(&((const struct output_sink *)sink)->out, fn, ctx);
}

void output_sink_close(struct sink *sink)
{
	struct output_sink *s = (struct output_sink *)sink;

	output_done(&s->out);
	free(s);
}

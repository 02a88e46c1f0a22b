/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans for people: one line each, columns that stay where they are, at most 100 columns unless the terminal is wider; where there is no terminal, nothing is cut. A status that is longer than its column
 * takes what it needs from the name: what went wrong is never cut for want of it. What came from the wire may hold escape sequences and other control characters; none reaches the terminal.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/utf8.h"
#include "sink/output.h"
#include "sink/resource.h"
#include "sink/sinks.h"

enum {
	COLUMNS_DEFAULT = 100, /* not a terminal, or one that does not tell */
	COLUMNS_MIN = 80,
	COLUMNS_MAX = 240,
	TIME_COLUMNS = 12,
	DURATION_COLUMNS = 8,
	BETWEEN_COLUMNS = 7, /* six blanks and the arrow */
	NAME_COLUMNS_MIN = 8,
};

struct console_columns { /* widths of the fields that vary with the terminal's */
	size_t service, peer, name, status; /* status is last: not padded */
};

struct console_sink {
	struct output_sink base;
	struct console_columns columns;
	bool color;
	bool whole; /* not a terminal: who reads it can find out how wide it is, so that nothing is cut */
};

/* Columns a code point takes on a terminal; 0 = not shown as it is (controls, what is invisible, direction overrides). */
static unsigned console_width(uint32_t c)
{
	static const uint32_t hidden[][2] = { { 0, 0x1f },          { 0x7f, 0x9f },     { 0xad, 0xad },     { 0x61c, 0x61c },   { 0x180e, 0x180e },
					      { 0x200b, 0x200f },   { 0x2028, 0x202e }, { 0x2060, 0x206f }, { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb },
					      { 0xe0000, 0xe0fff } };
	static const uint32_t wide[][2] = { { 0x1100, 0x115f },   { 0x2e80, 0xa4cf },   { 0xac00, 0xd7a3 },  { 0xf900, 0xfaff },
					    { 0xfe30, 0xfe6f },   { 0xff00, 0xff60 },   { 0xffe0, 0xffe6 },  { 0x1f300, 0x1f64f },
					    { 0x1f900, 0x1f9ff }, { 0x20000, 0x3fffd } };

	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		if (c >= hidden[i][0] && c <= hidden[i][1])
			return 0;
	for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++)
		if (c >= wide[i][0] && c <= wide[i][1])
			return 2;
	return 1;
}

/* The next character of s at *at as shown: itself, or ? for what must not be shown. */
static struct slice console_char(struct slice s, size_t at, size_t *ret_len, unsigned *ret_width)
{
	size_t n = utf8_len(s.ptr + at, s.len - at);
	unsigned width = n ? console_width(utf8_point(s.ptr + at, n)) : 0;

	*ret_len = n ? n : 1;
	*ret_width = width ? width : 1;
	return width ? slice_make(s.ptr + at, n) : SLICE_LIT("?");
}

/* s cut to `columns` with an ellipsis, padded with blanks if `pad`. */
static void console_field(struct buffer *out, struct slice s, size_t columns, bool pad)
{
	size_t used = 0, at = 0, len;
	size_t cut_len = out->len, cut_used = 0; /* where an ellipsis still fits */
	unsigned width;

	while (at < s.len) {
		struct slice c = console_char(s, at, &len, &width);
		if (used + width > columns) {
			out->len = cut_len < out->len ? cut_len : out->len;
			buffer_append_str(out, "…");
			used = cut_used + 1;
			break;
		}
		buffer_append_slice(out, c);
		used += width;
		at += len;
		if (used + 1 <= columns) {
			cut_len = out->len;
			cut_used = used;
		}
	}
	for (; pad && used < columns; used++)
		buffer_append_byte(out, ' ');
}

/* Eight columns, three or four digits: 850ns, 1.25ms, 12.5ms, 3.21s, 4m05s. */
static void console_duration(struct buffer *out, uint64_t ns)
{
	char text[24];

	if (ns < 1000)
		snprintf(text, sizeof(text), "%" PRIu64 "ns", ns);
	else if (ns < 1000000)
		snprintf(text, sizeof(text), "%.*fµs", ns < 10000 ? 2 : ns < 100000 ? 1 : 0, (double)ns / 1e3);
	else if (ns < 1000000000)
		snprintf(text, sizeof(text), "%.*fms", ns < 10000000 ? 2 : ns < 100000000 ? 1 : 0, (double)ns / 1e6);
	else if (ns < 60000000000)
		snprintf(text, sizeof(text), "%.2fs", (double)ns / 1e9);
	else
		snprintf(text, sizeof(text), "%" PRIu64 "m%02us", ns / 60000000000u, (unsigned)(ns / 1000000000u % 60));

	size_t columns = strlen(text) - (strstr(text, "µ") ? 1 : 0);
	for (size_t i = columns; i < DURATION_COLUMNS; i++)
		buffer_append_byte(out, ' ');
	buffer_append_str(out, text);
}

static void console_time(struct buffer *out, uint64_t unix_ns)
{
	uint64_t s = unix_ns / 1000000000u % 86400u;

	buffer_printf(out, "%02u:%02u:%02u.%03u", (unsigned)(s / 3600), (unsigned)(s / 60 % 60), (unsigned)(s % 60),
		      (unsigned)(unix_ns / 1000000u % 1000u));
}

static struct slice console_attr(const struct span *s, enum attr_id id)
{
	const struct attr *a = attr_find(s->attrs, s->nattrs, id);

	return a && a->type == ATTR_TYPE_STR ? a->str : SLICE_NONE;
}

static bool console_attr_int(const struct span *s, enum attr_id id, int64_t *ret)
{
	const struct attr *a = attr_find(s->attrs, s->nattrs, id);

	if (!a || a->type != ATTR_TYPE_INT)
		return false;
	*ret = a->num;
	return true;
}

/*
 * The other end as address:port: the socket's, whatever the messages call it. Where the socket does not know (datagrams): of a client the server, of a server
 * the client. What is called within the process has no other end but the database's file.
 */
static struct slice console_peer(const struct span *s, char *text, size_t text_len)
{
	bool client = s->kind == SPAN_CLIENT || s->kind == SPAN_PRODUCER;
	struct slice address = console_attr(s, ATTR_NETWORK_PEER_ADDRESS);
	int64_t port = 0;
	bool has_port = console_attr_int(s, ATTR_NETWORK_PEER_PORT, &port);

	if (address.len == 0) {
		address = console_attr(s, client ? ATTR_SERVER_ADDRESS : ATTR_CLIENT_ADDRESS);
		has_port = console_attr_int(s, client ? ATTR_SERVER_PORT : ATTR_CLIENT_PORT, &port);
	}
	if (address.len == 0) {
		struct slice file = client ? console_attr(s, ATTR_DB_NAMESPACE) : SLICE_NONE;
		return file.len ? file : SLICE_LIT("-");
	}

	bool v6 = slice_find(address, ':', 0) != SIZE_MAX && address.ptr[0] != '[';
	int len = (int)(address.len < text_len - 16 ? address.len : text_len - 16);
	int n = has_port ? snprintf(text, text_len, v6 ? "[%.*s]:%u" : "%.*s:%u", len, (const char *)address.ptr, (unsigned)(uint16_t)port) :
			   snprintf(text, text_len, "%.*s", len, (const char *)address.ptr);
	return slice_make(text, n > 0 ? (size_t)n : 0);
}

/* Paths of Unix sockets differ at their end. */
static struct slice console_tail(struct slice peer, size_t columns, char *text, size_t text_len)
{
	size_t keep = columns - 1;

	if (peer.len <= columns || peer.ptr[0] != '/')
		return peer;
	while (keep && (peer.ptr[peer.len - keep] & 0xc0) == 0x80) /* not within a character */
		keep--;
	int n = snprintf(text, text_len, "…%.*s", (int)keep, (const char *)peer.ptr + peer.len - keep);
	return slice_make(text, n > 0 ? (size_t)n : 0);
}

static struct slice console_status(const struct span *s, char *text, size_t text_len)
{
	struct slice error = console_attr(s, ATTR_ERROR_TYPE);
	int64_t code = 0;
	bool answered = console_attr_int(s, ATTR_HTTP_RESPONSE_STATUS_CODE, &code);

	if (error.len && answered && (error.ptr[0] < '0' || error.ptr[0] > '9')) { /* what was answered, and how it ended */
		int n = snprintf(text, text_len, "%" PRId64 " %.*s", code, (int)error.len, (const char *)error.ptr);
		return slice_make(text, n <= 0 ? 0 : (size_t)n < text_len ? (size_t)n : text_len - 1);
	}
	if (error.len)
		return error;
	if (s->status == SPAN_STATUS_ERROR)
		return s->status_message.len ? s->status_message : SLICE_LIT("error");
	/* How it ended is not known; a statement that is not known, or an attribute that was cut, is no matter of the end. */
	struct slice incomplete = console_attr(s, ATTR_PLUMB_INCOMPLETE);
	bool another = slice_eq(incomplete, SLICE_LIT("pairing_uncertain")); /* the answer may be another request's */

	if (answered) {
		int n = snprintf(text, text_len, "%" PRId64 "%s", code, another ? "?" : "");
		return slice_make(text, n > 0 ? (size_t)n : 0);
	}
	if (another || (slice_eq(incomplete, SLICE_LIT("headers_unknown")) && !console_attr(s, ATTR_RPC_RESPONSE_STATUS_CODE).len))
		return SLICE_LIT("?");
	bool ended = !slice_eq(incomplete, SLICE_LIT("unanswered")) && !slice_eq(incomplete, SLICE_LIT("bytes_lost")) && !slice_eq(incomplete, SLICE_LIT("response_lost"));
	return ended ? SLICE_LIT("ok") : incomplete;
}

/* Of an HTTP request that is sent the conventions' name is the method alone, of a look-up the type. */
static struct slice console_name(const struct span *s, char *text, size_t text_len)
{
	struct slice url = s->kind == SPAN_CLIENT ? console_attr(s, ATTR_URL_FULL) : SLICE_NONE;
	size_t host = slice_find(url, ':', 0);
	struct slice question = console_attr(s, ATTR_DNS_QUESTION_NAME);

	if (question.len) {
		int n = snprintf(text, text_len, "%.*s %.*s", (int)s->name.len, (const char *)s->name.ptr, (int)question.len, (const char *)question.ptr);
		return slice_make(text, n <= 0 ? 0 : (size_t)n < text_len ? (size_t)n : text_len - 1);
	}
	struct slice kernel = console_attr(s, ATTR_GPU_KERNEL_NAME);
	if (kernel.len) {
		int n = snprintf(text, text_len, "%.*s %.*s", (int)s->name.len, (const char *)s->name.ptr, (int)kernel.len, (const char *)kernel.ptr);
		return slice_make(text, n <= 0 ? 0 : (size_t)n < text_len ? (size_t)n : text_len - 1);
	}
	if (host == SIZE_MAX || host + 3 > url.len)
		return s->name;
	size_t path = slice_find(url, '/', host + 3);
	struct slice rest = path == SIZE_MAX ? SLICE_LIT("/") : slice_from(url, path);
	int n = snprintf(text, text_len, "%.*s %.*s", (int)s->name.len, (const char *)s->name.ptr, (int)rest.len, (const char *)rest.ptr);
	return slice_make(text, n <= 0 ? 0 : (size_t)n < text_len ? (size_t)n : text_len - 1);
}

static size_t console_length(struct slice s)
{
	size_t columns = 0, len;
	unsigned width;

	for (size_t at = 0; at < s.len; at += len) {
		console_char(s, at, &len, &width);
		columns += width;
	}
	return columns;
}

static const char *console_arrow(uint8_t kind)
{
	switch (kind) {
	case SPAN_CLIENT:
	case SPAN_PRODUCER: return "→";
	case SPAN_SERVER:
	case SPAN_CONSUMER: return "←";
	default: return "·";
	}
}

/* A column that others follow. */
static void console_column(struct console_sink *c, struct slice s, size_t columns)
{
	size_t all = c->whole ? console_length(s) : 0;

	console_field(&c->base.out.text, s, all > columns ? all : columns, true);
}

static void console_line(struct console_sink *c, const struct span *s)
{
	struct buffer *out = &c->base.out.text;
	bool error = s->status == SPAN_STATUS_ERROR;
	char peer[160], tail[160], ended[512], name[512];
	struct slice status = console_status(s, ended, sizeof(ended));
	size_t wanted = console_length(status), spare = c->columns.name - NAME_COLUMNS_MIN;
	size_t more = wanted > c->columns.status ? wanted - c->columns.status : 0;

	if (more > spare)
		more = spare;
	console_time(out, s->start_ns + s->realtime_offset_ns);
	buffer_append_byte(out, ' ');
	if (slice_eq(console_attr(s, ATTR_PLUMB_INCOMPLETE), SLICE_LIT("request_not_seen")))
		console_field(out, SLICE_LIT("       ?"), DURATION_COLUMNS, true); /* when it began is not known */
	else
		console_duration(out, s->end_ns > s->start_ns ? s->end_ns - s->start_ns : 0);
	buffer_append_byte(out, ' ');
	console_column(c, process_service(s->process), c->columns.service);
	buffer_append_byte(out, ' ');
	buffer_append_str(out, console_arrow(s->kind));
	buffer_append_byte(out, ' ');
	struct slice other = console_peer(s, peer, sizeof(peer));
	console_column(c, c->whole ? other : console_tail(other, c->columns.peer, tail, sizeof(tail)), c->columns.peer);
	buffer_append_byte(out, ' ');
	console_column(c, console_name(s, name, sizeof(name)), c->columns.name - more);
	buffer_append_byte(out, ' ');
	if (c->color)
		buffer_append_str(out, error ? "\033[31m" : "\033[32m");
	console_field(out, status, c->whole && wanted > c->columns.status ? wanted : c->columns.status + more, false);
	if (c->color)
		buffer_append_str(out, "\033[0m");
	buffer_append_byte(out, '\n');
}

static void console_heading(struct console_sink *c)
{
	struct buffer *out = &c->base.out.text;

	if (c->color)
		buffer_append_str(out, "\033[1m");
	console_field(out, SLICE_LIT("TIME (UTC)"), TIME_COLUMNS, true);
	buffer_append_str(out, " DURATION ");
	console_field(out, SLICE_LIT("SERVICE"), c->columns.service + 2, true);
	buffer_append_byte(out, ' ');
	console_field(out, SLICE_LIT("PEER"), c->columns.peer, true);
	buffer_append_byte(out, ' ');
	console_field(out, SLICE_LIT("NAME"), c->columns.name, true);
	buffer_append_str(out, " STATUS");
	if (c->color)
		buffer_append_str(out, "\033[0m");
	buffer_append_byte(out, '\n');
	output_text(&c->base.out);
}

static struct console_columns console_columns(int fd)
{
	struct winsize w;
	size_t all = ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : COLUMNS_DEFAULT;

	all = all < COLUMNS_MIN ? COLUMNS_MIN : all > COLUMNS_MAX ? COLUMNS_MAX : all;

	struct console_columns c = all < COLUMNS_DEFAULT ? (struct console_columns){ .service = 12, .peer = 15, .status = 10 } :
							   (struct console_columns){ .service = 14, .peer = 21, .status = 18 };
	c.name = all - TIME_COLUMNS - DURATION_COLUMNS - BETWEEN_COLUMNS - c.service - c.peer - c.status;
	return c;
}

static int console_open(const struct sink_config *c, struct sink **ret_sink, char *ret_error, size_t error_len)
{
	struct console_sink *s = calloc(1, sizeof(*s));

	if (!s) {
		snprintf(ret_error, error_len, "out of memory");
		return -ENOMEM;
	}
	s->base.sink.ops = &sink_console;
	s->color = c->color;
	s->columns = console_columns(c->out_fd);
	s->whole = !isatty(c->out_fd);
	output_init(&s->base.out, sink_console.name, c);
	console_heading(s);
	*ret_sink = &s->base.sink;
	return 0;
}

static enum sink_result console_span(struct sink *sink, const struct span *span)
{
	struct console_sink *s = (struct console_sink *)sink;

	console_line(s, span);
	return output_span(&s->base.out);
}

static const struct sink_option console_options[] = { { .name = NULL } };

const struct sink_ops sink_console = {
	.name = "console",
	.help = "one line a span for people, on standard output",
	.options = console_options,
	.open = console_open,
	.span = console_span,
	.tick = output_sink_tick,
	.flush = output_sink_flush,
	.stats = output_sink_stats,
	.close = output_sink_close,
};

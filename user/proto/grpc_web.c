/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/grpc_web.h"

enum { TRAILERS = 0x80, FLAGS = 0x81, STATUSES = 17 };

static void end_line(struct grpc_web *g)
{
	static const struct slice name = { (const uint8_t *)"grpc-status:", 12 };
	struct slice line = slice_make(g->line, g->line_len);
	uint64_t code;

	g->line_len = 0;
	if (!slice_ieq(slice_head(line, name.len), name))
		return;
	line = slice_from(line, name.len);
	while (line.len && line.ptr[0] == ' ')
		line = slice_from(line, 1);
	if (slice_u64(line, &code) && code < STATUSES)
		g->status = (uint8_t)(code + 1);
}

static void trailer_bytes(struct grpc_web *g, struct slice in)
{
	for (size_t i = 0; i < in.len; i++) {
		uint8_t c = in.ptr[i];
		if (c == '\n' || c == '\r')
			end_line(g);
		else if (g->line_len < sizeof(g->line))
			g->line[g->line_len++] = c;
	}
}

static void begin_frame(struct grpc_web *g)
{
	g->have = 0;
	g->odd = g->prefix[0] & ~FLAGS;
	g->left = load_be32(g->prefix + 1);
	g->trailers = g->prefix[0] & TRAILERS;
	g->messages += !g->odd && !g->trailers;
}

static void feed_plain(struct grpc_web *g, struct slice in)
{
	while (in.len && !g->odd) {
		if (!g->left) {
			g->prefix[g->have++] = in.ptr[0];
			in = slice_from(in, 1);
			if (g->have == sizeof(g->prefix))
				begin_frame(g);
			continue;
		}
		struct slice part = slice_head(in, g->left);
		if (g->trailers)
			trailer_bytes(g, part);
		g->left -= (uint32_t)part.len;
		if (g->trailers && !g->left)
			end_line(g);
		in = slice_from(in, part.len);
	}
}

/* 64 = padding, 65 = none. */
static uint32_t digit(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26u;
	if (c >= '0' && c <= '9')
		return c - '0' + 52u;
	return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : c == '=' ? 64 : 65;
}

static void feed_digit(struct grpc_web *g, uint32_t d)
{
	if (d < 64)
		g->group = g->group << 6 | d;
	bool last = d == 64 || ++g->digits == 4;

	if (!last)
		return;
	/* Of padding the first byte ends the group, and a second one finds none. */
	unsigned bytes = g->digits == 4 ? 3 : g->digits > 1 ? g->digits - 1u : 0;
	uint32_t group = g->group << 6 * (4 - g->digits);
	const uint8_t plain[3] = { (uint8_t)(group >> 16), (uint8_t)(group >> 8), (uint8_t)group };

	g->digits = 0;
	g->group = 0;
	feed_plain(g, slice_make(plain, bytes));
}

void grpc_web_feed(struct grpc_web *g, struct slice in)
{
	if (!g->text) {
		feed_plain(g, in);
		return;
	}
	for (size_t i = 0; i < in.len && !g->odd; i++) {
		uint32_t d = digit(in.ptr[i]);
		if (d <= 64)
			feed_digit(g, d);
	}
}

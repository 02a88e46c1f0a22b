/* SPDX-License-Identifier: Apache-2.0 */
/* Whether bytes are Oracle Net's: a packet's head, and what must stand in it. */
#include "proto/oracle_wire.h"

enum { DATA_FLAGS = 0xffff & ~(0x0001 | 0x0040 | 0x0800 | 0x1000 | 0x2000 | 0x0020) };

/* --- the first packets --- */

static int detect_connect(struct slice in, const struct oracle_head *h)
{
	enum { VERSION_MIN = 300, VERSION_MAX = 400, DATA_MAX = 4096 };

	if (in.len < ORACLE_CONNECT_HEAD)
		return DETECT_MORE;
	uint16_t version = load_be16(in.ptr + 8), lowest = load_be16(in.ptr + 10), len = load_be16(in.ptr + 24), at = load_be16(in.ptr + 26);
	bool apart = h->len == at;
	if (version < VERSION_MIN || version > VERSION_MAX || lowest > version || at < ORACLE_CONNECT_HEAD || at > 256 || len > DATA_MAX)
		return DETECT_NO;
	if (!apart && (h->len != (uint32_t)at + len || (in.len > at && in.ptr[at] != '(')))
		return DETECT_NO;
	return DETECT_CERTAIN;
}

static int detect_accept(struct slice in)
{
	enum { VERSION_MIN = 300, VERSION_MAX = 400 };

	if (in.len < 16)
		return DETECT_MORE;
	uint16_t version = load_be16(in.ptr + 8);
	return version >= VERSION_MIN && version <= VERSION_MAX ? DETECT_LIKELY : DETECT_NO;
}

static int detect_refuse(struct slice in, const struct oracle_head *h)
{
	if (h->len < 13)
		return DETECT_WEAK;
	if (in.len < 13)
		return DETECT_MORE;
	return load_be16(in.ptr + 10) == h->len - 12 && in.ptr[12] == '(' ? DETECT_LIKELY : DETECT_NO;
}

static int detect_redirect(struct slice in, const struct oracle_head *h)
{
	if (h->len < 11)
		return DETECT_WEAK;
	if (in.len < 11)
		return DETECT_MORE;
	return load_be16(in.ptr + 8) == h->len - 10 && in.ptr[10] == '(' ? DETECT_LIKELY : DETECT_NO;
}

static int detect_marker(struct slice in)
{
	if (in.len < 11)
		return DETECT_MORE;
	return in.ptr[8] <= 1 && in.ptr[9] == 0 && in.ptr[10] <= ORACLE_MARKER_INTERRUPT ? DETECT_WEAK : DETECT_NO;
}

/* --- calls and answers --- */

/* Calls that say nothing but their number, and a token. */
static bool is_bare(const struct oracle_call *c)
{
	return c->function == ORACLE_COMMIT || c->function == ORACLE_ROLLBACK || c->function == ORACLE_PING || c->function == ORACLE_LOGOFF;
}

static int detect_call(struct slice payload, bool all)
{
	struct oracle_call c;
	struct oracle_closed closed;

	if (payload.len < 3)
		return all ? DETECT_NO : DETECT_MORE;
	if (!oracle_call_read(payload, &c, &closed))
		return DETECT_NO;
	if (is_bare(&c))
		return all && (payload.len == 3 || (payload.len == 4 && payload.ptr[3] == 0) || payload.ptr[0] == ORACLE_PIGGYBACK) ? DETECT_LIKELY : DETECT_NO;
	if (c.function == ORACLE_EXECUTE && c.text_len)
		return c.text_at ? DETECT_LIKELY : all ? DETECT_NO : DETECT_MORE;
	if (c.cursor)
		return DETECT_LIKELY;
	if (!all)
		return DETECT_MORE;
	return oracle_function_name(c.function) ? DETECT_WEAK : DETECT_NO;
}

static int detect_answer(struct slice payload, bool all)
{
	struct oracle_end e;
	size_t at;

	if (all && (oracle_end_find(payload, &e, &at) || (payload.len && oracle_end_find(slice_head(payload, payload.len - 1), &e, &at))))
		return DETECT_LIKELY;
	if (all && oracle_status_read(payload))
		return DETECT_WEAK;
	return all ? DETECT_NO : DETECT_MORE;
}

static int detect_data(struct slice in, const struct oracle_head *h, enum proto_side side)
{
	bool all = in.len >= h->len;

	if (in.len < ORACLE_DATA_HEAD)
		return DETECT_MORE;
	if (load_be16(in.ptr + ORACLE_HEAD) & DATA_FLAGS)
		return DETECT_NO;
	struct slice payload = slice_from(slice_head(in, h->len), ORACLE_DATA_HEAD);
	if (side == PROTO_TO_SERVER)
		return detect_call(payload, all);
	return detect_answer(payload, all);
}

int oracle_detect(struct slice in, enum proto_side side)
{
	enum { LOOK_MAX = 16384 };
	struct oracle_head h;

	if (in.len > 4 && in.ptr[4] > ORACLE_CONTROL)
		return DETECT_NO;
	if (in.len < ORACLE_HEAD)
		return DETECT_MORE;
	if (!oracle_head_read(in, false, &h) || h.len > LOOK_MAX)
		return DETECT_NO;
	switch (h.type) {
	case ORACLE_CONNECT: return side == PROTO_TO_SERVER ? detect_connect(in, &h) : DETECT_NO;
	case ORACLE_ACCEPT: return side == PROTO_TO_CLIENT ? detect_accept(in) : DETECT_NO;
	case ORACLE_REFUSE: return side == PROTO_TO_CLIENT ? detect_refuse(in, &h) : DETECT_NO;
	case ORACLE_REDIRECT: return side == PROTO_TO_CLIENT ? detect_redirect(in, &h) : DETECT_NO;
	case ORACLE_RESEND: return side == PROTO_TO_CLIENT ? DETECT_WEAK : DETECT_NO;
	case ORACLE_MARKER: return detect_marker(in);
	case ORACLE_DATA: return detect_data(in, &h, side);
	default: return DETECT_NO;
	}
}

/* --- after a loss --- */

static bool call_begins(struct slice payload)
{
	if (payload.len < 3)
		return false;
	switch (payload.ptr[0]) {
	case ORACLE_FUNCTION:
	case ORACLE_PIGGYBACK: return oracle_function_name(payload.ptr[1]) || payload.ptr[0] == ORACLE_PIGGYBACK;
	case ORACLE_PROTOCOL: return payload.ptr[1] <= 6 && payload.ptr[2] == 0;
	case ORACLE_FAST_AUTH: return payload.ptr[1] == 1;
	default: return false;
	}
}

static bool begins(struct slice in, enum proto_side side, const struct oracle_head *h)
{
	struct oracle_head next;

	if (in.len > h->len + ORACLE_HEAD && !oracle_head_read(slice_from(in, h->len), h->large && h->type != ORACLE_CONNECT, &next))
		return false;
	switch (h->type) {
	case ORACLE_CONNECT: return side == PROTO_TO_SERVER && detect_connect(in, h) == DETECT_CERTAIN;
	case ORACLE_ACCEPT: return side == PROTO_TO_CLIENT && detect_accept(in) == DETECT_LIKELY;
	case ORACLE_REFUSE: return side == PROTO_TO_CLIENT && detect_refuse(in, h) >= DETECT_WEAK;
	case ORACLE_REDIRECT: return side == PROTO_TO_CLIENT && detect_redirect(in, h) >= DETECT_WEAK;
	case ORACLE_MARKER: return detect_marker(in) == DETECT_WEAK;
	case ORACLE_DATA: break;
	default: return false;
	}
	if (load_be16(in.ptr + ORACLE_HEAD) & DATA_FLAGS)
		return false;
	return side == PROTO_TO_CLIENT || call_begins(slice_from(slice_head(in, h->len), ORACLE_DATA_HEAD));
}

size_t oracle_find(struct slice in, enum proto_side side, bool large)
{
	enum { SEEN = 11 };
	struct oracle_head h;

	for (size_t at = 0; at + SEEN <= in.len; at++) {
		struct slice from = slice_from(in, at);
		if (from.ptr[6] || from.ptr[7] || (large && from.ptr[0]))
			continue;
		if (oracle_head_read(from, large, &h) && begins(from, side, &h))
			return at;
	}
	return in.len;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What HTTP/2 frames look like: for detection, and for finding the next one after loss. Stricter than the parser: undefined flags,
 * unknown types and longer frames than everybody takes are no start.
 */
#include "proto/http2.h"

enum {
	CHAIN_MAX = 8,       /* frames looked at behind a first one */
	ENOUGH = 4,          /* weight of what no other bytes look like */
	INDEX_MAX = 61 + 2048, /* of a table of 64 KiB */
	STATIC_MAX = 61,
	SETTING_MAX = 0x10,
	ERROR_MAX = 0xd,
};

uint32_t http2_u32(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

struct http2_frame http2_frame_head(struct slice in)
{
	return (struct http2_frame){
		.length = (uint32_t)in.ptr[0] << 16 | (uint32_t)in.ptr[1] << 8 | in.ptr[2],
		.type = in.ptr[3],
		.flags = in.ptr[4],
		.stream = http2_u32(in.ptr + 5) & 0x7fffffff,
		.reserved = in.ptr[5] & 0x80,
	};
}

struct slice http2_preface(void) { return SLICE_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); }

bool http2_is_preface(struct slice in)
{
	struct slice all = http2_preface();

	return in.len && slice_eq(slice_head(in, all.len), slice_head(all, in.len));
}

/* Header blocks (RFC 7541, 6), walked without the tables. */

struct walk {
	struct slice in;
	size_t at;
	bool pseudo; /* a field that only a head has, and of this side */
	bool first;  /* no field yet */
};

static bool walk_int(struct walk *w, unsigned bits, uint32_t *ret)
{
	uint32_t mask = (1u << bits) - 1, n = w->in.ptr[w->at++] & mask;

	if (n == mask)
		for (unsigned shift = 0;; shift += 7) {
			if (w->at == w->in.len || shift > 21)
				return false;
			uint8_t b = w->in.ptr[w->at++];
			n += (uint32_t)(b & 0x7f) << shift;
			if (!(b & 0x80))
				break;
		}
	*ret = n;
	return true;
}

static bool walk_string(struct walk *w, bool name)
{
	uint32_t len;

	if (w->at == w->in.len)
		return false;
	bool huffman = w->in.ptr[w->at] & 0x80;
	if (!walk_int(w, 7, &len) || len > w->in.len - w->at || (name && len == 0))
		return false;
	for (uint32_t i = 0; i < len && !huffman; i++) {
		uint8_t c = w->in.ptr[w->at + i];
		if (c == 0x7f || c < 0x20 + name || (name && c >= 'A' && c <= 'Z'))
			return false;
	}
	w->at += len;
	return true;
}

/* Whether a name of the static table is a pseudo header of this side: method, path, scheme; status. */
static bool is_pseudo(uint32_t index, enum proto_side side) { return side == PROTO_TO_SERVER ? index >= 2 && index <= 7 : index >= 8 && index <= 14; }

static bool walk_field(struct walk *w, enum proto_side side)
{
	uint8_t b = w->in.ptr[w->at];
	uint32_t index;

	if (b & 0x80) {
		if (!walk_int(w, 7, &index) || index == 0 || index > INDEX_MAX)
			return false;
		w->pseudo |= is_pseudo(index, side);
		/* Other entries of the static table with a value, pseudo headers of the other side among them, are of no use. */
		if (index <= 14 && index > 1 && !is_pseudo(index, side))
			return false;
		w->first = false;
		return true;
	}
	if ((b & 0xe0) == 0x20)
		return w->first && walk_int(w, 5, &index);
	if (!walk_int(w, b & 0x40 ? 6 : 4, &index) || index > INDEX_MAX || (index == 0 && !walk_string(w, true)))
		return false;
	if (index && index <= 14) {
		if (side == PROTO_TO_CLIENT ? index < 8 : index > 7)
			return false;
		w->pseudo |= is_pseudo(index, side);
	}
	w->first = false;
	return walk_string(w, false);
}

/* 0: it is no header block of this side; else its weight. */
static int block_weight(struct slice block, enum proto_side side)
{
	struct walk w = { .in = block, .first = true };

	while (w.at < block.len)
		if (!walk_field(&w, side))
			return 0;
	return w.first ? 0 : w.pseudo ? ENOUGH : 1;
}

/* Frames. */

static bool head_ok(const struct http2_frame *f, enum proto_side side)
{
	static const uint8_t flags[] = { [HTTP2_DATA] = 0x09, [HTTP2_HEADERS] = 0x2d, [HTTP2_SETTINGS] = 0x01, [HTTP2_PUSH_PROMISE] = 0x0c,
		[HTTP2_PING] = 0x01, [HTTP2_CONTINUATION] = 0x04 };
	bool odd = f->stream & 1;

	if (f->reserved || f->length > HTTP2_FRAME_DEFAULT || f->type > HTTP2_CONTINUATION || f->flags & ~flags[f->type])
		return false;
	switch ((enum http2_type)f->type) {
	case HTTP2_DATA:
	case HTTP2_HEADERS:
		return f->stream && (odd || side == PROTO_TO_CLIENT) && (f->length || f->type == HTTP2_DATA);
	case HTTP2_CONTINUATION: return f->stream && odd;
	case HTTP2_PRIORITY: return f->stream && f->length == 5;
	case HTTP2_RST_STREAM: return f->stream && f->length == 4;
	case HTTP2_SETTINGS: return !f->stream && f->length % 6 == 0 && (f->length == 0 || !f->flags);
	case HTTP2_PUSH_PROMISE: return side == PROTO_TO_CLIENT && odd && f->length > 4;
	case HTTP2_PING: return !f->stream && f->length == 8;
	case HTTP2_GOAWAY: return !f->stream && f->length >= 8;
	case HTTP2_WINDOW_UPDATE: return f->length == 4;
	}
	return false;
}

/* Beside those that are known there may be some that are for experiments (RFC 9113, 11.3): gRPC has one of 0xfe03. */
static int settings_weight(struct slice payload)
{
	size_t known = 0;

	for (size_t i = 0; i < payload.len; i += 6) {
		if (payload.ptr[i] >= 0xf0)
			continue;
		if (payload.ptr[i] || !payload.ptr[i + 1] || payload.ptr[i + 1] > SETTING_MAX)
			return 0;
		known++;
	}
	return known ? ENOUGH : payload.len ? 0 : 2;
}

static int headers_weight(const struct http2_frame *f, struct slice payload, enum proto_side side)
{
	size_t from = (f->flags & HTTP2_PADDED ? 1u : 0u) + (f->flags & HTTP2_WITH_PRIORITY ? 5u : 0u);
	size_t pad = f->flags & HTTP2_PADDED && payload.len ? payload.ptr[0] : 0;

	if (from + pad >= payload.len)
		return 0;
	int weight = block_weight(slice_make(payload.ptr + from, payload.len - from - pad), side);
	if (f->flags & HTTP2_END_HEADERS || weight == 0)
		return weight;
	return 1; /* cut between two fields */
}

/* How much a whole frame says; 0: it is none. */
static int frame_weight(const struct http2_frame *f, struct slice payload, enum proto_side side)
{
	uint32_t first = payload.len >= 4 ? http2_u32(payload.ptr) : 0;

	switch ((enum http2_type)f->type) {
	case HTTP2_HEADERS: return headers_weight(f, payload, side);
	case HTTP2_SETTINGS: return settings_weight(payload);
	case HTTP2_RST_STREAM: return first <= ERROR_MAX ? 2 : 0;
	case HTTP2_WINDOW_UPDATE: return first && !(first & 0x80000000u) ? 2 : 0;
	case HTTP2_GOAWAY: return !(first & 0x80000000u) && http2_u32(payload.ptr + 4) <= ERROR_MAX ? ENOUGH : 0;
	case HTTP2_PING: return ENOUGH;
	case HTTP2_DATA: return f->length || f->flags ? 1 : 0; /* else it is nine bytes with a bit among them */
	case HTTP2_PRIORITY:
	case HTTP2_CONTINUATION:
	case HTTP2_PUSH_PROMISE: return 1;
	}
	return 0;
}

/*
 * Weight of the frames at the start of `in`, one behind the other; -1: one of them is none. *ret_cut: the last one has not ended.
 */
static int chain_weight(struct slice in, enum proto_side side, bool *ret_cut)
{
	int weight = 0;

	*ret_cut = false;
	for (int i = 0; i < CHAIN_MAX && in.len && weight < ENOUGH; i++) {
		if (in.len < HTTP2_HEAD_BYTES) {
			*ret_cut = true;
			return in.ptr[0] == 0 && (in.len < 4 || in.ptr[3] <= HTTP2_CONTINUATION) ? weight : -1;
		}
		struct http2_frame f = http2_frame_head(in);
		/* A block goes on with its own frames alone, which no message starts with. */
		if (!head_ok(&f, side) || (i == 0 && f.type == HTTP2_CONTINUATION))
			return -1;
		if (f.length > in.len - HTTP2_HEAD_BYTES) {
			*ret_cut = true;
			return weight;
		}
		int more = frame_weight(&f, slice_make(in.ptr + HTTP2_HEAD_BYTES, f.length), side);
		if (more == 0)
			return -1;
		weight += more;
		in = slice_from(in, HTTP2_HEAD_BYTES + f.length);
	}
	return weight;
}

int http2_detect(struct slice in, enum proto_side side)
{
	bool cut;

	if (in.len == 0)
		return DETECT_MORE;
	if (side == PROTO_TO_SERVER && http2_is_preface(in))
		return in.len >= 16 ? DETECT_CERTAIN : DETECT_MORE;
	int weight = chain_weight(in, side, &cut);
	if (weight < 0)
		return DETECT_NO;
	if (weight >= ENOUGH)
		return DETECT_LIKELY;
	return weight >= 2 ? DETECT_WEAK : DETECT_MORE;
}

size_t http2_find(struct slice in, enum proto_side side)
{
	bool cut;

	for (size_t at = 0; at + HTTP2_HEAD_BYTES <= in.len; at++) {
		if (in.ptr[at] || in.ptr[at + 3] > HTTP2_CONTINUATION)
			continue;
		int weight = chain_weight(slice_from(in, at), side, &cut);
		if (weight >= ENOUGH)
			return at;
	}
	return in.len;
}

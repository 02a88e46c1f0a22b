/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of messages: see thrift_wire.h. */
#include "proto/thrift_wire.h"

#include "proto/thrift_inflate.h"

enum {
	STRICT = 0x80, COMPACT_ID = 0x82, COMPACT_VERSION = 1,
	HEADER_MAGIC = 0x0fff, HEADER_HEAD = 14, /* of THeader: length, magic, flags, sequence number, words of the header */
	TRANSFORMS_MAX = 8, TRANSFORM_ZLIB = 1, INFO_KEYVALUE = 1, PAIRS_MAX = 64,
	BELIEVED_MIN = 2, /* bytes of a name that alone tell */
};

int thrift_varint(struct slice in, uint64_t *ret)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < 10; i++) {
		if (i == in.len)
			return 0;
		value |= (uint64_t)(in.ptr[i] & 127) << (7 * i);
		if (!(in.ptr[i] & 128)) {
			*ret = value;
			return (int)i + 1;
		}
	}
	return -1;
}

static bool type_known(uint8_t type) { return type >= THRIFT_CALL && type <= THRIFT_ONEWAY; }

static enum thrift_scan short_of(size_t need, size_t *ret_need)
{
	*ret_need = need;
	return THRIFT_SHORT;
}

/* A name at in[at], whose length was read. */
static enum thrift_scan name_take(struct slice in, size_t at, uint64_t len, struct thrift_head *h, size_t *ret_need)
{
	size_t seen = in.len - at < len ? in.len - at : (size_t)len;

	if (len > THRIFT_NAME_MAX)
		return THRIFT_BAD;
	for (size_t i = 0; i < seen; i++)
		if (in.ptr[at + i] < ' ' || in.ptr[at + i] == 0x7f)
			return THRIFT_BAD;
	if (seen < len)
		return short_of(at + (size_t)len, ret_need);
	h->name = slice_make(in.ptr + at, (size_t)len);
	return THRIFT_OK;
}

/* The heads of the three protocols at in[at]; *ret_end behind it. */

static enum thrift_scan binary_head(struct slice in, size_t at, struct thrift_head *h, size_t *ret_end, size_t *ret_need)
{
	static const uint8_t version[] = { STRICT, 1, 0 };
	size_t seen = in.len - at;

	if (memcmp(in.ptr + at, version, seen < 3 ? seen : 3) != 0 || (seen > 3 && !type_known(in.ptr[at + 3])))
		return THRIFT_BAD;
	if (seen < 8)
		return seen >= 6 && load_be16(in.ptr + at + 4) ? THRIFT_BAD : short_of(at + 8, ret_need);
	h->type = in.ptr[at + 3];
	uint32_t len = load_be32(in.ptr + at + 4);
	enum thrift_scan scan = name_take(in, at + 8, len, h, ret_need);
	if (scan != THRIFT_OK)
		return scan;
	at += 8 + (size_t)len;
	if (in.len - at < 4)
		return short_of(at + 4, ret_need);
	h->key = load_be32(in.ptr + at);
	*ret_end = at + 4;
	return THRIFT_OK;
}

/* Nothing but a name tells it: an empty one is none. */
static enum thrift_scan old_head(struct slice in, size_t at, struct thrift_head *h, size_t *ret_end, size_t *ret_need)
{
	size_t seen = in.len - at;

	for (size_t i = 0; i < 2 && i < seen; i++)
		if (in.ptr[at + i])
			return THRIFT_BAD;
	if (seen < 4)
		return short_of(at + 4, ret_need);
	uint32_t len = load_be32(in.ptr + at);
	if (len == 0)
		return THRIFT_BAD;
	enum thrift_scan scan = name_take(in, at + 4, len, h, ret_need);
	if (scan != THRIFT_OK)
		return scan;
	at += 4 + (size_t)len;
	if (in.len - at >= 1 && !type_known(in.ptr[at]))
		return THRIFT_BAD;
	if (in.len - at < 5)
		return short_of(at + 5, ret_need);
	h->type = in.ptr[at];
	h->key = load_be32(in.ptr + at + 1);
	*ret_end = at + 5;
	return THRIFT_OK;
}

static enum thrift_scan compact_head(struct slice in, size_t at, struct thrift_head *h, size_t *ret_end, size_t *ret_need)
{
	uint64_t seqid, len;

	if (in.ptr[at] != COMPACT_ID)
		return THRIFT_BAD;
	if (in.len - at < 2)
		return short_of(at + 2, ret_need);
	uint8_t b = in.ptr[at + 1];
	if ((b & 31) != COMPACT_VERSION || !type_known(b >> 5))
		return THRIFT_BAD;
	h->type = b >> 5;
	at += 2;
	int n = thrift_varint(slice_from(in, at), &seqid);
	if (n == 0)
		return in.len - at > 5 ? THRIFT_BAD : short_of(in.len + 1, ret_need);
	if (n < 0 || n > 5)
		return THRIFT_BAD;
	h->key = (uint32_t)seqid;
	at += (size_t)n;
	n = thrift_varint(slice_from(in, at), &len);
	if (n == 0)
		return in.len - at > 2 ? THRIFT_BAD : short_of(in.len + 1, ret_need);
	if (n < 0)
		return THRIFT_BAD;
	at += (size_t)n;
	enum thrift_scan scan = name_take(in, at, len, h, ret_need);
	if (scan == THRIFT_OK)
		*ret_end = at + (size_t)len;
	return scan;
}

static enum thrift_scan message_head(struct slice in, size_t at, struct thrift_head *h, size_t *ret_end, size_t *ret_need)
{
	if (in.len <= at)
		return short_of(at + 1, ret_need);
	switch (in.ptr[at]) {
	case STRICT: h->protocol = THRIFT_BINARY; return binary_head(in, at, h, ret_end, ret_need);
	case COMPACT_ID: h->protocol = THRIFT_COMPACT; return compact_head(in, at, h, ret_end, ret_need);
	default: h->protocol = THRIFT_OLD; return old_head(in, at, h, ret_end, ret_need);
	}
}

/* ---- THeader ---- */

static bool varint_take(struct slice in, size_t *at, uint64_t *ret)
{
	int n = thrift_varint(slice_from(in, *at), ret);

	if (n <= 0)
		return false;
	*at += (size_t)n;
	return true;
}

static bool text_take(struct slice in, size_t *at, struct slice *ret)
{
	uint64_t len;

	if (!varint_take(in, at, &len) || len > in.len - *at)
		return false;
	*ret = slice_make(in.ptr + *at, (size_t)len);
	*at += (size_t)len;
	return true;
}

static void pairs_read(struct slice in, size_t *at, struct thrift_head *h)
{
	struct slice key, value;
	uint64_t count;

	if (!varint_take(in, at, &count) || count > PAIRS_MAX)
		return;
	for (; count && text_take(in, at, &key) && text_take(in, at, &value); count--) {
		if (slice_ieq(key, SLICE_LIT("traceparent")))
			h->traceparent = value;
		else if (slice_ieq(key, SLICE_LIT("tracestate")))
			h->tracestate = value;
		else if (slice_ieq(key, SLICE_LIT("b3")))
			h->b3 = value;
	}
}

/* The header, whole: which protocol, transforms, and what the sender adds. False: it is none. */
static bool header_read(struct slice in, struct thrift_head *h)
{
	uint64_t protocol, transforms, n;
	size_t at = 0;

	if (!varint_take(in, &at, &protocol) || !varint_take(in, &at, &transforms) || protocol > 2 || transforms > TRANSFORMS_MAX)
		return false;
	for (uint64_t i = 0; i < transforms; i++) {
		if (!varint_take(in, &at, &n))
			return false;
		h->zlib = transforms == 1 && n == TRANSFORM_ZLIB;
	}
	h->opaque = transforms > 0;
	if (varint_take(in, &at, &n) && n == INFO_KEYVALUE)
		pairs_read(in, &at, h);
	return true;
}

/* Behind the frame's length and the magic. */
static enum thrift_scan header_head(struct slice in, uint32_t frame, struct thrift_head *h, size_t *ret_end, size_t *ret_need)
{
	if (in.len < HEADER_HEAD)
		return short_of(HEADER_HEAD, ret_need);
	uint32_t size = (uint32_t)load_be16(in.ptr + 12) * 4;
	if (size == 0 || size > frame - (HEADER_HEAD - 4))
		return THRIFT_BAD;
	h->header = true;
	h->key = load_be32(in.ptr + 8);
	*ret_end = HEADER_HEAD;
	h->opaque = size > THRIFT_HEADER_MAX;
	if (h->opaque)
		return THRIFT_OK;
	*ret_end += size;
	if (in.len < *ret_end)
		return short_of(*ret_end, ret_need);
	if (!header_read(slice_head(slice_from(in, HEADER_HEAD), size), h))
		return THRIFT_BAD;
	return h->opaque ? THRIFT_OK : message_head(in, *ret_end, h, ret_end, ret_need);
}

bool thrift_payload_read(struct slice plain, struct thrift_head *h, size_t *ret_end)
{
	struct thrift_head inner = { 0 };
	size_t need;

	if (message_head(plain, 0, &inner, ret_end, &need) != THRIFT_OK)
		return false;
	h->protocol = inner.protocol;
	h->type = inner.type;
	h->key = inner.key;
	h->name = inner.name;
	h->opaque = false;
	return true;
}

/* ---- frames ---- */

static enum thrift_scan framed_head(struct slice in, struct thrift_head *h, size_t *ret_end, size_t *ret_need)
{
	uint32_t frame = load_be32(in.ptr);

	if (frame < 5 || frame > THRIFT_FRAME_MAX)
		return THRIFT_BAD;
	h->framed = true;
	if (in.len < 6)
		return in.len == 5 && in.ptr[4] != STRICT && in.ptr[4] != COMPACT_ID && in.ptr[4] != HEADER_MAGIC >> 8 && in.ptr[4] ? THRIFT_BAD : short_of(6, ret_need);
	enum thrift_scan scan = load_be16(in.ptr + 4) == HEADER_MAGIC ? frame <= HEADER_HEAD - 4 ? THRIFT_BAD : header_head(in, frame, h, ret_end, ret_need)
									: message_head(in, 4, h, ret_end, ret_need);
	size_t least = scan == THRIFT_OK ? *ret_end : *ret_need;
	if (scan == THRIFT_BAD || least - 4 > frame)
		return THRIFT_BAD;
	if (scan == THRIFT_OK)
		h->rest = frame - (uint32_t)(*ret_end - 4);
	return scan;
}

/* Behind four bytes that may be a frame's length or an old name's: which one the fifth tells, as a name has no such characters. */
static bool is_frame(uint8_t fifth) { return fifth < ' ' || fifth >= 0x80; }

enum thrift_scan thrift_head_read(struct slice in, struct thrift_head *ret, size_t *ret_need)
{
	size_t end = 0;
	enum thrift_scan scan;

	*ret = (struct thrift_head){ 0 };
	*ret_need = 1;
	if (in.len == 0)
		return THRIFT_SHORT;
	if (in.ptr[0] & 0x80) {
		scan = message_head(in, 0, ret, &end, ret_need);
	} else if (in.ptr[0] > THRIFT_FRAME_MAX >> 24) {
		return THRIFT_BAD;
	} else if (in.len < 5) {
		return short_of(5, ret_need);
	} else if (is_frame(in.ptr[4])) {
		scan = framed_head(in, ret, &end, ret_need);
	} else {
		scan = message_head(in, 0, ret, &end, ret_need);
	}
	ret->len = end;
	return scan;
}

bool thrift_type_fits(const struct thrift_head *h, enum proto_side side)
{
	bool asks = h->type == THRIFT_CALL || h->type == THRIFT_ONEWAY;

	return h->type == 0 || asks == (side == PROTO_TO_SERVER);
}

/* ---- what may be no message ---- */

static bool name_plausible(struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i], low = ascii_lower(c);
		bool letter = (low >= 'a' && low <= 'z') || c == '_';
		if (!letter && (i == 0 || !((c >= '0' && c <= '9') || (c && strchr(".:/-$", c)))))
			return false;
	}
	return name.len > 0;
}

/* The first bytes of the struct: a result's has one field, which is 0 or that of an exception; numbers of fields are small. */
static enum thrift_scan struct_fits(struct slice in, const struct thrift_head *h)
{
	struct thrift_walk w;
	size_t at = 0;

	if (h->framed && h->rest == 0)
		return THRIFT_BAD;
	if (in.len == 0)
		return THRIFT_SHORT;
	thrift_walk_begin(&w, h->protocol, h->type == THRIFT_EXCEPTION);
	in = slice_head(in, 3);
	switch (thrift_walk(&w, in, true, &at)) {
	case THRIFT_BROKEN: return THRIFT_BAD;
	case THRIFT_MORE: return in.len < 3 ? THRIFT_SHORT : THRIFT_OK;
	case THRIFT_DONE: case THRIFT_PASS: break;
	}
	return w.first_known && (w.first < -1024 || w.first > 1024) ? THRIFT_BAD : THRIFT_OK;
}

/* Compressed, and who sent it is told in there. */
static enum thrift_scan inflated_fits(struct slice packed, struct thrift_head *h)
{
	struct thrift_inflate f;
	size_t at;

	packed = slice_head(packed, h->rest < THRIFT_PACKED ? h->rest : THRIFT_PACKED);
	if (packed.len < 2)
		return THRIFT_SHORT;
	if (thrift_payload_read(thrift_inflate(&f, packed), h, &at)) {
		bool plausible = name_plausible(h->name);
		h->name = SLICE_NONE; /* it was in memory of this call */
		return plausible ? THRIFT_OK : THRIFT_BAD;
	}
	return packed.len < h->rest && packed.len < THRIFT_PACKED ? THRIFT_SHORT : THRIFT_BAD;
}

enum thrift_scan thrift_message_fits(struct slice in, enum proto_side side, struct thrift_head *ret)
{
	size_t need;
	enum thrift_scan scan = thrift_head_read(in, ret, &need);

	if (scan == THRIFT_OK && ret->zlib)
		scan = inflated_fits(slice_from(in, ret->len), ret);
	if (scan == THRIFT_BAD || !thrift_type_fits(ret, side))
		return THRIFT_BAD;
	if (scan != THRIFT_OK || ret->opaque)
		return scan;
	if (ret->zlib)
		return THRIFT_OK;
	if (!name_plausible(ret->name))
		return THRIFT_BAD;
	return struct_fits(slice_from(in, ret->len), ret);
}

int thrift_detect(struct slice in, enum proto_side side)
{
	struct thrift_head h;

	switch (thrift_message_fits(in, side, &h)) {
	case THRIFT_BAD: return DETECT_NO;
	case THRIFT_SHORT: return DETECT_MORE;
	case THRIFT_OK: break;
	}
	bool surely = h.protocol == THRIFT_BINARY || h.header || (h.framed && h.protocol == THRIFT_COMPACT);
	return h.opaque ? DETECT_WEAK : surely ? DETECT_CERTAIN : h.name.len >= BELIEVED_MIN ? DETECT_LIKELY : DETECT_WEAK;
}

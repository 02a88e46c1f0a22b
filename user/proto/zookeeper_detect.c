/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether bytes are ZooKeeper's. A request has few numbers that it may be, a path, and lengths that add up; most answers have little but zeros. Four-letter words
 * (ruok, stat, ...) are sent instead of a session, on a connection of their own that nobody needs spans of: they are not known here. Nor is what servers say
 * to each other, which has no lengths in front.
 */
#include "proto/zookeeper_wire.h"

enum { REQUEST_MAX = 1 << 24, FIELDS_MAX = 64, SESSION_BYTES = 16 };

/* Fewer bytes than a head: could there be one? */
static bool head_may_be(struct slice in, enum proto_side side)
{
	static const uint8_t special[] = { 0xff, 0xfe, 0xfc, 0xf8 };

	if (in.len && in.ptr[0] > (side == PROTO_TO_SERVER ? 0 : ZOOKEEPER_FRAME_MAX >> 24))
		return false;
	if (in.len < 4)
		return true;
	uint32_t least = (side == PROTO_TO_SERVER ? ZOOKEEPER_HEAD : ZOOKEEPER_REPLY_HEAD) - ZOOKEEPER_SIZE;
	if (load_be32(in.ptr) < least || load_be32(in.ptr) > ZOOKEEPER_FRAME_MAX)
		return false;
	if (in.len < 8)
		return in.len == 4 || in.ptr[4] < 0x80 || in.ptr[4] == 0xff;
	if (in.ptr[4] >= 0x80 && (load_be32(in.ptr + 4) < 0xfffffff8 || !memchr(special + (side == PROTO_TO_SERVER), in.ptr[7], sizeof(special) - (side == PROTO_TO_SERVER))))
		return false;
	return in.len == 8 || in.ptr[8] == 0 || in.ptr[8] == 0xff;
}

/* What comes behind a frame of `size` bytes may be another one, or is not there. */
static bool ends_well(struct slice in, uint32_t size, enum proto_side side)
{
	size_t frame = (size_t)size + ZOOKEEPER_SIZE;

	return in.len <= frame || head_may_be(slice_head(slice_from(in, frame), ZOOKEEPER_HEAD), side);
}

/* Is a session asked for, as far as it is at hand? */
static int detect_connect(struct slice in)
{
	uint32_t size = load_be32(in.ptr), least = ZOOKEEPER_CONNECT - ZOOKEEPER_SIZE;

	if (load_be32(in.ptr + 4) != 0 || (size != least && size != least + 1 && size != least + SESSION_BYTES && size != least + SESSION_BYTES + 1))
		return DETECT_NO;
	if (in.len < ZOOKEEPER_CONNECT)
		return in.len > 8 && in.ptr[8] ? DETECT_NO : DETECT_MORE;
	if (!zookeeper_is_connect(in) || !ends_well(in, size, PROTO_TO_SERVER))
		return DETECT_NO;
	return size >= least + SESSION_BYTES ? DETECT_CERTAIN : DETECT_LIKELY;
}

struct fit {
	bool whole; /* to its last byte */
	bool path;  /* one was seen */
};

static bool field_fits(const struct zookeeper_field *f, struct slice in, struct fit *fit)
{
	if (f->type == 'b' || f->type == 'o')
		return f->number <= 1;
	if (f->type == 's')
		return slice_printable(slice_head(slice_from(in, f->consumed), f->skip));
	if (f->type != 'p')
		return true;
	fit->path |= f->text.len > 0;
	return f->text.len == 0 ? f->skip > 0 : f->text.ptr[0] == '/' && slice_printable(f->text);
}

/* The fields behind a head, as far as they are at hand. Not all of a long message: what is asked at each place must cost little. */
static bool body_fits(const struct zookeeper_op *op, struct slice in, uint32_t left, struct fit *fit)
{
	struct zookeeper_walk w;
	struct zookeeper_field f;

	*fit = (struct fit){ 0 };
	zookeeper_walk_start(&w, op->request, false);
	for (int i = 0; i < FIELDS_MAX; i++) {
		switch (zookeeper_walk_step(&w, slice_head(in, left), left, 0, &f)) {
		case ZOOKEEPER_BAD: return false;
		case ZOOKEEPER_MORE: return true;
		case ZOOKEEPER_END: fit->whole = left == 0; return fit->whole;
		case ZOOKEEPER_FIELD: break;
		}
		if (!field_fits(&f, slice_head(in, left), fit))
			return false;
		left -= f.consumed + f.skip;
		in = slice_from(in, f.consumed + (size_t)f.skip);
		if (in.len == 0 && left)
			return true;
	}
	return true;
}

static int detect_request(struct slice in)
{
	struct zookeeper_request r;
	struct fit fit;

	if (!head_may_be(slice_head(in, ZOOKEEPER_HEAD), PROTO_TO_SERVER))
		return DETECT_NO;
	if (in.len < 8)
		return DETECT_MORE;
	if (load_be32(in.ptr + 4) == 0)
		return detect_connect(in);
	if (in.len < ZOOKEEPER_HEAD)
		return DETECT_MORE;
	if (!zookeeper_request_read(in, &r) || r.size > REQUEST_MAX || !body_fits(r.op, slice_from(in, ZOOKEEPER_HEAD), r.size - (ZOOKEEPER_HEAD - ZOOKEEPER_SIZE), &fit))
		return DETECT_NO;
	if (!ends_well(in, r.size, PROTO_TO_SERVER))
		return DETECT_NO;
	if (fit.whole && r.xid < 0)
		return DETECT_CERTAIN;
	if (fit.path || r.xid < 0 || (fit.whole && r.op->code < 0))
		return DETECT_LIKELY;
	return fit.whole ? DETECT_WEAK : DETECT_MORE;
}

/* Type, state and path of what happened to a node, or to the session. */
static int detect_event(struct slice in, const struct zookeeper_reply *r)
{
	enum { EVENT_BYTES = 16 + 12 };

	if (r->error || r->size < EVENT_BYTES)
		return DETECT_NO;
	if (in.len < EVENT_BYTES + ZOOKEEPER_SIZE)
		return DETECT_MORE;
	int32_t type = (int32_t)load_be32(in.ptr + 20), state = (int32_t)load_be32(in.ptr + 24);
	bool fits = type >= -1 && type <= 7 && state >= -112 && state <= 7 && load_be32(in.ptr + 28) == r->size - EVENT_BYTES;
	return fits && slice_printable(slice_head(slice_from(in, 32), r->size - EVENT_BYTES)) ? DETECT_CERTAIN : DETECT_NO;
}

static int detect_response(struct slice in)
{
	struct zookeeper_reply r;

	if (!head_may_be(slice_head(in, ZOOKEEPER_HEAD), PROTO_TO_CLIENT))
		return DETECT_NO;
	if (in.len < ZOOKEEPER_REPLY_HEAD)
		return DETECT_MORE;
	if (load_be32(in.ptr + 4) == 0) {
		uint32_t size = load_be32(in.ptr), least = ZOOKEEPER_CONNECTED - ZOOKEEPER_SIZE;
		if (size != least && size != least + 1 && size != least + SESSION_BYTES && size != least + SESSION_BYTES + 1)
			return DETECT_NO;
		if (in.len < ZOOKEEPER_CONNECTED)
			return DETECT_MORE;
		return zookeeper_is_connected(in) && ends_well(in, size, PROTO_TO_CLIENT) ? DETECT_LIKELY : DETECT_NO;
	}
	if (!zookeeper_reply_read(in, &r) || (r.error && (!zookeeper_error_name(r.error) || r.size > ZOOKEEPER_REPLY_HEAD - ZOOKEEPER_SIZE)) || !ends_well(in, r.size, PROTO_TO_CLIENT))
		return DETECT_NO;
	if (r.xid == ZOOKEEPER_XID_EVENT)
		return detect_event(in, &r);
	if (in.ptr[8] || (r.xid == ZOOKEEPER_XID_PING && r.size > ZOOKEEPER_REPLY_HEAD - ZOOKEEPER_SIZE))
		return DETECT_NO;
	return r.xid < 0 || r.error ? DETECT_LIKELY : DETECT_WEAK;
}

int zookeeper_detect(struct slice in, enum proto_side side)
{
	if (in.len == 0)
		return DETECT_MORE;
	return side == PROTO_TO_SERVER ? detect_request(in) : detect_response(in);
}

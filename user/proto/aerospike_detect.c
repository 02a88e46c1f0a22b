/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether bytes are Aerospike's, and which side they are for. A record message of a client reads or writes, one of a server does not say so; an info message of a client has
 * names, one of a server their values behind tabs; a compressed one looks the same to either side.
 */
#include "proto/aerospike_wire.h"

enum { MESSAGES = 4, ADMIN_FIELDS_MAX = 16, ADMIN_COMMAND = 2, ADMIN_FIELDS = 3, ADMIN_ZEROS = 4 };
enum { FIELDS_MAX = 32, PARTICLE_MAX = 27, BIN_NAME_MAX = 255, OP_MAX = 32, OP_LEN_MIN = 4, ZLIB_32K = 0x78 };

static int info_score(struct slice text, bool whole, enum proto_side side)
{
	size_t at = 0;

	if (text.len == 0)
		return whole ? DETECT_WEAK : DETECT_MORE;
	for (; at < text.len && text.ptr[at] != '\n' && text.ptr[at] != '\t'; at++)
		if (text.ptr[at] < ' ' || text.ptr[at] >= 127)
			return DETECT_NO;
	bool tab = at < text.len && text.ptr[at] == '\t', line = at < text.len && !tab;
	size_t from = 0;
	struct slice name = aerospike_info_name(slice_head(text, at), &from);
	if (name.len == 0 || at >= AEROSPIKE_INFO_LOOKED)
		return DETECT_NO;
	if (!tab && !line && !(whole && side == PROTO_TO_SERVER))
		return whole ? DETECT_NO : DETECT_MORE;
	return tab == (side == PROTO_TO_CLIENT) ? DETECT_LIKELY : DETECT_NO;
}

static int admin_score(struct slice in, enum proto_side side)
{
	if (in.len < AEROSPIKE_ADMIN)
		return DETECT_MORE;
	for (size_t i = ADMIN_ZEROS; i < AEROSPIKE_ADMIN; i++)
		if (in.ptr[i])
			return DETECT_NO;
	if (in.ptr[0] || in.ptr[ADMIN_FIELDS] > ADMIN_FIELDS_MAX)
		return DETECT_NO;
	if (side == PROTO_TO_SERVER)
		return in.ptr[1] == 0 && aerospike_admin_name(in.ptr[ADMIN_COMMAND]) && (in.ptr[ADMIN_COMMAND] || in.ptr[ADMIN_FIELDS]) ? DETECT_LIKELY : DETECT_NO;
	/* All but the outcome may be zero. */
	return in.ptr[ADMIN_COMMAND] == 0 || aerospike_admin_name(in.ptr[ADMIN_COMMAND]) ? DETECT_WEAK : DETECT_NO;
}

/* The first field, or operation, behind the head of a record message. */
static bool item_fits(const struct aerospike_msg *h, struct slice in, uint64_t left)
{
	if (in.len >= AEROSPIKE_ITEM) {
		uint32_t size = load_be32(in.ptr);
		if (size < (h->fields ? 1 : OP_LEN_MIN) || size > left - AEROSPIKE_ITEM)
			return false;
	}
	if (in.len <= AEROSPIKE_ITEM)
		return true;
	if (h->fields)
		return aerospike_field_known(in.ptr[AEROSPIKE_ITEM]);
	return in.ptr[AEROSPIKE_ITEM] && in.ptr[AEROSPIKE_ITEM] <= OP_MAX && (in.len < AEROSPIKE_ITEM + 2 || in.ptr[AEROSPIKE_ITEM + 1] <= PARTICLE_MAX);
}

static bool request_fits(const struct aerospike_msg *h)
{
	return h->code == 0 && h->fields > 0 && (h->info[0] & AEROSPIKE_READ || h->info[1] & AEROSPIKE_WRITE || h->info[0] & AEROSPIKE_BATCH);
}

static bool answer_fits(const struct aerospike_msg *h)
{
	return (h->info[0] == 0 || h->info[0] == AEROSPIKE_NO_BINS) && h->info[1] == 0 && (h->info[2] & ~(AEROSPIKE_LAST | AEROSPIKE_PARTITION_DONE)) == 0 && h->info[3] == 0;
}

static int msg_score(struct slice in, uint32_t size, enum proto_side side)
{
	struct aerospike_msg h;

	if (in.len && in.ptr[0] != AEROSPIKE_MSG)
		return DETECT_NO;
	if (in.len < AEROSPIKE_MSG)
		return DETECT_MORE;
	if (!aerospike_msg_read(in.ptr, size, &h) || h.fields > FIELDS_MAX || !(side == PROTO_TO_SERVER ? request_fits(&h) : answer_fits(&h)))
		return DETECT_NO;
	if (h.fields || h.ops)
		return item_fits(&h, slice_from(in, AEROSPIKE_MSG), size - AEROSPIKE_MSG) ? DETECT_LIKELY : DETECT_NO;
	return size == AEROSPIKE_MSG || side == PROTO_TO_CLIENT ? DETECT_LIKELY : DETECT_NO;
}

/* It would have become smaller. */
static int packed_score(struct slice in, uint32_t size)
{
	if (in.len < AEROSPIKE_PACKED)
		return DETECT_MORE;
	uint64_t plain = load_be64(in.ptr);
	if (plain < AEROSPIKE_HEAD + AEROSPIKE_MSG || plain > AEROSPIKE_SIZE_MAX || plain + AEROSPIKE_PACKED < size)
		return DETECT_NO;
	if (in.len < AEROSPIKE_PACKED + 2)
		return DETECT_MORE;
	unsigned method = in.ptr[AEROSPIKE_PACKED], flags = in.ptr[AEROSPIKE_PACKED + 1];
	return method == ZLIB_32K && (method << 8 | flags) % 31 == 0 && !(flags & 0x20) ? DETECT_WEAK : DETECT_NO;
}

/* The message at the start of `in`, as far as it is there. */
static int score(struct slice in, enum proto_side side, struct aerospike_head *ret_head)
{
	switch (aerospike_head_read(in, ret_head)) {
	case AEROSPIKE_MORE: return DETECT_MORE;
	case AEROSPIKE_BAD: return DETECT_NO;
	case AEROSPIKE_OK: break;
	}
	struct slice body = slice_from(in, AEROSPIKE_HEAD);
	bool whole = body.len >= ret_head->size;
	body = slice_head(body, ret_head->size);
	switch (ret_head->type) {
	case AEROSPIKE_TYPE_INFO: return info_score(body, whole, side);
	case AEROSPIKE_TYPE_ADMIN: return admin_score(body, side);
	case AEROSPIKE_TYPE_MSG: return msg_score(body, ret_head->size, side);
	case AEROSPIKE_TYPE_PACKED: return packed_score(body, ret_head->size);
	}
	return DETECT_NO;
}

int aerospike_detect(struct slice in, enum proto_side side)
{
	struct aerospike_head head;
	int best = DETECT_MORE;

	for (unsigned i = 0; i < MESSAGES; i++) {
		int one = score(in, side, &head);
		if (one == DETECT_NO)
			return DETECT_NO;
		if (one == DETECT_MORE)
			return best;
		best = one > best ? one : best;
		if (in.len - AEROSPIKE_HEAD <= head.size)
			return best;
		in = slice_from(in, AEROSPIKE_HEAD + (size_t)head.size);
	}
	return best;
}

size_t aerospike_find(struct slice in, enum proto_side side)
{
	struct aerospike_head head, next;

	for (size_t at = 0; at < in.len; at++) {
		struct slice rest = slice_from(in, at);
		if (rest.ptr[0] != 2 || score(rest, side, &head) < DETECT_WEAK)
			continue;
		if (rest.len - AEROSPIKE_HEAD <= head.size || aerospike_head_read(slice_from(rest, AEROSPIKE_HEAD + (size_t)head.size), &next) != AEROSPIKE_BAD)
			return at;
	}
	return in.len;
}

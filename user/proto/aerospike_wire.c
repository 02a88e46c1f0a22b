/* SPDX-License-Identifier: Apache-2.0 */
/* Heads, names and codes: see aerospike_wire.h. */
#include "proto/aerospike_wire.h"

enum { VERSION = 2, OLD_ADMIN = 0, FIELD_MIN = 5, OP_MIN = 8 };
enum { OP_READ = 1, OP_WRITE = 2, OP_INCR = 5, OP_APPEND = 9, OP_PREPEND = 10, OP_TOUCH = 11, OP_DELETE = 14 };
enum { NOT_FOUND = 2, GENERATION = 3, EXISTS = 5, FILTERED = 27, NO_SECURITY = 51, SECURITY_OFF = 52 };
/* A record of a batch: index, digest and what of the one before it shares; of one that shares nothing the flags, fields and operations. */
enum { BATCH_HEAD = 5, RECORD = 25, REPEATS = 1, HAS_INFOS = 2, HAS_GENERATION = 4, HAS_TTL = 8, HAS_INFO4 = 16 };
enum { INFO_NAME_MAX = 40 };

enum aerospike_scan aerospike_head_read(struct slice in, struct aerospike_head *ret)
{
	if (in.len == 0)
		return AEROSPIKE_MORE;
	if (in.ptr[0] != VERSION && in.ptr[0] != OLD_ADMIN)
		return AEROSPIKE_BAD;
	if (in.len < 2)
		return AEROSPIKE_MORE;
	if (in.ptr[1] < AEROSPIKE_TYPE_INFO || in.ptr[1] > AEROSPIKE_TYPE_PACKED || (in.ptr[0] == OLD_ADMIN && in.ptr[1] != AEROSPIKE_TYPE_ADMIN))
		return AEROSPIKE_BAD;
	for (size_t i = 2; i < 4 && i < in.len; i++)
		if (in.ptr[i])
			return AEROSPIKE_BAD;
	if (in.len > 4 && in.ptr[4] > AEROSPIKE_SIZE_MAX >> 24)
		return AEROSPIKE_BAD;
	if (in.len < AEROSPIKE_HEAD)
		return AEROSPIKE_MORE;
	static const uint32_t least[] = { 0, 0, AEROSPIKE_ADMIN, AEROSPIKE_MSG, AEROSPIKE_PACKED + 2 };
	*ret = (struct aerospike_head){ .type = (enum aerospike_type)in.ptr[1], .size = load_be32(in.ptr + 4) };
	return ret->size <= AEROSPIKE_SIZE_MAX && ret->size >= least[ret->type] ? AEROSPIKE_OK : AEROSPIKE_BAD;
}

bool aerospike_msg_read(const uint8_t *p, uint64_t left, struct aerospike_msg *ret)
{
	*ret = (struct aerospike_msg){ .info = { p[1], p[2], p[3], p[4] }, .code = p[5], .fields = load_be16(p + 18), .ops = load_be16(p + 20) };
	return p[0] == AEROSPIKE_MSG && left >= AEROSPIKE_MSG && (uint64_t)FIELD_MIN * ret->fields + (uint64_t)OP_MIN * ret->ops <= left - AEROSPIKE_MSG;
}

bool aerospike_field_known(uint8_t type) { return type <= 15 || (type >= 21 && type <= 26) || (type >= 30 && type <= 33) || (type >= 40 && type <= 43); }

bool aerospike_needs_ops(const struct aerospike_asked *a)
{
	if (a->batch || !a->digest || a->module || a->info[3] & (AEROSPIKE_VERIFY | AEROSPIKE_ROLL_FORWARD | AEROSPIKE_ROLL_BACK))
		return false;
	if (a->info[1] & AEROSPIKE_WRITE)
		return !(a->info[1] & AEROSPIKE_DELETE) && !(a->info[0] & AEROSPIKE_READ);
	return !(a->info[0] & AEROSPIKE_NO_BINS);
}

static const char *by_ops(const struct aerospike_asked *a)
{
	if (a->op == 0)
		return a->info[1] & AEROSPIKE_WRITE ? "PUT" : "GET";
	if (a->mixed)
		return "OPERATE";
	switch (a->op) {
	case OP_READ: return "GET";
	case OP_WRITE: return "PUT";
	case OP_INCR: return "ADD";
	case OP_APPEND: return "APPEND";
	case OP_PREPEND: return "PREPEND";
	case OP_TOUCH: return "TOUCH";
	case OP_DELETE: return "DELETE";
	default: return "OPERATE";
	}
}

const char *aerospike_operation(const struct aerospike_asked *a)
{
	if (a->batch)
		return "BATCH";
	if (!a->digest)
		return a->index ? "QUERY" : "SCAN";
	if (a->info[3] & (AEROSPIKE_VERIFY | AEROSPIKE_ROLL_FORWARD | AEROSPIKE_ROLL_BACK))
		return a->info[3] & AEROSPIKE_VERIFY ? "VERIFY" : a->info[3] & AEROSPIKE_ROLL_FORWARD ? "COMMIT" : "ABORT";
	if (a->module)
		return "UDF";
	if (a->info[1] & AEROSPIKE_DELETE)
		return "DELETE";
	if (aerospike_needs_ops(a))
		return by_ops(a);
	return a->info[1] & AEROSPIKE_WRITE ? "OPERATE" : "EXISTS";
}

const char *aerospike_admin_name(uint8_t command)
{
	static const char *const names[] = {
		"AUTHENTICATE", "CREATE_USER", "DROP_USER", "SET_PASSWORD", "CHANGE_PASSWORD", "GRANT_ROLES", "REVOKE_ROLES", "REPLACE_ROLES", NULL, "QUERY_USERS", "CREATE_ROLE",
		"DROP_ROLE", "GRANT_PRIVILEGES", "REVOKE_PRIVILEGES", "SET_WHITELIST", "SET_QUOTAS", "QUERY_ROLES", NULL, NULL, NULL, "LOGIN",
	};

	return command < sizeof(names) / sizeof(names[0]) ? names[command] : NULL;
}

bool aerospike_failed(uint8_t code)
{
	return code && code != NOT_FOUND && code != GENERATION && code != EXISTS && code != FILTERED && code != AEROSPIKE_OK_LAST && code != NO_SECURITY && code != SECURITY_OFF;
}

bool aerospike_shown(struct slice name, size_t max)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] < ' ' || name.ptr[i] >= 127)
			return false;
	return name.len && name.len <= max;
}

/* ---- batches ---- */

/* A field or an operation; its contents without the length. False: not all of it is in `in`. */
static bool item(struct slice in, size_t *at, struct slice *ret)
{
	if (*at > in.len || in.len - *at < AEROSPIKE_ITEM)
		return false;
	uint32_t size = load_be32(in.ptr + *at);
	if (size == 0 || size > in.len - *at - AEROSPIKE_ITEM)
		return false;
	*ret = slice_make(in.ptr + *at + AEROSPIKE_ITEM, size);
	*at += AEROSPIKE_ITEM + (size_t)size;
	return true;
}

/* Fields and operations of a record; *at moves behind them. False: they are not all there. */
static bool record(struct slice in, size_t *at, struct slice *ret_space, struct slice *ret_set)
{
	uint8_t has = in.ptr[*at + RECORD - 1];
	struct slice one;

	*at += RECORD;
	if (has & REPEATS)
		return true;
	*ret_space = *ret_set = SLICE_NONE;
	*at += 1u + (has & HAS_INFOS ? 2 : 0) + (has & HAS_INFO4 ? 1 : 0) + (has & HAS_GENERATION ? 2 : 0) + (has & HAS_TTL ? 4 : 0);
	if (*at + 4 > in.len)
		return false;
	unsigned fields = load_be16(in.ptr + *at), ops = load_be16(in.ptr + *at + 2);
	*at += 4;
	for (unsigned i = 0; i < (fields ? fields : 1); i++) { /* clients of old say 0, and have the namespace */
		if (!item(in, at, &one))
			return false;
		if (one.ptr[0] == AEROSPIKE_FIELD_NAMESPACE && one.len - 1 <= AEROSPIKE_NAMESPACE_MAX)
			*ret_space = slice_from(one, 1);
		else if (one.ptr[0] == AEROSPIKE_FIELD_SET && one.len - 1 <= AEROSPIKE_SET_MAX)
			*ret_set = slice_from(one, 1);
	}
	while (ops--)
		if (!item(in, at, &one))
			return false;
	return true;
}

/* Whether all are of the first one's set: as far as they are in `in`; that those behind it are no longer than their shortest tells that they share what was said. */
static bool same_set(struct slice in, uint32_t size, struct aerospike_batch *b)
{
	struct slice space = SLICE_NONE, set = SLICE_NONE;
	size_t at = BATCH_HEAD;

	for (uint32_t left = b->count; left; left--) {
		if (at + RECORD > in.len || !record(in, &at, &space, &set))
			return false;
		if (left == b->count) {
			b->space = space;
			b->set = set;
		} else if (!slice_eq(space, b->space) || !slice_eq(set, b->set)) {
			return false;
		}
		if (size - at == (uint64_t)(left - 1) * RECORD)
			return true;
	}
	return false;
}

bool aerospike_batch_read(struct slice in, uint32_t size, struct aerospike_batch *ret)
{
	*ret = (struct aerospike_batch){ 0 };
	if (in.len < BATCH_HEAD)
		return false;
	ret->count = load_be32(in.ptr);
	if (ret->count > (size - BATCH_HEAD) / RECORD) {
		ret->count = 0;
		return false;
	}
	ret->same = same_set(in, size, ret);
	return true;
}

/* ---- info ---- */

static bool name_byte(uint8_t b) { return (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9') || b == '-' || b == '_'; }

struct slice aerospike_info_name(struct slice in, size_t *at)
{
	size_t from = *at, to = from;

	while (to < in.len && to - from <= INFO_NAME_MAX && name_byte(in.ptr[to]))
		to++;
	bool whole = to == in.len || in.ptr[to] == '\n' || in.ptr[to] == ':' || in.ptr[to] == '/' || in.ptr[to] == '=' || in.ptr[to] == ';';
	size_t end = slice_find(in, '\n', from);
	*at = end < in.len ? end + 1 : in.len;
	return whole && to - from <= INFO_NAME_MAX ? slice_make(in.ptr + from, to - from) : SLICE_NONE;
}

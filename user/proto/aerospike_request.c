/* SPDX-License-Identifier: Apache-2.0 */
/* What Aerospike's clients send: see aerospike.c. */
#include "proto/aerospike_state.h"

enum {
	OPS_LOOKED = 32,     /* operations of a request; what follows is as they are */
	FUNCTION_MAX = 59,   /* and of a module's name */
	PACKED_LOOKED = 4096, /* bytes of what is compressed */
	ADMIN_RESULT = 1, ADMIN_COMMAND = 2,
	ADMIN_QUERY_USERS = 9, ADMIN_QUERY_ROLES = 16,
};

static void begin(struct aerospike_state *s, struct parse_result *ret, enum aerospike_kind kind)
{
	ret->message.kind = MESSAGE_REQUEST;
	ret->message.flags |= MESSAGE_BEGIN;
	aerospike_due_add(s, ret, kind);
}

/* All that will be known of the request is; `skip` bytes of it follow. */
static enum parse_status end(struct parse_result *ret, size_t consumed, uint64_t skip)
{
	ret->consumed = consumed;
	ret->skip = skip;
	ret->message.flags |= MESSAGE_END | (skip ? MESSAGE_END_AFTER_SKIP : 0);
	return PARSE_MESSAGE;
}

static void add_name(struct message *m, const char *name) { message_add_str(m, ATTR_DB_OPERATION_NAME, slice_str(name)); }

/* ---- info and security ---- */

/* Names of the commands, without what stands behind them. Returns how many lines there are. */
static unsigned info_names(struct aerospike_memory *y, struct slice text, struct message *m)
{
	size_t at = 0, len = 0;
	unsigned lines = 0;

	while (at < text.len) {
		struct slice name = aerospike_info_name(text, &at);
		lines++;
		if (!y || name.len == 0 || name.len + 1 > sizeof(y->text) - len)
			continue;
		if (len)
			y->text[len++] = ' ';
		memcpy(y->text + len, name.ptr, name.len);
		len += name.len;
	}
	if (len)
		message_add_str(m, ATTR_RAW_STATEMENT, slice_make(y->text, len));
	return lines;
}

static enum parse_status info(struct aerospike_state *s, uint32_t size, struct slice in, struct parse_result *ret)
{
	size_t looked = size < AEROSPIKE_INFO_LOOKED ? size : AEROSPIKE_INFO_LOOKED;

	ret->need = AEROSPIKE_HEAD + looked;
	if (in.len < ret->need)
		return PARSE_NEED_MORE;
	add_name(&ret->message, "INFO");
	unsigned lines = info_names(s->memory, slice_make(in.ptr + AEROSPIKE_HEAD, looked), &ret->message);
	begin(s, ret, lines == 1 && looked == size ? AEROSPIKE_INFO_ONE : AEROSPIKE_INFO);
	return end(ret, ret->need, size - looked);
}

static enum parse_status admin(struct aerospike_state *s, uint32_t size, struct slice in, struct parse_result *ret)
{
	ret->need = AEROSPIKE_HEAD + AEROSPIKE_ADMIN;
	if (in.len < ret->need)
		return PARSE_NEED_MORE;
	uint8_t command = in.ptr[AEROSPIKE_HEAD + ADMIN_COMMAND];
	const char *name = aerospike_admin_name(command);
	if (in.ptr[AEROSPIKE_HEAD] || in.ptr[AEROSPIKE_HEAD + ADMIN_RESULT])
		return PARSE_BAD;
	begin(s, ret, command == ADMIN_QUERY_USERS || command == ADMIN_QUERY_ROLES ? AEROSPIKE_ADMIN_MANY : AEROSPIKE_ADMIN_ONE);
	add_name(&ret->message, name ? name : "_OTHER");
	return end(ret, ret->need, size - AEROSPIKE_ADMIN);
}

/* ---- records ---- */

/* Bytes of a field's contents that are looked at. */
static uint32_t contents_wanted(uint8_t type, uint32_t len)
{
	switch (type) {
	case AEROSPIKE_FIELD_NAMESPACE: return len <= AEROSPIKE_NAMESPACE_MAX ? len : 0;
	case AEROSPIKE_FIELD_SET: return len <= AEROSPIKE_SET_MAX ? len : 0;
	case AEROSPIKE_FIELD_MODULE: case AEROSPIKE_FIELD_FUNCTION: return len <= FUNCTION_MAX ? len : 0;
	case AEROSPIKE_FIELD_BATCH: case AEROSPIKE_FIELD_BATCH_WITH_SET: return len < AEROSPIKE_BATCH_LOOKED ? len : AEROSPIKE_BATCH_LOOKED;
	default: return 0;
	}
}

static void take_names(struct message *m, struct slice space, struct slice set)
{
	if (aerospike_shown(space, AEROSPIKE_NAMESPACE_MAX))
		message_add_str(m, ATTR_DB_NAMESPACE, space);
	if (aerospike_shown(set, AEROSPIKE_SET_MAX))
		message_add_str(m, ATTR_DB_COLLECTION_NAME, set);
}

static void take_batch(struct slice in, uint32_t len, struct message *m)
{
	struct aerospike_batch b;

	if (!aerospike_batch_read(in, len, &b))
		return;
	if (b.count != 1) /* one alone is no batch to the conventions */
		message_add_int(m, ATTR_DB_OPERATION_BATCH_SIZE, b.count);
	if (b.same)
		take_names(m, b.space, b.set);
}

/* A function is called by the name of its module, a dot and its own. */
static void take_function(struct aerospike_state *s, uint8_t type, struct slice in, struct message *m)
{
	struct aerospike_asking *q = &s->asking;

	if (!s->memory || !aerospike_shown(in, FUNCTION_MAX)) {
		q->text_len = 0;
		return;
	}
	if (type == AEROSPIKE_FIELD_FUNCTION && q->text_len == 0)
		return;
	memcpy(s->memory->text + q->text_len, in.ptr, in.len);
	q->text_len = (uint8_t)(q->text_len + in.len);
	if (type == AEROSPIKE_FIELD_MODULE)
		s->memory->text[q->text_len++] = '.';
	else
		message_add_str(m, ATTR_DB_STORED_PROCEDURE_NAME, slice_make(s->memory->text, q->text_len));
}

/* in: what is looked at of `len` bytes. */
static void take_field(struct aerospike_state *s, uint8_t type, struct slice in, uint32_t len, struct message *m)
{
	struct aerospike_asked *a = &s->asking.asked;

	switch (type) {
	case AEROSPIKE_FIELD_NAMESPACE:
		take_names(m, in, SLICE_NONE);
		break;
	case AEROSPIKE_FIELD_SET:
		take_names(m, SLICE_NONE, in);
		break;
	case AEROSPIKE_FIELD_DIGEST:
		a->digest = true;
		break;
	case AEROSPIKE_FIELD_INDEX_NAME: case AEROSPIKE_FIELD_INDEX_RANGE:
		a->index = true;
		break;
	case AEROSPIKE_FIELD_MODULE:
		s->asking.text_len = 0;
		a->module = true;
		take_function(s, type, in, m);
		break;
	case AEROSPIKE_FIELD_FUNCTION:
		take_function(s, type, in, m);
		break;
	case AEROSPIKE_FIELD_BATCH: case AEROSPIKE_FIELD_BATCH_WITH_SET:
		a->batch = true;
		take_batch(in, len, m);
		break;
	default:
		break;
	}
}

static void take_op(struct aerospike_asking *q, uint8_t op)
{
	q->asked.mixed |= q->looked && op != q->asked.op;
	q->asked.op = q->looked ? q->asked.op : op;
	q->looked++;
}

static bool wants_more(const struct aerospike_asking *q)
{
	return q->fields || (q->ops && q->looked < OPS_LOOKED && !q->asked.mixed && aerospike_needs_ops(&q->asked));
}

/* Fields, then operations, as far as they are in `in` and say what is asked. *at moves; *ret_need: 0, or so many bytes from there on are needed first. False: their lengths are nonsense. */
static bool walk(struct aerospike_state *s, struct slice in, size_t *at, uint64_t *ret_pass, size_t *ret_need, struct message *m)
{
	struct aerospike_asking *q = &s->asking;

	*ret_need = 0;
	for (*ret_pass = 0; !*ret_pass && wants_more(q);) {
		struct slice rest = slice_from(in, *at);
		*ret_need = AEROSPIKE_ITEM + 1u;
		if (rest.len < *ret_need)
			return q->left >= *ret_need;
		uint32_t size = load_be32(rest.ptr);
		if (q->left < AEROSPIKE_ITEM || size == 0 || size > q->left - AEROSPIKE_ITEM)
			return false;
		uint32_t wanted = q->fields ? contents_wanted(rest.ptr[AEROSPIKE_ITEM], size - 1) : 0;
		*ret_need += wanted;
		if (rest.len < *ret_need)
			return true;
		if (q->fields) {
			take_field(s, rest.ptr[AEROSPIKE_ITEM], slice_make(rest.ptr + AEROSPIKE_ITEM + 1, wanted), size - 1, m);
			q->fields--;
		} else {
			take_op(q, rest.ptr[AEROSPIKE_ITEM]);
			q->ops--;
		}
		uint64_t all = (uint64_t)AEROSPIKE_ITEM + size;
		size_t here = all < rest.len ? (size_t)all : rest.len;
		*at += here;
		*ret_pass = all - here;
		q->left -= all;
		*ret_need = 0;
	}
	return true;
}

/* Its fields are known: what it is called, and what the answer will be. */
static void conclude(struct aerospike_state *s, struct message *m)
{
	struct aerospike_asking *q = &s->asking;
	struct aerospike_memory *y = s->memory;
	const char *name = q->blind ? NULL : aerospike_operation(&q->asked);
	enum aerospike_kind kind = q->asked.batch ? AEROSPIKE_MANY : q->asked.digest ? AEROSPIKE_ONE : AEROSPIKE_SCANNED;

	if (!name) {
		m->flags |= MESSAGE_UNSURE;
		return;
	}
	add_name(m, name);
	if (q->queued)
		y->due[(y->first + y->count - 1u) % AEROSPIKE_DUE] = (uint8_t)(strcmp(name, "GET") == 0 ? AEROSPIKE_GET : kind);
}

static void begin_record(struct aerospike_state *s, const struct aerospike_msg *h, uint64_t left, struct parse_result *ret)
{
	begin(s, ret, AEROSPIKE_UNKNOWN);
	s->asking = (struct aerospike_asking){ .left = left, .fields = h->fields, .ops = h->ops, .open = true, .queued = s->asking.queued };
	memcpy(s->asking.asked.info, h->info, sizeof(h->info));
	s->asking.asked.batch = h->info[0] & AEROSPIKE_BATCH;
}

static enum parse_status record(struct aerospike_state *s, struct slice in, size_t consumed, struct parse_result *ret)
{
	struct aerospike_asking *q = &s->asking;
	uint64_t pass;
	size_t need;

	bool good = walk(s, in, &consumed, &pass, &need, &ret->message);
	if (good && !wants_more(q)) {
		q->open = false;
		conclude(s, &ret->message);
		return end(ret, consumed, pass + q->left);
	}
	ret->consumed = consumed;
	ret->skip = pass;
	if (consumed == 0) {
		ret->need = need;
		return good ? PARSE_NEED_MORE : PARSE_BAD; /* what is in front of nonsense is said first */
	}
	return ret->message.flags || ret->message.nattrs ? PARSE_MESSAGE : PARSE_SKIP;
}

/* The beginning of what is compressed is that of a record message; as much as there is of it is all that is known. */
static bool unpack(struct aerospike_state *s, struct slice in, struct parse_result *ret)
{
	struct aerospike_inflate *f = aerospike_inflates(s, PROTO_TO_SERVER);
	struct aerospike_head head;
	struct aerospike_msg h;
	size_t at = 0, need;
	uint64_t pass;

	if (!f || !aerospike_inflate_begin(f))
		return false;
	struct slice plain = aerospike_inflate(f, in, &at);
	if (aerospike_head_read(plain, &head) != AEROSPIKE_OK || head.type != AEROSPIKE_TYPE_MSG || plain.len < AEROSPIKE_HEAD + AEROSPIKE_MSG ||
	    !aerospike_msg_read(plain.ptr + AEROSPIKE_HEAD, head.size, &h))
		return false;
	begin_record(s, &h, head.size - AEROSPIKE_MSG, ret);
	s->asking.open = false;
	at = AEROSPIKE_HEAD + AEROSPIKE_MSG;
	if (walk(s, plain, &at, &pass, &need, &ret->message) && s->asking.fields == 0)
		conclude(s, &ret->message);
	else if (s->asking.asked.batch)
		add_name(&ret->message, "BATCH");
	return true;
}

static enum parse_status packed(struct aerospike_state *s, uint32_t size, struct slice in, struct parse_result *ret)
{
	uint32_t looked = size < PACKED_LOOKED ? size : PACKED_LOOKED;

	ret->need = AEROSPIKE_HEAD + (size_t)looked;
	if (in.len < ret->need)
		return PARSE_NEED_MORE;
	if (!unpack(s, slice_make(in.ptr + AEROSPIKE_HEAD + AEROSPIKE_PACKED, looked - AEROSPIKE_PACKED), ret))
		begin(s, ret, AEROSPIKE_UNKNOWN);
	return end(ret, ret->need, size - looked);
}

enum parse_status aerospike_request(struct aerospike_state *s, struct slice in, struct parse_result *ret)
{
	struct aerospike_head head;
	struct aerospike_msg h;

	if (s->asking.open)
		return record(s, in, 0, ret);
	enum aerospike_scan scan = aerospike_head_read(in, &head);
	ret->need = AEROSPIKE_HEAD;
	if (scan != AEROSPIKE_OK)
		return scan == AEROSPIKE_MORE ? PARSE_NEED_MORE : PARSE_BAD;
	switch (head.type) {
	case AEROSPIKE_TYPE_INFO: return info(s, head.size, in, ret);
	case AEROSPIKE_TYPE_ADMIN: return admin(s, head.size, in, ret);
	case AEROSPIKE_TYPE_PACKED: return packed(s, head.size, in, ret);
	case AEROSPIKE_TYPE_MSG: break;
	}
	ret->need = AEROSPIKE_HEAD + AEROSPIKE_MSG;
	if (in.len < ret->need)
		return PARSE_NEED_MORE;
	if (!aerospike_msg_read(in.ptr + AEROSPIKE_HEAD, head.size, &h) || h.code)
		return PARSE_BAD;
	begin_record(s, &h, head.size - AEROSPIKE_MSG, ret);
	return record(s, in, AEROSPIKE_HEAD + AEROSPIKE_MSG, ret);
}

/* Of its operations what was seen counts; without all its fields it is not known what it is. */
bool aerospike_request_missing(struct aerospike_state *s, uint64_t n, struct message *m)
{
	struct aerospike_asking *q = &s->asking;

	if (!q->open || n > q->left)
		return false;
	m->kind = MESSAGE_REQUEST;
	q->left -= n;
	q->blind |= q->fields > 0;
	q->fields = q->ops = 0;
	if (q->left)
		return true;
	q->open = false;
	conclude(s, m);
	m->flags |= MESSAGE_END;
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a Cassandra server answers: see cassandra.c. */
#include "proto/cassandra_state.h"

enum { UUID_BYTES = 16, TYPE_DEPTH = 8, COLUMNS_MAX = 4096 };

/* Of the metadata of rows. */
enum { GLOBAL_TABLE = 1, MORE_PAGES = 2, NO_METADATA = 4, METADATA_CHANGED = 8 };

enum type { TYPE_CUSTOM = 0, TYPE_LIST = 0x20, TYPE_MAP = 0x21, TYPE_SET = 0x22, TYPE_UDT = 0x30, TYPE_TUPLE = 0x31 };

/* One level of a type: how many types are still to come in it, and whether each has a name. */
struct level {
	uint32_t left;
	bool named;
};

/* A keyspace and a name in it. */
static bool pass_names(struct slice in, size_t *at)
{
	struct slice keyspace, name;

	return cassandra_string(in, at, &keyspace) && cassandra_string(in, at, &name);
}

/* What is inside of a type with this number. False: it is not all there. */
static bool type_inside(struct slice in, size_t *at, uint16_t id, struct level *ret)
{
	struct slice text;
	uint16_t n;

	*ret = (struct level){ 0 };
	switch (id) {
	case TYPE_CUSTOM: return cassandra_string(in, at, &text);
	case TYPE_LIST:
	case TYPE_SET: ret->left = 1; return true;
	case TYPE_MAP: ret->left = 2; return true;
	case TYPE_UDT:
		if (!pass_names(in, at) || !cassandra_short(in, at, &n))
			return false;
		*ret = (struct level){ n, true };
		return true;
	case TYPE_TUPLE:
		if (!cassandra_short(in, at, &n))
			return false;
		ret->left = n;
		return true;
	default: return true;
	}
}

/* [option]: a type, and what it is made of. False: it is not all there, or deeper than anybody nests. */
static bool pass_type(struct slice in, size_t *at)
{
	struct level levels[TYPE_DEPTH] = { { 1, false } };
	int depth = 0;

	while (depth >= 0) {
		struct level *v = &levels[depth], inside;
		struct slice name;
		uint16_t id;
		if (v->left == 0) {
			depth--;
			continue;
		}
		v->left--;
		if ((v->named && !cassandra_string(in, at, &name)) || !cassandra_short(in, at, &id) || !type_inside(in, at, id, &inside))
			return false;
		if (!inside.left)
			continue;
		if (++depth == TYPE_DEPTH)
			return false;
		levels[depth] = inside;
	}
	return true;
}

/* <metadata><rows_count>: steps over the columns. False: not all of it is there. */
static bool rows_count(struct slice in, size_t at, int32_t *ret)
{
	struct slice text;
	int32_t flags, columns;

	if (!cassandra_int(in, &at, &flags) || !cassandra_int(in, &at, &columns) || columns < 0 || columns > COLUMNS_MAX)
		return false;
	if ((flags & MORE_PAGES && !cassandra_pass_bytes(in, &at)) || (flags & METADATA_CHANGED && !cassandra_string(in, &at, &text)))
		return false;
	if (flags & NO_METADATA)
		return cassandra_int(in, &at, ret);
	if (flags & GLOBAL_TABLE && !pass_names(in, &at))
		return false;
	while (columns--) {
		if (!(flags & GLOBAL_TABLE) && !pass_names(in, &at))
			return false;
		if (!cassandra_string(in, &at, &text) || !pass_type(in, &at))
			return false;
	}
	return cassandra_int(in, &at, ret);
}

static void set_keyspace(struct cassandra_state *s, struct slice name)
{
	struct cassandra_memory *y = s->memory;

	y->keyspace_len = name.len <= CASSANDRA_KEYSPACE_LEN ? (uint16_t)name.len : 0;
	if (y->keyspace_len)
		memcpy(y->keyspace, name.ptr, name.len);
	s->moves = s->requests_lost = false;
}

static void read_result(struct cassandra_state *s, struct slice body, struct message *m, struct slice *ret_id)
{
	struct slice text;
	size_t at = 0;
	int32_t kind, n;

	if (!cassandra_int(body, &at, &kind))
		return;
	switch (kind) {
	case CASSANDRA_ROWS:
		if (rows_count(body, at, &n) && n >= 0)
			message_add_int(m, ATTR_DB_RESPONSE_RETURNED_ROWS, n);
		break;
	case CASSANDRA_KEYSPACE:
		if (!cassandra_string(body, &at, &text))
			break;
		set_keyspace(s, text);
		message_add_str(m, ATTR_DB_NAMESPACE, text);
		break;
	case CASSANDRA_PREPARED:
		if (cassandra_string(body, &at, &text))
			*ret_id = text;
		break;
	default: break;
	}
}

/* As the specification writes it: 0x2200. */
static struct slice code_text(struct cassandra_state *s, uint32_t code)
{
	static const char digits[] = "0123456789abcdef";

	s->code[0] = '0';
	s->code[1] = 'x';
	for (int i = 0; i < 4; i++)
		s->code[2 + i] = digits[code >> (12 - 4 * i) & 15];
	return slice_make(s->code, 6);
}

static void read_error(struct cassandra_state *s, struct slice body, struct message *m)
{
	struct slice text = SLICE_LIT("_OTHER"), message;
	size_t at = 0;
	int32_t code;

	m->flags |= MESSAGE_ERROR;
	if (cassandra_int(body, &at, &code) && code >= 0 && code <= UINT16_MAX) {
		text = code_text(s, (uint32_t)code);
		message_add_str(m, ATTR_DB_RESPONSE_STATUS_CODE, text);
		if (cassandra_string(body, &at, &message) && message.len)
			message_add_str(m, ATTR_RAW_STATUS_MESSAGE, slice_head(message, 1024));
	}
	memcpy(m->error_type, text.ptr, text.len);
	m->error_type[text.len] = 0;
}

/* What stands in front of what is answered: the trace's id, warnings, a custom payload. */
static bool pass_front(const struct cassandra_head *h, struct slice *body)
{
	struct slice text;
	size_t at = 0;
	uint16_t n;

	if (h->flags & CASSANDRA_TRACING && !cassandra_pass(*body, &at, UUID_BYTES))
		return false;
	if (h->flags & CASSANDRA_WARNING) {
		if (!cassandra_short(*body, &at, &n))
			return false;
		while (n--)
			if (!cassandra_string(*body, &at, &text))
				return false;
	}
	if (h->flags & CASSANDRA_PAYLOAD) {
		if (!cassandra_short(*body, &at, &n))
			return false;
		while (n--)
			if (!cassandra_string(*body, &at, &text) || !cassandra_pass_bytes(*body, &at))
				return false;
	}
	*body = at == body->len ? SLICE_NONE : slice_from(*body, at);
	return true;
}

/* Whatever the answer is, with it the keyspace is what it is. */
static void settle(struct cassandra_state *s, uint16_t stream)
{
	if (s->moves && s->moves_on == stream)
		s->moves = false;
}

bool cassandra_read_response(struct cassandra_state *s, const struct cassandra_head *h, struct slice body, bool known, struct message *m)
{
	struct slice id = SLICE_NONE;

	if (h->stream & 0x8000) { /* an event, or an error of no request */
		m->kind = MESSAGE_ONEWAY;
		return true;
	}
	m->kind = MESSAGE_RESPONSE;
	m->keyed = true;
	m->key = h->stream;
	known = known && pass_front(h, &body);
	if (h->opcode == CASSANDRA_ERROR)
		read_error(s, known ? body : SLICE_NONE, m);
	else if (h->opcode == CASSANDRA_RESULT && known)
		read_result(s, body, m, &id);
	if (h->opcode == CASSANDRA_RESULT && !known)
		message_add_str(m, ATTR_PLUMB_INCOMPLETE, SLICE_LIT("compressed"));
	cassandra_memory_answer(s->memory, h->stream, id);
	settle(s, h->stream);
	return true;
}

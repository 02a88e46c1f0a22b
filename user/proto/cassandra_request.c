/* SPDX-License-Identifier: Apache-2.0 */
/* What a Cassandra client asks: see cassandra.c. Values are stepped over. */
#include "lib/sql_lex.h"
#include "proto/cassandra_state.h"

enum { VALUES = 1, PAGE_SIZE = 4, VALUES_MAX = 1024, PARTS_MAX = 1024, KEYSPACE_OF_PREPARE = 1 };
#define KEYSPACE_GIVEN 0x80u

static void add_text(struct message *m, enum attr_id id, const char *text)
{
	message_add_str(m, id, slice_str(text));
}

static const char *consistency_name(uint16_t level)
{
	static const char *const names[] = { "any", "one", "two", "three", "quorum", "all", "local_quorum", "each_quorum", "serial", "local_serial", "local_one" };

	return level < sizeof(names) / sizeof(*names) ? names[level] : NULL;
}

/* Flags of a query or a batch: one byte up to version 4, four from 5 on. */
static bool read_flags(const struct cassandra_head *h, struct slice body, size_t *at, uint32_t *ret)
{
	int32_t flags;

	if (h->version >= CASSANDRA_LAST_VERSION) {
		if (!cassandra_int(body, at, &flags))
			return false;
		*ret = (uint32_t)flags;
		return true;
	}
	if (*at >= body.len)
		return false;
	*ret = body.ptr[(*at)++];
	return true;
}

static bool pass_values(struct slice body, size_t *at, bool named)
{
	struct slice name;
	uint16_t n;

	if (!cassandra_short(body, at, &n) || n > VALUES_MAX)
		return false;
	while (n--)
		if ((named && !cassandra_string(body, at, &name)) || !cassandra_pass_bytes(body, at))
			return false;
	return true;
}

static void add_consistency(struct message *m, uint16_t level)
{
	const char *name = consistency_name(level);

	if (name)
		add_text(m, ATTR_CASSANDRA_CONSISTENCY_LEVEL, name);
}

/*
 * <consistency><flags>[<n>[name_1]<value_1>...][<result_page_size>][<paging_state>][<serial_consistency>][<timestamp>][<keyspace>]: as far as it
 * can be read. *ret_keyspace is set if the request names one.
 */
static void read_parameters(const struct cassandra_head *h, struct slice body, size_t at, struct message *m, struct slice *ret_keyspace)
{
	enum { SKIP_METADATA = 2, PAGING_STATE = 8, SERIAL = 16, TIMESTAMP = 32, NAMED = 64 };
	uint16_t level;
	uint32_t flags;
	int32_t page;

	if (!cassandra_short(body, &at, &level))
		return;
	add_consistency(m, level);
	if (!read_flags(h, body, &at, &flags))
		return;
	if (flags & VALUES && !pass_values(body, &at, flags & NAMED))
		return;
	if (flags & PAGE_SIZE) {
		if (!cassandra_int(body, &at, &page))
			return;
		if (page > 0)
			message_add_int(m, ATTR_CASSANDRA_PAGE_SIZE, page);
	}
	if (!(flags & KEYSPACE_GIVEN) || h->version < CASSANDRA_LAST_VERSION)
		return;
	if ((flags & PAGING_STATE && !cassandra_pass_bytes(body, &at)) || (flags & SERIAL && !cassandra_pass(body, &at, 2)) ||
	    (flags & TIMESTAMP && !cassandra_pass(body, &at, 8)) || !cassandra_string(body, &at, ret_keyspace))
		*ret_keyspace = SLICE_NONE;
}

static struct slice trim(struct slice text)
{
	while (text.len && text.ptr[0] <= ' ')
		text = slice_from(text, 1);
	return text;
}

/* "USE shop": its answer tells the keyspace. */
static bool is_use(struct slice text)
{
	text = trim(text);
	return text.len > 4 && slice_ieq(slice_head(text, 3), SLICE_LIT("use")) && text.ptr[3] <= ' ';
}

static void add_keyspace(const struct cassandra_state *s, struct message *m, struct slice given)
{
	if (given.len)
		message_add_str(m, ATTR_DB_NAMESPACE, given);
	else if (s->memory->keyspace_len)
		message_add_str(m, ATTR_DB_NAMESPACE, slice_make(s->memory->keyspace, s->memory->keyspace_len));
}

static void read_query(struct cassandra_state *s, const struct cassandra_head *h, struct slice body, struct message *m)
{
	struct slice text = SLICE_NONE, keyspace = SLICE_NONE;
	size_t at = 0;

	if (!cassandra_long_string(body, &at, &text)) {
		add_text(m, ATTR_DB_OPERATION_NAME, "QUERY");
		return;
	}
	message_add_str(m, ATTR_RAW_STATEMENT, slice_head(text, CASSANDRA_STATEMENT_HEAD));
	read_parameters(h, body, at, m, &keyspace);
	if (is_use(text)) {
		s->moves = true;
		s->moves_on = h->stream;
		return;
	}
	add_keyspace(s, m, keyspace);
}

static void read_prepare(struct cassandra_state *s, const struct cassandra_head *h, struct slice body, struct message *m)
{
	struct slice text = SLICE_NONE, keyspace = SLICE_NONE;
	size_t at = 0;
	int32_t flags;

	add_text(m, ATTR_DB_OPERATION_NAME, "PREPARE");
	if (!cassandra_long_string(body, &at, &text))
		return;
	message_add_str(m, ATTR_RAW_STATEMENT, slice_head(text, CASSANDRA_STATEMENT_HEAD));
	cassandra_memory_prepare(s->memory, h->stream, text);
	if (h->version >= CASSANDRA_LAST_VERSION && cassandra_int(body, &at, &flags) && flags & KEYSPACE_OF_PREPARE && !cassandra_string(body, &at, &keyspace))
		keyspace = SLICE_NONE;
	add_keyspace(s, m, keyspace);
}

static void add_unknown(struct message *m)
{
	add_text(m, ATTR_PLUMB_INCOMPLETE, "statement_not_seen");
}

static void read_execute(struct cassandra_state *s, const struct cassandra_head *h, struct slice body, struct message *m)
{
	struct slice id = SLICE_NONE, metadata, keyspace = SLICE_NONE;
	size_t at = 0;
	bool whole = cassandra_string(body, &at, &id) && (h->version < CASSANDRA_LAST_VERSION || cassandra_string(body, &at, &metadata));
	struct slice text = id.len ? cassandra_memory_find(s->memory, id) : SLICE_NONE;

	if (text.len) {
		message_add_str(m, ATTR_RAW_STATEMENT, text);
	} else {
		add_unknown(m);
		add_text(m, ATTR_DB_OPERATION_NAME, "EXECUTE");
	}
	if (whole)
		read_parameters(h, body, at, m, &keyspace);
	add_keyspace(s, m, keyspace);
}

/* --- batches --- */

struct batch {
	struct cassandra_memory *memory;
	struct slice first;    /* text */
	const char *operation; /* of all, NULL if they differ */
	bool same;             /* all texts are */
	bool unknown;          /* the text of one is */
	bool open;             /* the text so far does not end where a statement does: what came behind it would be read as something else */
	unsigned n;            /* texts */
};

static const char *batch_operation(struct slice text)
{
	static const struct {
		const char *word, *operation;
	} known[] = { { "insert", "BATCH INSERT" }, { "update", "BATCH UPDATE" }, { "delete", "BATCH DELETE" } };

	text = trim(text);
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		struct slice word = slice_str(known[i].word);
		if (text.len > word.len && text.ptr[word.len] <= ' ' && slice_ieq(slice_head(text, word.len), word))
			return known[i].operation;
	}
	return NULL;
}

/* Cut, or within a literal. */
static bool ends_open(struct slice text)
{
	struct sql_lex l;
	struct sql_token t;

	sql_lex_init(&l, text, SQL_CQL);
	do {
		t = sql_lex_next(&l);
		if (t.open)
			return true;
	} while (t.kind != SQL_END);
	return text.len >= CASSANDRA_STATEMENT_TEXT;
}

static void batch_put(struct cassandra_memory *y, struct slice text)
{
	text = slice_head(text, (size_t)(CASSANDRA_BATCH_TEXT - y->batch_len));
	if (text.len)
		memcpy(y->batch + y->batch_len, text.ptr, text.len);
	y->batch_len = (uint16_t)(y->batch_len + text.len);
}

static void batch_add(struct batch *b, struct slice text)
{
	if (!text.len) {
		b->unknown = true;
		return;
	}
	if (b->n++ == 0) {
		b->operation = batch_operation(text);
		b->first = text;
		batch_put(b->memory, text);
		b->open = ends_open(text);
		return;
	}
	if (b->operation && b->operation != batch_operation(text))
		b->operation = NULL;
	b->same = b->same && slice_eq(text, b->first);
	if (b->open || b->memory->batch_len == CASSANDRA_BATCH_TEXT)
		return;
	batch_put(b->memory, SLICE_LIT("; "));
	batch_put(b->memory, text);
	b->open = ends_open(text);
}

/* <kind><string_or_id><n>[name_1]<value_1>... False: it is not all there. */
static bool batch_part(struct batch *b, struct slice body, size_t *at)
{
	struct slice what = SLICE_NONE;

	if (*at >= body.len)
		return false;
	uint8_t kind = body.ptr[(*at)++];
	if (kind == 0 ? !cassandra_long_string(body, at, &what) : !cassandra_string(body, at, &what)) {
		b->unknown = true;
		return false;
	}
	batch_add(b, kind == 0 ? what : cassandra_memory_find(b->memory, what));
	return pass_values(body, at, false);
}

/* <type><n><query_1>...<query_n><consistency><flags>[<serial_consistency>][<timestamp>][<keyspace>] */
static void batch_parameters(const struct cassandra_head *h, struct slice body, size_t at, struct message *m, struct slice *ret_keyspace)
{
	enum { SERIAL = 16, TIMESTAMP = 32 };
	uint16_t level;
	uint32_t flags;

	if (!cassandra_short(body, &at, &level))
		return;
	add_consistency(m, level);
	if (!read_flags(h, body, &at, &flags) || !(flags & KEYSPACE_GIVEN) || h->version < CASSANDRA_LAST_VERSION)
		return;
	if ((flags & SERIAL && !cassandra_pass(body, &at, 2)) || (flags & TIMESTAMP && !cassandra_pass(body, &at, 8)) || !cassandra_string(body, &at, ret_keyspace))
		*ret_keyspace = SLICE_NONE;
}

static void read_batch(struct cassandra_state *s, const struct cassandra_head *h, struct slice body, struct message *m)
{
	struct batch b = { .memory = s->memory, .same = true };
	struct slice keyspace = SLICE_NONE;
	size_t at = 1;
	uint16_t n = 0, parts = 0;

	s->memory->batch_len = 0;
	if (body.len >= 3)
		(void)cassandra_short(body, &at, &n);
	while (parts < n && parts < PARTS_MAX && batch_part(&b, body, &at))
		parts++;
	bool whole = parts == n && body.len >= 3;
	add_text(m, ATTR_DB_OPERATION_NAME, b.operation && whole && !b.unknown ? b.operation : "BATCH");
	if (n > 1) /* one is no batch to the conventions */
		message_add_int(m, ATTR_DB_OPERATION_BATCH_SIZE, n);
	if (b.n)
		message_add_str(m, ATTR_RAW_STATEMENT, b.same && whole ? slice_head(b.first, CASSANDRA_STATEMENT_HEAD) : slice_make(s->memory->batch, s->memory->batch_len));
	if (b.unknown)
		add_unknown(m);
	if (whole)
		batch_parameters(h, body, at, m, &keyspace);
	add_keyspace(s, m, keyspace);
}

/* --- the session --- */

/* Of the options only the compression is read. */
static void read_startup(struct cassandra_state *s, struct slice body)
{
	struct slice key, value;
	size_t at = 0;
	uint16_t n;

	s->compression = CASSANDRA_COMPRESSION_UNKNOWN;
	if (!cassandra_short(body, &at, &n))
		return;
	while (n-- && cassandra_string(body, &at, &key) && cassandra_string(body, &at, &value))
		if (slice_ieq(key, SLICE_LIT("COMPRESSION")))
			s->compression = slice_ieq(value, SLICE_LIT("lz4")) ? CASSANDRA_LZ4 : slice_ieq(value, SLICE_LIT("snappy")) ? CASSANDRA_SNAPPY : CASSANDRA_COMPRESSION_UNKNOWN;
}

/* A custom payload stands in front of what is asked: [bytes map]. */
static bool pass_payload(const struct cassandra_head *h, struct slice *body)
{
	struct slice key;
	size_t at = 0;
	uint16_t n;

	if (!(h->flags & CASSANDRA_PAYLOAD))
		return true;
	if (!cassandra_short(*body, &at, &n))
		return false;
	while (n--)
		if (!cassandra_string(*body, &at, &key) || !cassandra_pass_bytes(*body, &at))
			return false;
	*body = slice_from(*body, at);
	return true;
}

static const char *operation(uint8_t opcode)
{
	switch (opcode) {
	case CASSANDRA_STARTUP: return "STARTUP";
	case CASSANDRA_OPTIONS: return "OPTIONS";
	case CASSANDRA_QUERY: return "QUERY";
	case CASSANDRA_PREPARE: return "PREPARE";
	case CASSANDRA_EXECUTE: return "EXECUTE";
	case CASSANDRA_BATCH: return "BATCH";
	case CASSANDRA_REGISTER: return "REGISTER";
	default: return "AUTH_RESPONSE";
	}
}

bool cassandra_read_request(struct cassandra_state *s, const struct cassandra_head *h, struct slice body, bool known, struct message *m)
{
	m->kind = MESSAGE_REQUEST;
	m->keyed = true;
	m->key = h->stream;
	if (!known || !pass_payload(h, &body)) {
		add_text(m, ATTR_DB_OPERATION_NAME, operation(h->opcode));
		add_text(m, ATTR_PLUMB_INCOMPLETE, known ? "statement_not_seen" : "compressed");
		add_keyspace(s, m, SLICE_NONE);
		return true;
	}
	switch (h->opcode) {
	case CASSANDRA_QUERY: read_query(s, h, body, m); return true;
	case CASSANDRA_PREPARE: read_prepare(s, h, body, m); return true;
	case CASSANDRA_EXECUTE: read_execute(s, h, body, m); return true;
	case CASSANDRA_BATCH: read_batch(s, h, body, m); return true;
	case CASSANDRA_STARTUP: read_startup(s, body); break;
	default: break; /* what proves who it is, is not looked at */
	}
	add_text(m, ATTR_DB_OPERATION_NAME, operation(h->opcode));
	return true;
}

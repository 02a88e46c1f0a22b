/* SPDX-License-Identifier: Apache-2.0 */
/* What a request says: see mongodb_wire.h. */
#include "proto/mongodb_wire.h"

enum { MEMBERS_MAX = 256 }; /* of a command: no driver sends as many, and each is looked for among names */

/* Of every command, and of no use to who reads a statement. */
static bool passed_over(struct slice name)
{
	static const char *const names[] = { "lsid", "txnNumber", "startTransaction", "autocommit", "apiVersion", "apiStrict", "apiDeprecationErrors", "readConcern", "writeConcern" };

	if (name.len && name.ptr[0] == '$')
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_eq(name, slice_str(names[i])))
			return true;
	return false;
}

/* A name of letters; anything else may be a value that was mistaken for one. */
static bool is_word(struct slice name)
{
	if (name.len == 0 || name.len > MONGODB_OPERATION_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = ascii_lower(name.ptr[i]);
		if (!(c >= 'a' && c <= 'z') && c != '_' && c != '$' && !(i && c >= '0' && c <= '9'))
			return false;
	}
	return true;
}

static bool is(struct slice name, const char *word) { return slice_eq(name, slice_str(word)); }

static struct slice text_of(const struct bson_element *e)
{
	return e->type == BSON_STRING && !e->cut ? slice_head(e->value, MONGODB_NAME_MAX) : SLICE_NONE;
}

/* ---- documents that are written: an array, or a section of them ---- */

static bool is_written(struct slice name, bool *ret_shown)
{
	*ret_shown = is(name, "updates") || is(name, "deletes");
	return *ret_shown || is(name, "documents") || is(name, "ops");
}

/* What is stored is not shown, not even the names of its fields. */
static void add_written(struct mongodb_text *t, const struct bson_element *e, bool shown)
{
	if (shown)
		mongodb_text_first(t, e);
	else
		mongodb_text_add(t, SLICE_LIT("[\"?\"]"));
}

/* Documents one after the other in `in`, of `room` bytes. 0: not all are at hand. */
static uint32_t count_documents(struct slice in, uint64_t room)
{
	struct bson b;
	uint32_t n = 0;

	for (; room > 0 && bson_open(in, room, &b); n++) {
		if (in.len < b.left + 4)
			return 0;
		room -= b.left + 4;
		in = slice_from(in, (size_t)b.left + 4);
	}
	return room ? 0 : n;
}

/* ---- commands ---- */

struct reading {
	struct mongodb_text *text;
	struct mongodb_request *request;
	unsigned flags;    /* of the command */
	bool counts;       /* it writes documents */
	bool many_unknown; /* so many that they are not all at hand */
	bool waits;        /* for something to happen */
};

static void add_key(struct reading *r, struct slice name)
{
	mongodb_text_add(r->text, r->text->len > 1 ? SLICE_LIT(", ") : SLICE_NONE);
	mongodb_text_quote(r->text, name);
	mongodb_text_add(r->text, SLICE_LIT(": "));
}

static void read_command(struct reading *r, const struct bson_element *e)
{
	struct mongodb_request *q = r->request;

	q->known = mongodb_command_find(e->name, &r->flags);
	q->operation = q->known || is_word(e->name) ? e->name : SLICE_LIT("_OTHER");
	r->counts = r->flags & MONGODB_WRITES || is(e->name, "bulkWrite");
	if (r->flags & MONGODB_COLLECTION)
		q->collection = text_of(e);
	if (!(r->flags & MONGODB_SHOWN))
		return;
	add_key(r, e->name);
	if (q->collection.len)
		mongodb_text_quote(r->text, q->collection);
	else
		mongodb_text_value(r->text, e);
}

static void read_member(struct reading *r, const struct bson_element *e)
{
	struct mongodb_request *q = r->request;
	bool shown, written = is_written(e->name, &shown) && e->type == BSON_ARRAY && r->counts;

	if (is(e->name, "$db"))
		q->database = text_of(e);
	if (is(e->name, "maxTimeMS") || is(e->name, "maxAwaitTimeMS"))
		r->waits = true;
	if (passed_over(e->name))
		return;
	if (r->flags & MONGODB_SHOWN)
		add_key(r, e->name);
	if (is(e->name, "collection") && is(q->operation, "getMore") && text_of(e).len) {
		q->collection = text_of(e);
		mongodb_text_quote(r->text, q->collection);
	} else if (written) {
		r->many_unknown |= !bson_count(e, &q->batch);
		if (r->many_unknown)
			q->batch = 0;
		add_written(r->text, e, shown);
	} else if (r->flags & MONGODB_SHOWN) {
		mongodb_text_value(r->text, e);
	}
}

/* The document of a command, up to `room` bytes. */
static void read_document(struct reading *r, struct slice in, uint64_t room)
{
	struct bson_element e;
	struct bson b;
	enum bson_step step = BSON_BAD;
	unsigned n = 0;

	mongodb_text_add(r->text, SLICE_LIT("{"));
	if (bson_open(in, room, &b))
		for (; n < MEMBERS_MAX && (step = bson_next(&b, &e)) == BSON_ELEMENT; n++)
			n == 0 ? read_command(r, &e) : read_member(r, &e);
	r->text->full |= step != BSON_END;
	if (n == MEMBERS_MAX) {
		r->many_unknown = true;
		r->request->batch = 0;
	}
}

static void end_statement(struct reading *r)
{
	mongodb_text_add(r->text, SLICE_LIT("}"));
	if (r->flags & MONGODB_SHOWN)
		r->request->statement = mongodb_text_end(r->text);
}

static void decide_due(struct reading *r)
{
	struct mongodb_request *q = r->request;
	bool unknown = r->many_unknown && r->flags & MONGODB_INSERTS;

	if (r->request->stream && is(q->operation, "getMore") && !r->waits)
		q->due = MONGODB_STREAM;
	else if (r->flags & MONGODB_WRITES)
		q->due = unknown ? MONGODB_INSERTED : MONGODB_WRITTEN;
}

/* ---- OP_MSG ---- */

struct section {
	uint8_t kind;
	size_t at;     /* of what follows the kind */
	uint64_t size; /* of that */
};

/* The section at *at, which moves behind it. False: none is left, or it is not at hand. */
static bool next_section(struct slice body, uint64_t end, size_t *at, struct section *ret)
{
	if (*at >= body.len || body.len - *at < 5 || *at >= end)
		return false;
	*ret = (struct section){ body.ptr[*at], *at + 1, load_le32(body.ptr + *at + 1) };
	if (ret->kind > 1 || ret->size < BSON_EMPTY || ret->size > end - ret->at)
		return false;
	*at = ret->at + (size_t)ret->size;
	return true;
}

static uint64_t sections_end(struct slice body, uint64_t len)
{
	bool checksum = body.len >= 4 && load_le32(body.ptr) & MONGODB_CHECKSUM;

	return checksum && len >= 8 ? len - 4 : len;
}

bool mongodb_find_body(struct slice body, uint64_t len, size_t *ret_at, uint64_t *ret_room)
{
	uint64_t end = sections_end(body, len);
	struct section s;

	for (size_t at = 4; next_section(body, end, &at, &s);)
		if (s.kind == 0) {
			*ret_at = s.at;
			*ret_room = s.size;
			return true;
		}
	return false;
}

/* Documents of their own behind a name. */
static void read_sequence(struct reading *r, struct slice body, const struct section *s)
{
	struct slice in = slice_head(slice_from(body, s->at), (size_t)s->size);
	size_t nul = slice_find(in, 0, 4);
	bool shown;

	if (nul == SIZE_MAX)
		return;
	struct slice name = slice_make(in.ptr + 4, nul - 4), rest = slice_from(in, nul + 1);
	bool written = is_written(name, &shown) && r->counts;
	if (!(r->flags & MONGODB_SHOWN))
		return;
	add_key(r, name);
	mongodb_text_add(r->text, SLICE_LIT("["));
	if (written && !shown)
		mongodb_text_add(r->text, SLICE_LIT("\"?\""));
	else
		mongodb_text_document(r->text, rest, s->size - nul - 1);
	mongodb_text_add(r->text, SLICE_LIT("]"));
	if (!written)
		return;
	r->request->batch = count_documents(rest, s->size - nul - 1);
	r->many_unknown |= r->request->batch == 0;
}

static void read_message(struct reading *r, struct slice body, uint64_t len)
{
	uint64_t end = sections_end(body, len), room;
	uint32_t flags = load_le32(body.ptr);
	struct section s;
	size_t doc, at = 4;

	r->request->no_response = flags & MONGODB_MORE_TO_COME;
	r->request->stream = flags & MONGODB_EXHAUST_ALLOWED;
	if (!mongodb_find_body(body, len, &doc, &room))
		return;
	read_document(r, slice_from(body, doc), room);
	while (next_section(body, end, &at, &s))
		if (s.kind == 1)
			read_sequence(r, body, &s);
	if (r->counts && r->request->batch == 0 && at < end) /* what is written is not at hand */
		r->many_unknown = true;
	end_statement(r);
	decide_due(r);
}

/* ---- legacy ---- */

/* "database.collection" at body[4..]; *at moves behind it. False: not at hand. */
static bool read_name(struct slice body, struct mongodb_request *q, size_t *at)
{
	size_t nul = slice_find(slice_head(body, 4 + MONGODB_NAME_MAX + 1), 0, 4);

	if (nul == SIZE_MAX)
		return false;
	struct slice name = slice_make(body.ptr + 4, nul - 4);
	size_t dot = slice_find(name, '.', 0);
	q->database = slice_head(name, dot);
	q->collection = dot == SIZE_MAX ? SLICE_NONE : slice_from(name, dot + 1);
	*at = nul + 1;
	return true;
}

/* { "$query": { the command }, "$readPreference": ... } */
static void unwrap(struct slice *doc, uint64_t *room)
{
	struct bson_element e;
	struct bson b;

	if (!bson_open(*doc, *room, &b) || bson_next(&b, &e) != BSON_ELEMENT || (!is(e.name, "$query") && !is(e.name, "query")) || e.type != BSON_DOCUMENT)
		return;
	*doc = e.value;
	*room = e.size;
}

static void name_operation(struct reading *r, const char *name)
{
	r->request->operation = slice_str(name);
	r->request->known = true;
	r->flags = MONGODB_SHOWN;
	mongodb_text_add(r->text, SLICE_LIT("{"));
	add_key(r, r->request->operation);
	if (r->request->collection.len)
		mongodb_text_quote(r->text, r->request->collection);
	else
		mongodb_text_add(r->text, SLICE_LIT("\"?\""));
}

static void read_query(struct reading *r, struct slice body, uint64_t len)
{
	struct mongodb_request *q = r->request;
	size_t at;

	r->request->stream = load_le32(body.ptr) & MONGODB_QUERY_EXHAUST;
	if (!read_name(body, q, &at) || len < at + 8)
		return;
	struct slice doc = slice_from(body, at + 8);
	uint64_t room = len - at - 8;
	unwrap(&doc, &room);
	if (is(q->collection, "$cmd")) {
		q->collection = SLICE_NONE;
		read_document(r, doc, room);
		end_statement(r);
		decide_due(r);
		return;
	}
	name_operation(r, "find");
	add_key(r, SLICE_LIT("filter"));
	mongodb_text_document(r->text, doc, room);
	end_statement(r);
	q->due = r->request->stream ? MONGODB_DOCUMENT_STREAM : MONGODB_DOCUMENTS;
}

static void read_insert(struct reading *r, struct slice body, uint64_t len)
{
	size_t at;

	r->request->no_response = true;
	if (!read_name(body, r->request, &at))
		return;
	r->request->batch = count_documents(slice_from(body, at), len - at);
	name_operation(r, "insert");
	add_key(r, SLICE_LIT("documents"));
	mongodb_text_add(r->text, SLICE_LIT("[\"?\"]"));
	end_statement(r);
}

/* Flags, a selector, and of updates what becomes of it. */
static void read_change(struct reading *r, struct slice body, uint64_t len, bool update)
{
	struct bson b;
	size_t at;

	r->request->no_response = true;
	if (!read_name(body, r->request, &at) || len < at + 4)
		return;
	struct slice rest = slice_from(body, at + 4);
	uint64_t room = len - at - 4;
	name_operation(r, update ? "update" : "delete");
	add_key(r, update ? SLICE_LIT("updates") : SLICE_LIT("deletes"));
	mongodb_text_add(r->text, SLICE_LIT("[{\"q\": "));
	mongodb_text_document(r->text, rest, room);
	if (update && bson_open(rest, room, &b)) {
		mongodb_text_add(r->text, SLICE_LIT(", \"u\": "));
		mongodb_text_change(r->text, slice_from(rest, (size_t)b.left + 4), room - b.left - 4);
	}
	mongodb_text_add(r->text, SLICE_LIT("}]"));
	end_statement(r);
}

void mongodb_request_read(uint32_t opcode, struct slice body, uint64_t len, struct mongodb_text *text, struct mongodb_request *ret)
{
	struct reading r = { .text = text, .request = ret };
	size_t at;

	*ret = (struct mongodb_request){ .due = MONGODB_ANSWER };
	mongodb_text_begin(text);
	if (body.len < 4)
		return;
	switch ((enum mongodb_opcode)opcode) {
	case MONGODB_MSG: read_message(&r, body, len); break;
	case MONGODB_QUERY: read_query(&r, body, len); break;
	case MONGODB_INSERT: read_insert(&r, body, len); break;
	case MONGODB_UPDATE: read_change(&r, body, len, true); break;
	case MONGODB_DELETE: read_change(&r, body, len, false); break;
	case MONGODB_GET_MORE:
		if (read_name(body, ret, &at)) {
			name_operation(&r, "getMore");
			end_statement(&r);
		}
		ret->due = MONGODB_DOCUMENTS;
		break;
	case MONGODB_KILL_CURSORS:
		ret->no_response = true;
		ret->operation = SLICE_LIT("killCursors");
		ret->known = true;
		break;
	case MONGODB_REPLY: case MONGODB_COMPRESSED: break;
	}
}

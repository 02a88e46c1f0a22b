/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MongoDB's wire protocol: OP_MSG, OP_COMPRESSED, and the opcodes of servers before 5.1 that drivers still greet with. Headers are mongodb_wire.c, what
 * messages say mongodb_request.c and mongodb_reply.c.
 *
 * A reply repeats the request's id, which is the key. Of a message the first bytes are looked at (MONGODB_READ_MAX, MONGODB_REPLY_MAX): that is enough for all
 * names; documents that lie behind them are neither captured nor counted. A statement is the command's shape: the names of its fields with "?" for every value.
 * Of documents that are stored as they are not even these are shown.
 *
 * No exchange: the replies of a stream behind the first one (moreToCome). A monitor's hello is answered once more whenever the server changes, for as
 * long as the connection lives, so its span ends with the first answer and what comes later is one-way. All batches of an exhaust cursor are
 * one answer, unless it waits for new data.
 *
 * Compressed by zlib or snappy: the first MONGODB_READ_MAX bytes are unpacked. By zstd: exchanges without names, plumb.incomplete says so.
 *
 * Loss: drivers have one request open on a connection, so the next request behind a loss begins afresh (MESSAGE_FLUSH), unless this one has been seen
 * to send them ahead.
 */
#include "proto/memory.h"
#include "proto/mongodb_wire.h"

enum { DUES = 64 };

struct due {
	uint32_t key;
	uint8_t what; /* enum mongodb_due */
};

struct mongodb_memory {
	struct proto_memory *budget; /* not owned */
	struct mongodb_unpacker *unpacker; /* NULL before it is needed: most connections compress nothing */
	struct due due[DUES]; /* of the latest requests, by their keys: ids are counted */
	struct mongodb_text text;
	struct mongodb_request request;
	struct mongodb_reply reply;
};

/* The message under way in a direction. */
struct current {
	struct mongodb_head head;
	uint32_t key;
	uint8_t due;
	bool begun;  /* its header is consumed */
	bool oneway;
	bool first;  /* it begins an exchange's side */
	bool more;   /* another reply of the same stream follows */
};

struct mongodb_state {
	struct mongodb_memory *memory; /* external; NULL without memory: nothing is parsed then */
	struct current current[2];
	uint64_t stream_rows;
	uint32_t stream_id, stream_key; /* of the latest reply of the stream, and of the request */
	uint8_t stream_due;
	bool streaming, stream_oneway, stream_rows_known;
	bool stream_asked; /* by the latest request */
	bool stream_lost;  /* a reply to nobody may be one of it */
	bool overlaps; /* requests are sent before the one in front is answered */
	bool told;     /* of a loss, and no request has begun since */
	int16_t open;  /* requests not answered yet, less replies whose request is still to be parsed */
};
_Static_assert(sizeof(struct mongodb_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

/* ---- what is due ---- */

static void due_set(struct mongodb_memory *m, uint32_t key, enum mongodb_due what)
{
	m->due[key % DUES] = (struct due){ key, (uint8_t)what };
}

static enum mongodb_due due_take(struct mongodb_memory *m, uint32_t key)
{
	struct due *d = &m->due[key % DUES];
	enum mongodb_due what = d->key == key ? (enum mongodb_due)d->what : MONGODB_NOTHING_KNOWN;

	if (what != MONGODB_NOTHING_KNOWN)
		d->what = MONGODB_NOTHING_KNOWN;
	return what;
}

static void count_open(struct mongodb_state *s, int by)
{
	if (by > 0 && s->open > 0)
		s->overlaps = true;
	if ((by > 0 && s->open < INT16_MAX) || (by < 0 && s->open > INT16_MIN))
		s->open = (int16_t)(s->open + by);
}

/* ---- what a message holds ---- */

struct content {
	uint32_t opcode;
	struct slice body;
	uint64_t len;
	bool opaque; /* compressed, and not to be read */
};

static struct content content_of(struct mongodb_memory *m, const struct mongodb_head *h, struct slice body, enum proto_side side)
{
	struct content c = { .opcode = h->opcode, .body = body, .len = h->len - MONGODB_HEAD };
	struct mongodb_unpacked unpacked;

	if (h->opcode != MONGODB_COMPRESSED)
		return c;
	if (!m->unpacker)
		m->unpacker = proto_memory_get(m->budget, mongodb_unpacker_size());
	c.opaque = !mongodb_unpack(m->unpacker, body, &unpacked) || !mongodb_opcode_fits(unpacked.opcode, side) || unpacked.opcode == MONGODB_COMPRESSED;
	c.opcode = unpacked.opcode;
	c.body = unpacked.body;
	c.len = unpacked.len;
	return c;
}

static void request_attrs(const struct mongodb_request *q, struct message *m)
{
	message_add_text(m, ATTR_DB_OPERATION_NAME, q->operation);
	if (q->operation.len && !q->known)
		message_add_int(m, ATTR_RAW_OPERATION_KNOWN, 0);
	message_add_text(m, ATTR_DB_COLLECTION_NAME, q->collection);
	message_add_text(m, ATTR_DB_NAMESPACE, q->database);
	if (q->batch > 1)
		message_add_int(m, ATTR_DB_OPERATION_BATCH_SIZE, q->batch);
	message_add_text(m, ATTR_RAW_STATEMENT, q->statement);
}

static void request_content(struct mongodb_state *s, const struct current *c, struct slice body, struct message *m)
{
	struct content content = content_of(s->memory, &c->head, body, PROTO_TO_SERVER);
	struct mongodb_request *q = &s->memory->request;

	if (content.opaque) {
		message_add_str(m, ATTR_PLUMB_INCOMPLETE, SLICE_LIT("compressed"));
		m->flags |= MESSAGE_QUIET; /* whether it is answered is told in there */
		return;
	}
	mongodb_request_read(content.opcode, content.body, content.len, &s->memory->text, q);
	request_attrs(q, m);
	s->stream_asked = q->stream;
	due_set(s->memory, c->key, q->no_response ? MONGODB_UNASKED : q->due);
	if (q->no_response) {
		m->flags |= MESSAGE_NO_RESPONSE;
		count_open(s, -1);
	}
}

static void reply_attrs(const struct mongodb_reply *r, enum mongodb_due due, struct message *m)
{
	struct slice code = slice_str(r->code);

	if (r->failed) {
		m->flags |= MESSAGE_ERROR;
		memcpy(m->error_type, code.len ? r->code : "_OTHER", code.len ? code.len + 1 : sizeof("_OTHER"));
		message_add_text(m, ATTR_DB_RESPONSE_STATUS_CODE, code);
		message_add_text(m, ATTR_RAW_STATUS_MESSAGE, r->message);
	}
	if (!r->has_written)
		return;
	if (due == MONGODB_INSERTED && !r->failed && r->written > 1)
		message_add_int(m, ATTR_DB_OPERATION_BATCH_SIZE, r->written);
	message_add_int(m, ATTR_PLUMB_ROWS_AFFECTED, r->written);
}

/* Of a stream the batches add up. */
static void rows_attr(struct mongodb_state *s, const struct current *c, const struct mongodb_reply *r, struct message *m)
{
	if (c->first) {
		s->stream_rows = 0;
		s->stream_rows_known = true;
	}
	s->stream_rows_known &= r->has_rows;
	s->stream_rows += r->rows;
	if (s->stream_rows_known && m->flags & MESSAGE_END)
		message_add_int(m, ATTR_DB_RESPONSE_RETURNED_ROWS, (int64_t)s->stream_rows);
}

static void reply_content(struct mongodb_state *s, const struct current *c, const struct content *content, struct message *m)
{
	struct mongodb_reply *r = &s->memory->reply;

	if (content->opaque) {
		message_add_str(m, ATTR_PLUMB_INCOMPLETE, SLICE_LIT("compressed"));
		s->stream_rows_known = false;
		s->stream_rows = 0;
		return;
	}
	mongodb_reply_read(content->opcode, content->body, content->len, (enum mongodb_due)c->due, r);
	reply_attrs(r, (enum mongodb_due)c->due, m);
	rows_attr(s, c, r, m);
}

/* ---- begin and end ---- */

static void request_begin(struct mongodb_state *s, struct current *c, struct message *m)
{
	c->key = c->head.id;
	c->first = true;
	c->oneway = c->more = false;
	m->flags |= MESSAGE_BEGIN;
	if (s->told && !s->overlaps) {
		m->flags |= MESSAGE_FLUSH;
		s->open = 0;
	}
	s->told = s->stream_asked = s->stream_lost = false;
	count_open(s, 1);
}

/* content: as far as mongodb_head_need() goes. */
static void reply_begin(struct mongodb_state *s, struct current *c, const struct content *content, struct message *m)
{
	bool goes_on = s->streaming && c->head.to == s->stream_id;
	bool more = !content->opaque && mongodb_more_follows(content->opcode, content->body);

	c->first = !goes_on;
	c->key = goes_on ? s->stream_key : c->head.to;
	c->due = goes_on ? s->stream_due : (uint8_t)due_take(s->memory, c->key);
	bool stream = c->due == MONGODB_STREAM || c->due == MONGODB_DOCUMENT_STREAM;
	if (content->opcode == MONGODB_REPLY)
		more = more && c->due == MONGODB_DOCUMENT_STREAM;
	bool nobody = c->due == MONGODB_NOTHING_KNOWN && (more || s->stream_lost);
	c->oneway = goes_on ? s->stream_oneway : nobody || c->due == MONGODB_UNASKED;
	c->more = more && stream;
	if (c->first && !c->oneway)
		count_open(s, -1);
	s->streaming = more;
	s->stream_asked |= more;
	s->stream_id = c->head.id;
	s->stream_key = c->key;
	s->stream_due = c->due;
	s->stream_oneway = !stream;
	if (c->first || c->oneway)
		m->flags |= MESSAGE_BEGIN;
}

static void identify(const struct current *c, enum proto_side side, struct message *m)
{
	m->kind = c->oneway ? MESSAGE_ONEWAY : side == PROTO_TO_SERVER ? MESSAGE_REQUEST : MESSAGE_RESPONSE;
	m->keyed = !c->oneway;
	m->key = c->oneway ? 0 : c->key;
}

/* The first `taken` bytes of the message are done, and the rest of it is not wanted. */
static enum parse_status pass_rest(const struct current *c, size_t taken, size_t consumed, struct parse_result *ret)
{
	ret->consumed = consumed;
	ret->skip = c->head.len - taken;
	if (ret->skip && ret->message.flags & MESSAGE_END)
		ret->message.flags |= MESSAGE_END_AFTER_SKIP;
	return PARSE_MESSAGE;
}

static size_t wanted(const struct mongodb_head *h, enum proto_side side)
{
	size_t max = side == PROTO_TO_CLIENT && h->opcode != MONGODB_COMPRESSED ? MONGODB_REPLY_MAX : MONGODB_READ_MAX;

	return h->len < max ? h->len : max;
}

/* All that is wanted of the message is at hand: `in` begins behind its header. */
static enum parse_status finish_message(struct mongodb_state *s, enum proto_side side, struct slice in, const struct content *content, struct parse_result *ret)
{
	struct current *c = &s->current[side];
	struct message *m = &ret->message;
	size_t taken = wanted(&c->head, side), header = c->begun ? 0 : MONGODB_HEAD;
	struct slice body = slice_head(in, taken - MONGODB_HEAD);

	c->begun = false;
	identify(c, side, m);
	if (!c->more)
		m->flags |= MESSAGE_END;
	if (side == PROTO_TO_SERVER)
		request_content(s, c, body, m);
	else if (!c->oneway)
		reply_content(s, c, content, m);
	return pass_rest(c, taken, taken - MONGODB_HEAD + header, ret);
}

/* The rest of the head comes later. */
static enum parse_status begin_message(struct mongodb_state *s, enum proto_side side, struct parse_result *ret)
{
	struct current *c = &s->current[side];

	c->begun = true;
	ret->consumed = MONGODB_HEAD;
	identify(c, side, &ret->message);
	return ret->message.flags ? PARSE_MESSAGE : PARSE_SKIP;
}

/* `in` begins behind the header of a message that has begun. */
static enum parse_status continue_message(struct mongodb_state *s, enum proto_side side, struct slice in, struct parse_result *ret)
{
	const struct mongodb_head *h = &s->current[side].head;

	ret->need = wanted(h, side) - MONGODB_HEAD;
	if (in.len < ret->need)
		return PARSE_NEED_MORE;
	struct content content = { .opcode = h->opcode, .body = slice_head(in, ret->need), .len = h->len - MONGODB_HEAD };
	return finish_message(s, side, in, &content, ret);
}

static enum parse_status mongodb_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct mongodb_state *s = state;
	struct current *c = &s->current[side];
	struct content content = { 0 };

	if (!s->memory)
		return PARSE_BAD;
	if (c->begun)
		return continue_message(s, side, in, ret);
	switch (mongodb_head_read(in, side, &c->head)) {
	case MONGODB_BAD: return PARSE_BAD;
	case MONGODB_SHORT:
		ret->need = in.len < MONGODB_HEAD ? MONGODB_HEAD : mongodb_head_need(c->head.opcode);
		return PARSE_NEED_MORE;
	case MONGODB_OK: break;
	}
	bool whole = in.len >= wanted(&c->head, side);
	if (!whole && c->head.opcode == MONGODB_COMPRESSED) {
		ret->need = wanted(&c->head, side);
		return PARSE_NEED_MORE;
	}
	struct slice rest = slice_from(slice_head(in, wanted(&c->head, side)), MONGODB_HEAD);
	if (side == PROTO_TO_SERVER) {
		request_begin(s, c, &ret->message);
	} else {
		content = content_of(s->memory, &c->head, rest, side);
		reply_begin(s, c, &content, &ret->message);
	}
	return whole ? finish_message(s, side, rest, &content, ret) : begin_message(s, side, ret);
}

/* ---- where messages begin ---- */

static bool may_begin(const uint8_t *p) { return p[14] == 0 && p[15] == 0 && (p[13] == 7 || (p[13] == 0 && p[12] == MONGODB_REPLY)); }

static int mongodb_detect(struct slice in, enum proto_side side)
{
	struct mongodb_head head;
	bool document;

	switch (mongodb_scan(in, side, &head, &document)) {
	case MONGODB_OK: return document ? DETECT_CERTAIN : DETECT_LIKELY;
	case MONGODB_SHORT: return DETECT_MORE;
	case MONGODB_BAD: break;
	}
	return DETECT_NO;
}

static size_t mongodb_resync(void *state, enum proto_side side, struct slice in)
{
	(void)state;
	for (size_t at = 0; at + MONGODB_HEAD <= in.len; at++) {
		struct mongodb_head head;
		bool document;
		if (!may_begin(in.ptr + at))
			continue;
		enum mongodb_scan found = mongodb_scan(slice_from(in, at), side, &head, &document);
		if (found == MONGODB_OK || (found == MONGODB_SHORT && in.len - at >= MONGODB_SCAN))
			return at;
	}
	return in.len;
}

static void mongodb_lost(void *state, enum proto_side side)
{
	struct mongodb_state *s = state;

	s->current[side].begun = false;
	if (side == PROTO_TO_CLIENT) {
		s->stream_lost |= s->stream_asked;
		s->streaming = false;
	}
	s->told = true;
}

static void *mongodb_open(struct proto_memory *budget)
{
	struct mongodb_memory *m = proto_memory_get(budget, sizeof(*m));

	if (m)
		*m = (struct mongodb_memory){ .budget = budget };
	return m;
}

static void mongodb_close(void *external)
{
	struct mongodb_memory *m = external;

	if (!m)
		return;
	struct proto_memory *budget = m->budget;
	proto_memory_put(budget, m->unpacker);
	proto_memory_put(budget, m);
}

const struct proto_ops proto_mongodb = {
	.name = "mongodb",
	.id = PLUMB_PROTO_MONGODB,
	.state_size = sizeof(struct mongodb_state),
	.detect = mongodb_detect,
	.parse = mongodb_parse,
	.resync = mongodb_resync,
	.lost = mongodb_lost,
	.resync_keep = MONGODB_SCAN,
	.open = mongodb_open,
	.close = mongodb_close,
	/* What is read of a reply; of requests that are not answered a server reads many at once. */
	.want = { 65536, MONGODB_REPLY_MAX },
};

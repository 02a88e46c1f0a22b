/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MongoDB's wire protocol for shared recordings: see masker.h for what stays. Documents are followed by the NULs that end them; a length must fit in the
 * message, and its highest byte is too low for text. What is compressed is masked whole.
 */
#include "proto/masker_way.h"
#include "proto/mongodb_wire.h"

enum state { HEAD, FIXED, NAMESPACE, GAP, KIND, SEQUENCE, LABEL, SIZE, TYPE, KEY, VALUE, LENGTH, TEXT, PATTERN, REST };
/* Of a way. Bits 8 to 15: type of the element; 16 to 31: opcode. */
enum { ANSWER = 1, CHECKED = 2, IN_SEQUENCE = 4, CURSOR = 8, ERRORS = 16, FIRST_TEXT = 32 };
enum { DEPTH_MAX = 200, HIGH = 3 };

/* Names at the top of a document. */
static const char *const names[] = {
	"aborttransaction", "aggregate", "authenticate", "buildinfo", "bulkwrite", "collmod", "collstats", "committransaction", "count", "create", "createindexes",
	"createuser", "dbstats", "delete", "distinct", "drop", "dropdatabase", "dropindexes", "endsessions", "explain", "find", "findandmodify", "getlasterror", "getlog",
	"getmore", "getparameter", "hello", "hostinfo", "insert", "ismaster", "killcursors", "listcollections", "listdatabases", "listindexes", "mapreduce", "ping",
	"refreshsessions", "renamecollection", "replsetgetstatus", "saslcontinue", "saslstart", "serverstatus", "update", "validate", "whatsmyuri",
	"$db", "lsid", "filter", "query", "$query", "sort", "limit", "skip", "projection", "batchsize", "singlebatch", "collection", "ordered", "documents", "updates", "deletes", "ops",
	"nsinfo", "pipeline", "cursor", "key", "maxtimems", "$clustertime", "$readpreference", "readconcern", "writeconcern", "txnnumber",
	"ok", "code", "codename", "errmsg", "$err", "n", "nmodified", "writeerrors", "writeconcernerror", "values", NULL,
};
static const char *const batches[] = { "firstbatch", "nextbatch", NULL };
static const char *const failures[] = { "code", "errmsg", NULL };
static const char *const commands[] = { "$cmd", NULL };
static const char *const none[] = { NULL };

static bool begins(struct slice in)
{
	struct mongodb_head head;
	bool document;

	for (int side = 0; side < 2; side++)
		if (mongodb_scan(in, (enum proto_side)side, &head, &document) == MONGODB_OK && document)
			return true;
	return false;
}

static uint16_t opcode_of(const struct mask_way *y) { return (uint16_t)(y->flags >> 16); }
static uint8_t type_of(const struct mask_way *y) { return (uint8_t)(y->flags >> 8); }

static void go(struct mask_way *y, enum state state, uint64_t length)
{
	y->state = (uint8_t)state;
	y->length = length;
	y->number = 0;
}

static uint8_t lose(struct mask_way *y)
{
	y->state = MASK_LOST;
	return 'x';
}

/* Of an id two bytes, and of the others whether they are zero: enough to tell whose answer is whose. */
static uint8_t id_byte(unsigned at, uint8_t b) { return at < 2 || b == 0xff ? b : b != 0; }

static uint8_t head_end(struct mask_way *y, uint8_t b)
{
	uint32_t opcode = (uint32_t)y->number;

	if (!mongodb_opcode_fits(opcode, PROTO_TO_SERVER) && !mongodb_opcode_fits(opcode, PROTO_TO_CLIENT))
		return lose(y);
	y->flags = (y->flags & ANSWER) | opcode << 16;
	y->type = 0;
	go(y, FIXED, mongodb_head_need(opcode) - MONGODB_HEAD - (opcode == MONGODB_MSG ? 5 : 0));
	return b;
}

/* y->part: its length; y->type: the byte's place. */
static uint8_t in_head(struct mask_way *y, uint8_t b)
{
	unsigned at = y->type++;

	if (at == 0) {
		y->part = y->flags = 0;
		y->number = 0;
	}
	if (at < 4) {
		y->part |= (uint64_t)b << 8 * at;
		return at == 3 && (b >= HIGH || y->part <= MONGODB_HEAD || y->part > MONGODB_LENGTH_MAX) ? lose(y) : b;
	}
	if (at < 12) {
		if (at >= 8 && b != 0 && b != 0xff)
			y->flags |= ANSWER;
		return id_byte(at & 3, b);
	}
	y->number |= (uint64_t)b << 8 * (at - 12);
	if (at == 13 && b != 7 && b != 0)
		return lose(y);
	if (at > 13 && b != 0)
		return lose(y);
	if (at < 15)
		return b;
	y->remain = y->part - MONGODB_HEAD;
	y->part = 0;
	return head_end(y, b);
}

/* A number of four bytes of which `high` of the upper ones are not kept. y->number counts its bytes. */
static uint8_t number_byte(uint64_t at, uint8_t b, unsigned high) { return at % 4 >= 4 - high ? 0 : b; }

static uint8_t fixed_byte(struct mask_way *y, uint64_t at, uint8_t b)
{
	switch (opcode_of(y)) {
	case MONGODB_MSG:
		y->flags |= at == 0 && b & MONGODB_CHECKSUM ? CHECKED : 0;
		return at == 0 ? b & 3 : at == 2 ? b & 1 : 0;
	case MONGODB_COMPRESSED:
		if (at == 3 || at == 2 ? b != 0 : (at == 1 && b > 7) || (at == 7 && b >= HIGH) || (at == 8 && b > MONGODB_ZSTD))
			return lose(y);
		return b;
	case MONGODB_REPLY: return at == 0 ? b & 15 : at >= 16 ? number_byte(at, b, 2) : 0;
	case MONGODB_KILL_CURSORS: return at < 4 ? 0 : number_byte(at, b, 2);
	default: return at == 0 ? b : 0;
	}
}

static uint8_t in_fixed(struct mask_way *y, uint8_t b)
{
	uint8_t out = fixed_byte(y, y->number++, b);

	if (y->state != FIXED || y->number < y->length)
		return out;
	word_clear(y);
	switch (opcode_of(y)) {
	case MONGODB_MSG: go(y, KIND, 0); break;
	case MONGODB_REPLY: go(y, SIZE, 0); break;
	case MONGODB_COMPRESSED: case MONGODB_KILL_CURSORS: go(y, REST, 0); break;
	default: go(y, NAMESPACE, 0); break;
	}
	y->digits = 0;
	return out;
}

static uint8_t in_namespace(struct mask_way *y, uint8_t b)
{
	if (b == '.') {
		word_clear(y);
		return b;
	}
	if (b)
		return word_feed(y, b, commands) ? b : 'x';
	switch (opcode_of(y)) {
	case MONGODB_QUERY: go(y, GAP, 8); break;
	case MONGODB_UPDATE: case MONGODB_DELETE: go(y, GAP, 4); break;
	case MONGODB_INSERT: go(y, SIZE, 0); break;
	default: go(y, REST, 0); break;
	}
	return b;
}

static uint8_t in_gap(struct mask_way *y)
{
	if (--y->length == 0)
		go(y, SIZE, 0);
	return 0;
}

static uint8_t in_kind(struct mask_way *y, uint8_t b)
{
	if (y->flags & CHECKED && y->remain < 4) {
		go(y, REST, 0);
		return 'x';
	}
	y->flags &= ~(uint32_t)IN_SEQUENCE;
	if (b > 1)
		return lose(y);
	go(y, b ? SEQUENCE : SIZE, 0);
	return b;
}

/* A length that counts itself if `self`, of what lies in `room` bytes behind it. True: it is whole. */
static bool take_length(struct mask_way *y, uint8_t *b, uint64_t room, unsigned self)
{
	y->number |= (uint64_t)*b << 8 * y->length;
	if (y->length++ < 3)
		return false;
	if (*b >= HIGH || y->number < self || y->number - self > room) {
		*b = lose(y);
		return false;
	}
	return true;
}

static uint64_t room(const struct mask_way *y) { return y->flags & IN_SEQUENCE ? y->part : y->remain; }

static uint8_t in_sequence(struct mask_way *y, uint8_t b)
{
	if (take_length(y, &b, y->remain, 4)) {
		y->part = y->number - 4;
		y->flags |= IN_SEQUENCE;
		word_clear(y);
		go(y, LABEL, 0);
	}
	return b;
}

static uint8_t in_label(struct mask_way *y, uint8_t b)
{
	if (b)
		return word_feed(y, b, names) ? b : 'x';
	go(y, y->part ? SIZE : KIND, 0);
	return 0;
}

static uint8_t in_size(struct mask_way *y, uint8_t b)
{
	if (!take_length(y, &b, room(y), 4))
		return b;
	if (++y->digits > DEPTH_MAX)
		go(y, REST, 0);
	else
		go(y, TYPE, 0);
	return b;
}

static uint8_t in_type(struct mask_way *y, uint8_t b)
{
	if (b && !bson_type_known(b))
		return lose(y);
	word_clear(y);
	if (b) {
		y->flags = (y->flags & ~0xff00u) | (uint32_t)b << 8;
		go(y, KEY, 0);
	} else if (--y->digits > 0) {
		go(y, TYPE, 0);
	} else if (opcode_of(y) == MONGODB_MSG && !(y->flags & IN_SEQUENCE && y->part)) {
		go(y, KIND, 0);
	} else {
		go(y, SIZE, 0);
	}
	return b;
}

/* How a value of this type begins: with a length, with text up to a NUL, or with `length` bytes. */
static void value_begin(struct mask_way *y)
{
	static const uint8_t sizes[] = { 0, 8, 0, 0, 0, 0, 0, 12, 1, 8, 0, 0, 0, 0, 0, 0, 4, 8, 8, 16 };
	uint8_t type = type_of(y);

	switch (type) {
	case BSON_DOCUMENT: case BSON_ARRAY: go(y, SIZE, 0); return;
	case BSON_STRING: case 0x05: case 0x0c: case 0x0d: case 0x0e: case 0x0f: go(y, LENGTH, 0); return;
	case 0x0b:
		y->flags |= FIRST_TEXT;
		go(y, PATTERN, 0);
		return;
	default: go(y, VALUE, type < sizeof(sizes) ? sizes[type] : 0); break;
	}
	if (y->length == 0)
		go(y, TYPE, 0);
}

static const char *const *names_at(const struct mask_way *y)
{
	if (y->digits == 1)
		return names;
	if (!(y->flags & ANSWER))
		return none;
	if (y->flags & CURSOR)
		return y->digits == 2 ? batches : none;
	return y->flags & ERRORS && y->digits <= 3 ? failures : none;
}

static uint8_t in_key(struct mask_way *y, uint8_t b)
{
	if (b)
		return word_feed(y, b, names_at(y)) ? b : 'x';
	if (y->digits == 1) {
		y->flags &= ~(uint32_t)(CURSOR | ERRORS);
		y->flags |= word_is(y, "cursor") ? CURSOR : word_is(y, "writeerrors") || word_is(y, "writeconcernerror") ? ERRORS : 0;
	}
	value_begin(y);
	return 0;
}

/* Numbers become zero, but for whether a command has failed, and small codes and counts of replies. */
static uint8_t value_byte(const struct mask_way *y, uint8_t b)
{
	uint8_t type = type_of(y);
	uint64_t at = y->number;

	if (y->digits == 1 && word_is(y, "ok"))
		return type == BSON_DOUBLE ? (at == 6 && b == 0xf0) || (at == 7 && b == 0x3f) ? b : 0 : at == 0 && b <= 1 ? b : 0;
	bool whole = type == BSON_INT32 || type == BSON_INT64, shown = y->flags & ANSWER && opcode_of(y) == MONGODB_MSG;
	bool count = y->digits == 1 && (word_is(y, "n") || word_is(y, "nmodified"));
	bool code = (y->digits == 1 || y->flags & ERRORS) && word_is(y, "code");
	return whole && shown && at < 2 && (count || code) ? b : 0;
}

static uint8_t in_value(struct mask_way *y, uint8_t b)
{
	uint8_t out = value_byte(y, b);

	if (++y->number == y->length)
		go(y, TYPE, 0);
	return out;
}

static uint8_t in_length(struct mask_way *y, uint8_t b)
{
	uint8_t type = type_of(y);
	unsigned self = type == 0x0f ? 4 : 0, more = type == 0x05 ? 1 : type == 0x0c ? 12 : 0;

	if (!take_length(y, &b, room(y), self))
		return b;
	uint64_t n = y->number - self + more;
	go(y, n ? TEXT : TYPE, n);
	return b;
}

/* Text ends with a NUL. */
static uint8_t in_text(struct mask_way *y, uint8_t b)
{
	bool text = type_of(y) == BSON_STRING || type_of(y) == 0x0d || type_of(y) == 0x0e;

	if (--y->length > 0)
		return 'x';
	go(y, TYPE, 0);
	return text && b == 0 ? 0 : 'x';
}

static uint8_t in_pattern(struct mask_way *y, uint8_t b)
{
	if (b)
		return 'x';
	if (!(y->flags & FIRST_TEXT))
		go(y, TYPE, 0);
	y->flags &= ~(uint32_t)FIRST_TEXT;
	return 0;
}

static uint8_t body_byte(struct mask_way *y, uint8_t b)
{
	switch ((enum state)y->state) {
	case FIXED: return in_fixed(y, b);
	case NAMESPACE: return in_namespace(y, b);
	case GAP: return in_gap(y);
	case KIND: return in_kind(y, b);
	case SEQUENCE: return in_sequence(y, b);
	case LABEL: return in_label(y, b);
	case SIZE: return in_size(y, b);
	case TYPE: return in_type(y, b);
	case KEY: return in_key(y, b);
	case VALUE: return in_value(y, b);
	case LENGTH: return in_length(y, b);
	case TEXT: return in_text(y, b);
	case PATTERN: return in_pattern(y, b);
	case HEAD: case REST: break;
	}
	return 'x';
}

static uint8_t one(struct mask_way *y, uint8_t b)
{
	if (y->state >= MASK_LOST)
		return 'x';
	if (y->state == HEAD)
		return in_head(y, b);
	y->remain--;
	if (y->flags & IN_SEQUENCE && y->state != REST) {
		if (y->part == 0 && y->state != KIND)
			return lose(y);
		y->part -= y->part > 0;
	}
	uint8_t out = body_byte(y, b);
	if (y->remain == 0 && y->state < MASK_LOST) {
		go(y, HEAD, 0);
		y->type = 0;
	}
	return out;
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	(void)c;
	for (size_t i = 0; i < n; i++)
		p[i] = one(y, p[i]);
}

/* The rest of the message stands at no known place of its documents. */
static void hole(struct mask_way *y) { y->state = REST; }

static enum mask_opens opens(struct slice in)
{
	struct mongodb_head head;
	bool document;

	return in.len >= MONGODB_HEAD && mongodb_scan(in, PROTO_TO_SERVER, &head, &document) != MONGODB_BAD ? MASK_OPENS_SURELY : MASK_OPENS_NOT;
}

const struct mask_ops mask_mongodb = { .opens = opens, .begins = begins, .mask = mask, .hole = hole, .ends_with_body = true };

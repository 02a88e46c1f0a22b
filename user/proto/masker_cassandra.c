/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cassandra's native protocol (doc/native_protocol_v3.spec to v5.spec of Apache Cassandra) for shared recordings: see masker.h for what stays. Way 0 is the
 * client's. A length of 2 MiB and more could be text, and is none; heads are looked at byte by byte, so that no more than two bytes in a row of a secret pass
 * for a part of one.
 */
#include "proto/cassandra_wire.h"
#include "proto/masker_way.h"

enum state { FIRST, HEAD, BODY, SEGMENT, TAIL };
enum kind { OTHER, TEXT, ID, BATCH, WORDS, TOKEN, CODE, RESULT };
/* Of a way, below how many bytes of the body were seen. */
enum { FRAMED = 1, VERSION_5 = 2, COMPRESSED = 4, PARAMETERS = 8, SEEN = 8, SEEN_MAX = 0xffffff };
/* Of the connection, in memory[0]. */
enum { CLIENT_SEGMENTS = 1, SERVER_SEGMENTS = 2, LZ4 = 4 };
enum { LOW = 0x20, LEVEL_MAX = 10, ID_MAX = 64, MORE_PAGES = 2, NO_METADATA = 4 };

/* With a blank behind them statements begin. */
static const char *const keywords[] = {
	"select", "insert", "update", "delete", "begin", "use", "create", "alter", "drop", "truncate", "grant", "revoke", "list", "describe", "desc", "apply", NULL,
};
static const char *const words[] = {
	"cql_version", "compression", "lz4", "snappy", "driver_name", "driver_version", "protocol_versions", "topology_change", "status_change", "schema_change", NULL,
};

static bool to_client(const struct mask_conn *c, const struct mask_way *y) { return y == &c->ways[1]; }

static uint64_t segments(const struct mask_conn *c, const struct mask_way *y) { return to_client(c, y) ? SERVER_SEGMENTS : CLIENT_SEGMENTS; }

static uint8_t lost(struct mask_way *y)
{
	y->state = MASK_LOST;
	return 'x';
}

static uint32_t seen(const struct mask_way *y) { return y->flags >> SEEN; }

/* --- heads --- */

static enum kind kind_of(uint8_t opcode)
{
	switch (opcode) {
	case CASSANDRA_QUERY:
	case CASSANDRA_PREPARE: return TEXT;
	case CASSANDRA_EXECUTE: return ID;
	case CASSANDRA_BATCH: return BATCH;
	case CASSANDRA_STARTUP:
	case CASSANDRA_REGISTER:
	case CASSANDRA_SUPPORTED:
	case CASSANDRA_EVENT: return WORDS;
	case CASSANDRA_AUTHENTICATE:
	case CASSANDRA_AUTH_CHALLENGE:
	case CASSANDRA_AUTH_RESPONSE:
	case CASSANDRA_AUTH_SUCCESS: return TOKEN;
	case CASSANDRA_ERROR: return CODE;
	default: return RESULT;
	}
}

static void head_begin(struct mask_way *y)
{
	y->state = HEAD;
	y->digits = 0;
	y->flags &= FRAMED;
}

/* The envelope is over; or the part of it that this segment holds is. */
static void unit_end(struct mask_way *y)
{
	if (y->flags & FRAMED && y->part) {
		head_begin(y);
		return;
	}
	y->state = y->flags & FRAMED ? TAIL : FIRST;
	y->digits = 0;
}

/* length: of the envelope's body. In a segment what exceeds it goes on in the next ones. */
static void body_begin(struct mask_conn *c, struct mask_way *y)
{
	uint64_t n = y->number;

	/* Behind it the direction is framed; where the start-up is refused, nothing follows. */
	if (y->flags & VERSION_5 && !(y->flags & FRAMED) && (y->word[0] == CASSANDRA_STARTUP || y->word[0] == CASSANDRA_READY || y->word[0] == CASSANDRA_AUTHENTICATE))
		c->memory[0] |= segments(c, y);
	y->flags &= FRAMED | VERSION_5 | COMPRESSED;
	y->type = y->flags & COMPRESSED ? OTHER : (uint8_t)kind_of((uint8_t)y->word[0]);
	if (y->word[0] == CASSANDRA_QUERY || y->word[0] == CASSANDRA_EXECUTE)
		y->flags |= PARAMETERS;
	y->length = 0;
	if (y->flags & FRAMED) {
		y->length = n > y->part ? n - y->part : 0;
		n -= y->length;
		y->part -= n;
	}
	y->remain = n;
	y->number = y->digits = 0;
	word_clear(y);
	y->state = BODY;
	if (!n)
		unit_end(y);
}

static uint8_t head_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	enum proto_side side = to_client(c, y) ? PROTO_TO_CLIENT : PROTO_TO_SERVER;
	uint8_t head[CASSANDRA_HEAD] = { side == PROTO_TO_CLIENT ? 0x84 : 4, 0, 0, 0, y->digits > 4 ? (uint8_t)y->word[0] : 0 };

	if (y->flags & FRAMED)
		y->part--;
	head[y->digits] = b;
	if (!cassandra_head_begins(slice_make(head, (size_t)y->digits + 1), side))
		return lost(y);
	if ((y->digits == 5 && b) || (y->digits == 6 && b >= LOW) || (y->flags & FRAMED && y->part == 0 && y->digits < 8))
		return lost(y);
	switch (y->digits++) {
	case 0:
		y->number = 0;
		y->flags |= (b & 0x7f) == CASSANDRA_LAST_VERSION ? VERSION_5 : 0;
		return b;
	case 1:
		y->flags |= b & CASSANDRA_COMPRESSED ? COMPRESSED : 0;
		return b & (CASSANDRA_COMPRESSED | CASSANDRA_BETA); /* what the others put in front of the body is masked with it */
	case 4:
		y->word[0] = (char)b;
		return b;
	case 5:
	case 6:
	case 7: y->number = y->number << 8 | b; return b;
	case 8:
		y->number = y->number << 8 | b;
		body_begin(c, y);
		return b;
	default: return b;
	}
}

/* What the head of a segment says of it. */
static void segment_begin(struct mask_way *y, const struct cassandra_segment *g)
{
	y->part = g->length;
	y->digits = 0;
	if (g->plain || (y->length && !g->whole)) { /* of what is compressed nothing stays; or the envelope goes on */
		y->type = OTHER;
		y->remain = g->plain || y->length > y->part ? y->part : y->length;
		y->length = g->plain ? 0 : y->length - y->remain;
		y->part -= y->remain;
		y->state = BODY;
		return;
	}
	y->length = 0;
	head_begin(y);
}

/* The check sum is known before it comes: what does not go on with it is no head. */
static uint8_t segment_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	bool lz4 = c->memory[0] & LZ4;
	uint8_t sized = lz4 ? 5 : 3, at = y->digits++;
	struct cassandra_segment g;

	if (at + 1 == sized && b >= (lz4 ? 8 : 4))
		return lost(y);
	y->word[at] = (char)b;
	if (at < sized)
		return b;
	if (b != (uint8_t)(cassandra_crc24((const uint8_t *)y->word, sized) >> 8 * (at - sized)))
		return lost(y);
	if (at + 1 < sized + 3)
		return b;
	if (!cassandra_segment(slice_make(y->word, (size_t)at + 1), lz4, &g))
		return lost(y);
	segment_begin(y, &g);
	return b;
}

/* --- bodies --- */

static uint8_t other(struct mask_way *y)
{
	y->type = OTHER;
	return 'x';
}

static uint8_t keep_if(struct mask_way *y, bool keep, uint8_t b)
{
	return keep ? b : other(y);
}

/* <consistency><flags>: flags become none, as what they announce is masked. */
static uint8_t parameter_byte(struct mask_way *y, uint8_t step, uint8_t b)
{
	uint8_t flags = y->flags & VERSION_5 ? 4 : 1;

	if (step == 0)
		return keep_if(y, b == 0, b);
	if (step == 1)
		return keep_if(y, b <= LEVEL_MAX, b);
	return step < 2 + flags ? 0 : other(y);
}

/* A length of four bytes, the text, and what stands behind that of a query. */
static uint8_t text_byte(struct mask_way *y, uint8_t b)
{
	enum { LENGTH = 4, WITHIN = 4, BEHIND = 5 };

	if (y->digits < LENGTH) {
		y->number = y->number << 8 | b;
		return keep_if(y, y->digits++ > 1 || b < (y->digits == 1 ? 1 : LOW), b);
	}
	if (y->digits == WITHIN && y->number) {
		y->number--;
		if (b == ' ' && word_in(y, keywords)) { /* shows that it is one */
			y->word_len = MASK_WORD;
			return b;
		}
		return word_feed(y, b, keywords) ? b : 'x';
	}
	if (y->digits == WITHIN)
		y->digits = BEHIND;
	uint8_t step = (uint8_t)(y->digits - BEHIND);
	y->digits++;
	if (y->flags & PARAMETERS)
		return parameter_byte(y, step, b);
	return y->flags & VERSION_5 && step < 4 ? 0 : other(y);
}

/* The id of a statement, in version 5 that of its metadata, and what stands behind. Ids are masked by another byte than where they are given. */
static uint8_t id_byte(struct mask_way *y, uint8_t b)
{
	enum { HIGH, SHORT, ID_BYTES, SECOND_HIGH, SECOND_SHORT, SECOND_BYTES, BEHIND };

	if ((y->digits == ID_BYTES || y->digits == SECOND_BYTES) && y->number == 0)
		y->digits = y->digits == ID_BYTES && y->flags & VERSION_5 ? SECOND_HIGH : BEHIND;
	switch (y->digits) {
	case HIGH:
	case SECOND_HIGH: y->digits++; return keep_if(y, b == 0, b);
	case SHORT:
	case SECOND_SHORT:
		y->digits++;
		y->number = b;
		return keep_if(y, b <= ID_MAX, b);
	case ID_BYTES:
	case SECOND_BYTES: y->number--; return 'x';
	default: break;
	}
	uint8_t step = (uint8_t)(y->digits - BEHIND);
	y->digits++;
	return parameter_byte(y, step, b);
}

/* Type and number of statements. */
static uint8_t batch_byte(struct mask_way *y, uint8_t b)
{
	return keep_if(y, seen(y) == 0 ? b <= 2 : seen(y) == 1 ? b < LOW : seen(y) == 2, b);
}

/* Options and events: counts, lengths, known words. */
static uint8_t words_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	if (b < LOW) {
		word_clear(y);
		return b;
	}
	if (!word_feed(y, b, words))
		return 'x';
	if (!to_client(c, y) && y->flags & VERSION_5 && word_is(y, "lz4"))
		c->memory[0] |= LZ4;
	return b;
}

/* What proves who it is, or names how: the length as the envelope's says it. */
static uint8_t token_byte(struct mask_way *y)
{
	unsigned width = y->word[0] == CASSANDRA_AUTHENTICATE ? 2 : 4;

	if (seen(y) == 0)
		y->number = y->remain + y->length;
	if (seen(y) >= width || y->number < width)
		return other(y);
	return (uint8_t)((y->number - width) >> 8 * (width - 1 - seen(y)));
}

/* An error's number, and its message's length. */
static uint8_t code_byte(struct mask_way *y, uint8_t b)
{
	static const uint8_t most[] = { 0, 0, 0x25, 0x10, LOW, 0xff };

	return seen(y) < sizeof(most) ? keep_if(y, b <= most[seen(y)], b) : other(y);
}

/* Number of rows: told only where no columns stand in front. */
static uint8_t rows_byte(struct mask_way *y, uint8_t b)
{
	static const uint8_t most[] = { 0, 0, 0, 15, 0, LOW, 0xff, 0xff, 0, 0, 0xff, 0xff };
	uint32_t at = seen(y) - 4;

	if (at >= sizeof(most) || b > most[at])
		return other(y);
	if (at == 3)
		y->number = b;
	return at < 8 || (y->number & (NO_METADATA | MORE_PAGES)) == NO_METADATA ? b : other(y);
}

/* Its kind, and of some what follows. */
static uint8_t result_byte(struct mask_way *y, uint8_t b)
{
	if (seen(y) < 4) {
		y->digits = b;
		return keep_if(y, b <= (seen(y) == 3 ? CASSANDRA_SCHEMA : 0), b);
	}
	if (y->digits == CASSANDRA_ROWS)
		return rows_byte(y, b);
	if (seen(y) == 4)
		return keep_if(y, b == 0, b);
	if (seen(y) == 5)
		return keep_if(y, b <= ID_MAX, b);
	return y->digits == CASSANDRA_PREPARED ? 'y' : 'x';
}

static uint8_t body_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	switch ((enum kind)y->type) {
	case TEXT: return text_byte(y, b);
	case ID: return id_byte(y, b);
	case BATCH: return batch_byte(y, b);
	case WORDS: return words_byte(c, y, b);
	case TOKEN: return token_byte(y);
	case CODE: return code_byte(y, b);
	case RESULT: return result_byte(y, b);
	case OTHER: break;
	}
	return 'x';
}

/* --- bytes --- */

static uint8_t one(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	uint8_t out;

	switch (y->state) {
	case FIRST:
		head_begin(y);
		if (!(c->memory[0] & segments(c, y)))
			return head_byte(c, y, b);
		y->flags = FRAMED;
		y->state = SEGMENT;
		return segment_byte(c, y, b);
	case HEAD: return head_byte(c, y, b);
	case BODY:
		out = body_byte(c, y, b);
		y->flags += seen(y) < SEEN_MAX ? 1u << SEEN : 0;
		if (--y->remain == 0)
			unit_end(y);
		return out;
	case SEGMENT: return segment_byte(c, y, b);
	case TAIL:
		if (++y->digits == CASSANDRA_SEGMENT_TAIL) {
			y->state = SEGMENT;
			y->digits = 0;
		}
		return 'x';
	default: return 'x';
	}
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = one(c, y, p[i]);
}

static bool begins(struct slice in)
{
	return cassandra_detect(in, PROTO_TO_SERVER) >= DETECT_LIKELY || cassandra_detect(in, PROTO_TO_CLIENT) >= DETECT_LIKELY;
}

/* A client begins with OPTIONS or STARTUP. */
static enum mask_opens opens(struct slice in)
{
	uint8_t head[CASSANDRA_HEAD] = { 4, 0, 0, 0, CASSANDRA_STARTUP };
	struct cassandra_head h;

	memcpy(head, in.ptr, in.len < sizeof(head) ? in.len : sizeof(head));
	if (!cassandra_head(slice_make(head, sizeof(head)), PROTO_TO_SERVER, &h) || h.flags & ~CASSANDRA_BETA)
		return MASK_OPENS_NOT;
	if (h.opcode != CASSANDRA_STARTUP && (h.opcode != CASSANDRA_OPTIONS || h.length))
		return MASK_OPENS_NOT;
	return in.len < sizeof(head) ? MASK_OPENS_MAYBE : MASK_OPENS_SURELY;
}

const struct mask_ops mask_cassandra = { .opens = opens, .begins = begins, .mask = mask, .ends_with_body = true };

/* SPDX-License-Identifier: Apache-2.0 */
/* How Cassandra's envelopes and segments must look where nothing says that they are there. */
#include "proto/cassandra_wire.h"

enum {
	CHAIN = 3,     /* envelopes looked at */
	LEVEL_MAX = 10, /* LOCAL_ONE */
	ID_BYTES = 16, /* of a statement: an MD5 */
	ID_MAX = 64,   /* of other servers */
};

/* How well an envelope's body fits its opcode. */
enum fit {
	NO,
	SHORT,  /* as far as there are bytes */
	LOOSE,  /* or it says nothing: compressed, or without a body */
	STRICT,
	SURE,   /* has words that nothing else has */
};

static bool has_word(struct slice body, const char *word)
{
	struct slice w = slice_str(word);

	return body.len >= w.len && memmem(body.ptr, body.len, w.ptr, w.len);
}

/* What statements begin with. */
static const char *const keywords[] = {
	"select", "insert", "update", "delete", "begin", "use", "create", "alter", "drop", "truncate", "grant", "revoke", "list", "describe", "desc", "apply", "add", NULL,
};

/* A known word and white space, as far as there are bytes; or a comment or white space, which say less. */
static enum fit fit_statement(struct slice text)
{
	for (const char *const *k = keywords; *k; k++) {
		size_t n = strlen(*k), there = text.len < n ? text.len : n;
		if (slice_ieq(slice_head(text, there), slice_make(*k, there)) && (text.len <= n || text.ptr[n] <= ' '))
			return text.len > n ? STRICT : SHORT;
	}
	uint8_t c = text.ptr[0], low = ascii_lower(c);
	return (low >= 'a' && low <= 'z') || c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '/' || c == '-' ? LOOSE : NO;
}

/* [long string], and behind it at least `behind` bytes. */
static enum fit fit_text(struct slice body, uint32_t length, uint32_t behind)
{
	if (length < 4 + behind + 1)
		return NO;
	if (body.len < 5)
		return SHORT;
	uint32_t n = load_be32(body.ptr);
	if (n == 0 || n > length - 4 - behind)
		return NO;
	return fit_statement(slice_head(slice_from(body, 4), n));
}

/* [consistency] at `at`. */
static bool fits_level(struct slice body, size_t at) { return at + 2 > body.len || load_be16(body.ptr + at) <= LEVEL_MAX; }

static enum fit fit_query(struct slice body, uint32_t length)
{
	enum fit fit = fit_text(body, length, 3);

	return fit != NO && body.len > 4 && !fits_level(body, 4 + (size_t)load_be32(body.ptr)) ? NO : fit;
}

static enum fit fit_execute(const struct cassandra_head *h, struct slice body)
{
	if (h->length < 2 + 1 + 3)
		return NO;
	if (body.len < 2)
		return SHORT;
	size_t n = load_be16(body.ptr);
	if (n == 0 || n > h->length - 5 || n > ID_MAX)
		return NO;
	if (body.len < 2 + n + 2)
		return SHORT;
	size_t behind = 2 + n + (h->version == CASSANDRA_LAST_VERSION ? 2u + load_be16(body.ptr + 2 + n) : 0);
	return behind + 3 > h->length || !fits_level(body, behind) ? NO : n == ID_BYTES ? STRICT : LOOSE;
}

static enum fit fit_batch(struct slice body, uint32_t length)
{
	if (length < 3 + 3 || (body.len && body.ptr[0] > 2))
		return NO;
	if (body.len < 4)
		return SHORT;
	if (load_be16(body.ptr + 1) == 0 || body.ptr[3] > 1)
		return NO;
	if (body.len < 8)
		return SHORT;
	uint32_t n = body.ptr[3] ? load_be16(body.ptr + 4) : load_be32(body.ptr + 4);
	return n > 0 && n <= length - 6 ? STRICT : NO;
}

/* A map or list of strings of which one is known: STARTUP, REGISTER, SUPPORTED, EVENT. */
static enum fit fit_words(struct slice body, uint32_t length, bool counted, const char *const *words)
{
	size_t at = counted ? 2 : 0;

	if (length < at + 2)
		return NO;
	if (body.len < at + 2)
		return SHORT;
	if (counted && load_be16(body.ptr) > 64)
		return NO;
	if (load_be16(body.ptr + at) > length - at - 2)
		return NO;
	for (; *words; words++)
		if (has_word(slice_head(body, 512), *words))
			return SURE;
	return body.len < length && body.len < 512 ? SHORT : NO;
}

static const char *const startup_words[] = { "CQL_VERSION", NULL };
static const char *const event_words[] = { "TOPOLOGY_CHANGE", "STATUS_CHANGE", "SCHEMA_CHANGE", NULL };
static const char *const supported_words[] = { "CQL_VERSION", "COMPRESSION", NULL };

static enum fit fit_request(const struct cassandra_head *h, struct slice body)
{
	switch (h->opcode) {
	case CASSANDRA_STARTUP: return fit_words(body, h->length, true, startup_words);
	case CASSANDRA_OPTIONS: return h->length == 0 ? LOOSE : NO;
	case CASSANDRA_QUERY: return fit_query(body, h->length);
	case CASSANDRA_PREPARE: return fit_text(body, h->length, 0);
	case CASSANDRA_EXECUTE: return fit_execute(h, body);
	case CASSANDRA_REGISTER: return fit_words(body, h->length, true, event_words);
	case CASSANDRA_BATCH: return fit_batch(body, h->length);
	default: break; /* AUTH_RESPONSE: a token that may be null */
	}
	if (h->length < 4)
		return NO;
	if (body.len < 4)
		return SHORT;
	return load_be32(body.ptr) == h->length - 4 || (load_be32(body.ptr) == UINT32_MAX && h->length == 4) ? LOOSE : NO;
}

/* Of the specification, and few others. */
static bool is_code(uint32_t code)
{
	return code == 0 || code == 0x0a || code == 0x100 || (code >= 0x1000 && code <= 0x1003) || (code >= 0x1100 && code <= 0x2500 && (code & 0xff) == 0);
}

static enum fit fit_error(struct slice body, uint32_t length)
{
	if (length < 6)
		return NO;
	if (body.len < 6)
		return SHORT;
	return is_code(load_be32(body.ptr)) && load_be16(body.ptr + 4) <= length - 6 ? STRICT : NO;
}

static enum fit fit_result(struct slice body, uint32_t length)
{
	if (length < 4)
		return NO;
	if (body.len < 4)
		return SHORT;
	uint32_t kind = load_be32(body.ptr);
	if (kind == CASSANDRA_VOID)
		return length == 4 ? STRICT : NO;
	if (kind < CASSANDRA_VOID || kind > CASSANDRA_SCHEMA || length < 6)
		return NO;
	if (body.len < 8)
		return SHORT;
	if (kind == CASSANDRA_ROWS)
		return length >= 16 && load_be32(body.ptr + 4) < 16 ? STRICT : NO;
	return load_be16(body.ptr + 4) <= length - 6 ? STRICT : NO;
}

static enum fit fit_response(const struct cassandra_head *h, struct slice body)
{
	bool unasked = h->stream & 0x8000;

	if (h->flags & (CASSANDRA_TRACING | CASSANDRA_WARNING | CASSANDRA_PAYLOAD))
		return LOOSE;
	if (unasked != (h->opcode == CASSANDRA_EVENT) && h->opcode != CASSANDRA_ERROR)
		return NO;
	switch (h->opcode) {
	case CASSANDRA_ERROR: return fit_error(body, h->length);
	case CASSANDRA_READY: return h->length == 0 ? LOOSE : NO;
	case CASSANDRA_SUPPORTED: return fit_words(body, h->length, true, supported_words);
	case CASSANDRA_RESULT: return fit_result(body, h->length);
	case CASSANDRA_EVENT: return fit_words(body, h->length, false, event_words);
	case CASSANDRA_AUTHENTICATE:
		if (h->length < 2)
			return NO;
		return body.len < 2 ? SHORT : load_be16(body.ptr) == h->length - 2 ? STRICT : NO;
	default: return h->length < 4 ? NO : LOOSE; /* tokens */
	}
}

static enum fit fit_envelope(const struct cassandra_head *h, struct slice body, enum proto_side side)
{
	/* Nothing is compressed before it is agreed on. */
	if (h->flags & CASSANDRA_COMPRESSED) {
		if (h->version == 5 || h->length < 2 || h->opcode == CASSANDRA_STARTUP || h->opcode == CASSANDRA_OPTIONS || h->opcode == CASSANDRA_READY)
			return NO;
		return LOOSE;
	}
	if (side == PROTO_TO_SERVER && h->flags & CASSANDRA_PAYLOAD)
		return LOOSE;
	return side == PROTO_TO_SERVER ? fit_request(h, body) : fit_response(h, body);
}

/* Envelopes that follow each other. */
struct chain {
	enum fit best;
	unsigned whole; /* ended within the input */
	bool exact;     /* the last one ended with it */
	bool no;
};

static struct chain chain_at(struct slice in, enum proto_side side)
{
	struct chain c = { .best = SHORT };
	struct cassandra_head h;

	for (unsigned i = 0; i < CHAIN && in.len; i++) {
		c.no = in.len < CASSANDRA_HEAD ? !cassandra_head_begins(in, side) : !cassandra_head(in, side, &h);
		if (c.no || in.len < CASSANDRA_HEAD)
			return c;
		size_t there = in.len - CASSANDRA_HEAD;
		enum fit fit = fit_envelope(&h, slice_make(in.ptr + CASSANDRA_HEAD, there < h.length ? there : h.length), side);
		c.no = fit == NO;
		if (fit > c.best)
			c.best = fit;
		if (c.no || there < h.length)
			return c;
		c.whole++;
		in = slice_from(in, CASSANDRA_HEAD + h.length);
		c.exact = in.len == 0;
	}
	return c;
}

static int score_chain(const struct chain *c)
{
	if (c->no)
		return DETECT_NO;
	if (c->best == SURE)
		return DETECT_CERTAIN;
	if (c->best == STRICT)
		return DETECT_LIKELY;
	if (c->best == LOOSE && (c->whole > 1 || c->exact))
		return c->whole > 1 ? DETECT_LIKELY : DETECT_WEAK;
	return DETECT_MORE;
}

/* The first byte of an LZ4 block's first literal, which is the version. */
static bool lz4_goes_to(struct slice payload, enum proto_side side)
{
	uint8_t direction = side == PROTO_TO_CLIENT ? CASSANDRA_TO_CLIENT : 0;
	size_t at = 1;

	if (payload.len < 1)
		return true;
	if (payload.ptr[0] >> 4 == 0)
		return false;
	if (payload.ptr[0] >> 4 == 15)
		while (at < payload.len && payload.ptr[at++] == 255)
			;
	return at >= payload.len || payload.ptr[at] == (direction | CASSANDRA_LAST_VERSION);
}

/* DETECT_NO if no segment begins here. */
static int score_segment(struct slice in, enum proto_side side, bool lz4)
{
	size_t head = lz4 ? CASSANDRA_LZ4_SEGMENT_HEAD : CASSANDRA_SEGMENT_HEAD;
	struct cassandra_segment g;

	if (in.len < head || !cassandra_segment(in, lz4, &g))
		return DETECT_NO;
	struct slice payload = slice_head(slice_from(in, head), g.length);
	if (g.plain)
		return !g.whole || lz4_goes_to(payload, side) ? DETECT_LIKELY : DETECT_NO;
	if (!g.whole) /* may be the middle of an envelope: goes anywhere */
		return payload.len && payload.ptr[0] == ((side == PROTO_TO_CLIENT ? CASSANDRA_TO_CLIENT : 0) | CASSANDRA_LAST_VERSION) ? DETECT_LIKELY : DETECT_WEAK;
	struct chain c = chain_at(payload, side);
	return c.no ? DETECT_NO : payload.len < CASSANDRA_HEAD ? DETECT_MORE : DETECT_CERTAIN;
}

/* May become the head of a segment. */
static bool segment_may_begin(struct slice in)
{
	return in.len < 3 || (in.len < CASSANDRA_SEGMENT_HEAD && in.ptr[2] < 4) || (in.len < CASSANDRA_LZ4_SEGMENT_HEAD && (in.len < 5 || in.ptr[4] < 8));
}

int cassandra_detect(struct slice in, enum proto_side side)
{
	if (in.len == 0)
		return DETECT_MORE;
	int score = score_segment(in, side, false);
	if (score == DETECT_NO)
		score = score_segment(in, side, true);
	if (score != DETECT_NO)
		return score;
	struct chain c = chain_at(in, side);
	score = score_chain(&c);
	return score == DETECT_NO && segment_may_begin(in) ? DETECT_MORE : score;
}

/* --- behind a hole --- */

static bool envelope_stands(struct slice in, enum proto_side side)
{
	struct chain c = chain_at(in, side);

	return !c.no && (c.best >= STRICT || (c.best == LOOSE && (c.whole > 1 || c.exact)));
}

size_t cassandra_find(struct slice in, enum proto_side side, enum cassandra_framing *framing)
{
	struct cassandra_segment g;

	for (size_t i = 0; i + CASSANDRA_HEAD <= in.len; i++) {
		struct slice rest = slice_from(in, i);
		bool any = *framing == CASSANDRA_UNKNOWN;
		if ((any || *framing == CASSANDRA_SEGMENTS) && cassandra_segment(rest, false, &g))
			*framing = CASSANDRA_SEGMENTS;
		else if ((any || *framing == CASSANDRA_LZ4_SEGMENTS) && cassandra_segment(rest, true, &g))
			*framing = CASSANDRA_LZ4_SEGMENTS;
		else if ((any || *framing == CASSANDRA_PLAIN) && envelope_stands(rest, side))
			*framing = CASSANDRA_PLAIN;
		else
			continue;
		return i;
	}
	return in.len;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Oracle Net. Heads of packets stay, and of a packet that is in one record whole what tells which call it is, its numbers and the first word of a statement, and how an
 * answer ended. Of a packet in pieces nothing but its length stays.
 */
#include "proto/masker_way.h"
#include "proto/oracle_wire.h"

enum { HEAD, BODY };
enum { LARGE }; /* mask_conn.memory: lengths of four bytes were seen, and from there on all but what connects has them */

/* Four letters in a row are no numbers. */
static bool has_text(const uint8_t *p, size_t n)
{
	size_t run = 0;

	for (size_t i = 0; i < n; i++) {
		run = p[i] > ' ' && p[i] < 127 ? run + 1 : 0;
		if (run >= 4)
			return true;
	}
	return false;
}

static void blank(uint8_t *p, size_t from, size_t to)
{
	if (from < to)
		memset(p + from, 'x', to - from);
}

/* Keeps what is before `to` if it is numbers. */
static void keep_numbers(uint8_t *p, size_t from, size_t to)
{
	if (from < to && has_text(p + from, to - from))
		blank(p, from, to);
}

/* --- calls --- */

static void mask_function(uint8_t *p, size_t n, const struct oracle_call *c)
{
	size_t head = c->head > c->begin + 3 ? c->head : c->begin + 3, end = head;

	if (head > n)
		head = end = n;
	keep_numbers(p, c->begin + 3, head);
	if (c->function == ORACLE_EXECUTE && c->text_at) {
		keep_numbers(p, head, c->text_at);
		oracle_call_blank(p, n, c);
		end = c->end < n ? c->end : n;
	}
	if (c->function == ORACLE_EXECUTE && c->counted && c->counts_end <= n) {
		keep_numbers(p, end, c->counts_end);
		end = c->counts_end;
	}
	/* Values follow. */
	if ((c->function == ORACLE_REEXECUTE || c->function == ORACLE_REEXECUTE_FETCH) && end < n && p[end] == ORACLE_ROW_DATA)
		end++;
	blank(p, end, n);
}

static void mask_call(uint8_t *p, size_t n)
{
	enum { PROTOCOL_KEPT = 3, FAST_KEPT = 5, SERVICES_KEPT = 4 };
	struct oracle_call c;
	struct oracle_closed closed;

	if (!oracle_call_read(slice_make(p, n), &c, &closed)) {
		blank(p, n > 2 && p[0] == ORACLE_ONEWAY && oracle_function_name(p[1]) ? 2 : 0, n);
		return;
	}
	switch (c.function) {
	case ORACLE_ASK_PROTOCOL: blank(p, PROTOCOL_KEPT, n); return;
	case ORACLE_ASK_TYPES: blank(p, 1, n); return;
	case ORACLE_ASK_FAST_AUTH:
		blank(p, 2, FAST_KEPT - 1);
		blank(p, FAST_KEPT, n);
		return;
	case ORACLE_ASK_SERVICES: blank(p, SERVICES_KEPT, n); return;
	case ORACLE_ASK_UNKNOWN: blank(p, 3, n); return;
	default: break;
	}
	if (!oracle_function_name(c.function)) {
		blank(p, 1, n);
		return;
	}
	if (c.begin)
		blank(p, 3, c.begin);
	mask_function(p, n, &c);
}

/* --- answers --- */

static void mask_answer(uint8_t *p, size_t n)
{
	enum { STATUS_MAX = 9 };
	size_t marked = n && p[n - 1] == ORACLE_END_OF_RESPONSE, at;
	struct oracle_end e;

	if (n - marked <= STATUS_MAX && oracle_status_read(slice_make(p, n - marked))) {
		keep_numbers(p, 0, n - marked);
		return;
	}
	if (!oracle_end_find(slice_make(p, n - marked), &e, &at)) {
		blank(p, 0, n - marked);
		return;
	}
	blank(p, 0, at);
	keep_numbers(p, at, e.text_at);
	blank(p, e.text_at, e.text_at + e.text.len);
	/* A text in chunks, or another one in front of it. */
	if (e.text_at + e.text.len < n - marked)
		blank(p, e.text_at + e.text.len, n - marked);
}

/* --- connecting --- */

static void zero_but(uint8_t *p, size_t n, const uint8_t *kept, size_t nkept)
{
	for (size_t i = 0, k = 0; i < n; i++) {
		while (k < nkept && kept[k] < i)
			k++;
		if (k == nkept || kept[k] != i)
			p[i] = 0;
	}
}

/* p is behind the head. */
static void mask_connect(uint8_t *p, size_t n)
{
	static const uint8_t kept[] = { 0, 1, 2, 3, 16, 17, 18, 19 };
	size_t at = load_be16(p + 18) - (size_t)ORACLE_HEAD;

	if (at > n)
		at = n;
	zero_but(p, at, kept, sizeof(kept));
	if (at < n)
		p[at] = '(';
	blank(p, at + 1, n);
}

static void mask_accept(uint8_t *p, size_t n)
{
	static const uint8_t kept[] = { 0, 1, 4, 5, 12, 13, 24, 25, 26, 27, 33, 34, 35, 36 };

	zero_but(p, n, kept, sizeof(kept));
}

static void mask_refuse(uint8_t *p, size_t n)
{
	enum { AT = 4, DIGITS = 5 };
	struct slice number = oracle_descriptor(slice_from(slice_make(p, n), AT), "ERR");
	uint8_t digits[DIGITS];
	uint64_t value;
	size_t len = number.len <= DIGITS && slice_u64(number, &value) ? number.len : 0;

	if (len)
		memcpy(digits, number.ptr, len);
	p[0] = p[1] = 0;
	blank(p, AT, n);
	/* It stands behind "(ERR=", so there is room. */
	if (len) {
		memcpy(p + AT, "(ERR=", 5);
		memcpy(p + AT + 5, digits, len);
		p[AT + 5 + len] = ')';
	} else if (n > AT) {
		p[AT] = '(';
	}
}

static void mask_redirect(uint8_t *p, size_t n)
{
	enum { AT = 2 };

	if (n > AT)
		p[AT] = '(';
	blank(p, AT + 1, n);
}

/* --- packets --- */

static void mask_whole(uint8_t type, bool request, uint8_t *p, size_t n)
{
	enum { DATA_FLAGS = 0x40 | 0x800 | 0x1000 | 0x2000 };

	switch (type) {
	case ORACLE_CONNECT: mask_connect(p, n); return;
	case ORACLE_ACCEPT: mask_accept(p, n); return;
	case ORACLE_REFUSE: mask_refuse(p, n); return;
	case ORACLE_REDIRECT: mask_redirect(p, n); return;
	case ORACLE_MARKER:
		p[0] = p[0] <= 1 ? p[0] : 1;
		p[1] = 0;
		p[2] = p[2] <= ORACLE_MARKER_INTERRUPT ? p[2] : 0;
		return;
	case ORACLE_DATA:
		p[0] &= DATA_FLAGS >> 8;
		p[1] &= DATA_FLAGS & 0xff;
		if (request)
			mask_call(p + 2, n - 2);
		else
			mask_answer(p + 2, n - 2);
		return;
	default: memset(p, 0, n);
	}
}

/* How much of the record is done. The head must be in it whole. */
static size_t in_head(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	struct oracle_head h;

	if (n < ORACLE_HEAD || !oracle_head_read(slice_make(p, n), c->memory[LARGE], &h)) {
		y->state = MASK_LOST;
		memset(p, 'x', n);
		return n;
	}
	c->memory[LARGE] |= h.large;
	p[5] = 0;
	y->type = h.type;
	y->length = y->remain = h.len - ORACLE_HEAD;
	y->state = y->remain ? BODY : HEAD;
	return ORACLE_HEAD;
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	bool request = y == &c->ways[0];

	for (size_t i = 0; i < n;) {
		if (y->state >= MASK_LOST) {
			memset(p + i, 'x', n - i);
			return;
		}
		if (y->state == HEAD) {
			i += in_head(c, y, p + i, n - i);
			continue;
		}
		size_t len = y->remain < n - i ? (size_t)y->remain : n - i;
		if (len == y->length)
			mask_whole(y->type, request, p + i, len);
		else
			memset(p + i, 'x', len);
		i += len;
		y->remain -= len;
		y->state = y->remain ? BODY : HEAD;
	}
}

static bool begins(struct slice in) { return oracle_detect(in, PROTO_TO_SERVER) >= DETECT_WEAK || oracle_detect(in, PROTO_TO_CLIENT) >= DETECT_WEAK; }

static enum mask_opens opens(struct slice in) { return oracle_detect(in, PROTO_TO_SERVER) == DETECT_CERTAIN ? MASK_OPENS_SURELY : MASK_OPENS_NOT; }

const struct mask_ops mask_oracle = { .opens = opens, .begins = begins, .mask = mask, .ends_with_body = true };

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LDAP for shared recordings: see masker.h for what stays. Of BER that is tags and lengths, as far as LDAP has the tag and the element fits into its message; of what is in them ids,
 * result codes, scopes and flags. All texts become "x", all other numbers zero.
 */
#include "proto/ldap_wire.h"
#include "proto/masker_way.h"

enum state { HEAD, TAG, VALUE, REST };
enum { ID_KEPT = 3 };

/* mask_way.memory */
struct way {
	uint32_t skip;     /* bytes of a value to come */
	uint32_t len;      /* of all of it */
	uint8_t tag, op;
	uint8_t elements;  /* of the message so far, up to 3 */
};
_Static_assert(sizeof(struct way) <= sizeof(((struct mask_way *)0)->memory), "no room");

static struct way *way_of(struct mask_way *y)
{
	void *p = y->memory;

	return p;
}

static void took(struct mask_way *y, uint64_t n)
{
	y->remain -= n;
	if (y->remain)
		return;
	y->state = HEAD;
	y->digits = 0;
}

static uint8_t rest(struct mask_way *y)
{
	y->state = REST;
	took(y, 1);
	return 'x';
}

/* --- tags and lengths --- */

static bool tag_known(uint8_t tag, unsigned elements)
{
	if (elements == 0)
		return tag == LDAP_INTEGER;
	if (elements == 1)
		return tag == LDAP_UNBIND || tag == LDAP_DELETE || tag == LDAP_ABANDON || tag == LDAP_REFERENCE || (tag >= LDAP_BIND && tag <= LDAP_COMPARE_DONE) ||
		       (tag >= LDAP_EXTENDED && tag <= LDAP_INTERMEDIATE);
	return tag == LDAP_BOOLEAN || tag == LDAP_INTEGER || tag == LDAP_STRING || tag == LDAP_ENUM || tag == LDAP_SEQUENCE || tag == 0x31 || (tag >= 0x80 && tag <= 0x8b) ||
	       (tag >= 0xa0 && tag <= 0xa9);
}

/* Reads one more byte of a tag with its length. */
static enum ldap_scan tlv(struct mask_way *y, uint8_t b, struct ldap_tlv *ret)
{
	y->word[y->digits++] = (char)b;
	return ldap_tlv_read(slice_make(y->word, y->digits), ret);
}

static uint8_t in_head(struct mask_way *y, uint8_t b)
{
	struct ldap_tlv t;

	if (y->digits == 0 && b != LDAP_SEQUENCE) {
		y->state = MASK_LOST;
		return 'x';
	}
	switch (tlv(y, b, &t)) {
	case LDAP_BAD: y->state = MASK_LOST; return 'x';
	case LDAP_SHORT: return b;
	case LDAP_OK: break;
	}
	*way_of(y) = (struct way){ .op = 0 };
	y->digits = 0;
	y->remain = t.len;
	y->state = t.len ? TAG : HEAD;
	return b;
}

static uint8_t in_tag(struct mask_way *y, uint8_t b)
{
	struct way *w = way_of(y);
	struct ldap_tlv t;

	if (y->digits == 0 && !tag_known(b, w->elements))
		return rest(y);
	switch (tlv(y, b, &t)) {
	case LDAP_BAD: return rest(y);
	case LDAP_SHORT: took(y, 1); return b;
	case LDAP_OK: break;
	}
	y->digits = 0;
	if (t.len > y->remain - 1)
		return rest(y);
	if (w->elements == 1)
		w->op = t.tag;
	if (w->elements < 3)
		w->elements++;
	w->tag = t.tag;
	if (!(t.tag & 0x20) && t.len) { /* what holds others goes on with the first of them */
		w->skip = w->len = t.len;
		word_clear(y);
		y->state = VALUE;
	}
	took(y, 1);
	return b;
}

/* --- values --- */

/* The n-th byte from the end. */
static uint8_t number(const struct way *w, uint32_t from_end, uint8_t b)
{
	bool id = w->elements == 1 || w->tag == LDAP_ABANDON;

	if (id)
		return from_end < ID_KEPT ? b : 0;
	return w->len == 1 && b < 10 ? b : 0; /* the version, and the like */
}

static uint8_t oid(struct mask_way *y, uint8_t b)
{
	static const char *const known[] = { "1.3.6.1.4.1.1466.20037", "1.3.6.1.4.1.4203.1.11.1", "1.3.6.1.4.1.4203.1.11.3", "1.3.6.1.1.8", NULL };

	if (word_feed(y, b, known))
		return b;
	return b == '.' ? b : '0';
}

static uint8_t in_value(struct mask_way *y, uint8_t b)
{
	struct way *w = way_of(y);
	uint32_t from_end = --w->skip;
	uint8_t kept = 'x';

	switch (w->tag) {
	case LDAP_INTEGER: case LDAP_ABANDON: kept = number(w, from_end, b); break;
	case LDAP_ENUM: kept = from_end < 2 ? b : 0; break;
	case LDAP_BOOLEAN: kept = b == 0xff ? b : 0; break;
	case 0x80: kept = w->op == LDAP_EXTENDED ? oid(y, b) : 'x'; break;
	default: break;
	}
	if (w->skip == 0)
		y->state = TAG;
	took(y, 1);
	return kept;
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	(void)c;
	for (size_t i = 0; i < n;) {
		if (y->state == REST) {
			size_t len = y->remain < n - i ? (size_t)y->remain : n - i;
			memset(p + i, 'x', len);
			took(y, len);
			i += len;
			continue;
		}
		switch (y->state) {
		case HEAD: p[i] = in_head(y, p[i]); break;
		case TAG: p[i] = in_tag(y, p[i]); break;
		case VALUE: p[i] = in_value(y, p[i]); break;
		default: p[i] = 'x'; break;
		}
		i++;
	}
}

static void hole(struct mask_way *y) { y->state = REST; }

static bool begins(struct slice in) { return ldap_detect(in, PROTO_TO_SERVER) >= DETECT_LIKELY || ldap_detect(in, PROTO_TO_CLIENT) >= DETECT_LIKELY; }

/* Servers read the head first, alone. */
static enum mask_opens opens(struct slice in)
{
	struct ldap_head h;
	int is = ldap_detect(in, PROTO_TO_SERVER);

	if (is >= DETECT_LIKELY)
		return MASK_OPENS_SURELY;
	return is != DETECT_NO && ldap_head_read(in, PROTO_TO_SERVER, &h) == LDAP_OK ? MASK_OPENS_MAYBE : MASK_OPENS_NOT;
}

const struct mask_ops mask_ldap = { .opens = opens, .begins = begins, .mask = mask, .hole = hole, .ends_with_body = true };

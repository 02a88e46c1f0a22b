/* SPDX-License-Identifier: Apache-2.0 */
/* What the maskers of the protocols share; for proto/masker*.c only. */
#ifndef PLUMB_PROTO_MASKER_WAY_H
#define PLUMB_PROTO_MASKER_WAY_H

#include "lib/slice.h"

enum { MASK_WORD = 32, MASK_METHODS = 64, MASK_OPAQUE = 255, MASK_LOST = 254 };

/*
 * One direction. state 0 is the start of a message; MASK_LOST waits for one at the start of a record;
 * MASK_OPAQUE masks all that comes.
 */
struct mask_way {
	uint64_t next;   /* offset expected */
	uint64_t remain; /* bytes of the body under way, 0 elsewhere: a hole may lie there */
	uint64_t number; /* being read */
	uint64_t length; /* HTTP: of the body behind these headers */
	uint64_t part;   /* HTTP: of a list of lengths, the one being read */
	uint32_t flags;  /* the protocol's own */
	uint8_t state;
	uint8_t type;    /* of the message under way */
	uint8_t digits;
	uint8_t word_len; /* MASK_WORD once it is no word of the list */
	bool begun;
	uint64_t key;    /* of the masker */
	char word[MASK_WORD];
	uint64_t memory[10]; /* the protocol's own */
};

struct mask_conn {
	uint64_t sock, key;
	uint8_t protocol; /* PLUMB_PROTO_*, 0 not known yet */
	uint8_t to_server; /* direction of way 0 */
	bool secure_asked; /* PostgreSQL: an answer of one byte is due */
	bool plain;          /* PLUMB_IS_PLAIN() of its offsets */
	bool length_alone;   /* the first record is a length and nothing else */
	uint8_t length[4];
	uint8_t mysql, mysql_due; /* MySQL: what was seen, and the command whose response is due */
	uint64_t memory[16];      /* the protocol's own */
	uint8_t methods_len, methods_at;
	uint8_t methods[MASK_METHODS]; /* HTTP: of requests not answered yet */
	struct mask_way ways[2];
	struct mask_conn *older, *newer;
};

enum mask_opens { MASK_OPENS_NOT, MASK_OPENS_MAYBE, MASK_OPENS_SURELY };

/* masker_<symbol>.c exports `const struct mask_ops mask_<symbol>` if the protocol is MASKED in protocols.def. */
struct mask_ops {
	/* Are these the first bytes of a connection, from whoever speaks first? The surest is taken, of equals the first of the table. NULL: never */
	enum mask_opens (*opens)(struct slice in);
	/* May this record begin a message, after loss? */
	bool (*begins)(struct slice in);
	/* Masks n bytes in place. */
	void (*mask)(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n);
	/* Optional: bytes of the body under way were not captured, and less than `remain` */
	void (*hole)(struct mask_way *y);
	bool ends_with_body; /* behind the last byte of a body a message begins; elsewhere an end has bytes of its own, and a hole up to it loses the place */
};

/* The first word of the client's preface, "PRI ", was read: HTTP/2 goes on where HTTP/1 began. */
void mask_http2_start(struct mask_way *y);
extern const struct mask_ops mask_http2;
/* What becomes of a record's number in that session's data (PLUMB_DATA_RECORD): the same as in its socket's. */
uint64_t mask_tls_number(uint64_t key, uint64_t number);
/* Datagrams, whole. */
void mask_dns_datagram(uint8_t *p, size_t n);

/*
 * Of a name that tells things apart: another letter for each, which follows from all before it (in `length`, 0 at the name's start) and the key. Names that differ in a digit or in a letter
 * of one case remain different, numbers in base 16, too; what is neither may become what another is.
 */
static inline uint8_t mask_letter(struct mask_way *y, uint8_t b)
{
	enum { LETTERS = 26, DIGITS_FROM = 16 };
	uint8_t order[LETTERS] = {0}, low = ascii_lower(b);
	unsigned which = low >= 'a' && low <= 'z' ? low - 'a' : b >= '0' && b <= '9' ? DIGITS_FROM + b - '0' : b % LETTERS;
	uint64_t r = (y->length ^ y->key) * UINT64_C(0xd6e8feb86659fd93);

	for (uint8_t i = 0; i < LETTERS; i++) { /* shuffled */
		r = (r ^ r >> 29) * UINT64_C(0x9e3779b97f4a7c15) + y->key;
		uint8_t at = (uint8_t)((r >> 40) % (i + 1u));
		order[i] = order[at];
		order[at] = i;
	}
	y->length = (y->length ^ b) * UINT64_C(0x9e3779b97f4a7c15) + y->key;
	y->length ^= y->length >> 31;
	return (uint8_t)('a' + order[which]);
}

static inline void word_clear(struct mask_way *y) { y->word_len = 0; }

/*
 * Adds c to the word being read. True while it begins a word of the NULL-terminated list (in lower case); a word that
 * left the list never returns to it.
 */
static inline bool word_feed(struct mask_way *y, uint8_t c, const char *const *list)
{
	if (y->word_len >= MASK_WORD - 1) {
		y->word_len = MASK_WORD;
		return false;
	}
	y->word[y->word_len++] = (char)ascii_lower(c);
	/* Not strncmp(): to it a NUL is the end of both, and what follows would count as known. */
	for (; *list; list++)
		if (strlen(*list) >= y->word_len && memcmp(*list, y->word, y->word_len) == 0)
			return true;
	y->word_len = MASK_WORD;
	return false;
}

static inline bool word_is(const struct mask_way *y, const char *word)
{
	return y->word_len < MASK_WORD && strlen(word) == y->word_len && memcmp(word, y->word, y->word_len) == 0;
}

static inline bool word_in(const struct mask_way *y, const char *const *list)
{
	for (; *list; list++)
		if (word_is(y, *list))
			return true;
	return false;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/graphql.h"

enum state {
	TOP,       /* between definitions */
	NAME,      /* behind query, mutation or subscription: its name may come */
	HEAD,      /* variables and directives, up to the selection */
	FRAGMENT,  /* up to its selection */
	SELECTION,
	COMMENT,   /* of TOP … SELECTION: see `back` in the upper bits */
	STRING,
};

enum { BACK_SHIFT = 4, STATE_MASK = 15 };

/* Where in a string: see string_byte(). BLOCK and BACKSLASH count the quotes in a row behind them. */
enum { OPENED = 1, EMPTY, ESCAPED, WITHIN, BLOCK = 16, BACKSLASH = 32 };

static uint8_t state_of(const struct graphql *g) { return g->state & STATE_MASK; }

static void enter(struct graphql *g, enum state within) { g->state = (uint8_t)(g->state << BACK_SHIFT | (uint8_t)within); }
static void leave(struct graphql *g) { g->state = g->state >> BACK_SHIFT; }

static bool is_name(uint8_t c)
{
	uint8_t l = ascii_lower(c);

	return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static uint32_t hash_byte(uint32_t hash, uint8_t c) { return (hash ^ c) * 16777619u; }

static void operation(struct graphql *g)
{
	if (g->operations < GRAPHQL_OPERATIONS_MAX) {
		g->seen[g->operations].hash = g->hash;
		g->seen[g->operations].type = g->type;
	}
	if (g->operations < UINT8_MAX)
		g->operations++;
}

/* A name has ended. */
static void end_word(struct graphql *g)
{
	struct slice word = slice_make(g->word, g->word_len);

	g->word_len = 0;
	if (state_of(g) == NAME) {
		g->state = HEAD;
		return;
	}
	if (state_of(g) == HEAD && g->depth == 0) {
		g->broken = !g->directive; /* prose that begins with "query" */
		g->directive = false;
	}
	if (state_of(g) != TOP)
		return;
	g->type = slice_eq(word, SLICE_LIT("query")) ? GRAPHQL_QUERY : slice_eq(word, SLICE_LIT("mutation")) ? GRAPHQL_MUTATION :
		slice_eq(word, SLICE_LIT("subscription")) ? GRAPHQL_SUBSCRIPTION : GRAPHQL_NONE;
	g->hash = 0;
	if (g->type)
		g->state = NAME;
	else if (slice_eq(word, SLICE_LIT("fragment")))
		g->state = FRAGMENT;
	else
		g->broken = true; /* type definitions are not executed */
}

static void word_byte(struct graphql *g, uint8_t c)
{
	if (state_of(g) == NAME) {
		g->hash = hash_byte(g->hash, c);
		if (!g->operations && g->name_len < GRAPHQL_NAME_MAX)
			g->name[g->name_len++] = c;
	}
	if (g->word_len < sizeof(g->word))
		g->word[g->word_len++] = c;
}

static void open_brace(struct graphql *g)
{
	switch ((enum state)state_of(g)) {
	case TOP:
		g->broken = g->operations > 0; /* where a selection stands alone, it is all there is (2.3) */
		g->shorthand = true;
		g->type = GRAPHQL_QUERY;
		g->hash = 0;
		operation(g);
		break;
	case NAME:
	case HEAD:
		if (!g->depth)
			operation(g);
		break;
	default: break;
	}
	if (!g->depth) /* else an object of a default value */
		g->state = SELECTION;
	g->depth++;
}

static void close_bracket(struct graphql *g)
{
	if (g->depth == 0) {
		g->broken = true;
		return;
	}
	if (--g->depth == 0 && state_of(g) == SELECTION)
		g->state = TOP;
}

static void punctuation(struct graphql *g, uint8_t c)
{
	uint8_t state = state_of(g);

	switch (c) {
	case '#': enter(g, COMMENT); return;
	case '"':
		g->quotes = OPENED;
		g->broken = state == TOP || state == NAME;
		enter(g, STRING);
		return;
	case '{': open_brace(g); return;
	case '}':
	case ')':
	case ']': close_bracket(g); return;
	case '(':
	case '[':
		g->broken = state == TOP;
		g->depth++;
		g->state = state == NAME ? HEAD : g->state;
		return;
	case ' ':
	case '\t':
	case '\r':
	case '\n':
	case ',': return;
	case '@':
		g->directive = true;
		g->broken = state == TOP;
		g->state = state == NAME ? HEAD : g->state;
		return;
	default: g->broken = state == TOP || state == NAME;
	}
}

static void block_byte(struct graphql *g, uint8_t c)
{
	if (c == '"')
		g->quotes++;
	else
		g->quotes = c == '\\' ? BACKSLASH : BLOCK;
	if (g->quotes == BACKSLASH + 3)
		g->quotes = BLOCK;
	else if (g->quotes == BLOCK + 3)
		leave(g);
}

/* False: the string was empty, and the byte is behind it. */
static bool string_byte(struct graphql *g, uint8_t c)
{
	if (g->quotes >= BLOCK) {
		block_byte(g, c);
	} else if (g->quotes == EMPTY) {
		g->quotes = BLOCK;
		if (c == '"')
			return true;
		leave(g);
		return false;
	} else if (g->quotes == OPENED && c == '"') {
		g->quotes = EMPTY;
	} else if (g->quotes == WITHIN && c == '"') {
		leave(g);
	} else {
		g->quotes = g->quotes != ESCAPED && c == '\\' ? ESCAPED : WITHIN;
	}
	return true;
}

static void feed_byte(struct graphql *g, uint8_t c)
{
	if (state_of(g) == COMMENT) {
		if (c == '\n' || c == '\r')
			leave(g);
		return;
	}
	if (state_of(g) == STRING && string_byte(g, c))
		return;
	if (is_name(c)) {
		word_byte(g, c);
		return;
	}
	if (g->word_len)
		end_word(g);
	if (!g->broken)
		punctuation(g, c);
}

void graphql_feed(struct graphql *g, struct slice text)
{
	for (size_t i = 0; i < text.len && !g->broken; i++)
		feed_byte(g, text.ptr[i]);
}

enum graphql_type graphql_type_of(const struct graphql *g, struct slice name)
{
	uint32_t hash = 0;

	if (g->operations == 0)
		return GRAPHQL_NONE;
	for (size_t i = 0; i < name.len; i++)
		hash = hash_byte(hash, name.ptr[i]);
	for (uint8_t i = 0; name.len && g->operations > 1 && i < g->operations && i < GRAPHQL_OPERATIONS_MAX; i++)
		if (g->seen[i].hash == hash)
			return (enum graphql_type)g->seen[i].type;
	return g->operations == 1 || !name.len ? (enum graphql_type)g->seen[0].type : GRAPHQL_NONE;
}

struct slice graphql_type_name(enum graphql_type type)
{
	static const char *const names[] = { "", "query", "mutation", "subscription" };

	return slice_str(names[type]);
}

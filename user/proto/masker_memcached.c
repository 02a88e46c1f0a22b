/* SPDX-License-Identifier: Apache-2.0 */
/* Memcached (doc/protocol.txt, doc/protocol-binary.txt) for shared recordings: see masker.h for what stays. */
#include "proto/masker_way.h"
#include "proto/memcached_wire.h"

enum state { WORD, ARGUMENT, DATA, HEAD, BODY };
enum { SIZED = 1, STRAY = 2, IN_TOKEN = 4 }; /* flags: a length was read; the token is no number, or none that is kept */

/* What an argument is: key, number, length of the data that follow, flag with a token, word that the protocol may know. */
enum kind { KEY, NUMBER, SIZE, FLAG, WORDS };

/* By the first word of a line: what its arguments are; the last kind is that of all further ones. */
static const struct shape {
	const char *word;
	uint8_t kinds[4];
} shapes[] = {
	{ "get", { KEY, KEY, KEY, KEY } }, { "gets", { KEY, KEY, KEY, KEY } }, { "gat", { NUMBER, KEY, KEY, KEY } }, { "gats", { NUMBER, KEY, KEY, KEY } },
	{ "set", { KEY, NUMBER, NUMBER, SIZE } }, { "add", { KEY, NUMBER, NUMBER, SIZE } }, { "replace", { KEY, NUMBER, NUMBER, SIZE } },
	{ "append", { KEY, NUMBER, NUMBER, SIZE } }, { "prepend", { KEY, NUMBER, NUMBER, SIZE } }, { "cas", { KEY, NUMBER, NUMBER, SIZE } },
	{ "delete", { KEY, NUMBER, NUMBER, NUMBER } }, { "incr", { KEY, NUMBER, NUMBER, NUMBER } }, { "decr", { KEY, NUMBER, NUMBER, NUMBER } },
	{ "touch", { KEY, NUMBER, NUMBER, NUMBER } }, { "mg", { KEY, FLAG, FLAG, FLAG } }, { "ms", { KEY, SIZE, FLAG, FLAG } },
	{ "md", { KEY, FLAG, FLAG, FLAG } }, { "ma", { KEY, FLAG, FLAG, FLAG } }, { "me", { KEY, KEY, KEY, KEY } }, { "mn", { KEY, KEY, KEY, KEY } },
	{ "stats", { WORDS, WORDS, WORDS, WORDS } }, { "version", { WORDS, WORDS, WORDS, WORDS } }, { "verbosity", { WORDS, WORDS, WORDS, WORDS } },
	{ "flush_all", { WORDS, WORDS, WORDS, WORDS } }, { "quit", { KEY, KEY, KEY, KEY } }, { "slabs", { WORDS, WORDS, WORDS, WORDS } },
	{ "lru", { WORDS, WORDS, WORDS, WORDS } }, { "lru_crawler", { WORDS, WORDS, WORDS, WORDS } }, { "cache_memlimit", { WORDS, WORDS, WORDS, WORDS } },
	{ "watch", { WORDS, WORDS, WORDS, WORDS } },
	{ "value", { KEY, NUMBER, SIZE, NUMBER } }, { "va", { SIZE, FLAG, FLAG, FLAG } }, { "hd", { FLAG, FLAG, FLAG, FLAG } },
	{ "en", { FLAG, FLAG, FLAG, FLAG } }, { "nf", { FLAG, FLAG, FLAG, FLAG } }, { "ns", { FLAG, FLAG, FLAG, FLAG } }, { "ex", { FLAG, FLAG, FLAG, FLAG } },
};
enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

static const char *const words[] = {
	"get", "gets", "gat", "gats", "set", "add", "replace", "append", "prepend", "cas", "delete", "incr", "decr", "touch", "mg", "ms", "md", "ma", "me", "mn",
	"stats", "version", "verbosity", "flush_all", "quit", "slabs", "lru", "lru_crawler", "cache_memlimit", "watch", "value", "va", "hd", "en", "nf", "ns",
	"ex", "end", "stored", "not_stored", "exists", "not_found", "deleted", "touched", "ok", "reset", "stat", "item", "prefix", "error", "client_error",
	"server_error", "busy", "badclass", "nospare", "notfull", "unsafe", "same", "notstarted", "key=", "ts=", NULL,
};
static const char *const arguments[] = {
	"noreply", "items", "slabs", "sizes", "settings", "conns", "reset", "detail", "cachedump", "on", "off", "dump", "reassign", "automove", "metadump",
	"mgdump", "crawl", "all", NULL,
};

static bool begins(struct slice in)
{
	return memcached_fits(in, PROTO_TO_SERVER) || memcached_fits(in, PROTO_TO_CLIENT);
}

static void line_begin(struct mask_way *y)
{
	y->state = WORD;
	y->flags = 0;
	y->number = 0;
	y->remain = 0;
	word_clear(y);
}

static uint8_t line_end(struct mask_way *y)
{
	bool data = (y->flags & (SIZED | STRAY)) == SIZED && y->number <= MEMCACHED_DATA_MAX;
	uint64_t n = y->number;

	line_begin(y);
	if (data) {
		y->state = DATA;
		y->remain = n + 2;
	}
	return '\n';
}

/* What is no word of the list: a line of digits alone is an answer to incr and decr. */
static uint8_t in_word(struct mask_way *y, uint8_t b)
{
	if (y->word_len == 0 && b >= 0x80) {
		y->state = b <= 0x81 ? HEAD : MASK_LOST;
		y->digits = 1;
		y->type = b;
		y->number = 0;
		return b <= 0x81 ? b : 'x';
	}
	if (b == '\r')
		return b;
	if (b == ' ') {
		y->type = 0;
		while (y->type < SHAPES && !word_is(y, shapes[y->type].word))
			y->type++;
		y->state = ARGUMENT;
		y->digits = 0;
		y->flags = 0;
		word_clear(y);
		return b;
	}
	return word_feed(y, b, words) ? b : b >= '0' && b <= '9' ? '0' : 'x';
}

static uint8_t token_byte(struct mask_way *y, enum kind kind, uint8_t b)
{
	bool digit = b >= '0' && b <= '9', first = !(y->flags & IN_TOKEN);

	y->flags |= IN_TOKEN;
	switch (kind) {
	case KEY:
		return 'x';
	case SIZE:
		if (!digit || y->flags & STRAY || y->number > MEMCACHED_DATA_MAX) {
			y->flags |= STRAY;
			return 'x';
		}
		y->flags |= SIZED;
		y->number = y->number * 10 + (uint64_t)(b - '0');
		return b;
	case FLAG:
		return first && ascii_lower(b) >= 'a' && ascii_lower(b) <= 'z' ? b : digit ? '0' : 'x';
	case NUMBER: case WORDS:
		break;
	}
	if (digit || (b == '-' && first))
		return digit ? '0' : b;
	return word_feed(y, b, arguments) ? b : 'x';
}

static uint8_t in_argument(struct mask_way *y, uint8_t b)
{
	const struct shape *shape = y->type < SHAPES ? &shapes[y->type] : NULL;

	if (b == '\r')
		return b;
	if (b == ' ') {
		if (y->flags & IN_TOKEN && y->digits < 4)
			y->digits++;
		y->flags &= ~(uint32_t)IN_TOKEN;
		word_clear(y);
		return b;
	}
	if (!shape) /* sentences and lists */
		return b >= '0' && b <= '9' ? '0' : 'x';
	enum kind kind = (enum kind)shape->kinds[y->digits < 4 ? y->digits : 3];
	return token_byte(y, kind == SIZE && y->digits > 3 ? NUMBER : kind, b);
}

static uint8_t in_data(struct mask_way *y, uint8_t b)
{
	uint8_t end = y->remain == 2 ? '\r' : y->remain == 1 ? '\n' : 0;

	if (--y->remain == 0)
		line_begin(y);
	return end && b == end ? b : 'x';
}

/*
 * A byte of the header behind its magic: lengths, opcode, status and opaque stay as far as they can be those of a header, the CAS value does not.
 */
static uint8_t in_head(struct mask_way *y, uint8_t b)
{
	unsigned at = y->digits++;
	bool fits = true, high = at == 2 || at == 5 || at == 6 || at == 8;

	if (at == 1)
		fits = memcached_opcode_name(b) != NULL;
	else if (high || (at == 7 && y->type == 0x80))
		fits = b == 0;
	else if (at == 9) /* 2 MiB; what is larger is rare, and a word may not stand in lengths and opaque together */
		fits = b < ' ';
	else if (at == 3 || at == 4)
		fits = at == 3 ? b <= MEMCACHED_KEY_MAX : b <= 20;
	if (!fits) {
		y->state = MASK_LOST;
		return 'x';
	}
	if (at >= 8 && at <= 11)
		y->number = y->number << 8 | b;
	if (at + 1 == MEMCACHED_BINARY_HEAD) {
		uint64_t body = y->number;
		line_begin(y);
		y->remain = body;
		y->state = body ? BODY : WORD;
	}
	return at >= 16 ? 0 : b;
}

static uint8_t one(struct mask_way *y, uint8_t b)
{
	if (b == '\n' && (y->state == WORD || y->state == ARGUMENT))
		return line_end(y);
	switch (y->state) {
	case WORD: return in_word(y, b);
	case ARGUMENT: return in_argument(y, b);
	case DATA: return in_data(y, b);
	case HEAD: return in_head(y, b);
	case BODY:
		if (--y->remain == 0)
			line_begin(y);
		return 'x';
	default: return 'x';
	}
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	(void)c;
	for (size_t i = 0; i < n; i++)
		p[i] = one(y, p[i]);
}

static enum mask_opens opens(struct slice in) { return (in.ptr[0] >= 'a' && in.ptr[0] <= 'z') || in.ptr[0] == 0x80 ? MASK_OPENS_MAYBE : MASK_OPENS_NOT; }

const struct mask_ops mask_memcached = { .opens = opens, .begins = begins, .mask = mask };

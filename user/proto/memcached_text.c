/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the text and meta commands and of their answers: see memcached_wire.h. */
#include "lib/hash.h"
#include "proto/memcached_wire.h"

/* ---- statements ---- */

static void put(struct memcached_statement *st, char c)
{
	if (st->len < MEMCACHED_TEXT_MAX)
		st->text[st->len++] = c;
}

void memcached_statement_begin(struct memcached_statement *st, struct slice operation, bool upper)
{
	st->len = 0;
	st->full = false;
	for (size_t i = 0; i < operation.len; i++)
		put(st, (char)(upper && operation.ptr[i] >= 'a' && operation.ptr[i] <= 'z' ? operation.ptr[i] - 32 : operation.ptr[i]));
	st->op_len = st->len;
}

void memcached_statement_add(struct memcached_statement *st, struct slice word)
{
	if (st->len + 1 + word.len > MEMCACHED_TEXT_MAX)
		return;
	put(st, ' ');
	for (size_t i = 0; i < word.len; i++)
		put(st, (char)word.ptr[i]);
}

/* As many keys as fit whole; room is left for the mark that there were more. */
void memcached_statement_key(struct memcached_statement *st, struct slice head, bool cut)
{
	size_t shown = head.len < MEMCACHED_SHOWN_MAX ? head.len : MEMCACHED_SHOWN_MAX;

	cut |= shown < head.len;
	if (st->full)
		return;
	if (st->len + 1 + shown + (cut ? 3 : 0) + 8 > MEMCACHED_TEXT_MAX) {
		st->full = true;
		memcached_statement_add(st, SLICE_LIT("..."));
		return;
	}
	put(st, ' ');
	for (size_t i = 0; i < shown; i++) /* binary keys stay one printable line */
		put(st, head.ptr[i] > ' ' && head.ptr[i] < 127 ? (char)head.ptr[i] : '.');
	for (unsigned i = 0; cut && i < 3; i++)
		put(st, '.');
}

/* ---- words ---- */

/* The next word at *at, which moves behind it; empty at the end. */
static struct slice next_word(struct slice line, size_t *at)
{
	size_t i = *at;

	while (i < line.len && line.ptr[i] == ' ')
		i++;
	size_t from = i;
	while (i < line.len && line.ptr[i] != ' ')
		i++;
	*at = i;
	return slice_make(line.ptr + from, i - from);
}

static bool is_number(struct slice s, uint64_t most)
{
	uint64_t n;

	return slice_u64(s, &n) && n <= most;
}

/* Unsigned with all 64 bits, or a time, which may be negative. */
static bool is_long(struct slice s, bool sign)
{
	size_t i = sign && s.len && s.ptr[0] == '-';

	for (size_t k = i; k < s.len; k++)
		if (s.ptr[k] < '0' || s.ptr[k] > '9')
			return false;
	return s.len > i && s.len - i <= 20;
}

/*
 * A token as a pairing key: short ones are their own bytes. The upper bits keep them apart from the numbers that requests without a
 * token have.
 */
static uint64_t tag_of(struct slice token, bool key)
{
	uint64_t tag = 0;

	if (token.len > 7)
		tag = hash_slice(token) >> 8;
	else
		for (size_t i = 0; i < token.len; i++)
			tag = tag << 8 | token.ptr[i];
	return tag | UINT64_C(1) << 63 | (key ? UINT64_C(1) << 62 : 0);
}

/* ---- commands ---- */

static const struct command {
	const char *name;
	enum memcached_kind kind;
} commands[] = {
	{ "get", MEMCACHED_GET }, { "gets", MEMCACHED_GET }, { "gat", MEMCACHED_GAT }, { "gats", MEMCACHED_GAT }, { "set", MEMCACHED_STORE },
	{ "add", MEMCACHED_STORE }, { "replace", MEMCACHED_STORE }, { "append", MEMCACHED_STORE }, { "prepend", MEMCACHED_STORE },
	{ "cas", MEMCACHED_CAS }, { "delete", MEMCACHED_DELETE }, { "incr", MEMCACHED_ARITH }, { "decr", MEMCACHED_ARITH }, { "touch", MEMCACHED_TOUCH },
	{ "mg", MEMCACHED_META }, { "ms", MEMCACHED_META_SET }, { "md", MEMCACHED_META }, { "ma", MEMCACHED_META }, { "me", MEMCACHED_META_DEBUG },
	{ "mn", MEMCACHED_META_NOOP }, { "stats", MEMCACHED_STATS }, { "version", MEMCACHED_ADMIN }, { "verbosity", MEMCACHED_FLUSH },
	{ "flush_all", MEMCACHED_FLUSH }, { "quit", MEMCACHED_QUIT }, { "slabs", MEMCACHED_ADMIN }, { "lru", MEMCACHED_ADMIN },
	{ "lru_crawler", MEMCACHED_ADMIN }, { "cache_memlimit", MEMCACHED_ADMIN }, { "watch", MEMCACHED_ADMIN }, { "shutdown", MEMCACHED_ADMIN },
	{ "extstore", MEMCACHED_ADMIN }, { "refresh_certs", MEMCACHED_ADMIN }, { "debugtime", MEMCACHED_ADMIN },
};

static enum memcached_kind command_find(struct slice name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (slice_eq(name, slice_str(commands[i].name)))
			return commands[i].kind;
	return MEMCACHED_UNKNOWN;
}

/* Words of stats and the like that are the protocol's own; any other may be a value. */
bool memcached_word_known(struct slice word)
{
	static const char *const known[] = { "items", "slabs", "sizes", "sizes_enable", "sizes_disable", "settings", "conns", "reset", "detail", "cachedump",
		"extstore", "proxy", "threads", "on", "off", "dump", "reassign", "automove", "tune", "mode", "temp_ttl", "metadump", "mgdump",
		"crawl", "enable", "disable", "sleep", "tocrawl", "all", "graceful" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (slice_eq(word, slice_str(known[i])))
			return true;
	return false;
}

bool memcached_long_get(struct slice in)
{
	size_t at = 0;
	enum memcached_kind kind = command_find(next_word(slice_head(in, 8), &at));

	return kind == MEMCACHED_GET || kind == MEMCACHED_GAT;
}

static bool key_plausible(struct slice key)
{
	for (size_t i = 0; i < key.len; i++)
		if (key.ptr[i] < ' ' || key.ptr[i] == 127)
			return false;
	return key.len > 0 && key.len <= MEMCACHED_KEY_MAX;
}

static void retrieval_read(struct slice line, size_t at, struct memcached_statement *st, struct memcached_request *r)
{
	r->well_formed = true;
	if (r->kind == MEMCACHED_GAT) {
		r->well_formed = is_long(next_word(line, &at), true);
		memcached_statement_add(st, SLICE_LIT("?"));
	}
	for (struct slice key = next_word(line, &at); key.len; key = next_word(line, &at)) {
		r->well_formed &= key_plausible(key);
		memcached_statement_key(st, key, false);
		if (r->keys < UINT32_MAX)
			r->keys++;
	}
	r->well_formed &= r->keys > 0;
}

/*
 * The server takes data only behind a line that it understands; behind any other, what was meant as data is the next command to it.
 */
static void store_read(const struct slice *args, size_t n, struct memcached_request *r)
{
	size_t last = r->kind == MEMCACHED_CAS ? 5 : 4;

	r->well_formed = (n == last || (n == last + 1 && r->no_reply)) && key_plausible(args[0]) && is_number(args[1], UINT32_MAX) && is_long(args[2], true) &&
			 is_number(args[3], MEMCACHED_DATA_MAX) && (r->kind != MEMCACHED_CAS || is_long(args[4], false));
	if (r->well_formed) {
		(void)slice_u64(args[3], &r->skip);
		r->skip += 2;
	}
}

/* A command with a key, and arguments of which none is shown. */
static void keyed_read(struct slice line, size_t at, struct memcached_statement *st, struct memcached_request *r)
{
	struct slice args[6], word;
	size_t n = 0;

	for (word = next_word(line, &at); word.len && n < 6; word = next_word(line, &at))
		args[n++] = word;
	r->no_reply = n > 1 && slice_eq(args[n - 1], SLICE_LIT("noreply"));
	if (n)
		memcached_statement_key(st, args[0], false);
	if (n > 1u + r->no_reply)
		memcached_statement_add(st, SLICE_LIT("?"));
	if (r->kind == MEMCACHED_STORE || r->kind == MEMCACHED_CAS)
		store_read(args, word.len ? 0 : n, r);
	else if (r->kind == MEMCACHED_DELETE)
		r->well_formed = n > 0 && key_plausible(args[0]) && (n == 1 || (n == 2 && r->no_reply) || slice_eq(args[1], SLICE_LIT("0")));
	else
		r->well_formed = n - r->no_reply == 2 && key_plausible(args[0]) && is_long(args[1], r->kind == MEMCACHED_TOUCH);
}

static void admin_read(struct slice line, size_t at, struct memcached_statement *st, struct memcached_request *r)
{
	struct slice word, last = SLICE_NONE;
	unsigned n = 0;

	for (word = next_word(line, &at); word.len; last = word, word = next_word(line, &at), n++) {
		if (n > 2 || (r->kind == MEMCACHED_FLUSH && slice_eq(word, SLICE_LIT("noreply"))))
			continue;
		memcached_statement_add(st, r->kind != MEMCACHED_FLUSH && memcached_word_known(word) ? word : SLICE_LIT("?"));
	}
	r->no_reply = r->kind == MEMCACHED_QUIT || (r->kind == MEMCACHED_FLUSH && slice_eq(last, SLICE_LIT("noreply")));
	if (r->kind == MEMCACHED_FLUSH)
		r->well_formed = n <= 2 && (n - r->no_reply == 0 || is_long(slice_make(line.ptr + line.len - last.len, last.len), true) || r->no_reply);
	else
		r->well_formed = r->kind == MEMCACHED_QUIT || r->kind == MEMCACHED_META_NOOP ? n == 0 : n == 0 || r->kind != MEMCACHED_STATS || n <= 3;
}

/* Flags are shown, their arguments are not, but for the mode, which says what is done. */
static bool flag_take(struct slice flag, struct memcached_statement *st, struct memcached_request *r, bool *ret_key)
{
	uint8_t c = flag.ptr[0];
	uint8_t shown[2] = { c, '?' };

	if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
		return false;
	if (c == 'q')
		r->quiet = true;
	if (c == 'k')
		*ret_key = true;
	if (c == 'O' && flag.len > 1) {
		r->tagged = true;
		r->tag = tag_of(slice_from(flag, 1), false);
	}
	memcached_statement_add(st, c == 'M' && flag.len == 2 ? flag : slice_make(shown, flag.len > 1 ? 2 : 1));
	return true;
}

static void meta_read(struct slice line, size_t at, struct memcached_statement *st, struct memcached_request *r)
{
	struct slice key = next_word(line, &at), flag;
	bool by_key = false;

	r->well_formed = key_plausible(key);
	if (key.len)
		memcached_statement_key(st, key, false);
	if (r->kind == MEMCACHED_META_SET) {
		struct slice size = next_word(line, &at);
		bool sized = is_number(size, MEMCACHED_DATA_MAX);
		if (sized && r->well_formed) {
			(void)slice_u64(size, &r->skip);
			r->skip += 2;
		}
		r->well_formed &= sized;
		memcached_statement_add(st, SLICE_LIT("?"));
	}
	for (flag = next_word(line, &at); flag.len; flag = next_word(line, &at))
		r->well_formed &= flag_take(flag, st, r, &by_key);
	if (r->kind == MEMCACHED_META_DEBUG)
		r->tagged = r->quiet = false;
	else if (by_key && !r->tagged) {
		r->tagged = true;
		r->tag = tag_of(key, true);
	}
}

void memcached_request_read(struct slice line, struct memcached_statement *st, struct memcached_request *ret)
{
	size_t at = 0;
	struct slice name = next_word(line, &at);

	*ret = (struct memcached_request){ .kind = command_find(name) };
	/* A name that the protocol does not have may be anything, a value even: it is not shown. */
	bool meta = ret->kind >= MEMCACHED_META;
	memcached_statement_begin(st, ret->kind == MEMCACHED_UNKNOWN ? SLICE_LIT("_OTHER") : name, !meta);
	switch (ret->kind) {
	case MEMCACHED_UNKNOWN:
		break;
	case MEMCACHED_GET: case MEMCACHED_GAT:
		retrieval_read(line, at, st, ret);
		break;
	case MEMCACHED_STORE: case MEMCACHED_CAS: case MEMCACHED_DELETE: case MEMCACHED_ARITH: case MEMCACHED_TOUCH:
		keyed_read(line, at, st, ret);
		break;
	case MEMCACHED_META: case MEMCACHED_META_SET: case MEMCACHED_META_DEBUG:
		meta_read(line, at, st, ret);
		break;
	case MEMCACHED_STATS: case MEMCACHED_FLUSH: case MEMCACHED_ADMIN: case MEMCACHED_QUIT: case MEMCACHED_META_NOOP:
		admin_read(line, at, st, ret);
		break;
	}
}

/* ---- answers ---- */

enum { BARE = 1, FAILS = 2, SAYS = 4 };

/*
 * BARE: nothing follows the word. SAYS: the word is worth showing. A miss, and a condition that was not met, are answers and no failures: a cache
 * is asked for what it may not have, and add, replace and cas are asked whether they may.
 */
static const struct answer {
	const char *word;
	enum memcached_reply_kind kind;
	unsigned flags;
} answers[] = {
	{ "VALUE", MEMCACHED_VALUE, 0 }, { "END", MEMCACHED_END, BARE }, { "STORED", MEMCACHED_CLASSIC, BARE }, { "HD", MEMCACHED_META_LINE, 0 },
	{ "VA", MEMCACHED_META_VALUE, 0 }, { "EN", MEMCACHED_META_MISS, 0 }, { "MN", MEMCACHED_META_BARRIER, BARE },
	{ "NF", MEMCACHED_META_LINE, SAYS }, { "NS", MEMCACHED_META_LINE, SAYS }, { "EX", MEMCACHED_META_LINE, SAYS }, { "ME", MEMCACHED_META_LINE, 0 },
	{ "STAT", MEMCACHED_ROW, 0 }, { "NOT_STORED", MEMCACHED_CLASSIC, BARE | SAYS }, { "EXISTS", MEMCACHED_CLASSIC, BARE | SAYS },
	{ "NOT_FOUND", MEMCACHED_CLASSIC, BARE | SAYS }, { "DELETED", MEMCACHED_CLASSIC, BARE }, { "TOUCHED", MEMCACHED_CLASSIC, BARE },
	{ "OK", MEMCACHED_CLASSIC, BARE }, { "RESET", MEMCACHED_CLASSIC, BARE }, { "VERSION", MEMCACHED_CLASSIC, 0 },
	{ "ERROR", MEMCACHED_ERROR_LINE, FAILS }, { "CLIENT_ERROR", MEMCACHED_ERROR_LINE, FAILS }, { "SERVER_ERROR", MEMCACHED_ERROR_LINE, FAILS },
	{ "ITEM", MEMCACHED_ROW, 0 }, { "PREFIX", MEMCACHED_ROW, 0 }, { "mg", MEMCACHED_ROW, 0 },
	{ "BUSY", MEMCACHED_CLASSIC, FAILS }, { "BADCLASS", MEMCACHED_CLASSIC, FAILS }, { "NOSPARE", MEMCACHED_CLASSIC, FAILS },
	{ "NOTFULL", MEMCACHED_CLASSIC, FAILS }, { "UNSAFE", MEMCACHED_CLASSIC, FAILS }, { "SAME", MEMCACHED_CLASSIC, FAILS },
	{ "NOTSTARTED", MEMCACHED_CLASSIC, FAILS }, { "MEMLIMIT_TOO_SMALL", MEMCACHED_CLASSIC, FAILS },
	{ "MEMLIMIT_ADJUST_FAILED", MEMCACHED_CLASSIC, FAILS }, { "WATCHER_TOO_MANY", MEMCACHED_CLASSIC, FAILS },
	{ "WATCHER_FAILED", MEMCACHED_CLASSIC, FAILS },
};

/* The flags that a meta command's answer repeats. */
static void flags_find(struct slice line, size_t at, struct memcached_reply *r)
{
	struct slice key = SLICE_NONE;

	for (struct slice flag = next_word(line, &at); flag.len; flag = next_word(line, &at)) {
		if (flag.ptr[0] == 'k')
			key = slice_from(flag, 1);
		if (flag.ptr[0] != 'O' || flag.len == 1)
			continue;
		r->tagged = true;
		r->tag = tag_of(slice_from(flag, 1), false);
		return;
	}
	r->tagged = key.len > 0;
	if (r->tagged)
		r->tag = tag_of(key, true);
}

static bool size_take(struct slice word, struct memcached_reply *r)
{
	if (!is_number(word, MEMCACHED_DATA_MAX))
		return false;
	(void)slice_u64(word, &r->skip);
	r->skip += 2;
	return true;
}

/* "VALUE <key> <flags> <bytes> [<cas>]" */
static bool value_read(struct slice line, size_t at, struct memcached_reply *r)
{
	bool fits = key_plausible(next_word(line, &at));

	fits = fits && is_number(next_word(line, &at), UINT32_MAX);
	fits = fits && size_take(next_word(line, &at), r);
	struct slice cas = next_word(line, &at);
	return fits && (cas.len == 0 || is_long(cas, false)) && next_word(line, &at).len == 0;
}

static bool printable(struct slice line)
{
	for (size_t i = 0; i < line.len; i++)
		if (line.ptr[i] < ' ' && line.ptr[i] != '\t')
			return false;
	return true;
}

/* Lines without a word of the table: the number of incr and decr, and lists. */
static bool wordless(struct slice line, struct slice word, struct memcached_reply *r)
{
	if (slice_starts(word, SLICE_LIT("key=")))
		r->kind = MEMCACHED_ROW;
	else if (slice_starts(word, SLICE_LIT("ts=")))
		r->kind = MEMCACHED_LOG;
	else if (is_long(word, false) && word.len == line.len)
		r->kind = MEMCACHED_CLASSIC;
	return r->kind != MEMCACHED_NO_REPLY_LINE && printable(line);
}

bool memcached_reply_read(struct slice line, struct memcached_reply *ret)
{
	size_t at = 0;
	struct slice word = next_word(line, &at);
	const struct answer *a = answers;
	const struct answer *end = answers + sizeof(answers) / sizeof(answers[0]);

	if (word.len && word.ptr[word.len - 1] == ':') /* "SERVER_ERROR: shutdown not enabled" */
		word.len--;
	*ret = (struct memcached_reply){ .kind = MEMCACHED_NO_REPLY_LINE };
	while (a < end && !slice_eq(word, slice_str(a->word)))
		a++;
	if (a == end)
		return wordless(line, word, ret);
	ret->kind = a->kind;
	ret->failed = a->flags & FAILS;
	if (a->flags & (FAILS | SAYS))
		ret->word = word;
	if (a->flags & BARE)
		return at == line.len;
	if (ret->failed)
		ret->message = at < line.len ? slice_from(line, at + 1) : SLICE_NONE;
	if (a->kind == MEMCACHED_VALUE)
		return value_read(line, at, ret);
	if (a->kind == MEMCACHED_META_VALUE && !size_take(next_word(line, &at), ret))
		return false;
	if (a->kind == MEMCACHED_META_VALUE || a->kind == MEMCACHED_META_MISS || (a->kind == MEMCACHED_META_LINE && word.ptr[0] != 'M'))
		flags_find(line, at, ret);
	return printable(line);
}

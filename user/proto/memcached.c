/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memcached: text and meta commands (doc/protocol.txt of memcached), the binary protocol (doc/protocol-binary.txt), and both in datagrams.
 *
 * Values are skipped and never shown: a statement is the command, its keys, and "?" for what else matters. A miss, and an add, replace or cas whose
 * condition is not met (NOT_FOUND, NOT_STORED, EXISTS), are answers and no failures: asking is what these commands are for, and a cache that misses
 * would else be red all day. They are seen in db.response.returned_rows and db.response.status_code. Failures are ERROR, CLIENT_ERROR and
 * SERVER_ERROR, and the status codes of the binary protocol that mean the same.
 *
 * A server answers in order, but quiet requests only in some cases. So requests are paired by key: the opaque of the binary protocol with
 * the opcode (and the key where the response repeats it), the opaque token or key that a meta response repeats, the id of a datagram, else a
 * running number. An answer ends all older quiet requests as answered (MESSAGE_FLUSH). An answer that may be that of several quiet requests is
 * none's (one-way): the client cannot tell, either.
 *
 * Loss: how many requests or answers were lost is not known, so after a hole in either direction nothing is taken for an answer until the
 * next turn, as in redis.c: a request that follows bytes of an answer, or comes after QUIET_NS without a byte. Only a client of the binary
 * protocol that numbers its requests needs no such care. An answer of several values that a server sends in one call of more than 64 KiB is not
 * captured to its end, and ends as incomplete there.
 */
#include "lib/hash.h"
#include "proto/memcached_wire.h"

enum {
	LOUD_MAX = 6,   /* requests behind quiet ones whose numbers are remembered */
	END_LEN = 5, /* "END\r\n" */
	RESYNC_KEEP = 2 * MEMCACHED_KEY_MAX,
	OPAQUES_SEEN = 2, /* that differ, and a client is taken to number its requests */
	QUIET_NS = 250 * 1000 * 1000, /* answers that are still due come sooner */
};
#define KEY_NONE (UINT64_C(1) << 62) /* of requests that are never answered */

struct memcached_state {
	struct memcached_statement st;
	uint64_t latest_ns;      /* of the bytes last parsed, either direction; 0 = times are not known */
	uint64_t early_ns;       /* of the latest answer that came before its request, or without one */
	uint64_t last_key;       /* of the latest request that is answered for certain */
	uint64_t last_tag;       /* of the latest request with a tag */
	uint64_t loud_tag;       /* of the latest of them that is answered for certain */
	uint64_t reply_key;      /* of the answer under way */
	uint32_t sent, answered; /* requests without tag, and how far they are answered: their keys */
	uint32_t quiet_until;    /* behind the latest quiet one of them */
	uint32_t batch_until;    /* behind the latest of them that may have several values as answer */
	uint32_t tag_sent;       /* `sent` when the latest request with a tag came */
	uint32_t loud[LOUD_MAX]; /* those behind a quiet one that are answered for certain */
	uint32_t opaque;         /* of the latest binary request */
	uint32_t count;          /* keys of the request, or values of the answer under way */
	uint16_t tagged, tagged_loud; /* requests with tag that are open, and those of them answered for certain; never too few */
	uint8_t nloud, loud_barriers; /* a bit for each that is a barrier */
	uint8_t opaques;         /* that differed from the one before */
	uint8_t early;           /* answers without a request, yet */
	bool in_keys : 1, in_word : 1; /* in a retrieval longer than a line */
	bool replying : 1, rows : 1;   /* in an answer of several lines; they are no values */
	bool reply_oneway : 1;
	bool single : 1;         /* it can have one value at most */
	bool opaque_repeats : 1;
	bool quiet : 1;          /* quiet requests are open */
	bool quiet_latest : 1;   /* one was the latest request */
	bool open : 1;           /* last_key is not answered */
	bool mid : 1;            /* searching, and not at the place of the hole any more */
	/* As in redis.c. */
	bool turn : 1, overlaps : 1, may_overlap : 1, told : 1, silent : 1, guessed : 1;
};
_Static_assert(sizeof(struct memcached_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

/* ---- turns ---- */

static void open_forget(struct memcached_state *s)
{
	s->sent += s->early; /* numbers that answers without a request have */
	s->answered = s->sent;
	s->quiet_until = s->batch_until = s->tag_sent = 0;
	s->tagged = s->tagged_loud = 0;
	s->nloud = s->early = 0;
	s->quiet = s->quiet_latest = s->open = false;
}

static void reply_clear(struct memcached_state *s) { s->replying = s->rows = s->reply_oneway = false; }

/* A client whose opaques tell its requests apart. */
static bool numbers(const struct memcached_state *s) { return s->opaques > OPAQUES_SEEN && !s->opaque_repeats; }

/* From now on answers are not understood, up to the next turn. */
static void silence(struct memcached_state *s)
{
	reply_clear(s);
	s->silent = true;
}

/* A request begins: is it a turn, and what does it tell? */
static void request_begin(struct memcached_state *s, uint64_t time_ns, struct message *m)
{
	bool rested = s->latest_ns && time_ns > s->latest_ns + QUIET_NS;

	m->kind = MESSAGE_REQUEST;
	m->keyed = true;
	m->flags |= MESSAGE_BEGIN;
	if (s->silent && (s->turn || rested)) {
		m->flags |= MESSAGE_FLUSH;
		s->silent = s->overlaps && !rested;
		open_forget(s);
		s->guessed = !rested;
	} else if (s->turn && s->open) {
		s->may_overlap = true; /* or an answer was lost: the next one, or its absence, tells */
	} else if (s->turn) {
		s->guessed = false;
	}
	s->turn = false;
}

/* False: answers are passed over. */
static bool reply_begin(struct memcached_state *s)
{
	s->turn = true;
	if (s->may_overlap && !s->replying) {
		s->may_overlap = false;
		s->overlaps = true;
		if (s->guessed && !numbers(s))
			silence(s); /* the turn was none */
	}
	return !s->silent;
}

/* The request has its key. */
static void request_open(struct memcached_state *s, bool quiet, struct message *m)
{
	if (quiet)
		m->flags |= MESSAGE_QUIET;
	else
		s->last_key = m->key;
	s->quiet |= quiet;
	s->quiet_latest = quiet;
	s->open = !quiet;
	if (s->silent)
		m->flags |= MESSAGE_UNSURE;
}

static void response_begin(struct memcached_state *s, uint64_t key, struct message *m)
{
	m->kind = MESSAGE_RESPONSE;
	m->keyed = true;
	m->key = s->reply_key = key;
	m->flags |= MESSAGE_BEGIN | (s->quiet ? MESSAGE_FLUSH : 0);
	if (s->open && key == s->last_key) {
		s->open = false;
		s->quiet &= s->quiet_latest;
	}
}

static void statement_add(const struct memcached_state *s, struct message *m)
{
	message_add_str(m, ATTR_DB_OPERATION_NAME, slice_make(s->st.text, s->st.op_len));
	message_add_str(m, ATTR_RAW_STATEMENT, slice_make(s->st.text, s->st.len));
}

static void batch_add(uint32_t keys, struct message *m)
{
	if (keys > 1)
		message_add_int(m, ATTR_DB_OPERATION_BATCH_SIZE, keys);
}

static void error_add(struct slice word, struct message *m)
{
	size_t n = word.len < MESSAGE_ERROR_TYPE_LEN - 1 ? word.len : MESSAGE_ERROR_TYPE_LEN - 1;

	m->flags |= MESSAGE_ERROR;
	memcpy(m->error_type, word.ptr, n);
	m->error_type[n] = '\0';
}

/* ---- requests in lines ---- */

/*
 * An answer may be read before its request, but has not come before it. Answers without request that have are to none that was
 * seen; their numbers are not used again.
 */
static bool answered_early(struct memcached_state *s, uint64_t time_ns)
{
	if (s->early == 0)
		return false;
	if (time_ns && time_ns <= s->early_ns) {
		s->early--;
		return true;
	}
	s->sent += s->early;
	s->answered = s->sent;
	s->early = 0;
	return false;
}

static void number_take(struct memcached_state *s, const struct memcached_request *r, uint64_t time_ns, struct message *m)
{
	bool early = answered_early(s, time_ns);

	m->key = s->sent++;
	if (r->keys > 1)
		s->batch_until = s->sent;
	if (early) {
		s->answered = s->sent;
		if (r->quiet)
			m->flags |= MESSAGE_UNSURE;
	} else if (r->quiet) {
		s->quiet_until = s->sent;
	} else if (s->answered < s->quiet_until) {
		if (s->nloud == LOUD_MAX) {
			silence(s);
			return;
		}
		s->loud_barriers = (uint8_t)(s->loud_barriers & ~(1u << s->nloud));
		if (r->kind == MEMCACHED_META_NOOP)
			s->loud_barriers = (uint8_t)(s->loud_barriers | 1u << s->nloud);
		s->loud[s->nloud++] = s->sent - 1;
	}
}

static void key_take(struct memcached_state *s, const struct memcached_request *r, uint64_t time_ns, struct message *m)
{
	if (r->no_reply) {
		m->key = KEY_NONE;
		m->flags |= MESSAGE_NO_RESPONSE;
		return;
	}
	if (!r->tagged) {
		number_take(s, r, time_ns, m);
	} else {
		m->key = s->last_tag = r->tag;
		s->tag_sent = s->sent;
		if (s->tagged < UINT16_MAX)
			s->tagged++;
		if (!r->quiet) {
			s->loud_tag = r->tag;
			if (s->tagged_loud < UINT16_MAX)
				s->tagged_loud++;
		}
	}
	request_open(s, r->quiet, m);
}

static bool plain(struct slice line)
{
	for (size_t i = 0; i < line.len; i++)
		if ((line.ptr[i] < ' ' && line.ptr[i] != '\t') || line.ptr[i] > 126)
			return false;
	return true;
}

/* A line that has no end in MEMCACHED_LINE_MAX bytes: a retrieval of many keys. Up to its last whole key there. */
static enum parse_status long_begin(struct memcached_state *s, struct slice in, struct parse_result *ret)
{
	struct memcached_request r;
	size_t n = MEMCACHED_LINE_MAX;

	while (n && in.ptr[n - 1] != ' ')
		n--;
	if (!memcached_long_get(in) || n == 0)
		return PARSE_BAD;
	request_begin(s, ret->time_ns, &ret->message);
	memcached_request_read(slice_make(in.ptr, n), &s->st, &r);
	key_take(s, &r, ret->time_ns, &ret->message);
	s->batch_until = s->sent;
	s->count = r.keys;
	s->in_keys = true;
	s->in_word = false;
	ret->consumed = n;
	return PARSE_MESSAGE;
}

static enum parse_status long_continue(struct memcached_state *s, struct slice in, struct parse_result *ret)
{
	size_t at = 0;

	for (; at < in.len && in.ptr[at] != '\n'; at++) {
		bool word = in.ptr[at] > ' ';
		if (word && !s->in_word && s->count < UINT32_MAX)
			s->count++;
		s->in_word = word;
	}
	ret->consumed = at;
	if (at == in.len)
		return PARSE_SKIP;
	struct message *m = &ret->message;
	ret->consumed++;
	s->in_keys = false;
	m->kind = MESSAGE_REQUEST;
	m->keyed = true;
	m->key = s->last_key;
	m->flags = MESSAGE_END;
	if (!s->st.full) {
		s->st.full = true;
		memcached_statement_add(&s->st, SLICE_LIT("..."));
	}
	statement_add(s, m);
	batch_add(s->count, m);
	return PARSE_MESSAGE;
}

static enum parse_status line_parse(struct memcached_state *s, struct slice in, struct parse_result *ret)
{
	struct message *m = &ret->message;
	struct memcached_request r;
	size_t end = slice_find(slice_head(in, MEMCACHED_LINE_MAX), '\n', 0);

	if (s->in_keys)
		return long_continue(s, in, ret);
	if (end == SIZE_MAX && in.len >= MEMCACHED_LINE_MAX)
		return long_begin(s, in, ret);
	if (end == SIZE_MAX) {
		bool cr = in.ptr[in.len - 1] == '\r';
		return memcached_long_get(in) || plain(slice_head(in, in.len - cr)) ? PARSE_NEED_MORE : PARSE_BAD;
	}
	struct slice line = slice_make(in.ptr, end && in.ptr[end - 1] == '\r' ? end - 1 : end);
	memcached_request_read(line, &s->st, &r);
	if (r.kind == MEMCACHED_UNKNOWN && !plain(line))
		return PARSE_BAD;
	request_begin(s, ret->time_ns, m);
	key_take(s, &r, ret->time_ns, m);
	statement_add(s, m);
	batch_add(r.keys, m);
	ret->consumed = end + 1;
	ret->skip = r.skip;
	m->flags |= MESSAGE_END | (r.skip ? MESSAGE_END_AFTER_SKIP : 0);
	return PARSE_MESSAGE;
}

/* ---- answers in lines ---- */

static void tags_done(struct memcached_state *s)
{
	s->tagged = s->tagged_loud = 0;
	if (s->answered < s->tag_sent)
		s->answered = s->tag_sent;
}

static bool match_tag(struct memcached_state *s, uint64_t tag, uint64_t *ret_key)
{
	*ret_key = tag;
	if (tag == s->last_tag)
		tags_done(s);
	else if (s->tagged > 1)
		s->tagged--;
	if (tag == s->loud_tag)
		s->tagged_loud = 0;
	return true;
}

/* Errors, and what servers before 1.6.9 answer to a miss, do not repeat the tag. */
static bool match_without_tag(struct memcached_state *s, const struct memcached_reply *r, uint64_t *ret_key)
{
	if (s->tagged_loud == 1 && r->kind == MEMCACHED_META_MISS)
		return match_tag(s, s->loud_tag, ret_key);
	return s->tagged == 1 && match_tag(s, s->last_tag, ret_key);
}

static void loud_drop(struct memcached_state *s, unsigned n)
{
	memmove(s->loud, s->loud + n, (s->nloud - n) * sizeof(s->loud[0]));
	s->nloud = (uint8_t)(s->nloud - n);
	s->loud_barriers = (uint8_t)(s->loud_barriers >> n);
}

/* Requests that may be silent are open. */
static bool match_behind_quiet(struct memcached_state *s, const struct memcached_reply *r, uint64_t *ret_key)
{
	bool either = r->kind == MEMCACHED_ERROR_LINE || r->kind == MEMCACHED_META_VALUE || r->kind == MEMCACHED_META_LINE;
	unsigned i = 0;

	if (!either) {
		while (r->kind == MEMCACHED_META_BARRIER && i < s->nloud && !(s->loud_barriers >> i & 1))
			i++;
		if (i == s->nloud)
			return false;
		*ret_key = s->loud[i];
		return true;
	}
	uint32_t end = s->nloud ? s->loud[0] : s->sent;
	bool loud = s->nloud && (r->kind == MEMCACHED_ERROR_LINE || !(s->loud_barriers & 1));
	if (end - s->answered + loud != 1)
		return false;
	*ret_key = s->answered;
	return true;
}

/* Which request this answers. False: that cannot be told. */
static bool match(struct memcached_state *s, const struct memcached_reply *r, uint64_t time_ns, uint64_t *ret_key)
{
	if (r->kind == MEMCACHED_LOG)
		return false;
	if (r->tagged)
		return match_tag(s, r->tag, ret_key);
	if (s->answered == s->sent && s->tagged)
		return match_without_tag(s, r, ret_key);
	if (s->answered == s->sent) {
		*ret_key = (uint64_t)s->sent + s->early;
		s->early_ns = time_ns;
		if (s->early < UINT8_MAX)
			s->early++;
		return true;
	}
	if (s->answered >= s->quiet_until)
		*ret_key = s->answered;
	else if (!match_behind_quiet(s, r, ret_key))
		return false;
	s->answered = (uint32_t)*ret_key + 1;
	while (s->nloud && s->loud[0] < s->answered)
		loud_drop(s, 1);
	if (s->answered > s->tag_sent)
		s->tagged = s->tagged_loud = 0;
	return true;
}

static void outcome_add(const struct memcached_state *s, const struct memcached_reply *r, struct message *m)
{
	if (r->word.len)
		message_add_str(m, ATTR_DB_RESPONSE_STATUS_CODE, r->word);
	if (r->failed)
		error_add(r->word, m);
	if (r->message.len)
		message_add_str(m, ATTR_RAW_STATUS_MESSAGE, r->message);
	if (r->kind == MEMCACHED_END && !s->rows)
		message_add_int(m, ATTR_DB_RESPONSE_RETURNED_ROWS, s->count);
	else if (r->kind == MEMCACHED_META_VALUE || (r->kind == MEMCACHED_META_MISS && !s->rows))
		message_add_int(m, ATTR_DB_RESPONSE_RETURNED_ROWS, r->kind == MEMCACHED_META_VALUE);
}

/* The next line of `in` at *at, without its end. False with *ret_bad: there can be none. */
static bool reply_line(struct slice in, size_t at, struct slice *ret_line, size_t *ret_end, bool *ret_bad)
{
	struct slice rest = slice_head(slice_from(in, at), MEMCACHED_LINE_MAX);
	size_t end = slice_find(rest, '\n', 0);

	*ret_bad = end == SIZE_MAX && rest.len == MEMCACHED_LINE_MAX;
	if (end == SIZE_MAX)
		return false;
	*ret_line = slice_make(rest.ptr, end && rest.ptr[end - 1] == '\r' ? end - 1 : end);
	*ret_end = at + end + 1;
	return true;
}

/* One line of an answer, and data behind it as far as they are at hand. */
static void reply_take(struct memcached_state *s, const struct memcached_reply *r, struct parse_result *ret)
{
	struct message *m = &ret->message;
	bool several = r->kind == MEMCACHED_VALUE || r->kind == MEMCACHED_ROW;

	if (!s->replying) {
		uint64_t key = 0;
		s->count = 0;
		s->rows = r->kind == MEMCACHED_ROW;
		s->single = s->answered < s->sent && s->answered >= s->batch_until && s->answered >= s->quiet_until;
		s->reply_oneway = !match(s, r, ret->time_ns, &key);
		if (s->reply_oneway)
			m->flags |= MESSAGE_BEGIN;
		else
			response_begin(s, key, m);
		s->replying = true;
	}
	m->kind = s->reply_oneway ? MESSAGE_ONEWAY : MESSAGE_RESPONSE;
	m->keyed = !s->reply_oneway;
	m->key = s->reply_oneway ? 0 : s->reply_key;
	if (r->kind == MEMCACHED_VALUE && s->count < UINT32_MAX)
		s->count++;
	if (several)
		return;
	if (!s->reply_oneway)
		outcome_add(s, r, m);
	m->flags |= MESSAGE_END | (r->skip ? MESSAGE_END_AFTER_SKIP : 0);
	reply_clear(s);
}

/*
 * The only value that was asked for is large: the END behind it comes for certain, and need not be captured for a few bytes' sake. `r` is
 * the line of the value.
 */
static void single_end(struct memcached_state *s, const struct memcached_reply *r, struct parse_result *ret)
{
	static const struct memcached_reply end = { .kind = MEMCACHED_END };

	reply_take(s, &end, ret);
	ret->skip = r->skip + END_LEN;
	ret->message.flags |= MESSAGE_END_AFTER_SKIP;
}

static enum parse_status answer_parse(struct memcached_state *s, struct slice in, struct parse_result *ret)
{
	struct memcached_reply r;
	struct slice line;
	size_t at = 0, end;
	bool bad = false;

	while (at < in.len && !ret->skip && !(ret->message.flags & MESSAGE_END) && reply_line(in, at, &line, &end, &bad)) {
		bad = !memcached_reply_read(line, &r);
		struct slice rest = slice_from(in, end);
		bad = bad || (r.skip && rest.len >= r.skip && (rest.ptr[r.skip - 2] != '\r' || rest.ptr[r.skip - 1] != '\n'));
		if (bad)
			break;
		reply_take(s, &r, ret);
		at = end;
		if (r.kind == MEMCACHED_VALUE && s->single && r.skip + END_LEN > rest.len)
			single_end(s, &r, ret);
		else if (r.skip > rest.len || ret->message.flags & MESSAGE_END)
			ret->skip = r.skip;
		else
			at += (size_t)r.skip;
	}
	if (bad && at == 0) {
		reply_clear(s);
		return PARSE_BAD; /* behind what is whole, else: found again by the next call */
	}
	ret->consumed = at;
	if (at == 0)
		return PARSE_NEED_MORE;
	return ret->message.flags ? PARSE_MESSAGE : PARSE_SKIP;
}

/* ---- binary ---- */

/*
 * Clients that give all their requests the same opaque exist: the opcode tells the barrier from what precedes it, and the key one
 * quiet retrieval from the other.
 */
static uint64_t binary_key(const struct memcached_head *h, struct slice key)
{
	uint64_t k = h->opaque | (uint64_t)h->opcode << 32;

	if (h->opcode == MEMCACHED_OP_GETKQ || h->opcode == MEMCACHED_OP_GATKQ)
		k |= (hash_slice(key) & 0xffff) << 40;
	return k;
}

/* The header, and as much of the key as is shown; the rest of the body is skipped. */
static enum parse_status binary_head(struct slice in, enum proto_side side, struct parse_result *ret, struct memcached_head *ret_head, struct slice *ret_key)
{
	enum memcached_scan scan = memcached_head_read(in, side, ret_head);
	size_t key = 0;

	ret->need = MEMCACHED_BINARY_HEAD;
	if (scan != MEMCACHED_OK)
		return scan == MEMCACHED_MORE ? PARSE_NEED_MORE : PARSE_BAD;
	if (!memcached_opcode_secret(ret_head->opcode))
		key = ret_head->key_len < MEMCACHED_SHOWN_MAX ? ret_head->key_len : MEMCACHED_SHOWN_MAX;
	ret->need += ret_head->extras + key;
	if (in.len < ret->need)
		return PARSE_NEED_MORE;
	*ret_key = slice_make(in.ptr + MEMCACHED_BINARY_HEAD + ret_head->extras, key);
	ret->consumed = ret->need;
	ret->skip = MEMCACHED_BINARY_HEAD + (uint64_t)ret_head->body - ret->consumed;
	return PARSE_MESSAGE;
}

static void binary_statement(const struct memcached_head *h, struct slice key, struct memcached_statement *st)
{
	memcached_statement_begin(st, slice_str(memcached_opcode_name(h->opcode)), false);
	if (memcached_opcode_secret(h->opcode))
		return;
	if (h->opcode == MEMCACHED_OP_STAT && key.len)
		memcached_statement_add(st, memcached_word_known(key) ? key : SLICE_LIT("?"));
	else if (h->key_len)
		memcached_statement_key(st, key, key.len < h->key_len);
	if (h->extras || h->body > h->key_len)
		memcached_statement_add(st, SLICE_LIT("?"));
}

static void opaque_note(struct memcached_state *s, uint32_t opaque)
{
	if (s->opaques && opaque == s->opaque)
		s->opaque_repeats = true;
	else if (s->opaques < UINT8_MAX)
		s->opaques++;
	s->opaque = opaque;
}

static enum parse_status binary_request(struct memcached_state *s, struct slice in, struct parse_result *ret)
{
	struct memcached_head h;
	struct slice key;
	struct message *m = &ret->message;
	enum parse_status status = binary_head(in, PROTO_TO_SERVER, ret, &h, &key);

	if (status != PARSE_MESSAGE)
		return status;
	request_begin(s, ret->time_ns, m);
	opaque_note(s, h.opaque);
	m->key = binary_key(&h, key);
	if (h.opcode == MEMCACHED_OP_QUITQ)
		m->flags |= MESSAGE_NO_RESPONSE;
	else
		request_open(s, memcached_opcode_quiet(h.opcode), m);
	binary_statement(&h, key, &s->st);
	statement_add(s, m);
	m->flags |= MESSAGE_END | (ret->skip ? MESSAGE_END_AFTER_SKIP : 0);
	return PARSE_MESSAGE;
}

static void binary_outcome(const struct memcached_head *h, struct message *m)
{
	bool failed;
	const char *name = memcached_status_name(h->status, &failed);

	if (name)
		message_add_str(m, ATTR_DB_RESPONSE_STATUS_CODE, slice_str(name));
	if (failed)
		error_add(slice_str(name), m);
	if (memcached_opcode_gets(h->opcode) && !failed)
		message_add_int(m, ATTR_DB_RESPONSE_RETURNED_ROWS, h->status == 0);
}

static enum parse_status binary_answer(struct memcached_state *s, struct slice in, struct parse_result *ret)
{
	struct memcached_head h;
	struct slice key;
	struct message *m = &ret->message;
	enum parse_status status = binary_head(in, PROTO_TO_CLIENT, ret, &h, &key);

	if (status != PARSE_MESSAGE)
		return status;
	bool last = h.opcode != MEMCACHED_OP_STAT || h.key_len == 0;
	if (!s->replying)
		response_begin(s, binary_key(&h, key), m);
	m->kind = MESSAGE_RESPONSE;
	m->keyed = true;
	m->key = s->reply_key;
	s->replying = !last;
	if (!last)
		return m->flags ? PARSE_MESSAGE : PARSE_SKIP;
	binary_outcome(&h, m);
	m->flags |= MESSAGE_END | (ret->skip ? MESSAGE_END_AFTER_SKIP : 0);
	return PARSE_MESSAGE;
}

/* ---- datagrams ---- */

static bool datagram_request(struct memcached_state *s, struct slice in, struct message *m)
{
	struct memcached_request r = { 0 };
	struct memcached_head h;

	if (in.ptr[0] == 0x80) {
		if (memcached_head_read(in, PROTO_TO_SERVER, &h) != MEMCACHED_OK)
			return false;
		struct slice rest = slice_from(in, MEMCACHED_BINARY_HEAD + h.extras);
		binary_statement(&h, memcached_opcode_secret(h.opcode) ? SLICE_NONE : slice_head(rest, h.key_len), &s->st);
		r.no_reply = h.opcode == MEMCACHED_OP_QUITQ;
	} else {
		size_t end = slice_find(in, '\n', 0);
		struct slice line = slice_head(in, end);
		if (line.len && line.ptr[line.len - 1] == '\r')
			line.len--;
		memcached_request_read(line, &s->st, &r);
		if (r.kind == MEMCACHED_UNKNOWN && !plain(line))
			return false;
	}
	m->kind = MESSAGE_REQUEST;
	m->flags = MESSAGE_BEGIN | MESSAGE_END | (r.no_reply ? MESSAGE_NO_RESPONSE : 0);
	statement_add(s, m);
	batch_add(r.keys, m);
	return true;
}

/* What its first datagram says: the number of values only if all are in it. */
static bool datagram_answer(struct slice in, struct message *m)
{
	struct memcached_state s = { 0 };
	struct memcached_reply r;
	struct memcached_head h;
	struct slice line;
	size_t at = 0, end;
	bool bad;

	m->kind = MESSAGE_RESPONSE;
	m->flags = MESSAGE_BEGIN | MESSAGE_END;
	if (in.ptr[0] == 0x81) {
		if (memcached_head_read(in, PROTO_TO_CLIENT, &h) != MEMCACHED_OK)
			return false;
		binary_outcome(&h, m);
		return true;
	}
	while (reply_line(in, at, &line, &end, &bad)) {
		if (!memcached_reply_read(line, &r))
			return at > 0;
		s.rows |= r.kind == MEMCACHED_ROW;
		s.count += r.kind == MEMCACHED_VALUE;
		if (r.kind != MEMCACHED_ROW && r.kind != MEMCACHED_VALUE) {
			outcome_add(&s, &r, m);
			return true;
		}
		if (r.skip >= in.len - end)
			return true;
		at = end + (size_t)r.skip;
	}
	return at > 0;
}

static enum parse_status datagram_parse(struct memcached_state *s, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct memcached_frame f;
	struct message *m = &ret->message;

	ret->consumed = in.len;
	if (!memcached_frame_read(in, side, &f))
		return PARSE_BAD;
	in = slice_from(in, MEMCACHED_FRAME);
	m->keyed = true;
	m->key = f.id;
	/* memcached 1.6 calls each of several datagrams of an answer the first. */
	bool further = f.seq || (side == PROTO_TO_CLIENT && s->open && s->last_key == f.id);
	if (side == PROTO_TO_CLIENT)
		s->last_key = f.id;
	s->open = side == PROTO_TO_CLIENT || (s->open && s->last_key != f.id);
	if (!further)
		return (side == PROTO_TO_SERVER ? datagram_request(s, in, m) : datagram_answer(in, m)) ? PARSE_MESSAGE : PARSE_BAD;
	m->kind = MESSAGE_ONEWAY;
	m->keyed = false;
	m->key = 0;
	m->flags = MESSAGE_BEGIN | MESSAGE_END;
	return PARSE_MESSAGE;
}

/* ---- the contract ---- */

static enum parse_status memcached_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct memcached_state *s = state;
	enum parse_status status;

	if (in.len == 0)
		return PARSE_NEED_MORE;
	if (ret->datagram)
		return datagram_parse(s, side, in, ret);
	if (side == PROTO_TO_SERVER)
		status = in.ptr[0] == 0x80 && !s->in_keys ? binary_request(s, in, ret) : line_parse(s, in, ret);
	else if (!reply_begin(s)) {
		ret->consumed = in.len;
		status = PARSE_SKIP;
	} else
		status = in.ptr[0] == 0x81 ? binary_answer(s, in, ret) : answer_parse(s, in, ret);
	s->latest_ns = ret->time_ns;
	return status;
}

static void memcached_lost(void *state, enum proto_side side)
{
	struct memcached_state *s = state;

	s->told = true;
	s->mid = false;
	if (side == PROTO_TO_SERVER)
		s->in_keys = false;
	else
		reply_clear(s);
	if (numbers(s))
		return;
	silence(s);
	s->may_overlap = false;
	s->turn = side == PROTO_TO_CLIENT; /* the lost bytes answered something; or answers to what was lost are still to come */
}

static size_t memcached_resync(void *state, enum proto_side side, struct slice in)
{
	struct memcached_state *s = state;

	if (side == PROTO_TO_SERVER) {
		size_t at = memcached_find_request(in, !s->mid);
		s->mid |= at == in.len && in.len > RESYNC_KEEP;
		return at;
	}
	/* parse() passes over what comes before the turn, and behind it everything is an answer. */
	if (!numbers(s))
		return s->told ? 0 : in.len;
	return memcached_find_binary(in, side);
}

const struct proto_ops proto_memcached = {
	.name = "memcached",
	.id = PLUMB_PROTO_MEMCACHED,
	.state_size = sizeof(struct memcached_state),
	.detect = memcached_detect,
	.detect_datagram = memcached_detect_datagram,
	.parse = memcached_parse,
	.lost = memcached_lost,
	.resync = memcached_resync,
	.resync_keep = RESYNC_KEEP,
	/*
	 * As Redis': a pipeline is one burst whose heads are spread over all of it; of a lone large value the tail stays in the kernel. The
	 * answer to a batch is one burst, too, and its end is needed.
	 */
	.want = { 65536, 65536 },
};

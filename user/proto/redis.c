/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redis: RESP2, RESP3 and inline commands (https://redis.io/docs/latest/develop/reference/protocol-spec/).
 *
 * Both directions are parsed element by element, nothing is read twice and values are skipped. A reply's nesting needs no stack: one
 * counter says how many elements are still to come; only aggregates of unknown length (RESP3 streams) save it.
 * Statements are redacted by construction: the command, its first key, and "?" for all else.
 *
 * Server messages without a request (pushes, pub/sub messages, MONITOR lines) are one-way. The first confirmation of a SUBSCRIBE is its response,
 * the further ones are one-way. The database is known only after a SELECT or RESET that the server confirmed outside a transaction.
 */
#include "proto/proto.h"
#include "proto/redis_commands.h"

enum {
	HEAD_MAX = 32,       /* "*<count>\r\n" with room; a longer one is not RESP */
	LINE_HEAD = 96,      /* of a longer simple string or error, only so much is awaited */
	INLINE_MAX = 4096,
	NAME_MAX_LEN = 32,
	KEY_MAX = 56,
	TEXT_MAX = 128,      /* two names, a key, marks */
	MARKS_MAX = 4,       /* "?" per further argument, then "..." */
	STREAMS_MAX = 3,     /* nested aggregates of unknown length */
	EXPECT_MAX = 6,
	DB_UNKNOWN = 0xffff,
	COUNT_MAX = 0x7fffffff,
};

enum expect_kind { EXPECT_SELECT = 1, EXPECT_RESET, EXPECT_SUBSCRIBE, EXPECT_MONITOR, EXPECT_SYNC };

/* A request whose answer changes the connection. */
struct expect {
	uint32_t seq;   /* of the request, as counted by `sent` */
	uint16_t kind;  /* enum expect_kind */
	uint16_t value; /* SELECT: database; SUBSCRIBE: confirmations to come */
};

enum { REPLY_ON, REPLY_OFF, REPLY_SKIP_NEXT, REPLY_SKIP_THIS };

struct redis_state {
	char text[TEXT_MAX];          /* statement; its first op_len bytes are the operation */
	uint64_t left;                /* elements of the reply still to come; 0 = between replies */
	uint64_t saved[STREAMS_MAX];  /* `left` outside each open stream */
	struct expect expect[EXPECT_MAX];
	uint32_t sent, answered;      /* requests that are answered, and answers */
	uint32_t args_left, args;     /* of the request; args_left 0 = between requests */
	char db[6];                   /* index of the database, decimal */
	uint8_t db_len;               /* 0 = unknown */
	uint16_t confirms_left;       /* of a SUBSCRIBE that has its response */
	uint16_t value;               /* of the request, as in struct expect */
	uint8_t text_len, op_len;
	uint8_t key_index;
	uint8_t expects;
	uint8_t request_expect;       /* enum expect_kind of the request being read */
	uint8_t reply_mode;
	uint8_t reply_kind;           /* enum message_kind */
	uint8_t streams;
	bool contain, client_reply, no_reply;
	bool top;                     /* the reply's own value is still to come (attributes may precede it) */
	bool in_line, in_chunks;
	bool monitor, subscribed;
	bool leaves;                  /* the reply answers SYNC: replication follows */
};
_Static_assert(sizeof(struct redis_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

enum scan { SCAN_OK, SCAN_MORE, SCAN_BAD };

struct head {
	char type;
	bool stream;  /* "?" for a length */
	bool null;    /* -1 */
	uint64_t n;
	size_t len;   /* with CRLF */
};

/* "<type><length>\r\n" at `at`. */
static enum scan head_read(struct slice in, size_t at, struct head *ret)
{
	struct slice line = slice_head(slice_from(in, at), HEAD_MAX);
	size_t end = slice_find(line, '\n', 0);

	if (end == SIZE_MAX)
		return line.len < HEAD_MAX ? SCAN_MORE : SCAN_BAD;
	if (end < 3 || line.ptr[end - 1] != '\r')
		return SCAN_BAD;
	struct slice number = slice_make(line.ptr + 1, end - 2);
	*ret = (struct head){ .type = (char)line.ptr[0], .len = end + 1 };
	if (number.len == 1 && number.ptr[0] == '?')
		ret->stream = true;
	else if (slice_eq(number, SLICE_LIT("-1")))
		ret->null = true;
	else if (!slice_u64(number, &ret->n) || ret->n > COUNT_MAX)
		return SCAN_BAD;
	return SCAN_OK;
}

static bool name_char(uint8_t c)
{
	c = ascii_lower(c);
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

static bool name_plausible(struct slice s)
{
	if (s.len == 0 || s.len > NAME_MAX_LEN || ascii_lower(s.ptr[0]) < 'a' || ascii_lower(s.ptr[0]) > 'z')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!name_char(s.ptr[i]))
			return false;
	return true;
}

static void text_add(struct redis_state *s, const char *bytes, size_t n)
{
	size_t room = TEXT_MAX - s->text_len;

	n = n < room ? n : room;
	memcpy(s->text + s->text_len, bytes, n);
	s->text_len = (uint8_t)(s->text_len + n);
}

static void text_add_name(struct redis_state *s, struct slice name)
{
	for (size_t i = 0; i < name.len && s->text_len < TEXT_MAX; i++) {
		uint8_t c = name.ptr[i];
		s->text[s->text_len++] = (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
	}
}

/* ---- requests ---- */

static void request_name(struct redis_state *s, struct slice name)
{
	const struct redis_command *c = redis_command_find(name);

	s->text_len = 0;
	s->contain = c && (c->flags & REDIS_CONTAINER);
	s->key_index = c ? (c->flags & REDIS_SECRET ? UINT8_MAX : c->key) : 0;
	s->request_expect = 0;
	s->client_reply = s->no_reply = false;
	if (name_plausible(name))
		text_add_name(s, name);
	else
		text_add(s, "_OTHER", 6);
	s->op_len = s->text_len;
	s->value = 0;
	if (slice_ieq(name, SLICE_LIT("SELECT")))
		s->request_expect = EXPECT_SELECT, s->value = DB_UNKNOWN;
	else if (slice_ieq(name, SLICE_LIT("RESET")))
		s->request_expect = EXPECT_RESET;
	else if (slice_ieq(name, SLICE_LIT("MONITOR")))
		s->request_expect = EXPECT_MONITOR;
	else if (slice_ieq(name, SLICE_LIT("SYNC")) || slice_ieq(name, SLICE_LIT("PSYNC")))
		s->request_expect = EXPECT_SYNC;
	else if (slice_ieq(slice_from(name, name.len > 9 ? name.len - 9 : 0), SLICE_LIT("SUBSCRIBE")) ||
		 slice_ieq(slice_from(name, name.len > 11 ? name.len - 11 : 0), SLICE_LIT("UNSUBSCRIBE"))) {
		s->request_expect = EXPECT_SUBSCRIBE;
		s->value = s->args > 2 ? (uint16_t)(s->args - 1 < UINT16_MAX ? s->args - 1 : UINT16_MAX) : 1;
	}
	if (s->reply_mode == REPLY_SKIP_THIS)
		s->reply_mode = REPLY_ON;
	if (s->reply_mode == REPLY_SKIP_NEXT)
		s->reply_mode = REPLY_SKIP_THIS;
	s->no_reply = s->reply_mode != REPLY_ON;
}

static void client_reply_set(struct redis_state *s, struct slice mode)
{
	if (slice_ieq(mode, SLICE_LIT("OFF")))
		s->reply_mode = REPLY_OFF;
	else if (slice_ieq(mode, SLICE_LIT("ON")))
		s->reply_mode = REPLY_ON;
	else if (slice_ieq(mode, SLICE_LIT("SKIP")) && s->reply_mode != REPLY_OFF)
		s->reply_mode = REPLY_SKIP_NEXT;
	else
		return;
	s->no_reply = s->reply_mode != REPLY_ON;
}

/* Whether the value of argument `index` is looked at. */
static bool argument_wanted(const struct redis_state *s, uint32_t index)
{
	return index == 0 || (index == 1 && (s->contain || s->request_expect == EXPECT_SELECT)) || (index == 2 && s->client_reply) ||
	       (s->key_index != UINT8_MAX && s->key_index && index == s->key_index);
}

static void key_add(struct redis_state *s, struct slice head, bool cut)
{
	text_add(s, " ", 1);
	for (size_t i = 0; i < head.len && s->text_len < TEXT_MAX; i++) /* binary keys stay one printable line */
		s->text[s->text_len++] = head.ptr[i] > ' ' && head.ptr[i] < 127 ? (char)head.ptr[i] : '.';
	if (cut)
		text_add(s, "...", 3);
}

static void marks_add(struct redis_state *s, uint32_t n)
{
	for (uint32_t i = 0; i < n && i < MARKS_MAX; i++)
		text_add(s, " ?", 2);
	if (n > MARKS_MAX)
		text_add(s, " ...", 4);
}

/* Looks at an argument that argument_wanted(); `head` is its beginning, at most KEY_MAX bytes, `len` its length. */
static void argument_take(struct redis_state *s, uint32_t index, struct slice head, uint64_t len)
{
	uint64_t db;

	if (index == 0) {
		request_name(s, len <= KEY_MAX ? head : SLICE_NONE);
		return;
	}
	if (index == 1 && s->contain && len <= NAME_MAX_LEN && name_plausible(head)) {
		text_add(s, " ", 1);
		text_add_name(s, head);
		s->client_reply = slice_eq(slice_make(s->text, s->text_len), SLICE_LIT("CLIENT REPLY"));
		s->op_len = s->text_len;
	} else if (index == 1 && s->request_expect == EXPECT_SELECT) {
		s->value = len == head.len && slice_u64(head, &db) && db < DB_UNKNOWN ? (uint16_t)db : DB_UNKNOWN;
	} else if (index == 2 && s->client_reply) {
		client_reply_set(s, head);
	} else if (index == s->key_index) {
		marks_add(s, index - 1 - (s->contain ? 1 : 0));
		key_add(s, head, len > head.len);
	}
}

/* The statement is written when no later argument can add to it. */
static void statement_finish(struct redis_state *s)
{
	if (s->key_index == UINT8_MAX)
		return;
	uint32_t shown = s->contain ? 2 : 1;
	if (s->key_index && s->key_index < s->args)
		shown = s->key_index + 1u;
	if (s->args > shown)
		marks_add(s, s->args - shown);
}

static void expect_add(struct redis_state *s)
{
	if (s->no_reply || !s->request_expect) {
		if (s->request_expect == EXPECT_SELECT || s->request_expect == EXPECT_RESET)
			s->db_len = 0; /* never confirmed */
		return;
	}
	if (s->expects == EXPECT_MAX) { /* more are open than are followed: what the oldest changes becomes unknown */
		memmove(s->expect, s->expect + 1, sizeof(s->expect) - sizeof(s->expect[0]));
		s->expects--;
		s->db_len = 0;
	}
	s->expect[s->expects++] = (struct expect){ .seq = s->sent, .kind = s->request_expect, .value = s->value };
}

static void request_end(struct redis_state *s, struct message *m)
{
	statement_finish(s);
	m->kind = MESSAGE_REQUEST;
	m->flags |= MESSAGE_END | (s->no_reply ? MESSAGE_NO_RESPONSE : 0);
	message_add_str(m, ATTR_DB_OPERATION_NAME, slice_make(s->text, s->op_len));
	message_add_str(m, ATTR_RAW_STATEMENT, slice_make(s->text, s->text_len));
	if (!s->no_reply) {
		expect_add(s);
		s->sent++;
	} else {
		expect_add(s);
	}
}

static enum parse_status inline_parse(struct redis_state *s, struct slice in, struct parse_result *ret)
{
	size_t end = slice_find(slice_head(in, INLINE_MAX), '\n', 0);

	if (end == SIZE_MAX)
		return in.len < INLINE_MAX && (in.ptr[0] == '\r' || name_char(in.ptr[0])) ? PARSE_NEED_MORE : PARSE_BAD;
	ret->consumed = end + 1;
	struct slice line = slice_make(in.ptr, end && in.ptr[end - 1] == '\r' ? end - 1 : end);
	if (line.len == 0)
		return PARSE_SKIP;
	struct slice args[4];
	uint32_t n = 0;
	for (size_t at = 0; at < line.len; n++) {
		size_t stop = slice_find(line, ' ', at);
		if (stop == SIZE_MAX)
			stop = line.len;
		if (stop == at) {
			n--;
		} else if (n < 4) {
			args[n] = slice_make(line.ptr + at, stop - at);
		}
		at = stop + 1;
	}
	if (n == 0 || !redis_command_find(args[0])) {
		ret->consumed = 0;
		return PARSE_BAD;
	}
	s->args = n;
	for (uint32_t i = 0; i < n && i < 4; i++)
		if (argument_wanted(s, i))
			argument_take(s, i, memchr(args[i].ptr, '"', args[i].len) ? SLICE_LIT("?") : slice_head(args[i], KEY_MAX), args[i].len);
	ret->message.flags = MESSAGE_BEGIN;
	request_end(s, &ret->message);
	return PARSE_MESSAGE;
}

/*
 * One argument at `*at`, which moves behind it. Sets `*ret_skip` when its end is not at hand and not needed.
 */
static enum scan argument_parse(struct redis_state *s, struct slice in, size_t *at, uint64_t *ret_skip)
{
	struct head h;
	uint32_t index = s->args - s->args_left;
	enum scan scan = head_read(in, *at, &h);

	if (*at < in.len && in.ptr[*at] != '$')
		return SCAN_BAD;
	if (scan != SCAN_OK)
		return scan;
	if (h.null || h.stream)
		return SCAN_BAD;
	struct slice rest = slice_from(in, *at + h.len);
	bool wanted = argument_wanted(s, index);
	uint64_t need = h.n < KEY_MAX ? h.n : KEY_MAX;
	if (wanted && rest.len < need)
		return SCAN_MORE;
	if (rest.len >= h.n + 2) {
		if (rest.ptr[h.n] != '\r' || rest.ptr[h.n + 1] != '\n')
			return SCAN_BAD;
		*at += h.len + (size_t)h.n + 2;
	} else {
		*ret_skip = h.n + 2 - rest.len;
		*at = in.len;
	}
	if (wanted)
		argument_take(s, index, slice_head(rest, (size_t)need), h.n);
	s->args_left--;
	return SCAN_OK;
}

static enum parse_status request_parse(struct redis_state *s, struct slice in, struct parse_result *ret)
{
	size_t at = 0;
	uint64_t skip = 0;

	if (s->args_left == 0) {
		struct head h;
		if (in.ptr[0] != '*')
			return inline_parse(s, in, ret);
		enum scan scan = head_read(in, 0, &h);
		if (scan == SCAN_OK && (h.null || h.n == 0) && !h.stream) { /* the server ignores it */
			ret->consumed = h.len;
			return PARSE_SKIP;
		}
		if (scan != SCAN_OK || h.stream)
			return scan == SCAN_MORE ? PARSE_NEED_MORE : PARSE_BAD;
		s->args = s->args_left = (uint32_t)h.n;
		at = h.len;
		scan = argument_parse(s, in, &at, &skip);
		if (scan != SCAN_OK) {
			s->args_left = 0; /* begins anew with more bytes */
			return scan == SCAN_MORE ? PARSE_NEED_MORE : PARSE_BAD;
		}
		ret->message.flags = MESSAGE_BEGIN;
	}
	while (s->args_left && !skip) {
		size_t before = at;
		enum scan scan = argument_parse(s, in, &at, &skip);
		if (scan == SCAN_BAD) {
			s->args_left = 0;
			return PARSE_BAD;
		}
		if (scan == SCAN_MORE) {
			at = before;
			break;
		}
	}
	ret->consumed = at;
	ret->skip = skip;
	ret->message.kind = MESSAGE_REQUEST;
	if (s->args_left == 0) {
		request_end(s, &ret->message);
		if (skip)
			ret->message.flags |= MESSAGE_END_AFTER_SKIP;
		return PARSE_MESSAGE;
	}
	if (ret->message.flags & MESSAGE_BEGIN)
		return PARSE_MESSAGE;
	return at ? PARSE_SKIP : PARSE_NEED_MORE;
}

/* ---- replies ---- */

static bool word_is(struct slice w, const char *a, const char *b, const char *c)
{
	return slice_eq(w, slice_str(a)) || slice_eq(w, slice_str(b)) || slice_eq(w, slice_str(c));
}

static bool word_message(struct slice w)
{
	return word_is(w, "message", "pmessage", "smessage");
}

static bool word_confirms(struct slice w)
{
	return word_is(w, "subscribe", "psubscribe", "ssubscribe") || word_is(w, "unsubscribe", "punsubscribe", "sunsubscribe");
}

/* First element of the aggregate whose head ends at `at`, when it is a short string. */
static enum scan first_word(struct slice in, size_t at, struct slice *ret)
{
	struct head h;

	*ret = SLICE_NONE;
	if (at < in.len && in.ptr[at] != '$')
		return SCAN_OK;
	enum scan scan = head_read(in, at, &h);
	if (scan == SCAN_MORE)
		return SCAN_MORE;
	if (scan == SCAN_BAD || h.null || h.stream || h.n > 16)
		return SCAN_OK;
	if (in.len < at + h.len + h.n)
		return SCAN_MORE;
	*ret = slice_make(in.ptr + at + h.len, (size_t)h.n);
	return SCAN_OK;
}

static struct expect *expect_front(struct redis_state *s)
{
	return s->expects && s->expect[0].seq == s->answered ? &s->expect[0] : NULL;
}

static void expect_pop(struct redis_state *s)
{
	memmove(s->expect, s->expect + 1, sizeof(s->expect) - sizeof(s->expect[0]));
	s->expects--;
}

static void db_set(struct redis_state *s, uint16_t db)
{
	char reversed[sizeof(s->db)];
	uint8_t n = 0;

	do {
		reversed[n++] = (char)('0' + db % 10);
		db = (uint16_t)(db / 10);
	} while (db);
	for (uint8_t i = 0; i < n; i++)
		s->db[i] = reversed[n - 1 - i];
	s->db_len = n;
}

/* A response to the oldest request: what it confirms takes effect. */
static void answer(struct redis_state *s, char type, struct slice line)
{
	struct expect *e = expect_front(s);
	bool ok = type == '+' && !slice_starts(line, SLICE_LIT("QUEUED"));

	if (e) {
		if (e->kind == EXPECT_SELECT && type == '+') {
			s->db_len = 0; /* queued in a transaction: whether it takes effect is not followed */
			if (ok && e->value != DB_UNKNOWN)
				db_set(s, e->value);
		} else if (e->kind == EXPECT_RESET && ok) {
			db_set(s, 0);
			s->subscribed = s->monitor = false;
		} else if (e->kind == EXPECT_MONITOR && ok) {
			s->monitor = true;
		} else if (e->kind == EXPECT_SYNC && type != '-') {
			s->leaves = true;
		} else if (e->kind == EXPECT_SUBSCRIBE && (type == '*' || type == '>')) {
			s->subscribed = true;
			s->confirms_left = (uint16_t)(e->value - 1);
		}
		expect_pop(s);
	}
	if (s->answered != s->sent)
		s->answered++;
}

/* Whether the aggregate that begins with `word` answers a request. */
static bool aggregate_answers(struct redis_state *s, char type, struct slice word)
{
	if (word_confirms(word) && (type == '>' || s->subscribed || (expect_front(s) && expect_front(s)->kind == EXPECT_SUBSCRIBE))) {
		if (s->confirms_left) {
			s->confirms_left--;
			return false;
		}
		return expect_front(s) && expect_front(s)->kind == EXPECT_SUBSCRIBE;
	}
	if (type == '>')
		return false;
	return !(word_message(word) && (s->subscribed || s->answered == s->sent));
}

/* error.type is the first word if it is an error code: upper case, as the protocol asks. */
static void error_fill(struct slice text, struct message *m)
{
	size_t n = 0;

	while (n < text.len && n < MESSAGE_ERROR_TYPE_LEN - 1 &&
	       ((text.ptr[n] >= 'A' && text.ptr[n] <= 'Z') || (n && text.ptr[n] >= '0' && text.ptr[n] <= '9') || text.ptr[n] == '_'))
		n++;
	m->flags |= MESSAGE_ERROR;
	if (n == 0 || (n < text.len && text.ptr[n] != ' ' && text.ptr[n] != '\r')) {
		memcpy(m->error_type, "_OTHER", sizeof("_OTHER"));
		return;
	}
	memcpy(m->error_type, text.ptr, n);
	m->error_type[n] = '\0';
	message_add_str(m, ATTR_DB_RESPONSE_STATUS_CODE, slice_make(text.ptr, n));
}

/* The head of the reply's own value: what kind of message it is. `line` is what follows the type byte, `word` an aggregate's first string. */
static void top_take(struct redis_state *s, char type, struct slice line, struct slice word, struct message *m)
{
	bool response = type == '*' || type == '>' ? aggregate_answers(s, type, word) : !(s->monitor && type == '+' && s->answered == s->sent);

	s->top = false;
	s->reply_kind = response ? MESSAGE_RESPONSE : MESSAGE_ONEWAY;
	if (!response)
		return;
	if (type == '-' || type == '!')
		error_fill(line, m);
	answer(s, type, line);
	if (s->db_len) /* the server answers in order, so this is the database that the request used (or selected) */
		message_add_str(m, ATTR_DB_NAMESPACE, slice_make(s->db, s->db_len));
}

/* One element is over, and `n` more come in its place. */
static bool left_add(struct redis_state *s, uint64_t n)
{
	if (s->left > UINT64_MAX / 2)
		return false;
	s->left = s->left - 1 + n;
	return true;
}

/* Inside a stream of unknown length `left` is unbounded; it is kept this high so that counting down never reaches 0. */
#define STREAM_LEFT (UINT64_MAX / 4)

static bool stream_open(struct redis_state *s)
{
	if (s->streams == STREAMS_MAX)
		return false;
	s->saved[s->streams++] = s->left - 1;
	s->left = STREAM_LEFT;
	return true;
}

/* A line value (+ - : _ # , ( ) at `at`. */
static enum scan line_parse(struct redis_state *s, struct slice in, size_t *at, struct message *m)
{
	struct slice rest = slice_from(in, *at);
	size_t end = slice_find(rest, '\n', 0);
	char type = (char)rest.ptr[0];

	if (end == SIZE_MAX && rest.len < LINE_HEAD)
		return SCAN_MORE;
	if (end != SIZE_MAX && (end < 2 || rest.ptr[end - 1] != '\r'))
		return SCAN_BAD;
	if (s->top)
		top_take(s, type, slice_head(slice_from(rest, 1), LINE_HEAD - 1), SLICE_NONE, m);
	if (end == SIZE_MAX) {
		s->in_line = true;
		*at = in.len;
		return SCAN_OK;
	}
	*at += end + 1;
	return left_add(s, 0) ? SCAN_OK : SCAN_BAD;
}

/* A value with a length ($ ! =) or a chunk of a stream (;). */
static enum scan blob_parse(struct redis_state *s, struct slice in, size_t *at, uint64_t *ret_skip, struct message *m)
{
	struct head h;
	enum scan scan = head_read(in, *at, &h);

	if (scan != SCAN_OK)
		return scan;
	struct slice rest = slice_from(in, *at + h.len);
	uint64_t look = s->top && h.type == '!' ? (h.n < LINE_HEAD ? h.n : LINE_HEAD) : 0;
	if (rest.len < look)
		return SCAN_MORE;
	if (s->top)
		top_take(s, h.type, slice_head(rest, (size_t)look), SLICE_NONE, m);
	if (h.stream || (h.type == ';' && h.n)) {
		s->in_chunks = true;
	} else {
		s->in_chunks = false;
		if (!left_add(s, 0))
			return SCAN_BAD;
	}
	*at += h.len;
	if (h.stream || h.null || (h.type == ';' && h.n == 0))
		return SCAN_OK;
	if (rest.len >= h.n + 2) {
		if (rest.ptr[h.n] != '\r' || rest.ptr[h.n + 1] != '\n')
			return SCAN_BAD;
		*at += (size_t)h.n + 2;
	} else {
		*ret_skip = h.n + 2 - rest.len;
		*at = in.len;
	}
	return SCAN_OK;
}

static enum scan aggregate_parse(struct redis_state *s, struct slice in, size_t *at, struct message *m)
{
	struct head h;
	struct slice word = SLICE_NONE;
	enum scan scan = head_read(in, *at, &h);

	if (scan != SCAN_OK)
		return scan;
	if (s->top && h.type != '|' && (h.type == '>' || h.type == '*') && h.n && (scan = first_word(in, *at + h.len, &word)) != SCAN_OK)
		return scan;
	if (s->top && h.type != '|')
		top_take(s, h.type, SLICE_NONE, word, m);
	*at += h.len;
	if (h.stream)
		return stream_open(s) ? SCAN_OK : SCAN_BAD;
	uint64_t n = h.null ? 0 : h.n;
	if (h.type == '%')
		n *= 2;
	if (h.type == '|')
		n = n * 2 + 1; /* attributes stand before the value that they belong to */
	return left_add(s, n) ? SCAN_OK : SCAN_BAD;
}

static enum scan element_parse(struct redis_state *s, struct slice in, size_t *at, uint64_t *ret_skip, struct message *m)
{
	if (s->in_line) {
		size_t end = slice_find(in, '\n', *at);
		*at = end == SIZE_MAX ? in.len : end + 1;
		if (end == SIZE_MAX)
			return SCAN_OK;
		s->in_line = false;
		return left_add(s, 0) ? SCAN_OK : SCAN_BAD;
	}
	char type = (char)in.ptr[*at];
	if (s->in_chunks && type != ';')
		return SCAN_BAD;
	switch (type) {
	case '+': case '-': case ':': case '_': case '#': case ',': case '(':
		return line_parse(s, in, at, m);
	case '$': case '!': case '=':
		return blob_parse(s, in, at, ret_skip, m);
	case ';':
		return s->in_chunks ? blob_parse(s, in, at, ret_skip, m) : SCAN_BAD;
	case '*': case '%': case '~': case '>': case '|':
		return aggregate_parse(s, in, at, m);
	case '.':
		if (s->streams == 0 || in.len - *at < 3)
			return s->streams ? SCAN_MORE : SCAN_BAD;
		s->left = s->saved[--s->streams];
		*at += 3;
		return SCAN_OK;
	default:
		return SCAN_BAD;
	}
}

static void reply_clear(struct redis_state *s)
{
	s->left = 0;
	s->streams = 0;
	s->top = s->in_line = s->in_chunks = s->leaves = false;
}

static enum parse_status reply_parse(struct redis_state *s, struct slice in, struct parse_result *ret)
{
	size_t at = 0;
	uint64_t skip = 0;
	bool begin = s->left == 0;

	if (begin) {
		s->left = 1;
		s->top = true;
		s->reply_kind = MESSAGE_RESPONSE;
	}
	while (s->left && !skip && at < in.len) {
		enum scan scan = element_parse(s, in, &at, &skip, &ret->message);
		if (scan == SCAN_BAD) {
			reply_clear(s);
			return PARSE_BAD;
		}
		if (scan == SCAN_MORE)
			break;
	}
	if (at == 0) {
		if (begin)
			reply_clear(s);
		return PARSE_NEED_MORE;
	}
	ret->consumed = at;
	ret->skip = skip;
	ret->message.kind = (enum message_kind)s->reply_kind;
	if (begin)
		ret->message.flags |= MESSAGE_BEGIN;
	if (s->left == 0) {
		ret->message.flags |= MESSAGE_END | (skip ? MESSAGE_END_AFTER_SKIP : 0) | (s->leaves ? MESSAGE_SWITCH : 0);
		reply_clear(s);
		return PARSE_MESSAGE;
	}
	return begin || ret->message.flags || ret->message.nattrs ? PARSE_MESSAGE : PARSE_SKIP;
}

static enum parse_status redis_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	if (in.len == 0)
		return PARSE_NEED_MORE;
	return side == PROTO_TO_SERVER ? request_parse(state, in, ret) : reply_parse(state, in, ret);
}

/* ---- detection ---- */

/* "*<count>\r\n$<length>\r\n<name>\r\n" with a known command. */
static int detect_command(struct slice in)
{
	struct head h, name;
	enum scan scan = head_read(in, 0, &h);

	if (scan != SCAN_OK)
		return scan == SCAN_MORE && (in.len < 2 || (in.ptr[1] >= '1' && in.ptr[1] <= '9')) ? DETECT_MORE : DETECT_NO;
	if (h.null || h.stream || h.n == 0 || h.n > 1024 * 1024)
		return DETECT_NO;
	if (h.len < in.len && in.ptr[h.len] != '$')
		return DETECT_NO;
	scan = head_read(in, h.len, &name);
	if (scan != SCAN_OK)
		return scan == SCAN_MORE ? DETECT_MORE : DETECT_NO;
	if (name.null || name.stream || name.n == 0 || name.n > NAME_MAX_LEN)
		return DETECT_NO;
	size_t at = h.len + name.len;
	if (in.len < at + name.n + 2)
		return DETECT_MORE;
	struct slice word = slice_make(in.ptr + at, (size_t)name.n);
	if (in.ptr[at + name.n] != '\r' || in.ptr[at + name.n + 1] != '\n' || !name_plausible(word))
		return DETECT_NO;
	return redis_command_find(word) ? DETECT_CERTAIN : DETECT_WEAK;
}

static int detect_inline(struct slice in)
{
	size_t end = slice_find(slice_head(in, 512), '\n', 0), word = 0;

	while (word < in.len && name_char(in.ptr[word]))
		word++;
	if (word == 0 || word > NAME_MAX_LEN)
		return DETECT_NO;
	if (end == SIZE_MAX)
		return word == in.len ? DETECT_MORE : DETECT_NO;
	if (end < 2 || in.ptr[end - 1] != '\r' || !redis_command_find(slice_make(in.ptr, word)))
		return DETECT_NO;
	for (size_t i = 0; i + 1 < end; i++)
		if (in.ptr[i] < ' ' || in.ptr[i] > 126)
			return DETECT_NO;
	if (end > 9 && memcmp(in.ptr + end - 9, "HTTP/1.", 7) == 0)
		return DETECT_NO;
	return in.ptr[word] == ' ' || in.ptr[word] == '\r' ? DETECT_WEAK : DETECT_NO;
}

static int detect_reply(struct slice in)
{
	struct head h;
	size_t end = slice_find(slice_head(in, 512), '\n', 0);

	if (!memchr("+-:$*%>~_#,(!=|", in.ptr[0], 15))
		return DETECT_NO;
	for (size_t i = 1; i < in.len && i < 512 && in.ptr[i] != '\r'; i++)
		if (in.ptr[i] < ' ' || in.ptr[i] > 126)
			return DETECT_NO;
	if (end == SIZE_MAX)
		return in.len < HEAD_MAX ? DETECT_MORE : DETECT_NO;
	if (end < 2 || in.ptr[end - 1] != '\r')
		return DETECT_NO;
	switch (in.ptr[0]) {
	case '+':
		return end > 2 ? DETECT_WEAK : DETECT_NO;
	case '-':
		return in.ptr[1] >= 'A' && in.ptr[1] <= 'Z' ? DETECT_WEAK : DETECT_NO;
	case '_':
		return end == 2 ? DETECT_WEAK : DETECT_NO;
	case '#':
		return end == 3 && (in.ptr[1] == 't' || in.ptr[1] == 'f') ? DETECT_WEAK : DETECT_NO;
	case ',': case '(':
		return in.ptr[1] == '-' || (in.ptr[1] >= '0' && in.ptr[1] <= '9') ? DETECT_WEAK : DETECT_NO;
	default:
		break;
	}
	if (head_read(in, 0, &h) != SCAN_OK)
		return in.ptr[0] == ':' && in.ptr[1] == '-' ? DETECT_WEAK : DETECT_NO;
	if (memchr("$!=", in.ptr[0], 3) && in.len >= h.len + h.n + 2 && !h.null && in.ptr[h.len + h.n] != '\r')
		return DETECT_NO;
	if (memchr("*%>~|", in.ptr[0], 5) && h.n && in.len > h.len && !memchr("+-:$*%>~_#,(!=|", in.ptr[h.len], 15))
		return DETECT_NO;
	return DETECT_WEAK;
}

static int redis_detect(struct slice in, enum proto_side side)
{
	if (in.len == 0)
		return DETECT_MORE;
	if (side == PROTO_TO_CLIENT)
		return detect_reply(in);
	return in.ptr[0] == '*' ? detect_command(in) : detect_inline(in);
}

/* After loss: what was pending no longer lines up with what comes. */
static size_t redis_resync(void *state, enum proto_side side, struct slice in)
{
	struct redis_state *s = state;

	s->expects = 0;
	s->sent = s->answered = 0;
	s->db_len = 0;
	s->confirms_left = 0;
	if (side == PROTO_TO_SERVER)
		s->args_left = 0;
	else
		reply_clear(s);
	for (size_t at = 0; at < in.len; at++) {
		struct slice rest = slice_from(in, at);
		if (side == PROTO_TO_SERVER ? rest.ptr[0] == '*' && detect_command(rest) >= DETECT_WEAK
					    : (at == 0 || in.ptr[at - 1] == '\n') && detect_reply(rest) >= DETECT_WEAK)
			return at;
	}
	return in.len;
}

const struct proto_ops proto_redis = {
	.name = "redis",
	.id = PLUMB_PROTO_REDIS,
	.state_size = sizeof(struct redis_state),
	.detect = redis_detect,
	.parse = redis_parse,
	.resync = redis_resync,
	.resync_keep = 2 * HEAD_MAX + NAME_MAX_LEN,
	/* A pipeline is one burst; its values are skipped, but its heads are spread over all of it. */
	.want = { 65536, 65536 },
};

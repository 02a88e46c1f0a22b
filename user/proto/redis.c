/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redis: RESP2, RESP3 and inline commands (https://redis.io/docs/latest/develop/reference/protocol-spec/).
 *
 * Both directions are parsed element by element, nothing is read twice and values are skipped. A reply's nesting needs no stack:
 * one counter says how many elements are still to come; only aggregates of unknown length (RESP3 streams) save it. Statements are
 * redacted by construction: the command, its first key, and "?" for all else.
 *
 * Server messages without a request (pushes, pub/sub messages, MONITOR lines) are one-way. The first confirmation of a
 * SUBSCRIBE is its response, the further ones are one-way. The database is known only after a SELECT or RESET that the server
 * confirmed outside a transaction.
 *
 * Loss: an element of an array looks like a reply, and how many requests or replies were lost is not known, so after a hole in
 * either direction nothing is taken for a reply until the next turn: a request that follows reply bytes. Its replies are the
 * first of a new count (MESSAGE_FLUSH ends what is older). A client that sends while replies are due has no such turns; its next
 * one is a request after QUIET_NS without a byte. A wrong pair is worse than none.
 */
#include "proto/proto.h"
#include "proto/redis_commands.h"
#include "proto/redis_wire.h"

enum {
	LINE_HEAD = 96,      /* of a longer simple string or error, only so much is awaited */
	INLINE_MAX = 4096,
	KEY_MAX = 56,
	TEXT_MAX = 120,      /* two names, a key, marks */
	MARKS_MAX = 4,       /* "?" per further argument, then "..." */
	STREAMS_MAX = 3,     /* nested aggregates of unknown length */
	EXPECT_MAX = 6,
	QUIET_NS = 250 * 1000 * 1000, /* replies that are still due come sooner */
	DB_UNKNOWN = 0xffff,
};

enum expect_kind {
	EXPECT_SELECT = 1,
	EXPECT_SUBSCRIBE, /* any of the six, when it is not confirmed by exactly one message */
	EXPECT_SYNC,
};

/*
 * A request whose answer cannot be understood without it. RESET, MONITOR and a SUBSCRIBE to one channel have
 * answers that speak for themselves.
 */
struct expect {
	uint16_t seq;   /* of the request: `sent`, its low bits */
	uint16_t kind;  /* enum expect_kind */
	uint16_t value; /* SELECT: database; SUBSCRIBE: confirmations to come, 0 = one for each channel of the kind */
};

enum { REPLY_ON, REPLY_OFF, REPLY_SKIP_NEXT, REPLY_SKIP_THIS };

struct redis_state {
	char text[TEXT_MAX];          /* statement; its first op_len bytes are the operation */
	uint64_t left;                /* elements of the reply still to come; 0 = between replies */
	uint64_t saved[STREAMS_MAX];  /* `left` outside each open stream */
	struct expect expect[EXPECT_MAX];
	uint64_t latest_ns;           /* of the bytes last parsed, either direction; 0 = times are not known */
	uint32_t sent, answered;      /* requests that are answered, and answers */
	uint32_t args_left, args;     /* of the request; args_left 0 = between requests */
	char db[6];                   /* index of the database, decimal */
	uint8_t db_len;               /* 0 = unknown */
	uint16_t confirms_left;       /* of a SUBSCRIBE that has its response */
	uint16_t value;               /* of the request, as in struct expect */
	uint16_t channels, patterns, shards; /* subscribed to */
	uint8_t text_len, op_len;
	uint8_t op_known;             /* so many bytes of the operation are a command of the table */
	uint8_t key_index;
	uint8_t expects;
	uint8_t request_expect;       /* enum expect_kind of the request being read */
	uint8_t reply_mode;
	uint8_t reply_kind;           /* enum message_kind */
	uint8_t streams;
	uint8_t confirm;              /* enum redis_confirm of the reply being read: its last element is the number of subscriptions left */
	bool contain, client_reply, no_reply;
	bool multi;                   /* requests are queued, up to EXEC */
	bool subscribe;               /* the request is one of the six that subscribe or unsubscribe */
	bool top;                     /* the reply's own value is still to come (attributes may precede it) */
	bool in_line : 1, in_chunks : 1;
	bool leaves;                  /* the reply answers SYNC: replication follows */
	bool maybe_subscribed;        /* a confirmation may have been lost */
	bool turn : 1;                /* reply bytes passed since the latest request began */
	bool overlaps : 1;            /* requests were sent while replies were due that the client had begun to read */
	bool may_overlap : 1;         /* the same, until the next reply comes without a loss */
	bool told : 1;                /* redis_lost() was called at least once */
	bool silent : 1;              /* after a loss: replies are passed over until the next turn */
	bool guessed : 1;             /* the latest count began at a turn, and no later turn has found it right yet */
};
_Static_assert(sizeof(struct redis_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

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

/* A server takes sharded channels away without being asked (their slot moved), so who asks must be remembered. */
static void subscribe_expect(struct redis_state *s, struct slice name)
{
	s->subscribe = true;
	if (s->args == 2 && !slice_ieq(name, SLICE_LIT("SUNSUBSCRIBE")))
		return;
	s->request_expect = EXPECT_SUBSCRIBE;
	s->value = (uint16_t)(s->args - 1 < UINT16_MAX ? s->args - 1 : UINT16_MAX);
}

static void request_name(struct redis_state *s, struct slice name)
{
	const struct redis_command *c = redis_command_find(name);

	s->text_len = 0;
	s->contain = c && (c->flags & REDIS_CONTAINER);
	s->key_index = c ? (c->flags & REDIS_SECRET ? UINT8_MAX : c->key) : 0;
	s->request_expect = 0;
	s->client_reply = s->no_reply = s->subscribe = false;
	if (redis_name_plausible(name))
		text_add_name(s, name);
	else
		text_add(s, "_OTHER", 6);
	s->op_len = s->text_len;
	s->op_known = c ? s->text_len : 0;
	s->value = 0;
	if (slice_ieq(name, SLICE_LIT("SELECT")))
		s->request_expect = EXPECT_SELECT, s->value = DB_UNKNOWN;
	else if (slice_ieq(name, SLICE_LIT("SYNC")) || slice_ieq(name, SLICE_LIT("PSYNC")))
		s->request_expect = EXPECT_SYNC;
	else if (redis_subscribes(name))
		subscribe_expect(s, name);
	else if (slice_ieq(name, SLICE_LIT("MULTI")))
		s->multi = true;
	else if (slice_ieq(name, SLICE_LIT("EXEC")) || slice_ieq(name, SLICE_LIT("DISCARD")) || slice_ieq(name, SLICE_LIT("RESET")))
		s->multi = false;
	if (s->reply_mode == REPLY_SKIP_THIS)
		s->reply_mode = REPLY_ON;
	if (s->reply_mode == REPLY_SKIP_NEXT)
		s->reply_mode = REPLY_SKIP_THIS;
	s->no_reply = s->reply_mode != REPLY_ON && !s->subscribe; /* confirmations come in any mode */
}

static void client_reply_set(struct redis_state *s, struct slice mode)
{
	if (s->args != 3 || s->multi) /* refused, or only queued */
		return;
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
	if (index == 1 && s->contain && (len > REDIS_NAME_MAX || !redis_subcommand_known(slice_make(s->text, s->op_len), head))) {
		s->contain = false;
		s->key_index = s->key_index == UINT8_MAX ? UINT8_MAX : 0;
	} else if (index == 1 && s->contain) {
		text_add(s, " ", 1);
		text_add_name(s, head);
		s->client_reply = slice_eq(slice_make(s->text, s->text_len), SLICE_LIT("CLIENT REPLY"));
		s->op_len = s->op_known = s->text_len; /* it is in the table, too */
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

static void silence(struct redis_state *s);

/* The slot for one more expectation, or NULL: then all that could not be told without it is given up. */
static struct expect *expect_slot(struct redis_state *s)
{
	unsigned i = 0;

	if (s->expects < EXPECT_MAX)
		return &s->expect[s->expects++];
	while (i < EXPECT_MAX && s->expect[i].kind != EXPECT_SELECT)
		i++;
	s->db_len = 0; /* until a SELECT that is followed is confirmed */
	if (i < EXPECT_MAX) {
		memmove(s->expect + i, s->expect + i + 1, (EXPECT_MAX - 1 - i) * sizeof(s->expect[0]));
		return &s->expect[EXPECT_MAX - 1];
	}
	if (s->request_expect != EXPECT_SELECT)
		silence(s);
	return NULL;
}

static void expect_add(struct redis_state *s)
{
	if (s->no_reply) {
		if (s->request_expect == EXPECT_SELECT)
			s->db_len = 0; /* never confirmed */
		return;
	}
	if (s->request_expect && !s->silent) {
		struct expect *e = expect_slot(s);
		if (e)
			*e = (struct expect){ .seq = (uint16_t)s->sent, .kind = s->request_expect, .value = s->value };
	}
	s->sent++;
}

static void reply_clear(struct redis_state *s)
{
	s->left = 0;
	s->streams = 0;
	s->confirm = REDIS_CONFIRM_NONE;
	s->top = s->in_line = s->in_chunks = s->leaves = false;
}

/* From now on replies are not understood, up to the next turn. */
static void silence(struct redis_state *s)
{
	for (unsigned i = 0; i < s->expects; i++)
		s->maybe_subscribed |= s->expect[i].kind == EXPECT_SUBSCRIBE;
	reply_clear(s);
	s->expects = 0;
	s->db_len = 0;
	s->confirms_left = 0;
	s->silent = true;
}

/* A request begins: is it a turn, and what does it tell? */
static void request_begin(struct redis_state *s, uint64_t time_ns, struct message *m)
{
	bool quiet = s->latest_ns && time_ns > s->latest_ns + QUIET_NS;

	m->flags |= MESSAGE_BEGIN;
	if (s->silent && (s->turn || quiet)) {
		m->flags |= MESSAGE_FLUSH;
		s->silent = s->overlaps && !quiet;
		s->sent = s->answered = 0;
		s->expects = 0;
		s->guessed = !quiet;
	} else if (s->turn && s->sent != s->answered) {
		s->may_overlap = true; /* or a reply was lost: the next one, or its absence, tells */
	} else if (s->turn) {
		s->guessed = false;
	}
	s->turn = false;
	if (s->silent)
		m->flags |= MESSAGE_UNSURE;
}

static void request_end(struct redis_state *s, struct message *m)
{
	statement_finish(s);
	m->kind = MESSAGE_REQUEST;
	m->flags |= MESSAGE_END | (s->no_reply ? MESSAGE_NO_RESPONSE : 0);
	message_add_str(m, ATTR_DB_OPERATION_NAME, slice_make(s->text, s->op_len));
	message_add_str(m, ATTR_RAW_STATEMENT, slice_make(s->text, s->text_len));
	if (s->op_known < s->op_len)
		message_add_int(m, ATTR_RAW_OPERATION_KNOWN, s->op_known);
	expect_add(s);
}

static enum parse_status inline_parse(struct redis_state *s, struct slice in, struct parse_result *ret)
{
	size_t end = slice_find(slice_head(in, INLINE_MAX), '\n', 0);

	if (end == SIZE_MAX)
		return in.len < INLINE_MAX && (memchr("\r \t\"'", in.ptr[0], 5) || redis_name_char(in.ptr[0])) ? PARSE_NEED_MORE : PARSE_BAD;
	ret->consumed = end + 1;
	struct slice line = slice_make(in.ptr, end && in.ptr[end - 1] == '\r' ? end - 1 : end);
	if (line.len == 0)
		return PARSE_SKIP;
	struct slice args[REDIS_INLINE_ARGS];
	bool plain[REDIS_INLINE_ARGS];
	uint32_t n = 0;
	enum redis_scan scan = redis_inline_split(line, args, plain, &n);
	if (n == 0 || !redis_command_find(args[0])) {
		ret->consumed = line.len ? 0 : ret->consumed;
		return PARSE_BAD;
	}
	request_begin(s, ret->time_ns, &ret->message);
	s->args = n;
	for (uint32_t i = 0; i < n && i < REDIS_INLINE_ARGS; i++) {
		if (scan == REDIS_SCAN_BAD && i == 0) { /* the server says so and closes: nothing of the line takes effect */
			request_name(s, args[0]);
			s->request_expect = 0;
			s->subscribe = s->contain = false;
			s->key_index = UINT8_MAX;
			break;
		}
		if (argument_wanted(s, i))
			argument_take(s, i, plain[i] ? slice_head(args[i], KEY_MAX) : SLICE_LIT("?"), plain[i] ? args[i].len : 1);
	}
	request_end(s, &ret->message);
	return PARSE_MESSAGE;
}

/*
 * One argument at `*at`, which moves behind it. Sets `*ret_skip` when its end is not at hand and not needed.
 */
static enum redis_scan argument_parse(struct redis_state *s, struct slice in, size_t *at, uint64_t *ret_skip)
{
	struct redis_head h;
	uint32_t index = s->args - s->args_left;
	enum redis_scan scan = redis_head_read(in, *at, &h);

	if (*at < in.len && in.ptr[*at] != '$')
		return REDIS_SCAN_BAD;
	if (scan != REDIS_SCAN_OK)
		return scan;
	if (h.null || h.stream)
		return REDIS_SCAN_BAD;
	struct slice rest = slice_from(in, *at + h.len);
	bool wanted = argument_wanted(s, index);
	uint64_t need = h.n < KEY_MAX ? h.n : KEY_MAX;
	if (wanted && rest.len < need)
		return REDIS_SCAN_MORE;
	if (rest.len >= 2 && rest.len - 2 >= h.n) {
		if (rest.ptr[h.n] != '\r' || rest.ptr[h.n + 1] != '\n')
			return REDIS_SCAN_BAD;
		*at += h.len + (size_t)h.n + 2;
	} else {
		*ret_skip = h.n + 2 - rest.len;
		*at = in.len;
	}
	if (wanted)
		argument_take(s, index, slice_head(rest, (size_t)need), h.n);
	s->args_left--;
	return REDIS_SCAN_OK;
}

static enum parse_status request_parse(struct redis_state *s, struct slice in, struct parse_result *ret)
{
	size_t at = 0;
	uint64_t skip = 0;

	if (s->args_left == 0) {
		struct redis_head h;
		if (in.ptr[0] != '*')
			return inline_parse(s, in, ret);
		enum redis_scan scan = redis_head_read(in, 0, &h);
		if (scan == REDIS_SCAN_OK && (h.null || h.n == 0) && !h.stream) { /* the server ignores it */
			ret->consumed = h.len;
			return PARSE_SKIP;
		}
		if (scan != REDIS_SCAN_OK || h.stream)
			return scan == REDIS_SCAN_MORE ? PARSE_NEED_MORE : PARSE_BAD;
		s->args = s->args_left = (uint32_t)h.n;
		at = h.len;
		scan = argument_parse(s, in, &at, &skip);
		if (scan != REDIS_SCAN_OK) {
			s->args_left = 0; /* begins anew with more bytes */
			return scan == REDIS_SCAN_MORE ? PARSE_NEED_MORE : PARSE_BAD;
		}
		request_begin(s, ret->time_ns, &ret->message);
	}
	while (s->args_left && !skip) {
		size_t before = at;
		enum redis_scan scan = argument_parse(s, in, &at, &skip);
		if (scan == REDIS_SCAN_BAD) {
			s->args_left = 0;
			return PARSE_BAD;
		}
		if (scan == REDIS_SCAN_MORE) {
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

/* First element of the aggregate whose head ends at `at`, when it is a short string. */
static enum redis_scan first_word(struct slice in, size_t at, struct slice *ret)
{
	struct redis_head h;

	*ret = SLICE_NONE;
	if (at < in.len && in.ptr[at] != '$')
		return REDIS_SCAN_OK;
	enum redis_scan scan = redis_head_read(in, at, &h);
	if (scan == REDIS_SCAN_MORE)
		return REDIS_SCAN_MORE;
	if (scan == REDIS_SCAN_BAD || h.null || h.stream || h.n > 16)
		return REDIS_SCAN_OK;
	if (in.len < at + h.len + h.n)
		return REDIS_SCAN_MORE;
	*ret = slice_make(in.ptr + at + h.len, (size_t)h.n);
	return REDIS_SCAN_OK;
}

static struct expect *expect_front(struct redis_state *s)
{
	return s->expects && s->expect[0].seq == (uint16_t)s->answered ? &s->expect[0] : NULL;
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

static bool subscribed(const struct redis_state *s) { return s->channels || s->patterns || s->shards || s->maybe_subscribed; }

/* A response to the oldest request: what it confirms takes effect. */
static void answer(struct redis_state *s, char type, struct slice line, enum redis_confirm confirm)
{
	struct expect *e = expect_front(s);

	if (type == '+' && slice_starts(line, SLICE_LIT("RESET\r"))) {
		db_set(s, 0);
		s->channels = s->patterns = s->shards = 0;
		s->maybe_subscribed = false;
	}
	if (e) {
		if (e->kind == EXPECT_SELECT && type == '+') {
			s->db_len = 0; /* queued in a transaction: whether it takes effect is not followed */
			if (slice_starts(line, SLICE_LIT("OK\r")) && e->value != DB_UNKNOWN)
				db_set(s, e->value);
		} else if (e->kind == EXPECT_SYNC) {
			s->leaves = type == '$' || (type == '+' && (slice_starts(line, SLICE_LIT("FULLRESYNC ")) || slice_starts(line, SLICE_LIT("CONTINUE"))));
		} else if (e->kind == EXPECT_SUBSCRIBE && confirm) {
			uint16_t all = confirm == REDIS_CONFIRM_CHANNEL ? s->channels : confirm == REDIS_CONFIRM_PATTERN ? s->patterns : s->shards;
			uint16_t n = e->value ? e->value : all;
			s->confirms_left = (uint16_t)(n ? n - 1 : 0);
		}
		expect_pop(s);
	}
	if (s->answered != s->sent)
		s->answered++;
	else if (s->reply_mode == REPLY_OFF && !confirm) /* none was due: the mode is another one */
		s->reply_mode = REPLY_ON;
}

/* Whether the aggregate that begins with `word` answers a request. */
static bool aggregate_answers(struct redis_state *s, char type, struct slice word, enum redis_confirm confirm)
{
	if (confirm && s->confirms_left) {
		s->confirms_left--;
		return false;
	}
	if (confirm && slice_eq(word, SLICE_LIT("sunsubscribe")))
		return expect_front(s) && expect_front(s)->kind == EXPECT_SUBSCRIBE;
	if (confirm)
		return type == '*' || s->answered != s->sent;
	return type != '>' && !(redis_word_message(word) && (subscribed(s) || s->answered == s->sent));
}

/* The last element of a confirmation: how many channels and patterns (or sharded channels) are left. */
static void confirm_take(struct redis_state *s, struct slice number)
{
	uint64_t n;

	if (!slice_u64(number, &n))
		return;
	n = n < UINT16_MAX ? n : UINT16_MAX;
	if (s->confirm == REDIS_CONFIRM_SHARD) {
		s->shards = (uint16_t)n;
		return;
	}
	uint16_t *its = s->confirm == REDIS_CONFIRM_CHANNEL ? &s->channels : &s->patterns;
	uint16_t *others = s->confirm == REDIS_CONFIRM_CHANNEL ? &s->patterns : &s->channels;
	if (*others > n) /* something was missed */
		*others = (uint16_t)n;
	*its = (uint16_t)(n - *others);
	s->maybe_subscribed &= n != 0;
}

/* A cluster's node says that another one has the key: the client asks there, and nothing has failed. https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/ */
static bool redirects(struct slice word) { return slice_eq(word, SLICE_LIT("MOVED")) || slice_eq(word, SLICE_LIT("ASK")); }

/* "MOVED 3999 127.0.0.1:6381", of which the first `n` bytes are the word. */
static void redirection_fill(struct slice text, size_t n, struct message *m)
{
	struct slice node = SLICE_NONE;
	size_t at = n;

	message_add_str(m, ATTR_DB_RESPONSE_STATUS_CODE, slice_head(text, n));
	while (at < text.len && text.ptr[at] != '\r')
		if (text.ptr[at++] == ' ')
			node = slice_make(text.ptr + at, 0);
		else if (node.ptr)
			node.len++;
	if (node.len)
		message_add_str(m, ATTR_DB_REDIRECTED_TO, node);
}

/* error.type is the first word if it is an error code: upper case, as the protocol asks. */
static void error_fill(struct slice text, struct message *m)
{
	size_t n = 0;

	while (n < text.len && n < MESSAGE_ERROR_TYPE_LEN - 1 &&
	       ((text.ptr[n] >= 'A' && text.ptr[n] <= 'Z') || (n && text.ptr[n] >= '0' && text.ptr[n] <= '9') || text.ptr[n] == '_'))
		n++;
	if (redirects(slice_head(text, n))) {
		redirection_fill(text, n, m);
		return;
	}
	m->flags |= MESSAGE_ERROR;
	if (n == 0 || (n < text.len && text.ptr[n] != ' ' && text.ptr[n] != '\r')) {
		memcpy(m->error_type, "_OTHER", sizeof("_OTHER"));
		return;
	}
	memcpy(m->error_type, text.ptr, n);
	m->error_type[n] = '\0';
	message_add_str(m, ATTR_DB_RESPONSE_STATUS_CODE, slice_make(text.ptr, n));
}

/*
 * The head of the reply's own value: what kind of message it is. `line` is what follows the type byte,
 * `word` an aggregate's first string.
 */
static void top_take(struct redis_state *s, char type, struct slice line, struct slice word, struct message *m)
{
	enum redis_confirm confirm = type == '*' || type == '>' ? redis_word_confirms(word) : REDIS_CONFIRM_NONE;
	bool response = type == '*' || type == '>' ? aggregate_answers(s, type, word, confirm) : !(type == '+' && redis_monitor_line(line));

	s->top = false;
	s->confirm = (uint8_t)confirm;
	s->reply_kind = response ? MESSAGE_RESPONSE : MESSAGE_ONEWAY;
	if (!response)
		return;
	if (type == '-' || type == '!')
		error_fill(line, m);
	answer(s, type, line, confirm);
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

/* `behind`: elements that come in place of this one after the stream has ended. */
static bool stream_open(struct redis_state *s, uint64_t behind)
{
	if (s->streams == STREAMS_MAX)
		return false;
	s->saved[s->streams++] = s->left - 1 + behind;
	s->left = STREAM_LEFT;
	return true;
}

/* A line value (+ - : _ # , ( ) at `at`. */
static enum redis_scan line_parse(struct redis_state *s, struct slice in, size_t *at, struct message *m)
{
	struct slice rest = slice_from(in, *at);
	size_t end = slice_find(rest, '\n', 0);
	char type = (char)rest.ptr[0];

	if (end == SIZE_MAX && rest.len < LINE_HEAD)
		return REDIS_SCAN_MORE;
	if (end != SIZE_MAX && (end < 2 || rest.ptr[end - 1] != '\r'))
		return REDIS_SCAN_BAD;
	if (s->top)
		top_take(s, type, slice_head(slice_from(rest, 1), LINE_HEAD - 1), SLICE_NONE, m);
	if (end == SIZE_MAX) {
		s->in_line = true;
		*at = in.len;
		return REDIS_SCAN_OK;
	}
	if (type == ':' && s->confirm && s->left == 1)
		confirm_take(s, slice_make(rest.ptr + 1, end - 2));
	*at += end + 1;
	return left_add(s, 0) ? REDIS_SCAN_OK : REDIS_SCAN_BAD;
}

/* A value with a length ($ ! =) or a chunk of a stream (;). */
static enum redis_scan blob_parse(struct redis_state *s, struct slice in, size_t *at, uint64_t *ret_skip, struct message *m)
{
	struct redis_head h;
	enum redis_scan scan = redis_head_read(in, *at, &h);

	if (scan != REDIS_SCAN_OK)
		return scan;
	struct slice rest = slice_from(in, *at + h.len);
	uint64_t look = s->top && h.type == '!' ? (h.n < LINE_HEAD ? h.n : LINE_HEAD) : 0;
	if (rest.len < look)
		return REDIS_SCAN_MORE;
	if (s->top)
		top_take(s, h.type, slice_head(rest, (size_t)look), SLICE_NONE, m);
	if (h.stream || (h.type == ';' && h.n)) {
		s->in_chunks = true;
	} else {
		s->in_chunks = false;
		if (!left_add(s, 0))
			return REDIS_SCAN_BAD;
	}
	*at += h.len;
	if (h.stream || h.null || (h.type == ';' && h.n == 0))
		return REDIS_SCAN_OK;
	if (rest.len >= 2 && rest.len - 2 >= h.n) {
		if (rest.ptr[h.n] != '\r' || rest.ptr[h.n + 1] != '\n')
			return REDIS_SCAN_BAD;
		*at += (size_t)h.n + 2;
	} else {
		*ret_skip = h.n + 2 - rest.len;
		*at = in.len;
	}
	return REDIS_SCAN_OK;
}

static enum redis_scan aggregate_parse(struct redis_state *s, struct slice in, size_t *at, struct message *m)
{
	struct redis_head h;
	struct slice word = SLICE_NONE;
	enum redis_scan scan = redis_head_read(in, *at, &h);

	if (scan != REDIS_SCAN_OK)
		return scan;
	if (s->top && h.type != '|' && (h.type == '>' || h.type == '*') && h.n && (scan = first_word(in, *at + h.len, &word)) != REDIS_SCAN_OK)
		return scan;
	if (s->top && h.type != '|')
		top_take(s, h.type, SLICE_NONE, word, m);
	*at += h.len;
	if (h.stream)
		return stream_open(s, h.type == '|') ? REDIS_SCAN_OK : REDIS_SCAN_BAD;
	uint64_t n = h.null ? 0 : h.n;
	if (h.type == '%')
		n *= 2;
	if (h.type == '|')
		n = n * 2 + 1; /* attributes stand before the value that they belong to */
	return left_add(s, n) ? REDIS_SCAN_OK : REDIS_SCAN_BAD;
}

static enum redis_scan element_parse(struct redis_state *s, struct slice in, size_t *at, uint64_t *ret_skip, struct message *m)
{
	if (s->in_line) {
		size_t end = slice_find(in, '\n', *at);
		*at = end == SIZE_MAX ? in.len : end + 1;
		if (end == SIZE_MAX)
			return REDIS_SCAN_OK;
		s->in_line = false;
		return left_add(s, 0) ? REDIS_SCAN_OK : REDIS_SCAN_BAD;
	}
	char type = (char)in.ptr[*at];
	if (s->in_chunks && type != ';')
		return REDIS_SCAN_BAD;
	switch (type) {
	case '+': case '-': case ':': case '_': case '#': case ',': case '(':
		return line_parse(s, in, at, m);
	case '$': case '!': case '=':
		return blob_parse(s, in, at, ret_skip, m);
	case ';':
		return s->in_chunks ? blob_parse(s, in, at, ret_skip, m) : REDIS_SCAN_BAD;
	case '*': case '%': case '~': case '>': case '|':
		return aggregate_parse(s, in, at, m);
	case '.':
		if (s->streams == 0 || in.len - *at < 3)
			return s->streams ? REDIS_SCAN_MORE : REDIS_SCAN_BAD;
		if (in.ptr[*at + 1] != '\r' || in.ptr[*at + 2] != '\n')
			return REDIS_SCAN_BAD;
		s->left = s->saved[--s->streams];
		*at += 3;
		return REDIS_SCAN_OK;
	default:
		return REDIS_SCAN_BAD;
	}
}

static enum parse_status reply_parse(struct redis_state *s, struct slice in, struct parse_result *ret)
{
	size_t at = 0;
	uint64_t skip = 0;
	bool begin = s->left == 0;

	s->turn = true;
	if (s->may_overlap && begin) {
		s->may_overlap = false;
		s->overlaps = true;
		if (s->guessed)
			silence(s); /* the turn was none */
	}
	if (s->silent) {
		ret->consumed = in.len;
		return PARSE_SKIP;
	}
	if (begin && in.ptr[0] == '\n' && expect_front(s) && expect_front(s)->kind == EXPECT_SYNC) { /* sent while the snapshot is made */
		ret->consumed = 1;
		return PARSE_SKIP;
	}
	if (begin) {
		s->left = 1;
		s->top = true;
		s->reply_kind = MESSAGE_RESPONSE;
	}
	while (s->left && !skip && at < in.len) {
		enum redis_scan scan = element_parse(s, in, &at, &skip, &ret->message);
		if (scan == REDIS_SCAN_BAD) {
			reply_clear(s);
			return PARSE_BAD;
		}
		if (scan == REDIS_SCAN_MORE)
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
	struct redis_state *s = state;

	if (in.len == 0)
		return PARSE_NEED_MORE;
	enum parse_status status = side == PROTO_TO_SERVER ? request_parse(s, in, ret) : reply_parse(s, in, ret);
	s->latest_ns = ret->time_ns;
	return status;
}

/* Told of a loss at once, so that a request that comes before the next reply bytes is known as the turn that it is. */
static void redis_lost(void *state, enum proto_side side)
{
	struct redis_state *s = state;

	silence(s);
	s->may_overlap = false;
	s->told = true;
	s->turn = side == PROTO_TO_CLIENT; /* the lost bytes answered something; or replies to what was lost are still to come */
	if (side == PROTO_TO_SERVER) {
		s->args_left = 0;
		s->multi = false;
	}
}

static size_t redis_resync(void *state, enum proto_side side, struct slice in)
{
	struct redis_state *s = state;

	if (side == PROTO_TO_CLIENT) /* parse() passes over what comes before the turn, and behind it everything is a reply */
		return s->told ? 0 : in.len;
	for (size_t at = 0; at < in.len; at++) {
		struct slice rest = slice_from(in, at);
		if (rest.ptr[0] == '*' && redis_detect(rest, side) >= DETECT_WEAK)
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
	.lost = redis_lost,
	.resync = redis_resync,
	.resync_keep = 2 * REDIS_HEAD_MAX + REDIS_NAME_MAX,
	/*
	 * A pipeline is one burst whose heads are spread over all of it, and a hole costs the pairs of the whole burst.
	 * Its replies are a burst, too, of about as many bytes; of a lone large reply the tail stays in the kernel. The
	 * engine raises what is cut too often.
	 */
	.want = { 65536, 32768 },
};

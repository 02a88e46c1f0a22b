/* SPDX-License-Identifier: Apache-2.0 */
/* Redis: commands, as arrays or inline, and what is remembered of those whose answers need it. */
#include "proto/redis_commands.h"
#include "proto/redis_state.h"

enum {
	INLINE_MAX = 4096,
	KEY_MAX = 56,
	MARKS_MAX = 4,       /* "?" per further argument, then "..." */
	QUIET_NS = 250 * 1000 * 1000, /* replies that are still due come sooner */
};

static void text_add(struct redis_state *s, const char *bytes, size_t n)
{
	size_t room = REDIS_TEXT_MAX - s->text_len;

	n = n < room ? n : room;
	memcpy(s->text + s->text_len, bytes, n);
	s->text_len = (uint8_t)(s->text_len + n);
}

static void text_add_name(struct redis_state *s, struct slice name)
{
	for (size_t i = 0; i < name.len && s->text_len < REDIS_TEXT_MAX; i++) {
		uint8_t c = name.ptr[i];
		s->text[s->text_len++] = (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
	}
}

/* A server takes sharded channels away without being asked (their slot moved), so who asks must be remembered. */
static void subscribe_expect(struct redis_state *s, struct slice name)
{
	s->subscribe = true;
	if (s->args == 2 && !slice_ieq(name, SLICE_LIT("SUNSUBSCRIBE")))
		return;
	s->request_expect = REDIS_EXPECT_SUBSCRIBE;
	s->value = (uint16_t)(s->args - 1 < UINT16_MAX ? s->args - 1 : UINT16_MAX);
}

/* A command that is not Redis' own may be a module's, or a secret in the wrong place: that mostly has digits. */
static bool may_be_shown(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] >= '0' && name.ptr[i] <= '9')
			return false;
	return name.len <= REDIS_OTHER_NAME_MAX && redis_name_plausible(name);
}

static void request_name(struct redis_state *s, struct slice name)
{
	const struct redis_command *c = redis_command_find(name);

	s->text_len = 0;
	s->contain = c && (c->flags & REDIS_CONTAINER);
	s->key_index = c ? (c->flags & REDIS_SECRET ? UINT8_MAX : c->key) : 0;
	s->request_expect = 0;
	s->client_reply = s->no_reply = s->subscribe = false;
	if (c || may_be_shown(name))
		text_add_name(s, name);
	else
		text_add(s, "_OTHER", 6);
	s->op_len = s->text_len;
	s->op_known = c ? s->text_len : 0;
	s->value = 0;
	if (slice_ieq(name, SLICE_LIT("SELECT")))
		s->request_expect = REDIS_EXPECT_SELECT, s->value = REDIS_DB_UNKNOWN;
	else if (slice_ieq(name, SLICE_LIT("SYNC")) || slice_ieq(name, SLICE_LIT("PSYNC")))
		s->request_expect = REDIS_EXPECT_SYNC;
	else if (redis_subscribes(name))
		subscribe_expect(s, name);
	else if (slice_ieq(name, SLICE_LIT("MULTI")))
		s->multi = true;
	else if (slice_ieq(name, SLICE_LIT("EXEC")) || slice_ieq(name, SLICE_LIT("DISCARD")) || slice_ieq(name, SLICE_LIT("RESET")))
		s->multi = false;
	if (s->reply_mode == REDIS_REPLY_SKIP_THIS)
		s->reply_mode = REDIS_REPLY_ON;
	if (s->reply_mode == REDIS_REPLY_SKIP_NEXT)
		s->reply_mode = REDIS_REPLY_SKIP_THIS;
	s->no_reply = s->reply_mode != REDIS_REPLY_ON && !s->subscribe; /* confirmations come in any mode */
}

static void client_reply_set(struct redis_state *s, struct slice mode)
{
	if (s->args != 3 || s->multi) /* refused, or only queued */
		return;
	if (slice_ieq(mode, SLICE_LIT("OFF")))
		s->reply_mode = REDIS_REPLY_OFF;
	else if (slice_ieq(mode, SLICE_LIT("ON")))
		s->reply_mode = REDIS_REPLY_ON;
	else if (slice_ieq(mode, SLICE_LIT("SKIP")) && s->reply_mode != REDIS_REPLY_OFF)
		s->reply_mode = REDIS_REPLY_SKIP_NEXT;
	else
		return;
	s->no_reply = s->reply_mode != REDIS_REPLY_ON;
}

/* Whether the value of argument `index` is looked at. */
static bool argument_wanted(const struct redis_state *s, uint32_t index)
{
	return index == 0 || (index == 1 && (s->contain || s->request_expect == REDIS_EXPECT_SELECT)) || (index == 2 && s->client_reply) ||
	       (s->key_index != UINT8_MAX && s->key_index && index == s->key_index);
}

static void key_add(struct redis_state *s, struct slice head, bool cut)
{
	text_add(s, " ", 1);
	for (size_t i = 0; i < head.len && s->text_len < REDIS_TEXT_MAX; i++) /* binary keys stay one printable line */
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
	} else if (index == 1 && s->request_expect == REDIS_EXPECT_SELECT) {
		s->value = len == head.len && slice_u64(head, &db) && db < REDIS_DB_UNKNOWN ? (uint16_t)db : REDIS_DB_UNKNOWN;
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

/* The slot for one more expectation, or NULL: then all that could not be told without it is given up. */
static struct redis_expect *expect_slot(struct redis_state *s)
{
	unsigned i = 0;

	if (s->expects < REDIS_EXPECT_MAX)
		return &s->expect[s->expects++];
	while (i < REDIS_EXPECT_MAX && s->expect[i].kind != REDIS_EXPECT_SELECT)
		i++;
	s->db_len = 0; /* until a SELECT that is followed is confirmed */
	if (i < REDIS_EXPECT_MAX) {
		memmove(s->expect + i, s->expect + i + 1, (REDIS_EXPECT_MAX - 1 - i) * sizeof(s->expect[0]));
		return &s->expect[REDIS_EXPECT_MAX - 1];
	}
	if (s->request_expect != REDIS_EXPECT_SELECT)
		redis_silence(s);
	return NULL;
}

static void expect_add(struct redis_state *s)
{
	if (s->no_reply) {
		if (s->request_expect == REDIS_EXPECT_SELECT)
			s->db_len = 0; /* never confirmed */
		return;
	}
	if (s->request_expect && !s->silent) {
		struct redis_expect *e = expect_slot(s);
		if (e)
			*e = (struct redis_expect){ .seq = (uint16_t)s->sent, .kind = s->request_expect, .value = s->value };
	}
	s->sent++;
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

enum parse_status redis_request_parse(struct redis_state *s, struct slice in, struct parse_result *ret)
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

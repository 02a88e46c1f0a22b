/* SPDX-License-Identifier: Apache-2.0 */
/* Redis: replies, and what the server says unasked. */
#include "proto/redis_state.h"

enum {
	LINE_HEAD = 96,      /* of a longer simple string or error, only so much is awaited */
};

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

static struct redis_expect *expect_front(struct redis_state *s)
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
	struct redis_expect *e = expect_front(s);

	if (type == '+' && slice_starts(line, SLICE_LIT("RESET\r"))) {
		db_set(s, 0);
		s->channels = s->patterns = s->shards = 0;
		s->maybe_subscribed = false;
	}
	if (e) {
		if (e->kind == REDIS_EXPECT_SELECT && type == '+') {
			s->db_len = 0; /* queued in a transaction: whether it takes effect is not followed */
			if (slice_starts(line, SLICE_LIT("OK\r")) && e->value != REDIS_DB_UNKNOWN)
				db_set(s, e->value);
		} else if (e->kind == REDIS_EXPECT_SYNC) {
			s->leaves = type == '$' || (type == '+' && (slice_starts(line, SLICE_LIT("FULLRESYNC ")) || slice_starts(line, SLICE_LIT("CONTINUE"))));
		} else if (e->kind == REDIS_EXPECT_SUBSCRIBE && confirm) {
			uint16_t all = confirm == REDIS_CONFIRM_CHANNEL ? s->channels : confirm == REDIS_CONFIRM_PATTERN ? s->patterns : s->shards;
			uint16_t n = e->value ? e->value : all;
			s->confirms_left = (uint16_t)(n ? n - 1 : 0);
		}
		expect_pop(s);
	}
	if (s->answered != s->sent)
		s->answered++;
	else if (s->reply_mode == REDIS_REPLY_OFF && !confirm) /* none was due: the mode is another one */
		s->reply_mode = REDIS_REPLY_ON;
}

/* Whether the aggregate that begins with `word` answers a request. */
static bool aggregate_answers(struct redis_state *s, char type, struct slice word, enum redis_confirm confirm)
{
	if (confirm && s->confirms_left) {
		s->confirms_left--;
		return false;
	}
	if (confirm && slice_eq(word, SLICE_LIT("sunsubscribe")))
		return expect_front(s) && expect_front(s)->kind == REDIS_EXPECT_SUBSCRIBE;
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

/* error.type is the first word if it is an error code: upper case, as the protocol asks. Scripts make their own, of what they please: one with digits may be a value. */
static void error_fill(struct slice text, struct message *m)
{
	size_t n = 0;

	while (n < text.len && n < REDIS_OTHER_NAME_MAX && ((text.ptr[n] >= 'A' && text.ptr[n] <= 'Z') || text.ptr[n] == '_'))
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
	if (s->streams == REDIS_STREAMS_MAX)
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

enum parse_status redis_reply_parse(struct redis_state *s, struct slice in, struct parse_result *ret)
{
	size_t at = 0;
	uint64_t skip = 0;
	bool begin = s->left == 0;

	s->turn = true;
	if (s->may_overlap && begin) {
		s->may_overlap = false;
		s->overlaps = true;
		if (s->guessed)
			redis_silence(s); /* the turn was none */
	}
	if (s->silent) {
		ret->consumed = in.len;
		return PARSE_SKIP;
	}
	if (begin && in.ptr[0] == '\n' && expect_front(s) && expect_front(s)->kind == REDIS_EXPECT_SYNC) { /* sent while the snapshot is made */
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
			redis_reply_clear(s);
			return PARSE_BAD;
		}
		if (scan == REDIS_SCAN_MORE)
			break;
	}
	if (at == 0) {
		if (begin)
			redis_reply_clear(s);
		return PARSE_NEED_MORE;
	}
	ret->consumed = at;
	ret->skip = skip;
	ret->message.kind = (enum message_kind)s->reply_kind;
	if (begin)
		ret->message.flags |= MESSAGE_BEGIN;
	if (s->left == 0) {
		ret->message.flags |= MESSAGE_END | (skip ? MESSAGE_END_AFTER_SKIP : 0) | (s->leaves ? MESSAGE_SWITCH : 0);
		redis_reply_clear(s);
		return PARSE_MESSAGE;
	}
	return begin || ret->message.flags || ret->message.nattrs ? PARSE_MESSAGE : PARSE_SKIP;
}

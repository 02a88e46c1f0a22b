/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether bytes are memcached's: see memcached_wire.h. A line such as "get key" is Redis' inline command as well, and "delete 7" beanstalkd's: they count only with an
 * answer that nobody else gives, or the port.
 */
#include "proto/memcached_wire.h"

enum { LINES_MAX = 8 }; /* looked at, or messages */

/* The first line without its end. SIZE_MAX: not there yet, and nothing speaks against one. 0 with *ret_bad: there can be none. */
static size_t line_find(struct slice in, size_t max, size_t *ret_end, bool *ret_bad)
{
	size_t lf = slice_find(slice_head(in, max), '\n', 0);
	size_t n = lf == SIZE_MAX ? (in.len < max ? in.len : max) : lf;

	*ret_bad = lf == SIZE_MAX && in.len >= max;
	for (size_t i = 0; i < n; i++)
		if (in.ptr[i] < ' ' && !(in.ptr[i] == '\r' && (i + 1 == n)))
			*ret_bad = true;
	if (lf == SIZE_MAX)
		return SIZE_MAX;
	*ret_end = lf + 1;
	return lf && in.ptr[lf - 1] == '\r' ? lf - 1 : lf;
}

/* Heads of commands and answers, so that few bytes already refuse what is something else. */
static bool begins_command(struct slice in)
{
	static const char *const names[] = { "get ", "gets ", "gat ", "gats ", "set ", "add ", "replace ", "append ", "prepend ", "cas ", "delete ", "incr ",
		"decr ", "touch ", "mg ", "ms ", "md ", "ma ", "me ", "mn\r", "stats", "version\r", "verbosity ", "flush_all", "quit\r", "slabs ", "lru ",
		"lru_crawler ", "cache_memlimit ", "watch " };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t n = strlen(names[i]) < in.len ? strlen(names[i]) : in.len;
		if ((uint8_t)names[i][0] == in.ptr[0] && memcmp(names[i], in.ptr, n) == 0)
			return true;
	}
	return false;
}

static bool begins_answer(struct slice in)
{
	static const char *const words[] = { "VALUE ", "END\r", "STORED\r", "NOT_STORED\r", "EXISTS\r", "NOT_FOUND\r", "DELETED\r", "TOUCHED\r", "OK\r", "RESET\r",
		"VERSION ", "STAT ", "ITEM ", "ERROR\r", "CLIENT_ERROR ", "SERVER_ERROR ", "HD\r", "HD ", "VA ", "EN\r", "EN ", "NF\r", "NF ", "NS\r", "NS ",
		"EX\r", "EX ", "MN\r", "ME ", "ts=" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t n = strlen(words[i]) < in.len ? strlen(words[i]) : in.len;
		if ((uint8_t)words[i][0] == in.ptr[0] && memcmp(words[i], in.ptr, n) == 0)
			return true;
	}
	size_t digits = 0;
	while (digits < in.len && digits < 20 && in.ptr[digits] >= '0' && in.ptr[digits] <= '9')
		digits++;
	return digits && (digits == in.len || in.ptr[digits] == '\r');
}

static bool plain_line(struct slice in)
{
	for (size_t i = 0; i < in.len; i++)
		if (in.ptr[i] < ' ')
			return false;
	return true;
}

/* Words that others have, too, or in other senses: beanstalkd deletes jobs by number, and many have a get. */
static int command_score(const struct memcached_request *r, struct slice line)
{
	uint64_t number;

	switch (r->kind) {
	case MEMCACHED_STORE: case MEMCACHED_CAS: /* five words of the right kind; a large value may be all that is sent for long */
		return DETECT_LIKELY;
	case MEMCACHED_ARITH: case MEMCACHED_TOUCH: case MEMCACHED_META: case MEMCACHED_META_SET:
		return DETECT_WEAK;
	case MEMCACHED_DELETE:
		return slice_u64(slice_from(line, sizeof("delete ") - 1), &number) ? DETECT_MORE : DETECT_SHARED;
	case MEMCACHED_QUIT:
		return DETECT_MORE;
	default:
		return DETECT_SHARED;
	}
}

/* One line at the start of `in`; *ret_len: with its data, 0: it has not ended. */
static int command_at(struct slice in, uint64_t *ret_len)
{
	struct memcached_statement st;
	struct memcached_request r;
	size_t end;
	bool bad;

	*ret_len = 0;
	if (!begins_command(in))
		return DETECT_NO;
	size_t n = line_find(in, MEMCACHED_LINE_MAX, &end, &bad);
	if (n == SIZE_MAX && bad && in.len >= MEMCACHED_LINE_MAX && memcached_long_get(in) && plain_line(slice_head(in, MEMCACHED_LINE_MAX)))
		return DETECT_LIKELY; /* a line of many keys need not end, and Redis' get has one */
	if (n == SIZE_MAX)
		return bad ? DETECT_NO : DETECT_MORE;
	memcached_request_read(slice_make(in.ptr, n), &st, &r);
	if (bad || n + 2 != end || !r.well_formed)
		return DETECT_NO;
	if (r.skip && in.len - end >= r.skip && memcmp(in.ptr + end + r.skip - 2, "\r\n", 2) != 0)
		return DETECT_NO;
	*ret_len = end + r.skip;
	return command_score(&r, slice_make(in.ptr, n));
}

/* Many protocols say OK and ERROR; beanstalkd's NOT_FOUND is the same; a number may mean anything. */
static int answer_score(const struct memcached_reply *r, struct slice line)
{
	if (r->kind == MEMCACHED_VALUE)
		return DETECT_LIKELY;
	if (slice_eq(line, SLICE_LIT("OK")) || slice_eq(line, SLICE_LIT("ERROR")) || slice_eq(line, SLICE_LIT("RESET")))
		return DETECT_MORE;
	bool number = line.ptr[0] >= '0' && line.ptr[0] <= '9';
	return number || slice_eq(line, SLICE_LIT("NOT_FOUND")) || slice_eq(line, SLICE_LIT("EXISTS")) ? DETECT_SHARED : DETECT_WEAK;
}

static int answer_at(struct slice in, uint64_t *ret_len)
{
	struct memcached_reply r;
	size_t end;
	bool bad;

	*ret_len = 0;
	if (!begins_answer(in))
		return DETECT_NO;
	size_t n = line_find(in, MEMCACHED_LINE_MAX, &end, &bad);
	if (n == SIZE_MAX)
		return bad ? DETECT_NO : DETECT_MORE;
	if (bad || !memcached_reply_read(slice_make(in.ptr, n), &r) || (n + 2 != end && r.kind != MEMCACHED_LOG)) /* whose lines end without a CR */
		return DETECT_NO;
	if (r.skip && in.len - end >= r.skip && memcmp(in.ptr + end + r.skip - 2, "\r\n", 2) != 0)
		return DETECT_NO;
	*ret_len = end + r.skip;
	return answer_score(&r, slice_make(in.ptr, n));
}

/* The surest of the first lines, all of which must be lines of it. */
static int detect_text(struct slice in, enum proto_side side)
{
	int best = DETECT_MORE;
	uint64_t len;

	for (unsigned i = 0; i < LINES_MAX && in.len && best < DETECT_LIKELY; i++) {
		int score = side == PROTO_TO_SERVER ? command_at(in, &len) : answer_at(in, &len);
		if (score == DETECT_NO)
			return DETECT_NO;
		best = score > best ? score : best;
		if (len == 0 || len >= in.len)
			break;
		in = slice_from(in, (size_t)len);
	}
	return best;
}

/* An item's key: as Couchbase has it, it begins with a collection's number, which is no sign. The names of mechanisms and statistics are the same to both. */
static struct slice key_at(struct slice in, const struct memcached_head *h)
{
	if (memcached_opcode_secret(h->opcode) || h->opcode == MEMCACHED_OP_STAT)
		return SLICE_NONE;
	struct slice key = slice_head(slice_from(in, MEMCACHED_BINARY_HEAD + (size_t)h->extras), h->key_len);

	return key.len == h->key_len && plain_line(key) ? key : SLICE_NONE;
}

/*
 * All of it is Couchbase's as well, where it is about a document of the first of 1,024 parts without collections, or of none: a key is some evidence that it is
 * not, two different ones are more.
 */
static int detect_binary(struct slice in, enum proto_side side)
{
	struct slice key = SLICE_NONE, next;
	struct memcached_head h;
	int best = DETECT_MORE;

	for (unsigned i = 0; i < LINES_MAX && in.len && best < DETECT_LIKELY; i++) {
		enum memcached_scan scan = memcached_head_read(in, side, &h);
		if (scan == MEMCACHED_BAD)
			return DETECT_NO;
		if (scan == MEMCACHED_MORE)
			break;
		next = side == PROTO_TO_SERVER ? key_at(in, &h) : SLICE_NONE;
		if (next.len && key.len && !slice_eq(key, next))
			best = DETECT_LIKELY;
		else if (best < DETECT_WEAK)
			best = next.len ? DETECT_WEAK : DETECT_SHARED;
		key = next.len ? next : key;
		if (in.len - MEMCACHED_BINARY_HEAD <= h.body)
			break;
		in = slice_from(in, MEMCACHED_BINARY_HEAD + (size_t)h.body);
	}
	return best;
}

int memcached_detect(struct slice in, enum proto_side side)
{
	if (in.len == 0)
		return DETECT_MORE;
	return in.ptr[0] >= 0x80 ? detect_binary(in, side) : detect_text(in, side);
}

bool memcached_fits(struct slice in, enum proto_side side)
{
	struct memcached_head h;
	uint64_t len;

	if (in.len == 0)
		return false;
	if (in.ptr[0] >= 0x80)
		return memcached_head_read(in, side, &h) == MEMCACHED_OK;
	int score = side == PROTO_TO_SERVER ? command_at(in, &len) : answer_at(in, &len);
	return score > DETECT_MORE || (score == DETECT_MORE && len);
}

int memcached_detect_datagram(struct slice in, enum proto_side side)
{
	struct memcached_frame f;

	if (!memcached_frame_read(in, side, &f))
		return DETECT_NO;
	if (f.seq) /* the middle of a value, say */
		return DETECT_WEAK;
	struct slice rest = slice_from(in, MEMCACHED_FRAME);
	int score = memcached_detect(rest, side);
	if (score == DETECT_NO || score >= DETECT_LIKELY)
		return score;
	if (memcached_fits(rest, side)) /* whose words are behind a frame that nobody else has */
		return f.total == 1 ? DETECT_LIKELY : DETECT_WEAK;
	/* Of which only a head was captured, or an answer that goes on in the next datagram. */
	return f.total > 1 || in.len >= 512 ? DETECT_WEAK : DETECT_NO;
}

size_t memcached_find_request(struct slice in, bool fresh)
{
	for (size_t at = 0; at < in.len; at++) {
		struct slice rest = slice_from(in, at);
		bool line = at == 0 ? fresh : in.ptr[at - 1] == '\n';
		if ((line || rest.ptr[0] == 0x80) && memcached_fits(rest, PROTO_TO_SERVER))
			return at;
	}
	return in.len;
}

size_t memcached_find_binary(struct slice in, enum proto_side side)
{
	for (size_t at = 0; at < in.len; at++)
		if (in.ptr[at] >= 0x80 && memcached_fits(slice_from(in, at), side))
			return at;
	return in.len;
}

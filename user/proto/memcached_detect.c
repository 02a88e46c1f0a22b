/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether bytes are memcached's: see memcached_wire.h. A line such as "get key" is Redis' inline command as well, so it counts only with an
 * answer that agrees, or the port.
 */
#include "proto/memcached_wire.h"

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
		"EX\r", "EX ", "MN\r", "ME " };

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

static int detect_command(struct slice in)
{
	struct memcached_statement st;
	struct memcached_request r;
	size_t end;
	bool bad;

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
	/* Five words of the right kind; a large value may be all that is sent for long. */
	return r.kind == MEMCACHED_STORE || r.kind == MEMCACHED_CAS ? DETECT_LIKELY : DETECT_WEAK;
}

static int detect_answer(struct slice in)
{
	struct memcached_reply r;
	size_t end;
	bool bad;

	if (!begins_answer(in))
		return DETECT_NO;
	size_t n = line_find(in, MEMCACHED_LINE_MAX, &end, &bad);
	if (n == SIZE_MAX)
		return bad ? DETECT_NO : DETECT_MORE;
	if (bad || n + 2 != end || !memcached_reply_read(slice_make(in.ptr, n), &r))
		return DETECT_NO;
	if (r.skip && in.len - end >= r.skip && memcmp(in.ptr + end + r.skip - 2, "\r\n", 2) != 0)
		return DETECT_NO;
	return r.kind == MEMCACHED_VALUE ? DETECT_LIKELY : DETECT_WEAK;
}

static int detect_binary(struct slice in, enum proto_side side)
{
	struct memcached_head h;

	switch (memcached_head_read(in, side, &h)) {
	case MEMCACHED_OK: return DETECT_LIKELY;
	case MEMCACHED_MORE: return DETECT_MORE;
	case MEMCACHED_BAD: break;
	}
	return DETECT_NO;
}

int memcached_detect(struct slice in, enum proto_side side)
{
	if (in.len == 0)
		return DETECT_MORE;
	if (in.ptr[0] >= 0x80)
		return detect_binary(in, side);
	return side == PROTO_TO_SERVER ? detect_command(in) : detect_answer(in);
}

int memcached_detect_datagram(struct slice in, enum proto_side side)
{
	struct memcached_frame f;

	if (!memcached_frame_read(in, side, &f))
		return DETECT_NO;
	if (f.seq) /* the middle of a value, say */
		return DETECT_WEAK;
	int score = memcached_detect(slice_from(in, MEMCACHED_FRAME), side);
	if (score == DETECT_MORE) /* of which only a head was captured, or an answer that goes on in the next datagram */
		score = f.total > 1 || in.len >= 512 ? DETECT_WEAK : DETECT_NO;
	return score == DETECT_WEAK && f.total == 1 ? DETECT_LIKELY : score;
}

size_t memcached_find_request(struct slice in, bool fresh)
{
	for (size_t at = 0; at < in.len; at++) {
		struct slice rest = slice_from(in, at);
		bool line = at == 0 ? fresh : in.ptr[at - 1] == '\n';
		if ((line || rest.ptr[0] == 0x80) && memcached_detect(rest, PROTO_TO_SERVER) >= DETECT_WEAK)
			return at;
	}
	return in.len;
}

size_t memcached_find_binary(struct slice in, enum proto_side side)
{
	for (size_t at = 0; at < in.len; at++)
		if (in.ptr[at] >= 0x80 && detect_binary(slice_from(in, at), side) >= DETECT_WEAK)
			return at;
	return in.len;
}

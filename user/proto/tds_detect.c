/* SPDX-License-Identifier: Apache-2.0 */
/* Is it TDS, and where does a packet begin? A header has three bytes that tell little: what stands behind it must fit. */
#include "proto/tds_wire.h"

enum { PRELOGIN_OPTION = 5, LOGIN_FIXED = 36, HEADERS_MIN = 22, LOGIN_MAX = 128 * 1024, COLUMNS_MAX = 4096, CHANGES = 24 };

/* What is behind a packet's header: its length as the header tells, and the bytes that are there. */
struct body {
	struct slice in;
	size_t len;
	bool old;   /* it may be a request from before 7.2 */
	uint8_t id; /* of the packet */
};

static int too_short(struct body b) { return b.in.len < b.len ? DETECT_MORE : DETECT_NO; }

static int prelogin(struct body b)
{
	if (b.in.len < PRELOGIN_OPTION)
		return too_short(b);
	const uint8_t *p = b.in.ptr;
	uint16_t at = load_be16(p + 1), len = load_be16(p + 3);

	return p[0] == 0 && at > PRELOGIN_OPTION && at < b.len && at % PRELOGIN_OPTION == 1 && len == 6 ? DETECT_CERTAIN : DETECT_NO;
}

static int login(struct body b)
{
	if (b.in.len < 8)
		return too_short(b);
	uint32_t len = load_le32(b.in.ptr);
	uint8_t major = b.in.ptr[7];

	return len >= LOGIN_FIXED && len <= LOGIN_MAX && major >= 0x70 && major <= 0x74 ? DETECT_CERTAIN : DETECT_NO;
}

/* The first of ALL_HEADERS is the transaction's, in each request of 7.2 and later. */
static int all_headers(struct body b)
{
	if (b.in.len < 10)
		return too_short(b);
	uint32_t total = load_le32(b.in.ptr), first = load_le32(b.in.ptr + 4);
	uint16_t type = load_le16(b.in.ptr + 8);

	return total >= HEADERS_MIN && total <= TDS_ALL_HEADERS_MAX && total <= b.len && first >= 6 && first <= total - 4 && type >= 1 && type <= 3 ? DETECT_CERTAIN : DETECT_NO;
}

/*
 * Does a text begin with a word that a statement begins with? The packets that go on with one have nothing else to tell them from its beginning, and that in the middle of a value its
 * rest were taken for words must not be.
 */
static bool begins_statement(struct slice text)
{
	static const char *const words[] = { "select", "insert", "update", "delete", "exec ", "execute", "declare", "set ", "use ", "create", "alter", "drop", "begin", "commit", "rollback", "if ",
		"with ", "merge", "truncate", "print", "waitfor", "grant", NULL };

	for (size_t i = 0; words[i]; i++) {
		size_t n = 0;
		while (words[i][n] && text.len >= 2 * n + 2 && ascii_lower(text.ptr[2 * n]) == (uint8_t)words[i][n] && text.ptr[2 * n + 1] == 0)
			n++;
		if (!words[i][n])
			return true;
	}
	return false;
}

/* Words in UTF-16, of letters that SQL begins with. Many clients number a message's packets from 1. */
static int old_text(struct body b)
{
	enum { ENOUGH = 12 };

	for (size_t i = 0; i < b.in.len && i < ENOUGH; i++) {
		uint8_t c = b.in.ptr[i];
		if (i % 2 ? c != 0 : (c < ' ' && c != '\n' && c != '\r' && c != '\t') || c > '~')
			return DETECT_NO;
	}
	if (b.in.len < ENOUGH && b.in.len < b.len)
		return DETECT_MORE;
	if (b.id > 1 && !begins_statement(b.in))
		return b.in.len < b.len && b.in.len < 2 * (size_t)ENOUGH ? DETECT_MORE : DETECT_NO;
	return b.in.len >= ENOUGH ? DETECT_LIKELY : DETECT_WEAK;
}

static int old_call(struct body b)
{
	if (b.in.len < 4)
		return too_short(b);
	uint16_t name = load_le16(b.in.ptr), id = load_le16(b.in.ptr + 2);

	if (name == 0xffff)
		return id >= 1 && id <= 15 && b.len > 6 ? DETECT_LIKELY : DETECT_NO;
	return name && name <= 1046 && b.in.ptr[3] == 0 && b.in.ptr[2] > ' ' && b.in.ptr[2] <= '~' && b.len > name * (size_t)2 + 2 ? DETECT_LIKELY : DETECT_NO;
}

static int request_body(uint8_t type, struct body b)
{
	int how;

	switch (type) {
	case TDS_PRELOGIN: return prelogin(b);
	case TDS_LOGIN: return login(b);
	case TDS_ATTENTION: return DETECT_WEAK;
	case TDS_BULK: return b.in.len == 0 ? DETECT_MORE : b.in.ptr[0] == TDS_COLUMNS ? DETECT_WEAK : DETECT_NO;
	case TDS_BATCH: case TDS_RPC: case TDS_TRANSACTION: break;
	default: return DETECT_WEAK; /* of a login under way */
	}
	how = all_headers(b);
	if (how != DETECT_NO || !b.old)
		return how;
	return type == TDS_BATCH ? old_text(b) : type == TDS_RPC ? old_call(b) : DETECT_NO;
}

/* --- the first token of a response --- */

static int message_token(struct body b)
{
	if (b.in.len < 11)
		return too_short(b);
	const uint8_t *p = b.in.ptr;
	size_t len = load_le16(p + 1), text = load_le16(p + 9);

	if (b.len < b.in.len || text * 2 + 8 > len || p[8] > 25)
		return DETECT_NO;
	return DETECT_LIKELY;
}

static int change_token(struct body b)
{
	if (b.in.len < 5)
		return too_short(b);
	size_t len = load_le16(b.in.ptr + 1);

	return b.in.ptr[3] >= 1 && b.in.ptr[3] <= CHANGES && len >= 2 && len < 1024 && (b.in.ptr[3] > 6 || b.in.ptr[4] * 2u + 3 <= len) ? DETECT_LIKELY : DETECT_NO;
}

static int login_token(struct body b)
{
	if (b.in.len < 8)
		return too_short(b);
	return load_le16(b.in.ptr + 1) >= 10 && b.in.ptr[3] <= 1 && b.in.ptr[4] >= 0x70 && b.in.ptr[4] <= 0x74 ? DETECT_LIKELY : DETECT_NO;
}

static int columns_token(struct body b)
{
	if (b.in.len < 10)
		return too_short(b);
	uint16_t n = load_le16(b.in.ptr + 1);
	bool since_72 = b.in.ptr[5] == 0 && b.in.ptr[6] == 0 && tds_type_info(b.in.ptr[9]).shape != TDS_UNKNOWN;
	bool before = tds_type_info(b.in.ptr[7]).shape != TDS_UNKNOWN;

	return n && n <= COLUMNS_MAX && (since_72 || before) ? DETECT_LIKELY : DETECT_NO;
}

static int done_token(struct body b)
{
	if (b.in.len < 9)
		return too_short(b);
	bool alone = b.len == 9 || b.len == 13;
	uint16_t status = load_le16(b.in.ptr + 1);

	if (status & ~TDS_DONE_KNOWN || load_le16(b.in.ptr + 3) > 0x1ff)
		return DETECT_NO;
	return alone || status & TDS_DONE_MORE ? DETECT_LIKELY : DETECT_NO;
}

static int status_token(struct body b)
{
	if (b.in.len < 6)
		return too_short(b);
	return b.in.ptr[5] >= TDS_DONE || b.in.ptr[5] == TDS_RETURN_VALUE ? DETECT_LIKELY : DETECT_NO;
}

/* A token that is not known here: it may be the middle of an answer. */
static int other_token(struct body b)
{
	return b.in.ptr[0] == 0xa3 || b.in.ptr[0] == 0x88 || b.in.ptr[0] == TDS_RETURN_VALUE || b.in.ptr[0] == TDS_SESSION_STATE ? DETECT_WEAK : DETECT_NO;
}

static int response_body(struct body b)
{
	if (b.in.len == 0)
		return too_short(b);
	switch (b.in.ptr[0]) {
	case 0: return prelogin(b);
	case TDS_ERROR: case TDS_INFO: return message_token(b);
	case TDS_ENV_CHANGE: return change_token(b);
	case TDS_LOGIN_ACK: return login_token(b);
	case TDS_COLUMNS: return columns_token(b);
	case TDS_DONE: case TDS_DONE_PROC: case TDS_DONE_IN_PROC: return done_token(b);
	case TDS_RETURN_STATUS: return status_token(b);
	case TDS_SSPI_TOKEN: return b.len > 10 ? DETECT_WEAK : DETECT_NO;
	default: return other_token(b);
	}
}

/* --- a packet --- */

static int fits(struct slice in, enum proto_side side, bool since_72)
{
	uint8_t first = in.ptr[0];

	if (in.len < TDS_HEAD) {
		bool may = side == PROTO_TO_CLIENT ? first == TDS_RESPONSE || first == TDS_PRELOGIN : first <= TDS_PRELOGIN && first && first != TDS_RESPONSE && first != 2 && first != 5;
		return may && (in.len < 2 || !(in.ptr[1] & ~(side == PROTO_TO_CLIENT ? TDS_EOM : TDS_STATUS))) && (in.len < 3 || in.ptr[2] < 0x80) ? DETECT_MORE : DETECT_NO;
	}
	if (!tds_is_head(in, side))
		return DETECT_NO;
	size_t len = load_be16(in.ptr + 2) - (size_t)TDS_HEAD;
	struct body b = { slice_head(slice_from(in, TDS_HEAD), len), len, !since_72, in.ptr[6] };
	if (side == PROTO_TO_SERVER)
		return request_body(first, b);
	if (first == TDS_PRELOGIN)
		return DETECT_WEAK;
	return response_body(b);
}

static int fits_smp(struct slice in, enum proto_side side, bool since_72)
{
	if (in.len < SMP_HEAD)
		return in.len < 2 || in.ptr[1] == SMP_SYN || in.ptr[1] == SMP_ACK || in.ptr[1] == SMP_FIN || in.ptr[1] == SMP_DATA ? DETECT_MORE : DETECT_NO;
	if (!tds_is_smp(in))
		return DETECT_NO;
	if (in.ptr[1] != SMP_DATA)
		return DETECT_LIKELY;
	if (in.len == SMP_HEAD)
		return DETECT_MORE;
	return fits(slice_from(in, SMP_HEAD), side, since_72);
}

int tds_detect(struct slice in, enum proto_side side)
{
	if (in.len == 0)
		return DETECT_MORE;
	return in.ptr[0] == SMP ? fits_smp(in, side, false) : fits(in, side, false);
}

/* --- behind a loss --- */

/* Behind the packet at `at` another one begins, or nothing has come yet. */
static bool is_followed(struct slice in, size_t at, size_t len, enum proto_side side, bool mars)
{
	struct slice next = slice_from(in, at + len);

	if (len > in.len - at)
		return false;
	if (!next.len)
		return true;
	if (mars)
		return next.len >= SMP_HEAD ? tds_is_smp(next) : next.ptr[0] == SMP;
	return next.len >= TDS_HEAD ? tds_is_head(next, side) : next.ptr[0] == in.ptr[at];
}

size_t tds_find(struct slice in, enum proto_side side, bool mars, bool since_72, bool *ret_first)
{
	size_t head = mars ? SMP_HEAD : TDS_HEAD;

	for (size_t at = 0; in.len - at >= head; at++) {
		struct slice here = slice_from(in, at);
		bool smp = here.ptr[0] == SMP;

		if (mars != smp)
			continue;
		int how = smp ? fits_smp(here, side, since_72) : fits(here, side, since_72);
		*ret_first = how >= DETECT_LIKELY;
		if (how == DETECT_CERTAIN || (*ret_first && (smp || side == PROTO_TO_CLIENT)))
			return at;
		if (smp ? !tds_is_smp(here) : !tds_is_head(here, side))
			continue;
		size_t len = smp ? load_le32(here.ptr + 4) : load_be16(here.ptr + 2); /* text from before 7.2 has little to tell it: its packet must be whole */
		if (how == DETECT_MORE && in.len - at < TDS_RESYNC_KEEP)
			break;
		if ((side == PROTO_TO_CLIENT || how >= DETECT_WEAK) && is_followed(in, at, len, side, mars))
			return at;
	}
	return in.len;
}

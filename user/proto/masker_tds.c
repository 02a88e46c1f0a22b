/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TDS for shared recordings: see masker.h for what stays. Way 0 is the client's. Types and values are walked as tds_walk.c does, a byte at a time; what cannot be is zero from there on, which is
 * no token, so that the parser, too, looks for the DONE at the end.
 */
#include "proto/masker_tds.h"

enum { HEAD_LAST = TDS_HEAD - 1, TLS_HEAD = 5 };
enum { LENGTH_AT = MASK_WORD - 2 }; /* of the head's length in mask_way.word, whose words are shorter */

static const char *const keywords[] = {
	"select", "insert", "update", "delete", "merge", "declare", "set", "use", "create", "alter", "drop", "begin", "commit", "rollback", "save", "if", "while", "with", "truncate", "print",
	"waitfor", "grant", "revoke", "deny", "exec", "execute", "backup", "restore", "dbcc", "bulk", NULL,
};
static const char *const procedures[] = {
	"sp_cursor", "sp_cursoropen", "sp_cursorprepare", "sp_cursorexecute", "sp_cursorprepexec", "sp_cursorunprepare", "sp_cursorfetch", "sp_cursoroption", "sp_cursorclose", "sp_executesql",
	"sp_prepare", "sp_execute", "sp_prepexec", "sp_prepexecrpc", "sp_unprepare", NULL,
};

static void set_version(struct mask_conn *c, uint8_t major)
{
	c->memory[0] = (c->memory[0] & ~(uint64_t)(SINCE_71 | SINCE_72)) | KNOWN | (major >= 0x71 ? SINCE_71 : 0u) | (major >= 0x72 ? SINCE_72 : 0u);
}

/* The length of a name, in characters, that follows. */
static uint8_t chars_byte(const struct mask_conn *c, struct mask_way *y, uint8_t b, enum state state, enum state after)
{
	uint64_t n = UINT64_C(2) * b;

	if (y->flags & EOM && n >= y->remain)
		return rest(c, y);
	pass(y, n, state, after);
	return b;
}

/* --- UTF-16 --- */

static uint8_t wide(struct mask_way *y, uint8_t b, const char *const *list)
{
	bool high = y->part++ % 2;

	if (high) {
		if (b)
			y->word_len = MASK_WORD;
		return 0;
	}
	if (b == ' ' && word_in(y, list)) {
		y->word_len = MASK_WORD;
		return b;
	}
	return word_feed(y, b, list) ? b : 'x';
}

uint8_t mask_tds_text(struct mask_way *y, uint8_t b) { return wide(y, b, keywords); }

/* --- what comes before requests --- */

/* Kind, offset and length of each option; of their values whether there is encryption. */
static uint8_t prelogin_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	enum { OPTION = 5, ENCRYPTION = 1, END = 0xff, KINDS = 8 };
	uint64_t at = y->part++, in = at % OPTION;

	if (y->state == PRELOGIN_VALUES)
		return at == y->memory[SHAPE] && at && b <= TDS_ENCRYPT_REQUIRED ? b : 0;
	if (at == 0 && b >= 0x14 && b <= 0x17) { /* TLS begins */
		y->memory[TYPE_BYTE] = b;
		c->memory[0] |= SECRET;
		return b;
	}
	if (y->memory[TYPE_BYTE] >= 0x14 && y->memory[TYPE_BYTE] <= 0x17)
		return at == 1 && b == 3 ? b : 0;
	if (in == 0) {
		y->memory[TYPE_BYTE] = b;
		if (b == END)
			y->state = PRELOGIN_VALUES;
		return b == END || b < KINDS ? b : rest(c, y);
	}
	if (in % 2) /* of both numbers the high byte */
		return b <= 1 ? b : rest(c, y);
	if (in == 2 && y->memory[TYPE_BYTE] == ENCRYPTION)
		y->memory[SHAPE] = b;
	return b;
}

/* Length and version. */
static uint8_t login_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	uint64_t at = y->part++;

	if (at < 4)
		return at < 2 || (at == 2 && b <= 1) ? b : 0;
	if (at != 7)
		return 0;
	set_version(c, b);
	return b >= 0x70 && b <= 0x74 ? b : rest(c, y);
}

/* --- requests --- */

static void text_begin(struct mask_way *y)
{
	go(y, TEXT);
	word_clear(y);
}

static void name_begin(struct mask_way *y, uint64_t len)
{
	pass(y, 2 * len, PROC_NAME, PROC_OPTIONS);
	word_clear(y);
}

static void headers_end(struct mask_way *y)
{
	if (y->type == TDS_BATCH)
		text_begin(y);
	else
		go(y, y->type == TDS_RPC ? PROC_LEN : KIND);
}

/* The third byte of a message is none of ALL_HEADERS' length: as before 7.2. */
static uint8_t without_headers(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	uint64_t first = y->number;

	if (c->memory[0] & SINCE_72)
		return rest(c, y);
	c->memory[0] = (c->memory[0] & ~(uint64_t)SINCE_72) | KNOWN;
	if (y->type == TDS_BATCH && first <= UINT8_MAX) {
		text_begin(y);
		word_feed(y, (uint8_t)first, keywords);
		y->part = 2;
		return mask_tds_text(y, b);
	}
	if (y->type != TDS_RPC || first == 0)
		return rest(c, y);
	if (first == UINT16_MAX) {
		go(y, PROC_ID);
		y->part = 1;
		y->memory[PROC] = b;
		return b < LOW ? b : rest(c, y);
	}
	name_begin(y, first);
	y->part = 1;
	y->length--;
	return word_feed(y, b, procedures) ? b : 'x';
}

static uint8_t headers_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	uint64_t at = y->part++;

	if (at < 2) {
		if (at == 1 && b > TDS_ALL_HEADERS_MAX >> 8 && !(y->type == TDS_RPC && b == 0xff && y->number == 0xff))
			return rest(c, y);
		y->number |= (uint64_t)b << 8 * at;
		return b;
	}
	if (at == 2 && (b || y->number == UINT16_MAX))
		return without_headers(c, y, b);
	if (at == 3) {
		if (b || y->number <= 4 || y->number > TDS_ALL_HEADERS_MAX)
			return rest(c, y);
		c->memory[0] |= KNOWN | SINCE_71 | SINCE_72;
	}
	if (at + 1 == y->number)
		headers_end(y);
	/* Of the first one its length and type. */
	return at == 4 || (at == 5 && b <= 4) || (at == 8 && b <= 3) ? b : 0;
}

static uint8_t proc_len_byte(const struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	if (y->part++ == 0) {
		y->number = b;
		return b;
	}
	y->memory[PROC] = y->memory[PARAMETERS] = 0;
	if (b == 0xff && y->number == 0xff)
		go(y, PROC_ID);
	else if (b > 4 || (b == 0 && y->number == 0))
		return rest(c, y);
	else
		name_begin(y, y->number | (uint64_t)b << 8);
	return b;
}

static uint8_t proc_name_byte(struct mask_way *y, uint8_t b)
{
	uint8_t out = wide(y, b, procedures);

	if (passed(y)) {
		for (uint16_t i = 1; tds_procedure_get(i); i++)
			if (word_is(y, tds_procedure_get(i)->name))
				y->memory[PROC] = i;
		go(y, PROC_OPTIONS);
	}
	return out;
}

static uint8_t parameter_byte(const struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	if (c->memory[0] & SINCE_72 ? b >= 0xfe : b == 0x80) {
		go(y, PROC_LEN);
		return b;
	}
	return chars_byte(c, y, b, PARAMETER_NAME, PARAMETER_STATUS);
}

/* --- answers --- */

static unsigned done_len(const struct mask_conn *c) { return since_72(c) ? 12 : 8; }

static uint8_t done_byte(const struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	uint64_t at = y->part++;

	if (y->part == done_len(c))
		go(y, y->flags & BLIND ? REST : TOKEN);
	if (at < 2)
		return at ? b & TDS_DONE_KNOWN >> 8 : b & (TDS_DONE_KNOWN & 0xff);
	if (at < 4)
		return at == 2 && b >= 0xc0 ? b : 0;
	return kept_low(at - 4, b);
}

static void row_begin(struct mask_conn *c, struct mask_way *y, bool nulls)
{
	y->memory[COLUMN_AT] = y->memory[NULL_BITS] = 0;
	y->flags = nulls ? y->flags | NULLS : y->flags & ~(uint32_t)NULLS;
	if (!y->memory[COLUMNS_KNOWN] || (nulls && y->memory[COLUMNS_KNOWN] > NULLS_MAX))
		rest(c, y);
	else
		go(y, BITMAP);
}

static uint8_t token_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	y->memory[TOKEN_BYTE] = b;
	switch (b) {
	case TDS_ROW: case TDS_NBC_ROW:
		row_begin(c, y, b == TDS_NBC_ROW);
		if (y->state == REST)
			return 0;
		if (b == TDS_ROW)
			mask_tds_column_begin(c, y);
		return b;
	case TDS_DONE: case TDS_DONE_PROC: case TDS_DONE_IN_PROC: go(y, DONE); return b;
	case TDS_COLUMNS: go(y, COLUMNS); return b;
	case TDS_RETURN_STATUS: case TDS_OFFSET: pass(y, 4, PASS, TOKEN); return b;
	case TDS_RETURN_VALUE: go(y, RETURN); return b;
	case TDS_FEATURES: go(y, FEATURE); return b;
	case TDS_SESSION_STATE: case TDS_FEDAUTH_INFO: go(y, LONG_LENGTH); return b;
	case TDS_TABLE_NAME: case TDS_COLUMN_INFO: case TDS_ORDER: case TDS_ERROR: case TDS_INFO: case TDS_LOGIN_ACK: case TDS_ENV_CHANGE: case TDS_SSPI_TOKEN: go(y, LENGTH); return b;
	default: return rest(c, y);
	}
}

static uint8_t length_byte(const struct mask_conn *c, struct mask_way *y, uint8_t b, unsigned bytes)
{
	if (!number_byte(y, b, bytes))
		return rest(c, y);
	if (y->part < bytes)
		return b;
	uint64_t token = y->memory[TOKEN_BYTE];
	enum state body = y->state == FEATURE_LENGTH ? FEATURE_PASS : token == TDS_ERROR || token == TDS_INFO ? ERROR : token == TDS_LOGIN_ACK ? ACK : token == TDS_ENV_CHANGE ? CHANGE : PASS;
	pass(y, y->number, body, body == FEATURE_PASS ? FEATURE : TOKEN);
	return b;
}

/* Number, state, class, the text's length, the text. What follows becomes names of no length. */
static uint8_t error_byte(struct mask_way *y, uint8_t b)
{
	uint64_t at = y->part++;

	if (at < 4)
		return kept_low(at, b);
	if (at < 6)
		return b <= 25 ? b : 0;
	if (at == 6) {
		y->number = b;
		return b;
	}
	if (at == 7) {
		uint8_t kept = b < LOW ? b : 0;
		y->number = 2 * (y->number | (uint64_t)kept << 8);
		return kept;
	}
	return at < 8 + y->number && at % 2 == 0 ? 'x' : 0;
}

static uint8_t ack_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	uint64_t at = y->part++;

	if (at == 0)
		return b <= 1 ? b : 0;
	if (at > 1)
		return 0;
	set_version(c, b);
	return b >= 0x70 && b <= 0x74 ? b : b > 0x74 ? 0x74 : 0;
}

static uint8_t columns_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	y->number |= (uint64_t)b << 8 * y->part++;
	if (y->part == 1)
		return b;
	uint64_t n = y->number;
	if (n == UINT16_MAX) { /* as they were told before */
		go(y, TOKEN);
		return b;
	}
	if (n > COLUMNS_MAX)
		return rest(c, y);
	y->memory[COLUMNS_KNOWN] = n;
	y->memory[COLUMN_AT] = 0;
	go(y, n ? COLUMN : TOKEN);
	return b;
}

static uint8_t bitmap_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	y->memory[NULL_BITS] |= (uint64_t)b << 8 * y->part++;
	if (y->part == (y->memory[COLUMNS_KNOWN] + 7) / 8)
		mask_tds_column_begin(c, y);
	return b;
}

static uint8_t return_byte(const struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	if (y->part++ < 2)
		return 0;
	return chars_byte(c, y, b, RETURN_NAME, RETURN_FLAGS);
}

/* --- bytes --- */

static uint8_t request_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	uint64_t at;

	switch ((enum state)y->state) {
	case LOGIN: return login_byte(c, y, b);
	case HEADERS: return headers_byte(c, y, b);
	case TEXT: return mask_tds_text(y, b);
	case KIND:
		at = y->part++;
		if (at == 1)
			go(y, REST);
		return at == 0 && b <= 9 ? b : 0;
	case PROC_LEN: return proc_len_byte(c, y, b);
	case PROC_ID:
		at = y->part++;
		if (at == 0)
			y->memory[PROC] = b;
		if (at == 1)
			go(y, PROC_OPTIONS);
		return at == 0 ? (b < LOW ? b : rest(c, y)) : 0;
	case PROC_NAME: return proc_name_byte(y, b);
	case PROC_OPTIONS:
		if (y->part++ == 1)
			go(y, PARAMETER);
		return 0;
	case PARAMETER: return parameter_byte(c, y, b);
	case PARAMETER_NAME: return passing(y, PARAMETER_STATUS, y->length % 2 ? 0 : 'x');
	case PARAMETER_STATUS:
		if (b & 8) /* encrypted */
			rest(c, y);
		else
			mask_tds_type_begin(y, false);
		return b & 0xf;
	default: return 'x';
	}
}

static uint8_t answer_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	switch ((enum state)y->state) {
	case TOKEN: return token_byte(c, y, b);
	case DONE: return done_byte(c, y, b);
	case LENGTH: return length_byte(c, y, b, 2);
	case LONG_LENGTH: case FEATURE_LENGTH: return length_byte(c, y, b, 4);
	case ERROR: b = error_byte(y, b); break;
	case ACK: b = ack_byte(c, y, b); break;
	case CHANGE: b = y->part++ == 0 && b <= 24 ? b : 0; break;
	case PASS: b = 0; break;
	case FEATURE:
		go(y, b == 0xff ? TOKEN : FEATURE_LENGTH);
		return b < LOW || b == 0xff ? b : 0;
	case FEATURE_PASS: return passing(y, FEATURE, 0);
	case COLUMNS: return columns_byte(c, y, b);
	case COLUMN:
		if (++y->part == (since_72(c) ? 6 : 4))
			mask_tds_type_begin(y, true);
		return 0;
	case COLUMN_NAME_LEN:
		return chars_byte(c, y, b, COLUMN_NAME, y->memory[COLUMN_AT] < y->memory[COLUMNS_KNOWN] ? COLUMN : TOKEN);
	case COLUMN_NAME: return passing(y, y->memory[COLUMN_AT] < y->memory[COLUMNS_KNOWN] ? COLUMN : TOKEN, y->length % 2 ? 0 : 'x');
	case BITMAP: return bitmap_byte(c, y, b);
	case RETURN: return return_byte(c, y, b);
	case RETURN_NAME: return passing(y, RETURN_FLAGS, y->length % 2 ? 0 : 'x');
	case RETURN_FLAGS:
		if (++y->part == (since_72(c) ? 7 : 5))
			mask_tds_type_begin(y, false);
		return 0;
	default: return 0;
	}
	if (passed(y))
		go(y, TOKEN);
	return b;
}

/* What may be a DONE, at the end of a message of which the rest is not read. */
static uint8_t rest_byte(const struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	if (!is_server(c, y))
		return 'x';
	if (!(y->flags & EOM) || y->remain != done_len(c) + 1u || b < TDS_DONE)
		return 0;
	y->flags |= BLIND;
	go(y, DONE);
	return b;
}

static uint8_t body_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	if (y->flags & TLS)
		return 'x';
	/* The server answers a PRELOGIN with a response. */
	if (y->state == TOKEN && b == 0 && y->type == TDS_RESPONSE && y->flags & FIRST)
		go(y, PRELOGIN);
	y->flags &= ~(uint32_t)FIRST;
	if (y->state == REST)
		return rest_byte(c, y, b);
	if (y->state == PRELOGIN || y->state == PRELOGIN_VALUES)
		return prelogin_byte(c, y, b);
	if (y->state >= TYPE)
		return mask_tds_walked_byte(c, y, b);
	return is_server(c, y) ? answer_byte(c, y, b) : request_byte(c, y, b);
}

/* --- packets --- */

static void message_begin(struct mask_conn *c, struct mask_way *y)
{
	bool lost = !y->flags && c->memory[0] & ANSWERS; /* or it is the first one */

	y->flags &= TLS;
	y->flags |= OPEN | FIRST;
	y->memory[TYPE_BYTE] = y->memory[SHAPE] = y->memory[PROC] = y->memory[PARAMETERS] = 0;
	switch (y->type) {
	case TDS_RESPONSE: go(y, TOKEN); break;
	case TDS_PRELOGIN: go(y, PRELOGIN); break;
	case TDS_LOGIN: go(y, LOGIN); break;
	case TDS_BATCH: case TDS_RPC: case TDS_TRANSACTION: go(y, HEADERS); break;
	default: go(y, REST);
	}
	/* Nor is known what was asked before an answer behind a loss. */
	if (!is_server(c, y) || lost)
		c->memory[0] &= ~(uint64_t)PREPARES;
	c->memory[0] |= is_server(c, y) ? ANSWERS : 0;
}

static uint8_t lose(struct mask_way *y)
{
	y->state = MASK_LOST;
	return 'x';
}

static uint16_t packet_length(const struct mask_way *y) { return load_be16((const uint8_t *)y->word + LENGTH_AT); }

/* A record of TLS, where its handshake was seen: type, version, length. */
static uint8_t tls_head_byte(struct mask_way *y, uint8_t b)
{
	unsigned at = y->digits++;

	if (at < 3)
		return at == 1 && b != 3 ? lose(y) : b;
	y->word[LENGTH_AT + at - 3] = (char)b;
	if (y->digits < TLS_HEAD)
		return b;
	y->remain = packet_length(y);
	y->digits = 0;
	y->flags = (y->flags & ~(uint32_t)TLS) | (y->remain ? TLS : 0u);
	return b;
}

static uint8_t head_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	unsigned at = y->digits;

	if (at == 0 && c->memory[0] & SECRET && b >= 0x14 && b <= 0x17)
		y->flags |= TLS;
	if (y->flags & TLS)
		return tls_head_byte(y, b);
	y->digits++;
	switch (at) {
	case 0:
		if (is_server(c, y) ? b != TDS_RESPONSE && b != TDS_PRELOGIN : !tds_is_request(b))
			return lose(y);
		/* Behind a hole it has no type, and goes on as what it is not known. */
		if (!(y->flags & OPEN) || (y->type && y->type != b)) {
			y->type = b;
			message_begin(c, y);
		}
		return b;
	case 1:
		y->flags = (y->flags & ~(uint32_t)EOM) | (b & TDS_EOM ? EOM : 0u);
		return b & ~TDS_STATUS ? lose(y) : b;
	case 2:
		y->word[LENGTH_AT] = (char)b;
		return b > TDS_PACKET_MAX >> 8 ? lose(y) : b;
	case 3:
		y->word[LENGTH_AT + 1] = (char)b;
		return packet_length(y) < TDS_HEAD ? lose(y) : b;
	case 6: return b; /* the packet's number */
	case HEAD_LAST:
		y->digits = 0;
		y->remain = packet_length(y) - (uint64_t)TDS_HEAD;
		if (!y->remain && y->flags & EOM)
			y->flags &= ~(uint32_t)OPEN;
		return 0;
	default: return 0; /* of whose process it is */
	}
}

static uint8_t one(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	if (!y->remain)
		return head_byte(c, y, b);
	uint8_t out = body_byte(c, y, b);
	y->remain--;
	if (!y->remain && y->flags & TLS)
		y->flags &= ~(uint32_t)TLS;
	else if (!y->remain && y->flags & EOM)
		y->flags &= ~(uint32_t)OPEN;
	return out;
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = y->state < MASK_LOST ? one(c, y, p[i]) : 'x';
}

/* What of a message was not captured says what the rest of it is. */
static void hole(struct mask_way *y)
{
	go(y, REST);
	y->memory[COLUMNS_KNOWN] = 0;
}

/* Many read a packet's head alone. */
static bool is_first_head(struct slice in)
{
	return in.len == TDS_HEAD && in.ptr[0] == TDS_PRELOGIN && in.ptr[1] == TDS_EOM && in.ptr[2] == 0 && !load_be16(in.ptr + 4) && in.ptr[6] <= 1 && tds_is_head(in, PROTO_TO_SERVER);
}

static enum mask_opens opens(struct slice in) { return is_first_head(in) || tds_detect(in, PROTO_TO_SERVER) == DETECT_CERTAIN ? MASK_OPENS_SURELY : MASK_OPENS_NOT; }

static bool begins(struct slice in)
{
	return in.len && in.ptr[0] != SMP && (tds_detect(in, PROTO_TO_SERVER) >= DETECT_LIKELY || tds_detect(in, PROTO_TO_CLIENT) >= DETECT_LIKELY);
}

const struct mask_ops mask_tds = { .opens = opens, .begins = begins, .mask = mask, .hole = hole, .ends_with_body = true };

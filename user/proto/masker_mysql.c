/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MySQL protocol 10 (dev.mysql.com/doc/dev/mysql-server: Client/Server Protocol) for shared recordings: see masker.h for what stays. A length whose
 * highest byte could be text is none, so that no more than two bytes of a secret pass for one. Way 0 is the server's, which greets.
 */
#include "proto/masker_way.h"
#include "proto/mysql_wire.h"

enum state { FIRST, HEAD, BODY };
/* Of a way. Bits 8 to 15: number of the packet under way. */
enum { SERVER = 1, GOES_ON = 2, RESULT = 4, HALFWAY = 8, INSIDE = 16 };
/* Of the connection. */
enum { GREETED = 1, LOGGED_IN = 2, COMMANDED = 4, COMPRESSES = 8 };
enum kind { OTHER, GREETING, LOGIN, TEXT, STATEMENT, OK, ERROR, END, COUNT, PREPARED, DEFINITION };
enum { LOW = 0x20, LOGIN_USER = 32 };

static const char *const keywords[] = {
	"select", "insert", "update", "delete", "replace", "begin", "commit", "rollback", "start", "load", "create", "alter", "drop", "truncate", "with", "set",
	"show", "explain", "describe", "values", "call", "do", "lock", "unlock", "handler", "savepoint", "release", "prepare", "execute", "deallocate", "analyze", "optimize",
	"check", "grant", "revoke", "flush", "kill", "use", "xa", "rename", "reset", NULL,
};

static bool is_command(uint8_t b) { return (b >= MYSQL_QUIT && b <= MYSQL_CLONE) || b == MYSQL_BULK_EXECUTE; }

/* Only a record that whole packets fill exactly, counting from a command's or a response's first: a secret that looks so would have to hold its own length. */
static bool begins(struct slice in)
{
	size_t at = 0;
	uint8_t seq = in.len > 3 ? in.ptr[3] : 2;

	while (seq <= 1 && in.len - at > 4) {
		size_t len = (size_t)in.ptr[at] | (size_t)in.ptr[at + 1] << 8 | (size_t)in.ptr[at + 2] << 16;
		bool begins = in.ptr[at + 3] == 0 && is_command(in.ptr[at + 4]);
		if (len == 0 || in.ptr[at + 2] >= LOW || len > in.len - at - 4 || (in.ptr[at + 3] != 1 && !begins && at == 0))
			return false;
		at += 4 + len;
	}
	return in.len && at == in.len;
}

/* Who begins with this greets as a server does. */
static bool greets(struct slice in)
{
	return in.len > 4 && in.ptr[1] < 2 && in.ptr[2] == 0 && in.ptr[3] == 0 && in.ptr[4] == 10;
}

/* What of a packet was not captured may have been its first byte, or a whole response's: what follows passes for rows, of which nothing stays. */
static void hole(struct mask_way *y)
{
	y->flags |= INSIDE | RESULT;
}

static uint8_t packet_number(const struct mask_way *y) { return (uint8_t)(y->flags >> 8); }

static void body_begin(struct mask_way *y)
{
	bool goes_on = y->flags & GOES_ON;

	y->remain = y->number & MYSQL_PACKET_MAX;
	y->flags = (y->flags & (SERVER | RESULT | HALFWAY)) | (goes_on ? INSIDE : 0) | (y->remain == MYSQL_PACKET_MAX ? GOES_ON : 0) | (uint32_t)(y->number >> 24) << 8;
	y->type = OTHER;
	y->length = y->number = y->digits = 0;
	word_clear(y);
	y->state = y->remain ? BODY : HEAD;
}

static uint8_t in_head(struct mask_way *y, uint8_t b)
{
	bool longest = b == 0xff && y->number == 0xffff;

	if (y->digits == 2 && b >= LOW && !longest) { /* 2 MiB and more: or text */
		y->state = MASK_LOST;
		return 'x';
	}
	y->number |= (uint64_t)b << 8 * y->digits;
	if (++y->digits == 4)
		body_begin(y);
	return b;
}

/* --- what the client sends --- */

static uint8_t command_begin(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	if (packet_number(y)) {
		if (c->mysql & LOGGED_IN || packet_number(y) > 2)
			return 'x'; /* what proves a password, or a file */
		c->mysql |= LOGGED_IN;
		y->type = LOGIN;
		y->number = b;
		return b;
	}
	if (!is_command(b))
		return 'x';
	c->mysql |= LOGGED_IN | COMMANDED;
	if (b != MYSQL_QUIT && b != MYSQL_LONG_DATA && b != MYSQL_CLOSE)
		c->mysql_due = b;
	if (b == MYSQL_QUERY || b == MYSQL_PREPARE)
		y->type = TEXT;
	else if ((b >= MYSQL_EXECUTE && b <= MYSQL_RESET) || b == MYSQL_FETCH || b == MYSQL_BULK_EXECUTE)
		y->type = STATEMENT;
	return b;
}

/* In front of the text may stand that it has no attributes: 0, 1. */
static uint8_t text_byte(struct mask_way *y, uint8_t b)
{
	if (y->length == 1 && b == 0) {
		y->digits = 1;
		return b;
	}
	if (y->length == 2 && y->digits == 1) {
		if (b != 1)
			y->word_len = MASK_WORD;
		return b == 1 ? b : 'x';
	}
	if (b == ' ' && word_in(y, keywords)) { /* shows that it is one */
		y->word_len = MASK_WORD;
		return b;
	}
	return word_feed(y, b, keywords) ? b : 'x';
}

/* Number of a statement, flags, how many times. */
static uint8_t statement_byte(const struct mask_way *y, uint8_t b)
{
	bool keep = y->length <= 2 || (y->length <= 4 && (b < LOW || b == 0xff)) || (y->length == 5 && (b < LOW || b == 0x80)) || (y->length == 6 && b <= 1) ||
		    (y->length <= 9 && b == 0);

	return keep ? b : 'x';
}

/* number: the flags, and above them how many bytes of the proof are left. digits: user, length of the proof, proof, the rest. */
static uint8_t login_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	if (y->length < 4) {
		y->number |= (uint64_t)b << 8 * y->length;
		if (y->length == 3 && y->remain == LOGIN_USER - 3 && y->number & MYSQL_SSL)
			c->secure_asked = true;
		if (y->length == 3 && y->number & (MYSQL_COMPRESS | MYSQL_ZSTD))
			c->mysql |= COMPRESSES;
		return b;
	}
	if (y->length < LOGIN_USER)
		return b == 0 ? b : 'x';
	switch (y->digits) {
	case 0:
		y->digits = b ? 0 : y->number & (MYSQL_SECURE_CONNECTION | MYSQL_AUTH_LENENC) ? 1 : 3;
		return b ? 'x' : b;
	case 1:
		if (b >= 0xfb) { /* longer than any */
			y->state = MASK_LOST;
			return 'x';
		}
		y->number = (uint64_t)b << 32;
		y->digits = b ? 2 : 3;
		return b;
	case 2:
		y->number -= UINT64_C(1) << 32;
		if (y->number >> 32 == 0)
			y->digits = 3;
		return 'x';
	default: return b ? 'x' : b;
	}
}

/* --- what the server sends --- */

static uint8_t response_begin(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	uint8_t due = packet_number(y) == 1 ? c->mysql_due : 0;

	if (due) {
		c->mysql_due = 0;
		y->flags &= ~(uint32_t)(RESULT | HALFWAY);
		if (due == MYSQL_FETCH)
			y->flags |= RESULT | HALFWAY;
	}
	bool row = y->flags & RESULT;
	if (b == 0xff) {
		y->type = ERROR;
	} else if (b == 0xfe && y->remain < MYSQL_EOF_MAX + 64) {
		y->type = c->mysql & COMMANDED ? END : OTHER; /* else another way to prove the password */
	} else if (b == 0 && !row && y->remain > 3) {
		y->type = due == MYSQL_PREPARE ? PREPARED : OK;
	} else if (b == 3 && y->remain > 4) {
		y->type = DEFINITION;
	} else if (!row && c->mysql & COMMANDED && y->remain <= 3 && b != 0xfb) {
		y->type = COUNT;
		y->flags |= RESULT;
	}
	return y->type || b < LOW || b == 0xfb ? b : 'x';
}

static uint8_t server_begin(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	if (c->mysql & GREETED) /* numbers begin again at 0 behind 255 */
		return response_begin(c, y, b);
	if (b == 0xff) {
		y->type = ERROR;
		return b;
	}
	if (b != 10) {
		y->state = MASK_LOST;
		return 'x';
	}
	c->mysql |= GREETED;
	y->type = GREETING;
	return b;
}

/* Version; number counts what stands behind it. */
static uint8_t greeting_byte(struct mask_way *y, uint8_t b)
{
	if (y->number == 0) {
		y->number = b == 0;
		return b == 0 || b == '.' || (b >= '0' && b <= '9') ? b : 'x';
	}
	uint64_t at = y->number++;
	bool flags = at == 14 || at == 15 || at == 19 || at == 20, length = at == 21 && b < 0x40;
	return flags || length || b == 0 ? b : 'x';
}

/* digits: the two numbers in front of the status, each with what is left of it in `number`; then the status. Numbers of more than a byte become zero. */
static uint8_t ok_byte(struct mask_way *y, uint8_t b)
{
	if (y->number) {
		y->number--;
		return 0;
	}
	if (y->digits < 2) {
		y->digits++;
		y->number = b == 0xfc ? 2 : b == 0xfd ? 3 : b == 0xfe ? 8 : 0;
		return y->number || b < LOW ? b : 0;
	}
	if (y->digits == 4)
		return 'x';
	y->digits++;
	return b;
}

static uint8_t end_byte(struct mask_way *y, uint8_t b, uint64_t len)
{
	if (len > 5)
		return ok_byte(y, b);
	return y->length <= 2 ? 0 : b;
}

static uint8_t error_byte(struct mask_way *y, uint8_t b)
{
	if (y->length <= 2)
		return b;
	if (y->length == 3) {
		y->digits = b == '#';
		return b == '#' ? b : 'x';
	}
	return y->digits && y->length <= 8 && ((b >= '0' && b <= '9') || (b >= 'A' && b <= 'Z')) ? b : 'x';
}

/* Number of the statement, of its columns, of its parameters. */
static uint8_t prepared_byte(const struct mask_way *y, uint8_t b)
{
	bool low = y->length == 1 || y->length == 2 || y->length == 5 || y->length == 7;

	return low || (y->length <= 8 && b < LOW) || (y->length <= 12 && b <= 1) ? b : 'x';
}

static uint8_t definition_byte(struct mask_way *y, uint8_t b)
{
	if (y->length <= 3 && b == (uint8_t)"\3def"[y->length])
		return b;
	y->type = OTHER;
	return 'x';
}

/* --- bytes --- */

static uint8_t body_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	if (!(y->flags & INSIDE)) {
		y->flags |= INSIDE;
		return y->flags & SERVER ? server_begin(c, y, b) : command_begin(c, y, b);
	}
	switch ((enum kind)y->type) {
	case GREETING: return greeting_byte(y, b);
	case LOGIN: return login_byte(c, y, b);
	case TEXT: return text_byte(y, b);
	case STATEMENT: return statement_byte(y, b);
	case OK: return ok_byte(y, b);
	case ERROR: return error_byte(y, b);
	case END: return end_byte(y, b, y->length + y->remain);
	case COUNT: return b;
	case PREPARED: return prepared_byte(y, b);
	case DEFINITION: return definition_byte(y, b);
	case OTHER: break;
	}
	return 'x';
}

/* What the end of a packet means for those behind it. */
static void body_end(struct mask_conn *c, struct mask_way *y)
{
	bool opaque = c->secure_asked || (y->type == OK && y->flags & SERVER && c->mysql & COMPRESSES && !(c->mysql & COMMANDED));

	if (y->type == END && y->length <= 5 && !(y->flags & HALFWAY)) /* of the definitions, perhaps */
		y->flags |= HALFWAY;
	else if (y->type == END || y->type == ERROR)
		y->flags &= ~(uint32_t)(RESULT | HALFWAY);
	y->state = HEAD;
	y->number = y->digits = 0;
	if (opaque) /* TLS, or compressed */
		c->ways[0].state = c->ways[1].state = MASK_OPAQUE;
}

static uint8_t one(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	switch (y->state) {
	case FIRST:
		y->flags = y == &c->ways[0] ? SERVER : 0;
		y->number = y->digits = 0;
		y->state = HEAD;
		return in_head(y, b);
	case HEAD: return in_head(y, b);
	case BODY: {
		uint8_t out = body_byte(c, y, b);
		y->length++;
		if (--y->remain == 0 && y->state == BODY)
			body_end(c, y);
		return out;
	}
	default: return 'x';
	}
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = one(c, y, p[i]);
}

static enum mask_opens opens(struct slice in) { return greets(in) ? MASK_OPENS_SURELY : MASK_OPENS_NOT; }

const struct mask_ops mask_mysql = { .opens = opens, .begins = begins, .mask = mask, .hole = hole };

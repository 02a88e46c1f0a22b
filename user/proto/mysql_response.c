/* SPDX-License-Identifier: Apache-2.0 */
/* What a MySQL server sends: see mysql.c. */
#include <stdio.h>

#include "proto/mysql_state.h"

enum {
	GREETING_HEAD = 516,
	ERROR_HEAD = 1024,
	ERROR_TEXT = 512,
	OK_HEAD = 512,     /* marker, two numbers, status, warnings, a text, news of the session */
	COUNT_HEAD = 11,
	DEFINITION_HEAD = 4,
	PREPARED_MIN = 12,
	ERROR_PROGRESS = 0xffff, /* MariaDB: no error but how far it is */
	ERROR_ASKED = 1000,      /* no error of a server has a lower number */
};

/* --- errors --- */

/* Number, "#" and SQLSTATE where the client is known to understand it, text. */
static void read_error(struct mysql_state *s, struct message *m, const struct mysql_packet *p)
{
	struct slice text = slice_from(slice_head(p->body, ERROR_HEAD - MYSQL_HEAD), 3), state = SLICE_NONE;

	snprintf(s->number, sizeof(s->number), "%u", load_le16(p->body.ptr + 1));
	if (text.len >= 6 && text.ptr[0] == '#') {
		state = slice_make(text.ptr + 1, 5);
		text = slice_from(text, 6);
	}
	struct slice number = slice_str(s->number);
	struct slice type = state.len && !slice_eq(state, SLICE_LIT("HY000")) && !memchr(state.ptr, 0, state.len) ? state : number;
	m->flags |= MESSAGE_ERROR;
	memcpy(m->error_type, type.ptr, type.len);
	m->error_type[type.len] = 0;
	message_add_str(m, ATTR_DB_RESPONSE_STATUS_CODE, number);
	if (text.len)
		message_add_str(m, ATTR_RAW_STATUS_MESSAGE, slice_head(text, ERROR_TEXT));
}

/* --- a response's beginning and end --- */

static void count_affected(struct mysql_state *s, uint64_t n)
{
	s->affects = true;
	if (n <= INT64_MAX && s->affected <= INT64_MAX - n)
		s->affected += n;
}

static void add_counts(struct mysql_state *s, struct message *m)
{
	if (s->counted && !s->rows_lost)
		message_add_int(m, ATTR_DB_RESPONSE_RETURNED_ROWS, (int64_t)s->rows);
	if (s->affects)
		message_add_int(m, ATTR_PLUMB_ROWS_AFFECTED, (int64_t)s->affected);
}

static struct message *response(struct parse_result *ret)
{
	ret->message.kind = MESSAGE_RESPONSE;
	return &ret->message;
}

static enum parse_status end_response(struct mysql_state *s, struct slice in, size_t total, struct parse_result *ret)
{
	struct message *m = response(ret);

	m->flags |= MESSAGE_END;
	if (!(m->flags & MESSAGE_ERROR))
		add_counts(s, m);
	s->phase = MYSQL_IDLE;
	s->auth = s->file = false;
	return mysql_emit(ret, in, total);
}

/* A packet within the response that says nothing itself but, if it is the first one, that the response has begun. */
static enum parse_status pass(struct slice in, size_t total, struct parse_result *ret)
{
	if (!(ret->message.flags & MESSAGE_BEGIN))
		return mysql_skip(ret, in, total);
	response(ret);
	return mysql_emit(ret, in, total);
}

static enum parse_status parse_error(struct mysql_state *s, const struct mysql_packet *p, struct slice in, struct parse_result *ret)
{
	if (s->command == MYSQL_PREPARE)
		mysql_memory_refuse(s->memory, s->statement);
	s->stream = false;
	read_error(s, response(ret), p);
	return end_response(s, in, MYSQL_HEAD + p->len, ret);
}

/* --- results --- */

/* Commands of which the server says how many rows they changed. */
static bool counts_rows(uint8_t command)
{
	return command == MYSQL_QUERY || command == MYSQL_EXECUTE || command == MYSQL_BULK_EXECUTE || command == MYSQL_UNKNOWN;
}

/* An OK, or the end of a result set: the response's end, or another result follows. */
static enum parse_status parse_ok(struct mysql_state *s, const struct mysql_packet *p, bool of_rows, struct slice in, struct parse_result *ret)
{
	struct mysql_memory *y = s->memory;
	struct mysql_ok ok;

	if (!mysql_ok(p, &ok))
		return PARSE_BAD;
	if (!of_rows && !ok.eof && counts_rows(s->command))
		count_affected(s, ok.affected);
	if (of_rows && s->old_eof == 0)
		s->old_eof = ok.eof ? 1 : -1;
	if (ok.status & MYSQL_MORE_RESULTS && s->command != MYSQL_LOGIN) {
		s->phase = MYSQL_FIRST;
		return pass(in, MYSQL_HEAD + p->len, ret);
	}
	if ((s->command == MYSQL_INIT_DB || s->command == MYSQL_QUERY) && y->asked.len) {
		y->database = y->asked;
		y->asked.len = 0;
	}
	if (s->agreed & MYSQL_SESSION_TRACK) {
		struct slice name = mysql_new_database(slice_head(p->body, OK_HEAD), &ok);
		if (name.len)
			mysql_name_set(&y->database, name);
	}
	if (s->command == MYSQL_LOGIN && s->agreed & MYSQL_COMPRESS)
		mysql_compressed_begin(s);
	else if (s->command == MYSQL_LOGIN && s->agreed & MYSQL_ZSTD) /* what follows is not read */
		ret->message.flags |= MESSAGE_SWITCH;
	return end_response(s, in, MYSQL_HEAD + p->len, ret);
}

/* Whole rows at once: there may be millions. */
static enum parse_status parse_rows(struct mysql_state *s, const struct mysql_packet *first, struct slice in, struct parse_result *ret)
{
	struct mysql_packet p = *first;
	size_t at = 0;

	s->phase = MYSQL_ROWS;
	do {
		s->rows++;
		s->reply_seq = (uint8_t)(p.seq + 1);
		s->reply_goes_on = p.len == MYSQL_PACKET_MAX;
		at += MYSQL_HEAD + p.len;
	} while (!s->reply_goes_on && mysql_packet(slice_from(in, at), &p) && p.body.len && p.seq == s->reply_seq && !mysql_ends_rows(&p) && p.body.ptr[0] != 0xff);
	return pass(in, at, ret);
}

static enum parse_status parse_row(struct mysql_state *s, const struct mysql_packet *p, struct slice in, struct parse_result *ret)
{
	if (mysql_ends_rows(p))
		return parse_ok(s, p, true, in, ret);
	return parse_rows(s, p, in, ret);
}

/* An EOF between definitions and rows is five bytes long, and no end of rows is where OK ends them. */
static bool is_eof(const struct mysql_packet *p) { return p->len == 5 && p->body.ptr[0] == 0xfe; }

static enum parse_status parse_defined(struct mysql_state *s, const struct mysql_packet *p, struct slice in, struct parse_result *ret)
{
	struct mysql_ok ok;

	if (!mysql_ends_rows(p) || !mysql_ok(p, &ok))
		return parse_row(s, p, in, ret);
	if (ok.status & MYSQL_CURSOR_EXISTS) { /* the rows wait for COM_STMT_FETCH */
		s->old_eof = ok.eof ? 1 : -1;
		s->counted = false;
		return end_response(s, in, MYSQL_HEAD + p->len, ret);
	}
	if (!ok.eof)
		return parse_row(s, p, in, ret);
	s->old_eof = 1;
	s->phase = MYSQL_ROWS;
	return pass(in, MYSQL_HEAD + p->len, ret);
}

static enum parse_status parse_definitions(struct mysql_state *s, const struct mysql_packet *p, struct slice in, struct parse_result *ret)
{
	if (!mysql_is_definition(p))
		return PARSE_BAD;
	if (--s->left == 0)
		s->phase = MYSQL_DEFINED;
	return pass(in, MYSQL_HEAD + p->len, ret);
}

/* --- prepared statements --- */

/* Definitions of parameters and of columns, each kind ended by an EOF where the old way was agreed on. */
static enum parse_status next_definitions(struct mysql_state *s, struct slice in, size_t total, struct parse_result *ret)
{
	if (s->left) {
		s->phase = MYSQL_PARAMETERS;
		return pass(in, total, ret);
	}
	if (s->old_eof > 0) {
		s->phase = MYSQL_PREPARED;
		return pass(in, total, ret);
	}
	s->left = s->columns;
	s->columns = 0;
	if (s->left) {
		s->phase = MYSQL_PARAMETERS;
		return pass(in, total, ret);
	}
	s->trail = s->old_eof == 0;
	return end_response(s, in, total, ret);
}

static enum parse_status parse_prepare_ok(struct mysql_state *s, const struct mysql_packet *p, struct slice in, struct parse_result *ret)
{
	size_t total = MYSQL_HEAD + p->len;

	mysql_memory_answer(s->memory, s->statement, load_le32(p->body.ptr + 1));
	s->columns = load_le16(p->body.ptr + 5);
	s->left = load_le16(p->body.ptr + 7);
	if (p->len > PREPARED_MIN && p->body.ptr[PREPARED_MIN] == 0) /* the client wants no definitions (CLIENT_OPTIONAL_RESULTSET_METADATA) */
		s->left = s->columns = 0;
	if (s->left == 0) {
		s->left = s->columns;
		s->columns = 0;
	}
	if (s->left == 0)
		return end_response(s, in, total, ret);
	s->phase = MYSQL_PARAMETERS;
	return pass(in, total, ret);
}

static enum parse_status parse_parameters(struct mysql_state *s, const struct mysql_packet *p, struct slice in, struct parse_result *ret)
{
	if (is_eof(p) && s->old_eof == 0) { /* of the parameters, it turns out */
		s->old_eof = 1;
		return pass(in, MYSQL_HEAD + p->len, ret);
	}
	if (!mysql_is_definition(p))
		return PARSE_BAD;
	s->left--;
	return next_definitions(s, in, MYSQL_HEAD + p->len, ret);
}

static enum parse_status parse_prepared(struct mysql_state *s, const struct mysql_packet *p, struct slice in, struct parse_result *ret)
{
	size_t total = MYSQL_HEAD + p->len;

	if (!is_eof(p))
		return PARSE_BAD;
	s->left = s->columns;
	s->columns = 0;
	if (s->left == 0)
		return end_response(s, in, total, ret);
	s->phase = MYSQL_PARAMETERS;
	return pass(in, total, ret);
}

/* --- the first packet --- */

/* The binary log: without an end unless the client asked for one. */
static enum parse_status parse_stream(struct mysql_state *s, struct slice in, size_t total, struct parse_result *ret)
{
	s->phase = MYSQL_STREAM;
	if (!s->stream)
		return pass(in, total, ret);
	response(ret)->flags |= MESSAGE_UNTIL_CLOSE;
	ret->consumed = total < in.len ? total : in.len;
	ret->skip = UINT64_MAX;
	return PARSE_MESSAGE;
}

static enum parse_status parse_result_set(struct mysql_state *s, const struct mysql_packet *p, struct slice in, struct parse_result *ret)
{
	uint64_t n;
	bool bare;

	if (!mysql_columns(p, &n, &bare))
		return PARSE_BAD;
	s->left = bare ? 0 : (uint32_t)n;
	s->counted = true;
	s->phase = bare ? MYSQL_DEFINED : MYSQL_DEFINITIONS;
	return pass(in, MYSQL_HEAD + p->len, ret);
}

/* The first packet of a response, or of another result of it. */
static enum parse_status parse_first(struct mysql_state *s, const struct mysql_packet *p, struct slice in, struct parse_result *ret)
{
	uint8_t first = p->body.ptr[0];
	size_t total = MYSQL_HEAD + p->len;

	switch (s->command) {
	case MYSQL_PREPARE:
		return first == 0 && p->len >= PREPARED_MIN ? parse_prepare_ok(s, p, in, ret) : PARSE_BAD;
	case MYSQL_FETCH:
		s->counted = true;
		return parse_row(s, p, in, ret);
	case MYSQL_FIELD_LIST:
		s->phase = MYSQL_FIELDS;
		return first == 0xfe ? parse_ok(s, p, true, in, ret) : mysql_is_definition(p) ? pass(in, total, ret) : PARSE_BAD;
	case MYSQL_STATISTICS:
		return end_response(s, in, total, ret);
	case MYSQL_BINLOG_DUMP:
	case MYSQL_BINLOG_DUMP_GTID:
	case MYSQL_CLONE:
	case MYSQL_TABLE_DUMP:
		return first == 0xfe && p->len < MYSQL_EOF_MAX ? parse_ok(s, p, false, in, ret) : parse_stream(s, in, total, ret);
	case MYSQL_LOGIN:
	case MYSQL_CHANGE_USER:
		s->phase = MYSQL_AUTH;
		return first == 0 ? parse_ok(s, p, false, in, ret) : pass(in, total, ret);
	default:
		break;
	}
	if ((first == 0 && p->len > 2) || (first == 0xfe && p->len < MYSQL_EOF_MAX))
		return parse_ok(s, p, false, in, ret);
	if (first != 0xfb)
		return parse_result_set(s, p, in, ret);
	s->phase = MYSQL_INFILE;
	s->file = true;
	s->file_seq = (uint8_t)(p->seq + 1);
	return pass(in, total, ret);
}

/* --- any packet --- */

static enum parse_status parse_in_response(struct mysql_state *s, const struct mysql_packet *p, struct slice in, struct parse_result *ret)
{
	uint8_t first = p->body.ptr[0];
	size_t total = MYSQL_HEAD + p->len;

	if (first == 0xff && p->len > 2)
		return parse_error(s, p, in, ret);
	switch ((enum mysql_phase)s->phase) {
	case MYSQL_AUTH: return first == 0 ? parse_ok(s, p, false, in, ret) : mysql_skip(ret, in, total);
	case MYSQL_DEFINITIONS: return parse_definitions(s, p, in, ret);
	case MYSQL_DEFINED: return parse_defined(s, p, in, ret);
	case MYSQL_ROWS: return parse_row(s, p, in, ret);
	case MYSQL_FIELDS: return first == 0xfe ? parse_ok(s, p, true, in, ret) : mysql_skip(ret, in, total);
	case MYSQL_PARAMETERS: return parse_parameters(s, p, in, ret);
	case MYSQL_PREPARED: return parse_prepared(s, p, in, ret);
	case MYSQL_STREAM: return first == 0xfe && p->len < MYSQL_EOF_MAX ? parse_ok(s, p, false, in, ret) : mysql_skip(ret, in, total);
	case MYSQL_FIRST: case MYSQL_IDLE: case MYSQL_INFILE: break;
	}
	s->file = false;
	return parse_first(s, p, in, ret);
}

/* Takes the command that is answered out of those that are due. */
static void begin_response(struct mysql_state *s, const struct mysql_packet *p, struct parse_result *ret)
{
	struct mysql_memory *y = s->memory;
	struct mysql_due due = { 0 };

	if (y->due_len == 0) {
		s->early = true;
		s->early_ns = ret->time_ns;
	} else if (!s->lost_replies) {
		due = *mysql_due_first(y);
		mysql_due_pop(y);
	} else if (s->pipelined) { /* whose it is can only be guessed, and not what it answers */
		mysql_due_pop(y);
	} else {
		mysql_due_clear(y);
	}
	s->command = due.command;
	s->statement = due.statement;
	s->reply_seq = (uint8_t)(p->seq + 1);
	s->rows = s->affected = 0;
	s->rows_lost = s->counted = s->affects = false;
	s->phase = MYSQL_FIRST;
	response(ret)->flags |= MESSAGE_BEGIN;
}

static enum parse_status parse_greeting(struct mysql_state *s, const struct mysql_packet *p, struct slice in, struct parse_result *ret)
{
	struct slice version;
	size_t at = 1, total = MYSQL_HEAD + p->len;

	if (total > GREETING_HEAD)
		return PARSE_BAD;
	if (mysql_wants_more(ret, in, total, total))
		return PARSE_NEED_MORE;
	if (p->body.ptr[0] != 10 || !slice_string(p->body, &at, &version) || p->body.len < at + 20)
		return PARSE_BAD;
	at += 13; /* the connection's number, eight bytes to hash the password with, a NUL */
	s->offers = load_le16(p->body.ptr + at) | (uint32_t)load_le16(p->body.ptr + at + 5) << 16;
	return mysql_oneway(ret, in, total);
}

/* An error that answers nothing: the server takes no more clients, or one that idles is told to go. */
static enum parse_status parse_unasked(struct mysql_state *s, const struct mysql_packet *p, struct slice in, struct parse_result *ret)
{
	if (p->body.ptr[0] != 0xff || load_le16(p->body.ptr + 1) < ERROR_ASKED)
		return PARSE_BAD;
	if (s->talked)
		return mysql_oneway(ret, in, MYSQL_HEAD + p->len);
	ret->message.flags |= MESSAGE_BEGIN;
	message_add_str(response(ret), ATTR_DB_OPERATION_NAME, SLICE_LIT("CONNECT"));
	read_error(s, &ret->message, p);
	return end_response(s, in, MYSQL_HEAD + p->len, ret);
}

/* Bytes of a packet that are needed to know all that it says here. */
static size_t head_of(const struct mysql_state *s, const struct mysql_packet *p)
{
	bool begins = s->phase == MYSQL_IDLE || s->phase == MYSQL_FIRST || s->phase == MYSQL_INFILE || s->phase == MYSQL_AUTH;

	if (p->body.len == 0)
		return MYSQL_HEAD + 1;
	switch (p->body.ptr[0]) {
	case 0xff: return ERROR_HEAD;
	case 0xfe: return MYSQL_HEAD + OK_HEAD;
	case 0x00: return begins ? MYSQL_HEAD + OK_HEAD : MYSQL_HEAD + 1;
	default: break;
	}
	if (begins)
		return MYSQL_HEAD + COUNT_HEAD;
	return s->phase == MYSQL_ROWS || s->phase == MYSQL_DEFINED ? MYSQL_HEAD + 1 : MYSQL_HEAD + DEFINITION_HEAD;
}

static bool is_progress(const struct mysql_packet *p)
{
	return p->body.ptr[0] == 0xff && p->body.len >= 3 && load_le16(p->body.ptr + 1) == ERROR_PROGRESS;
}

/* A packet where a response begins. */
static enum parse_status parse_idle(struct mysql_state *s, const struct mysql_packet *p, struct slice in, struct parse_result *ret)
{
	struct mysql_due *due = s->memory->due_len ? mysql_due_first(s->memory) : NULL;

	if (s->trail && is_eof(p) && p->seq == s->reply_seq) {
		s->trail = false;
		s->old_eof = 1;
		return mysql_skip(ret, in, MYSQL_HEAD + p->len);
	}
	s->trail = false;
	if (p->seq == 0 && (!due || (due->seq != 0 && !s->compressed)))
		return p->body.ptr[0] == 0xff ? parse_unasked(s, p, in, ret) : parse_greeting(s, p, in, ret);
	bool in_turn = due ? s->lost_replies || due->seq == 0 || due->seq == p->seq : p->seq == 1;
	if (!in_turn && !s->compressed) /* there, some servers count frames and packets alike */
		return PARSE_BAD;
	if (is_progress(p)) {
		if (due && due->seq)
			due->seq++;
		return mysql_skip(ret, in, MYSQL_HEAD + p->len);
	}
	begin_response(s, p, ret);
	return parse_in_response(s, p, in, ret);
}

enum parse_status mysql_parse_response(struct mysql_state *s, struct slice in, struct parse_result *ret)
{
	struct mysql_packet p;

	if (!mysql_packet(in, &p)) {
		ret->need = MYSQL_HEAD;
		return PARSE_NEED_MORE;
	}
	if (s->reply_goes_on) {
		s->reply_seq = (uint8_t)(p.seq + 1);
		s->reply_goes_on = p.len == MYSQL_PACKET_MAX;
		return mysql_skip(ret, in, MYSQL_HEAD + p.len);
	}
	bool in_turn = s->compressed || s->phase == MYSQL_IDLE || s->phase == MYSQL_AUTH || s->phase == MYSQL_INFILE || p.seq == s->reply_seq;
	if (p.len == 0 || !in_turn)
		return PARSE_BAD;
	if (mysql_wants_more(ret, in, MYSQL_HEAD + p.len, head_of(s, &p)))
		return PARSE_NEED_MORE;
	if (s->phase == MYSQL_IDLE)
		return parse_idle(s, &p, in, ret);
	s->reply_seq = (uint8_t)(p.seq + 1);
	if (is_progress(&p))
		return mysql_skip(ret, in, MYSQL_HEAD + p.len);
	s->reply_goes_on = p.len == MYSQL_PACKET_MAX;
	return parse_in_response(s, &p, in, ret);
}

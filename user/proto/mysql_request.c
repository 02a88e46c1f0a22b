/* SPDX-License-Identifier: Apache-2.0 */
/* What a MySQL client sends: see mysql.c. */
#include "proto/mysql_state.h"

enum {
	STATEMENT_HEAD = 7168, /* leaves room for the rest in EXCHANGE_ARENA_LARGE_BYTES */
	QUERY_HEAD = 8192,     /* a longer command is not waited for */
	LOGIN_HEAD = 4096,
	NAME_HEAD = 512,
	NUMBERS_HEAD = 16,     /* a statement's id, flags, a position */
	LOGIN_USER = 32,       /* where the user's name begins */
	DUMP_NON_BLOCK = 1,    /* the binary log's end is the response's */
};

static const char no_statement[] = "statement_not_seen";
static const char gone_statement[] = "statement_not_kept";

static void add_text(struct message *m, enum attr_id id, const char *text)
{
	message_add_str(m, id, slice_str(text));
}

/*
 * Before a command: what is due? A client that never pipelined sends only when it has its response: if none was seen, it was in the hole. A response that came
 * before this command, by the clock, is this command's, and was passed on as nobody's. True: a response is due for this one.
 */
static bool begin_command(struct mysql_state *s, uint64_t time_ns)
{
	bool early = s->early && time_ns && time_ns <= s->early_ns;

	s->early = false;
	if (s->memory->due_len == 0 && s->phase == MYSQL_IDLE) {
		s->lost_replies = false;
	} else if (!s->lost_replies) {
		s->pipelined = true;
	} else if (!s->pipelined) {
		mysql_due_clear(s->memory);
		s->phase = MYSQL_IDLE;
		s->lost_replies = false;
	}
	if (!s->talked)
		s->joined = s->talked = true;
	s->auth = s->file = false;
	return !early;
}

static void add_database(struct message *m, const struct mysql_name *n)
{
	if (n->len)
		message_add_str(m, ATTR_DB_NAMESPACE, slice_make(n->text, n->len));
}

/* A request of one packet; one of several ends with the last of them. */
static enum parse_status emit_request(struct mysql_state *s, const struct mysql_packet *p, struct slice in, struct parse_result *ret)
{
	struct message *m = &ret->message;

	m->kind = MESSAGE_REQUEST;
	m->flags |= MESSAGE_BEGIN;
	s->request_goes_on = p->len == MYSQL_PACKET_MAX;
	if (!s->request_goes_on)
		m->flags |= MESSAGE_END;
	return mysql_emit(ret, in, MYSQL_HEAD + p->len);
}

/* The rest of a command that is longer than a packet. */
static enum parse_status go_on(struct mysql_state *s, const struct mysql_packet *p, struct slice in, struct parse_result *ret)
{
	struct mysql_due *due = mysql_due_last(s->memory);

	if (due && due->seq)
		due->seq = (uint8_t)(p->seq + 1);
	s->request_goes_on = p->len == MYSQL_PACKET_MAX;
	if (s->request_goes_on)
		return mysql_skip(ret, in, MYSQL_HEAD + p->len);
	ret->message.kind = MESSAGE_REQUEST;
	ret->message.flags = MESSAGE_END;
	return mysql_emit(ret, in, MYSQL_HEAD + p->len);
}

/* --- login --- */

/* HandshakeResponse41: the database stands behind the user's name and what proves the password, which are stepped over. */
static struct slice login_database(const struct mysql_state *s, struct slice body)
{
	struct slice user, proof, database;
	size_t at = LOGIN_USER;
	uint64_t len = 0;

	if (!(s->agreed & MYSQL_CONNECT_WITH_DB) || !slice_string(body, &at, &user))
		return SLICE_NONE;
	if (s->agreed & MYSQL_AUTH_LENENC) {
		if (!mysql_lenenc(body, &at, &len))
			return SLICE_NONE;
	} else if (s->agreed & MYSQL_SECURE_CONNECTION) {
		if (at >= body.len)
			return SLICE_NONE;
		len = body.ptr[at++];
	} else if (!slice_string(body, &at, &proof)) {
		return SLICE_NONE;
	}
	if (len > body.len - at)
		return SLICE_NONE;
	at += (size_t)len;
	return slice_string(body, &at, &database) ? database : SLICE_NONE;
}

static enum parse_status parse_login(struct mysql_state *s, const struct mysql_packet *p, struct slice in, struct parse_result *ret)
{
	size_t total = MYSQL_HEAD + p->len;

	if (p->len < LOGIN_USER || p->len > UINT16_MAX)
		return PARSE_BAD;
	if (mysql_wants_more(ret, in, total, LOGIN_HEAD))
		return PARSE_NEED_MORE;
	uint32_t flags = load_le32(p->body.ptr);
	if (!(flags & MYSQL_PROTOCOL_41)) /* of MySQL 3 and 4.0 */
		return PARSE_BAD;
	if (p->len == LOGIN_USER && flags & MYSQL_SSL) {
		ret->message.flags |= MESSAGE_SWITCH;
		ret->message.next = PLUMB_PROTO_TLS;
		return mysql_oneway(ret, in, total);
	}
	s->agreed = s->offers ? flags & s->offers : flags;
	s->flags_known = s->talked = s->auth = true;
	s->old_eof = s->agreed & MYSQL_DEPRECATE_EOF ? -1 : 1;
	mysql_name_set(&s->memory->database, login_database(s, slice_head(p->body, LOGIN_HEAD - MYSQL_HEAD)));
	add_database(&ret->message, &s->memory->database);
	add_text(&ret->message, ATTR_DB_OPERATION_NAME, "CONNECT");
	mysql_due_push(s->memory, (struct mysql_due){ .command = MYSQL_LOGIN, .seq = (uint8_t)(p->seq + 1) });
	return emit_request(s, p, in, ret);
}

/* --- commands --- */

/* "USE shop": from its success on, the database. */
static void read_use(struct mysql_state *s, struct slice text)
{
	while (text.len && text.ptr[0] == ' ')
		text = slice_from(text, 1);
	s->memory->asked.len = 0;
	if (!slice_ieq(slice_head(text, 4), SLICE_LIT("use ")))
		return;
	text = slice_from(text, 4);
	while (text.len && (text.ptr[0] == ' ' || text.ptr[0] == '`'))
		text = slice_from(text, 1);
	while (text.len && (text.ptr[text.len - 1] <= ' ' || text.ptr[text.len - 1] == '`' || text.ptr[text.len - 1] == ';'))
		text.len--;
	mysql_name_set(&s->memory->asked, slice_find(text, ' ', 0) == SIZE_MAX && slice_find(text, '`', 0) == SIZE_MAX ? text : SLICE_NONE);
}

static void read_query(struct mysql_state *s, struct message *m, struct slice body)
{
	size_t at;

	mysql_query_text(body, s->flags_known ? (s->agreed & MYSQL_QUERY_ATTRIBUTES) != 0 : -1, &at);
	if (at == 0) {
		add_text(m, ATTR_PLUMB_INCOMPLETE, no_statement); /* long attributes */
		add_text(m, ATTR_DB_OPERATION_NAME, "QUERY");
		return;
	}
	struct slice text = slice_head(slice_from(body, at), STATEMENT_HEAD);
	message_add_str(m, ATTR_RAW_STATEMENT, text);
	read_use(s, text);
}

/* COM_STMT_EXECUTE and what else names a statement by its id. */
static void read_statement(struct mysql_state *s, struct message *m, uint32_t id, const char *operation)
{
	struct slice text = mysql_memory_find(s->memory, id);

	if (text.len)
		message_add_str(m, ATTR_RAW_STATEMENT, text);
	else
		add_text(m, ATTR_PLUMB_INCOMPLETE, s->joined ? no_statement : gone_statement);
	if (operation || !text.len)
		add_text(m, ATTR_DB_OPERATION_NAME, operation ? operation : "EXECUTE");
}

/* "user\0", proof with its length, "database\0" */
static void read_change_user(struct mysql_state *s, struct slice body)
{
	struct slice user, database = SLICE_NONE;
	size_t at = 1;

	if (slice_string(body, &at, &user) && at < body.len) {
		at += 1u + body.ptr[at];
		if (!slice_string(body, &at, &database))
			database = SLICE_NONE;
	}
	mysql_name_set(&s->memory->database, database);
}

struct command_kind {
	const char *operation; /* NULL: the statement says it; a command without response has none */
	uint16_t head;         /* bytes of it that are waited for */
	bool silent;           /* has no response */
};

/* Rows without a name are no command that a client sends. */
static const struct command_kind kinds[256] = {
	[MYSQL_QUIT] = { NULL, 1, true },
	[MYSQL_INIT_DB] = { "INIT_DB", NAME_HEAD, false },
	[MYSQL_QUERY] = { NULL, QUERY_HEAD, false },
	[MYSQL_FIELD_LIST] = { "FIELD_LIST", 1, false },
	[MYSQL_CREATE_DB] = { "CREATE_DB", 1, false },
	[MYSQL_DROP_DB] = { "DROP_DB", 1, false },
	[MYSQL_REFRESH] = { "REFRESH", 1, false },
	[MYSQL_SHUTDOWN] = { "SHUTDOWN", 1, false },
	[MYSQL_STATISTICS] = { "STATISTICS", 1, false },
	[MYSQL_PROCESS_INFO] = { "PROCESS_INFO", 1, false },
	[MYSQL_PROCESS_KILL] = { "PROCESS_KILL", 1, false },
	[MYSQL_DEBUG] = { "DEBUG", 1, false },
	[MYSQL_PING] = { "PING", 1, false },
	[MYSQL_CHANGE_USER] = { "CHANGE_USER", NAME_HEAD, false },
	[MYSQL_BINLOG_DUMP] = { "BINLOG_DUMP", NUMBERS_HEAD, false },
	[MYSQL_TABLE_DUMP] = { "TABLE_DUMP", 1, false },
	[MYSQL_REGISTER_SLAVE] = { "REGISTER_SLAVE", 1, false },
	[MYSQL_PREPARE] = { "PREPARE", QUERY_HEAD, false },
	[MYSQL_EXECUTE] = { NULL, NUMBERS_HEAD, false },
	[MYSQL_LONG_DATA] = { NULL, 1, true },
	[MYSQL_CLOSE] = { NULL, NUMBERS_HEAD, true },
	[MYSQL_RESET] = { "RESET", NUMBERS_HEAD, false },
	[MYSQL_SET_OPTION] = { "SET_OPTION", 1, false },
	[MYSQL_FETCH] = { "FETCH", NUMBERS_HEAD, false },
	[MYSQL_BINLOG_DUMP_GTID] = { "BINLOG_DUMP_GTID", NUMBERS_HEAD, false },
	[MYSQL_RESET_CONNECTION] = { "RESET_CONNECTION", 1, false },
	[MYSQL_CLONE] = { "CLONE", 1, false },
	[MYSQL_BULK_EXECUTE] = { NULL, NUMBERS_HEAD, false },
};

/* What a command means for the state, and what it says. */
static void read_command(struct mysql_state *s, const struct mysql_packet *p, struct message *m, struct mysql_due *due)
{
	struct mysql_memory *y = s->memory;
	struct slice body = slice_head(p->body, kinds[p->body.ptr[0]].head); /* what is there beside is a matter of the cut */
	uint32_t id = body.len >= 5 ? load_le32(body.ptr + 1) : 0;

	switch (body.ptr[0]) {
	case MYSQL_QUERY:
		read_query(s, m, body);
		return;
	case MYSQL_PREPARE:
		message_add_str(m, ATTR_RAW_STATEMENT, slice_head(slice_from(body, 1), STATEMENT_HEAD));
		due->statement = mysql_memory_prepare(y, slice_from(body, 1));
		break;
	case MYSQL_EXECUTE:
	case MYSQL_BULK_EXECUTE:
	case MYSQL_RESET:
	case MYSQL_FETCH:
		read_statement(s, m, id, kinds[body.ptr[0]].operation);
		return;
	case MYSQL_INIT_DB:
		mysql_name_set(&y->asked, slice_from(body, 1));
		break;
	case MYSQL_CHANGE_USER:
		s->auth = true;
		mysql_memory_clear(y);
		read_change_user(s, body);
		break;
	case MYSQL_RESET_CONNECTION:
		mysql_memory_clear(y);
		break;
	case MYSQL_BINLOG_DUMP:
	case MYSQL_BINLOG_DUMP_GTID: {
		size_t flags = body.ptr[0] == MYSQL_BINLOG_DUMP ? 5 : 1;
		s->stream = body.len > flags && !(body.ptr[flags] & DUMP_NON_BLOCK);
		break;
	}
	default: break;
	}
	add_text(m, ATTR_DB_OPERATION_NAME, kinds[body.ptr[0]].operation);
}

static enum parse_status parse_command(struct mysql_state *s, const struct mysql_packet *p, struct slice in, struct parse_result *ret)
{
	const struct command_kind *k = &kinds[p->body.ptr[0]];
	size_t total = MYSQL_HEAD + p->len;

	if (k->head == 0)
		return PARSE_BAD;
	if (mysql_wants_more(ret, in, total, MYSQL_HEAD + k->head))
		return PARSE_NEED_MORE;
	if (k->silent) {
		if (p->body.ptr[0] == MYSQL_CLOSE && p->body.len >= 5)
			mysql_memory_close(s->memory, load_le32(p->body.ptr + 1));
		s->joined |= !s->talked;
		s->talked = true;
		s->request_goes_on = false;
		if (p->len == MYSQL_PACKET_MAX) { /* of a long value: the rest comes with a number and is passed over */
			s->file = true;
			s->file_seq = (uint8_t)(p->seq + 1);
		}
		return mysql_oneway(ret, in, total);
	}
	struct mysql_due due = { .command = p->body.ptr[0], .seq = 1 };
	bool expects = begin_command(s, ret->time_ns);
	bool moves = p->body.ptr[0] == MYSQL_INIT_DB || p->body.ptr[0] == MYSQL_CHANGE_USER;
	if (!moves)
		add_database(&ret->message, &s->memory->database);
	read_command(s, p, &ret->message, &due);
	if (moves)
		add_database(&ret->message, p->body.ptr[0] == MYSQL_INIT_DB ? &s->memory->asked : &s->memory->database);
	if (expects)
		mysql_due_push(s->memory, due);
	return emit_request(s, p, in, ret);
}

enum parse_status mysql_parse_request(struct mysql_state *s, struct slice in, struct parse_result *ret)
{
	struct mysql_packet p;

	if (!mysql_packet(in, &p)) {
		ret->need = MYSQL_HEAD;
		return PARSE_NEED_MORE;
	}
	if (s->request_goes_on)
		return go_on(s, &p, in, ret);
	if (s->file && (p.seq == s->file_seq || s->compressed)) {
		s->file_seq++;
		s->file = p.len > 0;
		return mysql_skip(ret, in, MYSQL_HEAD + p.len);
	}
	if (p.seq && s->auth)
		return mysql_skip(ret, in, MYSQL_HEAD + p.len);
	if (p.seq && !s->talked && p.seq <= 2)
		return parse_login(s, &p, in, ret);
	if (p.seq || p.len == 0)
		return PARSE_BAD;
	if (p.body.len == 0) {
		ret->need = MYSQL_HEAD + 1;
		return PARSE_NEED_MORE;
	}
	if (s->stream)
		return mysql_skip(ret, in, MYSQL_HEAD + p.len);
	return parse_command(s, &p, in, ret);
}

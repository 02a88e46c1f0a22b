/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MySQL and MariaDB client/server protocol 10 (https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html,
 * https://mariadb.com/kb/en/clientserver-protocol/): which packets make an exchange. Framing is mysql_wire.c, what the client sends mysql_request.c,
 * what the server sends mysql_response.c, what is remembered mysql_memory.c.
 *
 * Exchanges:
 *   login           HandshakeResponse41 .. OK or error; operation CONNECT. The server's greeting and what proves the password are passed over.
 *   COM_QUERY       the text .. the last of its results; several statements in one text, and all results of a procedure, are one exchange
 *   COM_STMT_*      PREPARE; EXECUTE and MariaDB's BULK_EXECUTE with the text that was prepared; FETCH; RESET
 *   other commands  named without COM_: PING, INIT_DB, CHANGE_USER ...
 * COM_QUIT, COM_STMT_CLOSE and COM_STMT_SEND_LONG_DATA have no response and are no exchanges. A replica's binary log is a response that lasts as long
 * as the connection.
 *
 * Commands are answered in order, each by one response, so responses have no key. What a response's packets mean depends on the command: those that
 * are due are queued. What was agreed on at login is not known where plumb joined later: each place where it matters is told by the packets
 * themselves.
 *
 * Not read: what follows a login that agrees on TLS or on compression by zstd, and what is compressed by zlib behind a loss. The connection is
 * counted as opaque.
 */
#include "proto/mysql_state.h"

static enum parse_status mysql_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct mysql_state *s = state;

	if (!s->memory)
		return PARSE_BAD;
	if (s->compressed)
		return mysql_parse_compressed(s, side, in, ret);
	return side == PROTO_TO_SERVER ? mysql_parse_request(s, in, ret) : mysql_parse_response(s, in, ret);
}

static void mysql_lost(void *state, enum proto_side side)
{
	struct mysql_state *s = state;

	if (!s->memory)
		return;
	s->given_up |= s->compressed;
	if (side == PROTO_TO_SERVER) {
		s->joined = s->joined || !s->talked;
		s->talked = true;
		s->request_goes_on = false;
		/* A command that was lost may have changed either. */
		s->memory->database.len = s->memory->asked.len = 0;
		s->memory->last = (struct mysql_ref){ 0 };
		return;
	}
	s->lost_replies = s->rows_lost = true;
	s->reply_goes_on = s->trail = false;
}

static size_t mysql_resync(void *state, enum proto_side side, struct slice in)
{
	struct mysql_state *s = state;
	bool rest, rows = side == PROTO_TO_CLIENT && (s->phase == MYSQL_ROWS || s->phase == MYSQL_DEFINED || s->phase == MYSQL_DEFINITIONS);
	size_t at;

	if (s->given_up)
		return 0;
	if (side == PROTO_TO_SERVER && (s->stream || s->file)) /* what a file holds may look like a command */
		return in.len;
	at = mysql_find(in, side, rows, &rest);
	if (at == in.len || side == PROTO_TO_SERVER)
		return at;
	if (rest) {
		s->phase = MYSQL_ROWS;
		s->reply_seq = in.ptr[at + 3];
	} else {
		s->phase = MYSQL_IDLE;
	}
	return at;
}

static void *mysql_open(struct proto_memory *memory)
{
	return mysql_memory_new(memory);
}

static void mysql_close(void *external)
{
	mysql_memory_free(external);
}

const struct proto_ops proto_mysql = {
	.name = "mysql",
	.id = PLUMB_PROTO_MYSQL,
	.state_size = sizeof(struct mysql_state),
	.detect = mysql_detect,
	.parse = mysql_parse,
	.resync = mysql_resync,
	.lost = mysql_lost,
	.resync_keep = MYSQL_RESYNC_KEEP,
	.open = mysql_open,
	.close = mysql_close,
	/* Rows are told apart by their heads, which lie anywhere in an I/O, and a response ends with its last bytes. */
	.want = { PLUMB_POLICY_ALL, PLUMB_POLICY_ALL },
};

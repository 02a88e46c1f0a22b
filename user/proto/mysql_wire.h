/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Framing of the MySQL client/server protocol 10: packets, numbers, and how they must look for detection and resynchronisation. Follows
 * https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html and, for what MariaDB adds, https://mariadb.com/kb/en/clientserver-protocol/. No state.
 */
#ifndef PLUMB_PROTO_MYSQL_WIRE_H
#define PLUMB_PROTO_MYSQL_WIRE_H

#include "proto/proto.h"

enum {
	MYSQL_HEAD = 4,              /* length and sequence number */
	MYSQL_PACKET_MAX = 0xffffff, /* a packet of this length goes on in the next one */
	MYSQL_RESYNC_KEEP = 512,
	MYSQL_EOF_MAX = 9,           /* 0xfe begins an EOF packet only in a shorter one: else it is the length of a column */
};

enum mysql_command {
	MYSQL_UNKNOWN = 0, /* COM_SLEEP on the wire, which no client sends */
	MYSQL_QUIT = 0x01,
	MYSQL_INIT_DB = 0x02,
	MYSQL_QUERY = 0x03,
	MYSQL_FIELD_LIST = 0x04,
	MYSQL_CREATE_DB = 0x05,
	MYSQL_DROP_DB = 0x06,
	MYSQL_REFRESH = 0x07,
	MYSQL_SHUTDOWN = 0x08,
	MYSQL_STATISTICS = 0x09,
	MYSQL_PROCESS_INFO = 0x0a,
	MYSQL_PROCESS_KILL = 0x0c,
	MYSQL_DEBUG = 0x0d,
	MYSQL_PING = 0x0e,
	MYSQL_CHANGE_USER = 0x11,
	MYSQL_BINLOG_DUMP = 0x12,
	MYSQL_TABLE_DUMP = 0x13,
	MYSQL_REGISTER_SLAVE = 0x15,
	MYSQL_PREPARE = 0x16,
	MYSQL_EXECUTE = 0x17,
	MYSQL_LONG_DATA = 0x18,
	MYSQL_CLOSE = 0x19,
	MYSQL_RESET = 0x1a,
	MYSQL_SET_OPTION = 0x1b,
	MYSQL_FETCH = 0x1c,
	MYSQL_BINLOG_DUMP_GTID = 0x1e,
	MYSQL_RESET_CONNECTION = 0x1f,
	MYSQL_CLONE = 0x20,
	MYSQL_BULK_EXECUTE = 0xfa, /* MariaDB */
	MYSQL_LOGIN = 0xff,        /* not on the wire: HandshakeResponse41 */
};

/* Capability flags of the handshake. */
#define MYSQL_CONNECT_WITH_DB 0x00000008u
#define MYSQL_COMPRESS 0x00000020u
#define MYSQL_PROTOCOL_41 0x00000200u
#define MYSQL_SSL 0x00000800u
#define MYSQL_SECURE_CONNECTION 0x00008000u
#define MYSQL_PLUGIN_AUTH 0x00080000u
#define MYSQL_AUTH_LENENC 0x00200000u
#define MYSQL_SESSION_TRACK 0x00800000u
#define MYSQL_DEPRECATE_EOF 0x01000000u
#define MYSQL_ZSTD 0x04000000u
#define MYSQL_QUERY_ATTRIBUTES 0x08000000u

/* Status flags of OK and EOF packets. */
#define MYSQL_MORE_RESULTS 0x0008u
#define MYSQL_CURSOR_EXISTS 0x0040u
#define MYSQL_SESSION_CHANGED 0x4000u

struct mysql_packet {
	size_t len;        /* of the payload */
	uint8_t seq;
	struct slice body; /* what there is of the payload */
};

/* False: fewer than four bytes. */
bool mysql_packet(struct slice in, struct mysql_packet *ret);
/* Length-encoded integer at *at, which moves behind it. False: there is none, or it ends behind `in`. */
bool mysql_lenenc(struct slice in, size_t *at, uint64_t *ret);
/* Bytes that the length-encoded integer which begins so takes; 0 if none does. */
size_t mysql_lenenc_size(uint8_t first);

/* What an OK packet, or the OK or EOF packet at the end of a result set, says. */
struct mysql_ok {
	uint64_t affected;
	uint16_t status;
	bool eof;   /* the short form */
	size_t end; /* of what is always there */
};

/* Payload that begins with 0x00 or 0xfe. False: it is none. */
bool mysql_ok(const struct mysql_packet *p, struct mysql_ok *ret);
/* The database that is in use from now on, as an OK packet says it where the client has asked for news of its session; empty if it says nothing of it. */
struct slice mysql_new_database(struct slice body, const struct mysql_ok *ok);
/* For a row's place: ends the rows rather than being one. */
static inline bool mysql_ends_rows(const struct mysql_packet *p) { return p->body.len && p->body.ptr[0] == 0xfe && p->len < MYSQL_PACKET_MAX; }
/* Begins as a column definition does. Needs four bytes. */
static inline bool mysql_is_definition(const struct mysql_packet *p) { return p->len > 4 && p->body.len >= 4 && memcmp(p->body.ptr, "\3def", 4) == 0; }
/* Number of columns, the first packet of a result set. False: it is none. *ret_bare: no definitions follow, the client remembers them. */
bool mysql_columns(const struct mysql_packet *p, uint64_t *ret_columns, bool *ret_bare);

/* Where the text lies in the payload of a COM_QUERY. *ret_at = 0: not within `body`. attributes: 1 agreed on, 0 not, -1 not known. */
void mysql_query_text(struct slice body, int attributes, size_t *ret_at);

int mysql_detect(struct slice in, enum proto_side side);
/*
 * Offset of the first command (to the server) or response (to the client) that stands there without doubt, or in.len. rows: the rest of a
 * result set will do, too; *ret_rest says that it is one.
 */
size_t mysql_find(struct slice in, enum proto_side side, bool rows, bool *ret_rest);

#endif

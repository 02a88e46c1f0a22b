/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How TDS 7.0 to 8.0 frames its messages and types its values: [MS-TDS] 2.2.3.1 (packet header), 2.2.5.4 (data types), [MC-SMP] 2.2 (sessions of
 * MARS). For proto/tds*.c and its masker only.
 */
#ifndef PLUMB_PROTO_TDS_WIRE_H
#define PLUMB_PROTO_TDS_WIRE_H

#include "proto/proto.h"

enum { TDS_HEAD = 8, TDS_PACKET_MAX = 32767, SMP_HEAD = 16, SMP_DATA_MAX = SMP_HEAD + TDS_PACKET_MAX, TDS_ALL_HEADERS_MAX = 1024 };

enum tds_type {
	TDS_BATCH = 1,
	TDS_RPC = 3,
	TDS_RESPONSE = 4,
	TDS_ATTENTION = 6,
	TDS_BULK = 7,
	TDS_FEDAUTH = 8,
	TDS_TRANSACTION = 14,
	TDS_LOGIN = 16,
	TDS_SSPI = 17,
	TDS_PRELOGIN = 18,
	SMP = 0x53,
};

enum { TDS_EOM = 1, TDS_STATUS = 0x1b };

enum smp_flag { SMP_SYN = 1, SMP_ACK = 2, SMP_FIN = 4, SMP_DATA = 8 };

enum tds_token {
	TDS_OFFSET = 0x78,
	TDS_RETURN_STATUS = 0x79,
	TDS_COLUMNS = 0x81,
	TDS_TABLE_NAME = 0xa4,
	TDS_COLUMN_INFO = 0xa5,
	TDS_ORDER = 0xa9,
	TDS_ERROR = 0xaa,
	TDS_INFO = 0xab,
	TDS_RETURN_VALUE = 0xac,
	TDS_LOGIN_ACK = 0xad,
	TDS_FEATURES = 0xae,
	TDS_ROW = 0xd1,
	TDS_NBC_ROW = 0xd2,
	TDS_ENV_CHANGE = 0xe3,
	TDS_SESSION_STATE = 0xe4,
	TDS_SSPI_TOKEN = 0xed,
	TDS_FEDAUTH_INFO = 0xee,
	TDS_DONE = 0xfd,
	TDS_DONE_PROC = 0xfe,
	TDS_DONE_IN_PROC = 0xff,
};

enum { TDS_DONE_MORE = 1, TDS_DONE_ERROR = 2, TDS_DONE_COUNT = 0x10, TDS_DONE_ATTENTION = 0x20, TDS_DONE_FATAL = 0x100, TDS_DONE_KNOWN = 0x137 };

enum { TDS_SELECT = 0xc1 }; /* the command of a DONE */

enum tds_encryption { TDS_ENCRYPT_OFF = 0, TDS_ENCRYPT_ON = 1, TDS_ENCRYPT_NONE = 2, TDS_ENCRYPT_REQUIRED = 3 };

/* How a value says its length. Up to TDS_FIXED_MAX: it has so many bytes. */
enum tds_shape {
	TDS_FIXED_MAX = 8,
	TDS_BYTE = 0x10, /* one byte of length */
	TDS_SHORT,       /* two, ffff = null */
	TDS_LONG,        /* four */
	TDS_TEXT,        /* a pointer with its length, a time stamp, four */
	TDS_PARTS,       /* eight of length or that it is not known, chunks up to one of 0 bytes */
	TDS_UNKNOWN,
};

/* What follows a type's byte, in this order. */
struct tds_type_info {
	uint8_t shape;
	uint8_t fixed;      /* bytes of lengths, precision, scale */
	uint8_t size_at;    /* where in these a length of two bytes stands that ffff makes TDS_PARTS, + 1; 0 = none */
	bool collation;     /* five bytes since 7.1 */
	bool table;         /* name of a table, in a result's columns */
	bool schema;        /* XML: one byte, and names if it is 1 */
	bool udt;           /* names; two bytes in front in a result's columns */
	bool text;          /* UTF-16 */
};

/* A packet's header with which a side's packet may begin. in.len >= TDS_HEAD. */
bool tds_is_request(uint8_t type); /* a type of packet that clients send */
bool tds_is_head(struct slice in, enum proto_side side);
/* A header of SMP. in.len >= SMP_HEAD. */
bool tds_is_smp(struct slice in);

struct tds_type_info tds_type_info(uint8_t type);

/*
 * UTF-16 to UTF-8, byte by byte over any cut. What does not fit is dropped whole. Zero with `text` and `cap` set is its start.
 */
struct tds_text {
	char *text;
	uint16_t cap, len;
	uint16_t high;   /* surrogate that waits for its other half */
	uint8_t odd;     /* half a unit */
	bool half;       /* `odd` is one */
	bool full;
};

void tds_text_begin(struct tds_text *t, char *text, size_t cap);
void tds_text_add(struct tds_text *t, struct slice utf16);

/* tds_detect.c */
int tds_detect(struct slice in, enum proto_side side);
/* Where a packet (of a session, if `mars`) begins, or in.len. since_72: requests have their headers. ret_first: a message begins with it, as far as can be told. */
size_t tds_find(struct slice in, enum proto_side side, bool mars, bool since_72, bool *ret_first);
enum { TDS_RESYNC_KEEP = SMP_HEAD + TDS_HEAD + 32 };

#endif

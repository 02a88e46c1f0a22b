/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How RESP looks (https://redis.io/docs/latest/develop/reference/protocol-spec/): heads with a length, inline commands, and what
 * may be the start of a request or a reply. No state.
 */
#ifndef PLUMB_PROTO_REDIS_WIRE_H
#define PLUMB_PROTO_REDIS_WIRE_H

#include "proto/proto.h"

enum {
	REDIS_HEAD_MAX = 32, /* "*<count>\r\n" with room; a longer one is not RESP */
	REDIS_NAME_MAX = 32, /* of a command */
	REDIS_COUNT_MAX = 0x7fffffff,
	REDIS_INLINE_ARGS = 4, /* of which the values can matter */
};

enum redis_scan { REDIS_SCAN_OK, REDIS_SCAN_MORE, REDIS_SCAN_BAD };

struct redis_head {
	char type;
	bool stream;  /* "?" for a length */
	bool null;    /* -1 */
	uint64_t n;
	size_t len;   /* with CRLF */
};

/* A confirmation's word, by what it is about. */
enum redis_confirm { REDIS_CONFIRM_NONE, REDIS_CONFIRM_CHANNEL, REDIS_CONFIRM_PATTERN, REDIS_CONFIRM_SHARD };

/* "<type><length>\r\n" at `at`. */
enum redis_scan redis_head_read(struct slice in, size_t at, struct redis_head *ret);

bool redis_name_char(uint8_t c);
/* Whether `s` may be the name of a command. */
bool redis_name_plausible(struct slice s);

/*
 * Splits an inline command as the server does: blanks separate, "..." takes escapes, '...' only \'. Gives the first
 * REDIS_INLINE_ARGS arguments and the number of all; ret_plain says that a view holds the argument as it is, else it has
 * escapes and only its extent is known. REDIS_SCAN_BAD: quotes are not balanced, the server refuses the line; what stands
 * before them is given. Else REDIS_SCAN_MORE.
 */
enum redis_scan redis_inline_split(struct slice line, struct slice *ret_args, bool *ret_plain, uint32_t *ret_n);

/* Whether the command is one of the six that subscribe or unsubscribe. */
bool redis_subscribes(struct slice name);

/* "+1700000000.123456 [0 127.0.0.1:6379] ...": what MONITOR shows, and no answer looks like. */
bool redis_monitor_line(struct slice line);
/* First strings of pub/sub messages, and of confirmations. */
bool redis_word_message(struct slice w);
enum redis_confirm redis_word_confirms(struct slice w);

int redis_detect(struct slice in, enum proto_side side);

#endif

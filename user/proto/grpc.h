/* SPDX-License-Identifier: Apache-2.0 */
/* What gRPC adds to HTTP/2: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md */
#ifndef PLUMB_PROTO_GRPC_H
#define PLUMB_PROTO_GRPC_H

#include "lib/slice.h"

enum { GRPC_PREFIX_BYTES = 5 };

/* Messages of one direction, followed over DATA frames: each has a prefix of a flag and four bytes of length. */
struct grpc_count {
	uint32_t left;     /* of the message under way, behind its prefix */
	uint32_t messages; /* whole prefixes seen */
	uint8_t have;      /* bytes of the prefix under way */
	uint8_t prefix[GRPC_PREFIX_BYTES];
	bool odd;          /* something that is no prefix was met: not counted any more */
};

void grpc_count_feed(struct grpc_count *c, struct slice data);
/* n bytes that need not be seen: not more than c->left. */
static inline void grpc_count_skip(struct grpc_count *c, uint32_t n) { c->left -= n; }
/* Whether all messages were whole. */
static inline bool grpc_count_whole(const struct grpc_count *c) { return !c->odd && c->left == 0 && c->have == 0; }

/* application/grpc with or without the name of an encoding; not grpc-web, which is framed otherwise. */
bool grpc_is_content_type(struct slice value);
/* Name of a status code, "" if it has none. */
struct slice grpc_status_name(uint64_t code);
/* grpc-timeout to nanoseconds, at most INT64_MAX. False if it is none. */
bool grpc_timeout_ns(struct slice value, uint64_t *ret_ns);
/* Undoes percent-encoding in place; returns the new length. */
size_t grpc_unescape(uint8_t *text, size_t len);

#endif

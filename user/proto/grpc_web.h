/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of gRPC-Web (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md): messages behind prefixes as gRPC has them, then trailers behind a prefix
 * of their own. As text all of it is base64, perhaps in several pieces that are padded each.
 */
#ifndef PLUMB_PROTO_GRPC_WEB_H
#define PLUMB_PROTO_GRPC_WEB_H

#include "lib/slice.h"

struct grpc_web {
	bool text;
	bool odd;          /* something that is no prefix was met */
	bool trailers;     /* what is under way is that */
	uint8_t have;      /* bytes of the prefix */
	uint8_t prefix[5];
	uint8_t digits;    /* of base64, of a group of four */
	uint32_t group;
	uint32_t left;     /* bytes of the message or trailers */
	uint32_t messages;
	uint8_t line_len;
	uint8_t line[24];  /* of the trailers, its head */
	uint8_t status;    /* 1 + grpc-status; 0 = not seen */
};

/* From a state of zeros but for `text`. */
void grpc_web_feed(struct grpc_web *g, struct slice in);

#endif

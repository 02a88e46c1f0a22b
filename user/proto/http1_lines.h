/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines of HTTP/1 (RFC 9112): start lines, header lines, and what of them is kept of a message under way. Targets and header values are cut at HTTP1_VALUE_MAX
 * bytes; a framing header's line and a status line have at most HTTP1_EARLY_BYTES. Obsolete line folding counts for framing headers only.
 */
#ifndef PLUMB_PROTO_HTTP1_LINES_H
#define PLUMB_PROTO_HTTP1_LINES_H

#include "proto/http1.h"
#include "proto/http_app.h"

enum {
	HTTP1_EARLY_BYTES = 3072, /* a block that is longer is given as it comes */
	HTTP1_VALUE_MAX = 2048,
};

#define FRAME_LENGTH 1u      /* Content-Length was there */
#define FRAME_BAD_LENGTH 2u  /* not a number, or several that differ */
#define FRAME_CODING 4u      /* Transfer-Encoding was there */
#define FRAME_CHUNKED 8u     /* its last coding is chunked */
#define FRAME_LINE_SEEN 16u  /* the start line was found good while its headers are awaited */
#define FRAME_H2C 32u        /* Upgrade names HTTP/2 */
#define FRAME_WEBSOCKET 64u  /* Upgrade names WebSocket */

enum known_header { HEADER_OTHER, HEADER_LENGTH, HEADER_CODING, HEADER_UPGRADE, HEADER_ATTR, HEADER_APP };
enum request_kind { KIND_NORMAL, KIND_HEAD, KIND_CONNECT, KIND_APP = KIND_CONNECT }; /* KIND_APP + enum http_app */

struct http1_side {
	uint8_t phase;    /* enum phase */
	uint8_t frame;    /* FRAME_* */
	uint8_t folding;  /* enum known_header that a folded line continues */
	uint8_t kind;     /* enum request_kind of the request being read */
	uint16_t status;
	bool unsure;      /* what comes may not be a message's start: after loss, or a body of unknown length */
	bool content;     /* the body is looked into, or was and has not said what it is */
	struct http_head head;
	uint32_t seen;    /* bit by index in header_attrs, from APP_SEEN on by enum http_field: only the first of a name counts */
	uint32_t scan;    /* bytes of the input known to hold no end */
	uint64_t length;  /* Content-Length; of what is looked into the bytes of the body, or chunk, that come; UINT64_MAX = until the stream ends */
	uint64_t body;    /* bytes of chunks so far */
};

/* A header line, of which the end (CR LF) is not part; whole: all of it is there. False: it is none, or must be whole to count. */
bool http1_take_header(struct http1_side *s, enum proto_side side, struct slice line, bool whole, struct message *m);

enum http1_walk { HTTP1_WALK_END, HTTP1_WALK_MORE, HTTP1_WALK_BAD };

/* Header lines from *at on. *at becomes the end of the block, or the start of the line that is not whole or not good. */
enum http1_walk http1_walk_headers(struct http1_side *s, enum proto_side side, struct slice in, size_t *at, struct message *m);

/* Length of the method at the start of `in`; 0 if there is none, SIZE_MAX if its blank is yet to come. */
size_t http1_method_len(struct slice in);
bool http1_take_target(struct http1_side *s, struct slice method, struct slice target, struct message *m);
bool http1_take_request_line(struct http1_side *s, struct slice line, struct message *m);
bool http1_take_status_line(struct http1_side *s, struct slice line, struct message *m);
bool http1_version_ok(struct slice v); /* HTTP/1.x */
struct slice http1_version_number(struct slice v);

#endif

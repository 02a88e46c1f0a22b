/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of the HTTP/2 parser: http2.c (frames to messages), http2_frame.c (frame headers, detection), http2_hpack.c (header
 * blocks), http2_streams.c (what is known of each stream), grpc.c (what gRPC adds). Specification: RFC 9113, RFC 7541.
 */
#ifndef PLUMB_PROTO_HTTP2_H
#define PLUMB_PROTO_HTTP2_H

#include <nghttp2/nghttp2.h>

#include "proto/grpc.h"
#include "proto/http_content.h"
#include "proto/memory.h"
#include "proto/proto.h"

enum {
	HTTP2_HEAD_BYTES = 9,          /* of each frame */
	HTTP2_FRAME_DEFAULT = 16384,   /* longest payload without other agreement */
	HTTP2_FRAME_MAX = 0xffffff,
	HTTP2_VALUE_MAX = 2048,        /* bytes of a header value that are kept */
	HTTP2_FIELDS_MAX = 20,
	HTTP2_KEEP = 4096,             /* a frame longer than this, cut by the end of the input, is not found after a loss */
};

enum http2_type {
	HTTP2_DATA, HTTP2_HEADERS, HTTP2_PRIORITY, HTTP2_RST_STREAM, HTTP2_SETTINGS, HTTP2_PUSH_PROMISE, HTTP2_PING, HTTP2_GOAWAY,
	HTTP2_WINDOW_UPDATE, HTTP2_CONTINUATION,
};

#define HTTP2_END_STREAM 1u /* DATA, HEADERS */
#define HTTP2_ACK 1u        /* SETTINGS, PING */
#define HTTP2_END_HEADERS 4u
#define HTTP2_PADDED 8u
#define HTTP2_WITH_PRIORITY 32u

struct http2_frame {
	uint32_t length; /* of the payload */
	uint32_t stream;
	uint8_t type, flags;
	bool reserved;
};

/* http2_frame.c */

/* `in` has at least HTTP2_HEAD_BYTES. */
struct http2_frame http2_frame_head(struct slice in);
uint32_t http2_u32(const uint8_t *p);
/* The connection preface of the client, of which `in` may be a head. */
bool http2_is_preface(struct slice in);
struct slice http2_preface(void);
int http2_detect(struct slice in, enum proto_side side);
/* Offset of the first frame that others, or a header block that can be walked to its end, make plausible; else in.len. */
size_t http2_find(struct slice in, enum proto_side side);

/* http2_hpack.c */

#define HTTP2_HAS_METHOD 1u
#define HTTP2_HAS_STATUS 2u
#define HTTP2_HAS_PSEUDO 4u   /* any, so that it is no trailer */
#define HTTP2_HAS_LENGTH 8u
#define HTTP2_HAS_UNKNOWN 16u /* a field came from a part of the table that was not seen */
#define HTTP2_HAS_GRPC 32u    /* content-type application/grpc */
#define HTTP2_HAS_GRPC_STATUS 64u
#define HTTP2_IS_HEAD 128u    /* method HEAD */
#define HTTP2_IS_CONNECT 256u
#define HTTP2_HAS_PATH 512u
#define HTTP2_HAS_HOST 1024u
#define HTTP2_IS_CUT 2048u    /* fields had no room */

/* What a header block says, as far as it is wanted. */
struct http2_block {
	uint32_t flags;
	uint32_t nfields;
	struct { uint16_t id, len; uint32_t at; } field[HTTP2_FIELDS_MAX]; /* values in `text` */
	uint32_t status;
	uint64_t length;     /* content-length */
	uint64_t grpc_status;
	uint64_t grpc_timeout_ns; /* 0 = none */
	struct http_head head;
	uint32_t text_len, text_cap;
	uint8_t *text;       /* of the budget; kept from block to block */
};

/* The decoder of one direction. */
struct http2_table {
	nghttp2_hd_inflater *inflater; /* NULL: made for the next block */
	bool midway;    /* what the peer has put into its table is not known, or not all of it */
	uint32_t bytes; /* assumed size of it then; 0 = the default */
	uint32_t failures;
};

void http2_table_done(struct http2_table *t);
/* Bytes of this direction were lost. */
void http2_table_lost(struct http2_table *t);
void http2_block_clear(struct http2_block *b);
/* Reads a part of a header block. False: it cannot be read, and the table is lost. */
bool http2_table_read(struct http2_table *t, nghttp2_mem *mem, struct slice part, bool last, struct http2_block *b);
/* The value of a field with this id. */
struct slice http2_block_value(const struct http2_block *b, enum attr_id id);

/* http2_streams.c */

#define HTTP2_BEGUN 1u   /* << side: the message was begun here */
#define HTTP2_ENDED 4u   /* << side */
#define HTTP2_BODY 16u   /* << side: a DATA frame was there */
#define HTTP2_RESET 64u
#define HTTP2_GRPC 128u

/* Request in [PROTO_TO_SERVER], response in [PROTO_TO_CLIENT], whoever sends them. */
struct http2_stream {
	uint32_t id; /* 0 = free */
	uint16_t flags;
	uint16_t losses[2]; /* of the direction when the message began */
	uint64_t body[2];   /* bytes of DATA without padding */
	struct grpc_count grpc[2];
	struct http_content *content[2]; /* where the body is looked into; given back when the message is over */
	uint8_t app;        /* enum http_app: what the request has turned out to be */
};

struct http2_streams {
	struct http2_stream *at; /* sets of HTTP2_WAYS; of the budget */
	uint32_t nsets;          /* a power of two; 0 before the first stream */
};

void http2_streams_done(struct http2_streams *t, struct proto_memory *memory);
/* NULL if it is not known. */
struct http2_stream *http2_stream_get(const struct http2_streams *t, uint32_t id);
/* A new one in place of one that is over. NULL where all that could give way are open: *ret_oldest is the one to end first. */
struct http2_stream *http2_stream_add(struct http2_streams *t, struct proto_memory *memory, uint32_t id, uint32_t *ret_oldest);

static inline bool http2_stream_over(const struct http2_stream *s)
{
	return s->id == 0 || s->flags & HTTP2_RESET ||
	       ((s->flags & HTTP2_ENDED << PROTO_TO_CLIENT) && (s->flags & HTTP2_ENDED << PROTO_TO_SERVER || !(s->flags & HTTP2_BEGUN << PROTO_TO_SERVER)));
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The content of one HTTP message, looked into as it passes: what the head says makes the choice, and no more than a fixed number of bytes of it is
 * read, in any pieces (of events all, as they are counted). gzip and deflate (RFC 9110, 8.4.1) are undone within the memory of parsers; br and zstd are not read.
 */
#ifndef PLUMB_PROTO_HTTP_CONTENT_H
#define PLUMB_PROTO_HTTP_CONTENT_H

#include "proto/http_app.h"
#include "proto/memory.h"

struct http_content;

/* Whether a body behind this head would be looked into. */
bool http_content_of_request(const struct http_head *h);
bool http_content_of_response(const struct http_head *h, enum http_app app);
/* Takes the place of what *c was, if anything; false without memory, and then *c is NULL. */
bool http_content_begin_request(struct http_content **c, struct proto_memory *memory, const struct http_head *h);
bool http_content_begin_response(struct http_content **c, struct proto_memory *memory, const struct http_head *h, enum http_app app);
void http_content_free(struct http_content *c);
/* How many of these bytes it takes: at least one, and not all where it wants to know exactly when the next one came. time_ns: of the first byte. */
size_t http_content_feed(struct http_content *c, struct slice in, uint64_t time_ns);
/* Bytes of it were not seen. */
void http_content_gap(struct http_content *c);
/* What comes is not wanted. */
bool http_content_done(const struct http_content *c);
/* Whether events have said themselves that they are over: clients do not wait for what HTTP says of it. */
bool http_content_over(const struct http_content *c);
/* The message is over. Attributes and errors go into m, as views into c. Returns what the request is; of a response what it was begun with. */
enum http_app http_content_end(struct http_content *c, struct message *m);

#endif

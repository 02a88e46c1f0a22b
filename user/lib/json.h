/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes JSON (RFC 8259) into a buffer: commas and nesting are kept here, so a writer cannot produce unbalanced text by
 * forgetting one. Strings that are not UTF-8 get U+FFFD for each bad byte. Errors are the buffer's (`failed`).
 */
#ifndef PLUMB_LIB_JSON_H
#define PLUMB_LIB_JSON_H

#include "lib/buffer.h"

struct json {
	struct buffer *out; /* not owned */
	uint32_t depth;
	uint64_t comma; /* bit per depth: the next element needs a comma */
};

void json_init(struct json *j, struct buffer *out);
void json_object(struct json *j);      /* { */
void json_object_end(struct json *j);
void json_array(struct json *j);       /* [ */
void json_array_end(struct json *j);
void json_key(struct json *j, const char *key); /* plain ASCII */
void json_key_slice(struct json *j, struct slice key);
void json_str(struct json *j, const char *s);
void json_slice(struct json *j, struct slice s);
void json_hex(struct json *j, const uint8_t *data, size_t len); /* a string of lower-case hex */
void json_i64(struct json *j, int64_t v);
void json_u64(struct json *j, uint64_t v);
void json_u64_str(struct json *j, uint64_t v); /* quoted, as OTLP/JSON wants 64-bit integers */
void json_i64_str(struct json *j, int64_t v);
void json_double(struct json *j, double v);    /* NaN and infinities as null */
void json_bool(struct json *j, bool v);
void json_null(struct json *j);

#endif

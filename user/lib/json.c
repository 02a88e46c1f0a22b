/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/json.h"

#include <math.h>

#include "lib/utf8.h"

void json_init(struct json *j, struct buffer *out)
{
	*j = (struct json){ .out = out };
}

static void json_element(struct json *j)
{
	if (j->comma >> j->depth & 1)
		buffer_append_byte(j->out, ',');
	j->comma |= 1ULL << j->depth;
}

static void json_open(struct json *j, uint8_t c)
{
	json_element(j);
	buffer_append_byte(j->out, c);
	j->depth++;
	j->comma &= ~(1ULL << j->depth);
}

static void json_close(struct json *j, uint8_t c)
{
	buffer_append_byte(j->out, c);
	j->depth--;
}

void json_object(struct json *j) { json_open(j, '{'); }
void json_object_end(struct json *j) { json_close(j, '}'); }
void json_array(struct json *j) { json_open(j, '['); }
void json_array_end(struct json *j) { json_close(j, ']'); }

static void json_escape(struct buffer *out, uint8_t c)
{
	switch (c) {
	case '"': buffer_append(out, "\\\"", 2); break;
	case '\\': buffer_append(out, "\\\\", 2); break;
	case '\n': buffer_append(out, "\\n", 2); break;
	case '\r': buffer_append(out, "\\r", 2); break;
	case '\t': buffer_append(out, "\\t", 2); break;
	default: buffer_printf(out, "\\u%04x", c); break;
	}
}

static void json_quote(struct json *j, struct slice s)
{
	size_t plain = 0; /* start of the run not written yet */
	size_t i = 0;

	buffer_append_byte(j->out, '"');
	while (i < s.len) {
		uint8_t c = s.ptr[i];
		size_t n = c < 0x20 || c == '"' || c == '\\' || c == 0x7f ? 0 : utf8_len(s.ptr + i, s.len - i);
		bool c1 = n == 2 && c == 0xc2 && s.ptr[i + 1] < 0xa0; /* U+0080 to U+009F steer terminals too */
		if (n && !c1) {
			i += n;
			continue;
		}
		buffer_append(j->out, s.ptr + plain, i - plain);
		if (c1)
			json_escape(j->out, s.ptr[++i]);
		else if (c < 0x80)
			json_escape(j->out, c);
		else
			buffer_append(j->out, "\xef\xbf\xbd", 3);
		plain = ++i;
	}
	if (s.len > plain)
		buffer_append(j->out, s.ptr + plain, s.len - plain);
	buffer_append_byte(j->out, '"');
}

void json_key_slice(struct json *j, struct slice key)
{
	json_element(j);
	json_quote(j, key);
	buffer_append_byte(j->out, ':');
	j->comma &= ~(1ULL << j->depth); /* the value follows without a comma and sets the bit again */
}

void json_key(struct json *j, const char *key) { json_key_slice(j, slice_str(key)); }
void json_str(struct json *j, const char *s) { json_slice(j, slice_str(s)); }

void json_slice(struct json *j, struct slice s)
{
	json_element(j);
	json_quote(j, s);
}

void json_hex(struct json *j, const uint8_t *data, size_t len)
{
	json_element(j);
	buffer_append_byte(j->out, '"');
	buffer_append_hex(j->out, data, len);
	buffer_append_byte(j->out, '"');
}

void json_u64(struct json *j, uint64_t v)
{
	json_element(j);
	buffer_append_u64(j->out, v);
}

void json_i64(struct json *j, int64_t v)
{
	json_element(j);
	if (v < 0)
		buffer_append_byte(j->out, '-');
	buffer_append_u64(j->out, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void json_u64_str(struct json *j, uint64_t v)
{
	json_element(j);
	buffer_append_byte(j->out, '"');
	buffer_append_u64(j->out, v);
	buffer_append_byte(j->out, '"');
}

void json_i64_str(struct json *j, int64_t v)
{
	json_element(j);
	buffer_append(j->out, "\"-", v < 0 ? 2 : 1);
	buffer_append_u64(j->out, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
	buffer_append_byte(j->out, '"');
}

void json_double(struct json *j, double v)
{
	json_element(j);
	if (isfinite(v))
		buffer_printf(j->out, "%.17g", v);
	else
		buffer_append_str(j->out, "null");
}

void json_bool(struct json *j, bool v)
{
	json_element(j);
	buffer_append_str(j->out, v ? "true" : "false");
}

void json_null(struct json *j)
{
	json_element(j);
	buffer_append_str(j->out, "null");
}

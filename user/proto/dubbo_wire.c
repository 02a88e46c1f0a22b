/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/dubbo_wire.h"

enum { DUBBO_MAGIC = 0xdabb, SERIALIZATION = 0x1f, TRACEPARENT = 55, TRACEPARENT_NEAR = 16, TRACEPARENT_AHEAD = 3 };
/* The first value of an answer. */
enum answer { THROWN = 0, VALUE = 1, NOTHING = 2, THROWN_ATTACHED = 3, VALUE_ATTACHED = 4, NOTHING_ATTACHED = 5, UNKNOWN };

const char *dubbo_status_name(uint8_t status)
{
	switch (status) {
	case DUBBO_STATUS_OK: return "OK";
	case 25: return "SERIALIZATION_ERROR";
	case 30: return "CLIENT_TIMEOUT";
	case 31: return "SERVER_TIMEOUT";
	case 35: return "CHANNEL_INACTIVE";
	case 40: return "BAD_REQUEST";
	case 50: return "BAD_RESPONSE";
	case 60: return "SERVICE_NOT_FOUND";
	case 70: return "SERVICE_ERROR";
	case 80: return "SERVER_ERROR";
	case 90: return "CLIENT_ERROR";
	case 100: return "SERVER_THREADPOOL_EXHAUSTED_ERROR";
	default: return NULL;
	}
}

/* ---- heads ---- */

enum dubbo_scan dubbo_head_read(struct slice in, struct dubbo_head *ret)
{
	if ((in.len > 0 && in.ptr[0] != DUBBO_MAGIC >> 8) || (in.len > 1 && in.ptr[1] != (DUBBO_MAGIC & 0xff)) || (in.len > 2 && (in.ptr[2] & SERIALIZATION) == 0))
		return DUBBO_BAD;
	if (in.len > 3 && (in.ptr[3] == 0) != ((in.ptr[2] & DUBBO_REQUEST) != 0))
		return DUBBO_BAD;
	if (in.len < DUBBO_HEAD)
		return DUBBO_SHORT;
	*ret = (struct dubbo_head){
		.id = load_be64(in.ptr + 4),
		.body = load_be32(in.ptr + 12),
		.flags = in.ptr[2] & (DUBBO_REQUEST | DUBBO_TWO_WAY | DUBBO_EVENT),
		.serialization = in.ptr[2] & SERIALIZATION,
		.status = in.ptr[3],
	};
	return ret->body <= DUBBO_BODY_MAX ? DUBBO_FITS : DUBBO_BAD;
}

/* ---- strings ---- */

/* So many characters of hessian2, which are UTF-16 units in UTF-8, at the start of *in. */
static bool hessian_chars(struct slice *in, size_t chars, struct slice *ret)
{
	size_t at = 0;

	for (; chars; chars--) {
		if (at >= in->len)
			return false;
		uint8_t c = in->ptr[at];
		at += c < 0x80 ? 1 : c < 0xe0 ? 2 : 3;
	}
	if (at > in->len)
		return false;
	*ret = slice_head(*in, at);
	*in = slice_from(*in, at);
	return true;
}

/* One string behind the other, empty where there is none. False: it is none, in parts, or not all there. */
static bool hessian_string(struct slice *in, struct slice *ret)
{
	size_t head = 1, chars = 0;

	*ret = SLICE_NONE;
	if (!in->len)
		return false;
	uint8_t c = in->ptr[0];
	if (c >= 0x30 && c <= 0x33) {
		head = 2;
		chars = in->len < head ? 0 : (size_t)(c & 3) << 8 | in->ptr[1];
	} else if (c == 'S') {
		head = 3;
		chars = in->len < head ? 0 : load_be16(in->ptr + 1);
	} else if (c < 0x20) {
		chars = c;
	} else if (c != 'N') {
		return false;
	}
	if (in->len < head)
		return false;
	*in = slice_from(*in, head);
	return hessian_chars(in, chars, ret);
}

/* A value of JSON alone in its line: a string without escapes, or null. */
static bool json_string(struct slice *in, struct slice *ret)
{
	size_t end = slice_find(*in, '\n', 0);

	*ret = SLICE_NONE;
	if (end == SIZE_MAX)
		return false;
	struct slice line = slice_head(*in, end);
	*in = slice_from(*in, end + 1);
	if (line.len && line.ptr[line.len - 1] == '\r')
		line.len--;
	if (slice_eq(line, SLICE_LIT("null")))
		return true;
	if (line.len < 2 || line.ptr[0] != '"' || line.ptr[line.len - 1] != '"' || slice_find(line, '\\', 0) != SIZE_MAX)
		return false;
	*ret = slice_make(line.ptr + 1, line.len - 2);
	return true;
}

/* A length of JSONB: a small number, or one with a byte or two behind. */
static bool jsonb_length(struct slice *in, size_t *ret)
{
	size_t head = 1;

	if (!in->len)
		return false;
	uint8_t c = in->ptr[0];
	if (c <= 0x2f)
		*ret = c;
	else if (c >= 0x38 && c <= 0x3f && in->len >= (head = 2))
		*ret = (size_t)(c - 0x38) << 8 | in->ptr[1];
	else if (c >= 0x44 && c <= 0x47 && in->len >= (head = 3))
		*ret = (size_t)(c - 0x44) << 16 | load_be16(in->ptr + 1);
	else
		return false;
	*in = slice_from(*in, head);
	return true;
}

/* A text of JSONB in ASCII or UTF-8, or null. */
static bool jsonb_text(struct slice *in, struct slice *ret)
{
	size_t len = 0;

	*ret = SLICE_NONE;
	if (!in->len)
		return false;
	uint8_t c = in->ptr[0];
	*in = slice_from(*in, 1);
	if (c == 0xaf)
		return true;
	if (c >= 0x49 && c <= 0x78)
		len = c - 0x49u;
	else if ((c != 0x79 && c != 0x7a) || !jsonb_length(in, &len))
		return false;
	if (len > in->len)
		return false;
	*ret = slice_head(*in, len);
	*in = slice_from(*in, len);
	return true;
}

/* A value of fastjson2 has its size in front. */
static bool fastjson2_value(struct slice *in, struct slice *ret)
{
	if (in->len < 4)
		return false;
	uint32_t size = load_be32(in->ptr);
	*in = slice_from(*in, 4);
	*ret = slice_head(*in, size);
	*in = slice_from(*in, size);
	return true;
}

static bool fastjson2_string(struct slice *in, struct slice *ret)
{
	struct slice value;

	*ret = SLICE_NONE;
	return fastjson2_value(in, &value) && jsonb_text(&value, ret);
}

static bool string_read(uint8_t serialization, struct slice *in, struct slice *ret)
{
	switch (serialization) {
	case DUBBO_HESSIAN2: return hessian_string(in, ret);
	case DUBBO_FASTJSON: return json_string(in, ret);
	case DUBBO_FASTJSON2: return fastjson2_string(in, ret);
	default: *ret = SLICE_NONE; return false;
	}
}

/* ---- requests ---- */

void dubbo_call_read(uint8_t serialization, struct slice body, struct dubbo_call *ret)
{
	struct slice dubbo;

	*ret = (struct dubbo_call){ .service = SLICE_NONE };
	if (!string_read(serialization, &body, &dubbo) || !string_read(serialization, &body, &ret->service) || !string_read(serialization, &body, &ret->version))
		return;
	(void)string_read(serialization, &body, &ret->method);
}

static bool is_hex(uint8_t c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

/* version-trace-parent-flags */
static bool is_traceparent(const uint8_t *p)
{
	for (size_t i = 0; i < TRACEPARENT; i++)
		if (i == 2 || i == 35 || i == 52 ? p[i] != '-' : !is_hex(p[i]))
			return false;
	return true;
}

/* The attachments, where it is told where they begin. Those of hessian2 are behind the arguments, whose end nobody knows who does not read them. */
static struct slice attachments_of(uint8_t serialization, struct slice body)
{
	struct slice value = SLICE_NONE;

	if (serialization == DUBBO_HESSIAN2)
		return body;
	if (serialization == DUBBO_FASTJSON) { /* a line */
		size_t end = body.len, at;
		while (end && (body.ptr[end - 1] == '\n' || body.ptr[end - 1] == '\r'))
			end--;
		for (at = end; at && body.ptr[at - 1] != '\n'; at--)
			;
		return slice_from(slice_head(body, end), at);
	}
	while (serialization == DUBBO_FASTJSON2 && body.len)
		if (!fastjson2_value(&body, &value))
			return SLICE_NONE;
	return value;
}

/*
 * A key and what it stands for have their lengths, or quotes, in front, which a text that has the same words has not by chance: in fastjson it cannot, as its quotes have backslashes; in the others
 * a caller who means to deceive can have them there, who could as well send the context itself. hessian2 may have a list's type in between.
 */
struct slice dubbo_traceparent(uint8_t serialization, struct slice body)
{
	static const struct { uint8_t serialization; struct slice name, ahead; uint8_t near; } how[] = {
		{ DUBBO_HESSIAN2, SLICE_LIT("\x0b" "traceparent"), SLICE_LIT("\x30\x37"), TRACEPARENT_NEAR },
		{ DUBBO_FASTJSON, SLICE_LIT("\"traceparent"), SLICE_LIT("\":\""), TRACEPARENT_AHEAD },
		{ DUBBO_FASTJSON2, SLICE_LIT("\x54" "traceparent"), SLICE_LIT("\x79\x38\x37"), TRACEPARENT_AHEAD },
	};
	struct slice in = attachments_of(serialization, body), found = SLICE_NONE;
	size_t h = 0;

	while (h < sizeof(how) / sizeof(how[0]) && how[h].serialization != serialization)
		h++;
	if (h == sizeof(how) / sizeof(how[0]))
		return SLICE_NONE;
	for (size_t at = slice_find(in, how[h].name.ptr[0], 0); at != SIZE_MAX; at = slice_find(in, how[h].name.ptr[0], at + 1)) {
		if (!slice_starts(slice_from(in, at), how[h].name))
			continue;
		size_t behind = at + how[h].name.len;
		for (size_t i = behind + how[h].ahead.len; i <= behind + how[h].near && i + TRACEPARENT <= in.len; i++) {
			if (!slice_starts(slice_from(in, i - how[h].ahead.len), how[h].ahead) || !is_traceparent(in.ptr + i))
				continue;
			found = slice_make(in.ptr + i, TRACEPARENT);
			break;
		}
	}
	return found;
}

/* ---- responses ---- */

static enum answer answer_kind(unsigned n) { return n <= NOTHING_ATTACHED ? (enum answer)n : UNKNOWN; }

/* What comes first in the body of a response that went well; *in goes behind it. */
static enum answer answer_read(uint8_t serialization, struct slice *in)
{
	struct slice value = *in;
	size_t head = serialization == DUBBO_FASTJSON ? 2 : 1;

	if (serialization == DUBBO_FASTJSON2) {
		if (!fastjson2_value(in, &value) || value.len < 2 || value.ptr[0] != 0xbd)
			return UNKNOWN;
		return answer_kind(value.ptr[1]);
	}
	if (value.len < head)
		return UNKNOWN;
	*in = slice_from(*in, head);
	if (serialization == DUBBO_HESSIAN2 && value.ptr[0] >= 0x90)
		return answer_kind(value.ptr[0] - 0x90u);
	if (serialization == DUBBO_FASTJSON && value.ptr[0] >= '0' && (value.ptr[1] == '\n' || value.ptr[1] == '\r'))
		return answer_kind(value.ptr[0] - (unsigned)'0');
	return UNKNOWN;
}

static bool is_class(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i], low = ascii_lower(c);
		if (!(low >= 'a' && low <= 'z') && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '$')
			return false;
	}
	return s.len && s.ptr[0] > '9';
}

/* fastjson: {"@type":"com.example.Thrown", ... */
static bool json_class(struct slice in, struct slice *ret)
{
	static const char before[] = "{\"@type\":\"";

	if (in.len && in.ptr[0] == '\n') /* of the line before */
		in = slice_from(in, 1);
	if (!slice_starts(in, SLICE_LIT(before)))
		return false;
	in = slice_from(in, sizeof(before) - 1);
	size_t end = slice_find(in, '"', 0);
	if (end == SIZE_MAX)
		return false;
	*ret = slice_head(in, end);
	return true;
}

/* An object begins with the definition of its class, or a map has it as its type. */
static bool class_read(uint8_t serialization, struct slice in, struct slice *ret)
{
	struct slice value = in;

	*ret = SLICE_NONE;
	if (serialization == DUBBO_HESSIAN2 && in.len && (in.ptr[0] == 'C' || in.ptr[0] == 'M')) {
		value = slice_from(in, 1);
		return hessian_string(&value, ret);
	}
	if (serialization == DUBBO_FASTJSON2 && fastjson2_value(&in, &value) && value.len && value.ptr[0] == 0x92) {
		value = slice_from(value, 1);
		return jsonb_text(&value, ret);
	}
	return serialization == DUBBO_FASTJSON && json_class(in, ret);
}

bool dubbo_thrown(uint8_t serialization, struct slice body, struct slice *ret_class)
{
	enum answer kind = answer_read(serialization, &body);

	*ret_class = SLICE_NONE;
	if (kind != THROWN && kind != THROWN_ATTACHED)
		return false;
	if (!class_read(serialization, body, ret_class) || !is_class(*ret_class))
		*ret_class = SLICE_NONE;
	return true;
}

/* ---- whether it is one ---- */

bool dubbo_first_fits(const struct dubbo_head *h, uint8_t c)
{
	bool text = h->flags & DUBBO_REQUEST || h->status != DUBBO_STATUS_OK;

	switch (h->serialization) {
	case DUBBO_HESSIAN2: return text ? c < 0x20 || (c >= 0x30 && c <= 0x33) || c == 'S' || c == 'R' || c == 'N' : c >= 0x90 && c <= 0x95;
	case DUBBO_FASTJSON: return text ? c == '"' || c == 'n' : c >= '0' && c <= '5';
	case DUBBO_FASTJSON2: return c == 0;
	default: return true;
	}
}

static bool body_fits(const struct dubbo_head *h, struct slice body)
{
	static const char *const serializations = "\x02\x03\x04\x06\x07\x08\x09\x0a\x0b\x0c\x10\x11\x15\x16\x17\x19\x1a";

	if (!strchr(serializations, h->serialization))
		return false;
	if (h->flags & DUBBO_EVENT)
		return h->body < DUBBO_REQUEST_MAX;
	return body.len && dubbo_first_fits(h, body.ptr[0]);
}

enum dubbo_scan dubbo_message_fits(struct slice in, struct dubbo_head *ret)
{
	enum dubbo_scan scan = dubbo_head_read(in, ret);

	if (scan != DUBBO_FITS)
		return scan;
	if (!(ret->flags & DUBBO_REQUEST) && (ret->flags & DUBBO_TWO_WAY || !dubbo_status_name(ret->status)))
		return DUBBO_BAD;
	if (ret->body && in.len == DUBBO_HEAD)
		return DUBBO_SHORT;
	return body_fits(ret, slice_head(slice_from(in, DUBBO_HEAD), ret->body)) ? DUBBO_FITS : DUBBO_BAD;
}

/* Heartbeats come from either side, and a server may ask, too (callbacks): what comes from the side that it usually comes from is surer. */
int dubbo_detect(struct slice in, enum proto_side side)
{
	struct dubbo_head h;

	switch (dubbo_message_fits(in, &h)) {
	case DUBBO_BAD: return DETECT_NO;
	case DUBBO_SHORT: return DETECT_MORE;
	case DUBBO_FITS: break;
	}
	if (h.flags & DUBBO_EVENT)
		return DETECT_LIKELY;
	return (h.flags & DUBBO_REQUEST) == (side == PROTO_TO_SERVER ? DUBBO_REQUEST : 0) ? DETECT_CERTAIN : DETECT_LIKELY;
}

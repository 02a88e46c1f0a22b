/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/http1_lines.h"

enum { NAME_MAX_BYTES = 256 /* where a header line's colon must be */ };

static const struct { struct slice name; enum attr_id id; } header_attrs[] = {
	{ { (const uint8_t *)"host", 4 }, ATTR_RAW_HOST },
	{ { (const uint8_t *)"traceparent", 11 }, ATTR_RAW_TRACEPARENT },
	{ { (const uint8_t *)"tracestate", 10 }, ATTR_RAW_TRACESTATE },
	{ { (const uint8_t *)"b3", 2 }, ATTR_RAW_B3 },
	{ { (const uint8_t *)"x-b3-traceid", 12 }, ATTR_RAW_B3_TRACE_ID },
	{ { (const uint8_t *)"x-b3-spanid", 11 }, ATTR_RAW_B3_SPAN_ID },
	{ { (const uint8_t *)"x-b3-sampled", 12 }, ATTR_RAW_B3_SAMPLED },
	{ { (const uint8_t *)"uber-trace-id", 13 }, ATTR_RAW_UBER_TRACE_ID },
	{ { (const uint8_t *)"user-agent", 10 }, ATTR_USER_AGENT_ORIGINAL },
	{ { (const uint8_t *)"x-forwarded-for", 15 }, ATTR_RAW_FORWARDED_FOR },
};
enum { APP_SEEN = sizeof(header_attrs) / sizeof(*header_attrs) };
enum { AT_HOST, AT_TRACEPARENT, AT_TRACESTATE, AT_B3, AT_B3_TRACE, AT_B3_SPAN, AT_B3_SAMPLED, AT_UBER, AT_AGENT, AT_FORWARDED };

static bool is_attr(struct slice name, unsigned index, unsigned *ret_index)
{
	*ret_index = index;
	return slice_ieq(name, header_attrs[index].name);
}

/* By length first: most headers of real traffic leave here without a comparison. */
static enum known_header header_kind(struct slice name, unsigned *ret_index)
{
	uint8_t first = ascii_lower(name.ptr[0]), last = ascii_lower(name.ptr[name.len - 1]);
	bool attr = false;

	switch (name.len) {
	case 2: attr = is_attr(name, AT_B3, ret_index); break;
	case 4: attr = is_attr(name, AT_HOST, ret_index); break;
	case 7: return slice_ieq(name, SLICE_LIT("upgrade")) ? HEADER_UPGRADE : HEADER_OTHER;
	case 10:
		if (first == 's' || first == 'x')
			return HEADER_APP; /* soapaction, x-amz-id-2 */
		attr = is_attr(name, last == 't' ? AT_AGENT : AT_TRACESTATE, ret_index);
		break;
	case 11:
		if (last == 's')
			return HEADER_APP; /* grpc-status */
		attr = is_attr(name, last == 't' ? AT_TRACEPARENT : AT_B3_SPAN, ret_index);
		break;
	case 12:
		if (first == 'c' || name.ptr[2] == 'a' || name.ptr[2] == 'A')
			return HEADER_APP; /* content-type, x-amz-target */
		attr = is_attr(name, ascii_lower(name.ptr[5]) == 't' ? AT_B3_TRACE : AT_B3_SAMPLED, ret_index);
		break;
	case 13:
		if (first == 'a')
			return HEADER_APP; /* authorization */
		attr = is_attr(name, AT_UBER, ret_index);
		break;
	case 14: return slice_ieq(name, SLICE_LIT("content-length")) ? HEADER_LENGTH : first == 'm' ? HEADER_APP : HEADER_OTHER; /* mcp-session-id */
	case 15: attr = is_attr(name, AT_FORWARDED, ret_index); break;
	case 16: return first == 'c' || first == 'x' ? HEADER_APP : HEADER_OTHER; /* content-encoding, x-amz-request-id */
	case 20: return first == 'm' ? HEADER_APP : HEADER_OTHER; /* mcp-protocol-version */
	case 17:
		if (first == 'x')
			return HEADER_APP; /* x-elastic-product */
		return slice_ieq(name, SLICE_LIT("transfer-encoding")) ? HEADER_CODING : HEADER_OTHER;
	}
	return attr ? HEADER_ATTR : HEADER_OTHER;
}

/* The next part of a comma-separated list; false at its end. */
static bool next_part(struct slice *list, struct slice *ret_part)
{
	if (list->len == 0)
		return false;
	size_t comma = slice_find(*list, ',', 0);
	*ret_part = http1_trim(slice_head(*list, comma));
	*list = comma == SIZE_MAX ? SLICE_NONE : slice_from(*list, comma + 1);
	return true;
}

static void take_length(struct http1_side *s, struct slice value)
{
	struct slice part;
	uint64_t n;

	while (next_part(&value, &part)) {
		if (part.len == 0)
			continue;
		if (!slice_u64(part, &n) || n > INT64_MAX || ((s->frame & FRAME_LENGTH) && n != s->length))
			s->frame |= FRAME_BAD_LENGTH;
		else
			s->length = n;
		s->frame |= FRAME_LENGTH;
	}
}

static void take_coding(struct http1_side *s, struct slice value)
{
	struct slice part;

	while (next_part(&value, &part)) {
		part = http1_trim(slice_head(part, slice_find(part, ';', 0)));
		/* identity is RFC 2616's word for none. */
		if (part.len == 0 || slice_ieq(part, SLICE_LIT("identity")))
			continue;
		s->frame |= FRAME_CODING;
		if (slice_ieq(part, SLICE_LIT("chunked")))
			s->frame |= FRAME_CHUNKED;
		else
			s->frame &= (uint8_t)~FRAME_CHUNKED;
	}
}

static void take_upgrade(struct http1_side *s, struct slice value)
{
	struct slice part;

	while (next_part(&value, &part)) {
		if (slice_ieq(part, SLICE_LIT("websocket")))
			s->frame |= FRAME_WEBSOCKET;
		else if (slice_ieq(part, SLICE_LIT("h2c")))
			s->frame |= FRAME_H2C;
	}
}

static void take_framing(struct http1_side *s, enum known_header kind, struct slice value)
{
	if (kind == HEADER_LENGTH)
		take_length(s, value);
	else if (kind == HEADER_CODING)
		take_coding(s, value);
	else if (kind == HEADER_UPGRADE)
		take_upgrade(s, value);
}

/* Bytes before the colon; 0 if there is none, or something there that is no text. */
static size_t name_len(struct slice line)
{
	for (size_t i = 0; i < line.len; i++) {
		if (line.ptr[i] == ':')
			return i;
		if (line.ptr[i] < 0x20 || line.ptr[i] > 0x7e)
			return 0;
	}
	return 0;
}

static void take_app_field(struct http1_side *s, struct slice name, struct slice value, struct message *m)
{
	struct http_app_attr attrs[HTTP_APP_ATTRS];
	enum http_field field = http_app_name(name);
	uint32_t bit = 1u << (APP_SEEN + field);

	if (s->seen & bit)
		return;
	s->seen |= bit;
	size_t n = http_app_field(&s->head, field, value, attrs);

	for (size_t i = 0; i < n; i++)
		message_add_str(m, (enum attr_id)attrs[i].id, attrs[i].value);
}

/* One header line, or the head of one longer than HTTP1_EARLY_BYTES. False if it is none. */
bool http1_take_header(struct http1_side *s, enum proto_side side, struct slice line, bool whole, struct message *m)
{
	if (http1_is_blank(line.ptr[0])) {
		if (s->folding != HEADER_OTHER && !whole)
			return false;
		take_framing(s, (enum known_header)s->folding, line);
		return true;
	}
	size_t colon = name_len(slice_head(line, NAME_MAX_BYTES));
	unsigned index = 0;

	if (colon == 0)
		return false;
	struct slice name = http1_trim(slice_head(line, colon));
	enum known_header kind = header_kind(name, &index);
	s->folding = HEADER_OTHER;
	if (kind == HEADER_OTHER)
		return true;
	if (kind == HEADER_APP) {
		take_app_field(s, name, http1_trim(slice_head(slice_from(line, colon + 1), HTTP1_VALUE_MAX)), m);
		return true;
	}
	if (kind == HEADER_ATTR) {
		if (side == PROTO_TO_CLIENT || (s->seen & 1u << index))
			return true;
		s->seen |= 1u << index;
		message_add_str(m, header_attrs[index].id, http1_trim(slice_head(slice_from(line, colon + 1), HTTP1_VALUE_MAX)));
		return true;
	}
	if (!whole || line.len + 2 > HTTP1_EARLY_BYTES)
		return false;
	s->folding = (uint8_t)kind;
	take_framing(s, kind, slice_from(line, colon + 1));
	return true;
}

enum http1_walk http1_walk_headers(struct http1_side *s, enum proto_side side, struct slice in, size_t *at, struct message *m)
{
	for (;;) {
		/* The scan mark speaks of the input's first line when nothing was consumed since. */
		size_t lf = slice_find(in, '\n', *at > s->scan ? *at : s->scan);
		if (lf == SIZE_MAX)
			return HTTP1_WALK_MORE;
		s->scan = 0;
		struct slice line = http1_line(in, *at, lf);
		if (line.len == 0) {
			*at = lf + 1;
			return HTTP1_WALK_END;
		}
		if (!http1_take_header(s, side, line, true, m))
			return HTTP1_WALK_BAD;
		*at = lf + 1;
	}
}

bool http1_version_ok(struct slice v)
{
	return v.len == HTTP1_VERSION_LEN && memcmp(v.ptr, "HTTP/1.", 7) == 0 && v.ptr[7] >= '0' && v.ptr[7] <= '9';
}

struct slice http1_version_number(struct slice v)
{
	return slice_make(v.ptr + 5, 3);
}

static bool is_token_byte(uint8_t c)
{
	return c > 0x20 && c < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", c);
}

size_t http1_method_len(struct slice in)
{
	for (size_t i = 0; i < in.len && i <= HTTP1_METHOD_MAX; i++) {
		if (in.ptr[i] == ' ')
			return i;
		if (!is_token_byte(in.ptr[i]))
			return 0;
	}
	return in.len > HTTP1_METHOD_MAX ? 0 : SIZE_MAX;
}

static enum request_kind method_kind(struct slice method)
{
	if (slice_eq(method, SLICE_LIT("HEAD")))
		return KIND_HEAD;
	return slice_eq(method, SLICE_LIT("CONNECT")) ? KIND_CONNECT : KIND_NORMAL;
}

bool http1_take_target(struct http1_side *s, struct slice method, struct slice target, struct message *m)
{
	target = slice_head(target, HTTP1_VALUE_MAX);
	if (target.len == 0)
		return false;
	for (size_t i = 0; i < target.len; i++)
		if (target.ptr[i] < 0x20 || target.ptr[i] == 0x7f)
			return false;
	m->kind = MESSAGE_REQUEST;
	message_add_str(m, ATTR_HTTP_REQUEST_METHOD, method);
	message_add_str(m, ATTR_RAW_TARGET, target);
	s->kind = (uint8_t)method_kind(method);
	http_app_target(&s->head, method, target);
	return true;
}

/* Blanks inside the target are not allowed, and sent nevertheless. */
bool http1_take_request_line(struct http1_side *s, struct slice line, struct message *m)
{
	size_t method = http1_method_len(line);

	line = slice_head(line, http1_trim(line).len); /* a method does not start with a blank: cuts the end alone */
	if (method == 0 || method == SIZE_MAX || line.len < method + 3 + HTTP1_VERSION_LEN)
		return false;
	size_t end = line.len - HTTP1_VERSION_LEN;
	if (line.ptr[end - 1] != ' ' || !http1_version_ok(slice_from(line, end)))
		return false;
	struct slice target = slice_make(line.ptr + method + 1, end - method - 1);
	if (!http1_take_target(s, slice_head(line, method), target.len > HTTP1_VALUE_MAX ? target : http1_trim(target), m))
		return false;
	message_add_str(m, ATTR_NETWORK_PROTOCOL_VERSION, http1_version_number(slice_from(line, end)));
	return true;
}

bool http1_take_status_line(struct http1_side *s, struct slice line, struct message *m)
{
	uint64_t status;

	if (line.len < 12 || !http1_version_ok(slice_head(line, HTTP1_VERSION_LEN)) || line.ptr[8] != ' ' || !slice_u64(slice_make(line.ptr + 9, 3), &status))
		return false;
	if (status < 100 || (line.len > 12 && line.ptr[12] != ' '))
		return false;
	m->kind = MESSAGE_RESPONSE;
	message_add_int(m, ATTR_HTTP_RESPONSE_STATUS_CODE, (int64_t)status);
	s->status = (uint16_t)status;
	return true;
}

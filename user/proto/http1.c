/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.0 and 1.1: RFC 9112 (messages), RFC 9110 (semantics).
 *
 * A header block that comes in one piece gives one event. One that is longer than EARLY_BYTES, or not all captured, is given as
 * it comes, so that a request with a hole in its headers is still a request. Bodies are skipped: by Content-Length with the same
 * event, by chunks, or until the stream ends; but those that the head says something of interest is in (http_content.h) are looked into first. Bounds: targets and header values are cut at VALUE_MAX bytes; header lines and
 * blocks may be of any length, but a framing header's line, a status line and a chunk's size line have at most EARLY_BYTES.
 * Obsolete line folding counts for framing headers only.
 */
#include "proto/http1.h"

#include "model/record.h"
#include "proto/http_content.h"

enum {
	EARLY_BYTES = 3072,
	VALUE_MAX = 2048,
	NAME_MAX_BYTES = 256, /* where a header line's colon must be */
	VERSION_TAIL = 16,    /* end of a long request line that is kept for its version */
	RUNS_MAX = 32,
	HEAD_WANTED = 16384,   /* of each call to the server: nginx's and Node's usual limits of a header line */
	REPLY_WANTED = 4096,
	EVENTS_WANTED = 65536, /* where server-sent events are counted */
};

enum phase {
	PHASE_START,
	PHASE_LINE_REST, /* of a request line longer than EARLY_BYTES */
	PHASE_HEADERS,
	PHASE_LINE_SKIP, /* rest of a header line longer than EARLY_BYTES */
	PHASE_CHUNK_SIZE,
	PHASE_CHUNK_END,
	PHASE_CHUNK_DATA, /* of a body that is looked into */
	PHASE_BODY,       /* the same, without chunks */
	PHASE_TRAILERS,
	PHASE_TRAILER_SKIP,
	PHASE_UNTIL_CLOSE,
	PHASE_SWITCHED,
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
enum { KIND_BITS = 4, KIND_MASK = 15, ONE = 1 << KIND_BITS };
_Static_assert(KIND_APP + HTTP_APP_COUNT <= ONE, "kinds");

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

/* What http1_open() gives. */
struct http1_conn {
	struct proto_memory *memory;      /* not owned; NULL: bodies are not looked into */
	struct http_content *content[2];  /* by side; kept for the next message */
};

/*
 * Methods of the requests whose responses are due, run-length encoded, as only HEAD, CONNECT and what is read of the response matter:
 * 10,000 pipelined GETs are one run.
 */
struct http1_state {
	struct http1_conn *conn;
	struct http1_side side[2];
	uint32_t run[RUNS_MAX]; /* length << KIND_BITS | kind */
	uint8_t first, runs;
	bool kinds_lost; /* a kind did not fit; until no response is due any more */
};

_Static_assert(sizeof(struct http1_state) <= CONNECTION_PARSER_BYTES, "parser state");

static void push_request(struct http1_state *s, enum request_kind kind)
{
	uint32_t *last = s->runs ? &s->run[(s->first + s->runs - 1u) % RUNS_MAX] : NULL;

	/* Out of runs: the count stays right and the kind is lost, so that a response may be taken for two or two for one. */
	bool same = last && (*last & KIND_MASK) == (uint32_t)kind;
	s->kinds_lost = s->runs && (s->kinds_lost || (!same && s->runs == RUNS_MAX));
	if (same || s->runs == RUNS_MAX) {
		if (*last < UINT32_MAX - ONE)
			*last += ONE;
		return;
	}
	s->run[(s->first + s->runs) % RUNS_MAX] = (uint32_t)ONE | (uint32_t)kind;
	s->runs++;
}

static enum request_kind pop_request(struct http1_state *s)
{
	if (s->runs == 0)
		return KIND_NORMAL;
	uint32_t *run = &s->run[s->first];
	enum request_kind kind = (enum request_kind)(*run & KIND_MASK);
	*run -= ONE;
	if (*run < ONE) {
		s->first = (uint8_t)((s->first + 1u) % RUNS_MAX);
		s->runs--;
	}
	return kind;
}

/* Responses were lost: without pipelining the next one answers the newest request. */
static void keep_newest_request(struct http1_state *s)
{
	if (s->runs == 0)
		return;
	uint32_t kind = s->run[(s->first + s->runs - 1u) % RUNS_MAX] & KIND_MASK;
	s->run[0] = (uint32_t)ONE | kind;
	s->first = 0;
	s->runs = 1;
}

/* What the newest request is has turned out behind its head. Where its response has come before, or there is no run left, nobody needs to know. */
static void tell_kind(struct http1_state *s, enum http_app app)
{
	uint32_t kind = KIND_APP + (uint32_t)app;
	uint32_t *last = s->runs ? &s->run[(s->first + s->runs - 1u) % RUNS_MAX] : NULL;

	if (!last || app == HTTP_APP_NONE || (*last & KIND_MASK) != KIND_NORMAL)
		return;
	uint32_t *before = s->runs > 1 ? &s->run[(s->first + s->runs - 2u) % RUNS_MAX] : NULL;
	if (*last >> KIND_BITS > 1) {
		if (s->runs == RUNS_MAX)
			return;
		*last -= ONE;
		s->run[(s->first + s->runs++) % RUNS_MAX] = (uint32_t)ONE | kind;
	} else if (before && (*before & KIND_MASK) == kind && *before < UINT32_MAX - ONE) {
		*before += ONE;
		s->runs--;
	} else {
		*last = (uint32_t)ONE | kind;
	}
}

static enum http_app app_of(const struct http1_side *s) { return s->kind > KIND_APP ? (enum http_app)(s->kind - KIND_APP) : HTTP_APP_NONE; }

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

/* One header line, or the head of one longer than EARLY_BYTES. False if it is none. */
static bool take_header(struct http1_side *s, enum proto_side side, struct slice line, bool whole, struct message *m)
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
		take_app_field(s, name, http1_trim(slice_head(slice_from(line, colon + 1), VALUE_MAX)), m);
		return true;
	}
	if (kind == HEADER_ATTR) {
		if (side == PROTO_TO_CLIENT || (s->seen & 1u << index))
			return true;
		s->seen |= 1u << index;
		message_add_str(m, header_attrs[index].id, http1_trim(slice_head(slice_from(line, colon + 1), VALUE_MAX)));
		return true;
	}
	if (!whole || line.len + 2 > EARLY_BYTES)
		return false;
	s->folding = (uint8_t)kind;
	take_framing(s, kind, slice_from(line, colon + 1));
	return true;
}

enum walk { WALK_END, WALK_MORE, WALK_BAD };

/* Header lines from *at on. *at becomes the end of the block, or the start of the line that is not whole or not good. */
static enum walk walk_headers(struct http1_side *s, enum proto_side side, struct slice in, size_t *at, struct message *m)
{
	for (;;) {
		/* The scan mark speaks of the input's first line when nothing was consumed since. */
		size_t lf = slice_find(in, '\n', *at > s->scan ? *at : s->scan);
		if (lf == SIZE_MAX)
			return WALK_MORE;
		s->scan = 0;
		struct slice line = http1_line(in, *at, lf);
		if (line.len == 0) {
			*at = lf + 1;
			return WALK_END;
		}
		if (!take_header(s, side, line, true, m))
			return WALK_BAD;
		*at = lf + 1;
	}
}

static enum parse_status need_more(struct http1_side *s, struct slice in)
{
	s->scan = in.len < UINT32_MAX ? (uint32_t)in.len : 0;
	return PARSE_NEED_MORE;
}

static enum parse_status consumed(struct parse_result *ret, enum parse_status status, size_t n)
{
	ret->consumed = n;
	return status;
}

static void begin_chunks(struct http1_side *s)
{
	s->phase = PHASE_CHUNK_SIZE;
	s->body = 0;
}

/* Whether this body is looked into: then its end is not the head's to tell. */
static bool look_into(struct http1_state *st, enum proto_side side, uint64_t length)
{
	struct http1_side *s = &st->side[side];
	struct http_content **c = &st->conn->content[side];
	bool request = side == PROTO_TO_SERVER;

	s->content = false;
	if (s->head.type == HTTP_TYPE_OTHER) /* nothing of it is of interest: most of what there is */
		return false;
	if (!(request ? http_content_of_request(&s->head) : http_content_of_response(&s->head, app_of(s))) || !st->conn->memory)
		return false;
	s->content = request ? http_content_begin_request(c, st->conn->memory, &s->head) : http_content_begin_response(c, st->conn->memory, &s->head, app_of(s));
	if (!s->content)
		return false;
	s->length = length;
	s->phase = PHASE_BODY;
	return true;
}

/* All that will be looked at has been. */
static void end_content(struct http1_state *st, enum proto_side side, struct message *m)
{
	struct http1_side *s = &st->side[side];
	enum http_app app = HTTP_APP_NONE;

	if (s->content)
		app = http_content_end(st->conn->content[side], m);
	s->content = false;
	if (side != PROTO_TO_SERVER)
		return;
	tell_kind(st, app == HTTP_APP_NONE && s->head.signs & HTTP_SIGN_SEARCH ? HTTP_APP_SEARCH : app);
}

/* RFC 9112 6.3 for requests. What it forbids (a coding that does not end in chunked, lengths that differ) has no known end. */
static void end_request_head(struct http1_state *st, struct http1_side *s, struct parse_result *ret)
{
	struct message *m = &ret->message;

	s->phase = PHASE_START;
	if (s->frame & FRAME_CHUNKED) {
		look_into(st, PROTO_TO_SERVER, 0);
		begin_chunks(s);
		return;
	}
	s->unsure = s->frame & (FRAME_CODING | FRAME_BAD_LENGTH);
	bool body = !s->unsure && s->frame & FRAME_LENGTH;
	if (body)
		message_add_int(m, ATTR_HTTP_REQUEST_BODY_SIZE, (int64_t)s->length);
	if (body && s->length && look_into(st, PROTO_TO_SERVER, s->length))
		return;
	m->flags |= MESSAGE_END;
	if (s->head.signs & HTTP_SIGN_SEARCH)
		tell_kind(st, HTTP_APP_SEARCH);
	if (!body || s->length == 0)
		return;
	m->flags |= MESSAGE_END_AFTER_SKIP;
	ret->skip = s->length;
}

static void switch_protocol(struct http1_state *st, uint16_t next, struct message *m)
{
	m->flags |= MESSAGE_END | MESSAGE_SWITCH;
	m->next = next;
	st->side[0].phase = st->side[1].phase = PHASE_SWITCHED;
}

/* RFC 9112 6.3 for responses, in its order. */
static void end_response_head(struct http1_state *st, struct http1_side *s, struct parse_result *ret)
{
	struct message *m = &ret->message;

	s->phase = PHASE_START;
	if (s->status < 200) {
		if (s->status != 101) {
			m->flags |= MESSAGE_END;
			return;
		}
		switch_protocol(st, s->frame & FRAME_WEBSOCKET ? PLUMB_PROTO_WEBSOCKET : s->frame & FRAME_H2C ? PLUMB_PROTO_HTTP2 : PLUMB_PROTO_NONE, m);
		if (m->next == PLUMB_PROTO_HTTP2)
			m->flags |= MESSAGE_INTERIM; /* the answer comes there, in stream 1 (RFC 7540, 3.2) */
		return;
	}
	if (s->head.type == HTTP_TYPE_EVENTS)
		ret->want = EVENTS_WANTED;
	if (s->kind == KIND_CONNECT && s->status < 300) {
		switch_protocol(st, MESSAGE_NEXT_ANY, m);
	} else if (s->kind == KIND_HEAD || s->status == 204 || s->status == 304) {
		m->flags |= MESSAGE_END;
	} else if (s->frame & FRAME_CHUNKED) {
		look_into(st, PROTO_TO_CLIENT, 0);
		begin_chunks(s);
	} else if ((s->frame & (FRAME_CODING | FRAME_BAD_LENGTH)) || !(s->frame & FRAME_LENGTH)) {
		m->flags |= MESSAGE_UNTIL_CLOSE;
		if (!(s->frame & FRAME_CODING) && look_into(st, PROTO_TO_CLIENT, UINT64_MAX))
			return;
		ret->skip = UINT64_MAX;
		s->phase = PHASE_UNTIL_CLOSE;
	} else {
		message_add_int(m, ATTR_HTTP_RESPONSE_BODY_SIZE, (int64_t)s->length);
		if (s->length && look_into(st, PROTO_TO_CLIENT, s->length))
			return;
		m->flags |= MESSAGE_END;
		if (s->length) {
			m->flags |= MESSAGE_END_AFTER_SKIP;
			ret->skip = s->length;
		}
	}
}

static void end_head(struct http1_state *st, enum proto_side side, struct parse_result *ret)
{
	const struct http_head *h = &st->side[side].head;

	if (h->type || h->signs || h->grpc)
		http_app_head(h, side == PROTO_TO_SERVER, &ret->message);
	if (side == PROTO_TO_SERVER)
		end_request_head(st, &st->side[side], ret);
	else
		end_response_head(st, &st->side[side], ret);
}

static bool version_ok(struct slice v)
{
	return v.len == HTTP1_VERSION_LEN && memcmp(v.ptr, "HTTP/1.", 7) == 0 && v.ptr[7] >= '0' && v.ptr[7] <= '9';
}

static struct slice version_number(struct slice v)
{
	return slice_make(v.ptr + 5, 3);
}

static bool is_token_byte(uint8_t c)
{
	return c > 0x20 && c < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", c);
}

/* Length of the method at the start of `in`; 0 if there is none, SIZE_MAX if its blank is yet to come. */
static size_t method_len(struct slice in)
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

static bool take_target(struct http1_side *s, struct slice method, struct slice target, struct message *m)
{
	target = slice_head(target, VALUE_MAX);
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
static bool take_request_line(struct http1_side *s, struct slice line, struct message *m)
{
	size_t method = method_len(line);

	line = slice_head(line, http1_trim(line).len); /* a method does not start with a blank: cuts the end alone */
	if (method == 0 || method == SIZE_MAX || line.len < method + 3 + HTTP1_VERSION_LEN)
		return false;
	size_t end = line.len - HTTP1_VERSION_LEN;
	if (line.ptr[end - 1] != ' ' || !version_ok(slice_from(line, end)))
		return false;
	struct slice target = slice_make(line.ptr + method + 1, end - method - 1);
	if (!take_target(s, slice_head(line, method), target.len > VALUE_MAX ? target : http1_trim(target), m))
		return false;
	message_add_str(m, ATTR_NETWORK_PROTOCOL_VERSION, version_number(slice_from(line, end)));
	return true;
}

static bool take_status_line(struct http1_side *s, struct slice line, struct message *m)
{
	uint64_t status;

	if (line.len < 12 || !version_ok(slice_head(line, HTTP1_VERSION_LEN)) || line.ptr[8] != ' ' || !slice_u64(slice_make(line.ptr + 9, 3), &status))
		return false;
	if (status < 100 || (line.len > 12 && line.ptr[12] != ' '))
		return false;
	m->kind = MESSAGE_RESPONSE;
	message_add_int(m, ATTR_HTTP_RESPONSE_STATUS_CODE, (int64_t)status);
	s->status = (uint16_t)status;
	return true;
}

/* Whether the bytes so far can become a start line; asked while its end is yet to come. */
static bool start_plausible(enum proto_side side, struct slice in)
{
	static const uint8_t prefix[] = "HTTP/1.";

	if (side == PROTO_TO_CLIENT)
		return memcmp(in.ptr, prefix, in.len < 7 ? in.len : 7) == 0;
	return method_len(in) != 0;
}

static bool has_block_end(struct slice in, size_t from)
{
	for (size_t lf = slice_find(in, '\n', from); lf != SIZE_MAX; lf = slice_find(in, '\n', lf + 1)) {
		if (lf + 1 < in.len && in.ptr[lf + 1] == '\n')
			return true;
		if (lf + 2 < in.len && in.ptr[lf + 1] == '\r' && in.ptr[lf + 2] == '\n')
			return true;
	}
	return false;
}

/* The message's first event is on its way: who is asked what, or answered how, is known. */
static void begin_message(struct http1_state *st, enum proto_side side, struct message *m)
{
	struct http1_side *s = &st->side[side];

	m->flags |= MESSAGE_BEGIN;
	s->scan = 0;
	s->unsure = false;
	s->frame &= (uint8_t)~FRAME_LINE_SEEN;
	s->phase = PHASE_HEADERS;
	if (side == PROTO_TO_SERVER) {
		push_request(st, (enum request_kind)s->kind);
		m->flags |= st->kinds_lost ? MESSAGE_UNSURE : 0;
	} else if (s->status >= 200) {
		s->kind = (uint8_t)pop_request(st);
	} else if (s->status != 101) {
		m->flags |= MESSAGE_INTERIM;
	}
}

/* A request line that has not ended after EARLY_BYTES: its target is cut, its version waits for its end. */
static enum parse_status long_request_line(struct http1_state *st, struct slice in, struct parse_result *ret)
{
	struct http1_side *s = &st->side[PROTO_TO_SERVER];
	size_t method = method_len(in);

	s->head = (struct http_head){ 0 };
	if (method == 0 || method == SIZE_MAX || !take_target(s, slice_head(in, method), slice_from(in, method + 1), &ret->message))
		return PARSE_BAD;
	begin_message(st, PROTO_TO_SERVER, &ret->message);
	s->phase = PHASE_LINE_REST;
	return consumed(ret, PARSE_MESSAGE, in.len - VERSION_TAIL);
}

static enum parse_status parse_start(struct http1_state *st, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct http1_side *s = &st->side[side];
	struct message *m = &ret->message;
	size_t empty = 0;

	while (empty < in.len && (in.ptr[empty] == '\r' || in.ptr[empty] == '\n'))
		empty++;
	if (empty)
		return consumed(ret, PARSE_SKIP, empty);
	if (s->scan && in.len < EARLY_BYTES && (s->frame & FRAME_LINE_SEEN) && !has_block_end(in, s->scan > 3 ? s->scan - 3 : 0))
		return need_more(s, in);

	size_t lf = slice_find(in, '\n', s->frame & FRAME_LINE_SEEN ? 0 : s->scan);
	if (lf == SIZE_MAX) {
		if (!start_plausible(side, in) || (s->unsure && http1_detect(in, side) == DETECT_NO))
			return PARSE_BAD;
		if (in.len < EARLY_BYTES)
			return need_more(s, in);
		return side == PROTO_TO_SERVER ? long_request_line(st, in, ret) : PARSE_BAD;
	}
	if (s->unsure && http1_detect(slice_head(in, lf + 1), side) != DETECT_CERTAIN)
		return PARSE_BAD;
	s->scan = 0;
	s->frame = 0;
	s->seen = 0;
	s->head = (struct http_head){ 0 };
	s->folding = HEADER_OTHER;
	struct slice line = http1_line(in, 0, lf);
	if (!(side == PROTO_TO_SERVER ? take_request_line(s, line, m) : take_status_line(s, line, m)))
		return PARSE_BAD;
	size_t at = lf + 1;
	enum walk walk = walk_headers(s, side, in, &at, m);
	if (walk != WALK_END && in.len < EARLY_BYTES && (walk == WALK_MORE || !has_block_end(in, lf))) {
		s->frame = FRAME_LINE_SEEN;
		return need_more(s, in);
	}
	begin_message(st, side, m);
	if (walk == WALK_END)
		end_head(st, side, ret);
	return consumed(ret, PARSE_MESSAGE, at);
}

/* Further header lines of a block whose first event is out. */
static enum parse_status parse_headers(struct http1_state *st, enum proto_side side, struct slice in, size_t at, struct parse_result *ret)
{
	struct http1_side *s = &st->side[side];
	struct message *m = &ret->message;
	size_t from = at;

	m->kind = side == PROTO_TO_SERVER ? MESSAGE_REQUEST : MESSAGE_RESPONSE;
	enum walk walk = walk_headers(s, side, in, &at, m);
	if (walk == WALK_END) {
		end_head(st, side, ret);
		return consumed(ret, PARSE_MESSAGE, at);
	}
	if (at > from || from > 0) {
		s->scan = 0;
		return consumed(ret, m->nattrs ? PARSE_MESSAGE : PARSE_SKIP, at);
	}
	if (walk == WALK_BAD)
		return PARSE_BAD;
	if (in.len < EARLY_BYTES)
		return need_more(s, in);
	if (!take_header(s, side, in, false, m))
		return PARSE_BAD;
	s->scan = 0;
	s->phase = PHASE_LINE_SKIP;
	return consumed(ret, m->nattrs ? PARSE_MESSAGE : PARSE_SKIP, in.len);
}

static enum parse_status parse_line_rest(struct http1_state *st, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct http1_side *s = &st->side[side];
	size_t lf = slice_find(in, '\n', 0);

	if (lf == SIZE_MAX)
		return in.len > VERSION_TAIL ? consumed(ret, PARSE_SKIP, in.len - VERSION_TAIL) : PARSE_NEED_MORE;
	struct slice line = http1_line(in, 0, lf);
	while (line.len && http1_is_blank(line.ptr[line.len - 1]))
		line.len--;
	if (line.len <= HTTP1_VERSION_LEN || line.ptr[line.len - HTTP1_VERSION_LEN - 1] != ' ')
		return PARSE_BAD;
	struct slice version = slice_from(line, line.len - HTTP1_VERSION_LEN);
	if (!version_ok(version))
		return PARSE_BAD;
	s->frame = 0;
	s->seen = 0;
	s->folding = HEADER_OTHER;
	s->phase = PHASE_HEADERS;
	message_add_str(&ret->message, ATTR_NETWORK_PROTOCOL_VERSION, version_number(version));
	return parse_headers(st, side, in, lf + 1, ret);
}

static enum parse_status parse_line_skip(struct http1_side *s, struct slice in, struct parse_result *ret)
{
	size_t lf = slice_find(in, '\n', 0);

	if (lf != SIZE_MAX)
		s->phase = s->phase == PHASE_LINE_SKIP ? PHASE_HEADERS : PHASE_TRAILERS;
	return consumed(ret, PARSE_SKIP, lf == SIZE_MAX ? in.len : lf + 1);
}

bool http1_chunk_size(struct slice line, uint64_t *ret_bytes)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < line.len; i++) {
		uint8_t c = ascii_lower(line.ptr[i]);
		uint8_t digit = c >= '0' && c <= '9' ? (uint8_t)(c - '0') : c >= 'a' && c <= 'f' ? (uint8_t)(c - 'a' + 10) : 16;

		if (digit == 16)
			break;
		if (n >> 58)
			return false;
		n = n << 4 | digit;
	}
	if (i == 0 || (i < line.len && line.ptr[i] != ';' && !http1_is_blank(line.ptr[i])))
		return false;
	*ret_bytes = n;
	return true;
}

static enum parse_status end_chunked(struct http1_state *st, enum proto_side side, size_t at, struct parse_result *ret)
{
	struct http1_side *s = &st->side[side];
	bool request = side == PROTO_TO_SERVER;

	ret->message.kind = request ? MESSAGE_REQUEST : MESSAGE_RESPONSE;
	ret->message.flags = MESSAGE_END;
	if (s->body <= INT64_MAX)
		message_add_int(&ret->message, request ? ATTR_HTTP_REQUEST_BODY_SIZE : ATTR_HTTP_RESPONSE_BODY_SIZE, (int64_t)s->body);
	end_content(st, side, &ret->message);
	s->phase = PHASE_START;
	s->scan = 0;
	return consumed(ret, PARSE_MESSAGE, at);
}

enum chunk_step { STEP_ON, STEP_MORE, STEP_BAD, STEP_SKIP, STEP_LOOK, STEP_END };

/* The line break behind a chunk's data. */
static enum chunk_step chunk_end(struct http1_side *s, struct slice in, size_t *at)
{
	size_t n = *at < in.len && in.ptr[*at] == '\r' ? 2 : 1;

	if (in.len - *at < n)
		return STEP_MORE;
	if (in.ptr[*at + n - 1] != '\n')
		return STEP_BAD;
	*at += n;
	s->phase = PHASE_CHUNK_SIZE;
	return STEP_ON;
}

static enum chunk_step chunk_line(struct http1_side *s, struct slice line, bool looks, size_t room, uint64_t *ret_data)
{
	*ret_data = 0;
	if (s->phase == PHASE_TRAILERS)
		return line.len == 0 ? STEP_END : STEP_ON;
	if (line.len >= EARLY_BYTES || !http1_chunk_size(line, ret_data))
		return STEP_BAD;
	if (*ret_data == 0) {
		s->phase = PHASE_TRAILERS;
		return STEP_ON;
	}
	s->phase = PHASE_CHUNK_END;
	s->body = *ret_data > UINT64_MAX - s->body ? UINT64_MAX : s->body + *ret_data;
	if (looks) {
		s->phase = PHASE_CHUNK_DATA;
		s->length = *ret_data;
		return STEP_LOOK;
	}
	return *ret_data > room ? STEP_SKIP : STEP_ON;
}

/* RFC 9112 7.1: as many chunks as the input holds in one call. Trailers end the body and are not read. */
static enum parse_status parse_chunks(struct http1_state *st, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct http1_side *s = &st->side[side];
	bool looks = s->content && !http_content_done(st->conn->content[side]);
	enum chunk_step step = STEP_ON;
	uint64_t data = 0;
	size_t at = 0;

	while (step == STEP_ON) {
		if (s->phase == PHASE_CHUNK_END) {
			step = chunk_end(s, in, &at);
			continue;
		}
		size_t lf = slice_find(in, '\n', at > s->scan ? at : s->scan);
		if (lf == SIZE_MAX) {
			step = STEP_MORE;
			break;
		}
		s->scan = 0;
		step = chunk_line(s, http1_line(in, at, lf), looks, in.len - lf - 1, &data);
		if (step != STEP_BAD)
			at = lf + 1;
		if (step == STEP_ON)
			at += (size_t)data;
	}
	if (step == STEP_END)
		return end_chunked(st, side, at, ret);
	if (step == STEP_SKIP)
		ret->skip = data;
	if (at) {
		s->scan = 0;
		return consumed(ret, PARSE_SKIP, at);
	}
	if (step == STEP_BAD)
		return PARSE_BAD;
	if (in.len < EARLY_BYTES)
		return need_more(s, in);
	if (s->phase != PHASE_TRAILERS)
		return PARSE_BAD;
	s->phase = PHASE_TRAILER_SKIP;
	s->scan = 0;
	return consumed(ret, PARSE_SKIP, in.len);
}

/* Bytes of a body, or chunk, that is looked into. */
static enum parse_status parse_content(struct http1_state *st, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct http1_side *s = &st->side[side];
	struct http_content *c = st->conn->content[side];
	struct message *m = &ret->message;

	m->kind = side == PROTO_TO_SERVER ? MESSAGE_REQUEST : MESSAGE_RESPONSE;
	in = slice_head(in, s->length < SIZE_MAX ? (size_t)s->length : SIZE_MAX);
	ret->consumed = http_content_done(c) ? in.len : http_content_feed(c, in, ret->time_ns);
	if (s->length == UINT64_MAX) {
		if (http_content_done(c))
			ret->skip = UINT64_MAX;
		return PARSE_SKIP;
	}
	s->length -= ret->consumed;
	bool over = http_content_done(c) || s->length == 0;
	if (s->phase == PHASE_CHUNK_DATA) {
		ret->skip = over ? s->length : 0;
		s->phase = over ? PHASE_CHUNK_END : PHASE_CHUNK_DATA;
		return PARSE_SKIP;
	}
	if (!over)
		return PARSE_SKIP;
	end_content(st, side, m);
	s->phase = PHASE_START;
	ret->skip = s->length;
	m->flags |= MESSAGE_END | (ret->skip ? MESSAGE_END_AFTER_SKIP : 0);
	return PARSE_MESSAGE;
}

static enum parse_status http1_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct http1_state *st = state;
	struct http1_side *s = &st->side[side];

	switch ((enum phase)s->phase) {
	case PHASE_START:
		return parse_start(st, side, in, ret);
	case PHASE_LINE_REST:
		return parse_line_rest(st, side, in, ret);
	case PHASE_HEADERS:
		return parse_headers(st, side, in, 0, ret);
	case PHASE_LINE_SKIP:
	case PHASE_TRAILER_SKIP:
		return parse_line_skip(s, in, ret);
	case PHASE_CHUNK_SIZE:
	case PHASE_CHUNK_END:
	case PHASE_TRAILERS:
		return parse_chunks(st, side, in, ret);
	case PHASE_CHUNK_DATA:
	case PHASE_BODY:
		return parse_content(st, side, in, ret);
	case PHASE_UNTIL_CLOSE:
	case PHASE_SWITCHED:
		break;
	}
	ret->skip = UINT64_MAX;
	return consumed(ret, PARSE_SKIP, in.len);
}

static size_t http1_resync(void *state, enum proto_side side, struct slice in)
{
	struct http1_state *st = state;
	struct http1_side *s = &st->side[side];

	if (s->phase == PHASE_SWITCHED)
		return 0;
	*s = (struct http1_side){ .phase = PHASE_START, .unsure = true };
	if (side == PROTO_TO_CLIENT)
		keep_newest_request(st);
	return http1_find(in, side);
}

static bool http1_finish(void *state, enum proto_side side, bool broken, struct message *ret_message)
{
	struct http1_state *st = state;
	struct http1_side *s = &st->side[side];
	static const char incomplete[] = "incomplete_message";
	enum phase phase = (enum phase)s->phase;

	if (phase == PHASE_START || phase == PHASE_SWITCHED)
		return false;
	bool over = s->content && http_content_over(st->conn->content[side]);
	if (broken && !over)
		return false;
	ret_message->kind = side == PROTO_TO_SERVER ? MESSAGE_REQUEST : MESSAGE_RESPONSE;
	ret_message->flags = MESSAGE_END;
	if (s->content)
		end_content(st, side, ret_message);
	over = over || phase == PHASE_UNTIL_CLOSE || (phase == PHASE_BODY && s->length == UINT64_MAX);
	if (!over) {
		ret_message->flags |= MESSAGE_ERROR;
		memcpy(ret_message->error_type, incomplete, sizeof(incomplete));
	}
	s->phase = PHASE_START;
	return true;
}

/* What is looked into was not captured: what it would have said is not known, and its length tells where the message goes on. */
static bool http1_missing(void *state, enum proto_side side, uint64_t n, struct message *ret_message)
{
	struct http1_state *st = state;
	struct http1_side *s = &st->side[side];

	if ((s->phase != PHASE_BODY && s->phase != PHASE_CHUNK_DATA) || n > s->length)
		return false;
	http_content_gap(st->conn->content[side]);
	ret_message->kind = side == PROTO_TO_SERVER ? MESSAGE_REQUEST : MESSAGE_RESPONSE;
	if (s->length == UINT64_MAX)
		return true;
	s->length -= n;
	if (s->length)
		return true;
	if (s->phase == PHASE_CHUNK_DATA) {
		s->phase = PHASE_CHUNK_END;
		return true;
	}
	ret_message->flags = MESSAGE_END;
	end_content(st, side, ret_message);
	s->phase = PHASE_START;
	return true;
}

/* Without memory nothing is looked into, and all else goes on. */
static const struct http1_conn poor;

static void *http1_open(struct proto_memory *memory)
{
	struct http1_conn *c = proto_memory_get(memory, sizeof(*c));

	if (!c)
		return (void *)(uintptr_t)&poor;
	*c = (struct http1_conn){ .memory = memory };
	return c;
}

static void http1_close(void *external)
{
	struct http1_conn *c = external;

	if (c == &poor)
		return;
	http_content_free(c->content[0]);
	http_content_free(c->content[1]);
	proto_memory_put(c->memory, c);
}

const struct proto_ops proto_http1 = {
	.name = "http",
	.id = PLUMB_PROTO_HTTP1,
	.state_size = sizeof(struct http1_state),
	.detect = http1_detect,
	.parse = http1_parse,
	.resync = http1_resync,
	.resync_keep = HTTP1_METHOD_MAX,
	.finish = http1_finish,
	.missing = http1_missing,
	.open = http1_open,
	.close = http1_close,
	.want = { HEAD_WANTED, REPLY_WANTED },
};

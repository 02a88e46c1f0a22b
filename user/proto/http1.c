/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.0 and 1.1: RFC 9112 (messages), RFC 9110 (semantics).
 *
 * A header block that comes in one piece gives one event. One that is longer than HTTP1_EARLY_BYTES, or not all captured, is given as it comes, so that a request with a
 * hole in its headers is still a request. Bodies are skipped: by Content-Length with the same event, by chunks, or until the stream ends; but those that the head says
 * something of interest is in (http_content.h) are looked into first. Header lines and blocks may be of any length; http1_lines.h says what of them counts. A chunk's size
 * line has at most HTTP1_EARLY_BYTES.
 */
#include "proto/http1_lines.h"

#include "model/record.h"
#include "proto/http_content.h"

enum {
	VERSION_TAIL = 16,    /* end of a long request line that is kept for its version */
	RUNS_MAX = 32,
	HEAD_WANTED = 16384,   /* of each call to the server: nginx's and Node's usual limits of a header line */
	REPLY_WANTED = 4096,
	EVENTS_WANTED = 65536, /* where server-sent events are counted */
};

enum phase {
	PHASE_START,
	PHASE_LINE_REST, /* of a request line longer than HTTP1_EARLY_BYTES */
	PHASE_HEADERS,
	PHASE_LINE_SKIP, /* rest of a header line longer than HTTP1_EARLY_BYTES */
	PHASE_CHUNK_SIZE,
	PHASE_CHUNK_END,
	PHASE_CHUNK_DATA, /* of a body that is looked into */
	PHASE_BODY,       /* the same, without chunks */
	PHASE_TRAILERS,
	PHASE_TRAILER_SKIP,
	PHASE_UNTIL_CLOSE,
	PHASE_SWITCHED,
};

enum { KIND_BITS = 4, KIND_MASK = 15, ONE = 1 << KIND_BITS };
_Static_assert(KIND_APP + HTTP_APP_COUNT <= ONE, "kinds");

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

static void add_size(struct message *m, enum proto_side side, uint64_t n)
{
	if (n <= INT64_MAX)
		message_add_int(m, side == PROTO_TO_SERVER ? ATTR_HTTP_REQUEST_BODY_SIZE : ATTR_HTTP_RESPONSE_BODY_SIZE, (int64_t)n);
}

/* Whether this body is looked into: then its end and its size are not the head's to tell. */
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
	s->length = s->body = length;
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
	if (body && s->length && look_into(st, PROTO_TO_SERVER, s->length))
		return;
	if (body)
		add_size(m, PROTO_TO_SERVER, s->length);
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
		if (s->length && look_into(st, PROTO_TO_CLIENT, s->length))
			return;
		add_size(m, PROTO_TO_CLIENT, s->length);
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

/* Whether the bytes so far can become a start line; asked while its end is yet to come. */
static bool start_plausible(enum proto_side side, struct slice in)
{
	static const uint8_t prefix[] = "HTTP/1.";

	if (side == PROTO_TO_CLIENT)
		return memcmp(in.ptr, prefix, in.len < 7 ? in.len : 7) == 0;
	return http1_method_len(in) != 0;
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

/* A request line that has not ended after HTTP1_EARLY_BYTES: its target is cut, its version waits for its end. */
static enum parse_status long_request_line(struct http1_state *st, struct slice in, struct parse_result *ret)
{
	struct http1_side *s = &st->side[PROTO_TO_SERVER];
	size_t method = http1_method_len(in);

	s->head = (struct http_head){ 0 };
	if (method == 0 || method == SIZE_MAX || !http1_take_target(s, slice_head(in, method), slice_from(in, method + 1), &ret->message))
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
	if (s->scan && in.len < HTTP1_EARLY_BYTES && (s->frame & FRAME_LINE_SEEN) && !has_block_end(in, s->scan > 3 ? s->scan - 3 : 0))
		return need_more(s, in);

	size_t lf = slice_find(in, '\n', s->frame & FRAME_LINE_SEEN ? 0 : s->scan);
	if (lf == SIZE_MAX) {
		if (!start_plausible(side, in) || (s->unsure && http1_detect(in, side) == DETECT_NO))
			return PARSE_BAD;
		if (in.len < HTTP1_EARLY_BYTES)
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
	if (!(side == PROTO_TO_SERVER ? http1_take_request_line(s, line, m) : http1_take_status_line(s, line, m)))
		return PARSE_BAD;
	size_t at = lf + 1;
	enum http1_walk walk = http1_walk_headers(s, side, in, &at, m);
	if (walk != HTTP1_WALK_END && in.len < HTTP1_EARLY_BYTES && (walk == HTTP1_WALK_MORE || !has_block_end(in, lf))) {
		s->frame = FRAME_LINE_SEEN;
		return need_more(s, in);
	}
	begin_message(st, side, m);
	if (walk == HTTP1_WALK_END)
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
	enum http1_walk walk = http1_walk_headers(s, side, in, &at, m);
	if (walk == HTTP1_WALK_END) {
		end_head(st, side, ret);
		return consumed(ret, PARSE_MESSAGE, at);
	}
	if (at > from || from > 0) {
		s->scan = 0;
		return consumed(ret, m->nattrs ? PARSE_MESSAGE : PARSE_SKIP, at);
	}
	if (walk == HTTP1_WALK_BAD)
		return PARSE_BAD;
	if (in.len < HTTP1_EARLY_BYTES)
		return need_more(s, in);
	if (!http1_take_header(s, side, in, false, m))
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
	if (!http1_version_ok(version))
		return PARSE_BAD;
	s->frame = 0;
	s->seen = 0;
	s->folding = HEADER_OTHER;
	s->phase = PHASE_HEADERS;
	message_add_str(&ret->message, ATTR_NETWORK_PROTOCOL_VERSION, http1_version_number(version));
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

	ret->message.kind = side == PROTO_TO_SERVER ? MESSAGE_REQUEST : MESSAGE_RESPONSE;
	ret->message.flags = MESSAGE_END;
	add_size(&ret->message, side, s->body);
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
	if (line.len >= HTTP1_EARLY_BYTES || !http1_chunk_size(line, ret_data))
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
	if (in.len < HTTP1_EARLY_BYTES)
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
	add_size(m, side, s->body);
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
	bool over = s->content && http_content_over(st->conn->content[side]), announced = phase == PHASE_BODY && s->length != UINT64_MAX;
	ret_message->kind = side == PROTO_TO_SERVER ? MESSAGE_REQUEST : MESSAGE_RESPONSE;
	if (announced) /* more than was transferred */
		add_size(ret_message, side, s->body - s->length);
	if (broken && !over)
		return announced;
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
	add_size(ret_message, side, s->body);
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

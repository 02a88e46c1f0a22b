/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2: RFC 9113 (frames, streams), RFC 9110 (semantics), RFC 8441 (extended CONNECT). Frames to messages, whose key is the stream.
 *
 * A header block is read when all its frames are there. Of DATA the length is enough, except that of gRPC, the prefixes of whose messages
 * are counted, and of what http_content.h looks into. As frames begin anywhere in an I/O, all of each is asked for. What a message's bytes were lost of, it says itself
 * (MESSAGE_UNSURE): only the streams that were open then are concerned.
 */
#include "proto/http2.h"

#include <stdio.h>

#include "model/record.h"

enum {
	BLOCK_MAX = 131072, /* bytes of the frames of one header block; of a longer one the headers stay unknown */
	CONTROL_MAX = HTTP2_FRAME_DEFAULT,
	PRIORITY_BYTES = 5,
	SETTINGS_MAX_FRAME_SIZE = 5,
	STATUS_TEXT = 16,
};

/* One direction. */
struct http2_way {
	struct http2_table table;
	struct http2_block block;
	uint32_t max_frame;   /* longest payload that the receiver takes; 0 = not known, it said so before we came */
	uint32_t scan;        /* bytes of the input known to be frames of an unfinished block */
	uint16_t losses;
	bool begun;           /* something was parsed */
	bool too_long;        /* the rest of a block longer than BLOCK_MAX passes by */
	/* The DATA frame under way whose payload is looked at. */
	bool end_stream;
	uint32_t stream, left, pad; /* left: of its payload; 0 of both = none */
	char status[STATUS_TEXT];   /* text of a status code without a name */
};

struct http2_conn {
	struct proto_memory *memory; /* not owned */
	nghttp2_mem mem;
	struct http2_way way[2];
	struct http2_streams streams;
	struct http_content *spent; /* of the message that ended last: its event points there; then the next one's */
	uint32_t newest;  /* of the client's streams that were seen to begin */
	uint32_t evicted; /* of them the newest that had to give way: what comes of those up to it, and is not known, is theirs */
};

static enum proto_side other(enum proto_side side) { return side == PROTO_TO_SERVER ? PROTO_TO_CLIENT : PROTO_TO_SERVER; }

static enum parse_status consumed(struct parse_result *ret, enum parse_status status, size_t n)
{
	ret->consumed = n;
	return status;
}

/* `n` bytes, seen or not, that are of no message. */
static enum parse_status pass(struct parse_result *ret, struct slice in, uint64_t n)
{
	ret->apart = true;
	ret->consumed = n < in.len ? (size_t)n : in.len;
	ret->skip = n - ret->consumed;
	return PARSE_SKIP;
}

static enum parse_status pass_upkeep(struct parse_result *ret, struct slice in, uint64_t n)
{
	ret->upkeep = true;
	return pass(ret, in, n);
}

static enum parse_status need(struct parse_result *ret, size_t n)
{
	ret->need = n;
	return PARSE_NEED_MORE;
}

/* Messages. */

static void keyed(struct message *m, enum proto_side what, uint32_t stream, uint32_t flags)
{
	m->kind = what == PROTO_TO_SERVER ? MESSAGE_REQUEST : MESSAGE_RESPONSE;
	m->keyed = true;
	m->key = stream;
	m->flags = flags;
}

static void fail(struct message *m, struct slice error)
{
	error = slice_head(error, MESSAGE_ERROR_TYPE_LEN - 1);
	m->flags |= MESSAGE_ERROR;
	if (error.len)
		memcpy(m->error_type, error.ptr, error.len);
	m->error_type[error.len] = 0;
}

static void add_unknown(struct message *m, const struct http2_block *b)
{
	if (b->flags & HTTP2_HAS_UNKNOWN)
		message_add_str(m, ATTR_PLUMB_INCOMPLETE, SLICE_LIT("headers_unknown"));
	else if (b->flags & HTTP2_IS_CUT)
		message_add_str(m, ATTR_PLUMB_INCOMPLETE, SLICE_LIT("attributes_cut"));
}

static bool lost_since(const struct http2_conn *c, const struct http2_stream *s, enum proto_side what, enum proto_side dir)
{
	return s->losses[what] != c->way[dir].losses;
}

/* The number of gRPC's messages, where all bytes of them were seen to pass. */
static void add_count(const struct http2_stream *s, enum proto_side what, struct message *m)
{
	const struct grpc_count *g = &s->grpc[what];

	if (s->flags & HTTP2_GRPC && !g->odd)
		message_add_int(m, what == PROTO_TO_SERVER ? ATTR_RPC_REQUEST_MESSAGES : ATTR_RPC_RESPONSE_MESSAGES, g->messages);
}

static void add_size(const struct http2_stream *s, enum proto_side what, struct message *m)
{
	if (s->flags & HTTP2_BODY << what && s->body[what] <= INT64_MAX)
		message_add_int(m, what == PROTO_TO_SERVER ? ATTR_HTTP_REQUEST_BODY_SIZE : ATTR_HTTP_RESPONSE_BODY_SIZE, (int64_t)s->body[what]);
}

/* What was looked into is over, or will not be seen to its end. */
static void leave_content(struct http2_conn *c, struct http2_stream *s, enum proto_side what)
{
	if (!s->content[what])
		return;
	http_content_free(c->spent);
	c->spent = s->content[what];
	s->content[what] = NULL;
}

static void end_content(struct http2_conn *c, struct http2_stream *s, enum proto_side what, struct message *m)
{
	enum http_app app = s->content[what] ? http_content_end(s->content[what], m) : HTTP_APP_NONE;

	leave_content(c, s, what);
	if (what == PROTO_TO_SERVER && app != HTTP_APP_NONE)
		s->app = (uint8_t)app;
}

/* The stream is over. */
static void reset(struct http2_conn *c, struct http2_stream *s)
{
	s->flags |= HTTP2_RESET;
	leave_content(c, s, PROTO_TO_SERVER);
	leave_content(c, s, PROTO_TO_CLIENT);
}

/* The message `what` of this stream ends with the event m. */
static void end_message(struct http2_conn *c, struct http2_stream *s, enum proto_side what, enum proto_side dir, struct message *m)
{
	bool lost = lost_since(c, s, what, dir);

	m->flags |= MESSAGE_END;
	s->flags |= (uint16_t)(HTTP2_ENDED << what);
	if (lost)
		m->flags |= MESSAGE_UNSURE;
	else
		add_size(s, what, m);
	if (!lost)
		add_count(s, what, m);
	if (lost)
		leave_content(c, s, what);
	else
		end_content(c, s, what, m);
	/* The end of the request may be what was lost. */
	if (what == PROTO_TO_CLIENT && (s->flags & HTTP2_BEGUN << PROTO_TO_SERVER) && !(s->flags & HTTP2_ENDED << PROTO_TO_SERVER) && (s->id & 1) &&
	    lost_since(c, s, PROTO_TO_SERVER, PROTO_TO_SERVER))
		m->flags |= MESSAGE_UNSURE;
}

static void begin_message(struct http2_conn *c, struct http2_stream *s, enum proto_side what, enum proto_side dir)
{
	s->flags |= (uint16_t)(HTTP2_BEGUN << what);
	s->losses[what] = c->way[dir].losses;
}

/*
 * Makes sure that there is a place for this stream. False: the oldest of those in its way ends first, with the event in *ret, as one whose rest
 * is not seen. Without memory there is none.
 */
static bool reserve(struct http2_conn *c, uint32_t id, struct parse_result *ret)
{
	uint32_t oldest = 0;

	if (id & 1 && id <= c->evicted)
		return true;
	if (http2_stream_get(&c->streams, id) || http2_stream_add(&c->streams, c->memory, id, &oldest))
		return true;
	struct http2_stream *old = oldest ? http2_stream_get(&c->streams, oldest) : NULL;
	if (!old)
		return true;
	reset(c, old);
	if (oldest & 1 && oldest > c->evicted)
		c->evicted = oldest;
	keyed(&ret->message, PROTO_TO_SERVER, oldest, MESSAGE_ABORT | MESSAGE_UNSURE);
	return false;
}

static void add_fields(const struct http2_block *b, struct message *m)
{
	for (uint32_t i = 0; i < b->nfields; i++)
		message_add_str(m, (enum attr_id)b->field[i].id, slice_make(b->text + b->field[i].at, b->field[i].len));
}

/* Of a response only what servers alone say. */
static void add_response_fields(const struct http2_block *b, struct message *m)
{
	static const enum attr_id ids[] = { ATTR_AWS_REQUEST_ID, ATTR_AWS_EXTENDED_REQUEST_ID };

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct slice value = http2_block_value(b, ids[i]);
		if (value.len)
			message_add_str(m, ids[i], value);
	}
}

static void add_request(const struct http2_block *b, struct http2_stream *s, struct message *m)
{
	/* CONNECT to a place has no path (RFC 9113, 8.5); where it has one, it is for another protocol (RFC 8441). */
	if (b->flags & HTTP2_IS_CONNECT && !(b->flags & HTTP2_HAS_PATH))
		message_add_str(m, ATTR_RAW_TARGET, http2_block_value(b, ATTR_RAW_HOST));
	add_fields(b, m);
	message_add_str(m, ATTR_NETWORK_PROTOCOL_VERSION, SLICE_LIT("2"));
	add_unknown(m, b);
	if (!(b->flags & HTTP2_HAS_GRPC))
		return;
	s->flags |= HTTP2_GRPC;
	message_add_str(m, ATTR_RPC_SYSTEM_NAME, SLICE_LIT("grpc"));
	if (b->grpc_timeout_ns)
		message_add_int(m, ATTR_RPC_TIMEOUT, (int64_t)b->grpc_timeout_ns);
}

/* grpc-status, of trailers or of an answer that is nothing else. */
static void add_grpc_status(struct http2_way *w, struct message *m)
{
	const struct http2_block *b = &w->block;
	struct slice name = grpc_status_name(b->grpc_status);

	if (!(b->flags & HTTP2_HAS_GRPC_STATUS))
		return;
	if (!name.len)
		name = slice_make(w->status, (size_t)snprintf(w->status, sizeof(w->status), "%llu", (unsigned long long)b->grpc_status));
	message_add_str(m, ATTR_RPC_SYSTEM_NAME, SLICE_LIT("grpc"));
	message_add_str(m, ATTR_RPC_RESPONSE_STATUS_CODE, name);
	if (!b->grpc_status)
		return;
	fail(m, name);
	struct slice text = http2_block_value(b, ATTR_RAW_STATUS_MESSAGE);
	if (text.len)
		message_add_str(m, ATTR_RAW_STATUS_MESSAGE, text);
}

/* The body's length where none was sent: what a head without one says of itself is true only if it says none. */
static void add_no_body(const struct http2_block *b, enum attr_id id, struct message *m)
{
	if (b->flags & HTTP2_HAS_LENGTH && b->length == 0)
		message_add_int(m, id, 0);
}

/* Bodies that are looked into. */

static void begin_content(struct http2_conn *c, struct http2_stream *s, enum proto_side what, const struct http_head *h)
{
	bool request = what == PROTO_TO_SERVER;

	if (!(request ? http_content_of_request(h) : http_content_of_response(h, (enum http_app)s->app)))
		return;
	s->content[what] = c->spent;
	c->spent = NULL;
	if (request)
		http_content_begin_request(&s->content[what], c->memory, h);
	else
		http_content_begin_response(&s->content[what], c->memory, h, (enum http_app)s->app);
}

static void look_at_request(struct http2_conn *c, struct http2_stream *s, struct http2_block *b, bool end, struct message *m)
{
	http_app_head(&b->head, true, m);
	http_app_target(&b->head, http2_block_value(b, ATTR_HTTP_REQUEST_METHOD), http2_block_value(b, ATTR_RAW_TARGET));
	if (b->head.signs & HTTP_SIGN_SEARCH)
		s->app = HTTP_APP_SEARCH;
	if (!end)
		begin_content(c, s, PROTO_TO_SERVER, &b->head);
}

/* Header blocks. */

static enum parse_status take_request(struct http2_conn *c, enum proto_side dir, uint32_t id, bool end, size_t bytes, struct parse_result *ret)
{
	struct http2_block *b = &c->way[dir].block;
	struct http2_stream *s = http2_stream_get(&c->streams, id);
	struct message *m = &ret->message;

	if (!s || s->flags & (HTTP2_RESET | HTTP2_ENDED << PROTO_TO_SERVER))
		return PARSE_SKIP;
	if (s->flags & HTTP2_BEGUN << PROTO_TO_SERVER) { /* trailers */
		if (!end)
			return PARSE_SKIP;
		keyed(m, PROTO_TO_SERVER, id, 0);
		end_message(c, s, PROTO_TO_SERVER, dir, m);
		return consumed(ret, PARSE_MESSAGE, bytes);
	}
	/*
	 * Trailers of a request that began before we came, or in what was lost? A head has a scheme or a method that everybody's table
	 * knows, or a stream newer than all.
	 */
	bool newest = c->newest && id > c->newest && c->way[dir].losses == 0;
	if (!newest && !(b->flags & HTTP2_HAS_PSEUDO) && (end || !(b->flags & HTTP2_HAS_UNKNOWN)))
		return PARSE_SKIP;
	if (id > c->newest && (id & 1))
		c->newest = id;
	keyed(m, PROTO_TO_SERVER, id, MESSAGE_BEGIN);
	begin_message(c, s, PROTO_TO_SERVER, dir);
	add_request(b, s, m);
	if (!(b->flags & HTTP2_HAS_GRPC))
		look_at_request(c, s, b, end, m);
	if (end) {
		add_no_body(b, ATTR_HTTP_REQUEST_BODY_SIZE, m);
		end_message(c, s, PROTO_TO_SERVER, dir, m);
	}
	return consumed(ret, PARSE_MESSAGE, bytes);
}

static bool known_from_its_start(const struct http2_conn *c, const struct http2_stream *s)
{
	return s->flags & HTTP2_BEGUN << PROTO_TO_SERVER && c->way[PROTO_TO_CLIENT].losses == 0;
}

static enum parse_status take_trailers(struct http2_conn *c, struct http2_stream *s, size_t bytes, struct parse_result *ret)
{
	keyed(&ret->message, PROTO_TO_CLIENT, s->id, 0);
	add_grpc_status(&c->way[PROTO_TO_CLIENT], &ret->message);
	add_unknown(&ret->message, &c->way[PROTO_TO_CLIENT].block);
	end_message(c, s, PROTO_TO_CLIENT, PROTO_TO_CLIENT, &ret->message);
	return consumed(ret, PARSE_MESSAGE, bytes);
}

static enum parse_status take_response(struct http2_conn *c, uint32_t id, bool end, size_t bytes, struct parse_result *ret)
{
	struct http2_way *w = &c->way[PROTO_TO_CLIENT];
	const struct http2_block *b = &w->block;
	struct http2_stream *s = http2_stream_get(&c->streams, id);
	struct message *m = &ret->message;

	if (!s || s->flags & (HTTP2_RESET | HTTP2_ENDED << PROTO_TO_CLIENT))
		return PARSE_SKIP;
	if (s->flags & HTTP2_BEGUN << PROTO_TO_CLIENT)
		return end ? take_trailers(c, s, bytes, ret) : PARSE_SKIP;
	if (b->status >= 100 && b->status < 200) {
		keyed(m, PROTO_TO_CLIENT, id, MESSAGE_BEGIN | MESSAGE_END | MESSAGE_INTERIM);
		message_add_int(m, ATTR_HTTP_RESPONSE_STATUS_CODE, b->status);
		return consumed(ret, PARSE_MESSAGE, bytes);
	}
	/* No status: trailers whose head was not seen, or a head of which we do not know it. */
	bool head = b->flags & HTTP2_HAS_STATUS || !end || known_from_its_start(c, s);
	if (!head && !(b->flags & HTTP2_HAS_GRPC_STATUS) && !s->flags)
		return PARSE_SKIP;
	keyed(m, PROTO_TO_CLIENT, id, MESSAGE_BEGIN | (head ? 0 : MESSAGE_UNSURE));
	begin_message(c, s, PROTO_TO_CLIENT, PROTO_TO_CLIENT);
	if (b->flags & HTTP2_HAS_STATUS)
		message_add_int(m, ATTR_HTTP_RESPONSE_STATUS_CODE, b->status);
	add_grpc_status(w, m);
	add_response_fields(b, m);
	http_app_head(&b->head, false, m);
	add_unknown(m, b);
	if (end) {
		add_no_body(b, ATTR_HTTP_RESPONSE_BODY_SIZE, m);
		end_message(c, s, PROTO_TO_CLIENT, PROTO_TO_CLIENT, m);
	} else if (!(s->flags & HTTP2_GRPC)) {
		begin_content(c, s, PROTO_TO_CLIENT, &b->head);
	}
	return consumed(ret, PARSE_MESSAGE, bytes);
}

/* The block's part of a HEADERS, PUSH_PROMISE or CONTINUATION frame. False: its padding or length is wrong. */
static bool block_part(const struct http2_frame *f, struct slice payload, struct slice *ret_part)
{
	bool padded = f->type != HTTP2_CONTINUATION && f->flags & HTTP2_PADDED;
	size_t from = padded, pad = padded && payload.len ? payload.ptr[0] : 0;

	if (f->type == HTTP2_HEADERS && f->flags & HTTP2_WITH_PRIORITY)
		from += PRIORITY_BYTES;
	if (f->type == HTTP2_PUSH_PROMISE)
		from += 4;
	if (from + pad > payload.len)
		return false;
	*ret_part = slice_make(payload.ptr + from, payload.len - from - pad);
	return true;
}

/* The stream that a PUSH_PROMISE announces; 0: none. */
static uint32_t http2_promised(const struct http2_frame *f, struct slice in)
{
	size_t at = HTTP2_HEAD_BYTES + (f->flags & HTTP2_PADDED ? 1 : 0);

	return at + 4 > HTTP2_HEAD_BYTES + (size_t)f->length ? 0 : http2_u32(in.ptr + at) & 0x7fffffff;
}

/* How far the frames of the block at the start of `in` go. */
enum whole { WHOLE, WHOLE_MORE, WHOLE_BAD, WHOLE_LONG };

static enum whole find_end(struct http2_way *w, struct slice in, uint32_t stream, size_t *ret_bytes)
{
	size_t at = w->scan;

	for (;;) {
		*ret_bytes = at + HTTP2_HEAD_BYTES;
		if (*ret_bytes > in.len)
			break;
		struct http2_frame f = http2_frame_head(slice_from(in, at));
		if (at && (f.type != HTTP2_CONTINUATION || f.stream != stream))
			return WHOLE_BAD;
		*ret_bytes += f.length;
		if (*ret_bytes > BLOCK_MAX)
			return WHOLE_LONG;
		if (*ret_bytes > in.len)
			break;
		at = *ret_bytes;
		if (f.flags & HTTP2_END_HEADERS)
			return WHOLE;
		w->scan = (uint32_t)at;
	}
	return WHOLE_MORE;
}

/* All frames of one block, whole in `in`. False: one of them is none. */
static bool read_block(struct http2_conn *c, struct http2_way *w, struct slice in)
{
	bool readable = true;

	http2_block_clear(&w->block);
	while (in.len) {
		struct http2_frame f = http2_frame_head(in);
		struct slice part;
		if (!block_part(&f, slice_make(in.ptr + HTTP2_HEAD_BYTES, f.length), &part))
			return false;
		readable = readable && http2_table_read(&w->table, &c->mem, part, f.flags & HTTP2_END_HEADERS, &w->block);
		in = slice_from(in, HTTP2_HEAD_BYTES + f.length);
	}
	if (!readable) {
		http2_block_clear(&w->block);
		w->block.flags = HTTP2_HAS_UNKNOWN;
	}
	return true;
}

static enum parse_status parse_block(struct http2_conn *c, enum proto_side side, const struct http2_frame *f, struct slice in, struct parse_result *ret)
{
	struct http2_way *w = &c->way[side];
	enum parse_status status;
	size_t bytes = 0;

	switch (find_end(w, in, f->stream, &bytes)) {
	case WHOLE_MORE: return need(ret, bytes);
	case WHOLE_BAD: w->scan = 0; return PARSE_BAD;
	case WHOLE_LONG:
		http2_table_lost(&w->table);
		w->too_long = !(f->flags & HTTP2_END_HEADERS);
		w->scan = 0;
		return pass(ret, in, HTTP2_HEAD_BYTES + (uint64_t)f->length);
	case WHOLE: break;
	}
	bool push = f->type == HTTP2_PUSH_PROMISE;
	uint32_t id = push ? http2_promised(f, in) : f->stream;
	if (id == 0 || (push && id & 1))
		return PARSE_BAD;
	if (!reserve(c, id, ret)) /* before anything changes: the same frame comes again */
		return consumed(ret, PARSE_MESSAGE, 0);
	w->scan = 0;
	if (!read_block(c, w, slice_head(in, bytes)))
		return PARSE_BAD;
	if (push || side == PROTO_TO_SERVER)
		status = take_request(c, side, id, push || f->flags & HTTP2_END_STREAM, bytes, ret);
	else
		status = take_response(c, id, f->flags & HTTP2_END_STREAM, bytes, ret);
	if (status != PARSE_SKIP)
		return status;
	struct http2_stream *s = http2_stream_get(&c->streams, id);
	if (s && !s->flags)
		s->id = 0; /* nothing began */
	return pass(ret, in, bytes);
}

/* DATA. */

/*
 * The event of `n` bytes of a DATA frame, of which some may lie behind the input; `last`: they are its end.
 */
static enum parse_status data_event(struct http2_conn *c, enum proto_side side, struct http2_stream *s, struct slice in, uint64_t n, bool end, struct parse_result *ret)
{
	keyed(&ret->message, side, s->id, 0);
	ret->consumed = n < in.len ? (size_t)n : in.len;
	ret->skip = n - ret->consumed;
	if (end) {
		end_message(c, s, side, side, &ret->message);
		ret->message.flags |= ret->skip ? MESSAGE_END_AFTER_SKIP : 0;
	}
	return PARSE_MESSAGE;
}

/* Payload of gRPC: `before` bytes of its frame's head stand in front of it. */
static enum parse_status grpc_data(struct http2_conn *c, enum proto_side side, struct http2_stream *s, struct slice in, size_t before, struct parse_result *ret)
{
	struct http2_way *w = &c->way[side];
	struct grpc_count *g = &s->grpc[side];
	struct slice seen = slice_head(slice_from(in, before), w->left);
	uint64_t n = before + seen.len;

	grpc_count_feed(g, seen);
	w->left -= (uint32_t)seen.len;
	if (w->left && (g->left || g->odd)) {
		uint32_t unseen = g->odd || g->left > w->left ? w->left : g->left;
		if (!g->odd)
			grpc_count_skip(g, unseen);
		w->left -= unseen;
		n += unseen;
	}
	if (w->left)
		return data_event(c, side, s, in, n, false, ret);
	n += w->pad;
	w->pad = 0;
	return data_event(c, side, s, in, n, w->end_stream, ret);
}

/* The same, of a body that is looked into. */
static enum parse_status content_data(struct http2_conn *c, enum proto_side side, struct http2_stream *s, struct slice in, size_t before, struct parse_result *ret)
{
	struct http2_way *w = &c->way[side];
	struct slice seen = slice_head(slice_from(in, before), w->left);
	uint64_t n = before;

	if (seen.len && !http_content_done(s->content[side]))
		seen.len = http_content_feed(s->content[side], seen, ret->time_ns);
	n += seen.len;
	w->left -= (uint32_t)seen.len;
	if (http_content_done(s->content[side])) {
		n += w->left;
		w->left = 0;
	}
	if (w->left)
		return data_event(c, side, s, in, n, false, ret);
	n += w->pad;
	w->pad = 0;
	return data_event(c, side, s, in, n, w->end_stream, ret);
}

static enum parse_status payload_data(struct http2_conn *c, enum proto_side side, struct http2_stream *s, struct slice in, size_t before, struct parse_result *ret)
{
	return s->content[side] ? content_data(c, side, s, in, before, ret) : grpc_data(c, side, s, in, before, ret);
}

static enum parse_status parse_data(struct http2_conn *c, enum proto_side side, const struct http2_frame *f, struct slice in, struct parse_result *ret)
{
	struct http2_way *w = &c->way[side];
	uint64_t all = HTTP2_HEAD_BYTES + (uint64_t)f->length;
	size_t before = HTTP2_HEAD_BYTES + (f->flags & HTTP2_PADDED ? 1 : 0);

	if (in.len < before)
		return need(ret, before);
	uint32_t pad = f->flags & HTTP2_PADDED ? in.ptr[HTTP2_HEAD_BYTES] : 0;
	if (!f->stream || before + pad > all)
		return PARSE_BAD;
	struct http2_stream *s = http2_stream_get(&c->streams, f->stream);
	bool end = f->flags & HTTP2_END_STREAM;
	if (!s || !(s->flags & HTTP2_BEGUN << side) || s->flags & (HTTP2_RESET | HTTP2_ENDED << side))
		return pass(ret, in, all);
	uint64_t payload = all - before - pad;
	s->body[side] += payload;
	s->flags |= (uint16_t)(HTTP2_BODY << side);
	if (!(s->flags & HTTP2_GRPC || s->content[side]) || lost_since(c, s, side, side))
		return data_event(c, side, s, in, all, end, ret);
	w->stream = f->stream;
	w->left = (uint32_t)payload;
	w->pad = pad;
	w->end_stream = end;
	return payload_data(c, side, s, in, before, ret);
}

/* The rest of a DATA frame of gRPC. */
static enum parse_status parse_data_rest(struct http2_conn *c, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct http2_way *w = &c->way[side];
	struct http2_stream *s = http2_stream_get(&c->streams, w->stream);

	if (s && !(s->flags & (HTTP2_RESET | HTTP2_ENDED << side)))
		return payload_data(c, side, s, in, 0, ret);
	uint64_t n = (uint64_t)w->left + w->pad;
	w->left = w->pad = 0;
	return pass(ret, in, n);
}

/* Other frames. */

static const char *const error_names[] = { "no_error", "protocol_error", "internal_error", "flow_control_error", "settings_timeout", "stream_closed",
	"frame_size_error", "refused_stream", "cancel", "compression_error", "connect_error", "enhance_your_calm", "inadequate_security",
	"http_1_1_required" };

enum { ERROR_CANCEL = 8 };

static enum parse_status parse_reset(struct http2_conn *c, enum proto_side side, const struct http2_frame *f, struct slice in, struct parse_result *ret)
{
	size_t all = HTTP2_HEAD_BYTES + 4;
	struct message *m = &ret->message;

	if (f->length != 4 || !f->stream)
		return PARSE_BAD;
	if (in.len < all)
		return need(ret, all);
	uint32_t code = http2_u32(in.ptr + HTTP2_HEAD_BYTES);
	struct http2_stream *s = http2_stream_get(&c->streams, f->stream);
	if (!s || http2_stream_over(s))
		return pass(ret, in, all);
	struct http_content *events = s->content[PROTO_TO_CLIENT];
	bool over = side == PROTO_TO_SERVER && code == ERROR_CANCEL && events && http_content_over(events);
	keyed(m, side, f->stream, MESSAGE_ABORT);
	for (int what = 0; what < 2; what++)
		if (s->flags & HTTP2_BEGUN << what && !(s->flags & HTTP2_ENDED << what) && !lost_since(c, s, (enum proto_side)what, (enum proto_side)what)) {
			add_size(s, (enum proto_side)what, m);
			add_count(s, (enum proto_side)what, m);
		}
	if (over) /* who has all that was asked for need not wait for the stream's end */
		end_content(c, s, PROTO_TO_CLIENT, m);
	reset(c, s);
	if (code && !over)
		fail(m, slice_str(code < sizeof(error_names) / sizeof(error_names[0]) ? error_names[code] : "unknown_error"));
	return consumed(ret, PARSE_MESSAGE, all);
}

static enum parse_status parse_settings(struct http2_conn *c, enum proto_side side, const struct http2_frame *f, struct slice in, struct parse_result *ret)
{
	size_t all = HTTP2_HEAD_BYTES + (size_t)f->length;
	struct http2_way *w = &c->way[other(side)]; /* what the sender takes concerns what it gets */

	if (f->stream || f->length % 6 || f->length > CONTROL_MAX)
		return PARSE_BAD;
	if (in.len < all)
		return need(ret, all);
	for (size_t at = HTTP2_HEAD_BYTES; at < all; at += 6) {
		uint32_t value = http2_u32(in.ptr + at + 2);
		if (in.ptr[at] == 0 && in.ptr[at + 1] == SETTINGS_MAX_FRAME_SIZE && value > w->max_frame && value <= HTTP2_FRAME_MAX)
			w->max_frame = value;
	}
	if (!(f->flags & HTTP2_ACK) && w->max_frame < HTTP2_FRAME_DEFAULT)
		w->max_frame = HTTP2_FRAME_DEFAULT;
	return pass_upkeep(ret, in, all);
}

/* Rules that every frame of a type keeps: what breaks them is no frame (RFC 9113, 6). */
static bool frame_ok(const struct http2_way *w, const struct http2_frame *f, enum proto_side side)
{
	/* Where the receiver's word is not known: what Go's takes, the longest in common use. */
	uint32_t longest = f->type <= HTTP2_CONTINUATION ? 1 << 20 : HTTP2_FRAME_DEFAULT;

	if (f->length > (w->max_frame ? w->max_frame : longest))
		return false;
	switch (f->type) {
	case HTTP2_DATA: return f->stream != 0;
	case HTTP2_HEADERS: return f->stream != 0 && (side == PROTO_TO_CLIENT || f->stream & 1);
	case HTTP2_PRIORITY: return f->stream && f->length == 5;
	case HTTP2_PUSH_PROMISE: return f->stream && side == PROTO_TO_CLIENT && f->length >= 4;
	case HTTP2_PING: return !f->stream && f->length == 8;
	case HTTP2_GOAWAY: return !f->stream && f->length >= 8;
	case HTTP2_WINDOW_UPDATE: return f->length == 4;
	case HTTP2_CONTINUATION: return w->too_long;
	default: return true;
	}
}

static enum parse_status parse_frame(struct http2_conn *c, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct http2_way *w = &c->way[side];

	if (in.len < HTTP2_HEAD_BYTES)
		return need(ret, HTTP2_HEAD_BYTES);
	struct http2_frame f = http2_frame_head(in);
	if (!frame_ok(w, &f, side))
		return PARSE_BAD;
	/* What was found in the other direction says little of where this one begins. */
	if (!w->begun && f.type != HTTP2_SETTINGS && http2_detect(in, side) == DETECT_NO)
		return PARSE_BAD;
	if (!w->begun) /* a server begins with its settings: of any other start the table is not known */
		w->table.midway |= side == PROTO_TO_SERVER || f.type != HTTP2_SETTINGS || f.flags & HTTP2_ACK;
	w->begun = true;
	w->too_long = w->too_long && f.type == HTTP2_CONTINUATION && !(f.flags & HTTP2_END_HEADERS);
	switch (f.type) {
	case HTTP2_DATA: return parse_data(c, side, &f, in, ret);
	case HTTP2_HEADERS:
	case HTTP2_PUSH_PROMISE: return parse_block(c, side, &f, in, ret);
	case HTTP2_RST_STREAM: return parse_reset(c, side, &f, in, ret);
	case HTTP2_SETTINGS: return parse_settings(c, side, &f, in, ret);
	case HTTP2_PRIORITY:
	case HTTP2_PING:
	case HTTP2_WINDOW_UPDATE: return pass_upkeep(ret, in, HTTP2_HEAD_BYTES + (uint64_t)f.length);
	default: return pass(ret, in, HTTP2_HEAD_BYTES + (uint64_t)f.length);
	}
}

struct http2_state {
	struct http2_conn *conn; /* what http2_open() gave */
};

static struct http2_conn *conn_of(void *state) { return ((struct http2_state *)state)->conn; }

static enum parse_status http2_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct http2_conn *c = conn_of(state);
	struct http2_way *w = &c->way[side];

	if (side == PROTO_TO_SERVER && !w->begun && http2_is_preface(in)) {
		if (in.len < http2_preface().len)
			return need(ret, http2_preface().len);
		w->begun = true;
		return pass_upkeep(ret, in, http2_preface().len);
	}
	if (w->left || w->pad)
		return parse_data_rest(c, side, in, ret);
	return parse_frame(c, side, in, ret);
}

static void http2_lost(void *state, enum proto_side side)
{
	struct http2_way *w = &conn_of(state)->way[side];

	http2_table_lost(&w->table);
	w->losses++;
	w->begun = true;
	w->too_long = w->end_stream = false;
	w->scan = w->left = w->pad = 0;
}

static size_t http2_resync(void *state, enum proto_side side, struct slice in)
{
	(void)state;
	return http2_find(in, side);
}

/* nghttp2's memory is that of the budget. */

static void *mem_malloc(size_t size, void *memory) { return proto_memory_get(memory, size); }
static void mem_free(void *p, void *memory) { proto_memory_put(memory, p); }
static void *mem_realloc(void *p, size_t size, void *memory) { return proto_memory_resize(memory, p, size); }

static void *mem_calloc(size_t n, size_t size, void *memory)
{
	return size && n > SIZE_MAX / size ? NULL : proto_memory_get_zeroed(memory, n * size);
}

static void *http2_open(struct proto_memory *memory)
{
	struct http2_conn *c = proto_memory_get(memory, sizeof(*c));

	if (!c)
		return NULL;
	*c = (struct http2_conn){
		.memory = memory,
		.mem = { .mem_user_data = memory, .malloc = mem_malloc, .free = mem_free, .calloc = mem_calloc, .realloc = mem_realloc },
	};
	return c;
}

static void http2_close(void *external)
{
	struct http2_conn *c = external;

	if (!c)
		return;
	for (int side = 0; side < 2; side++) {
		http2_table_done(&c->way[side].table);
		proto_memory_put(c->memory, c->way[side].block.text);
	}
	http2_streams_done(&c->streams, c->memory);
	http_content_free(c->spent);
	proto_memory_put(c->memory, c);
}

const struct proto_ops proto_http2 = {
	.name = "http2",
	.id = PLUMB_PROTO_HTTP2,
	.state_size = sizeof(struct http2_state),
	.detect = http2_detect,
	.parse = http2_parse,
	.resync = http2_resync,
	.lost = http2_lost,
	.resync_keep = HTTP2_KEEP,
	.open = http2_open,
	.close = http2_close,
	.answers_switch = true, /* RFC 7540, 3.2: what HTTP/1 asked with Upgrade: h2c is stream 1's */
	.want = { PLUMB_POLICY_ALL, PLUMB_POLICY_ALL },
};

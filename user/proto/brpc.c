/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bRPC: baidu_std and its streams, Hulu and Sofa, which may all be spoken on one connection. How messages look is brpc_wire.c.
 *
 * A call is an exchange with the answer of its correlation id (brpc-java's first one is 0, which is also that of callers that send none: their calls are answered in
 * order). What goes through a stream that a call has opened belongs to
 * no exchange: the call is answered when the stream is there. That answer is itself wrapped into the first frame of the stream.
 *
 * Only the meta message is read; arguments, results and attachments, compressed or not, are skipped. Shown is what is called, how it failed by bRPC's names for numbers
 * (others are numbers of the service's own), and two numbers that bRPC's logs and its rpcz have. What rpcz knows as a trace is no parent of a span: its spans are seen
 * nowhere else, and would hide those that are. A W3C or B3 context among the caller's own fields is one.
 *
 * Nobody says that a call needs no answer, except Hulu, to which bRPC's own server answers all the same.
 */
#include "proto/brpc_wire.h"
#include "proto/memory.h"

enum { STREAMS = 8 };

/* A stream that a call has asked for and that is not there yet. */
struct asked {
	uint64_t stream, call; /* the caller's numbers */
};

struct brpc_memory {
	struct proto_memory *budget; /* not owned */
	struct asked stream[STREAMS]; /* oldest first */
	uint8_t streams;
	uint8_t name[BRPC_NAME_MAX];
	char number[12], trace[16];
};

struct brpc_state {
	struct brpc_memory *memory; /* external; NULL without memory: nothing is parsed then */
	uint64_t latest;            /* id of the latest request */
	bool open;                  /* it is not answered */
	bool overlaps;              /* requests are sent before the one in front is answered */
	bool told;                  /* of a loss, and no request has begun since */
	bool guessed;               /* behind a loss, that one which was open is over */
	bool unsure;                /* whose the answers of id 0 are */
	uint32_t unnumbered;        /* calls of id 0 that are not answered */
};
_Static_assert(sizeof(struct brpc_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

/* ---- streams that are asked for ---- */

static void stream_remove(struct brpc_memory *m, unsigned i)
{
	m->streams--;
	memmove(&m->stream[i], &m->stream[i + 1], (m->streams - i) * sizeof(m->stream[0]));
}

static void stream_asked(struct brpc_memory *m, uint64_t stream, uint64_t call)
{
	if (m->streams == STREAMS)
		stream_remove(m, 0);
	m->stream[m->streams++] = (struct asked){ stream, call };
}

static bool stream_waits(const struct brpc_memory *m, uint64_t stream)
{
	for (unsigned i = 0; i < m->streams; i++)
		if (m->stream[i].stream == stream)
			return true;
	return false;
}

static void stream_answered(struct brpc_memory *m, uint64_t call)
{
	unsigned i = 0;

	while (i < m->streams && m->stream[i].call != call)
		i++;
	if (i < m->streams)
		stream_remove(m, i);
}

/* ---- what is shown ---- */

static size_t name_add(struct brpc_memory *m, size_t at, struct slice s)
{
	s = slice_head(s, BRPC_NAME_MAX - at);
	for (size_t i = 0; i < s.len; i++) /* whatever it is, it stays one printable word */
		m->name[at + i] = s.ptr[i] <= ' ' || s.ptr[i] >= 127 ? '?' : s.ptr[i];
	return at + s.len;
}

static struct slice decimal(struct brpc_memory *m, int64_t value)
{
	char *p = m->number + sizeof(m->number);
	uint64_t n = value < 0 ? (uint64_t)-value : (uint64_t)value;

	do
		*--p = (char)('0' + n % 10);
	while (n /= 10);
	if (value < 0)
		*--p = '-';
	return slice_make(p, (size_t)(m->number + sizeof(m->number) - p));
}

/* Sofa's "package.Service.Method". */
static void split(const struct slice *whole, struct slice *ret_service, struct slice *ret_method)
{
	size_t dot = whole->len;

	while (dot > 0 && whole->ptr[dot - 1] != '.')
		dot--;
	*ret_service = slice_head(*whole, dot ? dot - 1 : 0);
	*ret_method = slice_from(*whole, dot);
}

static void add_method(struct brpc_memory *mem, enum brpc_format format, const struct brpc_meta *meta, struct message *m)
{
	struct slice service = meta->service, method = meta->method;

	if (format == BRPC_SOFA)
		split(&meta->method, &service, &method);
	if (!method.len && meta->indexed)
		method = decimal(mem, meta->index);
	if (!service.len && !method.len)
		return;
	size_t at = name_add(mem, 0, service);
	at = name_add(mem, at, at ? SLICE_LIT("/") : SLICE_NONE);
	at = name_add(mem, at, method);
	message_add_str(m, ATTR_RPC_METHOD, slice_make(mem->name, at));
}

static void add_trace(struct brpc_memory *mem, uint64_t trace, struct message *m)
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned i = 0; i < sizeof(mem->trace); i++)
		mem->trace[i] = digits[trace >> (60 - 4 * i) & 15];
	message_add_str(m, ATTR_BRPC_TRACE_ID, slice_make(mem->trace, sizeof(mem->trace)));
}

static void request_attrs(struct brpc_memory *mem, enum brpc_format format, const struct brpc_meta *meta, struct message *m)
{
	add_method(mem, format, meta, m);
	if (meta->timeout_ms)
		message_add_int(m, ATTR_RPC_TIMEOUT, (int64_t)meta->timeout_ms * 1000000);
	if (meta->logged)
		message_add_int(m, ATTR_BRPC_LOG_ID, (int64_t)meta->log_id);
	if (meta->traced)
		add_trace(mem, meta->trace_id, m);
	message_add_text(m, ATTR_RAW_TRACEPARENT, meta->traceparent);
	message_add_text(m, ATTR_RAW_TRACESTATE, meta->tracestate);
	message_add_text(m, ATTR_RAW_B3, meta->b3);
}

static void response_attrs(struct brpc_memory *mem, const struct brpc_meta *meta, struct message *m)
{
	const char *name = brpc_error_name(meta->error);
	struct slice type = SLICE_LIT("_OTHER"); /* it failed, and does not say how */

	if (!meta->error && !meta->failed)
		return;
	if (meta->error) {
		type = name ? slice_str(name) : decimal(mem, meta->error);
		message_add_str(m, ATTR_RPC_RESPONSE_STATUS_CODE, type);
	}
	m->flags |= MESSAGE_ERROR;
	memcpy(m->error_type, type.ptr, type.len);
	m->error_type[type.len] = '\0';
}

/* ---- messages ---- */

/* Those of id 0 are answered in order: one that nobody has seen is answered before what came behind it. */
static void unnumbered_begin(struct brpc_state *s, struct message *m)
{
	s->unsure |= s->guessed && s->overlaps;
	s->unnumbered += s->unnumbered < UINT32_MAX;
	m->flags |= s->unsure ? MESSAGE_UNSURE : 0u;
}

/* Who has been seen to send several is never known to wait again. */
static void unnumbered_answered(struct brpc_state *s, struct message *m)
{
	if (s->guessed && !s->unnumbered)
		s->overlaps = s->unsure = true;
	m->flags |= s->unsure ? MESSAGE_UNSURE : 0u;
	s->unnumbered -= s->unnumbered > 0;
	if (!s->unnumbered && !s->overlaps)
		s->unsure = false;
}

static void request_begin(struct brpc_state *s, const struct brpc_meta *meta, struct message *m)
{
	if (s->told && !s->overlaps) {
		m->flags |= MESSAGE_FLUSH;
		s->guessed |= s->open;
		s->unnumbered = 0;
	} else {
		s->overlaps |= s->open;
	}
	s->told = false;
	s->open = true;
	s->latest = meta->id;
	if (!meta->id)
		unnumbered_begin(s, m);
	if (meta->oneway)
		m->flags |= MESSAGE_QUIET;
	if (meta->stream)
		stream_asked(s->memory, meta->stream, meta->id);
}

static enum parse_status call(struct brpc_state *s, enum proto_side side, enum brpc_format format, const struct brpc_meta *meta, struct parse_result *ret)
{
	struct message *m = &ret->message;

	m->kind = side == PROTO_TO_SERVER ? MESSAGE_REQUEST : MESSAGE_RESPONSE;
	m->keyed = true;
	m->key = meta->id;
	m->flags = MESSAGE_BEGIN | MESSAGE_END;
	message_add_str(m, ATTR_RPC_SYSTEM_NAME, SLICE_LIT("brpc"));
	if (side == PROTO_TO_SERVER) {
		request_begin(s, meta, m);
		request_attrs(s->memory, format, meta, m);
	} else {
		s->open &= s->latest != meta->id;
		if (!meta->id)
			unnumbered_answered(s, m);
		stream_answered(s->memory, meta->id);
		response_attrs(s->memory, meta, m);
	}
	return PARSE_MESSAGE;
}

/* A message of a stream, or a part of it, or of what rules it. */
static enum parse_status stream_frame(const struct brpc_meta *meta, struct parse_result *ret)
{
	if (meta->frame != BRPC_FRAME_DATA || meta->continued) {
		ret->apart = true;
		return PARSE_SKIP;
	}
	ret->message.kind = MESSAGE_ONEWAY;
	ret->message.flags = MESSAGE_BEGIN | MESSAGE_END;
	return PARSE_MESSAGE;
}

/* The frame begins with these bytes. All of it is done. */
static void pass(struct slice in, uint64_t frame, struct parse_result *ret)
{
	ret->consumed = in.len < frame ? in.len : (size_t)frame;
	ret->skip = frame - ret->consumed;
	if (ret->message.flags && ret->skip)
		ret->message.flags |= MESSAGE_END_AFTER_SKIP;
}

static size_t read_of(const struct brpc_head *h) { return h->meta < BRPC_META_MAX ? h->meta : BRPC_META_MAX; }

static bool wants(struct slice in, size_t n, struct parse_result *ret)
{
	ret->need = n;
	return in.len < n;
}

static bool meta_read(struct slice in, size_t at, const struct brpc_head *h, enum proto_side side, struct brpc_meta *ret)
{
	size_t n = read_of(h);

	return brpc_meta_read(h->format, slice_head(slice_from(in, at), n), n < h->meta, side, ret);
}

/*
 * A frame of a stream that was asked for, the first to its client: is the answer of the call in it? in[at..] is what the frame carries. BRPC_SHORT: ret->need
 * tells.
 */
static enum brpc_read wrapped(struct brpc_state *s, struct slice in, size_t at, uint64_t payload, struct brpc_meta *meta, struct parse_result *ret)
{
	struct brpc_head h;
	size_t need;

	if (!stream_waits(s->memory, meta->stream) || payload < BRPC_HEAD + BRPC_META_LEAST)
		return BRPC_BAD;
	if (wants(in, at + BRPC_HEAD, ret))
		return BRPC_SHORT;
	if (brpc_head_read(slice_from(in, at), &h, &need) != BRPC_OK || h.format != BRPC_STD || h.len + h.meta + h.payload != payload)
		return BRPC_BAD;
	if (wants(in, at + h.len + read_of(&h), ret))
		return BRPC_SHORT;
	return meta_read(in, at + h.len, &h, PROTO_TO_CLIENT, meta) ? BRPC_OK : BRPC_BAD;
}

static enum parse_status stream(struct brpc_state *s, enum proto_side side, struct slice in, const struct brpc_head *h, const struct brpc_meta *meta, struct parse_result *ret)
{
	struct brpc_meta answer = *meta;
	enum parse_status status;

	if (side == PROTO_TO_CLIENT && meta->frame == BRPC_FRAME_DATA) {
		switch (wrapped(s, in, (size_t)h->len + h->meta, h->payload, &answer, ret)) {
		case BRPC_SHORT: return PARSE_NEED_MORE;
		case BRPC_OK:
			status = call(s, side, BRPC_STD, &answer, ret);
			pass(in, (uint64_t)h->len + h->meta + h->payload, ret);
			return status;
		case BRPC_BAD: break;
		}
	}
	status = stream_frame(meta, ret);
	pass(in, (uint64_t)h->len + h->meta + h->payload, ret);
	return status;
}

static enum parse_status brpc_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct brpc_state *s = state;
	struct brpc_head h;
	struct brpc_meta meta;

	if (!s->memory)
		return PARSE_BAD;
	switch (brpc_head_read(in, &h, &ret->need)) {
	case BRPC_BAD: return PARSE_BAD;
	case BRPC_SHORT: return PARSE_NEED_MORE;
	case BRPC_OK: break;
	}
	if (wants(in, h.len + read_of(&h), ret))
		return PARSE_NEED_MORE;
	if (!meta_read(in, h.len, &h, side, &meta))
		return PARSE_BAD;
	if (h.format == BRPC_STREAM)
		return stream(s, side, in, &h, &meta, ret);
	enum parse_status status = call(s, side, h.format, &meta, ret);
	pass(in, (uint64_t)h.len + h.meta + h.payload, ret);
	return status;
}

/* ---- loss ---- */

static size_t brpc_resync(void *state, enum proto_side side, struct slice in)
{
	(void)state;
	for (size_t at = 0; at < in.len; at++) {
		struct slice rest = slice_from(in, at);
		if (rest.ptr[0] >= 'H' && rest.ptr[0] <= 'S' && brpc_fits(rest, side) == BRPC_OK)
			return at;
	}
	return in.len;
}

static void brpc_lost(void *state, enum proto_side side)
{
	struct brpc_state *s = state;

	s->told = true;
	s->unsure |= side == PROTO_TO_SERVER || s->overlaps;
	if (side == PROTO_TO_CLIENT && s->memory)
		s->memory->streams = 0; /* their first frames may have been in there */
}

static void *brpc_open(struct proto_memory *budget)
{
	struct brpc_memory *m = proto_memory_get(budget, sizeof(*m));

	if (m)
		*m = (struct brpc_memory){ .budget = budget };
	return m;
}

static void brpc_close(void *external)
{
	struct brpc_memory *m = external;

	if (m)
		proto_memory_put(m->budget, m);
}

const struct proto_ops proto_brpc = {
	.name = "brpc",
	.id = PLUMB_PROTO_BRPC,
	.state_size = sizeof(struct brpc_state),
	.detect = brpc_detect,
	.parse = brpc_parse,
	.resync = brpc_resync,
	.lost = brpc_lost,
	.resync_keep = BRPC_RESYNC_KEEP,
	.open = brpc_open,
	.close = brpc_close,
	/* Callers and servers write many small messages at once. What a large one of the same write has behind it may be lost, which costs less than copying all of it. */
	.want = { 65536, 65536 },
};

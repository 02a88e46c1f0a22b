/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cassandra's CQL native protocol, versions 3 to 5 (doc/native_protocol_v3.spec, v4.spec, v5.spec of Apache Cassandra): which envelopes make an exchange.
 * Framing is cassandra_wire.c, detection cassandra_detect.c, what the client asks cassandra_request.c, what the server answers cassandra_response.c, what is
 * remembered cassandra_memory.c, what is compressed cassandra_inflate.c.
 *
 * Each request has one response of the same stream, in any order; the stream is the key. What the server pushes (EVENT) is no exchange. EXECUTE and BATCH
 * have the texts that this connection prepared; what another one prepared is not known. Values, credentials and custom payloads are stepped over.
 *
 * Version 5 puts envelopes into segments once the start-up was answered; a long envelope goes through several. How a direction is framed is told by the
 * check sum in a segment's head, so a connection may be joined anywhere. Compressed segments are inflated whole, of compressed bodies the beginning is.
 */
#include "proto/cassandra_state.h"

static struct cassandra_way *way_of(struct cassandra_state *s, enum proto_side side) { return &s->way[side]; }

static enum parse_status need(struct parse_result *ret, size_t n)
{
	ret->need = n;
	return PARSE_NEED_MORE;
}

/* `n` bytes, seen or not, that are of no message. */
static enum parse_status pass_apart(struct parse_result *ret, struct slice in, uint64_t n)
{
	ret->apart = true;
	ret->consumed = n < in.len ? (size_t)n : in.len;
	ret->skip = n - ret->consumed;
	return PARSE_SKIP;
}

/* --- envelopes --- */

/* After these the connection may be framed otherwise. */
static void maybe_framed(struct cassandra_state *s, enum proto_side side, const struct cassandra_head *h)
{
	if (h->version < CASSANDRA_LAST_VERSION || way_of(s, side)->framing != CASSANDRA_PLAIN)
		return;
	if (h->opcode == CASSANDRA_STARTUP || h->opcode == CASSANDRA_READY || h->opcode == CASSANDRA_AUTHENTICATE)
		way_of(s, side)->framing = CASSANDRA_UNKNOWN;
}

static bool needs_body(uint8_t opcode)
{
	switch (opcode) {
	case CASSANDRA_STARTUP:
	case CASSANDRA_QUERY:
	case CASSANDRA_PREPARE:
	case CASSANDRA_EXECUTE:
	case CASSANDRA_BATCH:
	case CASSANDRA_ERROR:
	case CASSANDRA_RESULT: return true;
	default: return false;
	}
}

/*
 * Behind a loss of answers: a request whose stream is in use ends what was open there. An answer where two are open is that of the newer: that the client has
 * used the stream again tells that it had the older's. Where one is open it may have been answered in the hole and the next request be lost as well, which often shows
 * only later: the answer is doubtful. False: there is nothing to end.
 */
static bool ends_older(struct cassandra_state *s, enum proto_side side, const struct cassandra_head *h, struct parse_result *ret)
{
	bool doubtful = false, over;

	if (h->stream & 0x8000)
		return false;
	over = side == PROTO_TO_SERVER ? cassandra_stream_asked(s->memory, h->stream) : cassandra_stream_answered(s->memory, h->stream, &doubtful);
	s->doubtful = side == PROTO_TO_CLIENT && (s->doubtful || doubtful);
	if (!over)
		return false;
	ret->message.kind = MESSAGE_REQUEST;
	ret->message.keyed = true;
	ret->message.key = h->stream;
	ret->message.flags = MESSAGE_ABORT | MESSAGE_UNSURE;
	ret->consumed = 0;
	return true;
}

/*
 * An envelope at the start of `in`, of which `there` bytes, seen or not, come in a row: all, or the rest of a segment. What of the body lies behind them
 * is left in envelope_left.
 */
static enum parse_status parse_envelope(struct cassandra_state *s, enum proto_side side, struct slice in, uint64_t there, struct parse_result *ret)
{
	struct cassandra_way *w = way_of(s, side);
	struct message *m = &ret->message;
	struct cassandra_head h;
	struct slice body = SLICE_NONE;
	bool known = true;

	in = slice_head(in, there < SIZE_MAX ? (size_t)there : SIZE_MAX);
	if (there < CASSANDRA_HEAD)
		return PARSE_BAD;
	if (in.len < CASSANDRA_HEAD)
		return need(ret, CASSANDRA_HEAD);
	if (!cassandra_head(in, side, &h))
		return PARSE_BAD;
	uint64_t total = CASSANDRA_HEAD + (uint64_t)h.length, here = total < there ? total : there;
	size_t head = !needs_body(h.opcode) ? CASSANDRA_HEAD : here < CASSANDRA_HEAD + CASSANDRA_BODY_HEAD ? (size_t)here : CASSANDRA_HEAD + CASSANDRA_BODY_HEAD;
	if (in.len < head)
		return need(ret, head);
	if (ends_older(s, side, &h, ret))
		return PARSE_MESSAGE;
	if (head > CASSANDRA_HEAD)
		body = slice_make(in.ptr + CASSANDRA_HEAD, head - CASSANDRA_HEAD);
	/* Segments are compressed as a whole, and the room for what comes out of a body is theirs. */
	bool segments = w->framing == CASSANDRA_SEGMENTS || w->framing == CASSANDRA_LZ4_SEGMENTS;
	if (h.flags & CASSANDRA_COMPRESSED && body.len)
		known = !segments && cassandra_inflate_body(s, side, body, head == total, &body);
	m->flags = MESSAGE_BEGIN;
	if (!(side == PROTO_TO_SERVER ? cassandra_read_request(s, &h, body, known, m) : cassandra_read_response(s, &h, body, known, m)))
		return PARSE_BAD;
	if (side == PROTO_TO_CLIENT) {
		m->flags |= s->doubtful && m->keyed ? MESSAGE_UNSURE : 0;
		s->doubtful = false;
	}
	maybe_framed(s, side, &h);
	ret->consumed = here < in.len ? (size_t)here : in.len;
	ret->skip = here - ret->consumed;
	w->envelope_left = (uint32_t)(total - here);
	w->kind = (uint8_t)m->kind;
	w->stream = h.stream;
	if (!w->envelope_left)
		m->flags |= MESSAGE_END | (ret->skip ? MESSAGE_END_AFTER_SKIP : 0);
	return PARSE_MESSAGE;
}

/* The body goes on with `n` bytes, which are `wire` on the wire. */
static enum parse_status go_on(struct cassandra_way *w, struct slice in, uint32_t n, uint64_t wire, struct parse_result *ret)
{
	ret->consumed = wire < in.len ? (size_t)wire : in.len;
	ret->skip = wire - ret->consumed;
	w->envelope_left -= n;
	if (w->envelope_left)
		return PARSE_SKIP;
	ret->message.kind = (enum message_kind)w->kind;
	ret->message.keyed = w->kind != MESSAGE_ONEWAY;
	ret->message.key = w->stream;
	ret->message.flags = MESSAGE_END | (ret->skip ? MESSAGE_END_AFTER_SKIP : 0);
	return PARSE_MESSAGE;
}

/* --- segments --- */

/* Behind a loss a part of an envelope is either its first one, whose head says that it does not end here, or the rest of one that was not seen. */
static bool is_rest(const struct cassandra_way *w, struct slice in, enum proto_side side, uint32_t length)
{
	struct cassandra_head h;

	if (!w->lost || w->whole || length < CASSANDRA_HEAD)
		return w->lost && !w->whole;
	return !cassandra_head(in, side, &h) || h.version != CASSANDRA_LAST_VERSION || (uint64_t)h.length + CASSANDRA_HEAD <= length;
}

/* Envelopes in what is not compressed. */
static enum parse_status parse_payload(struct cassandra_state *s, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct cassandra_way *w = way_of(s, side);
	uint32_t n = w->segment_left;
	enum parse_status status;

	if (w->envelope_left) {
		if (w->whole)
			return PARSE_BAD;
		if (w->envelope_left < n)
			n = w->envelope_left;
		status = go_on(w, in, n, n, ret);
	} else {
		if (w->lost && !w->whole && n >= CASSANDRA_HEAD && in.len < CASSANDRA_HEAD)
			return need(ret, CASSANDRA_HEAD);
		if (is_rest(w, in, side, w->segment_left)) {
			w->segment_left = 0;
			return pass_apart(ret, in, n);
		}
		status = parse_envelope(s, side, in, n, ret);
		if (w->whole && w->envelope_left) {
			w->envelope_left = 0;
			return PARSE_BAD;
		}
	}
	if (status == PARSE_MESSAGE || status == PARSE_SKIP) {
		w->segment_left -= (uint32_t)(ret->consumed + ret->skip);
		if (ret->consumed)
			w->lost = false;
	}
	return status;
}

/* How many envelopes begin in what was inflated; 0 if it does not hold whole ones, or the beginning of one. */
static uint32_t count_envelopes(const struct cassandra_way *w, struct slice in, enum proto_side side)
{
	struct cassandra_head h;
	uint32_t n = 0;

	while (in.len >= CASSANDRA_HEAD && cassandra_head(in, side, &h)) {
		n++;
		if (h.length > in.len - CASSANDRA_HEAD)
			return w->whole ? 0 : n;
		in = slice_from(in, CASSANDRA_HEAD + (size_t)h.length);
	}
	return in.len ? 0 : n;
}

/* The envelope's rest fills a compressed segment: there is no need to look into it. */
static enum parse_status pass_compressed(struct cassandra_way *w, struct slice in, const struct cassandra_segment *g, struct parse_result *ret)
{
	uint64_t total = CASSANDRA_LZ4_SEGMENT_HEAD + (uint64_t)g->length + CASSANDRA_SEGMENT_TAIL;

	if (g->whole || g->plain > w->envelope_left)
		return PARSE_BAD;
	return go_on(w, in, g->plain, total, ret);
}

/* Consumes `n` bytes of the segment with this message; of the last one a part may still be to come. */
static void take(struct cassandra_way *w, struct slice in, uint32_t n, struct parse_result *ret)
{
	w->segment_left -= n;
	ret->consumed = n < in.len ? n : in.len;
	ret->skip = n - ret->consumed;
	if (ret->skip && ret->message.flags & MESSAGE_END)
		ret->message.flags |= MESSAGE_END_AFTER_SKIP;
}

/*
 * A message of what was inflated. Each must consume something: the first one takes the segment but for its check sum, which is the others'; where they are more
 * than it has bytes, but for as many as they are.
 */
static enum parse_status parse_inflated(struct cassandra_state *s, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct cassandra_way *w = way_of(s, side);
	struct slice plain = slice_make(s->memory->room[side].at + w->plain_at, w->plain_len - w->plain_at);
	enum parse_status status = parse_envelope(s, side, plain, plain.len, ret);
	uint32_t keep = CASSANDRA_SEGMENT_TAIL;

	if (status != PARSE_MESSAGE)
		return PARSE_BAD;
	if (ret->consumed == 0) /* an older one ends */
		return status;
	bool first = w->plain_at == 0;
	w->plain_at += (uint32_t)ret->consumed;
	if (--w->messages > keep)
		keep = w->messages;
	if (w->messages) {
		take(w, in, first ? w->segment_left - keep : 1, ret);
		return status;
	}
	w->plain_at = w->plain_len = 0;
	take(w, in, w->segment_left, ret);
	return status;
}

static enum parse_status parse_compressed(struct cassandra_state *s, enum proto_side side, struct slice in, const struct cassandra_segment *g, struct parse_result *ret)
{
	struct cassandra_way *w = way_of(s, side);
	size_t payload = CASSANDRA_LZ4_SEGMENT_HEAD + g->length, total = payload + CASSANDRA_SEGMENT_TAIL, len;

	w->whole = g->whole;
	if (w->envelope_left)
		return pass_compressed(w, in, g, ret);
	if (in.len < payload)
		return need(ret, payload);
	cassandra_memory_leave_room(s->memory, side);
	uint8_t *room = cassandra_memory_room(s->memory, side, g->plain);
	if (!room || !cassandra_lz4(slice_make(in.ptr + CASSANDRA_LZ4_SEGMENT_HEAD, g->length), room, g->plain, &len) || len < g->plain)
		return PARSE_BAD;
	if (is_rest(w, slice_make(room, len), side, g->plain))
		return pass_apart(ret, in, total);
	w->messages = count_envelopes(w, slice_make(room, len), side);
	if (w->messages == 0 || w->messages > payload)
		return PARSE_BAD;
	w->plain_at = 0;
	w->plain_len = (uint32_t)len;
	w->segment_left = (uint32_t)total;
	w->lost = false;
	return parse_inflated(s, side, in, ret);
}

static enum parse_status parse_segments(struct cassandra_state *s, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct cassandra_way *w = way_of(s, side);
	bool lz4 = w->framing == CASSANDRA_LZ4_SEGMENTS;
	size_t head = lz4 ? CASSANDRA_LZ4_SEGMENT_HEAD : CASSANDRA_SEGMENT_HEAD;
	struct cassandra_segment g;

	if (w->plain_len)
		return parse_inflated(s, side, in, ret);
	if (w->in_segment && w->segment_left)
		return parse_payload(s, side, in, ret);
	if (w->in_segment) {
		w->in_segment = false;
		return pass_apart(ret, in, CASSANDRA_SEGMENT_TAIL);
	}
	if (in.len < head)
		return need(ret, head);
	if (!cassandra_segment(in, lz4, &g))
		return PARSE_BAD;
	if (g.plain)
		return parse_compressed(s, side, in, &g, ret);
	w->in_segment = true;
	w->whole = g.whole;
	w->segment_left = g.length;
	return pass_apart(ret, in, head);
}

/* --- the parser --- */

static enum parse_status cassandra_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct cassandra_state *s = state;
	struct cassandra_way *w = way_of(s, side);

	if (!s->memory)
		return PARSE_BAD;
	if (w->framing == CASSANDRA_UNKNOWN) {
		if (in.len < CASSANDRA_HEAD)
			return need(ret, CASSANDRA_HEAD);
		w->framing = (uint8_t)cassandra_framing(in, side);
		w->lost = true; /* or nothing was before it */
	}
	switch (w->framing) {
	case CASSANDRA_PLAIN: return parse_envelope(s, side, in, UINT64_MAX, ret);
	case CASSANDRA_SEGMENTS:
	case CASSANDRA_LZ4_SEGMENTS: return parse_segments(s, side, in, ret);
	default: return PARSE_BAD;
	}
}

static void cassandra_lost(void *state, enum proto_side side)
{
	struct cassandra_state *s = state;

	if (!s->memory)
		return;
	/* What would have told that segments begin may be lost. */
	uint8_t framing = s->way[side].framing == CASSANDRA_PLAIN ? CASSANDRA_UNKNOWN : s->way[side].framing;
	s->way[side] = (struct cassandra_way){ .framing = framing, .lost = true };
	if (side == PROTO_TO_SERVER) {
		s->requests_lost = true;
		return;
	}
	cassandra_memory_answers_lost(s->memory);
	if (s->moves || s->requests_lost)
		s->memory->keyspace_len = 0;
	s->moves = s->requests_lost = s->doubtful = false;
}

static size_t cassandra_resync(void *state, enum proto_side side, struct slice in)
{
	struct cassandra_state *s = state;
	enum cassandra_framing framing = (enum cassandra_framing)s->way[side].framing;
	size_t at = cassandra_find(in, side, &framing);

	s->way[side].framing = (uint8_t)framing;
	return at;
}

static void *cassandra_open(struct proto_memory *memory)
{
	return cassandra_memory_new(memory);
}

static void cassandra_close(void *external)
{
	cassandra_memory_free(external);
}

const struct proto_ops proto_cassandra = {
	.name = "cassandra",
	.id = PLUMB_PROTO_CASSANDRA,
	.state_size = sizeof(struct cassandra_state),
	.detect = cassandra_detect,
	.parse = cassandra_parse,
	.resync = cassandra_resync,
	.lost = cassandra_lost,
	.resync_keep = CASSANDRA_RESYNC_KEEP,
	.open = cassandra_open,
	.close = cassandra_close,
	/* Envelopes begin anywhere in an I/O. */
	.want = { PLUMB_POLICY_ALL, PLUMB_POLICY_ALL },
};

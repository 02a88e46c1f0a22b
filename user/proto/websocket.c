/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSocket: RFC 6455. Its handshake is HTTP/1's, which switches here: what follows is one exchange that lasts as long as the connection, the client's side of it a
 * request and the server's a response. Messages are counted and never read; extensions (permessage-deflate, RFC 7692) change what is in them only. Frames have
 * no mark: a connection whose handshake was not seen is none.
 *
 * Both sides end with a Close frame or with the stream. A code other than those of an orderly end (RFC 6455, 7.4.1) is the exchange's error; the side that sent its
 * Close first has said why.
 */
#include <stdio.h>

#include "model/record.h"
#include "proto/proto.h"

enum { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };
enum { FIN = 0x80, RESERVED_2_3 = 0x30, OPCODE = 0x0f, MASKED = 0x80, LENGTH = 0x7f, LENGTH_16 = 126, LENGTH_64 = 127 };
enum { MASK_BYTES = 4, CODE_BYTES = 2, CONTROL_MAX = 125, HEAD_MAX = 14 };
enum { CLOSE_NORMAL = 1000, CLOSE_GOING_AWAY = 1001, CLOSE_NO_STATUS = 1005, CLOSE_ABNORMAL = 1006 };

struct websocket_side {
	uint64_t messages;
	bool begun;    /* an event was given */
	bool closed;   /* its Close frame was seen */
	bool inside;   /* of a message whose last frame has not come */
	bool lost;     /* frames were: the count is short */
};

struct websocket_state {
	struct websocket_side side[2];
	uint16_t code; /* of the first Close frame, 0 none */
};

_Static_assert(sizeof(struct websocket_state) <= CONNECTION_PARSER_BYTES, "parser state");

struct frame {
	uint8_t opcode;
	bool fin;
	size_t head;     /* bytes before the payload */
	uint64_t length; /* of the payload */
	struct slice mask;
};

enum frame_answer { FRAME_GOOD, FRAME_SHORT, FRAME_BAD };

/* RFC 6455, 5.2: clients mask and servers do not, lengths are in their shortest form, control frames are short and whole. */
static enum frame_answer frame_read(struct slice in, enum proto_side side, struct frame *ret)
{
	if (in.len < 2)
		return FRAME_SHORT;
	uint8_t first = in.ptr[0], second = in.ptr[1];
	size_t more = (second & LENGTH) == LENGTH_16 ? 2 : (second & LENGTH) == LENGTH_64 ? 8 : 0;
	bool masked = second & MASKED;

	*ret = (struct frame){ .opcode = first & OPCODE, .fin = first & FIN, .length = second & LENGTH, .head = 2 + more + (masked ? MASK_BYTES : 0) };
	bool control = ret->opcode >= CLOSE;
	if (first & RESERVED_2_3 || (ret->opcode > BINARY && !control) || ret->opcode > PONG || masked != (side == PROTO_TO_SERVER))
		return FRAME_BAD;
	if (control && (!ret->fin || ret->length > CONTROL_MAX || (ret->opcode == CLOSE && ret->length == 1)))
		return FRAME_BAD;
	if (in.len < ret->head)
		return FRAME_SHORT;
	if (more) {
		ret->length = 0;
		for (size_t i = 0; i < more; i++)
			ret->length = ret->length << 8 | in.ptr[2 + i];
		if (ret->length < (more == 2 ? LENGTH_16 : 0x10000) || ret->length > INT64_MAX)
			return FRAME_BAD;
	}
	if (masked)
		ret->mask = slice_make(in.ptr + 2 + more, MASK_BYTES);
	return FRAME_GOOD;
}

static bool orderly(uint16_t code) { return code == CLOSE_NORMAL || code == CLOSE_GOING_AWAY || code == CLOSE_NO_STATUS; }

static void part(struct websocket_state *st, enum proto_side side, uint32_t flags, struct message *m)
{
	struct websocket_side *s = &st->side[side];

	m->kind = side == PROTO_TO_SERVER ? MESSAGE_REQUEST : MESSAGE_RESPONSE;
	/* The exchange was begun by the handshake, with its request. */
	m->flags = flags | (side == PROTO_TO_CLIENT && !s->begun ? MESSAGE_BEGIN : 0);
	m->keyed = true;
	m->key = PROTO_SESSION_KEY;
	s->begun = true;
}

static void end_side(struct websocket_state *st, enum proto_side side, struct message *m)
{
	const struct websocket_side *s = &st->side[side];

	part(st, side, MESSAGE_END | (s->lost ? MESSAGE_UNSURE : 0), m);
	/* Both, as the other side may never end; if it does, it knows better. */
	message_add_int(m, ATTR_WEBSOCKET_CLIENT_MESSAGES, (int64_t)st->side[PROTO_TO_SERVER].messages);
	message_add_int(m, ATTR_WEBSOCKET_SERVER_MESSAGES, (int64_t)st->side[PROTO_TO_CLIENT].messages);
	if (!st->code)
		return;
	message_add_int(m, ATTR_WEBSOCKET_CLOSE_CODE, st->code);
	if (!orderly(st->code)) {
		m->flags |= MESSAGE_ERROR;
		snprintf(m->error_type, sizeof(m->error_type), "%u", st->code);
	}
}

static enum parse_status close_frame(struct websocket_state *st, enum proto_side side, const struct frame *f, struct slice in, struct parse_result *ret)
{
	uint16_t code = CLOSE_NO_STATUS;

	if (f->length >= CODE_BYTES) {
		if (in.len < f->head + CODE_BYTES) {
			ret->need = f->head + CODE_BYTES;
			return PARSE_NEED_MORE;
		}
		uint8_t high = in.ptr[f->head], low = in.ptr[f->head + 1];
		if (f->mask.len) {
			high ^= f->mask.ptr[0];
			low ^= f->mask.ptr[1];
		}
		code = (uint16_t)(high << 8 | low);
	}
	if (!st->code)
		st->code = code;
	st->side[side].closed = true;
	end_side(st, side, &ret->message);
	ret->consumed = f->head;
	ret->skip = f->length;
	if (f->length)
		ret->message.flags |= MESSAGE_END_AFTER_SKIP;
	return PARSE_MESSAGE;
}

static enum parse_status websocket_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct websocket_state *st = state;
	struct websocket_side *s = &st->side[side];
	struct frame f;

	if (s->closed) { /* nothing counts behind it (RFC 6455, 1.4) */
		ret->consumed = in.len;
		ret->skip = UINT64_MAX;
		ret->apart = true;
		return PARSE_SKIP;
	}
	switch (frame_read(in, side, &f)) {
	case FRAME_SHORT: return PARSE_NEED_MORE;
	case FRAME_BAD: return PARSE_BAD;
	case FRAME_GOOD: break;
	}
	if (f.opcode == CLOSE)
		return close_frame(st, side, &f, in, ret);
	ret->consumed = f.head;
	ret->skip = f.length;
	if (f.opcode > BINARY) {
		ret->apart = true;
		return PARSE_SKIP;
	}
	if ((f.opcode == CONTINUATION) != s->inside && !s->lost)
		return PARSE_BAD;
	s->messages += f.opcode != CONTINUATION;
	s->inside = !f.fin;
	part(st, side, 0, &ret->message);
	return PARSE_MESSAGE;
}

/* Frames that fill the input to its end, one behind the other: as an I/O call writes them. */
static bool fills(struct slice in, enum proto_side side)
{
	struct frame f;
	size_t at = 0;

	while (at < in.len) {
		if (frame_read(slice_from(in, at), side, &f) != FRAME_GOOD)
			return false;
		if (f.length > in.len - at - f.head)
			return at > 0; /* the last one goes on */
		at += f.head + (size_t)f.length;
	}
	return at > 0;
}

static size_t websocket_resync(void *state, enum proto_side side, struct slice in)
{
	struct websocket_side *s = &((struct websocket_state *)state)->side[side];

	s->lost = true;
	return fills(in, side) ? 0 : in.len;
}

static void websocket_lost(void *state, enum proto_side side) { ((struct websocket_state *)state)->side[side].lost = true; }

static bool websocket_finish(void *state, enum proto_side side, bool broken, struct message *ret_message)
{
	struct websocket_state *st = state;

	if (broken || st->side[side].closed)
		return false;
	st->side[side].closed = true;
	if (!st->code)
		st->code = CLOSE_ABNORMAL;
	end_side(st, side, ret_message);
	return true;
}

static int websocket_detect(struct slice in, enum proto_side side)
{
	(void)in;
	(void)side;
	return DETECT_NO;
}

const struct proto_ops proto_websocket = {
	.name = "websocket",
	.id = PLUMB_PROTO_WEBSOCKET,
	.state_size = sizeof(struct websocket_state),
	.detect = websocket_detect,
	.parse = websocket_parse,
	.resync = websocket_resync,
	.lost = websocket_lost,
	.finish = websocket_finish,
	.session = true,
	.want = { PLUMB_POLICY_ALL, PLUMB_POLICY_ALL }, /* many small frames may lie in one call, and one that is not seen loses all behind it */
};

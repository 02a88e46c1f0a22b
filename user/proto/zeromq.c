/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ZeroMQ: ZMTP 2.0, 3.0 and 3.1 (see zeromq_wire.h).
 *
 * Either end of a connection may be the one that asks: who connects says nothing of that, the sockets' types do, which the handshake tells. What a REQ sends, or a REP is sent, is a
 * request, answered by what comes back with the same envelope, the frames in front of an empty one. Of those with the same one a REP answers the oldest first, and a REQ waits for its
 * answer. For all other types the protocol has no rule by which one message answers another: each is an exchange by itself, of who sends it,
 * over when it was sent. So is what is sent on a connection that was joined later, of which the types are not known.
 *
 * The handshake is an exchange of the end that connects, from its greeting to the other one's READY, or an ERROR. With CURVE and GSSAPI it is all that can be read.
 *
 * Keys: hash of an envelope, numbers of requests and of what is sent one way, KEY_CONNECT; those of what the listening end asks have KEY_SERVER.
 */
#include "lib/hash.h"
#include "proto/zeromq_memory.h"

#define KEY_SERVER (UINT64_C(1) << 63)
#define KEY_NAMED (UINT64_C(1) << 62)  /* a hash */
#define KEY_SERIES (UINT64_C(1) << 61) /* number of a request */
#define KEY_CONNECT (KEY_SERIES - 1)

enum { RESYNC_KEEP = 64, CODE_LEN = 3, ENVELOPE_EMPTY = 2 /* bytes */, MECHANISM_PLAIN = 2, MECHANISM_OTHER = UINT8_MAX };

/* What a message under way is. */
enum role {
	ROLE_NONE,      /* nothing that is told of: encrypted, or what no socket would take */
	ROLE_ONEWAY,
	ROLE_REQUEST,
	ROLE_ANSWER,
};

struct way {
	uint64_t key;       /* of the message under way */
	uint64_t bytes;
	uint64_t sent;      /* one-way messages so far */
	uint32_t frames;
	uint8_t type;       /* enum zeromq_type of who sends */
	uint8_t role;
	bool keyed : 1;
	bool greeted : 1;   /* what comes are frames */
	bool ready : 1;     /* and the handshake is over */
	bool begun : 1;     /* a message goes on */
	bool cut : 1;       /* it does not, and nobody has said so */
	bool unsure : 1;    /* something was lost */
};

struct zeromq_state {
	struct zeromq_memory *memory;
	struct way way[2];  /* by side */
	uint8_t mechanism;  /* as in struct zeromq_greeting, MECHANISM_OTHER; 0 = not known */
	bool connecting;
	char code[CODE_LEN];
};
_Static_assert(sizeof(struct zeromq_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

static enum proto_side other(enum proto_side side) { return side == PROTO_TO_SERVER ? PROTO_TO_CLIENT : PROTO_TO_SERVER; }

static uint64_t of_side(uint64_t key, enum proto_side asked) { return asked == PROTO_TO_CLIENT ? key | KEY_SERVER : key; }

/* ---- attributes ---- */

static void type_add(enum attr_id id, uint8_t type, struct message *m)
{
	if (type)
		message_add_str(m, id, slice_str(zeromq_type_name((enum zeromq_type)type)));
}

static void ask(struct zeromq_state *s, enum proto_side side, const char *operation, struct message *m)
{
	m->kind = MESSAGE_REQUEST;
	m->flags |= MESSAGE_BEGIN;
	message_add_str(m, ATTR_MESSAGING_OPERATION_NAME, slice_str(operation));
	type_add(ATTR_ZEROMQ_SOURCE_TYPE, s->way[side].type, m);
	type_add(ATTR_ZEROMQ_DESTINATION_TYPE, s->way[other(side)].type, m);
}

static void one_way(struct zeromq_state *s, enum proto_side side, const char *operation, struct message *m)
{
	struct way *w = &s->way[side];

	w->keyed = true;
	w->key = of_side(w->sent++ & (KEY_SERIES - 1), side);
	ask(s, side, operation, m);
	m->flags |= MESSAGE_NO_RESPONSE;
}

/* ---- the handshake ---- */

static void connect_event(enum message_kind kind, uint32_t flags, struct message *m)
{
	m->kind = kind;
	m->keyed = true;
	m->key = KEY_CONNECT;
	m->flags |= flags;
}

static enum parse_status greeting(struct zeromq_state *s, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct zeromq_greeting g;
	struct way *w = &s->way[side];
	struct message *m = &ret->message;
	size_t need;

	enum zeromq_scan scan = zeromq_greeting_read(in, &need, &g);
	if (scan == ZEROMQ_SCAN_BAD)
		return PARSE_BAD;
	if (scan == ZEROMQ_SCAN_MORE) {
		ret->need = need;
		return PARSE_NEED_MORE;
	}
	ret->consumed = g.len;
	s->mechanism = g.mechanism ? g.mechanism : MECHANISM_OTHER;
	w->greeted = true;
	w->ready = g.type != ZEROMQ_UNKNOWN;
	w->type = (uint8_t)g.type;
	if (side == PROTO_TO_CLIENT && !g.type)
		return PARSE_SKIP;
	if (side == PROTO_TO_CLIENT) {
		connect_event(MESSAGE_RESPONSE, MESSAGE_BEGIN | MESSAGE_END, m);
		type_add(ATTR_ZEROMQ_DESTINATION_TYPE, w->type, m);
		return PARSE_MESSAGE;
	}
	connect_event(MESSAGE_REQUEST, MESSAGE_BEGIN | (g.type ? MESSAGE_END : 0u), m);
	s->connecting = !g.type;
	message_add_str(m, ATTR_MESSAGING_OPERATION_NAME, SLICE_LIT("connect"));
	const char *mechanism = zeromq_mechanism_name(g.mechanism);
	if (mechanism)
		message_add_str(m, ATTR_ZEROMQ_MECHANISM, slice_str(mechanism));
	type_add(ATTR_ZEROMQ_SOURCE_TYPE, w->type, m);
	return PARSE_MESSAGE;
}

/* READY, and what the client of a mechanism that has one says in its place. */
static void ready(struct zeromq_state *s, enum proto_side side, const struct zeromq_command *c, struct message *m)
{
	struct way *w = &s->way[side];

	w->ready = true;
	w->type = (uint8_t)zeromq_type_read(c->body);
	if (side == PROTO_TO_SERVER) {
		connect_event(MESSAGE_REQUEST, MESSAGE_END | (s->connecting ? 0u : MESSAGE_BEGIN), m);
		type_add(ATTR_ZEROMQ_SOURCE_TYPE, w->type, m);
		s->connecting = false;
	} else {
		connect_event(MESSAGE_RESPONSE, MESSAGE_BEGIN | MESSAGE_END, m);
		type_add(ATTR_ZEROMQ_DESTINATION_TYPE, w->type, m);
	}
}

/* Behind it the connection is closed. Its reason is the status code of who authenticates, or a text. */
static void refuse(struct zeromq_state *s, const struct zeromq_command *c, struct message *m)
{
	struct slice reason = c->body.len && c->body.ptr[0] <= c->body.len - 1 ? slice_make(c->body.ptr + 1, c->body.ptr[0]) : SLICE_NONE;
	uint64_t code;

	connect_event(MESSAGE_RESPONSE, MESSAGE_ABORT | MESSAGE_ERROR, m);
	memcpy(m->error_type, "refused", sizeof("refused"));
	if (reason.len == CODE_LEN && slice_u64(reason, &code)) {
		memcpy(s->code, reason.ptr, CODE_LEN);
		memcpy(m->error_type, s->code, CODE_LEN);
		m->error_type[CODE_LEN] = '\0';
		message_add_str(m, ATTR_MESSAGING_RESPONSE_CODE, slice_make(s->code, CODE_LEN));
	} else if (reason.len) {
		message_add_str(m, ATTR_RAW_STATUS_MESSAGE, reason);
	}
}

static void subscription(struct zeromq_state *s, enum proto_side side, bool add, struct slice topic, struct message *m)
{
	one_way(s, side, add ? "subscribe" : "unsubscribe", m);
	m->keyed = true;
	m->key = s->way[side].key;
	m->flags |= MESSAGE_END;
	if (zeromq_topic_plausible(topic))
		message_add_str(m, ATTR_MESSAGING_DESTINATION_NAME, topic);
	if (add)
		zeromq_topic_add(s->memory, topic);
	else
		zeromq_topic_remove(s->memory, topic);
}

static bool is_encrypted(const struct zeromq_state *s) { return s->mechanism > MECHANISM_PLAIN; }

static enum parse_status command(struct zeromq_state *s, enum proto_side side, struct slice in, const struct zeromq_frame *f, struct parse_result *ret)
{
	size_t look = f->size < ZEROMQ_LOOK ? (size_t)f->size : ZEROMQ_LOOK;
	struct slice body = slice_head(slice_from(in, f->head), look);
	struct way *w = &s->way[side];
	struct zeromq_command c;

	enum zeromq_scan scan = zeromq_command_read(body, f->size, &c);
	if (scan == ZEROMQ_SCAN_BAD)
		return PARSE_BAD;
	ret->need = f->head + look;
	if (body.len < look)
		return PARSE_NEED_MORE;
	ret->consumed = f->head + look;
	ret->skip = f->size - look;
	ret->apart = true;
	bool metadata = c.verb == ZEROMQ_READY || c.verb == ZEROMQ_INITIATE;
	if (metadata && !w->ready && !w->begun) {
		ready(s, side, &c, &ret->message);
		return PARSE_MESSAGE;
	}
	if (c.verb == ZEROMQ_ERROR && !w->ready && !w->begun) {
		refuse(s, &c, &ret->message);
		return PARSE_MESSAGE;
	}
	if ((c.verb == ZEROMQ_SUBSCRIBE || c.verb == ZEROMQ_CANCEL) && look == f->size && !w->begun) {
		subscription(s, side, c.verb == ZEROMQ_SUBSCRIBE, c.body, &ret->message);
		return PARSE_MESSAGE;
	}
	return PARSE_SKIP;
}

/* ---- messages ---- */

static enum role role_of(const struct zeromq_state *s, enum proto_side side)
{
	enum zeromq_type from = (enum zeromq_type)s->way[side].type, to = (enum zeromq_type)s->way[other(side)].type;

	if (is_encrypted(s))
		return ROLE_NONE;
	if (from == ZEROMQ_REQ || to == ZEROMQ_REP)
		return ROLE_REQUEST;
	return to == ZEROMQ_REQ || from == ZEROMQ_REP ? ROLE_ANSWER : ROLE_ONEWAY;
}

/*
 * Whose an answer is. A REQ that has numbers of its own wants them back. Where the end that connects asks, and names nobody, the engine pairs in order, and knows what to make of
 * losses. The rest has numbers: of what a REP is asked, and of what a listening REQ asks, which is answered before it asks again.
 *
 * Behind a loss nobody knows of a REP whether an answer is for what was seen, or for what was lost. An answer to what was asked since tells nothing: it may be the one before.
 */
static bool is_unsure(const struct zeromq_state *s) { return s->way[0].unsure || s->way[1].unsure; }

static void sure(struct zeromq_state *s) { s->way[0].unsure = s->way[1].unsure = false; }

static void lost_call(struct zeromq_state *s, enum proto_side side)
{
	s->way[side].unsure = true;
	zeromq_calls_lost(s->memory);
}

static uint64_t request_number(struct zeromq_state *s, enum proto_side side, struct slice envelope, bool strict, uint64_t time_ns)
{
	bool full;

	if (is_unsure(s) && zeromq_calls_silent(s->memory, time_ns))
		sure(s);
	/* Who asks again has its answer, or it is lost. One who does not wait is hardly behind a queue. */
	if (strict ? is_unsure(s) : s->way[other(side)].unsure && envelope.len > ENVELOPE_EMPTY)
		zeromq_calls_forget(s->memory, envelope);
	uint64_t number = zeromq_call(s->memory, envelope, time_ns, &full);
	if (full)
		lost_call(s, side);
	return number;
}

static bool answer_number(struct zeromq_state *s, enum proto_side asked, struct slice envelope, bool strict, uint64_t time_ns, uint64_t *ret)
{
	if (!zeromq_answer(s->memory, envelope, is_unsure(s), time_ns, ret))
		return false;
	if (!is_unsure(s))
		return true;
	if (strict ? zeromq_calls_answered(s->memory) : !s->way[asked].unsure && zeromq_calls_whole(s->memory))
		sure(s);
	return true;
}

static void call_key(struct zeromq_state *s, enum proto_side side, enum role role, struct slice envelope, uint64_t time_ns, struct message *m)
{
	enum proto_side asked = role == ROLE_REQUEST ? side : other(side);
	struct way *w = &s->way[side];
	bool named = envelope.len > ENVELOPE_EMPTY, strict = s->way[asked].type == ZEROMQ_REQ;
	uint64_t number;

	w->keyed = named || asked == PROTO_TO_CLIENT;
	w->key = 0;
	if (named && strict) {
		w->key = of_side((hash_slice(envelope) & (KEY_SERIES - 1)) | KEY_NAMED, asked);
	} else if (w->keyed && role == ROLE_REQUEST) {
		w->key = of_side(KEY_SERIES | (request_number(s, side, envelope, strict, time_ns) & (KEY_SERIES - 1)), asked);
	} else if (w->keyed && answer_number(s, asked, envelope, strict, time_ns, &number)) {
		w->key = of_side(KEY_SERIES | (number & (KEY_SERIES - 1)), asked);
	} else if (w->keyed) {
		w->key = of_side(w->sent++ & (KEY_SERIES - 1), side); /* of nobody */
	}
	m->keyed = w->keyed;
	m->key = w->key;
	m->flags |= w->keyed && !strict && is_unsure(s) ? MESSAGE_UNSURE : 0u;
}

/* `len` bytes of an envelope, which was read. */
static enum parse_status call_begin(struct zeromq_state *s, enum proto_side side, enum role role, struct slice in, size_t len, struct parse_result *ret)
{
	struct message *m = &ret->message;
	struct way *w = &s->way[side];

	w->begun = true;
	w->bytes = w->frames = 0;
	w->role = (uint8_t)role;
	ret->consumed = len;
	if (role == ROLE_REQUEST)
		ask(s, side, "request", m);
	m->kind = role == ROLE_REQUEST ? MESSAGE_REQUEST : MESSAGE_RESPONSE;
	m->flags |= MESSAGE_BEGIN;
	call_key(s, side, role, slice_make(in.ptr, len), ret->time_ns, m);
	return PARSE_MESSAGE;
}

static bool publishes(uint8_t type) { return type == ZEROMQ_PUB || type == ZEROMQ_XPUB; }

static bool subscribes(uint8_t type) { return type == ZEROMQ_SUB || type == ZEROMQ_XSUB; }

/* Before version 3.1 a subscription is a message: a one or a zero, and what it is for. */
static bool subscribes_by_message(const struct way *w, struct slice in, const struct zeromq_frame *f, struct parse_result *ret, enum parse_status *ret_status)
{
	if (!subscribes(w->type) || f->flags & ZEROMQ_MORE || f->size == 0 || f->size > ZEROMQ_LOOK)
		return false;
	ret->need = f->head + (in.len > f->head && in.ptr[f->head] > 1 ? 1 : (size_t)f->size);
	*ret_status = PARSE_NEED_MORE;
	return in.len < ret->need || in.ptr[f->head] <= 1;
}

static enum parse_status one_way_begin(struct zeromq_state *s, enum proto_side side, struct slice in, const struct zeromq_frame *f, struct parse_result *ret)
{
	struct way *w = &s->way[side];
	struct message *m = &ret->message;
	enum parse_status status;

	if (subscribes_by_message(w, in, f, ret, &status)) {
		if (in.len < ret->need)
			return status;
		subscription(s, side, in.ptr[f->head], slice_from(slice_head(in, ret->need), f->head + 1u), m);
		ret->consumed = ret->need;
		return PARSE_MESSAGE;
	}
	size_t look = publishes(w->type) ? s->memory->longest : 0;
	look = f->size < look ? (size_t)f->size : look;
	ret->need = f->head + look;
	if (in.len < ret->need)
		return PARSE_NEED_MORE;
	w->role = ROLE_ONEWAY;
	w->bytes = w->frames = 0;
	w->begun = true;
	one_way(s, side, publishes(w->type) ? "publish" : "send", m);
	message_add_str(m, ATTR_MESSAGING_OPERATION_TYPE, side == PROTO_TO_CLIENT ? SLICE_LIT("process") : SLICE_LIT("send"));
	struct slice topic = zeromq_topic_of(s->memory, slice_make(in.ptr + f->head, look));
	if (topic.len)
		message_add_str(m, ATTR_MESSAGING_DESTINATION_NAME, topic);
	return PARSE_MESSAGE;
}

/* A frame of the message under way. */
static enum parse_status frame_count(struct way *w, const struct zeromq_frame *f, struct parse_result *ret)
{
	struct message *m = &ret->message;

	ret->consumed = f->head;
	ret->skip = f->size;
	w->bytes += f->size;
	w->frames += w->frames < UINT32_MAX;
	w->begun = f->flags & ZEROMQ_MORE;
	if (w->role == ROLE_NONE)
		return PARSE_SKIP;
	m->kind = w->role == ROLE_ANSWER ? MESSAGE_RESPONSE : MESSAGE_REQUEST;
	m->keyed = w->keyed;
	m->key = w->key;
	if (!w->begun) {
		m->flags |= MESSAGE_END | MESSAGE_END_AFTER_SKIP;
		if (w->role != ROLE_ANSWER) {
			message_add_int(m, ATTR_MESSAGING_MESSAGE_BODY_SIZE, (int64_t)(w->bytes > INT64_MAX ? INT64_MAX : w->bytes));
			message_add_int(m, ATTR_ZEROMQ_FRAMES, w->frames);
		}
	}
	return m->flags ? PARSE_MESSAGE : PARSE_SKIP;
}

static enum parse_status message(struct zeromq_state *s, enum proto_side side, struct slice in, const struct zeromq_frame *f, struct parse_result *ret)
{
	struct way *w = &s->way[side];
	enum role role = role_of(s, side);
	size_t len;

	if (w->begun)
		return frame_count(w, f, ret);
	if (role == ROLE_REQUEST || role == ROLE_ANSWER) {
		enum zeromq_scan scan = zeromq_envelope_read(in, &ret->need, &len);
		if (scan == ZEROMQ_SCAN_MORE)
			return PARSE_NEED_MORE;
		if (scan == ZEROMQ_SCAN_OK)
			return call_begin(s, side, role, in, len, ret);
		role = role == ROLE_REQUEST ? ROLE_ONEWAY : ROLE_NONE; /* without an envelope the socket drops it */
	}
	w->role = ROLE_NONE;
	if (role == ROLE_ONEWAY) {
		enum parse_status status = one_way_begin(s, side, in, f, ret);
		if (status != PARSE_MESSAGE || ret->consumed)
			return status;
	}
	return frame_count(w, f, ret);
}

/* ---- the contract ---- */

static enum parse_status zeromq_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct zeromq_state *s = state;
	struct way *w = &s->way[side];
	struct zeromq_frame f;

	if (in.len == 0)
		return PARSE_NEED_MORE;
	if (w->cut) {
		w->cut = false;
		ret->message.kind = w->role == ROLE_ANSWER ? MESSAGE_RESPONSE : MESSAGE_REQUEST;
		ret->message.keyed = true;
		ret->message.key = w->key;
		ret->message.flags = MESSAGE_END | MESSAGE_UNSURE;
		return PARSE_MESSAGE;
	}
	if (!w->greeted && in.ptr[0] == 0xff)
		return greeting(s, side, in, ret);
	w->greeted = true; /* or joined later */
	enum zeromq_scan scan = zeromq_frame_read(in, &f);
	if (scan != ZEROMQ_SCAN_OK)
		return scan == ZEROMQ_SCAN_MORE ? PARSE_NEED_MORE : PARSE_BAD;
	return f.flags & ZEROMQ_COMMAND ? command(s, side, in, &f, ret) : message(s, side, in, &f, ret);
}

static void zeromq_lost(void *state, enum proto_side side)
{
	struct zeromq_state *s = state;
	struct way *w = &s->way[side];

	w->cut |= w->begun && w->keyed && w->role != ROLE_NONE;
	w->begun = false;
	lost_call(s, side);
}

static size_t zeromq_resync(void *state, enum proto_side side, struct slice in)
{
	struct zeromq_state *s = state;
	enum role role = role_of(s, side);
	size_t need;
	struct zeromq_greeting g;

	if (!s->way[side].greeted && in.len && in.ptr[0] == 0xff && zeromq_greeting_read(in, &need, &g) == ZEROMQ_SCAN_OK)
		return 0;
	return zeromq_find(in, role == ROLE_REQUEST || role == ROLE_ANSWER);
}

const struct proto_ops proto_zeromq = {
	.name = "zeromq",
	.id = PLUMB_PROTO_ZEROMQ,
	.state_size = sizeof(struct zeromq_state),
	.detect = zeromq_detect,
	.parse = zeromq_parse,
	.lost = zeromq_lost,
	.resync = zeromq_resync,
	.resync_keep = RESYNC_KEEP,
	.open = zeromq_memory_new,
	.close = zeromq_memory_free,
	.carried = true,
	.want = { 65536, 65536 }, /* libraries write many small messages at once */
};

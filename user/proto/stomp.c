/* SPDX-License-Identifier: Apache-2.0 */
/*
 * STOMP 1.0, 1.1 and 1.2 (https://stomp.github.io/stomp-specification-1.2.html).
 *
 * What a client asks is an exchange that is over when it was sent, unless it wants a receipt, or is the CONNECT. What a broker delivers is an exchange that the
 * broker begins: it lasts until it is acknowledged where the subscription says that it will be, one by one (client-individual) or with all that were delivered
 * to this subscription before it (client). An ACK or NACK that wants a receipt is an exchange of its own, too.
 *
 * Keys: the hash of a receipt's name, the hash of what acknowledges a delivery, or its number in its subscription; numbers of one's own for the rest. So an answer that is
 * parsed before its request finds it all the same.
 *
 * An ERROR is for the request that it names by its receipt, else for the CONNECT, else for all that wait for a receipt: the broker closes behind it. If nobody does,
 * what failed is over: then it stands alone. Bodies are skipped, by their length, or up to a NUL.
 */
#include "lib/hash.h"
#include "proto/stomp_memory.h"
#include "proto/stomp_wire.h"

#define KEY_SERVER (UINT64_C(1) << 63)  /* the broker asks */
#define KEY_NAMED (UINT64_C(1) << 62)   /* a hash */
#define KEY_SERIES (UINT64_C(1) << 61)  /* number of a subscription's delivery, the subscription's place above it */
enum { SERIES_SHIFT = 40 };

struct stomp_body {
	uint64_t key;
	uint64_t bytes;
	uint8_t kind;      /* enum message_kind */
	bool open;         /* up to a NUL */
	bool of_nobody;    /* its message is over */
	bool gap;          /* some of it was not captured, its end perhaps */
};

struct stomp_state {
	struct stomp_memory *memory;
	struct stomp_body body[2]; /* by side */
	uint64_t serial[2];        /* by side: exchanges without another key */
	uint64_t connect;          /* key of the CONNECT that is not answered */
	uint32_t receipts;         /* that are awaited */
	uint8_t system;            /* of systems[] + 1 */
	bool connecting : 1;
	bool each : 1;             /* something may be acknowledged by itself */
	bool settled : 1;          /* of the ACK that is parsed the delivery has its answer */
};
_Static_assert(sizeof(struct stomp_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

static const char *const systems[] = { "rabbitmq", "activemq", "activemq_artemis" };

/* ---- keys ---- */

static uint64_t named(struct slice name) { return (hash_slice(name) & (KEY_SERIES - 1)) | KEY_NAMED; }

static uint64_t own_key(struct stomp_state *s, enum proto_side side)
{
	uint64_t n = s->serial[side]++ & (KEY_SERIES - 1);

	return side == PROTO_TO_CLIENT ? n | KEY_SERVER : n;
}

static uint64_t series_key(uint8_t slot, uint32_t serial) { return KEY_SERVER | KEY_SERIES | (uint64_t)slot << SERIES_SHIFT | serial; }

static uint64_t id_of(struct slice id, struct slice otherwise) { return hash_slice(id.len ? id : otherwise) | 1; }

/* ---- attributes ---- */

static void operation_add(const struct stomp_state *s, const struct stomp_head *h, const char *type, struct message *m)
{
	message_add_str(m, ATTR_MESSAGING_OPERATION_NAME, slice_str(h->operation));
	if (type)
		message_add_str(m, ATTR_MESSAGING_OPERATION_TYPE, slice_str(type));
	if (s->system)
		message_add_str(m, ATTR_MESSAGING_SYSTEM, slice_str(systems[s->system - 1]));
}

/* A broker makes up the names of places for replies, another one for each client: they are no names of spans. */
static void destination_add(const struct stomp_head *h, struct message *m)
{
	static const struct { const char *start, *template; } made[] = {
		{ "/reply-queue/", "/reply-queue/{name}" }, { "/remote-temp-queue/", "/remote-temp-queue/{name}" }, { "/remote-temp-topic/", "/remote-temp-topic/{name}" },
	};

	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
		if (!slice_starts(h->destination, slice_str(made[i].start)))
			continue;
		message_add_str(m, ATTR_MESSAGING_DESTINATION_TEMPLATE, slice_str(made[i].template));
		message_add_bool(m, ATTR_MESSAGING_DESTINATION_TEMPORARY, true);
		return;
	}
	message_add_text(m, ATTR_MESSAGING_DESTINATION_NAME, h->destination);
}

static void context_add(const struct stomp_head *h, struct message *m)
{
	message_add_text(m, ATTR_RAW_TRACEPARENT, h->traceparent);
	message_add_text(m, ATTR_RAW_TRACESTATE, h->tracestate);
	message_add_text(m, ATTR_RAW_B3, h->b3);
	message_add_text(m, ATTR_RAW_UBER_TRACE_ID, h->uber);
	message_add_text(m, ATTR_MESSAGING_MESSAGE_CONVERSATION_ID, h->correlation_id);
}

static void size_add(uint64_t bytes, struct message *m) { message_add_int(m, ATTR_MESSAGING_MESSAGE_BODY_SIZE, (int64_t)bytes); }

static void fail(const char *name, struct message *m)
{
	size_t n = strnlen(name, MESSAGE_ERROR_TYPE_LEN - 1);

	m->flags |= MESSAGE_ERROR;
	memcpy(m->error_type, name, n);
	m->error_type[n] = '\0';
}

/* ---- what clients say ---- */

static void keyed(enum message_kind kind, uint64_t key, struct message *m)
{
	m->kind = kind;
	m->keyed = true;
	m->key = key;
}

static void ask(struct stomp_state *s, const struct stomp_head *h, struct message *m)
{
	keyed(MESSAGE_REQUEST, h->receipt.len ? named(h->receipt) : own_key(s, PROTO_TO_SERVER), m);
	if (!h->receipt.len)
		m->flags |= MESSAGE_NO_RESPONSE;
	else if (s->receipts < UINT32_MAX)
		s->receipts++;
}

static void subscribe(struct stomp_state *s, const struct stomp_head *h)
{
	enum stomp_ack ack = slice_eq(h->ack, SLICE_LIT("client")) ? STOMP_ACK_CLIENT : slice_eq(h->ack, SLICE_LIT("client-individual")) ? STOMP_ACK_EACH : STOMP_ACK_AUTO;

	s->each |= ack == STOMP_ACK_EACH;
	stomp_subscribe(s->memory, id_of(h->id, h->destination), ack);
}

/* An answer to what was delivered. */
static void settle(struct stomp_state *s, const struct stomp_head *h, struct message *m)
{
	uint64_t id = id_of(h->id, h->message_id);
	struct stomp_delivery *d = stomp_delivery_find(s->memory, id);

	if (h->command == STOMP_NACK && (d || s->each))
		fail("nack", m);
	m->flags |= MESSAGE_BEGIN | MESSAGE_END;
	if (!d) {
		s->memory->early = id;
		if (s->each)
			keyed(MESSAGE_RESPONSE, KEY_SERVER | named(h->id.len ? h->id : h->message_id), m);
		else
			m->kind = MESSAGE_ONEWAY; /* it was delivered before anybody watched */
		return;
	}
	struct stomp_subscription *sub = &s->memory->subscription[d->slot];
	uint32_t first = sub->settled;
	if (d->serial - first >= STOMP_DELIVERIES * 2) /* it was settled before, or the place has been another's */
		first = d->serial;
	else
		sub->settled = d->serial + 1;
	keyed(MESSAGE_RESPONSE, series_key(d->slot, d->serial), m);
	m->flags |= MESSAGE_RANGE;
	m->first = series_key(d->slot, first);
	d->id = 0;
}

/* ---- what brokers say ---- */

static void deliver(struct stomp_state *s, const struct stomp_head *h, struct message *m)
{
	struct slice by = h->ack.len ? h->ack : h->message_id;
	uint64_t id = id_of(by, SLICE_NONE);
	struct stomp_subscription *sub = stomp_subscription_find(s->memory, id_of(h->subscription, h->destination));
	enum stomp_ack ack = sub ? (enum stomp_ack)sub->ack : STOMP_ACK_UNKNOWN;

	if (ack == STOMP_ACK_CLIENT) {
		uint32_t serial = stomp_deliver(s->memory, sub, id);
		keyed(MESSAGE_REQUEST, series_key(stomp_slot(s->memory, sub), serial), m);
		if (s->memory->early == id)
			m->flags |= MESSAGE_NO_RESPONSE;
	} else if (ack == STOMP_ACK_EACH || (ack == STOMP_ACK_UNKNOWN && h->ack.len)) {
		keyed(MESSAGE_REQUEST, KEY_SERVER | named(by), m);
		m->flags |= ack == STOMP_ACK_EACH ? 0u : MESSAGE_QUIET;
		s->each = true;
	} else {
		keyed(MESSAGE_REQUEST, own_key(s, PROTO_TO_CLIENT), m);
		m->flags |= MESSAGE_NO_RESPONSE;
	}
	operation_add(s, h, "process", m);
	destination_add(h, m);
	message_add_text(m, ATTR_MESSAGING_MESSAGE_ID, h->message_id);
	context_add(h, m);
}

static void receipt(struct stomp_state *s, struct slice name, struct message *m)
{
	keyed(MESSAGE_RESPONSE, named(name), m);
	if (s->receipts)
		s->receipts--;
}

static void connected(struct stomp_state *s, const struct stomp_head *h, struct message *m)
{
	const char *system = stomp_system_name(h->server);

	for (uint8_t i = 0; system && i < sizeof(systems) / sizeof(systems[0]); i++)
		if (strcmp(system, systems[i]) == 0)
			s->system = (uint8_t)(i + 1);
	keyed(MESSAGE_RESPONSE, s->connecting ? s->connect : own_key(s, PROTO_TO_SERVER), m);
	s->connecting = false;
	if (s->system)
		message_add_str(m, ATTR_MESSAGING_SYSTEM, slice_str(systems[s->system - 1]));
}

/* True: the event is for several, and over. */
static bool refuse(struct stomp_state *s, const struct stomp_head *h, struct message *m)
{
	struct slice known;
	const char *name = stomp_error_name(h->message, &known);

	fail(name, m);
	message_add_str(m, ATTR_MESSAGING_RESPONSE_CODE, slice_str(name));
	message_add_text(m, ATTR_RAW_STATUS_MESSAGE, s->connecting ? known : h->message); /* of a login only that: the rest may repeat what was said in it */
	if (s->system)
		message_add_str(m, ATTR_MESSAGING_SYSTEM, slice_str(systems[s->system - 1]));
	if (h->receipt_id.len) {
		receipt(s, h->receipt_id, m);
		return false;
	}
	if (s->connecting) {
		keyed(MESSAGE_RESPONSE, s->connect, m);
		s->connecting = false;
		return false;
	}
	if (!s->receipts) {
		keyed(MESSAGE_RESPONSE, own_key(s, PROTO_TO_SERVER), m);
		return false;
	}
	s->receipts = 0;
	keyed(MESSAGE_RESPONSE, KEY_NAMED | (KEY_NAMED - 1), m);
	m->first = KEY_NAMED;
	m->flags |= MESSAGE_BEGIN | MESSAGE_END | MESSAGE_RANGE;
	return true;
}

/* ---- frames ---- */

/* True: the event stands for itself, and the frame's body is nobody's. */
static bool client_frame(struct stomp_state *s, const struct stomp_head *h, struct message *m)
{
	bool sent = h->command == STOMP_SEND;

	if ((h->command == STOMP_ACK || h->command == STOMP_NACK) && !s->settled) {
		settle(s, h, m);
		return true;
	}
	s->settled = false;
	if (h->command == STOMP_CONNECT) {
		keyed(MESSAGE_REQUEST, own_key(s, PROTO_TO_SERVER), m);
		s->connect = m->key;
		s->connecting = true;
		message_add_text(m, ATTR_MESSAGING_CLIENT_ID, h->client_id);
	} else {
		ask(s, h, m);
	}
	if (h->command == STOMP_SUBSCRIBE)
		subscribe(s, h);
	else if (h->command == STOMP_UNSUBSCRIBE)
		stomp_unsubscribe(s->memory, id_of(h->id, h->destination));
	operation_add(s, h, sent ? "send" : h->command == STOMP_ACK || h->command == STOMP_NACK ? "settle" : NULL, m);
	destination_add(h, m);
	if (sent)
		context_add(h, m);
	return false;
}

static bool server_frame(struct stomp_state *s, const struct stomp_head *h, struct message *m)
{
	switch (h->command) {
	case STOMP_CONNECTED: connected(s, h, m); return false;
	case STOMP_MESSAGE: deliver(s, h, m); return false;
	case STOMP_RECEIPT: receipt(s, h->receipt_id, m); return false;
	default: return refuse(s, h, m);
	}
}

static enum parse_status frame_parse(struct stomp_state *s, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct message *m = &ret->message;
	struct stomp_body *b = &s->body[side];
	struct stomp_head h;

	enum stomp_scan scan = stomp_head_read(in, side, &h);
	if (scan != STOMP_SCAN_OK)
		return scan == STOMP_SCAN_MORE ? PARSE_NEED_MORE : PARSE_BAD;
	if (!h.complete)
		return PARSE_BAD;
	bool over = side == PROTO_TO_SERVER ? client_frame(s, &h, m) : server_frame(s, &h, m);
	if (over && side == PROTO_TO_SERVER && h.receipt.len) {
		s->settled = true; /* and once more, for its receipt */
		return PARSE_MESSAGE;
	}
	bool has_size = h.command == STOMP_SEND || h.command == STOMP_MESSAGE;
	m->flags |= MESSAGE_BEGIN;
	ret->consumed = h.len;
	if (h.sized) {
		if (has_size)
			size_add(h.size, m);
		ret->skip = h.size + 1;
		m->flags |= over ? 0u : MESSAGE_END | MESSAGE_END_AFTER_SKIP;
		return PARSE_MESSAGE;
	}
	*b = (struct stomp_body){ .key = m->key, .kind = (uint8_t)m->kind, .open = true, .of_nobody = over, .bytes = has_size ? 0 : UINT64_MAX };
	return PARSE_MESSAGE;
}

static void body_end(struct stomp_body *b, struct message *m)
{
	keyed((enum message_kind)b->kind, b->key, m);
	m->flags |= MESSAGE_END;
	if (b->bytes != UINT64_MAX)
		size_add(b->bytes, m);
	b->open = false;
}

/* Some of the body was not captured. If its end was among that, a frame begins here. */
static bool gap_parse(struct stomp_state *s, enum proto_side side, struct slice in, struct parse_result *ret, enum parse_status *ret_status)
{
	struct stomp_body *b = &s->body[side];
	struct stomp_head h;

	while (ret->consumed < in.len && (in.ptr[ret->consumed] == '\n' || in.ptr[ret->consumed] == '\r'))
		ret->consumed++;
	if (ret->consumed) {
		*ret_status = PARSE_SKIP;
		return true;
	}
	if (in.ptr[0] >= 'A' && in.ptr[0] <= 'U' && stomp_head_read(in, side, &h) == STOMP_SCAN_MORE) {
		*ret_status = PARSE_NEED_MORE;
		return true;
	}
	b->gap = false;
	b->bytes = UINT64_MAX;
	if (!stomp_begins(in, side))
		return false;
	body_end(b, &ret->message);
	*ret_status = PARSE_MESSAGE;
	return true;
}

static enum parse_status body_parse(struct stomp_state *s, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct stomp_body *b = &s->body[side];
	size_t nul = slice_find(in, '\0', 0);

	ret->consumed = nul == SIZE_MAX ? in.len : nul + 1;
	if (b->bytes != UINT64_MAX)
		b->bytes += nul == SIZE_MAX ? in.len : nul;
	if (nul == SIZE_MAX)
		return PARSE_SKIP;
	b->open = !b->of_nobody;
	if (b->of_nobody)
		return PARSE_SKIP;
	body_end(b, &ret->message);
	return PARSE_MESSAGE;
}

/* ---- the contract ---- */

static enum parse_status stomp_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct stomp_state *s = state;
	enum parse_status status;

	if (in.len == 0)
		return PARSE_NEED_MORE;
	if (s->body[side].open && s->body[side].gap && gap_parse(s, side, in, ret, &status))
		return status;
	if (s->body[side].open)
		return body_parse(s, side, in, ret);
	while (ret->consumed < in.len && (in.ptr[ret->consumed] == '\n' || in.ptr[ret->consumed] == '\r')) /* heart-beats, and what may follow a frame */
		ret->consumed++;
	return ret->consumed ? PARSE_SKIP : frame_parse(s, side, in, ret);
}

static void stomp_lost(void *state, enum proto_side side)
{
	struct stomp_state *s = state;

	s->body[side].open = false;
	s->settled = false;
}

static bool stomp_missing(void *state, enum proto_side side, uint64_t n, struct message *ret_message)
{
	struct stomp_state *s = state;
	struct stomp_body *b = &s->body[side];

	(void)n;
	if (!b->open || b->of_nobody)
		return false;
	b->gap = true;
	keyed((enum message_kind)b->kind, b->key, ret_message);
	return true;
}

static size_t stomp_resync(void *state, enum proto_side side, struct slice in)
{
	(void)state;
	for (size_t at = 0; at < in.len; at++)
		if ((at == 0 || in.ptr[at - 1] == '\0' || in.ptr[at - 1] == '\n') && stomp_begins(slice_from(in, at), side))
			return at;
	return in.len;
}

const struct proto_ops proto_stomp = {
	.name = "stomp",
	.id = PLUMB_PROTO_STOMP,
	.state_size = sizeof(struct stomp_state),
	.detect = stomp_detect,
	.parse = stomp_parse,
	.lost = stomp_lost,
	.missing = stomp_missing,
	.resync = stomp_resync,
	.resync_keep = STOMP_HEAD_MAX,
	.open = stomp_memory_new,
	.close = stomp_memory_free,
	.want = { 65536, 65536 }, /* clients and servers write many small messages at once */
};

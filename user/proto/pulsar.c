/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pulsar (pulsar_wire.h).
 *
 * Keys: the number that a client gives its request; of a SEND a hash of its producer and sequence; of what is delivered its consumer, ledger and entry, in order, so that an acknowledgement
 * of all up to one is a range. What is delivered lasts until it is acknowledged or asked for once more. Clients are sent much before they want it, and close with it: silence is no failure.
 * A consumer's number is cut to its place (pulsar_names.h), so keys are made for the one that has it only; ledgers count from one near the first that was seen. What has no key of its own
 * ends where it was delivered, and is marked.
 *
 * Topics are named as they are on the wire (persistent://tenant/namespace/name), as Pulsar's own tools and instrumentation do; of a partition the number is apart. Commands name a producer or
 * consumer by its number, so the topics of those that were made before anybody watched are not known.
 *
 * Keep-alives, permits (FLOW) and notices are no exchanges. Payloads are skipped.
 */
#include <stdio.h>

#include "lib/hash.h"
#include "proto/pulsar_names.h"
#include "proto/pulsar_wire.h"

#define KEY_CONNECT (UINT64_C(1) << 61)
#define KEY_SEND (UINT64_C(1) << 62)
#define KEY_DELIVERY (UINT64_C(1) << 63)
#define KEY_STRAY (KEY_DELIVERY | KEY_SEND) /* of what has none of its own: no consumer's number reaches that bit */
enum { ENTRY_BITS = 30, LEDGER_BITS = 20, CONSUMER_BITS = 11, CONSUMER_FIELD = 1, MESSAGE_AUTHENTICATION = 3, MESSAGE_AUTHORIZATION = 4, WRONG_MAX = 8 };
_Static_assert(PULSAR_PLACES_MAX <= 1 << CONSUMER_BITS, "consumers of different places would share keys");

/* A command that names many messages: it is read one by one. */
struct pulsar_list {
	uint64_t consumer, request;
	uint32_t left, tail; /* bytes of it; of the frame behind it */
	uint8_t type;        /* 0: none */
	bool together;       /* each stands for all before it, too */
	bool any;
	bool asked;          /* an answer is wanted */
};

struct pulsar_state {
	struct pulsar_names *names;
	struct pulsar_list list;
	bool connecting : 1;
	bool connected : 1;
	bool told : 1; /* of a consumer that goes: what was delivered to it is over */
	bool lost : 1; /* something of what the broker says */
	uint8_t wrong; /* frames that were read, and were none */
};
_Static_assert(sizeof(struct pulsar_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

struct pulsar_frame {
	struct pulsar_head h;
	const struct pulsar_command *c;
	struct pulsar_fields f;
	struct slice in;
};

/* ---- keys ---- */

static uint64_t request_key(uint64_t id) { return id & (KEY_CONNECT - 1); }

static uint64_t send_key(uint64_t producer, uint64_t sequence)
{
	const uint64_t both[2] = { producer, sequence };

	return KEY_SEND | (hash_bytes(both, sizeof(both), 0) & (KEY_SEND - 1));
}

static uint64_t bits(uint64_t value, unsigned n) { return value & ((UINT64_C(1) << n) - 1); }

static uint64_t first_key(const struct pulsar_end *e) { return KEY_DELIVERY | bits(e->id, CONSUMER_BITS) << (LEDGER_BITS + ENTRY_BITS); }

static bool in_keys(const struct pulsar_end *e, const struct pulsar_id *id)
{
	return id->ledger >= e->base && (id->ledger - e->base) >> LEDGER_BITS == 0 && id->entry >> ENTRY_BITS == 0;
}

/* False: it has no key of its own. */
static bool delivery_key(struct pulsar_end *e, const struct pulsar_id *id, uint64_t *ret_key)
{
	const uint64_t half = UINT64_C(1) << (LEDGER_BITS - 1);

	if (!e->any && !in_keys(e, id)) {
		e->base = id->ledger > half ? id->ledger - half : 0;
		e->early = 0; /* a key by the base before */
	}
	if (!in_keys(e, id))
		return false;
	*ret_key = first_key(e) | (id->ledger - e->base) << ENTRY_BITS | id->entry;
	return true;
}

static void keyed(enum message_kind kind, uint64_t key, uint32_t flags, struct message *m)
{
	m->kind = kind;
	m->keyed = true;
	m->key = key;
	m->flags |= flags;
}

/* ---- attributes ---- */

static void fail(struct message *m, struct slice name)
{
	size_t n = name.len < MESSAGE_ERROR_TYPE_LEN - 1 ? name.len : MESSAGE_ERROR_TYPE_LEN - 1;

	m->flags |= MESSAGE_ERROR;
	memcpy(m->error_type, name.ptr, n);
	m->error_type[n] = '\0';
}

/* The digits of "…-partition-7" are a partition's. */
static void topic_add(struct message *m, struct slice topic)
{
	static const char word[] = "-partition-";
	size_t at = topic.len, n = sizeof(word) - 1;

	while (at && topic.ptr[at - 1] >= '0' && topic.ptr[at - 1] <= '9')
		at--;
	bool partition = at < topic.len && at > n && memcmp(topic.ptr + at - n, word, n) == 0;
	message_add_text(m, ATTR_MESSAGING_DESTINATION_NAME, partition ? slice_head(topic, at - n) : topic);
	if (partition)
		message_add_str(m, ATTR_MESSAGING_DESTINATION_PARTITION_ID, slice_from(topic, at));
}

static void operation_add(struct message *m, const char *name, const char *type)
{
	message_add_str(m, ATTR_MESSAGING_OPERATION_NAME, slice_str(name));
	if (type)
		message_add_str(m, ATTR_MESSAGING_OPERATION_TYPE, slice_str(type));
}

/* As clients show it: ledger, entry and partition. */
static void id_add(struct pulsar_names *n, struct message *m, const struct pulsar_id *id)
{
	int len = snprintf(n->id_text, sizeof(n->id_text), "%lld:%lld:%d", (long long)id->ledger, (long long)id->entry, id->partition);

	if (len > 0)
		message_add_str(m, ATTR_MESSAGING_MESSAGE_ID, slice_make(n->id_text, (size_t)len));
}

static void error_add(struct pulsar_names *n, struct message *m, uint64_t code, struct slice text)
{
	const char *known = pulsar_error_name(code);
	struct slice name = slice_str(known);

	if (!known)
		name = slice_make(n->error_text, (size_t)snprintf((char *)n->error_text, sizeof(n->error_text), "%llu", (unsigned long long)code));
	fail(m, name);
	message_add_str(m, ATTR_MESSAGING_RESPONSE_CODE, name);
	if (code != MESSAGE_AUTHENTICATION && code != MESSAGE_AUTHORIZATION) /* may say who somebody is */
		message_add_text(m, ATTR_RAW_STATUS_MESSAGE, text);
}

static void payload_add(struct message *m, const struct pulsar_payload *p)
{
	if (p->known && !p->messages)
		message_add_int(m, ATTR_MESSAGING_MESSAGE_BODY_SIZE, (int64_t)p->body);
	if (p->messages)
		message_add_int(m, ATTR_MESSAGING_BATCH_MESSAGE_COUNT, p->messages);
	message_add_text(m, ATTR_RAW_TRACEPARENT, p->messages > 1 ? SLICE_NONE : p->nlinks ? p->link[0] : p->traceparent);
	message_add_text(m, ATTR_RAW_TRACESTATE, p->messages > 1 || p->nlinks ? SLICE_NONE : p->tracestate);
	for (uint32_t i = 0; p->messages > 1 && i < p->nlinks; i++)
		message_add_str(m, ATTR_RAW_LINK, p->link[i]);
}

/* ---- deliveries ---- */

/* One that was not seen to begin sends nobody away. */
static struct pulsar_end *consumer_get(struct pulsar_state *s, uint64_t id)
{
	struct pulsar_places *p = &s->names->consumers;
	struct pulsar_end *e = pulsar_end_find(p, id);

	return e || pulsar_end_in_the_way(s->names, p, id) ? e : pulsar_end_put(s->names, p, id, SLICE_NONE, SLICE_NONE);
}

static bool starts_with(struct slice s, const char *word) { return slice_starts(s, slice_str(word)); }

/* Is nothing said of it any more? Of topics that are not stored clients acknowledge nothing. */
static bool is_final(const struct pulsar_end *e, uint64_t key) { return e->closed || e->early == key || starts_with(pulsar_end_topic(e), "non-persistent://"); }

static void delivered(struct pulsar_end *e, uint64_t key, struct message *m)
{
	keyed(MESSAGE_REQUEST, key, is_final(e, key) ? MESSAGE_NO_RESPONSE : MESSAGE_QUIET, m);
	e->low = e->any && e->low < key ? e->low : key;
	e->high = e->any && e->high > key ? e->high : key;
	e->floor = e->any && e->floor < key ? e->floor : key;
	e->any = true;
}

static enum parse_status deliver(struct pulsar_state *s, const struct pulsar_frame *k, struct message *m, size_t *ret_need)
{
	struct pulsar_payload p;
	struct pulsar_id id;

	enum pulsar_scan scan = pulsar_payload_read(slice_from(k->in, k->h.command_end), k->h.frame - k->h.command_end, &p, ret_need);
	*ret_need += k->h.command_end;
	if (scan == PULSAR_MORE)
		return PARSE_NEED_MORE;
	if (scan != PULSAR_OK || !pulsar_id_read(k->f.text[2], &id))
		return PARSE_BAD;
	struct pulsar_end *e = consumer_get(s, k->f.number[CONSUMER_FIELD]);
	uint64_t key;
	if (e && delivery_key(e, &id, &key))
		delivered(e, key, m);
	else
		keyed(MESSAGE_REQUEST, KEY_STRAY, MESSAGE_NO_RESPONSE | MESSAGE_UNSURE, m);
	operation_add(m, k->c->operation, "process");
	topic_add(m, pulsar_end_topic(e));
	message_add_text(m, ATTR_MESSAGING_DESTINATION_SUBSCRIPTION_NAME, pulsar_end_subscription(e));
	id_add(s->names, m, &id);
	payload_add(m, &p);
	return PARSE_MESSAGE;
}

/* first..key of a consumer have their answer, those of them that were delivered. */
static void settle(struct message *m, uint64_t first, uint64_t key)
{
	keyed(MESSAGE_RESPONSE, key, MESSAGE_BEGIN | MESSAGE_END | MESSAGE_RANGE, m);
	m->first = first;
}

static void settle_all(const struct pulsar_end *e, struct message *m) { settle(m, first_key(e), first_key(e) | bits(UINT64_MAX, LEDGER_BITS + ENTRY_BITS)); }

/* Several for all before them cover each but once. */
static void settle_together(struct pulsar_end *e, uint64_t key, bool partly, struct message *m)
{
	uint64_t last = partly ? key - 1 : key; /* of a batch of which some are left the earlier ones only */

	if (!e->any || key > e->high)
		e->early = partly ? 0 : key;
	if (!e->any || last < e->floor) {
		m->kind = MESSAGE_ONEWAY;
		m->flags |= MESSAGE_BEGIN | MESSAGE_END;
		return;
	}
	settle(m, e->floor, last);
	e->floor = last + 1;
}

static void settle_one(const struct pulsar_state *s, struct pulsar_end *e, uint64_t key, struct message *m)
{
	if (e->any && key <= e->high) {
		settle(m, key, key);
	} else if ((e->any || e->named) && !s->lost) { /* it is told before its delivery is */
		keyed(MESSAGE_RESPONSE, key, MESSAGE_BEGIN | MESSAGE_END, m);
	} else {
		e->early = key; /* or it was delivered before anybody watched */
		m->kind = MESSAGE_ONEWAY;
		m->flags |= MESSAGE_BEGIN | MESSAGE_END;
	}
}

/* ---- acknowledgements ---- */

/* True: an event. */
static bool listed(struct pulsar_state *s, struct slice in, struct message *m)
{
	struct pulsar_list *l = &s->list;
	struct pulsar_end *e = consumer_get(s, l->consumer);
	struct pulsar_id id;
	uint64_t key;

	l->any = true;
	if (!e || !pulsar_id_read(in, &id) || !delivery_key(e, &id, &key))
		return false;
	if (l->type == PULSAR_REDELIVER) {
		settle(m, key, key);
		fail(m, SLICE_LIT("nack"));
		return true;
	}
	if (l->together)
		settle_together(e, key, id.partly, m);
	else if (!id.partly)
		settle_one(s, e, key, m);
	return id.partly ? l->together : true;
}

/* Behind all that the command names. True: an event. */
static bool list_end(struct pulsar_state *s, struct message *m)
{
	const struct pulsar_list *l = &s->list;
	const struct pulsar_end *e = pulsar_end_find(&s->names->consumers, l->consumer);

	if (l->type == PULSAR_REDELIVER && !l->any) { /* all that was delivered */
		if (!e)
			return false;
		settle_all(e, m);
		fail(m, SLICE_LIT("nack"));
	} else if (l->asked) {
		keyed(MESSAGE_REQUEST, request_key(l->request), MESSAGE_BEGIN | MESSAGE_END | MESSAGE_END_AFTER_SKIP, m);
		operation_add(m, "ack", "settle");
		topic_add(m, pulsar_end_topic(e));
		message_add_text(m, ATTR_MESSAGING_DESTINATION_SUBSCRIPTION_NAME, pulsar_end_subscription(e));
	} else {
		return false;
	}
	return true;
}

static void list_number(struct pulsar_list *l, const struct pulsar_field *f)
{
	enum { ACK_TYPE = 2, ACK_REQUEST = 8 };

	if (f->number == CONSUMER_FIELD)
		l->consumer = f->value;
	if (l->type == PULSAR_ACK && f->number == ACK_TYPE)
		l->together = f->value == 1;
	if (l->type == PULSAR_ACK && f->number == ACK_REQUEST) {
		l->asked = true;
		l->request = f->value;
	}
}

/* One field of the command. */
static enum parse_status list_parse(struct pulsar_state *s, struct slice in, struct parse_result *ret)
{
	enum { ACK_ID = 3, REDELIVER_ID = 2 };
	struct pulsar_list *l = &s->list;
	struct pulsar_field f;

	enum pulsar_scan scan = pulsar_field_read(in, l->left, &f);
	bool is_id = scan == PULSAR_OK && f.counted && f.number == (l->type == PULSAR_ACK ? (uint32_t)ACK_ID : (uint32_t)REDELIVER_ID) && f.len <= PULSAR_COMMAND_MAX;
	if (scan == PULSAR_MORE || (is_id && f.len > in.len)) {
		ret->need = scan == PULSAR_MORE ? in.len + 1 : f.len;
		return PARSE_NEED_MORE;
	}
	if (scan == PULSAR_BAD)
		return PARSE_BAD;
	if (f.is_number)
		list_number(l, &f);
	l->left -= (uint32_t)f.len;
	ret->consumed = f.len < in.len ? f.len : in.len;
	ret->skip = f.len - ret->consumed;
	bool event = is_id && listed(s, slice_make(in.ptr + f.head, (size_t)f.value), &ret->message);
	if (l->left == 0) {
		event = event || list_end(s, &ret->message);
		ret->skip += l->tail;
		l->type = 0;
	}
	return event ? PARSE_MESSAGE : PARSE_SKIP;
}

static enum parse_status list_begin(struct pulsar_state *s, const struct pulsar_head *h, struct parse_result *ret)
{
	s->list = (struct pulsar_list){ .type = h->size ? h->type : 0, .left = (uint32_t)h->size, .tail = (uint32_t)(h->frame - h->at - h->size) };
	ret->consumed = h->at;
	ret->skip = h->size ? 0 : s->list.tail;
	return PARSE_SKIP;
}

/* ---- what clients say ---- */

static void ends_add(struct pulsar_state *s, const struct pulsar_frame *k, struct message *m)
{
	const struct pulsar_end *e = NULL;

	if (k->c->topic)
		topic_add(m, k->f.text[k->c->topic]);
	else if (k->c->producer)
		e = pulsar_end_find(&s->names->producers, k->f.number[k->c->producer]);
	else if (k->c->consumer)
		e = pulsar_end_find(&s->names->consumers, k->f.number[k->c->consumer]);
	if (e)
		topic_add(m, pulsar_end_topic(e));
	message_add_text(m, ATTR_MESSAGING_DESTINATION_SUBSCRIPTION_NAME, k->h.type == PULSAR_SUBSCRIBE ? k->f.text[2] : pulsar_end_subscription(e));
}

static void names_learn(struct pulsar_state *s, const struct pulsar_frame *k)
{
	struct pulsar_end *e = NULL;

	if (k->h.type == PULSAR_PRODUCER)
		e = pulsar_end_put(s->names, &s->names->producers, k->f.number[k->c->producer], k->f.text[1], SLICE_NONE);
	else if (k->h.type == PULSAR_SUBSCRIBE)
		e = pulsar_end_put(s->names, &s->names->consumers, k->f.number[k->c->consumer], k->f.text[1], k->f.text[2]);
	if (e)
		e->named = true;
}

/* A consumer goes, or begins anew, in its own place or another one's: nothing more is said of what was given to who had it. */
static bool leaves(const struct pulsar_frame *k) { return k->h.type == PULSAR_CLOSE_CONSUMER || k->h.type == PULSAR_UNSUBSCRIBE || k->h.type == PULSAR_SUBSCRIBE; }

static bool leave(struct pulsar_state *s, const struct pulsar_frame *k, struct message *m)
{
	uint64_t id = k->f.number[k->c->consumer];
	struct pulsar_end *e = pulsar_end_find(&s->names->consumers, id), *other = NULL;

	if (!e && k->h.type == PULSAR_SUBSCRIBE)
		e = other = pulsar_end_in_the_way(s->names, &s->names->consumers, id);
	if (!e || !e->any)
		return false;
	settle_all(e, m);
	m->flags = MESSAGE_RANGE | MESSAGE_ABORT | (other ? MESSAGE_UNSURE : 0);
	e->any = false;
	return true;
}

static enum parse_status ask(struct pulsar_state *s, const struct pulsar_frame *k, struct message *m, bool *ret_again)
{
	if (leaves(k) && !s->told && leave(s, k, m)) {
		s->told = *ret_again = true;
		return PARSE_MESSAGE;
	}
	s->told = false;
	keyed(MESSAGE_REQUEST, request_key(k->f.number[k->c->request]), 0, m);
	operation_add(m, k->c->operation, NULL);
	ends_add(s, k, m);
	names_learn(s, k);
	struct pulsar_end *e = pulsar_end_find(k->c->producer ? &s->names->producers : &s->names->consumers, k->f.number[k->c->producer ? k->c->producer : k->c->consumer]);
	if (e && (k->h.type == PULSAR_CLOSE_PRODUCER || k->h.type == PULSAR_CLOSE_CONSUMER))
		e->closed = true;
	return PARSE_MESSAGE;
}

static enum parse_status send(struct pulsar_state *s, const struct pulsar_frame *k, struct message *m, size_t *ret_need)
{
	struct pulsar_payload p;

	enum pulsar_scan scan = pulsar_payload_read(slice_from(k->in, k->h.command_end), k->h.frame - k->h.command_end, &p, ret_need);
	*ret_need += k->h.command_end;
	if (scan != PULSAR_OK)
		return scan == PULSAR_MORE ? PARSE_NEED_MORE : PARSE_BAD;
	keyed(MESSAGE_REQUEST, send_key(k->f.number[1], k->f.number[2]), 0, m);
	operation_add(m, k->c->operation, "send");
	ends_add(s, k, m);
	payload_add(m, &p);
	return PARSE_MESSAGE;
}

/* ---- what brokers say ---- */

static bool failed(const struct pulsar_frame *k) { return k->c->error && k->f.numbers & 1u << k->c->error; }

static void answer(struct pulsar_state *s, const struct pulsar_frame *k, struct message *m)
{
	enum { PRODUCER_READY = 6 };
	uint64_t id = k->f.number[k->c->request];
	bool of_connect = k->h.type == PULSAR_ERROR && (s->connecting || (id == UINT64_MAX && !s->connected));

	keyed(MESSAGE_RESPONSE, of_connect ? KEY_CONNECT : request_key(id), 0, m);
	if (of_connect)
		s->connecting = false;
	else if (k->h.type == PULSAR_ERROR && id == UINT64_MAX) /* of nothing that was asked */
		m->kind = MESSAGE_ONEWAY;
	if (k->h.type == PULSAR_PRODUCER_SUCCESS && k->f.numbers & 1u << PRODUCER_READY && !k->f.number[PRODUCER_READY])
		m->flags |= MESSAGE_INTERIM; /* another one has the topic to itself */
	if (failed(k))
		error_add(s->names, m, k->f.number[k->c->error], k->f.text[k->c->message]);
}

static void receipt(struct pulsar_state *s, const struct pulsar_frame *k, struct message *m)
{
	struct pulsar_id id;

	keyed(MESSAGE_RESPONSE, send_key(k->f.number[1], k->f.number[2]), 0, m);
	if (failed(k))
		error_add(s->names, m, k->f.number[k->c->error], k->f.text[k->c->message]);
	else if (pulsar_id_read(k->f.text[3], &id))
		id_add(s->names, m, &id);
}

/* ---- frames ---- */

static enum parse_status special(struct pulsar_state *s, const struct pulsar_frame *k, struct parse_result *ret)
{
	struct message *m = &ret->message;

	switch (k->h.type) {
	case PULSAR_CONNECT:
		keyed(MESSAGE_REQUEST, KEY_CONNECT, 0, m);
		operation_add(m, k->c->operation, NULL);
		s->connecting = true;
		s->connected = false;
		return PARSE_MESSAGE;
	case PULSAR_CONNECTED:
		keyed(MESSAGE_RESPONSE, KEY_CONNECT, 0, m);
		s->connecting = false;
		s->connected = true;
		return PARSE_MESSAGE;
	case PULSAR_SEND: return send(s, k, m, &ret->need);
	case PULSAR_MESSAGE: return deliver(s, k, m, &ret->need);
	default: receipt(s, k, m); return PARSE_MESSAGE;
	}
}

/* *ret_again: an event was given, and the frame has another one. */
static enum parse_status frame_parse(struct pulsar_state *s, enum proto_side side, const struct pulsar_frame *k, struct parse_result *ret, bool *ret_again)
{
	struct message *m = &ret->message;

	switch (k->c->role) {
	case PULSAR_SPECIAL: return special(s, k, ret);
	case PULSAR_ASKS:
		if (side == PROTO_TO_SERVER)
			return ask(s, k, m, ret_again);
		/* A broker sends somebody away, and waits for nothing. */
		if (!leaves(k) || !leave(s, k, m))
			m->kind = MESSAGE_ONEWAY;
		return PARSE_MESSAGE;
	case PULSAR_ANSWERS: answer(s, k, m); return PARSE_MESSAGE;
	default: m->kind = MESSAGE_ONEWAY; return PARSE_MESSAGE;
	}
}

/*
 * A peer must not make us read long frames that overlap over and over: from some number on, what was read of one that is none, `n` bytes, is left behind whole.
 */
static enum parse_status wrong(struct pulsar_state *s, size_t n, struct parse_result *ret)
{
	if (s->wrong < WRONG_MAX) {
		s->wrong++;
		return PARSE_BAD;
	}
	ret->consumed = n;
	return PARSE_SKIP;
}

static enum parse_status pulsar_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct pulsar_state *s = state;
	struct pulsar_frame k = { .in = in };
	bool again = false;

	if (side == PROTO_TO_SERVER && s->list.type)
		return list_parse(s, in, ret);
	enum pulsar_scan scan = pulsar_head_read(in, side, &k.h, &ret->need);
	if (scan != PULSAR_OK)
		return scan == PULSAR_MORE ? PARSE_NEED_MORE : PARSE_BAD;
	if (k.h.type == PULSAR_ACK || k.h.type == PULSAR_REDELIVER)
		return list_begin(s, &k.h, ret);
	size_t seen = k.h.command_end < PULSAR_COMMAND_MAX ? k.h.command_end : PULSAR_COMMAND_MAX;
	if (in.len < seen) {
		ret->need = seen;
		return PARSE_NEED_MORE;
	}
	k.c = &pulsar_commands[k.h.type < PULSAR_TYPES ? k.h.type : 0];
	if (!pulsar_fields_read(slice_from(slice_head(in, seen), k.h.at), k.h.size, &k.f))
		return wrong(s, seen, ret);
	enum parse_status status = frame_parse(s, side, &k, ret, &again);
	if (status == PARSE_BAD)
		return wrong(s, ret->need, ret);
	if (status != PARSE_MESSAGE || again)
		return status;
	ret->consumed = seen;
	ret->skip = k.h.frame - seen;
	if (!(ret->message.flags & MESSAGE_RANGE))
		ret->message.flags |= MESSAGE_BEGIN | MESSAGE_END | MESSAGE_END_AFTER_SKIP;
	return PARSE_MESSAGE;
}

static void pulsar_lost(void *state, enum proto_side side)
{
	struct pulsar_state *s = state;

	s->told = false;
	s->lost |= side == PROTO_TO_CLIENT;
	if (side == PROTO_TO_CLIENT)
		s->connecting = false; /* what it was answered may have been lost */
	else
		s->list = (struct pulsar_list){ 0 };
}

static size_t pulsar_resync(void *state, enum proto_side side, struct slice in)
{
	(void)state;
	for (size_t at = 0; at < in.len; at++)
		if (pulsar_begins(slice_from(in, at), side))
			return at;
	return in.len;
}

const struct proto_ops proto_pulsar = {
	.name = "pulsar",
	.id = PLUMB_PROTO_PULSAR,
	.state_size = sizeof(struct pulsar_state),
	.detect = pulsar_detect,
	.parse = pulsar_parse,
	.lost = pulsar_lost,
	.resync = pulsar_resync,
	.resync_keep = PULSAR_KEEP,
	.open = pulsar_names_new,
	.close = pulsar_names_free,
	.want = { 65536, 65536 }, /* clients and brokers write many frames at once */
};

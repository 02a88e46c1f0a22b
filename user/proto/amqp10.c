/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMQP 1.0: frames to messages. Each delivery is the request of who sends it, whatever its number of frames, answered by the disposition that tells its outcome, with those of
 * others or alone; one that is sent settled nobody answers. Of the rest only what may fail is told: the open, with the login before it, each attach, and a detach, end or close
 * that gives a reason, which is the error of all that is open there. Sections of a message are read as far as its first frame has them; bodies are skipped.
 */
#include "model/record.h"
#include "proto/amqp10_call.h"

enum { HOSTNAME = 1, PROPERTIES = 9, OUTCOME_CODE = 0 }; /* fields of an open and a SASL outcome */

struct amqp10_state {
	struct amqp10_conn *conn; /* what amqp10_open() gave */
};

static enum parse_status need(struct parse_result *ret, size_t n)
{
	ret->need = n;
	return PARSE_NEED_MORE;
}

/* --- the connection --- */

static bool contains(struct slice s, struct slice what)
{
	for (size_t i = 0; i + what.len <= s.len; i++)
		if (slice_ieq(slice_make(s.ptr + i, what.len), what))
			return true;
	return false;
}

static void set_system(struct amqp10_conn *c, const char *name)
{
	memcpy(c->system, name, strlen(name) + 1);
	c->system_known = true;
}

/* The values of messaging.system that the conventions know. */
static void learn_system(struct amqp10_conn *c, const struct amqp10_value *properties)
{
	struct amqp_walk w = amqp10_inside(properties);
	struct amqp10_value key, value;

	while (w.at < w.size && w.at < w.in.len && amqp10_value_read(&w, &key) && amqp10_value_read(&w, &value)) {
		struct slice product = amqp10_text(&value);
		if (!slice_eq(amqp10_text(&key), SLICE_LIT("product")))
			continue;
		if (slice_ieq(product, SLICE_LIT("RabbitMQ")))
			set_system(c, "rabbitmq");
		else if (contains(product, SLICE_LIT("activemq")))
			set_system(c, "activemq");
	}
}

static enum parse_status parse_open(const struct amqp10_call *k)
{
	uint64_t key = amqp10_key(PROTO_TO_SERVER, AMQP10_KEY_OPEN, NULL, 0);
	struct slice host = amqp10_text(&k->p->field[HOSTNAME]), domain = SLICE_LIT(".servicebus.windows.net");
	struct message *m;

	if (k->side == PROTO_TO_CLIENT) {
		learn_system(k->c, &k->p->field[PROPERTIES]);
		m = amqp10_event(k, MESSAGE_RESPONSE, key, MESSAGE_BEGIN | MESSAGE_END);
		amqp10_add_system(k, m);
		return amqp10_done(k);
	}
	if (host.len > domain.len && slice_ieq(slice_from(host, host.len - domain.len), domain))
		set_system(k->c, "servicebus");
	m = amqp10_event(k, MESSAGE_REQUEST, key, MESSAGE_END | (k->c->opening ? 0 : MESSAGE_BEGIN));
	if (!k->c->opening)
		message_add_str(m, ATTR_MESSAGING_OPERATION_NAME, SLICE_LIT("open"));
	k->c->opening = false;
	return amqp10_done(k);
}

/* A login is the first part of opening. */
static enum parse_status parse_init(const struct amqp10_call *k)
{
	struct message *m = amqp10_event(k, MESSAGE_REQUEST, amqp10_key(PROTO_TO_SERVER, AMQP10_KEY_OPEN, NULL, 0), MESSAGE_BEGIN);

	if (k->c->opening)
		return amqp10_pass(k);
	k->c->opening = true;
	message_add_str(m, ATTR_MESSAGING_OPERATION_NAME, SLICE_LIT("open"));
	return amqp10_done(k);
}

static enum parse_status parse_outcome(const struct amqp10_call *k)
{
	static const char *const names[] = { "auth", "sys", "sys-perm", "sys-temp" }, *const digits = "1234";
	uint64_t code = amqp10_number(&k->p->field[OUTCOME_CODE]);

	if (code == 0 || code > sizeof(names) / sizeof(*names))
		return amqp10_pass(k);
	struct message *m = amqp10_event(k, MESSAGE_RESPONSE, amqp10_key(PROTO_TO_SERVER, AMQP10_KEY_OPEN, NULL, 0), MESSAGE_ABORT);
	amqp10_fail(m, slice_str(names[code - 1]));
	amqp10_add_system(k, m);
	message_add_str(m, ATTR_MESSAGING_RESPONSE_CODE, slice_make(digits + code - 1, 1));
	k->c->opening = false;
	return amqp10_done(k);
}

/* --- frames --- */

static enum parse_status dispatch(const struct amqp10_call *k)
{
	switch (k->p->code) {
	case AMQP10_OPEN: return parse_open(k);
	case AMQP10_BEGIN: return amqp10_begin(k);
	case AMQP10_ATTACH: return amqp10_attach(k);
	case AMQP10_TRANSFER: return amqp10_transfer(k);
	case AMQP10_DISPOSITION: return amqp10_disposition(k);
	case AMQP10_DETACH: return amqp10_detach(k);
	case AMQP10_END: return amqp10_end(k);
	case AMQP10_CLOSE: return amqp10_close_frame(k);
	case AMQP10_INIT: return parse_init(k);
	case AMQP10_OUTCOME: return parse_outcome(k);
	default: return amqp10_pass(k);
	}
}

/* Where both have said that TLS comes, it does. A server that speaks another version names it, and closes. */
static enum parse_status parse_header(struct amqp10_conn *c, enum proto_side side, struct slice in, struct parse_result *ret)
{
	if (in.len < AMQP10_HEAD_BYTES)
		return need(ret, AMQP10_HEAD_BYTES);
	int id = amqp10_header_id(in);
	if (id < 0 && (side == PROTO_TO_SERVER || !slice_starts(in, SLICE_LIT("AMQP"))))
		return PARSE_BAD;
	ret->consumed = AMQP10_HEAD_BYTES;
	ret->apart = true;
	if (id != AMQP10_TLS || !c->tls_asked) {
		c->tls_asked = id == AMQP10_TLS && side == PROTO_TO_SERVER;
		return PARSE_SKIP;
	}
	ret->message.kind = MESSAGE_ONEWAY;
	ret->message.flags = MESSAGE_BEGIN | MESSAGE_END | MESSAGE_SWITCH;
	ret->message.next = PLUMB_PROTO_TLS;
	return PARSE_MESSAGE;
}

static enum parse_status amqp10_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct amqp10_conn *c = ((struct amqp10_state *)state)->conn;
	struct amqp10_call k = { .c = c, .side = side, .in = in, .ret = ret };
	struct amqp10_performative p;

	if (in.ptr[0] == 'A')
		return parse_header(c, side, in, ret);
	if (in.len < AMQP10_HEAD_BYTES)
		return need(ret, AMQP10_HEAD_BYTES);
	k.f = amqp10_frame_head(in);
	k.p = &p;
	if (!amqp10_frame_ok(&k.f))
		return PARSE_BAD;
	if (k.f.size == k.f.head && k.f.size <= in.len) /* empty: it is alive */
		return amqp10_pass(&k);
	size_t wanted = k.f.size < AMQP10_WHOLE_MAX ? k.f.size : AMQP10_WHOLE_MAX;
	if (in.len < wanted)
		return need(ret, wanted);
	if (k.f.size == k.f.head)
		return amqp10_pass(&k);
	if (!amqp10_performative_read(slice_head(slice_from(in, k.f.head), wanted - k.f.head), k.f.size - k.f.head, k.f.type, side, &p))
		return PARSE_BAD;
	return dispatch(&k);
}

static void amqp10_lost(void *state, enum proto_side side)
{
	struct amqp10_conn *c = ((struct amqp10_state *)state)->conn;

	c->losses[side]++;
	c->step[side] = 0;
	c->tls_asked = false;
}

static size_t amqp10_resync(void *state, enum proto_side side, struct slice in)
{
	(void)state;
	return amqp10_find(in, side);
}

static void *amqp10_open(struct proto_memory *memory) { return amqp10_conn_new(memory); }
static void amqp10_close(void *external) { amqp10_conn_free(external); }

const struct proto_ops proto_amqp10 = {
	.name = "amqp1",
	.id = PLUMB_PROTO_AMQP10,
	.state_size = sizeof(struct amqp10_state),
	.detect = amqp10_detect,
	.parse = amqp10_parse,
	.resync = amqp10_resync,
	.lost = amqp10_lost,
	.resync_keep = AMQP10_KEEP,
	.open = amqp10_open,
	.close = amqp10_close,
	.want = { PLUMB_POLICY_ALL, PLUMB_POLICY_ALL },
};

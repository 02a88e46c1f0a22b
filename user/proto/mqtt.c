/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MQTT 3.1, 3.1.1 and 5 (OASIS, mqtt-v3.1.1-os and mqtt-v5.0-os).
 *
 * Either side publishes; what the server does is an exchange that the server begins. With QoS 0 it is over when it is sent, with 1 it lasts until
 * PUBACK, with 2 until PUBCOMP, or a PUBREC that refuses it. A packet sent again (DUP) while its exchange is open is no exchange of its own. Failures
 * are reason codes from 0x80 on; a SUBSCRIBE has failed if one of its filters was refused. Payloads are skipped.
 *
 * Keys: packet ids, and numbers of one's own from KEY_SERIAL on; those of what the server asks have KEY_SERVER. The version is known from CONNECT; on a
 * connection that was joined later it is what a packet can only be in one version, and until then what depends on it is left out. Topics of aliases are
 * remembered as far as there is room.
 */
#include "proto/memory.h"
#include "proto/mqtt_wire.h"

enum {
	OPEN = 32,           /* packet ids in flight that are remembered, by side */
	ALIASES = 64,        /* by side */
	TOPIC_MAX = 1024,    /* of a topic with an alias */
	CLIENT_MAX = 64,
	RESYNC_KEEP = 64,
	RESYNC_CHAIN = 3,
	KEY_CONNECT = 1 << 16,
};
#define KEY_SERVER (UINT64_C(1) << 63)
#define KEY_SERIAL (UINT64_C(1) << 32)

struct topic {
	uint8_t *text;
	uint16_t len, room;
};

struct mqtt_memory {
	struct proto_memory *budget;
	struct topic *aliases[2]; /* by side; NULL before the first */
	uint8_t client_len;
	char client[CLIENT_MAX];
};

struct mqtt_state {
	struct mqtt_memory *memory;
	uint64_t serial[2];
	uint16_t open[2][OPEN];   /* packet ids, by the side to which they were published; 0 = free */
	uint8_t next[2];
	uint8_t version;          /* 3, 4, 5; 0 = not known */
	uint8_t code_len;
	char code[3];             /* of a reason, decimal */
};
_Static_assert(sizeof(struct mqtt_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

/* ---- packet ids ---- */

static uint64_t id_key(uint16_t id, enum proto_side asked) { return asked == PROTO_TO_CLIENT ? id | KEY_SERVER : id; }

static uint64_t own_key(struct mqtt_state *s, enum proto_side side)
{
	uint64_t n = KEY_SERIAL + s->serial[side]++;

	return side == PROTO_TO_CLIENT ? n | KEY_SERVER : n;
}

static uint16_t *open_find(struct mqtt_state *s, enum proto_side asked, uint16_t id)
{
	for (unsigned i = 0; i < OPEN; i++)
		if (s->open[asked][i] == id)
			return &s->open[asked][i];
	return NULL;
}

static void open_add(struct mqtt_state *s, enum proto_side asked, uint16_t id)
{
	uint16_t *place = open_find(s, asked, id);

	if (!place)
		place = open_find(s, asked, 0);
	if (!place) { /* of so many the oldest, or nearly */
		place = &s->open[asked][s->next[asked]];
		s->next[asked] = (uint8_t)((s->next[asked] + 1) % OPEN);
	}
	*place = id;
}

static void open_remove(struct mqtt_state *s, enum proto_side asked, uint16_t id)
{
	uint16_t *place = open_find(s, asked, id);

	if (place)
		*place = 0;
}

/* ---- aliases ---- */

static struct topic *alias_place(struct mqtt_state *s, enum proto_side side, uint16_t alias)
{
	struct mqtt_memory *m = s->memory;

	if (alias == 0 || alias > ALIASES)
		return NULL;
	if (!m->aliases[side]) {
		m->aliases[side] = proto_memory_get_zeroed(m->budget, ALIASES * sizeof(*m->aliases[side]));
		if (!m->aliases[side])
			return NULL;
	}
	return &m->aliases[side][alias - 1];
}

/* A topic sets its alias; without one it is the alias' topic. */
static struct slice alias_resolve(struct mqtt_state *s, enum proto_side side, struct slice topic, uint16_t alias)
{
	struct topic *t = alias_place(s, side, alias);

	if (!t)
		return topic;
	if (!topic.len)
		return slice_make(t->text, t->len);
	t->len = 0;
	if (topic.len <= TOPIC_MAX && proto_memory_room(s->memory->budget, &t->text, &t->room, (uint16_t)topic.len)) {
		memcpy(t->text, topic.ptr, topic.len);
		t->len = (uint16_t)topic.len;
	}
	return topic;
}

static void aliases_forget(struct mqtt_memory *m, bool release)
{
	for (int side = 0; side < 2; side++) {
		for (unsigned i = 0; m->aliases[side] && i < ALIASES; i++) {
			m->aliases[side][i].len = 0;
			if (release)
				proto_memory_put(m->budget, m->aliases[side][i].text);
		}
		if (release)
			proto_memory_put(m->budget, m->aliases[side]);
	}
}

/* ---- messages ---- */

static void begin(struct mqtt_state *s, uint64_t key, const char *operation, const char *type, struct slice destination, struct message *m)
{
	m->kind = MESSAGE_REQUEST;
	m->keyed = true;
	m->key = key;
	message_add_str(m, ATTR_MESSAGING_OPERATION_NAME, slice_str(operation));
	if (type)
		message_add_str(m, ATTR_MESSAGING_OPERATION_TYPE, slice_str(type));
	message_add_text(m, ATTR_MESSAGING_DESTINATION_NAME, destination);
	message_add_text(m, ATTR_MESSAGING_CLIENT_ID, slice_make(s->memory->client, s->memory->client_len));
}

static void respond(uint64_t key, struct message *m)
{
	m->kind = MESSAGE_RESPONSE;
	m->keyed = true;
	m->key = key;
}

static void reason_add(struct mqtt_state *s, uint8_t code, enum mqtt_type type, struct slice text, struct message *m)
{
	const char *name = mqtt_reason_name(code, type, s->version);
	unsigned n = 0;

	if (code == 0)
		return;
	for (unsigned place = 100; place; place /= 10)
		if (code >= place)
			s->code[n++] = (char)('0' + code / place % 10);
	s->code_len = (uint8_t)n;
	message_add_str(m, ATTR_MESSAGING_RESPONSE_CODE, slice_make(s->code, n));
	if (!name)
		return;
	m->flags |= MESSAGE_ERROR;
	memcpy(m->error_type, name, strlen(name) + 1);
	message_add_text(m, ATTR_RAW_STATUS_MESSAGE, text);
}

static void client_set(struct mqtt_memory *m, struct slice id)
{
	id = slice_head(id, CLIENT_MAX);
	m->client_len = (uint8_t)id.len;
	if (id.len)
		memcpy(m->client, id.ptr, id.len);
}

/* ---- packets ---- */

/* What is wanted of a body: *need bytes of it, at most all; false if they are not there yet. */
static bool have(struct slice body, size_t need, const struct mqtt_head *h, struct parse_result *ret)
{
	if (body.len >= need)
		return true;
	ret->need = h->head + need;
	return false;
}

/* A block of properties at *at, which moves behind it. Of what lies beyond the body nothing is read. */
static enum mqtt_scan properties_take(struct slice body, const struct mqtt_head *h, size_t *at, size_t *ret_need, struct mqtt_properties *ret)
{
	uint32_t length;

	enum mqtt_scan scan = mqtt_varint(body, at, &length);

	*ret_need = body.len + 1;
	if (scan == MQTT_SCAN_MORE && body.len < h->len)
		return MQTT_SCAN_MORE;
	if (scan != MQTT_SCAN_OK || length > h->len - *at)
		return MQTT_SCAN_BAD;
	size_t look = length < MQTT_LOOK ? length : MQTT_LOOK;
	*ret_need = *at + look;
	if (body.len < *ret_need)
		return MQTT_SCAN_MORE;
	if (!mqtt_properties_read(slice_make(body.ptr + *at, look), look == length, ret))
		return MQTT_SCAN_BAD;
	*at += length;
	return MQTT_SCAN_OK;
}

static enum parse_status scan_status(enum mqtt_scan scan, const struct mqtt_head *h, size_t need, struct parse_result *ret)
{
	if (scan == MQTT_SCAN_BAD)
		return PARSE_BAD;
	ret->need = h->head + need;
	return PARSE_NEED_MORE;
}

static enum parse_status connect_parse(struct mqtt_state *s, struct slice body, const struct mqtt_head *h, struct parse_result *ret)
{
	struct mqtt_properties p = { 0 };
	size_t need = 10;

	if (!have(body, need, h, ret))
		return PARSE_NEED_MORE;
	bool old = body.ptr[1] == 6;
	size_t at = old ? 12 : 10;
	if (memcmp(body.ptr, old ? "\0\6MQIsdp" : "\0\4MQTT", old ? 8 : 6) != 0 || h->len < at + 2)
		return PARSE_BAD;
	uint8_t version = body.ptr[old ? 8 : 6] & 127; /* a bridge sets the highest bit */
	if (version < 3 || version > 5)
		return PARSE_BAD;
	if (!have(body, at + 2, h, ret))
		return PARSE_NEED_MORE;
	if (version == 5) {
		enum mqtt_scan scan = properties_take(body, h, &at, &need, &p);
		if (scan != MQTT_SCAN_OK)
			return scan_status(scan, h, need, ret);
	}
	if (h->len - at < 2)
		return PARSE_BAD;
	if (!have(body, at + 2, h, ret))
		return PARSE_NEED_MORE;
	size_t len = load_be16(body.ptr + at), look = len < CLIENT_MAX ? len : CLIENT_MAX;
	if (len > h->len - at - 2)
		return PARSE_BAD;
	if (!have(body, at + 2 + look, h, ret))
		return PARSE_NEED_MORE;
	s->version = version;
	memset(s->open, 0, sizeof(s->open));
	aliases_forget(s->memory, false);
	client_set(s->memory, slice_make(body.ptr + at + 2, look));
	begin(s, KEY_CONNECT, "connect", NULL, SLICE_NONE, &ret->message);
	return PARSE_MESSAGE;
}

static enum parse_status connack_parse(struct mqtt_state *s, struct slice body, const struct mqtt_head *h, struct parse_result *ret)
{
	struct mqtt_properties p = { 0 };
	size_t need = h->len < 2 ? h->len : 2, at = 2;

	if (!have(body, need, h, ret))
		return PARSE_NEED_MORE;
	if (body.ptr[0] > 1)
		return PARSE_BAD;
	if (h->len > 2) {
		enum mqtt_scan scan = properties_take(body, h, &at, &need, &p);
		if (scan != MQTT_SCAN_OK)
			return scan_status(scan, h, need, ret);
		if (!s->version)
			s->version = 5;
	}
	if (p.client_id.len)
		client_set(s->memory, p.client_id);
	respond(KEY_CONNECT, &ret->message);
	reason_add(s, body.ptr[1], h->type, p.reason, &ret->message);
	message_add_text(&ret->message, ATTR_MESSAGING_CLIENT_ID, p.client_id);
	return PARSE_MESSAGE;
}

static enum parse_status publish_parse(struct mqtt_state *s, enum proto_side side, struct slice body, const struct mqtt_head *h, struct parse_result *ret)
{
	struct message *m = &ret->message;
	struct mqtt_properties p;
	struct mqtt_publish pub;
	uint8_t version;
	size_t need;
	enum mqtt_scan scan = mqtt_publish_read(body, h, s->version, &version, &need, &pub);

	if (scan != MQTT_SCAN_OK)
		return scan_status(scan, h, need, ret);
	s->version = version;
	(void)mqtt_properties_read(pub.properties, !pub.cut, &p);
	struct slice topic = alias_resolve(s, side, pub.topic, p.alias);
	if (pub.id && mqtt_dup(h) && open_find(s, side, pub.id)) {
		m->kind = MESSAGE_ONEWAY;
		return PARSE_MESSAGE;
	}
	bool delivers = side == PROTO_TO_CLIENT;
	begin(s, pub.id ? id_key(pub.id, side) : own_key(s, side), delivers ? "deliver" : "publish", delivers ? "process" : "send", topic, m);
	if (pub.id)
		open_add(s, side, pub.id);
	else
		m->flags |= MESSAGE_NO_RESPONSE;
	if (pub.sized)
		message_add_int(m, ATTR_MESSAGING_MESSAGE_BODY_SIZE, pub.payload);
	message_add_text(m, ATTR_RAW_TRACEPARENT, p.traceparent);
	message_add_text(m, ATTR_RAW_TRACESTATE, p.tracestate);
	message_add_text(m, ATTR_RAW_B3, p.b3);
	message_add_text(m, ATTR_MESSAGING_MESSAGE_CONVERSATION_ID, p.correlation);
	return PARSE_MESSAGE;
}

/* PUBACK, PUBREC, PUBREL and PUBCOMP. */
static enum parse_status ack_parse(struct mqtt_state *s, enum proto_side side, struct slice body, const struct mqtt_head *h, struct parse_result *ret)
{
	struct mqtt_properties p = { 0 };
	enum proto_side asked = side == PROTO_TO_SERVER ? PROTO_TO_CLIENT : PROTO_TO_SERVER;
	size_t need = h->len < 3 ? h->len : 3, at = 3;

	if (!have(body, need, h, ret))
		return PARSE_NEED_MORE;
	uint16_t id = load_be16(body.ptr);
	uint8_t reason = h->len > 2 ? body.ptr[2] : 0;
	if (id == 0 || (h->len > 2 && s->version && s->version < 5))
		return PARSE_BAD;
	if (h->len > 3) {
		enum mqtt_scan scan = properties_take(body, h, &at, &need, &p);
		if (scan != MQTT_SCAN_OK)
			return scan_status(scan, h, need, ret);
	}
	if (h->len > 2)
		s->version = 5;
	if (h->type == MQTT_PUBREL || (h->type == MQTT_PUBREC && reason < MQTT_REASON_FAILED)) {
		ret->message.kind = MESSAGE_ONEWAY;
		return PARSE_MESSAGE;
	}
	open_remove(s, asked, id);
	respond(id_key(id, asked), &ret->message);
	reason_add(s, reason, h->type, p.reason, &ret->message);
	return PARSE_MESSAGE;
}

static enum parse_status subscribe_parse(struct mqtt_state *s, struct slice body, const struct mqtt_head *h, struct parse_result *ret)
{
	bool adds = h->type == MQTT_SUBSCRIBE;
	unsigned count = 0;
	struct slice first = SLICE_NONE;
	uint8_t version = s->version;
	size_t need = h->len < MQTT_LOOK ? h->len : 2;

	if (!have(body, need, h, ret))
		return PARSE_NEED_MORE;
	if (h->len < MQTT_LOOK && !mqtt_filters_read(body, h->type, s->version, &version, &first, &count))
		return PARSE_BAD;
	if (load_be16(body.ptr) == 0)
		return PARSE_BAD;
	s->version = version;
	begin(s, load_be16(body.ptr), adds ? "subscribe" : "unsubscribe", NULL, count == 1 ? first : SLICE_NONE, &ret->message);
	return PARSE_MESSAGE;
}

/* SUBACK and UNSUBACK: a code for each filter. The first failure is the exchange's. */
static enum parse_status suback_parse(struct mqtt_state *s, struct slice body, const struct mqtt_head *h, struct parse_result *ret)
{
	struct mqtt_properties p = { 0 };
	size_t look = h->len < MQTT_LOOK ? h->len : MQTT_LOOK, at = 2, need;

	if (!have(body, look, h, ret))
		return PARSE_NEED_MORE;
	if (load_be16(body.ptr) == 0 || (s->version == 5 && h->len < 4))
		return PARSE_BAD;
	if (s->version == 5) {
		enum mqtt_scan scan = properties_take(body, h, &at, &need, &p);
		if (scan != MQTT_SCAN_OK)
			return scan == MQTT_SCAN_BAD ? PARSE_BAD : scan_status(scan, h, need, ret);
	}
	respond(load_be16(body.ptr), &ret->message);
	while (at < look && body.ptr[at] < MQTT_REASON_FAILED)
		at++;
	if (at < look && s->version) /* of an unknown version it may be a length */
		reason_add(s, body.ptr[at], h->type, p.reason, &ret->message);
	return PARSE_MESSAGE;
}

/* A server tells why it ends the connection; else it is the client's farewell. */
static enum parse_status disconnect_parse(struct mqtt_state *s, enum proto_side side, struct slice body, const struct mqtt_head *h, struct parse_result *ret)
{
	struct mqtt_properties p = { 0 };
	size_t need = h->len < 1 ? h->len : 1, at = 1;

	ret->message.kind = MESSAGE_ONEWAY;
	if (!have(body, need, h, ret))
		return PARSE_NEED_MORE;
	if (h->len && s->version && s->version < 5)
		return PARSE_BAD;
	if (h->len > 1) {
		enum mqtt_scan scan = properties_take(body, h, &at, &need, &p);
		if (scan != MQTT_SCAN_OK)
			return scan_status(scan, h, need, ret);
	}
	if (h->len == 0 || body.ptr[0] < MQTT_REASON_FAILED)
		return PARSE_MESSAGE;
	s->version = 5;
	begin(s, own_key(s, side), "disconnect", NULL, SLICE_NONE, &ret->message);
	ret->message.flags |= MESSAGE_NO_RESPONSE;
	reason_add(s, body.ptr[0], h->type, p.reason, &ret->message);
	return PARSE_MESSAGE;
}

static enum parse_status body_parse(struct mqtt_state *s, enum proto_side side, struct slice body, const struct mqtt_head *h, struct parse_result *ret)
{
	switch (h->type) {
	case MQTT_CONNECT: return connect_parse(s, body, h, ret);
	case MQTT_CONNACK: return connack_parse(s, body, h, ret);
	case MQTT_PUBLISH: return publish_parse(s, side, body, h, ret);
	case MQTT_PUBACK: case MQTT_PUBREC: case MQTT_PUBREL: case MQTT_PUBCOMP: return ack_parse(s, side, body, h, ret);
	case MQTT_SUBSCRIBE: case MQTT_UNSUBSCRIBE: return subscribe_parse(s, body, h, ret);
	case MQTT_SUBACK: case MQTT_UNSUBACK: return suback_parse(s, body, h, ret);
	case MQTT_DISCONNECT: return disconnect_parse(s, side, body, h, ret);
	case MQTT_PINGREQ: case MQTT_PINGRESP: case MQTT_AUTH: break;
	}
	ret->message.kind = MESSAGE_ONEWAY;
	return PARSE_MESSAGE;
}

static enum parse_status mqtt_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct mqtt_state *s = state;
	struct mqtt_head h;

	switch (mqtt_head_read(in, side, &h)) {
	case MQTT_SCAN_MORE: return PARSE_NEED_MORE;
	case MQTT_SCAN_BAD: return PARSE_BAD;
	case MQTT_SCAN_OK: break;
	}
	struct slice body = slice_head(slice_from(in, h.head), h.len);
	enum parse_status status = body_parse(s, side, body, &h, ret);
	if (status != PARSE_MESSAGE)
		return status;
	ret->consumed = h.head + body.len;
	ret->skip = h.len - body.len;
	ret->message.flags |= MESSAGE_BEGIN | MESSAGE_END | (ret->skip ? MESSAGE_END_AFTER_SKIP : 0);
	return PARSE_MESSAGE;
}

static void mqtt_lost(void *state, enum proto_side side)
{
	struct mqtt_state *s = state;

	memset(s->open[side == PROTO_TO_SERVER ? PROTO_TO_CLIENT : PROTO_TO_SERVER], 0, sizeof(s->open[0])); /* answers may be among what is lost */
	for (unsigned i = 0; s->memory->aliases[side] && i < ALIASES; i++)
		s->memory->aliases[side][i].len = 0;
}

static size_t mqtt_resync(void *state, enum proto_side side, struct slice in)
{
	bool end, solid;

	(void)state;
	for (size_t at = 0; at < in.len; at++) {
		unsigned n = mqtt_packets_fit(slice_from(in, at), side, RESYNC_CHAIN, &end, &solid);
		if (n && (end || n == RESYNC_CHAIN))
			return at;
	}
	return in.len;
}

static void *mqtt_open(struct proto_memory *budget)
{
	struct mqtt_memory *m = proto_memory_get_zeroed(budget, sizeof(*m));

	if (m)
		m->budget = budget;
	return m;
}

static void mqtt_close(void *external)
{
	struct mqtt_memory *m = external;

	if (!m)
		return;
	aliases_forget(m, true);
	proto_memory_put(m->budget, m);
}

const struct proto_ops proto_mqtt = {
	.name = "mqtt",
	.id = PLUMB_PROTO_MQTT,
	.state_size = sizeof(struct mqtt_state),
	.detect = mqtt_detect,
	.parse = mqtt_parse,
	.lost = mqtt_lost,
	.resync = mqtt_resync,
	.resync_keep = RESYNC_KEEP,
	.open = mqtt_open,
	.close = mqtt_close,
	.want = { 65536, 65536 }, /* clients and servers write many small messages at once */
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/amqp_wire.h"

#include "proto/amqp_walk.h"

#define TAG_MAX ((UINT64_C(1) << 46) - 1) /* of a delivery: so many fit a key, and no channel lives to see as many */

enum { ID_BYTES = 4 };

/*
 * Layouts, a letter for each argument. Texts up to 255 bytes: q queue, x exchange, k routing key, c consumer's tag, m reply text, s another one. Longer
 * ones: S text, T table. Numbers: o 8 bits, w 16, l 32; r reply code, i class, j method; d delivery tag, of 64 bits. B bits.
 */
static const struct amqp_method methods[] = {
	{ AMQP_PUBLISH, 0, AMQP_BY_CLIENT, 0xff, "publish", "wxkB" },
	{ AMQP_DELIVER, 0, AMQP_BY_SERVER, 0, "deliver", "cdBxk" },
	{ AMQP_ACK, 0, AMQP_BY_BOTH, 0xff, "ack", "dB" },
	{ AMQP_NACK, 0, AMQP_BY_BOTH, 0xff, "nack", "dB" },
	{ AMQP_REJECT, 0, AMQP_BY_CLIENT, 0xff, "reject", "dB" },
	{ AMQP_GET, 0, AMQP_BY_CLIENT, 0, "get", "wqB" },
	{ AMQP_GET_OK, AMQP_GET, AMQP_BY_SERVER, 0, NULL, "dBxkl" },
	{ AMQP_GET_EMPTY, AMQP_GET, AMQP_BY_SERVER, 0, NULL, "s" },
	{ AMQP_RETURN, 0, AMQP_BY_SERVER, 0xff, "return", "rmxk" },
	{ AMQP_CONNECTION_START, 0, AMQP_BY_SERVER, 0, "connection.start", "ooTSS" },
	{ AMQP_ID(10, 11), AMQP_CONNECTION_START, AMQP_BY_CLIENT, 0, NULL, "TsSs" },
	{ AMQP_ID(10, 20), 0, AMQP_BY_SERVER, 0, "connection.secure", "S" },
	{ AMQP_ID(10, 21), AMQP_ID(10, 20), AMQP_BY_CLIENT, 0, NULL, "S" },
	{ AMQP_ID(10, 30), 0, AMQP_BY_SERVER, 0, "connection.tune", "wlw" },
	{ AMQP_ID(10, 31), AMQP_ID(10, 30), AMQP_BY_CLIENT, 0, NULL, "wlw" },
	{ AMQP_CONNECTION_OPEN, 0, AMQP_BY_CLIENT, 0, "connection.open", "ssB" },
	{ AMQP_ID(10, 41), AMQP_CONNECTION_OPEN, AMQP_BY_SERVER, 0, NULL, "s" },
	{ AMQP_CONNECTION_CLOSE, 0, AMQP_BY_BOTH, 0, "connection.close", "rmij" },
	{ AMQP_ID(10, 51), AMQP_CONNECTION_CLOSE, AMQP_BY_BOTH, 0, NULL, "" },
	{ AMQP_ID(10, 60), 0, AMQP_BY_SERVER, 0xff, "connection.blocked", "s" },
	{ AMQP_ID(10, 61), 0, AMQP_BY_SERVER, 0xff, "connection.unblocked", "" },
	{ AMQP_ID(10, 70), 0, AMQP_BY_CLIENT, 0, "connection.update-secret", "Ss" },
	{ AMQP_ID(10, 71), AMQP_ID(10, 70), AMQP_BY_SERVER, 0, NULL, "" },
	{ AMQP_CHANNEL_OPEN, 0, AMQP_BY_CLIENT, 0, "channel.open", "s" },
	{ AMQP_ID(20, 11), AMQP_CHANNEL_OPEN, AMQP_BY_SERVER, 0, NULL, "S" },
	{ AMQP_ID(20, 20), 0, AMQP_BY_BOTH, 0, "channel.flow", "B" },
	{ AMQP_ID(20, 21), AMQP_ID(20, 20), AMQP_BY_BOTH, 0, NULL, "B" },
	{ AMQP_CHANNEL_CLOSE, 0, AMQP_BY_BOTH, 0, "channel.close", "rmij" },
	{ AMQP_CHANNEL_CLOSE_OK, AMQP_CHANNEL_CLOSE, AMQP_BY_BOTH, 0, NULL, "" },
	{ AMQP_ID(30, 10), 0, AMQP_BY_CLIENT, 0, "access.request", "sB" },
	{ AMQP_ID(30, 11), AMQP_ID(30, 10), AMQP_BY_SERVER, 0, NULL, "w" },
	{ AMQP_ID(40, 10), 0, AMQP_BY_CLIENT, 0x10, "exchange.declare", "wxsBT" },
	{ AMQP_ID(40, 11), AMQP_ID(40, 10), AMQP_BY_SERVER, 0, NULL, "" },
	{ AMQP_ID(40, 20), 0, AMQP_BY_CLIENT, 2, "exchange.delete", "wxB" },
	{ AMQP_ID(40, 21), AMQP_ID(40, 20), AMQP_BY_SERVER, 0, NULL, "" },
	{ AMQP_ID(40, 30), 0, AMQP_BY_CLIENT, 1, "exchange.bind", "wxskBT" },
	{ AMQP_ID(40, 31), AMQP_ID(40, 30), AMQP_BY_SERVER, 0, NULL, "" },
	{ AMQP_ID(40, 40), 0, AMQP_BY_CLIENT, 1, "exchange.unbind", "wxskBT" },
	{ AMQP_ID(40, 51), AMQP_ID(40, 40), AMQP_BY_SERVER, 0, NULL, "" },
	{ AMQP_ID(50, 10), 0, AMQP_BY_CLIENT, 0x10, "queue.declare", "wqBT" },
	{ AMQP_ID(50, 11), AMQP_ID(50, 10), AMQP_BY_SERVER, 0, NULL, "qll" },
	{ AMQP_ID(50, 20), 0, AMQP_BY_CLIENT, 1, "queue.bind", "wqskBT" },
	{ AMQP_ID(50, 21), AMQP_ID(50, 20), AMQP_BY_SERVER, 0, NULL, "" },
	{ AMQP_ID(50, 30), 0, AMQP_BY_CLIENT, 1, "queue.purge", "wqB" },
	{ AMQP_ID(50, 31), AMQP_ID(50, 30), AMQP_BY_SERVER, 0, NULL, "l" },
	{ AMQP_ID(50, 40), 0, AMQP_BY_CLIENT, 4, "queue.delete", "wqB" },
	{ AMQP_ID(50, 41), AMQP_ID(50, 40), AMQP_BY_SERVER, 0, NULL, "l" },
	{ AMQP_ID(50, 50), 0, AMQP_BY_CLIENT, 0, "queue.unbind", "wqskT" },
	{ AMQP_ID(50, 51), AMQP_ID(50, 50), AMQP_BY_SERVER, 0, NULL, "" },
	{ AMQP_ID(60, 10), 0, AMQP_BY_CLIENT, 0, "qos", "lwB" },
	{ AMQP_ID(60, 11), AMQP_ID(60, 10), AMQP_BY_SERVER, 0, NULL, "" },
	{ AMQP_CONSUME, 0, AMQP_BY_CLIENT, 8, "consume", "wqcBT" },
	{ AMQP_CONSUME_OK, AMQP_CONSUME, AMQP_BY_SERVER, 0, NULL, "c" },
	{ AMQP_CANCEL, 0, AMQP_BY_BOTH, 1, "cancel", "cB" },
	{ AMQP_CANCEL_OK, AMQP_CANCEL, AMQP_BY_BOTH, 0, NULL, "c" },
	{ AMQP_ID(60, 100), 0, AMQP_BY_CLIENT, 0xff, "recover-async", "B" },
	{ AMQP_ID(60, 110), 0, AMQP_BY_CLIENT, 0, "recover", "B" },
	{ AMQP_RECOVER_OK, AMQP_ID(60, 110), AMQP_BY_SERVER, 0, NULL, "" },
	{ AMQP_CONFIRM_SELECT, 0, AMQP_BY_CLIENT, 1, "confirm.select", "B" },
	{ AMQP_ID(85, 11), AMQP_CONFIRM_SELECT, AMQP_BY_SERVER, 0, NULL, "" },
	{ AMQP_ID(90, 10), 0, AMQP_BY_CLIENT, 0, "tx.select", "" },
	{ AMQP_ID(90, 11), AMQP_ID(90, 10), AMQP_BY_SERVER, 0, NULL, "" },
	{ AMQP_ID(90, 20), 0, AMQP_BY_CLIENT, 0, "tx.commit", "" },
	{ AMQP_ID(90, 21), AMQP_ID(90, 20), AMQP_BY_SERVER, 0, NULL, "" },
	{ AMQP_ID(90, 30), 0, AMQP_BY_CLIENT, 0, "tx.rollback", "" },
	{ AMQP_ID(90, 31), AMQP_ID(90, 30), AMQP_BY_SERVER, 0, NULL, "" },
};

struct amqp_frame amqp_frame_head(struct slice in)
{
	return (struct amqp_frame){ .type = in.ptr[0], .channel = load_be16(in.ptr + 1), .size = load_be32(in.ptr + 3) };
}

const struct amqp_method *amqp_method_find(uint32_t id, enum proto_side side)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
		if (methods[i].id == id && methods[i].by & 1 << side)
			return &methods[i];
	return NULL;
}

/* Walks over what `size` bytes hold, of which only the first are seen. */
static struct slice take_short(struct amqp_walk *w)
{
	const uint8_t *n = amqp_take(w, 1), *p = n ? amqp_take(w, *n) : NULL;

	return p ? slice_make(p, *n) : SLICE_NONE;
}

static struct slice take_long(struct amqp_walk *w)
{
	const uint8_t *head = amqp_take(w, 4);
	uint64_t n = head ? load_be32(head) : 0;
	const uint8_t *p = head ? amqp_take(w, n) : NULL;

	return p ? slice_make(p, (size_t)n) : SLICE_NONE;
}

static uint64_t take_number(struct amqp_walk *w, size_t n)
{
	const uint8_t *p = amqp_take(w, n);
	uint64_t v = 0;

	for (size_t i = 0; p && i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static void take_argument(struct amqp_walk *w, char what, struct amqp_fields *f)
{
	switch (what) {
	case 'q': f->queue = take_short(w); break;
	case 'x': f->exchange = take_short(w); break;
	case 'k': f->key = take_short(w); break;
	case 'c': f->consumer = take_short(w); break;
	case 'm': f->text = take_short(w); break;
	case 's': (void)take_short(w); break;
	case 'S':
	case 'T': (void)take_long(w); break;
	case 'o': (void)amqp_take(w, 1); break;
	case 'w': (void)amqp_take(w, 2); break;
	case 'l': (void)amqp_take(w, 4); break;
	case 'r': f->code = (uint16_t)take_number(w, 2); break;
	case 'i': f->class_id = (uint16_t)take_number(w, 2); break;
	case 'j': f->method_id = (uint16_t)take_number(w, 2); break;
	case 'd':
		f->tag = take_number(w, 8);
		w->bad |= f->tag >= TAG_MAX;
		break;
	case 'B': f->bits = (uint8_t)take_number(w, 1); break;
	default: w->bad = true;
	}
}

bool amqp_method_read(struct slice payload, size_t size, const struct amqp_method *m, struct amqp_fields *ret)
{
	struct amqp_walk w = { .in = payload, .size = size, .at = ID_BYTES };

	*ret = (struct amqp_fields){ 0 };
	for (const char *what = m->layout; *what && !w.bad && w.at <= payload.len; what++)
		take_argument(&w, *what, ret);
	/* What lies behind the part that is waited for cannot be checked. */
	return !w.bad && (w.at == size || w.at > payload.len);
}

/* --- content headers --- */

/* Length of a field's value by its type, with `w` behind the type. Nested tables and arrays are stepped over whole. */
static struct slice take_value(struct amqp_walk *w, uint8_t type)
{
	switch (type) {
	case 'S': /* text */
	case 'x':
	case 'F':
	case 'A': return take_long(w);
	case 'V': return SLICE_NONE;
	case 't':
	case 'b':
	case 'B': (void)amqp_take(w, 1); break;
	case 's':
	case 'u': (void)amqp_take(w, 2); break;
	case 'I':
	case 'i':
	case 'f': (void)amqp_take(w, 4); break;
	case 'l':
	case 'd':
	case 'T': (void)amqp_take(w, 8); break;
	case 'D': (void)amqp_take(w, 5); break;
	default: w->bad = true;
	}
	return SLICE_NONE;
}

static void read_headers(struct slice table, struct amqp_properties *p)
{
	struct amqp_walk w = { .in = table, .size = table.len };

	while (w.at < w.size && !w.bad) {
		struct slice name = take_short(&w);
		const uint8_t *type = amqp_take(&w, 1);
		struct slice value = type ? take_value(&w, *type) : SLICE_NONE;
		if (w.bad || !type || (*type != 'S' && *type != 'x'))
			continue;
		if (slice_ieq(name, SLICE_LIT("traceparent")))
			p->traceparent = value;
		else if (slice_ieq(name, SLICE_LIT("tracestate")))
			p->tracestate = value;
	}
}

bool amqp_properties_read(struct slice payload, size_t size, struct amqp_properties *ret)
{
	/* By bit, from the highest: type, encoding, headers, mode, priority, correlation id, reply to, expiration, message id, timestamp, type, user, application, cluster. */
	static const char kinds[] = "ssToocssmLssss";
	struct amqp_walk w = { .in = payload, .size = size };

	*ret = (struct amqp_properties){ 0 };
	bool basic = take_number(&w, 4) == AMQP_BASIC << 16; /* class, and a weight that is always 0 */
	ret->size = take_number(&w, 8);
	uint64_t flags = take_number(&w, 2);
	if (!basic || w.bad || flags & 3)
		return false;
	for (size_t i = 0; i < sizeof(kinds) - 1 && !w.bad && w.at <= payload.len; i++) {
		if (!(flags & 0x8000u >> i))
			continue;
		switch (kinds[i]) {
		case 'T': read_headers(take_long(&w), ret); break;
		case 'c': ret->correlation_id = take_short(&w); break;
		case 'm': ret->message_id = take_short(&w); break;
		case 'o': (void)amqp_take(&w, 1); break;
		case 'L': (void)amqp_take(&w, 8); break;
		default: (void)take_short(&w);
		}
	}
	return !w.bad && (w.at == size || w.at > payload.len);
}

/* --- what is AMQP --- */

struct slice amqp_preface(void)
{
	return SLICE_LIT("AMQP\0\0\x09\x01");
}

static bool channel_fits(uint32_t id, uint16_t channel) { return (id >> 16 == 10) == (channel == 0); }

/* `seen` bytes of a method frame: could they be the head of one? */
static bool may_be_method(struct slice in, enum proto_side side)
{
	if (in.ptr[0] != AMQP_METHOD)
		return false;
	if (in.len < AMQP_HEAD_BYTES)
		return in.len < 4 || in.ptr[3] == 0; /* no frame of a method has 16 MiB */
	struct amqp_frame f = amqp_frame_head(in);
	if (f.size < ID_BYTES || f.size > AMQP_METHOD_MAX)
		return false;
	if (in.len < AMQP_HEAD_BYTES + ID_BYTES)
		return true;
	uint32_t id = load_be32(in.ptr + AMQP_HEAD_BYTES);
	const struct amqp_method *m = amqp_method_find(id, side);
	struct amqp_fields fields;
	size_t seen = in.len - AMQP_HEAD_BYTES < f.size ? in.len - AMQP_HEAD_BYTES : f.size;
	return m && channel_fits(id, f.channel) && amqp_method_read(slice_make(in.ptr + AMQP_HEAD_BYTES, seen), f.size, m, &fields);
}

bool amqp_is_method(struct slice in, enum proto_side side)
{
	if (in.len <= AMQP_HEAD_BYTES + ID_BYTES || !may_be_method(in, side))
		return false;
	size_t end = AMQP_HEAD_BYTES + (size_t)amqp_frame_head(in).size;
	return in.len > end && in.ptr[end] == AMQP_END;
}

static bool is_heartbeat(struct slice in)
{
	static const uint8_t frame[] = { AMQP_HEARTBEAT, 0, 0, 0, 0, 0, 0, AMQP_END };

	return memcmp(in.ptr, frame, in.len < sizeof(frame) ? in.len : sizeof(frame)) == 0;
}

static int detect_header(struct slice in)
{
	struct amqp_properties p;

	if (in.len < AMQP_HEAD_BYTES)
		return in.len < 4 || in.ptr[3] == 0 ? DETECT_MORE : DETECT_NO;
	struct amqp_frame f = amqp_frame_head(in);
	if (f.channel == 0 || f.size < AMQP_HEADER_FIXED || f.size > AMQP_METHOD_MAX)
		return DETECT_NO;
	struct slice payload = slice_head(slice_from(in, AMQP_HEAD_BYTES), f.size);
	if (payload.len < AMQP_HEADER_FIXED)
		return payload.len < 2 || load_be16(payload.ptr) == AMQP_BASIC ? DETECT_MORE : DETECT_NO;
	if (!amqp_properties_read(payload, f.size, &p))
		return DETECT_NO;
	if (in.len <= AMQP_HEAD_BYTES + (size_t)f.size)
		return DETECT_MORE;
	return in.ptr[AMQP_HEAD_BYTES + f.size] == AMQP_END ? DETECT_LIKELY : DETECT_NO;
}

int amqp_detect(struct slice in, enum proto_side side)
{
	struct slice preface = amqp_preface();

	if (in.len == 0)
		return DETECT_MORE;
	if (memcmp(in.ptr, preface.ptr, in.len < preface.len ? in.len : preface.len) == 0)
		return in.len < preface.len ? DETECT_MORE : DETECT_CERTAIN;
	switch (in.ptr[0]) {
	case AMQP_METHOD:
		if (!may_be_method(in, side))
			return DETECT_NO;
		if (in.len <= AMQP_HEAD_BYTES + ID_BYTES || in.len <= AMQP_HEAD_BYTES + (size_t)amqp_frame_head(in).size)
			return DETECT_MORE;
		return !amqp_is_method(in, side) ? DETECT_NO : DETECT_LIKELY;
	case AMQP_HEADER: return detect_header(in);
	case AMQP_HEARTBEAT: return !is_heartbeat(in) ? DETECT_NO : in.len < AMQP_HEAD_BYTES + 1 ? DETECT_MORE : DETECT_WEAK;
	default: return DETECT_NO;
	}
}

size_t amqp_find(struct slice in, enum proto_side side)
{
	for (size_t at = 0; at < in.len; at++) {
		const uint8_t *p = memchr(in.ptr + at, AMQP_METHOD, in.len - at);
		if (!p)
			break;
		at = (size_t)(p - in.ptr);
		if (amqp_is_method(slice_head(slice_from(in, at), AMQP_KEEP), side))
			return at;
	}
	return in.len;
}

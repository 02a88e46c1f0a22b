/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dubbo 2, the protocol `dubbo` of Apache Dubbo 2 and 3 (its other one, Triple, is gRPC's). What messages look like is dubbo_wire.c.
 *
 * A request is an exchange with the response of its id. A server asks on its clients' connections, too (callbacks): whose id it is, is one bit of the key. Requests whose sender wants no
 * answer are over when they are sent. Heartbeats and what else is an event are of the connection, not of its user: they are counted, and make no span.
 *
 * Shown are service, version and method, which a request begins with, where it is serialized by hessian2, fastjson or fastjson2; of others, nothing but that they were. A generic call
 * (`$invoke`) has its method among its arguments, and these are never looked at. Of a request of up to 4 KiB the attachments are seen in so far as there is a trace context in them.
 *
 * Errors: a status other than OK, by its name; what a service has thrown, by its class, or EXCEPTION where that is not told. What either says is not shown.
 */
#include "proto/dubbo_wire.h"
#include "proto/memory.h"

enum { RESYNC_KEEP = DUBBO_HEAD };

struct dubbo_memory {
	struct proto_memory *budget; /* not owned */
	char method[2 * DUBBO_NAME_MAX + 1], version[DUBBO_VERSION_MAX]; /* of the latest request */
};

struct dubbo_state {
	struct dubbo_memory *memory; /* external; NULL without memory: nothing is parsed then */
	char number[4];
};
_Static_assert(sizeof(struct dubbo_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

/* At most `max` bytes, no character in part, and printable. */
static struct slice copy(char *to, struct slice s, size_t max)
{
	size_t len = s.len;

	if (len > max)
		for (len = max; len && (s.ptr[len] & 0xc0) == 0x80; len--)
			;
	for (size_t i = 0; i < len; i++)
		to[i] = s.ptr[i] < ' ' || s.ptr[i] == 127 ? '?' : (char)s.ptr[i];
	return slice_make(to, len);
}

static void add_call(struct dubbo_memory *memory, const struct dubbo_call *call, struct message *m)
{
	size_t len = copy(memory->method, call->service, DUBBO_NAME_MAX).len;

	if (call->service.len && call->method.len)
		memory->method[len++] = '/';
	len += copy(memory->method + len, call->method, DUBBO_NAME_MAX).len;
	if (call->method.len)
		message_add_str(m, ATTR_RPC_METHOD, slice_make(memory->method, len));
	if (call->version.len && !slice_eq(call->version, SLICE_LIT("0.0.0"))) /* as good as none */
		message_add_str(m, ATTR_RPC_SERVICE_VERSION, copy(memory->version, call->version, DUBBO_VERSION_MAX));
}

static void request(struct dubbo_state *s, const struct dubbo_head *h, struct slice body, struct message *m)
{
	struct dubbo_call call;

	m->kind = MESSAGE_REQUEST;
	m->flags |= h->flags & DUBBO_TWO_WAY ? 0 : MESSAGE_NO_RESPONSE;
	message_add_str(m, ATTR_RPC_SYSTEM_NAME, SLICE_LIT("dubbo"));
	dubbo_call_read(h->serialization, body, &call);
	add_call(s->memory, &call, m);
	/* Attachments come last: where they were not looked at, what reads like one is an argument. */
	struct slice traceparent = body.len == h->body ? dubbo_traceparent(h->serialization, body) : SLICE_NONE;
	if (traceparent.len)
		message_add_str(m, ATTR_RAW_TRACEPARENT, traceparent);
}

/* Behind its package. */
static struct slice simple_name(struct slice class)
{
	size_t at = class.len;

	while (at && class.ptr[at - 1] != '.')
		at--;
	return at < class.len ? slice_make(class.ptr + at, class.len - at) : class;
}

/* A long name without its package, and if need be without its end. */
static void failed(struct message *m, struct slice type)
{
	type = slice_head(type.len < MESSAGE_ERROR_TYPE_LEN ? type : simple_name(type), MESSAGE_ERROR_TYPE_LEN - 1);
	m->flags |= MESSAGE_ERROR;
	memcpy(m->error_type, type.ptr, type.len);
	m->error_type[type.len] = '\0';
}

static struct slice number_text(uint8_t number, char to[4])
{
	char *p = to + 4;

	do
		*--p = (char)('0' + number % 10);
	while (number /= 10);
	return slice_make(p, (size_t)(to + 4 - p));
}

static void response(struct dubbo_state *s, const struct dubbo_head *h, struct slice body, struct message *m)
{
	const char *name = dubbo_status_name(h->status);
	struct slice status = name ? slice_str(name) : number_text(h->status, s->number), thrown;

	m->kind = MESSAGE_RESPONSE;
	message_add_str(m, ATTR_RPC_RESPONSE_STATUS_CODE, status);
	if (h->status != DUBBO_STATUS_OK)
		failed(m, status);
	else if (dubbo_thrown(h->serialization, body, &thrown))
		failed(m, thrown.len ? thrown : SLICE_LIT("EXCEPTION"));
}

static enum parse_status dubbo_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct dubbo_state *s = state;
	struct message *m = &ret->message;
	struct dubbo_head h;

	if (!s->memory)
		return PARSE_BAD;
	ret->need = DUBBO_HEAD;
	switch (dubbo_head_read(in, &h)) {
	case DUBBO_BAD: return PARSE_BAD;
	case DUBBO_SHORT: return PARSE_NEED_MORE;
	case DUBBO_FITS: break;
	}
	bool asks = h.flags & DUBBO_REQUEST, event = h.flags & DUBBO_EVENT;
	size_t size = DUBBO_HEAD + (size_t)h.body, look = event ? DUBBO_HEAD : asks ? DUBBO_REQUEST_MAX : DUBBO_RESPONSE_MAX, taken = size < look ? size : look;
	ret->need = taken;
	if (in.len < taken)
		return PARSE_NEED_MORE;
	ret->consumed = in.len < size ? taken : size;
	ret->skip = size - ret->consumed;
	m->flags = MESSAGE_BEGIN | MESSAGE_END | (ret->skip ? MESSAGE_END_AFTER_SKIP : 0);
	if (event) {
		m->kind = MESSAGE_ONEWAY;
		return PARSE_MESSAGE;
	}
	m->keyed = true;
	m->key = h.id << 1 | (asks == (side == PROTO_TO_CLIENT));
	struct slice body = slice_from(slice_head(in, taken), DUBBO_HEAD);
	if (asks)
		request(s, &h, body, m);
	else
		response(s, &h, body, m);
	return PARSE_MESSAGE;
}

static size_t dubbo_resync(void *state, enum proto_side side, struct slice in)
{
	struct dubbo_head h;

	(void)state, (void)side;
	for (size_t at = slice_find(in, 0xda, 0); at != SIZE_MAX; at = slice_find(in, 0xda, at + 1))
		if (dubbo_message_fits(slice_from(in, at), &h) == DUBBO_FITS)
			return at;
	return in.len;
}

static void *dubbo_open(struct proto_memory *budget)
{
	struct dubbo_memory *m = proto_memory_get(budget, sizeof(*m));

	if (m)
		*m = (struct dubbo_memory){ .budget = budget };
	return m;
}

static void dubbo_close(void *external)
{
	struct dubbo_memory *m = external;

	if (m)
		proto_memory_put(m->budget, m);
}

const struct proto_ops proto_dubbo = {
	.name = "dubbo",
	.id = PLUMB_PROTO_DUBBO,
	.state_size = sizeof(struct dubbo_state),
	.detect = dubbo_detect,
	.parse = dubbo_parse,
	.resync = dubbo_resync,
	.resync_keep = RESYNC_KEEP,
	.open = dubbo_open,
	.close = dubbo_close,
	/* Both ends write many small messages at once. */
	.want = { 65536, 65536 },
};

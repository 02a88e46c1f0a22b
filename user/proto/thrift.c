/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Apache Thrift: binary (strict and old) and compact protocol, unframed, framed or in THeader's frames. Heads are thrift_wire.c, structs thrift_walk.c.
 *
 * The rest of a frame is skipped; of one that THeader has compressed by zlib so much is inflated that its head is known. By other transforms: exchanges without names,
 * plumb.incomplete says so. Without one the struct is walked field by field to its end; strings and lists of numbers are skipped, so only what is
 * between them is needed. If some of that was not captured, the message's end is not known, and the next message is looked for.
 *
 * The key is the sequence id, unless it is 0, as many clients (Python's, C++'s) send it each time: these are answered in order, and could not tell otherwise. After a loss a client
 * that waits for its answers begins afresh with its next request; of one that does not, and sends another id over and over, no answer is sure any more.
 *
 * A oneway is over when it is sent. Some clients (Go's) send it as a call: if a later call was answered before it, and no call of that method ever was on this connection, silence
 * is no failure of it (`due`).
 *
 * An exception that the method declares is a field of the result other than 0; what its type is called is not told. What exceptions say is not shown: it is the
 * service's own text, with values in it.
 */
#include "proto/memory.h"
#include "proto/thrift_inflate.h"
#include "proto/thrift_wire.h"

enum { DUES = 8, METHODS = 128 };

/* A call that is not answered yet. */
struct due {
	uint32_t key;
	uint8_t method; /* its hash */
	bool told;      /* that it may be a oneway */
	bool quiet;     /* so it was said when it was sent */
};

/* The message under way in a direction. */
struct current {
	uint32_t key, rest; /* rest: of the frame */
	bool walking, framed, oneway;
	bool unfinished; /* its end was lost */
};

struct thrift_memory {
	struct proto_memory *budget;
	struct thrift_walk walk[2];
	struct thrift_inflate *inflate; /* NULL before it is needed */
	uint8_t name[THRIFT_NAME_MAX];
};

struct thrift_state {
	struct thrift_memory *memory;
	struct current current[2];
	struct due due[DUES]; /* oldest first */
	uint8_t answered[METHODS / 8], silent[METHODS / 8]; /* by the methods' hashes */
	uint8_t dues;
	bool told;     /* of a loss, and no request has begun since */
	bool overlaps; /* requests are sent before the one in front is answered */
	bool twins;    /* with the same id */
	bool unsure;   /* no answer is sure any more */
	uint8_t way;   /* how messages are sent here: see way_of(). 0 = not known */
};
_Static_assert(sizeof(struct thrift_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

/* ---- calls that are not answered yet ---- */

static uint8_t method_hash(struct slice name)
{
	uint32_t h = 2166136261u;

	/* Behind the service, which answers do not repeat. */
	for (size_t i = 0; i < name.len; i++)
		h = name.ptr[i] == ':' ? 2166136261u : (h ^ name.ptr[i]) * 16777619u;
	return (uint8_t)((h ^ h >> 16) % METHODS);
}

static bool bit(const uint8_t *bits, uint8_t n) { return bits[n / 8] >> n % 8 & 1; }

static void bit_set(uint8_t *bits, uint8_t n) { bits[n / 8] = (uint8_t)(bits[n / 8] | 1 << n % 8); }

/* So far nobody has answered it, and at least one such call was passed over. */
static bool silent(const struct thrift_state *s, uint8_t method) { return bit(s->silent, method) && !bit(s->answered, method); }

static void due_remove(struct thrift_state *s, unsigned i)
{
	s->dues--;
	memmove(&s->due[i], &s->due[i + 1], (s->dues - i) * sizeof(s->due[0]));
}

static void due_add(struct thrift_state *s, const struct thrift_head *h)
{
	for (unsigned i = 0; i < s->dues; i++) {
		s->overlaps |= !silent(s, s->due[i].method);
		s->twins |= s->due[i].key == h->key;
	}
	if (s->dues == DUES)
		due_remove(s, 0);
	s->due[s->dues++] = (struct due){ h->key, method_hash(h->name), false, silent(s, method_hash(h->name)) };
}

static unsigned due_find(const struct thrift_state *s, uint32_t key)
{
	unsigned i = 0;

	while (i < s->dues && s->due[i].key != key)
		i++;
	return i;
}

/*
 * An answer has come: is an older call one that nobody will answer? The first time that is only supposed of a method, from then on it is over with the next
 * answer. True: `m` says so.
 */
static bool oneway_supposed(struct thrift_state *s, uint32_t answered, struct message *m)
{
	unsigned end = due_find(s, answered);

	for (unsigned i = 0; end < s->dues && i < end; i++) {
		struct due *d = &s->due[i];
		if (d->told || bit(s->answered, d->method))
			continue;
		m->keyed = true;
		m->key = m->first = d->key;
		m->kind = MESSAGE_REQUEST;
		if (d->quiet) {
			m->flags = MESSAGE_ABORT | MESSAGE_RANGE;
			due_remove(s, i);
			return true;
		}
		bit_set(s->silent, d->method);
		m->flags = MESSAGE_QUIET | MESSAGE_RANGE;
		d->told = true;
		return true;
	}
	return false;
}

static void due_answered(struct thrift_state *s, const struct thrift_head *h)
{
	unsigned i = due_find(s, h->key);

	if (!h->opaque)
		bit_set(s->answered, method_hash(h->name));
	if (i < s->dues)
		due_remove(s, i);
}

/* ---- messages ---- */

/* "service:method" of a multiplexed connection as service/method. */
static struct slice method_of(struct thrift_memory *memory, struct slice name)
{
	size_t colon = slice_find(name, ':', 0);

	if (colon == SIZE_MAX)
		return name;
	memcpy(memory->name, name.ptr, name.len);
	memory->name[colon] = '/';
	return slice_make(memory->name, name.len);
}

static void head_attrs(struct thrift_state *s, const struct thrift_head *h, struct message *m)
{
	message_add_str(m, ATTR_RPC_SYSTEM_NAME, SLICE_LIT("thrift"));
	message_add_text(m, ATTR_RPC_METHOD, method_of(s->memory, h->name));
	if (h->opaque)
		message_add_str(m, ATTR_PLUMB_INCOMPLETE, SLICE_LIT("compressed"));
	message_add_text(m, ATTR_RAW_TRACEPARENT, h->traceparent);
	message_add_text(m, ATTR_RAW_TRACESTATE, h->tracestate);
	message_add_text(m, ATTR_RAW_B3, h->b3);
}

static void identify(const struct current *c, enum proto_side side, struct message *m)
{
	m->kind = side == PROTO_TO_SERVER ? MESSAGE_REQUEST : MESSAGE_RESPONSE;
	m->keyed = c->key != 0;
	m->key = c->key;
}

static void request_begin(struct thrift_state *s, const struct thrift_head *h, struct message *m)
{
	if (h->key && s->told && !s->overlaps) {
		m->flags |= MESSAGE_FLUSH;
		s->dues = 0;
	}
	s->unsure |= h->key && s->told && s->overlaps && s->twins;
	s->told = false;
	if (s->unsure && h->key)
		m->flags |= MESSAGE_UNSURE;
	if (h->type == THRIFT_ONEWAY) {
		m->flags |= MESSAGE_NO_RESPONSE;
		return;
	}
	if (h->opaque) {
		m->flags |= MESSAGE_QUIET; /* whether it is answered is told in there */
		return;
	}
	if (h->key == 0)
		return;
	if (silent(s, method_hash(h->name)))
		m->flags |= MESSAGE_QUIET;
	due_add(s, h);
}

static void failed(struct message *m, const char *type)
{
	m->flags |= MESSAGE_ERROR;
	memcpy(m->error_type, type, strlen(type) + 1);
}

/* What the walk has found out of a response. */
static void found(const struct thrift_walk *w, struct message *m)
{
	if (w->exception)
		failed(m, thrift_exception_name(w->code));
	else if (w->first_known && w->first != 0)
		failed(m, "declared_exception");
}

/* The message ends with these bytes, or with its frame. */
static enum parse_status end(struct thrift_state *s, enum proto_side side, size_t consumed, uint32_t rest, struct parse_result *ret)
{
	s->current[side].walking = false;
	ret->consumed = consumed;
	ret->skip = rest;
	ret->message.flags |= MESSAGE_END | (rest ? MESSAGE_END_AFTER_SKIP : 0);
	return PARSE_MESSAGE;
}

/* On with the struct at in[head], which is where this call's message begins to be walked; before it is the head, of `head` bytes. */
static enum parse_status walk(struct thrift_state *s, enum proto_side side, struct slice in, size_t head, struct parse_result *ret)
{
	struct current *c = &s->current[side];
	struct thrift_walk *w = &s->memory->walk[side];
	struct message *m = &ret->message;
	struct slice body = slice_from(in, head);
	size_t at = 0;

	if (c->framed)
		body = slice_head(body, c->rest);
	enum thrift_walked walked = thrift_walk(w, body, c->framed, &at);
	uint32_t rest = c->framed ? c->rest - (uint32_t)at : 0;
	bool over = walked == THRIFT_DONE || (c->framed && (walked == THRIFT_BROKEN || (walked == THRIFT_MORE && body.len == c->rest) ||
							    (walked == THRIFT_PASS && w->skip >= rest)));
	identify(c, side, m);
	if (over && side == PROTO_TO_CLIENT)
		found(w, m);
	if (over)
		return end(s, side, head + at, rest, ret);
	if (walked == THRIFT_BROKEN && head + at == 0)
		return PARSE_BAD; /* else with the next bytes: what is known is said first */
	c->rest = rest;
	if (head + at == 0) {
		ret->need = 0;
		return PARSE_NEED_MORE;
	}
	ret->consumed = head + at;
	if (walked == THRIFT_PASS) {
		ret->skip = w->skip;
		if (c->framed)
			c->rest -= (uint32_t)w->skip;
		w->skip = 0;
	}
	return m->flags || m->nattrs ? PARSE_MESSAGE : PARSE_SKIP;
}

/* The end of the message before was lost: its exchange lasts no longer than until here. */
static enum parse_status end_unfinished(struct current *c, enum proto_side side, struct parse_result *ret)
{
	c->unfinished = false;
	identify(c, side, &ret->message);
	ret->message.flags = MESSAGE_END | MESSAGE_UNSURE;
	return PARSE_MESSAGE;
}

static uint8_t way_of(const struct thrift_head *h) { return (uint8_t)(h->header ? 8 : 1 + h->protocol + (h->framed ? 3 : 0)); }

/* Of a compressed payload the first bytes, as far as they are wanted: its head, and of a response what came of it. False: they are not there yet. */
static bool unpack(struct thrift_state *s, enum proto_side side, struct slice in, struct thrift_head *h, size_t *ret_need)
{
	struct thrift_memory *memory = s->memory;
	struct thrift_walk *w = &memory->walk[side];
	size_t want = h->rest < THRIFT_PACKED ? h->rest : THRIFT_PACKED, at;

	*ret_need = h->len + want;
	if (in.len < *ret_need)
		return false;
	if (!memory->inflate)
		memory->inflate = proto_memory_get(memory->budget, sizeof(*memory->inflate));
	if (!memory->inflate)
		return true;
	struct slice plain = thrift_inflate(memory->inflate, slice_make(in.ptr + h->len, want));
	if (!thrift_payload_read(plain, h, &at))
		return true;
	thrift_walk_begin(w, h->protocol, h->type == THRIFT_EXCEPTION);
	if (side == PROTO_TO_CLIENT)
		(void)thrift_walk(w, plain, true, &at);
	return true;
}

static enum parse_status begin(struct thrift_state *s, enum proto_side side, struct slice in, const struct thrift_head *h, struct parse_result *ret)
{
	struct current *c = &s->current[side];
	struct message *m = &ret->message;

	c->key = h->key;
	c->rest = h->rest;
	c->framed = h->framed;
	s->way = way_of(h);
	identify(c, side, m);
	m->flags = MESSAGE_BEGIN;
	if (side == PROTO_TO_SERVER)
		request_begin(s, h, m);
	else
		due_answered(s, h);
	head_attrs(s, h, m);
	if (h->zlib && !h->opaque && side == PROTO_TO_CLIENT)
		found(&s->memory->walk[side], m);
	if (h->framed && (side == PROTO_TO_SERVER || h->opaque || h->zlib))
		return end(s, side, h->len, h->rest, ret);
	c->walking = true;
	thrift_walk_begin(&s->memory->walk[side], h->protocol, h->type == THRIFT_EXCEPTION);
	return walk(s, side, in, h->len, ret);
}

static enum parse_status thrift_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct thrift_state *s = state;
	struct current *c = &s->current[side];
	struct thrift_head h;

	if (!s->memory)
		return PARSE_BAD;
	if (c->walking)
		return walk(s, side, in, 0, ret);
	switch (thrift_head_read(in, &h, &ret->need)) {
	case THRIFT_BAD: return PARSE_BAD;
	case THRIFT_SHORT: return PARSE_NEED_MORE;
	case THRIFT_OK: break;
	}
	if (h.zlib && !unpack(s, side, in, &h, &ret->need))
		return PARSE_NEED_MORE;
	if (!thrift_type_fits(&h, side))
		return PARSE_BAD;
	if (side == PROTO_TO_SERVER && s->told && !s->overlaps)
		s->current[0].unfinished = s->current[1].unfinished = false; /* it is over without that */
	if (c->unfinished)
		return end_unfinished(c, side, ret);
	if (side == PROTO_TO_CLIENT && oneway_supposed(s, h.key, &ret->message))
		return PARSE_MESSAGE;
	return begin(s, side, in, &h, ret);
}

/* ---- where messages begin ---- */

/*
 * Any four bytes before a message may look like its frame's length. Where nothing tells, the message is taken for one without: it ends with its struct, and what
 * comes behind tells more.
 */
static bool frame_fits(struct slice in, enum proto_side side, const struct thrift_head *h)
{
	struct thrift_head next;
	size_t whole = h->len + h->rest;

	return h->header || in.len == whole || (in.len > whole && thrift_message_fits(slice_from(in, whole), side, &next) != THRIFT_BAD);
}

static size_t thrift_resync(void *state, enum proto_side side, struct slice in)
{
	const struct thrift_state *s = state;
	struct thrift_head h;

	for (size_t at = 0; at < in.len; at++) {
		struct slice rest = slice_from(in, at);
		if (thrift_message_fits(rest, side, &h) != THRIFT_OK || (s->way && s->way != way_of(&h)))
			continue;
		return at + (!s->way && h.framed && !frame_fits(rest, side, &h) ? 4 : 0);
	}
	return in.len;
}

static void thrift_lost(void *state, enum proto_side side)
{
	struct thrift_state *s = state;
	struct current *c = &s->current[side];

	c->unfinished |= c->walking && c->key;
	c->walking = false;
	s->told = true;
}

/*
 * Of a write without frames only the head was captured, and the rest of it was a string and as many bytes as structs have to end: then they have
 * ended.
 */
static bool thrift_missing(void *state, enum proto_side side, uint64_t n, struct message *ret_message)
{
	struct thrift_state *s = state;
	struct current *c = &s->current[side];
	unsigned ends;

	if (!c->walking || c->framed || !thrift_only_ends(&s->memory->walk[side], &ends) || n != ends)
		return false;
	c->walking = false;
	identify(c, side, ret_message);
	ret_message->flags = MESSAGE_END;
	if (side == PROTO_TO_CLIENT)
		found(&s->memory->walk[side], ret_message);
	return true;
}

static void *thrift_open(struct proto_memory *budget)
{
	struct thrift_memory *m = proto_memory_get(budget, sizeof(*m));

	if (m)
		*m = (struct thrift_memory){ .budget = budget };
	return m;
}

static void thrift_close(void *external)
{
	struct thrift_memory *m = external;

	if (!m)
		return;
	struct proto_memory *budget = m->budget;
	proto_memory_put(budget, m->inflate);
	proto_memory_put(budget, m);
}

const struct proto_ops proto_thrift = {
	.name = "thrift",
	.id = PLUMB_PROTO_THRIFT,
	.state_size = sizeof(struct thrift_state),
	.detect = thrift_detect,
	.parse = thrift_parse,
	.resync = thrift_resync,
	.lost = thrift_lost,
	.missing = thrift_missing,
	.resync_keep = THRIFT_RESYNC_KEEP,
	.open = thrift_open,
	.close = thrift_close,
	/* Without frames all that is between the strings is needed. */
	.want = { 4096, 4096 },
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FastCGI 1.0: what a web server asks of PHP-FPM and the like. Records are fastcgi_wire.c, parameters and the response's head fastcgi_params.c.
 *
 * The key is the request id. A request lasts from BEGIN_REQUEST to the empty STDIN, its response from its first STDOUT to END_REQUEST, which ends the request too,
 * if not all of it was read. Contents are skipped; but a record's head may stand anywhere in what is read at once, so much is captured.
 *
 * Parameters are read of one request at a time: of requests whose parameters are mixed, which no known client sends, only the first one's are known.
 * After a loss a client that has one request open at a time begins afresh with the next one.
 *
 * Failures: the protocol's status, and the application's if the response does not say better. Whether a 500 is one is for span/ to say.
 */
#include "proto/fastcgi_wire.h"
#include "proto/memory.h"

enum { STREAMS = 16 };

struct fastcgi_stream {
	uint16_t id; /* 0 = free */
	bool request_open, response_begun, unsure;
	bool aborted; /* by the client: what still comes of it is nobody's */
	uint8_t role;
	struct fastcgi_head head;
	uint64_t body; /* bytes of the response behind its head */
};

/* The record under way in a direction. */
struct current {
	struct fastcgi_record record;
	uint32_t content, padding; /* left of it */
	bool in;
	uint16_t latest; /* id that an event told of */
};

struct fastcgi_memory {
	struct proto_memory *budget;
	struct fastcgi_stream streams[STREAMS];
	struct fastcgi_params params;
};

struct fastcgi_state {
	struct fastcgi_memory *memory;
	struct current current[2];
	uint8_t next;     /* stream to give way */
	bool told;        /* of a loss, and no request has begun since */
	bool multiplexes; /* a request was begun while another one was open */
};
_Static_assert(sizeof(struct fastcgi_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

/* ---- streams ---- */

static struct fastcgi_stream *stream_find(struct fastcgi_memory *m, uint16_t id)
{
	for (unsigned i = 0; i < STREAMS; i++)
		if (m->streams[i].id == id)
			return &m->streams[i];
	return NULL;
}

static struct fastcgi_stream *stream_add(struct fastcgi_state *s, uint16_t id)
{
	struct fastcgi_stream *t = stream_find(s->memory, id);

	if (!t)
		t = stream_find(s->memory, 0);
	if (!t) {
		t = &s->memory->streams[s->next];
		s->next = (uint8_t)((s->next + 1) % STREAMS);
	}
	*t = (struct fastcgi_stream){ .id = id };
	return t;
}

static bool any_open(const struct fastcgi_memory *m)
{
	for (unsigned i = 0; i < STREAMS; i++)
		if (m->streams[i].id)
			return true;
	return false;
}

/* ---- events ---- */

static void identify(struct current *c, enum proto_side side, struct message *m)
{
	m->kind = side == PROTO_TO_SERVER ? MESSAGE_REQUEST : MESSAGE_RESPONSE;
	m->keyed = true;
	m->key = c->latest = c->record.id;
}

/* `done` bytes were read and `skip` more are passed over, both of the content; `head` bytes were before them. */
static enum parse_status pass(struct current *c, size_t head, size_t done, uint32_t skip, struct parse_result *ret)
{
	c->content -= (uint32_t)done + skip;
	ret->consumed = head + done;
	ret->skip = skip;
	c->in = c->content > 0;
	if (!c->in)
		ret->skip += c->padding;
	if (ret->message.flags || ret->message.nattrs)
		return PARSE_MESSAGE;
	if (ret->consumed == 0 && ret->skip == 0)
		return PARSE_NEED_MORE;
	ret->apart = c->latest != c->record.id;
	return PARSE_SKIP;
}

static enum parse_status pass_all(struct current *c, size_t head, struct parse_result *ret) { return pass(c, head, 0, c->content, ret); }

/* ---- requests ---- */

static enum parse_status request_begin(struct fastcgi_state *s, struct current *c, const uint8_t *body, size_t head, struct parse_result *ret)
{
	struct message *m = &ret->message;

	m->flags = MESSAGE_BEGIN;
	if (s->told && !s->multiplexes) {
		m->flags |= MESSAGE_FLUSH;
		memset(s->memory->streams, 0, sizeof(s->memory->streams));
	}
	s->told = false;
	const struct fastcgi_stream *open = stream_find(s->memory, c->record.id);
	s->multiplexes |= !open && any_open(s->memory);
	struct fastcgi_stream *t = stream_add(s, c->record.id);
	t->request_open = true;
	t->role = body[1];
	fastcgi_params_begin(&s->memory->params, c->record.id);
	identify(c, PROTO_TO_SERVER, m);
	return pass(c, head, FASTCGI_BODY, 0, ret);
}

static void request_end(struct fastcgi_stream *t, struct current *c, struct message *m)
{
	if (!t || !t->request_open)
		return;
	t->request_open = false;
	identify(c, PROTO_TO_SERVER, m);
	m->flags |= MESSAGE_END;
}

static enum parse_status params(struct fastcgi_state *s, struct current *c, struct slice content, size_t head, struct parse_result *ret)
{
	struct fastcgi_params *p = &s->memory->params;
	struct fastcgi_stream *t = stream_find(s->memory, c->record.id);
	uint32_t skip;

	if (!t || p->owner != c->record.id)
		return pass_all(c, head, ret);
	identify(c, PROTO_TO_SERVER, &ret->message);
	size_t done = fastcgi_params_read(p, content, &ret->message, &skip);
	if (skip > c->content - done) { /* the rest of it is in the next record */
		p->at -= skip - (c->content - (uint32_t)done);
		skip = c->content - (uint32_t)done;
	}
	if (c->record.len == 0) {
		fastcgi_params_end(p, &ret->message);
		if (t->role == FASTCGI_AUTHORIZER)
			request_end(t, c, &ret->message);
	}
	return pass(c, head, done, skip, ret);
}

static enum parse_status aborted(struct fastcgi_state *s, struct current *c, size_t head, struct parse_result *ret)
{
	struct fastcgi_stream *t = stream_find(s->memory, c->record.id);

	if (t && !t->aborted) {
		t->aborted = true;
		t->request_open = false;
		identify(c, PROTO_TO_SERVER, &ret->message);
		ret->message.flags = MESSAGE_ABORT | MESSAGE_ERROR;
		memcpy(ret->message.error_type, "aborted", sizeof("aborted"));
	}
	return pass_all(c, head, ret);
}

/* ---- responses ---- */

static struct fastcgi_stream *response_of(struct fastcgi_state *s, struct current *c, struct message *m)
{
	struct fastcgi_stream *t = stream_find(s->memory, c->record.id);

	if (!t)
		t = stream_add(s, c->record.id);
	identify(c, PROTO_TO_CLIENT, m);
	if (!t->response_begun)
		m->flags |= MESSAGE_BEGIN;
	t->response_begun = true;
	return t;
}

static enum parse_status output(struct fastcgi_state *s, struct current *c, struct slice content, size_t head, struct parse_result *ret)
{
	struct fastcgi_stream *t = stream_find(s->memory, c->record.id);

	if (c->record.len == 0 || (t && (t->aborted || t->head.phase >= FASTCGI_HEAD_DONE))) {
		if (t && t->head.phase == FASTCGI_HEAD_DONE)
			t->body += c->content;
		return pass_all(c, head, ret);
	}
	if (content.len == 0)
		return pass(c, head, 0, 0, ret);
	t = response_of(s, c, &ret->message);
	size_t done = fastcgi_head_read(&t->head, content);
	if (t->head.phase < FASTCGI_HEAD_DONE)
		return pass(c, head, done, 0, ret);
	uint16_t status = fastcgi_head_status(&t->head);
	if (status)
		message_add_int(&ret->message, ATTR_HTTP_RESPONSE_STATUS_CODE, status);
	t->body = c->content - done;
	return pass(c, head, done, c->content - (uint32_t)done, ret);
}

static const char *failure(const struct fastcgi_stream *t, const uint8_t *body)
{
	static const char *const names[] = { NULL, "cant_multiplex", "overloaded", "unknown_role" };
	bool application = load_be32(body) != 0 && fastcgi_head_status(&t->head) < 500;

	return body[4] ? names[body[4]] : application ? "application_status" : NULL;
}

static enum parse_status response_end(struct fastcgi_state *s, struct current *c, const uint8_t *body, size_t head, struct parse_result *ret)
{
	struct message *m = &ret->message;
	struct fastcgi_stream *t = stream_find(s->memory, c->record.id);

	if (t && t->aborted) {
		t->id = 0;
		return pass(c, head, FASTCGI_BODY, 0, ret);
	}
	t = response_of(s, c, m);
	const char *error = failure(t, body);

	if (t->head.phase == FASTCGI_HEAD_DONE && !t->unsure)
		message_add_int(m, ATTR_HTTP_RESPONSE_BODY_SIZE, (int64_t)t->body);
	if (error) {
		m->flags |= MESSAGE_ERROR;
		memcpy(m->error_type, error, strlen(error) + 1);
	}
	m->flags |= MESSAGE_END | (t->unsure ? MESSAGE_UNSURE : 0);
	if (t->request_open) /* the rest of what was sent nobody reads */
		m->flags = MESSAGE_ABORT | (m->flags & (MESSAGE_ERROR | MESSAGE_UNSURE));
	t->id = 0;
	return pass(c, head, FASTCGI_BODY, 0, ret);
}

/* ---- records ---- */

/* What is of no request. */
static enum parse_status management(struct current *c, size_t head, struct parse_result *ret)
{
	ret->message.kind = MESSAGE_ONEWAY;
	ret->message.flags = MESSAGE_BEGIN | MESSAGE_END | (c->content + c->padding ? MESSAGE_END_AFTER_SKIP : 0);
	return pass_all(c, head, ret);
}

static enum parse_status input(struct fastcgi_state *s, struct current *c, size_t head, struct parse_result *ret)
{
	if (c->record.type == FASTCGI_STDIN && c->record.len == 0)
		request_end(stream_find(s->memory, c->record.id), c, &ret->message);
	return pass_all(c, head, ret);
}

static bool whole_body(uint8_t type) { return type == FASTCGI_BEGIN || type == FASTCGI_END; }

static enum parse_status fastcgi_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct fastcgi_state *s = state;
	struct current *c = &s->current[side];
	size_t head = 0;

	if (!s->memory)
		return PARSE_BAD;
	if (!c->in) {
		ret->need = FASTCGI_HEAD;
		if (in.len < ret->need)
			return PARSE_NEED_MORE;
		if (!fastcgi_record_read(in.ptr, side, &c->record))
			return PARSE_BAD;
		ret->need += whole_body(c->record.type) ? FASTCGI_BODY : 0;
		if (in.len < ret->need)
			return PARSE_NEED_MORE;
		if (whole_body(c->record.type) && !fastcgi_surely(in, side))
			return PARSE_BAD;
		c->content = c->record.len;
		c->padding = c->record.padding;
		head = FASTCGI_HEAD;
		ret->need = 0;
		if (c->record.type == FASTCGI_BEGIN)
			return request_begin(s, c, in.ptr + head, head, ret);
		if (c->record.type == FASTCGI_END)
			return response_end(s, c, in.ptr + head, head, ret);
	}
	struct slice content = slice_head(slice_from(in, head), c->content);
	switch ((enum fastcgi_type)c->record.type) {
	case FASTCGI_ABORT: return aborted(s, c, head, ret);
	case FASTCGI_BEGIN: case FASTCGI_END: return PARSE_BAD; /* never in parts */
	case FASTCGI_PARAMS: return params(s, c, content, head, ret);
	case FASTCGI_STDIN: case FASTCGI_DATA: return input(s, c, head, ret);
	case FASTCGI_STDOUT: return output(s, c, content, head, ret);
	case FASTCGI_STDERR: return pass_all(c, head, ret);
	case FASTCGI_GET_VALUES: case FASTCGI_GET_VALUES_RESULT: case FASTCGI_UNKNOWN_TYPE: break;
	}
	return management(c, head, ret);
}

/* ---- where records begin ---- */

static size_t fastcgi_resync(void *state, enum proto_side side, struct slice in)
{
	(void)state;
	for (size_t at = 0; at < in.len; at++)
		if (in.ptr[at] == 1 && fastcgi_surely(slice_from(in, at), side))
			return at;
	return in.len;
}

static void fastcgi_lost(void *state, enum proto_side side)
{
	struct fastcgi_state *s = state;

	s->current[side].in = false;
	s->told = true;
	if (!s->memory)
		return;
	if (side == PROTO_TO_SERVER) {
		s->memory->params.owner = 0;
		return;
	}
	for (unsigned i = 0; i < STREAMS; i++) {
		struct fastcgi_stream *t = &s->memory->streams[i];
		t->unsure = true;
		if (t->response_begun && t->head.phase < FASTCGI_HEAD_DONE)
			t->head.phase = FASTCGI_HEAD_BROKEN;
	}
}

static void *fastcgi_open(struct proto_memory *budget)
{
	struct fastcgi_memory *m = proto_memory_get(budget, sizeof(*m));

	if (m)
		*m = (struct fastcgi_memory){ .budget = budget };
	return m;
}

static void fastcgi_close(void *external)
{
	struct fastcgi_memory *m = external;

	if (m)
		proto_memory_put(m->budget, m);
}

const struct proto_ops proto_fastcgi = {
	.name = "fastcgi",
	.id = PLUMB_PROTO_FASTCGI,
	.state_size = sizeof(struct fastcgi_state),
	.detect = fastcgi_detect,
	.parse = fastcgi_parse,
	.resync = fastcgi_resync,
	.lost = fastcgi_lost,
	.resync_keep = FASTCGI_RESYNC_KEEP,
	.open = fastcgi_open,
	.close = fastcgi_close,
	.want = { 65536, 65536 },
};

/* SPDX-License-Identifier: Apache-2.0 */
/* What a client of Oracle sends. */
#include "proto/oracle_state.h"

static struct message *one_way(struct parse_result *ret)
{
	ret->message.kind = MESSAGE_ONEWAY;
	ret->message.flags = MESSAGE_BEGIN | MESSAGE_END;
	return &ret->message;
}

static enum parse_status aside(const struct oracle_head *h, struct slice in, struct parse_result *ret)
{
	ret->apart = true;
	return oracle_pass(h, in, PARSE_SKIP, ret);
}

/* --- a new call --- */

/* pipelined: what is due stays so. */
static struct oracle_due *begin(struct oracle_state *s, unsigned function, bool pipelined, struct message *m)
{
	struct oracle_memory *y = s->memory;
	bool lost = s->lost[PROTO_TO_SERVER];

	m->kind = MESSAGE_REQUEST;
	m->flags |= MESSAGE_BEGIN | (lost && !pipelined ? MESSAGE_FLUSH : 0u);
	if (y->due_len && !pipelined) {
		s->stale = s->stale || s->begun;
		s->begun = false;
		m->flags |= MESSAGE_FLUSH;
		while (y->due_len)
			oracle_due_pop(y);
		y->tail_len = 0;
		s->tail_packet = 0;
	}
	s->lost[PROTO_TO_SERVER] = false;
	struct oracle_due *d = oracle_due_push(y, function);
	/* Of a pipeline that was broken into answers may still come, which are not this one's. */
	d->unsure = (lost || (m->flags & MESSAGE_FLUSH)) && s->pipelines;
	if (y->due_len > ORACLE_DUES)
		m->flags |= MESSAGE_UNSURE;
	return d;
}

static void add_database(const struct oracle_state *s, struct message *m)
{
	message_add_str(m, ATTR_DB_SYSTEM_NAME, SLICE_LIT("oracle.db"));
	if (s->memory->database.len)
		message_add_str(m, ATTR_DB_NAMESPACE, slice_make(s->memory->database.text, s->memory->database.len));
}

/* --- connecting --- */

static void add_service(struct message *m, struct slice descriptor)
{
	struct slice service = oracle_descriptor(descriptor, "SERVICE_NAME");

	if (service.len)
		message_add_str(m, ATTR_ORACLE_DB_SERVICE, slice_head(service, 128));
	service = oracle_descriptor(descriptor, "SID");
	if (service.len)
		message_add_str(m, ATTR_ORACLE_DB_INSTANCE_NAME, slice_head(service, 128));
}

static enum parse_status parse_connect(struct oracle_state *s, const struct oracle_head *h, struct slice in, struct parse_result *ret)
{
	uint16_t len = load_be16(in.ptr + 24), at = load_be16(in.ptr + 26);
	const struct oracle_due *d = oracle_due_first(s->memory);

	if (d && d->function == ORACLE_ASK_CONNECT) { /* the server has asked for it once more */
		s->descriptor_again = len && at >= h->len;
		return aside(h, in, ret);
	}
	struct message *m = &ret->message;
	begin(s, ORACLE_ASK_CONNECT, false, m);
	s->descriptor = len && at >= h->len;
	m->flags |= s->descriptor ? 0 : MESSAGE_END;
	message_add_str(m, ATTR_DB_OPERATION_NAME, SLICE_LIT("CONNECT"));
	add_database(s, m);
	add_service(m, slice_from(in, at));
	return oracle_pass(h, in, PARSE_MESSAGE, ret);
}

static enum parse_status parse_descriptor(struct oracle_state *s, const struct oracle_head *h, struct slice in, struct parse_result *ret)
{
	struct message *m = &ret->message;

	s->descriptor = false;
	m->kind = MESSAGE_REQUEST;
	m->flags = MESSAGE_END;
	add_service(m, slice_from(in, ORACLE_DATA_HEAD));
	return oracle_pass(h, in, PARSE_MESSAGE, ret);
}

/* --- calls --- */

static bool executes(unsigned function) { return function == ORACLE_EXECUTE || function == ORACLE_REEXECUTE || function == ORACLE_REEXECUTE_FETCH; }

static void add_statement(struct oracle_state *s, const struct oracle_call *c, struct slice payload, struct oracle_due *d, struct message *m)
{
	enum { OPTION_FETCH = 0x40 };
	struct oracle_memory *y = s->memory;
	size_t n = oracle_call_text(payload, c, y->scratch, ORACLE_TEXT);

	d->statement = n ? oracle_statement_new(y, slice_make(y->scratch, n)) : oracle_statement_of(y, (uint32_t)c->cursor);
	struct oracle_statement *t = oracle_statement_at(y, d->statement);
	d->query = c->query || c->function == ORACLE_FETCH || c->function == ORACLE_REEXECUTE_FETCH || (t && t->query) || (c->function == ORACLE_EXECUTE && c->options & OPTION_FETCH);
	if (t && executes(c->function) && !(c->function == ORACLE_EXECUTE && !n && !(c->options & 0x20)))
		t->rows = 0;
	if (t)
		message_add_str(m, ATTR_RAW_STATEMENT, slice_make(t->text, t->len));
	if (t && t->changes && c->counted && c->iterations > 1)
		message_add_int(m, ATTR_DB_OPERATION_BATCH_SIZE, (int64_t)c->iterations);
}

static void add_call(struct oracle_state *s, const struct oracle_call *c, struct slice payload, struct oracle_due *d, struct message *m)
{
	const char *name = oracle_function_name(c->function);
	bool statement = executes(c->function) || c->function == ORACLE_FETCH;

	/* A statement says itself what it does. */
	if (statement)
		add_statement(s, c, payload, d, m);
	if (name && (!executes(c->function) || !d->statement))
		message_add_str(m, ATTR_DB_OPERATION_NAME, slice_str(name));
	if (c->function == ORACLE_FETCH && d->statement)
		message_add_str(m, ATTR_DB_QUERY_SUMMARY, slice_str(name));
	add_database(s, m);
	d->blind = statement && !c->cursor && !c->text_len;
	if (d->blind)
		m->flags |= MESSAGE_UNSURE;
}

/* Where a packet is nearly as long as one may be, the next one goes on with it: some clients leave a little room. */
static bool goes_on(const struct oracle_state *s, const struct oracle_head *h)
{
	enum { ROOM = 64 };

	return s->sdu && h->len + ROOM >= s->sdu;
}

static bool is_next(const struct oracle_state *s, const struct oracle_call *c)
{
	uint8_t next = (uint8_t)(s->sequence + 1);

	return s->sequence && c->sequence == (next ? next : 1);
}

/* While a call is not answered nothing comes but what goes on with it, except in a pipeline. */
static bool begins_call(const struct oracle_state *s, const struct oracle_call *c, bool first_of_pipeline)
{
	return !s->memory->due_len || s->request_told || s->begun || s->lost[0] || s->lost[1] || first_of_pipeline || is_next(s, c);
}

static enum parse_status parse_more(struct oracle_state *s, const struct oracle_head *h, struct slice in, bool told, struct parse_result *ret)
{
	bool over = s->asking && (told || !goes_on(s, h));

	s->request_told = told;
	if (!s->asking)
		return aside(h, in, ret);
	if (!over)
		return oracle_pass(h, in, PARSE_SKIP, ret);
	s->asking = false;
	ret->message.kind = MESSAGE_REQUEST;
	ret->message.flags = MESSAGE_END;
	return oracle_pass(h, in, PARSE_MESSAGE, ret);
}

static enum parse_status parse_call(struct oracle_state *s, const struct oracle_head *h, struct slice in, const struct oracle_call *c, bool pipelined, bool told, struct parse_result *ret)
{
	struct slice payload = slice_from(in, ORACLE_DATA_HEAD);
	struct message *m = &ret->message;
	struct oracle_due *d = begin(s, c->function, pipelined, m);

	s->sequence = c->sequence;
	s->request_told = told;
	s->pipelines = s->pipelines || told;
	s->services = c->function == ORACLE_ASK_SERVICES;
	s->asking = !told && goes_on(s, h);
	m->flags |= s->asking ? 0 : MESSAGE_END;
	add_call(s, c, payload, d, m);
	return oracle_pass(h, in, PARSE_MESSAGE, ret);
}

static enum parse_status parse_one_way(struct oracle_state *s, const struct oracle_head *h, struct slice in, struct parse_result *ret)
{
	const char *name = oracle_function_name(in.ptr[ORACLE_DATA_HEAD + 1]);
	struct message *m = &ret->message;

	if (!name)
		return aside(h, in, ret);
	m->kind = MESSAGE_REQUEST;
	m->flags = MESSAGE_BEGIN | MESSAGE_END | MESSAGE_NO_RESPONSE;
	message_add_str(m, ATTR_DB_OPERATION_NAME, slice_str(name));
	add_database(s, m);
	return oracle_pass(h, in, PARSE_MESSAGE, ret);
}

static void close_cursors(struct oracle_memory *y, const struct oracle_closed *closed)
{
	for (uint32_t i = 0; i < closed->n; i++)
		oracle_statement_close(y, closed->cursors[i]);
}

static enum parse_status parse_data(struct oracle_state *s, const struct oracle_head *h, struct slice in, struct parse_result *ret)
{
	enum { BEGIN_PIPELINE = 0x1000 };
	uint16_t flags = load_be16(in.ptr + ORACLE_HEAD);
	struct slice payload = slice_from(in, ORACLE_DATA_HEAD);
	bool told = flags & ORACLE_FLAG_END_OF_REQUEST;
	struct oracle_call c;
	struct oracle_closed closed;

	if (s->descriptor)
		return parse_descriptor(s, h, in, ret);
	if (s->descriptor_again || s->sealed) {
		s->descriptor_again = false;
		return aside(h, in, ret);
	}
	if (!payload.len && flags & ORACLE_FLAG_EOF) {
		one_way(ret);
		return oracle_pass(h, in, PARSE_MESSAGE, ret);
	}
	bool call = oracle_call_read(payload, &c, &closed);
	if (s->services && !s->memory->due_len) {
		s->sealed = !call || (c.function != ORACLE_ASK_PROTOCOL && c.function != ORACLE_ASK_SERVICES && c.function != ORACLE_ASK_FAST_AUTH);
		if (s->sealed)
			return aside(h, in, ret);
	}
	if (payload.len > 2 && payload.ptr[0] == ORACLE_ONEWAY && !s->memory->due_len)
		return parse_one_way(s, h, in, ret);
	if (!call || (!oracle_function_name(c.function) && payload.ptr[0] != ORACLE_PIGGYBACK) || !begins_call(s, &c, flags & BEGIN_PIPELINE))
		return parse_more(s, h, in, told, ret);
	close_cursors(s->memory, &closed);
	return parse_call(s, h, in, &c, s->request_told, told, ret);
}

enum parse_status oracle_request(struct oracle_state *s, const struct oracle_head *h, struct slice in, struct parse_result *ret)
{
	switch (h->type) {
	case ORACLE_CONNECT: return parse_connect(s, h, in, ret);
	case ORACLE_DATA: return parse_data(s, h, in, ret);
	default: return aside(h, in, ret);
	}
}

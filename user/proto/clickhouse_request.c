/* SPDX-License-Identifier: Apache-2.0 */
/* What a client of ClickHouse sends. A request is a query and the external tables behind it; what it inserts comes once the server has answered with a sample. */
#include <stdio.h>

#include "proto/clickhouse_state.h"

static void name_set(struct clickhouse_name *n, struct slice text)
{
	n->len = text.len <= sizeof(n->text) ? (uint8_t)text.len : 0;
	if (n->len)
		memcpy(n->text, text.ptr, n->len);
}

static void add_database(const struct clickhouse_state *s, struct message *m)
{
	const struct clickhouse_name *n = &s->memory->database;

	if (n->len)
		message_add_str(m, ATTR_DB_NAMESPACE, slice_make(n->text, n->len));
}

/* --- requests --- */

/* Whatever was open is over: on one connection there is one request at a time. */
static void begin_request(struct clickhouse_state *s, enum clickhouse_asked what, struct message *m)
{
	s->asked = (uint8_t)what;
	s->stale = s->begun;
	m->flags |= MESSAGE_BEGIN | (s->busy ? MESSAGE_FLUSH : 0);
	s->busy = true;
	s->begun = s->asking = s->inserts = s->result = s->is_told = s->parameters = false;
	s->rows_unknown = s->sent_unknown = s->unsure = s->tail_lost = false;
	s->rows = s->told = s->sent = s->written = 0;
	s->error = 0;
	s->memory->wanted.len = 0;
	s->memory->block[PROTO_TO_CLIENT].phase = CLICKHOUSE_NO_BLOCK;
	s->way[PROTO_TO_CLIENT].block = false;
	clickhouse_is_fresh(s, PROTO_TO_CLIENT);
}

static enum parse_status whole_request(struct clickhouse_state *s, enum clickhouse_asked what, struct slice operation, const struct clickhouse_cursor *c, struct parse_result *ret)
{
	begin_request(s, what, &ret->message);
	ret->message.flags |= MESSAGE_END;
	message_add_str(&ret->message, ATTR_DB_OPERATION_NAME, operation);
	add_database(s, &ret->message);
	ret->consumed = c->at;
	return PARSE_MESSAGE;
}

/* Another server of a cluster shows its secret behind its Hello. */
static void pass_cluster(struct clickhouse_cursor *c, struct slice user)
{
	if (!slice_eq(user, SLICE_LIT(" INTERSERVER SECRET ")))
		return;
	(void)clickhouse_string(c, CLICKHOUSE_NAME_MAX);
	(void)clickhouse_string(c, CLICKHOUSE_NAME_MAX);
}

static enum parse_status parse_hello(struct clickhouse_state *s, struct clickhouse_cursor *c, struct parse_result *ret)
{
	struct clickhouse_hello hello;

	clickhouse_read_client_hello(c, &hello);
	pass_cluster(c, hello.user);
	if (!clickhouse_good(c))
		return clickhouse_needs(ret, c);
	s->client_revision = hello.revision;
	s->revision = s->lowest = 0;
	s->compressed = s->addendum = false;
	name_set(&s->memory->database, hello.database);
	return whole_request(s, CLICKHOUSE_CONNECT, SLICE_LIT("CONNECT"), c, ret);
}

/* "USE name": in use once it has succeeded. */
static void note_use(struct clickhouse_state *s, struct slice text)
{
	size_t at = 0, end;

	while (at < text.len && text.ptr[at] <= ' ')
		at++;
	if (!slice_ieq(slice_head(slice_from(text, at), 3), SLICE_LIT("use")) || text.len <= at + 3 || text.ptr[at + 3] > ' ')
		return;
	for (at += 3; at < text.len && text.ptr[at] <= ' ';)
		at++;
	bool quoted = at < text.len && (text.ptr[at] == '`' || text.ptr[at] == '"');
	uint8_t quote = quoted ? text.ptr[at++] : 0;
	for (end = at; end < text.len && (quoted ? text.ptr[end] != quote : text.ptr[end] > ' ' && text.ptr[end] != ';');)
		end++;
	name_set(&s->memory->wanted, slice_make(text.ptr + at, end - at));
}

/* As W3C writes it. On the wire each half of the trace's id is turned round, and so is the span's. */
static void add_trace(struct clickhouse_state *s, const struct clickhouse_query *q, struct message *m)
{
	char *p = s->memory->traceparent, *end = p + sizeof(s->memory->traceparent);

	if (!q->traced)
		return;
	p += snprintf(p, (size_t)(end - p), "00-%016llx%016llx-%016llx-%02x", (unsigned long long)load_le64(q->trace), (unsigned long long)load_le64(q->trace + 8),
	              (unsigned long long)load_le64(q->span), q->trace_flags);
	message_add_str(m, ATTR_RAW_TRACEPARENT, slice_make(s->memory->traceparent, (size_t)(p - s->memory->traceparent)));
	if (q->trace_state.len)
		message_add_str(m, ATTR_RAW_TRACESTATE, q->trace_state);
}

/* Of a connection that was joined each query narrows down what the revision may be. False: not yet, or this is none. */
static bool guess_revision(struct clickhouse_state *s, struct clickhouse_cursor *c)
{
	uint32_t lowest, highest = clickhouse_guess_revision(c->in, &lowest, &c->need);

	c->bad = !highest && !c->need;
	if (!highest)
		return false;
	bool fits = s->revision && highest >= s->lowest && lowest <= s->revision;
	s->revision = fits && s->revision < highest ? s->revision : highest;
	s->lowest = fits && s->lowest > lowest ? s->lowest : lowest;
	return true;
}

static enum parse_status parse_query(struct clickhouse_state *s, struct clickhouse_cursor *c, struct parse_result *ret)
{
	struct clickhouse_query q;

	if ((!s->revision || clickhouse_query_tells(s->lowest, s->revision)) && !guess_revision(s, c))
		return clickhouse_needs(ret, c);
	clickhouse_read_query(c, s->revision, CLICKHOUSE_TEXT, &q);
	if (!clickhouse_good(c))
		return clickhouse_needs(ret, c);
	begin_request(s, CLICKHOUSE_ASKED_QUERY, &ret->message);
	s->asking = true;
	s->compressed = q.compressed;
	s->parameters = s->revision >= CLICKHOUSE_WITH_PARAMETERS;
	message_add_str(&ret->message, ATTR_RAW_STATEMENT, q.text);
	add_database(s, &ret->message);
	add_trace(s, &q, &ret->message);
	note_use(s, q.text);
	ret->consumed = c->at;
	ret->skip = q.text_length - q.text.len;
	return PARSE_MESSAGE;
}

/* Behind a query's text, and of its request: a name, flags and a value each, up to an empty name. */
static enum parse_status parse_parameters(struct clickhouse_state *s, struct slice in, struct parse_result *ret)
{
	size_t at = 0;

	for (;;) {
		struct clickhouse_cursor c = { .in = slice_from(in, at) };
		struct slice name = clickhouse_string(&c, CLICKHOUSE_NAME_MAX);

		if (clickhouse_good(&c) && !name.len) {
			s->parameters = false;
			return clickhouse_pass_bytes(ret, at + c.at);
		}
		(void)clickhouse_varint(&c);
		(void)clickhouse_string(&c, CLICKHOUSE_PACKET_MAX);
		if (c.need && at)
			return clickhouse_pass_bytes(ret, at);
		if (!clickhouse_good(&c))
			return clickhouse_needs(ret, &c);
		at += c.at;
	}
}

/* --- data --- */

/* External tables have names, and an empty block ends them all; what is inserted has no name. */
static enum parse_status parse_data(struct clickhouse_state *s, struct clickhouse_cursor *c, struct parse_result *ret)
{
	struct clickhouse_block_head head;
	struct slice table = clickhouse_string(c, CLICKHOUSE_NAME_MAX);

	clickhouse_block_begin(&s->memory->block[PROTO_TO_SERVER], c, s->compressed, s->revision, &head);
	if (!clickhouse_good(c))
		return clickhouse_needs(ret, c);
	ret->consumed = c->at;
	s->way[PROTO_TO_SERVER].block = !head.empty || s->memory->block[PROTO_TO_SERVER].pass;
	if (!s->asking) {
		s->inserts = true;
		s->sent += head.counted ? head.rows : 0;
		s->sent_unknown = s->sent_unknown || !head.counted;
		return PARSE_SKIP;
	}
	if (!head.empty || table.len)
		return PARSE_SKIP;
	s->asking = false;
	ret->skip = s->memory->block[PROTO_TO_SERVER].pass;
	s->memory->block[PROTO_TO_SERVER].pass = 0;
	s->way[PROTO_TO_SERVER].block = false;
	ret->message.flags |= MESSAGE_END | (ret->skip ? MESSAGE_END_AFTER_SKIP : 0);
	return PARSE_MESSAGE;
}

/* --- other packets --- */

static enum parse_status parse_tables(struct clickhouse_state *s, struct clickhouse_cursor *c, struct parse_result *ret)
{
	enum { TABLES_MAX = 4096 };
	uint64_t n = clickhouse_number(c, TABLES_MAX);

	for (uint64_t i = 0; i < 2 * n && clickhouse_good(c); i++)
		(void)clickhouse_string(c, CLICKHOUSE_NAME_MAX);
	if (!clickhouse_good(c))
		return clickhouse_needs(ret, c);
	return whole_request(s, CLICKHOUSE_ASKED_TABLES, SLICE_LIT("TABLES_STATUS"), c, ret);
}

/* Behind the server's Hello: a key, and what was agreed on. False: what follows is in chunks, which are not parsed. */
static enum parse_status parse_addendum(struct clickhouse_state *s, struct slice in, struct parse_result *ret)
{
	struct clickhouse_cursor c = { .in = in };
	bool chunked = false;

	(void)clickhouse_string(&c, CLICKHOUSE_NAME_MAX);
	for (int i = 0; i < 2 && s->revision >= CLICKHOUSE_WITH_CHUNKS; i++)
		chunked = slice_eq(clickhouse_string(&c, CLICKHOUSE_TABLE_MAX), SLICE_LIT("chunked")) || chunked;
	if (s->revision >= CLICKHOUSE_WITH_REPLICAS_VERSION)
		(void)clickhouse_varint(&c);
	if (!clickhouse_good(&c))
		return clickhouse_needs(ret, &c);
	s->addendum = false;
	ret->consumed = c.at;
	ret->apart = true;
	if (!chunked)
		return PARSE_SKIP;
	ret->message.kind = MESSAGE_ONEWAY;
	ret->message.flags = MESSAGE_BEGIN | MESSAGE_END | MESSAGE_SWITCH;
	return PARSE_MESSAGE;
}

/* What answers nothing and is not answered. */
static enum parse_status parse_oneway(const struct clickhouse_cursor *c, struct parse_result *ret)
{
	ret->message.kind = MESSAGE_ONEWAY;
	ret->message.flags = MESSAGE_BEGIN | MESSAGE_END;
	ret->consumed = c->at;
	return PARSE_MESSAGE;
}

static enum parse_status parse_packet(struct clickhouse_state *s, struct slice in, struct parse_result *ret)
{
	struct clickhouse_cursor c = { .in = in };
	uint8_t packet = clickhouse_u8(&c);

	/* Before the request has ended there are only its tables. */
	if (s->asking && packet != CLICKHOUSE_CLIENT_DATA && packet != CLICKHOUSE_SCALAR && packet != CLICKHOUSE_CANCEL && packet != CLICKHOUSE_IGNORED_PART_UUIDS)
		return PARSE_BAD;
	switch (packet) {
	case CLICKHOUSE_CLIENT_HELLO: return parse_hello(s, &c, ret);
	case CLICKHOUSE_QUERY: return parse_query(s, &c, ret);
	case CLICKHOUSE_CLIENT_DATA:
	case CLICKHOUSE_SCALAR: return s->revision ? parse_data(s, &c, ret) : PARSE_BAD;
	case CLICKHOUSE_CANCEL: return parse_oneway(&c, ret);
	case CLICKHOUSE_PING:
		if (s->early) {
			s->early--;
			return parse_oneway(&c, ret);
		}
		return whole_request(s, CLICKHOUSE_ASKED_PING, SLICE_LIT("PING"), &c, ret);
	case CLICKHOUSE_TABLES_STATUS_REQUEST: return parse_tables(s, &c, ret);
	case CLICKHOUSE_IGNORED_PART_UUIDS:
		clickhouse_pass(&c, 16 * clickhouse_number(&c, CLICKHOUSE_PACKET_MAX / 16));
		return clickhouse_good(&c) ? clickhouse_pass_bytes(ret, c.at) : clickhouse_needs(ret, &c);
	default: return PARSE_BAD;
	}
}

enum parse_status clickhouse_parse_request(struct clickhouse_state *s, struct slice in, struct parse_result *ret)
{
	if (s->way[PROTO_TO_SERVER].scanning)
		return clickhouse_scan(s, PROTO_TO_SERVER, in, ret);
	if (s->way[PROTO_TO_SERVER].block)
		return clickhouse_walk(s, PROTO_TO_SERVER, in, ret);
	if (s->parameters)
		return parse_parameters(s, in, ret);
	return s->addendum ? parse_addendum(s, in, ret) : parse_packet(s, in, ret);
}

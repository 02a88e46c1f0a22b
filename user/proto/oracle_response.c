/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server of Oracle sends. Where an answer ends is told by a flag since version 23, and before by its last message, which says how the call went: it is looked for from
 * the end of each packet, as what stands in front of it (rows) has no length.
 */
#include <stdio.h>

#include "proto/oracle_state.h"

static enum parse_status aside(const struct oracle_head *h, struct slice in, struct parse_result *ret)
{
	ret->apart = true;
	return oracle_pass(h, in, PARSE_SKIP, ret);
}

static struct message *respond(struct oracle_state *s, struct parse_result *ret)
{
	struct message *m = &ret->message;

	m->kind = MESSAGE_RESPONSE;
	if (!s->begun)
		m->flags |= MESSAGE_BEGIN;
	s->begun = true;
	return m;
}

static void end_response(struct oracle_state *s, struct parse_result *ret)
{
	struct oracle_memory *y = s->memory;
	const struct oracle_due *d = oracle_due_first(y);
	struct message *m = respond(s, ret);

	m->flags |= MESSAGE_END | (d && d->unsure ? MESSAGE_UNSURE : 0);
	s->begun = false;
	y->tail_len = 0;
	if (d)
		oracle_due_pop(y);
	if (!y->due_len)
		s->request_told = false;
}

static void add_error(struct oracle_state *s, struct message *m, uint64_t number)
{
	int n = snprintf(s->code, sizeof(s->code), "ORA-%05u", (unsigned)(number <= UINT32_MAX ? number : UINT32_MAX));

	m->flags |= MESSAGE_ERROR;
	memcpy(m->error_type, s->code, (size_t)n + 1);
	message_add_str(m, ATTR_DB_RESPONSE_STATUS_CODE, slice_make(s->code, (size_t)n));
}

/* --- connecting --- */

static enum parse_status parse_accept(struct oracle_state *s, const struct oracle_head *h, struct slice in, struct parse_result *ret)
{
	enum { WITH_LARGE = 315, LARGE_END = 40, WITH_FLAGS = 318, FLAGS_END = 45, ENDS_TOLD = 0x02000000 };
	uint16_t version = load_be16(in.ptr + 8);

	s->sdu = load_be16(in.ptr + 12);
	s->large = version >= WITH_LARGE;
	if (s->large)
		s->sdu = in.len >= LARGE_END ? load_be32(in.ptr + 32) : 0;
	s->ends_told = version >= WITH_FLAGS && in.len >= FLAGS_END && (load_be32(in.ptr + 41) & ENDS_TOLD);
	end_response(s, ret);
	return oracle_pass(h, in, PARSE_MESSAGE, ret);
}

/* "(DESCRIPTION=(TMP=)(VSNNUM=0)(ERR=12514)(ERROR_STACK=(ERROR=(CODE=12514)(EMFI=4))))" */
static enum parse_status parse_refuse(struct oracle_state *s, const struct oracle_head *h, struct slice in, struct parse_result *ret)
{
	enum { AT = 12, REFUSED = 12564 };
	struct slice data = slice_from(in, AT), number = oracle_descriptor(data, "ERR");
	uint64_t code;

	if (!slice_u64(number, &code) || !code)
		number = oracle_descriptor(data, "CODE");
	end_response(s, ret);
	add_error(s, &ret->message, slice_u64(number, &code) && code && code < 100000 ? code : REFUSED);
	return oracle_pass(h, in, PARSE_MESSAGE, ret);
}

static void add_address(struct oracle_state *s, struct message *m, struct slice data)
{
	struct slice host = oracle_descriptor(data, "HOST"), port = oracle_descriptor(data, "PORT");

	if (!host.len || host.len > 64 || port.len > 5)
		return;
	bool v6 = slice_find(host, ':', 0) != SIZE_MAX;
	int n = snprintf(s->redirected, sizeof(s->redirected), "%s%.*s%s%s%.*s", v6 ? "[" : "", (int)host.len, (const char *)host.ptr, v6 ? "]" : "", port.len ? ":" : "",
			 (int)port.len, (const char *)port.ptr);
	if (n > 0 && (size_t)n < sizeof(s->redirected) && strlen(s->redirected) == (size_t)n)
		message_add_str(m, ATTR_DB_REDIRECTED_TO, slice_make(s->redirected, (size_t)n));
}

static enum parse_status parse_redirect(struct oracle_state *s, const struct oracle_head *h, struct slice in, struct parse_result *ret)
{
	enum { AT = 10 };

	s->redirect = h->len <= AT;
	if (s->redirect) {
		respond(s, ret);
		return oracle_pass(h, in, PARSE_MESSAGE, ret);
	}
	end_response(s, ret);
	add_address(s, &ret->message, slice_from(in, AT));
	return oracle_pass(h, in, PARSE_MESSAGE, ret);
}

static enum parse_status parse_redirect_data(struct oracle_state *s, const struct oracle_head *h, struct slice in, struct parse_result *ret)
{
	s->redirect = false;
	end_response(s, ret);
	add_address(s, &ret->message, slice_from(in, ORACLE_DATA_HEAD));
	return oracle_pass(h, in, PARSE_MESSAGE, ret);
}

/* --- logging on --- */

static size_t find_text(struct slice in, const char *text)
{
	size_t len = strlen(text);

	for (size_t at = slice_find(in, (uint8_t)text[0], 0); at < in.len && in.len - at >= len; at = slice_find(in, (uint8_t)text[0], at + 1))
		if (memcmp(in.ptr + at, text, len) == 0)
			return at + len;
	return SIZE_MAX;
}

static bool read_name(struct oracle_memory *y, struct slice payload, const char *key)
{
	size_t at = find_text(payload, key);
	struct oracle_reader r = { .in = payload, .at = at };

	if (at == SIZE_MAX || !oracle_ub(&r, 4))
		return false;
	struct slice name = oracle_clr(&r);
	if (r.bad || !name.len || name.len > ORACLE_NAME)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] <= ' ' || name.ptr[i] >= 127)
			return false;
	memcpy(y->database.text, name.ptr, name.len);
	y->database.len = (uint8_t)name.len;
	return true;
}

static void read_database(struct oracle_memory *y, struct slice payload)
{
	if (!read_name(y, payload, "AUTH_SC_REAL_DBUNIQUE_NAME"))
		(void)read_name(y, payload, "AUTH_SC_DBUNIQUE_NAME");
}

/* --- how it went --- */

static void add_rows(const struct oracle_due *d, struct oracle_statement *t, const struct oracle_end *e, struct message *m)
{
	if (!t)
		return;
	if (d->query) {
		/* Counted from the first one on. */
		if (e->rows >= t->rows && e->rows - t->rows <= INT64_MAX)
			message_add_int(m, ATTR_DB_RESPONSE_RETURNED_ROWS, (int64_t)(e->rows - t->rows));
		t->rows = e->rows;
	} else if (t->changes && e->rows <= INT64_MAX) {
		message_add_int(m, ATTR_PLUMB_ROWS_AFFECTED, (int64_t)e->rows);
	}
}

static void add_end(struct oracle_state *s, const struct oracle_due *d, const struct oracle_end *e, struct message *m)
{
	enum { NO_DATA = 1403 }; /* of a query: there are no more rows */
	struct oracle_memory *y = s->memory;
	bool failed = e->number && !(e->number == NO_DATA && d->query);
	struct oracle_statement *t = oracle_statement_at(y, d->statement);

	if (failed) {
		add_error(s, m, e->number);
		if (e->text.len)
			message_add_str(m, ATTR_RAW_STATUS_MESSAGE, slice_head(e->text, 512));
	} else {
		add_rows(d, t, e, m);
	}
	if (t)
		oracle_statement_answered(y, d->statement, e->cursor);
}

/* --- data --- */

/* What came is kept, as far as an end may reach. */
static struct slice keep(struct oracle_state *s, struct slice payload)
{
	struct oracle_memory *y = s->memory;

	if (!y->tail_len)
		s->whole = payload.len <= ORACLE_OER_MAX;
	else
		s->whole = s->whole && y->tail_len + payload.len <= ORACLE_OER_MAX;
	if (payload.len >= ORACLE_OER_MAX) {
		memcpy(y->tail, payload.ptr + payload.len - ORACLE_OER_MAX, ORACLE_OER_MAX);
		y->tail_len = ORACLE_OER_MAX;
	} else {
		size_t old = y->tail_len + payload.len > ORACLE_OER_MAX ? ORACLE_OER_MAX - payload.len : y->tail_len;
		memmove(y->tail, y->tail + y->tail_len - old, old);
		if (payload.len)
			memcpy(y->tail + old, payload.ptr, payload.len);
		y->tail_len = (uint16_t)(old + payload.len);
	}
	return slice_make(y->tail, y->tail_len);
}

/* A status ends what has no rows. */
static bool ends_with_status(struct slice in, bool whole, bool last)
{
	enum { LEAST = 3, MOST = 9 };

	if (whole && oracle_status_read(in))
		return true;
	for (size_t n = LEAST; last && n <= MOST && n < in.len; n++)
		if (oracle_status_read(slice_from(in, in.len - n)))
			return true;
	return false;
}

static bool has_rows(unsigned function) { return function == ORACLE_FETCH || function == ORACLE_EXECUTE || function == ORACLE_REEXECUTE || function == ORACLE_REEXECUTE_FETCH; }

/* Does the answer end here? *ret_found: and it says how it went. */
static bool is_over(struct oracle_state *s, const struct oracle_due *d, struct slice tail, uint16_t flags, uint32_t len, struct oracle_end *ret_end, bool *ret_found)
{
	bool last = !s->sdu || len < s->sdu, told = flags & (ORACLE_FLAG_END_OF_RESPONSE | ORACLE_FLAG_EOF);
	bool marked = tail.len && tail.ptr[tail.len - 1] == ORACLE_END_OF_RESPONSE;
	size_t at;

	*ret_found = false;
	if (d->function == ORACLE_ASK_PROTOCOL || d->function == ORACLE_ASK_TYPES || d->function == ORACLE_ASK_SERVICES)
		return last;
	s->ends_told = s->ends_told || (flags & ORACLE_FLAG_END_OF_RESPONSE);
	if (s->ends_told && !told && !(marked && len == ORACLE_DATA_HEAD + 1))
		return false;
	*ret_found = oracle_end_find(tail, ret_end, &at) || (marked && oracle_end_find(slice_head(tail, tail.len - 1), ret_end, &at));
	if (*ret_found || told || s->ends_told)
		return true;
	if (d->blind)
		return last;
	return (s->whole || !has_rows(d->function)) && ends_with_status(tail, s->whole, last && !has_rows(d->function));
}

static enum parse_status parse_answer(struct oracle_state *s, struct slice payload, uint16_t flags, uint32_t len, struct parse_result *ret)
{
	struct oracle_due d = *oracle_due_first(s->memory);
	struct oracle_end e = { 0 };
	bool found;

	if (d.function == ORACLE_AUTH_TWO || d.function == ORACLE_ASK_FAST_AUTH)
		read_database(s->memory, payload);
	struct slice tail = keep(s, payload);
	if (!is_over(s, &d, tail, flags, len, &e, &found)) {
		if (s->begun)
			return PARSE_SKIP;
		respond(s, ret);
		return PARSE_MESSAGE;
	}
	/* Without a word of how it went what was asked may have failed. */
	if (!found && (d.blind || has_rows(d.function)))
		oracle_due_first(s->memory)->unsure = true;
	if (found)
		add_end(s, &d, &e, &ret->message);
	end_response(s, ret);
	s->lost[PROTO_TO_CLIENT] = false;
	return PARSE_MESSAGE;
}

static enum parse_status parse_data(struct oracle_state *s, const struct oracle_head *h, struct slice in, struct parse_result *ret)
{
	uint16_t flags = load_be16(in.ptr + ORACLE_HEAD);

	if (s->redirect)
		return parse_redirect_data(s, h, in, ret);
	if (h->len <= ORACLE_LOOK)
		return oracle_pass(h, in, parse_answer(s, slice_from(in, ORACLE_DATA_HEAD), flags, h->len, ret), ret);
	s->tail_flags = flags;
	s->tail_packet = h->len;
	ret->consumed = ORACLE_DATA_HEAD;
	ret->skip = h->len - ORACLE_DATA_HEAD - ORACLE_OER_MAX;
	if (s->begun)
		return PARSE_SKIP;
	respond(s, ret);
	return PARSE_MESSAGE;
}

enum parse_status oracle_response_tail(struct oracle_state *s, struct slice in, struct parse_result *ret)
{
	uint32_t len = s->tail_packet;

	if (in.len < ORACLE_OER_MAX) {
		ret->need = ORACLE_OER_MAX;
		return PARSE_NEED_MORE;
	}
	s->tail_packet = 0;
	ret->consumed = ORACLE_OER_MAX;
	if (!oracle_due_first(s->memory)) {
		ret->apart = true;
		return PARSE_SKIP;
	}
	s->memory->tail_len = ORACLE_OER_MAX; /* it is full: what stands in it now goes */
	return parse_answer(s, slice_head(in, ORACLE_OER_MAX), s->tail_flags, len, ret);
}

enum parse_status oracle_response(struct oracle_state *s, const struct oracle_head *h, struct slice in, struct parse_result *ret)
{
	const struct oracle_due *d = oracle_due_first(s->memory);
	bool connecting = d && d->function == ORACLE_ASK_CONNECT;

	if (h->type == ORACLE_MARKER) {
		s->memory->tail_len = 0; /* what came of the answer is nothing */
		return aside(h, in, ret);
	}
	if (h->type == ORACLE_DATA)
		return d && (!connecting || s->redirect) ? parse_data(s, h, in, ret) : aside(h, in, ret);
	if (!connecting)
		return aside(h, in, ret);
	switch (h->type) {
	case ORACLE_ACCEPT: return parse_accept(s, h, in, ret);
	case ORACLE_REFUSE: return parse_refuse(s, h, in, ret);
	case ORACLE_REDIRECT: return parse_redirect(s, h, in, ret);
	default: return aside(h, in, ret);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PostgreSQL frontend/backend protocol 3 (https://www.postgresql.org/docs/current/protocol.html): which messages make an
 * exchange, and which response belongs to which request. Framing is postgres_wire.c, prepared statements are postgres_names.c.
 *
 * Exchanges:
 *   start-up         StartupMessage .. ReadyForQuery or the error that refuses it; operation CONNECT. Passwords are skipped.
 *   CancelRequest    on a connection of its own, no response; operation CANCEL
 *   simple query     Query .. ReadyForQuery; several statements in one text are one exchange
 *   Execute          from the first Parse, Bind or Describe behind the previous exchange, up to and with Execute
 *   no Execute       the same ended by Sync, or by Flush if nothing was bound; operation PREPARE, BIND or DESCRIBE
 *   function call    FunctionCall .. ReadyForQuery; operation CALL
 * Close, Sync, Terminate, SSLRequest and what the server sends unasked are no exchanges.
 *
 * The response of an Execute ends with CommandComplete, unless its Sync has been sent already: then with ReadyForQuery,
 * because the commit, and its failure, come between the two. Requests are numbered, and the number is the key: after an error
 * the server answers nothing up to the Sync, and only the parser knows which of the requests lie before it. Those end with
 * error.type "pipeline_aborted".
 *
 * After a loss of bytes: requests that may have been answered in the hole end as incomplete when the next response comes, and
 * pairing is marked as uncertain until the connection has been idle once.
 */
#include "proto/postgres_due.h"
#include "proto/postgres_wire.h"

enum {
	STATEMENT_HEAD = 7168,  /* of a simple query; leaves room for the rest in EXCHANGE_ARENA_LARGE_BYTES */
	QUERY_HEAD = 8192,      /* a longer Query is not waited for */
	PARSE_HEAD = 2048,      /* name and text of a Parse */
	NAMES_HEAD = 512,       /* names in Bind, Describe, Execute, Close */
	ERROR_HEAD = 4096,
	ERROR_TEXT = 512,
	GIVEN_UP_SINGLY = 4,
};

static const char no_statement[] = "statement_not_seen";
static const char gone_statement[] = "statement_not_kept";
static const char doubtful_statement[] = "statement_doubtful";
static const char lost_response[] = "response_lost";
static const char shaky_pairing[] = "pairing_uncertain";

static void add_text(struct message *m, enum attr_id id, const char *text)
{
	message_add_str(m, id, slice_str(text));
}

/* Consumes a message of `total` bytes, of which `in` may hold only the head. */
static void take(struct parse_result *ret, struct slice in, size_t total)
{
	ret->consumed = total < in.len ? total : in.len;
	ret->skip = total - ret->consumed;
}

static enum parse_status skip_message(struct parse_result *ret, struct slice in, size_t total)
{
	take(ret, in, total);
	return PARSE_SKIP;
}

static enum parse_status emit(struct parse_result *ret, struct slice in, size_t total)
{
	take(ret, in, total);
	if (ret->skip > 0 && (ret->message.flags & MESSAGE_END))
		ret->message.flags |= MESSAGE_END_AFTER_SKIP;
	return PARSE_MESSAGE;
}

static bool wants_more(struct parse_result *ret, struct slice in, size_t total, size_t head)
{
	ret->need = total < head ? total : head;
	return in.len < ret->need;
}

static enum parse_status oneway(struct parse_result *ret, struct slice in, size_t total)
{
	ret->message.kind = MESSAGE_ONEWAY;
	ret->message.flags |= MESSAGE_BEGIN | MESSAGE_END;
	return emit(ret, in, total);
}

/* --- requests --- */

/* A client that never pipelined sends only when it has its response: if none was seen, it was in the hole. */
static void before_request(struct postgres_state *s)
{
	if (s->lost_responses && !s->pipelined && !s->group && s->nruns > 0) {
		postgres_due_forget(s);
		s->lost_responses = false;
	}
}

/* Begins a request, or adds an event to the one that has begun. */
static struct message *request(struct postgres_state *s, struct parse_result *ret, bool begin)
{
	struct message *m = &ret->message;

	m->kind = MESSAGE_REQUEST;
	m->keyed = true;
	if (begin) {
		m->flags |= MESSAGE_BEGIN;
		s->unknown &= ~(UINT64_C(1) << s->next % 64);
		s->next++;
		if (s->names && s->names->database_len)
			message_add_str(m, ATTR_DB_NAMESPACE, slice_make(s->names->database, s->names->database_len));
	}
	m->key = s->next - 1;
	return m;
}

/* A parameter of the StartupMessage: "user\0me\0database\0mine\0\0". */
static void read_startup(struct postgres_state *s, struct slice packet)
{
	struct slice key, value, user = SLICE_NONE, database = SLICE_NONE;
	size_t at = 8;

	while (slice_string(packet, &at, &key) && key.len > 0 && slice_string(packet, &at, &value)) {
		if (slice_eq(key, SLICE_LIT("user")))
			user = value;
		else if (slice_eq(key, SLICE_LIT("database")))
			database = value;
	}
	if (!s->names)
		return;
	database = slice_head(database.len ? database : user, POSTGRES_DATABASE_LEN - 1); /* the server cuts names there, too */
	if (database.len)
		memcpy(s->names->database, database.ptr, database.len);
	s->names->database_len = (uint8_t)database.len;
}

static enum parse_status parse_startup(struct postgres_state *s, struct slice in, struct parse_result *ret)
{
	size_t total;
	uint32_t code;
	enum postgres_fit fit = postgres_startup_head(in, &total, &code);

	if (fit == POSTGRES_NO)
		return PARSE_BAD;
	if (fit == POSTGRES_SHORT || in.len < total) {
		ret->need = fit == POSTGRES_SHORT ? 8 : total;
		return PARSE_NEED_MORE;
	}
	if (code == POSTGRES_SSL || code == POSTGRES_GSSENC) {
		s->negotiating = code == POSTGRES_SSL ? 'S' : 'G';
		return oneway(ret, in, total);
	}
	if (code != POSTGRES_CANCEL)
		read_startup(s, slice_head(in, total));
	struct message *m = request(s, ret, true);
	m->flags |= MESSAGE_END;
	if (code == POSTGRES_CANCEL) {
		add_text(m, ATTR_DB_OPERATION_NAME, "CANCEL");
		m->flags |= MESSAGE_NO_RESPONSE;
		postgres_due_forget(s);
		s->unanswered = s->next;
	} else {
		add_text(m, ATTR_DB_OPERATION_NAME, "CONNECT");
		postgres_due_push(s, POSTGRES_RUN_QUERY);
	}
	return emit(ret, in, total);
}

static enum parse_status parse_query(struct postgres_state *s, struct slice in, size_t total, struct parse_result *ret)
{
	if (wants_more(ret, in, total, QUERY_HEAD))
		return PARSE_NEED_MORE;
	before_request(s);
	struct slice text = slice_from(slice_head(in, total), POSTGRES_HEAD);
	if (total <= in.len)
		text.len--; /* the NUL */
	struct message *m = request(s, ret, true);
	m->flags |= MESSAGE_END;
	message_add_str(m, ATTR_RAW_STATEMENT, slice_head(text, STATEMENT_HEAD));
	postgres_due_push(s, POSTGRES_RUN_QUERY);
	s->group = false;
	return emit(ret, in, total);
}

static enum parse_status parse_function(struct postgres_state *s, struct slice in, size_t total, struct parse_result *ret)
{
	before_request(s);
	struct message *m = request(s, ret, true);
	m->flags |= MESSAGE_END;
	add_text(m, ATTR_DB_OPERATION_NAME, "CALL");
	postgres_due_push(s, POSTGRES_RUN_QUERY);
	s->group = false;
	return emit(ret, in, total);
}

static void add_statement(struct postgres_state *s, struct message *m, struct postgres_ref ref)
{
	const struct postgres_statement *t = s->names ? postgres_names_get(s->names, ref) : NULL;

	if (t) {
		message_add_str(m, ATTR_RAW_STATEMENT, slice_make(t->text, t->len));
		if (t->doubtful || (t->pending && t->replaces && t->request < s->bounded)) /* refused, the older text is meant */
			add_text(m, ATTR_PLUMB_INCOMPLETE, doubtful_statement);
		return;
	}
	s->unknown |= UINT64_C(1) << m->key % 64;
	if (s->joined || !s->of_sql)
		add_text(m, ATTR_PLUMB_INCOMPLETE, s->joined ? no_statement : gone_statement);
}

/* A message that opens a request of the extended protocol, or belongs to the open one. */
static enum parse_status extend_group(struct postgres_state *s, struct slice in, size_t total, struct parse_result *ret)
{
	if (s->group_replies < UINT8_MAX)
		s->group_replies++;
	if (s->group)
		return skip_message(ret, in, total);
	s->group = true;
	request(s, ret, true);
	return emit(ret, in, total);
}

static void open_group(struct postgres_state *s)
{
	if (s->group)
		return;
	before_request(s);
	s->group_parse = s->group_bind = s->of_sql = false;
	s->group_replies = 0;
	s->group_statement = (struct postgres_ref){ 0 };
}

static enum parse_status parse_parse(struct postgres_state *s, struct slice in, size_t total, struct parse_result *ret)
{
	struct slice name, text;
	size_t at = POSTGRES_HEAD;

	if (wants_more(ret, in, total, PARSE_HEAD))
		return PARSE_NEED_MORE;
	open_group(s);
	s->group_parse = true;
	s->of_sql = false;
	struct slice whole = slice_head(in, total);
	if (s->names && slice_string(whole, &at, &name)) {
		size_t end = slice_find(whole, 0, at);

		text = slice_make(whole.ptr + at, (end == SIZE_MAX ? whole.len : end) - at);
		s->group_statement = postgres_names_prepare(s->names, name, text, s->next - s->group);
	}
	return extend_group(s, in, total, ret);
}

static enum parse_status parse_bind(struct postgres_state *s, struct slice in, size_t total, struct parse_result *ret)
{
	struct slice portal, name;
	size_t at = POSTGRES_HEAD;

	if (wants_more(ret, in, total, NAMES_HEAD))
		return PARSE_NEED_MORE;
	open_group(s);
	s->group_bind = true;
	s->of_sql = false;
	struct slice head = slice_head(in, total);
	if (s->names && slice_string(head, &at, &portal)) {
		s->group_statement = (struct postgres_ref){ 0 };
		if (slice_string(head, &at, &name))
			s->group_statement = postgres_names_find(s->names, name);
		postgres_names_bind(s->names, portal, s->group_statement);
	}
	return extend_group(s, in, total, ret);
}

/* Describe and Close: 'S' or 'P', and a name. */
static enum parse_status parse_named(struct postgres_state *s, struct slice in, size_t total, struct parse_result *ret)
{
	bool close = in.ptr[0] == 'C';
	size_t at = POSTGRES_HEAD + 1;
	struct slice name;

	if (wants_more(ret, in, total, NAMES_HEAD))
		return PARSE_NEED_MORE;
	bool known = s->names && slice_string(slice_head(in, total), &at, &name);
	bool statement = in.ptr[POSTGRES_HEAD] == 'S';
	if (close) {
		if (known && statement)
			postgres_names_close(s->names, name);
		else if (known)
			postgres_names_close_portal(s->names, name);
		return skip_message(ret, in, total);
	}
	open_group(s);
	if (known && !s->group_bind) {
		s->of_sql = !statement && postgres_names_portal_of_sql(s->names, name);
		s->group_statement = statement ? postgres_names_find(s->names, name) : postgres_names_portal(s->names, name);
	}
	return extend_group(s, in, total, ret);
}

static enum parse_status parse_execute(struct postgres_state *s, struct slice in, size_t total, struct parse_result *ret)
{
	size_t at = POSTGRES_HEAD;
	struct slice portal;

	if (wants_more(ret, in, total, NAMES_HEAD))
		return PARSE_NEED_MORE;
	open_group(s);
	struct message *m = request(s, ret, !s->group);
	bool known = s->names && slice_string(slice_head(in, total), &at, &portal);
	s->of_sql = known && postgres_names_portal_of_sql(s->names, portal);
	add_statement(s, m, known ? postgres_names_portal(s->names, portal) : (struct postgres_ref){ 0 });
	m->flags |= MESSAGE_END;
	s->group = false;
	return emit(ret, in, total);
}

/* Ends a request that has no Execute. */
static enum parse_status end_group(struct postgres_state *s, struct slice in, size_t total, struct parse_result *ret)
{
	struct message *m = request(s, ret, false);

	add_text(m, ATTR_DB_OPERATION_NAME, s->group_parse ? "PREPARE" : s->group_bind ? "BIND" : "DESCRIBE");
	add_statement(s, m, s->group_statement);
	m->flags |= MESSAGE_END;
	s->group = false;
	return emit(ret, in, total);
}

static enum parse_status parse_sync(struct postgres_state *s, struct slice in, size_t total, struct parse_result *ret)
{
	enum parse_status status;

	before_request(s);
	status = s->group ? end_group(s, in, total, ret) : skip_message(ret, in, total);
	postgres_due_push(s, POSTGRES_RUN_SYNC);
	return status;
}

static enum parse_status parse_flush(struct postgres_state *s, struct slice in, size_t total, struct parse_result *ret)
{
	if (s->group && !s->group_bind) {
		for (int i = 0; i < POSTGRES_FLUSHED; i++) {
			if (s->flushed_left[i])
				continue;
			s->flushed[i] = s->next - 1;
			s->flushed_left[i] = s->group_replies;
			return end_group(s, in, total, ret);
		}
	}
	return skip_message(ret, in, total);
}

static enum parse_status parse_to_server(struct postgres_state *s, struct slice in, struct parse_result *ret)
{
	size_t total = 0;

	if (in.len > 0 && in.ptr[0] == 0 && !s->typed)
		return parse_startup(s, in, ret);
	enum postgres_fit fit = postgres_head(PROTO_TO_SERVER, in, &total);
	if (fit == POSTGRES_NO)
		return PARSE_BAD;
	ret->need = POSTGRES_HEAD;
	if (fit == POSTGRES_SHORT)
		return PARSE_NEED_MORE;
	if (!s->typed) {
		s->typed = true;
		s->joined = s->next == 0;
	}
	switch (in.ptr[0]) {
	case 'Q':
		return parse_query(s, in, total, ret);
	case 'P':
		return parse_parse(s, in, total, ret);
	case 'B':
		return parse_bind(s, in, total, ret);
	case 'D':
	case 'C':
		return parse_named(s, in, total, ret);
	case 'E':
		return parse_execute(s, in, total, ret);
	case 'S':
		return parse_sync(s, in, total, ret);
	case 'H':
		return parse_flush(s, in, total, ret);
	case 'F':
		return parse_function(s, in, total, ret);
	case 'X':
		return oneway(ret, in, total);
	case 'c':
	case 'f':
		postgres_due_unpush_sync(s);
		return skip_message(ret, in, total);
	default: /* COPY data, passwords */
		return skip_message(ret, in, total);
	}
}

/* --- responses --- */

/* The request whose response comes has been seen. */
static bool is_open(const struct postgres_state *s)
{
	return s->answered < s->next;
}

static struct message *response(struct postgres_state *s, struct parse_result *ret)
{
	struct message *m = &ret->message;

	m->kind = MESSAGE_RESPONSE;
	m->keyed = true;
	m->key = s->answered;
	if (!s->begun) {
		m->flags |= MESSAGE_BEGIN;
		s->begun = true;
		s->rows = 0;
		s->returned = s->affected = -1;
		s->rows_lost = s->lost_responses;
	}
	return m;
}

static void end_response(struct postgres_state *s, struct message *m)
{
	m->flags |= MESSAGE_END;
	if (s->returned >= 0)
		message_add_int(m, ATTR_DB_RESPONSE_RETURNED_ROWS, s->returned);
	if (s->affected >= 0)
		message_add_int(m, ATTR_PLUMB_ROWS_AFFECTED, s->affected);
	if (s->shaky)
		add_text(m, ATTR_PLUMB_INCOMPLETE, shaky_pairing);
	for (int i = 0; i < POSTGRES_FLUSHED; i++)
		if (s->flushed_left[i] && s->flushed[i] <= s->answered)
			s->flushed_left[i] = 0;
	s->begun = s->copy_in = false;
	s->unanswered = ++s->answered;
}

/*
 * Requests up to and with `key` get no response: it was never sent, or never seen. One message for all of them,
 * because there may be thousands.
 */
static void end_unseen(struct message *m, uint64_t from, uint64_t key, const char *error)
{
	m->kind = MESSAGE_RESPONSE;
	m->keyed = true;
	m->key = key;
	m->flags = MESSAGE_BEGIN | MESSAGE_END | (from < key ? MESSAGE_FLUSH : 0);
	if (error) {
		m->flags |= MESSAGE_ERROR;
		memcpy(m->error_type, error, strlen(error) + 1);
	} else {
		add_text(m, ATTR_PLUMB_INCOMPLETE, lost_response);
	}
}

/*
 * What was given up by postgres_due_forget(): one by one, so that each says what is missing, unless there
 * are many. Nothing is consumed.
 */
static enum parse_status end_given_up(struct postgres_state *s, struct parse_result *ret)
{
	uint64_t to = s->answered - s->unanswered > GIVEN_UP_SINGLY ? s->answered : s->unanswered + 1;

	end_unseen(&ret->message, s->unanswered, to - 1, NULL);
	s->unanswered = to;
	return PARSE_MESSAGE;
}

/* A message inside the current response that says nothing itself but that the response has begun. */
static enum parse_status pass(struct postgres_state *s, struct slice in, size_t total, struct parse_result *ret)
{
	if (s->begun)
		return skip_message(ret, in, total);
	response(s, ret);
	return emit(ret, in, total);
}

/* One of the replies that a Parse or Describe gets. */
static enum parse_status parse_reply(struct postgres_state *s, struct slice in, size_t total, struct parse_result *ret)
{
	bool counts = in.ptr[0] != 't'; /* a row description or its absence follows */

	if (in.ptr[0] == '1' && s->names)
		postgres_names_confirm(s->names, s->answered);
	for (int i = 0; counts && i < POSTGRES_FLUSHED; i++) {
		if (s->flushed_left[i] == 0 || s->flushed[i] != s->answered || --s->flushed_left[i] > 0)
			continue;
		end_response(s, response(s, ret));
		return emit(ret, in, total);
	}
	return pass(s, in, total, ret);
}

/* Whole rows at once: there may be millions. */
static enum parse_status parse_rows(struct postgres_state *s, struct slice in, size_t total, struct parse_result *ret)
{
	size_t at = total;

	if (!s->begun) {
		response(s, ret);
		s->rows = 1;
		return emit(ret, in, total);
	}
	s->rows++;
	while (at < in.len && in.ptr[at] == 'D') {
		if (postgres_head(PROTO_TO_CLIENT, slice_from(in, at), &total) != POSTGRES_WHOLE)
			break;
		s->rows++;
		at += total;
	}
	return skip_message(ret, in, at);
}

static void add_rows(int64_t *to, int64_t n)
{
	*to = (*to < 0 ? 0 : *to) + n;
}

/* "INSERT 0 5", "SELECT 3", "COPY 7": the last word is the number of rows. */
static void count_rows(struct postgres_state *s, struct slice tag, struct slice verb)
{
	size_t digits = tag.len;
	uint64_t n;

	while (digits > 0 && tag.ptr[digits - 1] != ' ')
		digits--;
	if (digits == 0 || !slice_u64(slice_from(tag, digits), &n) || n > INT64_MAX / 2)
		return;
	bool select = slice_eq(verb, SLICE_LIT("SELECT")), fetch = slice_eq(verb, SLICE_LIT("FETCH"));
	if (slice_eq(verb, SLICE_LIT("COPY")))
		fetch = !s->copy_in;
	/* CREATE TABLE AS says SELECT, too, and returns no row */
	if (fetch || (select && (s->rows > 0 || n == 0 || s->rows_lost)))
		add_rows(&s->returned, (int64_t)n);
	else
		add_rows(&s->affected, (int64_t)n);
	if (!select && !fetch && s->rows > 0 && !s->rows_lost)
		add_rows(&s->returned, s->rows); /* RETURNING */
}

/* CommandComplete, EmptyQueryResponse, PortalSuspended */
static enum parse_status parse_complete(struct postgres_state *s, struct slice in, size_t total, struct parse_result *ret)
{
	if (wants_more(ret, in, total, total))
		return PARSE_NEED_MORE;
	struct message *m = response(s, ret);
	if (in.ptr[0] == 'C') {
		struct slice tag = slice_make(in.ptr + POSTGRES_HEAD, total - POSTGRES_HEAD - 1);
		struct slice verb = slice_head(tag, slice_find(tag, ' ', 0));

		if (s->unknown >> s->answered % 64 & 1)
			message_add_str(m, ATTR_DB_OPERATION_NAME, verb);
		count_rows(s, tag, verb);
	} else if (in.ptr[0] == 's' && !s->rows_lost) {
		add_rows(&s->returned, s->rows);
	}
	s->rows = 0;
	if (!postgres_due_last(s, POSTGRES_RUN_QUERY) && !postgres_due_last(s, POSTGRES_RUN_SYNC))
		end_response(s, m);
	else if (m->flags == 0 && m->nattrs == 0)
		return skip_message(ret, in, total);
	return emit(ret, in, total);
}

static void read_error(struct message *m, struct slice body, bool *ret_fatal)
{
	struct slice text, code = SLICE_NONE, said = SLICE_NONE;

	*ret_fatal = false;
	for (size_t at = 0; at < body.len && body.ptr[at] != 0;) {
		uint8_t field = body.ptr[at++];

		if (!slice_string(body, &at, &text)) {
			if (field == 'M') /* longer than the head that was waited for */
				said = slice_from(body, at);
			break;
		}
		if (field == 'C')
			code = text;
		else if (field == 'M')
			said = text;
		else if ((field == 'S' || field == 'V') && (slice_eq(text, SLICE_LIT("FATAL")) || slice_eq(text, SLICE_LIT("PANIC"))))
			*ret_fatal = true;
	}
	m->flags |= MESSAGE_ERROR;
	if (code.len == 0 || code.len >= MESSAGE_ERROR_TYPE_LEN)
		code = SLICE_LIT("_OTHER"); /* what OpenTelemetry says for errors without a name */
	else
		message_add_str(m, ATTR_DB_RESPONSE_STATUS_CODE, code);
	memcpy(m->error_type, code.ptr, code.len);
	m->error_type[code.len] = 0;
	if (said.len)
		message_add_str(m, ATTR_RAW_STATUS_MESSAGE, slice_head(said, ERROR_TEXT));
}

static enum parse_status parse_error(struct postgres_state *s, struct slice in, size_t total, struct parse_result *ret)
{
	bool fatal, simple = postgres_due_last(s, POSTGRES_RUN_QUERY);

	if (wants_more(ret, in, total, ERROR_HEAD))
		return PARSE_NEED_MORE;
	if (!is_open(s)) { /* an idle connection is told that the server shuts down */
		s->failed = s->nruns > 0;
		return oneway(ret, in, total);
	}
	struct message *m = response(s, ret);
	read_error(m, slice_from(slice_head(in, total), POSTGRES_HEAD), &fatal);
	s->failed = !simple;
	if (s->failed && s->names)
		postgres_names_refuse(s->names, s->answered, s->answered + 1);
	s->returned = s->affected = -1; /* what was done before is undone */
	if (!simple || fatal)
		end_response(s, m);
	return emit(ret, in, total);
}

/* ReadyForQuery: ends the current response, or all requests that got none, or the one and then the others. */
static enum parse_status parse_ready(struct postgres_state *s, struct slice in, size_t total, struct parse_result *ret)
{
	if (wants_more(ret, in, total, total))
		return PARSE_NEED_MORE;
	if (s->foreign || (s->lost_responses && postgres_due_several(s))) {
		if (!s->foreign)
			postgres_due_forget(s);
		s->foreign = false;
		return skip_message(ret, in, total);
	}
	uint64_t end = s->nruns > 0 ? s->base + s->runs[0].delta : s->next;
	enum parse_status status = PARSE_SKIP;
	if (s->failed && s->names)
		postgres_names_refuse(s->names, s->base, end);
	if (s->answered < end) {
		status = PARSE_MESSAGE;
		if (s->begun) {
			end_response(s, response(s, ret));
			if (s->answered < end)
				return status;
		} else {
			end_unseen(&ret->message, s->answered, end - 1, s->failed ? "pipeline_aborted" : NULL);
			s->unanswered = s->answered = end;
		}
	}
	take(ret, in, total);
	if (s->nruns > 0)
		postgres_due_pop(s);
	else
		postgres_due_forget(s);
	s->failed = false;
	if (s->nruns == 0 && s->answered == s->next)
		s->shaky = s->lost_responses = false;
	return status;
}

static enum parse_status parse_copy_start(struct postgres_state *s, struct slice in, size_t total, struct parse_result *ret)
{
	if (in.ptr[0] == 'W') { /* replication goes on for as long as the connection */
		end_response(s, response(s, ret));
		return emit(ret, in, total);
	}
	enum parse_status status = pass(s, in, total, ret);
	s->copy_in = in.ptr[0] == 'G';
	return status;
}

/* The answer to SSLRequest or GSSENCRequest is one byte, or an error of a server that knows neither. */
static enum parse_status parse_negotiation(struct postgres_state *s, struct slice in, struct parse_result *ret)
{
	uint8_t answer = in.ptr[0];

	if (answer != 'N' && answer != s->negotiating)
		return PARSE_BAD;
	s->negotiating = 0;
	if (answer != 'N') {
		ret->message.flags |= MESSAGE_SWITCH;
		ret->message.next = answer == 'S' ? PLUMB_PROTO_TLS : PLUMB_PROTO_NONE;
	}
	return oneway(ret, in, 1);
}

static enum parse_status parse_in_response(struct postgres_state *s, struct slice in, size_t total, struct parse_result *ret)
{
	switch (in.ptr[0]) {
	case '1': case '2': case 't': case 'T': case 'n':
		return parse_reply(s, in, total, ret);
	case 'D':
		return parse_rows(s, in, total, ret);
	case 'C': case 'I': case 's':
		return parse_complete(s, in, total, ret);
	case 'G': case 'H': case 'W':
		return parse_copy_start(s, in, total, ret);
	case 'R': case 'V':
		return pass(s, in, total, ret);
	default: /* COPY data and its end */
		return skip_message(ret, in, total);
	}
}

static enum parse_status parse_to_client(struct postgres_state *s, struct slice in, struct parse_result *ret)
{
	size_t total = 0;

	if (s->negotiating && in.len > 0 && in.ptr[0] != 'E')
		return parse_negotiation(s, in, ret);
	enum postgres_fit fit = postgres_head(PROTO_TO_CLIENT, in, &total);
	if (fit == POSTGRES_NO)
		return PARSE_BAD;
	ret->need = POSTGRES_HEAD;
	if (fit == POSTGRES_SHORT)
		return PARSE_NEED_MORE;
	s->negotiating = 0;
	switch (in.ptr[0]) {
	case 'A':
		return oneway(ret, in, total);
	case 'N': case 'S': case 'K': case 'v': case '3':
		return skip_message(ret, in, total);
	default:
		break;
	}
	if (s->unanswered < s->answered)
		return end_given_up(s, ret);
	if (in.ptr[0] == 'Z')
		return parse_ready(s, in, total, ret);
	if (in.ptr[0] == 'E' && !s->foreign)
		return parse_error(s, in, total, ret);
	if (!is_open(s) && s->nruns == 0)
		s->foreign = true;
	if (s->foreign || !is_open(s))
		return skip_message(ret, in, total);
	return parse_in_response(s, in, total, ret);
}

static enum parse_status postgres_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	return side == PROTO_TO_SERVER ? parse_to_server(state, in, ret) : parse_to_client(state, in, ret);
}

static size_t postgres_resync(void *state, enum proto_side side, struct slice in)
{
	struct postgres_state *s = state;

	s->typed = s->shaky = true;
	s->negotiating = 0;
	if (side == PROTO_TO_SERVER) {
		s->group = false;
		s->joined = s->joined || s->next == 0;
		if (s->names)
			postgres_names_doubt(s->names);
	} else {
		s->lost_responses = s->rows_lost = true;
		s->foreign = false;
	}
	return postgres_find(in, side);
}

static void *postgres_open(struct proto_memory *memory)
{
	return postgres_names_new(memory);
}

static void postgres_close(void *external)
{
	postgres_names_free(external);
}

const struct proto_ops proto_postgres = {
	.name = "postgresql",
	.id = PLUMB_PROTO_POSTGRES,
	.state_size = sizeof(struct postgres_state),
	.detect = postgres_detect,
	.parse = postgres_parse,
	.resync = postgres_resync,
	.resync_keep = POSTGRES_RESYNC_KEEP,
	.open = postgres_open,
	.close = postgres_close,
	/* A response ends with its last bytes, so that a head is not enough. */
	.want = { PLUMB_POLICY_ALL, PLUMB_POLICY_ALL },
};

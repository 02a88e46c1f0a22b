/* SPDX-License-Identifier: Apache-2.0 */
/* What a TDS client sends: [MS-TDS] 2.2.6. See tds.c. */
#include "proto/tds_state.h"

enum step {
	HEADERS,     /* ALL_HEADERS, since 7.2; before, the message itself */
	HEADERS_REST,
	TEXT,
	LOGIN_HEAD, LOGIN_SKIP, LOGIN_DATABASE,
	KIND,        /* of a transaction manager's request */
	PROC_LEN, PROC_ID, PROC_NAME, PROC_OPTIONS,
	PARAMETER, PARAMETER_NAME, PARAMETER_STATUS, PARAMETER_TYPE, PARAMETER_VALUE,
	REST,
};

enum { LOGIN_FIXED = 72, LOGIN_DATABASE_AT = 68, BATCH_FLAG_OLD = 0x80, NO_EXEC = 0xfe, BATCH_FLAG = 0xff, ENCRYPTED = 8, BY_ID = 0xffff };

static const char no_statement[] = "statement_not_seen";
static const char gone_statement[] = "statement_not_kept";

static const struct tds_procedure procedures[] = {
	{ NULL, 0, 0, TDS_OTHER },
	{ "sp_cursor", 0, 0, TDS_OTHER },
	{ "sp_cursoropen", 2, 0, TDS_RUNS },
	{ "sp_cursorprepare", 3, 1, TDS_PREPARES },
	{ "sp_cursorexecute", 0, 1, TDS_EXECUTES },
	{ "sp_cursorprepexec", 4, 1, TDS_RUNS },
	{ "sp_cursorunprepare", 0, 1, TDS_UNPREPARES },
	{ "sp_cursorfetch", 0, 0, TDS_OTHER },
	{ "sp_cursoroption", 0, 0, TDS_OTHER },
	{ "sp_cursorclose", 0, 0, TDS_OTHER },
	{ "sp_executesql", 1, 0, TDS_RUNS },
	{ "sp_prepare", 3, 1, TDS_PREPARES },
	{ "sp_execute", 0, 1, TDS_EXECUTES },
	{ "sp_prepexec", 3, 1, TDS_RUNS },
	{ "sp_prepexecrpc", 0, 0, TDS_OTHER },
	{ "sp_unprepare", 0, 1, TDS_UNPREPARES },
};
enum { PROCEDURES = sizeof(procedures) / sizeof(procedures[0]) };

const struct tds_procedure *tds_procedure_get(uint16_t id) { return id && id < PROCEDURES ? &procedures[id] : NULL; }

const struct tds_procedure *tds_procedure(const struct tds_session *x)
{
	return tds_procedure_get(x->proc);
}

/* --- ALL_HEADERS --- */

static void go_to(struct tds_walk *w, enum step step) { w->step = (uint8_t)step; }

static void rest(struct tds_walk *w)
{
	w->text = NULL;
	w->pass = UINT64_MAX;
	w->number_at = 8;
	go_to(w, REST);
}

static enum step first_step(uint8_t type)
{
	return type == TDS_BATCH ? TEXT : type == TDS_RPC ? PROC_LEN : KIND;
}

static void begin_text(struct tds_session *x)
{
	struct tds_walk *w = &x->walk[PROTO_TO_SERVER];

	w->text = &x->text;
	w->pass = UINT64_MAX;
	w->number_at = 8;
	go_to(w, TEXT);
}

static void next_call(struct tds_session *x)
{
	x->calls++;
	x->parameter = 0;
	go_to(&x->walk[PROTO_TO_SERVER], PROC_LEN);
}

static void begin_name(struct tds_session *x, uint16_t len, struct slice have)
{
	struct tds_walk *w = &x->walk[PROTO_TO_SERVER];

	w->pass = UINT64_C(2) * len;
	w->text = x->calls == 1 ? &x->name : NULL;
	w->number_at = 8;
	go_to(w, PROC_NAME);
	tds_pass(w, &have);
}

static void by_id(struct tds_session *x, uint16_t id)
{
	if (x->calls == 1)
		x->proc = id;
	go_to(&x->walk[PROTO_TO_SERVER], PROC_OPTIONS);
}

/* The message began with these four bytes, which are no length of headers: as before 7.2. */
static void without_headers(struct tds_session *x, const uint8_t *p)
{
	switch (x->way[PROTO_TO_SERVER].type) {
	case TDS_BATCH:
		begin_text(x);
		tds_text_add(&x->text, slice_make(p, 4));
		return;
	case TDS_RPC:
		if (load_le16(p) == BY_ID)
			by_id(x, load_le16(p + 2));
		else if (load_le16(p))
			begin_name(x, load_le16(p), slice_make(p + 2, 2));
		else
			rest(&x->walk[PROTO_TO_SERVER]);
		return;
	default:
		x->operation = p[0];
		rest(&x->walk[PROTO_TO_SERVER]);
	}
}

static bool walk_headers(struct tds_state *s, struct tds_session *x, struct slice *in)
{
	struct tds_walk *w = &x->walk[PROTO_TO_SERVER];
	const uint8_t *p = tds_take(w, in, 4);

	if (!p)
		return false;
	uint32_t len = load_le32(p);
	s->version.since_72 = len >= 4 && len <= TDS_ALL_HEADERS_MAX;
	s->version.since_71 |= s->version.since_72;
	s->version_known = true;
	if (!s->version.since_72) {
		uint8_t first[4] = { p[0], p[1], p[2], p[3] };
		without_headers(x, first);
		return true;
	}
	w->pass = len - 4;
	w->number_at = 8;
	go_to(w, HEADERS_REST);
	return true;
}

/* --- LOGIN7 --- */

static bool walk_login(struct tds_session *x, struct slice *in)
{
	struct tds_walk *w = &x->walk[PROTO_TO_SERVER];
	const uint8_t *p = tds_take(w, in, LOGIN_FIXED);

	if (!p)
		return false;
	x->version = load_le32(p + 4);
	uint16_t at = load_le16(p + LOGIN_DATABASE_AT), len = load_le16(p + LOGIN_DATABASE_AT + 2);
	if (at < LOGIN_FIXED || !len) {
		rest(w);
		return true;
	}
	x->database_len = len;
	w->pass = (uint32_t)at - LOGIN_FIXED;
	w->number_at = 8;
	go_to(w, LOGIN_SKIP);
	return true;
}

static void begin_database(struct tds_session *x)
{
	struct tds_walk *w = &x->walk[PROTO_TO_SERVER];

	w->pass = UINT64_C(2) * x->database_len;
	w->text = &x->name;
	go_to(w, LOGIN_DATABASE);
}

/* --- RPC --- */

static bool walk_procedure(struct tds_session *x, struct slice *in)
{
	struct tds_walk *w = &x->walk[PROTO_TO_SERVER];
	const uint8_t *p = tds_take(w, in, 2);

	if (!p)
		return false;
	uint16_t n = load_le16(p);
	if (n == 0)
		rest(w);
	else if (n == BY_ID)
		go_to(w, PROC_ID);
	else
		begin_name(x, n, SLICE_NONE);
	return true;
}

/* Those of the well-known procedures that are called by name. */
static void name_to_id(struct tds_session *x)
{
	struct slice name = slice_make(x->name.text, x->name.len);

	for (uint16_t i = 1; x->calls == 1 && i < PROCEDURES; i++)
		if (slice_ieq(name, slice_str(procedures[i].name)))
			x->proc = i;
}

/* Length of a parameter's name, or that another call follows. */
static bool walk_parameter(const struct tds_state *s, struct tds_session *x, struct slice *in)
{
	struct tds_walk *w = &x->walk[PROTO_TO_SERVER];
	const uint8_t *p = tds_take(w, in, 1);

	if (!p)
		return false;
	if (s->version.since_72 ? p[0] >= NO_EXEC : p[0] == BATCH_FLAG_OLD) {
		next_call(x);
		return true;
	}
	w->pass = UINT64_C(2) * p[0];
	w->number_at = 8;
	go_to(w, PARAMETER_NAME);
	return true;
}

static void begin_value(struct tds_session *x)
{
	struct tds_walk *w = &x->walk[PROTO_TO_SERVER];
	const struct tds_procedure *known = x->calls == 1 ? tds_procedure(x) : NULL;

	x->parameter++;
	if (known && x->parameter == known->statement && w->is_text)
		w->text = &x->text;
	go_to(w, PARAMETER_VALUE);
}

static void end_value(struct tds_session *x)
{
	struct tds_walk *w = &x->walk[PROTO_TO_SERVER];
	const struct tds_procedure *known = x->calls == 1 ? tds_procedure(x) : NULL;

	if (known && x->parameter == known->handle)
		x->handle = (uint32_t)w->number;
	w->text = NULL;
	go_to(w, PARAMETER);
}

/* False: more bytes are needed. */
static bool walk_call(const struct tds_state *s, struct tds_session *x, struct slice *in)
{
	struct tds_walk *w = &x->walk[PROTO_TO_SERVER];
	const uint8_t *p;
	enum tds_walked how;

	switch ((enum step)w->step) {
	case PROC_LEN: return walk_procedure(x, in);
	case PROC_ID:
		if (!(p = tds_take(w, in, 2)))
			return false;
		by_id(x, load_le16(p));
		return true;
	case PROC_NAME:
		if (!tds_pass(w, in))
			return false;
		w->text = NULL;
		name_to_id(x);
		go_to(w, PROC_OPTIONS);
		return true;
	case PROC_OPTIONS:
		if (!tds_take(w, in, 2))
			return false;
		go_to(w, PARAMETER);
		return true;
	case PARAMETER: return walk_parameter(s, x, in);
	case PARAMETER_NAME:
		if (!tds_pass(w, in))
			return false;
		go_to(w, PARAMETER_STATUS);
		return true;
	case PARAMETER_STATUS:
		if (!(p = tds_take(w, in, 1)))
			return false;
		if (p[0] & ENCRYPTED)
			rest(w);
		else
			go_to(w, PARAMETER_TYPE);
		return true;
	case PARAMETER_TYPE:
		how = tds_walk_type(w, in, false, s->version);
		if (how == TDS_WALK_DONE)
			begin_value(x);
		else if (how == TDS_WALK_LOST) /* a table: no statement stands behind it */
			rest(w);
		return how != TDS_WALK_ON;
	default:
		if (tds_walk_value(w, in, w->shape) == TDS_WALK_ON)
			return false;
		end_value(x);
		return true;
	}
}

/* --- any request --- */

void tds_request_begin(struct tds_session *x, uint8_t type)
{
	struct tds_walk *w = &x->walk[PROTO_TO_SERVER];

	tds_walk_begin(w);
	x->proc = x->parameter = 0;
	x->calls = 1;
	x->moves = false;
	x->operation = 0;
	x->handle = x->version = 0;
	x->database_len = 0;
	tds_text_begin(&x->text, x->text_memory, sizeof(x->text_memory));
	tds_text_begin(&x->name, x->name_memory, sizeof(x->name_memory));
	switch (type) {
	case TDS_LOGIN: go_to(w, LOGIN_HEAD); break;
	case TDS_BATCH: case TDS_RPC: case TDS_TRANSACTION: go_to(w, HEADERS); break;
	default: rest(w);
	}
}

static bool walk_one(struct tds_state *s, struct tds_session *x, struct slice *in)
{
	struct tds_walk *w = &x->walk[PROTO_TO_SERVER];
	const uint8_t *p;

	switch ((enum step)w->step) {
	case HEADERS: return walk_headers(s, x, in);
	case HEADERS_REST:
		if (!tds_pass(w, in))
			return false;
		if (first_step(x->way[PROTO_TO_SERVER].type) == TEXT)
			begin_text(x);
		else
			go_to(w, first_step(x->way[PROTO_TO_SERVER].type));
		return true;
	case LOGIN_HEAD: return walk_login(x, in);
	case LOGIN_SKIP:
		if (!tds_pass(w, in))
			return false;
		begin_database(x);
		return true;
	case LOGIN_DATABASE:
		if (!tds_pass(w, in))
			return false;
		rest(w);
		return true;
	case KIND:
		if (!(p = tds_take(w, in, 2)))
			return false;
		x->operation = p[0];
		rest(w);
		return true;
	case TEXT:
	case REST:
		tds_pass(w, in);
		if (w->text && w->text->full)
			rest(w);
		return false;
	default: return walk_call(s, x, in);
	}
}

void tds_request_walk(struct tds_state *s, struct tds_session *x, struct slice *in)
{
	while (in->len && walk_one(s, x, in))
		;
}

/* --- what it says --- */

/* "USE": its answer tells the database; if that is lost, what it is is not known any more. */
static bool has_use(struct slice text)
{
	for (size_t i = 0; i + 4 <= text.len; i++)
		if (slice_ieq(slice_make(text.ptr + i, 3), SLICE_LIT("use")))
			return true;
	return false;
}

static void add_call(struct tds_state *s, struct tds_session *x, struct message *m, struct slice text)
{
	const struct tds_procedure *known = tds_procedure(x);

	x->asked = TDS_ASKED_CALL;
	if (known && known->kind == TDS_EXECUTES) {
		text = tds_statement_find(s->memory, x->handle);
		if (!text.len) {
			tds_add_text(m, ATTR_DB_OPERATION_NAME, "EXECUTE");
			tds_add_text(m, ATTR_PLUMB_INCOMPLETE, s->memory->full ? gone_statement : no_statement);
		}
	} else if (known && known->kind == TDS_UNPREPARES) {
		tds_statement_drop(s->memory, x->handle);
	}
	if (known && (known->kind == TDS_RUNS || known->kind == TDS_PREPARES || known->kind == TDS_EXECUTES)) {
		if (known->kind == TDS_PREPARES)
			tds_add_text(m, ATTR_DB_OPERATION_NAME, "PREPARE");
		if (known->handle && known->kind != TDS_EXECUTES)
			x->asked = TDS_ASKED_PREPARE;
		if (text.len)
			message_add_str(m, ATTR_RAW_STATEMENT, text);
	} else {
		tds_add_text(m, ATTR_DB_OPERATION_NAME, "EXECUTE");
		message_add_str(m, ATTR_DB_STORED_PROCEDURE_NAME, known ? slice_str(known->name) : slice_make(x->name.text, x->name.len));
	}
	if (x->calls > 1)
		message_add_int(m, ATTR_DB_OPERATION_BATCH_SIZE, x->calls);
}

static const char *transaction_name(uint8_t kind)
{
	switch (kind) {
	case 0: return "GET_DTC_ADDRESS";
	case 1: return "PROPAGATE";
	case 5: return "BEGIN";
	case 6: return "PROMOTE";
	case 7: return "COMMIT";
	case 8: return "ROLLBACK";
	case 9: return "SAVE";
	default: return "TRANSACTION";
	}
}

static void add_login(struct tds_state *s, struct tds_session *x, struct message *m)
{
	struct tds_memory *y = s->memory;
	uint8_t major = (uint8_t)(x->version >> 24);

	if (major) {
		s->version = (struct tds_version){ .since_71 = major >= 0x71, .since_72 = major >= 0x72 };
		s->version_known = true;
	}
	memcpy(y->database, x->name.text, x->name.len);
	y->database[x->name.len] = 0;
	tds_add_text(m, ATTR_DB_OPERATION_NAME, "CONNECT");
}

void tds_request_end(struct tds_state *s, struct tds_session *x, struct message *m)
{
	struct tds_walk *w = &x->walk[PROTO_TO_SERVER];
	struct slice text = slice_make(x->text.text, x->text.len);

	switch (x->way[PROTO_TO_SERVER].type) {
	case TDS_LOGIN:
		x->asked = TDS_ASKED_LOGIN;
		add_login(s, x, m);
		break;
	case TDS_BATCH:
		x->asked = TDS_ASKED_BATCH;
		if (w->step == HEADERS) /* shorter than what they begin with */
			tds_text_add(&x->text, slice_make(w->gathered, w->have));
		text.len = x->text.len;
		x->moves = has_use(text);
		if (text.len)
			message_add_str(m, ATTR_RAW_STATEMENT, text);
		break;
	case TDS_RPC:
		add_call(s, x, m, text);
		break;
	case TDS_TRANSACTION:
		x->asked = TDS_ASKED_TRANSACTION;
		tds_add_text(m, ATTR_DB_OPERATION_NAME, transaction_name(x->operation));
		break;
	default:
		x->asked = TDS_ASKED_BULK;
		tds_add_text(m, ATTR_DB_OPERATION_NAME, "INSERT BULK");
	}
	tds_add_namespace(s, m);
}

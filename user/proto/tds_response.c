/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a TDS server sends: [MS-TDS] 2.2.7. Tokens are walked, rows by the types of their columns, so that rows are counted and an error is found wherever it stands. Where
 * that cannot be (behind a loss, types and tokens that are not known here), only the message's last bytes are read: they are a DONE. See tds.c.
 */
#include <stdio.h>

#include "proto/tds_state.h"

enum step {
	TOKEN,
	LENGTH,      /* of two bytes, of the token */
	BODY,        /* what is read of it */
	PASS,        /* what is not */
	LONG_LENGTH, /* of four bytes */
	DONE,
	COLUMN_COUNT, COLUMN_HEAD, COLUMN_TYPE, COLUMN_NAME_LEN, COLUMN_NAME,
	BITMAP, VALUE,
	RETURN_HEAD, RETURN_NAME, RETURN_FLAGS, RETURN_TYPE, RETURN_DATA,
	FEATURE, FEATURE_LENGTH, FEATURE_DATA,
};

enum {
	ERROR_FIXED = 8,       /* number, state, class, length of the text */
	NO_COLUMNS = 0xffff,
	CHANGE_DATABASE = 1,
};

static struct tds_walk *walk_of(struct tds_session *x) { return &x->walk[PROTO_TO_CLIENT]; }

static void go_to(struct tds_walk *w, enum step step) { w->step = (uint8_t)step; }

static void pass_then(struct tds_walk *w, uint64_t n, enum step step)
{
	w->pass = n;
	w->number_at = 8;
	go_to(w, step);
}

/* Nor is anything known of the columns of rows that may come later. */
static void give_up(struct tds_session *x)
{
	x->way[PROTO_TO_CLIENT].blind = true;
	x->ncolumns = 0;
}

void tds_response_begin(struct tds_session *x)
{
	tds_walk_begin(walk_of(x));
	x->rows = x->affected = x->count = 0;
	x->has_rows = x->has_affected = x->more = x->done = x->cancelled = x->failed = x->select = false;
	x->number[0] = 0;
	tds_text_begin(&x->error, x->error_memory, sizeof(x->error_memory));
}

/* --- DONE --- */

static size_t done_len(const struct tds_state *s) { return s->version.since_72 ? 12 : 8; }

static void read_done(const struct tds_state *s, struct tds_session *x, const uint8_t *p)
{
	uint16_t status = load_le16(p);

	x->done = true;
	x->more = status & TDS_DONE_MORE;
	x->cancelled |= (status & TDS_DONE_ATTENTION) != 0;
	x->failed |= (status & (TDS_DONE_ERROR | TDS_DONE_FATAL)) != 0;
	x->select = load_le16(p + 2) == TDS_SELECT;
	x->count = s->version.since_72 ? load_le64(p + 4) : load_le32(p + 4);
	if (!(status & TDS_DONE_COUNT) || x->count > INT64_MAX || x->select)
		return;
	x->has_affected = true;
	if (x->affected <= INT64_MAX - x->count)
		x->affected += x->count;
}

size_t tds_tail_len(const struct tds_state *s) { return done_len(s) + 1; }

void tds_response_tail(struct tds_state *s, struct tds_session *x, const uint8_t *p)
{
	uint16_t status = load_le16(p + 1);

	if (p[0] < TDS_DONE || status & ~TDS_DONE_KNOWN)
		return;
	bool alone = !x->done;
	read_done(s, x, p + 1);
	if (x->select && alone && !x->more && status & TDS_DONE_COUNT && x->count <= INT64_MAX) {
		x->has_rows = true;
		x->rows = x->count;
	}
}

/* --- tokens with a length --- */

static void read_error(struct tds_session *x, struct slice body)
{
	if (x->number[0] || body.len < ERROR_FIXED)
		return;
	snprintf(x->number, sizeof(x->number), "%u", load_le32(body.ptr));
	tds_text_add(&x->error, slice_head(slice_from(body, ERROR_FIXED), (size_t)2 * load_le16(body.ptr + 6)));
}

/* "database", new and old, each with its length in characters. */
static void read_change(struct tds_state *s, struct slice body)
{
	struct tds_text t;

	if (body.len < 2 || body.ptr[0] != CHANGE_DATABASE)
		return;
	size_t n = (size_t)2 * body.ptr[1];
	if (n > body.len - 2)
		return;
	tds_text_begin(&t, s->memory->database, sizeof(s->memory->database) - 1);
	tds_text_add(&t, slice_make(body.ptr + 2, n));
	s->memory->database[t.len] = 0;
}

/* Interface, version (big-endian here), program. */
static void read_login(struct tds_state *s, struct slice body)
{
	if (body.len < 5)
		return;
	s->version = (struct tds_version){ .since_71 = body.ptr[1] >= 0x71, .since_72 = body.ptr[1] >= 0x72 };
	s->version_known = true;
}

static bool walk_length(struct tds_session *x, struct slice *in)
{
	struct tds_walk *w = walk_of(x);
	const uint8_t *p = tds_take(w, in, 2);

	if (!p)
		return false;
	x->length = load_le16(p);
	if (x->token == TDS_ERROR || x->token == TDS_ENV_CHANGE || x->token == TDS_LOGIN_ACK)
		go_to(w, BODY);
	else
		pass_then(w, x->length, PASS);
	return true;
}

static bool walk_body(struct tds_state *s, struct tds_session *x, struct slice *in)
{
	struct tds_walk *w = walk_of(x);
	size_t n = x->length < TDS_GATHER ? x->length : TDS_GATHER;
	const uint8_t *p = n ? tds_take(w, in, n) : w->gathered;

	if (!p)
		return false;
	struct slice body = slice_make(p, n);
	if (x->token == TDS_ERROR)
		read_error(x, body);
	else if (x->token == TDS_ENV_CHANGE)
		read_change(s, body);
	else
		read_login(s, body);
	pass_then(w, x->length - n, PASS);
	return true;
}

static bool walk_long_length(struct tds_session *x, struct slice *in)
{
	const uint8_t *p = tds_take(walk_of(x), in, 4);

	if (!p)
		return false;
	pass_then(walk_of(x), load_le32(p), PASS);
	return true;
}

/* --- columns and rows --- */

static void next_column(struct tds_session *x)
{
	go_to(walk_of(x), ++x->column < x->ncolumns ? COLUMN_HEAD : TOKEN);
}

static bool walk_column_count(struct tds_state *s, struct tds_session *x, struct slice *in)
{
	const uint8_t *p = tds_take(walk_of(x), in, 2);

	if (!p)
		return false;
	uint16_t n = load_le16(p);
	x->column = 0;
	x->has_rows = true;
	if (n == NO_COLUMNS) { /* as they were told before */
		go_to(walk_of(x), TOKEN);
		return true;
	}
	if (!tds_session_columns(s->memory, x, n)) {
		give_up(x);
		return false;
	}
	go_to(walk_of(x), n ? COLUMN_HEAD : TOKEN);
	return true;
}

/* Type of the user's own and flags. */
static size_t flags_len(const struct tds_state *s) { return s->version.since_72 ? 6 : 4; }

/* False: more bytes are needed, or it is in vain. */
static bool walk_columns(struct tds_state *s, struct tds_session *x, struct slice *in)
{
	struct tds_walk *w = walk_of(x);
	const uint8_t *p;
	enum tds_walked how;

	switch ((enum step)w->step) {
	case COLUMN_COUNT: return walk_column_count(s, x, in);
	case COLUMN_HEAD:
		if (!tds_take(w, in, flags_len(s)))
			return false;
		go_to(w, COLUMN_TYPE);
		return true;
	case COLUMN_TYPE:
		how = tds_walk_type(w, in, true, s->version);
		if (how == TDS_WALK_LOST)
			give_up(x);
		if (how != TDS_WALK_DONE)
			return false;
		if (w->shape == 0) { /* no server has such a column: rows of them would be many and of no bytes */
			give_up(x);
			return false;
		}
		x->columns[x->column] = w->shape;
		go_to(w, COLUMN_NAME_LEN);
		return true;
	case COLUMN_NAME_LEN:
		if (!(p = tds_take(w, in, 1)))
			return false;
		pass_then(w, UINT64_C(2) * p[0], COLUMN_NAME);
		return true;
	default:
		if (!tds_pass(w, in))
			return false;
		next_column(x);
		return true;
	}
}

static void begin_row(struct tds_session *x, bool nulls)
{
	x->column = 0;
	x->nulls = nulls;
	if (x->ncolumns)
		go_to(walk_of(x), nulls ? BITMAP : VALUE);
	else /* their types are not known */
		give_up(x);
}

static bool is_null(const struct tds_session *x) { return x->nulls && x->bitmap[x->column / 8] >> x->column % 8 & 1; }

static bool walk_row(struct tds_session *x, struct slice *in)
{
	struct tds_walk *w = walk_of(x);

	while (x->column < x->ncolumns) {
		if (!is_null(x) && tds_walk_value(w, in, x->columns[x->column]) == TDS_WALK_ON)
			return false;
		x->column++;
	}
	x->rows++;
	go_to(w, TOKEN);
	return true;
}

static bool walk_bitmap(struct tds_session *x, struct slice *in)
{
	size_t n = (x->ncolumns + 7u) / 8;
	const uint8_t *p = tds_take(walk_of(x), in, n);

	if (!p)
		return false;
	memcpy(x->bitmap, p, n);
	go_to(walk_of(x), VALUE);
	return true;
}

/* --- values that a procedure returns --- */

static void end_return(struct tds_state *s, struct tds_session *x)
{
	struct tds_walk *w = walk_of(x);

	go_to(w, TOKEN);
	if (x->asked != TDS_ASKED_PREPARE || w->number_at != 4)
		return;
	/* The first one: of sp_prepexec and the like it is the statement's handle. */
	x->asked = TDS_ASKED_CALL;
	tds_statement_put(s->memory, (uint32_t)w->number, slice_make(x->text.text, x->text.len));
}

/* False: more bytes are needed, or it is in vain. */
static bool walk_return(struct tds_state *s, struct tds_session *x, struct slice *in)
{
	struct tds_walk *w = walk_of(x);
	const uint8_t *p;
	enum tds_walked how;

	switch ((enum step)w->step) {
	case RETURN_HEAD:
		if (!(p = tds_take(w, in, 3)))
			return false;
		pass_then(w, UINT64_C(2) * p[2], RETURN_NAME);
		return true;
	case RETURN_NAME:
		if (!tds_pass(w, in))
			return false;
		go_to(w, RETURN_FLAGS);
		return true;
	case RETURN_FLAGS:
		if (!tds_take(w, in, 1 + flags_len(s)))
			return false;
		go_to(w, RETURN_TYPE);
		return true;
	case RETURN_TYPE:
		how = tds_walk_type(w, in, false, s->version);
		if (how == TDS_WALK_LOST)
			give_up(x);
		if (how != TDS_WALK_DONE)
			return false;
		go_to(w, RETURN_DATA);
		return true;
	default:
		if (tds_walk_value(w, in, w->shape) == TDS_WALK_ON)
			return false;
		end_return(s, x);
		return true;
	}
}

/* --- what the server understands of newer things --- */

static bool walk_feature(struct tds_session *x, struct slice *in)
{
	struct tds_walk *w = walk_of(x);
	const uint8_t *p;

	switch ((enum step)w->step) {
	case FEATURE:
		if (!(p = tds_take(w, in, 1)))
			return false;
		go_to(w, p[0] == 0xff ? TOKEN : FEATURE_LENGTH);
		return true;
	case FEATURE_LENGTH:
		if (!(p = tds_take(w, in, 4)))
			return false;
		pass_then(w, load_le32(p), FEATURE_DATA);
		return true;
	default:
		if (!tds_pass(w, in))
			return false;
		go_to(w, FEATURE);
		return true;
	}
}

/* --- any token --- */

static bool walk_token(struct tds_session *x, struct slice *in)
{
	struct tds_walk *w = walk_of(x);
	const uint8_t *p = tds_take(w, in, 1);

	if (!p)
		return false;
	x->token = p[0];
	switch (p[0]) {
	case TDS_ROW: begin_row(x, false); break;
	case TDS_NBC_ROW: begin_row(x, true); break;
	case TDS_DONE: case TDS_DONE_PROC: case TDS_DONE_IN_PROC: go_to(w, DONE); break;
	case TDS_COLUMNS: go_to(w, COLUMN_COUNT); break;
	case TDS_RETURN_STATUS: case TDS_OFFSET: pass_then(w, 4, PASS); break;
	case TDS_RETURN_VALUE: go_to(w, RETURN_HEAD); break;
	case TDS_FEATURES: go_to(w, FEATURE); break;
	case TDS_SESSION_STATE: case TDS_FEDAUTH_INFO: go_to(w, LONG_LENGTH); break;
	case TDS_TABLE_NAME: case TDS_COLUMN_INFO: case TDS_ORDER: case TDS_ERROR: case TDS_INFO: case TDS_LOGIN_ACK: case TDS_ENV_CHANGE: case TDS_SSPI_TOKEN: go_to(w, LENGTH); break;
	default: give_up(x);
	}
	return !x->way[PROTO_TO_CLIENT].blind;
}

static bool walk_one(struct tds_state *s, struct tds_session *x, struct slice *in)
{
	struct tds_walk *w = walk_of(x);
	const uint8_t *p;

	switch ((enum step)w->step) {
	case TOKEN: return walk_token(x, in);
	case LENGTH: return walk_length(x, in);
	case BODY: return walk_body(s, x, in);
	case LONG_LENGTH: return walk_long_length(x, in);
	case PASS:
		if (!tds_pass(w, in))
			return false;
		go_to(w, TOKEN);
		return true;
	case DONE:
		if (!(p = tds_take(w, in, done_len(s))))
			return false;
		read_done(s, x, p);
		go_to(w, TOKEN);
		return true;
	case BITMAP: return walk_bitmap(x, in);
	case VALUE: return walk_row(x, in);
	case RETURN_HEAD: case RETURN_NAME: case RETURN_FLAGS: case RETURN_TYPE: case RETURN_DATA: return walk_return(s, x, in);
	case FEATURE: case FEATURE_LENGTH: case FEATURE_DATA: return walk_feature(x, in);
	default: return walk_columns(s, x, in);
	}
}

void tds_response_walk(struct tds_state *s, struct tds_session *x, struct slice *in)
{
	while (in->len && walk_one(s, x, in))
		;
}

/* --- what it says --- */

static void fail(struct message *m, const char *type)
{
	m->flags |= MESSAGE_ERROR;
	snprintf(m->error_type, sizeof(m->error_type), "%s", type);
}

static void add_error(const struct tds_session *x, struct message *m)
{
	if (x->number[0]) {
		fail(m, x->number);
		message_add_str(m, ATTR_DB_RESPONSE_STATUS_CODE, slice_str(x->number));
		if (x->error.len)
			message_add_str(m, ATTR_RAW_STATUS_MESSAGE, slice_make(x->error.text, x->error.len));
	} else if (x->cancelled) {
		fail(m, "cancelled");
	} else if (x->failed) { /* which one was not seen */
		fail(m, "_OTHER");
	}
}

bool tds_response_end(struct tds_state *s, struct tds_session *x, struct message *m)
{
	bool final = x->done && !x->more;

	if (!final && ((x->asked == TDS_ASKED_LOGIN && !x->number[0]) || x->attention))
		return false;
	add_error(x, m);
	if (!(m->flags & MESSAGE_ERROR)) {
		if (x->has_rows && !x->way[PROTO_TO_CLIENT].blind)
			message_add_int(m, ATTR_DB_RESPONSE_RETURNED_ROWS, (int64_t)x->rows);
		if (x->has_affected)
			message_add_int(m, ATTR_PLUMB_ROWS_AFFECTED, (int64_t)x->affected);
	}
	if (x->asked == TDS_ASKED_LOGIN && !(m->flags & MESSAGE_ERROR))
		tds_add_namespace(s, m);
	return true;
}

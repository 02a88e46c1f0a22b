/* SPDX-License-Identifier: Apache-2.0 */
/* What Aerospike's servers send: see aerospike.c. */
#include "proto/aerospike_state.h"

enum {
	/* Bytes that one compressed message is inflated to; behind them its records are not counted. */
	PLAIN_MAX = 4 << 20, PLAIN_LEAST = 1 << 16, PLAIN_RATIO = 32,
	ADMIN_CODE = 1, ADMIN_FIELDS = 3,
	CODE_DIGITS = 3,
	NOT_FOUND = 2, FILTERED = 27,
};

/* ---- what an answer says ---- */

static void add_code(struct aerospike_answer *a, uint8_t code, struct message *m)
{
	size_t len = 0;

	if (code == 0 || code == AEROSPIKE_OK_LAST)
		return;
	for (unsigned d = 100; d; d /= 10)
		if (code >= d)
			a->status[len++] = (char)('0' + code / d % 10);
	a->status[len] = 0;
	message_add_str(m, ATTR_DB_RESPONSE_STATUS_CODE, slice_make(a->status, len));
	if (!aerospike_failed(code))
		return;
	m->flags |= MESSAGE_ERROR;
	memcpy(m->error_type, a->status, len + 1);
}

/* The answer is over. */
static void finish(struct aerospike_answer *a, struct message *m)
{
	bool many = a->kind == AEROSPIKE_MANY || a->kind == AEROSPIKE_SCANNED || a->kind == AEROSPIKE_UNKNOWN;

	m->flags |= MESSAGE_END;
	add_code(a, a->code ? a->code : a->failed, m);
	if (a->kind == AEROSPIKE_GET && a->records && (a->code == 0 || a->code == NOT_FOUND || a->code == FILTERED))
		message_add_int(m, ATTR_DB_RESPONSE_RETURNED_ROWS, a->code == 0);
	else if (many && (a->last || a->partial) && !a->uncounted && !aerospike_failed(a->code))
		message_add_int(m, ATTR_DB_RESPONSE_RETURNED_ROWS, a->rows);
	a->open = a->inside = false;
	a->left = a->pass = a->packed = 0;
}

/* It is, but for `skip` bytes. */
static enum parse_status end(struct aerospike_answer *a, struct parse_result *ret, size_t consumed, uint64_t skip)
{
	finish(a, &ret->message);
	ret->message.flags |= skip ? MESSAGE_END_AFTER_SKIP : 0;
	ret->consumed = consumed;
	ret->skip = skip;
	return PARSE_MESSAGE;
}

static void begin(struct aerospike_state *s, struct parse_result *ret)
{
	struct aerospike_answer *a = &s->answer;
	enum aerospike_kind kind = aerospike_due_take(s, ret);

	*a = (struct aerospike_answer){ .kind = (uint8_t)kind, .open = true };
	ret->message.flags |= MESSAGE_BEGIN;
}

/* ---- info and security ---- */

static bool digit(uint8_t b) { return b >= '0' && b <= '9'; }

/* A command that failed says so behind its name: ERROR or FAIL, a code, a text. */
static void info_outcome(struct aerospike_answer *a, struct slice in, struct message *m)
{
	size_t at = slice_find(in, '\t', 0), from;

	if (at == SIZE_MAX)
		return;
	struct slice value = slice_from(in, at + 1);
	bool error = value.len >= 5 && slice_ieq(slice_head(value, 5), SLICE_LIT("error")), fail = value.len >= 4 && slice_ieq(slice_head(value, 4), SLICE_LIT("fail"));
	from = error ? 5 : 4;
	if ((!error && !fail) || (from < value.len && value.ptr[from] != ':' && value.ptr[from] != '=' && value.ptr[from] != '\n'))
		return;
	size_t len = 0;
	for (from++; from < value.len && digit(value.ptr[from]) && len < CODE_DIGITS; from++)
		a->status[len++] = (char)value.ptr[from];
	a->status[len] = 0;
	m->flags |= MESSAGE_ERROR;
	memcpy(m->error_type, len ? a->status : "_OTHER", len ? len + 1 : sizeof("_OTHER"));
	if (len)
		message_add_str(m, ATTR_DB_RESPONSE_STATUS_CODE, slice_make(a->status, len));
}

static enum parse_status info(struct aerospike_state *s, uint32_t size, struct slice in, struct parse_result *ret)
{
	bool one = aerospike_due_peek(s) == AEROSPIKE_INFO_ONE;
	size_t looked = !one ? 0 : size < AEROSPIKE_INFO_LOOKED ? size : AEROSPIKE_INFO_LOOKED;

	ret->need = AEROSPIKE_HEAD + looked;
	if (in.len < ret->need)
		return PARSE_NEED_MORE;
	begin(s, ret);
	s->answer.kind = AEROSPIKE_INFO;
	if (one)
		info_outcome(&s->answer, slice_make(in.ptr + AEROSPIKE_HEAD, looked), &ret->message);
	return end(&s->answer, ret, ret->need, size - looked);
}

/* ---- records ---- */

/* n bytes in a row, which may have come in several pieces; NULL: not all are there, and what is is kept. */
static const uint8_t *take(struct aerospike_answer *a, struct slice *in, size_t n)
{
	size_t missing = n - a->have;
	const uint8_t *p = in->ptr;

	if (a->have == 0 && in->len >= n) {
		*in = slice_from(*in, n);
		return p;
	}
	if (missing > in->len)
		missing = in->len;
	memcpy(a->carry + a->have, p, missing);
	*in = slice_from(*in, missing);
	a->have = (uint8_t)(a->have + missing);
	if (a->have < n)
		return NULL;
	a->have = 0;
	return a->carry;
}

static bool is_admin(const struct aerospike_answer *a) { return a->kind == AEROSPIKE_ADMIN_ONE || a->kind == AEROSPIKE_ADMIN_MANY; }
static size_t head_len(const struct aerospike_answer *a) { return is_admin(a) ? AEROSPIKE_ADMIN : AEROSPIKE_MSG; }
/* Of many records. */
static bool is_many(const struct aerospike_answer *a) { return a->kind == AEROSPIKE_MANY || a->kind == AEROSPIKE_SCANNED || a->kind == AEROSPIKE_UNKNOWN; }

static void take_code(struct aerospike_answer *a, uint8_t code, bool last, bool partial)
{
	a->records++;
	a->last |= last;
	a->partial |= partial;
	if (a->kind == AEROSPIKE_UNKNOWN && a->records <= 2) /* that of one alone is the answer's */
		a->code = a->records == 1 && a->rows == 0 && !partial ? code : 0;
	if (last || !is_many(a))
		a->code = code;
	else if (partial)
		return; /* a part of the data was moved elsewhere: clients ask there */
	else if (a->kind == AEROSPIKE_SCANNED && aerospike_failed(code))
		a->code = code, a->last = true; /* refused */
	else if (code == 0)
		a->rows += a->rows < UINT32_MAX;
	else if (aerospike_failed(code) && !a->failed)
		a->failed = code;
}

/* The head of a record, of which with it `left` bytes of the message are there. */
static bool take_record(struct aerospike_answer *a, const uint8_t *p, uint64_t left)
{
	struct aerospike_msg h;

	if (is_admin(a)) {
		a->items = p[ADMIN_FIELDS];
		take_code(a, p[ADMIN_CODE], p[ADMIN_CODE] || a->kind == AEROSPIKE_ADMIN_ONE, false);
		return true;
	}
	if (!aerospike_msg_read(p, left, &h))
		return false;
	a->items = (uint32_t)h.fields + h.ops;
	take_code(a, h.code, h.info[2] & AEROSPIKE_LAST, h.info[2] & AEROSPIKE_PARTITION_DONE);
	return true;
}

/* Where it is not known where records begin: the last one of all has a head and nothing else, and stands at the end. */
static void take_tail(struct aerospike_answer *a, const uint8_t *p)
{
	struct aerospike_msg h;

	if (is_admin(a)) {
		if (p[0] == 0 && p[ADMIN_CODE] && p[ADMIN_FIELDS] == 0)
			take_code(a, p[ADMIN_CODE], true, false);
	} else if (aerospike_msg_read(p, AEROSPIKE_MSG, &h) && h.info[0] == 0 && h.info[1] == 0 && h.info[2] == AEROSPIKE_LAST) {
		take_code(a, h.code, true, false);
	}
}

/* Fewer bytes than `n` of the message follow, so no such head does: they are passed over. */
static bool passes_rest(struct aerospike_answer *a, size_t n)
{
	if (a->left + a->have >= n)
		return false;
	a->pass = a->left;
	a->have = 0;
	a->uncounted = true;
	return true;
}

static void pass_over(struct aerospike_answer *a, struct slice *in)
{
	size_t n = a->pass < in->len ? (size_t)a->pass : in->len;

	*in = slice_from(*in, n);
	a->pass -= n;
	a->left -= n;
}

/* One record: its head says all. */
static bool is_known(const struct aerospike_answer *a) { return a->records && (a->kind == AEROSPIKE_ONE || a->kind == AEROSPIKE_GET || a->kind == AEROSPIKE_ADMIN_ONE); }

/* Takes what there is of a message, as far as it says anything. False: it is none. */
static bool walk(struct aerospike_answer *a, struct slice *in)
{
	while (in->len && a->left && !is_known(a)) {
		const uint8_t *p;
		size_t n = a->items && !a->blind ? AEROSPIKE_ITEM : head_len(a), before = in->len;

		if (a->pass) {
			pass_over(a, in);
			continue;
		}
		if (passes_rest(a, n))
			continue;
		if (a->blind && a->left + a->have > n) {
			a->pass = a->left + a->have - n;
			a->have = 0;
			continue;
		}
		uint64_t all = a->left + a->have;
		p = take(a, in, n);
		a->left -= before - in->len;
		if (!p)
			continue;
		if (a->blind) {
			take_tail(a, p);
		} else if (a->items) {
			a->items--;
			a->pass = load_be32(p);
			if (a->pass == 0 || a->pass > a->left)
				return false;
		} else if (!take_record(a, p, all)) {
			return false;
		}
	}
	return true;
}

/* Where a message ends: whether the answer does. */
static bool is_over(const struct aerospike_answer *a)
{
	if (a->kind == AEROSPIKE_UNKNOWN)
		return a->last || (a->records <= 1 && !a->partial && !a->uncounted && a->rows <= 1 && !a->blind);
	return a->last || !(is_many(a) || a->kind == AEROSPIKE_ADMIN_MANY);
}

static enum parse_status message_or_skip(struct parse_result *ret)
{
	ret->message.kind = MESSAGE_RESPONSE;
	return ret->message.flags ? PARSE_MESSAGE : PARSE_SKIP;
}

/* The message goes on at in[at..]. */
static enum parse_status go_on(struct aerospike_answer *a, struct slice in, size_t at, struct parse_result *ret)
{
	struct slice here = slice_from(in, at);

	if (here.len > a->left)
		here = slice_head(here, (size_t)a->left);
	size_t there = here.len;
	if (!walk(a, &here)) {
		if (!ret->message.flags)
			return PARSE_BAD;
		a->bad = true; /* that it has begun is said first */
		ret->consumed = at;
		return PARSE_MESSAGE;
	}
	at += there - here.len;
	uint64_t skip = is_known(a) || a->pass > a->left ? a->left : a->pass;
	a->left -= skip;
	a->pass = 0;
	a->inside = a->left > 0;
	if (!a->inside && is_over(a))
		return end(a, ret, at, skip);
	ret->consumed = at;
	ret->skip = skip;
	return message_or_skip(ret);
}

/* ---- what is compressed ---- */

/* The record message in it has a head of its own. */
static bool take_inner(struct aerospike_answer *a, struct slice *in)
{
	struct aerospike_head head;
	const uint8_t *p = take(a, in, AEROSPIKE_HEAD);

	if (!p)
		return true;
	if (aerospike_head_read(slice_make(p, AEROSPIKE_HEAD), &head) != AEROSPIKE_OK || head.type != AEROSPIKE_TYPE_MSG)
		return false;
	a->zipped = false;
	a->left = head.size;
	return true;
}

static bool take_plain(struct aerospike_answer *a, struct slice plain)
{
	if (plain.len > a->room)
		return false;
	a->room -= (uint32_t)plain.len;
	if (a->zipped && !take_inner(a, &plain))
		return false;
	return a->zipped || walk(a, &plain);
}

/* in[at..] is compressed. What cannot be inflated ends where its message does, and it is not known whether more of the answer follows. */
static enum parse_status go_on_packed(struct aerospike_state *s, struct slice in, size_t at, struct parse_result *ret)
{
	struct aerospike_answer *a = &s->answer;
	struct aerospike_inflate *f = s->memory ? s->memory->inflate[PROTO_TO_CLIENT] : NULL;
	struct slice here = slice_from(in, at);
	size_t used = 0;

	if (here.len > a->packed)
		here = slice_head(here, a->packed);
	while (!a->blind && f) {
		struct slice plain = aerospike_inflate(f, here, &used);
		if (plain.len && !take_plain(a, plain))
			a->blind = true;
		if (plain.len == 0 || is_known(a))
			break;
	}
	bool over = !f || f->over || a->blind || is_known(a) || (!a->zipped && a->left == 0);
	used = over ? here.len : used;
	a->packed -= (uint32_t)here.len;
	a->blind |= !is_known(a) && (a->zipped || a->left) && (over || a->packed == 0);
	at += here.len;
	uint64_t skip = over ? a->packed : 0;
	a->packed -= (uint32_t)skip;
	a->inside = a->packed > 0;
	if (!a->inside && a->blind) {
		a->uncounted = true;
		a->tail_missed = true;
		a->have = 0;
		a->left = a->pass = a->items = 0;
		a->blind = false;
	}
	if (!a->inside && is_over(a))
		return end(a, ret, at, skip);
	ret->consumed = at;
	ret->skip = skip;
	return message_or_skip(ret);
}

static void begin_message(struct aerospike_answer *a, uint32_t size)
{
	a->left = size;
	a->inside = true;
	a->blind = a->zipped = false;
	a->items = a->records = a->packed = 0;
	a->pass = 0;
	a->have = 0;
}

static enum parse_status begin_packed(struct aerospike_state *s, uint32_t size, struct slice in, struct parse_result *ret)
{
	struct aerospike_inflate *f = aerospike_inflates(s, PROTO_TO_CLIENT);

	begin_message(&s->answer, 0);
	s->answer.packed = size - AEROSPIKE_PACKED;
	s->answer.room = size > (PLAIN_MAX - PLAIN_LEAST) / PLAIN_RATIO ? PLAIN_MAX : PLAIN_LEAST + PLAIN_RATIO * size;
	s->answer.zipped = true;
	s->answer.blind = !f || !aerospike_inflate_begin(f);
	return go_on_packed(s, in, AEROSPIKE_HEAD + AEROSPIKE_PACKED, ret);
}

/* ---- messages ---- */

static bool fits(enum aerospike_kind kind, enum aerospike_type type)
{
	switch (type) {
	case AEROSPIKE_TYPE_INFO: return kind == AEROSPIKE_INFO || kind == AEROSPIKE_INFO_ONE;
	case AEROSPIKE_TYPE_ADMIN: return kind == AEROSPIKE_ADMIN_ONE || kind == AEROSPIKE_ADMIN_MANY;
	default: return kind >= AEROSPIKE_ONE || kind == AEROSPIKE_UNKNOWN;
	}
}

/* What was sent before the client asked again may be read later. */
static bool is_stale(const struct aerospike_state *s, const struct parse_result *ret)
{
	return s->answer.stale && (!ret->time_ns || ret->time_ns > s->stale_ns);
}

enum parse_status aerospike_answer(struct aerospike_state *s, struct slice in, struct parse_result *ret)
{
	struct aerospike_answer *a = &s->answer;
	struct aerospike_head head;

	ret->message.kind = MESSAGE_RESPONSE;
	if (a->bad)
		return PARSE_BAD;
	if (a->inside)
		return a->packed ? go_on_packed(s, in, 0, ret) : go_on(a, in, 0, ret);
	enum aerospike_scan scan = aerospike_head_read(in, &head);
	ret->need = AEROSPIKE_HEAD;
	if (scan != AEROSPIKE_OK)
		return scan == AEROSPIKE_MORE ? PARSE_NEED_MORE : PARSE_BAD;
	if (a->open && (is_stale(s, ret) || !fits((enum aerospike_kind)a->kind, head.type))) { /* its end was not seen */
		ret->message.flags = MESSAGE_UNSURE;
		a->uncounted = true;
		return end(a, ret, 0, 0);
	}
	if (head.type == AEROSPIKE_TYPE_INFO)
		return info(s, head.size, in, ret);
	size_t heads = head.type == AEROSPIKE_TYPE_ADMIN ? AEROSPIKE_ADMIN : head.type == AEROSPIKE_TYPE_PACKED ? AEROSPIKE_PACKED : AEROSPIKE_MSG;
	ret->need = AEROSPIKE_HEAD + heads;
	if (in.len < ret->need)
		return PARSE_NEED_MORE;
	if (head.type == AEROSPIKE_TYPE_MSG && in.ptr[AEROSPIKE_HEAD] != AEROSPIKE_MSG)
		return PARSE_BAD;
	if (!a->open) {
		begin(s, ret);
		if (a->kind == AEROSPIKE_UNKNOWN || !fits((enum aerospike_kind)a->kind, head.type))
			a->kind = head.type == AEROSPIKE_TYPE_ADMIN ? AEROSPIKE_ADMIN_ONE : AEROSPIKE_UNKNOWN;
	}
	if (head.type == AEROSPIKE_TYPE_PACKED)
		return begin_packed(s, head.size, in, ret);
	begin_message(a, head.size);
	return go_on(a, in, AEROSPIKE_HEAD, ret);
}

/* What the last record says at the end must be seen: else it is not known whether the answer is over. */
bool aerospike_answer_missing(struct aerospike_state *s, uint64_t n, struct message *m)
{
	struct aerospike_answer *a = &s->answer;

	if (!a->inside || a->packed || a->left < head_len(a) || n > a->left - head_len(a))
		return false;
	m->kind = MESSAGE_RESPONSE;
	a->blind = a->uncounted = true;
	a->pass = a->items = 0;
	a->have = 0;
	a->left -= n;
	return true;
}

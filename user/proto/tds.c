/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Microsoft SQL Server: TDS 7.0 to 7.4, and 8.0 inside its TLS ([MS-TDS]), and the sessions of MARS ([MC-SMP]): which packets make an exchange. Types and text are tds_wire.c,
 * detection tds_detect.c, tokens and values tds_walk.c, what the client sends tds_request.c, what the server sends tds_response.c, what is remembered tds_memory.c.
 *
 * Exchanges:
 *   login            LOGIN7 .. the DONE behind LOGINACK, or the error; operation CONNECT. What is said before it (PRELOGIN) and in between (SSPI) is passed over
 *   batch            its text .. the last DONE; several statements, and all results, are one exchange
 *   call             sp_executesql, sp_prepexec, sp_cursoropen with the statement they carry, sp_execute with the one that was prepared, others EXECUTE and their name
 *   transaction      BEGIN, COMMIT, ROLLBACK, SAVE …
 *   bulk load        INSERT BULK
 *
 * A session answers one request after the other, so responses have no key but the session's number and turn, where there are several. An attention (the client
 * cancels) belongs to the request under way; what confirms it where that was answered already belongs to nothing.
 *
 * TLS of a connection begins within packets of PRELOGIN. If all of the connection is to be encrypted nothing more can be read; if only the login is, it is a request whose
 * contents are not known, and what follows is read.
 */
#include "proto/tds_state.h"

enum { TLS_HEAD = 5, OPTION = 5, OPTION_ENCRYPTION = 1, OPTION_INSTANCE = 2, OPTIONS_END = 0xff };

static bool is_tls(struct slice in) { return in.len >= 2 && in.ptr[0] >= 0x14 && in.ptr[0] <= 0x17 && in.ptr[1] == 3; }

void tds_add_namespace(struct tds_state *s, struct message *m)
{
	struct tds_memory *y = s->memory;
	size_t instance = strlen(y->instance), database = strlen(y->database), at = 0;

	if (!database)
		return;
	if (instance) {
		memcpy(y->name, y->instance, instance);
		y->name[instance] = '|';
		at = instance + 1;
	}
	memcpy(y->name + at, y->database, database);
	message_add_str(m, ATTR_DB_NAMESPACE, slice_make(y->name, at + database));
}

/* --- what comes before the login --- */

/* Kind, offset and length of each option, then their values. */
static void read_prelogin(struct tds_state *s, enum proto_side side, struct slice in)
{
	for (size_t at = 0; in.len - at >= OPTION && in.ptr[at] != OPTIONS_END; at += OPTION) {
		size_t from = load_be16(in.ptr + at + 1), len = load_be16(in.ptr + at + 3);
		struct slice value = slice_head(slice_from(in, from), len);

		if (in.ptr[at] == OPTION_ENCRYPTION && value.len && side == PROTO_TO_CLIENT)
			s->encryption = value.ptr[0] & 0x1f;
		if (in.ptr[at] != OPTION_INSTANCE || side == PROTO_TO_CLIENT)
			continue;
		size_t n = value.len ? strnlen((const char *)value.ptr, value.len) : 0;
		if (n == 0 || n >= sizeof(s->memory->instance) || slice_ieq(slice_head(value, n), SLICE_LIT("mssqlserver")))
			continue;
		memcpy(s->memory->instance, value.ptr, n);
		s->memory->instance[n] = 0;
	}
}

static enum parse_status oneway(struct parse_result *ret, size_t consumed, uint64_t skip)
{
	ret->message.kind = MESSAGE_ONEWAY;
	ret->message.flags |= MESSAGE_BEGIN | MESSAGE_END | (skip ? MESSAGE_END_AFTER_SKIP : 0);
	ret->consumed = consumed;
	ret->skip = skip;
	return PARSE_MESSAGE;
}

static bool encrypts_all(const struct tds_state *s) { return s->encryption == TDS_ENCRYPT_ON || s->encryption == TDS_ENCRYPT_REQUIRED; }

/* One packet of PRELOGIN, or of its answer; TLS has some of its own. */
static enum parse_status parse_prelogin(struct tds_state *s, enum proto_side side, struct slice in, struct parse_result *ret)
{
	size_t total = load_be16(in.ptr + 2), wanted = total < TDS_HEAD + TDS_GATHER ? total : TDS_HEAD + TDS_GATHER;

	ret->need = wanted;
	if (in.len < wanted)
		return PARSE_NEED_MORE;
	if (side == PROTO_TO_CLIENT)
		s->found = false;
	struct slice body = slice_make(in.ptr + TDS_HEAD, wanted - TDS_HEAD);
	if (is_tls(body)) {
		s->secret = true;
		if (encrypts_all(s))
			ret->message.flags |= MESSAGE_SWITCH;
	} else if (body.len && body.ptr[0] == 0) {
		read_prelogin(s, side, body);
	} else if (!s->secret) {
		return PARSE_BAD;
	}
	return oneway(ret, wanted, total - wanted);
}

/* A record of TLS where a packet would begin. */
static enum parse_status parse_secret(struct tds_state *s, struct tds_session *x, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct message *m = &ret->message;

	ret->need = TLS_HEAD;
	if (in.len < TLS_HEAD)
		return PARSE_NEED_MORE;
	ret->consumed = TLS_HEAD;
	ret->skip = load_be16(in.ptr + 3);
	if (side == PROTO_TO_CLIENT && s->login_sent && x->busy) { /* the answer is not in clear: nothing is */
		m->flags |= MESSAGE_SWITCH;
		return oneway(ret, TLS_HEAD, ret->skip);
	}
	if (side == PROTO_TO_CLIENT || s->login_sent || in.ptr[0] != 0x17)
		return PARSE_SKIP;
	s->login_sent = x->busy = true;
	x->turn = ++s->memory->turns;
	x->asked = TDS_ASKED_LOGIN;
	m->kind = MESSAGE_REQUEST;
	m->flags |= MESSAGE_BEGIN | MESSAGE_END | (ret->skip ? MESSAGE_END_AFTER_SKIP : 0);
	tds_add_text(m, ATTR_DB_OPERATION_NAME, "CONNECT");
	return PARSE_MESSAGE;
}

/* --- where messages begin --- */

/* A session answers before it is asked again: what was asked before and is still open has lost its end. True: that is said first. */
static bool begin_request(struct tds_state *s, struct tds_session *x, struct parse_result *ret)
{
	struct tds_way *answer = &x->way[PROTO_TO_CLIENT];
	bool early = x->early && ret->time_ns && ret->time_ns <= s->early_ns;

	x->early = false;
	if (!early && (x->stale || answer->open || (x->busy && !s->mars))) {
		answer->open = false;
		if (s->mars && x->busy) {
			x->busy = x->stale = false;
			ret->message.flags |= MESSAGE_ABORT | MESSAGE_UNSURE;
			return true;
		}
		if (!s->mars)
			ret->message.flags |= MESSAGE_FLUSH;
	}
	x->stale = x->attention = false;
	if (early)
		return false;
	x->turn = ++s->memory->turns;
	x->busy = true;
	x->asked = TDS_ASKED_UNKNOWN;
	return false;
}

/* Of the first packet's type. True: an event of its own comes first. */
static bool begin_to_server(struct tds_state *s, struct tds_session *x, struct parse_result *ret)
{
	struct tds_way *way = &x->way[PROTO_TO_SERVER];

	way->aside = way->type == TDS_ATTENTION || way->type == TDS_SSPI || way->type == TDS_FEDAUTH;
	if (way->aside) {
		x->attention |= way->type == TDS_ATTENTION;
		return false;
	}
	if (begin_request(s, x, ret))
		return true;
	tds_request_begin(x, way->type);
	return false;
}

static void begin_to_client(struct tds_state *s, struct tds_session *x, const struct parse_result *ret)
{
	struct tds_way *way = &x->way[PROTO_TO_CLIENT];

	way->blind = s->found && !s->found_first;
	way->aside = way->blind || (!x->busy && x->attention); /* blind: the rest of an answer, of which the head was lost */
	if (!x->busy && !way->aside) {
		x->turn = ++s->memory->turns;
		x->busy = x->early = true;
		x->asked = TDS_ASKED_UNKNOWN;
		s->early_ns = ret->time_ns;
	}
	tds_response_begin(x);
}

/* --- packets --- */

static uint64_t key_of(const struct tds_session *x) { return (uint64_t)x->turn << 16 | x->id; }

/* The header of a packet. True: an event comes first. */
static bool parse_head(struct tds_state *s, struct tds_session *x, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct tds_way *way = &x->way[side];

	if (!way->open || way->type != in.ptr[0]) {
		way->type = in.ptr[0];
		way->blind = false;
		if (side == PROTO_TO_SERVER && begin_to_server(s, x, ret))
			return true;
		if (side == PROTO_TO_CLIENT)
			begin_to_client(s, x, ret);
		ret->message.flags |= MESSAGE_BEGIN;
		way->open = true;
	}
	way->left = load_be16(in.ptr + 2) - (uint32_t)TDS_HEAD;
	way->eom = in.ptr[1] & TDS_EOM;
	if (side == PROTO_TO_CLIENT)
		s->found = false;
	return false;
}

/* Where only a message's end is looked at: bytes of this packet in front of it. */
static uint64_t in_front(const struct tds_state *s, const struct tds_session *x)
{
	const struct tds_way *way = &x->way[PROTO_TO_CLIENT];
	size_t tail = tds_tail_len(s), have = x->walk[PROTO_TO_CLIENT].have, end = have < tail ? tail - have : 0;

	return way->eom && way->left >= end ? way->left - end : way->left;
}

static void walk_blind(struct tds_state *s, struct tds_session *x, struct slice *in)
{
	struct tds_way *way = &x->way[PROTO_TO_CLIENT];
	uint64_t front = in_front(s, x);
	size_t n = front < in->len ? (size_t)front : in->len, before;

	*in = slice_from(*in, n);
	way->left -= (uint32_t)n;
	before = in->len;
	if (before == 0)
		return;
	const uint8_t *p = tds_take(&x->walk[PROTO_TO_CLIENT], in, tds_tail_len(s));
	way->left -= (uint32_t)(before - in->len);
	if (p)
		tds_response_tail(s, x, p);
}

/* Consumes what is there of the packet. */
static void walk(struct tds_state *s, struct tds_session *x, enum proto_side side, struct slice in)
{
	struct tds_way *way = &x->way[side];
	size_t before = in.len;

	if (side == PROTO_TO_SERVER) {
		if (!way->aside)
			tds_request_walk(s, x, &in);
		way->left -= (uint32_t)before;
		return;
	}
	if (!way->blind) {
		tds_response_walk(s, x, &in);
		way->left -= (uint32_t)(before - in.len);
		if (!way->blind)
			return;
		x->walk[side].have = 0;
	}
	walk_blind(s, x, &in);
}

/* What of the packet's rest need not be seen. */
static uint64_t unseen(const struct tds_state *s, struct tds_session *x, enum proto_side side, uint64_t limit)
{
	struct tds_way *way = &x->way[side];
	struct tds_walk *w = &x->walk[side];
	uint64_t n = way->left < limit ? way->left : limit;

	if (side == PROTO_TO_CLIENT && way->blind) {
		uint64_t front = in_front(s, x);
		return front < n ? front : n;
	}
	if (way->aside)
		return side == PROTO_TO_SERVER ? n : 0;
	if (w->have || w->text || w->number_at < 8 || !w->pass)
		return 0;
	if (w->pass < n)
		n = w->pass;
	w->pass -= n;
	return n;
}

/* A message's end: what is said of it. False: it goes on with another one. */
static bool end_message(struct tds_state *s, struct tds_session *x, enum proto_side side, struct message *m)
{
	struct tds_way *way = &x->way[side];

	if (way->aside) {
		if (side == PROTO_TO_CLIENT)
			x->attention = false;
	} else if (side == PROTO_TO_SERVER) {
		tds_request_end(s, x, m);
	} else {
		if (!tds_response_end(s, x, m))
			return false;
		x->busy = x->stale = false;
		if (x->cancelled)
			x->attention = false;
	}
	way->open = false;
	return true;
}

static enum parse_status emit(const struct tds_state *s, const struct tds_session *x, enum proto_side side, struct parse_result *ret)
{
	struct message *m = &ret->message;

	if (x->way[side].aside) {
		m->kind = MESSAGE_ONEWAY;
		ret->apart = s->mars;
		return m->flags ? PARSE_MESSAGE : PARSE_SKIP;
	}
	m->kind = side == PROTO_TO_SERVER ? MESSAGE_REQUEST : MESSAGE_RESPONSE;
	m->keyed = s->mars;
	m->key = s->mars ? key_of(x) : 0;
	return m->flags || s->mars ? PARSE_MESSAGE : PARSE_SKIP;
}

/* At most `limit` bytes of in and what follows are of this session. */
static enum parse_status parse_session(struct tds_state *s, struct tds_session *x, enum proto_side side, struct slice in, uint64_t limit, struct parse_result *ret)
{
	struct tds_way *way = &x->way[side];
	size_t used = 0;

	if (way->left == 0) {
		if (s->secret && !s->mars && is_tls(in))
			return parse_secret(s, x, side, in, ret);
		ret->need = TDS_HEAD + (side == PROTO_TO_CLIENT);
		if (in.len < ret->need)
			return limit < ret->need ? PARSE_BAD : PARSE_NEED_MORE;
		if (!tds_is_head(in, side))
			return PARSE_BAD;
		if (in.ptr[0] == TDS_PRELOGIN || (side == PROTO_TO_CLIENT && !way->open && in.ptr[TDS_HEAD] == 0))
			return s->mars ? PARSE_BAD : parse_prelogin(s, side, in, ret);
		if (parse_head(s, x, side, in, ret))
			return emit(s, x, side, ret);
		used = TDS_HEAD;
	}
	uint64_t room = limit - used;
	struct slice view = slice_head(slice_from(in, used), way->left < room ? way->left : (size_t)room);
	walk(s, x, side, view);
	ret->consumed = used + view.len;
	ret->skip = unseen(s, x, side, room - view.len);
	way->left -= (uint32_t)ret->skip;
	if (way->left == 0 && way->eom && end_message(s, x, side, &ret->message))
		ret->message.flags |= MESSAGE_END | (ret->skip ? MESSAGE_END_AFTER_SKIP : 0);
	return emit(s, x, side, ret);
}

/* --- sessions of MARS --- */

/* It has to go for want of room, and what is open of it is not found any more. */
static enum parse_status leave(struct tds_session *x, enum proto_side side, struct parse_result *ret)
{
	struct message *m = &ret->message;

	x->busy = false;
	m->kind = side == PROTO_TO_SERVER ? MESSAGE_REQUEST : MESSAGE_RESPONSE;
	m->keyed = true;
	m->key = key_of(x);
	m->flags = MESSAGE_ABORT | MESSAGE_UNSURE;
	return PARSE_MESSAGE;
}

static enum parse_status parse_frame(struct tds_state *s, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct tds_frame *f = &s->frame[side];
	struct tds_session *x;
	uint8_t type = SMP_DATA;
	size_t used = 0;

	if (f->left == 0) {
		ret->need = SMP_HEAD;
		if (in.len < ret->need)
			return PARSE_NEED_MORE;
		if (!tds_is_smp(in))
			return PARSE_BAD;
		f->session = load_le16(in.ptr + 2);
		s->mars = true;
		type = in.ptr[1];
		used = SMP_HEAD;
	}
	if ((type == SMP_SYN || type == SMP_DATA) && (x = tds_session_leaving(s->memory, f->session)))
		return leave(x, side, ret);
	if (type != SMP_DATA) {
		x = type == SMP_SYN ? tds_session_get(s->memory, f->session) : NULL;
		if (x && x->busy) /* another one begins, whose end was not seen */
			return leave(x, side, ret);
		if (x)
			tds_session_clear(x);
		ret->apart = true;
		ret->consumed = SMP_HEAD;
		return PARSE_SKIP;
	}
	x = tds_session_get(s->memory, f->session);
	size_t head = used + (x && x->way[side].left == 0 ? TDS_HEAD + (side == PROTO_TO_CLIENT) : 1u);
	uint32_t left = used ? load_le32(in.ptr + 4) - SMP_HEAD : f->left;
	if (!x)
		return PARSE_BAD;
	ret->need = head;
	if (in.len < head)
		return left < head - used ? PARSE_BAD : PARSE_NEED_MORE;
	enum parse_status status = parse_session(s, x, side, slice_head(slice_from(in, used), left), left, ret);
	if (status == PARSE_BAD || status == PARSE_NEED_MORE || (ret->message.flags & MESSAGE_ABORT))
		return status;
	f->left = left - (uint32_t)ret->consumed - (uint32_t)ret->skip;
	ret->consumed += used;
	return status;
}

/* --- loss --- */

static void lose(struct tds_state *s, struct tds_session *x, enum proto_side side)
{
	struct tds_way *way = &x->way[side];
	bool open = way->open && !way->aside;

	way->left = 0;
	x->stale = true;
	tds_walk_begin(&x->walk[side]);
	if (side == PROTO_TO_SERVER) {
		way->open = false;
		return;
	}
	if (!x->busy || x->asked == TDS_ASKED_UNKNOWN || x->moves) /* it may have told of another database */
		s->memory->database[0] = 0;
	x->ncolumns = 0;
	way->blind = true;
	way->open = open; /* its end may still come */
	x->has_rows = x->has_affected = false;
}

static void tds_lost(void *state, enum proto_side side)
{
	struct tds_state *s = state;

	if (!s->memory)
		return;
	s->frame[side].left = 0;
	if (!s->mars) {
		lose(s, &s->memory->first, side);
		return;
	}
	for (uint32_t i = 0; i < TDS_SESSIONS - 1; i++)
		if (s->memory->others[i])
			lose(s, s->memory->others[i], side);
}

static size_t tds_resync(void *state, enum proto_side side, struct slice in)
{
	struct tds_state *s = state;
	bool first;
	size_t at = tds_find(in, side, s->mars, s->version_known && s->version.since_72, &first);

	if (at < in.len && side == PROTO_TO_CLIENT) {
		s->found = true;
		s->found_first = first;
	}
	return at;
}

/* --- the parser --- */

static enum parse_status tds_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct tds_state *s = state;

	if (!s->memory)
		return PARSE_BAD;
	if (!s->version_known)
		s->version = (struct tds_version){ true, true };
	if (s->mars || (in.len && in.ptr[0] == SMP && s->memory->first.way[side].left == 0))
		return parse_frame(s, side, in, ret);
	return parse_session(s, &s->memory->first, side, in, UINT64_MAX, ret);
}

static void *tds_open(struct proto_memory *memory) { return tds_memory_new(memory); }

static void tds_close(void *external) { tds_memory_free(external); }

const struct proto_ops proto_tds = {
	.name = "tds",
	.id = PLUMB_PROTO_TDS,
	.state_size = sizeof(struct tds_state),
	.detect = tds_detect,
	.parse = tds_parse,
	.resync = tds_resync,
	.lost = tds_lost,
	.resync_keep = TDS_RESYNC_KEEP,
	.open = tds_open,
	.close = tds_close,
	/* Tokens and packets begin anywhere in an I/O, and a response ends with its last bytes. */
	.want = { PLUMB_POLICY_ALL, PLUMB_POLICY_ALL },
};

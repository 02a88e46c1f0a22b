/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ZooKeeper's client protocol: what messages look like is zookeeper_wire.c, what may be one zookeeper_detect.c.
 *
 * A request is an exchange with the answer of its number (xid). Pings, credentials and watches that are set again have a number for all of their kind, and are
 * answered in order; the request that begins a session has none, and stands for one that no other has. What a watch tells (xid -1) belongs to no exchange.
 *
 * Shown is what is asked and the path, as keys of other stores are; "?" stands for data. Of a multi each part, as far as there is room, and how many there are.
 * Passwords, credentials, tokens, access lists and data are passed over.
 *
 * Errors: the number of an answer, by its name in KeeperException.Code; of a multi the first of its parts, as the answer itself has none. That there is no node is what
 * `exists` asks, and no failure. A session that is over is told by an answer without a time-out.
 *
 * An answer does not say what was asked: it is remembered for as many requests as a server takes of all its clients before it stops to read.
 */
#include "proto/memory.h"
#include "proto/zookeeper_wire.h"

enum {
	DUES = 1024,      /* zookeeper.globalOutstandingLimit is 1000 */
	DUE_PLACE = 5,    /* bits of what was asked; the others are of the number */
	TEXT_MAX = 512,
	NONODE = -101,
	RESYNC_DISTANCE = 4096,
	RESYNC_KEEP = 64,
};
_Static_assert(ZOOKEEPER_OPS < 1 << DUE_PLACE, "no room for what was asked");

static const uint64_t CONNECT_KEY = 1ull << 32;

struct zookeeper_memory {
	struct proto_memory *budget; /* not owned */
	uint16_t due[DUES];          /* by the low bits of the number */
	char text[TEXT_MAX];         /* of the request that is being read */
	uint16_t text_len;
	bool text_full;
};

/* The multi under way in one direction, or its answer. */
struct way {
	struct zookeeper_walk walk;
	uint64_t key;
	const struct zookeeper_op *part; /* under way */
	uint32_t left;     /* bytes of the message still to come */
	uint32_t parts;
	int16_t error;     /* of the first part that has one */
	bool open;
	bool over;         /* nothing of interest follows in it */
	bool unknown;      /* not all of its parts were seen */
	bool malformed;
};

struct zookeeper_state {
	struct zookeeper_memory *memory; /* external; NULL without memory: nothing is parsed then */
	struct way way[2];
	uint32_t xid;                    /* of the latest request that is counted */
	bool asked;                      /* there was one */
	char number[8];
};
_Static_assert(sizeof(struct zookeeper_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

/* ---- what is due ---- */

static uint16_t due_of(uint32_t xid, unsigned place) { return (uint16_t)((xid / DUES) << DUE_PLACE | place); }

static void due_set(struct zookeeper_memory *m, uint32_t xid, const struct zookeeper_op *op)
{
	m->due[xid % DUES] = due_of(xid, zookeeper_op_place(op));
}

static const struct zookeeper_op *due_take(struct zookeeper_memory *m, uint32_t xid)
{
	uint16_t due = m->due[xid % DUES];
	unsigned place = due & ((1u << DUE_PLACE) - 1);

	if (due != due_of(xid, place))
		return NULL;
	m->due[xid % DUES] = 0;
	return zookeeper_op_at(place);
}

/* ---- what is shown ---- */

static void text_add(struct zookeeper_memory *m, struct slice s)
{
	for (size_t i = 0; i < s.len; i++) /* whatever a path is, it stays one printable line */
		m->text[m->text_len++] = s.ptr[i] < ' ' || s.ptr[i] == 127 ? '?' : (char)s.ptr[i];
}

static bool takes_data(const struct zookeeper_op *op) { return strchr(op->request, 'd') != NULL; }

/* "setData /orders ?", with what stands between two in front. */
static void text_request(struct zookeeper_memory *m, const char *before, const struct zookeeper_op *op, const struct zookeeper_field *path)
{
	struct slice shown = slice_head(path->text, ZOOKEEPER_PATH_SHOWN);
	bool cut = path->skip > shown.len;

	if (m->text_full || m->text_len + strlen(before) + strlen(op->name) + 1 + shown.len + (cut ? 3 : 0) + 2 > TEXT_MAX - 5) {
		if (!m->text_full)
			text_add(m, SLICE_LIT(", ..."));
		m->text_full = true;
		return;
	}
	text_add(m, slice_str(before));
	text_add(m, slice_str(op->name));
	text_add(m, shown.len ? SLICE_LIT(" ") : SLICE_NONE);
	text_add(m, shown);
	text_add(m, cut ? SLICE_LIT("...") : SLICE_NONE);
	text_add(m, takes_data(op) ? SLICE_LIT(" ?") : SLICE_NONE);
}

static void text_begin(struct zookeeper_memory *m)
{
	m->text_len = 0;
	m->text_full = false;
}

static struct slice text_of(const struct zookeeper_memory *m) { return slice_make(m->text, m->text_len); }

/* ---- errors ---- */

static struct slice number_text(int32_t error, char to[8])
{
	char *p = to + 8;
	uint32_t n = 0u - (uint32_t)error;

	do
		*--p = (char)('0' + n % 10);
	while (n /= 10);
	*--p = '-';
	return slice_make(p, (size_t)(to + 8 - p));
}

static void fail(struct message *m, struct slice type)
{
	m->flags |= MESSAGE_ERROR;
	memcpy(m->error_type, type.ptr, type.len);
	m->error_type[type.len] = '\0';
}

/* error: negative, and of three digits at most. */
static void add_error(struct zookeeper_state *s, const struct zookeeper_op *asked, int32_t error, struct message *m)
{
	const char *name = zookeeper_error_name(error);
	struct slice number = number_text(error, s->number);

	message_add_str(m, ATTR_DB_RESPONSE_STATUS_CODE, number);
	if (error != NONODE || !asked || asked->code != 3)
		fail(m, name ? slice_str(name) : number);
}

/* ---- multi ---- */

static void part_begins(struct way *w, enum proto_side side, const struct zookeeper_field *f)
{
	w->part = f->op;
	if (side == PROTO_TO_SERVER)
		w->parts += f->op != NULL;
	else if (!f->op && w->walk.multi && w->error == 0 && f->number < 0 && f->number > -256)
		w->error = (int16_t)f->number;
}

static void see(struct zookeeper_memory *m, struct way *w, enum proto_side side, const struct zookeeper_field *f)
{
	if (f->type == 'h')
		part_begins(w, side, f);
	else if (f->type == 'p' && side == PROTO_TO_SERVER && w->part)
		text_request(m, w->parts == 1 ? " " : ", ", w->part, f);
}

static void event_of(const struct way *w, enum proto_side side, struct message *m)
{
	m->kind = side == PROTO_TO_SERVER ? MESSAGE_REQUEST : MESSAGE_RESPONSE;
	m->keyed = true;
	m->key = w->key;
}

static void end(struct zookeeper_state *s, struct way *w, enum proto_side side, struct message *m)
{
	w->open = false;
	m->flags |= MESSAGE_END;
	if (side == PROTO_TO_SERVER) {
		if (!w->unknown && w->parts > 1) /* one is no batch, say the conventions */
			message_add_int(m, ATTR_DB_OPERATION_BATCH_SIZE, w->parts);
		if (s->memory->text_len)
			message_add_str(m, ATTR_RAW_STATEMENT, text_of(s->memory));
	} else if (w->error) {
		add_error(s, NULL, w->error, m);
	} else {
		m->flags |= w->unknown ? MESSAGE_UNSURE : 0;
	}
	if (w->malformed)
		message_add_str(m, ATTR_PLUMB_INCOMPLETE, SLICE_LIT("malformed"));
}

/* One step at the start of `in`. False: `need` bytes are wanted. */
static bool step(struct zookeeper_state *s, struct way *w, enum proto_side side, struct slice in, struct zookeeper_field *f)
{
	if (!w->over) {
		uint32_t shown = side == PROTO_TO_SERVER ? ZOOKEEPER_PATH_SHOWN : 0;
		switch (zookeeper_walk_step(&w->walk, in, w->left, shown, f)) {
		case ZOOKEEPER_FIELD: see(s->memory, w, side, f); return true;
		case ZOOKEEPER_MORE: return false;
		case ZOOKEEPER_BAD: w->malformed = w->unknown = true; break;
		case ZOOKEEPER_END: break;
		}
		w->over = true;
	}
	f->consumed = 0;
	f->skip = w->left;
	return true;
}

/* From in[at] on. What lies behind `in` and is of no interest is skipped, and if that is all, the message ends there. */
static enum parse_status run(struct zookeeper_state *s, enum proto_side side, struct slice in, size_t at, struct parse_result *ret)
{
	struct way *w = &s->way[side];
	struct zookeeper_field f;
	size_t start = at;

	f.need = 0;
	while (w->left && ret->skip == 0) {
		if (!step(s, w, side, slice_head(slice_from(in, at), w->left), &f))
			break;
		w->left -= f.consumed + f.skip;
		at += f.consumed;
		ret->skip = f.skip > in.len - at ? f.skip - (in.len - at) : 0;
		at += f.skip - ret->skip;
	}
	ret->consumed = at;
	event_of(w, side, &ret->message);
	if (w->left == 0) {
		end(s, w, side, &ret->message);
		ret->message.flags |= ret->skip ? MESSAGE_END_AFTER_SKIP : 0;
		return PARSE_MESSAGE;
	}
	if (ret->message.flags & MESSAGE_BEGIN)
		return PARSE_MESSAGE;
	if (at > start || ret->skip)
		return PARSE_SKIP;
	ret->need = f.need;
	return PARSE_NEED_MORE;
}

static enum parse_status multi(struct zookeeper_state *s, const struct zookeeper_op *op, enum proto_side side, uint64_t key, uint32_t left, struct slice in, size_t head, struct parse_result *ret)
{
	struct way *w = &s->way[side];

	*w = (struct way){ .key = key, .left = left, .open = true };
	zookeeper_walk_start(&w->walk, side == PROTO_TO_SERVER ? op->request : op->response, side == PROTO_TO_CLIENT);
	if (side == PROTO_TO_SERVER) {
		text_begin(s->memory);
		text_add(s->memory, slice_str(op->name));
	}
	return run(s, side, in, head, ret);
}

/* ---- requests ---- */

static bool wants(struct slice in, size_t n, struct parse_result *ret)
{
	ret->need = n;
	return in.len < n;
}

/* The whole message is told by its first `taken` bytes. */
static enum parse_status whole(uint32_t size, size_t taken, struct slice in, struct parse_result *ret)
{
	size_t frame = (size_t)size + ZOOKEEPER_SIZE;

	ret->consumed = in.len < frame ? taken : frame;
	ret->skip = frame - ret->consumed;
	ret->message.flags |= MESSAGE_END | (ret->skip ? MESSAGE_END_AFTER_SKIP : 0);
	return PARSE_MESSAGE;
}

static void begin(struct message *m, enum message_kind kind, uint64_t key)
{
	m->kind = kind;
	m->flags = MESSAGE_BEGIN;
	m->keyed = kind != MESSAGE_ONEWAY;
	m->key = m->keyed ? key : 0;
}

static enum parse_status connect(struct slice in, struct parse_result *ret)
{
	begin(&ret->message, MESSAGE_REQUEST, CONNECT_KEY);
	message_add_str(&ret->message, ATTR_DB_OPERATION_NAME, slice_str(zookeeper_op_at(1)->name));
	return whole(load_be32(in.ptr), ZOOKEEPER_CONNECT, in, ret);
}

/* Of one path. */
static enum parse_status simple(struct zookeeper_state *s, const struct zookeeper_request *r, struct slice in, struct parse_result *ret)
{
	struct zookeeper_walk walk;
	struct zookeeper_field f;
	size_t taken = ZOOKEEPER_HEAD;

	if (r->op->request[0] == 'p') {
		zookeeper_walk_start(&walk, r->op->request, false);
		switch (zookeeper_walk_step(&walk, slice_from(in, ZOOKEEPER_HEAD), r->size - (ZOOKEEPER_HEAD - ZOOKEEPER_SIZE), ZOOKEEPER_PATH_SHOWN, &f)) {
		case ZOOKEEPER_MORE: ret->need = ZOOKEEPER_HEAD + f.need; return PARSE_NEED_MORE;
		case ZOOKEEPER_BAD: case ZOOKEEPER_END: return PARSE_BAD;
		case ZOOKEEPER_FIELD: break;
		}
		taken += 4 + slice_head(f.text, ZOOKEEPER_PATH_SHOWN).len;
		text_begin(s->memory);
		text_request(s->memory, "", r->op, &f);
	}
	begin(&ret->message, MESSAGE_REQUEST, (uint32_t)r->xid);
	message_add_str(&ret->message, ATTR_DB_OPERATION_NAME, slice_str(r->op->name));
	if (r->op->request[0] == 'p')
		message_add_str(&ret->message, ATTR_RAW_STATEMENT, text_of(s->memory));
	return whole(r->size, taken, in, ret);
}

static enum parse_status request(struct zookeeper_state *s, struct slice in, struct parse_result *ret)
{
	struct zookeeper_request r;
	enum parse_status status;

	if (wants(in, ZOOKEEPER_HEAD, ret))
		return PARSE_NEED_MORE;
	bool first = load_be32(in.ptr + 4) == 0 && load_be32(in.ptr) >= ZOOKEEPER_CONNECT - ZOOKEEPER_SIZE;
	if (first && wants(in, ZOOKEEPER_CONNECT, ret))
		return PARSE_NEED_MORE;
	if (first && zookeeper_is_connect(in))
		return connect(in, ret);
	if (!zookeeper_request_read(in, &r))
		return PARSE_BAD;
	if (r.op->request[0] == 'm') {
		begin(&ret->message, MESSAGE_REQUEST, (uint32_t)r.xid);
		message_add_str(&ret->message, ATTR_DB_OPERATION_NAME, slice_str(r.op->name));
		status = multi(s, r.op, PROTO_TO_SERVER, (uint32_t)r.xid, r.size - (ZOOKEEPER_HEAD - ZOOKEEPER_SIZE), in, ZOOKEEPER_HEAD, ret);
	} else {
		status = simple(s, &r, in, ret);
	}
	if (status != PARSE_MESSAGE || r.xid < 0)
		return status;
	s->xid = (uint32_t)r.xid;
	s->asked = true;
	due_set(s->memory, s->xid, r.op);
	return status;
}

/* ---- answers ---- */

static enum parse_status connected(struct slice in, struct parse_result *ret)
{
	begin(&ret->message, MESSAGE_RESPONSE, CONNECT_KEY);
	if (load_be32(in.ptr + 8) == 0)
		fail(&ret->message, SLICE_LIT("SESSIONEXPIRED"));
	return whole(load_be32(in.ptr), ZOOKEEPER_CONNECTED, in, ret);
}

/* A list of names begins with their number. */
static bool is_list(const struct zookeeper_op *op) { return op && op->response[0] == 'V'; }

static enum parse_status response(struct zookeeper_state *s, struct slice in, struct parse_result *ret)
{
	struct zookeeper_reply r;

	if (wants(in, ZOOKEEPER_REPLY_HEAD, ret))
		return PARSE_NEED_MORE;
	bool first = load_be32(in.ptr + 4) == 0 && load_be32(in.ptr) >= ZOOKEEPER_CONNECTED - ZOOKEEPER_SIZE;
	if (first && wants(in, ZOOKEEPER_CONNECTED, ret))
		return PARSE_NEED_MORE;
	if (first && zookeeper_is_connected(in))
		return connected(in, ret);
	if (!zookeeper_reply_read(in, &r))
		return PARSE_BAD;
	uint32_t left = r.size - (ZOOKEEPER_REPLY_HEAD - ZOOKEEPER_SIZE);
	if (r.error == 0 && left >= 4 && wants(in, ZOOKEEPER_REPLY_HEAD + 4, ret))
		return PARSE_NEED_MORE;
	const struct zookeeper_op *op = r.xid >= 0 ? due_take(s->memory, (uint32_t)r.xid) : NULL;
	begin(&ret->message, r.xid == ZOOKEEPER_XID_EVENT ? MESSAGE_ONEWAY : MESSAGE_RESPONSE, (uint32_t)r.xid);
	if (r.error)
		add_error(s, op, r.error, &ret->message);
	else if (op && op->response[0] == 'm')
		return multi(s, op, PROTO_TO_CLIENT, (uint32_t)r.xid, left, in, ZOOKEEPER_REPLY_HEAD, ret);
	else if (is_list(op) && left >= 4 && in.ptr[ZOOKEEPER_REPLY_HEAD] < 0x80)
		message_add_int(&ret->message, ATTR_DB_RESPONSE_RETURNED_ROWS, load_be32(in.ptr + ZOOKEEPER_REPLY_HEAD));
	return whole(r.size, ZOOKEEPER_REPLY_HEAD, in, ret);
}

static enum parse_status zookeeper_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct zookeeper_state *s = state;

	if (!s->memory)
		return PARSE_BAD;
	if (s->way[side].open)
		return run(s, side, in, 0, ret);
	return side == PROTO_TO_SERVER ? request(s, in, ret) : response(s, in, ret);
}

/* ---- loss ---- */

static bool zookeeper_missing(void *state, enum proto_side side, uint64_t n, struct message *ret_message)
{
	struct zookeeper_state *s = state;
	struct way *w = &s->way[side];

	if (!w->open || n > w->left)
		return false;
	w->left -= (uint32_t)n;
	w->unknown |= !w->over;
	w->over = true;
	event_of(w, side, ret_message);
	if (w->left == 0)
		end(s, w, side, ret_message);
	return true;
}

static void zookeeper_lost(void *state, enum proto_side side) { ((struct zookeeper_state *)state)->way[side].open = false; }

/* A frame that says little of itself is one if its number is near those that are counted. */
static bool is_request(const struct zookeeper_state *s, struct slice in)
{
	int score = zookeeper_detect(in, PROTO_TO_SERVER);

	if (score >= DETECT_LIKELY)
		return true;
	return in.len >= ZOOKEEPER_HEAD && s->asked && load_be32(in.ptr + 4) - s->xid - 1 < RESYNC_DISTANCE && score > DETECT_NO;
}

static bool is_response(const struct zookeeper_state *s, struct slice in)
{
	int score = zookeeper_detect(in, PROTO_TO_CLIENT);

	if (score >= DETECT_LIKELY)
		return true;
	return score == DETECT_WEAK && (s->asked ? s->xid - load_be32(in.ptr + 4) < RESYNC_DISTANCE : load_be64(in.ptr + 8) != 0);
}

static size_t zookeeper_resync(void *state, enum proto_side side, struct slice in)
{
	const struct zookeeper_state *s = state;

	for (size_t at = 0; at < in.len; at++) {
		struct slice rest = slice_from(in, at);
		if (rest.ptr[0] == 0 && (side == PROTO_TO_SERVER ? is_request(s, rest) : is_response(s, rest)))
			return at;
	}
	return in.len;
}

static void *zookeeper_open(struct proto_memory *budget)
{
	struct zookeeper_memory *m = proto_memory_get(budget, sizeof(*m));

	if (m)
		*m = (struct zookeeper_memory){ .budget = budget };
	return m;
}

static void zookeeper_close(void *external)
{
	struct zookeeper_memory *m = external;

	if (m)
		proto_memory_put(m->budget, m);
}

const struct proto_ops proto_zookeeper = {
	.name = "zookeeper",
	.id = PLUMB_PROTO_ZOOKEEPER,
	.state_size = sizeof(struct zookeeper_state),
	.detect = zookeeper_detect,
	.parse = zookeeper_parse,
	.resync = zookeeper_resync,
	.lost = zookeeper_lost,
	.missing = zookeeper_missing,
	.resync_keep = RESYNC_KEEP,
	.open = zookeeper_open,
	.close = zookeeper_close,
	/* Messages are small, and a server gathers its answers in 64 KiB before it writes. */
	.want = { 65536, 65536 },
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ZooKeeper for shared recordings: see masker.h for what stays. Of a message that is lengths, numbers of elements, what is asked, errors, time-outs and the slashes of paths. All other
 * numbers become zero, all texts, data and credentials "x".
 */
#include "proto/masker_way.h"
#include "proto/zookeeper_wire.h"

enum state { HEAD, FIELD, REST };
enum { DUE = 64, FIRST_KEPT = ZOOKEEPER_FRAME_MAX >> 24 };

/* mask_way.memory */
struct way {
	struct zookeeper_walk walk;
	uint32_t skip;  /* bytes of a text to come */
	char skip_type;
	bool connect, event; /* of these the numbers stay */
};
_Static_assert(sizeof(struct way) <= sizeof(((struct mask_way *)0)->memory), "no room");

/* mask_conn.memory: requests by the low bits of their numbers, so that an answer's layout is known if not too many are under way. */
struct due {
	uint8_t number; /* the bits above them */
	uint8_t place;  /* of what was asked */
};
struct conn {
	struct due due[DUE];
};
_Static_assert(sizeof(struct conn) <= sizeof(((struct mask_conn *)0)->memory), "no room");

static struct way *way_of(struct mask_way *y)
{
	void *p = y->memory;

	return p;
}

static struct due *due_of(struct mask_conn *c, uint32_t xid)
{
	void *p = c->memory;
	struct conn *conn = p;

	return &conn->due[xid % DUE];
}

static void took(struct mask_way *y, uint64_t n)
{
	y->remain -= n;
	if (y->remain)
		return;
	y->state = HEAD;
	y->digits = 0;
}

/* `left` bytes of this layout follow; NULL: of one that is not known. */
static void body(struct mask_way *y, const char *layout, bool response, uint32_t left)
{
	struct way *w = way_of(y);

	*w = (struct way){ .skip_type = 'd' };
	if (layout)
		zookeeper_walk_start(&w->walk, layout, response);
	y->digits = 0;
	y->remain = left;
	y->state = !left ? HEAD : layout ? FIELD : REST;
}

/* --- heads --- */

static void session_begins(struct mask_way *y, bool request, uint32_t left)
{
	const struct zookeeper_op *op = zookeeper_op_at(1);

	body(y, request ? op->request + 1 : op->response + 1, !request, left); /* the version is read */
	way_of(y)->connect = true;
}

static void request_begins(struct mask_conn *c, struct mask_way *y)
{
	struct zookeeper_request r;

	if (!zookeeper_request_read(slice_make(y->word, ZOOKEEPER_HEAD), &r)) {
		y->state = MASK_LOST;
		return;
	}
	if (r.xid > 0)
		*due_of(c, (uint32_t)r.xid) = (struct due){ (uint8_t)((uint32_t)r.xid / DUE), (uint8_t)zookeeper_op_place(r.op) };
	body(y, r.op->request, false, r.size - (ZOOKEEPER_HEAD - ZOOKEEPER_SIZE));
}

static void response_begins(struct mask_conn *c, struct mask_way *y)
{
	struct zookeeper_reply r;

	if (!zookeeper_reply_read(slice_make(y->word, ZOOKEEPER_REPLY_HEAD), &r)) {
		y->state = MASK_LOST;
		return;
	}
	uint32_t left = r.size - (ZOOKEEPER_REPLY_HEAD - ZOOKEEPER_SIZE);
	if (r.xid == ZOOKEEPER_XID_EVENT) {
		body(y, ZOOKEEPER_EVENT, true, left);
		way_of(y)->event = true;
		return;
	}
	const struct due *d = due_of(c, (uint32_t)r.xid);
	bool known = r.xid > 0 && d->number == (uint8_t)((uint32_t)r.xid / DUE);
	const struct zookeeper_op *op = known ? zookeeper_op_at(d->place) : NULL;
	body(y, op ? op->response : NULL, true, left);
}

/* A small number, or one of the negative ones that there are. */
static bool outer(uint8_t b) { return b == 0 || b == 0xff; }

static uint8_t in_head(struct mask_conn *c, struct mask_way *y, bool request, uint8_t b)
{
	unsigned at = y->digits++;
	const uint8_t *head = (const uint8_t *)y->word;
	uint32_t least = request ? ZOOKEEPER_CONNECT - ZOOKEEPER_SIZE : ZOOKEEPER_CONNECTED - ZOOKEEPER_SIZE;

	y->word[at] = (char)b;
	if ((at == 0 && b > FIRST_KEPT) || (request && at >= 8 && at < 11 && !outer(b)) || (!request && at >= 16 && at < 19 && !outer(b))) {
		y->state = MASK_LOST;
		return 'x';
	}
	if (at == 7 && load_be32(head + 4) == 0 && load_be32(head) >= least)
		session_begins(y, request, load_be32(head) - 4);
	else if (at + 1 == (request ? ZOOKEEPER_HEAD : ZOOKEEPER_REPLY_HEAD) && request)
		request_begins(c, y);
	else if (at + 1 == ZOOKEEPER_REPLY_HEAD)
		response_begins(c, y);
	if (at == 4)
		return b == 0xff ? b : 0;
	return !request && at >= 8 && at < 16 ? 0 : b;
}

/* --- bodies --- */

/* Before the field is whole, so that a text in a number's place never stays. */
static uint8_t kept(const struct way *w, char type, unsigned at, uint8_t b)
{
	switch (type) {
	case 'b': case 'o': return b <= 1 ? b : 0;
	case 'l': return 0;
	case 'i':
		if (w->connect)
			return at ? b : 0;
		return w->event && (at == 3 || outer(b)) ? b : 0;
	case 'h':
		if (at == 4)
			return b <= 1 ? b : 0;
		return at == 3 || at == 8 || outer(b) ? b : 0;
	default: return at || b <= FIRST_KEPT || b == 0xff ? b : 0;
	}
}

static uint8_t in_field(struct mask_way *y, uint8_t b)
{
	struct way *w = way_of(y);
	char type = zookeeper_walk_next(&w->walk);
	unsigned at = y->digits;
	struct zookeeper_field f;

	y->word[at] = (char)b;
	y->digits = (uint8_t)(at + 1);
	switch (zookeeper_walk_step(&w->walk, slice_make(y->word, at + 1), (uint32_t)y->remain + at, 0, &f)) {
	case ZOOKEEPER_MORE: break;
	case ZOOKEEPER_BAD: case ZOOKEEPER_END:
		y->state = REST;
		took(y, 1);
		return 'x';
	case ZOOKEEPER_FIELD:
		y->digits = 0;
		w->skip = f.skip;
		w->skip_type = type;
		break;
	}
	took(y, 1);
	return kept(w, type, at, b);
}

/* A record of which only numbers follow is not read, but known. */
static void stat_begins(struct mask_way *y)
{
	struct way *w = way_of(y);
	struct zookeeper_field f;

	if (y->digits || zookeeper_walk_next(&w->walk) != 'T')
		return;
	if (zookeeper_walk_step(&w->walk, SLICE_NONE, (uint32_t)y->remain, 0, &f) != ZOOKEEPER_FIELD) {
		y->state = REST;
		return;
	}
	w->skip = f.skip;
	w->skip_type = 'T';
}

static void mask_text(uint8_t *p, size_t n, char type)
{
	for (size_t i = 0; i < n; i++)
		p[i] = type == 'T' ? 0 : type == 'p' && p[i] == '/' ? '/' : 'x';
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	bool request = y == &c->ways[0];
	struct way *w = way_of(y);

	for (size_t i = 0; i < n;) {
		if (y->state == FIELD && w->skip == 0)
			stat_begins(y);
		uint64_t skip = y->state == REST ? y->remain : y->state == FIELD ? w->skip : 0;
		if (skip) {
			size_t len = skip < n - i ? (size_t)skip : n - i;
			mask_text(p + i, len, y->state == REST ? 'd' : w->skip_type);
			if (y->state == FIELD)
				w->skip -= (uint32_t)len;
			took(y, len);
			i += len;
			continue;
		}
		switch (y->state) {
		case HEAD: p[i] = in_head(c, y, request, p[i]); break;
		case FIELD: p[i] = in_field(y, p[i]); break;
		default: p[i] = 'x'; break;
		}
		i++;
	}
}

static void hole(struct mask_way *y) { y->state = REST; }

static bool begins(struct slice in) { return zookeeper_detect(in, PROTO_TO_SERVER) >= DETECT_LIKELY || zookeeper_detect(in, PROTO_TO_CLIENT) >= DETECT_WEAK; }

static enum mask_opens opens(struct slice in) { return zookeeper_detect(in, PROTO_TO_SERVER) == DETECT_CERTAIN ? MASK_OPENS_SURELY : MASK_OPENS_NOT; }

const struct mask_ops mask_zookeeper = { .opens = opens, .begins = begins, .mask = mask, .hole = hole, .ends_with_body = true };

/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/engine.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/calls.h"
#include "proto/detect.h"
#include "proto/memory.h"
#include "proto/pairing.h"
#include "proto/proxy_header.h"

enum {
	TRIES_FRESH = 4,        /* looks at a connection seen from its start before it is given up */
	TRIES_MIDSTREAM = 16,   /* and at one that was joined in the middle of something */
	WAIT_MAX_BYTES = 4096,  /* more bytes than this do not make an unclear start clearer */
	BAD_MAX = 12,           /* PARSE_BAD, or inputs without a message start behind it, in a row before detection begins again */
	REDETECT_MAX = 2,
	IDLE_CALLS_MAX = 8,     /* messages in a row that consume nothing */
	POLICY_DOUBLE_MAX = 1 << 20, /* beyond it everything is captured */
	PARSER_BYTES_MAX = 128 << 20,
	PARSER_BYTES_KEPT = 4,  /* of which one in so many is for what connections begin with */
	LOOK_AGAIN = 16,        /* bytes that may be looked through for a message start once more, for each new one */
	LOOK_DEBT_MAX = 65536,  /* and so many besides, for dialogs of short messages */
	SKIP_TOLD_MIN = 16384,  /* of less the kernel side is not told: it has passed before the answer comes */
};

struct proto_engine {
	struct pairing pairing;
	struct calls *calls;
	struct proto_memory memory;
	struct proto_counts counts;
	bool enabled[PLUMB_PROTO_COUNT];
	struct parse_result result; /* scratch: large */
};

int proto_engine_new(const struct proto_engine_options *o, const struct proto_engine_handler *h, struct proto_engine **ret_engine)
{
	struct proto_engine *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	for (int id = 0; id < PLUMB_PROTO_COUNT; id++)
		e->enabled[id] = !o->enabled || o->enabled[id];
	e->memory.max = o->max_parser_bytes ? o->max_parser_bytes : PARSER_BYTES_MAX;
	e->memory.kept = e->memory.max / PARSER_BYTES_KEPT;
	pairing_init(&e->pairing, o, h, &e->counts);
	e->pairing.enabled = e->enabled;
	int err = calls_new(o->max_handles, &e->pairing, &e->calls);
	if (err) {
		proto_engine_free(e);
		return err;
	}
	*ret_engine = e;
	return 0;
}

void proto_engine_free(struct proto_engine *e)
{
	if (!e)
		return;
	calls_free(e->calls);
	pairing_done(&e->pairing);
	free(e);
}

static enum plumb_direction other(enum plumb_direction dir) { return dir == PLUMB_INGRESS ? PLUMB_EGRESS : PLUMB_INGRESS; }

static enum proto_side side_of(const struct connection *c, enum plumb_direction dir)
{
	bool to_server = c->role == PLUMB_ROLE_SERVER ? dir == PLUMB_INGRESS : dir == PLUMB_EGRESS;

	return to_server ? PROTO_TO_SERVER : PROTO_TO_CLIENT;
}

static struct slice waiting(const struct connection *c, enum plumb_direction dir)
{
	const struct stream *s = &c->streams[dir];

	return s->data ? slice_make(s->data, s->end - s->next) : SLICE_NONE;
}

static void ask_policy(struct proto_engine *e, const struct connection *c)
{
	struct capture capture;

	if (!e->pairing.handler.policy)
		return;
	for (int d = 0; d < 2; d++) {
		/* The highest bit tells offsets of plaintext: what was said before does not hold there. */
		uint64_t until = c->streams[d].skip_until, plain = PLUMB_PLAIN_FIRST(0);
		capture.until[d] = c->plain ? until | plain : until < plain ? until : plain - 1;
		capture.want[d] = c->progress[d].want;
	}
	e->pairing.handler.policy(e->pairing.handler.ctx, c->sock, &capture);
}

/* The socket may live on, in a new life even: what was not needed says nothing of what comes. */
static void forget_policy(struct proto_engine *e, const struct connection *c)
{
	bool ahead = c->streams[0].skip_until > c->streams[0].end || c->streams[1].skip_until > c->streams[1].end;

	if (ahead && c->phase == CONNECTION_PARSE && e->pairing.handler.policy)
		e->pairing.handler.policy(e->pairing.handler.ctx, c->sock, NULL);
}

static void close_external(struct connection *c)
{
	const struct proto_ops *ops = proto_get(c->protocol);

	if (c->external && ops && ops->close)
		ops->close(c->external);
	c->external = NULL;
}

/* Nothing of this connection will be looked at any more: it costs no capture and no parsing. */
static void make_opaque(struct proto_engine *e, struct connection *c)
{
	close_external(c);
	c->phase = CONNECTION_OPAQUE;
	c->redo = c->streams[0].data && c->streams[1].data; /* so that waiting bytes of the other direction go away */
	for (int d = 0; d < 2; d++) {
		c->streams[d].skip_until = UINT64_MAX;
		c->progress[d].want = 0;
	}
	ask_policy(e, c);
}

void proto_engine_encrypted(struct proto_engine *e, struct connection *c)
{
	bool plain = c->plain && c->phase == CONNECTION_PARSE;

	if (plain)
		pairing_close(&e->pairing, c, "", EXCHANGE_HOLE, c->seen_ns);
	if (plain || c->phase == CONNECTION_DETECT)
		make_opaque(e, c);
}

/* Detection. */

static void *open_external(struct proto_engine *e, const struct proto_ops *ops)
{
	uint64_t kept = e->memory.kept;

	e->memory.kept = 0;
	void *external = ops->open(&e->memory);
	e->memory.kept = kept;
	return external;
}

static bool start_parsing(struct proto_engine *e, struct connection *c, const struct detection *found)
{
	const struct proto_ops *ops = proto_get(found->protocol);
	void *external = ops->open ? open_external(e, ops) : NULL;

	if (ops->open && !external) { /* later bytes may have more luck */
		e->counts.parsers_refused += !c->refused;
		c->refused = true;
		c->synced = false;
		return false;
	}
	c->refused = false;
	c->protocol = found->protocol;
	c->role = found->role;
	c->external = external;
	memset(c->parser, 0, sizeof(c->parser));
	if (external)
		memcpy(c->parser, &external, sizeof(external));
	c->phase = CONNECTION_PARSE;
	e->counts.detected[c->protocol]++;
	for (int d = 0; d < 2; d++) {
		c->progress[d].want = ops->want[side_of(c, (enum plumb_direction)d)];
		c->progress[d].need_until = 0;
		c->progress[d].bad = 0;
		c->streams[d].lost = false;
	}
	ask_policy(e, c);
	return true;
}

/* Blank lines in front of a request (HTTP) or a command (Redis): they say nothing. */
static bool is_blank(struct slice in)
{
	size_t at = 0;

	while (at < in.len && (in.ptr[at] == '\r' || in.ptr[at] == '\n'))
		at++;
	return at == in.len;
}

/* Looks at the first bytes. True: parsing starts. False: *ret_drop says that these bytes are of no use. */
static bool try_detect(struct proto_engine *e, struct connection *c, enum plumb_direction dir, struct slice in, bool *ret_drop)
{
	struct slice first[2];
	struct detection found;
	bool last = in.len >= WAIT_MAX_BYTES || c->streams[dir].eof;

	if (is_blank(in)) {
		*ret_drop = true;
		return false;
	}
	first[dir] = in;
	first[other(dir)] = waiting(c, other(dir));
	switch (detect(c, e->enabled, first, false, last, &found)) {
	case DETECT_FOUND:
		if (start_parsing(e, c, &found))
			return true;
		*ret_drop = true; /* what it is is known: it is looked at again until there is memory */
		return false;
	case DETECT_WAIT: return false;
	case DETECT_NONE: break;
	}
	*ret_drop = true;
	if (c->synced)
		c->detect_tries += TRIES_MIDSTREAM - TRIES_FRESH;
	c->synced = false; /* a request may have been among them */
	if (++c->detect_tries >= TRIES_MIDSTREAM) {
		e->counts.opaque++;
		make_opaque(e, c);
	}
	return false;
}

/* Heads may begin anywhere in its I/O, and what is cut of one may hold several: all that one I/O can give from now on, in both directions. */
static void ask_for_all(struct proto_engine *e, struct connection *c)
{
	if (c->progress[0].want == PLUMB_POLICY_ALL && c->progress[1].want == PLUMB_POLICY_ALL)
		return;
	c->progress[0].want = c->progress[1].want = PLUMB_POLICY_ALL;
	e->counts.policy_raised++;
	ask_policy(e, c);
}

/* Parsing. */

static struct extent extent_of(const struct connection *c, enum plumb_direction dir, uint64_t offset, uint64_t len)
{
	const struct stream *s = &c->streams[dir];
	bool fresh = offset >= s->fresh;

	return (struct extent){
		.offset = offset,
		.end = offset + len,
		.start_ns = stream_time(s, offset),
		.end_ns = stream_time(s, len ? offset + len - 1 : offset),
		.bytes = len,
		.tid = fresh ? s->tid : s->first_tid,
		.flow = fresh ? s->flow : s->first_flow,
		.side = side_of(c, dir),
	};
}

/*
 * Each new byte is a reason to look again through all that is kept, as it may be the one that a message start lacked: who sends one at a time would have a connection cost hundreds of
 * times what others do. So what is looked at again is paid for by what is new. False: not enough is. The same bytes offered once more are the last, or a look goes on in them.
 */
static bool may_look(struct proto_engine *e, struct connection *c, enum plumb_direction dir, size_t len, uint64_t end)
{
	struct progress *pr = &c->progress[dir];
	uint64_t fresh = end > pr->looked_to ? end - pr->looked_to : len;

	if (end == pr->looked_to)
		return true;
	pr->looked_to = end;
	pr->look_debt -= fresh < pr->look_debt / LOOK_AGAIN ? fresh * LOOK_AGAIN : pr->look_debt;
	if (pr->look_debt > LOOK_DEBT_MAX)
		return false;
	pr->look_debt += len > fresh ? len - fresh : 0;
	e->counts.looked_bytes += len;
	return true;
}

/* Moves *at to the next message start. False: there is none, wait for more bytes. */
static bool resync(struct proto_engine *e, struct connection *c, enum plumb_direction dir, struct slice in, size_t *at)
{
	const struct proto_ops *ops = proto_get(c->protocol);
	struct slice rest = slice_from(in, *at);
	size_t off = ops->resync ? ops->resync(c->parser, side_of(c, dir), rest) : 0;

	if (off >= rest.len) {
		off = rest.len - (ops->resync_keep < rest.len ? ops->resync_keep : rest.len);
		*at += off;
		e->counts.resync_bytes[c->protocol] += off;
		return false;
	}
	*at += off;
	e->counts.resync_bytes[c->protocol] += off;
	e->counts.resyncs[c->protocol]++;
	c->streams[dir].lost = false;
	return true;
}

/* Too much nonsense: the protocol was guessed wrong, or has become another one. */
static void give_up(struct proto_engine *e, struct connection *c, uint64_t time_ns)
{
	pairing_close(&e->pairing, c, "", EXCHANGE_HOLE, time_ns);
	if (++c->redetected > REDETECT_MAX) {
		e->counts.opaque++;
		make_opaque(e, c);
		return;
	}
	close_external(c);
	c->phase = CONNECTION_DETECT;
	c->protocol = PLUMB_PROTO_NONE;
	c->synced = false;
	for (int d = 0; d < 2; d++)
		c->progress[d] = (struct progress){ .want = c->progress[d].want };
}

static void tell_lost(struct connection *c, enum plumb_direction dir)
{
	const struct proto_ops *ops = proto_get(c->protocol);

	if (ops->lost)
		ops->lost(c->parser, side_of(c, dir));
}

/* These bytes are no message. */
static void bad(struct proto_engine *e, struct connection *c, enum plumb_direction dir, uint64_t offset)
{
	struct extent at = extent_of(c, dir, offset, 0);

	e->counts.bad[c->protocol]++;
	pairing_malformed(&e->pairing, c, dir, at.side);
	tell_lost(c, dir);
	c->streams[dir].lost = true;
	if (++c->progress[dir].bad >= BAD_MAX)
		give_up(e, c, at.start_ns);
}

/*
 * An input without a message start. Behind a hole, or nonsense of one direction alone, it may be part of a long body; where both directions
 * speak nonsense it is more of it.
 */
static void found_nothing(struct proto_engine *e, struct connection *c, enum plumb_direction dir, uint64_t time_ns)
{
	struct progress *pr = &c->progress[dir];

	if (pr->bad && c->progress[other(dir)].bad && ++pr->bad >= BAD_MAX)
		give_up(e, c, time_ns);
}

/* `skip` bytes from *at on are not wanted. What of them lies in this input is passed over; the rest is left to conn/. */
static void pass_over(struct proto_engine *e, struct connection *c, enum plumb_direction dir, struct slice in, uint64_t skip, size_t *at)
{
	struct stream *s = &c->streams[dir];
	uint64_t from = s->next + *at;

	if (skip > in.len - *at) {
		uint64_t left = skip - (in.len - *at);
		s->skip_until = skip > UINT64_MAX - from ? UINT64_MAX : from + skip;
		*at = in.len;
		if (left >= SKIP_TOLD_MIN)
			ask_policy(e, c);
		return;
	}
	*at += skip;
	if (c->progress[dir].end_after_skip)
		pairing_end(&e->pairing, c, dir, from + skip, stream_time(s, skip ? from + skip - 1 : from));
}

/* One call of the parser at *at. False: no more can be done with these bytes. */
static bool parse_one(struct proto_engine *e, struct connection *c, enum plumb_direction dir, struct slice in, unsigned *idle, size_t *at)
{
	const struct proto_ops *ops = proto_get(c->protocol);
	struct progress *pr = &c->progress[dir];
	struct stream *s = &c->streams[dir];
	struct parse_result *r = &e->result;
	struct slice rest = slice_from(in, *at);
	uint64_t offset = s->next + *at;

	r->datagram = false;
	r->time_ns = stream_time(s, offset);
	r->consumed = 0;
	r->skip = 0;
	r->need = 0;
	r->want = 0;
	r->apart = r->upkeep = false;
	r->message.kind = MESSAGE_REQUEST;
	r->message.flags = 0;
	r->message.keyed = false;
	r->message.key = r->message.first = 0;
	r->message.next = PLUMB_PROTO_NONE;
	r->message.nattrs = 0;
	r->message.error_type[0] = 0;
	enum parse_status status = ops->parse(c->parser, side_of(c, dir), rest, r);

	if (r->want > pr->want) {
		pr->want = r->want;
		ask_policy(e, c);
	}
	c->parsed |= status == PARSE_SKIP && r->upkeep ? CONNECTION_PARSED_UPKEEP : CONNECTION_PARSED_OTHER;
	*idle = r->consumed ? 0 : *idle + 1;
	if (r->consumed > rest.len || (status != PARSE_NEED_MORE && *idle > IDLE_CALLS_MAX))
		status = PARSE_BAD;
	switch (status) {
	case PARSE_NEED_MORE:
		pr->need_until = r->need > rest.len ? offset + r->need : 0;
		return false;
	case PARSE_BAD:
		bad(e, c, dir, offset);
		(*at)++; /* resync must not find the same place again */
		e->counts.resync_bytes[c->protocol]++;
		return true;
	case PARSE_MESSAGE: {
		struct extent x = extent_of(c, dir, offset, r->consumed);
		pr->bad = 0;
		*at += r->consumed;
		if (r->message.flags & MESSAGE_UNTIL_CLOSE && r->message.flags & MESSAGE_END && !r->skip)
			r->skip = UINT64_MAX;
		if (r->message.keyed && r->skip != UINT64_MAX)
			x.bytes += r->skip; /* messages that alternate have no place in the stream to count from */
		pairing_message(&e->pairing, c, dir, &r->message, &x);
		break;
	}
	case PARSE_SKIP:
		if (pr->exchange && !r->apart)
			(pr->open == 1 + MESSAGE_RESPONSE ? &pr->exchange->response : &pr->exchange->request)->bytes +=
				r->consumed + (pr->exchange->keyed && r->skip != UINT64_MAX ? r->skip : 0);
		*at += r->consumed;
		break;
	}
	if (r->skip || pr->end_after_skip)
		pass_over(e, c, dir, in, r->skip, at);
	return true;
}

/* True: the protocol that c->next names is parsed from here on, or looked for. */
static bool go_on_as(struct proto_engine *e, struct connection *c, uint16_t next, uint64_t time_ns)
{
	const struct detection found = { next, c->role };

	if (next != MESSAGE_NEXT_ANY && (!proto_get(next) || !e->enabled[next]))
		return false;
	pairing_switch(&e->pairing, c, next, time_ns);
	close_external(c);
	if (next != MESSAGE_NEXT_ANY)
		return start_parsing(e, c, &found);
	c->phase = CONNECTION_DETECT;
	c->protocol = PLUMB_PROTO_NONE;
	c->detect_tries = 0;
	return true;
}

/* MESSAGE_SWITCH: pairing has ended the message that says so. True: what comes is looked at. */
static bool leave_switched(struct proto_engine *e, struct connection *c, uint64_t time_ns)
{
	uint16_t next = c->next;

	if (c->phase != CONNECTION_OPAQUE || (c->streams[0].skip_until == UINT64_MAX && c->streams[1].skip_until == UINT64_MAX))
		return false;
	c->next = PLUMB_PROTO_NONE;
	if (next && go_on_as(e, c, next, time_ns))
		return true;
	e->counts.opaque++;
	pairing_close(&e->pairing, c, "", EXCHANGE_HOLE, time_ns);
	make_opaque(e, c);
	return false;
}

/* From `at` on; how far it came. */
static size_t parse(struct proto_engine *e, struct connection *c, enum plumb_direction dir, struct slice in, size_t at, uint64_t time_ns)
{
	struct stream *s = &c->streams[dir];
	struct progress *pr = &c->progress[dir];
	unsigned idle = 0;

	if (!s->lost && s->next + in.len < pr->need_until)
		return 0;
	pr->need_until = 0;
	while (at < in.len && c->phase == CONNECTION_PARSE) {
		bool fresh = at == 0;
		if (s->lost && !may_look(e, c, dir, in.len - at, s->next + in.len))
			break;
		if (s->lost && !resync(e, c, dir, in, &at)) {
			if (fresh)
				found_nothing(e, c, dir, time_ns);
			break;
		}
		if (!parse_one(e, c, dir, in, &idle, &at))
			break;
		if (leave_switched(e, c, time_ns) && c->phase == CONNECTION_DETECT)
			return at;
	}
	if (c->phase != CONNECTION_PARSE)
		return in.len;
	if (c->pipelines)
		ask_for_all(e, c);
	return at;
}

/* conn_handler. */

static size_t on_bytes(void *ctx, struct connection *c, enum plumb_direction dir, struct slice in, uint64_t time_ns)
{
	struct proto_engine *e = ctx;
	bool drop = false;
	size_t from = c->progress[dir].foreword; /* behind a proxy's header */

	c->progress[dir].foreword = 0;
	if (pairing_has_early(&e->pairing, time_ns))
		pairing_tick(&e->pairing, time_ns);
	if (c->phase == CONNECTION_OPAQUE)
		return in.len;
	if (c->phase == CONNECTION_DETECT) {
		from = proxy_header_len(in);
		if (from == SIZE_MAX)
			return 0;
		if (from == in.len || !try_detect(e, c, dir, slice_from(in, from), &drop))
			return drop || from == in.len ? in.len : 0;
		if (waiting(c, other(dir)).len) {
			c->redo = true; /* they came first */
			c->progress[dir].foreword = (uint16_t)from;
			return 0;
		}
	}
	return parse(e, c, dir, in, from, time_ns);
}

/* A head that was cut too short: more of it next time. */
static void raise_policy(struct proto_engine *e, struct connection *c, enum plumb_direction dir)
{
	uint32_t *want = &c->progress[dir].want;

	if (*want == PLUMB_POLICY_ALL)
		return;
	if (*want >= POLICY_DOUBLE_MAX)
		*want = PLUMB_POLICY_ALL;
	else
		*want = *want ? *want * 2 : PLUMB_HEAD_DEFAULT;
	e->counts.policy_raised++;
	ask_policy(e, c);
}

/* Bytes up to `to` were not captured, and the parser knows its place behind them. */
static bool stepped_over(struct proto_engine *e, struct connection *c, enum plumb_direction dir, uint64_t to, uint64_t time_ns)
{
	const struct proto_ops *ops = proto_get(c->protocol);
	struct message *m = &e->result.message;
	struct stream *s = &c->streams[dir];
	struct extent at = extent_of(c, dir, s->next, to - s->next);

	*m = (struct message){ .kind = MESSAGE_REQUEST };
	if (!ops->missing || !ops->missing(c->parser, at.side, to - s->next, m))
		return false;
	at.end_ns = time_ns;
	pairing_message(&e->pairing, c, dir, m, &at);
	s->lost = false;
	c->progress[dir].need_until = 0;
	return true;
}

static void on_hole(void *ctx, struct connection *c, enum plumb_direction dir, uint64_t from, uint64_t to, uint64_t time_ns)
{
	struct proto_engine *e = ctx;
	const struct stream *s = &c->streams[dir];

	if (c->phase != CONNECTION_PARSE) {
		c->synced = false;
		return;
	}
	if (stepped_over(e, c, dir, to, time_ns))
		return;
	if (s->cut)
		raise_policy(e, c, dir);
	uint64_t start = s->next < from ? s->next : from; /* of the message that was waiting for the rest, if any */
	struct extent at = extent_of(c, dir, start, to - start);
	if (start == from)
		at.start_ns = time_ns;
	at.end_ns = time_ns;
	pairing_lost(&e->pairing, c, dir, to > from, &at);
	tell_lost(c, dir);
	c->progress[dir].need_until = 0;
}

static void on_skipped(void *ctx, struct connection *c, enum plumb_direction dir, uint64_t time_ns)
{
	struct proto_engine *e = ctx;

	if (c->phase != CONNECTION_PARSE || !c->progress[dir].end_after_skip)
		return;
	pairing_end(&e->pairing, c, dir, c->streams[dir].next, time_ns);
	(void)leave_switched(e, c, time_ns);
}

/* What passed since was not looked at: whatever was under way is over, and nothing is known of what was. */
static void on_resumed(void *ctx, struct connection *c, uint64_t time_ns)
{
	struct proto_engine *e = ctx;

	c->synced = false;
	if (c->phase != CONNECTION_PARSE)
		return;
	pairing_close(&e->pairing, c, "", EXCHANGE_HOLE, time_ns);
	c->answered = c->may_overlap = false;
	c->response_loss = RESPONSE_LOSS_NONE;
	for (int d = 0; d < 2; d++) {
		tell_lost(c, (enum plumb_direction)d);
		c->streams[d].lost = true;
		c->progress[d].need_until = 0;
	}
}

/* The kernel encrypts. A handshake is over, as far as it was seen, with the last of its bytes. */
static void end_handshake(struct proto_engine *e, struct connection *c, uint64_t time_ns)
{
	const struct proto_ops *ops = proto_get(c->protocol);
	struct message *m = &e->result.message;
	enum plumb_direction dir = c->role == PLUMB_ROLE_SERVER ? PLUMB_EGRESS : PLUMB_INGRESS;
	uint64_t last_ns = c->streams[0].last_ns > c->streams[1].last_ns ? c->streams[0].last_ns : c->streams[1].last_ns;

	if (c->phase != CONNECTION_PARSE)
		return;
	struct extent at = extent_of(c, dir, c->streams[dir].end, 0);
	at.start_ns = at.end_ns = last_ns ? last_ns : time_ns;
	*m = (struct message){ 0 };
	if (ops->uncovered && ops->uncovered(c->parser, m))
		pairing_message(&e->pairing, c, dir, m, &at);
	pairing_close(&e->pairing, c, "", EXCHANGE_HOLE, at.end_ns);
}

static void on_covered(void *ctx, struct connection *c, uint64_t time_ns)
{
	end_handshake(ctx, c, time_ns);
	if (c->phase != CONNECTION_OPAQUE)
		make_opaque(ctx, c);
}

/* Everything begins anew. */
static void on_uncovered(void *ctx, struct connection *c, uint64_t time_ns)
{
	struct proto_engine *e = ctx;

	end_handshake(e, c, time_ns);
	close_external(c);
	c->phase = CONNECTION_DETECT;
	c->protocol = PLUMB_PROTO_NONE;
	c->next = PLUMB_PROTO_NONE;
	c->detect_tries = c->redetected = 0;
	c->refused = c->pipelines = c->may_overlap = c->overlaps = c->answered = c->keyed = false;
	c->response_loss = RESPONSE_LOSS_NONE;
	c->alone_ns = 0;
	for (int d = 0; d < 2; d++)
		c->progress[d] = (struct progress){ 0 };
	if (c->above) /* a session tells of it */
		make_opaque(e, c);
}

/* The stream's end is the end of a message that lasts until then, and of all hope for responses. */
static void end_stream(struct proto_engine *e, struct connection *c, enum plumb_direction dir, bool broken, uint64_t time_ns)
{
	const struct proto_ops *ops = proto_get(c->protocol);
	struct message *m = &e->result.message;

	if (c->phase != CONNECTION_PARSE)
		return;
	struct extent at = extent_of(c, dir, c->streams[dir].next, 0);
	at.start_ns = at.end_ns = time_ns;
	*m = (struct message){ 0 };
	if (ops->finish && ops->finish(c->parser, at.side, broken, m))
		pairing_message(&e->pairing, c, dir, m, &at);
	if (broken)
		return;
	if (c->progress[dir].until_close)
		pairing_end(&e->pairing, c, dir, at.end, time_ns);
	if (at.side == PROTO_TO_CLIENT)
		pairing_close(&e->pairing, c, NULL, 0, time_ns);
}

static void on_eof(void *ctx, struct connection *c, enum plumb_direction dir, uint64_t time_ns)
{
	end_stream(ctx, c, dir, false, time_ns);
}

static const char *close_reason(int error, bool evicted)
{
	if (evicted)
		return "evicted";
	switch (error) {
	case 0: return NULL;
	case ECONNRESET:
	case EPIPE: return "connection_reset";
	case ETIMEDOUT: return "timeout";
	case ECONNREFUSED: return "connection_refused";
	case EHOSTUNREACH:
	case ENETUNREACH: return "unreachable";
	default: return "connection_error";
	}
}

static void on_close(void *ctx, struct connection *c, int error, bool evicted, uint64_t time_ns)
{
	struct proto_engine *e = ctx;

	for (int d = 0; d < 2 && !evicted; d++)
		if (!c->streams[d].eof && c->progress[d].open)
			end_stream(e, c, (enum plumb_direction)d, error != 0, time_ns);
	pairing_close(&e->pairing, c, close_reason(error, evicted), 0, time_ns);
	close_external(c);
	forget_policy(e, c);
}

/* Datagrams: each is a message, or several, of its own; the sides may change from one to the next. */
static bool detect_datagram(struct proto_engine *e, struct connection *c, enum plumb_direction dir, struct slice in)
{
	struct slice first[2] = { SLICE_NONE, SLICE_NONE };
	struct detection found;

	first[dir] = in;
	if (detect(c, e->enabled, first, true, true, &found) == DETECT_FOUND)
		return start_parsing(e, c, &found);
	if (++c->detect_tries >= TRIES_FRESH) {
		e->counts.opaque++;
		make_opaque(e, c);
	}
	return false;
}

static enum proto_side datagram_side(const struct connection *c, const struct proto_ops *ops, enum plumb_direction dir, struct slice in)
{
	enum proto_side side = side_of(c, dir);
	enum proto_side turned = side == PROTO_TO_SERVER ? PROTO_TO_CLIENT : PROTO_TO_SERVER;
	int (*fit)(struct slice, enum proto_side) = ops->detect_datagram ? ops->detect_datagram : ops->detect;

	return fit(in, side) == DETECT_NO && fit(in, turned) != DETECT_NO ? turned : side;
}

static void on_datagram(void *ctx, struct connection *c, enum plumb_direction dir, struct slice in, const struct plumb_rec_dgram *rec)
{
	struct proto_engine *e = ctx;
	struct parse_result *r = &e->result;
	struct endpoint peer = { .port = rec->peer_port };

	if (c->phase == CONNECTION_OPAQUE || in.len == 0)
		return;
	if (c->phase == CONNECTION_DETECT && !detect_datagram(e, c, dir, in))
		return;
	const struct proto_ops *ops = proto_get(c->protocol);
	memcpy(peer.addr, rec->peer_addr, sizeof(peer.addr));
	struct extent at = {
		.offset = rec->d.offset, .end = rec->d.offset + rec->d.len, .start_ns = rec->d.h.time_ns, .end_ns = rec->d.h.time_ns,
		.bytes = rec->d.len, .tid = rec->d.tid, .flow = rec->d.flow, .side = datagram_side(c, ops, dir, in), .peer = &peer,
	};
	while (in.len && c->phase == CONNECTION_PARSE) {
		*r = (struct parse_result){ .datagram = true, .time_ns = rec->d.h.time_ns };
		enum parse_status status = ops->parse(c->parser, at.side, in, r);
		if (status != PARSE_MESSAGE) {
			e->counts.bad[c->protocol] += status == PARSE_BAD;
			return;
		}
		r->message.flags &= ~MESSAGE_END_AFTER_SKIP;
		r->message.flags |= MESSAGE_END;
		pairing_message(&e->pairing, c, dir, &r->message, &at);
		if (r->consumed == 0 || r->consumed > in.len)
			return;
		in = slice_from(in, r->consumed);
		at.bytes = 0;
	}
}

void proto_engine_conn_handler(struct proto_engine *e, struct conn_handler *ret_handler)
{
	*ret_handler = (struct conn_handler){
		.bytes = on_bytes, .hole = on_hole, .skipped = on_skipped, .resumed = on_resumed, .uncovered = on_uncovered, .covered = on_covered, .eof = on_eof, .datagram = on_datagram, .close = on_close, .ctx = e,
	};
}

void proto_engine_seed(struct proto_engine *e, uint64_t seed)
{
	if (!e->counts.exchanges_open) /* those in the table are found by the old one */
		e->pairing.seed = seed;
	calls_seed(e->calls, seed);
}

void proto_engine_call(struct proto_engine *e, const struct plumb_rec_call *r, struct slice text) { calls_record(e->calls, r, text); }
void proto_engine_forget_process(struct proto_engine *e, uint32_t pid) { calls_forget(e->calls, pid); }

void proto_engine_tick(struct proto_engine *e, uint64_t time_ns) { pairing_tick(&e->pairing, time_ns); }

void proto_engine_finish(struct proto_engine *e, uint64_t time_ns)
{
	struct exchange_list *lists[2] = { &e->pairing.early, &e->pairing.waiting };

	for (int i = 0; i < 2; i++)
		while (lists[i]->oldest)
			pairing_close(&e->pairing, lists[i]->oldest->conn, "", EXCHANGE_UNFINISHED, time_ns);
}

void proto_engine_free_exchange(struct proto_engine *e, struct exchange *x) { pairing_free_exchange(&e->pairing, x); }

void proto_engine_counts(const struct proto_engine *e, struct proto_counts *ret)
{
	*ret = e->counts;
	ret->parser_bytes = e->memory.used;
	ret->parser_bytes_refused = e->memory.refused;
	calls_counts(e->calls, &ret->calls);
}

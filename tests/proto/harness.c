/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/harness.h"
#include "proto/holes.h"
#include "proto/run.h"

#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum { OPEN_MAX = 1024, IDLE_MAX = 8, LINE_BYTES_MAX = 8 << 20, SMALL_BYTES = 4096, LARGE_BYTES = 16384, IO_BYTES = 16384 };

/* Where one is missing, its tests fail, and those of the others can be run. */
#define EXTERN_T(symbol) extern const struct proto_ops proto_##symbol __attribute__((weak));
#define EXTERN_U(symbol) EXTERN_T(symbol)
#define EXTERN_TU(symbol) EXTERN_T(symbol)
#define EXTERN_C(symbol) /* a library's calls have no parser */
#define PROTOCOL(id, symbol, name, family, statement, recording, transports, ...) EXTERN_##transports(symbol)
#include "../../bpf/abi/protocols.def"
#undef PROTOCOL

const struct harness_parser harness_parsers[] = {
#define PARSER_T(symbol_, id_) { .symbol = #symbol_, .ops = &proto_##symbol_, .id = PLUMB_PROTO_##id_ },
#define PARSER_U(symbol_, id_) PARSER_T(symbol_, id_)
#define PARSER_TU(symbol_, id_) PARSER_T(symbol_, id_)
#define PARSER_C(symbol_, id_)
#define PROTOCOL(id_, symbol_, name, family, statement, recording, transports, ...) PARSER_##transports(symbol_, id_)
#include "../../bpf/abi/protocols.def"
#undef PROTOCOL
};
const size_t harness_nparsers = sizeof(harness_parsers) / sizeof(*harness_parsers);

static void __attribute__((format(printf, 2, 3))) run_fail(struct run *r, const char *format, ...)
{
	va_list ap;

	if (r->failed)
		return;
	r->failed = true;
	va_start(ap, format);
	vsnprintf(r->why, sizeof(r->why), format, ap);
	va_end(ap);
}

struct slice harness_guard(struct slice s)
{
	static uint8_t *base; /* one region for the whole test program */

	if (!base) {
		size_t page = (size_t)sysconf(_SC_PAGESIZE);
		base = mmap(NULL, GUARD_BYTES + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (base == MAP_FAILED || mprotect(base + GUARD_BYTES, page, PROT_NONE) != 0 || s.len > GUARD_BYTES)
			abort();
	}
	uint8_t *to = base + GUARD_BYTES - s.len;
	/* Poisoning starts at a multiple of 8; enough of it to catch a step backwards and a view kept from the call before. */
	size_t before = s.len + 4096 < GUARD_BYTES ? 4096 : GUARD_BYTES - s.len;
	ASAN_UNPOISON_MEMORY_REGION(to - before, s.len + before);
	if (s.len)
		memcpy(to, s.ptr, s.len);
	ASAN_POISON_MEMORY_REGION(to - before, before);
	return slice_make(to, s.len);
}

static struct logical *add_message(struct run *r, enum proto_side side)
{
	if (r->nmsg == 0 || (r->nmsg & (r->nmsg - 1)) == 0) {
		r->msg = realloc(r->msg, (r->nmsg ? r->nmsg * 2 : 1) * sizeof(*r->msg));
		if (!r->msg)
			abort();
	}
	struct logical *m = &r->msg[r->nmsg++];
	*m = (struct logical){ .side = side, .begin = r->side[side].next };
	buffer_init(&m->attrs, LINE_BYTES_MAX);
	return m;
}

static void note_lost(struct run *r, enum proto_side side)
{
	for (size_t i = r->nmsg; i-- > 0;) {
		if (r->msg[i].side != side)
			continue;
		if (r->msg[i].lost)
			return;
		break;
	}
	struct logical *m = add_message(r, side);
	m->lost = true;
	m->end = m->begin;
	r->side[side].was_lost = true;
}

/* The message that an event without BEGIN continues: the same key, or the latest of this kind. */
static struct logical *find_open(struct run *r, enum proto_side side, const struct message *e)
{
	size_t seen = 0;

	for (size_t i = r->nmsg; i-- > 0 && seen < OPEN_MAX;) {
		struct logical *m = &r->msg[i];

		if (m->side != side || m->lost)
			continue;
		seen++;
		if (!m->ended && m->kind == e->kind && m->keyed == e->keyed && (!e->keyed || m->key == e->key))
			return m;
	}
	return NULL;
}

static void add_attr(struct run *r, struct logical *m, const struct attr *a)
{
	static const char *const ids[] = {
#define ATTR(id, name, type) #id,
#include "model/attribute.def"
#undef ATTR
	};

	if (a->id >= ATTR_COUNT || a->type != attr_info[a->id].type) {
		run_fail(r, "attribute %u has the wrong type %u", a->id, a->type);
		return;
	}
	buffer_printf(&m->attrs, " %s=", ids[a->id]);
	if (a->type == ATTR_TYPE_STR)
		fixture_quote(&m->attrs, a->str);
	else if (a->type == ATTR_TYPE_DOUBLE)
		buffer_printf(&m->attrs, "%g", a->dbl);
	else
		buffer_printf(&m->attrs, "%lld", (long long)a->num);
}

static void check_event(struct run *r, const struct message *e)
{
	if (e->kind > MESSAGE_ONEWAY || e->flags >= MESSAGE_RANGE * 2)
		run_fail(r, "event of kind %d with flags %#x", (int)e->kind, e->flags);
	if (e->nattrs > MESSAGE_ATTRS_MAX)
		run_fail(r, "%u attributes", e->nattrs);
	if (!memchr(e->error_type, 0, sizeof(e->error_type)))
		run_fail(r, "error_type has no end");
	else if (((e->flags & MESSAGE_ERROR) != 0) != (e->error_type[0] != '\0'))
		run_fail(r, "error_type \"%s\" with flags %#x", e->error_type, e->flags);
	if ((e->flags & MESSAGE_END_AFTER_SKIP) && !(e->flags & MESSAGE_END))
		run_fail(r, "END_AFTER_SKIP without END");
}

/* A line of its own, as what is for several is; what it ends is not unfinished. */
static void take_abort(struct run *r, enum proto_side side, const struct message *e, uint64_t end)
{
	bool range = e->flags & MESSAGE_RANGE, abort = e->flags & MESSAGE_ABORT, quiet = e->flags == (MESSAGE_RANGE | MESSAGE_QUIET);

	if (!e->keyed || (e->flags & (MESSAGE_BEGIN | MESSAGE_END)) != (abort || quiet ? 0 : MESSAGE_BEGIN | MESSAGE_END))
		run_fail(r, "ABORT or RANGE with flags %#x", e->flags);
	for (size_t i = 0; i < r->nmsg && !quiet; i++) {
		struct logical *m = &r->msg[i];
		bool meant = m->key == e->key || (range && m->key >= e->first && m->key <= e->key);
		if (m->lost || m->ended || !m->keyed || !meant || (!abort && m->kind != MESSAGE_RESPONSE))
			continue;
		m->ended = true;
		m->ended_at = r->passed;
		m->end = UINT64_MAX; /* by no byte of its own */
	}
	struct logical *m = add_message(r, side);
	m->kind = e->kind;
	m->flags = e->flags;
	m->keyed = m->ended = true;
	m->ended_at = r->passed;
	m->key = e->key;
	m->first = e->first;
	m->end = end;
	memcpy(m->error_type, e->error_type, sizeof(m->error_type));
	for (uint32_t i = 0; i < e->nattrs; i++)
		add_attr(r, m, &e->attrs[i]);
}

static void take_event(struct run *r, enum proto_side side, const struct message *e, uint64_t end, uint64_t skip)
{
	check_event(r, e);
	if (r->failed)
		return;
	struct logical *m = find_open(r, side, e);

	if (e->flags & (MESSAGE_ABORT | MESSAGE_RANGE)) {
		take_abort(r, side, e, end);
		return;
	}
	if (e->flags & MESSAGE_BEGIN) {
		if (m && !r->side[side].was_lost)
			run_fail(r, "BEGIN at %llu while the message of %llu is open", (unsigned long long)r->side[side].next, (unsigned long long)m->begin);
		m = add_message(r, side);
		m->kind = e->kind;
		m->keyed = e->keyed;
		m->key = e->key;
	} else if (!m) {
		run_fail(r, "event without BEGIN at %llu", (unsigned long long)r->side[side].next);
		return;
	}
	m->flags |= e->flags;
	m->next = e->flags & MESSAGE_SWITCH ? e->next : m->next;
	if (e->flags & MESSAGE_ERROR)
		memcpy(m->error_type, e->error_type, sizeof(m->error_type));
	for (uint32_t i = 0; i < e->nattrs; i++)
		add_attr(r, m, &e->attrs[i]);
	if (e->flags & MESSAGE_SWITCH)
		r->switched = true;
	if (!(e->flags & MESSAGE_END))
		return;
	if ((e->flags & MESSAGE_END_AFTER_SKIP) && skip) {
		r->side[side].ending = (size_t)(m - r->msg) + 1;
		return;
	}
	m->ended = true;
	m->ended_at = r->passed;
	m->end = end;
}

static void drop(struct side *s, size_t n)
{
	s->next += n;
	buffer_consume(&s->pending, n);
}

static void apply_skip(struct run *r, struct side *s)
{
	size_t n = s->skip < s->pending.len ? (size_t)s->skip : s->pending.len;

	drop(s, n);
	if (s->skip != UINT64_MAX)
		s->skip -= n;
	if (s->skip == 0 && s->ending) {
		r->msg[s->ending - 1].ended = true;
		r->msg[s->ending - 1].ended_at = r->passed;
		r->msg[s->ending - 1].end = s->next;
		s->ending = 0;
	}
}

/* False when nothing more can be done with what is there. */
static bool resync_once(struct run *r, enum proto_side side)
{
	const struct proto_ops *ops = r->f->ops;
	struct side *s = &r->side[side];
	size_t len = s->pending.len;
	size_t at = ops->resync(r->state, side, harness_guard(buffer_slice(&s->pending)));

	if (at > len) {
		run_fail(r, "resync gives %zu of %zu", at, len);
		return false;
	}
	if (at == len) {
		drop(s, len > ops->resync_keep ? len - ops->resync_keep : 0);
		return false;
	}
	drop(s, at);
	s->lost = false;
	return true;
}

static void check_result(struct run *r, enum parse_status status, const struct parse_result *p, size_t len, unsigned *idle)
{
	if (p->consumed > len)
		run_fail(r, "%zu of %zu bytes consumed", p->consumed, len);
	if (status == PARSE_NEED_MORE && p->consumed)
		run_fail(r, "NEED_MORE with %zu bytes consumed", p->consumed);
	if (status == PARSE_NEED_MORE && p->need && p->need <= len)
		run_fail(r, "NEED_MORE wants %zu of %zu", p->need, len);
	if (status == PARSE_SKIP && p->consumed == 0 && p->skip == 0)
		run_fail(r, "SKIP without progress");
	*idle = p->consumed || p->skip ? 0 : *idle + 1;
	if (*idle > IDLE_MAX)
		run_fail(r, "no progress in %d calls", IDLE_MAX);
}

/* False when nothing more can be done with what is there. */
static bool parse_once(struct run *r, enum proto_side side, unsigned *idle)
{
	struct side *s = &r->side[side];
	struct slice in = harness_guard(buffer_slice(&s->pending));
	struct parse_result p;

	memset(&p, 0, sizeof(p));
	p.datagram = r->f->datagram;
	enum parse_status status = r->f->ops->parse(r->state, side, in, &p);
	r->calls++;
	check_result(r, status, &p, in.len, idle);
	if (r->failed)
		return false;
	switch (status) {
	case PARSE_NEED_MORE:
		s->need = p.need;
		return false;
	case PARSE_BAD:
		note_lost(r, side);
		if (r->f->ops->lost)
			r->f->ops->lost(r->state, side);
		s->lost = true;
		s->need = 0; /* of what it is not */
		drop(s, p.consumed ? p.consumed : 1);
		return true;
	case PARSE_MESSAGE:
		/* An event that consumes nothing is of bytes behind it. */
		take_event(r, side, &p.message, p.consumed ? s->next + p.consumed : UINT64_MAX, p.skip);
		break;
	case PARSE_SKIP:
		break;
	default:
		run_fail(r, "status %d", (int)status);
	}
	drop(s, p.consumed);
	s->skip = p.skip;
	s->need = 0;
	return !r->failed;
}

static void feed(struct run *r, enum proto_side side, struct slice in)
{
	struct side *s = &r->side[side];
	unsigned idle = 0;

	r->fed += in.len;
	r->passed += in.len;
	if (r->switched || r->failed)
		return;
	buffer_append_slice(&s->pending, in);
	while (!r->failed && !r->switched) {
		apply_skip(r, s);
		if (s->pending.len == 0 || (r->obey_need && s->need > s->pending.len))
			break;
		if (!(s->lost ? resync_once(r, side) : parse_once(r, side, &idle)))
			break;
		if (r->calls > 64 + 16 * r->fed)
			run_fail(r, "%llu calls for %llu bytes", (unsigned long long)r->calls, (unsigned long long)r->fed);
	}
	if (r->f->datagram) {
		drop(s, s->pending.len);
		s->lost = false;
	}
}

/* What waits and n bytes behind it are of a message whose place the parser does not lose. */
static bool stepped_over(struct run *r, enum proto_side side, size_t n)
{
	struct side *s = &r->side[side];
	struct message e;

	memset(&e, 0, sizeof(e));
	if (!r->f->ops->missing || !r->f->ops->missing(r->state, side, s->pending.len + n, &e))
		return false;
	drop(s, s->pending.len);
	s->next += n;
	s->need = 0;
	take_event(r, side, &e, s->next, 0);
	return true;
}

static void feed_hole(struct run *r, enum proto_side side, size_t n)
{
	struct side *s = &r->side[side];

	r->passed += n;
	if (r->switched || r->failed)
		return;
	if (s->skip >= n) {
		if (s->skip != UINT64_MAX)
			s->skip -= n;
		s->next += n;
		apply_skip(r, s);
		return;
	}
	s->next += s->skip;
	n -= (size_t)s->skip;
	s->skip = 0;
	apply_skip(r, s);
	if (stepped_over(r, side, n))
		return;
	drop(s, s->pending.len);
	note_lost(r, side);
	if (r->f->ops->lost)
		r->f->ops->lost(r->state, side);
	s->next += n;
	s->lost = true;
	s->need = 0;
}

static void feed_eof(struct run *r, enum proto_side side)
{
	struct message e;

	if (r->switched || r->failed || r->side[side].eof)
		return;
	r->side[side].eof = true;
	memset(&e, 0, sizeof(e));
	if (r->f->ops->finish && r->f->ops->finish(r->state, side, false, &e))
		take_event(r, side, &e, r->side[side].next, 0);
}

void run_init(struct run *r, const struct fixture *f)
{
	*r = (struct run){ .f = f };
	for (int i = 0; i < 2; i++)
		buffer_init(&r->side[i].pending, GUARD_BYTES);
	if (f->ops->open) {
		r->memory.max = PARSER_BYTES;
		void *external = f->ops->open(&r->memory);
		memcpy(r->state, &external, sizeof(external));
	}
	if (!f->ops->session)
		return;
	/* Its request was begun by the protocol that switched to it. */
	struct logical *m = add_message(r, PROTO_TO_SERVER);
	m->kind = MESSAGE_REQUEST;
	m->keyed = true;
	m->key = PROTO_SESSION_KEY;
}

void run_done(struct run *r)
{
	if (r->f->ops->close) {
		void *external;
		memcpy(&external, r->state, sizeof(external));
		r->f->ops->close(external);
		if (r->memory.used)
			abort(); /* what open took is given back */
	}
	for (int i = 0; i < 2; i++)
		buffer_done(&r->side[i].pending);
	for (size_t i = 0; i < r->nmsg; i++)
		buffer_done(&r->msg[i].attrs);
	free(r->msg);
}

char *run_line(const struct logical *m)
{
	static const struct { uint32_t flag; const char *word; } words[] = {
		{ MESSAGE_INTERIM, " interim" }, { MESSAGE_NO_RESPONSE, " no_response" }, { MESSAGE_QUIET, " quiet" }, { MESSAGE_SWITCH, " switch" },
		{ MESSAGE_UNTIL_CLOSE, " until_close" }, { MESSAGE_FLUSH, " flush" }, { MESSAGE_ABORT, " abort" }, { MESSAGE_UNSURE, " unsure" }, { MESSAGE_RANGE, " range" },
	};
	static const char *const kinds[] = { "request", "response", "oneway" };
	struct buffer b;

	buffer_init(&b, LINE_BYTES_MAX);
	buffer_append_str(&b, m->lost ? "lost" : kinds[m->kind]);
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (m->flags & words[i].flag)
			buffer_append_str(&b, words[i].word);
	if (!m->lost && !m->ended)
		buffer_append_str(&b, " unfinished");
	if (m->next == MESSAGE_NEXT_ANY)
		buffer_append_str(&b, " next=\"any\"");
	else if (m->next)
		buffer_printf(&b, " next=\"%s\"", proto_get(m->next)->name);
	if (m->keyed)
		buffer_printf(&b, " key=%llu", (unsigned long long)m->key);
	if (m->flags & MESSAGE_RANGE)
		buffer_printf(&b, " first=%llu", (unsigned long long)m->first);
	if (m->error_type[0]) {
		buffer_append_str(&b, " error_type=");
		fixture_quote(&b, slice_str(m->error_type));
	}
	buffer_append_slice(&b, buffer_slice(&m->attrs));
	char *line = fixture_canonical(buffer_slice(&b));
	buffer_done(&b);
	return line;
}

static void run_lines(const struct run *r, struct fixture_lines ret_lines[2])
{
	for (size_t i = 0; i < r->nmsg; i++)
		fixture_lines_add(&ret_lines[r->msg[i].side], run_line(&r->msg[i]));
}

static void feed_holed(struct run *r, const struct cut *c, enum proto_side side, struct slice in, uint64_t offset)
{
	uint64_t from = c->hole_at, to = from + c->hole_len;

	if (c->hole_len == 0 || side != c->hole_side || offset + in.len <= from || offset >= to) {
		feed(r, side, in);
		return;
	}
	size_t head = from > offset ? (size_t)(from - offset) : 0;
	size_t tail = to < offset + in.len ? (size_t)(to - offset) : in.len;
	if (head)
		feed(r, side, slice_head(in, head));
	feed_hole(r, side, tail - head);
	if (tail < in.len)
		feed(r, side, slice_from(in, tail));
}

/* Length of the I/O that starts with op i. */
static size_t next_io(const struct fixture *f, const struct cut *c, size_t i)
{
	size_t len = f->op[i].len;

	if (!c->lines && !f->datagram)
		for (size_t k = i + 1; k < f->nops && f->op[k].kind == FIXTURE_BYTES && f->op[k].side == f->op[i].side; k++)
			len += f->op[k].len;
	return len;
}

void run_fixture(struct run *r, const struct cut *c)
{
	const struct fixture *f = r->f;
	uint64_t offset[2] = { 0, 0 };

	for (size_t i = 0; i < f->nops && !r->failed;) {
		const struct fixture_op *op = &f->op[i];

		if (op->kind == FIXTURE_EOF) {
			feed_eof(r, op->side);
			i++;
			continue;
		}
		if (op->kind == FIXTURE_HOLE) {
			feed_hole(r, op->side, op->len);
			offset[op->side] += op->len;
			i++;
			continue;
		}
		size_t len = next_io(f, c, i), done = 0;
		while (done < len && !r->failed) {
			size_t n = len - done, pos = op->at + done;

			if (c->chunk && n > c->chunk)
				n = c->chunk;
			if (n > IO_BYTES && !f->datagram)
				n = IO_BYTES;
			if (c->at > pos && c->at < pos + n)
				n = c->at - pos;
			feed_holed(r, c, op->side, slice_make(f->bytes.data + pos, n), offset[op->side]);
			offset[op->side] += n;
			done += n;
		}
		for (size_t passed = 0; passed < len; i++)
			passed += f->op[i].len;
	}
}

static bool lines_equal(const struct fixture_lines *want, const struct fixture_lines *got, enum proto_side side, char why[HARNESS_WHY])
{
	for (size_t i = 0; i < want->n || i < got->n; i++) {
		const char *w = i < want->n ? want->line[i] : "nothing", *g = i < got->n ? got->line[i] : "nothing";

		if (strcmp(w, g) != 0) {
			snprintf(why, HARNESS_WHY, "%s message %zu:\n  want %.1500s\n  got  %.1500s", side == PROTO_TO_SERVER ? "=>" : "=<", i + 1, w, g);
			return false;
		}
	}
	return true;
}

static bool check_cut(const struct fixture *f, const struct cut *c, bool obey_need, const char *what, char why[HARNESS_WHY])
{
	struct fixture_lines got[2] = { 0 };
	struct run r;
	char detail[HARNESS_WHY] = "";

	run_init(&r, f);
	r.obey_need = obey_need;
	run_fixture(&r, c);
	run_lines(&r, got);
	bool ok = !r.failed;
	if (!ok)
		memcpy(detail, r.why, sizeof(detail));
	for (int side = 0; ok && side < 2; side++)
		ok = lines_equal(&f->expect[side], &got[side], side, detail);
	if (!ok)
		snprintf(why, HARNESS_WHY, "%s (chunk %zu, cut at %zu): %.3900s", what, c->chunk, c->at, detail);
	fixture_lines_done(&got[0]);
	fixture_lines_done(&got[1]);
	run_done(&r);
	return ok;
}

bool harness_parse(const struct fixture *f, struct fixture_lines ret_lines[2], char why[HARNESS_WHY])
{
	struct run r;
	struct cut c = { .lines = true };

	run_init(&r, f);
	run_fixture(&r, &c);
	run_lines(&r, ret_lines);
	memcpy(why, r.why, HARNESS_WHY);
	bool ok = !r.failed;
	run_done(&r);
	return ok;
}

size_t run_stride(size_t total)
{
	return total <= SMALL_BYTES ? 1 : total <= LARGE_BYTES ? total / 211 + 1 : total / 7 + 1;
}

/* A datagram may be cut by the snapshot length: every head of every datagram, alone. */
static bool check_heads(const struct fixture *f, char why[HARNESS_WHY])
{
	for (size_t i = 0; i < f->nops; i++) {
		for (size_t n = 0; f->op[i].kind == FIXTURE_BYTES && n < f->op[i].len; n++) {
			struct run r;

			run_init(&r, f);
			feed(&r, f->op[i].side, slice_make(f->bytes.data + f->op[i].at, n));
			bool ok = !r.failed;
			if (!ok)
				snprintf(why, HARNESS_WHY, "head of %zu bytes: %.3900s", n, r.why);
			run_done(&r);
			if (!ok)
				return false;
		}
	}
	return true;
}

bool harness_check(const struct fixture *f, char why[HARNESS_WHY])
{
	struct cut c = { .lines = true };

	if (!check_cut(f, &c, false, "as written", why))
		return false;
	if (f->datagram)
		return check_heads(f, why);
	c = (struct cut){ .lines = false };
	if (!check_cut(f, &c, false, "whole", why))
		return false;
	bool small = f->bytes.len <= SMALL_BYTES;
	c.chunk = small ? 1 : 251;
	if (!check_cut(f, &c, false, "in pieces", why) || !check_cut(f, &c, true, "in pieces, as many as needed", why))
		return false;
	c = (struct cut){ .lines = false };
	for (c.at = 1; c.at < f->bytes.len; c.at += run_stride(f->bytes.len))
		if (!check_cut(f, &c, c.at % 2 == 1, "in two", why))
			return false;
	return holes_check(f, why);
}

/* The op of `side` that holds stream offset `offset`, which is not its first byte. False: none does. */
static bool place_within(const struct fixture *f, enum proto_side side, uint64_t offset, struct harness_place *ret)
{
	uint64_t from = 0;

	for (size_t i = 0; i < f->nops; from += f->op[i].side == side ? f->op[i].len : 0, i++)
		if (f->op[i].side == side && f->op[i].kind == FIXTURE_BYTES && offset > from && offset < from + f->op[i].len) {
			*ret = (struct harness_place){ i, (size_t)(offset - from) };
			return true;
		}
	return false;
}

size_t harness_places(const struct fixture *f, struct harness_place *ret, size_t max)
{
	struct cut lines = { .lines = true };
	struct run r = { .nmsg = 0 };
	size_t n = 1, total = f->nops, stride;

	if (f->ops && !f->datagram) {
		run_init(&r, f);
		run_fixture(&r, &lines);
		total += r.nmsg;
	}
	stride = total / max + 1;
	ret[0] = (struct harness_place){ 0, 0 };
	for (size_t i = 1; i < f->nops && n < max; i += stride)
		if (f->op[i].kind == FIXTURE_BYTES)
			ret[n++] = (struct harness_place){ i, 0 };
	for (size_t i = 0; i < r.nmsg && n < max; i += stride)
		n += place_within(f, r.msg[i].side, r.msg[i].begin, &ret[n]);
	if (r.f)
		run_done(&r);
	return n;
}

void harness_each_fixture(const char *symbol, void (*found)(void *ctx, const char *path), void *ctx)
{
	char pattern[256];
	glob_t g;

	snprintf(pattern, sizeof(pattern), "tests/proto/%s/*.fix", symbol);
	if (glob(pattern, 0, NULL, &g) == 0) {
		for (size_t i = 0; i < g.gl_pathc; i++)
			found(ctx, g.gl_pathv[i]);
		globfree(&g);
	}
}

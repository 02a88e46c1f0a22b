/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/holes.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/run.h"

/* Bytes of one direction from stream offset `from` on, up to the next hole; a hole counts as bytes in offsets. */
static bool findable(const struct fixture *f, enum proto_side side, uint64_t from)
{
	uint64_t state[CONNECTION_PARSER_BYTES / 8] = { 0 };
	struct buffer b;
	uint64_t offset = 0;

	struct proto_memory memory = { .max = PARSER_BYTES };

	void *external = f->ops->open ? f->ops->open(&memory) : NULL;

	if (external)
		memcpy(state, &external, sizeof(external));
	buffer_init(&b, GUARD_BYTES);
	for (size_t i = 0; i < f->nops; i++) {
		if (f->op[i].side != side)
			continue;
		if (f->op[i].kind == FIXTURE_HOLE && b.len)
			break;
		if (f->op[i].kind == FIXTURE_BYTES && offset + f->op[i].len > from) {
			size_t cut = from > offset ? (size_t)(from - offset) : 0;
			buffer_append(&b, f->bytes.data + f->op[i].at + cut, f->op[i].len - cut);
		}
		offset += f->op[i].kind == FIXTURE_EOF ? 0 : f->op[i].len;
	}
	bool found = b.len && f->ops->resync(state, side, harness_guard(buffer_slice(&b))) == 0;
	buffer_done(&b);
	if (external)
		f->ops->close(external);
	return found;
}

/* The fixture as it runs without a hole, to compare with. */
struct base {
	struct run run;
	char **line;  /* owned; of each message */
	bool *found;  /* resync() knows the message from a fresh state */
};

/*
 * Words of a line that the fixture says a hole takes with it (option forgets) are left out, and the two that say that what was asked before is over or may be: a
 * loss is what they are for.
 */
static bool alike(const struct fixture *f, const char *want, const char *got)
{
	if (strcmp(want, got) == 0)
		return true;
	char *w = fixture_without(want, buffer_slice(&f->forgets)), *g = fixture_without(got, buffer_slice(&f->forgets));
	bool same = strcmp(w, g) == 0;
	free(w);
	free(g);
	return same;
}

/* A message behind the hole is there, with all that it said. */
static bool same_behind(const struct base *b, const struct run *holed, size_t i, char why[HARNESS_WHY])
{
	const struct logical *m = &b->run.msg[i];
	char *got = NULL;

	for (size_t k = 0; k < holed->nmsg; k++) {
		const struct logical *h = &holed->msg[k];
		if (h->lost || h->side != m->side || h->begin != m->begin || h->kind != m->kind)
			continue;
		free(got);
		got = run_line(h);
		if (alike(b->run.f, b->line[i], got)) {
			free(got);
			return true;
		}
	}
	if (!got && b->run.f->loose)
		return true;
	snprintf(why, HARNESS_WHY, "the message at %llu, which resync() knows\n  want %.1500s\n  got  %.1500s", (unsigned long long)m->begin, b->line[i], got ? got : "nothing");
	free(got);
	return false;
}

/* Messages of one side that ended before the hole, one by one the same; of the other side those that ended before it in time. */
static bool same_before(const struct base *b, const struct run *holed, enum proto_side side, const struct cut *c, uint64_t time, char why[HARNESS_WHY])
{
	size_t k = 0;

	for (size_t i = 0; i < b->run.nmsg; i++) {
		const struct logical *m = &b->run.msg[i];

		if (m->side != side)
			continue;
		if (m->lost || !m->ended || (side == c->hole_side ? m->end > c->hole_at : m->ended_at > time))
			return true;
		while (k < holed->nmsg && holed->msg[k].side != side)
			k++;
		char *got = k < holed->nmsg ? run_line(&holed->msg[k]) : NULL;
		bool same = got && strcmp(b->line[i], got) == 0;
		if (!same)
			snprintf(why, HARNESS_WHY, "before the hole, %s\n  want %.1500s\n  got  %.1500s", side == c->hole_side ? "same side" : "other side", b->line[i], got ? got : "nothing");
		free(got);
		if (!same)
			return false;
		k++;
	}
	return true;
}

/* How many bytes of both directions come before the hole. */
static uint64_t time_of(const struct fixture *f, const struct cut *c)
{
	uint64_t passed = 0, offset = 0;

	for (size_t i = 0; i < f->nops; i++) {
		if (f->op[i].side == c->hole_side && offset + f->op[i].len > c->hole_at)
			return passed + (c->hole_at - offset);
		passed += f->op[i].len;
		offset += f->op[i].side == c->hole_side ? f->op[i].len : 0;
	}
	return passed;
}

static bool check_hole(const struct base *b, const struct cut *c, char why[HARNESS_WHY])
{
	uint64_t time = time_of(b->run.f, c);
	char detail[HARNESS_WHY] = "";
	struct run r;

	run_init(&r, b->run.f);
	run_fixture(&r, c);
	bool ok = !r.failed;
	if (!ok)
		memcpy(detail, r.why, sizeof(detail));
	for (int side = 0; ok && side < 2; side++)
		ok = same_before(b, &r, (enum proto_side)side, c, time, detail);
	for (size_t i = 0; ok && i < b->run.nmsg; i++) {
		const struct logical *m = &b->run.msg[i];
		if (b->found[i] && m->side == c->hole_side && m->begin >= c->hole_at + c->hole_len)
			ok = same_behind(b, &r, i, detail);
	}
	if (!ok)
		snprintf(why, HARNESS_WHY, "hole of %zu at %llu %s: %.3900s", c->hole_len, (unsigned long long)c->hole_at,
		         c->hole_side == PROTO_TO_SERVER ? "to the server" : "to the client", detail);
	run_done(&r);
	return ok;
}

static void base_init(struct base *b, const struct fixture *f)
{
	struct cut plain = { .lines = false };

	run_init(&b->run, f);
	run_fixture(&b->run, &plain);
	b->line = calloc(b->run.nmsg + 1, sizeof(*b->line));
	b->found = calloc(b->run.nmsg + 1, sizeof(*b->found));
	if (!b->line || !b->found)
		abort();
	for (size_t i = 0; i < b->run.nmsg; i++) {
		const struct logical *m = &b->run.msg[i];
		b->line[i] = run_line(m);
		b->found[i] = !m->lost && !(m->flags & (MESSAGE_ABORT | MESSAGE_RANGE)) && findable(f, m->side, m->begin);
	}
}

static void base_done(struct base *b)
{
	for (size_t i = 0; i < b->run.nmsg; i++)
		free(b->line[i]);
	free(b->line);
	free(b->found);
	run_done(&b->run);
}

bool holes_check(const struct fixture *f, char why[HARNESS_WHY])
{
	static const size_t sizes[] = { 1, 3, 17, 61, 257, 1 << 20 };
	struct base base;
	bool ok = true;

	base_init(&base, f);
	for (int side = 0; side < 2; side++) {
		size_t total = 0;

		for (size_t i = 0; i < f->nops; i++)
			if (f->op[i].side == (enum proto_side)side)
				total += f->op[i].len;
		size_t stride = run_stride(total);
		for (size_t k = 0; ok && k < sizeof(sizes) / sizeof(*sizes); k++)
			for (size_t at = 0; ok && at < total; at += stride) {
				struct cut c = { .hole_side = side, .hole_at = at, .hole_len = sizes[k] };
				ok = check_hole(&base, &c, why);
			}
	}
	base_done(&base);
	return ok;
}

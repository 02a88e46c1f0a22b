/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every parser alone, as the engine would call it: the first byte selects parser and transport, the steps' bytes (steps.h) go to it in
 * pieces from both sides, with holes. Each parse sees an exact heap copy, so that ASan knows its end. Breaking the contract of proto.h
 * aborts.
 */
#include "fuzz/steps.h"
#include "proto/memory.h"
#include "proto/proto.h"

enum { PENDING_MAX = 65536, IDLE_MAX = 8, PARSER_BYTES = 1 << 20 };

struct direction {
	uint8_t bytes[PENDING_MAX];
	size_t len;
	uint64_t skip;
	bool lost;
};

struct fuzz {
	const struct proto_ops *ops;
	bool datagram;
	uint64_t state[CONNECTION_PARSER_BYTES / 8];
	struct direction dir[2];
	struct parse_result result;
};

static void drop(struct direction *d, size_t n)
{
	d->len -= n;
	memmove(d->bytes, d->bytes + n, d->len);
}

static bool resync(struct fuzz *f, struct direction *d, enum proto_side side, struct slice in)
{
	size_t at = f->ops->resync(f->state, side, in);

	REQUIRE(at <= in.len);
	d->lost = at == in.len;
	if (d->lost)
		at = in.len > f->ops->resync_keep ? in.len - f->ops->resync_keep : 0;
	drop(d, at);
	return !d->lost;
}

static void check_message(const struct message *m)
{
	REQUIRE(m->nattrs <= MESSAGE_ATTRS_MAX);
	for (uint32_t i = 0; i < m->nattrs; i++)
		if (m->attrs[i].type == ATTR_TYPE_STR)
			fuzz_touch(m->attrs[i].str);
	REQUIRE(memchr(m->error_type, 0, sizeof(m->error_type)));
}

static bool parse(struct fuzz *f, struct direction *d, enum proto_side side, struct slice in, unsigned *idle)
{
	struct parse_result *r = &f->result;

	memset(r, 0, sizeof(*r));
	r->datagram = f->datagram;
	enum parse_status status = f->ops->parse(f->state, side, in, r);
	REQUIRE(r->consumed <= in.len);
	if (status == PARSE_NEED_MORE)
		return false;
	if (status == PARSE_BAD) {
		d->lost = true;
		drop(d, 1);
		return true;
	}
	check_message(&r->message);
	*idle = r->consumed || r->skip ? 0 : *idle + 1;
	REQUIRE(*idle <= IDLE_MAX);
	drop(d, r->consumed);
	d->skip = r->skip;
	return !(r->message.flags & MESSAGE_SWITCH);
}

static void run(struct fuzz *f, enum proto_side side)
{
	struct direction *d = &f->dir[side];
	unsigned idle = 0;
	bool on = true;

	while (on) {
		size_t skipped = d->skip < d->len ? (size_t)d->skip : d->len;
		d->skip -= d->skip == UINT64_MAX ? 0 : skipped;
		drop(d, skipped);
		if (d->len == 0)
			break;
		uint8_t *copy = fuzz_copy(slice_make(d->bytes, d->len));
		struct slice in = slice_make(copy, d->len);
		on = d->lost ? resync(f, d, side, in) : parse(f, d, side, in, &idle);
		free(copy);
	}
	if (f->datagram)
		d->len = 0;
}

static void lose(struct fuzz *f, struct direction *d, enum proto_side side, uint64_t n)
{
	struct message m = { 0 };

	n = n > d->skip ? n - d->skip : 0;
	if (n && f->ops->missing && f->ops->missing(f->state, side, d->len + n, &m)) {
		check_message(&m);
		d->len = 0;
		d->skip = 0;
		return;
	}
	if (f->ops->lost)
		f->ops->lost(f->state, side);
	d->len = 0;
	d->skip = 0;
	d->lost = true;
}

static void step(struct fuzz *f, const struct step *s)
{
	struct direction *d = &f->dir[s->side];
	enum proto_side side = s->side;

	if (s->kind == STEP_BYTES && d->len + s->bytes.len <= PENDING_MAX) {
		(f->datagram && f->ops->detect_datagram ? f->ops->detect_datagram : f->ops->detect)(s->bytes, side);
		if (s->bytes.len)
			memcpy(d->bytes + d->len, s->bytes.ptr, s->bytes.len);
		d->len += s->bytes.len;
		run(f, side);
	} else if (s->kind == STEP_UNSEEN && d->len == 0 && d->skip >= 16u * s->n) {
		d->skip -= d->skip == UINT64_MAX ? 0 : 16u * s->n;
	} else {
		lose(f, d, side, s->kind == STEP_UNSEEN ? 16u * s->n : UINT64_MAX);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz f; /* large; cleared for each input */
	struct slice in = slice_make(data, size);
	uint8_t choice = fuzz_byte(&in);
	struct proto_memory memory = { .max = PARSER_BYTES };
	struct step s;

	memset(&f, 0, sizeof(f));
	f.ops = proto_get((uint16_t)(1 + (choice & 0x7f) % (PLUMB_PROTO_COUNT - 1)));
	if (!f.ops)
		return 0; /* a library's calls */
	f.datagram = (choice & 0x80) && proto_on_datagram(f.ops->id);
	void *external = f.ops->open ? f.ops->open(&memory) : NULL;
	if (f.ops->open)
		memcpy(f.state, &external, sizeof(external));
	while (step_next(&in, &s))
		step(&f, &s);
	struct message m = { 0 };
	for (int side = 0; side < 2 && f.ops->finish; side++)
		f.ops->finish(f.state, (enum proto_side)side, choice & 1, &m);
	if (f.ops->close)
		f.ops->close(external);
	if (memory.used)
		abort();
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer over all parsers: `make fuzz`, then build/fuzz/fuzz_proto [CORPUS]. The first byte selects parser and transport; then
 * come steps of one control byte (bit 0: direction, bit 1: a hole, bits 2..7: length / 4) and that many bytes. Each parse sees an
 * exact heap copy, so that ASan knows its end. Breaking the contract aborts.
 */
#include <stdlib.h>

#include "proto/proto.h"

enum { PENDING_MAX = 65536, IDLE_MAX = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void drop(struct direction *d, size_t n)
{
	d->len -= n;
	memmove(d->bytes, d->bytes + n, d->len);
}

static bool resync(struct fuzz *f, struct direction *d, enum proto_side side, struct slice in)
{
	size_t at = f->ops->resync(f->state, side, in);

	require(at <= in.len);
	d->lost = at == in.len;
	if (d->lost)
		at = in.len > f->ops->resync_keep ? in.len - f->ops->resync_keep : 0;
	drop(d, at);
	return !d->lost;
}

static bool parse(struct fuzz *f, struct direction *d, enum proto_side side, struct slice in, unsigned *idle)
{
	struct parse_result *r = &f->result;

	memset(r, 0, sizeof(*r));
	r->datagram = f->datagram;
	enum parse_status status = f->ops->parse(f->state, side, in, r);
	require(r->consumed <= in.len && r->message.nattrs <= MESSAGE_ATTRS_MAX);
	if (status == PARSE_NEED_MORE)
		return false;
	if (status == PARSE_BAD) {
		d->lost = true;
		drop(d, 1);
		return true;
	}
	for (uint32_t i = 0; i < r->message.nattrs; i++)
		if (r->message.attrs[i].type == ATTR_TYPE_STR && r->message.attrs[i].str.len) {
			volatile uint8_t last = r->message.attrs[i].str.ptr[r->message.attrs[i].str.len - 1];
			(void)last;
		}
	*idle = r->consumed || r->skip ? 0 : *idle + 1;
	require(*idle <= IDLE_MAX);
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
		uint8_t *copy = malloc(d->len);
		require(copy != NULL);
		memcpy(copy, d->bytes, d->len);
		struct slice in = slice_make(copy, d->len);
		on = d->lost ? resync(f, d, side, in) : parse(f, d, side, in, &idle);
		free(copy);
	}
	if (f->datagram)
		d->len = 0;
}

static void step(struct fuzz *f, enum proto_side side, bool hole, struct slice in)
{
	struct direction *d = &f->dir[side];

	if (hole || d->len + in.len > PENDING_MAX) {
		d->len = 0;
		d->skip = 0;
		d->lost = true;
		return;
	}
	f->ops->detect(in, side);
	memcpy(d->bytes + d->len, in.ptr, in.len);
	d->len += in.len;
	run(f, side);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz f; /* large; cleared for each input */

	if (size < 2)
		return 0;
	memset(&f, 0, sizeof(f));
	f.ops = proto_get((uint16_t)(1 + data[0] % (PLUMB_PROTO_COUNT - 1)));
	f.datagram = (data[0] & 0x80) && proto_on_datagram(f.ops->id);
	void *external = f.ops->open ? f.ops->open() : NULL;
	if (f.ops->open)
		memcpy(f.state, &external, sizeof(external));
	for (size_t at = 1; at + 1 < size;) {
		uint8_t control = data[at++];
		size_t n = (size_t)(control >> 2) * 4 + 1;

		n = n < size - at ? n : size - at;
		step(&f, (enum proto_side)(control & 1), control & 2, slice_make(data + at, n));
		at += n;
	}
	struct message m = { 0 };
	for (int side = 0; side < 2 && f.ops->finish; side++)
		f.ops->finish(f.state, (enum proto_side)side, &m);
	if (f.ops->close)
		f.ops->close(external);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "source/fragments.h"

#include <errno.h>
#include <stdlib.h>

enum { UNIT = 8, UNITS = FRAGMENT_BYTES / UNIT };
static const uint64_t too_old_ns = 30000000000;

struct reassembly {
	bool used;
	uint16_t family;
	uint8_t protocol;
	uint8_t src[16], dst[16];
	uint32_t id;
	uint32_t total; /* bytes, 0 until the last fragment was seen */
	uint32_t have;  /* units that are there */
	uint64_t first_ns;
	uint8_t there[UNITS / 8];
	uint8_t bytes[FRAGMENT_BYTES];
};

void fragments_done(struct fragments *f)
{
	for (size_t i = 0; i < FRAGMENTS_MAX; i++)
		free(f->slots[i]);
	*f = (struct fragments){ 0 };
}

static bool same(const struct reassembly *r, const struct packet *p)
{
	return r->used && r->id == p->frag_id && r->protocol == p->protocol && r->family == p->family &&
	       memcmp(r->src, p->src, 16) == 0 && memcmp(r->dst, p->dst, 16) == 0;
}

/* The datagram's slot; else a free one; else the oldest is given up. */
static struct reassembly *slot_for(struct fragments *f, const struct packet *p, uint64_t time_ns)
{
	size_t pick = 0;

	for (size_t i = 0; i < FRAGMENTS_MAX; i++) {
		struct reassembly *r = f->slots[i];
		if (r && r->used && time_ns - r->first_ns > too_old_ns) {
			r->used = false;
			f->dropped++;
		}
		if (r && same(r, p))
			return r;
	}
	for (size_t i = 0; i < FRAGMENTS_MAX; i++) {
		struct reassembly *r = f->slots[i];
		if (!r || !r->used) {
			pick = i;
			break;
		}
		if (r->first_ns < f->slots[pick]->first_ns)
			pick = i;
	}
	if (!f->slots[pick])
		f->slots[pick] = calloc(1, sizeof(struct reassembly));
	struct reassembly *r = f->slots[pick];
	if (!r)
		return NULL;
	f->dropped += r->used;
	r->used = true;
	r->family = p->family;
	r->protocol = p->protocol;
	memcpy(r->src, p->src, 16);
	memcpy(r->dst, p->dst, 16);
	r->id = p->frag_id;
	r->total = 0;
	r->have = 0;
	r->first_ns = time_ns;
	memset(r->there, 0, sizeof(r->there));
	return r;
}

static void copy_units(struct reassembly *r, uint32_t at, struct slice in)
{
	for (size_t from = 0; from < in.len; from += UNIT) {
		size_t unit = (at + from) / UNIT;
		size_t n = in.len - from < UNIT ? in.len - from : UNIT;
		if (r->there[unit / 8] & 1u << unit % 8)
			continue;
		r->there[unit / 8] |= (uint8_t)(1u << unit % 8);
		r->have++;
		memcpy(r->bytes + at + from, in.ptr + from, n);
	}
}

int fragments_add(struct fragments *f, struct packet *p, uint64_t time_ns)
{
	uint32_t len = p->ip.len, end = p->frag_offset + len;

	if (p->ip.bytes.len < len || len == 0 || end > FRAGMENT_BYTES - 1 || (p->frag_more && len % UNIT))
		return -EBADMSG;
	struct reassembly *r = slot_for(f, p, time_ns);
	if (!r)
		return -ENOMEM;
	/* Two ends, or bytes beyond the end: somebody plays tricks. */
	bool tricks = (!p->frag_more && r->total && r->total != end) || (r->total && end > r->total);
	if (tricks) {
		r->used = false;
		f->dropped++;
		return -EBADMSG;
	}
	if (!p->frag_more)
		r->total = end;
	copy_units(r, p->frag_offset, p->ip.bytes);
	uint32_t units = (r->total + UNIT - 1) / UNIT;
	if (r->total == 0 || r->have < units)
		return 0;
	r->used = false;
	if (r->have > units) { /* bytes beyond the end had come before the end was known */
		f->dropped++;
		return -EBADMSG;
	}
	p->ip = (struct captured){ slice_make(r->bytes, r->total), r->total };
	p->fragment = false;
	return 1;
}

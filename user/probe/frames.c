/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/frames.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/slice.h"
#include "probe/window.h"

enum {
	SECTION_MAX_BYTES = 64 * 1024 * 1024,
	CIES = 64,           /* that are remembered; programs of many parts go back and forth among some */
	CIES_READ_MAX = 65536,
	TAKEN_MAX = 1024 * 1024, /* addresses that lie in what is said of a function: each does in one, but files are anybody's */
	CIE_BYTES = 64,      /* of one: its augmentation is at its beginning */
	NUMBER_MAX_BYTES = 30, /* of some, together */
	HEAD_BYTES = 20,     /* of what is said of a function: as much as is read, behind its length */
	RECORDS_A_LOOK = 256, /* at the clock */
};
/* How addresses are written. */
enum { PE_ABSOLUTE = 0x00, PE_4_BYTES = 0x03, PE_8_BYTES = 0x04, PE_SIGNED_4 = 0x0b, PE_SIGNED_8 = 0x0c, PE_FORM = 0x0f, PE_RELATIVE = 0x10, PE_BASE = 0x70, PE_UNKNOWN = 0xff };

struct cie {
	uint64_t at; /* and 1 more: 0 = none */
	uint8_t encoding;
};

struct frames {
	struct window window;
	struct cie cies[CIES];
	uint32_t cies_read, taken;
	const uint64_t *addresses;
	size_t n;
	struct frame_range *ranges;
};

/* Numbers of 7 bits a byte are left out. */
static bool skip_numbers(const uint8_t *p, size_t len, size_t *at, int n)
{
	for (size_t bytes = 0; n && bytes < NUMBER_MAX_BYTES && *at < len; bytes++)
		n -= !(p[(*at)++] & 0x80);
	return n == 0;
}

/* The augmentation "z…" tells the length of what follows, a byte or more for each letter behind it: R is how addresses are written. */
static uint8_t cie_encoding(const uint8_t *p, size_t len)
{
	size_t at = 9, letters; /* its length, its number, its version */

	if (len < 11 || load_le32(p + 4) != 0 || (p[8] != 1 && p[8] != 3))
		return PE_UNKNOWN;
	letters = at;
	while (at < len && p[at])
		at++;
	if (at >= len || (p[letters] && p[letters] != 'z'))
		return PE_UNKNOWN;
	at++;
	if (!skip_numbers(p, len, &at, 3)) /* alignments, the register of returns */
		return PE_UNKNOWN;
	if (!p[letters])
		return PE_ABSOLUTE;
	if (!skip_numbers(p, len, &at, 1))
		return PE_UNKNOWN;
	for (size_t i = letters + 1; at < len && p[i]; i++)
		switch (p[i]) {
		case 'R': return p[at];
		case 'L': at++; break;
		case 'P': at += 1 + ((p[at] & PE_FORM) == PE_4_BYTES || (p[at] & PE_FORM) == PE_SIGNED_4 ? 4u : 8u); break;
		case 'S':
		case 'B': break;
		default: return PE_UNKNOWN;
		}
	return PE_ABSOLUTE;
}

static uint8_t frames_encoding(struct frames *fr, uint64_t at)
{
	struct cie *c = &fr->cies[at / 4 % CIES];
	uint8_t there[CIE_BYTES] = { 0 };
	uint64_t left = at < fr->window.section.size ? fr->window.section.size - at : 0;

	if (c->at == at + 1)
		return c->encoding;
	if (fr->cies_read++ > CIES_READ_MAX || !elf_read(fr->window.elf, there, left < CIE_BYTES ? left : CIE_BYTES, fr->window.section.offset + at))
		return PE_UNKNOWN;
	*c = (struct cie){ .at = at + 1, .encoding = cie_encoding(there, left < CIE_BYTES ? left : CIE_BYTES) };
	return c->encoding;
}

/* An address, and behind it, written the same way, a length. */
static bool range_read(const struct frames *fr, const uint8_t *p, uint64_t len, uint64_t at, uint8_t encoding, struct frame_range *ret)
{
	uint64_t base = (encoding & PE_BASE) == PE_RELATIVE ? fr->window.section.address + at : 0;

	bool wide = (encoding & PE_FORM) != PE_4_BYTES && (encoding & PE_FORM) != PE_SIGNED_4;
	if (encoding & ~(PE_FORM | PE_RELATIVE) || len < (wide ? 16 : 8))
		return false;
	switch (encoding & PE_FORM) {
	case PE_4_BYTES:
		ret->begin = base + load_le32(p);
		ret->end = ret->begin + load_le32(p + 4);
		return true;
	case PE_SIGNED_4:
		ret->begin = base + (uint64_t)(int64_t)(int32_t)load_le32(p);
		ret->end = ret->begin + load_le32(p + 4);
		return true;
	case PE_ABSOLUTE:
	case PE_8_BYTES:
	case PE_SIGNED_8:
		ret->begin = base + load_le64(p);
		ret->end = ret->begin + load_le64(p + 8);
		return true;
	default: return false;
	}
}

static void frames_take(struct frames *fr, const struct frame_range *r)
{
	size_t low = 0, high = fr->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (fr->addresses[middle] < r->begin)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < fr->n && fr->addresses[low] < r->end && fr->taken <= TAKEN_MAX; low++) {
		fr->ranges[low] = *r;
		fr->taken++;
	}
}

static int frames_walk(struct frames *fr)
{
	uint64_t size = fr->window.section.size, have;
	uint32_t records = 0;

	for (uint64_t at = 0; at + 4 <= size;) {
		const uint8_t *p = window_at(&fr->window, at, 4, &have);
		uint32_t len = p ? load_le32(p) : 0;
		if (!p || (len && len < 4) || len > size - at - 4) /* 0xffffffff, of records of more than 4 GiB, too */
			return -ENOEXEC;
		uint64_t head = len < HEAD_BYTES ? len : HEAD_BYTES;
		p = len >= 12 ? window_at(&fr->window, at, 4 + head, &have) : NULL;
		if (p && load_le32(p + 4) != 0) {
			uint64_t back = load_le32(p + 4);
			struct frame_range r;
			if (back > at + 4)
				return -ENOEXEC;
			if (range_read(fr, p + 8, head - 4, at + 8, frames_encoding(fr, at + 4 - back), &r) && r.begin && r.end > r.begin)
				frames_take(fr, &r);
		}
		if (fr->taken > TAKEN_MAX || (records++ % RECORDS_A_LOOK == 0 && elf_is_late(fr->window.elf)))
			return -EFBIG;
		at += 4 + (uint64_t)len; /* of length 0 is the end of what one of the linked files has */
	}
	return 0;
}

int frames_find(const struct elf_file *f, const uint64_t *addresses, size_t n, struct frame_range *ret_ranges)
{
	struct frames fr = { .addresses = addresses, .n = n, .ranges = ret_ranges };
	struct elf_section section;

	memset(ret_ranges, 0, n * sizeof(*ret_ranges));
	if (!elf_section(f, ".eh_frame", &section))
		return -ENOENT;
	if (section.size > SECTION_MAX_BYTES)
		return -EFBIG;
	int err = window_open(&fr.window, f, &section);
	if (!err)
		err = frames_walk(&fr);
	window_close(&fr.window);
	return err;
}

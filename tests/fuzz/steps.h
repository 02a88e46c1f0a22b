/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input of all harnesses that speak in connections: a byte of choices, then steps. A step is two bytes, what and how much, and the
 * bytes it carries. The seeds are made of the parsers' fixtures in the same form, so an input of one such harness means something to another.
 */
#ifndef PLUMB_TESTS_STEPS_H
#define PLUMB_TESTS_STEPS_H

#include "fuzz/fuzz.h"
#include "lib/buffer.h"

enum step_kind {
	STEP_BYTES,  /* n bytes */
	STEP_CUT,    /* n bytes, and behind them 16 times the first of them that were not captured */
	STEP_UNSEEN, /* 16 n bytes of which none was captured */
	STEP_MOVE,   /* the stream goes on n bytes further or, as n is signed, earlier */
	STEP_EOF,
	STEP_CLOSE,  /* with error n */
	STEP_TIME,   /* n^3 ms pass */
	STEP_RECORD, /* a record of type n % 32, and 4 n bytes of body */
};

struct step {
	enum step_kind kind;
	uint8_t side;   /* enum proto_side */
	uint8_t socket; /* 0..3 */
	uint8_t thread; /* 0..3 */
	uint8_t n;
	struct slice bytes;
};

static inline bool step_next(struct slice *in, struct step *ret)
{
	if (in->len < 2)
		return false;
	uint8_t what = fuzz_byte(in), n = fuzz_byte(in);
	*ret = (struct step){ .kind = what & 7, .side = what >> 3 & 1, .socket = what >> 4 & 3, .thread = what >> 6, .n = n };
	if (ret->kind == STEP_BYTES || ret->kind == STEP_CUT)
		ret->bytes = fuzz_take(in, n);
	else if (ret->kind == STEP_RECORD)
		ret->bytes = fuzz_take(in, 4 * (size_t)n);
	return true;
}

/* Writes what step_next() reads. Bytes beyond 255 become further steps. */
static inline void step_put(struct buffer *to, enum step_kind kind, unsigned side, uint8_t socket, uint8_t n, struct slice bytes)
{
	uint8_t what = (uint8_t)((unsigned)kind | side << 3 | (unsigned)socket << 4);

	do {
		struct slice piece = slice_head(bytes, 255);
		buffer_append_byte(to, what);
		buffer_append_byte(to, kind == STEP_BYTES ? (uint8_t)piece.len : n);
		buffer_append_slice(to, piece);
		bytes = slice_from(bytes, piece.len);
	} while (bytes.len);
}

#endif

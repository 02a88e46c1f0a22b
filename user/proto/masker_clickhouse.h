/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of ClickHouse's masker share: packets (masker_clickhouse.c) and the blocks in them (masker_clickhouse_block.c). For these only. */
#ifndef PLUMB_PROTO_MASKER_CLICKHOUSE_H
#define PLUMB_PROTO_MASKER_CLICKHOUSE_H

#include "proto/clickhouse_wire.h"
#include "proto/masker_way.h"

enum mask_clickhouse_state { PACKET, FIELD, FRAME, FULL_FRAME, BLOCK };
enum { LEVELS = 4 };

/* mask_way.memory */
struct way {
	uint32_t rows, columns, n; /* n: values of the level under way */
	uint32_t keys_of;          /* rows that a dictionary is for */
	uint32_t width, type_left;
	uint8_t packet, field, step; /* step: in the field */
	uint8_t part, level, levels, wraps[LEVELS];
	uint8_t depth, quote, digits, in; /* of a type's arguments; in: bytes of a number so far */
	bool typed, zero;          /* zero: what the body is */
	uint64_t number;
};
_Static_assert(sizeof(struct way) <= sizeof(((struct mask_way *)0)->memory), "no room");

static inline struct way *way_of(struct mask_way *y)
{
	void *p = y->memory;

	return p;
}

static inline uint8_t lost(struct mask_way *y)
{
	y->state = MASK_LOST;
	return 'x';
}

/* A byte of a varint. True: it was the last one. */
static inline bool varint(struct mask_way *y, struct way *w, uint8_t b, unsigned most)
{
	if (w->in == 0)
		w->number = 0;
	if (w->in == most) {
		(void)lost(y);
		return false;
	}
	w->number |= (uint64_t)(b & 0x7f) << 7 * w->in++;
	if (b & 0x80)
		return false;
	w->in = 0;
	return true;
}

/* `n` bytes that say nothing of what follows. */
static inline void body(struct mask_way *y, struct way *w, uint64_t n, bool zero)
{
	y->remain = n;
	w->zero = zero;
}

/* A length, and as many bytes. True: the string is over. */
static inline bool string_byte(struct mask_way *y, struct way *w, uint8_t b)
{
	if (!varint(y, w, b, 4))
		return false;
	body(y, w, w->number, false);
	return true;
}

/* A block begins; kinds: each of its columns says how it is serialized. */
void mask_clickhouse_block_begin(struct mask_way *y, bool compressed);
/* A byte of it, where no body is under way. */
uint8_t mask_clickhouse_frame_byte(struct mask_way *y, uint8_t b);
uint8_t mask_clickhouse_block_byte(struct mask_way *y, bool kinds, uint8_t b);
/* To be called behind each byte or body: what that was a part of may be over with it. */
void mask_clickhouse_block_settle(struct mask_way *y);

#endif

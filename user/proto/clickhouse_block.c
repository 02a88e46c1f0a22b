/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/clickhouse_block.h"

enum { COLUMNS_MAX = 1 << 20, COUNTS = 24, /* bytes up to a block's first column, or more */
	FRAME_LOOK = 8192, /* what cannot be compressed begins with many bytes that say how much it is */
	 FULL_FRAME = 65536, NAME_MAX_BYTES = 1 << 20 };

/* --- the beginning --- */

/* Numbers of columns and rows behind the block's information. False: they are not all in what is there. */
static bool read_counts(struct slice in, struct clickhouse_block_head *ret)
{
	size_t info = clickhouse_block_info(in);
	struct clickhouse_cursor c = { .in = in, .at = info };

	if (info == 0 || info == SIZE_MAX)
		return false;
	ret->columns = clickhouse_number(&c, COLUMNS_MAX);
	ret->rows = clickhouse_number(&c, CLICKHOUSE_ROWS_MAX);
	return clickhouse_good(&c);
}

/* A frame may be followed by another one of the same block only if it is full; how many there are is said nowhere. */
static void begin_frame(struct clickhouse_block *b, const struct clickhouse_frame *f)
{
	b->pass = f->length;
	b->phase = f->plain >= FULL_FRAME ? CLICKHOUSE_FRAMES : CLICKHOUSE_NO_BLOCK;
}

static void begin_compressed(struct clickhouse_block *b, struct clickhouse_cursor *c, struct clickhouse_block_head *ret)
{
	struct slice in = slice_from(c->in, c->at);
	struct clickhouse_frame f;

	if (in.len < CLICKHOUSE_FRAME_HEAD) {
		c->need = c->at + CLICKHOUSE_FRAME_HEAD;
		return;
	}
	if (!clickhouse_frame(in, &f)) {
		c->bad = true;
		return;
	}
	size_t behind, look;
	struct slice plain = clickhouse_frame_begins(slice_head(in, f.length), &behind);
	look = behind + COUNTS < f.length ? behind + COUNTS : f.length;
	if (in.len < look && look < FRAME_LOOK) {
		c->need = c->at + look;
		return;
	}
	ret->empty = f.plain <= CLICKHOUSE_EMPTY_BLOCK_MAX;
	ret->counted = ret->empty || (look < FRAME_LOOK && read_counts(slice_head(plain, COUNTS), ret));
	begin_frame(b, &f);
}

static void begin_plain(struct clickhouse_block *b, struct clickhouse_cursor *c, struct clickhouse_block_head *ret)
{
	size_t info = clickhouse_block_info(slice_from(c->in, c->at));

	c->bad = info == 0;
	c->need = info == SIZE_MAX ? c->in.len + 1 : 0;
	if (!clickhouse_good(c))
		return;
	clickhouse_pass(c, info);
	ret->columns = b->columns = clickhouse_number(c, COLUMNS_MAX);
	ret->rows = b->rows = clickhouse_number(c, CLICKHOUSE_ROWS_MAX);
	c->bad = c->bad || (!b->columns && b->rows);
	ret->counted = true;
	ret->empty = !b->columns;
	b->phase = b->columns ? CLICKHOUSE_COLUMN : CLICKHOUSE_NO_BLOCK;
}

void clickhouse_block_begin(struct clickhouse_block *b, struct clickhouse_cursor *c, bool compressed, uint32_t revision, struct clickhouse_block_head *ret)
{
	enum { SIZED_STRINGS = 54492 };

	*ret = (struct clickhouse_block_head){ 0 };
	if (!clickhouse_good(c))
		return;
	b->phase = CLICKHOUSE_NO_BLOCK;
	b->pass = 0;
	b->kinds = revision >= CLICKHOUSE_WITH_SERIALIZATION_KIND;
	b->sized = revision >= SIZED_STRINGS;
	if (compressed)
		begin_compressed(b, c, ret);
	else
		begin_plain(b, c, ret);
	if (!clickhouse_good(c))
		b->phase = CLICKHOUSE_NO_BLOCK;
}

/* --- columns --- */

static struct clickhouse_place *top(struct clickhouse_block *b) { return &b->places[b->depth - 1]; }

static bool push(struct clickhouse_block *b, uint8_t node, uint64_t rows)
{
	if (b->depth == CLICKHOUSE_DEPTH || node >= b->type.len)
		return false;
	b->places[b->depth++] = (struct clickhouse_place){ .rows = rows, .node = node, .child = (uint8_t)(node + 1) };
	return true;
}

static bool pass_values(struct clickhouse_block *b, uint64_t n, uint32_t width)
{
	b->pass = n * width; /* 40 bits and 24 */
	return true;
}

/* Each has its length in front. All that are there are passed at once. */
static bool step_strings(struct clickhouse_block *b, struct clickhouse_place *p, struct clickhouse_cursor *c)
{
	while (p->rows && !b->pass) {
		struct clickhouse_cursor length = { .in = slice_from(c->in, c->at) };
		uint64_t n = clickhouse_number(&length, UINT32_MAX);

		c->bad = length.bad;
		c->need = length.need ? c->at + length.need : 0;
		if (!clickhouse_good(c))
			return true;
		c->at += length.at;
		uint64_t there = c->in.len - c->at < n ? c->in.len - c->at : n;
		c->at += (size_t)there;
		b->pass = n - there;
		p->rows--;
	}
	if (!p->rows)
		b->depth--;
	return true;
}

/* Where the elements of each row end: the last one says how many there are. */
static bool step_array(struct clickhouse_block *b, struct clickhouse_place *p, struct clickhouse_cursor *c)
{
	if (p->step == 0) {
		p->step++;
		return pass_values(b, p->rows - 1, 8);
	}
	if (p->step == 2) {
		b->depth--;
		return true;
	}
	uint64_t n = clickhouse_u64(c);
	if (!clickhouse_good(c))
		return true;
	p->step++;
	return n <= CLICKHOUSE_ROWS_MAX && (n == 0 || push(b, p->child, n));
}

/* A dictionary of its own, and a number in it for each row. */
static bool step_dictionary(struct clickhouse_block *b, struct clickhouse_place *p, struct clickhouse_cursor *c)
{
	enum { WIDTH = 0xff, OF_ALL_BLOCKS = 1 << 8, OWN_KEYS = 1 << 9, KNOWN = OWN_KEYS | 1 << 10 };
	uint64_t n = clickhouse_u64(c);

	if (!clickhouse_good(c))
		return true;
	switch (p->step) {
	case 0:
		if ((n & WIDTH) > 3 || !(n & OWN_KEYS) || n & ~(uint64_t)(WIDTH | KNOWN))
			return false;
		p->step = (uint8_t)(1 + (n & WIDTH));
		return true;
	case 1:
	case 2:
	case 3:
	case 4: /* how many keys */
		p->step = (uint8_t)(p->step + 4);
		return n <= CLICKHOUSE_ROWS_MAX && (n == 0 || push(b, p->child, n));
	default:
		b->depth--;
		return n == p->rows && pass_values(b, p->rows, 1u << (p->step - 5));
	}
}

static bool step_tuple(struct clickhouse_block *b, struct clickhouse_place *p, const struct clickhouse_node *n)
{
	uint8_t child = p->child;

	if (child >= n->next) {
		b->depth--;
		return true;
	}
	p->child = b->type.nodes[child].next;
	return push(b, child, p->rows);
}

/* False: this is no column of its type. */
static bool step(struct clickhouse_block *b, struct clickhouse_cursor *c)
{
	struct clickhouse_place *p = top(b);
	const struct clickhouse_node *n = &b->type.nodes[p->node];

	switch ((enum clickhouse_kind)n->kind) {
	case CLICKHOUSE_FIXED:
		b->depth--;
		return pass_values(b, p->rows, n->width);
	case CLICKHOUSE_STRINGS: return !b->sized && step_strings(b, p, c);
	case CLICKHOUSE_NULLABLE:
		if (p->step++) {
			b->depth--;
			return true;
		}
		return pass_values(b, p->rows, 1) && push(b, p->child, p->rows);
	case CLICKHOUSE_ARRAY: return step_array(b, p, c);
	case CLICKHOUSE_TUPLE: return step_tuple(b, p, n);
	case CLICKHOUSE_LOW_CARDINALITY: return step_dictionary(b, p, c);
	}
	return false;
}

/* Behind a column's head. */
static bool begin_values(struct clickhouse_block *b)
{
	b->columns--;
	b->depth = 0;
	b->phase = b->rows ? CLICKHOUSE_VALUES : CLICKHOUSE_COLUMN;
	if (!b->rows)
		return true;
	b->pass = (uint64_t)8 * b->type.dictionaries;
	return push(b, 0, b->rows);
}

static bool read_type(struct clickhouse_block *b, struct clickhouse_cursor *c)
{
	struct clickhouse_cursor type = { .in = slice_from(c->in, c->at) };
	uint64_t length;
	struct slice text = clickhouse_text(&type, CLICKHOUSE_TYPE_LOOK, &length);

	c->need = type.need ? c->at + type.need : 0;
	c->bad = type.bad;
	if (!clickhouse_good(c))
		return true;
	if (!clickhouse_type_read(text, length > text.len, &b->type) && b->rows)
		return false;
	c->at += type.at;
	b->pass = length - text.len;
	b->phase = CLICKHOUSE_SERIALIZATION;
	return true;
}

static bool read_name(struct clickhouse_block *b, struct clickhouse_cursor *c)
{
	struct clickhouse_cursor name = { .in = slice_from(c->in, c->at) };
	uint64_t length = clickhouse_number(&name, NAME_MAX_BYTES);

	c->need = name.need ? c->at + name.need : 0;
	c->bad = name.bad;
	if (!clickhouse_good(c))
		return true;
	c->at += name.at;
	b->pass = length;
	b->phase = CLICKHOUSE_TYPE;
	return true;
}

/* --- frames --- */

static bool is_data(uint8_t packet, enum proto_side side)
{
	if (side == PROTO_TO_SERVER)
		return packet == CLICKHOUSE_CLIENT_DATA || packet == CLICKHOUSE_SCALAR;
	return packet == CLICKHOUSE_DATA || packet == CLICKHOUSE_TOTALS || packet == CLICKHOUSE_EXTREMES || packet == CLICKHOUSE_LOG || packet == CLICKHOUSE_PROFILE_EVENTS;
}

/* Another frame, or a packet? What follows a full frame is always longer than the heads of both: the block that ends the data, if nothing else. */
static bool next_frame(struct clickhouse_block *b, enum proto_side side, struct clickhouse_cursor *c)
{
	struct slice in = slice_from(c->in, c->at);
	struct clickhouse_frame f, of_packet;

	if (in.len < 2 + CLICKHOUSE_FRAME_HEAD) {
		c->need = c->at + 2 + CLICKHOUSE_FRAME_HEAD;
		return true;
	}
	bool packet = is_data(in.ptr[0], side) && in.ptr[1] == 0 && (clickhouse_frame(slice_from(in, 2), &of_packet) || clickhouse_block_info(slice_from(in, 2)));
	b->phase = CLICKHOUSE_NO_BLOCK;
	if (!packet && clickhouse_frame(in, &f))
		begin_frame(b, &f);
	return true;
}

/* --- walking --- */

static bool step_on(struct clickhouse_block *b, enum proto_side side, struct clickhouse_cursor *c)
{
	switch ((enum clickhouse_phase)b->phase) {
	case CLICKHOUSE_FRAMES: return next_frame(b, side, c);
	case CLICKHOUSE_COLUMN:
		if (b->columns)
			return read_name(b, c);
		b->phase = CLICKHOUSE_NO_BLOCK;
		return true;
	case CLICKHOUSE_TYPE: return read_type(b, c);
	case CLICKHOUSE_SERIALIZATION:
		if (b->kinds && clickhouse_u8(c) != 0)
			return false;
		return !clickhouse_good(c) || begin_values(b);
	case CLICKHOUSE_VALUES:
		if (b->depth)
			return step(b, c);
		b->phase = CLICKHOUSE_COLUMN;
		return true;
	case CLICKHOUSE_NO_BLOCK: break;
	}
	return false;
}

enum clickhouse_walk clickhouse_block_walk(struct clickhouse_block *b, enum proto_side side, struct slice in, size_t *at, size_t *ret_need)
{
	*ret_need = 0;
	for (;;) {
		/* A block is any number of bytes: no limit of packets. */
		struct clickhouse_cursor c = { .in = slice_from(in, *at) };
		size_t there = c.in.len < b->pass ? c.in.len : (size_t)b->pass;

		*at += there;
		b->pass -= there;
		if (b->pass)
			return CLICKHOUSE_WALK_ON;
		if (b->phase == CLICKHOUSE_NO_BLOCK)
			return CLICKHOUSE_WALK_DONE;
		c.in = slice_from(c.in, there);
		if (!step_on(b, side, &c) || c.bad)
			return CLICKHOUSE_WALK_BAD;
		*at += c.at;
		if (c.need) {
			*ret_need = *at - c.at + c.need;
			return CLICKHOUSE_WALK_ON;
		}
	}
}

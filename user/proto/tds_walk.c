/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/tds_walk.h"

enum { COLLATION = 5, TIME_STAMP = 8 };

enum part { START, UDT_SIZE, FIXED, SCHEMA, PARTS_OF_NAME, NAMES, NAME, VALUE, POINTER, TEXT_LENGTH, CHUNK, CHUNK_VALUE };

void tds_walk_begin(struct tds_walk *w)
{
	w->step = w->part = 0;
	w->pass = 0;
	w->text = NULL;
	w->have = 0;
}

const uint8_t *tds_take(struct tds_walk *w, struct slice *in, size_t n)
{
	if (w->have == 0 && in->len >= n) {
		const uint8_t *p = in->ptr;

		*in = slice_from(*in, n);
		return p;
	}
	/* What was begun with another length (the peers speak of another version now) is over. */
	size_t missing = w->have < n ? n - w->have : 0, more = missing < in->len ? missing : in->len;
	if (more)
		memcpy(w->gathered + w->have, in->ptr, more);
	*in = slice_from(*in, more);
	w->have = (uint16_t)(w->have + more);
	if (w->have < n)
		return NULL;
	w->have = 0;
	return w->gathered;
}

bool tds_pass(struct tds_walk *w, struct slice *in)
{
	struct slice s = slice_head(*in, w->pass < in->len ? (size_t)w->pass : in->len);

	if (w->text)
		tds_text_add(w->text, s);
	for (size_t i = 0; i < s.len && w->number_at < 8; i++)
		w->number |= (uint64_t)s.ptr[i] << 8 * w->number_at++;
	w->pass -= s.len;
	*in = slice_from(*in, s.len);
	return w->pass == 0;
}

/* --- types --- */

static void set_names(struct tds_walk *w, bool column)
{
	w->short_names = w->info.udt ? 3 : 0;
	w->long_names = w->info.udt && column ? 1 : 0;
}

/* Behind the bytes of fixed number. */
static uint8_t behind_fixed(const struct tds_walk *w, bool column, struct tds_version v)
{
	if (w->info.schema)
		return SCHEMA;
	if (w->info.table && column)
		return v.since_72 ? PARTS_OF_NAME : NAMES;
	return NAMES;
}

static bool walk_fixed(struct tds_walk *w, struct slice *in, bool column, struct tds_version v)
{
	size_t n = w->info.schema ? 0 : w->info.fixed + (w->info.collation && v.since_71 ? COLLATION : 0u);
	const uint8_t *p = n ? tds_take(w, in, n) : w->gathered;

	if (!p)
		return false;
	if (n && w->info.size_at && load_le16(p + w->info.size_at - 1) == 0xffff)
		w->shape = TDS_PARTS;
	w->part = behind_fixed(w, column, v);
	if (w->part == NAMES && w->info.table && column)
		w->long_names = 1;
	return true;
}

/* False: more bytes are needed. */
static bool walk_names(struct tds_walk *w, struct slice *in)
{
	size_t n = w->short_names ? 1 : 2;
	const uint8_t *p = tds_take(w, in, n);

	if (!p)
		return false;
	w->pass = UINT64_C(2) * (n == 1 ? p[0] : load_le16(p));
	if (w->short_names)
		w->short_names--;
	else
		w->long_names--;
	w->number_at = 8;
	w->part = NAME;
	return true;
}

static enum tds_walked type_begin(struct tds_walk *w, struct slice *in, bool column)
{
	const uint8_t *p = tds_take(w, in, 1);

	if (!p)
		return TDS_WALK_ON;
	w->info = tds_type_info(p[0]);
	w->shape = w->info.shape;
	w->is_text = w->info.text;
	if (w->shape == TDS_UNKNOWN)
		return TDS_WALK_LOST;
	if (w->shape == TDS_TEXT && !column)
		w->shape = TDS_LONG;
	set_names(w, column);
	w->part = w->info.udt && column ? UDT_SIZE : FIXED;
	return TDS_WALK_DONE;
}

enum tds_walked tds_walk_type(struct tds_walk *w, struct slice *in, bool column, struct tds_version v)
{
	const uint8_t *p;

	for (;;) {
		switch ((enum part)w->part) {
		case START: {
			enum tds_walked how = type_begin(w, in, column);
			if (how != TDS_WALK_DONE)
				return how;
			break;
		}
		case UDT_SIZE:
			if (!tds_take(w, in, 2))
				return TDS_WALK_ON;
			w->part = FIXED;
			break;
		case FIXED:
			if (!walk_fixed(w, in, column, v))
				return TDS_WALK_ON;
			break;
		case SCHEMA:
			if (!(p = tds_take(w, in, 1)))
				return TDS_WALK_ON;
			w->short_names = p[0] ? 2 : 0;
			w->long_names = p[0] ? 1 : 0;
			w->part = NAMES;
			break;
		case PARTS_OF_NAME:
			if (!(p = tds_take(w, in, 1)))
				return TDS_WALK_ON;
			w->long_names = p[0];
			w->part = NAMES;
			break;
		case NAMES:
			if (!w->short_names && !w->long_names) {
				w->part = START;
				return TDS_WALK_DONE;
			}
			if (!walk_names(w, in))
				return TDS_WALK_ON;
			break;
		case NAME:
			if (!tds_pass(w, in))
				return TDS_WALK_ON;
			w->part = NAMES;
			break;
		default: return TDS_WALK_LOST;
		}
	}
}

/* --- values --- */

/* The length in front of a value. */
static enum tds_walked value_begin(struct tds_walk *w, struct slice *in, uint8_t shape)
{
	const uint8_t *p;

	w->number = w->number_at = 0;
	w->part = VALUE;
	if (shape <= TDS_FIXED_MAX) {
		w->pass = shape;
		return TDS_WALK_DONE;
	}
	size_t n = shape == TDS_BYTE || shape == TDS_TEXT ? 1 : shape == TDS_SHORT ? 2 : shape == TDS_LONG ? 4 : 8;
	w->part = START;
	if (!(p = tds_take(w, in, n)))
		return TDS_WALK_ON;
	w->part = VALUE;
	switch (shape) {
	case TDS_BYTE: w->pass = p[0]; break;
	case TDS_SHORT: w->pass = load_le16(p) == 0xffff ? 0 : load_le16(p); break;
	case TDS_LONG: w->pass = load_le32(p) == UINT32_MAX ? 0 : load_le32(p); break;
	case TDS_TEXT:
		w->pass = p[0] ? p[0] + (uint64_t)TIME_STAMP : 0;
		if (p[0])
			w->part = POINTER;
		break;
	default:
		w->pass = 0;
		if (load_le64(p) != UINT64_MAX)
			w->part = CHUNK;
	}
	return TDS_WALK_DONE;
}

static bool value_length(struct tds_walk *w, struct slice *in)
{
	const uint8_t *p = tds_take(w, in, 4);

	if (!p)
		return false;
	w->pass = load_le32(p);
	w->number_at = 8;
	return true;
}

enum tds_walked tds_walk_value(struct tds_walk *w, struct slice *in, uint8_t shape)
{
	for (;;) {
		switch ((enum part)w->part) {
		case START:
			if (value_begin(w, in, shape) != TDS_WALK_DONE)
				return TDS_WALK_ON;
			break;
		case POINTER:
			if (!tds_pass(w, in))
				return TDS_WALK_ON;
			w->part = TEXT_LENGTH;
			break;
		case TEXT_LENGTH:
			if (!value_length(w, in))
				return TDS_WALK_ON;
			w->part = VALUE;
			break;
		case CHUNK:
			if (!value_length(w, in))
				return TDS_WALK_ON;
			w->part = w->pass ? CHUNK_VALUE : VALUE;
			break;
		case VALUE:
		case CHUNK_VALUE:
			if (!tds_pass(w, in))
				return TDS_WALK_ON;
			if (w->part == VALUE) {
				w->part = START;
				return TDS_WALK_DONE;
			}
			w->part = CHUNK;
			break;
		default: return TDS_WALK_LOST;
		}
	}
}

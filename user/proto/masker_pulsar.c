/* SPDX-License-Identifier: Apache-2.0 */
/* Pulsar for shared recordings: see masker.h for what stays. */
#include "proto/masker_way.h"
#include "proto/pulsar_wire.h"

/* SIZES: of frame and command. OPEN, CODE: BaseCommand up to the command of its type. TAG to TEXT: fields. EXTRA: magic, sizes and metadata of a message. */
enum state { SIZES, OPEN, CODE, COMMAND_TAG, COMMAND_SIZE, TAG, NUMBER, LENGTH, FIXED, TEXT, EXTRA, METADATA_SIZE, REST };
enum { METADATA = 1, IN_ID = 2 }; /* mask_way.flags: fields are those of metadata, of an id of a message */
enum { KEPT_BYTES = 3, SCHEME_MAX = 16 };
/* mask_way.memory: bytes left of the command, of the metadata, of the id; the number of the field; bytes of the number at hand that were seen */
enum { COMMAND_LEFT, METADATA_LEFT, ID_LEFT, FIELD, SEEN, AFTER };

static const char *const schemes[] = { "persistent://", "non-persistent://", NULL };

static uint8_t rest(struct mask_way *y)
{
	y->state = REST;
	return 'x';
}

static void frame_begin(struct mask_way *y)
{
	y->state = SIZES;
	y->part = y->number = y->length = 0;
	y->flags = 0;
	y->type = 0;
	y->remain = 0;
	memset(y->memory, 0, sizeof(y->memory));
}

static uint8_t size_byte(struct mask_way *y, uint8_t b)
{
	uint64_t *size = y->part < 4 ? &y->number : &y->memory[COMMAND_LEFT];

	*size = *size << 8 | b;
	unsigned left = 8 * (PULSAR_HEAD_BYTES - ++y->part) % 32; /* bits of it that are to come */
	bool frame = size == &y->number;
	/* As soon as it is too large: its bytes would stay. */
	if (*size > (frame ? PULSAR_FRAME_MAX : y->number - 4) >> left || (left == 0 && *size < (frame ? 4 + PULSAR_COMMAND_MIN : PULSAR_COMMAND_MIN))) {
		y->state = MASK_LOST;
		return 'x';
	}
	if (y->part < PULSAR_HEAD_BYTES)
		return b;
	y->remain = y->number - 4;
	y->number = y->part = 0;
	y->state = OPEN;
	return b;
}

/* A varint's byte. True: it was the last. */
static bool number_byte(struct mask_way *y, uint8_t b)
{
	if (y->part < 5)
		y->number |= (uint64_t)(b & 0x7f) << (7 * y->part);
	y->part++;
	return !(b & 0x80);
}

static void number_begin(struct mask_way *y, enum state state)
{
	y->state = (uint8_t)state;
	y->number = y->part = 0;
}

/* Numbers that pair, and those that say what failed, and how many. */
static bool keeps_number(const struct mask_way *y)
{
	enum { COMPRESSION = 8, BATCH = 11 };

	if (y->flags & METADATA)
		return y->memory[FIELD] == COMPRESSION || y->memory[FIELD] == BATCH;
	return y->flags & IN_ID ? y->memory[FIELD] <= 4 : y->memory[FIELD] < PULSAR_FIELDS;
}

static bool is_id(const struct mask_way *y)
{
	uint64_t f = y->memory[FIELD];

	return !(y->flags & (METADATA | IN_ID)) && ((y->type == PULSAR_ACK && f == 3) || (y->type == PULSAR_REDELIVER && f == 2) || (y->type == PULSAR_MESSAGE && f == 2) || (y->type == PULSAR_SEND_RECEIPT && f == 3));
}

static bool is_topic(const struct mask_way *y)
{
	return !(y->flags & (METADATA | IN_ID)) && y->type < PULSAR_TYPES && pulsar_commands[y->type].topic && pulsar_commands[y->type].topic == y->memory[FIELD];
}

static uint8_t tag_byte(struct mask_way *y, uint8_t b)
{
	if (!number_byte(y, b))
		return y->part > 4 ? rest(y) : b;
	uint64_t wire = y->number & 7;
	y->memory[FIELD] = y->number >> 3;
	if (wire == 1 || wire == 5) {
		y->state = FIXED;
		y->length = wire == 1 ? 8 : 4;
	} else if (wire == 0 || wire == 2) {
		number_begin(y, wire ? LENGTH : NUMBER);
	} else {
		return rest(y);
	}
	return b;
}

static uint8_t value_byte(struct mask_way *y, uint8_t b)
{
	bool kept = y->part < KEPT_BYTES && keeps_number(y);

	if (number_byte(y, b))
		number_begin(y, TAG);
	return kept ? b : b & 0x80;
}

static uint8_t length_byte(struct mask_way *y, uint8_t b, uint64_t left)
{
	if (!number_byte(y, b))
		return y->part > 4 ? rest(y) : b;
	uint64_t length = y->number;
	if (length > left)
		return rest(y);
	word_clear(y);
	number_begin(y, TAG);
	if (is_id(y) && length) {
		y->flags |= IN_ID;
		y->memory[ID_LEFT] = length + 1; /* this byte is not of it */
	} else if (length) {
		y->state = TEXT;
		y->length = length;
		y->digits = 0;
	}
	return b;
}

static uint8_t text_byte(struct mask_way *y, uint8_t b)
{
	bool stays = y->digits < SCHEME_MAX + 2 && is_topic(y) && word_feed(y, b, schemes);

	if (y->digits < UINT8_MAX)
		y->digits++;
	if (--y->length == 0)
		number_begin(y, TAG);
	return stays ? b : 'x';
}

static uint8_t field_byte(struct mask_way *y, uint8_t b, uint64_t left)
{
	switch (y->state) {
	case TAG: return tag_byte(y, b);
	case NUMBER: return value_byte(y, b);
	case LENGTH: return length_byte(y, b, left);
	case FIXED:
		if (--y->length == 0)
			number_begin(y, TAG);
		return 0;
	default: return text_byte(y, b);
	}
}

/* BaseCommand: its type, and the command of that type. */
static uint8_t open_byte(struct mask_way *y, uint8_t b)
{
	switch (y->state) {
	case OPEN:
		y->state = CODE;
		return b == 8 ? b : rest(y);
	case CODE:
		y->type = b;
		number_begin(y, COMMAND_TAG);
		return b < PULSAR_TYPES && pulsar_commands[b].by ? b : rest(y);
	case COMMAND_TAG:
		if (!number_byte(y, b))
			return y->part > 2 ? rest(y) : b;
		if (y->number != ((uint64_t)y->type << 3 | 2))
			return rest(y);
		number_begin(y, COMMAND_SIZE);
		return b;
	default:
		if (!number_byte(y, b))
			return y->part > 4 ? rest(y) : b;
		if (y->number != y->memory[COMMAND_LEFT])
			return rest(y);
		number_begin(y, TAG);
		return b;
	}
}

static uint8_t command_byte(struct mask_way *y, uint8_t b)
{
	uint64_t left = --y->memory[COMMAND_LEFT];
	uint8_t out = y->state < TAG ? open_byte(y, b) : field_byte(y, b, y->flags & IN_ID ? y->memory[ID_LEFT] - 1 : left);

	if (y->flags & IN_ID && --y->memory[ID_LEFT] == 0)
		y->flags &= ~(uint32_t)IN_ID;
	if (y->state != REST && left == 0)
		number_begin(y, y->type == PULSAR_SEND || y->type == PULSAR_MESSAGE ? EXTRA : REST);
	return out;
}

/* Behind the command: "0e02", size and as many bytes; "0e01" and a checksum; the metadata's size. AFTER: bytes that are passed. */
/* Of the size at hand, be it the metadata's or an entry's: as much as has come of it is no more than what is left. A mark in front is none. */
static bool size_fits(const struct mask_way *y)
{
	uint64_t number = y->number;
	unsigned part = (unsigned)y->part;

	if (y->state != METADATA_SIZE) {
		uint64_t mark = part == 1 ? PULSAR_ENTRY >> 8 : PULSAR_ENTRY;
		uint64_t head = part < 3 ? number : number >> 8 * (part - 2);
		if (part < 3 && (number == mark || number == (part == 1 ? PULSAR_CHECKSUM >> 8 : PULSAR_CHECKSUM)))
			return true;
		if (part >= 3 && head == PULSAR_ENTRY) {
			part -= 2;
			number &= (UINT64_C(1) << 8 * part) - 1;
		}
	}
	return number << 8 * (4 - part) <= y->remain;
}

static uint8_t extra_byte(struct mask_way *y, uint8_t b)
{
	enum { ENTRY_HEAD = 6, CHECKSUM_HEAD = 2, CHECKSUM_BYTES = 4 };

	if (y->memory[AFTER]) {
		y->memory[AFTER]--;
		return 0;
	}
	y->number = y->number << 8 | b;
	y->part++;
	if (!size_fits(y))
		return rest(y);
	if (y->part == CHECKSUM_HEAD && y->number == PULSAR_CHECKSUM) {
		y->memory[AFTER] = CHECKSUM_BYTES;
		number_begin(y, METADATA_SIZE);
	} else if (y->part == 4 && (y->state == METADATA_SIZE || y->number >> 16 != PULSAR_ENTRY)) {
		y->memory[METADATA_LEFT] = y->number;
		y->flags |= METADATA;
		number_begin(y, y->number && y->number < y->remain ? TAG : REST);
	} else if (y->part == ENTRY_HEAD) {
		y->memory[AFTER] = y->number & UINT32_MAX;
		number_begin(y, EXTRA);
	}
	return b;
}

static uint8_t metadata_byte(struct mask_way *y, uint8_t b)
{
	uint64_t left = --y->memory[METADATA_LEFT];
	uint8_t out = field_byte(y, b, left);

	if (left == 0)
		y->state = REST;
	return out;
}

static uint8_t one(struct mask_way *y, uint8_t b)
{
	uint8_t out;

	if (y->state == SIZES)
		return size_byte(y, b);
	if (y->state == REST)
		out = 'x';
	else if (y->flags & METADATA)
		out = metadata_byte(y, b);
	else
		out = y->state >= EXTRA ? extra_byte(y, b) : command_byte(y, b);
	if (--y->remain == 0)
		frame_begin(y);
	return out;
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	(void)c;
	for (size_t i = 0; i < n; i++)
		p[i] = y->state < MASK_LOST ? one(y, p[i]) : 'x';
}

/* Nothing of the rest stands at a known place. */
static void hole(struct mask_way *y) { y->state = REST; }

static enum mask_opens opens(struct slice in) { return pulsar_begins(in, PROTO_TO_SERVER) ? MASK_OPENS_SURELY : MASK_OPENS_NOT; }

static bool begins(struct slice in) { return pulsar_begins(in, PROTO_TO_SERVER) || pulsar_begins(in, PROTO_TO_CLIENT); }

const struct mask_ops mask_pulsar = { .opens = opens, .begins = begins, .mask = mask, .hole = hole, .ends_with_body = true };

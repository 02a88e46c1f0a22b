/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMQP 1.0 for shared recordings: see masker.h for what stays. Lists and maps are walked as if what they hold stood side by side, as every value says how long it is. Of a message
 * in several frames the later ones are masked whole, so which links are within one is remembered.
 */
#include "proto/amqp10_wire.h"
#include "proto/masker_way.h"

/* REST masks to the end of the frame. */
enum state { HEAD, PREFACE, TYPE, DESCRIPTOR_TYPE, DESCRIPTOR, FIXED, LENGTH, TEXT, REST };
enum { DESCRIBED = 0, DESCRIPTOR_SMALL = 0x53, LIST_EMPTY = 0x45, LOW = 0x20, HANDLE_FIELD = 0, MORE_FIELD = 5, BUSY_MAX = 8 };
enum { PAYLOAD = 1, MORE = 2, LISTED = 4, COMPOUND = 8, WIDE = 16, FRESH = 32 };
/* flags: in the payload; of a transfer; the performative's list has begun; of the value at hand, twice; nothing of the payload was read */

#define WHERE 8 /* memory: of the transfer at hand, channel and handle */
#define BUSY 9  /* memory: how many places of those before are taken */

static const char *const words[] = { "product", "rabbitmq", "plain", "anonymous", "external", "amqp:internal-error", "amqp:not-found", "amqp:unauthorized-access", "amqp:decode-error",
	"amqp:resource-limit-exceeded", "amqp:not-allowed", "amqp:invalid-field", "amqp:not-implemented", "amqp:resource-locked", "amqp:precondition-failed", "amqp:resource-deleted",
	"amqp:illegal-state", "amqp:frame-size-too-small", "amqp:connection:forced", "amqp:connection:framing-error", "amqp:connection:redirect", "amqp:session:window-violation",
	"amqp:session:errant-link", "amqp:session:handle-in-use", "amqp:session:unattached-handle", "amqp:link:detach-forced", "amqp:link:transfer-limit-exceeded",
	"amqp:link:message-size-exceeded", "amqp:link:redirect", "amqp:link:stolen", "amqp:transaction:rollback", "amqp:transaction:timeout", NULL };

/* Fields of a performative whose numbers stay: the first so many. */
static const uint8_t kept[AMQP10_OUTCOME + 1] = { [AMQP10_BEGIN] = 1, [AMQP10_ATTACH] = 5, [AMQP10_TRANSFER] = 6, [AMQP10_DISPOSITION] = 4, [AMQP10_DETACH] = 2, [AMQP10_OUTCOME] = 1 };

static uint8_t lose(struct mask_way *y)
{
	y->state = MASK_LOST;
	return 'x';
}

static uint8_t give_up(struct mask_way *y)
{
	y->state = REST;
	return 'x';
}

/* --- links within a message --- */

static uint64_t *busy_find(struct mask_way *y)
{
	for (uint64_t i = 0; i < y->memory[BUSY] && i < BUSY_MAX; i++)
		if (y->memory[i] == y->memory[WHERE])
			return &y->memory[i];
	return NULL;
}

/* The performative of a transfer is over. True: this is a later part of a message. */
static bool transfer_read(struct mask_way *y)
{
	uint64_t *at = busy_find(y);
	if (y->flags & MORE && !at && y->memory[BUSY] < BUSY_MAX)
		y->memory[y->memory[BUSY]++] = y->memory[WHERE];
	else if (!(y->flags & MORE) && at)
		*at = y->memory[--y->memory[BUSY]];
	return at != NULL;
}

/* --- frames --- */

static uint8_t head_byte(struct mask_way *y, uint8_t b)
{
	static const char preface[] = "AMQP";
	uint64_t at = y->part++;

	if (at == 0 && b == 'A') {
		y->state = PREFACE;
		return b;
	}
	if (y->state == PREFACE) {
		bool fits = at < 4 ? b == (uint8_t)preface[at] : at == 4 ? b <= AMQP10_SASL : at == 5 ? b == 1 : b == 0;
		if (at == AMQP10_HEAD_BYTES - 1) {
			y->state = HEAD;
			y->part = 0;
		}
		return fits ? b : lose(y);
	}
	if ((at == 0 && b > LOW) || (at == 4 && b != 2) || (at == 5 && b > 1))
		return lose(y);
	y->number = at == 0 ? b : at < 4 ? y->number << 8 | b : y->number;
	if (at == 6)
		y->memory[WHERE] = (uint64_t)b << 40;
	if (at < AMQP10_HEAD_BYTES - 1)
		return b;
	y->memory[WHERE] |= (uint64_t)b << 32;
	if (y->number < AMQP10_HEAD_BYTES)
		return lose(y);
	y->remain = y->number - AMQP10_HEAD_BYTES;
	y->length = 0;
	y->flags = 0;
	y->type = 0;
	y->digits = 0;
	y->part = 0;
	y->state = y->remain ? TYPE : HEAD;
	return b;
}

/* --- values --- */

/* A number of the performative by which messages are paired. digits: fields that have begun. */
static bool keeps_number(const struct mask_way *y) { return !(y->flags & PAYLOAD) && y->digits && y->digits <= kept[y->type]; }

/* Behind the performative: what a transfer carries. */
static void payload_begin(struct mask_way *y)
{
	bool first = y->type == AMQP10_TRANSFER && !transfer_read(y);

	y->flags = PAYLOAD | LISTED | FRESH;
	y->state = first ? TYPE : REST;
	y->part = 0;
}

/* What the byte of a type announces. */
static void type_known(struct mask_way *y, uint8_t class)
{
	static const uint8_t fixed[] = { [4] = 0, [5] = 1, [6] = 2, [7] = 4, [8] = 8, [9] = 16 };

	y->flags &= ~(uint32_t)(COMPOUND | WIDE);
	y->flags |= (class & 1 ? WIDE : 0) | (class == 0xc || class == 0xd ? COMPOUND : 0);
	y->number = 0;
	y->part = class < 0xa ? fixed[class] : 0;
	y->state = class == 4 ? TYPE : class < 0xa ? FIXED : LENGTH;
}

static uint8_t type_byte(struct mask_way *y, uint8_t b)
{
	uint8_t class = b >> 4;

	if (b == DESCRIBED) {
		y->state = DESCRIPTOR_TYPE;
		return b;
	}
	bool list = b == LIST_EMPTY || b == 0xc0 || b == 0xd0;
	/* What begins a frame, or a message, is described. */
	if (!y->type || y->flags & FRESH || class < 4 || (!(y->flags & LISTED) && !list))
		return give_up(y);
	y->word_len = 0;
	if (!(y->flags & LISTED) && b == LIST_EMPTY) {
		payload_begin(y);
		return b;
	}
	if (y->flags & LISTED && y->digits < UINT8_MAX)
		y->digits++;
	if (!(y->flags & PAYLOAD) && y->digits == MORE_FIELD + 1 && b == 0x41)
		y->flags |= MORE;
	if (keeps_number(y) && class > 4 && class < 0xa && !memchr("\x50\x52\x56\x60\x70", b, 5))
		return give_up(y); /* no field that stays is of such a type */
	type_known(y, class);
	return b;
}

static bool descriptor_known(uint8_t b) { return (b >= AMQP10_OPEN && b <= 0x1d) || (b >= AMQP10_RECEIVED && b <= 0x35) || (b >= AMQP10_MECHANISMS && b <= AMQP10_OUTCOME) || (b >= AMQP10_HEADER_SECTION && b <= AMQP10_FOOTER); }

/* The first of a frame is the performative's. */
static uint8_t descriptor_byte(struct mask_way *y, uint8_t b)
{
	y->state = TYPE;
	if (!descriptor_known(b))
		return give_up(y);
	if (!y->type && (b > AMQP10_OUTCOME || (b > AMQP10_CLOSE && b < AMQP10_MECHANISMS)))
		return give_up(y);
	if (y->flags & FRESH && b < AMQP10_HEADER_SECTION)
		return give_up(y);
	y->flags &= ~(uint32_t)FRESH;
	if (!y->type)
		y->type = b;
	return b;
}

static uint8_t fixed_byte(struct mask_way *y, uint8_t b, uint64_t left)
{
	if (--y->part == 0)
		y->state = TYPE;
	if (!(y->flags & PAYLOAD) && y->type == AMQP10_TRANSFER && y->digits == HANDLE_FIELD + 1 && left < 4)
		y->memory[WHERE] |= (uint64_t)b << (8 * left);
	if (!(y->flags & PAYLOAD) && y->digits == MORE_FIELD + 1 && b == 1)
		y->flags |= MORE;
	return keeps_number(y) && left < 4 ? b : 0;
}

/* Of a text its length, of a list or map its size and count, of an array the size. */
static uint8_t length_byte(struct mask_way *y, uint8_t b)
{
	uint64_t width = y->flags & WIDE ? 4 : 1, at = y->part++ % width, limit = y->flags & PAYLOAD ? AMQP10_FRAME_MAX : y->remain;
	bool counts = y->part > width;

	y->number = at ? y->number << 8 | b : b;
	if (y->number << 8 * (width - 1 - at) > limit)
		return give_up(y);
	if (at + 1 < width)
		return b;
	if (!(y->flags & LISTED) && !counts)
		y->length = y->number + 1; /* this byte is not of it */
	if (y->flags & COMPOUND) {
		if (!counts)
			return b;
		y->state = TYPE;
		return b;
	}
	y->part = y->number;
	y->state = y->number ? TEXT : TYPE;
	return b;
}

static uint8_t text_byte(struct mask_way *y, uint8_t b)
{
	bool stays = !(y->flags & PAYLOAD) && word_feed(y, b, words);

	if (--y->part == 0)
		y->state = TYPE;
	return stays ? b : 'x';
}

static uint8_t value_byte(struct mask_way *y, uint8_t b)
{
	switch (y->state) {
	case TYPE: return type_byte(y, b);
	case DESCRIPTOR_TYPE:
		y->state = DESCRIPTOR;
		return b == DESCRIPTOR_SMALL ? b : give_up(y);
	case DESCRIPTOR: return descriptor_byte(y, b);
	case FIXED: return fixed_byte(y, b, y->part - 1);
	case LENGTH: return length_byte(y, b);
	case TEXT: return text_byte(y, b);
	default: return 'x';
	}
}

/* length: bytes left of the performative's list. */
static uint8_t body_byte(struct mask_way *y, uint8_t b)
{
	bool listed = y->flags & LISTED, payload = y->flags & PAYLOAD;
	uint8_t out = value_byte(y, b);

	if (!listed && y->length) { /* its size was read with this byte, or before */
		y->length--;
		if (y->state == TYPE)
			y->flags |= LISTED;
	} else if (!payload && y->length) {
		y->length--;
	}
	if (y->flags & LISTED && !(y->flags & PAYLOAD) && !y->length)
		payload_begin(y);
	if (--y->remain == 0) {
		y->state = HEAD;
		y->part = 0;
	}
	return out;
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	(void)c;
	for (size_t i = 0; i < n; i++)
		if (y->state == MASK_LOST)
			p[i] = 'x';
		else
			p[i] = y->state == HEAD || y->state == PREFACE ? head_byte(y, p[i]) : body_byte(y, p[i]);
}

/* Nothing of the rest stands at a known place. */
static void hole(struct mask_way *y)
{
	y->flags = PAYLOAD | LISTED;
	y->state = REST;
}

static enum mask_opens opens(struct slice in) { return amqp10_header_id(in) >= 0 ? MASK_OPENS_SURELY : MASK_OPENS_NOT; }

static bool begins(struct slice in) { return amqp10_is_frame(in, PROTO_TO_SERVER) || amqp10_is_frame(in, PROTO_TO_CLIENT); }

const struct mask_ops mask_amqp10 = { .opens = opens, .begins = begins, .mask = mask, .hole = hole, .ends_with_body = true };

/* SPDX-License-Identifier: Apache-2.0 */
/* TLS for shared recordings: see masker.h for what stays. */
#include "proto/masker_way.h"

enum { HEAD = 5, LENGTH_AT = 3, CHANGE_CIPHER_SPEC = 20, HANDSHAKE = 22, APPLICATION_DATA = 23, MINOR_MAX = 4, LENGTH_MAX = 16384 + 2048 /* RFC 5246, 6.2.3 */, HALF = 8, NUMBER = 16 };

static bool is_head(struct slice in) { return in.len >= HEAD && in.ptr[0] >= CHANGE_CIPHER_SPEC && in.ptr[0] <= APPLICATION_DATA && in.ptr[1] == 3 && in.ptr[2] <= MINOR_MAX && load_be16(in.ptr + LENGTH_AT) <= LENGTH_MAX; }

static enum mask_opens opens(struct slice in) { return is_head(in) && in.ptr[0] == HANDSHAKE ? MASK_OPENS_MAYBE : MASK_OPENS_NOT; }

/* One of the eight bytes of a record's number; another for each, and none tells what it was. */
static uint8_t number_byte(uint64_t key, unsigned at, uint8_t b)
{
	uint64_t r = (key ^ (at << 8 | b)) * UINT64_C(0xd6e8feb86659fd93);

	r = (r ^ r >> 32) * UINT64_C(0x9e3779b97f4a7c15) + key;
	return (uint8_t)((r ^ r >> 29) * UINT64_C(0xd6e8feb86659fd93) >> 56);
}

uint64_t mask_tls_number(uint64_t key, uint64_t number)
{
	uint8_t bytes[HALF];

	memcpy(bytes, &number, sizeof(number));
	for (unsigned i = 0; i < HALF; i++)
		bytes[i] = number_byte(key, i, bytes[i]);
	memcpy(&number, bytes, sizeof(number));
	return number;
}

static uint8_t in_head(struct mask_way *y, uint8_t b)
{
	bool fits = y->digits == 0 ? b >= CHANGE_CIPHER_SPEC && b <= APPLICATION_DATA : y->digits == 1 ? b == 3 : y->digits != 2 || b <= MINOR_MAX;

	if (y->digits == 0)
		y->type = b;
	if (y->digits >= LENGTH_AT)
		y->number = y->number << 8 | b;
	if (!fits || y->number > LENGTH_MAX) {
		y->state = MASK_LOST;
		return 'x';
	}
	if (++y->digits == HEAD) {
		y->remain = y->number;
		y->part = y->number = 0;
		y->digits = 0;
	}
	return b;
}

/* Of the bytes by which a record is known (plumb_record_number()) the first half is nought, so the second is the number. */
static uint8_t in_body(struct mask_way *y, uint8_t b)
{
	uint64_t at = y->part++;

	y->remain--;
	if (y->type != APPLICATION_DATA || at >= NUMBER)
		return 'x';
	if (at < HALF) {
		y->word[at] = (char)b;
		return 0;
	}
	return number_byte(y->key, (unsigned)(at - HALF), b ^ (uint8_t)y->word[at - HALF]);
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	(void)c;
	for (size_t i = 0; i < n; i++)
		p[i] = y->state == MASK_LOST ? 'x' : y->remain ? in_body(y, p[i]) : in_head(y, p[i]);
}

const struct mask_ops mask_tls = { .opens = opens, .begins = is_head, .mask = mask, .ends_with_body = true };

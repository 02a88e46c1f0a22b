/* SPDX-License-Identifier: Apache-2.0 */
/* Masks values in PostgreSQL messages, in place and with lengths kept: a masked recording gives the same exchanges, without the data. */
#include "lib/sql_lex.h"
#include "proto/postgres_wire.h"

static void blot(uint8_t *bytes, size_t from, size_t to)
{
	if (from < to)
		memset(bytes + from, 'x', to - from);
}

/* Index behind the string at `at`, at most len. */
static size_t after_string(const uint8_t *bytes, size_t len, size_t at)
{
	size_t end = slice_find(slice_make(bytes, len), 0, at);

	return end == SIZE_MAX ? len : end + 1;
}

static void mask_sql(uint8_t *body, size_t len, size_t at)
{
	size_t end = after_string(body, len, at);

	if (at < end)
		sql_mask(body + at, body[end - 1] == 0 ? end - 1 - at : end - at, SQL_ANSI);
}

/* `count` values, each with its length in front (-1 = NULL). Returns the index behind them. */
static size_t mask_values(uint8_t *body, size_t len, size_t at, size_t count)
{
	for (; count > 0 && len - at >= 4; count--) {
		uint32_t size = load_be32(body + at);

		at += 4;
		if (size == UINT32_MAX)
			continue;
		size_t end = size < len - at ? at + size : len;
		blot(body, at, end);
		at = end;
	}
	return at;
}

/* An array of 16-bit codes with their number in front. Returns the index behind it, at most len. */
static size_t after_codes(const uint8_t *body, size_t len, size_t at)
{
	if (len - at < 2)
		return len;
	size_t size = 2 + 2u * load_be16(body + at);
	return size < len - at ? at + size : len;
}

static void mask_counted(uint8_t *body, size_t len, size_t at)
{
	if (len - at >= 2)
		mask_values(body, len, at + 2, load_be16(body + at));
}

/* Keeps what tells the kind of error: severity, SQLSTATE, and the routine that raised it. */
static void mask_notice(uint8_t *body, size_t len)
{
	for (size_t at = 0; at < len && body[at] != 0;) {
		uint8_t field = body[at++];
		size_t end = after_string(body, len, at);
		bool keep = field == 'S' || field == 'V' || field == 'C' || field == 'R';

		if (!keep && end > at)
			blot(body, at, body[end - 1] == 0 ? end - 1 : end);
		at = end;
	}
}

static void mask_startup(uint8_t *packet, size_t len, uint32_t code)
{
	if (code == POSTGRES_CANCEL)
		blot(packet, 12, len); /* the key; the process number stays */
	for (size_t at = 8; code >> 16 == 3 && at < len && packet[at] != 0;) {
		size_t value = after_string(packet, len, at), end = after_string(packet, len, value);
		struct slice key = slice_make(packet + at, value - at - 1);

		if (!slice_eq(key, SLICE_LIT("user")) && !slice_eq(key, SLICE_LIT("database")) && end > value)
			blot(packet, value, packet[end - 1] == 0 ? end - 1 : end);
		at = end;
	}
}

static void mask_to_server(uint8_t type, uint8_t *body, size_t len)
{
	switch (type) {
	case 'Q':
		mask_sql(body, len, 0);
		break;
	case 'P':
		mask_sql(body, len, after_string(body, len, 0));
		break;
	case 'B':
		mask_counted(body, len, after_codes(body, len, after_string(body, len, after_string(body, len, 0))));
		break;
	case 'F':
		if (len >= 4)
			mask_counted(body, len, after_codes(body, len, 4));
		break;
	case 'd':
	case 'p':
		blot(body, 0, len);
		break;
	case 'f':
		blot(body, 0, len > 0 ? len - 1 : 0);
		break;
	default: /* names, counts */
		break;
	}
}

static void mask_to_client(uint8_t type, uint8_t *body, size_t len)
{
	switch (type) {
	case 'D':
		mask_counted(body, len, 0);
		break;
	case 'V':
		mask_values(body, len, 0, 1);
		break;
	case 'E':
	case 'N':
		mask_notice(body, len);
		break;
	case 'd':
		blot(body, 0, len);
		break;
	case 'A': /* the payload; the channel's name stays */
		if (len > 4) {
			size_t at = after_string(body, len, 4);
			blot(body, at, len > at ? len - 1 : at);
		}
		break;
	case 'K':
		blot(body, 4, len);
		break;
	case 'R': /* salt, SASL's challenge and signature; the list of mechanisms (10) stays */
		if (len > 4 && load_be32(body) != 10)
			blot(body, 4, len);
		break;
	default:
		break;
	}
}

/* Everything from the first byte on that is no message is masked as a whole. */
void postgres_mask(enum proto_side side, uint8_t *bytes, size_t len)
{
	while (len > 0) {
		struct slice in = slice_make(bytes, len);
		size_t total = 0;
		uint32_t code = 0;

		if (side == PROTO_TO_SERVER && bytes[0] == 0) {
			if (postgres_startup_head(in, &total, &code) != POSTGRES_WHOLE)
				break;
			if (total > len)
				total = len;
			mask_startup(bytes, total, code);
		} else if (side == PROTO_TO_CLIENT && len == 1 && (bytes[0] == 'S' || bytes[0] == 'N' || bytes[0] == 'G')) {
			return; /* answer to SSLRequest */
		} else {
			if (postgres_head(side, in, &total) != POSTGRES_WHOLE)
				break;
			if (total > len)
				total = len;
			if (side == PROTO_TO_SERVER)
				mask_to_server(bytes[0], bytes + POSTGRES_HEAD, total - POSTGRES_HEAD);
			else
				mask_to_client(bytes[0], bytes + POSTGRES_HEAD, total - POSTGRES_HEAD);
		}
		bytes += total;
		len -= total;
	}
	blot(bytes, 0, len);
}

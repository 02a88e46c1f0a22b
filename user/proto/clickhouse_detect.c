/* SPDX-License-Identifier: Apache-2.0 */
/* How the packets of ClickHouse look that stand without doubt where they stand: Hello, a query, an exception, a block with its information. */
#include "proto/clickhouse_wire.h"

enum { ZSTD_METHOD = 0x90, PINGS_MAX = 8, UNKNOWN_MAX = 512, CODE_MAX = 100000 };

static const uint8_t zstd_magic[] = { 0x28, 0xb5, 0x2f, 0xfd };

static int verdict(const struct clickhouse_cursor *c, int score)
{
	return c->bad ? DETECT_NO : c->need ? DETECT_MORE : score;
}

/* --- Hello --- */

static bool says_name(struct clickhouse_cursor *c, struct slice *ret_name)
{
	*ret_name = clickhouse_string(c, CLICKHOUSE_TABLE_MAX);
	c->bad = c->bad || (clickhouse_good(c) && (!ret_name->len || !clickhouse_is_name(*ret_name)));
	return clickhouse_good(c);
}

/* Who speaks, as both begin. */
static bool says_version(struct clickhouse_cursor *c, struct slice *ret_name)
{
	enum { VERSION_MAX = 4095 };

	if (!says_name(c, ret_name))
		return false;
	(void)clickhouse_number(c, VERSION_MAX);
	(void)clickhouse_number(c, VERSION_MAX);
	uint64_t revision = clickhouse_number(c, CLICKHOUSE_REVISION_MAX);
	c->bad = c->bad || (clickhouse_good(c) && revision < CLICKHOUSE_FIRST_REVISION);
	return clickhouse_good(c);
}

static int hello(struct clickhouse_cursor *c, enum proto_side side)
{
	struct slice name, more;

	if (!says_version(c, &name))
		return verdict(c, DETECT_NO);
	if (side == PROTO_TO_CLIENT)
		return slice_eq(name, SLICE_LIT("ClickHouse")) ? DETECT_CERTAIN : DETECT_LIKELY;
	for (int i = 0; i < 2; i++) { /* database and user */
		more = clickhouse_string(c, CLICKHOUSE_NAME_MAX);
		c->bad = c->bad || !clickhouse_is_name(more);
	}
	(void)clickhouse_string(c, CLICKHOUSE_PACKET_MAX);
	return verdict(c, DETECT_CERTAIN);
}

/* --- queries --- */

/* Up to the client's revision. A time stands behind the address since a revision. */
static int asks(struct clickhouse_cursor c, bool timed)
{
	struct slice name, address;

	name = clickhouse_string(&c, CLICKHOUSE_TABLE_MAX);
	c.bad = c.bad || !clickhouse_is_name(name);
	uint8_t kind = clickhouse_u8(&c);
	c.bad = c.bad || (clickhouse_good(&c) && kind != 1 && kind != 2);
	for (int i = 0; i < 2; i++) {
		name = clickhouse_string(&c, CLICKHOUSE_TABLE_MAX);
		c.bad = c.bad || !clickhouse_is_name(name);
	}
	address = clickhouse_string(&c, CLICKHOUSE_TABLE_MAX);
	c.bad = c.bad || !clickhouse_is_name(address) || (address.len && slice_find(address, ':', 0) == SIZE_MAX);
	if (timed)
		clickhouse_pass(&c, 8);
	uint8_t interface = clickhouse_u8(&c);
	c.bad = c.bad || (clickhouse_good(&c) && interface != 1);
	for (int i = 0; i < 2; i++) {
		name = clickhouse_string(&c, CLICKHOUSE_TABLE_MAX);
		c.bad = c.bad || !clickhouse_is_name(name);
	}
	(void)says_version(&c, &name);
	return verdict(&c, DETECT_LIKELY);
}

static int query(struct clickhouse_cursor *c)
{
	int plain = asks(*c, false), timed = asks(*c, true);

	return plain > timed ? plain : timed;
}

/* --- data --- */

/* As all write it but servers to each other: no bucket. */
static int plain_block(struct slice in)
{
	static const uint8_t info[] = { 1, 0, 2, 0xff, 0xff, 0xff, 0xff };
	size_t n = in.len < sizeof(info) ? in.len : sizeof(info);

	for (size_t i = 0; i < n; i++)
		if (in.ptr[i] != info[i] && !(i == 1 && in.ptr[i] == 1))
			return DETECT_NO;
	size_t length = clickhouse_block_info(in);
	return length == 0 ? DETECT_NO : length == SIZE_MAX ? DETECT_MORE : DETECT_LIKELY;
}

static int compressed_block(struct slice in)
{
	struct clickhouse_frame f;
	size_t behind;

	if (in.len < CLICKHOUSE_FRAME_HEAD + 1 + CLICKHOUSE_EMPTY_BLOCK)
		return in.len < CLICKHOUSE_FRAME_HEAD || clickhouse_frame(in, &f) ? DETECT_MORE : DETECT_NO;
	if (!clickhouse_frame(in, &f))
		return DETECT_NO;
	if (in.ptr[CLICKHOUSE_CHECKSUM] == ZSTD_METHOD)
		return memcmp(in.ptr + CLICKHOUSE_FRAME_HEAD, zstd_magic, sizeof(zstd_magic)) == 0 ? DETECT_LIKELY : DETECT_NO;
	struct slice plain = clickhouse_frame_begins(in, &behind);
	return plain.len || behind < in.len ? (plain_block(plain) == DETECT_LIKELY ? DETECT_LIKELY : DETECT_NO) : DETECT_MORE;
}

static int data(struct clickhouse_cursor *c)
{
	struct slice table = clickhouse_string(c, CLICKHOUSE_TABLE_MAX);

	c->bad = c->bad || !clickhouse_is_name(table);
	if (!clickhouse_good(c))
		return verdict(c, DETECT_NO);
	struct slice in = slice_from(c->in, c->at);
	int plain = plain_block(in), compressed = compressed_block(in);
	return plain > compressed ? plain : compressed;
}

static int exception(struct clickhouse_cursor *c)
{
	static const char end[] = "xception";
	struct slice name;
	uint32_t code = clickhouse_u32(c);

	c->bad = c->bad || (clickhouse_good(c) && (code == 0 || code > CODE_MAX));
	if (!says_name(c, &name))
		return verdict(c, DETECT_NO);
	bool known = name.len >= sizeof(end) - 1 && memcmp(name.ptr + name.len - (sizeof(end) - 1), end, sizeof(end) - 1) == 0;
	return known ? DETECT_LIKELY : DETECT_NO;
}

/* --- any packet --- */

static int begins(struct slice in, enum proto_side side)
{
	struct clickhouse_cursor c = { .in = in };
	uint8_t packet = clickhouse_u8(&c);

	if (!in.len)
		return DETECT_MORE;
	if (packet == CLICKHOUSE_CLIENT_HELLO)
		return hello(&c, side);
	if (side == PROTO_TO_SERVER) {
		switch (packet) {
		case CLICKHOUSE_QUERY: return query(&c);
		case CLICKHOUSE_CLIENT_DATA:
		case CLICKHOUSE_SCALAR: return data(&c);
		default: return DETECT_NO;
		}
	}
	switch (packet) {
	case CLICKHOUSE_DATA:
	case CLICKHOUSE_TOTALS:
	case CLICKHOUSE_EXTREMES:
	case CLICKHOUSE_LOG:
	case CLICKHOUSE_PROFILE_EVENTS: return data(&c);
	case CLICKHOUSE_EXCEPTION: return exception(&c);
	default: return DETECT_NO;
	}
}

/* Packets of one byte say nothing: what stands behind them does. */
static struct slice behind_short_ones(struct slice in, enum proto_side side)
{
	size_t at = 0;

	while (at < in.len && at < PINGS_MAX && (in.ptr[at] == CLICKHOUSE_PING || (side == PROTO_TO_CLIENT && in.ptr[at] == CLICKHOUSE_END_OF_STREAM)))
		at++;
	return slice_from(in, at);
}

int clickhouse_detect(struct slice in, enum proto_side side)
{
	in = behind_short_ones(in, side);
	int score = begins(in, side);

	if (!in.len || score != DETECT_NO || side == PROTO_TO_SERVER)
		return score;
	/* Joined within an answer: numbers first, then something that is known. */
	if (in.ptr[0] != CLICKHOUSE_PROGRESS && in.ptr[0] != CLICKHOUSE_PROFILE_INFO && in.ptr[0] != CLICKHOUSE_TABLE_COLUMNS)
		return DETECT_NO;
	struct slice head = slice_head(in, UNKNOWN_MAX);
	if (clickhouse_find(head, side, true) < head.len)
		return DETECT_WEAK;
	return in.len < UNKNOWN_MAX ? DETECT_MORE : DETECT_NO;
}

size_t clickhouse_find(struct slice in, enum proto_side side, bool blocks)
{
	for (size_t at = 0; at < in.len; at++) {
		uint8_t packet = in.ptr[at];
		bool known = packet == CLICKHOUSE_CLIENT_HELLO || (side == PROTO_TO_SERVER ? packet == CLICKHOUSE_QUERY : packet == CLICKHOUSE_EXCEPTION);

		if (packet <= CLICKHOUSE_PROFILE_EVENTS && (known || blocks) && begins(slice_from(in, at), side) >= DETECT_LIKELY)
			return at;
	}
	return in.len;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* proto/clickhouse: which types are known, and blocks that are too long, too deep or too hostile for fixtures. Sessions are tests/proto/clickhouse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "lib/buffer.h"
#include "proto/clickhouse_state.h"
#include "proto/memory.h"

extern const struct proto_ops proto_clickhouse;

static const char info[] = "\1\0\2\xff\xff\xff\xff\0";

/* From an allocation of its own: the sanitizer watches the end. */
static bool reads(const char *text, size_t len, bool cut, struct clickhouse_type *ret)
{
	char *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, text, len);
	bool known = clickhouse_type_read(slice_make(copy, len), cut, ret);
	free(copy);
	return known;
}

static void types_are_known_or_refused(void **state)
{
	static const struct { const char *text; uint8_t nodes; uint32_t width; } known[] = {
		{ "UInt8", 1, 1 }, { "Decimal(10,2)", 1, 8 }, { "Decimal(39, 2)", 1, 32 }, { "FixedString(16777215)", 1, (1 << 24) - 1 }, { "DateTime('it\\'s (')", 1, 4 }, { "Enum8('a)' = 1)", 1, 1 },
		{ "Nullable( UInt8 )", 2, 0 }, { "Map(String, Array(UInt8))", 5, 0 }, { "MultiPolygon", 6, 0 }, { "Tuple(`a b` UInt8)", 2, 0 }, { "LowCardinality(Nullable(Date))", 3, 0 },
	};
	static const char *const unknown[] = {
		"", "uint8", "UInt8x", "UInt7", "AggregateFunction(sum, UInt8)", "Decimal", "Decimal()", "Decimal(0)", "Decimal(77)", "FixedString(0)", "FixedString(16777216)", "FixedString(a)",
		"FixedString(99999999999999999999)", "Nullable()", "Nullable(UInt8", "Nullable(UInt8))", "Array(UInt8, UInt8)", "Tuple()", "Tuple(UInt8", "Tuple(UInt8,)", "DateTime('", "DateTime('\\",
		"Enum8('a' = 1", "Variant(UInt8)", "JSON", "Dynamic", "Object('json')", "(", ")", "\\",
	};
	struct clickhouse_type t;

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		assert_true(reads(known[i].text, strlen(known[i].text), false, &t));
		assert_int_equal(t.len, known[i].nodes);
		assert_int_equal(t.nodes[0].width, known[i].width);
		assert_int_equal(t.nodes[0].next, t.len);
		for (size_t n = 0; n < strlen(known[i].text); n++) /* no beginning is read beyond its end */
			(void)reads(known[i].text, n, n % 2, &t);
	}
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		if (reads(unknown[i], strlen(unknown[i]), false, &t))
			fail_msg("\"%s\" is no type", unknown[i]);
	/* Of a cut one only an enumeration can be told, and what is around it. */
	assert_true(reads("Array(Nullable(Enum16('a' = 1, 'b", 33, true, &t));
	assert_false(reads("Tuple(Enum16('a' = 1, 'b", 24, true, &t));
	assert_false(reads("DateTime('Eur", 13, true, &t));
}

static void types_have_bounds(void **state)
{
	struct clickhouse_type t;
	char text[1024];
	size_t n = 0;

	(void)state;
	for (int depth = 1; depth < 30; depth++) {
		n = 0;
		for (int i = 1; i < depth; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "Array(");
		n += (size_t)snprintf(text + n, sizeof(text) - n, "UInt8");
		for (int i = 1; i < depth; i++)
			text[n++] = ')';
		assert_int_equal(reads(text, n, false, &t), depth < CLICKHOUSE_DEPTH);
	}
	n = (size_t)snprintf(text, sizeof(text), "Tuple(UInt8");
	for (int i = 2; i < CLICKHOUSE_NODES; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, ",UInt8");
	text[n] = ')';
	assert_true(reads(text, n + 1, false, &t));
	n += (size_t)snprintf(text + n, sizeof(text) - n, ",UInt8)");
	assert_false(reads(text, n, false, &t));
}

static void put_varint(struct buffer *b, uint64_t n)
{
	for (; n > 0x7f; n >>= 7)
		buffer_append_byte(b, (uint8_t)(n | 0x80));
	buffer_append_byte(b, (uint8_t)n);
}

/* A block of one column: its head, and `values`. */
static void block(struct buffer *b, uint64_t rows, const char *type, struct slice values)
{
	buffer_init(b, 8 << 20);
	buffer_append(b, info, sizeof(info) - 1);
	put_varint(b, 1);
	put_varint(b, rows);
	buffer_append_str(b, "\1x");
	put_varint(b, strlen(type));
	buffer_append_str(b, type);
	buffer_append_slice(b, values);
}

/* Walks it in pieces of `piece`. *ret_skipped: bytes behind it that it would pass. */
static enum clickhouse_walk walk(const struct buffer *in, size_t piece, uint64_t *ret_skipped)
{
	struct clickhouse_block b = { 0 };
	struct clickhouse_cursor c = { .in = buffer_slice(in) };
	struct clickhouse_block_head head;
	enum clickhouse_walk walked = CLICKHOUSE_WALK_ON;
	size_t at, need = 0;

	clickhouse_block_begin(&b, &c, false, 54412, &head);
	assert_true(clickhouse_good(&c));
	*ret_skipped = 0;
	for (at = c.at; at < in->len && walked == CLICKHOUSE_WALK_ON;) {
		size_t n = in->len - at < piece ? in->len - at : piece, done = 0;
		if (need > n)
			n = need < in->len - at ? need : in->len - at;
		walked = clickhouse_block_walk(&b, PROTO_TO_CLIENT, slice_make(in->data + at, n), &done, &need);
		assert_true(done <= n);
		at += done;
		need -= need < done ? need : done;
		*ret_skipped = b.pass;
		if (need && at + need > in->len)
			break;
	}
	return walked;
}

static void hostile_blocks_are_bounded(void **state)
{
	static const struct { uint64_t rows; const char *type; const char *values; size_t len; enum clickhouse_walk walked; uint64_t skipped; } cases[] = {
		{ UINT64_C(1) << 40, "FixedString(16777215)", "", 0, CLICKHOUSE_WALK_ON, (UINT64_C(1) << 40) * 16777215 },
		{ 1, "Array(UInt8)", "\xff\xff\xff\xff\xff\xff\xff\xff", 8, CLICKHOUSE_WALK_BAD, 0 },
		{ 1, "Array(UInt8)", "\0\0\0\0\0\1\0\0", 8, CLICKHOUSE_WALK_ON, UINT64_C(1) << 40 },
		{ 1, "String", "\xff\xff\xff\xff\x0f", 5, CLICKHOUSE_WALK_ON, UINT32_MAX },
		{ 1, "String", "\xff\xff\xff\xff\x1f", 5, CLICKHOUSE_WALK_BAD, 0 },
		{ 1, "String", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", 10, CLICKHOUSE_WALK_BAD, 0 },
		{ 1, "LowCardinality(String)", "\1\0\0\0\0\0\0\0\4\6\0\0\0\0\0\0", 16, CLICKHOUSE_WALK_BAD, 0 },
		{ 1, "LowCardinality(String)", "\1\0\0\0\0\0\0\0\0\5\0\0\0\0\0\0", 16, CLICKHOUSE_WALK_BAD, 0 },
		{ 1, "LowCardinality(UInt8)", "\1\0\0\0\0\0\0\0\0\6\0\0\0\0\0\0\1\0\0\0\0\0\0\0\7\2\0\0\0\0\0\0\0", 33, CLICKHOUSE_WALK_BAD, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t piece = 1; piece < 64; piece += 7) {
			struct buffer b;
			uint64_t skipped;
			block(&b, cases[i].rows, cases[i].type, slice_make(cases[i].values, cases[i].len));
			assert_int_equal(walk(&b, piece, &skipped), cases[i].walked);
			if (cases[i].walked == CLICKHOUSE_WALK_ON)
				assert_true(skipped == cases[i].skipped);
			buffer_done(&b);
		}
}

static void many_small_values_are_walked(void **state)
{
	enum { ROWS = 1000003 };
	struct buffer b, values;
	uint64_t skipped;

	(void)state;
	buffer_init(&values, 4 << 20);
	for (int i = 0; i < ROWS; i++)
		buffer_append(&values, i % 2 ? "\0" : "\1s", i % 2 ? 1 : 2);
	block(&b, ROWS, "String", buffer_slice(&values));
	assert_int_equal(walk(&b, SIZE_MAX, &skipped), CLICKHOUSE_WALK_DONE);
	assert_int_equal(walk(&b, 1, &skipped), CLICKHOUSE_WALK_DONE);
	buffer_done(&b);
	buffer_done(&values);
}

static void without_memory_nothing_is_parsed(void **state)
{
	struct proto_memory budget = { .max = 100 };
	uint64_t parser[CONNECTION_PARSER_BYTES / 8] = { 0 };
	struct parse_result r = { 0 };

	(void)state;
	assert_null(proto_clickhouse.open(&budget));
	assert_int_equal(budget.refused, 1);
	assert_int_equal(proto_clickhouse.parse(parser, PROTO_TO_SERVER, SLICE_LIT("\4"), &r), PARSE_BAD);
	assert_int_equal(proto_clickhouse.resync(parser, PROTO_TO_SERVER, SLICE_LIT("\4")), 1);
	proto_clickhouse.lost(parser, PROTO_TO_SERVER);
	assert_false(proto_clickhouse.missing(parser, PROTO_TO_SERVER, 1, &r.message));
	proto_clickhouse.close(NULL);
}

/* Where it looks for a packet itself, nonsense that comes byte by byte is not gone through anew for each: then a byte at a time is passed over. What is a packet is found. */
static void nonsense_in_drops_costs_little(void **state)
{
	enum { DROPS = 20011, CREDIT = 65536 };
	static const char error[] = "\2\x3c\0\0\0\x0d" "DB::Exception";
	struct proto_memory budget = { .max = 1 << 20 };
	uint64_t parser[CONNECTION_PARSER_BYTES / 8] = { 0 };
	struct clickhouse_state *s = (struct clickhouse_state *)parser;
	struct parse_result r = { 0 };
	unsigned looks = 0;
	struct buffer b;

	(void)state;
	buffer_init(&b, 4096);
	s->memory = proto_clickhouse.open(&budget);
	assert_non_null(s->memory);
	s->way[PROTO_TO_CLIENT].scanning = true;
	for (int i = 0; i < DROPS; i++) {
		buffer_append(&b, "\2", 1);
		if (proto_clickhouse.parse(parser, PROTO_TO_CLIENT, buffer_slice(&b), &r) == PARSE_SKIP) {
			looks++;
			buffer_consume(&b, r.consumed);
		}
	}
	assert_true(looks >= DROPS / 64 && looks <= DROPS / 16 + CREDIT / 512);
	buffer_append(&b, error, sizeof(error) - 1);
	for (int i = 0; i < 64 && s->way[PROTO_TO_CLIENT].scanning; i++) {
		buffer_append(&b, "\0", 1);
		r = (struct parse_result){ 0 };
		if (proto_clickhouse.parse(parser, PROTO_TO_CLIENT, buffer_slice(&b), &r) == PARSE_SKIP)
			buffer_consume(&b, r.consumed);
	}
	assert_false(s->way[PROTO_TO_CLIENT].scanning);
	proto_clickhouse.close(s->memory);
	buffer_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types_are_known_or_refused), cmocka_unit_test(types_have_bounds), cmocka_unit_test(hostile_blocks_are_bounded),
		cmocka_unit_test(many_small_values_are_walked), cmocka_unit_test(without_memory_nothing_is_parsed),
		cmocka_unit_test(nonsense_in_drops_costs_little),
	};
	return cmocka_run_group_tests_name("clickhouse", tests, NULL, NULL);
}

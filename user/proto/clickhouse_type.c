/* SPDX-License-Identifier: Apache-2.0 */
/* Names of types, and how many bytes their values are (https://clickhouse.com/docs/sql-reference/data-types). */
#include "proto/clickhouse_block.h"

struct reader {
	struct slice in;
	size_t at;
	bool cut; /* the text goes on behind what is there */
	struct clickhouse_type *type;
};

static const struct {
	const char *name;
	uint32_t width;
} fixed[] = {
	{ "UInt8", 1 }, { "UInt16", 2 }, { "UInt32", 4 }, { "UInt64", 8 }, { "UInt128", 16 }, { "UInt256", 32 },
	{ "Int8", 1 }, { "Int16", 2 }, { "Int32", 4 }, { "Int64", 8 }, { "Int128", 16 }, { "Int256", 32 },
	{ "Float32", 4 }, { "Float64", 8 }, { "BFloat16", 2 }, { "Bool", 1 }, { "Date", 2 }, { "Date32", 4 }, { "DateTime", 4 }, { "DateTime64", 8 },
	{ "Time", 4 }, { "Time64", 8 }, { "UUID", 16 }, { "IPv4", 4 }, { "IPv6", 16 }, { "Enum8", 1 }, { "Enum16", 2 }, { "Nothing", 1 },
	{ "Decimal32", 4 }, { "Decimal64", 8 }, { "Decimal128", 16 }, { "Decimal256", 32 },
	{ "IntervalNanosecond", 8 }, { "IntervalMicrosecond", 8 }, { "IntervalMillisecond", 8 }, { "IntervalSecond", 8 }, { "IntervalMinute", 8 }, { "IntervalHour", 8 },
	{ "IntervalDay", 8 }, { "IntervalWeek", 8 }, { "IntervalMonth", 8 }, { "IntervalQuarter", 8 }, { "IntervalYear", 8 },
};

/* Geometry, by what it is made of. */
static const struct {
	const char *name;
	uint8_t arrays; /* of arrays of points */
} points[] = { { "Point", 0 }, { "Ring", 1 }, { "LineString", 1 }, { "Polygon", 2 }, { "MultiLineString", 2 }, { "MultiPolygon", 3 } };

static uint8_t peek(const struct reader *r) { return r->at < r->in.len ? r->in.ptr[r->at] : 0; }

static bool is_word(uint8_t c) { return (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '_'; }

static void pass_blanks(struct reader *r)
{
	while (peek(r) == ' ')
		r->at++;
}

static bool eat(struct reader *r, uint8_t c)
{
	pass_blanks(r);
	if (peek(r) != c)
		return false;
	r->at++;
	return true;
}

static struct slice word(struct reader *r)
{
	pass_blanks(r);
	size_t from = r->at;
	while (is_word(peek(r)))
		r->at++;
	return slice_make(r->in.ptr + from, r->at - from);
}

static void pass_quoted(struct reader *r)
{
	uint8_t quote = peek(r);

	for (r->at++; r->at < r->in.len; r->at++) {
		uint8_t c = peek(r);
		if (c == '\\' && r->at + 1 < r->in.len) {
			r->at++;
		} else if (c == quote) {
			r->at++;
			return;
		}
	}
}

/* Up to a comma of this level, or to what closes it, which is left. False: the text ends before. */
static bool pass_argument(struct reader *r)
{
	unsigned depth = 0;

	while (r->at < r->in.len) {
		uint8_t c = peek(r);
		if (c == '\'' || c == '`' || c == '"') {
			pass_quoted(r);
			continue;
		}
		if (depth == 0 && (c == ',' || c == ')'))
			return true;
		depth += c == '(';
		depth -= c == ')';
		r->at++;
	}
	return false;
}

/* (…), if it is there. */
static bool pass_arguments(struct reader *r)
{
	if (!eat(r, '('))
		return true;
	while (pass_argument(r)) {
		if (r->in.ptr[r->at++] == ')')
			return true;
	}
	return false;
}

static struct clickhouse_node *add(struct reader *r, enum clickhouse_kind kind)
{
	struct clickhouse_type *t = r->type;

	if (t->len == CLICKHOUSE_NODES)
		return NULL;
	t->nodes[t->len] = (struct clickhouse_node){ .kind = (uint8_t)kind };
	if (kind == CLICKHOUSE_LOW_CARDINALITY)
		t->dictionaries++;
	return &t->nodes[t->len++];
}

/* Its children are all that was added behind it. */
static bool close(struct reader *r, struct clickhouse_node *n)
{
	n->next = r->type->len;
	return true;
}

static bool read_type(struct reader *r, unsigned depth);

static bool add_fixed(struct reader *r, uint32_t width)
{
	struct clickhouse_node *n = width ? add(r, CLICKHOUSE_FIXED) : NULL;

	if (!n)
		return false;
	n->width = width;
	return close(r, n);
}

/* The number in (12) or (12, 3). */
static bool first_number(struct reader *r, uint64_t *ret)
{
	if (!eat(r, '('))
		return false;
	return slice_u64(word(r), ret) && pass_argument(r);
}

static bool add_sized(struct reader *r, bool decimal)
{
	enum { FIXED_STRING_MAX = (1 << 24) - 1 };
	struct reader number = *r;
	uint64_t n;

	if (!first_number(&number, &n) || n == 0 || n > FIXED_STRING_MAX)
		return false;
	if (!pass_arguments(r))
		return false;
	return add_fixed(r, !decimal ? (uint32_t)n : n <= 9 ? 4 : n <= 18 ? 8 : n <= 38 ? 16 : n <= 76 ? 32 : 0);
}

static bool add_point(struct reader *r)
{
	struct clickhouse_node *n = add(r, CLICKHOUSE_TUPLE);

	return n && add_fixed(r, 8) && add_fixed(r, 8) && close(r, n);
}

static bool add_points(struct reader *r, unsigned arrays)
{
	struct clickhouse_node *n = arrays ? add(r, CLICKHOUSE_ARRAY) : NULL;

	if (!arrays)
		return add_point(r);
	return n && add_points(r, arrays - 1) && close(r, n);
}

/* One type in parentheses. What is cut ends here, too. */
static bool read_inner(struct reader *r, unsigned depth)
{
	return eat(r, '(') && read_type(r, depth) && (eat(r, ')') || (r->cut && r->at >= r->in.len));
}

static bool add_around(struct reader *r, enum clickhouse_kind kind, unsigned depth)
{
	struct clickhouse_node *n = add(r, kind);

	return n && read_inner(r, depth) && close(r, n);
}

/* Values that may be NULL have no map of their own in a dictionary. */
static bool add_dictionary(struct reader *r, unsigned depth)
{
	struct clickhouse_node *n = add(r, CLICKHOUSE_LOW_CARDINALITY);
	uint8_t first = r->type->len;

	if (!n || !read_inner(r, depth) || r->type->len == first)
		return false;
	struct clickhouse_node *inner = &r->type->nodes[first];
	if (inner->kind == CLICKHOUSE_NULLABLE)
		*inner = (struct clickhouse_node){ .kind = CLICKHOUSE_TUPLE, .next = inner->next };
	return close(r, n);
}

/* A type, or a name and a type. */
static bool read_element(struct reader *r, unsigned depth)
{
	struct reader after = *r;

	pass_blanks(&after);
	if (peek(&after) == '`' || peek(&after) == '"')
		pass_quoted(&after);
	else
		(void)word(&after);
	if (peek(&after) == ' ')
		r->at = after.at;
	return read_type(r, depth);
}

static bool add_tuple(struct reader *r, unsigned depth)
{
	struct clickhouse_node *n = add(r, CLICKHOUSE_TUPLE);

	if (!n || !eat(r, '('))
		return false;
	do {
		if (!read_element(r, depth))
			return false;
	} while (eat(r, ','));
	return eat(r, ')') && close(r, n);
}

/* Map(K, V), Nested(a A, b B): arrays of tuples. */
static bool add_tuples(struct reader *r, unsigned depth)
{
	struct clickhouse_node *n = add(r, CLICKHOUSE_ARRAY);

	return n && add_tuple(r, depth) && close(r, n);
}

/* SimpleAggregateFunction(sum, UInt64): its values are of the type. */
static bool read_aggregate(struct reader *r, unsigned depth)
{
	return eat(r, '(') && pass_argument(r) && eat(r, ',') && read_type(r, depth) && eat(r, ')');
}

static bool read_named(struct reader *r, struct slice name, unsigned depth)
{
	if (slice_eq(name, SLICE_LIT("FixedString")))
		return add_sized(r, false);
	if (slice_eq(name, SLICE_LIT("Decimal")))
		return add_sized(r, true);
	if (slice_eq(name, SLICE_LIT("Nullable")))
		return add_around(r, CLICKHOUSE_NULLABLE, depth);
	if (slice_eq(name, SLICE_LIT("Array")))
		return add_around(r, CLICKHOUSE_ARRAY, depth);
	if (slice_eq(name, SLICE_LIT("LowCardinality")))
		return add_dictionary(r, depth);
	if (slice_eq(name, SLICE_LIT("Tuple")))
		return add_tuple(r, depth);
	if (slice_eq(name, SLICE_LIT("Map")) || slice_eq(name, SLICE_LIT("Nested")))
		return add_tuples(r, depth);
	if (slice_eq(name, SLICE_LIT("SimpleAggregateFunction")))
		return read_aggregate(r, depth);
	for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++)
		if (slice_eq(name, slice_str(points[i].name)))
			return add_points(r, points[i].arrays);
	return false;
}

static bool read_type(struct reader *r, unsigned depth)
{
	struct slice name = word(r);

	if (depth == 0)
		return false;
	if (slice_eq(name, SLICE_LIT("String"))) {
		struct clickhouse_node *n = add(r, CLICKHOUSE_STRINGS);
		return n && close(r, n);
	}
	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++) {
		if (!slice_eq(name, slice_str(fixed[i].name)))
			continue;
		bool enumeration = slice_eq(slice_head(name, 4), SLICE_LIT("Enum"));
		return (pass_arguments(r) || (enumeration && r->cut)) && add_fixed(r, fixed[i].width);
	}
	return read_named(r, name, depth - 1);
}

bool clickhouse_type_read(struct slice text, bool cut, struct clickhouse_type *ret)
{
	struct reader r = { .in = text, .cut = cut, .type = ret };

	ret->len = ret->dictionaries = 0;
	return read_type(&r, CLICKHOUSE_DEPTH - 1) && r.at >= text.len;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ClickHouse's native protocol for shared recordings: see masker.h for what stays. Way 0 is the client's, whose Hello told the protocol. Packets are walked by the
 * layouts below; of blocks without compression columns of plain types, in arrays, dictionaries and with NULL, are. Behind any other column nothing stays until a record
 * begins with something that is known.
 */
#include "proto/clickhouse_wire.h"
#include "proto/masker_way.h"

enum state { PACKET, FIELD, FRAME, FULL_FRAME, BLOCK, BODY };
enum { LOW = 0x20, SIZE_TOP = 4, LEVELS = 4, ROWS_TOP = 1 << 24, FULL = 65536, ADDENDUM = 0xf0, PARAMETERS = 0xf1, CAUSE = 0xf2 };

/*
 * One character a field, with the first revision that has it: s string, e name of an exception, q text of a query, n number (not kept), k number below 16384 or a
 * revision, b byte below 32, f eight bytes, c code of an error, z settings, y settings as texts, o trace, j text behind a mark, w whether it is compressed, x whether
 * another exception follows, m rows of TablesStatus, B block.
 */
struct field {
	char kind;
	uint16_t since;
};

static const struct field client_hello[] = { { 's', 0 }, { 'n', 0 }, { 'n', 0 }, { 'k', 0 }, { 's', 0 }, { 's', 0 }, { 's', 0 }, { 0, 0 } };
static const struct field addendum[] = { { 's', 0 }, { 's', CLICKHOUSE_WITH_CHUNKS }, { 's', CLICKHOUSE_WITH_CHUNKS }, { 'n', CLICKHOUSE_WITH_REPLICAS_VERSION }, { 0, 0 } };
static const struct field query[] = {
	{ 's', 0 }, { 'b', 0 }, { 's', 0 }, { 's', 0 }, { 's', 0 }, { 'f', CLICKHOUSE_WITH_START_TIME }, { 'i', 0 }, { 's', 0 }, { 's', 0 }, { 's', 0 }, { 'n', 0 }, { 'n', 0 }, { 'k', 0 },
	{ 's', CLICKHOUSE_WITH_QUOTA_KEY }, { 'n', CLICKHOUSE_WITH_DEPTH }, { 'n', CLICKHOUSE_WITH_PATCH }, { 'o', CLICKHOUSE_WITH_OPENTELEMETRY },
	{ 'n', CLICKHOUSE_WITH_PARALLEL_REPLICAS }, { 'n', CLICKHOUSE_WITH_PARALLEL_REPLICAS }, { 'n', CLICKHOUSE_WITH_PARALLEL_REPLICAS },
	{ 'n', CLICKHOUSE_WITH_LINES }, { 'n', CLICKHOUSE_WITH_LINES }, { 'j', CLICKHOUSE_WITH_JWT }, { 's', CLICKHOUSE_WITH_CLIENT_AGENT }, { 'z', 0 },
	{ 's', CLICKHOUSE_WITH_ROLES }, { 's', CLICKHOUSE_WITH_SECRET }, { 'b', 0 }, { 'w', 0 }, { 'q', 0 }, { 'y', CLICKHOUSE_WITH_PARAMETERS }, { 0, 0 },
};
static const struct field data[] = { { 's', 0 }, { 'B', 0 }, { 0, 0 } };
static const struct field server_hello[] = {
	{ 's', 0 }, { 'n', 0 }, { 'n', 0 }, { 'k', 0 }, { 'n', CLICKHOUSE_WITH_REPLICAS_VERSION }, { 's', CLICKHOUSE_WITH_TIMEZONE }, { 's', CLICKHOUSE_WITH_DISPLAY_NAME },
	{ 'n', CLICKHOUSE_WITH_PATCH }, { 's', CLICKHOUSE_WITH_CHUNKS }, { 's', CLICKHOUSE_WITH_CHUNKS }, { 'p', CLICKHOUSE_WITH_PASSWORD_RULES }, { 'f', CLICKHOUSE_WITH_NONCE },
	{ 'y', CLICKHOUSE_WITH_SERVER_SETTINGS }, { 'n', CLICKHOUSE_WITH_QUERY_PLAN }, { 'n', CLICKHOUSE_WITH_CLUSTER_FUNCTION }, { 0, 0 },
};
static const struct field exception[] = { { 'c', 0 }, { 'e', 0 }, { 's', 0 }, { 's', 0 }, { 'x', 0 }, { 0, 0 } };
static const struct field progress[] = {
	{ 'n', 0 }, { 'n', 0 }, { 'n', 0 }, { 'n', CLICKHOUSE_WITH_TOTAL_BYTES }, { 'n', CLICKHOUSE_WITH_WRITE_INFO }, { 'n', CLICKHOUSE_WITH_WRITE_INFO }, { 'n', CLICKHOUSE_WITH_ELAPSED }, { 0, 0 },
};
static const struct field profile[] = {
	{ 'n', 0 }, { 'n', 0 }, { 'n', 0 }, { 'b', 0 }, { 'n', 0 }, { 'b', 0 }, { 'b', CLICKHOUSE_WITH_AGGREGATION }, { 'n', CLICKHOUSE_WITH_AGGREGATION }, { 0, 0 },
};
static const struct field columns[] = { { 's', 0 }, { 's', 0 }, { 0, 0 } };
static const struct field timezone_update[] = { { 's', 0 }, { 0, 0 } };
static const struct field nothing[] = { { 0, 0 } };

static const char *const keywords[] = {
	"select", "insert", "with", "create", "alter", "drop", "use", "show", "describe", "desc", "set", "truncate", "rename", "optimize", "system", "exists", "explain", "attach", "detach",
	"kill", "grant", "revoke", NULL,
};
static const char *const exceptions[] = { "db::exception", "db::netexception", "std::exception", "coordination::exception", NULL };
static const char *const types[] = {
	"nullable", "array", "lowcardinality", "string", "fixedstring", "decimal", "uint8", "uint16", "uint32", "uint64", "uint128", "uint256", "int8", "int16", "int32", "int64", "int128",
	"int256", "float32", "float64", "bool", "date", "date32", "datetime", "datetime64", "uuid", "ipv4", "ipv6", "enum8", "enum16", "nothing", NULL,
};
/* In the order of the list above, behind "string"; 0 = what its argument says. */
static const uint8_t widths[] = { 0, 0, 1, 2, 4, 8, 16, 32, 1, 2, 4, 8, 16, 32, 4, 8, 1, 2, 4, 4, 8, 16, 4, 16, 1, 2, 1 };
enum { FIRST_WIDTH = 4 };
_Static_assert(sizeof(widths) == sizeof(types) / sizeof(*types) - 1 - FIRST_WIDTH, "a type without a width");

enum wrap { NULLABLE, ARRAY, DICTIONARY };
/* Where a block stands. */
enum part { INFO, COLUMNS, ROWS, NAME, NAME_BYTES, TYPE_SIZE, TYPE, ARGUMENT, KIND, VALUES, STRING, OFFSET, FLAGS, KEYS, COUNT };

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

/* mask_conn.memory */
struct conn {
	uint32_t revision; /* in use */
	bool compressed, addendum;
};
_Static_assert(sizeof(struct conn) <= sizeof(((struct mask_conn *)0)->memory), "no room");

static struct way *way_of(struct mask_way *y)
{
	void *p = y->memory;

	return p;
}

static struct conn *conn_of(struct mask_conn *c)
{
	void *p = c->memory;

	return p;
}

static bool is_client(const struct mask_conn *c, const struct mask_way *y) { return y == &c->ways[0]; }

static uint8_t lost(struct mask_way *y)
{
	y->state = MASK_LOST;
	return 'x';
}

/* --- numbers --- */

/* A byte of a varint. True: it was the last one. */
static bool varint(struct mask_way *y, struct way *w, uint8_t b, unsigned most)
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

/* Not kept: as many bytes of zero. */
static uint8_t blank(uint8_t b) { return b & 0x80; }

/* `n` bytes that say nothing of what follows. */
static void body(struct mask_way *y, struct way *w, uint64_t n, bool zero)
{
	y->remain = n;
	w->zero = zero;
}

/* --- packets --- */

static const struct field *layout_of(const struct way *w, bool client)
{
	switch (w->packet) {
	case ADDENDUM: return addendum;
	case CAUSE: return exception;
	case CLICKHOUSE_CLIENT_HELLO: return client ? client_hello : server_hello;
	case CLICKHOUSE_QUERY: return client ? query : data;
	case CLICKHOUSE_CLIENT_DATA: return client ? data : exception;
	case CLICKHOUSE_PROGRESS: return client ? nothing : progress;
	case CLICKHOUSE_PROFILE_INFO: return client ? NULL : profile;
	case CLICKHOUSE_TOTALS: return data;
	case CLICKHOUSE_TABLE_COLUMNS: return client ? NULL : columns;
	case CLICKHOUSE_TIMEZONE_UPDATE: return client ? NULL : timezone_update;
	case CLICKHOUSE_PING: return nothing;
	case CLICKHOUSE_END_OF_STREAM: return client ? NULL : nothing;
	case CLICKHOUSE_EXTREMES:
	case CLICKHOUSE_LOG:
	case CLICKHOUSE_PROFILE_EVENTS: return client ? NULL : data;
	default: return NULL;
	}
}

static void packet_end(struct mask_way *y)
{
	y->state = PACKET;
}

/* The next field that this revision has; or the packet's end. */
static void next_field(struct mask_conn *c, struct mask_way *y)
{
	struct way *w = way_of(y);
	const struct field *layout = layout_of(w, is_client(c, y));
	uint32_t revision = conn_of(c)->revision;

	for (w->field++; layout[w->field].kind && revision < layout[w->field].since;)
		w->field++;
	w->step = w->in = 0;
	word_clear(y);
	if (layout[w->field].kind)
		y->state = FIELD;
	else
		packet_end(y);
}

static void begin(struct mask_conn *c, struct mask_way *y, uint8_t packet)
{
	struct way *w = way_of(y);

	*w = (struct way){ .packet = packet, .field = 0xff };
	if (!layout_of(w, is_client(c, y)))
		y->state = MASK_LOST;
	else
		next_field(c, y);
}

static uint8_t packet_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	begin(c, y, b);
	return y->state == MASK_LOST ? 'x' : b;
}

/* --- fields --- */

/* A length, and as many bytes. True: the string is over. */
static bool string_byte(struct mask_way *y, struct way *w, uint8_t b)
{
	if (!varint(y, w, b, 4))
		return false;
	body(y, w, w->number, false);
	return true;
}

/* Behind its length the words of a list; behind a text's first one nothing. */
static uint8_t words_byte(struct mask_conn *c, struct mask_way *y, struct way *w, uint8_t b, const char *const *list)
{
	if (w->step == 0) {
		if (!varint(y, w, b, 4))
			return y->state == MASK_LOST ? 'x' : b;
		w->step = 1;
		w->n = (uint32_t)w->number;
		if (!w->n)
			next_field(c, y);
		return b;
	}
	uint8_t out = word_feed(y, b, list) ? b : 'x';
	if (b == ' ' || b == '\n')
		out = b == ' ' && w->step == 1 ? b : 'x';
	if (out == ' ')
		w->step = 2;
	if (--w->n == 0)
		next_field(c, y);
	return out;
}

/* Name, flags and value, up to an empty name. */
static uint8_t setting_byte(struct mask_conn *c, struct mask_way *y, struct way *w, uint8_t b)
{
	uint8_t out = w->step == 1 ? blank(b) : b;

	if (w->step == 1 ? !varint(y, w, b, 9) : !string_byte(y, w, b))
		return y->state == MASK_LOST ? 'x' : out;
	if (w->step == 0 && w->number == 0)
		next_field(c, y);
	else
		w->step = w->step == 2 ? 0 : (uint8_t)(w->step + 1);
	return out;
}

/* A mark, and behind it a trace's ids, a text and flags. */
static uint8_t trace_byte(struct mask_conn *c, struct mask_way *y, struct way *w, uint8_t b)
{
	enum { IDS = 24 };

	switch (w->step++) {
	case 0:
		if (b > 1)
			return lost(y);
		if (b)
			body(y, w, IDS, true);
		else
			next_field(c, y);
		return b;
	case 1:
		w->step = string_byte(y, w, b) ? 2 : 1;
		return b;
	default: next_field(c, y); return 0;
	}
}

/* Rules of passwords: how many, and two strings each. */
static uint8_t rule_byte(struct mask_conn *c, struct mask_way *y, struct way *w, uint8_t b)
{
	if (w->step == 0) {
		w->step = 1;
		w->n = 2u * b;
		if (b >= LOW)
			return lost(y);
		if (!b)
			next_field(c, y);
		return b;
	}
	if (string_byte(y, w, b) && --w->n == 0)
		next_field(c, y);
	return b;
}

static void set_revision(struct mask_conn *c, struct mask_way *y, uint64_t revision)
{
	struct conn *conn = conn_of(c);

	if (way_of(y)->packet == CLICKHOUSE_CLIENT_HELLO && is_client(c, y)) {
		conn->revision = (uint32_t)revision; /* until the server says another one */
		conn->addendum = revision >= CLICKHOUSE_WITH_ADDENDUM;
	} else if (way_of(y)->packet == CLICKHOUSE_SERVER_HELLO && !is_client(c, y) && revision < conn->revision) {
		conn->revision = (uint32_t)revision;
		conn->addendum = conn->addendum && revision >= CLICKHOUSE_WITH_ADDENDUM;
	}
}

/* An error's number is kept below 2^16. */
static uint8_t code_byte(struct mask_conn *c, struct mask_way *y, struct way *w, uint8_t b)
{
	uint8_t at = w->step++;

	if (at == 3)
		next_field(c, y);
	return at < 2 ? b : 0;
}

static void block_begin(struct mask_conn *c, struct mask_way *y, struct way *w)
{
	const struct conn *conn = conn_of(c);
	bool log = !is_client(c, y) && (w->packet == CLICKHOUSE_LOG || w->packet == CLICKHOUSE_PROFILE_EVENTS);

	w->in = w->step = 0;
	w->part = INFO;
	if (log && conn->compressed && conn->revision >= CLICKHOUSE_WITH_COMPRESSED_LOGS)
		y->state = MASK_LOST; /* either may come */
	else
		y->state = conn->compressed && !log ? FRAME : BLOCK;
}

static uint8_t frame_byte(struct mask_way *y, uint8_t b);
static uint8_t block_byte(struct mask_conn *c, struct mask_way *y, uint8_t b);

/* One byte that is 0 or 1. */
static uint8_t mark_byte(struct mask_conn *c, struct mask_way *y, struct way *w, char kind, uint8_t b)
{
	if (b > 1)
		return lost(y);
	if (kind == 'w')
		conn_of(c)->compressed = b;
	if (kind == 'x' && b)
		begin(c, y, CAUSE);
	else if (kind == 'j' && b && w->step == 0)
		w->step = 1;
	else
		next_field(c, y);
	return b;
}

static uint8_t number_byte(struct mask_conn *c, struct mask_way *y, struct way *w, bool keep, uint8_t b)
{
	if (!varint(y, w, b, keep ? 3 : 10))
		return y->state == MASK_LOST ? 'x' : keep ? b : blank(b);
	if (keep && (w->number < CLICKHOUSE_FIRST_REVISION || w->number > CLICKHOUSE_REVISION_MAX))
		return lost(y);
	if (keep)
		set_revision(c, y, w->number);
	next_field(c, y);
	return keep ? b : blank(b);
}

static uint8_t field_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	struct way *w = way_of(y);
	char kind = layout_of(w, is_client(c, y))[w->field].kind;

	switch (kind) {
	case 'n': return number_byte(c, y, w, false, b);
	case 'k': return number_byte(c, y, w, true, b);
	case 'b':
		next_field(c, y);
		return b < LOW ? b : lost(y);
	case 'i': /* who asks otherwise than by TCP says other things */
		next_field(c, y);
		return b == 1 ? b : lost(y);
	case 'f':
		if (++w->step == 8)
			next_field(c, y);
		return 0;
	case 'c': return code_byte(c, y, w, b);
	case 'e': return words_byte(c, y, w, b, exceptions);
	case 'q': return words_byte(c, y, w, b, keywords);
	case 'o': return trace_byte(c, y, w, b);
	case 'p': return rule_byte(c, y, w, b);
	case 'z':
		if (conn_of(c)->revision < CLICKHOUSE_WITH_TEXT_SETTINGS && b) /* whose values have no length */
			return lost(y);
		return setting_byte(c, y, w, b);
	case 'y': return setting_byte(c, y, w, b);
	case 'w':
	case 'x': return mark_byte(c, y, w, kind, b);
	case 'j':
		if (w->step == 0)
			return mark_byte(c, y, w, kind, b);
		break;
	case 'B':
		block_begin(c, y, w);
		return y->state == FRAME ? frame_byte(y, b) : y->state == BLOCK ? block_byte(c, y, b) : 'x';
	default: break;
	}
	if (string_byte(y, w, b))
		next_field(c, y);
	return y->state == MASK_LOST ? 'x' : b;
}

/* --- compressed blocks --- */

/* Check sum, method, sizes. Behind a full frame there may be another one, and what cannot be a packet is. */
static uint8_t frame_byte(struct mask_way *y, uint8_t b)
{
	struct way *w = way_of(y);
	unsigned at = w->step++;

	if (at < CLICKHOUSE_CHECKSUM)
		return 'x';
	if (at == CLICKHOUSE_CHECKSUM)
		return b == 0x82 || b == 0x90 || b == 0x02 ? b : lost(y);
	at -= CLICKHOUSE_CHECKSUM + 1;
	if (at % 4 == 0)
		w->number = 0;
	w->number |= (uint64_t)b << 8 * (at % 4);
	if (at % 4 == 3 && b >= SIZE_TOP)
		return lost(y);
	if (at == 3) {
		if (w->number <= CLICKHOUSE_FRAME_HEAD - CLICKHOUSE_CHECKSUM)
			return lost(y);
		w->n = (uint32_t)w->number - (CLICKHOUSE_FRAME_HEAD - CLICKHOUSE_CHECKSUM);
	}
	if (at == 7) {
		y->state = w->number >= FULL ? FULL_FRAME : PACKET;
		body(y, w, w->n, false);
	}
	return b;
}

static uint8_t full_frame_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	if (b <= CLICKHOUSE_TIMEZONE_UPDATE)
		return packet_byte(c, y, b);
	way_of(y)->step = 0;
	y->state = FRAME;
	return frame_byte(y, b);
}

/* --- columns --- */

static void column_end(struct mask_way *y, struct way *w)
{
	w->in = 0;
	w->part = NAME;
	if (--w->columns == 0)
		packet_end(y);
}

/* The values of a level are to come, or the column is over. */
static void values_begin(struct mask_way *y, struct way *w)
{
	w->step = w->in = 0;
	while (w->level < w->levels && w->wraps[w->level] == NULLABLE && w->level && w->wraps[w->level - 1] == DICTIONARY)
		w->level++;
	if (w->level < w->levels) {
		switch ((enum wrap)w->wraps[w->level++]) {
		case NULLABLE:
			w->part = VALUES;
			body(y, w, w->n, true);
			return;
		case ARRAY:
			w->part = OFFSET;
			body(y, w, 8 * (uint64_t)(w->n - 1), true);
			return;
		case DICTIONARY:
			w->part = FLAGS;
			w->keys_of = w->n;
			return;
		}
	}
	w->part = w->width ? VALUES : STRING;
	w->typed = false; /* these are the last */
	if (w->width)
		body(y, w, (uint64_t)w->n * w->width, true);
}

/* What was begun has passed. */
static void values_passed(struct mask_way *y, struct way *w)
{
	if (w->typed)
		values_begin(y, w);
	else if (w->keys_of) {
		w->part = COUNT;
		w->step = 0;
	} else {
		column_end(y, w);
	}
}

/* Eight bytes, of which the low three may say something. True: it was the last one. */
static bool eight(struct mask_way *y, struct way *w, uint8_t b, uint8_t *ret_out)
{
	if (w->step == 0)
		w->number = 0;
	*ret_out = b;
	if (w->step >= 3 && b) {
		*ret_out = lost(y);
		return false;
	}
	w->number |= (uint64_t)b << 8 * w->step;
	return ++w->step == 8;
}

static uint8_t number_of_values_byte(struct mask_way *y, struct way *w, uint8_t b)
{
	uint8_t out;

	if (!eight(y, w, b, &out))
		return out;
	w->step = 0;
	switch ((enum part)w->part) {
	case FLAGS: /* the width of its numbers; it has keys of its own */
		if ((w->number & 0xff) > 3 || (w->number & ~UINT64_C(0x4ff)) != 0x200)
			return lost(y);
		w->digits = (uint8_t)(w->number & 3);
		w->part = KEYS;
		return out;
	case COUNT:
		if (w->number != w->keys_of)
			return lost(y);
		w->part = VALUES;
		w->typed = false;
		body(y, w, (uint64_t)w->keys_of << w->digits, true);
		w->keys_of = 0;
		return out;
	default: break;
	}
	w->n = (uint32_t)w->number;
	if (w->n)
		values_begin(y, w);
	else if (w->part == OFFSET)
		column_end(y, w);
	else
		w->part = COUNT;
	return out;
}

/* --- types --- */

/* A word of a type's is over. False: it is none that is known. */
static bool type_word(struct mask_way *y, struct way *w)
{
	size_t i = 0;

	if (!y->word_len)
		return true;
	while (types[i] && !word_is(y, types[i]))
		i++;
	word_clear(y);
	if (!types[i] || w->typed)
		return false;
	if (i < 3) {
		if (w->levels == LEVELS)
			return false;
		w->wraps[w->levels++] = (uint8_t)(i == 0 ? NULLABLE : i == 1 ? ARRAY : DICTIONARY);
		return true;
	}
	w->typed = true;
	w->width = i == 3 ? 0 : widths[i - FIRST_WIDTH];
	w->digits = i == 4 ? 'f' : i == 5 ? 'd' : 0;
	return true;
}

static bool type_end(struct mask_way *y, struct way *w)
{
	if (!type_word(y, w) || !w->typed || w->digits)
		return false;
	w->part = KIND;
	return true;
}

/* The number that a width depends on. */
static void width_digit(struct way *w, uint8_t b)
{
	if (b >= '0' && b <= '9' && w->width < 1000)
		w->width = w->width * 10 + (uint32_t)(b - '0');
}

static void width_end(struct way *w)
{
	if (w->digits == 'd')
		w->width = w->width <= 9 ? 4 : w->width <= 18 ? 8 : w->width <= 38 ? 16 : 32;
	w->digits = 0;
}

/* In the parentheses of a type that is plain: nothing stays but a number of up to three digits. */
static uint8_t argument_byte(struct way *w, uint8_t b)
{
	uint8_t out = '0';

	if (w->quote == '\\') {
		w->quote = '\'';
	} else if (w->quote) {
		w->quote = b == '\\' ? '\\' : b == '\'' ? 0 : w->quote;
	} else if (b == '\'') {
		w->quote = '\'';
	} else if (b == '(') {
		w->depth++;
	} else if (b == ')' && w->depth-- == 0) {
		if (w->digits)
			width_end(w);
		w->part = TYPE;
		return b;
	} else if (w->digits && b == ',') {
		width_end(w);
		return b;
	} else if (w->digits && b >= '0' && b <= '9' && w->width < 1000) {
		width_digit(w, b);
		out = b;
	}
	return out;
}

static uint8_t type_byte(struct mask_way *y, struct way *w, uint8_t b)
{
	uint8_t out;

	w->type_left--;
	if (w->part == ARGUMENT) {
		out = argument_byte(w, b);
	} else if (b == '(' || b == ')') {
		if (!type_word(y, w))
			return lost(y);
		if (b == '(' && w->typed) {
			w->part = ARGUMENT;
			w->depth = w->quote = 0;
		}
		out = b;
	} else {
		if (!word_feed(y, b, types))
			return lost(y);
		out = b;
	}
	if (w->type_left == 0 && (w->part == ARGUMENT || !type_end(y, w)))
		return lost(y);
	return out;
}

/* --- blocks --- */

static void values_of_column(struct mask_way *y, struct way *w)
{
	bool dictionary = false;

	for (uint8_t i = 0; i < w->levels; i++)
		dictionary = dictionary || w->wraps[i] == DICTIONARY;
	w->level = 0;
	w->n = w->rows;
	w->keys_of = 0;
	if (!w->rows) {
		column_end(y, w);
		return;
	}
	if (!dictionary) {
		values_begin(y, w);
		return;
	}
	w->part = VALUES; /* what stands in front of a column with one */
	body(y, w, 8, true);
}

static uint8_t info_byte(struct mask_way *y, struct way *w, uint8_t b)
{
	static const uint8_t begins[] = { 1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0 };
	uint8_t at = w->step++;

	if (b != begins[at] && !(at == 1 && b == 1))
		return lost(y);
	if (at + 1u == sizeof(begins)) {
		w->part = COLUMNS;
		w->in = 0;
	}
	return b;
}

static uint8_t count_byte(struct mask_way *y, struct way *w, uint8_t b)
{
	if (!varint(y, w, b, 4))
		return y->state == MASK_LOST ? 'x' : b;
	if (w->number >= ROWS_TOP)
		return lost(y);
	switch ((enum part)w->part) {
	case COLUMNS:
		w->columns = (uint32_t)w->number;
		w->part = ROWS;
		break;
	case ROWS:
		w->rows = (uint32_t)w->number;
		w->part = NAME;
		if (!w->columns)
			packet_end(y);
		break;
	case NAME:
		w->part = TYPE_SIZE;
		body(y, w, w->number, false);
		break;
	default: /* TYPE_SIZE */
		w->type_left = (uint32_t)w->number;
		w->part = TYPE;
		w->typed = false;
		w->levels = w->digits = 0;
		word_clear(y);
		return w->type_left ? b : lost(y);
	}
	return b;
}

static uint8_t block_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	struct way *w = way_of(y);
	uint8_t out;

	switch ((enum part)w->part) {
	case INFO: return info_byte(y, w, b);
	case COLUMNS:
	case ROWS:
	case NAME:
	case TYPE_SIZE: return count_byte(y, w, b);
	case TYPE:
	case ARGUMENT:
		out = type_byte(y, w, b);
		if (w->part == KIND && conn_of(c)->revision < CLICKHOUSE_WITH_SERIALIZATION_KIND)
			values_of_column(y, w);
		return out;
	case KIND:
		if (b)
			return lost(y);
		values_of_column(y, w);
		return b;
	case STRING:
		if (!string_byte(y, w, b))
			return y->state == MASK_LOST ? 'x' : b;
		if (--w->n == 0)
			w->part = VALUES;
		return b;
	case OFFSET:
	case FLAGS:
	case KEYS:
	case COUNT: return number_of_values_byte(y, w, b);
	case VALUES:
	case NAME_BYTES: break;
	}
	return lost(y);
}

/* --- bytes --- */

/* No bytes are left of what had a length: what it was a part of may be over with it. */
static void settle(struct mask_way *y)
{
	struct way *w = way_of(y);

	while (y->state == BLOCK && w->part == VALUES && y->remain == 0)
		values_passed(y, w);
}

static uint8_t one(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	struct conn *conn = conn_of(c);

	switch (y->state) {
	case PACKET:
		if (is_client(c, y) && conn->addendum) {
			conn->addendum = false;
			begin(c, y, ADDENDUM);
			return field_byte(c, y, b);
		}
		return packet_byte(c, y, b);
	case FIELD: return field_byte(c, y, b);
	case FRAME: return frame_byte(y, b);
	case FULL_FRAME: return full_frame_byte(c, y, b);
	case BLOCK: return block_byte(c, y, b);
	default: return 'x';
	}
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		if (y->state < MASK_LOST && y->remain) {
			size_t len = y->remain < n - i ? (size_t)y->remain : n - i;
			bool zero = way_of(y)->zero;
			for (size_t k = i; k < i + len; k++)
				p[k] = zero ? 0 : p[k] == ':' ? ':' : 'x';
			y->remain -= len;
			i += len;
		} else {
			p[i] = one(c, y, p[i]);
			i++;
		}
		settle(y);
	}
}

static bool begins(struct slice in) { return clickhouse_find(in, PROTO_TO_SERVER, true) == 0 || clickhouse_find(in, PROTO_TO_CLIENT, true) == 0; }

/* The client's Hello. */
static enum mask_opens opens(struct slice in)
{
	int score = in.len && in.ptr[0] == CLICKHOUSE_CLIENT_HELLO ? clickhouse_detect(in, PROTO_TO_SERVER) : DETECT_NO;

	return score >= DETECT_LIKELY ? MASK_OPENS_SURELY : score == DETECT_MORE && in.len > 1 ? MASK_OPENS_MAYBE : MASK_OPENS_NOT;
}

const struct mask_ops mask_clickhouse = { .opens = opens, .begins = begins, .mask = mask, .ends_with_body = true };

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ClickHouse's native protocol for shared recordings: see masker.h for what stays. Way 0 is the client's, whose Hello told the protocol. Packets are walked by the
 * layouts below; of blocks without compression columns of plain types, in arrays, dictionaries and with NULL, are. Behind any other column nothing stays until a record
 * begins with something that is known.
 */
#include "proto/masker_clickhouse.h"

enum { LOW = 0x20, ADDENDUM = 0xf0, CAUSE = 0xf1 }; /* beside the packets' numbers */

/*
 * One character a field, with the first revision that has it: s string, e name of an exception, q text of a query, n number (not kept), k revision, b byte below 32, i interface, f eight bytes, c code of an error, z settings, y settings as texts, o trace, j text behind a mark, p rules of passwords, w whether it
 * is compressed, x whether another exception follows, B block.
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

/* mask_conn.memory */
struct conn {
	uint32_t revision; /* in use */
	bool compressed, addendum;
};
_Static_assert(sizeof(struct conn) <= sizeof(((struct mask_conn *)0)->memory), "no room");

static struct conn *conn_of(struct mask_conn *c)
{
	void *p = c->memory;

	return p;
}

/* Not kept: as many bytes of zero. */
static uint8_t blank(uint8_t b) { return b & 0x80; }

static bool is_client(const struct mask_conn *c, const struct mask_way *y) { return y == &c->ways[0]; }

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

	if (log && conn->compressed && conn->revision >= CLICKHOUSE_WITH_COMPRESSED_LOGS)
		y->state = MASK_LOST; /* either may come */
	else
		mask_clickhouse_block_begin(y, conn->compressed && !log);
}

static uint8_t block_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	return mask_clickhouse_block_byte(y, conn_of(c)->revision >= CLICKHOUSE_WITH_SERIALIZATION_KIND, b);
}

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
		return y->state == FRAME ? mask_clickhouse_frame_byte(y, b) : y->state == BLOCK ? block_byte(c, y, b) : 'x';
	default: break;
	}
	if (string_byte(y, w, b))
		next_field(c, y);
	return y->state == MASK_LOST ? 'x' : b;
}

/* --- bytes --- */

static uint8_t full_frame_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	if (b <= CLICKHOUSE_TIMEZONE_UPDATE)
		return packet_byte(c, y, b);
	way_of(y)->step = 0;
	y->state = FRAME;
	return mask_clickhouse_frame_byte(y, b);
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
	case FRAME: return mask_clickhouse_frame_byte(y, b);
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
		mask_clickhouse_block_settle(y);
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

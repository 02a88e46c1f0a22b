/* SPDX-License-Identifier: Apache-2.0 */
/* Aerospike's client protocol for shared recordings: see masker.h for what stays. */
#include "proto/aerospike_wire.h"
#include "proto/masker_way.h"

enum state { HEAD, RECORD_HEAD, ADMIN_HEAD, ITEM_LEN, ITEM, INFO_NAME, INFO_VALUE, PACKED };

/* mask_way.memory: fields and operations of this record that follow, bytes of the one under way, how far it is; of a batch the same of its record under way. */
enum { FIELDS, OPS, LEFT, PLACE, BATCH_PLACE, BATCH_META, BATCH_FIELDS, BATCH_OPS, BATCH_LEFT, BATCH_LEN };
/* mask_way.flags */
enum { BLIND = 1, ADMIN = 2, IS_OP = 4, WORD_OVER = 8, CODE = 16, BATCH_OVER = 32, BATCH_IS_OP = 64, NO_TAIL = 128 };
enum { OP_HEAD = 4, OP_MAX = 32, PARTICLE_MAX = 27, SIZE_HIGH = AEROSPIKE_SIZE_MAX >> 24, BATCH_COUNT = 4, BATCH_HAS = 24, BATCH_BITS = 0x1f, ZLIB_32K = 0x78, CODE_DIGITS = 3 };

static const char *const commands[] = {
	"node", "build", "edition", "version", "features", "services", "service", "service-clear-std", "service-tls-std", "service-clear-alt", "service-tls-alt", "peers-clear-std",
	"peers-clear-alt", "peers-tls-std", "peers-tls-alt", "peers-generation", "partition-generation", "partitions", "partition-info", "rebalance-generation", "replicas",
	"replicas-all", "replicas-master", "cluster-name", "cluster-stable", "cluster-generation", "racks", "rack-ids", "statistics", "status", "namespaces", "namespace", "sets", "bins",
	"sindex", "sindex-list", "sindex-stat", "sindex-create", "sindex-delete", "sindex-exists", "get-config", "set-config", "jobs", "query-show", "query-abort", "scan-show",
	"scan-abort", "truncate", "truncate-namespace", "truncate-undo", "udf-list", "udf-get", "udf-put", "udf-remove", "latencies", "logs", "health-stats", "health-outliers", "roster",
	"roster-set", "recluster", "quiesce", "quiesce-undo", "user-agent-set", "name", "digests", "compatibility-id", NULL,
};
static const char *const failures[] = { "error", "fail", NULL };

static void restart(struct mask_way *y)
{
	y->state = HEAD;
	y->digits = 0;
	y->number = y->remain = 0;
	y->flags = 0;
	word_clear(y);
	memset(y->memory, 0, sizeof(y->memory));
}

/* ---- info ---- */

static bool name_ends(uint8_t b) { return b == '\n' || b == '\t' || b == ':' || b == '/' || b == '=' || b == ';'; }

/* Known commands, as far as they are, and what ends a name. */
static uint8_t in_name(struct mask_way *y, uint8_t b)
{
	if (b == '\t' || b == '\n') {
		y->state = b == '\t' ? INFO_VALUE : INFO_NAME;
		y->flags &= ~(uint32_t)(WORD_OVER | CODE);
		y->digits = 0;
		word_clear(y);
		return b;
	}
	if (y->flags & WORD_OVER)
		return 'x';
	if (name_ends(b)) {
		y->flags |= WORD_OVER;
		return b;
	}
	return word_feed(y, b, commands) ? b : 'x';
}

/* Of a value that it is a failure, and its code. */
static uint8_t in_value(struct mask_way *y, uint8_t b)
{
	if (b == '\n') {
		y->state = INFO_NAME;
		y->flags &= ~(uint32_t)(WORD_OVER | CODE);
		word_clear(y);
		return b;
	}
	if (y->flags & CODE && b >= '0' && b <= '9' && y->digits++ < CODE_DIGITS)
		return b;
	y->flags &= ~(uint32_t)CODE;
	if (y->flags & WORD_OVER)
		return 'x';
	if ((b == ':' || b == '=') && word_in(y, failures)) {
		y->flags |= WORD_OVER | CODE;
		return b;
	}
	if (word_feed(y, b, failures))
		return b;
	y->flags |= WORD_OVER;
	return 'x';
}

/* ---- heads ---- */

static uint8_t in_head(struct mask_way *y, uint8_t b)
{
	unsigned at = y->digits++;
	bool fits = at == 0 ? b == 2 || b == 0 : at == 1 ? b >= AEROSPIKE_TYPE_INFO && b <= AEROSPIKE_TYPE_PACKED : at < 4 ? b == 0 : at > 4 || b <= SIZE_HIGH;

	if (!fits) {
		y->state = MASK_LOST;
		return 'x';
	}
	if (at == 1)
		y->type = b;
	if (at >= 4)
		y->number = y->number << 8 | b;
	if (at + 1 < AEROSPIKE_HEAD)
		return b;
	uint64_t size = y->number;
	uint8_t type = y->type;
	restart(y);
	y->remain = size;
	y->flags = type == AEROSPIKE_TYPE_ADMIN ? ADMIN : 0;
	if (size)
		y->state = type == AEROSPIKE_TYPE_INFO ? INFO_NAME : type == AEROSPIKE_TYPE_ADMIN ? ADMIN_HEAD : type == AEROSPIKE_TYPE_MSG ? RECORD_HEAD : PACKED;
	return b;
}

static void item_begin(struct mask_way *y)
{
	y->digits = 0;
	y->number = 0;
	y->memory[PLACE] = 0;
	y->state = y->memory[FIELDS] || y->memory[OPS] ? ITEM_LEN : y->flags & ADMIN ? ADMIN_HEAD : RECORD_HEAD;
}

/* Neither generations nor times of records, nor numbers in a batch. */
static uint8_t in_record_head(struct mask_way *y, uint8_t b)
{
	unsigned at = y->digits++;

	if ((at == 0 && b != AEROSPIKE_MSG) || (at == 18 && b)) { /* of more than 255 fields there is none */
		y->flags |= BLIND | NO_TAIL;
		return 'x';
	}
	if (at == 18 || at == 19)
		y->memory[FIELDS] = y->memory[FIELDS] << 8 | b;
	if (at >= 20)
		y->memory[OPS] = y->memory[OPS] << 8 | b;
	if (at + 1 == AEROSPIKE_MSG)
		item_begin(y);
	return at >= 6 && at < 18 ? 0 : b;
}

static uint8_t in_admin_head(struct mask_way *y, uint8_t b)
{
	unsigned at = y->digits++;

	if (at == 3)
		y->memory[FIELDS] = b;
	if (at + 1 == AEROSPIKE_ADMIN)
		item_begin(y);
	return at > 0 && at < 4 ? b : 0;
}

/* ---- fields and operations ---- */

static uint8_t in_item_len(struct mask_way *y, uint8_t b)
{
	bool field = y->memory[FIELDS];

	if (y->digits == 0 && b > SIZE_HIGH) {
		y->flags |= BLIND | NO_TAIL;
		return 'x';
	}
	y->number = y->number << 8 | b;
	if (++y->digits < AEROSPIKE_ITEM)
		return b;
	y->memory[field ? FIELDS : OPS]--;
	y->memory[LEFT] = y->number;
	y->memory[PLACE] = 0;
	y->flags = field ? y->flags & ~(uint32_t)IS_OP : y->flags | IS_OP;
	y->state = ITEM;
	if (y->number == 0 || y->number > y->remain)
		y->flags |= BLIND | NO_TAIL;
	return b;
}

/* Of an operation's head: what it is, of which type, and the length of the name. */
static uint8_t in_op(uint64_t at, uint8_t b)
{
	switch (at) {
	case 0: return b <= OP_MAX ? b : 'x';
	case 1: return b <= PARTICLE_MAX ? b : 'x';
	case 3: return b;
	default: return at < OP_HEAD ? 0 : 'x';
	}
}

/* Names become others: which records are of one set remains. */
static bool is_name(uint64_t type) { return type == AEROSPIKE_FIELD_NAMESPACE || type == AEROSPIKE_FIELD_SET || type == AEROSPIKE_FIELD_MODULE || type == AEROSPIKE_FIELD_FUNCTION; }

/* Of a record in a batch a field or an operation. */
static uint8_t in_batch_item(struct mask_way *y, uint8_t b)
{
	uint64_t *m = y->memory;
	uint8_t out = 'x';

	if (y->word_len == 0 && b > SIZE_HIGH) {
		y->flags |= BATCH_OVER;
		return 0;
	}
	if (y->word_len < AEROSPIKE_ITEM) {
		m[BATCH_LEN] = m[BATCH_LEN] << 8 | b;
		if (++y->word_len < AEROSPIKE_ITEM)
			return b;
		y->flags = m[BATCH_FIELDS] ? y->flags & ~(uint32_t)BATCH_IS_OP : y->flags | BATCH_IS_OP;
		m[m[BATCH_FIELDS] ? BATCH_FIELDS : BATCH_OPS]--;
		m[BATCH_LEFT] = m[BATCH_LEN];
		m[BATCH_LEN] = 0;
		if (m[BATCH_LEFT] == 0)
			y->flags |= BATCH_OVER;
		return b;
	}
	uint64_t at = m[BATCH_LEN]++;
	if (at == 0) {
		y->number = b; /* what it is */
		y->length = 0;
	}
	if (y->flags & BATCH_IS_OP)
		out = in_op(at, b);
	else if (at == 0)
		out = b;
	else if (is_name(y->number))
		out = mask_letter(y, b);
	if (--m[BATCH_LEFT] == 0) {
		word_clear(y);
		m[BATCH_LEN] = 0;
		if (m[BATCH_FIELDS] == 0 && m[BATCH_OPS] == 0)
			m[BATCH_PLACE] = 0; /* the next record */
	}
	return out;
}

/* How many records there are, and their lengths; at: from the field's contents on. BATCH_PLACE: in this record; BATCH_META: where its numbers of fields and operations are. */
static uint8_t in_batch(struct mask_way *y, uint64_t at, uint8_t b)
{
	uint64_t *m = y->memory;

	if (at < BATCH_COUNT)
		return at || b <= SIZE_HIGH ? b : 'x';
	if (at == BATCH_COUNT)
		return b & 0x0f;
	if (y->flags & BATCH_OVER)
		return 0;
	uint64_t place = m[BATCH_PLACE]++;
	if (place < BATCH_HAS)
		return 0;
	if (place == BATCH_HAS) {
		m[BATCH_META] = place + 2 + (b & 2 ? 2 : 0) + (b & 16 ? 1 : 0) + (b & 4 ? 2 : 0) + (b & 8 ? 4 : 0);
		m[BATCH_FIELDS] = m[BATCH_OPS] = m[BATCH_LEN] = 0;
		word_clear(y);
		if (b & 1)
			m[BATCH_PLACE] = 0;
		return b & BATCH_BITS;
	}
	if (place < m[BATCH_META])
		return 0;
	unsigned number = (unsigned)(place - m[BATCH_META]);
	if (number >= 4)
		return in_batch_item(y, b);
	if (number == 0 && b) {
		y->flags |= BATCH_OVER;
		return 0;
	}
	unsigned which = number < 2 ? BATCH_FIELDS : BATCH_OPS;
	m[which] = m[which] << 8 | b;
	if (number == 3 && m[BATCH_FIELDS] == 0)
		m[BATCH_FIELDS] = 1; /* clients of old say 0, and have the namespace */
	return b;
}

static uint8_t in_item(struct mask_way *y, uint8_t b)
{
	uint64_t *m = y->memory, at = m[PLACE]++;
	uint8_t out = 'x';

	if (at == 0) {
		y->digits = b; /* what it is */
		y->length = 0;
		m[BATCH_PLACE] = 0;
		y->flags &= ~(uint32_t)BATCH_OVER;
	}
	if (y->flags & IS_OP)
		out = in_op(at, b);
	else if (at == 0)
		out = b;
	else if (y->flags & ADMIN)
		out = 'x';
	else if (y->digits == AEROSPIKE_FIELD_BATCH || y->digits == AEROSPIKE_FIELD_BATCH_WITH_SET)
		out = in_batch(y, at - 1, b);
	else if (is_name(y->digits))
		out = mask_letter(y, b);
	if (--m[LEFT] == 0)
		item_begin(y);
	return out;
}

/* ---- the rest ---- */

/* A size, and what tells that it is zlib's. */
static uint8_t in_packed(struct mask_way *y, uint8_t b)
{
	unsigned at = y->digits < 255 ? y->digits++ : 255;

	if (at < 5)
		return b <= (at < 4 ? 0 : SIZE_HIGH) ? b : 'x';
	if (at < AEROSPIKE_PACKED || (at == AEROSPIKE_PACKED && b == ZLIB_32K))
		return b;
	return at == AEROSPIKE_PACKED + 1 && (b == 0x01 || b == 0x5e || b == 0x9c || b == 0xda) ? b : 'x';
}

/* Behind a hole the last bytes of a message may say that there is no other: as far as they are what they would be then. left: with this one. */
static uint8_t in_tail(struct mask_way *y, uint64_t left, uint8_t b)
{
	unsigned at = (unsigned)(AEROSPIKE_MSG - left);
	uint8_t due = at == 0 ? AEROSPIKE_MSG : at == 3 ? AEROSPIKE_LAST : 0;

	if (at == 0)
		word_clear(y);
	if (b == due || at == 5)
		return b;
	y->flags |= NO_TAIL;
	return 'x';
}

static uint8_t in_body(struct mask_way *y, uint8_t b)
{
	uint64_t left = y->remain--;
	uint8_t out = 'x';

	if (y->flags & BLIND)
		out = left <= AEROSPIKE_MSG && !(y->flags & (NO_TAIL | ADMIN)) && y->type == AEROSPIKE_TYPE_MSG ? in_tail(y, left, b) : 'x';
	else if (y->state == INFO_NAME)
		out = in_name(y, b);
	else if (y->state == INFO_VALUE)
		out = in_value(y, b);
	else if (y->state == RECORD_HEAD)
		out = in_record_head(y, b);
	else if (y->state == ADMIN_HEAD)
		out = in_admin_head(y, b);
	else if (y->state == ITEM_LEN)
		out = in_item_len(y, b);
	else if (y->state == ITEM)
		out = in_item(y, b);
	else if (y->state == PACKED)
		out = in_packed(y, b);
	if (y->remain == 0)
		restart(y);
	return out;
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	(void)c;
	for (size_t i = 0; i < n; i++)
		p[i] = y->state == HEAD ? in_head(y, p[i]) : y->state <= PACKED ? in_body(y, p[i]) : 'x';
}

/* What is left of the body stands anywhere in it. */
static void hole(struct mask_way *y) { y->flags = (y->flags & ADMIN) | BLIND | (y->remain < AEROSPIKE_MSG ? NO_TAIL : 0); }

static int surest(struct slice in)
{
	int asks = aerospike_detect(in, PROTO_TO_SERVER), answers = aerospike_detect(in, PROTO_TO_CLIENT);

	return asks > answers ? asks : answers;
}

static bool begins(struct slice in) { return surest(in) >= DETECT_WEAK; }

static enum mask_opens opens(struct slice in)
{
	int score = surest(in);

	return score >= DETECT_LIKELY ? MASK_OPENS_SURELY : score >= DETECT_WEAK ? MASK_OPENS_MAYBE : MASK_OPENS_NOT;
}

const struct mask_ops mask_aerospike = { .opens = opens, .begins = begins, .mask = mask, .hole = hole, .ends_with_body = true };

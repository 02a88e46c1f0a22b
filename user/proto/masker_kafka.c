/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kafka for shared recordings: see masker.h for what stays. Of a message that is lengths, numbers of elements, error codes, acknowledgements asked for and partitions up to 2^16; of a
 * batch its length, format and number of records. All other numbers and ids become zero, all texts and records "x".
 */
#include "proto/kafka_state.h"
#include "proto/masker_way.h"
#include "proto/zookeeper_wire.h"

enum state { HEAD, FIELD, BATCH, REST };
enum { RAW = 1, PENDING_MAX = 24, DUE = 30, BATCH_HEAD = 61, OLD_HEAD = 18, BATCH_LENGTH = 12, SIZE_ALONE_MAX = 1 << 20 };

/* mask_way.memory */
struct way {
	struct kafka_walk walk;
	uint32_t skip;    /* bytes of a text, or of an array, to come */
	uint32_t records; /* bytes of the records under way */
	uint32_t batch;   /* of the batch, behind those of its head that are done */
	uint8_t key;
	bool zero;        /* what is skipped are numbers */
	uint8_t at;       /* in the head of the batch */
	uint8_t magic;    /* its format */
};
_Static_assert(sizeof(struct way) <= sizeof(((struct mask_way *)0)->memory), "no room");

/* mask_conn.memory: requests by the low byte of their correlation id, so that a response's layout is known if not too many are under way. */
struct due {
	uint8_t correlation[2];
	uint8_t key, version;
};
struct conn {
	struct due due[DUE];
};
_Static_assert(sizeof(struct conn) <= sizeof(((struct mask_conn *)0)->memory), "no room");

static struct way *way_of(struct mask_way *y)
{
	void *p = y->memory;

	return p;
}

static struct due *due_of(struct mask_conn *c, uint16_t correlation)
{
	void *p = c->memory;
	struct conn *conn = p;

	return &conn->due[correlation % DUE];
}

static const char *layout_of(const struct way *w, bool request)
{
	const struct kafka_api *api = kafka_api_get(w->key);

	return request ? api->request : api->response;
}

/* `left` bytes of a message follow, or of one that is not known, and all that can be said is that they are of it. */
static void body(struct mask_way *y, uint32_t left, enum state state)
{
	y->digits = 0;
	y->remain = left;
	y->state = left ? (uint8_t)state : HEAD;
}

static void took(struct mask_way *y, uint64_t n)
{
	y->remain -= n;
	if (y->remain == 0)
		body(y, 0, HEAD);
}

/* --- heads --- */

static void walk(struct mask_way *y, uint8_t key, uint8_t version, uint32_t left, bool tagged)
{
	const struct kafka_api *api = kafka_api_get(key);
	struct way *w = way_of(y);

	*w = (struct way){ .key = key };
	kafka_walk_start(&w->walk, version, version >= api->flexible, tagged);
	w->walk.blind = true;
	body(y, left, version > api->max_version ? REST : FIELD);
}

static void request_begins(struct mask_conn *c, struct mask_way *y)
{
	struct kafka_request r;

	if (!kafka_request_read(slice_make(y->word, KAFKA_HEAD), &r)) {
		y->state = MASK_LOST;
		return;
	}
	uint32_t client = r.client_len > 0 ? (uint32_t)r.client_len : 0;
	*due_of(c, (uint16_t)r.correlation) = (struct due){ { (uint8_t)(r.correlation >> 8), (uint8_t)r.correlation }, (uint8_t)r.key, (uint8_t)r.version };
	y->flags = r.key == KAFKA_SASL_HANDSHAKE && r.version == 0 ? RAW : 0;
	walk(y, (uint8_t)r.key, (uint8_t)r.version, r.size - (KAFKA_HEAD - KAFKA_SIZE_BYTES), r.version >= r.api->flexible);
	way_of(y)->skip = client;
}

static void response_begins(struct mask_conn *c, struct mask_way *y)
{
	const uint8_t *head = (const uint8_t *)y->word;
	uint32_t left = load_be32(head) - (KAFKA_REPLY_HEAD - KAFKA_SIZE_BYTES);
	struct due *d = due_of(c, load_be16(head + 6));
	const struct kafka_api *api = kafka_api_get(d->key);

	if (d->correlation[0] != head[6] || d->correlation[1] != head[7] || !(d->key || d->version || head[6] || head[7])) {
		*way_of(y) = (struct way){ .zero = true };
		body(y, left, REST);
		return;
	}
	walk(y, d->key, d->version, left, d->version >= api->flexible && d->key != KAFKA_API_VERSIONS);
}

/* Does what was read of the head, and this byte, begin a message? Its texts and large numbers do not. */
static bool head_fits(const struct mask_way *y, bool request, unsigned at)
{
	const uint8_t *head = (const uint8_t *)y->word;

	switch (at) {
	case 0: return head[0] < ' '; /* four letters behind the three of an id would be a word of seven */
	case 3: return load_be32(head) >= (request ? KAFKA_HEAD : KAFKA_REPLY_HEAD) - KAFKA_SIZE_BYTES;
	case 4: return !request || head[4] == 0;
	case 5: return !request || kafka_api_get(head[5]) != NULL;
	case 6: return !request || head[6] == 0;
	case 7: return !request || head[7] <= kafka_api_get(head[5])->max_version + KAFKA_VERSIONS_AHEAD;
	case 12: return head[12] == 0 || head[12] == 0xff;
	case 13: return head[12] == 0 || head[13] == 0xff;
	default: return true;
	}
}

/* The first byte of a correlation id is masked, in both directions: of 2^24 requests none that is twice the same is under way. */
static uint8_t in_head(struct mask_conn *c, struct mask_way *y, bool request, uint8_t b)
{
	unsigned at = y->digits++;

	y->word[at] = (char)b;
	if (!head_fits(y, request, at)) {
		if (!(c->ways[0].flags & RAW) || at < 3) {
			y->state = MASK_LOST;
			return 'x';
		}
		/* A token of SASL, of which the size is all that stays. */
		uint32_t left = load_be32((const uint8_t *)y->word) - (at - 3);
		*way_of(y) = (struct way){ .zero = false };
		body(y, at == 3 ? left : left + 1, REST);
		if (at > 3)
			took(y, 1);
		return at == 3 ? b : 'x';
	}
	if (at + 1 == (request ? KAFKA_HEAD : KAFKA_REPLY_HEAD)) {
		if (request)
			request_begins(c, y);
		else
			response_begins(c, y);
	}
	return at == (request ? 8 : 4) ? 0 : b;
}

/* --- bodies --- */

/* Bytes of the head of a batch that stay: length, format, the low byte of the attributes, the number of records below 2^24. */
static bool stays_of_batch(unsigned at) { return (at >= 8 && at <= 11) || at == 16 || at == 22 || at >= 58; }

static uint8_t in_batch(struct mask_way *y, struct way *w, uint8_t b)
{
	uint8_t at = w->at++;

	if (at < BATCH_LENGTH)
		y->word[at] = (char)b;
	if (at == 16)
		w->magic = b;
	bool old = at >= 16 && w->magic < 2;
	bool stays = stays_of_batch(at) || (at == 17 && old);
	w->records--;
	if (at == 11) {
		uint32_t length = load_be32((const uint8_t *)y->word + 8);
		w->batch = length;
		if (length > w->records) { /* cut, or none: nothing of it stays */
			w->skip = w->records;
			w->records = 0;
		}
	} else if (at > 11) {
		w->batch--;
	}
	if (at == 16 && b > 2) {
		w->skip = w->records;
		w->records = 0;
	} else if (w->batch == 0 && at >= 11) {
		w->at = 0;
	} else if (at + 1 == (old ? OLD_HEAD : BATCH_HEAD)) {
		w->skip = w->batch < w->records ? w->batch : w->records;
		w->records -= w->skip;
		w->at = 0;
	}
	if (w->records == 0)
		y->state = FIELD;
	took(y, 1);
	return stays ? b : 0;
}

/* Lengths and the like are seen by their fields' types before they are whole. */
static uint8_t kept(char type, char role, unsigned at, uint8_t b)
{
	switch (type) {
	case 'b': return b <= 1 ? b : 0;
	case 'h': return role == 'E' || role == 'A' ? b : 0;
	case 'i': return role == 'P' && at > 1 ? b : 0;
	case 'l': case 'u': return 0;
	default: return b;
	}
}

static uint8_t in_field(struct mask_way *y, bool request, uint8_t b)
{
	struct way *w = way_of(y);
	const char *layout = layout_of(w, request);
	char type = kafka_walk_next(&w->walk, layout);
	char role = type && type != 't' ? layout[w->walk.at + 1] : '-';
	unsigned at = y->digits;
	struct kafka_field f;

	if (type == '\0' || at == PENDING_MAX) {
		y->state = REST;
		took(y, 1);
		return 'x';
	}
	y->word[at] = (char)b;
	y->digits = (uint8_t)(at + 1);
	uint32_t left = (uint32_t)y->remain + at;
	switch (kafka_walk_step(&w->walk, layout, slice_make(y->word, at + 1), left, &f)) {
	case KAFKA_MORE: break;
	case KAFKA_BAD: case KAFKA_END:
		y->state = REST;
		took(y, 1);
		return 'x';
	case KAFKA_FIELD:
		y->digits = 0;
		w->skip = f.skip;
		w->zero = type >= 'B' && type <= 'U' && type != 'S';
		if (type == 'r' && f.number) {
			w->records = (uint32_t)f.number;
			w->at = 0;
			y->state = BATCH;
		}
		break;
	}
	took(y, 1);
	return kept(type, role, at, b);
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	bool request = y == &c->ways[0];
	struct way *w = way_of(y);

	for (size_t i = 0; i < n;) {
		uint64_t skip = y->state == REST ? y->remain : y->state == HEAD || y->state >= MASK_LOST ? 0 : w->skip;
		if (skip > y->remain)
			skip = y->remain;
		if (skip) {
			size_t len = skip < n - i ? (size_t)skip : n - i;
			memset(p + i, w->zero ? 0 : 'x', len);
			if (y->state != REST)
				w->skip -= (uint32_t)len;
			took(y, len);
			i += len;
			continue;
		}
		switch (y->state) {
		case HEAD: p[i] = in_head(c, y, request, p[i]); break;
		case FIELD: p[i] = in_field(y, request, p[i]); break;
		case BATCH: p[i] = in_batch(y, w, p[i]); break;
		default: p[i] = 'x'; break;
		}
		i++;
	}
}

static void hole(struct mask_way *y)
{
	way_of(y)->zero = false;
	y->state = REST;
}

static bool begins(struct slice in) { return kafka_detect(in, PROTO_TO_SERVER) >= DETECT_LIKELY || kafka_detect(in, PROTO_TO_CLIENT) >= DETECT_WEAK; }

/* Brokers read the size first, alone: if it is that of something else, no head follows, and all is masked. */
static enum mask_opens opens(struct slice in)
{
	/* What ZooKeeper's clients say first would be an old produce request of nobody. */
	if (zookeeper_detect(in, PROTO_TO_SERVER) == DETECT_CERTAIN)
		return MASK_OPENS_NOT;
	bool size = in.len == KAFKA_SIZE_BYTES && load_be32(in.ptr) >= KAFKA_HEAD - KAFKA_SIZE_BYTES && load_be32(in.ptr) <= SIZE_ALONE_MAX;

	return size || (in.len >= KAFKA_HEAD && kafka_detect(in, PROTO_TO_SERVER)) ? MASK_OPENS_SURELY : MASK_OPENS_NOT;
}

const struct mask_ops mask_kafka = { .opens = opens, .begins = begins, .mask = mask, .hole = hole, .ends_with_body = true };

/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/rocketmq_wire.h"

#include "lib/json_read.h"

enum { JSON = 0, BINARY = 1, KEY_HEAD = 7 };
enum { CODE = 1, FLAG = 2, OPAQUE = 4, ALL = 7 }; /* rocketmq_head.seen */

/* Also nodes of the JSON that is wanted: first level, then what is in extFields. */
enum node {
	NODE_CODE = 1, NODE_FLAG, NODE_OPAQUE, NODE_FIELDS,
	NODE_TOPIC, NODE_B, NODE_ORIGIN, NODE_CONSUMER_GROUP, NODE_GROUP, NODE_QUEUE, NODE_E, NODE_PROPERTIES, NODE_I, NODE_CLIENT, NODE_CLIENT_ID, NODE_BATCH, NODE_M,
	NODE_NEXT_OFFSET, NODE_REST,
	NODE_COUNT,
};

static const struct json_wanted wanted[] = {
	{ 0, "code" }, { 0, "flag" }, { 0, "opaque" }, { 0, "extFields" },
	{ NODE_FIELDS, "topic" }, { NODE_FIELDS, "b" }, { NODE_FIELDS, "originTopic" }, { NODE_FIELDS, "consumerGroup" }, { NODE_FIELDS, "group" }, { NODE_FIELDS, "queueId" },
	{ NODE_FIELDS, "e" }, { NODE_FIELDS, "properties" }, { NODE_FIELDS, "i" }, { NODE_FIELDS, "clientID" }, { NODE_FIELDS, "clientId" }, { NODE_FIELDS, "batch" },
	{ NODE_FIELDS, "m" }, { NODE_FIELDS, "nextBeginOffset" }, { NODE_FIELDS, "restNum" },
};
_Static_assert(sizeof(wanted) / sizeof(wanted[0]) == NODE_COUNT - 1, "one entry a node");

static void head_clear(struct rocketmq_head *h)
{
	h->seen = 0;
	h->code = 0;
	h->flag = h->opaque = 0;
	h->found = h->batch = h->short_names = false;
	h->topic = rocketmq_text_in(h->topic_text, sizeof(h->topic_text));
	h->short_topic = rocketmq_text_in(h->short_topic_text, sizeof(h->short_topic_text));
	h->group = rocketmq_text_in(h->group_text, sizeof(h->group_text));
	h->client = rocketmq_text_in(h->client_text, sizeof(h->client_text));
	h->queue = rocketmq_text_in(h->queue_text, sizeof(h->queue_text));
	h->short_queue = rocketmq_text_in(h->short_queue_text, sizeof(h->short_queue_text));
	h->word = rocketmq_text_in(h->word_text, sizeof(h->word_text));
	rocketmq_props_begin(&h->props);
}

/* --- fields --- */

static struct rocketmq_text *text_of(struct rocketmq_head *h, enum node node)
{
	switch (node) {
	case NODE_TOPIC: case NODE_ORIGIN: return &h->topic;
	case NODE_B: return &h->short_topic;
	case NODE_CONSUMER_GROUP: case NODE_GROUP: return &h->group;
	case NODE_QUEUE: return &h->queue;
	case NODE_E: return &h->short_queue;
	case NODE_CLIENT: case NODE_CLIENT_ID: return &h->client;
	case NODE_BATCH: case NODE_M: return &h->word;
	default: return NULL;
	}
}

static void piece(struct rocketmq_head *h, enum node node, struct slice s)
{
	struct rocketmq_text *t = text_of(h, node);

	if (node == NODE_I || node == NODE_PROPERTIES)
		rocketmq_props_feed(&h->props, s);
	if (t)
		rocketmq_text_add(t, s);
}

/* A field's value is over. */
static void field_end(struct rocketmq_head *h, enum node node)
{
	if (node == NODE_NEXT_OFFSET || node == NODE_REST)
		h->found = true;
	if (node == NODE_B)
		h->short_names = true;
	if (node != NODE_BATCH && node != NODE_M)
		return;
	h->batch |= slice_eq(rocketmq_text_slice(&h->word), SLICE_LIT("true"));
	h->word.len = 0;
}

/* --- JSON --- */

static bool number(struct slice s, int64_t *ret_value)
{
	bool minus = s.len && s.ptr[0] == '-';
	int64_t value = 0;

	if (s.len == (size_t)minus || s.len > 11)
		return false;
	for (size_t i = minus; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
		value = value * 10 + (s.ptr[i] - '0');
	}
	*ret_value = minus ? -value : value;
	return *ret_value >= INT32_MIN && *ret_value <= INT32_MAX;
}

static void see_number(struct rocketmq_head *h, uint8_t node, struct slice text)
{
	int64_t value;

	if (!number(text, &value))
		return;
	switch (node) {
	case NODE_CODE: h->code = (int32_t)value; h->seen |= CODE; break;
	case NODE_FLAG: h->flag = (uint32_t)value; h->seen |= FLAG; break;
	case NODE_OPAQUE: h->opaque = (uint32_t)value; h->seen |= OPAQUE; break;
	default: break;
	}
}

static void found(void *ctx, uint8_t node, enum json_kind kind, struct slice text, bool last)
{
	struct rocketmq_head *h = ctx;

	if (node >= NODE_CODE && node <= NODE_OPAQUE && kind == JSON_NUMBER)
		see_number(h, node, text);
	if (node < NODE_TOPIC || kind == JSON_NULL || kind == JSON_OBJECT || kind == JSON_ARRAY)
		return;
	piece(h, (enum node)node, text);
	if (last)
		field_end(h, (enum node)node);
}

static bool read_json(struct slice in, struct rocketmq_head *h)
{
	struct json_read r;

	json_read_init(&r, wanted, sizeof(wanted) / sizeof(wanted[0]), found, h);
	json_read_feed(&r, in);
	return r.done && !r.broken && !r.batch && h->seen == ALL;
}

/* --- binary: code 2, language 1, version 2, opaque 4, flag 4, remark 4 + n, fields 4 + n of name 2 + n and value 4 + n --- */

static void read_field(struct rocketmq_head *h, struct slice name, struct slice value)
{
	for (int i = NODE_FIELDS; i < NODE_COUNT - 1; i++) {
		if (!slice_eq(name, slice_str(wanted[i].key)))
			continue;
		piece(h, (enum node)(i + 1), value);
		field_end(h, (enum node)(i + 1));
	}
}

static bool read_fields(struct slice in, struct rocketmq_head *h)
{
	while (in.len) {
		if (in.len < 2)
			return false;
		size_t name = load_be16(in.ptr);
		if (in.len - 2 < name || in.len - 2 - name < 4)
			return false;
		size_t value = load_be32(in.ptr + 2 + name);
		struct slice rest = slice_from(in, 6 + name);
		if (rest.len < value)
			return false;
		read_field(h, slice_make(in.ptr + 2, name), slice_head(rest, value));
		in = slice_from(rest, value);
	}
	return true;
}

static bool read_binary(struct slice in, struct rocketmq_head *h)
{
	h->code = (int16_t)load_be16(in.ptr);
	h->opaque = load_be32(in.ptr + 5);
	h->flag = load_be32(in.ptr + 9);
	size_t remark = load_be32(in.ptr + 13);
	if (remark > in.len - ROCKETMQ_BINARY_MIN)
		return false;
	struct slice fields = slice_from(in, ROCKETMQ_BINARY_MIN + remark);
	return load_be32(in.ptr + 17 + remark) == fields.len && read_fields(fields, h);
}

/* --- heads --- */

/* Of the prefix as much as is there. */
static bool prefix_fits(struct slice in)
{
	if (in.len >= 1 && in.ptr[0] > ROCKETMQ_FRAME_MAX >> 24)
		return false;
	if (in.len >= 5 && in.ptr[4] > BINARY)
		return false;
	if (in.len < ROCKETMQ_PREFIX)
		return true;
	uint32_t frame = load_be32(in.ptr), header = load_be32(in.ptr + 4) & 0xffffff;
	return frame <= ROCKETMQ_FRAME_MAX && header <= ROCKETMQ_HEADER_MAX && frame >= 4 && header <= frame - 4 &&
	       header >= (in.ptr[4] == BINARY ? (uint32_t)ROCKETMQ_BINARY_MIN : (uint32_t)ROCKETMQ_JSON_MIN);
}

static bool begins(struct slice in, const char *with, size_t n)
{
	if (in.len < n)
		n = in.len;
	return n == 0 || memcmp(in.ptr, with, n) == 0;
}

static bool json_starts(struct slice in)
{
	static const char *const first[] = { "{\"code\"", "{\"extFi", "{\"flag\"", "{\"langu", "{\"opaqu", "{\"remar", "{\"seria", "{\"versi" };

	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
		if (begins(in, first[i], KEY_HEAD))
			return true;
	return false;
}

static bool code_known(int32_t code, uint32_t flag) { return flag & ROCKETMQ_RESPONSE ? rocketmq_response(code) != NULL : rocketmq_request(code) != NULL; }

static bool binary_starts(struct slice in, uint32_t header)
{
	if (in.len < ROCKETMQ_BINARY_MIN)
		return true;
	uint32_t flag = load_be32(in.ptr + 9), remark = load_be32(in.ptr + 13);
	return in.ptr[2] < 32 && load_be16(in.ptr + 3) < 4096 && flag <= (ROCKETMQ_RESPONSE | ROCKETMQ_ONEWAY) && code_known((int16_t)load_be16(in.ptr), flag) &&
	       remark <= header - ROCKETMQ_BINARY_MIN && (remark || load_be32(in.ptr + 17) == header - ROCKETMQ_BINARY_MIN);
}

bool rocketmq_starts(struct slice in)
{
	if (!prefix_fits(in) || in.len <= ROCKETMQ_PREFIX)
		return prefix_fits(in);
	struct slice header = slice_from(in, ROCKETMQ_PREFIX);
	return in.ptr[4] == BINARY ? binary_starts(header, load_be32(in.ptr + 4) & 0xffffff) : json_starts(header);
}

bool rocketmq_goes_on(uint32_t frame, struct slice in)
{
	uint8_t prefix[ROCKETMQ_PREFIX] = { (uint8_t)(frame >> 24), (uint8_t)(frame >> 16), (uint8_t)(frame >> 8), (uint8_t)frame };

	if (in.len < 4)
		return false;
	memcpy(prefix + 4, in.ptr, 4);
	/* The longest header there may be is Kafka's Fetch of version 0. */
	return (load_be32(in.ptr) & 0xffffff) <= ROCKETMQ_HEADER_MAX && prefix_fits(slice_make(prefix, sizeof(prefix)));
}

enum rocketmq_read rocketmq_head_read(struct slice in, struct rocketmq_head *h, size_t *ret_need)
{
	*ret_need = ROCKETMQ_START;
	if (!rocketmq_starts(in))
		return ROCKETMQ_BAD;
	if (in.len < ROCKETMQ_START)
		return ROCKETMQ_SHORT;
	uint32_t header = load_be32(in.ptr + 4) & 0xffffff;
	*ret_need = ROCKETMQ_PREFIX + header;
	if (in.len < *ret_need)
		return ROCKETMQ_SHORT;
	head_clear(h);
	h->len = ROCKETMQ_PREFIX + header;
	h->body = load_be32(in.ptr) - 4 - header;
	struct slice text = slice_make(in.ptr + ROCKETMQ_PREFIX, header);
	if (!(in.ptr[4] == BINARY ? read_binary(text, h) : read_json(text, h)) || h->flag > (ROCKETMQ_RESPONSE | ROCKETMQ_ONEWAY))
		return ROCKETMQ_BAD;
	rocketmq_props_end(&h->props);
	return ROCKETMQ_OK;
}

int rocketmq_detect(struct slice in, enum proto_side side)
{
	struct rocketmq_head h;
	size_t need;

	switch (rocketmq_head_read(in, &h, &need)) {
	case ROCKETMQ_BAD: return DETECT_NO;
	case ROCKETMQ_SHORT: return in.len < ROCKETMQ_START ? DETECT_MORE : DETECT_LIKELY;
	case ROCKETMQ_OK: break;
	}
	/* Either side asks and answers, but nearly always these. */
	const struct rocketmq_code *request = rocketmq_request(h.code);
	bool to_client = h.flag & ROCKETMQ_RESPONSE || (request && request->of_server);
	return to_client == (side == PROTO_TO_CLIENT) ? DETECT_CERTAIN : DETECT_WEAK;
}

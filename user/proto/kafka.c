/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Apache Kafka (https://kafka.apache.org/protocol). What the messages look like is kafka_api.c, how they are walked through kafka_walk.c, what is in records
 * kafka_records.c, the names behind topic ids kafka_topics.c.
 *
 * A request is an exchange with the response of its correlation id. A produce request that asks for no acknowledgement (acks=0) has none. Of what is due the
 * key and version are remembered, as a response says neither.
 *
 * Counted are the messages of batches, by the batches' heads; keys and values are skipped. What of a message is not captured (records that a broker sends from a file never
 * are) is stepped over by its length: then a fetch has no number of messages, and a response whose errors may have been there is incomplete.
 * A fetch gives whole batches, so the first one's messages before the offset that was asked for count, too.
 *
 * Errors: the first code in a response that is none of success. MEMBER_ID_REQUIRED is how every member of a group begins, and no failure.
 *
 * SASL: what SaslAuthenticate carries is skipped. Behind version 0 of SaslHandshake tokens follow without headers, which are passed over.
 */
#include "proto/kafka_state.h"

enum { MEMBER_ID_REQUIRED = 79 };

static void text_set(struct kafka_text *t, struct slice text)
{
	text = slice_head(text, KAFKA_TEXT_MAX);
	t->len = (uint8_t)text.len;
	if (text.len)
		memcpy(t->text, text.ptr, text.len);
}

/* --- what fields say --- */

/* As Kafka prints ids: base64 for URLs, without padding. */
static struct slice id_text(const uint8_t *id, char to[22])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	for (unsigned i = 0; i < 22; i++) {
		unsigned bit = i * 6, byte = bit / 8;
		unsigned two = (unsigned)id[byte] << 8 | (byte + 1 < KAFKA_ID_LEN ? id[byte + 1] : 0u);
		to[i] = digits[two >> (10 - bit % 8) & 63];
	}
	return slice_make(to, 22);
}

static bool id_is_zero(const uint8_t *id)
{
	static const uint8_t zero[KAFKA_ID_LEN];

	return memcmp(id, zero, KAFKA_ID_LEN) == 0;
}

static void see_topic(struct kafka_message *m, enum proto_side side, struct slice name)
{
	if (name.len == 0)
		return;
	if (side == PROTO_TO_CLIENT) { /* it counts if messages of it come */
		text_set(&m->current, name);
		return;
	}
	if (m->topics && slice_eq(name, kafka_text_slice(&m->topic)))
		return;
	if (m->topics++ == 0)
		text_set(&m->topic, name);
	else
		m->topics = 2;
}

static void see_topic_id(const struct kafka_memory *mem, struct kafka_message *m, enum proto_side side, const uint8_t *id)
{
	char text[22];

	if (id_is_zero(id))
		return;
	struct slice name = kafka_topics_find(mem->topics, id);
	see_topic(m, side, name.len ? name : id_text(id, text));
}

static void see_partition(struct kafka_message *m, enum proto_side side, const struct kafka_field *f)
{
	bool array = f->text.len != 4 || f->consumed > 4;

	if (side == PROTO_TO_CLIENT) {
		m->current_partition = (int32_t)f->number;
		return;
	}
	if (array && f->number != 1) {
		m->partitions = f->number ? 2 : m->partitions;
		return;
	}
	m->partition = (int32_t)load_be32(f->text.ptr);
	if (m->partitions < 2)
		m->partitions++;
}

/* Records of a partition of a response have been read as far as the first that are messages: this is where they are from. */
static void see_source(struct kafka_message *m)
{
	if (m->topics == 0) {
		m->topic = m->current;
		m->topics = 1;
	} else if (!slice_eq(kafka_text_slice(&m->topic), kafka_text_slice(&m->current))) {
		m->topics = 2;
	}
	m->partition = m->current_partition;
	if (m->partitions < 2)
		m->partitions++;
}

static void see_error(struct kafka_message *m, int64_t code)
{
	if (m->error == 0)
		m->error = (int16_t)code;
}

static void see_acks(struct kafka_memory *mem, struct kafka_message *m, int64_t acks)
{
	if (acks != 0)
		return;
	m->no_response = true;
	if (kafka_due_latest(mem, m->correlation))
		kafka_due_drop_latest(mem);
}

static void see_records(struct kafka_message *m, enum proto_side side, uint32_t bytes)
{
	kafka_records_begin(&m->records, bytes);
	m->in_records = bytes > 0;
	if (bytes && side == PROTO_TO_CLIENT)
		see_source(m);
}

static void see(struct kafka_memory *mem, struct kafka_message *m, enum proto_side side, const struct kafka_field *f)
{
	switch (f->role) {
	case 'T': see_topic(m, side, f->text); break;
	case 'D': see_topic_id(mem, m, side, f->text.ptr); break;
	case 'P': see_partition(m, side, f); break;
	case 'R': see_records(m, side, (uint32_t)f->number); break;
	case 'G':
		if (m->group.len == 0)
			text_set(&m->group, f->text);
		break;
	case 'A': see_acks(mem, m, f->number); break;
	case 'E': see_error(m, f->number); break;
	case 'O': m->base_offset = f->number; break;
	case 'N': text_set(&m->current, f->text); break;
	case 'K':
		if (!id_is_zero(f->text.ptr))
			kafka_topics_learn(mem->topics, f->text.ptr, kafka_text_slice(&m->current));
		break;
	default: break;
	}
}

/* --- what they add up to --- */

static bool is_fetch(const struct kafka_message *m) { return m->key == KAFKA_FETCH || m->key == KAFKA_SHARE_FETCH; }

static void add_text(struct message *e, enum attr_id id, const struct kafka_text *t)
{
	if (t->len)
		message_add_str(e, id, kafka_text_slice(t));
}

static void add_source(struct kafka_message *m, struct message *e)
{
	if (m->topics == 1)
		add_text(e, ATTR_MESSAGING_DESTINATION_NAME, &m->topic);
	if (m->topics == 1 && m->partitions == 1)
		message_add_str(e, ATTR_MESSAGING_DESTINATION_PARTITION_ID, slice_i32(m->partition, m->partition_text));
}

static void add_request(struct kafka_message *m, struct message *e)
{
	add_text(e, ATTR_MESSAGING_CONSUMER_GROUP_NAME, &m->group);
	add_source(m, e);
	if (m->key != KAFKA_PRODUCE)
		return;
	bool counted = !m->records.uncounted && !m->malformed;
	m->single = counted && m->records.count == 1;
	if (counted)
		message_add_int(e, ATTR_MESSAGING_BATCH_MESSAGE_COUNT, (int64_t)m->records.count);
	for (unsigned i = 0; i < m->records.nlinks; i++)
		message_add_str(e, m->single ? ATTR_RAW_TRACEPARENT : ATTR_RAW_LINK, slice_make(m->records.links[i], KAFKA_LINK_LEN));
}

static void add_error(struct kafka_message *m, struct message *e)
{
	const char *name = kafka_error_name(m->error);
	struct slice number = slice_i32(m->error, m->number);

	message_add_str(e, ATTR_MESSAGING_RESPONSE_CODE, number);
	if (m->error == MEMBER_ID_REQUIRED)
		return;
	struct slice text = name ? slice_str(name) : number;
	e->flags |= MESSAGE_ERROR;
	memcpy(e->error_type, text.ptr, text.len);
	e->error_type[text.len] = '\0';
}

static void add_response(struct kafka_message *m, struct message *e)
{
	if (m->error)
		add_error(m, e);
	if (m->single && m->base_offset >= 0)
		message_add_int(e, ATTR_MESSAGING_KAFKA_OFFSET, m->base_offset);
	if (!is_fetch(m))
		return;
	add_source(m, e);
	if (m->records.uncounted || m->malformed || m->unsure)
		return;
	message_add_int(e, ATTR_MESSAGING_BATCH_MESSAGE_COUNT, (int64_t)m->records.count);
	if (m->records.count == 1 && m->records.offset_known)
		message_add_int(e, ATTR_MESSAGING_KAFKA_OFFSET, m->records.offset);
	for (unsigned i = 0; i < m->records.nlinks; i++)
		message_add_str(e, ATTR_RAW_LINK, slice_make(m->records.links[i], KAFKA_LINK_LEN));
}

static void end(struct kafka_memory *mem, struct kafka_message *m, enum proto_side side, struct message *e)
{
	m->open = false;
	e->flags |= MESSAGE_END;
	if (m->token)
		return;
	if (m->malformed)
		message_add_str(e, ATTR_PLUMB_INCOMPLETE, SLICE_LIT("malformed"));
	if (side == PROTO_TO_CLIENT) {
		add_response(m, e);
		e->flags |= m->unsure ? MESSAGE_UNSURE : 0;
		return;
	}
	add_request(m, e);
	e->flags |= m->no_response ? MESSAGE_NO_RESPONSE : 0;
	struct kafka_due *due = kafka_due_latest(mem, m->correlation);
	if (due)
		due->single = m->single;
}

/* --- bytes --- */

static void message_start(struct kafka_message *m, uint32_t left, uint32_t correlation)
{
	m->api = NULL;
	m->key = 0;
	m->left = left;
	m->correlation = correlation;
	m->open = true;
	m->token = m->rest = m->in_records = m->single = m->no_response = m->unsure = m->malformed = false;
	m->error = 0;
	m->current_partition = m->partition = 0;
	m->topics = m->partitions = 0;
	m->base_offset = -1;
	kafka_records_clear(&m->records);
	m->current.len = m->topic.len = m->group.len = 0;
}

static void event_of(const struct kafka_message *m, enum proto_side side, struct message *e)
{
	e->kind = m->token ? MESSAGE_ONEWAY : side == PROTO_TO_SERVER ? MESSAGE_REQUEST : MESSAGE_RESPONSE;
	e->keyed = !m->token;
	e->key = m->token ? 0 : m->correlation;
}

static const char *layout_of(const struct kafka_message *m, enum proto_side side)
{
	return side == PROTO_TO_SERVER ? m->api->request : m->api->response;
}

/* One step at the start of `in`. False: `need` bytes are wanted. */
static bool step(struct kafka_memory *mem, struct kafka_message *m, enum proto_side side, struct slice in, size_t *ret_consumed, uint32_t *ret_skip, size_t *ret_need)
{
	struct kafka_field f;

	if (m->in_records) {
		if (!kafka_records_step(&m->records, in, ret_consumed, ret_skip, ret_need))
			return false;
		m->in_records = m->records.left > 0;
		return true;
	}
	if (!m->rest) {
		switch (kafka_walk_step(&m->walk, layout_of(m, side), in, m->left, &f)) {
		case KAFKA_FIELD:
			*ret_consumed = f.consumed;
			*ret_skip = f.skip;
			see(mem, m, side, &f);
			return true;
		case KAFKA_MORE:
			*ret_need = f.need;
			return false;
		case KAFKA_BAD: m->malformed = true; break;
		case KAFKA_END: break;
		}
		m->rest = true;
	}
	*ret_consumed = 0;
	*ret_skip = m->left;
	return true;
}

/* From in[at] on. What of a message lies behind `in` and is of no interest is skipped, and if that is all, the message ends there. */
static enum parse_status run(struct kafka_memory *mem, struct kafka_message *m, enum proto_side side, struct slice in, size_t at, struct parse_result *ret)
{
	size_t start = at, used = 0, need = 0;
	uint32_t skip = 0;

	while (m->left && ret->skip == 0) {
		if (!step(mem, m, side, slice_head(slice_from(in, at), m->left), &used, &skip, &need))
			break;
		m->left -= (uint32_t)used + skip;
		at += used;
		ret->skip = skip > in.len - at ? skip - (in.len - at) : 0;
		at += skip - ret->skip;
	}
	ret->consumed = at;
	event_of(m, side, &ret->message);
	if (m->left == 0) {
		end(mem, m, side, &ret->message);
		ret->message.flags |= ret->skip ? MESSAGE_END_AFTER_SKIP : 0;
		return PARSE_MESSAGE;
	}
	if (ret->message.flags & MESSAGE_BEGIN)
		return PARSE_MESSAGE;
	if (at > start || ret->skip)
		return PARSE_SKIP;
	ret->need = need;
	return PARSE_NEED_MORE;
}

static void add_operation(const struct kafka_api *api, struct message *e)
{
	message_add_str(e, ATTR_MESSAGING_OPERATION_NAME, slice_str(api->name));
	if (api->type)
		message_add_str(e, ATTR_MESSAGING_OPERATION_TYPE, slice_str(api->type));
}

static void walk_start(struct kafka_message *m, uint8_t version, bool tagged)
{
	kafka_walk_start(&m->walk, version, version >= m->api->flexible, tagged);
	m->rest = m->records.uncounted = version > m->api->max_version; /* its layout is not known */
}

/* A frame of SASL without header. */
static enum parse_status token(struct kafka_memory *mem, struct kafka_message *m, enum proto_side side, struct slice in, struct parse_result *ret)
{
	uint32_t size = load_be32(in.ptr);

	if (size > KAFKA_FRAME_MAX)
		return PARSE_BAD;
	message_start(m, size, 0);
	m->token = m->rest = true;
	ret->message.flags = MESSAGE_BEGIN;
	return run(mem, m, side, in, KAFKA_SIZE_BYTES, ret);
}

static bool wants(struct slice in, size_t n, struct parse_result *ret)
{
	ret->need = n;
	return in.len < n;
}

static enum parse_status request(struct kafka_memory *mem, struct kafka_message *m, struct slice in, struct parse_result *ret)
{
	struct kafka_request r;

	if (wants(in, KAFKA_SIZE_BYTES, ret))
		return PARSE_NEED_MORE;
	uint32_t size = load_be32(in.ptr);
	if (mem->raw && size < KAFKA_HEAD - KAFKA_SIZE_BYTES)
		return token(mem, m, PROTO_TO_SERVER, in, ret);
	if (wants(in, KAFKA_HEAD, ret))
		return PARSE_NEED_MORE;
	if (!kafka_request_read(in, &r))
		return mem->raw ? token(mem, m, PROTO_TO_SERVER, in, ret) : PARSE_BAD;
	uint32_t client = r.client_len > 0 ? (uint32_t)r.client_len : 0;
	uint32_t head = client < KAFKA_TEXT_MAX ? client : KAFKA_TEXT_MAX;
	if (wants(in, KAFKA_HEAD + head, ret))
		return PARSE_NEED_MORE;
	mem->raw = r.key == KAFKA_SASL_HANDSHAKE && r.version == 0;
	mem->raw_replies |= mem->raw;
	mem->asked = true;
	mem->correlation = r.correlation;
	text_set(&mem->client, slice_make(in.ptr + KAFKA_HEAD, head));
	kafka_due_push(mem, (struct kafka_due){ .correlation = r.correlation, .key = (uint8_t)r.key, .version = (uint8_t)r.version });

	message_start(m, r.size - (KAFKA_HEAD - KAFKA_SIZE_BYTES) - head, r.correlation);
	m->api = r.api;
	m->key = (uint8_t)r.key;
	walk_start(m, (uint8_t)r.version, r.version >= r.api->flexible);
	if (head < client)
		m->rest = m->records.uncounted = true;
	ret->message.flags = MESSAGE_BEGIN;
	add_operation(r.api, &ret->message);
	if (head)
		message_add_str(&ret->message, ATTR_MESSAGING_CLIENT_ID, slice_make(in.ptr + KAFKA_HEAD, head));
	return run(mem, m, PROTO_TO_SERVER, in, KAFKA_HEAD + head, ret);
}

static enum parse_status response(struct kafka_memory *mem, struct kafka_message *m, struct slice in, struct parse_result *ret)
{
	struct kafka_due due;

	if (wants(in, KAFKA_SIZE_BYTES, ret))
		return PARSE_NEED_MORE;
	uint32_t size = load_be32(in.ptr);
	if (mem->raw_replies && size < KAFKA_REPLY_HEAD - KAFKA_SIZE_BYTES)
		return token(mem, m, PROTO_TO_CLIENT, in, ret);
	if (size < KAFKA_REPLY_HEAD - KAFKA_SIZE_BYTES || size > KAFKA_FRAME_MAX)
		return PARSE_BAD;
	if (wants(in, KAFKA_REPLY_HEAD, ret))
		return PARSE_NEED_MORE;
	uint32_t correlation = load_be32(in.ptr + KAFKA_SIZE_BYTES);
	bool known = kafka_due_take(mem, correlation, &due);
	if (!known && mem->raw_replies)
		return token(mem, m, PROTO_TO_CLIENT, in, ret);
	message_start(m, size - (KAFKA_REPLY_HEAD - KAFKA_SIZE_BYTES), correlation);
	m->rest = true;
	if (known) {
		m->api = kafka_api_get(due.key);
		m->key = due.key;
		m->single = due.single;
		/* Who does not know the version that a client asks for must be able to say so: this one has no tags in its header. */
		walk_start(m, due.version, due.version >= m->api->flexible && due.key != KAFKA_API_VERSIONS);
		mem->raw_replies &= mem->raw || due.key == KAFKA_SASL_HANDSHAKE;
	}
	ret->message.flags = MESSAGE_BEGIN;
	return run(mem, m, PROTO_TO_CLIENT, in, KAFKA_REPLY_HEAD, ret);
}

static enum parse_status kafka_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct kafka_memory *mem = ((struct kafka_state *)state)->memory;

	if (!mem)
		return PARSE_BAD;
	struct kafka_message *m = &mem->way[side];
	if (m->open)
		return run(mem, m, side, in, 0, ret);
	return side == PROTO_TO_SERVER ? request(mem, m, in, ret) : response(mem, m, in, ret);
}

/* --- loss --- */

static bool kafka_missing(void *state, enum proto_side side, uint64_t n, struct message *ret_message)
{
	struct kafka_memory *mem = ((struct kafka_state *)state)->memory;

	if (!mem)
		return false;
	struct kafka_message *m = &mem->way[side];
	if (!m->open || n > m->left)
		return false;
	m->left -= (uint32_t)n;
	if (m->in_records && n <= m->records.left) {
		kafka_records_missing(&m->records, (uint32_t)n);
		m->in_records = m->records.left > 0;
	} else {
		bool all = m->rest || (kafka_walk_over(&m->walk, layout_of(m, side)) && (!m->in_records || kafka_records_last(&m->records)));
		m->in_records = false;
		m->rest = true;
		m->unsure |= !all;
		m->records.uncounted |= !all;
	}
	event_of(m, side, ret_message);
	if (m->left == 0)
		end(mem, m, side, ret_message);
	return true;
}

static void kafka_lost(void *state, enum proto_side side)
{
	struct kafka_memory *mem = ((struct kafka_state *)state)->memory;

	if (mem)
		mem->way[side].open = false;
}

static size_t kafka_resync(void *state, enum proto_side side, struct slice in)
{
	const struct kafka_memory *mem = ((struct kafka_state *)state)->memory;

	return mem ? kafka_find(mem, side, in) : in.len;
}

static void *kafka_open(struct proto_memory *budget)
{
	struct kafka_memory *m = proto_memory_get_zeroed(budget, sizeof(*m));

	if (!m)
		return NULL;
	m->budget = budget;
	m->topics = kafka_topics_get(budget);
	if (m->topics)
		return m;
	proto_memory_put(budget, m);
	return NULL;
}

static void kafka_close(void *external)
{
	struct kafka_memory *m = external;

	kafka_topics_put(m->topics);
	proto_memory_put(m->budget, m);
}

const struct proto_ops proto_kafka = {
	.name = "kafka",
	.id = PLUMB_PROTO_KAFKA,
	.state_size = sizeof(struct kafka_state),
	.detect = kafka_detect,
	.parse = kafka_parse,
	.resync = kafka_resync,
	.lost = kafka_lost,
	.missing = kafka_missing,
	.resync_keep = KAFKA_RESYNC_KEEP,
	.open = kafka_open,
	.close = kafka_close,
	/* Heads of requests and the first batches of a fetch. */
	.want = { 4096, 16384 },
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/pulsar_wire.h"

enum { VARINT = 0, FIXED64 = 1, COUNTED = 2, FIXED32 = 5, VARINT_MAX = 10 };

#define ASKS(...) { .by = PULSAR_BY_CLIENT, .role = PULSAR_ASKS, __VA_ARGS__ }
#define ANSWERS(...) { .by = PULSAR_BY_SERVER, .role = PULSAR_ANSWERS, __VA_ARGS__ }
#define TELLS(who) { .by = (who), .role = PULSAR_TELLS }
#define SPECIAL(who, ...) { .by = (who), .role = PULSAR_SPECIAL, __VA_ARGS__ }

const struct pulsar_command pulsar_commands[PULSAR_TYPES] = {
	[PULSAR_CONNECT] = SPECIAL(PULSAR_BY_CLIENT, .operation = "connect"),
	[PULSAR_CONNECTED] = SPECIAL(PULSAR_BY_SERVER),
	[PULSAR_SUBSCRIBE] = ASKS(.request = 5, .topic = 1, .consumer = 4, .operation = "subscribe"),
	[PULSAR_PRODUCER] = ASKS(.request = 3, .topic = 1, .producer = 2, .operation = "producer"),
	[PULSAR_SEND] = SPECIAL(PULSAR_BY_CLIENT, .producer = 1, .operation = "send"),
	[PULSAR_SEND_RECEIPT] = SPECIAL(PULSAR_BY_SERVER, .producer = 1),
	[PULSAR_SEND_ERROR] = SPECIAL(PULSAR_BY_SERVER, .producer = 1, .error = 3, .message = 4),
	[PULSAR_MESSAGE] = SPECIAL(PULSAR_BY_SERVER, .consumer = 1, .operation = "deliver"),
	[PULSAR_ACK] = SPECIAL(PULSAR_BY_CLIENT, .consumer = 1, .operation = "ack"),
	[PULSAR_FLOW] = TELLS(PULSAR_BY_CLIENT),
	[PULSAR_UNSUBSCRIBE] = ASKS(.request = 2, .consumer = 1, .operation = "unsubscribe"),
	[PULSAR_SUCCESS] = ANSWERS(.request = 1),
	[PULSAR_ERROR] = ANSWERS(.request = 1, .error = 2, .message = 3),
	[PULSAR_CLOSE_PRODUCER] = { .by = PULSAR_BY_BOTH, .role = PULSAR_ASKS, .request = 2, .producer = 1, .operation = "close_producer" },
	[PULSAR_CLOSE_CONSUMER] = { .by = PULSAR_BY_BOTH, .role = PULSAR_ASKS, .request = 2, .consumer = 1, .operation = "close_consumer" },
	[PULSAR_PRODUCER_SUCCESS] = ANSWERS(.request = 1),
	[PULSAR_PING] = TELLS(PULSAR_BY_BOTH),
	[PULSAR_PONG] = TELLS(PULSAR_BY_BOTH),
	[PULSAR_REDELIVER] = SPECIAL(PULSAR_BY_CLIENT, .consumer = 1),
	[PULSAR_PARTITIONED_METADATA] = ASKS(.request = 2, .topic = 1, .operation = "partitioned_metadata"),
	[PULSAR_PARTITIONED_METADATA_RESPONSE] = ANSWERS(.request = 2, .error = 4, .message = 5),
	[PULSAR_LOOKUP] = ASKS(.request = 2, .topic = 1, .operation = "lookup"),
	[PULSAR_LOOKUP_RESPONSE] = ANSWERS(.request = 4, .error = 6, .message = 7),
	[25] = ASKS(.request = 1, .consumer = 4, .operation = "consumer_stats"),
	[26] = ANSWERS(.request = 1, .error = 2, .message = 3),
	[27] = TELLS(PULSAR_BY_SERVER), /* REACHED_END_OF_TOPIC */
	[28] = ASKS(.request = 2, .consumer = 1, .operation = "seek"),
	[29] = ASKS(.request = 2, .consumer = 1, .operation = "get_last_message_id"),
	[30] = ANSWERS(.request = 2),
	[31] = TELLS(PULSAR_BY_SERVER), /* ACTIVE_CONSUMER_CHANGE */
	[32] = ASKS(.request = 1, .operation = "get_topics_of_namespace"),
	[33] = ANSWERS(.request = 1),
	[34] = ASKS(.request = 1, .topic = 2, .operation = "get_schema"),
	[35] = ANSWERS(.request = 1, .error = 2, .message = 3),
	[36] = TELLS(PULSAR_BY_SERVER), /* AUTH_CHALLENGE */
	[37] = TELLS(PULSAR_BY_CLIENT), /* AUTH_RESPONSE */
	[38] = ANSWERS(.request = 6, .error = 4, .message = 5), /* of an ACK */
	[39] = ASKS(.request = 1, .topic = 2, .operation = "get_or_create_schema"),
	[40] = ANSWERS(.request = 1, .error = 2, .message = 3),
	[50] = ASKS(.request = 1, .operation = "new_txn"),
	[51] = ANSWERS(.request = 1, .error = 4, .message = 5),
	[52] = ASKS(.request = 1, .operation = "add_partition_to_txn"),
	[53] = ANSWERS(.request = 1, .error = 4, .message = 5),
	[54] = ASKS(.request = 1, .operation = "add_subscription_to_txn"),
	[55] = ANSWERS(.request = 1, .error = 4, .message = 5),
	[56] = ASKS(.request = 1, .operation = "end_txn"),
	[57] = ANSWERS(.request = 1, .error = 4, .message = 5),
	[58] = ASKS(.request = 1, .topic = 4, .operation = "end_txn_on_partition"),
	[59] = ANSWERS(.request = 1, .error = 4, .message = 5),
	[60] = ASKS(.request = 1, .operation = "end_txn_on_subscription"),
	[61] = ANSWERS(.request = 1, .error = 4, .message = 5),
	[62] = ASKS(.request = 1, .operation = "tc_client_connect"),
	[63] = ANSWERS(.request = 1, .error = 2, .message = 3),
	[64] = ASKS(.request = 1, .operation = "watch_topic_list"),
	[65] = ANSWERS(.request = 1),
	[66] = TELLS(PULSAR_BY_SERVER), /* WATCH_TOPIC_UPDATE */
	[67] = ASKS(.request = 1, .operation = "watch_topic_list_close"),
	[68] = TELLS(PULSAR_BY_SERVER), /* TOPIC_MIGRATED */
};

static const char *const errors[] = {
	"UnknownError", "MetadataError", "PersistenceError", "AuthenticationError", "AuthorizationError", "ConsumerBusy", "ServiceNotReady", "ProducerBlockedQuotaExceededError",
	"ProducerBlockedQuotaExceededException", "ChecksumError", "UnsupportedVersionError", "TopicNotFound", "SubscriptionNotFound", "ConsumerNotFound", "TooManyRequests",
	"TopicTerminatedError", "ProducerBusy", "InvalidTopicName", "IncompatibleSchema", "ConsumerAssignError", "TransactionCoordinatorNotFound", "InvalidTxnStatus", "NotAllowedError",
	"TransactionConflict", "TransactionNotFound", "ProducerFenced",
};

const char *pulsar_error_name(uint64_t code) { return code < sizeof(errors) / sizeof(errors[0]) ? errors[code] : NULL; }

/* ---- protobuf ---- */

int pulsar_varint(struct slice in, uint64_t *ret)
{
	uint64_t value = 0;

	for (size_t i = 0; i < in.len && i < VARINT_MAX; i++) {
		if (i == VARINT_MAX - 1 && in.ptr[i] > 1)
			return -1;
		value |= (uint64_t)(in.ptr[i] & 0x7f) << (7 * i);
		if (in.ptr[i] & 0x80)
			continue;
		*ret = value;
		return (int)i + 1;
	}
	return in.len < VARINT_MAX ? 0 : -1;
}

/* A varint of a message that has `left` more bytes. */
static enum pulsar_scan number_read(struct slice in, uint64_t left, uint64_t *ret, size_t *ret_len)
{
	int n = pulsar_varint(slice_head(in, left < VARINT_MAX ? (size_t)left : VARINT_MAX), ret);

	if (n < 0 || (n == 0 && in.len >= left))
		return PULSAR_BAD;
	*ret_len = (size_t)n;
	return n ? PULSAR_OK : PULSAR_MORE;
}

enum pulsar_scan pulsar_field_read(struct slice in, uint64_t left, struct pulsar_field *ret)
{
	uint64_t tag = 0;
	size_t n = 0, m = 0;
	enum pulsar_scan scan = number_read(in, left, &tag, &n);

	if (scan != PULSAR_OK)
		return scan;
	*ret = (struct pulsar_field){ .number = (uint32_t)(tag >> 3) };
	if (tag >> 3 == 0 || tag >> 3 >= 1 << 29)
		return PULSAR_BAD;
	if ((tag & 7) == FIXED64 || (tag & 7) == FIXED32) {
		ret->head = ret->len = n + ((tag & 7) == FIXED64 ? 8 : 4);
		return ret->len > left ? PULSAR_BAD : in.len < ret->len ? PULSAR_MORE : PULSAR_OK;
	}
	if ((tag & 7) != VARINT && (tag & 7) != COUNTED)
		return PULSAR_BAD;
	scan = number_read(slice_from(in, n), left - n, &ret->value, &m);
	if (scan != PULSAR_OK)
		return scan;
	ret->is_number = (tag & 7) == VARINT;
	ret->counted = !ret->is_number;
	ret->head = ret->len = n + m;
	if (ret->counted && ret->value > left - ret->head)
		return PULSAR_BAD;
	ret->len += ret->counted ? (size_t)ret->value : 0;
	return PULSAR_OK;
}

bool pulsar_fields_read(struct slice in, uint64_t size, struct pulsar_fields *ret)
{
	struct pulsar_field f;

	*ret = (struct pulsar_fields){ 0 };
	in = slice_head(in, (size_t)size);
	while (in.len) {
		enum pulsar_scan scan = pulsar_field_read(in, size, &f);
		if (scan != PULSAR_OK)
			return scan == PULSAR_MORE;
		if (f.number < PULSAR_FIELDS && f.is_number) {
			ret->numbers |= 1u << f.number;
			ret->number[f.number] = f.value;
		} else if (f.number < PULSAR_FIELDS && f.counted && f.len <= in.len) {
			ret->texts |= 1u << f.number;
			ret->text[f.number] = slice_make(in.ptr + f.head, (size_t)f.value);
		}
		in = slice_from(in, f.len);
		size -= f.len;
	}
	return true;
}

bool pulsar_id_read(struct slice in, struct pulsar_id *ret)
{
	enum { LEDGER = 1, ENTRY, PARTITION, INDEX, ACK_SET };
	struct pulsar_field f;
	unsigned seen = 0;

	*ret = (struct pulsar_id){ .partition = -1 };
	for (; in.len; in = slice_from(in, f.len)) {
		if (pulsar_field_read(in, in.len, &f) != PULSAR_OK)
			return false;
		if (f.number < 8)
			seen |= 1u << f.number;
		switch (f.number) {
		case LEDGER: ret->ledger = f.value; break;
		case ENTRY: ret->entry = f.value; break;
		case PARTITION: ret->partition = (int32_t)(uint32_t)f.value; break;
		case INDEX: ret->indexed = (int32_t)(uint32_t)f.value >= 0; break;
		case ACK_SET: ret->partly |= f.value != 0; break; /* those that are not acknowledged; packed or not */
		default: break;
		}
	}
	return (seen & (1u << LEDGER | 1u << ENTRY)) == (1u << LEDGER | 1u << ENTRY);
}

/* ---- frames ---- */

static enum pulsar_scan more(size_t need, size_t *ret_need)
{
	*ret_need = need;
	return PULSAR_MORE;
}

/*
 * Both sizes, and BaseCommand as every library writes it: its type, then the command of that type, whose field has the type's number.
 */
enum pulsar_scan pulsar_head_read(struct slice in, enum proto_side side, struct pulsar_head *ret, size_t *ret_need)
{
	size_t at = PULSAR_HEAD_BYTES;
	uint64_t tag = 0, size = 0;
	int n;

	if (in.len && in.ptr[0] > PULSAR_FRAME_MAX >> 24)
		return PULSAR_BAD;
	if (in.len < PULSAR_HEAD_BYTES)
		return more(PULSAR_HEAD_BYTES, ret_need);
	uint32_t total = load_be32(in.ptr), command = load_be32(in.ptr + 4);
	if (total > PULSAR_FRAME_MAX || command < PULSAR_COMMAND_MIN || total < 4 || command > total - 4)
		return PULSAR_BAD;
	if (in.len > at && in.ptr[at] != (1 << 3 | VARINT))
		return PULSAR_BAD;
	if (in.len < at + 2)
		return more(at + 2, ret_need);
	uint8_t type = in.ptr[at + 1];
	if (type < PULSAR_CONNECT || type > 0x7f)
		return PULSAR_BAD;
	const struct pulsar_command *c = type < PULSAR_TYPES ? &pulsar_commands[type] : &pulsar_commands[0];
	if (c->by && !(c->by & (side == PROTO_TO_SERVER ? PULSAR_BY_CLIENT : PULSAR_BY_SERVER)))
		return PULSAR_BAD;
	bool carries = type == PULSAR_SEND || type == PULSAR_MESSAGE;
	if (c->by && !carries && total != command + 4)
		return PULSAR_BAD;
	if (carries && command > PULSAR_COMMAND_MAX - PULSAR_HEAD_BYTES)
		return PULSAR_BAD;
	at += 2;
	n = pulsar_varint(slice_from(in, at), &tag);
	if (n < 0 || (n && tag != ((uint64_t)type << 3 | COUNTED)))
		return PULSAR_BAD;
	if (n == 0)
		return more(in.len + 1, ret_need);
	at += (size_t)n;
	n = pulsar_varint(slice_from(in, at), &size);
	if (n < 0)
		return PULSAR_BAD;
	if (n == 0)
		return more(in.len + 1, ret_need);
	at += (size_t)n;
	if (at > command + (size_t)PULSAR_HEAD_BYTES || size > command + (size_t)PULSAR_HEAD_BYTES - at)
		return PULSAR_BAD;
	*ret = (struct pulsar_head){ .frame = (uint64_t)total + 4, .command_end = (size_t)command + PULSAR_HEAD_BYTES, .at = at, .size = (size_t)size, .type = type };
	return PULSAR_OK;
}

/* ---- what a message carries ---- */

static void property_read(struct slice in, struct slice *traceparent, struct slice *tracestate)
{
	struct pulsar_fields f;

	if (!pulsar_fields_read(in, in.len, &f))
		return;
	if (slice_ieq(f.text[1], SLICE_LIT("traceparent")))
		*traceparent = f.text[2];
	else if (slice_ieq(f.text[1], SLICE_LIT("tracestate")))
		*tracestate = f.text[2];
}

static bool metadata_read(struct slice in, uint64_t size, struct pulsar_payload *p)
{
	enum { PROPERTIES = 4, COMPRESSION = 8, BATCH = 11, ENCRYPTION_KEYS = 13 };
	struct pulsar_field f;

	while (in.len) {
		enum pulsar_scan scan = pulsar_field_read(in, size, &f);
		if (scan != PULSAR_OK)
			return scan == PULSAR_MORE;
		if (f.number == PROPERTIES && f.counted && f.len <= in.len)
			property_read(slice_make(in.ptr + f.head, (size_t)f.value), &p->traceparent, &p->tracestate);
		else if (f.number == COMPRESSION && f.is_number)
			p->opaque |= f.value != 0;
		else if (f.number == ENCRYPTION_KEYS)
			p->opaque = true;
		else if (f.number == BATCH && f.is_number)
			p->messages = f.value < UINT32_MAX ? (uint32_t)f.value : 0;
		in = slice_from(in, f.len);
		size -= f.len;
	}
	return true;
}

/* A batch: each message has its own metadata and size in front. */
static void batch_read(struct slice in, struct pulsar_payload *p)
{
	enum { PROPERTIES = 1, PAYLOAD = 3 };
	struct pulsar_field f;

	while (in.len >= 4 && p->nlinks < PULSAR_LINKS) {
		uint32_t size = load_be32(in.ptr);
		uint64_t payload = 0, left = size;
		struct slice state = SLICE_NONE, parent = SLICE_NONE, at = slice_head(slice_from(in, 4), size);
		for (; at.len; at = slice_from(at, f.len), left -= f.len) {
			if (pulsar_field_read(at, left, &f) != PULSAR_OK)
				return;
			if (f.number == PROPERTIES && f.counted && f.len <= at.len)
				property_read(slice_make(at.ptr + f.head, (size_t)f.value), &parent, &state);
			else if (f.number == PAYLOAD)
				payload = f.value & INT32_MAX;
		}
		if (parent.len)
			p->link[p->nlinks++] = parent;
		in = slice_from(slice_from(slice_from(in, 4), size), (size_t)payload);
	}
}

/* False: *ret_scan says what is to be done. */
static bool at_hand(struct slice in, uint64_t size, size_t at, uint64_t n, enum pulsar_scan *ret_scan, size_t *ret_need)
{
	size_t window = size < PULSAR_WINDOW ? (size_t)size : PULSAR_WINDOW;

	if (n > size - at) {
		*ret_scan = PULSAR_BAD;
		return false;
	}
	size_t end = n > window - at ? window : at + (size_t)n;
	if (in.len >= end) {
		*ret_scan = PULSAR_OK;
		*ret_need = end;
		return end == at + n;
	}
	*ret_scan = more(end, ret_need);
	return false;
}

enum pulsar_scan pulsar_payload_read(struct slice in, uint64_t size, struct pulsar_payload *ret, size_t *ret_need)
{
	enum { BEFORE = 6, CHECKSUM_BYTES = 6, SIZE_BYTES = 4 };
	enum pulsar_scan scan;
	size_t at = 0;

	*ret = (struct pulsar_payload){ .body = size };
	*ret_need = 0;
	if (size == 0)
		return PULSAR_OK;
	if (!at_hand(in, size, 0, 2, &scan, ret_need))
		return scan;
	if (load_be16(in.ptr) == PULSAR_ENTRY) {
		if (!at_hand(in, size, 0, BEFORE, &scan, ret_need))
			return scan;
		uint32_t entry = load_be32(in.ptr + 2);
		if (entry > PULSAR_WINDOW / 2)
			return PULSAR_BAD;
		at = BEFORE + entry;
		if (!at_hand(in, size, 0, at + 2, &scan, ret_need))
			return scan;
	}
	if (load_be16(in.ptr + at) == PULSAR_CHECKSUM)
		at += CHECKSUM_BYTES;
	if (at > size || !at_hand(in, size, at, SIZE_BYTES, &scan, ret_need))
		return at > size ? PULSAR_BAD : scan;
	uint32_t metadata = load_be32(in.ptr + at);
	at += SIZE_BYTES;
	bool whole = at_hand(in, size, at, metadata, &scan, ret_need);
	if (scan != PULSAR_OK)
		return scan;
	struct slice seen = slice_head(in, size < PULSAR_WINDOW ? (size_t)size : PULSAR_WINDOW);
	if (!metadata_read(slice_head(slice_from(seen, at), metadata), metadata, ret))
		return PULSAR_BAD;
	ret->known = true;
	ret->body = size - at - metadata;
	if (!whole || !ret->messages || ret->opaque)
		return PULSAR_OK;
	at += metadata;
	(void)at_hand(in, size, at, size - at, &scan, ret_need);
	if (scan == PULSAR_OK)
		batch_read(slice_from(seen, at), ret);
	return scan;
}

/* ---- where a frame begins ---- */

static int frame_fits(struct slice in, enum proto_side side)
{
	struct pulsar_head h;
	struct pulsar_fields f;
	struct pulsar_payload p;
	size_t need = 0;

	enum pulsar_scan scan = pulsar_head_read(in, side, &h, &need);
	if (scan != PULSAR_OK)
		return scan == PULSAR_MORE ? DETECT_MORE : DETECT_NO;
	if (h.type >= PULSAR_TYPES || !pulsar_commands[h.type].by || h.at + h.size != h.command_end)
		return DETECT_NO;
	if (!pulsar_fields_read(slice_from(slice_head(in, PULSAR_COMMAND_MAX), h.at), h.size, &f))
		return DETECT_NO;
	if (in.len < h.command_end)
		return in.len < PULSAR_KEEP ? DETECT_MORE : DETECT_CERTAIN;
	if (h.type != PULSAR_SEND && h.type != PULSAR_MESSAGE)
		return DETECT_CERTAIN;
	scan = pulsar_payload_read(slice_from(in, h.command_end), h.frame - h.command_end, &p, &need);
	return scan == PULSAR_BAD ? DETECT_NO : in.len < PULSAR_KEEP && in.len < h.frame ? DETECT_MORE : DETECT_CERTAIN;
}

int pulsar_detect(struct slice in, enum proto_side side) { return in.len ? frame_fits(in, side) : DETECT_MORE; }

bool pulsar_begins(struct slice in, enum proto_side side) { return frame_fits(slice_head(in, PULSAR_LOOK), side) == DETECT_CERTAIN; }

/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/kafka_records.h"

#include "proto/kafka_walk.h"

enum {
	MAGIC_AT = 16, MAGIC_BYTES = 18, /* up to the attributes of the old formats */
	BATCH_BYTES = 61, LENGTH_BYTES = 12, /* offset and length, which does not count them */
	COMPRESSION = 7, CONTROL = 32, /* attributes; control batches hold marks of transactions, and no messages */
	RECORD_HEAD = 27, /* of length, attributes, time, offset and the length of the key, at most */
	VARINT_MAX = 5,
	HEADERS_MAX = 64,
	/* A header that is a trace context fits: lengths of key and value, key, value. */
	HEADER_HEAD = 2 * VARINT_MAX + 11 + KAFKA_LINK_LEN,
};

void kafka_records_clear(struct kafka_records *r)
{
	r->left = 0;
	r->nlinks = r->read = 0;
	r->uncounted = r->offset_known = false;
	r->count = 0;
}

void kafka_records_begin(struct kafka_records *r, uint32_t bytes)
{
	r->left = bytes;
	r->phase = KAFKA_BATCH;
}

static int64_t zigzag(uint64_t v) { return (int64_t)(v >> 1) ^ -(int64_t)(v & 1); }

static int64_t load_i64(const uint8_t *p) { return (int64_t)((uint64_t)load_be32(p) << 32 | load_be32(p + 4)); }

/* `used` bytes are done and so are `skip` more. */
static bool took(struct kafka_records *r, size_t used, uint32_t skip, size_t *ret_consumed, uint32_t *ret_skip)
{
	r->left -= (uint32_t)used + skip;
	*ret_consumed = used;
	*ret_skip = skip;
	return true;
}

static bool rest_of_all(struct kafka_records *r, size_t *ret_consumed, uint32_t *ret_skip)
{
	return took(r, 0, r->left, ret_consumed, ret_skip);
}

static bool rest_of_batch(struct kafka_records *r, size_t *ret_consumed, uint32_t *ret_skip)
{
	r->phase = KAFKA_BATCH;
	return took(r, 0, r->batch, ret_consumed, ret_skip);
}

static void see_offset(struct kafka_records *r, int64_t offset)
{
	if (!r->offset_known)
		r->offset = offset;
	r->offset_known = true;
}

static bool old_message(struct kafka_records *r, struct slice in, uint64_t total, size_t *ret_consumed, uint32_t *ret_skip)
{
	see_offset(r, load_i64(in.ptr));
	if (in.ptr[MAGIC_BYTES - 1] & COMPRESSION)
		r->uncounted = true;
	else
		r->count++;
	return took(r, MAGIC_BYTES, (uint32_t)(total - MAGIC_BYTES), ret_consumed, ret_skip);
}

/* A batch that is cut at the end of a fetch counts for nothing: its consumer asks for it again. */
static bool batch(struct kafka_records *r, struct slice in, size_t *ret_consumed, uint32_t *ret_skip, size_t *ret_need)
{
	if (r->left < MAGIC_BYTES)
		return rest_of_all(r, ret_consumed, ret_skip);
	*ret_need = MAGIC_BYTES;
	if (in.len < MAGIC_BYTES)
		return false;
	uint64_t total = (uint64_t)load_be32(in.ptr + 8) + LENGTH_BYTES;
	if (total > r->left)
		return rest_of_all(r, ret_consumed, ret_skip);
	if (in.ptr[MAGIC_AT] < 2 && total >= MAGIC_BYTES)
		return old_message(r, in, total, ret_consumed, ret_skip);
	if (in.ptr[MAGIC_AT] != 2 || total < BATCH_BYTES) {
		r->uncounted = true;
		return rest_of_all(r, ret_consumed, ret_skip);
	}
	*ret_need = BATCH_BYTES;
	if (in.len < BATCH_BYTES)
		return false;
	uint16_t attributes = load_be16(in.ptr + 21);
	int32_t count = (int32_t)load_be32(in.ptr + 57);
	r->batch = (uint32_t)total - BATCH_BYTES;
	if (!(attributes & CONTROL) && count > 0) {
		see_offset(r, load_i64(in.ptr));
		r->count += (uint32_t)count;
	}
	bool read = !(attributes & (CONTROL | COMPRESSION)) && count > 0 && r->read < KAFKA_RECORDS_READ && r->nlinks < KAFKA_LINKS;
	r->records = read ? (uint32_t)count : 0;
	r->phase = read ? KAFKA_RECORD : KAFKA_BATCH;
	return took(r, BATCH_BYTES, read ? 0 : r->batch, ret_consumed, ret_skip);
}

/* The same inside a record. */
static bool took_of_record(struct kafka_records *r, size_t used, uint32_t skip, size_t *ret_consumed, uint32_t *ret_skip)
{
	r->record -= (uint32_t)used + skip;
	r->batch -= (uint32_t)used + skip;
	return took(r, used, skip, ret_consumed, ret_skip);
}

static bool record_end(struct kafka_records *r, size_t *ret_consumed, uint32_t *ret_skip)
{
	uint32_t rest = r->record;

	if (r->records <= 1 || r->read >= KAFKA_RECORDS_READ || r->nlinks == KAFKA_LINKS)
		return rest_of_batch(r, ret_consumed, ret_skip);
	r->records--;
	r->phase = KAFKA_RECORD;
	return took_of_record(r, 0, rest, ret_consumed, ret_skip);
}

/* A number at in[*at]; false if it is not there, or too large for a length. *at moves behind it. */
static bool number(struct slice in, size_t *at, int64_t *ret_value)
{
	uint64_t value;
	int used = kafka_varint(slice_from(in, *at), &value);

	if (used <= 0)
		return false;
	*at += (size_t)used;
	*ret_value = zigzag(value);
	return true;
}

/* `most` bytes are wanted, or those up to the end of what is `left`. */
static bool wants(struct slice in, uint32_t most, uint32_t left, size_t *ret_need)
{
	*ret_need = most < left ? most : left;
	return in.len < *ret_need;
}

static bool record(struct kafka_records *r, struct slice in, size_t *ret_consumed, uint32_t *ret_skip, size_t *ret_need)
{
	int64_t length, time, offset, key;
	size_t at = 0, body;

	if (wants(in, RECORD_HEAD, r->batch, ret_need))
		return false;
	in = slice_head(in, r->batch);
	if (!number(in, &at, &length) || length < 0 || (uint64_t)length > r->batch - at)
		return rest_of_batch(r, ret_consumed, ret_skip);
	body = at;
	at++;
	if (!number(in, &at, &time) || !number(in, &at, &offset) || !number(in, &at, &key) || at - body > (uint64_t)length)
		return rest_of_batch(r, ret_consumed, ret_skip);
	if (key < 0)
		key = 0;
	if ((uint64_t)key > (uint64_t)length - (at - body))
		return rest_of_batch(r, ret_consumed, ret_skip);
	r->read++;
	r->record = (uint32_t)(body + (uint64_t)length);
	r->phase = KAFKA_VALUE;
	return took_of_record(r, at, (uint32_t)key, ret_consumed, ret_skip);
}

/* What has a length in front; negative counts as nothing. */
static bool sized(struct kafka_records *r, struct slice in, uint8_t then, size_t *ret_consumed, uint32_t *ret_skip, size_t *ret_need)
{
	int64_t len;
	size_t at = 0;

	if (wants(in, VARINT_MAX, r->record, ret_need))
		return false;
	if (!number(slice_head(in, r->record), &at, &len) || len > (int64_t)(r->record - at))
		return rest_of_batch(r, ret_consumed, ret_skip);
	r->phase = then;
	return took_of_record(r, at, len > 0 ? (uint32_t)len : 0, ret_consumed, ret_skip);
}

static bool headers(struct kafka_records *r, struct slice in, size_t *ret_consumed, uint32_t *ret_skip, size_t *ret_need)
{
	int64_t count;
	size_t at = 0;

	if (wants(in, VARINT_MAX, r->record, ret_need))
		return false;
	if (!number(slice_head(in, r->record), &at, &count))
		return rest_of_batch(r, ret_consumed, ret_skip);
	r->headers = count < 0 ? 0 : count < HEADERS_MAX ? (uint32_t)count : HEADERS_MAX;
	r->phase = KAFKA_HEADER;
	return took_of_record(r, at, 0, ret_consumed, ret_skip);
}

static bool header(struct kafka_records *r, struct slice in, size_t *ret_consumed, uint32_t *ret_skip, size_t *ret_need)
{
	int64_t key, value;
	size_t at = 0;

	if (r->headers == 0)
		return record_end(r, ret_consumed, ret_skip);
	if (wants(in, HEADER_HEAD, r->record, ret_need))
		return false;
	in = slice_head(in, r->record);
	if (!number(in, &at, &key) || key < 0 || (uint64_t)key > r->record - at)
		return rest_of_batch(r, ret_consumed, ret_skip);
	r->headers--;
	struct slice name = slice_head(slice_from(in, at), (size_t)key);
	size_t behind = at + (size_t)key;
	if (slice_ieq(name, SLICE_LIT("traceparent")) && number(in, &behind, &value) && value == KAFKA_LINK_LEN && in.len - behind >= KAFKA_LINK_LEN) {
		memcpy(r->links[r->nlinks++], in.ptr + behind, KAFKA_LINK_LEN);
		r->headers = 0; /* one a record */
		return took_of_record(r, behind, KAFKA_LINK_LEN, ret_consumed, ret_skip);
	}
	r->phase = KAFKA_HEADER_VALUE;
	return took_of_record(r, at, (uint32_t)key, ret_consumed, ret_skip);
}

bool kafka_records_step(struct kafka_records *r, struct slice in, size_t *ret_consumed, uint32_t *ret_skip, size_t *ret_need)
{
	in = slice_head(in, r->left);
	switch ((enum kafka_records_phase)r->phase) {
	case KAFKA_BATCH: return batch(r, in, ret_consumed, ret_skip, ret_need);
	case KAFKA_RECORD: return record(r, in, ret_consumed, ret_skip, ret_need);
	case KAFKA_VALUE: return sized(r, in, KAFKA_HEADERS, ret_consumed, ret_skip, ret_need);
	case KAFKA_HEADERS: return headers(r, in, ret_consumed, ret_skip, ret_need);
	case KAFKA_HEADER: return header(r, in, ret_consumed, ret_skip, ret_need);
	case KAFKA_HEADER_VALUE: return sized(r, in, KAFKA_HEADER, ret_consumed, ret_skip, ret_need);
	}
	return rest_of_all(r, ret_consumed, ret_skip);
}

bool kafka_records_last(const struct kafka_records *r) { return r->phase != KAFKA_BATCH && r->batch == r->left; }

void kafka_records_missing(struct kafka_records *r, uint32_t n)
{
	/* Inside a batch that is counted already only the place in it is lost. */
	if (r->phase != KAFKA_BATCH && n <= r->batch) {
		r->batch -= n;
		r->left -= n;
		r->record = 0;
		r->records = r->headers = 0;
		r->phase = KAFKA_HEADER; /* whose end is the batch's */
		return;
	}
	r->uncounted = true;
	r->left -= n;
	r->batch = r->left; /* no length in it is known any more */
	r->record = 0;
	r->records = r->headers = 0;
	r->phase = KAFKA_HEADER;
}

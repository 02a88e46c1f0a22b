/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/kafka_state.h"

enum {
	CLIENT_ID_MAX = 255,         /* of what counts as likely */
	REPLY_SIZE_MAX = 64 << 20,
	UNCLEAR_BYTES = 64,          /* of one that goes on and says little of itself; fewer are the heads of many things */
	CORRELATION_MAX = 1 << 24,   /* of a response that is seen alone: clients count from 0 or 1 */
	RESYNC_DISTANCE = 4096,
};

bool kafka_request_read(struct slice in, struct kafka_request *ret)
{
	ret->size = load_be32(in.ptr);
	ret->key = (int16_t)load_be16(in.ptr + 4);
	ret->version = (int16_t)load_be16(in.ptr + 6);
	ret->correlation = load_be32(in.ptr + 8);
	ret->client_len = (int16_t)load_be16(in.ptr + 12);
	ret->api = kafka_api_get(ret->key);
	return ret->api && ret->version >= 0 && ret->version <= ret->api->max_version + KAFKA_VERSIONS_AHEAD && ret->size <= KAFKA_FRAME_MAX &&
	       ret->size >= KAFKA_HEAD - KAFKA_SIZE_BYTES && ret->client_len >= -1 && ret->client_len <= (int64_t)ret->size - (KAFKA_HEAD - KAFKA_SIZE_BYTES);
}

/* What is there of a request's header, up to KAFKA_HEAD bytes, with bytes behind it that contradict nothing. */
static bool head_may_be(struct slice in)
{
	uint8_t head[KAFKA_HEAD] = { 0 };
	struct kafka_request r;

	if (in.len)
		memcpy(head, in.ptr, in.len);
	if (in.len == KAFKA_HEAD - 1 && head[KAFKA_HEAD - 2] == 0xff) /* of no client id */
		head[KAFKA_HEAD - 1] = 0xff;
	if (in.len < KAFKA_SIZE_BYTES) /* at least it is not too large, or negative */
		return in.len == 0 || head[0] <= KAFKA_FRAME_MAX >> 24;
	return kafka_request_read(slice_make(head, KAFKA_HEAD), &r);
}

/* What is not checked by the walk, but has few values. */
static bool field_fits(const struct kafka_request *r, const struct kafka_field *f)
{
	if (f->role == 'T' || f->role == 'G')
		return slice_printable(f->text);
	if (f->role == 'A')
		return f->number >= -1 && f->number <= 1;
	return r->api && (f->role != 'P' || f->number >= 0 || f->text.len > 4);
}

/* The body behind the client id, as far as it is there, fits the layout. */
static bool body_fits(const struct kafka_request *r, struct slice in, uint32_t left, bool *ret_whole)
{
	struct kafka_walk w;
	struct kafka_field f;

	*ret_whole = false;
	if (r->version > r->api->max_version)
		return true;
	kafka_walk_start(&w, (uint8_t)r->version, r->version >= r->api->flexible, r->version >= r->api->flexible);
	for (;;) {
		switch (kafka_walk_step(&w, r->api->request, slice_head(in, left), left, &f)) {
		case KAFKA_BAD: return false;
		case KAFKA_MORE: return true;
		case KAFKA_END: *ret_whole = r->api->request[0] != '\0' && left == 0; return true;
		case KAFKA_FIELD: break;
		}
		uint64_t step = f.consumed + f.skip + (f.role == 'R' ? (uint64_t)f.number : 0);
		if (step > left || !field_fits(r, &f))
			return false;
		left -= (uint32_t)step;
		in = slice_from(in, (size_t)step);
		if (in.len == 0 && left)
			return true;
	}
}

/* Behind this request comes nothing, or what may be another. */
static bool ends_well(const struct kafka_request *r, struct slice in)
{
	size_t frame = (size_t)r->size + KAFKA_SIZE_BYTES;

	return in.len <= frame || head_may_be(slice_head(slice_from(in, frame), KAFKA_HEAD));
}

static int detect_request(struct slice in)
{
	struct kafka_request r;
	bool whole;

	if (in.len < KAFKA_HEAD)
		return head_may_be(in) ? DETECT_MORE : DETECT_NO;
	if (!kafka_request_read(in, &r) || r.client_len > CLIENT_ID_MAX || r.correlation > INT32_MAX)
		return DETECT_NO;
	size_t client = r.client_len > 0 ? (size_t)r.client_len : 0, behind = KAFKA_HEAD + client;
	if (!slice_printable(slice_head(slice_from(in, KAFKA_HEAD), client)))
		return DETECT_NO;
	if (in.len < behind)
		return DETECT_MORE;
	if (!body_fits(&r, slice_from(in, behind), r.size + KAFKA_SIZE_BYTES - (uint32_t)behind, &whole))
		return DETECT_NO;
	if (!ends_well(&r, in))
		return r.key == KAFKA_SASL_HANDSHAKE && r.version == 0 ? DETECT_WEAK : DETECT_NO;
	if (client >= 3 || whole)
		return DETECT_LIKELY;
	return in.len < UNCLEAR_BYTES ? DETECT_MORE : DETECT_SHARED; /* a size and a few zeros */
}

/* A response says nothing of itself but its size and its request's number. */
static int detect_response(struct slice in)
{
	if (in.len < KAFKA_REPLY_HEAD)
		return in.len == 0 || in.ptr[0] <= REPLY_SIZE_MAX >> 24 ? DETECT_MORE : DETECT_NO;
	uint32_t size = load_be32(in.ptr), correlation = load_be32(in.ptr + KAFKA_SIZE_BYTES);
	if (size < KAFKA_REPLY_HEAD - KAFKA_SIZE_BYTES || size > REPLY_SIZE_MAX)
		return DETECT_NO;
	if (size + KAFKA_SIZE_BYTES == in.len)
		return DETECT_WEAK;
	if (size + KAFKA_SIZE_BYTES < in.len) {
		struct slice then = slice_from(in, size + KAFKA_SIZE_BYTES);
		if (then.len >= KAFKA_REPLY_HEAD && load_be32(then.ptr) > REPLY_SIZE_MAX)
			return DETECT_NO;
	}
	else if (in.len < UNCLEAR_BYTES)
		return DETECT_MORE;
	return correlation <= CORRELATION_MAX ? DETECT_SHARED : DETECT_NO;
}

int kafka_detect(struct slice in, enum proto_side side) { return side == PROTO_TO_SERVER ? detect_request(in) : detect_response(in); }

/* It ends with these bytes, or another one follows in them. */
static bool ends_surely(const struct kafka_request *r, struct slice in)
{
	struct kafka_request then;
	size_t frame = (size_t)r->size + KAFKA_SIZE_BYTES;

	if (in.len == frame)
		return true;
	return in.len >= frame + KAFKA_HEAD && kafka_request_read(slice_make(in.ptr + frame, in.len - frame), &then) && then.correlation - r->correlation - 1 < RESYNC_DISTANCE;
}

/* A client's requests all have the same id. One without, or another client's, is known by its count, or by all of what it asks. */
static bool is_request(const struct kafka_memory *m, struct slice in)
{
	struct kafka_request r;
	bool whole;

	if (!kafka_request_read(in, &r) || r.client_len > KAFKA_TEXT_MAX)
		return false;
	size_t len = r.client_len > 0 ? (size_t)r.client_len : 0, behind = KAFKA_HEAD + len;
	if (in.len < behind) /* the rest of it will come, and this place with it */
		return false;
	struct slice client = slice_make(in.ptr + KAFKA_HEAD, len);
	bool same = m->asked && slice_eq(client, kafka_text_slice(&m->client));
	bool next = r.correlation - m->correlation - 1 < RESYNC_DISTANCE;
	/* Before the costly look: what can only be refused behind it. */
	if (same ? !len && !next : m->asked && (len < 3 || r.correlation > CORRELATION_MAX))
		return false;
	if (!slice_printable(client) || !body_fits(&r, slice_from(in, behind), r.size + KAFKA_SIZE_BYTES - (uint32_t)behind, &whole) || !ends_well(&r, in))
		return false;
	if (same)
		return len || next;
	if (whole)
		return (len >= 3 || !m->asked) && r.correlation <= CORRELATION_MAX && ends_surely(&r, in);
	return !m->asked && len >= 3;
}

static bool is_response(const struct kafka_memory *m, struct slice in)
{
	uint32_t size = load_be32(in.ptr), correlation = load_be32(in.ptr + KAFKA_SIZE_BYTES);

	if (size < KAFKA_REPLY_HEAD - KAFKA_SIZE_BYTES || size > KAFKA_FRAME_MAX)
		return false;
	return kafka_due_has(m, correlation) || (m->due_len == 0 && m->asked && m->correlation - correlation < RESYNC_DISTANCE);
}

size_t kafka_find(const struct kafka_memory *m, enum proto_side side, struct slice in)
{
	size_t head = side == PROTO_TO_SERVER ? KAFKA_HEAD : KAFKA_REPLY_HEAD;

	for (size_t at = 0; at + head <= in.len; at++)
		if (side == PROTO_TO_SERVER ? is_request(m, slice_from(in, at)) : is_response(m, slice_from(in, at)))
			return at;
	return in.len;
}

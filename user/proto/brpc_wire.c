/* SPDX-License-Identifier: Apache-2.0 */
/* bRPC's messages as bytes: brpc_wire.h. */
#include "proto/brpc_wire.h"

/* ---- heads ---- */

static const uint8_t magic[][4] = { [BRPC_STD] = "PRPC", [BRPC_STREAM] = "STRM", [BRPC_HULU] = "HULU", [BRPC_SOFA] = "SOFA" };

enum { FORMATS = sizeof(magic) / sizeof(magic[0]), PAYLOAD_MAX = INT32_MAX };

static bool sofa_lengths(const uint8_t *p, struct brpc_head *h)
{
	h->len = BRPC_SOFA_HEAD;
	h->meta = load_le32(p + 4);
	h->payload = load_le64(p + 8);
	return h->payload <= PAYLOAD_MAX && load_le64(p + 16) == h->meta + h->payload;
}

/* Hulu sends them as its machine has them, which is the other way round. */
static bool lengths(const uint8_t *p, struct brpc_head *h)
{
	uint32_t both = h->format == BRPC_HULU ? load_le32(p + 4) : load_be32(p + 4);

	h->len = BRPC_HEAD;
	h->meta = h->format == BRPC_HULU ? load_le32(p + 8) : load_be32(p + 8);
	h->payload = both - h->meta;
	return both <= PAYLOAD_MAX && h->meta <= both;
}

enum brpc_read brpc_head_read(struct slice in, struct brpc_head *ret, size_t *ret_need)
{
	unsigned format = 0;

	*ret_need = BRPC_HEAD;
	if (!in.len)
		return BRPC_SHORT;
	while (format < FORMATS && memcmp(in.ptr, magic[format], in.len < 4 ? in.len : 4) != 0)
		format++;
	if (format == FORMATS)
		return BRPC_BAD;
	if (format == BRPC_SOFA)
		*ret_need = BRPC_SOFA_HEAD;
	if (in.len < *ret_need)
		return BRPC_SHORT;
	*ret = (struct brpc_head){ .format = (enum brpc_format)format };
	if (!(format == BRPC_SOFA ? sofa_lengths(in.ptr, ret) : lengths(in.ptr, ret)))
		return BRPC_BAD;
	return ret->meta >= BRPC_META_LEAST && ret->meta <= BRPC_META_LARGEST ? BRPC_OK : BRPC_BAD;
}

/* ---- protobuf ---- */

static enum brpc_read varint(struct slice *rest, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 10; i++) {
		if (i == rest->len)
			return BRPC_SHORT;
		uint8_t b = rest->ptr[i];
		v |= (uint64_t)(b & 127) << (7 * i);
		if (b & 128)
			continue;
		*rest = slice_from(*rest, i + 1);
		*ret = v;
		return i == 9 && b > 1 ? BRPC_BAD : BRPC_OK;
	}
	return BRPC_BAD;
}

/* n bytes, which may be more than there are. */
static enum brpc_read take(struct slice *rest, uint64_t n, struct slice *ret)
{
	if (n > rest->len)
		return n > BRPC_META_LARGEST ? BRPC_BAD : BRPC_SHORT;
	*ret = slice_head(*rest, (size_t)n);
	*rest = slice_from(*rest, (size_t)n);
	return BRPC_OK;
}

enum brpc_read brpc_field_next(struct slice *rest, struct brpc_field *ret)
{
	struct slice bytes = SLICE_NONE;
	uint64_t tag, n = 0;
	enum brpc_read r = varint(rest, &tag);

	if (r != BRPC_OK)
		return r;
	if (tag > UINT32_MAX || tag >> 3 == 0)
		return BRPC_BAD;
	*ret = (struct brpc_field){ .number = (uint32_t)tag >> 3, .type = tag & 7 };
	switch (ret->type) {
	case BRPC_VARINT: return varint(rest, &ret->value);
	case BRPC_FIXED64: return take(rest, 8, &bytes);
	case BRPC_FIXED32: return take(rest, 4, &bytes);
	case BRPC_BYTES:
		r = varint(rest, &n);
		return r == BRPC_OK ? take(rest, n, &ret->bytes) : r;
	default: return BRPC_BAD;
	}
}

typedef void field_reader(struct brpc_meta *m, const struct brpc_field *f);

/* Each field of a message. `cut`: it may end anywhere. */
static bool each(struct slice in, bool cut, field_reader *read, struct brpc_meta *m)
{
	struct brpc_field f;

	while (in.len) {
		enum brpc_read r = brpc_field_next(&in, &f);
		if (r != BRPC_OK)
			return r == BRPC_SHORT && cut;
		read(m, &f);
	}
	return true;
}

/* ---- baidu_std ---- */

static void pair_field(struct brpc_meta *m, const struct brpc_field *f)
{
	if (f->type == BRPC_BYTES && f->number == 1)
		m->service = f->bytes; /* the key */
	else if (f->type == BRPC_BYTES && f->number == 2)
		m->method = f->bytes; /* its value */
}

/* What callers add of their own is looked through for a trace context, and for nothing else. */
static void add_pair(struct brpc_meta *m, struct slice bytes)
{
	struct brpc_meta pair = { 0 };

	if (!each(bytes, false, pair_field, &pair))
		return;
	if (slice_ieq(pair.service, SLICE_LIT("traceparent")))
		m->traceparent = pair.method;
	else if (slice_ieq(pair.service, SLICE_LIT("tracestate")))
		m->tracestate = pair.method;
	else if (slice_ieq(pair.service, SLICE_LIT("b3")))
		m->b3 = pair.method;
}

static uint32_t timeout_of(uint64_t v) { return v <= INT32_MAX ? (uint32_t)v : 0; }

static void request_field(struct brpc_meta *m, const struct brpc_field *f)
{
	if (f->type == BRPC_BYTES) {
		switch (f->number) {
		case 1: m->service = f->bytes; break;
		case 2: m->method = f->bytes; break;
		case 7: add_pair(m, f->bytes); break; /* brpc-java's; Apache's request id is no pair */
		default: break;
		}
	} else if (f->type == BRPC_VARINT) {
		switch (f->number) {
		case 3:
			m->logged = true;
			m->log_id = f->value;
			break;
		case 4:
			m->traced = true;
			m->trace_id = f->value;
			break;
		case 8: m->timeout_ms = timeout_of(f->value); break;
		default: break;
		}
	}
}

static void response_field(struct brpc_meta *m, const struct brpc_field *f)
{
	if (f->type == BRPC_VARINT && f->number == 1)
		m->error = (int32_t)f->value;
}

static void settings_field(struct brpc_meta *m, const struct brpc_field *f)
{
	if (f->type == BRPC_VARINT && f->number == 1)
		m->stream = f->value;
}

static void std_bytes(struct brpc_meta *m, const struct brpc_field *f)
{
	switch (f->number) {
	case 1: m->request = each(f->bytes, false, request_field, m); break;
	case 2: m->response = each(f->bytes, false, response_field, m); break;
	case 8: (void)each(f->bytes, false, settings_field, m); break;
	case 9: add_pair(m, f->bytes); break;
	default: break;
	}
}

static void std_field(struct brpc_meta *m, const struct brpc_field *f)
{
	if (f->type == BRPC_BYTES)
		std_bytes(m, f);
	else if (f->type == BRPC_VARINT && f->number == 4)
		m->id = f->value;
}

/* ---- streams ---- */

static void stream_field(struct brpc_meta *m, const struct brpc_field *f)
{
	if (f->type != BRPC_VARINT)
		return;
	switch (f->number) {
	case 1:
		m->stream = f->value;
		m->request = m->response = true; /* there is nothing else that it must have */
		break;
	case 3: m->frame = (uint8_t)(f->value <= BRPC_FRAME_FEEDBACK ? f->value : 0); break;
	case 4: m->continued = f->value != 0; break;
	default: break;
	}
}

/* ---- Hulu ---- */

static uint64_t zigzag(uint64_t v) { return v >> 1 ^ (0 - (v & 1)); }

static void hulu_bytes(struct brpc_meta *m, const struct brpc_field *f)
{
	switch (f->number) {
	case 1:
		m->request = true;
		m->service = f->bytes;
		break;
	case 14: m->method = f->bytes; break;
	case 16: add_pair(m, f->bytes); break;
	default: break;
	}
}

static void hulu_request_field(struct brpc_meta *m, const struct brpc_field *f)
{
	if (f->type == BRPC_BYTES) {
		hulu_bytes(m, f);
		return;
	}
	if (f->type != BRPC_VARINT)
		return;
	switch (f->number) {
	case 2:
		m->indexed = f->value <= INT32_MAX;
		m->index = (uint32_t)f->value;
		break;
	case 4: m->id = f->value; break;
	case 5:
		m->logged = true;
		m->log_id = f->value;
		break;
	case 7:
		m->traced = true;
		m->trace_id = f->value;
		break;
	case 10: m->oneway = f->value == 1; break;
	default: break;
	}
}

static void hulu_response_field(struct brpc_meta *m, const struct brpc_field *f)
{
	if (f->type != BRPC_VARINT)
		return;
	if (f->number == 1) {
		m->response = true;
		m->error = (int32_t)f->value;
	} else if (f->number == 3) {
		m->response = true;
		m->id = zigzag(f->value);
	}
}

/* ---- Sofa ---- */

static void sofa_field(struct brpc_meta *m, const struct brpc_field *f)
{
	if (f->number == 100 && f->type == BRPC_BYTES)
		m->method = f->bytes;
	if (f->type != BRPC_VARINT)
		return;
	switch (f->number) {
	case 1:
		m->request = f->value == 0;
		m->response = f->value == 1;
		break;
	case 2: m->id = f->value; break;
	case 200: m->failed = f->value != 0; break;
	case 201: m->error = (int32_t)f->value; break;
	default: break;
	}
}

/* ---- any of them ---- */

bool brpc_meta_read(enum brpc_format format, struct slice in, bool cut, enum proto_side side, struct brpc_meta *ret)
{
	static field_reader *const readers[][2] = {
		[BRPC_STD] = { std_field, std_field },
		[BRPC_STREAM] = { stream_field, stream_field },
		[BRPC_HULU] = { hulu_request_field, hulu_response_field },
		[BRPC_SOFA] = { sofa_field, sofa_field },
	};

	*ret = (struct brpc_meta){ 0 };
	if (!each(in, cut, readers[format][side], ret))
		return false;
	bool mine = side == PROTO_TO_SERVER ? ret->request : ret->response;
	return mine || (cut && !ret->request && !ret->response);
}

/* ---- is it one? ---- */

enum { TELLS = 64 }; /* so many bytes of a meta message */

static bool first_field_fits(enum brpc_format format, enum proto_side side, uint8_t tag)
{
	if (format == BRPC_HULU)
		return tag == (side == PROTO_TO_SERVER ? 0x0a : 0x08) || (side == PROTO_TO_CLIENT && (tag == 0x12 || tag == 0x18));
	if (format != BRPC_STD)
		return tag == 0x08;
	return tag != (side == PROTO_TO_SERVER ? 0x12 : 0x0a);
}

enum brpc_read brpc_fits(struct slice in, enum proto_side side)
{
	struct brpc_head h;
	struct brpc_meta meta;
	size_t need;
	enum brpc_read r = brpc_head_read(in, &h, &need);

	if (r != BRPC_OK)
		return r;
	struct slice rest = slice_head(slice_from(in, h.len), h.meta < TELLS ? h.meta : TELLS);
	if (!rest.len)
		return BRPC_SHORT;
	if (!first_field_fits(h.format, side, rest.ptr[0]) || !brpc_meta_read(h.format, rest, rest.len < h.meta, side, &meta))
		return BRPC_BAD;
	return BRPC_OK;
}

int brpc_detect(struct slice in, enum proto_side side)
{
	struct brpc_head h;
	size_t need;

	switch (brpc_fits(in, side)) {
	case BRPC_BAD: return DETECT_NO;
	case BRPC_SHORT: return DETECT_MORE;
	case BRPC_OK: break;
	}
	(void)brpc_head_read(in, &h, &need);
	if (in.len < h.len + (h.meta < TELLS ? h.meta : TELLS))
		return DETECT_MORE;
	return h.format == BRPC_STREAM ? DETECT_LIKELY : DETECT_CERTAIN;
}

const char *brpc_error_name(int32_t code)
{
	static const char *const client[] = {
		"ENOSERVICE", "ENOMETHOD", "EREQUEST", "ERPCAUTH", "ETOOMANYFAILS", "EPCHANFINISH", "EBACKUPREQUEST", "ERPCTIMEDOUT", "EFAILEDSOCKET", "EHTTP", "EOVERCROWDED",
		"ERTMPPUBLISHABLE", "ERTMPCREATESTREAM", "EEOF", "EUNUSED", "ESSL", "EH2RUNOUTSTREAMS", "EREJECT",
	};
	static const char *const server[] = { "EINTERNAL", "ERESPONSE", "ELOGOFF", "ELIMIT", "ECLOSE", "EITP" };
	static const char *const rdma[] = { "ERDMA", "ERDMACM", "ERDMAUNAVAIL", "ERDMAOUTCLUSTER", "ERDMALOCAL" };

	if (code > 1000 && code <= 1000 + (int32_t)(sizeof(client) / sizeof(client[0])))
		return client[code - 1001];
	if (code > 2000 && code <= 2000 + (int32_t)(sizeof(server) / sizeof(server[0])))
		return server[code - 2001];
	if (code > 3000 && code <= 3000 + (int32_t)(sizeof(rdma) / sizeof(rdma[0])))
		return rdma[code - 3001];
	return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/amqp10_wire.h"

enum { DESCRIPTORS_MAX = 2 }; /* of one value: nobody describes a description often */
enum { DESCRIBED = 0, LIST_EMPTY = 0x45, LIST8 = 0xc0, LIST32 = 0xd0, MAP8 = 0xc1, MAP32 = 0xd1 };

/* --- values (part 1) --- */

static bool known(uint8_t type)
{
	static const char types[] = "\x40\x41\x42\x43\x44\x45\x50\x51\x52\x53\x54\x55\x56\x60\x61\x70\x71\x72\x73\x74\x80\x81\x82\x83\x84\x94\x98"
				    "\xa0\xa1\xa3\xb0\xb1\xb3\xc0\xc1\xd0\xd1\xe0\xf0";

	return memchr(types, type, sizeof(types) - 1) != NULL;
}

static void value_body(struct amqp_walk *w, struct amqp10_value *v)
{
	static const uint8_t fixed[] = { [4] = 0, [5] = 1, [6] = 2, [7] = 4, [8] = 8, [9] = 16 };
	uint8_t class = v->type >> 4;
	bool wide = class & 1, compound = class >= 0xc;
	size_t width = wide ? 4 : 1;
	const uint8_t *p;

	v->len = class < 0xa ? fixed[class] : 0;
	if (class >= 0xa) {
		p = amqp_take(w, width);
		if (!p) {
			v->type = 0; /* of what is not seen nothing is said */
			return;
		}
		v->len = wide ? load_be32(p) : *p;
	}
	if (compound) {
		if (v->len < width) {
			w->bad = true;
			return;
		}
		p = amqp_take(w, width);
		if (!p) {
			v->type = 0;
			return;
		}
		v->count = wide ? load_be32(p) : *p;
		v->len -= width;
	}
	size_t at = w->at;
	(void)amqp_take(w, v->len);
	if (!w->bad)
		v->data = slice_head(slice_from(w->in, at), (size_t)v->len);
}

/* What it is by its descriptor; of one that is described several times the first. Returns the type behind it. */
static const uint8_t *read_descriptors(struct amqp_walk *w, const uint8_t *p, uint64_t *ret_descriptor)
{
	struct amqp10_value d;
	unsigned n = 0;

	while (p && *p == DESCRIBED) {
		if (n++ == DESCRIPTORS_MAX) {
			w->bad = true;
			return NULL;
		}
		d = (struct amqp10_value){ 0 };
		p = amqp_take(w, 1);
		if (p && !known(*p))
			w->bad = true;
		if (!p || w->bad)
			return NULL;
		d.type = *p;
		value_body(w, &d);
		if (!*ret_descriptor)
			*ret_descriptor = amqp10_number(&d) ? amqp10_number(&d) : UINT64_MAX; /* a symbol */
		p = w->bad ? NULL : amqp_take(w, 1);
	}
	return p;
}

bool amqp10_value_read(struct amqp_walk *w, struct amqp10_value *ret)
{
	*ret = (struct amqp10_value){ 0 };
	const uint8_t *p = read_descriptors(w, amqp_take(w, 1), &ret->descriptor);
	if (!p)
		return !w->bad;
	if (!known(*p)) {
		w->bad = true;
		return false;
	}
	ret->type = *p;
	value_body(w, ret);
	return !w->bad;
}

struct amqp_walk amqp10_inside(const struct amqp10_value *v) { return (struct amqp_walk){ .in = v->data, .size = (size_t)v->len }; }

bool amqp10_is_null(const struct amqp10_value *v) { return v->type == 0 || v->type == AMQP10_NULL; }

uint64_t amqp10_number(const struct amqp10_value *v)
{
	uint64_t n = 0;

	if (v->type < 0x50 || v->type >= 0x90 || v->data.len != v->len)
		return 0;
	for (size_t i = 0; i < v->data.len; i++)
		n = n << 8 | v->data.ptr[i];
	return n;
}

bool amqp10_true(const struct amqp10_value *v) { return v->type == 0x41 || (v->type == 0x56 && v->data.len && v->data.ptr[0] == 1); }

struct slice amqp10_text(const struct amqp10_value *v)
{
	bool text = v->type == 0xa1 || v->type == 0xb1 || v->type == 0xa3 || v->type == 0xb3;

	return text && v->data.len == v->len ? v->data : SLICE_NONE;
}

/* --- frames (part 2 and 5) --- */

struct amqp10_frame amqp10_frame_head(struct slice in)
{
	return (struct amqp10_frame){ .size = load_be32(in.ptr), .head = (uint32_t)in.ptr[4] * 4, .type = in.ptr[5], .channel = load_be16(in.ptr + 6) };
}

bool amqp10_frame_ok(const struct amqp10_frame *f)
{
	return f->head >= AMQP10_HEAD_BYTES && f->size >= f->head && f->size <= AMQP10_FRAME_MAX && f->type <= 1;
}

/*
 * A letter for each field: numbers y of 8, h of 16, u of 32 and l of 64 bits, b truth, s text, m symbol, S symbols, n binary, M map, d described, * anything. In capitals or
 * not, null stands for any of them that is not the first.
 */
static const struct {
	uint8_t code, sides;
	const char *fields;
} layouts[] = {
	{ AMQP10_OPEN, 3, "ssuhuSSSSM" },
	{ AMQP10_BEGIN, 3, "huuuuSSM" },
	{ AMQP10_ATTACH, 3, "subyyddMbulSSM" },
	{ AMQP10_FLOW, 3, "uuuuuuuubbM" },
	{ AMQP10_TRANSFER, 3, "uunubbydbbb" },
	{ AMQP10_DISPOSITION, 3, "buubdb" },
	{ AMQP10_DETACH, 3, "ubd" },
	{ AMQP10_END, 3, "d" },
	{ AMQP10_CLOSE, 3, "d" },
	{ AMQP10_MECHANISMS, 1 << PROTO_TO_CLIENT, "S" },
	{ AMQP10_INIT, 1 << PROTO_TO_SERVER, "mns" },
	{ AMQP10_CHALLENGE, 1 << PROTO_TO_CLIENT, "n" },
	{ AMQP10_RESPONSE, 1 << PROTO_TO_SERVER, "n" },
	{ AMQP10_OUTCOME, 1 << PROTO_TO_CLIENT, "yn" },
};

static bool has_type(const struct amqp10_value *v, const char *types) { return memchr(types, v->type, strlen(types)) != NULL; }

static bool fits(const struct amqp10_value *v, char what)
{
	if (v->type == AMQP10_NULL || v->type == 0)
		return true;
	if (v->descriptor)
		return what == 'd';
	switch (what) {
	case 'y': return v->type == 0x50;
	case 'h': return v->type == 0x60;
	case 'u': return has_type(v, "\x43\x52\x70");
	case 'l': return has_type(v, "\x44\x53\x80");
	case 'b': return has_type(v, "\x41\x42\x56");
	case 's': return has_type(v, "\xa1\xb1");
	case 'm': return has_type(v, "\xa3\xb3");
	case 'n': return has_type(v, "\xa0\xb0");
	case 'S': return has_type(v, "\xa3\xb3\xe0\xf0");
	case 'M': return has_type(v, "\xc1\xd1");
	default: return false;
	}
}

static const char *layout_of(uint64_t code, uint8_t type, enum proto_side side)
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(*layouts); i++)
		if (layouts[i].code == code && layouts[i].sides & 1 << side && (code >= AMQP10_MECHANISMS) == (type == 1))
			return layouts[i].fields;
	return NULL;
}

bool amqp10_performative_read(struct slice seen, size_t size, uint8_t type, enum proto_side side, struct amqp10_performative *ret)
{
	struct amqp_walk w = { .in = seen, .size = size };
	struct amqp10_value list;

	ret->n = 0;
	if (!amqp10_value_read(&w, &list))
		return false;
	const char *layout = layout_of(list.descriptor, type, side);
	if (!layout || !has_type(&list, "\x45\xc0\xd0") || list.count > strlen(layout) || (w.at < size && list.descriptor != AMQP10_TRANSFER))
		return false;
	ret->code = (uint8_t)list.descriptor;
	ret->payload_at = w.at;
	struct amqp_walk in = amqp10_inside(&list);
	while (ret->n < list.count && in.at <= in.in.len) {
		struct amqp10_value *v = &ret->field[ret->n];
		if (!amqp10_value_read(&in, v) || !fits(v, layout[ret->n]))
			return false;
		ret->n++;
	}
	for (uint32_t i = ret->n; i < AMQP10_FIELDS; i++)
		ret->field[i] = (struct amqp10_value){ 0 };
	return in.at == in.size || in.at > in.in.len;
}

/* --- messages (part 3) --- */

static void read_map(const struct amqp10_value *map, struct slice *traceparent, struct slice *tracestate)
{
	struct amqp_walk w = amqp10_inside(map);
	struct amqp10_value key, value;
	struct slice diagnostic = SLICE_NONE;

	if (map->type != MAP8 && map->type != MAP32)
		return;
	while (w.at < w.size && w.at < w.in.len && amqp10_value_read(&w, &key) && amqp10_value_read(&w, &value)) {
		struct slice name = amqp10_text(&key);
		if (slice_ieq(name, SLICE_LIT("traceparent")))
			*traceparent = amqp10_text(&value);
		else if (slice_ieq(name, SLICE_LIT("tracestate")))
			*tracestate = amqp10_text(&value);
		else if (slice_eq(name, SLICE_LIT("Diagnostic-Id"))) /* Azure's clients: the same by its older name */
			diagnostic = amqp10_text(&value);
	}
	if (!traceparent->len)
		*traceparent = diagnostic;
}

static void read_properties(const struct amqp10_value *list, struct amqp10_sections *s)
{
	enum { ID, USER, TO, SUBJECT, REPLY_TO, CORRELATION, FIELDS };
	struct amqp_walk w = amqp10_inside(list);
	struct amqp10_value v[FIELDS] = { { 0 } };

	for (uint32_t i = 0; i < FIELDS && i < list->count && w.at < w.in.len; i++)
		if (!amqp10_value_read(&w, &v[i]))
			return;
	s->message_id = v[ID];
	s->to = amqp10_text(&v[TO]);
	s->correlation_id = v[CORRELATION];
}

/* Of a message in another one: its context. */
static void read_inner(const struct amqp10_value *data, struct amqp10_sections *s)
{
	struct amqp_walk w = amqp10_inside(data);
	struct slice traceparent = SLICE_NONE, tracestate;
	struct amqp10_value v;

	while (w.at < w.size && w.at < w.in.len && amqp10_value_read(&w, &v))
		if (v.descriptor == AMQP10_ANNOTATIONS || v.descriptor == AMQP10_APPLICATION)
			read_map(&v, &traceparent, &tracestate);
	if (traceparent.len && s->nlinks < AMQP10_LINKS)
		s->link[s->nlinks++] = traceparent;
}

static void read_section(const struct amqp10_value *v, bool batch, struct amqp10_sections *s)
{
	switch (v->descriptor) {
	case AMQP10_ANNOTATIONS:
	case AMQP10_APPLICATION: read_map(v, &s->traceparent, &s->tracestate); break;
	case AMQP10_PROPERTIES: read_properties(v, s); break;
	case AMQP10_DATA:
		s->body += v->len;
		s->body_known = true;
		s->messages++;
		if (batch)
			read_inner(v, s);
		break;
	case AMQP10_VALUE:
		s->body = v->len;
		s->body_known = (v->type & 0xe0) == 0xa0; /* binary or text */
		break;
	default: break;
	}
}

static bool is_section(uint64_t descriptor) { return descriptor >= AMQP10_HEADER_SECTION && descriptor <= AMQP10_FOOTER; }

bool amqp10_sections_read(struct slice seen, size_t size, bool batch, struct amqp10_sections *ret)
{
	/* What is said of a body's length may go beyond this frame. */
	struct amqp_walk w = { .in = seen, .size = SIZE_MAX };
	struct amqp10_value v;

	*ret = (struct amqp10_sections){ 0 };
	while (w.at < seen.len) {
		bool first = w.at == 0;
		if (!amqp10_value_read(&w, &v) || !is_section(v.descriptor))
			return !first || (w.at > seen.len && v.descriptor == 0);
		if (v.type)
			read_section(&v, batch, ret);
	}
	if (w.at < size) /* more may follow */
		ret->body_known = false;
	if (!batch || w.at != size)
		ret->messages = 0;
	return true;
}

/* --- what is AMQP 1.0 --- */

int amqp10_header_id(struct slice in)
{
	bool header = in.len >= AMQP10_HEAD_BYTES && memcmp(in.ptr, "AMQP", 4) == 0 && memcmp(in.ptr + 5, "\1\0", 3) == 0;

	return header && (in.ptr[4] == AMQP10_PLAIN || in.ptr[4] == AMQP10_TLS || in.ptr[4] == AMQP10_SASL) ? in.ptr[4] : -1;
}

static bool may_be_header(struct slice in)
{
	static const char header[][AMQP10_HEAD_BYTES] = { "AMQP\0\1\0", "AMQP\2\1\0", "AMQP\3\1\0" };

	for (size_t i = 0; i < sizeof(header) / sizeof(*header); i++)
		if (memcmp(in.ptr, header[i], in.len < AMQP10_HEAD_BYTES ? in.len : AMQP10_HEAD_BYTES) == 0)
			return true;
	return false;
}

/* A frame that is not empty, of which `in` is the head. */
static bool may_be_frame(struct slice in, enum proto_side side, struct amqp10_performative *p)
{
	static const uint8_t descriptor[] = { 0, 0x53 };
	enum { CODE = 2, LIST = 3, READABLE = LIST + 9 }; /* in the body */
	struct amqp10_frame f;

	if (in.len && in.ptr[0] > 1) /* no frame that begins what is seen has 32 MiB */
		return false;
	if (in.len < AMQP10_HEAD_BYTES)
		return in.len < 5 || (in.ptr[4] == 2 && (in.len < 6 || in.ptr[5] <= 1));
	f = amqp10_frame_head(in);
	if (!amqp10_frame_ok(&f) || f.head != AMQP10_HEAD_BYTES || f.size < AMQP10_HEAD_BYTES + 4 || (f.type && f.channel))
		return false;
	struct slice body = slice_head(slice_from(in, f.head), f.size - f.head);
	size_t n = body.len < sizeof(descriptor) ? body.len : sizeof(descriptor);
	if (memcmp(body.ptr ? body.ptr : descriptor, descriptor, n) != 0 || (body.len > CODE && !layout_of(body.ptr[CODE], f.type, side)))
		return false;
	if (body.len < READABLE && body.len < f.size - f.head)
		return body.len <= LIST || memchr("\x45\xc0\xd0", body.ptr[LIST], 3);
	return amqp10_performative_read(body, f.size - f.head, f.type, side, p);
}

bool amqp10_is_frame(struct slice in, enum proto_side side)
{
	struct amqp10_performative p = { .payload_at = SIZE_MAX - AMQP10_HEAD_BYTES };

	return may_be_frame(in, side, &p) && AMQP10_HEAD_BYTES + p.payload_at <= in.len;
}

static bool is_empty(struct slice in)
{
	return in.len >= AMQP10_HEAD_BYTES && memcmp(in.ptr, "\0\0\0\x08\2\0\0", AMQP10_HEAD_BYTES) == 0;
}

int amqp10_detect(struct slice in, enum proto_side side)
{
	enum { EMPTY_MAX = 4 };
	struct amqp10_performative p;
	int best = DETECT_MORE;

	if (in.len && may_be_header(in))
		return in.len < AMQP10_HEAD_BYTES ? DETECT_MORE : DETECT_CERTAIN;
	for (int i = 0; i < EMPTY_MAX && is_empty(in); i++) {
		in = slice_from(in, AMQP10_HEAD_BYTES);
		best = DETECT_WEAK;
	}
	if (in.len == 0)
		return best;
	if (!may_be_frame(in, side, &p))
		return DETECT_NO;
	return amqp10_is_frame(in, side) ? DETECT_LIKELY : best;
}

size_t amqp10_find(struct slice in, enum proto_side side)
{
	enum { MARK_AT = AMQP10_HEAD_BYTES + 1 }; /* the type of a performative's descriptor */

	for (size_t at = MARK_AT; at < in.len; at++) {
		const uint8_t *p = memchr(in.ptr + at, 0x53, in.len - at);
		if (!p)
			break;
		at = (size_t)(p - in.ptr);
		if (p[-1] == 0 && p[-5] == 2 && amqp10_is_frame(slice_head(slice_from(in, at - MARK_AT), AMQP10_KEEP), side))
			return at - MARK_AT;
	}
	return in.len;
}

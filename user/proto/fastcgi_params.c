/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of a request and the head of a response, cut anywhere: see fastcgi_wire.h. */
#include "proto/fastcgi_wire.h"

enum { SCRIPT = ATTR_RAW_TARGET + 100000, QUERY, CONTENT_LENGTH, HTTPS, REMOTE };

static const struct wanted {
	const char *name;
	int what; /* an attribute, or one of the above */
} wanteds[] = {
	{ "REQUEST_METHOD", ATTR_HTTP_REQUEST_METHOD }, { "REQUEST_URI", ATTR_RAW_TARGET }, { "SCRIPT_NAME", SCRIPT }, { "QUERY_STRING", QUERY },
	{ "REQUEST_SCHEME", ATTR_URL_SCHEME }, { "HTTPS", HTTPS }, { "HTTP_HOST", ATTR_RAW_HOST }, { "REMOTE_ADDR", REMOTE },
	{ "CONTENT_LENGTH", CONTENT_LENGTH }, { "HTTP_USER_AGENT", ATTR_USER_AGENT_ORIGINAL }, { "HTTP_X_FORWARDED_FOR", ATTR_RAW_FORWARDED_FOR },
	{ "HTTP_TRACEPARENT", ATTR_RAW_TRACEPARENT }, { "HTTP_TRACESTATE", ATTR_RAW_TRACESTATE }, { "HTTP_B3", ATTR_RAW_B3 },
	{ "HTTP_X_B3_TRACEID", ATTR_RAW_B3_TRACE_ID }, { "HTTP_X_B3_SPANID", ATTR_RAW_B3_SPAN_ID }, { "HTTP_X_B3_SAMPLED", ATTR_RAW_B3_SAMPLED },
	{ "HTTP_UBER_TRACE_ID", ATTR_RAW_UBER_TRACE_ID },
};

/* NULL: nobody needs it. */
static const struct wanted *wanted_find(const struct fastcgi_params *p)
{
	if (p->name_len > FASTCGI_NAME_MAX)
		return NULL;
	for (size_t i = 0; i < sizeof(wanteds) / sizeof(wanteds[0]); i++)
		if (slice_eq(slice_make(p->name, p->name_len), slice_str(wanteds[i].name)))
			return &wanteds[i];
	return NULL;
}

void fastcgi_params_begin(struct fastcgi_params *p, uint16_t owner)
{
	p->owner = owner;
	p->phase = FASTCGI_PARAM_LENGTHS;
	p->have = 0;
	p->forwarded = p->target = false;
	p->script_len = p->query_len = 0;
	p->remote_len = 0;
	p->at = 0;
}

static uint16_t keep(uint8_t *to, struct slice value)
{
	value = slice_head(value, FASTCGI_VALUE_MAX / 2);
	if (value.len)
		memcpy(to, value.ptr, value.len);
	return (uint16_t)value.len;
}

static void value_add(struct fastcgi_params *p, int what, struct slice value, struct message *m)
{
	uint64_t n;

	if (value.len == 0)
		return;
	switch (what) {
	case SCRIPT: p->script_len = keep(p->script, value); return;
	case QUERY: p->query_len = keep(p->query, value); return;
	case HTTPS:
		if (!slice_ieq(value, SLICE_LIT("off")))
			message_add_str(m, ATTR_URL_SCHEME, SLICE_LIT("https"));
		return;
	case CONTENT_LENGTH:
		if (slice_u64(value, &n) && n <= INT64_MAX)
			message_add_int(m, ATTR_HTTP_REQUEST_BODY_SIZE, (int64_t)n);
		return;
	case REMOTE:
		p->remote_len = (uint8_t)(value.len <= sizeof(p->remote) ? value.len : 0);
		memcpy(p->remote, value.ptr, p->remote_len);
		return;
	default: break;
	}
	p->forwarded |= what == ATTR_RAW_FORWARDED_FOR;
	p->target |= what == ATTR_RAW_TARGET;
	message_add_str(m, (enum attr_id)what, value);
}

/* ---- the stream of pairs ---- */

/* One length at `at` of lengths; how many bytes it has, 0 while they are not all there. */
static unsigned length_take(const struct fastcgi_params *p, unsigned at, uint32_t *ret)
{
	unsigned n = p->lengths[at] & 128 ? 4 : 1;

	if (p->have < at + n)
		return 0;
	*ret = n == 1 ? p->lengths[at] : load_be32(p->lengths + at) & INT32_MAX;
	return n;
}

static size_t lengths_read(struct fastcgi_params *p, struct slice in)
{
	for (size_t i = 0; i < in.len; i++) {
		p->lengths[p->have++] = in.ptr[i];
		unsigned n = length_take(p, 0, &p->name_len);
		if (n == 0 || p->have == n || !length_take(p, n, &p->value_len))
			continue;
		p->phase = FASTCGI_PARAM_NAME;
		p->have = 0;
		p->at = 0;
		return i + 1;
	}
	return in.len;
}

static size_t name_read(struct fastcgi_params *p, struct slice in, uint32_t *ret_skip)
{
	uint32_t left = p->name_len - p->at;
	size_t n = in.len < left ? in.len : left;

	if (p->name_len <= FASTCGI_NAME_MAX && n)
		memcpy(p->name + p->at, in.ptr, n);
	p->at += (uint32_t)n;
	if (p->at < p->name_len) {
		*ret_skip = p->name_len > FASTCGI_NAME_MAX ? p->name_len - p->at : 0;
		p->at += *ret_skip;
		return n;
	}
	p->phase = FASTCGI_PARAM_VALUE;
	p->at = 0;
	return n;
}

/* *ret_full: the event must be given out before the memory of the value is used again. */
static size_t value_read(struct fastcgi_params *p, struct slice in, struct message *m, uint32_t *ret_skip, bool *ret_full)
{
	const struct wanted *w = wanted_find(p);
	uint32_t left = p->value_len - p->at;
	size_t n = in.len < left ? in.len : left;

	if (n == left) {
		p->phase = FASTCGI_PARAM_LENGTHS;
		if (w && p->at == 0) {
			value_add(p, w->what, slice_make(in.ptr, n < FASTCGI_VALUE_MAX ? n : FASTCGI_VALUE_MAX), m);
			return n;
		}
	}
	if (w && n && p->at < FASTCGI_VALUE_MAX) {
		size_t room = FASTCGI_VALUE_MAX - p->at;
		memcpy(p->value + p->at, in.ptr, n < room ? n : room);
	}
	if (n == left) {
		if (w)
			value_add(p, w->what, slice_make(p->value, p->value_len < FASTCGI_VALUE_MAX ? p->value_len : FASTCGI_VALUE_MAX), m);
		*ret_full = w != NULL;
		return n;
	}
	p->at += (uint32_t)n;
	if (!w || p->at >= FASTCGI_VALUE_MAX) {
		*ret_skip = p->value_len - p->at;
		p->at += *ret_skip;
	}
	return n;
}

size_t fastcgi_params_read(struct fastcgi_params *p, struct slice in, struct message *m, uint32_t *ret_skip)
{
	size_t at = 0;
	bool full = false;

	*ret_skip = 0;
	/* A name or value of no bytes is over without any. */
	while (!full && *ret_skip == 0 && (at < in.len || (p->phase == FASTCGI_PARAM_NAME && p->at == p->name_len) || (p->phase == FASTCGI_PARAM_VALUE && p->at == p->value_len))) {
		struct slice rest = slice_from(in, at);
		switch ((enum fastcgi_param_phase)p->phase) {
		case FASTCGI_PARAM_LENGTHS: at += lengths_read(p, rest); break;
		case FASTCGI_PARAM_NAME: at += name_read(p, rest, ret_skip); break;
		case FASTCGI_PARAM_VALUE: at += value_read(p, rest, m, ret_skip, &full); break;
		}
	}
	return at;
}

void fastcgi_params_end(struct fastcgi_params *p, struct message *m)
{
	size_t len = p->script_len;

	p->owner = 0;
	if (!p->forwarded && p->remote_len)
		message_add_str(m, ATTR_RAW_FORWARDED_FOR, slice_make(p->remote, p->remote_len));
	if (p->target || !len)
		return;
	memcpy(p->value, p->script, len);
	if (p->query_len && len + 1 + p->query_len <= FASTCGI_VALUE_MAX) {
		p->value[len++] = '?';
		memcpy(p->value + len, p->query, p->query_len);
		len += p->query_len;
	}
	message_add_str(m, ATTR_RAW_TARGET, slice_make(p->value, len));
}

/* ---- a response's head ---- */

static bool name_is(const struct fastcgi_head *h, struct slice name) { return slice_ieq(slice_make(h->name, h->name_len), name); }

static void line_byte(struct fastcgi_head *h, uint8_t c)
{
	if (c == '\n' && h->name_len == 0) {
		h->phase = h->any ? FASTCGI_HEAD_DONE : FASTCGI_HEAD_BROKEN;
	} else if (c == ':' && h->name_len) {
		h->phase = FASTCGI_LINE_VALUE;
		h->digits = 0;
		h->any = true;
		h->location |= name_is(h, SLICE_LIT("location"));
	} else if (c == '\n' || (c < ' ' && c != '\r') || c > '~') {
		h->phase = FASTCGI_HEAD_BROKEN;
	} else if (c != '\r' && h->name_len < FASTCGI_LINE) {
		h->name[h->name_len++] = c;
	}
}

static void value_byte(struct fastcgi_head *h, uint8_t c)
{
	if (c == '\n') {
		h->phase = FASTCGI_LINE_NAME;
		h->name_len = 0;
		return;
	}
	if (!name_is(h, SLICE_LIT("status")) || h->digits >= 3)
		return;
	if (c >= '0' && c <= '9') {
		h->status = (uint16_t)((h->digits ? h->status * 10 : 0) + (c - '0'));
		h->digits++;
	} else if (h->digits || c != ' ') {
		h->digits = 3;
	}
}

size_t fastcgi_head_read(struct fastcgi_head *h, struct slice in)
{
	size_t i = 0;

	while (i < in.len && h->phase < FASTCGI_HEAD_DONE) {
		if (h->phase == FASTCGI_LINE_NAME)
			line_byte(h, in.ptr[i]);
		else
			value_byte(h, in.ptr[i]);
		i++;
	}
	return i;
}

uint16_t fastcgi_head_status(const struct fastcgi_head *h)
{
	if (h->status >= 100 && h->status <= 999)
		return h->status;
	return h->phase != FASTCGI_HEAD_DONE ? 0 : h->location ? 302 : 200;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "correlate/context.h"

enum { TRACE_HEX = 32, SPAN_HEX = 16, TRACEPARENT_LEN = 55 };

/* Value of a hex digit, or -1. lower: upper case is an error, as W3C wants it. */
static int hex_value(uint8_t c, bool lower)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return !lower && c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Fills the last bytes of out[size] from hex digits, zeros before them. False if there are none, too many, other characters, or if all are zero. */
static bool hex_id(struct slice hex, bool lower, uint8_t *out, size_t size)
{
	uint8_t any = 0;

	if (hex.len == 0 || hex.len > size * 2)
		return false;
	memset(out, 0, size);
	for (size_t i = 0; i < hex.len; i++) {
		int v = hex_value(hex.ptr[i], lower);
		size_t digit = size * 2 - hex.len + i; /* its place in a full-length id */
		if (v < 0)
			return false;
		any |= (uint8_t)v;
		out[digit / 2] = (uint8_t)(out[digit / 2] | (digit % 2 ? v : v << 4));
	}
	return any != 0;
}

static bool hex_byte(struct slice hex, bool lower, uint8_t *ret_value)
{
	int high = hex.len == 2 ? hex_value(hex.ptr[0], lower) : -1;
	int low = hex.len == 2 ? hex_value(hex.ptr[1], lower) : -1;

	if (high < 0 || low < 0)
		return false;
	*ret_value = (uint8_t)(high << 4 | low);
	return true;
}

static struct slice part(struct slice s, size_t from, size_t len)
{
	return slice_head(slice_from(s, from), len);
}

bool context_parse_traceparent(struct slice value, struct trace_context *ret_context)
{
	struct trace_context c = { 0 };
	uint8_t version, flags;

	if (value.len < TRACEPARENT_LEN || value.ptr[2] != '-' || value.ptr[35] != '-' || value.ptr[52] != '-')
		return false;
	if (!hex_byte(part(value, 0, 2), true, &version) || version == 0xff)
		return false;
	/* Version 00 is exactly this long; a later one may add parts behind another dash, and its first parts mean the same. */
	if (value.len > TRACEPARENT_LEN && (version == 0 || value.ptr[TRACEPARENT_LEN] != '-'))
		return false;
	if (!hex_id(part(value, 3, TRACE_HEX), true, c.trace_id, sizeof(c.trace_id)) ||
	    !hex_id(part(value, 36, SPAN_HEX), true, c.span_id, sizeof(c.span_id)) || !hex_byte(part(value, 53, 2), true, &flags))
		return false;
	c.sampled = flags & 1 ? CONTEXT_SAMPLED : CONTEXT_NOT_SAMPLED;
	*ret_context = c;
	return true;
}

/* B3's sampling state: 1, 0, d (debug: accept) or absent; older senders say true and false. */
static bool b3_sampled(struct slice s, uint8_t *ret_sampled)
{
	if (s.len == 0)
		*ret_sampled = CONTEXT_DEFERRED;
	else if (slice_eq(s, SLICE_LIT("1")) || slice_eq(s, SLICE_LIT("d")) || slice_ieq(s, SLICE_LIT("true")))
		*ret_sampled = CONTEXT_SAMPLED;
	else if (slice_eq(s, SLICE_LIT("0")) || slice_ieq(s, SLICE_LIT("false")))
		*ret_sampled = CONTEXT_NOT_SAMPLED;
	else
		return false;
	return true;
}

bool context_parse_b3_multi(struct slice trace_id, struct slice span_id, struct slice sampled, struct trace_context *ret_context)
{
	struct trace_context c = { 0 };

	if ((trace_id.len != TRACE_HEX && trace_id.len != TRACE_HEX / 2) || span_id.len != SPAN_HEX)
		return false;
	if (!hex_id(trace_id, false, c.trace_id, sizeof(c.trace_id)) || !hex_id(span_id, false, c.span_id, sizeof(c.span_id)) ||
	    !b3_sampled(sampled, &c.sampled))
		return false;
	*ret_context = c;
	return true;
}

/* Cuts s at the next separator: what stands before it; the rest stays in *s. *ret_more tells whether there was one. */
static struct slice cut(struct slice *s, uint8_t separator, bool *ret_more)
{
	size_t at = slice_find(*s, separator, 0);
	struct slice head = slice_head(*s, at);

	*ret_more = at != SIZE_MAX;
	*s = *ret_more ? slice_from(*s, at + 1) : SLICE_NONE;
	return head;
}

/* trace-span[-sampled[-parent]]; "0" alone is a decision without ids and says nothing about parents. */
bool context_parse_b3(struct slice value, struct trace_context *ret_context)
{
	bool more;
	uint8_t parent[8];
	struct slice trace = cut(&value, '-', &more);
	if (!more)
		return false;
	struct slice span = cut(&value, '-', &more);
	struct slice sampled = SLICE_NONE;
	if (more) {
		sampled = cut(&value, '-', &more);
		if (!sampled.len)
			return false;
	}
	if (more && (value.len != SPAN_HEX || !hex_id(value, false, parent, sizeof(parent))))
		return false;
	return context_parse_b3_multi(trace, span, sampled, ret_context);
}

/* trace:span:parent:flags, colons maybe URL-encoded; leading zeros may be left out, parent is deprecated. */
bool context_parse_uber(struct slice value, struct trace_context *ret_context)
{
	struct trace_context c = { 0 };
	uint8_t text[96], flags;
	size_t len = 0;
	bool more;

	for (size_t i = 0; i < value.len; i++, len++) {
		if (len == sizeof(text))
			return false;
		text[len] = value.ptr[i];
		if (slice_ieq(part(value, i, 3), SLICE_LIT("%3a"))) {
			text[len] = ':';
			i += 2;
		}
	}
	struct slice rest = slice_make(text, len);
	struct slice trace = cut(&rest, ':', &more);
	struct slice span = cut(&rest, ':', &more);
	cut(&rest, ':', &more);
	if (!more || rest.len == 0 || rest.len > 2 || !hex_id(trace, false, c.trace_id, sizeof(c.trace_id)) ||
	    !hex_id(span, false, c.span_id, sizeof(c.span_id)))
		return false;
	int high = rest.len == 2 ? hex_value(rest.ptr[0], false) : 0, low = hex_value(rest.ptr[rest.len - 1], false);
	if (high < 0 || low < 0)
		return false;
	flags = (uint8_t)(high << 4 | low);
	c.sampled = flags & 1 ? CONTEXT_SAMPLED : CONTEXT_NOT_SAMPLED;
	*ret_context = c;
	return true;
}

static struct slice find_str(const struct attr *attrs, size_t n, enum attr_id id)
{
	const struct attr *a = attr_find(attrs, n, id);

	return a && a->type == ATTR_TYPE_STR ? a->str : SLICE_NONE;
}

bool context_find(const struct attr *attrs, size_t n, struct trace_context *ret_context)
{
	bool any = false;

	/* Most exchanges carry none: one pass settles them. */
	for (size_t i = 0; i < n && !any; i++)
		any = attrs[i].id >= ATTR_RAW_TRACEPARENT && attrs[i].id <= ATTR_RAW_UBER_TRACE_ID;
	if (!any)
		return false;
	return context_parse_traceparent(find_str(attrs, n, ATTR_RAW_TRACEPARENT), ret_context) ||
	       context_parse_b3(find_str(attrs, n, ATTR_RAW_B3), ret_context) ||
	       context_parse_b3_multi(find_str(attrs, n, ATTR_RAW_B3_TRACE_ID), find_str(attrs, n, ATTR_RAW_B3_SPAN_ID),
				      find_str(attrs, n, ATTR_RAW_B3_SAMPLED), ret_context) ||
	       context_parse_uber(find_str(attrs, n, ATTR_RAW_UBER_TRACE_ID), ret_context);
}

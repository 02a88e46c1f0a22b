/* SPDX-License-Identifier: Apache-2.0 */
/* Whether bytes are LDAP's: heads that fit into one another, and what each operation begins with. */
#include "proto/ldap_wire.h"

enum { AT_HAND = 1, NOT_YET, WRONG };

/* An element of this tag, which fits into what it is in, at *at of the content; that goes behind it. */
static int element(struct slice content, uint32_t len, size_t *at, uint8_t tag, struct slice *ret_value)
{
	struct ldap_tlv t;
	struct slice in = slice_from(content, *at);

	if (in.len && in.ptr[0] != tag)
		return WRONG;
	switch (ldap_tlv_read(in, &t)) {
	case LDAP_BAD: return WRONG;
	case LDAP_SHORT: return *at >= len ? WRONG : NOT_YET;
	case LDAP_OK: break;
	}
	if (t.head + t.len > len - *at)
		return WRONG;
	*ret_value = slice_head(slice_from(in, t.head), t.len);
	if (ret_value->len < t.len)
		return NOT_YET;
	*at += t.head + t.len;
	return AT_HAND;
}

static bool small(struct slice s, uint8_t max) { return s.len == 1 && s.ptr[0] <= max; }

/* Elements of these tags, one after the other. s is a printable text, t any, e a small number. */
static int elements(struct slice content, uint32_t len, const char *tags)
{
	size_t at = 0;
	struct slice value;

	for (; *tags; tags++) {
		uint8_t tag = *tags == 's' || *tags == 't' ? LDAP_STRING : *tags == 'e' || *tags == 'c' ? LDAP_ENUM : *tags == 'i' ? LDAP_INTEGER : *tags == 'b' ? LDAP_BOOLEAN : LDAP_SEQUENCE;
		value = SLICE_NONE;
		int is = element(content, len, &at, tag, &value);
		if (is == WRONG || (*tags == 's' && !slice_printable(value)))
			return WRONG;
		if (is == NOT_YET)
			return *tags == '(' && value.len ? AT_HAND : NOT_YET;
		if ((*tags == 'e' && !small(value, 3)) || (*tags == 'c' && (value.len == 0 || value.len > 2)) || (*tags == 'b' && value.len != 1) || (*tags == 'i' && (value.len == 0 || value.len > 4)))
			return WRONG;
	}
	return AT_HAND;
}

static int score(struct slice content, uint32_t len, const char *tags, int sure)
{
	switch (elements(content, len, tags)) {
	case AT_HAND: return sure;
	case NOT_YET: return DETECT_MORE;
	default: return DETECT_NO;
	}
}

static int detect_bind(struct slice content, uint32_t len)
{
	int is = score(content, len, "is", DETECT_CERTAIN);

	/* The version is 2 or 3, and one byte long. */
	if (content.len > 2 && (content.ptr[1] != 1 || content.ptr[2] < 2 || content.ptr[2] > 3))
		return DETECT_NO;
	return is;
}

static int detect_request(const struct ldap_head *h, struct slice content)
{
	switch (h->op) {
	case LDAP_BIND: return detect_bind(content, h->len);
	case LDAP_SEARCH: return score(content, h->len, "seeiib", DETECT_CERTAIN);
	case LDAP_UNBIND: return h->len == 0 ? DETECT_LIKELY : DETECT_NO;
	case LDAP_ABANDON: return h->len && h->len <= 4 ? DETECT_WEAK : DETECT_NO;
	case LDAP_DELETE: return !slice_printable(content) || h->len == 0 ? DETECT_NO : content.len < h->len ? DETECT_MORE : DETECT_LIKELY;
	case LDAP_MODIFY: case LDAP_ADD: case LDAP_COMPARE: return score(content, h->len, "s(", DETECT_LIKELY);
	case LDAP_MODIFY_DN: return score(content, h->len, "ssb", DETECT_LIKELY);
	default: break;
	}
	if (content.len == 0)
		return h->len ? DETECT_MORE : DETECT_NO;
	if (content.ptr[0] != 0x80 || (content.len > 1 && (content.ptr[1] < 3 || content.ptr[1] > 64 || content.ptr[1] > h->len - 2)))
		return DETECT_NO;
	for (size_t i = 2; i < content.len && i < 2u + content.ptr[1]; i++)
		if (content.ptr[i] != '.' && (content.ptr[i] < '0' || content.ptr[i] > '9'))
			return DETECT_NO;
	return content.len > 1 && content.len >= 2u + content.ptr[1] ? DETECT_CERTAIN : DETECT_MORE;
}

static int detect_response(const struct ldap_head *h, struct slice content)
{
	switch (h->op) {
	case LDAP_ENTRY: return score(content, h->len, "s(", DETECT_LIKELY);
	case LDAP_REFERENCE: return score(content, h->len, "s", DETECT_LIKELY);
	case LDAP_INTERMEDIATE: return h->len ? DETECT_WEAK : DETECT_NO;
	default: return score(content, h->len, "cst", DETECT_LIKELY);
	}
}

/* What comes behind the message may be another one, or is not there. */
static bool ends_well(struct slice in, uint32_t size) { return in.len <= size || in.ptr[size] == LDAP_SEQUENCE; }

int ldap_detect(struct slice in, enum proto_side side)
{
	struct ldap_head h;

	switch (ldap_head_read(in, side, &h)) {
	case LDAP_BAD: return DETECT_NO;
	case LDAP_SHORT: return DETECT_MORE;
	case LDAP_OK: break;
	}
	struct slice content = slice_head(slice_from(in, h.at), h.len);
	int is = side == PROTO_TO_SERVER ? detect_request(&h, content) : detect_response(&h, content);
	return is > DETECT_MORE && !ends_well(in, h.size) ? DETECT_NO : is;
}

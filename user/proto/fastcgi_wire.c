/* SPDX-License-Identifier: Apache-2.0 */
/* Records: see fastcgi_wire.h. */
#include "proto/fastcgi_wire.h"

enum { VERSION = 1, ROLES = 3, PROTOCOL_STATUSES = 4, HEADER_NAME_MAX = 64 };

static bool to_server(uint8_t type) { return type == FASTCGI_BEGIN || type == FASTCGI_ABORT || type == FASTCGI_PARAMS || type == FASTCGI_STDIN || type == FASTCGI_DATA || type == FASTCGI_GET_VALUES; }

static bool type_fits(uint8_t type, enum proto_side side) { return type >= FASTCGI_BEGIN && type <= FASTCGI_UNKNOWN_TYPE && to_server(type) == (side == PROTO_TO_SERVER); }

/* What a head may be, as far as it is at hand. */
static bool head_fits(struct slice in, enum proto_side side)
{
	uint8_t type = in.len > 1 ? in.ptr[1] : 0;
	bool management = type >= FASTCGI_GET_VALUES;

	if ((in.len > 0 && in.ptr[0] != VERSION) || (in.len > 1 && !type_fits(type, side)))
		return false;
	if (in.len > 3 && (load_be16(in.ptr + 2) == 0) != management)
		return false;
	if (in.len > 5 && (type == FASTCGI_BEGIN || type == FASTCGI_END || type == FASTCGI_UNKNOWN_TYPE) && load_be16(in.ptr + 4) != FASTCGI_BODY)
		return false;
	return in.len < 8 || in.ptr[7] == 0;
}

bool fastcgi_record_read(const uint8_t *p, enum proto_side side, struct fastcgi_record *ret)
{
	*ret = (struct fastcgi_record){ p[1], p[6], load_be16(p + 2), load_be16(p + 4) };
	return head_fits(slice_make(p, FASTCGI_HEAD), side);
}

static bool zeros(const uint8_t *p, size_t n)
{
	while (n && p[n - 1] == 0)
		n--;
	return n == 0;
}

/* "Name:", as a response's head begins with. */
static bool line_fits(struct slice content)
{
	for (size_t i = 0; i < content.len && i < HEADER_NAME_MAX; i++) {
		uint8_t c = content.ptr[i], low = ascii_lower(c);
		if (c == ':')
			return i > 0;
		if (!(low >= 'a' && low <= 'z') && !(i && ((c >= '0' && c <= '9') || c == '-')))
			return false;
	}
	return false;
}

/* The body of a record of known layout. What PHP-FPM sends in the last three bytes of an end, which are reserved, is anything. */
static bool body_fits(uint8_t type, const uint8_t *body)
{
	if (type == FASTCGI_BEGIN)
		return body[0] == 0 && body[1] >= 1 && body[1] <= ROLES && body[2] <= 1 && zeros(body + 3, 5);
	return body[4] < PROTOCOL_STATUSES;
}

bool fastcgi_surely(struct slice in, enum proto_side side)
{
	struct fastcgi_record r;

	if (in.len < FASTCGI_HEAD + FASTCGI_BODY || !fastcgi_record_read(in.ptr, side, &r))
		return false;
	if (r.type == FASTCGI_BEGIN || r.type == FASTCGI_END)
		return body_fits(r.type, in.ptr + FASTCGI_HEAD);
	return r.type == FASTCGI_STDOUT && line_fits(slice_head(slice_from(in, FASTCGI_HEAD), r.len));
}

int fastcgi_detect(struct slice in, enum proto_side side)
{
	struct fastcgi_record r;

	if (!head_fits(in, side))
		return DETECT_NO;
	if (in.len < FASTCGI_HEAD + FASTCGI_BODY)
		return DETECT_MORE;
	if (fastcgi_surely(in, side))
		return DETECT_CERTAIN;
	(void)fastcgi_record_read(in.ptr, side, &r);
	if (r.type == FASTCGI_BEGIN || r.type == FASTCGI_END)
		return DETECT_NO;
	struct slice next = slice_from(in, FASTCGI_HEAD + (size_t)r.len + r.padding);
	if (next.len == 0)
		return DETECT_WEAK;
	return !head_fits(next, side) ? DETECT_NO : next.len >= FASTCGI_HEAD ? DETECT_LIKELY : DETECT_WEAK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/mysql_wire.h"

enum {
	COLUMNS_MAX = 4096,     /* MAX_FIELDS */
	OK_MIN = 7,
	TYPES = 256,
};

bool mysql_packet(struct slice in, struct mysql_packet *ret)
{
	if (in.len < MYSQL_HEAD)
		return false;
	ret->len = (size_t)in.ptr[0] | (size_t)in.ptr[1] << 8 | (size_t)in.ptr[2] << 16;
	ret->seq = in.ptr[3];
	ret->body = slice_head(slice_from(in, MYSQL_HEAD), ret->len);
	return true;
}

size_t mysql_lenenc_size(uint8_t first)
{
	if (first < 0xfb)
		return 1;
	return first == 0xfc ? 3 : first == 0xfd ? 4 : first == 0xfe ? 9 : 0;
}

bool mysql_lenenc(struct slice in, size_t *at, uint64_t *ret)
{
	struct slice rest = slice_from(in, *at);
	size_t size = rest.len ? mysql_lenenc_size(rest.ptr[0]) : 0;
	uint64_t v = 0;

	if (size == 0 || size > rest.len)
		return false;
	for (size_t i = size - 1; i >= 1; i--)
		v = v << 8 | rest.ptr[i];
	*ret = size == 1 ? rest.ptr[0] : v;
	*at += size;
	return true;
}

bool mysql_ok(const struct mysql_packet *p, struct mysql_ok *ret)
{
	size_t at = 1;
	uint64_t affected = 0, id;

	if (p->body.len == 0)
		return false;
	if (p->body.ptr[0] == 0xfe && p->len <= 5) { /* EOF: warnings, status */
		if (p->len != 5 || p->body.len < 5)
			return false;
		*ret = (struct mysql_ok){ .status = load_le16(p->body.ptr + 3), .eof = true };
		return true;
	}
	if (p->len < OK_MIN || !mysql_lenenc(p->body, &at, &affected) || !mysql_lenenc(p->body, &at, &id) || p->body.len < at + 4)
		return false;
	*ret = (struct mysql_ok){ .affected = affected, .status = load_le16(p->body.ptr + at), .end = at + 4 };
	return true;
}

/* A text behind its length. */
static bool counted_text(struct slice in, size_t *at, struct slice *ret_text)
{
	uint64_t len;

	if (!mysql_lenenc(in, at, &len) || len > in.len - *at)
		return false;
	*ret_text = slice_make(in.ptr + *at, (size_t)len);
	*at += (size_t)len;
	return true;
}

struct slice mysql_new_database(struct slice body, const struct mysql_ok *ok)
{
	enum { SCHEMA = 1 };
	struct slice said, news, name, found = SLICE_NONE;
	size_t at = ok->end;

	if (ok->eof || !(ok->status & MYSQL_SESSION_CHANGED) || !counted_text(body, &at, &said) || !counted_text(body, &at, &news))
		return SLICE_NONE;
	for (at = 0; at < news.len;) {
		uint8_t type = news.ptr[at++];
		size_t in_it = 0;

		if (!counted_text(news, &at, &said))
			break;
		if (type == SCHEMA && counted_text(said, &in_it, &name))
			found = name;
	}
	return found;
}

/*
 * A client that can do without definitions is told in one more byte whether they follow: behind the number by MariaDB
 * (MARIADB_CLIENT_CACHE_METADATA), in front of it by MySQL (CLIENT_OPTIONAL_RESULTSET_METADATA).
 */
bool mysql_columns(const struct mysql_packet *p, uint64_t *ret_columns, bool *ret_bare)
{
	size_t at = 0;
	uint64_t n = 0;

	if (p->body.len == 0 || p->body.len < p->len || p->len > 10)
		return false;
	if (mysql_lenenc(p->body, &at, &n) && n > 0 && at == p->len) {
		*ret_bare = false;
	} else if (at + 1 == p->len && n > 0 && p->body.ptr[at] <= 1) {
		*ret_bare = p->body.ptr[at] == 0;
	} else {
		at = 1;
		if (p->body.ptr[0] > 1 || !mysql_lenenc(p->body, &at, &n) || at != p->len)
			return false;
		*ret_bare = p->body.ptr[0] == 0;
	}
	*ret_columns = n;
	return n > 0 && n <= COLUMNS_MAX;
}

/* --- the text of a query --- */

/* Bytes of a value of the binary protocol; SIZE_MAX: a length-encoded text. */
static size_t value_size(uint8_t type, struct slice rest)
{
	switch (type) {
	case 0x06: return 0; /* NULL */
	case 0x01: return 1;
	case 0x02: case 0x0d: return 2;
	case 0x03: case 0x04: case 0x09: return 4;
	case 0x05: case 0x08: return 8;
	case 0x07: case 0x0a: case 0x0b: case 0x0c: return rest.len ? 1u + rest.ptr[0] : 1; /* dates and times say how long they are */
	default: return SIZE_MAX;
	}
}

/* Steps over n attributes, of which all but the names is laid out as in COM_STMT_EXECUTE. False: they do not end in `body`. */
static bool pass_attributes(struct slice body, uint64_t n, size_t *at)
{
	uint8_t types[TYPES];
	size_t nulls = *at, len = (size_t)(n + 7) / 8;
	uint64_t size;

	*at += len + 1;
	if (n > TYPES || *at > body.len || body.ptr[*at - 1] != 1)
		return false;
	for (uint64_t i = 0; i < n; i++) {
		if (*at + 2 > body.len)
			return false;
		types[i] = body.ptr[*at];
		*at += 2;
		if (!mysql_lenenc(body, at, &size) || size > body.len - *at)
			return false;
		*at += (size_t)size;
	}
	for (uint64_t i = 0; i < n; i++) {
		if (body.ptr[nulls + i / 8] >> i % 8 & 1)
			continue;
		size = value_size(types[i], slice_from(body, *at));
		if ((size == SIZE_MAX && !mysql_lenenc(body, at, &size)) || size > body.len - *at)
			return false;
		*at += (size_t)size;
	}
	return true;
}

void mysql_query_text(struct slice body, int attributes, size_t *ret_at)
{
	size_t at = 1;
	uint64_t n, sets;

	*ret_at = 0;
	/* No statement begins with a NUL or a control byte that is no white space. */
	if (attributes < 0 && body.len > 2)
		attributes = body.ptr[1] < ' ' && body.ptr[1] != '\t' && body.ptr[1] != '\n' && body.ptr[1] != '\r' && body.ptr[2] == 1;
	if (attributes > 0) {
		if (!mysql_lenenc(body, &at, &n) || !mysql_lenenc(body, &at, &sets) || (n && !pass_attributes(body, n, &at)))
			return;
	}
	*ret_at = at;
}

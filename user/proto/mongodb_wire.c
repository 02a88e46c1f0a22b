/* SPDX-License-Identifier: Apache-2.0 */
/* Headers: see mongodb_wire.h. */
#include "proto/mongodb_wire.h"

static const struct kind {
	uint16_t opcode;
	bool to_server, to_client;
	uint8_t need;  /* bytes before the first document, or the name of the collection */
	uint8_t least; /* of the whole message */
} kinds[] = {
	{ MONGODB_MSG, true, true, 25, 26 },
	{ MONGODB_COMPRESSED, true, true, 25, 26 },
	{ MONGODB_REPLY, false, true, 36, 36 },
	{ MONGODB_QUERY, true, false, 20, 31 },
	{ MONGODB_INSERT, true, false, 20, 27 },
	{ MONGODB_UPDATE, true, false, 20, 36 },
	{ MONGODB_DELETE, true, false, 20, 31 },
	{ MONGODB_GET_MORE, true, false, 20, 34 },
	{ MONGODB_KILL_CURSORS, true, false, 24, 24 },
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static const struct kind *kind_of(uint32_t opcode)
{
	for (size_t i = 0; i < KINDS; i++)
		if (kinds[i].opcode == opcode)
			return &kinds[i];
	return NULL;
}

bool mongodb_opcode_fits(uint32_t opcode, enum proto_side side)
{
	const struct kind *k = kind_of(opcode);

	return k && (side == PROTO_TO_SERVER ? k->to_server : k->to_client);
}

size_t mongodb_head_need(uint32_t opcode)
{
	const struct kind *k = kind_of(opcode);

	return k ? k->need : MONGODB_HEAD;
}

/* Fewer bytes than a header. */
static bool short_fits(struct slice in, enum proto_side side)
{
	uint8_t bytes[4] = { 0 };

	if (in.len >= 4 ? load_le32(in.ptr) < MONGODB_HEAD || load_le32(in.ptr) > MONGODB_LENGTH_MAX : false)
		return false;
	if (in.len <= 12)
		return true;
	for (size_t i = 0; i < KINDS; i++) {
		for (int n = 0; n < 4; n++)
			bytes[n] = (uint8_t)((uint32_t)kinds[i].opcode >> 8 * n);
		if (mongodb_opcode_fits(kinds[i].opcode, side) && memcmp(bytes, in.ptr + 12, in.len - 12) == 0)
			return true;
	}
	return false;
}

/* What stands between the header and the first document. */
static bool fixed_fits(const struct mongodb_head *h, const uint8_t *p)
{
	uint32_t first = load_le32(p + 16), rest = h->len - (uint32_t)mongodb_head_need(h->opcode);

	switch ((enum mongodb_opcode)h->opcode) {
	case MONGODB_MSG:
		if (first & 0xfffc || p[20] > 1) /* the lower flags must be understood */
			return false;
		return load_le32(p + 21) >= BSON_EMPTY && load_le32(p + 21) - 4 <= rest;
	case MONGODB_COMPRESSED:
		return first != MONGODB_COMPRESSED && kind_of(first) && load_le32(p + 20) <= MONGODB_LENGTH_MAX - MONGODB_HEAD && p[24] <= MONGODB_ZSTD;
	case MONGODB_REPLY: return first <= 15 && load_le32(p + 32) <= rest / BSON_EMPTY;
	case MONGODB_QUERY: return first < 256;
	case MONGODB_INSERT: return first <= 1;
	case MONGODB_KILL_CURSORS: return first == 0 && rest % 8 == 0 && load_le32(p + 20) == rest / 8;
	case MONGODB_UPDATE: case MONGODB_DELETE: case MONGODB_GET_MORE: break;
	}
	return first == 0;
}

enum mongodb_scan mongodb_head_read(struct slice in, enum proto_side side, struct mongodb_head *ret)
{
	if (in.len < MONGODB_HEAD)
		return short_fits(in, side) ? MONGODB_SHORT : MONGODB_BAD;
	*ret = (struct mongodb_head){ load_le32(in.ptr), load_le32(in.ptr + 4), load_le32(in.ptr + 8), load_le32(in.ptr + 12) };
	const struct kind *k = kind_of(ret->opcode);
	if (!k || !mongodb_opcode_fits(ret->opcode, side) || ret->len < k->least || ret->len > MONGODB_LENGTH_MAX)
		return MONGODB_BAD;
	if (in.len < k->need)
		return MONGODB_SHORT;
	return fixed_fits(ret, in.ptr) ? MONGODB_OK : MONGODB_BAD;
}

/* ---- what may be no message ---- */

static bool is_text(uint8_t c) { return c > ' ' && c != 0x7f; }

/* The first element of a document at in[at], as far as it is at hand: the name of a field is text. */
static enum mongodb_scan document_fits(struct slice in, size_t at, uint64_t room, bool *ret_document)
{
	struct slice doc = slice_from(in, at);

	if (doc.len < 4)
		return MONGODB_SHORT;
	uint32_t len = load_le32(doc.ptr);
	if (len < BSON_EMPTY || len > room)
		return MONGODB_BAD;
	if (doc.len < 6)
		return len == BSON_EMPTY && doc.len == 5 ? (doc.ptr[4] ? MONGODB_BAD : MONGODB_OK) : MONGODB_SHORT;
	if (len == BSON_EMPTY)
		return doc.ptr[4] ? MONGODB_BAD : MONGODB_OK;
	/* "_id" and the like, or an empty name. */
	if (!bson_type_known(doc.ptr[4]) || (doc.ptr[5] && !is_text(doc.ptr[5])))
		return MONGODB_BAD;
	*ret_document = true;
	return MONGODB_OK;
}

/* "database.collection", as far as it is at hand. */
static enum mongodb_scan name_fits(struct slice in, size_t at, uint64_t room)
{
	bool dot = false;

	for (size_t i = at; i < in.len && i < at + room && i - at <= MONGODB_NAME_MAX; i++) {
		if (in.ptr[i] == 0)
			return dot ? MONGODB_OK : MONGODB_BAD;
		if (in.ptr[i] < ' ' || in.ptr[i] == 0x7f)
			return MONGODB_BAD;
		dot |= in.ptr[i] == '.';
	}
	return in.len - at > MONGODB_NAME_MAX || in.len - at >= room ? MONGODB_BAD : MONGODB_SHORT;
}

static enum mongodb_scan section_fits(struct slice in, const struct mongodb_head *h, bool *ret_document)
{
	if (load_le32(in.ptr + 16) & ~(uint32_t)(MONGODB_CHECKSUM | MONGODB_MORE_TO_COME | MONGODB_EXHAUST_ALLOWED))
		return MONGODB_BAD;
	if (in.ptr[20] == 0)
		return document_fits(in, 21, h->len - 21, ret_document);
	if (in.len < 26)
		return MONGODB_SHORT;
	return ascii_lower(in.ptr[25]) >= 'a' && ascii_lower(in.ptr[25]) <= 'z' ? MONGODB_OK : MONGODB_BAD;
}

enum mongodb_scan mongodb_scan(struct slice in, enum proto_side side, struct mongodb_head *ret, bool *ret_document)
{
	enum mongodb_scan scan = mongodb_head_read(in, side, ret);

	*ret_document = false;
	for (size_t i = 8; side == PROTO_TO_SERVER && i < 12 && i < in.len; i++)
		if (in.ptr[i] != in.ptr[8] || (in.ptr[i] != 0 && in.ptr[i] != 0xff)) /* a request answers nothing: 0, or -1 */
			return MONGODB_BAD;
	if (scan != MONGODB_OK)
		return scan;
	if (side == PROTO_TO_CLIENT && ret->to == 0)
		return MONGODB_BAD;
	switch ((enum mongodb_opcode)ret->opcode) {
	case MONGODB_MSG: return section_fits(in, ret, ret_document);
	case MONGODB_REPLY: return load_le32(in.ptr + 32) ? document_fits(in, 36, ret->len - 36, ret_document) : ret->len == 36 ? MONGODB_OK : MONGODB_BAD;
	case MONGODB_COMPRESSED: return mongodb_opcode_fits(load_le32(in.ptr + 16), side) ? MONGODB_OK : MONGODB_BAD;
	case MONGODB_KILL_CURSORS: return load_le32(in.ptr + 20) ? MONGODB_OK : MONGODB_BAD;
	default: break;
	}
	scan = name_fits(in, 20, ret->len - 20);
	*ret_document = scan == MONGODB_OK;
	return scan;
}

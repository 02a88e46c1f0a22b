/* SPDX-License-Identifier: Apache-2.0 */
/* What a reply says: see mongodb_wire.h. */
#include <stdio.h>

#include "proto/mongodb_wire.h"

enum { CURSOR_NOT_FOUND = 43 };

static bool is(struct slice name, const char *word) { return slice_eq(name, slice_str(word)); }

/* What a failure says of itself: in the reply, in the first of its write errors, or in its write concern error. */
struct failure {
	bool has_code;
	int64_t code;
	struct slice message;
};

static void read_failure(const struct bson_element *e, struct failure *f)
{
	if (is(e->name, "code"))
		f->has_code = bson_integer(e, &f->code);
	else if ((is(e->name, "errmsg") || is(e->name, "$err")) && e->type == BSON_STRING)
		f->message = e->value;
}

static void read_failure_in(const struct bson_element *e, struct failure *f)
{
	struct bson_element member;
	struct bson b;

	if (bson_enter(e, &b))
		while (bson_next(&b, &member) == BSON_ELEMENT)
			read_failure(&member, f);
}

static bool first_of(const struct bson_element *e, struct bson_element *ret)
{
	struct bson b;

	return e->type == BSON_ARRAY && bson_enter(e, &b) && bson_next(&b, ret) == BSON_ELEMENT;
}

static void read_cursor(const struct bson_element *e, struct mongodb_reply *r)
{
	struct bson_element member;
	struct bson b;

	if (!bson_enter(e, &b))
		return;
	while (bson_next(&b, &member) == BSON_ELEMENT)
		if ((is(member.name, "firstBatch") || is(member.name, "nextBatch")) && member.type == BSON_ARRAY)
			r->has_rows = bson_count(&member, &r->rows);
}

/* What servers print of a document is in braces, and of a key behind these words: neither is shown. */
static struct slice message_head(struct slice s)
{
	static const char key[] = " dup key";

	s = slice_head(s, MONGODB_MESSAGE_MAX);
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] == '{' || slice_starts(slice_from(s, i), slice_str(key)))
			return slice_head(s, i);
	return s;
}

static void fail(struct mongodb_reply *r, const struct failure *f)
{
	r->failed = true;
	if (f->has_code)
		(void)snprintf(r->code, sizeof(r->code), "%lld", (long long)f->code);
	r->message = message_head(f->message);
}

static void read_result(struct slice in, uint64_t room, bool writes, struct mongodb_reply *r)
{
	struct failure own = { 0 }, written = { 0 }, concern = { 0 };
	struct bson_element e, first;
	struct bson b;
	bool refused = false, unconfirmed = false, modified = false;
	int64_t number;

	if (!bson_open(in, room, &b))
		return;
	while (bson_next(&b, &e) == BSON_ELEMENT) {
		read_failure(&e, &own);
		if (is(e.name, "ok")) {
			refused = bson_integer(&e, &number) && number == 0;
		} else if (is(e.name, "writeErrors") && first_of(&e, &first)) {
			r->write_errors = true;
			read_failure_in(&first, &written);
		} else if (is(e.name, "writeConcernError")) {
			unconfirmed = true;
			read_failure_in(&e, &concern);
		} else if (is(e.name, "cursor")) {
			read_cursor(&e, r);
		} else if (writes && (is(e.name, "nModified") || (is(e.name, "n") && !modified)) && bson_integer(&e, &number)) {
			r->written = number;
			r->has_written = number >= 0;
			modified = e.name.len > 1;
		}
	}
	if (refused)
		fail(r, &own);
	else if (r->write_errors)
		fail(r, &written);
	else if (unconfirmed)
		fail(r, &concern);
}

static void read_legacy(struct slice body, uint64_t len, enum mongodb_due due, struct mongodb_reply *r)
{
	uint32_t flags = load_le32(body.ptr), documents = load_le32(body.ptr + 16);
	struct failure f = { .has_code = true, .code = CURSOR_NOT_FOUND };
	struct bson_element e;
	struct bson b;

	if (flags & MONGODB_CURSOR_NOT_FOUND) {
		fail(r, &f);
	} else if (flags & MONGODB_QUERY_FAILURE) {
		f.has_code = false;
		if (bson_open(slice_from(body, 20), len - 20, &b))
			while (bson_next(&b, &e) == BSON_ELEMENT)
				read_failure(&e, &f);
		fail(r, &f);
	} else if (due == MONGODB_DOCUMENTS || due == MONGODB_DOCUMENT_STREAM) {
		r->has_rows = true;
		r->rows = documents;
	} else if (due != MONGODB_NOTHING_KNOWN && documents == 1) {
		read_result(slice_from(body, 20), len - 20, due == MONGODB_WRITTEN || due == MONGODB_INSERTED, r);
	}
}

bool mongodb_more_follows(uint32_t opcode, struct slice body)
{
	if (opcode == MONGODB_MSG)
		return body.len >= 4 && load_le32(body.ptr) & MONGODB_MORE_TO_COME;
	return opcode == MONGODB_REPLY && body.len >= 12 && load_le64(body.ptr + 4) != 0;
}

void mongodb_reply_read(uint32_t opcode, struct slice body, uint64_t len, enum mongodb_due due, struct mongodb_reply *ret)
{
	uint64_t room;
	size_t at;

	*ret = (struct mongodb_reply){ .more = mongodb_more_follows(opcode, body) };
	if (opcode == MONGODB_MSG && mongodb_find_body(body, len, &at, &room))
		read_result(slice_from(body, at), room, due == MONGODB_WRITTEN || due == MONGODB_INSERTED, ret);
	else if (opcode == MONGODB_REPLY && body.len >= 20)
		read_legacy(body, len, due, ret);
}

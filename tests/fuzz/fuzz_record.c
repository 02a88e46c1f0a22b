/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record reader, and the recorder behind it: raw bytes are decoded one record after the other. What the decoder takes can be
 * decoded again and gives the same, what the recorder writes is what a reader gets, and a redacted file holds no fact that is not listed.
 */
#include "fuzz/records.h"

#include <errno.h>

enum { RECORDS_MAX = 64 };

struct seen {
	struct record rec[RECORDS_MAX];
	uint8_t *payload[RECORDS_MAX];
	size_t len[RECORDS_MAX];
	size_t n, at;
	bool redacted;
};

static void decode_all(struct seen *s, struct slice in)
{
	while (in.len && s->n < RECORDS_MAX) {
		uint8_t *copy = fuzz_copy(in);
		struct record *rec = &s->rec[s->n];
		struct slice payload;
		int size = record_decode(slice_make(copy, in.len), rec, &payload);

		REQUIRE(size == -EAGAIN || size == -EBADMSG || size == -ENOTSUP || (size > 0 && (size_t)size <= in.len));
		if (size > 0) {
			record_check(rec, payload);
			s->payload[s->n] = fuzz_copy(payload);
			s->len[s->n++] = payload.len;
		}
		in = size == -EAGAIN ? SLICE_NONE : slice_from(in, size > 0 ? (size_t)size : 8);
		free(copy);
	}
}

static int compare(void *ctx, const struct record *rec, struct slice payload)
{
	struct seen *s = ctx;
	struct record want = s->rec[s->at];

	want.u.h.size = rec->u.h.size; /* a reservation in the ring may have been larger */
	REQUIRE(s->at < s->n && payload.len == s->len[s->at]);
	if (!s->redacted) {
		REQUIRE(memcmp(rec, &want, record_fixed_bytes(rec->u.h.type)) == 0);
		REQUIRE(slice_eq(payload, slice_make(s->payload[s->at], s->len[s->at])));
	} else if (rec->u.h.type == PLUMB_REC_DATA || rec->u.h.type == PLUMB_REC_DGRAM || rec->u.h.type == PLUMB_REC_CALL) {
		for (size_t i = 0; i < payload.len; i++)
			REQUIRE(payload.ptr[i] == 'x');
	}
	s->at++;
	return 0;
}

static void write_and_read(struct seen *s)
{
	struct recorder_options o = { .redact = s->redacted };
	struct recorder *r;
	struct source *source;
	char path[64], error[256];
	int fd = fuzz_file(SLICE_NONE, path);

	REQUIRE(recorder_open(path, &o, &r, error, sizeof(error)) == 0);
	for (size_t i = 0; i < s->n; i++)
		REQUIRE(recorder_write(r, &s->rec[i], slice_make(s->payload[i], s->len[i])) == 0);
	REQUIRE(recorder_close(r) == 0);
	REQUIRE(recording_open(path, &source, error, sizeof(error)) == 0);
	int n;
	do
		n = source->ops->read(source, 5, 0, compare, s);
	while (n >= 0);
	REQUIRE(n == -ENODATA && s->at == s->n && !source->ops->error(source));
	source->ops->close(source);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct seen s; /* large; cleared for each input */
	struct slice in = slice_make(data, size);

	memset(&s, 0, sizeof(s));
	s.redacted = fuzz_byte(&in) & 1;
	decode_all(&s, in);
	if (s.n)
		write_and_read(&s);
	for (size_t i = 0; i < s.n; i++)
		free(s.payload[i]);
	return 0;
}

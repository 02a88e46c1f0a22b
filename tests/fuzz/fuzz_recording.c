/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recordings from strangers. The first byte says how far checksums protect the reader: 0, the file as it is; 1, all checksums made
 * right; 2, the input is the header fields and raw records of blocks, which are put into a file with right checksums. Reading ends, the counts add
 * up, and every record is sound.
 */
#include "fuzz/records.h"

#include <errno.h>
#include <stddef.h>
#include <zlib.h>

#include "lib/buffer.h"
#include "source/format.h"

enum { FILE_MAX = 1 << 20 };

static uint32_t crc_of(const void *p, size_t n) { return (uint32_t)crc32(0, p, (uInt)n); }

static void repair(uint8_t *p, size_t n)
{
	for (size_t i = 0; i + sizeof(struct format_file_header) <= n; i++) {
		struct format_file_header f;
		struct format_block_header b;
		struct format_trailer t;

		if (memcmp(p + i, FORMAT_FILE_MAGIC, FORMAT_MAGIC_BYTES) == 0) {
			memcpy(&f, p + i, sizeof(f));
			f.crc = crc_of(&f, offsetof(struct format_file_header, crc));
			memcpy(p + i, &f, sizeof(f));
		} else if (i + sizeof(b) <= n && memcmp(p + i, FORMAT_BLOCK_MAGIC, FORMAT_MAGIC_BYTES) == 0) {
			memcpy(&b, p + i, sizeof(b));
			if (b.stored_bytes <= n - i - sizeof(b))
				b.stored_crc = crc_of(p + i + sizeof(b), b.stored_bytes);
			b.crc = crc_of(&b, offsetof(struct format_block_header, crc));
			memcpy(p + i, &b, sizeof(b));
		} else if (i + sizeof(t) <= n && memcmp(p + i, FORMAT_TRAILER_MAGIC, FORMAT_MAGIC_BYTES) == 0) {
			memcpy(&t, p + i, sizeof(t));
			t.crc = crc_of(&t, offsetof(struct format_trailer, crc));
			memcpy(p + i, &t, sizeof(t));
		}
	}
}

/* One stored block of deflate (RFC 1951, 3.2.4): what it unpacks to is what the input says. */
static void put_block(struct buffer *out, struct slice *in)
{
	uint8_t first = fuzz_byte(in), records = fuzz_byte(in), more = fuzz_byte(in);
	struct slice raw = fuzz_take(in, fuzz_number(in, 2));
	uint8_t stored[5] = { 1, (uint8_t)raw.len, (uint8_t)(raw.len >> 8), (uint8_t)~raw.len, (uint8_t)(~raw.len >> 8) };
	struct format_block_header h = { .magic = FORMAT_BLOCK_MAGIC, .first = first, .records = records, .raw_bytes = (uint32_t)raw.len + more % 3,
					 .stored_bytes = (uint32_t)(sizeof(stored) + raw.len) };
	size_t at = out->len;

	buffer_append(out, &h, sizeof(h));
	buffer_append(out, stored, sizeof(stored));
	buffer_append_slice(out, raw);
	REQUIRE(!out->failed);
	repair(out->data + at, out->len - at);
}

static void build(struct buffer *out, struct slice in)
{
	struct format_file_header f = { .magic = FORMAT_FILE_MAGIC, .version = FORMAT_VERSION, .abi_version = PLUMB_ABI_VERSION };
	struct format_trailer t = { .magic = FORMAT_TRAILER_MAGIC, .records = fuzz_byte(&in) };

	buffer_append(out, &f, sizeof(f));
	while (in.len)
		put_block(out, &in);
	buffer_append(out, &t, sizeof(t));
	repair(out->data, sizeof(f));
	repair(out->data + out->len - sizeof(t), sizeof(t));
}

static int take(void *ctx, const struct record *rec, struct slice payload)
{
	++*(uint64_t *)ctx;
	record_check(rec, payload);
	return 0;
}

static void read_all(struct slice file)
{
	struct source_counts counts;
	struct source *s;
	char path[64], error[256] = "";
	uint64_t records = 0;
	int fd = fuzz_file(file, path), n;

	if (recording_open(path, &s, error, sizeof(error)) == 0) {
		size_t reads = 0;
		do
			n = s->ops->read(s, 7, 0, take, &records);
		while (n >= 0 && ++reads <= file.len * 1024 + 16); /* deflate packs 1024 to 1 at most */
		s->ops->counts(s, &counts);
		REQUIRE(n == -ENODATA && counts.records == records);
		s->ops->close(s);
	} else {
		REQUIRE(error[0]);
	}
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	uint8_t how = fuzz_byte(&in) % 3;
	struct buffer file;

	buffer_init(&file, FILE_MAX + 65536 * 2);
	if (in.len > FILE_MAX)
		return 0;
	if (how == 2)
		build(&file, in);
	else
		buffer_append_slice(&file, in);
	if (how == 1 && file.len)
		repair(file.data, file.len);
	read_all(buffer_slice(&file));
	buffer_done(&file);
	return 0;
}

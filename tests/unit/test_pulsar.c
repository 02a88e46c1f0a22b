/* SPDX-License-Identifier: Apache-2.0 */
/* Pulsar: what a hostile peer may make the parser read. Messages are tests/proto/pulsar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/memory.h"
#include "proto/pulsar_wire.h"

extern const struct proto_ops proto_pulsar;

enum { METADATA = 4000, HEADS = 26 };

/* SEND with 4,000 bytes of metadata, fields of two bytes each. The last one's number is 0, which none has. */
static void send_frame(uint8_t f[HEADS + METADATA])
{
	static const char head[] = "\0\0\x0f\xb6" "\0\0\0\x08" "\x08\6\x32\4\x08\1\x10\2" "\x0e\1" "1234" "\0\0\x0f\xa0";

	memcpy(f, head, HEADS);
	for (size_t i = 0; i < METADATA; i += 2)
		memcpy(f + HEADS + i, "\x78\x01", 2);
	f[HEADS + METADATA - 2] = 0;
}

/* A start is looked for at every byte: what is behind the first of a long frame is not readable. */
static void resync_reads_no_long_frames(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t frame[HEADS + METADATA], parser[CONNECTION_PARSER_BYTES] = { 0 };
	uint8_t *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(p != MAP_FAILED);
	send_frame(frame);
	memset(p + page - PULSAR_LOOK - 3, 0xff, 3);
	memcpy(p + page - PULSAR_LOOK, frame, PULSAR_LOOK);
	assert_int_equal(mprotect(p + page, page, PROT_NONE), 0);
	assert_int_equal(proto_pulsar.resync(parser, PROTO_TO_SERVER, slice_make(p + page - PULSAR_LOOK - 3, 3 + sizeof(frame))), 3);
	munmap(p, 2 * page);
}

/* Frames that are none are looked for within them, but not over and over. */
static void what_is_read_in_vain_is_left_behind(void **state)
{
	union {
		void *names;
		uint8_t bytes[CONNECTION_PARSER_BYTES];
	} parser = { .bytes = { 0 } };
	struct proto_memory memory = { .max = 1 << 20 };
	uint8_t frame[HEADS + METADATA];
	unsigned bad = 0;

	(void)state;
	parser.names = proto_pulsar.open(&memory);
	assert_non_null(parser.names);
	send_frame(frame);
	for (int i = 0; i < 20; i++) {
		struct parse_result r = { 0 };
		enum parse_status status = proto_pulsar.parse(&parser, PROTO_TO_SERVER, slice_make(frame, sizeof(frame)), &r);
		if (status == PARSE_BAD) {
			bad++;
			continue;
		}
		assert_int_equal(status, PARSE_SKIP);
		assert_int_equal(r.consumed, sizeof(frame));
	}
	assert_in_range(bad, 1, 10);
	proto_pulsar.close(parser.names);
	assert_int_equal(memory.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resync_reads_no_long_frames),
		cmocka_unit_test(what_is_read_in_vain_is_left_behind),
	};
	return cmocka_run_group_tests_name("pulsar", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* source/decode: every type at every length, sizes and counts that lie, input that ends at an unreadable page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "source/source.h"

/* A copy that ends where the next page cannot be read. */
struct edge {
	uint8_t *map;
	size_t bytes;
	long page;
};

static void edge_init(struct edge *e)
{
	e->page = sysconf(_SC_PAGESIZE);
	e->bytes = (size_t)e->page * 8;
	e->map = mmap(NULL, e->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(e->map != MAP_FAILED);
	assert_int_equal(mprotect(e->map + e->bytes - e->page, (size_t)e->page, PROT_NONE), 0);
}

static struct slice edge_put(struct edge *e, const void *data, size_t len)
{
	uint8_t *to = e->map + e->bytes - e->page - len;

	memcpy(to, data, len);
	return slice_make(to, len);
}

static void fill(uint8_t *raw, uint16_t type, uint32_t size)
{
	struct plumb_rec_header h = { .size = size, .type = type, .cpu = 7, .time_ns = 1000003 };

	memset(raw, 0, PLUMB_RECORD_MAX);
	memset(raw + sizeof(h), 0xee, size > sizeof(h) ? size - sizeof(h) : 0);
	memcpy(raw, &h, sizeof(h));

	uint64_t offset_ns = 0xee; /* a wall clock of 0xeeeeeeeeeeeeeeee is none */
	if (type == PLUMB_REC_START && size >= offsetof(struct plumb_rec_start, abi_version))
		memcpy(raw + offsetof(struct plumb_rec_start, realtime_offset_ns), &offset_ns, sizeof(offset_ns));
	if (type == PLUMB_REC_CLOCK && size >= sizeof(struct plumb_rec_clock))
		memcpy(raw + offsetof(struct plumb_rec_clock, realtime_offset_ns), &offset_ns, sizeof(offset_ns));
}

static bool carries(uint16_t type)
{
	return type == PLUMB_REC_DATA || type == PLUMB_REC_DGRAM || type == PLUMB_REC_PROCESS || type == PLUMB_REC_CALL;
}

static void short_bodies_are_zero_extended(void **state)
{
	static uint8_t raw[PLUMB_RECORD_MAX];
	struct edge e;

	(void)state;
	edge_init(&e);
	for (uint16_t type = 1; type < PLUMB_REC_TYPES; type++) {
		size_t fixed = record_fixed_bytes(type);
		if (fixed == 0 || carries(type))
			continue;
		for (uint32_t size = 16; size <= fixed + 64; size += 8) {
			struct record rec;
			struct slice payload = SLICE_LIT("unset");
			fill(raw, type, size);
			memset(&rec, 0x55, sizeof(rec));
			assert_int_equal(record_decode(edge_put(&e, raw, size), &rec, &payload), size);
			assert_int_equal(payload.len, 0);
			assert_int_equal(rec.u.h.type, type);
			assert_int_equal(rec.u.h.time_ns, 1000003);
			for (size_t i = size; i < fixed; i++)
				assert_int_equal(((uint8_t *)&rec)[i], 0);
			if (size >= fixed && fixed > 16)
				assert_int_equal(((uint8_t *)&rec)[16], 0xee);
			/* One byte less is not yet a record. */
			assert_int_equal(record_decode(edge_put(&e, raw, size - 1), &rec, &payload), -EAGAIN);
		}
	}
	munmap(e.map, e.bytes);
}

static void impossible_sizes_are_refused(void **state)
{
	static uint8_t raw[PLUMB_RECORD_MAX + 64];
	static const uint32_t sizes[] = { 0, 1, 8, 15, 17, 23, 100, PLUMB_RECORD_MAX + 8, 0x80000000u, 0xfffffff8u, 0xffffffffu };
	struct record rec;
	struct slice payload;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		fill(raw, PLUMB_REC_TICK, 16);
		memcpy(raw, &sizes[i], 4);
		assert_int_equal(record_decode(slice_make(raw, sizeof(raw)), &rec, &payload), -EBADMSG);
	}
	for (size_t len = 0; len < 16; len++)
		assert_int_equal(record_decode(slice_make(raw, len), &rec, &payload), -EAGAIN);
}

static void unknown_types_keep_their_header(void **state)
{
	static uint8_t raw[PLUMB_RECORD_MAX];
	static const uint16_t types[] = { 0, 20, 31, 32, 33, 0xffff };
	struct record rec;
	struct slice payload;

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		fill(raw, types[i], 48);
		assert_int_equal(record_decode(slice_make(raw, 48), &rec, &payload), -ENOTSUP);
		assert_int_equal(rec.u.h.size, 48);
		assert_int_equal(rec.u.h.type, types[i]);
	}
}

static struct plumb_rec_data sample(uint16_t type, uint32_t size, uint32_t captured, uint32_t len)
{
	return (struct plumb_rec_data){
		.h = { .size = size, .type = type, .time_ns = 11 }, .sock = 5, .offset = 1, .len = len, .captured = captured, .direction = 1,
	};
}

static int decode_data(struct edge *e, const struct plumb_rec_data *d, struct record *rec, struct slice *payload)
{
	static uint8_t raw[PLUMB_RECORD_MAX];

	memset(raw, 'p', sizeof(raw));
	memcpy(raw, d, sizeof(*d));
	return record_decode(edge_put(e, raw, d->h.size <= sizeof(raw) ? d->h.size : sizeof(raw)), rec, payload);
}

static void payload_lies_inside_its_record(void **state)
{
	struct edge e;
	struct record rec;
	struct slice payload;

	(void)state;
	edge_init(&e);
	for (int t = 0; t < 2; t++) {
		uint16_t type = t ? PLUMB_REC_DGRAM : PLUMB_REC_DATA;
		uint32_t fixed = (uint32_t)record_fixed_bytes(type);
		struct plumb_rec_data d = sample(type, fixed + 24, 23, 23);
		assert_int_equal(decode_data(&e, &d, &rec, &payload), fixed + 24);
		assert_int_equal(payload.len, 23);
		assert_int_equal(payload.ptr[22], 'p');
		d = sample(type, fixed + 104, 23, 29); /* a size tier larger than its payload */
		assert_int_equal(decode_data(&e, &d, &rec, &payload), fixed + 104);
		assert_int_equal(payload.len, 23);
		d = sample(type, fixed + 24, 25, 25); /* beyond the record */
		assert_int_equal(decode_data(&e, &d, &rec, &payload), -EBADMSG);
		d = sample(type, fixed + 24, 23, 22); /* more captured than there was */
		assert_int_equal(decode_data(&e, &d, &rec, &payload), -EBADMSG);
		d = sample(type, fixed + 24, 0xffffffffu, 0xffffffffu);
		assert_int_equal(decode_data(&e, &d, &rec, &payload), -EBADMSG);
		d = sample(type, fixed, 0, 0);
		assert_int_equal(decode_data(&e, &d, &rec, &payload), fixed);
		assert_null(payload.ptr);
		d.h.size = fixed - 8; /* payload records cannot be short */
		assert_int_equal(decode_data(&e, &d, &rec, &payload), -EBADMSG);
		d = sample(type, fixed, 0, 2);
		d.direction = 2;
		assert_int_equal(decode_data(&e, &d, &rec, &payload), -EBADMSG);
		d.direction = 0;
		d.offset = UINT64_MAX - 1; /* offset + len would wrap */
		assert_int_equal(decode_data(&e, &d, &rec, &payload), -EBADMSG);
		d.len = 1;
		assert_int_equal(decode_data(&e, &d, &rec, &payload), fixed);
		d = sample(type, PLUMB_RECORD_MAX, PLUMB_PAYLOAD_MAX + 1, PLUMB_PAYLOAD_MAX + 1);
		assert_int_equal(decode_data(&e, &d, &rec, &payload), -EBADMSG);
	}
	munmap(e.map, e.bytes);
}

static int decode_call(struct edge *e, struct plumb_rec_call c, uint32_t payload_bytes, struct slice *payload)
{
	static uint8_t raw[PLUMB_RECORD_MAX];
	struct record rec;

	c.h = (struct plumb_rec_header){ .size = (uint32_t)sizeof(c) + payload_bytes, .type = PLUMB_REC_CALL, .time_ns = 1009 };
	memset(raw, 'p', sizeof(raw));
	memcpy(raw, &c, sizeof(c));
	int n = record_decode(edge_put(e, raw, c.h.size), &rec, payload);
	assert_true(n == -EBADMSG || n == (int)c.h.size);
	return n < 0 ? n : 0;
}

static void calls_hold_what_they_say(void **state)
{
	struct edge e;
	struct slice text;

	(void)state;
	edge_init(&e);
	assert_int_equal(decode_call(&e, (struct plumb_rec_call){ .begin_ns = 1009, .end_ns = 1009, .len = 23, .captured = 23 }, 24, &text), 0);
	assert_int_equal(text.len, 23);
	assert_int_equal(text.ptr[22], 'p');
	assert_int_equal(decode_call(&e, (struct plumb_rec_call){ .function = 0xffff, .len = UINT32_MAX, .flags = 0xffff }, 8, &text), 0);
	assert_null(text.ptr);
	assert_int_equal(decode_call(&e, (struct plumb_rec_call){ .begin_ns = 1010, .end_ns = 1010 }, 0, &text), -EBADMSG);
	assert_int_equal(decode_call(&e, (struct plumb_rec_call){ .begin_ns = 8, .end_ns = 7 }, 0, &text), -EBADMSG);
	assert_int_equal(decode_call(&e, (struct plumb_rec_call){ .len = 25, .captured = 25 }, 24, &text), -EBADMSG);
	assert_int_equal(decode_call(&e, (struct plumb_rec_call){ .len = 22, .captured = 23 }, 24, &text), -EBADMSG);
	assert_int_equal(decode_call(&e, (struct plumb_rec_call){ .len = UINT32_MAX, .captured = UINT32_MAX }, 24, &text), -EBADMSG);
	assert_int_equal(decode_call(&e, (struct plumb_rec_call){ .len = 9000, .captured = PLUMB_CALL_TEXT_MAX }, PLUMB_CALL_TEXT_MAX, &text), 0);
	assert_int_equal(decode_call(&e, (struct plumb_rec_call){ .len = 9000, .captured = PLUMB_CALL_TEXT_MAX + 1 }, PLUMB_CALL_TEXT_MAX + 8, &text), -EBADMSG);
	assert_int_equal(decode_call(&e, (struct plumb_rec_call){ .count = INT64_MAX }, 0, &text), 0);
	assert_int_equal(decode_call(&e, (struct plumb_rec_call){ .count = UINT64_C(1) << 63 }, 0, &text), -EBADMSG);
	/* What a program asks of a GPU's driver may be anything, and that is why it fails. */
	assert_int_equal(decode_call(&e, (struct plumb_rec_call){ .function = PLUMB_FN_GPU + 1, .count = UINT64_MAX }, 0, &text), 0);
	munmap(e.map, e.bytes);
}

static void strings_end(void **state)
{
	static uint8_t raw[PLUMB_RECORD_MAX];
	struct record rec;
	struct slice payload;
	static const char facts[16] = "a=1\0b=2\0c=3\0d=";

	(void)state;
	fill(raw, PLUMB_REC_EXEC, sizeof(struct plumb_rec_exec));
	assert_true(record_decode(slice_make(raw, sizeof(raw)), &rec, &payload) > 0);
	assert_int_equal(strlen(rec.u.exec.filename), PLUMB_PATH_LEN - 1);
	assert_int_equal(strlen(rec.u.exec.comm), PLUMB_COMM_LEN - 1);

	struct plumb_rec_process p = { .h = { .size = 56, .type = PLUMB_REC_PROCESS }, .pid = 7, .count = 3, .bytes = 12 };
	memcpy(raw + sizeof(p), facts, sizeof(facts));
	memcpy(raw, &p, sizeof(p));
	assert_int_equal(record_decode(slice_make(raw, 56), &rec, &payload), 56);
	assert_int_equal(payload.len, 12);
	p.count = 4;
	memcpy(raw, &p, sizeof(p));
	assert_int_equal(record_decode(slice_make(raw, 56), &rec, &payload), -EBADMSG);
	p.count = 3;
	p.bytes = 11; /* the last string would not end */
	memcpy(raw, &p, sizeof(p));
	assert_int_equal(record_decode(slice_make(raw, 56), &rec, &payload), -EBADMSG);
	p.bytes = 17;
	memcpy(raw, &p, sizeof(p));
	assert_int_equal(record_decode(slice_make(raw, 56), &rec, &payload), -EBADMSG);
}

static int decode_time(uint16_t type, uint64_t time_ns, uint64_t offset_ns)
{
	static uint8_t raw[PLUMB_RECORD_MAX];
	uint32_t size = (uint32_t)record_fixed_bytes(type);
	struct record rec;
	struct slice payload;
	struct plumb_rec_header h = { .size = size, .type = type, .time_ns = time_ns };

	memset(raw, 0, sizeof(raw));
	if (type == PLUMB_REC_START)
		memcpy(raw + offsetof(struct plumb_rec_start, realtime_offset_ns), &offset_ns, sizeof(offset_ns));
	if (type == PLUMB_REC_CLOCK)
		memcpy(raw + offsetof(struct plumb_rec_clock, realtime_offset_ns), &offset_ns, sizeof(offset_ns));
	memcpy(raw, &h, sizeof(h));
	int size_or_error = record_decode(slice_make(raw, size), &rec, &payload);
	return size_or_error == (int)size ? 0 : size_or_error;
}

/* Sums of times must not wrap: a TICK at the end of time once kept the engine busy for ever. */
static void times_leave_room(void **state)
{
	const uint64_t max = UINT64_C(1) << 62;

	(void)state;
	for (uint16_t type = 1; type < PLUMB_REC_TYPES; type++) {
		if (record_fixed_bytes(type) == 0)
			continue;
		assert_int_equal(decode_time(type, max, 0), 0);
		assert_int_equal(decode_time(type, max + 1, 0), -EBADMSG);
		assert_int_equal(decode_time(type, UINT64_MAX, 0), -EBADMSG);
	}
	static const uint16_t clocks[] = { PLUMB_REC_START, PLUMB_REC_CLOCK };
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(decode_time(clocks[i], 1009, max - 1009), 0);
		assert_int_equal(decode_time(clocks[i], 1009, max - 1008), -EBADMSG);
		assert_int_equal(decode_time(clocks[i], 1009, UINT64_MAX), 0); /* the wall clock was set back: 1008 */
		assert_int_equal(decode_time(clocks[i], 1009, UINT64_MAX - 1009), -EBADMSG); /* before 1970 */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_bodies_are_zero_extended), cmocka_unit_test(impossible_sizes_are_refused),
		cmocka_unit_test(unknown_types_keep_their_header), cmocka_unit_test(payload_lies_inside_its_record),
		cmocka_unit_test(calls_hold_what_they_say), cmocka_unit_test(strings_end), cmocka_unit_test(times_leave_room),
	};
	return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}

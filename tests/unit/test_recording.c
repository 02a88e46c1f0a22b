/* SPDX-License-Identifier: Apache-2.0 */
/* source/recorder and source/recording: what goes in comes out, and damage anywhere costs what it hits, counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/hash.h"
#include "source/source.h"

static char path[64];

struct seen {
	uint64_t records;
	uint64_t hash; /* over all records and payloads, in order */
	uint64_t last_sock;
	bool canary;
};

static int note(void *ctx, const struct record *rec, struct slice payload)
{
	struct seen *s = ctx;

	s->records++;
	s->hash = hash_bytes(rec, record_fixed_bytes(rec->u.h.type), s->hash);
	s->hash = hash_bytes(payload.len ? payload.ptr : (const uint8_t *)"", payload.len, s->hash);
	if (rec->u.h.type == PLUMB_REC_DATA)
		s->last_sock = rec->u.data.sock;
	if (memmem(rec, record_fixed_bytes(rec->u.h.type), "CANARY", 6) || (payload.len && memmem(payload.ptr, payload.len, "CANARY", 6)))
		s->canary = true;
	return 0;
}

/* Record number n of a fixed sequence. */
static struct slice make(uint64_t n, struct record *ret, uint8_t *bytes)
{
	uint32_t len = (uint32_t)(n * 37 % 211);

	memset(ret, 0, sizeof(*ret));
	if (n % 5 == 4) {
		ret->u.h = (struct plumb_rec_header){ .size = sizeof(ret->u.fork), .type = PLUMB_REC_FORK, .cpu = 1, .time_ns = n * 1000 };
		ret->u.fork.pid = (uint32_t)n;
		return SLICE_NONE;
	}
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(n * 31 + i * 7);
	ret->u.data = (struct plumb_rec_data){
		.h = { .size = (uint32_t)((sizeof(ret->u.data) + len + 7) & ~7ull), .type = PLUMB_REC_DATA, .cpu = 2, .time_ns = n * 1000 },
		.sock = n, .offset = n * 1000, .len = len + 3, .captured = len, .direction = n & 1, .tid = 9,
	};
	return slice_make(bytes, len);
}

/* Writes `count` records, a block every `per_block` by letting a second pass. */
static struct seen write_file(uint64_t count, uint64_t per_block, const struct recorder_options *o)
{
	struct recorder *r;
	struct seen s = { 0 };
	char error[256];

	assert_int_equal(recorder_open(path, o, &r, error, sizeof(error)), 0);
	for (uint64_t n = 0; n < count; n++) {
		struct record rec;
		uint8_t bytes[256];
		struct slice payload = make(n, &rec, bytes);
		rec.u.h.time_ns += n / per_block * 1000000000;
		assert_int_equal(recorder_write(r, &rec, payload), 0);
		note(&s, &rec, payload);
	}
	assert_int_equal(recorder_close(r), 0);
	return s;
}

struct outcome {
	int opened;
	struct seen seen;
	struct source_counts counts;
	bool complains;
};

static struct outcome read_file(void)
{
	struct outcome o = { 0 };
	struct source *s;
	char error[256];

	o.opened = recording_open(path, &s, error, sizeof(error));
	if (o.opened)
		return o;
	int n;
	while ((n = s->ops->read(s, 7, 0, note, &o.seen)) > 0)
		assert_true(n <= 7);
	assert_int_equal(n, -ENODATA);
	assert_int_equal(s->ops->read(s, 7, 0, note, &o.seen), -ENODATA);
	s->ops->counts(s, &o.counts);
	o.complains = s->ops->error(s) != NULL;
	assert_int_equal(o.counts.records, o.seen.records);
	s->ops->close(s);
	return o;
}

static uint8_t *load(size_t *ret_len)
{
	struct stat st;
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	uint8_t *p = malloc((size_t)st.st_size);
	assert_int_equal(read(fd, p, (size_t)st.st_size), st.st_size);
	close(fd);
	*ret_len = (size_t)st.st_size;
	return p;
}

static void store(const uint8_t *p, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, len), len);
	close(fd);
}

static void comes_back_bit_for_bit(void **state)
{
	(void)state;
	struct seen in = write_file(10007, UINT64_MAX, NULL); /* several full blocks */
	struct outcome out = read_file();
	assert_int_equal(out.seen.records, 10007);
	assert_int_equal(out.seen.hash, in.hash);
	assert_int_equal(out.counts.corrupt + out.counts.unknown + out.counts.late, 0);
	assert_false(out.complains);

	size_t a_len, b_len;
	uint8_t *a = load(&a_len);
	write_file(10007, UINT64_MAX, NULL);
	uint8_t *b = load(&b_len);
	assert_int_equal(a_len, b_len);
	assert_memory_equal(a, b, a_len);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	free(a);
	free(b);
}

static void is_empty_but_complete(void **state)
{
	(void)state;
	write_file(0, 1, NULL);
	struct outcome out = read_file();
	assert_int_equal(out.opened, 0);
	assert_int_equal(out.seen.records, 0);
	assert_false(out.complains);
}

static void every_truncation_is_told(void **state)
{
	size_t len;
	uint64_t before = 0;

	(void)state;
	write_file(53, 7, NULL);
	uint8_t *p = load(&len);
	for (size_t cut = 0; cut < len; cut++) {
		store(p, cut);
		struct outcome out = read_file();
		assert_int_equal(out.opened, cut < 24 ? -EINVAL : 0);
		if (out.opened)
			continue;
		assert_true(out.complains);
		assert_true(out.seen.records >= before); /* more file, never fewer records */
		assert_true(out.seen.records % 7 == 0 || out.seen.records == 53);
		before = out.seen.records;
	}
	assert_int_equal(before, 53);
	free(p);
}

static void every_damaged_byte_costs_one_block(void **state)
{
	size_t len;

	(void)state;
	write_file(53, 7, NULL);
	uint8_t *p = load(&len);
	for (size_t at = 0; at < len; at++) {
		p[at] ^= (uint8_t)(1u << at % 8);
		store(p, len);
		p[at] ^= (uint8_t)(1u << at % 8);
		struct outcome out = read_file();
		assert_int_equal(out.opened, at < 8 ? -EINVAL : 0);
		if (out.opened)
			continue;
		assert_true(out.complains);
		assert_true(out.seen.records >= 46);
		/* The trailer, if it is whole, makes the sum come out. */
		if (at < len - 32)
			assert_int_equal(out.seen.records + out.counts.corrupt, 53);
		else
			assert_int_equal(out.seen.records, 53);
	}
	free(p);
}

static void inserted_noise_is_stepped_over(void **state)
{
	size_t len;
	uint8_t noisy[65536];

	(void)state;
	struct seen in = write_file(53, 7, NULL);
	uint8_t *p = load(&len);
	assert_true(len + 1009 < sizeof(noisy));
	memcpy(noisy, p, 24);
	for (size_t i = 0; i < 1009; i++) /* with many half magics in it */
		noisy[24 + i] = (uint8_t)"\x89PLBLK\r\n\x89PLEND\r\n"[i % 16];
	memcpy(noisy + 24 + 1009, p + 24, len - 24);
	store(noisy, len + 1009);
	struct outcome out = read_file();
	assert_int_equal(out.seen.records, 53);
	assert_int_equal(out.seen.hash, in.hash);
	assert_true(out.complains);
	free(p);
}

static void full_disk_is_an_error(void **state)
{
	struct recorder *r;
	char error[256] = "";

	(void)state;
	int err = recorder_open("/dev/full", NULL, &r, error, sizeof(error));
	assert_int_equal(err, -ENOSPC);
	assert_non_null(strstr(error, "/dev/full"));
	assert_int_equal(recorder_open("/nonexistent/x", NULL, &r, error, sizeof(error)), -ENOENT);
}

/* Pipes break after the header was written: the error comes back from the write that noticed, and from all later calls. */
static void a_broken_pipe_is_an_error(void **state)
{
	int ends[2], err = 0;
	char name[64], error[256];
	struct recorder *r;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", ends[1]);
	assert_int_equal(recorder_open(name, NULL, &r, error, sizeof(error)), 0);
	close(ends[0]);
	close(ends[1]);
	for (uint64_t n = 0; n < 10007 && !err; n++) {
		struct record rec;
		uint8_t bytes[256];
		struct slice payload = make(n, &rec, bytes);
		err = recorder_write(r, &rec, payload);
	}
	assert_int_equal(err, -EPIPE);
	struct record rec;
	uint8_t bytes[256];
	struct slice payload = make(1, &rec, bytes);
	assert_int_equal(recorder_write(r, &rec, payload), -EPIPE);
	assert_int_equal(recorder_close(r), -EPIPE);
}

static void stops_at_its_limit(void **state)
{
	(void)state;
	for (uint64_t limit = 200; limit < 60000; limit = limit * 2 + 13) {
		struct recorder_options o = { .max_bytes = limit };
		struct recorder *r;
		struct seen in = { 0 };
		char error[256];
		int err = 0;
		assert_int_equal(recorder_open(path, &o, &r, error, sizeof(error)), 0);
		for (uint64_t n = 0; !err; n++) {
			struct record rec;
			uint8_t bytes[256];
			struct slice payload = make(n, &rec, bytes);
			err = recorder_write(r, &rec, payload);
			if (!err)
				note(&in, &rec, payload);
		}
		assert_int_equal(err, -EFBIG);
		assert_int_equal(recorder_close(r), 0);
		struct stat st;
		assert_int_equal(stat(path, &st), 0);
		assert_true((uint64_t)st.st_size <= limit);
		struct outcome out = read_file();
		assert_int_equal(out.seen.records, in.records);
		assert_int_equal(out.seen.hash, in.hash);
		assert_int_equal(out.counts.corrupt, 0);
		assert_true(out.complains); /* says that it ends at the limit */
	}
}

static void put_redacted(struct recorder *r, struct record *rec, const char *payload, size_t len)
{
	rec->u.h.size = (uint32_t)((record_fixed_bytes(rec->u.h.type) + len + 7) & ~(size_t)7);
	assert_int_equal(recorder_write(r, rec, slice_make(payload, len)), 0);
}

static int keep_service(void *ctx, const struct record *rec, struct slice payload)
{
	if (rec->u.h.type == PLUMB_REC_PROCESS && memmem(payload.ptr, payload.len, "service.name=nginx", 18))
		*(int *)ctx += 1;
	return 0;
}

static void redacted_files_keep_no_secret(void **state)
{
	static const char facts[] = "process.pid=7\0process.command_line=x --password CANARY\0service.name=CANARY\0plumb.service.name.source=OTEL_SERVICE_NAME";
	static const char own[] = "service.name=nginx\0plumb.service.name.source=executable\0unlisted=CANARY\0CANARY";
	struct recorder_options o = { .redact = true };
	struct recorder *r;
	char error[256];

	(void)state;
	assert_int_equal(recorder_open(path, &o, &r, error, sizeof(error)), 0);
	struct record rec = { .u.start = { .h.type = PLUMB_REC_START, .host = "CANARY.example", .boot_id = "CANARY" } };
	put_redacted(r, &rec, NULL, 0);
	rec = (struct record){ .u.exec = { .h.type = PLUMB_REC_EXEC, .filename = "/home/CANARY/bin/tool", .comm = "tool\0\0CANARY" } };
	put_redacted(r, &rec, NULL, 0);
	rec = (struct record){ .u.sock = { .h.type = PLUMB_REC_SOCK_OPEN, .sock = 3, .path = "/run/CANARY/s\0CANARY" } };
	put_redacted(r, &rec, NULL, 0);
	rec = (struct record){ .u.process = { .h.type = PLUMB_REC_PROCESS, .count = 4, .bytes = sizeof(facts) } };
	put_redacted(r, &rec, facts, sizeof(facts));
	rec = (struct record){ .u.process = { .h.type = PLUMB_REC_PROCESS, .count = 4, .bytes = sizeof(own) } };
	put_redacted(r, &rec, own, sizeof(own));
	rec = (struct record){ .u.data = { .h.type = PLUMB_REC_DATA, .len = 9, .captured = 9 } };
	put_redacted(r, &rec, "a CANARY.", 9);
	rec = (struct record){ .u.dgram = { .d = { .h.type = PLUMB_REC_DGRAM, .len = 9, .captured = 9 } } };
	put_redacted(r, &rec, "a CANARY.", 9);
	assert_int_equal(recorder_close(r), 0);

	struct outcome out = read_file();
	assert_int_equal(out.seen.records, 7);
	assert_int_equal(out.counts.corrupt, 0);
	assert_false(out.seen.canary);
	struct source *s;
	int kept = 0;
	assert_int_equal(recording_open(path, &s, error, sizeof(error)), 0);
	assert_int_equal(s->ops->read(s, 100, 0, keep_service, &kept), 7);
	assert_int_equal(kept, 1);
	s->ops->close(s);
}

static void payload_must_fit_its_record(void **state)
{
	struct recorder *r;
	char error[256];
	struct record rec;
	uint8_t bytes[256];

	(void)state;
	assert_int_equal(recorder_open(path, NULL, &r, error, sizeof(error)), 0);
	struct slice payload = make(1, &rec, bytes);
	assert_int_equal(recorder_write(r, &rec, slice_head(payload, payload.len - 1)), -EINVAL);
	rec.u.h.type = 31;
	assert_int_equal(recorder_write(r, &rec, SLICE_NONE), -EINVAL);
	assert_int_equal(recorder_close(r), 0);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/plumb-test-recording.%d", (int)getpid());
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back_bit_for_bit), cmocka_unit_test(is_empty_but_complete), cmocka_unit_test(every_truncation_is_told),
		cmocka_unit_test(every_damaged_byte_costs_one_block), cmocka_unit_test(inserted_noise_is_stepped_over),
		cmocka_unit_test(full_disk_is_an_error), cmocka_unit_test(a_broken_pipe_is_an_error), cmocka_unit_test(stops_at_its_limit),
		cmocka_unit_test(redacted_files_keep_no_secret), cmocka_unit_test(payload_must_fit_its_record),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("recording", tests, set_up, tear_down);
}

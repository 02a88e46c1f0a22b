/* SPDX-License-Identifier: Apache-2.0 */
/* The spool: order, restart, maximum, one owner, and a kill at every byte of a write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sink/spool.h"

struct place {
	char dir[64];
};

static int place_make(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	snprintf(p->dir, sizeof(p->dir), "/tmp/plumb-spool-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	*state = p;
	return 0;
}

static unsigned place_files(const char *dir, const char *part)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		n += strstr(e->d_name, part) != NULL;
	closedir(d);
	return n;
}

static int place_remove(void **state)
{
	struct place *p = *state;
	DIR *d = opendir(p->dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(p->dir);
	free(p);
	return 0;
}

static struct spool *spool_at_place(const struct place *p, uint64_t max)
{
	struct spool *s;

	assert_int_equal(spool_open(p->dir, max, &s), 0);
	return s;
}

static void put_text(struct spool *s, const char *text, uint32_t spans)
{
	assert_int_equal(spool_put(s, slice_str(text), spans, spans + 1000), 0);
}

static void want_text(struct spool *s, const char *text, uint32_t spans)
{
	struct buffer body;
	uint32_t got_spans = 0, flags = 0;

	buffer_init(&body, SPOOL_BODY_MAX);
	assert_int_equal(spool_peek(s, &body, &got_spans, &flags), 0);
	assert_int_equal(body.len, strlen(text));
	assert_memory_equal(body.data, text, body.len);
	assert_int_equal(got_spans, spans);
	assert_int_equal(flags, spans + 1000);
	buffer_done(&body);
}

static void want_empty(struct spool *s)
{
	struct buffer body;
	uint32_t spans, flags;

	buffer_init(&body, SPOOL_BODY_MAX);
	assert_int_equal(spool_peek(s, &body, &spans, &flags), -ENOENT);
	buffer_done(&body);
}

static void oldest_first_across_a_restart(void **state)
{
	struct place *p = *state;
	struct spool *s = spool_at_place(p, 1 << 20);
	struct spool_counts c;

	want_empty(s);
	put_text(s, "first", 3);
	put_text(s, "second", 5);
	want_text(s, "first", 3);
	spool_close(s);

	s = spool_at_place(p, 1 << 20);
	spool_counts(s, &c);
	assert_int_equal(c.found_spans, 8);
	assert_int_equal(c.spans, 8);
	assert_int_equal(c.files, 2);
	put_text(s, "third", 7);
	assert_false(spool_pop(s)); /* nothing was peeked in this run */
	want_text(s, "first", 3);
	want_text(s, "first", 3);
	assert_true(spool_pop(s));
	assert_false(spool_pop(s));
	want_text(s, "second", 5);
	assert_true(spool_pop(s));
	want_text(s, "third", 7);
	assert_true(spool_pop(s));
	want_empty(s);
	spool_counts(s, &c);
	assert_int_equal(c.spans, 0);
	assert_int_equal(c.bytes, 0);
	assert_int_equal(place_files(p->dir, ".batch"), 0);
	spool_close(s);
}

static void many_stay_in_order(void **state)
{
	enum { MANY = 211 };
	struct spool *s = spool_at_place(*state, 1 << 20);
	char text[16];

	for (uint32_t i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "body %u", i);
		put_text(s, text, i);
		if (i % 3 == 2) { /* the ring's start moves while it grows */
			snprintf(text, sizeof(text), "body %u", i / 3);
			want_text(s, text, i / 3);
			assert_true(spool_pop(s));
		}
	}
	spool_close(s);
	s = spool_at_place(*state, 1 << 20);
	for (uint32_t i = MANY / 3; i < MANY; i++) {
		snprintf(text, sizeof(text), "body %u", i);
		want_text(s, text, i);
		assert_true(spool_pop(s));
	}
	want_empty(s);
	spool_close(s);
}

static void oldest_makes_room(void **state)
{
	struct spool *s = spool_at_place(*state, 3 * 4096);
	struct spool_counts c;
	struct buffer large;

	put_text(s, "a", 2);
	put_text(s, "b", 3);
	put_text(s, "c", 5);
	want_text(s, "a", 2);
	put_text(s, "d", 7);
	assert_false(spool_pop(s)); /* what was peeked has gone */
	spool_counts(s, &c);
	assert_int_equal(c.dropped_full_spans, 2);
	assert_int_equal(c.spans, 15);
	assert_int_equal(c.bytes, 3 * 4096);
	want_text(s, "b", 3);

	buffer_init(&large, 1 << 20);
	assert_int_equal(buffer_reserve(&large, 3 * 4096), 0);
	memset(large.data, 'x', 3 * 4096);
	large.len = 3 * 4096;
	assert_int_equal(spool_put(s, buffer_slice(&large), 11, 0), -EFBIG);
	spool_counts(s, &c);
	assert_int_equal(c.write_errors, 1);
	assert_int_equal(c.spans, 15);
	buffer_done(&large);
	spool_close(s);

	s = spool_at_place(*state, 4096); /* the operator made it smaller */
	spool_counts(s, &c);
	assert_int_equal(c.found_spans, 15);
	assert_int_equal(c.dropped_full_spans, 8);
	want_text(s, "d", 7);
	spool_close(s);
}

static void one_owner(void **state)
{
	struct place *p = *state;
	struct spool *s = spool_at_place(p, 1 << 20), *other = NULL;

	assert_int_equal(spool_open(p->dir, 1 << 20, &other), -EBUSY);
	assert_null(other);
	spool_close(s);
	assert_int_equal(spool_open(p->dir, 1 << 20, &other), 0);
	spool_close(other);
}

/* A file cut at each of its bytes, under its temporary and under its final name: never a wrong body, always counted. */
static void killed_at_every_byte(void **state)
{
	struct place *p = *state;
	static const char name[] = "00000000000000000001-13.batch";
	struct spool *s = spool_at_place(p, 1 << 20);
	struct spool_counts c;
	char path[160], whole[256];

	put_text(s, "the body of a batch", 13);
	spool_close(s);
	snprintf(path, sizeof(path), "%s/%s", p->dir, name);
	int fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	ssize_t len = read(fd, whole, sizeof(whole));
	close(fd);
	assert_in_range(len, 32, 200);

	for (ssize_t cut = 0; cut < len; cut++) {
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		assert_int_equal(write(fd, whole, (size_t)cut), cut);
		close(fd);
		char tmp[200];
		snprintf(tmp, sizeof(tmp), "%s/tmp-%s", p->dir, name);
		fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		assert_int_equal(write(fd, whole, (size_t)cut), cut);
		close(fd);

		s = spool_at_place(p, 1 << 20);
		assert_int_equal(place_files(p->dir, "tmp-"), 0);
		put_text(s, "next", 3);
		want_text(s, "next", 3);
		assert_true(spool_pop(s));
		spool_counts(s, &c);
		assert_int_equal(c.dropped_corrupt_spans, 13);
		assert_int_equal(c.spans, 0);
		assert_in_range(place_files(p->dir, "corrupt-"), 1, SPOOL_CORRUPT_MAX);
		spool_close(s);
	}
	for (ssize_t at = 0; at < len; at++) { /* and with each byte turned over, or one more behind */
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		whole[at] ^= 0x20;
		assert_int_equal(write(fd, whole, (size_t)len), len);
		whole[at] ^= 0x20;
		close(fd);
		s = spool_at_place(p, 1 << 20);
		want_empty(s);
		spool_counts(s, &c);
		assert_int_equal(c.dropped_corrupt_spans, 13);
		spool_close(s);
	}
}

static void few_corrupt_files_are_kept(void **state)
{
	struct place *p = *state;
	char path[160];

	for (int i = 1; i <= 7; i++) {
		snprintf(path, sizeof(path), "%s/%020d-3.batch", p->dir, i);
		close(open(path, O_WRONLY | O_CREAT, 0600));
	}
	for (int run = 0; run < 2; run++) {
		struct spool *s = spool_at_place(p, 1 << 20);
		want_empty(s);
		struct spool_counts c;
		spool_counts(s, &c);
		assert_int_equal(c.dropped_corrupt_spans, run == 0 ? 21 : 0);
		assert_int_equal(place_files(p->dir, "corrupt-"), SPOOL_CORRUPT_MAX);
		assert_int_equal(place_files(p->dir, ".batch"), 0);
		spool_close(s);
	}
}

static void strange_names_are_left_alone(void **state)
{
	struct place *p = *state;
	static const char *const names[] = { "1-2.batch", "00000000000000000000-1.batch", "99999999999999999999-1.batch", "00000000000000000009-x.batch",
					     "0000000000000000000a-1.batch", "00000000000000000009-1.batch.old", "README",
					     "09999999999999999999-4294967295.batch", "01000000000000000000-1.batch", "00000000000000000009-16385.batch" };
	char path[160];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", p->dir, names[i]);
		close(open(path, O_WRONLY | O_CREAT, 0600));
	}
	struct spool *s = spool_at_place(p, 1 << 20);
	struct spool_counts c;
	want_empty(s);
	spool_counts(s, &c);
	assert_int_equal(c.found_spans, 0);
	assert_int_equal(place_files(p->dir, "batch"), 9);
	put_text(s, "one", 3);
	put_text(s, "two", 5);
	spool_close(s);
	s = spool_at_place(p, 1 << 20);
	want_text(s, "one", 3);
	assert_true(spool_pop(s));
	want_text(s, "two", 5);
	assert_true(spool_pop(s));
	assert_int_equal(spool_put(s, SLICE_LIT("x"), SPOOL_SPANS_MAX + 1, 0), -EFBIG);
	spool_close(s);
}

static void unwritable_is_counted(void **state)
{
	struct place *p = *state;
	struct spool *s = spool_at_place(p, 1 << 20);
	struct spool_counts c;
	char lock[100];

	snprintf(lock, sizeof(lock), "%s/lock", p->dir);
	assert_int_equal(unlink(lock), 0);
	assert_int_equal(rmdir(p->dir), 0);
	assert_int_equal(spool_put(s, SLICE_LIT("x"), 5, 0), -ENOENT);
	spool_counts(s, &c);
	assert_int_equal(c.write_errors, 1);
	assert_int_equal(c.spans, 0);
	spool_close(s);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, place_make, place_remove)
	const struct CMUnitTest tests[] = { T(oldest_first_across_a_restart), T(many_stay_in_order),		T(oldest_makes_room),	 T(one_owner),
					    T(killed_at_every_byte),	       T(few_corrupt_files_are_kept), T(strange_names_are_left_alone), T(unwritable_is_counted) };
	return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The live source over rings made by hand, as the kernel side writes them: merged by time, late ones counted, the probe's records in their place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "source/live.h"

enum { RINGS = 3, RING_BYTES = 4096, SEEN_MAX = 4096 };

struct rig {
	struct link_ring rings[RINGS];
	struct plumb_ring_ends ends[RINGS];
	uint8_t *data[RINGS];
	uint64_t bell[2]; /* consumer, producer */
	struct plumb_policy_slot policies[PLUMB_POLICY_SLOTS];
	struct link link;
	struct link_progress progress;
	int pair[2];
	struct source *source;
	uint64_t base_ns;
	uint64_t seen[SEEN_MAX]; /* times, relative to base */
	uint16_t types[SEEN_MAX];
	size_t n, ticks;
	int fail_at; /* the handler fails at this record, -1 never */
};

static uint64_t boot_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	for (int i = 0; i < RINGS; i++) {
		r->data[i] = calloc(1, RING_BYTES + PLUMB_RING_SLACK);
		assert_non_null(r->data[i]);
		r->rings[i] = (struct link_ring){ .ends = &r->ends[i], .data = r->data[i], .size = RING_BYTES };
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, r->pair), 0);
	r->link = (struct link){
		.rings = r->rings,
		.nrings = RINGS,
		.doorbell = { .fd = eventfd(0, EFD_NONBLOCK), .consumer_pos = &r->bell[0], .producer_pos = &r->bell[1] },
		.control_fd = r->pair[1],
		.policies = r->policies,
		.progress = &r->progress,
	};
	r->base_ns = boot_ns() - 1000000000u;
	r->fail_at = -1;
	assert_int_equal(live_open(&r->link, -1, &r->source), 0);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	r->source->ops->close(r->source);
	for (int i = 0; i < RINGS; i++)
		free(r->data[i]);
	close(r->link.doorbell.fd);
	close(r->pair[0]);
	close(r->pair[1]);
	free(r);
	return 0;
}

static struct plumb_rec_exit record_at(struct rig *r, uint64_t at)
{
	return (struct plumb_rec_exit){ .h = { .size = sizeof(struct plumb_rec_exit), .type = PLUMB_REC_EXIT, .time_ns = r->base_ns + at }, .pid = 1 };
}

/* Puts a record behind the others of a ring; it is there for the reader once finish() has moved the head. */
static void put_unfinished(struct rig *r, int ring, uint64_t at)
{
	struct plumb_rec_exit rec = record_at(r, at);
	struct plumb_ring_ends *e = &r->ends[ring];

	assert_true(e->head - e->tail + sizeof(rec) <= RING_BYTES);
	memcpy(r->data[ring] + (e->head & (RING_BYTES - 1)), &rec, sizeof(rec));
}

static void finish(struct rig *r, int ring) { r->ends[ring].head += sizeof(struct plumb_rec_exit); }

static void put(struct rig *r, int ring, uint64_t at)
{
	put_unfinished(r, ring, at);
	finish(r, ring);
}

static int take(void *ctx, const struct record *rec, struct slice payload)
{
	struct rig *r = ctx;

	assert_int_equal(payload.len, 0);
	if (rec->u.h.type == PLUMB_REC_TICK) {
		r->ticks++;
		return 0;
	}
	if (r->fail_at == (int)r->n)
		return -EIO;
	assert_true(r->n < SEEN_MAX);
	r->types[r->n] = rec->u.h.type;
	r->seen[r->n++] = rec->u.h.time_ns - r->base_ns;
	return 0;
}

static int read_once(struct rig *r) { return r->source->ops->read(r->source, 1000, 0, take, r); }

/* Reads until n records have come: those of this moment are held back for a moment. */
static void read_until(struct rig *r, size_t n)
{
	uint64_t deadline = boot_ns() + 5000000000ull;

	while (r->n < n && boot_ns() < deadline)
		assert_true(r->source->ops->read(r->source, 1000, 5, take, r) >= 0);
	assert_int_equal(r->n, n);
}

static void merges_rings_by_time(void **state)
{
	static const uint64_t expected[] = { 1, 2, 20, 50, 99 };
	struct rig *r = *state;

	for (int round = 0; round < 120; round++) { /* more than the rings hold: room must come back, records must wrap */
		r->base_ns = boot_ns();
		put(r, 0, 1);
		put(r, 0, 50);
		put(r, 1, 20);
		put(r, 2, 2);
		put(r, 2, 99);
		r->n = 0;
		read_until(r, 5);
		assert_memory_equal(r->seen, expected, sizeof(expected));
		for (int i = 0; i < RINGS; i++)
			assert_int_equal(r->ends[i].tail, r->ends[i].head);
	}
	assert_true(r->ticks > 0);
	struct source_counts counts;
	r->source->ops->counts(r->source, &counts);
	assert_int_equal(counts.records, 600);
	assert_int_equal(counts.late, 0);
}

static void counts_what_comes_too_late(void **state)
{
	struct rig *r = *state;

	put_unfinished(r, 0, 20);
	put(r, 1, 25);
	assert_int_equal(read_once(r), 1);
	assert_int_equal(r->seen[0], 25);
	finish(r, 0);
	put(r, 0, 30);
	assert_int_equal(read_once(r), 2);
	/* Both come after a tick that had gone past them: counted, and their times are raised so that order is kept. */
	assert_true(r->seen[1] > 25 && r->seen[2] >= r->seen[1]);
	struct source_counts counts;
	r->source->ops->counts(r->source, &counts);
	assert_int_equal(counts.late, 2);
}

/* A ring that makes no sense is given up to its head, counted, and serves again. */
static void skips_what_cannot_be_a_record(void **state)
{
	static const uint32_t sizes[] = { 0, 8, sizeof(struct plumb_rec_exit) + 4, PLUMB_RECORD_MAX + 8, RING_BYTES };
	struct rig *r = *state;
	struct source_counts counts;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		put_unfinished(r, 0, i);
		memcpy(r->data[0] + (r->ends[0].head & (RING_BYTES - 1)), &sizes[i], sizeof(sizes[i]));
		finish(r, 0);
		put(r, 0, i);
		assert_int_equal(read_once(r), 0);
		put(r, 0, 10 + i);
		assert_int_equal(read_once(r), 1);
	}
	r->source->ops->counts(r->source, &counts);
	assert_int_equal(counts.corrupt, sizeof(sizes) / sizeof(sizes[0]));
	assert_int_equal(counts.records, sizeof(sizes) / sizeof(sizes[0]));
}

/* The kernel side calls by a record in the doorbell's ring; what was heard is told, or the descriptor would stay readable. */
static void hears_the_doorbell(void **state)
{
	struct rig *r = *state;
	uint64_t one = 1, began = boot_ns();

	r->bell[1] = 16;
	assert_int_equal(write(r->link.doorbell.fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(r->source->ops->read(r->source, 1000, 60000, take, r), 0);
	assert_true(boot_ns() - began < 30000000000ull);
	assert_int_equal(r->bell[0], 16);
}

/* What is in the ring when the reader goes to sleep for long is seen soon, and what comes then finds the flag set. */
static void sleeps_long_when_nothing_comes(void **state)
{
	struct rig *r = *state;
	uint64_t deadline = boot_ns() + 5000000000ull;

	assert_int_equal(r->ends[0].idle, 0);
	while (boot_ns() < deadline) {
		uint64_t began = boot_ns();
		assert_int_equal(r->source->ops->read(r->source, 1000, 1000, take, r), 0);
		if (boot_ns() - began >= 50000000)
			break; /* no longer every few milliseconds */
	}
	assert_true(boot_ns() < deadline);
	assert_int_equal(r->ends[0].idle, 0);
}

static void holds_back_what_may_be_overtaken(void **state)
{
	struct rig *r = *state;
	uint64_t future = boot_ns() - r->base_ns + 1000000000;

	put(r, 0, 5);
	put(r, 0, future);
	assert_int_equal(read_once(r), 1);
	read_until(r, 2);
	assert_true(boot_ns() >= r->base_ns + future);
}

static void puts_the_probes_records_in_their_place(void **state)
{
	struct rig *r = *state;
	struct plumb_rec_start start = { .h = { .size = sizeof(start), .type = PLUMB_REC_START, .time_ns = r->base_ns + 500 } };
	struct plumb_rec_loss loss = { .h = { .size = sizeof(loss), .type = PLUMB_REC_LOSS, .time_ns = r->base_ns + 15 } };

	put(r, 0, 10);
	put(r, 0, 20);
	assert_int_equal(send(r->pair[0], &start, sizeof(start), 0), sizeof(start));
	assert_int_equal(send(r->pair[0], &loss, sizeof(loss), 0), sizeof(loss));
	assert_int_equal(read_once(r), 4);
	/* START first whatever its time; what it overtook counts as late, none is lost. */
	assert_int_equal(r->types[0], PLUMB_REC_START);
	assert_int_equal(r->types[1], PLUMB_REC_EXIT);
	assert_int_equal(r->types[2], PLUMB_REC_LOSS);
	assert_int_equal(r->types[3], PLUMB_REC_EXIT);
}

static void counts_what_was_taken_but_not_processed(void **state)
{
	struct rig *r = *state;

	for (uint64_t t = 0; t < 5; t++)
		put(r, 0, t);
	r->fail_at = 3;
	assert_int_equal(read_once(r), -EIO);
	assert_int_equal(r->progress.taken, 4);
	assert_int_equal(r->progress.processed, 3);
}

static void survives_nonsense(void **state)
{
	struct rig *r = *state;
	struct source_counts counts;

	assert_int_equal(send(r->pair[0], "x", 1, 0), 1);
	struct plumb_rec_header lie = { .size = PLUMB_RECORD_MAX * 2, .type = PLUMB_REC_EXIT, .time_ns = 1 };
	assert_int_equal(send(r->pair[0], &lie, sizeof(lie), 0), sizeof(lie));
	put(r, 0, 1);
	uint64_t deadline = boot_ns() + 5000000000ull;
	while (r->progress.taken < 3 && boot_ns() < deadline)
		read_once(r);
	r->source->ops->counts(r->source, &counts);
	assert_int_equal(counts.corrupt + counts.unknown, 2);
	assert_int_equal(r->n, 1);
}

static void ends_when_the_probe_is_gone(void **state)
{
	struct rig *r = *state;

	put(r, 0, 1);
	shutdown(r->pair[0], SHUT_RDWR);
	assert_int_equal(read_once(r), 1); /* what is there comes first */
	assert_int_equal(read_once(r), -ENODATA);
}

/* What an engine that died left is not trusted: its successor reads what comes next. */
static void reads_on_after_nonsense_was_left(void **state)
{
	static const uint64_t left[] = { 1ull << 60, UINT64_MAX, 1 };
	struct rig *r = *state;
	struct source_counts counts;

	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
		r->source->ops->close(r->source);
		put(r, 0, 1);
		r->progress.at[0] = left[i] == 1 ? 0 : left[i];
		if (left[i] == 1)
			r->ends[0].tail = r->ends[0].head + (1ull << 40); /* the reader writes this, too */
		assert_int_equal(live_open(&r->link, -1, &r->source), 0);
		r->source->ops->counts(r->source, &counts);
		assert_int_equal(counts.corrupt, 1);
		assert_int_equal(r->ends[0].tail, r->ends[0].head);
		r->n = 0;
		put(r, 0, 2);
		assert_int_equal(read_once(r), 1);
		assert_int_equal(r->seen[0], 2);
	}
}

/* Two sockets of one place in the table: the later one has it, and the other's end does not take it away. */
static void policies_are_tagged(void **state)
{
	struct rig *r = *state;
	const struct plumb_policy_slot *slot = &r->policies[5];
	struct capture c = { .until = { 1ull << 40, UINT64_MAX }, .want = { 4096, PLUMB_POLICY_ALL } };

	live_policy(r->source, 5, &c);
	assert_int_equal(slot->sock, 5);
	assert_memory_equal(slot->until, c.until, sizeof(c.until));
	assert_memory_equal(slot->want, c.want, sizeof(c.want));
	c = (struct capture){ .until = { 7, 11 }, .want = { 0, 13 } };
	live_policy(r->source, 5 + PLUMB_POLICY_SLOTS, &c);
	live_policy(r->source, 5, NULL);
	assert_int_equal(slot->sock, 5 + PLUMB_POLICY_SLOTS);
	assert_memory_equal(slot->until, c.until, sizeof(c.until));
	assert_memory_equal(slot->want, c.want, sizeof(c.want));
	live_policy(r->source, 5 + PLUMB_POLICY_SLOTS, NULL);
	assert_int_equal(slot->sock, 0);
}

#define LIVE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIVE_TEST(merges_rings_by_time),
		LIVE_TEST(counts_what_comes_too_late),
		LIVE_TEST(skips_what_cannot_be_a_record),
		LIVE_TEST(hears_the_doorbell),
		LIVE_TEST(sleeps_long_when_nothing_comes),
		LIVE_TEST(holds_back_what_may_be_overtaken),
		LIVE_TEST(puts_the_probes_records_in_their_place),
		LIVE_TEST(counts_what_was_taken_but_not_processed),
		LIVE_TEST(survives_nonsense),
		LIVE_TEST(ends_when_the_probe_is_gone),
		LIVE_TEST(reads_on_after_nonsense_was_left),
		LIVE_TEST(policies_are_tagged),
	};
	return cmocka_run_group_tests_name("live", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Connection table and reassembly: whatever the segmentation, order and duplication, the consumer sees the stream's bytes, or is told of the hole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <sys/socket.h>

#include "conn/conn.h"

enum { STREAM_BYTES = 4099, BASE = 0xfffffe00u, STEP_NS = 1000 };

struct seen {
	uint8_t bytes[STREAM_BYTES + 64];
	uint64_t at;      /* offset of the next byte expected from the table */
	uint64_t consumed, holes, hole_bytes, skipped, resumed, uncovered, covered, eofs, closes, evicted, datagrams;
	int error;
	uint64_t hole_sock; /* of the latest hole */
	uint64_t closed_ns; /* the time that the latest close was given */
	size_t keep;      /* leave so many bytes unconsumed, when there are as many */
	uint64_t skip_to; /* ask once for everything before this offset to be skipped */
	enum plumb_direction latest[2]; /* directions of the last two calls of bytes(), latest first */
};

static size_t on_bytes(void *ctx, struct connection *c, enum plumb_direction dir, struct slice in, uint64_t time_ns)
{
	struct seen *s = ctx;
	struct stream *st = &c->streams[dir];

	(void)time_ns;
	s->latest[1] = s->latest[0];
	s->latest[0] = dir;
	assert_true(in.len > 0);
	size_t n = in.len > s->keep ? in.len - s->keep : 0;
	uint64_t at = c->plain ? (uint32_t)st->next : st->next - BASE;
	assert_true(at + n <= STREAM_BYTES);
	memcpy(s->bytes + at, in.ptr, n);
	s->at = st->next + n;
	s->consumed += n;
	if (s->skip_to) {
		st->skip_until = s->skip_to;
		s->skip_to = 0;
	}
	return n;
}

static void on_hole(void *ctx, struct connection *c, enum plumb_direction dir, uint64_t from, uint64_t to, uint64_t time_ns)
{
	struct seen *s = ctx;

	(void)dir, (void)time_ns;
	assert_true(from < to);
	s->hole_sock = c->sock;
	s->holes++;
	s->hole_bytes += to - from;
}

static void on_skipped(void *ctx, struct connection *c, enum plumb_direction dir, uint64_t time_ns)
{
	(void)c, (void)dir, (void)time_ns;
	((struct seen *)ctx)->skipped++;
}

static void on_resumed(void *ctx, struct connection *c, uint64_t time_ns)
{
	(void)c, (void)time_ns;
	((struct seen *)ctx)->resumed++;
}

static void on_uncovered(void *ctx, struct connection *c, uint64_t time_ns)
{
	(void)time_ns;
	assert_true(c->plain);
	((struct seen *)ctx)->uncovered++;
}

static void on_covered(void *ctx, struct connection *c, uint64_t time_ns)
{
	(void)time_ns;
	assert_true(c->covered);
	((struct seen *)ctx)->covered++;
}

static void on_eof(void *ctx, struct connection *c, enum plumb_direction dir, uint64_t time_ns)
{
	(void)c, (void)dir, (void)time_ns;
	((struct seen *)ctx)->eofs++;
}

static void on_datagram(void *ctx, struct connection *c, enum plumb_direction dir, struct slice in, const struct plumb_rec_dgram *rec)
{
	(void)c, (void)dir, (void)in, (void)rec;
	((struct seen *)ctx)->datagrams++;
}

static void on_close(void *ctx, struct connection *c, int error, bool evicted, uint64_t time_ns)
{
	struct seen *s = ctx;

	(void)c;
	s->closes++;
	s->closed_ns = time_ns;
	s->evicted += evicted;
	s->error = error;
}

struct fixture {
	struct seen seen;
	struct process_table *processes;
	struct conn_table *table;
	uint64_t now;
	uint8_t stream[STREAM_BYTES];
};

static void fixture_init(struct fixture *f, struct conn_options o)
{
	const struct conn_handler h = { on_bytes, on_hole, on_skipped, on_resumed, on_uncovered, on_covered, on_eof, on_datagram, on_close, &f->seen };

	memset(f, 0, sizeof(*f));
	assert_int_equal(process_table_new(0, &f->processes), 0);
	assert_int_equal(conn_table_new(&o, &h, f->processes, &f->table), 0);
	for (size_t i = 0; i < STREAM_BYTES; i++)
		f->stream[i] = (uint8_t)(i * 7 + i / 251);
}

static void fixture_done(struct fixture *f)
{
	conn_table_free(f->table);
	process_table_free(f->processes);
}

static void data_of(struct fixture *f, enum plumb_direction dir, uint64_t sock, size_t from, size_t len, size_t captured, uint16_t flags)
{
	struct record r = { .u.data = { .sock = sock, .offset = BASE + from, .len = (uint32_t)len, .captured = (uint32_t)captured, .direction = (uint8_t)dir, .flags = flags } };

	f->now += STEP_NS;
	r.u.h.type = PLUMB_REC_DATA;
	r.u.h.time_ns = f->now;
	/* An exact copy, so that reading behind the payload is caught. */
	uint8_t *exact = malloc(captured ? captured : 1);
	assert_non_null(exact);
	memcpy(exact, f->stream + from, captured);
	conn_table_record(f->table, &r, slice_make(exact, captured));
	free(exact);
}

static void data(struct fixture *f, uint64_t sock, size_t from, size_t len, size_t captured, uint16_t flags)
{
	data_of(f, PLUMB_INGRESS, sock, from, len, captured, flags);
}

static void tick(struct fixture *f, uint64_t later_ns)
{
	struct record r = { .u.h = { .type = PLUMB_REC_TICK } };

	f->now += later_ns;
	r.u.h.time_ns = f->now;
	conn_table_record(f->table, &r, SLICE_NONE);
}

static void sock(struct fixture *f, uint64_t cookie, uint16_t type, uint32_t flags)
{
	struct record r = { 0 };

	f->now += STEP_NS;
	if (type == PLUMB_REC_SOCK_OPEN)
		r.u.sock = (struct plumb_rec_sock){ .sock = cookie, .family = AF_INET, .type = SOCK_STREAM, .local_port = 40000, .remote_port = 80,
						    .local_addr = { 10, 0, 0, 1 }, .remote_addr = { 10, 0, 0, 2 }, .flags = flags };
	else
		r.u.sock_stats = (struct plumb_rec_sock_stats){ .sock = cookie, .flags = flags };
	r.u.h.type = type;
	r.u.h.time_ns = f->now;
	conn_table_record(f->table, &r, SLICE_NONE);
}

static uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*state >> 33);
}

/* Cuts the stream anywhere, sends pieces twice, overlapping and out of order within a window. */
static void random_order_gives_the_stream(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 211; seed++) {
		struct piece { size_t from, len; } pieces[STREAM_BYTES];
		struct fixture f;
		uint64_t rnd = seed;
		size_t n = 0;

		fixture_init(&f, (struct conn_options){ 0 });
		f.seen.keep = next_random(&rnd) % 41;
		for (size_t at = 0; at < STREAM_BYTES; n++) {
			size_t len = 1 + next_random(&rnd) % 97;
			if (len > STREAM_BYTES - at)
				len = STREAM_BYTES - at;
			size_t back = n && next_random(&rnd) % 5 == 0 ? next_random(&rnd) % (at < 30 ? at + 1 : 30) : 0;
			pieces[n] = (struct piece){ at - back, len + back };
			at += len;
		}
		for (size_t i = 2; i < n; i++) { /* the first stays: it begins the stream */
			size_t j = i - next_random(&rnd) % (i < 9 ? i : 8);
			struct piece t = pieces[i];
			pieces[i] = pieces[j ? j : 1];
			pieces[j ? j : 1] = t;
		}
		for (size_t i = 0; i < n; i++) {
			data(&f, 1, pieces[i].from, pieces[i].len, pieces[i].len, PLUMB_DATA_WIRE);
			if (next_random(&rnd) % 6 == 0)
				data(&f, 1, pieces[i].from, pieces[i].len, pieces[i].len, PLUMB_DATA_WIRE);
		}
		f.seen.keep = 0;
		assert_int_equal(f.seen.holes, 0);
		assert_true(f.seen.at + 41 >= BASE + (uint64_t)STREAM_BYTES);
		assert_memory_equal(f.seen.bytes, f.stream, f.seen.at - BASE);
		fixture_done(&f);
	}
}

static void jump_at_a_socket_waits_briefly(void **state)
{
	struct conn_counts n;
	struct fixture f;

	(void)state;
	fixture_init(&f, (struct conn_options){ 0 });
	data(&f, 1, 0, 100, 100, 0);
	data(&f, 1, 150, 50, 50, 0); /* another thread's write overtook */
	assert_int_equal(f.seen.at, BASE + 100ull);
	data(&f, 1, 100, 50, 50, 0);
	assert_int_equal(f.seen.at, BASE + 200ull);
	data(&f, 1, 300, 50, 50, 0); /* and this one is lost */
	tick(&f, 4000000);
	assert_int_equal(f.seen.holes, 0);
	tick(&f, 2000000);
	assert_int_equal(f.seen.holes, 1);
	assert_int_equal(f.seen.hole_bytes, 100);
	assert_int_equal(f.seen.at, BASE + 350ull);
	data(&f, 1, 200, 150, 150, 0); /* too late */
	conn_table_counts(f.table, &n);
	assert_int_equal(n.unseen_bytes[CONN_UNSEEN_OVERLAP], 150);
	assert_int_equal(n.reordered, 2);
	assert_int_equal(n.buffered_bytes, 0);
	fixture_done(&f);
}

/* A skipped range and a hole in every position to each other: only what was wanted is a loss. */
/* A time without records ends: request and answer both wait behind a gap, and come out in the order in which they came in. */
static void behind_two_gaps_order_is_kept(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		enum plumb_direction request = i & 1 ? PLUMB_EGRESS : PLUMB_INGRESS, answer = i & 1 ? PLUMB_INGRESS : PLUMB_EGRESS;
		struct fixture f;

		fixture_init(&f, (struct conn_options){ 0 });
		data_of(&f, PLUMB_INGRESS, 7, 0, 10, 10, 0);
		data_of(&f, PLUMB_EGRESS, 7, 0, 10, 10, 0);
		data_of(&f, request, 7, 100, 10, 10, 0);
		data_of(&f, answer, 7, 100, 10, 10, 0);
		assert_int_equal(f.seen.holes, 0);
		if (i & 2)
			tick(&f, 1000 * 1000 * 1000);
		else
			conn_table_flush(f.table);
		assert_int_equal(f.seen.holes, 2);
		assert_int_equal(f.seen.latest[1], request);
		assert_int_equal(f.seen.latest[0], answer);
		fixture_done(&f);
	}
}

/* What comes later in the other direction waits at a gap as well, and so at the next gap: it may be the answer to what comes behind it. */
static void an_answer_waits_at_its_requests_gap(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		enum plumb_direction request = i & 1 ? PLUMB_EGRESS : PLUMB_INGRESS, answer = i & 1 ? PLUMB_INGRESS : PLUMB_EGRESS;
		uint16_t flags = i & 2 ? PLUMB_DATA_WIRE : 0;
		struct fixture f;

		fixture_init(&f, (struct conn_options){ 0 });
		data_of(&f, PLUMB_INGRESS, 7, 0, 10, 10, flags);
		data_of(&f, PLUMB_EGRESS, 7, 0, 10, 10, flags);
		data_of(&f, request, 7, 20, 10, 10, flags);
		data_of(&f, answer, 7, 10, 10, 10, flags);
		data_of(&f, request, 7, 40, 10, 10, flags);
		data_of(&f, answer, 7, 20, 10, 10, flags);
		assert_int_equal(f.seen.consumed, flags ? 40 : 20);
		tick(&f, 1000 * 1000 * 1000);
		tick(&f, 1000 * 1000 * 1000);
		assert_int_equal(f.seen.holes, 2);
		assert_int_equal(f.seen.consumed, 60);
		assert_int_equal(f.seen.latest[1], request);
		assert_int_equal(f.seen.latest[0], flags ? request : answer);
		fixture_done(&f);
	}
}

/* A connection ends when its process closes it, which may be long before the kernel is done with it; not before its last bytes, and where that is not known, now. */
static void who_closes_waits_no_longer(void **state)
{
	static const struct { uint64_t closed_ns, want_ns; bool bytes; } cases[] = {
		{ 0, 9000, false }, { 0, 9000, true }, { 500, 500, false }, { 7000, 7000, true }, { 500, 9000, true }, { 9001, 9000, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture f;
		struct record r = { .u.sock_stats = { .sock = 7, .closed_ns = cases[i].closed_ns, .offset = { BASE + 20, 0 } } };

		fixture_init(&f, (struct conn_options){ 0 });
		sock(&f, 7, PLUMB_REC_SOCK_OPEN, 0);
		f.now = 1000 - STEP_NS;
		if (cases[i].bytes)
			data(&f, 7, 0, 10, 10, 0);
		r.u.h.type = PLUMB_REC_SOCK_CLOSE;
		r.u.h.time_ns = 9000;
		conn_table_record(f.table, &r, SLICE_NONE);
		assert_int_equal(f.seen.closes, 1);
		assert_int_equal(f.seen.closed_ns, cases[i].want_ns);
		assert_int_equal(f.seen.hole_bytes, cases[i].bytes ? 10 : 0);
		fixture_done(&f);
	}
}

/* A stretch that was left out to save cost is no hole, in neither direction. */
static void what_was_left_out_is_not_missing(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, (struct conn_options){ 0 });
	data_of(&f, PLUMB_INGRESS, 7, 0, 10, 10, 0);
	data_of(&f, PLUMB_EGRESS, 7, 0, 10, 10, 0);
	data_of(&f, PLUMB_INGRESS, 7, 500, 10, 10, PLUMB_DATA_RESUMED);
	data_of(&f, PLUMB_EGRESS, 7, 900, 10, 10, 0);
	assert_int_equal(f.seen.consumed, 40);
	assert_int_equal(f.seen.resumed, 1);
	tick(&f, 1000 * 1000 * 1000);
	assert_int_equal(f.seen.holes, 0);
	data_of(&f, PLUMB_INGRESS, 7, 520, 10, 10, 0);
	tick(&f, 1000 * 1000 * 1000);
	assert_int_equal(f.seen.holes, 1);
	fixture_done(&f);
}

static void data_at(struct fixture *f, enum plumb_direction dir, uint64_t offset, uint32_t len, uint32_t captured)
{
	struct record r = { .u.data = { .sock = 7, .offset = offset, .len = len, .captured = captured, .direction = (uint8_t)dir } };

	f->now += STEP_NS;
	r.u.h.type = PLUMB_REC_DATA;
	r.u.h.time_ns = f->now;
	conn_table_record(f->table, &r, slice_make(f->stream, captured));
}

/* From where the kernel encrypts both streams count anew; what comes late of before is no part of them, and what is missing within them a hole as ever. */
static void plaintext_begins_anew(void **state)
{
	const uint64_t in = PLUMB_PLAIN_FIRST(BASE + 61), out = PLUMB_PLAIN_FIRST(BASE + 89);
	struct fixture f;

	(void)state;
	fixture_init(&f, (struct conn_options){ 0 });
	sock(&f, 7, PLUMB_REC_SOCK_OPEN, 0);
	data_at(&f, PLUMB_EGRESS, BASE, 89, 89);
	data_at(&f, PLUMB_INGRESS, BASE, 61, 61);
	assert_int_equal(f.seen.consumed, 150);
	f.seen.keep = 50; /* of the next ones some are left */
	data_at(&f, PLUMB_INGRESS, BASE + 61, 71, 71);
	uint64_t before = f.seen.consumed;
	f.seen.keep = 0;
	data_at(&f, PLUMB_EGRESS, out, 17, 17);
	assert_int_equal(f.seen.uncovered, 1);
	const struct connection *c = conn_table_get(f.table, 7);
	assert_true(c->plain && c->synced);
	data_at(&f, PLUMB_INGRESS, BASE + 132, 41, 41);
	data_at(&f, PLUMB_INGRESS, in, 23, 23);
	data_at(&f, PLUMB_INGRESS, in + 23, 29, 29);
	assert_int_equal(f.seen.consumed, before + 17 + 23 + 29);
	assert_int_equal(f.seen.uncovered, 1);
	assert_int_equal(f.seen.holes, 0);
	data_at(&f, PLUMB_INGRESS, in + 55, 5, 5);
	tick(&f, 1000 * 1000 * 1000);
	assert_int_equal(f.seen.hole_bytes, 3);
	fixture_done(&f);
}

/* One that is older: where it began, and what is under way, nobody knows. */
static void plaintext_of_an_old_socket(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, (struct conn_options){ 0 });
	sock(&f, 7, PLUMB_REC_SOCK_OPEN, PLUMB_SOCK_PREEXISTING);
	data_at(&f, PLUMB_INGRESS, PLUMB_PLAIN_UNPLACED, 23, 23);
	assert_int_equal(f.seen.uncovered, 1);
	assert_int_equal(f.seen.consumed, 23);
	assert_false(conn_table_get(f.table, 7)->synced);
	fixture_done(&f);
}

/* The open record says where a stream begins: a first record that was lost leaves a hole like any other. A call that was under way then may begin before. */
static void the_first_record_may_be_lost(void **state)
{
	(void)state;
	for (size_t begins = 0; begins <= 20; begins += 10) {
		struct record r = { .u.sock = { .sock = 7, .family = AF_INET, .type = SOCK_STREAM, .offset = { BASE + begins, 0 } } };
		struct fixture f;

		fixture_init(&f, (struct conn_options){ 0 });
		r.u.h.type = PLUMB_REC_SOCK_OPEN;
		conn_table_record(f.table, &r, SLICE_NONE);
		data(&f, 7, 10, 10, 10, 0);
		data(&f, 7, 20, 10, 10, 0);
		data_of(&f, PLUMB_EGRESS, 7, 30, 10, 10, 0);
		tick(&f, 1000 * 1000 * 1000);
		assert_int_equal(f.seen.hole_bytes, begins == 0 ? 10 : 0);
		assert_int_equal(f.seen.consumed, 30);
		fixture_done(&f);
	}
}

static void holes_in_skipped_bytes_do_not_count(void **state)
{
	(void)state;
	for (size_t skip = 10; skip <= 70; skip += 5)
		for (size_t from = 10; from <= 60; from += 5)
			for (size_t to = from; to <= 80; to += 5) {
				struct fixture f;
				fixture_init(&f, (struct conn_options){ 0 });
				f.seen.skip_to = BASE + skip;
				data(&f, 1, 0, 10, 10, 0);
				if (from > 10)
					data(&f, 1, 10, from - 10, from - 10, 0);
				if (to > from)
					data(&f, 1, from, to - from, 0, 0);
				data(&f, 1, to, 100 - to, 100 - to, 0);
				size_t wanted_from = from > skip ? from : skip;
				assert_int_equal(f.seen.hole_bytes, to > wanted_from ? to - wanted_from : 0);
				assert_int_equal(f.seen.at, BASE + 100ull);
				assert_int_equal(f.seen.skipped, skip > 10);
				fixture_done(&f);
			}
}

static void waiting_bytes_are_bounded(void **state)
{
	struct conn_counts n;
	struct fixture f;

	(void)state;
	fixture_init(&f, (struct conn_options){ .max_stream_bytes = 1000 });
	f.seen.keep = SIZE_MAX;
	for (size_t i = 0; i < 40; i++)
		data(&f, 1, i * 100, 100, 100, 0);
	conn_table_counts(f.table, &n);
	assert_true(n.buffered_bytes <= 1000);
	assert_int_equal(n.unseen_bytes[CONN_UNSEEN_REFUSED], 3000);
	assert_int_equal(f.seen.hole_bytes, 3000);
	fixture_done(&f);

	fixture_init(&f, (struct conn_options){ .max_buffer_bytes = 4096 });
	f.seen.keep = SIZE_MAX;
	for (uint64_t s = 1; s <= 101; s++)
		data(&f, s, 0, 100, 100, 0);
	conn_table_counts(f.table, &n);
	assert_int_equal(n.buffered_bytes, 1600); /* 16 blocks of 256 */
	assert_int_equal(n.unseen_bytes[CONN_UNSEEN_EVICTED], 8500);
	assert_int_equal(n.unseen_bytes[CONN_UNSEEN_REFUSED], 0);
	fixture_done(&f);
}

/* Halves of requests that never go on fill the memory; who comes after them is read all the same. */
static void the_longest_waiting_gives_way(void **state)
{
	struct conn_counts n;
	struct fixture f;

	(void)state;
	fixture_init(&f, (struct conn_options){ .max_buffer_bytes = 4096 });
	f.seen.keep = SIZE_MAX;
	for (uint64_t s = 1; s <= 15; s++)
		data(&f, s, 0, 100, 100, 0);
	f.seen.keep = 10; /* the first one goes on, and waits anew */
	data(&f, 1, 100, 50, 50, 0);
	data(&f, 2, 150, 50, 50, PLUMB_DATA_WIRE); /* beyond a gap: memory is full now */
	assert_int_equal(f.seen.holes, 0);
	for (uint64_t s = 101; s <= 113; s++) {
		f.seen.keep = SIZE_MAX;
		data(&f, s, 0, 100, 100, 0);
		f.seen.keep = 0;
		data(&f, s, 100, 100, 100, 0);
		assert_int_equal(f.seen.at, BASE + 200ull);
		assert_memory_equal(f.seen.bytes, f.stream, 200);
	}
	conn_table_counts(f.table, &n);
	assert_int_equal(f.seen.holes, 3); /* of 2: its bytes, the gap, what lay behind it */
	assert_int_equal(f.seen.hole_sock, 2);
	assert_int_equal(n.unseen_bytes[CONN_UNSEEN_EVICTED], 100 + 50);
	assert_int_equal(n.unseen_bytes[CONN_UNSEEN_HOLE], 50);
	assert_int_equal(n.unseen_bytes[CONN_UNSEEN_INCOMPLETE], 0);
	assert_int_equal(f.seen.hole_bytes, 200);
	assert_int_equal(n.buffered_bytes, 10 + 13 * 100);
	fixture_done(&f);
}

/* Whatever waits, in order or not, memory stays below its limit and the bytes are right. Each byte of a record is parsed or counted by one reason. */
static void memory_is_bounded_and_bytes_add_up(void **state)
{
	enum { SOCKETS = 37, MAX_BYTES = 8192 };
	size_t at[SOCKETS] = { 0 };
	struct conn_counts n;
	struct fixture f;
	uint64_t rnd = 7;

	(void)state;
	fixture_init(&f, (struct conn_options){ .max_buffer_bytes = MAX_BYTES, .max_stream_bytes = 2048 });
	for (int i = 0; i < 20011; i++) {
		uint32_t s = next_random(&rnd) % SOCKETS;
		size_t gap = next_random(&rnd) % 3 ? 0 : next_random(&rnd) % 200, len = next_random(&rnd) % 300;
		f.seen.keep = next_random(&rnd) % 4 ? SIZE_MAX : next_random(&rnd) % 100;
		if (at[s] + gap + len > STREAM_BYTES) {
			sock(&f, s + 1, PLUMB_REC_SOCK_CLOSE, 0);
			sock(&f, s + 1, PLUMB_REC_SOCK_OPEN, 0);
			at[s] = 0;
			continue;
		}
		data(&f, s + 1, at[s] + gap, len, len - next_random(&rnd) % (len + 1) / 8, next_random(&rnd) % 2 ? PLUMB_DATA_WIRE : 0);
		if (!gap)
			at[s] += len;
		if (i % 997 == 0)
			tick(&f, 1000000000);
		conn_table_counts(f.table, &n);
		assert_true(n.buffered_bytes <= MAX_BYTES);
	}
	assert_memory_equal(f.seen.bytes, f.stream, 1000);
	for (uint32_t s = 0; s < SOCKETS; s++)
		sock(&f, s + 1, PLUMB_REC_SOCK_CLOSE, 0);
	conn_table_counts(f.table, &n);
	assert_int_equal(n.buffered_bytes, 0);
	uint64_t sum = f.seen.consumed;
	for (int why = 0; why < CONN_UNSEEN_REASONS; why++) {
		assert_true(n.unseen_bytes[why] > 0);
		sum += why == CONN_UNSEEN_HOLE ? 0 : n.unseen_bytes[why]; /* those are in no record */
	}
	assert_int_equal(sum, n.bytes[PLUMB_INGRESS]);
	fixture_done(&f);
}

static void full_table_evicts_the_oldest(void **state)
{
	struct conn_counts n;
	struct fixture f;

	(void)state;
	fixture_init(&f, (struct conn_options){ .max_connections = 13 });
	for (uint64_t s = 1; s <= 101; s++) {
		data(&f, s, 0, 10, 10, 0);
		f.now += 100000000; /* beyond the precision of the LRU order */
		data(&f, 1, s * 10, 10, 10, 0);
	}
	conn_table_counts(f.table, &n);
	assert_int_equal(n.evicted, 101 - 13);
	assert_int_equal(f.seen.evicted, 101 - 13);
	assert_int_equal(n.active, 13);
	assert_non_null(conn_table_get(f.table, 1)); /* in constant use */
	assert_null(conn_table_get(f.table, 2));
	assert_non_null(conn_table_get(f.table, 101));
	fixture_done(&f);
}

static void closed_sockets_leave_no_ghosts(void **state)
{
	struct conn_counts n;
	struct fixture f;

	(void)state;
	fixture_init(&f, (struct conn_options){ 0 });
	sock(&f, 7, PLUMB_REC_SOCK_OPEN, 0);
	data(&f, 7, 0, 10, 10, 0);
	data(&f, 7, 20, 10, 10, 0); /* waits; the close must not lose it */
	sock(&f, 7, PLUMB_REC_SOCK_CLOSE, PLUMB_SOCK_RESET);
	assert_int_equal(f.seen.closes, 1);
	assert_int_equal(f.seen.at, BASE + 30ull);
	assert_int_equal(f.seen.error, 104); /* ECONNRESET */
	data(&f, 7, 30, 10, 10, 0);
	assert_null(conn_table_get(f.table, 7));
	conn_table_counts(f.table, &n);
	assert_int_equal(n.late, 1);
	assert_int_equal(n.active, 0);
	f.now += 1000000000;
	data(&f, 7, 0, 10, 10, 0); /* long after: a connection whose open record was lost */
	assert_non_null(conn_table_get(f.table, 7));
	fixture_done(&f);
}

static void mapped_addresses_are_plain(void **state)
{
	struct fixture f;
	struct record r = { 0 };
	static const uint8_t a[16] = { 10, 0, 0, 1 }, b[16] = { 10, 0, 0, 2 };

	(void)state;
	fixture_init(&f, (struct conn_options){ 0 });
	r.u.sock = (struct plumb_rec_sock){ .sock = 8, .family = AF_INET6, .type = SOCK_STREAM, .local_port = 80, .remote_port = 40000,
					    .local_addr = { [10] = 0xff, 0xff, 10, 0, 0, 2 }, .remote_addr = { [10] = 0xff, 0xff, 10, 0, 0, 1 } };
	r.u.h.type = PLUMB_REC_SOCK_OPEN;
	conn_table_record(f.table, &r, SLICE_NONE);
	const struct connection *c = conn_table_get(f.table, 8);
	assert_int_equal(c->family, AF_INET);
	assert_memory_equal(c->local.addr, b, 16);
	assert_memory_equal(c->remote.addr, a, 16);
	fixture_done(&f);
}

enum { IDLE_S = 60 };
#define SECOND 1000000000ull

static void process_record(struct fixture *f, uint16_t type, uint32_t pid)
{
	struct record r = { 0 };

	if (type == PLUMB_REC_EXIT)
		r.u.exit.pid = pid;
	else
		r.u.exec.pid = pid;
	r.u.h.type = type;
	r.u.h.time_ns = f->now += STEP_NS;
	process_table_record(f->processes, &r, SLICE_NONE);
}

static void open_unix(struct fixture *f, uint64_t cookie, uint32_t pid)
{
	struct record r = { .u.sock = { .sock = cookie, .pair = cookie + 1000, .family = AF_UNIX, .type = SOCK_STREAM, .role = PLUMB_ROLE_SERVER,
					.pid = pid, .netns = 4099, .flags = PLUMB_SOCK_PREEXISTING, .path = "/run/shop.sock" } };

	r.u.h.type = PLUMB_REC_SOCK_OPEN;
	r.u.h.time_ns = f->now += STEP_NS;
	conn_table_record(f->table, &r, SLICE_NONE);
}

static void datagram(struct fixture *f, uint64_t cookie)
{
	struct record r = { .u.dgram = { .d = { .sock = cookie, .pid = 7, .len = 1, .captured = 1 }, .family = AF_INET, .peer_port = 50000 } };

	r.u.h.type = PLUMB_REC_DGRAM;
	r.u.h.time_ns = f->now += STEP_NS;
	conn_table_record(f->table, &r, slice_make("x", 1));
}

static void open_datagram(struct fixture *f, uint64_t cookie, uint8_t role)
{
	struct record r = { .u.sock = { .sock = cookie, .family = AF_INET, .type = SOCK_DGRAM, .role = role, .pid = 7, .netns = 4099,
					.local_port = 53, .local_addr = { 10, 0, 0, 1 } } };

	r.u.h.type = PLUMB_REC_SOCK_OPEN;
	r.u.h.time_ns = f->now += STEP_NS;
	conn_table_record(f->table, &r, SLICE_NONE);
}

/* A Unix socket is announced once, and its close never: a pool's connection must live through the night. */
static void an_idle_unix_stream_stays_itself(void **state)
{
	struct conn_counts n;
	struct fixture f;

	(void)state;
	fixture_init(&f, (struct conn_options){ 0 });
	for (uint32_t pid = 1; pid <= 211; pid++) {
		process_record(&f, PLUMB_REC_EXEC, pid);
		open_unix(&f, pid, pid);
	}
	for (int i = 0; i < 23; i++)
		tick(&f, IDLE_S * SECOND);
	conn_table_counts(f.table, &n);
	assert_int_equal(n.active, 211);
	assert_int_equal(n.idle_closed, 0);
	struct connection *c = conn_table_get(f.table, 101);
	assert_non_null(c);
	assert_int_equal(c->family, AF_UNIX);
	assert_int_equal(c->role, PLUMB_ROLE_SERVER);
	assert_int_equal(c->pair, 1101);
	assert_string_equal(c->path, "/run/shop.sock");
	/* Over: the process has ended, or the peer has. Each tick looks at a part of them. */
	process_record(&f, PLUMB_REC_EXIT, 97);
	data(&f, 101, 0, 0, 0, PLUMB_DATA_EOF);
	tick(&f, SECOND);
	assert_non_null(conn_table_get(f.table, 101)); /* its response may still be written */
	for (int i = 0; i < 7; i++)
		tick(&f, IDLE_S * SECOND);
	assert_null(conn_table_get(f.table, 97));
	assert_null(conn_table_get(f.table, 101));
	conn_table_counts(f.table, &n);
	assert_int_equal(n.active, 209);
	assert_int_equal(n.idle_closed, 2);
	assert_int_equal(f.seen.closes, 2);
	fixture_done(&f);
}

static void a_dropped_socket_is_known_again(void **state)
{
	struct conn_counts n;
	struct fixture f;

	(void)state;
	fixture_init(&f, (struct conn_options){ .max_connections = 13 });
	open_datagram(&f, 5, PLUMB_ROLE_SERVER);
	tick(&f, (IDLE_S + 1) * SECOND);
	assert_null(conn_table_get(f.table, 5));
	datagram(&f, 5);
	struct connection *c = conn_table_get(f.table, 5);
	assert_non_null(c);
	assert_int_equal(c->local.port, 53);
	assert_int_equal(c->local.addr[0], 10);
	assert_int_equal(c->role, PLUMB_ROLE_SERVER);
	assert_int_equal(c->netns, 4099);
	assert_int_equal(c->pid, 7);
	/* Evicted, not idle. */
	open_unix(&f, 6, 7);
	for (uint64_t s = 101; s < 101 + 13; s++) {
		f.now += 100000000;
		data(&f, s, 0, 10, 10, 0);
	}
	assert_null(conn_table_get(f.table, 6));
	data(&f, 6, 0, 10, 10, 0);
	c = conn_table_get(f.table, 6);
	assert_non_null(c);
	assert_int_equal(c->family, AF_UNIX);
	assert_int_equal(c->pair, 1006);
	assert_string_equal(c->path, "/run/shop.sock");
	fixture_done(&f);

	/* What the memory cannot hold is counted; clients' sockets, one for each look-up of a name, are not held at all. */
	fixture_init(&f, (struct conn_options){ 0 });
	for (uint64_t s = 1; s <= 10007; s++)
		open_datagram(&f, s, PLUMB_ROLE_CLIENT);
	tick(&f, (IDLE_S + 1) * SECOND);
	conn_table_counts(f.table, &n);
	assert_int_equal(n.idle_closed, 10007);
	assert_int_equal(n.forgotten, 0);
	for (uint64_t s = 1; s <= 10007; s++)
		open_datagram(&f, s, PLUMB_ROLE_SERVER);
	tick(&f, (IDLE_S + 1) * SECOND);
	uint64_t known = 0;
	for (uint64_t s = 1; s <= 10007; s++) {
		datagram(&f, s);
		known += conn_table_get(f.table, s)->local.port == 53;
	}
	conn_table_counts(f.table, &n);
	assert_true(known > 2000);
	assert_int_equal(known + n.forgotten, 10007);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_order_gives_the_stream),       cmocka_unit_test(jump_at_a_socket_waits_briefly),
		cmocka_unit_test(holes_in_skipped_bytes_do_not_count), cmocka_unit_test(waiting_bytes_are_bounded),
		cmocka_unit_test(full_table_evicts_the_oldest),        cmocka_unit_test(closed_sockets_leave_no_ghosts),
		cmocka_unit_test(mapped_addresses_are_plain),          cmocka_unit_test(an_idle_unix_stream_stays_itself),
		cmocka_unit_test(a_dropped_socket_is_known_again),     cmocka_unit_test(the_longest_waiting_gives_way),
		cmocka_unit_test(memory_is_bounded_and_bytes_add_up),         cmocka_unit_test(behind_two_gaps_order_is_kept),
		cmocka_unit_test(an_answer_waits_at_its_requests_gap), cmocka_unit_test(the_first_record_may_be_lost),
		cmocka_unit_test(what_was_left_out_is_not_missing),
		cmocka_unit_test(plaintext_begins_anew), cmocka_unit_test(plaintext_of_an_old_socket), cmocka_unit_test(who_closes_waits_no_longer),
	};
	return cmocka_run_group_tests_name("conn", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Whose socket a TLS library's session uses: by what its thread did within the call, before it, behind it; what is no evidence; and how many there were. */
#include <errno.h>

#include "sessions_fixture.h"

static void within_the_call(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	socket_opens(&f, SOCKET, 443);
	writes(&f, SOCKET, TID, 1ull << 32, 122, 0);
	writes(&f, SESSION(1), TID, 0, 100, 5000); /* it began before those bytes left */
	assert_int_equal(below(&f, SESSION(1)), SOCKET);
	const struct connection *c = conn_table_get(f.conns, SESSION(1));
	assert_int_equal(c->family, AF_INET);
	assert_int_equal(c->remote.port, 443);
	assert_int_equal(c->role, PLUMB_ROLE_CLIENT);
	assert_ptr_equal(f.encrypted, conn_table_get(f.conns, SOCKET));
	assert_int_equal(f.n, 1);
	assert_counted(&f, 1, 0, 0);
	/* Another session on the same socket, by the same evidence: the library says so. */
	reads(&f, SOCKET, TID, 1ull << 32, 99, 0);
	reads(&f, SESSION(2), TID, 0, 10, 5000);
	assert_int_equal(below(&f, SESSION(2)), SOCKET);
	assert_int_equal(below(&f, SESSION(1)), 0);
	assert_counted(&f, 2, 0, 0);
	/* And the first once more: it was counted. */
	reads(&f, SOCKET, TID, (1ull << 32) + 99, 99, 0);
	reads(&f, SESSION(1), TID, 0, 10, 5000);
	assert_int_equal(below(&f, SESSION(1)), SOCKET);
	assert_int_equal(below(&f, SESSION(2)), 0);
	closes(&f, SESSION(2), 0);
	closes(&f, SESSION(1), 0);
	assert_counted(&f, 2, 0, 0);
	done(&f);
}

static void not_within_another_threads(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	socket_opens(&f, SOCKET, 443);
	writes(&f, SOCKET, OTHER_TID, 1ull << 32, 122, 0);
	writes(&f, SESSION(1), TID, 0, 100, 5000);
	assert_int_equal(below(&f, SESSION(1)), 0);
	assert_int_equal(f.n, 0);
	sessions_flush(f.sessions);
	assert_int_equal(f.n, 1);
	done(&f);
}

static void not_what_is_understood(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	socket_opens(&f, SOCKET, 80);
	struct connection *c = conn_table_get(f.conns, SOCKET);
	c->phase = CONNECTION_PARSE;
	c->protocol = PLUMB_PROTO_HTTP1;
	writes(&f, SOCKET, TID, 1ull << 32, 122, 0);
	writes(&f, SESSION(1), TID, 0, 100, 5000);
	assert_int_equal(below(&f, SESSION(1)), 0);
	/* Nor what is new and not TLS by its first bytes, whatever it is. */
	c->phase = CONNECTION_DETECT;
	c->protocol = PLUMB_PROTO_NONE;
	writes(&f, SOCKET, TID, (1ull << 32) + 122, 122, 0);
	assert_int_equal(below(&f, SESSION(1)), 0);
	c->synced = false; /* older than what is known of it */
	writes(&f, SOCKET, TID, (1ull << 32) + 244, 122, 0);
	assert_int_equal(below(&f, SESSION(1)), SOCKET);
	done(&f);
}

static void read_before_the_call(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	socket_opens(&f, OTHER, 444);
	socket_opens(&f, SOCKET, 443);
	reads(&f, OTHER, TID, 1ull << 32, 300, 0);
	reads(&f, SOCKET, TID, 1ull << 32, 122, 0);
	f.now += MS;
	reads(&f, SESSION(1), TID, 0, 100, 500);
	assert_int_equal(below(&f, SESSION(1)), SOCKET);
	assert_int_equal(f.n, 1);
	assert_counted(&f, 0, 1, 0);
	/* That socket is taken: what another session reads has come another way. */
	reads(&f, SESSION(2), TID, 0, 100, 500);
	assert_int_equal(below(&f, SESSION(2)), 0);
	done(&f);
}

/* An event loop reads several sockets before it decrypts what one has brought: lengths tell whose it is. */
static void read_before_others(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	socket_opens(&f, SOCKET, 443);
	socket_opens(&f, OTHER, 444);
	moves_records(&f, SOCKET, PLUMB_INGRESS, 3, (struct tls_record[]){ { 20, 1 }, { 23, 69 }, { 23, 117 } });
	moves_records(&f, OTHER, PLUMB_INGRESS, 2, (struct tls_record[]){ { 20, 1 }, { 23, 69 } });
	reads(&f, SESSION(1), TID, 0, 100, 500);
	assert_int_equal(below(&f, SESSION(1)), SOCKET);
	done(&f);
}

/* Where they do not, nothing is guessed: what the session writes, or the next reading, will tell. */
static void read_before_like_others(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	socket_opens(&f, SOCKET, 443);
	socket_opens(&f, OTHER, 444);
	moves_records(&f, SOCKET, PLUMB_INGRESS, 1, (struct tls_record[]){ { 23, 117 } });
	moves_records(&f, OTHER, PLUMB_INGRESS, 1, (struct tls_record[]){ { 23, 117 } });
	reads(&f, SESSION(1), TID, 0, 100, 500);
	reads(&f, SESSION(2), TID, 0, 100, 500);
	assert_int_equal(below(&f, SESSION(1)), 0);
	assert_int_equal(below(&f, SESSION(2)), 0);
	writes(&f, SESSION(2), TID, 0, 2003, 500);
	writes(&f, SESSION(1), TID, 0, 211, 500);
	assert_int_equal(f.n, 0);
	moves_records(&f, SOCKET, PLUMB_EGRESS, 1, (struct tls_record[]){ { 23, 228 } });
	assert_int_equal(below(&f, SESSION(1)), SOCKET);
	assert_int_equal(below(&f, SESSION(2)), 0);
	assert_int_equal(f.n, 2);
	moves_records(&f, OTHER, PLUMB_EGRESS, 1, (struct tls_record[]){ { 23, 2020 } });
	assert_int_equal(below(&f, SESSION(2)), OTHER);
	assert_int_equal(f.n, 4);
	done(&f);
}

static void too_long_before(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	socket_opens(&f, SOCKET, 443);
	reads(&f, SOCKET, TID, 1ull << 32, 122, 0);
	f.now += 1009ull * MS;
	reads(&f, SESSION(1), TID, 0, 100, 500);
	assert_int_equal(below(&f, SESSION(1)), 0);
	done(&f);
}

/* What was written waits for the encrypted bytes to leave, and goes on in its order. */
static void written_behind_the_call(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	socket_opens(&f, SOCKET, 443);
	socket_opens(&f, OTHER, 444);
	writes(&f, SESSION(1), TID, 0, 100, 500);
	writes(&f, SESSION(1), TID, 100, 7, 500);
	writes(&f, SESSION(2), OTHER_TID, 0, 41, 500);
	assert_int_equal(f.n, 0);
	moves(&f, OTHER, TID, PLUMB_EGRESS, 1ull << 32, 300, 0, 22); /* of a handshake */
	writes(&f, OTHER, TID, (1ull << 32) + 300, 115, 0);          /* too little to hold them */
	assert_int_equal(f.n, 0);
	moves(&f, SOCKET, TID, PLUMB_EGRESS, 1ull << 32, 151, 0, 23);
	assert_int_equal(below(&f, SESSION(1)), SOCKET);
	assert_int_equal(below(&f, SESSION(2)), 0);
	assert_int_equal(f.n, 2);
	assert_int_equal(f.order[0], 0);
	assert_int_equal(f.order[1], 100);
	writes(&f, SESSION(1), TID, 107, 11, 500); /* nothing waits any more */
	assert_int_equal(f.n, 3);
	assert_counted(&f, 0, 1, 0);
	done(&f);
}

/* The end of a handshake leaves with the first request behind it. */
static void written_with_a_handshake(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	socket_opens(&f, SOCKET, 443);
	socket_opens(&f, OTHER, 444);
	writes(&f, SESSION(1), TID, 0, 100, 500);
	writes(&f, SESSION(2), TID, 0, 41, 500);
	moves_records(&f, OTHER, PLUMB_EGRESS, 3, (struct tls_record[]){ { 20, 1 }, { 22, 40 }, { 23, 65 } });
	assert_int_equal(below(&f, SESSION(1)), 0);
	assert_int_equal(below(&f, SESSION(2)), OTHER);
	moves_records(&f, SOCKET, PLUMB_EGRESS, 2, (struct tls_record[]){ { 20, 1 }, { 22, 300 } });
	assert_int_equal(below(&f, SESSION(1)), 0);
	moves_records(&f, SOCKET, PLUMB_EGRESS, 3, (struct tls_record[]){ { 23, 69 }, { 23, 77 }, { 23, 57 } }); /* in parts */
	assert_int_equal(below(&f, SESSION(1)), SOCKET);
	done(&f);
}

/* Does one record of so many bytes, of which the head was captured, carry what was written? */
static bool carries(uint16_t record, uint32_t written)
{
	const uint8_t head[] = { 23, 3, 3, (uint8_t)(record >> 8), (uint8_t)record };
	struct record r = { .u.data = { .sock = SOCKET, .tid = TID, .direction = PLUMB_EGRESS, .offset = 1ull << 32, .len = sizeof(head) + record, .captured = sizeof(head) } };
	struct fixture f;

	begin(&f);
	socket_opens(&f, SOCKET, 443);
	writes(&f, SESSION(1), TID, 0, written, 500);
	r.u.h = (struct plumb_rec_header){ .type = PLUMB_REC_DATA, .time_ns = f.now += 1000 };
	sessions_data(f.sessions, &r, slice_make(head, sizeof(head)));
	bool placed = below(&f, SESSION(1)) == SOCKET;
	assert_counted(&f, 0, placed, 0);
	assert_int_equal(f.n, placed);
	done(&f);
	return placed;
}

/* A tag of 16 bytes at least, a block, a digest and padding, 80, at most; of what takes several records, the first is full. */
static void what_a_record_carries(void **state)
{
	(void)state;
	assert_false(carries(115, 100));
	assert_true(carries(116, 100));
	assert_true(carries(180, 100));
	assert_false(carries(181, 100));
	assert_false(carries(16399, 16384));
	assert_true(carries(16400, 16384));
	assert_true(carries(16400, 40009));
	assert_false(carries(16465, 40009));
}

/* What its thread does before or behind the call is another goroutine's; what it did within the next one is not. */
static void a_goroutine(void **state)
{
	struct fixture f;
	struct record r = { .u.data = { .sock = SESSION(1), .tid = TID, .flow = 7, .direction = PLUMB_EGRESS, .len = 10 } };

	(void)state;
	begin(&f);
	socket_opens(&f, OTHER, 444);
	socket_opens(&f, SOCKET, 443);
	reads(&f, OTHER, TID, 1ull << 32, 300, 0);
	r.u.h = (struct plumb_rec_header){ .type = PLUMB_REC_DATA, .time_ns = f.now += 1000 };
	sessions_data(f.sessions, &r, SLICE_NONE);
	writes(&f, OTHER, TID, 1ull << 32, 300, 0);
	assert_int_equal(f.n, 0);
	reads(&f, SOCKET, TID, 1ull << 32, 300, 0);
	r.u.data.direction = PLUMB_INGRESS;
	r.u.data.took_ns = 5000;
	r.u.h.time_ns = f.now += 1000;
	sessions_data(f.sessions, &r, SLICE_NONE);
	assert_int_equal(below(&f, SESSION(1)), SOCKET);
	assert_int_equal(f.n, 2);
	done(&f);
}

/* What it writes is told before it leaves; that it is just as long is evidence enough. */
static void a_goroutine_writes(void **state)
{
	struct fixture f;
	struct record r = { .u.data = { .sock = SESSION(1), .tid = TID, .flow = 7, .direction = PLUMB_EGRESS, .len = 100 } };

	(void)state;
	begin(&f);
	socket_opens(&f, OTHER, 444);
	socket_opens(&f, SOCKET, 443);
	r.u.h = (struct plumb_rec_header){ .type = PLUMB_REC_DATA, .time_ns = f.now += 1000 };
	sessions_data(f.sessions, &r, SLICE_NONE);
	moves_records(&f, OTHER, PLUMB_EGRESS, 1, (struct tls_record[]){ { 23, 300 } });
	assert_int_equal(f.n, 0);
	moves_records(&f, SOCKET, PLUMB_EGRESS, 1, (struct tls_record[]){ { 23, 117 } });
	assert_int_equal(below(&f, SESSION(1)), SOCKET);
	assert_int_equal(f.n, 1);
	done(&f);
}

static void what_waits_goes_on_without(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	writes(&f, SESSION(1), TID, 0, 100, 500);
	sessions_tick(f.sessions, f.now + 97ull * MS);
	assert_int_equal(f.n, 0);
	writes(&f, SESSION(1), TID, 100, 100, 500);
	sessions_tick(f.sessions, f.now + 101ull * MS);
	assert_int_equal(f.n, 2);
	writes(&f, SESSION(1), TID, 200, 100, 500); /* it has waited once */
	assert_int_equal(f.n, 3);
	assert_counted(&f, 0, 0, 0);
	/* Its socket is found later all the same. */
	socket_opens(&f, SOCKET, 443);
	writes(&f, SOCKET, TID, 1ull << 32, 122, 0);
	writes(&f, SESSION(1), TID, 300, 100, 5000);
	assert_int_equal(below(&f, SESSION(1)), SOCKET);
	closes(&f, SESSION(1), 0);
	assert_counted(&f, 1, 0, 0);
	/* Of another it is not, until its end, which is the end of what waits, too. */
	writes(&f, SESSION(2), OTHER_TID, 0, 7, 500);
	assert_int_equal(f.n, 4);
	sessions_close(f.sessions, SESSION(2));
	assert_int_equal(f.n, 5);
	assert_counted(&f, 1, 0, 0);
	closes(&f, SESSION(2), 0);
	assert_counted(&f, 1, 0, 1);
	done(&f);
}

/* One that gives way to others has ended, as far as is known; if its socket was, it is the same when it comes back. */
static void those_that_give_way(void **state)
{
	struct fixture f;

	(void)state;
	begin_with(&f, 3);
	socket_opens(&f, SOCKET, 443);
	writes(&f, SOCKET, TID, 1ull << 32, 122, 0);
	writes(&f, SESSION(1), TID, 0, 100, 5000);
	writes(&f, SESSION(2), OTHER_TID, 0, 100, 500);
	for (uint64_t i = 0; i < 3; i++)
		socket_opens(&f, 100 + i, 443);
	assert_null(conn_table_get(f.conns, SESSION(1)));
	assert_null(conn_table_get(f.conns, SESSION(2)));
	assert_counted(&f, 1, 0, 1);
	writes(&f, SOCKET, TID, (1ull << 32) + 122, 122, 0);
	writes(&f, SESSION(1), TID, 100, 100, 5000);
	assert_int_equal(below(&f, SESSION(1)), SOCKET);
	assert_counted(&f, 1, 0, 1);
	done(&f);
}

/* As many as may wait do; the next one goes on, behind none of its own session's. */
static void no_more_wait_than_may(void **state)
{
	struct fixture f;
	struct sessions_counts n;

	(void)state;
	begin(&f);
	for (uint64_t i = 0; i < 512; i++)
		writes(&f, SESSION(100 + i), TID, 0, 100, 500);
	assert_int_equal(f.n, 0);
	writes(&f, SESSION(1), TID, 0, 100, 500);
	assert_int_equal(f.n, 1);
	/* One of a session that waits takes those before it along. */
	writes(&f, SESSION(100), TID, 100, 100, 500);
	assert_int_equal(f.n, 3);
	assert_int_equal(f.order[1], 0);
	assert_int_equal(f.order[2], 100);
	sessions_counts(f.sessions, &n);
	assert_int_equal(n.refused, 2);
	done(&f);
}

/* Nor more bytes: 4 MiB, to the last one. */
static void no_more_bytes_wait_than_may(void **state)
{
	enum { EACH = 16384, MOST = 4 << 20 };
	static uint8_t bytes[EACH];
	struct fixture f;
	struct sessions_counts n;
	struct record r = { .u.data = { .tid = TID, .direction = PLUMB_EGRESS, .len = EACH, .captured = EACH } };

	(void)state;
	begin(&f);
	for (uint64_t i = 0; i < MOST / EACH + 2; i++) {
		r.u.data.sock = SESSION(100 + i);
		r.u.h = (struct plumb_rec_header){ .type = PLUMB_REC_DATA, .time_ns = f.now += 1000 };
		sessions_data(f.sessions, &r, slice_make(bytes, EACH));
	}
	assert_int_equal(f.n, 2);
	sessions_counts(f.sessions, &n);
	assert_int_equal(n.refused, 2);
	/* When they have gone on there is room again. */
	sessions_close(f.sessions, SESSION(100));
	assert_int_equal(f.n, 3);
	r.u.data.sock = SESSION(99);
	sessions_data(f.sessions, &r, slice_make(bytes, EACH));
	assert_int_equal(f.n, 3);
	done(&f);
}

static void a_session_ends_with_its_socket(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	socket_opens(&f, SOCKET, 443);
	writes(&f, SOCKET, TID, 1ull << 32, 122, 0);
	writes(&f, SESSION(1), TID, 0, 100, 5000);
	closes(&f, SOCKET, ECONNRESET);
	assert_int_equal(f.closed, 1);
	assert_int_equal(f.error, ECONNRESET);
	assert_null(conn_table_get(f.conns, SESSION(1)));
	/* And one that was given back before. */
	socket_opens(&f, OTHER, 443);
	writes(&f, OTHER, TID, 1ull << 32, 122, 0);
	writes(&f, SESSION(2), TID, 0, 100, 5000);
	closes(&f, SESSION(2), 0);
	assert_int_equal(f.closed, 2);
	assert_int_equal(conn_table_get(f.conns, OTHER)->above, 0);
	closes(&f, OTHER, 0);
	assert_int_equal(f.closed, 2);
	done(&f);
}

static void one_without_a_socket_ends_with_its_process(void **state)
{
	struct fixture f;
	struct record r = { .u.data = { .sock = SESSION(1), .pid = 101, .tid = TID, .direction = PLUMB_EGRESS, .len = 10 } };
	struct record ends = { .u.exit = { .pid = 101 } }, tick = { .u.h = { .type = PLUMB_REC_TICK } };

	(void)state;
	begin(&f);
	r.u.h = (struct plumb_rec_header){ .type = PLUMB_REC_DATA, .time_ns = f.now };
	sessions_data(f.sessions, &r, SLICE_NONE);
	r.u.data.sock = SESSION(2);
	r.u.data.pid = 102;
	sessions_data(f.sessions, &r, SLICE_NONE);
	sessions_flush(f.sessions);
	ends.u.h = (struct plumb_rec_header){ .type = PLUMB_REC_EXIT, .time_ns = f.now += MS };
	process_table_record(f.processes, &ends, SLICE_NONE);
	tick.u.h.time_ns = f.now += 1000ull * MS;
	conn_table_record(f.conns, &tick, SLICE_NONE);
	assert_int_equal(f.closed, 0); /* what it has moved may yet be told of */
	tick.u.h.time_ns = f.now += MS;
	conn_table_record(f.conns, &tick, SLICE_NONE);
	assert_int_equal(f.closed, 1);
	assert_counted(&f, 0, 0, 1);
	assert_null(conn_table_get(f.conns, SESSION(1)));
	assert_non_null(conn_table_get(f.conns, SESSION(2)));
	done(&f);
}

static const struct crossing *crossing(struct fixture *f, uint64_t session, enum plumb_direction dir) { return &conn_table_get(f->conns, session)->crossing[dir]; }

/* Where in its socket's stream the latest bytes of a session begin: the same to both ends, whatever they count. */
static void where_its_bytes_are(void **state)
{
	const uint64_t at = 5ull << 32;
	struct fixture f;

	(void)state;
	begin(&f);
	socket_opens(&f, SOCKET, 443);
	/* The library uses the socket: what left within the call, in several parts. */
	writes(&f, SOCKET, TID, at, 100, 0);
	writes(&f, SOCKET, TID, at + 100, 122, 0);
	writes(&f, SESSION(1), TID, 0, 180, 5000);
	assert_true(crossing(&f, SESSION(1), PLUMB_EGRESS)->known);
	assert_int_equal(crossing(&f, SESSION(1), PLUMB_EGRESS)->carried, at);
	/* What came before the call, in parts, too; but for the first time others may have come before, whose calls were missed. */
	reads(&f, SOCKET, TID, at + 1, 2, 0);
	reads(&f, SOCKET, TID, at + 3, 4, 0);
	f.now += MS;
	reads(&f, SESSION(1), TID, 990, 10, 500);
	assert_false(crossing(&f, SESSION(1), PLUMB_INGRESS)->known);
	reads(&f, SOCKET, TID, at + 7, 5, 0);
	reads(&f, SOCKET, TID, at + 12, 117, 0);
	reads(&f, SESSION(1), TID, 1000, 100, 500);
	assert_int_equal(crossing(&f, SESSION(1), PLUMB_INGRESS)->carried, at + 7);
	assert_int_equal(crossing(&f, SESSION(1), PLUMB_INGRESS)->plain, 1000);
	/* The rest of these bytes, read from the library's memory. */
	reads(&f, SESSION(1), TID, 1100, 100, 500);
	assert_int_equal(crossing(&f, SESSION(1), PLUMB_INGRESS)->carried, at + 7);
	assert_int_equal(crossing(&f, SESSION(1), PLUMB_INGRESS)->plain, 1000);
	/* The program carries the bytes: they leave behind what has left. */
	writes(&f, SOCKET, TID, at + 222, 50, 0);
	f.now += MS;
	writes(&f, SESSION(1), TID, 180, 10, 500);
	assert_true(crossing(&f, SESSION(1), PLUMB_EGRESS)->known);
	assert_int_equal(crossing(&f, SESSION(1), PLUMB_EGRESS)->carried, at + 272);
	/* Some of it has left before the call that told of it, as where that was tried before: what of it, nobody knows. */
	writes(&f, SOCKET, TID, at + 272, 20, 0);
	f.now += MS;
	writes(&f, SOCKET, TID, at + 292, 20, 0);
	writes(&f, SESSION(1), TID, 190, 10, 500000);
	assert_false(crossing(&f, SESSION(1), PLUMB_EGRESS)->known);
	writes(&f, SOCKET, TID, at + 312, 20, 0);
	f.now += MS;
	writes(&f, SESSION(1), TID, 200, 10, 500);
	assert_int_equal(crossing(&f, SESSION(1), PLUMB_EGRESS)->carried, at + 332);
	/* With others that wait. */
	writes(&f, SESSION(1), TID, 210, 10, 500);
	assert_int_equal(crossing(&f, SESSION(1), PLUMB_EGRESS)->carried, at + 332);
	assert_int_equal(crossing(&f, SESSION(1), PLUMB_EGRESS)->plain, 200);
	done(&f);
}

static void one_that_was_older_says_so(void **state)
{
	struct fixture f;
	struct record r = { .u.data = { .sock = SESSION(1), .tid = TID, .offset = 0, .len = 10, .flags = PLUMB_DATA_MIDWAY } };

	(void)state;
	begin(&f);
	r.u.h = (struct plumb_rec_header){ .type = PLUMB_REC_DATA, .time_ns = f.now };
	sessions_data(f.sessions, &r, SLICE_NONE);
	assert_true(conn_table_get(f.conns, SESSION(1))->flags & PLUMB_SOCK_PREEXISTING);
	assert_false(conn_table_get(f.conns, SESSION(1))->synced);
	writes(&f, SESSION(2), TID, 0, 10, 0);
	assert_true(conn_table_get(f.conns, SESSION(2))->synced);
	/* Another engine has known its beginning: this one misses nothing of it, and does not wait for it either. */
	struct conn_counts n;
	writes(&f, SESSION(3), TID, 4711, 10, 0);
	assert_false(conn_table_get(f.conns, SESSION(3))->synced);
	sessions_flush(f.sessions);
	conn_table_flush(f.conns);
	conn_table_counts(f.conns, &n);
	assert_int_equal(n.unseen_bytes[CONN_UNSEEN_HOLE], 0);
	done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(within_the_call),
		cmocka_unit_test(not_within_another_threads),
		cmocka_unit_test(not_what_is_understood),
		cmocka_unit_test(read_before_the_call),
		cmocka_unit_test(read_before_others),
		cmocka_unit_test(read_before_like_others),
		cmocka_unit_test(too_long_before),
		cmocka_unit_test(written_behind_the_call),
		cmocka_unit_test(written_with_a_handshake),
		cmocka_unit_test(what_a_record_carries),
		cmocka_unit_test(a_goroutine),
		cmocka_unit_test(a_goroutine_writes),
		cmocka_unit_test(what_waits_goes_on_without),
		cmocka_unit_test(those_that_give_way),
		cmocka_unit_test(no_more_wait_than_may),
		cmocka_unit_test(no_more_bytes_wait_than_may),
		cmocka_unit_test(a_session_ends_with_its_socket),
		cmocka_unit_test(one_without_a_socket_ends_with_its_process),
		cmocka_unit_test(where_its_bytes_are),
		cmocka_unit_test(one_that_was_older_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

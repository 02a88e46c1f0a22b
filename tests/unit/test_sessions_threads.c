/* SPDX-License-Identifier: Apache-2.0 */
/* Whose socket a TLS library's session uses where one thread moves the encrypted bytes and another the plaintext, and where the library itself says so. */
#include "sessions_fixture.h"

static void begin_two(struct fixture *f)
{
	begin(f);
	socket_opens(f, SOCKET, 443);
	socket_opens(f, OTHER, 443);
}

static uint64_t found(const struct fixture *f, enum sessions_evidence by)
{
	struct sessions_counts n;

	sessions_counts(f->sessions, &n);
	return n.found[by];
}

static void says(struct fixture *f, uint64_t session, uint64_t sock)
{
	const struct plumb_rec_session r = { .session = session, .sock = sock, .pid = PID };

	sessions_socket(f->sessions, &r);
}

static void goroutine_writes(struct fixture *f, uint64_t session, uint32_t len)
{
	struct record r = { .u.data = { .sock = session, .pid = PID, .tid = TID, .flow = 7, .direction = PLUMB_EGRESS, .len = len } };

	r.u.h = (struct plumb_rec_header){ .type = PLUMB_REC_DATA, .time_ns = f->now += 1000 };
	sessions_data(f->sessions, &r, SLICE_NONE);
}

/* What its library says goes before all that its thread does. */
static void as_the_library_says(void **state)
{
	struct fixture f;

	(void)state;
	begin_two(&f);
	says(&f, SESSION(1), SOCKET);
	writes(&f, OTHER, TID, 1ull << 32, 122, 0);
	writes(&f, SESSION(1), TID, 0, 100, 5000); /* within this call OTHER's left */
	assert_int_equal(below(&f, SESSION(1)), SOCKET);
	goroutine_writes(&f, SESSION(2), 100);
	says(&f, SESSION(2), THIRD); /* that is not known yet */
	assert_int_equal(f.n, 1);
	socket_opens(&f, THIRD, 443);
	moves_numbered(&f, OTHER, PID, TID, PLUMB_EGRESS, 1, 117); /* its thread writes what fits: another goroutine's */
	assert_int_equal(f.n, 1);
	moves_numbered(&f, THIRD, PID, OTHER_TID, PLUMB_EGRESS, 2, 317);
	assert_int_equal(below(&f, SESSION(2)), THIRD);
	assert_int_equal(f.n, 2);
	assert_int_equal(found(&f, SESSIONS_BY_DESCRIPTOR), 2);
	assert_counted(&f, 0, 0, 0);
	/* A session lies on no session, whatever a file says. */
	says(&f, SESSION(4), SESSION(4));
	writes(&f, SESSION(4), TID, 0, 100, 0);
	assert_int_equal(below(&f, SESSION(4)), 0);
	/* A socket that carries something in clear is none, and then there is none. */
	conn_table_get(f.conns, OTHER)->protocol = PLUMB_PROTO_HTTP1;
	says(&f, SESSION(3), OTHER);
	reads(&f, SOCKET, TID, 1ull << 33, 122, 0);
	reads(&f, SESSION(3), TID, 0, 100, 5000);
	assert_int_equal(below(&f, SESSION(3)), 0);
	done(&f);
}

/* One thread receives what another decrypts, which has just read as much of another socket. */
static void a_record_that_both_have_read(void **state)
{
	struct fixture f;

	(void)state;
	begin_two(&f);
	moves_numbered(&f, SOCKET, PID, OTHER_TID, PLUMB_INGRESS, 1, 117);
	moves_numbered(&f, OTHER, PID, TID, PLUMB_INGRESS, 2, 117);
	session_moves(&f, SESSION(1), PID, TID, PLUMB_INGRESS, 100, PLUMB_DATA_RECORD, number_of_first(1));
	assert_int_equal(below(&f, SESSION(1)), SOCKET);
	/* The record's number is no goroutine's. */
	assert_int_equal(f.flow, 0);
	assert_int_equal(f.flags, 0);
	/* Of a record that nobody was seen to read it is not known; that another is as long says nothing. */
	session_moves(&f, SESSION(2), PID, TID, PLUMB_INGRESS, 100, PLUMB_DATA_RECORD, number_of_first(3));
	assert_int_equal(below(&f, SESSION(2)), 0);
	/* Who has sent it knows its number, too. */
	session_moves(&f, SESSION(3), OTHER_PID, TID, PLUMB_INGRESS, 100, PLUMB_DATA_RECORD, number_of_first(2));
	assert_int_equal(below(&f, SESSION(3)), 0);
	session_moves(&f, SESSION(4), PID, TID, PLUMB_INGRESS, 100, PLUMB_DATA_RECORD, number_of_first(2));
	assert_int_equal(below(&f, SESSION(4)), OTHER);
	assert_int_equal(found(&f, SESSIONS_BY_RECORD), 2);
	assert_counted(&f, 0, 0, 0);
	done(&f);
}

static void a_record_that_both_have_written(void **state)
{
	struct fixture f;

	(void)state;
	begin_two(&f);
	session_moves(&f, SESSION(1), PID, TID, PLUMB_EGRESS, 100, PLUMB_DATA_RECORD, number_of_first(1));
	session_moves(&f, SESSION(2), PID, OTHER_TID, PLUMB_EGRESS, 100, PLUMB_DATA_RECORD, number_of_first(2));
	moves_numbered(&f, OTHER, PID, TID, PLUMB_EGRESS, 3, 117);       /* as long, by the same thread, and another's */
	moves_numbered(&f, OTHER, OTHER_PID, TID, PLUMB_EGRESS, 2, 117); /* as another process says */
	assert_int_equal(f.n, 0);
	moves_numbered(&f, OTHER, PID, TID, PLUMB_EGRESS, 2, 117);
	moves_numbered(&f, SOCKET, PID, OTHER_TID, PLUMB_EGRESS, 1, 117);
	assert_int_equal(below(&f, SESSION(1)), SOCKET);
	assert_int_equal(below(&f, SESSION(2)), OTHER);
	assert_int_equal(f.n, 2);
	assert_int_equal(found(&f, SESSIONS_BY_RECORD), 2);
	done(&f);
}

static void moves_unseen(struct fixture *f, uint64_t sock, enum plumb_direction dir)
{
	struct record r = { .u.data = { .sock = sock, .pid = PID, .tid = TID, .direction = (uint8_t)dir, .offset = 1ull << 32, .len = 122 } };

	r.u.h = (struct plumb_rec_header){ .type = PLUMB_REC_DATA, .time_ns = f->now += 1000 };
	sessions_data(f->sessions, &r, SLICE_NONE);
}

/* Of a socket of which no bytes were captured the thread has to do, if it is alone. */
static void records_that_were_not_captured(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	for (uint64_t i = 0; i < 3; i++)
		socket_opens(&f, SOCKET + i, 443);
	moves_numbered(&f, SOCKET, PID, OTHER_TID, PLUMB_INGRESS, 1, 317);
	session_moves(&f, SESSION(1), PID, TID, PLUMB_EGRESS, 100, PLUMB_DATA_RECORD, number_of_first(2));
	moves_unseen(&f, SOCKET + 1, PLUMB_EGRESS);
	assert_int_equal(below(&f, SESSION(1)), 0);
	moves_unseen(&f, SOCKET + 1, PLUMB_INGRESS);
	session_moves(&f, SESSION(1), PID, TID, PLUMB_INGRESS, 100, PLUMB_DATA_RECORD, number_of_first(3));
	session_moves(&f, SESSION(1), PID, TID, PLUMB_INGRESS, 100, 0, 0); /* not of every one a record is known */
	assert_int_equal(below(&f, SESSION(1)), 0);
	closes(&f, SOCKET, 0);
	moves_numbered(&f, SOCKET, OTHER_PID, OTHER_TID + 1, PLUMB_INGRESS, 1, 317);
	moves_unseen(&f, SOCKET + 2, PLUMB_INGRESS);
	session_moves(&f, SESSION(1), PID, TID, PLUMB_INGRESS, 100, PLUMB_DATA_RECORD, number_of_first(4));
	assert_int_equal(below(&f, SESSION(1)), SOCKET + 2);
	session_moves(&f, SESSION(2), PID, TID, PLUMB_EGRESS, 100, PLUMB_DATA_RECORD, number_of_first(5));
	moves_unseen(&f, SOCKET + 1, PLUMB_EGRESS);
	assert_int_equal(below(&f, SESSION(2)), SOCKET + 1);
	assert_counted(&f, 0, 2, 0);
	done(&f);
}

/* Of sessions that were there when plumb came, its thread tells once others would have been seen. */
static void a_session_that_was_there(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	socket_opens(&f, SOCKET, 443);
	moves_unseen(&f, SOCKET, PLUMB_INGRESS);
	session_moves(&f, SESSION(1), PID, TID, PLUMB_INGRESS, 100, PLUMB_DATA_RECORD | PLUMB_DATA_MIDWAY, number_of_first(3));
	assert_int_equal(below(&f, SESSION(1)), 0);
	f.now += 1100ull * MS;
	moves_unseen(&f, SOCKET, PLUMB_INGRESS);
	session_moves(&f, SESSION(1), PID, TID, PLUMB_INGRESS, 100, PLUMB_DATA_RECORD | PLUMB_DATA_MIDWAY, number_of_first(3));
	assert_int_equal(below(&f, SESSION(1)), SOCKET);
	done(&f);
}

/* Of a record behind those whose numbers are kept the socket may be the one: it has others, too. */
static void more_records_than_are_kept(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	socket_opens(&f, SOCKET, 443);
	moves_records(&f, SOCKET, PLUMB_INGRESS, 4, (struct tls_record[]){ { 23, 800 }, { 23, 280 }, { 23, 53 }, { 23, 117 } });
	session_moves(&f, SESSION(1), 0, TID, PLUMB_INGRESS, 100, PLUMB_DATA_RECORD, number_of_first(4));
	assert_int_equal(below(&f, SESSION(1)), SOCKET);
	done(&f);
}

/* Any thread may have read it: of two that may be it none is, nor is what its thread writes behind. */
static void a_session_apart(void **state)
{
	struct fixture f;

	(void)state;
	begin_two(&f);
	socket_opens(&f, THIRD, 443);
	moves_numbered(&f, SOCKET, PID, OTHER_TID, PLUMB_INGRESS, 1, 117);
	moves_numbered(&f, OTHER, PID, TID, PLUMB_INGRESS, 2, 117);
	session_moves(&f, SESSION(1), PID, TID, PLUMB_INGRESS, 100, PLUMB_DATA_APART, 0);
	session_moves(&f, SESSION(1), PID, TID, PLUMB_EGRESS, 100, PLUMB_DATA_APART, 0);
	moves_numbered(&f, OTHER, PID, TID, PLUMB_EGRESS, 3, 117);
	assert_int_equal(below(&f, SESSION(1)), 0);
	/* By another length it is told; that another process reads as much says nothing. */
	moves_numbered(&f, THIRD, OTHER_PID, TID + 9, PLUMB_INGRESS, 5, 217);
	moves_numbered(&f, SOCKET, PID, OTHER_TID, PLUMB_INGRESS, 4, 217);
	session_moves(&f, SESSION(1), PID, TID, PLUMB_INGRESS, 200, PLUMB_DATA_APART, 0);
	assert_int_equal(below(&f, SESSION(1)), SOCKET);
	assert_int_equal(f.flags, 0);
	/* Then it is the only one. */
	session_moves(&f, SESSION(2), PID, OTHER_TID, PLUMB_INGRESS, 100, PLUMB_DATA_APART, 0);
	assert_int_equal(below(&f, SESSION(2)), OTHER);
	assert_counted(&f, 0, 2, 0);
	done(&f);
}

/* More was read lately than is kept of it. */
static void a_session_apart_among_many(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	for (uint8_t i = 0; i < 9; i++) {
		socket_opens(&f, 100 + i, 443);
		moves_numbered(&f, 100 + i, PID, OTHER_TID, PLUMB_INGRESS, i, (uint16_t)(117 + 100 * i));
	}
	session_moves(&f, SESSION(1), PID, TID, PLUMB_INGRESS, 200, PLUMB_DATA_APART, 0);
	assert_int_equal(below(&f, SESSION(1)), 0);
	/* Nor does the length tell while others have read more: a program may have it in parts. */
	f.now += 1100ull * MS;
	moves_numbered(&f, 101, PID, OTHER_TID, PLUMB_INGRESS, 77, 217);
	session_moves(&f, SESSION(1), PID, TID, PLUMB_INGRESS, 200, PLUMB_DATA_APART, 0);
	assert_int_equal(below(&f, SESSION(1)), 0);
	moves_numbered(&f, 101, PID, OTHER_TID, PLUMB_INGRESS, 78, 1217);
	session_moves(&f, SESSION(1), PID, TID, PLUMB_INGRESS, 1200, PLUMB_DATA_APART, 0);
	assert_int_equal(below(&f, SESSION(1)), 101);
	done(&f);
}

/* A thread whose number another process' has now; two whose place is the same. */
static void threads_that_give_way(void **state)
{
	uint32_t like = OTHER_TID + 1;
	struct fixture f;

	(void)state;
	begin_two(&f);
	moves_numbered(&f, SOCKET, PID, OTHER_TID, PLUMB_INGRESS, 1, 217);
	f.now += 5000ull * MS;
	moves_numbered(&f, OTHER, OTHER_PID, OTHER_TID, PLUMB_INGRESS, 2, 117);
	session_moves(&f, SESSION(1), PID, TID, PLUMB_INGRESS, 100, PLUMB_DATA_APART, 0);
	assert_int_equal(below(&f, SESSION(1)), 0);
	while ((like * 2654435761u) >> 21 != (OTHER_TID * 2654435761u) >> 21)
		like++;
	f.now += 5000ull * MS;
	moves_numbered(&f, SOCKET, PID, OTHER_TID, PLUMB_INGRESS, 3, 117);
	moves_numbered(&f, OTHER, PID, like, PLUMB_INGRESS, 4, 117);
	session_moves(&f, SESSION(2), PID, TID, PLUMB_INGRESS, 100, PLUMB_DATA_APART, 0);
	assert_int_equal(below(&f, SESSION(2)), 0);
	done(&f);
}

/* What cannot be told is not looked for without end. */
static void a_session_apart_that_cannot_be_told(void **state)
{
	struct fixture f;

	(void)state;
	begin_two(&f);
	moves_numbered(&f, SOCKET, PID, OTHER_TID, PLUMB_INGRESS, 1, 117);
	moves_numbered(&f, OTHER, PID, TID, PLUMB_INGRESS, 2, 117);
	for (int i = 0; i < 65; i++) {
		session_moves(&f, SESSION(1), PID, TID, PLUMB_INGRESS, 100, PLUMB_DATA_APART, 0);
		f.n = 0;
	}
	moves_numbered(&f, SOCKET, PID, OTHER_TID, PLUMB_INGRESS, 1, 317);
	session_moves(&f, SESSION(1), PID, TID, PLUMB_INGRESS, 300, PLUMB_DATA_APART, 0);
	assert_int_equal(below(&f, SESSION(1)), 0);
	session_moves(&f, SESSION(2), PID, TID, PLUMB_INGRESS, 300, PLUMB_DATA_APART, 0);
	assert_int_equal(below(&f, SESSION(2)), SOCKET);
	done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_the_library_says),
		cmocka_unit_test(a_record_that_both_have_read),
		cmocka_unit_test(a_record_that_both_have_written),
		cmocka_unit_test(records_that_were_not_captured),
		cmocka_unit_test(a_session_that_was_there),
		cmocka_unit_test(more_records_than_are_kept),
		cmocka_unit_test(a_session_apart),
		cmocka_unit_test(a_session_apart_among_many),
		cmocka_unit_test(threads_that_give_way),
		cmocka_unit_test(a_session_apart_that_cannot_be_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

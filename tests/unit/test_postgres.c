/* SPDX-License-Identifier: Apache-2.0 */
/* proto/postgres: pairing, names, loss, and detection on built messages. Recorded sessions are tests/proto/postgres. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "lib/buffer.h"
#include "proto/memory.h"
#include "proto/proto.h"

extern const struct proto_ops proto_postgres;

enum { LOG_MAX = 1 << 20, BYTES_MAX = 1 << 21 };

/* One connection: bytes that wait in each direction, and what was parsed as text, one event a line. */
struct session {
	uint64_t state[CONNECTION_PARSER_BYTES / 8];
	struct buffer bytes[2], log;
	uint64_t skip[2];
	unsigned bad, events;
};

static void session_init(struct session *s)
{
	memset(s, 0, sizeof(*s));
	buffer_init(&s->bytes[0], BYTES_MAX);
	buffer_init(&s->bytes[1], BYTES_MAX);
	buffer_init(&s->log, LOG_MAX);
	static struct proto_memory memory = { .max = 1 << 20 };
	void *names = proto_postgres.open(&memory);
	assert_non_null(names);
	memcpy(s->state, &names, sizeof(names));
}

static void session_done(struct session *s)
{
	void *names;

	memcpy(&names, s->state, sizeof(names));
	proto_postgres.close(names);
	buffer_done(&s->bytes[0]);
	buffer_done(&s->bytes[1]);
	buffer_done(&s->log);
}

static const char *session_log(struct session *s)
{
	buffer_append_byte(&s->log, 0);
	s->log.len--;
	return (const char *)s->log.data;
}

static void log_event(struct session *s, const struct message *m)
{
	static const char kinds[] = { 'q', 'r', 'o' };

	s->events++;
	buffer_printf(&s->log, "%c", kinds[m->kind]);
	if (m->keyed)
		buffer_printf(&s->log, "%u", (unsigned)m->key);
	buffer_printf(&s->log, "%s%s%s%s%s", m->flags & MESSAGE_BEGIN ? "+" : "", m->flags & MESSAGE_END ? "-" : "", m->flags & MESSAGE_FLUSH ? " flush" : "",
		      m->flags & MESSAGE_NO_RESPONSE ? " none" : "", m->flags & MESSAGE_SWITCH ? " switch" : "");
	if (m->flags & MESSAGE_ERROR)
		buffer_printf(&s->log, " !%s", m->error_type);
	for (uint32_t i = 0; i < m->nattrs; i++) {
		const struct attr *a = &m->attrs[i];
		bool text = attr_info[a->id].type == ATTR_TYPE_STR;

		assert_int_equal(a->type, attr_info[a->id].type);
		if (text)
			buffer_printf(&s->log, " [%.*s]", (int)a->str.len, (const char *)a->str.ptr);
		else
			buffer_printf(&s->log, " %s%d", a->id == ATTR_PLUMB_ROWS_AFFECTED ? "~" : "", (int)a->num);
	}
	buffer_append_byte(&s->log, '\n');
}

/* Parses all that waits; every input is a fresh allocation, so that ASan sees a byte read too far. */
static void drain(struct session *s, enum proto_side side)
{
	struct buffer *b = &s->bytes[side];

	while (b->len > 0) {
		struct parse_result r = { 0 };
		uint8_t *copy = malloc(b->len);

		assert_non_null(copy);
		memcpy(copy, b->data, b->len);
		enum parse_status status = proto_postgres.parse(s->state, side, slice_make(copy, b->len), &r);
		assert_true(r.consumed <= b->len);
		if (status == PARSE_MESSAGE)
			log_event(s, &r.message);
		free(copy);
		if (status == PARSE_NEED_MORE || status == PARSE_BAD) {
			s->bad += status == PARSE_BAD;
			assert_true(status == PARSE_BAD || r.need > b->len);
			return;
		}
		assert_true(status == PARSE_MESSAGE || r.consumed > 0);
		uint64_t left = b->len - r.consumed, skip = r.skip < left ? r.skip : left;
		buffer_consume(b, r.consumed + (size_t)skip);
		s->skip[side] += r.skip - skip;
	}
}

static void feed(struct session *s, enum proto_side side, struct slice in)
{
	size_t skip = s->skip[side] < in.len ? (size_t)s->skip[side] : in.len;

	s->skip[side] -= skip;
	buffer_append_slice(&s->bytes[side], slice_from(in, skip));
	drain(s, side);
}

/* A message: type, then parts: s = string with NUL, 2, 4 = integers, b = bytes without NUL, 1 = one byte. */
static struct buffer built;

static void put_be(struct buffer *b, uint32_t v, unsigned width)
{
	while (width--)
		buffer_append_byte(b, (uint8_t)(v >> 8 * width));
}

static void msg(char type, const char *parts, ...)
{
	va_list ap;
	size_t at = built.len;

	if (type)
		buffer_append_byte(&built, (uint8_t)type);
	size_t len_at = built.len;
	put_be(&built, 0, 4);
	va_start(ap, parts);
	for (; *parts; parts++) {
		const char *text = *parts == 's' || *parts == 'b' ? va_arg(ap, const char *) : NULL;

		if (text)
			buffer_append(&built, text, strlen(text) + (*parts == 's'));
		else
			put_be(&built, va_arg(ap, uint32_t), (unsigned)(*parts - '0'));
	}
	va_end(ap);
	uint32_t len = (uint32_t)(built.len - len_at);
	for (unsigned i = 0; i < 4; i++)
		built.data[len_at + i] = (uint8_t)(len >> (24 - 8 * i));
	assert_true(built.len > at);
}

static void flush_to(struct session *s, enum proto_side side)
{
	feed(s, side, buffer_slice(&built));
	buffer_clear(&built);
}

static void execute(const char *statement)
{
	msg('B', "ss222", "", statement, 0, 0, 0);
	msg('E', "s4", "", 0);
}

static void expect(struct session *s, const char *log)
{
	if (strcmp(session_log(s), log) != 0)
		fail_msg("got\n%swanted\n%s", session_log(s), log);
	buffer_clear(&s->log);
}

static void start(struct session *s)
{
	msg(0, "4sssss", 3 << 16, "user", "me", "database", "shop", "");
	flush_to(s, PROTO_TO_SERVER);
	msg('R', "4", 0);
	msg('Z', "1", 'I');
	flush_to(s, PROTO_TO_CLIENT);
	expect(s, "q0+- [shop] [CONNECT]\nr0+\nr0-\n");
}

static void negotiates(void **state)
{
	struct session s;

	(void)state;
	session_init(&s);
	msg(0, "4", 80877104);
	flush_to(&s, PROTO_TO_SERVER);
	feed(&s, PROTO_TO_CLIENT, SLICE_LIT("N"));
	msg(0, "4", 80877103);
	flush_to(&s, PROTO_TO_SERVER);
	feed(&s, PROTO_TO_CLIENT, SLICE_LIT("S"));
	expect(&s, "o+-\no+-\no+-\no+- switch\n");
	session_done(&s);
}

/* An error in the first of two pipelined groups ends the rest of that group only. */
static void aborts_up_to_its_sync(void **state)
{
	struct session s;

	(void)state;
	session_init(&s);
	start(&s);
	msg('P', "ss2", "a", "SELECT 1", 0);
	execute("a");
	execute("a");
	execute("gone");
	msg('S', "");
	execute("a");
	msg('S', "");
	flush_to(&s, PROTO_TO_SERVER);
	expect(&s, "q1+ [shop]\nq1- [SELECT 1]\nq2+ [shop]\nq2- [SELECT 1]\nq3+ [shop]\nq3- [statement_not_kept]\nq4+ [shop]\nq4- [SELECT 1]\n");
	msg('1', "");
	msg('2', "");
	msg('E', "ssss1", "SERROR", "C22012", "Mdivision by zero", "R?", 0);
	msg('Z', "1", 'I');
	msg('2', "");
	msg('D', "24b", 1, 1, "1");
	msg('C', "s", "SELECT 1");
	msg('Z', "1", 'I');
	flush_to(&s, PROTO_TO_CLIENT);
	expect(&s, "r1+\nr1- !22012 [22012] [division by zero]\nr3+- flush !pipeline_aborted\nr4+\nr4- 1\n");
	session_done(&s);
}

/* Whose Parse the server refuses, or never looks at, has no text afterwards: what stood under the name before is not kept. */
static void forgets_what_was_refused(void **state)
{
	struct session s;

	(void)state;
	session_init(&s);
	start(&s);
	msg('P', "ss2", "a", "SELECT 1", 0);
	msg('S', "");
	flush_to(&s, PROTO_TO_SERVER);
	msg('1', "");
	msg('Z', "1", 'I');
	flush_to(&s, PROTO_TO_CLIENT);
	expect(&s, "q1+ [shop]\nq1- [PREPARE] [SELECT 1]\nr1+\nr1-\n");

	/* c is good, b's values are not, d is skipped; a is used behind the Sync before it is known that it was refused. */
	msg('P', "ss2", "c", "SELECT 3", 0);
	msg('P', "ss2", "b", "SELECT 2", 0);
	execute("b");
	msg('P', "ss2", "d", "SELECT 4", 0);
	execute("d");
	msg('S', "");
	msg('P', "ss2", "a", "SELECT 5", 0);
	msg('S', "");
	execute("a");
	msg('S', "");
	flush_to(&s, PROTO_TO_SERVER);
	expect(&s, "q2+ [shop]\nq2- [SELECT 2]\nq3+ [shop]\nq3- [SELECT 4]\nq4+ [shop]\nq4- [PREPARE] [SELECT 5]\n"
		   "q5+ [shop]\nq5- [SELECT 5] [statement_doubtful]\n");
	msg('1', "");
	msg('1', "");
	msg('E', "ss1", "SERROR", "C22P02", 0);
	msg('Z', "1", 'I');
	msg('E', "ss1", "SERROR", "C42P05", 0);
	msg('Z', "1", 'I');
	msg('2', "");
	msg('D', "24b", 1, 1, "1");
	msg('C', "s", "SELECT 1");
	msg('Z', "1", 'I');
	flush_to(&s, PROTO_TO_CLIENT);
	expect(&s, "r2+\nr2- !22P02 [22P02]\nr3+- !pipeline_aborted\nr4+- !42P05 [42P05]\nr5+\nr5- 1\n");

	execute("a");
	execute("b");
	execute("c");
	execute("d");
	msg('S', "");
	flush_to(&s, PROTO_TO_SERVER);
	expect(&s, "q6+ [shop]\nq6- [statement_not_kept]\nq7+ [shop]\nq7- [SELECT 2]\nq8+ [shop]\nq8- [SELECT 3]\n"
		   "q9+ [shop]\nq9- [statement_not_kept]\n");
	session_done(&s);
}

static void describe_portal(const char *portal)
{
	msg('D', "1s", 'P', portal);
	msg('S', "");
}

/* DECLARE makes a portal that no Bind has named (psycopg 3's server-side cursors): no text is missing. That it was so is not sure once a portal was forgotten. */
static void knows_cursors_of_sql(void **state)
{
	struct session s;
	char portal[8];

	(void)state;
	session_init(&s);
	start(&s);
	describe_portal("cur");
	msg('E', "s4", "cur", 0);
	msg('S', "");
	flush_to(&s, PROTO_TO_SERVER);
	expect(&s, "q1+ [shop]\nq1- [DESCRIBE]\nq2+- [shop]\n");
	for (int i = 0; i < 17; i++) { /* one more than are kept */
		snprintf(portal, sizeof(portal), "p%d", i);
		msg('B', "ss222", portal, "none", 0, 0, 0);
	}
	msg('S', "");
	describe_portal("cur");
	flush_to(&s, PROTO_TO_SERVER);
	expect(&s, "q3+ [shop]\nq3- [BIND] [statement_not_kept]\nq4+ [shop]\nq4- [DESCRIBE] [statement_not_kept]\n");
	session_done(&s);

	session_init(&s);
	describe_portal("cur"); /* what was bound before is not known */
	flush_to(&s, PROTO_TO_SERVER);
	expect(&s, "q0+\nq0- [DESCRIBE] [statement_not_seen]\n");
	session_done(&s);
}

/* COPY in the extended protocol: the Sync behind Execute is ignored by the server, the one behind CopyDone counts. */
static void copy_ignores_the_first_sync(void **state)
{
	struct session s;

	(void)state;
	session_init(&s);
	start(&s);
	msg('P', "ss2", "", "COPY t FROM STDIN", 0);
	execute("");
	msg('S', "");
	flush_to(&s, PROTO_TO_SERVER);
	msg('1', "");
	msg('2', "");
	msg('G', "12", 0, 0);
	flush_to(&s, PROTO_TO_CLIENT);
	msg('d', "b", "1\n");
	msg('c', "");
	msg('S', "");
	flush_to(&s, PROTO_TO_SERVER);
	msg('C', "s", "COPY 7");
	msg('Z', "1", 'I');
	flush_to(&s, PROTO_TO_CLIENT);
	msg('Q', "s", "SELECT 2");
	flush_to(&s, PROTO_TO_SERVER);
	msg('C', "s", "SELECT 0");
	msg('Z', "1", 'I');
	flush_to(&s, PROTO_TO_CLIENT);
	expect(&s, "q1+ [shop]\nq1- [COPY t FROM STDIN]\nr1+\nr1- ~7\nq2+- [shop] [SELECT 2]\nr2+\nr2- 0\n");
	session_done(&s);
}

static void flush_ends_a_prepare(void **state)
{
	struct session s;

	(void)state;
	session_init(&s);
	start(&s);
	msg('P', "ss2", "a", "SELECT 1", 0);
	msg('D', "1s", 'S', "a");
	msg('H', "");
	flush_to(&s, PROTO_TO_SERVER);
	msg('1', "");
	msg('t', "2", 0);
	msg('n', "");
	flush_to(&s, PROTO_TO_CLIENT);
	execute("a");
	msg('S', "");
	flush_to(&s, PROTO_TO_SERVER);
	msg('2', "");
	msg('C', "s", "INSERT 0 3");
	msg('Z', "1", 'I');
	flush_to(&s, PROTO_TO_CLIENT);
	expect(&s, "q1+ [shop]\nq1- [PREPARE] [SELECT 1]\nr1+\nr1-\nq2+ [shop]\nq2- [SELECT 1]\nr2+\nr2- ~3\n");
	session_done(&s);
}

/*
 * Joined in the middle: a foreign response passes first; an unknown name gives no text, but the server's tag tells the command.
 */
static void joins_in_the_middle(void **state)
{
	struct session s;

	(void)state;
	session_init(&s);
	msg('D', "24b", 1, 1, "1");
	flush_to(&s, PROTO_TO_CLIENT);
	execute("old");
	msg('S', "");
	flush_to(&s, PROTO_TO_SERVER);
	msg('C', "s", "SELECT 1");
	msg('Z', "1", 'I');
	msg('2', "");
	msg('C', "s", "UPDATE 5");
	msg('Z', "1", 'I');
	flush_to(&s, PROTO_TO_CLIENT);
	expect(&s, "q0+\nq0- [statement_not_seen]\nr0+\nr0 [UPDATE]\nr0- ~5\n");
	session_done(&s);
}

/* The response of a query is lost: it ends as lost when the next one's comes, and pairing goes on right. */
static void survives_a_lost_response(void **state)
{
	struct session s;

	(void)state;
	session_init(&s);
	start(&s);
	msg('Q', "s", "SELECT a");
	flush_to(&s, PROTO_TO_SERVER);
	msg('Q', "s", "SELECT b");
	msg('Z', "1", 'I');
	proto_postgres.resync(s.state, PROTO_TO_CLIENT, SLICE_NONE);
	buffer_clear(&built);
	for (int i = 0; i < 2; i++) {
		msg('Q', "s", i ? "SELECT c" : "SELECT b");
		flush_to(&s, PROTO_TO_SERVER);
		msg('I', "");
		msg('Z', "1", 'I');
		flush_to(&s, PROTO_TO_CLIENT);
	}
	expect(&s, "q1+- [shop] [SELECT a]\nq2+- [shop] [SELECT b]\nr1+- [response_lost]\nr2+\n"
		   "r2- [pairing_uncertain]\nq3+- [shop] [SELECT c]\nr3+\nr3-\n");
	session_done(&s);
}

/* 10,007 queries before the first response; and a statement table that is too small for 67 names. */
static void bounded(void **state)
{
	enum { QUERIES = 10007, NAMES = 67 };
	struct session s;
	char name[16];

	(void)state;
	session_init(&s);
	start(&s);
	for (int i = 0; i < QUERIES; i++)
		msg('Q', "s", "SELECT 1");
	feed(&s, PROTO_TO_SERVER, buffer_slice(&built));
	buffer_clear(&built);
	assert_int_equal(s.events, 3 + QUERIES);
	for (int i = 0; i < QUERIES; i++) {
		msg('C', "s", "SELECT 1");
		msg('Z', "1", 'I');
	}
	flush_to(&s, PROTO_TO_CLIENT);
	assert_int_equal(s.events, 3 + 3 * QUERIES);
	assert_non_null(strstr(session_log(&s), "r10007- ~1\n"));
	buffer_clear(&s.log);
	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		msg('P', "ss2", name, name, 0);
	}
	execute("n2");
	execute("n3");
	flush_to(&s, PROTO_TO_SERVER);
	expect(&s, "q10008+ [shop]\nq10008- [statement_not_kept]\nq10009+ [shop]\nq10009- [n3]\n");
	session_done(&s);
}

/* Only the head of a long statement is waited for and shown. */
static void long_statement(void **state)
{
	enum { LONG = 1 << 20 };
	struct session s;

	(void)state;
	session_init(&s);
	start(&s);
	char *sql = malloc(LONG + 1);
	assert_non_null(sql);
	memset(sql, 'a', LONG);
	sql[LONG] = 0;
	msg('Q', "s", sql);
	feed(&s, PROTO_TO_SERVER, slice_head(buffer_slice(&built), 8191));
	assert_int_equal(s.events, 3);
	feed(&s, PROTO_TO_SERVER, slice_make(built.data + 8191, 1));
	assert_int_equal(s.events, 4);
	feed(&s, PROTO_TO_SERVER, slice_from(buffer_slice(&built), 8192));
	assert_int_equal(s.skip[0], 0);
	assert_int_equal(s.bytes[0].len, 0);
	assert_int_equal(s.log.len, sizeof("q1+- [shop] []\n") - 1 + 7168);
	buffer_clear(&built);
	free(sql);
	session_done(&s);
}

static void detects(void **state)
{
	static const struct {
		struct slice in;
		int server, client;
	} cases[] = {
		{ SLICE_LIT("\0\0\0\x08\x04\xd2\x16\x2f"), DETECT_CERTAIN, DETECT_NO },
		{ SLICE_LIT("\0\0\0\x10\0\x03\0\0user\0me\0\0"), DETECT_CERTAIN, DETECT_NO },
		{ SLICE_LIT("\0\0\0"), DETECT_MORE, DETECT_NO },
		{ SLICE_LIT("Q\0\0\0\x0dSELECT 1\0"), DETECT_LIKELY, DETECT_NO },
		{ SLICE_LIT("S\0\0\0\x04S\0\0\0\x04"), DETECT_LIKELY, DETECT_NO },
		{ SLICE_LIT("Q\0\0\0\x0dSELECT 1\x01"), DETECT_NO, DETECT_NO },
		{ SLICE_LIT("C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I"), DETECT_NO, DETECT_LIKELY },
		{ SLICE_LIT("C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05X"), DETECT_NO, DETECT_NO },
		{ SLICE_LIT("D\0\0\0\x0b\0\x01\0\0\0\x01" "1C\0\0\0\x0dSELECT 1\0"), DETECT_NO, DETECT_LIKELY },
		{ SLICE_LIT("D\0\0\0\x0b\0\x01\0\0\0\x02" "1C\0\0\0\x0dSELECT 1\0"), DETECT_NO, DETECT_NO },
		{ SLICE_LIT("GET / HTTP/1.1\r\n"), DETECT_NO, DETECT_NO },
		{ SLICE_LIT("HTTP/1.1 200 OK\r\n"), DETECT_NO, DETECT_NO },
		{ SLICE_LIT("DELETE / HTTP/1.1\r\n"), DETECT_NO, DETECT_NO },
		{ SLICE_LIT("*1\r\n$4\r\nPING\r\n"), DETECT_NO, DETECT_NO },
		{ SLICE_LIT("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"), DETECT_NO, DETECT_NO },
		{ SLICE_LIT("\0\x1d\x12\x34\x01\0\0\x01\0\0\0\0\0\0"), DETECT_NO, DETECT_NO },
		{ SLICE_LIT("S\0\0\0\x0a" "8.0.33\0\x01\x02\x03"), DETECT_NO, DETECT_NO },
		{ SLICE_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), DETECT_NO, DETECT_NO },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int server = proto_postgres.detect(cases[i].in, PROTO_TO_SERVER), client = proto_postgres.detect(cases[i].in, PROTO_TO_CLIENT);

		if (server != cases[i].server || client != cases[i].client)
			fail_msg("case %zu: %d %d", i, server, client);
	}
}

static void finds_the_next_message(void **state)
{
	struct session s;

	(void)state;
	session_init(&s);
	buffer_append(&built, "C\0\0\0Q\0\0\0\x0d rubbish Z", 20);
	msg('Q', "s", "SELECT 1");
	assert_int_equal(proto_postgres.resync(s.state, PROTO_TO_SERVER, buffer_slice(&built)), 20);
	assert_int_equal(proto_postgres.resync(s.state, PROTO_TO_SERVER, slice_head(buffer_slice(&built), 20)), 20);
	buffer_clear(&built);
	session_done(&s);
}

/* Any bytes, in any direction: never out of bounds, never a standstill. */
static void survives_garbage(void **state)
{
	enum { ROUNDS = 2003 };
	uint32_t seed = 1;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct session s;

		session_init(&s);
		for (int k = 0; k < 12; k++) {
			uint8_t bytes[48];
			enum proto_side side = k & 1 ? PROTO_TO_CLIENT : PROTO_TO_SERVER;

			for (size_t j = 0; j < sizeof(bytes); j++) {
				seed = seed * 1664525 + 1013904223;
				bytes[j] = j % 8 == 0 ? (uint8_t)"QPBEDCSHFdcfRTDCIZEN1ntsGW"[(seed >> 16) % 26] : j % 8 < 4 ? 0 : (uint8_t)((seed >> 16) % 24);
			}
			feed(&s, side, slice_make(bytes, sizeof(bytes)));
			if (s.bad) {
				size_t at = proto_postgres.resync(s.state, side, buffer_slice(&s.bytes[side]));
				assert_true(at > 0 && at <= s.bytes[side].len);
				buffer_consume(&s.bytes[side], at);
				s.bad = 0;
			}
			proto_postgres.detect(slice_make(bytes, sizeof(bytes)), side);
		}
		session_done(&s);
	}
}

static int set_up(void **state)
{
	(void)state;
	buffer_init(&built, BYTES_MAX);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	buffer_done(&built);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(negotiates),
		cmocka_unit_test(aborts_up_to_its_sync),
		cmocka_unit_test(forgets_what_was_refused),
		cmocka_unit_test(knows_cursors_of_sql),
		cmocka_unit_test(copy_ignores_the_first_sync),
		cmocka_unit_test(flush_ends_a_prepare),
		cmocka_unit_test(joins_in_the_middle),
		cmocka_unit_test(survives_a_lost_response),
		cmocka_unit_test(bounded),
		cmocka_unit_test(long_statement),
		cmocka_unit_test(detects),
		cmocka_unit_test(finds_the_next_message),
		cmocka_unit_test(survives_garbage),
	};
	return cmocka_run_group_tests_name("postgres", tests, set_up, tear_down);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* proto/mysql: what is too long, too many or too much a matter of time for fixtures. Recorded sessions are tests/proto/mysql. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "lib/buffer.h"
#include "proto/mysql_memory.h"
#include "proto/memory.h"
#include "proto/proto.h"

extern const struct proto_ops proto_mysql;

enum { LOG_MAX = 1 << 20, BYTES_MAX = 1 << 21, PACKET_MAX = 0xffffff };

/* One connection: bytes that wait in each direction, and what was parsed as text, one event a line. */
struct session {
	uint64_t state[CONNECTION_PARSER_BYTES / 8];
	struct buffer bytes[2], log;
	uint64_t skip[2], time_ns;
	unsigned bad;
};

static void session_init(struct session *s)
{
	static struct proto_memory budget = { .max = 1 << 20 };
	void *memory = proto_mysql.open(&budget);

	memset(s, 0, sizeof(*s));
	buffer_init(&s->bytes[0], BYTES_MAX);
	buffer_init(&s->bytes[1], BYTES_MAX);
	buffer_init(&s->log, LOG_MAX);
	assert_non_null(memory);
	memcpy(s->state, &memory, sizeof(memory));
}

static void session_done(struct session *s)
{
	void *memory;

	memcpy(&memory, s->state, sizeof(memory));
	proto_mysql.close(memory);
	buffer_done(&s->bytes[0]);
	buffer_done(&s->bytes[1]);
	buffer_done(&s->log);
}

static void log_event(struct session *s, const struct message *m)
{
	static const char kinds[] = { 'q', 'r', 'o' };

	buffer_printf(&s->log, "%c%s%s", kinds[m->kind], m->flags & MESSAGE_BEGIN ? "+" : "", m->flags & MESSAGE_END ? "-" : "");
	if (m->flags & MESSAGE_ERROR)
		buffer_printf(&s->log, " !%s", m->error_type);
	for (uint32_t i = 0; i < m->nattrs; i++) {
		const struct attr *a = &m->attrs[i];

		if (a->type == ATTR_TYPE_STR)
			buffer_printf(&s->log, " [%.*s]", (int)(a->str.len < 32 ? a->str.len : 32), (const char *)a->str.ptr);
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
		struct parse_result r = { .time_ns = s->time_ns };
		uint8_t *copy = malloc(b->len);

		assert_non_null(copy);
		memcpy(copy, b->data, b->len);
		enum parse_status status = proto_mysql.parse(s->state, side, slice_make(copy, b->len), &r);
		assert_true(r.consumed <= b->len);
		if (status == PARSE_MESSAGE)
			log_event(s, &r.message);
		free(copy);
		if (status == PARSE_NEED_MORE || status == PARSE_BAD) {
			s->bad += status == PARSE_BAD;
			assert_true(status == PARSE_BAD || r.need > b->len);
			return;
		}
		assert_true(r.consumed > 0);
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

/* A packet of `len` bytes, of which `head` are given. */
static void packet(struct session *s, enum proto_side side, size_t len, uint8_t seq, struct slice head)
{
	uint8_t number[4] = { (uint8_t)len, (uint8_t)(len >> 8), (uint8_t)(len >> 16), seq };

	feed(s, side, slice_make(number, sizeof(number)));
	feed(s, side, head);
}

/* Bytes that are not looked at. */
static void pass(struct session *s, enum proto_side side, size_t n)
{
	static const uint8_t nothing[1 << 16];

	for (size_t step; n; n -= step) {
		step = n < sizeof(nothing) ? n : sizeof(nothing);
		feed(s, side, slice_make(nothing, step));
	}
}

#define SERVER(s, seq, text) packet(s, PROTO_TO_CLIENT, sizeof(text) - 1, seq, SLICE_LIT(text))
#define CLIENT(s, seq, text) packet(s, PROTO_TO_SERVER, sizeof(text) - 1, seq, SLICE_LIT(text))
#define OK "\0\0\0\2\0\0\0"
#define END "\xfe\0\0\2\0\0\0"
#define COLUMN "\3def\0\0\0\1a\0\x0c\x3f\0\x0b\0\0\0\3\0\0\0\0\0"

static void expect(struct session *s, const char *log)
{
	buffer_append_byte(&s->log, 0);
	if (strcmp((const char *)s->log.data, log) != 0)
		fail_msg("got\n%swanted\n%s", (const char *)s->log.data, log);
	buffer_clear(&s->log);
	assert_int_equal(s->bad, 0);
}

/* 16 MiB and more: a command and a row of two packets each, and a row that ends where a packet does. */
static void packets_go_on(void **state)
{
	struct session s;
	uint8_t *query = calloc(1, 8192);

	(void)state;
	assert_non_null(query);
	session_init(&s);
	memcpy(query, "\3insert into t values (", 23);
	packet(&s, PROTO_TO_SERVER, PACKET_MAX, 0, slice_make(query, 8192));
	pass(&s, PROTO_TO_SERVER, PACKET_MAX - 8192);
	expect(&s, "q+ [insert into t values (]\n");
	CLIENT(&s, 1, "\3rest of it");
	expect(&s, "q-\n");
	SERVER(&s, 2, "\0\1\0\2\0\0\0");
	expect(&s, "r+- ~1\n");

	CLIENT(&s, 0, "\3select a from t");
	SERVER(&s, 1, "\1");
	SERVER(&s, 2, COLUMN);
	packet(&s, PROTO_TO_CLIENT, PACKET_MAX, 3, SLICE_LIT("\xfe\0\0\0\1\0\0\0\0"));
	pass(&s, PROTO_TO_CLIENT, PACKET_MAX - 9);
	SERVER(&s, 4, END);
	packet(&s, PROTO_TO_CLIENT, PACKET_MAX, 5, SLICE_LIT("\xfe\xf6\xff\xff\0\0\0\0\0"));
	pass(&s, PROTO_TO_CLIENT, PACKET_MAX - 9);
	SERVER(&s, 6, "");
	SERVER(&s, 7, "\1x");
	SERVER(&s, 8, END);
	expect(&s, "q+- [select a from t]\nr+\nr- 3\n");
	free(query);
	session_done(&s);
}

/* More commands under way than are remembered: each has its response, and afterwards all is known again. */
static void many_are_due(void **state)
{
	enum { MANY = MYSQL_DUE + 45 };
	struct session s;

	(void)state;
	session_init(&s);
	for (int i = 0; i < MANY; i++)
		CLIENT(&s, 0, "\x0e");
	buffer_clear(&s.log);
	for (int i = 0; i < MANY; i++)
		SERVER(&s, 1, OK);
	assert_int_equal(s.bad, 0);
	int n = 0;
	for (size_t i = 0; i < s.log.len; i++)
		n += s.log.data[i] == '\n';
	assert_int_equal(n, MANY);
	buffer_clear(&s.log);
	CLIENT(&s, 0, "\x16select 7");
	SERVER(&s, 1, "\0\1\0\0\0\0\0\0\0\0\0\0");
	CLIENT(&s, 0, "\x17\1\0\0\0\0\1\0\0\0");
	expect(&s, "q+- [select 7] [PREPARE]\nr+-\nq+- [select 7]\n");
	session_done(&s);
}

/* The least recently used goes; a number that is given again is another statement's. */
static void statements_are_bounded(void **state)
{
	struct session s;

	(void)state;
	session_init(&s);
	for (uint32_t i = 1; i <= MYSQL_STATEMENTS + 1; i++) {
		uint8_t ok[12] = { 0, (uint8_t)i };
		CLIENT(&s, 0, "\x16select 7");
		packet(&s, PROTO_TO_CLIENT, sizeof(ok), 1, slice_make(ok, sizeof(ok)));
		CLIENT(&s, 0, "\x1a\1\0\0\0"); /* the first one is in use */
		SERVER(&s, 1, OK);
	}
	buffer_clear(&s.log);
	CLIENT(&s, 0, "\x1a\2\0\0\0");
	SERVER(&s, 1, OK);
	CLIENT(&s, 0, "\x1a\1\0\0\0");
	SERVER(&s, 1, OK);
	CLIENT(&s, 0, "\x16select 8");
	SERVER(&s, 1, "\0\1\0\0\0\0\0\0\0\0\0\0");
	CLIENT(&s, 0, "\x1a\1\0\0\0");
	expect(&s, "q+- [statement_not_seen] [RESET]\nr+-\nq+- [select 7] [RESET]\nr+-\nq+- [select 8] [PREPARE]\nr+-\nq+- [select 8] [RESET]\n");
	session_done(&s);
}

/* A response whose bytes come to be read before those of its command, which is older: the next one's is not taken for its. */
static void responses_overtake(void **state)
{
	struct session s;

	(void)state;
	session_init(&s);
	s.time_ns = 2000;
	SERVER(&s, 1, OK);
	s.time_ns = 1000;
	CLIENT(&s, 0, "\3begin");
	s.time_ns = 3000;
	CLIENT(&s, 0, "\x16select 7");
	s.time_ns = 4000;
	SERVER(&s, 1, "\0\1\0\0\0\0\0\0\0\0\0\0");
	CLIENT(&s, 0, "\x17\1\0\0\0\0\1\0\0\0");
	expect(&s, "r+- ~0\nq+- [begin]\nq+- [select 7] [PREPARE]\nr+-\nq+- [select 7]\n");
	session_done(&s);
}

/* A file that the client sends may be longer than numbers go, and hold what looks like a command. */
static void files_are_no_commands(void **state)
{
	struct session s;

	(void)state;
	session_init(&s);
	CLIENT(&s, 0, "\3load data local infile 'f' into table t");
	SERVER(&s, 1, "\xfb" "f");
	for (int i = 2; i < 600; i++)
		CLIENT(&s, (uint8_t)i, "\3select secret");
	CLIENT(&s, (uint8_t)600, "");
	SERVER(&s, (uint8_t)601, "\0\7\0\2\0\0\0");
	CLIENT(&s, 0, "\x0e");
	expect(&s, "q+- [load data local infile 'f' into ]\nr+\nr- ~7\nq+- [PING]\n");
	session_done(&s);
}

static int score(const char *bytes, size_t len, enum proto_side side) { return proto_mysql.detect(slice_make(bytes, len), side); }
#define SCORE(side, bytes) score(bytes, sizeof(bytes) - 1, side)

/* Joined later: a statement or a result set says enough, what is short must be confirmed by the other direction or the port. */
static void tells_in_the_middle(void **state)
{
	(void)state;
	assert_int_equal(SCORE(PROTO_TO_SERVER, "\x09\0\0\0\3select 1"), DETECT_LIKELY);
	assert_int_equal(SCORE(PROTO_TO_SERVER, "\x0a\0\0\0\x17\1\0\0\0\0\1\0\0\0"), DETECT_LIKELY);
	assert_int_equal(SCORE(PROTO_TO_SERVER, "\x01\0\0\0\x0e"), DETECT_WEAK);
	assert_int_equal(SCORE(PROTO_TO_SERVER, "\x05\0\0\0\2shop"), DETECT_WEAK);
	assert_int_equal(SCORE(PROTO_TO_CLIENT, "\x07\0\0\1" OK), DETECT_WEAK);
	assert_int_equal(SCORE(PROTO_TO_CLIENT, "\x09\0\0\1\xff\x7a\4#42S02"), DETECT_LIKELY);
	assert_int_equal(SCORE(PROTO_TO_CLIENT, "\1\0\0\1\1\x19\0\0\2" COLUMN), DETECT_LIKELY);
	assert_int_equal(SCORE(PROTO_TO_CLIENT, "\1\0\0\1\1"), DETECT_MORE);
	assert_int_equal(SCORE(PROTO_TO_CLIENT, "\1\0\0\1\1\x19\0\0\3" COLUMN), DETECT_NO); /* out of order */
	assert_int_equal(SCORE(PROTO_TO_SERVER, "\x09\0\0\0\3\0elect 1"), DETECT_NO);
	assert_int_equal(SCORE(PROTO_TO_SERVER, "\x01\0\0\0\x0f"), DETECT_NO);
	assert_int_equal(SCORE(PROTO_TO_SERVER, "\x02\0\0\0\x0e\0"), DETECT_NO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_go_on),      cmocka_unit_test(many_are_due),          cmocka_unit_test(statements_are_bounded),
		cmocka_unit_test(responses_overtake), cmocka_unit_test(files_are_no_commands), cmocka_unit_test(tells_in_the_middle),
	};
	return cmocka_run_group_tests_name("mysql", tests, NULL, NULL);
}

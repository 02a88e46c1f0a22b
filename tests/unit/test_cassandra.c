/* SPDX-License-Identifier: Apache-2.0 */
/* proto/cassandra: what is too long, too many or too hostile for fixtures. Recorded sessions are tests/proto/cassandra. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "lib/buffer.h"
#include "proto/cassandra_state.h"

extern const struct proto_ops proto_cassandra;

enum { BYTES_MAX = 1 << 20, SEGMENT = 131071 };

struct session {
	uint64_t state[CONNECTION_PARSER_BYTES / 8];
	struct proto_memory budget;
	struct buffer log;
};

/* budget: beyond what a connection begins with. */
static void session_init(struct session *s, uint64_t budget)
{
	void *memory;

	memset(s, 0, sizeof(*s));
	s->budget.max = UINT64_MAX;
	buffer_init(&s->log, BYTES_MAX);
	memory = proto_cassandra.open(&s->budget);
	assert_non_null(memory);
	s->budget.max = s->budget.used + budget;
	memcpy(s->state, &memory, sizeof(memory));
}

static void session_done(struct session *s)
{
	void *memory;

	memcpy(&memory, s->state, sizeof(memory));
	proto_cassandra.close(memory);
	assert_int_equal(s->budget.used, 0);
	buffer_done(&s->log);
}

static void log_event(struct session *s, const struct message *m)
{
	static const char kinds[] = { 'q', 'r', 'o' };

	buffer_printf(&s->log, "%c%d%s%s%s", kinds[m->kind], (int)m->key, m->flags & MESSAGE_BEGIN ? "+" : "", m->flags & MESSAGE_END ? "-" : "",
		      m->flags & MESSAGE_ABORT ? "x" : "");
	for (uint32_t i = 0; i < m->nattrs; i++)
		if (m->attrs[i].id == ATTR_RAW_STATEMENT || m->attrs[i].id == ATTR_PLUMB_INCOMPLETE)
			buffer_printf(&s->log, " %.*s", (int)(m->attrs[i].str.len < 24 ? m->attrs[i].str.len : 24), (const char *)m->attrs[i].str.ptr);
	buffer_append_byte(&s->log, ';');
}

/* Parses as the engine does, from a fresh allocation; what is skipped must lie within. Returns false at PARSE_BAD. */
static bool feed(struct session *s, enum proto_side side, struct slice in)
{
	uint8_t *copy = malloc(in.len ? in.len : 1);
	size_t at = 0, idle = 0;
	bool good = true;

	assert_non_null(copy);
	memcpy(copy, in.ptr, in.len);
	while (at < in.len && good) {
		struct parse_result r = { .time_ns = 1 };
		enum parse_status status = proto_cassandra.parse(s->state, side, slice_make(copy + at, in.len - at), &r);

		if (status == PARSE_NEED_MORE)
			break;
		good = status != PARSE_BAD;
		if (status == PARSE_MESSAGE)
			log_event(s, &r.message);
		idle = r.consumed ? 0 : idle + 1;
		assert_true(!good || idle < 8);
		at += r.consumed;
		assert_true(!good || r.skip <= in.len - at);
		at += r.skip;
	}
	free(copy);
	return good;
}

static void assert_log(struct session *s, const char *want)
{
	buffer_append_byte(&s->log, 0);
	assert_string_equal((const char *)s->log.data, want);
	s->log.len = 0;
}

static void put_be(struct buffer *b, uint32_t value, unsigned bytes)
{
	while (bytes--)
		buffer_append_byte(b, (uint8_t)(value >> 8 * bytes));
}

static void put_envelope(struct buffer *b, uint8_t version, uint16_t stream, uint8_t opcode, struct slice body)
{
	const uint8_t head[] = { version, 0, (uint8_t)(stream >> 8), (uint8_t)stream, opcode };

	buffer_append(b, head, sizeof(head));
	put_be(b, (uint32_t)body.len, 4);
	buffer_append(b, body.ptr, body.len);
}

static void put_text(struct buffer *b, uint8_t version, uint16_t stream, uint8_t opcode, const char *text, const char *behind, size_t behind_len)
{
	struct buffer body;

	buffer_init(&body, BYTES_MAX);
	put_be(&body, (uint32_t)strlen(text), 4);
	buffer_append(&body, text, strlen(text));
	buffer_append(&body, behind, behind_len);
	put_envelope(b, version, stream, opcode, slice_make(body.data, body.len));
	buffer_done(&body);
}

static void put_segment(struct buffer *b, struct slice payload, uint32_t plain, bool whole)
{
	unsigned n = plain ? 5 : 3;
	uint64_t bits = (uint64_t)payload.len | (plain ? (uint64_t)plain << 17 | (uint64_t)whole << 34 : (uint64_t)whole << 17);
	uint8_t head[8];

	for (unsigned i = 0; i < n; i++)
		head[i] = (uint8_t)(bits >> 8 * i);
	uint32_t crc = cassandra_crc24(head, n);
	for (unsigned i = 0; i < 3; i++)
		head[n + i] = (uint8_t)(crc >> 8 * i);
	buffer_append(b, head, n + 3);
	buffer_append(b, payload.ptr, payload.len);
	buffer_append(b, "tail", 4);
}

/* An LZ4 block of literals alone. */
static void put_literals(struct buffer *b, struct slice plain)
{
	buffer_append_byte(b, plain.len < 15 ? (uint8_t)(plain.len << 4) : 0xf0);
	for (size_t left = plain.len - 15; plain.len >= 15; left -= 255) {
		buffer_append_byte(b, left < 255 ? (uint8_t)left : 255);
		if (left < 255)
			break;
	}
	buffer_append(b, plain.ptr, plain.len);
}

static void a_segment_of_many_envelopes(void **state)
{
	struct session s;
	struct buffer plain, block, wire;
	char want[BYTES_MAX / 64];
	size_t n = 0;

	(void)state;
	session_init(&s, 1 << 20);
	buffer_init(&plain, BYTES_MAX);
	buffer_init(&block, BYTES_MAX);
	buffer_init(&wire, BYTES_MAX);
	for (uint16_t i = 0; i < 300; i++) {
		put_envelope(&plain, 0x85, i, CASSANDRA_RESULT, slice_make("\0\0\0\1", 4));
		n += (size_t)snprintf(want + n, sizeof(want) - n, "r%d+-;", i);
	}
	put_literals(&block, slice_make(plain.data, plain.len));
	put_segment(&wire, slice_make(block.data, block.len), (uint32_t)plain.len, true);
	assert_true(feed(&s, PROTO_TO_CLIENT, slice_make(wire.data, wire.len)));
	assert_log(&s, want);
	buffer_done(&plain);
	buffer_done(&block);
	buffer_done(&wire);
	session_done(&s);
}

static void an_envelope_of_several_full_segments(void **state)
{
	struct session s;
	struct buffer body, envelope, wire;

	(void)state;
	session_init(&s, 1 << 20);
	buffer_init(&body, BYTES_MAX);
	buffer_init(&envelope, BYTES_MAX);
	buffer_init(&wire, BYTES_MAX);
	put_be(&body, 1, 4);
	while (body.len < 3 * SEGMENT - 20)
		buffer_append_byte(&body, 'v');
	put_envelope(&envelope, 0x85, 7, CASSANDRA_RESULT, slice_make(body.data, body.len));
	for (size_t at = 0; at < envelope.len; at += SEGMENT)
		put_segment(&wire, slice_head(slice_make(envelope.data + at, envelope.len - at), SEGMENT), 0, false);
	assert_true(feed(&s, PROTO_TO_CLIENT, slice_make(wire.data, wire.len)));
	assert_log(&s, "r7+;r7-;");
	/* What says that it is whole must be. */
	wire.len = 0;
	put_segment(&wire, slice_make(envelope.data, 100), 0, true);
	assert_false(feed(&s, PROTO_TO_CLIENT, slice_make(wire.data, wire.len)));
	buffer_done(&body);
	buffer_done(&envelope);
	buffer_done(&wire);
	session_done(&s);
}

static void prepare(struct session *s, uint16_t stream, const char *text, const char id[16])
{
	struct buffer wire;
	uint8_t body[4 + 2 + 16] = { 0, 0, 0, CASSANDRA_PREPARED, 0, 16 };

	buffer_init(&wire, BYTES_MAX);
	put_text(&wire, 4, stream, CASSANDRA_PREPARE, text, "", 0);
	assert_true(feed(s, PROTO_TO_SERVER, slice_make(wire.data, wire.len)));
	wire.len = 0;
	memcpy(body + 6, id, 16);
	put_envelope(&wire, 0x84, stream, CASSANDRA_RESULT, slice_make(body, sizeof(body)));
	assert_true(feed(s, PROTO_TO_CLIENT, slice_make(wire.data, wire.len)));
	buffer_done(&wire);
	s->log.len = 0;
}

static void execute(struct session *s, uint16_t stream, const char id[16])
{
	struct buffer wire;
	uint8_t body[2 + 16 + 3] = { 0, 16 };

	buffer_init(&wire, BYTES_MAX);
	memcpy(body + 2, id, 16);
	put_envelope(&wire, 4, stream, CASSANDRA_EXECUTE, slice_make(body, sizeof(body)));
	assert_true(feed(s, PROTO_TO_SERVER, slice_make(wire.data, wire.len)));
	buffer_done(&wire);
}

static void the_statement_unused_for_longest_goes(void **state)
{
	struct session s;
	char id[24], text[24];

	(void)state;
	session_init(&s, 1 << 20);
	for (int i = 0; i < CASSANDRA_STATEMENTS + 1; i++) {
		if (i == CASSANDRA_STATEMENTS)
			execute(&s, 1, "statement   0000"); /* used: the next one gives way */
		snprintf(id, sizeof(id), "statement   %04d", i);
		snprintf(text, sizeof(text), "SELECT %d", i);
		prepare(&s, 0, text, id);
	}
	execute(&s, 1, "statement   0000");
	execute(&s, 2, "statement   0001");
	execute(&s, 3, "statement   0128");
	assert_log(&s, "q1+- SELECT 0;q2+- statement_not_seen;q3+- SELECT 128;");
	/* The same id again is the same statement. */
	prepare(&s, 0, "SELECT 0 again", "statement   0000");
	execute(&s, 2, "statement   0000");
	assert_log(&s, "q2+- SELECT 0 again;");
	session_done(&s);
}

static void without_memory_less_is_known(void **state)
{
	struct session s;
	struct buffer wire;

	(void)state;
	session_init(&s, 0);
	buffer_init(&wire, BYTES_MAX);
	prepare(&s, 0, "SELECT 1", "statement   0001");
	execute(&s, 1, "statement   0001");
	proto_cassandra.lost(s.state, PROTO_TO_CLIENT);
	execute(&s, 1, "statement   0001");
	assert_log(&s, "q1+- statement_not_seen;q1+- statement_not_seen;");
	put_segment(&wire, SLICE_LIT("\x90xxxxxxxxx"), 9, true);
	assert_false(feed(&s, PROTO_TO_CLIENT, slice_make(wire.data, wire.len)));
	assert_true(s.budget.refused > 0);
	buffer_done(&wire);
	session_done(&s);
}

static void answer(struct session *s, uint16_t stream)
{
	struct buffer wire;

	buffer_init(&wire, BYTES_MAX);
	put_envelope(&wire, 0x84, stream, CASSANDRA_RESULT, slice_make("\0\0\0\1", 4));
	assert_true(feed(s, PROTO_TO_CLIENT, slice_make(wire.data, wire.len)));
	buffer_done(&wire);
}

/* Behind a loss of answers the first request of each stream ends what was open there; no further one does. */
static void a_stream_used_again_ends_what_was_lost(void **state)
{
	struct session s;

	(void)state;
	session_init(&s, 1 << 20);
	execute(&s, 1, "statement   0001");
	execute(&s, 1, "statement   0001");
	proto_cassandra.lost(s.state, PROTO_TO_CLIENT);
	execute(&s, 1, "statement   0001");
	execute(&s, 1, "statement   0001");
	execute(&s, 0x7fff, "statement   0001");
	proto_cassandra.lost(s.state, PROTO_TO_CLIENT);
	execute(&s, 1, "statement   0001");
	assert_log(&s, "q1+- statement_not_seen;q1+- statement_not_seen;q1x;q1x;q1+- statement_not_seen;q1+- statement_not_seen;q32767+- statement_not_seen;"
		       "q1x;q1x;q1+- statement_not_seen;");
	/* The loss shows only behind the request that uses the stream again: the answer is the newer one's. */
	execute(&s, 5, "statement   0001");
	execute(&s, 5, "statement   0001");
	proto_cassandra.lost(s.state, PROTO_TO_CLIENT);
	answer(&s, 5);
	execute(&s, 5, "statement   0001");
	answer(&s, 5);
	assert_log(&s, "q5+- statement_not_seen;q5+- statement_not_seen;q5x;r5+-;q5+- statement_not_seen;r5+-;");
	/* Without a loss the answer is only late. */
	execute(&s, 6, "statement   0001");
	execute(&s, 6, "statement   0001");
	answer(&s, 6);
	answer(&s, 6);
	assert_log(&s, "q6+- statement_not_seen;q6+- statement_not_seen;r6+-;r6+-;");
	session_done(&s);
}

/* What stays open behind a loss is not known to have been prepared: the answer to a later request must not name it. */
static void a_lost_answer_prepares_nothing(void **state)
{
	struct session s;
	struct buffer wire;
	uint8_t body[] = "\0\0\0\4\0\x10statement   0001";

	(void)state;
	session_init(&s, 1 << 20);
	buffer_init(&wire, BYTES_MAX);
	put_text(&wire, 4, 3, CASSANDRA_PREPARE, "SELECT 1", "", 0);
	assert_true(feed(&s, PROTO_TO_SERVER, slice_make(wire.data, wire.len)));
	proto_cassandra.lost(s.state, PROTO_TO_CLIENT);
	wire.len = 0;
	put_envelope(&wire, 0x84, 3, CASSANDRA_RESULT, slice_make(body, sizeof(body) - 1));
	assert_true(feed(&s, PROTO_TO_CLIENT, slice_make(wire.data, wire.len)));
	s.log.len = 0;
	execute(&s, 4, "statement   0001");
	assert_log(&s, "q4+- statement_not_seen;");
	buffer_done(&wire);
	session_done(&s);
}

struct block {
	const char *in;
	size_t len, cap;
	const char *want; /* NULL: it is none */
};

static void check_blocks(bool (*inflate)(struct slice, uint8_t *, size_t, size_t *), const struct block *b, size_t n)
{
	for (; n; n--, b++) {
		uint8_t *out = malloc(b->cap ? b->cap : 1), *in = malloc(b->len ? b->len : 1);
		size_t len = 0;

		memcpy(in, b->in, b->len);
		bool good = inflate(slice_make(in, b->len), out, b->cap, &len);
		assert_int_equal(good, b->want != NULL);
		assert_true(len <= b->cap);
		if (b->want) {
			assert_int_equal(len, strlen(b->want));
			assert_memory_equal(out, b->want, len);
		}
		free(out);
		free(in);
	}
}

#define BLOCK(s, cap, want) { s, sizeof(s) - 1, cap, want }

static void blocks_inflate_as_far_as_they_go(void **state)
{
	static const struct block lz4[] = {
		BLOCK("", 9, ""), BLOCK("\x50hello", 9, "hello"), BLOCK("\x50hello", 3, "hel"), BLOCK("\x50hel", 9, "hel"),
		BLOCK("\x11" "a\1\0", 32, "aaaaaa"), BLOCK("\x11" "a\1\0\x10" "b", 32, "aaaaaab"), BLOCK("\x1f" "a\1\0\3", 32, "aaaaaaaaaaaaaaaaaaaaaaa"),
		BLOCK("\x1f" "a\1\0\xff\xff\xff\xff", 32, "a"), BLOCK("\x11" "a\2\0", 32, NULL), BLOCK("\x11" "a\0\0", 32, NULL), BLOCK("\xf0", 9, ""), BLOCK("\xf0\xff\xff", 9, ""),
		BLOCK("\x24" "ab\2\0", 9, "ababababa"),
	};
	static const struct block snappy[] = {
		BLOCK("", 9, ""), BLOCK("\5\x10hello", 9, "hello"), BLOCK("\5\x10hello", 2, "he"), BLOCK("\5\x10hel", 9, "hel"), BLOCK("\6\0a\5\1", 9, "aaaaaa"),
		BLOCK("\6\0a\x12\1\0", 9, "aaaaaa"), BLOCK("\6\0a\x13\1\0\0\0", 9, "aaaaaa"), BLOCK("\6\0a\5\2", 9, NULL), BLOCK("\6\0a\5\0", 9, NULL), BLOCK("\6\0a\5", 9, "a"),
		BLOCK("\5\xf0\4hello", 9, "hello"), BLOCK("\5\xfc\xff\xff\xff\xffhello", 9, "hello"), BLOCK("\xff\xff\xff\xff\xff\xff", 9, ""),
	};

	(void)state;
	check_blocks(cassandra_lz4, lz4, sizeof(lz4) / sizeof(*lz4));
	check_blocks(cassandra_snappy, snappy, sizeof(snappy) / sizeof(*snappy));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_segment_of_many_envelopes), cmocka_unit_test(an_envelope_of_several_full_segments), cmocka_unit_test(the_statement_unused_for_longest_goes),
		cmocka_unit_test(without_memory_less_is_known), cmocka_unit_test(a_stream_used_again_ends_what_was_lost),
		cmocka_unit_test(a_lost_answer_prepares_nothing), cmocka_unit_test(blocks_inflate_as_far_as_they_go),
	};
	return cmocka_run_group_tests_name("cassandra", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* proto/dns over literal messages on both transports, and over random bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "proto/proto.h"

extern const struct proto_ops proto_dns;

#define QUESTION "\3wWw\7example\3com\0\0\x1c\0\1"
static const uint8_t query[] = "\0\x21" "\x12\x34\1\0\0\1\0\0\0\0\0\0" QUESTION;
static const uint8_t nxdomain[] = "\0\x21" "\x12\x34\x81\x83\0\1\0\0\0\0\0\0" QUESTION;

static void reads_both_transports(void **state)
{
	(void)state;
	for (int datagram = 0; datagram < 2; datagram++) {
		uint64_t s[CONNECTION_PARSER_BYTES / 8] = { 0 };
		struct parse_result r = { .datagram = datagram };
		size_t from = datagram ? 2 : 0;
		struct slice in = slice_make(query + from, sizeof(query) - 1 - from);
		assert_int_equal(proto_dns.parse(s, PROTO_TO_SERVER, in, &r), PARSE_MESSAGE);
		assert_int_equal(r.consumed, in.len);
		assert_int_equal(r.message.key, 0x1234);
		const struct attr *name = attr_find(r.message.attrs, r.message.nattrs, ATTR_DNS_QUESTION_NAME);
		const struct attr *type = attr_find(r.message.attrs, r.message.nattrs, ATTR_DNS_QUESTION_TYPE);
		assert_true(name && slice_eq(name->str, SLICE_LIT("www.example.com")));
		assert_true(type && slice_eq(type->str, SLICE_LIT("AAAA")));
		r = (struct parse_result){ .datagram = datagram };
		assert_int_equal(proto_dns.parse(s, PROTO_TO_CLIENT, slice_make(nxdomain + from, in.len), &r), PARSE_MESSAGE);
		assert_true(r.message.flags & MESSAGE_ERROR);
		assert_string_equal(r.message.error_type, "NXDOMAIN");
	}
	for (size_t n = 1; n < sizeof(query) - 1; n++) {
		uint64_t s[CONNECTION_PARSER_BYTES / 8] = { 0 };
		struct parse_result r = { 0 };
		assert_int_equal(proto_dns.parse(s, PROTO_TO_SERVER, slice_make(query, n), &r), PARSE_NEED_MORE);
		assert_true(proto_dns.detect(slice_make(query, n), PROTO_TO_SERVER) == DETECT_MORE);
	}
}

static void random_bytes_are_not_dns(void **state)
{
	uint64_t x = 88172645463325252u;

	(void)state;
	for (unsigned i = 0; i < 100003; i++) {
		uint64_t words[8];
		for (unsigned w = 0; w < 8; w++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			words[w] = x;
		}
		struct slice in = slice_make(words, sizeof(words) - i % 40);
		assert_true(proto_dns.detect(in, (enum proto_side)(i & 1)) < DETECT_LIKELY);
		assert_true(proto_dns.detect_datagram(in, (enum proto_side)(i & 1)) < DETECT_LIKELY);
	}
	assert_true(proto_dns.detect(slice_make(query, sizeof(query) - 1), PROTO_TO_SERVER) >= DETECT_LIKELY);
	assert_true(proto_dns.detect_datagram(slice_make(query + 2, sizeof(query) - 3), PROTO_TO_SERVER) >= DETECT_LIKELY);
	assert_int_equal(proto_dns.detect(slice_make(query, sizeof(query) - 1), PROTO_TO_CLIENT), DETECT_NO);
}

/* A whole query and its answer, and what one wrong field does to them: each check of the header and of the records has a case that only it refuses. */
static void one_wrong_field_is_not_dns(void **state)
{
	static const uint8_t good[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0" QUESTION;
	static const uint8_t answer[] = "\x12\x34\x81\x80\0\1\0\1\0\0\0\0" QUESTION "\xc0\x0c\0\x1c\0\1\0\0\0\x3c\0\4abcd";
	static const struct { const char *what; size_t at; uint8_t value; } queries[] = {
		{ "opcode IQUERY", 2, 0x09 }, { "opcode STATUS", 2, 0x11 }, { "opcode 3", 2, 0x19 }, { "opcode DSO", 2, 0x31 },
		{ "reserved bit", 3, 0x40 }, { "a query with a code", 3, 0x03 }, { "no question", 5, 0 }, { "65 questions", 5, 65 },
		{ "an answer in a query", 7, 1 }, { "two authorities", 9, 2 }, { "five additionals", 11, 5 },
		{ "a label of 64", 12, 0x40 }, { "a reserved label type", 12, 0x80 }, { "a pointer at itself", 12, 0xc0 },
		{ "a label that reaches beyond the end", 16, 63 }, { "type 0", 30, 0 }, { "class 5", 32, 5 },
		{ "UPDATE's class 0 in a QUERY", 32, 0 },
	}, answers[] = {
		{ "opcode STATUS", 2, 0x91 }, { "reserved bit", 3, 0xc0 }, { "17 questions", 5, 17 }, { "two answers of which one is there", 7, 2 },
		{ "too few answers", 7, 0 }, { "a pointer at itself", 34, 33 }, { "class of a record", 38, 9 }, { "data longer than the message", 44, 5 },
		{ "data shorter than the message", 44, 3 },
	};
	uint8_t b[sizeof(answer)];

	(void)state;
	assert_int_equal(proto_dns.detect_datagram(slice_make(good, sizeof(good) - 1), PROTO_TO_SERVER), 90);
	assert_int_equal(proto_dns.detect_datagram(slice_make(answer, sizeof(answer) - 1), PROTO_TO_CLIENT), 90);
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		memcpy(b, good, sizeof(good));
		b[queries[i].at] = queries[i].value;
		if (proto_dns.detect_datagram(slice_make(b, sizeof(good) - 1), PROTO_TO_SERVER) != DETECT_NO)
			fail_msg("query: %s", queries[i].what);
	}
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		memcpy(b, answer, sizeof(answer));
		b[answers[i].at] = answers[i].value;
		if (proto_dns.detect_datagram(slice_make(b, sizeof(answer) - 1), PROTO_TO_CLIENT) >= DETECT_LIKELY)
			fail_msg("answer: %s", answers[i].what);
	}
	/* An answer without a question, records or a code says nothing. */
	assert_int_equal(proto_dns.detect_datagram(slice_make("\x12\x34\x81\x80\0\0\0\0\0\0\0\0", 12), PROTO_TO_CLIENT), DETECT_NO);
	/* Bytes behind the last record belong to no message. */
	memcpy(b, good, sizeof(good));
	assert_int_equal(proto_dns.detect_datagram(slice_make(b, sizeof(good)), PROTO_TO_SERVER), DETECT_NO);
}

/* Records ". A IN" without data, as many as fit. */
static void put_records(uint8_t *to, size_t len)
{
	for (size_t at = 0; at + 11 <= len; at += 11)
		to[at + 2] = 1, to[at + 4] = 1;
}

/* Header checks whose fields the records contradict, too: only complete records show that the header itself is refused. */
static void header_limits(void **state)
{
	uint8_t b[2048];
	static const struct { uint8_t flags, questions, answers, authorities, additionals; bool fits; } cases[] = {
		{ 1, 64, 0, 0, 0, true }, { 1, 65, 0, 0, 0, false }, { 0x81, 16, 0, 0, 0, true }, { 0x81, 17, 0, 0, 0, false },
		{ 1, 1, 1, 0, 0, false }, { 1, 1, 0, 1, 0, true }, { 1, 1, 0, 2, 0, false }, { 1, 1, 0, 0, 4, true }, { 1, 1, 0, 0, 5, false },
		{ 1, 0, 0, 0, 1, false }, { 0x81, 0, 0, 0, 1, false }, { 0x81, 0, 1, 0, 0, true }, { 0x21, 1, 1, 0, 0, true }, { 0x29, 1, 2, 5, 5, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = 12, records = (size_t)cases[i].answers + cases[i].authorities + cases[i].additionals;
		memset(b, 0, sizeof(b));
		b[0] = 7;
		b[2] = cases[i].flags;
		b[5] = cases[i].questions, b[7] = cases[i].answers, b[9] = cases[i].authorities, b[11] = cases[i].additionals;
		for (unsigned q = 0; q < cases[i].questions; q++, n += 5)
			b[n + 2] = 1, b[n + 4] = 1; /* ". A IN" */
		for (size_t r = 0; r < records; r++, n += 11)
			b[n + 2] = 1, b[n + 4] = 1;
		int score = proto_dns.detect_datagram(slice_make(b, n), b[2] & 0x80 ? PROTO_TO_CLIENT : PROTO_TO_SERVER);
		if ((score >= DETECT_LIKELY) != cases[i].fits)
			fail_msg("case %zu scores %d", i, score);
	}
	/* 60,000 records in 600 bytes, the head of a long message by all else. */
	memset(b, 0, sizeof(b));
	b[2] = 0x81, b[5] = 1, b[6] = 0xea, b[7] = 0x60, b[14] = 1, b[16] = 1;
	put_records(b + 17, 600 - 17);
	assert_int_equal(proto_dns.detect_datagram(slice_make(b, 600), PROTO_TO_CLIENT), DETECT_NO);
}

/*
 * Pieces of 25 bytes: each begins a message of 250 records, and the first record's data is the next piece's beginning, so that each can be read for 250 steps.
 * Then a message whose last record is none. Returns the whole length.
 */
static size_t pieces_then_a_bad_message(uint8_t *out, size_t pieces)
{
	static const uint8_t piece[] = "\xff\xff" "\x12\x34\x81\x80\0\0\0\xfa\0\0\0\0" "\0\0\1\0\1\0\0\0\0\0\xe";
	static const uint8_t head[] = "\x09\xb6" "\x12\x34\x81\x80\0\1\0\xdf\0\0\0\0" QUESTION;
	static const uint8_t good[] = "\0\0\1\0\1\0\0\0\0\0\0", bad[] = "\0\0\1\0\x63\0\0\0\0\0\0";
	uint8_t *at = out;

	for (size_t i = 0; i < pieces; i++, at += sizeof(piece) - 1)
		memcpy(at, piece, sizeof(piece) - 1);
	memcpy(at, head, sizeof(head) - 1);
	at += sizeof(head) - 1;
	for (int i = 0; i < 223; i++, at += sizeof(good) - 1)
		memcpy(at, i < 222 ? good : bad, sizeof(good) - 1);
	return (size_t)(at - out);
}

/* A search reads so many records that the wrong last one is found, as long as not every byte could begin a message: then it stops reading that far. */
static void a_search_reads_a_bounded_number_of_records(void **state)
{
	static uint8_t bytes[64 * 1024];
	uint64_t s[CONNECTION_PARSER_BYTES / 8] = { 0 };

	(void)state;
	for (size_t pieces = 0; pieces <= 2003; pieces += 2003) {
		size_t len = pieces_then_a_bad_message(bytes, pieces), begin = pieces * 25;
		size_t message = len;
		assert_int_equal(len - begin, 2 + 0x09b6);
		memcpy(bytes + len, nxdomain, sizeof(nxdomain) - 1);
		len += sizeof(nxdomain) - 1;
		assert_int_equal(proto_dns.resync(s, PROTO_TO_CLIENT, slice_make(bytes, len)), pieces ? begin : message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(reads_both_transports), cmocka_unit_test(random_bytes_are_not_dns),
					    cmocka_unit_test(one_wrong_field_is_not_dns), cmocka_unit_test(header_limits),
					    cmocka_unit_test(a_search_reads_a_bounded_number_of_records) };
	return cmocka_run_group_tests_name("dns", tests, NULL, NULL);
}

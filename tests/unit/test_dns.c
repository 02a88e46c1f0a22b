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

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(reads_both_transports), cmocka_unit_test(random_bytes_are_not_dns) };
	return cmocka_run_group_tests_name("dns", tests, NULL, NULL);
}

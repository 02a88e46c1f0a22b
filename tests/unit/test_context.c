/* SPDX-License-Identifier: Apache-2.0 */
/* correlate/context: valid and invalid trace context values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "correlate/context.h"

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"

static const uint8_t trace_bytes[16] = { 0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c };
static const uint8_t span_bytes[8] = { 0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31 };

struct value {
	const char *text;
	int sampled; /* enum context_sampled, -1 = invalid */
};

static void check(const struct value *v, bool (*parse)(struct slice, struct trace_context *))
{
	for (; v->text; v++) {
		struct trace_context c;
		memset(&c, 0xee, sizeof(c));
		bool ok = parse(slice_str(v->text), &c);
		if (ok != (v->sampled >= 0))
			fail_msg("\"%s\" is %s", v->text, ok ? "accepted" : "refused");
		if (!ok) {
			assert_int_equal(c.sampled, 0xee);
			continue;
		}
		assert_memory_equal(c.trace_id, trace_bytes, 16);
		assert_memory_equal(c.span_id, span_bytes, 8);
		assert_int_equal(c.sampled, v->sampled);
	}
}

static void traceparent(void **state)
{
	static const struct value values[] = {
		{ "00-" TRACE "-" SPAN "-01", CONTEXT_SAMPLED },
		{ "00-" TRACE "-" SPAN "-00", CONTEXT_NOT_SAMPLED },
		{ "00-" TRACE "-" SPAN "-03", CONTEXT_SAMPLED },
		{ "cc-" TRACE "-" SPAN "-01", CONTEXT_SAMPLED },
		{ "cc-" TRACE "-" SPAN "-01-what-comes-later", CONTEXT_SAMPLED },
		{ "00-" TRACE "-" SPAN "-01-what-comes-later", -1 },
		{ "cc-" TRACE "-" SPAN "-01.what", -1 },
		{ "ff-" TRACE "-" SPAN "-01", -1 },
		{ "00-" TRACE "-" SPAN "-0", -1 },
		{ "00-" TRACE "-" SPAN "-0g", -1 },
		{ "00-00000000000000000000000000000000-" SPAN "-01", -1 },
		{ "00-" TRACE "-0000000000000000-01", -1 },
		{ "00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01", -1 },
		{ "00_" TRACE "-" SPAN "-01", -1 },
		{ " 00-" TRACE "-" SPAN "-01", -1 },
		{ "0-" TRACE "-" SPAN "-001", -1 },
		{ "", -1 },
		{ NULL, 0 },
	};

	(void)state;
	check(values, context_parse_traceparent);
}

static void b3(void **state)
{
	static const struct value values[] = {
		{ TRACE "-" SPAN, CONTEXT_DEFERRED },
		{ TRACE "-" SPAN "-1", CONTEXT_SAMPLED },
		{ TRACE "-" SPAN "-d", CONTEXT_SAMPLED },
		{ TRACE "-" SPAN "-0", CONTEXT_NOT_SAMPLED },
		{ TRACE "-" SPAN "-1-05e3ac9a4f6e3b90", CONTEXT_SAMPLED },
		{ TRACE "-" SPAN "-1-05e3", -1 },
		{ TRACE "-" SPAN "-2", -1 },
		{ TRACE "-" SPAN "-", -1 },
		{ TRACE, -1 },
		{ "0", -1 },
		{ "0af765-" SPAN "-1", -1 },
		{ TRACE "-0000000000000000-1", -1 },
		{ NULL, 0 },
	};
	struct trace_context c;
	static const uint8_t padded[16] = { [8] = 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c };

	(void)state;
	check(values, context_parse_b3);
	assert_true(context_parse_b3_multi(SLICE_LIT("8448eb211c80319c"), SLICE_LIT(SPAN), SLICE_LIT("true"), &c));
	assert_memory_equal(c.trace_id, padded, 16);
	assert_int_equal(c.sampled, CONTEXT_SAMPLED);
	assert_true(context_parse_b3_multi(SLICE_LIT(TRACE), SLICE_LIT(SPAN), SLICE_NONE, &c));
	assert_int_equal(c.sampled, CONTEXT_DEFERRED);
	assert_false(context_parse_b3_multi(SLICE_LIT(TRACE), SLICE_NONE, SLICE_LIT("1"), &c));
}

static void uber(void **state)
{
	static const struct value values[] = {
		{ TRACE ":" SPAN ":0:1", CONTEXT_SAMPLED },
		{ "af7651916cd43dd8448eb211c80319c:" SPAN ":0:01", CONTEXT_SAMPLED },
		{ TRACE "%3A" SPAN "%3a0%3A0", CONTEXT_NOT_SAMPLED },
		{ TRACE ":" SPAN ":" SPAN ":3", CONTEXT_SAMPLED },
		{ TRACE ":" SPAN ":1", -1 },
		{ TRACE ":" SPAN ":0:", -1 },
		{ TRACE ":" SPAN ":0:001", -1 },
		{ TRACE ":0:0:1", -1 },
		{ TRACE "0:" SPAN ":0:1", -1 },
		{ TRACE ":" SPAN ":0:x", -1 },
		{ "::::", -1 },
		{ NULL, 0 },
	};

	(void)state;
	check(values, context_parse_uber);
}

static struct attr str(enum attr_id id, const char *value)
{
	return (struct attr){ .id = (uint16_t)id, .type = ATTR_TYPE_STR, .str = slice_str(value) };
}

static void the_strongest_valid_one_counts(void **state)
{
	struct attr attrs[] = {
		str(ATTR_RAW_UBER_TRACE_ID, "1:2:0:0"),
		str(ATTR_RAW_B3, TRACE "-" SPAN "-1"),
		str(ATTR_RAW_TRACEPARENT, "00-" TRACE "-1111111111111111-00"),
	};
	struct trace_context c;

	(void)state;
	assert_true(context_find(attrs, 3, &c));
	assert_int_equal(c.span_id[0], 0x11);
	attrs[2].str.len--; /* not valid any more: the next one */
	assert_true(context_find(attrs, 3, &c));
	assert_memory_equal(c.span_id, span_bytes, 8);
	assert_true(context_find(attrs, 1, &c));
	assert_int_equal(c.trace_id[15], 1);
	assert_int_equal(c.span_id[7], 2);
	assert_false(context_find(attrs, 0, &c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(traceparent),
		cmocka_unit_test(b3),
		cmocka_unit_test(uber),
		cmocka_unit_test(the_strongest_valid_one_counts),
	};
	return cmocka_run_group_tests_name("context", tests, NULL, NULL);
}

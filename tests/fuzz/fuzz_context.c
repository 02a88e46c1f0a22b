/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trace context headers from strangers. The first byte chooses the header; of B3's three the values stand in lines. What is taken has ids
 * that stand so in the header, what is not leaves the result alone.
 */
#include "fuzz/fuzz.h"

#include "correlate/context.h"

static bool hex_in(struct slice text, const uint8_t *id, size_t n)
{
	char hex[33];

	for (size_t i = 0; i < n; i++)
		snprintf(hex + 2 * i, 3, "%02x", id[i]);
	/* Short ids are filled with zeros in front. */
	const char *digits = hex;
	while (*digits == '0')
		digits++;
	size_t len = strlen(digits);
	for (size_t at = 0; at + len <= text.len; at++)
		if (slice_ieq(slice_make(text.ptr + at, len), slice_str(digits)))
			return true;
	return false;
}

static void check(bool taken, const struct trace_context *c, struct slice text)
{
	static const struct trace_context untouched = { .sampled = 77 };
	static const uint8_t zero[16];

	if (!taken) {
		REQUIRE(memcmp(c, &untouched, sizeof(untouched)) == 0);
		return;
	}
	REQUIRE(c->sampled <= CONTEXT_SAMPLED && memcmp(c->trace_id, zero, 16) != 0 && memcmp(c->span_id, zero, 8) != 0);
	REQUIRE(hex_in(text, c->trace_id, 16) && hex_in(text, c->span_id, 8));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	uint8_t choice = fuzz_byte(&in);
	uint8_t *copy = fuzz_copy(in);
	struct slice text = slice_make(copy, in.len), rest = text, part[3];
	struct trace_context c = { .sampled = 77 };
	struct attr attrs[6];
	size_t n = 0;

	for (size_t i = 0; i < 3; i++) {
		part[i] = fuzz_take(&rest, slice_find(rest, '\n', 0));
		fuzz_byte(&rest);
	}
	switch (choice % 5) {
	case 0: check(context_parse_traceparent(text, &c), &c, text); break;
	case 1: check(context_parse_b3(text, &c), &c, text); break;
	case 2: check(context_parse_b3_multi(part[0], part[1], part[2], &c), &c, text); break;
	case 3: check(context_parse_uber(text, &c), &c, text); break;
	case 4:
		for (enum attr_id id = ATTR_RAW_TRACEPARENT; id <= ATTR_RAW_UBER_TRACE_ID && n < 6; id++)
			if (choice >> 5 & 1 || n < 3)
				attrs[n] = (struct attr){ .id = (uint16_t)id, .type = ATTR_TYPE_STR, .str = part[n % 3] }, n++;
		check(context_find(attrs, n, &c), &c, text);
		break;
	}
	free(copy);
	return 0;
}

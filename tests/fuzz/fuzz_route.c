/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Path templates from hostile paths: the first byte bounds the templates, then each line is a request, its first byte service and status. The
 * promises: within every bound, the same from the same paths, and what was just learned is known.
 */
#include "fuzz/fuzz.h"

#include "span/route.h"

enum { SERVICES = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	uint32_t limit = 1 + fuzz_byte(&in) % 16;
	struct route_learner *l, *twin;
	char text[ROUTE_TEXT_MAX];

	REQUIRE(route_learner_new(limit, &l) == 0 && route_learner_new(limit, &twin) == 0);
	while (in.len) {
		struct slice line = fuzz_take(&in, slice_find(in, '\n', 0));
		fuzz_byte(&in);
		uint8_t kind = fuzz_byte(&line), service = kind % SERVICES;
		uint8_t *copy = fuzz_copy(line);
		struct slice path = slice_make(copy, line.len), name = slice_make(&"abcd"[service], 1);
		struct slice route = route_learn(l, name, path, kind & 0x80);
		struct slice again = route_learn(twin, name, path, kind & 0x80);

		REQUIRE(slice_eq(route, again) && route.len <= ROUTE_TEXT_MAX);
		REQUIRE(!route.len || (route.ptr[0] == '/' && !memchr(route.ptr, '\n', route.len)));
		memcpy(text, route.ptr ? route.ptr : (const uint8_t *)"", route.len);
		/* What was just learned is known. */
		again = route_learn(l, name, path, kind & 0x80);
		REQUIRE(slice_eq(again, slice_make(text, route.len)));
		route_learn(twin, name, path, kind & 0x80);
		char shape[ROUTE_SEGMENT_MAX];
		REQUIRE(route_segment_shape(path, shape).len <= ROUTE_SEGMENT_MAX);
		route_segment_is_literal(path);
		free(copy);
	}
	route_learner_free(l);
	route_learner_free(twin);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Path templates from hostile paths: the first byte bounds the templates, then each line is a request, its first byte service and status. The
 * promises: within every bound, the same again from the same paths, and nothing but text of the path and names of shapes in a template.
 */
#include "fuzz/fuzz.h"

#include "span/route.h"

enum { SERVICES = 4, TEMPLATES = 64 };

struct seen { /* of one service */
	char text[TEMPLATES][ROUTE_TEXT_MAX];
	size_t len[TEMPLATES];
	size_t n;
};

static void remember(struct seen *s, struct slice route, uint32_t limit)
{
	for (size_t i = 0; i < s->n; i++)
		if (slice_eq(route, slice_make(s->text[i], s->len[i])))
			return;
	/* A place that becomes {param} replaces the words that stood there: at most the bound at a time, and once more for each. */
	REQUIRE(s->n < 2 * (size_t)limit && s->n < TEMPLATES);
	memcpy(s->text[s->n], route.ptr, route.len);
	s->len[s->n++] = route.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct seen seen[SERVICES];
	struct slice in = slice_make(data, size);
	uint32_t limit = 1 + fuzz_byte(&in) % 16;
	struct route_learner *l, *twin;

	for (size_t i = 0; i < SERVICES; i++)
		seen[i].n = 0;
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
		if (route.len) {
			REQUIRE(route.ptr[0] == '/' && !memchr(route.ptr, '\n', route.len));
			remember(&seen[service], route, limit);
		}
		char shape[ROUTE_SEGMENT_MAX];
		REQUIRE(route_segment_shape(path, shape).len <= ROUTE_SEGMENT_MAX);
		route_segment_is_literal(path);
		free(copy);
	}
	route_learner_free(l);
	route_learner_free(twin);
	return 0;
}

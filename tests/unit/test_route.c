/* SPDX-License-Identifier: Apache-2.0 */
/* span/route: shapes of segments, learning by count, bounds, and that a replay learns the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "span/route.h"

#define SHOP SLICE_LIT("shop")

static void assert_route(struct route_learner *l, const char *path, const char *want)
{
	struct slice got = route_learn(l, SHOP, slice_str(path), false);

	if (!slice_eq(got, slice_str(want)))
		fail_msg("%s: got \"%.*s\", want \"%s\"", path, (int)got.len, (const char *)got.ptr, want);
}

static void shapes(void **state)
{
	static const char *const cases[][2] = {
		/* values */
		{ "7", "{id}" }, { "-12", "{id}" }, { "20261123", "{id}" }, { "user-1234", "{id}" }, { "INV_2026_001", "{id}" },
		{ "order42917", "{id}" }, { "123e4567-e89b-12d3-a456-426614174000", "{uuid}" }, { "2026-11-23", "{date}" },
		{ "2026-11-23T10:00:00Z", "{date}" }, { "3f2a9c1b", "{hash}" }, { "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b", "{hash}" },
		{ "01ARZ3NDEKTSV4RRFFQ69G5FAV", "{ulid}" }, { "bob@example.com", "{email}" }, { "10.0.0.17", "{ip}" },
		{ "dGhpcyBpcyBhIHRlc3Q=", "{token}" }, { "dQw4w9W3XcQ", "{token}" }, { "eyJhbGciOiJIUzI1NiJ9abc", "{token}" },
		{ "how-to-write-a-good-tracer", "{slug}" }, { "New%20York", "{param}" },
		{ "12345.json", "{id}.json" }, { "app.3f2a9c1b.js", "{file}.js" }, { "chunk-5f7bd2a9.css", "{file}.css" },
		{ "9f86d081884c7d65.png", "{hash}.png" },
		/* words */
		{ "orders", "" }, { "v1", "" }, { "v2beta1", "" }, { "1.0", "" }, { "oauth2", "" }, { "s3", "" }, { "base64", "" },
		{ "getUserById2", "" }, { "terms-of-service", "" }, { "facade", "" }, { "deadbeef", "" }, { "favicon.ico", "" },
		{ "index.html", "" }, { "app.js", "" }, { "step-2", "" }, { ".well-known", "" }, { "a", "" }, { "", "" }, { "sha256", "" },
		{ "ISO8601", "" }, { "healthz", "" }, { "user_profile", "" }, { "x86", "" }, { "jquery.min.js", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char out[ROUTE_SEGMENT_MAX];
		struct slice got = route_segment_shape(slice_str(cases[i][0]), out);
		if (!slice_eq(got, slice_str(cases[i][1])))
			fail_msg("%s: got \"%.*s\", want \"%s\"", cases[i][0], (int)got.len, (const char *)got.ptr, cases[i][1]);
	}
}

static void templates(void **state)
{
	struct route_learner *l;

	(void)state;
	assert_int_equal(route_learner_new(0, &l), 0);
	assert_route(l, "/", "/");
	assert_route(l, "/orders", "/orders");
	assert_route(l, "/orders/", "/orders/");
	assert_route(l, "/orders/17/items/3", "/orders/{id}/items/{id}");
	assert_route(l, "/orders/18/items/4", "/orders/{id}/items/{id}");
	assert_route(l, "/login;jsessionid=AB12/x", "/login/x");
	assert_route(l, "//", "//");
	assert_route(l, "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18",
		     "/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{path}");
	assert_route(l, "", "");
	assert_route(l, "*", "");
	assert_route(l, "no-slash", "");
	route_learner_free(l);
}

static void many_words_become_a_parameter(void **state)
{
	struct route_learner *l;
	char path[64];

	(void)state;
	assert_int_equal(route_learner_new(0, &l), 0);
	assert_route(l, "/users/7/posts", "/users/{id}/posts");
	for (int i = 0; i < ROUTE_FANOUT; i++) {
		snprintf(path, sizeof(path), "/users/%c%c/posts", 'a' + i, 'z' - i);
		assert_route(l, path, path);
		assert_route(l, path, path);
	}
	assert_route(l, "/users/zoe/posts", "/users/{param}/posts");
	assert_route(l, "/users/az/posts", "/users/{param}/posts"); /* seen as words before, and cached as such */
	assert_route(l, "/users/by/posts", "/users/{param}/posts");
	assert_route(l, "/users/7/posts", "/users/{id}/posts");
	assert_route(l, "/users/", "/users/");
	assert_route(l, "/orders", "/orders");
	/* Another service learns for itself. */
	struct slice other = route_learn(l, SLICE_LIT("other"), SLICE_LIT("/users/zoe/posts"), false);
	assert_true(slice_eq(other, SLICE_LIT("/users/zoe/posts")));
	route_learner_free(l);
}

static void a_collapse_gives_templates_back(void **state)
{
	struct route_learner *l;
	char path[64];

	(void)state;
	assert_int_equal(route_learner_new(ROUTE_FANOUT + 2, &l), 0);
	for (int round = 0; round < 37; round++) {
		/* Words fill the bound, then give way to one {param}; each round below another of ever fewer free templates. */
		snprintf(path, sizeof(path), "/r%c/users", 'a' + round % 2);
		for (int i = 0; i <= ROUTE_FANOUT; i++) {
			char deeper[80];
			snprintf(deeper, sizeof(deeper), "%s/%c%c", path, 'a' + i, 'a' + round % 26);
			assert_true(route_learn(l, SHOP, slice_str(deeper), false).len != 0);
		}
	}
	assert_route(l, "/ra/users/x", "/ra/users/{param}");
	assert_route(l, "/rb/users/x", "/rb/users/{param}");
	for (int i = 0; i < ROUTE_FANOUT; i++) {
		snprintf(path, sizeof(path), "/one%c/two", 'a' + i);
		assert_route(l, path, path);
	}
	assert_route(l, "/onez/two", "");
	route_learner_free(l);
}

static void bounds(void **state)
{
	enum { CAP = 13 };
	struct route_learner *l;
	char path[ROUTE_TEXT_MAX * 2];
	int absent = 0;

	(void)state;
	assert_int_equal(route_learner_new(CAP, &l), 0);
	/* One template per depth: no place fans out, only the service's bound can stop it. */
	for (int i = 0; i < 23; i++) {
		snprintf(path, sizeof(path), "/%c/%c", 'a' + i, 'a' + i);
		absent += route_learn(l, SHOP, slice_str(path), false).len == 0;
	}
	assert_int_equal(absent, 23 - CAP);
	assert_route(l, "/a/a", "/a/a");
	assert_route(l, "/z/z", "");
	route_learner_free(l);

	/* A template that would be too long is none. */
	assert_int_equal(route_learner_new(0, &l), 0);
	memset(path, 'n', sizeof(path));
	for (size_t i = 0; i < 400; i += 40)
		path[i] = '/';
	assert_int_equal(route_learn(l, SHOP, slice_make(path, 400), false).len, 0);
	assert_int_equal(route_learn(l, SHOP, slice_make(path, 120), false).len, 120);
	route_learner_free(l);
}

static void scans_leave_room(void **state)
{
	struct route_learner *l;
	char path[64];

	(void)state;
	assert_int_equal(route_learner_new(0, &l), 0);
	assert_route(l, "/cart", "/cart");
	for (int i = 0; i < 1009; i++) {
		snprintf(path, sizeof(path), "/scan%c%c%c.php", 'a' + i % 26, 'a' + i / 26 % 26, 'a' + i / 676);
		route_learn(l, SHOP, slice_str(path), true);
	}
	assert_route(l, "/cart", "/cart"); /* did not collapse into {param} */
	assert_route(l, "/checkout", "/checkout");
	route_learner_free(l);
}

/* Paths that come once, answered as if they were there, however many: routes in use stay what they are. */
static void floods_take_no_routes_away(void **state)
{
	static const char *const real[] = { "/cart", "/orders/17/items", "/api/v1/users", "/api/v1/search", "/health", "/login", "/" };
	static const char *const templates[] = { "/cart", "/orders/{id}/items", "/api/v1/users", "/api/v1/search", "/health", "/login", "/" };
	enum { REAL = 7 };
	struct route_learner *l;
	char path[64];

	(void)state;
	assert_int_equal(route_learner_new(0, &l), 0);
	for (int i = 0; i < REAL * ROUTE_PROVEN; i++)
		assert_route(l, real[i % REAL], templates[i % REAL]);
	for (int i = 0; i < 17576; i++) {
		static const char *const below[] = { "", "/api", "/api/v1" };
		snprintf(path, sizeof(path), "%s/q%c%c%c", below[i % 3], 'a' + i % 26, 'a' + i / 26 % 26, 'a' + i / 676);
		struct slice got = route_learn(l, SHOP, slice_str(path), false);
		assert_true(got.len > 0);
		if (i > 17000 && i % 3 == 0)
			assert_route(l, path, "/{param}");
		else if (i > 17000)
			assert_true(slice_eq(got, i % 3 == 1 ? SLICE_LIT("/api/{param}") : SLICE_LIT("/api/v1/{param}")));
	}
	for (int i = 0; i < REAL; i++)
		assert_route(l, real[i], templates[i]);
	assert_route(l, "/orders/18/items", "/orders/{id}/items");
	assert_route(l, "/orders/18/notes", "/orders/{id}/notes"); /* below a word that stayed */
	route_learner_free(l);
}

/* Words that are values, each in use: that they come back does not make them words of the program. */
static void values_in_use_become_a_parameter(void **state)
{
	struct route_learner *l;
	char path[64];

	(void)state;
	assert_int_equal(route_learner_new(0, &l), 0);
	for (int i = 0; i < ROUTE_FANOUT; i++)
		for (int k = 0; k < 2 * ROUTE_PROVEN; k++) {
			snprintf(path, sizeof(path), "/users/%c%c/posts", 'a' + i, 'z' - i);
			assert_route(l, path, path);
		}
	assert_route(l, "/users/zoe/posts", "/users/{param}/posts");
	assert_route(l, "/users/az/posts", "/users/{param}/posts");
	/* Absent ones that come again and again have no record. */
	for (int i = 0; i < ROUTE_FANOUT_ROOT; i++) {
		snprintf(path, sizeof(path), "/%cw%c", 'a' + i / 26, 'a' + i % 26);
		for (int k = 0; k < ROUTE_PROVEN; k++)
			route_learn(l, SHOP, slice_str(path), true);
		route_learn(l, SHOP, slice_str(path), false);
	}
	assert_route(l, "/awa", "/{param}");
	route_learner_free(l);
}

static void services_are_bounded(void **state)
{
	struct route_learner *l;
	char name[32];
	int known = 0;

	(void)state;
	assert_int_equal(route_learner_new(0, &l), 0);
	for (int i = 0; i < ROUTE_SERVICES_MAX + 7; i++) {
		snprintf(name, sizeof(name), "service %d", i);
		known += route_learn(l, slice_str(name), SLICE_LIT("/x"), false).len != 0;
	}
	assert_int_equal(known, ROUTE_SERVICES_MAX);
	route_learner_free(l);
}

/* Random paths, learned twice: every answer is the same, and memory stays bounded (ASan watches the frees on collapse). */
static void a_replay_learns_the_same(void **state)
{
	enum { PATHS = 20011 };
	static char answers[PATHS][ROUTE_TEXT_MAX + 1];

	(void)state;
	for (int run = 0; run < 2; run++) {
		struct route_learner *l;
		uint32_t random = 7919;
		assert_int_equal(route_learner_new(0, &l), 0);
		for (int i = 0; i < PATHS; i++) {
			char path[128];
			size_t len = 0;
			random = random * 1103515245 + 12345;
			int depth = (int)(random >> 16) % 5;
			for (int d = 0; d <= depth; d++) {
				random = random * 1103515245 + 12345;
				uint32_t r = random >> 16;
				int n = r % 3 ? snprintf(path + len, sizeof(path) - len, "/w%c%c", 'a' + (int)(r % 26), 'a' + (int)(r / 26 % 3)) :
						snprintf(path + len, sizeof(path) - len, "/%u", r);
				len += (size_t)n;
			}
			struct slice got = route_learn(l, SHOP, slice_make(path, len), random >> 31 != 0);
			if (run == 0)
				memcpy(answers[i], got.len ? (const char *)got.ptr : "", got.len);
			else
				assert_true(slice_eq(got, slice_str(answers[i])));
		}
		route_learner_free(l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shapes),
		cmocka_unit_test(templates),
		cmocka_unit_test(many_words_become_a_parameter),
		cmocka_unit_test(a_collapse_gives_templates_back),
		cmocka_unit_test(bounds),
		cmocka_unit_test(scans_leave_room),
		cmocka_unit_test(floods_take_no_routes_away),
		cmocka_unit_test(values_in_use_become_a_parameter),
		cmocka_unit_test(services_are_bounded),
		cmocka_unit_test(a_replay_learns_the_same),
	};
	return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* proto/graphql: operations of documents, in any pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "proto/graphql.h"

static void reads(const char *document, const char *operation, const char *type, const char *name, bool broken)
{
	struct slice in = slice_str(document);

	for (size_t cut = 0; cut <= in.len; cut++) {
		struct graphql g = { 0 };
		if (cut == in.len)
			for (size_t i = 0; i < in.len; i++)
				graphql_feed(&g, slice_make(in.ptr + i, 1));
		else {
			graphql_feed(&g, slice_head(in, cut));
			graphql_feed(&g, slice_from(in, cut));
		}
		assert_int_equal(g.broken, broken);
		struct slice got = graphql_type_name(graphql_type_of(&g, slice_str(operation)));
		assert_true(slice_eq(got, slice_str(type)));
		assert_true(slice_eq(slice_make(g.name, g.name_len), slice_str(name)));
	}
}

static void reads_operations(void **state)
{
	(void)state;
	reads("query Hero { hero { name } }", "", "query", "Hero", false);
	reads("{ hero }", "", "query", "", false);
	reads("mutation{ drop(id: 1) }", "", "mutation", "", false);
	reads("# a comment { }\nsubscription  S($a: [Int!] = 3, $o: In = {x: \"}\"}) @live(if: true) { s }", "", "subscription", "S", false);
	reads("fragment F on T @d(a: {b: 1}) { query { mutation } } query Q { ...F }", "", "query", "Q", false);
	reads("query A { a } mutation B { b } subscription C { c }", "B", "mutation", "A", false);
	reads("query A { a } mutation B { b }", "X", "", "A", false);
	reads("query ($a: Int) { a(x: \"\", y: \"\"\"block \\\"\"\" \"} \"\"\", z: \"\\\"}\") { b } } query Z { z }", "Z", "query", "", false);
}

static void knows_what_is_none(void **state)
{
	(void)state;
	reads("query plan for dinner { }", "", "", "plan", true);
	reads("weather in Paris", "", "", "", true);
	reads("", "", "", "", false);
	reads("query Hero", "", "", "Hero", false);
	reads("} query", "", "", "", true);
	reads("type T { a: Int }", "", "", "", true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_operations),
		cmocka_unit_test(knows_what_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

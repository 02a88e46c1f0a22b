/* SPDX-License-Identifier: Apache-2.0 */
/* lib/json_read: what is found, in any pieces; and that what is no JSON ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "lib/json_read.h"

static const struct json_wanted wanted[] = { { 0, "a" }, { 0, "list" }, { 2, "*" }, { 3, "b" }, { 0, "deep" }, { 5, "a" } };
enum { NODES = sizeof(wanted) / sizeof(wanted[0]) };

struct log {
	char text[512];
	size_t len;
	bool open; /* a string is being given */
};

static void add(struct log *l, const char *s, size_t len)
{
	assert_true(l->len + len < sizeof(l->text));
	if (len)
		memcpy(l->text + l->len, s, len);
	l->len += len;
	l->text[l->len] = 0;
}

/* "1=text 2[ 3{ 3} 2]" */
static void found(void *ctx, uint8_t node, enum json_kind kind, struct slice text, bool last)
{
	static const char ends[] = "{}[]";
	struct log *l = ctx;
	char head[8];

	if (kind == JSON_OBJECT || kind == JSON_ARRAY) {
		add(l, head, (size_t)snprintf(head, sizeof(head), "%u%c ", node, ends[(kind == JSON_ARRAY ? 2 : 0) + last]));
		return;
	}
	if (!l->open)
		add(l, head, (size_t)snprintf(head, sizeof(head), "%u=", node));
	l->open = !last;
	add(l, (const char *)text.ptr, text.len);
	if (last)
		add(l, " ", 1);
}

/* Whole, cut at each byte, and byte by byte; each piece ends where its memory does. */
static void finds(const char *json, const char *want, bool broken)
{
	size_t len = strlen(json);

	for (size_t cut = 0; cut <= len; cut++) {
		struct log l = { .len = 0 };
		struct json_read r;
		json_read_init(&r, wanted, NODES, found, &l);
		for (size_t at = 0; at < len;) {
			size_t n = cut == len ? 1 : at < cut ? cut - at : len - at;
			uint8_t *copy = malloc(n);
			assert_non_null(copy);
			memcpy(copy, json + at, n);
			json_read_feed(&r, slice_make(copy, n));
			free(copy);
			at += n;
		}
		assert_string_equal(l.text, want);
		assert_int_equal(r.broken, broken);
	}
}

static void finds_what_is_wanted(void **state)
{
	(void)state;
	finds("{\"a\":1}", "0{ 1=1 0} ", false);
	finds(" { \"x\" : {\"a\":[1,{\"a\":2}]}, \"a\" : \"q\\\"\\u00e9\\n\" } ", "0{ 1=q\"\xc3\xa9\n 0} ", false);
	finds("{\"list\":[{\"b\":true},{\"c\":0},7,[1]],\"a\":null}", "0{ 2[ 3{ 4=true 3} 3{ 3} 3=7 3[ 3] 2] 1=null 0} ", false);
	finds("{\"list\":[],\"deep\":{},\"a\":\"\"}", "0{ 2[ 2] 5{ 5} 1= 0} ", false);
	finds("{\"deep\":{\"a\":-1.5e3}}", "0{ 5{ 6=-1.5e3 5} 0} ", false);
	finds("{\"a\":123456789012345678901234567890}", "0{ 1=123456789012345678901234 0} ", false);
	finds("{\"\\u0061\":3,\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":1,\"\":2}", "0{ 1=3 0} ", false);
	finds("{\"a\":\"\\ud83d\\ude00\"}", "0{ 1=\xef\xbf\xbd\xef\xbf\xbd 0} ", false);
}

static void takes_elements_of_a_root_array_as_roots(void **state)
{
	(void)state;
	finds("[{\"a\":1},{\"a\":2}]", "0{ 1=1 0} 0{ 1=2 0} ", false);
	finds("[]", "", false);
	finds("[[{\"a\":1}]]", "0[ 0] ", false);
}

static void ends_with_what_is_no_json(void **state)
{
	(void)state;
	finds("{\"a\":1]", "0{ 1=1 ", true);
	finds("<html>", "", true);
	finds("{\"a\" 1}", "0{ ", true);
	finds("}", "", true);
	finds("{\"a\":\"\\uzz\"}", "0{ ", true);
	finds("{\"a\":1}{\"a\":2}", "0{ 1=1 0} ", false);
	finds("{\"a\":tru", "0{ ", false);
}

static void is_not_impressed_by_depth(void **state)
{
	struct log l = { .len = 0 };
	struct json_read r;

	(void)state;
	json_read_init(&r, wanted, NODES, found, &l);
	json_read_feed(&r, SLICE_LIT("{\"x\":"));
	for (int i = 0; i < 1000000; i++)
		json_read_feed(&r, SLICE_LIT("[{\"a\":"));
	json_read_feed(&r, SLICE_LIT("1"));
	for (int i = 0; i < 1000000; i++)
		json_read_feed(&r, SLICE_LIT("}]"));
	json_read_feed(&r, SLICE_LIT(",\"a\":5}"));
	assert_string_equal(l.text, "0{ 1=5 0} ");
	assert_true(r.done && !r.broken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_is_wanted),
		cmocka_unit_test(takes_elements_of_a_root_array_as_roots),
		cmocka_unit_test(ends_with_what_is_no_json),
		cmocka_unit_test(is_not_impressed_by_depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

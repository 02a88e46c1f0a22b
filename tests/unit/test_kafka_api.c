/* SPDX-License-Identifier: Apache-2.0 */
/* proto/kafka_api: every layout can be walked in every version, and no element of an array is empty, so that an array is no longer than its bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "proto/kafka_api.h"
#include "proto/kafka_walk.h"

enum { KEYS = 93, VERSIONS = 35 };

static bool has(const char *field, int version)
{
	int first = field[2] <= '9' ? field[2] - '0' : field[2] - 'a' + 10, last = field[3] <= '9' ? field[3] - '0' : field[3] - 'a' + 10;

	return version >= first && (version <= last || field[3] == 'z');
}

static bool opens(char type) { return type == '[' || type == '(' || type == '?'; }
static bool closes(char type) { return type == ']' || type == ')'; }

/* Behind the structure that begins at f. */
static const char *behind(const char *f)
{
	int depth = 0;

	do {
		depth += opens(*f) - closes(*f);
		f += f[4] ? 5 : 4;
	} while (depth > 0);
	return f;
}

static void check(const char *name, const char *layout, int version, bool flexible)
{
	int fields[KAFKA_DEPTH + 1] = { 0 }, depth = 0;

	for (const char *f = layout; *f;) {
		if (strlen(f) < 4 || (f[4] && f[4] != ' ') || !strchr("bhiluBHILUSsyr[](?)", *f) || !strchr("-TDPRGAEONK", f[1]))
			fail_msg("%s: \"%.5s\" is no field", name, f);
		if (!has(f, version)) {
			f = behind(f);
			continue;
		}
		if (opens(*f)) {
			assert_true(depth < KAFKA_DEPTH);
			fields[depth++]++;
			fields[depth] = 0;
		} else if (closes(*f)) {
			assert_true(depth > 0);
			if (!flexible && fields[depth] == 0)
				fail_msg("%s, version %d: an element without fields", name, version);
			depth--;
		} else {
			fields[depth]++;
		}
		f += f[4] ? 5 : 4;
	}
	assert_int_equal(depth, 0);
}

static void layouts_can_be_walked(void **state)
{
	(void)state;
	for (int16_t key = 0; key < KEYS; key++) {
		const struct kafka_api *api = kafka_api_get(key);
		assert_non_null(api);
		for (int version = 0; version < VERSIONS; version++) {
			check(api->name, api->request, version, version >= api->flexible);
			check(api->name, api->response, version, version >= api->flexible);
		}
	}
	assert_null(kafka_api_get(-1));
	assert_null(kafka_api_get(KEYS));
}

static void errors_have_names(void **state)
{
	(void)state;
	assert_string_equal(kafka_error_name(-1), "UNKNOWN_SERVER_ERROR");
	assert_string_equal(kafka_error_name(6), "NOT_LEADER_OR_FOLLOWER");
	assert_string_equal(kafka_error_name(133), "SHARE_SESSION_LIMIT_REACHED");
	assert_null(kafka_error_name(0));
	assert_null(kafka_error_name(-2));
	assert_null(kafka_error_name(134));
}

static void varints(void **state)
{
	uint64_t value;

	(void)state;
	assert_int_equal(kafka_varint(slice_make("\x7f", 1), &value), 1);
	assert_int_equal(value, 127);
	assert_int_equal(kafka_varint(slice_make("\x80\x01", 2), &value), 2);
	assert_int_equal(value, 128);
	assert_int_equal(kafka_varint(slice_make("\x80", 1), &value), 0);
	assert_int_equal(kafka_varint(SLICE_NONE, &value), 0);
	assert_int_equal(kafka_varint(slice_make("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11), &value), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layouts_can_be_walked),
		cmocka_unit_test(errors_have_names),
		cmocka_unit_test(varints),
	};
	return cmocka_run_group_tests_name("kafka_api", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* proto/kafka_topics: names by ids, shared by all connections, bounded, and given back with the last of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "proto/kafka_topics.h"
#include "proto/kafka_walk.h"

enum { MANY = 5000, MOST = 1024 };

static void make_id(uint8_t id[KAFKA_ID_LEN], uint32_t n)
{
	memset(id, 0, KAFKA_ID_LEN);
	memcpy(id, &n, sizeof(n));
}

static void connections_share_names(void **state)
{
	struct proto_memory memory = { .max = 1 << 20 };
	uint8_t id[KAFKA_ID_LEN];

	(void)state;
	struct kafka_topics *a = kafka_topics_get(&memory), *b = kafka_topics_get(&memory);
	make_id(id, 1);
	assert_int_equal(kafka_topics_find(a, id).len, 0);
	kafka_topics_learn(a, id, SLICE_LIT("orders"));
	assert_true(slice_eq(kafka_topics_find(b, id), SLICE_LIT("orders")));
	kafka_topics_put(a);
	kafka_topics_learn(b, id, SLICE_LIT("a topic of another cluster"));
	assert_true(slice_eq(kafka_topics_find(b, id), SLICE_LIT("a topic of another cluster")));
	kafka_topics_put(b);
	assert_null(memory.shared[PLUMB_PROTO_KAFKA]);
	assert_int_equal(memory.used, 0);
}

static void many_names_push_out_the_oldest(void **state)
{
	struct proto_memory memory = { .max = 1 << 20 };
	uint8_t id[KAFKA_ID_LEN];
	unsigned known = 0;

	(void)state;
	struct kafka_topics *t = kafka_topics_get(&memory);
	for (uint32_t i = 0; i < MANY; i++) {
		make_id(id, i);
		kafka_topics_learn(t, id, slice_make(id, 4));
	}
	for (uint32_t i = 0; i < MANY; i++) {
		make_id(id, i);
		struct slice name = kafka_topics_find(t, id);
		assert_true(name.len == 0 || memcmp(name.ptr, id, 4) == 0);
		known += name.len > 0;
	}
	assert_true(known <= MOST && known > MOST / 2);
	assert_true(kafka_topics_find(t, id).len > 0);
	kafka_topics_put(t);
	assert_int_equal(memory.used, 0);
}

static void without_room_nothing_is_known(void **state)
{
	struct proto_memory memory = { .max = 200 };
	uint8_t id[KAFKA_ID_LEN];

	(void)state;
	struct kafka_topics *t = kafka_topics_get(&memory);
	make_id(id, 1);
	kafka_topics_learn(t, id, SLICE_LIT("orders"));
	assert_int_equal(kafka_topics_find(t, id).len, 0);
	assert_int_equal(memory.refused, 1);
	kafka_topics_put(t);
	memory.max = 8;
	assert_null(kafka_topics_get(&memory));
	assert_int_equal(memory.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connections_share_names),
		cmocka_unit_test(many_names_push_out_the_oldest),
		cmocka_unit_test(without_room_nothing_is_known),
	};
	return cmocka_run_group_tests_name("kafka_topics", tests, NULL, NULL);
}

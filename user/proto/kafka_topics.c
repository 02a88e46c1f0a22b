/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/kafka_topics.h"

#include "lib/hash.h"
#include "proto/kafka_walk.h"

enum { SETS = 256, WAYS = 4 };

struct topic {
	uint8_t id[KAFKA_ID_LEN];
	uint8_t *name; /* NULL: free */
	uint16_t len, room;
	uint32_t used; /* time of the latest use, in look-ups */
};

struct kafka_topics {
	struct proto_memory *budget; /* not owned */
	uint32_t users;
	uint32_t clock;
	struct topic (*sets)[WAYS]; /* NULL before the first name */
};

struct kafka_topics *kafka_topics_get(struct proto_memory *budget)
{
	struct kafka_topics *t = budget->shared[PLUMB_PROTO_KAFKA];

	if (!t) {
		t = proto_memory_get(budget, sizeof(*t));
		if (!t)
			return NULL;
		*t = (struct kafka_topics){ .budget = budget };
		budget->shared[PLUMB_PROTO_KAFKA] = t;
	}
	t->users++;
	return t;
}

void kafka_topics_put(struct kafka_topics *t)
{
	if (--t->users)
		return;
	for (int i = 0; t->sets && i < SETS * WAYS; i++)
		proto_memory_put(t->budget, t->sets[i / WAYS][i % WAYS].name);
	proto_memory_put(t->budget, t->sets);
	t->budget->shared[PLUMB_PROTO_KAFKA] = NULL;
	proto_memory_put(t->budget, t);
}

/* The topic of this id, else whose place it may take. */
static struct topic *place_of(struct kafka_topics *t, const uint8_t *id)
{
	struct topic *set = t->sets[hash_bytes(id, KAFKA_ID_LEN, 0) % SETS], *oldest = set;

	for (int i = 0; i < WAYS; i++) {
		struct topic *at = &set[i];
		if (at->name && memcmp(at->id, id, KAFKA_ID_LEN) == 0)
			return at;
		if (oldest->name && (!at->name || t->clock - at->used > t->clock - oldest->used))
			oldest = at;
	}
	return oldest;
}

static bool make_sets(struct kafka_topics *t)
{
	if (t->sets)
		return true;
	t->sets = proto_memory_get_zeroed(t->budget, SETS * sizeof(*t->sets));
	return t->sets != NULL;
}

void kafka_topics_learn(struct kafka_topics *t, const uint8_t *id, struct slice name)
{
	if (name.len == 0 || name.len > KAFKA_TEXT_MAX || !make_sets(t))
		return;
	struct topic *at = place_of(t, id);
	if (!proto_memory_room(t->budget, &at->name, &at->room, (uint16_t)name.len))
		return;
	memcpy(at->id, id, KAFKA_ID_LEN);
	memcpy(at->name, name.ptr, name.len);
	at->len = (uint16_t)name.len;
	at->used = ++t->clock;
}

struct slice kafka_topics_find(struct kafka_topics *t, const uint8_t *id)
{
	struct topic *at = t->sets ? place_of(t, id) : NULL;

	if (!at || !at->name || memcmp(at->id, id, KAFKA_ID_LEN) != 0)
		return SLICE_NONE;
	at->used = ++t->clock;
	return slice_make(at->name, at->len);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/pulsar_names.h"

#include <string.h>

void *pulsar_names_new(struct proto_memory *budget)
{
	struct pulsar_names *n = proto_memory_get_zeroed(budget, sizeof(*n));

	if (n)
		n->budget = budget;
	return n;
}

static void places_free(struct pulsar_names *n, struct pulsar_places *p)
{
	for (uint32_t i = 0; i < p->n; i++)
		proto_memory_put(n->budget, p->place[i]);
	proto_memory_put(n->budget, p->place);
}

void pulsar_names_free(void *names)
{
	struct pulsar_names *n = names;

	if (!n)
		return;
	places_free(n, &n->producers);
	places_free(n, &n->consumers);
	proto_memory_put(n->budget, n);
}

static struct pulsar_end **place_of(const struct pulsar_places *p, uint64_t id) { return p->n ? &p->place[id & (p->n - 1)] : NULL; }

struct pulsar_end *pulsar_end_find(const struct pulsar_places *p, uint64_t id)
{
	struct pulsar_end **at = place_of(p, id);

	return at && *at && (*at)->id == id ? *at : NULL;
}

/* Twice as many places. Whoever had one of his own has one again. */
static bool grow(struct pulsar_names *n, struct pulsar_places *p)
{
	struct pulsar_places wide = { .n = p->n ? p->n * 2 : PULSAR_PLACES_MIN };

	if (wide.n > PULSAR_PLACES_MAX)
		return false;
	wide.place = proto_memory_get_zeroed(n->budget, wide.n * sizeof(struct pulsar_end *));
	if (!wide.place)
		return false;
	for (uint32_t i = 0; i < p->n; i++)
		if (p->place[i])
			*place_of(&wide, p->place[i]->id) = p->place[i];
	proto_memory_put(n->budget, p->place);
	*p = wide;
	return true;
}

/* A place that is free, or whose owner is gone. */
static bool is_taken(struct pulsar_end *const *at, uint64_t id) { return !at || (*at && (*at)->id != id && !(*at)->closed); }

struct pulsar_end *pulsar_end_in_the_way(struct pulsar_names *n, struct pulsar_places *p, uint64_t id)
{
	while (is_taken(place_of(p, id), id) && grow(n, p))
		;
	struct pulsar_end **at = place_of(p, id);
	return at && is_taken(at, id) ? *at : NULL;
}

struct pulsar_end *pulsar_end_put(struct pulsar_names *n, struct pulsar_places *p, uint64_t id, struct slice topic, struct slice subscription)
{
	(void)pulsar_end_in_the_way(n, p, id); /* in a larger table it may be nobody */
	struct pulsar_end **at = place_of(p, id);
	if (!at)
		return NULL;
	topic = slice_head(topic, PULSAR_TOPIC_MAX);
	subscription = slice_head(subscription, PULSAR_SUBSCRIPTION_MAX);
	struct pulsar_end *e = proto_memory_get(n->budget, sizeof(*e) + topic.len + subscription.len);
	if (!e)
		return NULL;
	*e = (struct pulsar_end){ .id = id, .topic_len = (uint16_t)topic.len, .subscription_len = (uint16_t)subscription.len };
	if (topic.len)
		memcpy(e->text, topic.ptr, topic.len);
	if (subscription.len)
		memcpy(e->text + topic.len, subscription.ptr, subscription.len);
	proto_memory_put(n->budget, *at);
	*at = e;
	return e;
}

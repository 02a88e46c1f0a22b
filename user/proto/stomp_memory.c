/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/stomp_memory.h"

#include <string.h>

void *stomp_memory_new(struct proto_memory *budget)
{
	struct stomp_memory *m = proto_memory_get_zeroed(budget, sizeof(*m));

	if (m)
		m->budget = budget;
	return m;
}

void stomp_memory_free(void *memory)
{
	struct stomp_memory *m = memory;

	if (m)
		proto_memory_put(m->budget, m);
}

struct stomp_subscription *stomp_subscription_find(struct stomp_memory *m, uint64_t id)
{
	for (unsigned i = 0; i < STOMP_SUBSCRIPTIONS; i++)
		if (m->subscription[i].id == id)
			return &m->subscription[i];
	return NULL;
}

/* Whoever takes a place goes on with its numbers: what was delivered to the one before may still be open. */
void stomp_subscribe(struct stomp_memory *m, uint64_t id, enum stomp_ack ack)
{
	struct stomp_subscription *s = stomp_subscription_find(m, id);

	if (!s)
		s = stomp_subscription_find(m, 0);
	if (!s) {
		s = &m->subscription[m->next_subscription];
		m->next_subscription = (uint8_t)((m->next_subscription + 1) % STOMP_SUBSCRIPTIONS);
	}
	s->id = id;
	s->settled = s->delivered;
	s->ack = (uint8_t)ack;
}

void stomp_unsubscribe(struct stomp_memory *m, uint64_t id)
{
	struct stomp_subscription *s = stomp_subscription_find(m, id);

	if (s)
		s->id = 0;
}

uint8_t stomp_slot(const struct stomp_memory *m, const struct stomp_subscription *s) { return (uint8_t)(s - m->subscription); }

uint32_t stomp_deliver(struct stomp_memory *m, struct stomp_subscription *s, uint64_t id)
{
	m->delivery[m->next_delivery] = (struct stomp_delivery){ .id = id, .serial = s->delivered, .slot = stomp_slot(m, s) };
	m->next_delivery = (m->next_delivery + 1) % STOMP_DELIVERIES;
	return s->delivered++;
}

struct stomp_delivery *stomp_delivery_find(struct stomp_memory *m, uint64_t id)
{
	for (unsigned i = 0; i < STOMP_DELIVERIES; i++)
		if (m->delivery[i].id == id)
			return &m->delivery[i];
	return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/nats_memory.h"

#include <string.h>

void *nats_memory_new(struct proto_memory *budget)
{
	struct nats_memory *m = proto_memory_get(budget, sizeof(*m));

	if (m) {
		memset(m, 0, sizeof(*m));
		m->budget = budget;
	}
	return m;
}

void nats_memory_free(void *memory)
{
	struct nats_memory *m = memory;

	if (m)
		proto_memory_put(m->budget, m);
}

struct nats_inbox *nats_inbox_find(struct nats_memory *m, uint64_t key)
{
	struct nats_inbox *set = m->inbox[key % NATS_SETS];

	for (unsigned i = 0; i < NATS_SET; i++)
		if (set[i].key == key)
			return &set[i];
	return NULL;
}

void nats_inbox_note(struct nats_memory *m, uint64_t key, bool answered)
{
	struct nats_inbox *found = nats_inbox_find(m, key);
	unsigned set = key % NATS_SETS;

	if (!found) {
		found = &m->inbox[set][m->next[set]];
		m->next[set] = (uint8_t)((m->next[set] + 1) % NATS_SET);
	}
	*found = (struct nats_inbox){ .key = key, .answered = answered };
}

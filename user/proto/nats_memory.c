/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/nats_memory.h"

#include <string.h>

void *nats_memory_new(struct proto_memory *budget)
{
	struct nats_memory *m = proto_memory_get_zeroed(budget, sizeof(*m));

	if (m)
		m->budget = budget;
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

static struct nats_inbox *make(struct nats_memory *m, uint64_t key)
{
	unsigned set = key % NATS_SETS;
	struct nats_inbox *made = &m->inbox[set][m->next[set]];

	m->next[set] = (uint8_t)((m->next[set] + 1) % NATS_SET);
	*made = (struct nats_inbox){ .key = key };
	return made;
}

void nats_inbox_ask(struct nats_memory *m, uint64_t key)
{
	struct nats_inbox *inbox = nats_inbox_find(m, key);

	if (!inbox)
		inbox = make(m, key);
	if (!inbox->early && inbox->open < UINT8_MAX)
		inbox->open++;
	inbox->early = false;
}

bool nats_inbox_answer(struct nats_memory *m, uint64_t key, bool early)
{
	struct nats_inbox *inbox = nats_inbox_find(m, key);

	if (!inbox && early)
		make(m, key)->early = true;
	if (!inbox)
		return early;
	if (inbox->open == 0)
		return false;
	inbox->open--;
	return true;
}

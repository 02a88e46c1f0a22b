/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/kafka_state.h"

static const struct kafka_due *at(const struct kafka_memory *m, uint32_t i) { return &m->due[(m->due_first + i) % KAFKA_DUE]; }

void kafka_due_push(struct kafka_memory *m, struct kafka_due due)
{
	if (m->due_len == KAFKA_DUE) { /* the oldest will be paired by its number, and nothing else is known of its response */
		m->due_first = (m->due_first + 1) % KAFKA_DUE;
		m->due_len--;
	}
	m->due[(m->due_first + m->due_len++) % KAFKA_DUE] = due;
}

struct kafka_due *kafka_due_latest(struct kafka_memory *m, uint32_t correlation)
{
	struct kafka_due *latest = &m->due[(m->due_first + m->due_len + KAFKA_DUE - 1) % KAFKA_DUE];

	return m->due_len && latest->correlation == correlation ? latest : NULL;
}

void kafka_due_drop_latest(struct kafka_memory *m) { m->due_len--; }

/*
 * Clients count their requests, and those that need no response leave gaps: so it is where the distance to the oldest says, or before. Of a client that
 * counts otherwise only what is answered in order is found.
 */
static bool find(const struct kafka_memory *m, uint32_t correlation, uint32_t *ret_i)
{
	if (m->due_len == 0)
		return false;
	uint32_t distance = correlation - at(m, 0)->correlation;
	if (distance > INT32_MAX)
		return false;
	for (uint32_t i = distance < m->due_len ? distance + 1 : m->due_len; i-- > 0;) {
		uint32_t behind = correlation - at(m, i)->correlation;
		if (behind == 0) {
			*ret_i = i;
			return true;
		}
		if (behind <= INT32_MAX)
			return false; /* those before it are smaller still */
	}
	return false;
}

bool kafka_due_has(const struct kafka_memory *m, uint32_t correlation)
{
	uint32_t i;

	return find(m, correlation, &i);
}

bool kafka_due_take(struct kafka_memory *m, uint32_t correlation, struct kafka_due *ret)
{
	uint32_t i;

	if (!find(m, correlation, &i))
		return false;
	*ret = *at(m, i);
	m->due_first = (m->due_first + i + 1) % KAFKA_DUE;
	m->due_len -= i + 1;
	return true;
}

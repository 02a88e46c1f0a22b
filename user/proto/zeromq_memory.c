/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/zeromq_memory.h"

#include "lib/hash.h"

void *zeromq_memory_new(struct proto_memory *budget)
{
	struct zeromq_memory *m = proto_memory_get(budget, sizeof(*m));

	if (m) {
		memset(m, 0, sizeof(*m));
		m->budget = budget;
	}
	return m;
}

void zeromq_memory_free(void *memory)
{
	struct zeromq_memory *m = memory;

	if (!m)
		return;
	proto_memory_put(m->budget, m->text);
	proto_memory_put(m->budget, m->calls);
	proto_memory_put(m->budget, m);
}

bool zeromq_topic_plausible(struct slice topic)
{
	for (size_t i = 0; i < topic.len; i++)
		if (topic.ptr[i] <= ' ' || topic.ptr[i] > '~')
			return false;
	return topic.len && topic.len <= ZEROMQ_NAME_MAX;
}

static struct slice topic_at(const struct zeromq_memory *m, unsigned i) { return slice_make(m->text[i], m->len[i]); }

static unsigned find(const struct zeromq_memory *m, struct slice topic)
{
	unsigned i = 0;

	while (i < m->count && !slice_eq(topic_at(m, i), topic))
		i++;
	return i;
}

static void longest_set(struct zeromq_memory *m)
{
	m->longest = 0;
	for (unsigned i = 0; i < m->count; i++)
		if (m->len[i] > m->longest)
			m->longest = m->len[i];
}

void zeromq_topic_add(struct zeromq_memory *m, struct slice topic)
{
	if (!zeromq_topic_plausible(topic) || m->count == ZEROMQ_TOPICS || find(m, topic) < m->count)
		return;
	if (!m->text)
		m->text = proto_memory_get(m->budget, ZEROMQ_TOPICS * sizeof(*m->text));
	if (!m->text)
		return;
	memcpy(m->text[m->count], topic.ptr, topic.len);
	m->len[m->count++] = (uint8_t)topic.len;
	longest_set(m);
}

void zeromq_topic_remove(struct zeromq_memory *m, struct slice topic)
{
	unsigned i = find(m, topic);

	if (i == m->count)
		return;
	m->count--;
	memmove(m->text[i], m->text[m->count], m->len[m->count]);
	m->len[i] = m->len[m->count];
	longest_set(m);
}

struct slice zeromq_topic_of(const struct zeromq_memory *m, struct slice first_frame)
{
	struct slice best = SLICE_NONE;

	for (unsigned i = 0; i < m->count; i++)
		if (m->len[i] > best.len && slice_starts(first_frame, topic_at(m, i)))
			best = topic_at(m, i);
	return best;
}

enum { AHEAD_MAX = 16, AHEAD_NS = 2 * 1000 * 1000 };

static uint32_t hash_of(struct slice envelope) { return (uint32_t)hash_slice(envelope) | 1; }

static bool calls_kept(struct zeromq_memory *m)
{
	if (!m->calls) {
		m->calls = proto_memory_get(m->budget, ZEROMQ_CALLS * sizeof(*m->calls));
		if (m->calls)
			memset(m->calls, 0, ZEROMQ_CALLS * sizeof(*m->calls));
	}
	return m->calls != NULL;
}

/* The oldest that is not answered; m->asked if there is none. */
static uint64_t call_find(const struct zeromq_memory *m, uint32_t hash)
{
	uint64_t n = m->asked > ZEROMQ_CALLS ? m->asked - ZEROMQ_CALLS : 0;

	while (n < m->asked && m->calls[n % ZEROMQ_CALLS] != hash)
		n++;
	return n;
}

/* Where its answer is there already: it was said to be this one's, and not long ago. */
static bool came_ahead(struct zeromq_memory *m, uint32_t hash, uint64_t time_ns)
{
	if (m->ahead == 0)
		return false;
	m->ahead--;
	if (m->calls[m->asked % ZEROMQ_CALLS] == hash && time_ns <= m->ahead_ns + AHEAD_NS)
		return true;
	m->ahead = 0; /* they are of requests that nobody has seen */
	return false;
}

uint64_t zeromq_call(struct zeromq_memory *m, struct slice envelope, uint64_t time_ns)
{
	uint32_t hash = hash_of(envelope);

	if (calls_kept(m))
		m->calls[m->asked % ZEROMQ_CALLS] = came_ahead(m, hash, time_ns) ? 0 : hash;
	return m->asked++;
}

bool zeromq_call_open(struct zeromq_memory *m, struct slice envelope, bool forget)
{
	uint32_t hash = hash_of(envelope);
	bool open = false;

	for (unsigned i = 0; m->calls && i < ZEROMQ_CALLS; i++) {
		if (m->calls[i] != hash)
			continue;
		open = true;
		if (forget)
			m->calls[i] = 0;
	}
	return open;
}

bool zeromq_calls_answered(const struct zeromq_memory *m)
{
	unsigned i = 0;

	while (m->calls && i < ZEROMQ_CALLS && !m->calls[i])
		i++;
	return !m->calls || i == ZEROMQ_CALLS;
}

bool zeromq_answer(struct zeromq_memory *m, struct slice envelope, bool loss, uint64_t time_ns, uint64_t *ret_number)
{
	uint64_t n = calls_kept(m) ? call_find(m, hash_of(envelope)) : m->asked;

	if (n < m->asked) {
		m->calls[n % ZEROMQ_CALLS] = 0;
		*ret_number = n;
		return true;
	}
	if (loss || !m->calls || m->ahead == AHEAD_MAX)
		return false;
	*ret_number = m->asked + m->ahead++;
	m->ahead_ns = time_ns;
	m->calls[*ret_number % ZEROMQ_CALLS] = hash_of(envelope);
	return true;
}

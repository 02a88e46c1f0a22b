/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/zeromq_memory.h"

#include "lib/hash.h"

void *zeromq_memory_new(struct proto_memory *budget)
{
	struct zeromq_memory *m = proto_memory_get_zeroed(budget, sizeof(*m));

	if (m)
		m->budget = budget;
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
static const uint64_t silence_ns = UINT64_C(60) * 1000 * 1000 * 1000;

static uint32_t hash_of(struct slice envelope) { return (uint32_t)hash_slice(envelope) | 1; }

static bool calls_kept(struct zeromq_memory *m)
{
	if (!m->calls)
		m->calls = proto_memory_get_zeroed(m->budget, ZEROMQ_CALLS * sizeof(*m->calls));
	return m->calls != NULL;
}

static uint32_t *slot(const struct zeromq_memory *m, uint64_t number) { return &m->calls[number % ZEROMQ_CALLS]; }

/* The oldest that is not answered; m->asked if there is none. The slots of the oldest may be those of answers that came ahead. */
static uint64_t call_find(const struct zeromq_memory *m, uint32_t hash)
{
	uint64_t end = m->asked + m->ahead, n = end > ZEROMQ_CALLS ? end - ZEROMQ_CALLS : 0;

	while (n < m->asked && *slot(m, n) != hash)
		n++;
	return n;
}

/* They are of requests that nobody has seen, and so are their numbers. */
static void ahead_drop(struct zeromq_memory *m)
{
	for (; m->ahead; m->ahead--)
		*slot(m, m->asked++) = 0;
}

/* Where its answer is there already: it was said to be this one's, and not long ago. */
static bool came_ahead(struct zeromq_memory *m, uint32_t hash, uint64_t time_ns)
{
	if (m->ahead && *slot(m, m->asked) == hash && time_ns <= m->ahead_ns + AHEAD_NS) {
		m->ahead--;
		return true;
	}
	ahead_drop(m);
	return false;
}

static void forget(struct zeromq_memory *m, uint32_t hash)
{
	for (unsigned i = 0; m->calls && i < ZEROMQ_CALLS; i++)
		if (m->calls[i] == hash)
			m->calls[i] = 0;
}

uint64_t zeromq_call(struct zeromq_memory *m, struct slice envelope, uint64_t time_ns, bool *ret_full)
{
	uint32_t hash = hash_of(envelope);

	m->latest_ns = time_ns;
	*ret_full = !calls_kept(m); /* whose answer comes is not known then */
	if (*ret_full)
		return m->asked++;
	bool answered = came_ahead(m, hash, time_ns);
	*ret_full = !answered && *slot(m, m->asked);
	if (*ret_full)
		forget(m, *slot(m, m->asked));
	*slot(m, m->asked) = answered ? 0 : hash;
	return m->asked++;
}

void zeromq_calls_forget(struct zeromq_memory *m, struct slice envelope) { forget(m, hash_of(envelope)); }

void zeromq_calls_lost(struct zeromq_memory *m)
{
	ahead_drop(m);
	m->lost_at = m->asked;
}

bool zeromq_calls_silent(struct zeromq_memory *m, uint64_t time_ns)
{
	if (!m->latest_ns || time_ns < m->latest_ns + silence_ns)
		return false;
	if (m->calls)
		memset(m->calls, 0, ZEROMQ_CALLS * sizeof(*m->calls));
	return true;
}

bool zeromq_calls_whole(const struct zeromq_memory *m) { return m->asked == m->lost_at && zeromq_calls_answered(m); }

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

	m->latest_ns = time_ns;
	if (n < m->asked) {
		*slot(m, n) = 0;
		*ret_number = n;
		return true;
	}
	if (loss || !m->calls || m->ahead == AHEAD_MAX || *slot(m, m->asked + m->ahead))
		return false;
	*ret_number = m->asked + m->ahead++;
	m->ahead_ns = time_ns;
	*slot(m, *ret_number) = hash_of(envelope);
	return true;
}

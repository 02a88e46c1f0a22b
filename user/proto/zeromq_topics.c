/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/zeromq_topics.h"

void *zeromq_topics_new(struct proto_memory *budget)
{
	struct zeromq_topics *t = proto_memory_get(budget, sizeof(*t));

	if (t) {
		memset(t, 0, sizeof(*t));
		t->budget = budget;
	}
	return t;
}

void zeromq_topics_free(void *topics)
{
	struct zeromq_topics *t = topics;

	if (!t)
		return;
	proto_memory_put(t->budget, t->text);
	proto_memory_put(t->budget, t);
}

bool zeromq_topic_plausible(struct slice topic)
{
	for (size_t i = 0; i < topic.len; i++)
		if (topic.ptr[i] <= ' ' || topic.ptr[i] > '~')
			return false;
	return topic.len && topic.len <= ZEROMQ_NAME_MAX;
}

static struct slice topic_at(const struct zeromq_topics *t, unsigned i) { return slice_make(t->text[i], t->len[i]); }

static unsigned find(const struct zeromq_topics *t, struct slice topic)
{
	unsigned i = 0;

	while (i < t->count && !slice_eq(topic_at(t, i), topic))
		i++;
	return i;
}

static void longest_set(struct zeromq_topics *t)
{
	t->longest = 0;
	for (unsigned i = 0; i < t->count; i++)
		if (t->len[i] > t->longest)
			t->longest = t->len[i];
}

void zeromq_topic_add(struct zeromq_topics *t, struct slice topic)
{
	if (!zeromq_topic_plausible(topic) || t->count == ZEROMQ_TOPICS || find(t, topic) < t->count)
		return;
	if (!t->text)
		t->text = proto_memory_get(t->budget, ZEROMQ_TOPICS * sizeof(*t->text));
	if (!t->text)
		return;
	memcpy(t->text[t->count], topic.ptr, topic.len);
	t->len[t->count++] = (uint8_t)topic.len;
	longest_set(t);
}

void zeromq_topic_remove(struct zeromq_topics *t, struct slice topic)
{
	unsigned i = find(t, topic);

	if (i == t->count)
		return;
	t->count--;
	memmove(t->text[i], t->text[t->count], t->len[t->count]);
	t->len[i] = t->len[t->count];
	longest_set(t);
}

struct slice zeromq_topic_of(const struct zeromq_topics *t, struct slice first_frame)
{
	struct slice best = SLICE_NONE;

	for (unsigned i = 0; i < t->count; i++)
		if (t->len[i] > best.len && slice_starts(first_frame, topic_at(t, i)))
			best = topic_at(t, i);
	return best;
}

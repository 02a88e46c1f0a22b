/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams by their id, in sets of a few places: a stream that lasts for hours does not hinder the short ones that share its set, and
 * the table grows only where many are open at once.
 */
#include "proto/http2.h"

enum { WAYS = 4, SETS_FIRST = 4, SETS_MAX = 1024 };

void http2_streams_done(struct http2_streams *t, struct proto_memory *memory)
{
	for (size_t i = 0; i < (size_t)t->nsets * WAYS; i++) {
		http_content_free(t->at[i].content[0]);
		http_content_free(t->at[i].content[1]);
	}
	proto_memory_put(memory, t->at);
	*t = (struct http2_streams){ 0 };
}

/* Ids of one side grow in steps of two. */
static struct http2_stream *set_of(const struct http2_streams *t, uint32_t id) { return &t->at[(size_t)((id >> 1) & (t->nsets - 1)) * WAYS]; }

struct http2_stream *http2_stream_get(const struct http2_streams *t, uint32_t id)
{
	if (!t->nsets)
		return NULL;
	struct http2_stream *s = set_of(t, id);
	for (int i = 0; i < WAYS; i++)
		if (s[i].id == id)
			return &s[i];
	return NULL;
}

/* A free place, else the oldest that is over: late frames of it are still known as such as long as possible. */
static struct http2_stream *place(const struct http2_streams *t, uint32_t id, uint32_t *ret_oldest)
{
	struct http2_stream *s = set_of(t, id), *over = NULL, *oldest = s;

	for (int i = 0; i < WAYS; i++) {
		if (http2_stream_over(&s[i]) && (!over || s[i].id < over->id))
			over = &s[i];
		if (s[i].id < oldest->id)
			oldest = &s[i];
	}
	*ret_oldest = oldest->id;
	return over;
}

static bool grow(struct http2_streams *t, struct proto_memory *memory)
{
	struct http2_streams bigger = { .nsets = t->nsets ? t->nsets * 2 : SETS_FIRST };
	uint32_t oldest;

	if (bigger.nsets > SETS_MAX)
		return false;
	bigger.at = proto_memory_get_zeroed(memory, (size_t)bigger.nsets * WAYS * sizeof(*bigger.at));
	if (!bigger.at)
		return false;
	for (uint32_t i = 0; i < t->nsets * WAYS; i++)
		if (t->at[i].id)
			*place(&bigger, t->at[i].id, &oldest) = t->at[i]; /* of a set that is split in two: there is room */
	proto_memory_put(memory, t->at);
	*t = bigger;
	return true;
}

struct http2_stream *http2_stream_add(struct http2_streams *t, struct proto_memory *memory, uint32_t id, uint32_t *ret_oldest)
{
	struct http2_stream *s = t->nsets ? place(t, id, ret_oldest) : NULL;

	*ret_oldest = t->nsets ? *ret_oldest : 0;
	while (!s && grow(t, memory))
		s = place(t, id, ret_oldest);
	if (s)
		*s = (struct http2_stream){ .id = id };
	return s;
}

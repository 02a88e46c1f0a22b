/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/cassandra_memory.h"

#include "lib/hash.h"

struct cassandra_memory *cassandra_memory_new(struct proto_memory *budget)
{
	struct cassandra_memory *m = proto_memory_get_zeroed(budget, sizeof(*m));

	if (m)
		m->budget = budget;
	return m;
}

void cassandra_memory_free(struct cassandra_memory *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; i < CASSANDRA_STATEMENTS; i++)
		proto_memory_put(m->budget, m->statements[i].text);
	for (int side = 0; side < 2; side++)
		proto_memory_put(m->budget, m->room[side].at);
	proto_memory_put(m->budget, m->streams);
	proto_memory_put(m->budget, m);
}

/* --- statements --- */

static void drop(struct cassandra_memory *m, uint32_t i)
{
	m->asked -= m->statements[i].asked;
	m->statements[i].taken = m->statements[i].asked = false;
	m->ids[i] = 0;
}

static uint32_t asked_on(const struct cassandra_memory *m, uint16_t stream)
{
	uint32_t i = m->asked ? 0 : CASSANDRA_STATEMENTS;

	while (i < CASSANDRA_STATEMENTS && !(m->statements[i].asked && m->statements[i].stream == stream))
		i++;
	return i;
}

/* A free place, else the one unused for longest. */
static uint32_t take_slot(struct cassandra_memory *m)
{
	uint32_t oldest = 0;

	for (uint32_t i = 0; i < CASSANDRA_STATEMENTS; i++) {
		if (!m->statements[i].taken)
			return i;
		if (m->clock - m->statements[i].used > m->clock - m->statements[oldest].used)
			oldest = i;
	}
	drop(m, oldest);
	return oldest;
}

void cassandra_memory_prepare(struct cassandra_memory *m, uint16_t stream, struct slice text)
{
	uint32_t i = asked_on(m, stream);

	if (i == CASSANDRA_STATEMENTS)
		i = take_slot(m);
	else
		drop(m, i);
	struct cassandra_statement *s = &m->statements[i];
	while (text.len && text.ptr[0] <= ' ') /* once, and not with each use */
		text = slice_from(text, 1);
	text = slice_head(text, CASSANDRA_STATEMENT_TEXT);
	if (!text.len || !proto_memory_room(m->budget, &s->text, &s->room, (uint16_t)text.len))
		return;
	memcpy(s->text, text.ptr, text.len);
	s->len = (uint16_t)text.len;
	s->stream = stream;
	s->used = ++m->clock;
	s->taken = s->asked = true;
	m->asked++;
}

static uint64_t id_hash(struct slice id)
{
	uint64_t hash = hash_slice(id);

	return hash ? hash : 1;
}

static uint32_t slot_of(const struct cassandra_memory *m, uint64_t hash)
{
	uint32_t i = 0;

	while (i < CASSANDRA_STATEMENTS && m->ids[i] != hash)
		i++;
	return i;
}

void cassandra_memory_answer(struct cassandra_memory *m, uint16_t stream, struct slice id)
{
	uint32_t i = asked_on(m, stream);

	if (i == CASSANDRA_STATEMENTS)
		return;
	if (!id.len) {
		drop(m, i);
		return;
	}
	uint64_t hash = id_hash(id);
	uint32_t older = slot_of(m, hash); /* the same statement prepared again has the same id */
	if (older != CASSANDRA_STATEMENTS)
		drop(m, older);
	m->statements[i].asked = false;
	m->asked--;
	m->ids[i] = hash;
}

struct slice cassandra_memory_find(struct cassandra_memory *m, struct slice id)
{
	uint32_t i = slot_of(m, id_hash(id));

	if (i == CASSANDRA_STATEMENTS)
		return SLICE_NONE;
	m->statements[i].used = ++m->clock;
	return slice_make(m->statements[i].text, m->statements[i].len);
}

/* --- streams --- */

enum { GROUPS_MAX = CASSANDRA_STREAMS / 64 };

/* NULL beyond what is known of, and without room for more. */
static struct cassandra_streams *group_of(struct cassandra_memory *m, uint16_t stream, bool make)
{
	uint32_t groups = m->groups ? m->groups : 1, at = stream / 64;

	if (at < m->groups)
		return &m->streams[at];
	if (!make || at >= GROUPS_MAX)
		return NULL;
	while (groups <= at)
		groups *= 2;
	struct cassandra_streams *bigger = proto_memory_resize(m->budget, m->streams, groups * sizeof(*bigger));
	if (!bigger)
		return NULL;
	memset(bigger + m->groups, 0, (groups - m->groups) * sizeof(*bigger));
	m->streams = bigger;
	m->groups = groups;
	return &m->streams[at];
}

void cassandra_memory_answers_lost(struct cassandra_memory *m)
{
	for (uint32_t i = 0; i < CASSANDRA_STATEMENTS && m->asked; i++)
		if (m->statements[i].asked)
			drop(m, i);
	for (uint32_t i = 0; i < m->groups; i++)
		m->streams[i].stale |= m->streams[i].busy;
}

bool cassandra_stream_asked(struct cassandra_memory *m, uint16_t stream)
{
	struct cassandra_streams *g = group_of(m, stream, true);
	uint64_t bit = 1ull << (stream & 63);

	if (!g)
		return false;
	if (g->stale & bit) {
		bool twice = g->twice & bit;
		g->twice &= ~bit;
		if (!twice) { /* of two both are over */
			g->stale &= ~bit;
			g->busy &= ~bit;
		}
		return true;
	}
	g->twice |= g->busy & bit;
	g->busy |= bit;
	return false;
}

bool cassandra_stream_answered(struct cassandra_memory *m, uint16_t stream, bool *ret_doubtful)
{
	struct cassandra_streams *g = group_of(m, stream, false);
	uint64_t bit = 1ull << (stream & 63);

	*ret_doubtful = false;
	if (!g)
		return false;
	bool stale = g->stale & bit, twice = g->twice & bit;
	g->twice &= ~bit;
	*ret_doubtful = stale;
	if (!twice) {
		g->busy &= ~bit;
		g->stale &= ~bit;
	}
	return stale && twice;
}

/* --- room --- */

uint8_t *cassandra_memory_room(struct cassandra_memory *m, enum proto_side side, uint32_t size)
{
	struct cassandra_room *r = &m->room[side];

	if (r->size >= size)
		return r->at;
	uint8_t *at = proto_memory_get(m->budget, size);
	if (!at)
		return NULL;
	proto_memory_put(m->budget, r->at);
	*r = (struct cassandra_room){ at, size };
	return at;
}

void cassandra_memory_leave_room(struct cassandra_memory *m, enum proto_side side)
{
	struct cassandra_room *r = &m->room[side];

	if (r->size <= CASSANDRA_ROOM_KEPT)
		return;
	proto_memory_put(m->budget, r->at);
	*r = (struct cassandra_room){ 0 };
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/tds_memory.h"

struct tds_memory *tds_memory_new(struct proto_memory *budget)
{
	struct tds_memory *m = proto_memory_get_zeroed(budget, sizeof(*m));

	if (m)
		m->budget = budget;
	return m;
}

void tds_memory_free(struct tds_memory *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; i < TDS_STATEMENTS; i++)
		proto_memory_put(m->budget, m->statements[i].text);
	for (uint32_t i = 0; i < TDS_SESSIONS - 1; i++) {
		if (m->others[i])
			proto_memory_put(m->budget, m->others[i]->columns);
		proto_memory_put(m->budget, m->others[i]);
	}
	proto_memory_put(m->budget, m->first.columns);
	proto_memory_put(m->budget, m);
}

/* --- sessions --- */

void tds_session_clear(struct tds_session *s)
{
	s->busy = s->early = s->stale = s->attention = false;
	s->asked = TDS_ASKED_NOTHING;
	s->ncolumns = 0;
	for (int side = 0; side < 2; side++) {
		s->way[side] = (struct tds_way){ 0 };
		tds_walk_begin(&s->walk[side]);
	}
}

/* Its place, or the one that it would get: a free one, or the oldest's. */
static struct tds_session *place_of(struct tds_memory *m, uint16_t id)
{
	struct tds_session *oldest = NULL;

	for (uint32_t i = 0; i < TDS_SESSIONS - 1; i++) {
		struct tds_session *s = m->others[i];

		if (!s) {
			s = m->others[i] = proto_memory_get_zeroed(m->budget, sizeof(*s));
			if (!s)
				break;
		}
		if (s->used && s->id == id)
			return s;
		if (!oldest || (oldest->used && (!s->used || m->clock - s->at > m->clock - oldest->at)))
			oldest = s;
		if (!s->used) /* those behind it are not used either: none is given back */
			break;
	}
	return oldest;
}

struct tds_session *tds_session_get(struct tds_memory *m, uint16_t id)
{
	struct tds_session *s = place_of(m, id);

	if (!s)
		return NULL;
	if (!s->used || s->id != id)
		tds_session_clear(s);
	s->used = true;
	s->id = id;
	s->at = ++m->clock;
	return s;
}

struct tds_session *tds_session_leaving(struct tds_memory *m, uint16_t id)
{
	struct tds_session *s = place_of(m, id);

	return s && s->used && s->id != id && s->busy ? s : NULL;
}

bool tds_session_columns(struct tds_memory *m, struct tds_session *s, uint16_t n)
{
	if (n > TDS_COLUMNS_MAX || !proto_memory_room(m->budget, &s->columns, &s->columns_room, n))
		return false;
	s->ncolumns = n;
	return true;
}

/* --- statements --- */

static struct tds_statement *find(struct tds_memory *m, uint32_t handle)
{
	for (uint32_t i = 0; handle && i < TDS_STATEMENTS; i++)
		if (m->statements[i].handle == handle)
			return &m->statements[i];
	return NULL;
}

static struct tds_statement *take_slot(struct tds_memory *m)
{
	struct tds_statement *oldest = &m->statements[0];

	for (uint32_t i = 0; i < TDS_STATEMENTS; i++) {
		struct tds_statement *s = &m->statements[i];

		if (!s->handle)
			return s;
		if (m->clock - s->at > m->clock - oldest->at)
			oldest = s;
	}
	return oldest;
}

void tds_statement_put(struct tds_memory *m, uint32_t handle, struct slice text)
{
	struct tds_statement *s = find(m, handle);

	if (!handle)
		return;
	if (!s)
		s = take_slot(m);
	m->full |= s->handle && s->handle != handle;
	text = slice_head(text, TDS_STATEMENT_TEXT);
	s->handle = handle;
	s->at = ++m->clock;
	s->len = text.len && proto_memory_room(m->budget, &s->text, &s->room, (uint16_t)text.len) ? (uint16_t)text.len : 0;
	if (s->len)
		memcpy(s->text, text.ptr, s->len);
}

struct slice tds_statement_find(struct tds_memory *m, uint32_t handle)
{
	struct tds_statement *s = find(m, handle);

	if (!s)
		return SLICE_NONE;
	s->at = ++m->clock;
	return slice_make(s->text, s->len);
}

void tds_statement_drop(struct tds_memory *m, uint32_t handle)
{
	struct tds_statement *s = find(m, handle);

	if (s)
		s->handle = 0;
}

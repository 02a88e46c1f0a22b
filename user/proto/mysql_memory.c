/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/mysql_memory.h"

enum { ID_LAST = 0xffffffff };

struct mysql_memory *mysql_memory_new(struct proto_memory *budget)
{
	struct mysql_memory *m = proto_memory_get_zeroed(budget, sizeof(*m));

	if (m)
		m->budget = budget;
	return m;
}

void mysql_memory_free(struct mysql_memory *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; i < MYSQL_STATEMENTS; i++)
		proto_memory_put(m->budget, m->statements[i].text);
	for (int side = 0; side < 2; side++)
		proto_memory_put(m->budget, m->inflate[side]);
	proto_memory_put(m->budget, m);
}

bool mysql_memory_inflates(struct mysql_memory *m)
{
	for (int side = 0; side < 2; side++) {
		if (!m->inflate[side])
			m->inflate[side] = proto_memory_get(m->budget, sizeof(*m->inflate[side]));
		if (!m->inflate[side])
			return false;
		mysql_inflate_init(m->inflate[side]);
	}
	return true;
}

/* --- statements --- */

static struct mysql_statement *get(struct mysql_memory *m, struct mysql_ref ref)
{
	struct mysql_statement *s = &m->statements[ref.slot % MYSQL_STATEMENTS];

	return ref.generation && s->generation == ref.generation ? s : NULL;
}

/* A free slot, else the one unused for longest. */
static struct mysql_statement *take_slot(struct mysql_memory *m)
{
	struct mysql_statement *oldest = &m->statements[0];

	for (uint32_t i = 0; i < MYSQL_STATEMENTS; i++) {
		struct mysql_statement *s = &m->statements[i];

		if (!s->generation)
			return s;
		if (m->clock - s->used > m->clock - oldest->used)
			oldest = s;
	}
	return oldest;
}

static struct mysql_statement *find(struct mysql_memory *m, uint32_t id)
{
	for (uint32_t i = 0; i < MYSQL_STATEMENTS; i++)
		if (m->statements[i].generation && m->statements[i].answered && m->statements[i].id == id)
			return &m->statements[i];
	return NULL;
}

struct mysql_ref mysql_memory_prepare(struct mysql_memory *m, struct slice text)
{
	struct mysql_statement *s = take_slot(m);

	text = slice_head(text, MYSQL_STATEMENT_TEXT);
	if (++m->generations == 0)
		m->generations = 1;
	s->generation = m->generations;
	s->used = ++m->clock;
	s->answered = false;
	s->len = proto_memory_room(m->budget, &s->text, &s->room, (uint16_t)text.len) ? (uint16_t)text.len : 0;
	if (s->len)
		memcpy(s->text, text.ptr, s->len);
	m->last = (struct mysql_ref){ s->generation, (uint16_t)(s - m->statements) };
	return m->last;
}

void mysql_memory_answer(struct mysql_memory *m, struct mysql_ref ref, uint32_t id)
{
	struct mysql_statement *s = get(m, ref), *older = find(m, id);

	if (older) /* its end was not seen */
		older->generation = 0;
	if (!s || s == older)
		return;
	s->id = id;
	s->answered = true;
}

void mysql_memory_refuse(struct mysql_memory *m, struct mysql_ref ref)
{
	struct mysql_statement *s = get(m, ref);

	if (s)
		s->generation = 0;
}

struct slice mysql_memory_find(struct mysql_memory *m, uint32_t id)
{
	struct mysql_statement *s = id == ID_LAST ? get(m, m->last) : find(m, id);

	if (!s)
		return SLICE_NONE;
	s->used = ++m->clock;
	return slice_make(s->text, s->len);
}

void mysql_memory_close(struct mysql_memory *m, uint32_t id)
{
	struct mysql_statement *s = id == ID_LAST ? get(m, m->last) : find(m, id);

	if (s)
		s->generation = 0;
}

void mysql_memory_clear(struct mysql_memory *m)
{
	for (uint32_t i = 0; i < MYSQL_STATEMENTS; i++)
		m->statements[i].generation = 0;
	m->last = (struct mysql_ref){ 0 };
}

void mysql_name_set(struct mysql_name *n, struct slice text)
{
	text = slice_head(text, MYSQL_DATABASE_LEN);
	n->len = (uint8_t)text.len;
	if (text.len)
		memcpy(n->text, text.ptr, text.len);
}

/* --- what is due --- */

void mysql_due_push(struct mysql_memory *m, struct mysql_due due)
{
	if (m->due_len < MYSQL_DUE)
		m->due[(m->due_first + m->due_len) % MYSQL_DUE] = due;
	if (m->due_len < UINT32_MAX)
		m->due_len++;
}

struct mysql_due *mysql_due_first(struct mysql_memory *m)
{
	return &m->due[m->due_first % MYSQL_DUE];
}

struct mysql_due *mysql_due_last(struct mysql_memory *m)
{
	return m->due_len && m->due_len <= MYSQL_DUE ? &m->due[(m->due_first + m->due_len - 1) % MYSQL_DUE] : NULL;
}

void mysql_due_pop(struct mysql_memory *m)
{
	/* Where more are due than have a place, the place that gets free is that of one which had none. */
	*mysql_due_first(m) = (struct mysql_due){ 0 };
	m->due_first = (m->due_first + 1) % MYSQL_DUE;
	m->due_len--;
}

void mysql_due_clear(struct mysql_memory *m)
{
	m->due_first = m->due_len = 0;
}

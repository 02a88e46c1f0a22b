/* SPDX-License-Identifier: Apache-2.0 */
/* What is due, and statements by their cursors. */
#include "proto/oracle_state.h"

/* --- what is due --- */

struct oracle_due *oracle_due_first(struct oracle_memory *m) { return m->due_len ? &m->due[m->due_first % ORACLE_DUES] : NULL; }

struct oracle_due *oracle_due_push(struct oracle_memory *m, unsigned function)
{
	struct oracle_due *d = &m->beyond;

	if (m->due_len < ORACLE_DUES)
		d = &m->due[(m->due_first + m->due_len) % ORACLE_DUES];
	if (m->due_len < UINT32_MAX)
		m->due_len++;
	*d = (struct oracle_due){ .function = (uint16_t)function };
	return d;
}

void oracle_due_pop(struct oracle_memory *m)
{
	/* Where more are due than have a place, the place that gets free is that of one which had none. */
	m->due[m->due_first % ORACLE_DUES] = (struct oracle_due){ .function = ORACLE_ASK_UNKNOWN, .blind = true, .unsure = true };
	m->due_first = (m->due_first + 1) % ORACLE_DUES;
	m->due_len--;
}

/* --- statements --- */

struct oracle_statement *oracle_statement_at(struct oracle_memory *m, uint8_t place)
{
	return place && place <= ORACLE_STATEMENTS && m->statements[place - 1].taken ? &m->statements[place - 1] : NULL;
}

static struct oracle_statement *take(struct oracle_memory *m)
{
	struct oracle_statement *oldest = &m->statements[0];

	for (int i = 0; i < ORACLE_STATEMENTS; i++) {
		struct oracle_statement *s = &m->statements[i];
		if (!s->taken)
			return s;
		if (m->clock - s->used > m->clock - oldest->used)
			oldest = s;
	}
	return oldest;
}

/* The first word, behind comments and parentheses. */
static struct slice first_word(struct slice in)
{
	size_t at = 0;

	while (at < in.len) {
		uint8_t c = in.ptr[at], next = at + 1 < in.len ? in.ptr[at + 1] : 0;
		if (c == '-' && next == '-') {
			while (at < in.len && in.ptr[at] != '\n')
				at++;
		} else if (c == '/' && next == '*') {
			for (at += 2; at + 1 < in.len && !(in.ptr[at] == '*' && in.ptr[at + 1] == '/');)
				at++;
			at += 2;
		} else if (c <= ' ' || c == '(') {
			at++;
		} else {
			break;
		}
	}
	size_t end = at;
	while (end < in.len && ascii_lower(in.ptr[end]) >= 'a' && ascii_lower(in.ptr[end]) <= 'z')
		end++;
	return at < end ? slice_make(in.ptr + at, end - at) : SLICE_NONE;
}

static void classify(struct oracle_statement *s)
{
	static const char *const changes[] = { "INSERT", "UPDATE", "DELETE", "MERGE" };
	struct slice word = first_word(slice_make(s->text, s->len));

	s->query = slice_ieq(word, SLICE_LIT("SELECT")) || slice_ieq(word, SLICE_LIT("WITH"));
	s->changes = false;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		s->changes = s->changes || slice_ieq(word, slice_str(changes[i]));
}

uint8_t oracle_statement_new(struct oracle_memory *m, struct slice text)
{
	struct oracle_statement *s = take(m);

	text = slice_head(text, ORACLE_TEXT);
	s->taken = false;
	if (!text.len || !proto_memory_room(m->budget, &s->text, &s->room, (uint16_t)text.len))
		return 0;
	s->len = (uint16_t)oracle_sql_copy(text, s->text);
	s->taken = true;
	s->open = false;
	s->rows = 0;
	s->used = ++m->clock;
	classify(s);
	return (uint8_t)(s - m->statements + 1);
}

uint8_t oracle_statement_of(struct oracle_memory *m, uint32_t cursor)
{
	for (uint8_t i = 0; cursor && i < ORACLE_STATEMENTS; i++) {
		struct oracle_statement *s = &m->statements[i];
		if (!s->taken || !s->open || s->cursor != cursor)
			continue;
		s->used = ++m->clock;
		return (uint8_t)(i + 1);
	}
	return 0;
}

void oracle_statement_close(struct oracle_memory *m, uint32_t cursor)
{
	struct oracle_statement *s = oracle_statement_at(m, oracle_statement_of(m, cursor));

	if (s)
		s->taken = false;
}

void oracle_statement_answered(struct oracle_memory *m, uint8_t place, uint32_t cursor)
{
	struct oracle_statement *s = oracle_statement_at(m, place);

	if (!s || (s->open && s->cursor == cursor))
		return;
	if (cursor)
		oracle_statement_close(m, cursor); /* its end was not seen */
	if (s->open)
		return;
	s->cursor = cursor;
	s->open = s->taken = cursor != 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/postgres_due.h"

void postgres_due_forget(struct postgres_state *s)
{
	s->nruns = 0;
	s->base = s->answered = s->bounded = s->next;
	s->begun = s->failed = s->copy_in = s->foreign = s->group = false;
	memset(s->flushed_left, 0, sizeof(s->flushed_left));
}

bool postgres_due_several(const struct postgres_state *s)
{
	return s->nruns > 1 || (s->nruns == 1 && s->runs[0].count > 1);
}

void postgres_due_push(struct postgres_state *s, enum postgres_run_kind kind)
{
	uint32_t delta = (uint32_t)(s->next - s->bounded);

	if (s->nruns > 0)
		s->pipelined = true;
	s->bounded = s->next;
	if (s->nruns > 0) {
		struct postgres_run *last = &s->runs[s->nruns - 1];

		if (last->delta == delta && s->run_kinds[s->nruns - 1] == kind && last->count < UINT32_MAX) {
			last->count++;
			return;
		}
	}
	if (s->nruns == POSTGRES_RUNS) {
		postgres_due_forget(s);
		s->shaky = true;
		return;
	}
	s->run_kinds[s->nruns] = (uint8_t)kind;
	s->runs[s->nruns++] = (struct postgres_run){ delta, 1 };
}

void postgres_due_pop(struct postgres_state *s)
{
	s->base += s->runs[0].delta;
	if (--s->runs[0].count > 0)
		return;
	s->nruns--;
	memmove(&s->runs[0], &s->runs[1], s->nruns * sizeof(s->runs[0]));
	memmove(&s->run_kinds[0], &s->run_kinds[1], s->nruns);
}

/*
 * A Sync that went out while the server was waiting for COPY data was ignored by it; the client sends another behind CopyDone.
 * libpq does so for every COPY of the extended protocol.
 */
void postgres_due_unpush_sync(struct postgres_state *s)
{
	if (!s->copy_in || s->nruns == 0 || s->run_kinds[s->nruns - 1] != POSTGRES_RUN_SYNC || s->bounded != s->next)
		return;
	struct postgres_run *last = &s->runs[s->nruns - 1];
	s->bounded -= last->delta;
	if (--last->count == 0)
		s->nruns--;
}

bool postgres_due_last(const struct postgres_state *s, enum postgres_run_kind kind)
{
	return s->nruns > 0 && s->run_kinds[0] == kind && s->answered + 1 == s->base + s->runs[0].delta;
}

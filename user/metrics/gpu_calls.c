/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/gpu_calls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/gpu_names.h"

/* What was counted when it was told of last. */
struct followed {
	union {
		struct plumb_gpu_totals totals;   /* of one function */
		struct plumb_gpu_process process; /* of function 0 */
	};
	struct series *series; /* of function 0: which has the gauges; pinned, NULL none */
};

struct gpu_calls {
	struct series_table *series; /* not owned */
	struct map map;              /* by key_of() */
	struct slab slab;
	uint64_t refused;
};

int gpu_calls_new(uint32_t max, struct series_table *series, struct gpu_calls **ret_gpu)
{
	struct gpu_calls *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->series = series;
	map_init(&g->map, max);
	slab_init(&g->slab, sizeof(struct followed), max);
	*ret_gpu = g;
	return 0;
}

void gpu_calls_free(struct gpu_calls *g)
{
	if (!g)
		return;
	map_done(&g->map);
	slab_done(&g->slab);
	free(g);
}

uint64_t gpu_calls_refused(const struct gpu_calls *g) { return g->refused; }

static uint64_t key_of(uint32_t pid, uint32_t call) { return (uint64_t)pid << 32 | call; }

static struct followed *follow(struct gpu_calls *g, uint32_t pid, uint32_t call)
{
	struct followed *f = map_get(&g->map, key_of(pid, call));

	if (f)
		return f;
	f = slab_get(&g->slab);
	if (f && map_put(&g->map, key_of(pid, call), f) == 0)
		return f;
	if (f)
		slab_put(&g->slab, f);
	g->refused++;
	return NULL;
}

/* Its gauges end where they are, be it that they go on elsewhere: the program has another name now, or there is room for a series of its own. */
static void leave_series(struct gpu_calls *g, struct followed *f)
{
	if (!f->series)
		return;
	for (uint32_t i = 0; i < PLUMB_GPU_MEMORIES; i++) {
		series_slot(g->series, f->series, FAMILY_GPU_ALLOCATED)[i] -= f->process.allocated[i];
		series_slot(g->series, f->series, FAMILY_GPU_PEAK)[i] -= f->process.peak[i];
		f->process.allocated[i] = f->process.peak[i] = 0;
	}
	series_unpin(f->series);
	f->series->ended = !f->series->overflow;
	f->series = NULL;
}

static void follow_no_more(struct gpu_calls *g, uint32_t pid)
{
	for (uint32_t call = 0; call < PLUMB_GPU_CALLS; call++) {
		struct followed *f = map_remove(&g->map, key_of(pid, call));
		if (!f)
			continue;
		leave_series(g, f);
		slab_put(&g->slab, f);
	}
}

static uint64_t grown(uint64_t now, __u64 *before)
{
	uint64_t by = now > *before ? now - *before : 0;

	*before += by;
	return by;
}

static void count_errors(struct gpu_calls *g, struct followed *f, const struct plumb_rec_gpu_calls *r, struct slice *values, uint64_t now_ns)
{
	char text[GPU_CODE_TEXT];

	for (uint32_t i = 0; i <= PLUMB_GPU_CODES; i++) {
		bool other = i == PLUMB_GPU_CODES;
		const struct plumb_gpu_code *c = &r->t.codes[other ? 0 : i];
		if (!other && f->totals.codes[i].code != c->code)
			f->totals.codes[i] = (struct plumb_gpu_code){ .code = c->code };
		uint64_t by = other ? grown(r->t.other_errors, &f->totals.other_errors) : grown(c->count, &f->totals.codes[i].count);
		if (!by)
			continue;
		values[4] = other ? SLICE_LIT("_OTHER") : gpu_code_name(gpu_call_protocol(r->call), c->code, text);
		*series_slot(g->series, series_get(g->series, GROUP_GPU_ERROR, values, now_ns), FAMILY_GPU_ERRORS) += by;
	}
}

void gpu_calls_record(struct gpu_calls *g, const struct process *process, const struct plumb_rec_gpu_calls *r, uint64_t now_ns)
{
	const char *name = gpu_call_name(r->call);
	struct followed *f = name ? follow(g, r->pid, r->call) : NULL;
	char pid[16];

	if (!f) {
		g->refused += !name;
		return;
	}
	snprintf(pid, sizeof(pid), "%u", r->pid);
	struct slice values[] = { process_service(process), slice_str(pid), gpu_call_protocol(r->call) == PLUMB_PROTO_CUDA ? SLICE_LIT("cuda") : SLICE_LIT("hip"), slice_str(name), SLICE_NONE };
	if (r->t.count < f->totals.count) /* another process, whose predecessor's end was not told */
		memset(f, 0, sizeof(*f));
	f->totals.count = r->t.count;
	uint64_t *slot = series_slot(g->series, series_get(g->series, GROUP_GPU_CALL, values, now_ns), FAMILY_GPU_CALL);
	for (uint32_t i = 0; i < PLUMB_GPU_BUCKETS; i++)
		slot[i] += grown(r->t.buckets[i], &f->totals.buckets[i]);
	slot[PLUMB_GPU_BUCKETS] += grown(r->t.sum_ns, &f->totals.sum_ns);
	if (gpu_call_has_bytes(r->call))
		*series_slot(g->series, series_get(g->series, GROUP_GPU_BYTES, values, now_ns), FAMILY_GPU_BYTES) += grown(r->t.bytes, &f->totals.bytes);
	count_errors(g, f, r, values, now_ns);
}

/* What a process had when it ended counts where it has been told of. */
static struct series *series_of(struct gpu_calls *g, struct followed *f, const struct process *process, uint32_t pid, bool ended, uint64_t now_ns)
{
	char text[16];

	if (ended && f->series)
		return f->series;
	snprintf(text, sizeof(text), "%u", pid);
	const struct slice values[] = { process_service(process), slice_str(text) };
	struct series *s = series_get(g->series, GROUP_GPU_PROCESS, values, now_ns);
	if (s == f->series)
		return s;
	series_pin(s);
	leave_series(g, f);
	s->ended = false;
	f->series = s;
	return s;
}

void gpu_calls_process(struct gpu_calls *g, const struct process *process, const struct plumb_rec_gpu_process *r, uint64_t now_ns)
{
	struct followed *f = follow(g, r->pid, PLUMB_GPU_NONE);
	bool ended = r->flags & PLUMB_GPU_ENDED;

	if (!f) {
		if (ended)
			follow_no_more(g, r->pid);
		return;
	}
	struct series *s = series_of(g, f, process, r->pid, ended, now_ns);
	uint64_t *allocated = series_slot(g->series, s, FAMILY_GPU_ALLOCATED), *peak = series_slot(g->series, s, FAMILY_GPU_PEAK), *unfreed = series_slot(g->series, s, FAMILY_GPU_UNFREED);
	for (uint32_t i = 0; i < PLUMB_GPU_MEMORIES; i++) {
		/* Differences, as processes may share an overflow series. */
		allocated[i] += r->p.allocated[i] - f->process.allocated[i];
		peak[i] += r->p.peak[i] - f->process.peak[i];
		f->process.allocated[i] = r->p.allocated[i];
		f->process.peak[i] = r->p.peak[i];
		if (ended)
			unfreed[i] += r->p.allocated[i];
	}
	*series_slot(g->series, s, FAMILY_GPU_STRANGE_FREES) += grown(r->p.strange_frees, &f->process.strange_frees);
	*series_slot(g->series, s, FAMILY_GPU_SUPPRESSED) += grown(r->p.suppressed, &f->process.suppressed);
	if (ended)
		follow_no_more(g, r->pid);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/gpu.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { ENDED_MAX = 256, ENDED_A_TICK = 8, WALK_MAX = 65536 }; /* each is looked for in all that is counted */
static const uint64_t period_ns = 1000000000ull;

struct gpu {
	int processes, totals, kernels, allocations; /* maps, not owned */
	int (*emit)(void *ctx, const void *record, size_t size);
	void *ctx;
	uint64_t told_ns;     /* what has changed since is told of */
	uint64_t tell_at_ns;
	uint32_t ended[ENDED_MAX]; /* processes whose program has ended and that are still in the tables */
	size_t nended;
	bool all;             /* there were more: whoever does not live has ended */
};

int gpu_new(struct loaded *l, int (*emit)(void *ctx, const void *record, size_t size), void *ctx, struct gpu **ret_gpu)
{
	struct gpu *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->processes = loaded_function_map(l, "gpu_processes");
	g->totals = loaded_function_map(l, "gpu_totals");
	g->kernels = loaded_function_map(l, "gpu_kernels");
	g->allocations = loaded_function_map(l, "gpu_allocations");
	g->emit = emit;
	g->ctx = ctx;
	if (g->processes < 0 || g->totals < 0 || g->kernels < 0 || g->allocations < 0) {
		free(g);
		return -ENOENT;
	}
	*ret_gpu = g;
	return 0;
}

void gpu_free(struct gpu *g) { free(g); }

static struct plumb_rec_header gpu_header(uint16_t type, size_t size, uint64_t now_ns)
{
	return (struct plumb_rec_header){ .size = (uint32_t)size, .type = type, .cpu = UINT16_MAX, .time_ns = now_ns };
}

/* What changes while it is read is told of again. */
static bool is_news(uint64_t last_ns, uint64_t since_ns) { return last_ns >= since_ns; }

static int tell_calls(struct gpu *g, uint32_t pid, uint64_t since_ns, uint64_t now_ns)
{
	struct plumb_rec_gpu_calls r = { .h = gpu_header(PLUMB_REC_GPU_CALLS, sizeof(r), now_ns), .pid = pid };
	int err = 0;

	for (uint32_t call = 1; call < PLUMB_GPU_CALLS && !err; call++) {
		struct plumb_gpu_call_key key = { .pid = pid, .call = call };
		r.call = call;
		if (bpf_map_lookup_elem(g->totals, &key, &r.t) == 0 && is_news(r.t.last_ns, since_ns))
			err = g->emit(g->ctx, &r, sizeof(r));
	}
	return err;
}

/* pid 0: of all processes. */
static int tell_kernels(struct gpu *g, uint32_t pid, uint64_t since_ns, uint64_t now_ns)
{
	struct plumb_rec_gpu_kernel r = { .h = gpu_header(PLUMB_REC_GPU_KERNEL, sizeof(r), now_ns) };
	struct plumb_gpu_kernel_key key, *before = NULL;
	int err = 0;

	while (!err && bpf_map_get_next_key(g->kernels, before, &key) == 0) {
		before = &key;
		if ((pid && key.pid != pid) || bpf_map_lookup_elem(g->kernels, &key, &r.l) || !is_news(r.l.last_ns, since_ns))
			continue;
		r.pid = key.pid;
		memcpy(r.name, key.name, sizeof(r.name));
		err = g->emit(g->ctx, &r, sizeof(r));
	}
	return err;
}

static int tell_process(struct gpu *g, uint32_t pid, uint32_t flags, uint64_t now_ns)
{
	struct plumb_rec_gpu_process r = { .h = gpu_header(PLUMB_REC_GPU_PROCESS, sizeof(r), now_ns), .pid = pid, .flags = flags };

	if (bpf_map_lookup_elem(g->processes, &pid, &r.p))
		return 0;
	return g->emit(g->ctx, &r, sizeof(r));
}

/*
 * Takes the keys of a process out of a map, in which its number stands at pid_at. The next one is asked for first: behind one that is no more the kernel would begin anew. So it does where others take out what
 * stands next, which must not go on for ever: what is left then stays.
 */
static void drop_of(int map, size_t pid_at, uint32_t pid)
{
	uint8_t key[sizeof(struct plumb_gpu_kernel_key)] = { 0 }, next[sizeof(key)] = { 0 }; /* the longest of them */
	bool more = bpf_map_get_next_key(map, NULL, key) == 0;

	for (uint32_t steps = 0; more && steps < WALK_MAX; steps++) {
		more = bpf_map_get_next_key(map, key, next) == 0;
		if (memcmp(key + pid_at, &pid, sizeof(pid)) == 0)
			bpf_map_delete_elem(map, key);
		memcpy(key, next, sizeof(key));
	}
}

static void forget(struct gpu *g, uint32_t pid)
{
	struct plumb_gpu_process p;

	if (bpf_map_lookup_elem(g->processes, &pid, &p))
		return;
	for (uint32_t call = 1; call < PLUMB_GPU_CALLS; call++)
		bpf_map_delete_elem(g->totals, &(struct plumb_gpu_call_key){ .pid = pid, .call = call });
	if (p.kernels)
		drop_of(g->kernels, offsetof(struct plumb_gpu_kernel_key, pid), pid);
	if (p.allocations)
		drop_of(g->allocations, offsetof(struct plumb_gpu_allocation_key, pid), pid);
	bpf_map_delete_elem(g->processes, &pid); /* last: without it nobody would look for the rest */
}

/* -errno: it stays, and is told of again. */
static int tell_end(struct gpu *g, uint32_t pid, uint64_t now_ns)
{
	int err = tell_calls(g, pid, 0, now_ns);

	if (!err)
		err = tell_kernels(g, pid, 0, now_ns);
	if (!err)
		err = tell_process(g, pid, PLUMB_GPU_ENDED, now_ns);
	if (!err)
		forget(g, pid);
	return err;
}

static void gpu_ended(struct gpu *g, uint64_t now_ns)
{
	size_t left = 0;

	for (size_t i = 0; i < g->nended; i++)
		if (i >= ENDED_A_TICK || tell_end(g, g->ended[i], now_ns))
			g->ended[left++] = g->ended[i];
	g->nended = left;
}

/* Whose end was not told. */
static void gpu_sweep(struct gpu *g)
{
	uint32_t pid, *before = NULL;

	g->all = false;
	while (bpf_map_get_next_key(g->processes, before, &pid) == 0 && g->nended < ENDED_MAX) {
		before = &pid;
		bool known = false;
		for (size_t i = 0; i < g->nended; i++)
			known |= g->ended[i] == pid;
		if (!known && kill((pid_t)pid, 0) && errno == ESRCH)
			g->ended[g->nended++] = pid;
	}
}

static void gpu_tell(struct gpu *g, uint64_t since_ns, uint64_t now_ns)
{
	uint32_t pid, *before = NULL;
	int err = 0;

	gpu_sweep(g);
	gpu_ended(g, now_ns);
	while (!err && bpf_map_get_next_key(g->processes, before, &pid) == 0) {
		before = &pid;
		err = tell_calls(g, pid, since_ns, now_ns);
	}
	if (!err && before)
		err = tell_kernels(g, 0, since_ns, now_ns);
	for (before = NULL; !err && bpf_map_get_next_key(g->processes, before, &pid) == 0; before = &pid)
		err = tell_process(g, pid, 0, now_ns);
	if (!err)
		g->told_ns = now_ns;
	g->tell_at_ns = now_ns + period_ns;
}

void gpu_event(struct gpu *g, const struct plumb_rec_header *h)
{
	struct plumb_gpu_process p;

	if (h->type != PLUMB_REC_EXIT && h->type != PLUMB_REC_EXEC)
		return;
	uint32_t pid = h->type == PLUMB_REC_EXIT ? ((const struct plumb_rec_exit *)h)->pid : ((const struct plumb_rec_exec *)h)->pid;
	if (bpf_map_lookup_elem(g->processes, &pid, &p))
		return;
	if (g->nended < ENDED_MAX)
		g->ended[g->nended++] = pid;
	else
		g->all = true;
}

void gpu_tick(struct gpu *g, uint64_t now_ns)
{
	gpu_ended(g, now_ns);
	if (g->all)
		gpu_sweep(g);
	if (now_ns >= g->tell_at_ns)
		gpu_tell(g, g->told_ns > period_ns ? g->told_ns - period_ns : 0, now_ns); /* a call may be counted long after its end was taken */
}

void gpu_report(struct gpu *g, uint64_t now_ns)
{
	g->told_ns = 0; /* what does not fit now is told at the next tick */
	gpu_tell(g, 0, now_ns);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/watch.h"

#include <dirent.h>
#include <errno.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/map.h"
#include "probe/describe.h"
#include "probe/probe.h"
#include "probe/selection.h"

enum {
	WATCH_PENDING_MAX = 8192,   /* processes that wait to be described */
	WATCH_PROCESSES_MAX = 16384,
	WATCH_FORK_DELAY_MS = 50,   /* most forked processes call exec at once: that describes them */
	WATCH_TICK_MAX = 512,       /* descriptions in one tick */
};

struct pending {
	uint32_t pid;
	uint64_t due_ns;
};

struct watch {
	struct loaded *loaded;
	const struct probe_options *o;
	int (*emit)(void *ctx, const void *record, size_t size);
	void *ctx;
	struct map described; /* pid -> itself, for PROC_STAT */
	struct pending *pending;
	uint32_t head, count;
	uint64_t now_ns;
	uint64_t lost;
	bool by_place; /* there are filters that only user space can judge */
};

int watch_new(struct loaded *l, const struct probe_options *o, int (*emit)(void *ctx, const void *record, size_t size), void *ctx, struct watch **ret_watch)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->pending = calloc(WATCH_PENDING_MAX, sizeof(*w->pending));
	if (!w->pending) {
		free(w);
		return -ENOMEM;
	}
	w->loaded = l;
	w->o = o;
	w->emit = emit;
	w->ctx = ctx;
	w->by_place = filter_names_places(&o->load.filters.include) || filter_names_places(&o->load.filters.exclude);
	map_init(&w->described, WATCH_PROCESSES_MAX);
	*ret_watch = w;
	return 0;
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	map_done(&w->described);
	free(w->pending);
	free(w);
}

static void watch_later(struct watch *w, uint32_t pid, uint64_t due_ns)
{
	if (w->count == WATCH_PENDING_MAX) {
		w->lost++;
		return;
	}
	w->pending[(w->head + w->count++) % WATCH_PENDING_MAX] = (struct pending){ pid, due_ns };
}

void watch_describe(struct watch *w, uint32_t pid, const struct plumb_rec_exec *exec)
{
	alignas(8) uint8_t buf[DESCRIBE_MAX];
	bool included;

	if (!loaded_wanted(w->loaded, pid, &included)) {
		map_remove(&w->described, pid); /* it may have been, as another program */
		return;
	}
	int size = describe_process(pid, exec, buf);
	if (size == -ENOENT)
		return; /* a kernel thread */
	if (size < 0) {
		/* Gone before anybody looked, and without an exec of its own: its parent's description stands for it. */
		return;
	}
	struct plumb_rec_process *r = (struct plumb_rec_process *)buf;
	if (included)
		r->flags |= PLUMB_PROCESS_TARGET;
	int err = w->emit(w->ctx, buf, (size_t)size);
	if (err == -EAGAIN || err == -ENOBUFS) {
		if (r->flags & PLUMB_PROCESS_PARTIAL)
			w->lost++; /* there will be nothing left to read */
		else
			watch_later(w, pid, 0);
		return;
	}
	if (r->flags & PLUMB_PROCESS_PARTIAL)
		w->lost++;
	else if (!err)
		(void)map_put(&w->described, pid, (void *)(uintptr_t)pid); /* without memory it is described again, nothing else */
}

static void watch_exec(struct watch *w, const struct plumb_rec_exec *r)
{
	if (w->by_place)
		selection_judge_place(w->loaded, &w->o->load.filters, r->pid, r->cgroup_id);
	watch_describe(w, r->pid, r);
}

static void watch_fork(struct watch *w, const struct plumb_rec_fork *r)
{
	if (w->by_place)
		selection_judge_place(w->loaded, &w->o->load.filters, r->pid, 0);
	watch_later(w, r->pid, r->h.time_ns + WATCH_FORK_DELAY_MS * 1000000ull);
}

void watch_event(struct watch *w, const struct plumb_rec_header *h)
{
	switch (h->type) {
	case PLUMB_REC_EXEC: watch_exec(w, (const struct plumb_rec_exec *)h); break;
	case PLUMB_REC_FORK: watch_fork(w, (const struct plumb_rec_fork *)h); break;
	case PLUMB_REC_EXIT: map_remove(&w->described, ((const struct plumb_rec_exit *)h)->pid); break;
	default: break;
	}
}

void watch_describe_all(struct watch *w)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;

	if (!dir)
		return;
	while ((e = readdir(dir))) {
		char *end;
		unsigned long pid = strtoul(e->d_name, &end, 10);
		if (pid > 0 && pid <= UINT32_MAX && !*end)
			watch_later(w, (uint32_t)pid, 0);
	}
	closedir(dir);
	watch_tick(w, w->now_ns);
}

void watch_tick(struct watch *w, uint64_t now_ns)
{
	w->now_ns = now_ns;
	for (uint32_t done = 0, n = w->count; done < n && done < WATCH_TICK_MAX; done++) {
		struct pending p = w->pending[w->head];
		w->head = (w->head + 1) % WATCH_PENDING_MAX;
		w->count--;
		if (p.due_ns > now_ns) {
			watch_later(w, p.pid, p.due_ns);
			continue;
		}
		if (p.due_ns && map_get(&w->described, p.pid))
			continue; /* an exec has described it since */
		watch_describe(w, p.pid, NULL);
	}
}

void watch_stats(struct watch *w)
{
	size_t at = 0;
	uint64_t pid;

	while (map_next(&w->described, &at, &pid)) {
		struct plumb_rec_proc_stat r;
		if (describe_stat((uint32_t)pid, &r))
			continue;
		struct plumb_call_price price = loaded_call_price(w->loaded, (uint32_t)pid);
		r.traps = price.traps;
		r.trap_ns = price.trap_ns;
		/* A full socket costs one reading; the next one has the same totals. */
		if (w->emit(w->ctx, &r, sizeof(r)))
			break;
	}
}

uint64_t watch_lost(const struct watch *w) { return w->lost; }

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
	bool select; /* there are filters that user space judges */
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
	w->select = o->exec_names || o->containers || o->cgroups || o->load.comms[0];
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

/* Value of a key in a description, or NULL. */
static const char *description_find(const struct plumb_rec_process *r, const char *key)
{
	const char *text = (const char *)(r + 1);
	size_t len = strlen(key);

	for (size_t at = 0; at < r->bytes; at += strlen(text + at) + 1)
		if (strncmp(text + at, key, len) == 0 && text[at + len] == '=')
			return text + at + len + 1;
	return NULL;
}

static bool matches(const char *const *wanted, const char *value, bool whole)
{
	if (!wanted || !value)
		return false;
	for (; *wanted; wanted++)
		if (whole ? strcmp(value, *wanted) == 0 : strstr(value, *wanted) != NULL)
			return true;
	return false;
}

static bool watch_selects(const struct watch *w, const struct plumb_rec_process *r)
{
	const char *name = description_find(r, "process.executable.name");
	char comm[PLUMB_COMM_LEN + 1];

	describe_comm(r->pid, comm, sizeof(comm));
	for (int i = 0; i < LOAD_FILTER_MAX && w->o->load.comms[i]; i++)
		if (strncmp(comm, w->o->load.comms[i], PLUMB_COMM_LEN - 1) == 0)
			return true;
	return matches(w->o->exec_names, name, true) || matches(w->o->exec_names, description_find(r, "process.executable.path"), true) ||
	       matches(w->o->containers, description_find(r, "container.id"), false) ||
	       matches(w->o->cgroups, description_find(r, "plumb.cgroup.path"), false);
}

void watch_describe(struct watch *w, uint32_t pid, const struct plumb_rec_exec *exec)
{
	alignas(8) uint8_t buf[DESCRIBE_MAX];
	int size = describe_process(pid, exec, buf);

	if (size == -ENOENT)
		return; /* a kernel thread */
	if (size < 0) {
		/* Gone before anybody looked, and without an exec of its own: its parent's description stands for it. */
		return;
	}
	struct plumb_rec_process *r = (struct plumb_rec_process *)buf;
	if (w->select && watch_selects(w, r)) {
		r->flags |= PLUMB_PROCESS_TARGET;
		loaded_target_new(w->loaded, pid, TARGET_TRACE, w->o->load.follow_children);
	}
	if (w->o->load.only_targets && !loaded_is_target(w->loaded, pid))
		return;
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

void watch_event(struct watch *w, const struct plumb_rec_header *h)
{
	switch (h->type) {
	case PLUMB_REC_EXEC: watch_describe(w, ((const struct plumb_rec_exec *)h)->pid, (const struct plumb_rec_exec *)h); break;
	case PLUMB_REC_FORK:
		watch_later(w, ((const struct plumb_rec_fork *)h)->pid, h->time_ns + WATCH_FORK_DELAY_MS * 1000000ull);
		break;
	case PLUMB_REC_EXIT: map_remove(&w->described, ((const struct plumb_rec_exit *)h)->pid); break;
	default: break;
	}
}

/* Calls fn with every process there is. */
static void each_process(struct watch *w, void (*fn)(struct watch *w, uint32_t pid))
{
	DIR *dir = opendir("/proc");
	struct dirent *e;

	if (!dir)
		return;
	while ((e = readdir(dir))) {
		char *end;
		unsigned long pid = strtoul(e->d_name, &end, 10);
		if (pid > 0 && pid <= UINT32_MAX && !*end)
			fn(w, (uint32_t)pid);
	}
	closedir(dir);
}

static void select_now(struct watch *w, uint32_t pid)
{
	alignas(8) uint8_t buf[DESCRIBE_MAX];

	if (describe_process(pid, NULL, buf) > 0 && watch_selects(w, (const struct plumb_rec_process *)buf))
		loaded_target_new(w->loaded, pid, TARGET_TRACE, w->o->load.follow_children);
}

void watch_select_all(struct watch *w)
{
	if (w->select)
		each_process(w, select_now);
}

static void describe_later(struct watch *w, uint32_t pid) { watch_later(w, pid, 0); }

void watch_describe_all(struct watch *w)
{
	each_process(w, describe_later);
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
		/* A full socket costs one reading; the next one has the same totals. */
		if (describe_stat((uint32_t)pid, &r) == 0 && w->emit(w->ctx, &r, sizeof(r)))
			break;
	}
}

int watch_target_tree(struct watch *w, uint32_t root, enum target_verdict verdict)
{
	/* Children are found by their parents: repeat until a walk adds none, so that order in /proc does not matter. */
	uint32_t chosen[1024];
	size_t n = 0, before;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/stat", root);
	FILE *f = fopen(path, "re");
	if (!f)
		return -ESRCH;
	fclose(f);
	chosen[n++] = root;
	do {
		before = n;
		DIR *dir = opendir("/proc");
		struct dirent *e;
		if (!dir)
			break;
		while ((e = readdir(dir)) && n < sizeof(chosen) / sizeof(chosen[0])) {
			char *end, line[512];
			uint32_t pid = (uint32_t)strtoul(e->d_name, &end, 10), ppid = 0;
			if (!pid || *end)
				continue;
			snprintf(path, sizeof(path), "/proc/%u/stat", pid);
			f = fopen(path, "re");
			if (!f)
				continue;
			if (fgets(line, sizeof(line), f)) {
				char *paren = strrchr(line, ')');
				if (paren && strlen(paren) > 4)
					ppid = (uint32_t)strtoul(paren + 4, NULL, 10);
			}
			fclose(f);
			bool parent = false, known = false;
			for (size_t i = 0; i < n; i++) {
				parent |= chosen[i] == ppid;
				known |= chosen[i] == pid;
			}
			if (parent && !known)
				chosen[n++] = pid;
		}
		closedir(dir);
	} while (n > before);
	for (size_t i = 0; i < n; i++) {
		int err = loaded_target(w->loaded, chosen[i], verdict, true);
		if (err)
			return err;
	}
	return 0;
}

uint64_t watch_lost(const struct watch *w) { return w->lost; }

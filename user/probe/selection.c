/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/selection.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/map.h"
#include "probe/describe.h"

enum { SELECTION_ROUNDS = 8, SELECTION_PROCESSES_MAX = 4194304, CGROUPS_MAX = 16384 };

struct seen {
	uint32_t pid, ppid;
	struct plumb_target target;
};

struct selection {
	struct seen *all; /* owned */
	size_t count, cap;
};

static int selection_add(struct selection *s, const struct seen *one)
{
	if (s->count == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 1024;
		struct seen *all = realloc(s->all, cap * sizeof(*all));
		if (!all)
			return -ENOMEM;
		s->all = all;
		s->cap = cap;
	}
	s->all[s->count++] = *one;
	return 0;
}

/* What is said of the process itself. False if it is gone. */
static bool judge_one(const struct filters *f, uint32_t pid, struct seen *ret)
{
	char comm[PLUMB_COMM_LEN + 1], exe[PLUMB_PATH_LEN * 2] = "";
	struct seen one = { .pid = pid };

	if (describe_parent(pid, &one.ppid))
		return false;
	one.target.inherited = filters_of_pid(f, pid);
	if (pid == (uint32_t)getpid())
		one.target.inherited |= PLUMB_TREE_OUT; /* nobody traces plumb */
	if (filter_names_programs(&f->include) || filter_names_programs(&f->exclude)) {
		describe_comm(pid, comm, sizeof(comm));
		describe_exe(pid, exe, sizeof(exe)); /* a kernel thread has none */
		one.target.program = filters_of_program(f, comm, exe);
	}
	*ret = one;
	return true;
}

static int selection_look(struct selection *s, const struct filters *f)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;
	int err = 0;

	if (!dir)
		return -errno;
	s->count = 0;
	while (!err && (e = readdir(dir))) {
		char *end;
		unsigned long pid = strtoul(e->d_name, &end, 10);
		struct seen one;
		if (pid > 0 && pid <= SELECTION_PROCESSES_MAX && !*end && judge_one(f, (uint32_t)pid, &one))
			err = selection_add(s, &one);
	}
	closedir(dir);
	return err;
}

/* Hands down what holds for children too, until nobody gets anything new: order in /proc does not matter. */
static int selection_inherit(struct selection *s)
{
	struct map by_pid;
	bool again = true;
	int err = 0;

	map_init(&by_pid, s->count + 1);
	for (size_t i = 0; !err && i < s->count; i++)
		err = map_put(&by_pid, s->all[i].pid, &s->all[i]);
	while (!err && again) {
		again = false;
		for (size_t i = 0; i < s->count; i++) {
			const struct seen *parent = map_get(&by_pid, s->all[i].ppid);
			uint8_t *inherited = &s->all[i].target.inherited;
			uint8_t from = parent ? (uint8_t)((parent->target.program | parent->target.inherited) & PLUMB_TREE) : 0;
			if (from & ~*inherited) {
				*inherited |= from;
				again = true;
			}
		}
	}
	map_done(&by_pid);
	return err;
}

/* Returns 1 if the kernel side was told something new. What it has by descent stays: parents end, and then /proc names others. */
static int selection_tell(struct loaded *l, struct seen *one)
{
	struct plumb_target known = { 0 }, *t = &one->target;

	loaded_target(l, one->pid, &known);
	t->inherited |= known.inherited;
	t->leaf = known.leaf;
	if (memcmp(&known, t, sizeof(known)) == 0)
		return 0;
	int err = loaded_set_target(l, one->pid, t);
	return err ? err : 1;
}

int selection_judge_all(struct loaded *l, const struct filters *f, size_t *ret_named)
{
	bool by_place = filter_names_places(&f->include) || filter_names_places(&f->exclude);
	struct selection s = { 0 };
	int err = 0, changes = 1;

	*ret_named = 0;
	/*
	 * Programs are executed meanwhile, and the kernel side judges them; a verdict on the program before may overwrite that. Then it differs from what /proc says
	 * when we look again. Likewise a child whose parent had no verdict yet.
	 */
	for (int round = 0; !err && changes && round < SELECTION_ROUNDS; round++) {
		changes = 0;
		*ret_named = 0;
		err = selection_look(&s, f);
		if (!err)
			err = selection_inherit(&s);
		for (size_t i = 0; !err && i < s.count; i++) {
			int told = selection_tell(l, &s.all[i]);
			if (told < 0)
				err = told;
			else
				changes += told;
			bool named = (s.all[i].target.program & (PLUMB_IN | PLUMB_TREE_IN)) != 0;
			if (by_place)
				named |= selection_judge_place(l, f, s.all[i].pid, 0) && s.all[i].pid != (uint32_t)getpid();
			*ret_named += named;
		}
	}
	free(s.all);
	return err;
}

bool selection_tree_lives(const struct loaded *l)
{
	struct plumb_target t;
	uint32_t parent;

	/* The kernel side takes out who ends; what was told it of a process that had just ended stays, which /proc knows better. */
	for (uint32_t pid = 0; loaded_target_next(l, pid, &pid, &t);)
		if (t.inherited & PLUMB_TREE_IN && !(t.inherited & PLUMB_TREE_OUT) && describe_parent(pid, &parent) == 0)
			return true;
	return false;
}

bool selection_judge_place(struct loaded *l, const struct filters *f, uint32_t pid, uint64_t cgroup_id)
{
	char cgroups[CGROUPS_MAX];
	struct plumb_place known = { 0 }, place = { 0 };

	if (describe_cgroups(pid, cgroups, sizeof(cgroups)) <= 0)
		return false;
	bool has = loaded_place(l, pid, &known);
	place.bits = filters_of_place(f, cgroups);
	place.cgroup_id = cgroup_id ? cgroup_id : known.cgroup_id;
	if ((!place.bits && !has) || memcmp(&place, &known, sizeof(known)) == 0)
		return place.bits & PLUMB_IN;
	loaded_set_place(l, pid, &place);
	/* It may have ended before this was written, and another process may get its number. */
	if (describe_cgroups(pid, cgroups, sizeof(cgroups)) <= 0)
		loaded_drop_place(l, pid);
	return place.bits & PLUMB_IN;
}

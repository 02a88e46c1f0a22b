/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the filters say of a process, decided in the kernel as it forks or executes a program: of one that lives for a millisecond nothing is missed, and nothing
 * is seen that was excluded.
 */
#ifndef PLUMB_JUDGE_BPF_H
#define PLUMB_JUDGE_BPF_H

#include "lib/target.bpf.h"

#define PLUMB_PATH_PARTS 32 /* folders and mounts above an executable; deeper ones match no path */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* set to the number of names */
	__type(key, struct plumb_name);
	__type(value, __u32);
} names SEC(".maps");

/* A name in the making. Only the exec program uses it, which never interrupts itself. */
struct plumb_judge {
	struct plumb_name name;
	char more[PLUMB_PATH_LEN]; /* what is too long ends in here */
	__u32 at;                  /* where the next part of a path goes: in memory, so that the verifier need not follow each value */
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct plumb_judge);
} judge SEC(".maps");

/* Is there a filter of that kind at all? */
const volatile bool filters_by_comm = false, filters_by_exe = false, filters_by_cgroup = false;

static __always_inline struct plumb_name *judge_name(struct plumb_judge *j, __u32 kind)
{
	__builtin_memset(&j->name, 0, sizeof(j->name));
	j->name.kind = kind;
	return &j->name;
}

static __always_inline __u32 judge_look_up(const struct plumb_name *n)
{
	__u32 *bits = bpf_map_lookup_elem(&names, n);

	return bits ? *bits : 0;
}

static __always_inline __u32 judge_text(struct plumb_judge *j, __u32 kind, const void *text)
{
	struct plumb_name *n = judge_name(j, kind);

	bpf_probe_read_kernel_str(n->text, sizeof(n->text), text);
	return judge_look_up(n);
}

/* The path of a file, in the order in which it is found: from its name up, through mounts, to the root of all. */
static __always_inline __u32 judge_path(struct plumb_judge *j, struct file *file)
{
	struct plumb_name *n = judge_name(j, PLUMB_NAME_PATH);
	struct dentry *d = BPF_CORE_READ(file, f_path.dentry);
	struct mount *m = (void *)BPF_CORE_READ(file, f_path.mnt) - bpf_core_field_offset(struct mount, mnt);

	j->at = 0;
	for (int i = 0; i < PLUMB_PATH_PARTS; i++) {
		struct dentry *parent = BPF_CORE_READ(d, d_parent);
		__u32 at = j->at;

		if (d == BPF_CORE_READ(m, mnt.mnt_root) || d == parent) {
			struct mount *above = BPF_CORE_READ(m, mnt_parent);
			if (above == m)
				return judge_look_up(n);
			d = BPF_CORE_READ(m, mnt_mountpoint);
			m = above;
			continue;
		}
		if (at >= sizeof(n->text))
			return 0;
		long len = bpf_probe_read_kernel_str(n->text + at, sizeof(n->text), BPF_CORE_READ(d, d_name.name));
		if (len <= 0 || at + (__u32)len > sizeof(n->text) - 1)
			return 0; /* longer than any filter */
		at = (at + (__u32)len - 1) & (PLUMB_PATH_LEN - 1);
		n->text[at] = '/';
		j->at = at + 1;
		d = parent;
	}
	return 0;
}

/* By the names of the program that the current task has just begun to execute. */
static __always_inline __u32 judge_program(struct plumb_judge *j, struct task_struct *task)
{
	__u32 bits = 0;

	if (filters_by_comm)
		bits |= judge_text(j, PLUMB_NAME_COMM, task->comm);
	if (filters_by_exe) {
		struct file *file = BPF_CORE_READ(task, mm, exe_file);
		bits |= judge_text(j, PLUMB_NAME_EXE, BPF_CORE_READ(file, f_path.dentry, d_name.name));
		if (bits & PLUMB_NAME_OF_PATH)
			bits |= judge_path(j, file);
	}
	return bits & ~PLUMB_NAME_OF_PATH;
}

/* A child is what its parent is, until it executes a program. Whatever stands there is of an earlier process of that number. */
static __always_inline void judge_fork(__u32 parent, __u32 child)
{
	struct plumb_target *t = bpf_map_lookup_elem(&targets, &parent);

	if (t) {
		struct plumb_target copy = *t;
		copy.inherited |= copy.program & PLUMB_TREE;
		bpf_map_update_elem(&targets, &child, &copy, BPF_ANY);
	} else if (bpf_map_lookup_elem(&targets, &child)) {
		bpf_map_delete_elem(&targets, &child);
	}
	if (!filters_by_place)
		return;
	struct plumb_place *p = bpf_map_lookup_elem(&places, &parent);
	if (p) {
		struct plumb_place copy = *p;
		bpf_map_update_elem(&places, &child, &copy, BPF_ANY);
	} else if (bpf_map_lookup_elem(&places, &child)) {
		bpf_map_delete_elem(&places, &child);
	}
}

/* The verdict follows the program: what the one before was counts no more, but for what comes from the process's ancestors. */
static __always_inline void judge_exec(struct task_struct *task, const char *cgroup, __u64 cgroup_id)
{
	__u32 zero = 0, pid = task->tgid;
	bool before = target_wanted(pid);
	struct plumb_target *old = bpf_map_lookup_elem(&targets, &pid);
	struct plumb_target t = { .inherited = old ? old->inherited : 0 };
	struct plumb_judge *j = bpf_map_lookup_elem(&judge, &zero);

	if (!j)
		return;
	t.program = (__u8)judge_program(j, task);
	if (filters_by_cgroup)
		t.leaf = (__u8)judge_text(j, PLUMB_NAME_CGROUP, cgroup);
	if (t.program | t.leaf | t.inherited)
		bpf_map_update_elem(&targets, &pid, &t, BPF_ANY);
	else if (old)
		bpf_map_delete_elem(&targets, &pid);
	if (filters_by_place) {
		/* Elsewhere than when it was judged: the probe will say. */
		struct plumb_place *p = bpf_map_lookup_elem(&places, &pid);
		if (p && p->cgroup_id && p->cgroup_id != cgroup_id)
			bpf_map_delete_elem(&places, &pid);
	}
	if (target_wanted(pid) == before)
		return;
	struct plumb_generation *g = bpf_map_lookup_elem(&target_generation, &zero);
	if (g)
		plumb_publish(&g->execs);
}

static __always_inline void judge_exit(__u32 pid)
{
	bpf_map_delete_elem(&targets, &pid);
	if (filters_by_place)
		bpf_map_delete_elem(&places, &pid);
}

#endif

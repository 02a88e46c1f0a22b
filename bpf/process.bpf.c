// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Life of processes: fork, exec, exit as they happen, however short. Each goes to the engine and, to be described, to the probe. */
#include "lib/judge.bpf.h"
#include "lib/price.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* An exec must be described while its environment can be read; forks and exits can wait for the probe's next tick (BPF_RB_NO_WAKEUP). */
static __always_inline void process_tell(struct plumb_percpu *pc, __u32 level, void *record, __u32 size, __u64 wake, bool wanted)
{
	/* What is not watched is nobody's business but the probe's, which may yet choose it. */
	if (wanted)
		plumb_emit(pc, level, record, size);
	if (bpf_ringbuf_output(&process_ring, record, size, wake))
		plumb_lost(pc, PLUMB_LOSS_DESCRIBE, 1);
}

static __always_inline void process_emit(struct plumb_percpu *pc, void *record, __u32 size, bool wanted)
{
	__u32 level;

	if (!plumb_enter(pc, &level))
		return;
	process_tell(pc, level, record, size, BPF_RB_NO_WAKEUP, wanted);
	plumb_leave(pc, level);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(sched_process_fork, struct task_struct *parent, struct task_struct *child)
{
	struct plumb_percpu *pc = plumb_percpu_get();
	__u32 parent_pid = parent->tgid, pid = child->tgid;
	struct plumb_rec_fork r = {};

	if (!pc || child->pid != child->tgid)
		return 0; /* a thread */
	judge_fork(parent_pid, pid);
	plumb_header(&r.h, PLUMB_REC_FORK, sizeof(r));
	r.parent_pid = parent_pid;
	r.pid = pid;
	process_emit(pc, &r, sizeof(r), target_wanted(pid));
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(sched_process_exec, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
	struct plumb_percpu *pc = plumb_percpu_get();
	__u32 level, pid = task->tgid;

	if (!pc)
		return 0;
	const char *cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, name);
	__u64 cgroup_id = bpf_get_current_cgroup_id();
	judge_exec(task, cgroup, cgroup_id);
	if (!plumb_enter(pc, &level))
		return 0;
	struct plumb_scratch *s = plumb_scratch_get(level);
	if (!s)
		goto out;
	struct plumb_rec_exec *r = &s->exec;
	__builtin_memset(r, 0, sizeof(*r));
	plumb_header(&r->h, PLUMB_REC_EXEC, sizeof(*r));
	r->pid = pid;
	r->ppid = task->real_parent->tgid;
	r->start_ns = task->start_boottime;
	r->cgroup_id = cgroup_id;
	r->uid = (__u32)bpf_get_current_uid_gid();
	bpf_probe_read_kernel_str(r->comm, sizeof(r->comm), task->comm);
	bpf_probe_read_kernel_str(r->filename, sizeof(r->filename), bprm->filename);
	bpf_probe_read_kernel_str(r->cgroup, sizeof(r->cgroup), cgroup);
	process_tell(pc, level, r, sizeof(*r), BPF_RB_FORCE_WAKEUP, target_wanted(pid));
out:
	plumb_leave(pc, level);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(sched_process_exit, struct task_struct *task)
{
	struct plumb_percpu *pc = plumb_percpu_get();
	struct plumb_rec_exit r = {};
	struct plumb_call_price price = {};
	__u32 pid = task->tgid;

	/* The last thread ends the process: do_exit() has counted it out of signal->live before the tracepoint. */
	if (!pc || task->signal->live.counter != 0)
		return 0;
	bool wanted = target_wanted(pid);
	judge_exit(pid);
	plumb_header(&r.h, PLUMB_REC_EXIT, sizeof(r));
	r.pid = pid;
	r.code = task->exit_code;
	price_end(pid, &price);
	r.traps = price.traps;
	r.trap_ns = price.trap_ns;
	process_emit(pc, &r, sizeof(r), wanted);
	return 0;
}

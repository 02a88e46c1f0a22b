/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the rungs share that have the socket at hand when a call on it is done: which call that was, from the task's saved registers. */
#ifndef PLUMB_AT_SOCKET_BPF_H
#define PLUMB_AT_SOCKET_BPF_H

#include "lib/io.bpf.h"

#define PLUMB_PF_IO_WORKER 0x00000010 /* include/linux/sched.h */
#define PLUMB_PF_KTHREAD 0x00200000

static __always_inline int at_socket(struct sock *sk, int ret, int flags, int dir, const struct iov_iter *iter)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct plumb_syscall sc;

	if (!sock_family_known(sk->__sk_common.skc_family))
		return 0;
	/* Most calls of an event loop end with EAGAIN. All that matters of a failure is that it ends a sendmmsg or recvmmsg. */
	if (ret < 0) {
		struct plumb_sock_state *st = sock_state_get(sk);
		if (st)
			st->mmsg = 0;
		return 0;
	}
	const struct pt_regs *regs = (const struct pt_regs *)bpf_task_pt_regs(task);
	plumb_syscall_of(regs, task, &sc);
	sc.iter = iter;
	sc.turn = (__u32)task->nvcsw;
	/* A kernel thread that uses a socket has no system call; what its registers say is left over. */
	if (task->flags & PLUMB_PF_KTHREAD)
		sc.nr = -1;
	/* Work of an io_uring also runs in its own threads and on the return from any system call; the registers say nothing about it then. */
	if (bpf_core_field_exists(task->io_uring) && task->io_uring && (task->flags & PLUMB_PF_IO_WORKER || !plumb_syscall_inside(regs)))
		sc.nr = PLUMB_NR_io_uring_enter;
	return io_seen(sk, ret, flags, dir, &sc);
}

#endif

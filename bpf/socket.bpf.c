// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Socket data, first rung: the tracepoints sock_send_length and sock_recv_length (kernel 6.3, 6e6eda44b939 "sock: add tracepoint for send recv
 * length"). They fire with the socket at hand when the call is done, and cost nothing to system calls on anything else. And the life of TCP sockets, for
 * every rung.
 */
#include "lib/io.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define PLUMB_PF_IO_WORKER 0x00000010 /* include/linux/sched.h */
#define PLUMB_PF_KTHREAD 0x00200000

static __always_inline int on_length(struct sock *sk, int ret, int flags, int dir)
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
	/* A kernel thread that uses a socket has no system call; what its registers say is left over. */
	if (task->flags & PLUMB_PF_KTHREAD)
		sc.nr = -1;
	/* Work of an io_uring also runs in its own threads and on the return from any system call; the registers say nothing about it then. */
	if (bpf_core_field_exists(task->io_uring) && task->io_uring && (task->flags & PLUMB_PF_IO_WORKER || !plumb_syscall_inside(regs)))
		sc.nr = PLUMB_NR_io_uring_enter;
	return io_seen(sk, ret, flags, dir, &sc);
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(sock_send_length, struct sock *sk, int ret, int flags)
{
	return on_length(sk, ret, flags, PLUMB_EGRESS);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(sock_recv_length, struct sock *sk, int ret, int flags)
{
	return on_length(sk, ret, flags, PLUMB_INGRESS);
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(tcp_destroy_sock, struct sock *sk)
{
	return sock_gone(sk);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(inet_sock_set_state, struct sock *sk, int oldstate, int newstate)
{
	return sock_life(sk, oldstate, newstate);
}

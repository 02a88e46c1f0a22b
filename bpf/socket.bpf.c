// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Socket data, first rung: the tracepoints sock_send_length and sock_recv_length (kernel 6.3, 6e6eda44b939 "sock: add tracepoint for send recv
 * length"). They fire with the socket at hand when the call is done, and cost nothing to system calls on anything else. And the life of TCP sockets, for
 * every rung.
 */
#include "lib/io.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline int on_length(struct sock *sk, int ret, int flags, int dir)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct plumb_syscall sc;

	if (!sock_family_known(sk->__sk_common.skc_family))
		return 0;
	plumb_syscall_of((const struct pt_regs *)bpf_task_pt_regs(task), task, &sc);
	/* Work of an io_uring runs in whatever system call its task is in; the registers say nothing about it then. */
	if (task->io_uring)
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

/* TCP life. Runs in the process for connect, in a soft interrupt for what the peer causes. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(inet_sock_set_state, struct sock *sk, int oldstate, int newstate)
{
	struct plumb_percpu *pc = plumb_percpu_get();
	struct plumb_sock_state *st;

	if (!pc || sk->sk_protocol != PLUMB_IPPROTO_TCP)
		return 0;
	if (newstate == TCP_SYN_SENT) {
		__u32 tgid = (__u32)(bpf_get_current_pid_tgid() >> 32);

		st = sock_state_make(pc, sk);
		if (!st)
			return 0;
		st->role = PLUMB_ROLE_CLIENT;
		st->flags |= PLUMB_ST_FRESH;
		st->connect_ns = bpf_ktime_get_boot_ns();
		sock_wanted(sk, st, tgid);
		return 0;
	}
	if (oldstate == TCP_SYN_RECV && newstate == TCP_ESTABLISHED) {
		st = sock_state_make(pc, sk);
		if (!st)
			return 0;
		st->role = PLUMB_ROLE_SERVER;
		st->flags |= PLUMB_ST_FRESH;
		return 0;
	}
	st = bpf_sk_storage_get(&sock_states, sk, 0, 0);
	if (!st)
		return 0;
	if (oldstate == TCP_SYN_SENT && newstate == TCP_ESTABLISHED) {
		st->connect_us = (__u32)((bpf_ktime_get_boot_ns() - st->connect_ns) / 1000);
		if (st->flags & PLUMB_ST_WANTED && sock_port_wanted(sk))
			sock_emit_open(pc, sk, st);
		return 0;
	}
	if (newstate == TCP_CLOSE && st->flags & PLUMB_ST_WANTED) {
		__u32 flags = oldstate == TCP_SYN_SENT ? PLUMB_SOCK_CONNECT_FAILED : 0;
		if (flags || st->flags & PLUMB_ST_OPENED)
			sock_emit_stats(pc, sk, st, PLUMB_REC_SOCK_CLOSE, flags);
		st->flags &= ~PLUMB_ST_OPENED;
	}
	return 0;
}

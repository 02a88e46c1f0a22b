/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The life of TCP sockets: the same two tracepoints on every rung of socket data.
 *
 * Each has two programs. TCP changes state in soft interrupts too, and one may come while a program runs for another socket: the kernel then skips a program
 * that would interrupt itself on its CPU (since 5.12, 9ed9e9ba2337). The first program therefore says while it is at work; the second does for the interrupt what the
 * first cannot, and is otherwise idle. What the kernel has skipped it counts, and the loader adds to the losses: the second takes it off again.
 */
#ifndef PLUMB_LIFE_BPF_H
#define PLUMB_LIFE_BPF_H

#include "lib/sock.bpf.h"

/* NULL: another program of this CPU was interrupted at its work, and what happened now is the second's. */
static __always_inline struct plumb_percpu *life_enter(void)
{
	struct plumb_percpu *pc = plumb_percpu_get();

	if (!pc)
		return NULL;
	if (*(volatile __u32 *)&pc->at_life) {
		plumb_lost(pc, PLUMB_LOSS_NESTED, 1); /* this kernel does not skip: the second will take it off */
		return NULL;
	}
	*(volatile __u32 *)&pc->at_life = 1;
	barrier();
	return pc;
}

static __always_inline void life_leave(struct plumb_percpu *pc)
{
	barrier();
	*(volatile __u32 *)&pc->at_life = 0;
}

static __always_inline struct plumb_percpu *life_interrupts(void)
{
	struct plumb_percpu *pc = plumb_percpu_get();

	if (!pc || !*(volatile __u32 *)&pc->at_life)
		return NULL;
	plumb_lost(pc, PLUMB_LOSS_NESTED, -1);
	return pc;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(inet_sock_set_state, struct sock *sk, int oldstate, int newstate)
{
	struct plumb_percpu *pc = life_enter();

	if (!pc)
		return 0;
	sock_life(pc, sk, oldstate, newstate);
	life_leave(pc);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(set_state_interrupts, struct sock *sk, int oldstate, int newstate)
{
	struct plumb_percpu *pc = life_interrupts();

	if (pc)
		sock_life(pc, sk, oldstate, newstate);
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(tcp_destroy_sock, struct sock *sk)
{
	struct plumb_percpu *pc = life_enter();

	if (!pc)
		return 0;
	sock_gone(pc, sk);
	life_leave(pc);
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(destroy_interrupts, struct sock *sk)
{
	struct plumb_percpu *pc = life_interrupts();

	if (pc)
		sock_gone(pc, sk);
	return 0;
}

#endif

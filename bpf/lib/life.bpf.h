/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The life of TCP sockets: the same two tracepoints on every rung of socket data.
 *
 * Each has two programs. TCP changes state in soft interrupts too, and one may come while a program runs for another socket: the kernel then skips a program
 * that would interrupt itself on its CPU (raw tracepoints since 6.1, 05b24ff9b2cf). So the first program tells which event it has seen, and the second, which the
 * kernel runs right behind it, does what the first was not there for. The first tells in one of two places: between the two programs of an event a soft interrupt may bring
 * others. A place may be left taken by an event whose second program was skipped; the worst that comes of it is an event that is handled twice, which changes nothing.
 */
#ifndef PLUMB_LIFE_BPF_H
#define PLUMB_LIFE_BPF_H

#include "lib/sock.bpf.h"

#define PLUMB_LIFE_GONE 0x100 /* beside TCP's states: the socket goes */

static __always_inline void life_tell(struct plumb_percpu *pc, struct sock *sk, __u32 event)
{
	int at = pc->told[0].sk != 0;

	pc->told[at].event = event;
	barrier();
	*(volatile __u64 *)&pc->told[at].sk = sock_address(sk);
	barrier();
}

static __always_inline bool life_told(struct plumb_percpu *pc, struct sock *sk, __u32 event)
{
	__u64 address = sock_address(sk);

	if (pc->told[1].sk == address && pc->told[1].event == event) {
		pc->told[1].sk = 0;
		return true;
	}
	if (pc->told[0].sk != address || pc->told[0].event != event)
		return false;
	pc->told[0].sk = pc->told[1].sk = 0;
	return true;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(inet_sock_set_state, struct sock *sk, int oldstate, int newstate)
{
	struct plumb_percpu *pc = plumb_percpu_get();

	if (!pc)
		return 0;
	life_tell(pc, sk, (__u32)newstate);
	sock_life(pc, sk, oldstate, newstate);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(set_state_skipped, struct sock *sk, int oldstate, int newstate)
{
	struct plumb_percpu *pc = plumb_percpu_get();

	if (pc && !life_told(pc, sk, (__u32)newstate))
		sock_life(pc, sk, oldstate, newstate);
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(tcp_destroy_sock, struct sock *sk)
{
	struct plumb_percpu *pc = plumb_percpu_get();

	if (!pc)
		return 0;
	life_tell(pc, sk, PLUMB_LIFE_GONE);
	sock_gone(pc, sk);
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(destroy_skipped, struct sock *sk)
{
	struct plumb_percpu *pc = plumb_percpu_get();

	if (pc && !life_told(pc, sk, PLUMB_LIFE_GONE))
		sock_gone(pc, sk);
	return 0;
}

#endif

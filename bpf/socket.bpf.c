// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Socket data, first rung: the tracepoints sock_send_length and sock_recv_length (kernel 6.3, 6e6eda44b939 "sock: add tracepoint for send recv
 * length"). They fire with the socket at hand when the call is done, and cost nothing to system calls on anything else.
 */
#include "lib/at_socket.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tp_btf/sock_send_length")
int BPF_PROG(sock_send_length, struct sock *sk, int ret, int flags)
{
	return at_socket(sk, ret, flags, PLUMB_EGRESS, NULL);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(sock_recv_length, struct sock *sk, int ret, int flags)
{
	return at_socket(sk, ret, flags, PLUMB_INGRESS, NULL);
}

/* Behind them: what a kernel lacks for socket data is the reason that is told. */
#include "lib/life.bpf.h"

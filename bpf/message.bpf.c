// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Socket data, second rung: the return of the functions that all calls on a socket end in (fexit), for kernels without the sock_*_length tracepoints. The
 * same as the first rung sees, and the kernel's own list of buffers besides, which io_uring needs. The loader leaves out what a kernel has no function for.
 */
#define PLUMB_MSG_ITER
#define PLUMB_PREEMPTIBLE /* a task may be preempted in its trampoline */
#include "lib/at_socket.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* On some kernels the functions of SOCK_SEQPACKET call those of datagrams, on others they do not: each counts for the sockets that it is made for. */
#define SENDMSG(function, mine)                                                                                   \
	SEC("fexit/" #function)                                                                                   \
	int BPF_PROG(at_##function, struct socket *socket, struct msghdr *msg, size_t size, int ret)              \
	{                                                                                                         \
		return mine ? at_socket(socket->sk, ret, 0, PLUMB_EGRESS, &msg->msg_iter) : 0;                    \
	}

#define RECVMSG(function, mine)                                                                                   \
	SEC("fexit/" #function)                                                                                   \
	int BPF_PROG(at_##function, struct socket *socket, struct msghdr *msg, size_t size, int flags, int ret)   \
	{                                                                                                         \
		return mine ? at_socket(socket->sk, ret, flags, PLUMB_INGRESS, &msg->msg_iter) : 0;               \
	}

SENDMSG(inet_sendmsg, true)
RECVMSG(inet_recvmsg, true)
SENDMSG(inet6_sendmsg, true)
RECVMSG(inet6_recvmsg, true)
SENDMSG(unix_stream_sendmsg, true)
RECVMSG(unix_stream_recvmsg, true)
SENDMSG(unix_dgram_sendmsg, socket->type == PLUMB_SOCK_DGRAM)
RECVMSG(unix_dgram_recvmsg, socket->type == PLUMB_SOCK_DGRAM)
SENDMSG(unix_seqpacket_sendmsg, true)
RECVMSG(unix_seqpacket_recvmsg, true)

/* sendfile, splice and vmsplice before 6.5: a page each, no message. */
struct proto___before_6_5 {
	void *sendpage;
} __attribute__((preserve_access_index));

static __always_inline int at_sendpage(struct sock *sk, ssize_t ret)
{
	return at_socket(sk, (int)ret, 0, PLUMB_EGRESS, NULL);
}

SEC("fexit/inet_sendpage")
int BPF_PROG(at_inet_sendpage, struct socket *socket, struct page *page, int offset, size_t size, int flags, ssize_t ret)
{
	const struct proto___before_6_5 *proto = (const void *)socket->sk->__sk_common.skc_prot;

	/* A protocol without one has sent a message instead, which was seen. */
	return BPF_CORE_READ(proto, sendpage) ? at_sendpage(socket->sk, ret) : 0;
}

SEC("fexit/unix_stream_sendpage")
int BPF_PROG(at_unix_stream_sendpage, struct socket *socket, struct page *page, int offset, size_t size, int flags, ssize_t ret)
{
	return at_sendpage(socket->sk, ret);
}

/* Behind them: what a kernel lacks for socket data is the reason that is told. */
#include "lib/life.bpf.h"

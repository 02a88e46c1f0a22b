// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Socket data, third rung, for kernels that offer neither of the others: sys_exit alone. The arguments are still in the saved registers, so no probe on
 * the entry is needed; the socket is found through the descriptor. State is kept in a table by the socket's address, since the pointers found that way
 * cannot carry sk_storage.
 */
#define PLUMB_SOCK_BY_HASH
#include "lib/descriptor.bpf.h"
#include "lib/io.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define PLUMB_MMSG_MAX 16 /* messages of one sendmmsg or recvmmsg that are looked at; the rest is counted as truncated */
#define PLUMB_MMSG_STEP 64 /* of the 1,024 (UIO_MAXIOV) messages whose lengths are added up, to know where in the stream the first one stands */
#define PLUMB_MMSG_STEPS 16

/* Direction of a call, -1 if it moves no socket bytes; *ret_fd is the descriptor that may be a socket. */
static __always_inline int syscall_direction(const struct plumb_syscall *sc, unsigned long *ret_fd)
{
	*ret_fd = sc->arg[0];
	switch (sc->nr) {
	case PLUMB_NR_read:
	case PLUMB_NR_readv:
	case PLUMB_NR_preadv2:
	case PLUMB_NR_recvfrom:
	case PLUMB_NR_recvmsg:
	case PLUMB_NR_recvmmsg:
		return PLUMB_INGRESS;
	case PLUMB_NR_write:
	case PLUMB_NR_writev:
	case PLUMB_NR_pwritev2:
	case PLUMB_NR_sendto:
	case PLUMB_NR_sendmsg:
	case PLUMB_NR_sendmmsg:
	case PLUMB_NR_sendfile:
		return PLUMB_EGRESS;
	case PLUMB_NR_splice:
		*ret_fd = sc->arg[2];
		return PLUMB_EGRESS;
	default:
		return -1;
	}
}

static __always_inline int syscall_msg_flags(const struct plumb_syscall *sc)
{
	switch (sc->nr) {
	case PLUMB_NR_recvfrom: return (int)sc->arg[3];
	case PLUMB_NR_recvmsg: return (int)sc->arg[2];
	case PLUMB_NR_recvmmsg: return (int)sc->arg[3];
	default: return 0;
	}
}

/* The call that this CPU's program looks at: a function that the verifier walks once takes numbers only. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct plumb_syscall);
} syscall_now SEC(".maps");

__noinline int syscall_seen(__u64 sk, int ret, int msg_flags, int dir)
{
	__u32 zero = 0;
	struct plumb_syscall *sc = bpf_map_lookup_elem(&syscall_now, &zero);

	return sc ? io_seen((struct sock *)sk, ret, msg_flags, dir & 1, sc) : 0;
}

/* The kernel is given keys: what passes the socket is to be looked at. One that is not known yet will be. */
static __always_inline void syscall_keys(struct task_struct *task, unsigned long fd)
{
	struct sock *sk = descriptor_sock(task, fd);
	struct plumb_sock_state *st = sk ? sock_state_get(sk) : NULL;

	if (st)
		st->flags |= PLUMB_ST_ULP;
}

/* The length that the kernel has written behind a message. */
static __always_inline unsigned int mmsg_len(const struct plumb_syscall *sc, int i)
{
	unsigned int len = 0;

	bpf_probe_read_user(&len, sizeof(len), &((struct mmsghdr *)sc->arg[1])[i].msg_len);
	return len;
}

/* Lengths of messages `from` to at most PLUMB_MMSG_STEP further, below `count`, added up. A function that the verifier walks once. */
__noinline int mmsg_sum(__u64 array, __u32 from, __u32 count)
{
	__u32 sum = 0;

	for (__u32 i = 0; i < PLUMB_MMSG_STEP; i++) {
		unsigned int len = 0;

		if (from + i >= count || bpf_probe_read_user(&len, sizeof(len), &((struct mmsghdr *)array)[from + i].msg_len))
			break;
		sum += len;
	}
	return (int)sum;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(plumb_sys_exit, struct pt_regs *regs, long ret)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	unsigned long fd;
	__u32 zero = 0;
	struct plumb_syscall *sc = bpf_map_lookup_elem(&syscall_now, &zero);

	if (!sc)
		return 0;
	plumb_syscall_of(regs, task, sc);
	int dir = syscall_direction(sc, &fd);
	if (dir < 0) {
		if (sc->nr == PLUMB_NR_setsockopt && sc->arg[1] == KTLS_SOL_TLS)
			syscall_keys(task, fd);
		return 0;
	}
	struct sock *sk = descriptor_sock(task, fd);
	if (sk || sc->nr != PLUMB_NR_splice)
		goto found;
	sk = descriptor_sock(task, sc->arg[0]);
	dir = PLUMB_INGRESS;
found:
	if (!sk || !sock_family_known(SK(sk, __sk_common.skc_family)))
		return 0;
	sc->turn = (__u32)PLUMB_TASK(task, nvcsw);
	if (sc->nr != PLUMB_NR_sendmmsg && sc->nr != PLUMB_NR_recvmmsg)
		return syscall_seen((__u64)sk, ret > 0x7fffffff ? 0x7fffffff : (int)ret, syscall_msg_flags(sc), dir);

	for (__u32 i = 0; i < PLUMB_MMSG_STEPS && (long)(i * PLUMB_MMSG_STEP) < ret; i++)
		sc->behind += (__u32)mmsg_sum(sc->arg[1], i * PLUMB_MMSG_STEP, (__u32)ret);
	for (int i = 0; i < PLUMB_MMSG_MAX && i < ret; i++) {
		unsigned int len = mmsg_len(sc, i);
		sc->message = i;
		sc->behind -= len;
		syscall_seen((__u64)sk, (int)len, syscall_msg_flags(sc), dir);
	}
	struct plumb_percpu *pc = plumb_percpu_get();
	if (pc && ret > PLUMB_MMSG_MAX)
		plumb_lost(pc, PLUMB_LOSS_TRUNCATED, (__u64)(ret - PLUMB_MMSG_MAX));
	return 0;
}

/* Behind them: what a kernel lacks for socket data is the reason that is told. */
#include "lib/life.bpf.h"

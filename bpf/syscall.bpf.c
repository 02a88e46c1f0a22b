// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Socket data, second rung, for kernels without the sock_*_length tracepoints: sys_exit alone. The arguments are still in the saved registers, so no probe on
 * the entry is needed; the socket is found through the descriptor. State is kept in a table by the socket's address, since the pointers found that way
 * cannot carry sk_storage.
 */
#define PLUMB_SOCK_BY_HASH
#include "lib/io.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define PLUMB_MMSG_MAX 16 /* messages of one sendmmsg or recvmmsg that are looked at; the rest is counted as truncated */
#define PLUMB_S_IFMT 00170000
#define PLUMB_S_IFSOCK 0140000

static __always_inline struct sock *sock_of_fd(struct task_struct *task, unsigned long fd)
{
	struct fdtable *fdt = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(fdt, fd);
	struct file *file = NULL;

	if (fd >= BPF_CORE_READ(fdt, max_fds))
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & PLUMB_S_IFMT) != PLUMB_S_IFSOCK)
		return NULL;
	struct socket *socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
}

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

SEC("tp_btf/sys_exit")
int BPF_PROG(plumb_sys_exit, struct pt_regs *regs, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct plumb_syscall sc;
	unsigned long fd;

	plumb_syscall_of(regs, task, &sc);
	int dir = syscall_direction(&sc, &fd);
	if (dir < 0)
		return 0;
	struct sock *sk = sock_of_fd(task, fd);
	if (sk || sc.nr != PLUMB_NR_splice)
		goto found;
	sk = sock_of_fd(task, sc.arg[0]);
	dir = PLUMB_INGRESS;
found:
	if (!sk || !sock_family_known(SK(sk, __sk_common.skc_family)))
		return 0;
	if (sc.nr != PLUMB_NR_sendmmsg && sc.nr != PLUMB_NR_recvmmsg)
		return io_seen(sk, ret > 0x7fffffff ? 0x7fffffff : (int)ret, syscall_msg_flags(&sc), dir, &sc);

	/* Each message's length has been written behind it. */
	for (long i = 0; i < PLUMB_MMSG_MAX && i < ret; i++) {
		unsigned int len = 0;
		bpf_probe_read_user(&len, sizeof(len), &((struct mmsghdr *)sc.arg[1])[i].msg_len);
		io_seen(sk, (int)len, syscall_msg_flags(&sc), dir, &sc);
	}
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(plumb_destroy_sock_hash, struct sock *sk)
{
	return sock_gone(sk);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(plumb_set_state_hash, struct sock *sk, int oldstate, int newstate)
{
	return sock_life(sk, oldstate, newstate);
}

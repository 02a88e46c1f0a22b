/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The system call that the current task is in: number and arguments from its saved registers, without a probe on its entry. */
#ifndef PLUMB_REGS_BPF_H
#define PLUMB_REGS_BPF_H

#include "lib/core.bpf.h"

/* bpf_get_current_task_btf() came with kernel 5.11: programs for older ones hold a plain pointer and read with checks. */
#ifndef PLUMB_SOCK_BY_HASH
#define PLUMB_TASK(task, field) ((task)->field)
#else
#define PLUMB_TASK(task, field) BPF_CORE_READ(task, field)
#endif

struct plumb_syscall {
	long nr; /* -1 = unknown or 32-bit */
	unsigned long arg[6];
	/* sendmmsg, recvmmsg, by a program that sees the whole call: which message, and how many bytes the call moved behind it. */
	int message; /* -1 unknown */
	__u32 behind;
	const struct iov_iter *iter; /* the kernel's list of buffers, where a program has it (PLUMB_MSG_ITER); it has moved on behind the bytes */
	__u32 turn; /* how often the task has slept */
};

#if defined(__TARGET_ARCH_x86)

#define PLUMB_NR_read 0
#define PLUMB_NR_write 1
#define PLUMB_NR_readv 19
#define PLUMB_NR_writev 20
#define PLUMB_NR_sendfile 40
#define PLUMB_NR_sendto 44
#define PLUMB_NR_recvfrom 45
#define PLUMB_NR_sendmsg 46
#define PLUMB_NR_recvmsg 47
#define PLUMB_NR_setsockopt 54
#define PLUMB_NR_splice 275
#define PLUMB_NR_recvmmsg 299
#define PLUMB_NR_sendmmsg 307
#define PLUMB_NR_preadv2 327
#define PLUMB_NR_pwritev2 328
#define PLUMB_NR_io_uring_enter 426
#define PLUMB_TS_COMPAT 2 /* arch/x86/include/asm/thread_info.h: the task is in a 32-bit system call */

static __always_inline void plumb_syscall_of(const struct pt_regs *regs, struct task_struct *task, struct plumb_syscall *ret)
{
	ret->message = -1;
	ret->behind = 0;
	ret->nr = (long)regs->orig_ax;
	ret->arg[0] = regs->di;
	ret->arg[1] = regs->si;
	ret->arg[2] = regs->dx;
	ret->arg[3] = regs->r10;
	ret->arg[4] = regs->r8;
	ret->arg[5] = regs->r9;
	if (PLUMB_TASK(task, thread_info.status) & PLUMB_TS_COMPAT)
		ret->nr = -1;
}

/* Is the call still going on? Its result's register holds -ENOSYS until it is over; work put off to the return to user space finds a result there. */
static __always_inline bool plumb_syscall_inside(const struct pt_regs *regs)
{
	return (long)regs->ax == -38;
}

#elif defined(__TARGET_ARCH_arm64)

#define PLUMB_NR_read 63
#define PLUMB_NR_write 64
#define PLUMB_NR_readv 65
#define PLUMB_NR_writev 66
#define PLUMB_NR_sendfile 71
#define PLUMB_NR_splice 76
#define PLUMB_NR_sendto 206
#define PLUMB_NR_recvfrom 207
#define PLUMB_NR_setsockopt 208
#define PLUMB_NR_sendmsg 211
#define PLUMB_NR_recvmsg 212
#define PLUMB_NR_recvmmsg 243
#define PLUMB_NR_sendmmsg 269
#define PLUMB_NR_preadv2 286
#define PLUMB_NR_pwritev2 287
#define PLUMB_NR_io_uring_enter 426
#define PLUMB_PSR_MODE32_BIT 0x10 /* arch/arm64/include/uapi/asm/ptrace.h: the program is a 32-bit one */

static __always_inline void plumb_syscall_of(const struct pt_regs *regs, struct task_struct *task, struct plumb_syscall *ret)
{
	ret->message = -1;
	ret->behind = 0;
	ret->nr = regs->syscallno;
	ret->arg[0] = regs->orig_x0;
	ret->arg[1] = regs->regs[1];
	ret->arg[2] = regs->regs[2];
	ret->arg[3] = regs->regs[3];
	ret->arg[4] = regs->regs[4];
	ret->arg[5] = regs->regs[5];
	if (regs->pstate & PLUMB_PSR_MODE32_BIT)
		ret->nr = -1;
}

/*
 * The same by the register of the first argument, which takes the result. A result that equals the argument looks like a call that goes on: of the calls that move
 * bytes it is one of as many bytes as the number of its descriptor.
 */
static __always_inline bool plumb_syscall_inside(const struct pt_regs *regs)
{
	if (regs->regs[0] != regs->orig_x0)
		return false;
	switch (regs->syscallno) {
	case PLUMB_NR_read:
	case PLUMB_NR_write:
	case PLUMB_NR_readv:
	case PLUMB_NR_writev:
	case PLUMB_NR_preadv2:
	case PLUMB_NR_pwritev2:
	case PLUMB_NR_recvfrom:
	case PLUMB_NR_sendto:
	case PLUMB_NR_recvmsg:
	case PLUMB_NR_sendmsg:
	case PLUMB_NR_recvmmsg:
	case PLUMB_NR_sendmmsg:
	case PLUMB_NR_sendfile:
	case PLUMB_NR_splice:
		return true;
	default:
		return false;
	}
}

#else
#error "no register layout for this architecture: add it here"
#endif

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest io_uring there is: one request at a time through the raw system calls, made once a thread. */
#ifndef PATHS_URING_H
#define PATHS_URING_H

#include <errno.h>
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { URING_ENTRIES = 8 };

struct uring {
	int fd;
	struct io_uring_params p;
	uint8_t *sq, *cq;
	struct io_uring_sqe *sqes;
};

/* Negative errno where the kernel or a policy refuses io_uring. */
static inline int uring_init(struct uring *u)
{
	memset(u, 0, sizeof(*u));
	u->fd = (int)syscall(SYS_io_uring_setup, URING_ENTRIES, &u->p);
	if (u->fd < 0)
		return -errno;
	size_t sq_len = u->p.sq_off.array + u->p.sq_entries * sizeof(uint32_t);
	size_t cq_len = u->p.cq_off.cqes + u->p.cq_entries * sizeof(struct io_uring_cqe);
	u->sq = mmap(NULL, sq_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, u->fd, (off_t)IORING_OFF_SQ_RING);
	u->cq = mmap(NULL, cq_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, u->fd, (off_t)IORING_OFF_CQ_RING);
	u->sqes = mmap(NULL, u->p.sq_entries * sizeof(*u->sqes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, u->fd, (off_t)IORING_OFF_SQES);
	if (u->sq == MAP_FAILED || u->cq == MAP_FAILED || (void *)u->sqes == MAP_FAILED)
		return -ENOMEM;
	return 0;
}

/* Submits one request and waits for it. Returns what the request returned. */
static inline ssize_t uring_do(struct uring *u, const struct io_uring_sqe *sqe)
{
	_Atomic uint32_t *sq_tail = (_Atomic uint32_t *)(void *)(u->sq + u->p.sq_off.tail);
	_Atomic uint32_t *cq_head = (_Atomic uint32_t *)(void *)(u->cq + u->p.cq_off.head);
	_Atomic uint32_t *cq_tail = (_Atomic uint32_t *)(void *)(u->cq + u->p.cq_off.tail);
	uint32_t *array = (uint32_t *)(void *)(u->sq + u->p.sq_off.array);
	uint32_t tail = *sq_tail, at = tail & (u->p.sq_entries - 1);

	u->sqes[at] = *sqe;
	array[at] = at;
	*sq_tail = tail + 1;
	if (syscall(SYS_io_uring_enter, u->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	uint32_t head = *cq_head;
	while (head == *cq_tail)
		if (syscall(SYS_io_uring_enter, u->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0 && errno != EINTR)
			return -errno;
	const struct io_uring_cqe *cqes = (const struct io_uring_cqe *)(void *)(u->cq + u->p.cq_off.cqes);
	ssize_t res = cqes[head & (u->p.cq_entries - 1)].res;
	*cq_head = head + 1;
	return res;
}

/* One operation on a ring that lives for the process. */
static inline ssize_t uring_op(int opcode, int fd, const void *addr, uint32_t len, int flags)
{
	static struct uring u = { .fd = -1 };
	static pid_t owner;
	struct io_uring_sqe sqe = { .opcode = (uint8_t)opcode, .fd = fd, .addr = (uint64_t)(uintptr_t)addr, .len = len };

	if (owner != getpid()) {
		int err = uring_init(&u);
		if (err)
			return err;
		owner = getpid();
	}
	if (opcode == IORING_OP_SEND || opcode == IORING_OP_RECV || opcode == IORING_OP_SENDMSG || opcode == IORING_OP_RECVMSG)
		sqe.msg_flags = (uint32_t)flags;
	else
		sqe.off = (uint64_t)-1;
	return uring_do(&u, &sqe);
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a process' descriptor stands for. */
#ifndef PLUMB_DESCRIPTOR_BPF_H
#define PLUMB_DESCRIPTOR_BPF_H

#include "lib/core.bpf.h"

#define PLUMB_S_IFMT 00170000
#define PLUMB_S_IFSOCK 0140000

/* NULL: it is no socket. */
static __always_inline struct sock *descriptor_sock(struct task_struct *task, unsigned long fd)
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

#endif

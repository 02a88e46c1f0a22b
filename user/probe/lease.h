/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases of files (fcntl(2), F_SETLEASE): whoever opens a file for writing, or truncates it, waits until its lease is given back, which it is when the last descriptor of that opening is closed, in
 * children too. The kernel waits as long as /proc/sys/fs/lease-break-time says, 45 s, and is told by SIGIO that somebody waits. On files of other users it takes CAP_LEASE.
 */
#ifndef PLUMB_PROBE_LEASE_H
#define PLUMB_PROBE_LEASE_H

#include <stdbool.h>

/* A descriptor that is readable when somebody waits: lease_read(). SIGIO is blocked from here on. -errno. */
int lease_signals(void);
void lease_read(int signals);

/* fd was opened for reading. -EAGAIN: somebody has the file open for writing; any other: there is no lease to be had, on this file system or by this process. */
int lease_take(int fd);
/* Of a lease that another process has taken by the same opening, and that lives no more: whoever waits is told to this one from here on. -ESTALE: somebody waits already. */
int lease_take_over(int fd);
/* false: somebody waits for it, or the kernel has taken it away. */
bool lease_is_held(int fd);

#endif

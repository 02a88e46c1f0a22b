/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

int lease_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Which file it was about is not asked: signals of one number become one. */
void lease_read(int signals)
{
	struct signalfd_siginfo si;

	while (read(signals, &si, sizeof(si)) == (ssize_t)sizeof(si))
		;
}

int lease_take(int fd) { return fcntl(fd, F_SETLEASE, F_RDLCK) ? -errno : 0; }

bool lease_is_held(int fd) { return fcntl(fd, F_GETLEASE) == F_RDLCK; }

int lease_take_over(int fd)
{
	if (fcntl(fd, F_SETOWN, getpid()))
		return -errno;
	return lease_is_held(fd) ? 0 : -ESTALE;
}

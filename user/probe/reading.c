/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/reading.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/descriptors.h"
#include "lib/log.h"
#include "lib/printable.h"
#include "probe/lease.h"
#include "probe/mapped.h"
#include "probe/sandbox.h"

#include "../../bpf/abi/gpu.h"
#include "../../bpf/abi/sites.h"

/* A network's file system may take its time. */
static const uint64_t limit_ns = 10000000000ull;
enum { MEMORY_MAX = 256 * 1024 * 1024 }; /* elf.h takes some 100 MiB at most */

/* What was found, by whoever may have been had to say anything. */
struct answer {
	int32_t err;
	uint64_t took_ns;
	struct known_functions functions;
};

/* --- the child --- */

static bool say(int link, const void *what, size_t len, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec part = { .iov_base = (void *)what, .iov_len = len };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd >= 0) {
		m.msg_control = control;
		m.msg_controllen = sizeof(control);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	return sendmsg(link, &m, MSG_NOSIGNAL) == (ssize_t)len;
}

/* Layers of file systems have several numbers for one file: the kernel tells of this mapping what it would tell of anybody's. */
static void show_mapping(int fd)
{
	long page = sysconf(_SC_PAGESIZE);
	void *p = mmap(NULL, (size_t)page, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	if (p != MAP_FAILED)
		munmap(p, (size_t)page);
}

/* What it has, as a copy of the probe, and so much more. */
static void limit_memory(void)
{
	char text[32] = "";
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0) {
		rlim_t most = (rlim_t)strtoull(text, NULL, 10) * (rlim_t)sysconf(_SC_PAGESIZE) + MEMORY_MAX;
		setrlimit(RLIMIT_AS, &(struct rlimit){ most, most });
	}
	if (fd >= 0)
		close(fd);
}

static int given = -1;
static volatile sig_atomic_t awaited;

/* Somebody waits to write to it (SIGIO): its lease goes with it. */
static void on_awaited(int signal)
{
	(void)signal;
	awaited = 1;
	close(given);
}

static _Noreturn void child(int link, const struct mapping *m)
{
	const struct sigaction waits = { .sa_handler = on_awaited };
	struct reading_file file = { 0 };
	const struct rlimit cpu = { READING_CPU_MAX_S, READING_CPU_MAX_S };
	struct stat st;
	unsigned kinds;

	int fd = mapped_open(m);
	if (fd >= 0 && fstat(fd, &st))
		fd = -errno; /* it goes with this process */
	if (fd >= 0) {
		given = fd;
		sigaction(SIGIO, &waits, NULL);
		file = (struct reading_file){ .major = major(st.st_dev), .minor = minor(st.st_dev), .inode = st.st_ino, .size = st.st_size, .changed = st.st_ctim, .lease = lease_take(fd) };
		show_mapping(fd);
	} else {
		file.err = fd;
	}
	setrlimit(RLIMIT_CPU, &cpu);
	limit_memory();
	int err = sandbox_enter_reader();
	if (err)
		file.err = err;
	if (!say(link, &file, sizeof(file), -1) || file.err || recv(link, &kinds, sizeof(kinds), 0) != sizeof(kinds))
		_exit(0);
	struct answer *a = calloc(1, sizeof(*a));
	if (!a)
		_exit(1);
	a->err = known_find(fd, kinds, &a->functions);
	a->took_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	if (!awaited && say(link, a, sizeof(*a), a->functions.n ? fd : -1))
		_exit(0);
	/* The file may just have been closed, too. */
	a->err = -ESTALE;
	a->functions.n = 0;
	_exit(say(link, a, sizeof(*a), -1) ? 0 : 1);
}

int reading_begin(struct reading *r, const struct mapping *m)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	pid_t pid = fork();
	if (pid < 0) {
		int err = -errno;
		close(pair[0]);
		close(pair[1]);
		return err;
	}
	if (pid == 0) {
		sigset_t but_leases;
		int keep[] = { pair[1] };
		descriptors_close_others(0, keep, 1);
		sigfillset(&but_leases); /* what a terminal tells everybody the probe decides */
		sigdelset(&but_leases, SIGIO);
		sigprocmask(SIG_SETMASK, &but_leases, NULL);
		child(pair[1], m);
	}
	close(pair[1]);
	*r = (struct reading){ .child = pid, .handle = (int)syscall(SYS_pidfd_open, pid, 0), .link = pair[0], .fd = -1, .late_ns = clock_ns(CLOCK_MONOTONIC) + limit_ns };
	return 0;
}

/* --- the probe --- */

void reading_go_on(struct reading *r, unsigned kinds)
{
	(void)send(r->link, &kinds, sizeof(kinds), MSG_DONTWAIT | MSG_NOSIGNAL); /* to nobody if it has ended, which will be heard */
}

uint64_t reading_spent_ns(const struct reading *r)
{
	clockid_t clock;

	return clock_getcpuclockid(r->child, &clock) ? 0 : clock_ns(clock);
}

void reading_end(struct reading *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	if (!r->ending && (r->handle < 0 ? kill(r->child, SIGKILL) : syscall(SYS_pidfd_send_signal, r->handle, SIGKILL, NULL, 0)) && errno != ESRCH)
		log_warn("process %d, which has read a file, cannot be ended: %s", r->child, strerror(errno));
	r->ending = true;
}

void reading_close(struct reading *r)
{
	close(r->link);
	if (r->handle >= 0)
		close(r->handle);
}

bool reading_is_of(struct reading *r, const struct mapping *m)
{
	if ((uint32_t)r->child != m->pid)
		return false;
	r->as_mapped = *m;
	r->as_mapped.path = NULL;
	return true;
}

/* A bool of somebody else's may be anything. */
static void make_bool(bool *b)
{
	uint8_t byte;

	memcpy(&byte, b, sizeof(byte));
	*b = byte != 0;
}

/* It has read what is anybody's, and says what it was had to say. */
static bool makes_sense(struct known_functions *k, int64_t size)
{
	char names[sizeof(k->names)];

	k->names[sizeof(k->names) - 1] = 0;
	memcpy(names, k->names, sizeof(names));
	printable_copy(k->names, sizeof(k->names), names);
	make_bool(&k->by_code);
	make_bool(&k->guessed);
	if (k->n > KNOWN_PLACES_MAX || (k->listeners && k->listeners >= (uint64_t)size))
		return false;
	for (size_t i = 0; i < k->n; i++) {
		struct known_place *p = &k->places[i];
		make_bool(&p->entry);
		make_bool(&p->returns);
		make_bool(&p->long_trap);
		make_bool(&p->often);
		make_bool(&p->guessed);
		if (p->site <= PLUMB_SITE_NONE || p->site >= PLUMB_SITES || p->call >= PLUMB_GPU_CALLS || p->offset >= (uint64_t)size)
			return false;
	}
	return true;
}

/* What came with it: the first is the file's, or -1; it has no more to give. */
static int descriptor_of(struct msghdr *m)
{
	int first = -1, fd;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		for (size_t at = CMSG_LEN(0); c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && at + sizeof(fd) <= c->cmsg_len; at += sizeof(fd)) {
			memcpy(&fd, (uint8_t *)c + at, sizeof(fd));
			if (first < 0)
				first = fd;
			else
				close(fd);
		}
	return first;
}

static ssize_t hear(struct reading *r, void *to, size_t len, int *ret_fd)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec part = { .iov_base = to, .iov_len = len };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct pollfd ended = { .fd = r->link };
	ssize_t n = recvmsg(r->link, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*ret_fd = n < 0 ? -1 : descriptor_of(&m);
	if (n == 0 && poll(&ended, 1, 0) == 1 && ended.revents & POLLHUP)
		return -EPIPE;
	return n < 0 ? -errno : n;
}

enum reading_step reading_hear(struct reading *r, uint64_t now_ns, struct known_functions *ret_functions)
{
	struct answer a;
	int fd;
	ssize_t n = hear(r, &a, sizeof(a), &fd);
	bool opens = !r->ending && !r->opened && n == (ssize_t)sizeof(r->file); /* what it says first, it says as the probe's own */
	bool done = !r->ending && r->opened && n == (ssize_t)sizeof(a);

	if (fd >= 0 && !done) /* whose it never was to give */
		close(fd);
	if (n < 0 && n != -EAGAIN && n != -EINTR) {
		r->ending = true; /* its number may be another one's by now */
		return READING_GONE;
	}
	if (opens) {
		r->opened = true;
		memcpy(&r->file, &a, sizeof(r->file));
		return READING_OPENED;
	}
	if (done) {
		*ret_functions = a.functions;
		r->err = a.err > 0 ? -EINVAL : makes_sense(ret_functions, r->file.size) ? a.err : -EINVAL;
		r->fd = fd;
		if (!r->err && ret_functions->n)
			r->err = fd < 0 ? -EMFILE : r->file.lease == 0 ? lease_take_over(fd) : 0;
		if (r->err)
			ret_functions->n = 0;
		r->took_ns = a.took_ns;
		return READING_DONE;
	}
	if (!r->ending && (n >= 0 || now_ns > r->late_ns)) {
		reading_end(r);
		return READING_LATE;
	}
	return READING_NOTHING;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/jvm.h"

#include <cap-ng.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/descriptors.h"
#include "model/jsse.h"

enum { GROUPS_MAX = 256, ANSWER_MAX = 4096, PERF_MAX = 256 * 1024, LOOK_MS = 10, FOLDER_MAX = 40 };

/* Whom the process is run by, and what it is called where it runs. */
struct identity {
	uid_t uid;
	gid_t gid;
	gid_t groups[GROUPS_MAX];
	size_t ngroups;
	uint32_t pid; /* in its own namespace */
};

struct attempt {
	const struct jvm_process *p;
	struct identity who;
	int library, end;
	const char *path;
	int root, tmp;
	uint64_t until_ns;
	bool triggered;            /* .attach_pidN is ours, and has to go again */
	char folder[FOLDER_MAX];   /* in /tmp, with a copy of the library; "": none */
};

/* --- what the child tells; it ends with it --- */

static void clean(struct attempt *a);

static _Noreturn void tell(struct attempt *a, enum jvm_outcome outcome, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void tell(struct attempt *a, enum jvm_outcome outcome, const char *format, ...)
{
	struct jvm_told told = { .outcome = outcome };
	va_list args;

	va_start(args, format);
	vsnprintf(told.why, sizeof(told.why), format, args);
	va_end(args);
	for (char *c = told.why; *c; c++)
		*c = isprint((unsigned char)*c) ? *c : ' ';
	clean(a);
	(void)!write(a->end, &told, sizeof(told));
	_exit(0);
}

static bool is_late(const struct attempt *a) { return clock_ns(CLOCK_MONOTONIC) > a->until_ns; }

static _Noreturn void tell_late(struct attempt *a) { tell(a, JVM_REFUSED, "it did not answer within %d s", JVM_LIMIT_S); }

/* --- its rights --- */

static const char *field_of(const char *status, const char *name)
{
	const char *at = strstr(status, name);

	return at ? at + strlen(name) : NULL;
}

/* The number-th of the numbers there; the last one, if there are fewer. */
static bool number_of(const char *at, unsigned number, unsigned long *ret)
{
	bool any = false;

	for (unsigned i = 0; at && i <= number; i++) {
		char *end;
		unsigned long n = strtoul(at, &end, 10);
		if (end == at || memchr(at, '\n', (size_t)(end - at)))
			break;
		*ret = n;
		any = true;
		at = end;
	}
	return any;
}

static bool read_identity(const struct jvm_process *p, struct identity *ret)
{
	char status[8192];
	unsigned long uid, gid, pid, group;
	int fd = openat(p->proc, "status", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, status, sizeof(status) - 1) : -1;

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return false;
	status[n] = 0;
	if (!number_of(field_of(status, "\nUid:"), 1, &uid) || !number_of(field_of(status, "\nGid:"), 1, &gid) || !number_of(field_of(status, "\nNSpid:"), 32, &pid))
		return false;
	*ret = (struct identity){ .uid = (uid_t)uid, .gid = (gid_t)gid, .pid = (uint32_t)pid };
	const char *at = field_of(status, "\nGroups:");
	while (at && ret->ngroups < GROUPS_MAX && number_of(at, 0, &group)) {
		ret->groups[ret->ngroups++] = (gid_t)group;
		at += strspn(at, " \t");
		at += strcspn(at, " \t\n");
	}
	return true;
}

/* For good. */
static bool become(const struct identity *who)
{
	bool other = geteuid() != who->uid || getegid() != who->gid || getuid() == 0;

	if (other && (setgroups(who->ngroups, who->groups) || setresgid(who->gid, who->gid, who->gid) || setresuid(who->uid, who->uid, who->uid)))
		return false;
	capng_clear(CAPNG_SELECT_BOTH);
	return capng_apply(CAPNG_SELECT_CAPS) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

/* --- its files --- */

static int open_in(int root, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | resolve };

	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

static void clean(struct attempt *a)
{
	char name[FOLDER_MAX + sizeof(JSSE_AGENT) + 1];

	if (a->triggered) {
		snprintf(name, sizeof(name), ".attach_pid%u", a->who.pid);
		unlinkat(a->tmp, name, 0);
	}
	if (a->folder[0]) {
		snprintf(name, sizeof(name), "%s/" JSSE_AGENT, a->folder);
		unlinkat(a->tmp, name, 0);
		unlinkat(a->tmp, a->folder, AT_REMOVEDIR);
	}
	a->triggered = false;
	a->folder[0] = 0;
}

static bool copy_file(int from, int to)
{
	char buf[16384];
	off_t at = 0;

	for (ssize_t n; (n = pread(from, buf, sizeof(buf), at)) != 0; at += n)
		if (n < 0 || write(to, buf, (size_t)n) != n)
			return false;
	return true;
}

/* Is the file that lies there for the process the one that we have? Then there is no need for another. */
static bool sees_library(const struct attempt *a)
{
	struct stat ours, its;
	int fd = open_in(a->root, a->path, O_RDONLY | O_NONBLOCK, 0);
	bool same = fd >= 0 && fstat(fd, &its) == 0 && fstat(a->library, &ours) == 0 && its.st_dev == ours.st_dev && its.st_ino == ours.st_ino;

	if (fd >= 0)
		close(fd);
	return same;
}

/* A copy, in a folder that is nobody else's. */
static void copy_library(struct attempt *a, char *ret_path, size_t len)
{
	uint64_t random = 0;

	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		random = clock_ns(CLOCK_MONOTONIC);
	char name[FOLDER_MAX];
	snprintf(name, sizeof(name), ".plumb-%016llx", (unsigned long long)random);
	if (mkdirat(a->tmp, name, 0700))
		tell(a, JVM_REFUSED, "no folder can be made in its /tmp: %s", strerror(errno));
	memcpy(a->folder, name, sizeof(name));
	int folder = openat(a->tmp, a->folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int fd = folder >= 0 ? openat(folder, JSSE_AGENT, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0500) : -1;
	if (fd < 0 || !copy_file(a->library, fd) || close(fd))
		tell(a, JVM_REFUSED, "the agent cannot be copied to its /tmp: %s", strerror(errno));
	close(folder);
	snprintf(ret_path, len, "/tmp/%s/" JSSE_AGENT, a->folder);
}

/* --- may it be asked? --- */

/* What the process has written of itself where it counts what it does: does it take commands? '0' it does not, '1' it does, '?' it is starting. */
static char said_capable(const uint8_t *perf, size_t len)
{
	static const char name[] = "sun.rt.jvmCapabilities";
	enum { ACCESSIBLE_AT = 7, NAME_AT = 20, DATA_OFFSET_AT = 16 }; /* src/hotspot/share/runtime/perfMemory.hpp, PerfDataPrologue, PerfDataEntry */
	const uint8_t *at = memmem(perf, len, name, sizeof(name));
	uint32_t data;

	if (!at || at - perf < NAME_AT || !perf[ACCESSIBLE_AT])
		return '?';
	memcpy(&data, at - NAME_AT + DATA_OFFSET_AT, sizeof(data));
	size_t entry = (size_t)(at - perf) - NAME_AT;
	return data < len - entry ? (char)perf[entry + data] : '?';
}

/* 0: it writes nothing of that kind. */
static char capable(struct attempt *a)
{
	char name[64], answer = 0;
	struct dirent *e;
	int fd = openat(a->tmp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *tmp = fd >= 0 ? fdopendir(fd) : NULL;
	uint8_t *perf = malloc(PERF_MAX);

	while (tmp && perf && !answer && !is_late(a) && (e = readdir(tmp))) {
		struct stat st;
		if (strncmp(e->d_name, "hsperfdata_", 11) != 0)
			continue;
		int folder = openat(a->tmp, e->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		snprintf(name, sizeof(name), "%u", a->who.pid);
		int file = folder >= 0 ? openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
		ssize_t n = file >= 0 && fstat(file, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == a->who.uid ? read(file, perf, PERF_MAX) : -1;
		if (n > 0)
			answer = said_capable(perf, (size_t)n);
		if (file >= 0)
			close(file);
		if (folder >= 0)
			close(folder);
	}
	free(perf);
	if (tmp)
		closedir(tmp);
	return answer;
}

/* SIGQUIT would have it print its threads. The process's own files: read before its rights are taken on. */
static bool forbids(const struct jvm_process *p)
{
	static const char *const files[] = { "cmdline", "environ" };
	static const char option[] = "-XX:+DisableAttachMechanism";
	bool found = false;
	char *text = malloc(PERF_MAX);

	for (size_t i = 0; text && i < 2 && !found; i++) {
		int fd = openat(p->proc, files[i], O_RDONLY | O_CLOEXEC);
		size_t len = 0;
		for (ssize_t n; fd >= 0 && len < PERF_MAX && (n = read(fd, text + len, PERF_MAX - len)) > 0;)
			len += (size_t)n;
		if (fd >= 0)
			close(fd);
		found = memmem(text, len, option, sizeof(option) - 1) != NULL;
	}
	free(text);
	return found;
}

/* --- its socket --- */

/* As it is named: a link is none. */
static int open_socket(const struct attempt *a)
{
	char name[32];
	struct stat st;

	snprintf(name, sizeof(name), ".java_pid%u", a->who.pid);
	int fd = openat(a->tmp, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && (fstat(fd, &st) || !S_ISSOCK(st.st_mode) || st.st_uid != a->who.uid)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int connect_to(struct attempt *a, int place)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = JVM_LIMIT_S };
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "/proc/self/fd/%d", place);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) || connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) || (uint32_t)peer.pid != a->p->pid)
		tell(a, JVM_REFUSED, "another process listens at its socket");
	return fd;
}

static void trigger(struct attempt *a)
{
	char name[32];

	snprintf(name, sizeof(name), ".attach_pid%u", a->who.pid);
	int fd = openat(a->tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 && errno != EEXIST)
		tell(a, JVM_REFUSED, "no file can be made in its /tmp: %s", strerror(errno));
	a->triggered = fd >= 0;
	if (fd >= 0)
		close(fd);
	if (syscall(SYS_pidfd_send_signal, a->p->pidfd, SIGQUIT, NULL, 0))
		tell(a, JVM_REFUSED, "it cannot be told to listen: %s", strerror(errno));
}

/* What was left by a process of the same number refuses; then it has to be told, too. */
static int reach(struct attempt *a)
{
	int place = open_socket(a), fd = place >= 0 ? connect_to(a, place) : -1;

	if (place >= 0)
		close(place);
	if (fd >= 0)
		return fd;
	switch (capable(a)) {
	case '0': tell(a, JVM_REFUSED, "it was started with -XX:+DisableAttachMechanism");
	case '?': tell(a, JVM_NOT_YET, "it is starting");
	default: break;
	}
	trigger(a);
	while (fd < 0) {
		if (is_late(a))
			tell_late(a);
		poll(NULL, 0, LOOK_MS);
		place = open_socket(a);
		fd = place >= 0 ? connect_to(a, place) : -1;
		if (place >= 0)
			close(place);
	}
	return fd;
}

/* --- the command --- */

/* Protocol 1: words, each with a NUL: load, what, by an absolute name or not, options. */
static void ask(struct attempt *a, int fd, const char *path)
{
	char command[512];
	int n = snprintf(command, sizeof(command), "1%cload%c%s%ctrue%c%c", 0, 0, path, 0, 0, 0);

	if (n < 0 || (size_t)n >= sizeof(command) || send(fd, command, (size_t)n, MSG_NOSIGNAL) != n)
		tell(a, JVM_REFUSED, "it does not take the command");
}

static void hear(struct attempt *a, int fd, char *ret_answer)
{
	size_t len = 0;

	while (len < ANSWER_MAX - 1) {
		struct pollfd ready = { .fd = fd, .events = POLLIN };
		uint64_t now = clock_ns(CLOCK_MONOTONIC);
		if (now >= a->until_ns || poll(&ready, 1, (int)((a->until_ns - now) / 1000000) + 1) <= 0)
			tell_late(a);
		ssize_t n = recv(fd, ret_answer + len, ANSWER_MAX - 1 - len, 0);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	ret_answer[len] = 0;
}

/* "0\nreturn code: 0\n", before Java 9 "0\n0\n"; else what went wrong. */
static _Noreturn void judge(struct attempt *a, const char *answer)
{
	static const char *const reasons[JSSE_ANSWERS - JSSE_ALREADY] = {
		[JSSE_NO_JVMTI - JSSE_ALREADY] = "the JVM has no JVM TI that allows it",
		[JSSE_NO_HOOKS - JSSE_ALREADY] = "the JVM does not take the agent's functions",
		[JSSE_OTHER - JSSE_ALREADY] = "its JSSE is not of a form that the agent knows",
		[JSSE_NO_TRANSFORMATION - JSSE_ALREADY] = "the JVM does not take the changed classes",
	};
	char *end;
	long status = strtol(answer, &end, 10);
	const char *text = end != answer && *end == '\n' ? end + 1 : "", *code = strncmp(text, "return code: ", 13) == 0 ? text + 13 : text;
	long result = strtol(code, &end, 10);

	if (status != 0 || end == code)
		tell(a, JVM_REFUSED, "the JVM said: %.120s", *text ? text : answer);
	if (result == JSSE_NOT_YET)
		tell(a, JVM_NOT_YET, "it is starting");
	if (result == JSSE_ALREADY)
		tell(a, JVM_HAD_IT, "it has the agent");
	if (result > JSSE_ALREADY && result < JSSE_ANSWERS)
		tell(a, JVM_REFUSED, "%s", reasons[result - JSSE_ALREADY]);
	if (result != JSSE_READY)
		tell(a, JVM_REFUSED, "the agent returned %ld", result);
	tell(a, JVM_LOADED, "loaded");
}

static _Noreturn void attempt(struct attempt *a)
{
	char path[512], answer[ANSWER_MAX];

	if (forbids(a->p))
		tell(a, JVM_REFUSED, "it was started with -XX:+DisableAttachMechanism");
	if (!read_identity(a->p, &a->who))
		tell(a, JVM_REFUSED, "it is gone, or may not be looked at");
	a->root = openat(a->p->proc, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (a->root < 0)
		tell(a, JVM_REFUSED, "its root directory may not be looked at: %s", strerror(errno));
	if (!become(&a->who))
		tell(a, JVM_REFUSED, "the rights of its user cannot be taken on: %s", strerror(errno));
	umask(077);
	a->tmp = open_in(a->root, "/tmp", O_PATH | O_DIRECTORY, 0);
	if (a->tmp < 0)
		tell(a, JVM_REFUSED, "it has no /tmp: %s", strerror(errno));
	int fd = reach(a);
	if (sees_library(a))
		snprintf(path, sizeof(path), "%s", a->path);
	else
		copy_library(a, path, sizeof(path));
	ask(a, fd, path);
	hear(a, fd, answer);
	judge(a, answer);
}

int jvm_load(const struct jvm_process *p, int library, const char *path, pid_t *ret_child, int *ret_fd)
{
	int end[2];

	if (pipe2(end, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	pid_t pid = fork();
	if (pid < 0) {
		int err = -errno;
		close(end[0]);
		close(end[1]);
		return err;
	}
	if (pid == 0) {
		int keep[] = { end[1], library, p->proc, p->pidfd };
		struct attempt a = { .p = p, .library = library, .path = path, .end = end[1], .root = -1, .tmp = -1, .until_ns = clock_ns(CLOCK_MONOTONIC) + JVM_LIMIT_S * 1000000000ull };
		sigset_t none;
		descriptors_close_others(0, keep, sizeof(keep) / sizeof(keep[0]));
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		attempt(&a);
	}
	close(end[1]);
	*ret_child = pid;
	*ret_fd = end[0];
	return 0;
}

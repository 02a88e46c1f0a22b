/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What getaddrinfo(3) and the check of certificates read. Missing ones are passed over. */
static const char *const builtin_readable[] = {
	"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services", "/etc/localtime",
	"/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/usr/share/ca-certificates", "/usr/lib/ssl", "/usr/local/share/ca-certificates", NULL,
};

static int sandbox_fail(int err, const char *what, char *ret_error, size_t error_len)
{
	snprintf(ret_error, error_len, "sandbox: %s: %s", what, strerror(-err));
	return err;
}

struct identity {
	uid_t uid;
	gid_t gid;
	bool change;
	char name[32];
};

/* Who the engine will be. A probe that is not root has nothing that the engine must not have: it stays that user, unless another is named. */
static int sandbox_user(const char *wanted, struct identity *ret_identity)
{
	struct passwd *pw;

	if (!wanted && geteuid() != 0) {
		struct identity same = { .uid = geteuid(), .gid = getegid() };
		pw = getpwuid(same.uid);
		if (pw)
			snprintf(same.name, sizeof(same.name), "%s", pw->pw_name);
		else
			snprintf(same.name, sizeof(same.name), "%u", same.uid);
		*ret_identity = same;
		return 0;
	}
	errno = 0;
	pw = getpwnam(wanted ? wanted : "plumb");
	if (!pw && !wanted)
		pw = getpwnam("nobody");
	if (!pw) /* of a name that there is not errno may say anything */
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : -ENOENT;
	*ret_identity = (struct identity){ .uid = pw->pw_uid, .gid = pw->pw_gid, .change = pw->pw_uid != geteuid() };
	snprintf(ret_identity->name, sizeof(ret_identity->name), "%s", pw->pw_name);
	return 0;
}

/* The directory must be the engine's: made so, or so already. */
static int sandbox_give(const char *path, const struct identity *id, char *ret_error, size_t error_len)
{
	struct stat st;

	if (stat(path, &st))
		return sandbox_fail(-errno, path, ret_error, error_len);
	if (st.st_uid == id->uid || chown(path, id->uid, id->gid) == 0)
		return 0;
	int err = -errno;
	if (err == -EPERM)
		snprintf(ret_error, error_len, "%s must belong to the engine's user %s: grant CAP_CHOWN, or 'chown %s %s', or do without a spool (--spool '')", path, id->name, id->name, path);
	else
		sandbox_fail(err, path, ret_error, error_len);
	return err;
}

int sandbox_prepare(const struct sandbox_options *o, char *ret_error, size_t error_len)
{
	struct identity id;
	int err = 0;

	err = sandbox_user(o->user, &id);
	if (err)
		return sandbox_fail(err, err == -ENOENT ? "no such user; create it (useradd --system plumb) or name another" : "looking up the engine's user", ret_error, error_len);
	for (int i = 0; !err && i < SANDBOX_PATHS_MAX && o->writable[i]; i++)
		err = sandbox_give(o->writable[i], &id, ret_error, error_len);
	return err;
}

/* Makes the place for a bind mount below `root`: parents, then a file or directory like `path`. */
static int sandbox_mount_point(const char *root, const char *path, bool dir, char *ret_target, size_t len)
{
	snprintf(ret_target, len, "%s%s", root, path);
	for (char *p = ret_target + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		if (mkdir(ret_target, 0755) && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	if (dir)
		return mkdir(ret_target, 0755) && errno != EEXIST ? -errno : 0;
	int fd = open(ret_target, O_CREAT | O_CLOEXEC | O_WRONLY, 0444);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int sandbox_bind(const char *root, const char *path, bool writable)
{
	char target[4096], source[4096];
	struct stat st;

	if (!realpath(path, source) || stat(source, &st))
		return writable ? -errno : 0;
	int err = sandbox_mount_point(root, path, S_ISDIR(st.st_mode), target, sizeof(target));
	if (err)
		return err;
	if (mount(source, target, NULL, MS_BIND, NULL))
		return -errno;
	unsigned long flags = MS_BIND | MS_REMOUNT | MS_NOSUID | MS_NODEV | MS_NOEXEC | (writable ? 0 : MS_RDONLY);
	return mount(NULL, target, NULL, flags, NULL) ? -errno : 0;
}

/*
 * A root of its own, empty but for the files that are needed. It is put together on top of /proc: a directory that exists everywhere, that none of
 * these files lies in, and that nothing is left behind in.
 */
static int sandbox_root(const struct sandbox_options *o)
{
	static const char root[] = "/proc";

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -errno;
	if (mount("plumb", root, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=64k"))
		return -errno;
	int err = 0;
	mode_t mask = umask(022); /* the engine's user must get through these directories, whatever the operator's mask is */
	for (int i = 0; !err && builtin_readable[i]; i++)
		err = sandbox_bind(root, builtin_readable[i], false);
	for (int i = 0; !err && i < SANDBOX_PATHS_MAX && o->readable[i]; i++)
		err = sandbox_bind(root, o->readable[i], false);
	for (int i = 0; !err && i < SANDBOX_PATHS_MAX && o->writable[i]; i++)
		err = sandbox_bind(root, o->writable[i], true);
	umask(mask);
	if (!err && chdir(root))
		err = -errno;
	/* pivot_root onto itself, then let go of the old root (pivot_root(2), notes). */
	if (!err && syscall(SYS_pivot_root, ".", "."))
		err = -errno;
	if (!err && (umount2(".", MNT_DETACH) || chdir("/")))
		err = -errno;
	if (!err)
		mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	return err;
}

static int landlock_path(int ruleset, const char *path, __u64 access)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access };
	struct stat st;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return 0;
	if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed_access &= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
	int err = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) ? -errno : 0;
	close(rule.parent_fd);
	return err;
}

/* Landlock, ABI 1 (kernel 5.13): needs no privilege. */
static int sandbox_landlock(const struct sandbox_options *o)
{
	const __u64 all = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
	const __u64 reading = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
	const __u64 writing = reading | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
			      LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR;
	struct landlock_ruleset_attr attr = { .handled_access_fs = all };
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

	if (ruleset < 0)
		return -errno;
	int err = 0;
	for (int i = 0; !err && builtin_readable[i]; i++)
		err = landlock_path(ruleset, builtin_readable[i], reading);
	for (int i = 0; !err && i < SANDBOX_PATHS_MAX && o->readable[i]; i++)
		err = landlock_path(ruleset, o->readable[i], reading);
	for (int i = 0; !err && i < SANDBOX_PATHS_MAX && o->writable[i]; i++)
		err = landlock_path(ruleset, o->writable[i], writing);
	if (!err && syscall(SYS_landlock_restrict_self, ruleset, 0))
		err = -errno;
	close(ruleset);
	return err;
}

/* Every system call of the engine, its libraries (libcurl, libmicrohttpd, glibc's resolver and threads) and nothing else. */
static const int allowed_calls[] = {
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(close),
	SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(statfs),
	SCMP_SYS(fstatfs), SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
	SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd), SCMP_SYS(getdents64), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
	SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(fsync), SCMP_SYS(fdatasync),
	SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(flock), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3),
	SCMP_SYS(pipe), SCMP_SYS(pipe2), SCMP_SYS(eventfd2), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime), SCMP_SYS(timerfd_gettime),
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_create), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6),
	SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(getsockname),
	SCMP_SYS(getpeername), SCMP_SYS(setsockopt), SCMP_SYS(getsockopt), SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg),
	SCMP_SYS(recvmsg), SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg), SCMP_SYS(shutdown), SCMP_SYS(socketpair), SCMP_SYS(sendfile),
	SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(futex), SCMP_SYS(set_robust_list),
	SCMP_SYS(get_robust_list), SCMP_SYS(rseq), SCMP_SYS(membarrier), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
	SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigtimedwait), SCMP_SYS(rt_sigpending), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(time),
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
	SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(getrandom), SCMP_SYS(getrusage), SCMP_SYS(times), SCMP_SYS(getrlimit),
};

static int seccomp_rules(scmp_filter_ctx ctx)
{
	static const int families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };
	static const int fcntls[] = { F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD, F_DUPFD_CLOEXEC, F_GETLK, F_SETLK, F_SETLKW, F_OFD_SETLK };
	static const unsigned long ioctls[] = { FIONBIO, FIONREAD, TCGETS, TIOCGWINSZ };
	int err = 0;

	/* SCMP_A0() and its kin leave out the operand that their comparison does not use. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

	for (size_t i = 0; !err && i < sizeof(allowed_calls) / sizeof(allowed_calls[0]); i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed_calls[i], 0);
	for (size_t i = 0; !err && i < sizeof(families) / sizeof(families[0]); i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i]));
	for (size_t i = 0; !err && i < sizeof(ioctls) / sizeof(ioctls[0]); i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, ioctls[i]));
	/* Not F_SETOWN and F_SETSIG: they send signals to others. */
	for (size_t i = 0; !err && i < sizeof(fcntls) / sizeof(fcntls[0]); i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)fcntls[i]));
	/* Memory never becomes code. */
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* Threads, no processes. clone3's flags cannot be looked at: glibc falls back to clone. */
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	/* abort(3) and raise(3): signals to itself only. */
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	/* Thread names, and reading limits. */
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0));
#pragma GCC diagnostic pop
	return err;
}

static int sandbox_seccomp(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));

	if (!ctx)
		return -ENOMEM;
	int err = seccomp_rules(ctx);
	if (!err)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}

/* What is open is read and answered; nothing is opened, written to or told to others. */
static const int reader_calls[] = {
	SCMP_SYS(pread64), SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk),
	SCMP_SYS(clock_gettime), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall), SCMP_SYS(gettid), SCMP_SYS(sigaltstack), /* the last two for sanitizers */
};

static int reader_seccomp(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int err = 0;

	if (!ctx)
		return -ENOMEM;
	for (size_t i = 0; !err && i < sizeof(reader_calls) / sizeof(reader_calls[0]); i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, reader_calls[i], 0);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
	if (!err) /* memory */
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0), SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
#pragma GCC diagnostic pop
	if (!err)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}

/* The user stays: without capabilities and system calls by a name it owns nothing. */
int sandbox_enter_reader(void)
{
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_apply(CAPNG_SELECT_CAPS))
		return -EPERM;
	if (prctl(PR_SET_DUMPABLE, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_PDEATHSIG, SIGKILL))
		return -errno;
	return reader_seccomp();
}

static int sandbox_identity(const struct identity *id)
{
	struct rlimit none = { 0, 0 };

	if (id->change && (setgroups(0, NULL) || setresgid(id->gid, id->gid, id->gid) || setresuid(id->uid, id->uid, id->uid)))
		return -errno;
	/* Who stays the same user, without CAP_SETGID, keeps groups too: there are no files of theirs to open. */
	if (!id->change && setgroups(0, NULL) && errno != EPERM)
		return -errno;
	setrlimit(RLIMIT_CORE, &none);
	/* Nobody of the same user may look into it; a core would hold captured bytes. */
	if (prctl(PR_SET_DUMPABLE, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_PDEATHSIG, SIGTERM))
		return -errno;
	return 0;
}

/* What execve(2) could give back. libcap-ng does not say when it has no right to change it. */
static bool bounding_is_empty(void)
{
	for (int c = 0; prctl(PR_CAPBSET_READ, c) >= 0; c++)
		if (prctl(PR_CAPBSET_READ, c) > 0)
			return false;
	return true;
}

int sandbox_enter(const struct sandbox_options *o, struct sandbox_report *ret_report, char *ret_error, size_t error_len)
{
	struct identity id;

	memset(ret_report, 0, sizeof(*ret_report));
	int err = sandbox_user(o->user, &id);
	if (err)
		return sandbox_fail(err, "no such user", ret_error, error_len);
	snprintf(ret_report->user, sizeof(ret_report->user), "%s", id.name);

	int root_err = sandbox_root(o);
	ret_report->own_root = root_err == 0;
	/* The bounding set goes while the privilege to change it is there. */
	capng_clear(CAPNG_SELECT_BOTH);
	capng_apply(CAPNG_SELECT_BOUNDS);
	err = sandbox_identity(&id);
	if (err)
		return sandbox_fail(err, "cannot change the user (CAP_SETUID and CAP_SETGID do that)", ret_error, error_len);
	ret_report->own_user = getuid() != 0;
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_apply(CAPNG_SELECT_CAPS))
		return sandbox_fail(-EPERM, "cannot drop capabilities", ret_error, error_len);
	capng_get_caps_process();
	ret_report->no_capabilities = capng_have_capabilities(CAPNG_SELECT_CAPS) == CAPNG_NONE && bounding_is_empty();

	int landlock_err = sandbox_landlock(o);
	ret_report->landlock = landlock_err == 0;
	if (root_err && landlock_err)
		return sandbox_fail(root_err, "neither an own root (a mount namespace, by CAP_SYS_ADMIN) nor Landlock (kernel 5.13) works", ret_error, error_len);
	err = sandbox_seccomp();
	if (err)
		return sandbox_fail(err, "seccomp", ret_error, error_len);
	ret_report->seccomp = true;
	return 0;
}

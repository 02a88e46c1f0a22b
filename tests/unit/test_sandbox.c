/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the engine can still do once sandbox_enter() has returned: each attempt in a child of its own, asserted by its exact
 * errno. Each attempt is first made outside of the sandbox where that is harmless, so that a refusal is known to be the
 * sandbox's. Needs root; without it every test is skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe/sandbox.h"

/* Everything that the children share: a spool they may write, and beside it a file that they may not read. */
struct place {
	char dir[64];
	char spool[96];
	char secret[96];
	int bpf_map;     /* as the engine inherits its rings */
	pid_t bystander; /* a process of the engine's own user */
	bool own_root;   /* what is outside does not exist; else Landlock refuses it */
};

static struct place place;

/* An attempt returns 0 for success or the errno it failed with. */
typedef int attempt_fn(void);

static int errno_of(long result) { return result < 0 ? errno : 0; }

static void enter(struct sandbox_report *ret_report)
{
	const struct sandbox_options o = { .user = "nobody", .writable = { place.spool } };
	char error[256] = "";

	if (sandbox_enter(&o, ret_report, error, sizeof(error))) {
		fprintf(stderr, "%s\n", error);
		_exit(254);
	}
}

/* In a child of its own. 255: it did not end by itself. */
static int outcome_of(attempt_fn *attempt, bool sandboxed, bool reads)
{
	int status;

	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct sandbox_report report;
		if (sandboxed)
			enter(&report);
		if (reads && sandbox_enter_reader())
			_exit(254);
		_exit(attempt());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static int outcome(attempt_fn *attempt, bool sandboxed) { return outcome_of(attempt, sandboxed, false); }

/* Allowed to this test, refused to the engine, or to who reads a file, with this errno. */
static void expect_refusal(attempt_fn *attempt, const char *name, bool reads, int err)
{
	int outside = outcome(attempt, false), inside = outcome_of(attempt, !reads, reads);

	if (outside != 0)
		fail_msg("%s fails outside of the sandbox too: %s", name, strerror(outside));
	if (inside != err)
		fail_msg("%s: %s, expected %s", name, strerror(inside), strerror(err));
}
#define refused(attempt, err) expect_refusal(attempt, #attempt, false, err)
#define refused_to_reader(attempt) expect_refusal(attempt, #attempt, true, EPERM)

static int needs_root(void **state)
{
	(void)state;
	if (geteuid() == 0)
		return 0;
	fprintf(stderr, "test_sandbox: SKIPPED, it takes root to drop privileges: run `sudo make unit`\n");
	return -1;
}

#define ROOT_ONLY() do { if (geteuid()) skip(); } while (0)

/* Files. */

static int open_path(const char *path, int flags)
{
	return errno_of(open(path, flags | O_CLOEXEC, 0600));
}

static int read_secret(void) { return open_path(place.secret, O_RDONLY); }
static int read_shadow(void) { return open_path("/etc/shadow", O_RDONLY); }
static int read_passwd(void) { return open_path("/etc/passwd", O_RDONLY); }
static int read_proc(void) { return open_path("/proc/self/maps", O_RDONLY); }
static int read_sysfs(void) { return open_path("/sys/kernel/btf/vmlinux", O_RDONLY); }
static int open_device(void) { return open_path("/dev/null", O_RDWR); }
static int list_var(void) { return open_path("/var", O_RDONLY | O_DIRECTORY); }
static int write_tmp(void) { return open_path("/tmp/plumb-test-sandbox", O_WRONLY | O_CREAT); }
static int read_hosts(void) { return open_path("/etc/hosts", O_RDONLY); }
static int write_hosts(void) { return open_path("/etc/hosts", O_WRONLY); }

static int write_root(void)
{
	int err = open_path("/plumb-test-sandbox", O_WRONLY | O_CREAT);

	if (!err)
		unlink("/plumb-test-sandbox");
	return err;
}

static int use_spool(void)
{
	char from[128], to[128];

	snprintf(from, sizeof(from), "%s/a.part", place.spool);
	snprintf(to, sizeof(to), "%s/a", place.spool);
	int fd = open(from, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, "x", 1) != 1 || fsync(fd) || close(fd) || rename(from, to))
		return errno;
	return errno_of(unlink(to));
}

static int climb_out_of_spool(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/../secret", place.spool);
	return open_path(path, O_RDONLY);
}

static void test_files_outside_are_out_of_reach(void **state)
{
	int absent = place.own_root ? ENOENT : EACCES;

	(void)state;
	ROOT_ONLY();
	refused(read_secret, absent);
	refused(climb_out_of_spool, absent);
	refused(read_shadow, absent);
	refused(read_passwd, absent);
	refused(read_proc, absent);
	refused(read_sysfs, absent);
	refused(open_device, absent);
	refused(list_var, absent);
	refused(write_tmp, place.own_root ? EROFS : EACCES); /* the directory is there, as the spool's parent */
	unlink("/tmp/plumb-test-sandbox");
}

static void test_needed_files_are_within_reach(void **state)
{
	(void)state;
	ROOT_ONLY();
	assert_int_equal(outcome(use_spool, true), 0);
	assert_int_equal(outcome(read_hosts, true), 0);
	/* Read-only mount, another user's file, Landlock: whichever the kernel asks first. */
	int err = outcome(write_hosts, true);
	assert_true(err == EROFS || err == EACCES);
	err = outcome(write_root, true);
	assert_true(err == EROFS || err == EACCES);
}

/* Programs. */

static int exec_shell(void)
{
	char *const argv[] = { (char *)"sh", (char *)"-c", (char *)"exit 0", NULL };

	execv("/bin/sh", argv);
	return errno;
}

static int exec_memory(void)
{
	static const char script[] = "#!/bin/sh\nexit 0\n";
	char *const argv[] = { (char *)"memory", NULL };
	int fd = (int)syscall(SYS_memfd_create, "memory", 0);

	if (fd < 0)
		return errno;
	if (write(fd, script, sizeof(script) - 1) < 0)
		return errno;
	syscall(SYS_execveat, fd, "", argv, NULL, 0x1000 /* AT_EMPTY_PATH */);
	return errno;
}

static int map_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? errno : 0;
}

static int make_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? errno : errno_of(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int start_process(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return errno_of(pid);
}

static void *nothing(void *arg) { return arg; }

static int start_thread(void)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, nothing, NULL);

	return err ? err : pthread_join(thread, NULL);
}

static void test_runs_nothing_but_itself(void **state)
{
	(void)state;
	ROOT_ONLY();
	refused(exec_shell, EPERM);
	refused(exec_memory, EPERM);
	refused(map_code, EPERM);
	refused(make_code, EPERM);
	refused(start_process, EPERM);
	assert_int_equal(outcome(start_thread, true), 0);
}

/* Other processes and the kernel. */

static int trace_bystander(void)
{
	if (ptrace(PTRACE_SEIZE, place.bystander, NULL, NULL))
		return errno;
	ptrace(PTRACE_DETACH, place.bystander, NULL, NULL);
	return 0;
}

static int read_bystander(void)
{
	char byte;
	struct iovec here = { &byte, 1 }, there = { &place, 1 };

	return errno_of(syscall(SYS_process_vm_readv, place.bystander, &here, 1, &there, 1, 0));
}

static int signal_bystander(void) { return errno_of(kill(place.bystander, 0)); }

static int make_map(void)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_ARRAY;
	attr.key_size = 4;
	attr.value_size = 8;
	attr.max_entries = 1;
	return errno_of(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
}

/* A map that it has inherited, as it has its rings. */
static int read_map(void)
{
	union bpf_attr attr;
	uint32_t key = 0;
	uint64_t value;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)place.bpf_map;
	attr.key = (uintptr_t)&key;
	attr.value = (uintptr_t)&value;
	return errno_of(syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attr, sizeof(attr)));
}

static int unshare_mounts(void) { return errno_of(unshare(CLONE_NEWNS)); }
static int mount_proc(void) { return errno_of(unshare(CLONE_NEWNS)) ? errno : errno_of(mount("proc", "/tmp", "tmpfs", 0, NULL)); }
static int raw_socket(void) { return errno_of(socket(AF_PACKET, SOCK_RAW, 0)); }
static int tcp_socket(void) { return errno_of(socket(AF_INET, SOCK_STREAM, 0)); }

static void test_reaches_no_other_process_and_no_kernel_interface(void **state)
{
	(void)state;
	ROOT_ONLY();
	refused(trace_bystander, EPERM);
	refused(read_bystander, EPERM);
	refused(signal_bystander, EPERM);
	refused(make_map, EPERM);
	refused(read_map, EPERM);
	refused(unshare_mounts, EPERM);
	refused(mount_proc, EPERM);
	refused(raw_socket, EPERM);
	assert_int_equal(outcome(tcp_socket, true), 0);
}

/* Who reads a file. */

static int given_fd, given_socket[2];

static int read_given(void)
{
	char byte;

	return pread(given_fd, &byte, 1, 0) < 0 ? errno : 0;
}

static int answer_given(void)
{
	char byte = 0;
	struct iovec part = { &byte, 1 };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };

	return errno_of(sendmsg(given_socket[0], &m, MSG_DONTWAIT));
}

static int take_memory(void)
{
	void *p = malloc(64 * 1024 * 1024);

	if (!p)
		return ENOMEM;
	memset(p, 1, 64 * 1024 * 1024);
	free(p);
	return 0;
}

static int map_given(void)
{
	void *p = mmap(NULL, 1, PROT_READ, MAP_PRIVATE, given_fd, 0);

	return p == MAP_FAILED ? errno : 0;
}

static int write_given(void) { return errno_of(write(given_socket[0], "", 1)); }
static int own_given(void) { return errno_of(fcntl(given_fd, F_SETOWN, getpid())); }

static void test_who_reads_a_file_does_nothing_else(void **state)
{
	(void)state;
	ROOT_ONLY();
	given_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_true(given_fd >= 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, given_socket), 0);
	assert_int_equal(outcome_of(read_given, false, true), 0);
	assert_int_equal(outcome_of(answer_given, false, true), 0);
	assert_int_equal(outcome_of(take_memory, false, true), 0);
	refused_to_reader(map_given);
	refused_to_reader(write_given);
	refused_to_reader(own_given);
	refused_to_reader(read_secret);
	refused_to_reader(read_passwd);
	refused_to_reader(read_proc);
	refused_to_reader(write_tmp);
	unlink("/tmp/plumb-test-sandbox");
	refused_to_reader(exec_shell);
	refused_to_reader(map_code);
	refused_to_reader(make_code);
	refused_to_reader(start_process);
	refused_to_reader(trace_bystander);
	refused_to_reader(read_bystander);
	refused_to_reader(signal_bystander);
	refused_to_reader(make_map);
	refused_to_reader(read_map);
	refused_to_reader(unshare_mounts);
	refused_to_reader(tcp_socket);
	close(given_fd);
	close(given_socket[0]);
	close(given_socket[1]);
}

/* Identity. */

static int become_root(void) { return errno_of(setresuid(0, 0, 0)); }
static int become_group(void) { return errno_of(setresgid(0, 0, 0)); }
static int raise_ambient(void) { return errno_of(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0)); }
static int be_dumpable(void) { return errno_of(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)); }

static int regain_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	memset(data, 0, sizeof(data));
	data[0].effective = data[0].permitted = 1u << CAP_DAC_READ_SEARCH;
	return errno_of(syscall(SYS_capset, &head, data));
}

static void test_regains_nothing(void **state)
{
	(void)state;
	ROOT_ONLY();
	refused(become_root, EPERM);
	refused(become_group, EPERM);
	refused(regain_capabilities, EPERM);
	refused(be_dumpable, EPERM);
	assert_int_equal(outcome(raise_ambient, true), EPERM);
}

/* The status file is opened before, as nothing in /proc can be opened after. */
static void test_status_shows_what_the_report_says(void **state)
{
	char text[4096];
	int pipe_fds[2];
	struct sandbox_report report;

	(void)state;
	ROOT_ONLY();
	assert_int_equal(pipe(pipe_fds), 0);
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = open("/proc/self/status", O_RDONLY);
		enter(&report);
		ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
		if (n < 0 || write(pipe_fds[1], &report, sizeof(report)) != (ssize_t)sizeof(report) || write(pipe_fds[1], text, (size_t)n) != n)
			_exit(1);
		_exit(0);
	}
	close(pipe_fds[1]);
	assert_int_equal(read(pipe_fds[0], &report, sizeof(report)), sizeof(report));
	ssize_t n = read(pipe_fds[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = 0;
	close(pipe_fds[0]);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);

	assert_true(report.own_user);
	assert_true(report.no_capabilities);
	assert_true(report.own_root || report.landlock);
	assert_true(report.seccomp);
	assert_string_equal(report.user, "nobody");
	for (size_t i = 0; i < 5; i++) {
		static const char *const sets[] = { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" };
		char line[64];
		snprintf(line, sizeof(line), "\n%s:\t0000000000000000\n", sets[i]);
		if (!strstr(text, line))
			fail_msg("%s is not empty", sets[i]);
	}
	assert_non_null(strstr(text, "\nNoNewPrivs:\t1\n"));
	assert_non_null(strstr(text, "\nSeccomp:\t2\n"));
	assert_non_null(strstr(text, "\nUid:\t65534\t65534\t65534\t65534\n"));
	assert_non_null(strstr(text, "\nGroups:\t \n"));
}

/* The working directory of a process with a root of its own is that root, and all that it holds was put there. */
static int has_own_root(void) { return access("/usr/bin", F_OK) ? 0 : 1; }

static int set_up(void **state)
{
	union bpf_attr attr;

	if (needs_root(state))
		return 0;
	snprintf(place.dir, sizeof(place.dir), "/tmp/plumb-test-XXXXXX");
	if (!mkdtemp(place.dir) || chmod(place.dir, 0755))
		return -1;
	snprintf(place.spool, sizeof(place.spool), "%s/spool", place.dir);
	snprintf(place.secret, sizeof(place.secret), "%s/secret", place.dir);
	int fd = open(place.secret, O_CREAT | O_WRONLY, 0644); /* readable by all: only the sandbox keeps it */
	if (mkdir(place.spool, 0700) || fd < 0)
		return -1;
	close(fd);
	const struct sandbox_options o = { .user = "nobody", .writable = { place.spool } };
	char error[256];
	if (sandbox_prepare(&o, error, sizeof(error)))
		return -1;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_ARRAY;
	attr.key_size = 4;
	attr.value_size = 8;
	attr.max_entries = 1;
	place.bpf_map = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
	place.bystander = fork();
	if (place.bystander == 0) {
		if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534) || prctl(PR_SET_DUMPABLE, 1))
			_exit(1);
		pause();
		_exit(0);
	}
	place.own_root = outcome(has_own_root, true) == 0;
	return place.bpf_map < 0 || place.bystander < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (place.bystander > 0) {
		kill(place.bystander, SIGKILL);
		waitpid(place.bystander, NULL, 0);
	}
	if (place.dir[0]) {
		unlink(place.secret);
		rmdir(place.spool);
		rmdir(place.dir);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files_outside_are_out_of_reach),
		cmocka_unit_test(test_needed_files_are_within_reach),
		cmocka_unit_test(test_runs_nothing_but_itself),
		cmocka_unit_test(test_reaches_no_other_process_and_no_kernel_interface),
		cmocka_unit_test(test_who_reads_a_file_does_nothing_else),
		cmocka_unit_test(test_regains_nothing),
		cmocka_unit_test(test_status_shows_what_the_report_says),
	};

	return cmocka_run_group_tests_name("sandbox", tests, set_up, tear_down);
}

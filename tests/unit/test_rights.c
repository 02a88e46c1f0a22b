/* SPDX-License-Identifier: Apache-2.0 */
/* What the probe gives up once it works: each attempt is made in a child, before, where it must succeed, and after. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <cap-ng.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe/rights.h"

typedef int attempt_fn(void);

static int errno_of(long result) { return result < 0 ? errno : 0; }

/* The attempt's errno; 254 when rights cannot be given up at all. */
static int outcome(attempt_fn *attempt, const struct rights_needs *needs)
{
	int status;

	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (needs && rights_settle(needs))
			_exit(254);
		_exit(attempt());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static const struct rights_needs once = { .restarts = false }, again = { .restarts = true }, recording = { .restarts = true, .writes = true }, attaching = { .attaches = true };

static int say_if_not_root(void **state)
{
	(void)state;
	if (geteuid() != 0)
		fprintf(stderr, "test_rights: SKIPPED, it takes root to give up rights: run `sudo make unit`\n"); /* each test skips itself */
	return 0;
}

#define ROOT_ONLY() do { if (geteuid()) skip(); } while (0)

/* Runs a program that succeeds: then this process is gone, and its status is that program's 0. */
static int run_program(void)
{
	char *argv[] = { "true", NULL };

	execv("/bin/true", argv);
	return errno;
}

/* A process of its own, stopped: in the same namespaces, and nobody else's. */
static int trace_child(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	int err = errno_of(ptrace(PTRACE_SEIZE, pid, NULL, NULL));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return err;
}

static int make_map(void)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1 };

	return errno_of(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
}

static int load_program(void)
{
	struct bpf_insn code[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K }, { .code = BPF_JMP | BPF_EXIT } };
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insn_cnt = 2, .insns = (uintptr_t)code, .license = (uintptr_t)"GPL" };

	return errno_of(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)));
}

static int open_event(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_DUMMY };

	return errno_of(syscall(SYS_perf_event_open, &attr, -1, 0, -1, 0));
}

/* Of no program: that there is none is found once it may be asked. */
static int make_link(void)
{
	union bpf_attr attr = { .link_create = { .prog_fd = UINT32_MAX } };
	int err = errno_of(syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr)));

	return err == EBADF ? 0 : err;
}

static int map_fd;

/* What the probe does all the time. */
static int update_map(void)
{
	uint32_t key = 0;
	uint64_t value = 7;
	union bpf_attr attr = { .map_fd = (uint32_t)map_fd, .key = (uintptr_t)&key, .value = (uintptr_t)&value };

	return errno_of(syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attr, sizeof(attr)));
}

static int own_mounts(void) { return errno_of(unshare(CLONE_NEWNS)); }
static int become_nobody(void) { return errno_of(setresuid(65534, 65534, 65534)); }
static int start_child(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : waitpid(pid, NULL, 0) == pid ? 0 : errno;
}

static void capabilities_are(const struct rights_needs *needs, const int *kept)
{
	int status;

	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (rights_settle(needs))
			_exit(254);
		capng_get_caps_process();
		for (int c = 0; c <= CAP_LAST_CAP; c++) {
			bool wanted = false;
			for (const int *k = kept; *k >= 0; k++)
				wanted |= *k == c;
			for (capng_type_t set = CAPNG_EFFECTIVE; set <= CAPNG_PERMITTED; set <<= 1)
				if ((bool)capng_have_capability(set, (unsigned)c) != wanted)
					_exit(100 + c);
			if (capng_have_capability(CAPNG_INHERITABLE, (unsigned)c))
				_exit(200);
		}
		_exit(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 201);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		fail_msg("capability %d is not as it should be", WEXITSTATUS(status) - 100);
}

static void only_what_is_needed_stays(void **state)
{
	static const int always[] = { CAP_BPF, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_SYS_ADMIN, CAP_KILL, -1 };
	static const int attaches[] = { CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_SYS_ADMIN, CAP_LEASE, CAP_KILL, -1 };
	static const int restarts[] = { CAP_BPF,    CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_SYS_ADMIN, CAP_KILL, CAP_SETUID,
					CAP_SETGID, CAP_SETPCAP,    CAP_SYS_NICE,        CAP_NET_ADMIN, -1 };
	static const int records[] = { CAP_BPF,    CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_SYS_ADMIN, CAP_KILL,         CAP_SETUID,
				       CAP_SETGID, CAP_SETPCAP,    CAP_SYS_NICE,        CAP_NET_ADMIN, CAP_DAC_OVERRIDE, -1 };

	(void)state;
	ROOT_ONLY();
	capabilities_are(&once, always);
	capabilities_are(&again, restarts);
	capabilities_are(&recording, records);
	capabilities_are(&attaching, attaches);
}

static void refused(attempt_fn *attempt, const char *name, const struct rights_needs *needs)
{
	int before = outcome(attempt, NULL), after = outcome(attempt, needs);

	if (before)
		fail_msg("%s fails before rights are given up too: %s", name, strerror(before));
	if (after != EPERM)
		fail_msg("%s: %s, expected %s", name, strerror(after), strerror(EPERM));
}
#define REFUSED(attempt, needs) refused(attempt, #attempt, needs)

static void what_it_never_does_is_refused(void **state)
{
	(void)state;
	ROOT_ONLY();
	REFUSED(run_program, &again);
	REFUSED(trace_child, &again);
	REFUSED(make_map, &again);
	REFUSED(load_program, &again);
	REFUSED(become_nobody, &once);
	REFUSED(open_event, &once);
	REFUSED(make_link, &once);
	REFUSED(load_program, &attaching);
}

static void what_it_does_goes_on(void **state)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1 };

	(void)state;
	ROOT_ONLY();
	map_fd = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
	if (map_fd < 0) {
		fprintf(stderr, "test_rights: SKIPPED, bpf(2) is refused here: %s\n", strerror(errno));
		skip();
	}
	assert_int_equal(outcome(update_map, &once), 0);
	assert_int_equal(outcome(update_map, &again), 0);
	assert_int_equal(outcome(start_child, &again), 0);
	assert_int_equal(outcome(open_event, &attaching), 0);
	assert_int_equal(outcome(make_link, &attaching), 0);
	/* For the next engine. */
	assert_int_equal(outcome(own_mounts, &again), 0);
	assert_int_equal(outcome(become_nobody, &again), 0);
	close(map_fd);
}

static void states_follow_the_process(void **state)
{
	struct rights r;

	(void)state;
	ROOT_ONLY();
	rights_read(&r);
	for (size_t i = 0; i < RIGHTS_COUNT; i++)
		assert_true(r.rows[i].name && r.rows[i].serves && r.rows[i].without);
	assert_int_equal(rights_state(&r, CAP_KILL), RIGHTS_HELD);
	assert_int_equal(rights_state(&r, CAP_SYS_BOOT), RIGHTS_UNNEEDED); /* not plumb's */
	fflush(NULL);
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		capng_get_caps_process();
		capng_updatev(CAPNG_DROP, CAPNG_EFFECTIVE, CAP_KILL, CAP_SYS_ADMIN, CAP_BPF, -1);
		capng_apply(CAPNG_SELECT_CAPS);
		rights_read(&r);
		_exit(rights_state(&r, CAP_KILL) == RIGHTS_MISSING && rights_state(&r, CAP_BPF) == RIGHTS_MISSING && rights_state(&r, CAP_SYS_PTRACE) == RIGHTS_HELD ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_is_needed_stays),
		cmocka_unit_test(what_it_never_does_is_refused),
		cmocka_unit_test(what_it_does_goes_on),
		cmocka_unit_test(states_follow_the_process),
	};

	return cmocka_run_group_tests_name("rights", tests, say_if_not_root, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/rights.h"

#include <cap-ng.h>
#include <errno.h>
#include <linux/bpf.h>
#include <seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "probe/caps.h"

enum { RLIMIT_NICE_WANTED = 25 }; /* for a nice value of -5: getrlimit(2) */

/* How long the probe keeps it: until all is attached, as long as it attaches to more, as long as it may have to start an engine, or for good. */
enum keep { KEEP_START, KEEP_ATTACHES, KEEP_RESTARTS, KEEP_ALWAYS };

static const struct {
	int capability;
	enum keep keep;
	bool required;
	const char *name, *serves, *without;
} table[RIGHTS_COUNT] = {
	{ CAP_BPF, KEEP_ALWAYS, true, "CAP_BPF", "load programs, make maps, set targets in them", "plumb does not start" },
	{ CAP_PERFMON, KEEP_ATTACHES, true, "CAP_PERFMON", "attach programs that read kernel memory, see which files programs map", "plumb does not start" },
	{ CAP_SYS_PTRACE, KEEP_ALWAYS, false, "CAP_SYS_PTRACE", "read /proc/PID of other users' processes: exe, environ, io, fd",
	  "other users' processes have no path of their executable, no names from their environment (OTEL_SERVICE_NAME, pods), no I/O counts (before "
	  "Linux 6.2 no descriptor counts), no joins by thread; --exe finds only those that start later; calls of libraries in them are not seen" },
	{ CAP_DAC_READ_SEARCH, KEEP_ALWAYS, false, "CAP_DAC_READ_SEARCH", "read these files, and programs, whatever their mode",
	  "other users' processes have no names from their environment (OTEL_SERVICE_NAME, pods), no I/O counts (before Linux 6.2 no descriptor counts); "
	  "no joins by thread and no calls of libraries in programs that only their owner may read" },
	{ CAP_SYS_ADMIN, KEEP_ALWAYS, false, "CAP_SYS_ADMIN", "a root directory of the engine's own; reading what BPF programs cost (--max-overhead, capture.count_cost); files without a name",
	  "Landlock alone keeps the engine from files (without Landlock, plumb does not start); --max-overhead counts plumb's processes only, "
	  "capture.count_cost nothing; calls of libraries in files that were replaced or deleted are not seen" },
	{ CAP_LEASE, KEEP_ATTACHES, false, "CAP_LEASE", "hold whoever overwrites a program of another user until its probes are gone",
	  "a program of another user that is overwritten in place and started at once may crash where calls of libraries are watched" },
	{ CAP_SETUID, KEEP_RESTARTS, true, "CAP_SETUID", "the engine's own user", "plumb does not start as root" },
	{ CAP_SETGID, KEEP_RESTARTS, true, "CAP_SETGID", "the engine's own group", "plumb does not start as root" },
	{ CAP_SETPCAP, KEEP_RESTARTS, false, "CAP_SETPCAP", "empty the engine's bounding set", "the engine's bounding set stays full, although nothing that it may do uses it" },
	{ CAP_CHOWN, KEEP_START, false, "CAP_CHOWN", "give the spool to the engine's user", "plumb does not start with a spool that belongs to another user" },
	{ CAP_KILL, KEEP_ALWAYS, false, "CAP_KILL", "end the engine, which belongs to another user", "an engine that hangs cannot be ended, and may outlive the probe" },
	{ CAP_SYS_NICE, KEEP_RESTARTS, false, "CAP_SYS_NICE", "let the engine run before others", "records are lost sooner while all CPUs are busy" },
	{ CAP_NET_ADMIN, KEEP_RESTARTS, false, "CAP_NET_ADMIN", "a long queue for descriptions of processes",
	  "many processes that start at once are described later; net.core.wmem_max of 4 MiB serves as well" },
	{ CAP_SYS_RESOURCE, KEEP_START, false, "CAP_SYS_RESOURCE", "memory for maps, where the kernel counts it against RLIMIT_MEMLOCK (before 5.11)",
	  "plumb does not start unless RLIMIT_MEMLOCK is high enough (ulimit -l unlimited, LimitMEMLOCK=infinity)" },
};

static bool may_be_nicer(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NICE, &limit) == 0 && limit.rlim_cur >= RLIMIT_NICE_WANTED;
}

static bool held(int capability) { return capng_have_capability(CAPNG_EFFECTIVE, (unsigned)capability); }

static bool unneeded(int capability)
{
	switch (capability) {
	case CAP_BPF:
	case CAP_PERFMON: return held(CAP_SYS_ADMIN); /* what they were taken out of */
	case CAP_SETUID:
	case CAP_SETGID:
	case CAP_CHOWN:
	case CAP_KILL: return geteuid() != 0; /* the engine stays the same user */
	case CAP_SYS_NICE: return may_be_nicer();
	case CAP_SYS_RESOURCE: return (!held(CAP_BPF) && !held(CAP_SYS_ADMIN)) || !caps_memory_limit();
	default: return false;
	}
}

void rights_read(struct rights *ret_rights)
{
	capng_get_caps_process();
	for (size_t i = 0; i < RIGHTS_COUNT; i++) {
		int c = table[i].capability;
		ret_rights->rows[i] = (struct right){
			.name = table[i].name,
			.serves = table[i].serves,
			.without = table[i].without,
			.required = table[i].required,
			.starts = table[i].keep == KEEP_START,
			.attaches = table[i].keep == KEEP_ATTACHES,
			.state = held(c) ? RIGHTS_HELD : unneeded(c) ? RIGHTS_UNNEEDED : RIGHTS_MISSING,
		};
	}
}

enum rights_state rights_state(const struct rights *r, int capability)
{
	for (size_t i = 0; i < RIGHTS_COUNT; i++)
		if (table[i].capability == capability)
			return r->rows[i].state;
	return RIGHTS_UNNEEDED;
}

static bool kept(int capability, const struct rights_needs *needs)
{
	if (capability == CAP_DAC_OVERRIDE)
		return needs->restarts && needs->writes;
	if ((capability == CAP_SETUID || capability == CAP_SETGID) && needs->becomes)
		return true;
	for (size_t i = 0; i < RIGHTS_COUNT; i++)
		if (table[i].capability == capability)
			return table[i].keep == KEEP_ALWAYS || (table[i].keep == KEEP_RESTARTS && needs->restarts) ||
			       (table[i].keep == KEEP_ATTACHES && needs->attaches);
	return false;
}

/*
 * Nothing in the probe, nor in the start of an engine, makes these. No allow-list: it would have to hold everything that the engine's start needs, mount(2) and
 * capset(2) among it, and would then keep out little more.
 */
static const int denied_calls[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
	SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module), SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(reboot),
	SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(open_by_handle_at), SCMP_SYS(name_to_handle_at), SCMP_SYS(setns), SCMP_SYS(chroot),
	SCMP_SYS(io_uring_setup), SCMP_SYS(userfaultfd), SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(keyctl), SCMP_SYS(acct), SCMP_SYS(quotactl),
	SCMP_SYS(settimeofday), SCMP_SYS(clock_settime), SCMP_SYS(clock_adjtime), SCMP_SYS(adjtimex), SCMP_SYS(sethostname), SCMP_SYS(setdomainname),
	SCMP_SYS(iopl), SCMP_SYS(ioperm), SCMP_SYS(syslog), SCMP_SYS(fanotify_init), SCMP_SYS(pidfd_getfd), SCMP_SYS(kcmp), SCMP_SYS(mknod), SCMP_SYS(mknodat),
};

/* Programs are not loaded or attached any more, nor the maps and programs of others opened, even where CAP_SYS_ADMIN is kept. */
static const int denied_bpf[] = {
	BPF_PROG_LOAD, BPF_BTF_LOAD, BPF_MAP_CREATE, BPF_PROG_ATTACH, BPF_RAW_TRACEPOINT_OPEN, BPF_LINK_UPDATE, BPF_ITER_CREATE, BPF_OBJ_PIN,
	BPF_OBJ_GET, BPF_PROG_GET_FD_BY_ID, BPF_MAP_GET_FD_BY_ID, BPF_BTF_GET_FD_BY_ID, BPF_LINK_GET_FD_BY_ID, BPF_TASK_FD_QUERY, BPF_PROG_TEST_RUN,
};

static int settle_calls(bool attaches)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int err = 0;

	if (!ctx)
		return -ENOMEM;
	for (size_t i = 0; !err && i < sizeof(denied_calls) / sizeof(denied_calls[0]); i++) {
		err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), denied_calls[i], 0);
		if (err == -EDOM || err == -EOPNOTSUPP)
			err = 0; /* this architecture has no such call */
	}
	for (size_t i = 0; !err && i < sizeof(denied_bpf) / sizeof(denied_bpf[0]); i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(bpf), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)denied_bpf[i], 0));
	/* The two by which a program that is loaded comes to sit on more functions. */
	if (!err && !attaches)
		err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(perf_event_open), 0);
	if (!err && !attaches)
		err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(bpf), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)BPF_LINK_CREATE, 0));
	if (!err)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}

int rights_settle(const struct rights_needs *needs)
{
	capng_get_caps_process();
	for (int c = 0; c <= CAP_LAST_CAP; c++)
		if (!kept(c, needs))
			capng_update(CAPNG_DROP, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE, (unsigned)c);
	if (capng_apply(CAPNG_SELECT_CAPS))
		return -EPERM;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return settle_calls(needs->attaches);
}

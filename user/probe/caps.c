/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/caps.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct caps_feature ladders[] = {
	{ .name = "socket data", .nrungs = 3,
	  .limits = "sendfile, splice, vmsplice: lengths only, no payload; io_uring: payload by sock_msg, lengths by sock_length, by sys_exit a gap; splice out of a TCP socket: a gap but by sys_exit",
	  .rungs = {
		  { "sock_length", "tp_btf sock_send_length, sock_recv_length", "6.3 (6e6eda44b939)", CAPS_UNTRIED, "" },
		  { "sock_msg", "fexit on inet_, inet6_ and unix_ sendmsg, recvmsg, sendpage", "5.16", CAPS_UNTRIED, "" },
		  { "sys_exit", "tp_btf sys_exit, descriptor to socket", "5.5", CAPS_UNTRIED, "" },
	  } },
	{ .name = "socket life", .nrungs = 1, .limits = "", .rungs = { { "set_state", "tp_btf inet_sock_set_state", "4.16", CAPS_UNTRIED, "" } } },
	{ .name = "process life", .nrungs = 1, .limits = "",
	  .rungs = { { "sched_process", "tp_btf sched_process_fork, _exec, _exit", "5.5", CAPS_UNTRIED, "" } } },
	{ .name = "library calls", .nrungs = 2, .limits = "programs of other machines (32 bits) are not looked at",
	  .rungs = {
		  { "uprobe_multi", "one link for the functions of a file", "6.6 (89ae89f53d20)", CAPS_UNTRIED, "" },
		  { "uprobe_perf", "a perf event for each function", "5.15 (7adfc6c9b315)", CAPS_UNTRIED, "" },
	  } },
};

static void caps_prerequisite(struct caps *c, const char *name, bool ok, const char *detail)
{
	struct caps_prerequisite *p = &c->prerequisites[c->nprerequisites++];

	p->name = name;
	p->ok = ok;
	snprintf(p->detail, sizeof(p->detail), "%s", detail);
}

/* Makes the smallest map there is: says whether bpf(2) is allowed at all, which capabilities alone do not. */
static int caps_make_ring(void)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_RINGBUF;
	attr.max_entries = (unsigned)sysconf(_SC_PAGESIZE);
	int fd = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/*
 * Where BPF memory counts against RLIMIT_MEMLOCK (before 5.11), what a plumb before this one had is given back a moment after its end, and is more than the limit that programs commonly have: then it is tried with as high a
 * limit as is had later, to load programs.
 */
static int caps_try_bpf(void)
{
	const struct rlimit most = { RLIM_INFINITY, RLIM_INFINITY };
	struct rlimit limit;
	int err = caps_make_ring();

	if (err != -EPERM || getrlimit(RLIMIT_MEMLOCK, &limit) || setrlimit(RLIMIT_MEMLOCK, &most))
		return err;
	err = caps_make_ring();
	setrlimit(RLIMIT_MEMLOCK, &limit);
	return err;
}

uint64_t caps_memory_limit(void)
{
	struct rlimit limit;
	union bpf_attr attr;
	const uint32_t most = 1u << 28;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur >= most)
		return 0;
	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_ARRAY;
	attr.key_size = sizeof(uint32_t);
	attr.value_size = 4096;
	attr.max_entries = (uint32_t)(limit.rlim_cur / attr.value_size) + 1;
	int fd = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == EPERM ? limit.rlim_cur : 0;
}

/* Names those without which plumb does not start. */
static void caps_rights(struct caps *c)
{
	char names[112] = "", detail[224];
	int n = 0;

	rights_read(&c->rights);
	for (size_t i = 0; i < RIGHTS_COUNT; i++) {
		const struct right *r = &c->rights.rows[i];
		if (r->required && r->state == RIGHTS_MISSING) {
			size_t used = strlen(names);
			snprintf(names + used, sizeof(names) - used, "%s%s", n++ ? ", " : "", r->name);
		}
	}
	if (n)
		snprintf(detail, sizeof(detail), "%s %s missing: run as root (sudo plumb …), or grant %s; 'plumb doctor' says what each is for", names, n > 1 ? "are" : "is",
			 n > 1 ? "them" : "it");
	caps_prerequisite(c, "privileges", n == 0, n ? detail : "those without which plumb does not start");
}

void caps_init(struct caps *c)
{
	memset(c, 0, sizeof(*c));
	c->nfeatures = sizeof(ladders) / sizeof(ladders[0]);
	for (size_t i = 0; i < c->nfeatures; i++) {
		c->features[i] = ladders[i];
		c->features[i].serves = -1;
	}

	caps_rights(c);
	bool btf = access("/sys/kernel/btf/vmlinux", R_OK) == 0;
	caps_prerequisite(c, "kernel BTF", btf,
			  btf ? "/sys/kernel/btf/vmlinux" : "this kernel carries no type information: one built with CONFIG_DEBUG_INFO_BTF=y is needed (distribution kernels since 2020)");
	int err = caps_try_bpf();
	char why[160] = "bpf(2) makes ring buffers";
	if (err == -EPERM)
		snprintf(why, sizeof(why), "bpf(2) is refused (EPERM): in a container, run it privileged or with these capabilities and a seccomp profile that allows bpf");
	else if (err == -EINVAL)
		snprintf(why, sizeof(why), "this kernel has no BPF ring buffer: 5.8 or later is needed");
	else if (err)
		snprintf(why, sizeof(why), "bpf(2) fails: %s", strerror(-err));
	caps_prerequisite(c, "BPF ring buffer", err == 0, why);
	bool proc = access("/proc/self/ns/pid", F_OK) == 0;
	caps_prerequisite(c, "/proc", proc, proc ? "mounted" : "mount -t proc proc /proc");
}

struct caps_feature *caps_feature(struct caps *c, const char *name)
{
	for (size_t i = 0; i < c->nfeatures; i++)
		if (strcmp(c->features[i].name, name) == 0)
			return &c->features[i];
	return NULL;
}

const struct caps_prerequisite *caps_missing(const struct caps *c)
{
	for (size_t i = 0; i < c->nprerequisites; i++)
		if (!c->prerequisites[i].ok)
			return &c->prerequisites[i];
	return NULL;
}

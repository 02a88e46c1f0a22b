/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which calls of libraries threads are in: kept by the programs on functions (lib/call.bpf.h), looked up by those on sockets (lib/ktls.bpf.h). */
#ifndef PLUMB_CALLS_BPF_H
#define PLUMB_CALLS_BPF_H

#include "lib/core.bpf.h"

#include "abi/sites.h"

enum { CALL_ARGS = 5 };
#define CALLS_MAX 4096 /* threads that are in a call */

/*
 * The call that a thread is in. One that it makes meanwhile is the library's own (SQLite reads its tables by statements, too) and nobody's business: it lies deeper on the stack. Unless it can be none of the
 * library's (tls_is_of_callback()): then it is kept beside the other. Where two probes lie on the same function (a file that is known by two names) the second entry overwrites the first with the same,
 * and the second return finds nothing.
 */
struct call_frame {
	__u64 pid_tgid;
	__u64 begin_ns;
	__u64 args[CALL_ARGS];
	__u64 frame;      /* where its return address lies */
	__u64 task;       /* the kernel's: numbers of threads are used again */
	__u32 site;
	__u32 file;
	__u32 detached;   /* as it was when the call began */
	__u32 missed;
};

/* Of threads that ended within a call it stays until others take its place. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CALLS_MAX);
	__type(key, __u64); /* pid_tgid, with CALL_WITHIN for one that was called back within another */
	__type(value, struct call_frame);
} calls SEC(".maps");

/* The probe's to write. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PLUMB_SITE_FILES);
	__type(key, __u32);
	__type(value, struct plumb_call_epoch);
} call_epoch SEC(".maps");

static __always_inline struct plumb_call_epoch call_epoch_of(__u32 file)
{
	struct plumb_call_epoch none = {}, *e = bpf_map_lookup_elem(&call_epoch, &file);

	return e ? *e : none;
}

/* Is the thread in a call of a TLS library that moves bytes? One that has ended unseen does not count: probes went meanwhile, or another thread has its number now. */
static __always_inline bool calls_in_tls(__u64 pid_tgid)
{
	struct call_frame *f = bpf_map_lookup_elem(&calls, &pid_tgid);

	if (!f || f->site < PLUMB_SITE_TLS_READ || f->site > PLUMB_SITE_TLS_SENDFILE)
		return false;
	return f->task == bpf_get_current_task() && f->detached == call_epoch_of(f->file).detached;
}

#endif

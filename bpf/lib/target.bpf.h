/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which processes are watched. Decided once per process, in the kernel for what must not miss short-lived ones. */
#ifndef PLUMB_TARGET_BPF_H
#define PLUMB_TARGET_BPF_H

#include "lib/core.bpf.h"

#define PLUMB_FILTER_MAX 8

enum plumb_verdict {
	PLUMB_VERDICT_NONE = 0,   /* no entry: the default counts */
	PLUMB_VERDICT_TRACE = 1,
	PLUMB_VERDICT_IGNORE = 2, /* plumb itself, and what the operator excludes */
};

struct plumb_target {
	__u8 verdict;
	__u8 inherit; /* children get the same entry */
	__u8 pad[6];
};

/* By thread group id. Entries of ended processes are removed by the exit program; at the maximum the least recently used goes. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct plumb_target);
} targets SEC(".maps");

const volatile __u8 default_verdict = PLUMB_VERDICT_TRACE;
const volatile __u32 filter_comms = 0; /* used entries of filter_comm */
const volatile char filter_comm[PLUMB_FILTER_MAX][PLUMB_COMM_LEN];

/*
 * Raised by the probe whenever targets change, so that verdicts cached in sockets are looked up anew. Never 0. The high bits count engines: when they change,
 * sockets are announced anew.
 */
#define PLUMB_SESSION_SHIFT 24
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target_generation SEC(".maps");

static __always_inline __u32 target_gen(void)
{
	__u32 zero = 0;
	__u32 *gen = bpf_map_lookup_elem(&target_generation, &zero);

	return gen ? *gen : 0;
}

static __always_inline bool target_comm_matches(const char *comm)
{
	for (__u32 i = 0; i < PLUMB_FILTER_MAX; i++) {
		bool same = true;

		if (i >= filter_comms)
			return false;
		for (int j = 0; j < PLUMB_COMM_LEN; j++) {
			if (filter_comm[i][j] != comm[j]) {
				same = false;
				break;
			}
			if (!comm[j])
				break;
		}
		if (same)
			return true;
	}
	return false;
}

static __always_inline bool target_wanted(__u32 tgid)
{
	struct plumb_target *t = bpf_map_lookup_elem(&targets, &tgid);

	if (t && t->verdict != PLUMB_VERDICT_NONE)
		return t->verdict == PLUMB_VERDICT_TRACE;
	return default_verdict == PLUMB_VERDICT_TRACE;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which processes are watched. Decided as they fork and execute programs (judge.bpf.h), looked up here. */
#ifndef PLUMB_TARGET_BPF_H
#define PLUMB_TARGET_BPF_H

#include "lib/core.bpf.h"

#include "abi/targets.h"

/* Entries of ended processes are removed by the exit program; at the maximum the least recently used goes. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct plumb_target);
} targets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1); /* set to that of targets where there are filters by place */
	__type(key, __u32);
	__type(value, struct plumb_place);
} places SEC(".maps");

const volatile bool only_targets = false;     /* nothing is watched but what is included */
const volatile bool filters_by_place = false; /* otherwise nobody writes places */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct plumb_generation);
} target_generation SEC(".maps");

static __always_inline __u32 target_gen(void)
{
	const __u32 changes = (1u << PLUMB_SESSION_SHIFT) - 1;
	__u32 zero = 0;
	struct plumb_generation *g = bpf_map_lookup_elem(&target_generation, &zero);

	return g ? (g->session & ~changes) | ((g->session + g->execs) & changes) : 0;
}

/* All that is said of the process. */
static __always_inline __u32 target_bits(__u32 tgid)
{
	struct plumb_target *t = bpf_map_lookup_elem(&targets, &tgid);
	__u32 bits = t ? t->program | t->leaf | t->inherited : 0;

	if (filters_by_place) {
		struct plumb_place *p = bpf_map_lookup_elem(&places, &tgid);
		if (p)
			bits |= p->bits;
	}
	return bits;
}

static __always_inline bool target_wanted(__u32 tgid)
{
	__u32 bits = target_bits(tgid);

	if (bits & (PLUMB_OUT | PLUMB_TREE_OUT))
		return false;
	return !only_targets || bits & (PLUMB_IN | PLUMB_TREE_IN);
}

#endif

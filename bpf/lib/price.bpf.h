/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What traps of probes on functions took of each process. The programs on functions add to it, the probe reads it, and the end of the process tells the rest. */
#ifndef PLUMB_PRICE_BPF_H
#define PLUMB_PRICE_BPF_H

#include "lib/core.bpf.h"

#include "abi/sites.h"

/* Those of processes that come when it is full are in the sum of their file only. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32); /* process */
	__type(value, struct plumb_call_price);
} call_prices SEC(".maps");

static __always_inline void price_add(__u32 tgid, __u64 trap_ns)
{
	struct plumb_call_price *p = bpf_map_lookup_elem(&call_prices, &tgid), first = { .traps = 1, .trap_ns = trap_ns };

	/* Another thread of it may be at this, too. */
	if (!p && bpf_map_update_elem(&call_prices, &tgid, &first, BPF_NOEXIST))
		p = bpf_map_lookup_elem(&call_prices, &tgid);
	if (!p)
		return;
	__sync_fetch_and_add(&p->traps, 1);
	__sync_fetch_and_add(&p->trap_ns, trap_ns);
}

/* The process has ended. */
static __always_inline void price_end(__u32 tgid, struct plumb_call_price *ret)
{
	struct plumb_call_price *p = bpf_map_lookup_elem(&call_prices, &tgid);

	if (!p)
		return;
	*ret = *p;
	bpf_map_delete_elem(&call_prices, &tgid);
}

#endif

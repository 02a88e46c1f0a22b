/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How much of each I/O is captured: what the engine asks for, of a socket or of a session of a TLS library. */
#ifndef PLUMB_POLICY_BPF_H
#define PLUMB_POLICY_BPF_H

#include "lib/core.bpf.h"

/* Written by the engine; see plumb_policy_slot. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PLUMB_POLICY_SLOTS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct plumb_policy_slot);
} policies SEC(".maps");

/* Bytes captured of each I/O before the engine has decided. */
const volatile __u32 default_capture = PLUMB_CAPTURE_DEFAULT;

/* Bytes to capture of an I/O of `len` bytes at `offset`, of each I/O at most `most`. */
static __always_inline __u32 policy_capture(__u64 cookie, __u32 most, int dir, __u64 offset, __u32 len)
{
	__u32 at = (__u32)cookie & (PLUMB_POLICY_SLOTS - 1);
	volatile struct plumb_policy_slot *p = bpf_map_lookup_elem(&policies, &at);
	__u64 want = default_capture < most ? default_capture : most;

	if (p) {
		__u64 tag = p->sock;
		p = plumb_after(p, tag);
		if (tag == cookie) {
			__u64 until = p->until[dir & 1], asked = p->want[dir & 1];
			p = plumb_after(p, until | asked);
			if (asked > most)
				asked = most; /* what is skipped before it does not count */
			__u64 unwanted = until > offset ? until - offset : 0;
			/* Else the slot has become another's meanwhile, or it was written before the bytes became plaintext. */
			if (p->sock == cookie && PLUMB_IS_PLAIN(until) == PLUMB_IS_PLAIN(offset))
				want = unwanted >= len ? 0 : unwanted + asked;
		}
	}
	return want < len ? (__u32)want : len;
}

/* The socket begins a new life, with offsets of its own. */
static __always_inline void policy_reset(__u64 cookie)
{
	__u32 at = (__u32)cookie & (PLUMB_POLICY_SLOTS - 1);
	struct plumb_policy_slot *p = bpf_map_lookup_elem(&policies, &at);

	if (p && p->sock == cookie)
		p->sock = 0;
}

#endif

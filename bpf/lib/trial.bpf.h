/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Functions that were found by their code, and so may be others: before anything is told of a call it is looked whether it did what such a function does. The first that did not ends it for all of the file;
 * the probe takes the probes away.
 */
#ifndef PLUMB_TRIAL_BPF_H
#define PLUMB_TRIAL_BPF_H

#include "lib/call.bpf.h"

/* The probe clears what was of another file. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PLUMB_SITE_FILES);
	__type(key, __u32);
	__type(value, struct plumb_trial);
} call_trials SEC(".maps");

static __always_inline bool trial_readable(__u64 address)
{
	__u8 byte;

	return bpf_probe_read_user(&byte, 1, (const void *)address) == 0;
}

/* (session, buffer, number of bytes, …): no more bytes were moved than was asked for. */
static __always_inline bool trial_counts(const struct call_frame *f, __u64 bytes)
{
	bool counted = f->site == PLUMB_SITE_TLS_READ || f->site == PLUMB_SITE_TLS_WRITE; /* it takes an int */

	return bytes <= (counted ? (__u32)f->args[2] : f->args[2]);
}

/* A session is there, and so are the bytes that were moved. */
static __always_inline bool trial_is_there(const struct call_frame *f, __u64 bytes)
{
	__u64 last = f->site == PLUMB_SITE_RUST_TLS_WRITE && f->args[3] ? sizeof(struct iovec) : bytes; /* what lies there are chunks */

	return trial_readable(f->args[0]) && trial_readable(f->args[1]) && trial_readable(f->args[1] + last - 1);
}

/* Is the call to be told of? One that moved nothing says nothing. */
static __always_inline bool trial_passes(const struct call_frame *f, __u64 bytes)
{
	__u32 file = f->file;
	struct plumb_trial *t = bpf_map_lookup_elem(&call_trials, &file);

	if (!t || t->fails)
		return false;
	bool counts = trial_counts(f, bytes), there = counts && trial_is_there(f, bytes);
	if (!counts || (!there && !t->fits)) {
		__sync_fetch_and_add(&t->fails, 1);
		return false;
	}
	if (!there) { /* it was, in calls before: its page is not, just now */
		call_lost();
		return false;
	}
	__sync_fetch_and_add(&t->fits, 1);
	return true;
}

#endif

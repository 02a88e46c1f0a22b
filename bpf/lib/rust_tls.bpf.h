/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * rustls: what a connection has received, decrypted, and what it is given to be encrypted, at the functions of the part of it that both have (CommonState). How Rust lays out what they take is nowhere promised, so each call is doubted
 * (lib/trial.bpf.h): of 0.23 as of 2024 and later,
 *
 *     Payload         { capacity, or a mark that it is borrowed; address; bytes }
 *     OutboundChunks  { 0; address; bytes }, or { address of chunks; their number; begin; end }, of which each is { address; bytes }, as of struct iovec
 */
#ifndef PLUMB_RUST_TLS_BPF_H
#define PLUMB_RUST_TLS_BPF_H

#include "lib/tls.bpf.h"

#define RUST_RECORD_MAX 16640 /* what a TLS record holds at most, and then some (RFC 8446, 5.1) */

/* A program whose file is known by two numbers has two probes on each function: the one whose session it is tells. */
static __always_inline bool rust_is_anothers(const struct call_frame *f)
{
	struct call_handle_key key = call_handle_key(f, f->args[0]);
	struct tls_session s;

	if (!tls_get(&key, &s) || s.file == f->file)
		return false;
	struct plumb_call_epoch its = call_epoch_of(s.file);
	return its.missed == s.missed && its.detached == s.detached;
}

/* It was decrypted just now. */
static __always_inline void rust_read(struct pt_regs *ctx, __u64 pid_tgid, __u32 file)
{
	struct call_frame f = call_at_once(pid_tgid, file);
	__u64 payload[3] = {};

	bpf_probe_read_user(payload, sizeof(payload), (const void *)PT_REGS_PARM2(ctx));
	f.site = PLUMB_SITE_RUST_TLS_READ;
	f.args[0] = PT_REGS_PARM1(ctx);
	f.args[1] = payload[1];
	f.args[2] = RUST_RECORD_MAX;
	if (payload[2] && !rust_is_anothers(&f) && trial_passes(&f, payload[2]))
		tls_moved(&f, 0, PLUMB_INGRESS, (__u32)payload[2]);
}

/* What is to be written is looked up now: it may be another's when the call returns. args: connection, bytes or chunks, bytes in all, number of chunks, bytes before them. */
static __always_inline void rust_write(struct pt_regs *ctx, __u64 pid_tgid, __u32 file, bool inner)
{
	__u64 key = inner ? pid_tgid | CALL_WITHIN : pid_tgid;
	struct call_frame f = call_at_once(pid_tgid, file);
	__u64 chunks[4] = {};

	bpf_probe_read_user(chunks, sizeof(chunks), (const void *)PT_REGS_PARM2(ctx));
	f.frame = call_frame_at(ctx, false);
	f.task = bpf_get_current_task();
	f.site = PLUMB_SITE_RUST_TLS_WRITE;
	f.args[0] = PT_REGS_PARM1(ctx);
	f.args[1] = chunks[0] ? chunks[0] : chunks[1];
	f.args[2] = chunks[0] ? chunks[3] - chunks[2] : chunks[2];
	f.args[3] = chunks[0] ? chunks[1] : 0;
	f.args[4] = chunks[0] ? chunks[2] : 0;
	if (bpf_map_update_elem(&calls, &key, &f, BPF_ANY))
		call_lost();
}

static __always_inline void rust_enter(struct pt_regs *ctx, __u64 pid_tgid, __u32 file, __u32 site, bool inner)
{
	if (site == PLUMB_SITE_RUST_TLS_READ)
		rust_read(ctx, pid_tgid, file);
	else
		rust_write(ctx, pid_tgid, file, inner);
}

#endif

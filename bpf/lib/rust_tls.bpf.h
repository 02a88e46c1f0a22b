/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * rustls: what a connection has received, decrypted, and what it is given to be encrypted, at the functions of the part of it that both have (CommonState). How Rust lays out what they take is nowhere promised, so each call is doubted
 * (lib/trial.bpf.h): of 0.23 as of 2024 and later,
 *
 *     Payload         { capacity, or a mark that it is borrowed; address; bytes }
 *     OutboundChunks  { 0; address; bytes }, or { address of chunks; their number; begin; end }, of which each is { address; bytes }, as of struct iovec
 *
 * A connection is moved about, most of all where tokio-rustls has it, and what lies where it was may be another. Its encrypter (Box<dyn MessageEncrypter>: { address; table of functions }) stays where it is, as long as it has the
 * same key: that is whom a connection is known by. Where in it that stands is found out by the functions in the table, which have names, once for all connections of a file.
 */
#ifndef PLUMB_RUST_TLS_BPF_H
#define PLUMB_RUST_TLS_BPF_H

#include "lib/tls.bpf.h"

#define RUST_WORDS 160         /* of a connection, at most, among which its encrypter is */
#define RUST_TABLE_ENCRYPT 24  /* behind how to drop it, its size, its alignment */
#define RUST_MISSES_MAX 16
#define RUST_RECORD_MAX 16640 /* what a TLS record holds at most, and then some (RFC 8446, 5.1) */

/* The probe writes what is of the file. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PLUMB_SITE_FILES);
	__type(key, __u32);
	__type(value, struct plumb_rust);
} rust_files SEC(".maps");

/* base: where the file's first byte would be, were all of it mapped as its code is. Not static: the verifier goes through it once, and not with each word. */
__noinline int rust_encrypts(__u32 file, __u64 base, __u64 table)
{
	const struct plumb_rust *r = bpf_map_lookup_elem(&rust_files, &file);
	__u64 function = call_read_pointer(table + RUST_TABLE_ENCRYPT);

	for (int i = 0; r && i < PLUMB_RUST_ENCRYPTS; i++)
		if (r->encrypts[i] && function == base + r->encrypts[i])
			return 1;
	return 0;
}

/* What the connection has there, if that is an encrypter; else 0. */
static __always_inline __u64 rust_encrypter(__u32 file, __u64 base, __u64 address)
{
	__u64 box[2] = {};

	bpf_probe_read_user(box, sizeof(box), (const void *)address);
	return box[1] && rust_encrypts(file, base, box[1]) ? box[0] : 0;
}

static __always_inline __u64 rust_find(struct plumb_rust *r, __u32 file, __u64 base, __u64 connection)
{
	for (__u32 i = 0; i < RUST_WORDS; i++) {
		__u64 encrypter = rust_encrypter(file, base, connection + i * sizeof(__u64));
		if (encrypter) {
			r->at = i * sizeof(__u64);
			return encrypter;
		}
	}
	return 0;
}

/* Whom the connection is known by; 0: nothing can be told of it. Where none has one the program is built as no other, and is let go. */
static __always_inline __u64 rust_session(struct pt_regs *ctx, __u32 file, __u32 site)
{
	struct plumb_rust *r = bpf_map_lookup_elem(&rust_files, &file);
	struct plumb_trial *t = bpf_map_lookup_elem(&call_trials, &file);

	if (!r || !t)
		return 0;
	__u64 probe = site == PLUMB_SITE_RUST_TLS_BEGIN ? r->begin : site == PLUMB_SITE_RUST_TLS_READ ? r->read : r->write;
	__u64 base = PT_REGS_IP(ctx) - probe, encrypter = rust_encrypter(file, base, PT_REGS_PARM1(ctx) + r->at);
	if (!encrypter) /* nothing is known yet, or of another version of rustls in the same program */
		encrypter = rust_find(r, file, base, PT_REGS_PARM1(ctx));
	if (encrypter)
		return encrypter;
	call_lost();
	if (__sync_fetch_and_add(&r->misses, 1) == RUST_MISSES_MAX)
		__sync_fetch_and_add(&t->fails, 1);
	return 0;
}

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
static __always_inline void rust_read(struct pt_regs *ctx, __u64 pid_tgid, __u32 file, __u64 session)
{
	struct call_frame f = call_at_once(pid_tgid, file);
	__u64 payload[3] = {};

	bpf_probe_read_user(payload, sizeof(payload), (const void *)PT_REGS_PARM2(ctx));
	f.site = PLUMB_SITE_RUST_TLS_READ;
	f.args[0] = session;
	f.args[1] = payload[1];
	f.args[2] = RUST_RECORD_MAX;
	if (payload[2] && !rust_is_anothers(&f) && trial_passes(&f, payload[2]))
		tls_moved(&f, 0, PLUMB_INGRESS, (__u32)payload[2]);
}

/* What is to be written is looked up now: it may be another's when the call returns. args: session, bytes or chunks, bytes in all, number of chunks, bytes before them. */
static __always_inline void rust_write(struct pt_regs *ctx, __u64 pid_tgid, __u32 file, __u64 session, bool inner)
{
	__u64 key = inner ? pid_tgid | CALL_WITHIN : pid_tgid;
	struct call_frame f = call_at_once(pid_tgid, file);
	__u64 chunks[4] = {};

	bpf_probe_read_user(chunks, sizeof(chunks), (const void *)PT_REGS_PARM2(ctx));
	f.frame = call_frame_at(ctx, false);
	f.task = bpf_get_current_task();
	f.site = PLUMB_SITE_RUST_TLS_WRITE;
	f.args[0] = session;
	f.args[1] = chunks[0] ? chunks[0] : chunks[1];
	f.args[2] = chunks[0] ? chunks[3] - chunks[2] : chunks[2];
	f.args[3] = chunks[0] ? chunks[1] : 0;
	f.args[4] = chunks[0] ? chunks[2] : 0;
	if (bpf_map_update_elem(&calls, &key, &f, BPF_ANY))
		call_lost();
}

static __always_inline void rust_enter(struct pt_regs *ctx, __u64 pid_tgid, __u32 file, __u32 site, bool inner)
{
	__u64 session = rust_session(ctx, file, site);

	if (!session)
		return;
	if (site == PLUMB_SITE_RUST_TLS_READ) {
		rust_read(ctx, pid_tgid, file, session);
	} else if (site == PLUMB_SITE_RUST_TLS_WRITE) {
		rust_write(ctx, pid_tgid, file, session, inner);
	} else {
		struct call_frame f = call_at_once(pid_tgid, file);
		tls_end(&f, session);
		tls_begin(&f, session);
	}
}

#endif

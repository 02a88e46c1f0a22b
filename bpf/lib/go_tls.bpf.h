/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Go's crypto/tls. A goroutine goes on in whatever thread is free, and its stack moves: a call is known by the goroutine and by how deep it lies on its stack. Arguments and results are in the registers of
 * Go's own convention (ABIInternal: src/cmd/compile/abi-internal.md), of 1.17 on x86-64 and 1.18 on arm64, and later.
 */
#ifndef PLUMB_GO_TLS_BPF_H
#define PLUMB_GO_TLS_BPF_H

#include "lib/tls.bpf.h"

#if defined(__TARGET_ARCH_x86)
#define GO_G(ctx) ((ctx)->r14)
#define GO_ARG1(ctx) ((ctx)->ax)
#define GO_ARG2(ctx) ((ctx)->bx)
#define GO_ARG3(ctx) ((ctx)->cx)
#define GO_RESULT(ctx) ((ctx)->ax)
#else
#define GO_G(ctx) (((const struct user_pt_regs *)(ctx))->regs[28])
#define GO_ARG1(ctx) (((const struct user_pt_regs *)(ctx))->regs[0])
#define GO_ARG2(ctx) (((const struct user_pt_regs *)(ctx))->regs[1])
#define GO_ARG3(ctx) (((const struct user_pt_regs *)(ctx))->regs[2])
#define GO_RESULT(ctx) (((const struct user_pt_regs *)(ctx))->regs[0])
#endif

/* struct g of src/runtime/runtime2.go: stack.lo and stack.hi are its first words, of all versions; goid has been where it is since 1.5. */
#define GO_STACK_HI 8
#define GO_GOID 152
#define GO_GOID_MAX (1ull << 48) /* more are no numbers of goroutines */

struct go_key {
	__u64 g;
	__u32 tgid;
	__u32 pad;
};

struct go_frame {
	__u64 begin_ns;
	__u64 connection, buffer;
	__u64 depth;
	__u64 goid;
	__u32 site;
	__u32 file;
	__u32 detached;
	__u32 missed;
	bool told; /* as it began */
};

/* Bytes that were moved, or are about to be. */
struct go_moved {
	struct call_frame f;
	__u64 goid;
	__u64 bytes;
	int dir;
};

/* Of goroutines that ended within a call it stays until others take its place. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CALLS_MAX);
	__type(key, struct go_key);
	__type(value, struct go_frame);
} go_calls SEC(".maps");

static __always_inline __u64 go_depth(struct pt_regs *ctx) { return call_read_pointer(GO_G(ctx) + GO_STACK_HI) - PT_REGS_SP(ctx); }

/* 0: not known. */
static __always_inline __u64 go_goid(struct pt_regs *ctx)
{
	__u64 goid = call_read_pointer(GO_G(ctx) + GO_GOID);

	return goid < GO_GOID_MAX ? goid : 0;
}

static __always_inline struct go_key go_key_of(struct pt_regs *ctx, __u64 pid_tgid)
{
	struct go_key key = { .g = GO_G(ctx), .tgid = (__u32)(pid_tgid >> 32) };

	return key;
}

static __always_inline void go_moved_of(const struct go_frame *g, __u64 pid_tgid, __s64 bytes, int dir, struct go_moved *ret)
{
	if (bytes <= 0 || bytes > (__s64)TLS_MOVED_MAX)
		return;
	ret->f = (struct call_frame){ .pid_tgid = pid_tgid, .begin_ns = g->begin_ns, .file = g->file, .detached = g->detached, .missed = g->missed, .args = { g->connection, g->buffer } };
	ret->goid = g->goid;
	ret->bytes = (__u64)bytes;
	ret->dir = dir;
}

/*
 * What is written is told as it begins: until Write has returned, another goroutine may have read the answer. Not where Write may have to shake hands first, with which the session is a new one.
 */
static __always_inline bool go_shook_hands(const struct go_frame *g, __u64 pid_tgid)
{
	struct call_handle_key key = { .address = g->connection, .tgid = (__u32)(pid_tgid >> 32) };
	struct tls_session s;

	return tls_get(&key, &s) && s.file == g->file && s.missed == g->missed;
}

static __always_inline void go_begin(struct pt_regs *ctx, __u64 pid_tgid, __u32 file, __u32 site, struct go_moved *ret)
{
	struct go_key key = go_key_of(ctx, pid_tgid);
	struct plumb_call_epoch epoch = call_epoch_of(file);
	struct go_frame *outer = bpf_map_lookup_elem(&go_calls, &key), f = {
		.begin_ns = bpf_ktime_get_boot_ns(), .connection = GO_ARG1(ctx), .buffer = GO_ARG2(ctx), .depth = go_depth(ctx), .goid = go_goid(ctx), .site = site, .file = file,
		.detached = epoch.detached, .missed = epoch.missed,
	};

	/* TLS within TLS: what the program writes is the outer one's. */
	if (outer && outer->depth < f.depth && outer->goid == f.goid && outer->detached == f.detached)
		return;
	/* A function begins anew once its stack has grown, or its goroutine had to let others run. */
	bool again = outer && outer->told && outer->site == site && outer->depth == f.depth && outer->goid == f.goid && outer->detached == f.detached && outer->connection == f.connection && outer->buffer == f.buffer;
	f.told = again || (site == PLUMB_SITE_GO_TLS_WRITE && go_shook_hands(&f, pid_tgid));
	if (bpf_map_update_elem(&go_calls, &key, &f, BPF_ANY))
		call_lost();
	if (f.told && !again)
		go_moved_of(&f, pid_tgid, (__s64)GO_ARG3(ctx), PLUMB_EGRESS, ret);
}

static __always_inline void go_returns(struct pt_regs *ctx, __u64 pid_tgid, __u32 file, __u32 begun_at, int dir, struct go_moved *ret)
{
	struct go_key key = go_key_of(ctx, pid_tgid);
	struct go_frame *at = bpf_map_lookup_elem(&go_calls, &key);

	if (!at)
		return;
	struct go_frame g = *at; /* its place may be another call's at any time */
	if (g.site != begun_at || g.file != file || g.depth != go_depth(ctx) || g.goid != go_goid(ctx))
		return;
	bpf_map_delete_elem(&go_calls, &key);
	if (!g.told)
		go_moved_of(&g, pid_tgid, (__s64)GO_RESULT(ctx), dir, ret);
}

/* A connection that shakes hands is new, whatever lay at its address; nobody need have closed that. */
static __always_inline void go_connection(struct pt_regs *ctx, __u64 pid_tgid, __u32 file, bool begins)
{
	struct call_frame f = call_at_once(pid_tgid, file);

	tls_end(&f, GO_ARG1(ctx));
	if (begins)
		tls_begin(&f, GO_ARG1(ctx));
}

static __always_inline void go_enter(struct pt_regs *ctx, __u64 pid_tgid, __u32 file, __u32 site)
{
	struct go_moved m = { .bytes = 0 };

	switch (site) {
	case PLUMB_SITE_GO_TLS_READ:
	case PLUMB_SITE_GO_TLS_WRITE: go_begin(ctx, pid_tgid, file, site, &m); break;
	case PLUMB_SITE_GO_TLS_DONE_READING: go_returns(ctx, pid_tgid, file, PLUMB_SITE_GO_TLS_READ, PLUMB_INGRESS, &m); break;
	case PLUMB_SITE_GO_TLS_WRITTEN: go_returns(ctx, pid_tgid, file, PLUMB_SITE_GO_TLS_WRITE, PLUMB_EGRESS, &m); break;
	default: go_connection(ctx, pid_tgid, file, site == PLUMB_SITE_GO_TLS_BEGIN); break;
	}
	if (m.bytes)
		tls_moved(&m.f, m.goid, m.dir, m.bytes);
}

#endif

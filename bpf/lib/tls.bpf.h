/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sessions of TLS libraries: what a program writes to them and reads from them makes records as what passes a socket does, with the session's number in place of the socket's. Which socket lies under
 * it, the engine finds out (plumb_rec_data.took_ns).
 */
#ifndef PLUMB_TLS_BPF_H
#define PLUMB_TLS_BPF_H

#include "lib/call.bpf.h"
#include "lib/emit.bpf.h"
#include "lib/policy.bpf.h"

#define TLS_SESSIONS_MAX 16384

struct tls_session {
	__u64 number;
	__u64 next[2];  /* by direction: bytes that were moved */
	__u32 file;     /* whose library made it */
	__u32 missed;   /* as they were when it was last used: see plumb_call_epoch */
	__u32 detached;
	__u32 midway;   /* it is older than what is known of it, or was used unseen */
};

/* By the address of the session in its process. What is not given back stays until others take its place. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, TLS_SESSIONS_MAX);
	__type(key, struct call_handle_key);
	__type(value, struct tls_session);
} tls_sessions SEC(".maps");

/* Sessions made one after the other, on whatever CPU, have different places in the table of policies. */
static __always_inline __u64 tls_number(void)
{
	__u32 zero = 0, cpu = bpf_get_smp_processor_id();
	__u64 *count = bpf_map_lookup_elem(&call_numbers, &zero);

	if (!count)
		return 0;
	return 1ull << PLUMB_SESSION_BIT | (__u64)(cpu >> 6) << 54 | ((__sync_fetch_and_add(count, 1) + 1) << 6 & ((1ull << 54) - 1)) | (cpu & 63);
}

static __always_inline struct tls_session *tls_make(const struct call_frame *f, const struct call_handle_key *key, bool midway)
{
	struct tls_session s = { .number = tls_number(), .file = f->file, .missed = f->missed, .detached = f->detached, .midway = midway };

	if (!s.number || bpf_map_update_elem(&tls_sessions, key, &s, BPF_ANY)) {
		call_lost();
		return NULL;
	}
	policy_reset(s.number);
	return bpf_map_lookup_elem(&tls_sessions, key);
}

/* The session is new: whatever is known of its address is of another one. */
static __always_inline void tls_begin(const struct call_frame *f, __u64 session)
{
	struct call_handle_key key = call_handle_key(f, session);

	if (session)
		tls_make(f, &key, false);
}

static __always_inline void tls_tell_end(struct plumb_percpu *pc, __u32 level, const struct call_frame *f, const struct tls_session *s)
{
	struct plumb_ring_ends *ends;
	struct plumb_rec_sock_stats *r = plumb_reserve(level, sizeof(*r), &ends);

	if (!r) {
		plumb_lost(pc, PLUMB_LOSS_RING_FULL_EVENT, 1);
		return;
	}
	__builtin_memset(r, 0, sizeof(*r));
	plumb_header(&r->h, PLUMB_REC_SOCK_CLOSE, sizeof(*r));
	r->sock = s->number;
	r->pid = (__u32)(f->pid_tgid >> 32);
	r->flags = PLUMB_SOCK_SESSION;
	r->offset[PLUMB_INGRESS] = s->next[PLUMB_INGRESS];
	r->offset[PLUMB_EGRESS] = s->next[PLUMB_EGRESS];
	plumb_commit(ends, sizeof(*r));
}

/* It was given back. What nobody was told of needs no end. */
static __always_inline void tls_end(const struct call_frame *f, __u64 session)
{
	struct call_handle_key key = call_handle_key(f, session);
	struct tls_session *s = bpf_map_lookup_elem(&tls_sessions, &key);
	struct plumb_percpu *pc = plumb_percpu_get();
	__u32 level;

	if (!s || s->file != f->file)
		return;
	if (pc && (s->next[0] || s->next[1]) && plumb_enter(pc, &level)) {
		tls_tell_end(pc, level, f, s);
		plumb_leave(pc, level);
	}
	bpf_map_delete_elem(&tls_sessions, &key);
}

static __always_inline void tls_write_records(struct plumb_percpu *pc, __u32 level, __u64 offset, __u32 len, __u32 want)
{
	struct plumb_scratch *s = plumb_scratch_get(level);

	if (!s)
		return;
	if (want > PLUMB_PAYLOAD_MAX)
		io_emit_parts(pc, level, offset, len, want);
	else
		io_emit_stream(pc, level, &s->head, &s->gather, offset, 0, len, want);
}

/* The head and the place of the bytes go to the scratch, as there is little room on the stack. */
static __always_inline bool tls_prepare(__u32 level, const struct call_frame *f, __u64 number, __u32 flags, int dir, __u64 buffer, __u32 len)
{
	struct plumb_scratch *s = plumb_scratch_get(level);

	if (!s)
		return false;
	__builtin_memset(&s->gather, 0, sizeof(s->gather));
	s->gather.base = (const void *)buffer;
	s->gather.len = len;
	s->gather.readable = true;
	io_head(&s->head, number, PLUMB_REC_DATA, f->pid_tgid, dir, PLUMB_PATH_TLS);
	s->head.flags = (__u16)(flags | BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), nvcsw) << PLUMB_DATA_TURN_SHIFT);
	__u64 took = s->head.h.time_ns - f->begin_ns;
	s->head.took_ns = took > 0xffffffff ? 0xffffffff : (__u32)took;
	return true;
}

static __always_inline void tls_moved(const struct call_frame *f, int dir, __u32 len)
{
	struct call_handle_key key = call_handle_key(f, f->args[0]);
	struct tls_session *s = bpf_map_lookup_elem(&tls_sessions, &key);
	struct plumb_percpu *pc = plumb_percpu_get();
	__u32 level, flags = 0;

	if (!s || s->file != f->file || s->missed != f->missed)
		s = tls_make(f, &key, true);
	if (!s || !pc)
		return;
	if (s->detached != f->detached) { /* it was used while no probe was there */
		s->detached = f->detached;
		s->midway = 1;
		flags |= PLUMB_DATA_RESUMED;
	}
	if (s->midway)
		flags |= PLUMB_DATA_MIDWAY;
	__u64 number = s->number, offset = __sync_fetch_and_add(&s->next[dir & 1], len);
	__u32 want = f->args[1] ? policy_capture(number, ~0u, dir, offset, len) : 0;
	if (!plumb_enter(pc, &level))
		return;
	if (tls_prepare(level, f, number, flags, dir, f->args[1], len))
		tls_write_records(pc, level, offset, len, want);
	plumb_leave(pc, level);
}

static __always_inline void tls_enter(struct pt_regs *ctx, __u64 pid_tgid, __u32 file, __u32 site)
{
	struct call_frame f;

	switch (site) {
	case PLUMB_SITE_TLS_BEGIN:
	case PLUMB_SITE_TLS_FREE:
		f = call_at_once(pid_tgid, file);
		tls_end(&f, PT_REGS_PARM1(ctx));
		if (site == PLUMB_SITE_TLS_BEGIN)
			tls_begin(&f, PT_REGS_PARM1(ctx));
		break;
	default: call_begin(ctx, pid_tgid, file, site, 0); break;
	}
}

/* Nothing was kept of its entry, of which nothing is needed. */
static __always_inline void tls_new(struct pt_regs *ctx, __u32 file)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();

	call_hit(PLUMB_SITE_TLS_NEW);
	if (!target_wanted((__u32)(pid_tgid >> 32)))
		return;
	struct call_frame f = call_at_once(pid_tgid, file);
	tls_begin(&f, PT_REGS_RC(ctx));
}

static __always_inline void tls_return(const struct call_frame *f, __s32 result)
{
	__u64 bytes = result > 0 ? (__u32)result : 0;
	bool writes = f->site == PLUMB_SITE_TLS_WRITE || f->site == PLUMB_SITE_TLS_WRITE_EX;

	if (f->site == PLUMB_SITE_TLS_INIT) {
		if (result == 0)
			tls_begin(f, call_read_pointer(f->args[0]));
		return;
	}
	if (result > 0 && (f->site == PLUMB_SITE_TLS_READ_EX || f->site == PLUMB_SITE_TLS_WRITE_EX))
		bytes = call_read_pointer(f->args[3]);
	if (bytes && bytes <= 0x7fffffff)
		tls_moved(f, writes ? PLUMB_EGRESS : PLUMB_INGRESS, (__u32)bytes);
}

#endif

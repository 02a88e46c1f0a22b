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
#include "lib/tls_descriptor.bpf.h"
#include "lib/tls_memory.bpf.h"
#include "lib/trial.bpf.h"

#define TLS_SESSIONS_MAX 16384

struct tls_session {
	__u64 number;
	__u32 file;     /* whose library made it */
	__u32 missed;   /* as they were when it was last used: see plumb_call_epoch */
	__u32 detached;
	__u32 midway;   /* it is older than what is known of it, or was used unseen */
	__u64 made_ns;
	__u64 socket;   /* that was told of; 0 none yet */
};

/* By the address of the session in its process. What is not given back stays until others take its place. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, TLS_SESSIONS_MAX);
	__type(key, struct call_handle_key);
	__type(value, struct tls_session);
} tls_sessions SEC(".maps");

/* A direction of it. Apart, as two threads may be at it, one for each: neither shall undo what the other has changed. */
struct tls_stream {
	__u64 number; /* of the session: else it is of one before */
	__u64 next;   /* bytes that were moved */
};

/* The key is the session's, with the direction in its last word. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2 * TLS_SESSIONS_MAX);
	__type(key, struct call_handle_key);
	__type(value, struct tls_stream);
} tls_streams SEC(".maps");

/* Sessions made one after the other, on whatever CPU, have different places in the table of policies. */
static __always_inline __u64 tls_number(void)
{
	__u32 zero = 0, cpu = bpf_get_smp_processor_id();
	__u64 *count = bpf_map_lookup_elem(&call_numbers, &zero);

	if (!count)
		return 0;
	return 1ull << PLUMB_SESSION_BIT | (__u64)(cpu >> 6) << 54 | ((__sync_fetch_and_add(count, 1) + 1) << 6 & ((1ull << 54) - 1)) | (cpu & 63);
}

static __always_inline struct call_handle_key tls_stream_key(struct call_handle_key session, int dir)
{
	session.pad = (__u32)dir & 1;
	return session;
}

/* false: nothing is known of it. */
static __always_inline bool tls_get(const struct call_handle_key *key, struct tls_session *ret)
{
	struct tls_session *s = bpf_map_lookup_elem(&tls_sessions, key);

	if (!s)
		return false;
	*ret = *s;
	return bpf_map_lookup_elem(&tls_sessions, key) == s;
}

/* Bytes that the session has moved there; ~0: not known any more. */
static __always_inline __u64 tls_offset(const struct call_handle_key *session, __u64 number, int dir)
{
	struct call_handle_key key = tls_stream_key(*session, dir);
	struct tls_stream *t = bpf_map_lookup_elem(&tls_streams, &key);

	if (!t)
		return ~0ull;
	struct tls_stream copy = *t;
	return copy.number == number && bpf_map_lookup_elem(&tls_streams, &key) == t ? copy.next : ~0ull;
}

static __always_inline int tls_set_offset(const struct call_handle_key *session, __u64 number, int dir, __u64 next)
{
	struct call_handle_key key = tls_stream_key(*session, dir);
	struct tls_stream t = { .number = number, .next = next };

	return (int)bpf_map_update_elem(&tls_streams, &key, &t, BPF_ANY);
}

static __always_inline bool tls_make(const struct call_frame *f, const struct call_handle_key *key, bool midway, struct tls_session *ret)
{
	struct tls_session s = { .number = tls_number(), .file = f->file, .missed = f->missed, .detached = f->detached, .midway = midway, .made_ns = f->begin_ns };

	if (!s.number || tls_set_offset(key, s.number, 0, 0) || tls_set_offset(key, s.number, 1, 0) || bpf_map_update_elem(&tls_sessions, key, &s, BPF_ANY)) {
		call_lost();
		return false;
	}
	*ret = s;
	return true;
}

/* The session is new: whatever is known of its address is of another one. */
static __always_inline void tls_begin(const struct call_frame *f, __u64 session)
{
	struct call_handle_key key = call_handle_key(f, session);
	struct tls_session s;

	if (session)
		tls_make(f, &key, false, &s);
}

static __always_inline void tls_tell_end(struct plumb_percpu *pc, __u32 level, const struct call_frame *f, __u64 number, __u64 in, __u64 out)
{
	struct plumb_ring_ends *ends;
	struct plumb_rec_sock_stats *r = plumb_reserve(level, sizeof(*r), &ends);

	if (!r) {
		plumb_lost(pc, PLUMB_LOSS_RING_FULL_EVENT, 1);
		return;
	}
	__builtin_memset(r, 0, sizeof(*r));
	plumb_header(&r->h, PLUMB_REC_SOCK_CLOSE, sizeof(*r));
	r->sock = number;
	r->pid = (__u32)(f->pid_tgid >> 32);
	r->flags = PLUMB_SOCK_SESSION;
	r->offset[PLUMB_INGRESS] = in;
	r->offset[PLUMB_EGRESS] = out;
	plumb_commit(ends, sizeof(*r));
}

/* It was given back. What nobody was told of needs no end. */
static __always_inline void tls_end(const struct call_frame *f, __u64 session)
{
	struct call_handle_key key = call_handle_key(f, session);
	struct plumb_percpu *pc = plumb_percpu_get();
	struct tls_session s;
	__u32 level;

	if (!tls_get(&key, &s) || s.file != f->file)
		return;
	__u64 in = tls_offset(&key, s.number, PLUMB_INGRESS), out = tls_offset(&key, s.number, PLUMB_EGRESS);
	in = in == ~0ull ? 0 : in;
	out = out == ~0ull ? 0 : out;
	if (pc && (in || out) && plumb_enter(pc, &level)) {
		tls_tell_end(pc, level, f, s.number, in, out);
		plumb_leave(pc, level);
	}
	bpf_map_delete_elem(&tls_sessions, &key);
	for (int dir = 0; dir < 2; dir++) {
		struct call_handle_key stream = tls_stream_key(key, dir);
		bpf_map_delete_elem(&tls_streams, &stream);
	}
}

static __always_inline void tls_write_records(struct plumb_percpu *pc, __u32 level, __u64 offset, __u32 len, __u32 want)
{
	struct plumb_scratch *s = plumb_scratch_get(level);

	if (!s)
		return;
	if (want > PLUMB_PAYLOAD_MAX || s->gather.iov)
		io_emit_parts(pc, level, offset, len, want);
	else
		io_emit_stream(pc, level, &s->head, &s->gather, offset, 0, len, want);
}

/* The head and the place of the bytes go to the scratch, as there is little room on the stack. */
static __always_inline bool tls_prepare(__u32 level, const struct call_frame *f, __u64 flow, __u64 number, bool looked, __u32 flags, int dir, __u64 buffer, __u32 len)
{
	struct plumb_scratch *s = plumb_scratch_get(level);

	if (!s)
		return false;
	__builtin_memset(&s->gather, 0, sizeof(s->gather));
	s->gather.base = (const void *)buffer;
	s->gather.len = len;
	if (f->site == PLUMB_SITE_RUST_TLS_WRITE && f->args[3]) {
		s->gather.base = NULL;
		s->gather.iov = (const struct iovec *)buffer;
		s->gather.segments = f->args[3] > PLUMB_IOV_MAX ? PLUMB_IOV_MAX : (__u16)f->args[3];
		s->gather.first = (__u32)f->args[4];
	}
	s->gather.readable = true;
	io_head(&s->head, number, PLUMB_REC_DATA, f->pid_tgid, dir, PLUMB_PATH_TLS);
	s->head.flow = flow;
	if (looked) {
		s->head.record = tls_memory(f->args[0], (__u32)dir);
		flags |= s->head.record ? PLUMB_DATA_RECORD : 0;
	}
	if (f->site == PLUMB_SITE_TLS_READ_APART || f->site == PLUMB_SITE_TLS_WRITE_APART)
		flags |= PLUMB_DATA_APART;
	s->head.flags = (__u16)(flags | BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), nvcsw) << PLUMB_DATA_TURN_SHIFT);
	__u64 took = s->head.h.time_ns - f->begin_ns;
	s->head.took_ns = took > 0xffffffff ? 0xffffffff : (__u32)took;
	return true;
}

/* The session that the call was of, and where its bytes stand; flags: what is to be said of them. */
static __always_inline bool tls_session_of(const struct call_frame *f, const struct call_handle_key *key, int dir, struct tls_session *s, __u64 *ret_offset, __u32 *ret_flags)
{
	bool known = tls_get(key, s) && s->file == f->file && s->missed == f->missed;
	__u64 offset = known ? tls_offset(key, s->number, dir) : ~0ull;

	*ret_flags = 0;
	if (offset == ~0ull) {
		if (!tls_make(f, key, true, s))
			return false;
		offset = 0;
	}
	if (s->detached != f->detached) { /* it was used while no probe was there */
		s->detached = f->detached;
		s->midway = 1;
		bpf_map_update_elem(&tls_sessions, key, s, BPF_EXIST);
		*ret_flags |= PLUMB_DATA_RESUMED;
	}
	if (s->midway)
		*ret_flags |= PLUMB_DATA_MIDWAY;
	*ret_offset = offset;
	return true;
}

/* Which socket is under it: once, and now and then again, for an engine that came later. */
static __always_inline void tls_tell_socket(struct plumb_percpu *pc, __u32 level, const struct call_frame *f, const struct tls_session *s)
{
	struct plumb_ring_ends *ends;
	struct plumb_rec_session *r = plumb_reserve(level, sizeof(*r), &ends);

	if (!r) {
		plumb_lost(pc, PLUMB_LOSS_RING_FULL_EVENT, 1);
		return;
	}
	__builtin_memset(r, 0, sizeof(*r));
	plumb_header(&r->h, PLUMB_REC_SESSION, sizeof(*r));
	r->session = s->number;
	r->sock = s->socket;
	r->pid = (__u32)(f->pid_tgid >> 32);
	plumb_commit(ends, sizeof(*r));
}

static __always_inline bool tls_find_socket(const struct call_frame *f, const struct call_handle_key *key, __u64 flow, __u64 offset, __u32 len, struct tls_session *s)
{
	if (!flow || (s->socket && !tls_seldom(offset, len)))
		return false;
	s->socket = tls_go_socket(f->args[0]);
	return s->socket && !bpf_map_update_elem(&tls_sessions, key, s, BPF_EXIST);
}

#define TLS_MOVED_MAX (1ull << 48) /* more is no count of bytes */

/* Of more than a record can tell of, its end is a hole in the stream. */
static __always_inline void tls_moved(const struct call_frame *f, __u64 flow, int dir, __u64 bytes)
{
	struct call_handle_key key = call_handle_key(f, f->args[0]);
	struct plumb_percpu *pc = plumb_percpu_get();
	__u32 level, flags, len = bytes > 0xffffffff ? 0xffffffff : (__u32)bytes;
	struct tls_session s;
	__u64 offset;

	/* While only some functions have probes, bytes pass unseen: the session goes on where all have. One that begins meanwhile was used unseen, too. */
	if (!pc || f->detached & PLUMB_CALL_AWAY || !tls_session_of(f, &key, dir, &s, &offset, &flags))
		return;
	if (tls_set_offset(&key, s.number, dir, offset + bytes))
		call_lost();
	/* NSPR's pieces are not laid out as struct iovec, and what a file has never was in the program's memory. */
	bool readable = f->args[1] && f->site != PLUMB_SITE_NSS_WRITEV && f->site != PLUMB_SITE_TLS_SENDFILE;
	__u32 want = readable ? policy_capture(s.number, ~0u, dir, offset, len) : 0;
	bool tells = tls_find_socket(f, &key, flow, offset, len, &s);
	if (!plumb_enter(pc, &level))
		return;
	if (tells)
		tls_tell_socket(pc, level, f, &s);
	if (tls_prepare(level, f, flow, s.number, !flow && tls_memory_wanted(offset, len), flags, dir, f->args[1], len))
		tls_write_records(pc, level, offset, len, want);
	plumb_leave(pc, level);
}

static __always_inline bool tls_site_is_nss(__u32 site) { return site >= PLUMB_SITE_NSS_IMPORT && site <= PLUMB_SITE_NSS_WRITEV; }

static __always_inline bool tls_site_reads(__u32 site)
{
	return site == PLUMB_SITE_TLS_READ || site == PLUMB_SITE_TLS_READ_EX || site == PLUMB_SITE_TLS_READ_APART || site == PLUMB_SITE_RUST_TLS_READ || site == PLUMB_SITE_NSS_READ || site == PLUMB_SITE_NSS_RECV;
}

static __always_inline bool tls_site_writes(__u32 site)
{
	return site == PLUMB_SITE_TLS_WRITE || site == PLUMB_SITE_TLS_WRITE_EX || site == PLUMB_SITE_TLS_WRITE_EX2 || site == PLUMB_SITE_TLS_WRITE_APART || site == PLUMB_SITE_TLS_SENDFILE || site == PLUMB_SITE_RUST_TLS_WRITE || site == PLUMB_SITE_NSS_WRITE || site == PLUMB_SITE_NSS_WRITEV;
}

/*
 * Was it made by a function of the program's that the library calls? In Node the end of a handshake, which is found out in reading, runs what waited for it, and that writes. The library's own
 * (gnutls_record_send() by gnutls_record_send2()) are of the same session and direction; a descriptor of NSPR is read by reading those that lie under it.
 */
static __always_inline bool tls_is_of_callback(__u32 site, __u64 session, const struct call_outer *outer)
{
	if (site < PLUMB_SITE_TLS_NEW || site >= PLUMB_SITE_GPU_PLAIN)
		return false;
	return (session != outer->object && !(tls_site_is_nss(site) && tls_site_is_nss(outer->site))) || (tls_site_reads(site) && tls_site_writes(outer->site)) || (tls_site_writes(site) && tls_site_reads(outer->site));
}

/* Nothing is asked of such a function's return: what it is called for is done. */
static __always_inline void tls_told(struct pt_regs *ctx, __u64 pid_tgid, __u32 file, __u32 site)
{
	struct call_frame f = call_at_once(pid_tgid, file);
	__u64 bytes = PT_REGS_PARM3(ctx);

	f.site = site;
	f.args[0] = PT_REGS_PARM1(ctx);
	f.args[1] = PT_REGS_PARM2(ctx);
	if (bytes && bytes <= 0x7fffffff)
		tls_moved(&f, 0, site == PLUMB_SITE_TLS_TOLD_WRITE ? PLUMB_EGRESS : PLUMB_INGRESS, (__u32)bytes);
}

static __always_inline void tls_enter(struct pt_regs *ctx, __u64 pid_tgid, __u32 file, __u32 site, bool inner)
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
	case PLUMB_SITE_TLS_TOLD_READ:
	case PLUMB_SITE_TLS_TOLD_WRITE: tls_told(ctx, pid_tgid, file, site); break;
	default: call_begin_at(ctx, pid_tgid, inner ? pid_tgid | CALL_WITHIN : pid_tgid, file, site, 0); break;
	}
}

/* Nothing was kept of its entry, of which nothing is needed. */
static __always_inline void tls_new(struct pt_regs *ctx, __u32 file)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();

	if (!target_wanted((__u32)(pid_tgid >> 32)))
		return;
	struct call_frame f = call_at_once(pid_tgid, file);
	tls_begin(&f, PT_REGS_RC(ctx));
}

static __always_inline void tls_return(const struct call_frame *f, __s32 result, bool guessed)
{
	__u64 bytes = result > 0 ? (__u32)result : 0;

	if (f->site == PLUMB_SITE_TLS_INIT) {
		if (result == 0)
			tls_begin(f, call_read_pointer(f->args[0]));
		return;
	}
	if (result > 0 && (f->site == PLUMB_SITE_TLS_READ_EX || f->site == PLUMB_SITE_TLS_WRITE_EX))
		bytes = call_read_pointer(f->args[3]);
	if (result > 0 && f->site == PLUMB_SITE_TLS_WRITE_EX2)
		bytes = call_read_pointer(f->args[4]);
	if (bytes && guessed && !trial_passes(f, bytes))
		return;
	if (bytes && bytes <= TLS_MOVED_MAX)
		tls_moved(f, 0, tls_site_writes(f->site) ? PLUMB_EGRESS : PLUMB_INGRESS, bytes);
}

#endif

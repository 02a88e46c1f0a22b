/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Bytes of a program's memory to records: what is known of where they lie (plumb_gather), where they stand in a stream, and how many of them are wanted. */
#ifndef PLUMB_EMIT_BPF_H
#define PLUMB_EMIT_BPF_H

#include "lib/core.bpf.h"

static __always_inline bool gather_segment(const struct plumb_gather *g, __u32 i, struct iovec *ret)
{
#ifdef PLUMB_MSG_ITER
	if (g->kernel)
		return bpf_probe_read_kernel(ret, sizeof(*ret), &g->iov[i]) == 0;
#endif
	return bpf_probe_read_user(ret, sizeof(*ret), &g->iov[i]) == 0;
}

/*
 * Copies up to `want` (<= PLUMB_PAYLOAD_MAX) bytes that stand `skip` bytes into the array of buffers in the level's scratch, behind the `head` bytes of a record
 * that is being built in the level's ring. Returns how many were copied: fewer when segments ran out or memory could not be read. A function of its own that
 * takes numbers only (pointers to structs need kernel 5.12), so that the verifier walks it once; the place is the one that its caller has reserved.
 */
__noinline int gather_copy(__u32 level, __u32 head, __u32 skip, __u32 want)
{
	struct plumb_ring_ends *ends;

	level &= PLUMB_RING_LEVELS - 1;
	if (want > PLUMB_PAYLOAD_MAX || head > sizeof(struct plumb_rec_dgram))
		return 0;
	struct plumb_scratch *s = plumb_scratch_get(level);
	__u8 *to = plumb_reserve(level, head + want, &ends);
	if (!s || !to)
		return 0;
	const struct plumb_gather *g = &s->gather;
	to += head;
	s->copied = 0;
	s->to_skip = skip + g->first;
	for (__u32 i = 0; i < PLUMB_IOV_MAX; i++) {
		__u32 done = s->copied;
		struct iovec v;

		if (i >= g->segments || done >= want || done > PLUMB_PAYLOAD_MAX)
			break;
		if (!gather_segment(g, i, &v))
			break;
		if (v.iov_len <= s->to_skip) {
			s->to_skip -= (__u32)v.iov_len;
			continue;
		}
		__u64 len = v.iov_len - s->to_skip;
		if (len > want - done)
			len = want - done;
		if (len > PLUMB_PAYLOAD_MAX)
			len = PLUMB_PAYLOAD_MAX;
		if (bpf_probe_read_user(to + done, (__u32)len, v.iov_base + s->to_skip))
			break;
		s->copied = done + (__u32)len;
		s->to_skip = 0;
	}
	return (int)s->copied;
}

/* The same for whichever way the bytes lie; `to` is where they go, behind `head` bytes of the record. An array of buffers is in the scratch by now. */
static __always_inline __u32 io_copy(void *to, const struct plumb_gather *g, __u32 level, __u32 head, __u32 skip, __u32 want)
{
	if (g->base) {
		/* Older verifiers forget the bounds of a number that was kept on the stack: they are told again where it is used. */
		asm volatile("" : "+r"(want));
		want &= 2 * PLUMB_PAYLOAD_MAX - 1;
		return bpf_probe_read_user(to, want, g->base + skip) ? 0 : want;
	}
	return (__u32)gather_copy(level, head, skip, want);
}

static __always_inline void io_head(struct plumb_rec_data *r, __u64 sock, __u16 type, __u64 pid_tgid, int dir, __u32 path)
{
	plumb_header(&r->h, type, 0);
	r->sock = sock;
	r->flow = 0;
	r->pid = (__u32)(pid_tgid >> 32);
	r->tid = (__u32)pid_tgid;
	r->direction = (__u8)dir;
	r->path = (__u8)path;
	r->flags = 0;
	r->turn = 0;
}

static __always_inline void io_lost(struct plumb_percpu *pc, __u32 len)
{
	plumb_lost(pc, PLUMB_LOSS_RING_FULL, 1);
	plumb_lost(pc, PLUMB_LOSS_RING_FULL_BYTES, len);
}

/* Counts what was wanted and could not be had, and gives the record to the reader. */
static __always_inline void io_commit(struct plumb_percpu *pc, struct plumb_ring_ends *ends, struct plumb_rec_data *r, __u32 head, __u32 got, __u32 want,
				      __u32 skip)
{
	/* Nothing at all could be read: a fault, unless it lies behind the segments that are looked at. */
	if (got < want)
		plumb_lost(pc, got || skip ? PLUMB_LOSS_TRUNCATED : PLUMB_LOSS_FAULT, 1);
	r->captured = got;
	r->h.size = (head + got + 7) & ~7u;
	plumb_commit(ends, r->h.size);
}

/* What each record of an I/O says of it. */
#define PLUMB_IO_FLAGS (PLUMB_DATA_NONBLOCK | PLUMB_DATA_WATCHED | 0xff << PLUMB_DATA_TURN_SHIFT)

/*
 * One record of a stream I/O: `len` bytes at offset, of which up to want (<= PLUMB_PAYLOAD_MAX), `skip` bytes into the buffers, are copied. False if fewer
 * could be; a record that found no room is counted here.
 */
static __always_inline bool io_emit_stream(struct plumb_percpu *pc, __u32 level, const struct plumb_rec_data *head, const struct plumb_gather *g, __u64 offset,
					   __u32 skip, __u32 len, __u32 want)
{
	struct plumb_ring_ends *ends;
	__u32 got;
	struct plumb_rec_data *r = plumb_reserve_data(level, sizeof(*r) + want + 7, &ends);

	if (!r) {
		io_lost(pc, len);
		return true;
	}
	*r = *head;
	r->offset = offset;
	r->len = len;
	r->flags = (!len ? PLUMB_DATA_EOF : skip ? PLUMB_DATA_CONTINUED : head->flags) | (head->flags & PLUMB_IO_FLAGS);
	got = want ? io_copy(r + 1, g, level, sizeof(*r), skip, want) : 0;
	io_commit(pc, ends, r, sizeof(*r), got, want, skip);
	return got == want;
}

/* A part of a long I/O, whose head and buffers are in the scratch. Returns whether it is as long as it should be. */
__noinline int io_emit_part(__u32 level, __u64 offset, __u32 skip, __u64 len_want)
{
	struct plumb_percpu *pc = plumb_percpu_get();
	__u32 want = (__u32)len_want;

	level &= PLUMB_RING_LEVELS - 1;
	struct plumb_scratch *s = plumb_scratch_get(level);
	if (!pc || !s || want > PLUMB_PAYLOAD_MAX)
		return 0;
	return io_emit_stream(pc, level, &s->head, &s->gather, offset, skip, (__u32)(len_want >> 32), want);
}

/*
 * Long I/O: full records. Of one that is too long for them the last is its end, which says more than its middle: how a result ended, and where the next message
 * begins.
 */
static __always_inline void io_emit_parts(struct plumb_percpu *pc, __u32 level, __u64 offset, __u32 len, __u32 want)
{
	__u32 done = 0;

	for (int i = 0; i < PLUMB_PAYLOAD_CHUNKS; i++) {
		__u32 left = want - done;
		bool last = i == PLUMB_PAYLOAD_CHUNKS - 1 || left <= PLUMB_PAYLOAD_MAX;
		__u32 part = left > PLUMB_PAYLOAD_MAX ? PLUMB_PAYLOAD_MAX : left;

		if (last && left > part) {
			io_emit_part(level, offset + done, done, (__u64)(left - part) << 32);
			plumb_lost(pc, PLUMB_LOSS_TRUNCATED, 1);
			done += left - part;
		}
		bool whole = io_emit_part(level, offset + done, done, (__u64)(last ? len - done : part) << 32 | part);
		done += part;
		if (last)
			break;
		if (!whole) {
			/* Nor will what follows be read: its length, and no second count. */
			io_emit_part(level, offset + done, done, (__u64)(len - done) << 32);
			return;
		}
	}
}

#endif

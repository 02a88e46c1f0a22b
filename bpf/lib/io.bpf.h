/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One I/O on a socket to records: where the bytes are in user memory, where they stand in the stream, how many of them are wanted. Shared by every rung that
 * sees I/O; the caller knows the socket, the result and the system call.
 */
#ifndef PLUMB_IO_BPF_H
#define PLUMB_IO_BPF_H

#include "lib/emit.bpf.h"
#include "lib/ktls.bpf.h"
#include "lib/regs.bpf.h"
#include "lib/sock.bpf.h"

#define PLUMB_MSG_OOB 0x1
#define PLUMB_MSG_PEEK 0x2
#define PLUMB_MSG_TRUNC 0x20
#define PLUMB_MSG_ERRQUEUE 0x2000

static __always_inline void gather_msghdr(const struct user_msghdr *from, struct plumb_gather *g)
{
	struct user_msghdr m;

	if (bpf_probe_read_user(&m, sizeof(m), from))
		return;
	g->iov = m.msg_iov;
	g->segments = m.msg_iovlen > PLUMB_IOV_MAX ? PLUMB_IOV_MAX : (__u32)m.msg_iovlen;
	g->name = m.msg_name;
	g->readable = true;
}

#define PLUMB_MMSG_LONGEST 1024 /* UIO_MAXIOV: of a longer array the kernel takes no more */

/*
 * sendmmsg and recvmmsg: the tracepoint fires once a message without saying which. The state counts them; a failed message, another array or
 * another thread starts anew.
 */
static __always_inline void gather_mmsg(struct plumb_sock_state *st, const struct plumb_syscall *sc, __u32 tid, struct plumb_gather *g)
{
	__u64 array = sc->arg[1];
	__u32 vlen = (__u32)sc->arg[2];

	if (vlen > PLUMB_MMSG_LONGEST)
		vlen = PLUMB_MMSG_LONGEST;
	if (sc->message >= 0) {
		g->behind = sc->behind;
		gather_msghdr((const struct user_msghdr *)(array + (__u64)sc->message * sizeof(struct mmsghdr)), g);
		return;
	}
	if (st->mmsg != array || st->mmsg_tid != tid || st->mmsg_done >= vlen) {
		st->mmsg = array;
		st->mmsg_tid = tid;
		st->mmsg_done = 0;
	}
	gather_msghdr((const struct user_msghdr *)(array + (__u64)st->mmsg_done * sizeof(struct mmsghdr)), g);
	st->mmsg_done++;
	if (st->mmsg_done >= vlen)
		st->mmsg = 0;
}

#define PLUMB_IOV_SUM 16 /* segments of a message of sendmmsg whose lengths are added up */

/* Do the first segments of a message hold more than `len` bytes? Then it was sent in part. */
__noinline int iov_exceeds(__u64 iov, __u32 segments, __u32 len)
{
	__u64 total = 0;

	for (__u32 i = 0; i < PLUMB_IOV_SUM; i++) {
		struct iovec v = {};

		if (i >= segments || bpf_probe_read_user(&v, sizeof(v), &((const struct iovec *)iov)[i]))
			break;
		total += v.iov_len;
	}
	return total > len;
}

static __always_inline void gather_of(struct plumb_sock_state *st, const struct plumb_syscall *sc, __u32 tid, struct plumb_gather *g)
{
	__builtin_memset(g, 0, sizeof(*g));
	switch (sc->nr) {
	case PLUMB_NR_read: g->path = PLUMB_PATH_READ; goto buffer;
	case PLUMB_NR_write: g->path = PLUMB_PATH_WRITE; goto buffer;
	case PLUMB_NR_recvfrom: g->path = PLUMB_PATH_RECVFROM; goto buffer;
	case PLUMB_NR_sendto:
		g->path = PLUMB_PATH_SENDTO;
		g->name = (const void *)sc->arg[4];
		goto buffer;
	case PLUMB_NR_readv: g->path = PLUMB_PATH_READV; goto vector;
	case PLUMB_NR_writev: g->path = PLUMB_PATH_WRITEV; goto vector;
	case PLUMB_NR_preadv2: g->path = PLUMB_PATH_PREADV2; goto vector;
	case PLUMB_NR_pwritev2: g->path = PLUMB_PATH_PWRITEV2; goto vector;
	case PLUMB_NR_recvmsg: g->path = PLUMB_PATH_RECVMSG; gather_msghdr((const struct user_msghdr *)sc->arg[1], g); return;
	case PLUMB_NR_sendmsg: g->path = PLUMB_PATH_SENDMSG; gather_msghdr((const struct user_msghdr *)sc->arg[1], g); return;
	case PLUMB_NR_recvmmsg: g->path = PLUMB_PATH_RECVMMSG; gather_mmsg(st, sc, tid, g); return;
	case PLUMB_NR_sendmmsg: g->path = PLUMB_PATH_SENDMMSG; gather_mmsg(st, sc, tid, g); return;
	case PLUMB_NR_sendfile: g->path = PLUMB_PATH_SENDFILE; return;
	case PLUMB_NR_splice: g->path = PLUMB_PATH_SPLICE; return;
	case PLUMB_NR_io_uring_enter: g->path = PLUMB_PATH_IO_URING; return;
	default: return;
	}
buffer:
	g->base = (const void *)sc->arg[1];
	g->len = sc->arg[2];
	g->readable = true;
	return;
vector:
	g->iov = (const struct iovec *)sc->arg[1];
	g->segments = sc->arg[2] > PLUMB_IOV_MAX ? PLUMB_IOV_MAX : (__u32)sc->arg[2];
	g->readable = true;
}

#ifdef PLUMB_MSG_ITER
struct iov_iter___before_6_4 {
	const struct iovec *iov;
} __attribute__((preserve_access_index));

/* The buffers of an io_uring request, which no register tells: from where the kernel's list stands now back over the `moved` bytes. */
static __always_inline void gather_iter(const struct iov_iter *it, __u32 moved, struct plumb_gather *g)
{
	__u64 offset = BPF_CORE_READ(it, iov_offset), left = moved;
	__u32 type = BPF_CORE_READ(it, iter_type);
	const struct iovec *v;
	struct iovec segment;

	if (bpf_core_enum_value_exists(enum iter_type, ITER_UBUF) && type == bpf_core_enum_value(enum iter_type, ITER_UBUF)) {
		g->base = BPF_CORE_READ(it, ubuf) + offset - moved;
		g->len = moved;
		g->readable = true;
		return;
	}
	if (type != bpf_core_enum_value(enum iter_type, ITER_IOVEC))
		return;
	if (bpf_core_field_exists(it->__iov))
		v = BPF_CORE_READ(it, __iov);
	else
		v = BPF_CORE_READ((const struct iov_iter___before_6_4 *)it, iov);
	for (int i = 0; i < PLUMB_IOV_MAX && left > offset; i++) {
		left -= offset;
		if (bpf_probe_read_kernel(&segment, sizeof(segment), --v))
			return;
		offset = segment.iov_len;
	}
	if (left > offset)
		return;
	g->iov = v;
	g->first = (__u32)(offset - left);
	g->segments = PLUMB_IOV_MAX;
	g->kernel = g->readable = true;
}
#endif

/*
 * A Unix stream has no sequence numbers: its ends agree on offsets only if both count from the same moment on, and every byte, wanted or not. They do if nothing was under
 * way when they were first seen; then the first bytes that the client's end sees are sent, and those that the server's end sees received.
 */
static __always_inline void io_first(struct plumb_sock_state *st, int dir)
{
	if (dir == PLUMB_EGRESS && !(st->flags & (PLUMB_ST_BEGUN_IN | PLUMB_ST_BEGUN_OUT)))
		st->flags |= PLUMB_ST_SENT_FIRST;
}

#define PLUMB_BACK_MAX (1u << 28) /* two threads' calls may be seen in the other order: so far back at most */
#define PLUMB_UNSEEN_MANY (1u << 20)

/*
 * Sequence numbers say how much passed unseen modulo 4 GiB only: so many times 4 GiB more, by the kernel's own count of a socket that was seen from its beginning. What is
 * not read or not acknowledged yet makes it inexact, but by far less.
 */
static __noinline __u64 io_rounds(struct sock *sk, struct plumb_sock_state *st, int dir, __u64 at)
{
	struct tcp_sock *tp = sock_tcp(sk);

	if (!tp || !(st->flags & PLUMB_ST_FRESH))
		return 0;
	__u64 moved = dir == PLUMB_INGRESS ? SK(tp, bytes_received) - (SK(tp, rcv_nxt) - SK(tp, copied_seq)) : SK(tp, bytes_acked) + (SK(tp, write_seq) - SK(tp, snd_una));
	__u64 missing = st->start[dir & 1] + moved - at;

	return missing >> 63 ? 0 : (missing + (1u << 31)) >> 32 << 32;
}

/* The same where the kernel has made records of them: they begin where TCP's bytes before them end, and are more there. */
static __always_inline __u64 io_offset_covered(struct sock *sk, struct plumb_sock_state *st, int dir)
{
	struct tcp_sock *tp = sock_tcp(sk);
	__u64 at = st->next[dir & 1];
	__u32 ahead = tp ? (dir == PLUMB_INGRESS ? sock_tcp_read(sk, tp) : SK(tp, write_seq)) - (__u32)at : 0;

	st->next[dir & 1] = at + (ahead >> 31 ? 0 : ahead);
	return at;
}

/* Offset of the first of `len` bytes that have just passed; the low 32 bits are TCP's sequence number, holes of unseen paths included. */
static __always_inline __u64 io_offset(struct sock *sk, struct plumb_sock_state *st, int dir, __u32 len, const struct plumb_gather *g)
{
	__u32 begun = dir == PLUMB_INGRESS ? PLUMB_ST_BEGUN_IN : PLUMB_ST_BEGUN_OUT, behind = g ? g->behind : 0;
	__u64 at = st->next[dir & 1];

	if (g && g->covered && st->flags & begun && !(st->flags & PLUMB_ST_PLAIN))
		return io_offset_covered(sk, st, dir);
	if ((st->flags & (PLUMB_ST_TCP | PLUMB_ST_PLAIN)) == PLUMB_ST_TCP) {
		struct tcp_sock *tp = sock_tcp(sk);
		if (tp) {
			__u32 first = (dir == PLUMB_INGRESS ? sock_tcp_read(sk, tp) : SK(tp, write_seq)) - behind - len;
			__u32 ahead = first - (__u32)at;
			if (!(st->flags & begun))
				at = 1ull << 32 | first;
			else if (ahead >= -PLUMB_BACK_MAX)
				at -= -ahead;
			else
				at += ahead;
			if (st->flags & begun && ahead > PLUMB_UNSEEN_MANY && ahead < -PLUMB_BACK_MAX)
				at += io_rounds(sk, st, dir, at);
		}
	}
	if (!(st->flags & begun)) {
		st->flags |= begun;
		st->start[dir & 1] = at - (st->next[dir & 1] - st->start[dir & 1]); /* totals go on where they were */
	}
	st->next[dir & 1] = at + len;
	return at;
}

/* How many bytes of an I/O are wanted; counts one whose bytes cannot be read. */
static __always_inline __u32 io_want(struct plumb_percpu *pc, const struct plumb_sock_state *st, const struct plumb_gather *g, int dir, __u64 offset, __u32 len)
{
	if (g->covered)
		return 0;
	if (!g->readable) {
		if (len)
			plumb_lost(pc, PLUMB_LOSS_UNREADABLE, 1);
		return 0;
	}
	return sock_capture(st, dir, offset, len);
}

/* Who moves the bytes, and when: what tells an event loop, and one turn of it from the next. */
static __always_inline void io_turn(struct plumb_rec_data *head, struct sock *sk, const struct plumb_syscall *sc)
{
	head->turn = sc->turn;
	head->flags |= sock_waits(sk);
}

/* Returns the record's time. */
static __always_inline __u64 io_stream(struct plumb_percpu *pc, struct sock *sk, struct plumb_sock_state *st, const struct plumb_gather *g,
				      __u64 pid_tgid, int dir, __u32 len, const struct plumb_syscall *sc)
{
	__u64 offset = io_offset(sk, st, dir, len, g);
	struct plumb_rec_data head;
	__u32 level;

	if (!plumb_enter(pc, &level))
		return st->stats_ns;
	io_head(&head, st->cookie, PLUMB_REC_DATA, pid_tgid, dir, g->path);
	io_turn(&head, sk, sc);
	if (g->covered)
		head.flags |= PLUMB_DATA_COVERED;
	if (st->resumed && len) {
		st->resumed = 0;
		head.flags |= PLUMB_DATA_RESUMED;
	}
	__u32 want = io_want(pc, st, g, dir, offset, len);
	if (want > PLUMB_PAYLOAD_MAX || g->iov) {
		struct plumb_scratch *s = plumb_scratch_get(level);
		if (!s)
			goto out;
		s->gather = *g;
		s->head = head;
	}
	if (want > PLUMB_PAYLOAD_MAX)
		io_emit_parts(pc, level, offset, len, want);
	else
		io_emit_stream(pc, level, &head, g, offset, 0, len, want);
out:
	plumb_leave(pc, level);
	return head.h.time_ns;
}

static __noinline void io_dgram_peer(struct sock *sk, const struct plumb_gather *g, int dir, struct plumb_rec_dgram *r)
{
	struct sockaddr_in6 sa = {};

	r->family = SK(sk, __sk_common.skc_family);
	r->peer_port = 0;
	r->pad = 0;
	__builtin_memset(r->peer_addr, 0, 16);
	if (r->family == PLUMB_AF_UNIX)
		return;
	/* An address in the call says where this datagram goes. The one of a received datagram is written only after this point: unknown. */
	if (dir == PLUMB_EGRESS && g->name && bpf_probe_read_user(&sa, sizeof(struct sockaddr_in), g->name) == 0) {
		if (sa.sin6_family == PLUMB_AF_INET) {
			struct sockaddr_in *sin = (struct sockaddr_in *)&sa;
			r->family = PLUMB_AF_INET;
			r->peer_port = __builtin_bswap16(sin->sin_port);
			*(__u32 *)r->peer_addr = sin->sin_addr.s_addr;
			return;
		}
		if (sa.sin6_family == PLUMB_AF_INET6 && bpf_probe_read_user(&sa, sizeof(sa), g->name) == 0) {
			r->peer_port = __builtin_bswap16(sa.sin6_port);
			__builtin_memcpy(r->peer_addr, &sa.sin6_addr, 16);
			return;
		}
	}
	struct plumb_sock_identity id;
	sock_identity(sk, &id);
	r->peer_port = id.remote_port;
	__builtin_memcpy(r->peer_addr, id.remote_addr, 16);
}

static __always_inline void io_dgram(struct plumb_percpu *pc, struct sock *sk, struct plumb_sock_state *st, const struct plumb_gather *g,
				     __u64 pid_tgid, int dir, __u32 len, const struct plumb_syscall *sc)
{
	__u64 offset = io_offset(sk, st, dir, len, g);
	__u32 level, want = io_want(pc, st, g, dir, offset, len);
	struct plumb_ring_ends *ends;

	/* MSG_TRUNC returns the datagram's length, which may be more than the buffer holds. */
	if (g->base && want > g->len)
		want = (__u32)g->len;
	if (want > PLUMB_PAYLOAD_MAX)
		want = PLUMB_PAYLOAD_MAX;
	if (!plumb_enter(pc, &level))
		return;
	struct plumb_rec_dgram *r = plumb_reserve_data(level, sizeof(*r) + want + 7, &ends);
	if (!r) {
		io_lost(pc, len);
		goto out;
	}
	if (g->iov) {
		struct plumb_scratch *s = plumb_scratch_get(level);
		if (!s)
			goto out;
		s->gather = *g;
	}
	io_head(&r->d, st->cookie, PLUMB_REC_DGRAM, pid_tgid, dir, g->path);
	io_turn(&r->d, sk, sc);
	io_dgram_peer(sk, g, dir, r);
	r->d.offset = offset;
	r->d.len = len;
	io_commit(pc, ends, &r->d, sizeof(*r), want ? io_copy(r + 1, g, level, sizeof(*r), 0, want) : 0, want, 0);
out:
	plumb_leave(pc, level);
}

/* Bytes that pass: is this where a request begins? The turns of a connection that pipelines are fewer than its requests. */
static __always_inline bool io_turns(struct plumb_sock_state *st, int dir)
{
	if (dir != (st->role == PLUMB_ROLE_CLIENT ? PLUMB_EGRESS : PLUMB_INGRESS)) {
		st->turn = 0;
		return false;
	}
	if (st->turn)
		return false;
	st->turn = 1;
	if (st->shed && !st->shed_wanted)
		st->resumed = 1;
	st->shed = st->shed_wanted;
	return true;
}

/* The state of a socket that moves bytes, made when it is first seen. */
static __always_inline struct plumb_sock_state *sock_state_of(struct plumb_percpu *pc, struct sock *sk)
{
	struct plumb_sock_state *st = sock_state_get(sk);

#ifdef PLUMB_SOCK_BY_HASH
	/* Another socket may live at the address of one whose end nobody tells (Unix, UDP): its inode differs. */
	__u64 inode = sock_inode(sk);
	if (st && st->inode && st->inode != inode) {
		sock_state_drop(sk);
		st = NULL;
	}
	if (!st)
		st = sock_state_make(pc, sk);
	if (st)
		st->inode = inode;
	return st;
#else
	return st ? st : sock_state_make(pc, sk);
#endif
}

/*
 * The whole of it, once a rung has the socket. `ret` is the call's result, msg_flags those of the receiving call; `sc` the system call, nr -1 if its buffers
 * cannot be found that way.
 */
static __always_inline int io_seen(struct sock *sk, int ret, int msg_flags, int dir, const struct plumb_syscall *sc)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	struct plumb_percpu *pc = plumb_percpu_get();
	struct plumb_gather g;

	if (!pc || !sock_carries_messages(sk))
		return 0;
	struct plumb_sock_state *st = sock_state_of(pc, sk);
	if (!st)
		return 0;
	if (!sock_wanted(sk, st, (__u32)(pid_tgid >> 32))) {
		bool again = dir == PLUMB_INGRESS && msg_flags & (PLUMB_MSG_PEEK | PLUMB_MSG_OOB | PLUMB_MSG_ERRQUEUE);
		if (ret > 0 && !again && SK(sk, __sk_common.skc_family) == PLUMB_AF_UNIX) {
			io_first(st, dir);
			io_offset(sk, st, dir, (__u32)ret, NULL);
		}
		return 0;
	}
	if (ret < 0) {
		st->mmsg = 0;
		return 0;
	}
	if (dir == PLUMB_INGRESS && msg_flags & (PLUMB_MSG_PEEK | PLUMB_MSG_OOB | PLUMB_MSG_ERRQUEUE))
		return 0;
	int ktls = KTLS_NONE;
	if (ret > 0 && st->flags & PLUMB_ST_TCP && sock_may_have_ulp(sk, st))
		ktls = ktls_of(sk, st, dir, sc);
	if (ktls == KTLS_CONTROL)
		return 0;
	if (ret > 0)
		io_first(st, dir);
	bool begins = ret > 0 && io_turns(st, dir);
	if (st->shed && ret > 0) {
		if (begins)
			plumb_lost(pc, PLUMB_LOSS_SHED, 1);
		if (!st->opened && !st->closed)
			sock_emit_open(pc, sk, st);
		io_offset(sk, st, dir, (__u32)ret, NULL);
		return 0;
	}
	gather_of(st, sc, (__u32)pid_tgid, &g);
	g.covered = ktls == KTLS_COVERED;
#ifdef PLUMB_MSG_ITER
	/* With MSG_TRUNC the result says more than was moved. */
	if (sc->iter && g.path == PLUMB_PATH_IO_URING && ret > 0 && !(msg_flags & PLUMB_MSG_TRUNC))
		gather_iter(sc->iter, (__u32)ret, &g);
#endif
	/* A message that was sent in part ends its sendmmsg without an error; the next call may use the same array. */
	if (dir == PLUMB_EGRESS && st->mmsg && g.iov && iov_exceeds((__u64)g.iov, g.segments, (__u32)ret))
		st->mmsg = 0;
	__u8 type = sock_type(sk);
	/* Nothing moved. That is the end of a stream only if the peer has ended it: a call may also ask for no bytes. */
	if (ret == 0 && (dir == PLUMB_EGRESS || type != PLUMB_SOCK_STREAM || !(SK(sk, sk_shutdown) & PLUMB_RCV_SHUTDOWN)))
		return 0;
	if (st->closed)
		return 0;
	if (!st->opened)
		sock_emit_open(pc, sk, st);
	if (type == PLUMB_SOCK_DGRAM) {
		io_dgram(pc, sk, st, &g, pid_tgid, dir, (__u32)ret, sc);
		return 0;
	}
	/* On a TCP stream MSG_TRUNC throws the bytes away: nothing was written to the buffer. */
	if (dir == PLUMB_INGRESS && msg_flags & PLUMB_MSG_TRUNC)
		g.readable = false;
	__u64 now = io_stream(pc, sk, st, &g, pid_tgid, dir, (__u32)ret, sc);
	if (now - st->stats_ns > stats_interval_ns && st->flags & PLUMB_ST_TCP) {
		if (st->stats_ns)
			sock_emit_stats(pc, sk, st, PLUMB_REC_SOCK_STATS, 0);
		st->stats_ns = now;
	}
	return 0;
}

#endif

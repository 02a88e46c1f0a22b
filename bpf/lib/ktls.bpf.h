/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * kTLS: sockets for which the kernel itself makes records of what a program sends, and takes them apart for it (Documentation/networking/tls.rst). At the calls on such a socket there is plaintext, at TCP there are records.
 *
 * A socket is known by its functions (where that takes reads with checks, only once it was given keys): the module puts its own in place of TCP's, for each direction that it was given the keys of. Types of the module are not asked for, as the kernel's own type information has none
 * of them; and so it does not matter who gave the keys, by which call, and whether plumb was there then.
 *
 * It is its program's plaintext only where the kernel does both directions: of one alone nobody could tell which answers belong to which requests. And only where it is no TLS library's, whose call is told of as its session's.
 */
#ifndef PLUMB_KTLS_BPF_H
#define PLUMB_KTLS_BPF_H

#include "lib/calls.bpf.h"
#include "lib/regs.bpf.h"
#include "lib/sock.bpf.h"

enum ktls {
	KTLS_NONE,    /* what passes is what TCP carries */
	KTLS_CONTROL, /* a record of the protocol's own: an alert, a handshake's message */
	KTLS_COVERED, /* plaintext that is not told of here */
	KTLS_PLAIN,
};

/* include/linux/socket.h, include/uapi/linux/tls.h */
#define KTLS_SOL_TLS 282
#define KTLS_SET_RECORD_TYPE 1
#define KTLS_GET_RECORD_TYPE 2
#define KTLS_APPLICATION_DATA 23

/* What a message says of the record in its control part: other than application data? The kernel has written it by now, if it was received. */
static __always_inline bool ktls_is_control(const struct plumb_syscall *sc, int dir)
{
	struct {
		struct cmsghdr head;
		__u8 type;
	} control;
	__u64 at = 0, len = 0;

	if (sc->nr != PLUMB_NR_sendmsg && sc->nr != PLUMB_NR_recvmsg)
		return false;
	const struct user_msghdr *m = (const struct user_msghdr *)sc->arg[1];
	if (bpf_probe_read_user(&at, sizeof(at), &m->msg_control) || bpf_probe_read_user(&len, sizeof(len), &m->msg_controllen))
		return false;
	if (!at || len < sizeof(struct cmsghdr) + 1 || bpf_probe_read_user(&control, sizeof(struct cmsghdr) + 1, (const void *)at))
		return false;
	return control.head.cmsg_level == KTLS_SOL_TLS && control.head.cmsg_type == (dir == PLUMB_EGRESS ? KTLS_SET_RECORD_TYPE : KTLS_GET_RECORD_TYPE) &&
	       control.type != KTLS_APPLICATION_DATA;
}

/* Where a direction's plaintext begins: behind all that was seen of TCP's stream, which both ends know. */
static __always_inline __u64 ktls_first(const struct plumb_sock_state *st, int dir)
{
	bool begun = st->flags & (dir == PLUMB_INGRESS ? PLUMB_ST_BEGUN_IN : PLUMB_ST_BEGUN_OUT);

	return begun && !(st->flags & PLUMB_ST_MIDWAY) ? PLUMB_PLAIN_FIRST(st->next[dir]) : PLUMB_PLAIN_UNPLACED;
}

static __always_inline void ktls_begin(struct plumb_sock_state *st)
{
	for (int dir = 0; dir < 2; dir++) {
		__u64 first = ktls_first(st, dir), moved = st->next[dir] - st->start[dir];
		st->next[dir] = first;
		st->start[dir] = first - moved; /* totals go on where they were */
	}
	st->flags |= PLUMB_ST_PLAIN | PLUMB_ST_BEGUN_IN | PLUMB_ST_BEGUN_OUT;
}

/* Of a socket whose functions are not those that it was made with: which of them, and by whom? Bytes have moved. */
static __noinline int ktls_of(struct sock *sk, struct plumb_sock_state *st, int dir, const struct plumb_syscall *sc)
{
	const struct proto *now = BPF_CORE_READ(sk, __sk_common.skc_prot), *made = BPF_CORE_READ(sk, sk_prot_creator);
	bool sends = BPF_CORE_READ(now, sendmsg) != BPF_CORE_READ(made, sendmsg), reads = BPF_CORE_READ(now, recvmsg) != BPF_CORE_READ(made, recvmsg);
	char name[4] = {};

	if (!(dir == PLUMB_EGRESS ? sends : reads))
		return KTLS_NONE;
	/* A socket's functions are changed by others as well (sockmap). */
	bpf_probe_read_kernel(name, sizeof(name), BPF_CORE_READ((struct inet_connection_sock *)sk, icsk_ulp_ops, name));
	if (name[0] != 't' || name[1] != 'l' || name[2] != 's' || name[3])
		return KTLS_NONE;
	if (ktls_is_control(sc, dir))
		return KTLS_CONTROL;
	st->flags |= PLUMB_ST_KTLS;
	if (!(sends && reads) || calls_in_tls(bpf_get_current_pid_tgid()))
		return KTLS_COVERED;
	/* Or anew: others have used the socket meanwhile. */
	if (!(st->flags & PLUMB_ST_PLAIN) || (st->flags & PLUMB_ST_MIDWAY && !PLUMB_IS_UNPLACED(st->next[dir & 1])))
		ktls_begin(st);
	return KTLS_PLAIN;
}

#endif

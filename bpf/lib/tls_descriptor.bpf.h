/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The descriptor under a session, from Go's own structures: a goroutine may go on in another thread between Write and the call that writes, and what the thread writes then is another's.
 *   crypto/tls.Conn { conn net.Conn, … }, an interface { table, data }; *net.TCPConn { fd *netFD }; netFD { pfd poll.FD, … }; poll.FD { fdmu fdMutex (16 bytes), Sysfd int, … }
 * So it has been in all versions of Go that have probes. A net.Conn of another kind commonly begins with the one that it wraps. What is found is believed if it is a TCP socket of the process.
 */
#ifndef PLUMB_TLS_DESCRIPTOR_BPF_H
#define PLUMB_TLS_DESCRIPTOR_BPF_H

#include "lib/call.bpf.h"
#include "lib/descriptor.bpf.h"

#define TLS_GO_DATA 8    /* in an interface */
#define TLS_GO_SYSFD 16  /* in netFD */
#define TLS_GO_WRAPS 2   /* connections around the socket's, at most */
#define TLS_FD_MAX (1u << 20)
#define TLS_PROTO_TCP 6
#define TLS_SELDOM 16    /* once in as many bits of plaintext: what was found is told again, for an engine that came later */

static __always_inline bool tls_seldom(__u64 offset, __u32 len) { return (offset ^ (offset + len)) >> TLS_SELDOM; }

/* Its number as records have it, 0: it is none, or the kernel has not numbered it. */
static __always_inline __u64 tls_socket_at(__u64 fd)
{
	struct sock *sk = fd && fd < TLS_FD_MAX ? descriptor_sock((struct task_struct *)bpf_get_current_task(), fd) : NULL;

	return sk && BPF_CORE_READ(sk, sk_protocol) == TLS_PROTO_TCP ? (__u64)BPF_CORE_READ(sk, __sk_common.skc_cookie.counter) : 0;
}

/* Of a *tls.Conn. */
static __noinline __u64 tls_go_socket(__u64 connection)
{
	__u64 at = connection;

	for (int i = 0; i <= TLS_GO_WRAPS; i++) {
		at = call_read_pointer(at + TLS_GO_DATA);
		__u64 fd = call_read_pointer(at);
		__u64 sock = fd ? tls_socket_at(call_read_pointer(fd + TLS_GO_SYSFD)) : 0;
		if (sock || !at)
			return sock;
	}
	return 0;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* State and identity of a socket. The state lives in the socket itself (sk_storage), so it needs no table, no eviction and no clean-up. */
#ifndef PLUMB_SOCK_BPF_H
#define PLUMB_SOCK_BPF_H

#include "lib/core.bpf.h"
#include "lib/policy.bpf.h"
#include "lib/target.bpf.h"

#define PLUMB_AF_UNIX 1
#define PLUMB_AF_INET 2
#define PLUMB_AF_INET6 10
#define PLUMB_SOCK_STREAM 1
#define PLUMB_SOCK_DGRAM 2
#define PLUMB_SOCK_SEQPACKET 5
#define PLUMB_IPPROTO_TCP 6
#define PLUMB_IPPROTO_UDP 17
#define PLUMB_IPPROTO_MPTCP 262

#define PLUMB_ST_WANTED 2u   /* verdict for the owner */
#define PLUMB_ST_FRESH 4u    /* seen from its first byte on */
#define PLUMB_ST_TCP 8u
#define PLUMB_ST_BEGUN_IN 16u
#define PLUMB_ST_BEGUN_OUT 32u
#define PLUMB_ST_KTLS 64u    /* bytes have passed of which the kernel makes TLS records */
#define PLUMB_ST_PLAIN 128u  /* offsets count plaintext: see PLUMB_IS_PLAIN() */
#define PLUMB_ST_ULP 512u    /* another protocol may sit on it (kTLS); kept only where it takes a read to find out */
#define PLUMB_ST_MIDWAY 256u /* bytes have passed that nobody counted */
#define PLUMB_ST_SENT_FIRST 2048u /* of all bytes seen the first went out */

#define PLUMB_RCV_SHUTDOWN 1 /* include/net/sock.h */
#define PLUMB_SEND_SHUTDOWN 2
#define PLUMB_SOCK_DEAD 0 /* enum sock_flags: no process has it any more */
#define PLUMB_SOCK_DONE 1 /* the peer's FIN was received */

struct plumb_sock_state {
	__u64 cookie;
	__u64 next[2];    /* by direction: offset behind the last byte seen */
	__u64 start[2];   /* offset of the first byte seen */
	__u64 stats_ns;   /* when its counters were last reported */
	__u64 connect_ns; /* client: when the SYN was sent */
	__u64 closed_ns;  /* when its process closed it, while the peer had not answered yet */
	__u64 inode;      /* of the socket, where the state is found by address */
	__u64 mmsg;       /* sendmmsg, recvmmsg: the array in use and how many of its messages have passed */
	__u32 mmsg_done;
	__u32 mmsg_tid;
	__u32 tgid;       /* owner: the process that last used it */
	__u32 generation; /* of the cached verdict */
	__u32 flags;      /* PLUMB_ST_* */
	__u32 connect_us;
	__s32 error;      /* errno that ended the connection */
	__u32 capture;    /* most bytes of each I/O */
	__u32 connect_tid, connect_turn; /* client: as in plumb_rec_sock */
	__u8 role;
	/* Bytes of their own: they change in soft interrupts too, on other CPUs than the process's, and a bit among others could be lost there. */
	__u8 opened;      /* its SOCK_OPEN record is out */
	__u8 open_lost;   /* a record of it found no room: counted once */
	__u8 lingers;     /* TCP is done with it, its process may be reading still: the close is told when the socket goes */
	__u8 closed;      /* its SOCK_CLOSE record is out: what is still read is the end of the stream once more */
	__u8 turn;        /* bytes of a request passed last */
	__u8 shed;        /* not looked at, only bytes and turns are counted */
	__u8 resumed;     /* looked at again: the next record says so */
	__u8 shed_wanted; /* what the next turn sets `shed` to: no request is cut in two */
};

/*
 * Two ways to keep it. Where the program holds a socket that the verifier trusts, in the socket's own storage and with direct loads; else (PLUMB_SOCK_BY_HASH)
 * in a table by address and with checked reads.
 */
#ifndef PLUMB_SOCK_BY_HASH
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct plumb_sock_state);
} sock_states SEC(".maps");

#define SK(sk, field) ((sk)->field)

static __always_inline __u8 sock_type(struct sock *sk)
{
	return (__u8)sk->sk_type;
}

static __always_inline struct plumb_sock_state *sock_state_get(struct sock *sk)
{
	return bpf_sk_storage_get(&sock_states, sk, 0, 0);
}

static __always_inline struct plumb_sock_state *sock_state_add(struct sock *sk)
{
	return bpf_sk_storage_get(&sock_states, sk, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

static __always_inline void sock_state_drop(struct sock *sk) {} /* goes with the socket */

static __always_inline __u64 sock_cookie(struct sock *sk)
{
	return bpf_get_socket_cookie(sk);
}

static __always_inline struct tcp_sock *sock_tcp(struct sock *sk)
{
	return bpf_skc_to_tcp_sock(sk);
}

/* May another protocol (kTLS) sit on it? Then its functions are not those that it was made with. */
static __always_inline bool sock_may_have_ulp(struct sock *sk, const struct plumb_sock_state *st)
{
	return sk->__sk_common.skc_prot != sk->sk_prot_creator;
}

static __always_inline void sock_find_ulp(struct sock *sk, struct plumb_sock_state *st) {} /* at each call */
#else
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct plumb_sock_state);
} sock_states SEC(".maps");

#define SK(sk, field) BPF_CORE_READ(sk, field)

static __always_inline __u8 sock_type(struct sock *sk)
{
	return (__u8)BPF_CORE_READ(sk, sk_type);
}

static __always_inline struct plumb_sock_state *sock_state_get(struct sock *sk)
{
	__u64 key = (__u64)sk;

	return bpf_map_lookup_elem(&sock_states, &key);
}

static __always_inline struct plumb_sock_state *sock_state_add(struct sock *sk)
{
	static const struct plumb_sock_state fresh;
	__u64 key = (__u64)sk;

	bpf_map_update_elem(&sock_states, &key, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&sock_states, &key);
}

static __always_inline void sock_state_drop(struct sock *sk)
{
	__u64 key = (__u64)sk;

	bpf_map_delete_elem(&sock_states, &key);
}

/* The kernel numbers sockets only on demand; where it has not, 63 random bits stand in. A clock would not do: two states may be made within its tick. */
static __always_inline __u64 sock_cookie(struct sock *sk)
{
	__u64 cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);

	return cookie ? cookie : 1ull << 63 | (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32();
}

static __always_inline struct tcp_sock *sock_tcp(struct sock *sk)
{
	return (struct tcp_sock *)sk;
}

static __always_inline bool sock_may_have_ulp(struct sock *sk, const struct plumb_sock_state *st)
{
	return st->flags & PLUMB_ST_ULP;
}

/* As its state is made; later a system call tells. */
static __always_inline void sock_find_ulp(struct sock *sk, struct plumb_sock_state *st)
{
	if (BPF_CORE_READ((struct inet_connection_sock *)sk, icsk_ulp_ops))
		st->flags |= PLUMB_ST_ULP;
}
#endif

static __always_inline bool sock_flagged(struct sock *sk, int flag)
{
	return SK(sk, __sk_common.skc_flags) >> flag & 1;
}

/* Sequence number behind the last byte that the process has read. The kernel counts the peer's FIN as a byte once it was read. */
static __always_inline __u32 sock_tcp_read(struct sock *sk, struct tcp_sock *tp)
{
	__u32 copied = SK(tp, copied_seq);

	return sock_flagged(sk, PLUMB_SOCK_DONE) && copied == SK(tp, rcv_nxt) ? copied - 1 : copied;
}

const volatile __u64 stats_interval_ns = 10000000000ull;

/* Ports that are watched, those before the first 0; none = all. And those that are not, whatever the first list says. */
#define PLUMB_PORTS_MAX 16
const volatile __u16 ports_in[PLUMB_PORTS_MAX];
const volatile __u16 ports_out[PLUMB_PORTS_MAX];

/* Bytes to capture of an I/O of `len` bytes at `offset`. */
static __always_inline __u32 sock_capture(const struct plumb_sock_state *st, int dir, __u64 offset, __u32 len)
{
	return policy_capture(st->cookie, st->capture, dir, offset, len);
}

/* What is given up to keep within the overhead budget; written by the probe, which then raises the generation. All zero: nothing. */
struct plumb_shed {
	__u32 capture_bytes; /* most of each I/O; 0 = no limit */
	__u32 sample_mask;   /* a connection is looked at if these bits of its hash are 0 */
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct plumb_shed);
} shed SEC(".maps");

/* A pointer as a number to count with, which the verifier does not allow of the pointer itself. */
static __always_inline __u64 sock_address(struct sock *sk)
{
	struct sock *volatile on_stack = sk;
	__u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), (const void *)&on_stack);
	return address;
}

/* The same for both ends of a connection, so that a call is seen whole or not at all. */
static __always_inline __u32 sock_hash(struct sock *sk)
{
	__u16 family = SK(sk, __sk_common.skc_family);
	__u32 key;

	if (family == PLUMB_AF_UNIX) {
		key = (__u32)((sock_address(sk) ^ (__u64)BPF_CORE_READ((struct unix_sock *)sk, peer)) >> 6);
	} else {
		key = SK(sk, __sk_common.skc_num) ^ __builtin_bswap16(SK(sk, __sk_common.skc_dport));
		/* The last word of an IPv6 address: of a mapped one the IPv4 address. */
		if (family == PLUMB_AF_INET)
			key ^= SK(sk, __sk_common.skc_rcv_saddr) ^ SK(sk, __sk_common.skc_daddr);
		else
			key ^= SK(sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[3]) ^ SK(sk, __sk_common.skc_v6_daddr.in6_u.u6_addr32[3]);
	}
	return (key * 2654435761u) >> 16; /* Knuth's multiplicative hash */
}

static __always_inline void sock_shed(struct sock *sk, struct plumb_sock_state *st)
{
	__u32 zero = 0;
	struct plumb_shed *s = bpf_map_lookup_elem(&shed, &zero);

	if (s)
		s = plumb_after(s, st->generation);
	st->shed_wanted = 0;
	st->capture = s && s->capture_bytes ? s->capture_bytes : ~0u;
	/* Datagrams are few, and their sockets talk to many: all are looked at. */
	if (s && s->sample_mask && sock_type(sk) != PLUMB_SOCK_DGRAM && sock_hash(sk) & s->sample_mask)
		st->shed_wanted = 1;
}

/* TCP, UDP and Unix sockets; not raw ones, which carry packets, nor those that send pings. */
static __always_inline bool sock_carries_messages(struct sock *sk)
{
	__u8 type = sock_type(sk);
	__u16 protocol = SK(sk, sk_protocol);

	if (type != PLUMB_SOCK_STREAM && type != PLUMB_SOCK_DGRAM && type != PLUMB_SOCK_SEQPACKET)
		return false;
	return SK(sk, __sk_common.skc_family) == PLUMB_AF_UNIX || protocol == PLUMB_IPPROTO_TCP || protocol == PLUMB_IPPROTO_UDP || protocol == PLUMB_IPPROTO_MPTCP;
}

static __always_inline bool sock_family_known(__u16 family)
{
	return family == PLUMB_AF_INET || family == PLUMB_AF_INET6 || family == PLUMB_AF_UNIX;
}

struct plumb_sock_identity {
	__u16 family, local_port, remote_port;
	__u8 type;
	__u8 local_addr[16], remote_addr[16];
	__u32 netns;
};

/* Whatever the socket itself knows; works for connections that are older than plumb. */
/* When TCP is done with a connection the kernel gives its port back, while the process may still read from it. */
static __always_inline __u16 sock_local_port(struct sock *sk)
{
	__u16 port = SK(sk, __sk_common.skc_num);

	return port ? port : __builtin_bswap16(BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
}

static __always_inline void sock_identity(struct sock *sk, struct plumb_sock_identity *id)
{
	__builtin_memset(id, 0, sizeof(*id));
	id->family = SK(sk, __sk_common.skc_family);
	id->type = sock_type(sk);
	id->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	if (id->family == PLUMB_AF_UNIX)
		return;
	id->local_port = sock_local_port(sk);
	id->remote_port = __builtin_bswap16(SK(sk, __sk_common.skc_dport));
	if (id->family == PLUMB_AF_INET) {
		*(__u32 *)id->local_addr = SK(sk, __sk_common.skc_rcv_saddr);
		*(__u32 *)id->remote_addr = SK(sk, __sk_common.skc_daddr);
	} else {
		bpf_probe_read_kernel(id->local_addr, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_probe_read_kernel(id->remote_addr, 16, &sk->__sk_common.skc_v6_daddr);
	}
}

static __always_inline bool port_listed(const volatile __u16 *ports, __u16 local, __u16 remote)
{
	for (__u32 i = 0; i < PLUMB_PORTS_MAX && ports[i]; i++)
		if (ports[i] == local || ports[i] == remote)
			return true;
	return false;
}

/* A Unix socket has no ports: none that is wanted, none that is excluded. */
static __always_inline bool sock_port_wanted(struct sock *sk)
{
	if (!ports_in[0] && !ports_out[0])
		return true;
	if (SK(sk, __sk_common.skc_family) == PLUMB_AF_UNIX)
		return !ports_in[0];
	__u16 local = sock_local_port(sk), remote = __builtin_bswap16(SK(sk, __sk_common.skc_dport));
	return !port_listed(ports_out, local, remote) && (!ports_in[0] || port_listed(ports_in, local, remote));
}

/* The socket's inode, 0 before it is accepted and after it was closed. */
static __always_inline __u64 sock_inode(struct sock *sk)
{
	struct socket_alloc *socket = (struct socket_alloc *)BPF_CORE_READ(sk, sk_socket);

	return BPF_CORE_READ(socket, vfs_inode.i_ino);
}

const volatile __u64 pair_secret = 0; /* random, so that addresses of the kernel cannot be told from the numbers made of them */

static __always_inline __u64 pair_mix(__u64 h, __u64 value)
{
	h = (h ^ value) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 32;
}

/*
 * What both ends of a Unix stream can say of it: where the two sockets are, and the inode of the client's, as addresses are used again. The server's has none before it is accepted, and the
 * server may have closed it before the client's call that sent the request has returned. The client is the end that sent first.
 */
static __always_inline __u64 sock_pair(struct sock *sk, const struct plumb_sock_state *st)
{
	__u64 peer = (__u64)BPF_CORE_READ((struct unix_sock *)sk, peer), own = sock_address(sk);
	bool first = st->flags & PLUMB_ST_SENT_FIRST;
	__u64 client = first ? own : peer, server = first ? peer : own;
	__u64 inode = sock_inode((struct sock *)client);

	return peer && inode ? pair_mix(pair_mix(pair_mix(pair_secret, client), server), inode) | 1 : 0;
}

/* Unix sockets: the path that either end is bound to, and what tells that two of them are one connection. */
static __always_inline void sock_unix(struct sock *sk, const struct plumb_sock_state *st, struct plumb_rec_sock *r)
{
	struct unix_sock *u = (struct unix_sock *)sk;
	struct sock *peer = BPF_CORE_READ(u, peer);
	struct unix_address *addr = BPF_CORE_READ(u, addr);

	if (r->type != PLUMB_SOCK_DGRAM)
		r->pair = sock_pair(sk, st);
	if (peer) {
		r->peer_sock = BPF_CORE_READ(peer, __sk_common.skc_cookie.counter);
		if (!addr)
			addr = BPF_CORE_READ((struct unix_sock *)peer, addr);
	}
	if (!addr)
		return;
	int len = BPF_CORE_READ(addr, len) - (int)sizeof(short);
	if (len <= 0)
		return;
	if (len > (int)sizeof(r->path) - 1)
		len = sizeof(r->path) - 1;
	bpf_probe_read_kernel(r->path, (__u32)len & 127, &addr->name[0].sun_path);
	if (!r->path[0])
		r->path[0] = '@';
}

static __always_inline void sock_offsets(const struct plumb_sock_state *st, const __u64 from[2], __u64 to[2])
{
	to[PLUMB_INGRESS] = st->flags & PLUMB_ST_BEGUN_IN ? from[PLUMB_INGRESS] : 0;
	to[PLUMB_EGRESS] = st->flags & PLUMB_ST_BEGUN_OUT ? from[PLUMB_EGRESS] : 0;
}

/*
 * Returns false when the record could not be sent; it is then tried again at the next I/O. A function of its own, as others that are seldom called: the frames
 * of a chain of calls share 512 bytes of stack.
 */
/* How often the current thread has slept. */
static __always_inline __u32 sock_turn(void)
{
#ifdef PLUMB_SOCK_BY_HASH
	return (__u32)BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), nvcsw);
#else
	return (__u32)bpf_get_current_task_btf()->nvcsw;
#endif
}

#define PLUMB_O_NONBLOCK 04000

struct file___before_5_11 {
	struct list_head f_ep_links;
} __attribute__((preserve_access_index));

/* How who uses the socket waits for it: PLUMB_DATA_NONBLOCK, PLUMB_DATA_WATCHED. */
static __always_inline __u16 sock_waits(struct sock *sk)
{
#ifdef PLUMB_SOCK_BY_HASH
#define FILE(file, field) BPF_CORE_READ(file, field)
#else
#define FILE(file, field) ((file)->field)
#endif
	struct socket *socket = SK(sk, sk_socket);
	__u16 flags = 0;

	if (!socket)
		return 0;
	struct file *file = FILE(socket, file);
	if (!file)
		return 0;
	if (FILE(file, f_flags) & PLUMB_O_NONBLOCK)
		flags |= PLUMB_DATA_NONBLOCK;
	if (bpf_core_field_exists(file->f_ep)) {
		if (FILE(file, f_ep))
			flags |= PLUMB_DATA_WATCHED;
	} else {
		struct file___before_5_11 *old = (void *)file;
		/* An empty list's next is itself. */
		if ((__u64)BPF_CORE_READ(old, f_ep_links.next) != (__u64)old + bpf_core_field_offset(old->f_ep_links))
			flags |= PLUMB_DATA_WATCHED;
	}
	return flags;
#undef FILE
}

static __noinline bool sock_emit_open(struct plumb_percpu *pc, struct sock *sk, struct plumb_sock_state *st)
{
	struct plumb_sock_identity id;
	struct plumb_ring_ends *ends;
	__u32 level;

	if (!plumb_enter(pc, &level))
		return false;
	struct plumb_rec_sock *r = plumb_reserve(level, sizeof(*r), &ends);
	if (!r) {
		if (!st->open_lost)
			plumb_lost(pc, PLUMB_LOSS_RING_FULL_EVENT, 1);
		st->open_lost = 1;
		plumb_leave(pc, level);
		return false;
	}
	__builtin_memset(r, 0, sizeof(*r));
	sock_identity(sk, &id);
	plumb_header(&r->h, PLUMB_REC_SOCK_OPEN, sizeof(*r));
	r->sock = st->cookie;
	r->pid = st->tgid;
	r->netns = id.netns;
	r->family = id.family;
	r->type = id.type;
	r->role = st->role;
	r->local_port = id.local_port;
	r->remote_port = id.remote_port;
	__builtin_memcpy(r->local_addr, id.local_addr, 16);
	__builtin_memcpy(r->remote_addr, id.remote_addr, 16);
	r->flags = (st->flags & PLUMB_ST_FRESH ? 0 : PLUMB_SOCK_PREEXISTING) | (st->flags & PLUMB_ST_SENT_FIRST ? PLUMB_SOCK_SENT_FIRST : 0);
	r->connect_us = st->connect_us;
	r->tid = st->connect_tid;
	r->turn = st->connect_turn;
	if (id.family == PLUMB_AF_UNIX)
		sock_unix(sk, st, r);
	if (st->flags & PLUMB_ST_TCP && !st->shed)
		sock_offsets(st, st->flags & PLUMB_ST_FRESH ? st->start : st->next, r->offset);
	plumb_commit(ends, sizeof(*r));
	plumb_leave(pc, level);
	st->opened = 1;
	return true;
}

static __noinline void sock_emit_stats(struct plumb_percpu *pc, struct sock *sk, struct plumb_sock_state *st, __u16 type, __u32 flags)
{
	struct plumb_sock_identity id;
	struct plumb_ring_ends *ends;
	__u32 level;

	if (!plumb_enter(pc, &level))
		return;
	struct plumb_rec_sock_stats *r = plumb_reserve(level, sizeof(*r), &ends);
	if (!r) {
		plumb_lost(pc, PLUMB_LOSS_RING_FULL_EVENT, 1);
		goto out;
	}
	__builtin_memset(r, 0, sizeof(*r));
	sock_identity(sk, &id);
	plumb_header(&r->h, type, sizeof(*r));
	r->sock = st->cookie;
	r->bytes_received = st->next[PLUMB_INGRESS] - st->start[PLUMB_INGRESS];
	r->bytes_sent = st->next[PLUMB_EGRESS] - st->start[PLUMB_EGRESS];
	if (st->flags & PLUMB_ST_TCP) {
		struct tcp_sock *tp = sock_tcp(sk);
		if (!st->shed && !(flags & PLUMB_SOCK_LEFT)) /* what nobody looks at is not missed */
			sock_offsets(st, st->next, r->offset);
		if (tp) {
			r->retransmits = SK(tp, total_retrans);
			r->srtt_us = SK(tp, srtt_us) >> 3;
		}
	}
	r->closed_ns = st->closed_ns;
	r->error = st->error ? st->error : SK(sk, sk_err);
	r->flags = flags | (st->flags & PLUMB_ST_FRESH ? 0 : PLUMB_SOCK_PREEXISTING);
	if (r->error == 104 /* ECONNRESET */ || r->error == 32 /* EPIPE: a RST met a socket in CLOSE_WAIT */)
		r->flags |= PLUMB_SOCK_RESET;
	r->pid = st->tgid;
	r->family = id.family;
	r->type = id.type;
	r->role = st->role;
	r->local_port = id.local_port;
	r->remote_port = id.remote_port;
	r->netns = id.netns;
	__builtin_memcpy(r->local_addr, id.local_addr, 16);
	__builtin_memcpy(r->remote_addr, id.remote_addr, 16);
	plumb_commit(ends, sizeof(*r));
out:
	plumb_leave(pc, level);
}

/* The socket's state, made when it is first seen; NULL without memory (counted). */
static __always_inline struct plumb_sock_state *sock_state_make(struct plumb_percpu *pc, struct sock *sk)
{
	struct plumb_sock_state *st = sock_state_add(sk);

	if (!st) {
		plumb_lost(pc, PLUMB_LOSS_STORAGE, 1);
		return NULL;
	}
	st->cookie = sock_cookie(sk);
	if (SK(sk, __sk_common.skc_family) != PLUMB_AF_UNIX && SK(sk, sk_protocol) == PLUMB_IPPROTO_TCP) {
		st->flags |= PLUMB_ST_TCP;
		sock_find_ulp(sk, st);
	}
	return st;
}

static __always_inline bool sock_judge(struct sock *sk, struct plumb_sock_state *st)
{
	if (target_wanted(st->tgid) && sock_port_wanted(sk))
		st->flags |= PLUMB_ST_WANTED;
	else
		st->flags &= ~PLUMB_ST_WANTED;
	return st->flags & PLUMB_ST_WANTED;
}

/* Is the process that uses the socket now watched? Cached until it or the targets change. */
static __always_inline bool sock_wanted(struct sock *sk, struct plumb_sock_state *st, __u32 tgid)
{
	__u32 gen = target_gen();
	bool moves = (ports_in[0] || ports_out[0]) && !(st->flags & PLUMB_ST_TCP); /* a UDP socket may be connected anew */

	if (st->tgid != tgid || st->generation != gen || moves) {
		/* A new engine knows no socket: tell it of this one again, in the middle of its life. The first verdict is no such change. */
		if (st->generation && (st->generation ^ gen) >> PLUMB_SESSION_SHIFT) {
			st->flags &= ~PLUMB_ST_FRESH;
			st->opened = 0;
		}
		bool passed = st->tgid && !(st->flags & PLUMB_ST_WANTED);
		st->tgid = tgid + (__u32)plumb_zero_of(gen); /* the verdict is looked up by it: not before the generation was read */
		st->generation = gen;
		/* What it did while it was nobody's is not missed. */
		if (sock_judge(sk, st) && passed) {
			st->resumed = 1;
			st->flags |= PLUMB_ST_MIDWAY;
		}
		sock_shed(sk, st);
	}
	return st->flags & PLUMB_ST_WANTED;
}

/* TCP counts from here: what leaves the socket without being seen is then known by its absence. */
static __always_inline void sock_begin(struct sock *sk, struct plumb_sock_state *st)
{
	struct tcp_sock *tp = sock_tcp(sk);

	if (!tp)
		return;
	st->next[PLUMB_INGRESS] = st->start[PLUMB_INGRESS] = 1ull << 32 | SK(tp, copied_seq);
	if (!(st->flags & PLUMB_ST_BEGUN_OUT)) /* TCP Fast Open: data may go with the SYN */
		st->next[PLUMB_EGRESS] = st->start[PLUMB_EGRESS] = 1ull << 32 | SK(tp, write_seq);
	st->flags |= PLUMB_ST_BEGUN_IN | PLUMB_ST_BEGUN_OUT;
}

/*
 * The last bytes of a response that were read by a way that no program sees (splice, where only socket calls are followed) make a record without payload: its
 * request then ends with a hole, not as unanswered. Only when no process can be reading any more.
 */
static __always_inline void sock_catch_up(struct plumb_percpu *pc, struct sock *sk, struct plumb_sock_state *st)
{
	struct tcp_sock *tp = sock_tcp(sk);
	struct plumb_ring_ends *ends;
	__u32 level;

	/* Where the kernel takes records apart, TCP has more bytes than the process. */
	if (!tp || !(st->flags & PLUMB_ST_BEGUN_IN) || st->role == PLUMB_ROLE_SERVER || st->flags & PLUMB_ST_KTLS)
		return;
	__u32 unseen = sock_tcp_read(sk, tp) - (__u32)st->next[PLUMB_INGRESS];
	if (!unseen || unseen >> 31)
		return;
	__u64 offset = st->next[PLUMB_INGRESS];
	st->next[PLUMB_INGRESS] = offset + unseen;
	plumb_lost(pc, PLUMB_LOSS_UNREADABLE, 1);
	if (!plumb_enter(pc, &level))
		return;
	struct plumb_rec_data *r = plumb_reserve_data(level, sizeof(*r), &ends);
	if (!r) {
		plumb_lost(pc, PLUMB_LOSS_RING_FULL, 1);
		plumb_lost(pc, PLUMB_LOSS_RING_FULL_BYTES, unseen);
		goto out;
	}
	__builtin_memset(r, 0, sizeof(*r));
	plumb_header(&r->h, PLUMB_REC_DATA, sizeof(*r));
	r->sock = st->cookie;
	r->offset = offset;
	r->pid = r->tid = st->tgid;
	r->len = unseen;
	r->direction = PLUMB_INGRESS;
	plumb_commit(ends, sizeof(*r));
out:
	plumb_leave(pc, level);
}

static __always_inline void sock_closed(struct plumb_percpu *pc, struct sock *sk, struct plumb_sock_state *st, __u32 flags)
{
	/* An engine that does not know the socket must not take its totals for new. */
	__u32 stats_flags = flags | ((st->generation ^ target_gen()) >> PLUMB_SESSION_SHIFT ? PLUMB_SOCK_PREEXISTING : 0);

	bool wanted = st->flags & PLUMB_ST_WANTED;

	/* Who was told of its opening is told of its end, whoever used it last. */
	if (st->opened || (wanted && flags)) {
		if (wanted)
			sock_catch_up(pc, sk, st);
		sock_emit_stats(pc, sk, st, PLUMB_REC_SOCK_CLOSE, stats_flags | (wanted ? 0 : PLUMB_SOCK_LEFT));
	}
	st->opened = st->lingers = 0;
	st->closed = 1;
}

/* TCP life. Runs in the process for connect, in a soft interrupt for what the peer causes. */
static __always_inline void sock_life(struct plumb_percpu *pc, struct sock *sk, int oldstate, int newstate)
{
	struct plumb_sock_state *st;

	if (SK(sk, sk_protocol) != PLUMB_IPPROTO_TCP)
		return;
	if (newstate == TCP_SYN_SENT) {
		__u32 tgid = (__u32)(bpf_get_current_pid_tgid() >> 32);

		st = sock_state_make(pc, sk);
		if (!st)
			return;
		/* A socket may be connected again after a failure or a disconnect: its life before that is over. */
		if (st->lingers)
			sock_closed(pc, sk, st, 0);
		st->role = PLUMB_ROLE_CLIENT;
		st->flags = PLUMB_ST_FRESH | PLUMB_ST_TCP;
		st->opened = st->open_lost = st->lingers = st->closed = st->turn = st->shed = st->resumed = 0;
		st->next[PLUMB_EGRESS] = st->start[PLUMB_EGRESS] = 0;
		st->tgid = 0;
		st->error = 0;
		st->closed_ns = 0;
		st->connect_ns = bpf_ktime_get_boot_ns();
		st->connect_tid = (__u32)bpf_get_current_pid_tgid();
		st->connect_turn = sock_turn();
		policy_reset(st->cookie);
		sock_wanted(sk, st, tgid);
		return;
	}
	if (oldstate == TCP_SYN_RECV && newstate == TCP_ESTABLISHED) {
		/* A new socket: what is kept under its address is of one whose end was not seen. */
		sock_state_drop(sk);
		st = sock_state_make(pc, sk);
		if (!st)
			return;
		st->role = PLUMB_ROLE_SERVER;
		st->flags |= PLUMB_ST_FRESH;
		sock_begin(sk, st);
		return;
	}
	st = sock_state_get(sk);
	if (!st)
		return;
	if (oldstate == TCP_SYN_SENT && newstate == TCP_ESTABLISHED) {
		st->connect_us = (__u32)((bpf_ktime_get_boot_ns() - st->connect_ns) / 1000);
		sock_begin(sk, st);
		if (sock_judge(sk, st)) /* only now does it have its own port */
			sock_emit_open(pc, sk, st);
		return;
	}
	/* close(), not shutdown(): the FIN, and what comes of it, may take as long as the peer likes. */
	if ((newstate == TCP_FIN_WAIT1 || newstate == TCP_LAST_ACK) && SK(sk, sk_shutdown) == (PLUMB_RCV_SHUTDOWN | PLUMB_SEND_SHUTDOWN))
		st->closed_ns = bpf_ktime_get_boot_ns();
	if (newstate == TCP_CLOSE) {
		bool failed = oldstate == TCP_SYN_SENT;
		/* The error goes to the process with its next call, so it is kept. */
		st->error = SK(sk, sk_err);
		if (st->closed)
			return; /* told */
		if (failed || sock_flagged(sk, PLUMB_SOCK_DEAD))
			sock_closed(pc, sk, st, failed ? PLUMB_SOCK_CONNECT_FAILED : 0);
		else
			st->lingers = 1;
	}
}

/* The socket itself goes. */
static __always_inline void sock_gone(struct plumb_percpu *pc, struct sock *sk)
{
	struct plumb_sock_state *st = sock_state_get(sk);

	if (st && st->lingers)
		sock_closed(pc, sk, st, 0);
	sock_state_drop(sk);
}

#endif

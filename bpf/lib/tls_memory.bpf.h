/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Programs that carry the encrypted bytes of OpenSSL's sessions themselves give them to it, and have them from it, in memory (BIO_s_mem(); Python's asyncio, .NET). The first record that lies there is one that the session's socket
 * moves, byte by byte, whatever thread that does.
 *
 * What lies where, of OpenSSL 1.1.1 to 4.0 on 64 bits (ssl_local.h, bio_local.h, bss_mem.c, buffer.h there):
 *   SSL { …, BIO *rbio, *wbio }, at 16, behind the SSL that it contains since 3.2 at 80
 *   BIO { method, …, ptr } at 0 and 56; { libctx, method, …, ptr } since 3.0, at 8 and 64
 *   BIO_METHOD { int type }
 *   ptr: { BUF_MEM *buf, … }, BUF_MEM { length, char *data }. What was read of it stays where it was until more is put there
 * Of others, and of what is not such a BIO, nothing is found: its type must be right, and what it has must begin as a record does.
 */
#ifndef PLUMB_TLS_MEMORY_BPF_H
#define PLUMB_TLS_MEMORY_BPF_H

#include "lib/tls_descriptor.bpf.h"

#define TLS_BIO_MEMORY 0x401 /* BIO_TYPE_MEM */
#define TLS_LOOKED_AT (1 << 14) /* of a direction's plaintext: by then its socket was found, or will not be. To look costs a tenth of a call */

static __always_inline bool tls_memory_wanted(__u64 offset, __u32 len) { return offset < TLS_LOOKED_AT || tls_seldom(offset, len); }

struct tls_head {
	__u8 type, version[2], len[2]; /* RFC 8446, 5.1 */
	__u8 bytes[PLUMB_RECORD_BYTES];
} __attribute__((packed));

/* What memory a BIO has, 0: it is none of this kind. */
static __always_inline __u64 tls_memory_of(__u64 bio, bool old)
{
	__u64 method = call_read_pointer(bio + (old ? 0 : 8));
	__u32 type = 0;

	if (!method || bpf_probe_read_user(&type, sizeof(type), (const void *)method) || type != TLS_BIO_MEMORY)
		return 0;
	__u64 buf = call_read_pointer(call_read_pointer(bio + (old ? 56 : 64)));
	return buf ? call_read_pointer(buf + 8) : 0;
}

static __always_inline __u64 tls_memory_record(__u64 at)
{
	struct tls_head head;

	if (bpf_probe_read_user(&head, sizeof(head), (const void *)at))
		return 0;
	if (head.type == 20 && bpf_probe_read_user(&head, sizeof(head), (const void *)(at + 6))) /* change_cipher_spec, of one byte */
		return 0;
	return head.type == 23 && head.version[0] == 3 && (head.len[0] || head.len[1] >= PLUMB_RECORD_BYTES) ? plumb_record_number(head.bytes) : 0;
}

/* Of the session's first record in its memory of that direction the number (plumb_record_number()); 0: there is none. */
static __noinline __u64 tls_memory(__u64 session, __u32 dir)
{
	__u64 at = (dir == PLUMB_EGRESS ? 8 : 0);

	for (int i = 0; i < 2; i++) {
		__u64 bio = call_read_pointer(session + at + (i ? 80 : 16));
		if (!bio)
			continue;
		__u64 memory = tls_memory_of(bio, false);
		if (!memory)
			memory = tls_memory_of(bio, true);
		if (memory)
			return tls_memory_record(memory);
	}
	return 0;
}

#endif

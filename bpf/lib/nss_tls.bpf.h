/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Mozilla's NSS: a session is a descriptor of NSPR (PRFileDesc, prio.h) that SSL_ImportFD() has made one of, and is read, written and closed by NSPR's functions, which serve files and plain sockets as
 * well. A session is told by its functions, of which NSS has one table in a process: SSL_ImportFD() shows it. Layers of the program's own may lie above.
 *
 *     PRFileDesc { address of functions; address of what is secret; lower PRFileDesc; … }
 */
#ifndef PLUMB_NSS_TLS_BPF_H
#define PLUMB_NSS_TLS_BPF_H

#include "lib/tls.bpf.h"

#define NSS_PROCESSES_MAX 1024
#define NSS_LAYERS_MAX 4
#define NSS_PEEK 2 /* PR_MSG_PEEK */

/* By process: the address of the functions of its sessions. Who has it no more is known by the next session that is made. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, NSS_PROCESSES_MAX);
	__type(key, __u32);
	__type(value, __u64);
} nss_functions SEC(".maps");

static __always_inline void nss_import(struct pt_regs *ctx, __u32 file)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid(), descriptor = PT_REGS_RC(ctx);
	__u32 tgid = (__u32)(pid_tgid >> 32);

	if (!target_wanted(tgid) || !descriptor)
		return;
	struct call_frame f = call_at_once(pid_tgid, file);
	__u64 functions = call_read_pointer(descriptor);
	if (functions && bpf_map_update_elem(&nss_functions, &tgid, &functions, BPF_ANY))
		call_lost();
	tls_begin(&f, descriptor);
}

static __always_inline bool nss_is_session(__u32 tgid, __u64 descriptor)
{
	__u64 *known = bpf_map_lookup_elem(&nss_functions, &tgid);
	__u64 layer[3] = { 0, 0, descriptor };

	if (!known)
		return false;
	__u64 functions = *known;
	for (int i = 0; i < NSS_LAYERS_MAX; i++) {
		if (!layer[2] || bpf_probe_read_user(layer, sizeof(layer), (const void *)layer[2]))
			return false;
		if (layer[0] == functions)
			return true;
	}
	return false;
}

/* It was made in NSS' file and is used in NSPR's: from now on it is the latter's. If the probes there are younger it may have been used before. */
static __always_inline void nss_adopt(__u32 tgid, __u64 descriptor, __u32 file)
{
	struct call_handle_key key = { .address = descriptor, .tgid = tgid };
	struct tls_session s;

	if (!tls_get(&key, &s) || s.file == file || call_epoch_of(s.file).missed != s.missed)
		return;
	struct plumb_call_epoch now = call_epoch_of(file);
	s.file = file;
	s.missed = now.missed;
	s.detached = now.detached - (s.made_ns < now.since_ns);
	bpf_map_update_elem(&tls_sessions, &key, &s, BPF_EXIST);
}

static __always_inline void nss_enter(struct pt_regs *ctx, __u64 descriptor, __u64 pid_tgid, __u32 file, __u32 site, bool inner)
{
	if (!nss_is_session((__u32)(pid_tgid >> 32), descriptor) || (site == PLUMB_SITE_NSS_RECV && PT_REGS_PARM4(ctx) & NSS_PEEK))
		return;
	nss_adopt((__u32)(pid_tgid >> 32), descriptor, file);
	call_begin_at(ctx, pid_tgid, inner ? pid_tgid | CALL_WITHIN : pid_tgid, file, site, 0);
}

#endif

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Functions of libraries: two programs for all of them, as what the kernel has to do for each that is attached or detached costs milliseconds. */
#include "lib/duckdb.bpf.h"
#include "lib/go_tls.bpf.h"
#include "lib/gpu.bpf.h"
#include "lib/nss_tls.bpf.h"
#include "lib/price.bpf.h"
#include "lib/rust_tls.bpf.h"
#include "lib/sqlite.bpf.h"
#include "lib/tls.bpf.h"

const volatile __u64 trap_ns[PLUMB_TRAPS] = {}; /* what one takes here */

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* The end of what was given out. It counts wherever it is called from: else what lies there later would be taken for it. */
static __always_inline bool site_ends(__u32 site)
{
	switch (site) {
	case PLUMB_SITE_SQLITE_FINALIZE:
	case PLUMB_SITE_SQLITE_CLOSE:
	case PLUMB_SITE_DUCKDB_FORGET:
	case PLUMB_SITE_DUCKDB_DROP:
	case PLUMB_SITE_TLS_BEGIN:
	case PLUMB_SITE_TLS_FREE:
	case PLUMB_SITE_RUST_TLS_BEGIN: return true;
	default: return false;
	}
}

/* Every trap, whoever is watched. */
static __always_inline void library_hit(__u64 cookie, __u32 tgid, __u32 trap)
{
	call_hit(PLUMB_SITE_FILE_OF(cookie), trap);
	price_add(tgid, trap_ns[trap & 1]);
}

SEC("uprobe")
int library_enter(struct pt_regs *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx), pid_tgid = bpf_get_current_pid_tgid();
	__u32 site = PLUMB_SITE_OF(cookie), file = PLUMB_SITE_FILE_OF(cookie);

	library_hit(cookie, (__u32)(pid_tgid >> 32), PLUMB_SITE_TRAP_OF(cookie));
	if (!target_wanted((__u32)(pid_tgid >> 32)))
		return 0;
	if (site >= PLUMB_SITE_GO_TLS_BEGIN && site < PLUMB_SITE_GPU_PLAIN) {
		go_enter(ctx, pid_tgid, file, site);
		return 0;
	}
	__u64 object = PT_REGS_PARM1(ctx);
	struct call_outer outer = {};
	bool inner = call_is_inner(ctx, pid_tgid, &outer);
	if (inner && !site_ends(site) && !tls_is_of_callback(site, object, &outer))
		return 0;
	if (site >= PLUMB_SITE_GPU_PLAIN)
		gpu_enter(ctx, pid_tgid, file, site);
	else if (site >= PLUMB_SITE_RUST_TLS_BEGIN)
		rust_enter(ctx, pid_tgid, file, site, inner);
	else if (site >= PLUMB_SITE_NSS_IMPORT)
		nss_enter(ctx, object, pid_tgid, file, site, inner);
	else if (site >= PLUMB_SITE_TLS_NEW)
		tls_enter(ctx, pid_tgid, file, site, inner);
	else if (site >= PLUMB_SITE_DUCKDB_OPEN)
		duckdb_enter(ctx, pid_tgid, file, site);
	else
		sqlite_enter(ctx, pid_tgid, file, site, inner);
	return 0;
}

SEC("uretprobe")
int library_return(struct pt_regs *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx);
	struct call_frame f;

	library_hit(cookie, (__u32)(bpf_get_current_pid_tgid() >> 32), PLUMB_TRAP_SHORT);
	if (PLUMB_SITE_OF(cookie) == PLUMB_SITE_TLS_NEW) {
		tls_new(ctx, PLUMB_SITE_FILE_OF(cookie));
		return 0;
	}
	if (PLUMB_SITE_OF(cookie) == PLUMB_SITE_NSS_IMPORT) {
		nss_import(ctx, PLUMB_SITE_FILE_OF(cookie));
		return 0;
	}
	if (!call_end(PLUMB_SITE_FILE_OF(cookie), PLUMB_SITE_OF(cookie), ctx, &f))
		return 0;
	if (f.site >= PLUMB_SITE_GPU_PLAIN)
		gpu_return(&f, PLUMB_SITE_CALL_OF(cookie), (__s32)PT_REGS_RC(ctx));
	else if (f.site >= PLUMB_SITE_TLS_NEW)
		tls_return(&f, (__s32)PT_REGS_RC(ctx), PLUMB_SITE_IS_GUESSED(cookie));
	else if (f.site >= PLUMB_SITE_DUCKDB_OPEN)
		duckdb_return(&f, PT_REGS_RC(ctx));
	else
		sqlite_return(&f, (__s32)PT_REGS_RC(ctx));
	return 0;
}

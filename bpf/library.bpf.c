// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Functions of libraries: two programs for all of them, as what the kernel has to do for each that is attached or detached costs milliseconds. */
#include "lib/duckdb.bpf.h"
#include "lib/sqlite.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("uprobe")
int library_enter(struct pt_regs *ctx)
{
	__u32 site = (__u32)bpf_get_attach_cookie(ctx);
	__u64 pid_tgid = bpf_get_current_pid_tgid();

	if (!call_counts(ctx, pid_tgid, site))
		return 0;
	if (site >= PLUMB_SITE_DUCKDB_OPEN)
		duckdb_enter(ctx, pid_tgid, site);
	else
		sqlite_enter(ctx, pid_tgid, site);
	return 0;
}

SEC("uretprobe")
int library_return(struct pt_regs *ctx)
{
	struct call_frame *f = call_end(ctx, (__u32)bpf_get_attach_cookie(ctx));

	if (!f)
		return 0;
	if (f->site >= PLUMB_SITE_DUCKDB_OPEN)
		duckdb_return(ctx, f);
	else
		sqlite_return(ctx, f);
	call_forget(f);
	return 0;
}

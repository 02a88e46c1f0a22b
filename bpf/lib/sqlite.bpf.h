/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * SQLite: calls of its C API (https://sqlite.org/c3ref/), as no byte of it leaves the program. A statement's execution may be many calls, one for each row: they make one record here.
 */
#ifndef PLUMB_SQLITE_BPF_H
#define PLUMB_SQLITE_BPF_H

#include "lib/call.bpf.h"

enum { SQLITE_ROW = 100 };

/* What is asked for is read when the call returns: the text may not be resident before, and the handle is not there. */

static __always_inline void sqlite_opened(struct call_frame *f, __s32 result)
{
	__u64 database = call_read_pointer(f->args[1]); /* also of one that could not be opened */
	struct call_facts facts = { .object = call_handle_new(f, database), .text = f->args[0], .result = result };

	call_tell(f, PLUMB_FN_SQLITE_OPEN, &facts);
}

static __always_inline void sqlite_prepared(struct call_frame *f, __s32 result)
{
	__u64 statement = call_read_pointer(f->args[3]), tail = call_read_pointer(f->args[4]);
	struct call_facts facts = { .object = call_handle_new(f, statement), .parent = call_number_of(f, f->args[0]), .text = f->args[1], .result = result };
	__s32 bytes = (__s32)f->args[2]; /* negative: up to the NUL */

	if (facts.result == 0 && tail > facts.text)
		facts.text_bytes = tail - facts.text;
	else if (bytes > 0)
		facts.text_bytes = (__u64)bytes;
	else if (bytes == 0)
		facts.text = 0;
	call_tell(f, PLUMB_FN_SQLITE_PREPARE, &facts);
}

/* A statement begins with the address of its database: sqlite3_db_handle() of every version. */
static __always_inline __u64 sqlite_database_of(const struct call_frame *f, __u64 statement)
{
	return call_number_of(f, call_read_pointer(statement));
}

/* h: what is known of the statement, if it is. */
static __always_inline void sqlite_row(struct call_frame *f, __u64 statement, struct call_handle *h, bool known, __u64 now)
{
	if (!known || !call_is_open(f, h)) {
		h->number = known ? h->number : 0;
		h->begin_ns = f->begin_ns;
		h->tid = (__u32)f->pid_tgid;
		h->detached = f->detached;
		h->count = 0;
	}
	h->end_ns = now;
	h->count++;
	if (known)
		call_handle_change(f, statement, h);
	else
		call_handle_put(f, statement, h);
}

static __always_inline void sqlite_stepped(struct call_frame *f, __s32 result)
{
	__u64 statement = f->args[0], now = bpf_ktime_get_boot_ns();
	struct call_handle h = {};
	bool known = call_handle_get(f, statement, &h);
	struct call_facts facts = { .result = result, .end_ns = now };

	if (result == SQLITE_ROW) {
		sqlite_row(f, statement, &h, known, now);
		return;
	}
	if (known) {
		facts.object = h.number;
		if (call_is_open(f, &h)) {
			facts.count = h.count;
			f->begin_ns = h.begin_ns;
		}
		if (h.begin_ns) {
			h.begin_ns = 0;
			call_handle_change(f, statement, &h);
		}
	}
	facts.parent = sqlite_database_of(f, statement);
	call_tell(f, PLUMB_FN_SQLITE_EXECUTE, &facts);
}

/* Who called it wants no more rows. */
static __always_inline void sqlite_give_up(const struct call_frame *by, __u64 statement)
{
	struct call_handle h;

	if (!call_handle_get(by, statement, &h) || !call_is_open(by, &h))
		return;
	struct call_frame f = { .pid_tgid = (by->pid_tgid & ~0xffffffffull) | h.tid, .begin_ns = h.begin_ns };
	struct call_facts facts = { .object = h.number, .parent = sqlite_database_of(by, statement), .result = SQLITE_ROW, .count = h.count, .end_ns = h.end_ns };
	h.begin_ns = 0;
	call_handle_change(by, statement, &h);
	call_tell(&f, PLUMB_FN_SQLITE_EXECUTE, &facts);
}

/* One that has statements is not closed (SQLITE_BUSY). Once it is, its address may be another one's already. */
static __always_inline void sqlite_closed(struct call_frame *f, __s32 result)
{
	if (result == 0 && f->args[1] && call_number_of(f, f->args[0]) == f->args[1])
		call_tell_end(f, PLUMB_FN_SQLITE_CLOSE, f->args[0]);
}

static __always_inline void sqlite_enter(struct pt_regs *ctx, __u64 pid_tgid, __u32 file, __u32 site, bool inner)
{
	struct call_frame f = call_at_once(pid_tgid, file);
	__u64 handle = PT_REGS_PARM1(ctx);

	switch (site) {
	case PLUMB_SITE_SQLITE_RESET: sqlite_give_up(&f, handle); break;
	case PLUMB_SITE_SQLITE_FINALIZE:
		sqlite_give_up(&f, handle);
		call_tell_end(&f, PLUMB_FN_SQLITE_FINALIZE, handle);
		break;
	case PLUMB_SITE_SQLITE_CLOSE:
		if (inner) { /* it cannot be waited for: better to forget a database that stays open */
			call_tell_end(&f, PLUMB_FN_SQLITE_CLOSE, handle);
			break;
		}
		f.site = site;
		f.frame = call_frame_at(ctx, false);
		f.task = bpf_get_current_task();
		f.args[0] = handle;
		f.args[1] = call_number_of(&f, handle);
		if (bpf_map_update_elem(&calls, &pid_tgid, &f, BPF_ANY))
			call_lost();
		break;
	default: call_begin(ctx, pid_tgid, file, site, site == PLUMB_SITE_SQLITE_PREPARE_V3 ? 3 : 0); break;
	}
}

static __always_inline void sqlite_return(struct call_frame *f, __s32 result)
{
	switch (f->site) {
	case PLUMB_SITE_SQLITE_OPEN: sqlite_opened(f, result); break;
	case PLUMB_SITE_SQLITE_PREPARE:
	case PLUMB_SITE_SQLITE_PREPARE_V3: sqlite_prepared(f, result); break;
	case PLUMB_SITE_SQLITE_STEP: sqlite_stepped(f, result); break;
	case PLUMB_SITE_SQLITE_CLOSE: sqlite_closed(f, result); break;
	default: break;
	}
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * DuckDB: calls of its C API (https://duckdb.org/docs/stable/clients/c/api), which most of its client libraries are made of. What is given out is written to where the last argument points.
 */
#ifndef PLUMB_DUCKDB_BPF_H
#define PLUMB_DUCKDB_BPF_H

#include "lib/call.bpf.h"

enum { DUCKDB_SUCCESS = 0, DUCKDB_ERROR = 1 };

static __always_inline void duckdb_opened(struct call_frame *f, __s32 result)
{
	struct call_facts facts = { .object = call_handle_new(f->pid_tgid, call_read_pointer(f->args[1])), .text = f->args[0], .result = result };

	call_tell(f, PLUMB_FN_DUCKDB_OPEN, &facts);
}

static __always_inline void duckdb_connected(struct call_frame *f, __s32 result)
{
	struct call_facts facts = {
		.object = call_handle_new(f->pid_tgid, call_read_pointer(f->args[1])), .parent = call_number_of(f->pid_tgid, f->args[0]), .result = result,
	};

	call_tell(f, PLUMB_FN_DUCKDB_CONNECT, &facts);
}

static __always_inline void duckdb_queried(struct call_frame *f, __s32 result)
{
	struct call_facts facts = { .parent = call_number_of(f->pid_tgid, f->args[0]), .text = f->args[1], .result = result };

	call_tell(f, PLUMB_FN_DUCKDB_QUERY, &facts);
}

static __always_inline void duckdb_told_statement(struct call_frame *f, __s32 result)
{
	struct call_facts facts = { .parent = call_number_of(f->pid_tgid, f->args[0]), .text = f->args[1], .result = result };

	if (result == DUCKDB_SUCCESS)
		facts.object = call_handle_new(f->pid_tgid, call_read_pointer(f->args[2]));
	call_tell(f, PLUMB_FN_DUCKDB_PREPARE, &facts);
}

/* How many statements are in the text, 0 if it could not be read. Of one, its text is the statement's; of which of several each is, is not known. */
static __always_inline void duckdb_extracted(struct call_frame *f, __u64 count)
{
	if (count <= 1)
		duckdb_told_statement(f, count ? DUCKDB_SUCCESS : DUCKDB_ERROR);
}

/* It goes by the number of what it was taken from, if that was one statement; else it is told of without its text. */
static __always_inline void duckdb_prepared_extracted(struct call_frame *f, __s32 result)
{
	__u64 statement = call_read_pointer(f->args[3]);
	struct call_handle h = { .number = call_number_of(f->pid_tgid, f->args[1]), .missed = call_epoch_now().missed };

	if (result != DUCKDB_SUCCESS || !statement)
		return;
	if (h.number) {
		call_handle_put(f->pid_tgid, statement, &h);
		return;
	}
	struct call_facts facts = { .object = call_handle_new(f->pid_tgid, statement), .parent = call_number_of(f->pid_tgid, f->args[0]) };
	call_tell(f, PLUMB_FN_DUCKDB_PREPARE, &facts);
}

static __always_inline void duckdb_executed(struct call_frame *f, __s32 result)
{
	struct call_facts facts = { .object = call_number_of(f->pid_tgid, f->args[0]), .result = result };

	call_tell(f, PLUMB_FN_DUCKDB_EXECUTE, &facts);
}

/* An execution begins that others go on with. */
static __always_inline void duckdb_pending(struct call_frame *f, __s32 result)
{
	__u64 pending = call_read_pointer(f->args[1]);
	struct call_handle h = { .number = call_number_of(f->pid_tgid, f->args[0]), .begin_ns = f->begin_ns, .tid = (__u32)f->pid_tgid, .missed = call_epoch_now().missed };

	if (result == DUCKDB_SUCCESS && pending)
		call_handle_put(f->pid_tgid, pending, &h);
	else
		duckdb_executed(f, result);
}

static __always_inline void duckdb_executed_pending(struct call_frame *f, __s32 result)
{
	struct call_handle *h = call_handle_at(f->pid_tgid, f->args[0]);
	struct call_facts facts = { .result = result };

	if (h) {
		facts.object = h->number;
		if (h->begin_ns)
			f->begin_ns = h->begin_ns;
		h->begin_ns = 0;
	}
	call_tell(f, PLUMB_FN_DUCKDB_EXECUTE, &facts);
}

/* Handles are given back by a pointer to where they lie. */
static __always_inline void duckdb_enter(struct pt_regs *ctx, __u64 pid_tgid, __u32 site)
{
	switch (site) {
	case PLUMB_SITE_DUCKDB_FORGET: call_tell_end(pid_tgid, PLUMB_FN_DUCKDB_FORGET, call_read_pointer(PT_REGS_PARM1(ctx))); break;
	case PLUMB_SITE_DUCKDB_DROP: call_handle_end(pid_tgid, call_read_pointer(PT_REGS_PARM1(ctx))); break;
	default: call_begin(ctx, pid_tgid, site, 0); break;
	}
}

static __always_inline void duckdb_return(struct pt_regs *ctx, struct call_frame *f)
{
	__s32 result = (__s32)PT_REGS_RC(ctx);

	switch (f->site) {
	case PLUMB_SITE_DUCKDB_OPEN: duckdb_opened(f, result); break;
	case PLUMB_SITE_DUCKDB_CONNECT: duckdb_connected(f, result); break;
	case PLUMB_SITE_DUCKDB_QUERY: duckdb_queried(f, result); break;
	case PLUMB_SITE_DUCKDB_PREPARE: duckdb_told_statement(f, result); break;
	case PLUMB_SITE_DUCKDB_EXTRACT: duckdb_extracted(f, PT_REGS_RC(ctx)); break;
	case PLUMB_SITE_DUCKDB_PREPARE_EXTRACTED: duckdb_prepared_extracted(f, result); break;
	case PLUMB_SITE_DUCKDB_EXECUTE: duckdb_executed(f, result); break;
	case PLUMB_SITE_DUCKDB_PENDING: duckdb_pending(f, result); break;
	case PLUMB_SITE_DUCKDB_EXECUTE_PENDING: duckdb_executed_pending(f, result); break;
	default: break;
	}
}

#endif

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
	struct call_facts facts = { .object = call_handle_new(f, call_read_pointer(f->args[1])), .text = f->args[0], .result = result };

	call_tell(f, PLUMB_FN_DUCKDB_OPEN, &facts);
}

static __always_inline void duckdb_connected(struct call_frame *f, __s32 result)
{
	struct call_facts facts = {
		.object = call_handle_new(f, call_read_pointer(f->args[1])), .parent = call_number_of(f, f->args[0]), .result = result,
	};

	call_tell(f, PLUMB_FN_DUCKDB_CONNECT, &facts);
}

static __always_inline void duckdb_queried(struct call_frame *f, __s32 result)
{
	struct call_facts facts = { .parent = call_number_of(f, f->args[0]), .text = f->args[1], .result = result };

	call_tell(f, PLUMB_FN_DUCKDB_QUERY, &facts);
}

static __always_inline void duckdb_told_statement(struct call_frame *f, __s32 result)
{
	struct call_facts facts = { .parent = call_number_of(f, f->args[0]), .text = f->args[1], .result = result };

	if (result == DUCKDB_SUCCESS)
		facts.object = call_handle_new(f, call_read_pointer(f->args[2]));
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
	struct call_handle h = { .number = call_number_of(f, f->args[1]) };

	if (result != DUCKDB_SUCCESS) { /* a table that is not there, mostly: all that there will be of it */
		struct call_facts refused = { .object = h.number, .parent = call_number_of(f, f->args[0]), .result = result };
		call_tell(f, PLUMB_FN_DUCKDB_EXECUTE, &refused);
		return;
	}
	if (!statement)
		return;
	if (h.number) {
		call_handle_put(f, statement, &h);
		return;
	}
	struct call_facts facts = { .object = call_handle_new(f, statement), .parent = call_number_of(f, f->args[0]) };
	call_tell(f, PLUMB_FN_DUCKDB_PREPARE, &facts);
}

static __always_inline void duckdb_executed(struct call_frame *f, __s32 result)
{
	struct call_facts facts = { .object = call_number_of(f, f->args[0]), .result = result };

	call_tell(f, PLUMB_FN_DUCKDB_EXECUTE, &facts);
}

/* An execution begins that others go on with. */
static __always_inline void duckdb_pending(struct call_frame *f, __s32 result)
{
	__u64 pending = call_read_pointer(f->args[1]);
	struct call_handle h = { .number = call_number_of(f, f->args[0]), .begin_ns = f->begin_ns, .tid = (__u32)f->pid_tgid };

	if (result == DUCKDB_SUCCESS && pending)
		call_handle_put(f, pending, &h);
	else
		duckdb_executed(f, result);
}

static __always_inline void duckdb_executed_pending(struct call_frame *f, __s32 result)
{
	struct call_handle h;
	struct call_facts facts = { .result = result };

	if (call_handle_get(f, f->args[0], &h)) {
		facts.object = h.number;
		if (call_is_open(f, &h))
			f->begin_ns = h.begin_ns;
		h.begin_ns = 0;
		call_handle_change(f, f->args[0], &h);
	}
	call_tell(f, PLUMB_FN_DUCKDB_EXECUTE, &facts);
}

/* Handles are given back by a pointer to where they lie. */
static __always_inline void duckdb_enter(struct pt_regs *ctx, __u64 pid_tgid, __u32 file, __u32 site)
{
	struct call_frame f = call_at_once(pid_tgid, file);

	switch (site) {
	case PLUMB_SITE_DUCKDB_FORGET: call_tell_end(&f, PLUMB_FN_DUCKDB_FORGET, call_read_pointer(PT_REGS_PARM1(ctx))); break;
	case PLUMB_SITE_DUCKDB_DROP: call_handle_end(&f, call_read_pointer(PT_REGS_PARM1(ctx))); break;
	default: call_begin(ctx, pid_tgid, file, site, 0); break;
	}
}

static __always_inline void duckdb_return(struct call_frame *f, __u64 result)
{
	switch (f->site) {
	case PLUMB_SITE_DUCKDB_OPEN: duckdb_opened(f, (__s32)result); break;
	case PLUMB_SITE_DUCKDB_CONNECT: duckdb_connected(f, (__s32)result); break;
	case PLUMB_SITE_DUCKDB_QUERY: duckdb_queried(f, (__s32)result); break;
	case PLUMB_SITE_DUCKDB_PREPARE: duckdb_told_statement(f, (__s32)result); break;
	case PLUMB_SITE_DUCKDB_EXTRACT: duckdb_extracted(f, result); break;
	case PLUMB_SITE_DUCKDB_PREPARE_EXTRACTED: duckdb_prepared_extracted(f, (__s32)result); break;
	case PLUMB_SITE_DUCKDB_EXECUTE: duckdb_executed(f, (__s32)result); break;
	case PLUMB_SITE_DUCKDB_PENDING: duckdb_pending(f, (__s32)result); break;
	case PLUMB_SITE_DUCKDB_EXECUTE_PENDING: duckdb_executed_pending(f, (__s32)result); break;
	default: break;
	}
}

#endif

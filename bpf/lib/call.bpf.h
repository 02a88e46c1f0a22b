/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Calls of libraries: what a probe on a function's entry keeps for the one on its return, and the record that both make. A program on a function in user space can be
 * preempted, so a level is taken atomically, and only while a record is written. Meanwhile the place of what it has looked up may have become another key's, as the kernel uses places of these maps
 * again at once: what lies there is copied, looked up again, and changed by putting a copy in its place.
 */
#ifndef PLUMB_CALL_BPF_H
#define PLUMB_CALL_BPF_H

#define PLUMB_PREEMPTIBLE
#include "lib/calls.bpf.h"
#include "lib/target.bpf.h"

/* libbpf has it since 1.2. */
#if defined(__TARGET_ARCH_x86)
#define CALL_PARM6(ctx) ((ctx)->r9)
#else
#define CALL_PARM6(ctx) (((const struct user_pt_regs *)(ctx))->regs[5])
#endif

#define ENOENT 2
#define CALL_WITHIN (1ull << 63) /* no number of a process reaches there */
#define CALL_BELIEVED_NS 600000000000ull /* a call that is older may be one whose end nobody saw */
#define CALL_HANDLES_MAX 16384

/* By its address in the process. */
struct call_handle_key {
	__u64 address;
	__u32 tgid;
	__u32 pad;
};

/*
 * A handle that a library has given out: the number that records know it by, which no other has, so that what is told of an address is never taken for what lies there later. And, of a
 * statement, the execution that has returned rows and is not over.
 */
struct call_handle {
	__u64 number; /* 0: it was made before the probe came */
	__u64 begin_ns, end_ns, count; /* begin_ns 0: none */
	__u32 tid;
	__u32 file;     /* whose library made it */
	__u32 missed;   /* as it was when it was made */
	__u32 detached; /* as it was at begin_ns */
};

/* What is not given back stays until others take its place. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CALL_HANDLES_MAX);
	__type(key, struct call_handle_key);
	__type(value, struct call_handle);
} call_handles SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} call_numbers SEC(".maps");

struct call_facts {
	__u64 object, parent; /* numbers of handles */
	__u64 count;
	__u64 text;       /* address, 0 none */
	__u64 text_bytes; /* 0: up to its NUL */
	__u64 end_ns;     /* 0: now */
	__s32 result;
};

/* Entries and returns seen since the start, by file: each is a trap, whoever is watched. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PLUMB_SITE_FILES);
	__type(key, __u32);
	__type(value, struct plumb_call_hits);
} call_hits SEC(".maps");

static __always_inline void call_hit(__u32 file, __u32 trap)
{
	struct plumb_call_hits *h = bpf_map_lookup_elem(&call_hits, &file);

	if (h) /* a program on a function may lose its CPU */
		__sync_fetch_and_add(&h->hits[trap & 1], 1);
}

static __always_inline void call_lost(void)
{
	struct plumb_percpu *pc = plumb_percpu_get();

	if (pc)
		plumb_lost(pc, PLUMB_LOSS_CALLS, 1);
}

/* Where the return address of the function that is entered lies, or lay of one that returns. */
static __always_inline __u64 call_frame_at(struct pt_regs *ctx, bool returned)
{
	__u64 frame = PT_REGS_SP(ctx);

#if defined(__TARGET_ARCH_x86)
	if (returned)
		frame -= sizeof(__u64); /* it was popped */
#endif
	return frame;
}

/* What lies at an address of the program; 0 if there is nothing to be read. */
static __always_inline __u64 call_read_pointer(__u64 address)
{
	__u64 value = 0;

	if (address && bpf_probe_read_user(&value, sizeof(value), (const void *)address))
		value = 0;
	return value;
}

/*
 * Has a call ended although its return was not told, as by longjmp()? While it lasts, its return address is one of the kernel's, the same in the whole process. Where that lies in a register (arm64) only time
 * tells.
 */
static __always_inline bool call_is_over(__u64 frame, __u64 begin_ns)
{
#if defined(__TARGET_ARCH_x86)
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u64 trampoline = BPF_CORE_READ(task, mm, uprobes_state.xol_area, vaddr), to = call_read_pointer(frame);

	if (trampoline && to && to != trampoline)
		return true;
#endif
	return bpf_ktime_get_boot_ns() - begin_ns > CALL_BELIEVED_NS;
}

/* The call within which another is made. */
struct call_outer {
	__u64 object; /* its first argument */
	__u32 site;
};

/* Is the thread within another call? Stacks grow down. */
static __always_inline bool call_is_inner(struct pt_regs *ctx, __u64 pid_tgid, struct call_outer *ret)
{
	struct call_frame *outer = bpf_map_lookup_elem(&calls, &pid_tgid);

	if (!outer)
		return false;
	__u64 frame = outer->frame, task = outer->task, begin_ns = outer->begin_ns;
	__u32 file = outer->file, detached = outer->detached;
	ret->object = outer->args[0];
	ret->site = outer->site;
	if (bpf_map_lookup_elem(&calls, &pid_tgid) != outer)
		return false;
	return frame > call_frame_at(ctx, false) && task == bpf_get_current_task() && detached == call_epoch_of(file).detached && !call_is_over(frame, begin_ns);
}

/* Of a call that needs no return: its thread and its file. */
static __always_inline struct call_frame call_at_once(__u64 pid_tgid, __u32 file)
{
	struct plumb_call_epoch epoch = call_epoch_of(file);
	struct call_frame f = { .pid_tgid = pid_tgid, .begin_ns = bpf_ktime_get_boot_ns(), .file = file, .detached = epoch.detached, .missed = epoch.missed };

	return f;
}

/* Keeps what its return is told with, under pid_tgid or, of one within another, with CALL_WITHIN. shift: the argument behind this number is left out; 0 = none. */
static __always_inline void call_begin_at(struct pt_regs *ctx, __u64 pid_tgid, __u64 key, __u32 file, __u32 site, int shift)
{
	struct plumb_call_epoch epoch = call_epoch_of(file);
	struct call_frame f = {
		.pid_tgid = pid_tgid, .begin_ns = bpf_ktime_get_boot_ns(), .frame = call_frame_at(ctx, false), .task = bpf_get_current_task(), .site = site, .file = file, .detached = epoch.detached,
		.missed = epoch.missed,
		.args = { PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), PT_REGS_PARM3(ctx), PT_REGS_PARM4(ctx), PT_REGS_PARM5(ctx) },
	};

	if (shift == 3) {
		f.args[3] = PT_REGS_PARM5(ctx);
		f.args[4] = CALL_PARM6(ctx);
	}
	if (bpf_map_update_elem(&calls, &key, &f, BPF_ANY))
		call_lost();
}

static __always_inline void call_begin(struct pt_regs *ctx, __u64 pid_tgid, __u32 file, __u32 site, int shift) { call_begin_at(ctx, pid_tgid, pid_tgid, file, site, shift); }

static __always_inline bool call_end_at(__u64 key, __u64 pid_tgid, __u32 file, __u32 site, struct pt_regs *ctx, struct call_frame *ret_frame)
{
	struct call_frame *f = bpf_map_lookup_elem(&calls, &key);

	if (!f)
		return false;
	*ret_frame = *f;
	if (ret_frame->pid_tgid != pid_tgid || ret_frame->site != site || ret_frame->file != file || ret_frame->frame != call_frame_at(ctx, true))
		return false;
	return bpf_map_delete_elem(&calls, &key) != -ENOENT; /* else the place became another call's while it was copied */
}

/* The call that returns here, taken out of where it was kept; false: it began before the probe came, or does not count. */
static __always_inline bool call_end(__u32 file, __u32 site, struct pt_regs *ctx, struct call_frame *ret_frame)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();

	if (call_end_at(pid_tgid, pid_tgid, file, site, ctx, ret_frame))
		return true;
	return site >= PLUMB_SITE_TLS_NEW && call_end_at(pid_tgid | CALL_WITHIN, pid_tgid, file, site, ctx, ret_frame);
}

static __always_inline struct call_handle_key call_handle_key(const struct call_frame *f, __u64 address)
{
	struct call_handle_key key = { .address = address, .tgid = (__u32)(f->pid_tgid >> 32) };

	return key;
}

/* What is known of a handle of the library that was called; false: nothing, or of what lay there before. */
static __always_inline bool call_handle_get(const struct call_frame *f, __u64 address, struct call_handle *ret)
{
	struct call_handle_key key = call_handle_key(f, address);
	struct call_handle *h = address ? bpf_map_lookup_elem(&call_handles, &key) : NULL;

	if (!h)
		return false;
	*ret = *h;
	return ret->file == f->file && ret->missed == f->missed && bpf_map_lookup_elem(&call_handles, &key) == h;
}

/* 0: not known. */
static __always_inline __u64 call_number_of(const struct call_frame *f, __u64 address)
{
	struct call_handle h;

	return call_handle_get(f, address, &h) ? h.number : 0;
}

static __always_inline void call_handle_put(const struct call_frame *f, __u64 address, struct call_handle *h)
{
	struct call_handle_key key = call_handle_key(f, address);

	h->file = f->file;
	h->missed = f->missed;
	h->detached = f->detached;
	if (bpf_map_update_elem(&call_handles, &key, h, BPF_ANY))
		call_lost();
}

/* What call_handle_get() told of, changed. If others have taken its place meanwhile, nothing is known of it any more. */
static __always_inline void call_handle_change(const struct call_frame *f, __u64 address, const struct call_handle *h)
{
	struct call_handle_key key = call_handle_key(f, address);

	bpf_map_update_elem(&call_handles, &key, h, BPF_EXIST);
}

/* The handle is new: whatever is known of its address is of another one. Its number. */
static __always_inline __u64 call_handle_new(const struct call_frame *f, __u64 address)
{
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&call_numbers, &zero);
	struct call_handle h = {};

	if (!address || !count)
		return 0;
	h.number = (__sync_fetch_and_add(count, 1) + 1) << 12 | (bpf_get_smp_processor_id() & 0xfff);
	call_handle_put(f, address, &h);
	return h.number;
}

static __always_inline __u64 call_handle_end(const struct call_frame *f, __u64 address)
{
	struct call_handle_key key = call_handle_key(f, address);
	__u64 number = call_number_of(f, address);

	if (number) /* of a file that is known by two names, the other's stays */
		bpf_map_delete_elem(&call_handles, &key);
	return number;
}

/* Has the statement returned rows, in an execution that is not over? Not if some of its calls may have been missed. */
static __always_inline bool call_is_open(const struct call_frame *f, const struct call_handle *h) { return h->begin_ns && h->detached == f->detached; }

/* Copies the text behind the record. */
static __always_inline void call_copy_text(struct plumb_rec_call *r, const struct call_facts *facts)
{
	/* One byte more tells a text that goes on from one that is just as long. */
	__u64 most = facts->text_bytes ? facts->text_bytes : PLUMB_CALL_TEXT_MAX + 1;

	barrier_var(most); /* the verifier shall see the comparison with what it is used as */
	if (most > PLUMB_CALL_TEXT_MAX + 1)
		most = PLUMB_CALL_TEXT_MAX + 1;
	long n = bpf_probe_read_user_str(r + 1, (__u32)most + 1, (const void *)facts->text);
	if (n < 0) {
		r->flags = PLUMB_CALL_NO_TEXT;
		return;
	}
	r->captured = n > 0 ? (__u32)n - 1 : 0;
	r->len = r->captured;
	if (r->captured > PLUMB_CALL_TEXT_MAX) {
		r->captured = r->len = PLUMB_CALL_TEXT_MAX;
		r->flags = PLUMB_CALL_CUT;
		if (facts->text_bytes > r->captured && facts->text_bytes < 0xffffffff)
			r->len = (__u32)facts->text_bytes;
	}
}

static __always_inline void call_write(struct plumb_percpu *pc, __u32 level, const struct call_frame *f, __u32 function, const struct call_facts *facts)
{
	struct plumb_ring_ends *ends;
	struct plumb_rec_call *r = plumb_reserve_data(level, sizeof(*r) + PLUMB_CALL_TEXT_MAX + 8, &ends);

	if (!r) {
		plumb_lost(pc, PLUMB_LOSS_CALLS, 1);
		return;
	}
	r->begin_ns = f->begin_ns;
	r->end_ns = facts->end_ns ? facts->end_ns : bpf_ktime_get_boot_ns();
	r->object = facts->object;
	r->parent = facts->parent;
	r->flow = 0;
	r->count = facts->count;
	r->pid = (__u32)(f->pid_tgid >> 32);
	r->tid = (__u32)f->pid_tgid;
	r->function = (__u16)function;
	r->flags = 0;
	r->result = facts->result;
	r->len = 0;
	r->captured = 0;
	if (facts->text)
		call_copy_text(r, facts);
	__u32 size = (sizeof(*r) + r->captured + 7) & ~7u;
	plumb_header(&r->h, PLUMB_REC_CALL, size); /* last: to copy the text may have taken long */
	plumb_commit(ends, size);
}

static __always_inline void call_tell(const struct call_frame *f, __u32 function, const struct call_facts *facts)
{
	struct plumb_percpu *pc = plumb_percpu_get();
	__u32 level;

	if (!pc || !plumb_enter(pc, &level))
		return;
	call_write(pc, level, f, function, facts);
	plumb_leave(pc, level);
}

/* A handle was given back. What nobody was told of needs no end. */
static __always_inline void call_tell_end(const struct call_frame *f, __u32 function, __u64 address)
{
	struct call_facts facts = { .object = call_handle_end(f, address), .end_ns = f->begin_ns };

	if (facts.object)
		call_tell(f, function, &facts);
}

#endif

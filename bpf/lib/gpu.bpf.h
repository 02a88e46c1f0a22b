/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * GPU drivers: calls are counted here, by process and function, as most are too many for a record each (bpf/abi/gpu.h); the probe reads the tables. One that fails or takes long is a record of its own, too.
 * A process's places are its own until the probe has read them after its end, so what was looked up stays.
 */
#ifndef PLUMB_GPU_BPF_H
#define PLUMB_GPU_BPF_H

#include "lib/call.bpf.h"

#define GPU_PROCESSES_MAX 256
#define GPU_TOTALS_MAX 4096
#define GPU_KERNELS_MAX 4096
#define GPU_ALLOCATIONS_MAX 16384
#define GPU_SECOND_NS 1000000000ull
enum { GPU_NAME_AT = 8, GPU_NAME_CHECKED = 16, GPU_TRIES = 8 };

const volatile __u64 gpu_slow_ns = 100000000; /* a call that takes so long is told of */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GPU_PROCESSES_MAX);
	__type(key, __u32); /* pid */
	__type(value, struct plumb_gpu_process);
} gpu_processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GPU_TOTALS_MAX);
	__type(key, struct plumb_gpu_call_key);
	__type(value, struct plumb_gpu_totals);
} gpu_totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GPU_KERNELS_MAX);
	__type(key, struct plumb_gpu_kernel_key);
	__type(value, struct plumb_gpu_launches);
} gpu_kernels SEC(".maps");

struct gpu_allocation {
	__u64 bytes;
	__u32 memory; /* enum plumb_gpu_memory */
	__u32 since; /* gpu_since(), as it was */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GPU_ALLOCATIONS_MAX);
	__type(key, struct plumb_gpu_allocation_key);
	__type(value, struct gpu_allocation);
} gpu_allocations SEC(".maps");

/* What counts from 0 on; a stack has no room for it. */
const volatile struct plumb_gpu_process gpu_no_process = {};
const volatile struct plumb_gpu_totals gpu_no_totals = {};

static __always_inline void gpu_lost(enum plumb_loss reason)
{
	struct plumb_percpu *pc = plumb_percpu_get();

	if (pc)
		plumb_lost(pc, reason, 1);
}

static __always_inline struct plumb_gpu_process *gpu_process_of(const struct call_frame *f)
{
	__u32 pid = (__u32)(f->pid_tgid >> 32);
	struct plumb_gpu_process *p = bpf_map_lookup_elem(&gpu_processes, &pid);

	if (!p) {
		bpf_map_update_elem(&gpu_processes, &pid, (const void *)&gpu_no_process, BPF_NOEXIST); /* another thread may have been first */
		p = bpf_map_lookup_elem(&gpu_processes, &pid);
	}
	return p;
}

/* --- memory --- */

static __always_inline struct plumb_gpu_allocation_key gpu_allocation_key(const struct call_frame *f, __u64 address)
{
	struct plumb_gpu_allocation_key key = { .address = address, .pid = (__u32)(f->pid_tgid >> 32) };

	return key;
}

static __always_inline void gpu_raise(__u64 *peak, __u64 to)
{
	for (int i = 0; i < GPU_TRIES; i++) { /* others may raise it meanwhile */
		__u64 now = *(volatile __u64 *)peak;
		if (now >= to || __sync_val_compare_and_swap(peak, now, to) == now)
			return;
	}
}

/* The driver's file, and since when all of its calls have been seen; not 0. */
#define GPU_SINCE_FILE 23
_Static_assert(PLUMB_SITE_FILES < 1 << (32 - GPU_SINCE_FILE), "the last file, and one more, has room above");
static __always_inline __u32 gpu_since(const struct call_frame *f) { return (f->file + 1) << GPU_SINCE_FILE | (f->missed & ((1u << GPU_SINCE_FILE) - 1)); }

/* Where probes were away for a while, what was taken and given back meanwhile is not known: what a process has counts from then on. It may have two drivers. */
static __always_inline void gpu_memory_begins(struct plumb_gpu_process *p, __u32 since)
{
	__u32 before = __sync_lock_test_and_set(&p->since, since);

	if (before == since || before >> GPU_SINCE_FILE != since >> GPU_SINCE_FILE) /* 0: nothing was counted yet; another thread may just have begun */
		return;
	p->allocated[PLUMB_GPU_DEVICE] = p->allocated[PLUMB_GPU_HOST] = 0;
}

/* What was counted before a new beginning may be given back behind it. */
static __always_inline void gpu_lower(__u64 *allocated, __u64 bytes)
{
	__u64 before = __sync_fetch_and_add(allocated, -bytes);

	if (before < bytes)
		__sync_fetch_and_add(allocated, bytes - before);
}

static __always_inline void gpu_allocated(const struct call_frame *f, struct plumb_gpu_process *p, __u64 address, __u64 bytes, __u32 memory)
{
	struct plumb_gpu_allocation_key key = gpu_allocation_key(f, address);
	struct gpu_allocation a = { .bytes = bytes, .memory = memory, .since = gpu_since(f) };

	if (!address)
		return;
	/* What lay there was given back in a way that nobody saw, as with its context. */
	struct gpu_allocation *old = bpf_map_lookup_elem(&gpu_allocations, &key);
	if (old && old->since == gpu_since(f))
		gpu_lower(&p->allocated[old->memory & 1], old->bytes);
	bool is_new = !old;
	if (bpf_map_update_elem(&gpu_allocations, &key, &a, BPF_ANY)) {
		gpu_lost(PLUMB_LOSS_GPU_ALLOCATIONS);
		return;
	}
	if (is_new)
		__sync_fetch_and_add(&p->allocations, 1);
	memory &= 1;
	__u64 now = __sync_fetch_and_add(&p->allocated[memory], bytes) + bytes;
	gpu_raise(&p->peak[memory], now);
}

/* At its entry: once the driver has it back, its address may be another one's before the call returns. A second probe on the function (call.bpf.h) finds what the first has kept. */
static __always_inline void gpu_free_begins(struct call_frame *f, __u64 address)
{
	struct plumb_gpu_allocation_key key = gpu_allocation_key(f, address);
	struct gpu_allocation *a = address ? bpf_map_lookup_elem(&gpu_allocations, &key) : NULL;
	struct call_frame *first = bpf_map_lookup_elem(&calls, &f->pid_tgid);

	f->args[0] = address;
	f->args[1] = f->args[2] = f->args[3] = 0;
	if (!a && first && first->site == f->site && first->frame == f->frame && first->task == f->task && first->args[0] == address && first->args[3]) {
		f->args[1] = first->args[1];
		f->args[2] = first->args[2];
		f->args[3] = 1;
		f->args[4] = gpu_since(f);
	}
	if (!a)
		return;
	f->args[1] = a->bytes;
	f->args[2] = a->memory;
	f->args[3] = 1; /* it was known */
	f->args[4] = a->since;
	if (bpf_map_delete_elem(&gpu_allocations, &key) == -ENOENT) /* another thread gives it back, too */
		f->args[3] = 0;
}

static __always_inline void gpu_freed(const struct call_frame *f, struct plumb_gpu_process *p, bool succeeded)
{
	struct plumb_gpu_allocation_key key = gpu_allocation_key(f, f->args[0]);
	struct gpu_allocation a = { .bytes = f->args[1], .memory = (__u32)f->args[2], .since = (__u32)f->args[4] };

	if (!f->args[0])
		return;
	if (!f->args[3]) {
		if (succeeded)
			__sync_fetch_and_add(&p->strange_frees, 1);
		return;
	}
	if (!succeeded) {
		if (bpf_map_update_elem(&gpu_allocations, &key, &a, BPF_NOEXIST))
			gpu_lost(PLUMB_LOSS_GPU_ALLOCATIONS);
		return;
	}
	__sync_fetch_and_add(&p->allocations, -1ull);
	if (a.since == gpu_since(f))
		gpu_lower(&p->allocated[a.memory & 1], a.bytes);
}

/* --- kernels --- */

/* As C and C++ compilers name functions, and PTX lets them. */
static __always_inline bool gpu_is_name_byte(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' || c == '.' || c == '@'; }

/*
 * The driver keeps the address of a kernel's name 8 bytes into what CUfunction and CUkernel point to. That is written nowhere (seen with driver 580): what does not look like a name is none. The
 * rest of it is the engine's to look at.
 */
static __always_inline bool gpu_read_name(char *name, __u64 kernel)
{
	__u64 at = kernel ? call_read_pointer(kernel + GPU_NAME_AT) : 0;

	__builtin_memset(name, 0, PLUMB_GPU_NAME_BYTES);
	if (!at || bpf_probe_read_user_str(name, PLUMB_GPU_NAME_BYTES, (const void *)at) <= 1)
		return false;
	for (int i = 0; i < GPU_NAME_CHECKED; i++) {
		if (!name[i])
			return i > 0;
		if (!gpu_is_name_byte(name[i]))
			return false;
	}
	return true;
}

static __always_inline struct plumb_gpu_launches *gpu_launches_of(struct plumb_gpu_process *p, const struct plumb_gpu_kernel_key *key)
{
	struct plumb_gpu_launches none = {}, *l = bpf_map_lookup_elem(&gpu_kernels, key);

	if (l || p->kernels >= PLUMB_GPU_KERNELS)
		return l;
	if (bpf_map_update_elem(&gpu_kernels, key, &none, BPF_NOEXIST) == 0)
		__sync_fetch_and_add(&p->kernels, 1);
	return bpf_map_lookup_elem(&gpu_kernels, key);
}

/* key: NULL where there was no room to read a name into. */
static __always_inline void gpu_launched(const struct call_frame *f, struct plumb_gpu_process *p, struct plumb_gpu_kernel_key *key, __u64 kernel, __u64 now)
{
	__u64 took = now - f->begin_ns;

	if (!key || !gpu_read_name(key->name, kernel)) {
		if (key)
			key->name[0] = 0;
		__sync_fetch_and_add(&p->unnamed, 1);
		__sync_fetch_and_add(&p->unnamed_ns, took);
		return;
	}
	key->pid = (__u32)(f->pid_tgid >> 32);
	struct plumb_gpu_launches *l = gpu_launches_of(p, key);
	if (!l) {
		__sync_fetch_and_add(&p->other, 1);
		__sync_fetch_and_add(&p->other_ns, took);
		return;
	}
	__sync_fetch_and_add(&l->count, 1);
	__sync_fetch_and_add(&l->sum_ns, took);
	l->last_ns = now;
}

/* --- calls --- */

static __always_inline __u32 gpu_bucket(__u64 took_ns)
{
#define GPU_BUCKET(i, bound)          \
	if (took_ns <= (bound##ull)) \
		return i;
	PLUMB_GPU_BOUNDS(GPU_BUCKET)
#undef GPU_BUCKET
	return PLUMB_GPU_BUCKETS - 1;
}

/* A place that is free is whose code is 0; it is taken in one step, and stays its code's. */
static __always_inline void gpu_failed(struct plumb_gpu_totals *t, __s32 code)
{
	for (int i = 0; i < PLUMB_GPU_CODES; i++) {
		struct plumb_gpu_code *c = &t->codes[i];
		__s32 is = *(volatile __s32 *)&c->code;
		if (!is)
			is = __sync_val_compare_and_swap(&c->code, 0, code);
		if (is == code || is == 0) {
			__sync_fetch_and_add(&c->count, 1);
			return;
		}
	}
	__sync_fetch_and_add(&t->other_errors, 1);
}

static __always_inline void gpu_count(const struct call_frame *f, __u32 call, __s32 result, __u64 bytes, __u64 now)
{
	struct plumb_gpu_call_key key = { .pid = (__u32)(f->pid_tgid >> 32), .call = call };
	struct plumb_gpu_totals *t = bpf_map_lookup_elem(&gpu_totals, &key);

	if (!t) {
		bpf_map_update_elem(&gpu_totals, &key, (const void *)&gpu_no_totals, BPF_NOEXIST);
		t = bpf_map_lookup_elem(&gpu_totals, &key);
	}
	if (!t) {
		gpu_lost(PLUMB_LOSS_GPU_CALLS);
		return;
	}
	__u64 took = now - f->begin_ns;
	__sync_fetch_and_add(&t->count, 1);
	__sync_fetch_and_add(&t->sum_ns, took);
	__sync_fetch_and_add(&t->buckets[gpu_bucket(took) & (PLUMB_GPU_BUCKETS - 1)], 1);
	if (result)
		gpu_failed(t, result);
	else if (bytes)
		__sync_fetch_and_add(&t->bytes, bytes);
	t->last_ns = now;
}

/* May one more be told of in this second? */
static __always_inline bool gpu_may_tell(struct plumb_gpu_process *p, __u64 now)
{
	if (now - p->window_ns >= GPU_SECOND_NS) {
		p->window_ns = now;
		p->told = 0;
	}
	if (__sync_fetch_and_add(&p->told, 1) < PLUMB_GPU_TOLD)
		return true;
	__sync_fetch_and_add(&p->suppressed, 1);
	return false;
}

#define GPU_GRID(x, y, z) ((__u64)(__u32)(x) | ((__u64)(y) & 0xffff) << 32 | ((__u64)(z) & 0xffff) << 48)
#define GPU_BLOCK(x, y, z) (((__u64)(x) & 0xffff) | ((__u64)(y) & 0xffff) << 16 | ((__u64)(z) & 0xffff) << 32)

/* What a launch is kept with: kernel, grid, block, bytes of shared memory. */
enum { GPU_KERNEL, GPU_GRID_AT, GPU_BLOCK_AT, GPU_SHARED };

#if defined(__TARGET_ARCH_x86)
/* Arguments that registers have no room for. They lie on the stack, where the function may change them: read when it begins. */
static __always_inline void gpu_read_stack(const struct call_frame *f, __u64 *to, __u32 bytes)
{
	bpf_probe_read_user(to, bytes, (const void *)(f->frame + sizeof(__u64))); /* above the return address */
}
#endif

static __always_inline void gpu_launch_begins(struct pt_regs *ctx, struct call_frame *f)
{
	__u64 last[2] = {}; /* block z, bytes of shared memory */

#if defined(__TARGET_ARCH_x86)
	gpu_read_stack(f, last, sizeof(last));
#else
	last[0] = ((const struct user_pt_regs *)ctx)->regs[6];
	last[1] = ((const struct user_pt_regs *)ctx)->regs[7];
#endif
	f->args[GPU_KERNEL] = PT_REGS_PARM1(ctx);
	f->args[GPU_GRID_AT] = GPU_GRID(PT_REGS_PARM2(ctx), PT_REGS_PARM3(ctx), PT_REGS_PARM4(ctx));
	f->args[GPU_BLOCK_AT] = GPU_BLOCK(PT_REGS_PARM5(ctx), CALL_PARM6(ctx), last[0]);
	f->args[GPU_SHARED] = (__u32)last[1];
}

/* Structs of three 32-bit numbers take two registers each. */
static __always_inline void gpu_launch_dim3_begins(struct pt_regs *ctx, struct call_frame *f)
{
	__u64 grid = PT_REGS_PARM2(ctx), block = PT_REGS_PARM4(ctx), shared = 0;

#if defined(__TARGET_ARCH_x86)
	gpu_read_stack(f, &shared, sizeof(shared));
#else
	shared = ((const struct user_pt_regs *)ctx)->regs[6];
#endif
	f->args[GPU_KERNEL] = 0;
	f->args[GPU_GRID_AT] = GPU_GRID(grid, grid >> 32, PT_REGS_PARM3(ctx));
	f->args[GPU_BLOCK_AT] = GPU_BLOCK(block, block >> 32, PT_REGS_PARM5(ctx));
	f->args[GPU_SHARED] = shared;
}

/* What is launched, and how, lies in the caller's memory, which the function only reads. */
static __always_inline void gpu_launch_ex_ends(struct call_frame *f)
{
	struct { __u32 grid[3], block[3], shared, pad; } c = {};
	__u64 kernel = f->args[1];

	bpf_probe_read_user(&c, sizeof(c) - sizeof(c.pad), (const void *)f->args[0]);
	f->args[GPU_KERNEL] = kernel;
	f->args[GPU_GRID_AT] = GPU_GRID(c.grid[0], c.grid[1], c.grid[2]);
	f->args[GPU_BLOCK_AT] = GPU_BLOCK(c.block[0], c.block[1], c.block[2]);
	f->args[GPU_SHARED] = c.shared;
}

static __always_inline void gpu_enter(struct pt_regs *ctx, __u64 pid_tgid, __u32 file, __u32 site)
{
	struct call_frame f = call_at_once(pid_tgid, file);

	f.site = site;
	f.frame = call_frame_at(ctx, false);
	f.task = bpf_get_current_task();
	switch (site) {
	case PLUMB_SITE_GPU_LAUNCH:
	case PLUMB_SITE_GPU_LAUNCH_UNNAMED: gpu_launch_begins(ctx, &f); break;
	case PLUMB_SITE_GPU_LAUNCH_DIM3: gpu_launch_dim3_begins(ctx, &f); break;
	case PLUMB_SITE_GPU_FREE: gpu_free_begins(&f, PT_REGS_PARM1(ctx)); break;
	default:
		f.args[0] = PT_REGS_PARM1(ctx);
		f.args[1] = PT_REGS_PARM2(ctx);
		f.args[2] = PT_REGS_PARM3(ctx);
		f.args[3] = PT_REGS_PARM4(ctx);
		f.args[4] = PT_REGS_PARM5(ctx);
		break;
	}
	if (bpf_map_update_elem(&calls, &pid_tgid, &f, BPF_ANY))
		call_lost();
}

/* Of what was asked for, too, if it failed. */
static __always_inline __u64 gpu_bytes_of(const struct call_frame *f)
{
	switch (f->site) {
	case PLUMB_SITE_GPU_BYTES: return f->args[2];
	case PLUMB_SITE_GPU_WORDS16: return f->args[2] * 2;
	case PLUMB_SITE_GPU_WORDS32: return f->args[2] * 4;
	case PLUMB_SITE_GPU_BYTES_FIFTH: return f->args[4];
	case PLUMB_SITE_GPU_ALLOC:
	case PLUMB_SITE_GPU_ALLOC_HOST: return f->args[1];
	default: return 0;
	}
}

static __always_inline bool gpu_is_launch(__u32 site) { return site >= PLUMB_SITE_GPU_LAUNCH && site <= PLUMB_SITE_GPU_LAUNCH_EX; }

static __always_inline void gpu_memory(const struct call_frame *f, struct plumb_gpu_process *p, bool succeeded, __u64 bytes)
{
	if (f->site < PLUMB_SITE_GPU_ALLOC)
		return;
	if (p->since != gpu_since(f))
		gpu_memory_begins(p, gpu_since(f));
	if (f->site == PLUMB_SITE_GPU_FREE)
		gpu_freed(f, p, succeeded);
	else if (succeeded)
		gpu_allocated(f, p, call_read_pointer(f->args[0]), bytes, f->site == PLUMB_SITE_GPU_ALLOC_HOST ? PLUMB_GPU_HOST : PLUMB_GPU_DEVICE);
}

static __always_inline void gpu_tell(const struct call_frame *f, __u32 call, __s32 result, __u64 bytes, __u64 now, __u64 name)
{
	struct call_facts facts = { .count = bytes, .end_ns = now, .result = result, .text = name };

	if (gpu_is_launch(f->site)) {
		facts.object = f->args[GPU_GRID_AT];
		facts.parent = f->args[GPU_BLOCK_AT];
		facts.count = f->args[GPU_SHARED];
	}
	call_tell(f, PLUMB_FN_GPU + call, &facts);
}

/* The name is read into the scratch of a level: a stack has no room for it. Its address in the program, if it is one; else 0. */
static __always_inline __u64 gpu_launch_ends(const struct call_frame *f, struct plumb_gpu_process *p, __u64 now)
{
	struct plumb_percpu *pc = plumb_percpu_get();
	__u64 kernel = f->args[GPU_KERNEL];
	bool is_named = false;
	__u32 level;

	if (f->site != PLUMB_SITE_GPU_LAUNCH && f->site != PLUMB_SITE_GPU_LAUNCH_EX)
		return 0;
	if (!pc || !plumb_enter(pc, &level)) {
		gpu_launched(f, p, NULL, 0, now);
		return 0;
	}
	struct plumb_scratch *s = plumb_scratch_get(level);
	gpu_launched(f, p, s ? &s->kernel : NULL, kernel, now);
	is_named = s && s->kernel.name[0];
	plumb_leave(pc, level);
	return is_named ? call_read_pointer(kernel + GPU_NAME_AT) : 0;
}

static __always_inline void gpu_return(struct call_frame *f, __u32 call, __s32 result)
{
	__u64 now = bpf_ktime_get_boot_ns(), name = 0;
	struct plumb_gpu_process *p = gpu_process_of(f);

	if (!p) {
		gpu_lost(PLUMB_LOSS_GPU_CALLS);
		return;
	}
	if (f->site == PLUMB_SITE_GPU_LAUNCH_EX)
		gpu_launch_ex_ends(f);
	__u64 bytes = gpu_bytes_of(f);
	if (f->site == PLUMB_SITE_GPU_ALLOC_PITCH && !result) /* else nobody has written there */
		bytes = call_read_pointer(f->args[1]) * f->args[3];
	gpu_memory(f, p, result == 0, bytes);
	if (f->site == PLUMB_SITE_GPU_FREE)
		bytes = 0; /* were counted when they were taken */
	gpu_count(f, call, result, bytes, now);
	name = gpu_launch_ends(f, p, now);
	p->last_ns = now;
	if ((result || now - f->begin_ns >= gpu_slow_ns) && gpu_may_tell(p, now))
		gpu_tell(f, call, result, bytes, now, name);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The programs that sit on functions of libraries: found a way for, loaded, and attached. */
#include "probe/loaded.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"

#include "../../bpf/abi/sites.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion" /* generated code is not held to our warnings */
#include "library.skel.h"
#pragma GCC diagnostic pop

/* What is counted of GPU drivers takes some MiB, which nobody pays for who does not look at them. */
static int functions_size_gpu(struct library_bpf *skel, const struct load_options *o)
{
	struct bpf_map *maps[] = { skel->maps.gpu_processes, skel->maps.gpu_totals, skel->maps.gpu_kernels, skel->maps.gpu_allocations };
	int err = 0;

	skel->rodata->gpu_slow_ns = o->gpu_slow_ns;
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]) && !err && !o->gpu; i++)
		err = bpf_map__set_max_entries(maps[i], 1);
	return err;
}

static int functions_load(struct loaded *l, const struct load_options *o, enum uprobe_way way)
{
	struct bpf_program *prog;
	struct library_bpf *skel = library_bpf__open();

	if (!skel)
		return -errno;
	skel->rodata->only_targets = o->only_targets;
	skel->rodata->filters_by_place = l->by_place;
	skel->rodata->trap_ns[PLUMB_TRAP_SHORT] = l->trap.short_ns;
	skel->rodata->trap_ns[PLUMB_TRAP_LONG] = l->trap.long_ns;
	skel->rodata->ring_bytes = l->ring_bytes;
	skel->rodata->wake_bytes = l->ring_bytes / 8;
	int err = functions_size_gpu(skel, o);
	if (!err)
		err = load_size_maps(l, skel->obj);
	if (!err)
		err = load_share_maps(skel->obj, l->base);
	if (!err)
		err = load_share_maps(skel->obj, loaded_object(l, 1));
	bpf_object__for_each_program(prog, skel->obj)
		if (!err && way == UPROBE_MULTI)
			err = bpf_program__set_expected_attach_type(prog, (enum bpf_attach_type)UPROBE_MULTI_ATTACH);
	if (!err)
		err = library_bpf__load(skel);
	if (err) {
		library_bpf__destroy(skel);
		return err;
	}
	l->library = skel;
	return 0;
}

void loaded_load_functions(struct loaded *l, const struct load_options *o, struct caps *caps)
{
	static const enum uprobe_way ways[] = { UPROBE_MULTI, UPROBE_PERF };
	struct caps_feature *f = caps_feature(caps, "library calls");

	for (size_t i = 0; i < f->nrungs && i < sizeof(ways) / sizeof(ways[0]) && f->serves < 0; i++) {
		struct caps_rung *r = &f->rungs[i];
		if (o->library_rung && strcmp(o->library_rung, r->name) != 0)
			continue;
		load_said_clear();
		int err = uprobe_try(ways[i], &l->trap);
		if (!err)
			err = functions_load(l, o, ways[i]);
		r->state = err ? CAPS_FAILS : CAPS_WORKS;
		if (err) {
			l->trap = (struct uprobe_cost){ 0 };
			snprintf(r->why, sizeof(r->why), "%s", load_said()[0] ? load_said() : strerror(-err));
			continue;
		}
		l->uprobe_way = ways[i];
		f->serves = (int)i;
	}
}

void loaded_free_functions(struct loaded *l)
{
	library_bpf__destroy(l->library);
	l->library = NULL;
}

struct bpf_object *loaded_functions_object(const struct loaded *l) { return l->library ? l->library->obj : NULL; }

int loaded_function_map(const struct loaded *l, const char *name)
{
	struct bpf_map *map = l->library ? bpf_object__find_map_by_name(l->library->obj, name) : NULL;

	return map ? bpf_map__fd(map) : -ENOENT;
}

bool loaded_has_functions(const struct loaded *l) { return l->trap.short_ns != 0; }

int loaded_attach_functions(struct loaded *l, const struct uprobe_place *place, bool returns, struct uprobe *ret_uprobe)
{
	if (!l->library)
		return -ENOTSUP;
	return uprobe_attach(l->uprobe_way, bpf_program__fd(returns ? l->library->progs.library_return : l->library->progs.library_enter), place, returns, ret_uprobe);
}

static void functions_tell_epoch(const struct loaded *l, uint32_t file)
{
	if (l->library)
		bpf_map_update_elem(bpf_map__fd(l->library->maps.call_epoch), &file, &l->epochs[file], BPF_ANY); /* it is there, always */
}

void loaded_detached(struct loaded *l, uint32_t file, bool missed)
{
	file %= PLUMB_SITE_FILES;
	struct plumb_call_epoch *e = &l->epochs[file];

	e->detached = (e->detached + 2) | PLUMB_CALL_AWAY;
	e->missed += missed;
	functions_tell_epoch(l, file);
}

void loaded_attached(struct loaded *l, uint32_t file)
{
	file %= PLUMB_SITE_FILES;
	l->epochs[file].detached += l->epochs[file].detached & PLUMB_CALL_AWAY;
	l->epochs[file].since_ns = clock_ns(CLOCK_BOOTTIME);
	functions_tell_epoch(l, file);
}

uint32_t loaded_trial_fails(const struct loaded *l, uint32_t file)
{
	struct plumb_trial t = { 0 };

	file %= PLUMB_SITE_FILES;
	if (!l->library || bpf_map_lookup_elem(bpf_map__fd(l->library->maps.call_trials), &file, &t))
		return 0;
	return t.fails;
}

void loaded_trial_begin(const struct loaded *l, uint32_t file, const struct plumb_rust *rust)
{
	struct plumb_trial t = { 0 };

	file %= PLUMB_SITE_FILES;
	if (!l->library)
		return;
	bpf_map_update_elem(bpf_map__fd(l->library->maps.call_trials), &file, &t, BPF_ANY); /* it is there, always */
	bpf_map_update_elem(bpf_map__fd(l->library->maps.rust_files), &file, rust, BPF_ANY);
}

struct plumb_call_price loaded_call_price(const struct loaded *l, uint32_t pid)
{
	struct plumb_call_price price = { .traps = 0 };

	if (!l->library || bpf_map_lookup_elem(bpf_map__fd(l->library->maps.call_prices), &pid, &price))
		return (struct plumb_call_price){ .traps = 0 };
	return price;
}

struct function_hits loaded_function_hits(struct loaded *l, uint32_t file)
{
	struct plumb_call_hits *values = calloc(l->ncpus, sizeof(*values));
	struct function_hits sum = { 0 };

	file %= PLUMB_SITE_FILES;
	if (!values || !l->library || bpf_map_lookup_elem(bpf_map__fd(l->library->maps.call_hits), &file, values)) {
		free(values);
		return l->hits[file];
	}
	for (uint32_t cpu = 0; cpu < l->ncpus; cpu++) {
		const __u64 *hits = values[cpu].hits;
		sum.count += hits[PLUMB_TRAP_SHORT] + hits[PLUMB_TRAP_LONG];
		sum.took_ns += hits[PLUMB_TRAP_SHORT] * l->trap.short_ns + hits[PLUMB_TRAP_LONG] * l->trap.long_ns;
	}
	free(values);
	l->hits[file] = sum;
	return sum;
}

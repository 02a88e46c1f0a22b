/* SPDX-License-Identifier: Apache-2.0 */
/* The programs that sit on functions of libraries: found a way for, loaded, and attached. */
#include "probe/loaded.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../bpf/abi/sites.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion" /* generated code is not held to our warnings */
#include "library.skel.h"
#pragma GCC diagnostic pop

static int functions_load(struct loaded *l, const struct load_options *o, enum uprobe_way way)
{
	struct bpf_program *prog;
	struct library_bpf *skel = library_bpf__open();

	if (!skel)
		return -errno;
	skel->rodata->only_targets = o->only_targets;
	skel->rodata->filters_by_place = l->by_place;
	skel->rodata->no_calls = o->filters.include.ports[0] != 0;
	skel->rodata->ring_bytes = l->ring_bytes;
	skel->rodata->wake_bytes = l->ring_bytes / 8;
	int err = load_size_maps(l, skel->obj);
	if (!err)
		err = load_share_maps(skel->obj, l->base);
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

bool loaded_has_functions(const struct loaded *l) { return l->trap.short_ns != 0; }

int loaded_attach_functions(struct loaded *l, const struct uprobe_place *place, bool returns, struct uprobe *ret_uprobe)
{
	if (!l->library)
		return -ENOTSUP;
	return uprobe_attach(l->uprobe_way, bpf_program__fd(returns ? l->library->progs.library_return : l->library->progs.library_enter), place, returns, ret_uprobe);
}

void loaded_detached(struct loaded *l, uint32_t file, bool missed)
{
	struct plumb_call_epoch *e = &l->epochs[file % PLUMB_SITE_FILES];

	e->detached++;
	e->missed += missed;
	file %= PLUMB_SITE_FILES;
	if (l->library)
		bpf_map_update_elem(bpf_map__fd(l->library->maps.call_epoch), &file, e, BPF_ANY); /* it is there, always */
}

uint32_t loaded_trial_fails(const struct loaded *l, uint32_t file)
{
	struct plumb_trial t = { 0 };

	file %= PLUMB_SITE_FILES;
	if (!l->library || bpf_map_lookup_elem(bpf_map__fd(l->library->maps.call_trials), &file, &t))
		return 0;
	return t.fails;
}

void loaded_trial_begin(const struct loaded *l, uint32_t file)
{
	struct plumb_trial t = { 0 };

	file %= PLUMB_SITE_FILES;
	if (l->library)
		bpf_map_update_elem(bpf_map__fd(l->library->maps.call_trials), &file, &t, BPF_ANY); /* it is there, always */
}

struct function_hits loaded_function_hits(struct loaded *l)
{
	const uint64_t trap_ns[PLUMB_TRAPS] = { [PLUMB_TRAP_SHORT] = l->trap.short_ns, [PLUMB_TRAP_LONG] = l->trap.long_ns };
	uint64_t *values = calloc(l->ncpus, sizeof(*values));
	struct function_hits sum = { 0 };

	if (!values)
		return l->hits;
	for (uint32_t trap = 0; l->library && trap < PLUMB_TRAPS; trap++) {
		if (bpf_map_lookup_elem(bpf_map__fd(l->library->maps.call_hits), &trap, values))
			continue;
		for (uint32_t cpu = 0; cpu < l->ncpus; cpu++) {
			sum.count += values[cpu];
			sum.took_ns += values[cpu] * trap_ns[trap];
		}
	}
	free(values);
	l->hits = sum;
	return sum;
}

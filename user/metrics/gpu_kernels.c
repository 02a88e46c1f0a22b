/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/gpu_kernels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hash.h"
#include "lib/map.h"
#include "lib/slab.h"
#include "lib/symbol.h"

enum { SERVICE_BYTES = 128, OWNERS_PART = 8 /* of the names, processes at most */ };

struct launches {
	uint64_t count, sum_ns;
};

struct kernel {
	struct owner *owner;
	struct kernel *next;
	uint64_t key;
	struct launches all;
	char name[PLUMB_GPU_NAME_BYTES];
};

struct owner { /* a process */
	struct owner *prev, *next; /* in order of their coming */
	uint64_t ended_ns;         /* 0: it lives */
	struct kernel *first;
	struct launches other, unnamed; /* as the kernel side has them */
	uint32_t pid;
	uint8_t service_len;
	char service[SERVICE_BYTES];
};

struct gpu_kernels {
	struct map kernels, owners; /* by key_of(); by pid */
	struct slab kernel_slab, owner_slab;
	struct owner *first, *last;
	uint64_t expire_ns, refused;
};

int gpu_kernels_new(uint32_t max, uint64_t expire_ns, struct gpu_kernels **ret_kernels)
{
	struct gpu_kernels *k = calloc(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	map_init(&k->kernels, max);
	map_init(&k->owners, max / OWNERS_PART + 1);
	slab_init(&k->kernel_slab, sizeof(struct kernel), max);
	slab_init(&k->owner_slab, sizeof(struct owner), max / OWNERS_PART + 1);
	k->expire_ns = expire_ns;
	*ret_kernels = k;
	return 0;
}

void gpu_kernels_free(struct gpu_kernels *k)
{
	if (!k)
		return;
	map_done(&k->kernels);
	map_done(&k->owners);
	slab_done(&k->kernel_slab);
	slab_done(&k->owner_slab);
	free(k);
}

uint64_t gpu_kernels_refused(const struct gpu_kernels *k) { return k->refused; }

static uint64_t key_of(uint32_t pid, const char *name) { return hash_bytes(name, strlen(name), pid); }

static void owner_free(struct gpu_kernels *k, struct owner *o)
{
	while (o->first) {
		struct kernel *n = o->first;
		o->first = n->next;
		map_remove(&k->kernels, n->key);
		slab_put(&k->kernel_slab, n);
	}
	map_remove(&k->owners, o->pid);
	*(o->prev ? &o->prev->next : &k->first) = o->next;
	*(o->next ? &o->next->prev : &k->last) = o->prev;
	slab_put(&k->owner_slab, o);
}

/* The oldest of those that have ended makes room; false: all live. */
static bool make_room(struct gpu_kernels *k)
{
	for (struct owner *o = k->first; o; o = o->next)
		if (o->ended_ns) {
			owner_free(k, o);
			return true;
		}
	return false;
}

static void owner_name(struct owner *o, const struct process *process)
{
	struct slice service = slice_head(process_service(process), SERVICE_BYTES);

	o->service_len = (uint8_t)service.len;
	memcpy(o->service, service.ptr, service.len);
}

static struct owner *owner_of(struct gpu_kernels *k, uint32_t pid, const struct process *process)
{
	struct owner *o = map_get(&k->owners, pid);

	if (o && o->ended_ns) { /* the pid is another program's now */
		owner_free(k, o);
		o = NULL;
	}
	if (!o) {
		o = slab_get(&k->owner_slab);
		if (!o && make_room(k))
			o = slab_get(&k->owner_slab);
		if (!o || map_put(&k->owners, pid, o)) {
			if (o)
				slab_put(&k->owner_slab, o);
			k->refused++;
			return NULL;
		}
		o->pid = pid;
		o->prev = k->last;
		*(k->last ? &k->last->next : &k->first) = o;
		k->last = o;
	}
	owner_name(o, process);
	return o;
}

static struct kernel *kernel_of(struct gpu_kernels *k, struct owner *o, const char *name)
{
	uint64_t key = key_of(o->pid, name);
	struct kernel *n = map_get(&k->kernels, key);

	if (n && n->owner == o && strcmp(n->name, name) == 0)
		return n;
	if (n) /* two names with one hash */
		return NULL;
	n = slab_get(&k->kernel_slab);
	if (!n && make_room(k))
		n = slab_get(&k->kernel_slab);
	if (!n || map_put(&k->kernels, key, n)) {
		if (n)
			slab_put(&k->kernel_slab, n);
		return NULL;
	}
	n->key = key;
	n->owner = o;
	n->next = o->first;
	o->first = n;
	memcpy(n->name, name, strlen(name) + 1);
	return n;
}

void gpu_kernels_record(struct gpu_kernels *k, const struct process *process, const struct plumb_rec_gpu_kernel *r)
{
	struct owner *o = owner_of(k, r->pid, process);
	struct kernel *n = o ? kernel_of(k, o, r->name) : NULL;

	if (!n) {
		k->refused += o != NULL;
		return;
	}
	n->all = (struct launches){ r->l.count, r->l.sum_ns };
}

void gpu_kernels_process(struct gpu_kernels *k, const struct process *process, const struct plumb_rec_gpu_process *r, uint64_t now_ns)
{
	bool ended = r->flags & PLUMB_GPU_ENDED;
	bool launches = r->p.other || r->p.unnamed || map_get(&k->owners, r->pid);
	struct owner *o = launches ? owner_of(k, r->pid, process) : NULL;

	if (!o)
		return;
	o->other = (struct launches){ r->p.other, r->p.other_ns };
	o->unnamed = (struct launches){ r->p.unnamed, r->p.unnamed_ns };
	if (ended)
		o->ended_ns = now_ns ? now_ns : 1;
}

/* --- what is shown --- */

struct shown {
	const struct kernel *most[GPU_KERNELS_SHOWN]; /* in falling order */
	size_t n;
	struct launches other, unnamed;
};

static void launches_add(struct launches *to, struct launches more)
{
	to->count += more.count;
	to->sum_ns += more.sum_ns;
}

/* Does a stand before b? Of those launched as often, by name, so that the order is always the same. */
static bool is_before(const struct kernel *a, const struct kernel *b)
{
	return a->all.count != b->all.count ? a->all.count > b->all.count : strcmp(a->name, b->name) < 0;
}

static void shown_add(struct shown *s, const struct kernel *n)
{
	size_t at = s->n;

	while (at > 0 && is_before(n, s->most[at - 1]))
		at--;
	if (at == GPU_KERNELS_SHOWN) {
		launches_add(&s->other, n->all);
		return;
	}
	if (s->n == GPU_KERNELS_SHOWN)
		launches_add(&s->other, s->most[--s->n]->all);
	for (size_t i = s->n; i > at; i--)
		s->most[i] = s->most[i - 1];
	s->most[at] = n;
	s->n++;
}

/* A kernel may be called so, too. */
static bool is_sums(const char *name) { return strcmp(name, "_OTHER") == 0 || strcmp(name, "_UNKNOWN") == 0; }

static void owner_shown(const struct owner *o, struct shown *ret)
{
	*ret = (struct shown){ .other = o->other, .unnamed = o->unnamed };
	for (const struct kernel *n = o->first; n; n = n->next)
		if (symbol_is_plausible(slice_str(n->name)) && !is_sums(n->name))
			shown_add(ret, n);
		else
			launches_add(&ret->unnamed, n->all);
}

static void sample(const struct prom *p, enum metric_family_id id, const struct owner *o, struct slice name, struct launches l)
{
	const struct metric_family *f = &metric_families[id];
	bool first = true;
	char pid[16];

	if (!l.count)
		return;
	snprintf(pid, sizeof(pid), "%u", o->pid);
	buffer_append_str(p->out, f->name);
	prom_label(p, "service_name", slice_make(o->service, o->service_len), &first);
	prom_label(p, "process_pid", slice_str(pid), &first);
	prom_label(p, "gpu_kernel_name", name, &first);
	buffer_append_str(p->out, "} ");
	prom_scaled(p, id == FAMILY_GPU_KERNELS ? l.count : l.sum_ns, f->scale);
	buffer_append_byte(p->out, '\n');
}

static void owner_render(const struct prom *p, enum metric_family_id id, const struct owner *o)
{
	struct shown s;

	owner_shown(o, &s);
	for (size_t i = 0; i < s.n; i++)
		sample(p, id, o, slice_str(s.most[i]->name), s.most[i]->all);
	sample(p, id, o, SLICE_LIT("_OTHER"), s.other);
	sample(p, id, o, SLICE_LIT("_UNKNOWN"), s.unnamed);
}

void gpu_kernels_render(struct gpu_kernels *k, const struct prom *p, uint64_t now_ns)
{
	static const enum metric_family_id families[] = { FAMILY_GPU_KERNELS, FAMILY_GPU_KERNEL_SECONDS };

	for (struct owner *o = k->first, *next; o; o = next) {
		next = o->next;
		if (o->ended_ns && now_ns > o->ended_ns && now_ns - o->ended_ns > k->expire_ns)
			owner_free(k, o);
	}
	for (size_t i = 0; k->first && i < sizeof(families) / sizeof(families[0]); i++) {
		prom_family(p, &metric_families[families[i]]);
		for (const struct owner *o = k->first; o; o = o->next)
			owner_render(p, families[i], o);
	}
}

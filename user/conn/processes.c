/* SPDX-License-Identifier: Apache-2.0 */
#include "conn/processes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/map.h"
#include "lib/slab.h"

enum {
	PROCESSES_MAX = 16384, /* as many as the probe follows */
	ENDED_MANY = 1024,     /* more ended ones than these are not kept for long: each takes over 4 KiB */
};

/* An ended process is kept so long, as late records may speak of it; where many end, only as long as records are ever late. */
#define LINGER_NS (30ull * 1000 * 1000 * 1000)
#define LINGER_LEAST_NS (1000ull * 1000 * 1000)

/* What the table adds to a process. Unreferenced entries are in one of two lists, in the order in which they became so. */
struct entry {
	struct process p; /* first: the table's users hold pointers to it */
	struct entry *prev, *next;
	struct idle *list; /* NULL: referenced */
	bool orphan;       /* another process has its pid now: freed with the last reference */
};

struct idle {
	struct entry *first, *last;
	uint32_t len;
};

struct process_table {
	struct slab slab;
	struct map by_pid; /* pid + 1 to entry */
	struct idle living, ended;
	uint64_t generation;
	uint64_t now_ns;
	struct process_counts counts;
};

int process_table_new(uint32_t max_processes, struct process_table **ret_table)
{
	struct process_table *t = calloc(1, sizeof(*t));
	uint32_t max = max_processes ? max_processes : PROCESSES_MAX;

	if (!t)
		return -ENOMEM;
	slab_init(&t->slab, sizeof(struct entry), max);
	map_init(&t->by_pid, max);
	*ret_table = t;
	return 0;
}

void process_table_free(struct process_table *t)
{
	if (!t)
		return;
	map_done(&t->by_pid);
	slab_done(&t->slab);
	free(t);
}

static struct entry *entry_of(struct process *p) { return (struct entry *)(void *)p; }

static void idle_remove(struct entry *e)
{
	if (!e->list)
		return;
	*(e->prev ? &e->prev->next : &e->list->first) = e->next;
	*(e->next ? &e->next->prev : &e->list->last) = e->prev;
	e->list->len--;
	e->prev = e->next = NULL;
	e->list = NULL;
}

static void idle_add(struct idle *l, struct entry *e)
{
	e->list = l;
	e->prev = l->last;
	e->next = NULL;
	*(l->last ? &l->last->next : &l->first) = e;
	l->last = e;
	l->len++;
}

static struct entry *entry_find(const struct process_table *t, uint32_t pid) { return map_get(&t->by_pid, (uint64_t)pid + 1); }

static void entry_free(struct process_table *t, struct entry *e)
{
	idle_remove(e);
	if (!e->orphan)
		map_remove(&t->by_pid, (uint64_t)e->p.pid + 1);
	slab_put(&t->slab, e);
	t->counts.active--;
}

/* Description. */

static const struct slice key_service = { (const uint8_t *)"service.name", sizeof("service.name") - 1 };
static const struct slice key_pid = { (const uint8_t *)"process.pid", sizeof("process.pid") - 1 };
static const struct slice key_ppid = { (const uint8_t *)"process.parent_pid", sizeof("process.parent_pid") - 1 };
static const struct slice key_executable = { (const uint8_t *)"process.executable.name", sizeof("process.executable.name") - 1 };

static const struct process_attr *find_attr(const struct process *p, struct slice key)
{
	for (uint32_t i = 0; i < p->nattrs; i++)
		if (slice_eq(p->attrs[i].key, key))
			return &p->attrs[i];
	return NULL;
}

static void clear_description(struct process_table *t, struct process *p)
{
	p->nattrs = 0;
	p->text_used = 0;
	p->service = SLICE_NONE;
	p->generation = ++t->generation;
}

static struct slice add_text(struct process *p, struct slice s)
{
	char *to = p->text + p->text_used;

	if (s.len)
		memcpy(to, s.ptr, s.len);
	p->text_used += (uint32_t)s.len;
	return slice_make(to, s.len);
}

static void add_attr(struct process_table *t, struct process *p, struct slice key, struct slice value)
{
	if (p->nattrs == PROCESS_ATTRS_MAX || key.len + value.len > PROCESS_TEXT_MAX - p->text_used) {
		t->counts.text_cut++;
		return;
	}
	struct slice k = add_text(p, key);
	p->attrs[p->nattrs++] = (struct process_attr){ k, add_text(p, value) };
}

static void add_number(struct process_table *t, struct process *p, struct slice key, uint32_t value)
{
	char digits[16];
	int n = snprintf(digits, sizeof(digits), "%u", value);

	add_attr(t, p, key, slice_make(digits, (size_t)n));
}

/* The last step of a description: a service name there must be. */
static void name_service(struct process_table *t, struct process *p)
{
	const struct process_attr *a = find_attr(p, key_service);

	if (!a || a->value.len == 0) {
		const struct process_attr *exe = find_attr(p, key_executable);
		add_attr(t, p, key_service, exe && exe->value.len ? exe->value : SLICE_LIT("unknown_service"));
		a = find_attr(p, key_service);
	}
	p->service = a ? a->value : SLICE_LIT("unknown_service");
}

/* Room for one more: what has ended and nobody refers to goes first, then what nobody refers to. */
static bool evict(struct process_table *t)
{
	struct entry *e = t->ended.first ? t->ended.first : t->living.first;

	if (!e)
		return false;
	t->counts.evicted++;
	entry_free(t, e);
	return true;
}

/* A new process of this pid; an older one of the same pid stays only for those that refer to it. */
static struct entry *entry_make(struct process_table *t, uint32_t pid)
{
	struct entry *old = entry_find(t, pid);

	if (old) {
		map_remove(&t->by_pid, (uint64_t)pid + 1);
		old->orphan = true;
		if (!old->p.exit_ns)
			old->p.exit_ns = t->now_ns;
		if (old->p.refs == 0)
			entry_free(t, old);
	}
	struct entry *e = slab_get_raw(&t->slab);
	if (!e && evict(t))
		e = slab_get_raw(&t->slab);
	if (e && map_put(&t->by_pid, (uint64_t)pid + 1, e) < 0) {
		slab_put(&t->slab, e);
		e = NULL;
	}
	if (!e) {
		t->counts.refused++;
		return NULL;
	}
	memset(e, 0, offsetof(struct entry, p.text));
	e->prev = e->next = NULL;
	e->orphan = false;
	e->p.pid = pid;
	idle_add(&t->living, e);
	t->counts.made++;
	t->counts.active++;
	return e;
}

static void describe_bare(struct process_table *t, struct process *p)
{
	clear_description(t, p);
	add_number(t, p, key_pid, p->pid);
	name_service(t, p);
}

static struct entry *entry_get(struct process_table *t, uint32_t pid)
{
	struct entry *e = entry_find(t, pid);

	if (!e) {
		e = entry_make(t, pid);
		if (e)
			describe_bare(t, &e->p);
	}
	return e;
}

static void record_fork(struct process_table *t, const struct plumb_rec_fork *r)
{
	struct entry *parent = entry_find(t, r->parent_pid);

	if (parent && parent->p.refs++ == 0) /* must not be evicted for its child */
		idle_remove(parent);
	struct entry *child = entry_make(t, r->pid);
	if (child) {
		child->p.ppid = r->parent_pid;
		child->p.start_ns = r->h.time_ns;
		clear_description(t, &child->p);
		add_number(t, &child->p, key_pid, r->pid);
		add_number(t, &child->p, key_ppid, r->parent_pid);
		for (uint32_t i = 0; parent && i < parent->p.nattrs; i++) {
			const struct process_attr *a = &parent->p.attrs[i];
			if (!slice_eq(a->key, key_pid) && !slice_eq(a->key, key_ppid))
				add_attr(t, &child->p, a->key, a->value);
		}
		if (parent)
			child->p.flags = parent->p.flags;
		name_service(t, &child->p);
	}
	if (parent)
		process_table_unref(t, &parent->p);
}

static struct slice text_field(const char *s, size_t max) { return slice_make(s, strnlen(s, max)); }

static void record_exec(struct process_table *t, const struct plumb_rec_exec *r)
{
	struct entry *e = entry_find(t, r->pid);

	if (!e || e->p.exit_ns)
		e = entry_make(t, r->pid);
	if (!e)
		return;

	struct process *p = &e->p;
	struct slice path = text_field(r->filename, sizeof(r->filename)), name = path;
	for (size_t i = path.len; i-- > 0;)
		if (path.ptr[i] == '/') {
			name = slice_from(path, i + 1);
			break;
		}
	if (name.len == 0)
		name = text_field(r->comm, sizeof(r->comm));
	p->ppid = r->ppid;
	if (r->start_ns)
		p->start_ns = r->start_ns;
	p->flags = 0;
	clear_description(t, p);
	add_number(t, p, key_pid, r->pid);
	add_number(t, p, key_ppid, r->ppid);
	add_attr(t, p, key_executable, name);
	add_attr(t, p, SLICE_LIT("process.executable.path"), path);
	struct slice cgroup = text_field(r->cgroup, sizeof(r->cgroup));
	if (cgroup.len)
		add_attr(t, p, SLICE_LIT("plumb.cgroup.name"), cgroup);
	name_service(t, p);
}

static void record_exit(struct process_table *t, const struct plumb_rec_exit *r)
{
	struct entry *e = entry_find(t, r->pid);

	if (!e || e->p.exit_ns)
		return;
	e->p.exit_ns = r->h.time_ns;
	if (r->traps > e->p.traps) {
		e->p.traps = r->traps;
		e->p.trap_ns = r->trap_ns;
	}
	if (e->list) {
		idle_remove(e);
		idle_add(&t->ended, e);
	}
}

static void record_process(struct process_table *t, const struct plumb_rec_process *r, struct slice payload)
{
	struct entry *e = entry_get(t, r->pid);

	if (!e)
		return;
	/* The pid may have been given to another process that was not seen to start. */
	if (e->p.exit_ns && r->start_ns > e->p.exit_ns) {
		e = entry_make(t, r->pid);
		if (!e)
			return;
	}
	struct process *p = &e->p;
	p->ppid = r->ppid;
	if (r->start_ns)
		p->start_ns = r->start_ns;
	p->flags = r->flags;
	clear_description(t, p);

	struct slice rest = slice_head(payload, r->bytes);
	for (uint32_t i = 0; i < r->count && rest.len; i++) {
		size_t end = slice_find(rest, 0, 0);
		if (end == SIZE_MAX)
			break; /* an attribute without its end is no attribute */
		struct slice text = slice_head(rest, end);
		size_t equals = slice_find(text, '=', 0);
		if (equals != SIZE_MAX && equals > 0 && !find_attr(p, slice_head(text, equals)))
			add_attr(t, p, slice_head(text, equals), slice_from(text, equals + 1));
		rest = slice_from(rest, end + 1);
	}
	if (!find_attr(p, key_pid))
		add_number(t, p, key_pid, p->pid);
	name_service(t, p);
}

static void record_stat(struct process_table *t, const struct plumb_rec_proc_stat *r)
{
	struct entry *e = entry_get(t, r->pid);

	if (!e)
		return;
	e->p.cpu_user_ns = r->cpu_user_ns;
	e->p.cpu_system_ns = r->cpu_system_ns;
	e->p.rss_bytes = r->rss_bytes;
	e->p.vms_bytes = r->vms_bytes;
	e->p.read_bytes = r->read_bytes;
	e->p.write_bytes = r->write_bytes;
	e->p.threads = r->threads;
	e->p.fds = r->fds;
	e->p.traps = r->traps;
	e->p.trap_ns = r->trap_ns;
}

static void expire(struct process_table *t)
{
	while (t->ended.first && t->now_ns - t->ended.first->p.exit_ns > (t->ended.len > ENDED_MANY ? LINGER_LEAST_NS : LINGER_NS)) {
		t->counts.expired++;
		entry_free(t, t->ended.first);
	}
}

void process_table_record(struct process_table *t, const struct record *rec, struct slice payload)
{
	if (rec->u.h.time_ns > t->now_ns)
		t->now_ns = rec->u.h.time_ns;
	switch (rec->u.h.type) {
	case PLUMB_REC_FORK: record_fork(t, &rec->u.fork); break;
	case PLUMB_REC_EXEC: record_exec(t, &rec->u.exec); break;
	case PLUMB_REC_EXIT: record_exit(t, &rec->u.exit); break;
	case PLUMB_REC_PROCESS: record_process(t, &rec->u.process, payload); break;
	case PLUMB_REC_PROC_STAT: record_stat(t, &rec->u.proc_stat); break;
	case PLUMB_REC_TICK: expire(t); break;
	default: break;
	}
}

struct process *process_table_ref(struct process_table *t, uint32_t pid)
{
	struct entry *e = entry_get(t, pid);

	if (!e)
		return NULL;
	idle_remove(e);
	e->p.refs++;
	return &e->p;
}

void process_table_unref(struct process_table *t, struct process *p)
{
	if (!p || --p->refs)
		return;
	struct entry *e = entry_of(p);
	if (e->orphan)
		entry_free(t, e);
	else
		idle_add(p->exit_ns ? &t->ended : &t->living, e);
}

struct process *process_table_next(struct process_table *t, size_t *at)
{
	struct entry *e = map_next(&t->by_pid, at, NULL);

	return e ? &e->p : NULL;
}

void process_table_counts(const struct process_table *t, struct process_counts *ret) { *ret = t->counts; }

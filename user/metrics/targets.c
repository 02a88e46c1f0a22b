/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/targets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_MAX = 4096, SERVICE_MAX = 128, COUNTERS = 6, GAUGES = 4, INFO_LABELS_MAX = 24 };

struct target {
	uint32_t pid;
	uint64_t start_ns, generation;
	uint64_t counted[COUNTERS], gauges[GAUGES];
	struct series *series; /* pinned; NULL until statistics came */
	char *info;            /* labels of target_info; NULL without memory */
	size_t service_len;
	char service[SERVICE_MAX];
};

struct targets {
	struct series_table *series; /* not owned */
	struct map map;
	struct slab slab;
	uint64_t refused;
};

/* Where the values of struct process go. */
static const struct { uint8_t family, variant; } counter_slots[COUNTERS] = {
	{ FAMILY_PROCESS_CPU, 0 }, { FAMILY_PROCESS_CPU, 1 }, { FAMILY_PROCESS_DISK, 0 }, { FAMILY_PROCESS_DISK, 1 },
	{ FAMILY_PROCESS_TRAPS, 0 }, { FAMILY_PROCESS_TRAP_SECONDS, 0 },
};
static const uint8_t gauge_slots[GAUGES] = { FAMILY_PROCESS_MEMORY, FAMILY_PROCESS_VIRTUAL, FAMILY_PROCESS_THREADS, FAMILY_PROCESS_FDS };

int targets_new(uint32_t max, struct series_table *series, struct targets **ret_targets)
{
	struct targets *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->series = series;
	map_init(&t->map, max);
	slab_init(&t->slab, sizeof(struct target), max);
	*ret_targets = t;
	return 0;
}

void targets_free(struct targets *t)
{
	size_t at = 0;

	if (!t)
		return;
	for (struct target *k; (k = map_next(&t->map, &at, NULL));)
		free(k->info);
	map_done(&t->map);
	slab_done(&t->slab);
	free(t);
}

uint64_t targets_refused(const struct targets *t)
{
	return t->refused;
}

struct slice targets_service(const struct targets *t, uint32_t pid, uint64_t *ret_generation)
{
	const struct target *k = map_get(&t->map, pid);

	if (!k)
		return SLICE_NONE;
	*ret_generation = k->generation;
	return slice_make(k->service, k->service_len);
}

/* Command lines, paths and owners stay out: they may hold secrets and make a new series at every start. */
static bool shown(struct slice key)
{
	static const char *const prefixes[] = { "service.", "host.name", "container.", "k8s.", "deployment.", "cloud.", "process.executable.name",
		"process.runtime.", "telemetry.", "systemd.", NULL };

	if (slice_eq(key, SLICE_LIT("service.name")))
		return false; /* stands first anyway */
	for (size_t i = 0; prefixes[i]; i++)
		if (slice_starts(key, slice_str(prefixes[i])))
			return true;
	return false;
}

/* Attribute name as a label name; false if it is too long to be one. */
static bool label_name(struct slice key, char *ret_name, size_t size)
{
	if (key.len == 0 || key.len >= size)
		return false;
	for (size_t i = 0; i < key.len; i++) {
		uint8_t c = key.ptr[i];
		bool plain = (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || (i && c >= '0' && c <= '9');
		ret_name[i] = plain ? (char)c : '_';
	}
	ret_name[key.len] = '\0';
	return true;
}

static char *info_make(const struct process *p)
{
	struct buffer b;
	struct prom out = { &b, false };
	char names[INFO_LABELS_MAX][64], pid[16];
	size_t count = 0;
	bool first = true;

	buffer_init(&b, TEXT_MAX);
	snprintf(pid, sizeof(pid), "%u", p->pid);
	prom_label(&out, "service_name", p->service, &first);
	prom_label(&out, "process_pid", slice_str(pid), &first);
	for (uint32_t i = 0; i < p->nattrs && count < INFO_LABELS_MAX; i++) {
		bool twice = false;
		if (!shown(p->attrs[i].key) || !p->attrs[i].value.len || !label_name(p->attrs[i].key, names[count], sizeof(names[0])))
			continue;
		for (size_t k = 0; k < count; k++)
			twice |= strcmp(names[k], names[count]) == 0;
		if (!twice)
			prom_label(&out, names[count++], slice_head(p->attrs[i].value, LABEL_VALUE_MAX), &first);
	}
	buffer_append(&b, "}", 2);
	if (b.failed) {
		buffer_done(&b);
		return NULL;
	}
	return (char *)b.data;
}

static void values_of(const struct process *p, uint64_t counters[COUNTERS], uint64_t gauges[GAUGES])
{
	const uint64_t c[COUNTERS] = { p->cpu_user_ns, p->cpu_system_ns, p->read_bytes, p->write_bytes, p->traps, p->trap_ns };
	const uint64_t g[GAUGES] = { p->rss_bytes, p->vms_bytes, p->threads, p->fds };

	memcpy(counters, c, sizeof(c));
	memcpy(gauges, g, sizeof(g));
}

/* Adds differences, so that a series that several processes share (overflow) holds their sum. */
static void count(struct targets *t, struct target *k, const uint64_t counters[COUNTERS], const uint64_t gauges[GAUGES])
{
	for (int i = 0; i < COUNTERS; i++) {
		if (counters[i] <= k->counted[i])
			continue;
		series_slot(t->series, k->series, (enum metric_family_id)counter_slots[i].family)[counter_slots[i].variant] += counters[i] - k->counted[i];
		k->counted[i] = counters[i];
	}
	for (int i = 0; i < GAUGES; i++) {
		*series_slot(t->series, k->series, (enum metric_family_id)gauge_slots[i]) += gauges[i] - k->gauges[i];
		k->gauges[i] = gauges[i];
	}
}

/* Takes the process out of its series: its gauges end, its counters stay. */
static void detach(struct targets *t, struct target *k, bool drop)
{
	static const uint64_t none[GAUGES];
	struct series *s = k->series;

	if (!s)
		return;
	count(t, k, k->counted, none);
	k->series = NULL;
	series_unpin(s);
	s->ended = !s->overflow;
	if (drop && !s->overflow) {
		series_drop(t->series, s);
		/* The next series takes the whole totals. */
		memset(k->counted, 0, sizeof(k->counted));
	}
}

static void attach(struct targets *t, struct target *k, uint64_t now_ns)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%u", k->pid);
	const struct slice values[] = { slice_make(k->service, k->service_len), slice_str(pid) };
	struct series *s = series_get(t->series, GROUP_PROCESS, values, now_ns);
	if (s->ended && !s->overflow) {
		/* The same service had this pid before: its counters begin anew. */
		series_drop(t->series, s);
		s = series_get(t->series, GROUP_PROCESS, values, now_ns);
	}
	series_pin(s);
	k->series = s;
}

static void describe(struct target *k, const struct process *p)
{
	struct slice service = slice_head(p->service, SERVICE_MAX);

	free(k->info);
	k->info = info_make(p);
	k->generation = p->generation;
	k->service_len = service.len;
	if (service.len)
		memcpy(k->service, service.ptr, service.len);
}

static struct target *target_new(struct targets *t, const struct process *p)
{
	struct target *k = slab_get(&t->slab);

	if (!k || map_put(&t->map, p->pid, k) < 0) {
		if (k)
			slab_put(&t->slab, k);
		t->refused++;
		return NULL;
	}
	k->pid = p->pid;
	k->start_ns = p->start_ns;
	describe(k, p);
	return k;
}

static void target_end(struct targets *t, struct target *k)
{
	detach(t, k, false);
	map_remove(&t->map, k->pid);
	free(k->info);
	slab_put(&t->slab, k);
}

void targets_process(struct targets *t, const struct process *p, uint64_t now_ns)
{
	struct target *k = map_get(&t->map, p->pid);
	uint64_t counters[COUNTERS], gauges[GAUGES];
	bool known = false;

	values_of(p, counters, gauges);
	for (int i = 0; i < GAUGES; i++)
		known |= counters[i] || gauges[i]; /* of CPU time and memory: what a process met that ended before that was read makes no series */
	/* The pid is another process's now, and the end of the former one was lost. */
	if (k && k->start_ns && p->start_ns && k->start_ns != p->start_ns) {
		target_end(t, k);
		k = NULL;
	}
	if (!k && p->exit_ns && !known)
		return;
	if (!k)
		k = target_new(t, p);
	if (!k)
		return;
	if (!k->start_ns)
		k->start_ns = p->start_ns;
	if (k->generation != p->generation) {
		bool renamed = !slice_eq(slice_make(k->service, k->service_len), slice_head(p->service, SERVICE_MAX));
		if (renamed)
			detach(t, k, true);
		describe(k, p);
	}
	if (known) {
		if (!k->series)
			attach(t, k, now_ns);
		if (now_ns > k->series->touched_ns)
			k->series->touched_ns = now_ns;
		count(t, k, counters, gauges);
	}
	if (p->exit_ns)
		target_end(t, k);
}

void targets_render(const struct targets *t, const struct prom *p)
{
	const struct target *k;
	bool begun = false;
	size_t at = 0;

	while ((k = map_next(&t->map, &at, NULL))) {
		if (!k->info)
			continue;
		if (!begun)
			prom_family(p, &metric_families[FAMILY_TARGET]);
		begun = true;
		buffer_append_str(p->out, "target_info");
		buffer_append_str(p->out, k->info);
		buffer_append_str(p->out, " 1\n");
	}
}

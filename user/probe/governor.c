/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/governor.h"

enum {
	SEEN_MIN = 3,         /* measurements at a level before it is judged: a burst of a second or two is borne */
	AVERAGE_SHIFT = 2,    /* weight of a measurement in the average: a quarter */
	RESTORE_S = 5,        /* a level is kept at least so long before the one below is tried, so that it does not swing */
	RESTORE_PERCENT = 40, /* and only if its cost leaves room for twice as much, as the level below may cost */
};

void governor_init(struct governor *g, double share, uint32_t ncpus)
{
	*g = (struct governor){ .ncpus = ncpus ? ncpus : 1 };
	if (share > 0 && share < 1)
		g->budget_ppm = (uint64_t)(share * 1e6 + 0.5);
}

static bool governor_set(struct governor *g, uint32_t level, uint64_t time_ns)
{
	g->level = level;
	g->changed_ns = time_ns;
	g->seen = 0;
	return true;
}

/* Each level from the second on halves the cost, or nearly: as many at once as it takes. */
static uint32_t governor_level_for(const struct governor *g)
{
	uint32_t level = g->level + 1;

	for (uint64_t cost = g->cost_ppm; cost > 2 * g->budget_ppm && level < GOVERNOR_LEVEL_MAX; cost /= 2)
		level++;
	return level;
}

bool governor_feed(struct governor *g, uint64_t time_ns, uint64_t cpu_ns, uint64_t bpf_ppm)
{
	bool first = !g->time_ns || time_ns <= g->time_ns || cpu_ns < g->cpu_ns;
	uint64_t cpu_ppm = first ? 0 : (cpu_ns - g->cpu_ns) * 1000000 / (time_ns - g->time_ns);

	g->time_ns = time_ns;
	g->cpu_ns = cpu_ns;
	if (first)
		return false;
	uint64_t cost = (cpu_ppm + bpf_ppm) / g->ncpus;
	g->cost_ppm = g->seen ? g->cost_ppm - (g->cost_ppm >> AVERAGE_SHIFT) + (cost >> AVERAGE_SHIFT) : cost;
	g->seen++;
	if (!g->budget_ppm || g->seen < SEEN_MIN)
		return false;
	if (g->cost_ppm > g->budget_ppm && g->level < GOVERNOR_LEVEL_MAX)
		return governor_set(g, governor_level_for(g), time_ns);
	if (g->level && g->cost_ppm * 100 < g->budget_ppm * RESTORE_PERCENT && time_ns - g->changed_ns >= RESTORE_S * 1000000000ull)
		return governor_set(g, g->level - 1, time_ns);
	return false;
}

uint32_t governor_capture_bytes(const struct governor *g) { return g->level ? GOVERNOR_HEAD_BYTES : UINT32_MAX; }

uint32_t governor_sample_shift(const struct governor *g) { return g->level ? g->level - 1 : 0; }

/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/shed.h"

static const uint64_t second_ns = 1000000000ull;
static const uint64_t most_ns = 600 * second_ns;

/* What each took of a CPU since the latest measurement, and all of them. */
static void measure(struct shed *s, struct shed_file *files, const uint64_t *took_ns, size_t n, uint64_t now_ns)
{
	uint64_t elapsed_us = s->measured_ns && now_ns > s->measured_ns ? (now_ns - s->measured_ns) / 1000 + 1 : 0;

	s->ppm = 0;
	for (size_t i = 0; i < n; i++) {
		struct shed_file *f = &files[i];
		f->ppm = elapsed_us && took_ns[i] > f->took_ns ? (took_ns[i] - f->took_ns) * 1000 / elapsed_us : 0;
		f->took_ns = took_ns[i];
		s->ppm += f->ppm;
	}
	if (s->ppm > s->cpus * 1000000) /* traps took less than those that were measured */
		s->ppm = s->cpus * 1000000;
	s->measured_ns = now_ns;
}

static struct shed_file *costliest(struct shed_file *files, size_t n, const bool *done)
{
	struct shed_file *most = NULL;

	for (size_t i = 0; i < n; i++)
		if (files[i].level < SHED_ALL && files[i].ppm && !done[i] && (!most || files[i].ppm > most->ppm))
			most = &files[i];
	return most;
}

static void let_go(const struct shed *s, struct shed_file *f, uint64_t now_ns)
{
	if (f->level++ != SHED_NONE)
		return;
	f->for_ns = f->for_ns ? f->for_ns * 2 : s->first_ns;
	if (f->for_ns > most_ns)
		f->for_ns = most_ns;
	f->until_ns = now_ns + f->for_ns;
}

size_t shed_feed(struct shed *s, struct shed_file *files, const uint64_t *took_ns, size_t n, uint64_t now_ns, size_t *ret_changed)
{
	bool done[SHED_FILES_MAX] = { false };
	size_t changed = 0;

	measure(s, files, took_ns, n, now_ns);
	uint64_t left = s->ppm;
	while (s->most_ppm && left > s->most_ppm) {
		struct shed_file *f = costliest(files, n, done);
		if (!f)
			break;
		left -= f->ppm < left ? f->ppm : left;
		let_go(s, f, now_ns);
		done[f - files] = true;
		ret_changed[changed++] = (size_t)(f - files);
	}
	for (size_t i = 0; i < n; i++)
		if (files[i].level == SHED_NONE && files[i].for_ns && now_ns > files[i].until_ns + most_ns)
			files[i].for_ns = 0; /* it has been quiet for long */
	if (changed) /* what comes of it is measured anew: to let go takes its time */
		s->measured_ns = 0;
	return changed;
}

bool shed_is_over(const struct shed_file *f, uint64_t now_ns) { return f->level != SHED_NONE && now_ns >= f->until_ns; }

void shed_end(struct shed_file *f) { f->level = SHED_NONE; }

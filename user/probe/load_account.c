/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel side has lost, and what it costs. */
#include "probe/loaded.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"

/* Does another program see what the kernel skips of this one? The second ones of bpf/lib/life.bpf.h do, and nothing is left to them that the first ones saw. */
static bool account_stands_in(const char *name)
{
	static const char *const life[] = { "inet_sock_set_state", "set_state_skipped", "tcp_destroy_sock", "destroy_skipped" };

	for (size_t i = 0; i < sizeof(life) / sizeof(life[0]); i++)
		if (strcmp(name, life[i]) == 0)
			return true;
	return false;
}

/*
 * The kernel skips a program that interrupts itself on its CPU: it says how often (programs on functions since 5.12, 9ed9e9ba2337), and each is something that happened and
 * is in no record.
 */
static uint64_t account_skipped(const struct loaded *l)
{
	uint64_t n = 0;

	for (int i = 0; i < loaded_objects(l); i++) {
		struct bpf_program *prog;
		bpf_object__for_each_program(prog, loaded_object(l, i)) {
			struct bpf_prog_info info = { 0 };
			uint32_t len = sizeof(info);
			int fd = bpf_program__fd(prog);
			if (fd >= 0 && !account_stands_in(bpf_program__name(prog)) && bpf_obj_get_info_by_fd(fd, &info, &len) == 0)
				n += info.recursion_misses;
		}
	}
	return n;
}

void loaded_losses(struct loaded *l, uint64_t ret_losses[PLUMB_LOSS_REASONS])
{
	size_t stride = (l->percpu_bytes + 7) & ~(size_t)7;
	uint32_t zero = 0;
	uint8_t *values = calloc(l->ncpus, stride);

	memset(ret_losses, 0, sizeof(*ret_losses) * PLUMB_LOSS_REASONS);
	if (!values)
		return;
	if (bpf_map_lookup_elem(loaded_map_fd(l, "percpu"), &zero, values) == 0)
		for (uint32_t cpu = 0; cpu < l->ncpus; cpu++) {
			const uint64_t *loss = (const uint64_t *)(values + cpu * stride); /* first member of struct plumb_percpu */
			for (int i = 0; i < PLUMB_LOSS_REASONS; i++)
				ret_losses[i] += loss[i];
		}
	ret_losses[PLUMB_LOSS_NESTED] += account_skipped(l);
	free(values);
}

size_t loaded_costs(struct loaded *l, struct program_cost *ret_costs, size_t max)
{
	size_t n = 0;

	for (int i = 0; i < loaded_objects(l); i++) {
		struct bpf_object *object = loaded_object(l, i);
		struct bpf_program *prog;
		bpf_object__for_each_program(prog, object) {
			struct bpf_prog_info info = { 0 };
			uint32_t len = sizeof(info);
			int fd = bpf_program__fd(prog);
			if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
				continue;
			if (n < max) {
				snprintf(ret_costs[n].name, sizeof(ret_costs[n].name), "%s", bpf_program__name(prog));
				ret_costs[n].run_ns = info.run_time_ns;
				ret_costs[n].run_count = info.run_cnt;
			}
			n++;
		}
	}
	return n;
}

static uint64_t account_run_ns(struct loaded *l)
{
	struct program_cost costs[LOAD_PROGRAMS_MAX];
	size_t n = loaded_costs(l, costs, LOAD_PROGRAMS_MAX);
	uint64_t sum = 0;

	for (size_t i = 0; i < n && i < LOAD_PROGRAMS_MAX; i++)
		sum += costs[i].run_ns;
	return sum;
}

int loaded_timing_begin(struct loaded *l)
{
	if (l->timing_fd >= 0)
		close(l->timing_fd);
	l->timing_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (l->timing_fd < 0)
		return l->timing_fd;
	l->timing_run_ns = account_run_ns(l);
	l->timing_ns = clock_ns(CLOCK_MONOTONIC);
	return 0;
}

int loaded_timing_end(struct loaded *l, uint64_t *ret_ppm)
{
	if (l->timing_fd < 0)
		return -EBADF;
	uint64_t run_ns = account_run_ns(l) - l->timing_run_ns, elapsed_ns = clock_ns(CLOCK_MONOTONIC) - l->timing_ns;
	close(l->timing_fd);
	l->timing_fd = -1;
	if (!elapsed_ns)
		return -EAGAIN;
	*ret_ppm = run_ns * 1000000 / elapsed_ns;
	return 0;
}

/* What the kernel charges for a map, as it says itself. */
static uint64_t account_map_memlock(int fd)
{
	char path[64], line[128];
	uint64_t bytes = 0;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	FILE *f = fopen(path, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, "memlock:", 8) == 0)
			bytes = strtoull(line + 8, NULL, 10);
	fclose(f);
	return bytes;
}

/* Is it one of an object that was loaded before? As load_share_maps() has it: by name. */
static bool account_shares_map(const struct loaded *l, int object, const struct bpf_map *map)
{
	bool shares = false;

	for (int i = 0; i < object && !bpf_map__is_internal(map); i++)
		shares |= bpf_object__find_map_by_name(loaded_object(l, i), bpf_map__name(map)) != NULL;
	return shares;
}

uint64_t loaded_map_bytes(struct loaded *l)
{
	uint64_t bytes = 0;

	for (int i = 0; i < loaded_objects(l); i++) {
		struct bpf_object *object = loaded_object(l, i);
		struct bpf_map *map;
		bpf_object__for_each_map(map, object)
			if (!account_shares_map(l, i, map))
				bytes += account_map_memlock(bpf_map__fd(map));
	}
	return bytes;
}

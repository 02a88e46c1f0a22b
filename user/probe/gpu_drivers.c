/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/gpu_drivers.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/printable.h"
#include "probe/mappings.h"

static const struct {
	const char *api, *library, *module;
} known[GPU_DRIVERS] = {
	{ "cuda", "libcuda.so", "/sys/module/nvidia/version" },
	{ "hip", "libamdhip64.so", "/sys/module/amdgpu/srcversion" },
};

struct search {
	struct gpu_driver *drivers;
	bool counted[GPU_DRIVERS]; /* of the process that is looked at */
};

static void read_module(struct gpu_driver *d, const char *path)
{
	FILE *f = fopen(path, "re");
	char line[96];

	if (!f)
		return;
	if (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		printable_copy(d->module, sizeof(d->module), line);
	}
	fclose(f);
}

static void on_mapping(void *ctx, const struct mapping *m)
{
	struct search *s = ctx;
	const char *name = strrchr(m->path, '/');

	for (size_t i = 0; i < GPU_DRIVERS && name; i++) {
		struct gpu_driver *d = &s->drivers[i];
		if (s->counted[i] || strncmp(name + 1, d->library, strlen(d->library)) != 0)
			continue;
		s->counted[i] = true;
		d->processes++;
		printable_copy(d->path, sizeof(d->path), m->path);
	}
}

void gpu_drivers_find(struct gpu_driver ret_drivers[GPU_DRIVERS])
{
	DIR *all = opendir("/proc");

	for (size_t i = 0; i < GPU_DRIVERS; i++) {
		ret_drivers[i] = (struct gpu_driver){ .api = known[i].api, .library = known[i].library };
		read_module(&ret_drivers[i], known[i].module);
	}
	if (!all)
		return;
	for (const struct dirent *e; (e = readdir(all));) {
		struct search s = { .drivers = ret_drivers };
		unsigned long pid = strtoul(e->d_name, NULL, 10);
		if (pid)
			(void)mappings_of((uint32_t)pid, on_mapping, &s); /* it may have ended */
	}
	closedir(all);
}

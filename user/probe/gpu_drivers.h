/* SPDX-License-Identifier: Apache-2.0 */
/* Which drivers of GPUs there are on this machine, by what the kernel says of its own side of them and by the programs that have their libraries mapped now. */
#ifndef PLUMB_PROBE_GPU_DRIVERS_H
#define PLUMB_PROBE_GPU_DRIVERS_H

#include <stddef.h>
#include <stdint.h>

enum { GPU_DRIVERS = 2 };

struct gpu_driver {
	const char *api;     /* cuda, hip */
	const char *library; /* file name, without what follows ".so" */
	char module[96];     /* what the kernel's module says of its version, printable; "" = there is none */
	char path[256];      /* of the library in one of these programs, printable */
	uint32_t processes;
};

void gpu_drivers_find(struct gpu_driver ret_drivers[GPU_DRIVERS]);

#endif

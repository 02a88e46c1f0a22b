/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/descriptors.h"

#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int by_number(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

void descriptors_close_others(unsigned from, int *keep, size_t n)
{
	qsort(keep, n, sizeof(*keep), by_number);
	for (size_t i = 0; i < n; i++) {
		unsigned fd = (unsigned)keep[i];
		if (fd > from)
			syscall(SYS_close_range, from, fd - 1, 0);
		if (fd >= from)
			from = fd + 1;
	}
	syscall(SYS_close_range, from, ~0u, 0);
}

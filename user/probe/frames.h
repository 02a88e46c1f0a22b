/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where functions begin and end, by what unwinding needs to know (.eh_frame: LSB Core, 10.6; DWARF 5, 6.4.1), which stripped programs have, too.
 */
#ifndef PLUMB_PROBE_FRAMES_H
#define PLUMB_PROBE_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#include "probe/elf.h"

struct frame_range {
	uint64_t begin, end; /* addresses; end is behind it */
};

/*
 * Fills in, of each of the addresses, which ascend, the function that it lies in: 0 to 0 if none is known. -ENOENT: the file does not say; -ENOEXEC: what it says makes no sense; -EFBIG, -ENOMEM.
 */
int frames_find(const struct elf_file *f, const uint64_t *addresses, size_t n, struct frame_range *ret_ranges);

#endif

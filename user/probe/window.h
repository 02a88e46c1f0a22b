/* SPDX-License-Identifier: Apache-2.0 */
/* A section of an ELF file, read a part at a time: what is asked for goes forward, nearly. */
#ifndef PLUMB_PROBE_WINDOW_H
#define PLUMB_PROBE_WINDOW_H

#include "probe/elf.h"

enum { WINDOW_BYTES = 1024 * 1024 };

struct window {
	const struct elf_file *elf;
	struct elf_section section;
	uint8_t *bytes;    /* the part that was read last */
	uint64_t at, len;
	uint64_t reads;    /* parts */
};

/* -ENOMEM. */
int window_open(struct window *w, const struct elf_file *f, const struct elf_section *section);
void window_close(struct window *w);

/*
 * The bytes from there on: at least `least`, and to the end of the part; valid until the next call. NULL: the section has none there, or has been read over and over, as one that leads back and forth would be, or
 * the file has taken too long (elf_is_late()).
 */
const uint8_t *window_at(struct window *w, uint64_t at, uint64_t least, uint64_t *ret_len);

#endif

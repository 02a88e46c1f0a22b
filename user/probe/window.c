/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/window.h"

#include <errno.h>
#include <stdlib.h>

enum { READS_SPARE = 64 }; /* beyond those that a section in order needs */

int window_open(struct window *w, const struct elf_file *f, const struct elf_section *section)
{
	*w = (struct window){ .elf = f, .section = *section, .bytes = malloc(WINDOW_BYTES) };
	return w->bytes ? 0 : -ENOMEM;
}

void window_close(struct window *w) { free(w->bytes); }

const uint8_t *window_at(struct window *w, uint64_t at, uint64_t least, uint64_t *ret_len)
{
	if (at > w->section.size || least > w->section.size - at || least > WINDOW_BYTES)
		return NULL;
	if (at < w->at || at - w->at > w->len || least > w->len - (at - w->at)) {
		uint64_t left = w->section.size - at;
		if (w->reads++ > 2 * (w->section.size / WINDOW_BYTES) + READS_SPARE || elf_is_late(w->elf))
			return NULL;
		w->at = at;
		w->len = left < WINDOW_BYTES ? left : WINDOW_BYTES;
		if (!elf_read(w->elf, w->bytes, w->len, w->section.offset + at)) {
			w->len = 0;
			return NULL;
		}
	}
	*ret_len = w->len - (at - w->at);
	return w->bytes + (at - w->at);
}

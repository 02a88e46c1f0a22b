/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that are anybody's (names of files, samples of another program) and go to a terminal or a log: of them nothing but printable ASCII, in one line. */
#ifndef PLUMB_LIB_PRINTABLE_H
#define PLUMB_LIB_PRINTABLE_H

#include <stddef.h>

/* As much as fits into len bytes, NUL included; they may be the same. Returns to. */
static inline const char *printable_copy(char *to, size_t len, const char *from)
{
	size_t i = 0;

	for (; i < len - 1 && from[i]; i++)
		to[i] = from[i] < ' ' || from[i] > '~' ? '?' : from[i];
	to[i] = 0;
	return to;
}

#endif

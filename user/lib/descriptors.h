/* SPDX-License-Identifier: Apache-2.0 */
/* What a process that was forked has open and shall not keep. */
#ifndef PLUMB_LIB_DESCRIPTORS_H
#define PLUMB_LIB_DESCRIPTORS_H

#include <stddef.h>

/* Closes all from `from` on but those in keep, which are sorted here. */
void descriptors_close_others(unsigned from, int *keep, size_t n);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a mapping, opened. */
#ifndef PLUMB_PROBE_MAPPED_H
#define PLUMB_PROBE_MAPPED_H

#include "probe/mappings.h"

/*
 * For reading; it may take as long as whoever has the file's file system likes. The mapping itself leads to the file whatever has become of its name; where that is not allowed, its name does; of one without addresses its name leads there as it does for us. What is no regular file is not opened, as that may do anything: -ENOEXEC.
 * It may be another file than the one that was mapped when m was made: what it is, fstat(2) says. -ENOENT: process or mapping are gone; else -errno, why it cannot be opened.
 */
int mapped_open(const struct mapping *m);

#endif

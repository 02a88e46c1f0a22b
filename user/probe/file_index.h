/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that were looked at, by the numbers by which their mappings are told of: those that are of interest, and those that are not. File systems in layers have several numbers for one file; and where a mapping was its
 * process may have put another file before it was looked at. So what is known is known of the numbers of what was opened, and of those by which a mapping of that was told of, never of those that led to it.
 */
#ifndef PLUMB_PROBE_FILE_INDEX_H
#define PLUMB_PROBE_FILE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/map.h"
#include "probe/mappings.h"

struct file_index {
	struct map files;   /* by device and inode */
	struct map aliases; /* by what their mappings are told of with, if that is something else */
	struct map nothing; /* of no interest */
};

/* A file, as it was opened: with the path of the mapping that led to it. */
struct file_numbers {
	bool opened;
	struct mapping is;
	struct mapping as_mapped; /* inode 0: not known */
};

void file_index_init(struct file_index *x, size_t max);
void file_index_done(struct file_index *x);

/* Of a mapping. A number of a file that is gone may be that of another one: of another generation, or if nobody knows that, of another name mostly. */
uint64_t file_index_key(const struct mapping *m);
/* The file; NULL: it is not known, or of no interest. */
void *file_index_get(const struct file_index *x, const struct mapping *m);
bool file_index_is_nothing(const struct file_index *x, const struct mapping *m);

/* ret_key: file_index_remove() takes it. -ENOMEM, -ENOSPC. */
int file_index_put(struct file_index *x, const struct mapping *is, void *file, uint64_t *ret_key);
/* That file's mappings are told of by these numbers, too. */
void file_index_alias(struct file_index *x, const struct file_numbers *n, void *file);
void file_index_remove(struct file_index *x, uint64_t key);
void file_index_put_nothing(struct file_index *x, const struct file_numbers *n);
/* All that are of no interest: by now their numbers may be others'. */
void file_index_forget(struct file_index *x);

#endif

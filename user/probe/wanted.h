/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that were mapped and not looked at yet, and who runs them meanwhile: in which order they are looked at (reading.h), and how much of that each user of this machine may have. A process counts for its user; of one
 * user one file is looked at at a time, and who has spent least has his turn first.
 */
#ifndef PLUMB_PROBE_WANTED_H
#define PLUMB_PROBE_WANTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/map.h"
#include "probe/file_index.h"
#include "probe/known.h"
#include "probe/mappings.h"
#include "probe/reading.h"

struct wanted;

/* A file, when it was looked at. */
struct wanted_file {
	const struct mapping *mapped; /* which led to it */
	struct file_numbers numbers;  /* of what was opened */
	bool was_read;
	int err;                      /* 0; -ESTALE: it is being written to; -ETIME: it took too long; -EAGAIN: there was no room for it any more; else of mapped_open(), known_find() */
	bool others;                  /* who led to it has ended, but not all who have mapped it */
	int fd;                       /* if there are functions: the callee's, if it sets -1 */
	bool leased;
	int64_t size;
	struct timespec changed;
	const struct known_functions *functions; /* if it was read */
	const struct map *users;      /* by pid: who has mapped it and lives, or children of theirs */
};

struct wanted_calls {
	/* It was opened. False: it is known by these numbers, and is not read. */
	bool (*opened)(void *ctx, const struct wanted_file *f);
	void (*done)(void *ctx, struct wanted_file *f);
};

/* epoll_fd: is readable when there is something for wanted_hear(). */
int wanted_new(unsigned kinds, int epoll_fd, const struct wanted_calls *calls, void *ctx, struct wanted **ret_wanted);
void wanted_free(struct wanted *w);

/* A file; whoever else maps it meanwhile, by the same numbers, is added to its users. key: of these. False: there is no room now. */
bool wanted_add(struct wanted *w, const struct mapping *m, uint64_t key);
/* One that nobody has mapped, by its name as the probe sees it. */
bool wanted_add_path(struct wanted *w, const char *path);
/* Is it a mapping of those who look at files? They are nobody's. */
bool wanted_is_own(struct wanted *w, const struct mapping *m);
void wanted_fork(struct wanted *w, uint32_t parent, uint32_t child);
void wanted_leave(struct wanted *w, uint32_t pid);

/* Goes on with those that are looked at, and begins with others if `more`. */
void wanted_hear(struct wanted *w, bool more);
/* Files that could be looked at now, or are and get on. */
size_t wanted_busy(const struct wanted *w);
/* CPU time of all that were looked at. */
uint64_t wanted_took_ns(const struct wanted *w);

#endif

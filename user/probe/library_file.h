/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file with functions that have probes: read once, and kept open as long as it has any, so that no other file gets its number meanwhile. Who runs it, and when its probes come and go, is library.c's.
 */
#ifndef PLUMB_PROBE_LIBRARY_FILE_H
#define PLUMB_PROBE_LIBRARY_FILE_H

#include <sys/types.h>
#include <time.h>

#include "lib/map.h"
#include "probe/known.h"
#include "probe/load.h"
#include "probe/mappings.h"
#include "probe/shed.h"

enum { LIBRARY_SELDOM, LIBRARY_OFTEN, LIBRARY_KINDS };

/* Probes on the functions of one kind. */
struct library_probes {
	struct uprobe entry, back;
};

struct library_file {
	struct known_functions functions; /* none: it is free */
	uint64_t key;
	int fd;                        /* it stays open: no other file gets its number meanwhile */
	struct map users;              /* by pid: the file, or struct libraries of one that was found dead */
	bool distrusted;               /* what was found by its code is something else: it has no probes */
	bool pinned;                   /* has, or had, more users than are counted */
	bool waits;                    /* to be attached to anew, */
	uint64_t wait_ns;              /* as of this time: it could not be attached to; 0 = at once */
	bool leased;                   /* who is to write to it waits until its probes are gone: where functions lie is not known any more then */
	int watch;                     /* else of inotify, which tells of it when it has happened; -1 none */
	struct timespec changed;       /* as it was when it was read */
	off_t size;
	uint64_t unused_ns;            /* since when it has no user; 0 = it has */
	struct library_probes attached[LIBRARY_KINDS];
	int leaving[LIBRARY_KINDS];            /* tells when those that were let go are gone; -1 none */
};

static inline bool library_file_is_used(const struct library_file *f) { return f->functions.n != 0; }

/* Else where its functions lie is not known any more. */
bool library_file_is_as_it_was(const struct library_file *f);
/* number: its place in the table. Those kinds of functions that the level leaves. -ESTALE: it is not as it was; negative errno: some may have probes, to be taken away by the caller. */
int library_file_attach(struct library_file *f, struct loaded *l, uint32_t number, enum shed_level level);
/* The probes of a kind, two at most: how many. */
size_t library_file_probes(struct library_file *f, int kind, struct uprobe **ret_probes);
/* Where it lies, for a message. */
const char *library_file_path(const struct library_file *f, char *to, size_t len);
/* Names are anybody's, and may look like lines of a log. */
const char *library_printable(const char *path, char *to, size_t len);

/* Why it has no probes, of what library_file_attach() returned. */
const char *library_file_error(const struct library_file *f, int err);
/* It has probes, since it was mapped so: to the log. */
void library_file_tell(const struct library_file *f, const struct mapping *m);
/* It was let go to save cost, and has its probes again, or, with an error, has not. */
void library_file_tell_again(const struct library_file *f, int err);

#endif

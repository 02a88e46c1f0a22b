/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file is looked at, by a child of the probe that lives no longer than it takes: what is mapped is anybody's, and neither a file that takes long nor one whose file system does not answer shall have the probe wait. The
 * child opens it with the probe's rights, and has given all of them up before it reads the first byte. What it says is checked; one that takes too long is ended. The probe gets the file itself only if there is something of interest in it:
 * to close it may take as long as well.
 */
#ifndef PLUMB_PROBE_READING_H
#define PLUMB_PROBE_READING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "probe/known.h"
#include "probe/mappings.h"

/* What was opened. It may be another file than the one that was mapped. */
struct reading_file {
	int32_t err;           /* negative errno: it was not, as mapped_open() */
	uint32_t major, minor; /* of its device, as fstat(2) has it */
	uint64_t inode;
	int64_t size;
	struct timespec changed;
	int32_t lease;         /* of lease_take(), before it was read. Whoever waits to write has it back at once, and nothing is known of the file */
};

enum { READING_CPU_MAX_S = 4 }; /* elf.h gives up by itself before it has had so much of a CPU */

struct reading {
	pid_t child;
	int handle;            /* of the process, whose number may be another one's one day; -1: the kernel has none */
	int link;              /* to the child; readable when it has said something: reading_hear() */
	bool opened;           /* `file` was told */
	bool ending;           /* it was ended, which may take the kernel as long as it likes */
	uint64_t late_ns;      /* CLOCK_MONOTONIC: it has to have said something by then */
	/* From READING_OPENED on. */
	struct reading_file file;
	struct mapping as_mapped; /* how mappings of it are told of, without path; inode 0: not known */
	/* From READING_DONE on. */
	int err;               /* as known_find(); -ESTALE: somebody writes to it */
	int fd;                /* of the file, for reading, its lease included, if it has functions; else -1. The caller's, as soon as he takes it and sets -1 */
	uint64_t took_ns;      /* of CPU time, in all */
};

enum reading_step {
	READING_NOTHING, /* new */
	READING_OPENED,  /* or not: `file`. Goes on by reading_go_on() or reading_end() */
	READING_DONE,
	READING_LATE,    /* it was ended */
	READING_GONE,    /* it has ended; if it was not READING_DONE before, it never is. To be closed, by reading_close() */
};

/* Opens what is mapped there; a mapping without addresses: by its name, as the probe sees it. Negative errno: there is no child. */
int reading_begin(struct reading *r, const struct mapping *m);
/* Has it find the functions of libraries of these kinds. */
void reading_go_on(struct reading *r, unsigned kinds);
/* What it has said since; ret_functions: with READING_DONE. Is to be called once in a while, too, as nothing may come. */
enum reading_step reading_hear(struct reading *r, uint64_t now_ns, struct known_functions *ret_functions);
/* CPU time; 0 if it is not there any more. */
uint64_t reading_spent_ns(const struct reading *r);
/* Has it end, whatever it does; the file is closed, if it was not taken. READING_GONE comes once it has. */
void reading_end(struct reading *r);
void reading_close(struct reading *r);
/* Is the mapping of that child's, which maps what it has opened? It is kept as as_mapped then. */
bool reading_is_of(struct reading *r, const struct mapping *m);

#endif

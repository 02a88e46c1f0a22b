/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Libraries whose calls are watched in the programs themselves, because nothing of them leaves the program: which files have them, who runs these files, probes on their
 * functions. A file is read once; its probes are attached when the first process maps it, or is about to, and go some time after the last one has ended, or before it is written to.
 *
 * Each probe is a trap in the program that calls. What all of them cost is measured, and the functions that are called most are let go where that is more than is allowed.
 */
#ifndef PLUMB_PROBE_LIBRARY_H
#define PLUMB_PROBE_LIBRARY_H

#include "probe/known.h"
#include "probe/load.h"

struct libraries;

struct libraries_options {
	uint64_t most_ppm; /* of the time of one CPU that traps may take; 0 = without limit */
	uint64_t pause_ns; /* how long what takes more is let go, the first time */
	unsigned kinds;    /* which ones: enum known_kinds */
	const char *java_agent; /* JVMs are had to load it (jvms.h); NULL: they are left alone */
	bool all;          /* every process is watched: nobody meets a probe for nothing, so that they may stay when nobody runs the file for a while */
};

/* -ENOTSUP where this kernel has no way for it: nothing else is lost. */
int libraries_new(struct loaded *l, const struct libraries_options *o, struct libraries **ret_libraries);
void libraries_free(struct libraries *ls);

/* Looks at the processes that run already. */
void libraries_look(struct libraries *ls);
/* A file that is likely to be mapped soon: it has probes as if its last user had just ended. */
void libraries_expect(void *libraries, const char *path);
/* Goes on until all that runs already and all that is expected was looked at: for two seconds at most. */
void libraries_settle(struct libraries *ls);
/* Readable when files were mapped, or something is known of them: libraries_read(). It changes. */
int libraries_fd(const struct libraries *ls);
void libraries_read(struct libraries *ls);
/* Forks, execs and exits, once it is judged who of them is watched. */
void libraries_event(struct libraries *ls, const struct plumb_rec_header *h);
void libraries_tick(struct libraries *ls, uint64_t now_ns);

/* All but the header. */
void libraries_record(const struct libraries *ls, struct plumb_rec_libraries *ret);
/* CPU time of those who looked at files. */
uint64_t libraries_took_ns(const struct libraries *ls);
/* What their traps take of one CPU, by the latest measurement; of more than is allowed they get rid themselves. */
uint64_t libraries_ppm(const struct libraries *ls);

#endif

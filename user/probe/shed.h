/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of the probes on functions is let go where their traps cost more than they may: of the file that costs most first, the functions that are called most before all of them; for a while, which
 * is longer each time that it comes to this again.
 */
#ifndef PLUMB_PROBE_SHED_H
#define PLUMB_PROBE_SHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHED_FILES_MAX = 256 };

enum shed_level {
	SHED_NONE,
	SHED_OFTEN, /* the functions that are called most are let go */
	SHED_ALL,
};

/* One file. Zeroed: nothing is let go, nothing was measured. */
struct shed_file {
	enum shed_level level;
	uint64_t ppm;      /* of the time of one CPU, at the latest measurement */
	uint64_t took_ns;  /* of the programs' time, until then */
	uint64_t until_ns; /* what is let go stays so, 0 = it has never been */
	uint64_t for_ns;
};

struct shed {
	uint64_t most_ppm; /* of the time of one CPU that all files may take; 0 = without limit */
	uint64_t first_ns; /* how long something is let go, the first time */
	uint64_t cpus;
	uint64_t measured_ns; /* 0: what was measured before is of no use */
	uint64_t ppm;         /* of all files */
};

/*
 * took_ns[i]: what the file has taken of the programs' time, 0 where there is none. To be called once a second; returns how many files are let go further, and which: who calls does so. n is at most
 * SHED_FILES_MAX, and ret_changed has room for as many.
 */
size_t shed_feed(struct shed *s, struct shed_file *files, const uint64_t *took_ns, size_t n, uint64_t now_ns, size_t *ret_changed);

/* Is it time to look at all of the file's functions again? Who does so says shed_end(). */
bool shed_is_over(const struct shed_file *f, uint64_t now_ns);
void shed_end(struct shed_file *f);

#endif

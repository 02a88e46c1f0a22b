/* SPDX-License-Identifier: Apache-2.0 */
/* The system's clocks as one number: nanoseconds or milliseconds since the clock's own beginning. They cannot fail for the clocks that every Linux has. */
#ifndef PLUMB_LIB_CLOCK_H
#define PLUMB_LIB_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline int64_t clock_ms(clockid_t clock) { return (int64_t)(clock_ns(clock) / 1000000u); }

#endif

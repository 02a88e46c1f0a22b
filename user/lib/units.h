/* SPDX-License-Identifier: Apache-2.0 */
/* Durations and sizes as people write them in options. -EINVAL for anything else, -ERANGE beyond 63 bits. */
#ifndef PLUMB_LIB_UNITS_H
#define PLUMB_LIB_UNITS_H

#include "lib/slice.h"

/* 250ms, 10s, 5m, 1h; a bare number is milliseconds, as in OTEL_* variables. */
int units_duration_ms(struct slice s, int64_t *ret_ms);
/* 64KiB, 16MiB, 1GiB (K, M, G for short); a bare number is bytes. */
int units_size_bytes(struct slice s, int64_t *ret_bytes);

#endif

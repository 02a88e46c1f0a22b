/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions that do nothing. Probes sit on them: a call is what is told (bpf/abi/sites.h, PLUMB_SITE_TLS_TOLD_*). Sessions have numbers that are used once; bytes are there as long as the call lasts, NULL: they were not kept.
 */
#ifndef PLUMB_JAVA_TELL_H
#define PLUMB_JAVA_TELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void plumb_tls_begin(uint64_t session);
void plumb_tls_told_read(uint64_t session, const void *bytes, size_t n);
void plumb_tls_told_write(uint64_t session, const void *bytes, size_t n);

/* Does a probe sit on them? The kernel counts those that do, where ref_ctr_offset of perf_event_open(2) and BPF_LINK_CREATE says. */
bool tell_is_heard(void);

#endif

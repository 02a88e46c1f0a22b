/* SPDX-License-Identifier: Apache-2.0 */
/* What `--redact` takes out of the records themselves; payloads of connections and texts of calls are masked by recorder_options.mask. */
#ifndef PLUMB_SOURCE_REDACT_H
#define PLUMB_SOURCE_REDACT_H

#include "model/record.h"

/*
 * Host name, boot id, directories of executables, paths of Unix sockets and values of process facts are overwritten in place,
 * lengths kept. Kept are addresses and ports, names of programs, container ids, and the process facts in the list of redact.c.
 */
void redact_record(struct record *rec, uint8_t *payload, size_t len);

#endif

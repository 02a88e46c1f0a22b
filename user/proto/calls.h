/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of libraries (PLUMB_REC_CALL) to exchanges. There is no stream and nothing to parse: a record tells of a whole execution, so each is one exchange that begins and ends here, of a connection
 * that is none (no family, no addresses). What has to be remembered are the handles that a process holds: statements with their text, connections and databases with their name.
 *
 * Handles are bounded in number and so in bytes, in three sizes; the one unused for longest gives way to a new one of its size, counted. An execution of a statement that is not known
 * is an exchange all the same. Handles are addresses: they count within their process, and go with it.
 */
#ifndef PLUMB_PROTO_CALLS_H
#define PLUMB_PROTO_CALLS_H

#include "model/record.h"
#include "proto/pairing.h"

struct calls;

/* max_handles: with a text of up to 192 bytes; 1/8 as many with up to 1 KiB, 1/32 as many with up to 4 KiB. 0 = 8192, 4.4 MiB in all. */
int calls_new(uint32_t max_handles, struct pairing *pairing, struct calls **ret_calls);
/* Before the pairing and the processes that it refers to. */
void calls_free(struct calls *c);
/* What no process can know, while there are no handles. Changes nothing that is given out. */
void calls_seed(struct calls *c, uint64_t seed);
/* Sound as source/decode.c has it; text is its payload. */
void calls_record(struct calls *c, const struct plumb_rec_call *r, struct slice text);
/* It has ended, or executes another program: whatever it held is no more. */
void calls_forget(struct calls *c, uint32_t pid);
void calls_counts(const struct calls *c, struct calls_counts *ret);

#endif

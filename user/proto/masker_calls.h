/* SPDX-License-Identifier: Apache-2.0 */
/* For proto/masker.c: the n bytes of text of a call's record, in place. */
#ifndef PLUMB_PROTO_MASKER_CALLS_H
#define PLUMB_PROTO_MASKER_CALLS_H

#include "model/record.h"

void mask_call(const struct plumb_rec_call *r, uint8_t *p, size_t n);

#endif

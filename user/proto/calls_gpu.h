/* SPDX-License-Identifier: Apache-2.0 */
/* What a call of a GPU's driver that failed or took long says of itself. */
#ifndef PLUMB_PROTO_CALLS_GPU_H
#define PLUMB_PROTO_CALLS_GPU_H

#include "model/message.h"
#include "proto/gpu_names.h"

/* Texts that the message's attributes point to. */
struct calls_gpu {
	char grid[24], block[24], code[GPU_CODE_TEXT];
};

/* r: of a function above PLUMB_FN_GPU that is known. kernel: its text. */
void calls_gpu_tell(struct calls_gpu *g, const struct plumb_rec_call *r, struct slice kernel, struct message *m);

#endif

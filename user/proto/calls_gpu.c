/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/calls_gpu.h"

#include <stdio.h>

#include "lib/symbol.h"

static struct slice three(char *text, size_t len, uint64_t x, uint64_t y, uint64_t z)
{
	int n = snprintf(text, len, "%u,%u,%u", (unsigned)x, (unsigned)y, (unsigned)z);

	return slice_make(text, (size_t)n);
}

void calls_gpu_tell(struct calls_gpu *g, const struct plumb_rec_call *r, struct slice kernel, struct message *m)
{
	uint32_t call = r->function - PLUMB_FN_GPU;

	message_add_str(m, ATTR_CODE_FUNCTION_NAME, slice_str(gpu_call_name(call)));
	if (r->object || r->parent) {
		message_add_str(m, ATTR_GPU_KERNEL_GRID, three(g->grid, sizeof(g->grid), (uint32_t)r->object, r->object >> 32 & 0xffff, r->object >> 48));
		message_add_str(m, ATTR_GPU_KERNEL_BLOCK, three(g->block, sizeof(g->block), r->parent & 0xffff, r->parent >> 16 & 0xffff, r->parent >> 32 & 0xffff));
		message_add_int(m, ATTR_GPU_KERNEL_SHARED_MEMORY, (int64_t)r->count);
	} else if (gpu_call_has_bytes(call)) {
		message_add_int(m, ATTR_GPU_BYTES, (int64_t)r->count);
	}
	if (symbol_is_plausible(kernel))
		message_add_str(m, ATTR_GPU_KERNEL_NAME, kernel);
	if (!r->result)
		return;
	struct slice code = gpu_code_name(gpu_call_protocol(call), r->result, g->code);
	m->flags |= MESSAGE_ERROR;
	snprintf(m->error_type, sizeof(m->error_type), "%.*s", (int)code.len, (const char *)code.ptr);
}

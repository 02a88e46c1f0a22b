/* SPDX-License-Identifier: Apache-2.0 */
/* What calls of GPU drivers and their results are called (bpf/abi/gpu.def): CUresult of https://docs.nvidia.com/cuda/cuda-driver-api/, hipError_t of https://rocm.docs.amd.com/projects/HIP/. */
#ifndef PLUMB_PROTO_GPU_NAMES_H
#define PLUMB_PROTO_GPU_NAMES_H

#include "model/record.h"

/* NULL: a call that is not known. */
const char *gpu_call_name(uint32_t call);
/* PLUMB_PROTO_CUDA or PLUMB_PROTO_HIP; PLUMB_PROTO_NONE: not known. */
uint16_t gpu_call_protocol(uint32_t call);
/* It tells how many bytes it moved, set or took. */
bool gpu_call_has_bytes(uint32_t call);
/* As error.type and labels have it; of a code without a name its number, written into text. */
enum { GPU_CODE_TEXT = 16 };
struct slice gpu_code_name(uint16_t protocol, int32_t code, char text[GPU_CODE_TEXT]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for libamdhip64.so (https://rocm.docs.amd.com/projects/HIP/). */
#include "driver.h"

typedef struct { uint32_t x, y, z; } dim3;

EXPORT int hipModuleLaunchKernel(struct function *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *stream, void **params, void **extra)
{
	(void)f, (void)gx, (void)gy, (void)gz, (void)bx, (void)by, (void)bz, (void)shared, (void)stream, (void)params, (void)extra;
	return work("hipModuleLaunchKernel", 0, NULL);
}

EXPORT int hipLaunchKernel(const void *f, dim3 grid, dim3 block, void **params, size_t shared, void *stream)
{
	(void)f, (void)grid, (void)block, (void)params, (void)shared, (void)stream;
	return work("hipLaunchKernel", 0, NULL);
}

EXPORT int hipLaunchKernel_spt(const void *f, dim3 grid, dim3 block, void **params, size_t shared, void *stream)
{
	(void)f, (void)grid, (void)block, (void)params, (void)shared, (void)stream;
	return work("hipLaunchKernel", 0, NULL);
}

static int alloc(const char *call, void **ret, size_t bytes)
{
	int code = work(call, bytes, NULL);

	*ret = code ? NULL : malloc(16);
	return code;
}

static int release(const char *call, void *address)
{
	int code = work(call, 0, NULL);

	if (!code)
		free(address);
	return code;
}

EXPORT int hipMalloc(void **ret, size_t bytes) { return alloc("hipMalloc", ret, bytes); }
EXPORT int hipFree(void *address) { return release("hipFree", address); }
EXPORT int hipMemCreate(void **ret, size_t bytes, const void *properties, unsigned long long flags) { return (void)properties, (void)flags, alloc("hipMemCreate", ret, bytes); }
EXPORT int hipMemRelease(void *handle) { return release("hipMemRelease", handle); }
EXPORT int hipMemcpy(void *to, const void *from, size_t bytes, int kind) { return (void)to, (void)from, (void)kind, work("hipMemcpy", bytes, NULL); }
EXPORT int hipDeviceSynchronize(void) { return work("hipDeviceSynchronize", 0, NULL); }
EXPORT int hipModuleLoadData(void **ret, const void *image) { return (void)image, *ret = function_make("none"), work("hipModuleLoadData", 0, NULL); }
EXPORT int hipGetDevice(int *ret) { return others++, *ret = 0, 0; }

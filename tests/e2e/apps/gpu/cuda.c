/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for libcuda.so.1 (https://docs.nvidia.com/cuda/cuda-driver-api/): exports functions under the names, and in the forms, that programs ask for. */
#include "driver.h"

typedef unsigned long long CUdeviceptr;
typedef struct function *CUfunction;

struct config {
	unsigned grid[3], block[3], shared;
	void *stream, *attrs;
	unsigned nattrs;
};

#define LAUNCH(name, call)                                                                                                                                             \
	EXPORT int name(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *stream, void **params, void **extra) \
	{                                                                                                                                                              \
		(void)gx, (void)gy, (void)gz, (void)bx, (void)by, (void)bz, (void)shared, (void)stream, (void)params, (void)extra;                                     \
		return work(call, 0, f);                                                                                                                               \
	}
LAUNCH(cuLaunchKernel, "cuLaunchKernel")
LAUNCH(cuLaunchKernel_ptsz, "cuLaunchKernel")

EXPORT int cuLaunchCooperativeKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *stream, void **params)
{
	(void)gx, (void)gy, (void)gz, (void)bx, (void)by, (void)bz, (void)shared, (void)stream, (void)params;
	return work("cuLaunchCooperativeKernel", 0, f);
}

EXPORT int cuLaunchKernelEx(const struct config *c, CUfunction f, void **params, void **extra)
{
	(void)c, (void)params, (void)extra;
	return work("cuLaunchKernelEx", 0, f);
}

EXPORT int cuGraphLaunch(void *graph, void *stream)
{
	(void)graph, (void)stream;
	return work("cuGraphLaunch", 0, NULL);
}

static int alloc(const char *call, CUdeviceptr *ret, size_t bytes)
{
	int code = work(call, bytes, NULL);

	if (!code)
		*ret = (CUdeviceptr)(uintptr_t)malloc(16); /* addresses are used again, as the driver's are */
	return code;
}

static int release(const char *call, CUdeviceptr address)
{
	int code = work(call, 0, NULL);

	if (!code)
		free((void *)(uintptr_t)address);
	return code;
}

EXPORT int cuMemAlloc_v2(CUdeviceptr *ret, size_t bytes) { return alloc("cuMemAlloc", ret, bytes); }
int cuMemAlloc(CUdeviceptr *ret, size_t bytes) __attribute__((alias("cuMemAlloc_v2"), visibility("default"))); /* two names, one function */
EXPORT int cuMemAllocAsync(CUdeviceptr *ret, size_t bytes, void *stream) { return (void)stream, alloc("cuMemAllocAsync", ret, bytes); }
EXPORT int cuMemAllocManaged(CUdeviceptr *ret, size_t bytes, unsigned flags) { return (void)flags, alloc("cuMemAllocManaged", ret, bytes); }
EXPORT int cuMemAllocPitch_v2(CUdeviceptr *ret, size_t *ret_pitch, size_t width, size_t height, unsigned element)
{
	(void)element;
	*ret_pitch = (width + 511) / 512 * 512;
	return alloc("cuMemAllocPitch", ret, *ret_pitch * height);
}
EXPORT int cuMemHostAlloc(CUdeviceptr *ret, size_t bytes, unsigned flags) { return (void)flags, alloc("cuMemHostAlloc", ret, bytes); }
EXPORT int cuMemFree_v2(CUdeviceptr address) { return release("cuMemFree", address); }
EXPORT int cuMemFreeAsync_ptsz(CUdeviceptr address, void *stream) { return (void)stream, release("cuMemFreeAsync", address); }
EXPORT int cuMemCreate(CUdeviceptr *ret, size_t bytes, const void *properties, unsigned long long flags) { return (void)properties, (void)flags, alloc("cuMemCreate", ret, bytes); }
EXPORT int cuMemRelease(CUdeviceptr handle) { return release("cuMemRelease", handle); }
EXPORT int cuMemFreeHost(CUdeviceptr address) { return release("cuMemFreeHost", address); }

EXPORT int cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes) { return (void)to, (void)from, work("cuMemcpyHtoD", bytes, NULL); }
EXPORT int cuMemcpyHtoD_v2_ptds(CUdeviceptr to, const void *from, size_t bytes) { return (void)to, (void)from, work("cuMemcpyHtoD", bytes, NULL); }
EXPORT int cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, void *stream) { return (void)to, (void)from, (void)stream, work("cuMemcpyDtoHAsync", bytes, NULL); }
EXPORT int cuMemcpyPeer(CUdeviceptr to, void *to_context, CUdeviceptr from, void *from_context, size_t bytes)
{
	(void)to, (void)to_context, (void)from, (void)from_context;
	return work("cuMemcpyPeer", bytes, NULL);
}
EXPORT int cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t n) { return (void)to, (void)value, work("cuMemsetD32", n * 4, NULL); }
EXPORT int cuCtxSynchronize(void) { return work("cuCtxSynchronize", 0, NULL); }
EXPORT int cuStreamSynchronize(void *stream) { return (void)stream, work("cuStreamSynchronize", 0, NULL); }
EXPORT int cuModuleLoadData(void **ret, const void *image) { return (void)image, *ret = NULL, work("cuModuleLoadData", 0, NULL); }

/* Those that nobody looks at. */
EXPORT int cuModuleGetFunction(CUfunction *ret, void *module, const char *name) { return (void)module, others++, *ret = function_make(name), 0; }
EXPORT int cuCtxGetDevice(int *ret) { return others++, *ret = 0, 0; }

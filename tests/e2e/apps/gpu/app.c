/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Works with the driver of apps/gpu/cuda.c: app LIBRARY LAUNCHES FAILURES, then "go" on standard input. Prints "ready" when the library is mapped, and the driver's truth as JSON at its end, which comes at once
 * after its last call. Its 37 kernels are launched in rounds, each of which leaves out one more of the last ones.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KERNELS = 37 };
struct config {
	unsigned grid[3], block[3], shared;
	void *stream, *attrs;
	unsigned nattrs;
};

static void *library;

static void *of(const char *name)
{
	void *f = dlsym(library, name);

	if (!f)
		abort();
	return f;
}
#define CALL(name, types, ...) (((int (*)types)of(name))(__VA_ARGS__))

static void next(int code, long ns) { ((void (*)(int, long))of("stub_next"))(code, ns); }

static void launch(unsigned i, void *kernel)
{
	struct config c = { .grid = { 70000, 3, 5 }, .block = { 128, 2, 1 }, .shared = 4096 };

	switch (i % 5) {
	case 0: CALL("cuLaunchKernelEx", (struct config *, void *, void *, void *), &c, kernel, NULL, NULL); break;
	case 1: CALL("cuLaunchKernel_ptsz", (void *, int, int, int, int, int, int, int, void *, void *, void *), kernel, 256, 1, 1, 32, 1, 1, 0, NULL, NULL, NULL); break;
	case 2: CALL("cuLaunchCooperativeKernel", (void *, int, int, int, int, int, int, int, void *, void *), kernel, 8, 1, 1, 64, 1, 1, 0, NULL, NULL); break;
	default: CALL("cuLaunchKernel", (void *, int, int, int, int, int, int, int, void *, void *, void *), kernel, 70000, 3, 5, 128, 2, 1, 4096, NULL, NULL, NULL); break;
	}
}

static void memory(void)
{
	unsigned long long kept[11], a, b, c, host;
	size_t pitch;

	for (int i = 0; i < 11; i++)
		CALL("cuMemAlloc_v2", (void *, size_t), &kept[i], 1000003);
	CALL("cuMemAlloc", (void *, size_t), &a, 5000011);
	CALL("cuMemAllocPitch_v2", (void *, size_t *, size_t, size_t, int), &b, &pitch, 1000, 7, 4);
	CALL("cuMemAllocAsync", (void *, size_t, void *), &c, 2003, NULL);
	CALL("cuMemHostAlloc", (void *, size_t, int), &host, 65537, 0);
	next(2, 0);
	CALL("cuMemAllocManaged", (void *, size_t, int), &a, 1ul << 50, 1);
	next(1, 0);
	CALL("cuMemFree_v2", (unsigned long long), a); /* fails: it stays */
	CALL("cuMemFree_v2", (unsigned long long), a);
	CALL("cuMemFree_v2", (unsigned long long), b);
	CALL("cuMemFreeAsync_ptsz", (unsigned long long, void *), c, NULL);
	CALL("cuMemFreeHost", (unsigned long long), host);
	for (int i = 0; i < 8; i++)
		CALL("cuMemFree_v2", (unsigned long long), kept[i]); /* three are never given back */
	for (int i = 0; i < 2; i++)
		CALL("cuMemCreate", (void *, size_t, void *, long), &kept[i], 2097152, NULL, 0l);
	CALL("cuMemRelease", (unsigned long long), kept[1]); /* the other one is kept, too */
	CALL("cuMemFree_v2", (unsigned long long), 0);
}

static void others(void)
{
	char buffer[64];
	void *module;
	int device;

	CALL("cuModuleLoadData", (void **, void *), &module, buffer);
	for (int i = 0; i < 101; i++)
		CALL("cuCtxGetDevice", (int *), &device);
	for (int i = 0; i < 23; i++)
		CALL("cuMemcpyHtoD_v2", (unsigned long long, void *, size_t), 0, buffer, 1009);
	for (int i = 0; i < 7; i++)
		CALL("cuMemcpyHtoD_v2_ptds", (unsigned long long, void *, size_t), 0, buffer, 11);
	for (int i = 0; i < 13; i++)
		CALL("cuMemcpyDtoHAsync_v2", (void *, unsigned long long, size_t, void *), buffer, 0, 3, NULL);
	CALL("cuMemcpyPeer", (unsigned long long, void *, unsigned long long, void *, size_t), 0, NULL, 0, NULL, 12345);
	CALL("cuMemsetD32_v2", (unsigned long long, int, size_t), 0, 0, 1001);
	for (int i = 0; i < 17; i++)
		CALL("cuGraphLaunch", (void *, void *), NULL, NULL);
	for (int i = 0; i < 19; i++) {
		next(0, 20000000);
		CALL("cuCtxSynchronize", (void));
	}
}

int main(int argc, char **argv)
{
	static char text[1 << 20];
	void *kernels[KERNELS];
	char go[8], name[64];
	unsigned launches = argc > 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0, failures = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;

	library = argc > 3 ? dlopen(argv[1], RTLD_NOW) : NULL;
	if (!library)
		return 2;
	for (int i = 0; i < KERNELS; i++) {
		snprintf(name, sizeof(name), "_ZN4gpu6kernelILi%dEEEvPfi", i);
		CALL("cuModuleGetFunction", (void **, void *, const char *), &kernels[i], NULL, name);
	}
	fputs("ready\n", stdout);
	fflush(stdout);
	if (!fgets(go, sizeof(go), stdin))
		return 1;
	memory();
	others();
	for (unsigned i = 0, k = 0, most = KERNELS; i < launches; i++) {
		if (i * (unsigned long)failures / launches != (i + 1) * (unsigned long)failures / launches)
			next(i % 3 ? 719 : 700, 0);
		launch(i, kernels[k]);
		if (++k == most) {
			k = 0;
			most = most > 1 ? most - 1 : KERNELS;
		}
	}
	((void (*)(char *, size_t))of("stub_truth"))(text, sizeof(text));
	fputs(text, stdout);
	fputc('\n', stdout);
	fflush(stdout);
	next(0, 0);
	CALL("cuCtxSynchronize", (void));
	_exit(0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A GPU's driver without a GPU: what its calls have in common. Each takes the time and returns the result that it was told to (stub_next), and keeps account: stub_truth() writes what was asked of it, as
 * JSON. One thread.
 */
#ifndef DRIVER_H
#define DRIVER_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CALLS_MAX = 64, CODES_MAX = 16, NAMES_MAX = 1024 };
#define EXPORT __attribute__((visibility("default"), noipa))

struct call {
	const char *name;
	unsigned long count, ns, bytes, codes;
	struct { int code; unsigned long count; } code[CODES_MAX];
};

/* What CUfunction points to has its name there, in driver 580. */
struct function {
	void *module;
	const char *name;
	unsigned long count;
};

static struct call calls[CALLS_MAX];
static struct function *functions[NAMES_MAX];
static size_t ncalls, nfunctions;
static int next_code;
static long next_ns;
static int blind; /* handles of kernels may be anything */
static unsigned long others; /* calls that nobody is to look at */

static long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000 + t.tv_nsec;
}

EXPORT void stub_next(int code, long ns)
{
	next_code = code;
	next_ns = ns;
}

EXPORT void stub_blind(void) { blind = 1; }

static int work(const char *name, unsigned long bytes, struct function *f)
{
	long begin = now();
	int code = next_code;
	struct call *c = calls;

	while (c->name && strcmp(c->name, name) != 0)
		c++;
	c->name = name;
	ncalls = c - calls + 1 > (long)ncalls ? (size_t)(c - calls) + 1 : ncalls;
	c->count++;
	if (code) {
		size_t i = 0;
		while (i < c->codes && c->code[i].code != code)
			i++;
		c->codes = i == c->codes ? i + 1 : c->codes;
		c->code[i].code = code;
		c->code[i].count++;
	} else {
		c->bytes += bytes;
	}
	if (f && !blind)
		f->count++;
	while (now() - begin < next_ns)
		;
	next_code = 0;
	next_ns = 0;
	c->ns += (unsigned long)(now() - begin);
	return code;
}

static struct function *function_make(const char *name)
{
	struct function *f = calloc(1, sizeof(*f));

	if (!f || nfunctions == NAMES_MAX)
		abort();
	f->name = strdup(name);
	return functions[nfunctions++] = f;
}

EXPORT void stub_truth(char *to, size_t size)
{
	size_t n = (size_t)snprintf(to, size, "{\"calls\":{");

	for (size_t i = 0; i < ncalls; i++) {
		n += (size_t)snprintf(to + n, size - n, "%s\"%s\":{\"count\":%lu,\"ns\":%lu,\"bytes\":%lu,\"codes\":{", i ? "," : "", calls[i].name, calls[i].count, calls[i].ns, calls[i].bytes);
		for (size_t k = 0; k < calls[i].codes; k++)
			n += (size_t)snprintf(to + n, size - n, "%s\"%d\":%lu", k ? "," : "", calls[i].code[k].code, calls[i].code[k].count);
		n += (size_t)snprintf(to + n, size - n, "}}");
	}
	n += (size_t)snprintf(to + n, size - n, "},\"kernels\":{");
	for (size_t i = 0; i < nfunctions; i++)
		n += (size_t)snprintf(to + n, size - n, "%s\"%s\":%lu", i ? "," : "", functions[i]->name, functions[i]->count);
	n += (size_t)snprintf(to + n, size - n, "},\"others\":%lu}", others);
	if (n >= size)
		abort();
}

#endif

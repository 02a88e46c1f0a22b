/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of Go programs: where they begin, and the instructions at which they return, as a probe on the return of a function breaks Go, whose stacks move. Both are in the runtime's own table
 * (pclntab, of Go 1.18 and later: src/internal/abi/symtab.go, src/runtime/symtab.go), which stripped programs have, too: what it says of returns is where nothing of the function is left on the
 * stack, and the instruction there must be one that returns.
 */
#ifndef PLUMB_PROBE_GO_H
#define PLUMB_PROBE_GO_H

#include <stddef.h>
#include <stdint.h>

#include "probe/elf.h"

enum { GO_RETURNS_MAX = 24 };

struct go_function {
	const char *name;
	uint64_t offset;                     /* in the file, of its first instruction; 0 = not found */
	size_t nreturns;
	uint64_t returns[GO_RETURNS_MAX];    /* of those that return */
};

/*
 * Fills in those that the file has. Without the first nothing else is looked for. Returns how many were found; 0: it is no Go program, or has none of them.
 * -ENOEXEC: the table makes no sense, or says what is not there; -EFBIG: it is longer than is read, or a function has more returns than are kept; -ENOMEM.
 */
int go_find(const struct elf_file *f, struct go_function *functions, size_t n);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machine code of x86-64, as far as it tells what belongs to what without being decoded: instructions of a few shapes are looked for at every byte, and what an instruction of such a shape leads to is
 * compared with what is sought. Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2. Of any other machine nothing is found.
 */
#ifndef PLUMB_PROBE_CODE_H
#define PLUMB_PROBE_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/elf.h"

enum { CODE_FUNCTION_MAX_BYTES = 16 * 1024, CODE_TEXT_MAX_BYTES = 256 * 1024 * 1024 };

/* An instruction that loads an address. */
struct code_reference {
	uint64_t at;
	size_t what; /* which of those that are sought */
};

/*
 * Fills in, ascending, where one of n addresses is loaded, and how many such places there are, at most `max`: -EFBIG if there are more, or the file has more code than is read. -ENOMEM; -ENOEXEC: it cannot be read.
 */
int code_references(const struct elf_file *f, const uint64_t *addresses, size_t n, struct code_reference *references, size_t max, size_t *ret_n);

/* A function: what is known of it. */
struct code_function {
	uint64_t begin, end; /* addresses */
	bool called;         /* somewhere, directly: so it does begin there, and is no part that a compiler has put elsewhere */
};

/* The functions that n addresses, which ascend, lie in; 0 to 0 where it is not known. Errors as above. */
int code_functions(const struct elf_file *f, const uint64_t *addresses, size_t n, struct code_function *ret_functions);

/* The code of one, of which the first CODE_FUNCTION_MAX_BYTES are read: their number; 0: none. */
size_t code_read(const struct elf_file *f, const struct code_function *function, uint8_t *to);

/* Does it load this number into a 32-bit register (of argument 1: EDI, 2: ESI, 3: EDX)? */
bool code_has_number(const uint8_t *code, size_t len, int argument, uint32_t number);

/* Direct calls in it that lead into the file's code; to: only those to this address, 0 = all. */
size_t code_calls(const struct elf_file *f, const struct code_function *function, const uint8_t *code, size_t len, uint64_t to);

#endif

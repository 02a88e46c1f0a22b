/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where functions lie in programs and libraries. ELF files are anybody's: all is read by pread(2), within the file and within bounds. gABI, chapter 4; elf(5).
 */
#ifndef PLUMB_PROBE_ELF_H
#define PLUMB_PROBE_ELF_H

#include <stddef.h>
#include <stdint.h>

struct elf_function {
	const char *name;
	uint64_t offset; /* in the file, of its first instruction; 0 = not found */
};

/*
 * Fills in the offsets of those that the file has, as exported symbols or local ones. Of `signs` (NULL-terminated, at most 16) one must be among the names of a table of symbols for it to be read: local ones
 * are, if it is one that was not exported. No two functions have one name. Returns how many were found. At most some 100 MiB are read, whatever the file says of itself.
 * -ENOEXEC: not an ELF file of this machine, or nothing that can be made sense of; -EFBIG: its symbols are more than is read; -ENOMEM.
 */
int elf_find(int fd, const char *const *signs, struct elf_function *functions, size_t n);

#endif

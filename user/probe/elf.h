/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs and libraries: where things lie in them. ELF files are anybody's: all is read by pread(2), within the file and within bounds. gABI, chapter 4; elf(5).
 */
#ifndef PLUMB_PROBE_ELF_H
#define PLUMB_PROBE_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_file;

/* fd stays the caller's, and open as long as the file. -ENOEXEC: no ELF file of this machine, or nothing that can be made sense of; -ENOMEM. */
int elf_open(int fd, struct elf_file **ret_file);
void elf_close(struct elf_file *f); /* NULL: nothing */

/* False: the file has no such bytes. */
bool elf_read(const struct elf_file *f, void *to, uint64_t len, uint64_t at);
/* Two seconds of CPU time have been spent since it was opened: files are anybody's, and it is enough for any that is none to waste it. Whatever takes long asks, and gives up with -EFBIG. */
bool elf_is_late(const struct elf_file *f);
/* Where in the file the instruction of an address lies; 0 = in no executable segment. */
uint64_t elf_offset(const struct elf_file *f, uint64_t address);

/* A program that lies where its addresses say: instructions may hold them. */
bool elf_is_fixed(const struct elf_file *f);

struct elf_section {
	uint64_t address;
	uint64_t offset, size; /* within the file */
};

/* A section of bytes of the program, or of its relocations (Elf64_Rela); names of up to 63 bytes. */
bool elf_section(const struct elf_file *f, const char *name, struct elf_section *ret);

struct elf_function {
	const char *name; /* one of Rust without the hash that it ends with */
	uint64_t offset; /* in the file, of its first instruction; 0 = not found */
};

/*
 * Fills in the offsets of those that the file has, as exported symbols or local ones. Of `signs` (NULL-terminated, at most 16) one must be among the names of a table of symbols for it to be read: local ones
 * are, if it is one that was not exported. No two functions have one name. Returns how many were found. At most some 100 MiB of memory are taken, whatever the file says of itself.
 * -EFBIG: none was found, and a sign is in a table of more symbols than is read, or may be; -ENOMEM.
 */
int elf_find(const struct elf_file *f, const char *const *signs, struct elf_function *functions, size_t n);

#endif

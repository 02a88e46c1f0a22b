/* SPDX-License-Identifier: Apache-2.0 */
/* Where functions lie in ELF files: of this program, and of files made here, sound and not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "probe/elf.h"

#if defined(__x86_64__)
enum { MACHINE = EM_X86_64 };
#else
enum { MACHINE = EM_AARCH64 };
#endif

enum { CODE_AT = 0x1000, CODE_ADDRESS = 0x401000, CODE_BYTES = 0x800 };

/* As one that reads a file does it. */
static int open_and_find(int fd, const char *const *wanted, struct elf_function *functions, size_t n)
{
	struct elf_file *f;
	int err = elf_open(fd, &f);

	if (err)
		return err;
	int found = elf_find(f, wanted, functions, n);
	elf_close(f);
	return found;
}

static const char *const signs[] = { "first", "nowhere", NULL };

/* An executable segment, a table of symbols and its names. */
struct made {
	Elf64_Ehdr head;
	Elf64_Phdr segment;
	Elf64_Shdr sections[3];
	Elf64_Sym symbols[6];
	char names[96];
};

static struct made sound(uint32_t table)
{
	struct made m = {
		.head = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT }, .e_type = ET_DYN, .e_machine = MACHINE,
			.e_phoff = offsetof(struct made, segment), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1,
			.e_shoff = offsetof(struct made, sections), .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 3,
		},
		.segment = { .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = CODE_AT, .p_vaddr = CODE_ADDRESS, .p_filesz = CODE_BYTES, .p_memsz = CODE_BYTES },
		.sections = {
			{ .sh_type = SHT_NULL },
			{ .sh_type = table, .sh_offset = offsetof(struct made, symbols), .sh_size = sizeof(m.symbols), .sh_link = 2, .sh_entsize = sizeof(Elf64_Sym) },
			{ .sh_type = SHT_STRTAB, .sh_offset = offsetof(struct made, names), .sh_size = sizeof(m.names) },
		},
		/* "other" is the end of "another": tables share what they can. */
		.names = "\0first\0another\0second\0imported\0data\0outside",
	};
	const unsigned char function = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);

	m.symbols[1] = (Elf64_Sym){ .st_name = 1, .st_info = function, .st_shndx = 1, .st_value = CODE_ADDRESS + 0x10 };
	m.symbols[2] = (Elf64_Sym){ .st_name = 9, .st_info = function, .st_shndx = 1, .st_value = CODE_ADDRESS + 0x20 };
	m.symbols[3] = (Elf64_Sym){ .st_name = 22, .st_info = function, .st_shndx = SHN_UNDEF, .st_value = CODE_ADDRESS + 0x30 };
	m.symbols[4] = (Elf64_Sym){ .st_name = 31, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT), .st_shndx = 1, .st_value = CODE_ADDRESS + 0x40 };
	m.symbols[5] = (Elf64_Sym){ .st_name = 36, .st_info = function, .st_shndx = 1, .st_value = CODE_ADDRESS + CODE_BYTES };
	return m;
}

static int file_of(const void *data, size_t len, off_t size)
{
	int fd = memfd_create("elf", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	assert_int_equal(ftruncate(fd, size), 0);
	return fd;
}

static int find_in(const struct made *m, struct elf_function *functions, size_t n)
{
	int fd = file_of(m, sizeof(*m), CODE_AT + CODE_BYTES);
	int found = open_and_find(fd, signs, functions, n);

	close(fd);
	return found;
}

static void functions_are_found(void **state)
{
	static const uint32_t tables[] = { SHT_DYNSYM, SHT_SYMTAB };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct made m = sound(tables[i]);
		struct elf_function f[] = { { "first", 0 }, { "other", 0 }, { "second", 0 }, { "imported", 0 }, { "data", 0 }, { "outside", 0 }, { "none", 0 } };
		assert_int_equal(find_in(&m, f, 7), 2);
		assert_int_equal(f[0].offset, CODE_AT + 0x10);
		assert_int_equal(f[1].offset, CODE_AT + 0x20);
		for (int k = 2; k < 7; k++)
			assert_int_equal(f[k].offset, 0);
	}
}

/* Rust's end with a hash, and with what a compiler did at last. */
static void names_with_a_hash_are_found_without_it(void **state)
{
	static const char *const ends[] = { "17h748e85c479c7a7e0E", "17h748e85c479c7a7e0E.llvm.5769", "17h748e85c479c7a7e0", "18h748e85c479c7a7e0E", "4more17h748e85c479c7a7e0E" };
	static const char *const rust[] = { "_ZN1a1bC", NULL };

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct made m = sound(SHT_SYMTAB);
		struct elf_function f[] = { { rust[0], 0 } };
		snprintf(m.names + 1, sizeof(m.names) - 1, "%s%s", rust[0], ends[i]);
		int fd = file_of(&m, sizeof(m), CODE_AT + CODE_BYTES);
		assert_int_equal(open_and_find(fd, rust, f, 1), i < 2);
		assert_int_equal(f[0].offset, i < 2 ? CODE_AT + 0x10 : 0);
		close(fd);
	}
}

static void without_a_sign_nothing_is_looked_for(void **state)
{
	struct made m = sound(SHT_DYNSYM);
	struct elf_function f[] = { { "other", 0 }, { "second", 0 } };

	(void)state;
	memcpy(m.names + 1, "First", 5);
	assert_int_equal(find_in(&m, f, 2), 0);
}

static __attribute__((noinline, used)) int local_function_of_this_program(int x) { return x + 1; }

static void local_symbols_of_a_real_program_are_found(void **state)
{
	struct elf_function f[] = { { "local_function_of_this_program", 0 }, { "main", 0 } };
	uint8_t code[8];
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(open_and_find(fd, (const char *const[]){ "main", NULL }, f, 2), 2);
	assert_int_equal(pread(fd, code, sizeof(code), (off_t)f[0].offset), sizeof(code));
	assert_memory_equal(code, (const void *)(uintptr_t)local_function_of_this_program, sizeof(code));
	close(fd);
}

/* Each field that leads somewhere leads to its worst places: none of them may be believed. */
static void what_leads_nowhere_is_refused(void **state)
{
	static const uint64_t worst[] = { 0, 1, 0x7f, 0xffff, 0x7fffffff, 0xffffffff, INT64_MAX, UINT64_MAX - 8, UINT64_MAX };

	(void)state;
	for (size_t at = 0; at + 8 <= offsetof(struct made, names); at++)
		for (size_t k = 0; k < sizeof(worst) / sizeof(worst[0]); k++)
			for (size_t width = 1; width <= 8; width *= 2) {
				struct made m = sound(SHT_DYNSYM);
				struct elf_function f[] = { { "first", 0 }, { "other", 0 } };
				memcpy((uint8_t *)&m + at, &worst[k], width);
				int found = find_in(&m, f, 2);
				assert_true(found == -ENOEXEC || found == -EFBIG || (found >= 0 && found <= 2));
				for (int i = 0; i < 2; i++)
					assert_true(f[i].offset < CODE_AT + CODE_BYTES);
			}
}

static void what_is_no_program_of_this_machine_is_refused(void **state)
{
	struct elf_function f[] = { { "first", 0 } };
	struct made m = sound(SHT_DYNSYM);
	int pipe_ends[2], fd;

	(void)state;
	m.head.e_machine = EM_S390;
	assert_int_equal(find_in(&m, f, 1), -ENOEXEC);
	m = sound(SHT_DYNSYM);
	m.head.e_ident[EI_CLASS] = ELFCLASS32;
	assert_int_equal(find_in(&m, f, 1), -ENOEXEC);
	m = sound(SHT_DYNSYM);
	m.head.e_type = ET_REL;
	assert_int_equal(find_in(&m, f, 1), -ENOEXEC);
	fd = file_of("#!/bin/sh\n", 10, 10);
	assert_int_equal(open_and_find(fd, signs, f, 1), -ENOEXEC);
	close(fd);
	assert_int_equal(pipe(pipe_ends), 0);
	assert_int_equal(open_and_find(pipe_ends[0], signs, f, 1), -ENOEXEC);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	assert_int_equal(open_and_find(-1, signs, f, 1), -EBADF);
}

/* A file may say that it is as large as it likes, and cost nobody a block. */
static void holes_are_not_read_for_ever(void **state)
{
	struct elf_function f[] = { { "first", 0 } };
	struct made m = sound(SHT_DYNSYM);

	(void)state;
	m.sections[1].sh_size = (uint64_t)1 << 40;
	int fd = file_of(&m, sizeof(m), (off_t)1 << 42);
	assert_int_equal(open_and_find(fd, signs, f, 1), -EFBIG);
	close(fd);
	m = sound(SHT_DYNSYM);
	m.sections[2].sh_size = (uint64_t)1 << 40;
	fd = file_of(&m, sizeof(m), (off_t)1 << 42);
	assert_int_equal(open_and_find(fd, signs, f, 1), -EFBIG);
	close(fd);
}

/* Exported functions are there, however many local names a file has. */
static void what_one_table_gives_stays_when_the_other_is_too_large(void **state)
{
	struct {
		struct made made;
		Elf64_Shdr sections[5];
		char names[16];
	} m = { .made = sound(SHT_DYNSYM), .names = "\0nowhere" };
	struct elf_function f[] = { { "first", 0 }, { "nowhere", 0 } };

	(void)state;
	memcpy(m.sections, m.made.sections, sizeof(m.made.sections));
	m.made.head.e_shoff = (uint64_t)((uint8_t *)m.sections - (uint8_t *)&m);
	m.made.head.e_shnum = 5;
	m.sections[3] = m.sections[1];
	m.sections[3].sh_type = SHT_SYMTAB;
	m.sections[3].sh_link = 4;
	m.sections[4] = (Elf64_Shdr){ .sh_type = SHT_STRTAB, .sh_offset = (uint64_t)((uint8_t *)m.names - (uint8_t *)&m), .sh_size = 40 << 20 };
	int fd = file_of(&m, sizeof(m), 64 << 20);
	assert_int_equal(open_and_find(fd, signs, f, 2), 1);
	assert_int_equal(f[0].offset, CODE_AT + 0x10);
	/* Where it is not known whether there is anything, that is said. */
	memcpy(m.made.names + 1, "First", 5);
	assert_int_equal(pwrite(fd, &m, sizeof(m), 0), sizeof(m));
	f[0].offset = 0;
	assert_int_equal(open_and_find(fd, signs, f, 2), -EFBIG);
	close(fd);
}

static void cut_off_files_are_refused(void **state)
{
	struct made m = sound(SHT_DYNSYM);

	(void)state;
	for (size_t len = 0; len < sizeof(m); len++) {
		struct elf_function f[] = { { "first", 0 } };
		int fd = file_of(&m, len, (off_t)len), found = open_and_find(fd, signs, f, 1);
		assert_true(found == -ENOEXEC || found == 0);
		close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_are_found),
		cmocka_unit_test(names_with_a_hash_are_found_without_it),
		cmocka_unit_test(without_a_sign_nothing_is_looked_for),
		cmocka_unit_test(local_symbols_of_a_real_program_are_found),
		cmocka_unit_test(what_leads_nowhere_is_refused),
		cmocka_unit_test(what_is_no_program_of_this_machine_is_refused),
		cmocka_unit_test(holes_are_not_read_for_ever),
		cmocka_unit_test(what_one_table_gives_stays_when_the_other_is_too_large),
		cmocka_unit_test(cut_off_files_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

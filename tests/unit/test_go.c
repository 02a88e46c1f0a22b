/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of a Go program by its own table: where they begin and return; and tables that say what is not so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "probe/go.h"

#if defined(__x86_64__)
enum { MACHINE = EM_X86_64, QUANTUM = 1 };
static const uint8_t returns[] = { 0xc3 };
#else
enum { MACHINE = EM_AARCH64, QUANTUM = 4 };
static const uint8_t returns[] = { 0xc0, 0x03, 0x5f, 0xd6 };
#endif

enum { TEXT_AT = 0x1000, TEXT = 0x401000, TEXT_BYTES = 0x400, MODULE = 0x500000, FIRST = 0x40, SECOND = 0x100, STEP = QUANTUM * 4 };

/* As the linker writes it: src/cmd/link/internal/ld/pcln.go. */
struct table {
	uint32_t magic;
	uint8_t zero[2], quantum, pointer;
	uint64_t nfunctions, nfiles, text, names_at, units_at, files_at, steps_at, functions_at;
	char names[64];
	uint8_t steps[32];
	struct { uint32_t entry, description; } functions[2];
	uint32_t end;
	struct { uint32_t entry, name, args, defer, steps; } descriptions[2];
};

struct program {
	Elf64_Ehdr head;
	Elf64_Phdr segment;
	Elf64_Shdr sections[6];
	char names[56];
	struct table table;
	uint64_t module[32];
	Elf64_Rela relocations[2];
	uint8_t text[TEXT_BYTES];
};

/* The first grows by 64 after its first step, returns, goes on, returns again; it grew by nothing on in between. The second never returns. */
static struct program sound(uint32_t magic)
{
	struct program p = {
		.head = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT }, .e_type = ET_EXEC, .e_machine = MACHINE,
			.e_phoff = offsetof(struct program, segment), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1,
			.e_shoff = offsetof(struct program, sections), .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 6, .e_shstrndx = 3,
		},
		.segment = { .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = TEXT_AT, .p_vaddr = TEXT, .p_filesz = TEXT_BYTES, .p_memsz = TEXT_BYTES },
		.sections = {
			{ .sh_type = SHT_NULL },
			{ .sh_name = 1, .sh_type = SHT_PROGBITS, .sh_addr = TEXT, .sh_offset = TEXT_AT, .sh_size = TEXT_BYTES },
			{ .sh_name = 7, .sh_type = SHT_PROGBITS, .sh_offset = offsetof(struct program, table), .sh_size = sizeof(struct table) },
			{ .sh_name = 18, .sh_type = SHT_STRTAB, .sh_offset = offsetof(struct program, names), .sh_size = sizeof(p.names) },
			{ .sh_name = 28, .sh_type = SHT_PROGBITS, .sh_addr = MODULE, .sh_offset = offsetof(struct program, module), .sh_size = sizeof(p.module) },
			{ .sh_name = 39, .sh_type = SHT_RELA, .sh_offset = offsetof(struct program, relocations), .sh_size = sizeof(p.relocations) },
		},
		.names = "\0.text\0.gopclntab\0.shstrtab\0.go.module\0.rela.dyn",
		.module = { [22] = TEXT },
		.relocations = { { .r_offset = MODULE, .r_addend = 1 }, { .r_offset = MODULE + 22 * 8, .r_addend = TEXT } },
		.table = {
			.magic = magic, .quantum = QUANTUM, .pointer = 8, .nfunctions = 2, .text = TEXT,
			.names_at = offsetof(struct table, names), .units_at = offsetof(struct table, steps), .steps_at = offsetof(struct table, steps), .functions_at = offsetof(struct table, functions),
			.names = "\0main.(*T).Read\0main.(*T).ReadFrom\0Read",
			/* value by value, up from -1: +1, +64, -64 (here it returns), +64, -64 (and here), +64, the end; then of the other */
			.steps = { 2, 4, 0x80, 1, 4, 0x7f, 4, 0x80, 1, 4, 0x7f, 4, 0x80, 1, 4, 0, 2, 4, 0x80, 1, 4, 0 },
			.functions = { { FIRST, offsetof(struct table, descriptions) - offsetof(struct table, functions) }, { SECOND, offsetof(struct table, descriptions[1]) - offsetof(struct table, functions) } },
			.end = TEXT_BYTES,
			.descriptions = { { FIRST, 1, 0, 0, 0 }, { SECOND, 16, 0, 0, 16 } },
		},
	};

	memcpy(p.text + FIRST + 2 * STEP, returns, sizeof(returns));
	memcpy(p.text + FIRST + 4 * STEP, returns, sizeof(returns));
	return p;
}

static int find(const struct program *p, const char *first, const char *second, struct go_function functions[2])
{
	int fd = memfd_create("program", MFD_CLOEXEC);
	struct elf_file *f;

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, p, offsetof(struct program, text), 0), offsetof(struct program, text));
	assert_int_equal(pwrite(fd, p->text, sizeof(p->text), TEXT_AT), sizeof(p->text));
	assert_int_equal(elf_open(fd, &f), 0);
	memset(functions, 0, 2 * sizeof(functions[0]));
	functions[0].name = first;
	functions[1].name = second;
	int found = go_find(f, functions, second ? 2 : 1);
	elf_close(f);
	close(fd);
	return found;
}

static void begin_and_returns(void **state)
{
	static const uint32_t magics[] = { 0xfffffff0, 0xfffffff1 };
	struct go_function f[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct program p = sound(magics[i]);
		assert_int_equal(find(&p, "main.(*T).Read", NULL, f), 1);
		assert_int_equal(f[0].offset, TEXT_AT + FIRST);
		assert_int_equal(f[0].nreturns, 2);
		assert_int_equal(f[0].returns[0], TEXT_AT + FIRST + 2 * STEP);
		assert_int_equal(f[0].returns[1], TEXT_AT + FIRST + 4 * STEP);
		/* As Go 1.26 has it; and in programs that may lie anywhere. */
		p.table.text = 0;
		assert_int_equal(find(&p, "main.(*T).Read", NULL, f), 1);
		assert_int_equal(f[0].offset, TEXT_AT + FIRST);
		p.module[22] = 0;
		assert_int_equal(find(&p, "main.(*T).Read", NULL, f), 1);
		assert_int_equal(f[0].offset, TEXT_AT + FIRST);
		p.relocations[1].r_addend = 0;
		assert_int_equal(find(&p, "main.(*T).Read", NULL, f), -ENOEXEC);
	}
}

static void what_is_not_there(void **state)
{
	struct program p = sound(0xfffffff1);
	struct go_function f[2];

	(void)state;
	assert_int_equal(find(&p, "main.(*T).Write", NULL, f), 0);
	assert_int_equal(find(&p, "Read", NULL, f), 0); /* the end of the names is no function's, and no end of a name is one */
	assert_int_equal(find(&p, "main.(*T).Read", "main.(*T).Write", f), 1);
	assert_int_equal(f[1].offset, 0);
	p.table.magic = 0xfffffffa; /* before 1.18 */
	assert_int_equal(find(&p, "main.(*T).Read", NULL, f), -ENOEXEC);
	p.sections[2].sh_name = 1; /* no Go program */
	assert_int_equal(find(&p, "main.(*T).Read", NULL, f), 0);
}

/* Functions are taken to be where they are not, or the table is of another program: what lies there is no return. */
static void what_is_not_so(void **state)
{
	struct program p = sound(0xfffffff1);
	struct go_function f[2];

	(void)state;
	assert_int_equal(find(&p, "main.(*T).Read", "main.(*T).ReadFrom", f), -ENOEXEC);
	p.table.text = TEXT + STEP;
	assert_int_equal(find(&p, "main.(*T).Read", NULL, f), -ENOEXEC);
	p.table.text = TEXT + (1u << 20);
	assert_int_equal(find(&p, "main.(*T).Read", NULL, f), -ENOEXEC);
	p = sound(0xfffffff1);
	p.text[FIRST + 2 * STEP] ^= 0xff;
	assert_int_equal(find(&p, "main.(*T).Read", NULL, f), 1);
	assert_int_equal(f[0].nreturns, 1);
}

/* Each number of the table wrong in some ways: an answer, and nothing read that is not there (ASan). */
static void hostile_tables(void **state)
{
	static const uint8_t bytes[] = { 0, 1, 0x7f, 0x80, 0xff };
	struct go_function f[2];

	(void)state;
	for (size_t at = 0; at < sizeof(struct table); at++)
		for (size_t b = 0; b < sizeof(bytes); b++) {
			struct program p = sound(0xfffffff1);
			((uint8_t *)&p.table)[at] = bytes[b];
			int found = find(&p, "main.(*T).Read", NULL, f);
			assert_true(found == 1 || found == 0 || found == -ENOEXEC || found == -EFBIG);
			for (size_t i = 0; found == 1 && i < f[0].nreturns; i++)
				assert_in_range(f[0].returns[i], f[0].offset, TEXT_AT + TEXT_BYTES - 1);
		}
}

/* A table in a file of holes, as large as it likes to be: each description lies elsewhere, and each look at one is a long read. */
static void time_is_bounded(void **state)
{
	enum { MANY = 1 << 17, TABLE_AT = 1 << 20, LIST_AT = 1 << 20 };
	struct program p = sound(0xfffffff1);
	uint32_t *list = calloc(MANY, 2 * sizeof(*list));
	int fd = memfd_create("holes", MFD_CLOEXEC);
	struct timespec begin, end;
	struct elf_file *f;
	struct go_function sought = { .name = "main.(*T).Read" };

	(void)state;
	assert_true(fd >= 0 && list);
	p.sections[2].sh_offset = TABLE_AT;
	p.sections[2].sh_size = 1ull << 40;
	p.table.nfunctions = MANY;
	p.table.functions_at = LIST_AT;
	for (size_t i = 0; i < MANY; i++)
		list[2 * i + 1] = i & 1 ? UINT32_MAX : 1 << 21;
	assert_int_equal(ftruncate(fd, 1ll << 41), 0);
	assert_int_equal(pwrite(fd, &p, offsetof(struct program, text), 0), offsetof(struct program, text));
	assert_int_equal(pwrite(fd, &p.table, sizeof(p.table), TABLE_AT), sizeof(p.table));
	assert_int_equal(pwrite(fd, list, MANY * 2 * sizeof(*list), TABLE_AT + LIST_AT), MANY * 2 * sizeof(*list));
	assert_int_equal(elf_open(fd, &f), 0);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
	assert_int_equal(go_find(f, &sought, 1), -EFBIG);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	assert_in_range(end.tv_sec - begin.tv_sec, 0, 3);
	elf_close(f);
	close(fd);
	free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begin_and_returns),
		cmocka_unit_test(what_is_not_there),
		cmocka_unit_test(what_is_not_so),
		cmocka_unit_test(hostile_tables),
		cmocka_unit_test(time_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

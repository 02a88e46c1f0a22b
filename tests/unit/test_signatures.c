/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that are found by their code: in files made here, sound and not, and in none of those that this machine has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/clock.h"
#include "probe/frames.h"
#include "probe/signatures.h"

#include "../../bpf/abi/sites.h"

#if defined(__x86_64__)
enum { MACHINE = EM_X86_64, HERE = 1 };
#else
enum { MACHINE = EM_AARCH64, HERE = 0 };
#endif

enum { SECTIONS = 5, CODE_ADDRESS = 0x401000, FUNCTIONS = 3, APART = 0x40, FILES_MAX = 400 };

/* One that calls them, and three functions as OpenSSL 1.1.1 has them, with bytes between them that nobody runs. */
struct made {
	Elf64_Ehdr head;
	Elf64_Phdr segment;
	Elf64_Shdr sections[SECTIONS];
	char names[40];
	uint8_t frames[0x18 + 4 * 0x14 + 4];
	char constants[32];
	uint8_t filler;
	uint8_t code[4 * APART];
};

static const uint32_t numbers[FUNCTIONS] = { 523, 524, 186 };

static size_t place_of(int which) { return (size_t)(which + 1) * APART; }

static void put32(uint8_t *to, uint32_t value) { memcpy(to, &value, sizeof(value)); }

/* lea rcx, [rip + text]; mov esi, number; mov edi, 20; ret */
static void put_function(struct made *m, int which, uint32_t number, uint64_t constants)
{
	uint8_t *p = m->code + place_of(which);

	memcpy(p, "\x48\x8d\x0d", 3);
	put32(p + 3, (uint32_t)(constants - (CODE_ADDRESS + place_of(which) + 7)));
	p[7] = 0xbe;
	put32(p + 8, number);
	p[12] = 0xbf;
	put32(p + 13, 20);
	p[17] = 0xc3;
}

static void put_call(struct made *m, int at, int to)
{
	uint8_t *p = m->code + at * 5;

	p[0] = 0xe8;
	put32(p + 1, (uint32_t)(place_of(to) - ((size_t)at * 5 + 5)));
}

/* One description for all, and where each function lies: relative to that place, in 4 bytes. */
static void put_frames(struct made *m, uint64_t frames)
{
	uint8_t *p = m->frames;

	put32(p, 0x14);
	memcpy(p + 8, "\1zR\0\1\x78\x10\1\x1b", 9);
	for (int i = 0; i < FUNCTIONS + 1; i++) {
		uint32_t at = 0x18 + (uint32_t)i * 0x14;
		put32(p + at, 0x10);
		put32(p + at + 4, at + 4);
		put32(p + at + 8, (uint32_t)(CODE_ADDRESS + (uint64_t)i * APART - (frames + at + 8)));
		put32(p + at + 12, 0x20);
	}
}

static struct made sound(bool frames)
{
	const uint64_t constants = 0x400000 + offsetof(struct made, constants), of_frames = 0x400000 + offsetof(struct made, frames);
	struct made m = {
		.head = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT }, .e_type = ET_DYN, .e_machine = MACHINE,
			.e_phoff = offsetof(struct made, segment), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1,
			.e_shoff = offsetof(struct made, sections), .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = SECTIONS, .e_shstrndx = 1,
		},
		.segment = { .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = offsetof(struct made, code), .p_vaddr = CODE_ADDRESS, .p_filesz = sizeof(m.code), .p_memsz = sizeof(m.code) },
		.sections = {
			{ .sh_type = SHT_NULL },
			{ .sh_type = SHT_STRTAB, .sh_offset = offsetof(struct made, names), .sh_size = sizeof(m.names) },
			{ .sh_type = SHT_PROGBITS, .sh_name = 1, .sh_addr = CODE_ADDRESS, .sh_offset = offsetof(struct made, code), .sh_size = sizeof(m.code) },
			{ .sh_type = SHT_PROGBITS, .sh_name = 7, .sh_addr = constants, .sh_offset = offsetof(struct made, constants), .sh_size = sizeof(m.constants) },
			{ .sh_type = SHT_PROGBITS, .sh_name = frames ? 15 : 0, .sh_addr = of_frames, .sh_offset = offsetof(struct made, frames), .sh_size = sizeof(m.frames) },
		},
		.names = "\0.text\0.rodata\0.eh_frame",
		.constants = "\0../ssl/ssl_lib.c",
		.filler = 0xcc,
	};

	memset(m.code, 0xcc, sizeof(m.code));
	for (int i = 0; i < FUNCTIONS; i++) {
		put_function(&m, i, numbers[i], constants + 1);
		put_call(&m, i, i);
	}
	put_frames(&m, of_frames);
	return m;
}

static int find_in(const struct made *m, struct signature_match *ret)
{
	int fd = memfd_create("made", MFD_CLOEXEC), err;
	struct elf_file *f;

	assert_int_equal(write(fd, m, sizeof(*m)), (ssize_t)sizeof(*m));
	*ret = (struct signature_match){ 0 };
	err = elf_open(fd, &f);
	if (!err) {
		err = signatures_find(f, ret);
		elf_close(f);
	}
	close(fd);
	return err;
}

static void functions_are_found_by_their_code(void **state)
{
	static const enum plumb_site sites[FUNCTIONS] = { PLUMB_SITE_TLS_READ_EX, PLUMB_SITE_TLS_WRITE_EX, PLUMB_SITE_TLS_NEW };

	(void)state;
	for (int frames = 0; frames < 2; frames++) {
		struct made m = sound(frames);
		struct signature_match found;
		assert_int_equal(find_in(&m, &found), 0);
		if (!HERE) {
			assert_int_equal(found.n, 0);
			continue;
		}
		assert_string_equal(found.library, "openssl");
		assert_int_equal(found.n, FUNCTIONS);
		for (int i = 0; i < FUNCTIONS; i++) {
			assert_int_equal(found.places[i].site, sites[i]);
			assert_int_equal(found.places[i].offset, offsetof(struct made, code) + place_of(i));
		}
	}
}

/* Where anything is missing, or there twice, all of it is nothing. */
static void what_fits_in_part_is_nothing(void **state)
{
	struct signature_match found;

	(void)state;
	for (int frames = 0; frames < 2; frames++) {
		const uint64_t constants = 0x400000 + offsetof(struct made, constants) + 1;
		struct made m[7];
		for (size_t i = 0; i < 7; i++)
			m[i] = sound(frames);
		put_function(&m[0], 1, 525, constants);      /* another function */
		put_function(&m[1], 1, 523, constants);      /* two of one */
		put_call(&m[2], 1, 2);                       /* nobody calls it: a part of another, perhaps */
		memset(m[3].code + place_of(1) + 12, 0x90, 5);     /* another library's error */
		m[4].constants[8] = 'S';                     /* another file */
		put_function(&m[5], 1, 524, constants + 1);  /* another text */
		m[6].sections[3].sh_name = 0;                /* nothing is told of constants */
		for (size_t i = 0; i < 7; i++) {
			assert_int_equal(find_in(&m[i], &found), 0);
			assert_int_equal(found.n, 0);
			assert_null(found.library);
		}
	}
}

/* Without what tells where functions end, those before and behind must not be taken for one. */
static void a_function_that_nobody_calls_is_not_taken_for_the_one_before(void **state)
{
	struct made m = sound(false);
	struct signature_match found;

	(void)state;
	/* What is said of the first lies in bytes behind it, that begin where nobody calls. */
	uint8_t *first = m.code + place_of(0);
	memcpy(first + 0x20, first, 18);
	put32(first + 0x20 + 3, (uint32_t)(0x400000 + offsetof(struct made, constants) + 1 - (CODE_ADDRESS + place_of(0) + 0x20 + 7)));
	memset(first, 0x90, 0x10);
	memset(first + 0x10, 0xcc, 0x10);
	assert_int_equal(find_in(&m, &found), 0);
	assert_int_equal(found.n, 0);
}

static void what_leads_nowhere_is_refused(void **state)
{
	static const uint64_t worst[] = { 0, 1, 0x7f, 0xffff, 0x7fffffff, 0xffffffff, INT64_MAX, UINT64_MAX - 8, UINT64_MAX };

	(void)state;
	for (size_t at = 0; at + 8 <= offsetof(struct made, constants); at += 2)
		for (size_t k = 0; k < sizeof(worst) / sizeof(worst[0]); k++) {
			struct made m = sound(true);
			struct signature_match found;
			memcpy((uint8_t *)&m + at, &worst[k], 8);
			int err = find_in(&m, &found);
			assert_true(err == 0 || err == -ENOEXEC || err == -EFBIG);
			for (size_t i = 0; i < found.n; i++)
				assert_in_range(found.places[i].offset, 1, sizeof(m) - 1);
		}
}

/* A thousand places that load the text, and calls to before the first of them, each of which may be of the function that any of them lies in. */
static void what_takes_too_long_is_given_up(void **state)
{
	enum { PLACES = 1000, LEA_BYTES = 8, CALLS = 65536, CALL_BYTES = 5 };
	static uint8_t code[PLACES * LEA_BYTES + CALLS * CALL_BYTES];
	struct made m = sound(false);
	const uint64_t constants = m.sections[3].sh_addr + 1;
	struct signature_match found;
	struct elf_file *f;

	(void)state;
	if (!HERE)
		skip();
	for (size_t i = 0; i < PLACES; i++) {
		memcpy(code + i * LEA_BYTES, "\x48\x8d\x0d", 3);
		put32(code + i * LEA_BYTES + 3, (uint32_t)(constants - (CODE_ADDRESS + i * LEA_BYTES + 7)));
	}
	for (size_t at = PLACES * LEA_BYTES; at < sizeof(code); at += CALL_BYTES) {
		code[at] = 0xe8;
		put32(code + at + 1, (uint32_t)-(at + CALL_BYTES));
	}
	m.sections[2].sh_offset = m.segment.p_offset = sizeof(m);
	m.sections[2].sh_size = m.segment.p_filesz = m.segment.p_memsz = sizeof(code);
	int fd = memfd_create("made", MFD_CLOEXEC);
	assert_int_equal(write(fd, &m, sizeof(m)), (ssize_t)sizeof(m));
	assert_int_equal(write(fd, code, sizeof(code)), (ssize_t)sizeof(code));
	assert_int_equal(elf_open(fd, &f), 0);
	assert_int_equal(signatures_find(f, &found), -EFBIG);
	assert_int_equal(found.n, 0);
	elf_close(f);
	close(fd);
}

/* What is said of functions is looked at until time is up, wherever it lies: here at odd places, of which none is a multiple of anything. */
static void frames_that_take_too_long_are_given_up(void **state)
{
	enum { RECORDS = 3 * 1024 * 1024, RECORD_BYTES = 0x14, HEAD_BYTES = 0x19 };
	static uint8_t frames[HEAD_BYTES + RECORDS * RECORD_BYTES];
	struct made m = sound(true);
	const uint64_t address = CODE_ADDRESS, nearly_ns = UINT64_C(1980000000);
	struct frame_range range;
	struct elf_file *f;

	(void)state;
	memcpy(frames, m.frames, 0x18);
	put32(frames, HEAD_BYTES - 4);
	for (uint32_t at = HEAD_BYTES; at < sizeof(frames); at += RECORD_BYTES) {
		put32(frames + at, RECORD_BYTES - 4);
		put32(frames + at + 4, at + 4);
		put32(frames + at + 8, 0x1000);
		put32(frames + at + 12, 0x20);
	}
	m.sections[4].sh_offset = sizeof(m);
	m.sections[4].sh_size = sizeof(frames);
	int fd = memfd_create("made", MFD_CLOEXEC);
	assert_int_equal(write(fd, &m, sizeof(m)), (ssize_t)sizeof(m));
	assert_int_equal(write(fd, frames, sizeof(frames)), (ssize_t)sizeof(frames));
	const uint64_t begin_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	assert_int_equal(elf_open(fd, &f), 0);
	assert_int_equal(frames_find(f, &address, 1, &range), 0);
	while (clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin_ns < nearly_ns)
		;
	assert_false(elf_is_late(f));
	assert_int_equal(frames_find(f, &address, 1, &range), -EFBIG);
	elf_close(f);
	close(fd);
}

static size_t look_at(const char *folder, size_t most)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	size_t n = 0;

	while (d && n < most && (e = readdir(d))) {
		struct signature_match found;
		struct elf_file *f;
		char path[512];
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		int fd = e->d_type == DT_REG ? open(path, O_RDONLY | O_CLOEXEC) : -1;
		if (fd >= 0 && elf_open(fd, &f) == 0) {
			assert_int_equal(signatures_find(f, &found), 0);
			if (found.n)
				print_error("%s is taken for %s\n", path, found.library);
			assert_int_equal(found.n, 0);
			elf_close(f);
			n++;
		}
		if (fd >= 0)
			close(fd);
	}
	if (d)
		closedir(d);
	return n;
}

/* What a distribution builds links OpenSSL in as shared, with its symbols: there the functions are called by way of a table. */
static void ordinary_programs_have_none(void **state)
{
	(void)state;
	size_t n = look_at("/usr/bin", FILES_MAX) + look_at("/usr/lib/x86_64-linux-gnu", FILES_MAX) + look_at("/usr/lib/aarch64-linux-gnu", FILES_MAX);
	assert_in_range(n, 50, 3 * FILES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_are_found_by_their_code),
		cmocka_unit_test(what_fits_in_part_is_nothing),
		cmocka_unit_test(a_function_that_nobody_calls_is_not_taken_for_the_one_before),
		cmocka_unit_test(what_leads_nowhere_is_refused),
		cmocka_unit_test(what_takes_too_long_is_given_up),
		cmocka_unit_test(frames_that_take_too_long_are_given_up),
		cmocka_unit_test(ordinary_programs_have_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

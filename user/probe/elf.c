/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/elf.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/hash.h"
#include "lib/map.h"

enum {
	SECTIONS_MAX = 4096,
	SEGMENTS_MAX = 256,
	NAMES_MAX_BYTES = 32 * 1024 * 1024,   /* of a table of symbols that is read; programs with all their debug symbols have some MiB */
	NAMES_READ = 256 * 1024,              /* at a time, while it is looked for a sign among them */
	SYMBOLS_MAX_BYTES = 64 * 1024 * 1024, /* of the table, if a sign is in its names */
	SYMBOLS_READ = 2048,                  /* at a time */
	SIGNS_MAX = 16,
	NAME_MAX_BYTES = 512,
	TIME_MAX_S = 2,
};

#if defined(__x86_64__)
enum { MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { MACHINE = EM_AARCH64 };
#else
enum { MACHINE = EM_NONE }; /* no program is of this machine */
#endif

struct elf_file {
	int fd;
	uint64_t size;
	Elf64_Ehdr head;
	Elf64_Shdr *sections;
	Elf64_Phdr segments[SEGMENTS_MAX];
	unsigned nsegments;
	uint64_t late_ns; /* of this thread's CPU time */
};

bool elf_read(const struct elf_file *f, void *to, uint64_t len, uint64_t at)
{
	if (at > f->size || len > f->size - at)
		return false;
	for (uint64_t done = 0; done < len;) {
		ssize_t n = pread(f->fd, (uint8_t *)to + done, len - done, (off_t)(at + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false; /* it became shorter meanwhile */
		done += (uint64_t)n;
	}
	return true;
}

bool elf_is_late(const struct elf_file *f) { return clock_ns(CLOCK_THREAD_CPUTIME_ID) > f->late_ns; }

static int elf_read_head(struct elf_file *f)
{
	struct stat st;

	if (fstat(f->fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size < 0)
		return -ENOEXEC;
	f->size = (uint64_t)st.st_size;
	const Elf64_Ehdr *h = &f->head;
	if (!elf_read(f, &f->head, sizeof(f->head), 0) || memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 || h->e_ident[EI_CLASS] != ELFCLASS64 ||
	    h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_machine != MACHINE || (h->e_type != ET_EXEC && h->e_type != ET_DYN))
		return -ENOEXEC;
	if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_shentsize != sizeof(Elf64_Shdr) || h->e_phnum == 0 || h->e_phnum > SEGMENTS_MAX || h->e_shnum > SECTIONS_MAX)
		return -ENOEXEC;
	f->nsegments = h->e_phnum;
	return elf_read(f, f->segments, f->nsegments * sizeof(f->segments[0]), h->e_phoff) ? 0 : -ENOEXEC;
}

/* Symbols have addresses; a probe wants a place in the file. 0 = in no executable segment. */
uint64_t elf_offset(const struct elf_file *f, uint64_t address)
{
	for (unsigned i = 0; i < f->nsegments; i++) {
		const Elf64_Phdr *p = &f->segments[i];
		if (p->p_type == PT_LOAD && p->p_flags & PF_X && address >= p->p_vaddr && address - p->p_vaddr < p->p_filesz && p->p_offset < f->size &&
		    address - p->p_vaddr < f->size - p->p_offset)
			return p->p_offset + (address - p->p_vaddr);
	}
	return 0;
}

/* Rust's names ("_ZN", RFC 2603 has others) end with 17h, a hash and E; what a compiler did at last may stand behind it. */
static size_t stem_bytes(const char *name)
{
	enum { HASH_BYTES = 20 };
	size_t len = strlen(name);

	if (strncmp(name, "_ZN", 3) != 0)
		return len;
	const char *more = strstr(name, ".llvm.");
	size_t ends = more ? (size_t)(more - name) : len;
	return ends > HASH_BYTES && name[ends - 1] == 'E' && memcmp(name + ends - HASH_BYTES, "17h", 3) == 0 ? ends - HASH_BYTES : len;
}

static bool has_any(const char *names, uint64_t len, const char *const *signs)
{
	for (; *signs; signs++)
		if (memmem(names, len, *signs, strlen(*signs) + (strncmp(*signs, "_ZN", 3) != 0)))
			return true;
	return false;
}

/* Most files have none, and are not worth the memory for all their names. 1: it is there; 0: it is not; -EFBIG: nobody knows, it would take too long. */
static int has_sign(const struct elf_file *f, const Elf64_Shdr *strings, const char *const *signs)
{
	char *part = malloc(NAMES_READ);
	int found = part ? 0 : -ENOMEM;

	for (uint64_t at = 0; found == 0 && at < strings->sh_size; at += NAMES_READ - NAME_MAX_BYTES) {
		uint64_t left = strings->sh_size - at, len = left < NAMES_READ ? left : NAMES_READ;
		if (strings->sh_offset > f->size || !elf_read(f, part, len, strings->sh_offset + at))
			break;
		found = has_any(part, len, signs);
		if (!found && elf_is_late(f))
			found = -EFBIG;
	}
	free(part);
	return found;
}

static uint64_t name_key(const char *name) { return hash_bytes(name, stem_bytes(name), 0); }

static void elf_take(const struct elf_file *f, const Elf64_Sym *symbols, size_t count, const char *names, uint64_t len, const struct map *wanted)
{
	for (size_t i = 0; i < count; i++) {
		const Elf64_Sym *s = &symbols[i];
		if (ELF64_ST_TYPE(s->st_info) != STT_FUNC || s->st_shndx == SHN_UNDEF || s->st_name >= len)
			continue;
		const char *name = names + s->st_name;
		if (strnlen(name, NAME_MAX_BYTES) == NAME_MAX_BYTES) /* no function that is sought has so long a one */
			continue;
		struct elf_function *w = map_get(wanted, name_key(name));
		if (w && !w->offset && strncmp(name, w->name, stem_bytes(name)) == 0 && !w->name[stem_bytes(name)])
			w->offset = elf_offset(f, s->st_value);
	}
}

static int elf_take_all(const struct elf_file *f, const Elf64_Shdr *table, const char *names, uint64_t len, const struct map *wanted)
{
	uint64_t all = table->sh_size / sizeof(Elf64_Sym);
	Elf64_Sym *symbols = malloc(SYMBOLS_READ * sizeof(*symbols));
	int err = symbols ? 0 : -ENOMEM;

	for (uint64_t i = 0; i < all && !err;) {
		uint64_t count = all - i < SYMBOLS_READ ? all - i : SYMBOLS_READ;
		if (table->sh_offset > f->size || !elf_read(f, symbols, count * sizeof(*symbols), table->sh_offset + i * sizeof(*symbols)))
			break;
		elf_take(f, symbols, count, names, len, wanted);
		i += count;
		err = elf_is_late(f) ? -EFBIG : 0;
	}
	free(symbols);
	return err;
}

static int elf_scan(const struct elf_file *f, const Elf64_Shdr *table, const char *const *signs, const struct map *wanted)
{
	if (table->sh_link >= f->head.e_shnum || table->sh_entsize != sizeof(Elf64_Sym))
		return 0;
	const Elf64_Shdr *strings = &f->sections[table->sh_link];
	if (strings->sh_type != SHT_STRTAB || strings->sh_size == 0 || strings->sh_size > f->size)
		return 0;
	int err = has_sign(f, strings, signs);
	if (err <= 0)
		return err;
	if (strings->sh_size > NAMES_MAX_BYTES || table->sh_size > SYMBOLS_MAX_BYTES)
		return -EFBIG;
	char *names = malloc(strings->sh_size + 1);
	if (!names)
		return -ENOMEM;
	err = 0;
	if (elf_read(f, names, strings->sh_size, strings->sh_offset)) {
		names[strings->sh_size] = 0;
		err = elf_take_all(f, table, names, strings->sh_size, wanted);
	}
	free(names);
	return err;
}

static size_t found_of(const struct elf_function *functions, size_t n)
{
	size_t found = 0;

	for (size_t k = 0; k < n; k++)
		found += functions[k].offset != 0;
	return found;
}

/* The signs of what was not found yet. */
static size_t signs_left(const char *const *signs, const struct map *wanted, const char **ret_left)
{
	size_t n = 0;

	for (; *signs; signs++) {
		const struct elf_function *w = map_get(wanted, name_key(*signs));
		if ((!w || !w->offset) && n < SIGNS_MAX)
			ret_left[n++] = *signs;
	}
	ret_left[n] = NULL;
	return n;
}

static int elf_search(const struct elf_file *f, const char *const *signs, const struct map *wanted)
{
	static const uint32_t tables[] = { SHT_DYNSYM, SHT_SYMTAB }; /* what is exported is short, and mostly enough */
	const char *left[SIGNS_MAX + 1];
	int err = 0;

	for (size_t t = 0; t < 2 && err != -ENOMEM && signs_left(signs, wanted, left); t++) {
		unsigned i = 0;
		while (i < f->head.e_shnum && f->sections[i].sh_type != tables[t])
			i++;
		int bad = i < f->head.e_shnum ? elf_scan(f, &f->sections[i], left, wanted) : 0; /* there is one of each */
		err = bad ? bad : err;
	}
	return err;
}

int elf_open(int fd, struct elf_file **ret_file)
{
	struct elf_file *f = malloc(sizeof(*f));

	if (!f)
		return -ENOMEM;
	*f = (struct elf_file){ .fd = fd, .late_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) + TIME_MAX_S * 1000000000ull };
	int err = elf_read_head(f);
	size_t bytes = (size_t)f->head.e_shnum * sizeof(*f->sections);
	if (!err && bytes) { /* without sections nobody knows where the symbols are */
		f->sections = malloc(bytes);
		err = !f->sections ? -ENOMEM : elf_read(f, f->sections, bytes, f->head.e_shoff) ? 0 : -ENOEXEC;
	}
	if (err) {
		elf_close(f);
		return err;
	}
	*ret_file = f;
	return 0;
}

void elf_close(struct elf_file *f)
{
	if (!f)
		return;
	free(f->sections);
	free(f);
}

bool elf_is_fixed(const struct elf_file *f) { return f->head.e_type == ET_EXEC; }

bool elf_section(const struct elf_file *f, const char *name, struct elf_section *ret)
{
	char there[64];
	size_t len = strlen(name) + 1;

	if (f->head.e_shstrndx >= f->head.e_shnum || len > sizeof(there))
		return false;
	const Elf64_Shdr *names = &f->sections[f->head.e_shstrndx];
	for (unsigned i = 0; i < f->head.e_shnum; i++) {
		const Elf64_Shdr *s = &f->sections[i];
		if ((s->sh_type != SHT_PROGBITS && s->sh_type != SHT_RELA && s->sh_type != SHT_X86_64_UNWIND) || s->sh_name > names->sh_size || names->sh_offset > f->size || !elf_read(f, there, len, names->sh_offset + s->sh_name) || memcmp(there, name, len) != 0)
			continue;
		*ret = (struct elf_section){ .address = s->sh_addr, .offset = s->sh_offset, .size = s->sh_size };
		return s->sh_offset <= f->size && s->sh_size <= f->size - s->sh_offset;
	}
	return false;
}

int elf_find(const struct elf_file *f, const char *const *signs, struct elf_function *functions, size_t n)
{
	struct map wanted;
	int err = 0;

	map_init(&wanted, n);
	for (size_t k = 0; k < n && !err; k++)
		err = map_put(&wanted, name_key(functions[k].name), &functions[k]);
	if (!err)
		err = elf_search(f, signs, &wanted);
	map_done(&wanted);
	int found = (int)found_of(functions, n);
	return err == -EFBIG && found ? found : err ? err : found; /* what one table has given does not go by the other being too large */
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/go.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/slice.h"
#include "probe/window.h"

enum {
	MAGIC_1_18 = (int)0xfffffff0, MAGIC_1_20 = (int)0xfffffff1,
	HEAD_BYTES = 72,
	NAMES_READ = 1024 * 1024, /* at a time */
	SOUGHT_MAX = 128,
	FUNCTIONS_MAX = 4 * 1024 * 1024,
	FUNCTION_BYTES = 20, /* of one's description: as much as is read */
	STEPS_MAX_BYTES = 64 * 1024, /* of what is said of its stack */
};

struct table {
	const struct elf_file *elf;
	struct elf_section section;
	uint64_t nfunctions, text;     /* the address that functions are counted from */
	uint64_t names, names_end, steps, functions; /* where they lie in the table */
	uint8_t quantum;
	struct window descriptions; /* they lie in the order of the functions, nearly */
};

static bool table_read(const struct table *t, void *to, uint64_t len, uint64_t at)
{
	return at <= t->section.size && len <= t->section.size - at && elf_read(t->elf, to, len, t->section.offset + at);
}

/* What the loader writes at an address of a program that may lie anywhere; 0: nothing. */
static uint64_t relocated(const struct table *t, uint64_t address)
{
	enum { PART = 1024, PARTS_MAX = 4096 };
	Elf64_Rela list[PART];
	struct elf_section s;
	uint64_t n = elf_section(t->elf, ".rela.dyn", &s) ? s.size / sizeof(list[0]) : 0;

	for (uint64_t i = 0, part = 0; i < n && part < PARTS_MAX; i += PART, part++) {
		uint64_t count = n - i < PART ? n - i : PART;
		if (!elf_read(t->elf, list, count * sizeof(list[0]), s.offset + i * sizeof(list[0])))
			return 0;
		for (uint64_t k = 0; k < count; k++)
			if (list[k].r_offset == address)
				return (uint64_t)list[k].r_addend;
	}
	return 0;
}

/* Since 1.26 the table does not say where functions begin, but a section does: moduledata.text of src/runtime/symtab.go. */
static int table_text(struct table *t)
{
	enum { TEXT_AT = 22 * 8 };
	struct elf_section module;
	uint8_t there[8];

	if (!elf_section(t->elf, ".go.module", &module) || module.size < TEXT_AT + sizeof(there) || !elf_read(t->elf, there, sizeof(there), module.offset + TEXT_AT))
		return -ENOEXEC;
	t->text = load_le64(there);
	if (!t->text)
		t->text = relocated(t, module.address + TEXT_AT);
	return t->text ? 0 : -ENOEXEC;
}

static int table_head(struct table *t)
{
	uint8_t head[HEAD_BYTES];

	if (!table_read(t, head, sizeof(head), 0))
		return -ENOEXEC;
	uint32_t magic = load_le32(head);
	if ((magic != (uint32_t)MAGIC_1_18 && magic != (uint32_t)MAGIC_1_20) || head[7] != sizeof(uint64_t) || head[6] == 0)
		return -ENOEXEC;
	t->quantum = head[6];
	t->nfunctions = load_le64(head + 8);
	t->text = load_le64(head + 24);
	t->names = load_le64(head + 32);
	t->names_end = load_le64(head + 40);
	t->steps = load_le64(head + 56);
	t->functions = load_le64(head + 64);
	if (t->nfunctions == 0 || t->names > t->names_end || t->names_end > t->section.size || t->steps > t->section.size || t->functions > t->section.size)
		return -ENOEXEC;
	if (t->nfunctions > FUNCTIONS_MAX)
		return -EFBIG;
	return t->text ? 0 : table_text(t);
}

/* Where each name lies among the names; UINT64_MAX: nowhere. */
static int table_names(const struct table *t, const struct go_function *functions, size_t n, uint64_t *ret_at)
{
	uint64_t all = t->names_end - t->names;
	uint8_t *part = malloc(NAMES_READ);
	int err = part ? 0 : -ENOMEM;

	for (size_t i = 0; i < n; i++)
		ret_at[i] = UINT64_MAX;
	for (uint64_t at = 0; at < all && !err; at += NAMES_READ - SOUGHT_MAX) {
		uint64_t len = all - at < NAMES_READ ? all - at : NAMES_READ;
		if (!table_read(t, part, len, t->names + at))
			err = -ENOEXEC;
		else if (elf_is_late(t->elf))
			err = -EFBIG;
		for (size_t i = 0; i < n && !err; i++) {
			/* With the NUL before it: else it may be the end of another. */
			size_t bytes = strlen(functions[i].name) + 2;
			char sought[SOUGHT_MAX] = "";
			memcpy(sought + 1, functions[i].name, bytes - 1);
			const uint8_t *there = ret_at[i] == UINT64_MAX ? memmem(part, len, sought, bytes) : NULL;
			if (there)
				ret_at[i] = at + (uint64_t)(there + 1 - part);
		}
	}
	free(part);
	return err;
}

/* A number of 7 bits a byte. False: the table ends. */
static bool next_number(const uint8_t *p, size_t len, size_t *at, uint32_t *ret)
{
	uint32_t value = 0;

	for (unsigned shift = 0; *at < len && shift < 32; shift += 7) {
		uint8_t byte = p[(*at)++];
		value |= (uint32_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = value;
			return true;
		}
	}
	return false;
}

static bool returns_here(const struct table *t, uint64_t offset)
{
#if defined(__x86_64__)
	static const uint8_t instruction[] = { 0xc3 };
#else
	static const uint8_t instruction[] = { 0xc0, 0x03, 0x5f, 0xd6 };
#endif
	uint8_t there[sizeof(instruction)];

	return elf_read(t->elf, there, sizeof(there), offset) && memcmp(there, instruction, sizeof(there)) == 0;
}

/* "By so much the stack grew, for so many bytes of instructions", over and over: src/runtime/symtab.go, step(). */
static int function_returns(const struct table *t, struct go_function *f, uint64_t steps_at)
{
	uint64_t at_table = t->steps + steps_at;
	size_t len = at_table < t->section.size ? t->section.size - at_table : 0, at = 0;
	uint8_t *steps = malloc(STEPS_MAX_BYTES);
	uint32_t delta, bytes;
	int64_t grown = -1;
	uint64_t pc = 0;

	if (!steps)
		return -ENOMEM;
	len = len < STEPS_MAX_BYTES ? len : STEPS_MAX_BYTES;
	int err = table_read(t, steps, len, at_table) ? 0 : -ENOEXEC;
	while (!err && next_number(steps, len, &at, &delta) && (delta || pc == 0) && next_number(steps, len, &at, &bytes)) {
		grown += delta & 1 ? -(int64_t)(delta >> 1) - 1 : (int64_t)(delta >> 1);
		if (grown == 0 && pc && returns_here(t, f->offset + pc)) {
			if (f->nreturns == GO_RETURNS_MAX)
				err = -EFBIG;
			else
				f->returns[f->nreturns++] = f->offset + pc;
		}
		pc += (uint64_t)bytes * t->quantum;
	}
	free(steps);
	if (!err && !f->nreturns)
		err = -ENOEXEC; /* not what lies there */
	return err;
}

static int function_take(const struct table *t, struct go_function *f, const uint8_t *description)
{
	f->offset = elf_offset(t->elf, t->text + load_le32(description));
	return f->offset ? function_returns(t, f, load_le32(description + 16)) : -ENOEXEC;
}

static int table_search(struct table *t, struct go_function *functions, const uint64_t *names, size_t n)
{
	enum { PART = 1024 };
	uint8_t list[PART * 8];
	uint64_t len;
	int found = 0;

	for (uint64_t i = 0; i < t->nfunctions && found < (int)n; i += PART) {
		uint64_t count = t->nfunctions - i < PART ? t->nfunctions - i : PART;
		if (!table_read(t, list, count * 8, t->functions + i * 8))
			return -ENOEXEC;
		for (uint64_t k = 0; k < count; k++) {
			const uint8_t *d = window_at(&t->descriptions, t->functions + load_le32(list + k * 8 + 4), FUNCTION_BYTES, &len);
			if (!d)
				return elf_is_late(t->elf) ? -EFBIG : -ENOEXEC;
			for (size_t j = 0; j < n; j++) {
				if (load_le32(d + 4) != names[j] || functions[j].offset)
					continue;
				int err = function_take(t, &functions[j], d);
				if (err)
					return err;
				found++;
			}
		}
	}
	return found;
}

int go_find(const struct elf_file *f, struct go_function *functions, size_t n)
{
	struct table t = { .elf = f };
	uint64_t *names = calloc(n, sizeof(*names));
	int err = names ? 0 : -ENOMEM;

	if (!err && !elf_section(f, ".gopclntab", &t.section) && !elf_section(f, ".data.rel.ro.gopclntab", &t.section))
		goto out; /* no Go program */
	if (!err)
		err = table_head(&t);
	if (!err)
		err = table_names(&t, functions, n, names);
	if (err || names[0] == UINT64_MAX)
		goto out;
	err = window_open(&t.descriptions, f, &t.section);
	if (!err)
		err = table_search(&t, functions, names, n);
out:
	window_close(&t.descriptions);
	free(names);
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/code.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/slice.h"
#include "probe/frames.h"
#include "probe/window.h"

#if defined(__x86_64__)
enum { HERE = true };
#else
enum { HERE = false };
#endif

enum { CALL = 0xe8, CALL_BYTES = 5, LEA = 0x8d, LEA_BYTES = 7, MOV = 0xb8, MOV_BYTES = 5, FILLER = 0xcc };
enum { ALIGNMENT = 16 }; /* of functions, where nothing but calls tells of them */
enum { STEPS_MAX = 32 * 1024 * 1024 }; /* on a file: code has a tenth of as many bytes that look like what is sought, but files are anybody's */

/* Looks at a part of the code, of whose instructions those count that begin before `count`. false: no further. */
typedef bool code_fn(void *ctx, const uint8_t *code, size_t count, uint64_t address);

static int code_scan(const struct elf_file *f, code_fn *fn, void *ctx)
{
	struct elf_section text;
	struct window w;
	uint64_t have;

	if (!HERE || !elf_section(f, ".text", &text))
		return 0;
	if (text.size > CODE_TEXT_MAX_BYTES)
		return -EFBIG;
	int err = window_open(&w, f, &text);
	for (uint64_t at = 0; !err && at + LEA_BYTES <= text.size;) {
		const uint8_t *p = window_at(&w, at, LEA_BYTES, &have);
		if (!p) {
			err = -ENOEXEC;
			break;
		}
		if (!fn(ctx, p, have - LEA_BYTES + 1, text.address + at) || elf_is_late(f))
			err = -EFBIG;
		at += have - LEA_BYTES + 1;
	}
	window_close(&w);
	return err;
}

static uint64_t relative(const uint8_t *p, uint64_t behind) { return behind + (uint64_t)(int64_t)(int32_t)load_le32(p); }

/* --- what loads an address --- */

struct references {
	const uint64_t *addresses;
	size_t n;
	bool fixed; /* instructions may hold the address itself */
	struct code_reference *list;
	size_t max, found;
	uint32_t steps;
};

static void reference_take(struct references *r, uint64_t at, uint64_t address)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->addresses[i] == address) {
			if (r->found < r->max)
				r->list[r->found] = (struct code_reference){ .at = at, .what = i };
			r->found++;
			return;
		}
}

/* lea r64, [rip + disp32]: REX.W with or without R, and a ModRM byte of mod 00 and rm 101. */
static void leas_take(struct references *r, const uint8_t *code, size_t count, uint64_t address)
{
	const uint8_t *end = code + count + 1, *p = code + 1;

	while (p < end && (p = memchr(p, LEA, (size_t)(end - p)))) {
		const uint8_t *begin = p - 1;
		r->steps++;
		if ((begin[0] & 0xfb) == 0x48 && (begin[2] & 0xc7) == 0x05) {
			uint64_t at = address + (uint64_t)(begin - code);
			reference_take(r, at, relative(begin + 3, at + LEA_BYTES));
		}
		p++;
	}
}

/* mov r32, imm32 */
static void movs_take(struct references *r, const uint8_t *code, size_t count, uint64_t address)
{
	for (size_t k = 0; k < r->n; k++) {
		uint64_t value = r->addresses[k];
		if (value > UINT32_MAX)
			continue;
		const uint8_t needle[4] = { (uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24) };
		const uint8_t *p = code + 1, *end = code + count + 4;
		while (p < end && (p = memmem(p, (size_t)(end - p), needle, sizeof(needle)))) {
			r->steps++;
			if ((p[-1] & 0xf8) == MOV)
				reference_take(r, address + (uint64_t)(p - 1 - code), value);
			p++;
		}
	}
}

static bool references_take(void *ctx, const uint8_t *code, size_t count, uint64_t address)
{
	struct references *r = ctx;

	leas_take(r, code, count, address);
	if (r->fixed)
		movs_take(r, code, count, address);
	return r->found <= r->max && r->steps <= STEPS_MAX;
}

static int by_place(const void *a, const void *b)
{
	const struct code_reference *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

int code_references(const struct elf_file *f, const uint64_t *addresses, size_t n, struct code_reference *references, size_t max, size_t *ret_n)
{
	struct references r = { .addresses = addresses, .n = n, .fixed = elf_is_fixed(f), .list = references, .max = max };
	int err = code_scan(f, references_take, &r);

	if (!err && r.found > max)
		err = -EFBIG;
	if (err)
		return err;
	qsort(references, r.found, sizeof(*references), by_place);
	*ret_n = r.found;
	return 0;
}

/* --- functions --- */

struct callers {
	const uint64_t *addresses;
	size_t n;
	struct code_function *functions;
	bool by_calls;     /* where they begin is not known but by that they are called */
	uint64_t low, high; /* what is called there may be one of them */
	uint32_t steps;
};

/* The first of the addresses that does not lie before this one. */
static size_t first_from(const uint64_t *addresses, size_t n, uint64_t address)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (addresses[middle] < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* A function is called there: the nearest one before an address may be what that lies in. */
static void called_take(struct callers *c, uint64_t to)
{
	for (size_t i = first_from(c->addresses, c->n, to); i < c->n && c->addresses[i] - to < CODE_FUNCTION_MAX_BYTES; i++) {
		struct code_function *fn = &c->functions[i];
		c->steps++;
		if (!c->by_calls)
			fn->called |= fn->begin == to;
		else if (to % ALIGNMENT == 0 && to > fn->begin)
			*fn = (struct code_function){ .begin = to, .called = true };
	}
}

static bool calls_take(void *ctx, const uint8_t *code, size_t count, uint64_t address)
{
	struct callers *c = ctx;
	const uint8_t *end = code + count, *p = code;

	while (p < end && c->steps <= STEPS_MAX && (p = memchr(p, CALL, (size_t)(end - p)))) {
		c->steps++;
		uint64_t to = relative(p + 1, address + (uint64_t)(p - code) + CALL_BYTES);
		if (to >= c->low && to <= c->high)
			called_take(c, to);
		p++;
	}
	return c->steps <= STEPS_MAX;
}

/*
 * Where nothing says where functions end: between them there are bytes that nobody runs. Without them before its beginning it is none that was called; with them between its beginning and the address that one lies in another.
 */
static void function_check(const struct elf_file *f, const struct elf_section *text, uint64_t address, struct code_function *fn)
{
	uint8_t code[CODE_FUNCTION_MAX_BYTES];
	struct code_function from = { .begin = fn->begin - 1, .end = text->address + text->size };
	size_t len = fn->begin ? code_read(f, &from, code) : 0, inside = (size_t)(address - from.begin), at = 1 + ALIGNMENT;

	if (!len || code[0] != FILLER || inside >= len) {
		*fn = (struct code_function){ 0 };
		return;
	}
	while (at < len && code[at - 1] != FILLER)
		at += ALIGNMENT;
	if (at <= inside)
		*fn = (struct code_function){ 0 };
	else
		fn->end = from.begin + (at < len ? at : len);
}

static int functions_by_frames(const struct elf_file *f, const uint64_t *addresses, size_t n, struct code_function *functions)
{
	struct frame_range *ranges = calloc(n, sizeof(*ranges));
	int err = ranges ? frames_find(f, addresses, n, ranges) : -ENOMEM;

	for (size_t i = 0; i < n && !err; i++)
		functions[i] = (struct code_function){ .begin = ranges[i].begin, .end = ranges[i].end };
	free(ranges);
	return err;
}

int code_functions(const struct elf_file *f, const uint64_t *addresses, size_t n, struct code_function *ret_functions)
{
	struct callers c = { .addresses = addresses, .n = n, .functions = ret_functions };

	memset(ret_functions, 0, n * sizeof(*ret_functions));
	if (n == 0)
		return 0;
	c.low = addresses[0] < CODE_FUNCTION_MAX_BYTES ? 0 : addresses[0] - CODE_FUNCTION_MAX_BYTES;
	c.high = addresses[n - 1];
	int err = functions_by_frames(f, addresses, n, ret_functions);
	if (err == -ENOENT) {
		c.by_calls = true;
		err = 0;
	}
	if (!err)
		err = code_scan(f, calls_take, &c);
	struct elf_section text;
	if (!err && c.by_calls && elf_section(f, ".text", &text))
		for (size_t i = 0; i < n; i++)
			function_check(f, &text, addresses[i], &ret_functions[i]);
	return err;
}

size_t code_read(const struct elf_file *f, const struct code_function *function, uint8_t *to)
{
	uint64_t offset = elf_offset(f, function->begin), len = function->end - function->begin;

	len = len < CODE_FUNCTION_MAX_BYTES ? len : CODE_FUNCTION_MAX_BYTES;
	return offset && function->end > function->begin && elf_read(f, to, len, offset) ? (size_t)len : 0;
}

bool code_has_number(const uint8_t *code, size_t len, int argument, uint32_t number)
{
	static const uint8_t opcodes[] = { 0, 0xbf, 0xbe, 0xba };

	for (size_t i = 0; i + MOV_BYTES <= len; i++)
		if (code[i] == opcodes[argument] && load_le32(code + i + 1) == number)
			return true;
	return false;
}

size_t code_calls(const struct elf_file *f, const struct code_function *function, const uint8_t *code, size_t len, uint64_t to)
{
	size_t n = 0;

	for (size_t i = 0; i + CALL_BYTES <= len; i++) {
		if (code[i] != CALL)
			continue;
		uint64_t there = relative(code + i + 1, function->begin + i + CALL_BYTES);
		n += to ? there == to : elf_offset(f, there) != 0;
	}
	return n;
}

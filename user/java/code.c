/* SPDX-License-Identifier: Apache-2.0 */
#include "java/code.h"

#include <errno.h>

enum { OP_TABLESWITCH = 0xaa, OP_LOOKUPSWITCH = 0xab, OP_WIDE = 0xc4, OP_IINC = 0x84, OP_GOTO_W = 0xc8, OP_JSR_W = 0xc9 };

/* Bytes of each instruction, with its operands; '0': it is none, or its length has to be looked for. */
static const char lengths[] =
	"1111111111111111" "2323322222111111" /* 00: constants, loads */
	"1111111111111111" "1111112222211111" /* 20: loads, stores */
	"1111111111111111" "1111111111111111" /* 40: stores, stack */
	"1111111111111111" "1111111111111111" /* 60: arithmetic */
	"1111311111111111" "1111111113333333" /* 80: iinc, conversions, comparisons, branches */
	"3333333332001111" "1133333335532311" /* a0: branches, switches, returns, fields, calls */
	"3311043355000000" "0000000000000000"
	"0000000000000000" "0000000000000000";

/* Where everything lies, before and after. */
struct layout {
	const uint8_t *code;
	size_t len;
	uint32_t *start; /* of each instruction, with what stands before it now: CODE_BYTES_MAX = none begins there; one more, for the end */
	uint32_t *place; /* of the instruction itself */
};
enum { NOWHERE = CODE_BYTES_MAX + 1 };

static int32_t signed_at(const uint8_t *p, size_t bytes)
{
	uint32_t v = 0;

	for (size_t i = 0; i < bytes; i++)
		v = v << 8 | p[i];
	return bytes == 2 ? (int16_t)v : (int32_t)v;
}

static bool is_branch(uint8_t op) { return (op >= 0x99 && op <= 0xa8) || op == 0xc6 || op == 0xc7; }
static bool is_wide_branch(uint8_t op) { return op == OP_GOTO_W || op == OP_JSR_W; }
static bool is_switch(uint8_t op) { return op == OP_TABLESWITCH || op == OP_LOOKUPSWITCH; }
static size_t padding(size_t at) { return 3 - (at & 3); }

/* Words behind the padding: default, then low, high and targets, or their number and pairs. 0: it makes no sense. */
static size_t switch_words(const uint8_t *code, size_t len, size_t at)
{
	size_t p = at + 1 + padding(at);

	if (p + 12 > len)
		return 0;
	int64_t first = signed_at(code + p + 4, 4), second = signed_at(code + p + 8, 4);
	int64_t words = code[at] == OP_TABLESWITCH ? 3 + second - first + 1 : 2 + 2 * first;
	return words >= 2 && words <= CODE_BYTES_MAX / 4 && p + 4 * (size_t)words <= len ? (size_t)words : 0;
}

/* 0: there is none. */
static size_t instruction_len(const uint8_t *code, size_t len, size_t at)
{
	uint8_t op = code[at];
	size_t n = (size_t)(lengths[op] - '0');

	if (op == OP_WIDE)
		n = at + 1 < len && code[at + 1] == OP_IINC ? 6 : 4;
	if (is_switch(op)) {
		size_t words = switch_words(code, len, at);
		n = words ? 1 + padding(at) + 4 * words : 0;
	}
	return n <= len - at ? n : 0;
}

/* Does it give a local variable another value? */
static bool stores(const uint8_t *code, size_t at, uint32_t kept)
{
	uint8_t op = code[at];
	unsigned local = 32;

	if (op == OP_WIDE)
		return true; /* of a method of so many variables nothing is known */
	if ((op >= 0x36 && op <= 0x3a) || op == OP_IINC)
		local = code[at + 1];
	else if (op >= 0x3b && op <= 0x4e)
		local = (op - 0x3bu) & 3;
	return local < 32 && (kept >> local & 1);
}

static int layout_make(struct layout *l, const struct code_change *c)
{
	size_t to = 0;

	for (size_t i = 0; i <= l->len; i++)
		l->start[i] = NOWHERE;
	for (size_t at = 0; at < l->len;) {
		size_t n = instruction_len(l->code, l->len, at);
		if (!n)
			return -EINVAL;
		if (stores(l->code, at, c->keep) || (c->straight && (is_branch(l->code[at]) || is_wide_branch(l->code[at]) || is_switch(l->code[at]))))
			return -ENOENT;
		const struct code_insert *in = c->insert(c->ctx, l->code, at);
		l->start[at] = (uint32_t)to;
		to += in ? in->len : 0;
		l->place[at] = (uint32_t)to;
		to += is_switch(l->code[at]) ? n - padding(at) + padding(to) : n;
		at += n;
		if (to >= CODE_BYTES_MAX)
			return -EFBIG;
	}
	l->start[l->len] = (uint32_t)to;
	return 0;
}

/* Where what lay there lies now; NOWHERE: no instruction begins there. */
static uint32_t moved(const struct layout *l, int64_t at) { return at >= 0 && at <= (int64_t)l->len ? l->start[at] : NOWHERE; }

static bool write_target(const struct layout *l, size_t at, int32_t delta, size_t bytes, struct writer *to)
{
	uint32_t target = moved(l, (int64_t)at + delta);
	int32_t now = (int32_t)target - (int32_t)l->place[at];

	if (target == NOWHERE || (bytes == 2 && (now < INT16_MIN || now > INT16_MAX)))
		return false;
	write_number(to, (uint32_t)now, bytes);
	return true;
}

static bool write_switch(const struct layout *l, size_t at, struct writer *to)
{
	size_t words = switch_words(l->code, l->len, at);
	const uint8_t *p = l->code + at + 1 + padding(at);
	bool table = l->code[at] == OP_TABLESWITCH, fine = true;

	write_u1(to, l->code[at]);
	for (size_t i = padding(l->place[at]); i; i--)
		write_u1(to, 0);
	for (size_t i = 0; i < words && fine; i++) {
		bool target = i == 0 || (table ? i >= 3 : i >= 2 && i % 2);
		if (target)
			fine = write_target(l, at, signed_at(p + 4 * i, 4), 4, to);
		else
			write_bytes(to, p + 4 * i, 4);
	}
	return fine;
}

static int write_code(const struct layout *l, const struct code_change *c, struct writer *to)
{
	for (size_t at = 0; at < l->len;) {
		size_t n = instruction_len(l->code, l->len, at);
		uint8_t op = l->code[at];
		const struct code_insert *in = c->insert(c->ctx, l->code, at);
		bool fine = true;
		if (in)
			write_bytes(to, in->bytes, in->len);
		if (is_switch(op)) {
			fine = write_switch(l, at, to);
		} else if (is_branch(op) || is_wide_branch(op)) {
			write_u1(to, op);
			fine = write_target(l, at, signed_at(l->code + at + 1, n - 1), n - 1, to);
		} else {
			write_bytes(to, l->code + at, n);
		}
		if (!fine)
			return -EINVAL;
		at += n;
	}
	return 0;
}

/* Numbers that say where something lies. */
static bool copy_place(const struct layout *l, struct reader *from, struct writer *to)
{
	uint32_t place = moved(l, read_u2(from));

	write_u2(to, place);
	return place != NOWHERE;
}

static bool copy_handlers(const struct layout *l, struct reader *from, struct writer *to)
{
	uint16_t n = read_u2(from);
	bool fine = true;

	write_u2(to, n);
	for (; n && fine && !from->bad; n--) {
		for (int i = 0; i < 3; i++)
			fine &= copy_place(l, from, to);
		write_u2(to, read_u2(from)); /* the class of what is caught */
	}
	return fine;
}

static bool copy_line_numbers(const struct layout *l, struct reader *from, struct writer *to)
{
	uint16_t n = read_u2(from);
	bool fine = true;

	write_u2(to, n);
	for (; n && fine && !from->bad; n--) {
		fine = copy_place(l, from, to);
		write_u2(to, read_u2(from));
	}
	return fine;
}

/* --- frames: JVMS 4.7.4 --- */

enum { TYPE_OBJECT = 7, TYPE_UNINITIALIZED = 8 };

static bool copy_types(const struct layout *l, size_t n, struct reader *from, struct writer *to)
{
	bool fine = true;

	for (; n && fine && !from->bad; n--) {
		uint8_t type = read_u1(from);
		write_u1(to, type);
		if (type == TYPE_OBJECT)
			write_u2(to, read_u2(from));
		else if (type == TYPE_UNINITIALIZED) /* since this instruction */
			fine = copy_place(l, from, to);
	}
	return fine;
}

static bool copy_frame(const struct layout *l, struct reader *from, struct writer *to, int64_t *was, int64_t *is)
{
	uint8_t tag = read_u1(from);
	uint16_t delta = tag < 64 ? tag : tag < 128 ? tag - 64 : read_u2(from);

	if (tag >= 128 && tag < 247)
		return false; /* reserved */
	*was += delta + 1;
	uint32_t now = moved(l, *was);
	if (now == NOWHERE || (int64_t)now <= *is)
		return false;
	uint32_t step = (uint32_t)((int64_t)now - *is - 1);
	*is = now;
	bool single = tag < 128;
	size_t values = tag >= 64 && tag <= 247 ? 1 : tag > 251 && tag < 255 ? tag - 251u : 0;
	if (single && step < 64) {
		write_u1(to, step + (tag >= 64 ? 64 : 0));
	} else {
		write_u1(to, !single ? tag : tag < 64 ? 251 : 247);
		write_u2(to, step);
	}
	if (tag < 255)
		return copy_types(l, values, from, to);
	bool fine = true;
	for (int i = 0; i < 2 && fine; i++) { /* local variables, stack */
		uint16_t n = read_u2(from);
		write_u2(to, n);
		fine = copy_types(l, n, from, to);
	}
	return fine;
}

static bool copy_frames(const struct layout *l, struct reader *from, struct writer *to)
{
	uint16_t n = read_u2(from);
	int64_t was = -1, is = -1;
	bool fine = true;

	write_u2(to, n);
	for (; n && fine && !from->bad; n--)
		fine = copy_frame(l, from, to, &was, &is);
	return fine;
}

/* --- the whole --- */

static int copy_attributes(const struct layout *l, const struct code_change *c, struct reader *from, struct writer *to)
{
	uint16_t n = read_u2(from), kept = 0;
	size_t count_at = to->len;

	write_u2(to, 0);
	for (; n && !from->bad && !to->bad; n--) {
		uint16_t name = read_u2(from);
		struct reader body = read_part(from, read_u4(from));
		bool frames = name && name == c->names.frames, lines = name && name == c->names.line_numbers;
		if (frames && c->straight)
			return -ENOENT;
		if (!frames && !lines)
			continue;
		write_u2(to, name);
		size_t len_at = to->len;
		write_u4(to, 0);
		if (!(frames ? copy_frames(l, &body, to) : copy_line_numbers(l, &body, to)) || body.bad || body.at != body.len)
			return -EINVAL;
		write_u4_at(to, len_at, (uint32_t)(to->len - len_at - 4));
		kept++;
	}
	if (!to->bad) {
		to->ptr[count_at] = (uint8_t)(kept >> 8);
		to->ptr[count_at + 1] = (uint8_t)kept;
	}
	return 0;
}

static int code_write(const struct layout *l, const struct code_change *c, struct reader *from, struct writer *to)
{
	size_t len_at = to->len;

	write_u4(to, 0);
	int err = write_code(l, c, to);
	if (!err)
		write_u4_at(to, len_at, (uint32_t)(to->len - len_at - 4));
	if (!err && !copy_handlers(l, from, to))
		err = -EINVAL;
	if (!err)
		err = copy_attributes(l, c, from, to);
	if (!err && (from->bad || from->at != from->len))
		err = -EINVAL;
	return err;
}

int code_change(struct reader code, const struct code_change *c, struct writer *to)
{
	uint32_t stack = read_u2(&code) + c->more_stack, locals = read_u2(&code) + c->more_locals, len = read_u4(&code);
	struct layout l = { .code = read_bytes(&code, len), .len = len };

	if (!l.code || len == 0 || len > CODE_BYTES_MAX || stack > UINT16_MAX || locals > UINT16_MAX)
		return -EINVAL;
	l.start = calloc(2 * ((size_t)len + 1), sizeof(*l.start));
	if (!l.start)
		return -ENOMEM;
	l.place = l.start + len + 1;
	write_u2(to, stack);
	write_u2(to, locals);
	int err = layout_make(&l, c);
	if (!err)
		err = code_write(&l, c, &code, to);
	free(l.start);
	return err;
}

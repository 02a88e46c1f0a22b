/* SPDX-License-Identifier: Apache-2.0 */
#include "java/classfile.h"

#include <errno.h>

#include "java/bytes.h"
#include "java/code.h"

enum {
	CONSTANT_UTF8 = 1, CONSTANT_INTEGER = 3, CONSTANT_FLOAT = 4, CONSTANT_LONG = 5, CONSTANT_DOUBLE = 6, CONSTANT_CLASS = 7, CONSTANT_STRING = 8, CONSTANT_FIELD = 9,
	CONSTANT_METHOD = 10, CONSTANT_INTERFACE_METHOD = 11, CONSTANT_NAME_AND_TYPE = 12, CONSTANT_METHOD_HANDLE = 15, CONSTANT_METHOD_TYPE = 16, CONSTANT_DYNAMIC = 17,
	CONSTANT_INVOKE_DYNAMIC = 18, CONSTANT_MODULE = 19, CONSTANT_PACKAGE = 20,
};
enum { MAGIC = 0xcafebabe, VERSION = 50, ACC_PUBLIC_FINAL_SUPER = 0x0031, ACC_STATIC_NATIVE = 0x0109, MEMBERS_MAX = 65535, LOCAL_MAX = 255 };

/* A class as it is read, and what is added to its constants. */
struct classfile {
	const uint8_t *const *constants; /* each at its tag; NULL: none (behind a long) */
	uint32_t nconstants;
	uint32_t next;                   /* place of the next one that is added */
	struct writer added;
	const char *hooks;
};

/* --- constants --- */

static size_t constant_len(uint8_t tag)
{
	switch (tag) {
	case CONSTANT_CLASS:
	case CONSTANT_STRING:
	case CONSTANT_METHOD_TYPE:
	case CONSTANT_MODULE:
	case CONSTANT_PACKAGE: return 2;
	case CONSTANT_METHOD_HANDLE: return 3;
	case CONSTANT_INTEGER:
	case CONSTANT_FLOAT:
	case CONSTANT_FIELD:
	case CONSTANT_METHOD:
	case CONSTANT_INTERFACE_METHOD:
	case CONSTANT_NAME_AND_TYPE:
	case CONSTANT_DYNAMIC:
	case CONSTANT_INVOKE_DYNAMIC: return 4;
	case CONSTANT_LONG:
	case CONSTANT_DOUBLE: return 8;
	default: return 0;
	}
}

static bool read_constants(struct reader *r, const uint8_t **constants, uint32_t n)
{
	uint32_t i = 1;

	for (; i < n && !r->bad; i++) {
		const uint8_t *tag = read_bytes(r, 1);
		if (!tag)
			break;
		size_t len = *tag == CONSTANT_UTF8 ? read_u2(r) : constant_len(*tag);
		if (!len && *tag != CONSTANT_UTF8)
			return false;
		constants[i] = tag;
		(void)read_bytes(r, len);
		i += *tag == CONSTANT_LONG || *tag == CONSTANT_DOUBLE; /* they take two places */
	}
	return !r->bad && i == n;
}

static uint16_t number_at(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }

static const uint8_t *constant(const struct classfile *c, uint32_t i, uint8_t tag) { return i < c->nconstants && c->constants[i] && *c->constants[i] == tag ? c->constants[i] : NULL; }

static bool is_text(const struct classfile *c, uint32_t i, const char *text)
{
	const uint8_t *p = constant(c, i, CONSTANT_UTF8);

	return p && number_at(p + 1) == strlen(text) && memcmp(p + 3, text, strlen(text)) == 0;
}

/* 0: there is none. */
static uint16_t find_text(const struct classfile *c, const char *text)
{
	for (uint32_t i = 1; i < c->nconstants; i++)
		if (is_text(c, i, text))
			return (uint16_t)i;
	return 0;
}

static uint16_t constant_added(struct classfile *c)
{
	if (c->next > MEMBERS_MAX - 1)
		c->added.bad = true;
	return (uint16_t)c->next++;
}

static uint16_t add_text(struct classfile *c, const char *text)
{
	write_u1(&c->added, CONSTANT_UTF8);
	write_u2(&c->added, (uint32_t)strlen(text));
	write_bytes(&c->added, text, strlen(text));
	return constant_added(c);
}

static uint16_t add_one(struct classfile *c, uint8_t tag, uint16_t of)
{
	write_u1(&c->added, tag);
	write_u2(&c->added, of);
	return constant_added(c);
}

static uint16_t add_two(struct classfile *c, uint8_t tag, uint16_t first, uint16_t second)
{
	write_u1(&c->added, tag);
	write_u2(&c->added, first);
	write_u2(&c->added, second);
	return constant_added(c);
}

static uint16_t add_method(struct classfile *c, const char *name, const char *descriptor)
{
	uint16_t class = add_one(c, CONSTANT_CLASS, add_text(c, c->hooks)), type = add_two(c, CONSTANT_NAME_AND_TYPE, add_text(c, name), add_text(c, descriptor));

	return add_two(c, CONSTANT_METHOD, class, type);
}

/* --- one method --- */

struct method_edit {
	const struct classfile *c;
	const struct classfile_edit *e;
	struct code_insert first, hook; /* of no length: none */
	unsigned found;                 /* places where the hook stands */
};

static void put(struct code_insert *in, unsigned byte)
{
	if (in->len < CODE_INSERT_MAX)
		in->bytes[in->len++] = (uint8_t)byte;
}

static void put_local(struct code_insert *in, uint8_t op, unsigned local)
{
	put(in, op);
	put(in, local);
}

static void put_arguments(struct code_insert *in, const struct classfile_edit *e)
{
	for (unsigned i = 0; e->types && e->types[i]; i++)
		put_local(in, e->types[i] == 'L' ? OP_ALOAD : OP_ILOAD, e->argument + i);
}

static void put_call(struct code_insert *in, uint16_t method)
{
	put(in, OP_INVOKESTATIC);
	put(in, method >> 8);
	put(in, method & 0xff);
}

/* local: a variable of its own for what `first` gives. */
static void compose(struct classfile *c, const struct classfile_edit *e, unsigned local, struct method_edit *ret)
{
	*ret = (struct method_edit){ .c = c, .e = e };
	if (e->first) {
		put_arguments(&ret->first, e);
		put_call(&ret->first, add_method(c, e->first, e->first_descriptor));
		put_local(&ret->first, OP_ASTORE, local);
	}
	if (e->where != CLASSFILE_BEFORE_CALL && e->descriptor && e->descriptor[strlen(e->descriptor) - 1] != 'V')
		put(&ret->hook, OP_DUP); /* what is returned */
	put(&ret->hook, OP_ALOAD_0);
	put_arguments(&ret->hook, e);
	if (e->first)
		put_local(&ret->hook, OP_ALOAD, local);
	put_call(&ret->hook, add_method(c, e->hook, e->hook_descriptor));
}

static bool calls(const struct method_edit *m, const uint8_t *p)
{
	const uint8_t *method = constant(m->c, number_at(p + 1), CONSTANT_METHOD), *type = method ? constant(m->c, number_at(method + 3), CONSTANT_NAME_AND_TYPE) : NULL;

	return type && is_text(m->c, number_at(type + 1), m->e->of) && is_text(m->c, number_at(type + 3), m->e->of_descriptor);
}

static const struct code_insert *insert_at(void *ctx, const uint8_t *code, size_t at)
{
	struct method_edit *m = ctx;
	uint8_t op = code[at];
	bool here = m->e->where == CLASSFILE_BEFORE_CALL ? op == OP_INVOKEVIRTUAL && calls(m, code + at) : op == OP_IRETURN || op == OP_ARETURN || op == OP_RETURN;

	m->found += here;
	return here ? &m->hook : m->first.len && at == 0 ? &m->first : NULL;
}

/* The contents of a Code attribute. */
static int edit_code(struct classfile *c, const struct classfile_edit *e, struct reader code, struct writer *to)
{
	unsigned local = code.len >= 4 ? number_at(code.ptr + 2) : LOCAL_MAX;
	struct method_edit m;

	if (local >= LOCAL_MAX)
		return -ENOENT;
	compose(c, e, local, &m);
	struct code_change change = {
		.insert = insert_at, .ctx = &m, .more_stack = 8, .more_locals = e->first ? 1 : 0, .straight = e->first != NULL,
		.names = { .line_numbers = find_text(c, "LineNumberTable"), .frames = find_text(c, "StackMapTable") },
	};
	for (unsigned i = 0; e->types && e->types[i]; i++)
		change.keep |= 1u << (e->argument + i);
	int err = code_change(code, &change, to);
	return err ? err : m.found ? 0 : -ENOENT;
}

/* --- members --- */

static const struct classfile_edit *edit_of(const struct classfile *c, const struct classfile_edit *edits, size_t n, uint16_t name, uint16_t descriptor)
{
	for (size_t i = 0; i < n; i++)
		if (is_text(c, name, edits[i].method) && (!edits[i].descriptor || is_text(c, descriptor, edits[i].descriptor)))
			return &edits[i];
	return NULL;
}

/* e: NULL if it stays as it is. */
static int copy_attributes(struct classfile *c, const struct classfile_edit *e, struct reader *from, struct writer *to)
{
	uint16_t n = read_u2(from);
	bool edited = !e;
	int err = 0;

	write_u2(to, n);
	for (; n && !err && !from->bad; n--) {
		uint16_t name = read_u2(from);
		struct reader body = read_part(from, read_u4(from));
		write_u2(to, name);
		size_t len_at = to->len;
		write_u4(to, (uint32_t)body.len);
		if (e && is_text(c, name, "Code")) {
			err = edit_code(c, e, body, to);
			write_u4_at(to, len_at, (uint32_t)(to->len - len_at - 4));
			edited = true;
		} else {
			write_bytes(to, body.ptr, body.len);
		}
	}
	return err ? err : edited ? 0 : -ENOENT;
}

/* Fields or methods. found: which edits had a place, as bits. */
static int copy_members(struct classfile *c, const struct classfile_edit *edits, size_t n, struct reader *from, struct writer *to, uint32_t *found)
{
	uint16_t members = read_u2(from);
	int err = 0;

	write_u2(to, members);
	for (; members && !err && !from->bad; members--) {
		uint16_t access = read_u2(from), name = read_u2(from), descriptor = read_u2(from);
		const struct classfile_edit *e = edit_of(c, edits, n, name, descriptor);
		write_u2(to, access);
		write_u2(to, name);
		write_u2(to, descriptor);
		if (e)
			*found |= 1u << (e - edits);
		err = copy_attributes(c, e, from, to);
	}
	return err;
}

/* All behind the constants. */
static int copy_class(struct classfile *c, const struct classfile_edit *edits, size_t n, struct reader *from, struct writer *to)
{
	uint32_t found = 0;

	const uint8_t *names = read_bytes(from, 6); /* access, this class, the one above */
	write_bytes(to, names, names ? 6 : 0);
	uint16_t interfaces = read_u2(from);
	size_t interface_bytes = (size_t)2 * interfaces;
	const uint8_t *p = read_bytes(from, interface_bytes);
	write_u2(to, interfaces);
	write_bytes(to, p, p ? interface_bytes : 0);
	int err = copy_members(c, NULL, 0, from, to, &found);
	if (!err)
		err = copy_members(c, edits, n, from, to, &found);
	if (!err)
		err = copy_attributes(c, NULL, from, to);
	if (!err && (from->bad || from->at != from->len))
		err = -EINVAL;
	return err ? err : found == (1u << n) - 1 ? 0 : -ENOENT;
}

static int join(uint32_t version, const struct classfile *c, const uint8_t *constants, size_t constants_len, const struct writer *rest, uint8_t **ret_out, size_t *ret_len)
{
	struct writer w = { .ptr = NULL };

	write_u4(&w, MAGIC);
	write_u4(&w, version);
	write_u2(&w, c->next);
	write_bytes(&w, constants, constants_len);
	write_bytes(&w, c->added.ptr, c->added.len);
	write_bytes(&w, rest->ptr, rest->len);
	if (w.bad || c->added.bad || rest->bad) {
		free(w.ptr);
		return -ENOMEM;
	}
	*ret_out = w.ptr;
	*ret_len = w.len;
	return 0;
}

int classfile_edit(const uint8_t *in, size_t len, const char *hooks, const struct classfile_edit *edits, size_t n, uint8_t **ret_out, size_t *ret_len)
{
	struct reader r = { .ptr = in, .len = len };
	uint32_t magic = read_u4(&r), version = read_u4(&r), nconstants = read_u2(&r);
	struct writer rest = { .ptr = NULL };

	if (magic != MAGIC || r.bad || nconstants == 0)
		return -EINVAL;
	const uint8_t **constants = calloc(nconstants, sizeof(*constants));
	struct classfile c = { .constants = constants, .nconstants = nconstants, .next = nconstants, .hooks = hooks };
	if (!constants)
		return -ENOMEM;
	size_t begin = r.at;
	int err = read_constants(&r, constants, nconstants) ? 0 : -EINVAL;
	size_t end = r.at;
	if (!err)
		err = copy_class(&c, edits, n, &r, &rest);
	if (!err)
		err = join(version, &c, in + begin, end - begin, &rest, ret_out, ret_len);
	free(rest.ptr);
	free(c.added.ptr);
	free(constants);
	return err;
}

int classfile_natives(const char *name, const struct classfile_native *methods, size_t n, uint8_t **ret_out, size_t *ret_len)
{
	struct classfile c = { .next = 1, .hooks = name };
	struct writer rest = { .ptr = NULL };
	uint16_t this = add_one(&c, CONSTANT_CLASS, add_text(&c, name)), above = add_one(&c, CONSTANT_CLASS, add_text(&c, "java/lang/Object"));

	write_u2(&rest, ACC_PUBLIC_FINAL_SUPER);
	write_u2(&rest, this);
	write_u2(&rest, above);
	write_u2(&rest, 0); /* interfaces */
	write_u2(&rest, 0); /* fields */
	write_u2(&rest, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		write_u2(&rest, ACC_STATIC_NATIVE);
		write_u2(&rest, add_text(&c, methods[i].name));
		write_u2(&rest, add_text(&c, methods[i].descriptor));
		write_u2(&rest, 0);
	}
	write_u2(&rest, 0);
	int err = join(VERSION, &c, NULL, 0, &rest, ret_out, ret_len);
	free(rest.ptr);
	free(c.added.ptr);
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The code of a method: instructions put before others, with all that says where something lies in it moved along. JVMS 4.7.3, 4.7.4, 6.5. */
#ifndef PLUMB_JAVA_CODE_H
#define PLUMB_JAVA_CODE_H

#include "java/bytes.h"

enum { CODE_INSERT_MAX = 24, CODE_BYTES_MAX = 65535 };

enum {
	OP_ILOAD = 0x15, OP_ALOAD = 0x19, OP_ASTORE = 0x3a, OP_DUP = 0x59, OP_ALOAD_0 = 0x2a,
	OP_IRETURN = 0xac, OP_ARETURN = 0xb0, OP_RETURN = 0xb1, OP_INVOKEVIRTUAL = 0xb6, OP_INVOKESTATIC = 0xb8,
};

/* Instructions that are put in. */
struct code_insert {
	uint8_t bytes[CODE_INSERT_MAX];
	size_t len;
};

/* What stands before the instruction at `at`, which is at[0]; NULL: nothing. */
typedef const struct code_insert *(*code_insert_fn)(void *ctx, const uint8_t *code, size_t at);

/* Names of attributes, by their place among the constants; 0: the class has none of that name. */
struct code_names {
	uint16_t line_numbers, frames;
};

struct code_change {
	code_insert_fn insert;
	void *ctx;
	unsigned more_stack, more_locals;
	struct code_names names;
	bool straight;       /* refused if it branches anywhere: a new local variable would have to be in its frames */
	uint32_t keep;       /* local variables that may not be given another value, as bits */
};

/* The contents of a Code attribute, changed. Attributes that only debuggers read, but for lines, are left out. 0; -ENOENT: refused; -EINVAL; -EFBIG. */
int code_change(struct reader code, const struct code_change *c, struct writer *to);

#endif

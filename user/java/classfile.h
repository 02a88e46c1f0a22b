/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Class files: calls of static methods put into the code of methods, without anything else of the class changing. Java Virtual Machine Specification, chapter 4
 * (https://docs.oracle.com/javase/specs/jvms/se21/html/jvms-4.html).
 *
 * What is put in never branches, so verification needs no frames of it.
 */
#ifndef PLUMB_JAVA_CLASSFILE_H
#define PLUMB_JAVA_CLASSFILE_H

#include <stddef.h>
#include <stdint.h>

enum classfile_where {
	CLASSFILE_AROUND,         /* `first` as the method begins, its result kept; `hook` before it returns. Only of a method without branches. */
	CLASSFILE_BEFORE_RETURN,  /* `hook` wherever it returns */
	CLASSFILE_BEFORE_CALL,    /* `hook` before it calls the method `of` */
};

/*
 * What `hook` is called with, in this order: the value that is returned (where it returns one), the object that the method is of, the arguments from local variable `argument` on, by `types` (L, I), and what `first` gave. `first` is
 * called with these arguments alone.
 */
struct classfile_edit {
	const char *method;
	const char *descriptor;   /* NULL: of any */
	enum classfile_where where;
	const char *of;           /* CLASSFILE_BEFORE_CALL: the name of the method that it calls, */
	const char *of_descriptor;
	const char *hook, *hook_descriptor;
	const char *first, *first_descriptor;
	unsigned argument;
	const char *types;
};

/*
 * hooks: the class that has the static methods. The result is malloc()ed. 0; -ENOENT: one of the edits has no place there (a method is missing, is not of the form that is expected, or not what it calls); -EINVAL: nothing that
 * can be made sense of; -EFBIG; -ENOMEM.
 */
int classfile_edit(const uint8_t *in, size_t len, const char *hooks, const struct classfile_edit *edits, size_t n, uint8_t **ret_out, size_t *ret_len);

/* A class of nothing but static native methods, for the bootstrap loader. As above. */
struct classfile_native {
	const char *name, *descriptor;
};
int classfile_natives(const char *name, const struct classfile_native *methods, size_t n, uint8_t **ret_out, size_t *ret_len);

#endif

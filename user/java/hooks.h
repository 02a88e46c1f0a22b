/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is called from within JSSE, the JDK's TLS (classes of sun.security.ssl): static native methods of a class of ours, of which the bootstrap loader knows. They copy what passes and tell of it (tell.h), only while somebody listens; nothing
 * they do throws, blocks, or keeps an object alive. A session is known by a tag (JVM TI, SetTag) on its TransportContext, of which each has one from its beginning to its end.
 */
#ifndef PLUMB_JAVA_HOOKS_H
#define PLUMB_JAVA_HOOKS_H

#include <jvmti.h>
#include <stdbool.h>

#include "java/classfile.h"

#define HOOKS_CLASS "plumb/Jsse"

/* A class of the JDK, and what is put into it. */
struct hooked {
	const char *name;
	const struct classfile_edit *edits;
	size_t n;
};

enum { HOOKED_CLASSES = 4 };
extern const struct hooked hooked[HOOKED_CLASSES];

/* Makes the class. false: it cannot be made. */
bool hooks_define(JNIEnv *jni, jvmtiEnv *jvmti);
/* From now on they do nothing: JSSE is not what it should be. */
void hooks_disable(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent: loaded by a JVM that runs (its attach mechanism, user/probe/jvm.c) or by one that starts (-agentpath:), it puts calls of its hooks into JSSE's classes. By JVM TI alone, so that nothing of Java is needed but the
 * JVM: no class path, no module of the JDK (https://docs.oracle.com/en/java/javase/21/docs/specs/jvmti.html).
 */
#include <jvmti.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "java/classfile.h"
#include "java/hooks.h"
#include "model/jsse.h"

static bool refused; /* a class is not of a form that is known */

static const struct hooked *hooked_of(const char *name)
{
	for (size_t i = 0; name && i < HOOKED_CLASSES; i++)
		if (strcmp(hooked[i].name, name) == 0)
			return &hooked[i];
	return NULL;
}

static void refuse(void)
{
	__atomic_store_n(&refused, true, __ATOMIC_RELAXED);
	hooks_disable();
}

static void JNICALL on_class(jvmtiEnv *jvmti, JNIEnv *jni, jclass redefined, jobject loader, const char *name, jobject domain, jint len, const unsigned char *bytes, jint *ret_len, unsigned char **ret_bytes)
{
	const struct hooked *h = loader ? NULL : hooked_of(name);
	unsigned char *copy = NULL;
	uint8_t *changed;
	size_t n;

	(void)jni, (void)redefined, (void)domain;
	if (!h)
		return;
	if (classfile_edit(bytes, (size_t)len, HOOKS_CLASS, h->edits, h->n, &changed, &n)) {
		refuse();
		return;
	}
	if ((*jvmti)->Allocate(jvmti, (jlong)n, &copy) == JVMTI_ERROR_NONE) {
		memcpy(copy, changed, n);
		*ret_bytes = copy;
		*ret_len = (jint)n;
	} else {
		refuse();
	}
	free(changed);
}

/* Those that the JVM has already. */
static bool change_loaded(jvmtiEnv *jvmti, JNIEnv *jni)
{
	jclass *classes, known[HOOKED_CLASSES];
	jint n, nknown = 0;

	if ((*jvmti)->GetLoadedClasses(jvmti, &n, &classes))
		return false;
	for (jint i = 0; i < n; i++) {
		jobject loader = NULL;
		char *signature = NULL;
		if (!(*jvmti)->GetClassSignature(jvmti, classes[i], &signature, NULL) && signature) {
			size_t len = strlen(signature);
			if (signature[0] == 'L' && len > 2 && strncmp(signature, "Lsun/security/ssl/", 18) == 0) {
				signature[len - 1] = 0;
				bool is = hooked_of(signature + 1) && nknown < HOOKED_CLASSES && !(*jvmti)->GetClassLoader(jvmti, classes[i], &loader) && !loader;
				if (is)
					known[nknown++] = (*jni)->NewLocalRef(jni, classes[i]);
			}
			(*jvmti)->Deallocate(jvmti, (unsigned char *)signature);
		}
		(*jni)->DeleteLocalRef(jni, classes[i]);
	}
	(*jvmti)->Deallocate(jvmti, (unsigned char *)classes);
	return nknown == 0 || (*jvmti)->RetransformClasses(jvmti, nknown, known) == JVMTI_ERROR_NONE;
}

/* With the JVM alive: it can make classes. */
static enum jsse_answer start(jvmtiEnv *jvmti, JNIEnv *jni)
{
	if ((*jni)->FindClass(jni, HOOKS_CLASS))
		return JSSE_ALREADY;
	(*jni)->ExceptionClear(jni);
	if (!hooks_define(jni, jvmti))
		return JSSE_NO_HOOKS;
	if ((*jvmti)->SetEventNotificationMode(jvmti, JVMTI_ENABLE, JVMTI_EVENT_CLASS_FILE_LOAD_HOOK, NULL))
		return JSSE_NO_JVMTI;
	if (!change_loaded(jvmti, jni)) {
		hooks_disable();
		return JSSE_NO_TRANSFORMATION;
	}
	return __atomic_load_n(&refused, __ATOMIC_RELAXED) ? JSSE_OTHER : JSSE_READY;
}

static void JNICALL on_start(jvmtiEnv *jvmti, JNIEnv *jni, jthread thread)
{
	(void)thread;
	(void)start(jvmti, jni);
}

static jvmtiEnv *prepare(JavaVM *vm)
{
	const jvmtiCapabilities wanted = { .can_retransform_classes = 1, .can_tag_objects = 1 };
	const jvmtiEventCallbacks callbacks = { .ClassFileLoadHook = on_class, .VMInit = on_start };
	jvmtiEnv *jvmti = NULL;

	if ((*vm)->GetEnv(vm, (void **)&jvmti, JVMTI_VERSION_1_2) != JNI_OK || !jvmti)
		return NULL;
	if ((*jvmti)->AddCapabilities(jvmti, &wanted) || (*jvmti)->SetEventCallbacks(jvmti, &callbacks, sizeof(callbacks)))
		return NULL;
	return jvmti;
}

/* A JVM that runs loads it. */
JNIEXPORT jint JNICALL Agent_OnAttach(JavaVM *vm, char *options, void *reserved)
{
	JNIEnv *jni = NULL;

	(void)options, (void)reserved;
	if ((*vm)->GetEnv(vm, (void **)&jni, JNI_VERSION_1_6) != JNI_OK)
		return JSSE_NO_JVMTI;
	jvmtiEnv *jvmti = NULL;
	jvmtiPhase phase = JVMTI_PHASE_LIVE;
	if ((*vm)->GetEnv(vm, (void **)&jvmti, JVMTI_VERSION_1_2) == JNI_OK && jvmti && !(*jvmti)->GetPhase(jvmti, &phase) && phase != JVMTI_PHASE_LIVE)
		return JSSE_NOT_YET;
	jvmti = prepare(vm);
	return jvmti ? (jint)start(jvmti, jni) : JSSE_NO_JVMTI;
}

/* One that starts does: what goes wrong must not keep it from that. */
JNIEXPORT jint JNICALL Agent_OnLoad(JavaVM *vm, char *options, void *reserved)
{
	jvmtiEnv *jvmti = prepare(vm);

	(void)options, (void)reserved;
	if (jvmti)
		(void)(*jvmti)->SetEventNotificationMode(jvmti, JVMTI_ENABLE, JVMTI_EVENT_VM_INIT, NULL);
	return JNI_OK;
}

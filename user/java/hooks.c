/* SPDX-License-Identifier: Apache-2.0 */
#include "java/hooks.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "java/tell.h"

#define BUFFER "Ljava/nio/ByteBuffer;"
#define OBJECT "Ljava/lang/Object;"
#define RESULT "Ljavax/net/ssl/SSLEngineResult;"
#define POSITIONS_TYPE "([" BUFFER "II)" OBJECT
#define ENGINE_TYPE "(" RESULT OBJECT "[" BUFFER "II" OBJECT ")V"

enum { COPY_MAX = 16384 }; /* what a TLS record carries (RFC 8446, 5.1), and so one call of SSLEngine's */

/* --- places in JSSE: of OpenJDK 11 and later, and 8 since 8u261 --- */

static const struct classfile_edit engine_edits[] = {
	{ .method = "wrap", .descriptor = "([" BUFFER "II" BUFFER ")" RESULT, .where = CLASSFILE_AROUND, .hook = "wrapped", .hook_descriptor = ENGINE_TYPE, .first = "positions", .first_descriptor = POSITIONS_TYPE, .argument = 1, .types = "LII" },
	{ .method = "unwrap", .descriptor = "(" BUFFER "[" BUFFER "II)" RESULT, .where = CLASSFILE_AROUND, .hook = "unwrapped", .hook_descriptor = ENGINE_TYPE, .first = "positions", .first_descriptor = POSITIONS_TYPE, .argument = 2, .types = "LII" },
};
/* Once its handshake is done, and before the first byte leaves. */
static const struct classfile_edit output_edits[] = {
	{ .method = "write", .descriptor = "([BII)V", .where = CLASSFILE_BEFORE_CALL, .of = "deliver", .of_descriptor = "([BII)V", .hook = "written", .hook_descriptor = "(" OBJECT "[BII)V", .argument = 1, .types = "LII" },
};
static const struct classfile_edit input_edits[] = {
	{ .method = "read", .descriptor = "([BII)I", .where = CLASSFILE_BEFORE_RETURN, .hook = "read", .hook_descriptor = "(I" OBJECT "[BI)V", .argument = 1, .types = "LI" },
};
/* Not as it is made: that of a server's socket is before it accepts, and so maybe long before anybody listens. */
static const struct classfile_edit context_edits[] = {
	{ .method = "finishHandshake", .descriptor = "()Ljavax/net/ssl/SSLEngineResult$HandshakeStatus;", .where = CLASSFILE_BEFORE_RETURN, .hook = "begins", .hook_descriptor = "(" OBJECT OBJECT ")V" },
};

#define EDITS(e) e, sizeof(e) / sizeof((e)[0])
const struct hooked hooked[HOOKED_CLASSES] = {
	{ "sun/security/ssl/SSLEngineImpl", EDITS(engine_edits) },
	{ "sun/security/ssl/SSLSocketImpl$AppOutputStream", EDITS(output_edits) },
	{ "sun/security/ssl/SSLSocketImpl$AppInputStream", EDITS(input_edits) },
	{ "sun/security/ssl/TransportContext", EDITS(context_edits) },
};

/* --- what is known of the JVM --- */

/* A field of a class of which an object is at hand when it is needed first. Found anew by each who comes at the same time: it is the same. */
struct field {
	const char *name, *type;
	jfieldID id;
};

static struct {
	jvmtiEnv *jvmti;
	bool disabled;
	pthread_mutex_t lock; /* of what follows */
	jlong sessions;       /* numbers given out */
} the = { .lock = PTHREAD_MUTEX_INITIALIZER };

#define CONTEXT "Lsun/security/ssl/TransportContext;"
static struct field engine_context = { .name = "conContext", .type = CONTEXT }, socket_context = { .name = "conContext", .type = CONTEXT };
static struct field output_socket = { .name = "this$0", .type = "Lsun/security/ssl/SSLSocketImpl;" }, input_socket = { .name = "this$0", .type = "Lsun/security/ssl/SSLSocketImpl;" };
static struct field consumed = { .name = "bytesConsumed", .type = "I" }, produced = { .name = "bytesProduced", .type = "I" };
static struct field position = { .name = "position", .type = "I" }, array = { .name = "hb", .type = "[B" }, array_offset = { .name = "offset", .type = "I" };

void hooks_disable(void) { __atomic_store_n(&the.disabled, true, __ATOMIC_RELAXED); }

static bool is_heard(void) { return tell_is_heard() && !__atomic_load_n(&the.disabled, __ATOMIC_RELAXED); }

/* Whatever went wrong is not the application's. */
static bool failed(JNIEnv *jni)
{
	if (!(*jni)->ExceptionCheck(jni))
		return false;
	(*jni)->ExceptionClear(jni);
	return true;
}

static jfieldID field_of(JNIEnv *jni, jobject object, struct field *f)
{
	jfieldID id = __atomic_load_n(&f->id, __ATOMIC_RELAXED);

	if (id || !object)
		return id;
	jclass class = (*jni)->GetObjectClass(jni, object);
	id = (*jni)->GetFieldID(jni, class, f->name, f->type);
	(*jni)->DeleteLocalRef(jni, class);
	if (failed(jni) || !id) {
		hooks_disable();
		return NULL;
	}
	__atomic_store_n(&f->id, id, __ATOMIC_RELAXED);
	return id;
}

static jobject object_in(JNIEnv *jni, jobject object, struct field *f)
{
	jfieldID id = field_of(jni, object, f);

	return id && object ? (*jni)->GetObjectField(jni, object, id) : NULL;
}

static jint number_in(JNIEnv *jni, jobject object, struct field *f)
{
	jfieldID id = field_of(jni, object, f);

	return id && object ? (*jni)->GetIntField(jni, object, id) : 0;
}

/* --- sessions --- */

static bool tag(jobject context, bool *ret_new, jlong *ret_number)
{
	jlong number = 0;

	if (!context || (*the.jvmti)->GetTag(the.jvmti, context, &number))
		return false;
	*ret_new = !number;
	if (!number) {
		pthread_mutex_lock(&the.lock);
		bool fine = !(*the.jvmti)->GetTag(the.jvmti, context, &number) && (number || !(*the.jvmti)->SetTag(the.jvmti, context, ++the.sessions));
		number = number ? number : the.sessions;
		pthread_mutex_unlock(&the.lock);
		if (!fine)
			return false;
	}
	*ret_number = number;
	return true;
}

/* 0: not known. */
static uint64_t session_of(jobject context)
{
	jlong number;
	bool is_new;

	return tag(context, &is_new, &number) ? (uint64_t)number : 0;
}

static uint64_t session_of_engine(JNIEnv *jni, jobject engine) { return session_of(object_in(jni, engine, &engine_context)); }

static uint64_t session_of_stream(JNIEnv *jni, jobject stream, struct field *socket) { return session_of(object_in(jni, object_in(jni, stream, socket), &socket_context)); }

/* A second handshake of the same session begins none. */
static void JNICALL begins(JNIEnv *jni, jclass class, jobject status, jobject context)
{
	jlong number;
	bool is_new;

	(void)jni, (void)class, (void)status;
	if (is_heard() && tag(context, &is_new, &number) && is_new)
		plumb_tls_begin((uint64_t)number);
}

/* --- bytes --- */

struct copy {
	uint8_t bytes[COPY_MAX];
	size_t len;
};

static void tell(uint64_t session, bool writes, const struct copy *c, size_t n)
{
	void (*told)(uint64_t, const void *, size_t) = writes ? plumb_tls_told_write : plumb_tls_told_read;

	if (!session || !n)
		return;
	if (c->len)
		told(session, c->bytes, c->len);
	if (n > c->len)
		told(session, NULL, n - c->len);
}

/* What does not fit is left out. */
static void copy_array(JNIEnv *jni, struct copy *c, jbyteArray from, jint at, jint n)
{
	jint room = (jint)(COPY_MAX - c->len), take = n < room ? n : room;

	(*jni)->GetByteArrayRegion(jni, from, at, take, (jbyte *)c->bytes + c->len);
	if (!failed(jni))
		c->len += (size_t)take;
}

static void copy_buffer(JNIEnv *jni, struct copy *c, jobject buffer, jint at, jint n)
{
	jbyteArray bytes = object_in(jni, buffer, &array);
	size_t room = COPY_MAX - c->len, take = (size_t)n < room ? (size_t)n : room;

	if (bytes) {
		copy_array(jni, c, bytes, at + number_in(jni, buffer, &array_offset), n);
		(*jni)->DeleteLocalRef(jni, bytes);
		return;
	}
	const uint8_t *address = (*jni)->GetDirectBufferAddress(jni, buffer);
	if (failed(jni) || !address)
		return;
	memcpy(c->bytes + c->len, address + at, take);
	c->len += take;
}

/* --- SSLEngine: bytes between buffers and TLS records; a call moves what one record carries --- */

static bool in_range(JNIEnv *jni, jobjectArray buffers, jint from, jint n)
{
	jint len = buffers ? (*jni)->GetArrayLength(jni, buffers) : 0;

	return n > 0 && from >= 0 && from <= len && n <= len - from;
}

/* Where each of the buffers stands as the call begins: an int[]; null: nobody listens, or the call is none. */
static jobject JNICALL positions(JNIEnv *jni, jclass class, jobjectArray buffers, jint from, jint n)
{
	(void)class;
	if (!is_heard() || !in_range(jni, buffers, from, n))
		return NULL;
	jintArray all = (*jni)->NewIntArray(jni, n);
	if (failed(jni) || !all)
		return NULL;
	for (jint i = 0; i < n; i++) {
		jobject b = (*jni)->GetObjectArrayElement(jni, buffers, from + i);
		jint at = number_in(jni, b, &position);
		(*jni)->SetIntArrayRegion(jni, all, i, 1, &at);
		(*jni)->DeleteLocalRef(jni, b);
	}
	return failed(jni) ? NULL : all;
}

static void engine_moved(JNIEnv *jni, jobject engine, bool writes, jobjectArray buffers, jint from, jint n, jintArray before, jint moved)
{
	struct copy c;

	if (moved <= 0 || !before || !in_range(jni, buffers, from, n) || (*jni)->GetArrayLength(jni, before) < n)
		return;
	c.len = 0;
	for (jint i = 0, left = moved; i < n && left > 0; i++) {
		jobject b = (*jni)->GetObjectArrayElement(jni, buffers, from + i);
		jint at = 0, here;
		(*jni)->GetIntArrayRegion(jni, before, i, 1, &at);
		here = number_in(jni, b, &position) - at;
		here = here < left ? here : left;
		if (here > 0) {
			copy_buffer(jni, &c, b, at, here);
			left -= here;
		}
		(*jni)->DeleteLocalRef(jni, b);
	}
	if (!failed(jni))
		tell(session_of_engine(jni, engine), writes, &c, (size_t)moved);
}

static void JNICALL wrapped(JNIEnv *jni, jclass class, jobject result, jobject engine, jobjectArray buffers, jint from, jint n, jobject before)
{
	(void)class;
	if (before && is_heard())
		engine_moved(jni, engine, true, buffers, from, n, before, number_in(jni, result, &consumed));
}

static void JNICALL unwrapped(JNIEnv *jni, jclass class, jobject result, jobject engine, jobjectArray buffers, jint from, jint n, jobject before)
{
	(void)class;
	if (before && is_heard())
		engine_moved(jni, engine, false, buffers, from, n, before, number_in(jni, result, &produced));
}

/* --- SSLSocket --- */

static void stream_moved(JNIEnv *jni, uint64_t session, bool writes, jbyteArray bytes, jint from, jint n)
{
	struct copy c;

	c.len = 0;
	copy_array(jni, &c, bytes, from, n);
	tell(session, writes, &c, (size_t)n);
}

static void JNICALL written(JNIEnv *jni, jclass class, jobject stream, jbyteArray bytes, jint from, jint n)
{
	(void)class;
	if (is_heard() && bytes && n > 0)
		stream_moved(jni, session_of_stream(jni, stream, &output_socket), true, bytes, from, n);
}

static void JNICALL was_read(JNIEnv *jni, jclass class, jint n, jobject stream, jbyteArray bytes, jint from)
{
	(void)class;
	if (n > 0 && is_heard() && bytes)
		stream_moved(jni, session_of_stream(jni, stream, &input_socket), false, bytes, from, n);
}

/* --- the class --- */

static const struct {
	struct classfile_native method;
	void *function;
} natives[] = {
	{ { "begins", "(" OBJECT OBJECT ")V" }, (void *)begins },
	{ { "positions", POSITIONS_TYPE }, (void *)positions },
	{ { "wrapped", ENGINE_TYPE }, (void *)wrapped },
	{ { "unwrapped", ENGINE_TYPE }, (void *)unwrapped },
	{ { "written", "(" OBJECT "[BII)V" }, (void *)written },
	{ { "read", "(I" OBJECT "[BI)V" }, (void *)was_read },
};
enum { NATIVES = sizeof(natives) / sizeof(natives[0]) };

/* JSSE's module reads no other than those it names, unless it is told to. Before Java 9 there are none. */
static bool open_modules(JNIEnv *jni, jvmtiEnv *jvmti, jclass hooks)
{
	jclass object = (*jni)->FindClass(jni, "java/lang/Object"), class = (*jni)->FindClass(jni, "java/lang/Class");
	jmethodID module = class ? (*jni)->GetMethodID(jni, class, "getModule", "()Ljava/lang/Module;") : NULL;

	if (failed(jni) || !module)
		return class != NULL;
	jobject from = (*jni)->CallObjectMethod(jni, object, module), to = (*jni)->CallObjectMethod(jni, hooks, module);
	return !failed(jni) && from && to && !(*jvmti)->AddModuleReads(jvmti, from, to);
}

bool hooks_define(JNIEnv *jni, jvmtiEnv *jvmti)
{
	struct classfile_native methods[NATIVES];
	JNINativeMethod functions[NATIVES];
	uint8_t *bytes;
	size_t len;

	the.jvmti = jvmti;
	for (size_t i = 0; i < NATIVES; i++) {
		methods[i] = natives[i].method;
		functions[i] = (JNINativeMethod){ .name = (char *)methods[i].name, .signature = (char *)methods[i].descriptor, .fnPtr = natives[i].function };
	}
	if (classfile_natives(HOOKS_CLASS, methods, NATIVES, &bytes, &len))
		return false;
	jclass class = (*jni)->DefineClass(jni, HOOKS_CLASS, NULL, (const jbyte *)bytes, (jsize)len);
	free(bytes);
	if (failed(jni) || !class)
		return false;
	jint err = (*jni)->RegisterNatives(jni, class, functions, NATIVES);
	return !failed(jni) && err == JNI_OK && open_modules(jni, jvmti, class);
}

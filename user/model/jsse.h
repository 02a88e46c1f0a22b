/* SPDX-License-Identifier: Apache-2.0 */
/* The agent that tells of Java's TLS (user/java): what its file is called, and what it answers to who has a JVM load it. */
#ifndef PLUMB_MODEL_JSSE_H
#define PLUMB_MODEL_JSSE_H

#define JSSE_AGENT "libplumb-jsse.so"

enum jsse_answer {
	JSSE_READY = 0,
	JSSE_ALREADY = 101,     /* this JVM has it */
	JSSE_NOT_YET,           /* the JVM is starting */
	JSSE_NO_JVMTI,          /* the JVM lacks what it needs */
	JSSE_NO_HOOKS,          /* its functions cannot be made known */
	JSSE_OTHER,             /* JSSE is not of a form that it knows */
	JSSE_NO_TRANSFORMATION, /* the JVM does not take the changed classes */
	JSSE_ANSWERS,
};

#endif

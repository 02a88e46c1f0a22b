/* SPDX-License-Identifier: Apache-2.0 */
#include "java/tell.h"

/* Its place in the file is that of the section. Not 0 at first: a section of zeros may have no place there. */
static volatile struct {
	uint16_t listeners;
	uint16_t filled;
} heard __attribute__((section(".plumb.listeners"), used)) = { .filled = 1 };

bool tell_is_heard(void) { return heard.listeners != 0; }

/* Written as they are so that each stands by itself, and begins with an instruction that the kernel need not run elsewhere (user/probe/uprobe.h). */
#if defined(__x86_64__)
#define FUNCTION(name) __asm__(".pushsection .text\n.balign 16\n.globl " name "\n.type " name ", @function\n" name ":\n push %rbp\n pop %rbp\n ret\n.size " name ", . - " name "\n.popsection\n")
#elif defined(__aarch64__)
#define FUNCTION(name) __asm__(".pushsection .text\n.balign 16\n.globl " name "\n.type " name ", %function\n" name ":\n nop\n ret\n.size " name ", . - " name "\n.popsection\n")
#endif

FUNCTION("plumb_tls_begin");
FUNCTION("plumb_tls_told_read");
FUNCTION("plumb_tls_told_write");

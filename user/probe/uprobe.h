/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs on functions of user space, in all processes that run the file. By one link for many functions where the kernel has it (uprobe_multi, 6.6, 89ae89f53d20), else by a
 * perf event for each.
 */
#ifndef PLUMB_PROBE_UPROBE_H
#define PLUMB_PROBE_UPROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum uprobe_way {
	UPROBE_NONE,
	UPROBE_MULTI,
	UPROBE_PERF,
};

/* BPF_TRACE_UPROBE_MULTI: what programs must be loaded for with UPROBE_MULTI. */
enum { UPROBE_MULTI_ATTACH = 48 };

enum { UPROBE_FUNCTIONS_MAX = 160 };

/* Functions of one file. */
struct uprobe_place {
	const char *path; /* must lead to the file as long as the call lasts */
	size_t n;
	uint64_t offsets[UPROBE_FUNCTIONS_MAX]; /* of first instructions */
	uint64_t cookies[UPROBE_FUNCTIONS_MAX]; /* bpf_get_attach_cookie() */
	uint64_t listeners;                     /* where in the file a process has a number of 16 bits that the kernel raises by one for each probe of a function; 0: nowhere */
};

/* A program on functions of one file. */
struct uprobe {
	int fds[2 * UPROBE_FUNCTIONS_MAX];
	size_t n;
};

enum { UPROBE_REFUSED = 524 }; /* the kernel's ENOTSUPP, which is not in errno.h: it sets no probe on such an instruction */

/* prog: descriptor of a BPF_PROG_TYPE_KPROBE. Negative errno, or -UPROBE_REFUSED, and then nothing is attached. */
int uprobe_attach(enum uprobe_way way, int prog, const struct uprobe_place *place, bool returns, struct uprobe *ret_uprobe);
/*
 * Takes probes away. The kernel takes tens of milliseconds for each, so children do it that live as long; without them it is done here. Whoever waits for children meets some that he does not
 * know. held: descriptors that stay open, in these children, until all are gone; the caller may close his. ret_gone: if it is not NULL, gets a descriptor that reads 0 bytes once they are, and the
 * caller's to close; -1: they are gone.
 */
void uprobe_detach(struct uprobe *const *probes, size_t n, const int *held, size_t nheld, int *ret_gone);

/*
 * What a probe on an entry costs depends on the function's first instruction: some the kernel does itself, of all others the program has to run a copy elsewhere, in a single step, which takes ten times as
 * long. false: it is one of the former that functions begin with, push on x86-64.
 */
enum { UPROBE_CODE_BYTES = 2 };
bool uprobe_trap_is_long(const uint8_t code[UPROBE_CODE_BYTES]);

/* The kernel sets a probe on an instruction. On x86-64 it sets none on one with the prefix of a segment, by which assemblers fill code up (-mbranches-within-32B-boundaries). */
bool uprobe_can_be(const uint8_t code[UPROBE_CODE_BYTES]);

/* How long the first instruction is if all it does is to push a register: behind it arguments are where they were before, but not the return address. 0: it is another, or not known. */
size_t uprobe_push_bytes(const uint8_t *code, size_t len);

/*
 * Tries a way on functions of this program, and measures what a probe with a program that does nothing costs who calls it: on an entry, of either kind, and on a return, which is short (never 0). Negative errno if
 * it does not work.
 */
struct uprobe_cost {
	uint64_t short_ns, long_ns;
};
int uprobe_try(enum uprobe_way way, struct uprobe_cost *ret_cost);

#endif

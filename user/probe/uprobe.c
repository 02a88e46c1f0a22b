/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/uprobe.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/descriptors.h"

enum { TRIAL_CALLS = 32, TRIAL_ROUNDS = 8 };
enum { UNDERTAKERS = 4 }; /* a link's probes are gone at once, but who closes it is held up: so many at a time */

/* BPF_LINK_CREATE as of 6.6; the headers that plumb is built with may not have it. */
struct multi_attr {
	uint32_t prog_fd, target_fd, attach_type, flags;
	uint64_t path, offsets, ref_ctr_offsets, cookies;
	uint32_t cnt, multi_flags, pid, pad;
};
enum { MULTI_RETURN = 1 };

static int attach_multi(int prog, const struct uprobe_place *place, bool returns)
{
	uint64_t listeners[UPROBE_FUNCTIONS_MAX];
	struct multi_attr attr = {
		.prog_fd = (uint32_t)prog, .attach_type = UPROBE_MULTI_ATTACH, .path = (uintptr_t)place->path, .offsets = (uintptr_t)place->offsets,
		.cookies = (uintptr_t)place->cookies, .cnt = (uint32_t)place->n, .multi_flags = returns ? MULTI_RETURN : 0,
		.ref_ctr_offsets = place->listeners ? (uintptr_t)listeners : 0,
	};

	for (size_t i = 0; i < place->n; i++)
		listeners[i] = place->listeners;
	int fd = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : fd;
}

/* The number that the kernel gave to this kind of event. */
static int perf_type(void)
{
	static const char path[] = "/sys/bus/event_source/devices/uprobe/type";
	FILE *f = fopen(path, "re");
	char text[16] = "";

	if (!f)
		return -errno;
	if (!fgets(text, sizeof(text), f))
		text[0] = 0;
	fclose(f);
	long type = strtol(text, NULL, 10);
	return type > 0 && type < INT32_MAX ? (int)type : -ENOTSUP;
}

/* An event and the link that runs the program there (5.15, 7adfc6c9b315). */
static int attach_perf(int prog, int type, const struct uprobe_place *place, size_t i, bool returns, struct uprobe *u)
{
	/* Bit 0 of config asks for the return, its upper half says where listeners are counted: /sys/bus/event_source/devices/uprobe/format/. */
	struct perf_event_attr attr = { .type = (uint32_t)type, .size = sizeof(attr), .config = (returns ? 1 : 0) | place->listeners << 32, .config1 = (uintptr_t)place->path, .config2 = place->offsets[i] };
	LIBBPF_OPTS(bpf_link_create_opts, opts, .perf_event.bpf_cookie = place->cookies[i]);
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC); /* every process, and for a uprobe on every CPU */

	if (fd < 0)
		return -errno;
	u->fds[u->n++] = fd;
	int link = bpf_link_create(prog, fd, BPF_PERF_EVENT, &opts);
	if (link < 0)
		return link;
	u->fds[u->n++] = link;
	return ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) ? -errno : 0;
}

static void close_all(struct uprobe *u)
{
	while (u->n) /* links before what they hold on to */
		close(u->fds[--u->n]);
}

int uprobe_attach(enum uprobe_way way, int prog, const struct uprobe_place *place, bool returns, struct uprobe *ret_uprobe)
{
	struct uprobe u = { .n = 0 };
	int err = 0, type;

	if (place->n == 0 || place->n > UPROBE_FUNCTIONS_MAX)
		return -EINVAL;
	switch (way) {
	case UPROBE_MULTI:
		err = attach_multi(prog, place, returns);
		if (err < 0)
			return err;
		u.fds[u.n++] = err;
		err = 0;
		break;
	case UPROBE_PERF:
		type = perf_type();
		err = type < 0 ? type : 0;
		for (size_t i = 0; i < place->n && !err; i++)
			err = attach_perf(prog, type, place, i, returns, &u);
		break;
	case UPROBE_NONE: err = -ENOTSUP; break;
	}
	if (err) {
		close_all(&u);
		return err;
	}
	*ret_uprobe = u;
	return 0;
}

/*
 * In a child. First it lets go of all that is not its own, as a link lives until nobody has it any more: neither links of other files, nor what plumb prints, shall wait for this. Its end closes the pipe and
 * what is held.
 */
static void undertake(int end, struct uprobe *const *probes, size_t n, size_t mine, const int *held, size_t nheld)
{
	size_t nkeep = nheld + 1;

	for (size_t i = mine; i < n; i += UNDERTAKERS)
		nkeep += probes[i]->n;
	int *keep = malloc(nkeep * sizeof(*keep));
	if (!keep)
		_exit(1); /* which closes everything as well, in no order */
	nkeep = 0;
	keep[nkeep++] = end;
	for (size_t i = 0; i < nheld; i++)
		keep[nkeep++] = held[i];
	for (size_t i = mine; i < n; i += UNDERTAKERS)
		for (size_t k = 0; k < probes[i]->n; k++)
			keep[nkeep++] = probes[i]->fds[k];
	descriptors_close_others(0, keep, nkeep);
	for (size_t i = mine; i < n; i += UNDERTAKERS)
		close_all(probes[i]);
	_exit(0);
}

void uprobe_detach(struct uprobe *const *probes, size_t n, const int *held, size_t nheld, int *ret_gone)
{
	int end[2];
	size_t any = 0;

	for (size_t i = 0; i < n; i++)
		any += probes[i]->n;
	bool piped = any && pipe2(end, O_CLOEXEC | O_NONBLOCK) == 0;
	for (size_t mine = 0; piped && mine < UNDERTAKERS && mine < n; mine++)
		if (fork() == 0)
			undertake(end[1], probes, n, mine, held, nheld);
	for (size_t i = 0; i < n; i++)
		close_all(probes[i]);
	if (piped)
		close(end[1]);
	if (piped && !ret_gone)
		close(end[0]);
	if (ret_gone)
		*ret_gone = piped ? end[0] : -1;
}

/* --- trial --- */

bool uprobe_trap_is_long(const uint8_t code[UPROBE_CODE_BYTES])
{
#if defined(__x86_64__)
	bool of_eight = code[0] >= 0x41 && code[0] <= 0x4f; /* REX: the registers that came with 64 bits */
	uint8_t first = code[of_eight];

	return first < 0x50 || first > 0x57; /* arch/x86/kernel/uprobes.c, push_setup_xol_ops() */
#else
	(void)code;
	return true;
#endif
}

#if defined(__x86_64__)
/* arch/x86/kernel/uprobes.c, is_prefix_bad(), but for LOCK, with which no function begins. */
static bool is_segment_prefix(uint8_t byte) { return byte == 0x26 || byte == 0x2e || byte == 0x36 || byte == 0x3e; }

bool uprobe_can_be(const uint8_t code[UPROBE_CODE_BYTES]) { return !is_segment_prefix(code[0]); }

size_t uprobe_push_bytes(const uint8_t *code, size_t len)
{
	size_t at = 0;

	while (at < len && is_segment_prefix(code[at]))
		at++;
	if (at < len && code[at] == 0x41) /* REX.B */
		at++;
	return at < len && code[at] >= 0x50 && code[at] <= 0x57 ? at + 1 : 0;
}
#else
bool uprobe_can_be(const uint8_t code[UPROBE_CODE_BYTES])
{
	(void)code;
	return true;
}

size_t uprobe_push_bytes(const uint8_t *code, size_t len)
{
	(void)code, (void)len;
	return 0;
}
#endif

/* Called as a library's functions would be, and beginning as most of them do: one by each kind of instruction, where there are two. */
int trial_short(int x);
int trial_long(int x);

#define TRIAL(name, type, ...) __asm__(".pushsection .text\n.balign 16\n.type " name ", " type "\n" name ":\n" __VA_ARGS__ ".size " name ", . - " name "\n.popsection\n")
#if defined(__x86_64__)
TRIAL("trial_short", "@function", "push %rbp\n mov %edi, %eax\n pop %rbp\n ret\n");
TRIAL("trial_long", "@function", "sub $8, %rsp\n mov %edi, %eax\n add $8, %rsp\n ret\n");
#elif defined(__aarch64__)
TRIAL("trial_short", "%function", "stp x29, x30, [sp, #-16]!\n ldp x29, x30, [sp], #16\n ret\n");
TRIAL("trial_long", "%function", "stp x29, x30, [sp, #-16]!\n ldp x29, x30, [sp], #16\n ret\n");
#endif /* of another machine it is not known what functions begin with */

/* Where it lies in the file of this program. */
static uint64_t trial_offset(int (*function)(int))
{
	uint64_t address = (uintptr_t)function, found = 0;
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];

	while (f && !found && fgets(line, sizeof(line), f)) {
		char *end;
		uint64_t from = strtoull(line, &end, 16), to = *end == '-' ? strtoull(end + 1, &end, 16) : 0;
		if (address < from || address >= to)
			continue;
		end = strchr(end + 1, ' '); /* behind the permissions */
		found = end ? strtoull(end + 1, NULL, 16) + (address - from) : 0;
	}
	if (f)
		fclose(f);
	return found;
}

/* The best of some rounds: the first traps of a process cost much more, and others have the CPU in between. */
static uint64_t trial_time(int (*volatile call)(int))
{
	uint64_t best = UINT64_MAX;

	for (int round = 0; round < TRIAL_ROUNDS; round++) {
		uint64_t begin = clock_ns(CLOCK_MONOTONIC);
		for (int i = 0; i < TRIAL_CALLS; i++)
			call(i);
		uint64_t took = clock_ns(CLOCK_MONOTONIC) - begin;
		best = took < best ? took : best;
	}
	return best;
}

/* What a call with probes on its entry and its return takes longer than without. */
static int trial_measure(enum uprobe_way way, int prog, int (*function)(int), uint64_t *ret_ns)
{
	struct uprobe_place place = { .path = "/proc/self/exe", .n = 1, .offsets = { trial_offset(function) } };
	struct uprobe entry = { .n = 0 }, back = { .n = 0 };
	uint64_t free_ns = trial_time(function);
	int err = uprobe_attach(way, prog, &place, false, &entry);

	if (!err)
		err = uprobe_attach(way, prog, &place, true, &back);
	if (!err) {
		uint64_t trapped_ns = trial_time(function);
		*ret_ns = trapped_ns > free_ns ? (trapped_ns - free_ns) / TRIAL_CALLS : 0;
	}
	uprobe_detach((struct uprobe *[]){ &entry, &back }, 2, NULL, 0, NULL);
	return err;
}

int uprobe_try(enum uprobe_way way, struct uprobe_cost *ret_cost)
{
	const struct bpf_insn nothing[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 }, { .code = BPF_JMP | BPF_EXIT } };
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = way == UPROBE_MULTI ? (enum bpf_attach_type)UPROBE_MULTI_ATTACH : (enum bpf_attach_type)0);
	uint64_t short_ns = 0, long_ns = 0;

	int prog = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "plumb_try", "GPL", nothing, 2, &opts);
	if (prog < 0)
		return prog;
	int err = trial_measure(way, prog, trial_short, &short_ns);
	if (!err)
		err = trial_measure(way, prog, trial_long, &long_ns);
	close(prog);
	if (err)
		return err;
	ret_cost->short_ns = short_ns / 2 + 1;
	ret_cost->long_ns = long_ns > ret_cost->short_ns ? long_ns - ret_cost->short_ns : ret_cost->short_ns; /* its return is a short one */
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * empty_uprobes FILE: programs that do nothing at the entries and returns of functions of a library at which plumb has its own, until it is told to stop. What they cost is the least that any tracer of
 * such calls costs. Prints "ready" when all are attached.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe/known.h"
#include "probe/uprobe.h"

/* A way of uprobe.h that works here, and the program for it; negative errno. */
static int program(enum uprobe_way way)
{
	static const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = way == UPROBE_MULTI ? (enum bpf_attach_type)UPROBE_MULTI_ATTACH : (enum bpf_attach_type)0);

	return bpf_prog_load(BPF_PROG_TYPE_KPROBE, "empty", "GPL", nothing, sizeof(nothing) / sizeof(nothing[0]), &opts);
}

static int attach(enum uprobe_way way, const char *path, const struct known_functions *k, bool returns)
{
	struct uprobe_place place = { .path = path };
	struct uprobe u;

	for (size_t i = 0; i < k->n; i++)
		if (returns ? k->places[i].returns : k->places[i].entry)
			place.offsets[place.n++] = k->places[i].offset;
	int prog = program(way);
	return prog < 0 ? prog : uprobe_attach(way, prog, &place, returns, &u);
}

int main(int argc, char **argv)
{
	static struct known_functions k;
	enum uprobe_way way = UPROBE_MULTI;
	struct uprobe_cost cost;
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	int err = fd < 0 ? -EBADF : known_find(fd, KNOWN_TLS, &k);
	if (!err && !k.n)
		err = -ENOENT;
	if (!err && uprobe_try(way, &cost))
		way = UPROBE_PERF;
	if (!err)
		err = attach(way, argv[1], &k, true);
	if (!err)
		err = attach(way, argv[1], &k, false);
	if (err) {
		fprintf(stderr, "empty_uprobes: %s: %s\n", argc == 2 ? argv[1] : "usage: empty_uprobes FILE", strerror(-err));
		return 1;
	}
	puts("ready");
	fflush(stdout);
	sigwait(&set, &sig);
	return 0;
}

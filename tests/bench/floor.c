/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floor HOOK…: programs that do nothing at the given BTF tracepoints, until it is told to stop. What they cost is the least that any
 * tracer at these hooks costs. Prints "ready" when all are attached.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* return 0; */
static const struct bpf_insn nothing[] = {
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
	{ .code = BPF_JMP | BPF_EXIT },
};

/* The link, which ends with the process; negative errno. */
static int attach(const char *hook)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_RAW_TP);
	int id = libbpf_find_vmlinux_btf_id(hook, BPF_TRACE_RAW_TP);

	if (id < 0)
		return id;
	opts.attach_btf_id = (__u32)id;
	int prog = bpf_prog_load(BPF_PROG_TYPE_TRACING, "floor", "GPL", nothing, sizeof(nothing) / sizeof(nothing[0]), &opts);
	if (prog < 0)
		return prog;
	int link = bpf_raw_tracepoint_open(NULL, prog);
	close(prog); /* the link holds it */
	return link;
}

int main(int argc, char **argv)
{
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 1; i < argc; i++) {
		int err = attach(argv[i]);
		if (err < 0) {
			fprintf(stderr, "floor: %s: %s\n", argv[i], strerror(-err));
			return 1;
		}
	}
	puts("ready");
	fflush(stdout);
	sigwait(&set, &sig);
	return 0;
}

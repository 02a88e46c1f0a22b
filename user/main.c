/* SPDX-License-Identifier: Apache-2.0 */
/* The command table, nothing else. */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"

static const struct command commands[] = {
	{ "replay", cmd_replay, "spans of a recording or packet capture" },
	{ "trace", cmd_trace, "spans of live traffic" },
	{ "version", cmd_version, "version of this build" },
};

static void usage(FILE *out)
{
	fputs("usage: plumb COMMAND [OPTIONS]\n\n", out);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].help);
	fputs("\n`plumb COMMAND --help` says more.\n", out);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "--help";

	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		usage(stdout);
		return 0;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "plumb: no command '%s'\n", name);
	usage(stderr);
	return 2;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The command table, nothing else. */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "config/settings.h"

static const struct command commands[] = {
	{ "run", cmd_run, "node agent: metrics, and spans to a collector or the terminal" },
	{ "trace", cmd_trace, "spans of live traffic on the terminal" },
	{ "record", cmd_record, "live traffic into a file" },
	{ "replay", cmd_replay, "spans of a recording or packet capture" },
	{ "doctor", cmd_doctor, "what this machine allows, and what a running agent lost" },
	{ "config", cmd_config, "defaults and checks of the configuration file" },
	{ "version", cmd_version, "version of this build" },
};

static void usage(FILE *out)
{
	fputs("usage: plumb COMMAND [OPTIONS]\n\n", out);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].help);
	fputs("\n`sudo plumb trace` shows at once what this machine's services say to each other.\n`plumb COMMAND --help` says more.\n", out);
}

int main(int argc, char **argv)
{
	struct settings_nearest nearest = { .wanted = argc > 1 ? argv[1] : "--help" };

	if (strcmp(nearest.wanted, "--help") == 0 || strcmp(nearest.wanted, "-h") == 0 || strcmp(nearest.wanted, "help") == 0) {
		usage(stdout);
		return 0;
	}
	if (strcmp(nearest.wanted, "--version") == 0)
		return cmd_version(argc - 1, argv + 1);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(nearest.wanted, commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
		settings_nearest_try(&nearest, commands[i].name);
	}
	if (nearest.best[0])
		fprintf(stderr, "plumb: no command '%s'; did you mean '%s'?\n", nearest.wanted, nearest.best);
	else
		fprintf(stderr, "plumb: no command '%s'\n", nearest.wanted);
	fputs("Try `plumb --help`.\n", stderr);
	return 2;
}

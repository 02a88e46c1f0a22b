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

/* NULL after a message. */
static const struct command *find(const char *name)
{
	struct settings_nearest nearest = { .wanted = name };

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
		settings_nearest_try(&nearest, commands[i].name);
	}
	if (nearest.best[0])
		fprintf(stderr, "plumb: no command '%s'; did you mean '%s'?\n", name, nearest.best);
	else
		fprintf(stderr, "plumb: no command '%s'\n", name);
	fputs("Try `plumb --help`.\n", stderr);
	return NULL;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "--help";
	bool help = strcmp(word, "help") == 0;

	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || (help && argc == 2)) {
		usage(stdout);
		return 0;
	}
	if (strcmp(word, "--version") == 0)
		return cmd_version(argc - 1, argv + 1);
	const struct command *c = find(help ? argv[2] : word);
	if (!c)
		return 2;
	/* `plumb help COMMAND` is `plumb COMMAND --help`. */
	char option[] = "--help", *words[] = { argv[argc > 2 ? 2 : 1], option, NULL };
	return help ? c->run(2, words) : c->run(argc - 1, argv + 1);
}

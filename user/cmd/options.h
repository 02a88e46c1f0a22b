/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of every command, and the settings that result: the options are those of config/settings.def, so that all commands spell them alike. */
#ifndef PLUMB_CMD_OPTIONS_H
#define PLUMB_CMD_OPTIONS_H

#include "config/settings.h"

enum { OPTIONS_GO = -1 };

struct options_usage {
	const char *name;      /* of the command */
	unsigned commands;     /* its SETTING_* bit */
	const char *synopsis;  /* behind the name: "[OPTIONS] [-- COMMAND…]" */
	const char *about;     /* paragraph below the usage line */
	const char *examples;  /* lines, indented by two */
	size_t min_args, max_args; /* words that are no options */
	bool takes_command;    /* -- COMMAND ARGUMENTS */
	bool ambient;          /* /etc/plumb/plumb.yaml and OTEL_* count; otherwise --config and options alone */
};

enum { OPTIONS_ARGS_MAX = 4 };

struct options {
	struct settings *settings;  /* owned */
	const char *args[OPTIONS_ARGS_MAX];
	size_t nargs;
	char *const *command;       /* NULL without */
};

/* OPTIONS_GO, or the exit status with which to end: --help was asked for (0), wrong use (2; said on standard error), 1. */
int options_parse(struct options *o, const struct options_usage *u, int argc, char **argv);
void options_done(struct options *o);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The commands: one file each. They return the exit status: 0, 1 for failure, 2 for a wrong call. */
#ifndef PLUMB_CMD_CMD_H
#define PLUMB_CMD_CMD_H

struct command {
	const char *name;
	int (*run)(int argc, char **argv); /* argv[0] is the command's name */
	const char *help;                  /* one line */
};

int cmd_config(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_record(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_version(int argc, char **argv);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOT_RUN = 126, NOT_FOUND = 127 }; /* as the shell, env(1) and nohup(1) say it */

/* In the child. Never returns. */
static void command_main(char *const *argv, int gate)
{
	sigset_t none;
	char go;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	if (read(gate, &go, 1) != 1)
		_exit(NOT_RUN);
	execvp(argv[0], argv);
	int err = errno;
	fprintf(stderr, "plumb: cannot run %s: %s\n", argv[0], strerror(err));
	_exit(err == ENOENT ? NOT_FOUND : NOT_RUN);
}

int command_start(char *const *argv, struct loaded *loaded, pid_t *ret_pid)
{
	int gate[2], err;

	if (pipe2(gate, O_CLOEXEC))
		return -errno;
	pid_t pid = fork();
	if (pid < 0) {
		err = -errno;
		goto out;
	}
	if (pid == 0) {
		close(gate[1]);
		command_main(argv, gate[0]);
	}
	err = loaded_set_tree(loaded, (uint32_t)pid, PLUMB_TREE_IN);
	if (!err && write(gate[1], "g", 1) != 1)
		err = -errno;
	if (!err)
		*ret_pid = pid;
out:
	close(gate[0]);
	close(gate[1]); /* of one that is not let through: it ends */
	return err;
}

int command_status(int wait_status)
{
	return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

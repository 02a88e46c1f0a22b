/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the engine gives up before it reads its first byte: user, groups, capabilities, new privileges, the file system but for a few files, and every system call that
 * it does not need. Each step that this kernel or these privileges do not allow is reported, not ignored.
 *
 * And what a child of the probe gives up that reads one file: more, as it needs less.
 */
#ifndef PLUMB_PROBE_SANDBOX_H
#define PLUMB_PROBE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

enum { SANDBOX_PATHS_MAX = 16 };

struct sandbox_options {
	const char *user;                           /* NULL = "plumb" if there is such a user, else nobody */
	const char *writable[SANDBOX_PATHS_MAX];    /* directories, must exist: spool, store. NULL-terminated */
	const char *readable[SANDBOX_PATHS_MAX];    /* files and directories besides the built-in ones (name resolution, CA certificates) */
};

struct sandbox_report {
	bool own_user, no_capabilities, own_root, landlock, seccomp;
	char user[32];
};

/* Irreversible. A step that must work (user, capabilities, no_new_privs, seccomp; and one of own_root and landlock) fails the call. */
int sandbox_enter(const struct sandbox_options *o, struct sandbox_report *ret_report, char *ret_error, size_t error_len);
/* Gives directories of `writable` to the engine's user. Before the fork, with privileges. */
int sandbox_prepare(const struct sandbox_options *o, char *ret_error, size_t error_len);
/* Irreversible: no capabilities, and no system call but those that read what is open, answer and take memory. Negative errno: it has rights that it should not have. */
int sandbox_enter_reader(void);

#endif

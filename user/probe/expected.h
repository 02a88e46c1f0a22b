/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that a program which is about to be started is likely to map: its own, and the libraries of this machine that plumb knows. With probes on them before it begins it is seen from its first call on; one
 * that calls at once, such as curl, is done before a file that it maps has been read.
 */
#ifndef PLUMB_PROBE_EXPECTED_H
#define PLUMB_PROBE_EXPECTED_H

/* Calls fn for each, once, by a name without links. command: as execvp(3) takes it; NULL = libraries only. */
void expected_files(const char *command, void (*fn)(void *ctx, const char *path), void *ctx);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Result codes of SQLite: https://sqlite.org/rescode.html. The low byte is the primary code, the rest an extended one of it. */
#ifndef PLUMB_PROTO_CALLS_SQLITE_H
#define PLUMB_PROTO_CALLS_SQLITE_H

#include <stdbool.h>
#include <stdint.h>

/* SQLITE_OK with its extensions, SQLITE_ROW and SQLITE_DONE. */
bool sqlite_succeeded(int32_t code);
/* The name of the extended code if it has one, else of the primary one; NULL: it is no code of SQLite's. */
const char *sqlite_code_name(int32_t code);

#endif

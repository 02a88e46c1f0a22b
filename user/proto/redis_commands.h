/* SPDX-License-Identifier: Apache-2.0 */
/* Redis' commands: where the first key stands, and what must not be shown. https://redis.io/docs/latest/commands/ */
#ifndef PLUMB_PROTO_REDIS_COMMANDS_H
#define PLUMB_PROTO_REDIS_COMMANDS_H

#include "lib/slice.h"

#define REDIS_CONTAINER 1u /* the first argument is a subcommand */
#define REDIS_SECRET 2u    /* arguments may hold credentials: not even their number is shown */

struct redis_command {
	const char *name; /* upper case */
	uint8_t key;      /* argument that is the first key (or channel), 0 = none, or its place depends on other arguments */
	uint8_t flags;
};

/* By name in any case; NULL if unknown. */
const struct redis_command *redis_command_find(struct slice name);
/* Whether `word`, in any case, is a subcommand of the container `name`; any other may be a value. */
bool redis_subcommand_known(struct slice name, struct slice word);

#endif

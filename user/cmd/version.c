/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cmd/cmd.h"
#include "model/record.h"

int cmd_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("plumb %s (record ABI %d)\n", PLUMB_VERSION, PLUMB_ABI_VERSION);
	return 0;
}

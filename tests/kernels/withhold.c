/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a command of root's with few capabilities: withhold KEPT[,KEPT…] COMMAND… ("none": not even one). What is not in the bounding set
 * exec does not give.
 */
#include <cap-ng.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	bool keep[CAP_LAST_CAP + 1] = { false };

	if (argc < 3) {
		fprintf(stderr, "usage: withhold KEPT[,KEPT...] COMMAND...\n");
		return 2;
	}
	for (char *rest = argv[1], *name; (name = strsep(&rest, ","));) {
		int cap = capng_name_to_capability(name);
		if (cap >= 0 && cap <= CAP_LAST_CAP) {
			keep[cap] = true;
		} else if (strcmp(name, "none") != 0) {
			fprintf(stderr, "withhold: no capability is called %s\n", name);
			return 2;
		}
	}
	/* Down to those that change the set: CAP_SETPCAP is looked up in the effective set, which stays until exec. A kernel may know fewer. */
	for (int cap = 0; cap <= CAP_LAST_CAP && prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (!keep[cap] && prctl(PR_CAPBSET_DROP, cap)) {
			perror("withhold: PR_CAPBSET_DROP");
			return 1;
		}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}

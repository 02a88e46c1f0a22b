/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "config/settings.h"

enum { NEAREST_LEN = 64 };

/* Levenshtein's distance; texts of at most NEAREST_LEN bytes. */
static size_t edit_distance(struct slice a, struct slice b)
{
	size_t row[NEAREST_LEN + 1];

	for (size_t j = 0; j <= b.len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t best = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[b.len];
}

void settings_nearest_try(struct settings_nearest *n, const char *name)
{
	struct slice wanted = slice_str(n->wanted), candidate = slice_str(name);

	if (wanted.len > NEAREST_LEN || candidate.len > NEAREST_LEN || candidate.len >= sizeof(n->best))
		return;
	size_t distance = edit_distance(wanted, candidate);
	size_t limit = wanted.len < 4 ? 1 : wanted.len / 4 + 1;
	if (distance > limit || (n->best[0] && distance >= n->distance))
		return;
	n->distance = distance;
	snprintf(n->best, sizeof(n->best), "%s", name);
}

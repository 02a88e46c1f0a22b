/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/expected.h"

#include <glob.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/known.h"

enum { EXPECTED_MAX = 32 };

struct expected {
	char *paths[EXPECTED_MAX];
	size_t n;
};

static void expected_add(struct expected *e, const char *path)
{
	char *real = realpath(path, NULL);

	for (size_t i = 0; real && i < e->n; i++)
		if (strcmp(e->paths[i], real) == 0) {
			free(real);
			return;
		}
	if (real && e->n < EXPECTED_MAX)
		e->paths[e->n++] = real;
	else
		free(real);
}

/* Where execvp(3) finds it. */
static void expected_command(struct expected *e, const char *command)
{
	const char *dirs = getenv("PATH");
	char path[PATH_MAX];

	if (strchr(command, '/')) {
		expected_add(e, command);
		return;
	}
	for (dirs = dirs ? dirs : "/usr/local/bin:/usr/bin:/bin"; *dirs;) {
		int len = (int)strcspn(dirs, ":");
		if (snprintf(path, sizeof(path), "%.*s/%s", len ? len : 1, len ? dirs : ".", command) < (int)sizeof(path) && access(path, X_OK) == 0) {
			expected_add(e, path);
			return;
		}
		dirs += len + (dirs[len] == ':');
	}
}

/* Where distributions and `make install` put libraries. */
static void expected_libraries(struct expected *e)
{
	static const char *const dirs[] = { "/usr/lib/*-linux-gnu*", "/usr/lib64", "/usr/lib", "/usr/local/lib64", "/usr/local/lib" };
	const char *name;
	char pattern[128];

	for (size_t i = 0; known_file(i, &name); i++)
		for (size_t d = 0; name && d < sizeof(dirs) / sizeof(dirs[0]); d++) {
			glob_t found;
			snprintf(pattern, sizeof(pattern), "%s/%s", dirs[d], name);
			if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0)
				for (size_t p = 0; p < found.gl_pathc; p++)
					expected_add(e, found.gl_pathv[p]);
			globfree(&found);
		}
}

void expected_files(const char *command, void (*fn)(void *ctx, const char *path), void *ctx)
{
	struct expected e = { .n = 0 };

	if (command)
		expected_command(&e, command);
	expected_libraries(&e);
	for (size_t i = 0; i < e.n; i++) {
		fn(ctx, e.paths[i]);
		free(e.paths[i]);
	}
}

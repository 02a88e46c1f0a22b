/* SPDX-License-Identifier: Apache-2.0 */
/* plumb config: what may stand in the configuration file, and whether a file is right. */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "config/settings.h"
#include "lib/log.h"

enum { TEXT_MAX = 1 << 20 };

static const char help[] =
	"usage: plumb config defaults        print a file with every key, its default and its meaning\n"
	"       plumb config check FILE      say what is wrong in FILE; exit status 2 if anything is\n"
	"       plumb config reference       print the tables of docs/configuration.md\n\n"
	"Examples:\n"
	"  plumb config defaults > /etc/plumb/plumb.yaml\n"
	"  plumb config check /etc/plumb/plumb.yaml && systemctl restart plumb\n";

static int print(int (*fn)(struct buffer *))
{
	struct buffer out;

	buffer_init(&out, TEXT_MAX);
	int err = fn(&out);
	if (err)
		log_error("config: %s", strerror(-err));
	else if (fwrite(out.data, 1, out.len, stdout) != out.len || fflush(stdout))
		err = -1;
	buffer_done(&out);
	return err ? 1 : 0;
}

static void report(void *ctx, const char *message)
{
	(void)ctx;
	fprintf(stderr, "%s\n", message);
}

static int check(const char *path)
{
	struct settings *s;

	if (settings_new(&s)) {
		log_error("out of memory");
		return 1;
	}
	int err = settings_load_file(s, path, report, NULL);
	settings_free(s);
	if (err)
		return 2;
	printf("%s: ok\n", path);
	return 0;
}

static int wrong(const char *verb, int words)
{
	static const struct { const char *name; int words; } verbs[] = { { "defaults", 2 }, { "check", 3 }, { "reference", 2 } };
	struct settings_nearest nearest = { .wanted = verb };

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verb, verbs[i].name) == 0) {
			fprintf(stderr, "plumb config: %s\nTry `plumb config --help`.\n",
				words > verbs[i].words ? "too many words" : "a word is missing: plumb config check FILE");
			return 2;
		}
		settings_nearest_try(&nearest, verbs[i].name);
	}
	if (!verb[0])
		fputs(help, stderr);
	else if (nearest.best[0])
		fprintf(stderr, "plumb config: unknown word '%.100s'; did you mean '%s'?\nTry `plumb config --help`.\n", verb, nearest.best);
	else
		fprintf(stderr, "plumb config: unknown word '%.100s'\nTry `plumb config --help`.\n", verb);
	return 2;
}

int cmd_config(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			fputs(help, stdout);
			return 0;
		}
	if (strcmp(verb, "defaults") == 0 && argc == 2)
		return print(settings_print_yaml);
	if (strcmp(verb, "reference") == 0 && argc == 2)
		return print(settings_print_markdown);
	if (strcmp(verb, "check") == 0 && argc == 3)
		return check(argv[2]);
	return wrong(verb, argc);
}

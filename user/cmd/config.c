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

int cmd_config(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0) {
		fputs(help, stdout);
		return 0;
	}
	if (strcmp(verb, "defaults") == 0 && argc == 2)
		return print(settings_print_yaml);
	if (strcmp(verb, "reference") == 0 && argc == 2)
		return print(settings_print_markdown);
	if (strcmp(verb, "check") == 0 && argc == 3)
		return check(argv[2]);
	fputs(help, stderr);
	return 2;
}

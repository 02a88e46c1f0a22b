/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

struct parser {
	const struct options_usage *usage;
	struct options *o;
	const char *config; /* --config */
	bool help;
};

static void print_option(const struct setting_def *d)
{
	char left[64], letter[8] = "    ";

	if (d->letter)
		snprintf(letter, sizeof(letter), "-%c, ", d->letter);
	snprintf(left, sizeof(left), "%s--%s%s%s", letter, d->option, d->arg[0] ? " " : "", d->arg);
	/* The meaning is folded at 100 columns, below itself. */
	size_t column = (size_t)printf("  %-26s ", left), indent = 29;
	for (struct slice rest = slice_str(d->help); rest.len;) {
		size_t space = slice_find(rest, ' ', 0);
		struct slice word = slice_head(rest, space == SIZE_MAX ? rest.len : space);
		rest = slice_from(rest, word.len + 1);
		bool first = column <= indent, fold = !first && column + 1 + word.len > 99;
		if (fold)
			printf("\n%*s", (int)indent, "");
		else if (!first)
			putchar(' ');
		column = (fold ? indent : column + !first) + word.len;
		printf("%.*s", (int)word.len, (const char *)word.ptr);
	}
	putchar('\n');
}

static void print_help(const struct options_usage *u)
{
	printf("usage: plumb %s %s\n\n%s\n", u->name, u->synopsis, u->about);
	for (int i = 0; i < SETTING_COUNT; i++)
		if (setting_defs[i].option[0] && (setting_defs[i].commands & u->commands))
			print_option(&setting_defs[i]);
	printf("      --config FILE          read settings from this file%s\n"
	       "      --set KEY=VALUE        any setting of the file (`plumb config defaults` lists them)\n"
	       "  -h, --help                 this text\n\nExamples:\n%s",
	       u->ambient ? " instead of " PLUMB_CONFIG_FILE : "", u->examples);
}

static int wrong(const struct parser *p, const char *message)
{
	fprintf(stderr, "plumb %s: %s\nTry `plumb %s --help`.\n", p->usage->name, message, p->usage->name);
	return 2;
}

static int find_option(const struct parser *p, struct slice name)
{
	for (int i = 0; i < SETTING_COUNT; i++)
		if ((setting_defs[i].commands & p->usage->commands) && setting_defs[i].option[0] && slice_eq(name, slice_str(setting_defs[i].option)))
			return i;
	return -1;
}

static int find_letter(const struct parser *p, char letter)
{
	for (int i = 0; i < SETTING_COUNT; i++)
		if ((setting_defs[i].commands & p->usage->commands) && setting_defs[i].letter == letter)
			return i;
	return -1;
}

static int unknown_option(const struct parser *p, const char *word)
{
	static const char *const others[] = { "--config", "--set", "--help" };
	struct settings_nearest nearest = { .wanted = word };
	char name[96], message[320];

	for (int i = 0; i < SETTING_COUNT; i++) {
		if (!setting_defs[i].option[0] || !(setting_defs[i].commands & p->usage->commands))
			continue;
		snprintf(name, sizeof(name), "--%s", setting_defs[i].option);
		settings_nearest_try(&nearest, name);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		settings_nearest_try(&nearest, others[i]);
	if (nearest.best[0])
		snprintf(message, sizeof(message), "unknown option '%.100s'; did you mean '%s'?", word, nearest.best);
	else
		snprintf(message, sizeof(message), "unknown option '%.100s'", word);
	return wrong(p, message);
}

static int set_option(const struct parser *p, int id, const char *value)
{
	char error[512];
	int err = settings_set(p->o->settings, (enum setting_id)id, value, ORIGIN_OPTION, error, sizeof(error));

	if (err == -ENOMEM) {
		log_error("out of memory");
		return 1;
	}
	return err ? wrong(p, error) : OPTIONS_GO;
}

static int set_assignment(const struct parser *p, const char *text)
{
	const char *equals = strchr(text, '=');
	char key[160], error[512];

	if (!equals || (size_t)(equals - text) >= sizeof(key))
		return wrong(p, "--set wants KEY=VALUE");
	snprintf(key, sizeof(key), "%.*s", (int)(equals - text), text);
	return settings_set_key(p->o->settings, key, equals + 1, ORIGIN_OPTION, error, sizeof(error)) ? wrong(p, error) : OPTIONS_GO;
}

/* The value of an option: behind '=', or the next word. */
static const char *value_of(const char *inline_value, int argc, char **argv, int *i)
{
	if (inline_value)
		return inline_value;
	return *i + 1 < argc ? argv[++*i] : NULL;
}

static int parse_long(struct parser *p, int argc, char **argv, int *i)
{
	const char *word = argv[*i], *equals = strchr(word, '='), *value = equals ? equals + 1 : NULL;
	struct slice name = slice_make(word + 2, equals ? (size_t)(equals - word - 2) : strlen(word + 2));
	char whole[128], message[192];

	snprintf(whole, sizeof(whole), "--%.*s", (int)slice_head(name, 100).len, (const char *)name.ptr);
	if (slice_eq(name, SLICE_LIT("help"))) {
		p->help = true;
		return OPTIONS_GO;
	}
	int id = find_option(p, name);
	bool is_config = slice_eq(name, SLICE_LIT("config")), is_set = slice_eq(name, SLICE_LIT("set"));
	if (id < 0 && !is_config && !is_set)
		return unknown_option(p, whole);
	if (id >= 0 && setting_defs[id].type == SETTING_TYPE_BOOL)
		return set_option(p, id, value ? value : "true");
	value = value_of(value, argc, argv, i);
	if (!value) {
		snprintf(message, sizeof(message), "%s wants a value", whole);
		return wrong(p, message);
	}
	if (is_config) {
		p->config = value;
		return OPTIONS_GO;
	}
	return is_set ? set_assignment(p, value) : set_option(p, id, value);
}

static int parse_short(struct parser *p, int argc, char **argv, int *i)
{
	const char *word = argv[*i];
	char whole[3] = { '-', word[1], 0 }, message[64];

	if (strcmp(word, "-h") == 0) {
		p->help = true;
		return OPTIONS_GO;
	}
	int id = find_letter(p, word[1]);
	if (id < 0)
		return unknown_option(p, word);
	const char *value = value_of(word[2] ? word + 2 : NULL, argc, argv, i);
	if (!value) {
		snprintf(message, sizeof(message), "%s wants a value", whole);
		return wrong(p, message);
	}
	return set_option(p, id, value);
}

static int parse_word(struct parser *p, const char *word)
{
	char message[256];

	if (p->o->nargs == p->usage->max_args) {
		snprintf(message, sizeof(message), p->usage->takes_command ? "unexpected '%.100s'; a command to run stands behind --" : "unexpected '%.100s'", word);
		return wrong(p, message);
	}
	p->o->args[p->o->nargs++] = word;
	return OPTIONS_GO;
}

static int parse_words(struct parser *p, int argc, char **argv)
{
	int status = OPTIONS_GO;

	for (int i = 1; i < argc && status == OPTIONS_GO; i++) {
		if (strcmp(argv[i], "--") == 0) {
			if (!p->usage->takes_command)
				return wrong(p, "unexpected '--'");
			if (i + 1 == argc)
				return wrong(p, "a command is missing behind --");
			p->o->command = argv + i + 1;
			return OPTIONS_GO;
		}
		if (strncmp(argv[i], "--", 2) == 0)
			status = parse_long(p, argc, argv, &i);
		else if (argv[i][0] == '-' && argv[i][1])
			status = parse_short(p, argc, argv, &i);
		else
			status = parse_word(p, argv[i]);
	}
	return status;
}

static void report_error(void *ctx, const char *message)
{
	(void)ctx;
	log_error("%s", message);
}

static void report_warning(void *ctx, const char *message)
{
	(void)ctx;
	log_warn("%s", message);
}

static const char *get_environment(void *ctx, const char *name)
{
	(void)ctx;
	return getenv(name);
}

/*
 * Takes secrets out of /proc/PID/environ, which shows the memory that execve(2) filled: the variables move to the heap, so that a command of the operator's still
 * gets them.
 */
static int hide_environment(void)
{
	const char *name;

	for (size_t i = 0; (name = settings_secret_variable(i)); i++) {
		char *value = getenv(name), *copy = value ? strdup(value) : NULL;
		if (!value)
			continue;
		if (!copy || setenv(name, copy, 1)) {
			free(copy);
			return -ENOMEM;
		}
		explicit_bzero(value, strlen(value));
		explicit_bzero(copy, strlen(copy));
		free(copy);
	}
	return 0;
}

/* The command line was parsed first, so that it names the file; its values outrank what follows. */
static int load(const struct parser *p)
{
	const char *path = p->config;
	struct settings *s = p->o->settings;

	if (!path && p->usage->ambient && access(PLUMB_CONFIG_FILE, F_OK) == 0)
		path = PLUMB_CONFIG_FILE;
	if (path && settings_load_file(s, path, report_error, NULL))
		return 2;
	if ((p->usage->ambient && (settings_load_environment(s, get_environment, NULL, report_warning, NULL) || hide_environment())) || settings_settle(s)) {
		log_error("out of memory");
		return 1;
	}
	return OPTIONS_GO;
}

static void apply_log_level(const struct settings *s)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };

	for (int i = 0; i < 4; i++)
		if (strcmp(settings_str(s, SETTING_LOG_LEVEL), names[i]) == 0)
			log_set_level((enum log_level)i);
}

static int missing_word(const struct parser *p)
{
	char message[256];

	snprintf(message, sizeof(message), "a word is missing: plumb %s %s", p->usage->name, p->usage->synopsis);
	return wrong(p, message);
}

int options_parse(struct options *o, const struct options_usage *u, int argc, char **argv)
{
	struct parser p = { .usage = u, .o = o };

	*o = (struct options){ .nargs = 0 };
	if (settings_new(&o->settings)) {
		log_error("out of memory");
		return 1;
	}
	int status = parse_words(&p, argc, argv);
	if (status == OPTIONS_GO && p.help) {
		print_help(u);
		status = 0;
	}
	if (status == OPTIONS_GO && o->nargs < u->min_args)
		status = missing_word(&p);
	if (status == OPTIONS_GO)
		status = load(&p);
	if (status == OPTIONS_GO)
		apply_log_level(o->settings);
	else
		options_done(o);
	return status;
}

void options_done(struct options *o)
{
	settings_free(o->settings);
	o->settings = NULL;
}

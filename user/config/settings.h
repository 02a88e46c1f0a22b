/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the operator wants, from four places, later ones win: defaults, one YAML file, OpenTelemetry's environment variables, the command line. Every value is checked
 * for type and range when it is set, so that readers need not. The tables are settings.def and the sinks' options.
 *
 * Environment: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and …/protocol/exporter/. As they ask, an empty variable is
 * an unset one, and one that makes no sense is reported and ignored.
 */
#ifndef PLUMB_CONFIG_SETTINGS_H
#define PLUMB_CONFIG_SETTINGS_H

#include "lib/buffer.h"
#include "sink/sink.h"

#define PLUMB_CONFIG_FILE "/etc/plumb/plumb.yaml"

enum setting_id {
#define SETTING(ID, ...) SETTING_##ID,
#include "config/settings.def"
#undef SETTING
	SETTING_COUNT,
};

enum setting_type { SETTING_TYPE_STR, SETTING_TYPE_BOOL, SETTING_TYPE_INT, SETTING_TYPE_SHARE, SETTING_TYPE_DURATION, SETTING_TYPE_SIZE, SETTING_TYPE_POWER, SETTING_TYPE_LIST, SETTING_TYPE_INTS };

/* Commands that have an option: bits. */
enum { SETTING_RUN = 1, SETTING_TRACE = 2, SETTING_RECORD = 4, SETTING_REPLAY = 8 };

enum setting_origin { ORIGIN_DEFAULT, ORIGIN_FILE, ORIGIN_ENVIRONMENT, ORIGIN_OPTION };

struct setting_def {
	const char *key;      /* "" = not in the file */
	const char *option;   /* "" = no option of its own */
	char letter;
	const char *arg;
	enum setting_type type;
	const char *value;    /* default; of lists always "" */
	int64_t min, max;
	const char *choices;  /* "a|b|", "" = any */
	unsigned commands;
	const char *variable;
	const char *help;
};
extern const struct setting_def setting_defs[SETTING_COUNT];

struct settings;

/* One line for the operator, without newline. */
typedef void (*settings_report_fn)(void *ctx, const char *message);

int settings_new(struct settings **ret_settings); /* all defaults */
void settings_free(struct settings *s);

/*
 * Sets one value; a list gets one more item, after the first call from an origin has emptied it. A value of a lower origin than the present one is checked and dropped.
 * -EINVAL with a sentence in ret_error, -ENOMEM.
 */
int settings_set(struct settings *s, enum setting_id id, const char *value, enum setting_origin origin, char *ret_error, size_t error_len);
/* The same by key, sinks' options included; lists: items separated by commas. -ENOENT: no such key, ret_error names the nearest. */
int settings_set_key(struct settings *s, const char *key, const char *value, enum setting_origin origin, char *ret_error, size_t error_len);

/* Everything wrong in the file is reported as FILE:LINE: sentence. -EINVAL if there was anything, -ENOENT and other errors of open(2) also reported. */
int settings_load_file(struct settings *s, const char *path, settings_report_fn report, void *ctx);
/* The same for text that is in memory; `name` is the FILE of reports. */
int settings_load_text(struct settings *s, const char *name, struct slice text, settings_report_fn report, void *ctx);
/* Reports variables that it ignores; their values are not shown where they may be secrets. -ENOMEM. */
int settings_load_environment(struct settings *s, const char *(*get)(void *ctx, const char *name), void *get_ctx, settings_report_fn report, void *ctx);
/* The i-th variable that may hold a secret (a token in a header, a password in a URL); NULL behind the last. */
const char *settings_secret_variable(size_t i);
/*
 * After the last source: a traces_endpoint that comes from a lower origin than the endpoint is dropped (--otlp wins over OTEL_EXPORTER_OTLP_TRACES_ENDPOINT;
 * from one and the same origin the special one wins). -ENOMEM.
 */
int settings_settle(struct settings *s);

const char *settings_str(const struct settings *s, enum setting_id id);
bool settings_bool(const struct settings *s, enum setting_id id);
uint64_t settings_number(const struct settings *s, enum setting_id id); /* INT, DURATION in ms, SIZE in bytes */
double settings_share(const struct settings *s, enum setting_id id);
/* Items of a list, NULL-terminated; never NULL. */
const char *const *settings_list(const struct settings *s, enum setting_id id, size_t *ret_count);
enum setting_origin settings_origin(const struct settings *s, enum setting_id id);

/* In the order of ops->options, as sink_config.values wants them; valid until the next change. */
const char *const *settings_sink_values(const struct settings *s, const struct sink_ops *ops);
/* One of them; NULL if there is no such option. */
const char *settings_sink_value(const struct settings *s, const char *sink, const char *option);
/* Where the sink's options come from, the highest. */
enum setting_origin settings_sink_origin(const struct settings *s, const char *sink, const char *option);

/* The nearest of the names that differs little enough to be a slip of the pen, or NULL. */
struct settings_nearest {
	const char *wanted;
	char best[96]; /* "" = none so far */
	size_t distance;
};
void settings_nearest_try(struct settings_nearest *n, const char *name);

/* text.c: a file with every key, its default and its meaning; the same as a table in Markdown. */
int settings_print_yaml(struct buffer *out);
int settings_print_markdown(struct buffer *out);
enum { SETTINGS_ALLOWED_MAX = 512 }; /* room for what a setting takes: the names of all protocols are the longest */
/* Sentence about the values that a setting takes, as in errors and documentation: "a duration from 100ms to 1h". */
void settings_print_allowed(const struct setting_def *d, char *ret_text, size_t len);

#endif

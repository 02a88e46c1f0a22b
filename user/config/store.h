/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of struct settings, for the files of config/ alone. */
#ifndef PLUMB_CONFIG_STORE_H
#define PLUMB_CONFIG_STORE_H

#include "config/settings.h"

struct setting_value {
	char *text;    /* owned; NULL for lists */
	uint64_t number;
	double share;
	char **items;  /* owned, NULL-terminated; NULL when empty */
	size_t nitems;
	enum setting_origin origin;
};

struct sink_values {
	char **texts;  /* owned, in the order of the sink's options, NULL-terminated */
	enum setting_origin *origins;
};

struct settings {
	struct setting_value values[SETTING_COUNT];
	struct sink_values *sinks; /* in the order of sink_table */
	size_t nsinks;
};

/* By key; -ENOENT. */
int settings_find(const char *key);
int settings_find_sink_option(const char *key, size_t *ret_sink, size_t *ret_option);
/* OTEL_* variable that sets a sink's option (the one for all signals), "" none. */
const char *settings_sink_variable(const char *sink, const char *option);
/* Is value one of "a|b|"? Anything is of "". */
bool settings_is_choice(const char *choices, struct slice value);
/* "a|b|c|" as "a, b or c". */
void settings_print_choices(const char *choices, char *ret_text, size_t len);
/* The sentence for a key that does not exist. `groups`: the name may have been meant for a group's. */
void settings_unknown(const char *key, bool groups, char *ret_error, size_t error_len);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The tables as text: what values a setting takes, a commented file of defaults, the reference page. */
#include <stdio.h>

#include "config/store.h"

void settings_print_choices(const char *choices, char *ret_text, size_t len)
{
	struct slice all = slice_str(choices);
	size_t used = 0;

	ret_text[0] = '\0';
	while (all.len && used < len) {
		size_t end = slice_find(all, '|', 0);
		struct slice one = slice_head(all, end == SIZE_MAX ? all.len : end);
		all = slice_from(all, one.len + 1);
		int n = snprintf(ret_text + used, len - used, "%s%.*s", used == 0 ? "" : all.len ? ", " : " or ", (int)one.len, (const char *)one.ptr);
		used += n > 0 ? (size_t)n : 0;
	}
}

static const char *duration(int64_t ms, char *buf, size_t len)
{
	static const struct {
		int64_t ms;
		const char *unit;
	} units[] = { { 3600000, "h" }, { 60000, "m" }, { 1000, "s" }, { 1, "ms" } };
	size_t i = 0;

	while (ms % units[i].ms || !ms) {
		if (!ms)
			i = 3;
		if (units[i].ms == 1)
			break;
		i++;
	}
	snprintf(buf, len, "%lld%s", (long long)(ms / units[i].ms), units[i].unit);
	return buf;
}

static const char *size(int64_t bytes, char *buf, size_t len)
{
	static const char *const units[] = { "", "KiB", "MiB", "GiB" };
	size_t i = 0;

	while (i < 3 && bytes && bytes % 1024 == 0) {
		bytes /= 1024;
		i++;
	}
	snprintf(buf, len, "%lld%s", (long long)bytes, units[i]);
	return buf;
}

void settings_print_allowed(const struct setting_def *d, char *ret_text, size_t len)
{
	char low[32], high[32];

	switch (d->type) {
	case SETTING_TYPE_STR:
	case SETTING_TYPE_LIST:
		if (d->choices[0])
			settings_print_choices(d->choices, ret_text, len);
		else
			snprintf(ret_text, len, "a text of %lld to %lld characters", (long long)d->min, (long long)d->max);
		break;
	case SETTING_TYPE_BOOL: snprintf(ret_text, len, "true or false"); break;
	case SETTING_TYPE_SHARE: snprintf(ret_text, len, "a number from 0 to 1, or 0%% to 100%%"); break;
	case SETTING_TYPE_INT:
	case SETTING_TYPE_INTS: snprintf(ret_text, len, "a number from %lld to %lld", (long long)d->min, (long long)d->max); break;
	case SETTING_TYPE_DURATION:
		snprintf(ret_text, len, "a duration with its unit, from %s to %s (ms, s, m, h)", duration(d->min, low, sizeof(low)), duration(d->max, high, sizeof(high)));
		break;
	case SETTING_TYPE_SIZE:
	case SETTING_TYPE_POWER:
		snprintf(ret_text, len, "a size from %s to %s (KiB, MiB, GiB)%s", size(d->min, low, sizeof(low)), size(d->max, high, sizeof(high)),
			 d->type == SETTING_TYPE_POWER ? ", a power of two" : "");
		break;
	}
}

/* Comments are broken at 100 columns. */
static void print_comment(struct buffer *out, const char *indent, const char *text)
{
	size_t column = 0;

	for (struct slice rest = slice_str(text); rest.len;) {
		size_t space = slice_find(rest, ' ', 0);
		struct slice word = slice_head(rest, space == SIZE_MAX ? rest.len : space);
		rest = slice_from(rest, word.len + 1);
		if (column && column + 1 + word.len > 96) {
			buffer_append_byte(out, '\n');
			column = 0;
		}
		if (column == 0) {
			buffer_printf(out, "%s#", indent);
			column = strlen(indent) + 1;
		}
		buffer_append_byte(out, ' ');
		buffer_append_slice(out, word);
		column += 1 + word.len;
	}
	buffer_append_byte(out, '\n');
}

/* Texts in double quotes; what needs an escape does not occur in defaults but for these two. */
static void print_quoted(struct buffer *out, const char *text)
{
	buffer_append_byte(out, '"');
	for (const char *p = text; *p; p++) {
		if (*p == '"' || *p == '\\')
			buffer_append_byte(out, '\\');
		buffer_append_byte(out, (uint8_t)*p);
	}
	buffer_append_byte(out, '"');
}

static void print_setting(struct buffer *out, const struct setting_def *d, const char *name)
{
	char allowed[SETTINGS_ALLOWED_MAX], comment[SETTINGS_ALLOWED_MAX + 384];

	settings_print_allowed(d, allowed, sizeof(allowed));
	snprintf(comment, sizeof(comment), "%s. Takes %s%s.%s%s%s%s", d->help, d->type == SETTING_TYPE_LIST || d->type == SETTING_TYPE_INTS ? "a list, each " : "", allowed,
		 d->option[0] ? " Option: --" : "", d->option, d->variable[0] ? " Variable: " : "", d->variable);
	print_comment(out, "  ", comment);
	buffer_printf(out, "  %s: ", name);
	if (d->type == SETTING_TYPE_LIST || d->type == SETTING_TYPE_INTS)
		buffer_append_str(out, "[]");
	else if (d->type == SETTING_TYPE_STR)
		print_quoted(out, d->value);
	else
		buffer_append_str(out, d->value);
	buffer_append_byte(out, '\n');
}

static void sink_allowed(const struct sink_option *o, char *ret_text, size_t len)
{
	static const char *const types[] = {
		[SINK_OPT_STR] = "a text",
		[SINK_OPT_INT] = "a number",
		[SINK_OPT_BOOL] = "true or false",
		[SINK_OPT_DURATION_MS] = "a duration with its unit (ms, s, m, h)",
		[SINK_OPT_SIZE_BYTES] = "a size (KiB, MiB, GiB)",
	};

	if (o->type == SINK_OPT_STR && o->choices[0])
		settings_print_choices(o->choices, ret_text, len);
	else
		snprintf(ret_text, len, "%s", types[o->type]);
}

static void print_sink(struct buffer *out, const struct sink_ops *ops)
{
	char allowed[SETTINGS_ALLOWED_MAX], comment[SETTINGS_ALLOWED_MAX + 384];

	if (!ops->options || !ops->options[0].name)
		return;
	print_comment(out, "  ", ops->help);
	buffer_printf(out, "  %s:\n", ops->name);
	for (const struct sink_option *o = ops->options; o->name; o++) {
		const char *variable = settings_sink_variable(ops->name, o->name);
		sink_allowed(o, allowed, sizeof(allowed));
		snprintf(comment, sizeof(comment), "%s. Takes %s.%s%s", o->help, allowed, variable[0] ? " Variable: " : "", variable);
		print_comment(out, "    ", comment);
		buffer_printf(out, "    %s: ", o->name);
		if (o->type == SINK_OPT_STR)
			print_quoted(out, o->value);
		else
			buffer_append_str(out, o->value);
		buffer_append_byte(out, '\n');
	}
}

int settings_print_yaml(struct buffer *out)
{
	struct slice group = SLICE_NONE;

	buffer_append_str(out, "# plumb's configuration, every key with its default. Read from " PLUMB_CONFIG_FILE " or the file that --config names.\n"
			       "# OTEL_* variables win over this file, the command line over both.\n");
	for (int i = 0; i < SETTING_COUNT; i++) {
		const struct setting_def *d = &setting_defs[i];
		const char *dot = strchr(d->key, '.');
		if (!dot)
			continue;
		struct slice own = slice_make(d->key, (size_t)(dot - d->key));
		if (!slice_eq(own, group)) {
			buffer_append_byte(out, '\n');
			buffer_append_slice(out, own);
			buffer_append_str(out, ":\n");
			group = own;
		}
		print_setting(out, d, dot + 1);
	}
	buffer_append_str(out, "\nsinks:\n");
	for (size_t i = 0; sink_table[i]; i++)
		print_sink(out, sink_table[i]);
	return out->failed;
}

/* In a Markdown table a bar ends the cell. */
static void print_cell(struct buffer *out, const char *text)
{
	for (const char *p = text; *p; p++) {
		if (*p == '|')
			buffer_append_byte(out, '\\');
		buffer_append_byte(out, (uint8_t)*p);
	}
}

static void print_row(struct buffer *out, const char *key, const char *value, const char *allowed, const char *option, const char *variable, const char *help)
{
	buffer_printf(out, "| `%s` | %s%s%s | ", key, value[0] ? "`" : "", value, value[0] ? "`" : "");
	print_cell(out, allowed);
	buffer_printf(out, " | %s%s%s | %s%s%s | ", option[0] ? "`--" : "", option, option[0] ? "`" : "", variable[0] ? "`" : "", variable,
		      variable[0] ? "`" : "");
	print_cell(out, help);
	buffer_append_str(out, " |\n");
}

int settings_print_markdown(struct buffer *out)
{
	char allowed[SETTINGS_ALLOWED_MAX], item[SETTINGS_ALLOWED_MAX + 44], key[160];

	buffer_append_str(out, "| key | default | takes | option | variable | meaning |\n|---|---|---|---|---|---|\n");
	for (int i = 0; i < SETTING_COUNT; i++) {
		const struct setting_def *d = &setting_defs[i];
		if (!d->key[0])
			continue;
		settings_print_allowed(d, allowed, sizeof(allowed));
		snprintf(item, sizeof(item), "%s%s", d->type == SETTING_TYPE_LIST || d->type == SETTING_TYPE_INTS ? "list, each: " : "", allowed);
		print_row(out, d->key, d->value, item, d->option, d->variable, d->help);
	}
	for (size_t i = 0; sink_table[i]; i++)
		for (const struct sink_option *o = sink_table[i]->options; o && o->name; o++) {
			snprintf(key, sizeof(key), "sinks.%s.%s", sink_table[i]->name, o->name);
			sink_allowed(o, allowed, sizeof(allowed));
			print_row(out, key, o->value, allowed, "", settings_sink_variable(sink_table[i]->name, o->name), o->help);
		}
	return out->failed;
}

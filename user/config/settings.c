/* SPDX-License-Identifier: Apache-2.0 */
#include "config/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/store.h"
#include "lib/units.h"

#define PROTOCOL(ID, symbol, name, ...) name "|"
static const char protocol_names[] =
#include "../../bpf/abi/protocols.def"
	;
#undef PROTOCOL

#define RUN SETTING_RUN
#define TRACE SETTING_TRACE
#define RECORD SETTING_RECORD
#define REPLAY SETTING_REPLAY
#define PROTOCOL_NAMES protocol_names
#define SETTING(ID, KEY, OPTION, LETTER, ARG, TYPE, DEFAULT, MIN, MAX, CHOICES, COMMANDS, VARIABLE, HELP)                               \
	[SETTING_##ID] = { KEY, OPTION, LETTER, ARG, SETTING_TYPE_##TYPE, DEFAULT, MIN, MAX, CHOICES, COMMANDS, VARIABLE, HELP },
const struct setting_def setting_defs[SETTING_COUNT] = {
#include "config/settings.def"
};
#undef SETTING

static bool is_list(const struct setting_def *d) { return d->type == SETTING_TYPE_LIST || d->type == SETTING_TYPE_INTS; }

static size_t sink_count(void)
{
	size_t n = 0;

	while (sink_table[n])
		n++;
	return n;
}

static size_t option_count(const struct sink_ops *ops)
{
	size_t n = 0;

	while (ops->options && ops->options[n].name)
		n++;
	return n;
}

int settings_new(struct settings **ret_settings)
{
	struct settings *s = calloc(1, sizeof(*s));
	char error[256];

	if (!s)
		return -ENOMEM;
	s->nsinks = sink_count();
	s->sinks = calloc(s->nsinks, sizeof(*s->sinks));
	if (!s->sinks)
		goto fail;
	for (size_t i = 0; i < s->nsinks; i++) {
		struct sink_values *v = &s->sinks[i];
		size_t n = option_count(sink_table[i]);
		v->texts = calloc(n + 1, sizeof(*v->texts));
		v->origins = calloc(n + 1, sizeof(*v->origins));
		if (!v->texts || !v->origins)
			goto fail;
		for (size_t o = 0; o < n; o++) {
			v->texts[o] = strdup(sink_table[i]->options[o].value);
			if (!v->texts[o])
				goto fail;
		}
	}
	for (int i = 0; i < SETTING_COUNT; i++)
		if (!is_list(&setting_defs[i]) && settings_set(s, (enum setting_id)i, setting_defs[i].value, ORIGIN_DEFAULT, error, sizeof(error)))
			goto fail;
	*ret_settings = s;
	return 0;
fail:
	settings_free(s);
	return -ENOMEM;
}

static void clear_items(struct setting_value *v)
{
	for (size_t i = 0; i < v->nitems; i++)
		free(v->items[i]);
	free(v->items);
	v->items = NULL;
	v->nitems = 0;
}

void settings_free(struct settings *s)
{
	if (!s)
		return;
	for (int i = 0; i < SETTING_COUNT; i++) {
		free(s->values[i].text);
		clear_items(&s->values[i]);
	}
	for (size_t i = 0; s->sinks && i < s->nsinks; i++) {
		for (size_t o = 0; s->sinks[i].texts && s->sinks[i].texts[o]; o++)
			free(s->sinks[i].texts[o]);
		free(s->sinks[i].texts);
		free(s->sinks[i].origins);
	}
	free(s->sinks);
	free(s);
}

bool settings_is_choice(const char *choices, struct slice value)
{
	struct slice all = slice_str(choices);

	if (!all.len)
		return true;
	while (all.len) {
		size_t end = slice_find(all, '|', 0);
		struct slice one = slice_head(all, end == SIZE_MAX ? all.len : end);
		if (slice_eq(one, value))
			return true;
		all = slice_from(all, one.len + 1);
	}
	return false;
}

static int parse_bool(struct slice value, uint64_t *ret_number)
{
	if (slice_ieq(value, SLICE_LIT("true")))
		*ret_number = 1;
	else if (slice_ieq(value, SLICE_LIT("false")))
		*ret_number = 0;
	else
		return -EINVAL;
	return 0;
}

static int parse_share(const char *value, double *ret_share)
{
	char *end;

	/* strtod also takes hexadecimal, infinity and spaces: a share is digits and a point, and maybe a percent sign. */
	size_t digits = strspn(value, "0123456789.");
	bool percent = value[digits] == '%' && !value[digits + 1];
	if (!digits || (value[digits] && !percent))
		return -EINVAL;
	double v = strtod(value, &end);
	if (end != value + digits)
		return -EINVAL;
	if (percent)
		v /= 100;
	if (!(v >= 0 && v <= 1))
		return -EINVAL;
	*ret_share = v;
	return 0;
}

/* Checks one value, or one item of a list. */
static int parse_value(const struct setting_def *d, const char *value, uint64_t *ret_number, double *ret_share)
{
	struct slice text = slice_str(value);
	int64_t number = 0;
	int err = 0;

	switch (d->type) {
	case SETTING_TYPE_STR:
	case SETTING_TYPE_LIST:
		if (d->choices[0])
			return settings_is_choice(d->choices, text) ? 0 : -EINVAL;
		/* The default is what it is, and says "not given". */
		return (text.len == 0 && !d->value[0] && d->type == SETTING_TYPE_STR) || ((int64_t)text.len >= d->min && (int64_t)text.len <= d->max) ? 0 : -EINVAL;
	case SETTING_TYPE_BOOL: return parse_bool(text, ret_number);
	case SETTING_TYPE_SHARE: return parse_share(value, ret_share);
	case SETTING_TYPE_INT:
	case SETTING_TYPE_INTS:
		if (!slice_u64(text, ret_number) || *ret_number > INT64_MAX)
			return -EINVAL;
		number = (int64_t)*ret_number;
		break;
	case SETTING_TYPE_DURATION: err = units_duration_ms(text, &number); break;
	case SETTING_TYPE_SIZE:
	case SETTING_TYPE_POWER: err = units_size_bytes(text, &number); break;
	}
	if (err || number < d->min || number > d->max)
		return -EINVAL;
	if (d->type == SETTING_TYPE_POWER && (number & (number - 1)))
		return -EINVAL;
	*ret_number = (uint64_t)number;
	return 0;
}

/* OpenTelemetry's variables are in milliseconds; whoever writes "-d 5" means seconds, and is asked. */
static bool lacks_unit(const char *value, enum setting_origin origin)
{
	return origin > ORIGIN_DEFAULT && origin != ORIGIN_ENVIRONMENT && value[0] && value[strspn(value, "0123456789")] == '\0' && value[strspn(value, "0")] != '\0';
}

static int out_of_memory(char *ret_error, size_t error_len)
{
	snprintf(ret_error, error_len, "out of memory");
	return -ENOMEM;
}

static int add_item(struct setting_value *v, const char *value)
{
	char **items = reallocarray(v->items, v->nitems + 2, sizeof(*items));

	if (!items)
		return -ENOMEM;
	v->items = items;
	items[v->nitems] = strdup(value);
	if (!items[v->nitems])
		return -ENOMEM;
	items[++v->nitems] = NULL;
	return 0;
}

static const char *setting_name(const struct setting_def *d, enum setting_origin origin, char *buf, size_t len)
{
	if (origin == ORIGIN_OPTION && d->option[0])
		snprintf(buf, len, "--%s", d->option);
	else
		snprintf(buf, len, "%s", d->key);
	return buf;
}

int settings_set(struct settings *s, enum setting_id id, const char *value, enum setting_origin origin, char *ret_error, size_t error_len)
{
	const struct setting_def *d = &setting_defs[id];
	struct setting_value *v = &s->values[id];
	uint64_t number = 0;
	double share = 0;

	if (parse_value(d, value, &number, &share) || (d->type == SETTING_TYPE_DURATION && lacks_unit(value, origin))) {
		char allowed[SETTINGS_ALLOWED_MAX], name[64];
		settings_print_allowed(d, allowed, sizeof(allowed));
		snprintf(ret_error, error_len, "%s wants %s, not '%.100s'", setting_name(d, origin, name, sizeof(name)), allowed, value);
		return -EINVAL;
	}
	if (origin < v->origin)
		return 0;
	if (is_list(d)) {
		if (v->origin != origin)
			clear_items(v);
		v->origin = origin;
		return add_item(v, value) ? out_of_memory(ret_error, error_len) : 0;
	}
	char *text = strdup(value);
	if (!text)
		return out_of_memory(ret_error, error_len);
	free(v->text);
	v->text = text;
	v->number = number;
	v->share = share;
	v->origin = origin;
	/* --otlp is a short way to say the sink's option. */
	if (id == SETTING_OTLP && origin != ORIGIN_DEFAULT)
		return settings_set_key(s, "sinks.otlp.endpoint", value, origin, ret_error, error_len);
	return 0;
}

/* Splits at commas; spaces around items do not count. */
static int set_list(struct settings *s, enum setting_id id, const char *value, enum setting_origin origin, char *ret_error, size_t error_len)
{
	char item[4096];

	for (struct slice rest = slice_str(value); rest.len;) {
		size_t comma = slice_find(rest, ',', 0);
		struct slice one = slice_head(rest, comma == SIZE_MAX ? rest.len : comma);
		rest = slice_from(rest, one.len + 1);
		while (one.len && one.ptr[0] == ' ')
			one = slice_from(one, 1);
		while (one.len && one.ptr[one.len - 1] == ' ')
			one.len--;
		snprintf(item, sizeof(item), "%.*s", (int)slice_head(one, sizeof(item) - 1).len, (const char *)one.ptr);
		int err = settings_set(s, id, item, origin, ret_error, error_len);
		if (err)
			return err;
	}
	return 0;
}

/* `ret_allowed`: what is allowed, for the error's sentence. */
static int check_sink_value(const struct sink_option *o, const char *value, char *ret_allowed, size_t allowed_len)
{
	struct slice text = slice_str(value);
	int64_t number;
	uint64_t unsigned_number;

	switch (o->type) {
	case SINK_OPT_STR:
		if (!o->choices[0])
			return 0;
		settings_print_choices(o->choices, ret_allowed, allowed_len);
		return settings_is_choice(o->choices, text) ? 0 : -EINVAL;
	case SINK_OPT_BOOL: snprintf(ret_allowed, allowed_len, "true or false"); return parse_bool(text, &unsigned_number);
	case SINK_OPT_INT: snprintf(ret_allowed, allowed_len, "a whole number"); return slice_u64(text, &unsigned_number) ? 0 : -EINVAL;
	case SINK_OPT_DURATION_MS: snprintf(ret_allowed, allowed_len, "a duration with its unit, such as 250ms, 10s, 5m"); return units_duration_ms(text, &number);
	case SINK_OPT_SIZE_BYTES: snprintf(ret_allowed, allowed_len, "a size such as 64KiB, 16MiB"); return units_size_bytes(text, &number);
	}
	return -EINVAL;
}

int settings_find_sink_option(const char *key, size_t *ret_sink, size_t *ret_option)
{
	char name[160];

	for (size_t i = 0; sink_table[i]; i++)
		for (size_t o = 0; o < option_count(sink_table[i]); o++) {
			snprintf(name, sizeof(name), "sinks.%s.%s", sink_table[i]->name, sink_table[i]->options[o].name);
			if (strcmp(name, key) == 0) {
				*ret_sink = i;
				*ret_option = o;
				return 0;
			}
		}
	return -ENOENT;
}

/* A URL with user and password. */
static bool holds_password(const char *value)
{
	const char *scheme = strstr(value, "://"), *host = scheme ? scheme + 3 : value;

	return memchr(host, '@', strcspn(host, "/?#")) != NULL;
}

static int set_sink(struct settings *s, const char *key, size_t sink, size_t option, const char *value, enum setting_origin origin, char *ret_error,
		    size_t error_len)
{
	const struct sink_option *o = &sink_table[sink]->options[option];
	struct sink_values *v = &s->sinks[sink];
	char allowed[SETTINGS_ALLOWED_MAX] = "";

	/* What stands on the command line is everybody's to read, in /proc/PID/cmdline and in histories. */
	if (origin == ORIGIN_OPTION && value[0] && (o->secret || holds_password(value))) {
		snprintf(ret_error, error_len, "%s may hold a secret, and everybody can read a command line: set it in the file or by %s", key,
			 settings_sink_variable(sink_table[sink]->name, o->name));
		return -EINVAL;
	}
	if (check_sink_value(o, value, allowed, sizeof(allowed)) || (o->type == SINK_OPT_DURATION_MS && lacks_unit(value, origin))) {
		/* As OpenTelemetry's variables are. */
		bool variable = o->type == SINK_OPT_DURATION_MS && origin == ORIGIN_ENVIRONMENT;
		snprintf(ret_error, error_len, "%s wants %s, not '%.100s'", key, variable ? "a number of milliseconds" : allowed, o->secret ? "REDACTED" : value);
		return -EINVAL;
	}
	if (origin < v->origins[option])
		return 0;
	char *text = strdup(value);
	if (!text)
		return out_of_memory(ret_error, error_len);
	free(v->texts[option]);
	v->texts[option] = text;
	v->origins[option] = origin;
	return 0;
}

int settings_find(const char *key)
{
	for (int i = 0; i < SETTING_COUNT; i++)
		if (setting_defs[i].key[0] && strcmp(setting_defs[i].key, key) == 0)
			return i;
	return -ENOENT;
}

/* The groups: what stands before a dot in a key. */
static void try_groups(struct settings_nearest *nearest)
{
	char name[160];

	for (int i = 0; i < SETTING_COUNT; i++) {
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(setting_defs[i].key, "."), setting_defs[i].key);
		if (name[0])
			settings_nearest_try(nearest, name);
	}
	settings_nearest_try(nearest, "sinks");
	for (size_t i = 0; sink_table[i]; i++) {
		snprintf(name, sizeof(name), "sinks.%s", sink_table[i]->name);
		if (option_count(sink_table[i]))
			settings_nearest_try(nearest, name);
	}
}

void settings_unknown(const char *key, bool groups, char *ret_error, size_t error_len)
{
	struct settings_nearest nearest = { .wanted = key };
	char name[160];

	if (groups)
		try_groups(&nearest);

	for (int i = 0; i < SETTING_COUNT; i++)
		if (setting_defs[i].key[0])
			settings_nearest_try(&nearest, setting_defs[i].key);
	for (size_t i = 0; sink_table[i]; i++)
		for (size_t o = 0; o < option_count(sink_table[i]); o++) {
			snprintf(name, sizeof(name), "sinks.%s.%s", sink_table[i]->name, sink_table[i]->options[o].name);
			settings_nearest_try(&nearest, name);
		}
	if (nearest.best[0])
		snprintf(ret_error, error_len, "unknown key '%.100s'; did you mean '%s'?", key, nearest.best);
	else
		snprintf(ret_error, error_len, "unknown key '%.100s'; `plumb config defaults` lists all", key);
}

int settings_set_key(struct settings *s, const char *key, const char *value, enum setting_origin origin, char *ret_error, size_t error_len)
{
	size_t sink, option;
	int id = settings_find(key);

	if (id >= 0)
		return is_list(&setting_defs[id]) ? set_list(s, (enum setting_id)id, value, origin, ret_error, error_len) :
						    settings_set(s, (enum setting_id)id, value, origin, ret_error, error_len);
	if (settings_find_sink_option(key, &sink, &option) == 0)
		return set_sink(s, key, sink, option, value, origin, ret_error, error_len);
	settings_unknown(key, false, ret_error, error_len);
	return -ENOENT;
}

const char *settings_str(const struct settings *s, enum setting_id id) { return s->values[id].text; }
bool settings_bool(const struct settings *s, enum setting_id id) { return s->values[id].number != 0; }
uint64_t settings_number(const struct settings *s, enum setting_id id) { return s->values[id].number; }
double settings_share(const struct settings *s, enum setting_id id) { return s->values[id].share; }
enum setting_origin settings_origin(const struct settings *s, enum setting_id id) { return s->values[id].origin; }

const char *const *settings_list(const struct settings *s, enum setting_id id, size_t *ret_count)
{
	static const char *const none[] = { NULL };
	const struct setting_value *v = &s->values[id];

	if (ret_count)
		*ret_count = v->nitems;
	return v->items ? (const char *const *)v->items : none;
}

const char *const *settings_sink_values(const struct settings *s, const struct sink_ops *ops)
{
	for (size_t i = 0; i < s->nsinks; i++)
		if (sink_table[i] == ops)
			return (const char *const *)s->sinks[i].texts;
	return NULL;
}

static int find_option(const char *sink, const char *option, size_t *ret_sink, size_t *ret_option)
{
	char key[160];

	snprintf(key, sizeof(key), "sinks.%s.%s", sink, option);
	return settings_find_sink_option(key, ret_sink, ret_option);
}

const char *settings_sink_value(const struct settings *s, const char *sink, const char *option)
{
	size_t i, o;

	return find_option(sink, option, &i, &o) ? NULL : s->sinks[i].texts[o];
}

enum setting_origin settings_sink_origin(const struct settings *s, const char *sink, const char *option)
{
	size_t i, o;

	return find_option(sink, option, &i, &o) ? ORIGIN_DEFAULT : s->sinks[i].origins[o];
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file: YAML (libyaml's subset of 1.1), mappings of groups to scalars and lists. A key's meaning is the table's, not this file's. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <yaml.h>

#include "config/store.h"

enum { FILE_MAX = 1 << 20, KEY_LEN = 160, SEEN_MAX = 512, DEPTH_MAX = 16, COMPLAINTS_MAX = 50 };

struct seen {
	char key[KEY_LEN]; /* a known one: at most as many as the tables have, and their groups */
	size_t line;
};

struct file {
	struct settings *settings;
	const char *name;
	struct slice text;
	yaml_document_t *document;
	settings_report_fn report;
	void *ctx;
	int err;
	size_t complaints;
	struct seen seen[SEEN_MAX];
	size_t nseen;
};

static void complain(struct file *f, size_t line, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void complain(struct file *f, size_t line, const char *format, ...)
{
	char sentence[640], message[1024];
	va_list ap;

	f->err = -EINVAL;
	if (f->complaints > COMPLAINTS_MAX)
		return;
	va_start(ap, format);
	vsnprintf(sentence, sizeof(sentence), format, ap);
	va_end(ap);
	/* What the file says comes to a terminal: no escape sequences, and one line. */
	for (char *p = sentence; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	if (f->complaints++ == COMPLAINTS_MAX)
		snprintf(message, sizeof(message), "%.300s:%zu: and more of this: the rest of the file was not looked at", f->name, line);
	else
		snprintf(message, sizeof(message), "%.300s:%zu: %s", f->name, line, sentence);
	f->report(f->ctx, message);
}

static size_t line_of(const yaml_node_t *node) { return node->start_mark.line + 1; }

/* A scalar that was written as nothing, ~ or null: not given. */
static bool is_null(const yaml_node_t *node)
{
	const char *text = (const char *)node->data.scalar.value;

	return node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (!text[0] || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

/* NUL bytes in a value would hide what follows them. */
static const char *scalar(struct file *f, const yaml_node_t *node)
{
	const char *text = (const char *)node->data.scalar.value;

	if (node->type != YAML_SCALAR_NODE || strlen(text) != node->data.scalar.length) {
		complain(f, line_of(node), "a plain value was expected here");
		return NULL;
	}
	return text;
}

static void set(struct file *f, const char *key, const yaml_node_t *node)
{
	char error[512];
	const char *text = scalar(f, node);

	if (text && settings_set_key(f->settings, key, text, ORIGIN_FILE, error, sizeof(error)))
		complain(f, line_of(node), "%s", error);
}

static void set_items(struct file *f, int id, const char *key, const yaml_node_t *node)
{
	char error[512];

	if (id < 0 || (setting_defs[id].type != SETTING_TYPE_LIST && setting_defs[id].type != SETTING_TYPE_INTS)) {
		complain(f, line_of(node), "%s is one value, not a list", key);
		return;
	}
	for (yaml_node_item_t *i = node->data.sequence.items.start; i < node->data.sequence.items.top && f->complaints <= COMPLAINTS_MAX; i++) {
		const yaml_node_t *item = yaml_document_get_node(f->document, *i);
		const char *text = scalar(f, item);
		if (text && settings_set(f->settings, (enum setting_id)id, text, ORIGIN_FILE, error, sizeof(error)))
			complain(f, line_of(item), "%s", error);
	}
}

static bool seen_before(struct file *f, const char *key, size_t line)
{
	for (size_t i = 0; i < f->nseen; i++)
		if (strcmp(f->seen[i].key, key) == 0) {
			complain(f, line, "%s is given twice, first in line %zu", key, f->seen[i].line);
			return true;
		}
	if (f->nseen < SEEN_MAX) {
		struct seen *seen = &f->seen[f->nseen++];
		snprintf(seen->key, sizeof(seen->key), "%s", key);
		seen->line = line;
	}
	return false;
}

/* Is `key` the beginning of known keys? */
static bool is_group(const char *key)
{
	size_t len = strlen(key);
	char name[KEY_LEN];

	for (int i = 0; i < SETTING_COUNT; i++)
		if (strncmp(setting_defs[i].key, key, len) == 0 && setting_defs[i].key[len] == '.')
			return true;
	if (strcmp(key, "sinks") == 0)
		return true;
	for (size_t i = 0; sink_table[i]; i++) {
		snprintf(name, sizeof(name), "sinks.%s", sink_table[i]->name);
		if (strcmp(name, key) == 0)
			return true;
	}
	return false;
}

static void mapping(struct file *f, const char *prefix, const yaml_node_t *node);

static void pair(struct file *f, const char *prefix, const yaml_node_t *key_node, const yaml_node_t *value)
{
	const char *word = scalar(f, key_node);
	char key[KEY_LEN], error[512];
	size_t sink, option, line = line_of(key_node);

	if (!word)
		return;
	snprintf(key, sizeof(key), "%s%s%s", prefix, prefix[0] ? "." : "", word);
	int id = settings_find(key);
	if (id < 0 && settings_find_sink_option(key, &sink, &option)) {
		if (!is_group(key)) {
			settings_unknown(key, true, error, sizeof(error));
			complain(f, line, "%s", error);
		} else if (seen_before(f, key, line)) {
			return;
		} else if (value->type == YAML_MAPPING_NODE) {
			mapping(f, key, value);
		} else if (!is_null(value)) {
			complain(f, line, "%s is a group: its keys stand below it, indented", key);
		}
		return;
	}
	if (seen_before(f, key, line) || is_null(value))
		return;
	if (value->type == YAML_MAPPING_NODE)
		complain(f, line, "%s is a value, not a group", key);
	else if (value->type == YAML_SEQUENCE_NODE)
		set_items(f, id, key, value);
	else
		set(f, key, value);
}

/* Recursion ends with the known keys: no name below one of theirs is a group. Each group is entered once, so that aliases (*name) multiply nothing. */
static void mapping(struct file *f, const char *prefix, const yaml_node_t *node)
{
	for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top && f->complaints <= COMPLAINTS_MAX; p++)
		pair(f, prefix, yaml_document_get_node(f->document, p->key), yaml_document_get_node(f->document, p->value));
}

/* Bytes that are no text at all have an offset, but no line. */
static void complain_syntax(struct file *f, const yaml_parser_t *parser)
{
	size_t line = parser->problem_mark.line + 1;

	if (parser->error == YAML_MEMORY_ERROR) {
		complain(f, line, "out of memory");
		return;
	}
	if (parser->error == YAML_READER_ERROR) {
		line = 1;
		for (size_t i = 0; i < parser->problem_offset && i < f->text.len; i++)
			line += f->text.ptr[i] == '\n';
	}
	complain(f, line, "%s%s%s", parser->problem ? parser->problem : "not YAML", parser->context ? " " : "", parser->context ? parser->context : "");
}

/*
 * libyaml's time grows with the square of the depth: minutes for a file of 300,000 brackets. Events are parsed here only as far as they stay flat;
 * whatever else is wrong shows when the document is loaded.
 */
static bool too_deep(struct file *f)
{
	yaml_parser_t parser;
	yaml_event_t event;
	int depth = 0;
	bool last = false;

	if (!yaml_parser_initialize(&parser))
		return false;
	yaml_parser_set_input_string(&parser, f->text.ptr, f->text.len);
	while (!last && depth <= DEPTH_MAX && yaml_parser_parse(&parser, &event)) {
		depth += event.type == YAML_MAPPING_START_EVENT || event.type == YAML_SEQUENCE_START_EVENT;
		depth -= event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT;
		last = event.type == YAML_STREAM_END_EVENT;
		if (depth > DEPTH_MAX)
			complain(f, event.start_mark.line + 1, "nested deeper than anything that is configured");
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return depth > DEPTH_MAX;
}

static void document(struct file *f, yaml_parser_t *parser)
{
	yaml_document_t next;
	const yaml_node_t *root = yaml_document_get_root_node(f->document);

	if (!root)
		return;
	if (root->type == YAML_MAPPING_NODE)
		mapping(f, "", root);
	else if (!is_null(root))
		complain(f, line_of(root), "keys and values were expected (group:, then indented key: value)");
	if (!yaml_parser_load(parser, &next)) {
		complain_syntax(f, parser);
		return;
	}
	if (yaml_document_get_root_node(&next))
		complain(f, next.start_mark.line + 1, "one document only: remove this '---' and what follows");
	yaml_document_delete(&next);
}

static int out_of_memory(const char *name, settings_report_fn report, void *ctx)
{
	char message[384];

	snprintf(message, sizeof(message), "%.300s: out of memory", name);
	report(ctx, message);
	return -ENOMEM;
}

int settings_load_text(struct settings *s, const char *name, struct slice text, settings_report_fn report, void *ctx)
{
	yaml_parser_t parser;
	yaml_document_t doc;
	struct file *f = calloc(1, sizeof(*f));

	if (!f)
		return out_of_memory(name, report, ctx);
	if (!text.ptr)
		text = SLICE_LIT("");
	*f = (struct file){ .settings = s, .name = name, .text = text, .document = &doc, .report = report, .ctx = ctx };
	if (!yaml_parser_initialize(&parser)) {
		free(f);
		return out_of_memory(name, report, ctx);
	}
	yaml_parser_set_input_string(&parser, text.ptr, text.len);
	if (too_deep(f)) {
		/* said */
	} else if (yaml_parser_load(&parser, &doc)) {
		document(f, &parser);
		yaml_document_delete(&doc);
	} else {
		complain_syntax(f, &parser);
	}
	yaml_parser_delete(&parser);
	int err = f->err;
	free(f);
	return err;
}

static int read_all(const char *path, struct buffer *out)
{
	uint8_t block[16384];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n = read(fd, block, sizeof(block));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			err = -errno;
		if (n <= 0)
			break;
		err = buffer_append(out, block, (size_t)n);
		if (err)
			break;
	}
	close(fd);
	return err;
}

int settings_load_file(struct settings *s, const char *path, settings_report_fn report, void *ctx)
{
	struct buffer text;
	char message[512];

	buffer_init(&text, FILE_MAX);
	int err = read_all(path, &text);
	if (err) {
		snprintf(message, sizeof(message), "%.300s: %s", path, err == -ENOBUFS ? "larger than 1 MiB: not a configuration file" : strerror(-err));
		report(ctx, message);
	} else {
		err = settings_load_text(s, path, buffer_slice(&text), report, ctx);
	}
	buffer_done(&text);
	return err;
}

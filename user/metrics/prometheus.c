/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/prometheus.h"

#include "lib/utf8.h"

static const char *const kind_names[] = { "counter", "gauge", "histogram", "info" };

/*
 * Label values come from strangers, and the page goes to scrapers, one of which takes NUL for its end, and to terminals: no control
 * characters, neither ASCII's nor those of U+0080 to U+009F.
 */
static size_t plain_length(const uint8_t *p, size_t left)
{
	size_t n = utf8_len(p, left);
	uint32_t point = n ? utf8_point(p, n) : 0;

	return point < ' ' || (point >= 0x7f && point < 0xa0) ? 0 : n;
}

static void escaped(struct buffer *out, struct slice s, bool quotes)
{
	for (size_t i = 0; i < s.len;) {
		uint8_t c = s.ptr[i];
		size_t n = plain_length(s.ptr + i, s.len - i);

		if (c == '\\')
			buffer_append_str(out, "\\\\");
		else if (c == '\n')
			buffer_append_str(out, "\\n");
		else if (c == '"' && quotes)
			buffer_append_str(out, "\\\"");
		else if (n)
			buffer_append(out, s.ptr + i, n);
		else
			buffer_append_str(out, "\xef\xbf\xbd");
		i += n ? n : 1;
	}
}

void prom_label(const struct prom *p, const char *name, struct slice value, bool *first)
{
	buffer_append_str(p->out, *first ? "{" : ",");
	*first = false;
	buffer_append_str(p->out, name);
	buffer_append_str(p->out, "=\"");
	escaped(p->out, value, true);
	buffer_append_byte(p->out, '"');
}

void prom_scaled(const struct prom *p, uint64_t value, uint32_t scale)
{
	char digits[9];
	size_t n = 0;
	uint64_t rest = value % scale;

	buffer_append_u64(p->out, value / scale);
	for (uint64_t unit = scale / 10; rest && unit; unit /= 10) {
		digits[n++] = (char)('0' + rest / unit);
		rest %= unit;
	}
	if (n) {
		buffer_append_byte(p->out, '.');
		buffer_append(p->out, digits, n);
	}
}

static void head(const struct prom *p, const char *name, const char *kind, const char *unit, const char *help, const char *text_suffix)
{
	const char *suffix = p->openmetrics ? "" : text_suffix;

	buffer_printf(p->out, "# HELP %s%s ", name, suffix);
	/* The text format escapes no quotes in HELP, OpenMetrics does. */
	escaped(p->out, slice_str(help), p->openmetrics);
	buffer_printf(p->out, "\n# TYPE %s%s %s\n", name, suffix, kind);
	if (p->openmetrics && unit[0])
		buffer_printf(p->out, "# UNIT %s %s\n", name, unit);
}

void prom_family(const struct prom *p, const struct metric_family *f)
{
	bool info = f->kind == METRIC_INFO;

	head(p, f->name, info && !p->openmetrics ? "gauge" : kind_names[f->kind], f->unit, f->help,
		f->kind == METRIC_COUNTER ? "_total" : info ? "_info" : "");
}

void prom_family_raw(const struct prom *p, const char *name, const char *help, bool counter)
{
	head(p, name, kind_names[counter ? METRIC_COUNTER : METRIC_GAUGE], "", help, counter ? "_total" : "");
}

static void name_of(const struct prom *p, const struct metric_family *f)
{
	buffer_append_str(p->out, f->name);
	if (f->kind == METRIC_COUNTER)
		buffer_append_str(p->out, "_total");
	else if (f->kind == METRIC_INFO)
		buffer_append_str(p->out, "_info");
}

static void value_of(const struct prom *p, const struct metric_family *f, uint64_t value)
{
	if (f->kind == METRIC_GAUGE && (int64_t)value < 0) {
		buffer_append_byte(p->out, '-');
		value = 0 - value;
	}
	prom_scaled(p, value, f->scale);
}

void prom_sample(const struct prom *p, const struct metric_family *f, const char *label, const char *label_value, uint64_t value)
{
	bool first = true;

	name_of(p, f);
	if (label[0]) {
		prom_label(p, label, slice_str(label_value), &first);
		buffer_append_byte(p->out, '}');
	}
	buffer_append_byte(p->out, ' ');
	value_of(p, f, value);
	buffer_append_byte(p->out, '\n');
}

/* The labels of s without the closing brace; empty values are left out, which means the same. */
static void series_labels(const struct prom *p, const struct series *s, bool *first)
{
	const struct metric_group_info *g = &metric_groups[s->group];

	for (uint32_t i = 0; i < g->count; i++) {
		struct slice value = series_label(s, i);
		if (value.len)
			prom_label(p, g->labels[i].name, value, first);
	}
	if (s->overflow)
		prom_label(p, "otel_metric_overflow", SLICE_LIT("true"), first);
}

static void exemplar(const struct prom *p, const struct metric_family *f, const struct exemplar *e)
{
	buffer_append_str(p->out, " # {trace_id=\"");
	buffer_append_hex(p->out, e->trace_id, sizeof(e->trace_id));
	buffer_append_str(p->out, "\",span_id=\"");
	buffer_append_hex(p->out, e->span_id, sizeof(e->span_id));
	buffer_append_str(p->out, "\"} ");
	prom_scaled(p, e->value, f->scale);
	buffer_append_byte(p->out, ' ');
	prom_scaled(p, e->unix_ns / MICRO, 1000);
}

static void histogram_line(const struct prom *p, const struct metric_family *f, const char *suffix, const struct buffer *labels)
{
	buffer_append_str(p->out, f->name);
	buffer_append_str(p->out, suffix);
	buffer_append(p->out, labels->data, labels->len);
}

static void histogram(const struct prom *p, const struct series_table *t, const struct series *s, enum metric_family_id id, const struct buffer *labels)
{
	const struct metric_family *f = &metric_families[id];
	const uint64_t *slot = series_slot(t, s, id);
	bool exemplars = p->openmetrics && s->exemplars && metric_groups[s->group].first == id;
	uint64_t count = 0;

	for (uint32_t b = 0; b <= f->bounds_count; b++) {
		histogram_line(p, f, "_bucket", labels);
		buffer_append_str(p->out, labels->len ? ",le=\"" : "{le=\"");
		if (b < f->bounds_count) {
			prom_scaled(p, f->bounds[b], f->scale);
			/* OpenMetrics wants the canonical float: 1.0, not 1. */
			if (p->openmetrics && f->bounds[b] % f->scale == 0)
				buffer_append_str(p->out, ".0");
		} else {
			buffer_append_str(p->out, "+Inf");
		}
		count += slot[b];
		buffer_append_str(p->out, "\"} ");
		buffer_append_u64(p->out, count);
		if (exemplars && s->exemplars[b])
			exemplar(p, f, s->exemplars[b]);
		buffer_append_byte(p->out, '\n');
	}
	const char *close = labels->len ? "} " : " ";
	histogram_line(p, f, "_sum", labels);
	buffer_append_str(p->out, close);
	prom_scaled(p, slot[f->bounds_count + 1], f->scale);
	buffer_append_byte(p->out, '\n');
	histogram_line(p, f, "_count", labels);
	buffer_append_str(p->out, close);
	buffer_append_u64(p->out, count);
	buffer_append_byte(p->out, '\n');
}

static void scalars(const struct prom *p, const struct series_table *t, const struct series *s, enum metric_family_id id)
{
	const struct metric_family *f = &metric_families[id];
	const uint64_t *slot = series_slot(t, s, id);

	for (size_t v = 0; v == 0 || (f->variants && f->variants[v]); v++) {
		bool first = true;
		name_of(p, f);
		series_labels(p, s, &first);
		if (f->variants)
			prom_label(p, f->variant_label, slice_str(f->variants[v]), &first);
		buffer_append_str(p->out, first ? " " : "} ");
		value_of(p, f, slot[v]);
		buffer_append_byte(p->out, '\n');
	}
}

/* Whether s has anything to say about this family: a histogram without values and the group's untouched overflow series do not. */
static bool shown(const struct series_table *t, const struct series *s, enum metric_family_id id)
{
	const struct metric_family *f = &metric_families[id];
	const uint64_t *slot = series_slot(t, s, id);

	if (f->kind == METRIC_GAUGE && s->ended)
		return false;
	if (f->kind == METRIC_HISTOGRAM) {
		for (uint32_t b = 0; b <= f->bounds_count; b++)
			if (slot[b])
				return true;
		return false;
	}
	return s->used;
}

void prom_series(const struct prom *p, const struct series_table *t, enum metric_family_id family)
{
	const struct metric_family *f = &metric_families[family];
	bool begun = false;

	for (const struct series *s = series_first(t, (enum metric_group)f->group); s; s = s->next) {
		if (!shown(t, s, family))
			continue;
		if (!begun)
			prom_family(p, f);
		begun = true;
		if (f->kind != METRIC_HISTOGRAM) {
			scalars(p, t, s, family);
			continue;
		}
		/* One label set stands on up to nineteen lines: made once, then copied. */
		struct buffer labels;
		buffer_init(&labels, 16384);
		struct prom to_labels = { &labels, p->openmetrics };
		bool first = true;
		series_labels(&to_labels, s, &first);
		if (labels.failed)
			(void)buffer_reserve(p->out, SIZE_MAX); /* passes the failure on */
		histogram(p, t, s, family, &labels);
		buffer_done(&labels);
	}
}

void prom_end(const struct prom *p)
{
	if (p->openmetrics)
		buffer_append_str(p->out, "# EOF\n");
}

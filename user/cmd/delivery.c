/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/delivery.h"

#include <stdio.h>
#include <string.h>

#include "lib/log.h"

enum { DELIVERY_PERIOD_MS = 5000 };

struct delivery_counts {
	double exported, retries, spooled, queued, rejected;
	char error[256];
};

static bool ends_with(const char *s, const char *end)
{
	size_t len = strlen(s), n = strlen(end);

	return len >= n && strcmp(s + len - n, end) == 0;
}

static void take(void *ctx, const char *name, const char *help, const char *label, const char *label_value, double value, bool counter)
{
	struct delivery_counts *c = ctx;

	(void)help;
	(void)counter;
	if (ends_with(name, "_spans_exported_total"))
		c->exported = value;
	else if (ends_with(name, "_spans_dropped_total") && label && (strcmp(label_value, "rejected") == 0 || strcmp(label_value, "permanent_error") == 0))
		c->rejected += value;
	else if (ends_with(name, "_retries_total"))
		c->retries = value;
	else if (ends_with(name, "_spans_spooled"))
		c->spooled = value;
	else if (ends_with(name, "_spans_queued"))
		c->queued = value;
	else if (ends_with(name, "_last_error_info"))
		snprintf(c->error, sizeof(c->error), "%s", label_value ? label_value : "");
}

static void say_refused(struct delivery *d, const struct sink *s, const struct delivery_counts *c)
{
	log_warn("sink %s: the collector refused %.0f spans, which are lost (%s)", s->ops->name, c->rejected - d->told, c->error);
	d->told = c->rejected;
}

void delivery_watch(struct delivery *d, const struct sink *s, uint64_t now_ms)
{
	struct delivery_counts c = { .error = "" };

	if (!s->ops->stats || now_ms < d->next_ms)
		return;
	d->next_ms = now_ms + DELIVERY_PERIOD_MS;
	s->ops->stats(s, take, &c);
	if (c.retries > d->retries && c.exported <= d->exported && !d->failing) {
		d->failing = true;
		log_warn("sink %s: the collector takes no spans (%s); %.0f wait", s->ops->name, c.error, c.spooled + c.queued);
	} else if (c.rejected > d->rejected && !d->refusing) {
		d->refusing = true;
		say_refused(d, s, &c);
	} else if (c.exported > d->exported && c.rejected <= d->rejected && (d->failing || d->refusing)) {
		d->failing = d->refusing = false;
		log_info("sink %s: the collector takes spans again", s->ops->name);
	}
	d->rejected = c.rejected;
	d->exported = c.exported;
	d->retries = c.retries;
}

void delivery_report(struct delivery *d, const struct sink *s, uint64_t undelivered)
{
	struct delivery_counts c = { .error = "" };

	if (s->ops->stats)
		s->ops->stats(s, take, &c);
	if (undelivered)
		log_warn("sink %s: %llu spans were not delivered and are lost%s%s%s", s->ops->name, (unsigned long long)undelivered, c.error[0] ? " (" : "", c.error,
			 c.error[0] ? ")" : "");
	if (c.rejected > d->told)
		say_refused(d, s, &c);
	if (c.spooled > 0)
		log_info("sink %s: %.0f spans wait in the spool for the next run", s->ops->name, c.spooled);
}

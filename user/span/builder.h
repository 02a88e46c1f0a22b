/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exchange to span: kind, name, attributes by the OpenTelemetry semantic conventions, redaction, route templates.
 * Ids and parents are correlate/'s.
 */
#ifndef PLUMB_SPAN_BUILDER_H
#define PLUMB_SPAN_BUILDER_H

#include "lib/arena.h"
#include "model/exchange.h"
#include "model/span.h"

struct span_options {
	bool show_statements; /* off: literals of statements become ? (default) */
	bool show_query;      /* off: values in URL queries become REDACTED (default) */
	uint32_t routes_per_service; /* route templates learned per service; 0 = 200; overflow counted, route is then absent */
};

struct span_counts {
	uint64_t built, route_overflow, attrs_dropped, text_cut;
};

struct span_builder;

int span_builder_new(const struct span_options *o, struct span_builder **ret_builder);
void span_builder_free(struct span_builder *b);
/* ret_span's strings live until the next call with the same builder, or as long as x. */
void span_build(struct span_builder *b, const struct exchange *x, struct span *ret_span);
void span_builder_counts(const struct span_builder *b, struct span_counts *ret);

#endif

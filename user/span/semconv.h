/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OpenTelemetry semantic conventions, one function per family of protocols: https://opentelemetry.io/docs/specs/semconv/
 * (HTTP and database spans: stable; DNS, RPC and messaging: development). A protocol adds nothing here but the
 * names of attributes that are its own: its parser gives them, its line in protocols.def names the family.
 */
#ifndef PLUMB_SPAN_SEMCONV_H
#define PLUMB_SPAN_SEMCONV_H

#include "model/exchange.h"
#include "model/span.h"
#include "span/builder.h"
#include "span/route.h"
#include "span/statement.h"

/* What one span is built from and into; lives for one span_build(). */
struct semconv {
	const struct exchange *x;
	const struct attr *in[ATTR_COUNT]; /* x's attributes by id: of strings the first, of numbers the last */
	struct span *span;
	struct arena *text;
	const struct span_options *options;
	struct route_learner *routes;
	struct statement_cache *statements;
	struct span_counts *counts;
	const char *protocol;
	uint8_t statement; /* enum proto_statement */
};

/* Sets kind, name, status, status_message and attributes of span by its family. */
void semconv_apply(struct semconv *s);

/* redact.c: error text of a server without what it quotes: quoted literals and numbers become ?. */
struct slice redact_message(struct arena *a, struct slice message);

#endif

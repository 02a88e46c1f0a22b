/* SPDX-License-Identifier: Apache-2.0 */
#include "span/builder.h"

#include <errno.h>
#include <stdlib.h>

#include "span/semconv.h"

enum { SPAN_TEXT_BYTES = 16384 };

struct span_builder {
	struct span_options options;
	struct span_counts counts;
	struct route_learner *routes;
	struct statement_cache statements;
	uint8_t text[SPAN_TEXT_BYTES]; /* strings of the latest span that are not views into its exchange */
};

/* Here and not from the registry, so that what builds spans needs no parser. */
static const struct {
	const char *name;
	uint8_t family, statement;
} protocols[PLUMB_PROTO_COUNT] = {
#define PROTOCOL(id, symbol, name, family, statement, ...) [PLUMB_PROTO_##id] = { name, PROTO_FAMILY_##family, PROTO_STATEMENT_##statement },
#include "../../bpf/abi/protocols.def"
#undef PROTOCOL
};

int span_builder_new(const struct span_options *o, struct span_builder **ret_builder)
{
	struct span_builder *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->options = *o;
	int err = route_learner_new(o->routes_per_service, &b->routes);
	if (err) {
		free(b);
		return err;
	}
	*ret_builder = b;
	return 0;
}

void span_builder_free(struct span_builder *b)
{
	if (!b)
		return;
	route_learner_free(b->routes);
	free(b);
}

static uint64_t later(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* From the request's first byte to the response's last one; of what failed, to the last thing seen of it. */
static void set_times(struct span *s, const struct exchange *x)
{
	s->start_ns = x->request.start_ns ? x->request.start_ns : x->response.start_ns;
	s->end_ns = x->response.end_ns;
	if (!s->end_ns)
		s->end_ns = later(later(x->request.end_ns, x->response.start_ns), s->start_ns);
	s->end_ns = later(s->end_ns, s->start_ns);
	s->request_bytes = x->request.bytes;
	s->response_bytes = x->response.bytes;
}

/*
 * Parsers may repeat a number as they learn more (sizes, interim status), and then the last one counts; a string they give once.
 */
static void index_attrs(struct semconv *s)
{
	for (uint32_t i = 0; i < s->x->nattrs && i < EXCHANGE_ATTRS_MAX; i++) {
		const struct attr *a = &s->x->attrs[i];
		if (a->id < ATTR_COUNT && (!s->in[a->id] || a->type != ATTR_TYPE_STR))
			s->in[a->id] = a;
	}
}

void span_build(struct span_builder *b, const struct exchange *x, struct span *ret_span)
{
	struct arena text;
	struct semconv s = {
		.x = x,
		.span = ret_span,
		.text = &text,
		.options = &b->options,
		.routes = b->routes,
		.statements = &b->statements,
		.counts = &b->counts,
	};
	uint16_t protocol = x->protocol < PLUMB_PROTO_COUNT ? x->protocol : PLUMB_PROTO_NONE;

	arena_init(&text, b->text, sizeof(b->text));
	memset(ret_span, 0, offsetof(struct span, attrs));
	ret_span->nattrs = 0;
	ret_span->sampled = true;
	ret_span->protocol = protocol;
	ret_span->family = protocols[protocol].family;
	ret_span->process = x->process;
	s.statement = protocols[protocol].statement;
	s.protocol = protocols[protocol].name ? protocols[protocol].name : "unknown";
	set_times(ret_span, x);
	index_attrs(&s);
	semconv_apply(&s);
	b->counts.built++;
	b->counts.text_cut += text.used == text.cap;
}

void span_builder_counts(const struct span_builder *b, struct span_counts *ret)
{
	*ret = b->counts;
}

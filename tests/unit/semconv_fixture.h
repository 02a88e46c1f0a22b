/* SPDX-License-Identifier: Apache-2.0 */
/* One exchange as a parser makes it, and the span that is built of it, for the tests of the semantic conventions. Behind cmocka.h. */
#ifndef PLUMB_TESTS_SEMCONV_FIXTURE_H
#define PLUMB_TESTS_SEMCONV_FIXTURE_H

#include <sys/socket.h>

#include "span/builder.h"
#include "unit/assert_slice.h"

struct fixture {
	struct span_builder *builder;
	struct exchange x;
	struct process process;
	struct span span;
};

static inline void add_str(struct exchange *x, enum attr_id id, const char *value)
{
	x->attrs[x->nattrs++] = (struct attr){ .id = (uint16_t)id, .type = ATTR_TYPE_STR, .str = slice_str(value) };
}

static inline void add_int(struct exchange *x, enum attr_id id, int64_t value)
{
	x->attrs[x->nattrs++] = (struct attr){ .id = (uint16_t)id, .type = ATTR_TYPE_INT, .num = value };
}

/* An exchange between 10.0.0.1:40001 and 10.0.0.2:8080 that took 1000 to 5000 ns. */
static inline void begin(struct fixture *f, uint16_t protocol, uint8_t role)
{
	struct endpoint client = { { 10, 0, 0, 1 }, 40001 }, server = { { 10, 0, 0, 2 }, 8080 };

	f->process.service = SLICE_LIT("shop");
	f->x = (struct exchange){
		.protocol = protocol,
		.role = role,
		.process = &f->process,
		.request = { .start_ns = 1000, .end_ns = 2000, .bytes = 97, .tid = 31 },
		.response = { .start_ns = 4000, .end_ns = 5000, .bytes = 211 },
		.ends = { .family = AF_INET, .type = SOCK_STREAM },
	};
	f->x.ends.local = role == PLUMB_ROLE_SERVER ? server : client;
	f->x.ends.remote = role == PLUMB_ROLE_SERVER ? client : server;
}

static inline void build(struct fixture *f) { span_build(f->builder, &f->x, &f->span); }

static inline struct slice str_of(const struct fixture *f, enum attr_id id)
{
	const struct attr *a = attr_find(f->span.attrs, f->span.nattrs, id);

	return a ? a->str : SLICE_NONE;
}

static inline int64_t int_of(const struct fixture *f, enum attr_id id)
{
	const struct attr *a = attr_find(f->span.attrs, f->span.nattrs, id);

	return a ? a->num : -1;
}

#define assert_attr(f, id, text) assert_slice(str_of(f, id), text)

static inline int setup(void **state)
{
	static struct fixture f;
	struct span_options o = { 0 };

	*state = &f;
	return span_builder_new(&o, &f.builder);
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	span_builder_free(f->builder);
	return 0;
}

#endif

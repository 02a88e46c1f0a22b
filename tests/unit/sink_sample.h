/* SPDX-License-Identifier: Apache-2.0 */
/* One process and one span that touch every kind of field, for the tests of the sinks. */
#ifndef PLUMB_TESTS_SINK_SAMPLE_H
#define PLUMB_TESTS_SINK_SAMPLE_H

#include "model/record.h"
#include "model/span.h"

static inline void sample_process(struct process *p, uint64_t generation, const char *service)
{
	memset(p, 0, sizeof(*p));
	p->pid = 4211;
	p->generation = generation;
	p->service = slice_str(service);
	p->attrs[0] = (struct process_attr){ SLICE_LIT("process.pid"), SLICE_LIT("4211") };
	p->attrs[1] = (struct process_attr){ SLICE_LIT("service.name"), p->service };
	p->attrs[2] = (struct process_attr){ SLICE_LIT("plumb.cgroup"), SLICE_LIT("/hidden") };
	p->attrs[3] = (struct process_attr){ SLICE_LIT("host.name"), SLICE_LIT("n\xc3\xb6rd") };
	p->nattrs = 4;
}

/* number makes the ids; times are 1700000000.000000100 + number seconds, 2.5 ms long. */
static inline void sample_span(struct span *s, const struct process *p, uint64_t number)
{
	memset(s, 0, sizeof(*s));
	memset(s->trace_id, 0xab, sizeof(s->trace_id));
	for (int i = 0; i < 8; i++)
		s->span_id[7 - i] = (uint8_t)(number >> (8 * i));
	s->parent_id[0] = 0xcd;
	s->sampled = true;
	s->remote_parent = true;
	s->kind = SPAN_CLIENT;
	s->status = SPAN_STATUS_ERROR;
	s->protocol = PLUMB_PROTO_HTTP1;
	s->family = PROTO_FAMILY_HTTP;
	s->start_ns = 100 + number * 1000000000u;
	s->end_ns = s->start_ns + 2500000;
	s->realtime_offset_ns = 1700000000000000000u;
	s->request_bytes = 79;
	s->response_bytes = 211;
	s->name = SLICE_LIT("GET /cart/{id}");
	s->trace_state = SLICE_LIT("v=1");
	s->status_message = SLICE_LIT("no \"stock\"");
	s->process = p;
	s->attrs[0] = (struct attr){ .id = ATTR_HTTP_RESPONSE_STATUS_CODE, .type = ATTR_TYPE_INT, .num = 503 };
	s->attrs[1] = (struct attr){ .id = ATTR_ERROR_TYPE, .type = ATTR_TYPE_STR, .str = SLICE_LIT("503") };
	s->attrs[2] = (struct attr){ .id = ATTR_RAW_HOST, .type = ATTR_TYPE_STR, .str = SLICE_LIT("never exported") };
	s->attrs[3] = (struct attr){ .id = ATTR_SERVER_ADDRESS, .type = ATTR_TYPE_STR, .str = SLICE_LIT("10.0.0.7") };
	s->attrs[4] = (struct attr){ .id = ATTR_SERVER_PORT, .type = ATTR_TYPE_INT, .num = 8080 };
	s->attrs[5] = (struct attr){ .id = ATTR_URL_PATH, .type = ATTR_TYPE_STR, .str = SLICE_LIT("/cart/\xff\x1b") };
	s->attrs[6] = (struct attr){ .id = ATTR_PLUMB_TTFB_NS, .type = ATTR_TYPE_INT, .num = -3 };
	s->nattrs = 7;
	memset(s->links[0].trace_id, 0xef, sizeof(s->links[0].trace_id));
	s->links[0].span_id[7] = 0x17;
	s->nlinks = 1;
	s->links_dropped = 3;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/rocketmq_wire.h"

enum { NAME_END = 1, VALUE_END = 2 };
enum which { OTHER, ID, TAG, DELAY, TRANSACTION, TRACEPARENT, ORDERED, TIMER };

static const struct {
	const char *name;
	enum which which;
} wanted[] = {
	{ "UNIQ_KEY", ID }, { "TAGS", TAG }, { "DELAY", DELAY }, { "TRAN_MSG", TRANSACTION }, { "traceparent", TRACEPARENT }, { "__SHARDINGKEY", ORDERED },
	{ "TIMER_DELAY_SEC", TIMER }, { "TIMER_DELAY_MS", TIMER }, { "TIMER_DELIVER_MS", TIMER },
};

void rocketmq_props_begin(struct rocketmq_props *p)
{
	p->in_value = false;
	p->which = OTHER;
	p->name_len = 0;
	p->transaction = p->ordered = p->delayed = false;
	p->id = rocketmq_text_in(p->id_text, sizeof(p->id_text));
	p->tag = rocketmq_text_in(p->tag_text, sizeof(p->tag_text));
	p->delay = rocketmq_text_in(p->delay_text, sizeof(p->delay_text));
	p->traceparent = rocketmq_text_in(p->traceparent_text, sizeof(p->traceparent_text));
}

static struct rocketmq_text *value_of(struct rocketmq_props *p)
{
	switch ((enum which)p->which) {
	case ID: return &p->id;
	case TAG: return &p->tag;
	case DELAY: return &p->delay;
	case TRACEPARENT: return &p->traceparent;
	default: return NULL;
	}
}

static void name_end(struct rocketmq_props *p)
{
	struct slice name = slice_make(p->name, p->name_len);

	p->which = OTHER;
	p->in_value = true;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (slice_eq(name, slice_str(wanted[i].name)))
			p->which = (uint8_t)wanted[i].which;
	p->transaction |= p->which == TRANSACTION;
	p->ordered |= p->which == ORDERED;
	p->delayed |= p->which == TIMER || p->which == DELAY;
	struct rocketmq_text *t = value_of(p);
	if (t)
		t->len = 0;
}

static void value_end(struct rocketmq_props *p)
{
	p->in_value = false;
	p->name_len = 0;
	if (p->which == TRACEPARENT && p->traceparent.len != ROCKETMQ_TRACEPARENT)
		p->traceparent.len = 0;
	p->which = OTHER;
}

static void name_byte(struct rocketmq_props *p, uint8_t c)
{
	if (c == NAME_END)
		name_end(p);
	else if (c == VALUE_END)
		p->name_len = 0;
	else if (p->name_len < sizeof(p->name)) /* those that are wanted are shorter */
		p->name[p->name_len++] = (char)c;
}

void rocketmq_props_feed(struct rocketmq_props *p, struct slice in)
{
	for (size_t at = 0; at < in.len;) {
		if (!p->in_value) {
			name_byte(p, in.ptr[at++]);
			continue;
		}
		size_t end = slice_find(in, VALUE_END, at);
		size_t to = end == SIZE_MAX ? in.len : end;
		struct rocketmq_text *t = value_of(p);
		if (t)
			rocketmq_text_add(t, slice_make(in.ptr + at, to - at));
		at = to;
		if (end != SIZE_MAX) {
			value_end(p);
			at++;
		}
	}
}

void rocketmq_props_end(struct rocketmq_props *p)
{
	if (p->in_value)
		value_end(p);
}

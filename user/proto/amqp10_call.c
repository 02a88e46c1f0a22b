/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/amqp10_call.h"

enum { SIDE_BIT = 63, KIND_BIT = 61, SESSION_BIT = 32 };

uint64_t amqp10_key(enum proto_side asker, enum amqp10_kind kind, const struct amqp10_session *s, uint32_t number)
{
	return (uint64_t)asker << SIDE_BIT | (uint64_t)kind << KIND_BIT | (uint64_t)(s ? s->serial : 0) << SESSION_BIT | number;
}

uint64_t amqp10_own_key(struct amqp10_conn *c, enum proto_side asker) { return amqp10_key(asker, AMQP10_KEY_OTHER, NULL, c->number++); }

struct message *amqp10_event(const struct amqp10_call *k, enum message_kind kind, uint64_t key, uint32_t flags)
{
	return message_keyed(&k->ret->message, kind, key, flags);
}

static void consume(const struct amqp10_call *k)
{
	struct parse_result *ret = k->ret;

	k->c->step[k->side] = 0;
	ret->consumed = k->f.size < k->in.len ? k->f.size : k->in.len;
	ret->skip = k->f.size - ret->consumed;
}

enum parse_status amqp10_pass(const struct amqp10_call *k)
{
	consume(k);
	k->ret->apart = true;
	return PARSE_SKIP;
}

enum parse_status amqp10_done(const struct amqp10_call *k)
{
	consume(k);
	if (k->ret->skip && k->ret->message.flags & MESSAGE_END)
		k->ret->message.flags |= MESSAGE_END_AFTER_SKIP;
	return PARSE_MESSAGE;
}

enum parse_status amqp10_again(const struct amqp10_call *k)
{
	k->c->step[k->side]++;
	k->ret->consumed = 0;
	return PARSE_MESSAGE;
}

void amqp10_add_system(const struct amqp10_call *k, struct message *m)
{
	message_add_str(m, ATTR_MESSAGING_SYSTEM, k->c->system_known ? slice_str(k->c->system) : SLICE_LIT("amqp"));
}

void amqp10_add_operation(const struct amqp10_call *k, struct message *m, const char *name, const char *type)
{
	amqp10_add_system(k, m);
	message_add_str(m, ATTR_MESSAGING_OPERATION_NAME, slice_str(name));
	if (type)
		message_add_str(m, ATTR_MESSAGING_OPERATION_TYPE, slice_str(type));
}

void amqp10_add_destination(struct message *m, struct slice address, bool temporary)
{
	if (address.len)
		message_add_str(m, ATTR_MESSAGING_DESTINATION_NAME, address);
	if (!temporary || m->nattrs + 2 > MESSAGE_ATTRS_MAX)
		return;
	message_add_str(m, ATTR_MESSAGING_DESTINATION_TEMPLATE, SLICE_LIT("(temporary)"));
	message_add_bool(m, ATTR_MESSAGING_DESTINATION_TEMPORARY, true);
}

/* A symbol is ASCII. */
void amqp10_fail(struct message *m, struct slice error)
{
	size_t n = error.len < sizeof(m->error_type) - 1 ? error.len : sizeof(m->error_type) - 1;

	m->flags |= MESSAGE_ERROR;
	for (size_t i = 0; i < n; i++)
		m->error_type[i] = (char)(error.ptr[i] > ' ' && error.ptr[i] < 127 ? error.ptr[i] : '?');
	m->error_type[n] = 0;
}

bool amqp10_add_error(struct message *m, const struct amqp10_value *error)
{
	struct amqp10_value condition = { 0 }, description = { 0 };
	struct amqp_walk w = amqp10_inside(error);

	if (error->descriptor != AMQP10_ERROR || !error->count || w.at >= w.in.len || !amqp10_value_read(&w, &condition))
		return false;
	if (error->count > 1 && w.at < w.in.len && !amqp10_value_read(&w, &description))
		return false;
	if (!amqp10_text(&condition).len)
		return false;
	amqp10_fail(m, amqp10_text(&condition));
	if (amqp10_text(&description).len)
		message_add_str(m, ATTR_RAW_STATUS_MESSAGE, amqp10_text(&description));
	return true;
}

void amqp10_plan_add(struct amqp10_plan *plan, uint64_t first, uint64_t last)
{
	if (plan->n < AMQP10_RUNS)
		plan->run[plan->n++] = (struct amqp10_run){ first, last };
}

void amqp10_plan_deliveries(struct amqp10_plan *plan, enum proto_side asker, const struct amqp10_session *s, uint32_t first, uint32_t last)
{
	if (first > last) {
		amqp10_plan_add(plan, amqp10_key(asker, AMQP10_KEY_DELIVERY, s, first), amqp10_key(asker, AMQP10_KEY_DELIVERY, s, UINT32_MAX));
		first = 0;
	}
	amqp10_plan_add(plan, amqp10_key(asker, AMQP10_KEY_DELIVERY, s, first), amqp10_key(asker, AMQP10_KEY_DELIVERY, s, last));
}

bool amqp10_plan_abort(const struct amqp10_call *k, const struct amqp10_plan *plan, const struct amqp10_value *error, const char *why)
{
	uint32_t step = k->c->step[k->side];

	if (step >= plan->n)
		return false;
	struct message *m = amqp10_event(k, MESSAGE_RESPONSE, plan->run[step].last, MESSAGE_ABORT | MESSAGE_RANGE);
	m->first = plan->run[step].first;
	if (!amqp10_add_error(m, error) && why)
		amqp10_fail(m, slice_str(why));
	amqp10_again(k);
	return true;
}

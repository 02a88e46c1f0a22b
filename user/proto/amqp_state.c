/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/amqp_state.h"

#include "lib/hash.h"

enum { CHANNELS_FIRST = 8, CHANNELS_MAX = 4096 };

struct amqp_conn *amqp_conn_new(struct proto_memory *memory)
{
	struct amqp_conn *c = proto_memory_get_zeroed(memory, sizeof(*c));

	if (c)
		c->memory = memory;
	return c;
}

void amqp_conn_free(struct amqp_conn *c)
{
	if (!c)
		return;
	for (uint32_t i = 0; i < c->nchannels; i++) {
		if (!c->channels[i])
			continue;
		proto_memory_put(c->memory, c->channels[i]->queue);
		proto_memory_put(c->memory, c->channels[i]);
	}
	for (uint32_t i = 0; c->consumers && i < AMQP_CONSUMERS; i++)
		proto_memory_put(c->memory, c->consumers[i].queue);
	proto_memory_put(c->memory, c->channels);
	proto_memory_put(c->memory, c->consumers);
	proto_memory_put(c->memory, c);
}

/* --- channels: never removed, so a place that is free ends the search --- */

static struct amqp_channel **place(const struct amqp_conn *c, struct amqp_channel **table, uint32_t n, uint16_t id)
{
	uint32_t at = (uint32_t)hash_bytes(&id, sizeof(id), (uintptr_t)c) & (n - 1); /* who chooses the ids does not know where we are */

	while (table[at] && table[at]->id != id)
		at = (at + 1) & (n - 1);
	return &table[at];
}

/* Never more than half full. */
static bool grow(struct amqp_conn *c)
{
	uint32_t n = c->nchannels ? c->nchannels * 2 : CHANNELS_FIRST;

	if (c->used * 2 < c->nchannels)
		return true;
	struct amqp_channel **table = n <= CHANNELS_MAX * 2 ? proto_memory_get_zeroed(c->memory, n * sizeof(struct amqp_channel *)) : NULL;
	if (!table)
		return false;
	for (uint32_t i = 0; i < c->nchannels; i++)
		if (c->channels[i])
			*place(c, table, n, c->channels[i]->id) = c->channels[i];
	proto_memory_put(c->memory, c->channels);
	c->channels = table;
	c->nchannels = n;
	return true;
}

struct amqp_channel *amqp_channel_find(struct amqp_conn *c, uint16_t id) { return c->nchannels ? *place(c, c->channels, c->nchannels, id) : NULL; }

struct amqp_channel *amqp_channel_get(struct amqp_conn *c, uint16_t id)
{
	struct amqp_channel *ch = amqp_channel_find(c, id);

	if (ch)
		return ch;
	if (grow(c))
		ch = proto_memory_get_zeroed(c->memory, sizeof(*ch));
	if (!ch)
		return NULL;
	ch->id = id;
	*place(c, c->channels, c->nchannels, id) = ch;
	c->used++;
	return ch;
}

void amqp_channel_clear(struct amqp_conn *c, struct amqp_channel *ch)
{
	ch->opened = ch->confirms = ch->caused = false;
	ch->unknown = 0;
	ch->acked = 0;
	ch->published = ch->delivered = (struct amqp_series){ 0 };
	for (uint32_t i = 0; i < AMQP_MANDATORY; i++)
		if (c->mandatory[i].channel == ch->id)
			c->mandatory[i].channel = 0;
	for (uint32_t i = 0; c->nconsumers && i < AMQP_CONSUMERS; i++)
		if (c->consumers[i].used && c->consumers[i].channel == ch->id) {
			c->consumers[i].used = false;
			c->nconsumers--;
		}
}

void amqp_channel_queue(struct amqp_conn *c, struct amqp_channel *ch, struct slice queue)
{
	ch->queue_len = proto_memory_room(c->memory, &ch->queue, &ch->queue_room, (uint16_t)queue.len) ? (uint16_t)queue.len : 0;
	if (ch->queue_len)
		memcpy(ch->queue, queue.ptr, ch->queue_len);
}

/* --- consumers --- */

struct amqp_consumer *amqp_consumer_find(struct amqp_conn *c, uint16_t channel, struct slice tag)
{
	uint64_t hash = hash_slice(tag);
	uint32_t seen = 0;

	for (uint32_t i = 0; seen < c->nconsumers && i < AMQP_CONSUMERS; i++) {
		struct amqp_consumer *k = &c->consumers[i];
		seen += k->used;
		if (k->used && k->tag == hash && k->channel == channel)
			return k;
	}
	return NULL;
}

void amqp_consumer_add(struct amqp_conn *c, const struct amqp_channel *ch, struct slice tag, bool no_ack)
{
	struct amqp_consumer *k = amqp_consumer_find(c, ch->id, tag);

	if (!c->consumers) {
		c->consumers = proto_memory_get_zeroed(c->memory, AMQP_CONSUMERS * sizeof(*c->consumers));
		if (!c->consumers)
			return;
	}
	for (uint32_t i = 0; !k && i < AMQP_CONSUMERS; i++)
		if (!c->consumers[i].used)
			k = &c->consumers[i];
	if (!k)
		return;
	c->nconsumers += !k->used;
	k->used = true;
	k->tag = hash_slice(tag);
	k->channel = ch->id;
	k->no_ack = no_ack;
	k->queue_len = proto_memory_room(c->memory, &k->queue, &k->queue_room, ch->queue_len) ? ch->queue_len : 0;
	if (k->queue_len)
		memcpy(k->queue, ch->queue, k->queue_len);
}

void amqp_consumer_remove(struct amqp_conn *c, uint16_t channel, struct slice tag)
{
	struct amqp_consumer *k = amqp_consumer_find(c, channel, tag);

	if (!k)
		return;
	k->used = false;
	c->nconsumers--;
}

/* --- publishes that may be returned --- */

static uint64_t where(const struct amqp_fields *f) { return hash_bytes(f->key.ptr, f->key.len, hash_slice(f->exchange)); }

void amqp_mandatory_add(struct amqp_conn *c, const struct amqp_channel *ch, const struct amqp_fields *f)
{
	c->mandatory[c->mandatory_next++ % AMQP_MANDATORY] = (struct amqp_mandatory){ where(f), ch->published.newest, ch->id };
}

uint64_t amqp_mandatory_take(struct amqp_conn *c, const struct amqp_channel *ch, const struct amqp_fields *f)
{
	uint64_t hash = where(f);

	for (uint32_t i = 0; i < AMQP_MANDATORY; i++) {
		struct amqp_mandatory *m = &c->mandatory[(c->mandatory_next + i) % AMQP_MANDATORY];
		if (m->channel != ch->id || m->where != hash || m->number < ch->published.first)
			continue;
		m->channel = 0;
		return m->number;
	}
	return 0;
}

/* --- names --- */

static size_t add_part(char *to, size_t at, struct slice part)
{
	if (!part.len || at + part.len + 1 > AMQP_NAME)
		return at;
	if (at)
		to[at++] = ':';
	memcpy(to + at, part.ptr, part.len);
	return at + part.len;
}

/* https://opentelemetry.io/docs/specs/semconv/messaging/rabbitmq/: of exchange, routing key and queue those that are there, the same one once. */
struct slice amqp_destination(struct amqp_conn *c, struct slice exchange, struct slice key, struct slice queue)
{
	size_t len = add_part(c->name, add_part(c->name, 0, exchange), key);

	if (!slice_eq(queue, key))
		len = add_part(c->name, len, queue);
	return len ? slice_make(c->name, len) : SLICE_LIT("amq.default");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/amqp10_state.h"

struct amqp10_conn *amqp10_conn_new(struct proto_memory *memory)
{
	struct amqp10_conn *c = proto_memory_get_zeroed(memory, sizeof(*c));

	if (c)
		c->memory = memory;
	return c;
}

/* A table of pointers that has a place `at`, below max. */
static bool have_place(struct amqp10_conn *c, void *table, uint16_t *n, uint64_t at, uint16_t max)
{
	void **old, **to;
	uint16_t wanted = 4;

	if (at < *n)
		return true;
	if (at >= max)
		return false;
	while (wanted <= at)
		wanted = (uint16_t)(wanted * 2);
	memcpy(&old, table, sizeof(old));
	to = proto_memory_resize(c->memory, old, wanted * sizeof(void *));
	if (!to)
		return false;
	memset(to + *n, 0, (size_t)(wanted - *n) * sizeof(void *));
	memcpy(table, &to, sizeof(to));
	*n = wanted;
	return true;
}

/* --- links --- */

struct amqp10_link *amqp10_link_find(const struct amqp10_session *s, enum proto_side side, uint64_t handle)
{
	return handle < s->nlinks[side] ? s->links[side][handle] : NULL;
}

struct amqp10_link *amqp10_link_get(struct amqp10_conn *c, struct amqp10_session *s, enum proto_side side, uint64_t handle)
{
	struct amqp10_link *l = amqp10_link_find(s, side, handle);

	if (l)
		return l;
	if (c->halves == AMQP10_HALVES || !have_place(c, &s->links[side], &s->nlinks[side], handle, AMQP10_HANDLES))
		return NULL;
	l = proto_memory_get_zeroed(c->memory, sizeof(*l));
	if (!l)
		return NULL;
	l->id = ++c->link_id;
	s->links[side][handle] = l;
	c->halves++;
	return l;
}

struct amqp10_link *amqp10_link_peer(const struct amqp10_session *s, enum proto_side side, uint32_t name, bool sends)
{
	for (uint16_t i = 0; i < s->nlinks[!side]; i++) {
		struct amqp10_link *l = s->links[!side][i];
		if (l && l->named && l->name == name && l->sends != sends && !l->peer)
			return l;
	}
	return NULL;
}

void amqp10_link_remove(struct amqp10_conn *c, struct amqp10_session *s, enum proto_side side, uint64_t handle)
{
	struct amqp10_link *l = amqp10_link_find(s, side, handle);

	if (!l)
		return;
	if (l->peer)
		l->peer->peer = NULL;
	proto_memory_put(c->memory, l->address);
	proto_memory_put(c->memory, l);
	s->links[side][handle] = NULL;
	c->halves--;
}

void amqp10_link_address(struct amqp10_conn *c, struct amqp10_link *l, struct slice address)
{
	uint16_t len = (uint16_t)(address.len < AMQP10_ADDRESS ? address.len : AMQP10_ADDRESS);

	l->address_len = proto_memory_room(c->memory, &l->address, &l->address_room, len) ? len : 0;
	if (l->address_len)
		memcpy(l->address, address.ptr, l->address_len);
}

struct slice amqp10_link_name(struct amqp10_conn *c, const struct amqp10_link *l)
{
	const struct amqp10_link *from = l->address_len || !l->peer ? l : l->peer;

	if (from->address_len)
		memcpy(c->address, from->address, from->address_len);
	return slice_make(c->address, from->address_len);
}

/* --- sessions --- */

static void session_free(struct amqp10_conn *c, struct amqp10_session *s)
{
	for (int side = 0; side < 2; side++) {
		for (uint16_t i = 0; i < s->nlinks[side]; i++)
			amqp10_link_remove(c, s, (enum proto_side)side, i);
		proto_memory_put(c->memory, s->links[side]);
	}
	proto_memory_put(c->memory, s);
	c->sessions--;
}

struct amqp10_session *amqp10_session_find(const struct amqp10_conn *c, enum proto_side side, uint16_t channel)
{
	return channel < c->channels[side] ? c->session[side][channel] : NULL;
}

void amqp10_session_leave(struct amqp10_conn *c, struct amqp10_session *s, enum proto_side side)
{
	if (s->known[side])
		c->session[side][s->channel[side]] = NULL;
	s->known[side] = false;
	if (!s->known[!side])
		session_free(c, s);
}

void amqp10_session_join(struct amqp10_conn *c, struct amqp10_session *s, enum proto_side side, uint16_t channel)
{
	struct amqp10_session *old = amqp10_session_find(c, side, channel);

	if (old == s || s->known[side] || !have_place(c, &c->session[side], &c->channels[side], channel, AMQP10_CHANNELS))
		return;
	if (old)
		amqp10_session_leave(c, old, side);
	c->session[side][channel] = s;
	s->channel[side] = channel;
	s->known[side] = true;
}

struct amqp10_session *amqp10_session_begin(struct amqp10_conn *c, enum proto_side side, uint16_t channel)
{
	struct amqp10_session *s = c->sessions < AMQP10_SESSIONS ? proto_memory_get_zeroed(c->memory, sizeof(*s)) : NULL;

	if (!s)
		return NULL;
	c->sessions++;
	s->serial = ++c->serial & 0xffffff;
	amqp10_session_join(c, s, side, channel);
	if (s->known[side])
		return s;
	session_free(c, s);
	return NULL;
}

struct amqp10_session *amqp10_session_get(struct amqp10_conn *c, enum proto_side side, uint16_t channel)
{
	struct amqp10_session *s = amqp10_session_find(c, side, channel);

	if (s)
		return s;
	s = amqp10_session_begin(c, side, channel);
	if (s && !amqp10_session_find(c, (enum proto_side)!side, channel))
		amqp10_session_join(c, s, (enum proto_side)!side, channel);
	return s;
}

void amqp10_conn_free(struct amqp10_conn *c)
{
	if (!c)
		return;
	for (int side = 0; side < 2; side++) {
		for (uint16_t i = 0; i < c->channels[side]; i++) {
			struct amqp10_session *s = c->session[side][i];
			if (s)
				amqp10_session_leave(c, s, (enum proto_side)side);
		}
		proto_memory_put(c->memory, c->session[side]);
		c->session[side] = NULL;
		c->channels[side] = 0;
	}
	proto_memory_put(c->memory, c);
}

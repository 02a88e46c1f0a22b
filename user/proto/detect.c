/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/detect.h"

/* One way to read the connection: a protocol, and which end is the server. */
struct candidate {
	uint16_t protocol;
	uint8_t role;
	int score;   /* of the direction that fits best */
	int sum;     /* of both */
	bool both;   /* both directions were seen and fit */
	bool port;   /* the server's port is the protocol's usual one */
	bool lower;  /* it is the lower one of the two: whose connection was there before, and whose protocol looks the same in both directions, is told by nothing else */
	bool more;   /* a direction is too short to tell */
};

/* With this role, bytes of `dir` go to ... */
static enum proto_side side_of(uint8_t role, int dir)
{
	bool to_server = role == PLUMB_ROLE_SERVER ? dir == PLUMB_INGRESS : dir == PLUMB_EGRESS;

	return to_server ? PROTO_TO_SERVER : PROTO_TO_CLIENT;
}

static uint16_t server_port(const struct connection *c, uint8_t role)
{
	return role == PLUMB_ROLE_SERVER ? c->local.port : c->remote.port;
}

static uint16_t client_port(const struct connection *c, uint8_t role)
{
	return role == PLUMB_ROLE_SERVER ? c->remote.port : c->local.port;
}

/* False if a direction contradicts. */
static bool score(const struct proto_ops *ops, const struct slice in[2], bool datagram, struct candidate *k)
{
	int (*fit)(struct slice, enum proto_side) = datagram && ops->detect_datagram ? ops->detect_datagram : ops->detect;
	int fits = 0;

	for (int dir = 0; dir < 2; dir++) {
		if (in[dir].len == 0)
			continue;
		int s = fit(in[dir], side_of(k->role, dir));
		if (s == DETECT_NO)
			return false;
		if (s < DETECT_SHARED) {
			k->more = true;
			continue;
		}
		fits++;
		k->sum += s;
		if (s > k->score)
			k->score = s;
	}
	k->both = fits == 2;
	return true;
}

/* Strict before loose: the better signature, then agreement of both directions, then the port, and of two the lower one. */
static bool better(const struct candidate *a, const struct candidate *b)
{
	if (a->score != b->score)
		return a->score > b->score;
	if (a->sum != b->sum)
		return a->sum > b->sum;
	if (a->port != b->port)
		return a->port;
	return a->lower && !b->lower;
}

/*
 * Words that others have as well (QUIT and +OK, "delete 7" and DELETED) do not become evidence by being answered with such: a wrong protocol is worse than one that
 * is found late.
 */
static bool enough(const struct candidate *k)
{
	if (k->score >= DETECT_LIKELY)
		return true;
	return k->score >= DETECT_WEAK ? k->both || k->port : k->score >= DETECT_SHARED && k->both && k->port;
}

enum detect_outcome detect(const struct connection *c, const bool *enabled, const struct slice in[2], bool datagram, bool last, struct detection *ret)
{
	struct candidate best = { 0 };
	bool wait = false;

	for (uint16_t id = 1; id < (uint16_t)PLUMB_PROTO_COUNT; id++) {
		const struct proto_ops *ops = proto_get(id);
		if (!ops || (enabled && !enabled[id]) || !(datagram ? proto_on_datagram(id) : proto_on_stream(id)))
			continue;
		for (uint8_t role = PLUMB_ROLE_CLIENT; role <= (uint8_t)PLUMB_ROLE_SERVER; role++) {
			if (c->role != PLUMB_ROLE_UNKNOWN && c->role != role)
				continue;
			struct candidate k = { .protocol = id, .role = role };
			k.port = proto_port_hint(id) && proto_port_hint(id) == server_port(c, role);
			k.lower = server_port(c, role) < client_port(c, role);
			if (!score(ops, in, datagram, &k))
				continue;
			wait |= k.more || !enough(&k);
			if (k.score && better(&k, &best))
				best = k;
		}
	}
	if (best.score && enough(&best)) {
		*ret = (struct detection){ best.protocol, best.role };
		return DETECT_FOUND;
	}
	return wait && !last ? DETECT_WAIT : DETECT_NONE;
}

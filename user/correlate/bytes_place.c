/* SPDX-License-Identifier: Apache-2.0 */
#include "correlate/bytes_place.h"

#include <string.h>
#include <sys/socket.h>

/* One form for IPv4: a dual-stack socket has its peer's address mapped into IPv6 while the peer itself has it plain. */
static void place_address(uint8_t out[16], uint16_t family, const uint8_t addr[16])
{
	if (family == AF_INET6) {
		memcpy(out, addr, 16);
		return;
	}
	memset(out, 0, 10);
	out[10] = out[11] = 0xff;
	memcpy(out + 12, addr, 4);
}

bool bytes_place_of(const struct exchange *x, uint8_t role, struct bytes_place *ret_place)
{
	const struct connection *conn = x->conn;
	bool client = x->role == PLUMB_ROLE_CLIENT, session = PLUMB_IS_SESSION(conn->sock);
	struct bytes_place p = { .offset = (uint32_t)x->request.offset, .role = role, .session = session };

	if (conn->type == SOCK_DGRAM || (x->flags & EXCHANGE_NO_REQUEST))
		return false; /* datagrams have no offset that both ends agree on */
	if (session && conn->flags & PLUMB_SOCK_PREEXISTING) {
		/* What its other end counts is not known, but where in the socket's stream the bytes are, which are whole records to both. */
		const struct crossing *at = &conn->crossing[client ? PLUMB_EGRESS : PLUMB_INGRESS];
		if (!at->known || conn->family == AF_UNIX || x->request.offset < at->plain || x->request.offset - at->plain > UINT32_MAX)
			return false;
		p.session = 2;
		p.offset = (uint32_t)at->carried;
		p.behind = (uint32_t)(x->request.offset - at->plain);
	}
	if (PLUMB_IS_PLAIN(x->request.offset)) {
		/* The same number at both ends if the kernel encrypts at both, and began at the same place. */
		if (PLUMB_IS_UNPLACED(x->request.offset))
			return false;
		p.session = 3;
		p.behind = (uint32_t)(x->request.offset >> 32);
	}
	if (conn->family == AF_UNIX) {
		/*
		 * Each end counts from where it was first seen. They agree if nothing was under way then: the client's end first saw a request leave, the server's one
		 * arrive. The end that first saw an answer has missed its request.
		 */
		if (!conn->pair || (!session && client != !!(conn->flags & PLUMB_SOCK_SENT_FIRST)))
			return false;
		memcpy(p.client, &conn->pair, sizeof(conn->pair));
		p.family = AF_UNIX;
	} else {
		/* Sockets whose open record was lost have no address yet: they are not all the same socket. */
		if ((conn->family != AF_INET && conn->family != AF_INET6) || !conn->local.port || !conn->remote.port)
			return false;
		const struct endpoint *from = client ? &conn->local : &conn->remote, *to = client ? &conn->remote : &conn->local;
		place_address(p.client, conn->family, from->addr);
		place_address(p.server, conn->family, to->addr);
		p.client_port = from->port;
		p.server_port = to->port;
		p.family = AF_INET6;
	}
	*ret_place = p;
	return true;
}

bool bytes_place_is_plausible(const struct exchange *client, const struct exchange *server)
{
	const struct exchange_side *sent = &client->request, *got = &server->request;

	if (sent->end_ns && got->end_ns && sent->bytes != got->bytes)
		return false;
	return !client->response.end_ns || got->start_ns <= client->response.end_ns;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SOCKS 5: RFC 1928, with the password of RFC 1929, which is passed over. One exchange, the client's request, from its login on if there is one, and the proxy's reply to it, or to the login that it
 * refuses; behind it, what goes through the proxy is found
 * out as at the start of a connection. A connection whose beginning was not seen is none of it.
 */
#include "model/record.h"
#include "proto/proto.h"

enum { VERSION = 5, PASSWORD_VERSION = 1, METHODS_MAX = 9, NO_METHOD = 0xff };
enum { CONNECT = 1, UDP_ASSOCIATE = 3 };
enum { IPV4 = 1, NAME = 3, IPV6 = 4 };
enum { ADDRESS_AT = 4, PORT_BYTES = 2, FAILURE_BYTES = 3 };
enum { ALL_OF_A_MESSAGE = 515 }; /* the longest: a name and a password of 255 bytes each */

struct socks5_state {
	bool greeted;  /* the client has said which methods it knows */
	bool answered; /* and the proxy which one it takes */
	uint8_t command;
	bool login;    /* the client has sent its password: its request has begun */
	bool failed;   /* the beginning of a failure's reply was given: some clients read no more of it */
};

_Static_assert(sizeof(struct socks5_state) <= CONNECTION_PARSER_BYTES, "parser state");

static enum parse_status pass(struct slice in, size_t len, struct parse_result *ret)
{
	if (in.len < len) {
		ret->need = len;
		return PARSE_NEED_MORE;
	}
	ret->consumed = len;
	ret->apart = true;
	return PARSE_SKIP;
}

/* A request or a reply: version, what, 0, type of address, address, port. 0: it is none; SIZE_MAX: more bytes tell. */
static size_t message_len(struct slice in)
{
	if (in.len > 0 && in.ptr[0] != VERSION)
		return 0;
	if (in.len > 2 && in.ptr[2] != 0)
		return 0;
	if (in.len <= ADDRESS_AT)
		return SIZE_MAX;
	switch (in.ptr[ADDRESS_AT - 1]) {
	case IPV4: return ADDRESS_AT + 4 + PORT_BYTES;
	case IPV6: return ADDRESS_AT + 16 + PORT_BYTES;
	case NAME: return in.ptr[ADDRESS_AT] ? ADDRESS_AT + 1u + in.ptr[ADDRESS_AT] + PORT_BYTES : 0;
	default: return 0;
	}
}

static void fail(struct message *m, uint8_t reply)
{
	/* RFC 1928, 6 */
	static const char *const names[] = { "general_failure", "not_allowed", "network_unreachable", "host_unreachable", "connection_refused", "ttl_expired",
					     "command_not_supported", "address_type_not_supported" };
	const char *name = reply <= sizeof(names) / sizeof(names[0]) ? names[reply - 1] : "_OTHER";

	m->flags |= MESSAGE_ERROR;
	memcpy(m->error_type, name, strlen(name) + 1);
}

/* The address behind a failure says nothing, but is a part of the reply. */
static enum parse_status parse_rest(struct socks5_state *st, struct slice in, struct parse_result *ret)
{
	uint8_t all[ADDRESS_AT + 1] = { VERSION };
	size_t n = in.len < 2 ? in.len : 2;

	memcpy(all + FAILURE_BYTES, in.ptr, n);
	size_t len = message_len(slice_make(all, FAILURE_BYTES + n));
	if (len == 0)
		return PARSE_BAD;
	ret->need = len == SIZE_MAX ? 2 : len - FAILURE_BYTES;
	if (in.len < ret->need)
		return PARSE_NEED_MORE;
	ret->consumed = ret->need;
	ret->message.kind = MESSAGE_RESPONSE;
	ret->message.flags = MESSAGE_END | MESSAGE_SWITCH;
	st->failed = false;
	return PARSE_MESSAGE;
}

static enum parse_status parse_message(struct socks5_state *st, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct message *m = &ret->message;
	size_t len = message_len(in);

	if (side == PROTO_TO_CLIENT && in.len >= FAILURE_BYTES && len && in.ptr[1]) {
		m->kind = MESSAGE_RESPONSE;
		m->flags = MESSAGE_BEGIN;
		fail(m, in.ptr[1]);
		st->failed = true;
		ret->consumed = FAILURE_BYTES;
		return PARSE_MESSAGE;
	}
	if (len == 0 || (side == PROTO_TO_SERVER && in.len > 1 && (in.ptr[1] < CONNECT || in.ptr[1] > UDP_ASSOCIATE)))
		return PARSE_BAD;
	if (in.len < len) {
		ret->need = len != SIZE_MAX ? len : in.len < FAILURE_BYTES ? FAILURE_BYTES : ADDRESS_AT + 1;
		return PARSE_NEED_MORE;
	}
	ret->consumed = len;
	m->flags = MESSAGE_BEGIN | MESSAGE_END;
	if (side == PROTO_TO_SERVER) {
		m->kind = MESSAGE_REQUEST;
		if (st->login)
			m->flags = MESSAGE_END;
		st->command = in.ptr[1];
		return PARSE_MESSAGE;
	}
	m->kind = MESSAGE_RESPONSE;
	m->flags |= MESSAGE_SWITCH;
	if (st->command == CONNECT)
		m->next = MESSAGE_NEXT_ANY;
	return PARSE_MESSAGE;
}

/* "version, length of the name, name, length of the password, password" (RFC 1929, 2) */
static enum parse_status parse_password(struct socks5_state *st, struct slice in, struct parse_result *ret)
{
	size_t second = in.len < 2 ? 0 : 2u + in.ptr[1];
	size_t len = in.len < 2 ? 2 : in.len <= second ? second + 1 : second + 1u + in.ptr[second];

	if (in.len < len) {
		ret->need = len;
		return PARSE_NEED_MORE;
	}
	if (st->login)
		return PARSE_BAD;
	ret->consumed = len;
	ret->message.kind = MESSAGE_REQUEST;
	ret->message.flags = MESSAGE_BEGIN;
	st->login = true;
	return PARSE_MESSAGE;
}

/* "version, status": 0 is success, and with anything else the connection is over. */
static enum parse_status parse_login_reply(const struct socks5_state *st, struct slice in, struct parse_result *ret)
{
	struct message *m = &ret->message;

	if (in.len < 2 || !in.ptr[1] || !st->login)
		return pass(in, 2, ret);
	ret->consumed = 2;
	m->kind = MESSAGE_RESPONSE;
	m->flags = MESSAGE_BEGIN | MESSAGE_END | MESSAGE_SWITCH | MESSAGE_ERROR;
	memcpy(m->error_type, "authentication_failed", sizeof("authentication_failed"));
	return PARSE_MESSAGE;
}

static enum parse_status socks5_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct socks5_state *st = state;
	bool *begun = side == PROTO_TO_SERVER ? &st->greeted : &st->answered;
	enum parse_status status;

	if (st->failed && side == PROTO_TO_CLIENT)
		return parse_rest(st, in, ret);
	if (in.ptr[0] == PASSWORD_VERSION && *begun)
		return side == PROTO_TO_SERVER ? parse_password(st, in, ret) : parse_login_reply(st, in, ret);
	if (in.ptr[0] != VERSION)
		return PARSE_BAD;
	if (*begun)
		return parse_message(st, side, in, ret);
	status = pass(in, side == PROTO_TO_SERVER && in.len > 1 ? 2u + in.ptr[1] : 2, ret);
	*begun = status == PARSE_SKIP;
	if (*begun && side == PROTO_TO_SERVER && in.len == 2) /* a greeting without methods is none */
		return PARSE_BAD;
	return status;
}

/* Methods that are assigned (IANA: SOCKS Methods), each once. */
static bool methods_fit(struct slice in)
{
	for (size_t i = 0; i < in.len; i++)
		if (in.ptr[i] > METHODS_MAX || in.ptr[i] == 4 || memchr(in.ptr, in.ptr[i], i))
			return false;
	return true;
}

/* So short that only both directions tell, or the port. */
static int socks5_detect(struct slice in, enum proto_side side)
{
	if (in.len > 0 && in.ptr[0] != VERSION)
		return DETECT_NO;
	if (in.len < 2)
		return DETECT_MORE;
	if (side == PROTO_TO_CLIENT)
		return in.len == 2 && (in.ptr[1] == NO_METHOD || methods_fit(slice_from(in, 1))) ? DETECT_WEAK : DETECT_NO;
	size_t n = in.ptr[1];
	if (n == 0 || n > METHODS_MAX || in.len > 2 + n || !methods_fit(slice_from(in, 2)))
		return DETECT_NO;
	return in.len < 2 + n ? DETECT_MORE : DETECT_WEAK;
}

/* Nothing in these messages can be told from what goes through the proxy. */
static size_t socks5_resync(void *state, enum proto_side side, struct slice in)
{
	(void)state;
	(void)side;
	return in.len;
}

const struct proto_ops proto_socks5 = {
	.name = "socks5",
	.id = PLUMB_PROTO_SOCKS5,
	.state_size = sizeof(struct socks5_state),
	.detect = socks5_detect,
	.parse = socks5_parse,
	.resync = socks5_resync,
	.want = { ALL_OF_A_MESSAGE, ALL_OF_A_MESSAGE },
};

/* SPDX-License-Identifier: Apache-2.0 */
/* What a parser finds in one direction of a connection. */
#ifndef PLUMB_MODEL_MESSAGE_H
#define PLUMB_MODEL_MESSAGE_H

#include "model/attribute.h"

enum { MESSAGE_ATTRS_MAX = 24, MESSAGE_ERROR_TYPE_LEN = 64 };

enum message_kind {
	MESSAGE_REQUEST, /* of either side: a broker asks with what it delivers. Where both ask, all are keyed, and the keys of the two sides differ */
	MESSAGE_RESPONSE,
	MESSAGE_ONEWAY, /* belongs to no exchange and needs none: push, notice, keep-alive; counted, no span */
};

/*
 * A logical message is one or several of these events: BEGIN once, then any number of parts, END once; a short message
 * has both bits in one event. Between BEGIN and END the parser may return PARSE_SKIP for bytes that nobody needs.
 * Attributes may come with any event.
 */
#define MESSAGE_BEGIN 1u
#define MESSAGE_END 2u
/* With END: the message ends not now but when the bytes of parse_result.skip have passed. */
#define MESSAGE_END_AFTER_SKIP 4u
/* With BEGIN of a response: an interim answer (HTTP 1xx); its request stays open for another response. */
#define MESSAGE_INTERIM 8u
/* The message says that the exchange failed; error_type says how. */
#define MESSAGE_ERROR 16u
/* The request expects no response (PostgreSQL Terminate …); the exchange ends with it. */
#define MESSAGE_NO_RESPONSE 32u
/*
 * Behind this message both directions are another protocol (HTTP 101 or CONNECT 2xx, SSLRequest accepted): the one that `next` says. With INTERIM its
 * request stays open, and is answered there.
 */
#define MESSAGE_SWITCH 64u
/* The message lasts until the stream ends (HTTP close-delimited body). */
#define MESSAGE_UNTIL_CLOSE 128u
/*
 * A response that also answers every older request without a response of its own (PostgreSQL ReadyForQuery after an error). With
 * BEGIN of a request: the parser has met a loss, and starts pairing afresh here; what is older will not be answered any more.
 */
#define MESSAGE_FLUSH 256u
/*
 * With BEGIN of a request: the parser cannot tell its response, after a loss or for want of room. With END: bytes of the message may have been
 * lost, or its end was. The exchange is incomplete.
 */
#define MESSAGE_UNSURE 512u
/*
 * Of a keyed protocol, alone: the exchange is over for both sides, whatever was in progress (HTTP/2 RST_STREAM). Begins and ends
 * no message of its own.
 */
#define MESSAGE_ABORT 1024u
/* With BEGIN of a request: it is answered in some cases only (memcached's quiet commands), and silence is no failure. */
#define MESSAGE_QUIET 2048u
/*
 * Of a keyed protocol, with the BEGIN and END of a response, or with ABORT: it is for each open request whose key lies in first..key, and for
 * nobody if there is none (an AMQP acknowledgement of several). The parser sees to it that no key is covered over and over. With QUIET alone it ends nothing: these
 * requests may be such that are answered in some cases only.
 */
#define MESSAGE_RANGE 4096u

enum { MESSAGE_NEXT_ANY = 0xffff };

struct message {
	enum message_kind kind;
	uint32_t flags;
	bool keyed;       /* pair by key; else first in, first out */
	uint64_t key;     /* stream id, correlation id, transaction id */
	uint64_t first;   /* MESSAGE_RANGE */
	uint16_t next;    /* with SWITCH: PLUMB_PROTO_*, MESSAGE_NEXT_ANY = as at the start of a connection, 0 = nothing that is parsed */
	uint32_t nattrs;
	struct attr attrs[MESSAGE_ATTRS_MAX]; /* strings are views into the input or into the parser's state, valid until the next parse call */
	char error_type[MESSAGE_ERROR_TYPE_LEN]; /* value of error.type when MESSAGE_ERROR, NUL-terminated */
};

/* It needs no exchange. */
static inline void message_oneway(struct message *m, uint32_t flags)
{
	m->kind = MESSAGE_ONEWAY;
	m->flags |= flags;
}

/* An event of the message of this key. */
static inline struct message *message_keyed(struct message *m, enum message_kind kind, uint64_t key, uint32_t flags)
{
	m->kind = kind;
	m->keyed = true;
	m->key = key;
	m->flags = flags;
	return m;
}

/* Silently ignored beyond MESSAGE_ATTRS_MAX: parsers add the important ones first. */
static inline void message_add_str(struct message *m, enum attr_id id, struct slice value)
{
	if (m->nattrs < MESSAGE_ATTRS_MAX)
		m->attrs[m->nattrs++] = (struct attr){ .id = (uint16_t)id, .type = ATTR_TYPE_STR, .str = value };
}

/* Nothing where there is no text. */
static inline void message_add_text(struct message *m, enum attr_id id, struct slice value)
{
	if (value.len)
		message_add_str(m, id, value);
}

static inline void message_add_int(struct message *m, enum attr_id id, int64_t value)
{
	if (m->nattrs < MESSAGE_ATTRS_MAX)
		m->attrs[m->nattrs++] = (struct attr){ .id = (uint16_t)id, .type = ATTR_TYPE_INT, .num = value };
}

static inline void message_add_bool(struct message *m, enum attr_id id, bool value)
{
	if (m->nattrs < MESSAGE_ATTRS_MAX)
		m->attrs[m->nattrs++] = (struct attr){ .id = (uint16_t)id, .type = ATTR_TYPE_BOOL, .num = value };
}

#endif

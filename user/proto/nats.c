/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NATS: the client protocol (https://docs.nats.io/reference/reference-protocols/nats-protocol) with headers, and what JetStream says by it.
 *
 * A publish that names an inbox for the answer is a request: its exchange lasts until the first message to that inbox. What a server delivers (MSG,
 * HMSG) is an exchange that the server begins; if it asks for an answer, it lasts until the client publishes one, and a client that never answers is no
 * failure. Further messages to an inbox are messages like any other. All other publishes are over when they are sent, unless the client is verbose: then
 * the server confirms each line in order.
 *
 * Keys: numbers of one's own for what is answered in order or not at all, the hash of the inbox (KEY_INBOX) for the rest; what the server asks has
 * KEY_SERVER. So an answer that is parsed before its request finds it all the same.
 *
 * An error that the server tells without being verbose answers the request for whose subject it is, or the CONNECT; else it is a response whose request
 * is over, and stands alone. JetStream: acknowledgements are spans of their own ("ack", "nak" …), pulls are, too, and what is pulled is delivered; the
 * error in an answer of its interface is the exchange's. Inboxes and names of keys, objects and consumers are not part of names:
 * messaging.destination.template has them.
 */
#include "lib/hash.h"
#include "proto/nats_memory.h"
#include "proto/nats_wire.h"

enum {
	ANSWER_LOOK = 256,   /* of the payload of an answer */
	ACK_LOOK = 5,        /* "+TERM" */
	PREFIXES = 4,        /* of inboxes that are not called _INBOX */
	RECENT = 4,          /* requests whose subjects are remembered for errors */
	OPS = 64,            /* unconfirmed lines of a verbose client of which is known what they were */
	SILENT_MAX = 255,    /* deliveries that asked for an answer and got none, and the client is taken for one that never answers */
	RESYNC_KEEP = 512,
	TLS_HANDSHAKE = 0x16, TLS_MAJOR = 3,
};
#define KEY_SERVER (UINT64_C(1) << 63)
#define KEY_INBOX (UINT64_C(1) << 62)

struct nats_state {
	struct nats_memory *memory;
	uint64_t sent, confirmed;  /* lines of a verbose client */
	uint64_t asks;             /* of the latest OPS of them: a bit for each that has another response than +OK */
	uint64_t serial[2];        /* by side: exchanges without another key */
	uint64_t connect;          /* key of the CONNECT that is not answered */
	uint64_t prefixes[PREFIXES]; /* hashes of what was subscribed to as "prefix.*" */
	struct {
		uint64_t subject; /* hash */
		uint64_t key;
	} recent[RECENT];
	uint8_t next_prefix, next_recent;
	uint8_t silent;            /* deliveries that asked, since the client has answered one */
	bool verbose : 1, connecting : 1;
	bool spoken : 1;           /* the client has said something */
	bool lost : 1;             /* which line the next +OK confirms is not known until a PONG comes for a PING that followed */
	bool pinged : 1;
	bool in_line[2];           /* by side: in a line that was too long to be looked at whole */
};
_Static_assert(sizeof(struct nats_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

/* ---- keys ---- */

static uint64_t inbox_key(struct slice inbox, enum proto_side side)
{
	uint64_t key = (hash_slice(inbox) & (KEY_INBOX - 1)) | KEY_INBOX;

	return side == PROTO_TO_CLIENT ? key | KEY_SERVER : key;
}

static uint64_t own_key(struct nats_state *s, enum proto_side side)
{
	uint64_t n = s->serial[side]++;

	return side == PROTO_TO_CLIENT ? n | KEY_SERVER : n;
}

static uint64_t prefix_hash(struct slice subject)
{
	size_t n = subject.len;

	while (n && subject.ptr[n - 1] != '.')
		n--;
	return hash_slice(slice_head(subject, n)) | 1;
}

/* Will an answer come to this connection? */
static bool is_own_inbox(const struct nats_state *s, struct slice reply)
{
	if (nats_is_inbox(reply))
		return true;
	uint64_t whole = hash_slice(reply) | 1, prefix = prefix_hash(reply);
	for (unsigned i = 0; i < PREFIXES; i++)
		if (s->prefixes[i] == whole || s->prefixes[i] == prefix)
			return true;
	return false;
}

static void subscribed(struct nats_state *s, struct slice subject)
{
	bool several = subject.len > 2 && subject.ptr[subject.len - 1] == '*' && subject.ptr[subject.len - 2] == '.';

	if (nats_is_inbox(subject))
		return;
	s->prefixes[s->next_prefix] = several ? prefix_hash(subject) : hash_slice(subject) | 1;
	s->next_prefix = (uint8_t)((s->next_prefix + 1) % PREFIXES);
}

/* ---- attributes ---- */

static void word_add(struct message *m, enum attr_id id, const char *word) { message_add_str(m, id, slice_str(word)); }

static void operation_add(struct message *m, const char *name, const char *type)
{
	word_add(m, ATTR_MESSAGING_OPERATION_NAME, name);
	if (type)
		word_add(m, ATTR_MESSAGING_OPERATION_TYPE, type);
}

static void destination_add(struct nats_state *s, struct slice subject, struct message *m)
{
	unsigned known = nats_tokens_known(subject);
	size_t n = known ? nats_tokens_len(subject, known) : subject.len;

	if (n >= subject.len) {
		message_add_str(m, ATTR_MESSAGING_DESTINATION_NAME, subject);
		return;
	}
	n = n < NATS_TEMPLATE_MAX - 2 ? n : NATS_TEMPLATE_MAX - 2;
	memcpy(s->memory->template, subject.ptr, n);
	memcpy(s->memory->template + n, ".>", 2);
	message_add_str(m, ATTR_MESSAGING_DESTINATION_TEMPLATE, slice_make(s->memory->template, n + 2));
	if (nats_is_inbox(subject))
		message_add_bool(m, ATTR_MESSAGING_DESTINATION_TEMPORARY, true);
}

static void headers_add(const struct nats_headers *h, struct message *m)
{
	message_add_text(m, ATTR_RAW_TRACEPARENT, h->traceparent);
	message_add_text(m, ATTR_RAW_TRACESTATE, h->tracestate);
	message_add_text(m, ATTR_RAW_B3, h->b3);
	message_add_text(m, ATTR_RAW_UBER_TRACE_ID, h->uber);
	message_add_text(m, ATTR_MESSAGING_MESSAGE_ID, h->message_id);
}

static void error_set(struct message *m, struct slice name)
{
	size_t n = name.len < MESSAGE_ERROR_TYPE_LEN - 1 ? name.len : MESSAGE_ERROR_TYPE_LEN - 1;

	m->flags |= MESSAGE_ERROR;
	memcpy(m->error_type, name.ptr, n);
	m->error_type[n] = '\0';
}

static void size_add(const struct nats_line *l, struct message *m) { message_add_int(m, ATTR_MESSAGING_MESSAGE_BODY_SIZE, (int64_t)(l->total - l->headers)); }

/* "$JS.ACK.<stream>.<consumer>.…", or with domain and account in front of them. */
static bool ack_read(struct slice subject, struct slice *ret_stream, struct slice *ret_consumer)
{
	if (!slice_starts(subject, SLICE_LIT("$JS.ACK.")))
		return false;
	unsigned at = nats_token(subject, 10).len ? 4 : 2;
	*ret_stream = nats_token(subject, at);
	*ret_consumer = nats_token(subject, at + 1);
	return true;
}

/* "$JS.API.CONSUMER.MSG.NEXT.<stream>.<consumer>", or with a domain behind $JS. */
static bool pull_read(struct slice subject, struct slice *ret_stream, struct slice *ret_consumer)
{
	if (!slice_starts(subject, SLICE_LIT("$JS.")))
		return false;
	unsigned at = slice_eq(nats_token(subject, 1), SLICE_LIT("API")) ? 2 : 3;
	if (!slice_starts(slice_from(subject, nats_tokens_len(subject, at) + 1), SLICE_LIT("CONSUMER.MSG.NEXT.")))
		return false;
	*ret_stream = nats_token(subject, at + 3);
	*ret_consumer = nats_token(subject, at + 4);
	return true;
}

static const char *ack_name(struct slice payload)
{
	static const struct { const char *text, *name; } kinds[] = { { "-NAK", "nak" }, { "+WPI", "in_progress" }, { "+TERM", "term" }, { "+NXT", "next" } };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (slice_starts(payload, slice_str(kinds[i].text)))
			return kinds[i].name;
	return "ack";
}

/* ---- messages ---- */

/* A line with a payload, and what is seen of both. */
struct piece {
	struct nats_line line;
	struct slice payload; /* its beginning */
	struct nats_headers headers;
};

static void open_request(uint64_t key, struct message *m)
{
	m->kind = MESSAGE_REQUEST;
	m->keyed = true;
	m->key = key;
}

/* A line of a verbose client that the server will confirm. False: nobody confirms it. */
static bool confirmed_later(struct nats_state *s, bool asks)
{
	if (!s->verbose || (s->lost && !s->pinged))
		return false;
	uint64_t bit = UINT64_C(1) << (s->sent % OPS);
	s->asks = asks ? s->asks | bit : s->asks & ~bit;
	if (++s->sent - s->confirmed > OPS) { /* what the oldest was is not known any more */
		s->lost = true;
		s->pinged = false;
		return false;
	}
	return true;
}

static uint64_t line_key(uint64_t number) { return number | KEY_INBOX >> 1; }

static void send_plain(struct nats_state *s, struct message *m)
{
	if (confirmed_later(s, false)) {
		open_request(line_key(s->sent - 1), m);
		return;
	}
	open_request(own_key(s, PROTO_TO_SERVER), m);
	m->flags |= MESSAGE_NO_RESPONSE;
}

static void send_request(struct nats_state *s, const struct nats_line *l, struct message *m)
{
	uint64_t key = inbox_key(l->reply, PROTO_TO_SERVER);

	(void)confirmed_later(s, true);
	open_request(key, m);
	nats_inbox_ask(s->memory, key);
	s->recent[s->next_recent].subject = hash_slice(l->subject);
	s->recent[s->next_recent].key = key;
	s->next_recent = (uint8_t)((s->next_recent + 1) % RECENT);
}

/* Does this message answer one that went the other way, `asked`? */
static bool answers(struct nats_state *s, struct slice subject, enum proto_side asked, uint64_t *ret_key)
{
	*ret_key = inbox_key(subject, asked);
	return nats_inbox_answer(s->memory, *ret_key, nats_is_inbox(subject));
}

static void answer_add(const struct piece *p, struct message *m, uint64_t key)
{
	struct slice code, number, text;

	m->kind = MESSAGE_RESPONSE;
	m->keyed = true;
	m->key = key;
	word_add(m, ATTR_MESSAGING_OPERATION_NAME, "reply");
	if (p->headers.status == 503) {
		error_set(m, SLICE_LIT("no_responders"));
		word_add(m, ATTR_MESSAGING_RESPONSE_CODE, "503");
	} else if (p->headers.status) {
		struct slice status = slice_make(p->payload.ptr + strlen("NATS/1.0 "), 3);
		message_add_text(m, ATTR_MESSAGING_RESPONSE_CODE, status);
		if (p->headers.status >= 400 && p->headers.status != 404) /* nothing there is an answer */
			error_set(m, status);
	} else if (p->headers.service_error.len) {
		/* Services choose their codes, and a word that anybody may choose is no name of a series. */
		uint64_t unused;
		code = slice_u64(p->headers.service_error, &unused) && p->headers.service_error.len <= 8 ? p->headers.service_error : SLICE_LIT("_OTHER");
		message_add_text(m, ATTR_MESSAGING_RESPONSE_CODE, code);
		error_set(m, code);
	} else if (nats_api_error(slice_from(p->payload, (size_t)p->line.headers), &code, &number, &text)) {
		message_add_text(m, ATTR_MESSAGING_RESPONSE_CODE, code);
		message_add_text(m, ATTR_RAW_STATUS_MESSAGE, text);
		error_set(m, number);
	}
}

static void settle_add(struct nats_state *s, const struct piece *p, struct slice stream, struct slice consumer, struct message *m)
{
	if (p->line.reply.len && is_own_inbox(s, p->line.reply))
		send_request(s, &p->line, m);
	else
		send_plain(s, m);
	operation_add(m, ack_name(slice_from(p->payload, (size_t)p->line.headers)), "settle");
	message_add_str(m, ATTR_MESSAGING_DESTINATION_NAME, stream);
	message_add_str(m, ATTR_MESSAGING_CONSUMER_GROUP_NAME, consumer);
}

static void oneway(struct message *m) { m->kind = MESSAGE_ONEWAY; }

static void publish_parse(struct nats_state *s, const struct piece *p, struct message *m)
{
	const struct nats_line *l = &p->line;
	struct slice stream, consumer;
	uint64_t key;

	if (ack_read(l->subject, &stream, &consumer)) {
		settle_add(s, p, stream, consumer, m);
		return;
	}
	if (pull_read(l->subject, &stream, &consumer)) { /* what comes is delivered, several times perhaps */
		send_plain(s, m);
		operation_add(m, "pull", NULL);
		message_add_str(m, ATTR_MESSAGING_DESTINATION_NAME, stream);
		message_add_str(m, ATTR_MESSAGING_CONSUMER_GROUP_NAME, consumer);
		return;
	}
	if (slice_starts(l->subject, SLICE_LIT("$JS.FC."))) {
		(void)confirmed_later(s, true);
		oneway(m);
		return;
	}
	bool told = s->silent == SILENT_MAX && nats_is_inbox(l->subject);
	bool known = !told && answers(s, l->subject, PROTO_TO_CLIENT, &key);
	if (told || known)
		s->silent = 0;
	if (known) {
		(void)confirmed_later(s, true);
		answer_add(p, m, key);
		return;
	}
	bool asks = l->reply.len && is_own_inbox(s, l->reply);
	if (asks)
		send_request(s, l, m);
	else
		send_plain(s, m);
	operation_add(m, asks ? "request" : "publish", "send");
	destination_add(s, l->subject, m);
	size_add(l, m);
	message_add_text(m, ATTR_MESSAGING_MESSAGE_CONVERSATION_ID, l->reply);
	headers_add(&p->headers, m);
}

static void deliver_parse(struct nats_state *s, const struct piece *p, struct message *m)
{
	const struct nats_line *l = &p->line;
	struct slice stream, consumer;
	uint64_t key;
	bool status = p->headers.status != 0;
	struct nats_inbox *known = nats_inbox_find(s->memory, inbox_key(l->subject, PROTO_TO_SERVER));

	if (status && p->headers.status != 503 && !(known && known->open)) { /* heartbeats, ends of pulls */
		oneway(m);
		return;
	}
	if (answers(s, l->subject, PROTO_TO_SERVER, &key)) {
		answer_add(p, m, key);
		return;
	}
	if (status) {
		oneway(m);
		return;
	}
	bool acked = ack_read(l->reply, &stream, &consumer);
	bool asks = l->reply.len && !acked && s->silent < SILENT_MAX;
	if (asks) {
		open_request(inbox_key(l->reply, PROTO_TO_CLIENT), m);
		nats_inbox_ask(s->memory, m->key);
		s->silent++;
	} else {
		open_request(own_key(s, PROTO_TO_CLIENT), m);
	}
	m->flags |= asks ? MESSAGE_QUIET : MESSAGE_NO_RESPONSE;
	operation_add(m, "deliver", "process");
	destination_add(s, l->subject, m);
	size_add(l, m);
	if (acked)
		message_add_str(m, ATTR_MESSAGING_CONSUMER_GROUP_NAME, consumer);
	else
		message_add_text(m, ATTR_MESSAGING_MESSAGE_CONVERSATION_ID, l->reply);
	headers_add(&p->headers, m);
}

static enum parse_status sized_parse(struct nats_state *s, struct slice in, const struct nats_line *l, struct parse_result *ret)
{
	struct message *m = &ret->message;
	struct piece p = { .line = *l };
	uint64_t look = l->headers < NATS_HEADERS_MAX ? l->headers : NATS_HEADERS_MAX;

	if (l->headers <= NATS_HEADERS_MAX && (nats_is_inbox(l->subject) || nats_inbox_find(s->memory, inbox_key(l->subject, PROTO_TO_SERVER))))
		look += l->total - l->headers < ANSWER_LOOK ? l->total - l->headers : ANSWER_LOOK;
	else if (l->headers <= NATS_HEADERS_MAX && l->op == NATS_PUB && l->subject.ptr[0] == '$')
		look += l->total < ACK_LOOK ? l->total : ACK_LOOK;
	struct slice rest = slice_from(in, l->len);
	if (rest.len < look) {
		ret->need = l->len + (size_t)look;
		return PARSE_NEED_MORE;
	}
	p.payload = slice_head(rest, (size_t)look);
	if (l->headers)
		nats_headers_read(slice_head(p.payload, (size_t)l->headers), &p.headers);
	if (l->op == NATS_PUB || l->op == NATS_HPUB)
		publish_parse(s, &p, m);
	else
		deliver_parse(s, &p, m);
	m->flags |= MESSAGE_BEGIN | MESSAGE_END | MESSAGE_END_AFTER_SKIP;
	ret->consumed = l->len;
	ret->skip = l->total + 2;
	return PARSE_MESSAGE;
}

/* ---- lines ---- */

static void connect_parse(struct nats_state *s, const struct nats_line *l, struct message *m)
{
	s->verbose = slice_eq(nats_json(l->text, SLICE_LIT("verbose")), SLICE_LIT("true"));
	s->lost = false;
	s->sent = s->confirmed = 0;
	if (confirmed_later(s, false)) {
		open_request(line_key(s->sent - 1), m);
	} else {
		open_request(own_key(s, PROTO_TO_SERVER), m);
		m->flags |= MESSAGE_QUIET; /* its client may not have asked for a PONG */
	}
	s->connect = m->key;
	s->connecting = true;
	operation_add(m, "connect", NULL);
	message_add_text(m, ATTR_MESSAGING_CLIENT_ID, nats_json(l->text, SLICE_LIT("name")));
}

static void subscribe_parse(struct nats_state *s, const struct nats_line *l, struct message *m)
{
	subscribed(s, l->subject);
	if (nats_is_inbox(l->subject)) {
		(void)confirmed_later(s, true);
		oneway(m);
		return;
	}
	send_plain(s, m);
	operation_add(m, "subscribe", NULL);
	destination_add(s, l->subject, m);
}

static void respond(uint64_t key, struct message *m)
{
	m->kind = MESSAGE_RESPONSE;
	m->keyed = true;
	m->key = key;
}

/* The line that a verbose client's server confirms or refuses. False: it is not known, or has another response. */
static bool confirm_next(struct nats_state *s, uint64_t *ret_key)
{
	if (!s->verbose || s->lost || s->confirmed == s->sent)
		return false;
	uint64_t n = s->confirmed++;
	*ret_key = line_key(n);
	if (*ret_key == s->connect)
		s->connecting = false;
	return !(s->asks >> (n % OPS) & 1);
}

static bool recent_find(struct nats_state *s, struct slice subject, uint64_t *ret_key)
{
	uint64_t hash = hash_slice(subject);

	for (unsigned i = 0; subject.len && i < RECENT; i++) {
		struct nats_inbox *known = s->recent[i].subject == hash ? nats_inbox_find(s->memory, s->recent[i].key) : NULL;
		if (!known || !known->open)
			continue;
		known->open--;
		*ret_key = known->key;
		return true;
	}
	return false;
}

static void error_parse(struct nats_state *s, const struct nats_line *l, struct message *m)
{
	struct slice subject, text;
	const char *operation, *name = nats_error_name(l->text, &text, &operation, &subject);
	uint64_t key = 0;
	bool connecting = s->connecting, confirms = confirm_next(s, &key);
	bool known = recent_find(s, subject, &key) || confirms;

	if (!known && !s->connecting && !*operation) { /* of the connection as a whole */
		oneway(m);
		return;
	}
	if (!known && s->connecting) {
		key = s->connect;
		s->connecting = false;
	} else if (!known) {
		operation_add(m, operation, NULL); /* what was sent has its span */
		if (subject.len)
			destination_add(s, subject, m);
		key = own_key(s, PROTO_TO_SERVER);
	}
	respond(key, m);
	error_set(m, slice_str(name));
	if (!connecting || key != s->connect) /* of a login only what is known is shown: the rest may repeat what was said in it */
		text = slice_head(slice_from(l->text, 1), l->text.len > 2 ? l->text.len - 2 : 0);
	message_add_text(m, ATTR_RAW_STATUS_MESSAGE, text);
}

static void pong_parse(struct nats_state *s, struct message *m)
{
	oneway(m);
	if (s->lost && s->pinged) {
		s->lost = s->pinged = false;
	} else if (s->connecting && !s->verbose) {
		s->connecting = false;
		respond(s->connect, m);
	}
}

static void ping_parse(struct nats_state *s, struct message *m)
{
	oneway(m);
	if (!s->verbose || !s->lost || s->pinged)
		return;
	s->pinged = true;
	s->confirmed = s->sent;
}

static void line_parse(struct nats_state *s, enum proto_side side, const struct nats_line *l, struct message *m)
{
	uint64_t key;

	switch (l->op) {
	case NATS_CONNECT:
		connect_parse(s, l, m);
		break;
	case NATS_SUB:
		subscribe_parse(s, l, m);
		break;
	case NATS_UNSUB:
		(void)confirmed_later(s, true);
		oneway(m);
		break;
	case NATS_OK:
		if (confirm_next(s, &key))
			respond(key, m);
		else
			oneway(m);
		break;
	case NATS_ERR:
		error_parse(s, l, m);
		break;
	case NATS_PONG:
		if (side == PROTO_TO_CLIENT)
			pong_parse(s, m);
		else
			oneway(m);
		break;
	case NATS_PING:
		if (side == PROTO_TO_SERVER)
			ping_parse(s, m);
		else
			oneway(m);
		break;
	default:
		oneway(m);
		break;
	}
}

/* A client that answers the INFO with a handshake of TLS: what follows is not ours. */
static bool leaves(struct nats_state *s, enum proto_side side, struct slice in)
{
	if (side == PROTO_TO_CLIENT || s->spoken)
		return false;
	s->spoken = in.ptr[0] != TLS_HANDSHAKE || (in.len > 1 && in.ptr[1] != TLS_MAJOR);
	return !s->spoken;
}

static enum parse_status nats_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct nats_state *s = state;
	struct nats_line l;

	if (leaves(s, side, in)) {
		if (in.len < 2)
			return PARSE_NEED_MORE;
		oneway(&ret->message);
		ret->message.flags |= MESSAGE_BEGIN | MESSAGE_END | MESSAGE_SWITCH;
		ret->message.next = PLUMB_PROTO_TLS;
		return PARSE_MESSAGE;
	}
	if (s->in_line[side]) {
		size_t end = slice_find(in, '\n', 0);
		ret->consumed = end == SIZE_MAX ? in.len : end + 1;
		s->in_line[side] = end == SIZE_MAX;
		return PARSE_SKIP;
	}
	switch (nats_line_read(in, side, &l)) {
	case NATS_SCAN_MORE: return PARSE_NEED_MORE;
	case NATS_SCAN_BAD: return PARSE_BAD;
	case NATS_SCAN_OK: break;
	}
	if (l.sized)
		return sized_parse(s, in, &l, ret);
	line_parse(s, side, &l, &ret->message);
	ret->consumed = l.len;
	ret->message.flags |= MESSAGE_BEGIN | MESSAGE_END;
	s->in_line[side] = l.cut;
	return PARSE_MESSAGE;
}

static void nats_lost(void *state, enum proto_side side)
{
	struct nats_state *s = state;

	s->in_line[side] = false;
	s->lost = true;
	s->pinged = s->connecting = false;
}

static size_t nats_resync(void *state, enum proto_side side, struct slice in)
{
	(void)state;
	for (size_t at = 0; at < in.len; at++) {
		if (nats_begins(slice_from(in, at), side))
			return at;
		at = slice_find(in, '\n', at);
		if (at == SIZE_MAX)
			break;
	}
	return in.len;
}

const struct proto_ops proto_nats = {
	.name = "nats",
	.id = PLUMB_PROTO_NATS,
	.state_size = sizeof(struct nats_state),
	.detect = nats_detect,
	.parse = nats_parse,
	.lost = nats_lost,
	.resync = nats_resync,
	.resync_keep = RESYNC_KEEP,
	.open = nats_memory_new,
	.close = nats_memory_free,
	.want = { 65536, 65536 }, /* clients and servers write many small messages at once */
};

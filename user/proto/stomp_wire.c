/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/stomp_wire.h"

#include <stddef.h>

enum { LENGTH_DIGITS = 10, NAME_MAX_BYTES = 255 };

#define HEADER(field) offsetof(struct stomp_head, field)
enum { NO_HEADER = 0 }; /* `command` lies at offset 0, so no slice does */

static const struct command {
	const char *word;
	enum stomp_command command;
	enum proto_side side;
	const char *operation;
	size_t must[2]; /* offsets of headers of which one must be there */
} commands[] = {
	{ "CONNECT", STOMP_CONNECT, PROTO_TO_SERVER, "connect", { NO_HEADER, NO_HEADER } },
	{ "STOMP", STOMP_CONNECT, PROTO_TO_SERVER, "connect", { NO_HEADER, NO_HEADER } },
	{ "SEND", STOMP_SEND, PROTO_TO_SERVER, "send", { HEADER(destination), NO_HEADER } },
	{ "SUBSCRIBE", STOMP_SUBSCRIBE, PROTO_TO_SERVER, "subscribe", { HEADER(destination), NO_HEADER } },
	{ "UNSUBSCRIBE", STOMP_UNSUBSCRIBE, PROTO_TO_SERVER, "unsubscribe", { HEADER(id), HEADER(destination) } },
	{ "ACK", STOMP_ACK, PROTO_TO_SERVER, "ack", { HEADER(id), HEADER(message_id) } },
	{ "NACK", STOMP_NACK, PROTO_TO_SERVER, "nack", { HEADER(id), HEADER(message_id) } },
	{ "BEGIN", STOMP_BEGIN, PROTO_TO_SERVER, "begin", { NO_HEADER, NO_HEADER } },
	{ "COMMIT", STOMP_COMMIT, PROTO_TO_SERVER, "commit", { NO_HEADER, NO_HEADER } },
	{ "ABORT", STOMP_ABORT, PROTO_TO_SERVER, "abort", { NO_HEADER, NO_HEADER } },
	{ "DISCONNECT", STOMP_DISCONNECT, PROTO_TO_SERVER, "disconnect", { NO_HEADER, NO_HEADER } },
	{ "CONNECTED", STOMP_CONNECTED, PROTO_TO_CLIENT, "", { NO_HEADER, NO_HEADER } },
	{ "MESSAGE", STOMP_MESSAGE, PROTO_TO_CLIENT, "deliver", { HEADER(message_id), NO_HEADER } },
	{ "RECEIPT", STOMP_RECEIPT, PROTO_TO_CLIENT, "", { HEADER(receipt_id), NO_HEADER } },
	{ "ERROR", STOMP_ERROR, PROTO_TO_CLIENT, "", { NO_HEADER, NO_HEADER } },
};

static const struct header {
	const char *name;
	size_t field;
} headers[] = {
	{ "destination", HEADER(destination) }, { "id", HEADER(id) }, { "ack", HEADER(ack) }, { "receipt", HEADER(receipt) }, { "receipt-id", HEADER(receipt_id) },
	{ "message-id", HEADER(message_id) }, { "subscription", HEADER(subscription) }, { "message", HEADER(message) }, { "server", HEADER(server) },
	{ "client-id", HEADER(client_id) }, { "correlation-id", HEADER(correlation_id) }, { "traceparent", HEADER(traceparent) }, { "tracestate", HEADER(tracestate) },
	{ "b3", HEADER(b3) }, { "uber-trace-id", HEADER(uber) },
};

/* The line at *at without its end; *at moves behind it. False: its end is not there. */
static bool next_line(struct slice in, size_t *at, struct slice *ret)
{
	size_t end = slice_find(in, '\n', *at);

	if (end == SIZE_MAX)
		return false;
	*ret = slice_make(in.ptr + *at, end - *at);
	if (ret->len && ret->ptr[ret->len - 1] == '\r')
		ret->len--;
	*at = end + 1;
	return true;
}

static const struct command *command_find(struct slice word, enum proto_side side)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (commands[i].side == side && slice_eq(word, slice_str(commands[i].word)))
			return &commands[i];
	return NULL;
}

/* Whether a command and its end may begin so. */
static bool command_head(struct slice in, enum proto_side side)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct slice word = slice_str(commands[i].word);
		if (commands[i].side != side || !slice_eq(slice_head(in, word.len), slice_head(word, in.len)))
			continue;
		if (in.len <= word.len || in.ptr[word.len] == '\n' || (in.ptr[word.len] == '\r' && (in.len == word.len + 1 || in.ptr[word.len + 1] == '\n')))
			return true;
	}
	return false;
}

static struct slice *field_of(struct stomp_head *h, size_t offset) { return (struct slice *)((char *)h + offset); }

static bool length_read(struct slice value, struct stomp_head *h)
{
	if (h->sized)
		return true;
	h->sized = value.len <= LENGTH_DIGITS && slice_u64(value, &h->size) && h->size <= STOMP_BODY_MAX;
	return h->sized;
}

static bool header_read(struct slice line, struct stomp_head *h)
{
	size_t colon = slice_find(line, ':', 0);

	if (colon == SIZE_MAX || colon == 0 || colon > NAME_MAX_BYTES)
		return false;
	struct slice name = slice_head(line, colon), value = slice_from(line, colon + 1);
	for (size_t i = 0; i < line.len; i++)
		if (line.ptr[i] < ' ' && line.ptr[i] != '\t')
			return false;
	if (slice_eq(name, SLICE_LIT("content-length")))
		return length_read(value, h);
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		if (!slice_eq(name, slice_str(headers[i].name)))
			continue;
		struct slice *field = field_of(h, headers[i].field);
		if (!field->len)
			*field = value;
		break;
	}
	return true;
}

static bool has_all(const struct command *c, struct stomp_head *h)
{
	return c->must[0] == NO_HEADER || field_of(h, c->must[0])->len || (c->must[1] != NO_HEADER && field_of(h, c->must[1])->len);
}

enum stomp_scan stomp_head_read(struct slice in, enum proto_side side, struct stomp_head *ret)
{
	enum stomp_scan more = in.len < STOMP_HEAD_MAX ? STOMP_SCAN_MORE : STOMP_SCAN_BAD;
	struct slice line;
	size_t at = 0;

	*ret = (struct stomp_head){ 0 };
	in = slice_head(in, STOMP_HEAD_MAX);
	if (!command_head(in, side))
		return STOMP_SCAN_BAD;
	if (!next_line(in, &at, &line))
		return more;
	const struct command *c = command_find(line, side);
	if (!c)
		return STOMP_SCAN_BAD;
	ret->command = c->command;
	ret->operation = c->operation;
	while (next_line(in, &at, &line)) {
		if (line.len == 0) {
			ret->len = at;
			ret->complete = has_all(c, ret);
			return STOMP_SCAN_OK;
		}
		if (!header_read(line, ret))
			return STOMP_SCAN_BAD;
		ret->headers++;
	}
	for (size_t i = at; i < in.len; i++) /* what is there of the next line */
		if (in.ptr[i] < ' ' && in.ptr[i] != '\t' && in.ptr[i] != '\r')
			return STOMP_SCAN_BAD;
	return more;
}

bool stomp_begins(struct slice in, enum proto_side side)
{
	struct stomp_head h;

	return in.len && in.ptr[0] >= 'A' && in.ptr[0] <= 'U' && stomp_head_read(in, side, &h) == STOMP_SCAN_OK && h.complete && h.headers;
}

int stomp_detect(struct slice in, enum proto_side side)
{
	struct stomp_head h;

	while (in.len && (in.ptr[0] == '\n' || in.ptr[0] == '\r'))
		in = slice_from(in, 1);
	if (in.len == 0)
		return DETECT_MORE;
	switch (stomp_head_read(in, side, &h)) {
	case STOMP_SCAN_MORE: return DETECT_MORE;
	case STOMP_SCAN_BAD: return DETECT_NO;
	case STOMP_SCAN_OK: break;
	}
	if (!h.complete || (h.sized && in.len - h.len > h.size && in.ptr[h.len + h.size] != '\0'))
		return DETECT_NO;
	return h.headers ? DETECT_LIKELY : DETECT_WEAK; /* without a header it is a word and a blank line */
}

const char *stomp_error_name(struct slice message, struct slice *ret_known)
{
	/* RabbitMQ's and ActiveMQ's */
	static const struct { const char *text, *name; } known[] = {
		{ "Bad CONNECT", "bad_connect" }, { "Version mismatch", "version_mismatch" }, { "Access refused", "access_refused" }, { "access_refused", "access_refused" },
		{ "Authentication", "authentication_failed" }, { "User name", "authentication_failed" }, { "not_found", "not_found" }, { "precondition_failed", "precondition_failed" },
		{ "Unknown destination", "unknown_destination" }, { "Invalid destination", "invalid_destination" }, { "Missing", "missing_header" }, { "Bad command", "bad_command" },
		{ "Invalid", "invalid_frame" }, { "Subscription not found", "subscription_not_found" }, { "Processing error", "processing_error" }, { "Unexpected", "unexpected_frame" },
		{ "Server cancelled subscription", "subscription_cancelled" }, { "Duplicated subscription", "duplicated_subscription" }, { "Malformed frame", "invalid_frame" },
		{ "resource_locked", "resource_locked" }, { "channel_closed", "channel_closed" }, { "Transaction", "transaction" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (slice_ieq(slice_head(message, strlen(known[i].text)), slice_str(known[i].text))) {
			*ret_known = slice_head(message, strlen(known[i].text));
			return known[i].name;
		}
	*ret_known = SLICE_NONE;
	return "_OTHER";
}

const char *stomp_system_name(struct slice server)
{
	static const struct { const char *text, *name; } known[] = { { "RabbitMQ", "rabbitmq" }, { "ActiveMQ-Artemis", "activemq_artemis" }, { "ActiveMQ", "activemq" } };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (slice_ieq(slice_head(server, strlen(known[i].text)), slice_str(known[i].text)))
			return known[i].name;
	return NULL;
}

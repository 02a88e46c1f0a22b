/* SPDX-License-Identifier: Apache-2.0 */
/* STOMP for shared recordings: see masker.h for what stays. */
#include "proto/masker_way.h"
#include "proto/stomp_wire.h"

enum state { COMMAND, NAME, VALUE, SIZED, UNSIZED, END };
/* mask_way.flags: of the header's value; a length was read */
enum { IS_LENGTH = 1, IS_NAME = 2, IS_WORD = 4, HAS_LENGTH = 8, SUBSCRIBES = 16 };
enum { LENGTH_DIGITS = 9 };

static const char *const commands[] = {
	"connect", "stomp", "send", "subscribe", "unsubscribe", "ack", "nack", "begin", "commit", "abort", "disconnect", "connected", "message", "receipt", "error", NULL,
};
static const char *const names[] = {
	"destination", "id", "ack", "receipt", "receipt-id", "message-id", "subscription", "message", "server", "content-length", "transaction", "version", "accept-version", "host",
	"login", "passcode", "session", "heart-beat", "content-type", "redelivered", "persistent", NULL,
};
/* Names that tell what belongs together become others. */
static const char *const made_up[] = { "id", "ack", "receipt", "receipt-id", "message-id", "subscription", NULL };
static const char *const worded[] = { "destination", "message", "server", NULL };
static const char *const words[] = {
	"queue", "topic", "exchange", "amq", "temp-queue", "reply-queue", "rabbitmq", "activemq", "auto", "client", "client-individual", "bad", "connect", "access", "refused",
	"not_found", "access_refused", "precondition_failed", "unknown", "invalid", "processing", "error", "missing", "subscription", "destination", "malformed", "frame",
	"version", "mismatch", "authentication", "command", "unexpected", "duplicated", "server", "cancelled", "not", "found", NULL,
};

static bool begins(struct slice in) { return stomp_begins(in, PROTO_TO_SERVER) || stomp_begins(in, PROTO_TO_CLIENT); }

static void frame_begin(struct mask_way *y)
{
	y->state = COMMAND;
	y->flags = 0;
	y->number = y->length = 0;
	y->remain = 0;
	y->digits = 0;
	word_clear(y);
}

static uint8_t in_command(struct mask_way *y, uint8_t b)
{
	if (b == '\r')
		return b;
	if (b != '\n')
		return word_feed(y, b, commands) ? b : 'x';
	y->flags |= word_is(y, "subscribe") ? SUBSCRIBES : 0u;
	y->state = y->word_len ? NAME : COMMAND; /* a heart-beat */
	word_clear(y);
	return b;
}

static void head_end(struct mask_way *y)
{
	bool sized = y->flags & HAS_LENGTH;

	y->state = sized ? y->number ? SIZED : END : UNSIZED;
	y->remain = sized ? y->number : 0;
	y->length = 0;
}

static uint8_t in_name(struct mask_way *y, uint8_t b)
{
	if (b == '\r')
		return b;
	if (b == '\n') { /* a line without a colon is none; an empty one ends the head */
		if (y->word_len == 0)
			head_end(y);
		word_clear(y);
		return b;
	}
	if (b != ':')
		return word_feed(y, b, names) ? b : 'x';
	bool mode = y->flags & SUBSCRIBES && word_is(y, "ack");
	y->flags &= HAS_LENGTH | SUBSCRIBES;
	y->flags |= mode || word_in(y, worded) ? IS_WORD : word_in(y, made_up) ? IS_NAME : word_is(y, "content-length") && !(y->flags & HAS_LENGTH) ? IS_LENGTH : 0u;
	y->state = VALUE;
	y->digits = 0;
	y->length = 0;
	word_clear(y);
	return b;
}

static uint8_t in_value(struct mask_way *y, uint8_t b)
{
	if (b == '\r')
		return b;
	if (b == '\n') {
		y->state = NAME;
		word_clear(y);
		return b;
	}
	if (y->flags & IS_NAME)
		return mask_letter(y, b);
	if (y->flags & IS_LENGTH && b >= '0' && b <= '9' && y->digits < LENGTH_DIGITS) {
		y->digits++;
		y->number = y->number * 10 + (uint64_t)(b - '0');
		y->flags |= HAS_LENGTH;
		return b;
	}
	if (y->flags & IS_LENGTH) /* it is none: what follows is masked up to a NUL */
		y->flags &= ~(uint32_t)(IS_LENGTH | HAS_LENGTH);
	if (b && strchr("/ :.", b)) {
		word_clear(y);
		return b;
	}
	return y->flags & IS_WORD && word_feed(y, b, words) ? b : 'x';
}

static uint8_t one(struct mask_way *y, uint8_t b)
{
	switch (y->state) {
	case COMMAND: return in_command(y, b);
	case NAME: return in_name(y, b);
	case VALUE: return in_value(y, b);
	case SIZED:
		if (--y->remain == 0)
			y->state = END;
		return 'x';
	default: break;
	}
	if (b != '\0' && y->state == UNSIZED)
		return 'x';
	if (b != '\0') { /* the length was none */
		y->state = MASK_OPAQUE;
		return 'x';
	}
	frame_begin(y);
	return b;
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	(void)c;
	for (size_t i = 0; i < n; i++)
		p[i] = y->state < MASK_LOST ? one(y, p[i]) : 'x';
}

static enum mask_opens opens(struct slice in)
{
	return stomp_detect(in, PROTO_TO_CLIENT) >= DETECT_LIKELY || stomp_detect(in, PROTO_TO_SERVER) >= DETECT_LIKELY ? MASK_OPENS_SURELY : MASK_OPENS_NOT;
}

const struct mask_ops mask_stomp = { .opens = opens, .begins = begins, .mask = mask };

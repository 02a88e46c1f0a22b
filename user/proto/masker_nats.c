/* SPDX-License-Identifier: Apache-2.0 */
/* NATS client protocol for shared recordings: see masker.h for what stays. */
#include "proto/masker_way.h"
#include "proto/nats_wire.h"

enum state { WORD, ARGUMENTS, TEXT, HEADERS, DATA };
enum { IN_TOKEN = 1, DIGITS = 2, SIZED = 4, INBOX = 8, STATUS = 16 }; /* flags: of the argument; a size was read; of the header block's first line */
enum { SIZE_DIGITS = 8 };

static const char *const words[] = { "pub", "hpub", "msg", "hmsg", "sub", "unsub", "connect", "info", "+ok", "-err", "ping", "pong", NULL };
static const char *const sized[] = { "pub", "hpub", "msg", "hmsg", NULL };
static const char *const headed[] = { "hpub", "hmsg", NULL };
static const char *const lists[] = { "pub", "hpub", "msg", "hmsg", "sub", "unsub", NULL };
/* Of subjects, first the one behind which all is one inbox. */
static const char *const tokens[] = {
	"_inbox", "$js", "$kv", "$o", "$srv", "$sys", "ack", "api", "fc", "info", "stream", "consumer", "create", "update", "names", "list", "delete", "purge", "msg", "get",
	"direct", "durable", "next", "account", NULL,
};
static const char *const texts[] = {
	"verbose", "pedantic", "true", "false", "permissions", "violation", "for", "publish", "subscription", "to", "authorization", "authentication", "timeout",
	"expired", "revoked", "user", "account", "unknown", "protocol", "operation", "maximum", "payload", "connections", "subscriptions", "exceeded", "control",
	"line", "slow", "consumer", "stale", "connection", "parser", "error", "invalid", "subject", NULL,
};
static const char *const acks[] = { "+ack", "-nak", "+wpi", "+term", "+nxt", NULL };
static const char *const version[] = { "nats/1.0", NULL };

enum { KIND_SIZED = 1, KIND_HEADED = 2, KIND_LIST = 4 }; /* mask_way.type */

static bool begins(struct slice in) { return nats_begins(in, PROTO_TO_SERVER) || nats_begins(in, PROTO_TO_CLIENT); }

static void line_begin(struct mask_way *y)
{
	y->state = WORD;
	y->flags = y->type = y->digits = 0;
	y->remain = y->number = y->part = y->length = 0;
	word_clear(y);
}

static uint8_t line_end(struct mask_way *y)
{
	uint64_t total = y->number, headers = y->part;
	bool data = y->type & KIND_SIZED && y->flags & SIZED && total <= NATS_PAYLOAD_MAX, head = y->type & KIND_HEADED && headers && headers <= total;

	line_begin(y);
	if (!data)
		return '\n';
	y->remain = total + 2;
	y->state = head ? HEADERS : DATA;
	y->length = head ? total - headers + 2 : 0; /* what remains behind the header block */
	y->flags = STATUS;
	return '\n';
}

static uint8_t in_word(struct mask_way *y, uint8_t b)
{
	if (b == '\r')
		return b;
	if (b != ' ' && b != '\t')
		return word_feed(y, b, words) ? b : 'x';
	y->type = (uint8_t)((word_in(y, sized) ? KIND_SIZED : 0) | (word_in(y, headed) ? KIND_HEADED : 0) | (word_in(y, lists) ? KIND_LIST : 0));
	y->state = y->type ? ARGUMENTS : TEXT;
	word_clear(y);
	return b;
}

static void argument_end(struct mask_way *y)
{
	if (y->flags & IN_TOKEN && y->digits < UINT8_MAX)
		y->digits++;
	y->flags &= SIZED;
	y->length = 0;
	word_clear(y);
}

static uint8_t in_arguments(struct mask_way *y, uint8_t b)
{
	bool digit = b >= '0' && b <= '9', first = !(y->flags & IN_TOKEN);

	if (b == '\r')
		return b;
	if (b == ' ' || b == '\t') {
		argument_end(y);
		return b;
	}
	y->flags |= IN_TOKEN;
	if (first) {
		y->part = y->number;
		y->number = 0;
		y->flags = (y->flags & ~(uint32_t)SIZED) | (digit && y->digits ? DIGITS | SIZED : 0u);
		y->word_len = 0;
	}
	if (y->flags & DIGITS) {
		if (digit && y->number < UINT64_C(10000000)) {
			y->number = y->number * 10 + (uint64_t)(b - '0');
			return b;
		}
		y->flags &= ~(uint32_t)(DIGITS | SIZED);
		y->number = UINT32_MAX;
		y->word_len = MASK_WORD;
		return 'x';
	}
	if (b == '.') {
		y->flags |= word_is(y, tokens[0]) ? INBOX : 0u;
		word_clear(y);
		return b;
	}
	if (y->flags & INBOX)
		return mask_letter(y, b);
	return word_feed(y, b, tokens) || b == '*' || b == '>' ? b : 'x';
}

static uint8_t in_text(struct mask_way *y, uint8_t b)
{
	if (b == '\r' || strchr(" {}[]:,\"'", b)) {
		word_clear(y);
		return b ? b : 'x';
	}
	return word_feed(y, b, texts) ? b : 'x';
}

/* The first line has a version, and perhaps a status. */
static uint8_t in_headers(struct mask_way *y, uint8_t b)
{
	if (--y->remain == y->length) {
		y->state = DATA;
		y->length = 0;
		word_clear(y);
	}
	if (b == '\r' || b == '\n') {
		y->flags = 0;
		return b;
	}
	if (!(y->flags & STATUS))
		return b == ':' ? b : 'x';
	if (b == ' ') {
		y->flags |= word_is(y, version[0]) ? SIZED : 0u;
		return b;
	}
	if (y->flags & SIZED)
		return b >= '0' && b <= '9' && y->digits < 3 && y->digits++ < 3 ? b : 'x';
	return word_feed(y, b, version) ? b : 'x';
}

static uint8_t in_data(struct mask_way *y, uint8_t b)
{
	uint64_t left = y->remain--;
	bool end = (left == 2 && b == '\r') || (left == 1 && b == '\n');

	if (left == 1)
		line_begin(y);
	return end || (left > 2 && word_feed(y, b, acks)) ? b : 'x';
}

static uint8_t one(struct mask_way *y, uint8_t b)
{
	if (b == '\n' && y->state <= TEXT)
		return line_end(y);
	switch (y->state) {
	case WORD: return in_word(y, b);
	case ARGUMENTS: return in_arguments(y, b);
	case TEXT: return in_text(y, b);
	case HEADERS: return in_headers(y, b);
	case DATA: return in_data(y, b);
	default: return 'x';
	}
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	(void)c;
	for (size_t i = 0; i < n; i++)
		p[i] = one(y, p[i]);
}

/* Of a header block that was not captured no status stays, and where its payload begins does not matter. */
static void hole(struct mask_way *y)
{
	y->state = DATA;
	y->length = 0;
}

static enum mask_opens opens(struct slice in)
{
	if (nats_detect(in, PROTO_TO_CLIENT) == DETECT_CERTAIN || nats_detect(in, PROTO_TO_SERVER) == DETECT_CERTAIN)
		return MASK_OPENS_SURELY;
	return begins(in) || slice_starts(in, SLICE_LIT("INFO {")) ? MASK_OPENS_SURELY : MASK_OPENS_NOT;
}

const struct mask_ops mask_nats = { .opens = opens, .begins = begins, .mask = mask, .hole = hole, .ends_with_body = true };

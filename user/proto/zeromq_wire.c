/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/zeromq_wire.h"

#include <limits.h>

enum {
	REVISION_AT = 10,
	MECHANISM_AT = 12,
	REVISION_3 = 3,
	SHORT_HEAD = 2,
	LONG_HEAD = 9,
	ENVELOPE_FRAMES = 16,
	CONTEXT_MAX = 16,     /* of a PING */
	CHAIN_MANY = 8,       /* frames that nobody has by chance, and that are looked at from each place */
	ASKED_MANY = 3,       /* messages with an empty frame in front, as first bytes */
};
static const uint64_t size_max = UINT64_C(1) << 40;

static const char *const types[ZEROMQ_TYPES] = {
	[ZEROMQ_PAIR] = "PAIR", [ZEROMQ_PUB] = "PUB", [ZEROMQ_SUB] = "SUB", [ZEROMQ_REQ] = "REQ", [ZEROMQ_REP] = "REP", [ZEROMQ_DEALER] = "DEALER", [ZEROMQ_ROUTER] = "ROUTER",
	[ZEROMQ_PULL] = "PULL", [ZEROMQ_PUSH] = "PUSH", [ZEROMQ_XPUB] = "XPUB", [ZEROMQ_XSUB] = "XSUB", [ZEROMQ_STREAM] = "STREAM", [ZEROMQ_SERVER] = "SERVER",
	[ZEROMQ_CLIENT] = "CLIENT", [ZEROMQ_RADIO] = "RADIO", [ZEROMQ_DISH] = "DISH", [ZEROMQ_GATHER] = "GATHER", [ZEROMQ_SCATTER] = "SCATTER", [ZEROMQ_PEER] = "PEER",
	[ZEROMQ_CHANNEL] = "CHANNEL",
};
static const char *const mechanisms[] = { "NULL", "PLAIN", "CURVE", "GSSAPI" };
static const char *const verbs[] = {
	[ZEROMQ_READY] = "READY", [ZEROMQ_ERROR] = "ERROR", [ZEROMQ_HELLO] = "HELLO", [ZEROMQ_WELCOME] = "WELCOME", [ZEROMQ_INITIATE] = "INITIATE",
	[ZEROMQ_SUBSCRIBE] = "SUBSCRIBE", [ZEROMQ_CANCEL] = "CANCEL", [ZEROMQ_PING] = "PING", [ZEROMQ_PONG] = "PONG",
};

const char *zeromq_type_name(enum zeromq_type type) { return type < ZEROMQ_TYPES ? types[type] : NULL; }

const char *zeromq_mechanism_name(unsigned mechanism) { return mechanism && mechanism <= sizeof(mechanisms) / sizeof(mechanisms[0]) ? mechanisms[mechanism - 1] : NULL; }

enum zeromq_type zeromq_type_by(struct slice name)
{
	for (unsigned i = ZEROMQ_PAIR; i < ZEROMQ_TYPES; i++)
		if (slice_eq(name, slice_str(types[i])))
			return (enum zeromq_type)i;
	return ZEROMQ_UNKNOWN;
}

/* ---- greetings ---- */

/* The eight bytes are the length of an identity, and one, for who knows only version 1. */
static enum zeromq_scan signature_read(struct slice in)
{
	if (in.len && in.ptr[0] != 0xff)
		return ZEROMQ_SCAN_BAD;
	for (size_t i = 1; i < in.len && i < 7; i++)
		if (in.ptr[i] != 0)
			return ZEROMQ_SCAN_BAD;
	if (in.len > 8 && (load_be16(in.ptr + 7) > 256))
		return ZEROMQ_SCAN_BAD;
	if (in.len > 9 && in.ptr[9] != 0x7f)
		return ZEROMQ_SCAN_BAD;
	return in.len < ZEROMQ_SIGNATURE ? ZEROMQ_SCAN_MORE : ZEROMQ_SCAN_OK;
}

static enum zeromq_scan greeting_2_read(struct slice in, size_t *ret_need, struct zeromq_greeting *ret)
{
	static const enum zeromq_type by_number[] = {
		ZEROMQ_PAIR, ZEROMQ_PUB, ZEROMQ_SUB, ZEROMQ_REQ, ZEROMQ_REP, ZEROMQ_DEALER, ZEROMQ_ROUTER, ZEROMQ_PULL, ZEROMQ_PUSH, ZEROMQ_XPUB, ZEROMQ_XSUB, ZEROMQ_STREAM,
	};
	uint8_t type = in.ptr[REVISION_AT + 1];

	if (type >= sizeof(by_number) / sizeof(by_number[0]))
		return ZEROMQ_SCAN_BAD;
	*ret_need = ZEROMQ_GREETING_2;
	if (in.len < ZEROMQ_GREETING_2)
		return ZEROMQ_SCAN_MORE;
	*ret_need += in.ptr[ZEROMQ_GREETING_2 - 1];
	if (in.len < *ret_need)
		return ZEROMQ_SCAN_MORE;
	*ret = (struct zeromq_greeting){ .len = (uint8_t)(*ret_need > UINT8_MAX ? UINT8_MAX : *ret_need), .mechanism = 1, .type = by_number[type] };
	return *ret_need > UINT8_MAX ? ZEROMQ_SCAN_BAD : ZEROMQ_SCAN_OK;
}

/* Who has met one of version 2 goes on as that, so what follows the revision tells: its identity is a frame, and begins with a zero. */
enum zeromq_scan zeromq_greeting_read(struct slice in, size_t *ret_need, struct zeromq_greeting *ret)
{
	enum zeromq_scan scan = signature_read(in);

	*ret_need = MECHANISM_AT + 1;
	if (scan == ZEROMQ_SCAN_BAD)
		return scan;
	if (in.len > REVISION_AT && (in.ptr[REVISION_AT] == 0 || in.ptr[REVISION_AT] > REVISION_3))
		return ZEROMQ_SCAN_BAD;
	if (in.len <= MECHANISM_AT)
		return ZEROMQ_SCAN_MORE;
	if (in.ptr[MECHANISM_AT] == 0)
		return greeting_2_read(in, ret_need, ret);
	if (in.ptr[REVISION_AT] != REVISION_3 || in.ptr[MECHANISM_AT] < 'A' || in.ptr[MECHANISM_AT] > 'Z')
		return ZEROMQ_SCAN_BAD;
	*ret_need = ZEROMQ_GREETING;
	if (in.len < ZEROMQ_GREETING)
		return ZEROMQ_SCAN_MORE;
	struct slice name = slice_make(in.ptr + MECHANISM_AT, ZEROMQ_MECHANISM);
	name = slice_head(name, slice_find(name, '\0', 0));
	*ret = (struct zeromq_greeting){ .len = ZEROMQ_GREETING };
	for (unsigned i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++)
		if (slice_eq(name, slice_str(mechanisms[i])))
			ret->mechanism = (uint8_t)(i + 1);
	return ZEROMQ_SCAN_OK;
}

/* ---- frames ---- */

enum zeromq_scan zeromq_frame_read(struct slice in, struct zeromq_frame *ret)
{
	if (in.len == 0)
		return ZEROMQ_SCAN_MORE;
	uint8_t flags = in.ptr[0];
	if (flags > 6 || (flags & (ZEROMQ_MORE | ZEROMQ_COMMAND)) == (ZEROMQ_MORE | ZEROMQ_COMMAND))
		return ZEROMQ_SCAN_BAD;
	uint8_t head = flags & ZEROMQ_LONG ? LONG_HEAD : SHORT_HEAD;
	if (head == LONG_HEAD && in.len >= 3 && load_be16(in.ptr + 1))
		return ZEROMQ_SCAN_BAD;
	if (in.len < head)
		return ZEROMQ_SCAN_MORE;
	*ret = (struct zeromq_frame){ .flags = flags, .head = head, .size = head == LONG_HEAD ? load_be64(in.ptr + 1) : in.ptr[1] };
	return ret->size > size_max ? ZEROMQ_SCAN_BAD : ZEROMQ_SCAN_OK;
}

/* As libzmq says it where it means PLAIN's and CURVE's ERROR: its source has "\x05ERROR", of which a compiler makes the byte 5e, and "RROR". */
static const struct slice error_of_libzmq = SLICE_LIT(ZEROMQ_ERROR_OF_LIBZMQ);

enum zeromq_scan zeromq_command_read(struct slice in, uint64_t size, struct zeromq_command *ret)
{
	if (size == 0)
		return ZEROMQ_SCAN_BAD;
	if (in.len == 0)
		return ZEROMQ_SCAN_MORE;
	size_t name = in.ptr[0];
	if (name == error_of_libzmq.ptr[0] && size > error_of_libzmq.len && size <= name) {
		*ret = (struct zeromq_command){ .verb = ZEROMQ_ERROR, .body = slice_from(in, error_of_libzmq.len) };
		if (!slice_starts(error_of_libzmq, slice_head(in, error_of_libzmq.len)))
			return ZEROMQ_SCAN_BAD;
		return in.len < error_of_libzmq.len ? ZEROMQ_SCAN_MORE : ZEROMQ_SCAN_OK;
	}
	if (name == 0 || name >= size)
		return ZEROMQ_SCAN_BAD;
	for (size_t i = 1; i < in.len && i <= name; i++) {
		uint8_t c = in.ptr[i];
		if ((c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' && c != '+')
			return ZEROMQ_SCAN_BAD;
	}
	if (in.len <= name)
		return ZEROMQ_SCAN_MORE;
	*ret = (struct zeromq_command){ .body = slice_from(in, 1 + name) };
	for (unsigned i = ZEROMQ_READY; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (slice_eq(slice_make(in.ptr + 1, name), slice_str(verbs[i])))
			ret->verb = (enum zeromq_verb)i;
	return ZEROMQ_SCAN_OK;
}

enum zeromq_type zeromq_type_read(struct slice properties)
{
	while (properties.len > 0) {
		size_t name = properties.ptr[0];
		if (properties.len < name + 5)
			break;
		uint32_t value = load_be32(properties.ptr + 1 + name);
		if (value > properties.len - name - 5)
			break;
		if (slice_ieq(slice_make(properties.ptr + 1, name), SLICE_LIT("Socket-Type")))
			return zeromq_type_by(slice_make(properties.ptr + name + 5, value));
		properties = slice_from(properties, name + 5 + value);
	}
	return ZEROMQ_UNKNOWN;
}

enum zeromq_scan zeromq_envelope_read(struct slice in, size_t *ret_need, size_t *ret_len)
{
	size_t at = 0;
	struct zeromq_frame f;

	for (unsigned i = 0; i < ENVELOPE_FRAMES; i++) {
		*ret_need = at + SHORT_HEAD;
		/* As soon as a byte tells, so that it does not matter where the input ends. */
		if (at < in.len && in.ptr[at] != ZEROMQ_MORE)
			return ZEROMQ_SCAN_BAD;
		if (zeromq_frame_read(slice_from(in, at), &f) != ZEROMQ_SCAN_OK)
			return ZEROMQ_SCAN_MORE;
		at += f.head + (size_t)f.size;
		if (at > ZEROMQ_LOOK)
			return ZEROMQ_SCAN_BAD;
		*ret_need = *ret_len = at;
		if (in.len < at)
			return ZEROMQ_SCAN_MORE;
		if (f.size == 0)
			return ZEROMQ_SCAN_OK;
	}
	return ZEROMQ_SCAN_BAD;
}

/* ---- in the middle ---- */

struct chain {
	unsigned frames, messages; /* whole ones */
	unsigned asked;            /* messages with an envelope */
	unsigned known;            /* commands that nothing else has */
	bool bad;
	bool exact;                /* the last message ends with the input */
};

/* PING and PONG are whole in few bytes; a SUBSCRIBE or CANCEL has any topic; READY is the first, and others' properties are not worth the time. */
static bool command_known(const struct zeromq_command *c, uint64_t size, bool first)
{
	switch (c->verb) {
	case ZEROMQ_PING: return size >= 7 && size <= 7 + CONTEXT_MAX;
	case ZEROMQ_PONG: return size <= 5 + CONTEXT_MAX;
	case ZEROMQ_SUBSCRIBE:
	case ZEROMQ_CANCEL: return size < 256;
	case ZEROMQ_READY: return first && zeromq_type_read(c->body) != ZEROMQ_UNKNOWN;
	default: return false;
	}
}

/* A sender has no long head for what a short one can say, and nothing at all is rarely said. */
static bool frame_plausible(const struct zeromq_frame *f, bool begun)
{
	if (f->flags & ZEROMQ_LONG)
		return f->size > UINT8_MAX;
	return f->size || f->flags == ZEROMQ_MORE || (f->flags == 0 && begun);
}

static void chain_walk(struct slice in, unsigned most, struct chain *ret)
{
	struct zeromq_command command;
	struct zeromq_frame f;
	bool begun = false;

	*ret = (struct chain){ 0 };
	for (size_t at = 0;;) {
		struct slice rest = slice_from(in, at);
		enum zeromq_scan scan = zeromq_frame_read(rest, &f);
		ret->exact = rest.len == 0 && !begun && ret->frames;
		if (scan == ZEROMQ_SCAN_MORE || ret->frames == most)
			return;
		ret->bad = scan == ZEROMQ_SCAN_BAD || !frame_plausible(&f, begun);
		if (ret->bad)
			return;
		struct slice body = slice_from(rest, f.head);
		if (f.flags & ZEROMQ_COMMAND) {
			scan = zeromq_command_read(slice_head(body, f.size < ZEROMQ_LOOK ? (size_t)f.size : ZEROMQ_LOOK), f.size, &command);
			ret->bad = scan == ZEROMQ_SCAN_BAD;
			if (scan != ZEROMQ_SCAN_OK || body.len < f.size)
				return;
			ret->known += command_known(&command, f.size, ret->frames == 0);
		}
		if (body.len < f.size)
			return;
		ret->frames++;
		if (!(f.flags & ZEROMQ_COMMAND)) {
			ret->asked += !begun && f.size == 0;
			begun = f.flags & ZEROMQ_MORE;
			ret->messages += !begun;
		}
		at += f.head + (size_t)f.size;
	}
}

/*
 * A greeting is a signature. Later there is none: commands of known names, or in both directions several messages that an empty frame is in front of. What only has lengths that
 * fit is taken for nothing.
 */
int zeromq_detect(struct slice in, enum proto_side side)
{
	struct zeromq_greeting g;
	struct chain chain;
	size_t need;

	(void)side;
	if (in.len == 0)
		return DETECT_MORE;
	if (in.ptr[0] == 0xff)
		return zeromq_greeting_read(in, &need, &g) == ZEROMQ_SCAN_BAD ? DETECT_NO : in.len < ZEROMQ_SIGNATURE ? DETECT_MORE : DETECT_CERTAIN;
	chain_walk(in, UINT_MAX, &chain);
	if (chain.bad)
		return DETECT_NO;
	if (chain.known && chain.exact)
		return DETECT_LIKELY;
	if (chain.exact && chain.asked >= ASKED_MANY && chain.asked == chain.messages)
		return DETECT_WEAK;
	/* Nobody waits for a long frame's end, which may be no frame. */
	return chain.frames || !(in.ptr[0] & ZEROMQ_LONG) ? DETECT_MORE : DETECT_NO;
}

size_t zeromq_find(struct slice in, bool asking)
{
	struct chain chain;
	size_t need, len;

	for (size_t at = 0; at < in.len; at++) {
		struct slice rest = slice_from(in, at);
		/* One byte, which is zero, is hardly a message: an empty frame begins behind it, mostly. */
		if (in.ptr[at] > 6 || slice_starts(rest, slice_make("\0\1\0", 3)))
			continue;
		/* What asks begins with an envelope; a command may be in between. */
		if (asking && in.ptr[at] != ZEROMQ_COMMAND && zeromq_envelope_read(rest, &need, &len) != ZEROMQ_SCAN_OK)
			continue;
		chain_walk(rest, CHAIN_MANY, &chain);
		if (!chain.bad && ((chain.exact && (chain.messages || chain.known)) || (chain.frames >= CHAIN_MANY && chain.messages > 1)))
			return at;
	}
	return in.len;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SMTP and LMTP (RFC 5321, RFC 2033) with pipelining (RFC 2920), chunks (RFC 3030), enhanced status codes (RFC 2034), AUTH (RFC 4954), STARTTLS (RFC 3207).
 *
 * Each command is an exchange with its reply; a server answers in order. That of DATA, or of the last chunk, lasts until the message was taken or refused, and says to how
 * many recipients it goes: this is the one that stands for the mail. An LMTP server answers it once for each recipient that it has accepted: one refusal, and it
 * has failed. The answer to a challenge of AUTH belongs to the AUTH, and is looked at by nobody.
 *
 * A message is one-way, of no exchange, and is not needed: only its end is looked for, a line with a dot. Where that was not captured, the reply tells that the
 * message is over. A client that goes on in commands behind DATA was refused.
 *
 * A server says 220 when it is connected to, and 421 when it leaves: that is one-way while no command is open. How many are open is not known after a loss until the
 * next turn, a command behind a reply.
 */
#include "proto/smtp_wire.h"

enum {
	RESYNC_KEEP = REPLY_LINE_MAX,
	TLS_HANDSHAKE = 0x16, TLS_MAJOR = 3,
	CODE_READY = 220, CODE_CHALLENGE = 334, CODE_GO_ON = 354, CODE_LEAVES = 421,
};

/* What the client's next bytes are. */
enum phase {
	PHASE_COMMAND,
	PHASE_SECRET, /* the answer to a challenge */
	PHASE_ASKED,  /* a message, or a command if it was refused */
	PHASE_BODY,
	PHASE_OVER,   /* as PHASE_ASKED: the reply has come, the end was not seen */
};

/* How much of "\r\n.\r\n" was seen. */
enum dot { DOT_NOT, DOT_CR, DOT_LINE, DOT_DOT, DOT_DOT_CR, DOT_END };

struct smtp_state {
	uint32_t sent, answered;     /* commands and replies since the latest turn that is known */
	uint32_t rcpt_from, rcpt_to; /* of them the latest RCPTs in a row */
	uint32_t mail, data;         /* behind the latest MAIL, DATA or last chunk */
	uint32_t accepted;           /* recipients of this mail */
	uint32_t due;                /* replies until the answer to a message is whole */
	uint8_t phase, dot;
	bool in_line[2];
	bool counted_not : 1;    /* sent and answered mean nothing */
	bool accepted_known : 1; /* the MAIL was seen */
	bool mails_overlap : 1;
	bool turn : 1;           /* a reply came since the latest command */
	bool spoken : 1;         /* anything was said */
	bool lmtp : 1;
	bool starttls : 1;       /* is the latest command */
	bool several : 1;        /* in a reply of several lines */
	bool oneway : 1;         /* it answers nothing */
	bool open : 1;           /* the answer under way waits for another reply */
	bool final : 1;          /* it is the one to a message */
	bool told : 1, failed : 1; /* of several replies to a message the first was seen, one was a refusal */
	bool body_open : 1;
};
_Static_assert(sizeof(struct smtp_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

/* ---- commands ---- */

static void attributes_add(const struct smtp_command *c, struct message *m)
{
	message_add_str(m, ATTR_SMTP_COMMAND, slice_str(c->name));
	if (c->mailbox.len)
		message_add_str(m, ATTR_RAW_TARGET, c->mailbox);
	if (c->known_size)
		message_add_int(m, ATTR_SMTP_MESSAGE_SIZE, (int64_t)c->size);
	if (c->mechanism)
		message_add_str(m, ATTR_SMTP_AUTH_MECHANISM, slice_str(c->mechanism));
}

static void number_take(struct smtp_state *s, const struct smtp_command *c)
{
	if (s->counted_not && s->turn) {
		s->sent = s->answered = s->rcpt_from = s->rcpt_to = s->mail = s->data = 0;
		s->counted_not = false;
	}
	uint32_t n = s->sent++;
	if (c->verb == SMTP_MAIL) {
		s->mails_overlap = s->mail > s->answered; /* whose recipients are counted is not known then */
		s->mail = n + 1;
	}
	if (c->verb == SMTP_RCPT) {
		s->rcpt_from = n == s->rcpt_to ? s->rcpt_from : n;
		s->rcpt_to = n + 1;
	}
	if (c->verb == SMTP_DATA || (c->verb == SMTP_BDAT && c->last)) {
		s->mails_overlap |= s->data > s->answered;
		s->data = n + 1;
	}
	if (c->verb == SMTP_LHLO)
		s->lmtp = true;
	s->starttls = c->verb == SMTP_STARTTLS;
	s->turn = false;
	s->spoken = true;
}

static enum parse_status command_take(struct smtp_state *s, const struct reply_text *line, struct parse_result *ret)
{
	struct message *m = &ret->message;
	struct smtp_command c;

	if (line->text.len == 0 && !line->cut) { /* an empty line says nothing */
		ret->consumed = line->len;
		return PARSE_SKIP;
	}
	if (!smtp_command_read(line->text, &c))
		return PARSE_BAD;
	number_take(s, &c);
	m->kind = MESSAGE_REQUEST;
	m->flags |= MESSAGE_BEGIN | MESSAGE_END | (c.verb == SMTP_QUIT ? MESSAGE_QUIET : 0u); /* some close at once */
	attributes_add(&c, m);
	ret->consumed = line->len;
	s->in_line[PROTO_TO_SERVER] = line->cut;
	if (c.verb == SMTP_DATA) {
		s->phase = PHASE_ASKED;
	} else if (c.verb == SMTP_BDAT && c.well_formed) {
		ret->skip = c.size;
		m->flags |= c.size ? MESSAGE_END_AFTER_SKIP : 0u;
	}
	return PARSE_MESSAGE;
}

/* ---- messages ---- */

/* True: the message ends behind *ret_consumed bytes. */
static bool body_scan(struct smtp_state *s, struct slice in, size_t *ret_consumed)
{
	size_t i = 0;

	for (; i < in.len && s->dot != DOT_END; i++) {
		uint8_t c = in.ptr[i];
		if (s->dot == DOT_NOT && c != '\r') {
			i = slice_find(in, '\r', i);
			if (i == SIZE_MAX) {
				i = in.len;
				break;
			}
			s->dot = DOT_CR;
		} else if (c == '\r') {
			s->dot = s->dot == DOT_DOT ? DOT_DOT_CR : DOT_CR;
		} else if (c == '\n' && s->dot == DOT_CR) {
			s->dot = DOT_LINE;
		} else if (c == '\n' && s->dot == DOT_DOT_CR) {
			s->dot = DOT_END;
		} else {
			s->dot = c == '.' && s->dot == DOT_LINE ? DOT_DOT : DOT_NOT;
		}
	}
	*ret_consumed = i;
	return s->dot == DOT_END;
}

static void body_begin(struct smtp_state *s, struct message *m)
{
	message_oneway(m, s->body_open ? 0 : MESSAGE_BEGIN);
	s->body_open = true;
}

static enum parse_status body_parse(struct smtp_state *s, struct slice in, struct parse_result *ret)
{
	bool first = !s->body_open;
	bool end = body_scan(s, in, &ret->consumed);

	if (!first && !end)
		return PARSE_SKIP;
	body_begin(s, &ret->message);
	if (!end)
		return PARSE_MESSAGE;
	ret->message.flags |= MESSAGE_END;
	s->body_open = false;
	s->phase = PHASE_COMMAND;
	return PARSE_MESSAGE;
}

/* DATA's answer is not known, or the message's end is not: a line that is a command tells. */
static enum parse_status asked_parse(struct smtp_state *s, struct slice in, struct parse_result *ret)
{
	struct reply_text line;
	enum reply_scan scan = reply_text_read(in, &line);

	if (scan == REPLY_MORE)
		return PARSE_NEED_MORE;
	if (scan == REPLY_OK && smtp_begins(in)) {
		s->phase = PHASE_COMMAND;
		if (!s->body_open)
			return command_take(s, &line, ret);
		s->body_open = false;
		message_oneway(&ret->message, MESSAGE_END);
		return PARSE_MESSAGE; /* the command is behind it */
	}
	if (s->phase == PHASE_ASKED) {
		s->phase = PHASE_BODY;
		s->dot = DOT_LINE;
		return body_parse(s, in, ret);
	}
	size_t end = slice_find(in, '\n', 0);
	ret->consumed = end == SIZE_MAX ? in.len : end + 1;
	if (s->body_open)
		return PARSE_SKIP;
	body_begin(s, &ret->message);
	return PARSE_MESSAGE;
}

static enum parse_status to_server(struct smtp_state *s, struct slice in, struct parse_result *ret)
{
	struct reply_text line;

	if (s->in_line[PROTO_TO_SERVER]) {
		s->in_line[PROTO_TO_SERVER] = !reply_rest(in, &ret->consumed);
		return PARSE_SKIP;
	}
	if (s->phase == PHASE_BODY)
		return body_parse(s, in, ret);
	if (s->phase == PHASE_ASKED || s->phase == PHASE_OVER)
		return asked_parse(s, in, ret);
	if (in.ptr[0] == TLS_HANDSHAKE && in.len < 2)
		return PARSE_NEED_MORE;
	if (in.ptr[0] == TLS_HANDSHAKE && in.ptr[1] == TLS_MAJOR) { /* that the server was ready for it was lost */
		message_oneway(&ret->message, MESSAGE_BEGIN | MESSAGE_END | MESSAGE_SWITCH);
		ret->message.next = PLUMB_PROTO_TLS;
		return PARSE_MESSAGE;
	}
	enum reply_scan scan = reply_text_read(in, &line);
	if (scan != REPLY_OK)
		return scan == REPLY_MORE ? PARSE_NEED_MORE : PARSE_BAD;
	if (s->phase == PHASE_COMMAND)
		return command_take(s, &line, ret);
	s->phase = PHASE_COMMAND;
	s->in_line[PROTO_TO_SERVER] = line.cut;
	ret->consumed = line.len;
	return PARSE_SKIP;
}

/* ---- replies ---- */

static void outcome_add(struct smtp_state *s, const struct reply *r, struct message *m)
{
	struct slice enhanced = smtp_enhanced(r->text);
	bool failed = r->code >= 400;

	if (s->failed || (s->told && !failed))
		return; /* what went wrong first is the outcome of several */
	s->failed = failed;
	s->told = true;
	message_add_int(m, ATTR_SMTP_RESPONSE_STATUS_CODE, (int64_t)r->code);
	if (enhanced.len)
		message_add_str(m, ATTR_SMTP_RESPONSE_ENHANCED_STATUS_CODE, enhanced);
	if (!failed)
		return;
	reply_error(r->code, m);
	if (r->text.len > enhanced.len)
		message_add_str(m, ATTR_RAW_STATUS_MESSAGE, slice_from(r->text, enhanced.len ? enhanced.len + 1 : 0));
}

/* Nobody has asked for it. */
static bool unasked(const struct smtp_state *s, const struct reply *r)
{
	if (!s->spoken && s->sent == 0)
		return r->code == CODE_READY || r->code == CODE_LEAVES || r->code == 554;
	return r->code == CODE_LEAVES && !s->counted_not && s->sent == s->answered;
}

/* The first reply to a command. */
static void answer_begin(struct smtp_state *s, const struct reply *r, struct message *m)
{
	uint32_t n = s->answered++;
	bool counted = !s->counted_not;

	s->turn = s->spoken = true;
	s->told = s->failed = false;
	s->final = counted && n + 1 == s->data;
	if (counted && n + 1 == s->mail) {
		s->accepted = 0;
		s->accepted_known = !s->mails_overlap;
	}
	if (counted && n >= s->rcpt_from && n < s->rcpt_to && r->code < 300 && s->accepted < UINT32_MAX)
		s->accepted++;
	m->flags |= MESSAGE_BEGIN;
	s->due = 1;
	if (s->final && r->code < 400 && s->lmtp && s->accepted_known && s->accepted)
		s->due = s->accepted;
	s->open = r->code / 100 == 3;
	if (s->open)
		return;
	if (s->phase == PHASE_ASKED && s->final) /* refused */
		s->phase = PHASE_COMMAND;
	outcome_add(s, r, m);
}

/* A reply behind one that asks for more. */
static void answer_more(struct smtp_state *s, const struct reply *r, struct message *m)
{
	s->turn = true;
	if (r->code / 100 == 3)
		return; /* the next challenge */
	outcome_add(s, r, m);
}

/* The line is the last of a reply. */
static void reply_end(struct smtp_state *s, unsigned code, struct message *m)
{
	if (s->oneway) {
		m->flags |= MESSAGE_END;
		return;
	}
	if (code == CODE_CHALLENGE && s->phase == PHASE_COMMAND)
		s->phase = PHASE_SECRET;
	if (code == CODE_GO_ON && (s->phase == PHASE_COMMAND || s->phase == PHASE_ASKED)) {
		s->phase = PHASE_BODY;
		s->dot = DOT_LINE;
		s->final = true;
	}
	if (code / 100 == 3)
		return;
	s->open = --s->due > 0;
	if (s->open)
		return;
	if (s->phase == PHASE_BODY)
		s->phase = PHASE_OVER;
	if (s->phase == PHASE_SECRET) /* the reply to it came before it was seen, or nothing was to come */
		s->phase = PHASE_COMMAND;
	if (s->final && s->accepted_known && s->accepted)
		message_add_int(m, ATTR_SMTP_RECIPIENTS, s->accepted);
	if (s->final)
		s->accepted = 0;
	m->flags |= MESSAGE_END;
	if (code == CODE_READY && s->starttls) {
		m->flags |= MESSAGE_SWITCH;
		m->next = PLUMB_PROTO_TLS;
	}
}

static enum parse_status to_client(struct smtp_state *s, struct slice in, struct parse_result *ret)
{
	struct message *m = &ret->message;
	struct reply r;

	if (s->in_line[PROTO_TO_CLIENT]) {
		s->in_line[PROTO_TO_CLIENT] = !reply_rest(in, &ret->consumed);
		return PARSE_SKIP;
	}
	enum reply_scan scan = reply_read(in, &r);
	if (scan != REPLY_OK)
		return scan == REPLY_MORE ? PARSE_NEED_MORE : PARSE_BAD;
	ret->consumed = r.line.len;
	s->in_line[PROTO_TO_CLIENT] = r.line.cut;
	if (s->several) {
		m->kind = s->oneway ? MESSAGE_ONEWAY : MESSAGE_RESPONSE;
		s->several = r.more;
		if (r.more)
			return PARSE_SKIP;
		reply_end(s, r.code, m);
		return m->flags || m->nattrs ? PARSE_MESSAGE : PARSE_SKIP;
	}
	s->oneway = unasked(s, &r);
	m->kind = s->oneway ? MESSAGE_ONEWAY : MESSAGE_RESPONSE;
	s->spoken = true;
	if (s->oneway)
		m->flags |= MESSAGE_BEGIN;
	else if (s->open)
		answer_more(s, &r, m);
	else
		answer_begin(s, &r, m);
	s->several = r.more;
	if (!r.more)
		reply_end(s, r.code, m);
	return m->flags || m->nattrs ? PARSE_MESSAGE : PARSE_SKIP;
}

/* ---- the contract ---- */

static enum parse_status smtp_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	if (in.len == 0)
		return PARSE_NEED_MORE;
	return side == PROTO_TO_SERVER ? to_server(state, in, ret) : to_client(state, in, ret);
}

static void smtp_lost(void *state, enum proto_side side)
{
	struct smtp_state *s = state;

	s->in_line[side] = false;
	s->counted_not = true;
	s->accepted_known = false;
	s->spoken = true;
	s->turn = side == PROTO_TO_CLIENT; /* what was lost has answered something */
	if (side == PROTO_TO_CLIENT) {
		s->several = s->open = false;
		return;
	}
	if (s->phase == PHASE_SECRET)
		s->phase = PHASE_COMMAND;
	s->starttls = false;
}

/* Of a message nothing is needed: where it goes on does not matter. */
static bool smtp_missing(void *state, enum proto_side side, uint64_t n, struct message *ret_message)
{
	struct smtp_state *s = state;

	(void)n;
	if (side != PROTO_TO_SERVER || (s->phase != PHASE_BODY && s->phase != PHASE_OVER))
		return false;
	body_begin(s, ret_message);
	s->dot = DOT_LINE; /* clients end what they write with a line, mostly, and the dot comes alone */
	return true;
}

static size_t smtp_resync(void *state, enum proto_side side, struct slice in)
{
	const struct smtp_state *s = state;
	struct reply r;

	if (side == PROTO_TO_SERVER && s->phase == PHASE_BODY)
		return 0;
	for (size_t at = 0; at < in.len; at++) {
		struct slice rest = slice_from(in, at);
		if (side == PROTO_TO_SERVER ? smtp_begins(rest) : reply_read(rest, &r) == REPLY_OK && r.code >= 200 && r.code < 600)
			return at;
		at = slice_find(in, '\n', at);
		if (at == SIZE_MAX)
			break;
	}
	return in.len;
}

const struct proto_ops proto_smtp = {
	.name = "smtp",
	.id = PLUMB_PROTO_SMTP,
	.state_size = sizeof(struct smtp_state),
	.detect = smtp_detect,
	.parse = smtp_parse,
	.lost = smtp_lost,
	.missing = smtp_missing,
	.resync = smtp_resync,
	.resync_keep = RESYNC_KEEP,
	.want = { 4096, 4096 }, /* a group of commands; of a message so much of each I/O, in which its end is found if the I/O is small */
};

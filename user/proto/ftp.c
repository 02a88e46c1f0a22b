/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FTP: the control connection (RFC 959), with EPSV and EPRT (RFC 2428), FEAT and OPTS (RFC 2389), MLST and the like (RFC 3659), AUTH (RFC 2228, RFC 4217).
 *
 * Each command is an exchange with its reply; a server answers in order. A preliminary reply (150) is the beginning of an answer whose end comes when the transfer is over, however
 * long that takes. What is transferred passes over connections of its own, and is not looked at. User names, passwords and accounts are not shown.
 *
 * A server says 220 when it is connected to, and 421 when it leaves: that is one-way while no command is open.
 */
#include "proto/ftp_wire.h"

enum {
	TLS_HANDSHAKE = 0x16, TLS_MAJOR = 3,
	CODE_WAIT = 120, CODE_READY = 220, CODE_SECURE = 234, CODE_LEAVES = 421,
};

struct ftp_state {
	uint32_t sent, answered;
	uint16_t code;        /* of the reply of several lines */
	bool in_line[2];
	bool counted_not : 1; /* sent and answered mean nothing */
	bool spoken : 1;      /* anything was said by the client, or lost */
	bool auth : 1;        /* is the latest command */
	bool several : 1;     /* in a reply of several lines */
	bool oneway : 1;      /* it answers nothing */
	bool open : 1;        /* the answer under way has only begun */
	bool ends : 1;        /* the reply of several lines ends it */
};
_Static_assert(sizeof(struct ftp_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

static enum parse_status to_server(struct ftp_state *s, struct slice in, struct parse_result *ret)
{
	struct message *m = &ret->message;
	struct reply_text line;
	struct ftp_command c;

	if (s->in_line[PROTO_TO_SERVER]) {
		s->in_line[PROTO_TO_SERVER] = !reply_rest(in, &ret->consumed);
		return PARSE_SKIP;
	}
	if (in.ptr[0] == TLS_HANDSHAKE && in.len < 2)
		return PARSE_NEED_MORE;
	if (in.ptr[0] == TLS_HANDSHAKE && in.ptr[1] == TLS_MAJOR) { /* that the server was ready for it was lost */
		message_oneway(m, MESSAGE_BEGIN | MESSAGE_END | MESSAGE_SWITCH);
		m->next = PLUMB_PROTO_TLS;
		return PARSE_MESSAGE;
	}
	enum reply_scan scan = reply_text_read(in, &line);
	if (scan != REPLY_OK)
		return scan == REPLY_MORE ? PARSE_NEED_MORE : PARSE_BAD;
	ret->consumed = line.len;
	if (line.text.len == 0 && !line.cut)
		return PARSE_SKIP;
	if (!ftp_command_read(line.text, &c)) {
		ret->consumed = 0;
		return PARSE_BAD;
	}
	s->in_line[PROTO_TO_SERVER] = line.cut;
	s->sent++;
	s->spoken = true;
	s->auth = c.auth;
	m->kind = MESSAGE_REQUEST;
	m->flags = MESSAGE_BEGIN | MESSAGE_END | (c.quit ? MESSAGE_QUIET : 0u); /* some close at once */
	message_add_str(m, ATTR_FTP_COMMAND, slice_str(c.name));
	if (c.path.len)
		message_add_str(m, ATTR_RAW_TARGET, c.path);
	if (c.mechanism)
		message_add_str(m, ATTR_FTP_SECURITY_MECHANISM, slice_str(c.mechanism));
	return PARSE_MESSAGE;
}

static bool unasked(const struct ftp_state *s, unsigned code)
{
	if (!s->spoken)
		return code == CODE_READY || code == CODE_WAIT || code == CODE_LEAVES || code == 500 || code == 530;
	return code == CODE_LEAVES && !s->counted_not && s->sent == s->answered;
}

static void reply_begin(struct ftp_state *s, const struct reply *r, struct message *m)
{
	bool preliminary = r->code < 200;

	s->oneway = unasked(s, r->code);
	if (s->oneway) {
		message_oneway(m, MESSAGE_BEGIN);
		s->ends = true;
		return;
	}
	m->kind = MESSAGE_RESPONSE;
	m->flags |= s->open ? 0 : MESSAGE_BEGIN;
	s->answered += !s->open;
	s->open = true;
	s->ends = !preliminary;
	if (preliminary)
		return;
	message_add_int(m, ATTR_FTP_RESPONSE_STATUS_CODE, (int64_t)r->code);
	if (r->code < 400)
		return;
	reply_error(r->code, m);
	if (r->text.len)
		message_add_str(m, ATTR_RAW_STATUS_MESSAGE, r->text);
}

/* The line is the last of a reply. */
static void reply_end(struct ftp_state *s, unsigned code, struct message *m)
{
	m->kind = s->oneway ? MESSAGE_ONEWAY : MESSAGE_RESPONSE;
	if (!s->ends)
		return;
	m->flags |= MESSAGE_END;
	s->open = false;
	if (code != CODE_SECURE || !s->auth || s->oneway)
		return;
	m->flags |= MESSAGE_SWITCH;
	m->next = PLUMB_PROTO_TLS;
}

/* A line within a reply of several may hold anything; the last one begins with the same code and a blank. */
static enum parse_status reply_more(struct ftp_state *s, struct slice in, struct parse_result *ret)
{
	struct slice head = slice_head(in, REPLY_LINE_MAX);
	size_t end = slice_find(head, '\n', 0);
	struct reply r;

	if (end == SIZE_MAX && in.len < REPLY_LINE_MAX)
		return PARSE_NEED_MORE;
	ret->consumed = end == SIZE_MAX ? head.len : end + 1;
	s->in_line[PROTO_TO_CLIENT] = end == SIZE_MAX;
	if (reply_read(head, &r) != REPLY_OK || r.code != s->code || r.more)
		return PARSE_SKIP;
	s->several = false;
	reply_end(s, r.code, &ret->message);
	return ret->message.flags ? PARSE_MESSAGE : PARSE_SKIP;
}

static enum parse_status to_client(struct ftp_state *s, struct slice in, struct parse_result *ret)
{
	struct message *m = &ret->message;
	struct reply r;

	if (s->in_line[PROTO_TO_CLIENT]) {
		s->in_line[PROTO_TO_CLIENT] = !reply_rest(in, &ret->consumed);
		return PARSE_SKIP;
	}
	if (s->several)
		return reply_more(s, in, ret);
	enum reply_scan scan = reply_read(in, &r);
	if (scan != REPLY_OK)
		return scan == REPLY_MORE ? PARSE_NEED_MORE : PARSE_BAD;
	ret->consumed = r.line.len;
	s->in_line[PROTO_TO_CLIENT] = r.line.cut;
	reply_begin(s, &r, m);
	s->several = r.more;
	s->code = (uint16_t)r.code;
	if (!r.more)
		reply_end(s, r.code, m);
	return m->flags || m->nattrs ? PARSE_MESSAGE : PARSE_SKIP;
}

static enum parse_status ftp_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	if (in.len == 0)
		return PARSE_NEED_MORE;
	return side == PROTO_TO_SERVER ? to_server(state, in, ret) : to_client(state, in, ret);
}

static void ftp_lost(void *state, enum proto_side side)
{
	struct ftp_state *s = state;

	s->in_line[side] = false;
	s->counted_not = s->spoken = true;
	if (side == PROTO_TO_CLIENT)
		s->several = s->open = false;
	else
		s->auth = false;
}

static size_t ftp_resync(void *state, enum proto_side side, struct slice in)
{
	struct reply r;

	(void)state;
	for (size_t at = 0; at < in.len; at++) {
		struct slice rest = slice_from(in, at);
		if (side == PROTO_TO_SERVER ? ftp_begins(rest) : reply_read(rest, &r) == REPLY_OK)
			return at;
		at = slice_find(in, '\n', at);
		if (at == SIZE_MAX)
			break;
	}
	return in.len;
}

const struct proto_ops proto_ftp = {
	.name = "ftp",
	.id = PLUMB_PROTO_FTP,
	.state_size = sizeof(struct ftp_state),
	.detect = ftp_detect,
	.parse = ftp_parse,
	.lost = ftp_lost,
	.resync = ftp_resync,
	.resync_keep = REPLY_LINE_MAX,
	.want = { 4096, 16384 }, /* lines; the status of a folder (STAT) is a list */
};

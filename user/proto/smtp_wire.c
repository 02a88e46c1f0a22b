/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/smtp_wire.h"

enum { VERB_MAX = 16, CHUNK_DIGITS = 19, LINES_MAX = 8, CODE_GO_ON = 354 };

/* What follows the verb. */
enum arguments { ANY, NOTHING, SOMETHING, PATH, CHUNK, MECHANISM };

static const struct verb {
	const char *name;
	enum smtp_verb verb;
	enum arguments arguments;
	bool own; /* no other protocol has it */
} verbs[] = {
	{ "EHLO", SMTP_EHLO, SOMETHING, true }, { "HELO", SMTP_HELO, SOMETHING, true }, { "LHLO", SMTP_LHLO, SOMETHING, true }, { "MAIL", SMTP_MAIL, PATH, true },
	{ "RCPT", SMTP_RCPT, PATH, true }, { "DATA", SMTP_DATA, NOTHING, false }, { "BDAT", SMTP_BDAT, CHUNK, true }, { "RSET", SMTP_RSET, NOTHING, false },
	{ "NOOP", SMTP_NOOP, ANY, false }, { "QUIT", SMTP_QUIT, NOTHING, false }, { "VRFY", SMTP_VRFY, SOMETHING, false }, { "EXPN", SMTP_EXPN, SOMETHING, false },
	{ "HELP", SMTP_HELP, ANY, false }, { "AUTH", SMTP_AUTH, MECHANISM, false }, { "STARTTLS", SMTP_STARTTLS, NOTHING, false }, { "ETRN", SMTP_ETRN, SOMETHING, false },
	{ "BURL", SMTP_BURL, SOMETHING, false }, { "XCLIENT", SMTP_XCLIENT, SOMETHING, true }, { "XFORWARD", SMTP_XFORWARD, SOMETHING, true },
};

/* https://www.iana.org/assignments/sasl-mechanisms, those that mail has. Anything else may be a secret in the wrong place. */
static const char *mechanism_find(struct slice word)
{
	static const char *const known[] = { "PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS",
		"NTLM", "GSSAPI", "EXTERNAL", "ANONYMOUS", "XOAUTH2", "OAUTHBEARER" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (slice_ieq(word, slice_str(known[i])))
			return known[i];
	return NULL;
}

static bool number_read(struct slice s, uint64_t *ret)
{
	return s.len <= CHUNK_DIGITS && slice_u64(s, ret) && *ret <= INT64_MAX;
}

/* "FROM:<a@b> SIZE=7": some clients have a blank in front of the path, or no brackets. */
static bool path_read(struct slice args, struct slice before, struct smtp_command *c)
{
	if (!slice_ieq(slice_head(args, before.len), before))
		return false;
	args = slice_from(args, before.len);
	while (args.len && args.ptr[0] == ' ')
		args = slice_from(args, 1);
	bool brackets = args.len && args.ptr[0] == '<';
	size_t end = brackets ? slice_find(args, '>', 0) : slice_find(args, ' ', 0);
	if (args.len == 0 || (brackets && end == SIZE_MAX))
		return false;
	c->mailbox = slice_from(slice_head(args, end), brackets);
	struct slice rest = end == SIZE_MAX ? SLICE_NONE : slice_from(args, end + 1), word;
	while (rest.len) {
		word = reply_word(rest, &rest);
		if (slice_ieq(slice_head(word, 5), SLICE_LIT("SIZE=")))
			c->known_size = number_read(slice_from(word, 5), &c->size);
	}
	return true;
}

static bool chunk_read(struct slice args, struct smtp_command *c)
{
	struct slice rest, size = reply_word(args, &rest), last = reply_word(rest, &rest);

	c->known_size = number_read(size, &c->size);
	c->last = slice_ieq(last, SLICE_LIT("LAST"));
	return c->known_size && rest.len == 0 && (last.len == 0 || c->last);
}

static bool arguments_read(enum arguments kind, struct slice args, struct smtp_command *c)
{
	struct slice rest;

	switch (kind) {
	case ANY: return true;
	case NOTHING: return args.len == 0;
	case SOMETHING: return args.len > 0;
	case PATH: return path_read(args, c->verb == SMTP_MAIL ? SLICE_LIT("FROM:") : SLICE_LIT("TO:"), c);
	case CHUNK: return chunk_read(args, c);
	case MECHANISM: c->mechanism = mechanism_find(reply_word(args, &rest)); return c->mechanism != NULL;
	}
	return false;
}

bool smtp_command_read(struct slice line, struct smtp_command *ret)
{
	struct slice args, word = reply_word(line, &args);
	const struct verb *v = reply_verb_find(REPLY_VERBS(verbs), word);

	*ret = (struct smtp_command){ .verb = v ? v->verb : SMTP_OTHER, .name = v ? v->name : "_OTHER" };
	for (size_t i = 0; i < word.len; i++) {
		uint8_t c = ascii_lower(word.ptr[i]);
		if (!v && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9' && i))
			return false;
	}
	while (args.len && args.ptr[args.len - 1] == ' ')
		args.len--;
	ret->well_formed = v && arguments_read(v->arguments, args, ret);
	return word.len > 0 && word.len <= VERB_MAX;
}

bool smtp_begins(struct slice in)
{
	struct reply_text line;
	struct smtp_command c;

	if (in.len < 4 || reply_text_read(in, &line) != REPLY_OK)
		return false;
	return smtp_command_read(line.text, &c) && c.well_formed && c.verb != SMTP_HELP && (c.verb != SMTP_NOOP || line.text.len == 4);
}

struct slice smtp_enhanced(struct slice text)
{
	struct slice rest, word = reply_word(text, &rest);
	unsigned dots = 0, digits = 0;

	if (word.len < 5 || word.len > 9 || !memchr("245", word.ptr[0], 3))
		return SLICE_NONE;
	for (size_t i = 0; i < word.len; i++) {
		bool dot = word.ptr[i] == '.';
		if (!dot && (word.ptr[i] < '0' || word.ptr[i] > '9'))
			return SLICE_NONE;
		if (dot ? digits == 0 : ++digits > 3)
			return SLICE_NONE;
		if (!dot)
			continue;
		dots++;
		digits = 0;
	}
	return dots == 2 && digits ? word : SLICE_NONE;
}

bool smtp_greets(const struct reply *r)
{
	struct slice t = r->text;

	if (r->code != 220)
		return false;
	for (size_t i = 1; i + 4 <= t.len; i++)
		if (slice_ieq(slice_make(t.ptr + i, 4), SLICE_LIT("SMTP")) || slice_ieq(slice_make(t.ptr + i, 4), SLICE_LIT("LMTP")))
			return true;
	return false;
}

/* A name or an address, as a client says of itself; some have a _ in it, or say an address without brackets. */
static bool plausible_host(struct slice host)
{
	for (size_t i = 0; i < host.len; i++) {
		uint8_t c = ascii_lower(host.ptr[i]);
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c < 0x80 && !memchr(".-_:[]", c, 6))
			return false;
	}
	return host.len > 0;
}

static bool own_line(const struct verb *v, struct slice line)
{
	struct slice args, host;

	(void)reply_word(line, &args);
	host = reply_word(args, &args);
	bool hello = v->verb == SMTP_EHLO || v->verb == SMTP_HELO || v->verb == SMTP_LHLO;
	return v->own && (!hello || (args.len == 0 && plausible_host(host)));
}

/* The surest of the first lines; a bare word may be POP3's or FTP's. */
static int detect_command(struct slice in)
{
	struct reply_text line;
	struct smtp_command c;
	int best = DETECT_MORE;

	for (unsigned k = 0; k < LINES_MAX && in.len && best < DETECT_LIKELY; k++) {
		enum reply_scan scan = reply_verb_begins(REPLY_VERBS(verbs), in) ? reply_text_read(in, &line) : REPLY_BAD;
		if (scan == REPLY_MORE)
			return best;
		if (scan == REPLY_BAD || line.cut || !smtp_command_read(line.text, &c) || !c.well_formed)
			return k ? best : DETECT_NO;
		best = DETECT_SHARED;
		for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
			if (verbs[i].verb == c.verb && own_line(&verbs[i], line.text))
				best = DETECT_LIKELY;
		in = slice_from(in, line.len);
	}
	return best;
}

/* What the client says decides: that a code follows is common to several protocols, but not what it is about. */
static int detect_reply(struct slice in)
{
	int best = DETECT_MORE;
	struct reply r;

	for (unsigned k = 0; k < LINES_MAX && in.len && best < DETECT_WEAK; k++) {
		enum reply_scan scan = reply_read(in, &r);
		if (in.ptr[0] < '2' || in.ptr[0] > '5' || scan == REPLY_BAD)
			return k ? best : DETECT_NO;
		if (scan == REPLY_MORE)
			return best;
		if (smtp_greets(&r))
			return DETECT_LIKELY;
		struct slice enhanced = smtp_enhanced(r.text);
		if (r.code == CODE_GO_ON || (enhanced.len && enhanced.ptr[0] == in.ptr[0])) /* a version of three numbers may follow any code */
			best = DETECT_WEAK;
		in = slice_from(in, r.line.len);
	}
	return best;
}

int smtp_detect(struct slice in, enum proto_side side)
{
	if (in.len == 0)
		return DETECT_MORE;
	return side == PROTO_TO_SERVER ? detect_command(in) : detect_reply(in);
}

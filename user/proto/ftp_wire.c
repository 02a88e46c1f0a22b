/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/ftp_wire.h"

#include "proto/smtp_wire.h"

enum { VERB_MAX = 12, TELNET = 0xf0, LINES_MAX = 8 };

/* What follows the verb. */
enum arguments { ANY, NOTHING, SOMETHING, LETTER, WORD, PATH, MAYBE_PATH, MECHANISM };
/* Who else has the word: nobody; POP3, NNTP, IRC, Redis and others, or any text, too; SMTP, too, where it says goodbye to whoever does not answer as expected */
enum others { OWN, OTHERS, SMTP_TOO };

static const struct verb {
	const char *name;
	enum arguments arguments;
	enum others others;
} verbs[] = {
	{ "USER", WORD, OTHERS }, { "PASS", ANY, OTHERS }, { "ACCT", SOMETHING, OTHERS }, { "CWD", PATH, OWN }, { "CDUP", NOTHING, OWN }, { "XCUP", NOTHING, OWN }, { "SMNT", PATH, OWN },
	{ "QUIT", NOTHING, SMTP_TOO }, { "REIN", NOTHING, OWN }, { "PORT", WORD, OTHERS }, { "PASV", NOTHING, OWN }, { "EPRT", WORD, OWN }, { "EPSV", ANY, OWN }, { "LPRT", WORD, OWN },
	{ "LPSV", NOTHING, OWN }, { "TYPE", SOMETHING, OTHERS }, { "STRU", LETTER, OWN }, { "MODE", LETTER, OTHERS }, { "RETR", PATH, OTHERS }, { "STOR", PATH, OWN }, { "STOU", MAYBE_PATH, OWN },
	{ "APPE", PATH, OWN }, { "ALLO", SOMETHING, OTHERS }, { "REST", WORD, OTHERS }, { "RNFR", PATH, OWN }, { "RNTO", PATH, OWN }, { "ABOR", NOTHING, OWN }, { "DELE", PATH, OTHERS },
	{ "RMD", PATH, OWN }, { "XRMD", PATH, OWN }, { "MKD", PATH, OWN }, { "XMKD", PATH, OWN }, { "PWD", NOTHING, OWN }, { "XPWD", NOTHING, OWN }, { "LIST", MAYBE_PATH, OTHERS },
	{ "NLST", MAYBE_PATH, OWN }, { "MLSD", MAYBE_PATH, OWN }, { "MLST", MAYBE_PATH, OWN }, { "SITE", ANY, OTHERS }, { "SYST", NOTHING, OWN }, { "STAT", MAYBE_PATH, OTHERS },
	{ "HELP", ANY, SMTP_TOO }, { "NOOP", ANY, OTHERS }, { "FEAT", NOTHING, OWN }, { "OPTS", SOMETHING, OWN }, { "AUTH", MECHANISM, OWN }, { "ADAT", SOMETHING, OWN },
	{ "PROT", WORD, OWN }, { "PBSZ", WORD, OWN }, { "CCC", NOTHING, OWN }, { "MIC", WORD, OTHERS }, { "CONF", WORD, OTHERS }, { "ENC", WORD, OTHERS }, { "LANG", ANY, OTHERS },
	{ "SIZE", PATH, OTHERS }, { "MDTM", PATH, OWN }, { "MFMT", SOMETHING, OWN }, { "MFCT", SOMETHING, OWN }, { "HOST", WORD, OTHERS }, { "CLNT", SOMETHING, OTHERS },
	{ "AVBL", MAYBE_PATH, OWN }, { "CSID", SOMETHING, OWN }, { "HASH", PATH, OTHERS }, { "RANG", SOMETHING, OWN }, { "THMB", SOMETHING, OWN },
};

/* https://www.iana.org/assignments/ftp-security-names; anything else may be a secret in the wrong place. */
static const char *mechanism_find(struct slice word)
{
	static const char *const known[] = { "TLS", "SSL", "TLS-C", "TLS-P", "GSSAPI", "KERBEROS_V4" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (slice_ieq(word, slice_str(known[i])))
			return known[i];
	return NULL;
}

/* Some clients put options of ls in front. */
static struct slice path_of(struct slice args)
{
	while (args.len && args.ptr[0] == '-')
		(void)reply_word(args, &args);
	return args;
}

static bool arguments_read(const struct verb *v, struct slice args, struct ftp_command *c)
{
	struct slice rest;

	switch (v->arguments) {
	case ANY: return true;
	case NOTHING: return args.len == 0;
	case SOMETHING: return args.len > 0;
	case LETTER: return args.len == 1;
	case WORD: return args.len > 0 && reply_word(args, &rest).len == args.len;
	case PATH: c->path = args; return args.len > 0;
	case MAYBE_PATH: c->path = path_of(args); return true;
	case MECHANISM: c->mechanism = mechanism_find(args); return c->mechanism != NULL;
	}
	return false;
}

bool ftp_command_read(struct slice line, struct ftp_command *ret)
{
	struct slice args;

	while (line.len && line.ptr[0] >= TELNET) /* in front of ABOR (RFC 959, 4.1.3) */
		line = slice_from(line, 1);
	struct slice word = reply_word(line, &args);
	const struct verb *v = reply_verb_find(REPLY_VERBS(verbs), word);
	*ret = (struct ftp_command){ .name = v ? v->name : "_OTHER", .known = v != NULL };
	for (size_t i = 0; i < word.len && !v; i++) {
		uint8_t c = ascii_lower(word.ptr[i]);
		if (!(c >= 'a' && c <= 'z'))
			return false;
	}
	ret->auth = v && v->arguments == MECHANISM;
	ret->quit = slice_ieq(word, SLICE_LIT("QUIT"));
	ret->well_formed = v && arguments_read(v, args, ret);
	return word.len > 0 && word.len <= VERB_MAX;
}

bool ftp_begins(struct slice in)
{
	struct reply_text line;
	struct ftp_command c;

	return in.len > 4 && reply_text_read(in, &line) == REPLY_OK && ftp_command_read(line.text, &c) && c.known && c.well_formed;
}

/* A word that others have, too, with an argument that is FTP's: POP3 numbers its mails. */
static bool own_argument(struct slice name, struct slice args)
{
	uint64_t number;

	if (slice_ieq(name, SLICE_LIT("REST")))
		return slice_u64(args, &number);
	if (slice_ieq(name, SLICE_LIT("TYPE")))
		return memchr("AEILaeil", args.ptr[0], 8) && (args.len == 1 || args.ptr[1] == ' ');
	return slice_ieq(name, SLICE_LIT("RETR")) || slice_ieq(name, SLICE_LIT("DELE")) || slice_ieq(name, SLICE_LIT("SIZE")) ? !slice_u64(args, &number) : false;
}

/* The surest of the first lines; commands that SMTP has, too, tell nothing. */
static int detect_command(struct slice in)
{
	struct slice rest;
	struct reply_text line;
	struct ftp_command c;
	int best = DETECT_MORE;

	for (unsigned i = 0; i < LINES_MAX && in.len && best < DETECT_LIKELY; i++) {
		bool head = reply_verb_begins(REPLY_VERBS(verbs), in);
		enum reply_scan scan = head ? reply_text_read(in, &line) : REPLY_BAD;
		if (scan == REPLY_MORE)
			return best;
		if (scan == REPLY_BAD || line.cut || !ftp_command_read(line.text, &c) || !c.well_formed)
			return i ? best : DETECT_NO;
		struct slice name = reply_word(line.text, &rest);
		const struct verb *v = reply_verb_find(REPLY_VERBS(verbs), name);
		if (v && v->others != SMTP_TOO)
			best = v->others == OWN || (rest.len && own_argument(name, rest)) ? DETECT_LIKELY : DETECT_SHARED;
		in = slice_from(in, line.len);
	}
	return best;
}

/* Greets and is not SMTP's; NNTP has an article's number behind the code. With the client's USER, which POP3 has, it is enough, so that it is looked at before that. */
static bool greets(const struct reply *r)
{
	struct slice rest;
	uint64_t number;

	return r->code == 220 && !slice_u64(reply_word(r->text, &rest), &number);
}

static int detect_reply(struct slice in)
{
	/* That neither SMTP nor NNTP has (230 are its new articles). */
	static const uint16_t own[] = { 125, 150, 213, 226, 227, 229, 234, 257, 331, 332, 350, 425, 426, 530 };
	int best = DETECT_MORE;
	struct reply r;

	for (unsigned k = 0; k < LINES_MAX && in.len && best < DETECT_WEAK; k++) {
		enum reply_scan scan = reply_read(in, &r);
		if (scan == REPLY_BAD || (scan == REPLY_OK && smtp_greets(&r)))
			return k ? best : DETECT_NO;
		if (scan == REPLY_MORE)
			return best;
		for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
			if (r.code == own[i] || greets(&r) || (r.code == 200 && slice_ieq(slice_head(r.text, 4), SLICE_LIT("NOOP"))))
				best = DETECT_WEAK;
		in = slice_from(in, r.line.len);
	}
	return best;
}

int ftp_detect(struct slice in, enum proto_side side)
{
	if (in.len == 0)
		return DETECT_MORE;
	return side == PROTO_TO_SERVER ? detect_command(in) : detect_reply(in);
}

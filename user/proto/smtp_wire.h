/* SPDX-License-Identifier: Apache-2.0 */
/* Commands, and what is read of replies, of SMTP (RFC 5321) and LMTP (RFC 2033); views into the input, no state. */
#ifndef PLUMB_PROTO_SMTP_WIRE_H
#define PLUMB_PROTO_SMTP_WIRE_H

#include "proto/reply.h"

enum smtp_verb {
	SMTP_OTHER, SMTP_EHLO, SMTP_HELO, SMTP_LHLO, SMTP_MAIL, SMTP_RCPT, SMTP_DATA, SMTP_BDAT, SMTP_RSET, SMTP_NOOP, SMTP_QUIT, SMTP_VRFY, SMTP_EXPN, SMTP_HELP,
	SMTP_AUTH, SMTP_STARTTLS, SMTP_ETRN, SMTP_BURL, SMTP_XCLIENT, SMTP_XFORWARD,
};

struct smtp_command {
	enum smtp_verb verb;
	const char *name;      /* in capitals; "_OTHER" if the protocol has none such */
	bool well_formed;      /* its arguments are what the verb wants */
	bool known_size, last; /* of BDAT; of MAIL, with SIZE */
	uint64_t size;
	struct slice mailbox;  /* of MAIL and RCPT, without its brackets; empty for "<>" */
	const char *mechanism; /* of AUTH, NULL if it is none of those that are registered */
};

/* False: it can be no command. */
bool smtp_command_read(struct slice line, struct smtp_command *ret);
/* Does a command begin here that nothing else looks like? Its line is whole. */
bool smtp_begins(struct slice in);
/* "5.1.1" in front of a reply's text (RFC 2034), else empty. */
struct slice smtp_enhanced(struct slice text);
/* What a line of a reply begins with, if its text says that it greets in SMTP. */
bool smtp_greets(const struct reply *r);
int smtp_detect(struct slice in, enum proto_side side);

#endif

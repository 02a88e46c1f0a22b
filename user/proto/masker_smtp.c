/* SPDX-License-Identifier: Apache-2.0 */
/* SMTP for shared recordings: see masker.h for what stays. */
#include "proto/masker_dialog.h"
#include "proto/smtp_wire.h"

static const char *const verbs[] = {
	"ehlo", "helo", "lhlo", "mail", "rcpt", "data", "bdat", "rset", "noop", "quit", "vrfy", "expn", "help", "auth", "starttls", "etrn", "burl", "xclient", "xforward", NULL,
};
static const char *const words[] = {
	"from", "to", "size", "body", "8bitmime", "7bit", "binarymime", "smtputf8", "last", "plain", "login", "cram-md5", "digest-md5", "scram-sha-1", "scram-sha-256", "ntlm", "gssapi",
	"external", "xoauth2", "oauthbearer", "esmtp", "smtp", "lmtp", "pipelining", "chunking", "enhancedstatuscodes", "starttls", "auth", "dsn", NULL,
};
static const char *const chunk[] = { "bdat", NULL };
static const char *const asks[] = { "data", NULL };
static const struct mask_dialog dialog = { .verbs = verbs, .words = words, .chunk = chunk, .asks = asks, .marks = ":<>@.=", .go_on = 354, .enhanced = true };

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n) { mask_dialog(&dialog, c, y, p, n); }

static bool begins(struct slice in)
{
	struct reply r;

	return smtp_begins(in) || (reply_read(in, &r) == REPLY_OK && r.code >= 200 && r.code < 600);
}

static enum mask_opens opens(struct slice in)
{
	return smtp_detect(in, PROTO_TO_CLIENT) >= DETECT_LIKELY || smtp_detect(in, PROTO_TO_SERVER) >= DETECT_LIKELY ? MASK_OPENS_SURELY : MASK_OPENS_NOT;
}

const struct mask_ops mask_smtp = { .opens = opens, .begins = begins, .mask = mask, .ends_with_body = true };

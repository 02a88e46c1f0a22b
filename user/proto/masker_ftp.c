/* SPDX-License-Identifier: Apache-2.0 */
/* FTP's control connection for shared recordings: see masker.h for what stays. */
#include "proto/ftp_wire.h"
#include "proto/masker_dialog.h"
#include "proto/smtp_wire.h"

static const char *const verbs[] = {
	"user", "pass", "acct", "cwd", "cdup", "xcup", "smnt", "quit", "rein", "port", "pasv", "eprt", "epsv", "lprt", "lpsv", "type", "stru", "mode", "retr", "stor", "stou", "appe", "allo",
	"rest", "rnfr", "rnto", "abor", "dele", "rmd", "xrmd", "mkd", "xmkd", "pwd", "xpwd", "list", "nlst", "mlsd", "mlst", "site", "syst", "stat", "help", "noop", "feat", "opts", "auth", "adat",
	"prot", "pbsz", "ccc", "mic", "conf", "enc", "lang", "size", "mdtm", "mfmt", "mfct", "host", "clnt", "avbl", "csid", "hash", "rang", "thmb", NULL,
};
static const char *const words[] = { "tls", "ssl", "tls-c", "tls-p", "gssapi", "kerberos_v4", "ftp", "utf8", "all", NULL };
static const char *const none[] = { NULL };
static const struct mask_dialog dialog = { .verbs = verbs, .words = words, .chunk = none, .asks = none, .marks = "/" };

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n) { mask_dialog(&dialog, c, y, p, n); }

static bool begins(struct slice in)
{
	struct reply r;

	return ftp_begins(in) || reply_read(in, &r) == REPLY_OK;
}

/* A greeting may be that of another protocol that greets so; then nothing of what follows is known, and it is masked. */
static enum mask_opens opens(struct slice in)
{
	struct reply r;

	if (ftp_detect(in, PROTO_TO_SERVER) >= DETECT_LIKELY)
		return MASK_OPENS_SURELY;
	return reply_read(in, &r) == REPLY_OK && r.code == 220 && !smtp_greets(&r) ? MASK_OPENS_MAYBE : MASK_OPENS_NOT;
}

const struct mask_ops mask_ftp = { .opens = opens, .begins = begins, .mask = mask };

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What guards a listener: a certificate with its key, and a bearer token (RFC 6750, 2.1). Read from files, while the process can still open them; never from the
 * command line or the environment, where others see them.
 */
#ifndef PLUMB_WEB_SECRETS_H
#define PLUMB_WEB_SECRETS_H

#include <stdbool.h>
#include <stddef.h>

enum { WEB_TOKEN_MAX = 256 };

struct web_secret_paths { /* NULL or "" = none */
	const char *certificate; /* PEM, the server's first, then its chain */
	const char *key;         /* PEM, without a password */
	const char *token;       /* one line */
};

struct web_secrets {
	char *certificate, *key;   /* texts; NULL = plain HTTP */
	char token[WEB_TOKEN_MAX]; /* "" = none is asked for */
	bool exposed;              /* key or token can be read by every user of this machine */
};

/* Negative errno, with a sentence in ret_error. */
int web_secrets_read(const struct web_secret_paths *paths, struct web_secrets *ret_secrets, char *ret_error, size_t error_len);
void web_secrets_clear(struct web_secrets *s);
/* `authorization`: the header's value, NULL = none. Takes as long whatever of it is wrong. */
bool web_secrets_admit(const struct web_secrets *s, const char *authorization);

#endif

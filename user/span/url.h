/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request targets (RFC 9112, 3.2) and authorities (RFC 3986, 3.2) taken apart, and what of them may be shown. Parts are views
 * into the input; redacted text is written to an arena. Hostile input yields odd parts, never an error.
 */
#ifndef PLUMB_SPAN_URL_H
#define PLUMB_SPAN_URL_H

#include "span/text.h"

struct url {
	struct slice scheme;    /* absolute form only */
	struct slice authority; /* absolute form and CONNECT; user information included */
	struct slice path;      /* "*" for the asterisk form, "" for the authority form */
	struct slice query;     /* without the question mark */
	bool has_query;
};

/* connect: the target of a CONNECT request is an authority. */
void url_parse_target(struct slice target, bool connect, struct url *ret_url);

struct authority {
	struct slice host; /* without brackets and user information; ends before the first byte that no host has */
	uint16_t port;     /* 0 = none given */
	bool has_user;
};

void url_parse_authority(struct slice authority, struct authority *ret_authority);

/*
 * The query with values masked as REDACTED. show: only the values of keys that are known to carry secrets are (the OpenTelemetry
 * list and the usual names of credentials).
 */
void url_add_query(struct text *t, struct slice query, bool show);
/* The path with the user of a URL within it masked, and all that follows ; ? & or # (also escaped) in a segment. */
void url_add_path(struct text *t, struct slice path);

#endif

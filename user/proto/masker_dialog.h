/* SPDX-License-Identifier: Apache-2.0 */
/* What the maskers of protocols that talk in lines and answer with three digits share; for masker_smtp.c and masker_ftp.c only. */
#ifndef PLUMB_PROTO_MASKER_DIALOG_H
#define PLUMB_PROTO_MASKER_DIALOG_H

#include "proto/masker_way.h"

struct mask_dialog {
	const char *const *verbs; /* lower case, NULL-terminated, as the other lists */
	const char *const *words; /* of arguments and replies */
	const char *const *chunk; /* verbs whose first argument is the length of what follows the line */
	const char *const *asks;  /* and those that the client sends a message behind, one that ends with a dot, if the reply is go_on */
	const char *marks;        /* bytes between words that stay */
	unsigned go_on;
	bool enhanced; /* replies may begin with a code as "5.1.1" (RFC 2034) */
};

void mask_dialog(const struct mask_dialog *d, struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n);

#endif

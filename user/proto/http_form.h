/* SPDX-License-Identifier: Apache-2.0 */
/* Two parameters of a form (application/x-www-form-urlencoded) of AWS's query protocol: Action and QueueUrl, as they stand there, escaped. */
#ifndef PLUMB_PROTO_HTTP_FORM_H
#define PLUMB_PROTO_HTTP_FORM_H

#include "proto/http_text.h"

enum { HTTP_FORM_KEY = 9 };

struct http_form {
	bool in_value;
	uint8_t key_len;
	uint8_t key[HTTP_FORM_KEY];
	struct http_text action, queue;
};

/* From a state of zeros. */
void http_form_feed(struct http_form *f, struct slice in);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How LDAP's messages look (RFC 4511): BER with lengths that are said, an id, an operation. No state but the text that is being written.
 */
#ifndef PLUMB_PROTO_LDAP_WIRE_H
#define PLUMB_PROTO_LDAP_WIRE_H

#include "proto/proto.h"

enum {
	LDAP_HEAD_MAX = 18,         /* tags and lengths of the message, its id, its operation */
	LDAP_READ_MAX = 4096,       /* bytes of a request that are looked at */
	LDAP_RESULT_MAX = 1024,     /* of an answer */
	LDAP_LENGTH_MAX = 1 << 26,
	LDAP_MESSAGE_MAX = 512,     /* bytes shown of an error message */
	LDAP_TEXT_MAX = 768,
};

enum ldap_tag { LDAP_BOOLEAN = 0x01, LDAP_INTEGER = 0x02, LDAP_STRING = 0x04, LDAP_ENUM = 0x0a, LDAP_SEQUENCE = 0x30, LDAP_CONTROLS = 0xa0 };

enum ldap_op {
	LDAP_BIND = 0x60, LDAP_BIND_DONE = 0x61, LDAP_UNBIND = 0x42, LDAP_SEARCH = 0x63, LDAP_ENTRY = 0x64, LDAP_SEARCH_DONE = 0x65, LDAP_MODIFY = 0x66, LDAP_MODIFY_DONE = 0x67,
	LDAP_ADD = 0x68, LDAP_ADD_DONE = 0x69, LDAP_DELETE = 0x4a, LDAP_DELETE_DONE = 0x6b, LDAP_MODIFY_DN = 0x6c, LDAP_MODIFY_DN_DONE = 0x6d, LDAP_COMPARE = 0x6e,
	LDAP_COMPARE_DONE = 0x6f, LDAP_ABANDON = 0x50, LDAP_REFERENCE = 0x73, LDAP_EXTENDED = 0x77, LDAP_EXTENDED_DONE = 0x78, LDAP_INTERMEDIATE = 0x79,
};

enum ldap_code { LDAP_SUCCESS = 0, LDAP_COMPARE_FALSE = 5, LDAP_COMPARE_TRUE = 6, LDAP_REFERRAL = 10, LDAP_SASL_GOES_ON = 14 };

enum ldap_scan { LDAP_OK, LDAP_SHORT, LDAP_BAD };

/* A tag with its length: `head` bytes of them, `len` behind. */
struct ldap_tlv {
	uint8_t tag, head;
	uint32_t len;
};

struct ldap_head {
	uint32_t size;   /* of the message, all of it */
	uint32_t id;
	uint8_t op;
	uint8_t at;      /* where the operation's content is */
	uint32_t len;    /* of that */
};

enum ldap_scan ldap_tlv_read(struct slice in, struct ldap_tlv *ret);
/* SHORT: nothing speaks against it so far. */
enum ldap_scan ldap_head_read(struct slice in, enum proto_side side, struct ldap_head *ret);
/* An element of this tag at the start of *in, which goes behind it; the value as far as it is at hand. */
bool ldap_take(struct slice *in, uint8_t tag, struct slice *ret_value);

/* NULL if the number has no name. */
const char *ldap_code_name(uint32_t code);
bool ldap_code_failed(uint32_t code);

/* ---- what is asked ---- */

struct ldap_text {
	char text[LDAP_TEXT_MAX];
	uint16_t len;
};

struct ldap_request {
	const char *name;  /* of the operation */
	bool shown;        /* there is a text */
	bool start_tls;
	bool layer;        /* by this mechanism of SASL what follows may be encrypted */
	uint32_t abandoned; /* id */
};

/* content: of the operation, as far as it is at hand. */
void ldap_request_read(uint8_t op, struct slice content, struct ldap_text *text, struct ldap_request *ret);

/* ---- answers ---- */

struct ldap_result {
	bool known;
	uint32_t code;
	struct slice message;
};
void ldap_result_read(struct slice content, struct ldap_result *ret);

/* ---- what may be no message ---- */

int ldap_detect(struct slice in, enum proto_side side);

#endif

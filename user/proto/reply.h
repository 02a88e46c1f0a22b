/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of the protocols that talk in lines and answer with three digits: SMTP (RFC 5321, 4.2) and FTP (RFC 959, 4.2). Views into the input, no
 * state.
 */
#ifndef PLUMB_PROTO_REPLY_H
#define PLUMB_PROTO_REPLY_H

#include "proto/proto.h"

enum {
	REPLY_LINE_MAX = 1024, /* of a line so much is looked at; what follows up to its end is passed over */
};

enum reply_scan { REPLY_OK, REPLY_MORE, REPLY_BAD };

/* A line of either side. */
struct reply_text {
	struct slice text; /* without its end */
	size_t len;        /* with it; of a line that is cut what is there */
	bool cut;          /* longer than REPLY_LINE_MAX */
};

/* REPLY_BAD: there are bytes in it that no line has. Those above 127 may be of a name. */
enum reply_scan reply_text_read(struct slice in, struct reply_text *ret);

/* A line that begins with a code. */
struct reply {
	struct reply_text line;
	unsigned code;     /* 100 to 659 */
	bool more;         /* "-" behind the code: further lines follow */
	struct slice text; /* behind it */
};

enum reply_scan reply_read(struct slice in, struct reply *ret);
/* Passes over the rest of a line that was cut. True: it ends in `in`; *ret_consumed bytes are done in either case. */
bool reply_rest(struct slice in, size_t *ret_consumed);
/* The first word, up to a blank; *ret_rest what follows the blanks. */
struct slice reply_word(struct slice text, struct slice *ret_rest);

/* A table of verbs: structs of `size` bytes that begin with their name, a const char *. */
struct reply_verbs {
	const void *verb;
	size_t n, size;
};
#define REPLY_VERBS(table) ((struct reply_verbs){ table, sizeof(table) / sizeof((table)[0]), sizeof((table)[0]) })

/* NULL: it is none of them. */
const void *reply_verb_find(struct reply_verbs verbs, struct slice word);
/* Could `in` begin with one, as far as it is there? */
bool reply_verb_begins(struct reply_verbs verbs, struct slice in);

/* Code as decimal text for error.type. */
void reply_error(unsigned code, struct message *m);

#endif

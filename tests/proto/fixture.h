/* SPDX-License-Identifier: Apache-2.0 */
/* Loads a fixture: bytes of both directions in order, and the messages they mean. The format is described in harness.h. */
#ifndef PLUMB_TESTS_FIXTURE_H
#define PLUMB_TESTS_FIXTURE_H

#include "lib/buffer.h"
#include "proto/proto.h"

enum fixture_op_kind { FIXTURE_BYTES, FIXTURE_HOLE, FIXTURE_EOF };

struct fixture_op {
	enum fixture_op_kind kind;
	enum proto_side side;
	size_t at;  /* BYTES: offset in fixture.bytes */
	size_t len; /* BYTES, HOLE */
};

struct fixture_lines {
	char **line; /* owned; canonical text */
	size_t n;
};

struct fixture {
	const struct proto_ops *ops;
	bool datagram;  /* every line with bytes is one datagram */
	bool loose;     /* option resync-loose */
	bool no_detect; /* option no-detect */
	struct buffer forgets; /* option forgets: words and attributes, each with a blank behind it */
	struct buffer bytes;
	struct fixture_op *op; /* owned */
	size_t nops;
	struct fixture_lines expect[2]; /* by enum proto_side */
};

/* Reads `path`. False with a message in `why` (file, line, reason) if it cannot be read or is malformed. */
bool fixture_load(const char *path, const struct proto_ops *ops, struct fixture *ret_fixture, char *why, size_t why_len);
void fixture_done(struct fixture *f);

/* Appends what a line of items stands for ("text" hex:00ff …). False if it is none. */
bool fixture_items(struct slice items, struct buffer *to);

/* Appends "text" with quotes and escapes, as in fixtures. */
void fixture_quote(struct buffer *to, struct slice text);
/* Sorts the blank-separated tokens behind the first one, so that lines compare by bytes. Returns an owned string. */
char *fixture_canonical(struct slice line);
/* `line` without the words, and attributes of the names, that are in `names`, each with a blank behind it. Returns an owned string. */
char *fixture_without(const char *line, struct slice names);
void fixture_lines_add(struct fixture_lines *l, char *line); /* takes line */
void fixture_lines_done(struct fixture_lines *l);

#endif

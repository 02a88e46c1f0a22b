/* SPDX-License-Identifier: Apache-2.0 */
/* A run of a fixture through its parser, cut and holed: what harness.c and holes.c share. */
#ifndef PLUMB_TESTS_RUN_H
#define PLUMB_TESTS_RUN_H

#include "proto/harness.h"
#include "proto/memory.h"

enum { GUARD_BYTES = 16 << 20, PARSER_BYTES = 16 << 20 };

/* A logical message: what several events add up to. */
struct logical {
	enum proto_side side;
	enum message_kind kind;
	uint32_t flags; /* of all events */
	bool keyed, ended;
	uint64_t key, first;
	uint16_t next;       /* of a switch */
	uint64_t begin, end; /* stream offsets */
	uint64_t ended_at;   /* bytes of both directions that had passed by then */
	struct buffer attrs; /* text; empty once `line` is made */
	bool lost;           /* no message but the word `lost` */
	char error_type[MESSAGE_ERROR_TYPE_LEN];
};

struct side {
	struct buffer pending;
	uint64_t next; /* stream offset of pending[0] */
	uint64_t skip;
	bool lost, eof, was_lost;
	size_t ending; /* index + 1 of the message that ends when skip is 0 */
	size_t need;
};

struct run {
	const struct fixture *f;
	struct proto_memory memory;
	uint64_t state[CONNECTION_PARSER_BYTES / 8];
	struct side side[2];
	struct logical *msg; /* owned */
	size_t nmsg;
	bool switched, failed, obey_need;
	uint64_t calls, fed;
	uint64_t passed; /* bytes of both directions, holes included */
	char why[HARNESS_WHY];
};

/*
 * How a run cuts the input: into I/Os of the lines, or of `chunk` bytes, or at one offset of all bytes,
 * or with a hole in one direction.
 */
struct cut {
	bool lines;
	size_t chunk;
	size_t at;
	size_t hole_len; /* 0 = none */
	enum proto_side hole_side;
	uint64_t hole_at; /* stream offset */
};

void run_init(struct run *r, const struct fixture *f);
void run_done(struct run *r);
/* All of the fixture. */
void run_fixture(struct run *r, const struct cut *c);
/* The message as a canonical line, owned by the caller. */
char *run_line(const struct logical *m);
/* Every how many bytes `total` are cut or holed: each offset of small fixtures, a sample of large ones. */
size_t run_stride(size_t total);

#endif

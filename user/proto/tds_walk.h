/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps through what TDS sends: one stream of bytes whose tokens and values are cut by the headers of packets anywhere. What has to be looked at whole and is cut is
 * gathered, everything else is passed over, so the same bytes in any pieces give the same.
 */
#ifndef PLUMB_PROTO_TDS_WALK_H
#define PLUMB_PROTO_TDS_WALK_H

#include "proto/tds_wire.h"

enum { TDS_GATHER = 520 };

enum tds_walked { TDS_WALK_ON /* more bytes are needed */, TDS_WALK_DONE, TDS_WALK_LOST /* how long something is cannot be told */ };

struct tds_walk {
	uint8_t step;        /* of who walks */
	uint8_t part;        /* of the type or value under way; 0 between them */
	uint8_t shape;       /* of the type that was read */
	bool is_text;        /* it is UTF-16 */
	uint8_t short_names, long_names; /* that follow in it: with one and two bytes of length */
	struct tds_type_info info;
	uint64_t pass;       /* bytes to be passed over */
	struct tds_text *text; /* what is passed over goes here, too; NULL = nowhere */
	uint64_t number;     /* the value, up to eight bytes */
	uint8_t number_at;
	uint16_t have;       /* bytes gathered */
	uint8_t gathered[TDS_GATHER];
};

struct tds_version {
	bool since_71; /* texts have a collation */
	bool since_72; /* counts have eight bytes, requests their headers */
};

void tds_walk_begin(struct tds_walk *w);
/* The next n <= TDS_GATHER bytes, consumed, or NULL: asked again with the same n when there are more. Valid until the next call. */
const uint8_t *tds_take(struct tds_walk *w, struct slice *in, size_t n);
/* True once w->pass bytes have passed. */
bool tds_pass(struct tds_walk *w, struct slice *in);
/* A type, of a result's column or of a parameter: its shape. */
enum tds_walked tds_walk_type(struct tds_walk *w, struct slice *in, bool column, struct tds_version v);
/* A value of this shape. A parameter's text has no pointer. */
enum tds_walked tds_walk_value(struct tds_walk *w, struct slice *in, uint8_t shape);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps over a block of ClickHouse's Native format. A block that is not compressed does not say how long it is: its columns are walked by their types. Of a column
 * only the sizes of its values are looked at. A compressed one is frames with lengths.
 */
#ifndef PLUMB_PROTO_CLICKHOUSE_BLOCK_H
#define PLUMB_PROTO_CLICKHOUSE_BLOCK_H

#include "proto/clickhouse_wire.h"

enum {
	CLICKHOUSE_NODES = 64,     /* of a type */
	CLICKHOUSE_DEPTH = 12,
	CLICKHOUSE_TYPE_LOOK = 1024, /* of a type's text; only an enumeration may go on behind it */
};
#define CLICKHOUSE_ROWS_MAX (UINT64_C(1) << 40)

enum clickhouse_kind { CLICKHOUSE_FIXED, CLICKHOUSE_STRINGS, CLICKHOUSE_NULLABLE, CLICKHOUSE_ARRAY, CLICKHOUSE_TUPLE, CLICKHOUSE_LOW_CARDINALITY };

/* In preorder; what lies between a node and `next` are its children. */
struct clickhouse_node {
	uint32_t width; /* of a value: FIXED */
	uint8_t kind;   /* enum clickhouse_kind */
	uint8_t next;
};

struct clickhouse_type {
	struct clickhouse_node nodes[CLICKHOUSE_NODES];
	uint8_t len;
	uint8_t dictionaries; /* LOW_CARDINALITY among the nodes: each has eight bytes in front of the column */
};

/* `text` may be the beginning of a longer one. False: how long its values are is not known. */
bool clickhouse_type_read(struct slice text, bool cut, struct clickhouse_type *ret);

/* Values that are being stepped over. */
struct clickhouse_place {
	uint64_t rows;
	uint8_t node;
	uint8_t step;
	uint8_t child; /* of a tuple, the next one */
};

enum clickhouse_phase {
	CLICKHOUSE_NO_BLOCK,
	CLICKHOUSE_FRAMES,  /* a frame has passed; another one may follow */
	CLICKHOUSE_COLUMN,  /* the name of a column comes */
	CLICKHOUSE_TYPE,
	CLICKHOUSE_SERIALIZATION,
	CLICKHOUSE_VALUES,
};

struct clickhouse_block {
	uint64_t columns; /* that come */
	uint64_t rows;
	uint64_t pass;    /* bytes to be passed before anything is looked at */
	uint8_t phase;    /* enum clickhouse_phase */
	uint8_t depth;
	bool kinds;       /* each column says how it is serialized */
	bool sized;       /* strings are otherwise */
	struct clickhouse_place places[CLICKHOUSE_DEPTH];
	struct clickhouse_type type;
};

struct clickhouse_block_head {
	uint64_t columns, rows; /* of a compressed block if `counted` */
	bool counted;
	bool empty;             /* no columns: the end of something */
};

/*
 * At the beginning of a block, behind the table's name, where c stands. c->bad: it is none. compressed: as the query asked. Moves c behind what was read; all that
 * follows is stepped over by clickhouse_block_walk().
 */
void clickhouse_block_begin(struct clickhouse_block *b, struct clickhouse_cursor *c, bool compressed, uint32_t revision, struct clickhouse_block_head *ret);

enum clickhouse_walk { CLICKHOUSE_WALK_DONE, CLICKHOUSE_WALK_ON, CLICKHOUSE_WALK_BAD };
/*
 * Steps over what there is from *at on and moves it. ON: the block goes on; *ret_need = 0: behind b->pass bytes that need not be seen, which are the caller's now, else more
 * than there is must be seen. BAD: the type of a column is not known, or this is no block.
 */
enum clickhouse_walk clickhouse_block_walk(struct clickhouse_block *b, enum proto_side side, struct slice in, size_t *at, size_t *ret_need);

#endif

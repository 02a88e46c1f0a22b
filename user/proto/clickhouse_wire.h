/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What packets of ClickHouse's native protocol are made of, and the revisions that changed them. Follows https://clickhouse.com/docs/native-protocol
 * (basics, client, server, columns) and, for the fields that revisions added, the names and numbers of src/Core/ProtocolDefines.h of ClickHouse. No state.
 */
#ifndef PLUMB_PROTO_CLICKHOUSE_WIRE_H
#define PLUMB_PROTO_CLICKHOUSE_WIRE_H

#include "proto/proto.h"

enum clickhouse_client_packet {
	CLICKHOUSE_CLIENT_HELLO = 0,
	CLICKHOUSE_QUERY = 1,
	CLICKHOUSE_CLIENT_DATA = 2,
	CLICKHOUSE_CANCEL = 3,
	CLICKHOUSE_PING = 4,
	CLICKHOUSE_TABLES_STATUS_REQUEST = 5,
	CLICKHOUSE_SCALAR = 7,
	CLICKHOUSE_IGNORED_PART_UUIDS = 8,
};

enum clickhouse_server_packet {
	CLICKHOUSE_SERVER_HELLO = 0,
	CLICKHOUSE_DATA = 1,
	CLICKHOUSE_EXCEPTION = 2,
	CLICKHOUSE_PROGRESS = 3,
	CLICKHOUSE_PONG = 4,
	CLICKHOUSE_END_OF_STREAM = 5,
	CLICKHOUSE_PROFILE_INFO = 6,
	CLICKHOUSE_TOTALS = 7,
	CLICKHOUSE_EXTREMES = 8,
	CLICKHOUSE_TABLES_STATUS = 9,
	CLICKHOUSE_LOG = 10,
	CLICKHOUSE_TABLE_COLUMNS = 11,
	CLICKHOUSE_PART_UUIDS = 12,
	CLICKHOUSE_READ_TASK_REQUEST = 13,
	CLICKHOUSE_PROFILE_EVENTS = 14,
	CLICKHOUSE_TIMEZONE_UPDATE = 17,
};

/* The first revision that has it. */
enum clickhouse_revision {
	CLICKHOUSE_FIRST_REVISION = 54032, /* a query says who asks; older ones are not parsed */
	CLICKHOUSE_WITH_TIMEZONE = 54058,
	CLICKHOUSE_WITH_QUOTA_KEY = 54060,
	CLICKHOUSE_WITH_DISPLAY_NAME = 54372,
	CLICKHOUSE_WITH_PATCH = 54401,
	CLICKHOUSE_WITH_WRITE_INFO = 54420,
	CLICKHOUSE_WITH_TEXT_SETTINGS = 54429,
	CLICKHOUSE_WITH_SECRET = 54441,
	CLICKHOUSE_WITH_OPENTELEMETRY = 54442,
	CLICKHOUSE_WITH_FORWARDED_FOR = 54443,
	CLICKHOUSE_WITH_REFERER = 54447,
	CLICKHOUSE_WITH_DEPTH = 54448,
	CLICKHOUSE_WITH_START_TIME = 54449,
	CLICKHOUSE_WITH_PARALLEL_REPLICAS = 54453,
	CLICKHOUSE_WITH_SERIALIZATION_KIND = 54454,
	CLICKHOUSE_WITH_ADDENDUM = 54458,
	CLICKHOUSE_WITH_PARAMETERS = 54459,
	CLICKHOUSE_WITH_ELAPSED = 54460,
	CLICKHOUSE_WITH_PASSWORD_RULES = 54461,
	CLICKHOUSE_WITH_NONCE = 54462,
	CLICKHOUSE_WITH_TOTAL_BYTES = 54463,
	CLICKHOUSE_WITH_READ_ONLY = 54467,
	CLICKHOUSE_WITH_AGGREGATION = 54469,
	CLICKHOUSE_WITH_CHUNKS = 54470,
	CLICKHOUSE_WITH_REPLICAS_VERSION = 54471,
	CLICKHOUSE_WITH_ROLES = 54472,
	CLICKHOUSE_WITH_SERVER_SETTINGS = 54474,
	CLICKHOUSE_WITH_LINES = 54475,
	CLICKHOUSE_WITH_JWT = 54476,
	CLICKHOUSE_WITH_QUERY_PLAN = 54477,
	CLICKHOUSE_WITH_CLUSTER_FUNCTION = 54479,
	CLICKHOUSE_WITH_COMPRESSED_LOGS = 54481,
	CLICKHOUSE_WITH_CLIENT_AGENT = 54485,
	CLICKHOUSE_REVISION_MAX = 54999, /* no client or server says more */
};

enum {
	CLICKHOUSE_NAME_MAX = 4096,    /* of a string that is not a text or a value: what the server allows in a Hello */
	CLICKHOUSE_TABLE_MAX = 256,
	CLICKHOUSE_PACKET_MAX = 32768, /* a packet is looked at whole, but for texts and blocks: a longer one is none */
	CLICKHOUSE_CHECKSUM = 16,
	CLICKHOUSE_FRAME_HEAD = CLICKHOUSE_CHECKSUM + 9, /* of a compressed block: check sum, method, compressed and plain size */
	CLICKHOUSE_EMPTY_BLOCK = 10,   /* bytes of a block without columns; with buckets out of order (54480) two more, and any other block has more than that */
	CLICKHOUSE_EMPTY_BLOCK_MAX = 12,
	CLICKHOUSE_RESYNC_KEEP = 512,
};

/* Reads packets. Behind their end, or behind nonsense, everything is 0 and empty. */
struct clickhouse_cursor {
	struct slice in;
	size_t at;
	size_t need; /* != 0: `in` ends before the packet, which has at least so many bytes */
	bool bad;
};

static inline bool clickhouse_good(const struct clickhouse_cursor *c) { return !c->bad && !c->need; }
uint8_t clickhouse_u8(struct clickhouse_cursor *c);
uint32_t clickhouse_u32(struct clickhouse_cursor *c);
uint64_t clickhouse_u64(struct clickhouse_cursor *c);
uint64_t clickhouse_varint(struct clickhouse_cursor *c);
/* A varint of at most `max`. */
uint64_t clickhouse_number(struct clickhouse_cursor *c, uint64_t max);
bool clickhouse_bool(struct clickhouse_cursor *c);
struct slice clickhouse_string(struct clickhouse_cursor *c, size_t max);
/* The packet is looked at up to here, or to its end. */
struct slice clickhouse_text(struct clickhouse_cursor *c, size_t most, uint64_t *ret_length);
void clickhouse_pass(struct clickhouse_cursor *c, uint64_t n);

/* Printable, and nothing that would not be in a name. */
bool clickhouse_is_name(struct slice s);

/* Head of a frame of a compressed block. False: it is none. */
struct clickhouse_frame {
	uint32_t length; /* of the frame, with its head and check sum */
	uint32_t plain;
};
bool clickhouse_frame(struct slice in, struct clickhouse_frame *ret);
/* The uncompressed bytes that a frame surely begins with: a view into `in`, maybe empty, which begins, or would, *ret_behind the frame's beginning. */
struct slice clickhouse_frame_begins(struct slice in, size_t *ret_behind);
/* A block's information: 0 it is none, SIZE_MAX too few bytes, else its length. */
size_t clickhouse_block_info(struct slice in);

/* What a Query packet says, up to its text. */
struct clickhouse_query {
	struct slice text;        /* as much of it as there is, and may be looked at */
	uint64_t text_length;
	uint32_t client_revision; /* of the client that asked, 0 = not said */
	bool compressed;
	bool traced;
	uint8_t trace[16], span[8], trace_flags; /* of OpenTelemetry */
	struct slice trace_state;
};

/* c stands behind the packet's number. For the revision in use. */
void clickhouse_read_query(struct clickhouse_cursor *c, uint32_t revision, size_t text_most, struct clickhouse_query *ret);
/*
 * The revision in use, told by a query on a connection whose beginning was not seen: the highest of those that its fields fit, and the lowest. 0: this is no query, or more of it
 * is needed: *ret_need.
 */
uint32_t clickhouse_guess_revision(struct slice in, uint32_t *ret_lowest, size_t *ret_need);
/* May queries still tell which of these revisions it is? lowest = 0: it is known. */
bool clickhouse_query_tells(uint32_t lowest, uint32_t highest);

struct clickhouse_hello {
	uint32_t revision;
	struct slice database, user; /* of a client's */
};
void clickhouse_read_client_hello(struct clickhouse_cursor *c, struct clickhouse_hello *ret);
/* client_revision: of the client that it answers, 0 if not seen. */
void clickhouse_read_server_hello(struct clickhouse_cursor *c, uint32_t client_revision, struct clickhouse_hello *ret);

int clickhouse_detect(struct slice in, enum proto_side side);
/* Offset of the first packet that stands there without doubt, or in.len. blocks: a block will do, too. */
size_t clickhouse_find(struct slice in, enum proto_side side, bool blocks);

#endif

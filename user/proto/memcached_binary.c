/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of the binary protocol, names of its opcodes and status codes, and the frame of datagrams: see memcached_wire.h. */
#include "proto/memcached_wire.h"

enum { QUIET = 1, KEY = 2, GETS = 4, VALUE = 8, SECRET = 16 };

enum { MAGIC_REQUEST = 0x80, MAGIC_RESPONSE = 0x81 };

/* extras: bytes of a request's extras; FLUSH may have none. VALUE: bytes may follow the key. */
static const struct opcode {
	const char *name;
	uint8_t extras, flags;
} opcodes[] = {
	[0x00] = { "GET", 0, KEY | GETS },
	[0x01] = { "SET", 8, KEY | VALUE },
	[0x02] = { "ADD", 8, KEY | VALUE },
	[0x03] = { "REPLACE", 8, KEY | VALUE },
	[0x04] = { "DELETE", 0, KEY },
	[0x05] = { "INCR", 20, KEY },
	[0x06] = { "DECR", 20, KEY },
	[0x07] = { "QUIT", 0, 0 },
	[0x08] = { "FLUSH", 4, 0 },
	[0x09] = { "GETQ", 0, KEY | GETS | QUIET },
	[0x0a] = { "NOOP", 0, 0 },
	[0x0b] = { "VERSION", 0, 0 },
	[0x0c] = { "GETK", 0, KEY | GETS },
	[0x0d] = { "GETKQ", 0, KEY | GETS | QUIET },
	[0x0e] = { "APPEND", 0, KEY | VALUE },
	[0x0f] = { "PREPEND", 0, KEY | VALUE },
	[0x10] = { "STAT", 0, 0 },
	[0x11] = { "SETQ", 8, KEY | VALUE | QUIET },
	[0x12] = { "ADDQ", 8, KEY | VALUE | QUIET },
	[0x13] = { "REPLACEQ", 8, KEY | VALUE | QUIET },
	[0x14] = { "DELETEQ", 0, KEY | QUIET },
	[0x15] = { "INCRQ", 20, KEY | QUIET },
	[0x16] = { "DECRQ", 20, KEY | QUIET },
	[0x17] = { "QUITQ", 0, QUIET },
	[0x18] = { "FLUSHQ", 4, QUIET },
	[0x19] = { "APPENDQ", 0, KEY | VALUE | QUIET },
	[0x1a] = { "PREPENDQ", 0, KEY | VALUE | QUIET },
	[0x1b] = { "VERBOSITY", 4, 0 },
	[0x1c] = { "TOUCH", 4, KEY },
	[0x1d] = { "GAT", 4, KEY | GETS },
	[0x1e] = { "GATQ", 4, KEY | GETS | QUIET },
	[0x20] = { "SASL_LIST_MECHS", 0, SECRET },
	[0x21] = { "SASL_AUTH", 0, KEY | VALUE | SECRET },
	[0x22] = { "SASL_STEP", 0, KEY | VALUE | SECRET },
	[0x23] = { "GATK", 4, KEY | GETS },
	[0x24] = { "GATKQ", 4, KEY | GETS | QUIET },
};

/*
 * By the names of the specification. `fails` follows what the text protocol calls an error: what it answers with NOT_FOUND, EXISTS or
 * NOT_STORED is none.
 */
static const struct status {
	uint16_t code;
	bool fails;
	const char *name;
} statuses[] = {
	{ 0x01, false, "key_not_found" }, { 0x02, false, "key_exists" }, { 0x03, true, "value_too_large" }, { 0x04, true, "invalid_arguments" },
	{ 0x05, false, "item_not_stored" }, { 0x06, true, "non_numeric_value" }, { 0x07, true, "wrong_server" }, { 0x20, true, "authentication_error" },
	{ 0x21, false, "authentication_continue" }, { 0x81, true, "unknown_command" }, { 0x82, true, "out_of_memory" }, { 0x83, true, "not_supported" },
	{ 0x84, true, "internal_error" }, { 0x85, true, "busy" }, { 0x86, true, "temporary_failure" },
};

static const struct opcode *opcode_get(uint8_t opcode)
{
	const struct opcode *o = opcode < sizeof(opcodes) / sizeof(opcodes[0]) ? &opcodes[opcode] : NULL;

	return o && o->name ? o : NULL;
}

const char *memcached_opcode_name(uint8_t opcode)
{
	const struct opcode *o = opcode_get(opcode);

	return o ? o->name : NULL;
}

static bool has(uint8_t opcode, unsigned flag)
{
	const struct opcode *o = opcode_get(opcode);

	return o && o->flags & flag;
}

bool memcached_opcode_quiet(uint8_t opcode) { return has(opcode, QUIET); }
bool memcached_opcode_gets(uint8_t opcode) { return has(opcode, GETS); }
bool memcached_opcode_secret(uint8_t opcode) { return has(opcode, SECRET); }

const char *memcached_status_name(uint16_t status, bool *ret_failed)
{
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].code == status) {
			*ret_failed = statuses[i].fails;
			return statuses[i].name;
		}
	*ret_failed = status != 0;
	return status ? "_OTHER" : NULL;
}

static bool status_known(uint16_t status)
{
	bool failed;
	const char *name = memcached_status_name(status, &failed);

	return !name || name[0] != '_';
}

static bool request_fits(const struct opcode *o, const struct memcached_head *h, uint16_t vbucket)
{
	bool flush = h->opcode == 0x08 || h->opcode == 0x18;
	uint32_t before = (uint32_t)h->key_len + h->extras;

	if (vbucket || (h->extras != o->extras && !(flush && h->extras == 0)))
		return false;
	if (o->flags & KEY ? h->key_len == 0 || h->key_len > MEMCACHED_KEY_MAX : h->key_len != 0 && h->opcode != MEMCACHED_OP_STAT)
		return false;
	return h->body >= before && h->body <= MEMCACHED_DATA_MAX && (o->flags & VALUE || h->body == before);
}

static bool response_fits(const struct opcode *o, const struct memcached_head *h)
{
	if (h->extras != 0 && (h->extras != 4 || !(o->flags & GETS)))
		return false;
	return status_known(h->status) && h->key_len <= MEMCACHED_KEY_MAX && h->body >= (uint32_t)h->key_len + h->extras && h->body <= MEMCACHED_DATA_MAX;
}

/* Byte by byte, so that the head of a header is refused as early as it can be. */
enum memcached_scan memcached_head_read(struct slice in, enum proto_side side, struct memcached_head *ret)
{
	bool response = side == PROTO_TO_CLIENT;

	if (in.len == 0)
		return MEMCACHED_MORE;
	if (in.ptr[0] != (response ? MAGIC_RESPONSE : MAGIC_REQUEST))
		return MEMCACHED_BAD;
	if (in.len < 2)
		return MEMCACHED_MORE;
	const struct opcode *o = opcode_get(in.ptr[1]);
	if (!o || (in.len > 2 && in.ptr[2] != 0) || (in.len > 4 && in.ptr[4] > 20) || (in.len > 5 && in.ptr[5] != 0))
		return MEMCACHED_BAD;
	if (in.len > 6 && in.ptr[6] != 0)
		return MEMCACHED_BAD;
	if (in.len < MEMCACHED_BINARY_HEAD)
		return MEMCACHED_MORE;
	uint16_t code = load_be16(in.ptr + 6);
	*ret = (struct memcached_head){
		.response = response, .opcode = in.ptr[1], .key_len = load_be16(in.ptr + 2), .extras = in.ptr[4], .status = response ? code : 0,
		.body = load_be32(in.ptr + 8), .opaque = load_be32(in.ptr + 12),
	};
	return (response ? response_fits(o, ret) : request_fits(o, ret, code)) ? MEMCACHED_OK : MEMCACHED_BAD;
}

bool memcached_frame_read(struct slice in, enum proto_side side, struct memcached_frame *ret)
{
	if (in.len <= MEMCACHED_FRAME)
		return false;
	*ret = (struct memcached_frame){ .id = load_be16(in.ptr), .seq = load_be16(in.ptr + 2), .total = load_be16(in.ptr + 4) };
	if (load_be16(in.ptr + 6) != 0 || ret->seq >= ret->total)
		return false;
	return side == PROTO_TO_CLIENT || ret->total == 1; /* a request is one datagram */
}

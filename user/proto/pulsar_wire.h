/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pulsar's binary protocol on the wire: https://pulsar.apache.org/docs/developing-binary-protocol/ and the numbers of PulsarApi.proto. A frame is its size, the size of a command and the
 * command (protobuf), and with SEND and MESSAGE what the broker knows of the entry, a checksum, metadata (protobuf) and the payload. For proto/pulsar*.c and its masker only.
 */
#ifndef PLUMB_PROTO_PULSAR_WIRE_H
#define PLUMB_PROTO_PULSAR_WIRE_H

#include "proto/proto.h"

enum {
	PULSAR_HEAD_BYTES = 8,        /* both sizes */
	PULSAR_FRAME_MAX = 1 << 28,   /* brokers take 5 MiB unless told otherwise */
	PULSAR_COMMAND_MIN = 5,
	PULSAR_COMMAND_MAX = 4096,    /* bytes of a command that are waited for */
	PULSAR_WINDOW = 8192,         /* bytes of what follows a command that are looked at */
	PULSAR_FIELDS = 16,           /* numbers of fields below this are kept */
	PULSAR_LINKS = 8,
	PULSAR_KEEP = 24,             /* so many bytes tell a frame, unless it is shorter */
	PULSAR_LOOK = 64,             /* as much of one is looked at where one may begin at each byte */
	PULSAR_CHECKSUM = 0x0e01,
	PULSAR_ENTRY = 0x0e02,
};

enum pulsar_type {
	PULSAR_CONNECT = 2, PULSAR_CONNECTED, PULSAR_SUBSCRIBE, PULSAR_PRODUCER, PULSAR_SEND, PULSAR_SEND_RECEIPT, PULSAR_SEND_ERROR, PULSAR_MESSAGE, PULSAR_ACK, PULSAR_FLOW,
	PULSAR_UNSUBSCRIBE, PULSAR_SUCCESS, PULSAR_ERROR, PULSAR_CLOSE_PRODUCER, PULSAR_CLOSE_CONSUMER, PULSAR_PRODUCER_SUCCESS, PULSAR_PING, PULSAR_PONG, PULSAR_REDELIVER,
	PULSAR_PARTITIONED_METADATA, PULSAR_PARTITIONED_METADATA_RESPONSE, PULSAR_LOOKUP, PULSAR_LOOKUP_RESPONSE,
	PULSAR_TYPES = 69,
};

enum { PULSAR_BY_CLIENT = 1, PULSAR_BY_SERVER = 2, PULSAR_BY_BOTH = 3 };
enum pulsar_role { PULSAR_UNKNOWN, PULSAR_ASKS, PULSAR_ANSWERS, PULSAR_TELLS, PULSAR_SPECIAL };

/* Numbers of fields are those of the command; 0: it has no such field. */
struct pulsar_command {
	uint8_t by, role;
	uint8_t request, topic, producer, consumer, error, message;
	const char *operation;
};
extern const struct pulsar_command pulsar_commands[PULSAR_TYPES];

enum pulsar_scan { PULSAR_OK, PULSAR_MORE, PULSAR_BAD };

struct pulsar_head {
	uint64_t frame;    /* bytes of all of it */
	size_t command_end;
	size_t at, size;   /* the command of the type, within BaseCommand */
	uint8_t type;
};

/* One field of a protobuf message. */
struct pulsar_field {
	uint32_t number;
	bool is_number;     /* a varint; else `value` is the length of what is counted */
	bool counted;
	uint64_t value;
	size_t head, len;   /* up to a counted field's contents; of all of it */
};

/* Those below PULSAR_FIELDS. What was not seen is 0 and empty. */
struct pulsar_fields {
	uint32_t numbers, texts; /* bits of those that are there */
	uint64_t number[PULSAR_FIELDS];
	struct slice text[PULSAR_FIELDS];
};

struct pulsar_id {
	uint64_t ledger, entry;
	int32_t partition;
	bool partly; /* messages of its batch are left out */
	bool indexed; /* one of a batch */
};

struct pulsar_payload {
	uint64_t body;      /* bytes */
	uint32_t messages;  /* of a batch; 0: it is none */
	bool known;         /* the metadata was read */
	bool opaque;        /* compressed or encrypted */
	struct slice traceparent, tracestate;
	struct slice link[PULSAR_LINKS]; /* of a batch's messages */
	uint32_t nlinks;
};

/* The longest varint has 10 bytes. 0: it goes on; -1: it is longer. */
int pulsar_varint(struct slice in, uint64_t *ret);
/* `left`: bytes of the message from here on, of which `in` shows the first. MORE: not all of the field's head is there. */
enum pulsar_scan pulsar_field_read(struct slice in, uint64_t left, struct pulsar_field *ret);
/* False: it is no protobuf. What is beyond `in` is not missed. */
bool pulsar_fields_read(struct slice in, uint64_t size, struct pulsar_fields *ret);
bool pulsar_id_read(struct slice in, struct pulsar_id *ret);

/* MORE: *ret_need bytes tell more. Types that are not known are OK for both sides. */
enum pulsar_scan pulsar_head_read(struct slice in, enum proto_side side, struct pulsar_head *ret, size_t *ret_need);
/* What follows a command: `size` bytes that begin with `in`. But for MORE, *ret_need bytes were looked at. */
enum pulsar_scan pulsar_payload_read(struct slice in, uint64_t size, struct pulsar_payload *ret, size_t *ret_need);

/* Does a frame begin here, as far as it is at hand? */
int pulsar_detect(struct slice in, enum proto_side side);
/* A frame that is worth a resync, as far as its first PULSAR_LOOK bytes tell. */
bool pulsar_begins(struct slice in, enum proto_side side);

const char *pulsar_error_name(uint64_t code); /* NULL: not known */

#endif

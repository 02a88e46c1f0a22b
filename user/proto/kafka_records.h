/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts the messages in Kafka's records (https://kafka.apache.org/documentation/#messageformat), stepping over batches by their lengths, and finds the trace contexts in the headers of
 * the first ones. Keys and values are never looked at. The bytes come in any pieces.
 */
#ifndef PLUMB_PROTO_KAFKA_RECORDS_H
#define PLUMB_PROTO_KAFKA_RECORDS_H

#include "lib/slice.h"

enum { KAFKA_LINKS = 8, KAFKA_LINK_LEN = 55, KAFKA_RECORDS_READ = 64 };

enum kafka_records_phase {
	KAFKA_BATCH,        /* a batch, or a message of the old formats, begins */
	KAFKA_RECORD,       /* a record begins */
	KAFKA_VALUE,        /* behind its key */
	KAFKA_HEADERS,      /* behind its value */
	KAFKA_HEADER,       /* one of its headers begins */
	KAFKA_HEADER_VALUE, /* behind a header's key */
};

struct kafka_records {
	uint32_t left;    /* bytes of the records */
	uint32_t batch;   /* of them in this batch, behind its head */
	uint32_t record;  /* and of these in this record */
	uint32_t records; /* of the batch that come, the present one included */
	uint32_t headers; /* of the record that come */
	uint8_t phase;    /* enum kafka_records_phase */
	/* Of the whole message, which may have the records of several partitions. */
	uint8_t nlinks;
	uint8_t read;     /* records whose headers were looked at */
	bool uncounted;   /* there are messages whose number is not known */
	bool offset_known;
	int64_t offset;   /* of the first message */
	uint64_t count;
	char links[KAFKA_LINKS][KAFKA_LINK_LEN];
};

void kafka_records_clear(struct kafka_records *r);
/* The records of a partition begin. */
void kafka_records_begin(struct kafka_records *r, uint32_t bytes);
/*
 * At the start of `in`, which ends with the records or before. True: `consumed` bytes are done, and `skip` more say nothing. False: nothing is done, `need` bytes
 * are wanted. The records are over when r->left is 0.
 */
bool kafka_records_step(struct kafka_records *r, struct slice in, size_t *ret_consumed, uint32_t *ret_skip, size_t *ret_need);
/* The batch under way, which is counted, is the last one. */
bool kafka_records_last(const struct kafka_records *r);
/* n bytes, no more than r->left, were not captured. */
void kafka_records_missing(struct kafka_records *r, uint32_t n);

#endif

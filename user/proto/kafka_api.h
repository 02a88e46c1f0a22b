/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kafka's requests and responses as data (https://kafka.apache.org/protocol, "The Messages"): names, versions, and where in each layout is what plumb wants to know.
 *
 * A layout is a text of fields, five characters each: type, role, first and last version that has the field as one of 0-9a-y (z: all later ones), space. What follows
 * the last field with a role is left out, but not of the requests that connections begin with: by all of them these are known.
 *
 *   types  b h i l u  1, 2, 4, 8, 16 bytes        s string   y bytes   r records
 *          B H I L U S  arrays of these           [ ] array of what stands between   ( ) structure   ? ) structure that may be null
 *   roles  T topic name   D topic id   P partition   R records of it   G consumer group   A acks   E error code   O base offset
 *          N name of a topic whose id comes next   K that id
 */
#ifndef PLUMB_PROTO_KAFKA_API_H
#define PLUMB_PROTO_KAFKA_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KAFKA_PRODUCE = 0, KAFKA_FETCH = 1, KAFKA_SASL_HANDSHAKE = 17, KAFKA_API_VERSIONS = 18, KAFKA_SHARE_FETCH = 78, KAFKA_FIELD_LEN = 5 };

struct kafka_api {
	const char *name;    /* messaging.operation.name */
	const char *type;    /* messaging.operation.type, NULL for none */
	uint8_t max_version; /* whose layout is known */
	uint8_t flexible;    /* first version with compact lengths and tagged fields */
	const char *request, *response;
};

/* NULL if there is no such key. */
const struct kafka_api *kafka_api_get(int16_t key);
/* The name of an error code, NULL if there is none. */
const char *kafka_error_name(int16_t code);

#endif

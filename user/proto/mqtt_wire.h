/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of MQTT 3.1, 3.1.1 and 5 (OASIS, mqtt-v3.1.1-os and mqtt-v5.0-os); views into the input. */
#ifndef PLUMB_PROTO_MQTT_WIRE_H
#define PLUMB_PROTO_MQTT_WIRE_H

#include "proto/proto.h"

enum mqtt_type {
	MQTT_CONNECT = 1, MQTT_CONNACK, MQTT_PUBLISH, MQTT_PUBACK, MQTT_PUBREC, MQTT_PUBREL, MQTT_PUBCOMP, MQTT_SUBSCRIBE, MQTT_SUBACK, MQTT_UNSUBSCRIBE, MQTT_UNSUBACK,
	MQTT_PINGREQ, MQTT_PINGRESP, MQTT_DISCONNECT, MQTT_AUTH,
};

enum mqtt_scan { MQTT_SCAN_OK, MQTT_SCAN_MORE, MQTT_SCAN_BAD };

enum {
	MQTT_HEAD_MAX = 5,
	MQTT_LOOK = 2048,        /* of properties, and of packets that are looked at whole, so much */
	MQTT_REASON_FAILED = 0x80, /* and above */
};

struct mqtt_head {
	enum mqtt_type type;
	uint8_t flags;
	uint32_t len;       /* of what follows the head */
	uint8_t head;       /* bytes of the head */
};

/* A head that this side may send, with flags and a length that fit its type. */
enum mqtt_scan mqtt_head_read(struct slice in, enum proto_side side, struct mqtt_head *ret);
static inline unsigned mqtt_qos(const struct mqtt_head *h) { return h->flags >> 1 & 3; }
static inline bool mqtt_dup(const struct mqtt_head *h) { return h->flags >> 3; }

/* Number of one to four bytes at *at, which moves behind it. */
enum mqtt_scan mqtt_varint(struct slice in, size_t *at, uint32_t *ret);

struct mqtt_properties {
	struct slice reason, client_id, traceparent, tracestate, b3, correlation;
	uint16_t alias;
};
/* What is seen of a block of properties, without its length. False if it is none. */
bool mqtt_properties_read(struct slice block, bool whole, struct mqtt_properties *ret);

/*
 * Where the parts of a PUBLISH lie, from its body's start; `version` 0 = not known, and then *ret_version says what the packet itself tells (0 still not
 * known). MORE: *ret_need bytes of the body are needed.
 */
struct mqtt_publish {
	struct slice topic, properties;
	uint16_t id;
	bool cut;           /* properties beyond MQTT_LOOK */
	bool sized;         /* the payload's length is known */
	uint32_t payload;   /* bytes */
};
enum mqtt_scan mqtt_publish_read(struct slice body, const struct mqtt_head *h, uint8_t version, uint8_t *ret_version, size_t *ret_need, struct mqtt_publish *ret);

/* SUBSCRIBE and UNSUBSCRIBE, whole: the first filter, and how many. */
bool mqtt_filters_read(struct slice body, enum mqtt_type type, uint8_t version, uint8_t *ret_version, struct slice *ret_first, unsigned *ret_count);
/* Is the name of a topic, or with wildcards a filter, one that the standard allows, and without control characters? */
bool mqtt_topic_plausible(struct slice topic, bool filter);

/* How many packets in a row fit from here on, at most `most`; *ret_end: they end with the input. */
unsigned mqtt_packets_fit(struct slice in, enum proto_side side, unsigned most, bool *ret_end, bool *ret_solid);
int mqtt_detect(struct slice in, enum proto_side side);

/* Of a reason code of version 5, or the return code of a CONNACK or SUBACK before; NULL: it is no failure. */
const char *mqtt_reason_name(uint8_t code, enum mqtt_type type, uint8_t version);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* MQTT for shared recordings: see masker.h for what stays. */
#include "proto/masker_way.h"
#include "proto/mqtt_wire.h"

/* What of a packet comes next; REST masks to its end. */
enum state { TYPE, LENGTH, CONNECT_HEAD, ACK_HEAD, ID, CODE, PROPERTIES_LENGTH, PROPERTIES, NAME_LENGTH, NAME, OPTIONS, CODES, REST };
enum { CONNECT_HEAD_LEN = 10, OLD_CONNECT_HEAD_LEN = 12, STEPS = 5 };

/* What packets are made of, in order; of filters there are as many as there is room for. */
static const uint8_t steps[16][STEPS] = {
	[MQTT_CONNECT] = { CONNECT_HEAD, PROPERTIES_LENGTH, NAME_LENGTH, REST, REST },
	[MQTT_CONNACK] = { ACK_HEAD, CODE, PROPERTIES_LENGTH, REST, REST },
	[MQTT_PUBLISH] = { NAME_LENGTH, ID, PROPERTIES_LENGTH, REST, REST },
	[MQTT_PUBACK] = { ID, CODE, PROPERTIES_LENGTH, REST, REST }, [MQTT_PUBREC] = { ID, CODE, PROPERTIES_LENGTH, REST, REST },
	[MQTT_PUBREL] = { ID, CODE, PROPERTIES_LENGTH, REST, REST }, [MQTT_PUBCOMP] = { ID, CODE, PROPERTIES_LENGTH, REST, REST },
	[MQTT_SUBSCRIBE] = { ID, PROPERTIES_LENGTH, NAME_LENGTH, OPTIONS, REST }, [MQTT_UNSUBSCRIBE] = { ID, PROPERTIES_LENGTH, NAME_LENGTH, REST, REST },
	[MQTT_SUBACK] = { ID, PROPERTIES_LENGTH, CODES, CODES, CODES }, [MQTT_UNSUBACK] = { ID, PROPERTIES_LENGTH, CODES, CODES, CODES },
	[MQTT_DISCONNECT] = { CODE, PROPERTIES_LENGTH, REST, REST, REST }, [MQTT_AUTH] = { CODE, PROPERTIES_LENGTH, REST, REST, REST },
};

static bool begins(struct slice in) { return mqtt_detect(in, PROTO_TO_SERVER) >= DETECT_WEAK || mqtt_detect(in, PROTO_TO_CLIENT) >= DETECT_WEAK; }

static unsigned type_of(const struct mask_way *y) { return y->type >> 4; }

static uint8_t lose(struct mask_way *y)
{
	y->state = MASK_LOST;
	return 'x';
}

/* The step behind the one just done; mask_way.digits counts them. */
static void next_step(const struct mask_conn *c, struct mask_way *y)
{
	unsigned type = type_of(y);

	y->number = y->length = 0;
	y->part = 0;
	if (y->remain == 0) {
		y->state = TYPE;
		return;
	}
	bool filters = type == MQTT_SUBSCRIBE || type == MQTT_UNSUBSCRIBE;
	if (filters && steps[type][y->digits < STEPS ? y->digits : STEPS - 1] == REST)
		y->digits = 2;
	uint8_t step = steps[type][y->digits < STEPS ? y->digits : STEPS - 1];
	if (y->digits < STEPS)
		y->digits++;
	bool without = (step == ID && type == MQTT_PUBLISH && !(y->type & 6)) ||
		       (step == PROPERTIES_LENGTH && c->memory[0] != 5 && type != MQTT_CONNACK && !(type >= MQTT_PUBACK && type <= MQTT_PUBCOMP) && type < MQTT_DISCONNECT);
	y->state = step;
	if (without)
		next_step(c, y);
}

static uint8_t at_type(struct mask_way *y, uint8_t b)
{
	uint8_t fits = b >> 4, flags = b & 15;

	if (fits == 0 || (fits == MQTT_PUBLISH ? (flags & 6) == 6 : flags != (fits == MQTT_PUBREL || fits == MQTT_SUBSCRIBE || fits == MQTT_UNSUBSCRIBE ? 2 : 0)))
		return lose(y);
	y->type = b;
	y->state = LENGTH;
	y->number = 0;
	y->part = 0;
	return b;
}

/* One more byte of a number of up to four. False: it goes on. */
static bool varint_byte(struct mask_way *y, uint8_t b)
{
	y->number |= (uint64_t)(b & 127) << (7 * y->part++);
	return !(b & 128);
}

static uint8_t in_length(const struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	if (!varint_byte(y, b)) {
		if (y->part == 4)
			return lose(y);
		return b;
	}
	y->remain = y->number;
	y->digits = 0;
	next_step(c, y);
	return b;
}

/* Name and level of the protocol and the flags stay, the time does not. */
static uint8_t in_connect(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	static const uint8_t name[] = "\0\4MQTT", old[] = "\0\6MQIsdp";
	uint64_t at = y->part++;
	bool was = y->number == 6;
	size_t level = was ? 8 : 6;

	if (at == 1)
		y->number = b;
	if (at < level) {
		if (at > 1 ? b != (was ? old : name)[at] : at ? b != 4 && b != 6 : b != 0)
			return lose(y);
		return b;
	}
	if (at == level) {
		if ((b & 127) < 3 || (b & 127) > 5)
			return lose(y);
		c->memory[0] = b & 127;
		return b;
	}
	if (at == level + 1)
		return b;
	if (y->part == (was ? OLD_CONNECT_HEAD_LEN : CONNECT_HEAD_LEN))
		next_step(c, y);
	return 0;
}

/* Codes are few. */
static uint8_t code(uint8_t b) { return b <= 5 || (b >= 0x10 && b <= 0x19) || (b >= 0x80 && b <= 0xa2) ? b : 0; }

static uint8_t in_id(const struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	if (++y->part == 2)
		next_step(c, y);
	return b;
}

static uint8_t in_properties_length(const struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	bool last = varint_byte(y, b);

	if (y->number > y->remain || (!last && y->part == 4))
		return lose(y);
	if (!last)
		return b;
	uint64_t length = y->number;
	if (length == 0) {
		next_step(c, y);
		return b;
	}
	y->state = PROPERTIES;
	y->length = length;
	y->part = 0;
	return b;
}

/* Others of the same length: a topic's alias once or twice, then formats. mask_way.number: the whole length. */
static uint8_t in_properties(const struct mask_conn *c, struct mask_way *y)
{
	static const uint8_t alias[] = { 0x23, 0, 1 };
	uint64_t at = y->part++, odd = y->number % 2, aliases = odd ? 3 : y->number >= 6 ? 6 : 0;
	uint8_t b = at < aliases ? alias[at % 3] : (at - aliases) % 2 == 0 ? 0x01 : 0;

	if (--y->length == 0)
		next_step(c, y);
	return b;
}

static uint8_t in_name_length(const struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	y->number = y->number << 8 | b;
	if ((y->part == 0 ? y->number << 8 : y->number) > y->remain)
		return lose(y);
	if (++y->part < 2)
		return b;
	y->length = y->number;
	y->state = NAME;
	if (y->length == 0)
		next_step(c, y);
	return b;
}

static uint8_t in_body(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	y->remain--;
	switch (y->state) {
	case CONNECT_HEAD: return in_connect(c, y, b);
	case ACK_HEAD:
		next_step(c, y);
		return b & 1;
	case ID: return in_id(c, y, b);
	case CODE:
		next_step(c, y);
		return code(b);
	case PROPERTIES_LENGTH: return in_properties_length(c, y, b);
	case PROPERTIES: return in_properties(c, y);
	case NAME_LENGTH: return in_name_length(c, y, b);
	case NAME:
		if (--y->length == 0)
			next_step(c, y);
		return b == '/' || b == '+' || b == '#' ? b : 'x';
	case OPTIONS:
		next_step(c, y);
		return b & 0x2f;
	case CODES: return code(b);
	default: return 'x';
	}
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (y->state == TYPE)
			p[i] = at_type(y, p[i]);
		else if (y->state == LENGTH)
			p[i] = in_length(c, y, p[i]);
		else if (y->state < MASK_LOST)
			p[i] = in_body(c, y, p[i]);
		else
			p[i] = 'x';
		if (y->state > LENGTH && y->state < MASK_LOST && y->remain == 0)
			y->state = TYPE;
	}
}

static void hole(struct mask_way *y) { y->state = REST; }

static enum mask_opens opens(struct slice in)
{
	return mqtt_detect(in, PROTO_TO_SERVER) == DETECT_CERTAIN ? MASK_OPENS_SURELY : in.ptr[0] == MQTT_CONNECT << 4 ? MASK_OPENS_MAYBE : MASK_OPENS_NOT;
}

const struct mask_ops mask_mqtt = { .opens = opens, .begins = begins, .mask = mask, .hole = hole, .ends_with_body = true };

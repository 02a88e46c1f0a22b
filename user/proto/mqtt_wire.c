/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/mqtt_wire.h"

enum { CONNECT_MIN = 10, CHAIN = 4, TOPIC_TELLS = 4, /* bytes */ TOPIC_BELIEVED = 512 };

/* ---- heads ---- */

enum mqtt_scan mqtt_varint(struct slice in, size_t *at, uint32_t *ret)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < 4; i++) {
		if (*at + i >= in.len)
			return MQTT_SCAN_MORE;
		uint8_t b = in.ptr[*at + i];
		value |= (uint32_t)(b & 127) << (7 * i);
		if (b & 128)
			continue;
		if (b == 0 && i) /* not the shortest way */
			return MQTT_SCAN_BAD;
		*at += i + 1;
		*ret = value;
		return MQTT_SCAN_OK;
	}
	return MQTT_SCAN_BAD;
}

/* Who may send it (a bit for each side), its flags, and the bounds of its length. */
static const struct shape {
	uint8_t sides, flags;
	uint32_t least, most;
} shapes[16] = {
	[MQTT_CONNECT] = { 1, 0, CONNECT_MIN + 2, 1 << 20 }, [MQTT_CONNACK] = { 2, 0, 2, 1 << 16 }, [MQTT_PUBLISH] = { 3, 0, 2, UINT32_MAX },
	[MQTT_PUBACK] = { 3, 0, 2, 1 << 17 }, [MQTT_PUBREC] = { 3, 0, 2, 1 << 17 }, [MQTT_PUBREL] = { 3, 2, 2, 1 << 17 }, [MQTT_PUBCOMP] = { 3, 0, 2, 1 << 17 },
	[MQTT_SUBSCRIBE] = { 1, 2, 6, 1 << 24 }, [MQTT_SUBACK] = { 2, 0, 3, 1 << 20 }, [MQTT_UNSUBSCRIBE] = { 1, 2, 5, 1 << 24 }, [MQTT_UNSUBACK] = { 2, 0, 2, 1 << 20 },
	[MQTT_PINGREQ] = { 1, 0, 0, 0 }, [MQTT_PINGRESP] = { 2, 0, 0, 0 }, [MQTT_DISCONNECT] = { 3, 0, 0, 1 << 17 }, [MQTT_AUTH] = { 3, 0, 0, 1 << 20 },
};

enum mqtt_scan mqtt_head_read(struct slice in, enum proto_side side, struct mqtt_head *ret)
{
	size_t at = 1;

	*ret = (struct mqtt_head){ 0 };
	if (in.len == 0)
		return MQTT_SCAN_MORE;
	const struct shape *shape = &shapes[in.ptr[0] >> 4];
	ret->type = (enum mqtt_type)(in.ptr[0] >> 4);
	ret->flags = in.ptr[0] & 15;
	if (!(shape->sides >> side & 1))
		return MQTT_SCAN_BAD;
	if (ret->type == MQTT_PUBLISH ? mqtt_qos(ret) == 3 || (mqtt_dup(ret) && mqtt_qos(ret) == 0) : ret->flags != shape->flags)
		return MQTT_SCAN_BAD;
	enum mqtt_scan scan = mqtt_varint(in, &at, &ret->len);
	if (scan != MQTT_SCAN_OK)
		return scan;
	ret->head = (uint8_t)at;
	return ret->len >= shape->least && ret->len <= shape->most ? MQTT_SCAN_OK : MQTT_SCAN_BAD;
}

/* ---- strings and properties ---- */

/* Two bytes of length and what they count, at *at, which moves behind it. */
static bool string_take(struct slice in, size_t *at, struct slice *ret)
{
	if (in.len < 2 || *at > in.len - 2)
		return false;
	size_t len = load_be16(in.ptr + *at);
	if (len > in.len - *at - 2)
		return false;
	*ret = slice_make(in.ptr + *at + 2, len);
	*at += 2 + len;
	return true;
}

enum value { NONE, BYTE, TWO, FOUR, VARINT, STRING, PAIR };

static enum value value_of(uint8_t id)
{
	static const uint8_t values[] = {
		[0x01] = BYTE, [0x02] = FOUR, [0x03] = STRING, [0x08] = STRING, [0x09] = STRING, [0x0b] = VARINT, [0x11] = FOUR, [0x12] = STRING, [0x13] = TWO, [0x15] = STRING,
		[0x16] = STRING, [0x17] = BYTE, [0x18] = FOUR, [0x19] = BYTE, [0x1a] = STRING, [0x1c] = STRING, [0x1f] = STRING, [0x21] = TWO, [0x22] = TWO, [0x23] = TWO,
		[0x24] = BYTE, [0x25] = BYTE, [0x26] = PAIR, [0x27] = FOUR, [0x28] = BYTE, [0x29] = BYTE, [0x2a] = BYTE,
	};

	return id < sizeof(values) ? (enum value)values[id] : NONE;
}

static void pair_take(struct slice name, struct slice value, struct mqtt_properties *p)
{
	if (slice_ieq(name, SLICE_LIT("traceparent")))
		p->traceparent = value;
	else if (slice_ieq(name, SLICE_LIT("tracestate")))
		p->tracestate = value;
	else if (slice_ieq(name, SLICE_LIT("b3")))
		p->b3 = value;
}

static bool printable(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= ' ' || s.ptr[i] > 126)
			return false;
	return true;
}

static void string_property(uint8_t id, struct slice value, struct mqtt_properties *p)
{
	if (id == 0x1f)
		p->reason = value;
	else if (id == 0x12)
		p->client_id = value;
	else if (id == 0x09 && value.len <= 64 && printable(value)) /* any bytes; shown are those that are a name */
		p->correlation = value;
}

static bool property_take(struct slice block, size_t *at, struct mqtt_properties *p)
{
	static const uint8_t sizes[] = { [BYTE] = 1, [TWO] = 2, [FOUR] = 4 };
	struct slice name, value;
	uint32_t number;
	uint8_t id = block.ptr[(*at)++];
	enum value kind = value_of(id);

	switch (kind) {
	case NONE: return false;
	case VARINT: return mqtt_varint(block, at, &number) == MQTT_SCAN_OK;
	case STRING:
		if (!string_take(block, at, &value))
			return false;
		string_property(id, value, p);
		return true;
	case PAIR:
		if (!string_take(block, at, &name) || !string_take(block, at, &value))
			return false;
		pair_take(name, value, p);
		return true;
	case BYTE: case TWO: case FOUR: break;
	}
	if (block.len - *at < sizes[kind])
		return false;
	if (id == 0x23)
		p->alias = load_be16(block.ptr + *at);
	*at += sizes[kind];
	return true;
}

bool mqtt_properties_read(struct slice block, bool whole, struct mqtt_properties *ret)
{
	size_t at = 0;

	*ret = (struct mqtt_properties){ 0 };
	while (at < block.len)
		if (!property_take(block, &at, ret))
			return !whole;
	return true;
}

/* ---- PUBLISH ---- */

bool mqtt_topic_plausible(struct slice topic, bool filter)
{
	for (size_t i = 0; i < topic.len; i++) {
		uint8_t c = topic.ptr[i];
		if (c < ' ' || c == 127 || c > 0xf4 || c == 0xc0 || c == 0xc1 || (!filter && (c == '+' || c == '#')))
			return false;
	}
	return !filter || topic.len;
}

enum mqtt_scan mqtt_publish_read(struct slice body, const struct mqtt_head *h, uint8_t version, uint8_t *ret_version, size_t *ret_need, struct mqtt_publish *ret)
{
	uint32_t length = 0;
	size_t id = mqtt_qos(h) ? 2 : 0, at;
	struct mqtt_properties unused;

	*ret = (struct mqtt_publish){ 0 };
	*ret_version = version;
	*ret_need = 2;
	if (body.len < 2)
		return MQTT_SCAN_MORE;
	size_t topic = load_be16(body.ptr);
	at = 2 + topic + id;
	if (at > h->len)
		return MQTT_SCAN_BAD;
	*ret_need = at;
	if (body.len < at)
		return mqtt_topic_plausible(slice_head(slice_from(body, 2), topic), false) ? MQTT_SCAN_MORE : MQTT_SCAN_BAD;
	ret->topic = slice_make(body.ptr + 2, topic);
	ret->id = id ? load_be16(body.ptr + 2 + topic) : 0;
	if (!mqtt_topic_plausible(ret->topic, false) || (id && ret->id == 0))
		return MQTT_SCAN_BAD;
	ret->sized = true;
	ret->payload = h->len - (uint32_t)at;
	if (version == 3 || version == 4)
		return topic ? MQTT_SCAN_OK : MQTT_SCAN_BAD;
	size_t before = at;
	enum mqtt_scan scan = mqtt_varint(slice_head(body, h->len), &at, &length);
	if (scan == MQTT_SCAN_MORE && body.len < h->len) {
		*ret_need = body.len + 1;
		return MQTT_SCAN_MORE;
	}
	bool fits = scan == MQTT_SCAN_OK && length <= h->len - at;
	if (fits) {
		size_t look = length < MQTT_LOOK ? length : MQTT_LOOK;
		*ret_need = at + look;
		if (body.len < *ret_need)
			return MQTT_SCAN_MORE;
		ret->properties = slice_make(body.ptr + at, look);
		ret->cut = look < length;
		fits = mqtt_properties_read(ret->properties, !ret->cut, &unused);
	}
	if (!fits && (version == 5 || !topic))
		return MQTT_SCAN_BAD;
	if (fits && !topic && !unused.alias)
		return MQTT_SCAN_BAD;
	if (!fits) {
		ret->properties = SLICE_NONE;
		ret->cut = false;
		*ret_version = 4;
		return MQTT_SCAN_OK;
	}
	if (version == 0 && length == 0) { /* an empty block, or a payload that begins with a zero */
		ret->sized = false;
		return MQTT_SCAN_OK;
	}
	*ret_version = 5;
	ret->payload -= (uint32_t)(at - before) + length;
	return MQTT_SCAN_OK;
}

/* ---- SUBSCRIBE, UNSUBSCRIBE ---- */

static bool filters_fit(struct slice body, enum mqtt_type type, bool properties, struct slice *ret_first, unsigned *ret_count)
{
	struct mqtt_properties unused;
	struct slice filter;
	uint32_t length;
	size_t at = 2;

	if (body.len < 2 || load_be16(body.ptr) == 0)
		return false;
	if (properties) {
		if (mqtt_varint(body, &at, &length) != MQTT_SCAN_OK || length > body.len - at || !mqtt_properties_read(slice_make(body.ptr + at, length), true, &unused))
			return false;
		at += length;
	}
	*ret_count = 0;
	while (at < body.len) {
		if (!string_take(body, &at, &filter) || !mqtt_topic_plausible(filter, true))
			return false;
		if (type == MQTT_SUBSCRIBE) {
			if (at >= body.len || (body.ptr[at] & 3) == 3 || body.ptr[at] > (properties ? 0x2f : 2))
				return false;
			at++;
		}
		if ((*ret_count)++ == 0)
			*ret_first = filter;
	}
	return *ret_count > 0;
}

bool mqtt_filters_read(struct slice body, enum mqtt_type type, uint8_t version, uint8_t *ret_version, struct slice *ret_first, unsigned *ret_count)
{
	*ret_version = version;
	if (version)
		return filters_fit(body, type, version == 5, ret_first, ret_count);
	bool fits = filters_fit(body, type, true, ret_first, ret_count);
	*ret_version = fits ? 5 : 4;
	return fits || filters_fit(body, type, false, ret_first, ret_count);
}

/* ---- what fits ---- */

static bool connect_fits(struct slice body)
{
	static const uint8_t name[] = "\0\4MQTT", old[] = "\0\6MQIsdp";
	struct slice is = slice_make(name, 6), was = slice_make(old, 8);

	if (slice_starts(is, slice_head(body, is.len)))
		return body.len <= is.len || ((body.ptr[is.len] & 127) >= 4 && (body.ptr[is.len] & 127) <= 5);
	if (slice_starts(was, slice_head(body, was.len)))
		return body.len <= was.len || (body.ptr[was.len] & 127) == 3;
	return false;
}

/* Behind packet id and, if there is one, reason: nothing, or properties up to the end. */
static bool ack_fits(struct slice body, const struct mqtt_head *h)
{
	struct mqtt_properties unused;
	uint32_t length;
	size_t at = 3;

	if ((body.len >= 2 && load_be16(body.ptr) == 0) || h->len > MQTT_LOOK)
		return false;
	if (h->len <= 3 || body.len < h->len)
		return h->len <= MQTT_LOOK;
	return mqtt_varint(body, &at, &length) == MQTT_SCAN_OK && length == h->len - at && mqtt_properties_read(slice_make(body.ptr + at, length), true, &unused);
}

static bool connack_fits(struct slice body, const struct mqtt_head *h)
{
	struct mqtt_properties unused;
	uint32_t length;
	size_t at = 2;

	if ((body.len && body.ptr[0] > 1) || h->len > MQTT_LOOK)
		return false;
	if (h->len == 2)
		return body.len < 2 || body.ptr[1] <= 5;
	if (body.len < h->len)
		return h->len <= MQTT_LOOK;
	return mqtt_varint(body, &at, &length) == MQTT_SCAN_OK && length == h->len - at && mqtt_properties_read(slice_make(body.ptr + at, length), true, &unused);
}

/* False: what is seen of the body contradicts. *ret_solid: no chance makes that, so far as such a thing is rare: of a packet that is not whole more is asked. */
static bool body_fits(struct slice in, const struct mqtt_head *h, bool *ret_solid)
{
	struct slice body = slice_head(slice_from(in, h->head), h->len), first;
	struct mqtt_publish p;
	uint8_t version;
	unsigned count;
	size_t need;

	*ret_solid = false;
	switch (h->type) {
	case MQTT_CONNECT:
		*ret_solid = body.len > 8;
		return connect_fits(body);
	case MQTT_PUBLISH: {
		if (body.len >= 2 && load_be16(body.ptr) > TOPIC_BELIEVED) /* each place is looked at: that must not take long */
			return false;
		enum mqtt_scan scan = mqtt_publish_read(body, h, 0, &version, &need, &p);
		*ret_solid = scan == MQTT_SCAN_OK && p.topic.len >= (body.len < h->len ? TOPIC_TELLS : 1);
		return scan != MQTT_SCAN_BAD;
	}
	case MQTT_SUBSCRIBE: case MQTT_UNSUBSCRIBE:
		*ret_solid = body.len == h->len;
		if (body.len < h->len || h->len > MQTT_LOOK)
			return h->len <= MQTT_LOOK;
		return mqtt_filters_read(body, h->type, 0, &version, &first, &count);
	case MQTT_CONNACK: return connack_fits(body, h);
	case MQTT_PUBACK: case MQTT_PUBREC: case MQTT_PUBREL: case MQTT_PUBCOMP: return ack_fits(body, h);
	case MQTT_SUBACK: case MQTT_UNSUBACK: return h->len <= MQTT_LOOK && (body.len < 2 || load_be16(body.ptr) != 0);
	case MQTT_DISCONNECT: return h->len <= 2;
	case MQTT_PINGREQ: case MQTT_PINGRESP: return true;
	case MQTT_AUTH: break;
	}
	return false;
}

unsigned mqtt_packets_fit(struct slice in, enum proto_side side, unsigned most, bool *ret_end, bool *ret_solid)
{
	unsigned n = 0;
	bool solid;

	*ret_end = *ret_solid = false;
	while (n < most) {
		struct mqtt_head h;
		if (in.len == 0) {
			*ret_end = true;
			return n;
		}
		enum mqtt_scan scan = mqtt_head_read(in, side, &h);
		if (scan == MQTT_SCAN_MORE) {
			*ret_end = true;
			return n;
		}
		if (scan == MQTT_SCAN_BAD || !body_fits(in, &h, &solid))
			return 0;
		*ret_solid |= solid;
		if (in.len - h.head < h.len) {
			*ret_end = true;
			return n + solid;
		}
		in = slice_from(in, h.head + (size_t)h.len);
		n++;
	}
	return n;
}

int mqtt_detect(struct slice in, enum proto_side side)
{
	struct mqtt_head h;
	bool end, solid;

	if (in.len == 0)
		return DETECT_MORE;
	enum mqtt_scan scan = mqtt_head_read(in, side, &h);
	if (scan != MQTT_SCAN_OK)
		return scan == MQTT_SCAN_MORE ? DETECT_MORE : DETECT_NO;
	if (!body_fits(in, &h, &solid))
		return DETECT_NO;
	if (h.type == MQTT_CONNECT && solid)
		return DETECT_CERTAIN;
	unsigned n = mqtt_packets_fit(in, side, CHAIN, &end, &solid);
	if (n == 0)
		return end ? DETECT_MORE : DETECT_NO;
	return solid || n >= CHAIN ? DETECT_LIKELY : DETECT_WEAK;
}

/* ---- reasons ---- */

const char *mqtt_reason_name(uint8_t code, enum mqtt_type type, uint8_t version)
{
	static const char *const returns[] = { "unacceptable_protocol_version", "identifier_rejected", "server_unavailable", "bad_user_name_or_password", "not_authorized" };
	static const char *const reasons[] = {
		"unspecified_error", "malformed_packet", "protocol_error", "implementation_specific_error", "unsupported_protocol_version", "client_identifier_not_valid",
		"bad_user_name_or_password", "not_authorized", "server_unavailable", "server_busy", "banned", "server_shutting_down", "bad_authentication_method",
		"keep_alive_timeout", "session_taken_over", "topic_filter_invalid", "topic_name_invalid", "packet_identifier_in_use", "packet_identifier_not_found",
		"receive_maximum_exceeded", "topic_alias_invalid", "packet_too_large", "message_rate_too_high", "quota_exceeded", "administrative_action",
		"payload_format_invalid", "retain_not_supported", "qos_not_supported", "use_another_server", "server_moved", "shared_subscriptions_not_supported",
		"connection_rate_exceeded", "maximum_connect_time", "subscription_identifiers_not_supported", "wildcard_subscriptions_not_supported",
	};

	if (type == MQTT_CONNACK && version != 5 && code < MQTT_REASON_FAILED)
		return code == 0 ? NULL : code <= sizeof(returns) / sizeof(returns[0]) ? returns[code - 1] : "_OTHER";
	if (code < MQTT_REASON_FAILED)
		return NULL;
	if (version == 3 || version == 4)
		return "failure";
	code = (uint8_t)(code - MQTT_REASON_FAILED);
	return code < sizeof(reasons) / sizeof(reasons[0]) ? reasons[code] : "_OTHER";
}

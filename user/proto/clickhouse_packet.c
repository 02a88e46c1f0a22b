/* SPDX-License-Identifier: Apache-2.0 */
/* The packets of ClickHouse that say much: Hello and Query. */
#include "proto/clickhouse_wire.h"

static bool has(uint32_t revision, enum clickhouse_revision first) { return revision >= (uint32_t)first; }

static struct slice name(struct clickhouse_cursor *c) { return clickhouse_string(c, CLICKHOUSE_NAME_MAX); }

static uint32_t revision_of(struct clickhouse_cursor *c)
{
	uint32_t revision = (uint32_t)clickhouse_number(c, CLICKHOUSE_REVISION_MAX);

	c->bad = c->bad || (!c->need && revision < CLICKHOUSE_FIRST_REVISION);
	return revision;
}

enum { NO_QUERY = 0, SECONDARY_QUERY = 2, TCP = 1, HTTP = 2, INTERFACES = 15, STAGES = 10 };

/* --- settings --- */

static bool is_setting(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t b = ascii_lower(s.ptr[i]);
		if (!((b >= 'a' && b <= 'z') || (b >= '0' && b <= '9') || b == '_' || b == '.' || b == '-'))
			return false;
	}
	return true;
}

/* Does another setting follow, or the end of settings and what stands behind it? c->need: that has not come yet. */
static void settings_go_on(struct clickhouse_cursor *c)
{
	struct slice next = clickhouse_string(c, CLICKHOUSE_TABLE_MAX);

	c->bad = c->bad || !is_setting(next);
	if (next.len || !clickhouse_good(c))
		return;
	(void)clickhouse_number(c, STAGES);
	(void)clickhouse_bool(c);
}

/* A number, or a text: which of them, only the setting's name tells, and what follows. */
static void pass_binary_value(struct clickhouse_cursor *c)
{
	struct clickhouse_cursor number = *c, text = *c, behind_number, behind_text;

	(void)clickhouse_varint(&number);
	(void)clickhouse_string(&text, CLICKHOUSE_PACKET_MAX);
	behind_number = number;
	behind_text = text;
	settings_go_on(&behind_number);
	settings_go_on(&behind_text);
	if (clickhouse_good(&behind_number))
		*c = number;
	else if (clickhouse_good(&behind_text))
		*c = text;
	else if (behind_number.need || behind_text.need)
		c->need = behind_number.bad || (behind_text.need && behind_text.need < behind_number.need) ? behind_text.need : behind_number.need;
	else
		c->bad = true;
}

static void pass_settings(struct clickhouse_cursor *c, bool texts)
{
	for (;;) {
		struct slice key = clickhouse_string(c, CLICKHOUSE_TABLE_MAX);
		if (!clickhouse_good(c) || !key.len)
			return;
		c->bad = !is_setting(key);
		if (texts) {
			(void)clickhouse_varint(c);
			(void)clickhouse_string(c, CLICKHOUSE_PACKET_MAX);
		} else {
			pass_binary_value(c);
		}
	}
}

/* --- Query --- */

static void read_address(struct clickhouse_cursor *c)
{
	struct slice address = clickhouse_string(c, CLICKHOUSE_TABLE_MAX);

	c->bad = c->bad || (clickhouse_good(c) && address.len && slice_find(address, ':', 0) == SIZE_MAX);
}

static void copy(struct clickhouse_cursor *c, uint8_t *to, size_t n)
{
	size_t from = c->at;

	clickhouse_pass(c, n);
	if (clickhouse_good(c))
		memcpy(to, c->in.ptr + from, n);
}

static void read_trace(struct clickhouse_cursor *c, struct clickhouse_query *q)
{
	q->traced = clickhouse_bool(c);
	if (!q->traced)
		return;
	copy(c, q->trace, sizeof(q->trace));
	copy(c, q->span, sizeof(q->span));
	q->trace_state = name(c);
	q->trace_flags = clickhouse_u8(c);
}

static void read_interface(struct clickhouse_cursor *c, uint32_t revision, uint8_t interface, struct clickhouse_query *q)
{
	if (interface == TCP) {
		(void)name(c); /* of the user */
		(void)name(c); /* of the host */
		c->bad = c->bad || !clickhouse_is_name(name(c));
		(void)clickhouse_number(c, UINT32_MAX);
		(void)clickhouse_number(c, UINT32_MAX);
		q->client_revision = revision_of(c);
	} else if (interface == HTTP) {
		(void)clickhouse_u8(c);
		(void)name(c);
		if (has(revision, CLICKHOUSE_WITH_FORWARDED_FOR))
			(void)name(c);
		if (has(revision, CLICKHOUSE_WITH_REFERER))
			(void)name(c);
	}
}

/* Who asks. */
static void read_client_info(struct clickhouse_cursor *c, uint32_t revision, struct clickhouse_query *q)
{
	uint8_t kind = clickhouse_u8(c), interface;

	c->bad = c->bad || kind > SECONDARY_QUERY;
	if (!clickhouse_good(c) || kind == NO_QUERY)
		return;
	(void)name(c);
	(void)name(c);
	read_address(c);
	if (has(revision, CLICKHOUSE_WITH_START_TIME))
		clickhouse_pass(c, 8);
	interface = clickhouse_u8(c);
	c->bad = c->bad || interface > INTERFACES;
	read_interface(c, revision, interface, q);
	if (has(revision, CLICKHOUSE_WITH_QUOTA_KEY))
		(void)name(c);
	if (has(revision, CLICKHOUSE_WITH_DEPTH))
		(void)clickhouse_number(c, UINT32_MAX);
	if (interface == TCP && has(revision, CLICKHOUSE_WITH_PATCH))
		(void)clickhouse_number(c, UINT32_MAX);
	if (has(revision, CLICKHOUSE_WITH_OPENTELEMETRY))
		read_trace(c, q);
	for (int i = 0; i < 3 && has(revision, CLICKHOUSE_WITH_PARALLEL_REPLICAS); i++)
		(void)clickhouse_number(c, UINT32_MAX);
	for (int i = 0; i < 2 && has(revision, CLICKHOUSE_WITH_LINES); i++)
		(void)clickhouse_number(c, UINT32_MAX);
	if (has(revision, CLICKHOUSE_WITH_JWT) && clickhouse_bool(c))
		(void)clickhouse_string(c, CLICKHOUSE_PACKET_MAX);
	if (has(revision, CLICKHOUSE_WITH_CLIENT_AGENT))
		(void)name(c);
}

void clickhouse_read_query(struct clickhouse_cursor *c, uint32_t revision, size_t text_most, struct clickhouse_query *ret)
{
	*ret = (struct clickhouse_query){ 0 };
	c->bad = c->bad || !clickhouse_is_name(name(c));
	read_client_info(c, revision, ret);
	pass_settings(c, has(revision, CLICKHOUSE_WITH_TEXT_SETTINGS));
	if (has(revision, CLICKHOUSE_WITH_ROLES))
		(void)clickhouse_string(c, CLICKHOUSE_PACKET_MAX);
	if (has(revision, CLICKHOUSE_WITH_SECRET))
		(void)clickhouse_string(c, CLICKHOUSE_TABLE_MAX);
	(void)clickhouse_number(c, STAGES);
	ret->compressed = clickhouse_bool(c);
	ret->text = clickhouse_text(c, text_most, &ret->text_length);
}

/* --- the revision of a connection that was joined --- */

/* What each of them changed can be told from a query. */
static const uint32_t levels[] = {
	CLICKHOUSE_WITH_CLIENT_AGENT, CLICKHOUSE_WITH_JWT, CLICKHOUSE_WITH_LINES, CLICKHOUSE_WITH_ROLES, CLICKHOUSE_WITH_PARAMETERS,
	CLICKHOUSE_WITH_PARALLEL_REPLICAS, CLICKHOUSE_WITH_START_TIME, CLICKHOUSE_WITH_DEPTH, CLICKHOUSE_WITH_OPENTELEMETRY, CLICKHOUSE_WITH_SECRET,
	CLICKHOUSE_WITH_TEXT_SETTINGS, CLICKHOUSE_WITH_PATCH, CLICKHOUSE_WITH_QUOTA_KEY,
};

enum fit { FITS_NOT, FITS_SO_FAR, FITS };

/* Behind a query comes data. A text that is longer than what is looked at is the last that is compared. */
static enum fit fits(struct slice in, uint32_t level, size_t *ret_need, uint32_t *ret_client)
{
	enum { TEXT_LOOK = 4096 };
	struct clickhouse_cursor c = { .in = in, .at = 1 };
	struct clickhouse_query q;

	clickhouse_read_query(&c, level, TEXT_LOOK, &q);
	*ret_client = q.client_revision;
	if (clickhouse_good(&c) && (!q.client_revision || q.client_revision < level || !q.text_length || q.text.ptr[0] < '\t' || q.text.ptr[0] >= 0x7f))
		return FITS_NOT;
	if (q.text_length == q.text.len) {
		if (has(level, CLICKHOUSE_WITH_PARAMETERS))
			pass_settings(&c, true);
		uint8_t next = clickhouse_u8(&c);
		c.bad = c.bad || (!c.need && next != CLICKHOUSE_CLIENT_DATA && next != CLICKHOUSE_SCALAR);
	}
	*ret_need = c.need;
	return c.bad ? FITS_NOT : c.need ? FITS_SO_FAR : FITS;
}

uint32_t clickhouse_guess_revision(struct slice in, uint32_t *ret_lowest, size_t *ret_need)
{
	size_t need;
	uint32_t client, above = CLICKHOUSE_REVISION_MAX + 1, found = 0;

	*ret_need = 0;
	if (in.len && in.ptr[0] != CLICKHOUSE_QUERY)
		return 0;
	for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
		enum fit f = fits(in, levels[i], &need, &client);

		if (found && f != FITS)
			break;
		if (f == FITS) {
			*ret_need = 0;
			*ret_lowest = levels[i];
			if (!found)
				found = client < above ? client : above - 1; /* the server's is below what does not fit */
		}
		if (f == FITS_SO_FAR && (!*ret_need || need < *ret_need))
			*ret_need = need;
		above = levels[i];
	}
	return found;
}

bool clickhouse_query_tells(uint32_t lowest, uint32_t highest)
{
	for (size_t i = 0; lowest && i < sizeof(levels) / sizeof(*levels); i++)
		if (levels[i] > lowest && levels[i] <= highest)
			return true;
	return false;
}

/* --- Hello --- */

void clickhouse_read_client_hello(struct clickhouse_cursor *c, struct clickhouse_hello *ret)
{
	*ret = (struct clickhouse_hello){ 0 };
	struct slice client = name(c);
	c->bad = c->bad || (clickhouse_good(c) && (!client.len || !clickhouse_is_name(client)));
	(void)clickhouse_number(c, UINT16_MAX);
	(void)clickhouse_number(c, UINT16_MAX);
	ret->revision = revision_of(c);
	ret->database = name(c);
	ret->user = name(c);
	c->bad = c->bad || !clickhouse_is_name(ret->database) || !clickhouse_is_name(ret->user);
	(void)clickhouse_string(c, CLICKHOUSE_PACKET_MAX); /* the password, or what is in its place */
}

static void pass_password_rules(struct clickhouse_cursor *c)
{
	enum { RULES_MAX = 256 };
	uint64_t n = clickhouse_number(c, RULES_MAX);

	for (uint64_t i = 0; i < 2 * n && clickhouse_good(c); i++)
		(void)name(c);
}

void clickhouse_read_server_hello(struct clickhouse_cursor *c, uint32_t client_revision, struct clickhouse_hello *ret)
{
	*ret = (struct clickhouse_hello){ 0 };
	struct slice server = name(c);
	c->bad = c->bad || (clickhouse_good(c) && (!server.len || !clickhouse_is_name(server)));
	(void)clickhouse_number(c, UINT16_MAX);
	(void)clickhouse_number(c, UINT16_MAX);
	ret->revision = revision_of(c);
	uint32_t revision = client_revision && client_revision < ret->revision ? client_revision : ret->revision;
	if (has(revision, CLICKHOUSE_WITH_REPLICAS_VERSION))
		(void)clickhouse_varint(c);
	if (has(revision, CLICKHOUSE_WITH_TIMEZONE))
		c->bad = !clickhouse_is_name(name(c)) || c->bad;
	if (has(revision, CLICKHOUSE_WITH_DISPLAY_NAME))
		c->bad = !clickhouse_is_name(name(c)) || c->bad;
	if (has(revision, CLICKHOUSE_WITH_PATCH))
		(void)clickhouse_varint(c);
	for (int i = 0; i < 2 && has(revision, CLICKHOUSE_WITH_CHUNKS); i++)
		(void)name(c);
	if (has(revision, CLICKHOUSE_WITH_PASSWORD_RULES))
		pass_password_rules(c);
	if (has(revision, CLICKHOUSE_WITH_NONCE))
		clickhouse_pass(c, 8);
	if (has(revision, CLICKHOUSE_WITH_SERVER_SETTINGS))
		pass_settings(c, true);
	if (has(revision, CLICKHOUSE_WITH_QUERY_PLAN))
		(void)clickhouse_varint(c);
	if (has(revision, CLICKHOUSE_WITH_CLUSTER_FUNCTION))
		(void)clickhouse_varint(c);
}

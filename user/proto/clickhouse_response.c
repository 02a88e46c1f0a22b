/* SPDX-License-Identifier: Apache-2.0 */
/* What a server of ClickHouse sends: any number of packets up to the end of the stream, or an exception. */
#include <stdio.h>

#include "proto/clickhouse_state.h"

/* Where an Exception stands: each has a code, a name, a message, a stack trace, and says whether the one that caused it follows. */
enum clickhouse_error { NO_ERROR, STACK_TRACE, NESTED, CAUSE };

static struct message *respond(struct clickhouse_state *s, struct parse_result *ret)
{
	struct message *m = &ret->message;

	m->kind = MESSAGE_RESPONSE;
	if (!s->begun)
		m->flags |= MESSAGE_BEGIN;
	s->begun = true;
	s->asking = s->asking && !s->tail_lost;
	return m;
}

/* `n` bytes that say nothing: the first ones of a response begin it. */
static enum parse_status pass_packet(struct clickhouse_state *s, size_t n, struct parse_result *ret)
{
	ret->consumed = n;
	if (s->begun)
		return PARSE_SKIP;
	respond(s, ret);
	return PARSE_MESSAGE;
}

static void end_response(struct clickhouse_state *s, struct parse_result *ret)
{
	struct message *m = respond(s, ret);

	m->flags |= MESSAGE_END | (s->unsure ? MESSAGE_UNSURE : 0);
	s->begun = s->busy = false;
}

/* --- rows --- */

static void add_rows(const struct clickhouse_state *s, struct message *m)
{
	bool counted = s->result && !s->rows_unknown;
	uint64_t rows = counted ? s->rows : s->told, written = s->written ? s->written : s->sent;

	if (s->inserts || s->written) {
		if (s->written || !s->sent_unknown)
			message_add_int(m, ATTR_PLUMB_ROWS_AFFECTED, written < INT64_MAX ? (int64_t)written : INT64_MAX);
	} else if (counted || (s->result && s->is_told)) {
		message_add_int(m, ATTR_DB_RESPONSE_RETURNED_ROWS, rows < INT64_MAX ? (int64_t)rows : INT64_MAX);
	}
}

static enum parse_status parse_end(struct clickhouse_state *s, const struct clickhouse_cursor *c, struct parse_result *ret)
{
	struct clickhouse_memory *y = s->memory;

	end_response(s, ret);
	if (s->asked == CLICKHOUSE_ASKED_QUERY)
		add_rows(s, &ret->message);
	if (y->wanted.len)
		y->database = y->wanted;
	y->wanted.len = 0;
	clickhouse_is_fresh(s, PROTO_TO_SERVER);
	ret->consumed = c->at;
	return PARSE_MESSAGE;
}

/* --- errors --- */

/* Behind an error a server may find that it does not want what the client has sent with its query. */
static bool is_unasked(const struct clickhouse_state *s)
{
	return !s->busy && !s->begun && s->revision && !s->way[PROTO_TO_SERVER].lost;
}

static enum parse_status parse_exception(struct clickhouse_state *s, struct clickhouse_cursor *c, struct parse_result *ret)
{
	uint32_t code = clickhouse_u32(c);
	struct slice name = clickhouse_string(c, CLICKHOUSE_TABLE_MAX);
	uint64_t length;
	struct slice text = clickhouse_text(c, CLICKHOUSE_ERROR_TEXT, &length);

	if (clickhouse_good(c) && !clickhouse_is_name(name))
		return PARSE_BAD;
	if (!clickhouse_good(c))
		return clickhouse_needs(ret, c);
	ret->consumed = c->at;
	ret->skip = length - text.len;
	bool cause = s->error == CAUSE;
	s->error = STACK_TRACE;
	if (cause)
		return PARSE_SKIP;
	s->aside = is_unasked(s);
	if (s->aside) {
		ret->message.kind = MESSAGE_ONEWAY;
		ret->message.flags = MESSAGE_BEGIN | MESSAGE_END;
		return PARSE_MESSAGE;
	}
	struct message *m = respond(s, ret);
	int n = snprintf(s->number, sizeof(s->number), "%d", (int32_t)code);
	m->flags |= MESSAGE_ERROR;
	memcpy(m->error_type, s->number, (size_t)n + 1);
	message_add_str(m, ATTR_DB_RESPONSE_STATUS_CODE, slice_make(s->number, (size_t)n));
	if (text.len)
		message_add_str(m, ATTR_RAW_STATUS_MESSAGE, text);
	return PARSE_MESSAGE;
}

static enum parse_status parse_in_exception(struct clickhouse_state *s, struct slice in, struct parse_result *ret)
{
	struct clickhouse_cursor c = { .in = in };
	uint64_t length;

	switch ((enum clickhouse_error)s->error) {
	case STACK_TRACE:
		(void)clickhouse_text(&c, 0, &length);
		if (!clickhouse_good(&c))
			return clickhouse_needs(ret, &c);
		s->error = NESTED;
		ret->skip = length;
		return clickhouse_pass_bytes(ret, c.at);
	case NESTED:
		if (in.ptr[0] > 1)
			return PARSE_BAD;
		if (in.ptr[0] == 1) {
			s->error = CAUSE;
			return clickhouse_pass_bytes(ret, 1);
		}
		s->error = NO_ERROR;
		if (s->aside)
			return clickhouse_pass_bytes(ret, 1);
		end_response(s, ret);
		s->memory->wanted.len = 0;
		ret->consumed = 1;
		return PARSE_MESSAGE;
	case CAUSE: return parse_exception(s, &c, ret);
	case NO_ERROR: break;
	}
	return PARSE_BAD;
}

/* --- data --- */

/* Logs and events were not compressed before a revision, and are by a setting since: their blocks show which. */
static bool is_compressed(const struct clickhouse_state *s, uint8_t packet, const struct clickhouse_cursor *c)
{
	if (packet != CLICKHOUSE_LOG && packet != CLICKHOUSE_PROFILE_EVENTS)
		return s->compressed;
	return s->compressed && s->revision >= CLICKHOUSE_WITH_COMPRESSED_LOGS && !clickhouse_block_info(slice_from(c->in, c->at));
}

static enum parse_status parse_data(struct clickhouse_state *s, uint8_t packet, struct clickhouse_cursor *c, struct parse_result *ret)
{
	struct clickhouse_block_head head;

	(void)clickhouse_string(c, CLICKHOUSE_NAME_MAX);
	clickhouse_block_begin(&s->memory->block[PROTO_TO_CLIENT], c, clickhouse_good(c) && is_compressed(s, packet, c), s->revision, &head);
	if (!clickhouse_good(c))
		return clickhouse_needs(ret, c);
	s->way[PROTO_TO_CLIENT].block = !head.empty || s->memory->block[PROTO_TO_CLIENT].pass;
	if (packet == CLICKHOUSE_DATA && !head.empty) {
		s->result = true;
		s->rows += head.counted ? head.rows : 0;
		s->rows_unknown = s->rows_unknown || !head.counted;
	}
	return pass_packet(s, c->at, ret);
}

/* --- other packets --- */

static enum parse_status parse_hello(struct clickhouse_state *s, struct clickhouse_cursor *c, struct parse_result *ret)
{
	struct clickhouse_hello hello;

	clickhouse_read_server_hello(c, s->client_revision, &hello);
	if (!clickhouse_good(c))
		return clickhouse_needs(ret, c);
	if (s->client_revision)
		s->revision = s->client_revision < hello.revision ? s->client_revision : hello.revision;
	s->addendum = s->revision >= CLICKHOUSE_WITH_ADDENDUM;
	end_response(s, ret);
	if (s->revision || hello.revision < CLICKHOUSE_WITH_ADDENDUM) /* else the client may go on with what is no packet */
		clickhouse_is_fresh(s, PROTO_TO_SERVER);
	ret->consumed = c->at;
	return PARSE_MESSAGE;
}

/* What the server has read and written since it said so last. */
static void read_progress(struct clickhouse_state *s, struct clickhouse_cursor *c)
{
	for (int i = 0; i < 3; i++)
		(void)clickhouse_varint(c);
	if (s->revision >= CLICKHOUSE_WITH_TOTAL_BYTES)
		(void)clickhouse_varint(c);
	uint64_t written = 0;
	if (s->revision >= CLICKHOUSE_WITH_WRITE_INFO) {
		written = clickhouse_varint(c);
		(void)clickhouse_varint(c);
	}
	if (s->revision >= CLICKHOUSE_WITH_ELAPSED)
		(void)clickhouse_varint(c);
	if (clickhouse_good(c))
		s->written = written < UINT64_MAX - s->written ? s->written + written : UINT64_MAX;
}

static void read_profile(struct clickhouse_state *s, struct clickhouse_cursor *c)
{
	uint64_t rows = clickhouse_varint(c);

	(void)clickhouse_varint(c);
	(void)clickhouse_varint(c);
	(void)clickhouse_bool(c);
	(void)clickhouse_varint(c);
	(void)clickhouse_bool(c);
	if (s->revision >= CLICKHOUSE_WITH_AGGREGATION) {
		(void)clickhouse_bool(c);
		(void)clickhouse_varint(c);
	}
	if (!clickhouse_good(c))
		return;
	s->told = rows;
	s->is_told = true;
}

static void read_tables(const struct clickhouse_state *s, struct clickhouse_cursor *c)
{
	enum { TABLES_MAX = 4096 };
	uint64_t n = clickhouse_number(c, TABLES_MAX);

	for (uint64_t i = 0; i < n && clickhouse_good(c); i++) {
		(void)clickhouse_string(c, CLICKHOUSE_NAME_MAX);
		(void)clickhouse_string(c, CLICKHOUSE_NAME_MAX);
		if (!clickhouse_bool(c))
			continue;
		(void)clickhouse_varint(c);
		if (s->revision >= CLICKHOUSE_WITH_READ_ONLY)
			(void)clickhouse_varint(c);
	}
}

/* --- a revision that is not known for certain --- */

/* What these revisions changed is told by what follows: the later ones first. */
static const uint32_t changes[] = { CLICKHOUSE_WITH_AGGREGATION, CLICKHOUSE_WITH_TOTAL_BYTES, CLICKHOUSE_WITH_ELAPSED, CLICKHOUSE_WITH_WRITE_INFO };
enum { CHANGES = sizeof(changes) / sizeof(*changes) };

static bool counts(uint8_t packet) { return packet == CLICKHOUSE_PROGRESS || packet == CLICKHOUSE_PROFILE_INFO; }

/* How surely the numbers that stand here are of this revision, by the packets in a row and the one behind them. */
static int fits(struct clickhouse_state s, uint32_t revision, struct slice in)
{
	enum { SURE = 3, MOST = 8 };
	struct clickhouse_cursor c = { .in = in };
	unsigned n = 0;

	s.revision = revision;
	for (; c.at < in.len && counts(in.ptr[c.at]); n++) {
		if (n == MOST)
			return DETECT_WEAK;
		if (clickhouse_u8(&c) == CLICKHOUSE_PROGRESS)
			read_progress(&s, &c);
		else
			read_profile(&s, &c);
		if (!clickhouse_good(&c))
			return c.bad ? DETECT_NO : n >= SURE ? DETECT_WEAK : DETECT_MORE;
	}
	struct slice rest = slice_from(in, c.at);
	if (!rest.len)
		return n >= SURE ? DETECT_WEAK : DETECT_MORE;
	if (rest.ptr[0] == CLICKHOUSE_END_OF_STREAM)
		return rest.len == 1 ? DETECT_LIKELY : DETECT_NO;
	return clickhouse_detect(rest, PROTO_TO_CLIENT);
}

/* The highest of the revisions that are possible which what follows speaks for. False: that has not come yet. */
static bool settle_revision(struct clickhouse_state *s, struct slice in)
{
	uint32_t best = s->revision;
	int score = fits(*s, best, in);

	for (size_t i = 0; i < CHANGES; i++) {
		int fit = changes[i] <= s->revision && changes[i] > s->lowest ? fits(*s, changes[i] - 1, in) : DETECT_NO;
		if (fit <= score)
			continue;
		score = fit;
		best = changes[i] - 1;
	}
	if (score < DETECT_WEAK)
		return score == DETECT_NO;
	s->revision = best;
	for (size_t i = 1; i < CHANGES && in.ptr[0] == CLICKHOUSE_PROGRESS; i++)
		if (best >= changes[i] && changes[i] > s->lowest)
			s->lowest = changes[i];
	return true;
}

/* A packet that is looked at whole, and does not end the response. False: it is none of them. */
static bool read_small(struct clickhouse_state *s, uint8_t packet, struct clickhouse_cursor *c)
{
	switch (packet) {
	case CLICKHOUSE_PROGRESS: read_progress(s, c); return true;
	case CLICKHOUSE_PROFILE_INFO: read_profile(s, c); return true;
	case CLICKHOUSE_TABLE_COLUMNS:
		(void)clickhouse_string(c, CLICKHOUSE_NAME_MAX);
		(void)clickhouse_string(c, CLICKHOUSE_PACKET_MAX);
		return true;
	case CLICKHOUSE_PART_UUIDS: clickhouse_pass(c, 16 * clickhouse_number(c, CLICKHOUSE_PACKET_MAX / 16)); return true;
	case CLICKHOUSE_TIMEZONE_UPDATE: (void)clickhouse_string(c, CLICKHOUSE_NAME_MAX); return true;
	case CLICKHOUSE_READ_TASK_REQUEST: return true;
	default: return false;
	}
}

/* Where a connection was joined, pings and their answers waited until something told what they are: which ping it was for is not known any more. */
static enum parse_status parse_early(struct clickhouse_state *s, struct parse_result *ret)
{
	s->early++;
	ret->message.kind = MESSAGE_ONEWAY;
	ret->message.flags = MESSAGE_BEGIN | MESSAGE_END;
	ret->consumed = 1;
	return PARSE_MESSAGE;
}

static enum parse_status parse_tables(struct clickhouse_state *s, struct clickhouse_cursor *c, struct parse_result *ret)
{
	read_tables(s, c);
	if (!clickhouse_good(c))
		return clickhouse_needs(ret, c);
	return parse_end(s, c, ret);
}

static enum parse_status parse_packet(struct clickhouse_state *s, struct slice in, struct parse_result *ret)
{
	struct clickhouse_cursor c = { .in = in };
	uint8_t packet = clickhouse_u8(&c);

	switch (packet) {
	case CLICKHOUSE_SERVER_HELLO: return parse_hello(s, &c, ret);
	case CLICKHOUSE_EXCEPTION: return parse_exception(s, &c, ret);
	case CLICKHOUSE_PONG:
		if (!s->busy && !s->revision && s->early < UINT8_MAX)
			return parse_early(s, ret);
		return parse_end(s, &c, ret);
	case CLICKHOUSE_END_OF_STREAM: return parse_end(s, &c, ret);
	case CLICKHOUSE_TABLES_STATUS: return parse_tables(s, &c, ret);
	case CLICKHOUSE_DATA:
	case CLICKHOUSE_TOTALS:
	case CLICKHOUSE_EXTREMES:
	case CLICKHOUSE_LOG:
	case CLICKHOUSE_PROFILE_EVENTS: return parse_data(s, packet, &c, ret);
	default: break;
	}
	if (s->lowest && counts(packet) && !settle_revision(s, in))
		return PARSE_NEED_MORE;
	if (!read_small(s, packet, &c))
		return PARSE_BAD;
	return clickhouse_good(&c) ? pass_packet(s, c.at, ret) : clickhouse_needs(ret, &c);
}

/* Without a revision only what all have is known: there is a query to wait for, which tells it. */
static bool known_by_all(const struct clickhouse_state *s, uint8_t packet)
{
	if (packet == CLICKHOUSE_PONG)
		return !s->busy || s->asked == CLICKHOUSE_ASKED_PING;
	return packet == CLICKHOUSE_SERVER_HELLO || packet == CLICKHOUSE_EXCEPTION;
}

/* The client has asked again: what was said before is over. */
static enum parse_status end_stale(struct clickhouse_state *s, struct parse_result *ret)
{
	s->stale = false;
	ret->message.kind = MESSAGE_RESPONSE;
	ret->message.flags = MESSAGE_END | MESSAGE_UNSURE;
	return PARSE_MESSAGE;
}

enum parse_status clickhouse_parse_response(struct clickhouse_state *s, struct slice in, struct parse_result *ret)
{
	struct clickhouse_way *w = &s->way[PROTO_TO_CLIENT];

	if (s->stale)
		return end_stale(s, ret);

	if (!s->revision && !s->error && !known_by_all(s, in.ptr[0]))
		w->scanning = true;
	if (w->scanning)
		return clickhouse_scan(s, PROTO_TO_CLIENT, in, ret);
	if (w->block)
		return clickhouse_walk(s, PROTO_TO_CLIENT, in, ret);
	return s->error ? parse_in_exception(s, in, ret) : parse_packet(s, in, ret);
}

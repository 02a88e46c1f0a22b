/* SPDX-License-Identifier: Apache-2.0 */
/* How packets of MySQL must look: where bytes are met of which nobody knows what they are. */
#include "proto/mysql_wire.h"

enum {
	TEXT_LOOK = 64,  /* bytes of a text that are looked at; keeps a check O(1) */
	NAME_MAX_BYTES = 256,
	VERSION_MAX = 128,
	LOGIN_MIN = 32,  /* flags, largest packet, character set, 23 bytes that are not used */
	LOGIN_FILL = 19, /* of those: MariaDB keeps flags in the last four */
	LOGIN_SEQ_MAX = 7, LOGIN_ANSWER_MAX = 1024,
	CHAIN = 8,
	PARTIAL_ENOUGH = 64,
	REST_LOOK = 4,
	ERROR_MIN = 1000, ERROR_MAX = 20000,
};

/* NO, of which too little is there, which may be by accident, which nothing else has. */
enum fit { NO, SHORT, LOOSE, STRICT };

static bool is_letter(uint8_t c)
{
	return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}

static bool printable(struct slice s) { return slice_is_text(slice_head(s, TEXT_LOOK)); }

/* --- to the server --- */

/* Begins with a word that begins a statement, or with the head of one. */
static enum fit fit_keyword(struct slice text)
{
	static const char *const words[] = {
		"alter", "analyze", "begin", "call", "change", "check", "commit", "create", "deallocate", "delete", "desc", "describe", "do", "drop", "execute",
		"explain", "flush", "grant", "handler", "insert", "kill", "load", "lock", "optimize", "prepare", "purge", "release", "rename", "replace",
		"reset", "revoke", "rollback", "savepoint", "select", "set", "show", "start", "stop", "truncate", "unlock", "update", "use", "values", "with", "xa",
	};
	size_t n = 0;

	while (n < text.len && n < 12 && is_letter(text.ptr[n]))
		n++;
	for (size_t i = 0; n && i < sizeof(words) / sizeof(*words); i++) {
		struct slice word = slice_str(words[i]);

		if (slice_ieq(slice_head(text, n), word))
			return n < text.len || n < 3 ? STRICT : LOOSE;
		if (n == text.len && n < word.len && slice_ieq(text, slice_head(word, n)))
			return SHORT;
	}
	return NO;
}

static enum fit fit_statement(const struct mysql_packet *p)
{
	size_t at = 1;

	if (p->len < 3)
		return NO;
	if (p->body.ptr[0] == MYSQL_QUERY)
		mysql_query_text(p->body, -1, &at);
	struct slice text = slice_from(p->body, at ? at : p->body.len);
	while (text.len && (text.ptr[0] == ' ' || text.ptr[0] == '\n' || text.ptr[0] == '\t' || text.ptr[0] == '\r'))
		text = slice_from(text, 1);
	if (text.len == 0)
		return at == 0 && p->body.len == p->len ? NO : SHORT;
	if (!printable(text))
		return NO;
	enum fit fit = fit_keyword(text);
	if (fit != NO)
		return fit;
	return is_letter(text.ptr[0]) || strchr("(/-#{", text.ptr[0]) ? LOOSE : NO; /* a comment in front; a word that we do not know */
}

static enum fit fit_name(const struct mysql_packet *p)
{
	return p->len > 1 && p->len <= NAME_MAX_BYTES && printable(slice_from(p->body, 1)) ? LOOSE : NO;
}

/* Statements are numbered from 1 on; 0xffffffff is MariaDB's last one. */
static bool fit_id(const struct mysql_packet *p)
{
	return p->body.len < 5 || p->body.ptr[4] < 0x10 || load_le32(p->body.ptr + 1) == 0xffffffff;
}

static enum fit fit_execute(const struct mysql_packet *p)
{
	static const uint8_t once[] = { 1, 0, 0, 0 };

	if (p->len < 10 || !fit_id(p) || (p->body.len > 5 && p->body.ptr[5] > 0x1f))
		return NO;
	struct slice times = slice_head(slice_from(p->body, 6), sizeof(once));
	if (times.len && memcmp(times.ptr, once, times.len) != 0)
		return NO;
	return times.len == sizeof(once) ? STRICT : SHORT;
}

/* Fields and wild card of a table: "table\0...". */
static enum fit fit_table(const struct mysql_packet *p)
{
	struct slice rest = slice_from(p->body, 1);
	size_t end = slice_find(slice_head(rest, NAME_MAX_BYTES), 0, 0);

	if (p->len < 3 || !printable(slice_head(rest, end)))
		return NO;
	return end == SIZE_MAX ? (p->body.len < p->len && rest.len < NAME_MAX_BYTES ? SHORT : NO) : end ? LOOSE : NO;
}

static enum fit fit_length(bool right) { return right ? LOOSE : NO; }

static enum fit fit_command(const struct mysql_packet *p)
{
	if (p->len == 0)
		return NO;
	if (p->body.len == 0)
		return SHORT;
	switch (p->body.ptr[0]) {
	case MYSQL_QUERY: case MYSQL_PREPARE: return fit_statement(p);
	case MYSQL_EXECUTE: return fit_execute(p);
	case MYSQL_INIT_DB: case MYSQL_CREATE_DB: case MYSQL_DROP_DB: return fit_name(p);
	case MYSQL_FIELD_LIST: return fit_table(p);
	case MYSQL_CHANGE_USER: return p->len < 1024 ? fit_table(p) : NO;
	case MYSQL_QUIT: case MYSQL_STATISTICS: case MYSQL_PROCESS_INFO: case MYSQL_DEBUG: case MYSQL_PING: case MYSQL_RESET_CONNECTION:
		return fit_length(p->len == 1);
	case MYSQL_REFRESH: case MYSQL_SHUTDOWN: return fit_length(p->len <= 2);
	case MYSQL_PROCESS_KILL: return fit_length(p->len == 5);
	case MYSQL_CLOSE: case MYSQL_RESET: return fit_length(p->len == 5 && fit_id(p));
	case MYSQL_FETCH: return fit_length(p->len == 9 && fit_id(p));
	case MYSQL_LONG_DATA: return fit_length(p->len >= 7 && fit_id(p));
	case MYSQL_BULK_EXECUTE: return fit_length(p->len >= 7 && fit_id(p) && (p->body.len < 7 || p->body.ptr[6] == 0));
	case MYSQL_SET_OPTION: return fit_length(p->len == 3 && (p->body.len < 3 || (p->body.ptr[1] <= 1 && p->body.ptr[2] == 0)));
	case MYSQL_BINLOG_DUMP: return fit_length(p->len >= 11 && p->len < 512);
	case MYSQL_BINLOG_DUMP_GTID: return fit_length(p->len >= 22);
	case MYSQL_REGISTER_SLAVE: return fit_length(p->len >= 18 && p->len < 512);
	default: return NO;
	}
}

/* HandshakeResponse41, or the head of it that asks for TLS. Sequence number 2: within TLS. */
static enum fit fit_login(const struct mysql_packet *p)
{
	static const uint8_t fill[LOGIN_FILL];
	struct slice zeros = slice_head(slice_from(p->body, 9), LOGIN_FILL);

	if (p->seq == 0 || p->seq > 2 || p->len < LOGIN_MIN || p->len > 0xffff)
		return NO;
	if ((p->body.len > 1 && !(p->body.ptr[1] & MYSQL_PROTOCOL_41 >> 8)) || (zeros.len && memcmp(zeros.ptr, fill, zeros.len) != 0))
		return NO;
	if (p->len == LOGIN_MIN && p->body.len > 1 && !(p->body.ptr[1] & MYSQL_SSL >> 8))
		return NO;
	return zeros.len == LOGIN_FILL ? STRICT : SHORT;
}

/* --- to the client --- */

static enum fit fit_greeting(const struct mysql_packet *p)
{
	size_t at = 1;
	struct slice version;

	if (p->len < 45 || p->len > 512 || (p->body.len && p->body.ptr[0] != 10))
		return NO;
	if (p->body.len > 1 && (p->body.ptr[1] < '0' || p->body.ptr[1] > '9') && p->body.ptr[1] != 'x') /* x: masked */
		return NO;
	if (!slice_string(slice_head(p->body, VERSION_MAX), &at, &version))
		return p->body.len < VERSION_MAX && printable(slice_from(p->body, 1)) ? SHORT : NO;
	if (!printable(version))
		return NO;
	at += 12; /* the connection's number, and what the password is hashed with */
	if (p->body.len <= at)
		return SHORT;
	return p->body.ptr[at] == 0 ? STRICT : NO;
}

static enum fit fit_error(const struct mysql_packet *p)
{
	if (p->len < 4)
		return NO;
	if (p->body.len < 3)
		return SHORT;
	uint16_t code = load_le16(p->body.ptr + 1);
	if (code < ERROR_MIN || code > ERROR_MAX)
		return NO;
	if (p->body.len < 9 && p->body.len < p->len)
		return SHORT;
	struct slice text = slice_from(p->body, 3);
	if (!printable(text))
		return NO;
	for (size_t i = 1; text.len && text.ptr[0] == '#' && i <= 5; i++)
		if (text.len <= i || !(is_letter(text.ptr[i]) || (text.ptr[i] >= '0' && text.ptr[i] <= '9')))
			return NO;
	return text.len && text.ptr[0] == '#' ? STRICT : LOOSE;
}

static enum fit fit_ok(const struct mysql_packet *p)
{
	struct mysql_ok ok;

	if (p->len > 0xffff || (p->body.ptr[0] == 0 && p->len < 7) || (p->body.ptr[0] == 0xfe && p->len < 5))
		return NO;
	if (mysql_ok(p, &ok))
		return LOOSE;
	return p->body.len < p->len && p->body.len < 24 ? SHORT : NO;
}

/* A result set: the number of columns and the first definition. */
static enum fit fit_result(const struct mysql_packet *p, struct slice behind)
{
	uint64_t n;
	bool bare;
	struct mysql_packet next;

	if (p->len > 4 || (p->body.len == p->len && !mysql_columns(p, &n, &bare)))
		return NO;
	if (p->body.len < p->len || behind.len == 0)
		return SHORT;
	if (behind.len >= MYSQL_HEAD && behind.ptr[3] != (uint8_t)(p->seq + 1))
		return NO;
	if (!mysql_packet(behind, &next) || next.body.len < 4)
		return SHORT;
	return bare ? LOOSE : mysql_is_definition(&next) ? STRICT : NO;
}

/* The first packet of a response. */
static enum fit fit_response(const struct mysql_packet *p, struct slice in)
{
	if (p->seq != 1 || p->len == 0)
		return NO;
	if (p->body.len == 0)
		return SHORT;
	switch (p->body.ptr[0]) {
	case 0xff: return fit_error(p);
	case 0x00:
	case 0xfe: return fit_ok(p);
	case 0xfb: return p->len < 4096 && printable(slice_from(p->body, 1)) ? LOOSE : NO;
	default: return fit_result(p, slice_from(in, MYSQL_HEAD + p->len));
	}
}

/* --- runs --- */

/* What the packets from the start of the input on look like. */
struct chain {
	enum fit fit;  /* the best of the whole ones; SHORT: none is whole; NO: one is none of the protocol's */
	unsigned whole;
	bool partial;  /* ends within a packet that fits */
	bool exact;    /* ends with a packet */
};

static void chain_add(struct chain *c, enum fit fit, const struct mysql_packet *p)
{
	if (fit == NO || (fit == SHORT && p->body.len == p->len)) {
		c->fit = NO;
		return;
	}
	c->partial = p->body.len < p->len;
	if (fit > c->fit)
		c->fit = fit;
	c->whole += !c->partial;
}

static struct chain commands_at(struct slice in, unsigned max)
{
	struct chain c = { .fit = SHORT };
	struct mysql_packet p;

	while (c.whole < max && !c.partial && mysql_packet(in, &p)) {
		chain_add(&c, p.seq ? NO : fit_command(&p), &p);
		if (c.fit == NO)
			return c;
		in = slice_from(in, MYSQL_HEAD + p.len);
	}
	c.exact = in.len == 0 && c.whole && !c.partial;
	return c;
}

/* A response, and packets that count on from it: only what is in order is one. */
static struct chain response_at(struct slice in, unsigned max)
{
	struct chain c = { .fit = SHORT };
	struct mysql_packet p;
	uint8_t seq = 1;

	while (c.whole < max && !c.partial && mysql_packet(in, &p)) {
		if (seq > 1 && p.seq == 1) { /* the next one */
			c.exact = true;
			return c;
		}
		enum fit fit = seq == 1 ? fit_response(&p, in) : p.seq == seq && p.len ? LOOSE : NO;
		if (fit == SHORT && seq == 1 && p.body.len == p.len && p.len) /* the column count alone */
			c.whole++;
		else
			chain_add(&c, fit, &p);
		if (c.fit == NO)
			return c;
		seq++;
		in = slice_from(in, MYSQL_HEAD + p.len);
	}
	c.exact = in.len == 0 && c.whole && !c.partial;
	return c;
}

/* Of fewer bytes than a head: whether more of them may make one. A length of 0 begins nothing, and this one is no length. */
static int detect_head(struct slice in)
{
	return in.len == 3 && in.ptr[0] == 0 && in.ptr[1] == 0 && in.ptr[2] == 0 ? DETECT_NO : DETECT_MORE;
}

static int detect_to_server(struct slice in)
{
	struct mysql_packet p;

	if (!mysql_packet(in, &p))
		return detect_head(in);
	if (p.seq) {
		enum fit fit = fit_login(&p);
		return fit == NO ? DETECT_NO : fit == STRICT ? DETECT_CERTAIN : DETECT_MORE;
	}
	struct chain c = commands_at(in, CHAIN);
	if (c.fit == NO)
		return DETECT_NO;
	if (c.fit == STRICT && (c.exact || c.partial))
		return DETECT_LIKELY;
	return c.fit >= LOOSE && (c.exact || p.body.len >= PARTIAL_ENOUGH) ? DETECT_WEAK : DETECT_MORE;
}

/* Within TLS the first bytes to the client answer its login. */
static int detect_login_answer(const struct mysql_packet *p, struct slice in)
{
	enum fit fit = SHORT;

	if (p->seq > LOGIN_SEQ_MAX || p->len == 0 || p->len > LOGIN_ANSWER_MAX)
		return DETECT_NO;
	if (p->body.len == 0)
		return DETECT_MORE;
	if (p->body.ptr[0] == 0xff)
		fit = fit_error(p);
	else if (p->body.ptr[0] == 0)
		fit = fit_ok(p);
	else if (p->body.ptr[0] != 0xfe && p->body.ptr[0] != 1)
		fit = NO;
	if (fit == NO)
		return DETECT_NO;
	return fit >= LOOSE && in.len == MYSQL_HEAD + p->len ? DETECT_WEAK : DETECT_MORE;
}

static int detect_to_client(struct slice in)
{
	struct mysql_packet p;

	if (!mysql_packet(in, &p))
		return detect_head(in);
	if (p.seq == 0 && p.body.len == 0)
		return p.len > 3 && p.len < 1024 ? DETECT_MORE : DETECT_NO;
	if (p.seq == 0) {
		bool error = p.body.len && p.body.ptr[0] == 0xff;
		enum fit fit = error ? fit_error(&p) : fit_greeting(&p);
		if (fit == NO)
			return DETECT_NO;
		if (error)
			return fit >= LOOSE && p.body.len == p.len && in.len == MYSQL_HEAD + p.len ? DETECT_WEAK : DETECT_MORE;
		return fit == STRICT ? DETECT_CERTAIN : DETECT_MORE;
	}
	if (p.seq > 1)
		return detect_login_answer(&p, in);
	struct chain c = response_at(in, CHAIN);
	if (c.fit == NO)
		return DETECT_NO;
	if (c.fit == STRICT)
		return DETECT_LIKELY;
	return c.fit == LOOSE && c.exact ? DETECT_WEAK : DETECT_MORE;
}

int mysql_detect(struct slice in, enum proto_side side)
{
	if (in.len == 0)
		return DETECT_MORE;
	return side == PROTO_TO_SERVER ? detect_to_server(in) : detect_to_client(in);
}

/* --- behind a hole --- */

/* Packets that count up, until their end ends a result set, or enough of them. */
static bool rest_at(struct slice in)
{
	struct mysql_packet p;
	unsigned n = 0;
	uint8_t seq = in.len > 3 ? in.ptr[3] : 0;

	for (; mysql_packet(in, &p) && p.len && p.len < MYSQL_PACKET_MAX && p.seq == seq && p.body.len == p.len; n++, seq++) {
		in = slice_from(in, MYSQL_HEAD + p.len);
		if (in.len == 0)
			return (p.body.ptr[0] == 0xfe && fit_ok(&p) >= LOOSE) || (p.body.ptr[0] == 0xff && fit_error(&p) == STRICT);
	}
	return n >= REST_LOOK;
}

static bool command_stands(struct slice in)
{
	struct chain c = commands_at(in, 3);

	return (c.fit == STRICT && (c.exact || c.partial || c.whole > 1)) || (c.fit == LOOSE && (c.exact || c.whole > 1));
}

static bool response_stands(struct slice in)
{
	struct mysql_packet p;
	struct chain c = response_at(in, 3);

	if (!mysql_packet(in, &p))
		return false;
	return c.fit == STRICT || (c.fit == LOOSE && (c.exact || (c.whole > 2 && p.len < PARTIAL_ENOUGH)));
}

size_t mysql_find(struct slice in, enum proto_side side, bool rows, bool *ret_rest)
{
	*ret_rest = false;
	for (size_t i = 0; i + MYSQL_HEAD < in.len; i++) {
		struct slice rest = slice_from(in, i);

		if (side == PROTO_TO_SERVER ? rest.ptr[3] == 0 && command_stands(rest) : rest.ptr[3] == 1 && response_stands(rest))
			return i;
		if (rows && rest_at(rest)) {
			*ret_rest = true;
			return i;
		}
	}
	return in.len;
}

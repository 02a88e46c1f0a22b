/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/nats_wire.h"

enum { ARGS_MAX = 5, OP_MAX = 7, WORDS = 12, DETECT_LINES = 8 };

/* What each side says, how many arguments it has, and how many of them are sizes at its end. */
static const struct op {
	const char *word;
	enum nats_op op;
	uint8_t side, least, most, sizes;
} ops[] = {
	{ "PUB", NATS_PUB, PROTO_TO_SERVER, 2, 3, 1 }, { "HPUB", NATS_HPUB, PROTO_TO_SERVER, 3, 4, 2 },
	{ "MSG", NATS_MSG, PROTO_TO_CLIENT, 3, 4, 1 }, { "HMSG", NATS_HMSG, PROTO_TO_CLIENT, 4, 5, 2 },
	{ "SUB", NATS_SUB, PROTO_TO_SERVER, 2, 3, 0 }, { "UNSUB", NATS_UNSUB, PROTO_TO_SERVER, 1, 2, 0 },
	{ "CONNECT", NATS_CONNECT, PROTO_TO_SERVER, 1, 1, 0 }, { "INFO", NATS_INFO, PROTO_TO_CLIENT, 1, 1, 0 },
	{ "+OK", NATS_OK, PROTO_TO_CLIENT, 0, 0, 0 }, { "-ERR", NATS_ERR, PROTO_TO_CLIENT, 1, 1, 0 },
	{ "PING", NATS_PING, 2, 0, 0, 0 }, { "PONG", NATS_PONG, 2, 0, 0, 0 },
};
enum { OPS = sizeof(ops) / sizeof(ops[0]) };

static bool says(const struct op *o, enum proto_side side) { return o->side == 2 || o->side == (uint8_t)side; }
static bool has_text(const struct op *o) { return o->op == NATS_INFO || o->op == NATS_CONNECT || o->op == NATS_ERR; }
static bool blank(uint8_t c) { return c == ' ' || c == '\t'; }

/* The word at the start of a line; MORE while it may become one. */
static enum nats_scan op_read(struct slice in, enum proto_side side, const struct op **ret)
{
	size_t n = 0;

	while (n < in.len && n <= OP_MAX && !blank(in.ptr[n]) && in.ptr[n] != '\r')
		n++;
	struct slice word = slice_make(in.ptr, n);
	for (const struct op *o = ops; o < ops + OPS; o++) {
		struct slice name = slice_str(o->word);
		if (!says(o, side) || n > name.len || !slice_ieq(word, slice_head(name, n)))
			continue;
		if (n == in.len)
			return NATS_SCAN_MORE;
		if (n == name.len) {
			*ret = o;
			return NATS_SCAN_OK;
		}
	}
	return NATS_SCAN_BAD;
}

static struct slice next_arg(struct slice line, size_t *at)
{
	while (*at < line.len && blank(line.ptr[*at]))
		(*at)++;
	size_t from = *at;
	while (*at < line.len && !blank(line.ptr[*at]))
		(*at)++;
	return slice_make(line.ptr + from, *at - from);
}

static bool size_read(struct slice arg, uint64_t *ret)
{
	return arg.len <= 8 && slice_u64(arg, ret) && *ret <= NATS_PAYLOAD_MAX;
}

static bool args_read(const struct op *o, struct slice line, struct nats_line *ret)
{
	struct slice arg[ARGS_MAX];
	size_t at = strlen(o->word);
	unsigned n = 0;

	for (struct slice a = next_arg(line, &at); a.len; a = next_arg(line, &at)) {
		if (n == o->most || !slice_printable(a))
			return false;
		arg[n++] = a;
	}
	if (n < o->least)
		return false;
	if (n && o->op != NATS_UNSUB)
		ret->subject = arg[0];
	ret->sized = o->sizes > 0;
	if (!ret->sized)
		return true;
	unsigned before = o->op == NATS_MSG || o->op == NATS_HMSG ? 2 : 1; /* subject, and the subscription's number */
	if (n - o->sizes > before)
		ret->reply = arg[before];
	if (!size_read(arg[n - 1], &ret->total))
		return false;
	return o->sizes == 1 || (size_read(arg[n - 2], &ret->headers) && ret->headers >= NATS_HEADERS_MIN && ret->headers <= ret->total);
}

enum nats_scan nats_line_read(struct slice in, enum proto_side side, struct nats_line *ret)
{
	const struct op *o;
	enum nats_scan scan = op_read(in, side, &o);

	*ret = (struct nats_line){ .op = NATS_UNKNOWN };
	if (scan != NATS_SCAN_OK)
		return scan;
	ret->op = o->op;
	size_t end = slice_find(slice_head(in, NATS_LINE_MAX), '\n', 0);
	if (end == SIZE_MAX && in.len < NATS_LINE_MAX)
		return NATS_SCAN_MORE;
	struct slice line = slice_head(in, end == SIZE_MAX ? NATS_LINE_MAX : end);
	ret->len = end == SIZE_MAX ? line.len : end + 1;
	ret->cut = end == SIZE_MAX;
	if (ret->cut && !has_text(o))
		return NATS_SCAN_BAD;
	if (!ret->cut) {
		if (line.len == 0 || line.ptr[line.len - 1] != '\r')
			return NATS_SCAN_BAD;
		line.len--;
	}
	if (!has_text(o))
		return args_read(o, line, ret) ? NATS_SCAN_OK : NATS_SCAN_BAD;
	size_t at = strlen(o->word);
	while (at < line.len && blank(line.ptr[at]))
		at++;
	ret->text = slice_from(line, at);
	return ret->text.len && ret->text.ptr[0] == (o->op == NATS_ERR ? '\'' : '{') ? NATS_SCAN_OK : NATS_SCAN_BAD;
}

/* Does its last argument say a number, as clients number their subscriptions? */
static bool numeric(struct slice line)
{
	struct slice last = SLICE_NONE;
	size_t at = 0;
	uint64_t number;

	for (struct slice arg = next_arg(line, &at); arg.len; arg = next_arg(line, &at))
		last = arg;
	return slice_u64(last, &number);
}

/* Behind the payload a line ends, and another one begins. */
static bool payload_fits(struct slice in, const struct nats_line *l)
{
	struct slice body = slice_from(in, l->len), end = slice_from(body, (size_t)l->total);

	if (l->headers && !slice_starts(body, slice_head(SLICE_LIT("NATS/1.0"), body.len)))
		return false;
	return slice_starts(end, slice_head(SLICE_LIT("\r\n"), end.len));
}

bool nats_begins(struct slice in, enum proto_side side)
{
	struct nats_line l;

	if (nats_line_read(in, side, &l) != NATS_SCAN_OK)
		return false;
	if (l.sized)
		return payload_fits(in, &l);
	return l.op == NATS_CONNECT || l.op == NATS_INFO || (l.op == NATS_SUB && numeric(slice_head(in, l.len - 2)));
}

static int line_detect(struct slice in, enum proto_side side, struct nats_line *ret)
{
	struct nats_line l;
	enum nats_scan scan = in.len ? nats_line_read(in, side, &l) : NATS_SCAN_MORE;

	*ret = in.len ? l : (struct nats_line){ 0 };
	if (in.len && scan == NATS_SCAN_MORE && (l.op == NATS_INFO || l.op == NATS_CONNECT)) {
		struct slice start = l.op == NATS_INFO ? SLICE_LIT("INFO {\"") : SLICE_LIT("CONNECT {\"");
		return slice_starts(in, slice_head(start, in.len)) ? in.len < start.len ? DETECT_MORE : DETECT_LIKELY : DETECT_NO;
	}
	if (scan != NATS_SCAN_OK)
		return scan == NATS_SCAN_MORE ? DETECT_MORE : DETECT_NO;
	if (l.sized)
		return payload_fits(in, &l) ? l.headers ? DETECT_CERTAIN : DETECT_LIKELY : DETECT_NO;
	switch (l.op) {
	case NATS_INFO: case NATS_CONNECT:
		return l.text.len > 1 && l.text.ptr[1] == '"' ? DETECT_CERTAIN : DETECT_WEAK;
	case NATS_SUB:
		return numeric(slice_head(in, l.len - 2)) ? DETECT_LIKELY : DETECT_WEAK;
	case NATS_UNSUB: case NATS_ERR:
		return DETECT_WEAK;
	default: /* PING, PONG and +OK are other protocols' words, too */
		return DETECT_MORE;
	}
}

int nats_detect(struct slice in, enum proto_side side)
{
	struct nats_line l;
	int score = line_detect(in, side, &l);

	for (unsigned i = 0; i < DETECT_LINES && score == DETECT_MORE && (l.op == NATS_PING || l.op == NATS_PONG || l.op == NATS_OK) && l.len; i++) {
		in = slice_from(in, l.len);
		score = line_detect(in, side, &l);
	}
	return score;
}

/* ---- headers ---- */

static struct slice trim(struct slice s)
{
	while (s.len && blank(s.ptr[0]))
		s = slice_from(s, 1);
	while (s.len && (blank(s.ptr[s.len - 1]) || s.ptr[s.len - 1] == '\r'))
		s.len--;
	return s;
}

static void header_take(struct slice name, struct slice value, struct nats_headers *h)
{
	const struct { const char *name; struct slice *value; } known[] = {
		{ "traceparent", &h->traceparent }, { "tracestate", &h->tracestate }, { "b3", &h->b3 }, { "uber-trace-id", &h->uber },
		{ "Nats-Msg-Id", &h->message_id }, { "Nats-Service-Error-Code", &h->service_error },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (slice_ieq(name, slice_str(known[i].name)))
			*known[i].value = value;
}

void nats_headers_read(struct slice in, struct nats_headers *ret)
{
	size_t at = slice_find(in, '\n', 0);
	uint64_t status;

	*ret = (struct nats_headers){ 0 };
	if (!slice_starts(in, SLICE_LIT("NATS/1.0")))
		return;
	struct slice first = slice_from(slice_head(in, at == SIZE_MAX ? in.len : at), strlen("NATS/1.0 "));
	if (slice_u64(slice_head(first, 3), &status) && status >= 100)
		ret->status = (unsigned)status;
	while (at != SIZE_MAX) {
		struct slice rest = slice_from(in, at + 1);
		size_t end = slice_find(rest, '\n', 0);
		struct slice line = slice_head(rest, end);
		size_t colon = slice_find(line, ':', 0);
		if (end != SIZE_MAX && colon != SIZE_MAX)
			header_take(slice_head(line, colon), trim(slice_from(line, colon + 1)), ret);
		at = end == SIZE_MAX ? end : at + 1 + end;
	}
}

/* ---- subjects ---- */

size_t nats_tokens_len(struct slice subject, unsigned n)
{
	size_t at = 0;

	for (;;) {
		size_t dot = slice_find(subject, '.', at);
		if (dot == SIZE_MAX)
			return subject.len;
		if (--n == 0)
			return dot;
		at = dot + 1;
	}
}

struct slice nats_token(struct slice subject, unsigned n)
{
	if (n)
		subject = slice_from(subject, nats_tokens_len(subject, n) + 1);
	return slice_head(subject, slice_find(subject, '.', 0));
}

bool nats_is_inbox(struct slice subject) { return slice_starts(subject, SLICE_LIT("_INBOX.")); }

/* JetStream's interface: words in capitals, then a stream, then consumers and subjects. */
static unsigned api_tokens(struct slice subject)
{
	static const char *const words[] = {
		"$JS", "API", "INFO", "STREAM", "CONSUMER", "CREATE", "UPDATE", "NAMES", "LIST", "DELETE", "PURGE", "SNAPSHOT", "RESTORE", "MSG", "GET", "DIRECT",
		"DURABLE", "NEXT", "LEADER", "STEPDOWN", "PEER", "REMOVE", "ACCOUNT", "META", "SERVER", "PAUSE", "UNPIN", "TEMPLATE", NULL,
	};

	for (unsigned n = 0; n < WORDS; n++) {
		struct slice token = nats_token(subject, n);
		const char *const *word = words;
		while (*word && !slice_eq(token, slice_str(*word)))
			word++;
		if (!*word && n != 1) /* a domain may stand there */
			return n + 1;
	}
	return WORDS;
}

unsigned nats_tokens_known(struct slice subject)
{
	struct slice first = nats_token(subject, 0);

	if (!first.len || (first.ptr[0] != '$' && first.ptr[0] != '_'))
		return 0;
	if (slice_eq(first, SLICE_LIT("_INBOX")) || slice_eq(first, SLICE_LIT("$SYS")))
		return 1;
	if (slice_eq(first, SLICE_LIT("$KV")) || slice_eq(first, SLICE_LIT("$O")))
		return 2;
	if (slice_eq(first, SLICE_LIT("$SRV")))
		return 3;
	return slice_eq(first, SLICE_LIT("$JS")) ? api_tokens(subject) : 0;
}

/* ---- JSON ---- */

/* Behind the string that begins at `at`, or SIZE_MAX. */
static size_t string_end(struct slice s, size_t at)
{
	for (at++; at < s.len; at++) {
		if (s.ptr[at] == '\\')
			at++;
		else if (s.ptr[at] == '"')
			return at + 1;
	}
	return SIZE_MAX;
}

static bool json_space(uint8_t c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static struct slice value_at(struct slice s, size_t at)
{
	size_t from = at;

	if (at < s.len && s.ptr[at] == '"') {
		size_t end = string_end(s, at);
		return end == SIZE_MAX ? SLICE_NONE : slice_make(s.ptr + at + 1, end - at - 2);
	}
	while (at < s.len && s.ptr[at] != ',' && s.ptr[at] != '}' && !json_space(s.ptr[at]))
		at++;
	return at < s.len ? slice_make(s.ptr + from, at - from) : SLICE_NONE;
}

struct slice nats_json(struct slice object, struct slice name)
{
	unsigned depth = 0;

	for (size_t at = 0; at < object.len;) {
		uint8_t c = object.ptr[at];
		if (c == '{' || c == '[')
			depth++;
		if ((c == '}' || c == ']') && depth)
			depth--;
		if (c != '"') {
			at++;
			continue;
		}
		size_t end = string_end(object, at);
		if (end == SIZE_MAX)
			return SLICE_NONE;
		struct slice word = slice_make(object.ptr + at + 1, end - at - 2);
		for (at = end; at < object.len && json_space(object.ptr[at]);)
			at++;
		if (depth != 1 || at == object.len || object.ptr[at] != ':')
			continue;
		for (at++; at < object.len && json_space(object.ptr[at]);)
			at++;
		if (slice_eq(word, name))
			return value_at(object, at);
		if (at < object.len && object.ptr[at] == '"' && (at = string_end(object, at)) == SIZE_MAX)
			return SLICE_NONE;
	}
	return SLICE_NONE;
}

bool nats_api_error(struct slice payload, struct slice *ret_code, struct slice *ret_number, struct slice *ret_text)
{
	struct slice type = SLICE_LIT("{\"type\":\"io.nats.jetstream.api.v1."), error = SLICE_LIT("\"error\":{\"code\":");
	size_t at = 1;

	if (slice_starts(payload, type)) {
		size_t end = string_end(payload, strlen("{\"type\":"));
		if (end == SIZE_MAX)
			return false;
		at = end + 1;
	}
	if (!slice_starts(payload, SLICE_LIT("{")) || !slice_starts(slice_from(payload, at), error))
		return false;
	struct slice object = slice_from(payload, at + strlen("\"error\":"));
	*ret_code = nats_json(object, SLICE_LIT("code"));
	*ret_number = nats_json(object, SLICE_LIT("err_code"));
	*ret_text = nats_json(object, SLICE_LIT("description"));
	return ret_number->len > 0 && ret_number->len < 8;
}

/* ---- errors ---- */

/* The name is that of the text in small letters; what belongs to one subject alone is not part of it. */
static const struct error {
	const char *text, *name, *operation;
} errors[] = {
	{ "Permissions Violation for Publish to ", "permissions_violation", "publish" },
	{ "Permissions Violation for Publish with Reply of ", "permissions_violation", "publish" },
	{ "Permissions Violation for Subscription to ", "permissions_violation", "subscribe" },
	{ "Authorization Violation", "authorization_violation", "" }, { "Authorization Timeout", "authorization_timeout", "" },
	{ "Authentication Timeout", "authentication_timeout", "" }, { "User Authentication Expired", "user_authentication_expired", "" },
	{ "User Authentication Revoked", "user_authentication_revoked", "" }, { "Account Authentication Expired", "account_authentication_expired", "" },
	{ "Unknown Protocol Operation", "unknown_protocol_operation", "" }, { "Attempted To Connect", "attempted_to_connect_to_route_port", "" },
	{ "Invalid Client Protocol", "invalid_client_protocol", "" }, { "Maximum Control Line Exceeded", "maximum_control_line_exceeded", "" },
	{ "Parser Error", "parser_error", "" }, { "Secure Connection", "secure_connection_required", "" }, { "Stale Connection", "stale_connection", "" },
	{ "Maximum Connections Exceeded", "maximum_connections_exceeded", "" }, { "Maximum Account", "maximum_account_connections_exceeded", "" },
	{ "Slow Consumer", "slow_consumer", "" }, { "Maximum Payload Violation", "maximum_payload_violation", "publish" },
	{ "Invalid Publish Subject", "invalid_publish_subject", "publish" }, { "Invalid Subject", "invalid_subject", "subscribe" },
	{ "Maximum Subscriptions Exceeded", "maximum_subscriptions_exceeded", "subscribe" },
	{ "Message Headers Not Supported", "message_headers_not_supported", "publish" },
};

const char *nats_error_name(struct slice text, struct slice *ret_known, const char **ret_operation, struct slice *ret_subject)
{
	text = slice_from(text, 1); /* its quote */
	*ret_known = SLICE_NONE;
	*ret_subject = SLICE_NONE;
	*ret_operation = "";
	for (const struct error *e = errors; e < errors + sizeof(errors) / sizeof(errors[0]); e++) {
		struct slice start = slice_str(e->text);
		if (!slice_ieq(slice_head(text, start.len), start))
			continue;
		struct slice rest = slice_from(text, start.len);
		if (rest.len && rest.ptr[0] == '"')
			*ret_subject = slice_head(slice_from(rest, 1), slice_find(slice_from(rest, 1), '"', 0));
		*ret_known = slice_head(text, start.len);
		*ret_operation = e->operation;
		return e->name;
	}
	return "_OTHER";
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS over datagrams and over streams with a two-byte length before each message (RFC 1035, RFC 7766), with EDNS extended codes
 * (RFC 6891), multicast DNS (RFC 6762), NOTIFY (RFC 1996) and UPDATE (RFC 2136).
 *
 * Requests and responses pair by transaction id. The question is reported with both, for responses whose request was not seen; a response adds its
 * code and its number of answers. A zone transfer's first message is its response; further ones of the same id are one-way messages, because
 * the end of an incremental transfer can be told only by reading every record of it.
 * Multicast messages (id 0 about the .local domain, or answers that repeat no question) belong to no exchange.
 */
#include <stdio.h>

#include "proto/proto.h"

enum {
	DNS_HEADER = 12,
	DNS_NAME_WIRE_MAX = 255, /* RFC 1035 section 2.3.4 */
	DNS_TEXT = 253,          /* the longest legal name without escapes */
	DNS_RECORDS_WALKED = 256,
	DNS_RESYNC_RECORDS = 1024, /* read in one search, and one more for every four bytes searched */
	DNS_POINTERS_MAX = 16,
	/* A message on a stream is awaited up to here; the rest of a larger one is skipped. Holds any header and question. */
	DNS_STREAM_HEAD = 4096,

	DNS_OPCODE_QUERY = 0,
	DNS_OPCODE_NOTIFY = 4,
	DNS_OPCODE_UPDATE = 5,
	DNS_TYPE_OPT = 41,
	DNS_TYPE_IXFR = 251,
	DNS_TYPE_AXFR = 252,
	DNS_SCORE_WHOLE = 90, /* every record read, and the message ends where the last one does */
};

enum transfer { TRANSFER_NONE, TRANSFER_ASKED, TRANSFER_ANSWERED };

struct dns_state {
	uint16_t transfer_id;
	uint8_t transfer; /* enum transfer */
	char text[DNS_TEXT]; /* question name, then the type if it has no mnemonic; valid until the next message */
};
_Static_assert(sizeof(struct dns_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

struct dns_header {
	uint16_t id;
	bool response;
	uint8_t opcode, rcode;
	uint16_t questions, answers, authorities, additionals;
};

struct dns_question {
	size_t end; /* offset behind it */
	uint16_t type, class;
};

enum walk { WALK_OK, WALK_CUT, WALK_BAD };

static const struct { uint16_t type; const char *name; } dns_types[] = {
	{ 1, "A" }, { 2, "NS" }, { 5, "CNAME" }, { 6, "SOA" }, { 12, "PTR" }, { 13, "HINFO" }, { 15, "MX" }, { 16, "TXT" }, { 17, "RP" },
	{ 18, "AFSDB" }, { 24, "SIG" }, { 25, "KEY" }, { 28, "AAAA" }, { 29, "LOC" }, { 33, "SRV" }, { 35, "NAPTR" }, { 37, "CERT" },
	{ 39, "DNAME" }, { 41, "OPT" }, { 43, "DS" }, { 44, "SSHFP" }, { 46, "RRSIG" }, { 47, "NSEC" }, { 48, "DNSKEY" }, { 50, "NSEC3" },
	{ 51, "NSEC3PARAM" }, { 52, "TLSA" }, { 59, "CDS" }, { 60, "CDNSKEY" }, { 61, "OPENPGPKEY" }, { 64, "SVCB" }, { 65, "HTTPS" },
	{ 99, "SPF" }, { 249, "TKEY" }, { 250, "TSIG" }, { 251, "IXFR" }, { 252, "AXFR" }, { 255, "ANY" }, { 256, "URI" }, { 257, "CAA" },
};

/* https://www.iana.org/assignments/dns-parameters, RCODEs */
static const char *const dns_rcodes[] = {
	"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE", "DSOTYPENI",
	NULL, NULL, NULL, NULL, "BADVERS", "BADKEY", "BADTIME", "BADMODE", "BADNAME", "BADALG", "BADTRUNC", "BADCOOKIE",
};

static struct dns_header header_read(const uint8_t *p)
{
	return (struct dns_header){
		.id = load_be16(p), .response = p[2] >> 7, .opcode = (p[2] >> 3) & 15, .rcode = p[3] & 15, .questions = load_be16(p + 4),
		.answers = load_be16(p + 6), .authorities = load_be16(p + 8), .additionals = load_be16(p + 10),
	};
}

/* What no sender of this protocol writes: unassigned opcodes, the reserved bit, counts that cannot fit `len` bytes. */
static bool header_plausible(const uint8_t *p, size_t len)
{
	struct dns_header h = header_read(p);
	bool opcode = h.opcode == DNS_OPCODE_QUERY || h.opcode == DNS_OPCODE_NOTIFY || h.opcode == DNS_OPCODE_UPDATE;
	/* 5 = a root name, type and class; 11 = a record without data */
	size_t least = DNS_HEADER + 5u * h.questions + 11u * ((size_t)h.answers + h.authorities + h.additionals);

	if (!opcode || (p[3] & 0x40) || least > len)
		return false;
	if (h.response)
		return h.questions <= 16 && (h.questions || h.answers || h.rcode);
	if (h.questions == 0 || h.questions > 64 || h.rcode != 0)
		return false;
	/* Only multicast queries carry known answers, only NOTIFY a record; only UPDATE, IXFR and probes have authorities. */
	return h.id == 0 || h.opcode != DNS_OPCODE_QUERY || (h.answers == 0 && h.authorities <= 1 && h.additionals <= 4);
}

static bool class_known(uint16_t class, bool update)
{
	uint16_t c = class & 0x7fff; /* the top bit is multicast's unicast-response and cache-flush */

	return c == 1 || c == 3 || c == 4 || c == 254 || c == 255 || (update && c == 0);
}

/* Steps over the name at `at`. */
static enum walk name_skip(struct slice msg, size_t at, size_t *ret_end)
{
	for (size_t total = 0; total < DNS_NAME_WIRE_MAX;) {
		if (at >= msg.len)
			return WALK_CUT;
		uint8_t n = msg.ptr[at];
		if (n >= 0xc0) {
			if (at + 2 > msg.len)
				return WALK_CUT;
			if ((load_be16(msg.ptr + at) & 0x3fff) >= at)
				return WALK_BAD;
			*ret_end = at + 2;
			return WALK_OK;
		}
		if (n > 63)
			return WALK_BAD;
		at += n + 1u;
		total += n + 1u;
		if (n == 0) {
			*ret_end = at;
			return WALK_OK;
		}
	}
	return WALK_BAD;
}

/* Writes a byte of a label, escaped as in RFC 1035 section 5.1. Returns its length, or 0 when it does not fit. */
static size_t put_byte(char *out, size_t room, uint8_t c)
{
	if (c <= ' ' || c >= 127) {
		if (room < 4)
			return 0;
		out[0] = '\\';
		out[1] = (char)('0' + c / 100);
		out[2] = (char)('0' + c / 10 % 10);
		out[3] = (char)('0' + c % 10);
		return 4;
	}
	size_t n = c == '.' || c == '\\' || c == '"' ? 2 : 1;
	if (room < n)
		return 0;
	if (n == 2)
		*out++ = '\\';
	*out = (char)ascii_lower(c);
	return n;
}

/* The name at `at`, checked by name_skip, as text; the root is ".". What does not fit is cut at a whole character. */
static size_t name_text(struct slice msg, size_t at, char *out, size_t room)
{
	size_t len = 0, limit = at;

	for (unsigned pointers = 0; at < msg.len;) {
		uint8_t n = msg.ptr[at];
		if (n >= 0xc0) {
			if (at + 2 > msg.len || ++pointers > DNS_POINTERS_MAX)
				break;
			size_t to = load_be16(msg.ptr + at) & 0x3fff;
			if (to >= limit) /* always backwards, so that it ends */
				break;
			at = limit = to;
			continue;
		}
		if (n == 0 || n > 63 || at + 1 + n > msg.len)
			break;
		if (len && len < room)
			out[len++] = '.';
		for (size_t i = 0; i < n; i++) {
			size_t put = put_byte(out + len, room - len, msg.ptr[at + 1 + i]);
			if (!put)
				return len;
			len += put;
		}
		at += n + 1u;
	}
	if (len == 0 && room)
		out[len++] = '.';
	return len;
}

static enum walk question_read(struct slice msg, size_t at, bool update, struct dns_question *ret)
{
	size_t end;
	enum walk w = name_skip(msg, at, &end);

	if (w != WALK_OK)
		return w;
	if (end + 4 > msg.len)
		return WALK_CUT;
	ret->type = load_be16(msg.ptr + end);
	ret->class = load_be16(msg.ptr + end + 2);
	ret->end = end + 4;
	return ret->type != 0 && class_known(ret->class, update) ? WALK_OK : WALK_BAD;
}

/*
 * Reads all questions and records. WALK_OK: the message ends where they do. ret_extended: upper bits of the response code, by EDNS. Each takes one from *budget;
 * what that does not reach is as good as cut off.
 */
static enum walk records_walk(struct slice msg, const struct dns_header *h, size_t *budget, uint16_t *ret_extended)
{
	size_t at = DNS_HEADER;
	size_t records = (size_t)h->answers + h->authorities + h->additionals;

	for (unsigned i = 0; i < h->questions; i++) {
		struct dns_question q;
		if (*budget == 0)
			return WALK_CUT;
		--*budget;
		enum walk w = question_read(msg, at, h->opcode == DNS_OPCODE_UPDATE, &q);
		if (w != WALK_OK)
			return w;
		at = q.end;
	}
	if (records > DNS_RECORDS_WALKED)
		return WALK_CUT;
	for (size_t i = 0; i < records; i++) {
		if (*budget == 0)
			return WALK_CUT;
		--*budget;
		enum walk w = name_skip(msg, at, &at);
		if (w != WALK_OK)
			return w;
		if (at + 10 > msg.len)
			return WALK_CUT;
		uint16_t type = load_be16(msg.ptr + at);
		if (type == DNS_TYPE_OPT)
			*ret_extended = (uint16_t)(msg.ptr[at + 4] << 4);
		else if (!class_known(load_be16(msg.ptr + at + 2), h->opcode == DNS_OPCODE_UPDATE))
			return WALK_BAD;
		at += 10u + load_be16(msg.ptr + at + 8);
		if (at > msg.len)
			return WALK_CUT;
	}
	return at == msg.len ? WALK_OK : WALK_BAD;
}

/* `msg` is the part of a message of `len` bytes that is at hand. */
static int detect_message(struct slice msg, size_t len, enum proto_side side, size_t *budget)
{
	struct dns_header h;
	uint16_t extended = 0;

	if (len < DNS_HEADER)
		return DETECT_NO;
	if (msg.len < DNS_HEADER)
		return DETECT_MORE;
	h = header_read(msg.ptr);
	if (h.response != (side == PROTO_TO_CLIENT) || !header_plausible(msg.ptr, len))
		return DETECT_NO;
	switch (records_walk(msg, &h, budget, &extended)) {
	case WALK_OK: return msg.len > DNS_HEADER ? DNS_SCORE_WHOLE : DETECT_WEAK;
	case WALK_BAD: return DETECT_NO;
	case WALK_CUT: break;
	}
	struct dns_question q;
	if (h.questions && question_read(msg, DNS_HEADER, h.opcode == DNS_OPCODE_UPDATE, &q) == WALK_OK)
		return msg.len < len || msg.len >= 512 || len - DNS_HEADER > 512 ? DETECT_LIKELY : DETECT_WEAK;
	return msg.len < len ? DETECT_MORE : DETECT_NO;
}

static int detect_stream(struct slice in, enum proto_side side, size_t *budget)
{
	if (in.len < 2)
		return DETECT_MORE;
	size_t len = load_be16(in.ptr);
	return detect_message(slice_head(slice_from(in, 2), len), len, side, budget);
}

static int dns_detect(struct slice in, enum proto_side side)
{
	size_t budget = SIZE_MAX;

	return detect_stream(in, side, &budget);
}

static int dns_detect_datagram(struct slice in, enum proto_side side)
{
	size_t budget = SIZE_MAX;
	int score = detect_message(in, in.len, side, &budget);

	return score == DETECT_MORE ? DETECT_NO : score; /* no more will come */
}

static struct slice type_text(uint16_t type, char *out, size_t room)
{
	for (size_t i = 0; i < sizeof(dns_types) / sizeof(dns_types[0]); i++)
		if (dns_types[i].type == type)
			return slice_str(dns_types[i].name);
	int n = snprintf(out, room, "TYPE%u", (unsigned)type);
	return slice_make(out, n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1);
}

static const char *rcode_name(unsigned rcode)
{
	const char *name = rcode < sizeof(dns_rcodes) / sizeof(dns_rcodes[0]) ? dns_rcodes[rcode] : NULL;

	return name ? name : "_OTHER";
}

static bool ends_local(const char *name, size_t len)
{
	return len >= 5 && memcmp(name + len - 5, "local", 5) == 0 && (len == 5 || name[len - 6] == '.');
}

/* Its text stays in `s` until the next message. Returns the name. */
static struct slice question_fill(struct dns_state *s, struct slice msg, const struct dns_question *q, struct message *m)
{
	enum { TYPE_ROOM = 10 }; /* "TYPE65535" and the end that snprintf writes */
	size_t len = name_text(msg, DNS_HEADER, s->text, sizeof(s->text));
	char *spare = len + TYPE_ROOM <= sizeof(s->text) ? s->text + len : s->text + sizeof(s->text) - TYPE_ROOM;
	struct slice type = type_text(q->type, spare, TYPE_ROOM);

	if ((const char *)type.ptr == spare && len > (size_t)(spare - s->text))
		len = (size_t)(spare - s->text); /* the longest names of unknown types lose their end */
	message_add_str(m, ATTR_DNS_QUESTION_NAME, slice_make(s->text, len));
	message_add_str(m, ATTR_DNS_QUESTION_TYPE, type);
	return slice_make(s->text, len);
}

static void request_fill(struct dns_state *s, struct slice msg, const struct dns_header *h, const struct dns_question *q, struct message *m)
{
	struct slice name = question_fill(s, msg, q, m);

	if (h->id == 0 && ends_local((const char *)name.ptr, name.len))
		m->kind = MESSAGE_ONEWAY;
	if (q->type == DNS_TYPE_AXFR || q->type == DNS_TYPE_IXFR) {
		s->transfer = TRANSFER_ASKED;
		s->transfer_id = h->id;
	} else if (s->transfer_id == h->id) {
		s->transfer = TRANSFER_NONE;
	}
}

static void response_fill(struct dns_state *s, struct slice msg, const struct dns_header *h, struct message *m)
{
	size_t budget = SIZE_MAX;
	uint16_t extended = 0;

	records_walk(msg, h, &budget, &extended); /* a cut message has lost its EDNS record: the lower bits stand */
	const char *name = rcode_name((unsigned)extended | h->rcode);
	message_add_int(m, ATTR_DNS_ANSWERS, h->answers);
	message_add_str(m, ATTR_DNS_RESPONSE_CODE, slice_str(name));
	if (extended | h->rcode) {
		m->flags |= MESSAGE_ERROR;
		memcpy(m->error_type, name, strlen(name) + 1);
	}
	if (h->id == 0 && h->questions == 0)
		m->kind = MESSAGE_ONEWAY;
	if (s->transfer != TRANSFER_NONE && s->transfer_id == h->id) {
		if (s->transfer == TRANSFER_ANSWERED)
			m->kind = MESSAGE_ONEWAY;
		s->transfer = TRANSFER_ANSWERED;
	}
}

/* Fills `m` from the part of a message of `len` bytes that is at hand. False: not a DNS message. */
static bool message_fill(struct dns_state *s, enum proto_side side, struct slice msg, size_t len, struct message *m)
{
	struct dns_question q = { 0 };
	enum walk w = WALK_CUT;

	if (msg.len < DNS_HEADER)
		return false;
	struct dns_header h = header_read(msg.ptr);
	if (h.response != (side == PROTO_TO_CLIENT) || (msg.len == len && !header_plausible(msg.ptr, len)))
		return false;
	if (h.questions)
		w = question_read(msg, DNS_HEADER, h.opcode == DNS_OPCODE_UPDATE, &q);
	if (w == WALK_BAD)
		return false;
	m->kind = h.response ? MESSAGE_RESPONSE : MESSAGE_REQUEST;
	m->flags = MESSAGE_BEGIN | MESSAGE_END;
	m->keyed = true;
	m->key = h.id;
	if (h.response)
		response_fill(s, msg, &h, m);
	if (w == WALK_OK && h.response)
		question_fill(s, msg, &q, m); /* for a response whose request was not seen; else the request's stand */
	else if (w == WALK_OK)
		request_fill(s, msg, &h, &q, m);
	return true;
}

static enum parse_status dns_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct dns_state *s = state;

	if (ret->datagram) {
		/* SIZE_MAX: its true length is unknown, a captured head is as good as the whole. */
		ret->consumed = in.len;
		return message_fill(s, side, in, SIZE_MAX, &ret->message) ? PARSE_MESSAGE : PARSE_BAD;
	}
	if (in.len < 2) {
		ret->need = 2;
		return PARSE_NEED_MORE;
	}
	size_t len = load_be16(in.ptr), head = len < DNS_STREAM_HEAD ? len : DNS_STREAM_HEAD;
	if (len < DNS_HEADER)
		return PARSE_BAD;
	if (in.len >= 2 + DNS_HEADER && !header_plausible(in.ptr + 2, len))
		return PARSE_BAD;
	if (in.len < 2 + head) {
		ret->need = 2 + head;
		return PARSE_NEED_MORE;
	}
	/* Always the same head, however many bytes are at hand: what is reported must not depend on how the stream was cut. */
	if (!message_fill(s, side, slice_make(in.ptr + 2, head), len, &ret->message))
		return PARSE_BAD;
	ret->consumed = 2 + head;
	if (head < len) {
		ret->skip = len - head;
		ret->message.flags |= MESSAGE_END_AFTER_SKIP;
	}
	return PARSE_MESSAGE;
}

static size_t dns_resync(void *state, enum proto_side side, struct slice in)
{
	struct dns_state *s = state;
	/* Bytes can be made such that a message may begin everywhere, with records to the end: all reading together must be linear in them. */
	size_t budget = DNS_RESYNC_RECORDS + in.len / 4;

	if (side == PROTO_TO_SERVER) /* the next request of that id may be another one */
		s->transfer = TRANSFER_NONE;
	for (size_t at = 0; at + 2 + DNS_HEADER <= in.len; at++)
		if (detect_stream(slice_from(in, at), side, &budget) >= DETECT_LIKELY)
			return at;
	return in.len;
}

const struct proto_ops proto_dns = {
	.name = "dns",
	.id = PLUMB_PROTO_DNS,
	.state_size = sizeof(struct dns_state),
	.detect = dns_detect,
	.detect_datagram = dns_detect_datagram,
	.parse = dns_parse,
	.resync = dns_resync,
	.resync_keep = 2 + DNS_HEADER + DNS_NAME_WIRE_MAX + 4,
	.want = { DNS_STREAM_HEAD, DNS_STREAM_HEAD },
};

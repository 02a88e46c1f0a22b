/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS handshakes: RFC 8446 (1.3), RFC 5246 (1.2) and what came before them; extensions are RFC 6066 (server name), RFC 7301 (ALPN). A handshake is one exchange, from the first byte of the
 * client's hello until both sides have shown that they have the keys: in 1.2 the server's Finished, in 1.3 the client's, which is its first encrypted record. Behind it nothing
 * is looked at. What a peer refuses it says in an alert; in 1.3 a client's is encrypted, and known by its length alone.
 *
 * Hellos are read extension by extension, and of the server's certificate, which 1.3 encrypts, until when it is valid.
 */
#include <stdio.h>

#include "model/record.h"
#include "proto/proto.h"
#include "proto/tls_names.h"
#include "proto/x509.h"

enum { CHANGE_CIPHER_SPEC = 20, ALERT = 21, HANDSHAKE = 22, APPLICATION_DATA = 23, HEARTBEAT = 24 };
enum { FATAL = 2 };
enum { CLIENT_HELLO = 1, SERVER_HELLO = 2, CERTIFICATE = 11 };
enum { SERVER_NAME = 0, NEXT_PROTOCOLS = 16, SUPPORTED_VERSIONS = 43, PRE_SHARED_KEY = 41 };
enum { VERSION_1_2 = 0x0303, VERSION_1_3 = 0x0304 };
enum {
	RECORD_HEAD = 5,
	RECORD_MAX = 16384 + 2048, /* RFC 5246, 6.2.3 */
	MESSAGE_HEAD = 4,
	MESSAGE_MAX = 1 << 17,
	HELLO_FIXED = RECORD_HEAD + MESSAGE_HEAD + 2 + 32 + 1, /* up to the length of the session's id */
	SESSION_MAX = 32,
	EXTENSION_HEAD = 4,
	EXTENSION_WANTED = 260,
	NAME_MAX_BYTES = 253,
	CERTIFICATE_WANTED = 1536,
	OFFERS_MAX = 96,
	ENCRYPTED_ALERT = 2 + 1 + 16, /* itself, its type, and what proves it */
	FLIGHT_WANTED = 4096,
};

enum phase { RECORD, MESSAGE, COMPRESSION, EXTENSIONS, BODY };

struct tls_side {
	uint8_t phase;       /* enum phase */
	uint16_t record;     /* bytes left of the record, */
	uint32_t message;    /* and of the message, whose rest may lie in later records */
	uint16_t extensions; /* and of its extensions */
	bool encrypted;      /* by ChangeCipherSpec, before 1.3 */
	bool begun;          /* its hello was seen */
};

struct tls_state {
	struct tls_side side[2];
	uint16_t version; /* that the server has chosen; 0 not yet */
	bool certified, resumed, done, lost;
	char offers[OFFERS_MAX], not_after[X509_TIME_LEN], cipher[8];
};

_Static_assert(sizeof(struct tls_state) <= CONNECTION_PARSER_BYTES, "parser state");

static void keyed(struct message *m, enum proto_side side, uint32_t flags)
{
	m->kind = side == PROTO_TO_SERVER ? MESSAGE_REQUEST : MESSAGE_RESPONSE;
	m->flags = flags;
	m->keyed = true;
	m->key = PROTO_SESSION_KEY;
}

static enum parse_status need(size_t n, struct parse_result *ret)
{
	ret->need = n;
	return PARSE_NEED_MORE;
}

/* n bytes of the record are done, and those of the message under way among them. */
static void take(struct tls_side *s, size_t n)
{
	s->record = (uint16_t)(s->record - n);
	s->message = s->message > n ? s->message - (uint32_t)n : 0;
	if (s->message == 0)
		s->phase = s->record ? MESSAGE : RECORD;
	else if (s->record == 0)
		s->phase = BODY; /* it goes on in the next record, and no more of it is read */
}

/* Of `n` bytes behind what was consumed as many as the record has. */
static void skip(struct tls_side *s, size_t n, struct parse_result *ret)
{
	n = n < s->record ? n : s->record;
	ret->skip = n;
	take(s, n);
}

static enum parse_status pass_record(struct tls_side *s, struct parse_result *ret)
{
	ret->consumed = RECORD_HEAD;
	ret->skip = s->record;
	s->record = 0;
	return PARSE_SKIP;
}

/* ---- the end ---- */

static void fail(struct message *m, const char *name)
{
	m->flags |= MESSAGE_ERROR;
	memcpy(m->error_type, name, strlen(name) + 1);
}

/* It is over for both sides; `error` says why it failed, NULL if it did not. */
static void finish(struct tls_state *st, enum proto_side side, const char *error, struct message *m)
{
	bool established = !error;

	st->done = true;
	keyed(m, side, MESSAGE_ABORT);
	if (error)
		fail(m, error);
	message_add_bool(m, ATTR_TLS_ESTABLISHED, established);
	if (established && st->version < VERSION_1_3)
		message_add_bool(m, ATTR_TLS_RESUMED, st->resumed);
}

static enum parse_status parse_alert(struct tls_state *st, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct tls_side *s = &st->side[side];

	const char *name = "encrypted_alert"; /* before both have finished none is expected */

	if (s->record == 2) {
		if (in.len < RECORD_HEAD + 2) {
			s->record = 0; /* not begun: a message may go on behind it */
			return need(RECORD_HEAD + 2, ret);
		}
		if (in.ptr[RECORD_HEAD] != FATAL)
			return pass_record(s, ret);
		name = tls_alert_name(in.ptr[RECORD_HEAD + 1]);
	}
	finish(st, side, name ? name : "_OTHER", &ret->message);
	(void)pass_record(s, ret);
	if (ret->skip == 2) { /* they were read */
		ret->consumed += ret->skip;
		ret->skip = 0;
	}
	return PARSE_MESSAGE;
}

/* ---- hellos ---- */

/* It says that the client shall ask once more (RFC 8446, 4.1.3). */
static bool asks_again(struct slice random)
{
	static const uint8_t retry[32] = { 0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
					   0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c };

	return memcmp(random.ptr, retry, sizeof(retry)) == 0;
}

static void add_cipher(struct tls_state *st, uint16_t suite, struct message *m)
{
	const char *name = tls_cipher_name(suite);

	if (!name) {
		snprintf(st->cipher, sizeof(st->cipher), "0x%04X", suite);
		name = st->cipher;
	}
	message_add_str(m, ATTR_TLS_CIPHER, slice_str(name));
}

/* A hello's last byte is done: what the server has chosen is known. */
static void hello_ends(struct tls_state *st, enum proto_side side, struct message *m)
{
	if (side == PROTO_TO_SERVER) {
		m->flags |= MESSAGE_END;
		return;
	}
	const char *name = tls_version_name(st->version);
	if (name)
		message_add_str(m, ATTR_TLS_PROTOCOL_VERSION, slice_str(name));
}

/* From the record's first byte to where a client's cipher suites begin, or a server's extensions. */
static enum parse_status parse_hello(struct tls_state *st, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct tls_side *s = &st->side[side];
	struct message *m = &ret->message;

	if (in.len < HELLO_FIXED)
		return need(HELLO_FIXED, ret);
	size_t session = in.ptr[HELLO_FIXED - 1], fixed = HELLO_FIXED + session + (side == PROTO_TO_SERVER ? 2 : 3);
	uint32_t message = MESSAGE_HEAD + (load_be32(in.ptr + RECORD_HEAD) & 0xffffff);
	if (session > SESSION_MAX || fixed > RECORD_HEAD + (size_t)s->record || fixed > RECORD_HEAD + (size_t)message || message > MESSAGE_MAX)
		return PARSE_BAD;
	if (in.len < fixed)
		return need(fixed, ret);
	ret->consumed = fixed;
	size_t suites = side == PROTO_TO_SERVER ? load_be16(in.ptr + fixed - 2) : 0;
	if (side == PROTO_TO_SERVER && (suites < 2 || suites > message - (fixed - RECORD_HEAD)))
		return PARSE_BAD;
	s->message = message;
	if (side == PROTO_TO_SERVER) {
		s->begun = true;
		s->phase = COMPRESSION;
		take(s, fixed - RECORD_HEAD);
		skip(s, suites, ret);
		keyed(m, side, MESSAGE_BEGIN);
		return PARSE_MESSAGE;
	}
	if (asks_again(slice_make(in.ptr + RECORD_HEAD + MESSAGE_HEAD + 2, 32))) {
		s->phase = BODY;
		take(s, fixed - RECORD_HEAD);
		skip(s, s->message, ret);
		return PARSE_SKIP;
	}
	s->begun = true;
	st->version = load_be16(in.ptr + RECORD_HEAD + MESSAGE_HEAD);
	keyed(m, side, MESSAGE_BEGIN);
	add_cipher(st, load_be16(in.ptr + fixed - 3), m);
	s->phase = COMPRESSION;
	take(s, fixed - RECORD_HEAD);
	if (s->phase != COMPRESSION) /* without extensions */
		hello_ends(st, side, m);
	return PARSE_MESSAGE;
}

/* Behind a client's cipher suites, or a server's compression: the length of the extensions. */
static enum parse_status parse_compression(struct tls_state *st, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct tls_side *s = &st->side[side];
	size_t methods = side == PROTO_TO_SERVER ? 1u + in.ptr[0] : 0, n = methods + 2;

	if (methods > s->record)
		return PARSE_BAD;
	if (methods == s->message) { /* a hello without extensions */
		if (in.len < methods)
			return need(methods, ret);
		keyed(&ret->message, side, 0);
		hello_ends(st, side, &ret->message);
		ret->consumed = methods;
		take(s, methods);
		return PARSE_MESSAGE;
	}
	if (n > s->message || n > s->record)
		return PARSE_BAD;
	if (in.len < n)
		return need(n, ret);
	s->extensions = load_be16(in.ptr + methods);
	if (s->extensions != s->message - n)
		return PARSE_BAD;
	s->phase = EXTENSIONS;
	take(s, n);
	ret->consumed = n;
	if (s->extensions)
		return PARSE_SKIP;
	keyed(&ret->message, side, 0);
	hello_ends(st, side, &ret->message);
	return PARSE_MESSAGE;
}

/* "list length, 0, length, name" (RFC 6066, 3) */
static void read_server_name(struct slice e, struct message *m)
{
	if (e.len < 5 || e.ptr[2] != 0)
		return;
	size_t n = load_be16(e.ptr + 3);
	if (n == 0 || n > NAME_MAX_BYTES || n > e.len - 5)
		return;
	for (size_t i = 0; i < n; i++)
		if (e.ptr[5 + i] <= ' ' || e.ptr[5 + i] > '~')
			return;
	message_add_str(m, ATTR_RAW_HOST, slice_make(e.ptr + 5, n));
}

/* Those that a client offers, with commas between them; a server chooses one. */
static void read_next_protocols(struct tls_state *st, enum proto_side side, struct slice e, struct message *m)
{
	size_t to = 0;

	for (size_t at = 2; at < e.len;) {
		size_t n = e.ptr[at++];
		if (n == 0 || n > e.len - at || to + n + 1 > OFFERS_MAX)
			break;
		for (size_t i = 0; i < n; i++)
			if (e.ptr[at + i] <= ' ' || e.ptr[at + i] > '~')
				return;
		if (to)
			st->offers[to++] = ',';
		memcpy(st->offers + to, e.ptr + at, n);
		to += n;
		at += n;
	}
	if (to)
		message_add_str(m, side == PROTO_TO_SERVER ? ATTR_TLS_CLIENT_NEXT_PROTOCOLS : ATTR_TLS_NEXT_PROTOCOL, slice_make(st->offers, to));
}

static void read_extension(struct tls_state *st, enum proto_side side, uint16_t type, struct slice e, struct message *m)
{
	if (type == SERVER_NAME && side == PROTO_TO_SERVER)
		read_server_name(e, m);
	else if (type == NEXT_PROTOCOLS)
		read_next_protocols(st, side, e, m);
	else if (type == SUPPORTED_VERSIONS && side == PROTO_TO_CLIENT && e.len == 2)
		st->version = load_be16(e.ptr);
	else if (type == PRE_SHARED_KEY && side == PROTO_TO_CLIENT)
		message_add_bool(m, ATTR_TLS_RESUMED, true);
}

static bool is_read(uint16_t type) { return type == SERVER_NAME || type == NEXT_PROTOCOLS || type == SUPPORTED_VERSIONS || type == PRE_SHARED_KEY; }

static enum parse_status parse_extension(struct tls_state *st, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct tls_side *s = &st->side[side];
	struct message *m = &ret->message;

	if (s->extensions < EXTENSION_HEAD || s->record < EXTENSION_HEAD)
		return PARSE_BAD;
	if (in.len < EXTENSION_HEAD)
		return need(EXTENSION_HEAD, ret);
	uint16_t type = load_be16(in.ptr);
	size_t len = load_be16(in.ptr + 2), wanted = is_read(type) ? len : 0;
	if (len > (size_t)s->extensions - EXTENSION_HEAD || len > (size_t)s->record - EXTENSION_HEAD)
		return PARSE_BAD;
	wanted = wanted < EXTENSION_WANTED ? wanted : EXTENSION_WANTED;
	if (in.len < EXTENSION_HEAD + wanted)
		return need(EXTENSION_HEAD + wanted, ret);
	keyed(m, side, 0);
	read_extension(st, side, type, slice_make(in.ptr + EXTENSION_HEAD, wanted), m);
	ret->consumed = EXTENSION_HEAD + wanted;
	s->extensions = (uint16_t)(s->extensions - EXTENSION_HEAD - len);
	if (s->extensions == 0)
		hello_ends(st, side, m);
	take(s, ret->consumed);
	if (len > wanted)
		skip(s, len - wanted, ret);
	if (m->flags & MESSAGE_END && ret->skip)
		m->flags |= MESSAGE_END_AFTER_SKIP;
	if (m->flags || m->nattrs)
		return PARSE_MESSAGE;
	m->keyed = false;
	return PARSE_SKIP;
}

/* ---- other messages ---- */

/* "length of all, length of the first, the first" (RFC 5246, 7.4.2). */
static enum parse_status parse_certificate(struct tls_state *st, struct slice in, struct parse_result *ret)
{
	struct tls_side *s = &st->side[PROTO_TO_CLIENT];
	size_t head = MESSAGE_HEAD + 6, wanted = s->message < CERTIFICATE_WANTED ? s->message : CERTIFICATE_WANTED;

	wanted = wanted < s->record ? wanted : s->record;
	if (in.len < wanted)
		return need(wanted, ret);
	st->certified = true;
	ret->consumed = wanted;
	keyed(&ret->message, PROTO_TO_CLIENT, 0);
	if (wanted > head && x509_not_after(slice_make(in.ptr + head, wanted - head), st->not_after))
		message_add_str(&ret->message, ATTR_TLS_SERVER_NOT_AFTER, slice_str(st->not_after));
	s->phase = BODY;
	take(s, wanted);
	if (s->message && s->record)
		skip(s, s->message, ret);
	return PARSE_MESSAGE;
}

static enum parse_status parse_message(struct tls_state *st, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct tls_side *s = &st->side[side];

	if (s->record < MESSAGE_HEAD) { /* cut in its head: nothing else is read of it */
		ret->consumed = 0;
		ret->skip = s->record;
		s->record = 0;
		s->phase = RECORD;
		return PARSE_SKIP;
	}
	if (in.len < MESSAGE_HEAD)
		return need(MESSAGE_HEAD, ret);
	s->message = (load_be32(in.ptr) & 0xffffff) + MESSAGE_HEAD;
	if (s->message > MESSAGE_MAX)
		return PARSE_BAD;
	if (in.ptr[0] == CERTIFICATE && side == PROTO_TO_CLIENT && !st->certified)
		return parse_certificate(st, in, ret);
	s->phase = BODY;
	ret->consumed = MESSAGE_HEAD;
	take(s, MESSAGE_HEAD);
	skip(s, s->message, ret);
	return PARSE_SKIP;
}

/* ---- records ---- */

static enum parse_status parse_handshake(struct tls_state *st, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct tls_side *s = &st->side[side];

	if (s->encrypted && side == PROTO_TO_CLIENT && s->begun) { /* the server's Finished */
		st->resumed = !st->certified;
		finish(st, side, NULL, &ret->message);
		(void)pass_record(s, ret);
		return PARSE_MESSAGE;
	}
	if (s->encrypted)
		return pass_record(s, ret);
	if (s->message) {
		s->phase = BODY;
		ret->consumed = RECORD_HEAD;
		skip(s, s->message, ret);
		return PARSE_SKIP;
	}
	if (in.len > RECORD_HEAD && in.ptr[RECORD_HEAD] == (side == PROTO_TO_SERVER ? CLIENT_HELLO : SERVER_HELLO) && !s->begun)
		return parse_hello(st, side, in, ret);
	if (in.len == RECORD_HEAD)
		return need(RECORD_HEAD + 1, ret);
	s->phase = MESSAGE;
	ret->consumed = RECORD_HEAD;
	return PARSE_SKIP;
}

/* In 1.3 all but hellos. The client's first one behind the server's hello is its Finished, or says why not. */
static enum parse_status parse_data(struct tls_state *st, enum proto_side side, struct parse_result *ret)
{
	struct tls_side *s = &st->side[side];

	if (side == PROTO_TO_CLIENT || !st->side[PROTO_TO_CLIENT].begun)
		return pass_record(s, ret);
	finish(st, side, s->record == ENCRYPTED_ALERT ? "encrypted_alert" : NULL, &ret->message);
	(void)pass_record(s, ret);
	return PARSE_MESSAGE;
}

static enum parse_status parse_record(struct tls_state *st, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct tls_side *s = &st->side[side];

	if (in.len < RECORD_HEAD)
		return need(RECORD_HEAD, ret);
	s->record = load_be16(in.ptr + 3);
	if (in.ptr[1] != 3 || in.ptr[2] > 4 || s->record > RECORD_MAX)
		return PARSE_BAD;
	switch (in.ptr[0]) {
	case HANDSHAKE: return s->record ? parse_handshake(st, side, in, ret) : PARSE_BAD;
	case ALERT: return s->record >= 2 ? parse_alert(st, side, in, ret) : PARSE_BAD;
	case APPLICATION_DATA: return parse_data(st, side, ret);
	case CHANGE_CIPHER_SPEC:
		/* In 1.3, and before it is known to be that, it means nothing (RFC 8446, D.4). */
		s->encrypted = st->side[PROTO_TO_CLIENT].begun && st->version != VERSION_1_3;
		return pass_record(s, ret);
	case HEARTBEAT: return pass_record(s, ret);
	default: return PARSE_BAD;
	}
}

static enum parse_status tls_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct tls_state *st = state;
	struct tls_side *s = &st->side[side];

	if (st->done) {
		ret->consumed = in.len;
		ret->skip = UINT64_MAX;
		ret->apart = true;
		return PARSE_SKIP;
	}
	if (st->lost) {
		st->done = true;
		keyed(&ret->message, side, MESSAGE_ABORT | MESSAGE_UNSURE);
		return PARSE_MESSAGE;
	}
	switch ((enum phase)s->phase) {
	case MESSAGE: return parse_message(st, side, in, ret);
	case COMPRESSION: return parse_compression(st, side, in, ret);
	case EXTENSIONS: return parse_extension(st, side, in, ret);
	case BODY:
		if (s->record) {
			skip(s, s->message, ret);
			return PARSE_SKIP;
		}
		break; /* its rest lies in the next record */
	case RECORD: break;
	}
	return parse_record(st, side, in, ret);
}

/* The kernel has the keys: its Finished, or both, went by where nobody reads records. */
static bool tls_uncovered(void *state, struct message *m)
{
	struct tls_state *st = state;

	if (st->done || !st->side[PROTO_TO_CLIENT].begun)
		return false;
	st->resumed = !st->certified;
	if (st->lost)
		keyed(m, PROTO_TO_CLIENT, MESSAGE_ABORT | MESSAGE_UNSURE);
	else
		finish(st, PROTO_TO_CLIENT, NULL, m);
	return true;
}

/* What of a handshake was lost cannot be made up for: it is over as far as we know. */
static void tls_lost(void *state, enum proto_side side)
{
	(void)side;
	((struct tls_state *)state)->lost = true;
}

static size_t tls_resync(void *state, enum proto_side side, struct slice in)
{
	(void)state;
	(void)side;
	(void)in;
	return 0; /* parse() says that it is over, and passes over the rest */
}

static bool prefix_fits(struct slice in, const uint8_t *lowest, const uint8_t *highest, size_t n)
{
	for (size_t i = 0; i < n && i < in.len; i++)
		if (in.ptr[i] < lowest[i] || in.ptr[i] > highest[i])
			return false;
	return true;
}

static int tls_detect(struct slice in, enum proto_side side)
{
	const uint8_t hello = side == PROTO_TO_SERVER ? CLIENT_HELLO : SERVER_HELLO;
	const uint8_t low[] = { HANDSHAKE, 3, 0, 0, 0, hello, 0, 0, 0, 3, 0 }, high[] = { HANDSHAKE, 3, 4, RECORD_MAX >> 8, 0xff, hello, 1, 0xff, 0xff, 3, 4 };
	const uint8_t alert_low[] = { ALERT, 3, 0, 0, 2, 1, 0 }, alert_high[] = { ALERT, 3, 4, 0, 2, 2, 0xff };

	if (side == PROTO_TO_CLIENT && prefix_fits(in, alert_low, alert_high, sizeof(alert_low)))
		return in.len < sizeof(alert_low) ? DETECT_MORE : in.len == sizeof(alert_low) && tls_alert_name(in.ptr[6]) ? DETECT_WEAK : DETECT_NO;
	if (!prefix_fits(in, low, high, sizeof(low)))
		return DETECT_NO;
	if (in.len < sizeof(low))
		return DETECT_MORE;
	size_t record = load_be16(in.ptr + 3), message = load_be32(in.ptr + 5) & 0xffffff;
	bool fits = record >= HELLO_FIXED - RECORD_HEAD && message >= HELLO_FIXED - RECORD_HEAD - MESSAGE_HEAD && message <= MESSAGE_MAX;
	/* A server may have put other messages behind its hello; a client waits. */
	return fits && (side == PROTO_TO_CLIENT || message + MESSAGE_HEAD >= record) ? DETECT_LIKELY : DETECT_NO;
}

const struct proto_ops proto_tls = {
	.name = "tls",
	.id = PLUMB_PROTO_TLS,
	.state_size = sizeof(struct tls_state),
	.detect = tls_detect,
	.parse = tls_parse,
	.resync = tls_resync,
	.lost = tls_lost,
	.uncovered = tls_uncovered,
	.want = { FLIGHT_WANTED, FLIGHT_WANTED },
};

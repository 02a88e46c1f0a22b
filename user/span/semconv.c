/* SPDX-License-Identifier: Apache-2.0 */
#include "span/semconv_put.h"

#include <sys/socket.h>

#include "span/address.h"

void semconv_pass(struct semconv *s, const enum attr_id *ids, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct attr *in = s->in[ids[i]];
		struct attr *a = in && (in->type != ATTR_TYPE_STR || in->str.len) ? next_attr(s) : NULL;
		if (a)
			*a = *in;
	}
}
struct slice semconv_join(struct semconv *s, struct slice a, struct slice b)
{
	if (!b.len)
		return a;
	if (!a.len)
		return b;
	struct text t = text_begin(s->text);
	text_add(&t, a);
	text_add_byte(&t, ' ');
	text_add(&t, b);
	return text_end(&t);
}

void semconv_error(struct semconv *s, struct slice type)
{
	if (!type.len)
		return;
	put_str(s, ATTR_ERROR_TYPE, type);
	s->span->status = SPAN_STATUS_ERROR;
	struct slice message = in_str(s, ATTR_RAW_STATUS_MESSAGE);
	if (message.len)
		s->span->status_message = s->options->show_statements ? message : redact_message(s->text, message);
}

struct slice semconv_peer(struct semconv *s)
{
	const struct exchange_ends *e = &s->x->ends;

	if (e->family == AF_UNIX) {
		struct slice path = slice_make(e->path, strnlen(e->path, sizeof(e->path)));
		put_str(s, ATTR_NETWORK_TRANSPORT, SLICE_LIT("unix"));
		put_str(s, ATTR_NETWORK_PEER_ADDRESS, path);
		return path;
	}
	struct slice text = address_text(s->text, e->family, e->remote.addr);
	put_str(s, ATTR_NETWORK_PEER_ADDRESS, text);
	if (text.len && e->remote.port)
		put_int(s, ATTR_NETWORK_PEER_PORT, e->remote.port);
	return text;
}

struct slice semconv_server_socket(struct semconv *s, struct slice peer)
{
	const struct exchange_ends *e = &s->x->ends;
	const struct endpoint *end = is_server_end(s) ? &e->local : &e->remote;
	struct slice text = e->family == AF_UNIX || !is_server_end(s) ? peer : address_text(s->text, e->family, end->addr);

	put_str(s, ATTR_SERVER_ADDRESS, text);
	if (text.len && end->port && e->family != AF_UNIX)
		put_int(s, ATTR_SERVER_PORT, end->port);
	return text;
}

static uint16_t scheme_port(struct slice scheme)
{
	return slice_ieq(scheme, SLICE_LIT("https")) ? 443 : slice_ieq(scheme, SLICE_LIT("http")) ? 80 : 0;
}

void semconv_server_named(struct semconv *s, const struct authority *a, struct slice scheme, struct slice peer)
{
	if (!a->host.len) {
		semconv_server_socket(s, peer);
		return;
	}
	/* Nobody listens on a port at the end of a Unix socket. */
	uint16_t port = a->port || s->x->ends.family == AF_UNIX ? a->port : scheme_port(scheme);
	put_str(s, ATTR_SERVER_ADDRESS, a->host);
	if (port)
		put_int(s, ATTR_SERVER_PORT, port);
}

struct slice semconv_path(struct semconv *s, struct slice path)
{
	struct text t = text_begin(s->text);
	url_add_path(&t, path);
	return text_end(&t);
}

/* What every family has: how long until the answer came, and what we did not see. */
static void put_common(struct semconv *s)
{
	const struct exchange *x = s->x;

	if (x->request.end_ns && x->response.start_ns >= x->request.end_ns)
		put_int(s, ATTR_PLUMB_TTFB_NS, (int64_t)(x->response.start_ns - x->request.end_ns));
	if (x->flags & EXCHANGE_NO_REQUEST)
		put_str(s, ATTR_PLUMB_INCOMPLETE, SLICE_LIT("request_not_seen"));
	else if (x->flags & EXCHANGE_UNFINISHED)
		put_str(s, ATTR_PLUMB_INCOMPLETE, SLICE_LIT("unanswered")); /* when plumb ended, or its input */
	else if (in_str(s, ATTR_PLUMB_INCOMPLETE).len) /* the parser knows better */
		PASS(s, ATTR_PLUMB_INCOMPLETE);
	else if (x->flags & EXCHANGE_HOLE)
		put_str(s, ATTR_PLUMB_INCOMPLETE, SLICE_LIT("bytes_lost"));
	else if (x->flags & EXCHANGE_MALFORMED)
		put_str(s, ATTR_PLUMB_INCOMPLETE, SLICE_LIT("malformed"));
	else if (x->flags & EXCHANGE_TRUNCATED)
		put_str(s, ATTR_PLUMB_INCOMPLETE, SLICE_LIT("attributes_cut"));
	if (x->request.tid)
		put_int(s, ATTR_THREAD_ID, x->request.tid);
}

/* --- TLS handshakes: attributes as in https://opentelemetry.io/docs/specs/semconv/registry/attributes/tls/; no span is defined there --- */

static void semconv_tls(struct semconv *s)
{
	struct authority a;

	s->span->name = SLICE_LIT("TLS handshake");
	PASS(s, ATTR_TLS_PROTOCOL_VERSION, ATTR_TLS_CIPHER, ATTR_TLS_ESTABLISHED, ATTR_TLS_RESUMED, ATTR_TLS_NEXT_PROTOCOL, ATTR_TLS_SERVER_NOT_AFTER, ATTR_TLS_CLIENT_NEXT_PROTOCOLS);
	semconv_error(s, exchange_error(s));
	put_str(s, ATTR_NETWORK_PROTOCOL_NAME, SLICE_LIT("tls"));
	/* The name that the client asks for, and where it has connected to. */
	url_parse_authority(in_str(s, ATTR_RAW_HOST), &a);
	struct slice peer = semconv_peer(s);
	const struct endpoint *end = is_server_end(s) ? &s->x->ends.local : &s->x->ends.remote;
	if (!a.host.len) {
		semconv_server_socket(s, peer);
		return;
	}
	put_str(s, ATTR_SERVER_ADDRESS, a.host);
	if (end->port && s->x->ends.family != AF_UNIX)
		put_int(s, ATTR_SERVER_PORT, end->port);
}

/* --- DNS: as in https://opentelemetry.io/docs/specs/semconv/dns/; no span is defined there, so its name is ours --- */

static void semconv_dns(struct semconv *s)
{
	struct slice type = in_str(s, ATTR_DNS_QUESTION_TYPE);

	/* Without the name asked for, which is unbounded. */
	s->span->name = semconv_join(s, SLICE_LIT("DNS"), type);
	PASS(s, ATTR_DNS_QUESTION_NAME, ATTR_DNS_QUESTION_TYPE, ATTR_DNS_ANSWERS, ATTR_DNS_RESPONSE_CODE);
	semconv_error(s, exchange_error(s));
	if (s->x->ends.family != AF_UNIX)
		put_str(s, ATTR_NETWORK_TRANSPORT, s->x->ends.type == SOCK_DGRAM ? SLICE_LIT("udp") : SLICE_LIT("tcp"));
	put_str(s, ATTR_NETWORK_PROTOCOL_NAME, SLICE_LIT("dns"));
	semconv_server_socket(s, semconv_peer(s));
}

/* --- Dialogues of commands and replies (SMTP, FTP): there are no conventions --- */

/* "local@domain" without whom it names: a person, mostly. */
static struct slice mailbox_redacted(struct semconv *s, struct slice mailbox)
{
	size_t at = mailbox.len;

	while (at && mailbox.ptr[at - 1] != '@')
		at--;
	if (!mailbox.len)
		return SLICE_NONE;
	struct text t = text_begin(s->text);
	text_add_byte(&t, '?');
	if (at)
		text_add(&t, slice_from(mailbox, at - 1));
	return text_end(&t);
}

static void semconv_dialog(struct semconv *s)
{
	struct slice target = in_str(s, ATTR_RAW_TARGET), smtp = in_str(s, ATTR_SMTP_COMMAND), ftp = in_str(s, ATTR_FTP_COMMAND);

	s->span->name = smtp.len ? smtp : ftp.len ? ftp : slice_str(s->protocol);
	if (ftp.len && target.len)
		put_str(s, ATTR_FILE_PATH, semconv_path(s, target));
	else
		put_str(s, ATTR_SMTP_MAILBOX, s->options->show_statements ? target : mailbox_redacted(s, target));
	PASS(s, ATTR_FTP_COMMAND, ATTR_FTP_RESPONSE_STATUS_CODE, ATTR_FTP_SECURITY_MECHANISM, ATTR_SMTP_COMMAND, ATTR_SMTP_MESSAGE_SIZE, ATTR_SMTP_RECIPIENTS, ATTR_SMTP_AUTH_MECHANISM, ATTR_SMTP_RESPONSE_STATUS_CODE, ATTR_SMTP_RESPONSE_ENHANCED_STATUS_CODE);
	if (!s->options->show_statements)
		s->in[ATTR_RAW_STATUS_MESSAGE] = NULL; /* replies name mailboxes and files without quotes */
	semconv_error(s, exchange_error(s));
	put_str(s, ATTR_NETWORK_PROTOCOL_NAME, slice_str(s->protocol));
	semconv_server_socket(s, semconv_peer(s));
}

/* --- GPU drivers: there are no conventions --- */

static void semconv_gpu(struct semconv *s)
{
	struct slice function = in_str(s, ATTR_CODE_FUNCTION_NAME);

	s->span->kind = SPAN_INTERNAL; /* it does not leave the machine */
	s->span->name = function.len ? function : slice_str(s->protocol);
	put_str(s, ATTR_GPU_API, slice_str(s->protocol));
	PASS(s, ATTR_CODE_FUNCTION_NAME, ATTR_GPU_KERNEL_NAME, ATTR_GPU_KERNEL_GRID, ATTR_GPU_KERNEL_BLOCK, ATTR_GPU_KERNEL_SHARED_MEMORY, ATTR_GPU_BYTES);
	semconv_error(s, exchange_error(s));
}

void semconv_apply(struct semconv *s)
{
	s->span->kind = is_server(s) ? SPAN_SERVER : SPAN_CLIENT;
	s->span->server_end = is_server_end(s);
	switch ((enum proto_family)s->span->family) {
	case PROTO_FAMILY_HTTP:
		if (!semconv_inside_http(s))
			semconv_http(s);
		break;
	case PROTO_FAMILY_DB: semconv_db(s); break;
	case PROTO_FAMILY_DNS: semconv_dns(s); break;
	case PROTO_FAMILY_RPC: semconv_rpc(s); break;
	case PROTO_FAMILY_MESSAGING: semconv_messaging(s); break;
	case PROTO_FAMILY_WEBSOCKET: semconv_websocket(s); break;
	case PROTO_FAMILY_TLS: semconv_tls(s); break;
	case PROTO_FAMILY_DIALOG: semconv_dialog(s); break;
	case PROTO_FAMILY_GPU: semconv_gpu(s); break;
	case PROTO_FAMILY_NONE:
		s->span->name = slice_str(s->protocol);
		semconv_error(s, exchange_error(s));
		semconv_server_socket(s, semconv_peer(s));
		break;
	}
	put_common(s);
}

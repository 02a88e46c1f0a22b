/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/otlp_transport.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "sink/otlp.pb-c.h"
#include "sink/otlp_grpc.h"

enum { CURL_8 = 0x080000, RETRY_AFTER_MAX_S = 3600, HEADER_MAX = 8192, PEM_MAX = 4 << 20 };

struct otlp_reply { /* of the call on its way */
	struct buffer body;
	int64_t retry_after_ms;  /* -1 = none */
	int64_t retry_info_ms;   /* gRPC; -1 = none */
	int grpc_status;         /* -1 = none */
	char grpc_message[OTLP_MESSAGE_LEN];
	bool protobuf;           /* content-type */
};

struct otlp_transport {
	CURLM *multi;
	CURL *easy;
	struct curl_slist *headers[2]; /* without and with gzip */
	bool grpc;
	bool busy;
	bool fresh; /* the next call must not reuse a connection */
	struct buffer body;
	struct otlp_reply reply;
	char error[CURL_ERROR_SIZE];
};

int64_t otlp_retry_after_ms(struct slice value, int64_t now_s)
{
	uint64_t seconds;
	char date[64];

	if (slice_u64(value, &seconds))
		return (int64_t)(seconds > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : seconds) * 1000;
	if (value.len == 0 || value.len >= sizeof(date))
		return -1;
	memcpy(date, value.ptr, value.len);
	date[value.len] = '\0';

	int64_t then_s = (int64_t)curl_getdate(date, NULL);
	if (then_s < 0)
		return -1;
	return then_s <= now_s ? 0 : (then_s - now_s > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : then_s - now_s) * 1000;
}

static void reply_clear(struct otlp_reply *r)
{
	buffer_clear(&r->body);
	r->retry_after_ms = r->retry_info_ms = -1;
	r->grpc_status = -1;
	r->grpc_message[0] = '\0';
	r->protobuf = false;
}

/* The part of a response beyond the maximum is read and thrown away: the status still counts. */
static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
	struct otlp_transport *t = ctx;
	size_t len = size * n, room = OTLP_RESPONSE_MAX - t->reply.body.len;

	buffer_append(&t->reply.body, data, len < room ? len : room);
	return len;
}

/* libcurl gives trailers to the same function as headers, which is where gRPC puts its status. */
static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
	struct otlp_transport *t = ctx;
	struct slice line = slice_make(data, size * n);
	size_t colon = slice_find(line, ':', 1);
	uint64_t status;

	if (slice_starts(line, SLICE_LIT("HTTP/")))
		reply_clear(&t->reply); /* after an interim response the real one begins */
	if (colon == SIZE_MAX)
		return size * n;

	struct slice name = slice_head(line, colon), value = slice_from(line, colon + 1);
	while (value.len && (value.ptr[0] == ' ' || value.ptr[0] == '\t'))
		value = slice_from(value, 1);
	while (value.len && (value.ptr[value.len - 1] == '\r' || value.ptr[value.len - 1] == '\n' || value.ptr[value.len - 1] == ' '))
		value.len--;

	if (slice_ieq(name, SLICE_LIT("retry-after")))
		t->reply.retry_after_ms = otlp_retry_after_ms(value, (int64_t)time(NULL));
	else if (slice_ieq(name, SLICE_LIT("content-type")))
		t->reply.protobuf = slice_starts(value, SLICE_LIT("application/x-protobuf"));
	else if (slice_ieq(name, SLICE_LIT("grpc-status")) && slice_u64(value, &status))
		t->reply.grpc_status = status > INT32_MAX ? GRPC_UNKNOWN : (int)status;
	else if (slice_ieq(name, SLICE_LIT("grpc-message")))
		grpc_decode_message(value, t->reply.grpc_message, sizeof(t->reply.grpc_message));
	else if (slice_ieq(name, SLICE_LIT("grpc-status-details-bin")))
		(void)grpc_retry_delay_header(value, &t->reply.retry_info_ms);
	return size * n;
}

static int header_add(struct otlp_transport *t, const char *line)
{
	for (size_t i = 0; i < 2; i++) {
		struct curl_slist *l = curl_slist_append(t->headers[i], line);
		if (!l)
			return -ENOMEM;
		t->headers[i] = l;
	}
	return 0;
}

static struct slice slice_trim(struct slice s)
{
	while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
		s = slice_from(s, 1);
	while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* One key=value; the value may be percent-encoded. A line break would begin a header of its own, so it is refused. */
static int header_add_pair(struct otlp_transport *t, struct slice pair)
{
	size_t equals = slice_find(pair, '=', 0);
	char line[HEADER_MAX];

	if (equals == SIZE_MAX)
		return -EINVAL;

	struct slice key = slice_trim(slice_head(pair, equals)), value = slice_trim(slice_from(pair, equals + 1));
	if (key.len == 0 || key.len + value.len + 4 > sizeof(line))
		return -EINVAL;
	for (size_t i = 0; i < key.len; i++)
		if (key.ptr[i] <= ' ' || key.ptr[i] >= 0x7f || key.ptr[i] == ':')
			return -EINVAL;

	int decoded_len = 0;
	char *decoded = curl_easy_unescape(t->easy, value.len ? (const char *)value.ptr : "", (int)value.len, &decoded_len);
	if (!decoded)
		return -ENOMEM;
	/* libcurl drops a header with an empty value unless it ends in a semicolon. */
	int n = decoded_len ? snprintf(line, sizeof(line), "%.*s: %.*s", (int)key.len, (const char *)key.ptr, decoded_len, decoded) :
			      snprintf(line, sizeof(line), "%.*s;", (int)key.len, (const char *)key.ptr);
	int err = n < 0 || (size_t)n >= sizeof(line) || strpbrk(line, "\r\n") || memchr(decoded, 0, (size_t)decoded_len) ? -EINVAL : 0;
	curl_free(decoded);
	return err ? err : header_add(t, line);
}

static int headers_init(struct otlp_transport *t, const struct otlp_transport_options *o)
{
	int err = header_add(t, o->grpc ? "Content-Type: application/grpc" : "Content-Type: application/x-protobuf");
	char timeout[48];

	snprintf(timeout, sizeof(timeout), "grpc-timeout: %lldm", (long long)(o->timeout_ms > 99999999 ? 99999999 : o->timeout_ms));
	if (!err)
		err = header_add(t, "Expect:");
	if (!err && o->grpc)
		err = header_add(t, "TE: trailers");
	if (!err && o->grpc)
		err = header_add(t, timeout);

	struct slice rest = slice_str(o->headers);
	while (!err && rest.len) {
		size_t comma = slice_find(rest, ',', 0);
		struct slice pair = slice_trim(slice_head(rest, comma));
		if (pair.len)
			err = header_add_pair(t, pair);
		rest = comma == SIZE_MAX ? SLICE_NONE : slice_from(rest, comma + 1);
	}
	if (err)
		return err;

	struct curl_slist *l = curl_slist_append(t->headers[1], o->grpc ? "grpc-encoding: gzip" : "Content-Encoding: gzip");
	if (!l)
		return -ENOMEM;
	t->headers[1] = l;
	return 0;
}

static bool easy_init(struct otlp_transport *t, const struct otlp_transport_options *o)
{
	CURL *c = t->easy;
	bool tls = strncmp(o->url, "https:", 6) == 0;
	/* gRPC without TLS has no way to negotiate HTTP/2; with TLS ALPN does. */
	long version = !o->grpc ? CURL_HTTP_VERSION_1_1 : tls ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
	bool ok = true;

	ok &= curl_easy_setopt(c, CURLOPT_URL, o->url) == CURLE_OK;
	ok &= curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
	ok &= curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
	ok &= curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK; /* the end does not wait for a name server */
	ok &= curl_easy_setopt(c, CURLOPT_POST, 1L) == CURLE_OK;
	ok &= curl_easy_setopt(c, CURLOPT_HTTP_VERSION, version) == CURLE_OK;
	/*
	 * libcurl 7.88 (Debian 12) begins HTTP/2 again on a connection it reuses with prior knowledge, and fails; 8.x does not.
	 */
	if (version == CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE && curl_version_info(CURLVERSION_NOW)->version_num < CURL_8)
		ok &= curl_easy_setopt(c, CURLOPT_FORBID_REUSE, 1L) == CURLE_OK;
	ok &= curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)o->timeout_ms) == CURLE_OK;
	ok &= curl_easy_setopt(c, CURLOPT_USERAGENT, "plumb/" PLUMB_VERSION) == CURLE_OK;
	ok &= curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->error) == CURLE_OK;
	ok &= curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK;
	ok &= curl_easy_setopt(c, CURLOPT_WRITEDATA, t) == CURLE_OK;
	ok &= curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK;
	ok &= curl_easy_setopt(c, CURLOPT_HEADERDATA, t) == CURLE_OK;
	return ok;
}

/* The file's contents as the option: read now, because later the sandbox and the user id may forbid it. */
static int easy_file(CURL *c, CURLoption option, const char *path)
{
	uint8_t block[4096];
	struct buffer b;
	int err = 0;

	if (!path[0])
		return 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == EINVAL ? -EIO : -errno; /* -EINVAL means the headers to our caller */
	buffer_init(&b, PEM_MAX);
	for (ssize_t n; !err && (n = read(fd, block, sizeof(block))) != 0;)
		err = n < 0 ? -EIO : buffer_append(&b, block, (size_t)n);
	close(fd);

	struct curl_blob blob = { .data = b.data, .len = b.len, .flags = CURL_BLOB_COPY };
	if (!err && (b.len == 0 || curl_easy_setopt(c, option, &blob) != CURLE_OK))
		err = -EBADMSG;
	if (b.len)
		explicit_bzero(b.data, b.len); /* it may be a key */
	buffer_done(&b);
	return err;
}

int otlp_transport_new(const struct otlp_transport_options *o, struct otlp_transport **ret_transport)
{
	struct otlp_transport *t = calloc(1, sizeof(*t));
	int err = -ENOMEM;

	if (!t)
		return -ENOMEM;
	t->grpc = o->grpc;
	buffer_init(&t->body, SIZE_MAX / 2);
	buffer_init(&t->reply.body, OTLP_RESPONSE_MAX);
	t->multi = curl_multi_init();
	t->easy = curl_easy_init();
	if (!t->multi || !t->easy || !easy_init(t, o) || curl_multi_setopt(t->multi, CURLMOPT_MAXCONNECTS, 1L) != CURLM_OK)
		goto failed;
	err = easy_file(t->easy, CURLOPT_CAINFO_BLOB, o->ca);
	if (!err)
		err = easy_file(t->easy, CURLOPT_SSLCERT_BLOB, o->client_certificate);
	if (!err)
		err = easy_file(t->easy, CURLOPT_SSLKEY_BLOB, o->client_key);
	if (!err)
		err = headers_init(t, o);
	if (err)
		goto failed;
	*ret_transport = t;
	return 0;

failed:
	otlp_transport_free(t);
	return err;
}

void otlp_transport_free(struct otlp_transport *t)
{
	if (!t)
		return;
	otlp_transport_abort(t);
	if (t->easy)
		curl_easy_cleanup(t->easy);
	if (t->multi)
		curl_multi_cleanup(t->multi);
	curl_slist_free_all(t->headers[0]);
	curl_slist_free_all(t->headers[1]);
	buffer_done(&t->body);
	buffer_done(&t->reply.body);
	free(t);
}

bool otlp_transport_busy(const struct otlp_transport *t) { return t->busy; }
void otlp_transport_wake(struct otlp_transport *t) { curl_multi_wakeup(t->multi); }

void otlp_transport_abort(struct otlp_transport *t)
{
	if (t->busy)
		curl_multi_remove_handle(t->multi, t->easy);
	t->busy = false;
}

int otlp_transport_start(struct otlp_transport *t, struct slice body, bool gzipped)
{
	if (t->busy)
		return -EBUSY;
	buffer_clear(&t->body);
	if (body.len > UINT32_MAX)
		return -EFBIG;
	if (t->grpc)
		grpc_put_prefix(&t->body, gzipped, (uint32_t)body.len);
	buffer_append_slice(&t->body, body);
	if (t->body.failed)
		return t->body.failed;
	reply_clear(&t->reply);
	t->error[0] = '\0';
	if (curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->body.len) != CURLE_OK ||
	    curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, t->body.len ? (const char *)t->body.data : "") != CURLE_OK ||
	    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers[gzipped]) != CURLE_OK ||
	    curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, (long)t->fresh) != CURLE_OK ||
	    curl_multi_add_handle(t->multi, t->easy) != CURLM_OK)
		return -ENOMEM;
	t->busy = true;
	return 0;
}

static void __attribute__((format(printf, 2, 3))) result_say(struct otlp_result *r, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	int n = vsnprintf(r->message, sizeof(r->message), format, ap);
	va_end(ap);
	if (n < 0)
		r->message[0] = '\0';
	/* It goes to terminals and into metrics, where half a UTF-8 sequence would spoil the page. */
	for (char *c = r->message; *c; c++)
		if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
			*c = '?';
}

static void result_partial(struct otlp_result *r, struct slice message)
{
	Plumb__Otlp__ExportTraceServiceResponse *m = plumb__otlp__export_trace_service_response__unpack(NULL, message.len, message.ptr);

	if (!m)
		return;
	if (m->partial_success) {
		const Plumb__Otlp__ExportTracePartialSuccess *p = m->partial_success;
		r->rejected_spans = p->rejected_spans > 0 ? (uint64_t)p->rejected_spans : 0;
		if (r->rejected_spans || p->error_message.len)
			result_say(r, "collector rejected %llu spans: %.*s", (unsigned long long)r->rejected_spans,
				   (int)(p->error_message.len < OTLP_MESSAGE_LEN ? p->error_message.len : OTLP_MESSAGE_LEN),
				   p->error_message.data ? (const char *)p->error_message.data : "");
	}
	plumb__otlp__export_trace_service_response__free_unpacked(m, NULL);
}

static void result_http(struct otlp_transport *t, long status, struct otlp_result *r)
{
	struct slice body = buffer_slice(&t->reply.body);

	r->retry_after_ms = t->reply.retry_after_ms;
	if (status >= 200 && status < 300) {
		r->outcome = OTLP_SENT;
		if (t->reply.protobuf)
			result_partial(r, body);
		return;
	}
	r->outcome = status == 408 || status == 429 || status == 502 || status == 503 || status == 504 ? OTLP_RETRY : OTLP_REJECTED;
	result_say(r, "HTTP status %ld", status);

	Plumb__Otlp__RpcStatus *s = t->reply.protobuf ? plumb__otlp__rpc_status__unpack(NULL, body.len, body.ptr) : NULL;
	if (s && s->message.len)
		result_say(r, "HTTP status %ld: %.*s", status, (int)(s->message.len < OTLP_MESSAGE_LEN ? s->message.len : OTLP_MESSAGE_LEN),
			   (const char *)s->message.data);
	if (s)
		plumb__otlp__rpc_status__free_unpacked(s, NULL);
}

static void result_grpc(struct otlp_transport *t, long http_status, struct otlp_result *r)
{
	int status = t->reply.grpc_status >= 0 ? t->reply.grpc_status : (int)grpc_from_http(http_status);
	struct slice message;

	if (status == GRPC_OK) {
		r->outcome = OTLP_SENT;
		if (grpc_message(buffer_slice(&t->reply.body), &message))
			result_partial(r, message);
		return;
	}
	r->outcome = grpc_retryable(status, t->reply.retry_info_ms >= 0) ? OTLP_RETRY : OTLP_REJECTED;
	r->retry_after_ms = t->reply.retry_info_ms >= 0 ? t->reply.retry_info_ms : t->reply.retry_after_ms;
	if (t->reply.grpc_status < 0)
		result_say(r, "HTTP status %ld without a gRPC status: is this a gRPC endpoint?", http_status);
	else
		result_say(r, "gRPC status %d: %s", status, t->reply.grpc_message);
}

/* A failure of the connection says nothing about the spans, so they are tried again. */
static void result_of(struct otlp_transport *t, CURLcode code, struct otlp_result *r)
{
	long status = 0;

	*r = (struct otlp_result){ .outcome = OTLP_RETRY, .retry_after_ms = -1 };
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	/* libcurl keeps an HTTP/2 connection whose session has failed, and would offer it for every later try. */
	t->fresh = code != CURLE_OK;
	/* A server that resets the stream after its complete trailers (RST_STREAM NO_ERROR) has answered. */
	if (code != CURLE_OK && !(t->grpc && t->reply.grpc_status >= 0))
		result_say(r, "%s", t->error[0] ? t->error : curl_easy_strerror(code));
	else if (t->grpc)
		result_grpc(t, status, r);
	else
		result_http(t, status, r);
}

bool otlp_transport_poll(struct otlp_transport *t, int timeout_ms, struct otlp_result *ret_result)
{
	int running = 0, left;
	CURLMsg *m;

	if (t->busy)
		curl_multi_perform(t->multi, &running);
	if (!t->busy || running) {
		curl_multi_poll(t->multi, NULL, 0, timeout_ms, NULL);
		if (t->busy)
			curl_multi_perform(t->multi, &running);
	}
	while ((m = curl_multi_info_read(t->multi, &left))) {
		if (m->msg != CURLMSG_DONE)
			continue;
		result_of(t, m->data.result, ret_result);
		otlp_transport_abort(t);
		return true;
	}
	return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/otlp_transport.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "sink/otlp_grpc.h"

enum { CURL_8 = 0x080000, HEADER_MAX = 8192, PEM_MAX = 4 << 20 };

struct otlp_transport {
	CURLM *multi;
	CURL *easy;
	struct curl_slist *headers[2]; /* without and with gzip */
	size_t own_headers;            /* those at the beginning of both lists; then the operator's, which may be secrets */
	bool grpc;
	bool busy;
	bool fresh; /* the next call must not reuse a connection */
	struct buffer body;
	struct otlp_response response;
	char error[CURL_ERROR_SIZE];
};

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
	struct otlp_transport *t = ctx;

	otlp_response_body(&t->response, slice_make(data, size * n));
	return size * n;
}

/* libcurl gives trailers to the same function as headers, which is where gRPC puts its status. */
static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
	struct otlp_transport *t = ctx;

	otlp_response_header(&t->response, slice_make(data, size * n), (int64_t)time(NULL));
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
	if (!err)
		err = header_add(t, line);
	explicit_bzero(line, sizeof(line));
	return err;
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

	for (const struct curl_slist *l = t->headers[0]; l; l = l->next)
		t->own_headers++;
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
		return -errno;
	buffer_init(&b, PEM_MAX);
	for (ssize_t n; !err && (n = read(fd, block, sizeof(block))) != 0;)
		err = n < 0 ? -errno : buffer_append(&b, block, (size_t)n);
	close(fd);

	struct curl_blob blob = { .data = b.data, .len = b.len, .flags = CURL_BLOB_COPY };
	if (!err && (!b.len || !memmem(b.data, b.len, "-----BEGIN ", 11)))
		err = -EBADMSG;
	if (!err && curl_easy_setopt(c, option, &blob) != CURLE_OK)
		err = -ENOMEM;
	explicit_bzero(block, sizeof(block)); /* it may be a key */
	if (b.len)
		explicit_bzero(b.data, b.len);
	buffer_done(&b);
	return err;
}

static int easy_files(struct otlp_transport *t, const struct otlp_transport_options *o, char *ret_error, size_t error_len)
{
	const struct { const char *name, *path; CURLoption option; } files[] = {
		{ "certificate", o->ca, CURLOPT_CAINFO_BLOB },
		{ "client_certificate", o->client_certificate, CURLOPT_SSLCERT_BLOB },
		{ "client_key", o->client_key, CURLOPT_SSLKEY_BLOB },
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		int err = easy_file(t->easy, files[i].option, files[i].path);
		if (err) {
			const char *why = err == -EBADMSG ? "it holds no PEM" : err == -ENOBUFS ? "it is too large" : strerrordesc_np(-err);
			snprintf(ret_error, error_len, "%s %s: %s", files[i].name, files[i].path, why ? why : "it cannot be read");
			return err;
		}
	}
	if (!o->client_certificate[0] != !o->client_key[0]) {
		snprintf(ret_error, error_len, "client_certificate and client_key: one is nothing without the other");
		return -EINVAL;
	}
	/* The authorities that are named are the only ones: libcurl would still look into the system's directory. */
	if (o->ca[0] && curl_easy_setopt(t->easy, CURLOPT_CAPATH, NULL) != CURLE_OK) {
		snprintf(ret_error, error_len, "certificate: libcurl cannot be kept from the system's authorities");
		return -ENOTSUP;
	}
	return 0;
}

int otlp_transport_new(const struct otlp_transport_options *o, struct otlp_transport **ret_transport, char *ret_error, size_t error_len)
{
	struct otlp_transport *t = calloc(1, sizeof(*t));
	int err = -ENOMEM;

	snprintf(ret_error, error_len, "out of memory");
	if (!t)
		return -ENOMEM;
	t->grpc = o->grpc;
	buffer_init(&t->body, SIZE_MAX / 2);
	otlp_response_init(&t->response);
	t->multi = curl_multi_init();
	t->easy = curl_easy_init();
	if (!t->multi || !t->easy || !easy_init(t, o) || curl_multi_setopt(t->multi, CURLMOPT_MAXCONNECTS, 1L) != CURLM_OK)
		goto failed;
	err = easy_files(t, o, ret_error, error_len);
	if (err)
		goto failed;
	err = headers_init(t, o);
	if (err == -EINVAL)
		snprintf(ret_error, error_len, "headers: want name=value,name=value");
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
	otlp_response_done(&t->response);
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
	otlp_response_clear(&t->response);
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

/* What to do about a failed call; what libcurl says is for those who know both ends. */
static const char *call_advice(const struct otlp_transport *t, CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_CONNECT: return "; does the collector run, and is this its address?";
	case CURLE_SSL_CONNECT_ERROR: return "; does it want http:// instead of https://?";
	case CURLE_PEER_FAILED_VERIFICATION: return "; name its authority with OTEL_EXPORTER_OTLP_CERTIFICATE";
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return t->grpc ? "; is this a gRPC endpoint (often port 4317)? Over TLS it wants https://" :
				 "; is this an OTLP/HTTP endpoint (often port 4318)? gRPC wants OTEL_EXPORTER_OTLP_PROTOCOL=grpc, TLS wants https://";
	default: return "";
	}
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
	if (code != CURLE_OK && !(t->grpc && t->response.grpc_status >= 0))
		otlp_result_say(r, "%s%s", t->error[0] ? t->error : curl_easy_strerror(code), call_advice(t, code));
	else
		otlp_response_result(&t->response, t->grpc, status, r);
	size_t i = 0;
	for (const struct curl_slist *l = t->headers[0]; l; l = l->next)
		if (i++ >= t->own_headers && strchr(l->data, ':'))
			otlp_result_hide(r, strchr(l->data, ':') + 2);
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

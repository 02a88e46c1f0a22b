/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/otlp_response.h"

#include <stdarg.h>
#include <stdio.h>

#include <curl/curl.h>

#include "sink/otlp.pb-c.h"
#include "sink/otlp_grpc.h"

enum { RETRY_AFTER_MAX_S = 3600 };

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

void otlp_response_init(struct otlp_response *r)
{
	buffer_init(&r->body, OTLP_RESPONSE_MAX);
	otlp_response_clear(r);
}

void otlp_response_done(struct otlp_response *r)
{
	buffer_done(&r->body);
}

void otlp_response_clear(struct otlp_response *r)
{
	buffer_clear(&r->body);
	r->retry_after_ms = r->retry_info_ms = -1;
	r->grpc_status = -1;
	r->grpc_message[0] = '\0';
	r->protobuf = false;
}

void otlp_response_body(struct otlp_response *r, struct slice piece)
{
	buffer_append_slice(&r->body, slice_head(piece, OTLP_RESPONSE_MAX - r->body.len));
}

void otlp_response_header(struct otlp_response *r, struct slice line, int64_t now_s)
{
	size_t colon = slice_find(line, ':', 1);
	uint64_t status;

	if (slice_starts(line, SLICE_LIT("HTTP/")))
		otlp_response_clear(r); /* after an interim response the real one begins */
	if (colon == SIZE_MAX)
		return;

	struct slice name = slice_head(line, colon), value = slice_from(line, colon + 1);
	while (value.len && (value.ptr[0] == ' ' || value.ptr[0] == '\t'))
		value = slice_from(value, 1);
	while (value.len && (value.ptr[value.len - 1] == '\r' || value.ptr[value.len - 1] == '\n' || value.ptr[value.len - 1] == ' '))
		value.len--;

	if (slice_ieq(name, SLICE_LIT("retry-after")))
		r->retry_after_ms = otlp_retry_after_ms(value, now_s);
	else if (slice_ieq(name, SLICE_LIT("content-type")))
		r->protobuf = slice_starts(value, SLICE_LIT("application/x-protobuf"));
	else if (slice_ieq(name, SLICE_LIT("grpc-status")) && slice_u64(value, &status))
		r->grpc_status = status > INT32_MAX ? GRPC_UNKNOWN : (int)status;
	else if (slice_ieq(name, SLICE_LIT("grpc-message")))
		grpc_decode_message(value, r->grpc_message, sizeof(r->grpc_message));
	else if (slice_ieq(name, SLICE_LIT("grpc-status-details-bin")))
		(void)grpc_retry_delay_header(value, &r->retry_info_ms);
}

void otlp_result_say(struct otlp_result *r, const char *format, ...)
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

/* Length of the longest part of `secret` that `text` begins with. */
static size_t common_part(const char *text, const char *secret)
{
	size_t longest = 0;

	for (; *secret; secret++) {
		size_t n = 0;
		while (text[n] && text[n] == secret[n])
			n++;
		if (n > longest)
			longest = n;
	}
	return longest;
}

void otlp_result_hide(struct otlp_result *r, const char *secret)
{
	static const char instead[] = "REDACTED", brief[] = "***";
	size_t len = strlen(secret), least = len < sizeof(instead) - 1 ? len : sizeof(instead) - 1;

	for (char *c = r->message; least >= sizeof(brief) - 1 && *c; c++) {
		size_t n = common_part(c, secret);
		if (n < least)
			continue;
		size_t put = n < sizeof(instead) - 1 ? sizeof(brief) - 1 : sizeof(instead) - 1;
		memcpy(c, put == sizeof(brief) - 1 ? brief : instead, put);
		memmove(c + put, c + n, strlen(c + n) + 1);
		c += put - 1;
	}
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
			otlp_result_say(r, "collector rejected %llu spans: %.*s", (unsigned long long)r->rejected_spans,
					(int)(p->error_message.len < OTLP_MESSAGE_LEN ? p->error_message.len : OTLP_MESSAGE_LEN),
					p->error_message.data ? (const char *)p->error_message.data : "");
	}
	plumb__otlp__export_trace_service_response__free_unpacked(m, NULL);
}

/* What to do about it, where the status tells. */
static const char *http_advice(long status)
{
	switch (status) {
	case 401:
	case 403: return "; set OTEL_EXPORTER_OTLP_HEADERS to the credentials that it wants";
	case 404:
	case 405: return "; is this the OTLP/HTTP endpoint? Most collectors have it on port 4318, below /v1/traces";
	case 413: return "; lower sinks.otlp.batch_spans";
	default: return "";
	}
}

static void result_http(const struct otlp_response *from, long status, struct otlp_result *r)
{
	struct slice body = buffer_slice(&from->body);

	r->retry_after_ms = from->retry_after_ms;
	if (status >= 200 && status < 300) {
		r->outcome = OTLP_SENT;
		if (from->protobuf)
			result_partial(r, body);
		return;
	}
	r->outcome = status == 408 || status == 429 || status == 502 || status == 503 || status == 504 ? OTLP_RETRY : OTLP_REJECTED;
	otlp_result_say(r, "HTTP status %ld%s", status, http_advice(status));

	Plumb__Otlp__RpcStatus *s = from->protobuf ? plumb__otlp__rpc_status__unpack(NULL, body.len, body.ptr) : NULL;
	if (s && s->message.len)
		otlp_result_say(r, "HTTP status %ld: %.*s", status, (int)(s->message.len < OTLP_MESSAGE_LEN ? s->message.len : OTLP_MESSAGE_LEN),
				(const char *)s->message.data);
	if (s)
		plumb__otlp__rpc_status__free_unpacked(s, NULL);
}

static void result_grpc(const struct otlp_response *from, long http_status, struct otlp_result *r)
{
	int status = from->grpc_status >= 0 ? from->grpc_status : (int)grpc_from_http(http_status);
	struct slice message;

	if (status == GRPC_OK) {
		r->outcome = OTLP_SENT;
		if (grpc_message(buffer_slice(&from->body), &message))
			result_partial(r, message);
		return;
	}
	r->outcome = grpc_retryable(status, from->retry_info_ms >= 0) ? OTLP_RETRY : OTLP_REJECTED;
	r->retry_after_ms = from->retry_info_ms >= 0 ? from->retry_info_ms : from->retry_after_ms;
	if (from->grpc_status < 0)
		otlp_result_say(r, "HTTP status %ld without a gRPC status: is this a gRPC endpoint?", http_status);
	else
		otlp_result_say(r, "gRPC status %d: %s", status, from->grpc_message);
}

void otlp_response_result(const struct otlp_response *r, bool grpc, long http_status, struct otlp_result *ret_result)
{
	*ret_result = (struct otlp_result){ .outcome = OTLP_RETRY, .retry_after_ms = -1 };
	if (grpc)
		result_grpc(r, http_status, ret_result);
	else
		result_http(r, http_status, ret_result);
}

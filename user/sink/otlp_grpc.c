/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/otlp_grpc.h"

#include "sink/otlp.pb-c.h"

enum { GRPC_DETAILS_MAX = 4096, GRPC_RETRY_MAX_S = 3600 };

int grpc_put_prefix(struct buffer *out, bool compressed, uint32_t len)
{
	uint8_t prefix[GRPC_PREFIX_BYTES] = { compressed, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len };

	return buffer_append(out, prefix, sizeof(prefix));
}

bool grpc_message(struct slice body, struct slice *ret_message)
{
	if (body.len < GRPC_PREFIX_BYTES || body.ptr[0] != 0)
		return false;

	uint32_t len = load_be32(body.ptr + 1);
	if (len > body.len - GRPC_PREFIX_BYTES)
		return false;
	*ret_message = slice_make(body.ptr + GRPC_PREFIX_BYTES, len);
	return true;
}

enum grpc_status grpc_from_http(long http_status)
{
	switch (http_status) {
	case 400: return GRPC_INTERNAL;
	case 401: return GRPC_UNAUTHENTICATED;
	case 403: return GRPC_PERMISSION_DENIED;
	case 404: return GRPC_UNIMPLEMENTED;
	case 429:
	case 502:
	case 503:
	case 504: return GRPC_UNAVAILABLE;
	default: return GRPC_UNKNOWN;
	}
}

bool grpc_retryable(int status, bool has_retry_info)
{
	switch (status) {
	case GRPC_CANCELLED:
	case GRPC_DEADLINE_EXCEEDED:
	case GRPC_ABORTED:
	case GRPC_OUT_OF_RANGE:
	case GRPC_UNAVAILABLE:
	case GRPC_DATA_LOSS: return true;
	case GRPC_RESOURCE_EXHAUSTED: return has_retry_info;
	default: return false;
	}
}

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void grpc_decode_message(struct slice in, char *text, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < in.len && len + 1 < size; i++) {
		uint8_t c = in.ptr[i];
		if (c == '%' && in.len - i > 2 && hex_value(in.ptr[i + 1]) >= 0 && hex_value(in.ptr[i + 2]) >= 0) {
			c = (uint8_t)(hex_value(in.ptr[i + 1]) << 4 | hex_value(in.ptr[i + 2]));
			i += 2;
		}
		text[len++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
	}
	text[len] = '\0';
}

bool grpc_retry_delay(struct slice status, int64_t *ret_ms)
{
	static const char type[] = "type.googleapis.com/google.rpc.RetryInfo";
	Plumb__Otlp__RpcStatus *s = plumb__otlp__rpc_status__unpack(NULL, status.len, status.ptr);
	bool found = false;

	for (size_t i = 0; s && i < s->n_details && !found; i++) {
		const Plumb__Otlp__RpcAny *any = s->details[i];
		if (!slice_eq(slice_make(any->type_url.data, any->type_url.len), slice_str(type)))
			continue;
		Plumb__Otlp__RpcRetryInfo *r = plumb__otlp__rpc_retry_info__unpack(NULL, any->value.len, any->value.data);
		if (!r)
			continue;
		const Plumb__Otlp__RpcDuration *d = r->retry_delay;
		if (d && d->seconds >= 0 && d->nanos >= 0 && d->nanos < 1000000000) {
			*ret_ms = (d->seconds > GRPC_RETRY_MAX_S ? GRPC_RETRY_MAX_S : d->seconds) * 1000 + d->nanos / 1000000;
			found = true;
		}
		plumb__otlp__rpc_retry_info__free_unpacked(r, NULL);
	}
	if (s)
		plumb__otlp__rpc_status__free_unpacked(s, NULL);
	return found;
}

static int base64_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

bool grpc_retry_delay_header(struct slice value, int64_t *ret_ms)
{
	uint8_t bytes[GRPC_DETAILS_MAX];
	size_t len = 0;
	uint32_t bits = 0, have = 0;

	for (size_t i = 0; i < value.len && value.ptr[i] != '='; i++) {
		int v = base64_value(value.ptr[i]);
		if (v < 0 || len == sizeof(bytes))
			return false;
		bits = (bits << 6 | (uint32_t)v) & 0xffffu;
		have += 6;
		if (have >= 8) {
			have -= 8;
			bytes[len++] = (uint8_t)(bits >> have);
		}
	}
	return grpc_retry_delay(slice_make(bytes, len), ret_ms);
}

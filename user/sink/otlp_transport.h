/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One OTLP call at a time, over HTTP (protobuf) or gRPC, by libcurl's multi interface: started, then polled, so that its thread
 * can do other things while a collector is slow. https://opentelemetry.io/docs/specs/otlp/
 */
#ifndef PLUMB_SINK_OTLP_TRANSPORT_H
#define PLUMB_SINK_OTLP_TRANSPORT_H

#include "sink/otlp_response.h"

struct otlp_transport_options { /* strings are copied */
	const char *url;     /* with the path */
	bool grpc;
	const char *headers; /* key=value,key=value; values percent-encoded as OTEL_EXPORTER_OTLP_HEADERS has them */
	const char *ca, *client_certificate, *client_key; /* PEM files, read by otlp_transport_new(); "" = the system's, none */
	int64_t timeout_ms;
};

struct otlp_transport;

/* Negative errno with a sentence in ret_error, which shows no header: -EINVAL, -ENOMEM, or why a PEM file cannot be read. Needs curl_global_init(). */
int otlp_transport_new(const struct otlp_transport_options *o, struct otlp_transport **ret_transport, char *ret_error, size_t error_len);
void otlp_transport_free(struct otlp_transport *t);
/* Begins a call; body is copied. -EBUSY while one is on its way. */
int otlp_transport_start(struct otlp_transport *t, struct slice body, bool gzipped);
bool otlp_transport_busy(const struct otlp_transport *t);
/* Waits until something happens, otlp_transport_wake() or the time out. True when the call has ended. */
bool otlp_transport_poll(struct otlp_transport *t, int timeout_ms, struct otlp_result *ret_result);
void otlp_transport_wake(struct otlp_transport *t); /* from any thread */
void otlp_transport_abort(struct otlp_transport *t);

#endif

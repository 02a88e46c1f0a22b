/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A collector in a thread: plain sockets, HTTP/1.1 or HTTP/2 with prior knowledge, scripted answers. It counts how
 * often it has kept each span by the number in its span id. Independent of the code under test: it frames by itself
 * and decodes with protobuf-c and zlib.
 */
#ifndef PLUMB_TESTS_COLLECTOR_H
#define PLUMB_TESTS_COLLECTOR_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "lib/buffer.h"
#include "sink/otlp.pb-c.h"

enum { COLLECTOR_REPLIES = 16, COLLECTOR_SPANS = 4096, COLLECTOR_DEADLINE_MS = 20000 };

struct collector_reply {
	int status;          /* HTTP; 0 = 200 */
	const char *headers; /* more header lines, each with \r\n (HTTP/1.1) */
	const uint8_t *body; /* protobuf */
	size_t body_len;
	int grpc_status;
	const char *grpc_message, *grpc_details; /* NULL = none */
	bool trailers_only;
	bool hang;           /* no answer */
	bool hang_up;        /* close without an answer */
};

struct collector {
	int listener, stop;
	uint16_t port;
	bool h2, never_answer;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct collector_reply replies[COLLECTOR_REPLIES]; /* then 200 */
	unsigned requests;   /* answered, or hung */
	unsigned bad;        /* requests that could not be decoded */
	unsigned seen[COLLECTOR_SPANS]; /* by number: how often kept */
	unsigned kept;
	char head[4096];     /* of the last request (HTTP/1.1) */
	struct buffer last;  /* its decoded body */
	bool last_gzipped;
};

static inline bool collector_read(struct collector *c, int fd, void *data, size_t len)
{
	uint8_t *p = data;

	while (len) {
		struct pollfd f[2] = { { .fd = fd, .events = POLLIN }, { .fd = c->stop, .events = POLLIN } };
		poll(f, 2, -1);
		if (f[1].revents)
			return false;
		ssize_t n = read(fd, p, len);
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static inline void collector_write(int fd, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		p += n;
		len -= (size_t)n;
	}
}

static inline bool collector_inflate(struct slice in, struct buffer *out)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)in.ptr, .avail_in = (uInt)in.len };
	uint8_t block[65536];
	int rc = Z_OK;

	if (inflateInit2(&z, 31) != Z_OK)
		return false;
	while (rc == Z_OK) {
		z.next_out = block;
		z.avail_out = sizeof(block);
		rc = inflate(&z, Z_NO_FLUSH);
		if (rc != Z_OK && rc != Z_STREAM_END)
			break;
		buffer_append(out, block, sizeof(block) - z.avail_out);
	}
	inflateEnd(&z);
	return rc == Z_STREAM_END && z.avail_in == 0;
}

static inline uint64_t collector_number(const Plumb__Otlp__Span *s)
{
	return s->span_id.len == 8 ? load_be64(s->span_id.data) : UINT64_MAX;
}

/* Decodes a request and, if the answer is yes, keeps its spans. */
static inline void collector_take(struct collector *c, struct slice body, bool gzipped, bool keep)
{
	buffer_clear(&c->last);
	c->last_gzipped = gzipped;
	if (!gzipped)
		buffer_append_slice(&c->last, body);
	else if (!collector_inflate(body, &c->last))
		c->bad++;

	Plumb__Otlp__ExportTraceServiceRequest *r = plumb__otlp__export_trace_service_request__unpack(NULL, c->last.len, c->last.data);
	if (!r) {
		c->bad++;
		return;
	}
	for (size_t i = 0; keep && i < r->n_resource_spans; i++)
		for (size_t j = 0; j < r->resource_spans[i]->n_scope_spans; j++) {
			const Plumb__Otlp__ScopeSpans *ss = r->resource_spans[i]->scope_spans[j];
			for (size_t k = 0; k < ss->n_spans; k++, c->kept++) {
				uint64_t n = collector_number(ss->spans[k]);
				if (n < COLLECTOR_SPANS)
					c->seen[n]++;
				else
					c->bad++;
			}
		}
	plumb__otlp__export_trace_service_request__free_unpacked(r, NULL);
}

static inline struct collector_reply collector_next(struct collector *c)
{
	struct collector_reply r = c->requests < COLLECTOR_REPLIES ? c->replies[c->requests] : (struct collector_reply){ 0 };

	r.hang |= c->never_answer;
	return r;
}

static inline bool collector_accepts(const struct collector_reply *r)
{
	return (r->status == 0 || r->status == 200) && r->grpc_status == 0 && !r->hang && !r->hang_up;
}

/* One request of HTTP/1.1; false ends the connection. */
static inline bool collector_h1(struct collector *c, int fd)
{
	char head[4096];
	size_t len = 0;

	do {
		if (len + 1 == sizeof(head) || !collector_read(c, fd, head + len, 1))
			return false;
		head[++len] = '\0';
	} while (len < 4 || memcmp(head + len - 4, "\r\n\r\n", 4) != 0);

	const char *cl = strcasestr(head, "\r\ncontent-length:");
	size_t body_len = cl ? strtoul(cl + 17, NULL, 10) : 0;
	uint8_t *body = malloc(body_len + 1);
	if (!collector_read(c, fd, body, body_len)) {
		free(body);
		return false;
	}

	pthread_mutex_lock(&c->lock);
	struct collector_reply r = collector_next(c);
	memcpy(c->head, head, len + 1);
	collector_take(c, slice_make(body, body_len), strcasestr(head, "\r\ncontent-encoding: gzip") != NULL, collector_accepts(&r));
	c->requests++;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	free(body);
	if (r.hang_up)
		return false;
	if (r.hang)
		return collector_read(c, fd, head, 1); /* until stopped or left */

	char answer[1024];
	int n = snprintf(answer, sizeof(answer), "HTTP/1.1 %d X\r\nContent-Type: application/x-protobuf\r\nContent-Length: %zu\r\n%s\r\n",
			 r.status ? r.status : 200, r.body_len, r.headers ? r.headers : "");
	collector_write(fd, answer, (size_t)n);
	collector_write(fd, r.body, r.body_len);
	return true;
}

static inline void collector_frame(int fd, uint8_t type, uint8_t flags, uint32_t stream, const void *data, size_t len)
{
	uint8_t h[9] = { (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len, type, flags, (uint8_t)(stream >> 24), (uint8_t)(stream >> 16),
			 (uint8_t)(stream >> 8), (uint8_t)stream };

	collector_write(fd, h, sizeof(h));
	collector_write(fd, data, len);
}

/* A header as HPACK literal without indexing, no Huffman; value below 127 bytes. */
static inline void collector_hpack(struct buffer *b, const char *name, const char *value)
{
	buffer_append_byte(b, 0);
	buffer_append_byte(b, (uint8_t)strlen(name));
	buffer_append_str(b, name);
	buffer_append_byte(b, (uint8_t)strlen(value));
	buffer_append_str(b, value);
}

static inline void collector_h2_answer(int fd, uint32_t stream, const struct collector_reply *r)
{
	struct buffer h, d;
	char status[16];

	buffer_init(&h, 4096);
	buffer_init(&d, 65536);
	snprintf(status, sizeof(status), "%d", r->grpc_status);
	if (!r->trailers_only) {
		buffer_append_byte(&h, 0x88); /* :status 200 */
		collector_hpack(&h, "content-type", "application/grpc");
		collector_frame(fd, 1, 4, stream, h.data, h.len);
		uint8_t prefix[5] = { 0, 0, 0, (uint8_t)(r->body_len >> 8), (uint8_t)r->body_len };
		buffer_append(&d, prefix, 5);
		buffer_append(&d, r->body, r->body_len);
		collector_frame(fd, 0, 0, stream, d.data, d.len);
		buffer_clear(&h);
	} else {
		buffer_append_byte(&h, 0x88);
		collector_hpack(&h, "content-type", "application/grpc");
	}
	collector_hpack(&h, "grpc-status", status);
	if (r->grpc_message)
		collector_hpack(&h, "grpc-message", r->grpc_message);
	if (r->grpc_details)
		collector_hpack(&h, "grpc-status-details-bin", r->grpc_details);
	collector_frame(fd, 1, 5, stream, h.data, h.len); /* END_HEADERS, END_STREAM */
	buffer_done(&h);
	buffer_done(&d);
}

/* A connection of HTTP/2: header blocks are not looked at, data is. */
static inline void collector_h2(struct collector *c, int fd)
{
	uint8_t h[24];
	struct buffer body;

	buffer_init(&body, 16 << 20);
	if (!collector_read(c, fd, h, 24) || memcmp(h, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24) != 0)
		goto out;
	collector_frame(fd, 4, 0, 0, NULL, 0);
	while (collector_read(c, fd, h, 9)) {
		size_t len = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
		uint32_t stream = load_be32(h + 5) & 0x7fffffffu;
		uint8_t type = h[3], flags = h[4];
		uint8_t *data = malloc(len + 1);
		bool ok = collector_read(c, fd, data, len);
		if (ok && type == 4 && !(flags & 1))
			collector_frame(fd, 4, 1, 0, NULL, 0);
		if (ok && type == 0) {
			uint8_t more[4] = { 0, (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len };
			buffer_append(&body, data, len);
			if (len && !(flags & 1))
				collector_frame(fd, 8, 0, stream, more, 4);
			if (len)
				collector_frame(fd, 8, 0, 0, more, 4);
		}
		free(data);
		if (!ok)
			break;
		if (type != 0 || !(flags & 1))
			continue;

		pthread_mutex_lock(&c->lock);
		struct collector_reply r = collector_next(c);
		if (body.len < 5 || load_be32(body.data + 1) != body.len - 5)
			c->bad++;
		else
			collector_take(c, slice_make(body.data + 5, body.len - 5), body.data[0] == 1, collector_accepts(&r));
		c->requests++;
		pthread_cond_broadcast(&c->changed);
		pthread_mutex_unlock(&c->lock);
		buffer_clear(&body);
		if (r.hang_up)
			break;
		if (!r.hang)
			collector_h2_answer(fd, stream, &r);
	}
out:
	buffer_done(&body);
}

static inline void *collector_main(void *arg)
{
	struct collector *c = arg;

	for (;;) {
		struct pollfd f[2] = { { .fd = c->listener, .events = POLLIN }, { .fd = c->stop, .events = POLLIN } };
		poll(f, 2, -1);
		if (f[1].revents)
			return NULL;
		int fd = accept(c->listener, NULL, NULL);
		if (fd < 0)
			continue;
		if (c->h2)
			collector_h2(c, fd);
		else
			while (collector_h1(c, fd))
				;
		close(fd);
	}
}

/* port 0 = any; c->replies may have been filled before. */
static inline void collector_start(struct collector *c, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int on = 1;
	pthread_condattr_t attr;

	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->changed, &attr);
	buffer_init(&c->last, 16 << 20);
	c->stop = eventfd(0, EFD_CLOEXEC);
	c->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(c->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(c->listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(c->listener, 8), 0);
	getsockname(c->listener, (struct sockaddr *)&a, &len);
	c->port = ntohs(a.sin_port);
	assert_int_equal(pthread_create(&c->thread, NULL, collector_main, c), 0);
}

static inline void collector_stop(struct collector *c)
{
	uint64_t one = 1;

	assert_int_equal(write(c->stop, &one, sizeof(one)), sizeof(one));
	pthread_join(c->thread, NULL);
	close(c->listener);
	close(c->stop);
	buffer_done(&c->last);
	assert_int_equal(c->bad, 0);
}

static inline void collector_wait(struct collector *c, unsigned requests)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += COLLECTOR_DEADLINE_MS / 1000;
	pthread_mutex_lock(&c->lock);
	while (c->requests < requests)
		assert_int_equal(pthread_cond_timedwait(&c->changed, &c->lock, &until), 0);
	pthread_mutex_unlock(&c->lock);
}

#endif

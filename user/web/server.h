/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plumb's HTTP server: GET /metrics (Prometheus text or OpenMetrics, by Accept), /healthz and / on a thread of its own. The
 * engine's state is not locked for it: a request is posted, the engine's loop answers between two batches with
 * web_serve_pending(), and a request that waits longer than wait_ms gets 503. Requests for the same format that wait together
 * share one rendering. Connections are bounded in number and in age; at the maximum the one that has asked for nothing for the longest time is closed,
 * so that clients that send or read slowly keep nobody out.
 * With a token, everything but /healthz asks for it.
 *
 * The thread may start before or after privileges are dropped (it needs none). System calls, for a seccomp allow-list.
 * web_start(): socket, setsockopt, bind, listen, getsockname, eventfd2, epoll_create1, clone3 or clone, mmap, mprotect,
 * set_robust_list, rseq, sched_getaffinity. The thread: epoll_ctl, epoll_wait, poll, ppoll, accept4, recvfrom, sendto,
 * sendmsg, read, write, close, shutdown, setsockopt, fcntl, getpeername, futex, clock_gettime, madvise, munmap, mmap,
 * mprotect, brk, rt_sigprocmask, exit; with TLS (GnuTLS) getrandom besides.
 */
#ifndef PLUMB_WEB_SERVER_H
#define PLUMB_WEB_SERVER_H

#include "lib/buffer.h"
#include "web/secrets.h"

struct web_options {
	const char *listen;       /* "address:port", "[v6 address]:port", ":port" (loopback) or "port"; NULL = 127.0.0.1:9464; port 0 = any */
	uint32_t max_connections; /* 0 = 32 */
	uint32_t wait_ms;         /* for the engine; 0 = 2000 */
	const struct web_secrets *secrets; /* stays the caller's until web_stop(); NULL = plain HTTP, for everybody */
	uint32_t request_ms;      /* a connection without a completed request for so long is closed; 0 = 15000 */
};

struct web;

/* On failure ret_error says what is wrong and what to do. -EBUSY (another plumb of this user serves there), -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -EINVAL (listen), -ENOMEM. */
int web_start(const struct web_options *o, struct web **ret_web, char *ret_error, size_t error_len);
void web_stop(struct web *w); /* waits for the thread, frees; w may be NULL */
uint16_t web_port(const struct web *w);
const char *web_address(const struct web *w); /* where it listens, as an authority of URLs: "127.0.0.1:9464", "[::1]:9464" */
uint64_t web_evicted(const struct web *w); /* connections closed because all places were taken */
/* Whether `listen` is an address to listen on; -EINVAL with a sentence. Opens nothing. */
int web_check(const char *listen, char *ret_error, size_t error_len);
/* Other machines can reach it: any address but 127.0.0.0/8 and ::1. False for what is no address. */
bool web_is_reachable(const char *listen);

/* Readable while a request waits for the engine: poll it in the idle wait. web_serve_pending() resets it. */
int web_event_fd(const struct web *w);
/* Writes the metrics into `out`; negative errno makes it a 500. */
typedef int (*web_render_fn)(void *ctx, bool openmetrics, struct buffer *out);
/* Called by the engine between batches; two atomic loads when nobody asks. */
void web_serve_pending(struct web *w, web_render_fn fn, void *ctx);

#endif

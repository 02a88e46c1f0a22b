/* SPDX-License-Identifier: Apache-2.0 */
#include "web/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"

/* TLS 1.2 and 1.3, without what GnuTLS itself calls weak. https://gnutls.org/manual/html_node/Priority-Strings.html */
#define TLS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

enum { CONNECTIONS_MAX = 32, SPARE = 16, WAIT_MS = 2000, REQUEST_MS = 15000, CONNECTION_BYTES = 16384, BODY_MAX = 64 << 20, SWEEP_MS = 250, REST_MS = 10 };

#define TYPE_TEXT "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define TYPE_PLAIN "text/plain; charset=utf-8"

/* What a request may want of the engine. */
enum want { WANT_TEXT, WANT_OPENMETRICS, WANT_ALIVE, WANTS };

/* A rendering that several responses share. Web thread only. */
struct body {
	struct buffer bytes;
	uint32_t refs;
	int err;
};

/* One TCP connection of a client, from a fixed array. Touched by the web thread alone. */
struct client {
	struct MHD_Connection *connection; /* NULL = free */
	int fd;
	bool waiting;          /* suspended until the engine answers */
	bool answered;         /* `response` is what to send */
	bool sending;          /* metrics are on their way to it */
	enum want want;
	uint64_t deadline_ms;  /* of the whole connection, moved on by each completed request */
	uint64_t wait_until_ms;
	struct body *body;     /* one reference; NULL with answered = the engine did not answer */
};

struct web {
	struct MHD_Daemon *daemon;
	pthread_t thread;
	int listen_fd, engine_fd, web_fd; /* eventfds: a request waits; an answer waits or stop */
	uint16_t port;
	char address[INET6_ADDRSTRLEN + sizeof("[]:65535")];
	uint32_t wait_ms, request_ms;
	const struct web_secrets *secrets; /* NULL = none */
	atomic_bool stop;
	atomic_uint wanted;            /* bit per enum want */
	atomic_bool signalled;         /* engine_fd was set, after `wanted` */
	_Atomic(struct body *) posted[WANTS]; /* the engine's latest answers, one reference each, taken by exchange: no lock */
	struct client *clients;        /* max_clients and SPARE: room for those that come before the closed ones have gone */
	uint32_t max_clients, used;
	atomic_ullong evicted;
};

static const char index_page[] =
	"<!doctype html><title>plumb</title><h1>plumb</h1><p>Traces and metrics of the programs on this machine, watched from the kernel.</p>"
	"<ul><li><a href=\"/metrics\">/metrics</a>: Prometheus text, or OpenMetrics when asked for by Accept (every family: docs/metrics.md)</li>"
	"<li><a href=\"/healthz\">/healthz</a>: 200 while the engine answers</li></ul>";

/* An eventfd's counter cannot fill up here, and EAGAIN would mean that it is readable anyway. */
static void event_set(int fd)
{
	const uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one));

	(void)n;
}

static void event_clear(int fd)
{
	uint64_t n;
	ssize_t got = read(fd, &n, sizeof(n));

	(void)got;
}

static struct MHD_Response *text_response(const char *text, const char *type)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);

	if (r)
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	return r;
}

static enum MHD_Result reply(struct MHD_Connection *c, unsigned int status, struct MHD_Response *r)
{
	if (!r)
		return MHD_NO;
	enum MHD_Result ok = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result reply_text(struct MHD_Connection *c, unsigned int status, const char *text)
{
	return reply(c, status, text_response(text, TYPE_PLAIN));
}

/* The quality that Accept gives to a media type, in thousandths; -1 if it does not name it. */
static int accept_quality(const char *accept, const char *type)
{
	size_t len = strlen(type);

	for (const char *at = accept; *at;) {
		const char *end = at + strcspn(at, ",");
		while (at < end && (*at == ' ' || *at == '\t'))
			at++;
		size_t name = strcspn(at, ",; \t");
		if (name == len && strncasecmp(at, type, len) == 0) {
			for (const char *q = at + name; q < end; q++)
				if ((q[0] == 'q' || q[0] == 'Q') && q[1] == '=' && (q[-1] == ';' || q[-1] == ' ')) {
					double quality = strtod(q + 2, NULL);
					return quality >= 1 ? 1000 : quality > 0 ? (int)(quality * 1000) : 0;
				}
			return 1000;
		}
		at = *end ? end + 1 : end;
	}
	return -1;
}

static bool wants_openmetrics(struct MHD_Connection *c)
{
	const char *accept = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);

	if (!accept)
		return false;
	int om = accept_quality(accept, "application/openmetrics-text");
	return om > 0 && om >= accept_quality(accept, "text/plain");
}

/* Posts the wish and suspends the connection; handle() runs again when it is resumed. */
static enum MHD_Result ask(struct web *w, struct client *k, enum want want)
{
	k->waiting = true;
	k->answered = false;
	k->want = want;
	k->wait_until_ms = (uint64_t)clock_ms(CLOCK_MONOTONIC) + w->wait_ms;
	atomic_fetch_or(&w->wanted, 1u << want);
	event_set(w->engine_fd);
	atomic_store(&w->signalled, true);
	MHD_suspend_connection(k->connection);
	return MHD_YES;
}

static void body_unref(void *body)
{
	struct body *b = body;

	if (!b || --b->refs)
		return;
	buffer_done(&b->bytes);
	free(b);
}

static enum MHD_Result deliver(struct client *k)
{
	struct body *b = k->body;
	struct MHD_Response *r;

	k->answered = false;
	k->body = NULL;
	if (!b)
		return reply_text(k->connection, MHD_HTTP_SERVICE_UNAVAILABLE, "plumb's engine did not answer in time: it is overloaded or stopping. Ask again.\n");
	if (b->err) {
		bool large = b->err == -ENOBUFS;
		body_unref(b);
		return reply_text(k->connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
			large ? "the metrics are larger than the most that is served (64 MiB)\n" : "the metrics could not be rendered: no memory\n");
	}
	if (k->want == WANT_ALIVE) {
		body_unref(b);
		return reply_text(k->connection, MHD_HTTP_OK, "ok\n");
	}
	k->sending = true;
	r = MHD_create_response_from_buffer_with_free_callback_cls(b->bytes.len, b->bytes.data, body_unref, b);
	if (!r) {
		body_unref(b);
		return MHD_NO;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, k->want == WANT_OPENMETRICS ? TYPE_OPENMETRICS : TYPE_TEXT);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	return reply(k->connection, MHD_HTTP_OK, r);
}

static enum MHD_Result handle(void *ctx, struct MHD_Connection *c, const char *url, const char *method, const char *version, const char *upload,
	size_t *upload_len, void **request)
{
	static int seen;
	struct web *w = ctx;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct client *k = info ? info->socket_context : NULL;

	(void)version;
	(void)upload;
	if (!k)
		return MHD_NO;
	if (!*request) { /* headers only; libmicrohttpd calls again when a body, if any, may be read */
		*request = &seen;
		return MHD_YES;
	}
	if (*upload_len) { /* a body is not wanted: dropped */
		*upload_len = 0;
		return MHD_YES;
	}
	if (k->answered)
		return deliver(k);
	/* Whether plumb lives is no secret, and whoever asks that (a kubelet) has no token. */
	if (w->secrets && strcmp(url, "/healthz") != 0 && !web_secrets_admit(w->secrets, MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION))) {
		struct MHD_Response *r = text_response("this wants the token of metrics.token_file: \"Authorization: Bearer TOKEN\"\n", TYPE_PLAIN);
		if (r)
			MHD_add_response_header(r, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"plumb\"");
		return reply(c, MHD_HTTP_UNAUTHORIZED, r);
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
		struct MHD_Response *r = text_response("only GET and HEAD are served here\n", TYPE_PLAIN);
		if (r)
			MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
		return reply(c, MHD_HTTP_METHOD_NOT_ALLOWED, r);
	}
	/* Who came while the server is being stopped is told so; a connection that is suspended now would never be resumed. */
	bool asks = strcmp(url, "/metrics") == 0 || strcmp(url, "/healthz") == 0;
	if (asks && atomic_load(&w->stop))
		return reply_text(c, MHD_HTTP_SERVICE_UNAVAILABLE, "plumb is stopping\n");
	if (strcmp(url, "/metrics") == 0)
		return ask(w, k, wants_openmetrics(c) ? WANT_OPENMETRICS : WANT_TEXT);
	if (strcmp(url, "/healthz") == 0)
		return ask(w, k, WANT_ALIVE);
	if (strcmp(url, "/") == 0)
		return reply(c, MHD_HTTP_OK, text_response(index_page, "text/html; charset=utf-8"));
	return reply_text(c, MHD_HTTP_NOT_FOUND, "not found; see / for what is here\n");
}

static uint32_t places(const struct web *w) { return w->max_clients + SPARE; }

static void hang_up(struct client *k)
{
	shutdown(k->fd, SHUT_RDWR);
	k->fd = -1;
}

/* All places are taken: who has asked for nothing for the longest time gives way. Not who waits for the engine, as that ends by itself. */
static void evict(struct web *w)
{
	struct client *oldest = NULL;

	for (uint32_t i = 0; i < places(w); i++) {
		struct client *k = &w->clients[i];
		if (k->connection && k->fd >= 0 && !k->waiting && (!oldest || k->deadline_ms < oldest->deadline_ms))
			oldest = k;
	}
	if (!oldest)
		return;
	hang_up(oldest);
	atomic_fetch_add_explicit(&w->evicted, 1, memory_order_relaxed);
}

static void on_connection(void *ctx, struct MHD_Connection *c, void **socket_context, enum MHD_ConnectionNotificationCode code)
{
	struct web *w = ctx;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		struct client *k = *socket_context;
		if (k) {
			body_unref(k->body);
			*k = (struct client){ .fd = -1 };
			w->used--;
		}
		return;
	}
	if (w->used >= w->max_clients)
		evict(w);
	for (uint32_t i = 0; i < places(w); i++) {
		struct client *k = &w->clients[i];
		if (k->connection)
			continue;
		const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
		*k = (struct client){ .connection = c, .fd = info ? info->connect_fd : -1, .deadline_ms = (uint64_t)clock_ms(CLOCK_MONOTONIC) + w->request_ms };
		*socket_context = k;
		w->used++;
		return;
	}
	*socket_context = NULL; /* cannot happen: the daemon has the same limit. handle() then closes it */
}

static void on_completed(void *ctx, struct MHD_Connection *c, void **request, enum MHD_RequestTerminationCode code)
{
	struct web *w = ctx;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct client *k = info ? info->socket_context : NULL;

	*request = NULL;
	if (k)
		k->sending = false;
	if (k && code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
		k->deadline_ms = (uint64_t)clock_ms(CLOCK_MONOTONIC) + w->request_ms;
}

static void resume(struct client *k, struct body *body)
{
	k->waiting = false;
	k->answered = true;
	k->body = body;
	if (body)
		body->refs++;
	MHD_resume_connection(k->connection);
}

/* Hands what the engine posted to everybody who waits for it. */
static void spread(struct web *w)
{
	for (unsigned int want = 0; want < WANTS; want++) {
		struct body *body = atomic_exchange(&w->posted[want], NULL);

		for (uint32_t i = 0; body && i < places(w); i++)
			if (w->clients[i].waiting && w->clients[i].want == want)
				resume(&w->clients[i], body);
		body_unref(body);
	}
}

/* Ends waits and connections whose time is up. Returns the milliseconds until the next one is due. */
static int expire(struct web *w)
{
	uint64_t now = (uint64_t)clock_ms(CLOCK_MONOTONIC), next = now + SWEEP_MS;

	for (uint32_t i = 0; i < places(w); i++) {
		struct client *k = &w->clients[i];
		if (!k->connection)
			continue;
		if (k->waiting && now >= k->wait_until_ms)
			resume(k, NULL);
		else if (k->waiting && k->wait_until_ms < next)
			next = k->wait_until_ms;
		/*
		 * libmicrohttpd's own timeout begins anew with each byte, so a client that sends or reads
		 * one a second would stay forever.
		 */
		if (!k->waiting && now >= k->deadline_ms && k->fd >= 0)
			hang_up(k);
	}
	return (int)(next - now);
}

static bool has_room(const struct web *w) { return w->used < places(w); }

/*
 * Here and not in libmicrohttpd, which for lack of descriptors tries again at once, for ever. Returns false when whoever waits must wait on: nothing is left to
 * serve him with.
 */
static bool take_clients(struct web *w)
{
	while (has_room(w)) {
		struct sockaddr_storage addr;
		socklen_t len = sizeof(addr);
		int fd = accept4(w->listen_fd, (struct sockaddr *)&addr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return errno == EAGAIN || errno == ECONNABORTED || errno == EINTR;
		if (MHD_add_connection(w->daemon, fd, (struct sockaddr *)&addr, len) != MHD_YES)
			return false; /* it has closed it */
		MHD_run(w->daemon); /* only now is it counted among those who have a place */
	}
	return true;
}

/*
 * How long nothing needs to be done unless a descriptor says so; `most` at the most. While a client of TLS has sent half a message of its handshake, libmicrohttpd (0.9.75) asks
 * to be run at once, again and again, until the rest comes: such a client must not cost a CPU. Who is being sent metrics waits for nothing.
 */
static int wait_ms(const struct web *w, int most)
{
	MHD_UNSIGNED_LONG_LONG due;
	bool rest = w->secrets && w->secrets->certificate;

	if (MHD_get_timeout(w->daemon, &due) != MHD_YES || due >= (MHD_UNSIGNED_LONG_LONG)most)
		return most;
	for (uint32_t i = 0; rest && i < places(w); i++)
		rest = !w->clients[i].sending;
	return rest && due < REST_MS ? REST_MS : (int)due;
}

static void *web_main(void *arg)
{
	struct web *w = arg;
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(w->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	struct pollfd fds[] = {
		{ .fd = info->epoll_fd, .events = POLLIN },
		{ .fd = w->web_fd, .events = POLLIN },
		{ .events = POLLIN },
	};
	uint64_t accept_at_ms = 0;

	while (!atomic_load(&w->stop)) {
		int wait = wait_ms(w, expire(w));
		/* A sweep later at the latest it is looked at again. */
		fds[2].fd = has_room(w) && (uint64_t)clock_ms(CLOCK_MONOTONIC) >= accept_at_ms ? w->listen_fd : -1;
		if (poll(fds, 3, wait) > 0 && fds[1].revents) {
			event_clear(w->web_fd);
			spread(w);
		}
		if (fds[2].fd >= 0 && fds[2].revents && !take_clients(w))
			accept_at_ms = (uint64_t)clock_ms(CLOCK_MONOTONIC) + SWEEP_MS;
		MHD_run(w->daemon);
	}
	/* A suspended connection must be resumed before its daemon stops. */
	for (uint32_t i = 0; i < places(w); i++)
		if (w->clients[i].waiting)
			resume(&w->clients[i], NULL);
	MHD_run(w->daemon);
	return NULL;
}

void web_serve_pending(struct web *w, web_render_fn fn, void *ctx)
{
	if (!atomic_load_explicit(&w->wanted, memory_order_relaxed) && !atomic_load_explicit(&w->signalled, memory_order_relaxed))
		return;
	/*
	 * Before `wanted` is taken: a wish made after that sets the event again. The flag, because a wish may be
	 * taken before its event is set.
	 */
	atomic_store(&w->signalled, false);
	event_clear(w->engine_fd);
	unsigned int wanted = atomic_exchange(&w->wanted, 0);
	for (unsigned int want = 0; want < WANTS; want++) {
		if (!(wanted & 1u << want))
			continue;
		/* Without memory nothing is posted, and the clients get their 503. */
		struct body *b = calloc(1, sizeof(*b));
		if (!b)
			continue;
		b->refs = 1;
		buffer_init(&b->bytes, BODY_MAX);
		if (want != WANT_ALIVE)
			b->err = fn(ctx, want == WANT_OPENMETRICS, &b->bytes);
		/* An older answer that the web thread has not taken yet: nobody else sees it. */
		body_unref(atomic_exchange(&w->posted[want], b));
	}
	if (wanted)
		event_set(w->web_fd);
}

int web_event_fd(const struct web *w)
{
	return w->engine_fd;
}

uint64_t web_evicted(const struct web *w)
{
	return atomic_load_explicit(&w->evicted, memory_order_relaxed);
}

uint16_t web_port(const struct web *w) { return w->port; }
const char *web_address(const struct web *w) { return w->address; }

/* "address:port", "[v6]:port", ":port", "port" into a socket address. */
static int parse_listen(const char *text, struct sockaddr_storage *ret_addr, socklen_t *ret_len)
{
	const char *colon = strrchr(text, ':'), *port = colon ? colon + 1 : text;
	char host[64] = "127.0.0.1";
	size_t host_len = colon ? (size_t)(colon - text) : 0, digits = strspn(port, "0123456789");
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret_addr;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret_addr;
	unsigned long number = strtoul(port, NULL, 10);

	if (digits == 0 || digits > 5 || port[digits] || number > 65535)
		return -EINVAL;
	if (host_len >= 2 && text[0] == '[' && text[host_len - 1] == ']') {
		text++;
		host_len -= 2;
	} else if (memchr(text, ':', host_len)) {
		return -EINVAL; /* a bare IPv6 address: which colon is the port's? */
	}
	if (host_len >= sizeof(host))
		return -EINVAL;
	if (host_len)
		snprintf(host, sizeof(host), "%.*s", (int)host_len, text);
	memset(ret_addr, 0, sizeof(*ret_addr));
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)number);
		*ret_len = sizeof(*v4);
	} else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)number);
		*ret_len = sizeof(*v6);
	} else {
		return -EINVAL;
	}
	return 0;
}

/*
 * Whoever listens there has the mark that this server gives its socket, and the same user: another plumb, most likely the one that this one
 * is to follow. The kernel tells, as it lets only such sockets share an address.
 */
static bool is_ours(const struct sockaddr_storage *addr, socklen_t len)
{
	int fd = socket(addr->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	bool ours = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0 && bind(fd, (const struct sockaddr *)addr, len) == 0;

	if (fd >= 0)
		close(fd);
	return ours;
}

int web_check(const char *listen, char *ret_error, size_t error_len)
{
	struct sockaddr_storage addr;
	socklen_t len;

	if (parse_listen(listen, &addr, &len) == 0)
		return 0;
	snprintf(ret_error, error_len, "\"%s\" is not an address to listen on: write address:port, for example 127.0.0.1:9464 or [::1]:9464", listen);
	return -EINVAL;
}

bool web_is_reachable(const char *listen)
{
	struct sockaddr_storage addr;
	socklen_t len;

	if (parse_listen(listen, &addr, &len) < 0)
		return false;
	if (addr.ss_family == AF_INET)
		return (ntohl(((struct sockaddr_in *)&addr)->sin_addr.s_addr) >> 24) != IN_LOOPBACKNET;
	return !IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&addr)->sin6_addr);
}

static void print_address(struct web *w, const struct sockaddr_storage *addr)
{
	bool v6 = addr->ss_family == AF_INET6;
	char host[INET6_ADDRSTRLEN] = "";

	inet_ntop(addr->ss_family, v6 ? (const void *)&((const struct sockaddr_in6 *)addr)->sin6_addr : &((const struct sockaddr_in *)addr)->sin_addr, host, sizeof(host));
	snprintf(w->address, sizeof(w->address), v6 ? "[%s]:%u" : "%s:%u", host, w->port);
}

static int open_socket(struct web *w, const char *listen_on, char *ret_error, size_t error_len)
{
	struct sockaddr_storage addr;
	socklen_t len;
	const int on = 1;

	if (web_check(listen_on, ret_error, error_len))
		return -EINVAL;
	(void)parse_listen(listen_on, &addr, &len);
	w->listen_fd = socket(addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (w->listen_fd >= 0 && setsockopt(w->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    bind(w->listen_fd, (struct sockaddr *)&addr, len) == 0 && listen(w->listen_fd, 64) == 0 &&
	    setsockopt(w->listen_fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0 &&
	    getsockname(w->listen_fd, (struct sockaddr *)&addr, &len) == 0) {
		/* The port stands at the same place for both families. */
		w->port = ntohs(((struct sockaddr_in *)&addr)->sin_port);
		print_address(w, &addr);
		return 0;
	}
	int err = errno;
	const char *colon = strrchr(listen_on, ':');
	if (err == EADDRINUSE && is_ours(&addr, len)) {
		snprintf(ret_error, error_len, "another plumb serves its metrics on %s: end it, or choose another address", listen_on);
		return -EBUSY;
	}
	if (err == EADDRINUSE)
		snprintf(ret_error, error_len, "cannot serve /metrics on %s: another program listens there. Stop it (\"ss -ltnp 'sport = :%s'\" names it) or choose another address",
			listen_on, colon ? colon + 1 : listen_on);
	else if (err == EACCES)
		snprintf(ret_error, error_len, "cannot serve /metrics on %s: ports below 1024 need a privilege; choose a higher one", listen_on);
	else if (err == EADDRNOTAVAIL)
		snprintf(ret_error, error_len, "cannot serve /metrics on %s: this machine does not have that address", listen_on);
	else
		snprintf(ret_error, error_len, "cannot serve /metrics on %s: %s", listen_on, strerror(err));
	return -err;
}

static void web_done(struct web *w)
{
	if (w->daemon)
		MHD_stop_daemon(w->daemon);
	if (w->listen_fd >= 0)
		close(w->listen_fd);
	if (w->engine_fd >= 0)
		close(w->engine_fd);
	if (w->web_fd >= 0)
		close(w->web_fd);
	for (unsigned int i = 0; i < WANTS; i++)
		body_unref(atomic_exchange(&w->posted[i], NULL));
	free(w->clients);
	free(w);
}

static int start_daemon(struct web *w, char *ret_error, size_t error_len)
{
	bool tls = w->secrets && w->secrets->certificate;
	struct MHD_OptionItem secure[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, tls ? w->secrets->certificate : NULL },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, tls ? w->secrets->key : NULL },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES },
		{ MHD_OPTION_END, 0, NULL },
	}, plain[] = { { MHD_OPTION_END, 0, NULL } };

	if (tls && MHD_is_feature_supported(MHD_FEATURE_SSL) != MHD_YES) {
		snprintf(ret_error, error_len, "cannot serve /metrics over TLS: this build of libmicrohttpd has no TLS");
		return -ENOTSUP;
	}
	w->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | (tls ? MHD_USE_TLS : 0), 0, NULL, NULL, handle, w,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned int)places(w),
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)(w->request_ms / 1000 + 1),
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, w, MHD_OPTION_NOTIFY_COMPLETED, on_completed, w,
		MHD_OPTION_ARRAY, tls ? secure : plain, MHD_OPTION_END);
	if (w->daemon)
		return 0;
	if (tls)
		snprintf(ret_error, error_len, "cannot serve /metrics over TLS: metrics.certificate or metrics.key is not PEM, wants a password, or is not the other's");
	else
		snprintf(ret_error, error_len, "cannot serve /metrics: the HTTP library did not start (memory or file descriptors)");
	return tls ? -EINVAL : -ENOMEM;
}

static int start(struct web *w, char *ret_error, size_t error_len)
{
	w->engine_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->web_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->clients = calloc(places(w), sizeof(*w->clients));
	if (w->engine_fd < 0 || w->web_fd < 0 || !w->clients) {
		snprintf(ret_error, error_len, "cannot serve /metrics: no memory or file descriptors left");
		return -ENOMEM;
	}
	int err = start_daemon(w, ret_error, error_len);
	if (err)
		return err;
	err = pthread_create(&w->thread, NULL, web_main, w);
	if (err)
		snprintf(ret_error, error_len, "cannot serve /metrics: no thread: %s", strerror(err));
	return -err;
}

int web_start(const struct web_options *o, struct web **ret_web, char *ret_error, size_t error_len)
{
	struct web *w = calloc(1, sizeof(*w));

	if (!w) {
		snprintf(ret_error, error_len, "cannot serve /metrics: no memory");
		return -ENOMEM;
	}
	w->listen_fd = w->engine_fd = w->web_fd = -1;
	w->wait_ms = o->wait_ms ? o->wait_ms : WAIT_MS;
	w->request_ms = o->request_ms ? o->request_ms : REQUEST_MS;
	w->secrets = o->secrets;
	w->max_clients = o->max_connections ? o->max_connections : CONNECTIONS_MAX;
	int err = open_socket(w, o->listen ? o->listen : "127.0.0.1:9464", ret_error, error_len);
	if (!err)
		err = start(w, ret_error, error_len);
	if (err) {
		web_done(w);
		return err;
	}
	*ret_web = w;
	return 0;
}

void web_stop(struct web *w)
{
	if (!w)
		return;
	atomic_store(&w->stop, true);
	event_set(w->web_fd);
	pthread_join(w->thread, NULL);
	web_done(w);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* kTLS: a connection whose bytes become plaintext, from records to spans: what handshakes become, what is read, what is joined, and what the kernel side is asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "pipeline.h"
#include "sink/sink.h"

#define SECOND 1000000000ull
#define STEP_NS 1000u

enum { SPANS_MAX = 16, CLIENT_SOCK = 7, SERVER_SOCK = 11, SESSION_TID = 29, CLIENT_BASE = 5000, SERVER_BASE = 9000 };

struct told {
	uint8_t kind, status, trace_id[16], parent_id[8], span_id[8];
	uint16_t protocol;
	uint64_t start_ns, end_ns;
	char scheme[8], path[32], incomplete[64];
	bool established;
};

struct fixture {
	struct sink sink; /* first: what the callback is given */
	struct sink *sinks[2];
	struct pipeline *p;
	uint64_t now;
	struct told spans[SPANS_MAX];
	size_t nspans;
	struct capture policy[SERVER_SOCK + 1]; /* the latest, by socket */
};

static void copy(char *to, size_t len, struct slice from)
{
	assert_true(from.len < len);
	memcpy(to, from.ptr, from.len);
	to[from.len] = 0;
}

static enum sink_result on_span(struct sink *s, const struct span *span)
{
	struct fixture *f = (struct fixture *)(void *)s;
	struct told *t = &f->spans[f->nspans++];

	assert_true(f->nspans <= SPANS_MAX);
	*t = (struct told){ .kind = span->kind, .status = span->status, .protocol = span->protocol, .start_ns = span->start_ns, .end_ns = span->end_ns };
	memcpy(t->trace_id, span->trace_id, 16);
	memcpy(t->parent_id, span->parent_id, 8);
	memcpy(t->span_id, span->span_id, 8);
	for (uint32_t i = 0; i < span->nattrs; i++) {
		const struct attr *a = &span->attrs[i];
		if (a->id == ATTR_URL_SCHEME)
			copy(t->scheme, sizeof(t->scheme), a->str);
		if (a->id == ATTR_URL_PATH)
			copy(t->path, sizeof(t->path), a->str);
		if (a->id == ATTR_PLUMB_INCOMPLETE)
			copy(t->incomplete, sizeof(t->incomplete), a->str);
		if (a->id == ATTR_TLS_ESTABLISHED)
			t->established = a->num != 0;
	}
	return SINK_OK;
}

static void on_policy(void *ctx, uint64_t sock, const struct capture *capture)
{
	struct fixture *f = ctx;

	if (capture && sock <= SERVER_SOCK)
		f->policy[sock] = *capture;
}

static const struct sink_ops ops = { .name = "test", .span = on_span };

static void begin(struct fixture *f)
{
	struct pipeline_options o = { .sinks = f->sinks, .policy = on_policy, .policy_ctx = f, .correlate = { .sampler = SAMPLER_ALWAYS_ON, .parent_based = true } };

	*f = (struct fixture){ .sink.ops = &ops, .sinks = { &f->sink }, .now = SECOND };
	assert_int_equal(pipeline_new(&o, &f->p), 0);
}

static void feed(struct fixture *f, struct record r, uint16_t type, struct slice payload)
{
	r.u.h.type = type;
	r.u.h.time_ns = f->now += STEP_NS;
	assert_int_equal(pipeline_record(f->p, &r, payload), 0);
}

static void opened(struct fixture *f, uint64_t sock, uint32_t flags)
{
	bool client = sock == CLIENT_SOCK;
	struct plumb_rec_sock s = { .sock = sock, .pid = client ? 101 : 103, .family = AF_INET, .type = SOCK_STREAM, .flags = flags,
				    .role = client ? PLUMB_ROLE_CLIENT : PLUMB_ROLE_SERVER, .local_port = client ? 40000 : 443, .remote_port = client ? 443 : 40000,
				    .local_addr = { 127, 0, 0, 1 }, .remote_addr = { 127, 0, 0, 1 } };

	feed(f, (struct record){ .u.sock = s }, PLUMB_REC_SOCK_OPEN, SLICE_NONE);
}

static void moved_at(struct fixture *f, uint64_t sock, enum plumb_direction dir, uint64_t offset, struct slice in, uint32_t len, uint16_t flags)
{
	struct plumb_rec_data d = { .sock = sock, .offset = offset, .pid = sock == SERVER_SOCK ? 103 : 101, .tid = sock == SERVER_SOCK ? 103 : 101, .len = len, .captured = (uint32_t)in.len,
				    .direction = (uint8_t)dir, .flags = flags };

	feed(f, (struct record){ .u.data = d }, PLUMB_REC_DATA, in);
}

/* One end writes and the other reads; offsets: of the bytes from the client, or from the server. */
static void moved(struct fixture *f, bool from_client, uint64_t offset, struct slice in)
{
	moved_at(f, from_client ? CLIENT_SOCK : SERVER_SOCK, PLUMB_EGRESS, offset, in, (uint32_t)in.len, 0);
	moved_at(f, from_client ? SERVER_SOCK : CLIENT_SOCK, PLUMB_INGRESS, offset, in, (uint32_t)in.len, 0);
}

/* A hello of TLS 1.2 without session and extensions (RFC 5246, 7.4.1). */
static struct slice hello(uint8_t *to, bool client)
{
	static const uint8_t chosen[] = { 0xc0, 0x2b, 0 }, offered[] = { 0, 2, 0xc0, 0x2b, 1, 0 };
	size_t tail = client ? sizeof(offered) : sizeof(chosen), body = 2 + 32 + 1 + tail;
	uint8_t head[] = { 22, 3, 3, 0, (uint8_t)(body + 4), client ? 1 : 2, 0, 0, (uint8_t)body, 3, 3 };

	memcpy(to, head, sizeof(head));
	memset(to + sizeof(head), 0x5a, 32);
	to[sizeof(head) + 32] = 0;
	memcpy(to + sizeof(head) + 33, client ? offered : chosen, tail);
	return slice_make(to, sizeof(head) + 33 + tail);
}

static const char request[] = "GET /paid HTTP/1.1\r\nHost: shop.test\r\n\r\n", response[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";

/* Both ends say hello; the rest of the handshake the kernel's TLS carries, and nobody sees. When it ended, as far as it was seen. */
static uint64_t hellos(struct fixture *f)
{
	uint8_t bytes[128];

	opened(f, CLIENT_SOCK, 0);
	opened(f, SERVER_SOCK, 0);
	moved(f, true, CLIENT_BASE, hello(bytes, true));
	moved(f, false, SERVER_BASE, hello(bytes, false));
	uint64_t ended_ns = f->now;
	f->now += SECOND;
	return ended_ns;
}

static void call(struct fixture *f, uint64_t request_at, uint64_t response_at)
{
	moved(f, true, request_at, slice_make(request, sizeof(request) - 1));
	moved(f, false, response_at, slice_make(response, sizeof(response) - 1));
}

static const struct told *span_of(const struct fixture *f, uint16_t protocol, uint8_t kind, size_t nth)
{
	for (size_t i = 0; i < f->nspans; i++)
		if (f->spans[i].protocol == protocol && f->spans[i].kind == kind && nth-- == 0)
			return &f->spans[i];
	return NULL;
}

static void finish(struct fixture *f)
{
	pipeline_finish(f->p);
	pipeline_free(f->p);
}

static bool is_child(const struct told *server, const struct told *client) { return memcmp(server->parent_id, client->span_id, 8) == 0 && memcmp(server->trace_id, client->trace_id, 16) == 0; }

/* The handshake stays, and ends with its last bytes, not with what comes a second later; calls are whole, encrypted, and joined. */
static void plaintext_is_read_behind_a_handshake(void **state)
{
	const uint64_t to = PLUMB_PLAIN_FIRST(CLIENT_BASE + 200), from = PLUMB_PLAIN_FIRST(SERVER_BASE + 300);
	struct fixture f;

	(void)state;
	begin(&f);
	uint64_t ended_ns = hellos(&f);
	for (unsigned i = 0; i < 7; i++)
		call(&f, to + i * (sizeof(request) - 1), from + i * (sizeof(response) - 1));
	finish(&f);
	assert_int_equal(f.nspans, 2 + 2 * 7);
	for (uint8_t kind = SPAN_SERVER; kind <= SPAN_CLIENT; kind++) {
		const struct told *t = span_of(&f, PLUMB_PROTO_TLS, kind, 0);
		assert_non_null(t);
		assert_true(t->established && t->status == SPAN_STATUS_UNSET);
		assert_true(t->end_ns <= ended_ns && t->end_ns + STEP_NS >= ended_ns);
	}
	for (size_t i = 0; i < 7; i++) {
		const struct told *server = span_of(&f, PLUMB_PROTO_HTTP1, SPAN_SERVER, i);
		assert_non_null(server);
		assert_string_equal(server->path, "/paid");
		assert_string_equal(server->scheme, "https");
		assert_string_equal(server->incomplete, "");
		size_t joined = 0;
		for (size_t k = 0; k < 7; k++)
			joined += is_child(server, span_of(&f, PLUMB_PROTO_HTTP1, SPAN_CLIENT, k));
		assert_int_equal(joined, 1);
	}
}

/* Ends that began to count at another place, or at one that is not known: their numbers may be equal by accident. */
static void unequal_beginnings_are_not_joined(void **state)
{
	static const uint64_t starts[][2] = {
		{ PLUMB_PLAIN_FIRST(CLIENT_BASE), PLUMB_PLAIN_FIRST(CLIENT_BASE + 29) },
		{ PLUMB_PLAIN_UNPLACED, PLUMB_PLAIN_UNPLACED },
		{ PLUMB_PLAIN_FIRST(CLIENT_BASE), PLUMB_PLAIN_UNPLACED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		const struct slice asked = slice_make(request, sizeof(request) - 1), answered = slice_make(response, sizeof(response) - 1);
		struct fixture f;

		begin(&f);
		opened(&f, CLIENT_SOCK, PLUMB_SOCK_PREEXISTING);
		opened(&f, SERVER_SOCK, PLUMB_SOCK_PREEXISTING);
		moved_at(&f, CLIENT_SOCK, PLUMB_EGRESS, starts[i][0], asked, (uint32_t)asked.len, 0);
		moved_at(&f, SERVER_SOCK, PLUMB_INGRESS, starts[i][1], asked, (uint32_t)asked.len, 0);
		moved_at(&f, SERVER_SOCK, PLUMB_EGRESS, starts[i][1], answered, (uint32_t)answered.len, 0);
		moved_at(&f, CLIENT_SOCK, PLUMB_INGRESS, starts[i][0], answered, (uint32_t)answered.len, 0);
		finish(&f);
		assert_int_equal(f.nspans, 2);
		const struct told *server = span_of(&f, PLUMB_PROTO_HTTP1, SPAN_SERVER, 0), *client = span_of(&f, PLUMB_PROTO_HTTP1, SPAN_CLIENT, 0);
		assert_true(server && client);
		assert_false(is_child(server, client));
		assert_string_equal(server->scheme, "https");
	}
}

/* What was said of encrypted bytes (nothing of them is wanted) is told apart from what holds for plaintext. */
static void policies_tell_which_bytes_they_are_of(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	hellos(&f);
	assert_false(PLUMB_IS_PLAIN(f.policy[SERVER_SOCK].until[0]) || PLUMB_IS_PLAIN(f.policy[SERVER_SOCK].until[1]));
	call(&f, PLUMB_PLAIN_FIRST(1), PLUMB_PLAIN_FIRST(2));
	assert_true(PLUMB_IS_PLAIN(f.policy[SERVER_SOCK].until[0]) && PLUMB_IS_PLAIN(f.policy[SERVER_SOCK].until[1]));
	assert_true(f.policy[SERVER_SOCK].want[PLUMB_INGRESS] > 0);
	finish(&f);
}

/* Where a session tells of the bytes, or the kernel does one direction alone: the handshake, and nothing else. */
static void what_is_covered_is_its_handshake(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	uint64_t ended_ns = hellos(&f);
	for (unsigned i = 0; i < 7; i++) {
		moved_at(&f, CLIENT_SOCK, PLUMB_EGRESS, CLIENT_BASE + 200 + i * 100, SLICE_NONE, sizeof(request) - 1, PLUMB_DATA_COVERED);
		moved_at(&f, SERVER_SOCK, PLUMB_INGRESS, CLIENT_BASE + 200 + i * 100, SLICE_NONE, sizeof(request) - 1, PLUMB_DATA_COVERED);
	}
	finish(&f);
	assert_int_equal(f.nspans, 2);
	for (size_t i = 0; i < 2; i++)
		assert_true(f.spans[i].protocol == PLUMB_PROTO_TLS && f.spans[i].established && f.spans[i].end_ns <= ended_ns);
}

/* A session's bytes are told once: where it moves them, the socket under it is silent, whatever it said before. */
static void a_session_takes_over(void **state)
{
	const uint64_t session = 1ull << PLUMB_SESSION_BIT | 5, to = PLUMB_PLAIN_FIRST(CLIENT_BASE + 200);
	const struct slice asked = slice_make(request, sizeof(request) - 1), answered = slice_make(response, sizeof(response) - 1);
	const uint32_t len = (uint32_t)asked.len;
	struct fixture f;

	(void)state;
	begin(&f);
	hellos(&f);
	call(&f, to, PLUMB_PLAIN_FIRST(SERVER_BASE + 300));
	/* From now on there are probes in the server. */
	struct plumb_rec_data read = { .sock = session, .pid = 103, .tid = 103, .len = len, .captured = len, .direction = PLUMB_INGRESS, .took_ns = 5 * STEP_NS, .flags = PLUMB_DATA_MIDWAY };
	struct plumb_rec_data written = { .sock = session, .pid = 103, .tid = 103, .len = (uint32_t)answered.len, .captured = (uint32_t)answered.len, .direction = PLUMB_EGRESS, .took_ns = 5 * STEP_NS,
					  .flags = PLUMB_DATA_MIDWAY };
	moved_at(&f, SERVER_SOCK, PLUMB_INGRESS, to + len, SLICE_NONE, len, PLUMB_DATA_COVERED);
	feed(&f, (struct record){ .u.data = read }, PLUMB_REC_DATA, asked);
	moved_at(&f, SERVER_SOCK, PLUMB_EGRESS, PLUMB_PLAIN_FIRST(SERVER_BASE + 300) + answered.len, SLICE_NONE, (uint32_t)answered.len, PLUMB_DATA_COVERED);
	feed(&f, (struct record){ .u.data = written }, PLUMB_REC_DATA, answered);
	finish(&f);
	size_t served = 0;
	for (size_t i = 0; i < f.nspans; i++)
		served += f.spans[i].protocol == PLUMB_PROTO_HTTP1 && f.spans[i].kind == SPAN_SERVER && !strcmp(f.spans[i].path, "/paid");
	assert_int_equal(served, 2);
	assert_int_equal(f.nspans, 2 + 2 + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plaintext_is_read_behind_a_handshake), cmocka_unit_test(unequal_beginnings_are_not_joined),
		cmocka_unit_test(policies_tell_which_bytes_they_are_of), cmocka_unit_test(what_is_covered_is_its_handshake),
		cmocka_unit_test(a_session_takes_over),
	};
	return cmocka_run_group_tests_name("ktls", tests, NULL, NULL);
}

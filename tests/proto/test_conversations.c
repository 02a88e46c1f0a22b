/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detection as it is used: whole conversations, both directions in their order, through the engine with all of its protocols. Those of the fixtures, from
 * their start and joined at each later line and message, are found to be of their own protocol or of none; from the start of their own. Those of
 * protocols that plumb does not know (tests/proto/foreign), random bytes and random text are of none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>

#include "proto/conversation.h"
#include "proto/harness.h"

enum { PLACES_MAX = 96, FOUND_PERCENT_MIN = 80, TOLD_MAX = 40, FOREIGN_MIN = 24, RANDOM_TURNS = 12, RANDOM_MAX = 400, RANDOM_RUNS = 10007 };

struct visit {
	struct conversations *engine;
	const struct proto_ops *ops; /* NULL: a protocol that plumb does not know */
	unsigned seen, wrong;
	unsigned joined, known; /* runs from a later place, and those of them that found the fixture's own protocol */
};

/*
 * Others that a fixture may be found as, and why. `late`: only with the usual port, from its start.
 */
static const struct exception {
	const char *path;
	uint16_t found; /* 0: late */
} exceptions[] = {
	/* The garbage that they are about is HTTP, and these begin with it. */
	{ "cassandra/garbage.fix", PLUMB_PROTO_HTTP1 },
	{ "ldap/garbage.fix", PLUMB_PROTO_HTTP1 },
	{ "couchbase/garbage.fix", PLUMB_PROTO_HTTP1 },
	{ "aerospike/garbage.fix", PLUMB_PROTO_HTTP1 },
	/* All that passes is one packet without a state: a number and a text. */
	{ "mysql/full.fix", 0 },
	/* Three bytes of a client, and the proxy's answer to them not captured. */
	{ "socks5/hole.fix", 0 },
};

static bool excepted(const char *path, uint16_t found)
{
	for (size_t i = 0; i < sizeof(exceptions) / sizeof(*exceptions); i++)
		if (strcmp(path + strlen("tests/proto/"), exceptions[i].path) == 0 && exceptions[i].found == found)
			return true;
	return false;
}

static void __attribute__((format(printf, 2, 3))) tell(struct visit *v, const char *format, ...)
{
	va_list ap;

	if (v->wrong++ >= TOLD_MAX)
		return;
	va_start(ap, format);
	vprint_message(format, ap);
	va_end(ap);
}

/* The fixture expects that its protocol becomes this one, or any. */
static bool becomes(const struct fixture *f, uint16_t id)
{
	char next[64];

	snprintf(next, sizeof(next), "next=\"%s\"", proto_get(id)->name);
	for (int side = 0; side < 2; side++)
		for (size_t i = 0; i < f->expect[side].n; i++)
			if (strstr(f->expect[side].line[i], next) || strstr(f->expect[side].line[i], "next=\"any\""))
				return true;
	return false;
}

static const char *role_name(uint8_t role)
{
	static const char *const names[] = { "either end", "client", "server" };

	return names[role];
}

/* `must`: the fixture's own protocol is to be found. */
static void run_from(struct visit *v, const struct fixture *f, const char *path, const struct conversation *c, bool must)
{
	struct conversation_found found;

	conversation_run(v->engine, f, c, &found);
	for (uint16_t id = 1; id < (uint16_t)PLUMB_PROTO_COUNT; id++)
		if (found.detected[id] && proto_get(id) != f->ops && !(f->ops && becomes(f, id)) && !((c->op || c->at) && excepted(path, id)))
			tell(v, "%s from %zu+%zu on, %s, port %u: found as %s\n", path, c->op, c->at, role_name(c->role), c->port, proto_get(id)->name);
	bool own = f->ops && found.detected[f->ops->id];
	if (must && !own)
		tell(v, "%s, %s, port %u: not found\n", path, role_name(c->role), c->port);
	v->joined += c->op || c->at;
	v->known += (c->op || c->at) && own;
}

static void visit_fixture(void *ctx, const char *path)
{
	struct harness_place place[PLACES_MAX];
	struct visit *v = ctx;
	char why[HARNESS_WHY] = "";
	struct fixture f;

	if (!fixture_load(path, v->ops, &f, why, sizeof(why)))
		fail_msg("%s", why);
	size_t n = harness_places(&f, place, PLACES_MAX);
	for (size_t i = 0; i < n; i++)
		for (uint8_t role = PLUMB_ROLE_UNKNOWN; role <= (uint8_t)PLUMB_ROLE_SERVER; role++) {
			struct conversation c = { .op = place[i].op, .at = place[i].at, .role = role };
			if (i == 0 && excepted(path, 0))
				c.port = proto_port_hint(v->ops->id);
			run_from(v, &f, path, &c, v->ops && i == 0 && !f.no_detect);
		}
	fixture_done(&f);
	v->seen++;
}

static void finds_own(void **state)
{
	struct visit v = { .engine = conversations_new() };

	(void)state;
	for (size_t i = 0; i < harness_nparsers; i++) {
		v.ops = harness_parsers[i].ops;
		v.seen = 0;
		if (v.ops)
			harness_each_fixture(harness_parsers[i].symbol, visit_fixture, &v);
		if (v.seen == 0)
			tell(&v, "no parser or no fixtures for %s\n", harness_parsers[i].symbol);
	}
	conversations_free(v.engine);
	if (v.wrong)
		fail_msg("%u wrong", v.wrong);
	/* What is joined at its last answer, say, need not be; nearly all must. */
	if (v.known * 100ull < v.joined * FOUND_PERCENT_MIN)
		fail_msg("of %u joined later only %u are found", v.joined, v.known);
}

static void finds_nothing_foreign(void **state)
{
	struct visit v = { .engine = conversations_new() };

	(void)state;
	harness_each_fixture("foreign", visit_fixture, &v);
	conversations_free(v.engine);
	assert_in_range(v.seen, FOREIGN_MIN, SIZE_MAX);
	if (v.wrong)
		fail_msg("%u wrong", v.wrong);
}

/* xorshift64: the same bytes in every run. */
static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x >> 16;
}

static void random_bytes(uint64_t *x, struct buffer *to)
{
	for (size_t n = 1 + next_random(x) % RANDOM_MAX; n; n--)
		buffer_append_byte(to, (uint8_t)next_random(x));
}

/* Lines of words, numbers and signs. */
static void random_text(uint64_t *x, struct buffer *to)
{
	static const char signs[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789    +-*$:,.;/_=<>\"'{}[]()";
	static const char *const ends[] = { "\r\n", "\n", " " };
	static const char *const words[] = { "get", "GET", "set", "SET", "delete", "DELETE", "status", "STAT", "LIST", "USER", "PASS", "QUIT", "HELP", "PING", "OK", "+OK", "-ERR",
		"ERROR", "END", "200", "220", "250", "500", "INFO", "HTTP/1.1", "HELO", "MODE", "AUTH", "TYPE", "NOOP" };

	for (size_t lines = 1 + next_random(x) % 5; lines; lines--) {
		for (size_t n = next_random(x) % 6; n; n--) {
			if (next_random(x) % 3 == 0)
				buffer_append_str(to, words[next_random(x) % (sizeof(words) / sizeof(*words))]);
			for (size_t k = next_random(x) % 9; k; k--)
				buffer_append_byte(to, (uint8_t)signs[next_random(x) % (sizeof(signs) - 1)]);
			buffer_append_byte(to, ' ');
		}
		buffer_append_str(to, ends[next_random(x) % 3]);
	}
}

/* As lines of a fixture. */
static void print_fixture(const struct fixture *f)
{
	struct buffer b;

	buffer_init(&b, 1 << 22);
	for (size_t i = 0; i < f->nops; i++) {
		buffer_append_str(&b, f->op[i].side == PROTO_TO_SERVER ? "> " : "< ");
		fixture_quote(&b, slice_make(f->bytes.data + f->op[i].at, f->op[i].len));
		buffer_append_byte(&b, '\n');
	}
	fwrite(b.data, 1, b.len, stdout); /* cmocka's lines are short */
	buffer_done(&b);
}

static void run_random(struct visit *v, uint64_t *x, bool datagram, void (*make)(uint64_t *x, struct buffer *to))
{
	struct fixture_op ops[RANDOM_TURNS];
	struct fixture f = { .datagram = datagram, .op = ops };
	struct conversation c = { .role = (uint8_t)(next_random(x) % 3) };
	char name[64];

	snprintf(name, sizeof(name), "random %s, begun with %016llx", make == random_text ? "text" : "bytes", (unsigned long long)*x);
	buffer_init(&f.bytes, 1 << 20);
	for (f.nops = 0; f.nops < RANDOM_TURNS; f.nops++) {
		size_t before = f.bytes.len;
		make(x, &f.bytes);
		ops[f.nops] = (struct fixture_op){ FIXTURE_BYTES, (enum proto_side)(next_random(x) % 2), before, f.bytes.len - before };
	}
	unsigned before = v->wrong;
	run_from(v, &f, name, &c, false);
	if (v->wrong > before && v->wrong < 5)
		print_fixture(&f);
	buffer_done(&f.bytes);
}

static void finds_nothing_random(void **state)
{
	struct visit v = { .engine = conversations_new() };
	uint64_t x = 0x9e3779b97f4a7c15u;

	(void)state;
	for (unsigned i = 0; i < RANDOM_RUNS; i++) {
		run_random(&v, &x, i % 2, random_bytes);
		run_random(&v, &x, i % 2, random_text);
	}
	conversations_free(v.engine);
	if (v.wrong)
		fail_msg("%u wrong", v.wrong);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_own),
		cmocka_unit_test(finds_nothing_foreign),
		cmocka_unit_test(finds_nothing_random),
	};
	return cmocka_run_group_tests_name("conversations", tests, NULL, NULL);
}

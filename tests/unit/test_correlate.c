/* SPDX-License-Identifier: Apache-2.0 */
/* correlate: synthetic connections and exchanges in the orders in which records may tell of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "unit/correlate_fixture.h"

enum { CALLS = 10007 };

/* curl -> shop -> stock -> database; each record order of the two ends. */
static void chain(bool server_first)
{
	static struct call k[6]; /* curl's client, shop, shop's client, stock, stock's client, the database */
	struct fixture f;

	open_default(&f);
	for (int i = 0; i < 3; i++) {
		client(&k[2 * i], (uint32_t)(10 + i), (uint32_t)(100 + i), (uint64_t)(1000 + 100 * i), (uint16_t)(5000 + i));
		server(&k[2 * i + 1], (uint32_t)(11 + i), (uint32_t)(101 + i), (uint64_t)(1000 + 100 * i + (server_first ? -5 : 5)), (uint16_t)(5000 + i));
		begin(&f, &k[2 * i + server_first]);
		begin(&f, &k[2 * i + !server_first]);
	}
	for (int i = 5; i >= 0; i--)
		end(&f, &k[i], (uint64_t)(3000 - 10 * i));
	struct correlate_counts n = finish(&f);
	assert_root(&k[0]);
	for (int i = 1; i < 6; i++)
		assert_child(&k[i], &k[i - 1], i % 2 ? "socket" : "thread");
	assert_int_equal(n.joined_socket, 3);
	assert_int_equal(n.joined_thread, 2);
	assert_int_equal(n.roots, 1);
	assert_int_equal(n.ambiguous + n.contradicted + n.refused, 0);
	/* What had arrived had been sent. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(k[2 * i].x.request.start_ns, 1000 + 100 * i - (server_first ? 5 : 0));
}

static void three_services(void **state)
{
	(void)state;
	chain(false);
	chain(true);
}

static void a_child_may_be_settled_long_before_its_parent(void **state)
{
	struct call root, shop, query;
	struct fixture f;

	(void)state;
	open_default(&f);
	client(&root, 10, 100, 1000, 5000);
	server(&shop, 11, 101, 1010, 5000);
	client(&query, 11, 101, 1100, 6000);
	begin(&f, &root);
	begin(&f, &shop);
	begin(&f, &query);
	end(&f, &query, 1200);
	assert_true(query.released); /* its trace begins with a caller on this node: nothing can change it */
	assert_false(shop.released);
	end(&f, &shop, 1300 + HOLD);
	end(&f, &root, 1400 + HOLD);
	finish(&f);
	assert_root(&root);
	assert_child(&shop, &root, "socket");
	assert_child(&query, &shop, "thread");
}

/* Who called a server may be written down late: its own spans wait, and those of the calls that it makes. */
static void a_server_without_caller_is_held(void **state)
{
	struct call shop, query;
	struct fixture f;

	(void)state;
	open_default(&f);
	server(&shop, 11, 101, 1010, 5000);
	client(&query, 11, 101, 1100, 6000);
	begin(&f, &shop);
	begin(&f, &query);
	end(&f, &query, 1200);
	end(&f, &shop, 1300);
	correlate_tick(f.c, 1200 + HOLD - 1);
	assert_false(query.released);
	correlate_tick(f.c, 1200 + HOLD);
	assert_true(query.released);
	assert_false(shop.released);
	correlate_tick(f.c, 1300 + HOLD);
	assert_true(shop.released);
	finish(&f);
	assert_root(&shop);
	assert_child(&query, &shop, "thread");
}

/* The child's trace is fixed before its parent's parent is found: the late one joins, for its own trace is still open. */
static void a_late_parent_does_not_change_a_fixed_trace(void **state)
{
	struct call root, shop, query;
	struct fixture f;

	(void)state;
	open_default(&f);
	server(&shop, 11, 101, 1010, 5000);
	client(&query, 11, 101, 1100, 6000);
	begin(&f, &shop);
	begin(&f, &query);
	end(&f, &query, 1200);
	correlate_tick(f.c, 1200 + HOLD);
	client(&root, 10, 100, 1300 + HOLD, 5000);
	begin(&f, &root);
	end(&f, &shop, 1400 + HOLD);
	end(&f, &root, 1500 + HOLD);
	finish(&f);
	assert_child(&query, &shop, "thread");
	assert_child(&shop, &root, "socket");
}

/* Messages that are handled together were sent by several: links, and no parent. What is no context is none. */
static void several_senders_are_links(void **state)
{
	static const char *const texts[] = { "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-00000000000000000000000000000000-b7ad6b7169203331-01",
					     "00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-00" };
	struct call k;
	struct fixture f;

	(void)state;
	open_default(&f);
	client(&k, 1, 1, 1000, 40001);
	for (int i = 0; i < 3 + SPAN_LINKS_MAX; i++)
		k.x.attrs[k.x.nattrs++] = (struct attr){ .id = ATTR_RAW_LINK, .type = ATTR_TYPE_STR, .str = slice_str(texts[i < 3 ? i : 0]) };
	begin(&f, &k);
	end(&f, &k, 2000);
	assert_int_equal(finish(&f).roots, 1);
	assert_root(&k);
	assert_int_equal(k.span.nlinks, SPAN_LINKS_MAX);
	assert_int_equal(k.span.links_dropped, 2);
	assert_int_equal(k.span.links[0].trace_id[0], 0x0a);
	assert_int_equal(k.span.links[0].span_id[7], 0x31);
	assert_int_equal(k.span.links[1].trace_id[0], 0x1a);
}

static void wire_context(void **state)
{
	static const uint8_t trace[16] = { 0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c };
	static const uint8_t span[8] = { 0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31 };
	const char *sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
	const char *unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
	struct call a, b, query;
	struct fixture f;

	(void)state;
	/* Server alone: the wire's ids, remote parent; its own calls follow. */
	open_default(&f);
	server(&a, 11, 101, 1000, 5000);
	context(&a, unsampled);
	a.x.attrs[a.x.nattrs++] = (struct attr){ .id = ATTR_RAW_TRACESTATE, .type = ATTR_TYPE_STR, .str = SLICE_LIT("x=1") };
	client(&query, 11, 101, 1100, 6000);
	begin(&f, &a);
	begin(&f, &query);
	end(&f, &query, 1200);
	end(&f, &a, 1300);
	struct correlate_counts n = finish(&f);
	assert_memory_equal(a.span.trace_id, trace, 16);
	assert_memory_equal(a.span.parent_id, span, 8);
	assert_true(a.span.remote_parent);
	assert_false(a.span.sampled);
	assert_true(slice_eq(a.span.trace_state, SLICE_LIT("x=1")));
	assert_child(&query, &a, "thread");
	assert_false(query.span.sampled);
	assert_int_equal(n.joined_wire, 1);

	/* Both ends: the client hangs on the wire's span, the server on our client span. */
	open_default(&f);
	client(&a, 10, 100, 1000, 5000);
	server(&b, 11, 101, 1010, 5000);
	context(&a, sampled);
	context(&b, sampled);
	begin(&f, &a);
	begin(&f, &b);
	end(&f, &b, 1200);
	end(&f, &a, 1300);
	finish(&f);
	assert_memory_equal(a.span.trace_id, trace, 16);
	assert_memory_equal(a.span.parent_id, span, 8);
	assert_true(a.span.remote_parent && a.span.sampled);
	assert_child(&b, &a, "socket");
}

static void wire_outranks_the_thread(void **state)
{
	const char *first = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
	const char *second = "00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01";
	const char *third = "00-0af7651916cd43dd8448eb211c80319c-d7ad6b7169203331-01";
	struct call a, own, handed_on, inner, late;
	struct fixture f;

	(void)state;
	open_default(&f);
	server(&a, 11, 101, 1000, 5000);
	context(&a, first);
	client(&own, 11, 101, 1100, 6000); /* the program started a trace of its own */
	context(&own, second);
	client(&handed_on, 11, 101, 1200, 6001); /* a proxy passes on what it got */
	context(&handed_on, first);
	client(&inner, 11, 101, 1250, 6003); /* the program has a span of its own between */
	context(&inner, third);
	client(&late, 11, 101, 1300, 6002); /* its headers are seen only at its end */
	begin(&f, &a);
	begin(&f, &own);
	begin(&f, &handed_on);
	begin(&f, &inner);
	begin(&f, &late);
	context(&late, second);
	end(&f, &late, 1400);
	end(&f, &inner, 1450);
	end(&f, &handed_on, 1500);
	end(&f, &own, 1600);
	end(&f, &a, 1700);
	struct correlate_counts n = finish(&f);
	assert_int_equal(n.contradicted, 0);
	assert_int_equal(inner.span.trace_id[0], 0x0a);
	assert_int_equal(inner.span.parent_id[0], 0xd7);
	assert_int_equal(own.span.trace_id[0], 0x1a);
	assert_int_equal(own.span.parent_id[0], 0xc7);
	assert_true(own.span.remote_parent);
	assert_child(&handed_on, &a, "thread");
	assert_int_equal(late.span.trace_id[0], 0x1a);
	assert_int_equal(late.span.parent_id[0], 0xc7);
}

/* A program that calls itself, the server's record first: the call must not become its own ancestor. */
static void no_cycles(void **state)
{
	struct call a, call;
	struct fixture f;

	(void)state;
	open_default(&f);
	server(&a, 11, 101, 1000, 5000);
	client(&call, 11, 102, 1001, 5000);
	begin(&f, &a);
	begin(&f, &call);
	end(&f, &a, 1040);
	end(&f, &call, 1050);
	finish(&f);
	assert_root(&call);
	assert_child(&a, &call, "socket");
}

static void samplers(void **state)
{
	struct fixture f;
	int sampled = 0;

	(void)state;
	open_with(&f, (struct correlate_options){ .sampler = SAMPLER_RATIO, .ratio = 0.25, .parent_based = true });
	for (int i = 0; i < 4001; i++) {
		static struct call k, below;
		server(&k, 11, 101, (uint64_t)(1000 + i * 100), 5000);
		client(&below, 11, 101, (uint64_t)(1010 + i * 100), 6000);
		begin(&f, &k);
		begin(&f, &below);
		end(&f, &below, 1020);
		end(&f, &k, 1050);
		correlate_flush(f.c);
		assert_int_equal(k.span.sampled, below.span.sampled);
		sampled += k.span.sampled;
	}
	finish(&f);
	assert_in_range(sampled, 900, 1100);

	struct call k;
	open_with(&f, (struct correlate_options){ .sampler = SAMPLER_ALWAYS_OFF, .parent_based = true });
	server(&k, 11, 101, 1000, 5000);
	context(&k, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
	begin(&f, &k);
	end(&f, &k, 1100);
	finish(&f);
	assert_true(k.span.sampled); /* the wire's decision is obeyed … */
	open_with(&f, (struct correlate_options){ .sampler = SAMPLER_ALWAYS_OFF });
	server(&k, 11, 101, 1000, 5000);
	context(&k, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
	begin(&f, &k);
	end(&f, &k, 1100);
	finish(&f);
	assert_false(k.span.sampled); /* … unless the operator says otherwise */
}

static void responses_alone_and_early_release(void **state)
{
	static struct call k[7];
	struct fixture f;

	(void)state;
	open_with(&f, (struct correlate_options){ .sampler = SAMPLER_ALWAYS_ON, .max_held = 5 });
	for (int i = 0; i < 7; i++) {
		server(&k[i], 10, 100, 1000, (uint16_t)(5000 + i));
		k[i].x.request = (struct exchange_side){ 0 };
		k[i].x.response.start_ns = 1000;
		k[i].x.flags = EXCHANGE_NO_REQUEST;
		end(&f, &k[i], 1100); /* without a begin */
	}
	assert_true(k[1].released && !k[2].released);
	struct correlate_counts n = finish(&f);
	assert_int_equal(n.released_early, 2);
	assert_int_equal(n.held, 0);
	for (int i = 0; i < 7; i++) {
		assert_root(&k[i]);
		assert_int_equal(k[i].order, i);
		if (i)
			assert_memory_not_equal(k[i].span.trace_id, k[i - 1].span.trace_id, 16);
	}
}

static void without_room_an_exchange_is_a_root(void **state)
{
	static struct call k[5];
	struct fixture f;

	(void)state;
	open_with(&f, (struct correlate_options){ .sampler = SAMPLER_ALWAYS_ON, .max_nodes = 3 });
	for (int i = 0; i < 5; i++) {
		server(&k[i], 10, 100, 1000, (uint16_t)(5000 + i));
		begin(&f, &k[i]);
	}
	for (int i = 4; i >= 0; i--)
		end(&f, &k[i], 1100);
	struct correlate_counts n = finish(&f);
	for (int i = 0; i < 5; i++)
		assert_root(&k[i]);
	assert_int_equal(n.refused, 2);
	assert_int_equal(n.roots, 3);
}

/* Many chains with overlapping lives; no node may stay, so with room for few of them all are served. Twice: the ids are the same. */
static void many_exchanges_leave_nothing(void **state)
{
	enum { AT_ONCE = 16 };
	static struct call k[AT_ONCE][3];
	static uint8_t ids[CALLS][16];

	(void)state;
	for (int run = 0; run < 2; run++) {
		struct fixture f;
		next_sock = 1000000;
		open_with(&f, (struct correlate_options){ .sampler = SAMPLER_ALWAYS_ON, .max_nodes = AT_ONCE * 3 });
		for (int i = 0; i < CALLS + AT_ONCE; i++) {
			struct call *c = k[i % AT_ONCE];
			uint64_t now = (uint64_t)i * HOLD;
			if (i >= AT_ONCE) { /* ends what began AT_ONCE rounds ago */
				end(&f, &c[2], now + 1);
				end(&f, &c[1], now + 2);
				end(&f, &c[0], now + 3);
				correlate_tick(f.c, now + 3 + HOLD);
				assert_child(&c[1], &c[0], "socket");
				assert_child(&c[2], &c[1], "thread");
				if (run == 0)
					memcpy(ids[i - AT_ONCE], c[2].span.trace_id, 16);
				else
					assert_memory_equal(ids[i - AT_ONCE], c[2].span.trace_id, 16);
			}
			if (i >= CALLS)
				continue;
			client(&c[0], 10, 100, now + 4, (uint16_t)(5000 + i % 30000));
			server(&c[1], 11, (uint32_t)(200 + i % AT_ONCE), now + 5, (uint16_t)(5000 + i % 30000));
			client(&c[2], 11, (uint32_t)(200 + i % AT_ONCE), now + 6, (uint16_t)(40000 + i % 20000));
			begin(&f, &c[0]);
			begin(&f, &c[1]);
			begin(&f, &c[2]);
		}
		struct correlate_counts n = finish(&f);
		assert_int_equal(f.released, CALLS * 3);
		assert_int_equal(n.refused, 0);
		assert_int_equal(n.joined_socket, CALLS);
		assert_int_equal(n.joined_thread, CALLS);
		assert_int_equal(n.roots, CALLS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_services),
		cmocka_unit_test(a_child_may_be_settled_long_before_its_parent),
		cmocka_unit_test(a_server_without_caller_is_held),
		cmocka_unit_test(a_late_parent_does_not_change_a_fixed_trace),
		cmocka_unit_test(several_senders_are_links),
		cmocka_unit_test(wire_context),
		cmocka_unit_test(wire_outranks_the_thread),
		cmocka_unit_test(no_cycles),
		cmocka_unit_test(samplers),
		cmocka_unit_test(responses_alone_and_early_release),
		cmocka_unit_test(without_room_an_exchange_is_a_root),
		cmocka_unit_test(many_exchanges_leave_nothing),
	};
	return cmocka_run_group_tests_name("correlate", tests, NULL, NULL);
}

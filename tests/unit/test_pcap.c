/* SPDX-License-Identifier: Apache-2.0 */
/* source/pcap on captures made here: every link type, both IP versions, fragments, TCP in every disorder, and damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <pcap/dlt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "source/packet.h"
#include "source/source.h"

static char path[64];
static uint8_t file[1 << 20];
static size_t file_len;
static uint64_t clock_ns;
static bool nanoseconds;

static const uint64_t epoch = 1700000000ull * 1000000000ull;

enum { FILE_EN10MB = 1, FILE_NULL = 0, FILE_RAW = 101, FILE_LOOP = 108, FILE_SLL = 113, FILE_IPV4 = 228, FILE_IPV6 = 229, FILE_SLL2 = 276 };

static void raw(const void *p, size_t n)
{
	assert_true(file_len + n <= sizeof(file));
	memcpy(file + file_len, p, n);
	file_len += n;
}

static void begin(uint32_t link)
{
	uint32_t magic = nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4, snap = 262144, zero = 0;
	uint16_t version[2] = { 2, 4 };

	file_len = 0;
	clock_ns = epoch;
	raw(&magic, 4);
	raw(version, 4);
	raw(&zero, 4);
	raw(&zero, 4);
	raw(&snap, 4);
	raw(&link, 4);
}

static void frame(const uint8_t *p, size_t len, size_t captured)
{
	uint32_t h[4] = { (uint32_t)(clock_ns / 1000000000), (uint32_t)(clock_ns % 1000000000 / (nanoseconds ? 1 : 1000)), (uint32_t)captured,
			  (uint32_t)len };
	raw(h, 16);
	raw(p, captured);
	clock_ns += 1000000;
}

static size_t be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return 2;
}

static size_t be32(uint8_t *p, uint32_t v)
{
	be16(p, v >> 16);
	be16(p + 2, v);
	return 4;
}

/* Client 10.0.0.1:40000, server 10.0.0.2:80, or the same of v6. */
struct build {
	uint32_t link;
	bool v6, from_server, v6_options, ip_options;
	int vlans;
	uint16_t sport, dport;
	size_t snap;
	uint8_t protocol;
	bool more;
	uint32_t frag; /* byte offset, with `fragment` */
	bool fragment;
	uint16_t id;
	size_t pad;
};

static size_t link_header(const struct build *b, uint8_t *p)
{
	uint32_t type = b->v6 ? 0x86dd : 0x0800, family = b->v6 ? 30 : 2;
	size_t n = 0;

	memset(p, 0, 64);
	switch (b->link) {
	case FILE_NULL: memcpy(p, &family, 4); return 4;
	case FILE_LOOP: return be32(p, family);
	case FILE_SLL: return 14 + be16(p + 14, type);
	case FILE_SLL2: be16(p, type); return 20;
	case FILE_EN10MB:
		n = 12;
		for (int v = 0; v < b->vlans; v++) {
			n += be16(p + n, v == 0 && b->vlans > 1 ? 0x88a8 : 0x8100);
			n += be16(p + n, 7);
		}
		return n + be16(p + n, type);
	default: return 0;
	}
}

static void ip_frame(const struct build *b, const void *body, size_t len)
{
	uint8_t p[70000];
	size_t n = link_header(b, p), ip = n;
	uint8_t src = b->from_server ? 2 : 1, dst = b->from_server ? 1 : 2;

	if (b->v6) {
		size_t extra = (b->v6_options ? 16u : 0) + (b->fragment ? 8u : 0);
		memset(p + n, 0, 64);
		p[n] = 0x60;
		be16(p + n + 4, (uint32_t)(len + extra));
		uint8_t *next = p + n + 6;
		p[n + 8] = p[n + 24] = 0xfd;
		p[n + 23] = src;
		p[n + 39] = dst;
		n += 40;
		if (b->v6_options) {
			*next = IPPROTO_HOPOPTS;
			next = p + n;
			p[n + 1] = 1; /* 16 bytes */
			n += 16;
		}
		if (b->fragment) {
			*next = IPPROTO_FRAGMENT;
			next = p + n;
			be16(p + n + 2, b->frag | b->more);
			be32(p + n + 4, b->id);
			n += 8;
		}
		*next = b->protocol;
	} else {
		size_t header = b->ip_options ? 24 : 20;
		memset(p + n, 0, header);
		p[n] = (uint8_t)(0x40 | header / 4);
		be16(p + n + 2, (uint32_t)(header + len));
		be16(p + n + 4, b->id);
		be16(p + n + 6, b->fragment ? (b->more ? 0x2000 : 0) | b->frag / 8 : 0);
		p[n + 9] = b->protocol;
		p[n + 12] = p[n + 16] = 10;
		p[n + 15] = src;
		p[n + 19] = dst;
		n += header;
	}
	(void)ip;
	memcpy(p + n, body, len);
	n += len;
	memset(p + n, 0xaa, b->pad);
	n += b->pad;
	frame(p, n, b->snap && b->snap < n ? b->snap : n);
}

static size_t segment_of(const struct build *b, uint8_t *t, uint8_t flags, uint32_t seq, uint32_t ack, const char *data, size_t len)
{
	uint16_t client = b->sport ? b->sport : 40000, server = b->dport ? b->dport : 80;

	memset(t, 0, 32);
	be16(t, b->from_server ? server : client);
	be16(t + 2, b->from_server ? client : server);
	be32(t + 4, seq);
	be32(t + 8, ack);
	t[12] = 8 << 4; /* with 12 bytes of options */
	t[13] = flags;
	memcpy(t + 32, data, len);
	return 32 + len;
}

static void tcp(struct build b, bool from_server, uint8_t flags, uint32_t seq, uint32_t ack, const char *data)
{
	uint8_t t[2048];

	b.from_server = from_server;
	b.protocol = IPPROTO_TCP;
	ip_frame(&b, t, segment_of(&b, t, flags, seq, ack, data, strlen(data)));
}

static size_t datagram_of(uint8_t *u, bool from_server, const void *data, size_t len)
{
	be16(u, from_server ? 53 : 50000);
	be16(u + 2, from_server ? 50000 : 53);
	be16(u + 4, (uint32_t)(8 + len));
	be16(u + 6, 0);
	memcpy(u + 8, data, len);
	return 8 + len;
}

static void udp(struct build b, bool from_server, const char *data)
{
	uint8_t u[2048];

	b.from_server = from_server;
	b.protocol = IPPROTO_UDP;
	ip_frame(&b, u, datagram_of(u, from_server, data, strlen(data)));
}

/* What came out, as one line a record. */
struct trace {
	char text[1 << 16];
	size_t len;
	uint64_t offset_ns, last_ns, data_bytes, ticks;
	uint8_t seed[16];
	struct source_counts counts;
	char error[256];
	uint64_t first_time;
	struct plumb_rec_sock sock;
};

static void say(struct trace *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct trace *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int n = vsnprintf(t->text + t->len, sizeof(t->text) - t->len, format, args);
	va_end(args);
	if (n > 0 && t->len + (size_t)n < sizeof(t->text))
		t->len += (size_t)n;
}

static int note(void *ctx, const struct record *rec, struct slice payload)
{
	struct trace *t = ctx;
	const struct plumb_rec_data *d = &rec->u.data;

	assert_true(rec->u.h.time_ns >= t->last_ns);
	assert_int_equal(payload.len, record_payload_bytes(rec));
	t->last_ns = rec->u.h.time_ns;
	switch (rec->u.h.type) {
	case PLUMB_REC_START:
		assert_int_equal(t->len, 0);
		t->offset_ns = rec->u.start.realtime_offset_ns;
		memcpy(t->seed, rec->u.start.seed, 16);
		t->first_time = rec->u.h.time_ns;
		assert_int_equal(rec->u.start.flags, PLUMB_START_PCAP);
		return 0;
	case PLUMB_REC_TICK: t->ticks++; return 0;
	case PLUMB_REC_SOCK_OPEN:
		t->sock = rec->u.sock;
		say(t, "open %llu role %u %u>%u%s\n", (unsigned long long)rec->u.sock.sock, rec->u.sock.role, rec->u.sock.local_port,
		    rec->u.sock.remote_port, rec->u.sock.flags & PLUMB_SOCK_PREEXISTING ? " old" : "");
		return 0;
	case PLUMB_REC_SOCK_CLOSE:
		say(t, "close %llu error %d sent %llu received %llu again %u\n", (unsigned long long)rec->u.sock_stats.sock,
		    rec->u.sock_stats.error, (unsigned long long)rec->u.sock_stats.bytes_sent,
		    (unsigned long long)rec->u.sock_stats.bytes_received, rec->u.sock_stats.retransmits);
		return 0;
	default:
		assert_true(d->flags & PLUMB_DATA_WIRE);
		t->data_bytes += d->len;
		say(t, "%s%llu @%u %u/%u%s%s", d->direction ? ">" : "<", (unsigned long long)d->sock, (uint32_t)d->offset, d->captured, d->len,
		    d->flags & PLUMB_DATA_EOF ? " eof" : "", d->flags & PLUMB_DATA_CONTINUED ? " more" : "");
		say(t, " %.*s\n", (int)(payload.len < 40 ? payload.len : 40), payload.len ? (const char *)payload.ptr : "");
		return 0;
	}
}

static struct trace *run_bytes(size_t len)
{
	struct trace *t = calloc(1, sizeof(*t));
	struct source *s;
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(file, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	if (source_open_file(path, &s, t->error, sizeof(t->error)) != 0)
		return t;
	int n;
	while ((n = s->ops->read(s, 3, 0, note, t)) > 0)
		;
	assert_int_equal(n, -ENODATA);
	s->ops->counts(s, &t->counts);
	if (s->ops->error(s))
		snprintf(t->error, sizeof(t->error), "%s", s->ops->error(s));
	s->ops->close(s);
	return t;
}

static void expect(const char *text)
{
	struct trace *t = run_bytes(file_len);

	assert_string_equal(t->text, text);
	assert_string_equal(t->error, "");
	assert_int_equal(t->counts.corrupt, 0);
	free(t);
}

static void whole_connection(struct build b)
{
	tcp(b, false, PACKET_SYN, 1000, 0, "");
	tcp(b, true, PACKET_SYN | PACKET_ACK, 5000, 1001, "");
	tcp(b, false, PACKET_ACK, 1001, 5001, "");
	tcp(b, false, PACKET_ACK, 1001, 5001, "hello");
	tcp(b, true, PACKET_ACK, 5001, 1006, "goodbye");
	tcp(b, false, PACKET_FIN | PACKET_ACK, 1006, 5008, "");
	tcp(b, true, PACKET_FIN | PACKET_ACK, 5008, 1007, "");
	tcp(b, false, PACKET_ACK, 1007, 5009, "");
}

static const char whole_text[] = "open 1 role 1 40000>80\n>1 @1001 5/5 hello\n<1 @5001 7/7 goodbye\n"
				 ">1 @1006 0/0 eof \n<1 @5008 0/0 eof \nclose 1 error 0 sent 5 received 7 again 0\n";

static void every_link_type(void **state)
{
	static const struct build builds[] = {
		{ .link = FILE_EN10MB }, { .link = FILE_EN10MB, .v6 = true }, { .link = FILE_EN10MB, .vlans = 1 },
		{ .link = FILE_EN10MB, .vlans = 2, .v6 = true }, { .link = FILE_SLL }, { .link = FILE_SLL, .v6 = true }, { .link = FILE_SLL2 },
		{ .link = FILE_SLL2, .v6 = true }, { .link = FILE_NULL }, { .link = FILE_NULL, .v6 = true }, { .link = FILE_LOOP },
		{ .link = FILE_RAW }, { .link = FILE_RAW, .v6 = true }, { .link = FILE_IPV4 }, { .link = FILE_IPV6, .v6 = true },
		{ .link = FILE_EN10MB, .ip_options = true }, { .link = FILE_EN10MB, .v6 = true, .v6_options = true },
		{ .link = FILE_EN10MB, .pad = 13 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(builds) / sizeof(*builds); i++) {
		nanoseconds = i & 1;
		begin(builds[i].link);
		whole_connection(builds[i]);
		expect(whole_text);
	}
	nanoseconds = false;
	begin(105); /* 802.11 */
	struct trace *t = run_bytes(file_len);
	assert_non_null(strstr(t->error, "link type"));
	free(t);
}

static void times_and_addresses_are_the_captures(void **state)
{
	(void)state;
	nanoseconds = true;
	begin(FILE_EN10MB);
	clock_ns += 123456789;
	whole_connection((struct build){ .link = FILE_EN10MB });
	struct trace *t = run_bytes(file_len), *again = run_bytes(file_len);
	assert_int_equal(t->first_time + t->offset_ns, epoch + 123456789);
	assert_int_equal(t->last_ns + t->offset_ns, epoch + 123456789 + 7000000);
	assert_int_equal(t->sock.connect_us, 1000);
	assert_memory_equal(t->sock.local_addr, "\x0a\0\0\x01", 4);
	assert_memory_equal(t->sock.remote_addr, "\x0a\0\0\x02", 4);
	assert_int_equal(t->sock.family, AF_INET);
	assert_int_equal(t->sock.type, SOCK_STREAM);
	assert_memory_equal(t->seed, again->seed, 16);
	assert_string_equal(t->text, again->text);
	free(t);
	free(again);
	nanoseconds = false;
}

static void ticks_fill_silence(void **state)
{
	struct build b = { .link = FILE_RAW };

	(void)state;
	begin(FILE_RAW);
	tcp(b, false, PACKET_ACK, 1, 1, "a");
	for (int i = 0; i < 11; i++) {
		clock_ns += 150000000;
		tcp(b, true, PACKET_ACK, 1, 2, "");
	}
	struct trace *t = run_bytes(file_len);
	assert_int_equal(t->ticks, 11);
	free(t);
}

static void disorder_keeps_places(void **state)
{
	struct build b = { .link = FILE_RAW };

	(void)state;
	begin(FILE_RAW); /* wraps, comes out of order, twice, overlapping */
	tcp(b, false, PACKET_SYN, 0xfffffff9u, 0, "");
	tcp(b, true, PACKET_SYN | PACKET_ACK, 77, 0xfffffffau, "");
	tcp(b, false, PACKET_ACK, 0xfffffffau, 78, "abc");
	tcp(b, false, PACKET_ACK, 1, 78, "hij");
	tcp(b, false, PACKET_ACK, 0xfffffffdu, 78, "defg");
	clock_ns += 200000000;
	tcp(b, false, PACKET_ACK, 0xfffffffdu, 78, "defg");
	tcp(b, false, PACKET_ACK, 3, 78, "jkl");
	tcp(b, false, PACKET_FIN | PACKET_ACK, 6, 78, "");
	tcp(b, true, PACKET_RST, 78, 0, "");
	tcp(b, false, PACKET_ACK, 7, 78, "straggler");
	expect("open 1 role 1 40000>80\n>1 @4294967290 3/3 abc\n>1 @1 3/3 hij\n>1 @4294967293 4/4 defg\n>1 @4294967293 4/4 defg\n"
	       ">1 @3 3/3 jkl\n>1 @6 0/0 eof \nclose 1 error 104 sent 12 received 0 again 2\n");
}

static void first_segment_may_come_late(void **state)
{
	struct build b = { .link = FILE_RAW };

	(void)state;
	begin(FILE_RAW);
	tcp(b, false, PACKET_SYN, 99, 0, "");
	tcp(b, true, PACKET_SYN | PACKET_ACK, 499, 100, "");
	tcp(b, false, PACKET_ACK, 105, 500, "world");
	tcp(b, false, PACKET_ACK, 110, 500, "!");
	tcp(b, false, PACKET_ACK, 100, 500, "hello");
	expect("open 1 role 1 40000>80\n>1 @100 5/5 hello\n>1 @105 5/5 world\n>1 @110 1/1 !\n");

	begin(FILE_RAW); /* it never comes: told after a while */
	tcp(b, false, PACKET_SYN, 99, 0, "");
	tcp(b, true, PACKET_SYN | PACKET_ACK, 499, 100, "");
	tcp(b, false, PACKET_ACK, 105, 500, "world");
	clock_ns += 2000000000;
	tcp(b, false, PACKET_ACK, 110, 500, "!");
	tcp(b, true, PACKET_ACK, 505, 111, "b"); /* to the very end */
	expect("open 1 role 1 40000>80\n>1 @105 5/5 world\n>1 @110 1/1 !\n<1 @505 1/1 b\n");
}

static void handshakes_in_every_state(void **state)
{
	struct build b = { .link = FILE_RAW };

	(void)state;
	begin(FILE_RAW); /* none: the higher port is taken for the client's */
	tcp(b, true, PACKET_ACK, 500, 100, "answer");
	tcp(b, false, PACKET_ACK, 100, 506, "ask");
	expect("open 1 role 0 40000>80 old\n<1 @500 6/6 answer\n>1 @100 3/3 ask\n");

	begin(FILE_RAW); /* only its second half */
	tcp(b, true, PACKET_SYN | PACKET_ACK, 499, 100, "");
	tcp(b, false, PACKET_ACK, 100, 500, "ask");
	expect("open 1 role 1 40000>80\n>1 @100 3/3 ask\n");

	begin(FILE_RAW); /* refused */
	tcp(b, false, PACKET_SYN, 99, 0, "");
	tcp(b, true, PACKET_RST | PACKET_ACK, 0, 100, "");
	expect("open 1 role 1 40000>80\nclose 1 error 111 sent 0 received 0 again 0\n");

	begin(FILE_RAW); /* fast open: data with the SYN stands behind it */
	tcp(b, false, PACKET_SYN, 99, 0, "early");
	expect("open 1 role 1 40000>80\n>1 @100 5/5 early\n");

	begin(FILE_RAW); /* the same ports again, after a close and instead of one */
	whole_connection(b);
	tcp(b, false, PACKET_SYN, 70000, 0, "");
	tcp(b, true, PACKET_SYN | PACKET_ACK, 80000, 70001, "");
	tcp(b, false, PACKET_ACK, 70001, 80001, "two");
	tcp(b, false, PACKET_SYN, 90000, 0, "");
	tcp(b, true, PACKET_SYN | PACKET_ACK, 10000, 90001, "");
	tcp(b, false, PACKET_ACK, 90001, 10001, "three");
	struct trace *t = run_bytes(file_len);
	assert_string_equal(t->text + sizeof(whole_text) - 1, "open 2 role 1 40000>80\n>2 @70001 3/3 two\nclose 2 error 0 sent 3 received 0 again 0\n"
							      "open 3 role 1 40000>80\n>3 @90001 5/5 three\n");
	free(t);
}

static void seen_twice_is_one(void **state)
{
	struct build b = { .link = FILE_RAW };

	(void)state;
	begin(FILE_RAW); /* as the device "any" captures loopback */
	for (int step = 0; step < 2; step++) {
		for (int i = 0; i < 2; i++, clock_ns -= 999000)
			step ? tcp(b, true, PACKET_SYN | PACKET_ACK, 499, 100, "") : tcp(b, false, PACKET_SYN, 99, 0, "");
		clock_ns += 50000000;
	}
	tcp(b, false, PACKET_ACK, 100, 500, "ask");
	clock_ns -= 999000;
	tcp(b, false, PACKET_ACK, 100, 500, "ask");
	tcp(b, true, PACKET_RST, 500, 0, "");
	expect("open 1 role 1 40000>80\n>1 @100 3/3 ask\n>1 @100 3/3 ask\nclose 1 error 104 sent 3 received 0 again 0\n");

	begin(FILE_RAW);
	udp(b, false, "query");
	clock_ns -= 999000;
	udp(b, false, "query");
	clock_ns += 5000000;
	udp(b, false, "query"); /* a retry */
	udp(b, true, "reply");
	expect("open 1 role 1 50000>53\n>1 @0 5/5 query\n>1 @5 5/5 query\n<1 @0 5/5 reply\n");
}

static void silence_ends_a_conversation(void **state)
{
	struct build b = { .link = FILE_RAW };

	(void)state;
	begin(FILE_RAW);
	udp(b, false, "one");
	clock_ns += 61000000000;
	udp(b, true, "two");
	expect("open 1 role 1 50000>53\n>1 @0 3/3 one\nclose 1 error 0 sent 3 received 0 again 0\nopen 2 role 1 53>50000\n>2 @0 3/3 two\n");
}

static void cut_packets_are_holes(void **state)
{
	struct build b = { .link = FILE_RAW, .snap = 20 + 32 + 4 };

	(void)state;
	begin(FILE_RAW);
	tcp(b, false, PACKET_ACK, 100, 500, "hello world");
	b.snap = 20 + 8 + 2;
	udp(b, false, "hello");
	expect("open 1 role 0 40000>80 old\n>1 @100 4/11 hell\nopen 2 role 1 50000>53\n>2 @0 2/5 he\n");
	b.snap = 20 + 6; /* within the transport's header */
	begin(FILE_RAW);
	udp(b, false, "hello");
	struct trace *t = run_bytes(file_len);
	assert_string_equal(t->text, "");
	assert_int_equal(t->counts.corrupt, 1);
	free(t);
}

static void large_segments_are_split(void **state)
{
	static uint8_t body[40032];
	struct build b = { .link = FILE_RAW, .protocol = IPPROTO_TCP };
	static char text[40000];

	(void)state;
	memset(text, 'z', sizeof(text));
	begin(FILE_RAW);
	ip_frame(&b, body, segment_of(&b, body, PACKET_ACK, 100, 1, text, sizeof(text)));
	b.snap = 20 + 32 + 20000;
	ip_frame(&b, body, segment_of(&b, body, PACKET_ACK, 40100, 1, text, sizeof(text)));
	struct trace *t = run_bytes(file_len);
	assert_int_equal(t->data_bytes, 80000);
	assert_non_null(strstr(t->text, ">1 @16484 16384/16384 more"));
	assert_non_null(strstr(t->text, ">1 @32868 7232/7232 more"));
	assert_non_null(strstr(t->text, ">1 @56484 3616/23616 more")); /* what follows is a hole */
	free(t);
}

static void fragments_are_joined(void **state)
{
	uint8_t u[64];
	size_t n = datagram_of(u, false, "0123456789abcdefghijklmnopqrstuvwxyzABCD", 40); /* 48 bytes */

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct build b = { .link = FILE_RAW, .v6 = v6, .fragment = true, .id = 7, .protocol = IPPROTO_UDP };
		static const int orders[][3] = { { 0, 1, 2 }, { 2, 1, 0 }, { 1, 2, 0 } };
		for (int o = 0; o < 3; o++) {
			begin(FILE_RAW);
			for (int i = 0; i < 3; i++) {
				b.frag = (uint32_t)orders[o][i] * 16;
				b.more = orders[o][i] != 2;
				ip_frame(&b, u + b.frag, 16);
			}
			expect("open 1 role 1 50000>53\n>1 @0 40/40 0123456789abcdefghijklmnopqrstuvwxyzABCD\n");
		}
		/* An overlap cannot rewrite what came first. */
		begin(FILE_RAW);
		b.frag = 0, b.more = true;
		ip_frame(&b, u, 24);
		uint8_t evil[16];
		memset(evil, '!', 16);
		b.frag = 8;
		ip_frame(&b, evil, 16);
		b.frag = 24, b.more = false;
		ip_frame(&b, u + 24, n - 24);
		expect("open 1 role 1 50000>53\n>1 @0 40/40 0123456789abcdefghijklmnopqrstuvwxyzABCD\n");
		/* Two different ends: given up. One missing: nothing, and no leak. */
		begin(FILE_RAW);
		b.frag = 24, b.more = false;
		ip_frame(&b, u + 24, 24);
		b.frag = 32;
		ip_frame(&b, u + 32, 8);
		struct trace *t = run_bytes(file_len);
		assert_string_equal(t->text, "");
		assert_true(t->counts.corrupt > 0);
		free(t);
	}
}

static void fragments_are_bounded(void **state)
{
	uint8_t u[16] = { 0 };
	struct build b = { .link = FILE_RAW, .fragment = true, .more = true, .protocol = IPPROTO_UDP };

	(void)state;
	begin(FILE_RAW);
	for (uint16_t id = 0; id < 211; id++) {
		b.id = id;
		ip_frame(&b, u, 16);
	}
	struct trace *t = run_bytes(file_len);
	assert_int_equal(t->counts.corrupt, 211 - 64);
	free(t);
}

static void pcapng_is_read(void **state)
{
	uint8_t p[2048];
	size_t n;
	uint32_t shb[7] = { 0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 0xffffffff, 0xffffffff, 28 };
	uint32_t idb[5] = { 1, 20, FILE_RAW, 262144, 20 };

	(void)state;
	/* Packets made as pcap, wrapped anew. */
	begin(FILE_RAW);
	whole_connection((struct build){ .link = FILE_RAW });
	static uint8_t old[1 << 16];
	size_t old_len = file_len;
	memcpy(old, file, old_len);
	file_len = 0;
	raw(shb, sizeof(shb));
	raw(idb, sizeof(idb));
	for (size_t at = 24; at < old_len; at += 16 + n) {
		uint32_t h[4];
		memcpy(h, old + at, 16);
		n = h[2];
		uint64_t us = h[0] * 1000000ull + h[1];
		uint32_t padded = (uint32_t)((n + 3) & ~3ull), total = 32 + padded;
		uint32_t epb[7] = { 6, total, 0, (uint32_t)(us >> 32), (uint32_t)us, h[2], h[3] };
		memset(p, 0, sizeof(p));
		memcpy(p, old + at + 16, n);
		raw(epb, sizeof(epb));
		raw(p, padded);
		raw(&total, 4);
	}
	expect(whole_text);
}

/* Every cut and every damaged byte: an error or a count, never a crash (the sanitizers watch). */
static void damage_is_survived(void **state)
{
	(void)state;
	begin(FILE_EN10MB);
	whole_connection((struct build){ .link = FILE_EN10MB, .vlans = 1 });
	udp((struct build){ .link = FILE_EN10MB, .v6 = true, .v6_options = true }, false, "query");
	size_t len = file_len, told = 0;
	for (size_t cut = 0; cut < len; cut += 3) {
		struct trace *t = run_bytes(cut);
		told += t->error[0] != 0;
		free(t);
	}
	assert_true(told >= len / 3 - 9); /* all but those at a packet's end */
	for (size_t at = 0; at < len; at++) {
		file[at] ^= (uint8_t)(0xff >> at % 8);
		free(run_bytes(len));
		file[at] ^= (uint8_t)(0xff >> at % 8);
	}
}

static void other_files_are_refused(void **state)
{
	(void)state;
	memcpy(file, "GET / HTTP/1.1\r\n", 16);
	struct trace *t = run_bytes(16);
	assert_non_null(strstr(t->error, "neither"));
	free(t);
	t = run_bytes(0);
	assert_non_null(strstr(t->error, "neither"));
	free(t);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/plumb-test-pcap.%d", (int)getpid());
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_link_type), cmocka_unit_test(times_and_addresses_are_the_captures), cmocka_unit_test(ticks_fill_silence),
		cmocka_unit_test(disorder_keeps_places), cmocka_unit_test(first_segment_may_come_late),
		cmocka_unit_test(handshakes_in_every_state), cmocka_unit_test(seen_twice_is_one), cmocka_unit_test(silence_ends_a_conversation),
		cmocka_unit_test(cut_packets_are_holes), cmocka_unit_test(large_segments_are_split), cmocka_unit_test(fragments_are_joined),
		cmocka_unit_test(fragments_are_bounded), cmocka_unit_test(pcapng_is_read), cmocka_unit_test(damage_is_survived),
		cmocka_unit_test(other_files_are_refused),
	};
	return cmocka_run_group_tests_name("pcap", tests, set_up, tear_down);
}

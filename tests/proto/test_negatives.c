/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each parser says of one direction's first bytes, without the engine, which test_conversations.c has: it refuses none of its own fixtures, however few
 * bytes there are, and is sure neither of another protocol's, nor of what is common on the wire, nor of random bytes. A protocol on both transports is asked by the
 * transport of the fixture.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>

#include "proto/harness.h"

enum { RANDOM_INPUTS = 4001, RANDOM_MAX = 257, WEAK_MAX = 12, FIRST_MAX = 4096 };

typedef int (*detect_function)(struct slice in, enum proto_side side);

static detect_function detector(const struct proto_ops *ops, bool datagram)
{
	return datagram && ops->detect_datagram ? ops->detect_datagram : ops->detect;
}

/* The first bytes of one direction, up to a hole or until the other side speaks; of datagrams the first one. */
static struct slice first_bytes(const struct fixture *f, enum proto_side side, uint8_t to[FIRST_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < f->nops; i++) {
		size_t len = f->op[i].len;

		if (f->op[i].side != side) {
			if (n)
				break;
			continue;
		}
		if (f->op[i].kind != FIXTURE_BYTES || n + len > FIRST_MAX)
			break;
		memcpy(to + n, f->bytes.data + f->op[i].at, len);
		n += len;
		if (f->datagram)
			break;
	}
	return slice_make(to, n);
}

static void check_own(const struct fixture *f, const char *path)
{
	uint8_t memory[FIRST_MAX];

	for (int side = 0; side < 2 && !f->no_detect; side++) {
		struct slice in = first_bytes(f, (enum proto_side)side, memory);

		for (size_t n = f->datagram ? in.len : 1; n && n <= in.len; n++)
			if (detector(f->ops, f->datagram)(harness_guard(slice_head(in, n)), (enum proto_side)side) < DETECT_MORE)
				fail_msg("%s: side %d: the first %zu bytes are not known", path, side, n);
	}
}

static void check_others(const struct fixture *f, const char *path)
{
	uint8_t memory[FIRST_MAX];

	for (int from = 0; from < 2; from++) {
		struct slice in = first_bytes(f, (enum proto_side)from, memory);

		for (size_t i = 0; i < harness_nparsers; i++)
			for (int side = 0; side < 2 && harness_parsers[i].ops; side++) {
				if (harness_parsers[i].ops == f->ops || in.len == 0)
					continue;
				int score = detector(harness_parsers[i].ops, f->datagram)(harness_guard(in), (enum proto_side)side);
				if (score >= DETECT_LIKELY)
					fail_msg("%s, bytes of side %d: %s to side %d scores %d", path, from, harness_parsers[i].symbol, side, score);
			}
	}
}

struct visit {
	const struct proto_ops *ops;
	void (*check)(const struct fixture *f, const char *path);
	unsigned seen;
};

static void visit_fixture(void *ctx, const char *path)
{
	struct visit *v = ctx;
	char why[HARNESS_WHY] = "";
	struct fixture f;

	if (!fixture_load(path, v->ops, &f, why, sizeof(why)))
		fail_msg("%s", why);
	v->check(&f, path);
	fixture_done(&f);
	v->seen++;
}

static void visit_all(void (*check)(const struct fixture *f, const char *path))
{
	for (size_t i = 0; i < harness_nparsers; i++) {
		struct visit v = { .ops = harness_parsers[i].ops, .check = check };

		if (v.ops)
			harness_each_fixture(harness_parsers[i].symbol, visit_fixture, &v);
		if (v.seen == 0)
			fail_msg("no parser or no fixtures for %s", harness_parsers[i].symbol);
	}
}

static void knows_its_own(void **state)
{
	(void)state;
	visit_all(check_own);
}

static void knows_no_others(void **state)
{
	(void)state;
	visit_all(check_others);
}

/*
 * By every parser but that of `own`, for both sides. Returns how many said more than "too few bytes to tell",
 * which is all right up to `most`.
 */
static unsigned refuse(struct slice in, bool datagram, int most, const char *own, const char *what)
{
	unsigned weak = 0;

	for (size_t i = 0; i < harness_nparsers; i++) {
		const struct proto_ops *ops = harness_parsers[i].ops;
		bool asked = datagram ? proto_on_datagram(ops->id) : proto_on_stream(ops->id);

		for (int side = 0; asked && side < 2 && (!own || strcmp(own, harness_parsers[i].symbol) != 0); side++) {
			int score = detector(ops, datagram)(harness_guard(in), (enum proto_side)side);
			if (score > most)
				fail_msg("%s of %zu bytes: %s to side %d scores %d", what, in.len, harness_parsers[i].symbol, side, score);
			weak += score > DETECT_MORE;
		}
	}
	return weak;
}

/*
 * Formats whose first bytes may be anything behind a type and a length (PostgreSQL's copy data) cannot refuse all:
 * three in a thousand may be weak.
 */
static void refuses_random_bytes(void **state)
{
	uint8_t bytes[RANDOM_MAX];
	unsigned weak = 0;
	uint64_t x = 0x9e3779b97f4a7c15u; /* xorshift64: the same bytes in every run */

	(void)state;
	for (unsigned i = 0; i < RANDOM_INPUTS; i++) {
		size_t n = 16 + i % (RANDOM_MAX - 16);

		for (size_t k = 0; k < n; k++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			bytes[k] = (uint8_t)(x >> 32);
		}
		weak += refuse(slice_make(bytes, n), false, DETECT_WEAK, NULL, "random input");
		weak += refuse(slice_make(bytes, n), true, DETECT_WEAK, NULL, "random datagram");
	}
	assert_in_range(weak, 0, WEAK_MAX);
}

static void refuses_common_bytes(void **state)
{
#define SAMPLE(what, text) { what, { (const uint8_t *)(text), sizeof(text) - 1 }, DETECT_MORE, NULL }
#define SAMPLE_OF(own, what, text) { what, { (const uint8_t *)(text), sizeof(text) - 1 }, DETECT_MORE, own }
	/* memcached's get is also Redis' inline GET. Any frame that says its length may be a response of Kafka's. */
	static const struct { const char *what; struct slice bytes; int most; const char *own; } samples[] = {
		SAMPLE_OF("tls", "TLS ClientHello", "\x16\x03\x01\x00\x7a\x01\x00\x00\x76\x03\x03 0123456789abcdef0123456789abcde\x20 0123456789abcdef0123456789abcde"
		       "\x00\x04\x13\x01\x13\x02\x01\x00\x00\x29\x00\x00\x00\x10\x00\x0e\x00\x00\x0b" "example.org\x00\x2b\x00\x03\x02\x03\x04\x00\x0a\x00\x04\x00\x02\x00\x1d"),
		SAMPLE_OF("tls", "TLS ServerHello", "\x16\x03\x03\x00\x46\x02\x00\x00\x42\x03\x03 0123456789abcdef0123456789abcde\x00\x13\x01\x00\x00\x1a\x00\x2b\x00\x02\x03\x04"),
		SAMPLE("TLS data", "\x17\x03\x03\x00\x20" "0123456789abcdef0123456789abcdef"),
		SAMPLE_OF("http2", "HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
		SAMPLE_OF("http2", "HTTP/2 settings", "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"),
		SAMPLE("SSH banner", "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
		SAMPLE_OF("smtp", "SMTP greeting", "220 mail.example.org ESMTP Postfix\r\n"),
		SAMPLE("SMTP reply", "250 OK\r\n"),
		SAMPLE("beanstalkd command", "put 0 0 60 5\r\nhello\r\n"),
		SAMPLE_OF("nats", "NATS command", "PUB orders 5\r\nhello\r\n"),
		SAMPLE("IMAP command", "a1 LOGIN anonymous secret\r\n"),
		SAMPLE_OF("ftp", "FTP command", "USER anonymous\r\n"),
		SAMPLE("NNTP greeting", "200 news.example.org InterNetNews server ready\r\n"),
		SAMPLE("NNTP command", "MODE READER\r\n"),
		SAMPLE("NNTP list", "215 list of newsgroups follows\r\n"),
		{ "POP3 greeting", { (const uint8_t *)"+OK POP3 ready\r\n", 16 }, DETECT_SHARED, NULL }, /* also a status of Redis */
		SAMPLE("IRC registration", "USER guest 0 * :a guest\r\n"),
		SAMPLE("ManageSieve capability", "\"IMPLEMENTATION\" \"Dovecot Pigeonhole\"\r\n"),
		SAMPLE("RTSP request", "DESCRIBE rtsp://example.org/a RTSP/1.0\r\nCSeq: 2\r\n\r\n"),
		SAMPLE("SIP request", "OPTIONS sip:bob@example.org SIP/2.0\r\n\r\n"),
		{ "memcached", { (const uint8_t *)"get key1 key2\r\n", 15 }, DETECT_WEAK, NULL },
		SAMPLE_OF("kafka", "Kafka request", "\x00\x00\x00\x20\x00\x12\x00\x03\x00\x00\x00\x01\x00\x08" "consumer\x00\x07" "library\x06" "3.6.0\x00"),
		SAMPLE("length and zeros", "\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
		SAMPLE_OF("mongodb", "MongoDB ping", "\x24\0\0\0\1\0\0\0\0\0\0\0\xdd\7\0\0\0\0\0\0\0\x0f\0\0\0\x10ping\0\1\0\0\0"),
		SAMPLE_OF("mqtt", "MQTT connect", "\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02" "id"),
		SAMPLE_OF("amqp", "AMQP header", "AMQP\x00\x00\x09\x01"),
		{ "ZooKeeper session", { (const uint8_t *)"\0\0\0\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x27\x10\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", sizeof("\0\0\0\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x27\x10\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0") - 1 }, DETECT_WEAK, "zookeeper" },
		{ "ZooKeeper ping", { (const uint8_t *)"\0\0\0\x08\xff\xff\xff\xfe\0\0\0\x0b", sizeof("\0\0\0\x08\xff\xff\xff\xfe\0\0\0\x0b") - 1 }, DETECT_WEAK, "zookeeper" },
		SAMPLE("ZooKeeper four-letter word", "ruok"),
		{ "ZooKeeper quorum, follower", { (const uint8_t *)"\0\0\0\x0b\0\0\0\1\0\0\0\0\0\0\0\x14\0\0\0\0\0\0\0\1\0\1\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff", sizeof("\0\0\0\x0b\0\0\0\1\0\0\0\0\0\0\0\x14\0\0\0\0\0\0\0\1\0\1\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff") - 1 }, DETECT_WEAK, NULL },
		{ "ZooKeeper quorum, inform", { (const uint8_t *)"\0\0\0\x08\0\0\0\1\0\0\0\x0b\0\0\0\0\xff\xff\xff\xff", sizeof("\0\0\0\x08\0\0\0\1\0\0\0\x0b\0\0\0\0\xff\xff\xff\xff") - 1 }, DETECT_WEAK, NULL },
		SAMPLE("ZooKeeper election", "\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\1\0\0\0\x0e" "127.0.0.1:3888"),
		SAMPLE_OF("ldap", "LDAP bind", "\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"),
		SAMPLE("SNMP", "\x30\x26\x02\x01\x01\x04\x06public\xa0\x19\x02\x01\x01\x02\x01\x00\x02\x01\x00\x30\x0e\x30\x0c\x06\x08\x2b\x06\x01\x02\x01\x01\x05\x00\x05\x00"),
		SAMPLE("DER key", "\x30\x1b\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x04\x07secrets"),
		SAMPLE("DER signature", "\x30\x0a\x02\x03\x60\x61\x62\x02\x03\x63\x64\x65"),
		SAMPLE_OF("nats", "NATS error", "-ERR 'Unknown Protocol Operation'\r\n"),
		SAMPLE_OF("stomp", "STOMP connect", "CONNECT\naccept-version:1.2\nhost:/\n\n"),
		SAMPLE_OF("amqp10", "AMQP 1.0 header", "AMQP\x03\x01\x00\x00"),
		SAMPLE_OF("amqp10", "AMQP 1.0 flow", "\x00\x00\x00\x16\x02\x00\x00\x00\x00\x53\x13\xc0\x09\x06\x43\x52\x64\x43\x52\x64\x40\x40"),
		SAMPLE_OF("zeromq", "ZeroMQ signature", "\xff\0\0\0\0\0\0\0\1\x7f"),
		SAMPLE_OF("zeromq", "ZeroMQ heartbeat", "\4\7\4PING\0\x64"),
		SAMPLE("ZeroMQ message in the middle", "\0\5hello\1\2ab\0\0"),
		SAMPLE_OF("thrift", "Thrift call", "\x80\x01\x00\x01\x00\x00\x00\x04ping\x00\x00\x00\x00\x00"),
		SAMPLE_OF("brpc", "baidu_std call", "PRPC\0\0\0\x0d\0\0\0\x0d\x0a\x08\x0a\x03" "a.S\x12\x01m \7"),
		SAMPLE_OF("brpc", "baidu_std answer", "PRPC\0\0\0\6\0\0\0\6\x12\2\x08\0 \7"),
		SAMPLE("text that begins as bRPC", "PRPC is a protocol of remote calls\n"),
		SAMPLE("text that begins as Hulu", "HULU is another\n"),
		SAMPLE("text that begins as Sofa", "SOFA, armchair, table and twelve chairs, $4711 together\n"),
		SAMPLE_OF("oracle", "Oracle commit", "\x00\x00\x00\x0d\x06\x00\x00\x00\x00\x00\x03\x0e\x05"),
		SAMPLE_OF("dubbo", "Dubbo call", "\xda\xbb\xc2\0\0\0\0\0\0\0\0\1\0\0\0\6\5" "2.0.2"),
		SAMPLE("JSON lines", "{\"level\":\"info\",\"message\":\"GET / HTTP/1.1\"}\n"),
		SAMPLE("log line", "127.0.0.1 - - [01/Jan/2026] \"GET / HTTP/1.1\" 200 5\n"),
		SAMPLE("zeros", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++)
		for (size_t n = 1; n <= samples[i].bytes.len; n++)
			refuse(slice_head(samples[i].bytes, n), false, samples[i].most, samples[i].own, samples[i].what);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_its_own),
		cmocka_unit_test(knows_no_others),
		cmocka_unit_test(refuses_random_bytes),
		cmocka_unit_test(refuses_common_bytes),
	};
	return cmocka_run_group_tests_name("negatives", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No memory, at every place: each scenario runs again and again with its n-th allocation refused, until it needs fewer than n; then
 * with all from the n-th on refused. Whatever fails says so in a sentence, what is lost is counted, nothing crashes, nothing leaks.
 *
 * malloc and its kin are replaced for the whole program, so that libraries meet the same: libyaml, zlib, libpcap, libcurl, libmicrohttpd.
 *   test_nomem SCENARIO N [all]      one run, and where its N-th allocation is
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "cmd/cmd.h"
#include "config/settings.h"
#include "lib/log.h"
#include "proto/fixture.h"
#include "proto/masker.h"
#include "sink/sink.h"
#include "source/source.h"
#include "unit/sink_sample.h"
#include "web/server.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#define REAL(name) __interceptor_##name
#else
#define __lsan_do_recoverable_leak_check() 0
#define __sanitizer_print_stack_trace() ((void)0)
#define REAL(name) __libc_##name
#endif

void *REAL(malloc)(size_t bytes);
void *REAL(calloc)(size_t n, size_t bytes);
void *REAL(realloc)(void *p, size_t bytes);

/* libyaml 0.2.5 itself forgets what yaml_parser_load() had read of a node when it cannot store it. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:yaml_parser_load\n"; }

static atomic_ulong allocations; /* since armed */
static atomic_ulong refuse_at;   /* 0 = refuse nothing */
static atomic_bool refuse_rest;

static bool show_place;
static _Thread_local bool exempt;

static bool refused(void)
{
	unsigned long at = atomic_load(&refuse_at), n;

	if (at == 0 || exempt)
		return false;
	n = atomic_fetch_add(&allocations, 1) + 1;
	if (n == at && show_place) {
		exempt = true;
		__sanitizer_print_stack_trace();
		exempt = false;
	}
	return n == at || (n > at && atomic_load(&refuse_rest));
}

/* The sanitizer asks for the stack of a thread that begins, and dies if it is not told. */
int pthread_getattr_np(pthread_t thread, pthread_attr_t *ret_attr)
{
	int (*real)(pthread_t, pthread_attr_t *);
	void *symbol = dlsym(RTLD_NEXT, "pthread_getattr_np");

	memcpy(&real, &symbol, sizeof(real));
	exempt = true;
	int err = real(thread, ret_attr);
	exempt = false;
	return err;
}

void *malloc(size_t bytes)
{
	if (!refused())
		return REAL(malloc)(bytes);
	errno = ENOMEM;
	return NULL;
}

void *calloc(size_t n, size_t bytes)
{
	if (!refused())
		return REAL(calloc)(n, bytes);
	errno = ENOMEM;
	return NULL;
}

void *realloc(void *p, size_t bytes)
{
	if (!refused())
		return REAL(realloc)(p, bytes);
	errno = ENOMEM;
	return NULL;
}

/* The sanitizer's own would not come by here. */
void *reallocarray(void *p, size_t n, size_t bytes)
{
	size_t all;

	if (!__builtin_mul_overflow(n, bytes, &all))
		return realloc(p, all);
	errno = ENOMEM;
	return NULL;
}

char *strndup(const char *s, size_t max)
{
	size_t len = strnlen(s, max);
	char *copy = malloc(len + 1);

	if (copy) {
		memcpy(copy, s, len);
		copy[len] = '\0';
	}
	return copy;
}

char *strdup(const char *s) { return strndup(s, strlen(s)); }

/* What a run was like. */
struct outcome {
	bool failed;     /* it says so itself */
	char said[4096]; /* standard error, or the sentence of an API */
	uint64_t good;   /* spans, records, requests: what it is about */
	uint64_t lost;   /* counted as lost */
	bool adds_up;    /* good + lost is all there was, one by one */
};

static char dir[] = "/tmp/plumb-nomem-XXXXXX";
/* The fixtures are recorded in pieces: each place is tried with the fixtures of its own piece alone, so the time grows with their number and not with its square. */
enum { PIECES_MAX = 256, FIXTURES_A_PIECE = 4 };
static char pieces[PIECES_MAX][64];
static size_t npieces;
static const char *recording = pieces[0]; /* of the scenario that runs */
static char capture[64], config[64], metrics[64], spool[64];

static char *in_dir(char path[64], const char *name)
{
	snprintf(path, 64, "%s/%s", dir, name);
	return path;
}

/* Commands. */

/* Lines without a console's heading. */
static size_t lines_of(int fd)
{
	char block[65536];
	size_t lines = 0;
	off_t at = 0;

	for (ssize_t n; (n = pread(fd, block, sizeof(block), at)) > 0; at += n) {
		if (at == 0 && n > 4 && memcmp(block, "TIME", 4) == 0)
			lines--;
		for (ssize_t i = 0; i < n; i++)
			lines += block[i] == '\n';
	}
	return lines;
}

static void read_text(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);

	text[n > 0 ? n : 0] = '\0';
}

/* Everything that can be lost to a lack of memory. */
static uint64_t counted_losses(const char *path)
{
	static const char *const names[] = {
		"plumb_exchanges_refused_total", "plumb_records_skipped_total", "plumb_processes_total{event=\"refused\"}", "plumb_span_cuts_total",
		"plumb_stream_unseen_bytes_total{reason=\"refused\"}", "plumb_spans_unplaced_total", "plumb_metric_tracking_refused_total",
		"plumb_metric_overflow_total", "plumb_output_spans_dropped_total", "plumb_connections_total{event=\"parser_refused\"}", "plumb_parser_memory_refused_total",
	};
	char line[1024];
	uint64_t sum = 0;
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f))
		for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
			if (strncmp(line, names[i], strlen(names[i])) == 0)
				sum += (uint64_t)strtod(strrchr(line, ' '), NULL);
	if (f)
		fclose(f);
	return sum;
}

static unsigned long armed_at;
static bool armed_rest;

static void arm(void)
{
	atomic_store(&allocations, 0);
	atomic_store(&refuse_rest, armed_rest);
	atomic_store(&refuse_at, armed_at);
}

static void disarm(void) { atomic_store(&refuse_at, 0); }

static int command(int (*run)(int, char **), char **argv, struct outcome *o, int out)
{
	int err = memfd_create("stderr", MFD_CLOEXEC), saved[2] = { dup(1), dup(2) }, argc = 0;

	while (argv[argc])
		argc++;
	fflush(stdout);
	dup2(out, 1);
	dup2(err, 2);
	arm();
	int status = run(argc, argv);
	fflush(stdout);
	disarm();
	for (int i = 0; i < 2; i++) {
		dup2(saved[i], i + 1);
		close(saved[i]);
	}
	read_text(err, o->said, sizeof(o->said));
	close(err);
	o->failed = status != 0;
	return status;
}

static void replay(struct outcome *o, const char *file, const char *format)
{
	char *argv[] = { "replay", "--output", (char *)(uintptr_t)format, "--metrics-out", metrics, (char *)(uintptr_t)file, NULL };
	int out = memfd_create("stdout", MFD_CLOEXEC);

	unlink(metrics);
	command(cmd_replay, argv, o, out);
	o->good = lines_of(out);
	o->lost = counted_losses(metrics);
	close(out);
}

static void replay_json(struct outcome *o) { replay(o, recording, "json"); }
static void replay_otlp_json(struct outcome *o) { replay(o, capture, "otlp-json"); }
static void replay_console(struct outcome *o) { replay(o, capture, "console"); }
static void replay_capture(struct outcome *o) { replay(o, capture, "json"); }

static void config_check(struct outcome *o)
{
	char *argv[] = { "config", "check", config, NULL };
	int out = memfd_create("stdout", MFD_CLOEXEC);

	command(cmd_config, argv, o, out);
	o->good = lines_of(out);
	close(out);
}

static void config_defaults(struct outcome *o)
{
	char *argv[] = { "config", "defaults", NULL };
	int out = memfd_create("stdout", MFD_CLOEXEC);

	command(cmd_config, argv, o, out);
	o->good = lines_of(out);
	close(out);
}

/* Recording: what a reader gives is written again, masked. */

struct copy {
	struct recorder *r;
	uint64_t written;
};

static int copy_record(void *ctx, const struct record *rec, struct slice payload)
{
	struct copy *c = ctx;
	int err = recorder_write(c->r, rec, payload);

	c->written += !err;
	return err;
}

static void record_again(struct outcome *o)
{
	struct recorder_options options = { .redact = true, .mask = masker_record };
	struct masker *m = NULL;
	struct source *s = NULL;
	struct copy c = { 0 };
	char to[64];
	int err, end = 0;

	in_dir(to, "again.plumb");
	arm();
	err = masker_new(0, 47, &m);
	options.mask_ctx = m;
	if (!err)
		err = recorder_open(to, &options, &c.r, o->said, sizeof(o->said));
	if (!err)
		err = recording_open(recording, &s, o->said, sizeof(o->said));
	while (!err && (end = s->ops->read(s, 4096, 0, copy_record, &c)) >= 0)
		;
	if (c.r && recorder_close(c.r) && !err)
		err = -EIO;
	disarm();
	if (s)
		s->ops->close(s);
	masker_free(m);
	o->good = c.written;
	o->failed = err || end != -ENODATA;
	if (o->failed && !o->said[0])
		snprintf(o->said, sizeof(o->said), "error %d, %d", err, end);
}

/* The OTLP sink, whose collector is not there. */

struct balance {
	double accepted, accounted;
};

static void balance(void *ctx, const char *name, const char *help, const char *label, const char *label_value, double value, bool counter)
{
	struct balance *b = ctx;

	(void)help, (void)label, (void)label_value, (void)counter;
	if (strcmp(name, "plumb_otlp_spans_accepted_total") == 0 || strcmp(name, "plumb_otlp_spans_found_total") == 0)
		b->accepted += value;
	else if (strcmp(name, "plumb_otlp_spans_exported_total") == 0 || strcmp(name, "plumb_otlp_spans_dropped_total") == 0 ||
		 strcmp(name, "plumb_otlp_spans_queued") == 0 || strcmp(name, "plumb_otlp_spans_spooled") == 0)
		b->accounted += value;
}

static void otlp(struct outcome *o, const char *protocol, const char *spool_dir)
{
	const struct sink_ops *ops = sink_find("otlp");
	const char *values[32] = { NULL };
	struct sink_config c = { .values = values, .spool_dir = spool_dir, .out_fd = -1 };
	struct sink *sink = NULL;
	struct process p;
	struct span s;
	struct balance b = { 0 };

	for (size_t k = 0; ops->options[k].name; k++)
		values[k] = strcmp(ops->options[k].name, "endpoint") == 0 ? "http://127.0.0.1:9" :
			    strcmp(ops->options[k].name, "protocol") == 0 ? protocol :
			    strcmp(ops->options[k].name, "headers") == 0  ? "a=b,c=d%20e" :
			    strcmp(ops->options[k].name, "batch_spans") == 0 ? "5" : ops->options[k].value;
	sample_process(&p, 3, "shop");
	o->adds_up = true;
	arm();
	int err = ops->open(&c, &sink, o->said, sizeof(o->said));
	if (!err)
		err = ops->start(sink, o->said, sizeof(o->said));
	for (uint64_t i = 0; !err && i < 23; i++) {
		sample_span(&s, &p, i);
		ops->span(sink, &s);
		ops->tick(sink, i);
	}
	if (!err) {
		ops->flush(sink, 1);
		ops->stats(sink, balance, &b);
		o->good = (uint64_t)b.accounted;
		o->lost = (uint64_t)(b.accepted - b.accounted);
	}
	if (sink)
		ops->close(sink);
	disarm();
	o->failed = err != 0;
}

static void otlp_http(struct outcome *o) { otlp(o, "http/protobuf", ""); }
static void otlp_grpc_spool(struct outcome *o)
{
	char file[128];
	glob_t g;

	otlp(o, "grpc", spool);
	snprintf(file, sizeof(file), "%s/otlp/*", spool);
	if (glob(file, 0, NULL, &g) == 0)
		for (size_t i = 0; i < g.gl_pathc; i++)
			unlink(g.gl_pathv[i]);
	globfree(&g);
}

/* The web server and one request. */

static int draw(void *ctx, bool openmetrics, struct buffer *out)
{
	(void)ctx, (void)openmetrics;
	return buffer_append_str(out, "up 1\n");
}

static void web(struct outcome *o)
{
	static const char request[] = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	struct web_options options = { .listen = "127.0.0.1:0", .wait_ms = 1000, .request_ms = 1000 };
	struct timeval limit = { .tv_usec = 10000 };
	struct web *w = NULL;
	char answer[1024] = "";

	arm();
	int err = web_start(&options, &w, o->said, sizeof(o->said));
	o->failed = err != 0;
	if (err) {
		disarm();
		return;
	}
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(web_port(w)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	(void)send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL);
	ssize_t n = -1;
	/* It is answered or hung up on. */
	for (int tries = 0; tries < 300 && n < 0; tries++) {
		web_serve_pending(w, draw, NULL);
		n = recv(fd, answer, sizeof(answer) - 1, 0);
		if (n < 0 && errno != EAGAIN)
			n = 0;
	}
	disarm();
	close(fd);
	web_stop(w);
	assert_true(n >= 0);
	o->good = strncmp(answer, "HTTP/1.1 200", 12) == 0;
	o->lost = !o->good;
	o->adds_up = true;
}

struct scenario {
	const char *name;
	void (*run)(struct outcome *o);
	const char *recording; /* a piece; NULL: the first */
};

static const struct scenario scenarios[] = {
	{ "config_check", config_check, NULL }, { "config_defaults", config_defaults, NULL },
	{ "replay_otlp_json", replay_otlp_json, NULL }, { "replay_console", replay_console, NULL }, { "replay_capture", replay_capture, NULL },
	{ "record_again", record_again, NULL }, { "otlp_http", otlp_http, NULL }, { "otlp_grpc_spool", otlp_grpc_spool, NULL }, { "web", web, NULL },
};

static struct scenario replays[PIECES_MAX];
static char replay_names[PIECES_MAX][32];

/* True: fewer than n allocations were made. */
static bool run_one(const struct scenario *s, unsigned long n, bool rest, const struct outcome *usual)
{
	struct outcome o = { .failed = false };
	char place[128];

	snprintf(place, sizeof(place), "%s %lu%s", s->name, n, rest ? " all" : "");
	armed_at = n;
	armed_rest = rest;
	s->run(&o);
	bool sentence = o.said[0] && !strstr(o.said, ": \n") && !strstr(o.said, "(null)");
	if (o.failed && !sentence)
		fail_msg("%s: failed without a sentence: \"%s\"", place, o.said);
	if (!o.failed && o.adds_up && o.good + o.lost != usual->good + usual->lost)
		fail_msg("%s: %llu and %llu lost, not %llu", place, (unsigned long long)o.good, (unsigned long long)o.lost, (unsigned long long)usual->good);
	if (!o.failed && !o.adds_up && o.good != usual->good && o.lost <= usual->lost)
		fail_msg("%s: %llu instead of %llu, and nothing counted as lost", place, (unsigned long long)o.good, (unsigned long long)usual->good);
	return atomic_load(&allocations) < n;
}

static void survives(void **state)
{
	const struct scenario *s = *state;
	struct outcome usual = { .failed = false };
	struct timeval from, to;
	unsigned long n[2];

	gettimeofday(&from, NULL);
	recording = s->recording ? s->recording : pieces[0];
	armed_at = 0;
	s->run(&usual);
	if (usual.failed)
		fail_msg("%s: fails with all memory there is: %s", s->name, usual.said);
	assert_true(usual.good > 0 || s->recording); /* what begins as another protocol is not found by itself */
	for (int rest = 0; rest < 2; rest++)
		for (n[rest] = 1; !run_one(s, n[rest], rest, &usual); n[rest]++)
			;
	gettimeofday(&to, NULL);
	assert_int_equal(__lsan_do_recoverable_leak_check(), 0);
	print_message("# %s: %lu and %lu places, %ld ms\n", s->name, n[0] - 1, n[1] - 1,
		      (to.tv_sec - from.tv_sec) * 1000 + (to.tv_usec - from.tv_usec) / 1000);
}

/* All fixtures of the parsers, a connection each. */

struct writer {
	struct recorder *r;
	FILE *pcap;
	uint64_t sock, now;
	size_t fixtures; /* of this piece */
};

static void write_record(struct writer *w, struct record *rec, uint16_t type, struct slice payload)
{
	rec->u.h = (struct plumb_rec_header){ .size = (uint32_t)(record_fixed_bytes(type) + payload.len + 7) & ~7u, .type = type, .time_ns = w->now += 1000 };
	assert_int_equal(recorder_write(w->r, rec, payload), 0);
}

static void write_packet(struct writer *w, bool to_client, uint32_t seq, uint8_t flags, struct slice payload)
{
	uint32_t header[4] = { 1700000000, (uint32_t)(w->now / 1000 % 1000000), (uint32_t)payload.len + 40, (uint32_t)payload.len + 40 };
	uint16_t client = htons((uint16_t)(20000 + w->sock)), server = htons(80), len = htons((uint16_t)(payload.len + 40));
	uint8_t ip[40] = { 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2 };

	if (to_client)
		ip[15] = 2, ip[19] = 1;
	memcpy(ip + 2, &len, 2);
	memcpy(ip + 20, to_client ? &server : &client, 2);
	memcpy(ip + 22, to_client ? &client : &server, 2);
	seq = htonl(seq);
	memcpy(ip + 24, &seq, 4);
	ip[32] = 0x50;
	ip[33] = flags;
	assert_int_equal(fwrite(header, sizeof(header), 1, w->pcap), 1);
	assert_int_equal(fwrite(ip, sizeof(ip), 1, w->pcap), 1);
	assert_int_equal(fwrite(payload.ptr, 1, payload.len, w->pcap), payload.len);
}

static void write_fixture(struct writer *w, const char *path, uint16_t id)
{
	struct fixture f;
	char why[512];
	uint64_t offset[2] = { 1ull << 32, 1ull << 32 };

	if (!fixture_load(path, proto_get(id), &f, why, sizeof(why)))
		fail_msg("%s", why);
	if (f.datagram || f.bytes.len > 4096) {
		fixture_done(&f);
		return;
	}
	struct record open = { .u.sock = { .sock = ++w->sock, .pid = 100, .family = AF_INET, .type = SOCK_STREAM, .role = PLUMB_ROLE_CLIENT,
		.local_port = (uint16_t)(20000 + w->sock), .remote_port = proto_port_hint(id), .local_addr = { 127, 0, 0, 1 }, .remote_addr = { 127, 0, 0, 1 } } };
	write_record(w, &open, PLUMB_REC_SOCK_OPEN, SLICE_NONE);
	for (size_t i = 0; i < f.nops; i++) {
		const struct fixture_op *op = &f.op[i];
		/* In two, so that messages wait for their rest. */
		for (size_t part = 0, from = 0; part < 2 && op->kind == FIXTURE_BYTES; part++) {
			size_t len = part ? op->len - from : op->len / 2;
			struct slice bytes = slice_make(f.bytes.data + op->at + from, len);
			struct record data = { .u.data = { .sock = w->sock, .offset = offset[op->side], .pid = 100, .tid = 100, .len = (uint32_t)len,
				.captured = (uint32_t)len, .direction = op->side == PROTO_TO_SERVER ? PLUMB_EGRESS : PLUMB_INGRESS } };
			if (len == 0)
				continue;
			write_record(w, &data, PLUMB_REC_DATA, bytes);
			if (id == PLUMB_PROTO_HTTP1)
				write_packet(w, op->side == PROTO_TO_CLIENT, (uint32_t)offset[op->side], 24, bytes);
			offset[op->side] += len;
			from += len;
		}
	}
	struct record close = { .u.sock_stats = { .sock = w->sock, .pid = 100, .family = AF_INET, .type = SOCK_STREAM } };
	write_record(w, &close, PLUMB_REC_SOCK_CLOSE, SLICE_NONE);
	fixture_done(&f);
}

static void write_call(struct writer *w, struct plumb_rec_call c, const char *text)
{
	c.pid = c.tid = 100;
	c.begin_ns = c.end_ns = w->now;
	c.len = c.captured = (uint32_t)strlen(text);
	struct record rec = { .u.call = c };
	write_record(w, &rec, PLUMB_REC_CALL, slice_make(text, c.len));
}

static void write_gpu(struct writer *w)
{
	struct record calls = { .u.gpu_calls = { .pid = 100, .call = PLUMB_GPU_CU_MEM_ALLOC, .t = { .count = 3, .bytes = 7, .buckets = { 3 }, .codes = { { .code = 2, .count = 1 } } } } };
	struct record kernel = { .u.gpu_kernel = { .pid = 100, .name = "sort", .l = { .count = 5 } } };
	struct record process = { .u.gpu_process = { .pid = 100, .p = { .allocated = { 7 }, .other = 1 } } };

	for (int i = 0; i < 2; i++) {
		write_record(w, &calls, PLUMB_REC_GPU_CALLS, SLICE_NONE);
		write_record(w, &kernel, PLUMB_REC_GPU_KERNEL, SLICE_NONE);
		process.u.gpu_process.flags = i ? PLUMB_GPU_ENDED : 0;
		write_record(w, &process, PLUMB_REC_GPU_PROCESS, SLICE_NONE);
	}
}

/* Of texts of all sizes. */
static void write_calls(struct writer *w)
{
	char text[PLUMB_CALL_TEXT_MAX + 1];

	write_call(w, (struct plumb_rec_call){ .function = PLUMB_FN_SQLITE_OPEN, .object = 1 }, "/tmp/a.db");
	for (uint64_t i = 0; i < 4; i++) {
		memset(text, 'a', sizeof(text));
		memcpy(text, "SELECT ", 7);
		text[100u << (2 * i) < sizeof(text) ? 100u << (2 * i) : sizeof(text) - 1] = 0;
		write_call(w, (struct plumb_rec_call){ .function = PLUMB_FN_SQLITE_PREPARE, .object = 10 + i, .parent = 1 }, text);
		write_call(w, (struct plumb_rec_call){ .function = PLUMB_FN_SQLITE_EXECUTE, .object = 10 + i, .result = 101 }, "");
	}
	write_call(w, (struct plumb_rec_call){ .function = PLUMB_FN_SQLITE_PREPARE, .parent = 1, .result = 1 }, "SELEC 1");
	write_call(w, (struct plumb_rec_call){ .function = PLUMB_FN_DUCKDB_QUERY, .parent = 5 }, text);
	write_call(w, (struct plumb_rec_call){ .function = PLUMB_FN_SQLITE_FINALIZE, .object = 10 }, "");
}

static void begin_piece(struct writer *w)
{
	static const char facts[] = "service.name=shop\0process.executable.path=/usr/bin/shop";
	char error[256], name[32];

	assert_true(npieces < PIECES_MAX);
	snprintf(name, sizeof(name), "%zu.plumb", npieces);
	in_dir(pieces[npieces], name);
	snprintf(replay_names[npieces], sizeof(replay_names[npieces]), "replay_json_%zu", npieces);
	replays[npieces] = (struct scenario){ replay_names[npieces], replay_json, pieces[npieces] };
	assert_int_equal(recorder_open(pieces[npieces++], NULL, &w->r, error, sizeof(error)), 0);
	struct record start = { .u.start = { .abi_version = 1 } };
	write_record(w, &start, PLUMB_REC_START, SLICE_NONE);
	struct record process = { .u.process = { .pid = 100, .start_ns = 1, .count = 2, .bytes = sizeof(facts) } };
	write_record(w, &process, PLUMB_REC_PROCESS, slice_make(facts, sizeof(facts)));
	w->fixtures = 0;
}

static void end_piece(struct writer *w)
{
	if (w->r)
		assert_int_equal(recorder_close(w->r), 0);
	w->r = NULL;
}

static void write_files(void)
{
	static const uint32_t pcap_header[6] = { 0xa1b2c3d4, 2 | 4 << 16, 0, 0, 262144, 101 /* raw IP */ };
	static const struct { const char *symbol; uint16_t id; } parsers[] = {
#define PROTOCOL(id_, symbol_, ...) { #symbol_, PLUMB_PROTO_##id_ },
#include "../../bpf/abi/protocols.def"
#undef PROTOCOL
	};
	struct writer w = { .now = 1000000000 };

	npieces = 0;
	w.pcap = fopen(capture, "we");
	assert_non_null(w.pcap);
	assert_int_equal(fwrite(pcap_header, sizeof(pcap_header), 1, w.pcap), 1);
	for (size_t i = 0; i < sizeof(parsers) / sizeof(*parsers); i++) {
		char pattern[256];
		glob_t g;
		if (!proto_get(parsers[i].id))
			continue; /* a library's calls */
		snprintf(pattern, sizeof(pattern), "tests/proto/%s/*.fix", parsers[i].symbol);
		assert_int_equal(glob(pattern, 0, NULL, &g), 0);
		for (size_t k = 0; k < g.gl_pathc; k++) {
			if (!w.r || w.fixtures++ == FIXTURES_A_PIECE) {
				end_piece(&w);
				begin_piece(&w);
			}
			write_fixture(&w, g.gl_pathv[k], parsers[i].id);
		}
		globfree(&g);
	}
	end_piece(&w);
	begin_piece(&w);
	write_calls(&w);
	write_gpu(&w);
	end_piece(&w);
	assert_int_equal(fclose(w.pcap), 0);
}

static int set_up(void **state)
{
	struct buffer yaml;

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	in_dir(capture, "a.pcap");
	in_dir(config, "plumb.yaml");
	in_dir(metrics, "metrics.prom");
	in_dir(spool, "spool");
	buffer_init(&yaml, 1 << 20);
	assert_int_equal(settings_print_yaml(&yaml), 0);
	FILE *f = fopen(config, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(yaml.data, 1, yaml.len, f), yaml.len);
	assert_int_equal(fclose(f), 0);
	buffer_done(&yaml);
	write_files();
	return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -1; /* what it keeps for ever is none of ours */
}

static int tear_down(void **state)
{
	char line[96];

	(void)state;
	snprintf(line, sizeof(line), "rm -rf %s", dir);
	return system(line);
}

/* One scenario, with the allocation of this number refused: what it says, and where. */
static int show(const struct scenario *s, char **argv, bool rest)
{
	struct outcome o = { .failed = false };

	recording = s->recording ? s->recording : pieces[0];
	armed_at = strtoul(argv[2], NULL, 10);
	armed_rest = rest;
	show_place = true;
	s->run(&o);
	printf("%s: %s, %llu and %llu lost, %lu allocations: %s\n", argv[1], o.failed ? "failed" : "done", (unsigned long long)o.good,
	       (unsigned long long)o.lost, (unsigned long)allocations, o.said);
	return 0;
}

int main(int argc, char **argv)
{
	struct CMUnitTest tests[sizeof(scenarios) / sizeof(*scenarios) + PIECES_MAX];
	size_t n = 0, fixed = sizeof(scenarios) / sizeof(*scenarios);

	if (set_up(NULL))
		return 1;
	for (size_t i = 0; i < fixed + npieces; i++) {
		const struct scenario *s = i < fixed ? &scenarios[i] : &replays[i - fixed];
		if (argc > 1 && strcmp(argv[1], s->name) != 0)
			continue;
		if (argc > 2)
			return show(s, argv, argc > 3) || tear_down(NULL);
		tests[n++] = (struct CMUnitTest){ .name = s->name, .test_func = survives, .initial_state = (void *)(uintptr_t)s };
	}
	log_set_name("plumb");
	return _cmocka_run_group_tests("nomem", tests, n, NULL, tear_down);
}

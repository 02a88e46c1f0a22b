/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole way of hostile bytes, record to span: decode, connections, detection, parsers, pairing, correlation, redaction, metrics and
 * every sink that prints. The first byte chooses how the connections look; steps.h tells them. Sockets 0 and 1 are the two ends of one TCP
 * connection, 2 is a Unix stream, 3 a datagram socket. The promises checked: a span keeps its contract, nothing stays open at the end,
 * and what the stages count adds up.
 */
#include <fcntl.h>
#include <sys/socket.h>

#include "fuzz/steps.h"
#include "pipeline.h"
#include "sink/sinks.h"

enum { OPENED = 1, ROLES = 2, WIRE = 4, MIRROR = 8, TINY = 16, DESCRIBED = 32, RATIO = 64, SHOW = 128, SOCKETS = 4, METRICS_MAX = 8 << 20 };

struct fuzz {
	struct pipeline *p;
	uint8_t choice;
	uint64_t now;
	uint64_t offset[SOCKETS][2]; /* by side */
	bool open[SOCKETS];
	uint64_t sampled; /* spans that the sinks got */
};

struct check_sink {
	struct sink sink;
	struct fuzz *f;
};

static bool all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

static enum sink_result check_span(struct sink *sink, const struct span *s)
{
	bool error = false;

	((struct check_sink *)sink)->f->sampled++;
	REQUIRE(s->sampled && s->nattrs <= SPAN_ATTRS_MAX);
	REQUIRE(s->start_ns <= s->end_ns && s->end_ns <= RECORD_TIME_MAX_NS);
	REQUIRE(!all_zero(s->trace_id, sizeof(s->trace_id)) && !all_zero(s->span_id, sizeof(s->span_id)));
	REQUIRE(memcmp(s->span_id, s->parent_id, sizeof(s->span_id)) != 0);
	REQUIRE(s->kind >= SPAN_INTERNAL && s->kind <= SPAN_CONSUMER && s->name.len > 0);
	REQUIRE(s->protocol > PLUMB_PROTO_NONE && s->protocol < PLUMB_PROTO_COUNT);
	fuzz_touch(s->name);
	fuzz_touch(s->trace_state);
	fuzz_touch(s->status_message);
	for (uint32_t i = 0; i < s->nattrs; i++) {
		const struct attr *a = &s->attrs[i];
		REQUIRE(a->id < ATTR_COUNT && attr_info[a->id].type == a->type && attr_info[a->id].name[0]);
		if (a->type == ATTR_TYPE_STR)
			fuzz_touch(a->str);
		error |= a->id == ATTR_ERROR_TYPE;
	}
	REQUIRE(error == (s->status == SPAN_STATUS_ERROR));
	return SINK_OK;
}

static const struct sink_ops check_ops = { .name = "check", .span = check_span };

/* Every record passes the decoder, as it would from any source, and ends at the end of its memory. */
static void feed(struct fuzz *f, const struct record *rec, size_t fixed, struct slice payload)
{
	size_t size = (fixed + payload.len + 7) & ~(size_t)7;
	struct slice decoded_payload;
	struct record decoded;
	uint8_t *raw = calloc(1, size);

	REQUIRE(raw != NULL);
	memcpy(raw, rec, fixed);
	((struct plumb_rec_header *)raw)->size = (uint32_t)size;
	if (payload.len)
		memcpy(raw + fixed, payload.ptr, payload.len);
	if (record_decode(slice_make(raw, size), &decoded, &decoded_payload) > 0)
		pipeline_record(f->p, &decoded, decoded_payload);
	free(raw);
}

static struct plumb_rec_header header(struct fuzz *f, uint16_t type)
{
	f->now += 1000;
	return (struct plumb_rec_header){ .type = type, .cpu = 1, .time_ns = f->now };
}

static uint32_t pid_of(uint8_t socket) { return socket == 0 || socket == 2 ? 100 : 200; }
static uint8_t role_of(uint8_t socket) { return socket == 1 ? PLUMB_ROLE_SERVER : PLUMB_ROLE_CLIENT; }

static void open_socket(struct fuzz *f, uint8_t socket)
{
	struct record r = { .u.sock = { .h = header(f, PLUMB_REC_SOCK_OPEN), .sock = 1u + socket, .pid = pid_of(socket), .family = AF_INET,
		.type = socket == 3 ? SOCK_DGRAM : SOCK_STREAM, .local_port = socket == 1 ? 80 : 40000, .remote_port = socket == 1 ? 40000 : 80,
		.local_addr = { 127, 0, 0, 1 }, .remote_addr = { 127, 0, 0, 1 } } };

	f->open[socket] = true;
	if (!(f->choice & OPENED))
		return;
	if (f->choice & ROLES)
		r.u.sock.role = role_of(socket);
	else
		r.u.sock.flags = PLUMB_SOCK_PREEXISTING;
	if (socket == 2) {
		r.u.sock.family = AF_UNIX;
		r.u.sock.local_port = r.u.sock.remote_port = 0;
		memcpy(r.u.sock.path, "/run/s", sizeof("/run/s"));
	}
	if (socket == 3)
		r.u.sock.remote_port = 53;
	feed(f, &r, sizeof(r.u.sock), SLICE_NONE);
}

static void close_socket(struct fuzz *f, uint8_t socket, uint8_t error)
{
	struct record r = { .u.sock_stats = { .h = header(f, PLUMB_REC_SOCK_CLOSE), .sock = 1u + socket, .error = error, .pid = pid_of(socket),
		.family = AF_INET, .type = SOCK_STREAM } };

	feed(f, &r, sizeof(r.u.sock_stats), SLICE_NONE);
	f->open[socket] = false;
}

static void data(struct fuzz *f, const struct step *s, uint32_t len, uint16_t flags)
{
	uint8_t direction = (s->side == PROTO_TO_SERVER) == (role_of(s->socket) == PLUMB_ROLE_CLIENT) ? PLUMB_EGRESS : PLUMB_INGRESS;
	uint64_t *offset = &f->offset[s->socket][s->side];
	struct record r = { .u.dgram = { .d = { .h = header(f, s->socket == 3 ? PLUMB_REC_DGRAM : PLUMB_REC_DATA), .sock = 1u + s->socket,
		.offset = *offset, .pid = pid_of(s->socket), .tid = pid_of(s->socket) + s->thread, .len = len, .captured = (uint32_t)s->bytes.len,
		.direction = direction, .flags = (uint16_t)(flags | (f->choice & WIRE ? PLUMB_DATA_WIRE : 0)) } } };

	if (s->socket == 3) {
		r.u.dgram.family = AF_INET;
		r.u.dgram.peer_port = direction == PLUMB_EGRESS ? 53 : 0;
	}
	feed(f, &r, s->socket == 3 ? sizeof(r.u.dgram) : sizeof(r.u.data), s->bytes);
	*offset += len;
}

enum { KTLS = 101 }; /* as a step's number */

static void any_record(struct fuzz *f, const struct step *s)
{
	struct record r = { .u.h = header(f, s->n % PLUMB_REC_TYPES) };
	size_t fixed = record_fixed_bytes(r.u.h.type), body = fixed ? fixed - sizeof(r.u.h) : 0;

	if (s->bytes.len)
		memcpy((uint8_t *)&r + sizeof(r.u.h), s->bytes.ptr, body < s->bytes.len ? body : s->bytes.len);
	if (r.u.h.type == PLUMB_REC_CALL) { /* few would be sound by chance */
		r.u.call.end_ns = f->now;
		r.u.call.begin_ns %= f->now;
		r.u.call.captured = (uint32_t)slice_from(s->bytes, body).len;
		r.u.call.len = r.u.call.captured + r.u.call.len % 2;
		r.u.call.count &= INT64_MAX;
		r.u.call.function %= PLUMB_FUNCTIONS + 1;
		r.u.call.pid = 100 + r.u.call.pid % 3;
	}
	if (fixed)
		feed(f, &r, fixed, slice_from(s->bytes, body));
}

/* The kernel does TLS from here on. */
static void uncover(struct fuzz *f, unsigned socket)
{
	for (int side = 0; side < 2; side++)
		f->offset[socket][side] = PLUMB_PLAIN_FIRST(f->offset[socket][side]);
}

static void step(struct fuzz *f, struct step *s)
{
	struct record tick;

	if (!f->open[s->socket] && s->kind <= STEP_EOF)
		open_socket(f, s->socket);
	switch (s->kind) {
	case STEP_BYTES:
		if (s->bytes.len)
			data(f, s, (uint32_t)s->bytes.len, 0);
		break;
	case STEP_CUT: data(f, s, (uint32_t)s->bytes.len + (s->bytes.len ? 16u * s->bytes.ptr[0] : 1), 0); break;
	case STEP_UNSEEN: data(f, s, 16u * s->n + 1, s->n == KTLS ? PLUMB_DATA_COVERED : 0); break;
	case STEP_MOVE:
		if (s->n == KTLS)
			uncover(f, s->socket);
		f->offset[s->socket][s->side] += (uint64_t)(int64_t)(int8_t)s->n; break;
	case STEP_EOF: data(f, s, 0, PLUMB_DATA_EOF); break;
	case STEP_CLOSE: close_socket(f, s->socket, s->n); break;
	case STEP_TIME:
		f->now += (uint64_t)s->n * s->n * s->n * 1000000;
		tick.u.h = header(f, PLUMB_REC_TICK);
		feed(f, &tick, sizeof(tick.u.h), SLICE_NONE);
		break;
	case STEP_RECORD: any_record(f, s); break;
	}
}

static void describe(struct fuzz *f, uint32_t pid)
{
	static const char facts[] = "service.name=shop\0process.executable.path=/usr/bin/shop";
	struct record r = { .u.process = { .h = header(f, PLUMB_REC_PROCESS), .pid = pid, .start_ns = 1, .count = 2, .bytes = sizeof(facts) } };

	feed(f, &r, sizeof(r.u.process), slice_make(facts, sizeof(facts)));
}

/* One line of the text format: name, labels in quotes whatever is in them, a number, and nothing else. */
static const uint8_t *check_line(const uint8_t *p)
{
	bool quoted = false;

	REQUIRE(*p >= 'a' && *p <= 'z');
	while ((*p >= 'a' && *p <= 'z') || *p == '_' || (*p >= '0' && *p <= '9'))
		p++;
	for (bool labels = *p == '{'; labels; p++) {
		REQUIRE(*p >= ' ' && *p != 0x7f);
		if (quoted && *p == '\\')
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (!quoted && *p == '}')
			labels = false;
	}
	REQUIRE(*p == ' ');
	while (*p != '\n')
		REQUIRE(*p++ >= ' ');
	return p + 1;
}

static void check_exposition(struct pipeline *p, bool openmetrics)
{
	static const struct metrics_self outside;
	struct buffer text;

	buffer_init(&text, METRICS_MAX);
	REQUIRE(pipeline_metrics(p, &outside, openmetrics, &text) == 0 && buffer_append_byte(&text, 0) == 0);
	for (const uint8_t *line = text.data; *line;)
		line = *line == '#' ? (const uint8_t *)strchr((const char *)line, '\n') + 1 : check_line(line);
	buffer_done(&text);
}

static void check_counts(const struct fuzz *f)
{
	struct metrics_self n = { .engine_restarts = 0 };
	uint64_t exchanges = 0;

	pipeline_counts(f->p, &n);
	for (size_t i = 0; i < PLUMB_PROTO_COUNT; i++)
		exchanges += n.proto.exchanges[i];
	REQUIRE(n.proto.exchanges_open == 0 && n.correlate.held == 0);
	REQUIRE(n.span.built == exchanges);
	REQUIRE(n.correlate.joined_wire + n.correlate.joined_socket + n.correlate.joined_thread + n.correlate.joined_flow +
		n.correlate.joined_process + n.correlate.roots + n.correlate.refused == n.span.built);
	REQUIRE(f->choice & RATIO ? f->sampled <= n.span.built : f->sampled == n.span.built);
	REQUIRE(n.conn.opened == n.conn.closed + n.conn.evicted + n.conn.idle_closed + n.conn.active);
}

static void begin(struct fuzz *f, struct sink *const *sinks)
{
	struct pipeline_options o = { .sinks = sinks, .correlate.parent_based = f->choice & RATIO, .span.show_statements = f->choice & SHOW,
				      .span.show_query = f->choice & SHOW };

	if (f->choice & RATIO) {
		o.correlate.sampler = SAMPLER_RATIO;
		o.correlate.ratio = 0.5;
	}
	if (f->choice & TINY) {
		o.conn = (struct conn_options){ .max_connections = 2, .max_buffer_bytes = 4096, .max_stream_bytes = 1024 };
		o.proto = (struct proto_engine_options){ .max_exchanges = 5, .max_per_connection = 3 };
		o.correlate.max_held = 3;
		o.correlate.max_nodes = 5;
		o.span.routes_per_service = 3;
		o.metrics = (struct metrics_options){ .series_per_service = 2, .series_max = 7 };
	}
	REQUIRE(pipeline_new(&o, &f->p) == 0);
	struct record start = { .u.start = { .h = header(f, PLUMB_REC_START), .realtime_offset_ns = 1700000000000000000u, .abi_version = 1,
		.flags = f->choice & WIRE ? PLUMB_START_PCAP : 0 } };
	feed(f, &start, sizeof(start.u.start), SLICE_NONE);
	for (uint32_t pid = 100; pid <= 200 && f->choice & DESCRIBED; pid += 100)
		describe(f, pid);
	for (size_t i = 0; i < SOCKETS; i++)
		for (size_t side = 0; side < 2; side++)
			f->offset[i][side] = 1ull << 32;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const struct sink_ops *const printers[] = { &sink_json, &sink_otlp_json, &sink_console };
	static int null_fd = -1;
	struct fuzz f = { .now = 1000000000 };
	struct check_sink check = { .sink = { &check_ops }, .f = &f };
	struct sink *sinks[5] = { &check.sink };
	struct slice in = slice_make(bytes, size);
	char error[256];
	struct step s;

	if (null_fd < 0)
		null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	for (size_t i = 0; i < 3; i++) {
		const char *values[16] = { NULL };
		struct sink_config c = { .values = values, .spool_dir = "", .out_fd = null_fd, .patient = true };
		for (size_t k = 0; printers[i]->options[k].name; k++)
			values[k] = printers[i]->options[k].value;
		REQUIRE(printers[i]->open(&c, &sinks[i + 1], error, sizeof(error)) == 0);
	}
	f.choice = fuzz_byte(&in);
	begin(&f, sinks);
	while (step_next(&in, &s)) {
		step(&f, &s);
		if (f.choice & MIRROR && s.socket <= 1 && s.kind != STEP_RECORD && s.kind != STEP_TIME) {
			s.socket ^= 1;
			step(&f, &s);
		}
	}
	pipeline_finish(f.p);
	check_counts(&f);
	if (size % 16 == 0) /* it takes longer than all the rest of a short input */
		check_exposition(f.p, f.choice & SHOW);
	pipeline_free(f.p);
	for (size_t i = 1; sinks[i]; i++)
		sinks[i]->ops->close(sinks[i]);
	return 0;
}

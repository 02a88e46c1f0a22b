/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the seeds: `seeds DIR` makes DIR/<harness>/… of the parsers' fixtures (tests/proto/<symbol>/<name>.fix) and of the lines in
 * tests/fuzz/seeds/<harness>.txt, which are items in the notation of fixtures (tests/proto/harness.h). A new protocol needs no change here.
 */
#include <elf.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config/settings.h"
#include "fuzz/steps.h"
#include "proto/fixture.h"
#include "source/source.h"

enum { SEED_MAX = 65536, PORT_CLIENT = 40000 };

static const char *root;

static void die(const char *what)
{
	fprintf(stderr, "seeds: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void write_seed(const char *harness, const char *symbol, const char *name, struct slice bytes)
{
	char path[512];

	if (bytes.len > SEED_MAX)
		return;
	snprintf(path, sizeof(path), "%s/%s", root, harness);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		die(path);
	snprintf(path, sizeof(path), "%s/%s/%s-%s", root, harness, symbol, name);
	FILE *f = fopen(path, "we");
	if (!f || fwrite(bytes.ptr, 1, bytes.len, f) != bytes.len || fclose(f) != 0)
		die(path);
}

static void steps_of(const struct fixture *f, uint8_t choice, uint8_t socket, struct buffer *to)
{
	buffer_clear(to);
	buffer_append_byte(to, choice);
	for (size_t i = 0; i < f->nops; i++) {
		const struct fixture_op *op = &f->op[i];
		size_t units = op->len / 16;
		if (op->kind == FIXTURE_BYTES)
			step_put(to, STEP_BYTES, op->side, socket, 0, slice_make(f->bytes.data + op->at, op->len));
		else if (op->kind == FIXTURE_EOF)
			step_put(to, STEP_EOF, op->side, socket, 0, SLICE_NONE);
		else
			step_put(to, STEP_UNSEEN, op->side, socket, (uint8_t)(units < 255 ? units : 255), SLICE_NONE);
	}
}

/* Frames. Checksums are left out: a capture's often lack them. */

static void put_be(struct buffer *to, uint64_t v, unsigned width)
{
	while (width--)
		buffer_append_byte(to, (uint8_t)(v >> (8 * width)));
}

struct talk {
	bool v6, datagram;
	uint16_t port;
	uint32_t seq[2];
};

static void put_transport(struct buffer *to, struct talk *t, unsigned side, uint8_t flags, struct slice payload)
{
	put_be(to, side ? t->port : PORT_CLIENT, 2);
	put_be(to, side ? PORT_CLIENT : t->port, 2);
	if (t->datagram) {
		put_be(to, payload.len + 8, 2);
		put_be(to, 0, 2);
	} else {
		put_be(to, t->seq[side], 4);
		put_be(to, t->seq[!side], 4);
		put_be(to, 0x5000u | flags, 2);
		put_be(to, 0xffff, 2);
		put_be(to, 0, 4);
		t->seq[side] += (uint32_t)payload.len + (flags & 3 ? 1 : 0); /* SYN and FIN count */
	}
	buffer_append_slice(to, payload);
}

static void put_frame(struct buffer *to, struct talk *t, unsigned side, uint8_t flags, struct slice payload)
{
	size_t transport = payload.len + (t->datagram ? 8 : 20);
	uint8_t protocol = t->datagram ? 17 : 6;

	put_be(to, 0, 4);
	put_be(to, 0, 4);
	put_be(to, 0, 4);
	put_be(to, t->v6 ? 0x86dd : 0x0800, 2);
	if (t->v6) {
		put_be(to, 6ull << 28, 4);
		put_be(to, transport, 2);
		put_be(to, protocol, 1);
		put_be(to, 64, 1);
		for (unsigned end = 0; end < 2; end++) {
			put_be(to, 0, 8);
			put_be(to, 1u + (side ^ end), 8);
		}
	} else {
		put_be(to, 0x4500, 2);
		put_be(to, transport + 20, 2);
		put_be(to, 0, 4);
		put_be(to, 0x4000u | protocol, 2);
		put_be(to, 0, 2);
		put_be(to, 0x0a000001u + side, 4);
		put_be(to, 0x0a000002u - side, 4);
	}
	put_transport(to, t, side, flags, payload);
}

static void put_pcap_packet(struct buffer *pcap, struct slice frame, uint32_t n)
{
	uint32_t header[4] = { 1700000000 + n / 1000, n % 1000 * 1000, (uint32_t)frame.len, (uint32_t)frame.len };

	buffer_append(pcap, header, sizeof(header));
	buffer_append_slice(pcap, frame);
}

static void put_packet(struct buffer *packets, struct slice frame)
{
	put_be(packets, 1, 1);
	put_be(packets, 0, 1);
	put_be(packets, frame.len, 2);
	buffer_append_slice(packets, frame);
}

static void write_capture(const char *symbol, const char *name, const struct fixture *f, bool v6)
{
	static const uint32_t pcap_header[6] = { 0xa1b2c3d4, 2 | 4 << 16, 0, 0, 262144, 1 /* Ethernet */ };
	struct talk t = { .v6 = v6, .datagram = f->datagram, .port = proto_port_hint(f->ops->id), .seq = { 1000, 5000 } };
	struct buffer pcap, packets, frame;
	uint32_t n = 0;

	buffer_init(&pcap, 2 * SEED_MAX);
	buffer_init(&packets, 2 * SEED_MAX);
	buffer_init(&frame, SEED_MAX + 256);
	buffer_append(&pcap, pcap_header, sizeof(pcap_header));
	buffer_append_byte(&packets, 0);
	for (size_t i = 0; i < f->nops + 2; i++) {
		const struct fixture_op *op = i < 2 ? NULL : &f->op[i - 2];
		struct slice payload = op && op->kind == FIXTURE_BYTES ? slice_head(slice_make(f->bytes.data + op->at, op->len), 8192) : SLICE_NONE;
		buffer_clear(&frame);
		if (op && op->kind == FIXTURE_HOLE)
			t.seq[op->side] += (uint32_t)op->len;
		else if (op || !t.datagram)
			put_frame(&frame, &t, op ? op->side : (unsigned)i, op ? op->kind == FIXTURE_EOF ? 17 : 24 : i ? 18 : 2, payload);
		if (frame.len == 0)
			continue;
		put_pcap_packet(&pcap, buffer_slice(&frame), n++);
		put_packet(&packets, buffer_slice(&frame));
	}
	if (!pcap.failed && !packets.failed && !frame.failed) {
		write_seed("pcap", symbol, name, buffer_slice(&pcap));
		write_seed("packet", symbol, name, buffer_slice(&packets));
	}
	buffer_done(&pcap);
	buffer_done(&packets);
	buffer_done(&frame);
}

/* The same bytes as records: raw, and as a file. */
static void write_records(const char *symbol, const char *name, const struct fixture *f)
{
	struct buffer raw, file;
	struct recorder *r;
	char path[512], error[256];
	uint64_t offset[2] = { 0, 0 };

	snprintf(path, sizeof(path), "%s/recording.tmp", root);
	if (recorder_open(path, NULL, &r, error, sizeof(error)) < 0)
		die(error);
	buffer_init(&raw, 4 * SEED_MAX);
	buffer_init(&file, 4 * SEED_MAX);
	buffer_append_byte(&raw, 0);
	for (size_t i = 0; i < f->nops; i++) {
		const struct fixture_op *op = &f->op[i];
		struct slice payload = op->kind == FIXTURE_BYTES ? slice_head(slice_make(f->bytes.data + op->at, op->len), PLUMB_PAYLOAD_MAX) : SLICE_NONE;
		size_t size = (sizeof(struct plumb_rec_data) + payload.len + 7) & ~(size_t)7;
		struct record rec = { .u.data = { .h = { .size = (uint32_t)size, .type = PLUMB_REC_DATA, .time_ns = i * 1000 }, .sock = 1, .offset = offset[op->side],
			.len = (uint32_t)op->len, .captured = (uint32_t)payload.len, .direction = (uint8_t)op->side } };
		offset[op->side] += op->len;
		if (recorder_write(r, &rec, payload) < 0)
			die(path);
		buffer_append(&raw, &rec.u.data, sizeof(rec.u.data));
		buffer_append_slice(&raw, payload);
		buffer_append(&raw, (const uint8_t[8]){ 0 }, size - sizeof(rec.u.data) - payload.len);
	}
	if (recorder_close(r) < 0)
		die(path);
	FILE *in = fopen(path, "re");
	uint8_t block[4096];
	buffer_append_byte(&file, 1);
	for (size_t n; in && (n = fread(block, 1, sizeof(block), in)) > 0;)
		buffer_append(&file, block, n);
	if (!in || fclose(in) != 0 || remove(path) != 0)
		die(path);
	if (!raw.failed)
		write_seed("record", symbol, name, buffer_slice(&raw));
	if (!file.failed)
		write_seed("recording", symbol, name, buffer_slice(&file));
	buffer_done(&raw);
	buffer_done(&file);
}

static void from_fixture(const char *symbol, uint16_t id, const char *path)
{
	struct fixture f;
	struct buffer steps;
	char why[512], name[128];
	const char *base = strrchr(path, '/') + 1;

	if (!fixture_load(path, proto_get(id), &f, why, sizeof(why))) {
		fprintf(stderr, "seeds: %s\n", why);
		exit(1);
	}
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(base, "."), base);
	buffer_init(&steps, 4 * SEED_MAX);
	uint8_t socket = f.datagram ? 3 : 0;
	steps_of(&f, (uint8_t)((id - 1) | (f.datagram ? 0x80 : 0)), socket, &steps);
	if (!steps.failed) {
		write_seed("proto", symbol, name, buffer_slice(&steps));
		steps_of(&f, 0, socket, &steps);
		write_seed("masker", symbol, name, buffer_slice(&steps));
		/* Seen at one end, at both, on the wire, within small bounds: one way each, in turn. */
		static const uint8_t looks[] = { 0x23, 0x2b, 0x04, 0x37, 0x61, 0xa3 };
		static uint32_t turn;
		steps_of(&f, looks[turn++ % sizeof(looks)], socket, &steps);
		write_seed("pipeline", symbol, name, buffer_slice(&steps));
	}
	write_capture(symbol, name, &f, strlen(name) % 2);
	write_records(symbol, name, &f);
	buffer_done(&steps);
	fixture_done(&f);
}

static void from_fixtures(const char *symbol, uint16_t id)
{
	char pattern[256];
	glob_t g;

	snprintf(pattern, sizeof(pattern), "tests/proto/%s/*.fix", symbol);
	if (glob(pattern, 0, NULL, &g) == 0)
		for (size_t i = 0; i < g.gl_pathc; i++)
			from_fixture(symbol, id, g.gl_pathv[i]);
	globfree(&g);
}

static void from_text(const char *path)
{
	struct buffer seed;
	char harness[64], name[32], *line = NULL;
	const char *base = strrchr(path, '/') + 1;
	size_t cap = 0, number = 0;
	ssize_t n;
	FILE *f = fopen(path, "re");

	if (!f)
		die(path);
	snprintf(harness, sizeof(harness), "%.*s", (int)strcspn(base, "."), base);
	buffer_init(&seed, SEED_MAX);
	while ((n = getline(&line, &cap, f)) > 0) {
		number++;
		if (line[0] == '#' || line[0] == '\n')
			continue;
		buffer_clear(&seed);
		if (!fixture_items(slice_make(line, (size_t)n - (line[n - 1] == '\n')), &seed)) {
			fprintf(stderr, "seeds: %s:%zu: no items\n", path, number);
			exit(1);
		}
		snprintf(name, sizeof(name), "%03zu", number);
		write_seed(harness, "line", name, buffer_slice(&seed));
	}
	free(line);
	fclose(f);
	buffer_done(&seed);
}

static void put_call(struct buffer *raw, struct buffer *steps, struct recorder *r, const struct plumb_rec_call *c, const char *text)
{
	struct record rec = { .u.call = *c };
	size_t len = strlen(text), size = (sizeof(rec.u.call) + len + 7) & ~(size_t)7, body = sizeof(rec.u.call) - sizeof(rec.u.h);

	rec.u.h = (struct plumb_rec_header){ .size = (uint32_t)size, .type = PLUMB_REC_CALL, .time_ns = 1000 };
	rec.u.call.len = rec.u.call.captured = (uint32_t)len;
	rec.u.call.pid = rec.u.call.tid = 100;
	if (recorder_write(r, &rec, slice_make(text, len)) < 0)
		die("call");
	buffer_append(raw, &rec.u.call, sizeof(rec.u.call));
	buffer_append(raw, text, len);
	buffer_append(raw, (const uint8_t[8]){ 0 }, size - sizeof(rec.u.call) - len);
	buffer_append_byte(steps, STEP_RECORD);
	buffer_append_byte(steps, PLUMB_REC_CALL + 32); /* and so 4 * 49 bytes */
	buffer_append(steps, &rec.u.call.begin_ns, body);
	len = len < 4 * (PLUMB_REC_CALL + 32) - body ? len : 4 * (PLUMB_REC_CALL + 32) - body;
	buffer_append(steps, text, len);
	for (; len < 4 * (PLUMB_REC_CALL + 32) - body; len++)
		buffer_append_byte(steps, ' ');
}

static void from_calls(void)
{
	static const struct { struct plumb_rec_call c; const char *text; } calls[] = {
		{ { .function = PLUMB_FN_SQLITE_OPEN, .object = 1 }, "file:a.db?key=b" }, { { .function = PLUMB_FN_SQLITE_PREPARE, .object = 2, .parent = 1 }, "SELECT a FROM t WHERE b = 'c'" },
		{ { .function = PLUMB_FN_SQLITE_EXECUTE, .object = 2, .parent = 1, .result = 101, .count = 7 }, "" }, { { .function = PLUMB_FN_SQLITE_EXECUTE, .object = 2, .result = 2067 }, "" },
		{ { .function = PLUMB_FN_SQLITE_FINALIZE, .object = 2 }, "" }, { { .function = PLUMB_FN_SQLITE_CLOSE, .object = 1 }, "" }, { { .function = PLUMB_FN_DUCKDB_OPEN, .object = 3 }, ":memory:" },
		{ { .function = PLUMB_FN_DUCKDB_CONNECT, .object = 4, .parent = 3 }, "" }, { { .function = PLUMB_FN_DUCKDB_QUERY, .parent = 4 }, "COPY t TO 'a'" },
		{ { .function = PLUMB_FN_DUCKDB_PREPARE, .object = 5, .parent = 4 }, "SELECT $1" }, { { .function = PLUMB_FN_DUCKDB_EXECUTE, .object = 5, .result = 1 }, "" },
		{ { .function = PLUMB_FN_DUCKDB_FORGET, .object = 5 }, "" },
		{ { .function = PLUMB_FN_GPU + PLUMB_GPU_CU_LAUNCH_KERNEL, .object = 7, .parent = 32, .result = 719 }, "_Z4sortPf" }, { { .function = PLUMB_FN_GPU + PLUMB_GPU_HIP_MALLOC, .count = 7, .result = 2 }, "" },
	};
	struct buffer raw, steps, file;
	struct recorder *r;
	char path[512], error[256];
	uint8_t block[4096];

	snprintf(path, sizeof(path), "%s/recording.tmp", root);
	if (recorder_open(path, NULL, &r, error, sizeof(error)) < 0)
		die(error);
	buffer_init(&raw, SEED_MAX);
	buffer_init(&steps, SEED_MAX);
	buffer_init(&file, SEED_MAX);
	buffer_append_byte(&raw, 0);
	buffer_append_byte(&steps, 0x23);
	buffer_append_byte(&file, 1);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		put_call(&raw, &steps, r, &calls[i].c, calls[i].text);
	FILE *in = recorder_close(r) < 0 ? NULL : fopen(path, "re");
	for (size_t n; in && (n = fread(block, 1, sizeof(block), in)) > 0;)
		buffer_append(&file, block, n);
	if (!in || fclose(in) != 0 || remove(path) != 0)
		die(path);
	write_seed("record", "call", "all", buffer_slice(&raw));
	write_seed("pipeline", "call", "all", buffer_slice(&steps));
	write_seed("recording", "call", "all", buffer_slice(&file));
	buffer_done(&raw);
	buffer_done(&steps);
	buffer_done(&file);
}

/* A program of one segment with the symbols that are looked for. */
static void from_elf(void)
{
	struct {
		Elf64_Ehdr head;
		Elf64_Phdr segment;
		Elf64_Shdr sections[3];
		Elf64_Sym symbols[3];
		char names[40];
		uint8_t code[64];
	} f = {
		.head = { .e_ident = ELFMAG, .e_type = ET_DYN, .e_machine = EM_X86_64, .e_phoff = sizeof(Elf64_Ehdr), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1,
			  .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 3 },
		.segment = { .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = 0x1000, .p_filesz = sizeof(f.code) },
		.sections[1] = { .sh_type = SHT_DYNSYM, .sh_size = sizeof(f.symbols), .sh_link = 2, .sh_entsize = sizeof(Elf64_Sym) },
		.sections[2] = { .sh_type = SHT_STRTAB, .sh_size = sizeof(f.names) },
		.names = "\0sqlite3_step\0sqlite3_prepare_v2",
	};

	f.head.e_ident[EI_CLASS] = ELFCLASS64;
	f.head.e_ident[EI_DATA] = ELFDATA2LSB;
	f.head.e_shoff = (uint64_t)((uint8_t *)f.sections - (uint8_t *)&f);
	f.segment.p_offset = (uint64_t)(f.code - (uint8_t *)&f);
	f.sections[1].sh_offset = (uint64_t)((uint8_t *)f.symbols - (uint8_t *)&f);
	f.sections[2].sh_offset = (uint64_t)((uint8_t *)f.names - (uint8_t *)&f);
	for (uint32_t i = 1; i < 3; i++)
		f.symbols[i] = (Elf64_Sym){ .st_name = i == 1 ? 1 : 14, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), .st_shndx = 1, .st_value = 0x1000 + 16 * i };
	write_seed("elf", "dynsym", "all", slice_make(&f, sizeof(f)));
	f.sections[1].sh_type = SHT_SYMTAB;
	write_seed("elf", "symtab", "all", slice_make(&f, sizeof(f)));
}

static void from_configuration(void)
{
	struct buffer b;

	buffer_init(&b, SEED_MAX);
	buffer_append_byte(&b, 0);
	if (settings_print_yaml(&b) < 0)
		die("configuration");
	write_seed("config", "all", "defaults", buffer_slice(&b));
	/* Every key set: what is a comment in the file becomes a value. */
	for (size_t i = 1; i + 1 < b.len; i++)
		if (b.data[i] == '#' && b.data[i + 1] != ' ')
			b.data[i] = ' ';
	write_seed("config", "all", "keys", buffer_slice(&b));
	buffer_done(&b);
}

int main(int argc, char **argv)
{
	static const struct { const char *symbol; uint16_t id; } parsers[] = {
#define PROTOCOL(id_, symbol_, ...) { #symbol_, PLUMB_PROTO_##id_ },
#include "../../bpf/abi/protocols.def"
#undef PROTOCOL
	};
	glob_t g;

	if (argc != 2) {
		fprintf(stderr, "usage: seeds DIR\n");
		return 2;
	}
	root = argv[1];
	if (mkdir(root, 0755) < 0 && errno != EEXIST)
		die(root);
	for (size_t i = 0; i < sizeof(parsers) / sizeof(*parsers); i++)
		from_fixtures(parsers[i].symbol, parsers[i].id);
	if (glob("tests/fuzz/seeds/*.txt", 0, NULL, &g) == 0)
		for (size_t i = 0; i < g.gl_pathc; i++)
			from_text(g.gl_pathv[i]);
	globfree(&g);
	from_configuration();
	from_elf();
	from_calls();
	return 0;
}

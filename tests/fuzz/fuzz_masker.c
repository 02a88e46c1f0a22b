/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recordings that are shared hold no secret: the steps (steps.h) carry a canary wherever the input has the byte 0xfe, in any place of any
 * protocol, cut anywhere, behind any hole; no part of it comes out that is longer than what framing can take up.
 */
#include <sys/socket.h>

#include "fuzz/steps.h"
#include "proto/masker.h"

#define CANARY "cAnArY-yEt-AnOtHeR-lOnG-wOrD-oF-mAnY-bYtEs"

/* A type, a length and the mark of a field of PostgreSQL; DNS keeps the header, and types, classes and times behind names. */
enum { MARK = 0xfe, STREAM_PART = 7, DATAGRAM_PART = 15, PAYLOAD_MAX = 16384, SOCKETS = 4 };

static void no_canary(const uint8_t *p, size_t n, size_t part)
{
	for (size_t i = 0; i + part < sizeof(CANARY); i++)
		REQUIRE(!memmem(p, n, &CANARY[i], part));
}

static size_t expand(struct slice in, uint8_t out[PAYLOAD_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++) {
		size_t len = in.ptr[i] == MARK ? sizeof(CANARY) - 1 : 1;
		if (n + len > PAYLOAD_MAX)
			break;
		memcpy(out + n, len > 1 ? (const uint8_t *)CANARY : in.ptr + i, len);
		n += len;
	}
	return n;
}

struct fuzz {
	struct masker *m;
	uint64_t offset[SOCKETS][2];
	uint8_t last[SOCKETS][2][64]; /* the latest bytes that went out: a part may straddle two records */
	size_t last_len[SOCKETS][2];
};

static void check_stream(struct fuzz *f, const struct step *s, const uint8_t *p, size_t n)
{
	uint8_t joined[64 + PAYLOAD_MAX], *last = f->last[s->socket][s->side];
	size_t *len = &f->last_len[s->socket][s->side];

	memcpy(joined, last, *len);
	memcpy(joined + *len, p, n);
	no_canary(joined, *len + n, STREAM_PART);
	size_t all = *len + n, keep = all < 64 ? all : 64;
	memcpy(last, joined + all - keep, keep);
	*len = keep;
}

static void step(struct fuzz *f, const struct step *s)
{
	uint8_t bytes[PAYLOAD_MAX];
	uint64_t *offset = &f->offset[s->socket][s->side];
	struct record r = { .u.dgram = { .d = { .h = { .type = PLUMB_REC_DATA }, .sock = 1u + s->socket, .offset = *offset, .direction = s->side } } };

	switch (s->kind) {
	case STEP_CLOSE:
		r.u.sock_stats = (struct plumb_rec_sock_stats){ .h = { .type = PLUMB_REC_SOCK_CLOSE }, .sock = 1u + s->socket };
		masker_record(f->m, &r, NULL, 0);
		return;
	case STEP_RECORD:
		r.u.sock = (struct plumb_rec_sock){ .h = { .type = PLUMB_REC_SOCK_OPEN }, .sock = 1u + s->socket,
			.type = s->socket == 3 ? SOCK_DGRAM : SOCK_STREAM, .local_port = s->n };
		masker_record(f->m, &r, NULL, 0);
		return;
	case STEP_MOVE: *offset += (uint64_t)(int64_t)(int8_t)s->n; return;
	case STEP_TIME: return;
	case STEP_BYTES:
	case STEP_CUT:
	case STEP_UNSEEN:
	case STEP_EOF: break;
	}
	size_t n = expand(s->bytes, bytes);
	uint8_t *copy = fuzz_copy(slice_make(bytes, n));
	r.u.data.captured = (uint32_t)n;
	r.u.data.len = (uint32_t)n + (s->kind == STEP_UNSEEN ? 16u * s->n : s->kind == STEP_CUT && s->bytes.len ? 16u * s->bytes.ptr[0] : 0);
	r.u.data.flags = s->thread & 1 ? PLUMB_DATA_CONTINUED : 0;
	*offset += r.u.data.len;
	if (s->socket == 3) {
		r.u.h.type = PLUMB_REC_DGRAM;
		r.u.dgram.peer_port = s->thread & 2 ? 53 : 0;
	}
	masker_record(f->m, &r, n ? copy : NULL, n);
	if (s->socket == 3)
		no_canary(copy, n, DATAGRAM_PART);
	else
		check_stream(f, s, copy, n);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz f;
	struct slice in = slice_make(data, size);
	struct step s;

	memset(&f, 0, sizeof(f));
	REQUIRE(masker_new(fuzz_byte(&in) & 1 ? 2 : 0, 47, &f.m) == 0);
	for (size_t i = 0; i < SOCKETS; i++)
		f.offset[i][0] = f.offset[i][1] = 1 << 20;
	while (step_next(&in, &s))
		step(&f, &s);
	masker_free(f.m);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames from strangers, without a capture file around them: link and IP headers, fragments, TCP and UDP, flows. The first byte is the link
 * type, then each packet: milliseconds since the one before, bytes cut off its end, two bytes of length, the frame.
 */
#include "fuzz/records.h"

#include <errno.h>
#include <pcap/dlt.h>

#include "source/flows.h"
#include "source/fragments.h"
#include "source/packet.h"

struct seen {
	uint64_t now;
	uint64_t open, closed;
};

static int take(void *ctx, struct record *rec, struct slice payload)
{
	struct seen *s = ctx;

	record_check(rec, payload);
	REQUIRE(rec->u.h.time_ns == s->now);
	s->open += rec->u.h.type == PLUMB_REC_SOCK_OPEN;
	s->closed += rec->u.h.type == PLUMB_REC_SOCK_CLOSE;
	REQUIRE(s->closed <= s->open);
	return 0;
}

static void packet(struct flows *flows, struct fragments *fragments, int dlt, struct captured frame, uint64_t now)
{
	struct captured ip;
	struct packet p;
	int n = packet_link(dlt, frame, &ip);

	REQUIRE(n == 1 || n == 0 || n == -EBADMSG);
	if (n > 0)
		n = packet_ip(ip, &p);
	if (n > 0 && p.fragment)
		n = fragments_add(fragments, &p, now);
	if (n > 0)
		n = packet_transport(&p);
	if (n <= 0)
		return;
	REQUIRE(p.payload.bytes.len <= p.payload.len);
	fuzz_touch(p.payload.bytes);
	REQUIRE(flows_packet(flows, &p, now) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int dlts[] = { DLT_EN10MB, DLT_RAW, DLT_NULL, DLT_LOOP, DLT_LINUX_SLL, DLT_LINUX_SLL2, DLT_IPV4, DLT_IPV6 };
	static struct fragments fragments;
	struct slice in = slice_make(data, size);
	int dlt = dlts[fuzz_byte(&in) % (sizeof(dlts) / sizeof(*dlts))];
	struct seen seen = { .now = 1000000000 };
	struct flows flows;

	memset(&fragments, 0, sizeof(fragments));
	flows_init(&flows, take, &seen);
	while (in.len) {
		seen.now += (uint64_t)fuzz_byte(&in) * 1000000;
		uint8_t cut = fuzz_byte(&in);
		struct slice frame = fuzz_take(&in, fuzz_number(&in, 2));
		uint8_t *copy = fuzz_copy(frame);
		packet(&flows, &fragments, dlt, (struct captured){ slice_make(copy, frame.len), (uint32_t)frame.len + cut }, seen.now);
		free(copy);
	}
	REQUIRE(flows_finish(&flows, seen.now) == 0);
	flows_done(&flows);
	fragments_done(&fragments);
	return 0;
}

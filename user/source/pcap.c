/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packet captures, pcap and pcapng, by libpcap. A capture names no processes and no sockets: each connection gets a socket
 * cookie, seen from the client's end. Time stamps keep their nanoseconds; a packet stamped earlier than one before it is
 * taken as simultaneous with that.
 *
 * The records of one packet are delivered together, so a read may exceed its maximum by those of the last packet.
 */
#include "source/source.h"

#include <errno.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/hash.h"
#include "source/flows.h"
#include "source/fragments.h"
#include "source/packet.h"

static const uint64_t tick_ns = 100000000;      /* how long time may go on without a record */
static const uint64_t epoch_ns = 1000000000;    /* time_ns of the first packet: leaves room below */

struct pcap_source {
	struct source base;
	struct source_counts counts;
	pcap_t *pcap;
	int dlt;
	bool started;
	bool finished;
	int broken; /* the file ended with an error, said in error */
	int delivered; /* by the read under way */
	uint64_t offset_ns; /* Unix time of time_ns = 0 */
	uint64_t last_ns;   /* latest packet */
	uint64_t told_ns;   /* latest record */
	source_record_fn fn;
	void *ctx;
	struct flows flows;
	struct fragments fragments;
	char error[256];
};

static int deliver(void *ctx, struct record *rec, struct slice payload)
{
	struct pcap_source *s = ctx;

	s->counts.records++;
	s->delivered++;
	s->told_ns = rec->u.h.time_ns;
	int err = s->fn(s->ctx, rec, payload);
	return err < 0 ? err : 0;
}

static int start(struct pcap_source *s, const struct pcap_pkthdr *h, const u_char *bytes)
{
	struct record rec = { .u.start = {
		.h = { .size = sizeof(rec.u.start), .type = PLUMB_REC_START, .cpu = 0xffff },
		.abi_version = PLUMB_ABI_VERSION,
		.flags = PLUMB_START_PCAP,
		.version = PLUMB_VERSION,
	} };
	XXH128_hash_t seed = XXH3_128bits(bytes, h ? h->caplen : 0);

	if (h) {
		uint64_t unix_ns = (uint64_t)h->ts.tv_sec * 1000000000u + (uint64_t)h->ts.tv_usec; /* nanoseconds were asked for */
		s->offset_ns = unix_ns > epoch_ns ? unix_ns - epoch_ns : 0;
		s->last_ns = unix_ns - s->offset_ns;
		seed.high64 ^= unix_ns;
	}
	memcpy(rec.u.start.seed, &seed, sizeof(rec.u.start.seed));
	rec.u.start.realtime_offset_ns = s->offset_ns;
	rec.u.h.time_ns = s->last_ns;
	s->started = true;
	return deliver(s, &rec, SLICE_NONE);
}

/* Moves time on. What comes out of order by more than the packets beside it is counted. */
static int advance(struct pcap_source *s, const struct pcap_pkthdr *h)
{
	uint64_t unix_ns = (uint64_t)h->ts.tv_sec * 1000000000u + (uint64_t)h->ts.tv_usec;
	uint64_t now = unix_ns > s->offset_ns ? unix_ns - s->offset_ns : 0;

	if (now < s->last_ns) {
		s->counts.late++;
		return 0;
	}
	s->last_ns = now;
	if (now - s->told_ns < tick_ns)
		return 0;
	struct record rec = { .u.h = { .size = sizeof(rec.u.h), .type = PLUMB_REC_TICK, .cpu = 0xffff, .time_ns = now } };
	return deliver(s, &rec, SLICE_NONE);
}

static int take_packet(struct pcap_source *s, const struct pcap_pkthdr *h, const u_char *bytes)
{
	uint32_t captured = h->caplen < h->len ? h->caplen : h->len;
	struct captured frame = { slice_make(bytes, captured), h->len }, ip;
	struct packet p;

	int n = packet_link(s->dlt, frame, &ip);
	if (n > 0)
		n = packet_ip(ip, &p);
	if (n > 0 && p.fragment)
		n = fragments_add(&s->fragments, &p, s->last_ns);
	if (n > 0)
		n = packet_transport(&p);
	if (n > 0)
		return flows_packet(&s->flows, &p, s->last_ns);
	if (n == -EBADMSG) {
		s->counts.corrupt++;
		return 0;
	}
	return n;
}

static int finish(struct pcap_source *s, int rc)
{
	s->finished = true;
	if (rc == PCAP_ERROR) {
		s->broken = -EBADMSG;
		snprintf(s->error, sizeof(s->error), "the capture is cut or damaged, %" PRIu64 " records came before: %.120s", s->counts.records,
			 pcap_geterr(s->pcap));
	}
	return flows_finish(&s->flows, s->last_ns);
}

static int read_packet(struct pcap_source *s)
{
	struct pcap_pkthdr *h;
	const u_char *bytes;
	int rc = pcap_next_ex(s->pcap, &h, &bytes), err = 0;

	if (rc != 1) {
		if (!s->started)
			err = start(s, NULL, NULL);
		int end = finish(s, rc);
		return err ? err : end;
	}
	/* A time that no clock shows would overflow what is reckoned with it. libpcap passes a fraction on as the file has it, signed. */
	if (h->ts.tv_sec < 0 || (uint64_t)h->ts.tv_sec >= RECORD_TIME_MAX_NS / 1000000000u || h->ts.tv_usec < 0 || h->ts.tv_usec >= 1000000000) {
		s->counts.corrupt++;
		return 0;
	}
	if (!s->started)
		err = start(s, h, bytes);
	if (!err)
		err = advance(s, h);
	return err ? err : take_packet(s, h, bytes);
}

static int pcap_source_read(struct source *base, int max, int wait_ms, source_record_fn fn, void *ctx)
{
	struct pcap_source *s = (struct pcap_source *)base;

	(void)wait_ms; /* a file never makes one wait; a pipe does, as libpcap reads it through stdio */
	s->fn = fn;
	s->ctx = ctx;
	s->delivered = 0;
	while (s->delivered < max && !s->finished) {
		int err = read_packet(s);
		if (err)
			return err;
	}
	return s->delivered || !s->finished ? s->delivered : -ENODATA;
}

static void pcap_source_close(struct source *base)
{
	struct pcap_source *s = (struct pcap_source *)base;

	if (s->pcap)
		pcap_close(s->pcap);
	flows_done(&s->flows);
	fragments_done(&s->fragments);
	free(s);
}

static const char *pcap_source_error(const struct source *base)
{
	const struct pcap_source *s = (const struct pcap_source *)base;

	return s->error[0] ? s->error : NULL;
}

static void pcap_source_counts(const struct source *base, struct source_counts *ret)
{
	const struct pcap_source *s = (const struct pcap_source *)base;

	*ret = s->counts;
	ret->corrupt += s->fragments.dropped;
}

static const struct source_ops pcap_source_ops = {
	.name = "pcap",
	.read = pcap_source_read,
	.close = pcap_source_close,
	.error = pcap_source_error,
	.counts = pcap_source_counts,
};

int pcap_source_open(const char *path, struct source **ret_source, char *ret_error, size_t error_len)
{
	char why[PCAP_ERRBUF_SIZE] = "";
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");

	if (!file) {
		int err = -errno;
		snprintf(ret_error, error_len, "cannot open %s: %s", path, strerror(-err));
		return err;
	}
	struct pcap_source *s = calloc(1, sizeof(*s));
	if (!s) {
		if (file != stdin)
			fclose(file);
		snprintf(ret_error, error_len, "cannot read %s: out of memory", path);
		return -ENOMEM;
	}
	s->base.ops = &pcap_source_ops;
	flows_init(&s->flows, deliver, s);
	s->pcap = pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, why);
	if (!s->pcap) {
		snprintf(ret_error, error_len, "%s is not a capture that libpcap reads: %.150s", path, why);
		if (file != stdin)
			fclose(file);
		pcap_source_close(&s->base);
		return -EINVAL;
	}
	s->dlt = pcap_datalink(s->pcap);
	if (!packet_link_known(s->dlt)) {
		const char *name = pcap_datalink_val_to_name(s->dlt);
		snprintf(ret_error, error_len, "%s has link type %s (%d): plumb reads Ethernet, Linux cooked v1 and v2, loopback and raw IP", path,
			 name ? name : "unknown", s->dlt);
		pcap_source_close(&s->base);
		return -ENOTSUP;
	}
	*ret_source = &s->base;
	return 0;
}

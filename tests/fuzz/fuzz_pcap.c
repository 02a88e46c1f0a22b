/* SPDX-License-Identifier: Apache-2.0 */
/* Captures from strangers, pcap and pcapng, as whole files through libpcap: reading ends, the counts add up, every record is sound. */
#include "fuzz/records.h"

#include <errno.h>

struct seen {
	uint64_t records, last_ns;
	bool started;
};

static int take(void *ctx, const struct record *rec, struct slice payload)
{
	struct seen *s = ctx;

	record_check(rec, payload);
	REQUIRE(rec->u.h.time_ns >= s->last_ns);
	REQUIRE(s->started || rec->u.h.type == PLUMB_REC_START);
	s->started = true;
	s->last_ns = rec->u.h.time_ns;
	s->records++;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source_counts counts;
	struct source *s;
	struct seen seen = { 0 };
	char path[64], error[256] = "";
	int fd = fuzz_file(slice_make(data, size), path), n;

	if (pcap_source_open(path, &s, error, sizeof(error)) == 0) {
		do
			n = s->ops->read(s, 7, 0, take, &seen);
		while (n >= 0);
		s->ops->counts(s, &counts);
		REQUIRE(counts.records == seen.records && (n == -ENODATA || s->ops->error(s)));
		s->ops->close(s);
	} else {
		REQUIRE(error[0]);
	}
	close(fd);
	return 0;
}

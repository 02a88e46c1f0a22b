/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether bytes are Couchbase's. What memcached has as well (a lone get for vbucket 0, say) tells little; a client begins with HELLO, and most of what
 * follows has a vbucket, a frame, or an operation that memcached has not. A connection that is joined among messages that both have waits for one of those.
 */
#include "proto/couchbase_wire.h"
#include "proto/memcached_wire.h"

enum { MESSAGES = 4 }; /* looked at */

int couchbase_detect(struct slice in, enum proto_side side)
{
	struct memcached_head theirs;
	struct couchbase_head h;
	int best = DETECT_MORE;

	for (unsigned i = 0; i < MESSAGES; i++) {
		switch (couchbase_head_read(in, side, &h)) {
		case COUCHBASE_MORE: return best;
		case COUCHBASE_BAD: return DETECT_NO;
		case COUCHBASE_OK: break;
		}
		if (!couchbase_head_fits(&h))
			return DETECT_NO;
		int score = memcached_head_read(in, side, &theirs) == MEMCACHED_BAD ? DETECT_LIKELY : DETECT_SHARED;
		best = score > best ? score : best;
		if (in.len - COUCHBASE_HEAD <= h.body)
			return best;
		in = slice_from(in, COUCHBASE_HEAD + (size_t)h.body);
	}
	return best;
}

size_t couchbase_find(struct slice in, enum proto_side side)
{
	struct couchbase_head h;

	for (size_t at = 0; at < in.len; at++) {
		struct slice rest = slice_from(in, at);
		if (couchbase_head_read(rest, side, &h) != COUCHBASE_OK || !couchbase_head_fits(&h))
			continue;
		if (rest.len - COUCHBASE_HEAD <= h.body || couchbase_head_read(slice_from(rest, COUCHBASE_HEAD + (size_t)h.body), side, &h) != COUCHBASE_BAD)
			return at;
	}
	return in.len;
}

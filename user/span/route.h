/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Learns http.route: concrete request paths in, templates of low cardinality out. Two means:
 *  - shape: a segment that reads like a number, UUID, hash, date, token, e-mail … becomes {id}, {uuid}, {hash} … at first sight;
 *  - count: where more than ROUTE_FANOUT different words have stood at one place (ROUTE_FANOUT_ROOT for the first segment), that
 *    place becomes {param}. Words of routes that came at least ROUTE_PROVEN times stay, unless most words there have.
 * A pure function of the paths in their order, so a replay learns the same. Everything is bounded: services, templates per
 * service, segments, text; what does not fit has no route, and the caller counts it.
 */
#ifndef PLUMB_SPAN_ROUTE_H
#define PLUMB_SPAN_ROUTE_H

#include "lib/slice.h"

enum {
	ROUTE_FANOUT = 20,
	ROUTE_FANOUT_ROOT = 100,
	ROUTE_PROVEN = 32,
	ROUTE_SEGMENTS_MAX = 16, /* what lies deeper is one {path} */
	ROUTE_TEXT_MAX = 232,    /* bytes of a template */
	ROUTE_SERVICES_MAX = 512,
	ROUTE_PER_SERVICE = 200,
};

struct route_learner;

/* per_service: templates of one service, 0 = ROUTE_PER_SERVICE. -ENOMEM. */
int route_learner_new(uint32_t per_service, struct route_learner **ret_learner);
void route_learner_free(struct route_learner *l);

/*
 * The template of `path` (from its slash, without query). doubtful: the server answered that there is nothing here (404), so
 * that scans may not use up more than a quarter of the service's templates. Empty when a bound is reached or the path is not
 * one. Valid until the next call.
 */
struct slice route_learn(struct route_learner *l, struct slice service, struct slice path, bool doubtful);

/* route_segment.c: what stands for a segment of this shape ("{id}", "{hash}.js"), written to out; empty = take it literally. */
enum { ROUTE_SEGMENT_MAX = 48 };
struct slice route_segment_shape(struct slice segment, char out[ROUTE_SEGMENT_MAX]);
bool route_segment_is_literal(struct slice segment);

#endif

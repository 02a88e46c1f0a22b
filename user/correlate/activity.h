/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which requests the threads (or goroutines, coroutines) of a process are handling, and so which one makes a call.
 *
 * A thread with one request: that one. A thread with several is an event loop: a request is runnable from the moment that its bytes, or the answer to a call it made,
 * were read, until it makes a call itself; a call belongs to the only runnable one, or, while nothing has been read since, to the one that made the previous
 * call. With two runnable ones nobody can tell from outside, and the call is not joined. A thread without request works for a request of another thread if
 * it is, and has been, the only one in the process: weak evidence with a label of its own.
 *
 * A call of a library is known when it has returned, to the same thread: whose it is, the same rules say, and who waits for what remains as it was.
 *
 * Entries live as long as requests that need them, so the tables are bounded by the nodes.
 */
#ifndef PLUMB_CORRELATE_ACTIVITY_H
#define PLUMB_CORRELATE_ACTIVITY_H

#include "correlate/node.h"
#include "lib/map.h"
#include "lib/slab.h"

struct activity {
	struct map threads, processes;
	struct slab thread_slab, process_slab;
};

struct activity_caller {
	uint32_t pid, tid;
	uint64_t flow; /* 0 = the thread is the flow */
};

enum activity_answer { ACTIVITY_NONE, ACTIVITY_FOUND, ACTIVITY_AMBIGUOUS };

void activity_init(struct activity *a, size_t max_requests);
void activity_done(struct activity *a);

/* A server's request was read by this caller; stop() when its response has been sent. start() without memory leaves the node unlisted. */
void activity_start(struct activity *a, struct trace_node *n, struct activity_caller by);
void activity_stop(struct activity *a, struct trace_node *n);
/* More of the request was read by somebody else. */
void activity_move(struct activity *a, struct trace_node *n, struct activity_caller to);
/* The caller read something, or answered a request: what comes next may belong to another request. */
void activity_turn(struct activity *a, struct activity_caller by);
/* An answer to a call that the request made has come. */
void activity_resume(struct trace_node *n);

/* The one request that the process is handling, if it has handled no other meanwhile: for callers whose thread says nothing. */
enum activity_answer activity_find_alone(struct activity *a, uint32_t pid, uint64_t start_ns, struct trace_node **ret_node);
/*
 * The request that makes a call at start_ns. wire: the context that the call carries, or NULL; among several requests it picks the one that came with the same. The request then waits for an
 * answer, unless the call is one within the process and over.
 */
enum activity_answer activity_find(struct activity *a, struct activity_caller by, uint64_t start_ns, const struct trace_context *wire, bool within,
				   struct trace_node **ret_node, enum join *ret_join);

#endif

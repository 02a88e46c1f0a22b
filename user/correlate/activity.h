/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which requests the threads (or goroutines, coroutines) of a process are handling, and so which one makes a call.
 *
 * A thread with one request: that one. A thread with several is an event loop: a request is runnable from the moment that its bytes, or the answer to a call it made,
 * were read, until it makes a call itself; a call belongs to the only runnable one, or, while nothing has been read since, to the one that made the previous
 * call. With two runnable ones nobody can tell from outside, and the call is not joined. A thread without request works for a request of another thread if
 * it is, and has been, the only one in the process: weak evidence with a label of its own.
 *
 * What an event loop does need not be done for a request: timers fire, tasks go on that no request began. There a call belongs to a request only in the turn in which something of
 * the request was read: the thread has not slept since, nor read anything that belongs to none. A thread that blocks in what it does for a request sleeps as it likes: its calls
 * are those whose sockets no epoll instance watches, or its request's socket blocks. Where a library's own thread writes what others have queued, to the connection from which it read the request,
 * sockets say nothing: the rule of turns counts there too.
 *
 * A loop that always has something to do does not sleep, so its turns are long: in the turn of one request it may come to what another has waited for. Where another may, nobody can tell whose the call is:
 * one that has made no call since something of it was read, or, on a thread some of whose calls came in turns in which it had read nothing, any other.
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

enum { ACTIVITY_LOOPS = 1024 }; /* threads whose latest turn is remembered, by hash; one that was pushed out has forgotten it */

/* A thread's latest turn, whether it handles requests or not. */
struct activity_loop {
	uint32_t tid, turn;
	uint32_t foreign_turn; /* the latest in which it read what belongs to no request */
	bool foreign;          /* there was one */
	bool prompt;           /* it has read something in this turn */
	uint32_t prompted, unprompted; /* calls that it made in turns in which it had read something, and in others, while it handled requests; halved now and then */
	bool claimed;          /* what it read last belongs to a request */
	uint64_t read;         /* the connection that it read last, in this turn; 0 none */
};

struct activity {
	struct map threads, processes;
	struct slab thread_slab, process_slab;
	struct activity_loop loops[ACTIVITY_LOOPS];
};

struct activity_caller {
	uint32_t pid, tid;
	uint64_t flow; /* 0 = the thread is the flow */
};

enum activity_answer { ACTIVITY_NONE, ACTIVITY_FOUND, ACTIVITY_AMBIGUOUS };

void activity_init(struct activity *a, size_t max_requests);
void activity_done(struct activity *a);

/*
 * A server's request was read by this caller; stop() when its response has been sent. start() without memory leaves the node unlisted. carried: the thread is a library's own, and says
 * nothing.
 */
void activity_start(struct activity *a, struct trace_node *n, struct activity_caller by, bool carried);
void activity_stop(struct activity *a, struct trace_node *n);
/* More of the request was read by somebody else. */
void activity_move(struct activity *a, struct trace_node *n, struct activity_caller to);
/* The caller read something, or answered a request: what comes next may belong to another request. */
void activity_turn(struct activity *a, struct activity_caller by);
/* The thread was seen in a turn, where it read from a connection, or 0: what it did says nothing. */
void activity_seen(struct activity *a, uint32_t tid, uint32_t turn, uint64_t read);
uint32_t activity_latest_turn(struct activity *a, uint32_t tid); /* 0 if it has forgotten it */
/* What the thread read from the connection just now gives it nothing to do. */
void activity_disregard(struct activity *a, uint32_t tid, uint64_t sock);
/* What the thread read from the connection, just now in its turn, belongs to n, or, if NULL, to no request. */
void activity_claim(struct activity *a, struct trace_node *n, uint32_t tid, uint32_t turn, uint64_t sock);
/* The same of an answer that has ended, if the thread read it just now. */
void activity_claim_latest(struct activity *a, struct trace_node *n, uint32_t tid, uint64_t sock);
/* An answer to a call that the request made has come. */
void activity_resume(struct trace_node *n);

/* The one request that the process is handling, if it has handled no other meanwhile: for callers whose thread says nothing. */
enum activity_answer activity_find_alone(struct activity *a, uint32_t pid, uint64_t start_ns, struct trace_node **ret_node);
struct activity_call {
	struct activity_caller by;
	uint64_t start_ns;
	const struct trace_context *wire; /* that it carries, or NULL; among several requests it picks the one that came with the same */
	const struct connection *conn;
	uint64_t opener;  /* the first on its connection: of the exchange for which that was opened, see activity_opener(); else 0 */
	uint32_t turn;    /* of its thread */
	bool turn_known;
	bool watched;     /* an epoll instance waits for its connection */
	bool within;      /* one within the process, and over */
};

/* The request that makes a call. It then waits for an answer, unless the call is over. With JOIN_PROCESS the evidence is weak. */
enum activity_answer activity_find(struct activity *a, const struct activity_call *call, struct trace_node **ret_node, enum join *ret_join);
/*
 * The request for which a thread of an event loop began to open a connection in that turn: its exchange's id, or ACTIVITY_OPENER_UNKNOWN. What is written first to such a connection is
 * written when it is open, not when something was read: the turn says nothing of it.
 */
#define ACTIVITY_OPENER_UNKNOWN UINT64_MAX
uint64_t activity_opener(struct activity *a, uint32_t tid, uint32_t turn, uint64_t now_ns);

#endif

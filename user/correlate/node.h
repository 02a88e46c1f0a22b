/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The place of one exchange in its trace. Made when the exchange begins; kept as long as the exchange is or a child needs to know its parent's ids, so it may
 * outlive the exchange by far. Only correlate/ sees it.
 */
#ifndef PLUMB_CORRELATE_NODE_H
#define PLUMB_CORRELATE_NODE_H

#include "correlate/context.h"
#include "model/exchange.h"

enum join { JOIN_NONE, JOIN_WIRE, JOIN_SOCKET, JOIN_THREAD, JOIN_FLOW, JOIN_PROCESS, JOINS };

struct handler_thread;
struct handler_process;

struct trace_node {
	struct exchange *x;         /* NULL once released */
	struct trace_node *parent;  /* holds a reference */
	uint32_t refs;              /* the exchange's and those of children */
	uint8_t role;               /* enum plumb_role */
	uint8_t join;               /* enum join: evidence of the parent */
	bool frozen;                /* trace_id and sampled will not change any more */
	bool sampled;
	bool has_wire;
	bool indexed;
	bool under_way;             /* counted in the parent's calls */
	bool late;                  /* bytes came after those that it began with before it was known: its protocol was not known yet */
	uint8_t span_id[8];
	uint8_t trace_id[16];       /* until frozen: what it would be as a root */
	struct trace_context wire;
	uint64_t start_ns;
	uint64_t bytes_key;         /* under which the other end of the same bytes finds it */
	/* activity.c: a server's request that is being handled */
	struct handler_thread *thread;
	struct trace_node *thread_prev, *thread_next;
	struct handler_process *process;
	struct trace_node *process_prev, *process_next;
	bool serving;               /* counted in process.serving */
	bool loop;                  /* its connection is one of an event loop, which waits for several at once */
	uint32_t turn, turn_tid;    /* the turn of which thread read the latest that belongs to it: itself, or the answer to a call that it made; tid 0 = not known */
	uint64_t touched_ns;        /* when that was */
	bool runnable;              /* has something to do: was read, or a call that it made was answered, since it last made a call */
	bool called;                /* it has opened a connection since, or one of the calls is its own of which nobody could tell whose: as many were made as requests could have made them */
	bool answered;              /* a call was that is known to be its own */
	uint32_t calls;             /* that it has made and that are not over */
	bool alone;                 /* no other request of the process was active while it was */
	/* correlate.c: ended and held, or lingering */
	struct trace_node *held_next;
	uint64_t due_ns;
};

#endif

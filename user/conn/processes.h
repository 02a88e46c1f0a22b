/* SPDX-License-Identifier: Apache-2.0 */
/* Process table: FORK, EXEC, EXIT, PROCESS and PROC_STAT records in, struct process out. An ended process stays until its last reference is put. */
#ifndef PLUMB_CONN_PROCESSES_H
#define PLUMB_CONN_PROCESSES_H

#include "model/process.h"
#include "model/record.h"

struct process_table;

struct process_counts {
	uint64_t made;
	uint64_t expired;  /* ended so long ago that no record can speak of them */
	uint64_t evicted;  /* unused ones that gave way to others at the maximum */
	uint64_t refused;  /* not described: at the maximum all were in use */
	uint64_t text_cut; /* attributes that did not fit */
	uint64_t active;   /* in memory, ended ones included */
};

/* max_processes 0 = 16384. */
int process_table_new(uint32_t max_processes, struct process_table **ret_table);
void process_table_free(struct process_table *t);
void process_table_record(struct process_table *t, const struct record *rec, struct slice payload);
/* The living (or just ended) process, made with pid alone if no record told of it yet; NULL at the maximum. Takes a reference. */
struct process *process_table_ref(struct process_table *t, uint32_t pid);
/* One more reference to a process that the caller (or an object of its) holds one to. p may be NULL. */
static inline struct process *process_hold(struct process *p)
{
	if (p)
		p->refs++;
	return p;
}
void process_table_unref(struct process_table *t, struct process *p); /* p may be NULL */
struct process *process_table_next(struct process_table *t, size_t *at); /* iteration from *at = 0 */
void process_table_counts(const struct process_table *t, struct process_counts *ret);

#endif

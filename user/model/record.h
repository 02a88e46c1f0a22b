/* SPDX-License-Identifier: Apache-2.0 */
/* The records of bpf/abi/records.h as user space handles them. A record is valid until the call that received it returns. */
#ifndef PLUMB_MODEL_RECORD_H
#define PLUMB_MODEL_RECORD_H

#include "../../bpf/abi/records.h"

#include "lib/slice.h"

/*
 * Any record; `h.type` says which member counts. Made by source/decode.c, which has checked sizes and zero-extended short bodies.
 */
struct record {
	union {
		struct plumb_rec_header h;
		struct plumb_rec_start start;
		struct plumb_rec_clock clock;
		struct plumb_rec_loss loss;
		struct plumb_rec_fork fork;
		struct plumb_rec_exec exec;
		struct plumb_rec_exit exit;
		struct plumb_rec_process process;
		struct plumb_rec_proc_stat proc_stat;
		struct plumb_rec_sock sock;
		struct plumb_rec_sock_stats sock_stats;
		struct plumb_rec_data data;
		struct plumb_rec_dgram dgram;
		struct plumb_rec_self self;
		struct plumb_rec_overhead overhead;
		struct plumb_rec_call call;
		struct plumb_rec_libraries libraries;
		struct plumb_rec_gpu_calls gpu_calls;
		struct plumb_rec_gpu_kernel gpu_kernel;
		struct plumb_rec_session session;
		struct plumb_rec_gpu_process gpu_process;
	} u;
};

enum { PLUMB_PROTO_NONE = 0,
#define PROTOCOL(id, ...) PLUMB_PROTO_##id,
#include "../../bpf/abi/protocols.def"
#undef PROTOCOL
	PLUMB_PROTO_COUNT };

enum proto_family { PROTO_FAMILY_NONE, PROTO_FAMILY_HTTP, PROTO_FAMILY_DB, PROTO_FAMILY_DNS, PROTO_FAMILY_RPC, PROTO_FAMILY_MESSAGING, PROTO_FAMILY_WEBSOCKET, PROTO_FAMILY_TLS, PROTO_FAMILY_DIALOG, PROTO_FAMILY_GPU };
enum proto_statement { PROTO_STATEMENT_NONE, PROTO_STATEMENT_CLEAN, PROTO_STATEMENT_ANSI, PROTO_STATEMENT_MYSQL, PROTO_STATEMENT_SECRET, PROTO_STATEMENT_CQL, PROTO_STATEMENT_CLICKHOUSE, PROTO_STATEMENT_TSQL, PROTO_STATEMENT_SQLITE };

#endif

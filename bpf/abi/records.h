/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The whole contract between the kernel side, the privileged probe and the engine: every fact arrives as a record.
 *
 * A record is a header and a typed body, little-endian, 8-byte aligned, `size` bytes in all (header, body, payload, padding).
 * Records are append-only: a new field goes to the end of a body and readers use `size` to see whether it is there; a body shorter
 * than the reader knows is zero-extended, an unknown type is counted and skipped. Recordings (docs/records.md) store
 * records as they are, so a number here is never reused.
 *
 * Included by BPF programs after vmlinux.h and by user space; depends on nothing but fixed-width types.
 */
#ifndef PLUMB_RECORDS_H
#define PLUMB_RECORDS_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif
#include "gpu.h"
#include "limits.h"

enum plumb_record_type {
	PLUMB_REC_NONE = 0,
	PLUMB_REC_START = 1,     /* first of every stream: plumb_rec_start */
	PLUMB_REC_TICK = 2,      /* header only: no record of an earlier time follows, time has advanced to time_ns */
	PLUMB_REC_CLOCK = 3,     /* plumb_rec_clock */
	PLUMB_REC_LOSS = 4,      /* plumb_rec_loss */
	PLUMB_REC_FORK = 5,      /* plumb_rec_fork */
	PLUMB_REC_EXEC = 6,      /* plumb_rec_exec */
	PLUMB_REC_EXIT = 7,      /* plumb_rec_exit */
	PLUMB_REC_PROCESS = 8,   /* plumb_rec_process, key=value strings as payload */
	PLUMB_REC_PROC_STAT = 9, /* plumb_rec_proc_stat */
	PLUMB_REC_SOCK_OPEN = 10, /* plumb_rec_sock */
	PLUMB_REC_SOCK_CLOSE = 11, /* plumb_rec_sock_stats: final */
	PLUMB_REC_SOCK_STATS = 12, /* plumb_rec_sock_stats: of a socket that lives on */
	PLUMB_REC_DATA = 13,     /* plumb_rec_data, captured bytes as payload */
	PLUMB_REC_DGRAM = 14,    /* plumb_rec_dgram, captured bytes as payload */
	PLUMB_REC_SELF = 15,     /* plumb_rec_self: cost of the probe and of each BPF program */
	PLUMB_REC_OVERHEAD = 16, /* plumb_rec_overhead */
	PLUMB_REC_CALL = 17,     /* plumb_rec_call, text as payload */
	PLUMB_REC_LIBRARIES = 18, /* plumb_rec_libraries */
	PLUMB_REC_SESSION = 19,  /* plumb_rec_session */
	/* 20..23 reserved: stack, thread time, log line */
	PLUMB_REC_GPU_CALLS = 24, /* plumb_rec_gpu_calls */
	PLUMB_REC_GPU_KERNEL = 25, /* plumb_rec_gpu_kernel */
	PLUMB_REC_GPU_PROCESS = 26, /* plumb_rec_gpu_process */
	/* 27..31 reserved: GPU devices, collective operations */
	PLUMB_REC_TYPES = 32,
};

struct plumb_rec_header {
	__u32 size;    /* whole record in bytes, a multiple of 8, at most PLUMB_RECORD_MAX */
	__u16 type;    /* enum plumb_record_type */
	__u16 cpu;     /* where it was made; 0xffff for the probe */
	__u64 time_ns; /* CLOCK_BOOTTIME */
};

/* What makes a run reproducible. Sent before anything else and after an engine restart. */
struct plumb_rec_start {
	struct plumb_rec_header h;
	__u8 seed[16];        /* trace and span ids are a hash of it and of record contents, never of a random source */
	__u64 realtime_offset_ns; /* wall clock = time_ns + this */
	__u32 abi_version;    /* PLUMB_ABI_VERSION */
	__u32 flags;          /* PLUMB_START_* */
	char host[64];        /* host.name */
	char boot_id[40];
	char version[24];     /* plumb's */
};
#define PLUMB_ABI_VERSION 1
#define PLUMB_START_REDACTED 1u /* payloads were masked before they were written */
#define PLUMB_START_PORTS 4u    /* sockets are watched by their ports: what belongs to no socket in the stream may be of one that is not watched */
#define PLUMB_START_PCAP 2u     /* made from a packet capture: no processes; see plumb_rec_sock.role and PLUMB_DATA_WIRE */

struct plumb_rec_clock {
	struct plumb_rec_header h;
	__u64 realtime_offset_ns;
};

/* Why something that happened is not in the stream. Cumulative per reason and CPU since the probe started. */
enum plumb_loss {
	PLUMB_LOSS_RING_FULL = 0,   /* data record: reservation failed */
	PLUMB_LOSS_RING_FULL_BYTES, /* the bytes of those I/Os */
	PLUMB_LOSS_RING_FULL_EVENT, /* open, close, exec … record: reservation failed */
	PLUMB_LOSS_NESTED,          /* program interrupted itself on this CPU, no scratch left */
	PLUMB_LOSS_STORAGE,         /* socket state could not be allocated */
	PLUMB_LOSS_FAULT,           /* payload could not be read: record sent with captured = 0 */
	PLUMB_LOSS_UNREADABLE,      /* I/O path without readable buffer (sendfile, splice, …): length only */
	PLUMB_LOSS_TRUNCATED,       /* I/Os captured less than the policy asked for (segments, chunk limits) */
	PLUMB_LOSS_ENGINE_RESTART,  /* records read but not processed when the engine died */
	PLUMB_LOSS_DESCRIBE,        /* process ended before it could be described */
	PLUMB_LOSS_CONTROL,         /* probe's own records that the engine did not take in time */
	PLUMB_LOSS_SHED,            /* requests (turns) on connections that are not looked at, to keep within the overhead budget */
	PLUMB_LOSS_UNSENT_SPANS,    /* spans that were in the memory of an engine that died, neither exported nor spooled nor dropped */
	PLUMB_LOSS_OPEN_REQUESTS,   /* requests that an engine which died was following: they were no spans yet */
	PLUMB_LOSS_CALLS,           /* calls of libraries of which nothing could be kept */
	PLUMB_LOSS_GPU_CALLS,       /* calls of GPU drivers that found no room to be counted in */
	PLUMB_LOSS_GPU_ALLOCATIONS, /* GPU memory that was taken and found no room to be remembered in: what a process has is more */
	PLUMB_LOSS_REASONS,
};

struct plumb_rec_loss {
	struct plumb_rec_header h;
	__u32 reason; /* enum plumb_loss */
	__u32 pad;
	__u64 count;  /* cumulative, summed over CPUs */
};

struct plumb_rec_fork {
	struct plumb_rec_header h;
	__u32 parent_pid;
	__u32 pid;
};

struct plumb_rec_exec {
	struct plumb_rec_header h;
	__u32 pid;
	__u32 ppid;
	__u64 start_ns;  /* CLOCK_BOOTTIME start of the process */
	__u64 cgroup_id; /* v2 id, 0 unknown */
	__u32 uid;
	__u32 pad;
	char comm[PLUMB_COMM_LEN];
	char filename[PLUMB_PATH_LEN];   /* as given to execve, NUL-terminated, maybe cut */
	char cgroup[PLUMB_CGROUP_LEN];   /* name of the leaf cgroup: usually the container's id or the unit */
};

struct plumb_rec_exit {
	struct plumb_rec_header h;
	__u32 pid;
	__s32 code; /* as wait(2) gives it */
	__u64 traps;   /* as in plumb_rec_proc_stat, for the last time */
	__u64 trap_ns;
};

/*
 * Facts about a process, read by the probe from /proc and ELF. The payload is `count` strings "key=value\0". Keys are
 * OpenTelemetry resource attribute names (service.name, process.pid, process.executable.path, container.id, k8s.pod.name …)
 * and, beginning with "plumb.", facts without one (plumb.service.name.source, plumb.cgroup.path). A later record for the same
 * pid replaces an earlier one.
 */
struct plumb_rec_process {
	struct plumb_rec_header h;
	__u32 pid;
	__u32 ppid;
	__u64 start_ns;
	__u16 count;
	__u16 bytes; /* of payload */
	__u32 flags; /* PLUMB_PROCESS_* */
};
#define PLUMB_PROCESS_TARGET 1u  /* selected by the operator's filters */
#define PLUMB_PROCESS_GOLANG 2u  /* a Go program, or one that could not be read */
#define PLUMB_PROCESS_PARTIAL 4u /* the process ended while it was being read: made from its exec record */
#define PLUMB_PROCESS_EXECUTED 8u /* described because it had just executed a program: what it did before was another one's */

struct plumb_rec_proc_stat {
	struct plumb_rec_header h;
	__u32 pid;
	__u32 threads;
	__u64 cpu_user_ns;    /* cumulative */
	__u64 cpu_system_ns;
	__u64 rss_bytes;
	__u64 vms_bytes;
	__u64 read_bytes;     /* storage, cumulative; 0 unknown */
	__u64 write_bytes;
	__u32 fds;
	__u32 pad;
	__u64 traps;   /* that it met on functions of libraries, cumulative; 0 if there was no room to count them */
	__u64 trap_ns; /* what they took of it, by what one took when plumb started; cumulative */
};

enum plumb_role {
	PLUMB_ROLE_UNKNOWN = 0,
	PLUMB_ROLE_CLIENT = 1, /* connected */
	PLUMB_ROLE_SERVER = 2, /* was accepted */
};

/* Addresses are in network order, IPv4 in the first four bytes; ports in host order. Unix sockets: ports 0, address zero. */
struct plumb_rec_sock {
	struct plumb_rec_header h;
	__u64 sock;      /* socket cookie: unique for this boot */
	__u64 peer_sock; /* Unix sockets: cookie of the other end if it has one by now */
	__u32 pid;       /* the process that opened it or was first seen using it */
	__u32 netns;     /* inode of the network namespace */
	__u16 family;    /* AF_INET, AF_INET6, AF_UNIX */
	__u8 type;       /* SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET */
	__u8 role;       /* enum plumb_role */
	__u16 local_port;
	__u16 remote_port;
	__u8 local_addr[16];
	__u8 remote_addr[16];
	__u32 flags;     /* PLUMB_SOCK_* */
	__u32 connect_us; /* client: SYN to established; 0 unknown */
	char path[108];  /* Unix: bound path of either end, '@' for abstract, NUL-terminated, maybe empty */
	__u32 pad;
	__u64 pair;      /* Unix streams: a number that both ends of a connection have in common, and no other connection of this boot; 0 unknown */
	__u64 offset[2]; /* TCP: where each direction (enum plumb_direction) begins or, if the socket is older, goes on, as in plumb_rec_data.offset; 0 unknown */
	__u32 tid;       /* client: the thread that began to connect, and how often it had slept by then (plumb_rec_data.turn); 0 unknown */
	__u32 turn;
};
#define PLUMB_SOCK_PREEXISTING 1u /* was open before the probe saw it: streams begin in the middle */
#define PLUMB_SOCK_CONNECT_FAILED 2u /* plumb_rec_sock_stats: never got established; error says why */
#define PLUMB_SOCK_RESET 4u       /* plumb_rec_sock_stats: a RST ended it */
#define PLUMB_SOCK_SENT_FIRST 8u  /* Unix streams: the first bytes seen at this end were sent by it */
#define PLUMB_SOCK_SESSION 32u   /* plumb_rec_sock_stats: the end of a TLS library's session; but for offset all else is unknown */
#define PLUMB_SOCK_LEFT 16u       /* plumb_rec_sock_stats: who used it last is not watched; what that one moved was not looked at */

struct plumb_rec_sock_stats {
	struct plumb_rec_header h;
	__u64 sock;
	__u64 bytes_sent;     /* accepted by the kernel / handed to the application, cumulative */
	__u64 bytes_received;
	__u32 retransmits;    /* segments, cumulative */
	__u32 srtt_us;        /* smoothed round trip, 0 unknown */
	__s32 error;          /* errno of sk_err, 0 none */
	__u32 flags;          /* PLUMB_SOCK_* */
	/* Repeats the socket's identity, because its open record may have been lost or belong to an earlier run. */
	__u32 pid;
	__u16 family;
	__u8 type;
	__u8 role;
	__u16 local_port;
	__u16 remote_port;
	__u32 netns;
	__u8 local_addr[16];
	__u8 remote_addr[16];
	__u64 closed_ns;      /* when the process closed it, CLOCK_BOOTTIME, if the connection outlasted that; 0 unknown */
	__u64 offset[2];      /* TCP: behind the latest I/O of each direction (enum plumb_direction), as in plumb_rec_data.offset; 0 unknown */
};

enum plumb_direction {
	PLUMB_INGRESS = 0, /* read by the process */
	PLUMB_EGRESS = 1,  /* written by the process */
};

/*
 * One I/O on a stream socket, or a part of one. Payload: `captured` bytes that stand at `offset`; the other len - captured
 * bytes follow them and are a hole. len = 0 is end of file (ingress) or shutdown (egress).
 *
 * offset: 64-bit position in this direction's stream. For TCP its low 32 bits are the sequence number of the first byte, so that
 * the two ends of a connection can be joined byte by byte; otherwise it starts at 0, for Unix streams with the first I/O that any program
 * makes on the socket after the probe has come. A jump forward between records is a hole.
 */
struct plumb_rec_data {
	struct plumb_rec_header h;
	__u64 sock;
	__u64 offset;
	union {
		__u64 flow;      /* goroutine or coroutine that made the call, 0 = the thread is the flow */
		__u64 record;    /* with PLUMB_DATA_RECORD: plumb_record_number() of an encrypted one that the session has made, or taken apart */
	};
	__u32 pid;
	__u32 tid;
	__u32 len;       /* bytes that the kernel accepted or delivered */
	__u32 captured;  /* bytes of payload behind this struct, <= len, <= PLUMB_PAYLOAD_MAX */
	__u8 direction;  /* enum plumb_direction */
	__u8 path;       /* enum plumb_path: which call moved the bytes */
	__u16 flags;     /* PLUMB_DATA_* */
	union {
		__u32 turn;    /* of a socket's: how often its thread had slept by then, modulo 2^32; two I/Os with the same were made without a pause */
		__u32 took_ns; /* of a session's: since the call began that moved them, 0xffffffff = longer */
	};
};
#define PLUMB_DATA_WIRE 1u       /* seen on the wire (pcap), not at a socket call */
#define PLUMB_DATA_CONTINUED 2u  /* not the first record of its I/O */
#define PLUMB_DATA_RESUMED 8u    /* what passed before, in both directions, was left out: to save cost (PLUMB_LOSS_SHED), or as another process's. Nothing is missing */
#define PLUMB_DATA_EOF 4u        /* len = 0: end of stream in this direction */
#define PLUMB_DATA_MIDWAY 16u    /* of a session that was older than its first record, or had gaps since: its offsets are not those of its other end */
#define PLUMB_DATA_NONBLOCK 32u  /* of a socket's: it does not block (O_NONBLOCK): who uses it waits for it elsewhere */
#define PLUMB_DATA_WATCHED 64u   /* of a socket's: an epoll instance waits for the socket */
#define PLUMB_DATA_COVERED 128u  /* plaintext of which the kernel makes TLS records (below), its length alone: a session tells of it, or nobody can */
#define PLUMB_DATA_APART 32u     /* of a session's: another thread may move its encrypted bytes */
#define PLUMB_DATA_RECORD 64u    /* of a session's: `record` stands in the place of `flow`, which is the thread */
#define PLUMB_DATA_TURN_SHIFT 8  /* of a session's: the flags' upper byte has the lower one of what `turn` is for a socket's */

/*
 * What a program gives to a TLS library, or has from it, is a stream like a socket's, in records of the same kind: `sock` is the number of the session then, which no socket has. Which socket is under it,
 * nothing here says; the thread of the record moved the encrypted bytes, within the call, or (where a program carries them itself) before or behind it.
 */
#define PLUMB_SESSION_BIT 62
#define PLUMB_IS_SESSION(sock) ((sock) >> PLUMB_SESSION_BIT == 1)

#define PLUMB_RECORD_BYTES 16 /* what follows a record's head; less is in no record of application data (RFC 5246, 6.2.3; RFC 8446, 5.2) */

/* By what a record is known, of encrypted bytes no two are alike: half of these may be a sequence number, as in AES-GCM of TLS 1.2. */
static inline __u64 plumb_record_number(const __u8 *bytes)
{
	__u64 number[2];

	__builtin_memcpy(number, bytes, sizeof(number));
	return number[0] ^ number[1];
}

/* Which socket is under a session, where the library's own structures say so. Before the session's data, and again now and then. */
struct plumb_rec_session {
	struct plumb_rec_header h;
	__u64 session, sock;
	__u32 pid; /* both are this process' */
	__u32 pad;
};

/*
 * kTLS: the kernel makes TLS records of what a program sends, and takes them apart. Of a socket for which it does so in both directions, offsets of records from some point on are of another kind, with the highest
 * bit set: they count plaintext from 0 in the low 32 bits (and go on above), from where the bytes of TCP's stream ended that the program had moved itself. Between stand 30 bits of the sequence number of
 * that place, the same at both ends; or bit 62, where it is not known. What passed before was encrypted by the program, and ends there in both directions.
 */
#define PLUMB_IS_PLAIN(offset) ((offset) >> 63)
#define PLUMB_IS_UNPLACED(offset) ((offset) >> 62 == 3)
#define PLUMB_PLAIN_FIRST(offset) (1ull << 63 | ((__u64)(offset) & 0x3fffffff) << 32)
#define PLUMB_PLAIN_UNPLACED (3ull << 62)

/* One datagram. The peer is of this datagram (unconnected sockets talk to many). */
struct plumb_rec_dgram {
	struct plumb_rec_data d; /* offset counts datagrams' bytes */
	__u16 family;
	__u16 peer_port;
	__u32 pad;
	__u8 peer_addr[16];
};

enum plumb_path {
	PLUMB_PATH_UNKNOWN = 0,
	PLUMB_PATH_READ, PLUMB_PATH_WRITE, PLUMB_PATH_READV, PLUMB_PATH_WRITEV,
	PLUMB_PATH_RECVFROM, PLUMB_PATH_SENDTO, PLUMB_PATH_RECVMSG, PLUMB_PATH_SENDMSG,
	PLUMB_PATH_RECVMMSG, PLUMB_PATH_SENDMMSG, PLUMB_PATH_PREADV2, PLUMB_PATH_PWRITEV2,
	PLUMB_PATH_SENDFILE, PLUMB_PATH_SPLICE, PLUMB_PATH_IO_URING, PLUMB_PATH_ZEROCOPY,
	PLUMB_PATH_TLS, /* a library's function */
	PLUMB_PATHS,
};

/*
 * Calls of libraries that are watched in the program itself (uprobes), because nothing of them leaves it: one number for each kind of record. "Text" is the payload. Handles are addresses in
 * the process: unique there as long as they live.
 */
enum plumb_function {
	PLUMB_FN_NONE = 0,
	/* https://sqlite.org/c3ref/: results are SQLite's codes, extended ones too */
	PLUMB_FN_SQLITE_OPEN = 1,     /* object: database. Text: file name as it was given */
	PLUMB_FN_SQLITE_PREPARE = 2,  /* object: statement, 0 where it failed; parent: database. Text: the statement alone, of a text of several */
	/*
	 * One execution, from the beginning of its first sqlite3_step to the end of its last: that returned SQLITE_DONE or an error, or SQLITE_ROW, as who called it wanted no
	 * more of them and has reset or finalized the statement. object: statement; parent: database, 0 unknown; count: rows
	 */
	PLUMB_FN_SQLITE_EXECUTE = 3,
	PLUMB_FN_SQLITE_FINALIZE = 4, /* object: statement, which is no more */
	PLUMB_FN_SQLITE_CLOSE = 5,    /* object: database, which is no more */
	/* https://duckdb.org/docs/stable/clients/c/api: results are DuckDBSuccess = 0, DuckDBError = 1 */
	PLUMB_FN_DUCKDB_OPEN = 6,     /* object: database. Text: file name */
	PLUMB_FN_DUCKDB_CONNECT = 7,  /* object: connection; parent: database */
	PLUMB_FN_DUCKDB_QUERY = 8,    /* one execution. parent: connection. Text: what is executed */
	PLUMB_FN_DUCKDB_PREPARE = 9,  /* object: statement, 0 where it failed; parent: connection. Text: statement */
	PLUMB_FN_DUCKDB_EXECUTE = 10, /* one execution. object: statement */
	PLUMB_FN_DUCKDB_FORGET = 11,  /* object: statement, connection or database, which is no more */
	/*
	 * A call of a GPU's driver that failed or took long, its enum plumb_gpu_call above this number. Text: the kernel's name; object: grid, x in the low 32 bits, y and z in 16 each; parent: block, x, y and z in 16
	 * bits each, as far as known; count: bytes, of a launch those of shared memory. Results are the driver's
	 */
	PLUMB_FN_GPU = 64,
	PLUMB_FUNCTIONS = PLUMB_FN_GPU + 256,
};

/* Most text that one call's record carries. */
#define PLUMB_CALL_TEXT_MAX 4096

/* A call that has returned, or several that make one: see plumb_function. h.time_ns: when that was known. */
struct plumb_rec_call {
	struct plumb_rec_header h;
	__u64 begin_ns;  /* CLOCK_BOOTTIME, when the first of them began; <= end_ns */
	__u64 end_ns;    /* when the last of them returned; <= h.time_ns */
	__u64 object;    /* handle; 0 none or unknown */
	__u64 parent;    /* handle that it belongs to; 0 none or unknown */
	__u64 flow;      /* as in plumb_rec_data */
	__u64 count;     /* of what the function says; else 0 */
	__u32 pid;
	__u32 tid;       /* the thread that made the first of them */
	__u16 function;  /* enum plumb_function */
	__u16 flags;     /* PLUMB_CALL_* */
	__s32 result;    /* of the last of them, as the library returned it */
	__u32 len;       /* bytes of the text, without a NUL; where it was cut (PLUMB_CALL_CUT), of what is known of it */
	__u32 captured;  /* bytes of payload behind this struct, <= len, <= PLUMB_CALL_TEXT_MAX */
};
#define PLUMB_CALL_CUT 1u     /* the text is longer than what was captured */
#define PLUMB_CALL_NO_TEXT 2u /* there is one, and it could not be read */

/* Probes on functions of libraries, and what they cost those who call them. */
struct plumb_rec_libraries {
	struct plumb_rec_header h;
	__u64 traps;      /* entries and returns, cumulative; whoever called, watched or not */
	__u64 trap_ns;    /* what they took, by what one took at the start; cumulative */
	__u64 refused;    /* files with such functions to which nothing could be attached, cumulative */
	__u64 unknown;    /* mappings that the kernel could not tell of, and times that some may have been missed, cumulative */
	__u32 files;      /* that have probes now */
	__u32 processes;  /* that run them, each counted for each file */
	__u32 flags;      /* PLUMB_LIBRARIES_* */
	__u32 shed;       /* files of whose functions some, or all, are not looked at, to save cost; of earlier versions 0 */
	__u32 jvms_loaded, jvms_had_it, jvms_refused; /* JVMs that were to load the agent that tells of their TLS, by what became of it; cumulative */
	__u32 pad;
};
#define PLUMB_LIBRARIES_SHED 1u /* there are some */
#define PLUMB_LIBRARIES_JVMS 2u /* JVMs are had to load the agent */

/* Calls of a GPU's driver by one process, all cumulative. */
struct plumb_rec_gpu_calls {
	struct plumb_rec_header h;
	__u32 pid;
	__u32 call; /* enum plumb_gpu_call */
	struct plumb_gpu_totals t;
};

/* Launches of a kernel by one process, cumulative. */
struct plumb_rec_gpu_kernel {
	struct plumb_rec_header h;
	__u32 pid;
	char name[PLUMB_GPU_NAME_BYTES]; /* as the driver has it, mangled */
	struct plumb_gpu_launches l;
};

/* What a process has of a GPU's driver besides; the last of its records of these three kinds, each time. */
struct plumb_rec_gpu_process {
	struct plumb_rec_header h;
	__u32 pid;
	__u32 flags; /* PLUMB_GPU_* */
	struct plumb_gpu_process p;
};
#define PLUMB_GPU_ENDED 1u /* the program has ended: what a process of this pid does later counts from 0 on */

/* Cost of plumb itself, all cumulative. One record per BPF program (name set), one for the probe process (name empty). */
struct plumb_rec_self {
	struct plumb_rec_header h;
	char name[24];
	__u64 run_ns;   /* BPF run time (needs BPF_ENABLE_STATS, else 0) or CPU time of the probe process */
	__u64 run_count;
	__u64 memory_bytes; /* probe process: its resident size; map memory in a record named "maps" */
};

/* What plumb costs, all of it, against its budget, and what it gives up to keep to it. */
struct plumb_rec_overhead {
	struct plumb_rec_header h;
	__u32 cost_ppm;       /* moving average over some seconds, of all CPUs together */
	__u32 budget_ppm;     /* 0 = without limit */
	__u32 level;          /* 0 = nothing is given up */
	__u32 capture_bytes;  /* most of each I/O, 0xffffffff = no limit */
	__u32 sample_one_in;  /* one connection of so many is looked at */
	__u32 flags;          /* PLUMB_OVERHEAD_* */
};
#define PLUMB_OVERHEAD_NO_BPF 1u /* the kernel does not tell the run time of programs: the processes' time alone */

/*
 * Control messages, engine to probe, one fixed-size packet each on the socketpair. In the other direction the same
 * socketpair carries records, one a packet.
 */
enum plumb_ctl_type {
	/* 1 was a capture policy: the engine writes the table itself */
	PLUMB_CTL_DESCRIBE = 2, /* a = pid: answer with a PROCESS record */
	/* 3 was to have TLS probes attached to a process: the probe finds libraries itself */
	PLUMB_CTL_READY = 4,    /* engine has dropped its privileges and reads */
};
struct plumb_ctl {
	__u32 type;
	__u32 pad;
	__u64 a;
	__u64 b;
};

/*
 * Capture policy of a socket, by direction: of each I/O call `want` bytes are captured. 0 = lengths only, PLUMB_POLICY_ALL = every byte, up to
 * PLUMB_PAYLOAD_CHUNKS records. What lies before the stream offset `until` is not wanted: an I/O that ends there is not captured, one that goes beyond it is
 * captured from its start up to `want` bytes behind it.
 * A table in memory that the engine writes and the kernel reads, at (sock & (PLUMB_POLICY_SLOTS - 1)); a slot whose tag is another socket's means the default.
 */
#define PLUMB_POLICY_ALL 0xffffffffu
struct plumb_policy_slot {
	__u64 sock;
	__u64 until[2];
	__u32 want[2];
};

#endif

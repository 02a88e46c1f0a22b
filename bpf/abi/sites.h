/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Functions of libraries that probes sit on, by what they take. The probe gives the number with each function that it attaches to (bpf_get_attach_cookie()), and above it the place of the file in its
 * table; the program finds both there.
 */
#ifndef PLUMB_SITES_H
#define PLUMB_SITES_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

enum plumb_site {
	PLUMB_SITE_NONE = 0,
	PLUMB_SITE_SQLITE_OPEN,       /* (file name, &database, …) */
	PLUMB_SITE_SQLITE_PREPARE,    /* (database, text, bytes, &statement, &tail) */
	PLUMB_SITE_SQLITE_PREPARE_V3, /* (database, text, bytes, flags, &statement, &tail) */
	PLUMB_SITE_SQLITE_STEP,       /* (statement) */
	PLUMB_SITE_SQLITE_RESET,      /* (statement) */
	PLUMB_SITE_SQLITE_FINALIZE,   /* (statement) */
	PLUMB_SITE_SQLITE_CLOSE,      /* (database) */
	PLUMB_SITE_DUCKDB_OPEN,       /* (file name, &database, …) */
	PLUMB_SITE_DUCKDB_CONNECT,    /* (database, &connection) */
	PLUMB_SITE_DUCKDB_QUERY,      /* (connection, text, …) */
	PLUMB_SITE_DUCKDB_PREPARE,    /* (connection, text, &statement) */
	PLUMB_SITE_DUCKDB_EXTRACT,    /* (connection, text, &statements) */
	PLUMB_SITE_DUCKDB_PREPARE_EXTRACTED, /* (connection, statements, index, &statement) */
	PLUMB_SITE_DUCKDB_EXECUTE,    /* (statement, …) */
	PLUMB_SITE_DUCKDB_PENDING,    /* (statement, &pending) */
	PLUMB_SITE_DUCKDB_EXECUTE_PENDING, /* (pending, …) */
	PLUMB_SITE_DUCKDB_FORGET,     /* (&handle) of a statement, connection or database */
	PLUMB_SITE_DUCKDB_DROP,       /* (&handle) of statements or what is pending */
	PLUMB_SITE_TLS_NEW,           /* the session is what it returns */
	PLUMB_SITE_TLS_INIT,          /* (&session, …) */
	PLUMB_SITE_TLS_BEGIN,         /* (session): what was known of it is over */
	PLUMB_SITE_TLS_READ,          /* (session, buffer, …): the number of bytes, or not above 0 */
	PLUMB_SITE_TLS_WRITE,         /* the same */
	PLUMB_SITE_TLS_READ_EX,       /* (session, buffer, bytes, &number of bytes): above 0 if there are any */
	PLUMB_SITE_TLS_WRITE_EX,      /* the same */
	PLUMB_SITE_TLS_WRITE_EX2,     /* (session, buffer, bytes, flags, &number of bytes): the same */
	PLUMB_SITE_TLS_READ_APART,    /* (session, buffer, …): the number of bytes, or not above 0; any thread may have moved what they were encrypted */
	PLUMB_SITE_TLS_WRITE_APART,   /* the same */
	PLUMB_SITE_TLS_SENDFILE,      /* (session, descriptor, offset, …): the number of bytes, or not above 0 */
	PLUMB_SITE_TLS_FREE,          /* (session) */
	PLUMB_SITE_TLS_TOLD_READ,     /* (session, bytes, number of bytes): they were read; the function does nothing else. No bytes: they were not kept */
	PLUMB_SITE_TLS_TOLD_WRITE,    /* the same: they are about to leave */
	/* Mozilla's NSS, whose sessions are descriptors of NSPR: lib/nss_tls.bpf.h */
	PLUMB_SITE_NSS_IMPORT,        /* it returns a descriptor that is a session */
	PLUMB_SITE_NSS_READ,          /* (descriptor, buffer, …): the number of bytes, or not above 0 */
	PLUMB_SITE_NSS_RECV,          /* (descriptor, buffer, bytes, flags, …): the same */
	PLUMB_SITE_NSS_WRITE,         /* as the first */
	PLUMB_SITE_NSS_WRITEV,        /* (descriptor, pieces, …): the same */
	/* Rust's rustls: lib/rust_tls.bpf.h */
	PLUMB_SITE_RUST_TLS_BEGIN,    /* (connection): it may send from now on, and so is new */
	PLUMB_SITE_RUST_TLS_READ,     /* (connection, &payload): it was received */
	PLUMB_SITE_RUST_TLS_WRITE,    /* (connection, &chunks, …): the number of bytes that were taken */
	/* Go, whose arguments and results are in other registers, and whose returns are instructions */
	PLUMB_SITE_GO_TLS_BEGIN,      /* (connection): it shakes hands, and so is new */
	PLUMB_SITE_GO_TLS_READ,       /* (connection, buffer, bytes) */
	PLUMB_SITE_GO_TLS_DONE_READING, /* the number of bytes */
	PLUMB_SITE_GO_TLS_WRITE,      /* (connection, buffer, bytes) */
	PLUMB_SITE_GO_TLS_WRITTEN,    /* the number of bytes */
	PLUMB_SITE_GO_TLS_CLOSE,      /* (connection) */
	/* GPU drivers; which function it is (enum plumb_gpu_call) the probe tells with the cookie, too */
	PLUMB_SITE_GPU_PLAIN,         /* nothing that is looked at */
	PLUMB_SITE_GPU_LAUNCH,        /* (kernel, grid x, y, z, block x, y, z, bytes of shared memory, …) */
	PLUMB_SITE_GPU_LAUNCH_UNNAMED, /* the same, where nobody knows how a kernel tells its name */
	PLUMB_SITE_GPU_LAUNCH_DIM3,   /* (function, grid, block, arguments, bytes of shared memory, …), grid and block being three numbers of 32 bits each */
	PLUMB_SITE_GPU_LAUNCH_EX,     /* (&{grid x, y, z, block x, y, z, bytes of shared memory}, kernel, …) */
	PLUMB_SITE_GPU_BYTES,         /* (to, from or value, bytes, …) */
	PLUMB_SITE_GPU_WORDS16,       /* (to, value, number of 16 bits each, …) */
	PLUMB_SITE_GPU_WORDS32,
	PLUMB_SITE_GPU_BYTES_FIFTH,   /* (…, …, …, …, bytes, …) */
	PLUMB_SITE_GPU_ALLOC,         /* (&address, bytes, …) */
	PLUMB_SITE_GPU_ALLOC_PITCH,   /* (&address, &bytes of a row, …, rows, …) */
	PLUMB_SITE_GPU_ALLOC_HOST,    /* (&address, bytes, …) */
	PLUMB_SITE_GPU_FREE,          /* (address, …) */
	PLUMB_SITES,
};

#define PLUMB_SITE_OF(cookie) ((__u32)(cookie) & 0xffff)
#define PLUMB_SITE_FILE_SHIFT 16
#define PLUMB_SITE_FILES 256
#define PLUMB_SITE_FILE_OF(cookie) ((__u32)(cookie) >> PLUMB_SITE_FILE_SHIFT & (PLUMB_SITE_FILES - 1))

/* What a probe takes of who calls the function: at its entry it depends on the first instruction (uprobe.h), which the probe tells with the cookie. */
enum plumb_trap {
	PLUMB_TRAP_SHORT,
	PLUMB_TRAP_LONG,
	PLUMB_TRAPS,
};
#define PLUMB_SITE_TRAP_SHIFT 24
#define PLUMB_SITE_TRAP_OF(cookie) ((__u32)(cookie) >> PLUMB_SITE_TRAP_SHIFT & 1)
/* The function was found by its code, or what it takes is laid out as nobody has promised: what its calls do must be what it does. */
#define PLUMB_SITE_GUESSED_SHIFT 25
#define PLUMB_SITE_IS_GUESSED(cookie) ((__u32)(cookie) >> PLUMB_SITE_GUESSED_SHIFT & 1)

/* What the programs tell the probe, of each file with functions that were found so. */
struct plumb_trial {
	__u32 fits;  /* calls that were as they should be */
	__u32 fails; /* that were not: nothing is told of any more */
};

/* Of a file with rustls: where its functions lie in it. By them the programs find out where in a connection its encrypter is. */
enum { PLUMB_RUST_ENCRYPTS = 7 };
struct plumb_rust {
	__u64 begin, read, write;            /* where the probes are */
	__u64 encrypts[PLUMB_RUST_ENCRYPTS]; /* MessageEncrypter::encrypt() of each kind; 0: it has none */
	__u32 at;                            /* of the encrypter in a connection, as it was in the latest that had to be looked through. The programs' to say */
	__u32 misses;                        /* connections in which none was found */
};

/* How often functions of a file were entered and left, by enum plumb_trap. */
struct plumb_call_hits {
	__u64 hits[PLUMB_TRAPS];
};

/* What traps took of a process. */
struct plumb_call_price {
	__u64 traps;
	__u64 trap_ns; /* by what one took when plumb started */
};
/* Which function of a GPU's driver: enum plumb_gpu_call. */
#define PLUMB_SITE_CALL_SHIFT 32
#define PLUMB_SITE_CALL_OF(cookie) ((__u32)((cookie) >> PLUMB_SITE_CALL_SHIFT))

#define PLUMB_CALL_AWAY 1
/* What the probe tells the programs, of each file; all only grow. */
struct plumb_call_epoch {
	__u32 detached; /* probes went, so returns may have been missed. Odd (PLUMB_CALL_AWAY) as long as not all are there: what is counted from its beginning cannot be counted now */
	__u32 missed;   /* so may what tells of handles */
	__u64 since_ns; /* since boot: when all probes were there last that had not been */
};

#endif

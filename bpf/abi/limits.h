/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Bounds that both sides of the ABI must agree on. Sizes are in bytes unless the name says otherwise. */
#ifndef PLUMB_LIMITS_H
#define PLUMB_LIMITS_H

/* Most payload that one data record carries; a longer I/O yields several records. */
#define PLUMB_PAYLOAD_MAX 16384
/* Most data records with payload that one system call yields; of what is longer the last one holds the end, and a hole is before it. */
#define PLUMB_PAYLOAD_CHUNKS 16
/* Bytes of each I/O call that are captured before the engine knows the protocol: as much as a new connection's window lets pass in the moment until then. */
#define PLUMB_CAPTURE_DEFAULT 131072
/* Bytes of each I/O call that the engine asks for when it finds that it needs some after all. */
#define PLUMB_HEAD_DEFAULT 4096
/* iovec segments that are read of one vectored call; the rest is a hole. */
#define PLUMB_IOV_MAX 128

/* Slots of the capture policy table (see records.h); a power of two. */
#define PLUMB_POLICY_SLOTS 65536

/* Largest record of any type, header included; ring and packet readers refuse a larger one. */
#define PLUMB_RECORD_MAX (PLUMB_PAYLOAD_MAX + 256)

#define PLUMB_COMM_LEN 16
#define PLUMB_PATH_LEN 256
#define PLUMB_CGROUP_LEN 128

#endif

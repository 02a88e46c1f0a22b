/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recording files, format 1, as docs/records.md specifies it: file header, blocks, trailer. All integers little-endian. A reader
 * trusts nothing but what its CRC-32 (zlib's) confirms, and allocates nothing by what a file claims.
 */
#ifndef PLUMB_SOURCE_FORMAT_H
#define PLUMB_SOURCE_FORMAT_H

#include <stdint.h>

#include "../../bpf/abi/limits.h"
#include "source/source.h"

#define FORMAT_FILE_MAGIC    "\x89PLUMB\r\n"
#define FORMAT_BLOCK_MAGIC   "\x89PLBLK\r\n"
#define FORMAT_TRAILER_MAGIC "\x89PLEND\r\n"
#define FORMAT_VERSION 1

enum {
	FORMAT_MAGIC_BYTES = 8,
	FORMAT_RAW_TARGET = 256 * 1024,                              /* a block is closed once it holds so much */
	FORMAT_RAW_MAX = FORMAT_RAW_TARGET + PLUMB_RECORD_MAX,       /* no block holds more */
	FORMAT_STORED_MAX = FORMAT_RAW_MAX + FORMAT_RAW_MAX / 8 + 64, /* nor is stored larger than incompressible data gets */
	FORMAT_FILE_REDACTED = 1,
	FORMAT_TRAILER_LIMIT = 1, /* the recorder stopped at its size limit */
};

struct format_file_header {
	char magic[FORMAT_MAGIC_BYTES];
	uint32_t version;
	uint32_t flags;       /* FORMAT_FILE_* */
	uint32_t abi_version; /* PLUMB_ABI_VERSION of the writer */
	uint32_t crc;         /* of the bytes before it */
};

struct format_block_header {
	char magic[FORMAT_MAGIC_BYTES];
	uint64_t first;   /* number of records in the blocks before: what damage swallowed can be counted */
	uint32_t records;
	uint32_t raw_bytes;
	uint32_t stored_bytes; /* raw deflate (RFC 1951) behind this header */
	uint32_t stored_crc;
	uint32_t pad;
	uint32_t crc;     /* of the bytes before it */
};

struct format_trailer {
	char magic[FORMAT_MAGIC_BYTES];
	uint64_t records;
	uint64_t blocks;
	uint32_t flags; /* FORMAT_TRAILER_* */
	uint32_t crc;   /* of the bytes before it */
};

/* recording_open() where the first bytes, at most FORMAT_MAGIC_BYTES, have been read from a pipe already. */
int recording_open_behind(struct slice head, const char *path, struct source **ret_source, char *ret_error, size_t error_len);

_Static_assert(sizeof(struct format_file_header) == 24 && sizeof(struct format_block_header) == 40 &&
	       sizeof(struct format_trailer) == 32, "as documented");

#endif

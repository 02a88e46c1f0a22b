/* SPDX-License-Identifier: Apache-2.0 */
/* What every record that a source gives must hold, whoever made the file. */
#ifndef PLUMB_TESTS_FUZZ_RECORDS_H
#define PLUMB_TESTS_FUZZ_RECORDS_H

#include <unistd.h>

#include <sys/mman.h>

#include "fuzz/fuzz.h"
#include "source/source.h"

static inline void record_check(const struct record *rec, struct slice payload)
{
	uint8_t raw[PLUMB_RECORD_MAX + 8] = { 0 };
	size_t fixed = record_fixed_bytes(rec->u.h.type), size = (fixed + payload.len + 7) & ~(size_t)7;
	struct record again;
	struct slice payload_again;

	REQUIRE(fixed > 0 && size <= PLUMB_RECORD_MAX && payload.len == record_payload_bytes(rec));
	memcpy(raw, rec, fixed);
	((struct plumb_rec_header *)raw)->size = (uint32_t)size;
	if (payload.len)
		memcpy(raw + fixed, payload.ptr, payload.len);
	REQUIRE(record_decode(slice_make(raw, size), &again, &payload_again) == (int)size && slice_eq(payload, payload_again));
}

/* The bytes as a file: a path that can be opened until fuzz_file_done(). */
static inline int fuzz_file(struct slice bytes, char ret_path[64])
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	REQUIRE(fd >= 0);
	REQUIRE(bytes.len == 0 || write(fd, bytes.ptr, bytes.len) == (ssize_t)bytes.len);
	snprintf(ret_path, 64, "/proc/self/fd/%d", fd);
	return fd;
}

#endif

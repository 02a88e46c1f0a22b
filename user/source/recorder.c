/* SPDX-License-Identifier: Apache-2.0 */
#include "source/source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "source/format.h"
#include "source/redact.h"

/* A recorder that is killed loses at most this much time of records, however quiet they are. */
enum { BLOCK_SPAN_NS = 1000000000 };

struct recorder {
	int fd;
	bool own_fd;
	bool limited; /* stopped by max_bytes */
	int error;    /* first failure, negative errno; nothing is written after it */
	struct recorder_options o;
	uint64_t file_bytes;
	uint64_t records; /* in finished blocks */
	uint64_t blocks;
	uint64_t block_ns; /* time of the open block's first record */
	uint32_t block_records;
	uint32_t raw_len;
	z_stream z;
	uint8_t raw[FORMAT_RAW_MAX];
	uint8_t stored[sizeof(struct format_block_header) + FORMAT_STORED_MAX]; /* header and compressed bytes, written at once */
};

static uint32_t crc_of(const void *data, size_t len)
{
	return (uint32_t)crc32(0, data, (uInt)len);
}

static int write_all(int fd, const uint8_t *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			struct pollfd wait = { .fd = fd, .events = POLLOUT };
			if (poll(&wait, 1, -1) < 0 && errno != EINTR)
				return -errno;
		} else if (n < 0 && errno != EINTR) {
			return -errno;
		} else if (n == 0) {
			return -EIO;
		}
	}
	return 0;
}

/* Writes a piece whole or, where the file can be cut back, not at all: what was good before stays good. */
static int put(struct recorder *r, const void *data, size_t len)
{
	int err = write_all(r->fd, data, len);

	if (err) {
		struct stat st;
		bool can_cut = fstat(r->fd, &st) == 0 && S_ISREG(st.st_mode);
		if (can_cut && ftruncate(r->fd, (off_t)r->file_bytes) < 0) {
			/* Then a reader recognises the torn piece by its CRC; the first error is the one to tell. */
		}
		return r->error = err;
	}
	r->file_bytes += len;
	return 0;
}

static int block_flush(struct recorder *r)
{
	if (r->error || r->block_records == 0)
		return r->error;

	struct format_block_header h = {
		.magic = FORMAT_BLOCK_MAGIC, .first = r->records, .records = r->block_records, .raw_bytes = r->raw_len,
	};
	deflateReset(&r->z);
	r->z.next_in = r->raw;
	r->z.avail_in = r->raw_len;
	r->z.next_out = r->stored + sizeof(h);
	r->z.avail_out = FORMAT_STORED_MAX;
	if (deflate(&r->z, Z_FINISH) != Z_STREAM_END)
		return r->error = -EOVERFLOW; /* FORMAT_STORED_MAX is above deflate's worst case */
	h.stored_bytes = FORMAT_STORED_MAX - r->z.avail_out;
	h.stored_crc = crc_of(r->stored + sizeof(h), h.stored_bytes);
	h.crc = crc_of(&h, offsetof(struct format_block_header, crc));
	memcpy(r->stored, &h, sizeof(h));

	int err = put(r, r->stored, sizeof(h) + h.stored_bytes);
	if (err)
		return err;
	r->records += r->block_records;
	r->blocks++;
	r->block_records = 0;
	r->raw_len = 0;
	return 0;
}

/* Whether a block of so many raw bytes and the trailer are sure to fit below the limit. */
static bool fits(struct recorder *r, size_t raw_bytes)
{
	if (!r->o.max_bytes)
		return true;
	return r->file_bytes + sizeof(struct format_block_header) + deflateBound(&r->z, raw_bytes) + sizeof(struct format_trailer) <=
	       r->o.max_bytes;
}

static int make_room(struct recorder *r, const struct record *rec, size_t size)
{
	bool old = r->block_records && rec->u.h.time_ns >= r->block_ns && rec->u.h.time_ns - r->block_ns >= BLOCK_SPAN_NS;

	if (old || r->raw_len >= FORMAT_RAW_TARGET || !fits(r, r->raw_len + size)) {
		int err = block_flush(r);
		if (err)
			return err;
	}
	if (!fits(r, r->raw_len + size)) {
		r->limited = true;
		return r->error = -EFBIG;
	}
	return 0;
}

static void mask_record(struct recorder *r, struct record *rec, uint8_t *payload, size_t len)
{
	uint16_t type = rec->u.h.type;

	if (r->o.mask)
		r->o.mask(r->o.mask_ctx, rec, len ? payload : NULL, len);
	else if (type == PLUMB_REC_DATA || type == PLUMB_REC_DGRAM || type == PLUMB_REC_CALL)
		memset(payload, 'x', len);
	redact_record(rec, payload, len);
}

int recorder_write(struct recorder *r, const struct record *rec, struct slice payload)
{
	size_t fixed = record_fixed_bytes(rec->u.h.type);

	if (r->error)
		return r->error;
	if (fixed == 0 || payload.len != record_payload_bytes(rec) || fixed + payload.len > PLUMB_RECORD_MAX - 7)
		return -EINVAL;
	size_t size = (fixed + payload.len + 7) & ~(size_t)7;
	int err = make_room(r, rec, size);
	if (err)
		return err;

	uint8_t *to = r->raw + r->raw_len;
	struct record copy;
	memcpy(&copy, rec, fixed);
	copy.u.h.size = (uint32_t)size; /* a reservation in the ring may have been larger */
	memset(to + fixed, 0, size - fixed);
	if (payload.len)
		memcpy(to + fixed, payload.ptr, payload.len);
	if (r->o.redact)
		mask_record(r, &copy, to + fixed, payload.len);
	memcpy(to, &copy, fixed);

	if (r->block_records == 0)
		r->block_ns = rec->u.h.time_ns;
	r->block_records++;
	r->raw_len += (uint32_t)size;
	return 0;
}

static int write_file_header(struct recorder *r)
{
	struct format_file_header h = {
		.magic = FORMAT_FILE_MAGIC,
		.version = FORMAT_VERSION,
		.flags = r->o.redact ? FORMAT_FILE_REDACTED : 0,
		.abi_version = PLUMB_ABI_VERSION,
	};

	h.crc = crc_of(&h, offsetof(struct format_file_header, crc));
	return put(r, &h, sizeof(h));
}

int recorder_open(const char *path, const struct recorder_options *o, struct recorder **ret_recorder, char *ret_error, size_t error_len)
{
	struct recorder *r = malloc(sizeof(*r));
	int err = 0;

	if (!r) {
		snprintf(ret_error, error_len, "cannot write recording %s: out of memory", path);
		return -ENOMEM;
	}
	memset(r, 0, offsetof(struct recorder, raw));
	if (o)
		r->o = *o;
	if (deflateInit2(&r->z, r->o.level ? r->o.level : 1, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
		snprintf(ret_error, error_len, "cannot set up compression at level %d: use 1 to 9", r->o.level);
		free(r);
		return -EINVAL;
	}
	r->own_fd = strcmp(path, "-") != 0;
	r->fd = r->own_fd ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : STDOUT_FILENO;
	if (r->fd < 0)
		err = -errno;
	else
		err = write_file_header(r);
	if (err) {
		snprintf(ret_error, error_len, "cannot write recording %s: %s", path, strerror(-err));
		if (r->own_fd && r->fd >= 0)
			close(r->fd);
		deflateEnd(&r->z);
		free(r);
		return err;
	}
	*ret_recorder = r;
	return 0;
}

int recorder_close(struct recorder *r)
{
	if (r->limited)
		r->error = 0; /* what was taken before the limit is complete */
	int err = block_flush(r);
	if (!err) {
		struct format_trailer t = {
			.magic = FORMAT_TRAILER_MAGIC, .records = r->records, .blocks = r->blocks,
			.flags = r->limited ? FORMAT_TRAILER_LIMIT : 0,
		};
		t.crc = crc_of(&t, offsetof(struct format_trailer, crc));
		err = put(r, &t, sizeof(t));
	}
	/* Some file systems tell of a failed write only here. */
	if (r->own_fd && close(r->fd) < 0 && !err && errno != EINTR)
		err = -errno;
	deflateEnd(&r->z);
	free(r);
	return err;
}

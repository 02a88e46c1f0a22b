/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads recordings. Everything before damage is delivered, what damage swallowed is counted, and reading
 * goes on at the next sound block.
 */
#include "source/source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "source/format.h"

enum { WINDOW_BYTES = sizeof(struct format_block_header) + FORMAT_STORED_MAX };

struct recording {
	struct source base;
	struct source_counts counts;
	int fd;
	bool waits;    /* a pipe: reading may block */
	bool input_end;
	bool finished; /* trailer met or input at its end */
	bool complete; /* trailer met */
	bool limited;  /* the recorder stopped at its size limit */
	bool scanning; /* inside damage: looking for the next magic */
	uint64_t damages;
	uint64_t lost;       /* records that damage swallowed, as far as is known */
	uint64_t next_index; /* of the record that should come next */
	uint64_t blocks;
	uint64_t last_ns;
	size_t pos, end;     /* unread part of window */
	size_t raw_pos, raw_end;
	uint32_t block_left; /* records that the block still owes */
	z_stream z;
	char error[256];
	uint8_t window[WINDOW_BYTES];
	uint8_t raw[FORMAT_RAW_MAX];
};

/*
 * Makes at least `want` bytes available unless the input ends before. 0, -EAGAIN when the wait is over, or the error of read(2).
 */
static int fill(struct recording *r, size_t want, int wait_ms)
{
	if (r->end - r->pos >= want || r->input_end)
		return 0;
	if (WINDOW_BYTES - r->pos < want) {
		memmove(r->window, r->window + r->pos, r->end - r->pos);
		r->end -= r->pos;
		r->pos = 0;
	}
	while (r->end - r->pos < want) {
		if (r->waits) {
			struct pollfd p = { .fd = r->fd, .events = POLLIN };
			int ready = poll(&p, 1, wait_ms);
			if (ready == 0 || (ready < 0 && errno == EINTR))
				return -EAGAIN;
		}
		ssize_t n = read(r->fd, r->window + r->end, WINDOW_BYTES - r->end);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int err = -errno;
			snprintf(r->error, sizeof(r->error), "cannot read the recording: %s", strerror(-err));
			return err;
		}
		if (n == 0) {
			r->input_end = true;
			return 0;
		}
		r->end += (size_t)n;
	}
	return 0;
}

static bool crc_is(const void *data, size_t len, uint32_t crc)
{
	return (uint32_t)crc32(0, data, (uInt)len) == crc;
}

/* Steps over one byte that belongs to nothing; a run of them is one damage. */
static void damaged(struct recording *r)
{
	if (!r->scanning)
		r->damages++;
	r->scanning = true;
	r->raw_pos = r->raw_end = 0;
	r->block_left = 0;
	r->pos++;
	const uint8_t *next = r->pos < r->end ? memchr(r->window + r->pos, FORMAT_BLOCK_MAGIC[0] & 0xff, r->end - r->pos) : NULL;
	r->pos = next ? (size_t)(next - r->window) : r->end;
}

static bool inflate_block(struct recording *r, const uint8_t *stored, const struct format_block_header *h)
{
	if (inflateReset(&r->z) != Z_OK)
		return false;
	r->z.next_in = (Bytef *)(uintptr_t)stored;
	r->z.avail_in = h->stored_bytes;
	r->z.next_out = r->raw;
	r->z.avail_out = h->raw_bytes; /* never more than is there, whatever the data unpacks to */
	return inflate(&r->z, Z_FINISH) == Z_STREAM_END && r->z.avail_out == 0 && r->z.avail_in == 0;
}

static bool block_header_is_sound(const struct format_block_header *h)
{
	return crc_is(h, offsetof(struct format_block_header, crc), h->crc) && h->raw_bytes <= FORMAT_RAW_MAX &&
	       h->stored_bytes <= FORMAT_STORED_MAX && h->records > 0 &&
	       h->records <= h->raw_bytes / sizeof(struct plumb_rec_header);
}

static void account_gap(struct recording *r, uint64_t first)
{
	if (first <= r->next_index)
		return;
	r->lost += first - r->next_index;
	r->counts.corrupt += first - r->next_index;
	r->next_index = first;
}

static int load_block(struct recording *r, int wait_ms)
{
	struct format_block_header h;
	int err = fill(r, sizeof(h), wait_ms);

	if (err)
		return err;
	if (r->end - r->pos < sizeof(h)) {
		damaged(r);
		return 0;
	}
	memcpy(&h, r->window + r->pos, sizeof(h));
	if (!block_header_is_sound(&h)) {
		damaged(r);
		return 0;
	}
	err = fill(r, sizeof(h) + h.stored_bytes, wait_ms);
	if (err)
		return err;
	const uint8_t *stored = r->window + r->pos + sizeof(h);
	/* A block that repeats earlier records is damage too: they were delivered already. */
	if (r->end - r->pos < sizeof(h) + h.stored_bytes || h.first < r->next_index || !crc_is(stored, h.stored_bytes, h.stored_crc) ||
	    !inflate_block(r, stored, &h)) {
		damaged(r);
		return 0;
	}
	account_gap(r, h.first);
	r->scanning = false;
	r->pos += sizeof(h) + h.stored_bytes;
	r->next_index = h.first + h.records;
	r->blocks++;
	r->raw_pos = 0;
	r->raw_end = h.raw_bytes;
	r->block_left = h.records;
	return 0;
}

static int load_trailer(struct recording *r, int wait_ms)
{
	struct format_trailer t;
	int err = fill(r, sizeof(t), wait_ms);

	if (err)
		return err;
	if (r->end - r->pos < sizeof(t)) {
		damaged(r);
		return 0;
	}
	memcpy(&t, r->window + r->pos, sizeof(t));
	if (!crc_is(&t, offsetof(struct format_trailer, crc), t.crc)) {
		damaged(r);
		return 0;
	}
	account_gap(r, t.records);
	r->complete = true;
	r->limited = t.flags & FORMAT_TRAILER_LIMIT;
	r->finished = true;
	return 0;
}

/* Says what the reader should know although everything readable was delivered. */
static void conclude(struct recording *r)
{
	if (r->damages || r->lost)
		snprintf(r->error, sizeof(r->error),
			 "the recording is damaged in %" PRIu64 " places: %" PRIu64 " records known to be lost%s, %" PRIu64 " replayed",
			 r->damages, r->lost, r->complete ? "" : ", its end is missing", r->counts.records);
	else if (!r->complete)
		snprintf(r->error, sizeof(r->error), "the recording is cut: its trailer is missing, %" PRIu64 " records replayed",
			 r->counts.records);
	else if (r->limited)
		snprintf(r->error, sizeof(r->error), "the recording ends at its size limit, %" PRIu64 " records replayed",
			 r->counts.records);
}

static int load_next(struct recording *r, int wait_ms)
{
	int err = fill(r, FORMAT_MAGIC_BYTES, wait_ms);

	if (err)
		return err;
	const uint8_t *at = r->window + r->pos;
	size_t left = r->end - r->pos;
	if (left == 0)
		r->finished = true;
	else if (left >= FORMAT_MAGIC_BYTES && memcmp(at, FORMAT_BLOCK_MAGIC, FORMAT_MAGIC_BYTES) == 0)
		err = load_block(r, wait_ms);
	else if (left >= FORMAT_MAGIC_BYTES && memcmp(at, FORMAT_TRAILER_MAGIC, FORMAT_MAGIC_BYTES) == 0)
		err = load_trailer(r, wait_ms);
	else
		damaged(r);
	if (r->finished)
		conclude(r);
	return err;
}

static void drop_block_rest(struct recording *r)
{
	r->lost += r->block_left;
	r->counts.corrupt += r->block_left;
	r->block_left = 0;
}

/* Delivers the next record of the block. 1 delivered, 0 skipped, or what fn returned. */
static int deliver(struct recording *r, source_record_fn fn, void *ctx)
{
	struct slice in = slice_make(r->raw + r->raw_pos, r->raw_end - r->raw_pos);
	struct record rec;
	struct slice payload;
	int size = record_decode(in, &rec, &payload);

	if (size == -EAGAIN) { /* the block holds fewer records than its header says */
		drop_block_rest(r);
		return 0;
	}
	r->block_left--;
	if (size < 0) {
		struct plumb_rec_header h;
		memcpy(&h, in.ptr, sizeof(h));
		if (size == -ENOTSUP) {
			r->counts.unknown++;
		} else {
			r->counts.corrupt++;
			r->lost++;
		}
		if (h.size < sizeof(h) || h.size > in.len || h.size % 8)
			drop_block_rest(r);
		else
			r->raw_pos += h.size;
		return 0;
	}
	r->raw_pos += (size_t)size;
	r->counts.records++;
	if (rec.u.h.time_ns < r->last_ns)
		r->counts.late++;
	else
		r->last_ns = rec.u.h.time_ns;
	int err = fn(ctx, &rec, payload);
	return err < 0 ? err : 1;
}

static int recording_read(struct source *s, int max, int wait_ms, source_record_fn fn, void *ctx)
{
	struct recording *r = (struct recording *)s;
	int delivered = 0;

	while (delivered < max) {
		int n;
		if (r->block_left) {
			n = deliver(r, fn, ctx);
		} else if (r->finished) {
			return delivered ? delivered : -ENODATA;
		} else {
			n = load_next(r, delivered ? 0 : wait_ms);
			if (n == -EAGAIN)
				return delivered;
		}
		if (n < 0)
			return n;
		delivered += n;
	}
	return delivered;
}

static void recording_close(struct source *s)
{
	struct recording *r = (struct recording *)s;

	if (r->fd != STDIN_FILENO)
		close(r->fd);
	inflateEnd(&r->z);
	free(r);
}

static const char *recording_error(const struct source *s)
{
	const struct recording *r = (const struct recording *)s;

	return r->error[0] ? r->error : NULL;
}

static void recording_counts(const struct source *s, struct source_counts *ret)
{
	*ret = ((const struct recording *)s)->counts;
}

static const struct source_ops recording_ops = {
	.name = "recording",
	.read = recording_read,
	.close = recording_close,
	.error = recording_error,
	.counts = recording_counts,
};

/* A damaged header does not keep the blocks from being read, a wrong magic or a newer format does. */
static int check_header(struct recording *r, const char *path, char *ret_error, size_t error_len)
{
	struct format_file_header h;
	int err = fill(r, sizeof(h), -1);

	if (err) {
		snprintf(ret_error, error_len, "cannot read %s: %s", path, strerror(-err));
		return err;
	}
	if (r->end < sizeof(h) || memcmp(r->window, FORMAT_FILE_MAGIC, FORMAT_MAGIC_BYTES) != 0) {
		snprintf(ret_error, error_len, "%s is not a plumb recording (`plumb record` writes them)", path);
		return -EINVAL;
	}
	memcpy(&h, r->window, sizeof(h));
	bool sound = crc_is(&h, offsetof(struct format_file_header, crc), h.crc);
	if (sound && h.version > FORMAT_VERSION) {
		snprintf(ret_error, error_len, "%s has recording format %u, this plumb reads up to %d: use a newer plumb", path, h.version,
			 FORMAT_VERSION);
		return -ENOTSUP;
	}
	r->pos = sizeof(h);
	if (!sound)
		r->damages++;
	return 0;
}

int recording_open(const char *path, struct source **ret_source, char *ret_error, size_t error_len)
{
	return recording_open_behind(SLICE_NONE, path, ret_source, ret_error, error_len);
}

static int out_of_memory(const char *path, char *ret_error, size_t error_len)
{
	snprintf(ret_error, error_len, "cannot read %s: out of memory", path);
	return -ENOMEM;
}

int recording_open_behind(struct slice head, const char *path, struct source **ret_source, char *ret_error, size_t error_len)
{
	struct recording *r = malloc(sizeof(*r));
	struct stat st;
	int err;

	if (!r)
		return out_of_memory(path, ret_error, error_len);
	memset(r, 0, offsetof(struct recording, window));
	r->base.ops = &recording_ops;
	if (inflateInit2(&r->z, -15) != Z_OK) {
		free(r);
		return out_of_memory(path, ret_error, error_len);
	}
	r->fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (r->fd < 0) {
		err = -errno;
		snprintf(ret_error, error_len, "cannot open %s: %s", path, strerror(-err));
		inflateEnd(&r->z);
		free(r);
		return err;
	}
	head = slice_head(head, FORMAT_MAGIC_BYTES);
	if (head.len)
		memcpy(r->window, head.ptr, head.len);
	r->end = head.len;
	r->waits = fstat(r->fd, &st) == 0 && !S_ISREG(st.st_mode);
	err = check_header(r, path, ret_error, error_len);
	if (err) {
		recording_close(&r->base);
		return err;
	}
	*ret_source = &r->base;
	return 0;
}

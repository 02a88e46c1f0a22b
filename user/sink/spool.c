/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* Of sequence numbers, so that there is always a next one; 30 million years at 1,000 batches a second. */
#define SPOOL_SEQ_MAX UINT64_C(1000000000000000000)

enum { SPOOL_BLOCK = 4096, SPOOL_NAME_LEN = 64, SPOOL_VERSION = 1 };

static const char spool_magic[8] = "PLMBSPL";

struct spool_header { /* host byte order: a spool stays on its machine */
	char magic[8];
	uint32_t version;
	uint32_t flags;
	uint32_t spans;
	uint32_t len; /* of the body behind the header */
	uint32_t body_crc;
	uint32_t header_crc; /* of the fields above */
};

struct spool_entry {
	uint64_t seq;
	uint32_t spans;
	uint32_t blocks; /* on disk, of SPOOL_BLOCK */
};

struct spool {
	int dir, lock;
	uint64_t max_blocks, blocks;
	uint64_t next_seq;
	uint64_t peeked;  /* seq of the batch the caller has, 0 = none */
	uint32_t corrupt; /* files kept */
	struct spool_entry *entries; /* a ring, oldest first; owned */
	uint32_t first, len, cap;
	struct spool_counts counts;
};

static struct spool_entry *spool_at(struct spool *s, uint32_t i)
{
	return &s->entries[(s->first + i) & (s->cap - 1)];
}

static void spool_name(char name[SPOOL_NAME_LEN], const struct spool_entry *e)
{
	snprintf(name, SPOOL_NAME_LEN, "%020" PRIu64 "-%" PRIu32 ".batch", e->seq, e->spans);
}

/* The entry that a file name tells of. Digits only, nothing before or behind, and nothing that spool_put() cannot have written. */
static bool spool_parse_name(const char *name, struct spool_entry *ret)
{
	struct slice s = slice_str(name);
	size_t dash = slice_find(s, '-', 0), dot = slice_find(s, '.', 0);
	uint64_t spans;

	if (dash != 20 || dot == SIZE_MAX || dot < dash || !slice_eq(slice_from(s, dot), SLICE_LIT(".batch")))
		return false;
	if (s.ptr[0] != '0' || !slice_u64(slice_make(s.ptr + 1, dash - 1), &ret->seq) ||
	    !slice_u64(slice_make(s.ptr + dash + 1, dot - dash - 1), &spans) || spans > SPOOL_SPANS_MAX || ret->seq == 0 || ret->seq >= SPOOL_SEQ_MAX)
		return false;
	ret->spans = (uint32_t)spans;
	return true;
}

static uint32_t spool_blocks(uint64_t bytes)
{
	return (uint32_t)((bytes + SPOOL_BLOCK - 1) / SPOOL_BLOCK);
}

static int spool_add(struct spool *s, const struct spool_entry *e)
{
	if (s->len == s->cap) {
		uint32_t cap = s->cap ? s->cap * 2 : 64;
		struct spool_entry *entries = calloc(cap, sizeof(*entries));
		if (!entries)
			return -ENOMEM;
		for (uint32_t i = 0; i < s->len; i++)
			entries[i] = *spool_at(s, i);
		free(s->entries);
		s->entries = entries;
		s->first = 0;
		s->cap = cap;
	}
	s->len++;
	*spool_at(s, s->len - 1) = *e;
	s->blocks += e->blocks;
	s->counts.spans += e->spans;
	return 0;
}

/* The oldest entry leaves the table; its file is the caller's business. */
static struct spool_entry spool_take(struct spool *s)
{
	struct spool_entry e = *spool_at(s, 0);

	s->first = (s->first + 1) & (s->cap - 1);
	s->len--;
	s->blocks -= e.blocks;
	s->counts.spans -= e.spans;
	if (e.seq == s->peeked)
		s->peeked = 0;
	return e;
}

static void spool_drop_oldest(struct spool *s)
{
	struct spool_entry e = spool_take(s);
	char name[SPOOL_NAME_LEN];

	spool_name(name, &e);
	unlinkat(s->dir, name, 0);
	s->counts.dropped_full_spans += e.spans;
}

static void spool_set_aside(struct spool *s)
{
	struct spool_entry e = spool_take(s);
	char name[SPOOL_NAME_LEN], aside[SPOOL_NAME_LEN];

	spool_name(name, &e);
	snprintf(aside, sizeof(aside), "corrupt-%020" PRIu64, e.seq);
	if (s->corrupt >= SPOOL_CORRUPT_MAX || renameat(s->dir, name, s->dir, aside) != 0)
		unlinkat(s->dir, name, 0);
	else
		s->corrupt++;
	s->counts.dropped_corrupt_spans += e.spans;
}

static int spool_by_seq(const void *a, const void *b)
{
	const struct spool_entry *x = a, *y = b;

	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* What an earlier run left: batches are taken over, half-written temporary files deleted. */
static int spool_scan(struct spool *s)
{
	int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int err = 0;

	if (!d) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (!err && (entry = readdir(d))) {
		struct spool_entry e = { 0 };
		struct stat st;

		if (strncmp(entry->d_name, "tmp-", 4) == 0)
			unlinkat(s->dir, entry->d_name, 0);
		else if (strncmp(entry->d_name, "corrupt-", 8) == 0)
			s->corrupt++;
		else if (spool_parse_name(entry->d_name, &e) && fstatat(s->dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			 S_ISREG(st.st_mode)) {
			e.blocks = spool_blocks((uint64_t)st.st_size);
			err = spool_add(s, &e);
		}
	}
	closedir(d);
	/* Nothing was taken yet, so the ring starts at index 0. */
	if (s->len)
		qsort(s->entries, s->len, sizeof(*s->entries), spool_by_seq);
	s->next_seq = s->len ? spool_at(s, s->len - 1)->seq + 1 : 1;
	s->counts.found_spans = s->counts.spans;
	return err;
}

int spool_open(const char *dir, uint64_t max_bytes, struct spool **ret_spool)
{
	struct spool *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->lock = s->dir = -1;
	s->max_blocks = max_bytes / SPOOL_BLOCK;
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		goto system_error;
	s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0)
		goto system_error;
	s->lock = openat(s->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock < 0)
		goto system_error;
	if (flock(s->lock, LOCK_EX | LOCK_NB) != 0) {
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
		goto failed;
	}
	err = spool_scan(s);
	if (err)
		goto failed;
	while (s->len && (s->blocks > s->max_blocks || s->len > SPOOL_FILES_MAX))
		spool_drop_oldest(s);
	*ret_spool = s;
	return 0;

system_error:
	err = -errno;
failed:
	spool_close(s);
	return err;
}

void spool_close(struct spool *s)
{
	if (!s)
		return;
	if (s->lock >= 0)
		close(s->lock);
	if (s->dir >= 0)
		close(s->dir);
	free(s->entries);
	free(s);
}

static uint32_t spool_crc(const void *data, size_t len)
{
	return (uint32_t)crc32(crc32(0, NULL, 0), data, (uInt)len);
}

static int spool_write_all(int fd, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/*
 * No fsync: the file must survive the end of this process, which the page cache does; after a power cut the CRC finds what the
 * disk did not get, and waiting for the disk would hold up the exporter.
 */
static int spool_write_file(struct spool *s, const char *name, const struct spool_header *h, struct slice body)
{
	char tmp[SPOOL_NAME_LEN + 8];

	snprintf(tmp, sizeof(tmp), "tmp-%s", name);
	int fd = openat(s->dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;

	int err = spool_write_all(fd, h, sizeof(*h));
	if (!err)
		err = spool_write_all(fd, body.ptr, body.len);
	if (close(fd) != 0 && !err) /* where NFS and quotas tell */
		err = -errno;
	if (!err && renameat(s->dir, tmp, s->dir, name) != 0)
		err = -errno;
	if (err)
		unlinkat(s->dir, tmp, 0);
	return err;
}

int spool_put(struct spool *s, struct slice body, uint32_t spans, uint32_t flags)
{
	struct spool_entry e = { .seq = s->next_seq, .spans = spans, .blocks = spool_blocks(sizeof(struct spool_header) + body.len) };
	struct spool_header h = { .version = SPOOL_VERSION, .flags = flags, .spans = spans, .len = (uint32_t)body.len };
	char name[SPOOL_NAME_LEN];
	int err = -EFBIG;

	if (body.len > SPOOL_BODY_MAX || spans > SPOOL_SPANS_MAX || e.blocks > s->max_blocks)
		goto failed;
	while (s->len && (s->blocks + e.blocks > s->max_blocks || s->len >= SPOOL_FILES_MAX))
		spool_drop_oldest(s);

	memcpy(h.magic, spool_magic, sizeof(h.magic));
	h.body_crc = spool_crc(body.ptr, body.len);
	h.header_crc = spool_crc(&h, offsetof(struct spool_header, header_crc));
	spool_name(name, &e);
	err = spool_write_file(s, name, &h, body);
	if (err)
		goto failed;
	err = spool_add(s, &e);
	if (err) {
		unlinkat(s->dir, name, 0);
		goto failed;
	}
	s->next_seq++;
	return 0;

failed:
	s->counts.write_errors++;
	return err;
}

static int spool_read_all(int fd, void *data, size_t len)
{
	uint8_t *p = data;

	while (len) {
		ssize_t n = read(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* -EBADMSG for a file that is not what was written. */
static int spool_read_file(int fd, const struct spool_entry *e, struct buffer *body, uint32_t *ret_flags)
{
	struct spool_header h;
	uint8_t more;

	int err = spool_read_all(fd, &h, sizeof(h));
	if (err)
		return err;
	if (memcmp(h.magic, spool_magic, sizeof(h.magic)) != 0 || h.version != SPOOL_VERSION ||
	    h.header_crc != spool_crc(&h, offsetof(struct spool_header, header_crc)) || h.spans != e->spans || h.len > SPOOL_BODY_MAX)
		return -EBADMSG;
	err = buffer_reserve(body, h.len);
	if (err)
		return err;
	err = spool_read_all(fd, body->data, h.len);
	if (err)
		return err;
	if (read(fd, &more, 1) != 0 || h.body_crc != spool_crc(body->data, h.len))
		return -EBADMSG;
	body->len = h.len;
	*ret_flags = h.flags;
	return 0;
}

int spool_peek(struct spool *s, struct buffer *body, uint32_t *ret_spans, uint32_t *ret_flags)
{
	char name[SPOOL_NAME_LEN];

	while (s->len) {
		struct spool_entry *e = spool_at(s, 0);
		spool_name(name, e);
		buffer_clear(body);
		int fd = openat(s->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		int err = fd < 0 ? -errno : spool_read_file(fd, e, body, ret_flags);
		if (fd >= 0)
			close(fd);
		if (!err) {
			s->peeked = e->seq;
			*ret_spans = e->spans;
			return 0;
		}
		/* Neither a lack of memory nor of descriptors says anything about the file. */
		if (err == -ENOMEM || err == -EMFILE || err == -ENFILE)
			return err;
		spool_set_aside(s);
	}
	return -ENOENT;
}

bool spool_pop(struct spool *s)
{
	char name[SPOOL_NAME_LEN];

	if (s->peeked == 0 || s->len == 0 || spool_at(s, 0)->seq != s->peeked)
		return false;

	struct spool_entry e = spool_take(s);
	spool_name(name, &e);
	/* A file that cannot be removed is forgotten all the same: sending it again in this run would only make duplicates. */
	unlinkat(s->dir, name, 0);
	return true;
}

void spool_counts(const struct spool *s, struct spool_counts *ret)
{
	*ret = s->counts;
	ret->files = s->len;
	ret->bytes = s->blocks * SPOOL_BLOCK;
}

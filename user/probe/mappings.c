/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/mappings.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { RING_PAGES = 16, RECORD_MAX = 8192 }; /* a path is at most 4 KiB */

struct mappings_ring {
	int fd;
	struct perf_event_mmap_page *page; /* and the ring behind it; NULL: there is none */
};

struct mappings {
	mapping_fn fn;
	void *ctx;
	int epoll_fd;
	size_t page_bytes;
	uint64_t lost;
	size_t cpus;
	struct mappings_ring rings[]; /* by CPU: of those that are online */
};

/* linux/perf_event.h has no struct of it. */
struct mmap2_record {
	struct perf_event_header header;
	uint32_t pid, tid;
	uint64_t address, length, offset;
	uint32_t major, minor;
	uint64_t inode, generation;
	uint32_t protection, flags;
	char path[]; /* NUL-terminated, padded; behind it the time */
};

struct lost_record {
	struct perf_event_header header;
	uint64_t id, lost;
};

static size_t ring_bytes(const struct mappings *m) { return RING_PAGES * m->page_bytes; }

static int ring_open(const struct mappings *m, int cpu, struct mappings_ring *ret_ring)
{
	/* Only of what is executable; data would be a flag of its own. */
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_DUMMY, .mmap = 1, .mmap2 = 1, .watermark = 1, .wakeup_watermark = 1,
		.sample_id_all = 1, .sample_type = PERF_SAMPLE_TIME, .use_clockid = 1, .clockid = CLOCK_MONOTONIC,
	};
	struct mappings_ring r = { .fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC) };

	if (r.fd < 0)
		return -errno;
	void *p = mmap(NULL, m->page_bytes + ring_bytes(m), PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, 0);
	struct epoll_event event = { .events = EPOLLIN };
	if (p == MAP_FAILED || epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, r.fd, &event)) {
		int err = -errno;
		if (p != MAP_FAILED)
			munmap(p, m->page_bytes + ring_bytes(m));
		close(r.fd);
		return err;
	}
	r.page = p;
	*ret_ring = r;
	return 0;
}

static void ring_close(const struct mappings *m, struct mappings_ring *r)
{
	if (!r->page)
		return;
	munmap(r->page, m->page_bytes + ring_bytes(m));
	close(r->fd);
	r->page = NULL;
}

/* "0-2,5"; without /sys, or if it says nothing that makes sense, any of them may be. */
static bool is_online(const char *list, long cpu)
{
	char *at = (char *)list;
	bool any = false;

	while (*at >= '0' && *at <= '9') {
		long from = strtol(at, &at, 10), to = *at == '-' ? strtol(at + 1, &at, 10) : from;
		if (cpu >= from && cpu <= to)
			return true;
		any = true;
		at += *at == ',';
	}
	return !any;
}

static void read_online(char *to, size_t len)
{
	int fd = open("/sys/devices/system/cpu/online", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, to, len - 1) : -1;

	to[n > 0 ? n : 0] = 0;
	if (fd >= 0)
		close(fd);
}

/* A ring of a CPU that went offline tells nothing any more, even when the CPU is back. */
int mappings_renew(struct mappings *m)
{
	char list[4096];

	read_online(list, sizeof(list));
	for (size_t cpu = 0; cpu < m->cpus; cpu++) {
		struct mappings_ring *r = &m->rings[cpu];
		if (!is_online(list, (long)cpu)) {
			ring_close(m, r);
			continue;
		}
		if (r->page)
			continue;
		int err = ring_open(m, (int)cpu, r);
		if (err && err != -ENODEV)
			return err;
		m->lost += !err; /* what was mapped there before */
	}
	return 0;
}

int mappings_new(mapping_fn fn, void *ctx, struct mappings **ret_mappings)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	struct mappings *m = calloc(1, sizeof(*m) + (size_t)(cpus > 0 ? cpus : 1) * sizeof(m->rings[0]));

	if (!m)
		return -ENOMEM;
	m->fn = fn;
	m->ctx = ctx;
	m->cpus = cpus > 0 ? (size_t)cpus : 1;
	m->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	m->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int err = m->epoll_fd < 0 ? -errno : mappings_renew(m);
	if (!err && m->lost == 0)
		err = -ENODEV;
	if (err) {
		mappings_free(m);
		return err;
	}
	m->lost = 0;
	*ret_mappings = m;
	return 0;
}

void mappings_free(struct mappings *m)
{
	if (!m)
		return;
	for (size_t cpu = 0; cpu < m->cpus; cpu++)
		ring_close(m, &m->rings[cpu]);
	if (m->epoll_fd >= 0)
		close(m->epoll_fd);
	free(m);
}

int mappings_fd(const struct mappings *m) { return m->epoll_fd; }

uint64_t mappings_lost(const struct mappings *m) { return m->lost; }

static void ring_record(struct mappings *m, const void *record)
{
	const struct perf_event_header *h = record;

	if (h->type == PERF_RECORD_LOST && h->size >= sizeof(struct lost_record)) {
		m->lost += ((const struct lost_record *)record)->lost;
		return;
	}
	const struct mmap2_record *r = record;
	if (h->type != PERF_RECORD_MMAP2 || h->size <= sizeof(*r) + sizeof(uint64_t) || !r->inode)
		return;
	struct mapping mapping = {
		.pid = r->pid, .major = r->major, .minor = r->minor, .inode = r->inode, .generation = r->generation, .from = r->address, .to = r->address + r->length, .path = r->path,
	};
	memcpy(&mapping.time_ns, (const uint8_t *)record + h->size - sizeof(mapping.time_ns), sizeof(mapping.time_ns));
	m->fn(m->ctx, &mapping);
}

static void ring_read(struct mappings *m, struct mappings_ring *r)
{
	uint64_t record[RECORD_MAX / 8 + 1]; /* in one piece, and with a NUL behind it */
	const uint8_t *data = (const uint8_t *)r->page + m->page_bytes;
	uint64_t mask = ring_bytes(m) - 1, tail = r->page->data_tail, head = __atomic_load_n(&r->page->data_head, __ATOMIC_ACQUIRE);

	while (tail < head) {
		struct perf_event_header h;
		memcpy(&h, data + (tail & mask), sizeof(h)); /* records are of whole words: a header never wraps */
		if (h.size < sizeof(h) || h.size > RECORD_MAX) {
			m->lost++; /* and whatever is behind it */
			break;
		}
		uint64_t first = ring_bytes(m) - (tail & mask);
		if (first > h.size)
			first = h.size;
		memcpy(record, data + (tail & mask), first);
		memcpy((uint8_t *)record + first, data, h.size - first);
		((uint8_t *)record)[h.size] = 0;
		tail += h.size;
		ring_record(m, record);
	}
	__atomic_store_n(&r->page->data_tail, tail < head ? head : tail, __ATOMIC_RELEASE);
}

void mappings_read(struct mappings *m)
{
	for (size_t cpu = 0; cpu < m->cpus; cpu++)
		if (m->rings[cpu].page)
			ring_read(m, &m->rings[cpu]);
}

/* "from-to perms offset major:minor inode path"; numbers but the inode in base 16. */
static void line_read(uint32_t pid, char *line, mapping_fn fn, void *ctx)
{
	struct mapping m = { .pid = pid };
	char *at, *perms;

	line[strcspn(line, "\n")] = 0;
	m.from = strtoull(line, &at, 16);
	if (*at != '-')
		return;
	m.to = strtoull(at + 1, &perms, 16);
	if (strlen(perms) < 6 || perms[3] != 'x')
		return;
	(void)strtoull(perms + 5, &at, 16); /* the offset */
	m.major = (uint32_t)strtoul(at, &at, 16);
	if (*at != ':')
		return;
	m.minor = (uint32_t)strtoul(at + 1, &at, 16);
	m.inode = strtoull(at, &at, 10);
	m.path = at + strspn(at, " ");
	if (m.inode)
		fn(ctx, &m);
}

int mappings_of(uint32_t pid, mapping_fn fn, void *ctx)
{
	enum { MAX_BYTES = 16 * 1024 * 1024 }; /* 65,530 mappings have some 6 MiB; with paths as long as can be they have hundreds */
	char path[64];
	char *line = NULL;
	size_t cap = 0, all = 0;

	snprintf(path, sizeof(path), "/proc/%u/maps", pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return -errno;
	for (ssize_t n; all < MAX_BYTES && (n = getline(&line, &cap, f)) > 0; all += (size_t)n)
		line_read(pid, line, fn, ctx);
	free(line);
	fclose(f);
	return all < MAX_BYTES ? 0 : -EFBIG;
}

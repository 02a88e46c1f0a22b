/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/mappings.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { RING_PAGES = 16, RECORD_MAX = 8192 }; /* a path is at most 4 KiB */

struct mappings_ring {
	int fd;
	struct perf_event_mmap_page *page; /* and the ring behind it */
};

struct mappings {
	mapping_fn fn;
	void *ctx;
	int epoll_fd;
	size_t page_bytes;
	uint64_t lost;
	size_t n;
	struct mappings_ring rings[]; /* one of each CPU that is online */
};

/* linux/perf_event.h has no struct of it. */
struct mmap2_record {
	struct perf_event_header header;
	uint32_t pid, tid;
	uint64_t address, length, offset;
	uint32_t major, minor;
	uint64_t inode, generation;
	uint32_t protection, flags;
	char path[]; /* NUL-terminated */
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

int mappings_new(mapping_fn fn, void *ctx, struct mappings **ret_mappings)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	struct mappings *m = calloc(1, sizeof(*m) + (size_t)(cpus > 0 ? cpus : 1) * sizeof(m->rings[0]));

	if (!m)
		return -ENOMEM;
	m->fn = fn;
	m->ctx = ctx;
	m->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	m->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int err = m->epoll_fd < 0 ? -errno : 0;
	for (int cpu = 0; cpu < cpus && !err; cpu++) {
		err = ring_open(m, cpu, &m->rings[m->n]);
		if (err == -ENODEV)
			err = 0; /* it is not online */
		else if (!err)
			m->n++;
	}
	if (!err && m->n == 0)
		err = -ENODEV;
	if (err) {
		mappings_free(m);
		return err;
	}
	*ret_mappings = m;
	return 0;
}

void mappings_free(struct mappings *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++) {
		munmap(m->rings[i].page, m->page_bytes + ring_bytes(m));
		close(m->rings[i].fd);
	}
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
	if (h->type != PERF_RECORD_MMAP2 || h->size <= sizeof(*r) || !r->inode)
		return;
	m->fn(m->ctx, &(struct mapping){
		.pid = r->pid, .major = r->major, .minor = r->minor, .inode = r->inode, .generation = r->generation, .from = r->address, .to = r->address + r->length, .path = r->path,
	});
}

static void ring_read(struct mappings *m, struct mappings_ring *r)
{
	uint64_t record[RECORD_MAX / 8 + 1]; /* in one piece, and with a NUL behind it */
	const uint8_t *data = (const uint8_t *)r->page + m->page_bytes;
	uint64_t mask = ring_bytes(m) - 1, tail = r->page->data_tail, head = __atomic_load_n(&r->page->data_head, __ATOMIC_ACQUIRE);

	while (tail < head) {
		struct perf_event_header h;
		memcpy(&h, data + (tail & mask), sizeof(h)); /* records are of whole words: a header never wraps */
		if (h.size < sizeof(h) || h.size > RECORD_MAX)
			break;
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
	for (size_t i = 0; i < m->n; i++)
		ring_read(m, &m->rings[i]);
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
	char path[64];
	char *line = NULL;
	size_t cap = 0;

	snprintf(path, sizeof(path), "/proc/%u/maps", pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return -errno;
	while (getline(&line, &cap, f) > 0)
		line_read(pid, line, fn, ctx);
	free(line);
	fclose(f);
	return 0;
}

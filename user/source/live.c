/* SPDX-License-Identifier: Apache-2.0 */
#include "source/live.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	LIVE_PERIOD_MS = 5,       /* rings are read this often while records come; a ring that fills wakes the reader before */
	LIVE_IDLE_MS = 100,       /* longest sleep when nothing comes: the next record then ends it */
	LIVE_IDLE_AFTER_MS = 200,
	LIVE_SLACK_NS = 500000,   /* a record is stamped before it is put into its ring; no program takes so long in between */
	LIVE_COMMIT_BYTES = 65536, /* room is given back to the kernel this often */
};

#define RING_BUSY (1u << 31) /* BPF_RINGBUF_BUSY_BIT */
#define RING_DISCARD (1u << 30)
#define RING_HEADER 8

struct live_ring {
	struct link_ring map;
	uint64_t at;         /* next record to look at */
	uint64_t end;        /* producer's position when this batch began */
	uint64_t committed;
	struct slice head;   /* the record at `at`, empty while there is none */
	uint64_t head_ns;    /* its time, UINT64_MAX while there is none */
};

struct live {
	struct source source;
	const struct link *link;
	struct source_counts counts;
	int epoll_fd;
	uint64_t last_ns;    /* time of the newest record delivered */
	uint64_t tick_ns;
	uint64_t drained_ns; /* when the rings were last found empty */
	uint64_t active_ns;  /* when a record was last delivered */
	bool gone;           /* the probe closed its end */
	const char *error;
	bool control_dry;    /* nothing more came in this batch */
	size_t control_len;  /* the probe's next record, waiting for its time; 0 = none */
	uint64_t control[PLUMB_RECORD_MAX / 8 + 1];
	struct live_ring rings[];
};

static uint64_t boot_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void ring_commit(struct live_ring *r)
{
	__atomic_store_n(r->map.consumer_pos, r->at, __ATOMIC_RELEASE);
	r->committed = r->at;
}

/* The next complete record of a ring, or an empty slice. Skips discarded ones. */
static struct slice ring_peek(struct live_ring *r)
{
	while (r->at < r->end) {
		const uint8_t *head = r->map.data + (r->at & (r->map.size - 1));
		uint32_t len = __atomic_load_n((const uint32_t *)head, __ATOMIC_ACQUIRE);

		if (len & RING_BUSY)
			return SLICE_NONE;
		uint32_t bytes = len & ~RING_DISCARD;
		if (!(len & RING_DISCARD))
			return slice_make(head + RING_HEADER, bytes);
		r->at += (bytes + RING_HEADER + 7) & ~7ull;
	}
	return SLICE_NONE;
}

static uint64_t raw_time(struct slice raw)
{
	return ((const struct plumb_rec_header *)(const void *)raw.ptr)->time_ns;
}

/* Looks for the next record once, so that the merge compares times without touching the rings. */
static void ring_look(struct live_ring *r)
{
	r->head = ring_peek(r);
	r->head_ns = r->head.len < sizeof(struct plumb_rec_header) ? UINT64_MAX : raw_time(r->head);
}

/* Takes the head off. Told to the next engine first: should this record be the end of this one, it shall not be the end of that one too. */
static void ring_take(struct live_ring *r, uint64_t *shared_at)
{
	r->at += (r->head.len + RING_HEADER + 7) & ~7ull;
	__atomic_store_n(shared_at, r->at, __ATOMIC_RELEASE);
}

static void ring_taken(struct live_ring *r)
{
	if (r->at - r->committed >= LIVE_COMMIT_BYTES)
		ring_commit(r);
	ring_look(r);
}

/* `ahead`: of an earlier time than others that follow, and right so. */
static int live_deliver(struct live *l, struct slice raw, bool ahead, source_record_fn fn, void *ctx)
{
	struct record rec;
	struct slice payload;
	int size = record_decode(raw, &rec, &payload);

	l->link->progress->taken++;
	if (size == -ENOTSUP) {
		l->counts.unknown++;
	} else if (size < 0) {
		l->counts.corrupt++;
	} else {
		if (!ahead && rec.u.h.time_ns < l->last_ns) {
			/* By more than the slack: a program was held up between stamping its record and writing it. */
			l->counts.late++;
			rec.u.h.time_ns = l->last_ns;
		}
		if (!ahead)
			l->last_ns = rec.u.h.time_ns;
		l->counts.records++;
		int err = fn(ctx, &rec, payload);
		if (err)
			return err;
	}
	l->link->progress->processed++;
	return 0;
}

/* The probe's next record, if there is one. */
static struct slice live_peek_control(struct live *l)
{
	if (!l->control_len && !l->gone && !l->control_dry) {
		ssize_t got = recv(l->link->control_fd, l->control, sizeof(l->control), MSG_DONTWAIT);
		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
			l->gone = true;
		else if (got > 0)
			l->control_len = (size_t)got;
		else
			l->control_dry = true;
	}
	return slice_make(l->control, l->control_len);
}

/*
 * START opens the stream, and who runs already is known before what the rings hold from before this engine.
 */
static bool control_goes_ahead(const struct live *l, struct slice raw)
{
	if (raw.len < sizeof(struct plumb_rec_header))
		return raw.len > 0; /* corrupt: delivered to be counted */
	uint16_t type = ((const struct plumb_rec_header *)(const void *)raw.ptr)->type;
	return type == PLUMB_REC_START || (type == PLUMB_REC_PROCESS && !l->tick_ns);
}

/* The ring whose next record is the oldest, if that is not younger than `until`. */
static struct live_ring *live_oldest(struct live *l, uint64_t until)
{
	struct live_ring *best = NULL;

	for (uint32_t i = 0; i < l->link->nrings; i++)
		if (l->rings[i].head_ns <= until) {
			until = l->rings[i].head_ns;
			best = &l->rings[i];
		}
	return best;
}

static int live_merge(struct live *l, int max, uint64_t until, source_record_fn fn, void *ctx)
{
	int n = 0;

	l->control_dry = false;
	for (uint32_t i = 0; i < l->link->nrings; i++) {
		l->rings[i].end = __atomic_load_n(l->rings[i].map.producer_pos, __ATOMIC_ACQUIRE);
		ring_look(&l->rings[i]);
	}
	while (n < max) {
		struct slice control = live_peek_control(l);
		struct live_ring *r = live_oldest(l, until);
		bool ahead = control_goes_ahead(l, control);
		if (ahead || (control.len && raw_time(control) <= (r ? r->head_ns : until))) {
			l->control_len = 0;
			int err = live_deliver(l, control, ahead, fn, ctx);
			if (err)
				return err;
			n++;
			continue;
		}
		if (!r)
			break;
		struct slice raw = r->head;
		ring_take(r, &l->link->progress->at[r - l->rings]);
		int err = live_deliver(l, raw, false, fn, ctx);
		ring_taken(r);
		if (err) {
			ring_commit(r);
			return err;
		}
		n++;
	}
	for (uint32_t i = 0; i < l->link->nrings; i++)
		if (l->rings[i].at != l->rings[i].committed)
			ring_commit(&l->rings[i]);
	return n;
}

static int live_tick(struct live *l, uint64_t time_ns, source_record_fn fn, void *ctx)
{
	struct record tick = { .u.h = { .size = sizeof(tick.u.h), .type = PLUMB_REC_TICK, .cpu = UINT16_MAX, .time_ns = time_ns } };

	if (time_ns <= l->last_ns || time_ns - l->tick_ns < LIVE_PERIOD_MS * 1000000ull)
		return 0;
	l->tick_ns = l->last_ns = time_ns;
	return fn(ctx, &tick, SLICE_NONE);
}

static void live_wait(struct live *l, int wait_ms)
{
	struct epoll_event events[8];
	uint64_t now = boot_ns();

	if (now - l->active_ns > LIVE_IDLE_AFTER_MS * 1000000ull) {
		__atomic_store_n(l->link->reader_idle, 1, __ATOMIC_SEQ_CST);
		if (wait_ms > LIVE_IDLE_MS)
			wait_ms = LIVE_IDLE_MS;
		/* What came before the flag was set woke nobody. */
		for (uint32_t i = 0; i < l->link->nrings; i++)
			if (__atomic_load_n(l->rings[i].map.producer_pos, __ATOMIC_ACQUIRE) != l->rings[i].at)
				wait_ms = wait_ms < LIVE_PERIOD_MS ? wait_ms : LIVE_PERIOD_MS;
	} else {
		uint64_t since_ms = (now - l->drained_ns) / 1000000u;
		int left = since_ms >= LIVE_PERIOD_MS ? 0 : LIVE_PERIOD_MS - (int)since_ms;
		if (wait_ms > left)
			wait_ms = left;
	}
	if (wait_ms > 0)
		epoll_wait(l->epoll_fd, events, 8, wait_ms);
	__atomic_store_n(l->link->reader_idle, 0, __ATOMIC_RELAXED);
}

static int live_read(struct source *s, int max, int wait_ms, source_record_fn fn, void *ctx)
{
	struct live *l = (struct live *)s;

	live_wait(l, wait_ms);
	uint64_t until = boot_ns() - LIVE_SLACK_NS;
	int n = live_merge(l, max, until, fn, ctx);
	if (n < 0)
		return n;
	uint64_t now = boot_ns();
	if (n > 0)
		l->active_ns = now;
	if (n < max) {
		l->drained_ns = now;
		int err = live_tick(l, until, fn, ctx);
		if (err)
			return err;
	}
	if (n == 0 && l->gone) {
		l->error = "the probe process ended";
		return -ENODATA;
	}
	return n;
}

static void live_close(struct source *s)
{
	struct live *l = (struct live *)s;

	close(l->epoll_fd);
	free(l);
}

static const char *live_error(const struct source *s)
{
	const struct live *l = (const struct live *)s;

	return l->error ? l->error : "";
}

static void live_counts(const struct source *s, struct source_counts *ret)
{
	*ret = ((const struct live *)s)->counts;
}

static const struct source_ops live_ops = {
	.name = "live",
	.read = live_read,
	.close = live_close,
	.error = live_error,
	.counts = live_counts,
};

static int live_watch(struct live *l, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };

	return fd < 0 || epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0 ? 0 : -errno;
}

int live_open(const struct link *link, int wake_fd, struct source **ret_source)
{
	struct live *l = calloc(1, sizeof(*l) + link->nrings * sizeof(l->rings[0]));
	int err;

	if (!l)
		return -ENOMEM;
	l->source.ops = &live_ops;
	l->link = link;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0) {
		err = -errno;
		free(l);
		return err;
	}
	err = live_watch(l, link->control_fd, EPOLLIN);
	if (!err)
		err = live_watch(l, wake_fd, EPOLLIN);
	for (uint32_t i = 0; i < link->nrings && !err; i++) {
		l->rings[i].map = link->rings[i];
		l->rings[i].at = __atomic_load_n(link->rings[i].consumer_pos, __ATOMIC_ACQUIRE);
		/* An engine that died may have taken more than it gave back. */
		if (link->progress->at[i] > l->rings[i].at)
			l->rings[i].at = link->progress->at[i];
		ring_commit(&l->rings[i]);
		/* Edge-triggered: a ring with data is always ready; only the kernel side's call for attention counts. */
		err = live_watch(l, link->rings[i].fd, EPOLLIN | EPOLLET);
	}
	if (err) {
		live_close(&l->source);
		return err;
	}
	l->active_ns = boot_ns();
	*ret_source = &l->source;
	return 0;
}

int live_control(struct source *s, const struct plumb_ctl *message)
{
	const struct live *l = (const struct live *)s;

	if (send(l->link->control_fd, message, sizeof(*message), MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(*message))
		return 0;
	return -errno;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "source/live.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"

enum {
	LIVE_PERIOD_MAX_US = 4000, /* rings are read this often while few records come; a ring that fills calls the reader before */
	LIVE_PERIOD_MIN_US = 1000, /* and this often while many do */
	LIVE_BATCH_FEW = 48,       /* records of one reading, about half a microsecond's work each */
	LIVE_BATCH_MANY = 192,
	LIVE_TICK_NS = 5000000,   /* time is told this often */
	LIVE_IDLE_US = 100000,    /* longest sleep when nothing comes: the next record then ends it */
	LIVE_IDLE_AFTER_MS = 200,
	LIVE_SLACK_NS = 500000,   /* a record is stamped before it is put into its ring; only a program that can lose its CPU (on functions of libraries) may take longer, in the few instructions between */
	LIVE_COMMIT_BYTES = 65536, /* room is given back to the kernel this often */
};

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
	uint64_t period_us;
	bool coarse;         /* the kernel waits for whole milliseconds only */
	bool gone;           /* the probe closed its end */
	const char *error;
	bool control_dry;    /* nothing more came in this batch */
	size_t control_len;  /* the probe's next record, waiting for its time; 0 = none */
	uint64_t control[PLUMB_RECORD_MAX / 8 + 1];
	struct live_ring rings[];
};

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

static void ring_commit(struct live_ring *r)
{
	__atomic_store_n(&r->map.ends->tail, r->at, __ATOMIC_RELEASE);
	r->committed = r->at;
}

/*
 * Where the engine before this one stopped; it may have taken more than it gave back. What it left is not trusted: nonsense shall not be the end of all that
 * follow, so whatever is not between what was given back and what was written counts as corrupt, and reading begins at what comes next.
 */
static void ring_resume(struct live_ring *r, uint64_t taken, uint64_t *corrupt)
{
	uint64_t head = __atomic_load_n(&r->map.ends->head, __ATOMIC_ACQUIRE), tail = __atomic_load_n(&r->map.ends->tail, __ATOMIC_ACQUIRE);

	r->at = tail;
	if (head - tail > r->map.size) {
		(*corrupt)++;
		r->at = head;
	} else if (taken - tail <= head - tail) {
		r->at = taken;
	} else if (taken > tail) {
		(*corrupt)++;
		r->at = head;
	}
	ring_commit(r);
}

/* The next record of a ring, or an empty slice. One that cannot be makes all behind it unreadable: `corrupt` counts it. */
static struct slice ring_peek(struct live_ring *r, uint64_t *corrupt)
{
	if (r->at >= r->end)
		return SLICE_NONE;
	const struct plumb_rec_header *h = (const void *)(r->map.data + (r->at & (r->map.size - 1)));
	if (h->size >= sizeof(*h) && h->size % 8 == 0 && h->size <= PLUMB_RECORD_MAX && h->size <= r->end - r->at)
		return slice_make((const uint8_t *)h, h->size);
	(*corrupt)++;
	r->at = r->end;
	return SLICE_NONE;
}

static uint64_t raw_time(struct slice raw)
{
	return ((const struct plumb_rec_header *)(const void *)raw.ptr)->time_ns;
}

/* Looks for the next record once, so that the merge compares times without touching the rings. */
static void ring_look(struct live_ring *r, uint64_t *corrupt)
{
	r->head = ring_peek(r, corrupt);
	r->head_ns = r->head.len ? raw_time(r->head) : UINT64_MAX;
}

/* Takes the head off. Told to the next engine first: should this record be the end of this one, it shall not be the end of that one too. */
static void ring_take(struct live_ring *r, uint64_t *shared_at)
{
	r->at += r->head.len;
	__atomic_store_n(shared_at, r->at, __ATOMIC_RELEASE);
}

static void ring_taken(struct live_ring *r, uint64_t *corrupt)
{
	if (r->at - r->committed >= LIVE_COMMIT_BYTES)
		ring_commit(r);
	ring_look(r, corrupt);
}

/* `ahead`: of an earlier time than others that follow, and right so. */
static int live_deliver(struct live *l, struct slice raw, bool ahead, source_record_fn fn, void *ctx)
{
	struct record rec;
	struct slice payload;
	int size = record_decode(raw, &rec, &payload);

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
	const struct plumb_rec_process *r = (const void *)raw.ptr;
	if (r->h.type != PLUMB_REC_PROCESS || raw.len < sizeof(*r))
		return r->h.type == PLUMB_REC_START;
	/* One that has executed a program since is not who it was: its exec is in the rings, and would undo what goes ahead of it. */
	return !l->tick_ns && !(r->flags & PLUMB_PROCESS_EXECUTED);
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
		l->rings[i].end = __atomic_load_n(&l->rings[i].map.ends->head, __ATOMIC_ACQUIRE);
		ring_look(&l->rings[i], &l->counts.corrupt);
	}
	while (n < max) {
		struct slice control = live_peek_control(l);
		struct live_ring *r = live_oldest(l, until);
		bool ahead = control_goes_ahead(l, control);
		if (ahead || (control.len && raw_time(control) <= (r ? r->head_ns : until))) {
			l->control_len = 0;
			l->link->progress->taken++;
			int err = live_deliver(l, control, ahead, fn, ctx);
			if (err)
				return err;
			n++;
			continue;
		}
		if (!r)
			break;
		struct slice raw = r->head;
		l->link->progress->taken++; /* before its place is told: an engine that dies in between has lost it */
		ring_take(r, &l->link->progress->at[r - l->rings]);
		int err = live_deliver(l, raw, false, fn, ctx);
		ring_taken(r, &l->counts.corrupt);
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

	if (time_ns <= l->last_ns || time_ns - l->tick_ns < LIVE_TICK_NS)
		return 0;
	l->tick_ns = l->last_ns = time_ns;
	return fn(ctx, &tick, SLICE_NONE);
}

/* Until something calls or the time is over. epoll_pwait2() came with Linux 5.11; before it a wait is whole milliseconds. */
static void live_sleep(struct live *l, uint64_t us)
{
	struct timespec ts = { .tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000 * 1000) };
	struct epoll_event events[8];

	if (us && !l->coarse && epoll_pwait2(l->epoll_fd, events, 8, &ts, NULL) < 0 && errno != EINTR)
		l->coarse = true;
	else if (us && l->coarse)
		epoll_wait(l->epoll_fd, events, 8, (int)((us + 999) / 1000));
}

static void live_set_idle(struct live *l, uint32_t idle)
{
	for (uint32_t i = 0; i < l->link->nrings; i++)
		__atomic_store_n(&l->rings[i].map.ends->idle, idle, __ATOMIC_SEQ_CST);
}

/* Nothing has come for a while: the next record ends the sleep, however long. */
static void live_wait_idle(struct live *l, uint64_t us)
{
	live_set_idle(l, 1);
	/* What came before the flag was set called nobody. */
	for (uint32_t i = 0; i < l->link->nrings; i++)
		if (__atomic_load_n(&l->rings[i].map.ends->head, __ATOMIC_SEQ_CST) != l->rings[i].at)
			us = least(us, LIVE_PERIOD_MAX_US);
	live_sleep(l, least(us, LIVE_IDLE_US));
	live_set_idle(l, 0);
}

static void live_wait(struct live *l, int wait_ms)
{
	const struct link_doorbell *bell = &l->link->doorbell;
	uint64_t now = clock_ns(CLOCK_BOOTTIME), wait_us = (uint64_t)wait_ms * 1000, since_us = (now - l->drained_ns) / 1000;

	if (now - l->active_ns > LIVE_IDLE_AFTER_MS * 1000000ull)
		live_wait_idle(l, wait_us);
	else
		live_sleep(l, least(wait_us, since_us >= l->period_us ? 0 : l->period_us - since_us));
	__atomic_store_n(bell->consumer_pos, __atomic_load_n(bell->producer_pos, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
}

/*
 * The rings are empty again, after `n` records. Whoever is traced waits while this process has the CPU, and may make others wait, so it shall take it for a
 * tenth of a millisecond at a time: the more comes, the more often it looks.
 */
static void live_drained(struct live *l, int n, uint64_t now)
{
	l->drained_ns = now;
	if (n > LIVE_BATCH_MANY && l->period_us > LIVE_PERIOD_MIN_US)
		l->period_us /= 2;
	else if (n < LIVE_BATCH_FEW && l->period_us < LIVE_PERIOD_MAX_US)
		l->period_us *= 2;
}

static int live_read(struct source *s, int max, int wait_ms, source_record_fn fn, void *ctx)
{
	struct live *l = (struct live *)s;

	live_wait(l, wait_ms);
	uint64_t until = clock_ns(CLOCK_BOOTTIME) - LIVE_SLACK_NS;
	int n = live_merge(l, max, until, fn, ctx);
	if (n < 0)
		return n;
	uint64_t now = clock_ns(CLOCK_BOOTTIME);
	if (n > 0)
		l->active_ns = now;
	if (n < max) {
		live_drained(l, n, now);
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

/* What the engine before this one wanted to see of a socket is not what this one, which knows none of them, must see. */
static void live_forget_policies(const struct link *link)
{
	for (size_t i = 0; link->policies && i < PLUMB_POLICY_SLOTS; i++)
		if (link->policies[i].sock)
			__atomic_store_n(&link->policies[i].sock, 0, __ATOMIC_RELAXED);
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
	if (!err)
		err = live_watch(l, link->doorbell.fd, EPOLLIN);
	for (uint32_t i = 0; i < link->nrings && !err; i++) {
		l->rings[i].map = link->rings[i];
		ring_resume(&l->rings[i], link->progress->at[i], &l->counts.corrupt);
	}
	if (err) {
		live_close(&l->source);
		return err;
	}
	if (link->restarts)
		live_forget_policies(link);
	l->active_ns = clock_ns(CLOCK_BOOTTIME);
	l->period_us = LIVE_PERIOD_MAX_US;
	*ret_source = &l->source;
	return 0;
}

int live_wake(struct source *s, int fd) { return live_watch((struct live *)s, fd, EPOLLIN); }

int live_control(struct source *s, const struct plumb_ctl *message)
{
	const struct live *l = (const struct live *)s;

	if (send(l->link->control_fd, message, sizeof(*message), MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(*message))
		return 0;
	return -errno;
}

void live_policy(struct source *s, uint64_t sock, const struct capture *capture)
{
	const struct live *l = (const struct live *)s;
	struct plumb_policy_slot *slot = &l->link->policies[sock & (PLUMB_POLICY_SLOTS - 1)];

	if (!capture) {
		if (slot->sock == sock)
			__atomic_store_n(&slot->sock, 0, __ATOMIC_RELAXED);
		return;
	}
	/* A program must never see one socket's tag with another's numbers. Its own may be older or newer, each for itself. */
	if (slot->sock != sock) {
		__atomic_store_n(&slot->sock, 0, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_RELEASE);
	}
	for (int d = 0; d < 2; d++) {
		__atomic_store_n(&slot->until[d], capture->until[d], __ATOMIC_RELAXED);
		__atomic_store_n(&slot->want[d], capture->want[d], __ATOMIC_RELAXED);
	}
	__atomic_store_n(&slot->sock, sock, __ATOMIC_RELEASE);
}

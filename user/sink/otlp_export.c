/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/otlp_export.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "lib/clock.h"
#include "sink/gzip.h"
#include "sink/spool.h"

_Static_assert((int)OTLP_BATCH_SPANS_MAX <= (int)SPOOL_SPANS_MAX, "the spool takes every batch");

enum {
	IDLE_WAIT_MS = 60000,       /* a wake-up ends it */
	CLOSE_GRACE_MS = 1000,
	SPOOL_RETRY_MS = 5000,      /* after a write error */
	SPOOL_BUSY_MS = 250,        /* between looks whether another plumb has left the spool */
	TO_DISK_WAIT_MS = 10,       /* between tries to put all on disk at the end */
	RETRY_AFTER_TRUST = 3,      /* failures in a row after which "come back at once" is no longer believed */
	RETRY_AFTER_MIN_MS = 200,
	RETRY_DOUBLINGS_MAX = 20,
	REQUEST_MAX = 8 << 20,
	SPOOL_GZIP = 1,             /* flag of a spooled batch: the body is compressed */
};

struct otlp_item { /* a request that is on its way or waits for its next try */
	bool used;
	bool spooled;      /* its file is the oldest of the spool */
	bool gzipped;
	uint32_t spans;
	struct buffer body;
};

struct otlp_export {
	pthread_t thread;
	bool started;
	char spool_dir[PATH_MAX]; /* "" = none */
	uint64_t spool_max_bytes;

	/* Guarded by lock. */
	pthread_mutex_t lock;
	pthread_cond_t drained;
	struct otlp_batch *in_first, *in_last; /* handed over, oldest first */
	struct otlp_batch *idle;               /* empty ones */
	uint32_t batches, batches_max;         /* made so far */
	bool stop, to_disk;                    /* to_disk: nothing is to wait in memory */
	struct otlp_export_counts counts;

	/* Fixed. */
	uint32_t batch_spans, queue_spans;
	int64_t retry_initial_ms, retry_max_ms;
	uint64_t *settled;

	/* The thread's own. */
	struct otlp_transport *transport; /* but for otlp_transport_wake() */
	struct spool *spool;              /* NULL = none */
	struct gzip gzip;
	bool compress;
	struct otlp_batch *first, *last;  /* taken over, oldest first */
	uint32_t waiting;                 /* spans in them */
	struct otlp_item item;
	struct buffer raw;                /* a request before compression */
	struct buffer spool_body;         /* a batch on its way to the spool while another is sent */
	bool live_last;                   /* the last item sent came from memory */
	uint32_t failures;                /* in a row */
	int64_t retry_at_ms, spool_at_ms; /* not before */
	uint64_t random;
};

/* Spans that are in memory no more, after they are where else they are: should the process die in between, they are counted twice rather than never. */
static void settle(struct otlp_export *e, uint32_t spans)
{
	if (e->settled)
		__atomic_fetch_add(e->settled, spans, __ATOMIC_RELAXED);
}

/* --- between the threads ------------------------------------------------------------------------------------------------- */

struct otlp_batch *otlp_export_get(struct otlp_export *e)
{
	struct otlp_batch *b = NULL;
	bool make = false;

	pthread_mutex_lock(&e->lock);
	if (e->idle) {
		b = e->idle;
		e->idle = b->next;
	} else if (e->batches < e->batches_max) {
		e->batches++;
		make = true;
	}
	pthread_mutex_unlock(&e->lock);
	if (make && otlp_batch_new(e->batch_spans, &b) != 0) {
		pthread_mutex_lock(&e->lock);
		e->batches--;
		pthread_mutex_unlock(&e->lock);
		b = NULL;
	}
	return b;
}

void otlp_export_return(struct otlp_export *e, struct otlp_batch *b)
{
	otlp_batch_clear(b);
	pthread_mutex_lock(&e->lock);
	b->next = e->idle;
	e->idle = b;
	pthread_mutex_unlock(&e->lock);
}

void otlp_export_put(struct otlp_export *e, struct otlp_batch *b)
{
	b->next = NULL;
	pthread_mutex_lock(&e->lock);
	bool fits = e->counts.queued + b->nspans <= e->queue_spans;
	if (fits) {
		e->counts.queued += b->nspans;
		if (e->in_last)
			e->in_last->next = b;
		else
			e->in_first = b;
		e->in_last = b;
	} else {
		e->counts.dropped[OTLP_DROP_QUEUE_FULL] += b->nspans;
		settle(e, b->nspans);
	}
	pthread_mutex_unlock(&e->lock);
	if (fits)
		otlp_transport_wake(e->transport);
	else
		otlp_export_return(e, b);
}

bool otlp_export_idle(struct otlp_export *e)
{
	pthread_mutex_lock(&e->lock);
	bool idle = e->counts.queued == 0;
	pthread_mutex_unlock(&e->lock);
	return idle;
}

/* With the lock: waits until nothing is queued, or the time is over. */
static void wait_drained(struct otlp_export *e, int timeout_ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	int64_t ns = until.tv_nsec + (int64_t)(timeout_ms > 0 ? timeout_ms : 0) % 1000 * 1000000;
	until.tv_sec += (timeout_ms > 0 ? timeout_ms : 0) / 1000 + ns / 1000000000;
	until.tv_nsec = ns % 1000000000;
	while (e->counts.queued && pthread_cond_timedwait(&e->drained, &e->lock, &until) == 0)
		;
}

uint64_t otlp_export_flush(struct otlp_export *e, int timeout_ms)
{
	pthread_mutex_lock(&e->lock);
	wait_drained(e, timeout_ms);
	if (e->counts.queued && e->spool_dir[0]) {
		e->to_disk = true;
		otlp_transport_wake(e->transport);
		wait_drained(e, CLOSE_GRACE_MS);
		e->to_disk = false;
	}
	uint64_t left = e->counts.queued;
	pthread_mutex_unlock(&e->lock);
	return left;
}

void otlp_export_counts(struct otlp_export *e, struct otlp_export_counts *ret)
{
	pthread_mutex_lock(&e->lock);
	*ret = e->counts;
	pthread_mutex_unlock(&e->lock);
}

/*
 * --- the books: each of these moves spans from one place to another in one step -----------------------------------------------
 */

static void books_spool(struct otlp_export *e)
{
	struct spool_counts c;

	if (!e->spool)
		return;
	spool_counts(e->spool, &c);
	e->counts.spooled = c.spans;
	e->counts.spool_files = c.files;
	e->counts.spool_bytes = c.bytes;
	e->counts.found = c.found_spans;
	e->counts.spool_write_errors = c.write_errors;
	e->counts.dropped[OTLP_DROP_SPOOL_FULL] = c.dropped_full_spans;
	e->counts.dropped[OTLP_DROP_SPOOL_CORRUPT] = c.dropped_corrupt_spans;
}

static void books_unqueue(struct otlp_export *e, uint32_t spans)
{
	e->counts.queued -= spans;
	settle(e, spans);
	if (e->counts.queued == 0)
		pthread_cond_broadcast(&e->drained);
}

static void books_dropped(struct otlp_export *e, uint32_t spans, enum otlp_drop reason)
{
	pthread_mutex_lock(&e->lock);
	e->counts.dropped[reason] += spans;
	books_unqueue(e, spans);
	pthread_mutex_unlock(&e->lock);
}

static void books_spooled(struct otlp_export *e, uint32_t spans)
{
	pthread_mutex_lock(&e->lock);
	books_spool(e);
	books_unqueue(e, spans);
	pthread_mutex_unlock(&e->lock);
}

/* The item has come to its end: sent, or refused for good. */
static void books_ended(struct otlp_export *e, const struct otlp_item *item, const struct otlp_result *r)
{
	uint64_t rejected = r->rejected_spans < item->spans ? r->rejected_spans : item->spans;
	/* If the spool had to drop the file while it was being sent, its spans are counted there already. */
	bool counted = item->spooled && !spool_pop(e->spool);

	pthread_mutex_lock(&e->lock);
	if (!counted && r->outcome == OTLP_SENT) {
		e->counts.exported += item->spans - rejected;
		e->counts.dropped[OTLP_DROP_REJECTED] += rejected;
	} else if (!counted) {
		e->counts.dropped[OTLP_DROP_PERMANENT_ERROR] += item->spans;
	}
	books_spool(e);
	if (!item->spooled)
		books_unqueue(e, item->spans);
	pthread_mutex_unlock(&e->lock);
}

static void books_error(struct otlp_export *e, const char *message)
{
	pthread_mutex_lock(&e->lock);
	snprintf(e->counts.last_error, sizeof(e->counts.last_error), "%s", message);
	pthread_mutex_unlock(&e->lock);
}

static void books_spool_error(struct otlp_export *e, int err)
{
	char message[OTLP_MESSAGE_LEN];

	snprintf(message, sizeof(message), "spool: %s", strerrordesc_np(-err) ? strerrordesc_np(-err) : "cannot be written");
	books_error(e, message);
}

/* --- the thread ------------------------------------------------------------------------------------------------------------- */

/* Full jitter: anything between nothing and the exponential bound, so that many nodes do not come back at once. */
static int64_t backoff_ms(struct otlp_export *e)
{
	uint32_t doublings = e->failures < RETRY_DOUBLINGS_MAX ? e->failures : RETRY_DOUBLINGS_MAX;
	int64_t bound = e->retry_initial_ms << doublings;

	if (bound > e->retry_max_ms)
		bound = e->retry_max_ms;
	e->random ^= e->random << 13;
	e->random ^= e->random >> 7;
	e->random ^= e->random << 17;
	return bound > 0 ? (int64_t)(e->random % ((uint64_t)bound + 1)) : 0;
}

static struct otlp_batch *batch_take(struct otlp_export *e)
{
	struct otlp_batch *b = e->first;

	e->first = b->next;
	if (!e->first)
		e->last = NULL;
	e->waiting -= b->nspans;
	return b;
}

/* The batch as a request, compressed if so configured. */
static int batch_encode(struct otlp_export *e, const struct otlp_batch *b, struct buffer *body, bool *ret_gzipped)
{
	int err;

	buffer_clear(body);
	*ret_gzipped = e->compress;
	if (!e->compress)
		return otlp_batch_request(b, body);
	buffer_clear(&e->raw);
	err = otlp_batch_request(b, &e->raw);
	return err ? err : gzip_write(&e->gzip, buffer_slice(&e->raw), body);
}

/* Another plumb had the spool. Has it ended? Whatever else is wrong with it is told like an error of writing. */
static void spool_take_over(struct otlp_export *e)
{
	if (e->spool || !e->spool_dir[0] || clock_ms(CLOCK_MONOTONIC) < e->spool_at_ms)
		return;
	e->spool_at_ms = clock_ms(CLOCK_MONOTONIC) + SPOOL_BUSY_MS;
	int err = spool_open(e->spool_dir, e->spool_max_bytes, &e->spool);
	if (err == -EBUSY)
		return;
	if (err) {
		books_spool_error(e, err);
		return;
	}
	pthread_mutex_lock(&e->lock);
	books_spool(e);
	pthread_mutex_unlock(&e->lock);
}

static bool spool_usable(const struct otlp_export *e)
{
	return e->spool && clock_ms(CLOCK_MONOTONIC) >= e->spool_at_ms;
}

/* Moves a request to disk. False when that failed: it stays where it is, and the disk is left alone for a while. */
static bool spool_store(struct otlp_export *e, struct slice body, uint32_t spans, bool gzipped)
{
	int err = spool_put(e->spool, body, spans, gzipped ? SPOOL_GZIP : 0);

	if (!err) {
		books_spooled(e, spans);
		return true;
	}
	e->spool_at_ms = clock_ms(CLOCK_MONOTONIC) + SPOOL_RETRY_MS;
	books_spool_error(e, err);
	pthread_mutex_lock(&e->lock);
	books_spool(e);
	pthread_mutex_unlock(&e->lock);
	return false;
}

/* Everything that waits in memory goes to disk. */
static void spool_waiting(struct otlp_export *e)
{
	while (e->first && spool_usable(e)) {
		struct otlp_batch *b = e->first;
		bool gzipped;
		if (batch_encode(e, b, &e->spool_body, &gzipped) != 0) {
			books_dropped(e, b->nspans, OTLP_DROP_NO_MEMORY);
		} else if (!spool_store(e, buffer_slice(&e->spool_body), b->nspans, gzipped)) {
			return;
		}
		otlp_export_return(e, batch_take(e));
	}
}

/* Fills the item with what is to be sent next: memory and spool in turn, so that neither waits for the other to become empty. */
static void item_next(struct otlp_export *e)
{
	struct otlp_item *i = &e->item;
	uint32_t flags;

	if (e->spool && (e->live_last || !e->first)) {
		buffer_clear(&i->body);
		int err = spool_peek(e->spool, &i->body, &i->spans, &flags);
		pthread_mutex_lock(&e->lock);
		books_spool(e); /* corrupt files may have gone */
		pthread_mutex_unlock(&e->lock);
		if (err != 0 && err != -ENOENT)
			e->retry_at_ms = clock_ms(CLOCK_MONOTONIC) + SPOOL_RETRY_MS; /* no memory or descriptors: nothing that trying at once would mend */
		if (err == 0) {
			i->used = i->spooled = true;
			i->gzipped = flags & SPOOL_GZIP;
			e->live_last = false;
			return;
		}
	}
	if (!e->first)
		return;

	struct otlp_batch *b = batch_take(e);
	i->spooled = false;
	i->spans = b->nspans;
	if (batch_encode(e, b, &i->body, &i->gzipped) == 0)
		i->used = true;
	else
		books_dropped(e, b->nspans, OTLP_DROP_NO_MEMORY);
	e->live_last = true;
	otlp_export_return(e, b);
}

/* A try has failed. With a spool the request waits there, without one it waits here. */
static void item_failed(struct otlp_export *e, const struct otlp_result *r)
{
	struct otlp_item *i = &e->item;
	int64_t delay_ms = r->retry_after_ms >= 0 ? r->retry_after_ms : backoff_ms(e);

	if (r->retry_after_ms >= 0 && e->failures >= RETRY_AFTER_TRUST && delay_ms < RETRY_AFTER_MIN_MS)
		delay_ms = RETRY_AFTER_MIN_MS;
	e->retry_at_ms = clock_ms(CLOCK_MONOTONIC) + delay_ms;
	e->failures++;
	if (i->spooled)
		i->used = false;
	else if (spool_usable(e) && spool_store(e, buffer_slice(&i->body), i->spans, i->gzipped))
		i->used = false;
}

static void item_result(struct otlp_export *e, const struct otlp_result *r)
{
	pthread_mutex_lock(&e->lock);
	e->counts.requests++;
	e->counts.retries += r->outcome == OTLP_RETRY;
	pthread_mutex_unlock(&e->lock);
	if (r->message[0])
		books_error(e, r->message);
	if (r->outcome == OTLP_RETRY) {
		item_failed(e, r);
		return;
	}
	books_ended(e, &e->item, r);
	e->item.used = false;
	e->failures = 0;
}

static void item_start(struct otlp_export *e)
{
	struct otlp_result failed = { .outcome = OTLP_RETRY, .retry_after_ms = -1, .message = "cannot start a request: out of memory" };

	if (!e->item.used)
		item_next(e);
	if (e->item.used && otlp_transport_start(e->transport, buffer_slice(&e->item.body), e->item.gzipped) != 0)
		item_result(e, &failed);
}

/* What is on its way may yet arrive, and then arrives twice: better than not at all. */
static void item_to_disk(struct otlp_export *e)
{
	struct otlp_item *i = &e->item;

	if (!i->used || i->spooled || !spool_usable(e))
		return;
	otlp_transport_abort(e->transport);
	if (spool_store(e, buffer_slice(&i->body), i->spans, i->gzipped))
		i->used = false;
}

/* Takes over what the engine has handed in; false when it is time to end. */
static bool take_over(struct otlp_export *e, bool *ret_to_disk)
{
	pthread_mutex_lock(&e->lock);
	bool go_on = !e->stop;
	*ret_to_disk = e->to_disk;
	struct otlp_batch *b = e->in_first;
	e->in_first = e->in_last = NULL;
	pthread_mutex_unlock(&e->lock);

	while (b) {
		struct otlp_batch *next = b->next;
		b->next = NULL;
		if (e->last)
			e->last->next = b;
		else
			e->first = b;
		e->last = b;
		e->waiting += b->nspans;
		b = next;
	}
	return go_on;
}

static int wait_ms(const struct otlp_export *e)
{
	int64_t left = e->retry_at_ms - clock_ms(CLOCK_MONOTONIC);
	int idle = e->spool_dir[0] && !e->spool ? SPOOL_BUSY_MS : IDLE_WAIT_MS;

	if (otlp_transport_busy(e->transport))
		return idle;
	if (left > 0)
		return left < idle ? (int)left : idle;
	/* A batch that could not be encoded is gone, others may be there. */
	return e->item.used || e->first || e->counts.spooled ? 0 : idle;
}

/* The end: the call on its way may finish, everything else goes to disk. */
static void export_end(struct otlp_export *e)
{
	int64_t until_ms = clock_ms(CLOCK_MONOTONIC) + CLOSE_GRACE_MS;
	struct otlp_result r;

	while (otlp_transport_busy(e->transport) && clock_ms(CLOCK_MONOTONIC) < until_ms)
		if (otlp_transport_poll(e->transport, (int)(until_ms - clock_ms(CLOCK_MONOTONIC)) + 1, &r))
			item_result(e, &r);
	otlp_transport_abort(e->transport);

	e->spool_at_ms = 0; /* a last try, whatever the disk said before */
	spool_take_over(e);
	struct otlp_item *i = &e->item;
	if (i->used && !i->spooled && !(e->spool && spool_store(e, buffer_slice(&i->body), i->spans, i->gzipped)))
		books_dropped(e, i->spans, OTLP_DROP_SHUTDOWN);
	i->used = false;
	spool_waiting(e);
	while (e->first) {
		struct otlp_batch *b = batch_take(e);
		books_dropped(e, b->nspans, OTLP_DROP_SHUTDOWN);
		otlp_export_return(e, b);
	}
}

static void *export_main(void *arg)
{
	struct otlp_export *e = arg;
	struct otlp_result r;

	for (bool to_disk; take_over(e, &to_disk);) {
		spool_take_over(e);
		bool backing_off = clock_ms(CLOCK_MONOTONIC) < e->retry_at_ms;
		if (!otlp_transport_busy(e->transport) && !backing_off && !to_disk)
			item_start(e);
		if (to_disk)
			item_to_disk(e);
		/* While the collector is down, or so slow that the queue fills, memory is not where spans should wait. */
		if (to_disk || backing_off || e->waiting > e->queue_spans / 2)
			spool_waiting(e);
		if (otlp_transport_poll(e->transport, to_disk ? TO_DISK_WAIT_MS : wait_ms(e), &r))
			item_result(e, &r);
	}
	export_end(e);
	return NULL;
}

/* --- life ------------------------------------------------------------------------------------------------------------------- */

static int export_thread(struct otlp_export *e)
{
	sigset_t all, old;

	/* Signals are for the engine's thread; libcurl's resolver threads inherit this. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int err = pthread_create(&e->thread, NULL, export_main, e);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	e->started = err == 0;
	return -err;
}

static int export_init(struct otlp_export *e)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&e->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&e->drained, &attr);
	pthread_condattr_destroy(&attr);
	buffer_init(&e->item.body, SPOOL_BODY_MAX);
	buffer_init(&e->raw, REQUEST_MAX);
	buffer_init(&e->spool_body, REQUEST_MAX);
	if (getrandom(&e->random, sizeof(e->random), GRND_NONBLOCK) != sizeof(e->random) || e->random == 0)
		e->random = (uint64_t)clock_ms(CLOCK_MONOTONIC) | 1; /* jitter, not a secret */
	return gzip_init(&e->gzip);
}

int otlp_export_new(const struct otlp_export_options *o, struct otlp_export **ret_export, char *ret_error, size_t error_len)
{
	struct otlp_export *e = calloc(1, sizeof(*e));

	if (!e) {
		snprintf(ret_error, error_len, "out of memory");
		return -ENOMEM;
	}
	snprintf(e->spool_dir, sizeof(e->spool_dir), "%s", o->spool_dir);
	e->spool_max_bytes = o->spool_max_bytes;
	e->compress = o->gzip;
	e->batch_spans = o->batch_spans;
	e->queue_spans = o->queue_spans;
	e->settled = o->settled;
	e->batches_max = o->queue_spans / o->batch_spans + 2;
	e->retry_initial_ms = o->retry_initial_ms;
	e->retry_max_ms = o->retry_max_ms;

	int err = export_init(e);
	if (err)
		snprintf(ret_error, error_len, "out of memory");
	else
		err = otlp_transport_new(&o->transport, &e->transport, ret_error, error_len);
	if (err) {
		otlp_export_free(e);
		return err;
	}
	*ret_export = e;
	return 0;
}

int otlp_export_start(struct otlp_export *e, char *ret_error, size_t error_len)
{
	const char *what = "cannot start a thread";
	int err = 0;

	if (e->spool_dir[0]) {
		err = spool_open(e->spool_dir, e->spool_max_bytes, &e->spool);
		what = err ? "the spool directory cannot be used" : what;
	}
	if (err == -EBUSY) {
		snprintf(ret_error, error_len, "the spool belongs to another plumb that runs; it is taken over when that one ends");
		err = 0;
	} else if (!err) {
		books_spool(e);
	}
	if (!err)
		err = export_thread(e);
	if (err)
		snprintf(ret_error, error_len, "%s: %s", what, strerrordesc_np(-err) ? strerrordesc_np(-err) : "failed");
	return err;
}

void otlp_export_free(struct otlp_export *e)
{
	if (!e)
		return;
	if (e->started) {
		pthread_mutex_lock(&e->lock);
		e->stop = true;
		pthread_mutex_unlock(&e->lock);
		otlp_transport_wake(e->transport);
		pthread_join(e->thread, NULL);
	}
	otlp_transport_free(e->transport);
	spool_close(e->spool);
	gzip_done(&e->gzip);
	while (e->idle) {
		struct otlp_batch *b = e->idle;
		e->idle = b->next;
		otlp_batch_free(b);
	}
	buffer_done(&e->item.body);
	buffer_done(&e->raw);
	buffer_done(&e->spool_body);
	pthread_cond_destroy(&e->drained);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

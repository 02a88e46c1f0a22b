/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/wanted.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/hash.h"
#include "lib/log.h"

enum {
	WANTED_MAX = 1024,
	WANTED_OF_USER_MAX = 256,
	RUNNING_MAX = 1024,      /* users of one file; those of a file with more are found when processes are looked at again */
	READINGS_AT_ONCE = 2,
	READINGS_MAX = 256,      /* with those that get nowhere, as a file system does not answer; ended or not */
	READINGS_RESERVED = 64,  /* for who has none */
	READINGS_OF_USER_MAX = 4,
	ACCOUNTS_MAX = WANTED_MAX + READINGS_MAX, /* whoever has something to be looked at has one */
	BARS_MAX = 64,
	SPEND_PERCENT = 5,
};
static const uint64_t spend_most_ns = 10000000000ull; /* of CPU time that a user may spend at once; and SPEND_PERCENT of the time of one CPU for good */
static const uint64_t cpu_most_ns = READING_CPU_MAX_S * 1000000000ull;
static const uint64_t stalled_ns = 500000000ull;     /* what gets nowhere for so long holds up nobody any more */
static const uint64_t barred_ns = 60000000000ull;
static const uint64_t patient_ns = 2000000000ull;    /* what waits longer is told of */

/* A user of this machine. */
struct account {
	uint32_t uid;
	bool used;
	bool reading;            /* one of his is being looked at, and gets on */
	uint32_t readings;       /* his, all */
	uint32_t wanted;
	uint64_t spent_ns, at_ns; /* by then */
};

/* A file system that did not answer, for who had mapped a file of it: nobody else has to do without. */
struct bar {
	uint32_t uid, major, minor;
	uint64_t until_ns;
};

/* A file that is being looked at, or whose child has not gone. */
struct place {
	struct account *account; /* NULL: it is free */
	struct entry *entry;     /* NULL: what it says is of no interest any more */
	bool stalled;
	uint32_t major, minor;   /* of the file's device */
	uint64_t begun_ns;
	struct reading reading;
};

struct entry {
	bool used;
	struct mapping m;        /* that is looked at; its path is owned */
	struct mapping latest;   /* of the same file, without path: it may be there yet */
	uint64_t key, order;
	uint64_t since_ns;
	struct map users;
	struct account *account;
	bool reading;            /* else it waits */
	bool others;             /* somebody who has mapped it lives, and it was not found where he has it */
};

struct wanted {
	unsigned kinds;
	int epoll_fd;
	const struct wanted_calls *calls;
	void *ctx;
	struct entry entries[WANTED_MAX];
	size_t len;
	struct map by_key;
	uint64_t order, took_ns;
	struct account accounts[ACCOUNTS_MAX];
	struct place places[READINGS_MAX];
	size_t taken;            /* of these */
	struct known_functions functions; /* that were told of last */
	struct bar bars[BARS_MAX];
	size_t latest_bar;
	bool impatient;          /* said once */
};

int wanted_new(unsigned kinds, int epoll_fd, const struct wanted_calls *calls, void *ctx, struct wanted **ret_wanted)
{
	struct wanted *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->kinds = kinds;
	w->epoll_fd = epoll_fd;
	w->calls = calls;
	w->ctx = ctx;
	map_init(&w->by_key, WANTED_MAX);
	*ret_wanted = w;
	return 0;
}

/* --- users of this machine --- */

/* The real one, which no program of another user's that it may run changes. One that has ended is nobody's. */
static uint32_t user_of(uint32_t pid)
{
	char path[32], status[1024];

	snprintf(path, sizeof(path), "/proc/%u/status", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, status, sizeof(status) - 1) : -1;
	if (fd >= 0)
		close(fd);
	status[n > 0 ? n : 0] = 0;
	const char *uid = strstr(status, "\nUid:");
	return uid ? (uint32_t)strtoul(uid + 5, NULL, 10) : UINT32_MAX;
}

static void account_now(struct account *a, uint64_t now_ns)
{
	uint64_t earned = (now_ns - a->at_ns) / 100 * SPEND_PERCENT;

	a->spent_ns = a->spent_ns > earned ? a->spent_ns - earned : 0;
	a->at_ns = now_ns;
}

/* Who has spent least makes room: he is where one who comes anew is. */
static struct account *account_of(struct wanted *w, uint32_t uid)
{
	struct account *place = NULL;

	for (size_t i = 0; i < ACCOUNTS_MAX; i++) {
		struct account *a = &w->accounts[i];
		if (a->used && a->uid == uid)
			return a;
		if (!a->used)
			place = place && !place->used ? place : a;
		else if (!a->wanted && !a->readings && (!place || (place->used && a->spent_ns < place->spent_ns)))
			place = a;
	}
	if (place)
		*place = (struct account){ .uid = uid, .used = true, .at_ns = clock_ns(CLOCK_MONOTONIC) };
	return place;
}

/* Another one of his of that device has not gone for so long. */
static bool stands_behind(const struct wanted *w, const struct entry *e, uint64_t now_ns, uint64_t for_ns)
{
	for (size_t i = 0; w->taken && i < READINGS_MAX; i++) {
		const struct place *p = &w->places[i];
		if (p->account == e->account && p->major == e->m.major && p->minor == e->m.minor && now_ns - p->begun_ns >= for_ns)
			return true;
	}
	return false;
}

static bool is_barred(const struct wanted *w, const struct entry *e, uint64_t now_ns)
{
	for (size_t i = 0; i < BARS_MAX; i++) {
		const struct bar *b = &w->bars[i];
		if (now_ns < b->until_ns && b->uid == e->account->uid && b->major == e->m.major && b->minor == e->m.minor)
			return true;
	}
	return stands_behind(w, e, now_ns, stalled_ns);
}

static void bar(struct wanted *w, const struct entry *e, uint64_t now_ns)
{
	w->latest_bar = (w->latest_bar + 1) % BARS_MAX;
	w->bars[w->latest_bar] = (struct bar){ .uid = e->account->uid, .major = e->m.major, .minor = e->m.minor, .until_ns = now_ns + barred_ns };
}

static bool account_may_read(const struct wanted *w, const struct account *a)
{
	return a->readings < READINGS_OF_USER_MAX && a->spent_ns < spend_most_ns && w->taken + (a->readings ? READINGS_RESERVED : 0) < READINGS_MAX;
}

/* It has its turn one day soon. */
static bool may_be_read(const struct wanted *w, const struct entry *e, uint64_t now_ns)
{
	return e->used && !e->reading && account_may_read(w, e->account) && !is_barred(w, e, now_ns);
}

/* --- files --- */

static void entry_free(struct wanted *w, struct entry *e)
{
	e->account->wanted--;
	map_remove(&w->by_key, e->key);
	map_done(&e->users);
	free((char *)e->m.path);
	memset(e, 0, sizeof(*e));
	w->len--;
}

/* Without having been looked at. */
static void entry_give_up(struct wanted *w, struct entry *e, int err)
{
	struct wanted_file f = { .mapped = &e->m, .numbers = { .is = e->m }, .err = err, .others = e->others, .fd = -1, .users = &e->users };

	w->calls->done(w->ctx, &f);
	entry_free(w, e);
}

/* A place for one of a. Where there is none, who has most gives up the latest of his, if he has more than a would have. */
static struct entry *entry_place(struct wanted *w, const struct account *a)
{
	struct entry *latest = NULL;

	if (a->wanted >= WANTED_OF_USER_MAX)
		return NULL;
	for (size_t i = 0; i < WANTED_MAX; i++) {
		struct entry *e = &w->entries[i];
		if (!e->used)
			return e;
		if (e->reading || e->account->wanted <= a->wanted + 1)
			continue;
		if (!latest || e->account->wanted > latest->account->wanted || (e->account == latest->account && e->order > latest->order))
			latest = e;
	}
	if (latest)
		entry_give_up(w, latest, -EAGAIN);
	return latest;
}

static struct entry *entry_new(struct wanted *w, const struct mapping *m, uint64_t key)
{
	struct account *a = account_of(w, user_of(m->pid));
	struct entry *e = a ? entry_place(w, a) : NULL;
	char *path = e ? strdup(m->path) : NULL;

	if (!path || map_put(&w->by_key, key, e)) {
		free(path);
		return NULL;
	}
	*e = (struct entry){ .used = true, .m = *m, .key = key, .order = w->order++, .since_ns = clock_ns(CLOCK_MONOTONIC), .account = a };
	e->m.path = path;
	map_init(&e->users, RUNNING_MAX);
	a->wanted++;
	w->len++;
	return e;
}

/* Another user has mapped it, too: whoever has his turn first has it looked at. */
static void entry_share(struct wanted *w, struct entry *e, const struct mapping *m)
{
	struct account *a = account_of(w, user_of(m->pid)), *was = e->account;

	if (!a || a == was || a->wanted >= WANTED_OF_USER_MAX || !account_may_read(w, a) || (account_may_read(w, was) && was->spent_ns <= a->spent_ns))
		return;
	char *path = strdup(m->path);
	if (!path)
		return;
	free((char *)e->m.path);
	e->m = *m;
	e->m.path = path;
	e->account = a;
	was->wanted--;
	a->wanted++;
}

bool wanted_add(struct wanted *w, const struct mapping *m, uint64_t key)
{
	struct entry *e = map_get(&w->by_key, key);

	if (e && !e->reading)
		entry_share(w, e, m);
	if (e)
		e->latest = *m;
	if (!e)
		e = entry_new(w, m, key);
	return e && map_put(&e->users, m->pid, w) == 0;
}

bool wanted_add_path(struct wanted *w, const char *path)
{
	const struct mapping m = { .pid = (uint32_t)getpid(), .path = path };
	uint64_t key = hash_bytes(path, strlen(path), 0);

	return map_get(&w->by_key, key) || entry_new(w, &m, key);
}

bool wanted_is_own(struct wanted *w, const struct mapping *m)
{
	for (size_t i = 0; i < READINGS_MAX; i++)
		if (w->places[i].account && reading_is_of(&w->places[i].reading, m))
			return true;
	return false;
}

void wanted_fork(struct wanted *w, uint32_t parent, uint32_t child)
{
	for (size_t i = 0, left = w->len; left; i++) {
		left -= w->entries[i].used;
		if (w->entries[i].used && map_get(&w->entries[i].users, parent))
			(void)map_put(&w->entries[i].users, child, w); /* without memory it is found when processes are looked at again */
	}
}

void wanted_leave(struct wanted *w, uint32_t pid)
{
	for (size_t i = 0, left = w->len; left && i < WANTED_MAX; i++) {
		struct entry *e = &w->entries[i];
		left -= e->used;
		if (e->used && map_remove(&e->users, pid) && !e->users.len && !e->reading)
			entry_free(w, e); /* whoever it had forked by then would be one */
	}
}

/* --- looking at them --- */

/* Its user may have another one looked at. */
static void place_let_go(struct place *p)
{
	if (!p->stalled)
		p->account->reading = false;
	p->stalled = true;
}

static void place_free(struct wanted *w, struct place *p)
{
	place_let_go(p);
	p->account->readings--;
	w->taken--;
	epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, p->reading.link, NULL); /* others may have it open, for a moment */
	reading_close(&p->reading);
	p->account = NULL;
}

static struct wanted_file file_of(const struct entry *e, const struct reading *r)
{
	struct wanted_file f = { .mapped = &e->m, .numbers = { .is = e->m, .as_mapped = r->as_mapped }, .err = r->file.err, .others = e->others, .fd = -1, .users = &e->users };
	struct mapping *is = &f.numbers.is;

	if (!r->opened || r->file.err)
		return f;
	f.numbers.opened = true;
	f.size = r->file.size;
	f.changed = r->file.changed;
	f.leased = r->file.lease == 0;
	if (r->file.inode != is->inode || r->file.major != is->major || r->file.minor != is->minor)
		is->generation = 0;
	is->inode = r->file.inode;
	is->major = r->file.major;
	is->minor = r->file.minor;
	return f;
}

/* What it says of its time it may have been had to say; and of one that is gone the number may be another one's. */
static void pay(struct wanted *w, struct place *p)
{
	uint64_t said = p->reading.took_ns, spent = reading_spent_ns(&p->reading), most = said > spent ? said : spent;

	if (most > cpu_most_ns)
		most = cpu_most_ns;
	w->took_ns += most;
	p->account->spent_ns += most;
}

static void finish(struct wanted *w, struct place *p, int err, bool was_read)
{
	struct entry *e = p->entry;
	struct wanted_file f = file_of(e, &p->reading);

	f.err = err;
	f.was_read = was_read;
	f.functions = was_read && !err ? &w->functions : NULL;
	f.fd = was_read ? p->reading.fd : -1;
	pay(w, p);
	p->entry = NULL;
	w->calls->done(w->ctx, &f);
	if (f.fd < 0)
		p->reading.fd = -1;
	reading_end(&p->reading);
	entry_free(w, e);
}

/* Who led to it has ended, or has something else there. Of the others a child of his has it at the same place. */
static bool try_another(struct wanted *w, struct place *p)
{
	struct entry *e = p->entry;
	struct mapping next = e->latest;
	size_t at = 0;
	uint64_t pid;

	e->others |= e->users.len > 1 && (kill((pid_t)e->m.pid, 0) == 0 || errno == EPERM);
	map_remove(&e->users, e->m.pid);
	if (!map_get(&e->users, next.pid)) {
		if (!e->m.to || !map_next(&e->users, &at, &pid))
			return false;
		next = e->m;
		next.pid = (uint32_t)pid;
	}
	next.path = e->m.path;
	e->m = next;
	e->reading = false;
	p->entry = NULL;
	pay(w, p);
	reading_end(&p->reading);
	return true;
}

/* Whoever led to it has put another file where it was: that is nothing that the others have. */
static bool is_another(const struct place *p)
{
	const struct mapping *m = &p->entry->m, *as = &p->reading.as_mapped;

	return m->time_ns && as->inode && (m->inode != as->inode || m->major != as->major || m->minor != as->minor);
}

static void on_opened(struct wanted *w, struct place *p)
{
	const struct wanted_file f = file_of(p->entry, &p->reading);
	bool fresh = !p->reading.file.err && w->calls->opened(w->ctx, &f); /* it is known by then how mappings of it are told of */

	if (!p->reading.file.err && is_another(p)) {
		p->reading.file.err = -ENOENT;
		p->entry->others = p->entry->users.len > 1;
	}
	if (p->reading.file.err == -ENOENT && try_another(w, p))
		return;
	if (fresh && !p->reading.file.err)
		reading_go_on(&p->reading, w->kinds);
	else
		finish(w, p, p->reading.file.err, false);
}

static void on_done(struct wanted *w, struct place *p)
{
	place_let_go(p);
	finish(w, p, p->reading.file.lease == -EAGAIN ? -ESTALE : p->reading.err, true);
}

static void on_late(struct wanted *w, struct place *p, uint64_t now_ns)
{
	bar(w, p->entry, now_ns);
	finish(w, p, -ETIME, false);
}

/* Without a word: it was ended, or had no memory, and may have spent all of its time. */
static void on_gone(struct wanted *w, struct place *p, uint64_t now_ns)
{
	p->reading.took_ns = now_ns - p->begun_ns;
	finish(w, p, -EIO, false);
}

static void hear(struct wanted *w, struct place *p, uint64_t now_ns)
{
	enum reading_step step;

	while (p->account && (step = reading_hear(&p->reading, now_ns, &w->functions)) != READING_NOTHING) {
		if (p->entry && step == READING_OPENED)
			on_opened(w, p);
		else if (p->entry && step == READING_DONE)
			on_done(w, p);
		else if (p->entry && step == READING_LATE)
			on_late(w, p, now_ns);
		else if (p->entry && step == READING_GONE)
			on_gone(w, p, now_ns);
		if (step == READING_GONE)
			place_free(w, p);
	}
	/* It has hardly had the CPU: it waits for the file. */
	if (p->account && !p->stalled && now_ns - p->begun_ns > stalled_ns && reading_spent_ns(&p->reading) < (now_ns - p->begun_ns) / 4)
		place_let_go(p);
}

static struct entry *next(struct wanted *w, uint64_t now_ns)
{
	struct entry *best = NULL;

	for (size_t i = 0; i < ACCOUNTS_MAX; i++)
		if (w->accounts[i].used)
			account_now(&w->accounts[i], now_ns);
	for (size_t i = 0; i < WANTED_MAX; i++) {
		struct entry *e = &w->entries[i];
		if (!e->used || e->account->reading || (best && (e->account == best->account ? e->order > best->order : e->account->spent_ns >= best->account->spent_ns)))
			continue;
		if (may_be_read(w, e, now_ns) && !stands_behind(w, e, now_ns, 0))
			best = e;
	}
	return best;
}

/* False: there is nothing to be begun with now, or no process to do it. */
static bool begin(struct wanted *w, uint64_t now_ns)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct place *p = NULL;
	size_t under_way = 0;

	for (size_t i = 0; w->len && i < READINGS_MAX; i++) {
		under_way += w->places[i].account && !w->places[i].stalled;
		if (!w->places[i].account)
			p = &w->places[i];
	}
	struct entry *e = p && under_way < READINGS_AT_ONCE ? next(w, now_ns) : NULL;
	if (!e || reading_begin(&p->reading, &e->m))
		return false;
	p->account = e->account;
	p->entry = e;
	p->stalled = false;
	p->major = e->m.major;
	p->minor = e->m.minor;
	p->begun_ns = now_ns;
	e->account->spent_ns += clock_ns(CLOCK_MONOTONIC) - now_ns;
	e->account->reading = e->reading = true;
	e->account->readings++;
	w->taken++;
	(void)epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, p->reading.link, &event); /* else it is heard at the next tick */
	return true;
}

/* What is mapped before it is looked at is not seen, whoever's fault that is. */
static void complain(struct wanted *w, uint64_t now_ns)
{
	size_t late = 0;

	for (size_t i = 0; w->len && !w->impatient && i < WANTED_MAX; i++)
		late += w->entries[i].used && !w->entries[i].reading && now_ns - w->entries[i].since_ns > patient_ns;
	if (!late)
		return;
	w->impatient = true;
	log_warn("%zu files that programs have mapped have waited for %llu s to be looked at: too many came at once, took too long, or their file systems do not answer; what these call is not seen until then", late,
		 (unsigned long long)(patient_ns / 1000000000ull));
}

void wanted_hear(struct wanted *w, bool more)
{
	for (size_t i = 0; w->taken && i < READINGS_MAX; i++)
		if (w->places[i].account)
			hear(w, &w->places[i], clock_ns(CLOCK_MONOTONIC));
	while (more && begin(w, clock_ns(CLOCK_MONOTONIC)))
		;
	complain(w, clock_ns(CLOCK_MONOTONIC));
}

size_t wanted_busy(const struct wanted *w)
{
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	size_t n = 0;

	for (size_t i = 0; w->len && i < WANTED_MAX; i++)
		n += may_be_read(w, &w->entries[i], now_ns);
	for (size_t i = 0; i < READINGS_MAX; i++)
		n += w->places[i].account && w->places[i].entry && !w->places[i].stalled;
	return n;
}

uint64_t wanted_took_ns(const struct wanted *w) { return w->took_ns; }

void wanted_free(struct wanted *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < READINGS_MAX; i++)
		if (w->places[i].account) {
			reading_end(&w->places[i].reading);
			place_free(w, &w->places[i]);
		}
	for (size_t i = 0; i < WANTED_MAX; i++)
		if (w->entries[i].used)
			entry_free(w, &w->entries[i]);
	map_done(&w->by_key);
	free(w);
}

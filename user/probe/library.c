/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/library.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/map.h"
#include "probe/file_index.h"
#include "probe/jvms.h"
#include "probe/lease.h"
#include "probe/library_file.h"
#include "probe/mappings.h"
#include "probe/wanted.h"

#include "../../bpf/abi/sites.h"

enum {
	FILES_MAX = PLUMB_SITE_FILES, /* with probes at once */
	NEW_BURST = 64, NEW_A_TICK = 2, /* files that are attached to, which holds up every fork of the machine for milliseconds */
	TOKEN_NS = 5 * 1000 * 1000,
	ATTACH_A_TICK = 8,         /* files that are attached to anew */
	SWEPT_MAX = 256,           /* ended processes found at once */
	USERS_MAX = 16384,         /* of one file; a file with more stays until plumb ends */
	GONE_MAX = 1024,
	LOOKED_AT_MAX = 512,       /* files that are wanted, beyond which no further processes are looked at */
	SETTLE_MS = 10,
	READS_A_TICK = 64,         /* wake-ups by mappings between two ticks: in a storm of processes the rest waits */
	FORKS_NS = 20 * 1000 * 1000,
};
static const uint64_t second_ns = 1000000000ull;
static const uint64_t linger_ns = 2 * second_ns;        /* a file keeps its probes so long after its last user; */
static const uint64_t linger_all_ns = 900 * second_ns;  /* where nobody else could meet them, for who runs it now and then */
static const uint64_t sweep_ns = 2 * second_ns;
static const uint64_t forget_ns = 10 * second_ns; /* the number of a file may be another one's by then */
static const uint64_t look_again_ns = 5 * second_ns;
static const uint64_t attach_again_ns = 5 * second_ns;

_Static_assert((int)FILES_MAX <= (int)SHED_FILES_MAX, "files without a place");

struct libraries {
	struct loaded *loaded;
	struct mappings *mappings;
	struct library_file files[FILES_MAX];
	struct file_index index;       /* struct library_file, and files without anything */
	struct wanted *wanted;         /* files that were not looked at yet */
	int found_fd;                  /* tells of these */
	struct map gone;               /* processes that had ended before their files were looked at: their children may live */
	uint64_t forget_at_ns, measure_at_ns, sweep_at_ns;
	uint64_t now_ns;
	uint32_t reads;                /* since the last tick */
	uint64_t forks_ns;             /* spent since then on children of those that had ended */
	uint32_t tokens;               /* files that may be attached to now */
	uint64_t spent_ns;             /* on such that took less time than a token stands for, until it is one */
	bool again;                    /* some were not: all processes are looked at again */
	uint64_t lost;                 /* mappings, when processes were looked at last */
	uint64_t look_at_ns;
	int inotify_fd, lease_fd;
	struct shed shed;
	struct shed_file shed_files[FILES_MAX];
	struct function_hits counted[FILES_MAX]; /* by place, at the latest measurement: a file's probes are met until they are gone, be the place free by then or another one's */
	struct function_hits hits;     /* of all */
	uint32_t places;               /* that have ever been taken are below it */
	uint64_t failed;
	uint64_t linger_ns;
	struct jvms *jvms;             /* NULL: of Java's TLS nothing is told */
	DIR *looking;                  /* at /proc, for those that run already */
};

static uint32_t file_number(const struct libraries *ls, const struct library_file *f) { return (uint32_t)(f - ls->files); }

/* --- probes --- */

/*
 * A file stays open, and its lease is kept, as long as any probe of it is there. So all of them are held: whoever takes probes away has been given those of other files too, and may be the last to let go of
 * one that goes meanwhile.
 */
static void libraries_bury(struct libraries *ls, struct uprobe *const *probes, size_t n, int *ret_gone)
{
	int held[FILES_MAX];
	size_t nheld = 0;

	for (size_t i = 0; i < FILES_MAX; i++)
		if (library_file_is_used(&ls->files[i]))
			held[nheld++] = ls->files[i].fd;
	uprobe_detach(probes, n, held, nheld, ret_gone);
}

static void file_detach(struct libraries *ls, struct library_file *f)
{
	struct uprobe *probes[4];
	size_t n = library_file_probes(f, LIBRARY_SELDOM, probes);

	n += library_file_probes(f, LIBRARY_OFTEN, probes + n);
	libraries_bury(ls, probes, n, NULL);
}

static int file_attach(struct libraries *ls, struct library_file *f)
{
	enum shed_level level = ls->shed_files[file_number(ls, f)].level;
	int err = library_file_attach(f, ls->loaded, file_number(ls, f), level);

	if (err) {
		file_detach(ls, f);
		loaded_detached(ls->loaded, file_number(ls, f), true); /* what had probes until now has none, either */
	} else if (level == SHED_NONE) {
		loaded_attached(ls->loaded, file_number(ls, f));
	}
	return err;
}

static void libraries_detach(struct libraries *ls)
{
	struct uprobe *probes[2 * LIBRARY_KINDS * FILES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < FILES_MAX; i++)
		for (int kind = 0; kind < LIBRARY_KINDS && library_file_is_used(&ls->files[i]); kind++)
			n += library_file_probes(&ls->files[i], kind, probes + n);
	libraries_bury(ls, probes, n, NULL);
}

/* --- files --- */

/* A file that is known by two numbers (overlays) has one watch. */
static void watch_end(struct libraries *ls, int watch)
{
	for (size_t i = 0; i < FILES_MAX; i++)
		if (library_file_is_used(&ls->files[i]) && ls->files[i].watch == watch)
			return;
	if (watch >= 0)
		inotify_rm_watch(ls->inotify_fd, watch);
}

static void file_free(struct libraries *ls, struct library_file *f)
{
	int watch = f->watch;

	file_detach(ls, f);
	for (int kind = 0; kind < LIBRARY_KINDS; kind++)
		if (f->leaving[kind] >= 0)
			close(f->leaving[kind]);
	file_index_remove(&ls->index, f->key);
	map_done(&f->users);
	close(f->fd);
	memset(f, 0, sizeof(*f));
	watch_end(ls, watch);
}

static struct library_file *file_place(struct libraries *ls)
{
	struct library_file *oldest = NULL;

	for (size_t i = 0; i < FILES_MAX; i++) {
		struct library_file *f = &ls->files[i];
		if (!library_file_is_used(f))
			return f;
		if (f->unused_ns && (!oldest || f->unused_ns < oldest->unused_ns))
			oldest = f;
	}
	if (oldest)
		file_free(ls, oldest);
	return oldest;
}

static void file_fail(struct libraries *ls, const struct mapping *m, const char *what, const char *why)
{
	char path[256];

	if (ls->failed++ == 0) /* the metrics have the others */
		log_warn("calls of %s in %s (process %u) are not seen: %s", what, library_printable(m->path, path, sizeof(path)), m->pid, why);
}

/* Before it is looked at whether it has changed. */
static int file_watch(struct libraries *ls, struct library_file *f)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	f->watch = inotify_add_watch(ls->inotify_fd, path, IN_MODIFY);
	return f->watch < 0 ? -errno : 0;
}

static void place_count(struct libraries *ls, uint32_t place)
{
	struct function_hits hits = loaded_function_hits(ls->loaded, place), *counted = &ls->counted[place];

	ls->hits.count += hits.count - counted->count;
	ls->hits.took_ns += hits.took_ns - counted->took_ns;
	*counted = hits;
}

/* Its functions are known: they get probes, unless nobody would tell that they lie elsewhere now. */
static int file_begin(struct libraries *ls, struct library_file *f, const struct mapping *is)
{
	map_init(&f->users, USERS_MAX);
	/* The place may have been another file's. */
	loaded_detached(ls->loaded, file_number(ls, f), true);
	if (ls->places <= file_number(ls, f))
		ls->places = file_number(ls, f) + 1;
	place_count(ls, file_number(ls, f));
	ls->shed_files[file_number(ls, f)] = (struct shed_file){ .took_ns = ls->counted[file_number(ls, f)].took_ns };
	loaded_trial_begin(ls->loaded, file_number(ls, f), &f->functions.rust);
	int err = f->leased ? 0 : file_watch(ls, f);
	if (!err)
		err = file_index_put(&ls->index, is, f, &f->key);
	return err ? err : file_attach(ls, f);
}

/* It had ended before its file was looked at. Its children may live. */
static void libraries_gone(struct libraries *ls, uint32_t pid)
{
	if (ls->gone.len < ls->gone.max)
		(void)map_put(&ls->gone, pid, ls);
}

/* By what it has taken, and so many more. */
static void libraries_pay(struct libraries *ls, uint64_t begin_ns, uint64_t more)
{
	ls->spent_ns += clock_ns(CLOCK_MONOTONIC) - begin_ns;
	uint64_t tokens = ls->spent_ns / TOKEN_NS + more;
	ls->spent_ns %= TOKEN_NS;
	ls->tokens = tokens < ls->tokens ? ls->tokens - (uint32_t)tokens : 0;
}

static void file_use(struct library_file *f, uint32_t pid)
{
	if (map_put(&f->users, pid, f))
		f->pinned = true;
	f->unused_ns = 0;
}

/* Its functions are known. NULL: there was no room for it, or it could not be attached to. */
static struct library_file *file_add(struct libraries *ls, struct wanted_file *w)
{
	struct library_file *f = file_place(ls);
	const struct mapping *is = &w->numbers.is;

	if (!f) {
		file_fail(ls, is, w->functions->names, "too many files have probes");
		file_index_put_nothing(&ls->index, &w->numbers);
		return NULL;
	}
	*f = (struct library_file){ .functions = *w->functions, .fd = w->fd, .leased = w->leased, .size = w->size, .changed = w->changed, .watch = -1, .leaving = { -1, -1 } };
	w->fd = -1;
	uint64_t begin_ns = clock_ns(CLOCK_MONOTONIC);
	int err = file_begin(ls, f, is);
	libraries_pay(ls, begin_ns, 1);
	if (err == -ESTALE) {
		ls->again = true;
	} else if (err) {
		file_fail(ls, is, f->functions.names, library_file_error(f, err));
		file_index_put_nothing(&ls->index, &w->numbers);
	}
	if (err) {
		file_free(ls, f);
		return NULL;
	}
	library_file_tell(f, is);
	return f;
}

/* False: it is known. What it is was not when it was mapped. */
static bool on_opened(void *libraries, const struct wanted_file *w)
{
	struct libraries *ls = libraries;

	mappings_read(ls->mappings); /* and with them how it is told of when it is mapped */
	return !file_index_get(&ls->index, &w->numbers.is) && !file_index_is_nothing(&ls->index, &w->numbers.is);
}

static void file_fail_wanted(struct libraries *ls, const struct wanted_file *w)
{
	file_fail(ls, w->mapped, "libraries", w->err == -ETIME ? "it takes too long to be looked at" : strerror(-w->err));
}

/* It was not opened. */
static void file_miss(struct libraries *ls, const struct wanted_file *w)
{
	if (w->err == -ENOENT) {
		libraries_gone(ls, w->mapped->pid);
		ls->again |= w->others;
	} else if (w->err == -EAGAIN) {
		ls->again = true;
	} else if (w->err != -ENOEXEC) {
		file_fail_wanted(ls, w);
		ls->again |= w->err == -EMFILE || w->err == -ENFILE || w->err == -ENOMEM;
	}
}

static void on_found(void *libraries, struct wanted_file *w)
{
	struct libraries *ls = libraries;
	struct library_file *f = w->numbers.opened ? file_index_get(&ls->index, &w->numbers.is) : NULL;
	uint64_t pid;

	if (!w->numbers.opened) {
		file_miss(ls, w);
	} else if (!f && w->err == -ESTALE) {
		ls->again = true;
	} else if (!f && w->was_read && !w->err && w->functions->n) {
		f = file_add(ls, w);
	} else if (!f) {
		if (w->err && w->err != -ENOEXEC)
			file_fail_wanted(ls, w);
		file_index_put_nothing(&ls->index, &w->numbers);
	}
	ls->again |= w->numbers.opened && w->err == -EIO;
	if (!f)
		return;
	file_index_alias(&ls->index, &w->numbers, f);
	for (size_t at = 0; map_next(w->users, &at, &pid);)
		file_use(f, (uint32_t)pid);
	if (!f->users.len && !f->unused_ns)
		f->unused_ns = clock_ns(CLOCK_BOOTTIME);
}

/* Files that are wanted are looked at as long as such as turn out to be of interest may be attached to. */
static void libraries_find(struct libraries *ls) { wanted_hear(ls->wanted, ls->tokens > 0); }

static void file_leave(struct libraries *ls, struct library_file *f, uint32_t pid)
{
	if (map_remove(&f->users, pid) && f->users.len == 0 && !f->pinned)
		f->unused_ns = ls->now_ns ? ls->now_ns : 1;
}

/*
 * Exits of processes whose mapping was told of later come to nothing, so now and then it is looked who lives. Whoever does not may yet be told of as a parent, by forks under way: he goes when he is
 * found so the second time.
 */
static void file_sweep(struct libraries *ls, struct library_file *f)
{
	uint32_t dead[SWEPT_MAX];
	size_t n = 0, at = 0;
	uint64_t pid;

	while (n < SWEPT_MAX && map_next(&f->users, &at, &pid))
		if (kill((pid_t)pid, 0) && errno == ESRCH)
			dead[n++] = (uint32_t)pid;
	for (size_t i = 0; i < n; i++) {
		if (map_get(&f->users, dead[i]) == ls)
			file_leave(ls, f, dead[i]);
		else
			(void)map_put(&f->users, dead[i], ls); /* in its place: cannot fail */
	}
}

static void on_mapping(void *ctx, const struct mapping *m)
{
	struct libraries *ls = ctx;
	bool included;

	if (wanted_is_own(ls->wanted, m))
		return;
	if (ls->jvms && jvms_is_jvm(m) && loaded_wanted(ls->loaded, m->pid, &included))
		jvms_add(ls->jvms, m->pid);
	/* A probe is a trap for all who run the file: there is none for the sake of those who are not watched. */
	if (m->path[0] != '/' || file_index_is_nothing(&ls->index, m))
		return;
	if (!loaded_wanted(ls->loaded, m->pid, &included)) {
		if (kill((pid_t)m->pid, 0) && errno == ESRCH)
			libraries_gone(ls, m->pid);
		return;
	}
	struct library_file *f = file_index_get(&ls->index, m);
	if (f)
		file_use(f, m->pid);
	else if (!wanted_add(ls->wanted, m, file_index_key(m)))
		ls->again = true;
}

/* --- what it costs --- */

static void file_shed(struct libraries *ls, struct library_file *f)
{
	const struct shed_file *s = &ls->shed_files[file_number(ls, f)];
	struct uprobe *probes[2];
	char path[256];
	int kind = s->level == SHED_OFTEN ? LIBRARY_OFTEN : LIBRARY_SELDOM;

	log_warn("to look at calls of libraries takes %.1f %% of a CPU, and may take %.1f %%: %s of %s in %s, which take %.1f, are not looked at for %llu s (--max-overhead)", (double)ls->shed.ppm / 1e4,
		 (double)ls->shed.most_ppm / 1e4, kind == LIBRARY_OFTEN ? "the functions that are called most" : "all functions", f->functions.names, library_file_path(f, path, sizeof(path)), (double)s->ppm / 1e4,
		 (unsigned long long)((s->until_ns - ls->now_ns) / second_ns));
	libraries_bury(ls, probes, library_file_probes(f, kind, probes), &f->leaving[kind]);
	loaded_detached(ls->loaded, file_number(ls, f), false);
}

/* Probes that were let go are gone at last: of calls that began meanwhile the return may have been missed, too. */
static bool file_is_leaving(struct libraries *ls, struct library_file *f)
{
	char none;

	for (int kind = 0; kind < LIBRARY_KINDS; kind++)
		if (f->leaving[kind] >= 0 && read(f->leaving[kind], &none, 1) == 0) {
			close(f->leaving[kind]);
			f->leaving[kind] = -1;
			loaded_detached(ls->loaded, file_number(ls, f), false);
		}
	return f->leaving[LIBRARY_SELDOM] >= 0 || f->leaving[LIBRARY_OFTEN] >= 0;
}

/* What was kept of calls is of no use: they went on unseen. So did what tells of handles, if it was let go. */
static void file_take_up(struct libraries *ls, struct library_file *f)
{
	struct shed_file *s = &ls->shed_files[file_number(ls, f)];

	f->waits = true;
	f->wait_ns = 0;
	loaded_detached(ls->loaded, file_number(ls, f), s->level == SHED_ALL);
	shed_end(s);
}

/* The kernel would set its probes into what will stand there. Who runs it then is looked for. */
static void file_let_go(struct libraries *ls, struct library_file *f, const char *what)
{
	log_debug("a file with %s %s: its probes go", f->functions.names, what);
	file_free(ls, f);
	ls->again = true;
}

static void libraries_attach_waiting(struct libraries *ls)
{
	size_t n = 0;

	for (size_t i = 0; i < FILES_MAX && n < ATTACH_A_TICK; i++) {
		struct library_file *f = &ls->files[i];
		if (!f->waits || f->wait_ns > ls->now_ns)
			continue;
		n++;
		int err = file_attach(ls, f);
		bool first = f->wait_ns == 0;
		f->waits = err != 0;
		f->wait_ns = ls->now_ns + attach_again_ns;
		if (err == -ESTALE) {
			file_let_go(ls, f, "has changed");
			continue;
		}
		ls->failed += err && first;
		if (!err || first)
			library_file_tell_again(f, err);
	}
}

/* A call did what the function that was looked for does not do. */
static void file_distrust(struct libraries *ls, struct library_file *f)
{
	char path[256];

	if (ls->failed++ == 0) /* the metrics have the others */
		log_warn("calls of %s in %s are not seen: what was found there is something else", f->functions.names, library_file_path(f, path, sizeof(path)));
	file_detach(ls, f);
	f->distrusted = true;
}

static void libraries_judge(struct libraries *ls)
{
	for (size_t i = 0; i < FILES_MAX; i++) {
		struct library_file *f = &ls->files[i];
		if (library_file_is_used(f) && f->functions.guessed && !f->distrusted && loaded_trial_fails(ls->loaded, file_number(ls, f)))
			file_distrust(ls, f);
	}
}

static bool tells_of(const struct inotify_event *e, const struct library_file *f)
{
	if (!library_file_is_used(f) || f->leased)
		return false;
	if (e->mask & IN_Q_OVERFLOW) /* of whichever */
		return !library_file_is_as_it_was(f);
	return f->watch == e->wd && e->mask & IN_MODIFY;
}

/* Files that were written to while they had probes. */
static void libraries_written(struct libraries *ls)
{
	_Alignas(struct inotify_event) char buf[4096];

	for (ssize_t n; (n = read(ls->inotify_fd, buf, sizeof(buf))) > 0;)
		for (const char *at = buf; at < buf + n;) {
			const struct inotify_event *e = (const struct inotify_event *)at;
			at += sizeof(*e) + e->len;
			for (size_t i = 0; i < FILES_MAX; i++)
				if (tells_of(e, &ls->files[i]))
					file_let_go(ls, &ls->files[i], "was written to");
		}
}

/* Files that somebody waits to write to. */
static void libraries_awaited(struct libraries *ls)
{
	lease_read(ls->lease_fd);
	for (size_t i = 0; i < FILES_MAX; i++)
		if (library_file_is_used(&ls->files[i]) && ls->files[i].leased && !lease_is_held(ls->files[i].fd))
			file_let_go(ls, &ls->files[i], "is to be written to");
}

static void libraries_measure(struct libraries *ls, uint64_t now_ns)
{
	uint64_t took_ns[FILES_MAX];
	size_t changed[FILES_MAX];

	for (size_t i = 0; i < FILES_MAX; i++) {
		bool used = library_file_is_used(&ls->files[i]);
		if (i < ls->places)
			place_count(ls, (uint32_t)i);
		took_ns[i] = used ? ls->counted[i].took_ns : 0;
	}
	ls->shed.cpus = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
	size_t n = shed_feed(&ls->shed, ls->shed_files, took_ns, FILES_MAX, now_ns, changed);
	for (size_t i = 0; i < n; i++)
		file_shed(ls, &ls->files[changed[i]]);
	for (size_t i = 0; i < FILES_MAX; i++)
		if (library_file_is_used(&ls->files[i]) && !file_is_leaving(ls, &ls->files[i]) && shed_is_over(&ls->shed_files[i], now_ns))
			file_take_up(ls, &ls->files[i]);
}

/* --- the whole --- */

static int libraries_add(struct libraries *ls, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(mappings_fd(ls->mappings), EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static const struct wanted_calls wanted_calls = { .opened = on_opened, .done = on_found };

int libraries_new(struct loaded *l, const struct libraries_options *o, struct libraries **ret_libraries)
{
	if (!loaded_has_functions(l))
		return -ENOTSUP;
	struct libraries *ls = calloc(1, sizeof(*ls));
	if (!ls)
		return -ENOMEM;
	ls->loaded = l;
	ls->shed = (struct shed){ .most_ppm = o->most_ppm, .first_ns = o->pause_ns };
	ls->linger_ns = o->all ? linger_all_ns : linger_ns;
	ls->lease_fd = ls->found_fd = -1;
	ls->now_ns = clock_ns(CLOCK_BOOTTIME);
	file_index_init(&ls->index, FILES_MAX);
	map_init(&ls->gone, GONE_MAX);
	ls->tokens = NEW_BURST;
	ls->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	int err = ls->inotify_fd < 0 ? -errno : mappings_new(on_mapping, ls, &ls->mappings);
	if (!err)
		err = libraries_add(ls, ls->inotify_fd);
	if (!err) {
		ls->lease_fd = lease_signals();
		err = ls->lease_fd < 0 ? ls->lease_fd : libraries_add(ls, ls->lease_fd);
	}
	if (!err) {
		ls->found_fd = epoll_create1(EPOLL_CLOEXEC);
		err = ls->found_fd < 0 ? -errno : libraries_add(ls, ls->found_fd);
	}
	if (!err)
		err = wanted_new(o->kinds, ls->found_fd, &wanted_calls, ls, &ls->wanted);
	if (!err && o->java_agent)
		err = jvms_new(o->java_agent, &ls->jvms);
	if (err) {
		libraries_free(ls);
		return err;
	}
	*ret_libraries = ls;
	return 0;
}

void libraries_free(struct libraries *ls)
{
	if (!ls)
		return;
	libraries_detach(ls); /* all at once */
	for (size_t i = 0; i < FILES_MAX; i++)
		if (library_file_is_used(&ls->files[i]))
			file_free(ls, &ls->files[i]);
	if (ls->looking)
		closedir(ls->looking);
	mappings_free(ls->mappings);
	wanted_free(ls->wanted);
	if (ls->found_fd >= 0)
		close(ls->found_fd);
	jvms_free(ls->jvms);
	if (ls->inotify_fd >= 0)
		close(ls->inotify_fd);
	if (ls->lease_fd >= 0)
		close(ls->lease_fd);
	file_index_done(&ls->index);
	map_done(&ls->gone);
	free(ls);
}

void libraries_look(struct libraries *ls)
{
	if (!ls->looking)
		ls->looking = opendir("/proc");
}

/* What lies behind that much of a process' mappings is not watched, and counts. */
static int libraries_look_at(struct libraries *ls, uint32_t pid)
{
	int err = mappings_of(pid, on_mapping, ls);
	if (err == -EFBIG)
		ls->failed++;
	return err;
}

/* Some at a time: a machine may run thousands, and who starts now must not wait for them. */
static void libraries_look_on(struct libraries *ls)
{
	uint64_t until_ns = clock_ns(CLOCK_MONOTONIC) + 20000000;
	struct dirent *e;

	while (ls->looking && clock_ns(CLOCK_MONOTONIC) < until_ns && wanted_busy(ls->wanted) < LOOKED_AT_MAX) {
		e = readdir(ls->looking);
		if (!e) {
			closedir(ls->looking);
			ls->looking = NULL;
			return;
		}
		char *end;
		unsigned long pid = strtoul(e->d_name, &end, 10);
		if (pid > 0 && pid <= INT32_MAX && !*end)
			(void)libraries_look_at(ls, (uint32_t)pid); /* it may have ended */
	}
}

void libraries_settle(struct libraries *ls)
{
	uint64_t until_ns = clock_ns(CLOCK_MONOTONIC) + 2 * second_ns;
	struct pollfd found = { .fd = ls->found_fd, .events = POLLIN };

	do {
		libraries_look_on(ls);
		ls->tokens = NEW_BURST;
		libraries_find(ls);
		if (wanted_busy(ls->wanted))
			(void)poll(&found, 1, SETTLE_MS);
	} while ((ls->looking || wanted_busy(ls->wanted)) && clock_ns(CLOCK_MONOTONIC) < until_ns);
	for (size_t i = 0; i < FILES_MAX; i++)
		if (ls->files[i].unused_ns)
			ls->files[i].unused_ns = clock_ns(CLOCK_BOOTTIME); /* what is expected is so from here on */
}

void libraries_expect(void *libraries, const char *path)
{
	struct libraries *ls = libraries;

	(void)wanted_add_path(ls->wanted, path); /* else it is met when it is mapped */
}

int libraries_fd(const struct libraries *ls) { return ls->reads < READS_A_TICK ? mappings_fd(ls->mappings) : ls->found_fd; }

void libraries_read(struct libraries *ls)
{
	if (ls->reads == READS_A_TICK) {
		libraries_find(ls);
		return;
	}
	ls->reads++;
	libraries_awaited(ls);
	libraries_written(ls);
	mappings_read(ls->mappings);
	libraries_find(ls);
}

static void libraries_leave(struct libraries *ls, uint32_t pid)
{
	if (ls->jvms)
		jvms_leave(ls->jvms, pid);
	wanted_leave(ls->wanted, pid);
	for (size_t i = 0; i < FILES_MAX; i++)
		if (library_file_is_used(&ls->files[i]))
			file_leave(ls, &ls->files[i], pid);
}

static void libraries_fork(struct libraries *ls, const struct plumb_rec_fork *r)
{
	/* What the parent had mapped by then was told before. Where it had gone by then, the child has the same. */
	mappings_read(ls->mappings);
	uint64_t begin_ns = clock_ns(CLOCK_MONOTONIC);
	bool gone = map_get(&ls->gone, r->parent_pid), may = ls->forks_ns < FORKS_NS;
	int err = gone && may ? libraries_look_at(ls, r->pid) : 0;
	if (err && err != -EFBIG)
		libraries_gone(ls, r->pid);
	ls->again |= gone && !may; /* who has many, with much that is mapped, has no more of this thread's time */
	ls->forks_ns += gone ? clock_ns(CLOCK_MONOTONIC) - begin_ns : 0;
	wanted_fork(ls->wanted, r->parent_pid, r->pid);
	for (size_t i = 0; i < FILES_MAX; i++)
		if (library_file_is_used(&ls->files[i]) && map_get(&ls->files[i].users, r->parent_pid))
			file_use(&ls->files[i], r->pid);
}

void libraries_event(struct libraries *ls, const struct plumb_rec_header *h)
{
	uint32_t pid;

	switch (h->type) {
	case PLUMB_REC_FORK: libraries_fork(ls, (const struct plumb_rec_fork *)h); break;
	case PLUMB_REC_EXIT: libraries_leave(ls, ((const struct plumb_rec_exit *)h)->pid); break;
	case PLUMB_REC_EXEC:
		/* It runs another program, whose mappings may have been told before it was judged. */
		pid = ((const struct plumb_rec_exec *)h)->pid;
		libraries_leave(ls, pid);
		(void)libraries_look_at(ls, pid); /* it may have ended */
		break;
	default: break;
	}
}

void libraries_tick(struct libraries *ls, uint64_t now_ns)
{
	ls->now_ns = now_ns;
	ls->reads = 0;
	ls->forks_ns = 0;
	ls->tokens = ls->tokens + NEW_A_TICK < NEW_BURST ? ls->tokens + NEW_A_TICK : NEW_BURST;
	libraries_awaited(ls);
	libraries_written(ls);
	mappings_read(ls->mappings);
	if ((ls->again || mappings_lost(ls->mappings) != ls->lost) && now_ns >= ls->look_at_ns && !ls->looking) {
		ls->again = false;
		ls->lost = mappings_lost(ls->mappings);
		ls->look_at_ns = now_ns + look_again_ns;
		libraries_look(ls);
	}
	libraries_look_on(ls);
	libraries_find(ls);
	if (ls->jvms)
		jvms_tick(ls->jvms);
	libraries_attach_waiting(ls);
	for (size_t i = 0; i < FILES_MAX; i++) {
		struct library_file *f = &ls->files[i];
		if (!library_file_is_used(f) || file_is_leaving(ls, f) || ls->shed_files[i].level != SHED_NONE) /* else it would cost anew as soon as somebody runs it again */
			continue;
		if (f->unused_ns && now_ns - f->unused_ns > ls->linger_ns)
			file_free(ls, f);
	}
	if (now_ns >= ls->sweep_at_ns) {
		for (size_t i = 0; i < FILES_MAX; i++)
			if (library_file_is_used(&ls->files[i]))
				file_sweep(ls, &ls->files[i]);
		ls->sweep_at_ns = now_ns + sweep_ns;
	}
	if (now_ns >= ls->forget_at_ns) {
		file_index_forget(&ls->index);
		map_done(&ls->gone);
		map_init(&ls->gone, GONE_MAX);
		ls->forget_at_ns = now_ns + forget_ns;
	}
	if (now_ns >= ls->measure_at_ns) {
		(void)mappings_renew(ls->mappings); /* what cannot be had now is tried again */
		libraries_measure(ls, now_ns);
		libraries_judge(ls);
		ls->measure_at_ns = now_ns + second_ns;
	}
}

void libraries_record(const struct libraries *ls, struct plumb_rec_libraries *ret)
{
	ret->traps = ls->hits.count;
	ret->trap_ns = ls->hits.took_ns;
	ret->refused = ls->failed;
	ret->unknown = mappings_lost(ls->mappings);
	for (size_t i = 0; i < FILES_MAX; i++) {
		if (!library_file_is_used(&ls->files[i]))
			continue;
		ret->shed += ls->shed_files[i].level != SHED_NONE;
		if (!ls->files[i].waits && !ls->files[i].distrusted && ls->shed_files[i].level != SHED_ALL) {
			ret->files++;
			ret->processes += (uint32_t)ls->files[i].users.len;
		}
	}
	ret->flags = ret->shed ? PLUMB_LIBRARIES_SHED : 0;
	if (ls->jvms) {
		const struct jvms_counts jvms = jvms_counts(ls->jvms);
		ret->flags |= PLUMB_LIBRARIES_JVMS;
		ret->jvms_loaded = jvms.loaded;
		ret->jvms_had_it = jvms.had_it;
		ret->jvms_refused = jvms.refused;
	}
}

uint64_t libraries_took_ns(const struct libraries *ls) { return wanted_took_ns(ls->wanted); }

uint64_t libraries_ppm(const struct libraries *ls)
{
	const struct shed *s = &ls->shed;

	return s->most_ppm && s->ppm > s->most_ppm ? s->most_ppm : s->ppm;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/library_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/printable.h"
#include "probe/lease.h"
#include "probe/uprobe.h"

#include "../../bpf/abi/sites.h"

enum { LATE_NS = 500000000 }; /* with which probes come without a word */

/* The time of its status changes when a name of it goes as well. */
bool library_file_is_as_it_was(const struct library_file *f)
{
	struct stat st;

	if (f->leased)
		return lease_is_held(f->fd);
	return fstat(f->fd, &st) == 0 && st.st_size == f->size && st.st_ctim.tv_sec == f->changed.tv_sec && st.st_ctim.tv_nsec == f->changed.tv_nsec;
}

/* The functions of a kind: those whose return is of interest, or those whose entry is. */
static void place_of(const struct library_file *f, uint32_t number, int kind, bool returns, struct uprobe_place *ret)
{
	ret->n = 0;
	for (size_t i = 0; i < f->functions.n; i++) {
		const struct known_place *p = &f->functions.places[i];
		if (p->often == (kind == LIBRARY_OFTEN) && (returns ? p->returns : p->entry) && ret->n < UPROBE_FUNCTIONS_MAX) {
			ret->offsets[ret->n] = p->offset;
			ret->cookies[ret->n++] = (uint64_t)p->call << PLUMB_SITE_CALL_SHIFT | (uint64_t)p->guessed << PLUMB_SITE_GUESSED_SHIFT | (uint64_t)(!returns && p->long_trap) << PLUMB_SITE_TRAP_SHIFT |
						 (uint64_t)number << PLUMB_SITE_FILE_SHIFT | p->site;
		}
	}
}

static int attach_kind(struct library_file *f, struct loaded *l, uint32_t number, int kind)
{
	struct library_probes *a = &f->attached[kind];
	struct uprobe_place place;
	char path[32];
	int err = 0;

	if (a->entry.n || a->back.n)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	place.path = path;
	place.listeners = f->functions.listeners;
	/* A return without its entry is nobody's; an entry without its return would be kept. */
	place_of(f, number, kind, true, &place);
	if (place.n)
		err = loaded_attach_functions(l, &place, true, &a->back);
	place_of(f, number, kind, false, &place);
	if (!err && place.n)
		err = loaded_attach_functions(l, &place, false, &a->entry);
	return err;
}

int library_file_attach(struct library_file *f, struct loaded *l, uint32_t number, enum shed_level level)
{
	if (f->distrusted)
		return 0;
	if (!library_file_is_as_it_was(f))
		return -ESTALE;
	/* What tells of a handle comes before what uses it. */
	int err = level < SHED_ALL ? attach_kind(f, l, number, LIBRARY_SELDOM) : 0;

	if (!err && level < SHED_OFTEN)
		err = attach_kind(f, l, number, LIBRARY_OFTEN);
	return err;
}

size_t library_file_probes(struct library_file *f, int kind, struct uprobe **ret_probes)
{
	ret_probes[0] = &f->attached[kind].entry;
	ret_probes[1] = &f->attached[kind].back;
	return 2;
}

const char *library_printable(const char *path, char *to, size_t len) { return printable_copy(to, len, path); }

const char *library_file_path(const struct library_file *f, char *to, size_t len)
{
	char link[32], path[256];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", f->fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = 0;
	return library_printable(path, to, len);
}

const char *library_file_error(const struct library_file *f, int err)
{
	if (!f->leased && f->watch < 0 && err == -ENOSPC)
		return "inotify has no watch left for it (fs.inotify.max_user_watches)";
	return err == -UPROBE_REFUSED ? "the kernel sets no probes on what one of its functions begins with" : strerror(-err);
}

/* What a program did meanwhile is not known. */
void library_file_tell(const struct library_file *f, const struct mapping *m)
{
	const char *names = f->functions.names, *how = f->functions.by_code ? ", found by its code," : "";
	uint64_t late_ns = m->time_ns ? clock_ns(CLOCK_MONOTONIC) - m->time_ns : 0;
	char path[256];

	library_printable(m->path, path, sizeof(path));
	if (!m->time_ns)
		log_debug("watching %s%s in %s (mapped before, or expected)", names, how, path);
	else
		log_debug("watching %s%s in %s (%.1f ms)", names, how, path, (double)late_ns / 1e6);
	if (late_ns > LATE_NS)
		log_warn("calls of %s in %s (process %u) were not seen for %.1f s: there was no getting to it", names, path, m->pid, (double)late_ns / 1e9);
}

void library_file_tell_again(const struct library_file *f, int err)
{
	char path[256];

	library_file_path(f, path, sizeof(path));
	if (err)
		log_warn("functions of %s in %s are not looked at again: %s", f->functions.names, path, library_file_error(f, err));
	else
		log_info("all functions of %s in %s are looked at again", f->functions.names, path);
}

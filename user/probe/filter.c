/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/filter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/describe.h"

bool filter_names_programs(const struct filter *f) { return f->comms || f->exes; }
bool filter_names_places(const struct filter *f) { return f->containers || f->cgroups; }

static bool names_processes(const struct filter *f) { return f->pids[0] || filter_names_programs(f) || filter_names_places(f); }

bool filters_take_all(const struct filters *f) { return !names_processes(&f->include) && !names_processes(&f->exclude); }

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool names_pid(const struct filter *f, uint32_t pid)
{
	for (size_t i = 0; i < FILTER_PIDS_MAX && f->pids[i]; i++)
		if (f->pids[i] == pid)
			return true;
	return false;
}

static bool names_comm(const struct filter *f, const char *comm)
{
	for (const char *const *c = f->comms; c && *c; c++)
		if (strncmp(*c, comm, PLUMB_COMM_LEN - 1) == 0)
			return true;
	return false;
}

static bool names_exe(const struct filter *f, const char *exe)
{
	for (const char *const *e = f->exes; exe[0] && e && *e; e++)
		if (strcmp(*e, exe) == 0 || strcmp(*e, base_name(exe)) == 0)
			return true;
	return false;
}

/* Is it in a container or cgroup that is named, in any hierarchy? Lines are ID:CONTROLLERS:PATH. */
static bool names_place(const struct filter *f, const char *cgroups)
{
	char path[4096], id[80];

	for (const char *line = cgroups; *line; line += line[0] == '\n') {
		size_t len = strcspn(line, "\n");
		const char *colon = memchr(line, ':', len);
		colon = colon ? memchr(colon + 1, ':', len - (size_t)(colon + 1 - line)) : NULL;
		if (colon && snprintf(path, sizeof(path), "%.*s", (int)(len - (size_t)(colon + 1 - line)), colon + 1) > 0) {
			for (const char *const *c = f->cgroups; c && *c; c++)
				if (strstr(path, *c))
					return true;
			bool contained = describe_container_id(path, id, sizeof(id)) > 0;
			for (const char *const *c = f->containers; contained && c && *c; c++)
				if (strncmp(id, *c, strlen(*c)) == 0)
					return true;
		}
		line += len;
	}
	return false;
}

uint8_t filters_of_pid(const struct filters *f, uint32_t pid)
{
	return (uint8_t)((names_pid(&f->include, pid) ? PLUMB_TREE_IN : 0) | (names_pid(&f->exclude, pid) ? PLUMB_TREE_OUT : 0));
}

uint8_t filters_of_program(const struct filters *f, const char *comm, const char *exe)
{
	return (uint8_t)((names_comm(&f->include, comm) ? PLUMB_TREE_IN : 0) | (names_comm(&f->exclude, comm) ? PLUMB_TREE_OUT : 0) |
			 (names_exe(&f->include, exe) ? PLUMB_IN : 0) | (names_exe(&f->exclude, exe) ? PLUMB_OUT : 0));
}

uint8_t filters_of_place(const struct filters *f, const char *cgroups)
{
	return (uint8_t)((names_place(&f->include, cgroups) ? PLUMB_IN : 0) | (names_place(&f->exclude, cgroups) ? PLUMB_OUT : 0));
}

/* What the kernel side cannot compare, as it is too long, it need not look for. */
static void add_name(struct filter_name *names, size_t *count, enum plumb_name_kind kind, const char *text, uint32_t bits)
{
	struct filter_name n = { .name.kind = kind, .bits = bits };

	if (snprintf(n.name.text, sizeof(n.name.text), "%s", text) >= (int)sizeof(n.name.text))
		return;
	for (size_t i = 0; i < *count; i++)
		if (memcmp(&names[i].name, &n.name, sizeof(n.name)) == 0) {
			names[i].bits |= bits;
			return;
		}
	names[(*count)++] = n;
}

/* "/usr/bin/curl" as "curl/bin/usr/". */
static void add_path(struct filter_name *names, size_t *count, const char *path, uint32_t bits)
{
	char text[PLUMB_PATH_LEN];
	size_t used = 0;

	for (size_t end = strlen(path); end > 0;) {
		size_t start = end;
		while (start > 0 && path[start - 1] != '/')
			start--;
		if (end > start) {
			if (used + end - start + 2 > sizeof(text))
				return;
			memcpy(text + used, path + start, end - start);
			used += end - start;
			text[used++] = '/';
		}
		end = start ? start - 1 : 0;
	}
	text[used] = 0;
	add_name(names, count, PLUMB_NAME_PATH, text, bits);
	add_name(names, count, PLUMB_NAME_EXE, base_name(path), PLUMB_NAME_OF_PATH);
}

static size_t list_length(const char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

static void add_side(const struct filter *f, bool include, struct filter_name *names, size_t *count)
{
	uint32_t own = include ? PLUMB_IN : PLUMB_OUT;

	for (const char *const *c = f->comms; c && *c; c++)
		add_name(names, count, PLUMB_NAME_COMM, *c, include ? PLUMB_TREE_IN : PLUMB_TREE_OUT);
	for (const char *const *e = f->exes; e && *e; e++) {
		if ((*e)[0] == '/')
			add_path(names, count, *e, own);
		else
			add_name(names, count, PLUMB_NAME_EXE, *e, own);
	}
	for (const char *const *c = f->cgroups; c && *c; c++)
		if (!strchr(*c, '/'))
			add_name(names, count, PLUMB_NAME_CGROUP, *c, own);
}

int filters_names(const struct filters *f, struct filter_name **ret_names, size_t *ret_count)
{
	const struct filter *sides[] = { &f->include, &f->exclude };
	size_t max = 1, count = 0;

	for (size_t i = 0; i < 2; i++) /* a path makes two names */
		max += list_length(sides[i]->comms) + 2 * list_length(sides[i]->exes) + list_length(sides[i]->cgroups);
	struct filter_name *names = calloc(max, sizeof(*names));
	if (!names)
		return -ENOMEM;
	add_side(&f->include, true, names, &count);
	add_side(&f->exclude, false, names, &count);
	*ret_names = names;
	*ret_count = count;
	return 0;
}

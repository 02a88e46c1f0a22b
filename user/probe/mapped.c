/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The device of the file system that it lies in: where each of its parts has a number of its own (btrfs), mappings have the whole's. */
static bool lies_in(int fd, const struct mapping *m)
{
	char path[64], line[4096], *end;
	long mount = -1;
	bool is = false;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	FILE *f = fopen(path, "re");
	while (f && mount < 0 && fgets(line, sizeof(line), f))
		if (strncmp(line, "mnt_id:", 7) == 0)
			mount = strtol(line + 7, NULL, 10);
	if (f)
		fclose(f);
	snprintf(path, sizeof(path), "/proc/%u/mountinfo", m->pid);
	f = mount >= 0 ? fopen(path, "re") : NULL;
	while (f && !is && fgets(line, sizeof(line), f)) { /* "mount parent major:minor …" */
		if (strtol(line, &end, 10) != mount)
			continue;
		(void)strtol(end, &end, 10);
		is = strtoul(end, &end, 10) == m->major && *end == ':' && strtoul(end + 1, &end, 10) == m->minor;
	}
	if (f)
		fclose(f);
	return is;
}

/* The name may be another file's by now, or somebody's who wants it to be taken for this one. */
static bool is_mapped(int fd, const struct mapping *m)
{
	struct stat st;

	if (fstat(fd, &st) || st.st_ino != m->inode)
		return false;
	return (major(st.st_dev) == m->major && minor(st.st_dev) == m->minor) || lies_in(fd, m);
}

/* By its name, as the process sees it: links in its file system do not lead out of it. */
static int path_open(const struct mapping *m)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/root", m->pid);
	int root = open(path, O_PATH | O_CLOEXEC);
	if (root < 0)
		return -1;
	int fd = (int)syscall(SYS_openat2, root, m->path, &how, sizeof(how));
	close(root);
	if (fd >= 0 && !is_mapped(fd, m)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int mapped_open(const struct mapping *m)
{
	char path[96];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%u/map_files/%llx-%llx", m->pid, (unsigned long long)m->from, (unsigned long long)m->to);
	int place = open(m->to ? path : m->path, O_PATH | O_CLOEXEC), err = errno;
	if (place < 0 && m->to)
		place = path_open(m);
	if (place < 0) /* one that is ending is there, and has nothing any more */
		return err == ESRCH || (kill((pid_t)m->pid, 0) && errno == ESRCH) ? -ENOENT : -err;
	int fd = -ENOEXEC;
	if (fstat(place, &st) == 0 && S_ISREG(st.st_mode)) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", place);
		fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC); /* a lease of its owner's would hold us up */
		if (fd < 0)
			fd = -errno;
	}
	close(place);
	return fd;
}

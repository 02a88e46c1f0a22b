/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File systems in user space (FUSE, linux/fuse.h) with files, "0" to "9", that nobody else can close, nor read a byte of: who tries to waits until this program ends. stalling_fs DIRECTORY N [reads]: mounts N such, as
 * DIRECTORY/0 and so on, maps all files of each to be executed, without touching them, and says "mapped". With "reads" they can be read, and are zeros.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ROOT = 1, FILES = 10, FILE_BYTES = 1 << 20, SECONDS = 3600 };

static bool reads;
static char zeros[1 << 20];

static void attributes(struct fuse_attr *a, uint64_t node)
{
	*a = (struct fuse_attr){ .ino = node, .mode = node == ROOT ? S_IFDIR | 0755 : S_IFREG | 0755, .nlink = 1, .size = node == ROOT ? 0 : FILE_BYTES, .blksize = 4096 };
}

static _Noreturn void serve(int fd)
{
	static union {
		struct fuse_in_header head;
		char bytes[1 << 20];
	} in;

	for (;;) {
		struct {
			struct fuse_out_header head;
			union {
				struct fuse_init_out init;
				struct fuse_entry_out entry;
				struct fuse_attr_out attr;
				struct fuse_open_out open;
				struct fuse_statfs_out statfs;
			};
		} out = { .head.error = 0 };
		size_t len = 0;
		uint64_t node;
		ssize_t n = read(fd, &in, sizeof(in));
		if (n < 0 && errno == ENODEV)
			_exit(0);
		if (n < (ssize_t)sizeof(in.head))
			continue;
		out.head.unique = in.head.unique;
		switch (in.head.opcode) {
		case FUSE_INIT:
			out.init = (struct fuse_init_out){ .major = 7, .minor = 31, .max_write = 65536 };
			len = sizeof(out.init);
			break;
		case FUSE_LOOKUP:
			node = ROOT + 1 + (uint64_t)(in.bytes[sizeof(in.head)] - '0');
			if (node <= ROOT || node > ROOT + FILES) {
				out.head.error = -ENOENT;
				break;
			}
			out.entry = (struct fuse_entry_out){ .nodeid = node, .entry_valid = SECONDS, .attr_valid = SECONDS };
			attributes(&out.entry.attr, node);
			len = sizeof(out.entry);
			break;
		case FUSE_GETATTR:
			out.attr.attr_valid = SECONDS;
			attributes(&out.attr.attr, in.head.nodeid);
			len = sizeof(out.attr);
			break;
		case FUSE_OPEN:
		case FUSE_OPENDIR: len = sizeof(out.open); break;
		case FUSE_STATFS: len = sizeof(out.statfs); break;
		case FUSE_RELEASE:
		case FUSE_RELEASEDIR: break;
		case FUSE_READ:
			if (reads) { /* zeros */
				len = ((const struct fuse_read_in *)(in.bytes + sizeof(in.head)))->size;
				out.head.len = (uint32_t)(sizeof(out.head) + len);
				struct iovec parts[] = { { &out.head, sizeof(out.head) }, { zeros, len } };
				if (len > sizeof(zeros) || (writev(fd, parts, 2) < 0 && errno != ENOENT))
					perror("stalling_fs: answer");
			}
			continue;
		case FUSE_FLUSH:
			if (in.head.pid == (uint32_t)getppid())
				break; /* who has mapped them can end */
			continue;
		case FUSE_FORGET:
		case FUSE_BATCH_FORGET:
		case FUSE_INTERRUPT: continue;
		default: out.head.error = -ENOSYS;
		}
		out.head.len = (uint32_t)(sizeof(out.head) + len);
		if (write(fd, &out, out.head.len) < 0 && errno != ENOENT)
			perror("stalling_fs: answer");
	}
}

static void map(const char *directory, int i)
{
	char path[4096], options[128];
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	snprintf(path, sizeof(path), "%s/%d", directory, i);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd);
	if (fd < 0 || mkdir(path, 0755) || mount("stalling_fs", path, "fuse", MS_NOSUID | MS_NODEV, options)) {
		fprintf(stderr, "stalling_fs: %s: %s\n", path, strerror(errno));
		exit(1);
	}
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(fd);
	}
	close(fd);
	for (int n = 0; n < FILES; n++) {
		char name[4100];
		snprintf(name, sizeof(name), "%s/%d", path, n);
		int file = open(name, O_RDONLY | O_CLOEXEC);
		if (file < 0 || mmap(NULL, FILE_BYTES, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0) == MAP_FAILED) {
			fprintf(stderr, "stalling_fs: %s: %s\n", name, strerror(errno));
			exit(1);
		}
	}
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	reads = argc > 3;
	for (int i = 0; i < atoi(argv[2]); i++)
		map(argv[1], i);
	puts("mapped");
	fflush(stdout);
	pause();
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a file as what its first bytes say it is. */
#include "source/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source/format.h"

/* A pipe gives no second look at what was read of it, but stdio takes one byte back, and one byte tells the kinds apart. */
static int open_stdin(struct source **ret_source, char *ret_error, size_t error_len)
{
	/* Unbuffered, so that a reader of the descriptor finds everything behind that byte. */
	setvbuf(stdin, NULL, _IONBF, 0);
	int c = getc(stdin);
	if (c == (FORMAT_FILE_MAGIC[0] & 0xff)) {
		uint8_t first = (uint8_t)c;
		return recording_open_behind(slice_make(&first, 1), "-", ret_source, ret_error, error_len);
	}
	if (c != EOF)
		ungetc(c, stdin);
	return pcap_source_open("-", ret_source, ret_error, error_len);
}

static int peek(const char *path, uint8_t *ret_head, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	size_t have = 0;
	while (have < len) {
		ssize_t n = read(fd, ret_head + have, len - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	close(fd);
	return (int)have;
}

int source_open_file(const char *path, struct source **ret_source, char *ret_error, size_t error_len)
{
	static const uint8_t captures[][4] = {
		{ 0xa1, 0xb2, 0xc3, 0xd4 }, { 0xd4, 0xc3, 0xb2, 0xa1 }, /* microseconds */
		{ 0xa1, 0xb2, 0x3c, 0x4d }, { 0x4d, 0x3c, 0xb2, 0xa1 }, /* nanoseconds */
		{ 0x0a, 0x0d, 0x0d, 0x0a },                             /* pcapng */
		{ 0xa1, 0xb2, 0xcd, 0x34 }, { 0x34, 0xcd, 0xb2, 0xa1 }, /* an old Linux variant that libpcap reads */
	};
	uint8_t head[FORMAT_MAGIC_BYTES];
	struct stat st;

	if (strcmp(path, "-") == 0)
		return open_stdin(ret_source, ret_error, error_len);
	/* A named pipe cannot be looked at and opened again; captures come through standard input. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return recording_open(path, ret_source, ret_error, error_len);

	int n = peek(path, head, sizeof(head));
	if (n < 0) {
		snprintf(ret_error, error_len, "cannot open %s: %s", path, strerror(-n));
		return n;
	}
	if (n == FORMAT_MAGIC_BYTES && memcmp(head, FORMAT_FILE_MAGIC, FORMAT_MAGIC_BYTES) == 0)
		return recording_open(path, ret_source, ret_error, error_len);
	for (size_t i = 0; n >= 4 && i < sizeof(captures) / sizeof(*captures); i++)
		if (memcmp(head, captures[i], 4) == 0)
			return pcap_source_open(path, ret_source, ret_error, error_len);
	snprintf(ret_error, error_len, "%s is neither a plumb recording nor a pcap or pcapng capture", path);
	return -EINVAL;
}

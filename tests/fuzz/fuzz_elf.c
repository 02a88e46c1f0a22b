/* SPDX-License-Identifier: Apache-2.0 */
/* ELF files of programs that are watched: the only bytes of strangers that the privileged process reads. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "probe/elf.h"

#define REQUIRE(what)                     \
	do {                              \
		if (!(what))              \
			abort();          \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct elf_function functions[] = { { "sqlite3_step", 0 }, { "sqlite3_prepare_v2", 0 }, { "step", 0 } };

	if (fd < 0)
		fd = memfd_create("elf", MFD_CLOEXEC);
	REQUIRE(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	int found = elf_find(fd, (const char *const[]){ "sqlite3_step", NULL }, functions, 3);
	REQUIRE(found == -ENOEXEC || found == -EFBIG || (found >= 0 && found <= 3));
	for (int i = 0; i < 3; i++)
		REQUIRE(functions[i].offset <= size);
	return 0;
}

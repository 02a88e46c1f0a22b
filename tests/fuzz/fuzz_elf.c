/* SPDX-License-Identifier: Apache-2.0 */
/* ELF files of programs that are watched: the only bytes of strangers that the privileged process reads. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "probe/elf.h"
#include "probe/go.h"
#include "probe/signatures.h"

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
	struct elf_file *f;
	int err = elf_open(fd, &f);
	REQUIRE(err == 0 || err == -ENOEXEC);
	if (err)
		return 0;
	int found = elf_find(f, (const char *const[]){ "sqlite3_step", NULL }, functions, 3);
	REQUIRE(found == -EFBIG || (found >= 0 && found <= 3));
	for (int i = 0; i < 3; i++)
		REQUIRE(functions[i].offset <= size);
	struct go_function go[] = { { .name = "main.main" }, { .name = "crypto/tls.(*Conn).Read" } };
	found = go_find(f, go, 2);
	REQUIRE(found == -ENOEXEC || found == -EFBIG || (found >= 0 && found <= 2));
	for (int i = 0; i < 2; i++)
		for (size_t k = 0; k < go[i].nreturns; k++)
			REQUIRE(go[i].nreturns <= GO_RETURNS_MAX && go[i].returns[k] > go[i].offset && go[i].returns[k] < size);
	struct signature_match m;
	err = signatures_find(f, &m);
	REQUIRE((err == 0 || err == -ENOEXEC || err == -EFBIG) && m.n <= SIGNATURE_PLACES_MAX);
	for (size_t i = 0; i < m.n; i++)
		REQUIRE(m.places[i].offset > 0 && m.places[i].offset < size);
	elf_close(f);
	return 0;
}

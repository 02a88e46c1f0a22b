/* SPDX-License-Identifier: Apache-2.0 */
/* Class files into which the agent puts calls: within somebody else's program. What comes out of an edit can be edited again. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "java/classfile.h"

#define REQUIRE(what)                     \
	do {                              \
		if (!(what))              \
			abort();          \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct classfile_edit edits[] = {
	{ .method = "field", .where = CLASSFILE_BEFORE_RETURN, .descriptor = "(Ljava/lang/String;Ljava/lang/String;)Ljava/lang/String;", .hook = "h", .hook_descriptor = "(Ljava/lang/Object;Ljava/lang/Object;)V", .argument = 0, .types = "L" },
	{ .method = "<init>", .where = CLASSFILE_BEFORE_CALL, .of = "field", .of_descriptor = "(Ljava/lang/String;Ljava/lang/String;)Ljava/lang/String;", .hook = "h", .hook_descriptor = "(Ljava/lang/Object;)V" },
	{ .method = "<init>", .where = CLASSFILE_AROUND, .hook = "h", .hook_descriptor = "(Ljava/lang/Object;Ljava/lang/Object;)V", .first = "f", .first_descriptor = "()Ljava/lang/Object;" },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *once, *twice;
	size_t once_len, twice_len;

	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		int err = classfile_edit(data, size, "a/Hooks", &edits[i], 1, &once, &once_len);
		REQUIRE(err == 0 || err == -ENOENT || err == -EINVAL || err == -EFBIG || err == -ENOMEM);
		if (err)
			continue;
		err = classfile_edit(once, once_len, "a/Hooks", &edits[i], 1, &twice, &twice_len);
		REQUIRE(err == 0 || err == -EFBIG || err == -ENOMEM || (err == -ENOENT && edits[i].where == CLASSFILE_AROUND));
		if (!err)
			free(twice);
		free(once);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Behind cmocka.h. */
#ifndef PLUMB_TESTS_ASSERT_SLICE_H
#define PLUMB_TESTS_ASSERT_SLICE_H

#include "lib/slice.h"

#define assert_slice(s, text)                                                                      \
	do {                                                                                       \
		struct slice got_ = (s);                                                           \
		if (!slice_eq(got_, slice_str(text)))                                              \
			fail_msg("got \"%.*s\", want \"%s\"", (int)got_.len, (const char *)got_.ptr, text); \
	} while (0)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Names of functions as compilers write them into files: C's, mangled ones, PTX's. */
#ifndef PLUMB_LIB_SYMBOL_H
#define PLUMB_LIB_SYMBOL_H

#include "lib/slice.h"

static inline bool symbol_is_plausible(struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		uint8_t b = name.ptr[i], low = ascii_lower(b);
		bool digit = b >= '0' && b <= '9';
		if ((low < 'a' || low > 'z') && !digit && b != '_' && b != '$' && b != '.' && b != '@')
			return false;
		if (digit && i == 0)
			return false;
	}
	return name.len > 0;
}

#endif

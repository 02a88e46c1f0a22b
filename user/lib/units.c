/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/units.h"

#include <errno.h>

struct unit {
	const char *suffix;
	int64_t factor;
};

static int units_parse(struct slice s, const struct unit *units, size_t n, int64_t *ret_value)
{
	size_t digits = 0;
	uint64_t v;

	while (digits < s.len && s.ptr[digits] >= '0' && s.ptr[digits] <= '9')
		digits++;
	if (!slice_u64(slice_head(s, digits), &v))
		return digits > 19 ? -ERANGE : -EINVAL;

	struct slice suffix = slice_from(s, digits);
	for (size_t i = 0; i < n; i++) {
		if (!slice_ieq(suffix, slice_str(units[i].suffix)))
			continue;
		if (v > (uint64_t)(INT64_MAX / units[i].factor))
			return -ERANGE;
		*ret_value = (int64_t)v * units[i].factor;
		return 0;
	}
	return -EINVAL;
}

int units_duration_ms(struct slice s, int64_t *ret_ms)
{
	static const struct unit units[] = { { "", 1 }, { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 } };

	return units_parse(s, units, sizeof(units) / sizeof(units[0]), ret_ms);
}

int units_size_bytes(struct slice s, int64_t *ret_bytes)
{
	static const struct unit units[] = { { "", 1 },		 { "B", 1 },	    { "K", 1 << 10 }, { "KiB", 1 << 10 },
					     { "M", 1 << 20 },	 { "MiB", 1 << 20 }, { "G", 1 << 30 }, { "GiB", 1 << 30 } };

	return units_parse(s, units, sizeof(units) / sizeof(units[0]), ret_bytes);
}

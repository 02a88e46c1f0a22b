/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration: the first byte chooses between a YAML file and the environment (lines NAME=value). Whatever it holds, a sentence comes
 * for everything that is wrong, in one line, and the settings stay within their ranges.
 */
#include "fuzz/fuzz.h"

#include <errno.h>

#include "config/settings.h"

static void report(void *ctx, const char *message)
{
	++*(size_t *)ctx;
	REQUIRE(message[0] && !strchr(message, '\n'));
}

static const char *get(void *ctx, const char *name)
{
	static char value[4096];
	struct slice in = *(const struct slice *)ctx, key = slice_str(name);

	while (in.len) {
		struct slice line = slice_head(in, slice_find(in, '\n', 0));
		if (slice_starts(line, key) && line.len > key.len && line.ptr[key.len] == '=') {
			line = slice_head(slice_from(line, key.len + 1), sizeof(value) - 1);
			if (line.len)
				memcpy(value, line.ptr, line.len);
			value[line.len] = '\0';
			return value;
		}
		in = slice_from(in, line.len + 1);
	}
	return NULL;
}

static void check(const struct settings *s)
{
	for (enum setting_id id = 0; id < SETTING_COUNT; id++) {
		const struct setting_def *d = &setting_defs[id];
		size_t n;

		switch (d->type) {
		case SETTING_TYPE_INT:
		case SETTING_TYPE_DURATION:
		case SETTING_TYPE_SIZE:
		case SETTING_TYPE_POWER:
			REQUIRE(settings_number(s, id) == 0 || ((int64_t)settings_number(s, id) >= d->min && (int64_t)settings_number(s, id) <= d->max));
			break;
		case SETTING_TYPE_SHARE: REQUIRE(settings_share(s, id) >= 0 && settings_share(s, id) <= 1); break;
		case SETTING_TYPE_BOOL: settings_bool(s, id); break;
		case SETTING_TYPE_STR: REQUIRE(settings_str(s, id) != NULL); break;
		case SETTING_TYPE_LIST:
		case SETTING_TYPE_INTS: REQUIRE(settings_list(s, id, &n)[n] == NULL); break;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	uint8_t how = fuzz_byte(&in);
	struct settings *s;
	size_t reports = 0;

	REQUIRE(settings_new(&s) == 0);
	if (how & 1) {
		int err = settings_load_environment(s, get, &in, report, &reports);
		REQUIRE(err == 0);
	} else {
		int err = settings_load_text(s, "plumb.yaml", in, report, &reports);
		REQUIRE(err == 0 || err == -EINVAL);
		REQUIRE((err != 0) == (reports != 0));
	}
	REQUIRE(settings_settle(s) == 0);
	check(s);
	settings_free(s);
	return 0;
}

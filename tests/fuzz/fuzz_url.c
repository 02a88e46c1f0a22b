/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may be shown of URLs and of servers' error texts. The first byte chooses what the rest is: a request target, a query, a path, an
 * authority or a message. No value of a query, no user information, nothing between quotes survives.
 */
#include "fuzz/fuzz.h"

#include "span/semconv.h"
#include "span/url.h"

enum { TEXT_MAX = 4096, OUT_MAX = 65536 };

static uint8_t out[OUT_MAX];
static bool secret[TEXT_MAX];

/* Our own word is no leak. */
static struct slice without_redacted(struct slice s)
{
	uint8_t *p = (uint8_t *)(uintptr_t)s.ptr;

	for (size_t i = 0; i + 8 <= s.len; i++)
		if (memcmp(p + i, "REDACTED", 8) == 0)
			memset(p + i, ' ', 8);
	return s;
}

static void check_query(struct slice query, bool show)
{
	struct arena a;

	arena_init(&a, out, sizeof(out));
	struct text t = text_begin(&a);
	url_add_query(&t, query, show);
	REQUIRE(!t.cut);
	bool value = false;
	for (size_t i = 0; i < query.len; i++) {
		if (query.ptr[i] == '&' || query.ptr[i] == ';')
			value = false;
		secret[i] = value;
		value |= query.ptr[i] == '=';
	}
	if (!show)
		REQUIRE(!fuzz_leaks(without_redacted(text_end(&t)), query, secret));
}

static void check_path(struct slice path)
{
	struct arena a;

	arena_init(&a, out, sizeof(out));
	struct text t = text_begin(&a);
	url_add_path(&t, path);
	bool parameter = false, value = false;
	for (size_t i = 0; i < path.len; i++) {
		uint8_t c = path.ptr[i];
		if (c == '/' || c == ';') {
			parameter = c == ';';
			value = false;
		}
		secret[i] = value;
		value |= parameter && c == '=';
	}
	REQUIRE(!fuzz_leaks(without_redacted(text_end(&t)), path, secret));
}

static void check_host(struct slice host)
{
	for (size_t i = 0; i < host.len; i++)
		REQUIRE(!memchr("@?/#&=,; ", host.ptr[i], 10));
}

static void check_target(struct slice target, bool connect)
{
	struct url u;
	struct authority a;

	url_parse_target(target, connect, &u);
	fuzz_touch(u.scheme);
	fuzz_touch(u.path);
	fuzz_touch(u.query);
	url_parse_authority(u.authority, &a);
	fuzz_touch(a.host);
	check_host(a.host);
	check_query(u.query, false);
	check_query(u.query, true);
	check_path(u.path);
}

/* One kind of quotes alone: from the first to the last nothing is shown. */
static void check_message(struct slice message)
{
	struct arena a;

	arena_init(&a, out, sizeof(out));
	struct slice shown = redact_message(&a, message);
	size_t first = slice_find(message, '"', 0), last = message.len;

	for (size_t i = 0; i < message.len; i++)
		if (strchr("'`(", message.ptr[i]))
			return;
	if (first == SIZE_MAX)
		return;
	while (last > first + 1 && message.ptr[last - 1] != '"')
		last--;
	for (size_t i = 0; i < message.len; i++)
		secret[i] = i > first && (last == first + 1 || i < last);
	REQUIRE(!fuzz_leaks(shown, message, secret));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	uint8_t choice = fuzz_byte(&in);
	struct authority a;

	if (in.len > TEXT_MAX)
		return 0;
	uint8_t *copy = fuzz_copy(in);
	struct slice text = slice_make(copy, in.len);
	switch (choice % 5) {
	case 0: check_target(text, choice & 0x80); break;
	case 1: check_query(text, choice & 0x80); break;
	case 2: check_path(text); break;
	case 3:
		url_parse_authority(text, &a);
		check_host(a.host);
		break;
	case 4: check_message(text); break;
	}
	free(copy);
	return 0;
}

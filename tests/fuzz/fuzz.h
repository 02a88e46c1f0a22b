/* SPDX-License-Identifier: Apache-2.0 */
/* What all fuzz harnesses share: the entry point, the one way to report a broken promise, and reading numbers off the input. */
#ifndef PLUMB_TESTS_FUZZ_H
#define PLUMB_TESTS_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "lib/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(promise)                                                                             \
	do {                                                                                         \
		if (!(promise)) {                                                                    \
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #promise);       \
			abort();                                                                     \
		}                                                                                    \
	} while (0)

/* The next bytes of the input; zeros and empty slices behind its end. */
static inline struct slice fuzz_take(struct slice *in, size_t n)
{
	struct slice s = slice_head(*in, n);

	*in = slice_from(*in, s.len);
	return s;
}

static inline uint64_t fuzz_number(struct slice *in, size_t bytes)
{
	struct slice s = fuzz_take(in, bytes);
	uint64_t v = 0;

	for (size_t i = 0; i < s.len; i++)
		v = v << 8 | s.ptr[i];
	return v;
}

static inline uint8_t fuzz_byte(struct slice *in) { return (uint8_t)fuzz_number(in, 1); }

/* A copy of exactly these bytes on the heap, so that the sanitizer knows their end. Freed by the caller; never NULL. */
static inline uint8_t *fuzz_copy(struct slice s)
{
	uint8_t *p = malloc(s.len ? s.len : 1);

	REQUIRE(p != NULL);
	if (s.len)
		memcpy(p, s.ptr, s.len);
	return p;
}

/* The compiler must not drop a read of every byte. */
static inline void fuzz_touch(struct slice s)
{
	volatile uint8_t sum = 0;

	for (size_t i = 0; i < s.len; i++)
		sum = (uint8_t)(sum ^ s.ptr[i]);
}

/*
 * Whether `out` repeats four letters or digits in a row that stand in `secret` and in none of the `open` bytes: marks a leak whatever
 * the text around it. `mask` says of each byte of `text` whether it is secret.
 */
static inline bool fuzz_leaks(struct slice out, struct slice text, const bool *mask)
{
	enum { RUN = 4 };

	if (out.len < RUN)
		return false;
	for (size_t i = 0; i + RUN <= text.len; i++) {
		bool secret = true, plain = true;
		for (size_t k = i; k < i + RUN; k++) {
			uint8_t c = ascii_lower(text.ptr[k]);
			secret &= mask[k];
			plain &= (c >= 'a' && c <= 'z') || (text.ptr[k] >= '0' && text.ptr[k] <= '9');
		}
		if (!secret || !plain || !memmem(out.ptr, out.len, text.ptr + i, RUN))
			continue;
		/* It may have come from elsewhere: the same letters where they may be shown, whole or in part. */
		bool elsewhere = false;
		for (size_t at = 0; at + RUN <= text.len && !elsewhere; at++) {
			bool any_open = false;
			for (size_t k = at; k < at + RUN; k++)
				any_open |= !mask[k];
			elsewhere = any_open && memcmp(text.ptr + at, text.ptr + i, RUN) == 0;
		}
		if (!elsewhere)
			return true;
	}
	return false;
}

#endif

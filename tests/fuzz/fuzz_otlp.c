/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A collector that is none: the first byte chooses HTTP or gRPC and the time, two bytes are the status, then lines of the header up to an
 * empty one, and the body. Whatever it says, the outcome is one of three, the wait is bounded, and the sentence is fit for a terminal.
 */
#include "fuzz/fuzz.h"

#include "sink/otlp_grpc.h"
#include "sink/otlp_response.h"

enum { WAIT_MAX_MS = 3600000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size), line;
	uint8_t choice = fuzz_byte(&in);
	long status = (long)fuzz_number(&in, 2);
	struct otlp_response r;
	struct otlp_result result;

	otlp_response_init(&r);
	do {
		line = fuzz_take(&in, slice_find(in, '\n', 0));
		fuzz_byte(&in);
		uint8_t *copy = fuzz_copy(line);
		otlp_response_header(&r, slice_make(copy, line.len), choice & 2 ? 1445412470 : 0);
		REQUIRE(r.retry_after_ms >= -1 && r.retry_after_ms <= WAIT_MAX_MS);
		int64_t ms = otlp_retry_after_ms(slice_make(copy, line.len), 0);
		REQUIRE(ms >= -1 && ms <= WAIT_MAX_MS);
		ms = -1;
		grpc_retry_delay_header(slice_make(copy, line.len), &ms);
		REQUIRE(ms >= -1 && ms <= WAIT_MAX_MS + 999);
		free(copy);
	} while (line.len);
	otlp_response_body(&r, slice_head(in, in.len / 2));
	otlp_response_body(&r, slice_from(in, in.len / 2));
	REQUIRE(r.body.len <= OTLP_RESPONSE_MAX);
	otlp_response_result(&r, choice & 1, status, &result);
	REQUIRE(result.outcome == OTLP_SENT || result.outcome == OTLP_RETRY || result.outcome == OTLP_REJECTED);
	REQUIRE(result.retry_after_ms >= -1 && result.retry_after_ms <= WAIT_MAX_MS + 999);
	for (const char *c = result.message; *c; c++)
		REQUIRE(*c >= ' ' && *c < 0x7f);
	otlp_response_done(&r);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* proto_http1.mask: exact results, and masked bytes that parse to the same framing at every length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "proto/harness.h"
#include "proto/http1.h"

static void expect(enum proto_side side, const char *in, const char *want)
{
	uint8_t bytes[1024];
	size_t len = strlen(in);

	assert_int_equal(len, strlen(want));
	for (size_t n = 0; n <= len; n++) {
		memcpy(bytes, in, n);
		struct slice guarded = harness_guard(slice_make(bytes, n));
		uint8_t *p = (uint8_t *)(uintptr_t)guarded.ptr;

		http1_mask(side, p, n);
		if (n == len)
			assert_memory_equal(p, want, len);
	}
}

static void masks_requests(void **state)
{
	(void)state;
	expect(PROTO_TO_SERVER, "GET /a/b?key=secret&token&z= HTTP/1.1\r\nHost: h\r\nCookie: a=b\r\n more\r\nTE: x\r\n y\r\n\r\n",
	       "GET /a/b?key=xxxxxx&xxxxx&z= HTTP/1.1\r\nHost: h\r\nCookie: xxx\r\n xxxx\r\nTE: x\r\n y\r\n\r\n");
	expect(PROTO_TO_SERVER, "GET http://u:pw@h/p?q=@ HTTP/1.1\r\n\r\n", "GET http://xxxx@h/p?q=x HTTP/1.1\r\n\r\n");
	expect(PROTO_TO_SERVER, "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\na\r\nb\nGET /2?a=1 HTTP/1.0\n\n",
	       "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nxxxxxGET /2?a=x HTTP/1.0\n\n");
	expect(PROTO_TO_SERVER, "secret bytes", "xxxxxxxxxxxx");
}

static void masks_responses(void **state)
{
	(void)state;
	expect(PROTO_TO_CLIENT, "HTTP/1.1 302 Found\r\nLocation: /t?k\r\nServer: s\r\n\r\nbody", "HTTP/1.1 302 Found\r\nLocation: xxxx\r\nServer: s\r\n\r\nxxxx");
	expect(PROTO_TO_CLIENT, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;e=v\r\n0\r\n\r\n0\r\nX-T: v\r\n\r\nHTTP/1.1 204 N\r\n\r\n",
	       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;xxx\r\nxxx\r\n0\r\nX-T: x\r\n\r\nHTTP/1.1 204 N\r\n\r\n");
	expect(PROTO_TO_CLIENT, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nsecret", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxxxxxxxxxx");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(masks_requests), cmocka_unit_test(masks_responses) };
	return cmocka_run_group_tests_name("http1 mask", tests, NULL, NULL);
}

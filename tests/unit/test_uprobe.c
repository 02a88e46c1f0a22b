/* SPDX-License-Identifier: Apache-2.0 */
/* What functions begin with: where the kernel sets probes, and what that costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "probe/uprobe.h"

#if defined(__x86_64__)
static void test_beginnings(void **state)
{
	static const struct {
		uint8_t code[16];
		bool can_be, is_long;
		size_t push;
	} rows[] = {
		{ { 0x55, 0x48, 0x89, 0xe5 }, true, false, 1 },             /* push %rbp */
		{ { 0x41, 0x54, 0x53 }, true, false, 2 },                   /* push %r12 */
		{ { 0x53 }, true, false, 1 },                               /* push %rbx */
		{ { 0x48, 0x83, 0xec, 0x18 }, true, true, 0 },              /* sub $0x18, %rsp */
		{ { 0xf3, 0x0f, 0x1e, 0xfa }, true, true, 0 },              /* endbr64 */
		{ { 0x2e, 0x53, 0x48 }, false, true, 2 },                   /* cs push %rbx */
		{ { 0x2e, 0x2e, 0x2e, 0x2e, 0x41, 0x54 }, false, true, 6 }, /* cs cs cs cs push %r12 */
		{ { 0x3e, 0x48, 0x83, 0xec }, false, true, 0 },             /* ds sub … */
		{ { 0x2e, 0x5b }, false, true, 0 },                         /* cs pop %rbx */
		{ { 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e }, false, true, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(uprobe_can_be(rows[i].code), rows[i].can_be);
		assert_int_equal(uprobe_trap_is_long(rows[i].code), rows[i].is_long);
		assert_int_equal(uprobe_push_bytes(rows[i].code, sizeof(rows[i].code)), rows[i].push);
	}
	assert_int_equal(uprobe_push_bytes((const uint8_t[]){ 0x2e, 0x41 }, 2), 0);
}
#else
static void test_beginnings(void **state)
{
	(void)state;
	assert_true(uprobe_can_be((const uint8_t[UPROBE_CODE_BYTES]){ 0x2e, 0x53 })); /* all instructions are alike */
	assert_int_equal(uprobe_push_bytes((const uint8_t[]){ 0x55 }, 1), 0);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_beginnings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

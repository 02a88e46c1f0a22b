/* SPDX-License-Identifier: Apache-2.0 */
/* Oracle's SQL as it is kept: what standard SQL would take for names, and is a password or a text, reads as a literal. Packets are tests/proto/oracle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "proto/oracle_wire.h"

static void passwords_and_texts_are_literals(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "SELECT a FROM t WHERE b = 'c'", "SELECT a FROM t WHERE b = 'c'" },
		{ "CREATE USER u IDENTIFIED BY secret QUOTA 1", "CREATE USER u IDENTIFIED BY '' QUOTA 1" },
		{ "CREATE USER u IDENTIFIED BY \"sec ret\"", "CREATE USER u IDENTIFIED BY ''" },
		{ "ALTER USER u IDENTIFIED BY new1 REPLACE old1", "ALTER USER u IDENTIFIED BY '' REPLACE ''" },
		{ "GRANT CONNECT TO a, b IDENTIFIED BY one1, two2", "GRANT CONNECT TO a, b IDENTIFIED BY '', ''" },
		{ "ADMINISTER KEY MANAGEMENT ALTER KEYSTORE PASSWORD IDENTIFIED BY old1 SET new1", "ADMINISTER KEY MANAGEMENT ALTER KEYSTORE PASSWORD IDENTIFIED BY '' SET ''" },
		{ "ADMINISTER KEY MANAGEMENT EXPORT ENCRYPTION KEYS WITH SECRET \"se cret\" TO 'f' IDENTIFIED BY pass1", "ADMINISTER KEY MANAGEMENT EXPORT ENCRYPTION KEYS WITH SECRET '' TO 'f' IDENTIFIED BY ''" },
		{ "administer key management import keys with secret pass1 from 'f'", "administer key management import keys with secret '' from 'f'" },
		{ "SELECT secret FROM administer", "SELECT secret FROM administer" },
		{ "ALTER USER u IDENTIFIED BY Pa@ss1-word; x", "ALTER USER u IDENTIFIED BY ''; x" },
		{ "ALTER USER u IDENTIFIED BY x", "ALTER USER u IDENTIFIED BY 0" },
		{ "SELECT q'[it's]', nq'{a}' FROM t", "SELECT '', '' FROM t" },
		{ "/* a /* b */ select 'x */ secret' from dual", "  select 'x */ secret' from dual" },
		{ "select 1 -- it's\n, 2", "select 1  \n, 2" },
	};
	uint8_t to[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t n = oracle_sql_copy(slice_str(cases[i].in), to);
		assert_true(n <= strlen(cases[i].in));
		to[n] = 0;
		assert_string_equal((char *)to, cases[i].out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passwords_and_texts_are_literals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

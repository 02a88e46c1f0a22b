/* SPDX-License-Identifier: Apache-2.0 */
/* span/url and span/redact: what of URLs and of what servers say is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "span/semconv.h"
#include "span/text.h"
#include "span/url.h"
#include "unit/assert_slice.h"

static void queries(void **state)
{
	static const struct {
		const char *in;
		bool show;
		const char *out;
	} cases[] = {
		{ "a=1&b=2", false, "a=REDACTED&b=REDACTED" },
		{ "a=&b", false, "a=&b" },
		{ "wsdl", false, "wsdl" },
		{ "9f86d081884c7d659a2feaa0c55ad015", false, "REDACTED" },
		{ "a=1;b=2&", false, "a=REDACTED;b=REDACTED&" },
		{ "page=2&sig=abc&Access_Token=x", true, "page=2&sig=REDACTED&Access_Token=REDACTED" },
		{ "", false, "" },
		{ "Q0FOQVJZMDE=", false, "REDACTED" },
		{ "Q0FOQVJZMA==&debug=", false, "REDACTED&debug=" },
		{ "canary==&flag==", false, "canary=&flag=" },
		{ "hunter2&longsecret&Abc", false, "REDACTED&REDACTED&REDACTED" },
		{ "Q0FOQVJZMDE=", true, "Q0FOQVJZMDE=" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t memory[256];
		struct arena a;
		arena_init(&a, memory, sizeof(memory));
		struct text t = text_begin(&a);
		url_add_query(&t, slice_str(cases[i].in), cases[i].show);
		assert_slice(text_end(&t), cases[i].out);
	}
}

static void paths(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "/", "/" },
		{ "/a/b/", "/a/b/" },
		{ "/redirect/https://u:p@h/x", "/redirect/https://REDACTED@h/x" },
		{ "//user:secret@h/x", "//REDACTED@h/x" },
		{ "//secret@more@h", "//REDACTED@h" },
		{ "/to/https%3A%2F%2Fu%3ap%40h%2Fx", "/to/REDACTED@h%2Fx" },
		{ "/@scope/a@b.example", "/@scope/a@b.example" },
		{ "/a;secret/b", "/a;REDACTED/b" },
		{ "/a;x=1;y=2/b;", "/a;REDACTED/b;" },
		{ "/a%3Ftoken=x/b%3ftoken", "/a%3FREDACTED/b%3fREDACTED" },
		{ "/a&k=v/b%26k=v", "/a&REDACTED/b%26REDACTED" },
		{ "/a%23token=x/b#x", "/a%23REDACTED/b#REDACTED" },
		{ "/a%253Ftoken=x/b%25252523x", "/a%253FREDACTED/b%25252523REDACTED" },
		{ "/100%25/%25/%2525/%253/%25%3f/", "/100%25/%25/%2525/%253/%25%3f/" },
		{ "/to/https%253A%252F%252Fu%253ap%2540h", "/to/REDACTED@h" },
		{ "//u;x=1:p@h/b", "//REDACTED/b" },
		{ "/50%/%4", "/50%/%4" },
		{ "*", "*" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t memory[256];
		struct arena a;
		arena_init(&a, memory, sizeof(memory));
		struct text t = text_begin(&a);
		url_add_path(&t, slice_str(cases[i].in));
		assert_slice(text_end(&t), cases[i].out);
	}
}

static void localised_quotes(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "Schlüssel »geheim« fehlt", "Schlüssel ? fehlt" },
		{ "la clé « secret » n'existe pas", "la clé ? n'existe pas" },
		{ "clave «secreto» duplicada", "clave ? duplicada" },
		{ "“a” and „b“ end", "? end" },
		{ "「秘密」は", "?は" },
		{ "rôle ‹x› absent", "rôle ? absent" },
		{ "type ’x’ bad", "type ? bad" },
		{ "l’erreur est là", "l’erreur est là" },
		{ "open «secret", "open ?" },
		{ "User name [alice] or password is invalid.", "User name ? or password is invalid." },
		{ "Key (a)=(b \"c) of d\" is", "Key (a)=? is" },
		{ "an [d’un «secret] here", "an ?" },
		{ "an [a [\"b] secret", "an ?" },
		{ "an [a ‚b \"c‚ d] secret", "an ?" },
		{ "User name [al\"ice] or secret", "User name ?" }, /* whose end, nobody knows */
		{ "key [a] of [b] is", "key ? is" },
		{ "an open [secret", "an open ?" },
		{ "mix « \"a » b", "mix ?" },
		{ "mix « \"a » b\" end", "mix ? end" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t memory[256];
		struct arena a;
		arena_init(&a, memory, sizeof(memory));
		assert_slice(redact_message(&a, slice_str(cases[i].in)), cases[i].out);
	}
}

static void authorities(void **state)
{
	static const struct {
		const char *in, *host;
		uint16_t port;
	} cases[] = { { "a.example", "a.example", 0 },	{ "a.example:81", "a.example", 81 }, { "u:p@h:9", "h", 9 },	 { "[::1]:8080", "::1", 8080 },
		      { "[::1", "", 0 },		{ "h:99999", "h", 0 },		     { "h:", "h", 0 },		 { "u@x@h", "h", 0 },
		      { "", "", 0 },			{ ":80", "", 80 },		     { "h:-1", "h", 0 },
		      { "h?s:80", "h", 0 },		{ "h/s", "h", 0 },		     { "h s:80", "h", 0 },	 { "h,s", "h", 0 },
		      { "h;p=s", "h", 0 },		{ "h#s", "h", 0 },		     { "h%3Fs", "h", 0 },	 { "h:80?s", "h", 0 },
		      { "?s", "", 0 },			{ "[::1?s]:81", "::1", 81 },	     { "[fe80::1%25eth0]", "fe80::1%25eth0", 0 },
		      { "a_b.example.:81", "a_b.example.", 81 }, { "m\xc3\xbcnchen.example", "m\xc3\xbcnchen.example", 0 } };
	struct authority a;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		url_parse_authority(slice_str(cases[i].in), &a);
		assert_slice(a.host, cases[i].host);
		assert_int_equal(a.port, cases[i].port);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queries),
		cmocka_unit_test(paths),
		cmocka_unit_test(localised_quotes),
		cmocka_unit_test(authorities),
	};
	return cmocka_run_group_tests_name("url", tests, NULL, NULL);
}

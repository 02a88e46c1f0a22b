/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/signatures.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "probe/code.h"
#include "probe/window.h"

#include "../../bpf/abi/sites.h"

enum {
	CONSTANTS_MAX_BYTES = 64 * 1024 * 1024, /* as much is read */
	TEXT_MAX_BYTES = 512,   /* of one that is gone back in */
	PLACES_MAX = 16,        /* of texts */
	REFERENCES_MAX = 1024,
	RULES_MAX = 5, NUMBERS_MAX = 4,
	NONE = -1,
};

/* Texts that code refers to. */
enum text { SSL_LIB_CC, SSL_LIB_C, SSL_READ_INTERNAL, SSL_WRITE_INTERNAL, SSL_NEW, TEXTS };

static const struct {
	const char *text;
	bool ends; /* it is the end of one, whose beginning is how that file was named to the compiler */
} texts[TEXTS] = {
	[SSL_LIB_CC] = { "ssl/ssl_lib.cc", true },
	[SSL_LIB_C] = { "ssl/ssl_lib.c", true },
	[SSL_READ_INTERNAL] = { "ssl_read_internal", false },
	[SSL_WRITE_INTERNAL] = { "ssl_write_internal", false },
	[SSL_NEW] = { "SSL_new", false },
};

/* What is to be true of one function of a file, and of no other one. */
struct rule {
	enum plumb_site site;           /* PLUMB_SITE_NONE: it tells of another one */
	enum text text;
	int argument;                   /* that the numbers are loaded as, when it tells of its failure */
	uint32_t with[NUMBERS_MAX];     /* 0: no more */
	uint32_t without;
	int calls;                      /* the function of an earlier rule; NONE */
	size_t least_calls;             /* of whatever */
};

struct signature {
	const char *library;
	uint32_t number;                /* of the library itself, which each of its functions has as the first argument of what it tells of its failure by */
	struct rule rules[RULES_MAX];
};

/*
 * BoringSSL: ERR_put_error(16, 0, reason, __FILE__, line), with the reasons of include/openssl/ssl.h: SSL_R_BAD_LENGTH 111, SSL_R_SSL_HANDSHAKE_FAILURE 215, SSL_R_UNINITIALIZED 226,
 * SSL_R_NULL_SSL_CTX 185; ERR_R_SHOULD_NOT_HAVE_BEEN_CALLED 66. SSL_read and SSL_peek are alike, but for what the former does behind it, which is a call more.
 *
 * AWS-LC, the same; but there SSL_read calls SSL_peek, as SSL_peek_ex does, which has nothing to do behind it.
 *
 * OpenSSL 3 and 4: ERR_set_debug(file, line, function) and ERR_set_error(20, reason, …), with the reasons of include/openssl/sslerr.h: SSL_R_UNINITIALIZED 276, SSL_R_UNSUPPORTED_WRITE_FLAG 412. SSL_read and SSL_read_ex
 * come to ssl_read_internal, and so it is with writing: which takes flags since 3.3.
 *
 * OpenSSL 1.1.1: ERR_put_error(20, function, reason, file, line): SSL_F_SSL_NEW 186, SSL_F_SSL_READ_INTERNAL 523, SSL_F_SSL_WRITE_INTERNAL 524.
 */
static const struct signature signatures[] = {
	{ "boringssl", 16, {
		{ PLUMB_SITE_NONE, SSL_LIB_CC, 3, { 215, 226 }, 111, NONE, 0 },
		{ PLUMB_SITE_TLS_READ, SSL_LIB_CC, 3, { 66 }, 226, 0, 4 },
		{ PLUMB_SITE_TLS_WRITE, SSL_LIB_CC, 3, { 111, 215, 226 }, 0, NONE, 0 },
		{ PLUMB_SITE_TLS_NEW, SSL_LIB_CC, 3, { 185 }, 0, NONE, 0 },
	} },
	{ "aws-lc", 16, {
		{ PLUMB_SITE_NONE, SSL_LIB_CC, 3, { 215, 226 }, 111, NONE, 0 },
		{ PLUMB_SITE_NONE, SSL_LIB_CC, 3, { 66 }, 226, 0, 0 },
		{ PLUMB_SITE_TLS_READ, SSL_LIB_CC, 3, { 66 }, 226, 1, 3 },
		{ PLUMB_SITE_TLS_WRITE, SSL_LIB_CC, 3, { 111, 215, 226 }, 0, NONE, 0 },
		{ PLUMB_SITE_TLS_NEW, SSL_LIB_CC, 3, { 185 }, 0, NONE, 0 },
	} },
	{ "openssl", 20, {
		{ PLUMB_SITE_TLS_READ_EX, SSL_READ_INTERNAL, 2, { 276 }, 0, NONE, 0 },
		{ PLUMB_SITE_TLS_WRITE_EX, SSL_WRITE_INTERNAL, 2, { 276 }, 412, NONE, 0 },
		{ PLUMB_SITE_TLS_NEW, SSL_NEW, 0, { 0 }, 0, NONE, 0 },
	} },
	{ "openssl", 20, {
		{ PLUMB_SITE_TLS_READ_EX, SSL_READ_INTERNAL, 2, { 276 }, 0, NONE, 0 },
		{ PLUMB_SITE_TLS_WRITE_EX2, SSL_WRITE_INTERNAL, 2, { 276, 412 }, 0, NONE, 0 },
		{ PLUMB_SITE_TLS_NEW, SSL_NEW, 0, { 0 }, 0, NONE, 0 },
	} },
	{ "openssl", 20, {
		{ PLUMB_SITE_TLS_READ_EX, SSL_LIB_C, 2, { 523 }, 0, NONE, 0 },
		{ PLUMB_SITE_TLS_WRITE_EX, SSL_LIB_C, 2, { 524 }, 0, NONE, 0 },
		{ PLUMB_SITE_TLS_NEW, SSL_LIB_C, 2, { 186 }, 0, NONE, 0 },
	} },
};

enum { SIGNATURES = sizeof(signatures) / sizeof(signatures[0]) };

struct function {
	struct code_function code;
	uint32_t texts; /* that it refers to, by bit */
};

struct search {
	const struct elf_file *elf;
	uint64_t addresses[PLACES_MAX];
	enum text what[PLACES_MAX];
	size_t naddresses;
	uint32_t there;    /* texts, by bit */
	struct code_reference *references;
	struct function *functions;
	size_t nreferences, nfunctions;
};

/* --- constants --- */

static void text_take(struct search *s, enum text what, uint64_t address)
{
	if (s->naddresses < PLACES_MAX) {
		s->addresses[s->naddresses] = address;
		s->what[s->naddresses] = what;
	}
	s->naddresses++;
	s->there |= 1u << what;
}

static void texts_take(struct search *s, const uint8_t *p, uint64_t len, uint64_t count, uint64_t address)
{
	for (size_t i = 0; i < TEXTS; i++) {
		size_t bytes = strlen(texts[i].text) + 1;
		const uint8_t *at = p;
		while (s->naddresses <= PLACES_MAX && (at = memmem(at, len - (uint64_t)(at - p), texts[i].text, bytes))) {
			const uint8_t *begin = at;
			while (texts[i].ends && begin > p && begin[-1] && at - begin < TEXT_MAX_BYTES)
				begin--;
			/* The next part has what begins in its beginning, and so what is not whole here. */
			if ((uint64_t)(begin - p) < count)
				text_take(s, (enum text)i, address + (uint64_t)(begin - p));
			at++;
		}
	}
}

static int constants_read(struct search *s)
{
	struct elf_section constants;
	struct window w;
	uint64_t have, step;

	if (!elf_section(s->elf, ".rodata", &constants))
		return 0;
	if (constants.size > CONSTANTS_MAX_BYTES)
		constants.size = CONSTANTS_MAX_BYTES;
	int err = window_open(&w, s->elf, &constants);
	for (uint64_t at = 0; !err && at < constants.size; at += step) {
		const uint8_t *p = window_at(&w, at, constants.size - at < WINDOW_BYTES ? constants.size - at : WINDOW_BYTES, &have);
		if (!p) {
			err = -ENOEXEC;
			break;
		}
		step = have < WINDOW_BYTES ? have : have - TEXT_MAX_BYTES;
		texts_take(s, p, have, step, constants.address + at);
		if (s->naddresses > PLACES_MAX) /* no library has a text so often */
			err = -EFBIG;
	}
	window_close(&w);
	return err;
}

/* --- code --- */

static int functions_read(struct search *s)
{
	uint64_t *places = calloc(s->nreferences, sizeof(*places));
	struct code_function *functions = calloc(s->nreferences, sizeof(*functions));
	int err = places && functions ? 0 : -ENOMEM;

	for (size_t i = 0; i < s->nreferences && !err; i++)
		places[i] = s->references[i].at;
	if (!err)
		err = code_functions(s->elf, places, s->nreferences, functions);
	for (size_t i = 0; i < s->nreferences && !err; i++) { /* those of one function are neighbours */
		struct function *last = s->nfunctions ? &s->functions[s->nfunctions - 1] : NULL;
		if (!functions[i].begin)
			continue;
		if (!last || last->code.begin != functions[i].begin) {
			last = &s->functions[s->nfunctions++];
			*last = (struct function){ .code = functions[i] };
		}
		last->texts |= 1u << s->what[s->references[i].what];
	}
	free(functions);
	free(places);
	return err;
}

static int references_read(struct search *s)
{
	s->references = calloc(REFERENCES_MAX, sizeof(*s->references));
	s->functions = calloc(REFERENCES_MAX, sizeof(*s->functions));
	if (!s->references || !s->functions)
		return -ENOMEM;
	int err = code_references(s->elf, s->addresses, s->naddresses, s->references, REFERENCES_MAX, &s->nreferences);
	if (!err && s->nreferences)
		err = functions_read(s);
	return err;
}

/* --- signatures --- */

static bool fits(const struct search *s, const struct signature *g, const struct rule *r, const struct function *fn, const struct function *const *earlier, uint8_t *code)
{
	if (!(fn->texts & 1u << r->text) || elf_is_late(s->elf))
		return false;
	size_t len = code_read(s->elf, &fn->code, code);
	if (!code_has_number(code, len, 1, g->number))
		return false;
	for (size_t i = 0; i < NUMBERS_MAX && r->with[i]; i++)
		if (!code_has_number(code, len, r->argument, r->with[i]))
			return false;
	if (r->without && code_has_number(code, len, r->argument, r->without))
		return false;
	if (r->calls != NONE && !code_calls(s->elf, &fn->code, code, len, earlier[r->calls]->code.begin))
		return false;
	return !r->least_calls || code_calls(s->elf, &fn->code, code, len, 0) >= r->least_calls;
}

/* Each rule has its function, one. */
static bool signature_fits(const struct search *s, const struct signature *g, uint8_t *code, struct signature_match *ret)
{
	const struct function *found[RULES_MAX] = { NULL };
	struct signature_match m = { .library = g->library };

	for (size_t r = 0; r < RULES_MAX && (g->rules[r].site || g->rules[r].with[0]); r++) {
		for (size_t i = 0; i < s->nfunctions; i++)
			if (fits(s, g, &g->rules[r], &s->functions[i], found, code)) {
				if (found[r])
					return false;
				found[r] = &s->functions[i];
			}
		if (!found[r] || !found[r]->code.called)
			return false;
		if (g->rules[r].site) {
			m.places[m.n].offset = elf_offset(s->elf, found[r]->code.begin);
			m.places[m.n].site = (uint16_t)g->rules[r].site;
			if (!m.places[m.n++].offset)
				return false;
		}
	}
	*ret = m;
	return true;
}

static int signatures_match(const struct search *s, struct signature_match *ret)
{
	uint8_t *code = malloc(CODE_FUNCTION_MAX_BYTES);
	struct signature_match m;
	size_t found = 0;

	if (!code)
		return -ENOMEM;
	for (size_t i = 0; i < SIGNATURES; i++)
		if (signature_fits(s, &signatures[i], code, &m)) {
			*ret = m;
			found++;
		}
	bool late = elf_is_late(s->elf);
	if (found != 1 || late)
		*ret = (struct signature_match){ 0 };
	free(code);
	return late ? -EFBIG : 0;
}

/* Is there a signature all of whose texts the file has? */
static bool worth_it(const struct search *s)
{
	for (size_t i = 0; i < SIGNATURES; i++) {
		bool all = true;
		for (size_t r = 0; r < RULES_MAX && (signatures[i].rules[r].site || signatures[i].rules[r].with[0]); r++)
			all = all && s->there & 1u << signatures[i].rules[r].text;
		if (all)
			return true;
	}
	return false;
}

int signatures_find(const struct elf_file *f, struct signature_match *ret)
{
	struct search s = { .elf = f };

	memset(ret, 0, sizeof(*ret));
	int err = constants_read(&s);
	if (!err && worth_it(&s)) {
		err = references_read(&s);
		if (!err)
			err = signatures_match(&s, ret);
	}
	free(s.references);
	free(s.functions);
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/known.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "probe/elf.h"
#include "probe/go.h"
#include "probe/signatures.h"
#include "probe/uprobe.h"

#include "../../bpf/abi/gpu.h"
#include "../../bpf/abi/sites.h"

enum { SITES_MAX = 48, SAME_MAX = 6 }; /* of one library */
enum { BEGIN_BYTES = 16 };                 /* of a function, that are looked at */
enum { ENTRY = 1, RETURN = 2, BOTH = ENTRY | RETURN };
enum { SELDOM = 0, OFTEN = 1 };

/* Functions that take the same arguments. */
struct site {
	uint32_t site; /* enum plumb_site; of a GPU's driver above it its enum plumb_gpu_call */
	int at;
	int often;
	const char *functions[SAME_MAX];
};
enum { CALL_SHIFT = 16 };

struct library {
	const char *name;
	const char *sign; /* a function without which it is another library */
	const char *file; /* how its shared form is named, where it is looked for before anybody runs it; NULL: nowhere */
	struct site sites[SITES_MAX];
};

/*
 * GPU drivers: bpf/abi/gpu.def. A function that takes something else today has its older form beside it, and those that take the thread's own stream for the default one are apart, too. Which forms there
 * are, the file says.
 */
#define FORMS_CUDA(f) { f, f "_v2", f "_ptsz", f "_ptds", f "_v2_ptsz", f "_v2_ptds" }
#define FORMS_HIP(f) { f, f "_spt" }
#define GPU_SITE(id, name, api, takes, how) { (uint32_t)PLUMB_GPU_##id << CALL_SHIFT | PLUMB_SITE_GPU_##takes, BOTH, how, FORMS_##api(name) },
#define CUDA_OF_CUDA(...) GPU_SITE(__VA_ARGS__)
#define CUDA_OF_HIP(...)
#define HIP_OF_CUDA(...)
#define HIP_OF_HIP(...) GPU_SITE(__VA_ARGS__)

static const struct library known[] = {
	{ "sqlite", "sqlite3_step", "libsqlite3.so.*", {
		{ PLUMB_SITE_SQLITE_OPEN, BOTH, SELDOM, { "sqlite3_open", "sqlite3_open_v2" } },
		{ PLUMB_SITE_SQLITE_PREPARE, BOTH, SELDOM, { "sqlite3_prepare", "sqlite3_prepare_v2" } },
		{ PLUMB_SITE_SQLITE_PREPARE_V3, BOTH, SELDOM, { "sqlite3_prepare_v3" } },
		{ PLUMB_SITE_SQLITE_STEP, BOTH, OFTEN, { "sqlite3_step" } },
		{ PLUMB_SITE_SQLITE_RESET, ENTRY, OFTEN, { "sqlite3_reset" } },
		{ PLUMB_SITE_SQLITE_FINALIZE, ENTRY, SELDOM, { "sqlite3_finalize" } },
		{ PLUMB_SITE_SQLITE_CLOSE, BOTH, SELDOM, { "sqlite3_close", "sqlite3_close_v2" } },
	} },
	{ "duckdb", "duckdb_query", "libduckdb.so*", {
		{ PLUMB_SITE_DUCKDB_OPEN, BOTH, SELDOM, { "duckdb_open", "duckdb_open_ext" } },
		{ PLUMB_SITE_DUCKDB_CONNECT, BOTH, SELDOM, { "duckdb_connect" } },
		{ PLUMB_SITE_DUCKDB_QUERY, BOTH, OFTEN, { "duckdb_query" } },
		{ PLUMB_SITE_DUCKDB_PREPARE, BOTH, SELDOM, { "duckdb_prepare" } },
		{ PLUMB_SITE_DUCKDB_EXTRACT, BOTH, SELDOM, { "duckdb_extract_statements" } },
		{ PLUMB_SITE_DUCKDB_PREPARE_EXTRACTED, BOTH, SELDOM, { "duckdb_prepare_extracted_statement" } },
		{ PLUMB_SITE_DUCKDB_EXECUTE, BOTH, OFTEN, { "duckdb_execute_prepared", "duckdb_execute_prepared_streaming" } },
		{ PLUMB_SITE_DUCKDB_PENDING, BOTH, OFTEN, { "duckdb_pending_prepared", "duckdb_pending_prepared_streaming" } },
		{ PLUMB_SITE_DUCKDB_EXECUTE_PENDING, BOTH, OFTEN, { "duckdb_execute_pending" } },
		{ PLUMB_SITE_DUCKDB_FORGET, ENTRY, SELDOM, { "duckdb_destroy_prepare", "duckdb_disconnect", "duckdb_close" } },
		{ PLUMB_SITE_DUCKDB_DROP, ENTRY, SELDOM, { "duckdb_destroy_extracted", "duckdb_destroy_pending" } },
	} },
	/* And LibreSSL, BoringSSL, AWS-LC: https://docs.openssl.org/master/man3/SSL_read/ */
	{ "openssl", "SSL_write", "libssl.so.*", {
		{ PLUMB_SITE_TLS_NEW, RETURN, SELDOM, { "SSL_new" } },
		{ PLUMB_SITE_TLS_BEGIN, ENTRY, SELDOM, { "SSL_clear" } }, /* called by the library itself, too, as a handshake begins */
		{ PLUMB_SITE_TLS_READ, BOTH, OFTEN, { "SSL_read" } },
		{ PLUMB_SITE_TLS_READ_EX, BOTH, OFTEN, { "SSL_read_ex", "SSL_read_early_data" } },
		{ PLUMB_SITE_TLS_WRITE, BOTH, OFTEN, { "SSL_write" } },
		{ PLUMB_SITE_TLS_WRITE_EX, BOTH, OFTEN, { "SSL_write_ex", "SSL_write_early_data" } },
		{ PLUMB_SITE_TLS_WRITE_EX2, BOTH, OFTEN, { "SSL_write_ex2" } },
		{ PLUMB_SITE_TLS_SENDFILE, BOTH, OFTEN, { "SSL_sendfile" } },
		{ PLUMB_SITE_TLS_FREE, ENTRY, SELDOM, { "SSL_free" } },
	} },
	/* Mono's shim to a BoringSSL that has no names, in the same file: mono/btls/btls-ssl.h */
	{ "mono-btls", "mono_btls_ssl_write", "libmono-btls-shared.so", {
		{ PLUMB_SITE_TLS_NEW, RETURN, SELDOM, { "mono_btls_ssl_new" } },
		{ PLUMB_SITE_TLS_READ_APART, BOTH, OFTEN, { "mono_btls_ssl_read" } },
		{ PLUMB_SITE_TLS_WRITE_APART, BOTH, OFTEN, { "mono_btls_ssl_write" } },
		{ PLUMB_SITE_TLS_FREE, ENTRY, SELDOM, { "mono_btls_ssl_destroy" } },
	} },
	/* https://www.gnutls.org/manual/html_node/Core-TLS-API.html */
	{ "gnutls", "gnutls_record_send", "libgnutls.so.*", {
		{ PLUMB_SITE_TLS_INIT, BOTH, SELDOM, { "gnutls_init" } },
		{ PLUMB_SITE_TLS_READ, BOTH, OFTEN, { "gnutls_record_recv", "gnutls_record_recv_seq" } },
		{ PLUMB_SITE_TLS_WRITE, BOTH, OFTEN, { "gnutls_record_send", "gnutls_record_send2" } },
		{ PLUMB_SITE_TLS_FREE, ENTRY, SELDOM, { "gnutls_deinit" } },
	} },
	/* https://mbed-tls.readthedocs.io/projects/api/en/development/api/file/ssl_8h/ */
	{ "mbedtls", "mbedtls_ssl_write", "libmbedtls.so.*", {
		{ PLUMB_SITE_TLS_BEGIN, ENTRY, SELDOM, { "mbedtls_ssl_init", "mbedtls_ssl_session_reset" } },
		{ PLUMB_SITE_TLS_READ, BOTH, OFTEN, { "mbedtls_ssl_read" } },
		{ PLUMB_SITE_TLS_WRITE, BOTH, OFTEN, { "mbedtls_ssl_write" } },
		{ PLUMB_SITE_TLS_FREE, ENTRY, SELDOM, { "mbedtls_ssl_free" } },
	} },
	/* https://www.wolfssl.com/documentation/manuals/wolfssl/group__IO.html */
	{ "wolfssl", "wolfSSL_write", "libwolfssl.so.*", {
		{ PLUMB_SITE_TLS_NEW, RETURN, SELDOM, { "wolfSSL_new" } },
		{ PLUMB_SITE_TLS_BEGIN, ENTRY, SELDOM, { "wolfSSL_clear" } },
		{ PLUMB_SITE_TLS_READ, BOTH, OFTEN, { "wolfSSL_read", "wolfSSL_recv" } },
		{ PLUMB_SITE_TLS_WRITE, BOTH, OFTEN, { "wolfSSL_write", "wolfSSL_send" } },
		{ PLUMB_SITE_TLS_FREE, ENTRY, SELDOM, { "wolfSSL_free" } },
	} },
	/* https://docs.rs/rustls/: of its own, as nothing else has both directions of a connection. It is new when it begins to carry what it is for. */
	{ "rustls", "_ZN6rustls12common_state11CommonState16buffer_plaintext", NULL, {
		{ PLUMB_SITE_RUST_TLS_BEGIN, ENTRY, SELDOM, { "_ZN6rustls12common_state11CommonState22start_outgoing_traffic" } },
		{ PLUMB_SITE_RUST_TLS_READ, ENTRY, OFTEN, { "_ZN6rustls12common_state11CommonState23take_received_plaintext" } },
		{ PLUMB_SITE_RUST_TLS_WRITE, BOTH, OFTEN, { "_ZN6rustls12common_state11CommonState16buffer_plaintext" } },
	} },
	/* https://aws.github.io/s2n-tls/doxygen/s2n_8h.html: s2n_connection_new() wipes what it returns. */
	{ "s2n", "s2n_send", "libs2n.so*", {
		{ PLUMB_SITE_TLS_BEGIN, ENTRY, SELDOM, { "s2n_connection_wipe" } },
		{ PLUMB_SITE_TLS_READ, BOTH, OFTEN, { "s2n_recv" } },
		{ PLUMB_SITE_TLS_WRITE, BOTH, OFTEN, { "s2n_send" } },
		{ PLUMB_SITE_TLS_FREE, ENTRY, SELDOM, { "s2n_connection_free" } },
	} },
	/* https://firefox-source-docs.mozilla.org/security/nss/legacy/reference/, NSPR's prio.h: what NSS makes is used by NSPR's functions. */
	{ "nss", "SSL_ImportFD", "libssl3.so", {
		{ PLUMB_SITE_NSS_IMPORT, RETURN, SELDOM, { "SSL_ImportFD" } },
	} },
	{ "nspr", "PR_Write", "libnspr4.so", {
		{ PLUMB_SITE_NSS_READ, BOTH, OFTEN, { "PR_Read" } },
		{ PLUMB_SITE_NSS_RECV, BOTH, OFTEN, { "PR_Recv" } },
		{ PLUMB_SITE_NSS_WRITE, BOTH, OFTEN, { "PR_Write", "PR_Send" } },
		{ PLUMB_SITE_NSS_WRITEV, BOTH, OFTEN, { "PR_Writev" } },
		{ PLUMB_SITE_TLS_FREE, ENTRY, SELDOM, { "PR_Close" } },
	} },
	/* Java's JSSE, of which an agent tells: user/java. */
	{ "jsse", "plumb_tls_told_write", NULL, {
		{ PLUMB_SITE_TLS_BEGIN, ENTRY, SELDOM, { "plumb_tls_begin" } },
		{ PLUMB_SITE_TLS_TOLD_READ, ENTRY, OFTEN, { "plumb_tls_told_read" } },
		{ PLUMB_SITE_TLS_TOLD_WRITE, ENTRY, OFTEN, { "plumb_tls_told_write" } },
	} },
	{ "cuda", "cuLaunchKernel", NULL, {
#define GPU_CALL(id, name, api, ...) CUDA_OF_##api(id, name, api, __VA_ARGS__)
#include "../../bpf/abi/gpu.def"
#undef GPU_CALL
	} },
	{ "hip", "hipModuleLaunchKernel", NULL, {
#define GPU_CALL(id, name, api, ...) HIP_OF_##api(id, name, api, __VA_ARGS__)
#include "../../bpf/abi/gpu.def"
#undef GPU_CALL
	} },
};

/* rustls: MessageEncrypter::encrypt() of all kinds, of its two providers of cryptography (TLS 1.2; 1.3). */
static const char *const rust_encrypts[PLUMB_RUST_ENCRYPTS] = {
#define RUST_ENCRYPT(len, type) "_ZN" len "_$LT$rustls..crypto.." type "MessageEncrypter$u20$as$u20$rustls..crypto..cipher..MessageEncrypter$GT$7encrypt"
	RUST_ENCRYPT("109", "ring..tls12..Gcm"), RUST_ENCRYPT("122", "ring..tls12..ChaCha20Poly1305"), RUST_ENCRYPT("111", "ring..tls13..Tls13"),
	RUST_ENCRYPT("114", "aws_lc_rs..tls12..Gcm"), RUST_ENCRYPT("127", "aws_lc_rs..tls12..ChaCha20Poly1305"), RUST_ENCRYPT("115", "aws_lc_rs..tls13..Aead"), RUST_ENCRYPT("114", "aws_lc_rs..tls13..Gcm"),
#undef RUST_ENCRYPT
};

/* What a function calls with the same arguments and returns the result of: it has the probes where the kernel sets none on that. */
static const struct deeper {
	const char *function, *calls;
} deeper[] = {
	{ "s2n_recv", "s2n_recv_impl" },
};

enum { KNOWN = sizeof(known) / sizeof(known[0]), FUNCTIONS_MAX = KNOWN * SITES_MAX * SAME_MAX };

/* The function of number *at among all that are known; NULL: the last one was. */
static const char *function_next(size_t *at, const struct library **ret_library, const struct site **ret_site)
{
	for (; *at < FUNCTIONS_MAX; ++*at) {
		*ret_library = &known[*at / SAME_MAX / SITES_MAX];
		*ret_site = &(*ret_library)->sites[*at / SAME_MAX % SITES_MAX];
		const char *name = (*ret_site)->functions[*at % SAME_MAX];
		if (name) {
			++*at;
			return name;
		}
	}
	return NULL;
}

static void add_name(struct known_functions *k, const char *name)
{
	size_t len = strlen(k->names);

	snprintf(k->names + len, sizeof(k->names) - len, "%s%s", len ? ", " : "", name);
}

static bool is_long(const struct elf_file *f, uint64_t offset)
{
	uint8_t code[UPROBE_CODE_BYTES];

	return !elf_read(f, code, sizeof(code), offset) || uprobe_trap_is_long(code);
}

/* One too many is counted, and so is known. What has two names is there once. */
static void add_place(const struct elf_file *f, struct known_functions *k, struct known_place p)
{
	for (size_t i = 0; i < k->n && i < KNOWN_PLACES_MAX; i++)
		if (k->places[i].offset == p.offset && k->places[i].site == p.site)
			return;
	p.long_trap = is_long(f, p.offset);
	p.guessed |= p.site >= PLUMB_SITE_RUST_TLS_BEGIN && p.site <= PLUMB_SITE_RUST_TLS_WRITE;
	k->guessed |= p.guessed;
	if (k->n < KNOWN_PLACES_MAX)
		k->places[k->n] = p;
	k->n++;
}

static uint64_t deeper_of(const struct elf_file *f, const char *name)
{
	for (size_t i = 0; i < sizeof(deeper) / sizeof(deeper[0]); i++) {
		struct elf_function calls = { deeper[i].calls, 0 };
		if (strcmp(deeper[i].function, name) == 0 && elf_find(f, (const char *[]){ deeper[i].calls, NULL }, &calls, 1) > 0)
			return calls.offset;
	}
	return 0;
}

/* Where its probes go: on its first instruction, if that can be. */
static uint64_t place_of(const struct elf_file *f, const struct site *s, const char *name, uint64_t offset)
{
	uint8_t code[BEGIN_BYTES];

	if (!elf_read(f, code, sizeof(code), offset) || uprobe_can_be(code))
		return offset;
	size_t pushed = s->at == ENTRY ? uprobe_push_bytes(code, sizeof(code) - UPROBE_CODE_BYTES) : 0;
	if (pushed && uprobe_can_be(code + pushed))
		return offset + pushed;
	uint64_t calls = deeper_of(f, name);
	return calls ? calls : offset; /* the kernel will say so */
}

static bool has_function(const char *name, const struct elf_function *functions, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (functions[i].offset && strcmp(functions[i].name, name) == 0)
			return true;
	return false;
}

static enum known_kinds kind_of(const struct library *l)
{
	uint32_t site = l->sites[0].site & ((1u << CALL_SHIFT) - 1);

	return site >= PLUMB_SITE_GPU_PLAIN ? KNOWN_GPU : site >= PLUMB_SITE_TLS_NEW ? KNOWN_TLS : KNOWN_DATABASES;
}

/* Without its sign it is something else that has a function of such a name. */
static bool is_there(const struct library *l, const struct elf_function *functions, size_t n)
{
	return has_function(l->sign, functions, n);
}

/* Where what the programs go by is in the file. */
static void rust_describe(const struct elf_function *encrypts, struct known_functions *ret)
{
	for (size_t i = 0; i < PLUMB_RUST_ENCRYPTS; i++)
		ret->rust.encrypts[i] = encrypts[i].offset;
	for (size_t i = 0; i < ret->n && i < KNOWN_PLACES_MAX; i++) {
		const struct known_place *p = &ret->places[i];
		if (p->site == PLUMB_SITE_RUST_TLS_BEGIN)
			ret->rust.begin = p->offset;
		if (p->site == PLUMB_SITE_RUST_TLS_READ)
			ret->rust.read = p->offset;
		if (p->site == PLUMB_SITE_RUST_TLS_WRITE)
			ret->rust.write = p->offset;
	}
}

static int known_libraries(const struct elf_file *f, unsigned kinds, struct known_functions *ret)
{
	struct elf_function functions[FUNCTIONS_MAX + PLUMB_RUST_ENCRYPTS];
	const char *signs[KNOWN + 1] = { NULL }, *name;
	const struct library *library, *latest = NULL;
	const struct site *site;
	size_t n = 0, at = 0;
	bool is = false;

	for (size_t i = 0; i < KNOWN; i++)
		signs[i] = known[i].sign;
	while ((name = function_next(&at, &library, &site)))
		functions[n++] = (struct elf_function){ name, 0 };
	for (size_t i = 0; i < PLUMB_RUST_ENCRYPTS; i++)
		functions[n++] = (struct elf_function){ rust_encrypts[i], 0 };
	int found = elf_find(f, signs, functions, n);
	if (found <= 0)
		return found;
	at = 0;
	for (size_t i = 0; (name = function_next(&at, &library, &site)); i++) {
		if (library != latest) {
			is = kinds & kind_of(library) && is_there(library, functions, n);
			if (is)
				add_name(ret, library->name);
			latest = library;
		}
		if (is && functions[i].offset)
			add_place(f, ret, (struct known_place){ .offset = place_of(f, site, name, functions[i].offset), .site = (uint16_t)site->site, .call = (uint16_t)(site->site >> CALL_SHIFT), .entry = site->at & ENTRY, .returns = site->at & RETURN, .often = site->often });
	}
	rust_describe(&functions[n - PLUMB_RUST_ENCRYPTS], ret);
	return 0;
}

/* crypto/tls: https://pkg.go.dev/crypto/tls#Conn */
static const struct go_known {
	const char *name;
	enum plumb_site begins, returns; /* PLUMB_SITE_NONE: its returns are of no interest */
	bool often;
} go_known[] = {
	{ "crypto/tls.(*Conn).Write", PLUMB_SITE_GO_TLS_WRITE, PLUMB_SITE_GO_TLS_WRITTEN, true },
	{ "crypto/tls.(*Conn).Read", PLUMB_SITE_GO_TLS_READ, PLUMB_SITE_GO_TLS_DONE_READING, true },
	{ "crypto/tls.(*Conn).Close", PLUMB_SITE_GO_TLS_CLOSE, PLUMB_SITE_NONE, false },
	{ "crypto/tls.(*Conn).clientHandshake", PLUMB_SITE_GO_TLS_BEGIN, PLUMB_SITE_NONE, false },
	{ "crypto/tls.(*Conn).serverHandshake", PLUMB_SITE_GO_TLS_BEGIN, PLUMB_SITE_NONE, false },
};

enum { GO_KNOWN = sizeof(go_known) / sizeof(go_known[0]) };

static int known_in_go(const struct elf_file *f, struct known_functions *ret)
{
	struct go_function functions[GO_KNOWN];

	for (size_t i = 0; i < GO_KNOWN; i++)
		functions[i] = (struct go_function){ .name = go_known[i].name };
	int found = go_find(f, functions, GO_KNOWN);
	if (found <= 0)
		return found;
	/* Who only ever asks has no server's handshake; without one of them no connection would be known to be new. */
	if (!functions[0].offset || !functions[1].offset || (!functions[3].offset && !functions[4].offset))
		return 0;
	add_name(ret, "crypto/tls");
	for (size_t i = 0; i < GO_KNOWN; i++) {
		const struct go_known *k = &go_known[i];
		if (!functions[i].offset)
			continue;
		add_place(f, ret, (struct known_place){ .offset = functions[i].offset, .site = (uint16_t)k->begins, .entry = true, .often = k->often });
		for (size_t r = 0; k->returns && r < functions[i].nreturns; r++)
			add_place(f, ret, (struct known_place){ .offset = functions[i].returns[r], .site = (uint16_t)k->returns, .entry = true, .often = k->often });
	}
	return 0;
}

/* How calls of such a function are looked at, whichever library has it. */
static const struct site *site_of(enum plumb_site sought)
{
	for (size_t l = 0; l < KNOWN; l++)
		for (size_t i = 0; i < SITES_MAX; i++)
			if (known[l].sites[i].site == sought)
				return &known[l].sites[i];
	return NULL;
}

static int known_by_code(const struct elf_file *f, struct known_functions *ret)
{
	struct signature_match m;
	int err = signatures_find(f, &m);

	if (err || !m.n)
		return err;
	add_name(ret, m.library);
	ret->by_code = true;
	for (size_t i = 0; i < m.n; i++) {
		const struct site *s = site_of(m.places[i].site);
		if (s)
			add_place(f, ret, (struct known_place){ .offset = m.places[i].offset, .site = m.places[i].site, .entry = s->at & ENTRY, .returns = s->at & RETURN, .often = s->often, .guessed = true });
	}
	return 0;
}

/* One that has its symbols is not sought by its code. */
static bool has_tls(const struct known_functions *k)
{
	for (size_t i = 0; i < k->n && i < KNOWN_PLACES_MAX; i++)
		if (k->places[i].site >= PLUMB_SITE_TLS_NEW && k->places[i].site < PLUMB_SITE_GPU_PLAIN)
			return true;
	return false;
}

int known_find(int fd, unsigned kinds, struct known_functions *ret)
{
	struct elf_section listeners;
	struct elf_file *f;
	int err = elf_open(fd, &f);

	memset(ret, 0, sizeof(*ret));
	if (err)
		return err;
	int bad[3];
	bad[0] = known_libraries(f, kinds, ret);
	bad[1] = known_in_go(f, ret);
	bad[2] = has_tls(ret) ? 0 : known_by_code(f, ret);
	/* A table that makes no sense, or is too large, does not hide what another way has found. */
	for (size_t i = 0; i < 3; i++)
		if (bad[i] && bad[i] != -ENOEXEC && (bad[i] != -EFBIG || !ret->n))
			err = bad[i];
	if (elf_section(f, ".plumb.listeners", &listeners) && listeners.size >= sizeof(uint16_t))
		ret->listeners = listeners.offset;
	elf_close(f);
	if (!err && ret->n > KNOWN_PLACES_MAX)
		err = -EFBIG;
	if (err)
		ret->n = 0;
	return err;
}

bool known_file(size_t i, const char **ret_name)
{
	*ret_name = i < KNOWN ? known[i].file : NULL;
	return i < KNOWN;
}

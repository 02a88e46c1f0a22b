/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of calls of libraries for shared recordings: see masker.h for what stays. A text is whole, or cut, in its record: there is no state. */
#include "proto/masker_calls.h"

#include <string.h>

#include "lib/symbol.h"
#include "proto/gpu_names.h"

static const char *const keywords[] = {
	"select", "insert", "update", "delete", "replace", "begin", "commit", "rollback", "end", "savepoint", "release", "with", "values", "create", "alter", "drop", "pragma", "attach", "detach",
	"vacuum", "analyze", "reindex", "explain", "copy", "from", "install", "load", "import", "export", "set", "reset", "checkpoint", "call", "truncate", "show", "describe", "summarize", "use",
	"merge", "pivot", "unpivot", "prepare", "execute", "deallocate", NULL,
};

static bool is_space(uint8_t b) { return b == ' ' || b == '\t' || b == '\n' || b == '\r'; }

static bool is_keyword(struct slice word)
{
	for (size_t i = 0; keywords[i]; i++)
		if (slice_ieq(word, slice_str(keywords[i])))
			return true;
	return false;
}

/* The command, if it is one of the list, and the space around it. */
static size_t kept_of_statement(const uint8_t *p, size_t n)
{
	size_t at = 0;

	while (at < n && is_space(p[at]))
		at++;
	size_t word = at;
	while (at < n && ascii_lower(p[at]) >= 'a' && ascii_lower(p[at]) <= 'z')
		at++;
	bool ends = at == n || is_space(p[at]) || p[at] == ';';
	if (!ends || !is_keyword(slice_make(p + word, at - word)))
		return 0;
	return at < n ? at + 1 : at;
}

void mask_call(const struct plumb_rec_call *r, uint8_t *p, size_t n)
{
	static const char memory[] = ":memory:"; /* a database without a file */
	size_t kept = 0;

	/* A kernel's name, as the compiler made it; what is none must not look like one. */
	if (r->function > PLUMB_FN_GPU && gpu_call_name(r->function - PLUMB_FN_GPU)) {
		if (!symbol_is_plausible(slice_make(p, n)))
			memset(p, '?', n);
		return;
	}
	switch ((enum plumb_function)r->function) {
	case PLUMB_FN_SQLITE_OPEN:
	case PLUMB_FN_DUCKDB_OPEN:
		if (n == sizeof(memory) - 1 && memcmp(p, memory, n) == 0)
			kept = n;
		break;
	case PLUMB_FN_SQLITE_PREPARE:
	case PLUMB_FN_DUCKDB_PREPARE:
	case PLUMB_FN_DUCKDB_QUERY: kept = kept_of_statement(p, n); break;
	default: break; /* has none, or nobody knows what it is */
	}
	if (n > kept)
		memset(p + kept, 'x', n - kept);
}

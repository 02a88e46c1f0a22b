/* SPDX-License-Identifier: Apache-2.0 */
#include "span/statement.h"

#include "lib/hash.h"

const struct statement *statement_get(struct statement_cache *c, struct slice sql, enum sql_dialect dialect)
{
	if (sql.len == 0 || sql.len > STATEMENT_CACHED_MAX)
		return NULL;

	uint64_t hash = hash_slice(sql);
	struct statement *s = &c->slots[hash & (STATEMENT_SLOTS - 1)];
	struct slice known = slice_make(s->raw, s->raw_len);
	if (s->hash == hash && s->dialect == dialect && slice_eq(known, sql))
		return s;

	s->hash = hash;
	s->dialect = (uint16_t)dialect;
	s->raw_len = (uint16_t)sql.len;
	memcpy(s->raw, sql.ptr, sql.len);
	known.len = sql.len;
	sql_describe(known, dialect, &s->description);
	s->text_len = (uint16_t)sql_redact(known, dialect, s->text, sizeof(s->text));
	return s;
}

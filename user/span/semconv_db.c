/* SPDX-License-Identifier: Apache-2.0 */
#include "span/semconv_put.h"

#include "span/sql.h"

enum { STATEMENT_MAX = 4096 };

/* --- Databases: https://opentelemetry.io/docs/specs/semconv/database/database-spans/ --- */

/*
 * "{db.query.summary}", else "{operation} {target}", else the system. The namespace of Redis is a number and left out of names.
 */
static struct slice db_name(struct semconv *s, struct slice system, struct slice summary, struct slice operation, struct slice collection)
{
	if (summary.len)
		return summary;
	struct slice target = collection;
	if (!target.len)
		target = in_str(s, ATTR_DB_STORED_PROCEDURE_NAME);
	if (!target.len && s->span->protocol != PLUMB_PROTO_REDIS)
		target = in_str(s, ATTR_DB_NAMESPACE);
	struct slice name = semconv_join(s, operation, target);
	return name.len ? name : system;
}

struct db_query {
	struct slice summary, operation, collection, text;
};

/* A statement that is too long to be remembered: read each time. Returns the redacted text. */
static struct slice db_read_long(struct semconv *s, struct slice raw, enum sql_dialect dialect, struct sql_description *ret)
{
	char *out = (char *)s->text->base + s->text->used;
	size_t room = s->text->cap - s->text->used;
	size_t len = sql_redact(raw, dialect, out, room < STATEMENT_MAX ? room : STATEMENT_MAX);

	s->text->used += (uint32_t)len;
	sql_describe(raw, dialect, ret);
	return slice_make(out, len);
}

/*
 * What is done with a statement instead of executing it (PREPARE, DESCRIBE, FETCH) begins its summary, so that these are not named alike. Of BATCH INSERT, of which the statement is one
 * INSERT, the first word is what it does not say itself.
 */
static struct slice db_qualify(struct semconv *s, struct slice operation, const struct sql_description *d, struct slice summary)
{
	size_t own = d->operation.len;

	if (!operation.len || !summary.len || slice_eq(operation, d->operation))
		return summary;
	if (own && operation.len > own && slice_eq(slice_from(operation, operation.len - own), d->operation) && operation.ptr[operation.len - own - 1] == ' ')
		operation.len -= own + 1;
	struct slice all = semconv_join(s, operation, summary);
	size_t n = all.len;
	if (n > SQL_SUMMARY_MAX)
		for (n = SQL_SUMMARY_MAX; n && all.ptr[n] != ' '; n--)
			; /* whole names only */
	return slice_head(all, n);
}

/* What the parser said outranks what the statement says of itself. */
static void db_describe_sql(struct semconv *s, struct slice raw, enum sql_dialect dialect, struct db_query *q)
{
	const struct statement *known = statement_get(s->statements, raw, dialect);
	struct sql_description read;
	const struct sql_description *d = known ? &known->description : &read;
	struct slice text = known ? slice_make(known->text, known->text_len) : db_read_long(s, raw, dialect, &read);
	bool said = q->summary.len > 0;

	q->text = s->options->show_statements ? raw : text;
	if (!q->summary.len && known)
		q->summary = slice_make(d->summary, d->summary_len);
	else if (!q->summary.len)
		q->summary = arena_copy(s->text, slice_make(d->summary, d->summary_len), NULL);
	if (!said)
		q->summary = db_qualify(s, q->operation, d, q->summary);
	if (!q->operation.len)
		q->operation = d->operation;
	if (!q->collection.len)
		q->collection = d->collection;
}

/* A name that the protocol does not define and no server has answered without an error may be anything, and another one with each request. */
static struct slice db_operation_class(const struct semconv *s, struct slice operation)
{
	int64_t known;

	if (!in_int(s, ATTR_RAW_OPERATION_KNOWN, &known) || (s->x->response.start_ns && !(s->x->flags & EXCHANGE_ERROR)))
		return SLICE_NONE;
	return known > 0 ? slice_head(operation, (size_t)known) : SLICE_LIT("_OTHER");
}

/* False if what the protocol sends as a statement is no text of SQL's kind. */
static bool sql_dialect_of(enum proto_statement kind, enum sql_dialect *ret_dialect)
{
	switch (kind) {
	case PROTO_STATEMENT_ANSI: *ret_dialect = SQL_ANSI; return true;
	case PROTO_STATEMENT_MYSQL: *ret_dialect = SQL_MYSQL; return true;
	case PROTO_STATEMENT_CQL: *ret_dialect = SQL_CQL; return true;
	case PROTO_STATEMENT_CLICKHOUSE: *ret_dialect = SQL_CLICKHOUSE; return true;
	case PROTO_STATEMENT_TSQL: *ret_dialect = SQL_TSQL; return true;
	case PROTO_STATEMENT_SQLITE: *ret_dialect = SQL_SQLITE; return true;
	default: return false;
	}
}

void semconv_db(struct semconv *s)
{
	struct slice system = in_str(s, ATTR_DB_SYSTEM_NAME), raw = in_str(s, ATTR_RAW_STATEMENT);
	struct db_query q = {
		.summary = in_str(s, ATTR_DB_QUERY_SUMMARY),
		.operation = in_str(s, ATTR_DB_OPERATION_NAME),
		.collection = in_str(s, ATTR_DB_COLLECTION_NAME),
	};
	enum proto_statement kind = (enum proto_statement)s->statement;
	enum sql_dialect dialect;

	if (!system.len)
		system = kind == PROTO_STATEMENT_TSQL ? SLICE_LIT("microsoft.sql_server") : slice_str(s->protocol);
	if (raw.len && sql_dialect_of(kind, &dialect))
		db_describe_sql(s, raw, dialect, &q);
	else if (kind == PROTO_STATEMENT_CLEAN || s->options->show_statements)
		q.text = raw;
	put_str(s, ATTR_DB_SYSTEM_NAME, system);
	put_str(s, ATTR_DB_OPERATION_NAME, q.operation);
	put_str(s, ATTR_DB_COLLECTION_NAME, q.collection);
	put_str(s, ATTR_DB_QUERY_SUMMARY, q.summary);
	put_str(s, ATTR_DB_QUERY_TEXT, q.text);
	PASS(s, ATTR_DB_NAMESPACE, ATTR_DB_OPERATION_BATCH_SIZE, ATTR_DB_STORED_PROCEDURE_NAME, ATTR_DB_RESPONSE_STATUS_CODE,
	     ATTR_DB_RESPONSE_RETURNED_ROWS, ATTR_PLUMB_ROWS_AFFECTED, ATTR_DB_REDIRECTED_TO, ATTR_CASSANDRA_CONSISTENCY_LEVEL,
	     ATTR_CASSANDRA_PAGE_SIZE, ATTR_ORACLE_DB_SERVICE, ATTR_ORACLE_DB_INSTANCE_NAME, ATTR_DB_DURABILITY, ATTR_DB_SERVER_DURATION);
	s->span->name = db_name(s, system, q.summary, q.operation, q.collection);
	s->span->operation = db_operation_class(s, q.operation);
	semconv_error(s, exchange_error(s));
	semconv_server_socket(s, semconv_peer(s));
}

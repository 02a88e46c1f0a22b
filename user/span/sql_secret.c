/* SPDX-License-Identifier: Apache-2.0 */
#include "span/sql_secret.h"

static bool is_one_of(struct slice word, const char *const *words)
{
	for (size_t i = 0; words[i] && word.len; i++)
		if (slice_ieq(word, slice_str(words[i])))
			return true;
	return false;
}

static bool is(struct slice word, const char *text) { return slice_ieq(word, slice_str(text)); }

/* Functions, engines and dictionaries' sources of ClickHouse that are given credentials, which may be words. */
static bool takes_credentials(struct slice name)
{
	static const char *const names[] = { "s3", "s3cluster", "s3queue", "gcs", "oss", "cosn", "azureblobstorage", "azureblobstoragecluster", "azurequeue", "mysql", "postgresql",
		"materializedmysql", "materializedpostgresql", "mongodb", "redis", "remote", "remotesecure", "url", "urlcluster", "hdfs", "hdfscluster", "jdbc", "odbc", "iceberg", "icebergs3",
		"icebergs3cluster", "icebergazure", "icebergazurecluster", "icebergcluster", "deltalake", "deltalakecluster", "deltalakes3", "deltalakeazure", "hudi", "hudicluster", "kafka", "rabbitmq",
		"nats", "externaldistributed", "ytsaurus", "arrowflight", "encrypt", "decrypt", "trydecrypt", "aes_encrypt_mysql", "aes_decrypt_mysql", "hmac", NULL };

	return is_one_of(name, names);
}

/* PASSWORD behind these says one; elsewhere it is a column. */
static bool has_password(struct slice object)
{
	static const char *const objects[] = { "user", "role", "group", "login", "server", "application", "certificate", "symmetric", "asymmetric", "master", "credential", "database", "subscription", NULL };

	return is_one_of(object, objects);
}

static bool makes(const struct sql_secret *x) { return is(x->verb, "create") || is(x->verb, "alter"); }

/* The list of what may hold a secret opens here. */
static enum sql_secret_state opened(const struct sql_secret *x, enum sql_dialect dialect, bool outermost)
{
	static const char *const verbs[] = { "attach", "export", "import", NULL };

	if (is(x->last, "options") || (makes(x) && is(x->object, "secret")) || (outermost && (is_one_of(x->verb, verbs) || x->copies)))
		return SQL_SECRET_ITEMS;
	if (dialect == SQL_CLICKHOUSE && (takes_credentials(x->last) || (is(x->last, "source") && (makes(x) || is(x->verb, "attach")))))
		return SQL_SECRET_ALL;
	return SQL_SECRET_NONE;
}

static bool ends_as_password(struct slice word)
{
	enum { LEN = 8 };

	return word.len >= LEN && is(slice_from(word, word.len - LEN), "password");
}

/* A word that is shown; the state behind it. */
static enum sql_secret_state behind_word(struct sql_secret *x, enum sql_dialect dialect, struct slice w)
{
	static const char *const before_verb[] = { "explain", "analyze", "verbose", NULL };
	static const char *const before_object[] = { "or", "replace", "temporary", "temp", "persistent", "public", NULL };
	static const char *const plain[] = { "select", "insert", "update", "delete", "begin", "commit", NULL };
	static const char *const said_by[] = { "by", "as", "using", "replace", "values", NULL };

	if (!x->verb.len || is_one_of(x->verb, before_verb)) {
		x->verb = w;
		x->plain = dialect != SQL_TSQL && dialect != SQL_CLICKHOUSE && is_one_of(w, plain); /* the one needs no semicolons, the other's functions are given secrets */
		return SQL_SECRET_NONE;
	}
	if (makes(x) && !x->object.len) {
		if (!is_one_of(w, before_object))
			x->object = w;
		return SQL_SECRET_NONE;
	}
	if (is(w, "identified"))
		x->identified = true;
	else if (x->identified && is_one_of(w, said_by))
		return SQL_SECRET_NEXT;
	if (is(x->verb, "copy") && x->depth == 0 && (is(w, "to") || is(w, "from")))
		x->copies = true;
	if (dialect != SQL_MYSQL && !x->identified && ends_as_password(w) && ((makes(x) && has_password(x->object)) || is(x->verb, "backup") || is(x->verb, "restore")))
		return SQL_SECRET_NEXT; /* MySQL's PASSWORD is followed by a policy; behind IDENTIFIED it is in the name of a method */
	if (dialect == SQL_SQLITE && is(x->verb, "attach") && is(w, "key"))
		return SQL_SECRET_NEXT;
	if (dialect == SQL_CLICKHOUSE && makes(x) && is(x->object, "named") && x->depth == 0 && (is(w, "as") || is(w, "set"))) {
		x->from = 0;
		x->begun = false;
		return SQL_SECRET_ITEMS;
	}
	return SQL_SECRET_NONE;
}

static bool hides_in_list(struct sql_secret *x, struct slice s, bool opens, bool closes)
{
	if (closes && s.ptr[0] == ')' && x->from && x->depth < x->from) {
		x->state = SQL_SECRET_NONE;
		return false;
	}
	if (x->state == SQL_SECRET_ALL)
		return true;
	if (x->depth == x->from && s.ptr[0] == ',') {
		x->begun = false;
		return false;
	}
	if (opens || closes || x->begun)
		return opens || closes || s.ptr[0] != '=';
	x->begun = true;
	return false;
}

/* The first token of a secret, or one within it. */
static bool hides_word(struct sql_secret *x, enum sql_token_kind kind, struct slice s, bool closes)
{
	if (x->state == SQL_SECRET_NEXT && (s.ptr[0] == '=' || (kind == SQL_WORD && (is(s, "values") || is(s, "null")))))
		return false;
	if (x->depth <= x->from && (s.ptr[0] == ',' || s.ptr[0] == ';' || (closes && x->depth < x->from))) {
		x->state = SQL_SECRET_NONE;
		return false;
	}
	x->state = SQL_SECRET_WORD;
	return true;
}

bool sql_secret_hides(struct sql_secret *x, enum sql_dialect dialect, enum sql_token_kind kind, struct slice s)
{
	if (x->plain) {
		if (s.ptr[0] == ';')
			*x = (struct sql_secret){ 0 };
		return false;
	}
	bool opens = kind == SQL_PUNCT && memchr("([{", s.ptr[0], 3), closes = kind == SQL_PUNCT && memchr(")]}", s.ptr[0], 3);
	bool secret = x->state == SQL_SECRET_NEXT || x->state == SQL_SECRET_WORD, list = x->state == SQL_SECRET_ITEMS || x->state == SQL_SECRET_ALL;

	if (kind == SQL_SPACE) {
		if (x->state == SQL_SECRET_WORD && x->depth <= x->from)
			x->state = SQL_SECRET_NONE;
		return false;
	}
	/* Within a list only what closes it ends it. */
	x->depth += opens;
	if (closes && x->depth && (!list || s.ptr[0] == ')' || x->depth > x->from))
		x->depth--;
	if (list && !(s.ptr[0] == ';' && !x->from))
		return hides_in_list(x, s, opens, closes);
	if (secret && hides_word(x, kind, s, closes))
		return true;
	if (s.ptr[0] == ';') {
		*x = (struct sql_secret){ .depth = x->depth };
		return false;
	}
	if (opens && s.ptr[0] == '(') {
		x->state = opened(x, dialect, x->depth == 1);
		x->from = x->depth;
		x->begun = false;
	} else if (kind == SQL_WORD && !(secret && x->state == SQL_SECRET_NEXT)) {
		x->state = behind_word(x, dialect, s);
		if (x->state == SQL_SECRET_NEXT)
			x->from = x->depth;
	}
	x->last = kind == SQL_WORD || kind == SQL_QUOTED ? s : SLICE_NONE;
	return false;
}

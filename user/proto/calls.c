/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/calls.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/hash.h"
#include "lib/sql_lex.h"
#include "proto/calls_gpu.h"
#include "proto/calls_sqlite.h"
#include "proto/pairing_table.h"

enum { TIERS = 3, HANDLES = 8192, NAME_STEPS = 2 /* from a statement over its connection to the database */, NAME_MAX_BYTES = 255 };
static const uint32_t tier_bytes[TIERS] = { 192, 1024, PLUMB_CALL_TEXT_MAX };
static const uint32_t tier_part[TIERS] = { 1, 8, 32 };
static const uint64_t no_socket = UINT64_C(1) << 63; /* cookies count from 1: they never get there */

enum handle_kind { STATEMENT, CONNECTION, DATABASE };

struct caller { /* a process, while it has handles */
	uint32_t pid;
	struct process *process; /* refcounted; NULL unknown */
	struct handle *first;
};

struct handle {
	uint64_t key, object, parent;
	struct caller *caller;
	struct handle *prev, *next;   /* of the caller */
	struct handle *older, *newer; /* of the tier, by use */
	uint16_t len;
	uint8_t kind, tier;
	bool cut;        /* the text goes on */
	uint8_t text[];  /* of a statement; name of a database */
};

struct tier {
	struct slab slab;
	struct handle *oldest, *newest;
};

struct calls {
	struct pairing *pairing; /* not owned */
	struct calls_counts counts;
	uint64_t seed, number;
	struct map handles, callers;
	struct slab caller_slab;
	struct tier tiers[TIERS];
	struct connection conn;  /* of all exchanges: each is over before the next begins */
	struct message message;  /* scratch: large */
	char code[12];
	struct calls_gpu gpu;    /* scratch */
};

int calls_new(uint32_t max_handles, struct pairing *pairing, struct calls **ret_calls)
{
	struct calls *c = calloc(1, sizeof(*c));
	size_t all = 0;

	if (!c)
		return -ENOMEM;
	c->pairing = pairing;
	for (int i = 0; i < TIERS; i++) {
		size_t max = (max_handles ? max_handles : HANDLES) / tier_part[i];
		max = max ? max : 1;
		slab_init(&c->tiers[i].slab, sizeof(struct handle) + tier_bytes[i], max);
		all += max;
	}
	slab_init(&c->caller_slab, sizeof(struct caller), all);
	map_init(&c->handles, all);
	map_init(&c->callers, all);
	c->conn.role = PLUMB_ROLE_CLIENT;
	c->conn.phase = CONNECTION_PARSE;
	*ret_calls = c;
	return 0;
}

void calls_seed(struct calls *c, uint64_t seed)
{
	if (c->handles.len == 0)
		c->seed = seed;
}

/* --- handles --- */

static uint64_t key_of(const struct calls *c, uint32_t pid, uint64_t object)
{
	uint64_t words[2] = { pid, object };

	return hash_bytes(words, sizeof(words), c->seed);
}

static void use_add(struct tier *t, struct handle *h)
{
	h->older = t->newest;
	h->newer = NULL;
	*(t->newest ? &t->newest->newer : &t->oldest) = h;
	t->newest = h;
}

static void use_remove(struct tier *t, struct handle *h)
{
	*(h->older ? &h->older->newer : &t->oldest) = h->newer;
	*(h->newer ? &h->newer->older : &t->newest) = h->older;
}

static void caller_free(struct calls *c, struct caller *k)
{
	map_remove(&c->callers, k->pid);
	if (c->pairing->processes)
		process_table_unref(c->pairing->processes, k->process);
	slab_put(&c->caller_slab, k);
}

/* And its caller, if it was the last one. */
static void handle_free(struct calls *c, struct handle *h)
{
	struct caller *k = h->caller;
	struct tier *t = &c->tiers[h->tier];

	map_remove(&c->handles, h->key);
	use_remove(t, h);
	*(h->prev ? &h->prev->next : &k->first) = h->next;
	if (h->next)
		h->next->prev = h->prev;
	slab_put(&t->slab, h);
	if (!k->first)
		caller_free(c, k);
}

static void forget_all(struct calls *c, struct caller *k)
{
	bool more = k != NULL;

	while (more) {
		more = k->first->next != NULL;
		handle_free(c, k->first);
	}
}

void calls_forget(struct calls *c, uint32_t pid) { forget_all(c, map_get(&c->callers, pid)); }

void calls_free(struct calls *c)
{
	if (!c)
		return;
	for (int i = 0; i < TIERS; i++)
		while (c->tiers[i].oldest)
			handle_free(c, c->tiers[i].oldest);
	for (int i = 0; i < TIERS; i++)
		slab_done(&c->tiers[i].slab);
	map_done(&c->handles);
	map_done(&c->callers);
	slab_done(&c->caller_slab);
	free(c);
}

/* NULL: not known. */
static struct handle *handle_find(struct calls *c, uint32_t pid, uint64_t object)
{
	struct handle *h = object ? map_get(&c->handles, key_of(c, pid, object)) : NULL;

	if (!h || h->object != object || h->caller->pid != pid)
		return NULL;
	use_remove(&c->tiers[h->tier], h);
	use_add(&c->tiers[h->tier], h);
	return h;
}

static void handle_drop(struct calls *c, uint32_t pid, uint64_t object)
{
	struct handle *h = handle_find(c, pid, object);

	if (h)
		handle_free(c, h);
}

/* The process that has this pid now; of an earlier one, whose end was not told, nothing is left. */
static struct caller *caller_of(struct calls *c, uint32_t pid, const struct process *process)
{
	struct caller *k = map_get(&c->callers, pid);

	if (!k || !process || k->process == process)
		return k;
	forget_all(c, k);
	return NULL;
}

static struct caller *caller_make(struct calls *c, uint32_t pid, struct process *process)
{
	struct caller *k = slab_get(&c->caller_slab);

	if (!k)
		return NULL;
	k->pid = pid;
	if (map_put(&c->callers, pid, k)) {
		slab_put(&c->caller_slab, k);
		return NULL;
	}
	k->process = process_hold(process);
	return k;
}

/* Room for a text of so many bytes: that of the handle unused for longest, where there is no other. */
static struct handle *handle_get(struct calls *c, uint32_t len)
{
	uint8_t tier = 0;

	while (len > tier_bytes[tier])
		tier++;
	struct tier *t = &c->tiers[tier];
	struct handle *h = slab_get_raw(&t->slab);
	if (!h && t->oldest) {
		c->counts.evicted++;
		handle_free(c, t->oldest);
		h = slab_get_raw(&t->slab);
	}
	if (h)
		h->tier = tier;
	return h;
}

static void handle_keep(struct calls *c, const struct plumb_rec_call *r, struct process *process, enum handle_kind kind, struct slice text, bool cut)
{
	uint64_t key = key_of(c, r->pid, r->object);
	struct handle *h = map_get(&c->handles, key);

	if (h)
		handle_free(c, h); /* its end was not told */
	if (!r->object || (process && process->exit_ns))
		return; /* nobody would tell of its end any more */
	text = slice_head(text, PLUMB_CALL_TEXT_MAX);
	h = handle_get(c, (uint32_t)text.len);
	struct caller *k = h ? map_get(&c->callers, r->pid) : NULL;
	if (h && !k)
		k = caller_make(c, r->pid, process);
	if (!k || map_put(&c->handles, key, h)) {
		c->counts.refused++;
		if (h)
			slab_put(&c->tiers[h->tier].slab, h);
		if (k && !k->first)
			caller_free(c, k);
		return;
	}
	h->key = key;
	h->object = r->object;
	h->parent = r->parent;
	h->caller = k;
	h->kind = (uint8_t)kind;
	h->cut = cut;
	h->len = (uint16_t)text.len;
	if (text.len)
		memcpy(h->text, text.ptr, text.len);
	h->prev = NULL;
	h->next = k->first;
	if (k->first)
		k->first->prev = h;
	k->first = h;
	use_add(&c->tiers[h->tier], h);
}

/* --- names of databases --- */

static bool is_letter(uint8_t b) { return ascii_lower(b) >= 'a' && ascii_lower(b) <= 'z'; }

/*
 * What a database is called: its file without directories and without what a URI says besides, which may be a key. Another system's name (DuckDB: "postgres:host=… password=…") is that
 * system's alone if it holds settings.
 */
static struct slice database_name(struct slice text)
{
	size_t scheme = 0;

	text = slice_head(text, slice_find(text, '?', 0));
	while (scheme < text.len && is_letter(text.ptr[scheme]))
		scheme++;
	bool has_scheme = scheme > 1 && scheme < text.len && text.ptr[scheme] == ':';
	if (has_scheme && slice_ieq(slice_head(text, scheme), SLICE_LIT("file"))) {
		text = slice_from(text, scheme + 1);
		text = slice_head(text, slice_find(text, '#', 0));
	} else if (has_scheme && slice_find(text, '=', 0) != SIZE_MAX) {
		return slice_head(text, scheme);
	}
	for (size_t i = text.len; i-- > 0;)
		if (text.ptr[i] == '/') {
			text = slice_from(text, i + 1);
			break;
		}
	return slice_head(text, NAME_MAX_BYTES);
}

/* Of the handle or of what it belongs to; empty: not known. */
static struct slice name_of(struct calls *c, uint32_t pid, uint64_t object)
{
	struct handle *h = handle_find(c, pid, object);

	for (int i = 0; h && h->kind != DATABASE && i < NAME_STEPS; i++)
		h = handle_find(c, pid, h->parent);
	return h && h->kind == DATABASE ? slice_make(h->text, h->len) : SLICE_NONE;
}

/* --- exchanges --- */

static void fail(struct message *m, const char *error_type)
{
	m->flags |= MESSAGE_ERROR;
	snprintf(m->error_type, sizeof(m->error_type), "%s", error_type);
}

static void tell_result(struct calls *c, uint16_t protocol, int32_t result)
{
	struct message *m = &c->message;

	if (protocol == PLUMB_PROTO_DUCKDB) {
		if (result) /* which one, only a text tells */
			fail(m, "DuckDBError");
		return;
	}
	if (sqlite_succeeded(result))
		return;
	const char *name = sqlite_code_name(result);
	int n = snprintf(c->code, sizeof(c->code), "%d", result);
	message_add_str(m, ATTR_DB_RESPONSE_STATUS_CODE, slice_make(c->code, (size_t)n));
	fail(m, name ? name : c->code);
}

/* SELECT and VALUES have rows, if none; what else has given some (RETURNING, PRAGMA), too. */
static bool has_rows(struct slice statement)
{
	struct sql_lex l;

	if (!statement.len)
		return false;
	sql_lex_init(&l, statement, SQL_SQLITE);
	struct sql_token t = sql_lex_next(&l);
	if (t.kind == SQL_SPACE)
		t = sql_lex_next(&l);
	struct slice word = sql_token_slice(&l, t);
	return t.kind == SQL_WORD && (slice_ieq(word, SLICE_LIT("select")) || slice_ieq(word, SLICE_LIT("values")));
}

struct execution {
	const struct plumb_rec_call *r;
	struct process *process;
	uint16_t protocol;
	struct slice name;       /* of the database */
	struct slice statement;
	const char *operation;   /* of what has no statement; NULL */
	bool cut;                /* the statement goes on */
	bool not_seen;           /* there is a statement, and it is not known */
	bool gpu;                /* of a GPU's driver; the statement is its kernel's name */
};

static void set_sides(struct exchange *x, const struct plumb_rec_call *r)
{
	/* Nothing is sent, so no time passes between the end of the request and the first of the answer: neither is known. */
	x->request.start_ns = r->begin_ns;
	x->response.start_ns = x->response.end_ns = r->end_ns;
	x->request.tid = x->response.tid = r->tid;
	x->request.flow = x->response.flow = r->flow;
	x->state |= REQUEST_BEGUN | REQUEST_ENDED | RESPONSE_BEGUN | RESPONSE_ENDED;
}

static void tell_database(struct calls *c, const struct execution *e)
{
	const struct plumb_rec_call *r = e->r;
	struct message *m = &c->message;

	/* The short ones first, so that they fit. */
	if (e->name.len)
		message_add_str(m, ATTR_DB_NAMESPACE, e->name);
	tell_result(c, e->protocol, r->result);
	if (e->operation)
		message_add_str(m, ATTR_DB_OPERATION_NAME, slice_str(e->operation));
	if (e->not_seen)
		message_add_str(m, ATTR_PLUMB_INCOMPLETE, SLICE_LIT("statement_not_seen"));
	if (r->function == PLUMB_FN_SQLITE_EXECUTE && (r->count || (!(m->flags & MESSAGE_ERROR) && has_rows(e->statement))))
		message_add_int(m, ATTR_DB_RESPONSE_RETURNED_ROWS, (int64_t)r->count);
	if (e->statement.len)
		message_add_str(m, ATTR_RAW_STATEMENT, e->statement);
}

static void exchange(struct calls *c, const struct execution *e)
{
	const struct plumb_rec_call *r = e->r;
	struct message *m = &c->message;
	struct extent at = { .offset = ++c->number, .start_ns = r->begin_ns, .end_ns = r->end_ns, .tid = r->tid, .flow = r->flow, .side = PROTO_TO_SERVER };

	c->conn.sock = no_socket | (uint64_t)e->protocol << 32 | r->pid;
	c->conn.pid = r->pid;
	c->conn.process = e->process;
	c->conn.protocol = e->protocol;
	struct exchange *x = pairing_new_exchange(c->pairing, &c->conn, PLUMB_EGRESS, true, &at);
	if (!x)
		return;
	m->kind = MESSAGE_REQUEST;
	m->flags = MESSAGE_BEGIN | MESSAGE_END;
	m->nattrs = 0;
	m->error_type[0] = 0;
	if (e->gpu)
		calls_gpu_tell(&c->gpu, r, e->statement, m);
	else
		tell_database(c, e);
	x->flags |= EXCHANGE_WITHIN | (e->cut ? EXCHANGE_TRUNCATED : 0);
	x->request.offset = at.offset;
	set_sides(x, r);
	pairing_keep_attrs(c->pairing, x, m);
	pairing_complete(c->pairing, x);
}

/* --- records --- */

static bool is_cut(const struct plumb_rec_call *r, struct slice text) { return r->flags & PLUMB_CALL_CUT || r->len > text.len; }

static bool has_failed(const struct execution *e) { return e->protocol == PLUMB_PROTO_SQLITE ? !sqlite_succeeded(e->r->result) : e->r->result != 0; }

static void opened(struct calls *c, struct execution *e, struct slice text, const char *operation)
{
	const struct plumb_rec_call *r = e->r;
	bool connects = r->function == PLUMB_FN_DUCKDB_CONNECT;
	struct slice name = connects ? SLICE_NONE : database_name(text);

	/* Without a name DuckDB's is in memory, and SQLite's a file that nobody else sees. */
	if (e->protocol == PLUMB_PROTO_DUCKDB && !connects && !text.len && !(r->flags & PLUMB_CALL_NO_TEXT))
		name = SLICE_LIT(":memory:");
	handle_keep(c, r, e->process, connects ? CONNECTION : DATABASE, name, false);
	if (!has_failed(e))
		return;
	e->operation = operation;
	e->name = connects ? name_of(c, r->pid, r->parent) : name;
	exchange(c, e);
}

/* One that has failed is all that there will be of its statement. */
static void prepared(struct calls *c, struct execution *e, struct slice text)
{
	const struct plumb_rec_call *r = e->r;

	if (!has_failed(e)) {
		handle_keep(c, r, e->process, STATEMENT, text, is_cut(r, text));
		return;
	}
	e->name = name_of(c, r->pid, r->parent);
	e->statement = text;
	e->cut = text.len && is_cut(r, text);
	e->operation = text.len ? NULL : "PREPARE";
	exchange(c, e);
}

static void executed(struct calls *c, struct execution *e)
{
	const struct plumb_rec_call *r = e->r;
	struct handle *h = handle_find(c, r->pid, r->object);

	if (h && h->kind != STATEMENT)
		h = NULL;
	if (h && h->len) {
		e->statement = slice_make(h->text, h->len);
		e->cut = h->cut;
	} else {
		e->not_seen = true;
		e->operation = "EXECUTE";
		c->counts.not_seen++;
	}
	e->name = name_of(c, r->pid, r->parent ? r->parent : h ? h->parent : 0);
	exchange(c, e);
}

static void queried(struct calls *c, struct execution *e, struct slice text)
{
	e->name = name_of(c, e->r->pid, e->r->parent);
	e->statement = text;
	e->cut = text.len && is_cut(e->r, text);
	e->not_seen = !text.len;
	e->operation = text.len ? NULL : "QUERY";
	c->counts.not_seen += e->not_seen;
	exchange(c, e);
}

static uint16_t protocol_of(uint16_t function)
{
	if (function >= PLUMB_FN_SQLITE_OPEN && function <= PLUMB_FN_SQLITE_CLOSE)
		return PLUMB_PROTO_SQLITE;
	if (function >= PLUMB_FN_DUCKDB_OPEN && function <= PLUMB_FN_DUCKDB_FORGET)
		return PLUMB_PROTO_DUCKDB;
	if (function >= PLUMB_FN_GPU)
		return gpu_call_protocol(function - PLUMB_FN_GPU);
	return PLUMB_PROTO_NONE;
}

static void dispatch(struct calls *c, struct execution *e, struct slice text)
{
	const struct plumb_rec_call *r = e->r;

	if (r->function >= PLUMB_FN_GPU) {
		e->gpu = true;
		e->statement = text;
		exchange(c, e);
		return;
	}
	switch ((enum plumb_function)r->function) {
	case PLUMB_FN_SQLITE_OPEN:
	case PLUMB_FN_DUCKDB_OPEN: opened(c, e, text, "OPEN"); break;
	case PLUMB_FN_DUCKDB_CONNECT: opened(c, e, text, "CONNECT"); break;
	case PLUMB_FN_SQLITE_PREPARE:
	case PLUMB_FN_DUCKDB_PREPARE: prepared(c, e, text); break;
	case PLUMB_FN_SQLITE_EXECUTE:
	case PLUMB_FN_DUCKDB_EXECUTE: executed(c, e); break;
	case PLUMB_FN_DUCKDB_QUERY: queried(c, e, text); break;
	case PLUMB_FN_SQLITE_CLOSE:
		if (r->result == 0) /* else it is busy, and stays */
			handle_drop(c, r->pid, r->object);
		break;
	case PLUMB_FN_SQLITE_FINALIZE: /* the result is that of the latest execution */
	case PLUMB_FN_DUCKDB_FORGET: handle_drop(c, r->pid, r->object); break;
	case PLUMB_FN_NONE:
	case PLUMB_FN_GPU:
	case PLUMB_FUNCTIONS: break;
	}
}

void calls_record(struct calls *c, const struct plumb_rec_call *r, struct slice text)
{
	struct pairing *p = c->pairing;
	struct execution e = { .r = r, .protocol = protocol_of(r->function) };

	if (e.protocol == PLUMB_PROTO_NONE) {
		c->counts.unknown++;
		return;
	}
	if (p->enabled && !p->enabled[e.protocol])
		return;
	p->counts->messages[e.protocol]++;
	e.process = p->processes && r->pid ? process_table_ref(p->processes, r->pid) : NULL;
	(void)caller_of(c, r->pid, e.process);
	dispatch(c, &e, text);
	c->conn.process = NULL;
	if (p->processes)
		process_table_unref(p->processes, e.process);
}

void calls_counts(const struct calls *c, struct calls_counts *ret)
{
	*ret = c->counts;
	ret->handles = c->handles.len;
}

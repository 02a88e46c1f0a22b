/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Couchbase's key-value protocol: what messages look like is couchbase_wire.c. It is memcached's binary protocol in its header only, so it is a parser of its own:
 * memcached has one line of text for each of its rules, answers in order, and shows its keys; here each request has a number, answers come in any order, and
 * what is shown is the bucket and the collection.
 *
 * Shown are the operation, by the name that Couchbase's clients give it, bucket and collection; never a key, a path in a document, a value or a credential. The bucket is the one selected on
 * this connection. A key begins with the number of its collection if both sides have agreed on that (HELLO); what it is called is known of those whose number was
 * asked for on this connection.
 *
 * A miss, and a condition that was not met, are answers and no failures, as for memcached; that another node has the key (NOT_MY_VBUCKET) sends the client there, as MOVED does
 * in Redis. Values may be compressed (snappy); nothing in them is looked at.
 *
 * Requests are paired by their number and opcode. A quiet one is over when a noop behind it is answered, or, where answers are known to come in order, any request. What is answered in several messages ends
 * with the one without a key (stat), or with the status that says so (range scans). What a server tells its clients by itself, and streams of changes (DCP), belong to no exchange.
 */
#include "proto/couchbase_wire.h"
#include "proto/memory.h"

enum {
	COLLECTIONS = 32,
	PATH_SHOWN = 120,    /* of a scope, a dot and a collection; a longer one is not shown */
	BUCKET_MAX = 100,
	HELLO_MAX = 256,   /* bytes of an answer to HELLO */
	FEATURE_UNORDERED = 0x0e,
	FEATURE_COLLECTIONS = 0x12,
	ID_OFFSET = 8,     /* in an answer: behind the manifest's */
	RESYNC_KEEP = COUCHBASE_HEAD - 1,
};

struct collection {
	uint32_t number; /* its id, or of the request for it */
	bool asked;      /* not answered yet */
	uint8_t len;     /* 0: free */
	char name[PATH_SHOWN];
};

struct couchbase_memory {
	struct proto_memory *budget; /* not owned */
	struct collection collections[COLLECTIONS];
	uint8_t next;                /* to be used again */
};

struct couchbase_state {
	struct couchbase_memory *memory; /* external; NULL: collections have no names */
	uint32_t select;                 /* number of the request that selected the bucket */
	bool selecting;
	bool prefixed, ordered;          /* what HELLO has agreed on; neither is known before */
	bool quiet;                      /* such requests may be open */
	uint8_t bucket_len;
	char bucket[BUCKET_MAX];
};
_Static_assert(sizeof(struct couchbase_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

/* ---- collections ---- */

static void collection_ask(struct couchbase_memory *m, uint32_t opaque, struct slice name)
{
	if (!m || name.len == 0 || name.len > PATH_SHOWN)
		return;
	struct collection *c = &m->collections[m->next];
	m->next = (uint8_t)((m->next + 1) % COLLECTIONS);
	*c = (struct collection){ .number = opaque, .asked = true, .len = (uint8_t)name.len };
	for (size_t i = 0; i < name.len; i++) /* whatever it is, it stays one printable line */
		c->name[i] = name.ptr[i] < ' ' || name.ptr[i] >= 127 ? '?' : (char)name.ptr[i];
}

static struct collection *collection_find(struct couchbase_memory *m, uint32_t number, bool asked)
{
	for (unsigned i = 0; m && i < COLLECTIONS; i++)
		if (m->collections[i].len && m->collections[i].number == number && m->collections[i].asked == asked)
			return &m->collections[i];
	return NULL;
}

static void collection_answer(struct couchbase_memory *m, const struct couchbase_head *h, struct slice extras)
{
	struct collection *c = collection_find(m, h->opaque, true), *older;

	if (!c)
		return;
	bool known = h->status == 0 && extras.len >= ID_OFFSET + 4;
	uint32_t id = known ? load_be32(extras.ptr + ID_OFFSET) : 0;
	while (known && (older = collection_find(m, id, false)))
		older->len = 0;
	c->asked = false;
	c->number = id;
	if (!known)
		c->len = 0;
}

/* The number before a key: seven bits a byte, the low ones first. */
static bool id_read(struct slice key, uint32_t *ret_id)
{
	*ret_id = 0;
	for (unsigned i = 0; i < key.len && i < COUCHBASE_ID_MAX; i++) {
		*ret_id |= (uint32_t)(key.ptr[i] & 0x7f) << 7 * i;
		if (key.ptr[i] < 0x80)
			return true;
	}
	return false;
}

static void collection_add(const struct couchbase_state *s, struct slice key, struct message *m)
{
	uint32_t id;

	if (!s->prefixed || !id_read(key, &id))
		return;
	const struct collection *c = collection_find(s->memory, id, false);
	if (c)
		message_add_str(m, ATTR_DB_COLLECTION_NAME, slice_make(c->name, c->len));
	else if (id == 0)
		message_add_str(m, ATTR_DB_COLLECTION_NAME, SLICE_LIT("_default._default"));
}

/* ---- what is agreed on ---- */

static void bucket_select(struct couchbase_state *s, uint32_t opaque, struct slice name)
{
	s->bucket_len = (uint8_t)(name.len <= BUCKET_MAX ? name.len : 0);
	for (unsigned i = 0; i < s->bucket_len; i++)
		s->bucket[i] = name.ptr[i] < ' ' || name.ptr[i] >= 127 ? '?' : (char)name.ptr[i];
	s->select = opaque;
	s->selecting = true;
	if (s->memory) /* numbers are a bucket's */
		memset(s->memory->collections, 0, sizeof(s->memory->collections));
}

static void bucket_answer(struct couchbase_state *s, const struct couchbase_head *h)
{
	if (!s->selecting || s->select != h->opaque)
		return;
	s->selecting = false;
	if (h->status)
		s->bucket_len = 0;
}

static void features_take(struct couchbase_state *s, struct slice list)
{
	s->prefixed = false;
	s->ordered = true;
	for (size_t at = 0; list.len - at >= 2; at += 2) {
		uint16_t feature = load_be16(list.ptr + at);
		s->prefixed |= feature == FEATURE_COLLECTIONS;
		s->ordered &= feature != FEATURE_UNORDERED;
	}
}

/* ---- messages ---- */

/* Bytes of key and value that are looked at. */
static size_t tail_wanted(const struct couchbase_state *s, const struct couchbase_head *h)
{
	size_t tail = h->body - h->frames - h->extras;

	if (h->kind == COUCHBASE_ANSWER)
		return h->opcode == COUCHBASE_OP_HELLO && tail <= HELLO_MAX ? tail : 0;
	if (h->opcode == COUCHBASE_OP_SELECT_BUCKET)
		return h->key_len <= BUCKET_MAX ? h->key_len : 0;
	if (h->opcode == COUCHBASE_OP_COLLECTION_ID)
		return tail <= PATH_SHOWN ? tail : 0;
	if (!(h->op->flags & COUCHBASE_KEY) || !s->prefixed)
		return 0;
	return h->key_len < COUCHBASE_ID_MAX ? h->key_len : COUCHBASE_ID_MAX;
}

static void identify(const struct couchbase_head *h, enum message_kind kind, struct message *m)
{
	m->kind = kind;
	m->flags = MESSAGE_BEGIN | MESSAGE_END;
	m->keyed = kind != MESSAGE_ONEWAY;
	m->key = m->keyed ? h->opaque | (uint64_t)h->opcode << 32 : 0;
}

static void request(struct couchbase_state *s, const struct couchbase_head *h, const struct couchbase_frames *f, struct slice tail, struct message *m)
{
	const char *durability = couchbase_durability_name(f->durability);

	identify(h, MESSAGE_REQUEST, m);
	if (h->opcode == COUCHBASE_OP_QUITQ)
		m->flags |= MESSAGE_NO_RESPONSE;
	else if (h->op->flags & COUCHBASE_QUIET)
		m->flags |= MESSAGE_QUIET;
	s->quiet |= (m->flags & MESSAGE_QUIET) != 0;
	message_add_str(m, ATTR_DB_OPERATION_NAME, h->op->name ? slice_str(h->op->name) : SLICE_LIT("_OTHER"));
	if (h->opcode == COUCHBASE_OP_SELECT_BUCKET)
		bucket_select(s, h->opaque, tail);
	if (h->opcode == COUCHBASE_OP_COLLECTION_ID)
		collection_ask(s->memory, h->opaque, tail);
	if (s->bucket_len)
		message_add_str(m, ATTR_DB_NAMESPACE, slice_make(s->bucket, s->bucket_len));
	if (h->op->flags & COUCHBASE_KEY)
		collection_add(s, tail, m);
	if (durability)
		message_add_str(m, ATTR_DB_DURABILITY, slice_str(durability));
}

/* Whether further answers to the same request follow. */
static bool goes_on(const struct couchbase_head *h)
{
	return h->status == 0 && (h->opcode == COUCHBASE_OP_SCAN_CONTINUE || (h->opcode == COUCHBASE_OP_STAT && h->key_len));
}

static void outcome(const struct couchbase_head *h, const struct couchbase_frames *f, struct message *m)
{
	bool failed;
	const char *status = couchbase_status_name(h, &failed);

	if (status)
		message_add_str(m, ATTR_DB_RESPONSE_STATUS_CODE, slice_str(status));
	if (status && failed) {
		m->flags |= MESSAGE_ERROR;
		memcpy(m->error_type, status, strlen(status) + 1);
	} else if (h->op->flags & COUCHBASE_GETS && (h->status == 0 || h->status == 1)) {
		message_add_int(m, ATTR_DB_RESPONSE_RETURNED_ROWS, h->status == 0);
	}
	if (f->timed)
		message_add_int(m, ATTR_DB_SERVER_DURATION, couchbase_duration_ns(f->duration));
}

static void answer(struct couchbase_state *s, const struct couchbase_head *h, const struct couchbase_frames *f, struct slice extras, struct slice tail, struct message *m)
{
	identify(h, MESSAGE_RESPONSE, m);
	if (goes_on(h)) {
		m->flags |= MESSAGE_INTERIM;
		return;
	}
	if (h->opcode == COUCHBASE_OP_HELLO && h->status == 0)
		features_take(s, slice_from(tail, h->key_len));
	if (h->opcode == COUCHBASE_OP_SELECT_BUCKET)
		bucket_answer(s, h);
	if (h->opcode == COUCHBASE_OP_COLLECTION_ID)
		collection_answer(s->memory, h, extras);
	if (s->quiet && (h->opcode == COUCHBASE_OP_NOOP || s->ordered))
		m->flags |= MESSAGE_FLUSH;
	if (h->opcode == COUCHBASE_OP_NOOP)
		s->quiet = false;
	outcome(h, f, m);
}

static enum parse_status couchbase_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct couchbase_state *s = state;
	struct message *m = &ret->message;
	struct couchbase_frames f;
	struct couchbase_head h;
	enum couchbase_scan scan = couchbase_head_read(in, side, &h);

	ret->need = COUCHBASE_HEAD;
	if (scan != COUCHBASE_OK)
		return scan == COUCHBASE_MORE ? PARSE_NEED_MORE : PARSE_BAD;
	bool told = h.kind == (side == PROTO_TO_SERVER ? COUCHBASE_REQUEST : COUCHBASE_ANSWER) && !(h.op->flags & COUCHBASE_FLOW);
	if (told)
		ret->need += (size_t)h.frames + h.extras + tail_wanted(s, &h);
	if (in.len < ret->need)
		return PARSE_NEED_MORE;
	ret->consumed = ret->need;
	ret->skip = COUCHBASE_HEAD + (uint64_t)h.body - ret->consumed;
	if (told) {
		struct slice frames = slice_make(in.ptr + COUCHBASE_HEAD, h.frames), extras = slice_make(frames.ptr + h.frames, h.extras);
		struct slice tail = slice_make(extras.ptr + h.extras, ret->need - COUCHBASE_HEAD - h.frames - h.extras);
		couchbase_frames_read(frames, h.kind, &f);
		if (h.kind == COUCHBASE_REQUEST)
			request(s, &h, &f, tail, m);
		else
			answer(s, &h, &f, extras, tail, m);
	} else {
		identify(&h, MESSAGE_ONEWAY, m);
	}
	m->flags |= ret->skip ? MESSAGE_END_AFTER_SKIP : 0;
	return PARSE_MESSAGE;
}

/* ---- loss ---- */

/* What was agreed on, or selected anew, may be among what was lost; but it is said at the start, and holds. */
static size_t couchbase_resync(void *state, enum proto_side side, struct slice in)
{
	(void)state;
	return couchbase_find(in, side);
}

static void *couchbase_open(struct proto_memory *budget)
{
	struct couchbase_memory *m = proto_memory_get(budget, sizeof(*m));

	if (m)
		*m = (struct couchbase_memory){ .budget = budget };
	return m;
}

static void couchbase_close(void *external)
{
	struct couchbase_memory *m = external;

	if (m)
		proto_memory_put(m->budget, m);
}

const struct proto_ops proto_couchbase = {
	.name = "couchbase",
	.id = PLUMB_PROTO_COUCHBASE,
	.state_size = sizeof(struct couchbase_state),
	.detect = couchbase_detect,
	.parse = couchbase_parse,
	.resync = couchbase_resync,
	.resync_keep = RESYNC_KEEP,
	.open = couchbase_open,
	.close = couchbase_close,
	/* As memcached's: a burst has its heads spread over all of it. */
	.want = { 65536, 65536 },
};

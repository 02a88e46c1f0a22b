/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LDAP 3 (RFC 4511), and what 2 is of it. What messages look like is ldap_wire.c, what requests ask ldap_request.c, what may be a message ldap_detect.c.
 *
 * A request is an exchange with what has its message id: the entries and references of a search and the result behind them are one answer, and the entries are counted. Shown are
 * names of attributes, "?" stands for their values, also in names of entries: "search ou=?,dc=? sub (uid=?)". Passwords, credentials, entries and changes are not looked at.
 *
 * Errors: result codes by their names in RFC 4511, but for those that are no errors by its appendix A.1.
 *
 * An abandon has no answer, and ends the request that it names; what a server had sent by then is nobody's. What it says of itself (id 0) belongs to no exchange.
 * Behind a StartTLS that goes well the connection is TLS. Behind a SASL bind there may be a layer of its own, which nothing is seen through.
 */
#include "proto/ldap_wire.h"
#include "proto/memory.h"

enum { SEARCHES = 256, ABANDONED = 8, RESYNC_KEEP = 64 };

/* One that is being answered, by the low bits of its id. */
struct search {
	uint32_t id;
	uint32_t entries;
	uint32_t losses;             /* as many as there were when it was asked: all entries were seen */
	bool begun, counted;
};

struct ldap_memory {
	struct proto_memory *budget; /* not owned */
	struct search searches[SEARCHES];
	struct ldap_text text;       /* of the latest request */
};

struct ldap_state {
	struct ldap_memory *memory; /* external; NULL without memory: nothing is parsed then */
	uint32_t abandoned[ABANDONED];
	uint32_t tls_id;            /* of the StartTLS that is not answered yet */
	uint32_t losses;            /* of what is answered */
	uint8_t abandoned_next;
	bool abandon_told;          /* of the request at the start of the input: that what it abandons is over */
	bool tls_asked;
	bool layer;                 /* there may be one of SASL's by now */
	char number[12];
};
_Static_assert(sizeof(struct ldap_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

static void begin(struct message *m, enum message_kind kind, uint32_t id)
{
	m->kind = kind;
	m->flags = MESSAGE_BEGIN;
	m->keyed = kind != MESSAGE_ONEWAY;
	m->key = m->keyed ? id : 0;
}

static bool wants(struct slice in, size_t n, struct parse_result *ret)
{
	ret->need = n;
	return in.len < n;
}

/* Behind the first `taken` bytes nothing of the message is of interest. */
static enum parse_status whole(const struct ldap_head *h, size_t taken, struct slice in, struct parse_result *ret)
{
	ret->consumed = in.len < h->size ? taken : h->size;
	ret->skip = h->size - ret->consumed;
	if (ret->message.flags & MESSAGE_END && ret->skip)
		ret->message.flags |= MESSAGE_END_AFTER_SKIP;
	return PARSE_MESSAGE;
}

/* ---- requests ---- */

static struct search *search_of(struct ldap_state *s, uint32_t id) { return &s->memory->searches[id % SEARCHES]; }

/* Was it given up? With its result it is over for the server, too. */
static bool was_abandoned(struct ldap_state *s, uint32_t id, bool result)
{
	for (unsigned i = 0; i < ABANDONED; i++) {
		if (s->abandoned[i] != id)
			continue;
		s->abandoned[i] = result ? 0 : id;
		return true;
	}
	return false;
}

/* First the request that is given up, then this one, which has its own id. */
static enum parse_status abandoned(struct ldap_state *s, uint32_t id, struct parse_result *ret)
{
	static const char why[] = "abandoned";

	s->abandoned[s->abandoned_next++ % ABANDONED] = id;
	s->abandon_told = true;
	ret->message.kind = MESSAGE_REQUEST;
	ret->message.flags = MESSAGE_ABORT | MESSAGE_ERROR;
	ret->message.keyed = true;
	ret->message.key = id;
	memcpy(ret->message.error_type, why, sizeof(why));
	return PARSE_MESSAGE;
}

static enum parse_status request(struct ldap_state *s, struct slice in, struct parse_result *ret)
{
	struct ldap_head h;
	struct ldap_request r;
	struct message *m = &ret->message;

	switch (ldap_head_read(in, PROTO_TO_SERVER, &h)) {
	case LDAP_BAD: return PARSE_BAD;
	case LDAP_SHORT: ret->need = in.len + 1; return PARSE_NEED_MORE;
	case LDAP_OK: break;
	}
	size_t taken = h.size < LDAP_READ_MAX ? h.size : LDAP_READ_MAX;
	if (wants(in, taken, ret))
		return PARSE_NEED_MORE;
	ldap_request_read(h.op, slice_head(slice_from(slice_head(in, taken), h.at), h.len), &s->memory->text, &r);
	if (h.op == LDAP_ABANDON && !s->abandon_told)
		return abandoned(s, r.abandoned, ret);
	s->abandon_told = false;
	begin(m, MESSAGE_REQUEST, h.id);
	m->flags |= MESSAGE_END;
	if (h.op == LDAP_ABANDON || h.op == LDAP_UNBIND)
		m->flags |= MESSAGE_NO_RESPONSE;
	message_add_str(m, ATTR_DB_OPERATION_NAME, slice_str(r.name));
	if (r.shown)
		message_add_str(m, ATTR_RAW_STATEMENT, slice_make(s->memory->text.text, s->memory->text.len));
	if (h.op == LDAP_SEARCH)
		*search_of(s, h.id) = (struct search){ .id = h.id, .losses = s->losses, .counted = true };
	if (r.start_tls) {
		s->tls_asked = true;
		s->tls_id = h.id;
	}
	s->layer |= r.layer;
	return whole(&h, taken, in, ret);
}

/* ---- answers ---- */

/* The entry of this search, or a new one if it has been forgotten, or was never seen. */
static struct search *answered(struct ldap_state *s, uint32_t id)
{
	struct search *search = search_of(s, id);

	if (search->id != id)
		*search = (struct search){ .id = id, .losses = s->losses };
	return search;
}

static bool is_part(uint8_t op) { return op == LDAP_ENTRY || op == LDAP_REFERENCE || op == LDAP_INTERMEDIATE; }

/* An entry, a reference, or what comes before a result in another way. Its result ends the answer. */
static void part(struct ldap_state *s, const struct ldap_head *h, struct message *m)
{
	struct search *search = answered(s, h->id);

	begin(m, MESSAGE_RESPONSE, h->id);
	if (search->begun)
		m->flags = 0;
	search->begun = true;
	search->entries += h->op == LDAP_ENTRY;
}

static void add_result(struct ldap_state *s, const struct ldap_result *r, struct message *m)
{
	const char *name = ldap_code_name(r->code);
	char *p = s->number + sizeof(s->number);
	uint32_t n = r->code;

	if (r->code == LDAP_SUCCESS)
		return;
	do
		*--p = (char)('0' + n % 10);
	while (n /= 10);
	struct slice number = slice_make(p, (size_t)(s->number + sizeof(s->number) - p));
	message_add_str(m, ATTR_DB_RESPONSE_STATUS_CODE, number);
	if (!ldap_code_failed(r->code))
		return;
	struct slice type = name ? slice_str(name) : number;
	m->flags |= MESSAGE_ERROR;
	memcpy(m->error_type, type.ptr, type.len);
	m->error_type[type.len] = '\0';
	if (r->message.len)
		message_add_str(m, ATTR_RAW_STATUS_MESSAGE, r->message);
}

static void search_done(struct ldap_state *s, uint32_t id, struct message *m)
{
	struct search *search = search_of(s, id);

	if (search->id != id)
		return;
	if (search->begun)
		m->flags &= ~MESSAGE_BEGIN;
	if (search->losses != s->losses)
		m->flags |= MESSAGE_UNSURE; /* entries may have been among what was lost */
	else if (search->counted)
		message_add_int(m, ATTR_DB_RESPONSE_RETURNED_ROWS, search->entries);
	*search = (struct search){ 0 };
}

static void tls_answered(struct ldap_state *s, const struct ldap_result *r, struct message *m)
{
	s->tls_asked = false;
	if (!r->known || r->code != LDAP_SUCCESS)
		return;
	m->flags |= MESSAGE_SWITCH;
	m->next = PLUMB_PROTO_TLS;
}

static enum parse_status result(struct ldap_state *s, const struct ldap_head *h, struct slice in, struct parse_result *ret)
{
	size_t taken = h->size < LDAP_RESULT_MAX ? h->size : LDAP_RESULT_MAX;
	struct message *m = &ret->message;
	struct ldap_result r;

	if (wants(in, taken, ret))
		return PARSE_NEED_MORE;
	ldap_result_read(slice_head(slice_from(slice_head(in, taken), h->at), h->len), &r);
	begin(m, MESSAGE_RESPONSE, h->id);
	m->flags |= MESSAGE_END;
	search_done(s, h->id, m);
	if (r.known)
		add_result(s, &r, m);
	else
		message_add_str(m, ATTR_PLUMB_INCOMPLETE, SLICE_LIT("malformed"));
	if (s->tls_asked && h->op == LDAP_EXTENDED_DONE && h->id == s->tls_id)
		tls_answered(s, &r, m);
	return whole(h, taken, in, ret);
}

static enum parse_status response(struct ldap_state *s, struct slice in, struct parse_result *ret)
{
	struct ldap_head h;

	switch (ldap_head_read(in, PROTO_TO_CLIENT, &h)) {
	case LDAP_BAD: return PARSE_BAD;
	case LDAP_SHORT: ret->need = in.len + 1; return PARSE_NEED_MORE;
	case LDAP_OK: break;
	}
	if (h.id == 0 || was_abandoned(s, h.id, !is_part(h.op))) {
		begin(&ret->message, MESSAGE_ONEWAY, 0);
		ret->message.flags |= MESSAGE_END;
		return whole(&h, h.at, in, ret);
	}
	if (!is_part(h.op))
		return result(s, &h, in, ret);
	part(s, &h, &ret->message);
	return whole(&h, h.at, in, ret);
}

static enum parse_status ldap_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct ldap_state *s = state;

	if (!s->memory)
		return PARSE_BAD;
	if (s->layer && in.len && in.ptr[0] == 0) { /* the length in front of what SASL has encrypted */
		ret->consumed = in.len;
		ret->skip = UINT64_MAX;
		ret->apart = true;
		return PARSE_SKIP;
	}
	return side == PROTO_TO_SERVER ? request(s, in, ret) : response(s, in, ret);
}

/* ---- loss ---- */

static void ldap_lost(void *state, enum proto_side side)
{
	struct ldap_state *s = state;

	s->abandon_told &= side == PROTO_TO_CLIENT;
	s->losses += side == PROTO_TO_CLIENT;
}

static size_t ldap_resync(void *state, enum proto_side side, struct slice in)
{
	(void)state;
	for (size_t at = slice_find(in, LDAP_SEQUENCE, 0); at != SIZE_MAX; at = slice_find(in, LDAP_SEQUENCE, at + 1))
		if (ldap_detect(slice_from(in, at), side) >= DETECT_LIKELY)
			return at;
	return in.len;
}

static void *ldap_open(struct proto_memory *budget)
{
	struct ldap_memory *m = proto_memory_get(budget, sizeof(*m));

	if (m)
		*m = (struct ldap_memory){ .budget = budget };
	return m;
}

static void ldap_close(void *external)
{
	struct ldap_memory *m = external;

	if (m)
		proto_memory_put(m->budget, m);
}

const struct proto_ops proto_ldap = {
	.name = "ldap",
	.id = PLUMB_PROTO_LDAP,
	.state_size = sizeof(struct ldap_state),
	.detect = ldap_detect,
	.parse = ldap_parse,
	.resync = ldap_resync,
	.lost = ldap_lost,
	.resync_keep = RESYNC_KEEP,
	.open = ldap_open,
	.close = ldap_close,
	/* Of requests the names and filters of some that are read at once; of answers all heads in what a client reads. */
	.want = { 4 * LDAP_READ_MAX, 65536 },
};

/* SPDX-License-Identifier: Apache-2.0 */
/* What the families of conventions have in common: a span's attributes put there, and an exchange's looked up. For span/semconv*.c only. */
#ifndef PLUMB_SPAN_SEMCONV_PUT_H
#define PLUMB_SPAN_SEMCONV_PUT_H

#include "span/semconv.h"
#include "span/url.h"

/*
 * Where the span's next attribute goes, NULL if it has no room. Filled in place: an attribute made elsewhere and copied here makes the
 * processor wait, as a wide load cannot take what several narrow stores have just written.
 */
static inline struct attr *next_attr(struct semconv *s)
{
	if (s->span->nattrs < SPAN_ATTRS_MAX)
		return &s->span->attrs[s->span->nattrs++];
	s->counts->attrs_dropped++;
	return NULL;
}

static inline void put_str(struct semconv *s, enum attr_id id, struct slice value)
{
	struct attr *a = value.len ? next_attr(s) : NULL;

	if (a)
		*a = (struct attr){ .id = (uint16_t)id, .type = ATTR_TYPE_STR, .str = value };
}

static inline void put_int(struct semconv *s, enum attr_id id, int64_t value)
{
	struct attr *a = next_attr(s);

	if (a)
		*a = (struct attr){ .id = (uint16_t)id, .type = ATTR_TYPE_INT, .num = value };
}

static inline struct slice in_str(const struct semconv *s, enum attr_id id)
{
	const struct attr *a = s->in[id];

	return a && a->type == ATTR_TYPE_STR ? a->str : SLICE_NONE;
}

static inline bool in_int(const struct semconv *s, enum attr_id id, int64_t *ret_value)
{
	const struct attr *a = s->in[id];

	if (!a || a->type != ATTR_TYPE_INT)
		return false;
	*ret_value = a->num;
	return true;
}

/* Attributes that need no work. Only what is named here passes: a parser cannot leak what nobody has thought about. */
void semconv_pass(struct semconv *s, const enum attr_id *ids, size_t n);
#define PASS(s, ...)                                                                  \
	do {                                                                          \
		static const enum attr_id pass_ids[] = { __VA_ARGS__ };               \
		semconv_pass(s, pass_ids, sizeof(pass_ids) / sizeof(pass_ids[0]));            \
	} while (0)

/* Does this end answer? */
static inline bool is_server(const struct semconv *s) { return s->x->role == PLUMB_ROLE_SERVER; }

/* Is it the one that was connected to? Who asks is, almost always, who connected. */
static inline bool is_server_end(const struct semconv *s) { return is_server(s) != ((s->x->flags & EXCHANGE_REVERSED) != 0); }

/* It was read at a TLS library, or at a socket whose bytes the kernel encrypts. */
static inline bool is_encrypted(const struct semconv *s)
{
	const struct exchange *x = s->x;

	return PLUMB_IS_SESSION(x->ends.sock) || PLUMB_IS_PLAIN(x->request.offset) || PLUMB_IS_PLAIN(x->response.offset);
}

static inline struct slice exchange_error(const struct semconv *s)
{
	return slice_make(s->x->error_type, strnlen(s->x->error_type, sizeof(s->x->error_type)));
}

/* Both with a blank between them, or the one that there is. */
struct slice semconv_join(struct semconv *s, struct slice a, struct slice b);
/* error.type is set if and only if the span's status is ERROR. */
void semconv_error(struct semconv *s, struct slice type);
/* network.peer.*: the other end of the socket, whatever names were used to get there. Returns its text. */
struct slice semconv_peer(struct semconv *s);
/* server.* where the protocol names no server: the server's end of the socket. Returns the address. */
struct slice semconv_server_socket(struct semconv *s, struct slice peer);
/* server.address and server.port by the name the client used, else by the socket. */
void semconv_server_named(struct semconv *s, const struct authority *a, struct slice scheme, struct slice peer);
struct slice semconv_path(struct semconv *s, struct slice path);

/* The families. */
void semconv_http(struct semconv *s);
void semconv_websocket(struct semconv *s);
/* What is spoken inside HTTP, where that says more than HTTP does; the span's family follows. False: nothing that is known. */
bool semconv_inside_http(struct semconv *s);
void semconv_db(struct semconv *s);
void semconv_rpc(struct semconv *s);
void semconv_messaging(struct semconv *s);

#endif

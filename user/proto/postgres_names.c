/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/postgres_names.h"

#include "lib/hash.h"

struct postgres_names *postgres_names_new(struct proto_memory *memory)
{
	struct postgres_names *n = proto_memory_get_zeroed(memory, sizeof(*n));

	if (n)
		n->memory = memory;
	return n;
}

void postgres_names_free(struct postgres_names *n)
{
	if (!n)
		return;
	for (uint32_t i = 0; i < POSTGRES_STATEMENTS; i++)
		proto_memory_put(n->memory, n->statements[i].text);
	proto_memory_put(n->memory, n);
}

static struct postgres_statement *find(struct postgres_names *n, uint64_t hash)
{
	for (uint32_t i = 0; i < POSTGRES_STATEMENTS; i++)
		if (n->statements[i].generation && n->statements[i].hash == hash)
			return &n->statements[i];
	return NULL;
}

static struct postgres_ref refer(struct postgres_names *n, struct postgres_statement *s)
{
	s->used = ++n->clock;
	return (struct postgres_ref){ (uint32_t)(s - n->statements), s->generation };
}

/* A free slot, else the one unused for longest. */
static struct postgres_statement *take_slot(struct postgres_names *n)
{
	struct postgres_statement *oldest = &n->statements[0];

	for (uint32_t i = 0; i < POSTGRES_STATEMENTS; i++) {
		struct postgres_statement *s = &n->statements[i];

		if (!s->generation)
			return s;
		if (n->clock - s->used > n->clock - oldest->used)
			oldest = s;
	}
	n->evicted++;
	return oldest;
}

struct postgres_ref postgres_names_prepare(struct postgres_names *n, struct slice name, struct slice text, uint64_t request)
{
	uint64_t hash = hash_slice(name);
	struct postgres_statement *s = find(n, hash);
	bool replaces = s != NULL;

	if (!s)
		s = take_slot(n);
	text = slice_head(text, POSTGRES_STATEMENT_TEXT);
	if (!proto_memory_room(n->memory, &s->text, &s->room, (uint16_t)text.len)) {
		n->evicted++;
		s->generation = 0;
		return (struct postgres_ref){ 0 };
	}
	if (++n->generations == 0)
		n->generations = 1;
	s->hash = hash;
	s->generation = n->generations;
	s->unnamed = name.len == 0;
	s->doubtful = false;
	s->request = request;
	s->pending = true;
	s->replaces = replaces;
	s->len = (uint16_t)text.len;
	if (text.len)
		memcpy(s->text, text.ptr, text.len);
	return refer(n, s);
}

void postgres_names_confirm(struct postgres_names *n, uint64_t request)
{
	struct postgres_statement *oldest = NULL;

	for (uint32_t i = 0; i < POSTGRES_STATEMENTS; i++) {
		struct postgres_statement *s = &n->statements[i];

		if (s->generation && s->pending && s->request == request && (!oldest || n->generations - s->generation > n->generations - oldest->generation))
			oldest = s;
	}
	if (oldest)
		oldest->pending = false;
}

void postgres_names_refuse(struct postgres_names *n, uint64_t from, uint64_t to)
{
	for (uint32_t i = 0; i < POSTGRES_STATEMENTS; i++) {
		struct postgres_statement *s = &n->statements[i];

		if (s->pending && s->request >= from && s->request < to)
			s->generation = 0;
	}
}

struct postgres_ref postgres_names_find(struct postgres_names *n, struct slice name)
{
	struct postgres_statement *s = find(n, hash_slice(name));

	return s ? refer(n, s) : (struct postgres_ref){ 0 };
}

void postgres_names_close(struct postgres_names *n, struct slice name)
{
	struct postgres_statement *s = find(n, hash_slice(name));

	if (s)
		s->generation = 0;
}

static struct postgres_portal *find_portal(struct postgres_names *n, uint64_t hash)
{
	for (uint32_t i = 0; i < POSTGRES_PORTALS; i++)
		if (n->portals[i].used && n->portals[i].hash == hash)
			return &n->portals[i];
	return NULL;
}

void postgres_names_bind(struct postgres_names *n, struct slice portal, struct postgres_ref statement)
{
	uint64_t hash = hash_slice(portal);
	struct postgres_portal *p = find_portal(n, hash);

	if (!p) {
		p = &n->portals[0];
		for (uint32_t i = 0; i < POSTGRES_PORTALS && p->used; i++)
			if (!n->portals[i].used || n->clock - n->portals[i].used > n->clock - p->used)
				p = &n->portals[i];
		n->portals_forgotten |= p->used != 0;
	}
	if (++n->clock == 0)
		n->clock = 1; /* 0 marks a free portal */
	*p = (struct postgres_portal){ hash, n->clock, statement };
}

struct postgres_ref postgres_names_portal(struct postgres_names *n, struct slice portal)
{
	struct postgres_portal *p = find_portal(n, hash_slice(portal));

	return p ? p->statement : (struct postgres_ref){ 0 };
}

bool postgres_names_portal_of_sql(struct postgres_names *n, struct slice portal)
{
	return !n->portals_forgotten && !find_portal(n, hash_slice(portal));
}

void postgres_names_close_portal(struct postgres_names *n, struct slice portal)
{
	struct postgres_portal *p = find_portal(n, hash_slice(portal));

	if (p)
		p->used = 0;
}

const struct postgres_statement *postgres_names_get(const struct postgres_names *n, struct postgres_ref ref)
{
	const struct postgres_statement *s = &n->statements[ref.slot % POSTGRES_STATEMENTS];

	return ref.generation && s->generation == ref.generation ? s : NULL;
}

void postgres_names_doubt(struct postgres_names *n)
{
	n->portals_forgotten = true;
	for (uint32_t i = 0; i < POSTGRES_PORTALS; i++)
		n->portals[i].used = 0;
	for (uint32_t i = 0; i < POSTGRES_STATEMENTS; i++) {
		if (n->statements[i].unnamed)
			n->statements[i].generation = 0;
		n->statements[i].doubtful = true;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "span/route.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/hash.h"
#include "lib/map.h"
#include "lib/slab.h"

enum {
	CACHE_SLOTS = 4096,      /* a power of two */
	NODES_MAX = 65536,
	ROUTES_MAX = 16384,
	NODES_PER_ROUTE = 8,     /* of a service's bound */
	LITERAL_MAX = 48,        /* longer segments are never literal */
};

struct route {
	uint32_t hits; /* paths that had it and were there */
	uint8_t len;
	char text[ROUTE_TEXT_MAX];
};

/* A place in a service's tree of paths. */
struct route_node {
	struct route_node *parent, *first, *sibling;
	struct route *route; /* a path ends here; NULL = none so far */
	uint64_t key;
	uint16_t literals;   /* children that are words, not shapes */
	bool collapsed;      /* words below count as {param} from now on */
	bool shape;
	bool proven;         /* while its parent collapses: a route at or below it has a record */
	uint8_t len;
	char text[LITERAL_MAX];
};

struct route_service {
	uint64_t hash;
	struct route_node *root;
	uint32_t routes, nodes;
	uint32_t epoch; /* grows when templates change, so that cached ones are no longer found */
};

struct route_cached {
	uint64_t hash;
	const struct route_service *service;
	uint32_t epoch;
	struct route *route;
};

struct route_learner {
	uint32_t per_service;
	struct map services; /* by hash of the name */
	struct map children; /* by hash of parent and segment: struct route_node */
	struct slab service_slab, node_slab, route_slab;
	struct route_cached cache[CACHE_SLOTS];
};

int route_learner_new(uint32_t per_service, struct route_learner **ret_learner)
{
	struct route_learner *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->per_service = per_service ? per_service : ROUTE_PER_SERVICE;
	map_init(&l->services, ROUTE_SERVICES_MAX);
	map_init(&l->children, NODES_MAX);
	slab_init(&l->service_slab, sizeof(struct route_service), ROUTE_SERVICES_MAX);
	slab_init(&l->node_slab, sizeof(struct route_node), NODES_MAX);
	slab_init(&l->route_slab, sizeof(struct route), ROUTES_MAX);
	*ret_learner = l;
	return 0;
}

void route_learner_free(struct route_learner *l)
{
	if (!l)
		return;
	map_done(&l->services);
	map_done(&l->children);
	slab_done(&l->service_slab);
	slab_done(&l->node_slab);
	slab_done(&l->route_slab);
	free(l);
}

static struct route_service *service_get(struct route_learner *l, struct slice name)
{
	uint64_t hash = hash_slice(name);
	struct route_service *s = map_get(&l->services, hash);

	if (s)
		return s;
	s = slab_get(&l->service_slab);
	if (!s)
		return NULL;
	s->root = slab_get(&l->node_slab);
	if (!s->root || map_put(&l->services, hash, s)) {
		if (s->root)
			slab_put(&l->node_slab, s->root);
		slab_put(&l->service_slab, s);
		return NULL;
	}
	s->hash = hash;
	return s;
}

/* Of the place, not of the node's address: the tree's shape must not depend on where memory lies. */
static uint64_t child_key(const struct route_service *s, const struct route_node *parent, struct slice text)
{
	return hash_bytes(text.ptr, text.len, parent->parent ? parent->key : s->hash);
}

static struct route_node *child_find(const struct route_learner *l, const struct route_service *s, const struct route_node *parent,
				     struct slice text)
{
	struct route_node *n = map_get(&l->children, child_key(s, parent, text));

	if (!n || n->parent != parent || !slice_eq(slice_make(n->text, n->len), text))
		return NULL;
	return n;
}

static struct route_node *child_add(struct route_learner *l, struct route_service *s, struct route_node *parent, struct slice text, bool shape)
{
	uint64_t key = child_key(s, parent, text);

	if (s->nodes >= l->per_service * NODES_PER_ROUTE || text.len > LITERAL_MAX || map_get(&l->children, key))
		return NULL;
	struct route_node *n = slab_get(&l->node_slab);
	if (!n)
		return NULL;
	if (map_put(&l->children, key, n)) {
		slab_put(&l->node_slab, n);
		return NULL;
	}
	n->parent = parent;
	n->sibling = parent->first;
	n->key = key;
	n->shape = shape;
	n->len = (uint8_t)text.len;
	if (text.len)
		memcpy(n->text, text.ptr, text.len);
	parent->first = n;
	parent->literals = (uint16_t)(parent->literals + !shape);
	s->nodes++;
	return n;
}

static void node_release(struct route_learner *l, struct route_service *s, struct route_node *n)
{
	if (n->route) {
		slab_put(&l->route_slab, n->route);
		s->routes--;
	}
	map_remove(&l->children, n->key);
	slab_put(&l->node_slab, n);
	s->nodes--;
}

/* Frees a detached subtree, children first. Not recursive: no path may decide how deep our stack gets. */
static void subtree_release(struct route_learner *l, struct route_service *s, struct route_node *top)
{
	struct route_node *stop = top->parent;

	for (struct route_node *n = top; n != stop;) {
		if (n->first) {
			struct route_node *child = n->first;
			n->first = child->sibling;
			n = child;
			continue;
		}
		struct route_node *parent = n->parent;
		node_release(l, s, n);
		n = parent;
	}
}

static unsigned int fanout(const struct route_node *n)
{
	return n->parent ? ROUTE_FANOUT : ROUTE_FANOUT_ROOT;
}

/* Has a path that ends in this subtree come often? */
static bool subtree_proven(const struct route_node *top)
{
	for (const struct route_node *n = top;;) {
		if (n->route && n->route->hits >= ROUTE_PROVEN)
			return true;
		if (n->first) {
			n = n->first;
			continue;
		}
		while (n != top && !n->sibling)
			n = n->parent;
		if (n == top)
			return false;
		n = n->sibling;
	}
}

/*
 * Too many words stood here for all of them to be words of the program. Those that came back again and again are: a flood of paths that come once must not
 * take a service's routes away. Unless that holds for most of them: then they are values of which each is in use, such as names.
 */
static void node_collapse(struct route_learner *l, struct route_service *s, struct route_node *n)
{
	struct route_node *kept = NULL;
	unsigned int proven = 0;

	for (struct route_node *child = n->first; child; child = child->sibling) {
		child->proven = !child->shape && subtree_proven(child);
		proven += child->proven;
	}
	bool keep = proven <= fanout(n) / 2;
	for (struct route_node *child = n->first; child;) {
		struct route_node *next = child->sibling;
		if (child->shape || (child->proven && keep)) {
			child->sibling = kept;
			kept = child;
		} else {
			subtree_release(l, s, child);
		}
		child = next;
	}
	n->first = kept;
	n->literals = (uint16_t)(keep ? proven : 0);
	n->collapsed = true;
	s->epoch++;
}

/* The child of n that stands for the segment, made if need be. */
static struct route_node *step(struct route_learner *l, struct route_service *s, struct route_node *n, struct slice segment, bool doubtful)
{
	char out[ROUTE_SEGMENT_MAX];
	struct slice shape = route_segment_shape(segment, out);

	if (!shape.len && n->collapsed && segment.len && !child_find(l, s, n, segment))
		shape = SLICE_LIT("{param}");
	struct slice text = shape.len ? shape : segment;
	struct route_node *child = child_find(l, s, n, text);
	if (child)
		return child;
	if (!shape.len && segment.len) {
		/* A scan for files that do not exist must not make the real routes collapse. */
		if (doubtful && n->literals >= fanout(n) / 4)
			return NULL;
		if (n->literals >= fanout(n)) {
			node_collapse(l, s, n);
			return step(l, s, n, segment, doubtful);
		}
	}
	/* The empty segment of a trailing slash is no word: it does not count towards the fan-out. */
	return child_add(l, s, n, text, shape.len > 0 || segment.len == 0);
}

static struct route_node *walk(struct route_learner *l, struct route_service *s, struct slice path, bool doubtful)
{
	struct route_node *n = s->root;
	size_t from = 1, depth = 0;

	while (n && from <= path.len) {
		size_t to = from;
		while (to < path.len && path.ptr[to] != '/' && path.ptr[to] != ';')
			to++;
		if (++depth > ROUTE_SEGMENTS_MAX) {
			struct route_node *rest = child_find(l, s, n, SLICE_LIT("{path}"));
			return rest ? rest : child_add(l, s, n, SLICE_LIT("{path}"), true);
		}
		n = step(l, s, n, slice_make(path.ptr + from, to - from), doubtful);
		while (to < path.len && path.ptr[to] != '/')
			to++; /* matrix parameters */
		from = to + 1;
	}
	return n;
}

/* Writes the template of the path that ends at n; false if it is too long. */
static bool template_write(const struct route_node *n, struct route *ret_route)
{
	size_t at = ROUTE_TEXT_MAX;
	char text[ROUTE_TEXT_MAX];

	for (; n->parent; n = n->parent) {
		if ((size_t)n->len + 1 > at)
			return false;
		at -= n->len;
		memcpy(text + at, n->text, n->len);
		text[--at] = '/';
	}
	ret_route->len = (uint8_t)(ROUTE_TEXT_MAX - at);
	memcpy(ret_route->text, text + at, ret_route->len);
	return true;
}

static struct route *route_at(struct route_learner *l, struct route_service *s, struct route_node *n, bool doubtful)
{
	if (!n || n->route)
		return n ? n->route : NULL;
	if (s->routes >= (doubtful ? (l->per_service + 3) / 4 : l->per_service))
		return NULL;
	struct route *r = slab_get(&l->route_slab);
	if (!r)
		return NULL;
	if (!template_write(n, r)) {
		slab_put(&l->route_slab, r);
		return NULL;
	}
	n->route = r;
	s->routes++;
	return r;
}

struct slice route_learn(struct route_learner *l, struct slice service, struct slice path, bool doubtful)
{
	if (path.len == 0 || path.ptr[0] != '/')
		return SLICE_NONE;
	struct route_service *s = service_get(l, service);
	if (!s)
		return SLICE_NONE;

	/* A collision of 64 bits would show another template of the same service: rarer than a wrong memory bit. */
	uint64_t hash = hash_bytes(path.ptr, path.len, s->hash);
	struct route_cached *c = &l->cache[hash & (CACHE_SLOTS - 1)];
	struct route *r = c->route;
	if (c->service != s || c->hash != hash || c->epoch != s->epoch) {
		r = route_at(l, s, walk(l, s, path, doubtful), doubtful);
		if (!r)
			return SLICE_NONE;
		*c = (struct route_cached){ hash, s, s->epoch, r };
	}
	if (!doubtful && r->hits < ROUTE_PROVEN)
		r->hits++;
	return slice_make(r->text, r->len);
}

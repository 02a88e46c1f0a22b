/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/series.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/hash.h"

enum { KEY_MAX = 1 + GROUP_LABELS_MAX * (1 + LABEL_VALUE_MAX), PROBES = 4, EXEMPLARS_MAX = 16384, SWEEPS_PER_EXPIRY = 16 };

struct series_table {
	struct map map;             /* hash (+ probe) → series */
	struct map quotas;          /* hash of service and group → quota */
	struct slab exemplars;
	struct series *first[GROUP_SERIES_COUNT], *last[GROUP_SERIES_COUNT];
	struct series *overflow[GROUP_SERIES_COUNT]; /* of the group; made at birth, so that there is always one */
	uint16_t slot[FAMILY_COUNT];
	uint16_t slots[GROUP_SERIES_COUNT];
	uint32_t buckets[GROUP_SERIES_COUNT]; /* exemplars per series */
	uint32_t per_service, max;
	uint64_t expire_ns, swept_ns;
	struct series_counts counts;
};

struct key {
	uint32_t len;
	uint8_t bytes[KEY_MAX];
};

static void layout(struct series_table *t)
{
	for (size_t i = 0; i < FAMILY_COUNT; i++) {
		const struct metric_family *f = &metric_families[i];
		if (f->group >= GROUP_SERIES_COUNT)
			continue;
		t->slot[i] = t->slots[f->group];
		uint32_t n = f->kind == METRIC_HISTOGRAM ? f->bounds_count + 2 : 1;
		for (size_t v = 1; f->variants && f->variants[v]; v++)
			n++;
		t->slots[f->group] = (uint16_t)(t->slots[f->group] + n);
		if (f->kind == METRIC_HISTOGRAM && metric_groups[f->group].first == i)
			t->buckets[f->group] = f->bounds_count + 1;
	}
}

static void key_add(struct key *k, struct slice value)
{
	size_t len = value.len;

	if (len > LABEL_VALUE_MAX) {
		len = LABEL_VALUE_MAX;
		while (len && (value.ptr[len] & 0xc0) == 0x80)
			len--;
	}
	k->bytes[k->len++] = (uint8_t)len;
	if (len)
		memcpy(k->bytes + k->len, value.ptr, len);
	k->len += (uint32_t)len;
}

static void key_make(struct key *k, enum metric_group group, const struct slice *values, bool overflow)
{
	k->len = 0;
	k->bytes[k->len++] = overflow;
	for (uint32_t i = 0; i < metric_groups[group].count; i++)
		key_add(k, overflow && i > 0 ? SLICE_NONE : values[i]);
}

/* Two label sets with one 64-bit hash live side by side at hash, hash + 1, …; `*ret_free` is the place for a new one, 0 = none. */
static struct series *find(const struct series_table *t, enum metric_group group, const struct key *k, uint64_t hash, uint64_t *ret_free)
{
	*ret_free = 0;
	for (uint64_t i = 0; i < PROBES; i++) {
		struct series *s = map_get(&t->map, hash + i);
		if (!s) {
			if (!*ret_free)
				*ret_free = hash + i;
			/* A dropped neighbour may have left the gap, so the search goes on; the usual miss costs four look-ups, once per series. */
			continue;
		}
		if (s->group == group && s->key_len == k->len && memcmp(s->key, k->bytes, k->len) == 0)
			return s;
	}
	return NULL;
}

static struct series *series_new(struct series_table *t, enum metric_group group, const struct key *k, bool overflow)
{
	size_t values = t->slots[group] * sizeof(uint64_t), exemplars = t->buckets[group] * sizeof(struct exemplar *);
	struct series *s = calloc(1, sizeof(*s) + values + exemplars + k->len);

	if (!s)
		return NULL;
	s->values = (uint64_t *)(s + 1);
	if (exemplars)
		s->exemplars = (struct exemplar **)(void *)((uint8_t *)s->values + values);
	s->key = (uint8_t *)s->values + values + exemplars;
	memcpy(s->key, k->bytes, k->len);
	s->key_len = k->len;
	s->group = (uint8_t)group;
	s->overflow = overflow;
	s->prev = t->last[group];
	if (s->prev)
		s->prev->next = s;
	else
		t->first[group] = s;
	t->last[group] = s;
	return s;
}

static void series_free(struct series_table *t, struct series *s)
{
	for (uint32_t i = 0; s->exemplars && i < t->buckets[s->group]; i++)
		if (s->exemplars[i])
			slab_put(&t->exemplars, s->exemplars[i]);
	if (s->prev)
		s->prev->next = s->next;
	else
		t->first[s->group] = s->next;
	if (s->next)
		s->next->prev = s->prev;
	else
		t->last[s->group] = s->prev;
	free(s);
}

static void quota_put(struct series_table *t, struct quota *q)
{
	if (!q || --q->used)
		return;
	map_remove(&t->quotas, q->key);
	free(q);
}

/* A place for one more series of this service, or NULL. Services whose hashes collide share a quota: harmless. */
static struct quota *quota_get(struct series_table *t, enum metric_group group, struct slice service)
{
	uint64_t key = hash_bytes(service.ptr, service.len, group + 1u);
	struct quota *q = map_get(&t->quotas, key);

	if (!q) {
		q = calloc(1, sizeof(*q));
		if (!q)
			return NULL;
		q->key = key;
		if (map_put(&t->quotas, key, q) < 0) {
			free(q);
			return NULL;
		}
	} else if (q->used >= t->per_service) {
		return NULL;
	}
	q->used++;
	return q;
}

int series_table_new(uint32_t per_service, uint32_t max, uint64_t expire_ns, struct series_table **ret_table)
{
	struct series_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->per_service = per_service;
	t->max = max;
	t->expire_ns = expire_ns;
	t->counts.limit = max;
	map_init(&t->map, max);
	map_init(&t->quotas, max);
	slab_init(&t->exemplars, sizeof(struct exemplar), EXEMPLARS_MAX);
	layout(t);
	for (int g = 0; g < GROUP_SERIES_COUNT; g++) {
		static const struct slice none[GROUP_LABELS_MAX];
		struct key k;
		key_make(&k, (enum metric_group)g, none, true);
		t->overflow[g] = series_new(t, (enum metric_group)g, &k, true);
		if (!t->overflow[g]) {
			series_table_free(t);
			return -ENOMEM;
		}
	}
	*ret_table = t;
	return 0;
}

void series_table_free(struct series_table *t)
{
	if (!t)
		return;
	for (int g = 0; g < GROUP_SERIES_COUNT; g++)
		while (t->first[g]) {
			quota_put(t, t->first[g]->quota);
			series_free(t, t->first[g]);
		}
	map_done(&t->map);
	map_done(&t->quotas);
	slab_done(&t->exemplars);
	free(t);
}

/* Puts a new series into the table, or returns NULL without room. */
static struct series *insert(struct series_table *t, enum metric_group group, const struct key *k, uint64_t hash, bool overflow)
{
	if (t->map.len >= t->max || !hash)
		return NULL;
	struct series *s = series_new(t, group, k, overflow);
	if (!s)
		return NULL;
	s->hash = hash;
	if (map_put(&t->map, hash, s) < 0) {
		series_free(t, s);
		return NULL;
	}
	return s;
}

static struct series *overflow_get(struct series_table *t, enum metric_group group, const struct slice *values)
{
	struct key k;
	uint64_t free_hash;

	t->counts.overflow[group]++;
	key_make(&k, group, values, true);
	struct series *s = find(t, group, &k, hash_bytes(k.bytes, k.len, group), &free_hash);
	/* A service gets an overflow series of its own only when its quota is used up, not when memory or the table is. */
	if (!s)
		s = insert(t, group, &k, free_hash, true);
	return s ? s : t->overflow[group];
}

struct series *series_get(struct series_table *t, enum metric_group group, const struct slice *values, uint64_t now_ns)
{
	struct key k;
	uint64_t free_hash;

	key_make(&k, group, values, false);
	uint64_t hash = hash_bytes(k.bytes, k.len, group);
	struct series *s = map_get(&t->map, hash);
	if (!s || s->group != group || s->key_len != k.len || memcmp(s->key, k.bytes, k.len) != 0)
		s = find(t, group, &k, hash, &free_hash);
	if (!s) {
		struct quota *q = quota_get(t, group, values[0]);
		bool full = !q || t->map.len >= t->max;

		if (full && now_ns - t->swept_ns > t->expire_ns / SWEEPS_PER_EXPIRY) {
			series_sweep(t, now_ns);
			if (!q)
				q = quota_get(t, group, values[0]);
		}
		s = q ? insert(t, group, &k, free_hash, false) : NULL;
		if (s)
			s->quota = q;
		else
			quota_put(t, q);
	}
	if (!s)
		s = overflow_get(t, group, values);
	s->used = true;
	if (now_ns > s->touched_ns)
		s->touched_ns = now_ns;
	return s;
}

void series_pin(struct series *s)
{
	s->pins++;
}

void series_unpin(struct series *s)
{
	s->pins--;
}

void series_drop(struct series_table *t, struct series *s)
{
	if (s->overflow || s->pins)
		return;
	map_remove(&t->map, s->hash);
	quota_put(t, s->quota);
	series_free(t, s);
}

void series_sweep(struct series_table *t, uint64_t now_ns)
{
	t->swept_ns = now_ns;
	for (int g = 0; g < GROUP_SERIES_COUNT; g++) {
		struct series *next;
		for (struct series *s = t->first[g]; s; s = next) {
			next = s->next;
			if (!s->touched_ns)
				s->touched_ns = now_ns;
			if (s == t->overflow[g] || s->pins || now_ns < s->touched_ns || now_ns - s->touched_ns <= t->expire_ns)
				continue;
			map_remove(&t->map, s->hash);
			quota_put(t, s->quota);
			series_free(t, s);
			t->counts.expired++;
		}
	}
}

struct series *series_first(const struct series_table *t, enum metric_group group)
{
	return t->first[group];
}

void series_table_counts(const struct series_table *t, struct series_counts *ret)
{
	*ret = t->counts;
	ret->active = t->map.len;
}

uint64_t *series_slot(const struct series_table *t, const struct series *s, enum metric_family_id family)
{
	return s->values + t->slot[family];
}

uint32_t series_observe(struct series_table *t, struct series *s, enum metric_family_id family, uint64_t value)
{
	const struct metric_family *f = &metric_families[family];
	uint64_t *slot = series_slot(t, s, family);
	uint32_t b = 0;

	while (b < f->bounds_count && value > f->bounds[b])
		b++;
	slot[b]++;
	slot[f->bounds_count + 1] += value;
	return b;
}

void series_exemplar(struct series_table *t, struct series *s, uint32_t bucket, const struct exemplar *e)
{
	if (!s->exemplars || bucket >= t->buckets[s->group])
		return;
	if (!s->exemplars[bucket])
		s->exemplars[bucket] = slab_get(&t->exemplars);
	if (s->exemplars[bucket])
		*s->exemplars[bucket] = *e;
	else
		t->counts.exemplars_refused++;
}

struct slice series_label(const struct series *s, uint32_t i)
{
	const uint8_t *at = s->key + 1;

	while (i--)
		at += 1 + *at;
	return slice_make(at + 1, *at);
}

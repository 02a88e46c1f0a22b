/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/file_index.h"

#include <string.h>

#include "lib/hash.h"

enum { ALIASES_MAX = 1024, NOTHING_MAX = 8192 };

void file_index_init(struct file_index *x, size_t max)
{
	map_init(&x->files, max);
	map_init(&x->aliases, ALIASES_MAX);
	map_init(&x->nothing, NOTHING_MAX);
}

void file_index_done(struct file_index *x)
{
	map_done(&x->files);
	map_done(&x->aliases);
	map_done(&x->nothing);
}

static uint64_t key_of(const struct mapping *m)
{
	uint64_t words[2] = { (uint64_t)m->major << 32 | m->minor, m->inode };

	return hash_bytes(words, sizeof(words), 0);
}

uint64_t file_index_key(const struct mapping *m)
{
	uint64_t words[4] = { (uint64_t)m->major << 32 | m->minor, m->inode, m->generation, m->generation ? 0 : hash_bytes(m->path, strlen(m->path), 0) };

	return hash_bytes(words, sizeof(words), 0);
}

/* By which its mappings are told of, if they have that path. */
static uint64_t alias_of(const struct file_numbers *n)
{
	struct mapping m = n->as_mapped;

	m.path = n->is.path;
	return file_index_key(&m);
}

void *file_index_get(const struct file_index *x, const struct mapping *m)
{
	void *file = map_get(&x->files, key_of(m));

	return file ? file : map_get(&x->aliases, file_index_key(m));
}

bool file_index_is_nothing(const struct file_index *x, const struct mapping *m) { return map_get(&x->nothing, file_index_key(m)) != NULL; }

int file_index_put(struct file_index *x, const struct mapping *is, void *file, uint64_t *ret_key)
{
	*ret_key = key_of(is);
	return map_put(&x->files, *ret_key, file);
}

void file_index_alias(struct file_index *x, const struct file_numbers *n, void *file)
{
	if (n->as_mapped.inode)
		(void)map_put(&x->aliases, alias_of(n), file); /* without memory it is opened again */
}

void file_index_remove(struct file_index *x, uint64_t key)
{
	map_remove(&x->files, key);
	map_done(&x->aliases); /* its own are among them */
	map_init(&x->aliases, ALIASES_MAX);
}

void file_index_put_nothing(struct file_index *x, const struct file_numbers *n)
{
	if (x->nothing.len + 1 >= NOTHING_MAX)
		file_index_forget(x);
	if (n->opened)
		(void)map_put(&x->nothing, file_index_key(&n->is), x); /* without memory it is read again */
	if (n->as_mapped.inode)
		(void)map_put(&x->nothing, alias_of(n), x);
}

void file_index_forget(struct file_index *x)
{
	map_done(&x->nothing);
	map_init(&x->nothing, NOTHING_MAX);
}

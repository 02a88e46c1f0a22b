/* SPDX-License-Identifier: Apache-2.0 */
#include "source/redact.h"

#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/hash.h"
#include "lib/symbol.h"

/*
 * Values that cannot come from a command line, an environment or a label. Everything else is masked, so a
 * new fact is masked until listed.
 */
static const char *const kept_keys[] = {
	"process.pid", "process.parent_pid", "process.executable.name", "process.runtime.name", "container.id",
	"plumb.service.name.source",
};

static uint8_t masked(uint8_t c)
{
	return c == 0 || c == '/' || c == '.' || c == '@' || c == '-' || c == '_' ? c : 'x';
}

static void mask_text(char *s, size_t size)
{
	for (size_t i = 0; i < size && s[i]; i++)
		s[i] = (char)masked((uint8_t)s[i]);
}

/* A buffer may hold old bytes behind its string. */
static void clear_tail(char *s, size_t size)
{
	size_t len = strnlen(s, size - 1);

	memset(s + len, 0, size - len);
}

static bool key_is_kept(struct slice key)
{
	for (size_t i = 0; i < sizeof(kept_keys) / sizeof(*kept_keys); i++)
		if (slice_eq(key, slice_str(kept_keys[i])))
			return true;
	return false;
}

static struct slice fact(struct slice facts, const char *name)
{
	struct slice key = slice_str(name);

	while (facts.len) {
		size_t end = slice_find(facts, 0, 0);
		struct slice one = slice_head(facts, end);
		if (slice_starts(one, key) && one.len > key.len && one.ptr[key.len] == '=')
			return slice_from(one, key.len + 1);
		facts = slice_from(facts, one.len + 1);
	}
	return SLICE_NONE;
}

static void mask_facts(uint8_t *payload, size_t len)
{
	struct slice all = slice_make(payload, len);
	/* A service's name is the operator's own word unless plumb made it from the program's. */
	bool keep_service = slice_eq(fact(all, "plumb.service.name.source"), SLICE_LIT("executable"));

	for (size_t at = 0; at < len;) {
		struct slice one = slice_head(slice_from(all, at), slice_find(all, 0, at) - at);
		size_t eq = slice_find(one, '=', 0);
		struct slice key = slice_head(one, eq);
		bool keep = eq != SIZE_MAX && (key_is_kept(key) || (keep_service && slice_eq(key, SLICE_LIT("service.name"))));
		if (!keep)
			for (size_t i = eq == SIZE_MAX ? 0 : eq + 1; i < one.len; i++)
				payload[at + i] = 'x';
		at += one.len + 1;
	}
}

static void mask_exec(struct plumb_rec_exec *e)
{
	clear_tail(e->comm, sizeof(e->comm));
	clear_tail(e->filename, sizeof(e->filename));
	clear_tail(e->cgroup, sizeof(e->cgroup));
	mask_text(e->cgroup, strlen(e->cgroup)); /* names a container, a pod or a unit */
	char *base = strrchr(e->filename, '/');
	if (base)
		mask_text(e->filename, (size_t)(base - e->filename));
}

/* Of this process: who has a recording alone cannot try texts. */
static uint64_t redact_key(void)
{
	static uint64_t key;

	if (!key && getrandom(&key, sizeof(key), GRND_NONBLOCK) != sizeof(key))
		key = clock_ns(CLOCK_MONOTONIC);
	return key;
}

/* What is no name of a function may be anything that lay there. One is still told from another. */
static void mask_kernel(struct plumb_rec_gpu_kernel *k)
{
	struct slice name = slice_make(k->name, strnlen(k->name, sizeof(k->name)));
	unsigned hash = (unsigned)hash_bytes(name.ptr, name.len, redact_key());

	clear_tail(k->name, sizeof(k->name));
	if (symbol_is_plausible(name))
		return;
	memset(k->name, 0, sizeof(k->name));
	snprintf(k->name, sizeof(k->name), "?%08x", hash);
}

void redact_record(struct record *rec, uint8_t *payload, size_t len)
{
	switch (rec->u.h.type) {
	case PLUMB_REC_START:
		rec->u.start.flags |= PLUMB_START_REDACTED;
		memset(rec->u.start.host, 0, sizeof(rec->u.start.host));
		memcpy(rec->u.start.host, "redacted", sizeof("redacted"));
		memset(rec->u.start.boot_id, 0, sizeof(rec->u.start.boot_id));
		clear_tail(rec->u.start.version, sizeof(rec->u.start.version));
		break;
	case PLUMB_REC_EXEC: mask_exec(&rec->u.exec); break;
	case PLUMB_REC_GPU_KERNEL: mask_kernel(&rec->u.gpu_kernel); break;
	case PLUMB_REC_PROCESS: mask_facts(payload, len); break;
	case PLUMB_REC_SOCK_OPEN:
		clear_tail(rec->u.sock.path, sizeof(rec->u.sock.path));
		mask_text(rec->u.sock.path, sizeof(rec->u.sock.path));
		break;
	default: break;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/resource.h"

/* Process attributes are text in the records; these are integers in the conventions. */
static bool resource_is_int(struct slice key)
{
	static const char *const ints[] = { "process.pid", "process.parent_pid", "process.group_leader.pid", "process.session_leader.pid" };

	for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]); i++)
		if (slice_eq(key, slice_str(ints[i])))
			return true;
	return false;
}

size_t resource_attrs(const struct process *p, struct resource_attr attrs[RESOURCE_ATTRS_MAX])
{
	size_t n = 0;

	/* First, so that a line begins with what a reader looks for; the process's own copy is skipped below. */
	attrs[n++] = (struct resource_attr){ .key = SLICE_LIT("service.name"), .str = process_service(p) };
	for (uint32_t i = 0; p && i < p->nattrs && i < PROCESS_ATTRS_MAX; i++) {
		const struct process_attr *a = &p->attrs[i];
		uint64_t num;

		if (a->key.len == 0 || slice_starts(a->key, SLICE_LIT("plumb.")) || slice_eq(a->key, SLICE_LIT("service.name")))
			continue;
		attrs[n] = (struct resource_attr){ .key = a->key, .str = a->value };
		if (resource_is_int(a->key) && slice_u64(a->value, &num) && num <= INT64_MAX) {
			attrs[n].is_int = true;
			attrs[n].num = (int64_t)num;
		}
		n++;
	}
	return n;
}

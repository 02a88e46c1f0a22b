/* SPDX-License-Identifier: Apache-2.0 */
/* Attribute identifiers and values; the table is attribute.def. */
#ifndef PLUMB_MODEL_ATTRIBUTE_H
#define PLUMB_MODEL_ATTRIBUTE_H

#include "lib/slice.h"

enum attr_id {
#define ATTR(id, name, type) ATTR_##id,
#include "model/attribute.def"
#undef ATTR
	ATTR_COUNT
};

enum attr_type { ATTR_TYPE_STR, ATTR_TYPE_INT, ATTR_TYPE_BOOL, ATTR_TYPE_DOUBLE };

struct attr {
	uint16_t id;   /* enum attr_id */
	uint8_t type;  /* enum attr_type */
	union {
		struct slice str; /* memory belongs to whoever holds the attr: input, exchange or span */
		int64_t num;      /* INT and BOOL */
		double dbl;
	};
};

struct attr_info {
	const char *name; /* OpenTelemetry name, "" = never exported */
	enum attr_type type;
};

extern const struct attr_info attr_info[ATTR_COUNT]; /* model/attribute.c */

/* First attribute with this id among n, or NULL. */
static inline const struct attr *attr_find(const struct attr *attrs, size_t n, enum attr_id id)
{
	for (size_t i = 0; i < n; i++)
		if (attrs[i].id == id)
			return &attrs[i];
	return NULL;
}

#endif

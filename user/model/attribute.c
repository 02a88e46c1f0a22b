/* SPDX-License-Identifier: Apache-2.0 */
#include "model/attribute.h"

const struct attr_info attr_info[ATTR_COUNT] = {
#define ATTR(id, name, type) [ATTR_##id] = { name, ATTR_TYPE_##type },
#include "model/attribute.def"
#undef ATTR
};

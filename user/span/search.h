/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints of Elasticsearch and OpenSearch from method and path, by the names that their specification has
 * (https://github.com/elastic/elasticsearch-specification, output/schema/schema.json).
 */
#ifndef PLUMB_SPAN_SEARCH_H
#define PLUMB_SPAN_SEARCH_H

#include "lib/slice.h"

/* "" = not known. *ret_index: the index, alias or pattern that the path names. */
struct slice search_endpoint(struct slice method, struct slice path, struct slice *ret_index);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "span/search.h"

/* Names behind the index, or without one, and the endpoint by method: "" is as `any`. Longer names stand first. */
static const struct endpoint {
	const char *name, *any, *get, *head, *put, *post, *delete;
} endpoints[] = {
	{ "_search/scroll", "scroll", "", "", "", "", "clear_scroll" },
	{ "_search/template", "search_template", "", "", "", "", "" },
	{ "_msearch/template", "msearch_template", "", "", "", "", "" },
	{ "_validate/query", "indices.validate_query", "", "", "", "", "" },
	{ "_ingest/pipeline", "", "ingest.get_pipeline", "", "ingest.put_pipeline", "ingest.simulate", "ingest.delete_pipeline" },
	{ "_security/_authenticate", "security.authenticate", "", "", "", "", "" },
	{ "_sql", "sql.query", "", "", "", "", "" },
	{ "_search", "search", "", "", "", "", "" },
	{ "_msearch", "msearch", "", "", "", "", "" },
	{ "_bulk", "bulk", "", "", "", "", "" },
	{ "_mget", "mget", "", "", "", "", "" },
	{ "_count", "count", "", "", "", "", "" },
	{ "_doc", "index", "get", "exists", "index", "index", "delete" },
	{ "_create", "create", "", "", "", "", "" },
	{ "_update", "update", "", "", "", "", "" },
	{ "_source", "get_source", "", "exists_source", "", "", "" },
	{ "_delete_by_query", "delete_by_query", "", "", "", "", "" },
	{ "_update_by_query", "update_by_query", "", "", "", "", "" },
	{ "_reindex", "reindex", "", "", "", "", "" },
	{ "_explain", "explain", "", "", "", "", "" },
	{ "_termvectors", "termvectors", "", "", "", "", "" },
	{ "_field_caps", "field_caps", "", "", "", "", "" },
	{ "_pit", "open_point_in_time", "", "", "", "", "close_point_in_time" },
	{ "_rank_eval", "rank_eval", "", "", "", "", "" },
	{ "_terms_enum", "terms_enum", "", "", "", "", "" },
	{ "_scripts", "", "get_script", "", "put_script", "put_script", "delete_script" },
	{ "_mapping", "", "indices.get_mapping", "", "indices.put_mapping", "indices.put_mapping", "" },
	{ "_settings", "", "indices.get_settings", "", "indices.put_settings", "indices.put_settings", "" },
	{ "_alias", "", "indices.get_alias", "indices.exists_alias", "indices.put_alias", "indices.put_alias", "indices.delete_alias" },
	{ "_aliases", "", "indices.get_alias", "", "indices.put_alias", "indices.update_aliases", "indices.delete_alias" },
	{ "_template", "", "indices.get_template", "indices.exists_template", "indices.put_template", "indices.put_template", "indices.delete_template" },
	{ "_index_template", "", "indices.get_index_template", "indices.exists_index_template", "indices.put_index_template", "indices.put_index_template", "indices.delete_index_template" },
	{ "_component_template", "", "cluster.get_component_template", "cluster.exists_component_template", "cluster.put_component_template", "cluster.put_component_template", "cluster.delete_component_template" },
	{ "_data_stream", "", "indices.get_data_stream", "", "indices.create_data_stream", "", "indices.delete_data_stream" },
	{ "_refresh", "indices.refresh", "", "", "", "", "" },
	{ "_flush", "indices.flush", "", "", "", "", "" },
	{ "_forcemerge", "indices.forcemerge", "", "", "", "", "" },
	{ "_stats", "indices.stats", "", "", "", "", "" },
	{ "_open", "indices.open", "", "", "", "", "" },
	{ "_close", "indices.close", "", "", "", "", "" },
	{ "_analyze", "indices.analyze", "", "", "", "", "" },
	{ "_rollover", "indices.rollover", "", "", "", "", "" },
	{ "_shrink", "indices.shrink", "", "", "", "", "" },
	{ "_split", "indices.split", "", "", "", "", "" },
	{ "_clone", "indices.clone", "", "", "", "", "" },
	{ "_cluster/health", "cluster.health", "", "", "", "", "" },
	{ "_cluster/state", "cluster.state", "", "", "", "", "" },
	{ "_cluster/stats", "cluster.stats", "", "", "", "", "" },
	{ "_cluster/settings", "", "cluster.get_settings", "", "cluster.put_settings", "", "" },
	{ "_cluster/reroute", "cluster.reroute", "", "", "", "", "" },
	{ "_nodes/stats", "nodes.stats", "", "", "", "", "" },
	{ "_nodes", "nodes.info", "", "", "", "", "" },
	{ "_tasks", "tasks.list", "", "", "", "", "" },
	{ "_cat/indices", "cat.indices", "", "", "", "", "" },
	{ "_cat/nodes", "cat.nodes", "", "", "", "", "" },
	{ "_cat/shards", "cat.shards", "", "", "", "", "" },
	{ "_cat/health", "cat.health", "", "", "", "", "" },
	{ "_cat/count", "cat.count", "", "", "", "", "" },
	{ "_cat/aliases", "cat.aliases", "", "", "", "", "" },
	{ "_cat/allocation", "cat.allocation", "", "", "", "", "" },
	{ "_cat/templates", "cat.templates", "", "", "", "", "" },
	{ "_cat", "cat.help", "", "", "", "", "" },
};

static const struct endpoint of_index = { "", "", "indices.get", "indices.exists", "indices.create", "", "indices.delete" };
static const struct endpoint of_root = { "", "", "info", "ping", "", "", "" };

static struct slice by_method(const struct endpoint *e, struct slice method)
{
	const char *name = slice_eq(method, SLICE_LIT("GET")) ? e->get : slice_eq(method, SLICE_LIT("HEAD")) ? e->head : slice_eq(method, SLICE_LIT("PUT")) ? e->put :
		slice_eq(method, SLICE_LIT("POST")) ? e->post : slice_eq(method, SLICE_LIT("DELETE")) ? e->delete : "";

	return slice_str(name[0] ? name : e->any);
}

static bool begins_with_names(struct slice path, struct slice names)
{
	return slice_starts(path, names) && (path.len == names.len || path.ptr[names.len] == '/');
}

struct slice search_endpoint(struct slice method, struct slice path, struct slice *ret_index)
{
	*ret_index = SLICE_NONE;
	while (path.len && path.ptr[0] == '/')
		path = slice_from(path, 1);
	if (!path.len)
		return by_method(&of_root, method);
	if (path.ptr[0] != '_' || slice_starts(path, SLICE_LIT("_all/"))) {
		size_t slash = slice_find(path, '/', 0);
		*ret_index = slice_head(path, slash);
		path = slash == SIZE_MAX ? SLICE_NONE : slice_from(path, slash + 1);
		if (!path.len)
			return by_method(&of_index, method);
	}
	for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
		if (begins_with_names(path, slice_str(endpoints[i].name)))
			return by_method(&endpoints[i], method);
	return SLICE_NONE;
}

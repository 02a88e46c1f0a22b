/* SPDX-License-Identifier: Apache-2.0 */
/* MongoDB's commands (https://www.mongodb.com/docs/manual/reference/command/), and statements: see mongodb_wire.h. */
#include "proto/mongodb_wire.h"

enum { C = MONGODB_COLLECTION, S = MONGODB_SHOWN, W = MONGODB_WRITES, I = MONGODB_INSERTS };

/* Sorted by name. What may hold a password, a user's name or the state of a login is not shown. */
static const struct command {
	const char *name;
	uint8_t flags;
} commands[] = {
	{ "abortTransaction", 0 }, { "addShard", 0 }, { "addShardToZone", 0 }, { "aggregate", C | S }, { "analyze", C }, { "analyzeShardKey", 0 }, { "authenticate", 0 },
	{ "balancerStart", 0 }, { "balancerStatus", 0 }, { "balancerStop", 0 }, { "buildInfo", 0 }, { "buildinfo", 0 }, { "bulkWrite", S },
	{ "cloneCollectionAsCapped", C }, { "collMod", C }, { "collStats", C }, { "collstats", C }, { "commitTransaction", 0 }, { "compact", C }, { "configureQueryAnalyzer", 0 },
	{ "connPoolStats", 0 }, { "connectionStatus", 0 }, { "convertToCapped", C }, { "coordinateCommitTransaction", 0 }, { "count", C | S }, { "create", C }, { "createIndexes", C | S },
	{ "createRole", 0 }, { "createSearchIndexes", C }, { "createUser", 0 }, { "currentOp", 0 }, { "dataSize", 0 }, { "dbHash", 0 }, { "dbStats", 0 },
	{ "dbstats", 0 }, { "delete", C | S | W }, { "distinct", C | S }, { "drop", C }, { "dropAllRolesFromDatabase", 0 }, { "dropAllUsersFromDatabase", 0 }, { "dropDatabase", 0 },
	{ "dropIndexes", C }, { "dropRole", 0 }, { "dropSearchIndex", C }, { "dropUser", 0 }, { "enableSharding", 0 }, { "endSessions", 0 }, { "explain", S },
	{ "features", 0 }, { "filemd5", 0 }, { "find", C | S }, { "findAndModify", C | S }, { "findandmodify", C | S }, { "flushRouterConfig", 0 }, { "forceerror", 0 }, { "fsync", 0 },
	{ "fsyncUnlock", 0 }, { "getClusterParameter", 0 }, { "getCmdLineOpts", 0 }, { "getDefaultRWConcern", 0 }, { "getFreeMonitoringStatus", 0 }, { "getLastError", 0 }, { "getLog", 0 },
	{ "getMore", S }, { "getParameter", 0 }, { "getShardMap", 0 }, { "getShardVersion", 0 }, { "getlasterror", 0 }, { "getnonce", 0 }, { "grantPrivilegesToRole", 0 },
	{ "grantRolesToRole", 0 }, { "grantRolesToUser", 0 }, { "hello", 0 }, { "hostInfo", 0 }, { "insert", C | S | W | I }, { "invalidateUserCache", 0 }, { "isMaster", 0 },
	{ "isdbgrid", 0 }, { "ismaster", 0 }, { "killAllSessions", 0 }, { "killAllSessionsByPattern", 0 }, { "killCursors", C }, { "killOp", 0 }, { "killSessions", 0 },
	{ "listCollections", 0 }, { "listCommands", 0 }, { "listDatabases", 0 }, { "listIndexes", C }, { "listShards", 0 }, { "lockInfo", 0 }, { "logRotate", 0 },
	{ "logout", 0 }, { "mapReduce", C }, { "mapreduce", C }, { "mergeChunks", 0 }, { "moveChunk", 0 }, { "movePrimary", 0 }, { "moveRange", 0 }, { "netstat", 0 }, { "ping", 0 },
	{ "planCacheClear", C }, { "planCacheClearFilters", C }, { "planCacheListFilters", C }, { "planCacheSetFilter", C }, { "prepareTransaction", 0 }, { "profile", 0 },
	{ "reIndex", C }, { "refineCollectionShardKey", 0 }, { "refreshSessions", 0 }, { "removeShard", 0 }, { "renameCollection", 0 }, { "replSetAbortPrimaryCatchUp", 0 },
	{ "replSetFreeze", 0 }, { "replSetGetConfig", 0 }, { "replSetGetRBID", 0 }, { "replSetGetStatus", 0 }, { "replSetHeartbeat", 0 }, { "replSetInitiate", 0 },
	{ "replSetMaintenance", 0 }, { "replSetReconfig", 0 }, { "replSetRequestVotes", 0 }, { "replSetResizeOplog", 0 }, { "replSetStepDown", 0 }, { "replSetSyncFrom", 0 },
	{ "replSetUpdatePosition", 0 }, { "reshardCollection", 0 }, { "resetError", 0 }, { "revokePrivilegesFromRole", 0 }, { "revokeRolesFromRole", 0 },
	{ "revokeRolesFromUser", 0 }, { "rolesInfo", 0 }, { "rotateCertificates", 0 }, { "saslContinue", 0 }, { "saslStart", 0 }, { "serverStatus", 0 },
	{ "setClusterParameter", 0 }, { "setDefaultRWConcern", 0 }, { "setFeatureCompatibilityVersion", 0 }, { "setIndexCommitQuorum", 0 }, { "setParameter", 0 },
	{ "shardCollection", 0 }, { "shardingState", 0 }, { "shutdown", 0 }, { "split", 0 }, { "startSession", 0 }, { "top", 0 }, { "unshardCollection", 0 },
	{ "update", C | S | W }, { "updateRole", 0 }, { "updateSearchIndex", C }, { "updateUser", 0 }, { "usersInfo", 0 }, { "validate", C }, { "validateDBMetadata", 0 },
	{ "voteCommitIndexBuild", 0 }, { "whatsmyuri", 0 },
};

bool mongodb_command_find(struct slice name, unsigned *ret_flags)
{
	size_t from = 0, to = sizeof(commands) / sizeof(commands[0]);

	*ret_flags = 0;
	while (from < to) {
		size_t middle = from + (to - from) / 2, len = strlen(commands[middle].name);
		int order = memcmp(name.ptr, commands[middle].name, name.len < len ? name.len : len);
		if (order == 0)
			order = name.len < len ? -1 : name.len > len;
		if (order == 0) {
			*ret_flags = commands[middle].flags;
			return true;
		}
		if (order < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return false;
}

/* ---- statements ---- */

enum { DEPTH_MAX = 8, DOTS = 3 };

void mongodb_text_begin(struct mongodb_text *t)
{
	t->len = 0;
	t->full = false;
}

void mongodb_text_add(struct mongodb_text *t, struct slice s)
{
	t->full |= s.len > (size_t)(MONGODB_TEXT_MAX - DOTS - t->len);
	if (t->full || s.len == 0)
		return;
	memcpy(t->text + t->len, s.ptr, s.len);
	t->len = (uint16_t)(t->len + s.len);
}

/* Whole or not at all. */
void mongodb_text_quote(struct mongodb_text *t, struct slice s)
{
	size_t before = t->len + 1u;

	if (s.len + 2 > (size_t)(MONGODB_TEXT_MAX - DOTS - t->len))
		t->full = true;
	mongodb_text_add(t, SLICE_LIT("\""));
	mongodb_text_add(t, s);
	mongodb_text_add(t, SLICE_LIT("\""));
	for (size_t i = before; !t->full && i < before + s.len; i++)
		if ((uint8_t)t->text[i] < ' ' || t->text[i] == '"' || t->text[i] == '\\')
			t->text[i] = '_';
}

static void add_value(struct mongodb_text *t, const struct bson_element *e, unsigned depth);

/* A document that takes another's place is stored as it is; one that changes it names operators. */
static bool is_replacement(struct slice in, uint64_t room)
{
	struct bson_element e;
	struct bson b;

	return bson_open(in, room, &b) && bson_next(&b, &e) == BSON_ELEMENT && (e.name.len == 0 || e.name.ptr[0] != '$');
}

/* NOLINTNEXTLINE(misc-no-recursion) */
static void add_member(struct mongodb_text *t, const struct bson_element *e, unsigned depth)
{
	bool change = slice_eq(e->name, SLICE_LIT("u")) || slice_eq(e->name, SLICE_LIT("update"));

	if (change && e->type == BSON_DOCUMENT && is_replacement(e->value, e->size))
		mongodb_text_add(t, SLICE_LIT("\"?\""));
	else
		add_value(t, e, depth);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as DEPTH_MAX */
static void add_members(struct mongodb_text *t, struct bson *b, bool array, unsigned depth)
{
	struct bson_element e;
	bool first = true, scalar = false;
	enum bson_step step = BSON_END;

	mongodb_text_add(t, array ? SLICE_LIT("[") : SLICE_LIT("{"));
	while (!t->full && (step = bson_next(b, &e)) == BSON_ELEMENT) {
		bool plain = e.type != BSON_DOCUMENT && e.type != BSON_ARRAY;
		if (array && plain && scalar) /* of values in a row the first one stands for all */
			continue;
		scalar = plain;
		if (!first)
			mongodb_text_add(t, SLICE_LIT(", "));
		first = false;
		if (!array) {
			mongodb_text_quote(t, e.name);
			mongodb_text_add(t, SLICE_LIT(": "));
		}
		add_member(t, &e, depth);
	}
	t->full |= step != BSON_END;
	mongodb_text_add(t, array ? SLICE_LIT("]") : SLICE_LIT("}"));
}

/* NOLINTNEXTLINE(misc-no-recursion) */
static void add_value(struct mongodb_text *t, const struct bson_element *e, unsigned depth)
{
	struct bson b;

	if (e->cut && e->type != BSON_DOCUMENT && e->type != BSON_ARRAY) {
		mongodb_text_add(t, SLICE_LIT("\"?\""));
		return;
	}
	if (depth < DEPTH_MAX && bson_enter(e, &b))
		add_members(t, &b, e->type == BSON_ARRAY, depth + 1);
	else
		mongodb_text_add(t, SLICE_LIT("\"?\""));
}

void mongodb_text_value(struct mongodb_text *t, const struct bson_element *e) { add_member(t, e, 0); }

void mongodb_text_change(struct mongodb_text *t, struct slice in, uint64_t room)
{
	if (is_replacement(in, room))
		mongodb_text_add(t, SLICE_LIT("\"?\""));
	else
		mongodb_text_document(t, in, room);
}

void mongodb_text_first(struct mongodb_text *t, const struct bson_element *e)
{
	struct bson_element first;
	struct bson b;

	mongodb_text_add(t, SLICE_LIT("["));
	if (bson_enter(e, &b) && bson_next(&b, &first) == BSON_ELEMENT)
		add_value(t, &first, 0);
	mongodb_text_add(t, SLICE_LIT("]"));
}

void mongodb_text_document(struct mongodb_text *t, struct slice in, uint64_t room)
{
	struct bson b;

	if (bson_open(in, room, &b))
		add_members(t, &b, false, 0);
	else
		mongodb_text_add(t, SLICE_LIT("\"?\""));
}

struct slice mongodb_text_end(struct mongodb_text *t)
{
	if (t->full) {
		memcpy(t->text + t->len, "...", DOTS);
		t->len = (uint16_t)(t->len + DOTS);
		t->full = false;
	}
	return slice_make(t->text, t->len);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/redis_commands.h"

/* Sorted by name. */
static const struct redis_command commands[] = {
	{ "ACL", 0, REDIS_CONTAINER | REDIS_SECRET }, { "APPEND", 1, 0 }, { "ASKING", 0, 0 }, { "AUTH", 0, REDIS_SECRET },
	{ "BGREWRITEAOF", 0, 0 }, { "BGSAVE", 0, 0 }, { "BITCOUNT", 1, 0 }, { "BITFIELD", 1, 0 }, { "BITFIELD_RO", 1, 0 }, { "BITOP", 2, 0 },
	{ "BITPOS", 1, 0 }, { "BLMOVE", 1, 0 }, { "BLMPOP", 0, 0 }, { "BLPOP", 1, 0 }, { "BRPOP", 1, 0 }, { "BRPOPLPUSH", 1, 0 },
	{ "BZMPOP", 0, 0 }, { "BZPOPMAX", 1, 0 }, { "BZPOPMIN", 1, 0 }, { "CLIENT", 0, REDIS_CONTAINER }, { "CLUSTER", 0, REDIS_CONTAINER },
	{ "COMMAND", 0, REDIS_CONTAINER }, { "CONFIG", 0, REDIS_CONTAINER | REDIS_SECRET }, { "COPY", 1, 0 }, { "DBSIZE", 0, 0 },
	{ "DEBUG", 0, REDIS_CONTAINER }, { "DECR", 1, 0 }, { "DECRBY", 1, 0 }, { "DEL", 1, 0 }, { "DELIFEQ", 1, 0 }, { "DISCARD", 0, 0 },
	{ "DUMP", 1, 0 }, { "ECHO", 0, 0 }, { "EVAL", 0, 0 }, { "EVALSHA", 0, 0 }, { "EVALSHA_RO", 0, 0 }, { "EVAL_RO", 0, 0 },
	{ "EXEC", 0, 0 }, { "EXISTS", 1, 0 }, { "EXPIRE", 1, 0 }, { "EXPIREAT", 1, 0 }, { "EXPIRETIME", 1, 0 }, { "FAILOVER", 0, 0 },
	{ "FCALL", 0, 0 }, { "FCALL_RO", 0, 0 }, { "FLUSHALL", 0, 0 }, { "FLUSHDB", 0, 0 }, { "FUNCTION", 0, REDIS_CONTAINER },
	{ "GEOADD", 1, 0 }, { "GEODIST", 1, 0 }, { "GEOHASH", 1, 0 }, { "GEOPOS", 1, 0 }, { "GEORADIUS", 1, 0 }, { "GEORADIUSBYMEMBER", 1, 0 },
	{ "GEORADIUSBYMEMBER_RO", 1, 0 }, { "GEORADIUS_RO", 1, 0 }, { "GEOSEARCH", 1, 0 }, { "GEOSEARCHSTORE", 1, 0 }, { "GET", 1, 0 },
	{ "GETBIT", 1, 0 }, { "GETDEL", 1, 0 }, { "GETEX", 1, 0 }, { "GETRANGE", 1, 0 }, { "GETSET", 1, 0 }, { "HDEL", 1, 0 },
	{ "HELLO", 0, REDIS_SECRET }, { "HEXISTS", 1, 0 }, { "HEXPIRE", 1, 0 }, { "HEXPIREAT", 1, 0 }, { "HEXPIRETIME", 1, 0 },
	{ "HGET", 1, 0 }, { "HGETALL", 1, 0 }, { "HGETDEL", 1, 0 }, { "HGETEX", 1, 0 }, { "HINCRBY", 1, 0 }, { "HINCRBYFLOAT", 1, 0 },
	{ "HKEYS", 1, 0 }, { "HLEN", 1, 0 }, { "HMGET", 1, 0 }, { "HMSET", 1, 0 }, { "HPERSIST", 1, 0 }, { "HPEXPIRE", 1, 0 },
	{ "HPEXPIREAT", 1, 0 }, { "HPEXPIRETIME", 1, 0 }, { "HPTTL", 1, 0 }, { "HRANDFIELD", 1, 0 }, { "HSCAN", 1, 0 }, { "HSET", 1, 0 },
	{ "HSETEX", 1, 0 }, { "HSETNX", 1, 0 }, { "HSTRLEN", 1, 0 }, { "HTTL", 1, 0 }, { "HVALS", 1, 0 }, { "INCR", 1, 0 }, { "INCRBY", 1, 0 },
	{ "INCRBYFLOAT", 1, 0 }, { "INFO", 0, 0 }, { "KEYS", 0, 0 }, { "LASTSAVE", 0, 0 }, { "LATENCY", 0, REDIS_CONTAINER }, { "LCS", 1, 0 },
	{ "LINDEX", 1, 0 }, { "LINSERT", 1, 0 }, { "LLEN", 1, 0 }, { "LMOVE", 1, 0 }, { "LMPOP", 0, 0 }, { "LOLWUT", 0, 0 }, { "LPOP", 1, 0 },
	{ "LPOS", 1, 0 }, { "LPUSH", 1, 0 }, { "LPUSHX", 1, 0 }, { "LRANGE", 1, 0 }, { "LREM", 1, 0 }, { "LSET", 1, 0 }, { "LTRIM", 1, 0 },
	{ "MEMORY", 2, REDIS_CONTAINER }, { "MGET", 1, 0 }, { "MIGRATE", 0, REDIS_SECRET }, { "MODULE", 0, REDIS_CONTAINER },
	{ "MONITOR", 0, 0 }, { "MOVE", 1, 0 }, { "MSET", 1, 0 }, { "MSETNX", 1, 0 }, { "MULTI", 0, 0 }, { "OBJECT", 2, REDIS_CONTAINER },
	{ "PERSIST", 1, 0 }, { "PEXPIRE", 1, 0 }, { "PEXPIREAT", 1, 0 }, { "PEXPIRETIME", 1, 0 }, { "PFADD", 1, 0 }, { "PFCOUNT", 1, 0 },
	{ "PFDEBUG", 2, 0 }, { "PFMERGE", 1, 0 }, { "PFSELFTEST", 0, 0 }, { "PING", 0, 0 }, { "PSETEX", 1, 0 }, { "PSUBSCRIBE", 1, 0 },
	{ "PSYNC", 0, 0 }, { "PTTL", 1, 0 }, { "PUBLISH", 1, 0 }, { "PUBSUB", 0, REDIS_CONTAINER }, { "PUNSUBSCRIBE", 0, 0 }, { "QUIT", 0, 0 },
	{ "RANDOMKEY", 0, 0 }, { "READONLY", 0, 0 }, { "READWRITE", 0, 0 }, { "RENAME", 1, 0 }, { "RENAMENX", 1, 0 }, { "REPLCONF", 0, 0 },
	{ "REPLICAOF", 0, 0 }, { "RESET", 0, 0 }, { "RESTORE", 1, 0 }, { "RESTORE-ASKING", 1, 0 }, { "ROLE", 0, 0 }, { "RPOP", 1, 0 },
	{ "RPOPLPUSH", 1, 0 }, { "RPUSH", 1, 0 }, { "RPUSHX", 1, 0 }, { "SADD", 1, 0 }, { "SAVE", 0, 0 }, { "SCAN", 0, 0 }, { "SCARD", 1, 0 },
	{ "SCRIPT", 0, REDIS_CONTAINER }, { "SDIFF", 1, 0 }, { "SDIFFSTORE", 1, 0 }, { "SELECT", 0, 0 }, { "SENTINEL", 0, REDIS_CONTAINER },
	{ "SET", 1, 0 }, { "SETBIT", 1, 0 }, { "SETEX", 1, 0 }, { "SETNX", 1, 0 }, { "SETRANGE", 1, 0 }, { "SHUTDOWN", 0, 0 },
	{ "SINTER", 1, 0 }, { "SINTERCARD", 0, 0 }, { "SINTERSTORE", 1, 0 }, { "SISMEMBER", 1, 0 }, { "SLAVEOF", 0, 0 },
	{ "SLOWLOG", 0, REDIS_CONTAINER }, { "SMEMBERS", 1, 0 }, { "SMISMEMBER", 1, 0 }, { "SMOVE", 1, 0 }, { "SORT", 1, 0 },
	{ "SORT_RO", 1, 0 }, { "SPOP", 1, 0 }, { "SPUBLISH", 1, 0 }, { "SRANDMEMBER", 1, 0 }, { "SREM", 1, 0 }, { "SSCAN", 1, 0 },
	{ "SSUBSCRIBE", 1, 0 }, { "STRLEN", 1, 0 }, { "SUBSCRIBE", 1, 0 }, { "SUBSTR", 1, 0 }, { "SUNION", 1, 0 }, { "SUNIONSTORE", 1, 0 },
	{ "SUNSUBSCRIBE", 1, 0 }, { "SWAPDB", 0, 0 }, { "SYNC", 0, 0 }, { "TIME", 0, 0 }, { "TOUCH", 1, 0 }, { "TTL", 1, 0 }, { "TYPE", 1, 0 },
	{ "UNLINK", 1, 0 }, { "UNSUBSCRIBE", 0, 0 }, { "UNWATCH", 0, 0 }, { "VADD", 1, 0 }, { "VCARD", 1, 0 }, { "VDIM", 1, 0 },
	{ "VINFO", 1, 0 }, { "VREM", 1, 0 }, { "VSIM", 1, 0 }, { "WAIT", 0, 0 }, { "WAITAOF", 0, 0 }, { "WATCH", 1, 0 }, { "XACK", 1, 0 },
	{ "XADD", 1, 0 }, { "XAUTOCLAIM", 1, 0 }, { "XCLAIM", 1, 0 }, { "XDEL", 1, 0 }, { "XGROUP", 2, REDIS_CONTAINER },
	{ "XINFO", 2, REDIS_CONTAINER }, { "XLEN", 1, 0 }, { "XPENDING", 1, 0 }, { "XRANGE", 1, 0 }, { "XREAD", 0, 0 }, { "XREADGROUP", 0, 0 },
	{ "XREVRANGE", 1, 0 }, { "XSETID", 1, 0 }, { "XTRIM", 1, 0 }, { "ZADD", 1, 0 }, { "ZCARD", 1, 0 }, { "ZCOUNT", 1, 0 },
	{ "ZDIFF", 0, 0 }, { "ZDIFFSTORE", 1, 0 }, { "ZINCRBY", 1, 0 }, { "ZINTER", 0, 0 }, { "ZINTERCARD", 0, 0 }, { "ZINTERSTORE", 1, 0 },
	{ "ZLEXCOUNT", 1, 0 }, { "ZMPOP", 0, 0 }, { "ZMSCORE", 1, 0 }, { "ZPOPMAX", 1, 0 }, { "ZPOPMIN", 1, 0 }, { "ZRANDMEMBER", 1, 0 },
	{ "ZRANGE", 1, 0 }, { "ZRANGEBYLEX", 1, 0 }, { "ZRANGEBYSCORE", 1, 0 }, { "ZRANGESTORE", 1, 0 }, { "ZRANK", 1, 0 }, { "ZREM", 1, 0 },
	{ "ZREMRANGEBYLEX", 1, 0 }, { "ZREMRANGEBYRANK", 1, 0 }, { "ZREMRANGEBYSCORE", 1, 0 }, { "ZREVRANGE", 1, 0 },
	{ "ZREVRANGEBYLEX", 1, 0 }, { "ZREVRANGEBYSCORE", 1, 0 }, { "ZREVRANK", 1, 0 }, { "ZSCAN", 1, 0 }, { "ZSCORE", 1, 0 },
	{ "ZUNION", 0, 0 }, { "ZUNIONSTORE", 1, 0 },
};

/* Order of a name in any case against an upper-case one. */
static int compare(struct slice name, const char *upper)
{
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i] >= 'a' && name.ptr[i] <= 'z' ? (uint8_t)(name.ptr[i] - 32) : name.ptr[i];
		if (c != (uint8_t)upper[i] || !upper[i])
			return (int)c - (int)(uint8_t)upper[i];
	}
	return upper[name.len] ? -1 : 0;
}

const struct redis_command *redis_command_find(struct slice name)
{
	size_t from = 0, to = sizeof(commands) / sizeof(commands[0]);

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int order = compare(name, commands[middle].name);
		if (order == 0)
			return &commands[middle];
		if (order < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return NULL;
}

/* Of each container; Redis 8 and Valkey 8. */
static const struct {
	const char *name, *words;
} subcommands[] = {
	{ "ACL", "CAT DELUSER DRYRUN GENPASS GETUSER HELP LIST LOAD LOG SAVE SETUSER USERS WHOAMI" },
	{ "CLIENT",
	  "CACHING CAPA GETNAME GETREDIR HELP ID IMPORT-SOURCE INFO KILL LIST MAINT_NOTIFICATIONS NO-EVICT NO-TOUCH PAUSE REPLY SETINFO "
	  "SETNAME TRACKING TRACKINGINFO UNBLOCK UNPAUSE" },
	{ "CLUSTER",
	  "ADDSLOTS ADDSLOTSRANGE BUMPEPOCH COUNT-FAILURE-REPORTS COUNTKEYSINSLOT DELSLOTS DELSLOTSRANGE FAILOVER "
	  "FLUSHSLOTS FORGET GETKEYSINSLOT HELP INFO KEYSLOT LINKS MEET MIGRATION MYID MYSHARDID NODES REPLICAS REPLICATE "
	  "RESET SAVECONFIG SET-CONFIG-EPOCH SETSLOT SHARDS SLAVES SLOT-STATS SLOTS" },
	{ "COMMAND", "COUNT DOCS GETKEYS GETKEYSANDFLAGS HELP INFO LIST" },
	{ "CONFIG", "GET HELP RESETSTAT REWRITE SET" },
	{ "DEBUG",
	  "DIGEST DIGEST-VALUE ERROR HELP HTSTATS HTSTATS-KEY JMAP LISTPACK LOADAOF LOG OBJECT OOM POPULATE PROTOCOL "
	  "QUICKLIST RELOAD REPLYBUFFER RESTART SEGFAULT SET-ACTIVE-EXPIRE SLEEP STRUCTSIZE" },
	{ "FUNCTION", "DELETE DUMP FLUSH HELP KILL LIST LOAD RESTORE STATS" },
	{ "LATENCY", "DOCTOR GRAPH HELP HISTOGRAM HISTORY LATEST RESET" },
	{ "MEMORY", "DOCTOR HELP MALLOC-STATS PURGE STATS USAGE" },
	{ "MODULE", "HELP LIST LOAD LOADEX UNLOAD" },
	{ "OBJECT", "ENCODING FREQ HELP IDLETIME REFCOUNT" },
	{ "PUBSUB", "CHANNELS HELP NUMPAT NUMSUB SHARDCHANNELS SHARDNUMSUB" },
	{ "SCRIPT", "DEBUG EXISTS FLUSH HELP KILL LOAD SHOW" },
	{ "SENTINEL",
	  "CKQUORUM CONFIG DEBUG FAILOVER FLUSHCONFIG GET-MASTER-ADDR-BY-NAME GET-PRIMARY-ADDR-BY-NAME HELP INFO-CACHE "
	  "IS-MASTER-DOWN-BY-ADDR IS-PRIMARY-DOWN-BY-ADDR MASTER MASTERS MONITOR MYID PENDING-SCRIPTS PRIMARIES PRIMARY "
	  "REMOVE REPLICAS RESET SENTINELS SET SIMULATE-FAILURE SLAVES" },
	{ "SLOWLOG", "GET HELP LEN RESET" },
	{ "XGROUP", "CREATE CREATECONSUMER DELCONSUMER DESTROY HELP SETID" },
	{ "XINFO", "CONSUMERS GROUPS HELP STREAM" },
};

bool redis_subcommand_known(struct slice name, struct slice word)
{
	for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++) {
		if (!slice_ieq(name, slice_str(subcommands[i].name)))
			continue;
		struct slice words = slice_str(subcommands[i].words);
		while (words.len) {
			size_t blank = slice_find(words, ' ', 0);
			if (slice_ieq(word, slice_head(words, blank)))
				return true;
			words = blank == SIZE_MAX ? SLICE_NONE : slice_from(words, blank + 1);
		}
	}
	return false;
}

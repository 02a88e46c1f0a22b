/* SPDX-License-Identifier: Apache-2.0 */
/* Redis (RESP2 and RESP3, redis.io/docs/reference/protocol-spec) for shared recordings: see masker.h for what stays. */
#include "proto/masker_way.h"

enum state { TYPE, LENGTH, BULK, BULK_END, SIMPLE, NUMBER };
enum { FIRST = 1, SUBSCRIPTION = 2, MINUS = 4, TRIPLE = 8 };
enum { COUNT_DIGITS = 5 }; /* of a connection's subscriptions */

static const char *const words[] = {
	"get", "set", "del", "mget", "mset", "setex", "setnx", "psetex", "getset", "getdel", "getex", "append", "strlen", "incr", "incrby", "decr",
	"decrby", "incrbyfloat", "exists", "expire", "pexpire", "expireat", "ttl", "pttl", "persist", "type", "keys", "scan", "rename", "unlink",
	"hget", "hset", "hmget", "hmset", "hgetall", "hdel", "hexists", "hincrby", "hkeys", "hvals", "hlen", "hscan", "lpush", "rpush", "lpop", "rpop",
	"lrange", "llen", "lrem", "ltrim", "lindex", "blpop", "brpop", "sadd", "srem", "smembers", "sismember", "scard", "spop", "sscan", "zadd", "zrem",
	"zrange", "zrangebyscore", "zrevrange", "zscore", "zcard", "zincrby", "zrank", "zscan", "xadd", "xread", "xreadgroup", "xack", "xlen", "xrange",
	"xgroup", "eval", "evalsha", "script", "fcall", "multi", "exec", "discard", "watch", "unwatch", "ping", "echo", "auth", "hello", "select", "quit",
	"reset", "client", "command", "config", "info", "dbsize", "flushall", "flushdb", "time", "cluster", "role", "replconf", "psync", "sync",
	"wait", "object", "memory", "monitor", "publish", "spublish", "pubsub", "subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe",
	"sunsubscribe", "message", "pmessage", "smessage", "invalidate", "pfadd", "pfcount", "setbit", "getbit", "bitcount", "geoadd", "geosearch", NULL,
};
static const char *const simple[] = { "ok", "pong", "queued", NULL };
static const char *const errors[] = {
	"err", "wrongtype", "noauth", "noperm", "moved", "ask", "busy", "loading", "readonly", "noscript", "masterdown", "oom", "execabort", "wrongpass",
	"clusterdown", "crossslot", "tryagain", "noreplicas", "busykey", "misconf", "noproto", "busygroup", "nogroup", "unblocked", "unkillable", NULL,
};

static bool begins(struct slice in)
{
	if (in.len < 4 || !in.ptr[0] || !strchr("*$+-:>%~", in.ptr[0]))
		return false;
	/* Lengths and numbers are short; a server's error is a sentence (WRONGTYPE's has 68 bytes). */
	bool sentence = in.ptr[0] == '-' || in.ptr[0] == '+';
	return slice_find(slice_head(in, sentence ? 512 : 64), '\r', 1) != SIZE_MAX;
}

static uint8_t at_type(struct mask_way *y, uint8_t b)
{
	if (!b || !strchr("+-:$*_#,(!=%~>|", b)) {
		y->state = MASK_LOST;
		return 'x';
	}
	y->type = b;
	if (y->digits < 255) /* elements of the aggregate */
		y->digits++;
	y->number = 0;
	y->flags &= ~(uint32_t)MINUS;
	word_clear(y);
	y->state = strchr("$*!=%~>|", b) ? LENGTH : strchr("+-", b) ? SIMPLE : NUMBER;
	return b;
}

static uint8_t in_length(struct mask_way *y, uint8_t b)
{
	if (b >= '0' && b <= '9' && y->number < UINT32_MAX) {
		y->number = y->number * 10 + (uint64_t)(b - '0');
		return b;
	}
	if (b == '-')
		y->flags |= MINUS;
	if (b == '-' || b == '\r')
		return b;
	if (b != '\n') {
		y->state = MASK_LOST;
		return 'x';
	}
	bool bulk = strchr("$!=", y->type) != NULL;
	y->state = bulk && !(y->flags & MINUS) ? y->number ? BULK : BULK_END : TYPE;
	y->remain = y->state == BULK ? y->number : 0;
	if (!bulk) {
		y->flags = FIRST | (strchr("*>", y->type) && y->number == 3 ? TRIPLE : 0u);
		y->digits = 0;
	}
	return b;
}

static uint8_t in_bulk(struct mask_way *y, uint8_t b)
{
	bool keep = y->flags & FIRST && word_feed(y, b, words);

	if (--y->remain == 0) {
		static const char tail[] = "subscribe";
		size_t n = sizeof(tail) - 1;
		bool sub = keep && y->flags & TRIPLE && y->digits == 1 && word_in(y, words) && y->word_len >= n && memcmp(y->word + y->word_len - n, tail, n) == 0;
		y->flags = (y->flags & SUBSCRIPTION) | (sub ? SUBSCRIPTION : 0u);
		y->state = BULK_END;
	}
	return keep ? b : 'x';
}

static uint8_t in_line(struct mask_way *y, uint8_t b)
{
	if (b == '\n')
		y->state = TYPE;
	if (b == '\n' || b == '\r')
		return b;
	if (y->state == SIMPLE)
		return word_feed(y, b, y->type == '-' ? errors : simple) ? b : b == ' ' ? ' ' : 'x';
	if (y->type == '#')
		return 't';
	/* A confirmation is what was done, where, and how many subscriptions there are now. */
	if (b >= '0' && b <= '9')
		return y->flags & SUBSCRIPTION && y->type == ':' && y->digits == 3 && y->number++ < COUNT_DIGITS ? b : '0';
	return b == '-' || b == '.' ? b : '0';
}

static uint8_t one(struct mask_way *y, uint8_t b)
{
	switch (y->state) {
	case TYPE: return at_type(y, b);
	case LENGTH: return in_length(y, b);
	case BULK: return in_bulk(y, b);
	case BULK_END:
		if (b == '\n')
			y->state = TYPE;
		return b == '\r' || b == '\n' ? b : 'x';
	case SIMPLE:
	case NUMBER: return in_line(y, b);
	default: return 'x';
	}
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	(void)c;
	for (size_t i = 0; i < n; i++)
		p[i] = one(y, p[i]);
}

static enum mask_opens opens(struct slice in)
{
	return in.ptr[0] && strchr("*$+->", in.ptr[0]) ? MASK_OPENS_MAYBE : MASK_OPENS_NOT;
}

const struct mask_ops mask_redis = { .opens = opens, .begins = begins, .mask = mask };

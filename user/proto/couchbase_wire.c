/* SPDX-License-Identifier: Apache-2.0 */
/* Headers, frames, and the names of opcodes and status codes: see couchbase_wire.h. */
#include <math.h>

#include "proto/couchbase_wire.h"

enum { REQUEST = 0x80, ANSWER = 0x81, PUSH = 0x82, PUSHED = 0x83, REQUEST_FRAMED = 0x08, ANSWER_FRAMED = 0x18 };
enum { DATATYPES = 7, VBUCKETS = 1024, FLAGS_BYTES = 4, ANSWER_EXTRAS = 24, FRAME_ESCAPE = 15 };
enum { OP_DCP = 0x50, OP_DCP_LAST = 0x65, OP_ERROR_MAP = 0xfe };
enum { FRAME_DURABILITY = 1, FRAME_DURATION = 0 }; /* of requests, of answers */

/*
 * Operations are called what Couchbase's own clients call them; that a request is quiet, or that its answer repeats the key, is not in the name.
 */
static const struct couchbase_op ops[256] = {
#define K COUCHBASE_KEY
#define N COUCHBASE_NO_KEY
#define V COUCHBASE_VALUE
#define Q COUCHBASE_QUIET
#define G COUCHBASE_GETS
#define L COUCHBASE_LOOKUP
#define F COUCHBASE_FLOW
	[0x00] = { "get", K | G, 0, 0 }, [0x01] = { "upsert", K | V, 8, 8 }, [0x02] = { "insert", K | V, 8, 8 }, [0x03] = { "replace", K | V, 8, 8 },
	[0x04] = { "remove", K, 0, 0 }, [0x05] = { "increment", K, 20, 20 }, [0x06] = { "decrement", K, 20, 20 }, [0x07] = { "quit", N, 0, 0 },
	[0x08] = { "flush", N, 0, 4 }, [0x09] = { "get", K | G | Q, 0, 0 }, [0x0a] = { "noop", N, 0, 0 }, [0x0b] = { "version", N, 0, 0 },
	[0x0c] = { "get", K | G, 0, 0 }, [0x0d] = { "get", K | G | Q, 0, 0 }, [0x0e] = { "append", K | V, 0, 0 }, [0x0f] = { "prepend", K | V, 0, 0 },
	[0x10] = { "stat", V, 0, 0 }, [0x11] = { "upsert", K | V | Q, 8, 8 }, [0x12] = { "insert", K | V | Q, 8, 8 }, [0x13] = { "replace", K | V | Q, 8, 8 },
	[0x14] = { "remove", K | Q, 0, 0 }, [0x15] = { "increment", K | Q, 20, 20 }, [0x16] = { "decrement", K | Q, 20, 20 }, [0x17] = { "quit", N | Q, 0, 0 },
	[0x18] = { "flush", N | Q, 0, 4 }, [0x19] = { "append", K | V | Q, 0, 0 }, [0x1a] = { "prepend", K | V | Q, 0, 0 }, [0x1b] = { "verbosity", N, 4, 4 },
	[0x1c] = { "touch", K, 4, 4 }, [0x1d] = { "get_and_touch", K | G, 4, 4 }, [0x1e] = { "get_and_touch", K | G | Q, 4, 4 }, [0x1f] = { "hello", V, 0, 0 },
	[0x20] = { "sasl_list_mechs", N, 0, 0 }, [0x21] = { "sasl_auth", V, 0, 0 }, [0x22] = { "sasl_step", V, 0, 0 }, [0x23] = { "ioctl_get", V, 0, 0 },
	[0x24] = { "ioctl_set", V, 0, 0 }, [0x25] = { "config_validate", V, 0, 0 }, [0x26] = { "config_reload", N, 0, 0 }, [0x27] = { "audit_put", V, 0, 4 },
	[0x28] = { "audit_config_reload", N, 0, 0 }, [0x29] = { "shutdown", N, 0, 0 }, [0x3d] = { "set_vbucket", V, 0, 4 }, [0x3e] = { "get_vbucket", N, 0, 0 },
	[0x3f] = { "delete_vbucket", V, 0, 0 }, [0x48] = { "get_all_vbucket_seqnos", N, 0, 8 },
	[0x50] = { "dcp_open", V, 8, 8 }, [0x51] = { "dcp_add_stream", V, 4, 4 }, [0x52] = { "dcp_close_stream", V, 0, 0 }, [0x53] = { "dcp_stream_request", V, 48, 48 },
	[0x54] = { "dcp_get_failover_log", N, 0, 0 }, [0x55] = { "dcp_stream_end", F | N, 4, 4 }, [0x56] = { "dcp_snapshot_marker", F | V, 1, 36 },
	[0x57] = { "dcp_mutation", F | V, 31, 36 }, [0x58] = { "dcp_deletion", F | V, 16, 27 }, [0x59] = { "dcp_expiration", F | V, 16, 27 }, [0x5a] = { "dcp_flush", F | N, 0, 0 },
	[0x5b] = { "dcp_set_vbucket_state", F | N, 1, 1 }, [0x5c] = { "dcp_noop", F | N, 0, 0 }, [0x5d] = { "dcp_buffer_acknowledgement", F | N, 4, 4 },
	[0x5e] = { "dcp_control", V, 0, 0 }, [0x5f] = { "dcp_system_event", F | V, 13, 13 }, [0x60] = { "dcp_prepare", F | V, 31, 36 },
	[0x61] = { "dcp_seqno_acknowledged", F | N, 8, 8 }, [0x62] = { "dcp_commit", F | V, 16, 16 }, [0x63] = { "dcp_abort", F | V, 16, 16 },
	[0x64] = { "dcp_seqno_advanced", F | N, 8, 8 }, [0x65] = { "dcp_oso_snapshot", F | N, 4, 4 },
	[0x80] = { "stop_persistence", N, 0, 0 }, [0x81] = { "start_persistence", N, 0, 0 }, [0x82] = { "set_param", V, 4, 4 }, [0x83] = { "get_replica", K | G, 0, 0 },
	[0x85] = { "create_bucket", V, 0, 0 }, [0x86] = { "delete_bucket", V, 0, 0 }, [0x87] = { "list_buckets", N, 0, 0 }, [0x89] = { "select_bucket", 0, 0, 0 },
	[0x8a] = { "pause_bucket", V, 0, 0 }, [0x8b] = { "resume_bucket", V, 0, 0 }, [0x91] = { "observe_seqno", N | V, 0, 0 }, [0x92] = { "observe", N | V, 0, 0 },
	[0x93] = { "evict_key", K, 0, 0 }, [0x94] = { "get_and_lock", K | G, 0, 4 }, [0x95] = { "unlock", K, 0, 0 }, [0x96] = { "get_failover_log", N, 0, 0 },
	[0x97] = { "last_closed_checkpoint", N, 0, 0 }, [0xa0] = { "get_meta", K, 0, 1 }, [0xa1] = { "get_meta", K | Q, 0, 1 },
	[0xa2] = { "set_with_meta", K | V, 24, 30 }, [0xa3] = { "set_with_meta", K | V | Q, 24, 30 }, [0xa4] = { "add_with_meta", K | V, 24, 30 },
	[0xa5] = { "add_with_meta", K | V | Q, 24, 30 }, [0xa8] = { "delete_with_meta", K | V, 24, 30 }, [0xa9] = { "delete_with_meta", K | V | Q, 24, 30 },
	[0xaa] = { "create_checkpoint", N, 0, 0 }, [0xad] = { "enable_traffic", N, 0, 0 }, [0xae] = { "disable_traffic", N, 0, 0 },
	[0xb1] = { "checkpoint_persistence", V, 0, 8 }, [0xb2] = { "return_meta", K | V, 12, 12 }, [0xb3] = { "compact_db", N, 24, 24 },
	[0xb4] = { "set_cluster_config", V, 0, 16 }, [0xb5] = { "get_cluster_config", N, 0, 16 }, [0xb6] = { "get_random_key", G, 0, 4 },
	[0xb7] = { "seqno_persistence", N, 8, 8 }, [0xb8] = { "get_keys", K, 0, 4 }, [0xb9] = { "set_collections_manifest", N | V, 0, 0 },
	[0xba] = { "get_collections_manifest", N, 0, 0 }, [0xbb] = { "get_collection_id", V, 0, 0 }, [0xbc] = { "get_scope_id", V, 0, 0 },
	[0xc1] = { "set_drift_counter_state", N, 9, 9 }, [0xc2] = { "get_adjusted_time", N, 0, 0 },
	[0xc5] = { "subdoc_get", K | V | L, 3, 8 }, [0xc6] = { "subdoc_exists", K | V | L, 3, 8 }, [0xc7] = { "subdoc_insert", K | V, 3, 8 },
	[0xc8] = { "subdoc_upsert", K | V, 3, 8 }, [0xc9] = { "subdoc_remove", K | V, 3, 8 }, [0xca] = { "subdoc_replace", K | V, 3, 8 },
	[0xcb] = { "subdoc_array_append", K | V, 3, 8 }, [0xcc] = { "subdoc_array_prepend", K | V, 3, 8 }, [0xcd] = { "subdoc_array_insert", K | V, 3, 8 },
	[0xce] = { "subdoc_array_add_unique", K | V, 3, 8 }, [0xcf] = { "subdoc_counter", K | V, 3, 8 }, [0xd0] = { "lookup_in", K | V | L, 0, 5 },
	[0xd1] = { "mutate_in", K | V, 0, 5 }, [0xd2] = { "subdoc_count", K | V | L, 3, 8 }, [0xd3] = { "replace_body_with_xattr", K | V, 3, 8 },
	[0xda] = { "range_scan_create", V, 0, 0 }, [0xdb] = { "range_scan_continue", N, 28, 28 }, [0xdc] = { "range_scan_cancel", N, 16, 16 },
	[0xf1] = { "isasl_refresh", N, 0, 0 }, [0xf2] = { "ssl_certs_refresh", N, 0, 0 }, [0xf3] = { "get_cmd_timer", V, 1, 1 }, [0xf4] = { "set_ctrl_token", N, 8, 8 },
	[0xf5] = { "get_ctrl_token", N, 0, 0 }, [0xf6] = { "update_external_user_permissions", V, 0, 0 }, [0xf7] = { "rbac_refresh", N, 0, 0 },
	[0xf8] = { "auth_provider", N, 0, 0 }, [0xfb] = { "drop_privilege", V, 0, 0 }, [0xfc] = { "adjust_timeofday", N, 9, 9 }, [0xfd] = { "ewouldblock_ctl", V, 12, 12 },
	[0xfe] = { "get_error_map", N | V, 0, 0 },
#undef K
#undef N
#undef V
#undef Q
#undef G
#undef L
#undef F
};

/*
 * `fails` as for memcached: that there is no such document, or there is one already, is an answer. That another node has the key sends the client there, and
 * the others say that something goes on. MISS fails but for those who look into a document.
 */
enum { FAILS = 1, MISS = 2 };

static const struct status {
	uint16_t code;
	uint8_t fails;
	const char *name;
} statuses[] = {
	{ 0x01, 0, "KEY_ENOENT" }, { 0x02, 0, "KEY_EEXISTS" }, { 0x03, FAILS, "E2BIG" }, { 0x04, FAILS, "EINVAL" }, { 0x05, 0, "NOT_STORED" },
	{ 0x06, FAILS, "DELTA_BADVAL" }, { 0x07, 0, "NOT_MY_VBUCKET" }, { 0x08, FAILS, "NO_BUCKET" }, { 0x09, FAILS, "LOCKED" }, { 0x0a, FAILS, "DCP_STREAM_NOT_FOUND" },
	{ 0x0b, FAILS, "OPAQUE_NO_MATCH" }, { 0x0c, FAILS, "EWOULDTHROTTLE" }, { 0x0d, FAILS, "ECONFIGONLY" }, { 0x0e, FAILS, "NOT_LOCKED" },
	{ 0x0f, FAILS, "CAS_VALUE_INVALID" }, { 0x1f, FAILS, "AUTH_STALE" }, { 0x20, FAILS, "AUTH_ERROR" }, { 0x21, 0, "AUTH_CONTINUE" }, { 0x22, FAILS, "ERANGE" },
	{ 0x23, 0, "ROLLBACK" }, { 0x24, FAILS, "EACCESS" }, { 0x25, FAILS, "NOT_INITIALIZED" }, { 0x30, FAILS, "RATE_LIMITED_NETWORK_INGRESS" },
	{ 0x31, FAILS, "RATE_LIMITED_NETWORK_EGRESS" }, { 0x32, FAILS, "RATE_LIMITED_MAX_CONNECTIONS" }, { 0x33, FAILS, "RATE_LIMITED_MAX_COMMANDS" },
	{ 0x34, FAILS, "SCOPE_SIZE_LIMIT_EXCEEDED" }, { 0x35, FAILS, "BUCKET_SIZE_LIMIT_EXCEEDED" }, { 0x36, FAILS, "BUCKET_RESIDENT_RATIO_TOO_LOW" },
	{ 0x37, FAILS, "BUCKET_DATA_SIZE_TOO_BIG" }, { 0x38, FAILS, "BUCKET_DISK_SPACE_TOO_LOW" }, { 0x80, FAILS, "UNKNOWN_FRAME_INFO" },
	{ 0x81, FAILS, "UNKNOWN_COMMAND" }, { 0x82, FAILS, "ENOMEM" }, { 0x83, FAILS, "NOT_SUPPORTED" }, { 0x84, FAILS, "EINTERNAL" }, { 0x85, FAILS, "EBUSY" },
	{ 0x86, FAILS, "ETMPFAIL" }, { 0x87, FAILS, "XATTR_EINVAL" }, { 0x88, FAILS, "UNKNOWN_COLLECTION" }, { 0x89, FAILS, "NO_COLLECTIONS_MANIFEST" },
	{ 0x8a, FAILS, "CANNOT_APPLY_COLLECTIONS_MANIFEST" }, { 0x8b, FAILS, "COLLECTIONS_MANIFEST_IS_AHEAD" }, { 0x8c, FAILS, "UNKNOWN_SCOPE" },
	{ 0x8d, FAILS, "DCP_STREAMID_INVALID" }, { 0xa0, FAILS, "DURABILITY_INVALID_LEVEL" }, { 0xa1, FAILS, "DURABILITY_IMPOSSIBLE" },
	{ 0xa2, FAILS, "SYNC_WRITE_IN_PROGRESS" }, { 0xa3, FAILS, "SYNC_WRITE_AMBIGUOUS" }, { 0xa4, FAILS, "SYNC_WRITE_RE_COMMIT_IN_PROGRESS" },
	{ 0xa5, FAILS, "RANGE_SCAN_CANCELLED" }, { 0xa6, 0, "RANGE_SCAN_MORE" }, { 0xa7, 0, "RANGE_SCAN_COMPLETE" }, { 0xa8, FAILS, "VBUUID_NOT_EQUAL" },
	{ 0xc0, FAILS | MISS, "SUBDOC_PATH_ENOENT" }, { 0xc1, FAILS, "SUBDOC_PATH_MISMATCH" }, { 0xc2, FAILS, "SUBDOC_PATH_EINVAL" }, { 0xc3, FAILS, "SUBDOC_PATH_E2BIG" },
	{ 0xc4, FAILS, "SUBDOC_DOC_E2DEEP" }, { 0xc5, FAILS, "SUBDOC_VALUE_CANTINSERT" }, { 0xc6, FAILS, "SUBDOC_DOC_NOTJSON" }, { 0xc7, FAILS, "SUBDOC_NUM_ERANGE" },
	{ 0xc8, FAILS, "SUBDOC_DELTA_EINVAL" }, { 0xc9, FAILS, "SUBDOC_PATH_EEXISTS" }, { 0xca, FAILS, "SUBDOC_VALUE_ETOODEEP" }, { 0xcb, FAILS, "SUBDOC_INVALID_COMBO" },
	{ 0xcc, FAILS | MISS, "SUBDOC_MULTI_PATH_FAILURE" }, { 0xcd, 0, "SUBDOC_SUCCESS_DELETED" }, { 0xce, FAILS, "SUBDOC_XATTR_INVALID_FLAG_COMBO" },
	{ 0xcf, FAILS, "SUBDOC_XATTR_INVALID_KEY_COMBO" }, { 0xd0, FAILS, "SUBDOC_XATTR_UNKNOWN_MACRO" }, { 0xd1, FAILS, "SUBDOC_XATTR_UNKNOWN_VATTR" },
	{ 0xd2, FAILS, "SUBDOC_XATTR_CANT_MODIFY_VATTR" }, { 0xd3, FAILS | MISS, "SUBDOC_MULTI_PATH_FAILURE_DELETED" }, { 0xd4, FAILS, "SUBDOC_INVALID_XATTR_ORDER" },
	{ 0xd5, FAILS, "SUBDOC_XATTR_UNKNOWN_VATTR_MACRO" }, { 0xd6, FAILS, "SUBDOC_CAN_ONLY_REVIVE_DELETED_DOCUMENTS" },
	{ 0xd7, FAILS, "SUBDOC_DELETED_DOCUMENT_CANT_HAVE_VALUE" },
};

static const struct status *status_find(uint16_t code)
{
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].code == code)
			return &statuses[i];
	return NULL;
}

const char *couchbase_status_name(const struct couchbase_head *h, bool *ret_failed)
{
	const struct status *s = status_find(h->status);

	*ret_failed = h->status != 0 && (!s || (s->fails & FAILS && !(s->fails & MISS && h->op->flags & COUCHBASE_LOOKUP)));
	return h->status == 0 ? NULL : s ? s->name : "_OTHER";
}

static bool kind_of(uint8_t magic, enum couchbase_kind *ret_kind)
{
	switch (magic) {
	case REQUEST: case REQUEST_FRAMED: *ret_kind = COUCHBASE_REQUEST; return true;
	case ANSWER: case ANSWER_FRAMED: *ret_kind = COUCHBASE_ANSWER; return true;
	case PUSH: *ret_kind = COUCHBASE_PUSH; return true;
	case PUSHED: *ret_kind = COUCHBASE_PUSHED; return true;
	default: return false;
	}
}

/* What goes to the other side but for a stream of changes, which a server may ask a client for as well, is refused by its first two bytes. */
static bool side_fits(enum couchbase_kind kind, uint8_t opcode, enum proto_side side)
{
	bool flow = (opcode >= OP_DCP && opcode <= OP_DCP_LAST) || opcode == OP_ERROR_MAP;

	switch (kind) {
	case COUCHBASE_REQUEST: return side == PROTO_TO_SERVER || flow;
	case COUCHBASE_ANSWER: return side == PROTO_TO_CLIENT || flow;
	case COUCHBASE_PUSH: return side == PROTO_TO_CLIENT && opcode >= 1 && opcode <= 4;
	case COUCHBASE_PUSHED: return side == PROTO_TO_SERVER && opcode >= 1 && opcode <= 4;
	}
	return false;
}

const struct couchbase_op *couchbase_op(uint8_t opcode) { return &ops[opcode]; }

enum couchbase_scan couchbase_head_read(struct slice in, enum proto_side side, struct couchbase_head *ret)
{
	enum couchbase_kind kind;

	if (in.len == 0)
		return COUCHBASE_MORE;
	if (!kind_of(in.ptr[0], &kind))
		return COUCHBASE_BAD;
	if (in.len < 2)
		return COUCHBASE_MORE;
	bool framed = in.ptr[0] < REQUEST;
	/* Who has no frames says so by the first byte: 24 and zeros may be anything. */
	if (!side_fits(kind, in.ptr[1], side) || (in.len > 2 && (framed ? in.ptr[2] == 0 : in.ptr[2] > COUCHBASE_KEY_MAX >> 8)) || (in.len > 5 && in.ptr[5] > DATATYPES) ||
	    (in.len > 8 && in.ptr[8] > COUCHBASE_BODY_MAX >> 24))
		return COUCHBASE_BAD;
	if (in.len < COUCHBASE_HEAD)
		return COUCHBASE_MORE;
	uint16_t code = load_be16(in.ptr + 6), lens = load_be16(in.ptr + 2);
	bool asks = kind == COUCHBASE_REQUEST || kind == COUCHBASE_PUSH;
	*ret = (struct couchbase_head){
		.kind = kind, .op = &ops[in.ptr[1]], .opcode = in.ptr[1], .frames = (uint8_t)(framed ? lens >> 8 : 0), .extras = in.ptr[4],
		.key_len = framed ? lens & 0xff : lens, .status = asks ? 0 : code, .vbucket = asks ? code : 0, .body = load_be32(in.ptr + 8), .opaque = load_be32(in.ptr + 12),
	};
	bool fits = ret->key_len <= COUCHBASE_KEY_MAX && ret->body <= COUCHBASE_BODY_MAX && ret->vbucket < VBUCKETS &&
		    ret->body >= (uint32_t)ret->frames + ret->extras + ret->key_len;
	return fits ? COUCHBASE_OK : COUCHBASE_BAD;
}

bool couchbase_head_fits(const struct couchbase_head *h)
{
	const struct couchbase_op *o = h->op;
	uint32_t value = h->body - h->frames - h->extras - h->key_len;

	if (h->kind == COUCHBASE_PUSH || h->kind == COUCHBASE_PUSHED)
		return h->extras <= ANSWER_EXTRAS && h->status == 0;
	if (!o->name)
		return false;
	if (h->kind == COUCHBASE_ANSWER && o->flags & COUCHBASE_GETS && h->status == 0 && h->extras < FLAGS_BYTES)
		return false; /* a document has flags */
	if (h->kind == COUCHBASE_ANSWER)
		return h->extras <= ANSWER_EXTRAS && (h->status == 0 || status_find(h->status));
	if (o->flags & COUCHBASE_KEY ? h->key_len == 0 : o->flags & COUCHBASE_NO_KEY && h->key_len)
		return false;
	return h->extras >= o->extras_min && h->extras <= o->extras_max && (o->flags & COUCHBASE_VALUE || value == 0);
}

/* The number in a nibble, and in a further byte where that does not hold it. */
static bool frame_number(unsigned nibble, struct slice in, size_t *at, unsigned *ret)
{
	*ret = nibble;
	if (nibble != FRAME_ESCAPE)
		return true;
	if (*at >= in.len)
		return false;
	*ret += in.ptr[(*at)++];
	return true;
}

void couchbase_frames_read(struct slice frames, enum couchbase_kind kind, struct couchbase_frames *ret)
{
	size_t at = 0;

	*ret = (struct couchbase_frames){ 0 };
	while (at < frames.len) {
		uint8_t head = frames.ptr[at++];
		unsigned id, len;
		if (!frame_number(head >> 4, frames, &at, &id) || !frame_number(head & 15u, frames, &at, &len) || len > frames.len - at)
			return;
		if (kind == COUCHBASE_REQUEST && id == FRAME_DURABILITY && len)
			ret->durability = frames.ptr[at];
		if (kind == COUCHBASE_ANSWER && id == FRAME_DURATION && len == 2) {
			ret->timed = true;
			ret->duration = load_be16(frames.ptr + at);
		}
		at += len;
	}
}

const char *couchbase_durability_name(uint8_t level)
{
	static const char *const names[] = { NULL, "majority", "majority_and_persist_active", "persist_majority" };

	return level < sizeof(names) / sizeof(names[0]) ? names[level] : NULL;
}

/* Microseconds to the power of 1 / 1.74, doubled before: up to two minutes in two bytes. */
int64_t couchbase_duration_ns(uint16_t coded) { return (int64_t)(pow(coded, 1.74) / 2 * 1000); }

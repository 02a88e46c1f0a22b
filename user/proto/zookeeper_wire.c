/* SPDX-License-Identifier: Apache-2.0 */
/* See zookeeper_wire.h. */
#include "proto/zookeeper_wire.h"

enum { STAT_BYTES = 68, HEAD_BYTES = 9 };

static const struct zookeeper_op ops[ZOOKEEPER_OPS] = {
	{ ZOOKEEPER_CONNECT_OP, "connect", "ilildo", "iildo", ZOOKEEPER_NO_PART },
	{ 1, "create", "pdai", "s", ZOOKEEPER_WRITE },
	{ 2, "delete", "pi", "", ZOOKEEPER_WRITE },
	{ 3, "exists", "pb", "T", ZOOKEEPER_NO_PART },
	{ 4, "getData", "pb", "dT", ZOOKEEPER_READ },
	{ 5, "setData", "pdi", "T", ZOOKEEPER_WRITE },
	{ 6, "getACL", "p", "aT", ZOOKEEPER_NO_PART },
	{ 7, "setACL", "pai", "T", ZOOKEEPER_NO_PART },
	{ 8, "getChildren", "pb", "V", ZOOKEEPER_READ },
	{ 9, "sync", "p", "s", ZOOKEEPER_NO_PART },
	{ 11, "ping", "", "", ZOOKEEPER_NO_PART },
	{ 12, "getChildren2", "pb", "VT", ZOOKEEPER_NO_PART },
	{ 13, "check", "pi", "", ZOOKEEPER_WRITE },
	{ 14, "multi", "m", "m", ZOOKEEPER_NO_PART },
	{ 15, "create2", "pdai", "sT", ZOOKEEPER_WRITE },
	{ 16, "reconfig", "sssl", "dT", ZOOKEEPER_NO_PART },
	{ 17, "checkWatches", "pi", "", ZOOKEEPER_NO_PART },
	{ 18, "removeWatches", "pi", "", ZOOKEEPER_NO_PART },
	{ 19, "createContainer", "pdai", "sT", ZOOKEEPER_WRITE },
	{ 20, "deleteContainer", "p", "", ZOOKEEPER_NO_PART },
	{ 21, "createTTL", "pdail", "sT", ZOOKEEPER_WRITE },
	{ 22, "multiRead", "m", "m", ZOOKEEPER_NO_PART },
	{ 100, "auth", "isd", "", ZOOKEEPER_NO_PART },
	{ 101, "setWatches", "lVVV", "", ZOOKEEPER_NO_PART },
	{ 102, "sasl", "d", "d", ZOOKEEPER_NO_PART },
	{ 103, "getEphemerals", "p", "V", ZOOKEEPER_NO_PART },
	{ 104, "getAllChildrenNumber", "p", "i", ZOOKEEPER_NO_PART },
	{ 105, "setWatches2", "lVVVVV", "", ZOOKEEPER_NO_PART },
	{ 106, "addWatch", "pi", "i", ZOOKEEPER_NO_PART },
	{ 107, "whoAmI", "", "u", ZOOKEEPER_NO_PART },
	{ -11, "closeSession", "", "", ZOOKEEPER_NO_PART },
};

const struct zookeeper_op *zookeeper_op_get(int32_t code)
{
	for (size_t i = 1; i < ZOOKEEPER_OPS; i++)
		if (ops[i].code == code)
			return &ops[i];
	return NULL;
}

const struct zookeeper_op *zookeeper_op_at(unsigned i) { return i && i <= ZOOKEEPER_OPS ? &ops[i - 1] : NULL; }

unsigned zookeeper_op_place(const struct zookeeper_op *op) { return (unsigned)(op - ops) + 1; }

const char *zookeeper_error_name(int32_t code)
{
	switch (code) {
	case -1: return "SYSTEMERROR";
	case -2: return "RUNTIMEINCONSISTENCY";
	case -3: return "DATAINCONSISTENCY";
	case -4: return "CONNECTIONLOSS";
	case -5: return "MARSHALLINGERROR";
	case -6: return "UNIMPLEMENTED";
	case -7: return "OPERATIONTIMEOUT";
	case -8: return "BADARGUMENTS";
	case -12: return "UNKNOWNSESSION";
	case -13: return "NEWCONFIGNOQUORUM";
	case -14: return "RECONFIGINPROGRESS";
	case -100: return "APIERROR";
	case -101: return "NONODE";
	case -102: return "NOAUTH";
	case -103: return "BADVERSION";
	case -108: return "NOCHILDRENFOREPHEMERALS";
	case -110: return "NODEEXISTS";
	case -111: return "NOTEMPTY";
	case -112: return "SESSIONEXPIRED";
	case -113: return "INVALIDCALLBACK";
	case -114: return "INVALIDACL";
	case -115: return "AUTHFAILED";
	case -118: return "SESSIONMOVED";
	case -119: return "NOTREADONLY";
	case -120: return "EPHEMERALONLOCALSESSION";
	case -121: return "NOWATCHER";
	case -122: return "REQUESTTIMEOUT";
	case -123: return "RECONFIGDISABLED";
	case -124: return "SESSIONCLOSEDREQUIRESASLAUTH";
	case -125: return "QUOTAEXCEEDED";
	case -127: return "THROTTLEDOP";
	default: return NULL;
	}
}

/* ---- fields ---- */

void zookeeper_walk_start(struct zookeeper_walk *w, const char *layout, bool response)
{
	*w = (struct zookeeper_walk){ .at = layout, .part = "", .element = "", .elements_of = "", .multi = layout[0] == 'm', .response = response };
}

char zookeeper_walk_next(struct zookeeper_walk *w)
{
	if (w->elements && *w->element == '\0') {
		w->elements--;
		w->element = w->elements_of;
	}
	if (w->elements)
		return *w->element;
	if (w->multi)
		return *w->part ? *w->part : 'h';
	return *w->at;
}

static void advance(struct zookeeper_walk *w)
{
	if (w->elements)
		w->element++;
	else if (w->multi)
		w->part += *w->part != '\0';
	else
		w->at++;
}

/* Bytes of a field, without those of a text. */
static uint32_t field_bytes(char type)
{
	switch (type) {
	case 'b': case 'o': return 1;
	case 'l': return 8;
	case 'h': return HEAD_BYTES;
	case 'T': return 0;
	default: return 4;
	}
}

static bool is_text(char type) { return type == 'p' || type == 's' || type == 'd'; }
static bool is_list(char type) { return type == 'a' || type == 'V' || type == 'u'; }

static enum zookeeper_step text_step(struct slice in, uint32_t left, uint32_t shown, struct zookeeper_field *f)
{
	if (f->number < -1 || (int64_t)f->number > (int64_t)left - 4)
		return ZOOKEEPER_BAD;
	f->skip = f->number > 0 ? (uint32_t)f->number : 0;
	if (f->type != 'p')
		return ZOOKEEPER_FIELD;
	f->need = 4 + (size_t)(f->skip < shown ? f->skip : shown);
	if (in.len < f->need)
		return ZOOKEEPER_MORE;
	f->text = slice_head(slice_from(in, 4), f->skip);
	return ZOOKEEPER_FIELD;
}

static bool list_begins(struct zookeeper_walk *w, uint32_t left, const struct zookeeper_field *f)
{
	const char *layout = f->type == 'a' ? "iss" : f->type == 'u' ? "ss" : "s";

	if (f->number < -1 || (int64_t)f->number > (left - 4) / (4 * (int64_t)strlen(layout)))
		return false;
	w->elements = f->number > 0 ? (uint32_t)f->number : 0;
	w->element = w->elements_of = layout;
	return true;
}

/* In front of each part, and behind the last one. In answers one that failed, or was not done as another failed, has the type -1. */
static bool part_begins(struct zookeeper_walk *w, const uint8_t *p, struct zookeeper_field *f)
{
	int32_t code = (int32_t)load_be32(p);

	f->number = (int32_t)load_be32(p + 5);
	if (p[4] > 1)
		return false;
	if (p[4]) {
		w->multi = false;
		w->at = "";
		return code == -1;
	}
	if (w->response && code == -1) {
		w->part = "i";
		return true;
	}
	f->op = zookeeper_op_get(code);
	if (!f->op || f->op->parts == ZOOKEEPER_NO_PART)
		return false;
	w->part = w->response ? f->op->response : f->op->request;
	return true;
}

enum zookeeper_step zookeeper_walk_step(struct zookeeper_walk *w, struct slice in, uint32_t left, uint32_t shown, struct zookeeper_field *ret)
{
	char type = zookeeper_walk_next(w);
	uint32_t n = field_bytes(type);

	*ret = (struct zookeeper_field){ .type = type, .consumed = n, .skip = type == 'T' ? STAT_BYTES : 0, .need = n };
	if (type == '\0' || (type == 'o' && left == 0))
		return ZOOKEEPER_END;
	if (left < n + ret->skip)
		return ZOOKEEPER_BAD;
	if (in.len < n)
		return ZOOKEEPER_MORE;
	if (n == 4)
		ret->number = (int32_t)load_be32(in.ptr);
	else if (n == 1)
		ret->number = in.ptr[0];
	if (is_text(type)) {
		enum zookeeper_step step = text_step(in, left, shown, ret);
		if (step != ZOOKEEPER_FIELD)
			return step;
	}
	if (type == 'h')
		return part_begins(w, in.ptr, ret) ? ZOOKEEPER_FIELD : ZOOKEEPER_BAD;
	advance(w);
	return is_list(type) && !list_begins(w, left, ret) ? ZOOKEEPER_BAD : ZOOKEEPER_FIELD;
}

/* ---- heads ---- */

/* Pings, credentials and watches set again have numbers of their own, although some clients count the latter two. */
static bool xid_fits(int32_t xid, const struct zookeeper_op *op)
{
	switch (xid) {
	case ZOOKEEPER_XID_PING: return op->code == 11;
	case ZOOKEEPER_XID_AUTH: return op->code == 100;
	case ZOOKEEPER_XID_WATCHES: return op->code == 101 || op->code == 105;
	default: return xid >= 0 && op->code != 11;
	}
}

bool zookeeper_request_read(struct slice in, struct zookeeper_request *ret)
{
	ret->size = load_be32(in.ptr);
	ret->xid = (int32_t)load_be32(in.ptr + 4);
	ret->op = zookeeper_op_get((int32_t)load_be32(in.ptr + 8));
	return ret->size >= ZOOKEEPER_HEAD - ZOOKEEPER_SIZE && ret->size <= ZOOKEEPER_FRAME_MAX && ret->op && xid_fits(ret->xid, ret->op);
}

bool zookeeper_reply_read(struct slice in, struct zookeeper_reply *ret)
{
	ret->size = load_be32(in.ptr);
	ret->xid = (int32_t)load_be32(in.ptr + 4);
	ret->zxid = load_be64(in.ptr + 8);
	ret->error = (int32_t)load_be32(in.ptr + 16);
	if (ret->xid < 0 && ret->xid != ZOOKEEPER_XID_EVENT && ret->xid != ZOOKEEPER_XID_PING && ret->xid != ZOOKEEPER_XID_AUTH && ret->xid != ZOOKEEPER_XID_WATCHES)
		return false;
	return ret->size >= ZOOKEEPER_REPLY_HEAD - ZOOKEEPER_SIZE && ret->size <= ZOOKEEPER_FRAME_MAX && ret->error <= 0 && ret->error > -256;
}

/* The password's length, and that of the frame up to it: only one byte may follow, of clients that can do without a leader. */
static bool password_fits(uint32_t size, uint32_t before, uint32_t password)
{
	return size >= before && password <= ZOOKEEPER_FRAME_MAX && (size - before == password || size - before == password + 1);
}

bool zookeeper_is_connect(struct slice in)
{
	return load_be32(in.ptr + 4) == 0 && in.ptr[8] == 0 && in.ptr[16] < 0x80 && password_fits(load_be32(in.ptr), ZOOKEEPER_CONNECT - ZOOKEEPER_SIZE, load_be32(in.ptr + 28));
}

bool zookeeper_is_connected(struct slice in)
{
	return load_be32(in.ptr + 4) == 0 && in.ptr[8] < 0x80 && password_fits(load_be32(in.ptr), ZOOKEEPER_CONNECTED - ZOOKEEPER_SIZE, load_be32(in.ptr + 20));
}

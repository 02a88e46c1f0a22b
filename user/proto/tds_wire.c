/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/tds_wire.h"

bool tds_is_request(uint8_t type)
{
	switch (type) {
	case TDS_BATCH: case TDS_RPC: case TDS_ATTENTION: case TDS_BULK: case TDS_FEDAUTH: case TDS_TRANSACTION: case TDS_LOGIN: case TDS_SSPI: case TDS_PRELOGIN: return true;
	default: return false;
	}
}

bool tds_is_head(struct slice in, enum proto_side side)
{
	const uint8_t *p = in.ptr;
	uint16_t len = load_be16(p + 2);

	if (len < TDS_HEAD || len > TDS_PACKET_MAX || p[7])
		return false;
	if (side == PROTO_TO_CLIENT)
		return (p[0] == TDS_RESPONSE || p[0] == TDS_PRELOGIN) && p[1] <= TDS_EOM && len > TDS_HEAD;
	if (p[0] == TDS_ATTENTION)
		return len == TDS_HEAD && p[1] & TDS_EOM;
	return tds_is_request(p[0]) && !(p[1] & ~TDS_STATUS) && (len > TDS_HEAD || p[1] & TDS_EOM);
}

bool tds_is_smp(struct slice in)
{
	const uint8_t *p = in.ptr;
	uint32_t len = load_le32(p + 4);

	if (p[0] != SMP)
		return false;
	if (p[1] == SMP_DATA)
		return len > SMP_HEAD && len <= SMP_DATA_MAX;
	return (p[1] == SMP_SYN || p[1] == SMP_ACK || p[1] == SMP_FIN) && len == SMP_HEAD;
}

/* 2.2.5.4 and 2.2.5.5 */
static const struct tds_type_info types[256] = {
	[0x1f] = { .shape = 0 },                       /* NULL: has no bytes; told from types that are none by its number */
	[0x30] = { .shape = 1 }, [0x32] = { .shape = 1 }, /* TINYINT, BIT */
	[0x34] = { .shape = 2 },                       /* SMALLINT */
	[0x38] = { .shape = 4 }, [0x3a] = { .shape = 4 }, [0x3b] = { .shape = 4 }, [0x7a] = { .shape = 4 }, /* INT, SMALLDATETIME, REAL, SMALLMONEY */
	[0x3c] = { .shape = 8 }, [0x3d] = { .shape = 8 }, [0x3e] = { .shape = 8 }, [0x7f] = { .shape = 8 }, /* MONEY, DATETIME, FLOAT, BIGINT */
	[0x24] = { .shape = TDS_BYTE, .fixed = 1 },    /* UNIQUEIDENTIFIER */
	[0x26] = { .shape = TDS_BYTE, .fixed = 1 }, [0x68] = { .shape = TDS_BYTE, .fixed = 1 }, /* INTN, BITN */
	[0x6d] = { .shape = TDS_BYTE, .fixed = 1 }, [0x6e] = { .shape = TDS_BYTE, .fixed = 1 }, [0x6f] = { .shape = TDS_BYTE, .fixed = 1 }, /* FLTN, MONEYN, DATETIMN */
	[0x37] = { .shape = TDS_BYTE, .fixed = 3 }, [0x3f] = { .shape = TDS_BYTE, .fixed = 3 }, /* DECIMAL, NUMERIC of old */
	[0x6a] = { .shape = TDS_BYTE, .fixed = 3 }, [0x6c] = { .shape = TDS_BYTE, .fixed = 3 }, /* DECIMALN, NUMERICN */
	[0x25] = { .shape = TDS_BYTE, .fixed = 1 }, [0x27] = { .shape = TDS_BYTE, .fixed = 1 }, [0x2d] = { .shape = TDS_BYTE, .fixed = 1 }, [0x2f] = { .shape = TDS_BYTE, .fixed = 1 },
	[0x28] = { .shape = TDS_BYTE },                /* DATE */
	[0x29] = { .shape = TDS_BYTE, .fixed = 1 }, [0x2a] = { .shape = TDS_BYTE, .fixed = 1 }, [0x2b] = { .shape = TDS_BYTE, .fixed = 1 }, /* TIME, DATETIME2, DATETIMEOFFSET */
	[0xa5] = { .shape = TDS_SHORT, .fixed = 2, .size_at = 1 }, [0xad] = { .shape = TDS_SHORT, .fixed = 2, .size_at = 1 }, /* VARBINARY, BINARY */
	[0xa7] = { .shape = TDS_SHORT, .fixed = 2, .size_at = 1, .collation = true }, [0xaf] = { .shape = TDS_SHORT, .fixed = 2, .size_at = 1, .collation = true }, /* VARCHAR, CHAR */
	[0xe7] = { .shape = TDS_SHORT, .fixed = 2, .size_at = 1, .collation = true, .text = true }, /* NVARCHAR */
	[0xef] = { .shape = TDS_SHORT, .fixed = 2, .size_at = 1, .collation = true, .text = true }, /* NCHAR */
	[0x22] = { .shape = TDS_TEXT, .fixed = 4, .table = true }, /* IMAGE */
	[0x23] = { .shape = TDS_TEXT, .fixed = 4, .collation = true, .table = true }, /* TEXT */
	[0x63] = { .shape = TDS_TEXT, .fixed = 4, .collation = true, .table = true, .text = true }, /* NTEXT */
	[0x62] = { .shape = TDS_LONG, .fixed = 4 },    /* SQL_VARIANT */
	[0xf0] = { .shape = TDS_PARTS, .udt = true },
	[0xf1] = { .shape = TDS_PARTS, .fixed = 1, .schema = true }, /* XML */
	[0xf4] = { .shape = TDS_PARTS },               /* JSON */
};

struct tds_type_info tds_type_info(uint8_t type)
{
	struct tds_type_info t = types[type];

	if (t.shape == 0 && type != 0x1f)
		t.shape = TDS_UNKNOWN;
	return t;
}

/* --- text --- */

void tds_text_begin(struct tds_text *t, char *text, size_t cap)
{
	*t = (struct tds_text){ .text = text, .cap = (uint16_t)cap };
}

static void put(struct tds_text *t, uint32_t c)
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	if (t->full || n > (size_t)(t->cap - t->len)) {
		t->full = true;
		return;
	}
	char *p = t->text + t->len;
	t->len = (uint16_t)(t->len + n);
	if (n == 1) {
		p[0] = (char)c;
		return;
	}
	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		p[i] = (char)(0x80 | (c & 0x3f));
	p[0] = (char)((0xf00 >> n) | c);
}

static void unit(struct tds_text *t, uint16_t u)
{
	uint16_t high = t->high;

	t->high = 0;
	if (high && u >= 0xdc00 && u <= 0xdfff) {
		put(t, 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(u - 0xdc00));
		return;
	}
	if (high)
		put(t, 0xfffd);
	if (u >= 0xd800 && u <= 0xdbff)
		t->high = u;
	else
		put(t, u >= 0xdc00 && u <= 0xdfff ? 0xfffd : u);
}

void tds_text_add(struct tds_text *t, struct slice s)
{
	size_t at = 0;

	if (t->full)
		return;
	if (t->half && s.len) {
		t->half = false;
		unit(t, (uint16_t)(t->odd | s.ptr[at++] << 8));
	}
	for (; s.len - at >= 2 && !t->full; at += 2)
		unit(t, load_le16(s.ptr + at));
	if (s.len - at == 1) {
		t->half = true;
		t->odd = s.ptr[at];
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* proto/masker: canaries in every place of every protocol, cut at every two positions, never survive; the framing does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <sys/socket.h>

#include "proto/masker.h"
#include "proto/masker_way.h"

#define C "cAnArY-4711z" /* no part of four bytes is in any list */

struct talk {
	struct slice to_server, to_client;
	struct slice want_server, want_client;
};

#define N "4929123456781234" /* stays only as far as a length or a count may be one */

#define S(s) SLICE_LIT(s)

static const struct talk talks[] = {
	{ S("POST /a/" C "/7?k=" C "&" C " HTTP/1.1\r\nHost: " C "\r\nCookie: " C "\r\n" C ": 1\r\nContent-Length: 12\r\nConnection: " C "\r\n\r\n" C
	    "GET /" C " HTTP/1.1\r\nAuthorization: Bearer " C "\r\n\r\n"),
	  S("HTTP/1.1 404 " C "\r\nTransfer-Encoding: chunked\r\nSet-Cookie: " C "\r\n\r\nc;" C "\r\n" C "\r\n0\r\n" C ": " C "\r\n\r\n"
	    "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n" C),
	  S("POST /x/xxxxxxx0000x/0?x=xxxxxxxxxxxx&xxxxxxxxxxxx HTTP/1.1\r\n"), S("HTTP/1.1 404 xxxxxxxxxxxx\r\nTransfer-Encoding: chunked\r\n") },
	/* HTTP/2: literals of all kinds, padded; a block that goes on in a second frame; data, debug data of GOAWAY. */
	{ S("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" "\0\0\6\4\0\0\0\0\0" "\0\5\0\0\x40\0" "\0\0\x55\1\4\0\0\0\1" "\x82\x86\x44\x0d/" C "\x41\x0c" C "\x40\x0c" C "\x0c" C "\x10\x0c" C "\x0c" C
	    "\0\0\x0c\0\1\0\0\0\1" C "\0\0\x0c\6\0\0\0\0\0" C "\0\0\x0c\x10\0\0\0\0\0" C),
	  S("\0\0\0\4\0\0\0\0\0" "\0\0\x12\1\x28\0\0\0\1" "\3\0\0\0\0\7" "\x48\3" "404\x40\x0c" "cA\0\0\0" "\0\0\x17\x09\4\0\0\0\1" "nArY-4711z\x0c" C
	    "\0\0\x10\0\x09\0\0\0\1\3" C "\0\0\0" "\0\0\x14\7\0\0\0\0\0\0\0\0\1\0\0\0\0" C),
	  S("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" "\0\0\6\4\0\0\0\0\0" "\0\5\0\0\x40\0" "\0\0\x55\1\4\0\0\0\1" "\x82\x86\x44\x0d/xxxxxxxxxxxx\x41\x0cxxxxxxxxxxxx\x40\x0cxxxxxxxxxxxx\x0cxxxxxxxxxxxx"
	    "\x10\x0cxxxxxxxxxxxx\x0cxxxxxxxxxxxx" "\0\0\x0c\0\1\0\0\0\1xxxxxxxxxxxx"),
	  S("\0\0\0\4\0\0\0\0\0" "\0\0\x12\1\x28\0\0\0\1" "\3\0\0\0\0\0" "\x48\3" "404\x40\x0cxx\0\0\0" "\0\0\x17\x09\4\0\0\0\1" "xxxxxxxxxx\x0cxxxxxxxxxxxx"
	    "\0\0\x10\0\x09\0\0\0\1\3xxxxxxxxxxxxxxx" "\0\0\x14\7\0\0\0\0\0\0\0\0") },
	{ S("*3\r\n$3\r\nSET\r\n$12\r\n" C "\r\n$12\r\n" C "\r\n*2\r\n$4\r\nAUTH\r\n$12\r\n" C "\r\n*1\r\n$12\r\n" C "\r\n"),
	  S("+OK\r\n-WRONGTYPE " C "\r\n+" C "\r\n$12\r\n" C "\r\n*2\r\n$12\r\n" C "\r\n:4711\r\n"),
	  S("*3\r\n$3\r\nSET\r\n$12\r\nxxxxxxxxxxxx\r\n$12\r\nxxxxxxxxxxxx\r\n*2\r\n$4\r\nAUTH\r\n$12\r\nx"), S("+OK\r\n-WRONGTYPE xxxxxxxxxxxx\r\n+xxxxxxxxxxxx\r\n$12\r\nx") },
	{ S("\0\0\0\x08\x04\xd2\x16\x2f" "\0\0\0\x1c\0\3\0\0user\0cAnArY-4711z\0\0\0" "p\0\0\0\x11" C "\0" "Q\0\0\0\x1aselect '" C "'\0"
	    "P\0\0\0\x28" C "\0select '" C "\0\0\0" "B\0\0\0\x20" C "\0" C "\0\0\0" "D\0\0\0\x12S" C "\0" "X\0\0\0\4"),
	  S("N" "R\0\0\0\x08\0\0\0\0" "S\0\0\0\x13k\0" C "\0" "E\0\0\0\x2fSERROR\0C42P01\0M" C "\0D" C "\0\0" "D\0\0\0\x16\0\1\0\0\0\x0c" C
	    "C\0\0\0\x0dSELECT 7\0" "Z\0\0\0\5I"),
	  S("\0\0\0\x08\x04\xd2\x16\x2f\0\0\0\x1c\0\3\0\0user\0xxxxxxxxxxxx\0\0\0p\0\0\0\x11"), S("N" "R\0\0\0\x08\0\0\0\0S\0\0\0\x13x\0xxxxxxxxxxxx\0E\0\0\0\x2fSERROR\0C42P01\0Mx") },
	{ S("set " C " 7 60 12\r\n" C "\r\nget " C " " C "\r\ncas " C " 0 0 12 4711 noreply\r\n" C "\r\nms " C " 12 O" C " T60 q\r\n" C "\r\nstats " C "\r\n"
	    C "\r\nset k 0 0 " C "\r\n" C "\r\nincr " C " 4711\r\nget\0" C "\r\n\x80\0\0\x0c\0\0\0\0\0\0\0\x0c" "1234cAnArY-4" C),
	  S("STORED\r\nVALUE " C " 7 12\r\n" C "\r\nEND\r\nVA 12 O" C " k" C "\r\n" C "\r\nHD k" C "\r\n4711\r\nCLIENT_ERROR " C "\r\nSTAT " C " 4711\r\n" C "\r\n"
	    "\x81\0\0\x0c\4\0\0\0\0\0\0\x1c" "1234cAnArY-4zzzz" C C),
	  S("set xxxxxxxxxxxx 0 00 12\r\nxxxxxxxxxxxx\r\nget xxxxxxxxxxxx xxxxxxxxxxxx\r\ncas xxxxxxxxxxxx 0 0 12 0000 noreply\r\nxxxxxxxxxxxx\r\n"
	    "ms xxxxxxxxxxxx 12 Oxxxxxxx0000x T00 q\r\nxxxxxxxxxxxx\r\nstats c"),
	  S("STORED\r\nVALUE xxxxxxxxxxxx 0 12\r\nxxxxxxxxxxxx\r\nEND\r\nVA 12 Oxxxxxxx0000x kxxxxxxx0000x\r\nxxxxxxxxxxxx\r\nHD kxxxxxxx0000x\r\n0000\r\nCLIENT_ERROR x") },
	/* A NUL ends no word. */
	{ S("*2\r\n$16\r\nGET\0" C "\r\n$12\r\n" C "\r\n"), S("+OK\0" C "\r\n-ERR\0" C "\r\n"), S("*2\r\n$16\r\nGETxxxxxxxxxxxxx"), S("+OKxxxxxxxxxxxxx") },
	{ S("GET\0" C " / HTTP/1.1\r\nConnection: close\0" C "\r\n\r\n"), S("HTTP/1.1 200 OK\0" C "\r\nConnection: close\0" C "\r\n\r\n"),
	  S("GETx"), S("HTTP/1.1 200 ") },
	{ S("\0\0\0\x08\x04\xd2\x16\x2f" "Q\0\0\0\x18select\0" C "\0"), S("N" "C\0\0\0\x18SELECT\0" C "\0"), S("\0"), S("N") },
	/* MySQL: the server speaks first, so the first one is its. */
	{ S("A\0\0\0\x0a" "8.0.36-" C "\0\x01\x02\x03\x04" "cAnArY-4\0\xff\xf7\xff\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0" C "\0"
	    "-\0\0\x02\xfemysql_native_password\0" C "cAnArY-47\0" "\x07\0\0\x04\0\0\0\x02\0\0\0" "\x01\0\0\x01\x01" "\x1c\0\0\x02\x03" "def" C C
	    "\x05\0\0\x03\xfe\0\0\x02\0" "\x0d\0\0\x04\x0c" C "\x0e\0\0\x05\0\0" C "\x05\0\0\x06\xfe\0\0\x02\0" "\x15\0\0\x01\xffz\x04#42S02" C
	    "\x15\0\0\x01\0\xfc" "cA\0\x02\0\0\0" C "\x12\0\0\x01\0" C "cAnAr"),
	  S("[\0\0\x01\x0d\xa2(\0" "cAnAr\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" C "\0\x0c" C C "\0mysql_native_cAnArY\0" "\x0c\0\0\x03" C
	    "\x16\0\0\0\x03select '" C "'" "\x18\0\0\0\x03\0\x01update t " C "\x16\0\0\0\x17\x01\0\0\0\0\x01\0\0\0" C "\x0d\0\0\0\x02" C
	    "\x0d\0\0\0\x03" C "\x0d\0\0\0\x17" C "\x05\0\0\0\x19\x01\0\0\0" "\x01\0\0\0\x0e"),
	  S("\x41\0\0\0\x0a" "8.0.36xxxxxxxx4711x\0"), S("\x5b\0\0\x01\x0d\xa2\x28\0xxxxx\0\0\0\0") },
	/* MongoDB: a command, documents in a section of their own with a check sum, a legacy command, what is compressed, legacy writes. */
	{ S("\xc2\0\0\0D3\x22\x11\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\xad\0\0\0\x02" "find\0\x0d\0\0\0" C "\0\x03" "filter\0h\0\0\0\x02" C "\0\x0d\0\0\0" C "\0\x04" "a\0A\0\0\0\x10" "0\0\x07\0\0\0\x07" "1\0" C "\x05" "2\0\x0c\0\0\0\0" C "\x0b" "3\0" C "\0i\0\0\0\x10limit\0g\x12\0\0\x02$db\0\x0d\0\0\0" C "\0\0\x9b\0\0\0\x07\0\0\0\0\0\0\0\xdd\x07\0\0\x01\0\0\0\0F\0\0\0\x02insert\0\x0d\0\0\0" C "\0\x10" C "\0\x01\0\0\0\x02$db\0\x0d\0\0\0" C "\0\0\x01;\0\0\0documents\0-\0\0\0\x10_id\0g\x12\0\0\x02" C "\0\x0d\0\0\0" C "\0\0cAnA_\0\0\0\x08\0\0\0\0\0\0\0\xd4\x07\0\0\0\0\0\0" C ".$cmd\0\0\0\0\0\xff\xff\xff\xff" "1\0\0\0\x02" "count\0\x0d\0\0\0" C "\0\x03query\0\x0d\0\0\0\x10ok\0g\x12\0\0\0\0%\0\0\0\x09\0\0\0\0\0\0\0\xdc\x07\0\0\xdd\x07\0\0g\x12\0\0\x02" C "[\0\0\0\x0a\0\0\0\0\0\0\0\xd2\x07\0\0\0\0\0\0shop." C "\x00" "5\0\0\0\x02" C "\0\x0d\0\0\0" C "\0\x10n\0g\x12\0\0\x10" "code\0g\x12\0\0\0 \0\0\0\x0b\0\0\0\0\0\0\0\xd7\x07\0\0\0\0\0\0\x01\0\0\0cAnArY-4"),
	  S("\x9f\0\0\0\x09\0\0\0D3\x22\x11\xdd\x07\0\0\0\0\0\0\0\x8a\0\0\0\x03" "cursor\0q\0\0\0\x04" "firstBatch\0?\0\0\0\x03" "0\x00" "7\0\0\0\x10_id\0g\x12\0\0\x10" "code\0g\x12\0\0\x02" C "\0\x0d\0\0\0" C "\0\0\0\x12id\0g\x12\0\0\0\0\0\0\x02ns\0\x0d\0\0\0" C "\0\0\x01ok\0\0\0\0\0\0\0\xf0?\0\xa3\0\0\0\x0a\0\0\0\x07\0\0\0\xdd\x07\0\0\0\0\0\0\0\x8e\0\0\0\x10n\0\x01\0\0\0\x04writeErrors\0i\0\0\0\x03" "0\0a\0\0\0\x10index\0g\x12\0\0\x10" "code\0\xf8*\0\0\x03keyValue\0$\0\0\0\x02" C "\0\x0d\0\0\0" C "\0\0\x02" "errmsg\0\x0d\0\0\0" C "\0\0\0\x01ok\0\0\0\0\0\0\0\xf0?\0w\0\0\0\x0b\0\0\0\x08\0\0\0\x01\0\0\0\x08\0\0\0g\x12\0\0\0\0\0\0\0\0\0\0\x01\0\0\0S\0\0\0\x01ok\0\0\0\0\0\0\0\0\0\x10" "code\0g\x12\0\0\x02" "errmsg\0\x0d\0\0\0" C "\0\x02" C "\0\x0d\0\0\0" C "\0\0d\0\0\0\x0c\0\0\0\x09\0\0\0\xdd\x07\0\0\0\0\0\0\0O\0\0\0\x01ok\0\0\0\0\0\0\0\0\0\x02" "errmsg\0\x0d\0\0\0" C "\0\x10" "code\0\xf8*\0\0\x02" "codeName\0\x0d\0\0\0" C "\0\0"),
	  S("\xc2\0\0\0D3\x01\x01\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\xad\0\0\0\x02" "find\0\x0d\0\0\0xxxxxxxxxxxx\0\x03" "filter\0h\0\0\0\x02xxxxxxxxxxxx\0\x0d\0\0\0xxxxxxxxxxxx\0\x04x\0A\0\0\0\x10x\0\0\0\0\0\x07x\0\0\0\0\0\0\0\0\0\0\0\0\0\x05x\0\x0c\0\0\0xxxxxxxxxxxxx\x0bx\0xxxxxxxxxxxx\0x\0\0\0\x10limit\0\0\0\0\0\x02$db\0\x0d\0\0\0xxxxxxxxxxxx\0\0"), S("\x9f\0\0\0\x09\0\0\0D3\x01\x01\xdd\x07\0\0\0\0\0\0\0\x8a\0\0\0\x03" "cursor\0q\0\0\0\x04" "firstBatch\0?\0\0\0\x03x\x00" "7\0\0\0\x10xxx\0\0\0\0\0\x10xxxx\0\0\0\0\0\x02xxxxxxxxxxxx\0\x0d\0\0\0xxxxxxxxxxxx\0\0\0\x12xx\0\0\0\0\0\0\0\0\0\x02nx\0\x0d\0\0\0xxxxxxxxxxxx\0\0\x01ok\0\0\0\0\0\0\0\xf0?\0") },
	/* Cassandra, version 4: a login, values, ids, rows, an error, bodies with something in front, and compressed. */
	{ S("\x04\x00\x00\x00\x01\x00\x00\x00" "1\x00\x02\x00\x0b" "CQL_VERSION\x00\x05" "3.0.0\x00\x0b" "DRIVER_NAME\x00\x0c" "cAnArY-4711z\x04\x00\x00\x00\x0f\x00\x00\x00\x10\x00\x00\x00\x0c" "cAnArY-4711z\x04\x00\x00\x01\x07\x00\x00\x00.\x00\x00\x00\x15select 'cAnArY-4711z'\x00\x01\x01\x00\x01\x00\x00\x00\x0c" "cAnArY-4711z\x04\x00\x00\x02\x09\x00\x00\x00\x1d\x00\x00\x00\x19" "cAnArY-4711z cAnArY-4711z\x04\x00\x00\x03\x0a\x00\x00\x00'\x00\x10" "cAnArY-4711zcAnA\x00\x01\x01\x00\x01\x00\x00\x00\x0c" "cAnArY-4711z\x04\x00\x00\x04\x0d\x00\x00\x00" "2\x00\x00\x01\x00\x00\x00\x00\x15select 'cAnArY-4711z'\x00\x01\x00\x00\x00\x0c" "cAnArY-4711z\x00\x01\x00\x04\x01\x00\x05\x07\x00\x00\x00\x18" "cAnArY-4711zcAnArY-4711z\x04\x04\x00\x06\x07\x00\x00\x00.\x00\x0c" "cAnArY-4711z\x00\x00\x00\x0c" "cAnArY-4711z\x00\x00\x00\x0c" "cAnArY-4711z"),
	  S("\x84\x00\x00\x00\x03\x00\x00\x00\x0e\x00\x0c" "cAnArY-4711z\x84\x00\x00\x00\x10\x00\x00\x00\x10\x00\x00\x00\x0c" "cAnArY-4711z\x84\x00\x00\x01\x08\x00\x00\x00 \x00\x00\x00\x02\x00\x00\x00\x04\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x0c" "cAnArY-4711z\x84\x00\x00\x02\x08\x00\x00\x00\x22\x00\x00\x00\x04\x00\x10" "cAnArY-4711zcAnAcAnArY-4711z\x84\x00\x00\x03\x00\x00\x00\x00\x1e\x00\x00\x22\x00\x00\x0c" "cAnArY-4711zcAnArY-4711z\x84\x00\x00\x04\x08\x00\x00\x00L\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00\x01\x00\x0c" "cAnArY-4711z\x00\x0c" "cAnArY-4711z\x00\x0c" "cAnArY-4711z\x00\x0d\x00\x00\x00\x01\x00\x00\x00\x0c" "cAnArY-4711z\x84\x00\x00\x05\x08\x00\x00\x00\x12\x00\x00\x00\x03\x00\x0c" "cAnArY-4711z\x84\x00\xff\xff\x0c\x00\x00\x00+\x00\x0dSCHEMA_CHANGE\x00\x0c" "cAnArY-4711z\x00\x0c" "cAnArY-4711z\x84\x08\x00\x06\x00\x00\x00\x00\x18" "cAnArY-4711zcAnArY-4711z"),
	  S("\x04\x00\x00\x00\x01\x00\x00\x00" "1\x00\x02\x00\x0b" "CQL_VERSION\x00\x05xxxxx\x00\x0b" "DRIVER_NAME\x00\x0c" "cxxxxxxxxxxx\x04\x00\x00\x00\x0f\x00\x00\x00\x10\x00\x00\x00\x0cxxxxxxxxxxxx\x04\x00\x00\x01\x07\x00\x00\x00.\x00\x00\x00\x15select xxxxxxxxxxxxxx\x00\x01\x00xxxxxxxxxxxxxxxxxx"),
	  S("\x84\x00\x00\x00\x03\x00\x00\x00\x0e\x00\x0cxxxxxxxxxxxx\x84\x00\x00\x00\x10\x00\x00\x00\x10\x00\x00\x00\x0cxxxxxxxxxxxx\x84\x00\x00\x01\x08\x00\x00\x00 \x00\x00\x00\x02\x00\x00\x00\x04\x00\x00\x00\x01\x00\x00\x00\x01xxxxxxxxxxxxxxxx\x84\x00\x00\x02\x08\x00\x00\x00\x22\x00\x00\x00\x04\x00\x10yyyyyyyyyyyyyyyyyyyyyyyyyyyy\x84\x00\x00\x03\x00\x00\x00\x00\x1e\x00\x00\x22\x00\x00\x0cxxxxxxxxxxxxxxxxxxxxxxxx") },
	/* And version 5, with segments of several envelopes, and of parts of one. */
	{ S("\x05\x00\x00\x00\x01\x00\x00\x00\x16\x00\x01\x00\x0b" "CQL_VERSION\x00\x05" "3.0.0{\x00\x02\xcdi\xa9\x05\x00\x00\x01\x07\x00\x00\x00" "1\x00\x00\x00\x15select 'cAnArY-4711z'\x00\x01\x00\x00\x00\x01\x00\x01\x00\x00\x00\x0c" "cAnArY-4711z\x05\x00\x00\x02\x0a\x00\x00\x00" "8\x00\x10" "cAnArY-4711zcAnA\x00\x0c" "cAnArY-4711z\x00\x01\x00\x00\x00\x01\x00\x01\x00\x00\x00\x0c" "cAnArY-4711z>y\x05n\x1e\x00\x00VK-\x05\x00\x00\x09\x07\x00\x00\x00" "7\x00\x00\x00-select 'cAnArY-47\xd6{\x83\x8d\x22\x00\x00\x14\x13\x8c" "11zcAnArY-4711zcAnArY-4711z'\x00\x01\x00\x00\x00\x00\xa9\x91\x9b(\x09\x00\x02\xa4\xc8\xc1\x05\x00\x00\x03\x05\x00\x00\x00\x00\xbe\xf4\xbc\xcb"),
	  S("\x85\x00\x00\x00\x02\x00\x00\x00\x00)\x00\x02\xf7\xfc\xe0\x85\x00\x00\x01\x08\x00\x00\x00 \x00\x00\x00\x02\x00\x00\x00\x04\x00\x00\x00\x01\x00\x00\x00\x07\x00\x00\x00\x0c" "cAnArY-4711z|\xc3\x17\xbb\x0d\x00\x02\xcf\x07\xf7\x85\x00\x00\x02\x08\x00\x00\x00\x04\x00\x00\x00\x01\x1d\xf8\x82\x16"),
	  S("\x05\x00\x00\x00\x01\x00\x00\x00\x16\x00\x01\x00\x0b" "CQL_VERSION\x00\x05xxxxx{\x00\x02\xcdi\xa9\x05\x00\x00\x01\x07\x00\x00\x00" "1\x00\x00\x00\x15select xxxxxxxxxxxxxx\x00\x01\x00\x00\x00\x00xxxxxxxxxxxxxxxxxx\x05\x00\x00\x02\x0a\x00\x00\x00" "8\x00\x10xxxxxxxxxxxxxxxx\x00\x0cxxxxxxxxxxxx\x00\x01\x00\x00\x00\x00xxxxxxxxxxxxxxxxxxxxxx\x1e\x00\x00VK-\x05\x00\x00\x09\x07\x00\x00\x00" "7\x00\x00\x00-select xxxxxxxxxxxxxx\x22\x00\x00\x14\x13\x8c"),
	  S("\x85\x00\x00\x00\x02\x00\x00\x00\x00)\x00\x02\xf7\xfc\xe0\x85\x00\x00\x01\x08\x00\x00\x00 \x00\x00\x00\x02\x00\x00\x00\x04\x00\x00\x00\x01\x00\x00\x00\x07xxxxxxxxxxxxxxxxxxxx\x0d\x00\x02\xcf\x07\xf7\x85\x00\x00\x02\x08\x00\x00\x00\x04\x00\x00\x00\x01xxxx") },
	/* NATS: the server speaks first. A subject of digits stays as far as it may be a number. */
	{ S("INFO {\"server_id\":\"" C "\"}\r\nMSG " C ".x 1 _INBOX." C " 12\r\n" C "\r\n-ERR '" C "'\r\nHMSG " C " 9 28 40\r\nNATS/1.0 503\r\n" C "\r\n" C "\r\nMSG " C " 1 " C "\r\n"),
	  S("CONNECT {\"verbose\":true,\"pass\":\"" C "\"}\r\nPUB " C " $JS.ACK." C " 12\r\n" C "\r\nSUB " C " " C " 1\r\nPUB $JS.ACK." C " 4\r\n+ACK\r\n" C "\r\n"),
	  S("INFO {\"sxxxxxxxx\":\"cxxxxxxxxxxx\"}\r\nMSG cxxxxxxxxxxx.x 1 _INBOX."),
	  S("CONNECT {\"verbose\":true,\"paxx\":\"cxxxxxxxxxxx\"}\r\nPUB cxxxxxxxxxxx $JS.ACK.cxxxxxxxxxxx 12\r\nxxxxxxxxxxxx\r\nSUB cxxxxxxxxxxx cxxxxxxxxxxx 1\r\nPUB $JS.ACK.cxxxxxxxxxxx 4\r\n+ACK\r\n") },
	/* MQTT: version 5, whose properties become others. */
	{ S("\x10\x3f\0\4MQTT\5\xc2\0\x3c\x15\x1f\0\x12" C "secret\0\x0c" C "\0\x0c" C C "\x32\x2d\0\x0e" C "/+\0\7\x0f\x03\0\x0c" C C "\x82\x12\0\x08\0\0\x0c" C "\1" C),
	  S("\x20\3\0\0\0" "\x40\x14\0\7\x87\x0f\x1f\0\x0c" C "q\x90\5\0\x08\0\1\x87" C),
	  S("\x10\x3f\0\4MQTT\5\xc2\0\0\x15\x23\0\1\1\0\1\0\1\0\1\0\1\0\1\0\1\0\1\0\1\0\0\x0cxxxxxxxxxxxx"),
	  S("\x20\3\0\0\0\x40\x14\0\7\x87\x0f\x23\0\1\1\0") },
	/* AMQP: a login, names, a publish with properties and its body; what the broker says and delivers. */
	{ S("AMQP\0\0\x09\1" "\1\0\0\0\0\0\x37" "\0\x0a\0\x0b" "\0\0\0\x0c" C "\x05PLAIN\0\0\0\x0c" C "\x0c" C "\xce"
	    "\1\0\1\0\0\0\x28" "\0\x32\0\x0a" "cA\x0c" C "\x10\0\0\0\x10\x0c" C "\xce\xce\xce" "\xce"
	    "\1\0\1\0\0\0\x21" "\0\x3c\0\x28" "\0\0\x0c" C "\x0c" C "\1" "\xce" "\2\0\1\0\0\0\x40" "\0\x3c\0\0\0\0\0\0\0\0\0\x0c\xa4\x40" "\x0c" C
	    "\0\0\0\x0c" C "\x0c" C "cAnArY-4" "\xce" "\3\0\1\0\0\0\x0c" C "\xce" "\1\0\1\0\0\0\x0d" "\0\x3c\0\x50" "cAnArY-4Y" "\xce" "\x08\0\0\0\0\0\0\xce" C),
	  S("\1\0\0\0\0\0\x23" "\0\x0a\0\x0a" "\0\x09" "\0\0\0\x0c" C "\0\0\0\5PLAIN\0\0\0\0" "\xce" "\1\0\0\0\0\0\x0c" "\0\x0a\0\x1e" "cAnArY-4" "\xce"
	    "\1\0\1\0\0\0\x34" "\0\x3c\0\x3c" "\x0c" C "\0\0\0\0\0\0\0\7\0\x0c" C "\x0c" C "\xce"
	    "\1\0\1\0\0\0\x17" "\0\x14\0\x28" "\1\x94\x0c" C "\0\x3c\0\x28" "\xce"),
	  S("AMQP\0\0\x09\1" "\1\0\0\0\0\0\x37" "\0\x0a\0\x0b" "\0\0\0\x0cxxxxxxxxxxxx\x05xxxxx\0\0\0\x0cxxxxxxxxxxxx\x0cxxxxxxxxxxxx\xce"
	    "\1\0\1\0\0\0\x28" "\0\x32\0\x0a" "\0\0\x0cxxxxxxxxxxxx\x10\0\0\0\x10xxxxxxxxxxxxxxxx" "\xce"
	    "\1\0\1\0\0\0\x21" "\0\x3c\0\x28" "\0\0\x0cxxxxxxxxxxxx\x0cxxxxxxxxxxxx\1" "\xce" "\2\0\1\0\0\0\x40" "\0\x3c\0\0\0\0\0\0\0\0\0\x0c\xa4\x40" "\x0cxxxxxxxxxxxx"
	    "\0\0\0\x0cxxxxxxxxxxxx\x0cxxxxxxxxxxxx\0\0\0\0\0\0\0\0" "\xce" "\3\0\1\0\0\0\x0cxxxxxxxxxxxx\xce" "\1\0\1\0\0\0\x0d" "\0\x3c\0\x50" "\0\0\0\0rY-4\0" "\xce"
	    "\x08\0\0\0\0\0\0\xcex"),
	  S("\1\0\0\0\0\0\x23" "\0\x0a\0\x0a" "\0\0" "\0\0\0\x0cxxxxxxxxxxxx\0\0\0\5xxxxx\0\0\0\0" "\xce" "\1\0\0\0\0\0\x0c" "\0\x0a\0\x1e" "\0\0\0\0\0\0\0\0" "\xce"
	    "\1\0\1\0\0\0\x34" "\0\x3c\0\x3c" "\x0cxxxxxxxxxxxx\0\0\0\0\0\0\0\7\0\x0cxxxxxxxxxxxx\x0cxxxxxxxxxxxx\xce"
	    "\1\0\1\0\0\0\x17" "\0\x14\0\x28" "\1\x94\x0cxxxxxxxxxxxx\0\x3c\0\x28" "\xce") },
	/* AMQP 1.0: a login, a message with properties and its body, one in two frames; what the broker says of itself, and of an error. */
	{ S("AMQP\3\1\0\0" "\0\0\0\x31\2\1\0\0\0\x53\x41\xc0\x24\3\xa3\5PLAIN\xa0\x0c" C "\xa1\x0c" C "AMQP\0\1\0\0"
	    "\0\0\0\x69\2\0\0\1\0\x53\x14\xc0\x15\6\x43\x52\7\xa0\x0c" C "\x43\x42\x42" "\0\x53\x73\xc0\x18\2\xa1\x0c" C "\x80" "cAnArY-4" "\0\x53\x74\xc1\x14\2\xa1\x0c" C "\x71" "cAnA"
	    "\0\x53\x75\xa0\x0c" C "\0\0\0\x2a\2\0\0\1\0\x53\x14\xc0\x09\6\x52\1\x52\x08\x40\x40\x40\x41" "\0\x53\x75\xb0\0\0\0\x18" C
	    "\0\0\0\x25\2\0\0\1\0\x53\x14\xc0\x08\6\x52\1\x40\x40\x40\x40\x42" "\0\x53\x75\xb0" C "\0\0\0\x08\2\0\0\0" C),
	  S("AMQP\3\1\0\0" "AMQP\0\1\0\0" "\0\0\0\x56\2\0\0\0\0\x53\x10\xc0\x49\x0a\xa1\x0c" C "\x40\x40\x40\x40\x40\x40\x40\x40\xc1\x30\4\xa3\7product\xa1\x08RabbitMQ\xa3\x0c" C "\xa1\x0c" C
	    "\0\0\0\x32\2\0\0\1\0\x53\x17\xc0\x25\1\0\x53\x1d\xc0\x1f\2\xa3\x0e" "amqp:not-found\xa1\x0c" C),
	  S("AMQP\3\1\0\0" "\0\0\0\x31\2\1\0\0\0\x53\x41\xc0\x24\3\xa3\5PLAIN\xa0\x0c" "xxxxxxxxxxxx" "\xa1\x0c" "xxxxxxxxxxxx" "AMQP\0\1\0\0"
	    "\0\0\0\x69\2\0\0\1\0\x53\x14\xc0\x15\6\x43\x52\7\xa0\x0c" "xxxxxxxxxxxx" "\x43\x42\x42" "\0\x53\x73\xc0\x18\2\xa1\x0c" "xxxxxxxxxxxx" "\x80" "\0\0\0\0\0\0\0\0" "\0\x53\x74\xc1\x14\2\xa1\x0c" "xxxxxxxxxxxx" "\x71" "\0\0\0\0"
	    "\0\x53\x75\xa0\x0c" "xxxxxxxxxxxx" "\0\0\0\x2a\2\0\0\1\0\x53\x14\xc0\x09\6\x52\1\x52\x08\x40\x40\x40\x41" "\0\x53\x75\xb0\0\0\0\x18" "xxxxxxxxxxxx"
	    "\0\0\0\x25\2\0\0\1\0\x53\x14\xc0\x08\6\x52\1\x40\x40\x40\x40\x42" "xxxx" "xxxxxxxxxxxx" "\0\0\0\x08\2\0\0\0x"),
	  S("AMQP\3\1\0\0" "AMQP\0\1\0\0" "\0\0\0\x56\2\0\0\0\0\x53\x10\xc0\x49\x0a\xa1\x0c" "xxxxxxxxxxxx" "\x40\x40\x40\x40\x40\x40\x40\x40\xc1\x30\4\xa3\7product\xa1\x08RabbitMQ\xa3\x0c" "xxxxxxxxxxxx" "\xa1\x0c" "xxxxxxxxxxxx"
	    "\0\0\0\x32\2\0\0\1\0\x53\x17\xc0\x25\1\0\x53\x1d\xc0\x1f\2\xa3\x0e" "amqp:not-found\xa1\x0c" "xxxxxxxxxxxx") },
	/* Kafka: a record with key, value and header; SASL in both ways; a group; what is behind a layout; a response that is cut. */
	{ S("\0\0\0\xb2\0\0\0\7cAn\1\0\x0c" C "\xff\xff\0\1cAnA\0\0\0\1\0\x0c" C "\0\0\0\1\0\0\0\3\0\0\0vcAnArY-4\0\0\0jcAnA\2cAnAcAcAnAcAnArY-4cAnArY-4cAnArY-4cAcAnA\0\0\0\1p\0\0\0\x18" C "\x18" C "\2\x18" C "\x18" C
	    "\0\0\0\x22\0$\0\1\0\0\0\2\0\2ab\0\0\0\x12user\0\1" C "\0\0\0&\0\x0c\0\3\0\0\0\3\xff\xff\0\x0c" C "cAnA\0\3m-1\xff\xffzzz"
	    "\0\0\0\x10\0\x11\0\0\0\0\0\4\0\1a\0\3XYZ\0\0\0\x0c" C),
	  S("\0\0\0IcAn\1\0\0\0\1\0\x0c" C "\0\0\0\2\0\0\0\3\0\0cAnArY-4cAnArY-4cAnArY-4cAnA\0\7cAnArY-4cAn"
	    "\0\0\0$\0\0\0\2\0:\0\x0c" C "\0\0\0\x0c" C "\0\0\0 \0\0\0\3cAnA\0\x1b" "cAnArY-4zz" C),
	  S("\0\0\0\xb2\0\0\0\7\0An\1\0\x0cxxxxxxxxxxxx\xff\xff\0\1\0\0\0\0\0\0\0\1\0\x0cxxxxxxxxxxxx\0\0\0\1\0\0\0\3\0\0\0v\0\0\0\0\0\0\0\0\0\0\0j\0\0\0\0\2\0\0\0\0\0A\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "\0\0\0\x22\0$\0\1\0\0\0\2\0\2xxxxxxxxxxxxxxxxxxxxxxxx\0\0\0&\0\x0c\0\3\0\0\0\3\xff\xff\0\x0cxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "\0\0\0\x10\0\x11\0\0\0\0\0\4\0\1x\0\3xxx\0\0\0\x0cxxxxxxxxxxxx"),
	  S("\0\0\0I\0An\1\0\0\0\1\0\x0cxxxxxxxxxxxx\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0\0") },
	/* ZooKeeper: a session, credentials, a multi, lists, an event, an answer to what was not asked. */
	{ S("\x00\x00\x00-\x00\x00\x00\x00\x00" "cAnArY-\x00\x00'\x10" "cAnArY-4\x00\x00\x00\x10" "cAnArY-4711zcAnA\x00\x00\x00\x00&\xff\xff\xff\xfc\x00\x00\x00" "dcAnA\x00\x00\x00\x06" "digest\x00\x00\x00\x0c" "cAnArY-4711z\x00\x00\x00QcAn\x01\x00\x00\x00\x01\x00\x00\x00\x0f/cAnArY-4711z/c\x00\x00\x00\x0c" "cAnArY-4711z\x00\x00\x00\x01" "cAnA\x00\x00\x00\x06" "digest\x00\x00\x00\x0c" "cAnArY-4711zcAnA\x00\x00\x00\x8f\x00\x00\x00\x02\x00\x00\x00\x0e\x00\x00\x00\x01\x00\xff\xff\xff\xff\x00\x00\x00\x0d/cAnArY-4711z\x00\x00\x00\x0c" "cAnArY-4711z\x00\x00\x00\x01" "cAnA\x00\x00\x00\x06" "digest\x00\x00\x00\x0c" "cAnArY-4711zcAnA\x00\x00\x00\x05\x00\xff\xff\xff\xff\x00\x00\x00\x0d/cAnArY-4711z\x00\x00\x00\x0c" "cAnArY-4711zcAnA\xff\xff\xff\xff\x01\xff\xff\xff\xff\x00\x00\x00\x1a\x00\x00\x00\x03\x00\x00\x00\x08\x00\x00\x00\x0d/cAnArY-4711z\x01\x00\x00\x00\x18\x00\x00\x00\x04\x00\x00\x00" "f\x00\x00\x00\x0c" "cAnArY-4711z\x00\x00\x00<\x00\x00\x00\x05\x00\x00\x00" "ecAnArY-4\x00\x00\x00\x01\x00\x00\x00\x0c" "cAnArY-4711z\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x0c" "cAnArY-4711z\x00\x00\x00\x1a\x00\x00\x00\x06\x00\x00\x00\x04\x00\x00\x00\x0d/cAnArY-4711zc"),
	  S("\x00\x00\x00%\x00\x00\x00\x00\x00\x00'\x10" "cAnArY-4\x00\x00\x00\x10" "cAnArY-4711zcAnA\x00\x00\x00\x00\x10\xff\xff\xff\xfc" "cAnArY-4\x00\x00\x00\x00\x00\x00\x00 cAn\x01" "cAnArY-4\x00\x00\x00\x00\x00\x00\x00\x0c" "cAnArY-4711z\x00\x00\x00\x7f\x00\x00\x00\x02" "cAnArY-4\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x0c" "cAnArY-4711z\x00\x00\x00\x05\x00\x00\x00\x00\x00" "cAnArY-4711zcAnArY-4711zcAnArY-4711zcAnArY-4711zcAnArY-4711zcAnArY-4\xff\xff\xff\xff\x01\xff\xff\xff\xff\x00\x00\x00" "4\x00\x00\x00\x03" "cAnArY-4\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x0c" "cAnArY-4711z\x00\x00\x00\x0c" "cAnArY-4711z\x00\x00\x00)\xff\xff\xff\xff" "cAnArY-4\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x03\x00\x00\x00\x0d/cAnArY-4711z\x00\x00\x00 \x00\x00\x00\x04" "cAnArY-4\x00\x00\x00\x00\x00\x00\x00\x0c" "cAnArY-4711z\x00\x00\x00\x10\x00\x00\x00\x06" "cAnArY-4\xff\xff\xff\x9b\x00\x00\x00\x1c\x00\x00\x00" "ccAnArY-4\x00\x00\x00\x00" "cAnArY-4711z"),
	  S("\x00\x00\x00-\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00'\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10xxxxxxxxxxxxxxxx\x00\x00\x00\x00&\xff\xff\xff\xfc\x00\x00\x00" "d\x00\x00\x00\x00\x00\x00\x00\x06xxxxxx\x00\x00\x00\x0cxxxxxxxxxxxx\x00\x00\x00Q\x00" "An\x01\x00\x00\x00\x01\x00\x00\x00\x0f/xxxxxxxxxxxx/x\x00\x00\x00\x0cxxxxxxxxxxxx\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x06xxxxxx\x00\x00\x00\x0cxxxxxxxxxxxx\x00\x00\x00\x00\x00\x00\x00\x8f\x00\x00\x00\x02\x00\x00\x00\x0e\x00\x00\x00\x01\x00\xff\xff\xff\xff\x00\x00\x00\x0d/xxxxxxxxxxxx\x00\x00\x00\x0cxxxxxxxxxxxx\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x06xxxxxx\x00\x00\x00\x0cxxxxxxxxxxxx\x00\x00\x00\x00\x00\x00\x00\x05\x00\xff\xff\xff\xff\x00\x00\x00\x0d/xxxxxxxxxxxx\x00\x00\x00\x0cxxxxxxxxxxxx\x00\x00\x00\x00\xff\xff\xff\xff\x01\xff\xff\xff\xff\x00\x00\x00\x1a\x00\x00\x00\x03\x00\x00\x00\x08\x00\x00\x00\x0d/xxxxxxxxxxxx\x01\x00\x00\x00\x18\x00\x00\x00\x04\x00\x00\x00" "f\x00\x00\x00\x0cxxxxxxxxxxxx\x00\x00\x00<\x00\x00\x00\x05\x00\x00\x00" "e\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x0cxxxxxxxxxxxx\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x0cxxxxxxxxxxxx\x00\x00\x00\x1a\x00\x00\x00\x06\x00\x00\x00\x04\x00\x00\x00\x0d/xxxxxxxxxxxx\x00"),
	  S("\x00\x00\x00%\x00\x00\x00\x00\x00\x00'\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10xxxxxxxxxxxxxxxx\x00\x00\x00\x00\x10\xff\xff\xff\xfc\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00 \x00" "An\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0cxxxxxxxxxxxx\x00\x00\x00\x7f\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x0cxxxxxxxxxxxx\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\x01\xff\xff\xff\xff\x00\x00\x00" "4\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x0cxxxxxxxxxxxx\x00\x00\x00\x0cxxxxxxxxxxxx\x00\x00\x00)\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x03\x00\x00\x00\x0d/xxxxxxxxxxxx\x00\x00\x00 \x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0cxxxxxxxxxxxx\x00\x00\x00\x10\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\x9b\x00\x00\x00\x1c\x00\x00\x00" "c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00xxxxxxxxxxxx") },
	/* LDAP: binds, a search and its entries, an entry that is added, extensions, controls, and what is no element. */
	{ S("0'\x02\x01\x01`\x22\x02\x01\x03\x04\x0f" "cn=cAnArY-4711z\x80\x0c" "cAnArY-4711z0!\x02\x01\x02`\x1c\x02\x01\x03\x04\x00\xa3\x15\x04\x05PLAIN\x04\x0c" "cAnArY-4711z0\x81\x8c\x02\x04\x01nArc\x81\x83\x04\x0f" "cn=cAnArY-4711z\x0a\x01\x02\x0a\x01\x00\x02\x02" "cA\x02\x01\x00\x01\x01\x00\xa0P\xa3\x12\x04\x02" "cn\x04\x0c" "cAnArY-4711z\x87\x0c" "cAnArY-4711z\xa4,\x04\x0c" "cAnArY-4711z0\x1c\x80\x0c" "cAnArY-4711z\x82\x0c" "cAnArY-4711z0\x0e\x04\x0c" "cAnArY-4711z0U\x02\x01\x04h7\x04\x0f" "cn=cAnArY-4711z0$0\x22\x04\x02sn1\x1c\x04\x0c" "cAnArY-4711z\x04\x0c" "cAnArY-4711z\xa0\x17" "0\x15\x04\x05" "1.2.3\x04\x0c" "cAnArY-4711z0\x14\x02\x01\x05J\x0f" "cn=cAnArY-4711z00\x02\x01\x06w+\x80\x17" "1.3.6.1.4.1.4203.1.11.1\x81\x10" "0\x0e\x82\x0c" "cAnArY-4711z0\x06\x02\x01\x08P\x01\x01" "0\x05\x02\x01\x09" "B\x00" "0\x0e" "c\x0c" "cAnArY-4711z"),
	  S("0'\x02\x01\x01" "a\x22\x0a\x01" "1\x04\x0f" "cn=cAnArY-4711z\x04\x0c" "cAnArY-4711z0\x1a\x02\x01\x02" "a\x15\x0a\x01\x0e\x04\x00\x04\x00\x87\x0c" "cAnArY-4711z01\x02\x04\x01nArd)\x04\x0f" "cn=cAnArY-4711z0\x16" "0\x14\x04\x02" "cn1\x0e\x04\x0c" "cAnArY-4711z0\x16\x02\x04\x01nArs\x0e\x04\x0c" "cAnArY-4711z0\x1f\x02\x04\x01nAre\x17\x0a\x01\x00\x04\x00\x04\x00\xa3\x0e\x04\x0c" "cAnArY-4711z0\x0c\x02\x01\x04i\x07\x0a\x01\x00\x04\x00\x04\x00" "04\x02\x01\x06x/\x0a\x01\x00\x04\x00\x04\x0c" "cAnArY-4711z\x8a\x0c" "cAnArY-4711z\x8b\x0c" "cAnArY-4711z0!\x02\x01\x00y\x1c\x80\x0c" "cAnArY-4711z\x81\x0c" "cAnArY-4711z"),
	  S("0'\x02\x01\x01`\x22\x02\x01\x03\x04\x0fxxxxxxxxxxxxxxx\x80\x0cxxxxxxxxxxxx0!\x02\x01\x02`\x1c\x02\x01\x03\x04\x00\xa3\x15\x04\x05xxxxx\x04\x0cxxxxxxxxxxxx0\x81\x8c\x02\x04\x00nArc\x81\x83\x04\x0fxxxxxxxxxxxxxxx\x0a\x01\x02\x0a\x01\x00\x02\x02\x00\x00\x02\x01\x00\x01\x01\x00\xa0P\xa3\x12\x04\x02xx\x04\x0cxxxxxxxxxxxx\x87\x0cxxxxxxxxxxxx\xa4,\x04\x0cxxxxxxxxxxxx0\x1c\x80\x0cxxxxxxxxxxxx\x82\x0cxxxxxxxxxxxx0\x0e\x04\x0cxxxxxxxxxxxx0U\x02\x01\x04h7\x04\x0fxxxxxxxxxxxxxxx0$0\x22\x04\x02xx1\x1c\x04\x0cxxxxxxxxxxxx\x04\x0cxxxxxxxxxxxx\xa0\x17" "0\x15\x04\x05xxxxx\x04\x0cxxxxxxxxxxxx0\x14\x02\x01\x05J\x0fxxxxxxxxxxxxxxx00\x02\x01\x06w+\x80\x17" "1.3.6.1.4.1.4203.1.11.1\x81\x10xxxxxxxxxxxxxxxx0\x06\x02\x01\x08P\x01\x01" "0\x05\x02\x01\x09" "B\x00" "0\x0exxxxxxxxxxxxxx"),
	  S("0'\x02\x01\x01" "a\x22\x0a\x01" "1\x04\x0fxxxxxxxxxxxxxxx\x04\x0cxxxxxxxxxxxx0\x1a\x02\x01\x02" "a\x15\x0a\x01\x0e\x04\x00\x04\x00\x87\x0cxxxxxxxxxxxx01\x02\x04\x00nArd)\x04\x0fxxxxxxxxxxxxxxx0\x16" "0\x14\x04\x02xx1\x0e\x04\x0cxxxxxxxxxxxx0\x16\x02\x04\x00nArs\x0e\x04\x0cxxxxxxxxxxxx0\x1f\x02\x04\x00nAre\x17\x0a\x01\x00\x04\x00\x04\x00\xa3\x0e\x04\x0cxxxxxxxxxxxx0\x0c\x02\x01\x04i\x07\x0a\x01\x00\x04\x00\x04\x00" "04\x02\x01\x06x/\x0a\x01\x00\x04\x00\x04\x0cxxxxxxxxxxxx\x8a\x0cxxxxxxxxxxxx\x8b\x0cxxxxxxxxxxxx0!\x02\x01\x00y\x1c\x80\x0cxxxxxxxxxxxx\x81\x0cxxxxxxxxxxxx") },
	/* SMTP: the server speaks first. A login, a mail with a dot in its lines, a chunk. */
	{ S("220 " C " ESMTP " C "\r\n250-" C "\r\n250 SIZE " N "\r\n334 " C "\r\n235 2.7.0 " C "\r\n550 5.1.1 <" C "@" C ">: " C "\r\n354 " C "\r\n250 " N "\r\n"),
	  S("EHLO " C "\r\nAUTH PLAIN " C "\r\n" C "\r\n" N "\r\nMAIL FROM:<" C "@" C "> SIZE=" N "\r\nBDAT 12 LAST\r\n" C "RCPT TO:<" C ">\r\nDATA\r\n" C "\r\n." C "\r\n..\r\n.\r\n" C "\r\n"),
	  S("220 cxxxxxxxxxxx ESMTP cxxxxxxxxxxx\r\n250-cxxxxxxxxxxx\r\n250 SIZE xxxxxxxxxxxxxxxx\r\n334 cxxxxxxxxxxx\r\n235 2.7.0 cxxxxxxxxxxx\r\n550 5.1.1 <cxxxxxxxxxxx@cxxxxxxxxxxx>: cx"),
	  S("EHLO cxxxxxxxxxxx\r\nAUTH PLAIN cxxxxxxxxxxx\r\nxxxxxxxxxxxx\r\nxxxxxxxxxxxxxxxx\r\n") },
	/* FTP: the server speaks first. A login, paths, a reply of several lines. */
	{ S("220 (FTP " C ")\r\n331 " C "\r\n230 " N "\r\n211-" C "\r\n " C "\r\n" N "\r\n211 End " C "\r\n227 (127,0,0,1,4,1)\r\n550 /" C "/" C ": " C "\r\n"),
	  S("USER " C "\r\nPASS " C " " N "\r\nCWD /" C "/" C "\r\nPORT 10,11,12,13,4,1\r\nSTOR " N "\r\n" C "\r\n" N "\r\nAUTH TLS\r\nAUTH " C "\r\n"),
	  S("220 xxxx xxxxxxxxxxxxx\r\n331 xxxxxxxxxxxx\r\n230 xxxxxxxxxxxxxxxx\r\n211-xx"),
	  S("USER xxxxxxxxxxxx\r\nPASS xxxxxxxxxxxx xxxxxxxxxxxxxxxx\r\nCWD /xxxxxxxxxxxx/xxxxxxxxxxxx\r\nPORT xxxxxxxxxxxxxxx\r\nSTOR xxxxxxxxxxxxxxxx\r\n") },
	/* STOMP: a login, ids that become others, bodies with a length and without. */
	{ S("CONNECT\nlogin:" C "\npasscode:" C "\n" C ":" C "\n\n\0" "SUBSCRIBE\nid:" C "\ndestination:/queue/" C "\nack:client\n\n\0" "SEND\ncontent-length:12\nreceipt:" C "\n\n" C "\0" "\n"
	    "SEND\ndestination:/topic/" C "\n\n" C "\0" "ACK\nid:" C "\n\n\0" "SEND\ncontent-length:" N "\n\n" C "\0" C),
	  S("CONNECTED\nserver:RabbitMQ/" C "\nsession:" C "\n\n\0" "MESSAGE\nsubscription:" C "\nmessage-id:" C "\ncontent-length:12\n\n" C "\0" "ERROR\nmessage:Bad CONNECT " C "\n\n" C "\0" C "\n" C),
	  S("CONNECT\nlogin:xxxxxxxxxxxx\npasscode:xxxxxxxxxxxx\ncxxxxxxxxxxx:xxxxxxxxxxxx\n\n\0" "SUBSCRIBE\nid:"),
	  S("CONNECTED\nserver:RabbitMQ/cAnxxxxxxxxx\nsession:xxxxxxxxxxxx\n\n\0" "MESSAGE\nsubscription:") },
	/* ClickHouse: a login, a query with settings, a trace and parameters, columns of all that is walked, errors; then frames, and a type that is not walked. */
	{ S("\x00\x0c" C "\x14\x0a\xc4\xa9\x03\x0c" C "\x0c" C "\x0c" C "\x0c" C "\x01\x0c" C "\x01\x0c" C "\x0c" C "\x0f" C ":99cAnArY-4\x01\x0c" C "\x0c" C "\x0c" C "CC\xc4\xa9\x03\x0c" C "CA\x01" C C "\x0c" C "cCCC\x0c" C "\x00\x0c" C "\x00\x0c" C "\x02\x00\x15SELECT '" C "'\x0c" C "\x00\x0c" C "\x00\x02\x00\x01\x00\x02\xff\xff\xff\xff\x00\x00\x00\x04"),
	  S("\x00\x0c" C "\x12\x12\xc4\xa9\x03\x0c" C "\x0c" C "c\x01\x0c" C "\x0c" C "cAnArY-4\x01\x0c" C "\x01\x00\x02\xff\xff\xff\xff\x00\x06\x02\x0c" C "\x10Nullable(String)\x00\x00\x01\x0c" C "\x0c" C "\x0c" C "\x0c" "Array(UInt8)\x00\x05\x00\x00\x00\x00\x00\x00\x00\x0c\x00\x00\x00\x00\x00\x00\x00" C "\x0c" C "(LowCardinality(Nullable(FixedString(6)))\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00" C "\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01\x0c" C "\x13" "Enum8('cAnArY' = 1)\x00" "cA\x0c" C "\x0e" "Decimal(18, 2)\x00" C "cAnA\x0c" C "\x12" "DateTime('cAnArY')\x00" "cAnArY-4\x03" "cAnArY-\x06" "cAn\x01\x83" "B\x01\x02<\x00\x00\x00\x0d" "DB::Exception\x0c" C "\x0c" C "\x01" "cAnA\x0c" C "\x0c" C "\x00\x00\x04"),
	  S("\x00\x0cxxxxxxxxxxxx\x00\x00\xc4\xa9\x03\x0cxxxxxxxxxxxx\x0cxxxxxxxxxxxx\x0cxxxxxxxxxxxx\x0cxxxxxxxxxxxx\x01\x0cxxxxxxxxxxxx\x01\x0cxxxxxxxxxxxx\x0cxxxxxxxxxxxx\x0fxxxxxxxxxxxx:xx\x00\x00\x00\x00\x00\x00\x00\x00\x01\x0cxxxxxxxxxxxx\x0cxxxxxxxxxxxx\x0cxxxxxxxxxxxx\x00\x00\xc4\xa9\x03\x0cxxxxxxxxxxxx\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0cxxxxxxxxxxxx\x00\x00\x00\x00\x0cxxxxxxxxxxxx\x00\x0cxxxxxxxxxxxx\x00\x0cxxxxxxxxxxxx\x02\x00\x15SELECT xxxxxxxxxxxxxx\x0cxxxxxxxxxxxx\x00\x0cxxxxxxxxxxxx\x00\x02\x00\x01\x00\x02\xff\xff\xff\xff\x00\x00\x00\x04"),
	  S("\x00\x0cxxxxxxxxxxxx\x00\x00\xc4\xa9\x03\x0cxxxxxxxxxxxx\x0cxxxxxxxxxxxx\x00\x01\x0cxxxxxxxxxxxx\x0cxxxxxxxxxxxx\x00\x00\x00\x00\x00\x00\x00\x00\x01\x0cxxxxxxxxxxxx\x01\x00\x02\xff\xff\xff\xff\x00\x06\x02\x0cxxxxxxxxxxxx\x10Nullable(String)\x00\x00\x00\x0cxxxxxxxxxxxx\x0cxxxxxxxxxxxx\x0cxxxxxxxxxxxx\x0c" "Array(UInt8)\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0cxxxxxxxxxxxx(LowCardinality(Nullable(FixedString(6)))\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0cxxxxxxxxxxxx\x13" "Enum8(000000000000)\x00\x00\x00\x0cxxxxxxxxxxxx\x0e" "Decimal(18,00)\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0cxxxxxxxxxxxx\x12" "DateTime(00000000)\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\x01\x80\x00\x01\x02<\x00\x00\x00\x0d" "DB::Exception\x0cxxxxxxxxxxxx\x0cxxxxxxxxxxxx\x01" "cA\x00\x00\x0c" "cxxxxxxxxxxx\x0cxxxxxxxxxxxx\x00\x00\x04") },
	{ S("\x00\x0c" C "\x14\x0a\xc4\xa9\x03\x0c" C "\x0c" C "\x0c" C "\x0c" C "\x01\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\xc4\xa9\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x01 " C " SELECT " C "\x00\x02\x00" C "cAnA\x82\x15\x00\x00\x00P\x00\x00\x00" C),
	  S("\x00\x0c" C "\x12\x12\xc4\xa9\x03\x0c" C "\x0c" C "c\x01\x0c" C "\x0c" C "cAnArY-4\x01\x00" C "cAnA\x82\x15\x00\x00\x00p\x11\x01\x00" C C "cAnA\x82\x15\x00\x00\x00\x84\x03\x00\x00" C "\x05\x01\x00" C "cAnA\x82\x15\x00\x00\x00P\x00\x00\x00" C "\x0a\x00\x01\x00\x02\xff\xff\xff\xff\x00\x01\x01\x0c" C "\x0dTuple(String)\x00\x0c" C),
	  S("\x00\x0cxxxxxxxxxxxx\x00\x00\xc4\xa9\x03\x0cxxxxxxxxxxxx\x0cxxxxxxxxxxxx\x0cxxxxxxxxxxxx\x0cxxxxxxxxxxxx\x01\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\xc4\xa9\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x01 cxxxxxxxxxxx xxxxxxxxxxxxxxxxxxx\x00\x02\x00xxxxxxxxxxxxxxxx\x82\x15\x00\x00\x00P\x00\x00\x00xxxxxxxxxxxx"),
	  S("\x00\x0cxxxxxxxxxxxx\x00\x00\xc4\xa9\x03\x0cxxxxxxxxxxxx\x0cxxxxxxxxxxxx\x00\x01\x0cxxxxxxxxxxxx\x0cxxxxxxxxxxxx\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00xxxxxxxxxxxxxxxx\x82\x15\x00\x00\x00p\x11\x01\x00xxxxxxxxxxxxxxxxxxxxxxxxxxxx\x82\x15\x00\x00\x00\x84\x03\x00\x00xxxxxxxxxxxx\x05\x01\x00xxxxxxxxxxxxxxxx\x82\x15\x00\x00\x00P\x00\x00\x00xxxxxxxxxxxx\x0a\x00\x01\x00\x02\xff\xff\xff\xff\x00\x01\x01\x0cxxxxxxxxxxxx\x0dxxxxxxxxxxxxxxxxxxxxxxxxxxx") },
	/* Thrift: framed, with the service's name; texts in lists, structs and maps, numbers of all sizes; an exception. */
	{ S("\0\0\0\x8e\x80\1\0\1\0\0\0\x0f" C ":ab" "\0\0\0\7" "\x0b\0\1\0\0\0\x0c" C "\x0f\0\2\x0b\0\0\0\2\0\0\0\x0c" C "\0\0\0\x0c" C
	    "\x0a\0\3" "cAnArY-4" "\x0d\0\4\x0b\x0c\0\0\0\1\0\0\0\x0c" C "\x08\0\1" "cAnA\0" "\4\0\5" "cAnArY-4" "\0"
	    "\0\0\0\x11\x80\1\0\4\0\0\0\4" "note" "\0\0\0\x08\0" C),
	  S("\0\0\0\x29\x80\1\0\3\0\0\0\2" "ab" "\0\0\0\7" "\x0b\0\1\0\0\0\x0c" C "\x08\0\2\0\0\0\6\0" C),
	  S("\0\0\0\x8e\x80\1\0\1\0\0\0\x0fxxxxxxxxxxxx:xx" "\0\0\0\7" "\x0b\0\1\0\0\0\x0cxxxxxxxxxxxx" "\x0f\0\2\x0b\0\0\0\2\0\0\0\x0cxxxxxxxxxxxx\0\0\0\x0cxxxxxxxxxxxx"
	    "\x0a\0\3\0\0\0\0\0\0\0\0" "\x0d\0\4\x0b\x0c\0\0\0\1\0\0\0\x0cxxxxxxxxxxxx\x08\0\1\0\0\0\0\0" "\4\0\5\0\0\0\0\0\0\0\0\0"
	    "\0\0\0\x11\x80\1\0\4\0\0\0\4xxxx\0\0\0\x08\0"),
	  S("\0\0\0\x29\x80\1\0\3\0\0\0\2xx\0\0\0\7" "\x0b\0\1\0\0\0\x0cxxxxxxxxxxxx\x08\0\2\0\0\0\6\0") },
	/* Compact and without frames. */
	{ S("\x82\x21\7\x0c" C "\x18\x0c" C "\x16\xaa\x55" "\x19\x28\x0c" C "\x0c" C "\x1b\1\x85\x0c" C "\x0e" "\x1c\x18\x0c" C "\0" "\x17" "cAnArY-4" "\x11" "\0"
	    "\x82\x81\x08\4note\0" C),
	  S("\x82\x61\7\2ab" "\x18\x0c" C "\x15\x0c\0" C),
	  S("\x82\x21\7\x0cxxxxxxxxxxxx\x18\x0cxxxxxxxxxxxx\x16\x80\0\x19\x28\x0cxxxxxxxxxxxx\x0cxxxxxxxxxxxx\x1b\1\x85\x0cxxxxxxxxxxxx\0\x1c\x18\x0cxxxxxxxxxxxx\0"
	    "\x17\0\0\0\0\0\0\0\0\x11\0" "\x82\x81\x08\4xxxx\0"),
	  S("\x82\x61\7\2xx\x18\x0cxxxxxxxxxxxx\x15\x0c\0") },
	/* FastCGI: parameters cut into records, padding, a body; what is said on the side, a head, a body. */
	{ S("\1\1\0\1\0\x08\0\0\0\1\0\0\0\0\0\0" "\1\4\0\1\0\x14\3\0" "\x0e\4REQUEST_METHODcAnA" "qqq"
	    "\1\4\0\1\0\x2c\0\0" "\x0b\x0c" "REQUEST_URI" C "\x0c\x0c" C "cAnAr" "\1\4\0\1\0\7\0\0" "Y-4711z" "\1\4\0\1\0\0\0\0" "\1\5\0\1\0\x0c\0\0" C "\1\5\0\1\0\0\0\0"),
	  S("\1\7\0\1\0\x0c\1\0" C "q" "\1\6\0\1\0\x42\0\0" "Status: 404 " C "\r\n" C ": " C "\r\n\r\ncAnArY-471" "\1\3\0\1\0\x08\0\0\0\0\0\0\0\0\0\0"),
	  S("\1\1\0\1\0\x08\0\0\0\1\0\0\0\0\0\0" "\1\4\0\1\0\x14\3\0" "\x0e\4REQUEST_METHODxxxx" "xxx"
	    "\1\4\0\1\0\x2c\0\0" "\x0b\x0c" "REQUEST_URIxxxxxxxxxxxx\x0c\x0c" "cxxxxxxxxxxxxxxxx" "\1\4\0\1\0\7\0\0" "xxxxxxx" "\1\4\0\1\0\0\0\0" "\1\5\0\1\0\x0c\0\0xxxxxxxxxxxx"),
	  S("\1\7\0\1\0\x0c\1\0xxxxxxxxxxxxx\1\6\0\1\0\x42\0\0" "Status: 404xxxxxxxxxxxxx\r\ncxxxxxxxxxxx:xxxxxxxxxxxxx\r\n\r\nxxxxxxxxxx" "\1\3\0\1\0\x08\0\0") },
	/* bRPC: a call with credentials and fields of its own that opens a stream, a message of it, Hulu, Sofa; the answer in the stream's first frame, and what looks like one in the next. */
	{ S("PRPC\x00\x00\x00\x90\x00\x00\x00x\x0a" "9\x0a\x0c" C "\x12\x0c" C "\x18\xe7$ \x80\x80\x80\x80\x80 (\x05:\x0c" C "@\xf4\x03\x18\x00 \xac\x02(\x0c:\x0c" C "B\x04\x08M\x10\x01J\x0c" C "mcAnA\xa2?\x0c" C C C "STRM\x00\x00\x00\x12\x00\x00\x00\x06\x08X\x10M\x18\x03" C "HULU@\x00\x00\x00" "4\x00\x00\x00\x0a\x0c" C "\x10\x03\x18\x00 \x07(\xe7$r\x0c" C "\x82\x01\x0c" C C "SOFA\x16\x00\x00\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x22\x00\x00\x00\x00\x00\x00\x00\x08\x00\x10\x08\xa2\x06\x0c" C "\xe0\x12\x01" C),
	  S("STRM\x00\x00\x00" "8\x00\x00\x00\x06\x08M\x10X\x18\x03PRPC\x00\x00\x00&\x00\x00\x00\x1a\x12\x11\x08\xea\x07\x12\x0c" C " \xac\x02" "B\x02\x08X" C "STRM\x00\x00\x00\x16\x00\x00\x00\x06\x08M\x10X\x18\x03PRPC" C "HULU\x13\x00\x00\x00\x13\x00\x00\x00\x08\xd1\x0f\x12\x0c" C "\x18\x0eSOFA\x1a\x00\x00\x00\x0c\x00\x00\x00\x00\x00\x00\x00&\x00\x00\x00\x00\x00\x00\x00\x08\x01\x10\x08\xc0\x0c\x01\xc8\x0c\xeb\x07\xd2\x0c\x0c" C C),
	  S("PRPC\x00\x00\x00\x90\x00\x00\x00x\x0a" "9\x0a\x0cxxxxxxxxxxxx\x12\x0cxxxxxxxxxxxx\x18\x80\x00 \x80\x80\x80\x80\x80\x00(\x00:\x0cxxxxxxxxxxxx@\x80\x00\x18\x00 \xac\x02(\x00:\x0cxxxxxxxxxxxxB\x04\x08M\x10\x00J\x0cxxxxxxxxxxxx}xxxx\x8a\x01\x0cxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxSTRM\x00\x00\x00\x12\x00\x00\x00\x06\x08X\x10M\x18\x03xxxxxxxxxxxxHULU@\x00\x00\x00" "4\x00\x00\x00\x0a\x0cxxxxxxxxxxxx\x10\x03\x18\x00 \x07(\x80\x00r\x0cxxxxxxxxxxxx\x82\x01\x0cxxxxxxxxxxxxxxxxxxxxxxxxSOFA\x16\x00\x00\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x22\x00\x00\x00\x00\x00\x00\x00\x08\x00\x10\x08\xa2\x06\x0cxxxxxxxxxxxx\x88\x01\x00xxxxxxxxxxxx"),
	  S("STRM\x00\x00\x00" "8\x00\x00\x00\x06\x08M\x10X\x18\x03PRPC\x00\x00\x00&\x00\x00\x00\x1a\x12\x11\x08\xea\x07\x12\x0cxxxxxxxxxxxx \xac\x02" "B\x02\x08XxxxxxxxxxxxxSTRM\x00\x00\x00\x16\x00\x00\x00\x06\x08M\x10X\x18\x03xxxxxxxxxxxxxxxxHULU\x13\x00\x00\x00\x13\x00\x00\x00\x08\xd1\x0f\x12\x0cxxxxxxxxxxxx\x18\x0eSOFA\x1a\x00\x00\x00\x0c\x00\x00\x00\x00\x00\x00\x00&\x00\x00\x00\x00\x00\x00\x00\x08\x01\x10\x08\xc0\x0c\x01\xc8\x0c\xeb\x07\xd2\x0c\x0cxxxxxxxxxxxxxxxxxxxxxxxx") },
	/* ZeroMQ: a login, identities, a subscription, a refusal, frames of all kinds; then a command that is none. */
	{ S("\xff\0\0\0\0\0\0\0\1\x7f\3\1PLAIN" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "\0" "cAnArY-4711zzzzzzzzzzzzzzzzzzzz"
	    "\4\x20\5HELLO\x0c" C "\x0c" C "\4\x35\x08INITIATE\x0bSocket-Type\0\0\0\3SUB\x08Identity\0\0\0\x0c" C "\4\x16\x09SUBSCRIBE" C "\0\x0d\1" C
	    "\1\x0c" C "\0\x10" N "\3\0\0\0\0\0\0\0\x0c" C "\1\5\0cAnA\0\x10" N "\4\x10\3" C C),
	  S("\xff\0\0\0\0\0\0\0\1\x7f\3\1PLAIN" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "\1" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
	    "\4\x08\7WELCOME" "\4\x4e\5READY\x0bSocket-Type\0\0\0\x0c" C "\x08Identity\0\0\0\x0c" C "\x0c" C "\0\0\0\0\0" "\4\x13\5ERROR\x0c" C "\4\x12^RROR\x0c" C "\0\x0c" C "\7" C),
	  S("\xff\0\0\0\0\0\0\0\1\x7f\3\1PLAIN" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "\0" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
	    "\4\x20\5HELLOxxxxxxxxxxxxxxxxxxxxxxxxxx\4\x35\x08INITIATE\x0bSocket-Type\0\0\0\3SUB\x08Identity\0\0\0\x0cxxxxxxxxxxxx\4\x16\x09SUBSCRIBExxxxxxxxxxxx\0\x0d\1xxxxxxxxxxxx"
	    "\1\x0cxxxxxxxxxxxx\0\x10xxxxxxxxxxxxxxxx\3\0\0\0\0\0\0\0\x0cxxxxxxxxxxxx\1\5\0"),
	  S("\xff\0\0\0\0\0\0\0\1\x7f\3\1PLAIN" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "\1" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
	    "\4\x08\7WELCOME\4\x4e\5READY\x0bSocket-Type\0\0\0\x0c") },
	/* ZeroMQ: with CURVE what reads like properties is none; a mechanism that is no word of the list; lengths beyond the command; a greeting behind a frame. */
	{ S("\xff\0\0\0\0\0\0\0\1\x7f\3\1CURVE" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "\0" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "\4\x25\x08INITIATE\x0bSocket-Type\0\0\0\x0c" C "\0\1z" "\xff\0\0\0\0\0\0\0\1\x7f\3\1CURVE" C),
	  S("\xff\0\0\0\0\0\0\0\1\x7f\3\1PLANB" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "\1" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "\4\x22\5READY\x0bSocket-Type\0\0\0\x0c" C),
	  S("\xff\0\0\0\0\0\0\0\1\x7f\3\1CURVE" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "\0" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "\4\x25\x08INITIATExxxxxxxxxxxxxxxxxxxxxxxxxxxx\0\1x" "xxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
	  S("\xff\0\0\0\0\0\0\0\1\x7f\3\1PLAXX" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "\1" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "\4\x22\5READYxxxxxxxxxxxxxxxxxxxxxxxxxxxx") },
	{ S("\xff\0\0\0\0\0\0\0\1\x7f\3\1NULL" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "\0" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "\4\x13\5READY\x0d" C "\4\x1d\5READY\x0bSocket-Type\0\0\4\0cAnArY-" "\4\x0e\x0e" C "Y" "\0\1z"),
	  S("\xff\0\0\0\0\0\0\0\1\x7f\3\1NULL" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "\0" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "\4\x13\5ERROR\x0d" C "\0\1z"),
	  S("\xff\0\0\0\0\0\0\0\1\x7f\3\1NULL" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "\0" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "\4\x13\5READYxxxxxxxxxxxxx\4\x1d\5READY\x0bSocket-Type\0\0xxxxxxxxx" "\4\x0exxxxxxxxxxxxxx" "\0\1x"),
	  S("\xff\0\0\0\0\0\0\0\1\x7f\3\1NULL" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "\0" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "\4\x13\5ERRORxxxxxxxxxxxxx\0\1x") },
	/* Dubbo: a call, a heartbeat, calls in fastjson2 and in what is not known; what was thrown, a status, exceptions in fastjson2 and fastjson. */
	{ S("\xda\xbb\xc2\0" "cAnArY-4" "\0\0\0\x31\5" "2.0.2\x0c" C "\x0c" C "\3buy\x0c" C "\xda\xbb\xe2\0" "cAnArY-4" "\0\0\0\1N" "\xda\xbb\xd7\0" "cAnArY-4" "\0\0\0\x10\0\0\0\x0c" C "\xda\xbb\xc8\0" "cAnArY-4" "\0\0\0\x0c" C),
	  S("\xda\xbb\2\x14" "cAnArY-4" "\0\0\0\x0f\x93" "C\x0c" C "\xda\xbb\2\x46" "cAnArY-4" "\0\0\0\x0d\x0c" C "\xda\xbb\x17\x14" "cAnArY-4" "\0\0\0\x16\0\0\0\2\xbd\3\0\0\0\x0c" C "\xda\xbb\6\x14" "cAnArY-4" "\0\0\0\x0e" "3\n" C),
	  S("\xda\xbb\xc2\0" "\0\0\0\0\0Y-4" "\0\0\0\x31\5xxxxx\x0cxxxxxxxxxxxx\x0cxxxxxxxxxxxx\3xxxxxxxxxxxxxxxx" "\xda\xbb\xe2\0" "\0\0\0\0\0Y-4" "\0\0\0\1x" "\xda\xbb\xd7\0" "\0\0\0\0\0Y-4" "\0\0\0\x10\0xxxxxxxxxxxxxxx" "\xda\xbb\xc8\0" "\0\0\0\0\0Y-4" "\0\0\0\x0cxxxxxxxxxxxx"),
	  S("\xda\xbb\2\x14" "\0\0\0\0\0Y-4" "\0\0\0\x0f\x93xxxxxxxxxxxxxx" "\xda\xbb\2\x46" "\0\0\0\0\0Y-4" "\0\0\0\x0d\x0cxxxxxxxxxxxx" "\xda\xbb\x17\x14" "\0\0\0\0\0Y-4" "\0\0\0\x16\0\0\0\2\xbd\3xxxxxxxxxxxxxxxx" "\xda\xbb\6\x14" "\0\0\0\0\0Y-4" "\0\0\0\x0e" "3\nxxxxxxxxxxxx") },
	/* RocketMQ: headers of both forms with remarks, known and other fields; a header that is none. */
	{ S("\x00\x00\x01\x11\x00\x00\x01\x01{\"code\":310,\"extFields\":{\"a\":\"" C "\",\"b\":\"" C "\",\"" C "\":\"" C "\",\"e\":\"7\",\"i\":\"" C "\\u0001\\\"" C "\",\"m\":\"false\",\"n\":49291234},\"flag\":0,\"language\":\"JAVA\",\"opaque\":7,\"remark\":\"" C " \\\"" C "\",\"version\":453}" C "\x00\x00\x00u\x01\x00\x00" "e\x01" "6\x00\x01\xc5\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00P\x00\x01" "b\x00\x00\x00\x0c" "" C "\x00\x0c" "" C "\x00\x00\x00\x0c" "" C "\x00\x01i\x00\x00\x00\x18" "" C "" C "" C ""),
	  S("\x00\x00\x00[\x00\x00\x00W{\"code\":13,\"flag\":1,\"language\":\"JAVA\",\"opaque\":7,\"remark\":\"" C "\",\"version\":453}\x00\x00\x00T\x01\x00\x00" "8\x00\x00\x00\x01\xc5\x00\x00\x00\x08\x00\x00\x00\x01\x00\x00\x00\x0c" "" C "\x00\x00\x00\x17\x00\x05msgId\x00\x00\x00\x0c" "" C "" C "" C "\x00\x00\x00" "B\x00\x00\x00" "2{\"code\":17,\"flag\":1,\"opaque\":9,\"" C "\":[1]}" C ""),
	  S("\x00\x00\x01\x11\x00\x00\x01\x01{\"code\":310,\"extFields\":{\"x\":\"xxxxxxxxxxxx\",\"b\":\"xxxxxxxxxxxx\",\"cxxxxxxxxxxx\":\"xxxxxxxxxxxx\",\"e\":\"x\",\"i\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\",\"m\":\"xxxxx\",\"n\":00000000},\"flag\":0,\"language\":\"xxxx\",\"opaque\":7,\"remark\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxx\",\"version\":453}xxxxxxxxxxxx\x00\x00\x00u\x01\x00\x00" "e\x01" "6\x00\x01\xc5\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00P\x00\x01" "b\x00\x00\x00\x0cxxxxxxxxxxxx\x00\x0c" "cxxxxxxxxxxx\x00\x00\x00\x0cxxxxxxxxxxxx\x00\x01i\x00\x00\x00\x18xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
	  S("\x00\x00\x00[\x00\x00\x00W{\"code\":13,\"flag\":1,\"language\":\"xxxx\",\"opaque\":7,\"remark\":\"xxxxxxxxxxxx\",\"version\":453}\x00\x00\x00T\x01\x00\x00" "8\x00\x00\x00\x01\xc5\x00\x00\x00\x08\x00\x00\x00\x01\x00\x00\x00\x0cxxxxxxxxxxxx\x00\x00\x00\x17\x00\x05mxxxx\x00\x00\x00\x0cxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx") },
	/* Oracle, with lengths of four bytes and of two: a login, a statement, an error, rows. Of packets in pieces nothing stays. */
	{ S("\x00\xc9\x00\x00\x01\x00\x00\x00\x01?\x01,\x04\x01 \x00 \x00O\x98\x00\x00\x00\x01\x00\x7f\x00J\x00\x00\x00\x00\x84\x84\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00 \x00\x00\x00 \x00\x00\x00\x00\x00\x00\x00\x00\x00(DESCRIPTION=(ADDRESS=(PROTOCOL=tcp)(HOST=db)(PORT=1521))(CONNECT_DATA=(SERVICE_NAME=cAnArY)(CID=(USER=" C "))))))))))))\x00\x00\x00p\x06\x00\x00\x00\x00\x00\x03^\x01\x02\x80" "a\x00\x01\x01\"\x01\x01\x0d\x00\x00\x00\x01\x02\x04\x7f\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\"select '" C "' from orders1\x01\x01\x00\x00\x00\x00\x00\x00\x01\x01\x00\x02\x80\x00\x00\x00\x00\x00\x00\x00" "f\x06\x00\x00\x00\x00\x00\x03s\x02\x01\x01\x05\x02\x01\x01\x01\x01\x01\x02\x01\x01plumb\x01\x0c\x0c" "AUTH_SESSKEY\x01\x10\x10" C "cAnA\x01\x01\x01\x0d\x0d" "AUTH_PASSWORD\x01\x10\x10" C "cAnA\x00"),
	  S("\x00-\x00\x00\x02\x00\x00\x00\x01>\x04\x01 \x00 \x00\x00\x01\x00\x00\x00-\x05\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00 \x00\x00\x00 \x00\x00\x00\x00\x00\x00\x00\x00\x00X\x06\x00\x00\x00\x00\x00\x04\x01\x01\x01\x01\x00\x02\x03\xae\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x03\xae\x00(ORA-00942: " C " " C " xx\x0a\x00\x00\x00{\x06\x00\x00\x00\x00\x00\x10\x01x\x01z\x01\x01\x01\x02\x00\x0a\x00\x01\x16\x00\x00\x00\x00\x00\x00\x00\x00\x01\x02\x01\x02\x02ID\x00\x00\x01\x01\x00\x00\x00\x00\x00\x00\x00\x06\x01\x01\x01\x00\x01\x01\x00\x00\x00\x07\x0c" C "\x07\x02\xc1\x03\x08\x01\x02\x01\x07\x00\x00\x00\x00\x04\x01\x01\x01\x01\x01\x02\x00\x00\x00\x01\x03\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x02"),
	  S("\x00\xc9\x00\x00\x01\x00\x00\x00\x01?\x01,\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x7f\x00J\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00(xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\x00\x00\x00p\x06\x00\x00\x00\x00\x00\x03^\x01\x02\x80" "a\x00\x01\x01\"\x01\x01\x0d\x00\x00\x00\x01\x02\x04\x7f\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\"select "),
	  S("\x00-\x00\x00\x02\x00\x00\x00\x01>\x00\x00 \x00\x00\x00\x00\x00\x00\x00\x00-\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00 \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00X\x06\x00\x00\x00\x00\x00\x04\x01\x01\x01\x01\x00\x02\x03\xae\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x03\xae\x00(xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx") },
	{ S("\x00\xc9\x00\x00\x01\x00\x00\x00\x01?\x01,\x04\x01 \x00 \x00O\x98\x00\x00\x00\x01\x00\x7f\x00J\x00\x00\x00\x00\x84\x84\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00 \x00\x00\x00 \x00\x00\x00\x00\x00\x00\x00\x00\x00(DESCRIPTION=(ADDRESS=(PROTOCOL=tcp)(HOST=db)(PORT=1521))(CONNECT_DATA=(SERVICE_NAME=cAnArY)(CID=(USER=" C "))))))))))))\x00p\x00\x00\x06\x00\x00\x00\x00\x00\x03^\x01\x02\x80" "a\x00\x01\x01\"\x01\x01\x0d\x00\x00\x00\x01\x02\x04\x7f\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\"select '" C "' from orders1\x01\x01\x00\x00\x00\x00\x00\x00\x01\x01\x00\x02\x80\x00\x00\x00\x00\x00" "f\x00\x00\x06\x00\x00\x00\x00\x00\x03s\x02\x01\x01\x05\x02\x01\x01\x01\x01\x01\x02\x01\x01plumb\x01\x0c\x0c" "AUTH_SESSKEY\x01\x10\x10" C "cAnA\x01\x01\x01\x0d\x0d" "AUTH_PASSWORD\x01\x10\x10" C "cAnA\x00"),
	  S("\x00\x18\x00\x00\x02\x00\x00\x00\x01:\x04\x01 \x00 \x00\x00\x01\x00\x00\x00\x18\x05\x04\x00X\x00\x00\x06\x00\x00\x00\x00\x00\x04\x01\x01\x01\x01\x00\x02\x03\xae\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x03\xae\x00(ORA-00942: " C " " C " xx\x0a\x00n\x00\x00\x06\x00\x00\x00\x00\x00\x10\x01x\x01z\x01\x01\x01\x02\x00\x0a\x00\x01\x16\x00\x00\x00\x00\x00\x00\x00\x00\x01\x02\x01\x02\x02ID\x00\x00\x01\x01\x00\x00\x00\x00\x00\x00\x00\x06\x01\x01\x01\x00\x01\x01\x00\x00\x00\x07\x0c" C "\x04\x01\x01\x01\x01\x01\x01\x00\x00\x00\x01\x03\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01"),
	  S("\x00\xc9\x00\x00\x01\x00\x00\x00\x01?\x01,\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x7f\x00J\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00(xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\x00p\x00\x00\x06\x00\x00\x00\x00\x00\x03^\x01\x02\x80" "a\x00\x01\x01\"\x01\x01\x0d\x00\x00\x00\x01\x02\x04\x7f\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\"select "),
	  S("\x00\x18\x00\x00\x02\x00\x00\x00\x01:\x00\x00 \x00\x00\x00\x00\x00\x00\x00\x00\x18\x00\x00\x00X\x00\x00\x06\x00\x00\x00\x00\x00\x04\x01\x01\x01\x01\x00\x02\x03\xae\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x03\xae\x00(xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx") },
	/* TDS: a login, a statement in a batch and in a call that prepares it, another call by its name, values of all lengths; rows over two packets, an error, what is no token. */
	{ S("\x12\x01\x00+\x00\x00\x01\x00\x00\x00\x10\x00\x06\x01\x00\x16\x00\x01\x02\x00\x17\x00\x0c\xff" "cAnArY\x02" C "\x10\x01\x00hcA\x01\x00`\x00\x00\x00\x04\x00\x00t" C "cAnArY-4" C "cAnAc\x00" "A\x00n\x00" "A\x00" "c\x00" "A\x00n\x00" "A\x00r\x00Y\x00-\x00" "4\x00" "7\x00" "1\x00" "1\x00z\x00" "c\x00" "A\x00n\x00" "A\x00r\x00Y\x00-\x00" "4\x00" "7\x00" "1\x00\x01\x01\x00JcA\x01\x00\x16\x00\x00\x00\x12\x00\x00\x00\x02\x00" "cAnArY-4\x01\x00\x00\x00s\x00" "e\x00l\x00" "e\x00" "c\x00t\x00 \x00N\x00'\x00" "c\x00" "A\x00n\x00" "A\x00r\x00Y\x00-\x00" "4\x00" "7\x00" "1\x00" "1\x00z\x00'\x00\x03\x01\x00" "6cA\x01\x00\x16\x00\x00\x00\x12\x00\x00\x00\x02\x00" "cAnArY-4\x01\x00\x00\x00\xff\xff\x0c\x00\x00\x00\x00\x00&\x04\x04M\x00\x00\x00\x00\x00&\x04\x04" "cAnA\x07\x01\x00\x15" "cA\x01\x00\x81" C "\x03\x01\x01\x0b" "cA\x01\x00\x16\x00\x00\x00\x12\x00\x00\x00\x02\x00" "cAnArY-4\x01\x00\x00\x00\xff\xff\x0d\x00\x00\x00\x00\x01&\x04\x00\x00\x00\xe7@\x1f" "cAnAr\x18\x00" "c\x00" "A\x00n\x00" "A\x00r\x00Y\x00-\x00" "4\x00" "7\x00" "1\x00" "1\x00z\x00\x00\x00\xe7@\x1f" "cAnAr&\x00u\x00p\x00" "d\x00" "a\x00t\x00" "e\x00 \x00" "c\x00" "A\x00n\x00" "A\x00r\x00Y\x00-\x00" "4\x00" "7\x00" "1\x00" "1\x00z\x00\x0c" "c\x00" "A\x00n\x00" "A\x00r\x00Y\x00-\x00" "4\x00" "7\x00" "1\x00" "1\x00z\x00\x00\xe7\xff\xff" "cAnAr\xfe\xff\xff\xff\xff\xff\xff\xff\x18\x00\x00\x00" "c\x00" "A\x00n\x00" "A\x00r\x00Y\x00-\x00" "4\x00" "7\x00" "1\x00" "1\x00z\x00\x00\x00\x00\x00\xff\x0c\x00" "c\x00" "A\x00n\x00" "A\x00r\x00Y\x00-\x00" "4\x00" "7\x00" "1\x00" "1\x00z\x00\x00\x00\x0c" "c\x00" "A\x00n\x00" "A\x00r\x00Y\x00-\x00" "4\x00" "7\x00" "1\x00" "1\x00z\x00\x00m\x08\x08" "cAnArY-4"),
	  S("\x04\x01\x00+cA\x01\x00\x00\x00\x10\x00\x06\x01\x00\x16\x00\x01\x02\x00\x17\x00\x0c\xff" "cAnArY\x02" C "\x04\x01\x00\xb1" "cA\x01\x00\xe3" "3\x00\x01\x0c" "c\x00" "A\x00n\x00" "A\x00r\x00Y\x00-\x00" "4\x00" "7\x00" "1\x00" "1\x00z\x00\x0c" "c\x00" "A\x00n\x00" "A\x00r\x00Y\x00-\x00" "4\x00" "7\x00" "1\x00" "1\x00z\x00\xab>\x00\x18H\x00\x00\x01\x0e\x0c\x00" "c\x00" "A\x00n\x00" "A\x00r\x00Y\x00-\x00" "4\x00" "7\x00" "1\x00" "1\x00z\x00\x0c" "c\x00" "A\x00n\x00" "A\x00r\x00Y\x00-\x00" "4\x00" "7\x00" "1\x00" "1\x00z\x00\x00\x01\x00\x00\x00\xad\"\x00\x01t\x00\x00\x04\x0c" "c\x00" "A\x00n\x00" "A\x00r\x00Y\x00-\x00" "4\x00" "7\x00" "1\x00" "1\x00z\x00" "cAnA\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00\x9c" "cA\x01\x00\x81\x04\x00" "cAnAcA8\x02i\x00" "d\x00" "cAnAcA\xe7@\x1f" "cAnAr\x0c" "c\x00" "A\x00n\x00" "A\x00r\x00Y\x00-\x00" "4\x00" "7\x00" "1\x00" "1\x00z\x00" "cAnAcA\xe7\xff\xff" "cAnAr\x0c" "c\x00" "A\x00n\x00" "A\x00r\x00Y\x00-\x00" "4\x00" "7\x00" "1\x00" "1\x00z\x00" "cAnAcA#\x00\x00\x00\x00" "cAnAr\x01\x0c\x00" "c\x00" "A\x00n\x00" "A\x00r\x00Y\x00-\x00" "4\x00" "7\x00" "1\x00" "1\x00z\x00\x01t\x00\xd1" "cAnA\x18\x00" "c\x00\x04\x01\x00\xeb" "cA\x02\x00" "A\x00n\x00" "A\x00r\x00Y\x00-\x00" "4\x00" "7\x00" "1\x00" "1\x00z\x00\xfe\xff\xff\xff\xff\xff\xff\xff\x18\x00\x00\x00" "c\x00" "A\x00n\x00" "A\x00r\x00Y\x00-\x00" "4\x00" "7\x00" "1\x00" "1\x00z\x00\x00\x00\x00\x00\x0c" C "cAnArY-4\x0c\x00\x00\x00" C "\xd2\x0c" "cAnA\xff\xff\xac\x00\x00\x0c" "c\x00" "A\x00n\x00" "A\x00r\x00Y\x00-\x00" "4\x00" "7\x00" "1\x00" "1\x00z\x00\x01" "cAnAcA&\x04\x04M\x00\x00\x00\xaa>\x00\x18H\x00\x00\x01\x0e\x0c\x00" "c\x00" "A\x00n\x00" "A\x00r\x00Y\x00-\x00" "4\x00" "7\x00" "1\x00" "1\x00z\x00\x0c" "c\x00" "A\x00n\x00" "A\x00r\x00Y\x00-\x00" "4\x00" "7\x00" "1\x00" "1\x00z\x00\x00\x01\x00\x00\x00\xfd\x10\x00\xc1\x00\x03\x00\x00\x00" "cAnA\x04\x01\x00\"cA\x01\x00\x99" C "\xfd\x10\x00\xc1\x00\x03\x00\x00\x00" "cAnA"),
	  S("\x12\x01\x00+\x00\x00\x01\x00\x00\x00\x10\x00\x06\x01\x00\x16\x00\x01\x02\x00\x17\x00\x0c\xff\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10\x01\x00h\x00\x00\x01\x00`\x00\x00\x00\x00\x00\x00t\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\x00J\x00\x00\x01\x00\x16\x00\x00\x00\x12\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00s\x00" "e\x00l\x00" "e\x00" "c\x00t\x00 \x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00\x03\x01\x00" "6\x00\x00\x01\x00\x16\x00\x00\x00\x12\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x0c\x00\x00\x00\x00\x00&\x04\x04M\x00\x00\x00\x00\x00&\x04\x04xxxx\x07\x01\x00\x15\x00\x00\x01\x00xxxxxxxxxxxxx\x03\x01\x01\x0b\x00\x00\x01\x00\x16\x00\x00\x00\x12\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x0d\x00\x00\x00\x00\x01&\x04\x00\x00\x00\xe7@\x1f\x00\x00\x00\x00\x00\x18\x00xxxxxxxxxxxxxxxxxxxxxxxx\x00\x00\xe7@\x1f\x00\x00\x00\x00\x00&\x00u\x00p\x00" "d\x00" "a\x00t\x00" "e\x00 \x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00\x0cx\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00\x00\xe7\xff\xff\x00\x00\x00\x00\x00\xfe\xff\xff\xff\xff\xff\xff\xff\x18\x00\x00\x00xxxxxxxxxxxxxxxxxxxxxxxx\x00\x00\x00\x00\xff\x0c\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00\x00\x00\x0cx\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00\x00m\x08\x08xxxxxxxx"),
	  S("\x04\x01\x00+\x00\x00\x01\x00\x00\x00\x10\x00\x06\x01\x00\x16\x00\x01\x02\x00\x17\x00\x0c\xff\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x01\x00\xb1\x00\x00\x01\x00\xe3" "3\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xab>\x00\x18H\x00\x00\x01\x0e\x0c\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xad\"\x00\x01t\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00\x9c\x00\x00\x01\x00\x81\x04\x00\x00\x00\x00\x00\x00\x00" "8\x02x\x00x\x00\x00\x00\x00\x00\x00\x00\xe7@\x1f\x00\x00\x00\x00\x00\x0cx\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00\x00\x00\x00\x00\x00\x00\xe7\xff\xff\x00\x00\x00\x00\x00\x0cx\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00\x00\x00\x00\x00\x00\x00#\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x0c\x00xxxxxxxxxxxxxxxxxxxxxxxx\x01x\x00\xd1xxxx\x18\x00xx\x04\x01\x00\xeb\x00\x00\x02\x00xxxxxxxxxxxxxxxxxxxxxx\xfe\xff\xff\xff\xff\xff\xff\xff\x18\x00\x00\x00xxxxxxxxxxxxxxxxxxxxxxxx\x00\x00\x00\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0c\x00\x00\x00xxxxxxxxxxxx\xd2\x0cxxxx\xff\xff\xac\x00\x00\x0cx\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00\x00\x00\x00\x00\x00\x00\x00&\x04\x04M\x00\x00\x00\xaa>\x00\x18H\x00\x00\x01\x0e\x0c\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00x\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xfd\x10\x00\xc1\x00\x03\x00\x00\x00\x00\x00\x00\x00\x04\x01\x00\"\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xfd\x10\x00\xc1\x00\x03\x00\x00\x00\x00\x00\x00\x00") },
	{ S("SSH-2.0-" C "\r\n"), S("SSH-2.0-" C "\r\n"), S("x"), S("x") },
	{ S("\x16\x03\x01" C), S("\x16\x03\x03" C), S("xxx"), S("xxx") },
	/* Couchbase: a login, a bucket, collections, frames, documents; a push, what follows is no header. */
	{ S("\x80\x1f\x00\x14\x00\x00\x00\x00\x00\x00\x00\x18" "cAnAcAnArY-4{\"a\":\"" C "\"}\x00\x12\x00\x06\x80!\x00\x05\x00\x00\x00\x00\x00\x00\x00\x18\x00\x00\x00\x01" "cAnArY-4PLAIN\x00plumb\x00" C "\x80\x89\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x0c\x00\x00\x00\x01" "cAnArY-4" C "\x80\xbb\x00\x00\x00\x00\x00\x00\x00\x00\x00\x19\x00\x00\x00\x01" "cAnArY-4" C "." C "\x08\x01\x0f\x0c\x08\x01\x02\x01\x00\x00\x00/\x00\x00\x00\x01" "cAnArY-4\x11\x01L" C "cAnArY-4" C C "\x08\x01\x06\x0c\x08\x01\x02\x01\x00\x00\x00&\x00\x00\x00\x01" "cAnArY-4\x13" "cAnP\x02" "cAnArY-4" C C "\x80\xd1\x00\x0c\x00\x00\x00\x00\x00\x00\x00,\x00\x00\x00\x01" "cAnArY-4" C "\xc8\x00\x00\x0c\x00\x00\x00\x0c" C C "\x83\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" "cAnArY-4"),
	  S("\x81\x1f\x00\x00\x00\x00\x00\x00\x00\x00\x00\x12\x00\x00\x00\x01" "cAnArY-4\x00\x03\x00\x12\x00\x0e" C "\x81!\x00\x00\x00\x00\x00!\x00\x00\x00\x0c\x00\x00\x00\x01" "cAnArY-4" C "\x81\xbb\x00\x00\x0c\x00\x00\x00\x00\x00\x00\x0c\x00\x00\x00\x01" "cAnArY-4cAnArY-4cAnA\x82\x01\x00\x0c\x08\x00\x00\x00\x00\x00\x00 \x00\x00\x00\x01" "cAnArY-4cAnArY-4" C C "\x18\x00\x09\x00\x04\x01\x00\x00\x00\x00\x00\x19\x00\x00\x00\x01" "cAnArY-4\x02" "cA\x12" "cA\x02" "cAcAnA" C "\x18\x00\x0d\x00\x04\x00\x00\x01\x00\x00\x00\x1d\x00\x00\x00\x01" "cAnArY-4L" C "cAnA" C "\x81\x10\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x18\x00\x00\x00\x01" "cAnArY-4" C C "\x81\x06\x00\x00\x00\x00\x00\x06\x00\x00\x00\x0c\x00\x00\x00\x01" "cAnArY-4" C C),
	  S("\x80\x1f\x00\x14\x00\x00\x00\x00\x00\x00\x00\x18\x00" "AnA\x00\x00\x00\x00\x00\x00\x00\x00xxxxxxxxxxxxxxxxxxxxxxxx\x80!\x00\x05\x00\x00\x00\x00\x00\x00\x00\x18\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00xxxxxxxxxxxxxxxxxxxxxxxx\x80\x89\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x0c\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00xxxxxxxxxxxx\x80\xbb\x00\x00\x00\x00\x00\x00\x00\x00\x00\x19\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00xxxxxxxxxxxxxxxxxxxxxxxxx\x08\x01\x0f\x0c\x08\x01\x02\x01\x00\x00\x00/\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x11\x01xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\x08\x01\x06\x0c\x08\x01\x02\x01\x00\x00\x00&\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x13\x00\x00\x00Pxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\x80\xd1\x00\x0c\x00\x00\x00\x00\x00\x00\x00,\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\x83\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00"),
	  S("\x81\x1f\x00\x00\x00\x00\x00\x00\x00\x00\x00\x12\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x12\x00\x0exxxxxxxxxxxx\x81!\x00\x00\x00\x00\x00!\x00\x00\x00\x0c\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00xxxxxxxxxxxx\x81\xbb\x00\x00\x0c\x00\x00\x00\x00\x00\x00\x0c\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00nA\x82\x01\x00\x0c\x08\x00\x00\x00\x00\x00\x00 \x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\x18\x00\x09\x00\x04\x01\x00\x00\x00\x00\x00\x19\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x02" "cA\x12\x00\x00\x02" "cAxxxxxxxxxxxxxxxx\x18\x00\x0d\x00\x04\x00\x00\x01\x00\x00\x00\x1d\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00xxxxxxxxxxxxxxxxxxxxxxxxxxxxx\x81\x10\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x18\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00xxxxxxxxxxxxxxxxxxxxxxxx\x81\x06\x00\x00\x00\x00\x00\x06\x00\x00\x00\x0c\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00xxxxxxxxxxxxxxxxxxxxxxxx") },
};

static void feed(struct masker *m, uint8_t dir, uint64_t offset, uint8_t *p, size_t n, size_t len)
{
	struct record rec = { .u.data = { .h = { .type = PLUMB_REC_DATA }, .sock = 7, .offset = offset, .len = (uint32_t)len,
					  .captured = (uint32_t)n, .direction = dir } };

	masker_record(m, &rec, p, n);
}

/* Nor in UTF-16. */
static void no_canary(const uint8_t *p, size_t n)
{
	uint8_t wide[2 * sizeof(C)] = { 0 };

	for (size_t i = 0; i < sizeof(C) - 1; i++)
		wide[2 * i] = (uint8_t)C[i];
	for (size_t i = 0; i + 5 <= sizeof(C) - 1; i++) {
		assert_null(memmem(p, n, &C[i], 5));
		assert_null(memmem(p, n, &wide[2 * i], 9));
	}
}

/*
 * MySQL is told by the first five bytes of a connection, NATS by six, AMQP by eight, Kafka by fourteen, MongoDB by its first header, ZooKeeper by its first request up to the password, LDAP by
 * seven, ClickHouse by its Hello, Thrift by the two of compact or the eight of a frame, bRPC by its head and one, FastCGI by more than may be a request of Kafka's, TDS by a head and an option: fewer, and all is masked.
 */
static size_t told_by(struct slice first)
{
	if (slice_starts(first, SLICE_LIT("INFO {")))
		return 6;
	if (slice_starts(first, SLICE_LIT("220 ")))
		return slice_find(first, '\n', 0) + 1;
	if (slice_starts(first, SLICE_LIT("CONNECT\n")))
		return first.len > 80 ? 80 : first.len;
	if (slice_starts(first, SLICE_LIT("AMQP")))
		return 8;
	if (slice_starts(first, SLICE_LIT("\0\x0c" C "\x14\x0a"))) /* ClickHouse's Hello */
		return 58;
	if (slice_starts(first, SLICE_LIT("\x00\xc9\x00\x00\x01"))) /* Oracle's CONNECT: of packets in several records less stays */
		return SIZE_MAX;
	if (slice_starts(first, SLICE_LIT("\x12\x01"))) /* TDS' PRELOGIN, and its first option */
		return 13;
	if (slice_starts(first, SLICE_LIT("PRPC")))
		return 13;
	if (first.ptr[0] == 0x82 || slice_starts(first, SLICE_LIT("\x80\x1f")))
		return 2;
	if (first.ptr[0] == 0xff) /* ZeroMQ's signature */
		return 10;
	if (first.len > 15 && memcmp(first.ptr + 8, "{\"code\"", 7) == 0) /* RocketMQ's head and the header's begin */
		return 29;
	if (first.ptr[0] == 1 && first.ptr[1] == 1)
		return 64;
	if (first.len > 4 && first.ptr[4] == 0x80)
		return 8;
	if (first.len > 15 && first.ptr[12] == 0xdd && first.ptr[13] == 7)
		return 16;
	if (slice_starts(first, SLICE_LIT("\xda\xbb")))
		return 4;
	if (slice_starts(first, SLICE_LIT("\x30\x27\2\1\1\x60")))
		return 7;
	if (slice_starts(first, SLICE_LIT("\0\0\0\x2d\0\0\0\0")))
		return 32;
	if (first.len > 4 && first.ptr[3] == 0 && first.ptr[4] == 0x0a)
		return 5;
	return first.len > 14 && memcmp(first.ptr + 4, "\0\0\0\7", 4) == 0 ? 14 : 0;
}

/* Both directions, each cut at a and b, the client's first bytes first. */
static void mask_talk(const struct talk *t, size_t a, size_t b, uint8_t client_dir, uint8_t out[2][1024])
{
	struct slice ways[2] = { t->to_server, t->to_client };
	struct masker *m;

	assert_int_equal(masker_new(3, 47, &m), 0);
	for (int w = 0; w < 2; w++) {
		size_t cuts[4] = { 0, a, b, ways[w].len };
		memcpy(out[w], ways[w].ptr, ways[w].len);
		for (int i = 0; i < 3; i++) {
			size_t from = cuts[i] < ways[w].len ? cuts[i] : ways[w].len, to = cuts[i + 1] < ways[w].len ? cuts[i + 1] : ways[w].len;
			if (to > from)
				feed(m, (uint8_t)(client_dir ^ w), 100 + from, out[w] + from, to - from, to - from);
		}
	}
	masker_free(m);
}

static void canaries_die_and_framing_lives(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(talks) / sizeof(*talks); k++) {
		const struct talk *t = &talks[k];
		uint8_t whole[2][1024], cut[2][1024];
		size_t n = t->to_server.len > t->to_client.len ? t->to_server.len : t->to_client.len;
		mask_talk(t, n, n, 1, whole);
		assert_memory_equal(whole[0], t->want_server.ptr, t->want_server.len);
		assert_memory_equal(whole[1], t->want_client.ptr, t->want_client.len);
		no_canary(whole[0], t->to_server.len);
		no_canary(whole[1], t->to_client.len);
		for (size_t a = 1; a < n; a++)
			for (size_t b = a; b <= n; b += b == a ? 1 : 17) {
				mask_talk(t, a, b, (uint8_t)(a & 1), cut);
				no_canary(cut[0], t->to_server.len);
				no_canary(cut[1], t->to_client.len);
				if (a < told_by(t->to_server))
					continue;
				assert_memory_equal(cut[0], whole[0], t->to_server.len);
				assert_memory_equal(cut[1], whole[1], t->to_client.len);
			}
	}
}

static void canaries_die_behind_holes(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(talks) / sizeof(*talks); k++)
		for (int w = 0; w < 2; w++) {
			struct slice s = w ? talks[k].to_client : talks[k].to_server;
			for (size_t from = 0; from < s.len; from++)
				for (size_t gap = 1; gap < 41; gap += 3) {
					uint8_t p[1024];
					struct masker *m;
					size_t next = from + gap < s.len ? from + gap : s.len;
					memcpy(p, s.ptr, s.len);
					assert_int_equal(masker_new(0, 47, &m), 0);
					if (from)
						feed(m, (uint8_t)!w, 100, p, from, gap % 2 ? from : next);
					if (next < s.len)
						feed(m, (uint8_t)!w, 100 + next, p + next, s.len - next, s.len - next);
					no_canary(p, from);
					no_canary(p + next, s.len - next);
					masker_free(m);
				}
		}
}

/* One way of a connection whose other one says nothing. */
static void mask_one(const char *in, size_t len, uint8_t *out)
{
	const struct talk t = { .to_server = slice_make(in, len), .to_client = SLICE_LIT("") };
	uint8_t outs[2][1024];

	mask_talk(&t, len, len, 1, outs);
	memcpy(out, outs[0], len);
	out[len] = '\0';
}

static void framing_is_read_as_the_parser_does(void **state)
{
	static const struct { const char *in, *want; } rows[] = {
		/* Chunked tells the end only as the last coding. */
		{ "PUT / HTTP/1.1\r\nTransfer-Encoding: identity, chunked, gzip\r\n\r\n4929\r\n", "PUT / HTTP/1.1\r\nTransfer-Encoding: identity, chunked, gzip\r\n\r\nxxxxxx" },
		{ "PUT / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nab\r\n", "PUT / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nxx\r\n" },
		{ "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: br\r\n\r\n4929\r\n", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: xx\r\n\r\nxxxxxx" },
		{ "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked ; a=b, \r\n\r\n2\r\nab\r\n", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked ; xxx, \r\n\r\n2\r\nxx\r\n" },
		{ "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked gzip\r\n\r\n4929\r\n", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked xxxx\r\n\r\nxxxxxx" },
		/* Lengths that are the same are one; those that differ are none. */
		{ "PUT / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\nabcdeGET / HTTP/1.1\r\n", "PUT / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\nxxxxxGET / HTTP/1.1\r\n" },
		{ "PUT / HTTP/1.1\r\nContent-Length: 5, 6\r\n\r\nabcdeGET / HTTP/1.1\r\n", "PUT / HTTP/1.1\r\nContent-Length: 5, 6\r\n\r\nxxxxxxxxxxxxxxxxxxxxx" },
		{ "PUT / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nabcdeGET / HTTP/1.1\r\n",
		  "PUT / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nxxxxxGET / HTTP/1.1\r\n" },
		{ "PUT / HTTP/1.1\r\nContent-Length: " N "\r\n\r\nab", "PUT / HTTP/1.1\r\nContent-Length: 4929123456xxxxxx\r\n\r\nxx" },
		{ "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000000002\r\nab\r\n3\r\n", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000000002\r\nxx\r\n3\r\n" },
		{ "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" N "\r\n3\r\n", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n49291234xxxxxxxxxxxxx" },
		{ "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\nContent-Length: 5\r\n", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\nxxxxxxxxxxxxxxxxxxx" },
		/* The count of subscriptions is the third of three. */
		{ "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:12\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:12\r\n" },
		{ ">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n", ">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n" },
		{ "*2\r\n$9\r\nsubscribe\r\n:" N "\r\n", "*2\r\n$9\r\nsubscribe\r\n:0000000000000000\r\n" },
		{ "*3\r\n$9\r\nsubscribe\r\n:" N "\r\n:" N "\r\n:" N "\r\n",
		  "*3\r\n$9\r\nsubscribe\r\n:0000000000000000\r\n:4929100000000000\r\n:0000000000000000\r\n" },
		{ "*3\r\n:1\r\n$9\r\nsubscribe\r\n:" N "\r\n", "*3\r\n:0\r\n$9\r\nsubscribe\r\n:0000000000000000\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t out[1025];
		assert_int_equal(strlen(rows[i].in), strlen(rows[i].want));
		mask_one(rows[i].in, strlen(rows[i].in), out);
		assert_string_equal((char *)out, rows[i].want);
	}
}

/* The size alone is Kafka's as well as ZooKeeper's; what the other side said before is of whichever it was. */
static void a_size_read_alone_is_of_what_follows(void **state)
{
	static const char connect[] = "\0\0\0\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x75\x30\0\0\0\0\0\0\0\0\0\0\0\x10" "cAnArY-4711zcAnA\0";
	uint8_t p[sizeof(connect) - 1], answer[32];
	struct masker *m;

	(void)state;
	for (int answered = 0; answered < 2; answered++) {
		memcpy(p, connect, sizeof(p));
		memset(answer, 'A', sizeof(answer));
		assert_int_equal(masker_new(3, 47, &m), 0);
		feed(m, 1, 100, p, 4, 4);
		if (answered)
			feed(m, 0, 100, answer, sizeof(answer), sizeof(answer));
		feed(m, 1, 104, p + 4, sizeof(p) - 4, sizeof(p) - 4);
		masker_free(m);
		no_canary(p, sizeof(p));
		if (answered)
			assert_null(memmem(answer, sizeof(answer), "AAAA", 4));
		assert_memory_equal(p, connect, 4);
		/* The time-out of the session stays where it is known what it is. */
		assert_true((memcmp(p + 16, connect + 16, 4) == 0) == !answered);
	}
}

static void say(struct masker *m, uint8_t dir, uint64_t *offset, const char *in, size_t n, uint8_t *out)
{
	memcpy(out, in, n);
	feed(m, dir, *offset, out, n, n);
	*offset += n;
}

/* A Fetch of version 0 reads as the length of the longest header that RocketMQ has. */
static void a_long_fetch_is_no_header(void **state)
{
	static const char size[] = "\0\1\1\0", fetch[] = "\0\1\0\0\0\1\2\3\0\x0c" C "\xff\xff\xff\xff";
	uint8_t out[64];
	uint64_t offset = 100;
	struct masker *m;

	(void)state;
	assert_int_equal(masker_new(3, 47, &m), 0);
	say(m, 1, &offset, size, 4, out);
	say(m, 1, &offset, fetch, sizeof(fetch) - 1, out);
	masker_free(m);
	assert_memory_equal(out, fetch, 10); /* up to the client's name: of RocketMQ's header nothing would stay */
	no_canary(out, sizeof(fetch) - 1);
}

/* A key begins with the number of a collection if it is a document's, and while that is agreed on. */
static void numbers_of_collections_stay_where_they_are(void **state)
{
#define HELLO_ANSWER(status, feature) "\x81\x1f\0\0\0\0\0" status "\0\0\0\2\0\0\0\1\0\0\0\0\0\0\0\0\0" feature
#define KEYED(opcode) "\x80" opcode "\0\3\0\0\0\0\0\0\0\3\0\0\0\2\0\0\0\0\0\0\0\0" "\x08pq"
	enum { HEAD = 24, ANSWER = HEAD + 2, REQUEST = HEAD + 3 };
	static const char hello[] = "\x80\x1f\0\0\0\0\0\0\0\0\0\2\0\0\0\1\0\0\0\0\0\0\0\0\0\x12";
	static const struct {
		const char *answer, *request, *want;
	} cases[] = {
		{ HELLO_ANSWER("\0", "\x12"), KEYED("\0"), "\x08xx" },
		{ NULL, KEYED("\x89"), "xxx" },                    /* a bucket */
		{ NULL, KEYED("\x21"), "xxx" },                    /* a mechanism of SASL */
		{ HELLO_ANSWER("\0", "\x07"), KEYED("\0"), "xxx" }, /* agreed on anew */
		{ HELLO_ANSWER("\0", "\x12"), KEYED("\0"), "\x08xx" },
		{ HELLO_ANSWER("\x04", "\x12"), KEYED("\0"), "xxx" }, /* a text of an error */
	};
	uint64_t offset[2] = { 100, 100 };
	uint8_t out[64];
	struct masker *m;

	(void)state;
	assert_int_equal(masker_new(3, 47, &m), 0);
	say(m, 1, &offset[1], hello, sizeof(hello) - 1, out);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (cases[i].answer)
			say(m, 0, &offset[0], cases[i].answer, ANSWER, out);
		say(m, 1, &offset[1], cases[i].request, REQUEST, out);
		assert_memory_equal(out + HEAD, cases[i].want, 3);
	}
	masker_free(m);
#undef HELLO_ANSWER
#undef KEYED
}

/* Where lengths of four bytes were seen, 0x000a0000 is none of two with a packet of ten bytes. */
static void a_large_packet_is_no_small_one(void **state)
{
	static const char connect[] = "\x00\xc9\x00\x00\x01\x00\x00\x00\x01\x3f\x01\x2c\x04\x01\x20\x00\x20\x00\x4f\x98\x00\x00\x00\x01\x00\x7f\x00\x4a\x00\x00\x00\x00\x84\x84\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x20\x00\x00\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00"
				      "(DESCRIPTION=(ADDRESS=(PROTOCOL=tcp)(HOST=db)(PORT=1521))(CONNECT_DATA=(SERVICE_NAME=orders)(CID=(PROGRAM=x)(HOST=h)(USER=u))))";
	static const char accept[] = "\x00\x2d\x00\x00\x02\x00\x00\x00\x01\x3e\x04\x01\x20\x00\x20\x00\x00\x01\x00\x00\x00\x2d\x05\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\xff\xff\x00\x00\x00\x00\x00";
	static const char commit[] = "\0\0\0\x0d\6\0\0\0\0\0\3\x0e\2";
	/* Behind ten bytes something that may be a head. */
	static const char rows[] = "\0\x0a\0\0\6\0\0\0\0\0" "\0\x0d\0\0\6\0\0\0\0\0\3\x0e\2";
	uint64_t offset[2] = { 100, 100 };
	uint8_t out[256];
	struct masker *m;

	(void)state;
	assert_int_equal(masker_new(3, 47, &m), 0);
	say(m, 1, &offset[1], connect, sizeof(connect) - 1, out);
	say(m, 0, &offset[0], accept, sizeof(accept) - 1, out);
	say(m, 1, &offset[1], commit, sizeof(commit) - 1, out);
	assert_memory_equal(out, commit, 8);
	say(m, 0, &offset[0], rows, sizeof(rows) - 1, out);
	masker_free(m);
	assert_memory_equal(out, rows, 8);
	assert_memory_equal(out + 8, "xxxxxxxxxxxxxxx", sizeof(rows) - 1 - 8);
}

/* As many servers of TDS read it. */
static void a_head_read_alone_tells_tds(void **state)
{
	enum { HEAD = 8 };

	(void)state;
	for (size_t k = 0; k < sizeof(talks) / sizeof(*talks); k++) {
		const struct talk *t = &talks[k];
		uint8_t cut[2][1024];
		if (!slice_starts(t->to_server, SLICE_LIT("\x12\x01")))
			continue;
		mask_talk(t, HEAD, HEAD, 1, cut);
		assert_memory_equal(cut[0], t->want_server.ptr, t->want_server.len);
	}
}

#define WIDE_C "h\0u\0n\0t\0e\0r\0" "2\0x\0"
#define HEADERS "\x16\0\0\0\x12\0\0\0\2\0\0\0\0\0\0\0\0\0\1\0\0\0"

/* A message of several packets with a hole in the first one: the later ones are no beginning. What ALL_HEADERS has told stays known. */
static void packets_behind_a_hole_of_tds_keep_nothing(void **state)
{
	static const char batch[] = "\1\1\0\x2a\0\0\1\0" HEADERS "S\0E\0L\0E\0C\0T\0";
	static const char cut[] = "\1\0\0\x40\0\0\1\0" HEADERS;
	static const char more[] = "\1\1\0\x18\0\0\2\0" WIDE_C;
	static const char answer[] = "\4\1\0\x2e\0\0\1\0\x81\1\0\0\0\0\0\0\0\x26\4\1n\0\xd1\1\5\xfd\x10\0\xc1\0\1\0\0\0\0\0\0\0\xfd\0\0\0\0\0\0\0\0\0\0\0\0";
	enum { HEAD = 8 };
	uint64_t offset[2] = { 100, 100 };
	uint8_t out[128];
	struct masker *m;

	(void)state;
	assert_int_equal(masker_new(3, 47, &m), 0);
	say(m, 1, &offset[1], batch, sizeof(batch) - 1, out);
	assert_memory_equal(out + HEAD, batch + HEAD, 6);
	assert_memory_equal(out + HEAD + 22, "S\0E\0L\0E\0C\0T\0", 12);
	memcpy(out, cut, sizeof(cut) - 1);
	feed(m, 1, offset[1], out, sizeof(cut) - 1, 0x40);
	offset[1] += 0x40;
	say(m, 1, &offset[1], more, sizeof(more) - 1, out);
	assert_memory_equal(out, more, 4);
	assert_memory_equal(out + HEAD, "xxxxxxxxxxxxxxxx", sizeof(more) - 1 - HEAD);
	/* Columns have their user's type in four bytes, since 7.2. */
	say(m, 0, &offset[0], answer, 0x2e, out);
	assert_memory_equal(out + HEAD, "\x81\1\0\0\0\0\0\0\0\x26\4\1x\0\xd1\1x\xfd", 18);
	masker_free(m);
}

/* Behind the same beginning, whatever the key. */
static void names_that_differ_remain_different(void **state)
{
	static const char *const alike[] = { "0123456789abcdef", "abcdefghijklmnopqrstuvwxyz" };

	(void)state;
	for (uint64_t key = 0; key < 1000; key++)
		for (size_t k = 0; k < sizeof(alike) / sizeof(alike[0]); k++) {
			uint32_t seen = 0;
			for (const char *c = alike[k]; *c; c++) {
				struct mask_way y = { .key = key };
				mask_letter(&y, 'q');
				uint8_t letter = mask_letter(&y, (uint8_t)*c);
				assert_in_range(letter, 'a', 'z');
				assert_false(seen >> (letter - 'a') & 1);
				seen |= 1u << (letter - 'a');
			}
		}
}

static void names_and_addresses_of_dns_are_masked(void **state)
{
	static const char answer[] = "\0\x07\x81\x80\0\1\0\1\0\0\0\0\x0c" C "\0\0\1\0\1\xc0\x0c\0\x10\0\1\0\0\0\x3c\0\x0c" C;
	struct record rec = { .u.dgram = { .d = { .h = { .type = PLUMB_REC_DGRAM }, .sock = 3 }, .peer_port = 53 } };
	struct masker *m;

	(void)state;
	assert_int_equal(masker_new(0, 47, &m), 0);
	for (size_t n = 0; n < sizeof(answer); n++) {
		uint8_t *p = malloc(n ? n : 1); /* the sanitizer watches the end */
		memcpy(p, answer, n);
		masker_record(m, &rec, p, n);
		no_canary(p, n);
		if (n == sizeof(answer) - 1)
			assert_memory_equal(p, "\0\x07\x81\x80\0\1\0\1\0\0\0\0\x0cxxxxxxxxxxxx\0\0\1\0\1\xc0\x0c\0\x10\0\1\0\0\0\x3c\0\x0c\0\0\0", 46);
		rec.u.dgram.peer_port = 54; /* not DNS */
		memcpy(p, answer, n);
		masker_record(m, &rec, p, n);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(p[i], 'x');
		rec.u.dgram.peer_port = 53;
		free(p);
	}
	masker_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(canaries_die_and_framing_lives), cmocka_unit_test(canaries_die_behind_holes),
		cmocka_unit_test(framing_is_read_as_the_parser_does),
		cmocka_unit_test(a_size_read_alone_is_of_what_follows),
		cmocka_unit_test(a_long_fetch_is_no_header),
		cmocka_unit_test(numbers_of_collections_stay_where_they_are),
		cmocka_unit_test(a_large_packet_is_no_small_one),
		cmocka_unit_test(a_head_read_alone_tells_tds),
		cmocka_unit_test(packets_behind_a_hole_of_tds_keep_nothing),
		cmocka_unit_test(names_that_differ_remain_different),
		cmocka_unit_test(names_and_addresses_of_dns_are_masked),
	};
	return cmocka_run_group_tests_name("masker", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs fixtures through a parser, cut and holed in every way that the contract in proto/proto.h allows.
 * tests/proto/test_fixtures.c finds tests/proto/<symbol>/<name>.fix for every line of protocols.def; `test_fixtures FILE.fix`
 * runs one and prints what was parsed.
 *
 * A fixture is text, one statement a line:
 *
 *   # comment
 *   option datagram        every input line is one datagram (default: a stream)
 *   option resync-loose    messages behind a hole need not all be found (say why in a comment)
 *   option forgets NAME …  words and attributes that messages behind a hole lack, or have otherwise, as what they are known by was said before it (say why)
 *   option no-detect       detect() need not know the first bytes (joined in the middle of a message …)
 *   > "GET / HTTP/1.1\r\n" "\r\n"      one I/O towards the server
 *   < hex:2b4f4b "\r\n"                one I/O towards the client
 *   > hole 100             100 bytes that were not captured
 *   < eof                  the direction ends
 *   => request RAW_TARGET="/"          expected from the bytes towards the server, in order
 *   =< response key=5 DB_RESPONSE_RETURNED_ROWS=2
 *
 * Input items, concatenated: "text" with \r \n \t \0 \\ \" \xHH, hex:00ff, repeat:5"ab", be16:7, be32:7, be64:7, le16:7, le32:7, le64:7,
 * and lengths in front of what they count: len16( items ) and len32( items ) without themselves, pglen( items ) and lelen( items )
 * four bytes that count themselves, the second ones little-endian, mysql:3( items ) a packet of MySQL with its number.
 *
 * An expected line is one message, all of its events put together: request, response or oneway, then in any order the words
 * interim, no_response, quiet, switch, until_close, flush, unsure, abort and range (a line of their own), unfinished (its END never came), then key=N, first=N,
 * error_type="…", next="…" (the protocol that it switches to, or any) and attributes by
 * their names in attribute.def; string values are items joined by "+". Everything that the parser gives must be listed; "=>
 * repeat:7 request …" stands for seven such lines. `lost` stands for bytes that the parser called bad, or a hole in what it
 * wanted; several in a row count once.
 *
 * How it runs: each line an I/O; each direction's neighbouring lines as one; byte by byte; cut in two at each offset, all with
 * the same messages as result. Then with holes of several sizes at each offset: messages of both directions that ended before the hole must stay the same, and
 * those behind it which resync() finds from a fresh state must begin at the same offset and say the same; `flush` and `unsure`, which tell of a loss, aside. Fixtures of
 * more than 4,096 bytes run in pieces of 251, and are cut and holed at some 200 offsets, those of more than 16 KiB at 7: byte by byte they would take minutes each. The input
 * always ends at an unreadable page, and under ASan what lies before it is poisoned. In all runs the parser must make progress and keep to the contract.
 */
#ifndef PLUMB_TESTS_HARNESS_H
#define PLUMB_TESTS_HARNESS_H

#include "proto/fixture.h"

enum { HARNESS_WHY = 4096 };

/* All parsers of protocols.def that are linked; ops is NULL where one is missing. */
struct harness_parser {
	const char *symbol;
	const struct proto_ops *ops;
	uint16_t id;
};
extern const struct harness_parser harness_parsers[];
extern const size_t harness_nparsers;

/* A byte of a fixture: the op, and the place in it. */
struct harness_place {
	size_t op, at;
};

/*
 * Parses the fixture as it stands and returns the messages of both directions as canonical lines. False with a
 * reason if the contract is broken.
 */
bool harness_parse(const struct fixture *f, struct fixture_lines ret_lines[2], char why[HARNESS_WHY]);
/* All runs described above. */
bool harness_check(const struct fixture *f, char why[HARNESS_WHY]);
/* `s` copied so that it ends at an unreadable page. Valid until the next call; *ret_ptr never NULL. */
struct slice harness_guard(struct slice s);

/*
 * Where the fixture may be joined: its start, the start of each later line with bytes, and of each message within one; from
 * where they are too many, a sample. Returns how many.
 */
size_t harness_places(const struct fixture *f, struct harness_place *ret, size_t max);

/* Tells of fixture files: calls `found` with each tests/proto/<symbol>/<name>.fix in order of name. */
void harness_each_fixture(const char *symbol, void (*found)(void *ctx, const char *path), void *ctx);

#endif

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#   usage: new.sh NAME      `make new-proto NAME=name`
#
# The skeleton of a protocol: its line in protocols.def, a parser that builds and knows nothing, and a fixture that fails until it does.
# docs/adding-a-protocol.md tells how to go on.
set -eu
cd "$(dirname "$0")/../.."
name=${1:-}
table=bpf/abi/protocols.def
parser=user/proto/$name.c
fixtures=tests/proto/$name

die() {
	echo "new-proto: $*" >&2
	exit 2
}

case $name in
"") die "name it: make new-proto NAME=xmpp" ;;
*[!a-z0-9_]* | [!a-z]*) die "'$name' is no symbol: lower case letters, digits and _, a letter first" ;;
esac
[ ${#name} -le 24 ] || die "'$name' is longer than 24 characters"
if grep -q "^PROTOCOL([^,]*, *$name," $table || [ -e "$parser" ] || [ -e "$fixtures" ]; then
	die "$name exists"
fi
id=$(echo "$name" | tr a-z A-Z)

cat > "$parser" <<SKELETON
/* SPDX-License-Identifier: Apache-2.0 */
/* TODO: $name, and where it is specified. What makes an exchange of it, what a failure, and what is known after a loss. */
#include "proto/proto.h"

struct ${name}_state {
	uint64_t nothing_yet; /* zero at the start, shared by both directions */
};
_Static_assert(sizeof(struct ${name}_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

static int ${name}_detect(struct slice in, enum proto_side side)
{
	(void)side;
	return in.len == 0 ? DETECT_MORE : DETECT_NO;
}

static enum parse_status ${name}_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct ${name}_state *s = state;

	(void)s;
	(void)side;
	ret->need = in.len + 1;
	return PARSE_NEED_MORE;
}

static size_t ${name}_resync(void *state, enum proto_side side, struct slice in)
{
	(void)state;
	(void)side;
	return in.len;
}

const struct proto_ops proto_${name} = {
	.name = "$name",
	.id = PLUMB_PROTO_$id,
	.state_size = sizeof(struct ${name}_state),
	.detect = ${name}_detect,
	.parse = ${name}_parse,
	.resync = ${name}_resync,
	.resync_keep = 0,
	.want = { PLUMB_POLICY_ALL, PLUMB_POLICY_ALL }, /* until it is known how little is enough */
};
SKELETON

mkdir -p "$fixtures"
cat > "$fixtures/first.fix" <<'SKELETON'
# The simplest exchange, from the specification. It fails until detect() and parse() know it.
> "request\r\n"
< "response\r\n"
=> request
=< response
SKELETON

echo "PROTOCOL($id, $name, \"$name\", DB, SECRET, BLANK, T, 0, \"$name\")" >> $table

cat <<NEXT
new-proto: made $parser, $fixtures/first.fix and the last line of $table

  $table   family, how a statement may be shown, transports, port, what is parsed
  make SETUP=0 build
  make SAN=1 SETUP=0 build/asan/tests/proto/test_fixtures
  build/asan/tests/proto/test_fixtures $fixtures/first.fix      # fails until it is written

docs/adding-a-protocol.md goes on from here.
NEXT

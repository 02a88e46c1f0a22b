#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds FerretDB, a server that speaks MongoDB's protocol and keeps its data in SQLite, and prints the path of the program.
#
#   usage: ferretdb.sh            build it if the cache has none (some minutes, once), print its path
#          ferretdb.sh --cached   print its path only if it is built already
#
# Exit: 0 path printed; 2 usage; 77 this machine cannot build it, standard error says why (tests skip); 1 the build failed.
# The module lacks a file that its build embeds, so a copy of it is built.
set -euo pipefail

version=1.24.0
go_needed=1.22.4              # what FerretDB $version's go.mod asks for
module=github.com/FerretDB/FerretDB
cache=${PLUMB_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/plumb}/ferretdb-$version
program=$cache/ferretdb

say() { printf 'ferretdb.sh: %s\n' "$*" >&2; }
cannot() { say "cannot build FerretDB $version: $*"; exit 77; }

# The first go that is new enough: the one on PATH, or where go.dev's archive is unpacked.
find_go() {
	local go have
	for go in "$(command -v go || true)" /usr/local/go/bin/go; do
		[ -x "$go" ] || continue
		have=$(GOTOOLCHAIN=local "$go" env GOVERSION) || continue
		if [ "$(printf '%s\n' "$go_needed" "${have#go}" | sort -V | head -1)" = "$go_needed" ]; then
			printf '%s\n' "$go"
			return 0
		fi
		say "$go is $have, too old"
	done
	return 1
}

build() {
	local go=$1 source work=$cache/build
	rm -rf "$work"
	export GOFLAGS=-modcacherw GOWORK=off CGO_ENABLED=0 GOTOOLCHAIN=local
	say "downloading $module@v$version"
	source=$(cd / && "$go" mod download -json "$module@v$version" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')
	[ -d "$source" ] || { say "go mod download named no folder"; return 1; }
	cp -r --no-preserve=mode "$source" "$work"
	echo "v$version" > "$work/build/version/version.txt"
	cd "$work"
	say "building (some minutes the first time)"
	nice "$go" build -mod=mod -trimpath -ldflags='-s -w' -o ferretdb.new ./cmd/ferretdb
	# Renamed into place only when whole: a build that was cut short leaves nothing that looks like a program.
	mv ferretdb.new "$program"
	cd /
	rm -rf "$work"
}

main() {
	local cached_only=0 go
	case ${1-} in
	'') ;;
	--cached) cached_only=1 ;;
	*) say "usage: ferretdb.sh [--cached]"; exit 2 ;;
	esac
	if [ ! -x "$program" ]; then
		[ "$cached_only" = 0 ] || cannot "not built yet: run tests/e2e/backends/ferretdb.sh"
		go=$(find_go) || cannot "needs Go $go_needed or newer on PATH (https://go.dev/dl)"
		mkdir -p "$cache"
		exec 9> "$cache/lock"
		flock -n 9 || { say "another process is building it, waiting"; flock 9; }
		# Who held the lock before us may have built it. Standard output is for the path alone.
		[ -x "$program" ] || ( set -e; build "$go" ) >&2 || { say "the build failed; see above"; exit 1; }
	fi
	printf '%s\n' "$program"
}

main "$@"

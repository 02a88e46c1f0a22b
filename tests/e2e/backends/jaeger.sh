#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds Jaeger's all-in-one, the trace store of the end-to-end tests, and prints the path of the program.
#
#   usage: jaeger.sh            build it if the cache has none (about six minutes, once), print its path
#          jaeger.sh --cached   print its path only if it is built already
#
# Exit: 0 path printed; 2 usage; 77 this machine cannot build it, standard error says why (tests skip); 1 the build failed.
# Jaeger's own go.mod has replace directives, which `go install module@version` refuses; so a wrapper module that takes
# over its requirements builds it. go.sum comes along, so what is downloaded is verified.
set -euo pipefail

version=1.76.0
go_needed=1.24.6              # what Jaeger $version's go.mod asks for
module=github.com/jaegertracing/jaeger
cache=${PLUMB_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/plumb}/jaeger-$version
program=$cache/jaeger

say() { printf 'jaeger.sh: %s\n' "$*" >&2; }
cannot() { say "cannot build Jaeger $version: $*"; exit 77; }

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
	mkdir -p "$work"
	cd "$work"
	export GOFLAGS=-modcacherw GOWORK=off CGO_ENABLED=0
	say "downloading $module@v$version"
	source=$("$go" mod download -json "$module@v$version" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')
	[ -d "$source" ] || { say "go mod download named no folder"; return 1; }
	install -m 0644 "$source/go.sum" go.sum
	sed 's,^module .*,module plumb.test/jaeger,' "$source/go.mod" > go.mod
	"$go" mod edit -require "$module@v$version"
	say "building (about six minutes the first time)"
	nice "$go" build -mod=mod -trimpath -ldflags='-s -w' -o jaeger "$module/cmd/all-in-one"
	# Renamed into place only when whole: a build that was cut short leaves nothing that looks like a program.
	mv jaeger "$program"
	cd /
	rm -rf "$work"
}

main() {
	local cached_only=0 go
	case ${1-} in
	'') ;;
	--cached) cached_only=1 ;;
	*) say "usage: jaeger.sh [--cached]"; exit 2 ;;
	esac
	if [ ! -x "$program" ]; then
		[ "$cached_only" = 0 ] || cannot "not built yet: run tests/e2e/backends/jaeger.sh"
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

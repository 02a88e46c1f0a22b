#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds one node of Couchbase out of gocaves, the server that Couchbase tests its clients with, and prints the path of the program.
#
#   usage: couchbase.sh           build it if the cache has none (a minute, once), print its path
#
# Exit: 0 path printed; 2 usage; 77 this machine cannot build it, standard error says why (tests skip); 1 the build failed.
# The module lacks a file that its build makes, needs far more than its servers do, and listens on all addresses: so a copy of it is built.
set -euo pipefail

version=0.0.1-75
module=github.com/couchbaselabs/gocaves
main=$(cd "$(dirname "$0")" && pwd)/couchbase/main.go
cache=${PLUMB_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/plumb}/couchbase-$version
program=$cache/couchbased-$(sha256sum < "$main" | cut -c1-12)

say() { printf 'couchbase.sh: %s\n' "$*" >&2; }

build() {
	local source work=$cache/build
	rm -rf "$work"
	export GOFLAGS=-modcacherw GOWORK=off CGO_ENABLED=0 GOTOOLCHAIN=local
	source=$(cd / && go mod download -json "$module@v$version" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')
	[ -d "$source" ] || { say "go mod download named no folder"; return 1; }
	mkdir -p "$work"
	cp -r --no-preserve=mode "$source/mock" "$source/contrib" "$work"
	cd "$work"
	cat > go.mod <<-MOD
		module $module

		go 1.16

		require (
			github.com/couchbase/gocbcore/v9 v9.0.6
			github.com/dop251/goja v0.0.0-20210427212725-462d53687b0d
			github.com/google/uuid v1.1.1
		)
	MOD
	cat > mock/data/data.go <<-DATA
		package mockdata

		import "embed"

		//go:embed *.json
		var files embed.FS

		func Asset(name string) ([]byte, error) { return files.ReadFile(name) }
	DATA
	sed -i 's/Sprintf(":%d"/Sprintf("127.0.0.1:%d"/' mock/mockimpl/servers/*.go
	mkdir couchbased
	cp "$main" couchbased
	nice go build -mod=mod -trimpath -ldflags='-s -w' -o couchbased.new ./couchbased
	# Renamed into place only when whole: a build that was cut short leaves nothing that looks like a program.
	mv couchbased.new "$program"
	cd /
	rm -rf "$work"
}

[ $# = 0 ] || { say "usage: couchbase.sh"; exit 2; }
if [ ! -x "$program" ]; then
	command -v go >/dev/null || { say "cannot build Couchbase's server for tests: there is no go"; exit 77; }
	mkdir -p "$cache"
	exec 9> "$cache/lock"
	flock 9
	# Who held the lock before us may have built it. Standard output is for the path alone.
	[ -x "$program" ] || ( set -e; build ) >&2 || { say "the build failed; see above"; exit 1; }
fi
printf '%s\n' "$program"

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fetches a stock Debian kernel (cloud flavour, amd64) and prints the path of its image.
#
#   usage: kernel.sh SERIES             5.10, 6.1 or 6.12; taken from the cache if it is there
#          kernel.sh --cached SERIES    only from the cache
#
# Exit: 0 path printed; 2 usage; 77 it cannot be had, standard error says why (tests skip).
# apt fetches and verifies, with a list of sources and a state of its own: this machine's sources and installed packages are not touched.
set -euo pipefail

mirror=http://deb.debian.org
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
cache=${PLUMB_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/plumb}/kernels

say() { printf 'kernel.sh: %s\n' "$*" >&2; }
cannot() { say "no kernel $series: $*"; exit 77; }

# Suites, as lines of a sources.list, and the package that depends on the newest kernel of the series.
sources_of() {
	case $1 in
	5.10) echo "debian-security bullseye-security"; meta=linux-image-cloud-amd64 ;;
	6.1) printf '%s\n' "debian bookworm" "debian-security bookworm-security"; meta=linux-image-cloud-amd64 ;;
	6.12) echo "debian-security bookworm-security"; meta=linux-image-6.12-cloud-amd64 ;;
	*) return 1 ;;
	esac
}

private_apt() {
	local work=$1 archive suite
	mkdir -p "$work/state/lists/partial" "$work/archives/partial"
	while read -r archive suite; do
		echo "deb [arch=amd64 signed-by=$keyring] $mirror/$archive $suite main"
	done < "$work/suites" > "$work/sources.list"
	cat > "$work/apt.conf" <<-CONF
		APT::Architecture "amd64";
		APT::Sandbox::User "root";
		Dir::State "$work/state";
		Dir::State::status "/dev/null";
		Dir::Cache "$work";
		Dir::Etc::sourcelist "$work/sources.list";
		Dir::Etc::sourceparts "/dev/null";
	CONF
	export APT_CONFIG=$work/apt.conf
}

fetch() {
	local work=$1 package
	private_apt "$work"
	apt-get -qq update >&2 || return 1
	package=$(apt-cache depends "$meta" | sed -n 's/^ *Depends: \(linux-image-.*\)$/\1/p')
	[ -n "$package" ] || { say "$meta names no package"; return 1; }
	say "downloading $package"
	(cd "$work" && apt-get -qq download "$package" >&2) || return 1
	dpkg-deb --fsys-tarfile "$work/$package"_*.deb | tar -x -C "$work" --wildcards './boot/vmlinuz-*'
	# Renamed into place only when whole.
	mv "$work"/boot/vmlinuz-* "$image"
}

main() {
	local cached_only=0
	[ "${1-}" != --cached ] || { cached_only=1; shift; }
	series=${1-}
	image=$cache/vmlinuz-$series
	sources_of "$series" > /dev/null || { say "usage: kernel.sh [--cached] 5.10|6.1|6.12"; exit 2; }
	if [ ! -s "$image" ]; then
		[ "$cached_only" = 0 ] || cannot "not fetched yet: run tests/kernels/kernel.sh $series"
		command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || cannot "needs apt and dpkg"
		[ -r "$keyring" ] || cannot "needs $keyring (package debian-archive-keyring)"
		mkdir -p "$cache"
		exec 9> "$cache/lock"
		flock 9
		work=$(mktemp -d "$cache/fetch-XXXXXX")
		trap 'rm -rf "$work"' EXIT
		sources_of "$series" > "$work/suites"
		# Who held the lock before us may have fetched it. Standard output is for the path alone.
		[ -s "$image" ] || fetch "$work" || cannot "apt could not fetch it; see above"
	fi
	printf '%s\n' "$image"
}

main "$@"

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fetches a stock Debian kernel (cloud flavour) and prints the path of its image, vmlinuz-…. Beside it, in the folder modules-…, are those of its modules that the tests load: kernel TLS, and
# the cipher that it takes; none where the kernel has none.
#
#   usage: kernel.sh SERIES [ARCHITECTURE]            5.10, 6.1 or 6.12; x86_64 (default) or arm64; taken from the cache if it is there
#          kernel.sh --cached SERIES [ARCHITECTURE]   only from the cache
#
# Exit: 0 path printed; 2 usage; 77 it cannot be had, standard error says why (tests skip).
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/apt.sh"

say() { printf 'kernel.sh: %s\n' "$*" >&2; }
cannot() { say "no kernel $series for $arch: $*"; exit 77; }

# Suites, as lines of a sources.list, and the package that depends on the newest kernel of the series.
sources_of() {
	case $1 in
	5.10) echo "debian-security bullseye-security"; meta=linux-image-cloud-$architecture ;;
	6.1) printf '%s\n' "debian bookworm" "debian-security bookworm-security"; meta=linux-image-cloud-$architecture ;;
	6.12) echo "debian-security bookworm-security"; meta=linux-image-6.12-cloud-$architecture ;;
	*) return 1 ;;
	esac
}

fetch() {
	local work=$1 package
	private_apt "$work" "$architecture" < "$work/suites" || return 1
	package=$(apt-cache depends "$meta" | sed -n 's/^ *Depends: \(linux-image-.*\)$/\1/p')
	[ -n "$package" ] || { say "$meta names no package"; return 1; }
	say "downloading $package"
	(cd "$work" && apt-get -qq download "$package" >&2) || return 1
	dpkg-deb --fsys-tarfile "$work/$package"_*.deb | tar -x -C "$work" --wildcards './boot/vmlinuz-*' './lib/modules/*'
	mkdir "$work/modules"
	# A kernel has some of these built in, and others without it.
	(cd "$work"/lib/modules/*/kernel && { find net/tls crypto lib/crypto -name '*.ko*' 2> /dev/null || true; } | { grep -E '/(tls|gcm|ctr|ghash-generic|gf128mul|crypto_null|aead|geniv)\.ko' || true; } | xargs -r cp -t "$work/modules") || return 1
	# Renamed into place only when whole.
	rm -rf "$modules"
	mv "$work/modules" "$modules"
	mv "$work"/boot/vmlinuz-* "$image"
}

is_cached() { [ -s "$image" ] && [ -d "$modules" ]; }

main() {
	local cached_only=0 lacks
	[ "${1-}" != --cached ] || { cached_only=1; shift; }
	series=${1-}
	arch=${2-x86_64}
	cache=$cache/kernels
	image=$cache/vmlinuz-$series
	[ "$arch" = x86_64 ] || image=$image-$arch
	modules=${image/vmlinuz/modules}
	if ! architecture=$(debian_architecture "$arch") || ! sources_of "$series" > /dev/null; then
		say "usage: kernel.sh [--cached] 5.10|6.1|6.12 [x86_64|arm64]"
		exit 2
	fi
	if ! is_cached; then
		[ "$cached_only" = 0 ] || cannot "not fetched yet: run tests/kernels/kernel.sh $series $arch"
		lacks=$(apt_lacks)
		[ -z "$lacks" ] || cannot "$lacks"
		mkdir -p "$cache"
		exec 9> "$cache/lock"
		flock 9
		work=$(mktemp -d "$cache/fetch-XXXXXX")
		trap 'rm -rf "$work"' EXIT
		sources_of "$series" > "$work/suites"
		# Who held the lock before us may have fetched it. Standard output is for the path alone.
		is_cached || fetch "$work" || cannot "apt could not fetch it; see above"
	fi
	printf '%s\n' "$image"
}

main "$@"

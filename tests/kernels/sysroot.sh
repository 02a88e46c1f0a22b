#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the program and its tests link with, for another architecture than this machine's, and busybox: Debian's packages, unpacked side by side into one
# folder, whose path is printed. Nothing of it is installed.
#
#   usage: sysroot.sh ARCHITECTURE            arm64; taken from the cache if it is there
#          sysroot.sh --cached ARCHITECTURE   only from the cache
#
# Exit: 0 path printed; 2 usage; 77 it cannot be had, standard error says why (tests skip).
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/apt.sh"

suites=("debian bookworm" "debian-security bookworm-security")
packages=(libc6-dev libbpf-dev libelf-dev zlib1g-dev libprotobuf-c-dev libcurl4-openssl-dev libmicrohttpd-dev libyaml-dev libseccomp-dev libcap-ng-dev libpcap-dev libnghttp2-dev
	libxxhash-dev libcmocka-dev busybox-static)

say() { printf 'sysroot.sh: %s\n' "$*" >&2; }
cannot() { say "no libraries for $arch: $*"; exit 77; }

# A link from the root would lead out of the folder.
relative_links() {
	local folder=$1 link to
	find "$folder" -type l -lname '/*' | while read -r link; do
		to=$(readlink "$link")
		ln -sfn "$(realpath -ms --relative-to="$(dirname "$link")" "$folder$to")" "$link"
	done
}

fetch() {
	local work=$1 deb
	private_apt "$work" "$architecture" < <(printf '%s\n' "${suites[@]}") || return 1
	say "downloading packages for $arch"
	apt-get -qq --yes --no-install-recommends --download-only install "${packages[@]}" >&2 || return 1
	mkdir "$work/root"
	for deb in "$work"/archives/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$work/root" --no-same-owner || return 1
	done
	relative_links "$work/root"
	printf '%s\n' "${packages[@]}" > "$work/root/packages"
	# Renamed into place only when whole.
	rm -rf "$root"
	mv "$work/root" "$root"
}

# Packages that were added to the list since are missing in a folder that was made before.
is_there() { cmp -s <(printf '%s\n' "${packages[@]}") "$root/packages"; }

main() {
	local cached_only=0 lacks
	[ "${1-}" != --cached ] || { cached_only=1; shift; }
	arch=${1-}
	root=$cache/sysroot-$arch
	architecture=$(debian_architecture "$arch") || { say "usage: sysroot.sh [--cached] arm64"; exit 2; }
	if ! is_there; then
		[ "$cached_only" = 0 ] || cannot "not fetched yet: run tests/kernels/sysroot.sh $arch"
		lacks=$(apt_lacks)
		[ -z "$lacks" ] || cannot "$lacks"
		mkdir -p "$cache"
		exec 9> "$cache/sysroot.lock"
		flock 9
		work=$(mktemp -d "$cache/fetch-XXXXXX")
		trap 'rm -rf "$work"' EXIT
		# Who held the lock before us may have fetched it. Standard output is for the path alone.
		is_there || fetch "$work" || cannot "apt could not fetch them; see above"
	fi
	printf '%s\n' "$root"
}

main "$@"

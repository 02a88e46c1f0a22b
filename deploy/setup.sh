#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what building and testing plumb needs and is missing (Debian and Fedora families), says what, and does nothing the second time.
# Skip it with SETUP=0. `setup.sh check` adds what only `make check`, `make fuzz` and `make lint` use.
set -eu
if command -v apt-get >/dev/null 2>&1; then
	want="gcc make pkg-config clang llvm bpftool libbpf-dev libelf-dev zlib1g-dev libprotobuf-c-dev protobuf-c-compiler
	libcurl4-openssl-dev libmicrohttpd-dev libyaml-dev libseccomp-dev libcap-ng-dev libpcap-dev libnghttp2-dev libxxhash-dev libcmocka-dev
	libc6-dev python3"
	if [ "${1:-}" = check ]; then
		# libFuzzer and the sanitizers' runtime carry the version of the compiler that the package clang stands for.
		version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -1)
		want="$want clang-tidy cppcheck ${version:+libclang-rt-$version-dev}"
	fi
	missing=""
	for p in $want; do
		[ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$p" 2>/dev/null | cut -c1-2)" = ii ] || missing="$missing $p"
	done
	[ -n "$missing" ] || exit 0
	echo "setup: installing with apt:$missing"
	[ "$(id -u)" = 0 ] || { echo "setup: needs root to install; run 'sudo deploy/setup.sh', or install these and use SETUP=0" >&2; exit 1; }
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
elif command -v dnf >/dev/null 2>&1; then
	want="gcc make pkgconf clang llvm bpftool libbpf-devel elfutils-libelf-devel zlib-devel protobuf-c-devel protobuf-c-compiler
	libcurl-devel libmicrohttpd-devel libyaml-devel libseccomp-devel libcap-ng-devel libpcap-devel libnghttp2-devel xxhash-devel libcmocka-devel python3"
	[ "${1:-}" != check ] || want="$want compiler-rt clang-tools-extra cppcheck"
	missing=""
	for p in $want; do rpm -q "$p" >/dev/null 2>&1 || missing="$missing $p"; done
	[ -n "$missing" ] || exit 0
	echo "setup: installing with dnf:$missing"
	[ "$(id -u)" = 0 ] || { echo "setup: needs root to install; run 'sudo deploy/setup.sh', or install these and use SETUP=0" >&2; exit 1; }
	dnf install -y -q $missing
else
	echo "setup: neither apt-get nor dnf here: install the packages named in docs/dependencies.md and use SETUP=0" >&2
	exit 1
fi

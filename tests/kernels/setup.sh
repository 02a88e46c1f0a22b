#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#   usage: setup.sh [ARCHITECTURE]      x86_64 (default) or arm64
#
# What the kernel tests need: QEMU and a static busybox, or for arm64 a cross compiler (packages; skipped with SETUP=0) and what is linked with; the Python environment; the
# kernels. Does nothing the second time. What cannot be had is said here, and the tests that need it skip.
set -eu
cd "$(dirname "$0")"

install_packages() {
	local missing=() command package
	while read -r command package; do
		command -v "$command" >/dev/null || missing+=("$package")
	done
	[ "$arch" != x86_64 ] || [ -e /usr/include/openssl/ssl.h ] || missing+=(libssl-dev)
	[ ${#missing[@]} -gt 0 ] || return 0
	if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
		echo "kernels setup: missing and not installed (needs root and apt): ${missing[*]}" >&2
		return 0
	fi
	echo "kernels setup: installing with apt: ${missing[*]}"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

arch=${1:-x86_64}
case $arch in
x86_64)
	needed="qemu-system-x86_64 qemu-system-x86
	busybox busybox-static"
	kernels="5.10 6.1 6.12"
	;;
arm64)
	needed="qemu-system-aarch64 qemu-system-arm
	aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu"
	kernels="6.1 6.12"
	;;
*)
	echo "usage: setup.sh [x86_64|arm64]" >&2
	exit 2
	;;
esac
[ "${SETUP:-1}" = 0 ] || install_packages <<< "$needed"
../e2e/setup.sh --python
# What cannot be had says why, and is a skip of its tests, which say so as well.
[ "$arch" = x86_64 ] || ./sysroot.sh "$arch" >/dev/null || true
for series in $kernels; do
	./kernel.sh "$series" "$arch" >/dev/null || true
done

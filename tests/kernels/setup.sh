#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the kernel tests need: QEMU and a static busybox (packages; skipped with SETUP=0), the Python environment, and the kernels. Does nothing the second time.
# What cannot be had is said here, and the tests that need it skip.
set -eu
cd "$(dirname "$0")"

install_packages() {
	local missing=()
	command -v qemu-system-x86_64 >/dev/null || missing+=(qemu-system-x86)
	command -v busybox >/dev/null || missing+=(busybox-static)
	[ ${#missing[@]} -gt 0 ] || return 0
	if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
		echo "kernels setup: missing and not installed (needs root and apt): ${missing[*]}" >&2
		return 0
	fi
	echo "kernels setup: installing with apt: ${missing[*]}"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

[ "${SETUP:-1}" = 0 ] || install_packages
../e2e/setup.sh --python
for series in 5.10 6.1 6.12; do
	./kernel.sh "$series" >/dev/null || true
done

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What plumb costs: prints a table, writes build/bench.json. docs/overhead.md says how each figure is measured.
# Variables: PAIRS (5), SECONDS_EACH (8), CONNECTIONS (32), MODE (metrics, console), PLUMB (build/plumb), SETUP=0 installs nothing.
set -eu
cd "$(dirname "$0")/../.."
missing=()
PATH=$PATH:/usr/sbin
for pair in nginx:nginx-light wrk:wrk bpftool:bpftool python3:python3; do
	command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
	if [ "${SETUP:-1}" = 0 ] || ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
		echo "bench: missing: ${missing[*]}; install them" >&2
		exit 1
	fi
	echo "bench: installing with apt: ${missing[*]}"
	apt-get update -qq
	# RUNLEVEL=1: packages do not start their services; the benchmark starts its own.
	RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
[ "$(id -u)" = 0 ] || { echo "bench: plumb needs root: sudo make bench" >&2; exit 1; }
exec python3 tests/bench/bench.py

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What plumb costs: prints tables, writes build/bench/LOAD.json. docs/overhead.md says what each figure is and how it is measured.
#
#   LOADS          which, of nginx,redis,redis-pipeline,pgbench,go,dd,forks,idle,start,replay,tls_calls; all by default
#   PAIRS          rounds of each load, in which each tracer has its turn (5)
#   SECONDS_EACH   of a turn (3)
#   PEER_CMD       another tracer: a command that traces until it is interrupted. BENCH_PID is the process whose children are the load
#   PEER_WAIT      seconds that it needs to be ready (2)
#   MODE           metrics: no span leaves (the default); console: every one is printed, to /dev/null
#   PLUMB_ARGS     more arguments for `plumb run`
#   CONNECTIONS (32), PLUMB (build/plumb), REPLAY_EXCHANGES (200000), REPLAY_RUNS (5); SETUP=0 installs nothing
set -eu
cd "$(dirname "$0")/../.."
missing=()
PATH=$PATH:/usr/sbin
for pair in nginx:nginx-light wrk:wrk redis-server:redis-server redis-benchmark:redis-tools go:golang bpftool:bpftool python3:python3; do
	command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
[ -e /usr/include/openssl/ssl.h ] || missing+=(libssl-dev)
compgen -G '/usr/lib/postgresql/*/bin/pgbench' >/dev/null || command -v pgbench >/dev/null || missing+=(postgresql)
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

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs every fuzz harness: first the inputs that once broke something (tests/fuzz/regress/<harness>/), then T seconds of new ones in all, from
# the same random seed each time. Ends with "N passed, N failed, N skipped". What a harness finds lies in build/fuzz/found/.
#   tests/fuzz/run.sh [T [HARNESS…]]      default: 60 seconds, all harnesses
#   KEEP=1: what was learned is kept in build/fuzz/corpus/ for the next run   JOBS: how many at once
set -u
cd "$(dirname "$0")/../.."
seconds=${1:-60}
shift || true
bin=build/fuzz/tests/fuzz
jobs=${JOBS:-$(nproc)}
names=("$@")
[ ${#names[@]} -gt 0 ] || for f in tests/fuzz/fuzz_*.c; do f=${f##*/fuzz_}; names+=("${f%.c}"); done

# The parsers and what lies behind them see most of what strangers send: they get a double share.
share() { case $1 in proto | pipeline | masker | sql) echo 2 ;; *) echo 1 ;; esac; }
shares=0
for n in "${names[@]}"; do shares=$((shares + $(share "$n"))); done

rm -rf build/fuzz/found build/fuzz/seeds build/fuzz/log
mkdir -p build/fuzz/found build/fuzz/log
$bin/seeds build/fuzz/seeds || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }

one() {
	local name=$1 time=$2 log=build/fuzz/log/$1 new
	local options=(-rss_limit_mb=1024 -timeout=30 -print_final_stats=1 "-artifact_prefix=build/fuzz/found/$name-")
	if compgen -G "tests/fuzz/regress/$name/*" >/dev/null; then
		"$bin/fuzz_$name" "${options[@]}" "tests/fuzz/regress/$name"/* >"$log" 2>&1 || return 1
	fi
	if [ "${KEEP:-0}" = 1 ]; then new=build/fuzz/corpus/$name; else new=build/fuzz/new/$name && rm -rf "$new"; fi
	mkdir -p "$new" "build/fuzz/seeds/$name"
	"$bin/fuzz_$name" "${options[@]}" -seed=23 -max_total_time="$time" "$new" "build/fuzz/seeds/$name" >>"$log" 2>&1
}

run() {
	local name=$1 time=$((seconds * jobs * $(share "$1") / shares))
	[ $time -gt 0 ] || time=1
	if one "$name" "$time"; then
		echo "ok     fuzz_$name ($(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/log/$name" | tail -1) inputs, $(grep -o 'cov: [0-9]*' "build/fuzz/log/$name" | tail -1))"
		: >"build/fuzz/log/$name.ok"
	else
		grep -vE '^#[0-9]+[[:space:]]+(NEW|REDUCE|pulse)' "build/fuzz/log/$name" | tail -60
		echo "FAILED fuzz_$name: build/fuzz/found/$name-*, and build/fuzz/log/$name"
	fi
}

for n in "${names[@]}"; do
	while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
	run "$n" &
done
wait
passed=$(find build/fuzz/log -name '*.ok' | wc -l)
echo "$passed passed, $((${#names[@]} - passed)) failed, 0 skipped"
[ "$passed" = ${#names[@]} ]

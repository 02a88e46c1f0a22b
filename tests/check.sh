#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All that must pass before a commit lands: layers, build, unit tests, end-to-end tests, stock kernels. Ends with "N passed, N failed, N skipped".
# SETUP=0: installs no packages. E2E_ARGS: more arguments for pytest.
set -u
cd "$(dirname "$0")/.."
passed=0 failed=0 skipped=0
unset MAKEFLAGS MFLAGS

# A step that has no tests of its own counts as one.
step() {
	echo "== $1"
	shift
	if "$@"; then passed=$((passed + 1)); else echo "FAILED: $*"; failed=$((failed + 1)); fi
}

# Adds what a runner counted: its last line "N passed, N failed, N skipped", and its exit status, which must agree.
add() {
	local line=$1 status=$2 name=$3
	if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
		passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2])) skipped=$((skipped + BASH_REMATCH[3]))
		[ "$status" = 0 ] || [ "${BASH_REMATCH[2]}" != 0 ] || failed=$((failed + 1))
	else
		echo "FAILED: $name ended with $status and no count"
		failed=$((failed + 1))
	fi
}

unit() {
	local log=build/unit.log status
	echo "== unit tests"
	make --no-print-directory SETUP=0 unit 2>&1 | tee "$log"
	status=${PIPESTATUS[0]}
	add "$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -1)" "$status" "unit tests"
}

e2e() {
	local report=build/e2e.xml status
	echo "== end-to-end tests"
	rm -f "$report"
	if ! tests/e2e/setup.sh; then echo "FAILED: tests/e2e/setup.sh"; failed=$((failed + 1)); return; fi
	# shellcheck disable=SC2086
	build/venv/bin/python -m pytest tests/e2e -q --junit-xml="$report" ${E2E_ARGS:-}
	status=$?
	add "$(build/venv/bin/python tests/e2e/count.py "$report")" "$status" "end-to-end tests"
}

kernels() {
	local log=build/kernels.log status
	echo "== kernels"
	tests/kernels/run.sh 2>&1 | tee "$log"
	status=${PIPESTATUS[0]}
	add "$(tail -1 "$log")" "$status" "kernel tests"
}

mkdir -p build
step "layers" ./tests/check-layers.sh
step "build" make --no-print-directory SETUP=0 build
step "build for bad input (ASan, UBSan)" make --no-print-directory SETUP=0 SAN=1 build
unit
e2e
kernels
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All that must pass before a commit lands: layers, static checks, build, unit tests, a minute of fuzzing, end-to-end tests, stock kernels. Ends with "N passed, N failed, N skipped".
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

# counted NAME LOG MAKE-ARGUMENTS: a target whose runner counts.
counted() {
	local name=$1 log=$2 status
	shift 2
	echo "== $name"
	make --no-print-directory SETUP=0 "$@" 2>&1 | tee "$log"
	status=${PIPESTATUS[0]}
	add "$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -1)" "$status" "$name"
}

fuzz() {
	if echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return !d && n; }' |
		${CLANG:-clang} -x c -fsanitize=fuzzer,address -o build/has-fuzzer - 2>/dev/null; then
		counted "fuzz" build/fuzz.log fuzz T=60
	else
		echo "SKIPPED fuzz: this clang has no libFuzzer (deploy/setup.sh check installs it)"
		skipped=$((skipped + 1))
	fi
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
counted "static checks" build/lint.log lint FAST=1
counted "unit tests" build/unit.log unit
fuzz
e2e
kernels
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs every unit test program below $1 and ends with "N passed, N failed, N skipped". A program that dies counts as one failure.
cd "$(dirname "$0")/.."
passed=0 failed=0 skipped=0
for t in "$1"/tests/unit/test_* "$1"/tests/proto/test_*; do
	[ -x "$t" ] && [ ! -d "$t" ] || continue
	case "$t" in *.d) continue ;; esac
	out=$(CMOCKA_MESSAGE_OUTPUT=tap ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 "$t" 2>&1 </dev/null)
	rc=$?
	p=$(printf '%s\n' "$out" | grep -cE '^[[:space:]]*ok [0-9]+' )
	s=$(printf '%s\n' "$out" | grep -cE '^[[:space:]]*ok [0-9]+.*# SKIP')
	f=$(printf '%s\n' "$out" | grep -cE '^[[:space:]]*not ok [0-9]+')
	[ $rc -ne 0 ] && [ "$f" -eq 0 ] && f=1
	[ $rc -eq 0 ] && [ "$p" -eq 0 ] && f=1
	if [ "$f" -ne 0 ]; then printf '%s\n' "$out" | tail -60; echo "FAILED $t (exit $rc)"; else echo "ok     $t ($((p - s)))"; fi
	passed=$((passed + p - s)) failed=$((failed + f)) skipped=$((skipped + s))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]

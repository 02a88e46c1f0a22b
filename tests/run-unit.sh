#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs every unit test program below $1, as many at once as there are CPUs, and ends with "N passed, N failed, N skipped". A program that dies counts as one failure.
cd "$(dirname "$0")/.."

# One program: what it says if it failed, and "passed failed skipped" into the file $2.
one() {
	out=$(CMOCKA_MESSAGE_OUTPUT=tap ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 "$1" 2>&1 </dev/null)
	rc=$?
	p=$(printf '%s\n' "$out" | grep -cE '^[[:space:]]*ok [0-9]+')
	s=$(printf '%s\n' "$out" | grep -cE '^[[:space:]]*ok [0-9]+.*# SKIP')
	f=$(printf '%s\n' "$out" | grep -cE '^[[:space:]]*not ok [0-9]+')
	[ $rc -ne 0 ] && [ "$f" -eq 0 ] && f=1
	[ $rc -eq 0 ] && [ "$p" -eq 0 ] && f=1
	if [ "$f" -ne 0 ]; then
		printf '%s\nFAILED %s (exit %s)\n' "$(printf '%s\n' "$out" | tail -60)" "$1" $rc
	else
		echo "ok     $1 ($((p - s)))"
	fi
	echo "$((p - s)) $f $s" > "$2"
}

if [ "$1" = --one ]; then
	one "$2" "$3/$(echo "$2" | tr / _)"
	exit 0
fi
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
list=$(for t in "$1"/tests/unit/test_* "$1"/tests/proto/test_*; do
	[ -x "$t" ] && [ ! -d "$t" ] || continue
	case "$t" in *.d) continue ;; */test_nomem | */test_fixtures) echo "0 $t" ;; *) echo "1 $t" ;; esac
done | sort | cut -d' ' -f2) # the longest ones first
programs=$(echo "$list" | wc -l)
echo "$list" | xargs -P "$(nproc)" -I{} "$0" --one {} "$results"
passed=0 failed=0 skipped=0 told=0
for r in "$results"/*; do
	[ -f "$r" ] || continue
	read -r p f s < "$r"
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s)) told=$((told + 1))
done
# A program of which nothing was heard has failed.
failed=$((failed + programs - told))
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ] && [ $told -gt 0 ]

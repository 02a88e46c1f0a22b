#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Static checks of user/: clang's warnings, cppcheck (tests/cppcheck.txt), clang-tidy (.clang-tidy). A tool that is missing is skipped, loudly.
# Ends with "N passed, N failed, N skipped". Needs the generated headers (make build).
#   tests/lint.sh [FILE…]       default: all of user/     FAST=1: without clang's analyzer, which takes most of the time
set -u
cd "$(dirname "$0")/.."
files=("$@")
[ ${#files[@]} -gt 0 ] || files=(user/*.c user/*/*.c)
gen=build/gen
[ -e $gen/socket.skel.h ] || gen=build/asan/gen
export FLAGS="-std=gnu11 -D_GNU_SOURCE -DPLUMB_VERSION=\"0\" -Iuser -isystem $gen"
# Of the agent (user/java) only what needs no headers of a JDK, where there are none.
java=(/usr/lib/jvm/default-java/include /usr/lib/jvm/*/include)
for include in ${JAVA_HOME:+"$JAVA_HOME/include"} "${java[@]}"; do
	[ -e "$include/jvmti.h" ] && { FLAGS="$FLAGS -isystem $include -isystem $include/linux"; have_java=yes; break; }
done
if [ -z "${have_java:-}" ]; then
	echo "SKIPPED user/java/agent.c, user/java/hooks.c: no headers of a JDK here"
	mapfile -t files < <(printf '%s\n' "${files[@]}" | grep -vE '^user/java/(agent|hooks)\.c$')
fi
export WARN="-Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wvla -Werror"
export CLANG=${CLANG:-clang}
CHECKS=$([ "${FAST:-0}" = 0 ] || echo "--checks=-clang-analyzer-*")
export CHECKS
passed=0 failed=0 skipped=0

each() { printf '%s\0' "${files[@]}" | xargs -0 -P "$(nproc)" -n 4 sh -c "$1" sh; }

# shellcheck disable=SC2016 # the inner shells expand
clang_warnings() { each '$CLANG -fsyntax-only $FLAGS $WARN "$@"'; }
# shellcheck disable=SC2016
tidy() { each 'clang-tidy --quiet $CHECKS "$@" -- $FLAGS'; }
run_cppcheck() {
	cppcheck -q -j "$(nproc)" --std=c11 --language=c --library=posix --error-exitcode=1 --inline-suppr --enable=warning,portability \
		--suppressions-list=tests/cppcheck.txt -D_GNU_SOURCE '-DPLUMB_VERSION="0"' '-DLIBBPF_OPTS(T,N,...)=struct T N = { __VA_ARGS__ }' -Iuser "${files[@]}"
}

# check NAME TOOL FUNCTION
check() {
	local log start=$SECONDS
	if ! command -v "$2" >/dev/null 2>&1; then
		echo "SKIPPED $1: no $2 here (deploy/setup.sh check installs it)"
		skipped=$((skipped + 1))
	elif log=$("$3" 2>&1); then
		echo "ok     $1 ($((SECONDS - start)) s)"
		passed=$((passed + 1))
	else
		echo "$log" | grep -vE '^[0-9]+ warnings?( and [0-9]+ errors?)? (generated|treated)'
		echo "FAILED $1"
		failed=$((failed + 1))
	fi
}

check "clang's warnings" "$CLANG" clang_warnings
check "cppcheck" cppcheck run_cppcheck
check "clang-tidy" clang-tidy tidy
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Data flows down: a folder of user/ includes only folders above it in this list, model/ and lib/ (docs/architecture.md). And no file is too long, nor calls what is banned.
set -eu
cd "$(dirname "$0")/.."
layers="lib model source conn proto span correlate sink metrics profile store web config"
fail=0
above=""
for dir in $layers; do
	above="$above $dir"
	[ -d "user/$dir" ] || continue
	for inc in $(grep -hoE '^#include "[a-z]+/' user/"$dir"/*.[ch] 2>/dev/null | sed 's/.*"//; s,/,,' | sort -u); do
		case " $above " in
		*" $inc "*) ;;
		*) echo "check-layers: user/$dir includes $inc/, which is not above it"; fail=1 ;;
		esac
	done
done
# probe/ is the privileged side: it may use model/ and lib/ only, and nobody but pipeline-free commands may use it.
for inc in $(grep -hoE '^#include "[a-z]+/' user/probe/*.[ch] 2>/dev/null | sed 's/.*"//; s,/,,' | sort -u); do
	case "$inc" in lib | model | probe) ;; *) echo "check-layers: user/probe includes $inc/"; fail=1 ;; esac
done
# java/ is loaded by other programs: it stands alone.
for inc in $(grep -hoE '^#include "[a-z]+/' user/java/*.[ch] 2>/dev/null | sed 's/.*"//; s,/,,' | sort -u); do
	case "$inc" in model | java) ;; *) echo "check-layers: user/java includes $inc/"; fail=1 ;; esac
done
for f in $(grep -lE '^#include "java/' -r user --include='*.[ch]' | grep -v '^user/java/' || true); do
	echo "check-layers: $f includes java/, which is loaded by other programs"; fail=1
done
for f in $(grep -lE '^#include <bpf/' -r user --include='*.[ch]' | grep -v '^user/probe/' || true); do
	echo "check-layers: $f includes libbpf outside user/probe"; fail=1
done
banned='\b(strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|sscanf|gets)[[:space:]]*\('
for f in $(grep -lE "$banned" -r user --include='*.[ch]' || true); do
	echo "check-layers: $f calls a banned function: $(grep -nE "$banned" "$f" | head -1)"; fail=1
done
# What parsers allocate comes out of their budget (proto/memory.h).
for f in $(grep -lE '\b(malloc|calloc|realloc|strdup|strndup)[[:space:]]*\(' -r user/proto --include='*.[ch]' | grep -vE '/(memory|engine|calls|masker)\.c$' || true); do
	echo "check-layers: $f allocates outside of the parsers' budget"; fail=1
done
# One file, one noun: what is longer has two.
for f in $(find user bpf tests -name '*.[ch]' -o -name '*.def' -o -name '*.py' -o -name '*.sh' -o -name '*.proto'); do
	lines=$(wc -l <"$f")
	if [ "$lines" -gt 800 ]; then echo "check-layers: $f has $lines lines, and may have 800"; fail=1; fi
done
[ $fail = 0 ] && echo "check-layers: ok"
exit $fail

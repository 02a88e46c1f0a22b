#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# plumb on stock kernels (docs/kernels.md): run.sh [ARCHITECTURE], x86_64 (default) or arm64. Ends with "N passed, N failed, N skipped". SETUP=0: installs no packages.
# KERNELS_ARGS: more arguments for pytest.
set -u
cd "$(dirname "$0")/../.."
export KERNELS_ARCH=${1:-x86_64}
report=build/kernels-$KERNELS_ARCH.xml
mkdir -p build
rm -f "$report"
tests/kernels/setup.sh "$KERNELS_ARCH" || exit
# shellcheck disable=SC2086
build/venv/bin/python -m pytest tests/kernels -q --junit-xml="$report" ${KERNELS_ARGS:-}
status=$?
build/venv/bin/python tests/e2e/count.py "$report" || exit
exit $status

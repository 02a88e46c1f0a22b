# SPDX-License-Identifier: Apache-2.0
"""Counts of a JUnit report, as one line "N passed, N failed, N skipped". Errors of fixtures count as failures."""
import sys
import xml.etree.ElementTree as ElementTree


def main():
    tests = failed = skipped = 0
    for suite in ElementTree.parse(sys.argv[1]).getroot().iter("testsuite"):
        tests += int(suite.get("tests"))
        failed += int(suite.get("failures")) + int(suite.get("errors"))
        skipped += int(suite.get("skipped"))
    print(f"{max(tests - failed - skipped, 0)} passed, {failed} failed, {skipped} skipped")


main()

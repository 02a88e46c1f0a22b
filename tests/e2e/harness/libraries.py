# SPDX-License-Identifier: Apache-2.0
"""Libraries whose calls are watched in the programs."""


def watched(way="auto"):
    """Options of plumb: how, and that it says which files it watches (Plumb.wait_watching)."""
    return ["--set", f"capture.libraries={way}", "--log-level", "debug"]

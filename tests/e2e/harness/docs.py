# SPDX-License-Identifier: Apache-2.0
"""Parts of docs/ that tests make: between `<!-- NAME: …` and `<!-- end -->`."""
import os
import re

from .process import REPO


def part(file, name, new):
    """The lines of this part, after `new`, a function of them, has made them anew where PLUMB_UPDATE is set."""
    path = REPO / "docs" / file
    text = path.read_text()
    at = re.search(rf"(<!-- {name}: [^\n]*\n)(.*?)(<!-- end -->)", text, re.S)
    lines = at[2].splitlines()
    if not os.environ.get("PLUMB_UPDATE"):
        return lines
    lines = new(lines)
    path.write_text(text[: at.start(2)] + "".join(line + "\n" for line in lines) + text[at.end(2) :])
    return lines

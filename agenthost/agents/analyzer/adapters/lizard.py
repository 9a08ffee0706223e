"""Reads the warnings of `lizard -w`: functions beyond extreme limits, each one result.

Lizard counts a nested function for itself, so `length` may be that of a test suite whose own code is five lines: lines of code
(NLOC) decide. Left out are functions without a name, which it often cannot tell from a block; names in capitals, which are macros;
and tables: a `match` with a line for each case has many paths, and is easy to read.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

from ..lines import lines_of
from ..results import Result

RULE = "tangled-function"
MAX_BRANCHES = 400
MIN_BRANCHES = 400  # of a long function: one long chain of declarations is easy to read
MAX_CODE_LINES = 900
MIN_LINES_A_BRANCH = 2
MAX_NAME_CHARACTERS = 120
MAX_LINE_CHARACTERS = 6000  # a path and a name; the pattern takes quadratic time
_WARNING = re.compile(
    r"(?P<path>.+?):(?P<line>\d+): warning: (?P<name>.+) has (?P<code>\d+) NLOC, (?P<branches>\d+) CCN, \d+ token,"
    r" \d+ PARAM, (?P<length>\d+) length(?:, \d+ ND)?"
)


def read(stream: BinaryIO) -> Iterator[Result]:
    """Yields one result for each function that is too tangled or too long."""
    for line in lines_of(stream):
        match = _WARNING.fullmatch(line) if len(line) <= MAX_LINE_CHARACTERS else None
        if match and not match["name"].startswith("(") and not match["name"].isupper():
            code, branches = int(match["code"]), int(match["branches"])
            if (code > MAX_CODE_LINES and branches >= MIN_BRANCHES) or (
                branches > MAX_BRANCHES and code >= MIN_LINES_A_BRANCH * branches
            ):
                yield _result(match, code, branches)


def _result(match: re.Match[str], code: int, branches: int) -> Result:
    start = int(match["line"])
    text = (
        f"`{match['name'][:MAX_NAME_CHARACTERS]}` has {code:,} lines of code"
        f" and {branches:,} independent paths through it (cyclomatic complexity)."
    )
    return Result(RULE, "warning", text, match["path"], start, start + int(match["length"]) - 1)

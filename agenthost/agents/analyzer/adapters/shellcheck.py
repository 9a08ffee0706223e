"""Reads the output of `shellcheck --format gcc`: one result a line, as `PATH:LINE:COLUMN: LEVEL: TEXT [SC1234]`."""

import re
from collections.abc import Iterator
from typing import BinaryIO

from ..lines import lines_of
from ..results import Result

HELP = "https://www.shellcheck.net/wiki/"
_RESULT = re.compile(
    r"(?P<path>.+?):(?P<line>\d+):\d+: (?P<level>error|warning|note): (?P<text>.*) \[(?P<rule>SC\d+)\]"
)


def read(stream: BinaryIO) -> Iterator[Result]:
    """Yields the results in the output of shellcheck."""
    for line in lines_of(stream):
        if match := _RESULT.fullmatch(line):
            number = int(match["line"])
            rule = match["rule"]
            yield Result(rule, match["level"], match["text"], match["path"], number, number, help=HELP + rule)

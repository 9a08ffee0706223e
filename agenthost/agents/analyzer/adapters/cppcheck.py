"""Reads the lines of cppcheck: for each result file, line, rule, severity and message, with tabs between.

They come while it works, so what it said before it was ended is kept.
"""

from collections.abc import Iterator
from typing import BinaryIO

from ..lines import lines_of
from ..results import Result

_FIELDS = 5
_LEVELS = {"error": "error", "warning": "warning"}


def read(stream: BinaryIO) -> Iterator[Result]:
    """Yields the results in the output of cppcheck. Those about its own work name no file."""
    for line in lines_of(stream):
        fields = line.split("\t", _FIELDS - 1)
        if len(fields) == _FIELDS and fields[0] and fields[1].isdecimal() and len(fields[1]) < 9:
            path, number, rule, severity, message = fields
            yield Result(rule, _LEVELS.get(severity, "note"), message, path, int(number), int(number))

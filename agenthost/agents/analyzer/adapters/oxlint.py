"""Reads the output of `oxlint --format json`: an object with a list of diagnostics.

A file that it cannot parse has a diagnostic without a rule, or with a number of the TypeScript compiler's.
"""

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from ..pieces import Pieces
from ..results import Result

UNPARSED = "syntax-error"
_RULE = re.compile(r"(?!TS\()[\w-]+\(([\w/-]+)\)")  # eslint(no-dupe-keys)


def read(stream: BinaryIO) -> Iterator[Result]:
    """Yields the results in the output of oxlint."""
    document = Pieces(stream.read)
    for key in document.members():
        if key != "diagnostics" or document.peek() != "[":
            document.skip()
            continue
        for _ in document.items():
            diagnostic = document.take()
            if isinstance(diagnostic, dict):
                yield _result(diagnostic)


def _result(diagnostic: dict[str, Any]) -> Result:
    match = _RULE.fullmatch(str(diagnostic.get("code", "")))
    line = int(diagnostic["labels"][0]["span"]["line"]) if diagnostic.get("labels") else 0
    return Result(
        match[1] if match else UNPARSED,
        "warning",
        str(diagnostic["message"]),
        str(diagnostic["filename"]),
        line,
        line,
        help=str(diagnostic.get("url", "")),
    )

"""Reads the output of `shellcheck --format json1`: an object with a list of comments.

Its formats of a line each end early without an error of their own where it cannot write a name.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO

from ..pieces import Pieces
from ..results import Result

HELP = "https://www.shellcheck.net/wiki/"
_OF_BASH = " Quote or use [[ ]]."  # which other shells do not have
_LEVELS = {"error": "error", "warning": "warning"}


def read(stream: BinaryIO) -> Iterator[Result]:
    """Yields the results in the output of shellcheck."""
    document = Pieces(stream.read)
    for key in document.members():
        if key != "comments" or document.peek() != "[":
            document.skip()
            continue
        for _ in document.items():
            comment = document.take()
            if isinstance(comment, dict):
                yield from _results(comment)


def _results(comment: dict[str, Any]) -> Iterator[Result]:
    code, line, end = (comment.get(key) for key in ("code", "line", "endLine"))
    if isinstance(code, int) and isinstance(line, int) and isinstance(end, int):
        level = _LEVELS.get(str(comment.get("level")), "note")
        rule = f"SC{code}"
        text, path = str(comment.get("message", "")).removesuffix(_OF_BASH), str(comment.get("file", ""))
        yield Result(rule, level, text, path, line, max(line, end), help=HELP + rule)

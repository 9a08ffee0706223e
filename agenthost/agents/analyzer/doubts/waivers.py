"""Doubts results of our own rules for Go that the authors waive by a comment, on the line itself or alone on the one above.

Tools read such comments of their own; ours has none, so those of the tools that have the same rule count.
"""

import re

from ..results import Result

PREFIX = "go-"  # of the rules
MAX_CHARACTERS = 1000  # of a line that is looked at
_WAIVED = re.compile(
    r"(?://|#)\s*(?:#?nosec\b|nolint\b(?!:(?!\S*(?:gosec|noctx|bodyclose|staticcheck|revive|govet|errcheck|errorlint|all)\b))|nosemgrep\b)"
)
_ALONE = re.compile(r"\s*(?://|#)")


def why_not(result: Result, content: bytes) -> str:
    """Returns that a comment says so."""
    lines = content.split(b"\n")[max(result.start_line - 2, 0) : max(result.start_line, 1)]
    *above, here = (line[:MAX_CHARACTERS].decode(errors="replace") for line in lines or [b""])
    near = [here, *(line for line in above if _ALONE.match(line))]
    return "a comment waives" if any(map(_WAIVED.search, near)) else ""

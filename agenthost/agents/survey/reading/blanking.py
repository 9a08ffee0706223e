"""Blanks comments and, if wanted, strings in languages that look like C, keeping every line and column in its place.

A tolerant scanner, not a parser: it knows `//`, `/* */`, quotes, template strings and character literals, and is never more
than a line wrong about a quote that it misreads.
"""

import re

_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?(?:\*/|\Z))
      | (?P<string>"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|'(?:\\.|[^'\\\n])*')""",
    re.DOTALL | re.VERBOSE,
)
_VISIBLE = re.compile(r"[^\n]")


def blank_comments(text: str) -> str:
    """Replaces comments by spaces; strings stay."""
    return _TOKEN.sub(
        lambda match: _VISIBLE.sub(" ", match.group()) if match.lastgroup == "comment" else match.group(), text
    )


def blank_comments_and_strings(text: str) -> str:
    """Replaces comments and the inside of strings by spaces; the quotes stay."""
    return _TOKEN.sub(_blank, text)


def _blank(match: re.Match[str]) -> str:
    token = match.group()
    if match.lastgroup == "comment":
        return _VISIBLE.sub(" ", token)
    return token[0] + _VISIBLE.sub(" ", token[1:-1]) + token[-1]

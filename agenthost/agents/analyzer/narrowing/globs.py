"""Matches paths with the patterns of ignore lists: a name without a slash means any file or folder of that name."""

import re
from functools import lru_cache

MAX_PATTERN_CHARACTERS = 200
MAX_DEEP = 2  # of `**` in a pattern
_NOTHING = re.compile(r"(?!)")


def is_matched(path: str, pattern: str) -> bool:
    """Returns whether a pattern names a path, or a folder that it is in. Both are relative to the same folder."""
    pattern = pattern.strip().removeprefix("./").rstrip("/")
    if not pattern or len(pattern) > MAX_PATTERN_CHARACTERS:
        return False
    parts = path.split("/")
    if "/" not in pattern:
        return any(_compiled(pattern).fullmatch(part) for part in parts)
    expression = _compiled(pattern.removeprefix("/"))
    return any(expression.fullmatch("/".join(parts[:end])) for end in range(1, len(parts) + 1))


@lru_cache(maxsize=1000)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Returns the expression of a pattern. One with many `**`, or that is none, matches nothing."""
    if pattern.count("**") > MAX_DEEP:
        return _NOTHING
    # A star takes as little as the text behind it allows, and is never tried again: the time stays in proportion to the path.
    out, is_open = "", False
    for piece in re.findall(r"\*\*/|\*+|\?|\[!?[^\]/]+\]|.", pattern, re.DOTALL):
        if piece.startswith("*"):
            out += ")" if is_open else ""
            is_open = piece == "*"
            out += {"**/": "(?:.*/)?", "*": "(?>[^/]*?"}.get(piece, ".*")
        else:
            out += "[^/]" if piece == "?" else _class(piece) if len(piece) > 1 else re.escape(piece)
    # The last star of all goes to the end, or to where its text stands there.
    head, star, tail = out.rpartition("(?>[^/]*?")
    try:
        return re.compile(f"{head}[^/]*{tail}" if is_open and star else out)
    except re.error:  # a class such as [z-a]
        return _NOTHING


def _class(piece: str) -> str:
    """Returns the expression of a class of characters, as `[!a-z]`."""
    characters = re.escape(piece.strip("[]").removeprefix("!")).replace(r"\-", "-")
    return f"[{'^' if piece[1] == '!' else ''}{characters}]"

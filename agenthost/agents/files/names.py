"""Spells the names of files as the conductor does: a name may hold bytes that are no UTF-8, and signs that steer a terminal."""

from collections.abc import Iterable

MAX_LISTED = 200
MAX_LISTED_CHARACTERS = 200


def spelt(text: str) -> str:
    """Returns text with bytes of names that are no UTF-8 in hexadecimal digits, which the conductor reads as those names."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode("utf-8")


def as_told(path: str) -> str:
    """Returns a path as the conductor tells it: bytes that are no UTF-8 and control characters are escaped."""
    if path.isprintable():
        return path
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in spelt(path))


def listed(paths: Iterable[str]) -> list[str]:
    """Returns the first of these paths as the conductor tells them, without very long ones: a result has a limit."""
    return [told for path in sorted(paths) if len(told := as_told(path)) <= MAX_LISTED_CHARACTERS][:MAX_LISTED]

"""Words foreign text and the names of files for a report: in one line, short, and without what would steer a terminal."""

from collections.abc import Sequence

from ..files import spelt

MAX_NAMED = 5


def over(paths: Sequence[str]) -> str:
    """Returns which files were lost, none where the tool was to look at all at once."""
    if not paths:
        return ""
    return f" over {_listed(paths)}, which {'is' if len(paths) == 1 else 'are'} not judged"


def unjudged(what: str, paths: Sequence[str]) -> list[str]:
    """Returns a sentence about files that are not judged; none where there is no such file."""
    return [f"{what} {_listed(paths)}; {'it is' if len(paths) == 1 else 'they are'} not judged."] if paths else []


def _listed(paths: Sequence[str]) -> str:
    """Returns the first paths, and the number of the others."""
    named = ", ".join(path[:80] for path in paths[:MAX_NAMED])
    more = len(paths) - MAX_NAMED
    return f"{named} and {more:,} more {'file' if more == 1 else 'files'}" if more > 0 else named


def plain(text: str) -> str:
    """Returns text in one line, without what would steer a terminal."""
    return "".join(character if character.isprintable() else " " for character in spelt(text))


def link(text: str) -> str:
    """Returns a link; empty for any other text."""
    return text if text.startswith(("https://", "http://")) and text.isprintable() and " " not in text else ""


def short(text: str, limit: int) -> str:
    """Returns text, cut to a number of characters."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"

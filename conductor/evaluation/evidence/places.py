"""Finds the places that prose names, as `src/app.py:12` or `src/app.py:12-20`, and checks that they exist in the snapshot.

A place without a quote proves less than a citation: it says where to look, and this says whether there is something to look at.
No pattern runs over the text as a whole: it is cut at white space and brackets first, so that its length costs no more than that.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from conductor.evaluation.evidence.citations import CitedText, Unread, normal_path

MAX_PLACES = 100
MAX_WORD_CHARACTERS = 400
_CUTS = str.maketrans(dict.fromkeys("`'\"()[]{}<>,;|*\u201c\u201d", " "))
_PLACE = re.compile(r"([^:\s]{1,300}):(?:L|line)?(\d{1,7})(?:[-\u2013]L?(\d{1,7}))?(?::\d{1,5})?")


@dataclass(frozen=True, slots=True)
class Place:
    """A file and its lines, as prose names them."""

    path: str
    start_line: int
    end_line: int


def named_places(text: str) -> tuple[Place, ...]:
    """Returns the places that a text names, each once, in order, at most MAX_PLACES. `12:30` and `http://host:80` are none."""
    found: dict[Place, None] = {}
    for word in text.translate(_CUTS).split():
        match = _PLACE.fullmatch(word.rstrip(".:!?")) if len(word) <= MAX_WORD_CHARACTERS else None
        if match is None or not _is_file(match[1]):
            continue
        start = int(match[2])
        found[Place(normal_path(match[1]), start, max(start, int(match[3] or start)))] = None
        if len(found) == MAX_PLACES:
            break
    return tuple(found)


def _is_file(path: str) -> bool:
    name = path.rpartition("/")[2]
    return (
        bool(normal_path(path))
        and "//" not in path
        and (("." in name and not name.replace(".", "").isdigit()) or "/" in path)
    )


def check_places(places: Iterable[Place], files: Mapping[str, bytes | Unread | None]) -> list[dict[str, object]]:
    """Returns each place with `exists`, and with the reason where it does not."""
    texts = {path: CitedText(data) if isinstance(data, bytes) else data for path, data in files.items()}
    return [_checked(place, texts.get(place.path)) for place in places]


def _checked(place: Place, text: CitedText | Unread | None) -> dict[str, object]:
    told = {"path": place.path, "start_line": place.start_line, "end_line": place.end_line}
    if isinstance(text, Unread):
        return {**told, "exists": False, "reason": text.reason}
    if text is None:
        return {**told, "exists": False, "reason": "there is no such file"}
    if not 1 <= place.start_line <= place.end_line <= text.count:
        lines = "1 line" if text.count == 1 else f"{text.count} lines"
        return {**told, "exists": False, "reason": f"the file has {lines}"}
    return {**told, "exists": True}

"""Finds patterns of .gitignore that keep nothing of a folder which an earlier one leaves out, and files that tools left behind.

Git does not look into such a folder. Of the earlier patterns those without a wildcard count.
"""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from posixpath import dirname, join, normpath

from ..files import is_example, is_test, is_vendored
from ..reading.snapshot import SourceText
from ..survey.finding import Finding, cite, sighting
from ..survey.survey import Survey

KEPT = "lens:kept-below-ignored"
LEFTOVER = "lens:leftover"
_PROFILE = re.compile(r"(^|/)(?:(?:cpu|mem|heap|block|mutex)(?:[-_.]?profile)?\.(?:out|prof|pprof)|[^/]+\.pprof)$")
_LITERAL = re.compile(r"/?[\w.@+-]+(?:/[\w.@+-]+)*/?")


def find_in_ignored(survey: Survey) -> Iterator[Finding]:
    """Yields each pattern that keeps nothing, and each file that a profiler or a merge left behind."""
    yield from _left_behind(survey)
    for path in survey.snapshot.paths:
        source = survey.snapshot.read(path) if path.rpartition("/")[2] == ".gitignore" else None
        if source and not (is_test(path) or is_example(path) or is_vendored(path)):
            yield from _of_file(survey, source)


def _left_behind(survey: Survey) -> Iterator[Finding]:
    """Yields each such file. A profile has no lines to quote: the list of what git should leave out stands for it."""
    for path in survey.snapshot.paths:
        is_profile = _PROFILE.search(path)
        is_merge = path.endswith((".orig", ".rej")) and survey.snapshot.has(path.rpartition(".")[0])
        if not (is_profile or is_merge) or is_test(path) or is_example(path) or is_vendored(path):
            continue
        place = survey.snapshot.read(path) or survey.snapshot.read(".gitignore")
        if place:
            number = next((at for at, line in enumerate(place.lines, 1) if line.strip()), 1)
            maker = "a profiler" if is_profile else "a merge"
            yield sighting(LEFTOVER, cite(place, number), f"{path} is what {maker} left behind")


def _of_file(survey: Survey, source: SourceText) -> Iterator[Finding]:
    lines = [line.rstrip() for line in source.lines]
    kept = [line[1:] for line in lines if line.startswith("!")]
    folders: list[str] = []
    for number, line in enumerate(lines, 1):
        if _LITERAL.fullmatch(line) and not any(_matches(one, line) for one in kept):
            folders.append(line.rstrip("/"))
        elif line.startswith("!") and "\\" not in line:
            folder = next((one for one in folders if _is_below(line[1:], one)), None)
            there = normpath(join(dirname(source.path), line[1:].strip("/")))
            if folder and not survey.snapshot.has(there):  # what is tracked stays so
                yield sighting(
                    KEPT, cite(source, number), f"`{line}` keeps nothing: `{folder}` leaves out the whole folder"
                )


def _matches(pattern: str, folder: str) -> bool:
    """Returns whether a pattern may match a folder itself, which then is not left out."""
    last, name = (one.strip("/").rpartition("/")[2] for one in (pattern, folder))
    return fnmatchcase(name, last) and not _is_below(pattern, folder.rstrip("/"))


def _is_below(pattern: str, folder: str) -> bool:
    parts = pattern.strip("/").split("/")[:-1]
    if "/" in folder:  # from the folder of the file
        root = folder.strip("/").split("/")
        return parts[: len(root)] == root and "/" in pattern
    return folder in parts

"""Finds two files of different parts that nearly always change in the same commits: a dependency that no import shows.

A file with its test, and files that mention each other, are expected to move together and not given.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from ...reading.history import Commit
from ...reading.snapshot import SourceText
from ..finding import Finding, cite, shorten
from ..survey import Survey

MAX_FILES_IN_COMMIT = 6
MIN_TOGETHER = 15
MIN_SHARE = 0.85
MAX_SUBJECTS = 3


def find_cochange(survey: Survey) -> Iterator[Finding]:
    """Yields the strongest pair."""
    product = frozenset(survey.product)
    alone, together = _count(survey.history.commits, product)
    pairs = [
        (count, first, second)
        for (first, second), count in together.items()
        if count >= MIN_TOGETHER and count >= MIN_SHARE * max(alone[first], alone[second])
    ]
    for count, first, second in sorted(pairs, key=lambda item: (-item[0], item)):
        sources = [source for path in (first, second) if (source := survey.snapshot.read(path))]
        evidence = tuple(item for source in sources if (item := cite(source, _opening(source))))
        if len(evidence) == 2 and _is_surprising(*sources):
            both = [one for one in survey.history.commits if {first, second} <= {change.path for change in one.changes}]
            subjects = "; ".join(f"“{shorten(commit.subject, 70)}”" for commit in both[:MAX_SUBJECTS])
            yield Finding(
                title=f"Two files always change together, and neither mentions the other: {first} and {second}",
                claim=f"{count} commits touch both, of {alone[first]} that touch the one and {alone[second]} that touch the "
                f"other, the latest {subjects}. No line of the one names the other.",
                remedy="Name the tie in a comment of both, or move what they share to one place.",
                rule="lens:silent-tie",
                evidence=evidence,
            )
            return


def _count(commits: Sequence[Commit], product: frozenset[str]) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    alone, together = Counter[str](), Counter[tuple[str, str]]()
    for commit in commits:
        paths = sorted({change.path for change in commit.changes} & product)
        alone.update(paths)
        if len(commit.changes) <= MAX_FILES_IN_COMMIT:
            together.update(itertools.combinations(paths, 2))
    return alone, together


def _is_surprising(first: SourceText, second: SourceText) -> bool:
    one, other = PurePosixPath(first.path), PurePosixPath(second.path)
    if (
        one.parent == other.parent
        or one.stem == other.stem
        or one.parent in other.parents
        or other.parent in one.parents
    ):
        return False
    return one.stem not in second.text and other.stem not in first.text


def _opening(source: SourceText) -> int:
    return next((number for number, line in enumerate(source.lines, 1) if line.strip()), 1)

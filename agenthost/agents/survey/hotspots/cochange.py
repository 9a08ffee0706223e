"""Finds files in different folders that nearly always change in the same commits: a dependency that no import shows.

A header with its source, a file with its test, and files that mention each other are expected to move together and not given.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from ..finding import Evidence, Finding, Severity, cite
from ..reading.functions import first_code_line
from ..reading.history import Commit
from ..survey import Survey

MAX_FILES_IN_COMMIT = 10
MIN_TOGETHER = 12
MIN_SHARE = 0.75
MAX_PAIRS = 3


def find_cochange(survey: Survey) -> Iterator[Finding]:
    """Yields the strongest pairs, each as a finding."""
    product = frozenset(survey.product)
    alone, together = _count(survey.history.commits, product)
    pairs = [
        (count / max(alone[first], alone[second]), count, first, second)
        for (first, second), count in together.items()
        if count >= MIN_TOGETHER and count >= MIN_SHARE * max(alone[first], alone[second])
    ]
    surprising = (
        pair for pair in sorted(pairs, key=lambda item: (-item[1], item)) if _is_surprising(survey, *pair[2:])
    )
    for _, count, first, second in itertools.islice(surprising, MAX_PAIRS):
        evidence = [item for path in (first, second) if (item := _first_code(survey, path))]
        if evidence:
            yield Finding(
                category="hotspots",
                severity=Severity.INFO,
                title=f"Two files change together, and neither mentions the other: {first} and {second}",
                claim=f"{count} of the {alone[first]} commits that touch the one and the {alone[second]} that touch the other "
                "touch both. An author who changes one must know of the other, and nothing in the code says so.",
                remedy="Name the tie in a comment, or move what they share to one place.",
                rule="lens:silent-tie",
                evidence=tuple(evidence),
                weight=count,
            )


def _count(commits: Sequence[Commit], product: frozenset[str]) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    alone, together = Counter[str](), Counter[tuple[str, str]]()
    for commit in commits:
        paths = sorted({change.path for change in commit.changes} & product)
        alone.update(paths)
        if len(commit.changes) <= MAX_FILES_IN_COMMIT:
            together.update(itertools.combinations(paths, 2))
    return alone, together


def _is_surprising(survey: Survey, first: str, second: str) -> bool:
    one, other = PurePosixPath(first), PurePosixPath(second)
    if one.parent == other.parent or one.stem == other.stem or "__init__" in {one.stem, other.stem}:
        return False
    texts = [survey.snapshot.read(first), survey.snapshot.read(second)]
    return not any(text and path.stem in text.text for text, path in zip(texts, (other, one), strict=True))


def _first_code(survey: Survey, path: str) -> Evidence | None:
    source = survey.snapshot.read(path)
    return cite(path, source.lines, first_code_line(source)) if source else None

"""Sums up the debt that the authors wrote down themselves: TODO, FIXME, XXX and HACK in comments, as one finding.

It does not judge the single note; many in one file tell where the authors themselves are not content.
"""

import re
from collections import Counter
from collections.abc import Iterator

from ..finding import Finding, Severity, cite, named
from ..reading.snapshot import SourceText
from ..survey import Survey

MIN_NOTES = 25
MIN_NOTES_IN_DENSEST = 8
MAX_QUOTED = 5
_NOTE = re.compile(r"(?:#|//|/\*|^\s*\*|--|;;)[^\"'`]{0,40}?\b(TODO|FIXME|XXX|HACK)\b(?![-_])")
_URGENT = ("FIXME", "XXX", "HACK", "TODO")


def find_debt(survey: Survey) -> Iterator[Finding]:
    """Yields one finding with the densest file, where there is enough of it."""
    notes = {source.path: found for source in survey.sources(survey.product) if (found := _notes(source))}
    total = sum(map(len, notes.values()))
    if total < MIN_NOTES:
        return
    path = min(notes, key=lambda name: (-len(notes[name]), name))
    source = survey.snapshot.read(path)
    if source is None or len(notes[path]) < MIN_NOTES_IN_DENSEST:
        return
    kinds = Counter(kind for found in notes.values() for _, kind in found)
    spoken = ", ".join(f"{kinds[kind]:,} {kind}" for kind in _URGENT if kinds[kind])
    chosen = sorted(sorted(notes[path], key=lambda note: (_URGENT.index(note[1]), note[0]))[:MAX_QUOTED])
    quoted = [cite(path, source.lines, number) for number, _ in chosen]
    yield Finding(
        category="risks",
        severity=Severity.INFO,
        title=f"The code holds {total:,} notes of debt; {named(len(notes[path]), 'stands', 'stand')} in {path}",
        claim=f"{spoken} in {named(len(notes), 'file')}. {path} is the densest with {len(notes[path])} in "
        f"{len(source.lines):,} lines: its next author could settle or delete the nearest ones, or move them "
        "to the tracker.",
        evidence=tuple(item for item in quoted if item),
    )


def _notes(source: SourceText) -> list[tuple[int, str]]:
    if not any(word in source.text for word in _URGENT):
        return []
    return [
        (number, match[1])
        for number, line in enumerate(source.lines, 1)
        if len(line) < 500 and (match := _NOTE.search(line))
    ]

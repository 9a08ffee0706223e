"""Fingerprints of findings, version 2: the same finding of two runs has one fingerprint, wherever its lines have moved to.

1. A tool's finding, which names its `rule`, is that rule and the path.
2. A model's finding is its category, the path, and the line that holds the beginning of its quote, without its white space. Models
   word a title differently each time, so title, claim and severity do not count. No line number counts.
3. Equal lines of a file are told apart by how many stand before; findings that are still equal are numbered in their order.
4. A finding whose quote was not found has the first line of that quote. One without a place has its title: it has nothing else.
5. A folded finding is its cause, without a path (see `folding`).
6. A renamed file: `anchor` is everything but the path, so `follow` computes the fingerprint under the file's former path.

The place is that of the first evidence that was found. It is pure, and walks each file at most once.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from conductor.evaluation.evidence.findings import Evidence, Finding

VERSION = "2"
DIGITS = 32
# Of all files of one result together; equal lines behind that are not counted.
MAX_WALKED_LINES = 2_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file: its number from 1, and its text."""

    number: int
    text: str


def identify(
    findings: Iterable[Finding], lines: Mapping[Evidence, Line], files: Mapping[str, str]
) -> tuple[Finding, ...]:
    """Returns the findings with their fingerprints.

    `lines` holds the line where each found quote begins, `files` the texts of the files with such quotes.
    """
    before = _count_before(lines, files)
    seen: Counter[tuple[str, ...]] = Counter()
    identified = []
    for finding in findings:
        place = primary(finding)
        named = (place.path if place else "", *_name(finding, place, lines, before))
        anchor = _digest(VERSION, *named[1:], str(seen[named]))
        seen[named] += 1
        identified.append(replace(finding, anchor=anchor, fingerprint=follow(anchor, named[0])))
    return tuple(identified)


def follow(anchor: str, path: str) -> str:
    """Returns the fingerprint of a finding with this anchor in a file of this path."""
    return _digest(anchor, path)


def fingerprint_of_cause(cause: str) -> tuple[str, str]:
    """Returns anchor and fingerprint of a folded finding, which no path belongs to."""
    anchor = _digest(VERSION, "cause", cause)
    return anchor, follow(anchor, "")


def primary(finding: Finding) -> Evidence | None:
    """Returns the place of a finding: its first evidence that was found, else its first."""
    found = (item for item in finding.evidence if item.status != "missing")
    return next(found, finding.evidence[0] if finding.evidence else None)


def _name(
    finding: Finding, place: Evidence | None, lines: Mapping[Evidence, Line], before: Mapping[tuple[str, int], int]
) -> tuple[str, ...]:
    """Returns what names a finding beside its path and its number among equal ones."""
    if finding.rule:
        return "tool", finding.rule
    if place is None:
        return "model", finding.category, normal(finding.title), "0"
    line = lines.get(place)
    if line is None:
        return "model", finding.category, normal(place.quote.strip().partition("\n")[0]), "0"
    return "model", finding.category, normal(line.text), str(before.get((place.path, line.number), 0))


def _count_before(lines: Mapping[Evidence, Line], files: Mapping[str, str]) -> dict[tuple[str, int], int]:
    """Returns how many equal lines stand before each of these, by path and number."""
    counts: dict[tuple[str, int], int] = {}
    room = MAX_WALKED_LINES
    wanted: dict[str, dict[int, str]] = {}
    for item, line in lines.items():
        wanted.setdefault(item.path, {})[line.number] = normal(line.text)
    for path in sorted(wanted):
        texts, numbers = frozenset(wanted[path].values()), wanted[path]
        seen: Counter[str] = Counter()
        last = min(max(numbers), room)
        walked = files.get(path, "").split("\n", last)[:last]
        room -= len(walked)
        for number, raw in enumerate(walked, start=1):
            if (text := normal(raw)) in texts:
                if number in numbers:
                    counts[path, number] = seen[text]
                seen[text] += 1
    return counts


def normal(line: str) -> str:
    """Returns a line without white space around it, and with single spaces inside."""
    return " ".join(line.split())


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:DIGITS]

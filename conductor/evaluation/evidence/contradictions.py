"""Finds findings that say opposite things about one place, so that they are shown together and never resolved in silence.

Code cannot judge which of them is right. It sees two signs: nearly the same words, of which one side denies; and one category about
one place, rated so differently that both cannot be meant.
"""

from collections.abc import Sequence
from dataclasses import replace

from conductor.evaluation.evidence.findings import SEVERITIES, Finding

MIN_GAP = 2  # of severities
MAX_CONTRADICTS = 20
MAX_SIMILAR_SHARE = 0.75
_DENIALS = frozenset(
    {
        *("no", "not", "never", "none", "nothing", "without", "cannot", "missing", "lacks", "lack", "absent"),
        *("correct", "correctly", "safe", "safely", "fine", "harmless", "intended", "ok"),
    }
)


def similar(one: str, other: str) -> bool:
    """Returns whether two titles use mostly the same words, and neither denies what the other says."""
    first, second = _words(one), _words(other)
    return _share(first, second) >= MAX_SIMILAR_SHARE and _denies(first) == _denies(second)


def contradict(one: Finding, other: Finding) -> bool:
    """Returns whether two findings about one place say opposite things."""
    first, second = _words(one.title), _words(other.title)
    if _denies(first) != _denies(second) and _share(first - _DENIALS, second - _DENIALS) >= MAX_SIMILAR_SHARE:
        return True
    if one.calibrated and other.calibrated:
        return False  # one table has rated both: they speak of different things
    gap = abs(SEVERITIES.index(one.severity) - SEVERITIES.index(other.severity))
    return one.category == other.category and gap >= MIN_GAP and _share(first, second) < MAX_SIMILAR_SHARE


def with_contradictions(findings: Sequence[Finding]) -> list[Finding]:
    """Returns findings of one file, each with the ids of those that it contradicts."""
    placed = sorted((finding for finding in findings if finding.evidence), key=lambda one: lines_of(one)[0])
    found: list[list[str]] = [[] for _ in placed]
    for index, one in enumerate(placed):
        for number, other in enumerate(placed[index + 1 :], start=index + 1):
            if lines_of(other)[0] > lines_of(one)[1]:
                break
            if overlap(one, other) and _are_of_others(one, other) and contradict(one, other):
                found[index].append(other.id)
                found[number].append(one.id)
    told = [replace(one, contradicts=tuple(ids[:MAX_CONTRADICTS])) for one, ids in zip(placed, found, strict=True)]
    return [*told, *(finding for finding in findings if not finding.evidence)]


def overlap(one: Finding, other: Finding) -> bool:
    """Returns whether the first places of both share a line. Findings without a place share none, nor one that stands nowhere."""
    if not one.evidence or not other.evidence or one.evidence[0].path != other.evidence[0].path:
        return False
    (first_begin, first_end), (second_begin, second_end) = lines_of(one), lines_of(other)
    as_real = (one.status == "missing") == (other.status == "missing")
    return as_real and first_begin <= second_end and second_begin <= first_end


def lines_of(finding: Finding) -> tuple[int, int]:
    """Returns the lines where the first quote of a finding really stands."""
    place = finding.evidence[0]
    return place.first_line, place.last_line


def _are_of_others(one: Finding, other: Finding) -> bool:
    """Returns whether no step found both: an agent that says two things about a place means both."""
    return set(one.finders).isdisjoint(other.finders)


def _denies(words: frozenset[str]) -> bool:
    return any(word.strip(".,:;!?`'\"()") in _DENIALS for word in words)


def _words(title: str) -> frozenset[str]:
    return frozenset(title.casefold().replace("n't", " not").replace("n\u2019t", " not").split())


def _share(first: frozenset[str], second: frozenset[str]) -> float:
    return len(first & second) / len(first | second) if first | second else 0.0

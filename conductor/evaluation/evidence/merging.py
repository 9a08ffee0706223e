"""Merges the findings of several steps into one list, for the fold `merge`.

Two findings are merged if they are about the same place (one file, and lines that overlap where the quotes really stand), and if
their titles have mostly the same words, or they come from different steps and share a category. Two findings of one step with
different titles stay two: its agent saw both. A MISSING place is no place, so a finding with an invented place never absorbs one
that was verified, nor joins it. The graver finding leads and keeps its id. The other's steps and places join it, and its words
where they differ, so nothing is lost.

The order is by severity, then verified, moved, missing, then by the number of steps, then by place. It does not depend on the order
in which steps ended.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from conductor.evaluation.evidence.findings import (
    MAX_CLAIM_CHARACTERS,
    MAX_EVIDENCE,
    MAX_FINDINGS,
    MAX_NOTES,
    SEVERITIES,
    STATUSES,
    Evidence,
    Finding,
    Found,
    read_document,
)

# By band: the few most important findings, more of them, all of them.
DEFAULT_MAX_FINDINGS = {"small": 20, "medium": 50, "large": 500}
MAX_SIMILAR_SHARE = 0.75


@dataclass(slots=True)
class _Group:
    """A leading finding with the others that say the same."""

    leader: Finding
    others: list[Finding]

    def holds(self, finding: Finding) -> bool:
        """Returns whether a finding says what this group says."""
        if not _overlap(self.leader, finding):
            return False
        is_other_step = finding.step not in (self.leader.step, *(other.step for other in self.others))
        return _similar(self.leader.title, finding.title) or (
            is_other_step and finding.category == self.leader.category
        )

    def merged(self) -> Finding:
        """Returns the group as one finding."""
        evidence = dict.fromkeys(item for finding in (self.leader, *self.others) for item in finding.evidence)
        steps = dict.fromkeys(
            step for finding in (self.leader, *self.others) for step in finding.found_by or (finding.step,)
        )
        claims = [
            self.leader.claim,
            *(_also(other) for other in self.others if not _similar(other.title, self.leader.title)),
        ]
        return replace(
            self.leader,
            claim="\n\n".join(claims)[:MAX_CLAIM_CHARACTERS],
            evidence=tuple(evidence)[:MAX_EVIDENCE],
            found_by=tuple(steps),
            outside_scope=all(finding.outside_scope for finding in (self.leader, *self.others)),
        )


def merge(findings: Iterable[Finding], max_findings: int) -> Found:
    """Returns the merged findings, the most important first, and how many did not fit."""
    by_file: dict[str, list[_Group]] = {}
    for finding in sorted(findings, key=_rank):
        groups = by_file.setdefault(finding.evidence[0].path if finding.evidence else "", [])
        group = next((group for group in groups if group.holds(finding)), None)
        if group is None:
            groups.append(_Group(finding, []))
        else:
            group.others.append(finding)
    ranked = sorted((group.merged() for groups in by_file.values() for group in groups), key=_rank)
    left_out = ranked[max_findings:]
    return Found(tuple(ranked[:max_findings]), len(left_out), _notes(left_out, max_findings))


def gather(documents: Sequence[dict[str, Any]]) -> Found:
    """Returns the findings of several steps as they are, each once, with the notes about them; the most important ones, if many."""
    found: dict[str, Finding] = {}
    for document in documents:
        for finding in read_document(document):
            found.setdefault(finding.id, finding)
    kept = (
        tuple(found.values()) if len(found) <= MAX_FINDINGS else tuple(sorted(found.values(), key=_rank)[:MAX_FINDINGS])
    )
    dropped = [finding for finding in found.values() if finding not in kept] if len(kept) < len(found) else []
    notes = dict.fromkeys(note for document in documents for note in document.get("notes", ()))
    left_out = sum(document.get("left_out", 0) for document in documents) + len(dropped)
    unread = all(document.get("unread", False) for document in documents)
    return Found(kept, left_out, (*_notes(dropped, MAX_FINDINGS), *notes)[:MAX_NOTES], unread=unread)


def _notes(left_out: Sequence[Finding], limit: int) -> tuple[str, ...]:
    if not left_out:
        return ()
    by_severity = [(name, sum(finding.severity == name for finding in left_out)) for name in SEVERITIES]
    which = ", ".join(f"{number} {name}" for name, number in by_severity if number)
    return (f"{len(left_out)} more findings were left out ({which}): this flow keeps the first {limit}",)


def _rank(finding: Finding) -> tuple[object, ...]:
    place = finding.evidence[0] if finding.evidence else Evidence("", 0, 0, "")
    return (
        SEVERITIES.index(finding.severity),
        STATUSES.index(finding.status),
        -len(finding.found_by or (finding.step,)),
        place.path,
        place.start_line,
        finding.title,
        finding.step,
        finding.id,
    )


def _overlap(one: Finding, other: Finding) -> bool:
    """Returns whether the first places of both share a line. Findings without a place share none."""
    if not one.evidence or not other.evidence:
        return False
    (first_begin, first_end), (second_begin, second_end) = _lines(one.evidence[0]), _lines(other.evidence[0])
    same_file = one.evidence[0].path == other.evidence[0].path
    as_real = (one.status == "missing") == (other.status == "missing")
    return same_file and as_real and first_begin <= second_end and second_begin <= first_end


def _lines(place: Evidence) -> tuple[int, int]:
    begin = place.actual_start_line or place.start_line
    return begin, begin + place.end_line - place.start_line


def _similar(one: str, other: str) -> bool:
    """Returns whether two titles use mostly the same words."""
    first, second = (frozenset(title.casefold().split()) for title in (one, other))
    return len(first & second) >= MAX_SIMILAR_SHARE * len(first | second)


def _also(other: Finding) -> str:
    return f"Also ({other.category}): {other.title}. {other.claim}".strip()

"""Merges the findings of several steps into one list, for the fold `merge`.

Two findings are merged if they are about the same place (one file, and lines that overlap where the quotes really stand), and if
their titles have mostly the same words, or they come from different steps and share a category. Two findings of one step with
different titles stay two: its agent saw both. A MISSING place is no place, so a finding with an invented place never absorbs one
that was verified, nor joins it. The graver finding leads and keeps its id. The other's steps and places join it, and its words
where they differ, so nothing is lost. Findings that contradict one another stay apart, side by side (see `contradictions`), and so
do those of different rules of tools (TOOL:ID): each rule has its own reason and remedy.

The order is that of `ranking`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from conductor.evaluation.answers.coverage import gather_coverage
from conductor.evaluation.evidence import ranking
from conductor.evaluation.evidence.contradictions import contradict, overlap, similar, with_contradictions
from conductor.evaluation.evidence.findings import (
    MAX_CLAIM_CHARACTERS,
    MAX_EVIDENCE,
    MAX_FINDINGS,
    MAX_NOTES,
    SEVERITIES,
    Finding,
    Found,
    read_document,
)
from conductor.evaluation.evidence.ranking import rank

# By band: the few most important findings, more of them, all of them.
DEFAULT_MAX_FINDINGS = {"small": 20, "medium": 50, "large": 500}


@dataclass(slots=True)
class _Group:
    """A leading finding with the others that say the same."""

    leader: Finding
    others: list[Finding]

    def holds(self, finding: Finding) -> bool:
        """Returns whether a finding says what this group says."""
        if not overlap(self.leader, finding):
            return False
        if contradict(self.leader, finding):
            return False
        is_other_step = finding.step not in (self.leader.step, *(other.step for other in self.others))
        if ":" in self.leader.rule and ":" in finding.rule and (self.leader.rule != finding.rule or not is_other_step):
            return False
        return similar(self.leader.title, finding.title) or (is_other_step and finding.category == self.leader.category)

    def merged(self) -> Finding:
        """Returns the group as one finding."""
        evidence = dict.fromkeys(item for finding in (self.leader, *self.others) for item in finding.evidence)
        steps = dict.fromkeys(step for finding in (self.leader, *self.others) for step in finding.finders)
        models = dict.fromkeys(model for finding in (self.leader, *self.others) for model in finding.models)
        claims = [
            self.leader.claim,
            *(_also(other) for other in self.others if not similar(other.title, self.leader.title)),
        ]
        return replace(
            self.leader,
            claim="\n\n".join(claims)[:MAX_CLAIM_CHARACTERS],
            evidence=tuple(evidence)[:MAX_EVIDENCE],
            found_by=tuple(steps),
            outside_scope=all(finding.outside_scope for finding in (self.leader, *self.others)),
            models=tuple(models),
        )


def merge(findings: Iterable[Finding], max_findings: int, apart: Iterable[Finding] = ()) -> Found:
    """Returns the merged findings, the most important first, and how many did not fit.

    Those `apart` are not merged with others: each is all that a rule has to say (see `rulings`).
    """
    return order((*_joined(findings), *apart), max_findings)


def order(findings: Iterable[Finding], max_findings: int) -> Found:
    """Returns findings that were merged, in the order of their rank, with those together that contradict one another."""
    by_file: dict[str, list[Finding]] = {}
    for finding in findings:
        by_file.setdefault(finding.evidence[0].path if finding.evidence else "", []).append(finding)
    told = [finding for group in by_file.values() for finding in with_contradictions(group)]
    ranked = [told[place] for place in ranking.order(told)]
    kept = tuple(replace(finding, rank=number) for number, finding in enumerate(ranked[:max_findings], start=1))
    left_out = ranked[max_findings:]
    return Found(kept, len(left_out), _notes(left_out, max_findings))


def _joined(findings: Iterable[Finding]) -> Iterator[Finding]:
    by_file: dict[str, list[_Group]] = {}
    for finding in sorted(findings, key=rank):
        groups = by_file.setdefault(finding.evidence[0].path if finding.evidence else "", [])
        group = next((group for group in groups if group.holds(finding)), None)
        if group is None:
            groups.append(_Group(finding, []))
        else:
            group.others.append(finding)
    yield from (group.merged() for groups in by_file.values() for group in groups)


def gather(documents: Sequence[dict[str, Any]]) -> Found:
    """Returns the findings of several steps as they are, each once, with the notes about them; the most important ones, if many."""
    found: dict[str, Finding] = {}
    for document in documents:
        for finding in read_document(document):
            same = found.get(finding.id)
            found[finding.id] = finding if same is None else _both(same, finding)
    each = list(found.values())
    kept, dropped = _shared_out(each) if len(each) > MAX_FINDINGS else (tuple(each), [])
    notes = dict.fromkeys(note for document in documents for note in document.get("notes", ()))
    left_out = sum(document.get("left_out", 0) for document in documents) + len(dropped)
    unread = all(document.get("unread", False) for document in documents)
    coverage = gather_coverage(document.get("coverage", ()) for document in documents)
    told = (*_notes(dropped, MAX_FINDINGS), *notes)[:MAX_NOTES]
    return Found(kept, left_out, told, unread=unread, coverage=coverage)


def _shared_out(findings: Sequence[Finding]) -> tuple[tuple[Finding, ...], list[Finding]]:
    """Returns `MAX_FINDINGS` findings, and those that are left out.

    Of each rule of a tool the first is kept before the second of any: the others are more places of it, which its tool has counted.
    """
    seen: Counter[str] = Counter()
    turns: dict[str, int] = {}
    for finding in findings:
        turns[finding.id] = seen[finding.rule] if ":" in finding.rule else 0
        seen[finding.rule] += 1
    ordered = sorted(findings, key=lambda finding: (turns[finding.id], rank(finding)))
    return tuple(ordered[:MAX_FINDINGS]), [one for one in ordered[MAX_FINDINGS:] if not turns[one.id]]


def _both(one: Finding, other: Finding) -> Finding:
    """Returns a finding that several steps have handed in, with all that found it."""
    steps = dict.fromkeys((*one.finders, *other.finders))
    return replace(one, found_by=tuple(steps), models=tuple(dict.fromkeys((*one.models, *other.models))))


def agree(documents: Sequence[dict[str, Any]], min_agree: int) -> Found:
    """Returns what the agents of a panel found, merged, without what fewer agents name than must agree."""
    found = gather(documents)
    merged = merge(found.findings, MAX_FINDINGS)
    kept = tuple(one for one in merged.findings if len(one.finders) >= min_agree)
    notes = (*merged.notes, *found.notes)
    if lonely := len(merged.findings) - len(kept):
        which = "1 finding was" if lonely == 1 else f"{lonely} findings were"
        notes = (f"{which} left out, which fewer than {min_agree} agents name", *notes)
    left_out = merged.left_out + found.left_out + lonely
    return Found(kept, left_out, notes[:MAX_NOTES], unread=found.unread, coverage=found.coverage)


def _notes(left_out: Sequence[Finding], limit: int) -> tuple[str, ...]:
    if not left_out:
        return ()
    by_severity = [(name, sum(finding.severity == name for finding in left_out)) for name in SEVERITIES]
    which = ", ".join(f"{number} {name}" for name, number in by_severity if number)
    more = "1 more finding was" if len(left_out) == 1 else f"{len(left_out)} more findings were"
    return (f"{more} left out ({which}): this flow keeps the first {limit}",)


def _also(other: Finding) -> str:
    return f"Also ({other.category}): {other.title}. {other.claim}".strip()

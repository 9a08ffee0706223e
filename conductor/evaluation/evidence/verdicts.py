"""Joins sceptics' verdicts to the findings that they were asked about.

A sceptic is an ordinary step inside a `foreach` over findings, whose output has a `verdict` (CONFIRMED, PARTLY, REFUTED or UNSURE),
a `reason`, and `evidence`: places with quotes, which were checked as any others. REFUTED counts only where one of them was found,
and has enough in it: a bracket stands in every file.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from conductor.evaluation.evidence.citations import is_telling
from conductor.evaluation.evidence.findings import MAX_EVIDENCE, PROVEN, Evidence, Finding, read_judged
from conductor.evaluation.evidence.ranking import REFUTED, UNSURE, VERDICTS

MAX_REASON_CHARACTERS = 1000
PARTLY = "partly"
REASONS = ("reason", "why", "explanation")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One sceptic's verdict on a finding. `said` is the word that the sceptic chose, `word` the one that counts."""

    word: str
    said: str
    reason: str
    evidence: tuple[Evidence, ...]


def join_verdicts(findings: Sequence[Finding], items: Sequence[Mapping[str, Any]]) -> tuple[list[Finding], list[str]]:
    """Returns the findings with their verdicts, and notes about findings that no sceptic has judged.

    The places in the items' outputs were judged before: what an agent says of its own quotes proves nothing.
    """
    said: dict[str, list[Verdict]] = {}
    for item in items:
        about = item["item"].get("id") if isinstance(item["item"], Mapping) else None
        if isinstance(about, str):
            said.setdefault(about, []).extend(_verdicts_in(item["steps"]))
    judged = [_judged(finding, said.get(finding.id, ())) for finding in findings]
    return judged, list(_notes(judged, said))


def _notes(findings: Sequence[Finding], said: Mapping[str, Sequence[Verdict]]) -> Iterator[str]:
    unasked = sum(finding.id not in said for finding in findings)
    unanswered = sum(finding.id in said and not said[finding.id] for finding in findings)
    if unasked:
        yield f"{unasked} of {_findings(len(findings))} reached no sceptic"
    if unanswered:
        none = "has no verdict: its sceptics" if unanswered == 1 else "have no verdict: their sceptics"
        yield f"{unanswered} of {_findings(len(findings))} {none} gave none"
    unproven = sum(verdict.said == REFUTED != verdict.word for verdicts in said.values() for verdict in verdicts)
    if unproven:
        one, many = (
            "1 refutation does not count: its counter-quotes",
            f"{unproven} refutations do not count: their counter-quotes",
        )
        yield f"{one if unproven == 1 else many} were not found"


def _findings(number: int) -> str:
    return "1 finding" if number == 1 else f"{number} findings"


def _judged(finding: Finding, verdicts: Sequence[Verdict]) -> Finding:
    if not verdicts:
        return finding
    evidence = dict.fromkeys(place for verdict in verdicts for place in verdict.evidence)
    reasons = [_told(verdict, alone=len(verdicts) == 1) for verdict in verdicts]
    return replace(
        finding,
        verdict=_combined([verdict.word for verdict in verdicts]),
        verdict_reason=" ".join(reason for reason in reasons if reason)[:MAX_REASON_CHARACTERS],
        verdict_evidence=tuple(evidence)[:MAX_EVIDENCE],
    )


def _combined(words: Sequence[str]) -> str:
    """Returns one verdict of several. Sceptics who disagree resolve nothing: it is PARTLY where none refutes, else UNSURE."""
    if len(set(words)) == 1:
        return words[0]
    counting = set(words) - {UNSURE}
    if len(counting) == 1:
        return counting.pop()
    return UNSURE if REFUTED in counting else PARTLY


def _told(verdict: Verdict, *, alone: bool) -> str:
    word = f"{verdict.said.upper()}: " if not alone else ""
    if verdict.said != verdict.word:
        return (
            f"{verdict.said.upper()}, which does not count, since no counter-quote was found: {verdict.reason}".strip()
        )
    return f"{word}{verdict.reason}".strip()


def _verdicts_in(steps: Mapping[str, Mapping[str, Any]]) -> Iterator[Verdict]:
    for value in steps.values():
        output = value.get("output")
        word = str(output.get("verdict", "")).strip().lower() if isinstance(output, Mapping) else ""
        if word in VERDICTS and isinstance(output, Mapping):
            yield _read(word, output, read_judged(output.get("evidence")))


def _read(word: str, output: Mapping[str, Any], evidence: tuple[Evidence, ...]) -> Verdict:
    reason = next((output[name] for name in REASONS if isinstance(output.get(name), str)), "")
    is_proven = any(place.status in PROVEN and is_telling(place.quote) for place in evidence)
    counts = UNSURE if word == REFUTED and not is_proven else word
    return Verdict(counts, word, " ".join(reason.split()), evidence)

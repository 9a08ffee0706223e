"""Judges what no schema says of an answer: placeholders in findings, and evidence that is required and was not found.

It also finds the places with quotes in a typed value. Each is checked as a finding's evidence is, and gets its `status`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any

from conductor.evaluation.answers.results import ResultError, read_evidence
from conductor.evaluation.answers.typed_answers import is_placeholder
from conductor.evaluation.evidence.findings import PROVEN, Evidence, Finding, Found

MAX_TOLD = 20
MAX_PLACES = 200
TOO_MANY = f"a value has at most {MAX_PLACES} places that are looked for"
JUDGED = ("status", "actual_start_line", "reason")


def without_placeholders(found: Found) -> Found:
    """Returns findings without those whose title or claim only stands for a text; a note says which."""
    kept = tuple(one for one in found.findings if not _unmeant_part(one))
    notes = [
        f"a finding was left out: its {_unmeant_part(one)} only stands for a text"
        for one in found.findings
        if _unmeant_part(one)
    ]
    gone = len(found.findings) - len(kept)
    return replace(found, findings=kept, left_out=found.left_out + gone, notes=(*found.notes, *notes)[:MAX_TOLD])


def unreadable(found: Found) -> list[str]:
    """Returns why findings of an answer were left out. Its agent's own notes are no complaints."""
    return [note for note in found.notes if "was left out: " in note] if found.left_out else []


def with_proven(
    checked: Sequence[Finding], found: Found, former: Sequence[Finding]
) -> tuple[tuple[Finding, ...], Found]:
    """Returns the findings of a repaired answer, and those of the answer before it that were proven and are left out now.

    Models that are asked to correct one finding often answer with that one alone.
    """
    known = {finding.id for finding in checked}
    kept = tuple(one for one in former if one.status in PROVEN and one.id not in known)
    if not kept:
        return tuple(checked), found
    note = f"{len(kept)} proven findings of the answer before its repair were kept: the repaired one left them out"
    return (*checked, *kept), replace(found, notes=(note, *found.notes)[:MAX_TOLD])


def missing_evidence(findings: Sequence[Finding]) -> list[str]:
    """Returns a sentence for each place of findings that was not found, and for each finding without evidence."""
    return list(_told(findings))[:MAX_TOLD]


def places_in(value: Any) -> list[Evidence]:
    """Returns the places with a quote in a typed value, as evidence; of very many the first."""
    return [place for _, place in islice(_places(value), MAX_PLACES)]


def _places(value: Any) -> Iterator[tuple[dict[str, Any], Evidence]]:
    for part in _objects(value):
        if isinstance(part.get("path"), str) and isinstance(part.get("quote"), str):
            with suppress(ResultError):
                yield part, read_evidence(part)


def judge_places(value: Any, judge: Callable[[Evidence], Evidence]) -> list[str]:
    """Adds to each place of a typed value how it was judged; returns a sentence for each that was not found."""
    told: list[str] = []
    for number, (part, place) in enumerate(list(_places(value))):
        # Behind the limit an agent's own word about a place would stay.
        judged = judge(place) if number < MAX_PLACES else replace(place, status="missing", reason=TOO_MANY)
        as_json = judged.as_json()
        for name in JUDGED:
            part.pop(name, None)
        part.update({name: as_json[name] for name in JUDGED if name in as_json})
        if judged.status == "missing":
            told.append(f"{_describe(judged)}: {judged.reason}")
    return told[:MAX_TOLD]


def _told(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        if not finding.evidence:
            yield f"finding '{finding.title}' has no evidence: give the place, and quote what stands there"
        for place in finding.evidence:
            if place.status == "missing":
                yield f"finding '{finding.title}', {_describe(place)}: {place.reason}"


def _describe(place: Evidence) -> str:
    return f"{place.path} lines {place.start_line} to {place.end_line}"


def _unmeant_part(finding: Finding) -> str:
    """Returns which part of a finding only stands for a text; empty where none does."""
    return "title" if is_placeholder(finding.title) else "claim" if is_placeholder(finding.claim) else ""


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    match value:
        case dict():
            yield value
            for member in value.values():
                yield from _objects(member)
        case list():
            for member in value:
                yield from _objects(member)
        case _:
            return

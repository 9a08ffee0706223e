"""Merges what was seen by the same rule in many places into one finding, so that a report names each problem once."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..files import is_tooling
from .finding import MAX_EVIDENCE, Evidence, Finding, Severity, named

MAX_DETAILS = 3


@dataclass(frozen=True, slots=True)
class Rule:
    """The wording of one kind of problem. `one` and `many` are titles; `{count}` and `{files}` are filled in.

    Why a maintainer acts on it is told by the table of the flow.
    """

    name: str
    severity: Severity
    one: str
    many: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """One place where a rule is broken. `detail` is a clause about it, as "`f` starts a shell with `cmd`"."""

    rule: Rule
    evidence: Evidence | None
    detail: str


def merge(category: str, sightings: Iterable[Sighting]) -> list[Finding]:
    """Returns one finding per rule; places in shipped code come before those in tooling."""
    by_rule: dict[Rule, list[tuple[Evidence, str]]] = {}
    for item in sightings:
        if item.evidence:
            by_rule.setdefault(item.rule, []).append((item.evidence, item.detail))
    return [_finding(category, rule, places) for rule, places in by_rule.items()]


def _finding(category: str, rule: Rule, places: list[tuple[Evidence, str]]) -> Finding:
    places = sorted(places, key=lambda place: (is_tooling(place[0].path), place[0].path, place[0].start_line))
    files = len({evidence.path for evidence, _ in places})
    title = rule.one if len(places) == 1 else rule.many
    told: dict[str, list[Evidence]] = {}
    for evidence, detail in places:
        told.setdefault(detail, []).append(evidence)
    details = "; ".join(f"{detail} ({_where(told[detail])})" for detail in list(told)[:MAX_DETAILS])
    more = f"; and {len(told) - MAX_DETAILS} more" if len(told) > MAX_DETAILS else ""
    return Finding(
        category=category,
        severity=rule.severity,
        title=title.format(count=len(places), files=named(files, "file")),
        claim=f"{_begun(details)}{more}.",
        remedy=rule.remedy,
        rule=rule.name,
        evidence=tuple(dict.fromkeys(evidence for evidence, _ in places))[:MAX_EVIDENCE],
        weight=len(places),
    )


def _where(places: list[Evidence]) -> str:
    first, others = f"{places[0].path}:{places[0].start_line}", len(set(places)) - 1
    return f"{first} and {named(others, 'other place')}" if others else first


def _begun(text: str) -> str:
    """Begins with a capital letter, unless the first word is a path."""
    return text if re.match(r"\S*[/.]\w", text) else text[:1].upper() + text[1:]

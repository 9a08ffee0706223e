"""Ranks findings: what a person should look at first.

REFUTED and MISSING stand last. Then severity counts, then a sceptic's verdict (a finding that no sceptic was asked about is as one
that a sceptic is unsure of), then how many distinct models agree, then how its citations were judged. REFUTED counts only with a
counter-quote that was found: a sceptic that invents has refuted nothing.
"""

from collections.abc import Sequence

from conductor.evaluation.evidence.findings import SEVERITIES, STATUSES, Evidence, Finding

VERDICTS = ("confirmed", "partly", "unsure", "refuted")
UNSURE, REFUTED = "unsure", "refuted"


def rank(finding: Finding) -> tuple[object, ...]:
    """Returns a key that sorts findings, the most important first. It does not depend on the order in which steps ended."""
    place = finding.evidence[0] if finding.evidence else Evidence("", 0, 0, "")
    return (
        is_last(finding),
        SEVERITIES.index(finding.severity),
        VERDICTS.index(finding.verdict or UNSURE),
        -agreement(finding),
        STATUSES.index(finding.status),
        -len(finding.finders),
        -finding.count,
        place.path,
        place.start_line,
        finding.title,
        finding.step,
        finding.id,
    )


def is_last(finding: Finding) -> bool:
    """Returns whether a finding was refuted, or stands nowhere."""
    return finding.status == "missing" or finding.verdict == REFUTED


def agreement(finding: Finding) -> int:
    """Returns how many distinct models found it. A tool counts as one; of earlier versions no models are known."""
    return len(finding.models) or len(finding.finders)


def order(findings: Sequence[Finding]) -> list[int]:
    """Returns the places of findings in the order of their rank; those that contradict one another follow the first of them."""
    ranked = sorted(range(len(findings)), key=lambda place: rank(findings[place]))
    places = {finding.id: place for place, finding in enumerate(findings)}
    ordered: dict[int, None] = {}
    for place in ranked:
        ordered[place] = None
        opponents = {places[name] for name in findings[place].contradicts if name in places}
        for opponent in (one for one in ranked if one in opponents):
            if is_last(findings[opponent]) == is_last(findings[place]):
                ordered[opponent] = None
    return list(ordered)

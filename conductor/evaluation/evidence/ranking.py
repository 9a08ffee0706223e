"""Ranks findings: what a person should look at first.

REFUTED and MISSING stand last. Then severity counts, then a sceptic's verdict (a finding that no sceptic was asked about is as one
that a sceptic is unsure of), then how many distinct models agree, then how its citations were judged, then in how many places a
tool's rule is broken. A place without a quote is as good as a verified one where a table keeps the rule. REFUTED counts only with a
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
        0 if finding.calibrated and finding.status == "placed" else STATUSES.index(finding.status),
        -len(finding.finders),
        -_weight(finding),
        place.path,
        place.start_line,
        finding.title,
        finding.step,
        finding.id,
    )


def _weight(finding: Finding) -> int:
    """Returns in how many places a tool's rule is broken; a finding of no tool's rule is one."""
    return finding.count or len(finding.evidence) if ":" in finding.rule else 1


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

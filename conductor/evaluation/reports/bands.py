"""Says how a report shows what tools found: in full, as a line, or only counted. A finding of a model is always shown in full.

`small` shows the things to do first in full and some more as lines, `medium` everything of weight in full, `large` everything,
what is of little weight as lines. The JSON, SARIF and the exit code know every finding in every band. It is pure.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from conductor.evaluation.evidence.findings import SEVERITIES

SMALL, LARGE = "small", "large"
WEIGHTY = frozenset({"critical", "high", "medium"})
# Of what is seen beside the things to do, so many lines stand in a small report.
SMALL_LINES = 10
Finding = Mapping[str, Any]


def is_in_full(finding: Finding, first: Collection[str], band: str) -> bool:
    """Returns whether a report shows a finding with claim and quotes; `first` are the ids of the things to do."""
    if not _is_of_tool(finding) or finding["id"] in first:
        return True
    return band != SMALL and finding["severity"] in WEIGHTY


def beside(rest: Iterable[Finding], band: str) -> list[Finding]:
    """Returns those of the findings beside the things to do that have a line on the first screen."""
    room = SMALL_LINES
    kept: list[Finding] = []
    for finding in rest:
        if _is_of_tool(finding):
            if room == 0 or (band != SMALL and finding["severity"] not in WEIGHTY):
                continue
            if band == SMALL and finding.get("outside_scope"):
                continue
            room -= band == SMALL
        kept.append(finding)
    return kept


def seen_too(others: Sequence[Finding], band: str) -> str:
    """Returns a sentence about the findings that have no line on the first screen; empty where each has one."""
    if not others:
        return ""
    by_severity = [(name, sum(one["severity"] == name for one in others)) for name in SEVERITIES]
    which = ", ".join(f"{number} {name}" for name, number in by_severity if number)
    if outside := sum(bool(one.get("outside_scope")) for one in others):
        which += " (outside the change)" if outside == len(others) else f" ({outside} of them outside the change)"
    if band == LARGE:
        return f"{which}: all below, a line each"
    return f"{which} seen too, shown by band large"


def _is_of_tool(finding: Finding) -> bool:
    """Returns whether a tool's rule found it, and it stands: what was not found or was judged is shown for what it is."""
    return bool(finding.get("rule")) and finding["status"] != "missing" and not finding.get("verdict")

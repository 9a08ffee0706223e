"""Shortens a report to its maximal size: it leaves out the least important parts first, and says so.

Findings are ordered by severity, so the last ones go first, then the texts of steps, then attempts and notes. The report's first
sentences count what is left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from conductor.flows.library.bundle import canonical_json

Values = dict[str, Any]
# A finding is in the JSON and, wrapped and escaped, in the Markdown: together about this many times its JSON.
TIMES_ITS_JSON = 2.6
KEPT_LINES = 50


def shorter(values: Values, size_without_findings: int, most_bytes: int) -> Iterator[Values]:
    """Yields the values of ever shorter reports; the first one probably fits."""
    findings = values["findings"]
    number = _count_fitting(findings, most_bytes - size_without_findings)
    while number > 0:
        yield leave_out(values, number)
        number //= 2
    bare = leave_out(values, 0)
    if size_without_findings <= most_bytes:
        yield bare
    yield without_lines(bare)


def leave_out(values: Values, kept: int) -> Values:
    """Returns the values with the first `kept` findings."""
    findings: Sequence[Mapping[str, Any]] = values["findings"]
    if kept >= len(findings):
        return values
    shown = findings[:kept]
    severities = {name: sum(one["severity"] == name for one in shown) for name in values["severities"]}
    left_out, all_of_it = len(findings) - kept, f"its {len(findings)} findings, the least severe, "
    text = f"{left_out} of {all_of_it}{'is' if left_out == 1 else 'are'} left out"
    if len(findings) == 1:
        text = "its finding is left out"
    return _say(
        {**values, "findings": shown, "severities": {name: number for name, number in severities.items() if number}},
        f"{text}: ListFindings returns all of them.",
    )


def without_lines(values: Values) -> Values:
    """Returns the values without the texts of steps, and with the first few attempts and notes."""
    execution = values["execution"]
    attempts, notes = execution["attempts"], values["notes"]
    short = {**execution, "attempts": attempts[:KEPT_LINES]}
    not_checked = values["not_checked"][:KEPT_LINES]
    told = (
        f"The texts of steps, {max(len(attempts) - KEPT_LINES, 0)} attempts and {max(len(notes) - KEPT_LINES, 0)} notes"
    )
    return _say(
        {**values, "texts": [], "execution": short, "notes": notes[:KEPT_LINES], "not_checked": not_checked},
        f"{told} are left out: GetStep returns them.",
    )


def _count_fitting(findings: Sequence[Mapping[str, Any]], room: int) -> int:
    used = 0.0
    for number, finding in enumerate(findings):
        used += len(canonical_json(dict(finding))) * TIMES_ITS_JSON
        if used > room:
            return number
    return len(findings) - 1


def _say(values: Values, text: str) -> Values:
    return {**values, "verdict": f"{values['verdict']} This report is shortened: {text}"}

"""A report within its size: what does not fit is left out, the least that matters first, and the report says so.

The findings are ordered already, the most severe first, so their end goes first; then what steps said, then the list of attempts
and the notes. What is left out is counted in the verdict, which a reader sees first. How a report is made is its caller's.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from conductor.flows.library.bundle import canonical_json

Values = dict[str, Any]
# A finding stands in the JSON and, wrapped and escaped, in the Markdown: together about this many times its JSON.
TIMES_ITS_JSON = 2.6
KEPT_LINES = 50


def shorter(values: Values, size_without_findings: int, most_bytes: int) -> Iterator[Values]:
    """Returns the values of ever shorter reports; the first one probably fits."""
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
    """Returns the values with the first so many findings."""
    findings: Sequence[Mapping[str, Any]] = values["findings"]
    if kept >= len(findings):
        return values
    shown = findings[:kept]
    severities = {name: sum(one["severity"] == name for one in shown) for name in values["severities"]}
    text = f"{len(findings) - kept} of its {len(findings)} findings, the least severe, do not stand here"
    return _say(
        {**values, "findings": shown, "severities": {name: number for name, number in severities.items() if number}},
        f"{text}: ListFindings gives all of them.",
    )


def without_lines(values: Values) -> Values:
    """Returns the values without what steps said, and with the first few attempts and notes."""
    execution = values["execution"]
    attempts, notes = execution["attempts"], values["notes"]
    short = {**execution, "attempts": attempts[:KEPT_LINES]}
    told = f"What steps said, {max(len(attempts) - KEPT_LINES, 0)} attempts and {max(len(notes) - KEPT_LINES, 0)} notes"
    return _say(
        {**values, "texts": [], "execution": short, "notes": notes[:KEPT_LINES]},
        f"{told} do not stand here: GetStep gives them.",
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

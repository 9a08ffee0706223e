"""Judges a run that succeeded: what it found that must not be, and what it left unjudged."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from conductor.cli.commands.judging.policy import Finding, Policy, severity
from conductor.cli.connection import CALL_SECONDS, Connection
from conductor.cli.text.failure import FOUND, INCOMPLETE
from conductor.cli.text.wording import counted, failure, is_cut, not_whole, step_state
from conductor.cli.views.lines import finding_line
from conductor.cli.views.run_state import StepRow
from conductor.v1 import run_service_pb2
from servicekit.printing.terminal_text import one_line

Run = run_service_pb2.Run
Step = run_service_pb2.Step
PAGE_FINDINGS = 500
SHOWN_FINDINGS = 10
SHOWN_GAPS = 10
_UNDONE = frozenset({Step.STATE_FAILED, Step.STATE_CANCELLED})


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a policy makes of a run: the exit code, and lines that say why."""

    code: int
    lines: tuple[str, ...]


def judge(connection: Connection, run: Run, policy: Policy) -> Judgement:
    """Judges a run that succeeded by the findings that the policy counts."""
    wanted = run_service_pb2.Finding.SEVERITY_CRITICAL if not policy.fail_on else severity(policy.fail_on)
    findings = list_findings(connection, run.name, wanted) if policy.fail_on else ()
    return judgement([finding for finding in findings if policy.counts(finding)], list(gaps(run)), policy)


def judgement(counting: Sequence[Finding], missed: Sequence[str], policy: Policy) -> Judgement:
    """Returns the exit code of findings that count and of parts that were not judged. Findings win: they are certain."""
    told = _incomplete(missed, policy) if missed else []
    if counting:
        which = " verified" if policy.is_verified_only else ""
        found = f"✘ {counted(len(counting), f'{which} finding'.strip())} of severity {policy.fail_on} or worse"
        shown = [f"  {finding_line(finding)}" for finding in counting[:SHOWN_FINDINGS]]
        more = len(counting) - len(shown)
        return Judgement(FOUND, (*told, found, *shown, *([f"  and {more} more"] if more else [])))
    if missed and not policy.is_incomplete_allowed:
        return Judgement(INCOMPLETE, tuple(told))
    passed = f"✔ nothing of severity {policy.fail_on} or worse" if policy.fail_on else "✔ complete"
    return Judgement(0, (*told, passed) if policy.fail_on or not told else tuple(told))


def _incomplete(missed: Sequence[str], policy: Policy) -> list[str]:
    remedy = "" if policy.is_incomplete_allowed else "; --allow-incomplete accepts that"
    lines = [
        f"✘ incomplete: {counted(len(missed), 'part')} of the run {'was' if len(missed) == 1 else 'were'} not judged{remedy}"
    ]
    more = len(missed) - SHOWN_GAPS
    return [*lines, *(f"  {line}" for line in missed[:SHOWN_GAPS]), *([f"  and {more} more"] if more > 0 else [])]


def gaps(run: Run) -> Iterator[str]:
    """Yields a sentence for each part of a run that did not come to a judgement."""
    for row in map(StepRow, run.steps):
        step = row.step
        if step.state in _UNDONE:
            why = failure(step.failure) if step.HasField("failure") else step.reason
            yield one_line(f"{row.label} {step_state(step.state)}: {why}", 300)
        elif step.finding_counts.unread and step.state == Step.STATE_SUCCEEDED:
            yield f"{row.label}: its findings cannot be read"
        elif is_cut(row.attempt):
            yield f"{row.label}: {not_whole(row.attempt)}"


def list_findings(
    connection: Connection,
    run: str,
    least: "Finding.Severity.ValueType" = Finding.SEVERITY_UNSPECIFIED,
    statuses: Iterable["run_service_pb2.Evidence.Status.ValueType"] = (),
) -> Iterator[Finding]:
    """Yields the findings of a run, most severe first, page by page."""
    request = run_service_pb2.ListFindingsRequest(
        parent=run, page_size=PAGE_FINDINGS, min_severity=least, statuses=statuses
    )
    while True:
        page = connection.runs.ListFindings(request, timeout=CALL_SECONDS)
        yield from page.findings
        request.page_token = page.next_page_token
        if not request.page_token:
            return

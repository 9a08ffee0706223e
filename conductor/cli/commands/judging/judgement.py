"""Judges a run by a policy: what it found that must not be, and what it left unjudged."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

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
    """The exit code that a policy makes of a run, lines that say why, and reasons of dismissed findings by fingerprint."""

    code: int
    lines: tuple[str, ...]
    dismissed: Mapping[str, str] = field(default_factory=dict)


def judge(connection: Connection, run: Run, policy: Policy) -> Judgement:
    """Judges a run that has ended by the findings that the policy counts."""
    least = severity(policy.fail_on) if policy.fail_on and not policy.baseline else Finding.SEVERITY_UNSPECIFIED
    is_asked = bool(policy.fail_on or policy.baseline)
    findings = list(list_findings(connection, run.name, least)) if is_asked else []
    return judgement(findings, list(gaps(run)), policy)


def judgement(findings: Sequence[Finding], missed: Sequence[str], policy: Policy) -> Judgement:
    """Returns the exit code of findings and of parts that were not judged. Findings win: they are certain."""
    counting = [finding for finding in findings if policy.counts(finding)]
    known = {
        finding.fingerprint: policy.baseline[finding.fingerprint].reason
        for finding in findings
        if finding.fingerprint in policy.baseline
    }
    told = [
        *(_incomplete(missed, policy) if missed else []),
        *(_dismissed(known, missed, policy) if policy.baseline else []),
    ]
    if counting:
        code, told = FOUND, [*told, *_found(counting, policy)]
    elif missed and not policy.is_incomplete_allowed:
        code = INCOMPLETE
    else:
        code = 0
        told += [f"✔ nothing new of severity {policy.fail_on} or worse"] if policy.fail_on else []
    return Judgement(code, tuple(told or ["✔ complete"]), known)


def _found(counting: Sequence[Finding], policy: Policy) -> list[str]:
    kind = "verified finding" if policy.is_verified_only else "finding"
    more = len(counting) - SHOWN_FINDINGS
    return [
        f"✘ {counted(len(counting), kind)} of severity {policy.fail_on} or worse",
        *(f"  {finding_line(finding)}" for finding in counting[:SHOWN_FINDINGS]),
        *([f"  and {more} more"] if more > 0 else []),
    ]


def _dismissed(known: Mapping[str, str], missed: Sequence[str], policy: Policy) -> list[str]:
    """Returns lines about the baseline. An entry is stale only where the run looked at everything."""
    stale = [] if missed else [entry for key, entry in policy.baseline.items() if key not in known]
    lines = [f"{counted(len(known), 'finding')} of the baseline left out"] if known else []
    which = "1 entry of the baseline matches" if len(stale) == 1 else f"{len(stale)} entries of the baseline match"
    lines += [f"{which} nothing any more:"] if stale else []
    more = len(stale) - SHOWN_GAPS
    named = (one_line(f"  {entry.fingerprint}  {entry.path}  {entry.title}", 200) for entry in stale[:SHOWN_GAPS])
    return [*lines, *named, *([f"  and {more} more"] if more > 0 else [])]


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

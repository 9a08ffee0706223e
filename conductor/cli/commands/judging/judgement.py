"""Judges a run by a policy: what it found that must not be, and what it left unjudged."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc

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
    missed = [*gaps(run), *report_gaps(report_document(connection, run))]
    return judgement(findings, missed, policy, is_whole=is_whole(run) and not missed)


def report_document(connection: Connection, run: Run) -> Mapping[str, Any]:
    """Returns a run's report for programs; empty where it has none."""
    asked = run_service_pb2.GetReportRequest(name=run.name, format=run_service_pb2.Report.FORMAT_JSON)
    try:
        document: Mapping[str, Any] = json.loads(connection.runs.GetReport(asked, timeout=CALL_SECONDS).body)
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return {}
        raise
    return document


def is_whole(run: Run) -> bool:
    """Returns whether a run looked at everything: only then an entry of a baseline that it did not find is stale."""
    scopes = (run_service_pb2.Workspace.SCOPE_UNSPECIFIED, run_service_pb2.Workspace.SCOPE_WHOLE)
    is_narrow = run.snapshot.scope not in scopes or run.snapshot.paths
    return run.state == Run.STATE_SUCCEEDED and not is_narrow and not any(gaps(run))


def judgement(
    findings: Sequence[Finding], missed: Sequence[str], policy: Policy, *, is_whole: bool = True
) -> Judgement:
    """Returns the exit code of findings and of parts that were not judged. Findings win: they are certain."""
    counting = [finding for finding in findings if policy.counts(finding)]
    known = {finding.fingerprint: entry.reason for finding in findings if (entry := policy.known(finding)) is not None}
    told = [
        *(_incomplete(missed, policy) if missed else []),
        *(_dismissed(known, policy, _grown(findings, policy), is_whole=is_whole) if policy.baseline else []),
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
    which = " that --verified-only counts" if policy.is_verified_only else ""
    more = len(counting) - SHOWN_FINDINGS
    return [
        f"✘ {counted(len(counting), 'finding')} of severity {policy.fail_on} or worse{which}",
        *(f"  {finding_line(finding)}" for finding in counting[:SHOWN_FINDINGS]),
        *([f"  and {more} more"] if more > 0 else []),
    ]


def _grown(findings: Sequence[Finding], policy: Policy) -> dict[str, str]:
    """Returns for each entry of the baseline that has more places now a line about it."""
    return {
        entry.fingerprint: one_line(f"  {entry.title}: {entry.places} places then, {finding.total} now", 200)
        for finding in findings
        if (entry := policy.baseline.get(finding.fingerprint)) is not None and entry.has_grown(finding.total)
    }


def _dismissed(known: Mapping[str, str], policy: Policy, grown: Mapping[str, str], *, is_whole: bool) -> list[str]:
    """Returns lines about the baseline. An entry is stale only where the run looked at everything."""
    stale = [entry for key, entry in policy.baseline.items() if key not in known and key not in grown]
    stale = stale if is_whole else []
    lines = [f"{counted(len(known), 'finding')} of the baseline left out"] if known else []
    lines += [f"{counted(len(grown), 'finding')} of the baseline with more places, so not left out:"] if grown else []
    lines += list(grown.values())[:SHOWN_GAPS]
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
        elif step.items.left_out:
            yield f"{row.label}: {counted(step.items.left_out, 'item')} left out by its limit"
        elif is_cut(row.attempt):
            yield f"{row.label}: {not_whole(row.attempt)}"


def report_gaps(document: Mapping[str, Any]) -> Iterator[str]:
    """Yields a sentence for each limit that left findings or files out, as the report's JSON tells; old reports tell none."""
    labels = {step["id"]: step["label"] for step in document.get("steps", ())}
    for gap in document.get("gaps", ()):
        label = one_line(labels.get(gap["step"], gap["step"]), 100)
        if gap["left_out"]:
            yield f"{label}: {counted(gap['left_out'], 'finding')} left out by its limit"
        if gap["unjudged"]:
            yield f"{label}: {counted(gap['unjudged'], 'file')} could not be judged"


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

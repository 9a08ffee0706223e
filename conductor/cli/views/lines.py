"""Lines about steps, findings and runs. Pure text."""

from conductor.cli.text.gates import asks
from conductor.cli.text.names import short
from conductor.cli.text.wording import (
    counted,
    disconnected,
    elapsed,
    failure,
    findings,
    is_cut,
    not_whole,
    repair,
    run_look,
    run_state,
    step_look,
    step_state,
    tokens,
    waiting,
)
from conductor.cli.views.run_state import StepRow
from conductor.v1 import run_service_pb2
from servicekit.printing.terminal_text import one_line

# Characters of what a step waits for.
LONGEST_WAIT = 400
# Most attempts begin within this time. Lines of the others say what they wait for.
QUIET_PREPARATION_SECONDS = 1.0
PREPARES = "waits for snapshot and sandbox"


def step_line(row: StepRow, now: float) -> str:
    """Returns `✔ risks  succeeded  host-a survey  1.2 s  3 findings, all verified`."""
    glyph, _ = step_look(row.step.state)
    parts = [f"{glyph} {row.label}", step_state(row.step.state), *step_facts(row, now)]
    return "  ".join(part for part in parts if part)


def step_facts(row: StepRow, now: float) -> list[str]:
    """Returns the parts after a step's name: place, time, outcome. What a narrow line must keep comes first."""
    step, attempt = row.step, row.attempt
    place = f"{attempt.agent} on {attempt.host}" if attempt.host else ""
    again = f"attempt {attempt.number}" if attempt.number > 1 else ""
    away = disconnected(row.away, now) if row.away is not None else ""
    kept = f"kept from {short(step.reused_from.partition('/steps/')[0])}" if step.reused_from else ""
    sub_run = f"sub-run {short(step.sub_run)}" if step.sub_run else ""
    if row.sub_run is not None and not row.is_settled:
        sub_run += f": {row.sub_run.settled_steps} of {counted(row.sub_run.total_steps, 'step')}"
    facts = [
        kept,
        sub_run,
        away,
        place,
        again,
        elapsed(row.seconds(now)) if step.HasField("start_time") and not kept else "",
        tokens(attempt),
    ]
    if step.state == run_service_pb2.Step.STATE_SUCCEEDED and step.HasField("finding_counts"):
        facts.append(findings(step.finding_counts))
    if row.prepared_for(now) > QUIET_PREPARATION_SECONDS:
        facts.append(PREPARES)
    if row.gate is not None:
        facts.append(asks(row.gate))
    if row.waits_for:
        facts.append(waiting(one_line(row.waits_for, LONGEST_WAIT)))
    elif step.HasField("repair"):
        facts.append(repair(step.repair))
    if row.is_settled and is_cut(attempt):
        facts.append(not_whole(attempt))
    if step.HasField("failure"):
        facts.append(one_line(failure(step.failure), 200))
    elif step.reason:
        facts.append(one_line(step.reason, 200))
    return [fact for fact in facts if fact]


def finding_line(finding: run_service_pb2.Finding) -> str:
    """Returns `high  Shell command from outside  src/run.py:12  verified`; of a folded finding how many places more it has."""
    severity = run_service_pb2.Finding.Severity.Name(finding.severity).removeprefix("SEVERITY_").lower()
    status = run_service_pb2.Evidence.Status.Name(finding.status).removeprefix("STATUS_").lower()
    places = [f"{one_line(one.path, 80)}:{one.start_line}" for one in finding.evidence[:1]]
    more = [f"and {finding.count - 1:,} more"] if finding.count > 1 else []
    elsewhere = ["outside the change"] if finding.outside_scope else []
    return "  ".join([severity, one_line(finding.title, 120), *places, *more, status, *elsewhere])


def summary(run: run_service_pb2.Run) -> str:
    """Returns a line about a run that has ended."""
    glyph, _ = run_look(run.state)
    seconds = (run.end_time.ToNanoseconds() - run.create_time.ToNanoseconds()) / 1e9
    line = f"{glyph} {run.flow.removeprefix('flows/')} {run_state(run.state)} in {elapsed(seconds)}"
    line += f": {findings(run.finding_counts)}" if run.HasField("finding_counts") else ""
    lines = [line, one_line(failure(run.failure), 300)] if run.HasField("failure") else [line]
    lines += [f"{row.label}: {not_whole(row.attempt)}" for row in map(StepRow, run.steps) if is_cut(row.attempt)]
    return "\n  ".join(lines)

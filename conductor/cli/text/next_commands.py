"""Commands to type next when a run has ended: first those that say why it failed. Pure text."""

from conductor.cli.text.following import completed
from conductor.cli.text.names import short
from conductor.v1 import run_service_pb2

# The doctor looks at machines, and at what a person must mend; it can do nothing about a model that was asked too fast.
_FOR_THE_DOCTOR = frozenset({run_service_pb2.Failure.KIND_RECOVERABLE, run_service_pb2.Failure.KIND_HUMAN_REQUIRED})


def next_commands(ended: run_service_pb2.Run, *, is_report_whole: bool) -> list[str]:
    """Returns lines with a command each. `is_report_whole`: the whole report was printed, so no line names it."""
    run = short(ended.name)
    named = [] if is_report_whole else [("the whole report:", f"conductor report {run}")]
    named.append(("its steps:", f"conductor show {run}"))
    if ended.state == run_service_pb2.Run.STATE_FAILED:
        named = [*_reasons(ended, run), *named]
    return [completed(f"{what:<17}  {command}") for what, command in named]


def _reasons(ended: run_service_pb2.Run, run: str) -> list[tuple[str, str]]:
    failure, found = ended.failure, list[tuple[str, str]]()
    if failure.step:
        found.append(("why it failed:", f"conductor show {run} {short(failure.step)}"))
    if any(step.name == failure.step and _has_run(step) for step in ended.steps):
        found.append(("what it logged:", f"conductor output {run} {short(failure.step)} --channel log"))
    if failure.kind in _FOR_THE_DOCTOR and failure.cause != run_service_pb2.Failure.CAUSE_RATE_LIMIT:
        found.append(("what is wrong:", "conductor doctor"))
    if any(step.state == run_service_pb2.Step.STATE_SUCCEEDED for step in ended.steps):
        found.append(("again, in part:", f"conductor retry {run}"))
    return found


def _has_run(step: run_service_pb2.Step) -> bool:
    return bool(step.attempts) and step.attempts[-1].HasField("start_time")

"""The commands that a person is shown when a run has ended. Keeps K2."""

import pytest

from conductor.cli.commands.launching.again import nothing_failed
from conductor.cli.text.next_commands import next_commands
from conductor.v1.run_service_pb2 import Attempt, Failure, Run, Step

ALWAYS = ["the whole report:  conductor report x", "its steps:         conductor show x"]
WHY = "why it failed:     conductor show x c"
LOG = "what it logged:    conductor output x c --channel log"
RETRY = "again, in part:    conductor retry x"
DOCTOR = "what is wrong:     conductor doctor"


def failed(reason: str, kind: str, *, has_run: bool, step: str = "runs/x/steps/c", cause: str = "UNSPECIFIED") -> Run:
    attempt = Attempt(id="x-c-1")
    if has_run:
        attempt.start_time.FromSeconds(1)
    steps = [Step(name="runs/x/steps/b", state=Step.STATE_SUCCEEDED), Step(name="runs/x/steps/c", attempts=[attempt])]
    failure = Failure(
        reason=reason,
        step=step,
        kind=Failure.Kind.Value(f"KIND_{kind}"),
        cause=Failure.Cause.Value(f"CAUSE_{cause}"),
    )
    return Run(name="runs/x", state=Run.STATE_FAILED, failure=failure, steps=steps)


@pytest.mark.parametrize("state", [Run.STATE_SUCCEEDED, Run.STATE_CANCELLED])
def test_a_run_that_did_not_fail_has_a_report_and_steps(state: "Run.State.ValueType") -> None:
    assert next_commands(Run(name="runs/x", state=state), is_report_whole=False) == ALWAYS


@pytest.mark.parametrize(
    ("run", "first"),
    [
        (failed("AGENT_EXIT_NONZERO", "FATAL", has_run=True, cause="AGENT"), [WHY, LOG]),
        (failed("INTERNAL", "FATAL", has_run=False), [WHY]),
        (failed("QUEUE_TIMEOUT", "HUMAN_REQUIRED", has_run=False), [WHY, DOCTOR]),
        (failed("HOST_DISK_FULL", "RECOVERABLE", has_run=True, cause="INFRASTRUCTURE"), [WHY, LOG, DOCTOR]),
        (failed("SHIM_LOST", "RECOVERABLE", has_run=True), [WHY, LOG, DOCTOR]),  # stored by f9ac01c
        (failed("RATE_LIMITED", "RECOVERABLE", has_run=True, cause="RATE_LIMIT"), [WHY, LOG]),
        (failed("RUN_TIMEOUT", "FATAL", has_run=True, step=""), []),
    ],
    ids=lambda given: given.failure.reason if isinstance(given, Run) else "",
)
def test_a_run_that_failed_names_first_what_answers_why(run: Run, first: list[str]) -> None:
    assert next_commands(run, is_report_whole=False) == [*first, RETRY, *ALWAYS]


def test_a_report_that_was_printed_whole_is_not_named_again() -> None:
    assert next_commands(Run(name="runs/x", state=Run.STATE_SUCCEEDED), is_report_whole=True) == ALWAYS[1:]


def test_a_retry_of_a_good_run_names_what_can_run_again() -> None:
    assert nothing_failed("0abc").shown().splitlines() == [
        "conductor: no step of run 0abc failed or was cancelled; name a step, or take all",
        "  a step again:  conductor retry 0abc --step STEP",
        "  all again:     conductor retry 0abc --all",
    ]

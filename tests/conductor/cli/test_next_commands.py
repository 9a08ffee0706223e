"""The commands that a person is shown when a run has ended. Keeps K2."""

import pytest

from conductor.cli.text.next_commands import next_commands
from conductor.v1.run_service_pb2 import Attempt, Failure, Run, Step

ALWAYS = ["the report again:  conductor report x", "its steps:         conductor show x"]
WHY = "why it failed:     conductor show x c"
LOG = "what it logged:    conductor output x c --channel log"
DOCTOR = "what is wrong:     conductor doctor"


def failed(reason: str, *, has_run: bool, step: str = "runs/x/steps/c", **more: str) -> Run:
    attempt = Attempt(id="x-c-1")
    if has_run:
        attempt.start_time.FromSeconds(1)
    steps = [Step(name="runs/x/steps/b"), Step(name="runs/x/steps/c", attempts=[attempt])]
    failure = Failure(reason=reason, step=step, **more)  # type: ignore[arg-type]
    return Run(name="runs/x", state=Run.STATE_FAILED, failure=failure, steps=steps)


@pytest.mark.parametrize("state", [Run.STATE_SUCCEEDED, Run.STATE_CANCELLED])
def test_a_run_that_did_not_fail_has_a_report_and_steps(state: "Run.State.ValueType") -> None:
    assert next_commands(Run(name="runs/x", state=state)) == ALWAYS


@pytest.mark.parametrize(
    ("run", "first"),
    [
        (failed("AGENT_EXIT_NONZERO", has_run=True), [WHY, LOG]),
        (failed("PROMPT_BUILD_FAILED", has_run=False), [WHY]),
        (failed("QUEUE_TIMEOUT", has_run=False), [WHY, DOCTOR]),
        (failed("HOST_DISK_FULL", has_run=True), [WHY, LOG, DOCTOR]),
        (failed("READ_ONLY_UNAVAILABLE", has_run=False, **{"class": "HUMAN_REQUIRED"}), [WHY, DOCTOR]),
        (failed("RUN_TIMEOUT", has_run=True, step=""), []),
    ],
    ids=lambda given: given.failure.reason if isinstance(given, Run) else "",
)
def test_a_run_that_failed_names_first_what_answers_why(run: Run, first: list[str]) -> None:
    assert next_commands(run) == [*first, *ALWAYS]

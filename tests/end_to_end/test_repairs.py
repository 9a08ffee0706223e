"""Repairs, seen from outside: an answer that cannot be used is asked for once more. Keeps F3 and D13."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from conductor.v1.run_service_pb2 import (
    Attempt,
    GetReportRequest,
    GetRunRequest,
    GetStepRequest,
    Run,
    Step,
    Turn,
    WatchRunRequest,
)
from conductor.v1.run_service_pb2_grpc import RunServiceStub
from tests.kit import flows
from tests.kit.services import Pair, running_pair

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

BAD = 'final {"findings": "none"}'
# An agent that plays its prompt plays its former answer, too, when it is shown that.
CORRECTS_ITSELF = 'say final {"findings": []}'


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    (folder / "allowed").mkdir()
    with running_pair(folder, hosts=("alpha",), extra=("--root", str(folder / "allowed"))) as running:
        yield running


def run_to_its_end(pair: Pair, *directives: str) -> tuple[Run, Step, str]:
    """Returns a run of one step when it has ended, with the step and its report."""
    workspace = flows.plain_workspace(pair.folder / "allowed" / "w")
    with pair.channel() as channel:
        stub = RunServiceStub(channel)
        run = stub.CreateRun(flows.request(workspace, flows.scripted("look", *directives)), timeout=30)
        for _ in stub.WatchRun(WatchRunRequest(name=run.name), timeout=60):
            pass
        step = stub.GetStep(GetStepRequest(name=f"{run.name}/steps/look"), timeout=10)
        report = stub.GetReport(GetReportRequest(name=run.name), timeout=10)
        return stub.GetRun(GetRunRequest(name=run.name), timeout=10), step, report.markdown


def show(pair: Pair, run: Run, *more: str) -> str:
    """Returns what `conductor show` prints."""
    command = [sys.executable, "-m", "conductor.cli", "--address", pair.address, "show", run.name, *more]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_an_agent_that_takes_turns_repairs_its_answer_in_the_same_process(pair: Pair) -> None:
    good = 'final {"findings": []}'
    run, step, report = run_to_its_end(pair, "say first", BAD, "process", "turn", "received", "process", good, "turn")

    assert run.state == Run.STATE_SUCCEEDED
    (attempt,) = step.attempts
    assert attempt.state == Attempt.STATE_SUCCEEDED
    assert [turn.state for turn in attempt.ended_turns] == [Turn.STATE_TO_REPAIR, Turn.STATE_VALID]
    assert (step.repair.attempt, step.repair.turn, step.repair.repairing_attempt) == (attempt.id, 1, "")
    assert "first" not in step.text
    assert "the result's findings are not a list" in step.text
    assert "turn 1 to repair, turn 2 valid" in show(pair, run, "look")
    assert "was asked once to repair its answer" in report


def test_an_agent_that_answers_once_repairs_its_answer_in_a_second_attempt(pair: Pair) -> None:
    run, step, report = run_to_its_end(pair, BAD, CORRECTS_ITSELF)

    assert run.state == Run.STATE_SUCCEEDED
    assert [attempt.state for attempt in step.attempts] == [Attempt.STATE_SUCCEEDED] * 2
    assert step.repair.attempt == step.attempts[0].id
    assert step.repair.repairing_attempt == step.attempts[1].id
    assert "the result's findings are not a list" in step.repair.text
    words = "asked once to repair its answer: the result's findings are not a list"
    assert words in show(pair, run)
    assert words in show(pair, run, "look")
    assert f"was {words}" in report


def test_an_agent_that_errs_twice_fails_after_its_repair(pair: Pair) -> None:
    run, step, report = run_to_its_end(pair, BAD, "say I insist.")

    assert run.state == Run.STATE_FAILED
    assert step.failure.reason == "OUTPUT_INVALID_AFTER_REPAIR"
    assert "the result's findings are not a list" in step.failure.message
    assert len(step.attempts) == 2
    assert step.text == "I insist.\n"
    assert "was asked once to repair its answer" in report

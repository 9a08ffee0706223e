"""What a person is told before a run, and limits that end it: pure. Keeps K8."""

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from conductor.cli.commands.judging.limits import RunLimits
from conductor.cli.commands.launching.forecast import forecast_line, gate_lines, refuse_unplaced
from conductor.cli.main import main
from conductor.cli.text.failure import CommandError
from conductor.v1.run_service_pb2 import (
    Activity,
    Attempt,
    Destination,
    Output,
    Placement,
    PlannedStep,
    PlanRunResponse,
    Run,
    Step,
    Usage,
    Wait,
    WatchRunResponse,
)

HERE = Destination(host="local", machine="127.0.0.1")
AWAY = Destination(host="local", model="default", machine="api.example.com", leaves_machine=True)
LOOKS = PlannedStep(name="runs/-/steps/looks", placement=Placement(agent="survey", host="local"), prompt_tokens=13)
THINKS = PlannedStep(name="runs/-/steps/thinks", placement=Placement(agent="reader", host="local", model="small"))


@pytest.mark.parametrize(
    ("planned", "told"),
    [
        (PlanRunResponse(steps=[LOOKS], destinations=[HERE]), "no model is asked; the code stays on this machine"),
        (
            PlanRunResponse(steps=[LOOKS, THINKS], destinations=[HERE, AWAY], requests=2, prompt_tokens=13, leaves_machine=True),
            ("at least 2 requests, about 13 tokens in prompts and 1 prompt not known yet;"
            " the code leaves this machine, for api.example.com"),
        ),
        (
            PlanRunResponse(steps=[THINKS], destinations=[HERE], requests=1, most_requests=20),
            ("at least 1 request, at most 20; their tokens are not known before the run;"
            " the code stays on this machine"),
        ),
        (
            PlanRunResponse(steps=[THINKS], destinations=[HERE], most_requests=14),
            "up to 14 requests; their tokens are not known before the run; the code stays on this machine",
        ),
        (
            PlanRunResponse(steps=[THINKS], destinations=[HERE]),
            ("as many requests as the run finds work for; their tokens are not known before the run;"
            " the code stays on this machine"),
        ),
    ],
)  # fmt: skip
def test_requests_tokens_and_where_the_code_goes_are_told_before_the_run(planned: PlanRunResponse, told: str) -> None:
    last = Run(create_time=Timestamp(seconds=10), end_time=Timestamp(seconds=135))

    assert forecast_line(planned, None) == told
    assert forecast_line(planned, last) == f"{told}; 2 min 05 s the last time"


def test_a_step_without_a_place_is_told_and_refused_where_no_host_can_come() -> None:
    wait = Wait(kind=Wait.KIND_AGENT, text="No connected host offers reader.")
    planned = PlanRunResponse(steps=[LOOKS, PlannedStep(name="runs/-/steps/thinks", wait=wait)], destinations=[HERE])

    assert "no connected host has the agents of thinks" in forecast_line(planned, None)
    with pytest.raises(CommandError, match=r"step thinks has no place: No connected host offers reader\.") as caught:
        refuse_unplaced(planned)
    assert "--ephemeral --model URL" in caught.value.shown()
    refuse_unplaced(PlanRunResponse(steps=[LOOKS]))


def test_a_faulty_spec_of_the_callers_own_is_told_with_the_command_that_checks_it() -> None:
    told = "No connected host offers todo. local has todo, but: /own/todo.toml: mounts.todo names /own/tol, which is no folder."
    wait = Wait(kind=Wait.KIND_AGENT, text=told)
    with pytest.raises(CommandError) as caught:
        refuse_unplaced(PlanRunResponse(steps=[PlannedStep(name="runs/-/steps/todo", wait=wait)]))
    assert "agenthost agents check /own/todo.toml" in caught.value.shown()
    assert "--model" not in caught.value.shown()


def ended(attempt: str, read: int, written: int) -> WatchRunResponse:
    return WatchRunResponse(step=Step(attempts=[Attempt(id=attempt, input_tokens=read, output_tokens=written)]))


def using(attempt: str, read: int) -> WatchRunResponse:
    usage = Activity(usage=Usage(input_tokens=read))
    return WatchRunResponse(output=Output(attempt=attempt, activities=[usage]))


def test_a_run_is_ended_once_where_its_agents_use_more_tokens_than_allowed() -> None:
    limits = RunLimits(None, 1_000)

    assert [limits.note(one) for one in (using("a", 400), using("a", 600), ended("a", 500, 100))] == [False] * 3
    assert [limits.note(one) for one in (using("b", 400), using("b", 401), using("b", 500))] == [False, True, False]
    assert "1001 tokens" in limits.reason
    assert not limits.is_out_of_time


def test_a_run_is_ended_where_it_takes_longer_than_allowed() -> None:
    times = iter([0.0, 59.0, 61.0])
    limits = RunLimits(1, None, lambda: next(times))

    assert [limits.note(WatchRunResponse()) for _ in range(3)] == [False, True, False]
    assert limits.is_out_of_time


def test_a_run_without_a_person_is_ended_where_it_waits_at_a_gate() -> None:
    paused = WatchRunResponse(run=Run(state=Run.STATE_PAUSED))

    assert RunLimits(None, None, may_pause=False).note(paused)
    assert not RunLimits(None, None).note(paused)


def test_without_limits_nothing_ends_a_run() -> None:
    assert not RunLimits(None, None).note(ended("a", 10**9, 10**9))


@pytest.mark.parametrize("minutes", ["nan", "inf", "-1", "0"])
def test_a_limit_that_limits_nothing_is_refused(minutes: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "survey", "--max-minutes", minutes]) == 2
    assert "--max-minutes" in capsys.readouterr().err


def test_a_run_whose_conductor_ends_with_it_tells_its_gates_before_it_begins() -> None:
    steps = [
        Step(name="runs/-/steps/agree", kind=Step.KIND_GATE, state=Step.STATE_PENDING),
        Step(name="runs/-/steps/later", kind=Step.KIND_GATE, state=Step.STATE_EXCLUDED),
        Step(name="runs/-/steps/told", kind=Step.KIND_FOLD, state=Step.STATE_PENDING),
    ]

    (line,) = gate_lines(PlanRunResponse(run=Run(steps=steps)))
    assert line.startswith("a person is asked at agree, and has no time with --ephemeral: the run is cancelled there")
    assert not list(gate_lines(PlanRunResponse(run=Run(steps=steps[1:]))))
